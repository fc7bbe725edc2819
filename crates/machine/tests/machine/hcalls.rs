//! Hypervisor and RTAS calls: what they leave alone, and that no argument harms the program.

use crate::harness::{Random, config, elf, machine_with, run_to};
use timebase_machine::{BoxedMachine, Config, Stop};

const BASE: u64 = 0x1_0000;
/// r3 to r12.
type Arguments = [u64; 10];

/// Instructions before the first call's arguments are loaded, in each turn, and in a turn up to its `sc 1`.
const PROLOGUE: u64 = 2;
const TURN: u64 = 13;
const TO_CALL: u64 = 11;

/// A guest that makes these calls one after the other, and then waits in a loop.
fn caller(calls: &[Arguments]) -> Vec<u8> {
    let code_words = PROLOGUE + TURN;
    let table = BASE + 4 * code_words;
    // lis r31, ori r31
    let mut words = vec![0x3fe0_0000 | (table >> 16) as u32, 0x63ff_0000 | (table & 0xffff) as u32];
    for n in 0..10 {
        // ld r(3+n), 8n(r31)
        words.push(0xe800_0000 | (3 + n) << 21 | 31 << 16 | 8 * n);
    }
    // addi r31,r31,80; sc 1; b to the loads
    words.extend([0x3bff_0050, 0x4400_0022, 0x4800_0000 | (-48i32 as u32 & 0x03ff_fffc)]);
    assert_eq!(words.len() as u64, code_words);
    for value in calls.iter().flatten() {
        words.extend([(value >> 32) as u32, *value as u32]);
    }
    elf(BASE, &words)
}

/// Calls that have to do with the vCPU's registers, by number, and what they may change beyond r3 to r12.
const REGISTER_CALLS: [(u64, &[&str]); 7] = [
    (0x24, &["spr.sprg0"]),
    (0xe0, &["regs.msr", "activity", "prodded"]),
    (0xe8, &["prodded"]),
    (0x298, &["activity"]),
    (0x31c, &["spr.ciabr", "spr.dawr0", "spr.dawrx0", "spr.dawr1", "spr.dawrx1", "spr.lpcr"]),
    (0x37c, &["partition", "spr.lpcr"]),
    (0x380, &["system_reset", "spr.srr0", "spr.srr1", "regs.msr"]),
];

/// All calls that are not private to firmware.
fn numbers() -> impl Iterator<Item = u64> {
    (0..=0x460).step_by(4)
}

/// Values that calls may take for something.
fn value(random: &mut Random, config: &Config) -> u64 {
    let memory = config.memory_bytes;
    match random.below(12) {
        0 => 0,
        1 => random.below(16),
        2 => random.below(memory) & !0xfff,
        3 => memory - random.below(64),
        4 => memory - 0x1000,
        5 => (1 << 50) + 16 * random.below(1 << 14),
        6 => u64::MAX - random.below(16),
        7 => 1 << random.below(64),
        8 => 0x7100_0000 + random.below(3),
        9 => 0x1000 + random.below(0x110),
        10 => 0x0006_0100_0000_0000 + (random.below(64) << 16),
        _ => random.next(),
    }
}

fn arguments(random: &mut Random, number: u64, config: &Config) -> Arguments {
    let mut arguments = [number; 10];
    arguments[1..].fill_with(|| value(random, config));
    arguments
}

/// Whether a path of the state may differ after a call of `number` by vCPU 0: time has passed by an instruction, which
/// IC has counted, the result is in r3 to r12, and what the call is there for.
fn may_change(path: &str, number: u64) -> bool {
    let Some(of_cpu) = path.strip_prefix("cpu[0].") else { return true };
    let name = of_cpu.strip_prefix("vcpu.").unwrap_or(of_cpu);
    let result = (3..=12).any(|n| name == format!("regs.gpr[{n}]"));
    let time = name.ends_with("_zero") || name == "spr.ic";
    let here = matches!(name, "regs.cia" | "regs.nia");
    let own = REGISTER_CALLS.iter().find(|call| call.0 == number).map_or(&[][..], |call| call.1);
    let registered =
        number == 0xdc && ["vpa", "slb_shadow", "dispatch_log"].iter().any(|area| name.starts_with(area));
    result || time || here || registered || own.iter().any(|allowed| name.starts_with(allowed))
}

