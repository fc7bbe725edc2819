//! Every interrupt of the book: what it saves where, the MSR that it makes, and where its handler is.

use crate::bench::{Bench, CODE, NOP, RFID};
use timebase_cpu::bits::{lpcr, msr, psscr};
use timebase_cpu::{Model, Vector};
use timebase_memory::Writer;

const DATA: u64 = 0x2_0000;
/// What SRR1 has of the interrupt: bits 33:36 and 42:47.
const CAUSE: u64 = 0x783f_0000;
const LD: u32 = 0xe883_0000; // ld r4,0(r3)
const STD: u32 = 0xf883_0000;
const PLD: [u32; 2] = [0x0400_0000, 0xe483_0000]; // pld r4,0(r3)

/// An instruction that raises a synchronous interrupt.
struct Raise {
    words: &'static [u32],
    model: Model,
    hypervisor: bool,
    /// Beside SF and ME (and HV if there is a hypervisor).
    msr: u64,
    vector: Vector,
    /// In SRR1 or HSRR1.
    cause: u64,
    /// The instruction has completed: the next one is saved.
    completed: bool,
}

const ALL: u64 = msr::FP | msr::VEC | msr::VSX;

const fn raise(words: &'static [u32], msr: u64, vector: Vector, cause: u64) -> Raise {
    Raise { words, model: Model::Power10, hypervisor: false, msr, vector, cause, completed: false }
}

/// Instructions with their interrupts. Alignment, storage and machine checks are below and in their own files.
const RAISES: [Raise; 19] = [
    raise(&[0], 0, Vector::Program, 1 << 19),
    Raise { hypervisor: true, ..raise(&[0], 0, Vector::HypervisorEmulationAssistance, 0) },
    raise(&[0x0400_0000, 0], 0, Vector::Program, 1 << 19 | 1 << 29), // no such pair
    Raise { hypervisor: true, ..raise(&[0x0400_0000, 0], 0, Vector::HypervisorEmulationAssistance, 1 << 29) },
    Raise { model: Model::Power9, ..raise(&[0x0400_0000, 0], 0, Vector::Program, 1 << 19) },
    raise(&[0x7c60_00a6], msr::PR, Vector::Program, 1 << 18), // mfmsr
    raise(&[0x4c00_0224], 0, Vector::Program, 1 << 18),       // hrfid
    raise(&[0x7fe0_0008], 0, Vector::Program, 1 << 17),       // trap
    raise(&[0xfc00_082a], 0, Vector::FloatingPointUnavailable, 0), // fadd
    raise(&[0x0600_0000, 0xc803_0000], 0, Vector::FloatingPointUnavailable, 1 << 29), // plfd
    raise(&[0x1000_0000], msr::FP | msr::VSX, Vector::VectorUnavailable, 0), // vaddubm
    raise(&[0xf000_0490], msr::FP | msr::VEC, Vector::VsxUnavailable, 0), // xxlor
    raise(&[0x0400_0000, 0xc803_0000], ALL ^ msr::VSX, Vector::VsxUnavailable, 1 << 29), // plxv
    Raise { completed: true, ..raise(&[0x4400_0002], 0, Vector::SystemCall, 0) },
    Raise { completed: true, hypervisor: true, ..raise(&[0x4400_0022], 0, Vector::SystemCall, 1 << 20) },
    raise(&[0x4c00_0460], msr::PR, Vector::FacilityUnavailable, 0), // bctar
    raise(&[0x7c63_02a6], msr::PR, Vector::FacilityUnavailable, 0), // mfspr DSCR
    raise(&[0x0600_0000, 0x3860_0001], msr::PR, Vector::FacilityUnavailable, 1 << 29), // paddi
    raise(&[0x4400_0001], msr::PR, Vector::FacilityUnavailable, 0), // scv 0
];

#[test]
fn synchronous_interrupts_save_what_the_book_says() {
    for raise in RAISES {
        let mut bench = Bench::of(raise.model, raise.hypervisor, raise.words);
        let hv = if raise.hypervisor { msr::HV } else { 0 };
        let state = msr::SF | msr::ME | msr::RI | msr::EE | msr::FE0 | hv | raise.msr;
        bench.cpu.set_msr(state);
        bench.cpu.regs.gpr[3] = DATA;
        bench.cpu.spr.fscr = 0;
        bench.run(1);
        let what = format!("{:x?} {:?}", raise.words, raise.vector);
        assert_eq!(bench.cpu.regs.nia, raise.vector.offset(), "{what}");
        let spr = &bench.cpu.spr;
        // What saves into HSRR0 and HSRR1 leaves RI alone.
        let (saved, recoverable) = match raise.vector {
            Vector::HypervisorEmulationAssistance => ((spr.hsrr0, spr.hsrr1), msr::RI),
            _ => ((spr.srr0, spr.srr1), 0),
        };
        let resume = CODE + if raise.completed { 4 } else { 0 };
        assert_eq!(saved, (resume, state & !CAUSE | raise.cause), "{what}");
        assert_eq!(bench.cpu.regs.msr, msr::SF | msr::ME | recoverable | hv, "{what}");
    }
}

