//! Data address watchpoints, the completed instruction address breakpoint, and tracing.

use crate::bench::{Bench, CODE, NOP, QUANTA, SC, branch_back, mtspr};
use timebase_cpu::bits::{dawrx, dsisr, msr};
use timebase_cpu::{Model, Vector};

const DATA: u64 = 0x2_0000;
/// ld r4,0(r3); std r4,0(r3); dcbz 0,r3
const LD: u32 = 0xe883_0000;
const STD: u32 = 0xf883_0000;
const DCBZ: u32 = 0x7c00_1fec;
const ANY: u64 = dawrx::WTI | dawrx::ACCESSES | dawrx::STATES;

/// One access at `ea`; whether it raised the interrupt.
fn access(word: u32, ea: u64, prepare: impl Fn(&mut Bench)) -> bool {
    let mut bench = Bench::of(Model::Power9, true, &[word, word]);
    bench.cpu.regs.gpr[3] = ea;
    // The page's translation is cached without the watchpoint, and by somebody who does not have it.
    bench.run(1);
    bench.cpu.regs.nia = CODE;
    bench.cpu.spr.dawr0 = DATA + 16;
    bench.cpu.spr.dawrx0 = ANY;
    prepare(&mut bench);
    bench.run(1);
    let hit = bench.cpu.regs.nia == Vector::DataStorage.offset();
    if hit {
        let store = if word == LD { 0 } else { dsisr::STORE };
        assert_eq!(bench.cpu.spr.dsisr, (dsisr::DAWR | store) as u64);
        assert_eq!(
            (bench.cpu.spr.srr0, bench.cpu.spr.dar),
            (CODE, ea & if word == DCBZ { !127 } else { !0 })
        );
    } else {
        assert_eq!(bench.cpu.regs.nia, CODE + 4);
    }
    hit
}

#[test]
fn a_watchpoint_matches_the_bytes_that_it_covers() {
    for (ea, doublewords, hit) in [
        (DATA + 16, 1, true),
        (DATA + 9, 1, true),
        (DATA + 8, 1, false),
        (DATA + 23, 1, true),
        (DATA + 24, 1, false),
        (DATA + 24, 2, true),
        (DATA + 32, 2, false),
        (DATA + 0x1f8, 64, true),
        // POWER9: not beyond 512 bytes.
        (DATA + 0x200, 64, false),
    ] {
        for word in [LD, STD] {
            let control = ANY | (doublewords - 1) << dawrx::MRD_SHIFT;
            assert_eq!(
                access(word, ea, |bench| bench.cpu.spr.dawrx0 = control),
                hit,
                "{ea:#x} {doublewords}"
            );
        }
    }
    assert!(access(DCBZ, DATA + 0x40, |_| {}), "the block has the doubleword");
    assert!(!access(DCBZ, DATA + 0x80, |_| {}));
}

#[test]
fn a_watchpoint_matches_the_accesses_and_the_state_that_it_is_for() {
    let hit = |word, control, state| {
        access(word, DATA + 16, |bench| {
            bench.cpu.spr.dawrx0 = control;
            bench.cpu.set_msr(msr::SF | msr::ME | state);
        })
    };
    let base = dawrx::WTI;
    assert!(hit(LD, base | dawrx::READ | dawrx::STATES, msr::HV));
    assert!(!hit(LD, base | dawrx::WRITE | dawrx::STATES, msr::HV));
    assert!(hit(STD, base | dawrx::WRITE | dawrx::STATES, msr::HV));
    assert!(!hit(STD, base | dawrx::READ | dawrx::STATES, msr::HV));
    for (state, bit) in [(msr::HV, dawrx::HYPERVISOR), (msr::HV | msr::PR, dawrx::PROBLEM)] {
        assert!(hit(LD, base | dawrx::ACCESSES | bit, state));
        assert!(!hit(LD, base | dawrx::ACCESSES | dawrx::STATES & !bit, state));
    }
    // WT compares MSR[DR], which is 0 here.
    assert!(hit(LD, dawrx::ACCESSES | dawrx::STATES, msr::HV));
    assert!(!hit(LD, dawrx::WT | dawrx::ACCESSES | dawrx::STATES, msr::HV));
}

