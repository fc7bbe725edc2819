//! All operations, formats, rounding modes and exceptions against Berkeley SoftFloat, with operands in the manner of
//! Berkeley TestFloat. SoftFloat detects tininess before rounding here, as Power does, so underflow is compared
//! exactly. What is Power's own (which NaN is the result, what an integer out of range becomes) is told by rules in
//! this file.
//!
//! What runs always takes all of the first level for operations of one and two operands and a part for three; the
//! tests that are ignored take all of it and far more of the second level.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod cases;
mod library;
#[path = "../source/mod.rs"]
mod source;

use cases::{Mixture, first_level, second_level};
use library::*;
use timebase_softfloat::*;

/// Power's result where the library's is a NaN: the first operand that is one, quieted, or the default.
fn nan<F: Format>(operands: &[u128]) -> u128 {
    let quiet = 1u128 << (F::FRACTION - 1);
    let all = (2 * F::EMAX as u128 + 1) << F::FRACTION;
    let found = operands.iter().find(|&&a| is_nan::<F>(F::narrow(a)));
    found.map_or(all | quiet, |a| a | quiet)
}

/// Compares with what the library's operation gives and raises, and FR with whether truncating gives another result.
#[track_caller]
fn check<F: Format>(
    what: &str,
    (rounding, mode): (Rounding, u8),
    operands: &[u128],
    ours: Outcome<F::Bits>,
    operation: impl Fn(u8) -> u128,
) {
    let got = F::widen(ours.value);
    let (value, raised) = under(mode, || operation(mode));
    let invalid = is_nan::<F>(F::narrow(value));
    let expected = if invalid { nan::<F>(operands) } else { value };
    assert!(
        got == expected && exceptions(ours.flags) == raised,
        "{what} {operands:x?} {rounding:?}: {got:x} {:#x}, SoftFloat {expected:x} {raised:#x}",
        exceptions(ours.flags)
    );
    assert_eq!(ours.flags.any(Flags::FI), ours.flags.any(Flags::XX), "{what} {operands:x?} {rounding:?}");
    if ours.flags.any(Flags::XX) {
        let up = value != under(TOWARD_ZERO, || operation(TOWARD_ZERO)).0;
        assert_eq!(ours.flags.any(Flags::FR), up, "FR of {what} {operands:x?} {rounding:?}");
    }
}

fn unary<F: Library>(a: u128) {
    let x = F::narrow(a);
    for at @ (rounding, mode) in MODES {
        let env = Env::DEFAULT.rounding(rounding);
        check::<F>("sqrt", at, &[a], sqrt::<F, F>(x, &env), |_| F::sqrt(a));
        // The library rounds to odd only results of arithmetic.
        if rounding == Rounding::Odd {
            continue;
        }
        let integral = round_to_integral::<F>(x, rounding);
        check::<F>("rint", at, &[a], integral, |mode| F::round_to_integral(a, mode));
        for (bits, signed) in [(32, true), (32, false), (64, true), (64, false)] {
            let ours = to_int::<F>(x, bits, signed, rounding);
            let (value, raised) = under(mode, || F::to_int(a, bits, signed, mode));
            let least = if signed { 1u128 << (bits - 1) } else { 0 };
            let greatest = u128::MAX >> (128 - bits) & !least;
            let negative = a >> (F::WIDTH - 1) != 0 || is_nan::<F>(x);
            let expected = match raised & 16 {
                0 => value as u128,
                _ if negative => least,
                _ => greatest,
            };
            assert!(
                ours.value == expected && exceptions(ours.flags) == raised,
                "to {bits} {signed} {a:x} {rounding:?}: {ours:x?}, SoftFloat {expected:x} {raised:#x}"
            );
        }
    }
}

fn binary<F: Library>(a: u128, b: u128) {
    let (x, y) = (F::narrow(a), F::narrow(b));
    for at @ (rounding, _) in MODES {
        let env = Env::DEFAULT.rounding(rounding);
        let operands = [a, b];
        check::<F>("add", at, &operands, add::<F, F>(x, y, &env), |_| F::add(a, b));
        check::<F>("sub", at, &operands, sub::<F, F>(x, y, &env), |_| F::sub(a, b));
        check::<F>("mul", at, &operands, mul::<F, F>(x, y, &env), |_| F::mul(a, b));
        check::<F>("div", at, &operands, div::<F, F>(x, y, &env), |_| F::div(a, b));
    }
    let ((less, equal), raised) = under(0, || F::compare(a, b));
    let (order, flags) = compare::<F>(x, y);
    let expected = match (less, equal) {
        (true, _) => Order::Less,
        (_, true) => Order::Equal,
        _ if is_nan::<F>(x) || is_nan::<F>(y) => Order::Unordered,
        _ => Order::Greater,
    };
    assert_eq!((order, exceptions(flags)), (expected, raised), "compare {a:x} {b:x}");
}

