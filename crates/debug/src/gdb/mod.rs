//! gdb's remote serial protocol over a [`crate::Session`].
//!
//! The crate `gdbstub` speaks the protocol ([`target`] is what it sees); [`packets`] finds the packets in the stream and
//! answers the few that `gdbstub` has no words for. [`server`] listens.

pub mod packets;
pub mod server;
pub mod target;

pub use server::{Ended, Notice, serve};
