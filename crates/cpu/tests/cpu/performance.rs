//! The performance monitor: exact counts, alerts on their instruction, freezing, event-based branches; the same whatever
//! the quanta are.

use crate::bench::{Bench, CODE, INSTRUCTIONS_PER_TICK, NOP, QUANTA, RFID, SC, branch_back, mfspr, mtspr};
use timebase_cpu::bits::{bescr, mmcr0, msr};
use timebase_cpu::{CYCLES_PER_TICK, Model, Vector};

const ILLEGAL: u32 = 0;
const NEGATIVE: u64 = 1 << 31;

#[test]
fn instructions_and_cycles_are_counted_exactly_in_any_quanta() {
    for quantum in QUANTA {
        let mut bench = Bench::new(&[NOP, NOP, NOP, branch_back(3)]);
        bench.quantum = quantum;
        // Selectors: instructions, cycles, nothing that is known, instructions by PMC4's own number.
        bench.cpu.spr.mmcr1 = 0x021e_77fa;
        bench.run(1003);
        assert_eq!(bench.pmc(5), 1003);
        assert_eq!(bench.pmc(1), 1003);
        assert_eq!(bench.pmc(4), 1003);
        assert_eq!(bench.pmc(3), 0);
        let cycles = 1003 * CYCLES_PER_TICK / INSTRUCTIONS_PER_TICK;
        assert_eq!((bench.pmc(6), bench.pmc(2)), (cycles, cycles));
        bench.cpu.spr.mmcr0 |= mmcr0::FC;
        bench.run(100);
        assert_eq!((bench.pmc(5), bench.pmc(6)), (1003, cycles));
    }
}

/// MMCR1 that selects these events, by the counter and the rest of their codes in POWER9's list.
fn select(events: &[(usize, u64)]) -> u64 {
    let field = |n: usize, code: u64| {
        (code >> 12) << (64 - 4 * n) | (code >> 10 & 3) << (40 - 2 * n) | (code & 0xff) << (32 - 8 * n)
    };
    events.iter().fold(0, |control, &(n, code)| control | field(n, code))
}

/// PM_LD_REF_L1, PM_ST_CMPL, PM_BR_CMPL.
const LOADS_STORES_BRANCHES: [(usize, u64); 3] = [(1, 0x00fc), (2, 0x00f0), (4, 0xd05e)];
/// `lwz r4,0(r3)`
const LOAD: u32 = 0x8083_0000;
/// `stwu r4,8(r3)`
const STORE: u32 = 0x9483_0008;
/// `lmw r30,0(r3)`: one instruction, two words.
const LOAD_TWO: u32 = 0xbbc3_0000;
/// `fmadd f1,f2,f3,f4`
const MULTIPLY_ADD: u32 = 0xfc22_20fa;
/// `fmr f1,f2`, which computes nothing.
const COPY: u32 = 0xfc20_1090;
/// `bne cr7,.+8`, not taken while CR7 has EQ.
const NOT_TAKEN: u32 = 0x409e_0008;

/// A CPU that goes round a loop of these, with its data at 0x2_0000.
fn kinds(words: &[u32], events: &[(usize, u64)]) -> Bench {
    let mut bench = Bench::new(&[words, &[branch_back(words.len() as i32)]].concat());
    bench.cpu.set_msr(bench.cpu.regs.msr | msr::FP);
    bench.cpu.regs.gpr[3] = 0x2_0000;
    bench.cpu.regs.cr[7] = 2;
    bench.cpu.spr.mmcr1 = select(events);
    bench
}

#[test]
fn kinds_of_instructions_are_counted_exactly_in_any_quanta() {
    let code = [LOAD, NOP, STORE, NOT_TAKEN, LOAD_TWO, MULTIPLY_ADD, LOAD, COPY];
    for quantum in QUANTA {
        let mut bench = kinds(&code, &LOADS_STORES_BRANCHES);
        bench.quantum = quantum;
        // Eleven rounds of nine, and five more.
        bench.run(104);
        assert_eq!((bench.pmc(1), bench.pmc(2), bench.pmc(3), bench.pmc(4)), (35, 12, 0, 23), "{quantum}");
        assert_eq!((bench.pmc(5), bench.cpu.spr.ic), (104, 104));
        // PM_FLOP_CMPL, PM_BR_TAKEN_CMPL, PM_INST_DISP, PM_LD_CMPL.
        let mut bench = kinds(&code, &[(1, 0x00f4), (2, 0x00fa), (3, 0x00f2), (4, 0x003e)]);
        bench.quantum = quantum;
        bench.run(104);
        assert_eq!((bench.pmc(1), bench.pmc(2), bench.pmc(3), bench.pmc(4)), (11, 11, 104, 35), "{quantum}");
    }
}

