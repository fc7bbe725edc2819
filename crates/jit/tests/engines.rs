//! The compiler against the interpreter: random programs of all definitions, with faults that their handlers pass
//! over, at random quanta, with caches flushed at random. Both must stand in the same state at the same count.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use timebase_cpu::bits::msr;
use timebase_cpu::compiled::Eagerness;
use timebase_cpu::{Bus, BusError, Clock, Engine, Exit, Interpreter, Model, Vcpu, World};
use timebase_isa::Decoder;
use timebase_isa::decode::Entry;
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;
use timebase_state::random::draw;

/// A device at the end of memory: what was written last, and how often it was read.
#[derive(Default, PartialEq, Debug)]
struct Device {
    value: u64,
    reads: u64,
    at: Vec<u64>,
}

impl Bus for Device {
    fn load(&mut self, _: u32, address: u64, _: u8, now: Instant, _: &mut Memory) -> Result<u64, BusError> {
        if address >> 16 != MEMORY >> 16 {
            return Err(BusError);
        }
        self.reads += 1;
        self.at.push(now.ticks());
        Ok(self.value ^ self.reads)
    }
    fn store(
        &mut self,
        _: u32,
        address: u64,
        _: u8,
        value: u64,
        now: Instant,
        _: &mut Memory,
    ) -> Result<(), BusError> {
        if address >> 16 != MEMORY >> 16 {
            return Err(BusError);
        }
        self.value = value;
        self.at.push(now.ticks());
        Ok(())
    }
}

const MEMORY: u64 = 1 << 20;
/// The program; it goes round and round.
const PROGRAM: u64 = 0x1_0f00;
/// Data around here.
const DATA: u64 = 0x4_0000;

/// Passes over the instruction that was interrupted: SPRG0 := r3; SRR0 += 4; back.
const HANDLER: [u32; 6] = [
    0x7c70_43a6, // mtsprg 0,r3
    0x7c7a_02a6, // mfsrr0 r3
    0x3863_0004, // addi r3,r3,4
    0x7c7a_03a6, // mtsrr0 r3
    0x7c70_42a6, // mfsprg r3,0
    0x4c00_0024, // rfid
];

fn below(random: &mut u64, limit: u64) -> u64 {
    draw(random) % limit
}

/// A word of the instruction: memory is addressed by r1 and by r16 to r31, whose values are addresses.
fn word(entry: &Entry, random: &mut u64) -> u32 {
    let free = !entry.encoding.mask & 0xffff_ffff;
    let mut word = entry.encoding.bits as u32 | (draw(random) & free) as u32;
    match below(random, 8) {
        0 => {}
        // The stack pointer, if the instruction has RA.
        1 if free >> 16 & 31 == 31 => word = word & !(31 << 16) | 1 << 16,
        _ => word |= (1 << 20) & free as u32,
    }
    if below(random, 2) != 0 {
        // A small displacement, or a small register number.
        word &= !(0xf000 & free as u32);
    }
    word
}

/// What may stand in a program: instructions of problem state and of storage control that have no prefix.
fn usable(entry: &Entry, level: u16) -> bool {
    let family = entry.section.starts_with("I ") || entry.section.starts_with("II 4");
    let absent = ["sc", "scv", "wait", "darn", "attn", "rfebb", "b", "bclr", "bcctr", "bctar", "illegal"];
    family
        && !entry.encoding.prefixed()
        && entry.encoding.since <= level
        && entry.encoding.until >= level
        && !absent.contains(&entry.name)
}

