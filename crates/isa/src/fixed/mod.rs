//! Fixed-point facility (Power ISA Book I chapter 3).

pub mod arithmetic;
pub mod compare;
pub mod load_store;
pub mod logical;
pub mod moves;
pub mod prefixed;
pub mod rotate;

pub(crate) use load_store::prefixed_ea;

use crate::Visitor;

/// Shows the instructions of this chapter to `visitor`.
pub fn each(visitor: &mut impl Visitor) {
    arithmetic::each(visitor);
    compare::each(visitor);
    load_store::each(visitor);
    logical::each(visitor);
    moves::each(visitor);
    prefixed::each(visitor);
    rotate::each(visitor);
}
