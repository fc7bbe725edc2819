//! Random blocks: instructions that make sense one after the other, because each is tried as it is added.
//!
//! A block begins in a random state of one of the six privilege states and ends in an interrupt. While it is made, an
//! instruction that would end it is mostly taken back, so that blocks are long and every kind of interrupt ends some.
//! Then it is run from many other states too: the peer translates it once, and what is wrong shows in few states.

use crate::bench::Bench;
use crate::layout::{
    CODE, CODES, DATA, GPR, HASHED, PAGE, PAGES, PMU, PMU_SPRS, READ_ONLY, RESTRICTED, RESULTS, Record, SC,
    SEGMENT_DISTANCES, SEGMENT_ENTRIES, SEGMENTS, SLB, VSCR, VSR, WINDOW, WORDS, at, kind, spr,
};
use crate::random::Random;
use crate::special;
use crate::words::{operand_bits, operands};
use timebase_cpu::Model;
use timebase_cpu::bits::{lpcr, mmcr0, msr};
use timebase_isa::Decoder;
use timebase_isa::decode::Entry;

/// A privilege state with or without translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// A process of the host.
    HostProblem,
    /// A process of a guest.
    GuestProblem,
    /// A guest's operating system, translated.
    Supervisor,
    /// The same in real mode.
    SupervisorReal,
    /// The host, translated.
    Hypervisor,
    /// The same in real mode.
    HypervisorReal,
}

/// All of them.
pub const STATES: [State; 6] = [
    State::HostProblem,
    State::GuestProblem,
    State::Supervisor,
    State::SupervisorReal,
    State::Hypervisor,
    State::HypervisorReal,
];

impl State {
    /// Bits of MSR.
    pub fn msr(self) -> u64 {
        let translated = msr::IR | msr::DR;
        match self {
            State::HostProblem => msr::HV | msr::PR | msr::EE | translated,
            State::GuestProblem => msr::PR | msr::EE | translated,
            State::Supervisor => translated,
            State::SupervisorReal => 0,
            State::Hypervisor => msr::HV | translated,
            State::HypervisorReal => msr::HV,
        }
    }
}

/// The first and last GPR that hold addresses of data; those after them up to `OFFSETS` hold small numbers.
const ADDRESSES: std::ops::Range<u64> = 16..24;
const OFFSETS: std::ops::Range<u64> = 24..28;
/// A GPR with a value for MSR, and one with an address of code.
pub const MSR_LIKE: u64 = 28;
pub const CODE_ADDRESS: u64 = 29;
/// GPRs with values for what the kind of the block has: an ESID or a message, the rest of an SLB entry.
pub const FIRST_OF_KIND: u64 = 30;
pub const SECOND_OF_KIND: u64 = 31;
/// A GPR that is given the value of PIDR, for the peer to forget translations.
const FORGETS: u64 = 15;
/// Instructions that a block may execute, loops included.
const LONGEST: usize = 100;

/// What is made, with what for.
pub struct Generator {
    pub model: Model,
    pub decoder: Decoder,
    /// Definitions that occur, with their operand bits.
    entries: Vec<(Entry, u64)>,
    /// Bits of each definition that are reserved: the peer minds them.
    reserved: Vec<u64>,
    pub bench: Bench,
    random: Random,
    seed: u64,
    /// Blocks that were made, or passed over.
    pub made: u64,
    /// Bits of [`kind`] of the block.
    kind: u64,
    /// Something changed of which the peer has translations: they are not to be used before it forgets them.
    stale: bool,
}

/// A block in one state.
pub struct Block {
    pub record: Record,
    /// Definitions of the instructions that it executes, in order.
    pub executed: Vec<u16>,
}

/// States in a row that have the same MSR: code is translated, and compiled, for one.
const SAME_MSR: usize = 16;

