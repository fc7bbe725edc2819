//! Formats (Book I 5.3): sign, combination field, exponent continuation, trailing significand.

use super::{dpd, power};

/// What a datum is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A number: coefficient times ten to the exponent.
    Finite,
    /// An infinity.
    Infinity,
    /// A quiet NaN.
    Quiet,
    /// A signaling NaN.
    Signaling,
}

/// A datum taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number {
    /// The sign.
    pub negative: bool,
    /// What it is.
    pub kind: Kind,
    /// The coefficient, below ten to the number of digits; of a NaN its payload, of an infinity its trailing
    /// significand, which means nothing.
    pub coefficient: u128,
    /// Exponent of the last digit; 0 unless finite.
    pub exponent: i32,
}

impl Number {
    /// The NaN that an invalid operation makes.
    pub const DEFAULT_NAN: Number =
        Number { negative: false, kind: Kind::Quiet, coefficient: 0, exponent: 0 };

    /// A finite number.
    pub const fn finite(negative: bool, coefficient: u128, exponent: i32) -> Number {
        Number { negative, kind: Kind::Finite, coefficient, exponent }
    }
    /// An infinity.
    pub const fn infinity(negative: bool) -> Number {
        Number { negative, kind: Kind::Infinity, coefficient: 0, exponent: 0 }
    }
    /// A quiet or signaling NaN.
    pub fn is_nan(&self) -> bool {
        matches!(self.kind, Kind::Quiet | Kind::Signaling)
    }
    /// Zero, with any exponent.
    pub fn is_zero(&self) -> bool {
        self.kind == Kind::Finite && self.coefficient == 0
    }
    /// A NaN made quiet.
    pub fn quieted(self) -> Number {
        Number { kind: Kind::Quiet, ..self }
    }
}

/// A decimal format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Format {
    /// Digits of the coefficient.
    pub digits: u32,
    /// What is added to an exponent in its field.
    pub bias: i32,
    /// Bits of the exponent continuation.
    continuation: u32,
    /// Added to or taken from the exponent when an enabled overflow or underflow delivers its result.
    pub(super) wrap: i32,
}

impl Format {
    /// 32 bits.
    pub const SHORT: Format = Format { digits: 7, bias: 101, continuation: 6, wrap: 144 };
    /// 64 bits.
    pub const LONG: Format = Format { digits: 16, bias: 398, continuation: 8, wrap: 576 };
    /// 128 bits.
    pub const EXTENDED: Format = Format { digits: 34, bias: 6176, continuation: 12, wrap: 9216 };

    const fn declets(&self) -> u32 {
        (self.digits - 1) / 3
    }
    /// Bits of a datum.
    pub const fn width(&self) -> u32 {
        6 + self.continuation + 10 * self.declets()
    }
    /// Greatest value of the exponent field.
    pub const fn max_biased(&self) -> i32 {
        (3 << self.continuation) - 1
    }
    /// Greatest exponent of the last digit.
    pub const fn max_exponent(&self) -> i32 {
        self.max_biased() - self.bias
    }
    /// Least exponent of the last digit.
    pub const fn min_exponent(&self) -> i32 {
        -self.bias
    }

    /// Takes a datum apart.
    pub fn decode(&self, datum: u128) -> Number {
        let trailing_bits = 10 * self.declets();
        let trailing = dpd::decode(datum, self.declets());
        let field = (datum >> trailing_bits) as u32 & ((1 << (5 + self.continuation)) - 1);
        let (combination, low) = (field >> self.continuation, field & ((1 << self.continuation) - 1));
        let negative = datum >> (self.width() - 1) & 1 != 0;
        let special = |kind| Number { negative, kind, coefficient: trailing, exponent: 0 };
        let (high, digit) = match combination {
            0b11110 => return special(Kind::Infinity),
            0b11111 if low >> (self.continuation - 1) != 0 => return special(Kind::Signaling),
            0b11111 => return special(Kind::Quiet),
            0b11000.. => (combination >> 1 & 3, 8 | combination & 1),
            _ => (combination >> 3, combination & 7),
        };
        let exponent = (high << self.continuation | low) as i32 - self.bias;
        Number::finite(negative, digit as u128 * power(self.digits - 1) + trailing, exponent)
    }

    /// The datum of a number whose coefficient and exponent fit; of a NaN and an infinity, the trailing digits.
    pub fn encode(&self, number: Number) -> u128 {
        let top = power(self.digits - 1);
        let (digit, trailing) = ((number.coefficient / top) as u32 % 10, number.coefficient % top);
        let combination = |high: u32| match digit {
            0..8 => high << 3 | digit,
            _ => 0b11000 | high << 1 | digit & 1,
        };
        let field = match number.kind {
            Kind::Finite => {
                let biased = (number.exponent + self.bias).clamp(0, self.max_biased()) as u32;
                let low = biased & ((1 << self.continuation) - 1);
                combination(biased >> self.continuation) << self.continuation | low
            }
            Kind::Infinity => 0b11110 << self.continuation,
            Kind::Quiet => 0b11111 << self.continuation,
            Kind::Signaling => 0b111111 << (self.continuation - 1),
        };
        let trailing_bits = 10 * self.declets();
        (number.negative as u128) << (self.width() - 1)
            | (field as u128) << trailing_bits
            | dpd::encode(trailing, self.declets())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_and_limits() {
        let one = Number::finite(false, 1, 0);
        assert_eq!(Format::SHORT.encode(one), 0x2250_0001);
        assert_eq!(Format::LONG.encode(one), 0x2238_0000_0000_0001);
        assert_eq!(Format::EXTENDED.encode(one), 0x2208_0000_0000_0000_0000_0000_0000_0001);
        assert_eq!(Format::LONG.max_exponent(), 369);
        assert_eq!(Format::EXTENDED.max_exponent(), 6111);
        assert_eq!(Format::SHORT.max_exponent(), 90);
        let all_nines = Number::finite(true, power(16) - 1, 369);
        assert_eq!(Format::LONG.encode(all_nines), 0xf7fc_ff3f_cff3_fcff);
        assert_eq!(Format::LONG.decode(0xf7fc_ff3f_cff3_fcff), all_nines);
    }
}