#[test]
fn an_event_of_another_unit_with_the_same_number_is_another_event() {
    // PM_CMPLU_STALL_CRYPTO, and what would be PM_INST_CMPL and PM_BR_CMPL of other units.
    let mut bench = kinds(&[NOP], &[(4, 0xc01e), (1, 0x3002), (2, 0xc0f0)]);
    bench.run(100);
    assert_eq!((bench.pmc(1), bench.pmc(2), bench.pmc(4), bench.pmc(5)), (0, 0, 0, 100));
    // PM_BR_FIN is POWER10's.
    for (model, branches) in [(Model::Power9, 0), (Model::Power10, 50)] {
        let mut bench = Bench::of(model, false, &[NOP, branch_back(1)]);
        bench.cpu.spr.mmcr1 = select(&[(2, 0xf04a)]);
        bench.run(100);
        assert_eq!(bench.pmc(2), branches, "{model:?}");
    }
}

#[test]
fn a_load_that_is_interrupted_is_none() {
    for quantum in QUANTA {
        let mut bench = kinds(&[LOAD, NOP], &LOADS_STORES_BRANCHES);
        bench.quantum = quantum;
        bench.cpu.regs.gpr[3] = 1 << 40;
        bench.load(0x200, &[branch_back(0)]);
        bench.run(10);
        assert_eq!((bench.pmc(1), bench.pmc(4), bench.cpu.regs.nia), (0, 9, 0x200));
    }
}

#[test]
fn a_counter_of_a_kind_is_read_and_told_to_count_in_the_middle_of_a_block() {
    // Two loads before the first read, one more before the second; PMC1 is told to count stores for the rest.
    let words = [LOAD, LOAD, mfspr(787, 5), LOAD, mfspr(787, 6), LOAD, mtspr(798, 7), STORE, LOAD, STORE];
    for quantum in QUANTA {
        let mut bench = kinds(&words, &LOADS_STORES_BRANCHES);
        bench.quantum = quantum;
        bench.cpu.regs.gpr[7] = select(&[(1, 0x00fc), (2, 0x0016)]);
        bench.run(10);
        assert_eq!(bench.cpu.regs.gpr[5..7], [2, 3]);
        assert_eq!((bench.pmc(1), bench.pmc(2)), (5, 2), "{quantum}");
        // From nothing at all to counting, in the middle.
        let mut bench = kinds(&words, &[]);
        bench.quantum = quantum;
        bench.cpu.regs.gpr[7] = select(&[(1, 0x00fc), (2, 0x0016)]);
        bench.run(10);
        assert_eq!((bench.cpu.regs.gpr[6], bench.pmc(1), bench.pmc(2)), (0, 1, 2), "{quantum}");
    }
}

#[test]
fn an_alert_comes_right_after_the_instruction_of_a_kind_that_makes_a_counter_negative() {
    for quantum in QUANTA {
        let mut bench = kinds(&[NOP, LOAD, NOP, NOP, LOAD, NOP, NOP], &LOADS_STORES_BRANCHES);
        bench.load(0xf00, &[branch_back(0)]);
        bench.quantum = quantum;
        bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
        bench.cpu.spr.mmcr0 = mmcr0::CC56RUN | mmcr0::PMAE | mmcr0::PMC1CE | mmcr0::FCECE;
        bench.cpu.spr.pmc1 = NEGATIVE - 101;
        bench.run(1000);
        // Fifty rounds of eight, and the first load of the next one.
        assert_eq!(bench.taken, [(Vector::PerformanceMonitor, 402)]);
        assert_eq!((bench.cpu.spr.srr0, bench.pmc(1), bench.pmc(4)), (CODE + 8, NEGATIVE, 50));
    }
}

#[test]
fn an_attempt_that_completes_nothing_is_no_instruction() {
    for quantum in QUANTA {
        let mut bench = Bench::new(&[NOP, ILLEGAL]);
        bench.load(0x700, &[NOP, NOP, branch_back(2)]);
        bench.quantum = quantum;
        bench.run(100);
        assert_eq!(bench.pmc(5), 99);
    }
}

#[test]
fn a_counter_reads_what_was_before_the_read() {
    for quantum in QUANTA {
        let mut bench = Bench::new(&[mtspr(791, 3), NOP, mfspr(791, 4), NOP, mfspr(791, 5), mfspr(792, 6)]);
        bench.quantum = quantum;
        bench.cpu.regs.gpr[3] = 1000;
        bench.run(6);
        assert_eq!(bench.cpu.regs.gpr[4..6], [1001, 1003]);
        assert_eq!(bench.cpu.regs.gpr[6], 5 * CYCLES_PER_TICK / INSTRUCTIONS_PER_TICK);
    }
}

