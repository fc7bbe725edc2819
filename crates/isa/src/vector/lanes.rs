//! Vector registers as lanes of 8 to 128 bits, and the forms of vector instructions.

use crate::encoding::{PO, f, zero_if_0};
use crate::semantics::{Compute, Facility, Semantics};
use crate::{Done, Encoding, Ops, Regs, Value};

/// VSR number of a VMX register.
const fn v(register: u8) -> u8 {
    32 + register
}

/// Operands of VX, VC and VA forms: registers as VSR numbers, the A field also as an immediate.
pub const fn vector_operands(w: u64) -> Ops {
    Ops {
        op: 0,
        t: v(f(w, 21, 5)),
        a: v(f(w, 16, 5)),
        b: v(f(w, 11, 5)),
        c: v(f(w, 6, 5)),
        rc: w >> 10 & 1 != 0,
        oe: false,
        imm: w >> 16 & 31,
    }
}

/// VX-form.
pub const fn vx(xo: u64) -> Encoding {
    Encoding::new(PO | 0x7ff, 4 << 26 | xo, vector_operands)
}
/// VX-form whose A field is part of the extended opcode.
pub const fn vx_a(a: u64, xo: u64) -> Encoding {
    vx(xo).field(16, 5, a)
}
/// VC-form: compare, Rc in bit 21.
pub const fn vc(xo: u64) -> Encoding {
    Encoding::new(PO | 0x3ff, 4 << 26 | xo, vector_operands)
}
/// VA-form.
pub const fn va(xo: u64) -> Encoding {
    Encoding::new(PO | 0x3f, 4 << 26 | xo, vector_operands)
}
/// X-form load or store of a VMX register: RA|0, RB.
pub const fn x_vector(xo: u64) -> Encoding {
    Encoding::new(PO | 0x7fe, 31 << 26 | xo << 1, |w| Ops {
        op: 0,
        t: v(f(w, 21, 5)),
        a: zero_if_0(f(w, 16, 5)),
        b: f(w, 11, 5),
        c: 0,
        rc: false,
        oe: false,
        imm: 0,
    })
}

/// A vector operation that is a named function of the registers.
#[inline(always)]
pub(crate) fn vector<S: Semantics>(s: &mut S, i: &Ops, f: Compute) -> Done<S> {
    s.require(Facility::Vector)?;
    s.compute(f, i)
}

const fn mask(bits: u32) -> u128 {
    if bits == 128 { u128::MAX } else { (1 << bits) - 1 }
}

/// Lane `n` of `bits` bits, zero-extended.
#[inline(always)]
pub fn lane(value: u128, bits: u32, n: u32) -> u64 {
    match bits {
        // Through storage: much faster than shifts of 128 bits.
        8 => value.to_be_bytes()[n as usize & 15] as u64,
        _ => (value >> (128 - bits * (n + 1)) & mask(bits)) as u64,
    }
}

/// The value with lane `n` replaced.
#[inline(always)]
pub fn with_lane(value: u128, bits: u32, n: u32, lane: u64) -> u128 {
    let shift = 128 - bits * (n + 1);
    value & !(mask(bits) << shift) | (lane as u128 & mask(bits)) << shift
}

/// The low `bits` bits as a signed number.
#[inline(always)]
pub fn signed(value: u64, bits: u32) -> i64 {
    (value << (64 - bits)) as i64 >> (64 - bits)
}

/// A vector made lane by lane.
#[inline(always)]
pub fn make(bits: u32, lane: impl Fn(u32) -> u64) -> u128 {
    if bits == 8 {
        return u128::from_be_bytes(core::array::from_fn(|n| lane(n as u32) as u8));
    }
    let mut value = 0;
    for n in 0..128 / bits {
        value = if bits == 128 { 0 } else { value << bits } | lane(n) as u128 & mask(bits);
    }
    value
}

/// A doubleword with `value` in each lane of `bits` bits.
pub const fn splat(value: u64, bits: u32) -> u64 {
    let (mut all, mut n) = (0, 0);
    while n < 64 / bits {
        all |= (value & mask(bits) as u64) << (bits * n);
        n += 1;
    }
    all
}

/// Ones in each lane of `bits` bits of a doubleword that is not 0.
#[inline(always)]
pub fn not_zero<V: Value>(x: V, bits: u32) -> V {
    let tops = splat(1 << (bits - 1), bits);
    // A carry into a lane's top bit, or that bit itself; nothing carries out of a lane.
    let top = ((x & !tops) + !tops | x) & tops;
    (top << 1u64) - (top >> (bits as u64 - 1))
}

impl Regs {
    /// VRT := f(VRA lane, VRB lane) for each lane of `bits` bits.
    #[inline(always)]
    pub(crate) fn each_lane2(&mut self, i: &Ops, bits: u32, f: impl Fn(u64, u64) -> u64) {
        let (a, b) = (self.vsr128(i.a), self.vsr128(i.b));
        self.set_vsr128(i.t, make(bits, |n| f(lane(a, bits, n), lane(b, bits, n))));
    }

    /// VRT := f(VRB lane) for each lane.
    #[inline(always)]
    pub(crate) fn each_lane(&mut self, i: &Ops, bits: u32, f: impl Fn(u64) -> u64) {
        let b = self.vsr128(i.b);
        self.set_vsr128(i.t, make(bits, |n| f(lane(b, bits, n))));
    }

    /// VRT := f(VRA lane, VRB lane), saturated to the range; sets VSCR[SAT] where it had to be.
    #[inline(always)]
    pub(crate) fn each_lane_saturating(
        &mut self,
        i: &Ops,
        bits: u32,
        (low, high): (i128, i128),
        extend: bool,
        f: impl Fn(i128, i128) -> i128,
    ) {
        let (a, b) = (self.vsr128(i.a), self.vsr128(i.b));
        let wide = |value, n| {
            let lane = lane(value, bits, n);
            if extend { signed(lane, bits) as i128 } else { lane as i128 }
        };
        let mut saturated = false;
        let mut result = 0u128;
        for n in 0..128 / bits {
            let exact = f(wide(a, n), wide(b, n));
            let clamped = exact.clamp(low, high);
            saturated |= exact != clamped;
            result = with_lane(result, bits, n, clamped as u64);
        }
        self.set_vsr128(i.t, result);
        self.vscr |= saturated as u64;
    }
}