impl Generator {
    /// Blocks of `model` from number `made` on; the same ones for the same seed.
    pub fn new(model: Model, seed: u64, made: u64) -> Generator {
        let decoder = Decoder::new(model.level());
        let here = |e: &&Entry| e.encoding.since <= model.level() && model.level() <= e.encoding.until;
        let entries = decoder.entries().iter().filter(here).filter(|entry| !special::left_out(entry));
        let entries = entries.map(|entry| (*entry, operand_bits(entry))).collect();
        let reserved = |entry: &Entry| match entry.name {
            "illegal" => 0,
            _ => !(entry.encoding.mask | operand_bits(entry)),
        };
        let reserved = decoder.entries().iter().map(reserved).collect();
        let bench = Bench::new(model, 0);
        Generator {
            model,
            decoder,
            entries,
            reserved,
            bench,
            random: Random(1),
            seed,
            made,
            kind: 0,
            stale: false,
        }
    }

    /// The state that block `number` of this generator begins in, at `place`; its code is still empty.
    pub fn beginning(&mut self, number: u64, place: usize) -> Record {
        self.bench.code = crate::layout::code_of(place);
        let mut mixed = self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.random = Random(timebase_state::random::draw(&mut mixed) | 1);
        let state = STATES[self.random.below(6) as usize];
        let start = self.random.below(16);
        let little = self.random.below(2) != 0;
        self.kind = match self.random.below(12) {
            0..=2 => kind::SEGMENTS,
            3 => kind::COUNTERS,
            4 => kind::DOORBELLS,
            _ => 0,
        };
        let msr = self.msr(state, little);
        self.state(msr, self.bench.code + 4 * start)
    }

    /// The next block, as [`Generator::block`] makes it, in its first state and `states` other ones. Fewer, if what it does
    /// in some is not allowed.
    pub fn blocks(&mut self, place: usize, states: usize) -> Vec<Block> {
        let first = self.block(place);
        let (little, start) = (first.record.little(), first.record.get(at::NIA));
        let mut msr = first.record.get(at::MSR);
        let mut blocks = vec![first];
        for n in 0..states {
            if n % SAME_MSR == SAME_MSR - 1 {
                let state = STATES[self.random.below(6) as usize];
                msr = self.msr(state, little);
            }
            let mut record = self.state(msr, start);
            record.0[CODE..].copy_from_slice(&blocks[0].record.0[CODE..]);
            blocks.extend(self.executed(&record).map(|executed| Block { record, executed }));
        }
        blocks
    }

    /// What a block executes before what ends it; None if something is not allowed.
    fn executed(&mut self, record: &Record) -> Option<Vec<u16>> {
        self.bench.load(record);
        self.stale = false;
        let filled = std::array::from_fn(|n| record.word(n, record.little()) != SC);
        let mut executed = Vec::new();
        let steps = self.go(&mut executed, &filled);
        let ended = self.bench.next().is_some() || self.bench.interrupted();
        (steps <= LONGEST && ended).then_some(executed)
    }

    /// The next block, which stands at `place` in the file.
    pub fn block(&mut self, place: usize) -> Block {
        self.made += 1;
        let mut record = self.beginning(self.made - 1, place);
        self.bench.load(&record);
        self.stale = false;
        let theme: Vec<usize> = (0..3 + self.random.below(20))
            .map(|_| self.random.below(self.entries.len() as u64) as usize)
            .collect();
        let mut filled = [false; WORDS];
        let mut executed = Vec::new();
        let length = 1 + self.random.below(24) as usize;
        let mut tries = 0;
        while let Some(n) = self.bench.next() {
            if n >= WORDS - 4 || executed.len() >= length || tries > 200 {
                break;
            }
            tries += 1;
            let before = (self.bench.save(), self.stale);
            let words = self.words(&theme);
            if !self.allowed(words) || filled[n] || words >> 32 != 0 && filled[n + 1] {
                continue;
            }
            let pair = [(words >> 32) as u32, words as u32];
            let words = if words >> 32 != 0 { &pair[..] } else { &pair[1..] };
            let little = self.bench.cpu.little_endian();
            for (k, word) in words.iter().enumerate() {
                self.bench.put(n + k, *word);
                filled[n + k] = true;
            }
            let executed_before = executed.len();
            let steps = self.go(&mut executed, &filled);
            let ended = self.bench.next().is_none();
            let bad = ended && !self.bench.interrupted() || steps > LONGEST;
            if bad || ended && executed.len() < length && self.random.below(16) != 0 {
                self.bench.restore(&before.0);
                self.stale = before.1;
                executed.truncate(executed_before);
                for (k, _) in words.iter().enumerate() {
                    filled[n + k] = false;
                    self.bench.put(n + k, SC);
                }
                continue;
            }
            for (k, word) in words.iter().enumerate() {
                record.set_word(n + k, *word, little);
            }
        }
        Block { record, executed }
    }

