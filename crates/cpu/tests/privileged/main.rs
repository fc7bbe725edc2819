//! System instructions on a bare CPU, and every word in every privilege state.

mod book;

use book::{Follows, Instruction, Interrupt, State};
use std::collections::BTreeMap;
use timebase_cpu::bits::{dsisr, lpcr, mmcr0, msr, srr1};
use timebase_cpu::mmu::Slb;
use timebase_cpu::{Clock, Engine, Exit, Interpreter, Model, NoDevices, Sprs, Vcpu, Vector, World};
use timebase_isa::decode::{Decoder, Entry};
use timebase_isa::fpscr;
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;

/// Where the code is.
const CODE: u64 = 0x1_0000;
/// Where the data are.
const DATA: u64 = 0x2_0000;
const RAM: u64 = 1 << 18;

/// A CPU in real mode with code, run without time passing.
struct Bench {
    cpu: Vcpu,
    memory: Memory,
    engine: Interpreter,
    count: u64,
}

impl Bench {
    fn new(model: Model, hypervisor: bool, words: &[u32]) -> Bench {
        let mut bench = Bench {
            cpu: Vcpu::cold(0, model, hypervisor, 0, Instant::default()),
            memory: Memory::new(RAM, 1),
            engine: Interpreter::new(model),
            count: 0,
        };
        bench.load(words);
        bench
    }

    fn load(&mut self, words: &[u32]) {
        for (n, word) in words.iter().enumerate() {
            // Code is big-endian unless MSR[LE]; the benches here are big-endian.
            self.memory.store_u32(CODE + 4 * n as u64, *word, Writer::Other).expect("RAM");
        }
        self.cpu.regs.nia = CODE;
    }

    /// What decides of the next instruction.
    fn state(&self) -> State {
        let Vcpu { regs, spr, model, has_hypervisor, .. } = &self.cpu;
        State { regs: regs.clone(), spr: spr.clone(), model: *model, has_hypervisor: *has_hypervisor }
    }

    /// All storage.
    fn storage(&self) -> Vec<u8> {
        let mut bytes = vec![0; RAM as usize];
        self.memory.read(0, &mut bytes).expect("RAM");
        bytes
    }

    fn run(&mut self, budget: u64) -> Exit {
        let mut world = World {
            observed: None,
            memory: &mut self.memory,
            bus: &mut NoDevices,
            clock: Clock::cold(2, 1, 0, Instant::default()),
            count: self.count,
            passed: None,
        };
        let outcome = self.engine.run(&mut self.cpu, &mut world, budget);
        assert!(outcome.executed <= budget && (outcome.executed > 0 || outcome.exit != Exit::Budget));
        self.count += outcome.executed;
        outcome.exit
    }
}

/// Program interrupt: FP enabled, at a later instruction.
const LATER: u64 = 1 << 20 | 1 << 16;

#[test]
fn enabling_a_pending_floating_point_exception_raises_it() {
    // mtmsrd r3, with FPSCR[FEX] = 1; li r5,1 is not reached.
    for (word, register) in [(0x7c60_0164, 3), (0x7c60_0124, 3)] {
        for enable in [msr::FE0, msr::FE1, msr::FE0 | msr::FE1, 0] {
            let mut bench = Bench::new(Model::Power9, false, &[word, 0x38a0_0001]);
            bench.cpu.regs.fpscr = fpscr::FEX | fpscr::XX | fpscr::XE;
            bench.cpu.regs.gpr[register] = bench.cpu.regs.msr | enable;
            while bench.count < 1 {
                bench.run(1);
            }
            if enable == 0 {
                assert_eq!(bench.cpu.regs.nia, CODE + 4);
                continue;
            }
            assert_eq!(bench.cpu.regs.nia, Vector::Program.offset());
            assert_eq!(bench.cpu.spr.srr0, CODE + 4);
            assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, LATER);
            assert_eq!(bench.cpu.spr.srr1 & (msr::FE0 | msr::FE1), enable, "the new MSR is saved");
        }
    }
}

#[test]
fn returning_to_a_pending_floating_point_exception_raises_it() {
    // rfid
    let mut bench = Bench::new(Model::Power9, false, &[0x4c00_0024]);
    bench.cpu.regs.fpscr = fpscr::FEX | fpscr::XX | fpscr::XE;
    bench.cpu.spr.srr0 = CODE + 0x100;
    bench.cpu.spr.srr1 = bench.cpu.regs.msr | msr::FE0;
    bench.run(1);
    assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.srr0), (Vector::Program.offset(), CODE + 0x100));
    assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, LATER);
}

