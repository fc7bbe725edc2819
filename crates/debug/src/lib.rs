//! Debugging in both directions: a gdb server over [`timebase_replay::Timeline`].
//!
//! [`session`] is what a debugger does, in no protocol's words: breakpoints, watchpoints, steps and runs both ways,
//! threads that are vCPUs. [`gdb`] is the remote serial protocol over it. [`monitor`] holds the commands that gdb has
//! no words for. [`agent`] and [`expression`] evaluate conditions here, so that a search for one runs at full speed.

pub mod agent;
pub mod expression;
pub mod gdb;
pub mod monitor;
pub mod registers;
pub mod session;

pub use session::{Session, Stopped};
