//! What the performance monitor records is the same whatever executes: a program that turns the history of branches, or
//! counters of kinds of instructions, on and off, and reads them.

use timebase_cpu::NoDevices;
use timebase_cpu::bits::mmcr0;
use timebase_cpu::{Clock, Engine, Interpreter, Model, Vcpu, World};
use timebase_memory::{Memory, Writer};
use timebase_state::{Digest, Instant};

const CODE: u64 = 0x1_0000;

/// `mtspr MMCR0,register`
const fn control(register: u32) -> u32 {
    31 << 26 | register << 21 | (795 & 31) << 16 | (795 >> 5) << 11 | 467 << 1
}

/// `mfbhrbe register,entry`
const fn entry(register: u32, entry: u32) -> u32 {
    31 << 26 | register << 21 | entry << 11 | 302 << 1
}

/// `mfspr register,PMC1`
const fn counter(register: u32) -> u32 {
    31 << 26 | register << 21 | (787 & 31) << 16 | (787 >> 5) << 11 | 339 << 1
}

/// What is on in some rounds: MMCR0 and MMCR1 then.
#[derive(Clone, Copy)]
pub struct Recorded {
    control: u64,
    events: u64,
}

/// The history of branches.
pub const BRANCHES: Recorded = Recorded { control: mmcr0::PMAE | mmcr0::FC, events: 0 };
/// Loads, stores and branches (PM_LD_REF_L1, PM_ST_CMPL, PM_BR_CMPL).
pub const KINDS: Recorded = Recorded { control: mmcr0::CC56RUN, events: 13 << 48 | 0xfcf0_005e };
/// Loads and the branches that are taken (PM_BR_TAKEN_CMPL).
pub const TAKEN: Recorded = Recorded { control: mmcr0::CC56RUN, events: 0xfcfa_0000 };

/// Rounds of branches, of which some are recorded: of 40 rounds it is on in a few.
const PROGRAM: [u32; 18] = [
    0x3863_0001, // addi r3,r3,1
    0x7065_0007, // andi. r5,r3,7
    0x4082_0008, // bne .+8
    control(4),  // on
    0x4800_000d, // bl .+12
    0x7067_0001, // andi. r7,r3,1
    0x4800_000c, // b .+12
    0x4182_0008, // beq .+8
    0x4e80_0020, // blr
    0x814b_0000, // lwz r10,0(r11)
    0x914b_0004, // stw r10,4(r11)
    counter(12),
    0x4082_0008, // bne .+8
    control(6),  // off
    entry(8, 0),
    entry(9, 3),
    0x7d08_4a14, // add r8,r8,r9
    0x4bff_ffbc, // b to the start
];

/// Digests of the vCPU on the way, and what PMC1, PMC2 and PMC4 are in the end.
fn digests(mut engine: Interpreter, recorded: Recorded, quanta: &[u64]) -> (Vec<Digest>, [u64; 3]) {
    let mut memory = Memory::new(1 << 20, 1);
    for (n, word) in PROGRAM.into_iter().enumerate() {
        memory.store_u32(CODE + 4 * n as u64, word, Writer::Other).expect("RAM");
    }
    let mut cpu = Vcpu::cold(0, Model::Power9, false, 0, Instant::default());
    cpu.regs.nia = CODE;
    cpu.regs.gpr[4] = recorded.control;
    cpu.regs.gpr[6] = mmcr0::FC;
    cpu.regs.gpr[11] = 0x2_0000;
    cpu.spr.mmcr0 = mmcr0::FC;
    cpu.spr.mmcr1 = recorded.events;
    let clock = Clock::cold(2, 1, 0, Instant::default());
    let (mut count, mut turn, mut digests) = (0, 0, Vec::new());
    for part in 1..=20 {
        while count < part * 1000 {
            let now = clock.at(count);
            cpu.look(now);
            let budget = quanta[turn % quanta.len()].min(part * 1000 - count).min(cpu.begin_counting(now));
            turn += 1;
            let mut world = World {
                observed: None,
                memory: &mut memory,
                bus: &mut NoDevices,
                clock,
                count,
                passed: None,
            };
            let executed = engine.run(&mut cpu, &mut world, budget).executed;
            cpu.count_run(executed);
            count += executed;
        }
        digests.push(timebase_state::digest(&mut cpu, clock.at(count)));
    }
    (digests, [cpu.spr.pmc1, cpu.spr.pmc2, cpu.spr.pmc4])
}

/// Runs the program on both engines with these quanta. Returns what was counted.
pub fn compare(recorded: Recorded, quanta: &[u64]) -> [u64; 3] {
    let plain = digests(Interpreter::new(Model::Power9), recorded, &[u64::MAX]);
    let compiler = timebase_jit::compiler(|| 0).expect("this host has a compiler");
    let compiled = digests(Interpreter::with_compiler(Model::Power9, compiler), recorded, quanta);
    assert_eq!(plain, compiled, "{quanta:?}");
    plain.1
}