/// Instructions of a program, each with a conditional branch forward now and then.
fn program(entries: &[Entry], random: &mut u64) -> Vec<u32> {
    let length = 4 + below(random, 90) as usize;
    let mut words = Vec::new();
    // A few families at a time, so that they meet.
    let chosen: Vec<&Entry> =
        (0..6 + below(random, 30)).map(|_| &entries[below(random, entries.len() as u64) as usize]).collect();
    while words.len() < length {
        let left = (length - words.len()) as u64;
        match below(random, 10) {
            0 => {
                // bc: forward, within the program.
                let (bo, bi) = ([4, 12, 16, 18, 0, 8][below(random, 6) as usize], below(random, 32) as u32);
                let distance = 1 + below(random, left.min(12)) as u32;
                let link = below(random, 4) == 0;
                words.push(16 << 26 | bo << 21 | bi << 16 | distance << 2 | link as u32);
            }
            1 => {
                // b, forward.
                let distance = 1 + below(random, left.min(6)) as u32;
                words.push(18 << 26 | distance << 2 | (below(random, 2) as u32));
            }
            // bclr and bcctr, to wherever LR and CTR lead: mostly nowhere.
            2 if below(random, 8) == 0 => {
                let (bo, bi) = ([4, 12, 20][below(random, 3) as usize], below(random, 32) as u32);
                words.push(19 << 26 | bo << 21 | bi << 16 | [16, 528][below(random, 2) as usize] << 1);
            }
            // mftb, to a register that holds no address.
            3 if below(random, 4) == 0 => words.push(0x7c0c_42e6 | (below(random, 16) as u32) << 21),
            _ => words.push(word(chosen[below(random, chosen.len() as u64) as usize], random)),
        }
    }
    // Back to the start.
    let back = -4 * words.len() as i64;
    words.push(18 << 26 | (back & 0x3ff_fffc) as u32);
    words
}

/// A CPU with an engine.
struct Bench {
    cpu: Vcpu,
    memory: Memory,
    device: Device,
    engine: Interpreter,
    count: u64,
}

impl Bench {
    fn new(engine: Interpreter, model: Model, words: &[u32], seed: u64) -> Bench {
        let mut random = seed;
        let mut memory = Memory::new(MEMORY, 1);
        let msr = msr::SF
            | msr::ME
            | [0, msr::LE][below(&mut random, 2) as usize]
            | [0, msr::FP][(below(&mut random, 8) != 0) as usize]
            | [0, msr::VEC][(below(&mut random, 8) != 0) as usize]
            | [0, msr::VSX][(below(&mut random, 8) != 0) as usize];
        let little = msr & msr::LE != 0;
        let mut cpu = Vcpu::cold(0, model, false, 0, Instant::default());
        cpu.spr.lpcr = if little { timebase_cpu::bits::lpcr::ILE } else { 0 };
        let mut put = |address: u64, word: u32| {
            let word = if little { word.swap_bytes() } else { word };
            memory.store_u32(address, word, Writer::Other).unwrap();
        };
        for vector in (0x100..0x1000).step_by(0x20) {
            for (n, word) in HANDLER.into_iter().enumerate() {
                put(vector + 4 * n as u64, word);
            }
        }
        // What is beyond the program leads back to it.
        for (n, &word) in words.iter().enumerate() {
            put(PROGRAM + 4 * n as u64, word);
        }
        for n in 0..2048 {
            let bytes = draw(&mut random).to_be_bytes();
            memory.store(DATA - 8192 + 8 * n, &bytes, Writer::Other).unwrap();
        }
        cpu.set_msr(msr);
        cpu.regs.nia = PROGRAM;
        for n in 0..32 {
            cpu.regs.gpr[n] = match (n, below(&mut random, 8)) {
                (1, _) => DATA - 64 + below(&mut random, 128),
                (16.., 0) => draw(&mut random),
                // Where two pages meet, the end of memory, the device, the program itself.
                (16.., 1) => DATA - below(&mut random, 24),
                (16.., 2) => MEMORY - below(&mut random, 24),
                (16.., 3) => MEMORY + below(&mut random, 2) * 8,
                (16.., 4) => PROGRAM + below(&mut random, 0x200),
                (16.., _) => DATA + below(&mut random, 4096) / 16 * 16,
                (_, 0..=2) => draw(&mut random) as i16 as u64,
                (_, 3) => below(&mut random, 256),
                _ => draw(&mut random),
            };
        }
        for n in 0..64 {
            cpu.regs.vsr[n] = match below(&mut random, 3) {
                0 => [draw(&mut random), draw(&mut random)],
                1 => {
                    [(draw(&mut random) as i32 as f64).to_bits(), (draw(&mut random) as i8 as f64).to_bits()]
                }
                _ => [draw(&mut random) >> below(&mut random, 64), 0],
            };
        }
        cpu.regs.set_cr_packed(0xff, draw(&mut random));
        cpu.regs.set_xer(draw(&mut random) & 0xe00c_007f);
        cpu.regs.lr = PROGRAM + below(&mut random, words.len() as u64) * 4;
        cpu.regs.ctr = PROGRAM + below(&mut random, words.len() as u64) * 4;
        Bench { cpu, memory, device: Device::default(), engine, count: 0 }
    }