#[test]
fn a_prefixed_pair_across_64_bytes_is_an_alignment_interrupt() {
    for (at, vector) in [(60, Some(Vector::Alignment)), (56, None), (64, None)] {
        let mut bench = Bench::of(Model::Power10, false, &[]);
        bench.load(CODE + at, &PLD);
        bench.cpu.regs.gpr[3] = DATA;
        bench.cpu.regs.nia = CODE + at;
        bench.run(1);
        assert_eq!(bench.cpu.regs.nia, vector.map_or(CODE + at + 8, Vector::offset));
        if vector.is_some() {
            assert_eq!((bench.cpu.spr.srr0, bench.cpu.spr.dar), (CODE + at, CODE + at));
        }
    }
}

#[test]
fn alignment_interrupts_name_the_address() {
    for (words, offset) in [
        (&[0x7c80_1828][..], 2),          // lwarx r4,0,r3
        (&[0x7c80_18a8], 4),              // ldarx
        (&[0x7c80_192d], 2),              // stwcx.
        (&[0x7c80_19ad], 4),              // stdcx.
        (&[0x7c80_1a28], 8),              // lqarx
        (&[0x7c80_196d], 8),              // stqcx.
        (&[0xe083_0000], 8),              // lq r4,0(r3)
        (&[0xf883_0002], 8),              // stq
        (&[0x7c20_1e0c], 8),              // copy 0,r3
        (&[0x7c83_04cc], 2),              // lwat r4,r3,0
        (&[0x7c83_05cc], 4),              // stdat? ldat's store
        (&[0x0400_0000, 0xe083_0000], 8), // plq
    ] {
        let mut bench = Bench::of(Model::Power10, false, words);
        bench.cpu.regs.gpr[3] = DATA + offset;
        bench.run(1);
        assert_eq!(bench.cpu.regs.nia, Vector::Alignment.offset(), "{words:x?}");
        assert_eq!((bench.cpu.spr.dar, bench.cpu.spr.srr0), (DATA + offset, CODE), "{words:x?}");
        let prefixed = if words.len() == 2 { 1 << 29 } else { 0 };
        assert_eq!(bench.cpu.spr.srr1 & CAUSE, prefixed, "{words:x?}");
    }
}

#[test]
fn a_multiple_or_string_access_in_little_endian_mode_is_an_alignment_interrupt() {
    for word in [0xb883_0000u32, 0xbc83_0000, 0x7c83_24aa, 0x7c83_25aa] {
        for (little, vector) in [(false, None), (true, Some(Vector::Alignment))] {
            let mut bench = Bench::new(&[if little { word.swap_bytes() } else { word }]);
            bench.cpu.set_msr(msr::SF | msr::ME | if little { msr::LE } else { 0 });
            bench.cpu.regs.gpr[3] = DATA;
            bench.run(1);
            assert_eq!(bench.cpu.regs.nia, vector.map_or(CODE + 4, Vector::offset), "{word:x}");
        }
    }
}

/// Where the handler of `vector` is and the relocation that it runs with, if the interrupt comes in this state.
fn location(model: Model, vector: Vector, state: u64, control: u64) -> (u64, bool) {
    let mut bench = Bench::of(model, true, &[NOP, NOP]);
    bench.cpu.spr.lpcr = control;
    bench.cpu.set_msr(msr::SF | state);
    match vector {
        Vector::SystemReset => bench.cpu.system_reset = true,
        Vector::HypervisorMaintenance => (bench.cpu.spr.hmer, bench.cpu.spr.hmeer) = (1, 1),
        Vector::Decrementer => bench.cpu.set_dec(u64::MAX, bench.now()),
        Vector::DirectedHypervisorDoorbell => bench.cpu.hypervisor_doorbell = true,
        _ => panic!("{vector:?}"),
    }
    let now = bench.now();
    bench.cpu.look(now);
    assert_eq!(bench.cpu.take_interrupt(), Some(vector));
    (bench.cpu.regs.nia - vector.offset(), bench.cpu.regs.msr & (msr::IR | msr::DR) == msr::IR | msr::DR)
}

