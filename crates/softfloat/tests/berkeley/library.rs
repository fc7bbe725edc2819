//! Berkeley SoftFloat, called for the formats of this crate.

use softfloat_sys::*;
use timebase_softfloat::{Double, Flags, Format, Half, Quad, Rounding, Single};

/// The library's rounding modes: all five of IEEE 754, and to odd.
pub const MODES: [(Rounding, u8); 6] = [
    (Rounding::NearestEven, softfloat_round_near_even),
    (Rounding::TowardZero, softfloat_round_minMag),
    (Rounding::Up, softfloat_round_max),
    (Rounding::Down, softfloat_round_min),
    (Rounding::NearestAway, softfloat_round_near_maxMag),
    (Rounding::Odd, softfloat_round_odd),
];

/// The one that truncates.
pub const TOWARD_ZERO: u8 = softfloat_round_minMag;
/// The one for results that are rounded again.
pub const ODD: u8 = softfloat_round_odd;

/// What an operation gives, and the exceptions that it raises, in this rounding mode. Tininess is detected before
/// rounding, as Power does.
pub fn under<T>(mode: u8, operation: impl FnOnce() -> T) -> (T, u8) {
    // SAFETY: these write and read variables of this thread.
    unsafe {
        softfloat_detectTininess_write_helper(softfloat_tininess_beforeRounding);
        softfloat_roundingMode_write_helper(mode);
        softfloat_exceptionFlags_write_helper(0);
        let result = operation();
        (result, softfloat_exceptionFlags_read_helper())
    }
}

/// Our flags as the library has them.
pub fn exceptions(flags: Flags) -> u8 {
    let by = |which, exception| if flags.any(which) { exception } else { 0 };
    by(Flags::XX, softfloat_flag_inexact)
        | by(Flags::UX, softfloat_flag_underflow)
        | by(Flags::OX, softfloat_flag_overflow)
        | by(Flags::ZX, softfloat_flag_infinite)
        | by(Flags::INVALID, softfloat_flag_invalid)
}

/// The library's functions for a format.
pub trait Library: Format {
    fn add(a: u128, b: u128) -> u128;
    fn sub(a: u128, b: u128) -> u128;
    fn mul(a: u128, b: u128) -> u128;
    fn div(a: u128, b: u128) -> u128;
    fn sqrt(a: u128) -> u128;
    /// a * c + b
    fn fma(a: u128, c: u128, b: u128) -> u128;
    /// Raises inexact.
    fn round_to_integral(a: u128, mode: u8) -> u128;
    /// Of 32 or 64 bits.
    fn to_int(a: u128, bits: u32, signed: bool, mode: u8) -> u64;
    /// From the low 32 or all bits.
    fn from_int(value: u64, bits: u32, signed: bool) -> u128;
    /// Less, equal; quiet NaNs raise nothing.
    fn compare(a: u128, b: u128) -> (bool, bool);
}

macro_rules! library {
    ($($format:ident: $type:ident, $from:expr, $to:expr, $add:ident $sub:ident $mul:ident $div:ident $sqrt:ident
        $fma:ident $rint:ident, $to_i32:ident $to_u32:ident $to_i64:ident $to_u64:ident,
        $i32:ident $u32:ident $i64:ident $u64:ident, $lt:ident $eq:ident;)*) => {$(
        // SAFETY (of all calls): the functions take and give numbers and touch variables of this thread alone.
        impl Library for $format {
            fn add(a: u128, b: u128) -> u128 {
                // SAFETY: as above.
                $to(unsafe { $add($from(a), $from(b)) })
            }
            fn sub(a: u128, b: u128) -> u128 {
                // SAFETY: as above.
                $to(unsafe { $sub($from(a), $from(b)) })
            }
            fn mul(a: u128, b: u128) -> u128 {
                // SAFETY: as above.
                $to(unsafe { $mul($from(a), $from(b)) })
            }
            fn div(a: u128, b: u128) -> u128 {
                // SAFETY: as above.
                $to(unsafe { $div($from(a), $from(b)) })
            }
            fn sqrt(a: u128) -> u128 {
                // SAFETY: as above.
                $to(unsafe { $sqrt($from(a)) })
            }
            fn fma(a: u128, c: u128, b: u128) -> u128 {
                // SAFETY: as above.
                $to(unsafe { $fma($from(a), $from(c), $from(b)) })
            }
            fn round_to_integral(a: u128, mode: u8) -> u128 {
                // SAFETY: as above.
                $to(unsafe { $rint($from(a), mode, true) })
            }
            fn to_int(a: u128, bits: u32, signed: bool, mode: u8) -> u64 {
                // SAFETY: as above.
                unsafe {
                    match (bits, signed) {
                        (32, true) => $to_i32($from(a), mode, true) as u32 as u64,
                        (32, false) => $to_u32($from(a), mode, true) as u32 as u64,
                        (64, true) => $to_i64($from(a), mode, true) as u64,
                        _ => $to_u64($from(a), mode, true),
                    }
                }
            }
            fn from_int(value: u64, bits: u32, signed: bool) -> u128 {
                // SAFETY: as above.
                $to(unsafe {
                    match (bits, signed) {
                        (32, true) => $i32(value as i32),
                        (32, false) => $u32(value as u32),
                        (64, true) => $i64(value as i64),
                        _ => $u64(value),
                    }
                })
            }
            fn compare(a: u128, b: u128) -> (bool, bool) {
                // SAFETY: as above.
                unsafe { ($lt($from(a), $from(b)), $eq($from(a), $from(b))) }
            }
        }
    )*};
}

