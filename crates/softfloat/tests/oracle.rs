//! All formats, rounding modes and flags against an independent soft float (`rustc_apfloat`).
//!
//! What differs by design is adapted here: Power detects tininess before rounding, and has its own rules for NaNs.

mod source;

use rustc_apfloat::ieee::{BFloat, Double as ApDouble, Half as ApHalf, Quad as ApQuad, Single as ApSingle};
use rustc_apfloat::{Float, FloatConvert, Round, Status, StatusAnd};
use source::Source;
use timebase_softfloat::*;

const MODES: [(Rounding, Round); 5] = [
    (Rounding::NearestEven, Round::NearestTiesToEven),
    (Rounding::TowardZero, Round::TowardZero),
    (Rounding::Up, Round::TowardPositive),
    (Rounding::Down, Round::TowardNegative),
    (Rounding::NearestAway, Round::NearestTiesToAway),
];

const INEXACT: Flags = Flags(Flags::XX.0 | Flags::FI.0);

fn check<F: Format, A: Float>(ours: Outcome<F::Bits>, oracle: StatusAnd<A>, what: &str, operands: &[u128]) {
    let expected = oracle.value.to_bits();
    let ours_bits = F::widen(ours.value);
    let context = || {
        format!(
            "{what} {operands:x?}: {ours_bits:x} {:x?}, oracle {expected:x} {:?}",
            ours.flags, oracle.status
        )
    };
    if oracle.value.is_nan() {
        assert!(is_nan::<F>(ours.value), "{}", context());
        return;
    }
    assert_eq!(ours_bits, expected, "{}", context());
    let status = oracle.status;
    assert_eq!(ours.flags.any(INEXACT), status.contains(Status::INEXACT), "{}", context());
    // The oracle does not call an overflow so when it rounds to the largest number.
    let largest = !oracle.value.is_infinite() && oracle.value.abs() == A::largest();
    let overflow = status.contains(Status::OVERFLOW) || largest && ours.flags.any(Flags::OX);
    assert_eq!(ours.flags.any(Flags::OX), overflow, "{}", context());
    assert_eq!(ours.flags.any(Flags::ZX), status.contains(Status::DIV_BY_ZERO), "{}", context());
    assert_eq!(ours.flags.any(Flags::INVALID), status.contains(Status::INVALID_OP), "{}", context());
    // Where the oracle, which looks after rounding, sees underflow, so do we.
    if status.contains(Status::UNDERFLOW) {
        assert!(ours.flags.any(Flags::UX), "{}", context());
    }
}

fn arithmetic<F: Format, A: Float>(seed: u64, fraction: u32, exponent: u32, rounds: usize) {
    let mut source = Source::new(seed);
    for n in 0..rounds {
        let [a, b, c] = [0; 3].map(|_| source.number(fraction, exponent));
        // Nearly equal operands cancel.
        let b = if source.bits() & 15 == 0 {
            a ^ (source.bits() as u128 & 3) ^ 1 << (fraction + exponent)
        } else {
            b
        };
        let (rounding, round) = MODES[n % MODES.len()];
        let env = Env::DEFAULT.rounding(rounding);
        let ours = [a, b, c].map(F::narrow);
        let [x, y, z] = [a, b, c].map(A::from_bits);
        check::<F, A>(add::<F, F>(ours[0], ours[1], &env), x.add_r(y, round), "add", &[a, b]);
        check::<F, A>(sub::<F, F>(ours[0], ours[1], &env), x.sub_r(y, round), "sub", &[a, b]);
        check::<F, A>(mul::<F, F>(ours[0], ours[1], &env), x.mul_r(y, round), "mul", &[a, b]);
        check::<F, A>(div::<F, F>(ours[0], ours[1], &env), x.div_r(y, round), "div", &[a, b]);
        let fused = fma::<F, F>(ours[0], ours[1], ours[2], &env);
        check::<F, A>(fused, x.mul_add_r(y, z, round), "fma", &[a, b, c]);
        let integral = round_to_integral::<F>(ours[0], rounding);
        let expected = x.round_to_integral(round).value;
        if !expected.is_nan() {
            assert_eq!(F::widen(integral.value), expected.to_bits(), "rint {a:x} {rounding:?}");
        }
        for (bits, signed) in [(32, true), (32, false), (64, true), (64, false), (128, true), (128, false)] {
            let ours = to_int::<F>(ours[0], bits, signed, rounding);
            let oracle = if signed {
                let StatusAnd { value, status } = x.to_i128_r(bits as usize, round, &mut false);
                StatusAnd { value: value as u128 & u128::MAX >> (128 - bits), status }
            } else {
                x.to_u128_r(bits as usize, round, &mut false)
            };
            let invalid = oracle.status.contains(Status::INVALID_OP);
            assert_eq!(ours.flags.any(Flags::VXCVI), invalid, "to {bits} {signed} {a:x} {rounding:?}");
            if !x.is_nan() {
                assert_eq!(ours.value, oracle.value, "to {bits} {signed} {a:x} {rounding:?}");
            }
        }
    }
}

