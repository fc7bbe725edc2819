//! Tests of instructions, one at a time, on a reader of their own ([`reader`]).

mod cases;
mod different;
mod exceptions;
mod peer;
mod random;
mod reader;
mod words;
