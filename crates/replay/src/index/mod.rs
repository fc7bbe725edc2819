//! Checkpoints in a file beside a recording.
//!
//! The file is a cache: it says nothing that the recording does not, and may be removed at any time. Each checkpoint
//! has what changed since the one before it; the first one, since power-on. Which history a checkpoint belongs to is
//! said by a running hash ([`Lineage`]), so the file also fits a recording that was cut, or went on, later.
//!
//! The file is a [`chunk`] file. It has a [`Kind::Header`] with the lineage at power-on, and then for each
//! checkpoint [`Kind::Pages`], [`Kind::Small`] and, last, [`Kind::Checkpoint`] chunks: whatever is cut off, all
//! before is of use. No page is read before it is needed. A page stands there as what makes it from a page of the machine
//! at power-on ([`patch`]).

mod build;
mod live;
mod originals;
mod patch;
mod reader;
mod writer;

pub use build::{Built, IndexError, build};
pub use live::{Indexer, LIVE_GAP};
pub use originals::Originals;
pub use reader::{Index, Unreadable};
pub use writer::IndexWriter;

use crate::ConsoleLog;
use crate::chunk::Place;
use crate::code::{Decode, Encode, Malformed};
use crate::event::{Event, Header, Record};
use std::path::{Path, PathBuf};
use timebase_machine::api::Position;
use timebase_state::chain;

/// zstd's level when there is time. While a guest runs pages are not packed.
const LEVEL: i32 = 1;
/// Instructions between the last checkpoints before the end, about.
const NEAR: u64 = 20_000;
/// Bytes of a file of checkpoints at most, unless another size is given.
pub const DEFAULT_SIZE: u64 = 1 << 30;

/// The file with the checkpoints of the recording at `path`.
pub fn path_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".index");
    name.into()
}

/// Which history this is: the machine, and all records so far that change or check anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Lineage([u8; 32]);

impl Lineage {
    /// Of a machine at power-on.
    pub fn of(header: &Header) -> Lineage {
        Lineage(chain(&[0; 32], &[&header.encode()]))
    }

    /// One more record.
    pub fn push(&mut self, record: &Record) {
        if !matches!(record.event, Event::Progress) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            self.0 = chain(&self.0, &[&bytes]);
        }
    }
}

fn encode_place(place: Place, out: &mut Vec<u8>) {
    out.number(place.offset);
    out.number(place.length);
}

fn decode_place(input: &mut Decode) -> Result<Place, Malformed> {
    Ok(Place { offset: input.number()?, length: input.number()? })
}

fn encode_log(log: &ConsoleLog, shown: u64, out: &mut Vec<u8>) {
    out.number(shown);
    out.blob(&log.text);
    out.number(log.marks.len() as u64);
    for (offset, at) in &log.marks {
        out.number(*offset);
        out.number(at.count);
        out.number(at.sequence.into());
    }
}

fn decode_log(input: &mut Decode, log: &mut ConsoleLog) -> Result<(), Malformed> {
    let shown = input.number()?;
    if shown != log.text.len() as u64 {
        return Err(Malformed("something of the console is missing"));
    }
    log.text.extend_from_slice(input.blob()?);
    for _ in 0..input.number()? {
        let offset = shown + input.number()?;
        log.marks.push((offset, decode_position(input)?));
    }
    Ok(())
}

fn decode_position(input: &mut Decode) -> Result<Position, Malformed> {
    Ok(Position { count: input.number()?, sequence: input.number32()? })
}