    /// Runs up to `count` instructions from the start, at most `quantum` at a time.
    fn run(&mut self, count: u64, mut quantum: impl FnMut() -> u64) {
        while self.count < count {
            let mut world = World {
                observed: None,
                memory: &mut self.memory,
                bus: &mut self.device,
                clock: Clock::cold(2, 1, 0, Instant::default()),
                count: self.count,
                passed: None,
            };
            let budget = quantum().min(count - self.count);
            let outcome = self.engine.run(&mut self.cpu, &mut world, budget);
            assert!(outcome.executed <= budget);
            self.count += outcome.executed;
            if outcome.exit == Exit::Checkstop {
                break;
            }
        }
    }

    /// The state, as text: the first difference shows.
    fn state(&mut self) -> (String, Vec<u8>) {
        let mut bytes = vec![0; MEMORY as usize];
        self.memory.read(0, &mut bytes).unwrap();
        let (mut regs, mut spr) = (self.cpu.regs.clone(), self.cpu.spr.clone());
        regs.cia = 0;
        // What was executed is counted by who runs the engine, which nobody does here.
        for counter in [&mut spr.ic, &mut spr.pmc5, &mut spr.pmc6] {
            *counter = 0;
        }
        let text = format!("{:#x?}\n{:#x?}\n{:?} count {}", regs, spr, self.device, self.count);
        (text, bytes)
    }
}

fn with_compiler(model: Model) -> Interpreter {
    Interpreter::with_compiler(model, timebase_jit::compiler(|| 0).expect("this host has a compiler"))
}

/// A run of a program on both engines.
struct Trial<'a> {
    model: Model,
    words: Vec<u32>,
    /// Instructions.
    count: u64,
    /// What the compiled one is allowed at a time, drawn at random.
    quanta: &'a [u64],
    /// Caches are flushed on the way.
    flush: bool,
    eagerness: Eagerness,
    random: u64,
}

impl Trial<'_> {
    /// Runs; stops on the way, so that what goes wrong and right again is seen. Some: where and how they differ.
    fn difference(&self) -> Option<String> {
        let mut plain = Bench::new(Interpreter::new(self.model), self.model, &self.words, self.random);
        let mut compiled = Bench::new(with_compiler(self.model), self.model, &self.words, self.random);
        compiled.engine.set_eagerness(self.eagerness);
        for part in 1..=4 {
            let until = self.count * part / 4;
            plain.run(until, || 1 << 40);
            let mut draws = self.random;
            compiled.run(until, || self.quanta[below(&mut draws, self.quanta.len() as u64) as usize]);
            let (expected, got) = (plain.state(), compiled.state());
            if expected != got {
                let lines = expected.0.lines().zip(got.0.lines()).filter(|(a, b)| a != b);
                let lines: Vec<String> =
                    lines.map(|(a, b)| format!("interpreter {a} | compiled {b}")).collect();
                let memory = (0..MEMORY as usize).find(|&at| expected.1[at] != got.1[at]);
                return Some(format!("at {until}, memory at {memory:x?}:\n{}", lines.join("\n")));
            }
            if self.flush {
                compiled.engine.flush(&mut compiled.memory);
            }
        }
        None
    }

    /// Leaves out what is not needed for a difference.
    fn shrink(&mut self) {
        const NOP: u32 = 0x6000_0000;
        while self.count > 8 {
            let count = self.count;
            self.count = count * 3 / 4;
            if self.difference().is_none() {
                self.count = count;
                break;
            }
        }
        for at in 0..self.words.len() - 1 {
            let word = std::mem::replace(&mut self.words[at], NOP);
            if word != NOP && self.difference().is_none() {
                self.words[at] = word;
            }
        }
    }

    fn listing(&self) -> String {
        let decoder = Decoder::new(self.model.level());
        let line = |(n, &word): (usize, &u32)| {
            let address = PROGRAM + 4 * n as u64;
            format!("{address:x}: {word:08x} {}\n", timebase_isa::disassemble(&decoder, word.into(), address))
        };
        self.words.iter().enumerate().map(line).collect()
    }
}