#[test]
fn an_alert_comes_right_after_the_instruction_that_makes_a_counter_negative() {
    for quantum in QUANTA {
        let mut bench = Bench::new(&[NOP, NOP, NOP, NOP, NOP, NOP, NOP, branch_back(7)]);
        bench.load(0xf00, &[branch_back(0)]);
        bench.quantum = quantum;
        bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
        bench.cpu.spr.mmcr0 = mmcr0::CC56RUN | mmcr0::PMAE | mmcr0::PMCJCE | mmcr0::FCECE;
        bench.cpu.spr.pmc5 = NEGATIVE - 101;
        bench.run(200);
        assert_eq!(bench.taken, [(Vector::PerformanceMonitor, 101)]);
        assert_eq!(bench.cpu.spr.srr0, CODE + 4 * (101 % 8));
        assert_eq!(bench.cpu.spr.siar, CODE + 4 * (101 % 8));
        assert_eq!(bench.pmc(5), NEGATIVE, "FCECE froze it");
        let (on, off) = (mmcr0::FC | mmcr0::PMAO, mmcr0::PMAE);
        assert_eq!(bench.cpu.spr.mmcr0 & (on | off), on);
        // Cycles: on the first instruction at or after the time.
        let mut bench = Bench::new(&[NOP, branch_back(1)]);
        bench.load(0xf00, &[branch_back(0)]);
        bench.quantum = quantum;
        bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
        bench.cpu.spr.mmcr0 = mmcr0::CC56RUN | mmcr0::PMAE | mmcr0::PMCJCE;
        bench.cpu.spr.pmc6 = NEGATIVE - 51 * CYCLES_PER_TICK;
        bench.run(200);
        assert_eq!(bench.taken, [(Vector::PerformanceMonitor, 51 * INSTRUCTIONS_PER_TICK)]);
        assert_eq!(bench.cpu.spr.sier & 0x40_0000, 0x40_0000);
    }
}

#[test]
fn nobody_is_alerted_who_did_not_ask() {
    for control in [0, mmcr0::PMAE, mmcr0::PMCJCE, mmcr0::PMAE | mmcr0::PMC1CE] {
        let mut bench = Bench::new(&[NOP, branch_back(1)]);
        bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
        bench.cpu.spr.mmcr0 = mmcr0::CC56RUN | control;
        bench.cpu.spr.pmc5 = NEGATIVE - 10;
        bench.run(100);
        assert_eq!(bench.taken, []);
        assert_eq!(bench.pmc(5), NEGATIVE + 90);
    }
}

#[test]
fn an_alert_waits_until_interrupts_are_enabled() {
    let mut bench = Bench::new(&[NOP, branch_back(1)]);
    bench.cpu.spr.mmcr0 = mmcr0::CC56RUN | mmcr0::PMAE | mmcr0::PMCJCE;
    bench.cpu.spr.pmc5 = NEGATIVE - 10;
    bench.run(100);
    assert_eq!(bench.taken, []);
    assert_ne!(bench.cpu.spr.mmcr0 & mmcr0::PMAO, 0);
    bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
    bench.run(0);
    assert_eq!(bench.taken, [(Vector::PerformanceMonitor, 100)]);
}

/// Problem state: four instructions and `sc`; its handler: two instructions and `rfid`.
fn two_states(control: u64, quantum: u64) -> Bench {
    let mut bench = Bench::new(&[NOP, NOP, NOP, NOP, SC, branch_back(5)]);
    bench.load(0xc00, &[NOP, NOP, RFID]);
    bench.quantum = quantum;
    // The bench has no translation: problem state in real mode.
    bench.cpu.set_msr(msr::SF | msr::ME | msr::PR);
    bench.cpu.spr.mmcr0 = mmcr0::CC56RUN | control;
    bench
}