const AIL3: u64 = 3 << 23;
const ABOVE: (u64, bool) = (0xc000_0000_0000_4000, true);
const LOW: (u64, bool) = (0, false);

#[test]
fn handlers_are_where_ail_and_hail_say() {
    use Model::{Power9, Power10};
    let on = msr::EE | msr::IR | msr::DR;
    let (guest, host) = (on, on | msr::HV);
    let doorbell = Vector::DirectedHypervisorDoorbell;
    for (model, vector, state, control, expected) in [
        (Power9, Vector::Decrementer, host, AIL3, ABOVE),
        (Power9, Vector::Decrementer, guest, AIL3, ABOVE),
        (Power9, Vector::Decrementer, guest, 2 << 23, (0x1_8000, true)),
        (Power9, Vector::Decrementer, guest, 0, LOW),
        (Power9, Vector::Decrementer, guest ^ msr::IR, AIL3, LOW),
        (Power9, Vector::Decrementer, host ^ msr::DR, AIL3, LOW),
        // From a guest to the hypervisor: only if the guest's tree is radix.
        (Power9, doorbell, guest, AIL3, LOW),
        (Power9, doorbell, guest, AIL3 | lpcr::HR, ABOVE),
        (Power9, doorbell, host, AIL3, ABOVE),
        // Those that want to be real.
        (Power9, Vector::SystemReset, host, AIL3, LOW),
        (Power9, Vector::HypervisorMaintenance, host, AIL3, LOW),
        (Power10, Vector::HypervisorMaintenance, host, lpcr::HAIL, LOW),
        // HAIL for the hypervisor, AIL for guests.
        (Power10, Vector::Decrementer, host, AIL3, LOW),
        (Power10, Vector::Decrementer, host, lpcr::HAIL, ABOVE),
        (Power10, Vector::Decrementer, guest, AIL3, ABOVE),
        (Power10, Vector::Decrementer, guest, lpcr::HAIL, LOW),
        (Power10, Vector::Decrementer, guest, 2 << 23, LOW),
        (Power10, doorbell, guest, lpcr::HAIL, ABOVE),
        (Power10, doorbell, guest ^ on | msr::EE, lpcr::HAIL, ABOVE),
        (Power10, doorbell, msr::HV | msr::EE, lpcr::HAIL, LOW),
        (Power10, doorbell, guest, AIL3, LOW),
    ] {
        let got = location(model, vector, state, control);
        assert_eq!(got, expected, "{model:?} {vector:?} {state:#x} {control:#x}");
    }
}

#[test]
fn handlers_have_the_byte_order_of_ile_or_hile() {
    for (hypervisor, ile, hile, little) in [
        (false, true, false, true),
        (false, false, true, false),
        (true, true, false, false),
        (true, false, true, true),
    ] {
        let mut bench = Bench::of(Model::Power9, hypervisor, &[0x7fe0_0008]);
        bench.cpu.spr.lpcr = if ile { lpcr::ILE } else { 0 };
        bench.cpu.spr.hid0 = if hile { 1 << 59 } else { 0 };
        bench.run(1);
        assert_eq!(bench.cpu.regs.msr & msr::LE != 0, little, "{hypervisor} {ile} {hile}");
    }
}

