//! State that cannot be forgotten: one trait and its derive.
#![no_std]
extern crate alloc;
pub mod time;
pub use time::{Instant, Ticks};
pub use timebase_state_derive::State;