    /// Executes what is there, until there is nothing. Returns how many instructions.
    fn go(&mut self, executed: &mut Vec<u16>, filled: &[bool; WORDS]) -> usize {
        let mut steps = 0;
        while let Some(n) = self.bench.next().filter(|&n| filled[n] && steps <= LONGEST) {
            let little = self.bench.cpu.little_endian();
            let word = word_of(&self.decoder, self.bench.word_at(n, little));
            if !self.allowed(word) {
                return LONGEST + 1 + steps;
            }
            executed.push(self.decoder.decode(word).op);
            let authority = self.authority();
            self.bench.step();
            steps += 1;
            let name = self.decoder.entries()[self.decoder.decode(word).op as usize].name;
            self.stale |= self.authority() != authority || ["slbmte", "slbie", "slbia"].contains(&name);
            self.stale &= special::spr_of(word, name) != Some(special::PIDR);
            if !self.goes_on() {
                return LONGEST + steps;
            }
            // The peer has no process of partition 0 outside hypervisor state.
            if self.bench.cpu.regs.msr & msr::HV == 0 && self.bench.cpu.spr.lpidr == 0 {
                return LONGEST + steps;
            }
        }
        steps
    }

    /// What decides about storage keys.
    fn authority(&self) -> (u64, u64) {
        (self.bench.cpu.spr.amr, self.bench.cpu.spr.iamr)
    }

    /// What comes next can be compared: the code that changed what code is translated by is still there, and the guest,
    /// whose pages in real mode have the last key, may use them.
    fn goes_on(&self) -> bool {
        let (amr, iamr) = self.authority();
        let own = self.kind & kind::SEGMENTS == 0 || amr & 3 == 0 && iamr & 1 == 0;
        // The peer's hypervisor doorbells wait for MSR[EE] in a guest, too.
        let regs = &self.bench.cpu.regs;
        let early = regs.nia == 0xe80 && self.bench.interrupted() && self.bench.cpu.spr.hsrr1 & msr::EE == 0;
        own && !early && (!self.stale || self.bench.next().is_none() || self.bench.fetches())
    }

    /// An instruction of what the kind of the block has.
    fn word_of_kind(&mut self) -> Option<u64> {
        if self.stale && !self.bench.cpu.problem() && self.random.below(2) == 0 {
            let known = self.bench.cpu.regs.gpr[FORGETS as usize] == self.bench.cpu.spr.pidr;
            let load = 14 << 26 | FORGETS << 21 | self.bench.cpu.spr.pidr;
            return Some(if known { special::mtspr(FORGETS, special::PIDR) } else { load });
        }
        match self.kind {
            kind::SEGMENTS if self.random.below(6) == 0 => Some(special::segment_word(&mut self.random)),
            kind::COUNTERS if self.random.below(3) == 0 => Some(special::counter_word(&mut self.random)),
            kind::DOORBELLS if self.random.below(4) == 0 => Some(special::doorbell_word(&mut self.random)),
            _ => None,
        }
    }

    /// A random instruction: its word, or both of them.
    fn words(&mut self, theme: &[usize]) -> u64 {
        if let Some(word) = self.word_of_kind() {
            return word;
        }
        if self.random.below(12) == 0 {
            return special::word(&mut self.random, &self.decoder, self.bench.cpu.problem());
        }
        let (entry, bits) = self.entries[theme[self.random.below(theme.len() as u64) as usize]];
        let word = entry.encoding.bits | self.random.next() & bits;
        if special::addresses_storage(&entry) {
            return self.storage_word(&entry, bits, word);
        }
        if entry.name.contains("ger") {
            // VSRs of no accumulator: one that is a source of its own product is an invalid form.
            return word | 6;
        }
        let has = |name: &str| operands(&entry).next() == Some(name);
        let target = if has("RT") {
            21
        } else if has("RA") {
            16
        } else {
            return word;
        };
        // Addresses should survive.
        let number = word >> target & 31;
        if (16..30).contains(&number) && bits >> target & 31 == 31 && self.random.below(8) != 0 {
            return word & !(31 << target) | self.random.below(16) << target;
        }
        word
    }

