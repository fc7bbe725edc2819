//! Numbers that name no special purpose register (Power ISA 3.0B Book III 5.4.4, `mtspr` and `mfspr`).

use crate::bench::{Bench, CODE, mfspr, mtspr};
use timebase_cpu::bits::msr;
use timebase_cpu::{Model, Register, Vector};

#[test]
fn a_number_of_no_register_does_what_its_upper_bit_and_the_state_say() {
    const PRIVILEGED: u64 = 1 << 18;
    const ILLEGAL: u64 = 1 << 19;
    for (number, write, problem, cause) in [
        // Privileged state: nothing happens, but for the numbers that older CPUs used in other ways.
        (1000, false, false, 0),
        (1000, true, false, 0),
        (0, false, false, ILLEGAL),
        (0, true, false, ILLEGAL),
        (4, false, false, ILLEGAL),
        (6, false, false, ILLEGAL),
        (4, true, false, 0),
        // Problem state.
        (1000, false, true, ILLEGAL),
        (1016, false, true, PRIVILEGED),
        (1016, true, true, PRIVILEGED),
    ] {
        let mut bench = Bench::of(Model::Power9, false, &[(if write { mtspr } else { mfspr })(number, 3)]);
        bench.cpu.regs.gpr[3] = 77;
        bench.cpu.set_msr(msr::SF | msr::ME | if problem { msr::PR } else { 0 });
        bench.run(1);
        assert_eq!(bench.cpu.regs.gpr[3], 77);
        let expected = if cause == 0 { CODE + 4 } else { Vector::Program.offset() };
        assert_eq!(bench.cpu.regs.nia, expected, "{number} {write} {problem}");
        assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, cause);
    }
}

/// Who may use a register.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
enum Who {
    Anybody,
    Privileged,
    Hypervisor,
    Nobody,
}
use Who::{Anybody as U, Hypervisor as H, Nobody as N, Privileged as S};

/// The numbers of the books ("SPR encodings" of Power ISA 3.0B and 3.1), and of the POWER9 user's manual: number, who
/// may read it, who may write it, the level it comes with (30 or 31; 29: POWER9 alone).
const PUBLISHED: &[(u32, Who, Who, u32)] = &[
    (1, U, U, 30),
    (3, U, U, 30),
    (8, U, U, 30),
    (9, U, U, 30),
    (13, U, U, 30),
    (17, S, S, 30),
    (18, S, S, 30),
    (19, S, S, 30),
    (22, S, S, 30),
    (26, S, S, 30),
    (27, S, S, 30),
    (28, S, S, 30),
    (29, S, S, 30),
    (48, S, S, 30),
    (61, S, S, 30),
    (128, U, U, 29),
    (129, U, U, 29),
    (130, U, U, 29),
    (131, U, U, 29),
    (136, U, N, 30),
    (144, S, S, 29),
    (152, N, S, 30),
    (153, S, S, 30),
    (157, S, S, 30),
    (159, S, S, 30),
    (176, S, H, 30),
    (180, H, H, 30),
    (181, H, H, 31),
    (186, H, H, 30),
    (187, H, H, 30),
    (188, H, H, 30),
    (189, H, H, 31),
    (190, H, H, 30),
    (256, U, U, 30),
    (259, U, N, 30),
    (268, U, N, 30),
    (269, U, N, 30),
    (272, S, S, 30),
    (273, S, S, 30),
    (274, S, S, 30),
    (275, S, S, 30),
    (276, H, H, 30),
    (277, H, H, 30),
    (283, S, N, 30),
    (284, N, H, 30),
    (285, N, H, 30),
    (286, N, H, 30),
    (287, S, N, 30),
    (304, H, H, 30),
    (305, H, H, 30),
    (306, H, H, 30),
    (307, H, H, 30),
    (308, S, H, 30),
    (309, S, H, 30),
    (310, H, H, 30),
    (313, H, H, 30),
    (314, H, H, 30),
    (315, H, H, 30),
    (317, H, H, 30),
    (318, H, H, 30),
    (319, H, H, 30),
    (336, H, H, 30),
    (337, H, H, 30),
    (338, H, H, 30),
    (339, H, H, 30),
    (349, H, H, 30),
    (446, S, N, 30),
    (455, U, N, 31),
    (464, H, H, 30),
    (468, S, S, 31),
    (469, H, H, 31),
    (471, H, H, 31),
    (736, U, N, 31),
    (737, U, N, 31),
    (738, U, N, 31),
    (752, S, S, 31),
    (753, S, S, 31),
    (754, S, S, 31),
    (768, U, N, 30),
    (769, U, U, 30),
    (770, U, U, 30),
    (771, U, U, 30),
    (772, U, U, 30),
    (773, U, U, 30),
    (774, U, U, 30),
    (775, U, U, 30),
    (776, U, U, 30),
    (779, U, U, 30),
    (780, U, N, 30),
    (781, U, N, 30),
    (782, U, N, 30),
    (784, S, S, 30),
    (785, S, S, 30),
    (786, S, S, 30),
    (787, S, S, 30),
    (788, S, S, 30),
    (789, S, S, 30),
    (790, S, S, 30),
    (791, S, S, 30),
    (792, S, S, 30),
    (795, S, S, 30),
    (796, S, S, 30),
    (797, S, S, 30),
    (798, S, S, 30),
    (800, U, U, 30),
    (801, U, U, 30),
    (802, U, U, 30),
    (803, U, U, 30),
    (804, U, U, 30),
    (805, U, U, 30),
    (806, U, U, 30),
    (808, U, U, 30),
    (809, U, U, 30),
    (810, U, U, 30),
    (811, U, U, 30),
    (812, U, N, 31),
    (815, U, U, 30),
    (816, H, H, 30),
    (823, S, S, 30),
    (828, S, S, 31),
    (848, S, H, 30),
    (849, S, H, 30),
    (850, H, H, 30),
    (851, H, H, 30),
    (852, H, H, 30),
    (853, H, N, 30),
    (854, H, H, 30),
    (855, H, H, 30),
    (861, N, H, 30),
    (880, N, S, 30),
    (881, N, S, 30),
    (882, N, S, 30),
    (884, H, H, 30),
    (885, H, H, 30),
    (895, S, S, 30),
    (896, U, U, 30),
    (898, U, U, 30),
    (921, H, H, 30),
    (922, H, H, 30),
    (1008, H, H, 30),
    (1009, H, H, 30),
    (1012, H, H, 30),
    (1014, H, H, 30),
    (1023, S, N, 30),
];

