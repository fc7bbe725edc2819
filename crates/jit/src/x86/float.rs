//! Vectors of the host: floating point and permutations.
//!
//! The host rounds as Power does, but it knows other rules for NaNs and for what is tiny, and Power notes in FPSCR
//! what happened. So the host's result counts only where nothing can have happened that FPSCR does not know: it
//! rounds to nearest, no exception is enabled, XX is set already (so that it does not matter whether a result is
//! exact), and each element of the result is a normal number some way from the smallest. For vectors FR, FI and FPRF
//! do not change. A NaN or an infinity that comes in goes out as one, or as zero; so do overflow, division by zero
//! and invalid operations; what is tiny before rounding is less than twice the smallest normal number. All of these
//! are left to the exact functions that the interpreter calls.

use super::emit::{Aside, Emitter, Label, Stub};
use super::encode::*;
use super::values::NOWHERE;
use crate::ir::{Float, FloatOp, Id, Node};
use crate::lift::REGISTERS;
use dynasmrt::{DynasmApi, dynasm};
use timebase_isa::Reg;

/// FPSCR: XX, and all that must be 0: FEX, the enable bits, NI, RN.
const XX: i32 = 1 << 25;
const LOOKED_AT: i32 = XX | 1 << 30 | 0xff;

/// What exponents are checked with: 2 is taken from each, and the rest must not be more than the limit. For doubles the
/// exponent is in the lower half of each element.
pub const LIMITS: [[u32; 8]; 2] =
    [[2, 0, 2, 0, 0x7fc, u32::MAX, 0x7fc, u32::MAX], [2, 2, 2, 2, 0xfc, 0xfc, 0xfc, 0xfc]];

/// What the numbers of bytes are changed with, of the host's: bytes of a doubleword are in the other order; only so
/// many bits count; and in the other order from the right.
pub const BYTES: [u8; 3] = [7, 15, 8];

