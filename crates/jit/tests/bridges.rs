//! Ways of compiled code into other pages: they lead to what is there now, in this context, from this page, whatever they
//! led to before. A loop calls a function in the next page many times, then changes something, and so on; it must count
//! the same as by the interpreter.

use timebase_cpu::bits::msr;
use timebase_cpu::{Clock, Engine, Interpreter, Model, NoDevices, Vcpu, World};
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;

/// Effective pages: the loop, the function behind it, and the same once more.
const LOOP: u64 = 0x1000;
const AGAIN: u64 = 0x5000;
/// Real pages: the loop, and two functions.
const CALLER: u64 = 0x1_0000;
const FIRST: u64 = 0x1_1000;
const SECOND: u64 = 0x1_2000;
/// Real addresses of the process table, and of the trees of processes 1 and 2: four levels each.
const PROCESS_TABLE: u64 = 0x2_0000;
const TREES: [[u64; 4]; 2] =
    [[0x3_0000, 0x4_0000, 0x4_1000, 0x4_2000], [0x5_0000, 0x6_0000, 0x6_1000, 0x6_2000]];
const VALID: u64 = 1 << 63;
/// A leaf that may be read, written and executed, and has been.
const LEAF: u64 = 3 << 62 | 0x187;
/// RTS of trees of 52 bits, and the size of their first level.
const ROOT: u64 = 2 << 61 | 5 << 5 | 13;

const ADDI_R8: u32 = 0x3908_0001;
const ADDI_R9: u32 = 0x3929_0001;
const XOR: u32 = 0x7d8c_6a78; // xor r12,r12,r13
const ISYNC: u32 = 0x4c00_012c;
const NOP: u32 = 0x6000_0000;
const BLR: u32 = 0x4e80_0020;

/// Where the entry stands that maps an effective page of a process.
fn entry(process: usize, page: u64) -> u64 {
    TREES[process - 1][3] + (page >> 12) * 8
}

/// A guest whose instructions are translated, and its data not.
fn prepare(change: [u32; 4]) -> (Vcpu, Memory) {
    let mut memory = Memory::new(4 << 20, 1);
    let mut put = |address: u64, value: u64| memory.store_u64(address, value, Writer::Other).expect("RAM");
    for (n, tree) in TREES.iter().enumerate() {
        put(PROCESS_TABLE + 16 * (n as u64 + 1), ROOT | tree[0]);
        for level in 0..3 {
            put(tree[level], VALID | tree[level + 1] | 9);
        }
        let (own, other) = if n == 0 { (FIRST, SECOND) } else { (SECOND, FIRST) };
        for (page, real) in [(LOOP, CALLER), (LOOP + 0x1000, own), (AGAIN, CALLER), (AGAIN + 0x1000, other)] {
            put(entry(n + 1, page), LEAF | real);
        }
    }
    let calls = [
        0x4800_1001, // bl 4096
        0x394a_0001, // addi r10,r10,1
        0x714b_00ff, // andi. r11,r10,255
        0x4082_fff4, // bne -12
    ];
    let back = 0x4bff_ffe0; // b -32
    for (n, word) in calls.into_iter().chain(change).chain([back]).enumerate() {
        memory.store_u32(CALLER + 4 * n as u64, word, Writer::Other).expect("RAM");
    }
    for (function, word) in [(FIRST, ADDI_R8), (SECOND, ADDI_R9)] {
        memory.store_u32(function, word, Writer::Other).expect("RAM");
        memory.store_u32(function + 4, BLR, Writer::Other).expect("RAM");
    }
    let mut cpu = Vcpu::cold(0, Model::Power9, false, 0, Instant::default());
    cpu.partition.radix = true;
    cpu.partition.process_table = PROCESS_TABLE;
    cpu.partition.process_table_bytes = 64;
    cpu.spr.pidr = 1;
    cpu.set_msr(msr::SF | msr::ME | msr::IR);
    cpu.regs.nia = LOOP;
    (cpu, memory)
}

/// Both functions are called in turn, 256 times each; `change` uses r12, which is `one` and `other` in turn, and r14.
fn both_are_called(change: [u32; 4], one: u64, other: u64, r14: u64) {
    let run = |mut engine: Interpreter| {
        let (mut cpu, mut memory) = prepare(change);
        (cpu.regs.gpr[12], cpu.regs.gpr[13], cpu.regs.gpr[14]) = (one, one ^ other, r14);
        let (mut count, all) = (0, 60_000);
        while count < all {
            let mut world = World {
                observed: None,
                memory: &mut memory,
                bus: &mut NoDevices,
                clock: Clock::cold(2, 1, 0, Instant::default()),
                count,
                passed: None,
            };
            count += engine.run(&mut cpu, &mut world, all - count).executed;
        }
        (cpu.regs.clone(), engine.counters())
    };
    let compiler = timebase_jit::compiler(|| 0).expect("this host has a compiler");
    let (expected, _) = run(Interpreter::new(Model::Power9));
    let (mut got, counters) = run(Interpreter::with_compiler(Model::Power9, compiler));
    got.cia = expected.cia;
    assert_eq!(format!("{got:x?}"), format!("{expected:x?}"));
    let [calls, first, second] = [10, 8, 9].map(|n| expected.gpr[n]);
    assert!(calls > 5_000 && first + second >= calls && first.abs_diff(second) <= 256, "{first} {second}");
    assert!(counters["compiled_bridges"] > 0, "{counters:?}");
}

#[test]
fn the_page_that_it_leads_to_moves() {
    let store = 0xf98e_0000; // std r12,0(r14)
    both_are_called([XOR, store, ISYNC, NOP], LEAF | FIRST, LEAF | SECOND, entry(1, LOOP + 0x1000));
}

#[test]
fn the_code_that_it_leads_to_changes() {
    let store = 0x918e_0000; // stw r12,0(r14)
    both_are_called([XOR, store, ISYNC, NOP], ADDI_R8.into(), ADDI_R9.into(), FIRST);
}

#[test]
fn the_page_that_it_leads_from_is_in_two_places() {
    let [mtctr, bctr] = [0x7d89_03a6, 0x4e80_0420];
    both_are_called([XOR, mtctr, bctr, NOP], LOOP, AGAIN, 0);
}

#[test]
fn the_process_is_another_one() {
    let mtpidr = 0x7d90_0ba6; // mtspr 48,r12
    both_are_called([XOR, mtpidr, ISYNC, NOP], 1, 2, 0);
}
