//! The bare-metal differential tester (`cargo xtask diff`): random blocks of instructions from random states, executed by a
//! small guest (`guests/differential`) on this project's machine with either engine, and on the peer's as a separate
//! process; all registers, the memory and the interrupt compared.
//!
//! A block that differs is taken apart: each of its instructions is repeated on both sides alone, from the state before
//! it. So a mismatch is reported as one instruction and its inputs, and a known fault of the peer (`known.rs`) early in a
//! block hides nothing that comes after it.

mod bench;
mod compare;
mod computed;
pub mod corpus;
#[path = "../../isa/tests/instructions/different.rs"]
mod different;
mod generate;
pub mod here;
mod known;
pub mod layout;
mod peer;
#[path = "../../isa/tests/instructions/random.rs"]
mod random;
#[path = "../../isa/tests/instructions/reader.rs"]
#[expect(dead_code, reason = "of the reader of single instructions only its state is of use here")]
mod reader;
pub mod session;
mod special;
#[path = "../../isa/tests/instructions/words.rs"]
mod words;
