//! The Power instruction set: each instruction defined once, read by whoever needs it.
//!
//! A definition ([`Instruction`]) is an encoding, its operands, the assembler syntax, the section of the ISA and a
//! body generic over [`Semantics`]. The interpreter reads the body with numbers for values and so executes it; a
//! compiler reads it with IR nodes for values and so lifts it. There is no second text that could drift.
//!
//! Families live in folders named as the books name them. Definitions are reached through [`each`], which shows
//! every one of them to a [`Visitor`].
#![no_std]
extern crate alloc;

pub mod branch;
pub mod condition;
pub mod decimal;
pub mod decode;
pub mod disassembly;
pub mod effects;
pub mod encoding;
pub mod fixed;
pub mod float;
pub mod fpscr;
pub mod instruction;
pub mod number;
pub mod operands;
pub mod regs;
pub mod semantics;
pub mod storage;
pub mod system;
pub mod trap;
pub mod vector;
pub mod version;
pub mod vsx;

pub use decode::Decoder;
pub use disassembly::disassemble;
pub use encoding::{Encoding, Flow};
pub use instruction::{Instruction, Visitor};
pub use number::N;
pub use operands::Ops;
pub use regs::{Reg, Regs};
pub use semantics::{Binary, Condition, Done, Mem, Relation, Semantics, Unary, Value};
pub use system::SystemOp;
pub use trap::Trap;

/// Shows every instruction to `visitor`, always in the same order: the position is the instruction's number
/// ([`Ops::op`]).
pub fn each(visitor: &mut impl Visitor) {
    fixed::each(visitor);
    float::each(visitor);
    decimal::each(visitor);
    vsx::each(visitor);
    branch::each(visitor);
    condition::each(visitor);
    storage::each(visitor);
    vector::each(visitor);
    system::each(visitor);
}