/// Runs a random program on both engines; panics with what is left of the program, and how they differ.
fn compare(entries: &[Entry], model: Model, seed: u64, quanta: &[u64]) {
    let mut random = seed;
    let words = program(entries, &mut random);
    let count = 200 + below(&mut random, 4000);
    let flush = below(&mut random, 4) == 0;
    // Mostly so that trees of code are compiled in the short time that there is.
    let eagerness = match below(&mut random, 4) {
        0 => Eagerness::default(),
        _ => Eagerness {
            found: 2,
            sample: 1 + below(&mut random, 300),
            looks: 2,
            samples: 1 + below(&mut random, 2) as u16,
        },
    };
    let mut trial = Trial { model, words, count, quanta, flush, eagerness, random };
    if trial.difference().is_some() {
        trial.shrink();
        let difference = trial.difference().expect("it was kept");
        panic!("seed {seed:#x}: {difference}\n{}", trial.listing());
    }
}

fn entries(model: Model) -> Vec<Entry> {
    let decoder = Decoder::new(model.level());
    decoder.entries().iter().filter(|entry| usable(entry, model.level())).copied().collect()
}

fn random_programs(model: Model, programs: u64, quanta: &[u64]) {
    let entries = entries(model);
    for seed in 0..programs {
        compare(&entries, model, seed * 0x9e37_79b9, quanta);
    }
}

fn fixed_point_programs(programs: u64) {
    let mut entries = entries(Model::Power9);
    entries.retain(|entry| entry.section.starts_with("I 3") || entry.section.starts_with("I 2"));
    for seed in 0..programs {
        compare(&entries, Model::Power9, seed * 0x1234_5677, &[1 << 40, 13, 1009]);
    }
}

/// Copies of what the host's floating point writes then, which the way aside writes, too.
fn copies_and_floating_point(programs: u64) {
    const COPIES: [&str; 8] =
        ["xxlor", "xxlxor", "xxpermdi", "xvcpsgndp", "xscpsgndp", "xscpsgnqp", "mffs", "mfvsrd"];
    let mut entries = entries(Model::Power10);
    entries.retain(|entry| {
        let operation = ["xvadd", "xvsub", "xvmul", "xvdiv", "xvmadda", "xvnmsubm"];
        COPIES.contains(&entry.name)
            || operation
                .iter()
                .any(|name| [format!("{name}dp"), format!("{name}sp")].contains(&entry.name.into()))
    });
    assert_eq!(entries.len(), COPIES.len() + 12);
    for seed in 0..programs {
        compare(&entries, Model::Power10, seed * 0x51ed_270b, &[1 << 40]);
    }
}

#[test]
fn copies_and_floating_point_end_the_same() {
    copies_and_floating_point(400);
}

#[test]
fn random_programs_end_the_same() {
    random_programs(Model::Power9, 300, &[1 << 40]);
}

#[test]
fn random_programs_end_the_same_at_random_quanta() {
    random_programs(Model::Power10, 200, &[1, 3, 97, 1009, 99991]);
}

