//! State that cannot be forgotten.
//!
//! A type says once what its state is ([`State::walk`], almost always derived); saving, loading, digest, diff with
//! paths, and the perturbation that tests use all come from that one walk. `usize`, floats, hash maps and pointers
//! are no state: their width, rounding, order and value belong to the host.
//!
//! ```compile_fail
//! #[derive(timebase_state::State)]
//! struct HostWidth { n: usize }
//! ```
//! ```compile_fail
//! #[derive(timebase_state::State)]
//! struct Float { x: f64 }
//! ```
//! ```compile_fail
//! #[derive(timebase_state::State)]
//! struct NoReason { #[cache] x: u64 }
//! ```
//! ```
//! #[derive(timebase_state::State)]
//! struct Marked { a: u64, #[cache("rebuilt from a")] x: f64 }
//! ```
#![no_std]
extern crate alloc;
extern crate self as timebase_state;

mod leaves;
mod paged;
pub mod random;
pub mod time;
mod walks;

pub use paged::{Outline, PAGE, Page, Paged};
pub use time::{Instant, Ticks};
pub use timebase_state_derive::State;
pub use walks::{
    Difference, Digest, LoadError, Snapshot, chain, diff, digest, leaves, load, perturb, save, schema,
};

/// Something whose whole state can be walked.
pub trait State {
    /// Shows every leaf to `walk`, always in the same order. `walk` may change what it is shown.
    fn walk(&mut self, walk: &mut dyn Walk) -> Result<(), LoadError>;
}

/// What walks through state.
pub trait Walk {
    /// The next values belong to the field `name`.
    fn enter(&mut self, name: &'static str);
    /// The next values belong to element `index`.
    fn enter_index(&mut self, index: u64);
    /// Ends the latest `enter`.
    fn leave(&mut self);
    /// What follows is (not) to be left out of digest and diff.
    fn undigested(&mut self, begin: bool);
    /// An unsigned number of `bits` bits.
    fn number(&mut self, value: &mut u128, bits: u32);
    /// An instant of virtual time; digests see its distance from now.
    fn instant(&mut self, value: &mut Instant);
    /// Which variant of an enumeration.
    fn variant(&mut self, value: &mut u32);
    /// How many elements follow.
    fn length(&mut self, value: &mut u64);
    /// Bulk storage.
    fn paged(&mut self, value: &mut Paged);
    /// Bytes.
    fn bytes(&mut self, value: &mut [u8]);
    /// An error that names the present path.
    fn error(&self, what: &'static str) -> LoadError;
}

#[cfg(test)]
mod tests;