#[test]
fn s1_a_call_leaves_no_state_behind_but_its_results() {
    let config = config();
    let mut random = Random(1);
    for number in numbers() {
        let sets = if REGISTER_CALLS.iter().any(|call| call.0 == number) { 12 } else { 2 };
        let calls: Vec<Arguments> = (0..sets).map(|_| arguments(&mut random, number, &config)).collect();
        let mut machine = machine_with(&config, &caller(&calls));
        for k in 0..calls.len() as u64 {
            let before = PROLOGUE + TURN * k + TO_CALL;
            if run_to(&mut machine, before).0 != Stop::Limit {
                break;
            }
            let snapshot = machine.snapshot();
            machine.run(before + 1);
            for change in machine.differences(&snapshot) {
                assert!(
                    may_change(&change.path, number),
                    "hcall {number:#x} {:x?}: {change:?}",
                    calls[k as usize]
                );
            }
            machine.take_output();
        }
    }
}

#[test]
fn an_unknown_call_answers_h_function_and_is_counted() {
    let mut machine = machine_with(&config(), &caller(&[[0x3fc; 10], [0xf123; 10], [0xf123; 10]]));
    run_to(&mut machine, PROLOGUE + TURN * 2 + TO_CALL + 1);
    let counts = machine.statistics().hcalls;
    assert_eq!((counts.get("0x3fc"), counts.get("0xf123")), (Some(&1), Some(&2)));
    let clean = machine_with(&config(), &caller(&[])).snapshot();
    let r3 = machine.differences(&clean).into_iter().find(|change| change.path.ends_with("regs.gpr[3]"));
    assert_eq!(r3.map(|change| change.left), Some(format!("{:#x}", -2i64 as u64)));
}

/// A table of calls in which RTAS and the client interface get arguments of the same nonsense from memory.
fn nonsense(seed: u64, config: &Config) -> Vec<Arguments> {
    let mut random = Random(seed);
    (0..100)
        .map(|_| {
            let number = match random.below(8) {
                0 => 0xf000 + random.below(8),
                _ => 4 * random.below(0x118),
            };
            let mut arguments = arguments(&mut random, number, config);
            if number >= 0xf000 && random.below(2) == 0 {
                // The words of the table itself as a call.
                arguments[1] = BASE + 60 + 4 * random.below(1900);
            }
            arguments
        })
        .collect()
}

fn ending(machine: &mut BoxedMachine) -> (String, Vec<u8>, u64, String) {
    let (stop, console) = run_to(machine, 20_000);
    (format!("{stop:?}"), console, machine.position().count, machine.digest().to_string())
}

#[test]
fn a_thousand_tables_of_nonsense_calls_harm_nothing_and_repeat_exactly() {
    let mut config = config();
    for seed in 0..1000 {
        config.cpus = 1 + (seed % 3) as u32;
        config.cpu = if seed % 2 == 0 { "power9" } else { "power10" }.into();
        let guest = caller(&nonsense(seed, &config));
        let first = ending(&mut machine_with(&config, &guest));
        if seed % 8 == 0 {
            assert_eq!(first, ending(&mut machine_with(&config, &guest)), "seed {seed}");
        }
    }
}

/// RTAS calls with the right token and nonsense beyond it: the block is in the table, the call names it.
#[test]
fn rtas_calls_with_nonsense_arguments_harm_nothing() {
    let config = config();
    for seed in 0..1000 {
        let mut random = Random(seed);
        let calls: Vec<Arguments> = (0..40u64)
            .flat_map(|k| {
                // Turn 2k calls with the block that stands in the arguments of turn 2k + 1, which is an unknown call.
                let block = BASE + 4 * (PROLOGUE + TURN) + 80 * (2 * k + 1) + 8;
                let mut call = [block; 10];
                call[0] = 0xf000;
                let mut words: Vec<u32> = vec![0x2000 + random.below(48) as u32, random.below(9) as u32];
                words.extend([random.below(10) as u32]);
                words.resize_with(18, || value(&mut random, &config) as u32);
                let mut data = [0x3fc; 10];
                for (n, pair) in words.chunks(2).enumerate() {
                    data[n + 1] = (pair[0] as u64) << 32 | pair[1] as u64;
                }
                [call, data]
            })
            .collect();
        ending(&mut machine_with(&config, &caller(&calls)));
    }
}