#[test]
fn half() {
    arithmetic::<Half, ApHalf>(11, 10, 5, 200_000);
}
#[test]
fn bfloat16() {
    arithmetic::<BFloat16, BFloat>(12, 7, 8, 100_000);
}
#[test]
fn single() {
    arithmetic::<Single, ApSingle>(13, 23, 8, 200_000);
}
#[test]
fn double() {
    arithmetic::<Double, ApDouble>(14, 52, 11, 200_000);
}
#[test]
fn quad() {
    arithmetic::<Quad, ApQuad>(15, 112, 15, 200_000);
}

fn conversion<F: Format, T: Format, A: Float + FloatConvert<B>, B: Float>(
    seed: u64,
    fraction: u32,
    exponent: u32,
) {
    let mut source = Source::new(seed);
    for n in 0..100_000 {
        let a = source.number(fraction, exponent);
        let (rounding, round) = MODES[n % MODES.len()];
        let env = Env::DEFAULT.rounding(rounding);
        let ours = convert::<F, T, T>(F::narrow(a), &env);
        let x = A::from_bits(a);
        if x.is_nan() {
            assert!(is_nan::<T>(ours.value) && !is_signaling::<T>(ours.value));
            continue;
        }
        check::<T, B>(ours, x.convert_r(round, &mut false), "convert", &[a]);
    }
}

#[test]
fn between_formats() {
    conversion::<Double, Single, ApDouble, ApSingle>(21, 52, 11);
    conversion::<Double, Half, ApDouble, ApHalf>(22, 52, 11);
    conversion::<Quad, Double, ApQuad, ApDouble>(23, 112, 15);
    conversion::<Quad, Single, ApQuad, ApSingle>(24, 112, 15);
    conversion::<Single, BFloat16, ApSingle, BFloat>(25, 23, 8);
    conversion::<Half, Double, ApHalf, ApDouble>(26, 10, 5);
    conversion::<Double, Quad, ApDouble, ApQuad>(27, 52, 11);
}

/// The oracle has no square root. Truncated, the root r is right if r^2 <= a < (r + 1 ulp)^2, which the signs of fused
/// r * r - a tell exactly.
#[test]
fn quad_square_root() {
    let mut source = Source::new(31);
    for n in 0..50_000 {
        let a = source.number(112, 15) & (u128::MAX >> 1);
        let x = ApQuad::from_bits(a);
        if x.is_nan() || x.is_infinite() || x.is_zero() {
            continue;
        }
        let (rounding, _) = MODES[n % 4];
        let root = sqrt::<Quad, Quad>(a, &Env::DEFAULT.rounding(rounding));
        let down = sqrt::<Quad, Quad>(a, &Env::DEFAULT.rounding(Rounding::TowardZero)).value;
        let negate = 1u128 << 127;
        let residue = |r: u128| fma::<Quad, Quad>(r, r, a ^ negate, &Env::DEFAULT).value;
        let tiny = (a >> 112) < 230;
        if !tiny {
            let (low, high) = (residue(down), residue(down + 1));
            assert!(low >> 127 == 1 || low == 0, "{a:x} {down:x}");
            assert!(high >> 127 == 0 && high != 0, "{a:x} {down:x}");
            assert_eq!(root.flags.any(Flags::XX), low != 0, "{a:x}");
        }
        assert!(root.value == down || root.value == down + 1);
        if rounding == Rounding::Up {
            assert_eq!(root.value == down + 1, root.flags.any(Flags::FR));
        }
    }
}