/// What POWER9 and POWER10 have of a number: who may read and write it.
fn published(model: Model, number: u32) -> (Who, Who) {
    let has = |level: u32| level == 30 || (level == 31) == (model == Model::Power10);
    let found = PUBLISHED.iter().find(|row| row.0 == number && has(row.3));
    found.map_or((N, N), |&(_, read, write, _)| (read, write))
}

/// What an access to SPR `number` in a state does: reads or writes it, nothing, or interrupts.
#[derive(PartialEq, Eq, Debug)]
enum Effect {
    /// The register is read or written.
    Access,
    Nothing,
    Interrupt(Vector, u64),
}

fn expected(number: u32, write: bool, allowed: bool, problem: bool, hypervisor: bool) -> Effect {
    let illegal = if hypervisor {
        Effect::Interrupt(Vector::HypervisorEmulationAssistance, 0)
    } else {
        Effect::Interrupt(Vector::Program, 1 << 19)
    };
    match number {
        808..=811 => Effect::Nothing,
        _ if allowed => Effect::Access,
        _ if problem && number & 16 != 0 => Effect::Interrupt(Vector::Program, 1 << 18),
        _ if problem => illegal,
        0 => illegal,
        4..=6 if !write => illegal,
        _ => Effect::Nothing,
    }
}

/// What it does here.
fn observed(bench: &mut Bench, number: u32, write: bool) -> Effect {
    const MARK: u64 = 0x5aa5_0ff0_1234_4327;
    bench.cpu.regs.gpr[3] = MARK;
    let before = bench.cpu.stored(Register::Spr(number as u16));
    bench.run(1);
    let done = bench.cpu.stored(Register::Spr(number as u16)) != before || bench.cpu.regs.gpr[3] != MARK;
    match bench.cpu.regs.nia {
        next if next == CODE + 4 && done => Effect::Access,
        next if next == CODE + 4 => {
            assert!(write || bench.cpu.regs.gpr[3] == MARK);
            Effect::Nothing
        }
        handler => {
            let vector = Vector::ALL.iter().find(|vector| vector.offset() == handler).expect("a vector");
            let program = *vector == Vector::Program;
            let cause = if program { bench.cpu.spr.srr1 } else { bench.cpu.spr.hsrr1 };
            Effect::Interrupt(*vector, cause & 0x783f_0000)
        }
    }
}

#[test]
fn every_number_is_for_those_whom_the_books_name() {
    let states = [(msr::HV, H, false), (0, S, false), (msr::PR, U, true), (msr::HV | msr::PR, U, true)];
    for model in [Model::Power9, Model::Power10] {
        let mut bench = Bench::of(model, false, &[]);
        for number in 0..1024 {
            let (read, write) = published(model, number);
            for ((state, who, problem), writes) in states.into_iter().flat_map(|s| [(s, false), (s, true)]) {
                let word = if writes { mtspr } else { mfspr }(number, 3);
                let hypervisor = state & msr::HV != 0;
                bench.turn_on(hypervisor, &[word]);
                bench.cpu.spr.fscr = u64::MAX;
                (bench.cpu.spr.amor, bench.cpu.spr.uamor) = (u64::MAX, u64::MAX);
                bench.cpu.spr.ctrl = 0;
                bench
                    .cpu
                    .set_msr(msr::SF | msr::ME | state | if model == Model::Power9 { msr::TM } else { 0 });
                let allowed = if writes { write } else { read } <= who;
                let wanted = expected(number, writes, allowed, problem, hypervisor);
                // MMCR0[PMCC] has a say in these, which performance.rs tests.
                if problem && allowed && matches!(number, 736..=738 | 768..=798) {
                    continue;
                }
                let seen = observed(&mut bench, number, writes);
                // Views of parts of other registers, HMER, which a write can only clear, and IC, which counts.
                let unseen = matches!(number, 131 | 284 | 285 | 286 | 336 | 800..=803 | 848 | 898);
                if writes && unseen && seen != wanted {
                    assert!(matches!(
                        (&seen, &wanted),
                        (Effect::Nothing, Effect::Access) | (Effect::Access, Effect::Nothing)
                    ));
                    continue;
                }
                assert_eq!(seen, wanted, "{model:?}: {number}, write {writes}, state {state:x}");
            }
        }
    }
}

