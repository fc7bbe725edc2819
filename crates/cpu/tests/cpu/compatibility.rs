//! The processor compatibility register takes newer instructions from problem state.

use crate::bench::{Bench, CODE};
use timebase_cpu::bits::msr;
use timebase_cpu::{Model, Vector};

/// An instruction of each version: mulli, dadd, popcntd, xxlor, mfvsrd, darn, brd, xxsetaccz, pnop's prefix.
const OF_VERSIONS: [(u64, u32); 8] = [
    (100, 0x1c63_0002),
    (205, 0xec00_0004),
    (206, 0x7c63_03f4),
    (206, 0xf000_0490),
    (207, 0x7c03_0066),
    (300, 0x7c60_05e6),
    (310, 0x7c63_0176),
    (310, 0x7c03_0162),
];
const XXSETACCZ: u32 = 0x7c03_0162;

#[test]
fn problem_state_has_the_instructions_of_the_version_that_pcr_names() {
    for (model, pcr, newest) in [
        (Model::Power9, 0, 300),
        (Model::Power9, 8, 207),
        (Model::Power9, 4, 206),
        (Model::Power9, 2, 205),
        (Model::Power9, 0xe, 205),
        (Model::Power10, 0, 310),
        (Model::Power10, 0x10, 300),
        (Model::Power10, 8, 207),
        (Model::Power10, 0x1e, 205),
    ] {
        for (version, word) in OF_VERSIONS {
            for state in [msr::PR | msr::HV, msr::HV] {
                let mut bench = Bench::of(model, true, &[word]);
                bench.cpu.set_msr(msr::SF | msr::FP | msr::VEC | msr::VSX | state);
                bench.cpu.spr.pcr = pcr;
                bench.cpu.spr.hfscr = u64::MAX;
                bench.run(1);
                let limit = if state & msr::PR != 0 { newest } else { u64::from(model.level()) };
                let there = version <= limit.min(model.level().into());
                let expected = if there { CODE + 4 } else { Vector::HypervisorEmulationAssistance.offset() };
                let got = bench.cpu.regs.nia;
                assert_eq!(got, expected, "{model:?} {pcr:#x} {state:#x} {word:x} of {version}");
                if !there {
                    assert_eq!((bench.cpu.spr.hsrr0, bench.cpu.spr.heir), (CODE, word.into()));
                }
            }
        }
    }
}

#[test]
fn pcr_takes_the_matrix_multiply_assist_away_alone() {
    for (word, there) in [(XXSETACCZ, false), (0x7c63_0176, true)] {
        let mut bench = Bench::of(Model::Power10, true, &[word]);
        bench.cpu.set_msr(msr::SF | msr::VSX | msr::PR | msr::HV);
        bench.cpu.spr.pcr = 1 << 60;
        bench.run(1);
        assert_eq!(bench.cpu.regs.nia == CODE + 4, there, "{word:x}");
    }
}
