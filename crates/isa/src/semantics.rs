//! The vocabulary in which every instruction body is written, and that every reader implements.

use crate::{Ops, Reg, Regs, SystemOp, Trap};
use core::ops::{Add, BitAnd, BitOr, BitXor, Mul, Not, Shl, Shr, Sub};

/// Operations on one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unary {
    /// Sign extension of the low 8 bits.
    Sext8,
    /// Sign extension of the low 16 bits.
    Sext16,
    /// Sign extension of the low 32 bits.
    Sext32,
    /// Leading zeros, 64 for 0.
    Clz,
    /// Leading zeros of the low 32 bits, 32 for 0.
    Clz32,
    /// Trailing zeros, 64 for 0.
    Ctz,
    /// Trailing zeros of the low 32 bits, 32 for 0.
    Ctz32,
    /// Bits set.
    Popcnt,
    /// Bytes of the low 16 bits reversed, zero-extended.
    Bswap16,
    /// Bytes of the low 32 bits reversed, zero-extended.
    Bswap32,
    /// Bytes reversed.
    Bswap64,
}

/// Operations on two values. Shift and rotate counts are taken modulo 64 (`Rotl32`: 32). Divisions are total:
/// a division by 0 gives 0, the most negative by -1 wraps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    /// Arithmetic shift right.
    Sar,
    /// Rotate left, 64 bits.
    Rotl,
    /// Rotate left, 32 bits, zero-extended.
    Rotl32,
    /// High half of the unsigned product.
    MulHu,
    /// High half of the signed product.
    MulHs,
    /// Unsigned quotient.
    DivU,
    /// Signed quotient.
    DivS,
    /// Unsigned quotient of the low 32 bits, zero-extended.
    DivU32,
    /// Signed quotient of the low 32 bits, zero-extended.
    DivS32,
}

/// Comparisons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// Equal.
    Eq,
    /// Less, unsigned.
    LtU,
    /// Less, signed.
    LtS,
}

/// A 64-bit guest value: a number to the interpreter, an IR node to a compiler.
pub trait Value:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Shl<Output = Self>
    + Shr<Output = Self>
    + Not<Output = Self>
    + Add<u64, Output = Self>
    + Sub<u64, Output = Self>
    + Mul<u64, Output = Self>
    + BitAnd<u64, Output = Self>
    + BitOr<u64, Output = Self>
    + BitXor<u64, Output = Self>
    + Shl<u64, Output = Self>
    + Shr<u64, Output = Self>
{
    /// Truth values of the same reader.
    type Condition: Condition<Value = Self>;
    /// Applies `op`.
    fn unary(self, op: Unary) -> Self;
    /// Applies `op`.
    fn binary(self, op: Binary, other: Self) -> Self;
    /// Compares.
    fn test(self, relation: Relation, other: Self) -> Self::Condition;
    /// 8 if less, 4 if greater, 2 if equal: three bits of a CR field.
    fn order(self, signed: bool, other: Self) -> Self;

    /// Sign extension of the low `bits` (8, 16 or 32).
    #[inline(always)]
    fn sext(self, bits: u32) -> Self {
        self.unary(match bits {
            8 => Unary::Sext8,
            16 => Unary::Sext16,
            _ => Unary::Sext32,
        })
    }
    /// The low 32 bits.
    #[inline(always)]
    fn zext32(self) -> Self {
        self & 0xffff_ffff
    }
    /// self == other
    #[inline(always)]
    fn eq(self, other: Self) -> Self::Condition {
        self.test(Relation::Eq, other)
    }
    /// self < other, unsigned
    #[inline(always)]
    fn ltu(self, other: Self) -> Self::Condition {
        self.test(Relation::LtU, other)
    }
    /// self < other, signed
    #[inline(always)]
    fn lts(self, other: Self) -> Self::Condition {
        self.test(Relation::LtS, other)
    }
    /// Arithmetic shift right.
    #[inline(always)]
    fn sar(self, count: Self) -> Self {
        self.binary(Binary::Sar, count)
    }
    /// Rotate left.
    #[inline(always)]
    fn rotl(self, count: Self) -> Self {
        self.binary(Binary::Rotl, count)
    }
    /// Rotate the low word left and replicate it in both halves, as the 32-bit rotates do.
    #[inline(always)]
    fn rotl32_twice(self, count: Self) -> Self {
        let rotated = self.binary(Binary::Rotl32, count);
        rotated | rotated << 32
    }
}