#[test]
fn reserved_bits_read_as_0_and_the_others_as_written() {
    /// Registers whose content is not what was written to them: time, counters, what limits or consumes writes; and HRMOR,
    /// which moves the code.
    const OTHERS: &[u32] = &[
        22, 176, 268, 269, 284, 285, 286, 308, 309, 310, 313, 317, 336, 800, 801, 802, 803, 808, 809, 810,
        811, 848, 849,
    ];
    /// Bits that are implemented where not all 64 are: number, POWER9, POWER10.
    const BITS: &[(u32, u64, u64)] = &[
        (1, 0xe00c_ff7f, 0xe00c_ff7f),
        (3, 0x1ff_ffff, 0x1ff_ffff),
        (17, 0x1ff_ffff, 0x1ff_ffff),
        (18, 0xffff_ffff, 0xffff_ffff),
        (48, 0xf_ffff, 0xf_ffff),
        (61, 0x5555_5555_5555_5555, 0x5555_5555_5555_5555),
        (128, !3, 0),
        (131, 0xffff_ffff, 0),
        (144, 0xffff, 0),
        (153, 0xff00_0000_0000_1184, 0xff00_0000_0000_3184),
        (159, 0xffff_ffff, 0xffff_ffff),
        (180, !7, !7),
        (181, 0, !7),
        (188, 0xfcff, 0xfcff),
        (189, 0, 0xfcff),
        (190, 0xff00_0000_0000_05bf, 0xff00_0000_0000_259f),
        (256, 0xffff_ffff, 0xffff_ffff),
        (306, 0xffff_ffff, 0xffff_ffff),
        (313, 0xf_ffff_fff0_0000, 0xf_ffff_fff0_0000),
        (318, 0x7070_4000_03f7_fe1b, 0x7070_4000_07f7_fe1b),
        (319, 0xfff, 0xfff),
        (338, 0xe, 0x1000_0000_0000_001e),
        (339, 0xffff_ffff, u64::MAX),
        (464, 0xfff_ffff_ffff_f01f, 0xfff_ffff_ffff_f01f),
        (785, 0xfe7f_3f9f_cfe7_f000, 0xfe7f_3f9f_cfe7_f000),
        (787, 0xffff_ffff, 0xffff_ffff),
        (788, 0xffff_ffff, 0xffff_ffff),
        (789, 0xffff_ffff, 0xffff_ffff),
        (790, 0xffff_ffff, 0xffff_ffff),
        (791, 0xffff_ffff, 0xffff_ffff),
        (792, 0xffff_ffff, 0xffff_ffff),
        (795, 0xfffc_f9bf, 0xfffc_fbbf),
        (804, !3, !3),
        (805, !3, !3),
        (806, 0x8000_0003_c000_0003, 0x8000_0003_0000_0003),
        (823, 0x30_03ff, 0x30_03ff),
        (851, 0xffff_ffff, 0xffff_ffff),
        (855, 0x7f_03ff, 0x7f_03ff),
        (896, 0x1c_0000_0000_0000, 0x1c_0000_0000_0000),
        (898, 0x1c_0000, 0x1c_0000),
        (921, 0xffff_ffff, 0xffff_ffff),
    ];
    for (model, column) in [(Model::Power9, 0), (Model::Power10, 1)] {
        let mut bench = Bench::of(model, true, &[]);
        for number in 0..1024 {
            let (read, write) = published(model, number);
            // Problem state's numbers of the performance monitor show less.
            if read == N || write == N || OTHERS.contains(&number) || (768..=782).contains(&number) {
                continue;
            }
            for value in [u64::MAX, 0x0123_4567_89ab_cdef, 0] {
                bench.turn_on(true, &[mtspr(number, 3), mfspr(number, 4)]);
                bench.cpu.set_msr(msr::SF | msr::ME | msr::HV | if column == 0 { msr::TM } else { 0 });
                bench.cpu.spr.mmcr0 = 0x8000_0000;
                bench.cpu.regs.gpr[3] = value;
                bench.run(2);
                let bits =
                    BITS.iter().find(|row| row.0 == number).map_or(u64::MAX, |row| [row.1, row.2][column]);
                assert_eq!(bench.cpu.regs.gpr[4], value & bits, "{model:?}: {number} of {value:x}");
            }
        }
    }
}