fn half(v: u128) -> float16_t {
    float16_t { v: v as u16 }
}
fn single(v: u128) -> float32_t {
    float32_t { v: v as u32 }
}
fn double(v: u128) -> float64_t {
    float64_t { v: v as u64 }
}
fn quad(v: u128) -> float128_t {
    // The host is little-endian: the low half comes first.
    float128_t { v: [v as u64, (v >> 64) as u64] }
}
fn quad_bits(x: float128_t) -> u128 {
    (x.v[1] as u128) << 64 | x.v[0] as u128
}

library! {
    Half: float16_t, half, |x: float16_t| x.v as u128, f16_add f16_sub f16_mul f16_div f16_sqrt
        f16_mulAdd f16_roundToInt, f16_to_i32 f16_to_ui32 f16_to_i64 f16_to_ui64,
        i32_to_f16 ui32_to_f16 i64_to_f16 ui64_to_f16, f16_lt_quiet f16_eq;
    Single: float32_t, single, |x: float32_t| x.v as u128, f32_add f32_sub f32_mul f32_div f32_sqrt
        f32_mulAdd f32_roundToInt, f32_to_i32 f32_to_ui32 f32_to_i64 f32_to_ui64,
        i32_to_f32 ui32_to_f32 i64_to_f32 ui64_to_f32, f32_lt_quiet f32_eq;
    Double: float64_t, double, |x: float64_t| x.v as u128, f64_add f64_sub f64_mul f64_div f64_sqrt
        f64_mulAdd f64_roundToInt, f64_to_i32 f64_to_ui32 f64_to_i64 f64_to_ui64,
        i32_to_f64 ui32_to_f64 i64_to_f64 ui64_to_f64, f64_lt_quiet f64_eq;
    Quad: float128_t, quad, quad_bits, f128_add f128_sub f128_mul f128_div f128_sqrt
        f128_mulAdd f128_roundToInt, f128_to_i32 f128_to_ui32 f128_to_i64 f128_to_ui64,
        i32_to_f128 ui32_to_f128 i64_to_f128 ui64_to_f128, f128_lt_quiet f128_eq;
}

/// A conversion between formats.
pub type Conversion = fn(u128) -> u128;

macro_rules! conversions {
    ($($name:ident = $function:ident($from:ident, $to:expr);)*) => {$(
        pub fn $name(a: u128) -> u128 {
            // SAFETY: it takes and gives numbers and touches variables of this thread alone.
            $to(unsafe { $function($from(a)) })
        }
    )*};
}

conversions! {
    half_to_single = f16_to_f32(half, |x: float32_t| x.v as u128);
    half_to_double = f16_to_f64(half, |x: float64_t| x.v as u128);
    half_to_quad = f16_to_f128(half, quad_bits);
    single_to_bfloat16 = f32_to_bf16(single, |x: bfloat16_t| x.v as u128);
    single_to_half = f32_to_f16(single, |x: float16_t| x.v as u128);
    single_to_double = f32_to_f64(single, |x: float64_t| x.v as u128);
    single_to_quad = f32_to_f128(single, quad_bits);
    double_to_half = f64_to_f16(double, |x: float16_t| x.v as u128);
    double_to_single = f64_to_f32(double, |x: float32_t| x.v as u128);
    double_to_quad = f64_to_f128(double, quad_bits);
    quad_to_half = f128_to_f16(quad, |x: float16_t| x.v as u128);
    quad_to_single = f128_to_f32(quad, |x: float32_t| x.v as u128);
    quad_to_double = f128_to_f64(quad, |x: float64_t| x.v as u128);
}

/// A quad rounded to the precision of double-extended, as a quad.
pub fn quad_to_extended(a: u128) -> u128 {
    // SAFETY: they take and give numbers and touch variables of this thread alone.
    quad_bits(unsafe { extF80_to_f128(f128_to_extF80(quad(a))) })
}