/// hashst r4,-8(r3); hashchk r4,-8(r3), DW = 0x1f8 and DX = 1.
const HASHST: u32 = 31 << 26 | 31 << 21 | 3 << 16 | 4 << 11 | 722 << 1 | 1;
const HASHCHK: u32 = 31 << 26 | 31 << 21 | 3 << 16 | 4 << 11 | 754 << 1 | 1;

#[test]
fn a_hash_checks_where_it_was_stored_and_traps_where_it_changed() {
    let bench = |dexcr: u64| {
        let mut bench = Bench::new(Model::Power10, false, &[HASHST, HASHCHK, HASHCHK]);
        bench.cpu.spr.dexcr = dexcr;
        bench.cpu.spr.hashkeyr = 0x0123_4567_89ab_cdef;
        bench.cpu.regs.gpr[3] = DATA;
        bench.cpu.regs.gpr[4] = 0xc000_0000_0001_2344;
        bench
    };
    let stored = |bench: &Bench| bench.memory.read_u64(DATA - 8).expect("RAM");
    let mut on = bench(1 << (63 - 37));
    on.run(2);
    assert_eq!(on.cpu.regs.nia, CODE + 8, "the same hash");
    assert_ne!(stored(&on), 0);
    on.memory.store_u64(DATA - 8, stored(&on) ^ 1, Writer::Other).expect("RAM");
    on.run(1);
    assert_eq!((on.cpu.regs.nia, on.cpu.spr.srr0), (Vector::Program.offset(), CODE + 8));
    assert_eq!(on.cpu.spr.srr1 & 0x783f_0000, 1 << 17, "a trap");
    // With the aspect off nothing is stored nor checked.
    let mut off = bench(0);
    off.run(3);
    assert_eq!((off.cpu.regs.nia, stored(&off)), (CODE + 12, 0));
    // To a POWER9 these are reserved no-ops.
    let mut nine = Bench::new(Model::Power9, false, &[HASHST, HASHCHK]);
    nine.cpu.regs.gpr[3] = 1;
    nine.run(2);
    assert_eq!(nine.cpu.regs.nia, CODE + 8);
}

#[test]
fn transactions_fail_at_once_where_they_are_available() {
    // tbegin.; tcheck cr3; tend.; mfspr r5,TFHAR; treclaim. r0
    let words = [0x7c00_051d, 0x7d80_059c, 0x7c00_055d, 0x7ca0_22a6, 0x7c00_075d];
    let mut bench = Bench::new(Model::Power9, false, &words);
    bench.cpu.regs.msr |= msr::TM;
    bench.run(1);
    assert_eq!((bench.cpu.regs.nia, bench.cpu.regs.cr[0]), (CODE + 4, 0b1010));
    assert_eq!((bench.cpu.spr.tfhar, bench.cpu.spr.tfiar), (CODE + 4, CODE));
    assert_eq!(bench.cpu.spr.texasr >> 56 & 1, 1, "persistent");
    bench.run(3);
    assert_eq!((bench.cpu.regs.cr[3], bench.cpu.regs.cr[0], bench.cpu.regs.gpr[5]), (0b1000, 0, CODE + 4));
    bench.run(1);
    assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.srr1 & 0x783f_0000), (Vector::Program.offset(), 1 << 21));
    // Without MSR[TM] the facility is unavailable, and so are its registers; ISA 3.1 has neither.
    for (first, vector) in [(0, Vector::FacilityUnavailable), (3, Vector::FacilityUnavailable)] {
        let mut off = Bench::new(Model::Power9, false, &words[first..]);
        off.run(1);
        assert_eq!((off.cpu.regs.nia, off.cpu.spr.fscr >> 56), (vector.offset(), 5));
    }
    let mut ten = Bench::new(Model::Power10, false, &words);
    ten.run(1);
    assert_eq!((ten.cpu.regs.nia, ten.cpu.spr.srr1 & 0x783f_0000), (Vector::Program.offset(), 1 << 19));
}

struct Random(u64);
impl Random {
    fn next(&mut self) -> u64 {
        timebase_state::random::draw(&mut self.0)
    }
}

/// What words of each definition were seen to do.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// It completed, and in so many cases something other than NIA was another than before.
    completed: u64,
    effective: u64,
}

