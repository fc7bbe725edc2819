//! The only crate with clocks, terminals and signals.
//!
//! What is nondeterministic is named here and nowhere else; it reaches a machine only through
//! [`timebase_replay::live::World`], which writes it down.

pub mod allocator;
pub mod clock;
pub mod keyboard;
pub mod memory;
pub mod pace;
pub mod parallel;
pub mod progress;
pub mod signals;
pub mod sleep;

pub use allocator::Allocator;
pub use keyboard::{Command, Keyboard, Typed};
pub use pace::Pace;
pub use progress::Progress;
pub use signals::Signals;
pub use sleep::{IdleMode, Sleeper};
