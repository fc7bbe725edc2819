//! Makes the checkpoints of a whole recording.

use super::{Index, IndexWriter, Lineage, Originals, Unreadable};
use crate::live::Rules;
use crate::play::{Divergence, Playhead, Rest};
use crate::timeline::GAP;
use crate::{Ended, Recording, Transcript, Watcher};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use timebase_machine::api::{Machine, Position};
use timebase_state::Snapshot;

/// Checkpoints that could not be made.
#[derive(Debug)]
pub enum IndexError {
    /// The machine did something else than the recording says.
    Diverged(Box<Divergence>),
    /// The file cannot be written.
    Write(PathBuf, io::Error),
    /// What was written cannot be read.
    Read(PathBuf, Unreadable),
    /// The user interrupted it.
    Interrupted,
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            IndexError::Diverged(divergence) => write!(f, "{divergence}"),
            IndexError::Write(path, error) => {
                write!(f, "cannot write {}: {error}: make room, or choose a smaller --size", path.display())
            }
            IndexError::Read(path, Unreadable(why)) => {
                write!(f, "cannot read {} again: {why}", path.display())
            }
            IndexError::Interrupted => f.write_str("interrupted: nothing was changed"),
        }
    }
}

impl std::error::Error for IndexError {}

/// What was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Built {
    /// Checkpoints.
    pub checkpoints: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Instructions from one to the next, at most.
    pub gap: u64,
    /// Where the recording ends, in instructions.
    pub instructions: u64,
}

/// The file while it is written, under a name of its own until it is complete.
struct Draft<'a> {
    recording: &'a Recording,
    cold: Snapshot,
    writer: IndexWriter,
    gap: u64,
    checkpoints: u64,
    limit: u64,
    /// The lineage of so many records.
    lineage: (Lineage, usize),
}

/// Replays `recording` on `machine`, which is at power-on, and writes its checkpoints to `path`: at most `limit`
/// bytes, or as few checkpoints as possible.
pub fn build(
    machine: &mut dyn Machine,
    recording: &Recording,
    path: &Path,
    limit: u64,
    watcher: &mut dyn Watcher,
) -> Result<Built, IndexError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let draft_path = PathBuf::from(name);
    let failed = |error| IndexError::Write(draft_path.clone(), error);
    let cold = machine.snapshot();
    let lineage = Lineage::of(recording.header());
    let writer = create(&draft_path, lineage, &cold).map_err(failed)?;
    let mut draft = Draft { recording, cold, writer, gap: GAP, checkpoints: 0, limit, lineage: (lineage, 0) };
    let built = draft.build(machine, watcher);
    if built.is_err() {
        // It is worth nothing, and nobody will look for it.
        let _ = std::fs::remove_file(&draft_path);
    }
    let built = built?;
    std::fs::rename(&draft_path, path).map_err(|error| IndexError::Write(path.into(), error))?;
    Ok(built)
}

fn create(path: &Path, lineage: Lineage, cold: &Snapshot) -> io::Result<IndexWriter> {
    IndexWriter::create(path, lineage, cold, Originals::kept(cold), Some(super::LEVEL))
}

impl Draft<'_> {
    fn build(&mut self, machine: &mut dyn Machine, watcher: &mut dyn Watcher) -> Result<Built, IndexError> {
        let records = self.recording.records();
        let end = self.recording.known();
        let mut head = Playhead { transcript: Transcript::kept(), ..Playhead::default() };
        loop {
            let target = self.next(machine.position(), end);
            match head.play_to(machine, records, target, watcher, Rules::default()) {
                Err(divergence) => return Err(IndexError::Diverged(Box::new(divergence))),
                Ok(Rest::Stopped(Ended::Signal | Ended::Quit)) => return Err(IndexError::Interrupted),
                Ok(Rest::There) => self.checkpoint(machine, &mut head)?,
                Ok(_) => {}
            }
            if machine.position() >= end {
                break;
            }
        }
        Ok(Built {
            checkpoints: self.checkpoints,
            bytes: self.writer.bytes(),
            gap: self.gap,
            instructions: end.count,
        })
    }

    /// Where the next checkpoint is due: at a bounded distance, ever denser towards the end, and at the end.
    fn next(&self, here: Position, end: Position) -> Position {
        let due = (here.count / self.gap + 1) * self.gap;
        let left = end.count.saturating_sub(here.count);
        let half = here.count + left.div_ceil(2);
        let dense = if left > super::NEAR { half } else { end.count };
        let count = due.min(dense.max(here.count + 1));
        if count >= end.count { end } else { Position { count, sequence: 0 } }
    }

    fn checkpoint(&mut self, machine: &mut dyn Machine, head: &mut Playhead) -> Result<(), IndexError> {
        let records = &self.recording.records()[self.lineage.1..head.next];
        records.iter().for_each(|record| self.lineage.0.push(record));
        self.lineage.1 = head.next;
        let log = head.transcript.take_log();
        let added = self.writer.add(machine.position(), self.lineage.0, &machine.snapshot(), &log);
        added.map_err(|error| IndexError::Write(self.writer.path().into(), error))?;
        self.checkpoints += 1;
        if self.writer.bytes() > self.limit && self.checkpoints > 2 {
            self.thin()?;
        }
        Ok(())
    }

    /// Writes the file again with every other checkpoint.
    fn thin(&mut self) -> Result<(), IndexError> {
        self.gap = self.gap.saturating_mul(2);
        let path = self.writer.path().to_owned();
        let mut name = path.as_os_str().to_owned();
        name.push("er");
        let thinner_path = PathBuf::from(name);
        let failed = |error| IndexError::Write(thinner_path.clone(), error);
        let unread = |why| IndexError::Read(path.clone(), why);
        let mut index = Index::open(&path, self.recording)
            .map_err(unread)?
            .ok_or_else(|| unread(Unreadable("it is empty".into())))?;
        let start = Lineage::of(self.recording.header());
        let mut thinner = create(&thinner_path, start, &self.cold).map_err(failed)?;
        let console = index.console().clone();
        let positions: Vec<Position> = index.positions().collect();
        let (mut lineage, mut records, mut shown, mut before) = (start, 0, 0, None);
        self.checkpoints = 0;
        for (n, &at) in positions.iter().enumerate() {
            if !at.count.is_multiple_of(self.gap) && n + 1 != positions.len() {
                continue;
            }
            let base = before.as_ref().map(|(n, snapshot)| (*n, snapshot));
            let (snapshot, head) = index.load(n, base, &self.cold).map_err(unread)?;
            self.recording.records()[records..head.next].iter().for_each(|record| lineage.push(record));
            records = head.next;
            let log = console.between(shown, index.shown(n));
            shown = index.shown(n);
            thinner.add(at, lineage, &snapshot, &log).map_err(failed)?;
            self.checkpoints += 1;
            before = Some((n, snapshot));
        }
        std::fs::rename(&thinner_path, &path).map_err(failed)?;
        thinner.renamed(&path);
        self.writer = thinner;
        Ok(())
    }
}
