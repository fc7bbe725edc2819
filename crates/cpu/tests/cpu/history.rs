//! The history of branches: what is entered, when, and what filters leave.

use crate::bench::{Bench, CODE, NOP, QUANTA, mtspr};
use timebase_cpu::bits::{mmcr0, msr};
use timebase_cpu::{Model, Vector};

const MMCRA: u32 = 786;
const MMCR0: u32 = 795;
const CLRBHRB: u32 = 0x7c00_035c;

/// `mfbhrbe register,entry`
fn mfbhrbe(register: u32, entry: u32) -> u32 {
    31 << 26 | register << 21 | entry << 11 | 302 << 1
}

/// Branches of all forms, one of them not taken: seven instructions.
const BRANCHES: [u32; 17] = [
    0x4800_0008, // b .+8
    NOP,
    0x4082_0008, // bne .+8
    NOP,
    0x4182_0008, // beq .+8: not taken
    0x4800_000d, // bl .+12
    0x4e80_0420, // bctr, to 0x40
    NOP,
    0x4e80_0020, // blr, from 0x20 to 0x18
    NOP,
    NOP,
    NOP,
    NOP,
    NOP,
    NOP,
    NOP,
    NOP,
];

fn bench(model: Model, problem: bool, filter: u64) -> Bench {
    let mut bench = Bench::of(model, false, &BRANCHES);
    bench.cpu.spr.mmcr0 = mmcr0::PMAE;
    bench.cpu.spr.mmcra = filter << 30;
    bench.cpu.regs.ctr = CODE + 0x40;
    if problem {
        bench.cpu.set_msr(msr::SF | msr::ME | msr::PR);
    }
    bench
}

/// The entries, as privileged state reads them, while nothing records.
fn entries(bench: &mut Bench) -> Vec<u64> {
    bench.cpu.set_msr(msr::SF | msr::ME);
    bench.cpu.spr.mmcr0 = mmcr0::FC;
    let mut entries = Vec::new();
    for entry in 0..40 {
        bench.load(0x2_0000, &[mfbhrbe(5, entry)]);
        bench.cpu.regs.nia = 0x2_0000;
        bench.run(1);
        match bench.cpu.regs.gpr[5] {
            0 => break,
            value => entries.push(value.wrapping_sub(CODE)),
        }
    }
    entries
}

#[test]
fn branches_that_are_taken_are_entered_with_the_targets_of_registers() {
    for quantum in QUANTA {
        let mut bench = bench(Model::Power9, false, 0);
        bench.quantum = quantum;
        bench.run(7);
        assert_eq!(entries(&mut bench), [0x42, 0x18, 0x1a, 0x20, 0x14, 8, 0]);
    }
}

#[test]
fn filters_leave_what_the_books_say() {
    for (model, filter, expected) in [
        (Model::Power9, 1, &[0x14][..]),
        (Model::Power9, 2, &[0x42, 0x1a, 8]),
        (Model::Power9, 3, &[0x42, 0x1a, 8]),
        (Model::Power10, 0, &[0x42, 0x18, 0x1a, 0x20, 0x14, 8, 0]),
        (Model::Power10, 1, &[0x14]),
        (Model::Power10, 2, &[0x42, 0x18, 0x1a, 0x20]),
        (Model::Power10, 3, &[8]),
    ] {
        let mut bench = bench(model, true, filter);
        bench.run(7);
        assert_eq!(entries(&mut bench), expected, "{model:?} {filter}");
    }
    // bne+ is predicted by its hint.
    let mut bench = bench(Model::Power9, false, 3);
    bench.load(CODE + 8, &[0x40e2_0008]);
    bench.run(7);
    assert_eq!(entries(&mut bench), [0x42, 0x1a]);
}

#[test]
fn nothing_is_entered_unless_alerts_are_enabled_and_the_state_is_the_right_one() {
    for (model, problem, control, recorded) in [
        (Model::Power9, false, 0, false),
        (Model::Power9, true, mmcr0::PMAE, true),
        (Model::Power9, true, mmcr0::PMAE | mmcr0::FCP, false),
        (Model::Power9, false, mmcr0::PMAE | mmcr0::FCP, true),
        (Model::Power9, true, mmcr0::PMAE | mmcr0::FCPC, false),
        (Model::Power9, true, mmcr0::PMAE | mmcr0::FCPC | mmcr0::FCP, true),
        (Model::Power10, false, mmcr0::PMAE, false),
        (Model::Power10, true, mmcr0::PMAE, true),
    ] {
        let mut bench = bench(model, problem, 0);
        bench.cpu.spr.mmcr0 = control;
        bench.run(7);
        assert_eq!(!entries(&mut bench).is_empty(), recorded, "{model:?} {problem} {control:#x}");
    }
    let mut bench = bench(Model::Power10, true, 0);
    bench.cpu.spr.mmcra = 1 << 37;
    bench.run(7);
    assert_eq!(entries(&mut bench), [0; 0]);
}

#[test]
fn there_are_32_entries_and_an_alert_freezes_them() {
    for quantum in QUANTA {
        // b .+4 sixty times; the alert comes after fifty.
        let mut bench = Bench::new(&[0x4800_0004; 64]);
        bench.load(0xf00, &[0x4800_0004; 4]);
        bench.quantum = quantum;
        bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
        bench.cpu.spr.mmcr0 = mmcr0::PMAE | mmcr0::PMCJCE | mmcr0::CC56RUN;
        bench.cpu.spr.pmc5 = (1 << 31) - 50;
        bench.run(53);
        assert_eq!(bench.taken, [(Vector::PerformanceMonitor, 50)]);
        let expected: Vec<u64> = (0..32).map(|n| 4 * (49 - n)).collect();
        assert_eq!(entries(&mut bench), expected);
    }
}

#[test]
fn the_buffer_is_cleared_and_not_for_problem_state_unless_it_is_lent() {
    let mut bench = bench(Model::Power9, false, 0);
    bench.load(CODE + 0x40, &[CLRBHRB]);
    bench.run(8 - 1);
    assert_eq!(bench.cpu.regs.nia, CODE + 0x44);
    assert_eq!(entries(&mut bench), [0; 0]);
    for (control, vector) in [(0, Some(Vector::FacilityUnavailable)), (mmcr0::BHRBA, None)] {
        for word in [CLRBHRB, mfbhrbe(5, 0)] {
            let mut bench = Bench::new(&[word]);
            bench.cpu.set_msr(msr::SF | msr::ME | msr::PR);
            bench.cpu.spr.mmcr0 = control;
            bench.run(1);
            assert_eq!(bench.cpu.regs.nia, vector.map_or(CODE + 4, Vector::offset));
            assert_eq!(bench.cpu.spr.fscr >> 56, if vector.is_some() { 4 } else { 0 });
        }
    }
}

#[test]
fn recording_begins_and_ends_with_the_instruction_that_says_so() {
    for quantum in QUANTA {
        let words = [0x4800_0004, mtspr(MMCR0, 3), 0x4800_0004, 0x4800_0004, mtspr(MMCR0, 4), 0x4800_0004];
        let mut bench = Bench::new(&words);
        bench.quantum = quantum;
        bench.cpu.regs.gpr[3] = mmcr0::PMAE;
        bench.run(6);
        assert_eq!(entries(&mut bench), [12, 8]);
    }
    let mut bench = Bench::new(&[mtspr(MMCRA, 3), 0x4800_0004]);
    bench.cpu.regs.gpr[3] = 1 << 30;
    bench.cpu.spr.mmcr0 = mmcr0::PMAE;
    bench.run(2);
    assert_eq!(entries(&mut bench), [0; 0]);
}