/// A random word, and what it means: of every four two of some definition, one of those in `lacking`.
fn random_word<'a>(
    decoder: &'a Decoder,
    random: &mut Random,
    n: u64,
    lacking: &[usize],
) -> ([u32; 2], Instruction<'a>) {
    let (raw, entries) = (random.next(), decoder.entries());
    let definition = match n % 4 {
        3 if !lacking.is_empty() => lacking[raw as usize % lacking.len()],
        _ => raw as usize % entries.len(),
    };
    let encoding = &entries[definition].encoding;
    // Of 34 bits of displacement half of the time only 16: storage is small.
    let width = match encoding.prefixed() {
        true if n % 8 == 3 => !(0x3_ffff << 32),
        true => u64::MAX,
        false => 0xffff_ffff,
    };
    let word =
        if n.is_multiple_of(4) { raw >> 16 } else { encoding.bits | random.next() & !encoding.mask & width };
    let code = if word >> 32 != 0 { [(word >> 32) as u32, word as u32] } else { [word as u32, 0x6000_0000] };
    let prefixed = decoder.is_prefix(code[0]);
    let word = if prefixed { (code[0] as u64) << 32 | code[1] as u64 } else { code[0] as u64 };
    let name = entries[decoder.decode(word).op as usize].name;
    (code, Instruction { name, word, prefixed })
}

/// A random state of the CPU that can fetch.
fn random_state(bench: &mut Bench, cold: &Vcpu, random: &mut Random, n: u64) {
    let cpu = &mut bench.cpu;
    for gpr in &mut cpu.regs.gpr {
        *gpr = match random.next() % 8 {
            0 => random.next(),
            1 => random.next() % 64,
            2 => 0,
            3 => u64::MAX << (random.next() % 64),
            4 => (DATA + random.next() % 0x1000) & !127,
            // A doorbell's message, type and thread.
            5 => 5 << 27,
            _ => DATA + random.next() % 0x1000,
        };
    }
    cpu.regs.vsr.iter_mut().for_each(|v| *v = [random.next(), random.next() >> (n % 64)]);
    cpu.regs.fpscr = random.next() & 0x7_0000_00ff;
    let bits = random.next();
    (cpu.doorbell, cpu.hypervisor_doorbell, cpu.copy_pending) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
    cpu.slb = Slb::cold();
    // Entry 0: the segment at 0, valid.
    cpu.slb.write(0x1000, 1 << 27);
    (cpu.regs.lr, cpu.regs.ctr, cpu.regs.tar) = (CODE, random.next(), CODE);
    cpu.spr = cold.spr.clone();
    cpu.spr.fscr = random.next() & 0x3fff;
    cpu.spr.mmcr0 |= random.next() & mmcr0::BHRBA;
    cpu.spr.lpcr ^= random.next() & (lpcr::GTSE | lpcr::HR);
    cpu.spr.srr0 = random.next() & 0xffff;
    cpu.spr.srr1 = random.next() & msr::ALL & !(msr::IR | msr::DR);
    let modes = msr::SF | msr::PR | msr::EE | msr::FP | msr::VEC | msr::VSX | msr::FE0 | msr::TE | msr::LE;
    // A guest of the hypervisor cannot fetch in this bench: nobody translates for it.
    let hypervisor = if cpu.has_hypervisor { msr::HV } else { 0 };
    // What is traced is not looked at for its effect.
    let untraced = if n % 8 < 4 { msr::TE } else { 0 };
    cpu.set_msr(random.next() & modes & !untraced | msr::ME | hypervisor);
    cpu.context_changed();
}

/// The interrupts that came, by name and how often.
fn taken(bench: &Bench, before: &BTreeMap<String, u64>) -> Vec<(Vector, u64)> {
    let exceptions = bench.engine.exceptions();
    let new = exceptions.iter().map(|(name, count)| (name, count - before.get(name).unwrap_or(&0)));
    let vector = |name: &str| Vector::ALL.iter().find(|vector| vector.name() == name).expect("one of them");
    new.filter(|(_, count)| *count != 0).map(|(name, count)| (*vector(name), count)).collect()
}

/// The interrupt that came, as its registers tell of it.
fn told(cpu: &Vcpu, vector: Vector) -> Interrupt {
    let saved =
        if matches!(vector, Vector::HypervisorEmulationAssistance) { cpu.spr.hsrr1 } else { cpu.spr.srr1 };
    let cause = if vector == Vector::SystemCallVectored { 0 } else { saved & 0x783f_0000 };
    let facility = (vector == Vector::FacilityUnavailable).then_some(cpu.spr.fscr >> 56);
    Interrupt { vector, cause, facility }
}

