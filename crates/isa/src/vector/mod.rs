//! Vector facility, VMX (Power ISA Book I chapter 6).
//!
//! Registers are VSR 32 to 63; lanes are numbered from the most significant, as the book does. Bodies require the
//! facility and then name a function of the registers, but for loads, stores and logical operations, which are
//! written in the common vocabulary.

pub mod arithmetic;
pub mod compare;
pub mod crypto;
pub mod decimal;
pub mod float;
pub(crate) mod lanes;
pub mod load_store;
pub mod masks;
pub mod permute;
pub mod quadword;

use crate::Visitor;

/// Shows the instructions of this chapter to `visitor`.
pub fn each(visitor: &mut impl Visitor) {
    load_store::each(visitor);
    permute::each(visitor);
    arithmetic::each(visitor);
    compare::each(visitor);
    crypto::each(visitor);
    decimal::each(visitor);
    float::each(visitor);
    masks::each(visitor);
    quadword::each(visitor);
}