/// Rounding an exact double product or sum to single once is not rounding it twice: the oracle works in quad, which
/// holds both exactly.
#[test]
fn doubles_rounded_to_single_once() {
    let mut source = Source::new(41);
    for n in 0..200_000 {
        let (a, b) = (source.double(), source.double());
        let (rounding, round) = MODES[n % MODES.len()];
        let env = Env::DEFAULT.rounding(rounding);
        let quad = |v: u64| -> ApQuad { ApDouble::from_bits(v as u128).convert(&mut false).value };
        let product = quad(a) * quad(b);
        if product.status != Status::OK || product.value.is_nan() {
            continue;
        }
        let expected: StatusAnd<ApSingle> = product.value.convert_r(round, &mut false);
        let ours = mul::<Double, Single>(a, b, &env);
        let widened: StatusAnd<ApDouble> = expected.value.convert(&mut false);
        assert_eq!(ours.value as u128, widened.value.to_bits(), "{a:x} * {b:x} {rounding:?}");
        assert_eq!(ours.flags.any(Flags::XX), expected.status.contains(Status::INEXACT));
        assert!(ours.flags.any(Flags::OX) || !expected.status.contains(Status::OVERFLOW));
    }
}

/// To odd: exact results stay, others are truncated with a last bit of 1, and rounding again is rounding once.
#[test]
fn round_to_odd() {
    let mut source = Source::new(51);
    for n in 0..100_000 {
        let (a, b) = (source.number(112, 15), source.number(112, 15));
        let odd = add::<Quad, Quad>(a, b, &Env::DEFAULT.rounding(Rounding::Odd));
        let zero = add::<Quad, Quad>(a, b, &Env::DEFAULT.rounding(Rounding::TowardZero));
        if is_nan::<Quad>(odd.value) {
            continue;
        }
        let inexact = zero.flags.any(Flags::XX) && !zero.flags.any(Flags::OX);
        assert_eq!(odd.value, zero.value | inexact as u128);
        let (rounding, _) = MODES[n % 4];
        let env = Env::DEFAULT.rounding(rounding);
        let once = convert::<Quad, Double, Double>(odd.value, &env);
        let exponent = |v: u128| (v >> 112 & 0x7fff) as i32 - 16383;
        if exponent(odd.value).abs() < 900 && (exponent(a) - exponent(b)).abs() < 50 {
            // The sum of two quads that are not far apart, as exact as 2 * 113 bits, decides.
            let exact = odd.value & ((1 << 60) - 1) == 0;
            assert_eq!(once.flags.any(Flags::XX), !exact, "{a:x} {b:x}");
            if exact {
                assert_eq!(once.value, convert::<Quad, Double, Double>(zero.value, &env).value);
            }
        }
    }
}

/// Enabled overflow and underflow: the exponent is adjusted by 1536 (double) and the rest is as if the exponent had
/// no bounds.
#[test]
fn enabled_exceptions_adjust_the_exponent() {
    let trapping = Env { overflow_enabled: true, underflow_enabled: true, ..Env::DEFAULT };
    let max = f64::MAX.to_bits();
    let doubled = add::<Double, Double>(max, max, &trapping);
    assert!(doubled.flags.any(Flags::OX) && !doubled.flags.any(Flags::XX));
    assert_eq!(f64::from_bits(doubled.value), f64::MAX * 2f64.powi(-768) * 2f64.powi(-767));
    let least = f64::MIN_POSITIVE.to_bits();
    let half = 0.5f64.to_bits();
    let halved = mul::<Double, Double>(least, half, &trapping);
    // Exact, and yet an underflow: enabled, tininess alone counts.
    assert_eq!(halved.flags, Flags::UX);
    assert_eq!(f64::from_bits(halved.value), f64::MIN_POSITIVE * 2f64.powi(768) * 2f64.powi(767));
    // Not enabled, an exact denormalized result raises nothing.
    assert_eq!(mul::<Double, Double>(least, half, &Env::DEFAULT).flags, Flags::NONE);
    // frsp of 2^200 in a register of doubles: 2^(200-192).
    let big = convert::<Double, Double, Single>(2f64.powi(200).to_bits(), &trapping);
    assert_eq!(f64::from_bits(big.value), 256.0);
}