    fn storage_word(&mut self, entry: &Entry, bits: u64, word: u64) -> u64 {
        let random = &mut self.random;
        let mut word = word;
        let mut set = |shift: u32, value: u64| word = word & !(31 << shift) | value << shift;
        let relative = entry.encoding.prefixed() && random.below(8) == 0;
        if bits >> 16 & 31 == 31 {
            set(16, if relative || random.below(32) == 0 { 0 } else { draw(random, ADDRESSES) });
        }
        if bits >> 11 & 31 == 31 && !entry.syntax.contains('(') {
            set(11, draw(random, OFFSETS));
        }
        let first = operands(entry).next().unwrap_or_default();
        if (first == "RT" || first == "RTp") && random.below(8) != 0 {
            set(21, random.below(16));
        }
        if entry.syntax.contains('(') {
            let displacement = random.below(48).wrapping_sub(8 * random.below(2));
            let low = if entry.encoding.prefixed() {
                0xffff
            } else {
                bits & 0xfff0 | !entry.encoding.mask & bits & 12
            };
            let low = low & if is_quad(entry) { !15 } else { u64::MAX };
            word = word & !low | displacement & low;
            if entry.encoding.prefixed() {
                let high = displacement >> 16 & 0x3_ffff;
                word = word & !(0x3_ffff << 32 | 1 << 52) | high << 32 | (relative as u64) << 52;
            }
        }
        word
    }

    /// The instruction does what can be predicted and stays where it may.
    fn allowed(&self, word: u64) -> bool {
        let ops = self.decoder.decode(word);
        let entry = &self.decoder.entries()[ops.op as usize];
        let cpu = &self.bench.cpu;
        let left_alone = special::left_alone(entry, word, cpu, self.kind);
        if special::invalid(entry, &ops, word) || left_alone || word & self.reserved[ops.op as usize] != 0 {
            return false;
        }
        // The peer does not come back from a return to where it is traced.
        if matches!(entry.name, "rfid" | "hrfid" | "rfscv") && cpu.regs.msr & msr::TE != 0 {
            return false;
        }
        // Two entries for one address are an error.
        if entry.name == "slbmte" && self.bench.overlaps(&ops) {
            return false;
        }
        // What the peer remembers would show.
        if self.stale && special::changes_msr(entry) {
            return false;
        }
        if !special::addresses_storage(entry) {
            return true;
        }
        let translated = cpu.regs.msr & msr::DR != 0;
        if self.stale && translated {
            return false;
        }
        let mut address = special::address(entry, &ops, word, &cpu.regs);
        if cpu.regs.msr & msr::SF == 0 {
            address &= 0xffff_ffff;
        }
        let effective = address;
        let hashed = self.kind & kind::SEGMENTS != 0;
        if hashed && translated {
            let segment = SEGMENT_ENTRIES
                .iter()
                .position(|(esid, _)| (esid ^ address) >> if *esid >> 40 != 0 { 40 } else { 28 } == 0);
            address -= segment.map_or(0, |n| SEGMENT_DISTANCES[n]);
        }
        let other = address != effective;
        // Only of a partition the pages of a tree do not let themselves be written, and nothing writes them anew.
        let restricted = (RESTRICTED..RESTRICTED + PAGES * PAGE).contains(&address);
        let writable = if hashed { self.bench.may_store(effective) } else { cpu.regs.msr & msr::HV != 0 };
        if restricted && writable && special::stores(entry) {
            return false;
        }
        // Other blocks are not always the same.
        let own = self.bench.code..self.bench.code + 4 * WORDS as u64 - 64;
        if (CODES..RESULTS).contains(&(address & u64::MAX >> 2)) && !own.contains(&address) {
            return false;
        }
        // Where nothing stops an access, and beside the window, which is all that results have of these pages.
        let open = !translated || other || special::extent(entry) > 40 || Bench::beside(address);
        !open
            || Bench::harmless(
                if entry.name == "dcbz" { address & !127 } else { address },
                special::extent(entry),
            )
    }

