//! The vector-scalar extension, VSX (Power ISA Book I chapter 7).
//!
//! Doubleword 1 of a VSR whose doubleword 0 is the target of a scalar operation, or of a floating-point one, becomes
//! 0: defined so by ISA 3.1, undefined before, and what POWER9 does.

mod convert;
mod encoding;
mod load_store;
mod matrix;
mod moves;
mod permute;
mod quad;
mod scalar;
mod vector;

/// Shows the instructions of this facility to `visitor`.
pub fn each(visitor: &mut impl crate::Visitor) {
    convert::each(visitor);
    load_store::each(visitor);
    matrix::each(visitor);
    moves::each(visitor);
    permute::each(visitor);
    quad::each(visitor);
    scalar::each(visitor);
    vector::each(visitor);
}