#[test]
fn fixed_point_programs_end_the_same() {
    fixed_point_programs(400);
}

#[test]
#[ignore = "takes minutes"]
fn large_number_of_programs() {
    random_programs(Model::Power9, 20_000, &[1 << 40, 97]);
    random_programs(Model::Power10, 10_000, &[1, 3, 97, 1009, 99991]);
    fixed_point_programs(20_000);
}

/// Loads and stores of every size and kind, RT 5 (or VSR 5), RA 16, displacement or RB 0.
const ACCESSES: &[u32] = &[
    0x88b0_0000, // lbz r5,0(r16)
    0xa0b0_0000, // lhz
    0xa8b0_0000, // lha
    0x80b0_0000, // lwz
    0xe8b0_0002, // lwa
    0xe8b0_0000, // ld
    0x7cb0_062c, // lhbrx r5,r16,r0
    0x7cb0_042c, // lwbrx
    0x7cb0_0428, // ldbrx
    0xe0d0_0000, // lq r6,0(r16)
    0xf4b0_0001, // lxv vs5,0(r16)
    0x7cb0_0698, // lxvd2x
    0x7cb0_0618, // lxvw4x
    0xc8b0_0000, // lfd
    0xc0b0_0000, // lfs
    0x98b0_0000, // stb
    0xb0b0_0000, // sth
    0x90b0_0000, // stw
    0xf8b0_0000, // std
    0x7cb0_072c, // sthbrx
    0x7cb0_052c, // stwbrx
    0x7cb0_0528, // stdbrx
    0xf8d0_0002, // stq r6,0(r16)
    0xf4b0_0005, // stxv vs5,0(r16)
    0x7cb0_0798, // stxvd2x
    0xd8b0_0000, // stfd
    0xd0b0_0000, // stfs
    0x7c10_07ec, // dcbz r16,r0
    0x7c10_07ac, // icbi r16,r0
];

/// Where something begins or ends: the first page and the last byte of all, pages, memory, the device, addresses whose
/// page numbers meet in cached translations, and the upper bits that real mode leaves out.
fn edges() -> Vec<u64> {
    let places = [
        0,
        0x1000,
        DATA,
        PROGRAM,
        MEMORY - 0x1000,
        MEMORY,
        MEMORY + 0x1_0000,
        1 << 22,
        (1 << 32) - 0x1000,
        1 << 32,
        1 << 60,
        (1 << 60) | MEMORY,
        1 << 63,
        u64::MAX - 0xfff,
        0x001f_f3ff << 12,
        0x001f_f400 << 12,
    ];
    let near = [-4096i64, -128, -16, -15, -8, -7, -4, -3, -2, -1, 0, 1, 8, 4081, 4088, 4095];
    places.iter().flat_map(|place| near.iter().map(|&n| place.wrapping_add(n as u64))).collect()
}

/// Runs `accesses`, which are by r16, at all edges: compiled code that has just been in the neighbouring pages does what
/// the interpreter does one instruction at a time.
fn at_all_edges(accesses: &[u32], before: u64) {
    // r16 takes one of 16 addresses in turn, from r17 to r31 and r2; the loop becomes hot on good ones.
    for chunk in edges().chunks(15) {
        let mut words = Vec::new();
        for n in 0..16 {
            let from = if n == 15 { 2 } else { 17 + n };
            words.push(0x7c10_0378 | from << 21 | from << 11); // mr r16,rn
            words.extend(accesses);
        }
        words.push(18 << 26 | (-4 * words.len() as i64 & 0x3ff_fffc) as u32);
        let run = |engine: Interpreter, quantum: u64| {
            let mut bench = Bench::new(engine, Model::Power9, &words, 5);
            bench.cpu.regs.gpr[0] = 0;
            (17..32).chain([2]).for_each(|n| bench.cpu.regs.gpr[n] = DATA + 64 * n as u64);
            // Translations of neighbours are known before the hostile addresses come.
            bench.run(4000, || quantum);
            for (n, &address) in (17..32).zip(chunk) {
                bench.cpu.regs.gpr[n] = address.wrapping_sub(before);
            }
            bench.cpu.regs.nia = PROGRAM;
            bench.run(8000, || quantum);
            bench.state()
        };
        let (expected, got) =
            (run(Interpreter::new(Model::Power9), 1), run(with_compiler(Model::Power9), 1 << 40));
        assert!(expected == got, "{accesses:x?} at {chunk:x?}:\n{}\n{}", expected.0, got.0);
    }
}

