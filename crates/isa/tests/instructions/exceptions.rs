//! What stops a floating-point or vector instruction: facilities that are off, storage that is not there, enabled
//! floating-point exceptions. And what a stopped one leaves behind: nothing, or what the ISA says.

use crate::cases::{MEMORY, MEMORY_BYTES, random_word_of, tried};
use crate::reader::{Executor, Machine, Stop};
use timebase_isa::Trap;
use timebase_isa::decode::Entry;

const FP: u64 = 1 << 13;
const VECTOR: u64 = 1 << 25;
const VSX: u64 = 1 << 23;
const FE0: u64 = 1 << 11;

fn same(a: &Machine, b: &Machine) -> bool {
    a.regs == b.regs && a.memory == b.memory
}

fn floating_or_vector(entry: &Entry) -> bool {
    tried(entry) && !entry.section.starts_with("I 3")
}

#[test]
fn without_its_facility_an_instruction_does_nothing() {
    let executor = Executor::new(310);
    for entry in executor.decoder.entries().iter().filter(|entry| floating_or_vector(entry)) {
        for seed in 1..20 {
            let word = random_word_of(entry, seed);
            let mut machine = Machine::new(MEMORY, MEMORY_BYTES);
            machine.regs.msr &= !(FP | VECTOR | VSX);
            machine.regs.gpr[3] = MEMORY;
            let before = machine.clone();
            let result = executor.execute(&mut machine, word);
            let stopped = [Trap::FpUnavailable, Trap::VectorUnavailable, Trap::VsxUnavailable];
            assert!(stopped.map(|trap| Err(Stop::Trap(trap))).contains(&result), "{} {result:?}", entry.name);
            assert!(same(&machine, &before), "{}", entry.name);
        }
    }
}

/// Which facility, for one of each kind.
#[test]
fn facilities() {
    let executor = Executor::new(310);
    let needs = |word: u64, facility: u64| {
        for (bit, trap) in
            [(FP, Trap::FpUnavailable), (VECTOR, Trap::VectorUnavailable), (VSX, Trap::VsxUnavailable)]
        {
            let mut machine = Machine::new(MEMORY, MEMORY_BYTES);
            machine.regs.gpr[3] = MEMORY;
            machine.regs.msr &= !bit;
            let expected = if bit == facility { Err(Stop::Trap(trap)) } else { Ok(()) };
            assert_eq!(executor.execute(&mut machine, word), expected, "{word:x}");
        }
    };
    needs(0xfc22_182a, FP); // fadd f1,f2,f3
    needs(0xc823_0000, FP); // lfd f1,0(r3)
    needs(0x1022_1880, VECTOR); // vadduwm v1,v2,v3
    needs(0x7c20_18ce, VECTOR); // lvx v1,0,r3
    needs(0xf022_1897, VSX); // xxlor vs33,vs2,vs35
    needs(0xf423_0001, VSX); // lxv vs1,0(r3)
    needs(0xf423_0009, VECTOR); // lxv vs33,0(r3)
    needs(0x7c23_0066, FP); // mfvsrd r3,vs1
    needs(0x7c23_0067, VECTOR); // mfvsrd r3,vs33
    needs(0x7c23_0266, VSX); // mfvsrld r3,vs1
    needs(0xfc22_1808, VSX); // xsaddqp v1,v2,v3
    needs(0xe423_0002, VECTOR); // lxsd v1,0(r3)
}

/// An access that runs past the end of storage changes no register and no byte.
#[test]
fn a_faulting_access_has_no_partial_effect() {
    let executor = Executor::new(310);
    let mut faults = 0;
    for entry in executor.decoder.entries().iter().filter(|entry| floating_or_vector(entry)) {
        for seed in 1..40 {
            let word = random_word_of(entry, seed);
            let mut machine = Machine::new(MEMORY, MEMORY_BYTES);
            machine.regs.gpr[3] = MEMORY + MEMORY_BYTES as u64 - (seed % 40);
            machine.regs.gpr[4] = if entry.name.contains("xvl") { seed << 56 } else { 0 };
            for n in 0..64 {
                machine.regs.set_vsr128(n, 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10 * (n as u128 + 1));
            }
            let before = machine.clone();
            if let Err(Stop::Outside(_)) = executor.execute(&mut machine, word) {
                faults += 1;
                assert!(same(&machine, &before), "{} {word:x}", entry.name);
            }
        }
    }
    assert!(faults > 500, "{faults}");
}

/// A machine with doubles in f2 and f3 and these bits of FPSCR.
fn doubles(a: f64, b: f64, fpscr: u64) -> Machine {
    let mut machine = Machine::new(MEMORY, MEMORY_BYTES);
    machine.regs.vsr[1] = [0x1111, 0x2222];
    machine.regs.vsr[2] = [a.to_bits(), 1f64.to_bits()];
    machine.regs.vsr[3] = [b.to_bits(), 1f64.to_bits()];
    machine.regs.fpscr = fpscr;
    machine.regs.msr |= FE0;
    machine
}

const FX_FEX: u64 = 3 << 30;
const VX: u64 = 1 << 29;
const OX: u64 = 1 << 28;
const ZX: u64 = 1 << 26;
const VXISI: u64 = 1 << 23;
const VE: u64 = 1 << 7;
const OE: u64 = 1 << 6;
const ZE: u64 = 1 << 4;
const XE: u64 = 1 << 3;
const ENABLED: Result<(), Stop> = Err(Stop::Trap(Trap::FpEnabled));
const FADD: u64 = 0xfc22_182a;
const FDIV: u64 = 0xfc22_1824;
const XVDIVDP: u64 = 0xf022_1bc0;

