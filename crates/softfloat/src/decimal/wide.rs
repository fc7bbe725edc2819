//! Coefficients of exact results: 85 digits.

use core::cmp::Ordering;

const LIMBS: usize = 5;
const LIMB_DIGITS: u32 = 17;
const BASE: u64 = 10u64.pow(LIMB_DIGITS);

/// A number of up to 85 digits: limbs of 17 digits, least significant first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wide([u64; LIMBS]);

/// What a shift to the right lost, against half a unit of the last digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Lost {
    Nothing,
    BelowHalf,
    Half,
    AboveHalf,
}

impl Wide {
    pub(super) const ZERO: Wide = Wide([0; LIMBS]);

    /// A coefficient below 10 to the 38.
    pub(super) fn new(mut coefficient: u128) -> Wide {
        let mut limbs = [0; LIMBS];
        for limb in &mut limbs {
            *limb = (coefficient % BASE as u128) as u64;
            coefficient /= BASE as u128;
        }
        Wide(limbs)
    }

    /// The number if it is below 10 to the 38 (else its low 34 digits, which no caller asks for).
    pub(super) fn to_u128(self) -> u128 {
        let [low, middle, high, ..] = self.0;
        let base = BASE as u128;
        low as u128 + base * (middle as u128 + base * (high as u128 % 10_000))
    }

    pub(super) fn product(a: u128, b: u128) -> Wide {
        let (a, b) = (Wide::new(a).0, Wide::new(b).0);
        let mut limbs = [0; LIMBS];
        for i in 0..3 {
            let mut carry = 0u128;
            for j in 0..LIMBS - i {
                let sum = limbs[i + j] as u128 + a[i] as u128 * b[j] as u128 + carry;
                limbs[i + j] = (sum % BASE as u128) as u64;
                carry = sum / BASE as u128;
            }
        }
        Wide(limbs)
    }

    pub(super) fn digits(self) -> u32 {
        let top = (0..LIMBS).rev().find(|&n| self.0[n] != 0);
        top.map_or(0, |n| n as u32 * LIMB_DIGITS + self.0[n].ilog10() + 1)
    }

    /// Times ten to the power `count`; digits beyond 85 are lost, which callers exclude.
    pub(super) fn shifted_left(self, count: u32) -> Wide {
        let (limbs, factor) = ((count / LIMB_DIGITS) as usize, 10u128.pow(count % LIMB_DIGITS));
        let mut out = [0; LIMBS];
        let mut carry = 0u128;
        for (limb, from) in out.iter_mut().skip(limbs).zip(self.0) {
            let product = from as u128 * factor + carry;
            *limb = (product % BASE as u128) as u64;
            carry = product / BASE as u128;
        }
        Wide(out)
    }

    /// Divided by ten to the power `count`, and whether anything but zeros was lost.
    pub(super) fn shifted_right(self, count: u32) -> (Wide, bool) {
        let (limbs, divisor) = ((count / LIMB_DIGITS) as usize, 10u64.pow(count % LIMB_DIGITS));
        if limbs >= LIMBS {
            return (Wide::ZERO, self != Wide::ZERO);
        }
        let mut lost = self.0[..limbs].iter().any(|limb| *limb != 0);
        let mut out = [0; LIMBS];
        let mut rest = 0u64;
        for n in (limbs..LIMBS).rev() {
            let dividend = rest as u128 * BASE as u128 + self.0[n] as u128;
            out[n - limbs] = (dividend / divisor as u128) as u64;
            rest = (dividend % divisor as u128) as u64;
        }
        lost |= rest != 0;
        (Wide(out), lost)
    }

    /// Divided by ten to the power `count`, with what was lost; `sticky` says that something lay below already.
    pub(super) fn rounded_down(self, count: u32, sticky: bool) -> (Wide, Lost) {
        let (before, below) = match count {
            0 => return (self, if sticky { Lost::BelowHalf } else { Lost::Nothing }),
            _ => self.shifted_right(count - 1),
        };
        let (number, _) = before.shifted_right(1);
        let digit = before.0[0] % 10;
        let lost = match (digit, below || sticky) {
            (0, false) => Lost::Nothing,
            (5, false) => Lost::Half,
            (5.., _) => Lost::AboveHalf,
            _ => Lost::BelowHalf,
        };
        (number, lost)
    }

    pub(super) fn plus(self, other: Wide) -> Wide {
        let mut out = [0; LIMBS];
        let mut carry = 0;
        for (limb, (a, b)) in out.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let sum = a + b + carry;
            *limb = sum % BASE;
            carry = sum / BASE;
        }
        Wide(out)
    }

    /// self - other, which is not greater.
    pub(super) fn minus(self, other: Wide) -> Wide {
        let mut out = [0; LIMBS];
        let mut borrow = 0;
        for (limb, (a, b)) in out.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let difference = a as i64 - b as i64 - borrow;
            borrow = (difference < 0) as i64;
            *limb = (difference + borrow * BASE as i64) as u64;
        }
        Wide(out)
    }

    pub(super) fn is_zero(self) -> bool {
        self == Wide::ZERO
    }
}

impl Ord for Wide {
    fn cmp(&self, other: &Wide) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}
impl PartialOrd for Wide {
    fn partial_cmp(&self, other: &Wide) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