/// No access of a guest reaches what is not its memory.
#[test]
fn hostile_addresses_reach_nothing() {
    for &access in ACCESSES {
        at_all_edges(&[access], 0);
    }
}

/// Nor does one that shares a translation with an access before it, and is at an edge, 16 bytes further on or back.
#[test]
fn hostile_addresses_after_good_ones_reach_nothing() {
    // Those with a displacement; its last two bits may be part of the opcode.
    for &access in ACCESSES.iter().filter(|&&access| access >> 26 != 31) {
        let store = matches!(access >> 26, 36..=39 | 44..=45 | 52..=55 | 61 | 62) && access & 7 != 1;
        let first = if store { 0x98d0_0000 } else { 0x88d0_0000 }; // stb or lbz r6,0(r16)
        at_all_edges(&[first, access + 16], 16);
        at_all_edges(&[first, access + 0xfff0], 16u64.wrapping_neg());
    }
}

/// Where two pages meet that nobody has written to.
const APART: u64 = DATA + 0x2_0000;

/// Nor does one by the stack pointer that leads into the page that is at hand, or out of it: it takes turns with one that is
/// all in that page.
#[test]
fn a_stack_at_the_edge_of_a_page_reaches_nothing_else() {
    for &access in ACCESSES {
        let words = [
            access & !(31 << 16) | 1 << 16,
            0x7c21_9a78, // xor r1,r1,r19
            0x4bff_fff8, // b -8
        ];
        for (page, begin) in [(APART, 0), (APART, 64), (0, 0), (MEMORY, 0), (MEMORY, 64)] {
            for before in [1, 2, 3, 4, 7, 8, 9, 14, 15, 16, 17] {
                let begin = page.wrapping_sub(begin);
                // Whole rounds, or the interpreter would do the last one; in that the access is at the edge.
                on_both(&words, 3 * 134, |bench| {
                    bench.cpu.regs.gpr[0] = 0;
                    // The later page comes first on the host, so they are no neighbours there.
                    for n in (0..1024).rev() {
                        bench.memory.store_u64(APART - 4096 + 8 * n, n << 32 | !n, Writer::Other).unwrap();
                    }
                    bench.cpu.regs.gpr[1] = begin;
                    bench.cpu.regs.gpr[19] = begin ^ page.wrapping_sub(before);
                });
            }
        }
    }
}

/// Runs `count` instructions of a program on both engines, each prepared in the same way: they must end the same. Returns
/// the general registers.
fn on_both(words: &[u32], count: u64, prepare: impl Fn(&mut Bench)) -> [u64; 32] {
    let run = |engine: Interpreter| {
        let mut bench = Bench::new(engine, Model::Power9, words, 5);
        prepare(&mut bench);
        bench.run(count, || 1 << 40);
        (bench.cpu.regs.gpr, bench.state())
    };
    let (expected, got) = (run(Interpreter::new(Model::Power9)), run(with_compiler(Model::Power9)));
    assert!(expected == got, "{words:x?}:\n{}\n{}", expected.1.0, got.1.0);
    expected.0
}

