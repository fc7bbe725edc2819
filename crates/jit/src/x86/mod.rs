//! x86-64 with the System V calling convention.
//!
//! While compiled code runs: `rbp` points into the vCPU's registers, `r14` is the effective address of the page that
//! the code is from, `r15` what is left of the budget. `rax`, `rcx` and `rdx` are for the moment; the others hold
//! values.
#![expect(clippy::useless_conversion, reason = "the assembler converts numbers of registers")]

mod code;
mod emit;
mod encode;
mod float;
mod memory;
mod values;

pub use code::Native;
pub use emit::{Code, Scratch, Shared, emit};
