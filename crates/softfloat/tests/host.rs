//! Single and double against the host's own arithmetic (nearest-even), bit for bit.

mod source;

use source::Source;
use timebase_softfloat::*;

const E: Env = Env::DEFAULT;
const ROUNDS: usize = 300_000;

/// Power and the host agree on everything but which NaN comes out.
fn same64(ours: u64, host: f64, what: &str, operands: &[u64]) {
    let equal = if host.is_nan() { f64::from_bits(ours).is_nan() } else { ours == host.to_bits() };
    assert!(equal, "{what} {operands:x?}: {ours:x}, host {:x}", host.to_bits());
}

fn same32(ours: u32, host: f32, what: &str, operands: &[u32]) {
    let equal = if host.is_nan() { f32::from_bits(ours).is_nan() } else { ours == host.to_bits() };
    assert!(equal, "{what} {operands:x?}: {ours:x}, host {:x}", host.to_bits());
}

#[test]
fn double_arithmetic() {
    let mut source = Source::new(1);
    for _ in 0..ROUNDS {
        let (a, b, c) = (source.double(), source.double(), source.double());
        let (x, y, z) = (f64::from_bits(a), f64::from_bits(b), f64::from_bits(c));
        same64(add::<Double, Double>(a, b, &E).value, x + y, "add", &[a, b]);
        same64(sub::<Double, Double>(a, b, &E).value, x - y, "sub", &[a, b]);
        same64(mul::<Double, Double>(a, b, &E).value, x * y, "mul", &[a, b]);
        same64(div::<Double, Double>(a, b, &E).value, x / y, "div", &[a, b]);
        same64(sqrt::<Double, Double>(a, &E).value, x.sqrt(), "sqrt", &[a]);
        same64(fma::<Double, Double>(a, b, c, &E).value, x.mul_add(y, z), "fma", &[a, b, c]);
    }
}

#[test]
fn single_arithmetic() {
    let mut source = Source::new(2);
    for _ in 0..ROUNDS {
        let (a, b, c) =
            (source.number(23, 8) as u32, source.number(23, 8) as u32, source.number(23, 8) as u32);
        let (x, y, z) = (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
        same32(add::<Single, Single>(a, b, &E).value, x + y, "add", &[a, b]);
        same32(sub::<Single, Single>(a, b, &E).value, x - y, "sub", &[a, b]);
        same32(mul::<Single, Single>(a, b, &E).value, x * y, "mul", &[a, b]);
        same32(div::<Single, Single>(a, b, &E).value, x / y, "div", &[a, b]);
        same32(sqrt::<Single, Single>(a, &E).value, x.sqrt(), "sqrt", &[a]);
        same32(fma::<Single, Single>(a, b, c, &E).value, x.mul_add(y, z), "fma", &[a, b, c]);
    }
}

#[test]
fn conversions() {
    let mut source = Source::new(3);
    for _ in 0..ROUNDS {
        let (a, b, n) = (source.double(), source.number(23, 8) as u32, source.bits() >> (source.bits() & 63));
        let (x, y) = (f64::from_bits(a), f32::from_bits(b));
        same32(convert::<Double, Single, Single>(a, &E).value, x as f32, "to single", &[]);
        same64(convert::<Single, Double, Double>(b, &E).value, y as f64, "to double", &[b as u64]);
        same64(from_int::<Double, Double>(false, n as u128, &E).value, n as f64, "from u64", &[n]);
        let signed = n as i64;
        let magnitude = signed.unsigned_abs() as u128;
        same64(from_int::<Double, Double>(signed < 0, magnitude, &E).value, signed as f64, "from i64", &[n]);
        same32(from_int::<Single, Single>(false, n as u128, &E).value, n as f32, "from u64", &[]);
        // Rust's `as` truncates and saturates; NaN gives 0.
        let to = |bits, signed| to_int::<Double>(a, bits, signed, Rounding::TowardZero).value;
        assert_eq!(to(64, false) as u64, x as u64, "{a:x}");
        assert_eq!(to(32, false) as u32, x as u32, "{a:x}");
        if !x.is_nan() {
            assert_eq!(to(64, true) as i64, x as i64, "{a:x}");
            assert_eq!(to(32, true) as i32, x as i32, "{a:x}");
        }
        let integral = |rounding| round_to_integral::<Double>(a, rounding).value;
        same64(integral(Rounding::TowardZero), x.trunc(), "trunc", &[a]);
        same64(integral(Rounding::Up), x.ceil(), "ceil", &[a]);
        same64(integral(Rounding::Down), x.floor(), "floor", &[a]);
        same64(integral(Rounding::NearestAway), x.round(), "round", &[a]);
        same64(integral(Rounding::NearestEven), x.round_ties_even(), "rint", &[a]);
    }
}

#[test]
fn comparison() {
    let mut source = Source::new(4);
    for _ in 0..ROUNDS {
        let a = source.double();
        let b = if source.bits() & 7 == 0 { a } else { source.double() };
        let (x, y) = (f64::from_bits(a), f64::from_bits(b));
        let expected = match x.partial_cmp(&y) {
            None => Order::Unordered,
            Some(core::cmp::Ordering::Less) => Order::Less,
            Some(core::cmp::Ordering::Equal) => Order::Equal,
            Some(core::cmp::Ordering::Greater) => Order::Greater,
        };
        assert_eq!(compare::<Double>(a, b).0, expected, "{a:x} {b:x}");
    }
}

/// The reciprocal is the quotient 1/a; the reciprocal square root is within 2^-51 of the true one.
#[test]
fn estimates() {
    let mut source = Source::new(5);
    for _ in 0..ROUNDS {
        let a = source.double();
        let x = f64::from_bits(a);
        same64(reciprocal::<Double, Double>(a, &E).value, 1.0 / x, "re", &[a]);
        let estimate = f64::from_bits(reciprocal_sqrt::<Double, Double>(a, &E).value);
        if x > 0.0 && x.is_finite() {
            let error = (estimate * x.sqrt() - 1.0).abs();
            assert!(error < 1e-15, "rsqrte {a:x}: {error}");
        }
    }
}