    /// A random MSR.
    fn msr(&mut self, state: State, little: bool) -> u64 {
        let random = &mut self.random;
        let narrow = random.below(4) == 0;
        let mut value = state.msr() | msr::ME | msr::SF | msr::FP | msr::VEC | msr::VSX;
        for (bits, one_in) in [(msr::FP, 16), (msr::VEC, 16), (msr::VSX, 16)] {
            value ^= if random.below(one_in) == 0 { bits } else { 0 };
        }
        let extra = [(msr::FE0, 2), (msr::FE1, 2), (msr::RI, 2), (msr::SE, 64), (msr::BE, 64)];
        for (bits, one_in) in extra {
            value |= if random.below(one_in) == 0 { bits } else { 0 };
        }
        // What the peer does not come back from: `known::hangs`.
        value &= if value & msr::FP == 0 { !(msr::FE0 | msr::FE1) } else { u64::MAX };
        value |= little as u64;
        value & if narrow { !msr::SF } else { u64::MAX }
    }

    /// A random state with this MSR, and code that does nothing.
    fn state(&mut self, value: u64, start: u64) -> Record {
        let code = self.bench.code;
        let random = &mut self.random;
        let mut record = Record::new();
        let narrow = value & msr::SF == 0;
        record.set(at::MSR, value);
        record.set(at::NIA, start);
        for n in 0..WORDS {
            record.set_word(n, SC, value & msr::LE != 0);
        }
        record.set(at::CFAR, random.next() & !3);
        let hashed = self.kind & kind::SEGMENTS != 0;
        record.set(at::KIND, self.kind);
        registers(random, &mut record, code, narrow, value);
        vectors(random, &mut record);
        record.set(at::LPIDR, if hashed { HASHED } else { (value & msr::HV == 0) as u64 });
        record.set(at::PIDR, 1);
        let event = if random.below(8) == 0 { lpcr::EVIRT } else { 0 };
        let lent = if random.below(4) == 0 { 0 } else { lpcr::GTSE };
        record.set(at::LPCR, lpcr::HR | lpcr::UPRT | lent | event);
        sprs(random, &mut record, code, value, self.model);
        match self.kind {
            kind::SEGMENTS => {
                let virtualized = if random.below(2) == 0 { lpcr::VPM } else { 0 };
                record.set(at::LPCR, virtualized | lent | event);
                segments(random, &mut record, value);
            }
            kind::COUNTERS => counters(random, &mut record, self.model),
            kind::DOORBELLS => {
                let exits = random.next() & lpcr::PECE;
                record.set(at::LPCR, record.get(at::LPCR) | exits);
                doorbells(random, &mut record, value);
            }
            _ => {}
        }
        for byte in &mut record.0[DATA..DATA + crate::layout::WINDOW_BYTES] {
            *byte = random.next() as u8;
        }
        record
    }
}

/// Segments, and addresses in them.
fn segments(random: &mut Random, record: &mut Record, value: u64) {
    const VALID: u64 = 1 << 27;
    const KEYS: u64 = 0xc00;
    const NO_EXECUTE: u64 = 0x200;
    const CLASS: u64 = 0x80;
    let attributes = |random: &mut Random| {
        let rare = if random.below(32) == 0 { NO_EXECUTE } else { 0 };
        random.next() & (KEYS | CLASS) | rare
    };
    for (n, (esid, vsid)) in SEGMENT_ENTRIES.iter().enumerate() {
        if random.below(32) != 0 {
            record.set(SLB + 16 * (n + 1), esid | VALID);
            record.set(SLB + 16 * (n + 1) + 8, vsid | attributes(random));
        }
    }
    let (esid, vsid) = SEGMENT_ENTRIES[random.below(4) as usize];
    let shift = if vsid >> 62 != 0 { 40 } else { 28 };
    let esid = if random.below(4) == 0 { random.next() >> shift << shift } else { esid };
    let invalid = if random.below(4) == 0 { 0 } else { VALID };
    let (first, second) = (FIRST_OF_KIND as usize, SECOND_OF_KIND as usize);
    record.set(GPR + 8 * first, esid | invalid | random.below(SEGMENTS as u64));
    record.set(GPR + 8 * second, vsid | attributes(random));
    if value & msr::DR != 0 {
        for n in ADDRESSES.map(|n| GPR + 8 * n as usize) {
            if random.below(2) == 0 && Bench::beside(record.get(n)) {
                record.set(n, record.get(n) + SEGMENT_DISTANCES[random.below(4) as usize]);
            }
        }
    }
    // A guest's real mode, and so its interrupts, has the last key.
    record.set(spr("amr"), record.get(spr("amr")) & !3);
    record.set(spr("iamr"), record.get(spr("iamr")) & !3);
    if random.below(3) == 0 {
        let keys = random.next() & random.next() & !3;
        record.set(spr("amr"), keys);
    }
}