/// Registers of interrupt handlers and of firmware, of all states: what is not permitted interrupts, or does nothing.
#[test]
fn special_purpose_registers_are_the_same_in_every_state() {
    const NUMBERS: [u32; 15] = [18, 19, 26, 27, 272, 273, 274, 275, 304, 305, 314, 315, 336, 336, 337];
    let move_to_or_from = |opcode: u32, number: u32, register: u32| {
        31 << 26 | register << 21 | (number & 31) << 16 | number >> 5 << 11 | opcode << 1
    };
    let states = [
        (false, 0, 0),
        (false, msr::PR, 0),
        (true, msr::HV, 0),
        (true, msr::HV, 1 << 40),
        (true, msr::HV | msr::PR, 0),
        (true, 0, 0),
    ];
    for seed in 0..30 {
        let mut random = seed;
        let mut words: Vec<u32> = (0..20)
            .map(|_| {
                let number = NUMBERS[below(&mut random, NUMBERS.len() as u64) as usize];
                let register = 3 + below(&mut random, 12) as u32;
                match below(&mut random, 3) {
                    0 => move_to_or_from(467, number, register),
                    1 => move_to_or_from(339, number, register),
                    // add
                    _ => 31 << 26 | register << 21 | 15 << 16 | register << 11 | 266 << 1,
                }
            })
            .collect();
        words.push(0x4bff_ffb0); // b -80
        for (has_hypervisor, state, hmeer) in states {
            on_both(&words, 21 * 1000, |bench| {
                let regs = bench.cpu.regs.clone();
                bench.cpu = Vcpu::cold(0, Model::Power9, has_hypervisor, 0, Instant::default());
                bench.cpu.regs = regs;
                // Problem state is translated: one entry maps all memory.
                const PROCESS_TABLE: u64 = 0x9_0000;
                const TREE: u64 = 0x8_0000;
                const ENTRIES: u64 = 10;
                const LEAF: u64 = 3 << 62 | 0x187;
                let tables =
                    [(PROCESS_TABLE, TREE | ENTRIES), (TREE, LEAF), (0xa_0000, 0), (0xa_0008, PROCESS_TABLE)];
                for (address, value) in tables {
                    bench.memory.store_u64(address, value, Writer::Other).unwrap();
                }
                bench.cpu.partition.radix = true;
                bench.cpu.partition.process_table = PROCESS_TABLE;
                bench.cpu.partition.process_table_bytes = 4096;
                bench.cpu.spr.ptcr = 0xa_0000;
                bench.cpu.spr.lpcr = if has_hypervisor { timebase_cpu::bits::lpcr::HR } else { 0 };
                bench.cpu.set_msr(msr::SF | msr::ME | state);
                bench.cpu.spr.hmer = 0xffff << 36;
                bench.cpu.spr.hmeer = hmeer;
            });
        }
    }
}

/// What is made only where code is left early, from a register that is written before the next such place: that one must
/// not store it first. The handler notes r3.
#[test]
fn what_is_made_late_is_made_of_what_was() {
    let words = [
        0x3865_0004, // addi r3,r5,4
        0x80d0_0000, // lwz r6,0(r16)
        0x38b3_0001, // addi r5,r19,1
        0x7c94_a888, // tdeq r20,r21
        0x3860_0000, // li r3,0
        0x3a73_0010, // addi r19,r19,16
        0x7cf0_42a6, // mfsprg r7,0
        0x7d08_3a14, // add r8,r8,r7
        0x4bff_ffe0, // b -32
    ];
    on_both(&words, 15 * 150, |bench| {
        bench.cpu.regs.gpr[16] = DATA;
        bench.cpu.regs.gpr[21] = bench.cpu.regs.gpr[20];
    });
}

/// A page that is written for the first time moves on the host: an access that shares an earlier one's translation must
/// not read where the page was.
#[test]
fn a_page_that_moves_is_found_anew() {
    let words = [
        0x80b0_0000, // lwz r5,0(r16)
        0x9251_0008, // stw r18,8(r17)
        0x80f0_0008, // lwz r7,8(r16)
        0x7d08_3a14, // add r8,r8,r7
        0x3a10_1000, // addi r16,r16,4096
        0x3a31_1000, // addi r17,r17,4096
        0x4bff_ffe8, // b -24
    ];
    let gpr = on_both(&words, 7 * 150, |bench| {
        for n in [16, 17] {
            bench.cpu.regs.gpr[n] = DATA + 0x1_0000;
        }
        bench.cpu.regs.gpr[18] = 3;
    });
    assert_eq!(gpr[7], 3, "the last load sees what was stored");
}