fn fused<F: Library>(a: u128, c: u128, b: u128) {
    for at @ (rounding, _) in MODES {
        let env = Env::DEFAULT.rounding(rounding);
        let ours = fma::<F, F>(F::narrow(a), F::narrow(c), F::narrow(b), &env);
        // The addend is Power's second operand: of NaNs it comes before the factor.
        check::<F>("fma", at, &[a, b, c], ours, |_| F::fma(a, c, b));
    }
}

fn integers<F: Library>(value: u64) {
    for at in MODES.into_iter().filter(|at| at.0 != Rounding::Odd) {
        let env = Env::DEFAULT.rounding(at.0);
        for (bits, signed) in [(32, true), (32, false), (64, true), (64, false)] {
            let value = if bits == 32 { value & 0xffff_ffff } else { value };
            let number = match (bits, signed) {
                (32, true) => value as i32 as i128,
                (64, true) => value as i64 as i128,
                _ => value as i128,
            };
            let ours = from_int::<F, F>(number < 0, number.unsigned_abs(), &env);
            check::<F>("from integer", at, &[value as u128], ours, |_| F::from_int(value, bits, signed));
        }
    }
}

/// All operations of a format: `every` of the first level's triples, and so many mixtures.
fn arithmetic<F: Library>(seed: u64, every: usize, mixtures: usize) {
    let first = first_level::<F>();
    second_level::<F>().into_iter().for_each(unary::<F>);
    for &a in &first {
        first.iter().for_each(|&b| binary::<F>(a, b));
    }
    let count = first.len();
    for n in (0..count * count * count).step_by(every) {
        fused::<F>(first[n / count / count], first[n / count % count], first[n % count]);
    }
    let mut mixture = Mixture::<F>::new(seed);
    for n in 0..mixtures {
        let [a, b, c] = [(); 3].map(|()| mixture.draw());
        // Nearly equal operands, and products that nearly cancel.
        let sign = 1u128 << (F::WIDTH - 1);
        let near = if n % 4 == 0 { a ^ sign ^ (b & 3) } else { b };
        unary::<F>(a);
        binary::<F>(a, near);
        fused::<F>(a, b, c);
        let product = F::widen(mul::<F, F>(F::narrow(a), F::narrow(b), &Env::DEFAULT).value);
        fused::<F>(a, b, product ^ sign ^ (c & 1));
        let value = (a ^ a >> 64) as u64 >> (n % 64);
        integers::<F>(value);
    }
    for bit in 0..64 {
        for value in [1u64 << bit, (1 << bit) - 1, (1 << bit) + 1, !0 << bit, (1 << bit) ^ u64::MAX] {
            integers::<F>(value);
        }
    }
}

/// What CI does of each format.
const EVERY: usize = 37;
const MIXTURES: usize = 40_000;

#[test]
fn half() {
    arithmetic::<Half>(1, EVERY, MIXTURES);
}
#[test]
fn single() {
    arithmetic::<Single>(2, EVERY, MIXTURES);
}
#[test]
fn double() {
    arithmetic::<Double>(3, EVERY, MIXTURES);
}
#[test]
fn quad() {
    arithmetic::<Quad>(4, EVERY, MIXTURES);
}

#[test]
#[ignore = "takes minutes"]
fn half_at_length() {
    arithmetic::<Half>(11, 1, 3_000_000);
}
#[test]
#[ignore = "takes minutes"]
fn single_at_length() {
    arithmetic::<Single>(12, 1, 3_000_000);
}
#[test]
#[ignore = "takes minutes"]
fn double_at_length() {
    arithmetic::<Double>(13, 1, 3_000_000);
}
#[test]
#[ignore = "takes minutes"]
fn quad_at_length() {
    arithmetic::<Quad>(14, 1, 3_000_000);
}

/// A NaN in another format: its sign and the leading bits of its payload, quiet.
fn converted_nan<F: Format, T: Format>(a: u128) -> u128 {
    let top = a << (128 - F::WIDTH);
    let payload = top << (F::WIDTH - F::FRACTION) >> (128 - T::FRACTION);
    top >> 127 << (T::WIDTH - 1) | (2 * T::EMAX as u128 + 1) << T::FRACTION | payload | 1 << (T::FRACTION - 1)
}

fn conversion<F: Format, T: Format, P: Precision>(seed: u64, theirs: Conversion) {
    let mut mixture = Mixture::<F>::new(seed);
    let cases = second_level::<F>().into_iter().chain((0..MIXTURES).map(|_| mixture.draw()));
    for a in cases {
        for (rounding, mode) in MODES {
            let ours = convert::<F, T, P>(F::narrow(a), &Env::DEFAULT.rounding(rounding));
            let (value, raised) = under(mode, || theirs(a));
            let expected = if is_nan::<F>(F::narrow(a)) { converted_nan::<F, T>(a) } else { value };
            assert!(
                T::widen(ours.value) == expected && exceptions(ours.flags) == raised,
                "{a:x} {rounding:?}: {ours:x?}, SoftFloat {expected:x} {raised:#x}"
            );
        }
    }
}