#[test]
fn counters_freeze_by_state() {
    for quantum in QUANTA {
        // A round is six instructions of problem state and three of the handler.
        for (control, instructions) in [
            (0, 9),
            (mmcr0::FCS, 6),
            (mmcr0::FCP, 3),
            (mmcr0::FCS | mmcr0::FCP, 0),
            (mmcr0::FCHV, 9),
            (mmcr0::FCPC, 3),
            (mmcr0::FCPC | mmcr0::FCP, 9),
            (mmcr0::FCM1, 9),
            (mmcr0::FCM0, 0),
            (mmcr0::FC56, 0),
            (mmcr0::FC14, 9),
        ] {
            let mut bench = two_states(control, quantum);
            bench.cpu.set_msr(msr::SF | msr::ME | msr::PR);
            for _ in 0..10 {
                bench.run(5);
                assert_eq!(bench.cpu.regs.nia, 0xc00, "{control:#x}");
                bench.run(3);
                // Where `rfid` would lead, but without the translation that it implies for problem state.
                bench.cpu.set_msr(msr::SF | msr::ME | msr::PR);
                bench.cpu.regs.nia = CODE + 20;
                bench.run(1);
                assert_eq!(bench.cpu.regs.nia, CODE);
            }
            assert_eq!(bench.pmc(5), 10 * instructions, "{control:#x}, quanta of {quantum}");
        }
    }
}

#[test]
fn each_counter_has_its_own_freezing() {
    let mut bench = two_states(0, u64::MAX);
    bench.cpu.spr.mmcr1 = 0x0202_0202;
    // PMC1 not in problem state, PMC2 not in privileged state, PMC3 not without the run latch.
    bench.cpu.spr.mmcr2 = 1 << 62 | 1 << (63 - 9) | 1 << (63 - 18 - 5);
    bench.run(7);
    assert_eq!((bench.pmc(1), bench.pmc(2), bench.pmc(3), bench.pmc(4)), (2, 5, 7, 7));
    bench.cpu.spr.ctrl = 0;
    bench.cpu.regs.nia = 0xc00;
    bench.run(2);
    assert_eq!((bench.pmc(1), bench.pmc(2), bench.pmc(3), bench.pmc(4)), (4, 5, 7, 9));
}

#[test]
fn the_run_latch_stops_pmc5_and_pmc6_unless_told_otherwise() {
    let mut bench = Bench::new(&[NOP, branch_back(1)]);
    bench.cpu.spr.mmcr0 = 0;
    bench.run(10);
    bench.cpu.spr.ctrl = 0;
    bench.run(10);
    assert_eq!(bench.pmc(5), 10);
    bench.cpu.spr.mmcr0 = mmcr0::CC56RUN;
    bench.run(10);
    assert_eq!(bench.pmc(5), 20);
}

#[test]
fn the_first_four_and_the_last_two_freeze_apart() {
    for (control, latch, counts) in [
        (mmcr0::FC14, 1, (0, 10)),
        (mmcr0::FC56, 1, (10, 0)),
        (mmcr0::FCWAIT, 1, (10, 10)),
        (mmcr0::FCWAIT, 0, (0, 10)),
    ] {
        let mut bench = Bench::new(&[NOP, branch_back(1)]);
        bench.cpu.spr.mmcr0 = control | mmcr0::CC56RUN;
        bench.cpu.spr.mmcr1 = 0x0202_0202;
        bench.cpu.spr.ctrl = latch;
        bench.run(10);
        assert_eq!((bench.pmc(4), bench.pmc(5)), counts, "{control:#x}");
    }
}

#[test]
fn the_run_latches_of_a_core_are_seen_but_not_by_problem_state() {
    for (problem, threads, seen) in [(0, 0b0110_0000, 0xe001), (msr::PR, 0b0110_0000, 1), (0, 0, 0x8001)] {
        let mut bench = Bench::new(&[mfspr(136, 4), mfspr(136, 5)]);
        bench.cpu.set_msr(bench.cpu.regs.msr | problem);
        bench.cpu.run_latches = threads;
        bench.run(1);
        assert_eq!(bench.cpu.regs.gpr[4], seen);
        // Its own is what it has written, whatever was gathered before; thread 2 stands at its place.
        (bench.cpu.spr.ctrl, bench.cpu.spr.tir) = (0, 2);
        bench.run(1);
        assert_eq!(bench.cpu.regs.gpr[5], if problem == 0 { u64::from(threads & 0xdf) << 8 } else { 0 });
    }
}

#[test]
fn a_trigger_lets_the_others_begin() {
    let mut bench = Bench::new(&[NOP, branch_back(1)]);
    bench.cpu.spr.mmcr0 = mmcr0::TRIGGER | mmcr0::PMC1CE | mmcr0::FCECE | mmcr0::CC56RUN;
    bench.cpu.spr.mmcr1 = 0x0202_0202;
    bench.cpu.spr.pmc1 = NEGATIVE - 30;
    bench.run(30);
    assert_eq!((bench.pmc(1), bench.pmc(2), bench.pmc(5)), (NEGATIVE, 0, 0));
    assert_eq!(
        bench.cpu.spr.mmcr0 & (mmcr0::TRIGGER | mmcr0::FC),
        0,
        "FCECE does not count while it triggers"
    );
}