#[test]
fn stop_is_left_for_what_pece_lets_with_its_reason() {
    const NO_LOSS: u64 = 1 << 16;
    type Wake = fn(&mut Bench);
    let causes: [(u64, u64, Wake); 6] = [
        (lpcr::PECE_VIRTUALIZATION, 0b1001, |bench| bench.cpu.virtualization = true),
        (lpcr::PECE_EXTERNAL, 0b1000, |bench| bench.cpu.external = true),
        (lpcr::PECE_DECREMENTER, 0b0110, |bench| bench.cpu.set_dec(u64::MAX, bench.now())),
        (lpcr::PECE_DOORBELL, 0b0101, |bench| bench.cpu.doorbell = true),
        (lpcr::PECE_HYPERVISOR_DOORBELL, 0b0011, |bench| bench.cpu.hypervisor_doorbell = true),
        (lpcr::PECE_MAINTENANCE, 0b1010, |bench| (bench.cpu.spr.hmer, bench.cpu.spr.hmeer) = (1, 1)),
    ];
    for (enable, reason, wake) in causes {
        let rest = |control: u64, criterion: u64| {
            let mut bench = Bench::of(Model::Power9, true, &[NOP]);
            bench.cpu.spr.lpcr = control;
            bench.cpu.spr.psscr = criterion;
            wake(&mut bench);
            let now = bench.now();
            bench.cpu.look(now);
            bench
        };
        let mut bench = rest(enable, psscr::EC);
        assert!(bench.cpu.wakes());
        bench.cpu.leave_stop();
        assert_eq!(bench.cpu.regs.nia, Vector::SystemReset.offset());
        assert_eq!(
            (bench.cpu.spr.srr0, bench.cpu.spr.srr1 & CAUSE),
            (CODE, reason << 18 | NO_LOSS),
            "{reason:#b}"
        );
        assert!(!rest(0, psscr::EC).cpu.wakes(), "{reason:#b}: not let");
        // Without EC anything that is pending ends it, and the thread goes on.
        let mut bench = rest(0, 0);
        assert!(bench.cpu.wakes());
        bench.cpu.leave_stop();
        assert_eq!(bench.cpu.regs.nia, CODE);
    }
    // A system reset always does.
    let mut bench = Bench::of(Model::Power9, true, &[NOP]);
    bench.cpu.spr.psscr = psscr::EC;
    bench.cpu.system_reset = true;
    let now = bench.now();
    bench.cpu.look(now);
    bench.cpu.leave_stop();
    assert_eq!(bench.cpu.spr.srr1 & CAUSE, 0b0100 << 18 | NO_LOSS);
    assert!(!bench.cpu.system_reset);
}

#[test]
fn scv_goes_to_its_own_vectors_and_rfscv_comes_back() {
    for model in [Model::Power9, Model::Power10] {
        let mut bench = Bench::of(model, false, &[0x4400_0001 | 3 << 5]);
        // In real mode AIL does not count.
        bench.cpu.spr.lpcr = AIL3;
        bench.cpu.spr.fscr = 1 << 12;
        let state = msr::SF | msr::ME | msr::EE | msr::RI | msr::PR | msr::FP;
        bench.cpu.set_msr(state);
        bench.load(0x1_7060, &[0x4c00_00a4]);
        bench.run(1);
        assert_eq!(bench.cpu.regs.nia, 0x1_7060);
        assert_eq!((bench.cpu.regs.lr, bench.cpu.regs.ctr), (CODE + 4, state));
        assert_eq!(bench.cpu.regs.msr, msr::SF | msr::ME | msr::EE | msr::RI, "EE and RI stay");
        assert_eq!((bench.cpu.spr.srr0, bench.cpu.spr.srr1), (0, 0));
        bench.run(1);
        assert_eq!((bench.cpu.regs.nia, bench.cpu.regs.msr), (CODE + 4, state | msr::IR | msr::DR));
    }
}

#[test]
fn illegal_words_are_counted_for_the_report() {
    use timebase_cpu::Engine;
    for hypervisor in [false, true] {
        let mut bench = Bench::of(Model::Power9, hypervisor, &[0, RFID]);
        for vector in [0x700, 0xe40] {
            bench.load(vector, &[0]);
        }
        bench.run(5);
        assert_eq!(bench.engine.counters()["illegal_instructions"], 5);
        let name = if hypervisor { "hypervisor-emulation-assistance" } else { "program" };
        assert_eq!(bench.engine.exceptions()[name], 5);
    }
}

#[test]
fn quadwords_are_in_the_byte_order_of_the_thread() {
    const VALUE: [u64; 2] = [0x0011_2233_4455_6677, 0x8899_aabb_ccdd_eeff];
    // (load, store, even register first)
    for (load, store) in [(0xe083_0000u32, 0xf883_0002u32), (0x7c80_1a28, 0x7c80_196d)] {
        for little in [false, true] {
            let words = [load, store].map(|word| if little { word.swap_bytes() } else { word });
            let mut bench = Bench::new(&words);
            bench.cpu.set_msr(msr::SF | msr::ME | if little { msr::LE } else { 0 });
            bench.cpu.regs.gpr[3] = DATA;
            for (n, value) in VALUE.into_iter().enumerate() {
                bench.memory.store_u64(DATA + 8 * n as u64, value, Writer::Other).expect("RAM");
            }
            bench.run(1);
            let expected = if little { [VALUE[1].swap_bytes(), VALUE[0].swap_bytes()] } else { VALUE };
            assert_eq!(bench.cpu.regs.gpr[4..6], expected, "{load:x} {little}");
            bench.cpu.regs.gpr[4] ^= 1;
            bench.run(1);
            let changed = if little { VALUE[1] ^ 1 << 56 } else { VALUE[0] ^ 1 };
            let at = DATA + if little { 8 } else { 0 };
            assert_eq!(bench.memory.read_u64(at).expect("RAM"), changed, "{store:x} {little}");
        }
    }
}

