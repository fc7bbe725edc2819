//! What compiled code lets the host's floating point do is bit for bit what the definitions do: results and FPSCR.

use crate::cases::{MEMORY, MEMORY_BYTES, random_word_of};
use crate::reader::{Executor, Machine};
use crate::{Bench, CODE, UNTIL_HOT};
use timebase_cpu::{Interpreter, Model};
use timebase_isa::decode::Entry;
use timebase_state::random::draw;

/// FPSCR[XX], with which the host's results count; FX comes with it.
const XX: u64 = 1 << 31 | 1 << 25;

/// An encoding of `fraction` fraction bits: mostly numbers whose products and sums stay in range or leave it by a
/// little, at either end, with few bits or many; zeros, denormals, infinities and NaNs.
fn number(random: &mut u64, fraction: u32, width: u32, near: u64) -> u64 {
    let exponents = width - 1 - fraction;
    let (all, bias) = ((1u64 << exponents) - 1, (1u64 << (exponents - 1)) - 1);
    let spread = |random: &mut u64, around: u64, by: u64| around.wrapping_add(draw(random) % by).min(all);
    let exponent = match draw(random) % 16 {
        0 => 0,
        1 => all,
        2 => spread(random, 1, 4),
        3 => spread(random, all - 4, 4),
        4 => draw(random) & all,
        5..=9 => spread(random, bias - 3, 7),
        // Products of two of these are near the smallest, or the greatest, normal number.
        10..=13 => spread(random, near, 5),
        _ => spread(random, bias - fraction as u64 - 2, 2 * fraction as u64 + 4),
    };
    let bits = draw(random) & ((1 << fraction) - 1);
    let bits = match draw(random) % 4 {
        0 => 0,
        1 => bits & (!0 << (draw(random) % fraction as u64)),
        2 => bits | !(!0 << (draw(random) % fraction as u64)),
        _ => bits,
    } & ((1 << fraction) - 1);
    (draw(random) & 1) << (width - 1) | exponent << fraction | bits
}

fn doubleword(random: &mut u64, double: bool, near: u64) -> u64 {
    if double {
        return number(random, 52, 64, near);
    }
    number(random, 23, 32, near) << 32 | number(random, 23, 32, near)
}

/// Compares `count` executions of an instruction.
fn compare(executor: &Executor, bench: &mut Bench, entry: &Entry, count: u64, seed: u64) {
    let mut random = entry.name.bytes().fold(seed, |hash, byte| hash.wrapping_mul(31) ^ byte as u64);
    let double = entry.name.ends_with("dp");
    let bias = if double { 1023 } else { 127 };
    let mut before = Machine::with_order(MEMORY, MEMORY_BYTES, true);
    before.regs.cia = CODE;
    let mut word = 0;
    for n in 0..count + UNTIL_HOT as u64 {
        if n == 0 {
            word = random_word_of(entry, draw(&mut random));
            bench.load(word, true);
        }
        // Exponents of half of the smallest, and of the greatest number.
        let near = if n % 2 == 0 { bias / 2 - 2 } else { bias + bias / 2 - 2 };
        for pair in &mut before.regs.vsr {
            *pair = [(); 2].map(|()| doubleword(&mut random, double, near));
        }
        before.regs.fpscr = XX | draw(&mut random) & 0x1c07_f700;
        if before.regs.fpscr & 0x700 != 0 {
            // VX sums up the invalid operations.
            before.regs.fpscr |= 1 << 29;
        }
        // Now and then what the host must not do: another rounding mode, an enabled exception, XX not set.
        match draw(&mut random) % 16 {
            0 => before.regs.fpscr |= 1 + draw(&mut random) % 3,
            1 => before.regs.fpscr &= !(1 << 25),
            _ => {}
        }
        let mut after = before.clone();
        executor.execute(&mut after, word).expect("no exception is enabled");
        if let Err(why) = bench.run(&before, &after, 2) {
            panic!("{} {word:x}, execution {n}: {why}", entry.name);
        }
    }
}

/// Compares each instruction that the list says the host's floating point does, with several operands. Returns how many
/// instructions those are.
pub fn all(count: u64, words: u64) -> usize {
    let list = include_str!("compiled.txt");
    let names: Vec<&str> = list.lines().filter_map(|line| line.strip_suffix(" host-float")).collect();
    let executor = Executor::new(310);
    let compiler = timebase_jit::compiler(|| 0).expect("this host has a compiler");
    let mut bench = Bench::new(Interpreter::with_compiler(Model::Power10, compiler));
    for entry in executor.decoder.entries().iter().filter(|entry| names.contains(&entry.name)) {
        for seed in 0..words {
            compare(&executor, &mut bench, entry, count, seed);
        }
    }
    names.len()
}
