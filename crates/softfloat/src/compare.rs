//! Comparison and classification (Power ISA Book I 4.6.8, 4.2.2 "FPRF").

use crate::format::{Kind, unpack};
use crate::{Flags, Format, Precision};

/// How two numbers stand to each other. The value is the FPCC field: FL, FG, FE, FU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// a < b
    Less = 8,
    /// a > b
    Greater = 4,
    /// a = b, zeros of either sign included
    Equal = 2,
    /// One of them is a NaN.
    Unordered = 1,
}

/// Compares. The flag is VXSNAN if a NaN is signaling; what a quiet one means is the instruction's affair.
pub fn compare<F: Format>(a: F::Bits, b: F::Bits) -> (Order, Flags) {
    let (x, y) = (unpack::<F>(a), unpack::<F>(b));
    if x.is_nan() || y.is_nan() {
        return (Order::Unordered, x.snan_flag().with(y.snan_flag()));
    }
    // Sign and magnitude to two's complement, both zeros to 0.
    let ordered = |bits: F::Bits| {
        let magnitude = (F::widen(bits) << (128 - F::WIDTH) << 1 >> 1) as i128;
        if unpack::<F>(bits).sign { -magnitude } else { magnitude }
    };
    let order = match ordered(a).cmp(&ordered(b)) {
        core::cmp::Ordering::Less => Order::Less,
        core::cmp::Ordering::Equal => Order::Equal,
        core::cmp::Ordering::Greater => Order::Greater,
    };
    (order, Flags::NONE)
}

/// |a| < |b| as encodings.
pub fn less_magnitude<F: Format>(a: F::Bits, b: F::Bits) -> bool {
    F::widen(a) << (128 - F::WIDTH) << 1 < F::widen(b) << (128 - F::WIDTH) << 1
}

/// What kind of number it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Quiet NaN.
    Quiet,
    /// Signaling NaN.
    Signaling,
    /// Infinity.
    Infinity,
    /// Normal number.
    Normal,
    /// Denormalized number.
    Denormal,
    /// Zero.
    Zero,
}

/// Sign and class of a number that was rounded to P.
pub fn class<F: Format, P: Precision>(bits: F::Bits) -> (bool, Class) {
    let number = unpack::<F>(bits);
    let class = match number.kind {
        Kind::Quiet => Class::Quiet,
        Kind::Signaling => Class::Signaling,
        Kind::Infinity => Class::Infinity,
        Kind::Zero => Class::Zero,
        Kind::Finite if number.exponent < P::EMIN => Class::Denormal,
        Kind::Finite => Class::Normal,
    };
    (number.sign, class)
}

impl Class {
    /// The FPRF field: C and FPCC.
    pub const fn fprf(self, negative: bool) -> u64 {
        match (self, negative) {
            (Class::Quiet | Class::Signaling, _) => 0b10001,
            (Class::Infinity, true) => 0b01001,
            (Class::Normal, true) => 0b01000,
            (Class::Denormal, true) => 0b11000,
            (Class::Zero, true) => 0b10010,
            (Class::Zero, false) => 0b00010,
            (Class::Denormal, false) => 0b10100,
            (Class::Normal, false) => 0b00100,
            (Class::Infinity, false) => 0b00101,
        }
    }
}

/// It is a NaN.
pub fn is_nan<F: Format>(bits: F::Bits) -> bool {
    unpack::<F>(bits).is_nan()
}

/// It is a signaling NaN.
pub fn is_signaling<F: Format>(bits: F::Bits) -> bool {
    unpack::<F>(bits).kind == Kind::Signaling
}