/// Tininess is detected before rounding: a result that rounds up to the smallest normal number underflows.
#[test]
fn tininess_before_rounding() {
    let below = f64::MIN_POSITIVE.to_bits() - 1;
    let almost_one = 1.0f64.to_bits() + 1;
    let product = mul::<Double, Double>(below, almost_one, &Env::DEFAULT.rounding(Rounding::Up));
    assert_eq!(f64::from_bits(product.value), f64::MIN_POSITIVE);
    assert!(product.flags.any(Flags::UX) && product.flags.any(Flags::XX) && product.flags.any(Flags::FR));
}

/// NaNs: A before B before C, quieted; what is invalid is told apart.
#[test]
fn nan_and_invalid() {
    const QUIET: u64 = 0x7ff8_0000_0000_0001;
    const SIGNALING: u64 = 0xfff0_0000_0000_0002;
    const INFINITY: u64 = 0x7ff0_0000_0000_0000;
    const DEFAULT: u64 = 0x7ff8_0000_0000_0000;
    let e = &Env::DEFAULT;
    let one = 1.0f64.to_bits();
    type D = Double;
    let at = |o: Outcome<u64>| (o.value, o.flags);
    assert_eq!(at(add::<D, D>(QUIET, SIGNALING, e)), (QUIET, Flags::VXSNAN));
    assert_eq!(at(add::<D, D>(SIGNALING, QUIET, e)), (SIGNALING | 1 << 51, Flags::VXSNAN));
    assert_eq!(at(sub::<D, D>(one, QUIET, e)), (QUIET, Flags::NONE));
    assert_eq!(at(fma::<D, D>(one, SIGNALING, QUIET, e)), (QUIET, Flags::VXSNAN));
    assert_eq!(at(fma::<D, D>(INFINITY, 0, QUIET, e)), (QUIET, Flags::VXIMZ));
    assert_eq!(at(fma::<D, D>(INFINITY, 0, one, e)), (DEFAULT, Flags::VXIMZ));
    assert_eq!(at(fma::<D, D>(INFINITY, one, INFINITY | 1 << 63, e)), (DEFAULT, Flags::VXISI));
    assert_eq!(at(sub::<D, D>(INFINITY, INFINITY, e)), (DEFAULT, Flags::VXISI));
    assert_eq!(at(mul::<D, D>(0, INFINITY, e)), (DEFAULT, Flags::VXIMZ));
    assert_eq!(at(div::<D, D>(INFINITY, INFINITY, e)), (DEFAULT, Flags::VXIDI));
    assert_eq!(at(div::<D, D>(0, 0, e)), (DEFAULT, Flags::VXZDZ));
    assert_eq!(at(div::<D, D>(one, 1 << 63, e)), (INFINITY | 1 << 63, Flags::ZX));
    assert_eq!(at(sqrt::<D, D>(one | 1 << 63, e)), (DEFAULT, Flags::VXSQRT));
    assert_eq!(at(sqrt::<D, D>(1 << 63, e)), (1 << 63, Flags::NONE));
    assert_eq!(compare::<D>(one, SIGNALING), (Order::Unordered, Flags::VXSNAN));
    let to = to_int::<D>(SIGNALING, 64, true, Rounding::TowardZero);
    assert_eq!((to.value, to.flags), (1 << 63, Flags::VXCVI.with(Flags::VXSNAN)));
}
