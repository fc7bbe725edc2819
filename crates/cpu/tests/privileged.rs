//! System instructions on a bare CPU, and every word in every privilege state.

use timebase_cpu::bits::msr;
use timebase_cpu::{Bus, BusError, Clock, Engine, Exit, Interpreter, Model, Vcpu, Vector, World};
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;

struct NoDevices;
impl Bus for NoDevices {
    fn load(&mut self, _: u32, _: u64, _: u8, _: Instant, _: &mut Memory) -> Result<u64, BusError> {
        Err(BusError)
    }
    fn store(&mut self, _: u32, _: u64, _: u8, _: u64, _: Instant, _: &mut Memory) -> Result<(), BusError> {
        Err(BusError)
    }
}

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

const FEX: u64 = 1 << 30;
const XX: u64 = 1 << 25;
const XE: u64 = 1 << 3;
/// Program interrupt: FP enabled, at a later instruction.
const LATER: u64 = 1 << 20 | 1 << 16;

#[test]
fn enabling_a_pending_floating_point_exception_raises_it() {
    // mtmsrd r3, with FPSCR[FEX] = 1; li r5,1 is not reached.
    for (word, register) in [(0x7c60_0164, 3), (0x7c60_0124, 3)] {
        for enable in [msr::FE0, msr::FE1, msr::FE0 | msr::FE1, 0] {
            let mut bench = Bench::new(Model::Power9, false, &[word, 0x38a0_0001]);
            bench.cpu.regs.fpscr = FEX | XX | XE;
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
    bench.cpu.regs.fpscr = FEX | XX | XE;
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
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// One interrupt at most has come, and then its handler is next. A word of no instruction has raised emulation
/// assistance where there is a hypervisor, and the illegal instruction program interrupt elsewhere; returns whether it is
/// one.
fn check_outcome(
    bench: &Bench,
    decoder: &timebase_isa::Decoder,
    code: [u32; 2],
    before: &std::collections::BTreeMap<String, u64>,
) -> bool {
    let prefixed = decoder.is_prefix(code[0]);
    let word = if prefixed { (code[0] as u64) << 32 | code[1] as u64 } else { code[0] as u64 };
    let after = bench.engine.exceptions();
    let taken: Vec<(&str, u64)> = after
        .iter()
        .map(|(name, count)| (name.as_str(), count - before.get(name).copied().unwrap_or(0)))
        .filter(|(_, count)| *count != 0)
        .collect();
    let (cpu, decoded) = (&bench.cpu, decoder.entries()[decoder.decode(word).op as usize].name);
    match taken[..] {
        [] => {}
        [("system-call-vectored", 1)] => assert_eq!(cpu.regs.nia & !0xfe0, 0x1_7000, "{word:x}"),
        [(name, 1)] => {
            let vector = Vector::ALL.iter().find(|vector| vector.name() == name).expect("one of them");
            assert_eq!(cpu.regs.nia, vector.offset(), "{word:x} {decoded} {name}");
        }
        _ => panic!("{word:x} {decoded}: {taken:?}"),
    }
    if decoded != "illegal" {
        return false;
    }
    // Prefixed ones ask first whether prefixes are lent.
    let facility = prefixed && taken.iter().any(|(name, _)| name.ends_with("facility-unavailable"));
    if !facility && cpu.has_hypervisor {
        assert_eq!(taken, [("hypervisor-emulation-assistance", 1)], "{word:x}");
        assert_eq!((cpu.spr.heir, cpu.spr.hsrr0), (word, CODE), "{word:x}");
    } else if !facility {
        assert_eq!(taken, [("program", 1)], "{word:x}");
        assert_eq!((cpu.spr.srr0, cpu.spr.srr1 >> 16 & 0xf), (CODE, 8), "{word:x}");
    }
    !facility
}

/// Runs random words, each in a random state of the CPU: each executes or interrupts.
fn words(model: Model, hypervisor: bool, count: u64, mut random: Random) {
    let decoder = timebase_isa::Decoder::new(model.level());
    let entries = decoder.entries();
    let mut bench = Bench::new(model, hypervisor, &[]);
    let mut illegal = 0;
    for n in 0..count {
        // Half of the words are of some definition.
        let raw = random.next();
        let entry = &entries[raw as usize % entries.len()].encoding;
        let word = match n % 2 {
            0 => raw >> 16,
            _ => {
                entry.bits
                    | random.next() & !entry.mask & if entry.prefixed() { u64::MAX } else { 0xffff_ffff }
            }
        };
        let regs = &mut bench.cpu.regs;
        for gpr in &mut regs.gpr {
            *gpr = match random.next() % 4 {
                0 => random.next(),
                1 => random.next() % 64,
                2 => u64::MAX << (random.next() % 64),
                _ => DATA + random.next() % 0x1000,
            };
        }
        regs.vsr.iter_mut().for_each(|v| *v = [random.next(), random.next() >> (n % 64)]);
        regs.fpscr = random.next() & 0x7_0000_00ff;
        (regs.lr, regs.ctr, regs.tar) = (CODE, random.next(), CODE);
        let modes =
            msr::SF | msr::PR | msr::EE | msr::FP | msr::VEC | msr::VSX | msr::FE0 | msr::TE | msr::LE;
        let hv = if hypervisor { random.next() & msr::HV } else { 0 };
        bench.cpu.set_msr(random.next() & modes | msr::ME | hv);
        bench.cpu.spr.fscr = random.next() & 0x3fff;
        bench.cpu.spr.srr1 = random.next() & msr::ALL & !(msr::IR | msr::DR);
        let little = bench.cpu.regs.msr & msr::LE != 0;
        let code =
            if word >> 32 != 0 { [(word >> 32) as u32, word as u32] } else { [word as u32, 0x6000_0000] };
        bench.load(&code.map(|w| if little { w.swap_bytes() } else { w }));
        let before = bench.engine.exceptions();
        let state = bench.cpu.regs.msr;
        bench.run(1);
        // A guest of the hypervisor cannot fetch in this bench: nobody translates for it.
        if !hypervisor || state & msr::HV != 0 {
            illegal += check_outcome(&bench, &decoder, code, &before) as u64;
        }
        // Translation is not the subject here.
        let real = bench.cpu.regs.msr & !(msr::IR | msr::DR);
        bench.cpu.set_msr(real);
    }
    // The report counts them (and illegal forms of instructions that there are).
    assert!(illegal > count / 10 && bench.engine.counters()["illegal_instructions"] >= illegal);
}

#[test]
fn any_word_executes_or_interrupts() {
    for model in [Model::Power9, Model::Power10] {
        for hypervisor in [false, true] {
            words(model, hypervisor, 60_000, Random(0x9e37_79b9_7f4a_7c15));
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