/// What an instruction can change beside [`State`] and storage.
fn others(cpu: &Vcpu) -> (Slb, [bool; 3]) {
    (cpu.slb.clone(), [cpu.doorbell, cpu.hypervisor_doorbell, cpu.copy_pending])
}

/// Something is not as before, or the machine is asked for something.
fn has_effect(bench: &Bench, before: State, storage: &[u8], exit: Exit, changed: bool) -> bool {
    let mut after = bench.state();
    // Where the next one is does not count; IC counts every instruction.
    (after.regs.cia, after.regs.nia) = (before.regs.cia, before.regs.nia);
    changed
        || !matches!(exit, Exit::Budget | Exit::Look)
        || after.regs != before.regs
        || after.spr != Sprs { ic: after.spr.ic, ..before.spr }
        || !storage.is_empty() && bench.storage() != storage
}

/// Runs random words, each in a random state of the CPU: each does what the books say.
fn words(model: Model, hypervisor: bool, count: u64, mut random: Random) {
    let decoder = Decoder::new(model.level());
    let mut bench = Bench::new(model, hypervisor, &[]);
    let cold = Vcpu::cold(0, model, hypervisor, 0, Instant::default());
    let mut seen: BTreeMap<&str, Seen> = BTreeMap::new();
    // Definitions that nobody has seen to have an effect.
    let may = |name: &str| !book::WITHOUT_EFFECT.contains(&name) && !book::never_completes(name, hypervisor);
    let here = |entry: &Entry| (entry.encoding.since..=entry.encoding.until).contains(&decoder.level());
    let mut lacking: Vec<usize> = (0..decoder.entries().len()).collect();
    lacking.retain(|&n| here(&decoder.entries()[n]) && may(decoder.entries()[n].name));
    let mut illegal = 0;
    for n in 0..count {
        let (code, i) = random_word(&decoder, &mut random, n, &lacking);
        random_state(&mut bench, &cold, &mut random, n);
        let little = bench.cpu.regs.msr & msr::LE != 0;
        bench.load(&code.map(|w| if little { w.swap_bytes() } else { w }));
        let exceptions = bench.engine.exceptions();
        let before = bench.state();
        // What it stores need not be looked for once it is known to have an effect.
        let known = seen.get(i.name).is_some_and(|seen| seen.effective != 0);
        let looked_at = !known && book::accesses_storage(&i);
        let storage = if looked_at { bench.storage() } else { Vec::new() };
        let beside = others(&bench.cpu);
        let exit = bench.run(1);
        let (cpu, word, name) = (&bench.cpu, i.word, i.name);
        let state = before.regs.msr;
        let interrupts = taken(&bench, &exceptions);
        let came = match interrupts[..] {
            [] => None,
            [(vector, 1)] => Some(told(cpu, vector)),
            _ => panic!("{word:x} {name} in {state:x}: {interrupts:?}"),
        };
        if let Some(Interrupt { vector, .. }) = came {
            match vector {
                Vector::SystemCallVectored => assert_eq!(cpu.regs.nia & !0xfe0, 0x1_7000, "{word:x}"),
                _ => assert_eq!(cpu.regs.nia, vector.offset(), "{word:x} {name} {vector:?}"),
            }
        }
        let seen = seen.entry(name).or_default();
        let completes = match book::stops(&before, &i) {
            Some(stop) => {
                assert_eq!(came, Some(stop), "{word:x} {name} in {state:x}");
                if name == "illegal" && stop.facility.is_none() {
                    illegal += 1;
                }
                if stop.vector == Vector::HypervisorEmulationAssistance {
                    assert_eq!((cpu.spr.heir, cpu.spr.hsrr0), (word, CODE), "{word:x} {name}");
                } else {
                    assert_eq!(cpu.spr.srr0, CODE, "{word:x} {name}");
                }
                continue;
            }
            None => match book::follows(&before, &i, cpu.regs.fpscr) {
                Follows::Surely(Some(interrupt)) => {
                    assert_eq!(came, Some(interrupt), "{word:x} {name} in {state:x}");
                    false
                }
                Follows::Surely(None) => true,
                Follows::Access => !storage_refused(&before, &i, cpu, came),
                Follows::Register => !register_refused(&before, came),
            },
        };
        if !completes {
            continue;
        }
        let traced = came.is_some_and(|came| came.vector == Vector::Trace);
        assert_eq!(traced, book::traces(&before, &i), "{word:x} {name} in {state:x}: {came:?}");
        assert!(traced || came.is_none(), "{word:x} {name} in {state:x}: {came:?}");
        seen.completed += 1;
        // A trace interrupt hides what the instruction did to MSR.
        if !traced && !known {
            let changed = others(cpu) != beside;
            if has_effect(&bench, before, &storage, exit, changed) {
                seen.effective += 1;
                lacking.retain(|&n| decoder.entries()[n].name != name);
            }
        }
    }
    check_seen(&decoder, &seen, hypervisor);
    // The report counts them (and illegal forms of instructions that there are).
    assert!(illegal > count / 10 && bench.engine.counters()["illegal_instructions"] >= illegal);
}