#[test]
fn between_formats() {
    conversion::<Half, Single, Single>(21, half_to_single);
    conversion::<Half, Double, Double>(22, half_to_double);
    conversion::<Half, Quad, Quad>(23, half_to_quad);
    conversion::<Single, Half, Half>(24, single_to_half);
    conversion::<Single, BFloat16, BFloat16>(25, single_to_bfloat16);
    conversion::<Single, Double, Double>(26, single_to_double);
    conversion::<Single, Quad, Quad>(27, single_to_quad);
    conversion::<Double, Half, Half>(28, double_to_half);
    conversion::<Double, Single, Single>(29, double_to_single);
    conversion::<Double, Quad, Quad>(30, double_to_quad);
    conversion::<Quad, Half, Half>(31, quad_to_half);
    conversion::<Quad, Single, Single>(32, quad_to_single);
    conversion::<Quad, Double, Double>(33, quad_to_double);
}

/// `xsrqpxp`: a quad rounded to 64 bits of significand.
#[test]
fn to_double_extended() {
    let mut mixture = Mixture::<Quad>::new(34);
    let cases = second_level::<Quad>().into_iter().chain((0..MIXTURES).map(|_| mixture.draw()));
    for a in cases.filter(|&a| !is_nan::<Quad>(a)) {
        for (rounding, mode) in &MODES[..5] {
            let ours = convert::<Quad, Quad, Extended>(a, &Env::DEFAULT.rounding(*rounding));
            let theirs = under(*mode, || quad_to_extended(a));
            assert_eq!((ours.value, exceptions(ours.flags)), theirs, "{a:x} {rounding:?}");
        }
    }
}

/// Doubles whose result is rounded to single once (`fadds` and the like): what the library makes exactly enough in
/// quad, to odd, it then rounds to single.
#[test]
fn doubles_rounded_to_single() {
    let mut mixture = Mixture::<Double>::new(35);
    let first = first_level::<Double>();
    let mut operands: Vec<[u128; 3]> =
        first.iter().flat_map(|&a| first.iter().map(move |&b| [a, b, a ^ b])).collect();
    operands.extend((0..3 * MIXTURES).map(|_| [(); 3].map(|()| mixture.draw())));
    let mut source = source::Source::new(36);
    operands.extend((0..MIXTURES).map(|_| [(); 3].map(|()| source.double() as u128)));
    for [a, b, c] in operands {
        let [x, y, z] = [a, b, c].map(|v| v as u64);
        let [p, q, r] = [a, b, c].map(|v| under(0, || double_to_quad(v)).0);
        for (rounding, mode) in &MODES[..5] {
            let env = Env::DEFAULT.rounding(*rounding);
            let once = |what: &str, operands: &[u128], ours: Outcome<u64>, wide: (u128, u8)| {
                let narrow = under(*mode, || quad_to_single(wide.0));
                let value = under(0, || single_to_double(narrow.0)).0;
                let signaling = operands.iter().any(|&v| is_signaling::<Double>(v as u64));
                let invalid = if signaling { 16 } else { 0 };
                let expected = if is_nan::<Double>(value as u64) { nan::<Double>(operands) } else { value };
                assert_eq!(
                    (ours.value as u128, exceptions(ours.flags)),
                    (expected, wide.1 & !2 | narrow.1 | invalid),
                    "{what} {operands:x?} {rounding:?}"
                );
            };
            // The sign of a zero depends on the mode, which a sum of zeros must be made in.
            let exact = |operation: &dyn Fn() -> u128| {
                let (value, raised) = under(ODD, operation);
                if value << 1 == 0 { under(*mode, operation) } else { (value, raised) }
            };
            once("adds", &[a, b], add::<Double, Single>(x, y, &env), exact(&|| Quad::add(p, q)));
            once("subs", &[a, b], sub::<Double, Single>(x, y, &env), exact(&|| Quad::sub(p, q)));
            once("muls", &[a, b], mul::<Double, Single>(x, y, &env), exact(&|| Quad::mul(p, q)));
            once("divs", &[a, b], div::<Double, Single>(x, y, &env), exact(&|| Quad::div(p, q)));
            once("sqrts", &[a], sqrt::<Double, Single>(x, &env), exact(&|| Quad::sqrt(p)));
            once("fmas", &[a, c, b], fma::<Double, Single>(x, y, z, &env), exact(&|| Quad::fma(p, q, r)));
        }
    }
}
