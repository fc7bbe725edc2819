//! Operands in the manner of Berkeley TestFloat: signs, exponents at every edge, and fractions of few runs of ones,
//! crossed with each other; and random mixtures of those.

use crate::source::Source;
use timebase_softfloat::Format;

/// A sign, exponent field and fraction put together.
fn encode<F: Format>(sign: u32, field: u32, fraction: u128) -> u128 {
    let all = (1u128 << F::FRACTION) - 1;
    (sign as u128) << (F::WIDTH - 1) | (field as u128) << F::FRACTION | fraction & all
}

/// Exponent fields: zeros and denormals, the smallest normal numbers, what a sum loses altogether, around 1, where all
/// numbers are integers, around the limits of integers, the greatest normal numbers, infinities and NaNs.
fn exponents<F: Format>() -> Vec<u32> {
    let (bias, fraction) = (F::EMAX as u32, F::FRACTION);
    let around = [bias - 2, bias - 1, bias, bias + 1, bias + 2];
    let integers = [29, 30, 31, 32, 61, 62, 63, 64, 127].map(|n| bias + n);
    let mut fields = vec![0, 1, bias.saturating_sub(fraction + 1), bias + fraction, bias + fraction + 1];
    fields.extend(around);
    fields.extend(integers);
    fields.extend([2 * bias - 1, 2 * bias, 2 * bias + 1]);
    fields.retain(|&field| field <= 2 * bias + 1);
    fields.sort_unstable();
    fields.dedup();
    fields
}

/// The first level: few fractions with all exponents.
pub fn first_level<F: Format>() -> Vec<u128> {
    let all = (1u128 << F::FRACTION) - 1;
    let fractions = [0, 1, all, all - 1];
    let mut cases = Vec::new();
    for sign in 0..2 {
        for field in exponents::<F>() {
            cases.extend(fractions.map(|fraction| encode::<F>(sign, field, fraction)));
        }
    }
    cases
}

/// Fractions of the second level: each single bit, and each run of ones at either end, with and without the last bits.
fn fractions<F: Format>() -> Vec<u128> {
    let all = (1u128 << F::FRACTION) - 1;
    let mut fractions = vec![0, all];
    for bit in 0..F::FRACTION {
        let one = 1u128 << bit;
        fractions.extend([one, one - 1, one | 1, all & !one, all & !(one - 1), all & !(one - 1) | 1]);
    }
    fractions.sort_unstable();
    fractions.dedup();
    fractions
}

/// The second level: all fractions with all exponents.
pub fn second_level<F: Format>() -> Vec<u128> {
    let fractions = fractions::<F>();
    let mut cases = Vec::new();
    for sign in 0..2 {
        for field in exponents::<F>() {
            cases.extend(fractions.iter().map(|&fraction| encode::<F>(sign, field, fraction)));
        }
    }
    cases
}

/// Draws operands: of the second level, of any exponent with sums of two of its fractions, and random ones.
pub struct Mixture<F: Format> {
    second: Vec<u128>,
    fractions: Vec<u128>,
    source: Source,
    format: core::marker::PhantomData<F>,
}

impl<F: Format> Mixture<F> {
    pub fn new(seed: u64) -> Mixture<F> {
        let (second, fractions) = (second_level::<F>(), fractions::<F>());
        Mixture { second, fractions, source: Source::new(seed), format: core::marker::PhantomData }
    }

    pub fn draw(&mut self) -> u128 {
        let pick = |from: &[u128], source: &mut Source| from[(source.bits() >> 20) as usize % from.len()];
        let source = &mut self.source;
        let sign = (source.bits() >> 40) as u32 & 1;
        let field = (source.bits() >> 20) as u32 % (2 * F::EMAX as u32 + 2);
        let near = (F::EMAX as u32 - 8) + (source.bits() >> 30) as u32 % 17;
        match source.bits() >> 61 {
            0 | 1 => pick(&self.second, source),
            2 | 3 => {
                let sum = pick(&self.fractions, source).wrapping_add(pick(&self.fractions, source));
                encode::<F>(sign, if sum & 8 == 0 { field } else { near }, sum)
            }
            4 => encode::<F>(sign, field, pick(&self.fractions, source)),
            5 => encode::<F>(sign, near, source.bits() as u128 * source.bits() as u128),
            6 => encode::<F>(sign, field, (source.bits() as u128) << 64 | source.bits() as u128),
            _ => source.number(F::FRACTION, F::WIDTH - 1 - F::FRACTION),
        }
    }
}