#[test]
fn enabled_invalid_and_zero_divide_leave_the_target() {
    let executor = Executor::new(310);
    let mut machine = doubles(f64::INFINITY, f64::NEG_INFINITY, VE | 0x1_f000);
    assert_eq!(executor.execute(&mut machine, FADD), ENABLED);
    assert_eq!(machine.regs.vsr[1], [0x1111, 0x2222]);
    // FPRF stays; FR and FI become 0.
    assert_eq!(machine.regs.fpscr, FX_FEX | VX | VXISI | VE | 0x1_f000);
    let mut machine = doubles(1.0, 0.0, ZE);
    assert_eq!(executor.execute(&mut machine, FDIV), ENABLED);
    assert_eq!((machine.regs.vsr[1], machine.regs.fpscr), ([0x1111, 0x2222], FX_FEX | ZX | ZE));
    // Without MSR[FE0, FE1] the same, but no interrupt.
    let mut machine = doubles(1.0, 0.0, ZE);
    machine.regs.msr &= !FE0;
    assert_eq!(executor.execute(&mut machine, FDIV), Ok(()));
    assert_eq!((machine.regs.vsr[1], machine.regs.fpscr), ([0x1111, 0x2222], FX_FEX | ZX | ZE));
}

#[test]
fn enabled_overflow_and_inexact_deliver_a_result() {
    let executor = Executor::new(310);
    let mut machine = doubles(f64::MAX, f64::MAX, OE);
    assert_eq!(executor.execute(&mut machine, FADD), ENABLED);
    let adjusted = f64::MAX * 2f64.powi(-768) * 2f64.powi(-767);
    assert_eq!(f64::from_bits(machine.regs.vsr[1][0]), adjusted);
    assert_eq!(machine.regs.fpscr & (FX_FEX | OX), FX_FEX | OX);
    let mut machine = doubles(1.0, 3.0, XE);
    assert_eq!(executor.execute(&mut machine, FDIV), ENABLED);
    assert_eq!(f64::from_bits(machine.regs.vsr[1][0]), 1.0 / 3.0);
}

/// One element's enabled exception keeps all elements from being written; an exception that is not enabled does not.
#[test]
fn enabled_exceptions_of_vectors_leave_the_target() {
    let executor = Executor::new(310);
    for (enabled, a, b) in [(ZE, 1.0, 0.0), (VE, 0.0, 0.0), (XE, 1.0, 3.0), (OE, f64::MAX, 0.5)] {
        let mut machine = doubles(a, b, enabled);
        assert_eq!(executor.execute(&mut machine, XVDIVDP), ENABLED);
        assert_eq!(machine.regs.vsr[1], [0x1111, 0x2222]);
        let mut machine = doubles(a, b, 0xf8 & !enabled & !XE);
        assert_eq!(executor.execute(&mut machine, XVDIVDP), Ok(()));
        assert_eq!(machine.regs.vsr[1][1], 1f64.to_bits());
    }
}

/// An instruction that moves to FPSCR and so enables an exception that is there raises the interrupt itself.
#[test]
fn moving_to_fpscr_can_raise_the_interrupt() {
    let executor = Executor::new(310);
    let mut machine = doubles(1.0, 0.0, 0);
    assert_eq!(executor.execute(&mut machine, FDIV), Ok(()));
    assert_eq!(machine.regs.vsr[1], [f64::INFINITY.to_bits(), 0]);
    // mtfsb1 27 (ZE)
    assert_eq!(executor.execute(&mut machine, 0xff60_004c), ENABLED);
    assert_eq!(machine.regs.fpscr & FX_FEX, FX_FEX);
    // mtfsb0 27
    assert_eq!(executor.execute(&mut machine, 0xff60_008c), Ok(()));
    assert_eq!(machine.regs.fpscr & FX_FEX, 1 << 31);
}

/// FIPS 197, appendix B: the first round, and appendix C.1: the last one. FIPS 180-4's functions of 1.
#[test]
fn published_vectors_of_aes_and_sha() {
    let executor = Executor::new(310);
    let run = |word: u64, a: u128, b: u128| {
        let mut machine = Machine::new(MEMORY, MEMORY_BYTES);
        machine.regs.set_vsr128(34, a);
        machine.regs.set_vsr128(35, b);
        assert_eq!(executor.execute(&mut machine, word), Ok(()));
        machine.regs.vsr128(33)
    };
    let (start, key) = (0x193d_e3be_a0f4_e22b_9ac6_8d2a_e9f8_4808, 0xa0fa_fe17_8854_2cb1_23a3_3939_2a6c_7605);
    let next = 0xa49c_7ff2_689f_352b_6b5b_ea43_026a_5049;
    assert_eq!(run(0x1022_1d08, start, key), next); // vcipher v1,v2,v3
    let (start, key) = (0xbd6e_7c3d_f2b5_779e_0b61_216e_8b10_b689, 0x1311_1d7f_e394_4a17_f307_a78b_4d2b_30c5);
    assert_eq!(run(0x1022_1d09, start, key), 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a); // vcipherlast
    // vncipherlast undoes SubBytes and ShiftRows, then adds the key.
    assert_eq!(run(0x1022_1d49, 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a ^ key, 0), start);
    // vshasigmaw v1,v2,0,0: rotations by 7 and 18, a shift by 3.
    assert_eq!(run(0x1022_0682, 1, 0), 1 << 25 | 1 << 14);
    // vshasigmad v1,v2,1,15: rotations by 14, 18 and 41.
    assert_eq!(run(0x1022_fec2, 1, 0), 1 << 50 | 1 << 46 | 1 << 23);
}