/// The same for the translation that the stack has at hand. Each page is visited twice: what is stored to the first time,
/// by `store` at r21, is loaded the second time.
fn the_stack_moves(store: u32) {
    let words = [
        0x80e1_0000, // lwz r7,0(r1)
        0x7d08_3a14, // add r8,r8,r7
        0x7c35_0b78, // mr r21,r1
        0x6a73_1000, // xori r19,r19,4096
        0x7c21_9a14, // add r1,r1,r19
        store,
        0x4bff_ffe8, // b -24
    ];
    let gpr = on_both(&words, 7 * 150, |bench| {
        bench.cpu.set_msr(bench.cpu.regs.msr | msr::VSX | msr::FP | msr::VEC);
        bench.cpu.regs.gpr[1] = DATA + 0x1_0000;
        bench.cpu.regs.gpr[18] = 3;
        bench.cpu.regs.gpr[19] = 4096;
        bench.cpu.regs.gpr[20] = 4 << 56;
        bench.cpu.regs.vsr[5] = [3 << 32, 3];
        bench.cpu.regs.gpr[8] = 0;
    });
    assert_ne!(gpr[8], 0, "the second load sees what was stored");
}

#[test]
fn a_stack_that_moves_is_found_anew() {
    the_stack_moves(0x9255_0000); // stw r18,0(r21)
}

#[test]
fn a_stack_that_the_interpreter_moves_is_found_anew() {
    the_stack_moves(0x7cb5_a31a); // stxvl vs5,r21,r20
}

/// A reservation, and a store that needs one, by translations that compiled code has at hand: the table has another one in
/// their place, of an address that is the same but for bits that real mode leaves out.
#[test]
fn reservations_do_not_need_the_table() {
    let words = [
        0x7ca0_0828, // lwarx r5,0,r1
        0xe8d6_0000, // ld r6,0(r22)
        0x7e40_092d, // stwcx. r18,0,r1
        0x3a52_0001, // addi r18,r18,1
        0x7ca0_0828, // lwarx r5,0,r1
        0x7e40_092d, // stwcx. r18,0,r1
        0xfad6_0010, // std r22,16(r22)
        0x7ca0_0828, // lwarx r5,0,r1
        0x7e40_092d, // stwcx. r18,0,r1
        0x4bff_ffdc, // b -36
    ];
    let gpr = on_both(&words, 10 * 150, |bench| {
        bench.cpu.regs.gpr[1] = DATA;
        bench.cpu.regs.gpr[18] = 0;
        bench.cpu.regs.gpr[22] = 1 << 60 | DATA;
    });
    assert_eq!(gpr[18], 150);
}

/// Stores by the stack pointer do not reach a page that a checkpoint holds.
#[test]
fn the_stack_of_a_checkpoint_stays_as_it_was() {
    let words = [
        0xfa41_0000, // std r18,0(r1)
        0x3a52_0001, // addi r18,r18,1
        0x4bff_fff8, // b -8
    ];
    let mut bench = Bench::new(with_compiler(Model::Power9), Model::Power9, &words, 4);
    bench.cpu.regs.gpr[1] = DATA;
    bench.cpu.regs.gpr[18] = 0;
    bench.run(300, || 1 << 40);
    let main = bench.memory.storage()[0].clone();
    let bytes = |main: &timebase_state::Paged| {
        let mut bytes = [0; 8];
        main.read(DATA, &mut bytes);
        bytes
    };
    let before = bytes(&main);
    bench.engine.withdraw_writes();
    bench.run(600, || 1 << 40);
    let now = bytes(&bench.memory.storage()[0]);
    assert_ne!(before, now);
    assert_eq!(bytes(&main), before);
}