/// What the performance monitor has, frozen and without an alert that an event would cause.
fn counters(random: &mut Random, record: &mut Record, model: Model) {
    for (n, (name, _)) in PMU_SPRS.iter().enumerate() {
        let value = match *name {
            "mmcr0" => mmcr0::FC | random.next() & special::QUIET_MMCR0,
            "mmcr2" => random.next() & special::MMCR2,
            "mmcr3" | "sier2" | "sier3" if model == Model::Power9 => 0,
            name if name.starts_with("pmc") => random.next() & 0xffff_ffff,
            _ => random.next(),
        };
        record.set(PMU + 8 * n, value);
    }
    record.set(GPR + 8 * FIRST_OF_KIND as usize, mmcr0::FC | random.next() & special::QUIET_MMCR0);
}

/// Doorbells that are pending, and a message.
fn doorbells(random: &mut Random, record: &mut Record, value: u64) {
    const DIRECTED: u64 = 5 << 27;
    let mut pending = [kind::MSGSND, kind::MSGSNDP].map(|bit| if random.below(6) == 0 { bit } else { 0 });
    // The peer's hypervisor doorbells wait for MSR[EE] in a guest, too, which the other doorbell takes.
    if value & msr::HV == 0 && (value & msr::EE == 0 || pending[1] != 0) {
        pending[0] = 0;
    }
    record.set(at::KIND, kind::DOORBELLS | pending[0] | pending[1]);
    let kind = if random.below(8) == 0 { random.next() & 31 << 27 } else { DIRECTED };
    let target = if random.below(8) == 0 { 1 + random.below(3) } else { 0 };
    record.set(GPR + 8 * FIRST_OF_KIND as usize, kind | target);
}

fn is_quad(entry: &Entry) -> bool {
    // DQ-form: four bits below the displacement belong to other fields.
    matches!(entry.encoding.bits >> 26, 6 | 56 | 61)
        && !entry.encoding.prefixed()
        && entry.encoding.mask & 3 != 3
        && !matches!(entry.name, "lxsd" | "lxssp" | "stxsd" | "stxssp" | "stfdp")
}

fn draw(random: &mut Random, range: std::ops::Range<u64>) -> u64 {
    range.start + random.below(range.end - range.start)
}

/// The word, or both of them if the first one is a prefix.
pub fn word_of(decoder: &Decoder, words: u64) -> u64 {
    if decoder.is_prefix((words >> 32) as u32) { words } else { words >> 32 }
}

fn registers(random: &mut Random, record: &mut Record, code: u64, narrow: bool, value: u64) {
    let translated = value & msr::DR != 0;
    for n in 0..32u64 {
        let mut gpr = random.next() >> random.below(64);
        if random.below(3) == 0 {
            gpr = random.below(40);
        } else if random.below(3) == 0 {
            gpr = (gpr as i64).wrapping_neg() as u64;
        }
        if ADDRESSES.contains(&n) {
            gpr = WINDOW + 64 + random.below(96);
            gpr &= if random.below(2) == 0 { !15 } else { u64::MAX };
            if translated {
                match random.below(24) {
                    5 | 6 => gpr = RESTRICTED + random.below(PAGES) * PAGE + random.below(64) * 8,
                    0 => gpr = READ_ONLY + random.below(64) * 8,
                    1 => gpr = READ_ONLY + 0x1000 - random.below(40),
                    3 => gpr = READ_ONLY + 0x2000 - random.below(64),
                    4 => gpr = random.next(),
                    _ => {}
                }
            }
            if narrow && random.below(2) == 0 {
                gpr |= random.next() << 32;
            }
        } else if OFFSETS.contains(&n) {
            gpr = random.below(40);
        } else if n == MSR_LIKE {
            gpr = value;
            for bit in [
                msr::FP,
                msr::VEC,
                msr::VSX,
                msr::FE0,
                msr::FE1,
                msr::RI,
                msr::SF,
                msr::SE,
                msr::PR,
                msr::IR,
                msr::DR,
            ] {
                gpr ^= if random.below(6) == 0 { bit } else { 0 };
            }
        } else if n == CODE_ADDRESS {
            gpr = code + 4 * random.below(WORDS as u64);
        }
        record.set(GPR + 8 * n as usize, gpr);
    }
    record.set(at::CR, random.next() & 0xffff_ffff);
    record.set(at::XER, random.next() & 0xe00c_0000 | random.below(24));
    record.set(at::LR, code + 4 * random.below(WORDS as u64));
    let ctr = [code + 4 * random.below(WORDS as u64), random.below(5), random.next()];
    record.set(at::CTR, ctr[random.below(3) as usize]);
}

