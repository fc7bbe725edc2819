//! The timer rows of the series, at instruction granularity: DEC, HDEC, TB on a bare CPU.

use timebase_cpu::bits::{lpcr, msr};
use timebase_cpu::{Clock, Engine, Exit, Interpreter, Model, NoDevices, Vcpu, World};
use timebase_memory::{Memory, Writer};
use timebase_state::{Instant, Ticks};

const NOP: u32 = 0x6000_0000;
/// mtdec r3
const MTDEC: u32 = 0x7c76_03a6;
/// mfdec r4
const MFDEC: u32 = 0x7c96_02a6;

/// A CPU with code at 0x1000, stepped one instruction at a time as a machine would.
struct Bench {
    cpu: Vcpu,
    memory: Memory,
    engine: Interpreter,
    clock: Clock,
    count: u64,
}

impl Bench {
    fn new(words: &[u32], large: bool) -> Bench {
        let mut memory = Memory::new(1 << 20, 1);
        for (n, word) in words.iter().enumerate() {
            memory.store_u32(0x1000 + 4 * n as u64, *word, Writer::Other).unwrap();
        }
        let mut cpu = Vcpu::cold(0, Model::Power9, false, 0, Instant::default());
        cpu.spr.lpcr = if large { lpcr::LD } else { 0 };
        cpu.regs.nia = 0x1000;
        Bench {
            cpu,
            memory,
            engine: Interpreter::new(Model::Power9),
            clock: Clock::cold(2, 1, 0, Instant::default()),
            count: 0,
        }
    }

    fn now(&self) -> Instant {
        self.clock.at(self.count)
    }

    /// One instruction; then the interrupt that is due, if any. True if one was taken.
    fn step(&mut self) -> bool {
        let mut world = World {
            observed: None,
            memory: &mut self.memory,
            bus: &mut NoDevices,
            clock: self.clock,
            count: self.count,
            passed: None,
        };
        let outcome = self.engine.run(&mut self.cpu, &mut world, 1);
        assert_eq!(outcome.executed, 1);
        assert!(matches!(outcome.exit, Exit::Budget | Exit::Look));
        self.count += 1;
        let now = self.now();
        self.cpu.look(now);
        self.cpu.take_interrupt().is_some()
    }
}

fn sign_extend(value: u64, bits: u32) -> u64 {
    ((value << (64 - bits)) as i64 >> (64 - bits)) as u64
}

/// Values around every power of two, and random ones.
fn values() -> Vec<u64> {
    let mut all: Vec<u64> =
        (0..64).flat_map(|n| [(1u64 << n).wrapping_sub(1), 1 << n, (1 << n) + 1, !(1u64 << n)]).collect();
    let mut z = 1u64;
    for _ in 0..200 {
        z = z.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        all.push(z ^ z >> 31);
    }
    all
}

#[test]
fn s3_deadlines_round_up_and_timers_are_never_early() {
    for nanoseconds in [0, 1, 1953125, 1_953_126, 999_999_999, 1_000_000_000, 123_456_789_012] {
        let ticks = Ticks::from_nanoseconds_ceil(nanoseconds).0 as u128;
        assert!(ticks * 1_000_000_000 >= nanoseconds as u128 * 512_000_000, "{nanoseconds} ns came early");
        assert!(
            ticks == 0 || (ticks - 1) * 1_000_000_000 < nanoseconds as u128 * 512_000_000,
            "{nanoseconds} ns: late"
        );
    }
    // The count of a deadline is the first whose instant is not before it, at every rate.
    for runnable in 1..8 {
        let mut clock = Clock::cold(2, 1, 0, Instant::default());
        clock.share(17, 2, 1, runnable);
        for ticks in [1, 2, 3, 1000, 1 << 33] {
            let deadline = Instant::from_ticks(ticks);
            let count = clock.count_of(deadline);
            assert!(clock.at(count) >= deadline);
            assert!(count <= 17 || clock.at(count - 1) < deadline);
        }
    }
}

#[test]
fn s4_a_value_written_to_dec_reads_back_unchanged() {
    for large in [false, true] {
        for value in values() {
            let mut bench = Bench::new(&[MTDEC, MFDEC], large);
            bench.cpu.regs.gpr[3] = value;
            bench.step();
            bench.step();
            // One instruction is half a tick: no whole tick has passed.
            let expected = if large { sign_extend(value, 56) } else { value & 0xffff_ffff };
            assert_eq!(bench.cpu.regs.gpr[4], expected, "{value:#x}, large: {large}");
        }
    }
    for value in values() {
        let mut cpu = Vcpu::cold(0, Model::Power9, true, 0, Instant::default());
        let now = Instant::from_ticks(12345);
        cpu.set_hdec(value, now);
        assert_eq!(cpu.hdec(now), sign_extend(value, 56), "HDEC has 56 bits and is sign-extended");
    }
}