impl Emitter<'_> {
    /// Bytes of two vectors, picked by a third one.
    pub fn permute(&mut self, node: Node, right: bool) {
        for (number, pair) in [node.a, node.b, node.c].into_iter().enumerate() {
            self.vector(number as u8, self.nodes[pair.at()]);
            self.locked = 0;
        }
        let (first, second) = (self.destination(), self.destination());
        self.constant(RCX, self.shared.bytes as u64);
        if right {
            dynasm!(self.code; .arch x64; vpxor xmm3, xmm2, [rcx + 32]);
        } else {
            dynasm!(self.code; .arch x64; vpxor xmm3, xmm2, [rcx]);
        }
        dynasm!(self.code; .arch x64
            ; vpand xmm3, xmm3, [rcx + 16]
            ; vpshufb xmm0, xmm0, xmm3
            ; vpshufb xmm1, xmm1, xmm3
            // The bit that names the vector becomes the top one of its byte.
            ; vpsllw xmm2, xmm2, 3
        );
        if right {
            dynasm!(self.code; .arch x64; vpblendvb xmm0, xmm1, xmm0, xmm2);
        } else {
            dynasm!(self.code; .arch x64; vpblendvb xmm0, xmm0, xmm1, xmm2);
        }
        dynasm!(self.code; .arch x64; vmovq Rq(first), xmm0; vpextrq Rq(second), xmm0, 1);
        self.settle(Id(self.at), first);
        self.settle(Id(self.at + 1), second);
    }

    /// The host's operation, and the way aside.
    pub fn float(&mut self, node: Node, float: Float) {
        for (number, pair) in [node.a, node.b, node.c].into_iter().enumerate() {
            if pair != Id::NONE {
                self.vector(number as u8, self.nodes[pair.at()]);
            }
        }
        self.locked = 0;
        self.secure_homes(node.k);
        let registers = self.snapshot();
        let results = (self.destination(), self.destination());
        let (label, back) = (self.label(), self.label());
        self.load_word(RAX, home(Reg::FPSCR.0));
        dynasm!(self.code; .arch x64; and eax, LOOKED_AT; cmp eax, XX);
        self.jump_if(NOT_EQUAL, label);
        self.operate(float);
        self.check(float, label);
        let (first, second) = results;
        dynasm!(self.code; .arch x64; vmovq Rq(first), xmm0; vpextrq Rq(second), xmm0, 1);
        self.bind(back);
        let point = self.point_of_call() as u32;
        self.stubs.push(Stub {
            label,
            aside: Aside::Call { back, number: node.k, results },
            registers,
            point,
        });
        self.lost = [NOWHERE; 3];
        self.settle(Id(self.at), first);
        self.settle(Id(self.at + 1), second);
    }

    /// What memory holds of registers that are written aside, by the stub or by call `number`, is not known after that:
    /// old values that are needed are put elsewhere.
    fn secure_homes(&mut self, number: u64) {
        let target = self.target(number);
        self.lost = [Reg::vsr(target, 0), Reg::vsr(target, 1), Reg::FPSCR].map(|register| register.0);
        for guest in 0..REGISTERS {
            let old = self.known.home[guest];
            if old == Id::NONE || !self.is_dirty(guest) && !self.lost.contains(&(guest as u8)) {
                continue;
            }
            let elsewhere =
                self.known.spots[old.at()].register != NOWHERE || self.known.spots[old.at()].slot != NOWHERE;
            // The stub may need it as well.
            if self.lives[old.at()].last >= self.at && !elsewhere {
                self.need(old);
                // They need not all be in registers at once.
                self.locked = 0;
            }
            self.known.home[guest] = Id::NONE;
        }
    }

    /// xmm`number` := the pair; doubleword 0 is the lower half, so elements are in another order, each in its place.
    fn vector(&mut self, number: u8, pair: Node) {
        let (high, low) = (self.need(pair.a), self.need(pair.b));
        dynasm!(self.code; .arch x64
            ; vmovq Rx(number), Rq(high)
            ; vpinsrq Rx(number), Rx(number), Rq(low), 1
        );
    }

    /// xmm0 := the result.
    fn operate(&mut self, float: Float) {
        match (float.op, float.double) {
            (FloatOp::Add, true) => dynasm!(self.code; .arch x64; vaddpd xmm0, xmm0, xmm1),
            (FloatOp::Add, false) => dynasm!(self.code; .arch x64; vaddps xmm0, xmm0, xmm1),
            (FloatOp::Sub, true) => dynasm!(self.code; .arch x64; vsubpd xmm0, xmm0, xmm1),
            (FloatOp::Sub, false) => dynasm!(self.code; .arch x64; vsubps xmm0, xmm0, xmm1),
            (FloatOp::Mul, true) => dynasm!(self.code; .arch x64; vmulpd xmm0, xmm0, xmm1),
            (FloatOp::Mul, false) => dynasm!(self.code; .arch x64; vmulps xmm0, xmm0, xmm1),
            (FloatOp::Div, true) => dynasm!(self.code; .arch x64; vdivpd xmm0, xmm0, xmm1),
            (FloatOp::Div, false) => dynasm!(self.code; .arch x64; vdivps xmm0, xmm0, xmm1),
            // xmm0 := xmm0 * xmm2 +- xmm1. The host negates the product, Power the result: the same but for zeros.
            (FloatOp::Fused { subtract, negate }, double) => {
                let opcode = match (subtract, negate) {
                    (false, false) => 0x98, // vfmadd132
                    (true, false) => 0x9a,  // vfmsub132
                    (true, true) => 0x9c,   // vfnmadd132
                    (false, true) => 0x9e,  // vfnmsub132
                };
                // The assembler encodes those of doubles as those of singles: VEX.W is missing.
                self.code.extend(&[0xc4, 0xe2, if double { 0xf1 } else { 0x71 }, opcode, 0xc2]);
            }
        }
    }

    /// Goes aside unless all elements of xmm0 are normal numbers, and not of the smallest.
    fn check(&mut self, float: Float, aside: Label) {
        if float.double {
            dynasm!(self.code; .arch x64; vpsllq xmm3, xmm0, 1; vpsrlq xmm3, xmm3, 53);
        } else {
            dynasm!(self.code; .arch x64; vpslld xmm3, xmm0, 1; vpsrld xmm3, xmm3, 24);
        }
        self.constant(RCX, self.shared.limits[if float.double { 0 } else { 1 }] as u64);
        dynasm!(self.code; .arch x64
            ; vpsubd xmm3, xmm3, [rcx]
            ; vpminud xmm4, xmm3, [rcx + 16]
            ; vpxor xmm4, xmm4, xmm3
            ; vptest xmm4, xmm4
        );
        self.jump_if(NOT_EQUAL, aside);
    }
}
