//! Pages that a guest clears, or fills with zeros, before anything else is stored there: they get no bytes or lose them,
//! and whoever looks sees zeros.

use timebase_cpu::bits::msr;
use timebase_cpu::{Clock, Engine, Interpreter, Model, NoDevices, Vcpu, World};
use timebase_memory::{Memory, PAGE, Writer};
use timebase_state::Instant;

/// What is cleared.
const FIRST: u64 = 1 << 20;
const PAGES: u64 = 128;
const LINES: u64 = PAGES * PAGE / 128;

const CLEAR_ALL: [u32; 8] = [
    0x7ca9_03a6, // mtctr r5
    0x7c00_27ec, // dcbz 0,r4
    0x3884_0080, // addi r4,r4,128
    0x4200_fff8, // bdnz -8
    // The same by stores, once more.
    0x7e09_03a6, // mtctr r16
    0xf80f_0000, // std r0,0(r15)
    0x39ef_0008, // addi r15,r15,8
    0x4200_fff8, // bdnz -8
];
/// Loads from a line at random; stores 0 or 1 there one time in eight, and clears it otherwise.
const AT_RANDOM: [u32; 14] = [
    0x7cc6_39d2, // mulld r6,r6,r7
    0x38c6_0007, // addi r6,r6,7
    0x78c8_6502, // rldicl r8,r6,44+8,20: bits from the upper half
    0x7d08_4838, // and r8,r8,r9
    0x7d08_1a14, // add r8,r8,r3
    0xe948_0008, // ld r10,8(r8)
    0x7d6b_5214, // add r11,r11,r10
    0x78cc_1f60, // rldicl r12,r6,3,61
    0x282c_0000, // cmpldi r12,0
    0x4082_0010, // bne +16
    0x78ce_4fe0, // rldicl r14,r6,9,63
    0xf9c8_0008, // std r14,8(r8)
    0x4bff_ffd0, // b -48
    0x7c00_47ec, // dcbz 0,r8
];
const BACK: u32 = 0x4bff_ffc8; // b -56

/// The vCPU and memory after all, with something else done to memory now and then; pages with bytes after clearing.
fn run(mut engine: Interpreter) -> (String, u128, [u64; 2]) {
    let mut memory = Memory::new(4 << 20, 1);
    for (n, word) in CLEAR_ALL.into_iter().chain(AT_RANDOM).chain([BACK]).enumerate() {
        memory.store_u32(4 * n as u64, word, Writer::Other).expect("RAM");
    }
    let mut cpu = Vcpu::cold(0, Model::Power9, false, 0, Instant::default());
    cpu.set_msr(msr::SF | msr::ME);
    cpu.regs.nia = 0;
    let gpr = &mut cpu.regs.gpr;
    (gpr[3], gpr[4], gpr[5]) = (FIRST, FIRST, LINES);
    (gpr[15], gpr[16]) = (FIRST, PAGES * PAGE / 8);
    (gpr[6], gpr[7], gpr[9]) = (1, 0x5851_f42d_4c95_7f2d, PAGES * PAGE - 128);
    let mut count = 0;
    let mut go = |memory: &mut Memory, until: u64| {
        while count < until {
            let mut world = World {
                observed: None,
                memory,
                bus: &mut NoDevices,
                clock: Clock::cold(2, 1, 0, Instant::default()),
                count,
                passed: None,
            };
            count += engine.run(&mut cpu, &mut world, until - count).executed;
        }
    };
    let cleared = 1 + 3 * LINES;
    go(&mut memory, cleared);
    let mut pages = [memory.pages(), 0];
    let cleared = cleared + 1 + 3 * PAGES * PAGE / 8;
    go(&mut memory, cleared);
    pages[1] = memory.pages();
    for n in 0..40 {
        let page = FIRST + n * 7 % PAGES * PAGE;
        match n % 4 {
            0 => memory.store_u64(page + 128 * n + 8, n + 1, Writer::Other).expect("RAM"),
            1 => memory.watch_table(page),
            2 => memory.zero(page, PAGE, Writer::Other).expect("RAM"),
            _ => {}
        }
        go(&mut memory, cleared + (n + 1) * 1009);
    }
    cpu.regs.cia = 0;
    (format!("{:x?}", cpu.regs), memory.storage()[0].root_hash(), pages)
}

#[test]
fn what_is_cleared_has_no_bytes_and_reads_as_zeros() {
    let compiler = timebase_jit::compiler(|| 0).expect("this host has a compiler");
    let (expected, hash, pages) = run(Interpreter::new(Model::Power9));
    let (got, same, too) = run(Interpreter::with_compiler(Model::Power9, compiler));
    assert_eq!((got, same), (expected, hash));
    assert_eq!(pages, [1, 2], "only the code has bytes, and what was filled last");
    assert_eq!(too, pages);
}