/// A truth value.
pub trait Condition:
    Copy + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> + Not<Output = Self>
{
    /// Values of the same reader.
    type Value: Value<Condition = Self>;
    /// 1 or 0.
    fn bit(self) -> Self::Value;
    /// `yes` or `no`.
    fn select(self, yes: Self::Value, no: Self::Value) -> Self::Value;
}

/// A storage access of 1, 2, 4 or 8 bytes. The byte order is the thread's (MSR[LE]) unless reversed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mem {
    /// Bytes.
    pub size: u8,
    /// The loaded value is sign-extended.
    pub signed: bool,
    /// Bytes in the other order than the thread's.
    pub reversed: bool,
}

impl Mem {
    /// Byte.
    pub const B: Mem = Mem { size: 1, signed: false, reversed: false };
    /// Halfword.
    pub const H: Mem = Mem { size: 2, ..Mem::B };
    /// Word.
    pub const W: Mem = Mem { size: 4, ..Mem::B };
    /// Doubleword.
    pub const D: Mem = Mem { size: 8, ..Mem::B };
    /// The same, sign-extended.
    pub const fn signed(self) -> Mem {
        Mem { signed: true, ..self }
    }
    /// The same, byte-reversed.
    pub const fn reversed(self) -> Mem {
        Mem { reversed: true, ..self }
    }
}

/// Facilities that MSR, FSCR and HFSCR make available.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Facility {
    /// MSR[FP].
    Fp,
    /// MSR[VEC].
    Vector,
    /// MSR[VSX].
    Vsx,
    /// FSCR[PREFIX].
    Prefix,
    /// FSCR[TAR].
    Tar,
}

/// What a body returns: it completed, or the reader stopped it.
pub type Done<S> = Result<(), <S as Semantics>::Stop>;

/// A named function of user-level registers, for what is too complex to be worth lifting.
pub type Compute = fn(&mut Regs, &Ops) -> Result<(), Trap>;

/// A reader of instruction bodies.
pub trait Semantics: Sized {
    /// Its values.
    type V: Value<Condition = Self::C>;
    /// Its truth values.
    type C: Condition<Value = Self::V>;
    /// Why it stops a body early: a trap to the interpreter; "interpret this one" to a compiler.
    type Stop;

    /// A constant.
    fn imm(&self, value: u64) -> Self::V;
    /// Reads a register.
    fn get(&self, reg: Reg) -> Self::V;
    /// Writes a register.
    fn set(&mut self, reg: Reg, value: Self::V);
    /// Loads from the effective address.
    fn load(&mut self, ea: Self::V, mem: Mem) -> Result<Self::V, Self::Stop>;
    /// Stores to the effective address.
    fn store(&mut self, ea: Self::V, value: Self::V, mem: Mem) -> Done<Self>;
    /// Loads 16 bytes: (most, least significant doubleword) in the thread's byte order.
    fn load16(&mut self, ea: Self::V) -> Result<(Self::V, Self::V), Self::Stop>;
    /// Stores 16 bytes, all or none.
    fn store16(&mut self, ea: Self::V, high: Self::V, low: Self::V) -> Done<Self>;
    /// Loads the first `count` (0 to 16) bytes in storage order: the first one is the most significant of the first
    /// doubleword, the bytes that are not loaded are 0. Nothing is accessed if `count` is 0.
    fn load_bytes(&mut self, ea: Self::V, count: Self::V) -> Result<(Self::V, Self::V), Self::Stop>;
    /// Stores `count` (0 to 16) bytes, taken as [`Semantics::load_bytes`] gives them, all or none.
    fn store_bytes(&mut self, ea: Self::V, count: Self::V, first: Self::V, second: Self::V) -> Done<Self>;
    /// Stops as a store (or load) of `bytes` bytes at the effective address would, without doing it.
    fn probe(&mut self, ea: Self::V, bytes: u32, write: bool) -> Done<Self>;
    /// Stops unless the facility is available.
    fn require(&mut self, facility: Facility) -> Done<Self>;
    /// Address of this instruction.
    fn cia(&self) -> Self::V;
    /// The next instruction is at `target` if `taken`.
    fn branch(&mut self, taken: Self::C, target: Self::V);
    /// The rest of this instruction is a named function of user-level registers.
    fn compute(&mut self, function: Compute, i: &Ops) -> Done<Self>;
    /// The rest of this instruction is an operation of the whole CPU.
    fn system(&mut self, op: SystemOp, i: &Ops) -> Done<Self>;
    /// MSR[SF]: 64-bit mode. A constant of the code being read.
    fn mode64(&self) -> bool;
    /// MSR[LE]: little-endian mode. A constant of the code being read.
    fn little_endian(&self) -> bool;
    /// The instruction raises `trap` if `condition`.
    fn trap_if(&mut self, condition: Self::C, trap: Trap) -> Done<Self>;