fn vectors(random: &mut Random, record: &mut Record) {
    use timebase_softfloat::decimal::Format;
    let kind = random.below(8);
    for n in 0..64 {
        let mut value = random.vector();
        match kind {
            0 if n < 32 => value = random.decimal_float(&Format::LONG) << 64 | value >> 64,
            1 => value = random.decimal(),
            _ => {}
        }
        record.set(VSR + 16 * n, (value >> 64) as u64);
        record.set(VSR + 16 * n + 8, value as u64);
    }
    if kind == 2 {
        for n in (0..32).step_by(2) {
            let datum = random.decimal_float(&Format::EXTENDED);
            record.set(VSR + 16 * n, (datum >> 64) as u64);
            record.set(VSR + 16 * (n + 1), datum as u64);
        }
    }
    // Rounding modes; enabled exceptions in one block of three.
    let mut fpscr = random.next() & 0x7_0000_0000 | random.next() & 3 | random.next() & 0x1f000;
    if random.below(3) == 0 {
        fpscr |= random.next() & 0xf0 | if random.below(16) == 0 { 8 } else { 0 };
    }
    record.set(at::FPSCR, fpscr);
    record.set(VSCR, random.below(4) / 3 << 16 | random.below(2));
}

fn sprs(random: &mut Random, record: &mut Record, code: u64, value: u64, model: Model) {
    let prefix = if model == Model::Power10 { 0x2000 } else { 0 };
    for name in ["srr0", "tar"] {
        record.set(spr(name), code + 4 * random.below(WORDS as u64));
    }
    record.set(spr("srr1"), record.gpr(MSR_LIKE as u8));
    for name in ["sprg0", "sprg1", "sprg2", "sprg3", "dar", "hsprg0", "hsprg1", "hdar", "asdr"] {
        record.set(spr(name), random.next());
    }
    for name in ["dsisr", "hdsisr", "vrsave", "heir"] {
        record.set(spr(name), random.next() & 0xffff_ffff);
    }
    // Key 0 of AMR takes rights of privileged states at pages of processes.
    if random.below(8) == 0 {
        record.set(spr("amr"), random.next());
    }
    if random.below(64) == 0 {
        record.set(spr("iamr"), random.next() & 0x5555_5555_5555_5555);
    }
    record.set(spr("dscr"), random.next() & 0x1ff_ffff);
    record.set(spr("ppr"), 4 << 50);
    // Facilities, most of them available: SCV, TAR, EBB, DSCR, PREFIX; and of guests TAR, EBB, TM, PM, DSCR, VEC, FP.
    let most = |random: &mut Random, bits: u64| {
        (0..64).map(|n| 1 << n).filter(|bit| bits & bit != 0 && random.below(16) != 0).sum::<u64>()
    };
    let fscr = most(random, 0x1184 | prefix);
    record.set(spr("fscr"), fscr);
    let hfscr = most(random, 0x187 | if model == Model::Power9 { 0x20 } else { prefix });
    record.set(spr("hfscr"), hfscr);
    record.set(spr("hsrr0"), record.get(at::NIA));
    record.set(spr("hsrr1"), value);
}