#[test]
fn a_fetch_is_never_said_to_be_prefixed_and_data_accesses_are() {
    for (words, prefixed) in [(&[LD][..], 0), (&[STD], 0), (&PLD, 1 << 29)] {
        let mut bench = Bench::of(Model::Power10, false, words);
        bench.cpu.regs.gpr[3] = 1 << 40;
        bench.run(1);
        assert_eq!(bench.cpu.regs.nia, Vector::MachineCheck.offset());
        assert_eq!(bench.cpu.spr.srr1 & CAUSE, 1 << 21 | prefixed);
    }
}

/// A facility that HFSCR lends: its bit, an instruction, and the model that has it.
const LENT: [(u8, &[u32], Model); 11] = [
    (0, &[0xfc00_082a], Model::Power9),                // fadd
    (0, &[0xc803_0000], Model::Power9),                // lfd
    (1, &[0x1000_0000], Model::Power9),                // vaddubm
    (1, &[0xf000_0490], Model::Power9),                // xxlor
    (2, &[0x7c63_02a6], Model::Power9),                // mfspr DSCR
    (3, &[0x7c63c2a6], Model::Power9),                 // mfspr PMC1
    (4, &[0x7c60_025c], Model::Power9),                // mfbhrbe
    (5, &[0x7c00_051d], Model::Power9),                // tbegin.
    (7, &[0x4c00_0924], Model::Power9),                // rfebb
    (8, &[0x4c00_0460], Model::Power9),                // bctar
    (13, &[0x0600_0000, 0x3860_0001], Model::Power10), // paddi
];

#[test]
fn hfscr_lends_facilities_to_problem_state() {
    for (bit, words, model) in LENT {
        for lent in [false, true] {
            for state in [msr::PR, 0] {
                let mut bench = Bench::of(model, true, words);
                bench.cpu.set_msr(msr::SF | msr::HV | ALL | msr::TM | state);
                bench.cpu.spr.hfscr = if lent { u64::MAX } else { !(1 << bit) };
                bench.cpu.spr.fscr = u64::MAX;
                bench.cpu.spr.mmcr0 = 1 << 21 | 2 << 18;
                bench.cpu.spr.ebbrr = CODE + 4 * words.len() as u64;
                bench.cpu.regs.gpr[3] = DATA;
                bench.run(1);
                let what = format!("{words:x?} {lent} {state:x}");
                let next = CODE + 4 * words.len() as u64;
                let withheld = !lent && state == msr::PR;
                let expected = if withheld { Vector::HypervisorFacilityUnavailable.offset() } else { next };
                // bctar goes to TAR.
                let expected = if bit == 8 && !withheld { 0 } else { expected };
                assert_eq!(bench.cpu.regs.nia, expected, "{what}");
                if withheld {
                    assert_eq!(
                        (bench.cpu.spr.hsrr0, bench.cpu.spr.hfscr >> 56),
                        (CODE, bit.into()),
                        "{what}"
                    );
                }
            }
        }
    }
}

#[test]
fn floating_point_that_hfscr_keeps_is_not_there_in_the_middle_of_a_run() {
    for quantum in crate::bench::QUANTA {
        // In hypervisor state the addition executes, after `rfid` to problem state it does not.
        let mut bench = Bench::of(Model::Power9, true, &[0xfc00_082a, RFID, NOP, NOP, 0xfc00_082a]);
        bench.quantum = quantum;
        bench.cpu.set_msr(msr::SF | msr::HV | msr::FP);
        bench.cpu.spr.hfscr = u64::MAX << 1;
        // MSR[PR] implies relocation: the bench has none, so problem state is entered by hand.
        bench.run(1);
        assert_eq!(bench.cpu.regs.nia, CODE + 4);
        bench.cpu.set_msr(msr::SF | msr::HV | msr::FP | msr::PR);
        bench.cpu.regs.nia = CODE + 8;
        bench.run(3);
        assert_eq!(bench.cpu.regs.nia, Vector::HypervisorFacilityUnavailable.offset());
        assert_eq!(bench.cpu.spr.hsrr0, CODE + 16);
    }
}