#[test]
fn s5_dec_never_interrupts_before_the_register_shows_it() {
    for value in (0..40).chain([0x7fff_ffff]) {
        let mut bench = Bench::new(&[MTDEC], false);
        for n in 1..200 {
            bench.memory.store_u32(0x1000 + 4 * n, NOP, Writer::Other).unwrap();
        }
        bench.cpu.regs.gpr[3] = value;
        bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
        for _ in 0..100 {
            let taken = bench.step();
            let negative = bench.cpu.dec(bench.now()) >> 31 & 1 != 0;
            assert_eq!(taken, negative, "DEC := {value}, at count {}", bench.count);
            if taken {
                assert_eq!(bench.cpu.regs.nia, 0x900);
                // -1 is shown `value` + 1 ticks after the write, two instructions a tick.
                assert_eq!(bench.count, 2 * (value + 1));
                break;
            }
        }
    }
}

#[test]
fn s6_a_value_with_its_top_implemented_bit_set_is_negative() {
    for (large, bits) in [(false, 32), (true, 56)] {
        for value in values() {
            let mut bench = Bench::new(&[MTDEC], large);
            bench.cpu.regs.gpr[3] = value;
            bench.step();
            let negative = value >> (bits - 1) & 1 != 0;
            assert_eq!(bench.cpu.dec_exception(bench.now()), negative, "{value:#x}, {bits} bits");
        }
    }
}

#[test]
fn s7_a_store_that_raises_the_exception_at_once_still_stores_the_value() {
    let mut bench = Bench::new(&[MTDEC], false);
    bench.cpu.regs.gpr[3] = 0x8000_0005;
    bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
    assert!(bench.step(), "taken at the end of the step");
    assert_eq!(bench.cpu.dec(bench.now()), 0x8000_0005);
    assert_eq!((bench.cpu.spr.srr0, bench.cpu.regs.nia), (0x1004, 0x900));
}

#[test]
fn s10_a_dec_write_is_atomic_at_one_instant() {
    // The value read back depends on nothing but value and elapsed ticks, at whatever fraction of a tick it was
    // written.
    for start in 0..7 {
        let mut bench = Bench::new(&[MTDEC, MFDEC], true);
        bench.clock.share(0, 3, 1, 1);
        bench.count = start;
        bench.cpu.regs.gpr[3] = 1000;
        let before = bench.now().ticks();
        bench.step();
        let after = bench.now().ticks();
        bench.step();
        assert_eq!(bench.cpu.regs.gpr[4], 1000 - (after - before));
    }
}

#[test]
fn gap1_dec_is_level_the_exception_goes_when_the_sign_bit_does() {
    let cpu = &mut Vcpu::cold(0, Model::Power9, false, 0, Instant::default());
    cpu.spr.lpcr = 0;
    cpu.set_dec(5, Instant::default());
    let at = Instant::from_ticks;
    assert!(!cpu.dec_exception(at(5)) && cpu.dec_exception(at(6)));
    assert_eq!(cpu.dec_deadline(at(0)), at(6));
    // It underflows from the most negative value back to the most positive one.
    let wrap = 5 + (1 << 31);
    assert!(cpu.dec_exception(at(wrap)), "{:#x}", cpu.dec(at(wrap)));
    assert!(!cpu.dec_exception(at(wrap + 1)), "{:#x}", cpu.dec(at(wrap + 1)));
    assert_eq!(cpu.dec_deadline(at(6)), at(6 + (1 << 32)), "and comes again a turn later");
    // Writing a positive value takes the exception away before it was delivered.
    cpu.set_dec(0x8000_0000, at(0));
    cpu.look(at(0));
    cpu.set_dec(100, at(0));
    cpu.look(at(0));
    cpu.set_msr(cpu.regs.msr | msr::EE);
    assert_eq!(cpu.take_interrupt(), None);
}

#[test]
fn gap2_hdec_is_latched_by_its_edge_and_kept() {
    let cpu = &mut Vcpu::cold(0, Model::Power9, true, 0, Instant::default());
    let at = Instant::from_ticks;
    cpu.spr.lpcr = lpcr::HDICE;
    cpu.set_hdec(10, at(0));
    cpu.set_hdec(u64::MAX, at(1));
    cpu.set_hdec(10, at(2));
    cpu.look(at(2));
    cpu.set_msr(msr::SF | msr::HV | msr::EE);
    assert!(cpu.take_interrupt().is_some(), "the edge stays though HDEC is positive again");
    cpu.set_msr(msr::SF | msr::HV | msr::EE);
    cpu.look(at(3));
    assert_eq!(cpu.take_interrupt(), None, "delivery cleared it");
}
