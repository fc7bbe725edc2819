//! Recording and replay over [`timebase_machine::api::Machine`].
//!
//! A recording is the configuration, the images and the inputs with their positions; all else is derived. It is one
//! append-only file of checksummed chunks ([`chunk`]), and [`event`] says what stands in them. [`Recorder`] writes
//! it, [`Recording`] reads it, [`live::drive`] runs a machine in the world (recording it or not), and
//! [`play::play`] runs it again from a recording. [`Timeline`] is a recording opened for travel.
//!
//! Nothing here knows a clock or a terminal: both come in through [`live::World`] and [`Watcher`].

pub mod address;
pub mod chunk;
mod code;
pub mod divergence;
pub mod event;
pub mod events;
pub mod index;
pub mod live;
pub mod play;
mod recorder;
mod recording;
mod timeline;
pub mod trace;
pub mod verify;
mod watch;

pub use event::{Event, Header, Image, Record};
pub use recorder::{CreateError, LONGEST_INPUT, Recorder, WriteError};
pub use recording::{Info, OpenError, Recording};
pub use timeline::{ChangeError, Checkpoint, Found, Judge, Patience, Timeline, TravelError};
pub use watch::{Attention, ConsoleLog, Ended, Outcome, Transcript, Watcher};

/// Version of the file format: what chunks and records look like.
pub const FORMAT: u32 = 3;

/// Version of the format of files of checkpoints. They are a cache: one of another version is of no use, and that is all.
pub const INDEX_FORMAT: u32 = 4;

/// Bumped whenever a change to the program changes what a guest sees: recordings of another epoch are refused,
/// because they would only diverge.
pub const SEMANTICS_EPOCH: u32 = 12;

/// Which program made a recording: shown to whoever needs that program again.
pub const BUILD: &str = concat!("timebase ", env!("CARGO_PKG_VERSION"));

/// Default distance between two digests in a recording, in instructions.
pub const DIGEST_INTERVAL: u64 = 100_000_000;