#[test]
fn a_trigger_needs_no_condition_that_alerts() {
    for quantum in QUANTA {
        let mut bench = Bench::new(&[NOP, branch_back(1)]);
        bench.quantum = quantum;
        bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
        bench.cpu.spr.mmcr0 = mmcr0::TRIGGER | mmcr0::PMAE | mmcr0::CC56RUN;
        bench.cpu.spr.mmcr1 = 0x0202_0202;
        bench.cpu.spr.pmc1 = NEGATIVE - 30;
        bench.run(50);
        assert_eq!((bench.pmc(1), bench.pmc(2), bench.pmc(5)), (NEGATIVE + 20, 20, 20));
        assert_eq!(bench.cpu.spr.mmcr0, mmcr0::PMAE | mmcr0::CC56RUN);
        assert_eq!(bench.taken, []);
    }
}

#[test]
fn a_bit_of_the_time_base_is_an_event() {
    let mut bench = Bench::new(&[NOP, branch_back(1)]);
    bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
    bench.load(0xf00, &[branch_back(0)]);
    // TB bit 55: 256 ticks.
    bench.cpu.spr.mmcr0 = mmcr0::TBEE | mmcr0::PMAE | 1 << 23;
    bench.run(1000);
    assert_eq!(bench.taken, [(Vector::PerformanceMonitor, 256 * INSTRUCTIONS_PER_TICK)]);
}

#[test]
fn problem_state_branches_to_its_handler_on_an_event() {
    for quantum in QUANTA {
        let mut bench = Bench::new(&[NOP, NOP, NOP, branch_back(3)]);
        bench.quantum = quantum;
        bench.load(CODE + 0x100, &[NOP, 0x4c00_0924]);
        bench.cpu.set_msr(msr::SF | msr::ME | msr::PR);
        bench.cpu.spr.fscr = 1 << 7;
        bench.cpu.spr.mmcr0 = mmcr0::CC56RUN | mmcr0::PMAE | mmcr0::PMCJCE | mmcr0::EBE;
        bench.cpu.spr.bescr = bescr::GE | bescr::PME;
        bench.cpu.spr.ebbhr = CODE + 0x100;
        bench.cpu.spr.pmc5 = NEGATIVE - 5;
        bench.run(5);
        assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.ebbrr), (CODE + 0x100, CODE + 4));
        assert_eq!(bench.cpu.spr.bescr, bescr::PMEO);
        assert_eq!(bench.taken, []);
        // rfebb 1, with the exception still there: the branch is taken again, before the next instruction.
        bench.run(2);
        assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.ebbrr), (CODE + 0x100, CODE + 4));
    }
}

#[test]
fn problem_state_may_what_pmcc_says() {
    // (PMCC, SPR, write): what comes of it.
    for (pmcc, spr, write, vector) in [
        (0, 771, false, None),
        (0, 771, true, Some(Vector::Program)),
        (1, 771, false, Some(Vector::FacilityUnavailable)),
        (1, 779, true, Some(Vector::FacilityUnavailable)),
        (2, 775, true, None),
        (2, 780, false, Some(Vector::FacilityUnavailable)),
        (3, 774, true, None),
        (3, 775, false, Some(Vector::FacilityUnavailable)),
        (3, 769, true, None),
    ] {
        let mut bench = Bench::new(&[if write { mtspr(spr, 3) } else { mfspr(spr, 3) }]);
        bench.cpu.set_msr(msr::SF | msr::ME | msr::PR);
        bench.cpu.spr.mmcr0 = mmcr0::FC | pmcc << 18;
        bench.run(1);
        assert_eq!(bench.cpu.regs.nia, vector.map_or(CODE + 4, Vector::offset), "{pmcc} {spr} {write}");
    }
    // Of MMCR0 it sees and changes three bits.
    let mut bench = Bench::new(&[mfspr(779, 4), mtspr(779, 3)]);
    bench.cpu.set_msr(msr::SF | msr::ME | msr::PR);
    let before = mmcr0::FC | mmcr0::FCHV | 2 << 18;
    bench.cpu.spr.mmcr0 = before;
    bench.cpu.regs.gpr[3] = mmcr0::PMAO | mmcr0::FCS;
    bench.run(2);
    assert_eq!(bench.cpu.regs.gpr[4], mmcr0::FC);
    assert_eq!(bench.cpu.spr.mmcr0, before & !mmcr0::FC | mmcr0::PMAO);
}