    // ---- vocabulary, written once in terms of the above

    /// GPR `n`; 0 for 32.
    #[inline(always)]
    fn gpr(&self, n: u8) -> Self::V {
        self.get(Reg::gpr(n))
    }
    /// Writes GPR `n`.
    #[inline(always)]
    fn set_gpr(&mut self, n: u8, value: Self::V) {
        self.set(Reg::gpr(n), value)
    }
    /// Both doublewords of VSR `n`.
    #[inline(always)]
    fn vsr(&self, n: u8) -> (Self::V, Self::V) {
        (self.get(Reg::vsr(n, 0)), self.get(Reg::vsr(n, 1)))
    }
    /// Writes VSR `n`.
    #[inline(always)]
    fn set_vsr(&mut self, n: u8, high: Self::V, low: Self::V) {
        self.set(Reg::vsr(n, 0), high);
        self.set(Reg::vsr(n, 1), low);
    }
    /// The condition that always holds.
    #[inline(always)]
    fn always(&self) -> Self::C {
        let zero = self.imm(0);
        zero.eq(zero)
    }
    /// Bit `bit` (0 to 31) of CR.
    #[inline(always)]
    fn cr_bit(&self, bit: u8) -> Self::C {
        !((self.get(Reg::cr(bit >> 2)) >> (3 - (bit & 3)) as u64) & 1).eq(self.imm(0))
    }
    /// Writes bit `bit` of CR.
    #[inline(always)]
    fn set_cr_bit(&mut self, bit: u8, value: Self::C) {
        let (field, shift) = (Reg::cr(bit >> 2), 3 - (bit & 3) as u64);
        let others = self.get(field) & !(1u64 << shift);
        self.set(field, others | value.bit() << shift)
    }
    /// CR field `field` := a ? b, with SO.
    #[inline(always)]
    fn compare(&mut self, field: u8, signed: bool, a: Self::V, b: Self::V) {
        let order = a.order(signed, b) | self.get(Reg::SO);
        self.set(Reg::cr(field), order)
    }
    /// CR0 from a result, in the current mode.
    #[inline(always)]
    fn record(&mut self, result: Self::V) {
        let result = if self.mode64() { result } else { result.sext(32) };
        self.compare(0, true, result, self.imm(0))
    }
    /// GPR `i.t` := result, and CR0 when Rc.
    #[inline(always)]
    fn result(&mut self, i: &Ops, value: Self::V) {
        self.set_gpr(i.t, value);
        if i.rc {
            self.record(value)
        }
    }
    /// OV and SO from `overflow` in the current mode's width, OV32 from `overflow32`.
    #[inline(always)]
    fn set_overflow(&mut self, overflow: Self::C, overflow32: Self::C) {
        let ov = if self.mode64() { overflow } else { overflow32 };
        self.set(Reg::OV, ov.bit());
        self.set(Reg::OV32, overflow32.bit());
        self.set(Reg::SO, self.get(Reg::SO) | ov.bit())
    }
    /// Register-indirect effective address: (RA|0) + displacement.
    #[inline(always)]
    fn ea_d(&self, i: &Ops) -> Self::V {
        self.gpr(i.a) + i.imm
    }
    /// Indexed effective address: (RA|0) + (RB).
    #[inline(always)]
    fn ea_x(&self, i: &Ops) -> Self::V {
        self.gpr(i.a) + self.gpr(i.b)
    }
}
