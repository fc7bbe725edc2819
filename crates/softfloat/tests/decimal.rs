//! Decimal arithmetic against exact integers and against the book's rules for enabled overflow and underflow, which
//! the comparison with the peer leaves out.

use timebase_softfloat::Flags;
use timebase_softfloat::decimal::{Env, Format, Kind, Number, Rounding, add, div, mul, quantize, round, sub};

const PLAIN: Env = Env { rounding: Rounding::NearestEven, overflow_enabled: false, underflow_enabled: false };

fn number(coefficient: u128, exponent: i32) -> Number {
    Number::finite(false, coefficient, exponent)
}

#[test]
fn sums_and_products_of_integers_are_those_of_integers() {
    let mut z = 1u64;
    let mut next = || {
        z = z.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (z >> 16) as u128 % 10u128.pow(z as u32 % 9)
    };
    for _ in 0..20_000 {
        let (a, b) = (next(), next());
        let exact = |outcome: timebase_softfloat::decimal::Outcome| {
            assert_eq!(outcome.flags, Flags::NONE);
            (outcome.number.negative, outcome.number.coefficient, outcome.number.exponent)
        };
        let f = &Format::LONG;
        assert_eq!(exact(add(number(a, 0), number(b, 0), f, &PLAIN)), (false, a + b, 0));
        assert_eq!(exact(sub(number(a, 0), number(b, 0), f, &PLAIN)), (a < b, a.abs_diff(b), 0));
        assert_eq!(exact(mul(number(a, 3), number(b, -5), f, &PLAIN)), (false, a * b, -2));
        if b != 0 {
            assert_eq!(exact(div(number(a * b, 0), number(b, 0), f, &PLAIN)), (false, a, 0), "{a} {b}");
        }
    }
}

#[test]
fn every_rounding_mode_on_every_lost_digit() {
    // 17 digits to 16: what the last digit becomes for d.0 to d.9, positive, with the last kept digit 4 and 5.
    let rows: [(Rounding, [u128; 10], [u128; 10]); 8] = [
        (Rounding::NearestEven, [4, 4, 4, 4, 4, 4, 5, 5, 5, 5], [5, 5, 5, 5, 5, 6, 6, 6, 6, 6]),
        (Rounding::TowardZero, [4; 10], [5; 10]),
        (Rounding::Up, [4, 5, 5, 5, 5, 5, 5, 5, 5, 5], [5, 6, 6, 6, 6, 6, 6, 6, 6, 6]),
        (Rounding::Down, [4; 10], [5; 10]),
        (Rounding::NearestAway, [4, 4, 4, 4, 4, 5, 5, 5, 5, 5], [5, 5, 5, 5, 5, 6, 6, 6, 6, 6]),
        (Rounding::NearestTowardZero, [4, 4, 4, 4, 4, 4, 5, 5, 5, 5], [5, 5, 5, 5, 5, 5, 6, 6, 6, 6]),
        (Rounding::AwayFromZero, [4, 5, 5, 5, 5, 5, 5, 5, 5, 5], [5, 6, 6, 6, 6, 6, 6, 6, 6, 6]),
        (Rounding::ForShorter, [4; 10], [5, 6, 6, 6, 6, 6, 6, 6, 6, 6]),
    ];
    let base = 10u128.pow(16);
    for (mode, four, five) in rows {
        for lost in 0..10u128 {
            let env = Env { rounding: mode, ..PLAIN };
            for (kept, expected) in [(4, four), (5, five)] {
                let outcome = round(number(base + kept * 10 + lost, 0), &Format::LONG, &env);
                assert_eq!(
                    outcome.number,
                    number(base / 10 + expected[lost as usize], 1),
                    "{mode:?} {kept}.{lost}"
                );
                let inexact = outcome.flags.any(Flags::XX);
                assert_eq!(inexact, lost != 0);
                assert_eq!(outcome.flags.any(Flags::FR), expected[lost as usize] != kept);
                let quantized =
                    quantize(number(kept * 10 + lost, 0), 1, &Format::LONG, mode).expect("it fits");
                assert_eq!(quantized.number, number(expected[lost as usize], 1));
            }
        }
    }
}

#[test]
fn an_enabled_overflow_delivers_the_adjusted_exponent() {
    let env = Env { overflow_enabled: true, ..PLAIN };
    for (format, adjustment) in [(Format::LONG, 576), (Format::EXTENDED, 9216)] {
        let big = number(10u128.pow(format.digits) - 1, format.max_exponent());
        let outcome = mul(big, number(1, 2), &format, &env);
        assert_eq!(outcome.number, Number { exponent: big.exponent + 2 - adjustment, ..big });
        assert_eq!(outcome.flags, Flags::OX, "exact: no XX");
        let plain = mul(big, number(1, 2), &format, &PLAIN);
        assert_eq!((plain.number.kind, plain.flags.any(Flags::XX)), (Kind::Infinity, true));
        let truncated = Env { rounding: Rounding::TowardZero, ..PLAIN };
        assert_eq!(mul(big, number(1, 2), &format, &truncated).number, big);
    }
}

#[test]
fn an_enabled_underflow_delivers_the_adjusted_exponent() {
    let env = Env { underflow_enabled: true, ..PLAIN };
    for (format, adjustment) in [(Format::LONG, 576), (Format::EXTENDED, 9216)] {
        // Tiny and exact: enabled it raises UX, otherwise not.
        let tiny = number(123, format.min_exponent());
        let outcome = mul(tiny, number(1, 0), &format, &env);
        assert_eq!(outcome.flags, Flags::UX);
        assert_eq!(outcome.number.coefficient, 123);
        assert_eq!(outcome.number.exponent, format.min_exponent() + adjustment);
        assert_eq!(mul(tiny, number(1, 0), &format, &PLAIN).number, tiny);
        assert_eq!(mul(tiny, number(1, 0), &format, &PLAIN).flags, Flags::NONE);
        // Tiny and inexact: 12.3 units of the last place.
        let lost = mul(tiny, number(1, -1), &format, &PLAIN);
        assert_eq!(lost.number, number(12, format.min_exponent()));
        assert!(lost.flags.any(Flags::UX) && lost.flags.any(Flags::XX));
    }
}

#[test]
fn a_far_smaller_operand_still_decides_the_rounding() {
    // 10^33 - 10^-6000 rounded down: the last digit of 34 nines.
    let (one, small) = (number(1, 33), number(1, -6000));
    let down = Env { rounding: Rounding::Down, ..PLAIN };
    let outcome = sub(one, small, &Format::EXTENDED, &down);
    assert_eq!(outcome.number, number(10u128.pow(34) - 1, -1));
    assert!(outcome.flags.any(Flags::XX));
    let nearest = sub(one, small, &Format::EXTENDED, &PLAIN);
    assert_eq!(nearest.number, number(10u128.pow(33), 0));
}

#[test]
fn encodings_come_back() {
    let mut z = 7u128;
    for _ in 0..50_000 {
        z = z.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(0x5851_f42d_4c95_7f2d);
        for format in [Format::SHORT, Format::LONG, Format::EXTENDED] {
            let datum = (z ^ z >> 64) & (u128::MAX >> (128 - format.width()));
            let number = format.decode(datum);
            // Redundant declets become preferred ones; then nothing changes any more.
            let canonical = format.encode(number);
            assert_eq!(format.decode(canonical), number);
            assert_eq!(format.encode(format.decode(canonical)), canonical);
            assert!(number.coefficient < 10u128.pow(format.digits));
        }
    }
}
