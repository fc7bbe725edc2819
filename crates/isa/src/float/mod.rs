//! The floating-point facility (Power ISA Book I chapter 4).
//!
//! FPR n is doubleword 0 of VSR n; an instruction that writes an FPR makes doubleword 1 zero (ISA 3.1 says so, and
//! POWER9 does it).

mod arithmetic;
mod load_store;
mod moves;
pub(crate) mod scalar;
pub(crate) mod single;
mod status;

/// Shows the instructions of this facility to `visitor`.
pub fn each(visitor: &mut impl crate::Visitor) {
    arithmetic::each(visitor);
    load_store::each(visitor);
    moves::each(visitor);
    status::each(visitor);
}