#[test]
fn a_watchpoint_that_is_written_counts_for_the_next_instruction() {
    for quantum in QUANTA {
        let mut bench =
            Bench::of(Model::Power10, true, &[LD, mtspr(181, 5), mtspr(189, 6), LD, branch_back(0)]);
        bench.load(0x300, &[branch_back(0)]);
        bench.quantum = quantum;
        bench.cpu.regs.gpr[3] = DATA;
        bench.cpu.regs.gpr[5] = DATA;
        bench.cpu.regs.gpr[6] = ANY;
        bench.run(10);
        assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.srr0), (0x300, CODE + 12));
        assert_eq!(bench.cpu.spr.dar, DATA);
    }
}

#[test]
fn ciabr_traces_the_instruction_that_it_names_when_it_has_completed() {
    for quantum in QUANTA {
        let mut bench = Bench::of(Model::Power9, true, &[mtspr(187, 3), NOP, NOP, NOP, branch_back(3)]);
        bench.load(0xd00, &[branch_back(0)]);
        bench.quantum = quantum;
        bench.run(8);
        bench.cpu.regs.nia = CODE;
        bench.cpu.regs.gpr[3] = CODE + 8 | 3;
        bench.run(6);
        assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.srr0), (0xd00, CODE + 12));
        assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, 0x4010_0000);
        assert_eq!(bench.cpu.spr.siar, CODE + 8);
        // In another state it does not count.
        bench.cpu.regs.nia = CODE + 4;
        bench.cpu.set_msr(msr::SF | msr::PR);
        bench.run(8);
        assert_ne!(bench.cpu.regs.nia, 0xd00);
    }
}

#[test]
fn single_steps_and_branches_are_traced() {
    let mut bench = Bench::new(&[NOP, NOP]);
    bench.cpu.set_msr(bench.cpu.regs.msr | msr::SE);
    bench.run(1);
    assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.srr0), (0xd00, CODE + 4));
    assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, 0x4000_0000);
    let mut bench = Bench::new(&[NOP, NOP, branch_back(2)]);
    bench.cpu.set_msr(bench.cpu.regs.msr | msr::BE);
    bench.run(3);
    assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.srr0), (0xd00, CODE));
    // What raises an interrupt does not complete.
    let mut bench = Bench::new(&[SC]);
    bench.cpu.set_msr(bench.cpu.regs.msr | msr::SE);
    bench.run(1);
    assert_eq!(bench.cpu.regs.nia, 0xc00);
}

#[test]
fn a_trace_tells_of_the_storage_access() {
    const LOAD: u64 = 1 << 28;
    const STORE: u64 = 1 << 27;
    for (word, expected) in [
        (NOP, 0),
        (0xe883_0008, LOAD),  // ld r4,8(r3)
        (0xf883_0008, STORE), // std
        (0x7c83_04cc, STORE), // lwat r4,r3,0: it loads and stores
        (0x7c00_1fec, STORE), // dcbz 0,r3
        (0x7c00_1fac, LOAD),  // icbi 0,r3
    ] {
        let mut bench = Bench::of(Model::Power10, false, &[word]);
        let state = bench.cpu.regs.msr | msr::SE;
        let ea = match word {
            NOP => 0,
            _ if word & 0xffff == 8 => DATA + 8,
            _ => DATA,
        };
        // The second time the translation is known.
        for _ in 0..2 {
            bench.cpu.set_msr(state);
            (bench.cpu.regs.nia, bench.cpu.regs.gpr[3], bench.cpu.spr.sdar) = (CODE, DATA, 0);
            bench.run(1);
            assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, 0x4000_0000 | expected, "{word:x}");
            assert_eq!(bench.cpu.spr.sdar, ea, "{word:x}");
        }
    }
}