/// Storage that is not there is a machine check, with its address; what must be aligned is an alignment interrupt.
fn storage_refused(before: &State, i: &Instruction, cpu: &Vcpu, came: Option<Interrupt>) -> bool {
    let Some(Interrupt { vector, cause, .. }) = came else { return false };
    // The address of a string or of several registers is that of the first.
    let absent = cpu.spr.dar >= RAM - 128;
    let cause = cause & !srr1::PREFIXED;
    let state = before.regs.msr;
    match vector {
        Vector::MachineCheck => assert!(
            absent && (cause, cpu.spr.dsisr) == (srr1::BY_DSISR, dsisr::BAD_REAL_ADDRESS.into()),
            "{:x} {} in {state:x}: {:x}",
            i.word,
            i.name,
            cpu.spr.dar
        ),
        Vector::Alignment => {
            let multiple =
                state & msr::LE != 0 && ["lm", "stm", "ls", "sts"].iter().any(|of| i.name.starts_with(of));
            // A block, which copy and paste take.
            let aligned = cpu.spr.dar.is_multiple_of(128);
            assert!((absent || multiple || !aligned) && cause == 0, "{:x} {}", i.word, i.name);
        }
        Vector::Trace => return false,
        Vector::DataStorage => assert!(book::has_no_function(i), "{:x} {}", i.word, i.name),
        // What hashchk finds is another hash.
        _ => assert!(i.name.starts_with("hashchk"), "{:x} {} in {state:x}: {came:?}", i.word, i.name),
    }
    true
}

fn register_refused(before: &State, came: Option<Interrupt>) -> bool {
    let Some(Interrupt { vector, cause, facility }) = came else { return false };
    match vector {
        Vector::Trace => return false,
        // MSR[TM], which is off, keeps the registers of transactions from all states.
        Vector::FacilityUnavailable => assert!(before.problem() || facility == Some(5)),
        Vector::HypervisorEmulationAssistance => {}
        _ => {
            let allowed = if before.problem() { srr1::PROGRAM_PRIVILEGED } else { 0 } | srr1::PROGRAM_ILLEGAL;
            assert!(vector == Vector::Program && cause & !allowed == 0 && cause != 0, "{came:?}");
        }
    }
    true
}

/// Each definition did something at times, but for those that never do; those never did.
fn check_seen(decoder: &Decoder, seen: &BTreeMap<&str, Seen>, hypervisor: bool) {
    let here = |entry: &&Entry| (entry.encoding.since..=entry.encoding.until).contains(&decoder.level());
    let mut wrong = Vec::new();
    for entry in decoder.entries().iter().filter(here) {
        let Seen { completed, effective } = seen.get(entry.name).copied().unwrap_or_default();
        let right = match entry.name {
            // tests/cpu/registers.rs has every number; few calls are the machine's.
            "mtspr" | "mfspr" | "mftb" => true,
            "sc" if !hypervisor => true,
            name if book::never_completes(name, hypervisor) => completed == 0,
            name if book::WITHOUT_EFFECT.contains(&name) => effective == 0 && completed != 0,
            _ => effective != 0,
        };
        if !right {
            wrong.push(format!("{}: effective in {effective} of {completed}", entry.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn any_word_executes_or_interrupts() {
    for model in [Model::Power9, Model::Power10] {
        for hypervisor in [false, true] {
            words(model, hypervisor, 120_000, Random(0x9e37_79b9_7f4a_7c15));
        }
    }
}

#[test]
#[ignore = "takes minutes"]
fn many_words_execute_or_interrupt() {
    for seed in 1..20 {
        for model in [Model::Power9, Model::Power10] {
            words(model, seed % 2 == 0, 1_000_000, Random(seed * 0x9e37_79b9));
        }
    }
}
