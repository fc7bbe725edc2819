//! Makes checkpoints while a guest is recorded, as far as that costs next to nothing.

use super::{DEFAULT_SIZE, IndexWriter, Lineage, Originals};
use crate::event::Record;
use crate::{ConsoleLog, Recorder, Transcript};
use std::io;
use std::path::Path;
use timebase_machine::api::{Images, Machine, Position};
use timebase_state::Snapshot;

/// Instructions that pay for a page that is written, which is then less than 1 % of the run. Counted in
/// instructions, the distances follow from the run alone.
const INSTRUCTIONS_PER_PAGE: u64 = 400_000;
/// Instructions from one checkpoint to the next, while recording: after each, pages are copied anew when written.
pub const LIVE_GAP: u64 = 300_000_000;

/// Checkpoints of a guest that is being recorded.
pub struct Indexer {
    writer: IndexWriter,
    /// Instructions from one to the next.
    gap: u64,
    lineage: Lineage,
    /// When the next checkpoint is made.
    due: u64,
    /// What was executed until then has paid for what is written.
    paid: u64,
    /// The latest checkpoint, not written yet: the end may come at any time, and steps back from there should be quick.
    /// Only one is kept, for the guest copies each page that it writes while a checkpoint has it.
    latest: Option<Checkpoint>,
    /// What the console showed since the latest that was written.
    log: ConsoleLog,
    /// And how much before that, in bytes.
    logged: usize,
    /// The disk is full: there will be no more.
    error: Option<io::Error>,
}

struct Checkpoint {
    at: Position,
    lineage: Lineage,
    snapshot: Snapshot,
    /// What the console showed up to it, in bytes.
    shown: usize,
}

impl Indexer {
    /// Begins a file of checkpoints at `path`, `gap` instructions apart, for `machine`, which is at power-on and was made
    /// of `images`, as `recorder` was.
    pub fn create(
        path: &Path,
        recorder: &Recorder,
        images: &Images,
        machine: &mut dyn Machine,
        gap: u64,
    ) -> io::Result<Indexer> {
        let lineage = Lineage::of(recorder.header());
        let cold = machine.snapshot();
        let originals = Originals::recorded(&cold, images, recorder);
        let writer = IndexWriter::create(path, lineage, &cold, originals, None)?;
        Ok(Indexer {
            writer,
            gap,
            lineage,
            due: gap,
            paid: 0,
            latest: None,
            log: ConsoleLog::default(),
            logged: 0,
            error: None,
        })
    }

    /// Something happened.
    pub(crate) fn note(&mut self, record: &Record) {
        self.lineage.push(record);
    }

    /// The count at which the next checkpoint is due.
    pub(crate) fn due(&self) -> u64 {
        self.due
    }

    /// Makes a checkpoint of `machine`, which is settled. `transcript` keeps its log.
    pub(crate) fn checkpoint(&mut self, machine: &mut dyn Machine, transcript: &mut Transcript) {
        let count = machine.position().count;
        self.due = count.saturating_add(self.gap);
        // The one before makes room. If what was executed since has paid for it, it is written.
        if let Some(before) = self.latest.take() {
            let cost = self.writer.would_add(&before.snapshot).saturating_mul(INSTRUCTIONS_PER_PAGE);
            if count - self.paid >= cost {
                self.paid = count;
                self.write(&before);
            }
        }
        if self.error.is_some() || self.writer.bytes() > DEFAULT_SIZE {
            self.due = u64::MAX;
            return;
        }
        self.latest = Some(self.take(machine, transcript));
    }

    /// The last checkpoint: where `machine` is now.
    pub(crate) fn finish(&mut self, machine: &mut dyn Machine, transcript: &mut Transcript) {
        if self.due == u64::MAX {
            return;
        }
        let last = self.take(machine, transcript);
        let before = self.latest.take().filter(|before| before.at != last.at);
        before.iter().chain([&last]).for_each(|checkpoint| self.write(checkpoint));
    }

    fn take(&mut self, machine: &mut dyn Machine, transcript: &mut Transcript) -> Checkpoint {
        self.log.append(transcript.take_log());
        Checkpoint {
            at: machine.position(),
            lineage: self.lineage,
            snapshot: machine.snapshot(),
            shown: self.logged + self.log.text.len(),
        }
    }

    fn write(&mut self, checkpoint: &Checkpoint) {
        let Checkpoint { at, lineage, snapshot, shown } = checkpoint;
        let (log, rest) = self.log.split(shown - self.logged);
        match self.writer.add(*at, *lineage, snapshot, &log) {
            Err(error) => self.error = Some(error),
            Ok(()) => (self.log, self.logged) = (rest, *shown),
        }
    }

    /// Why there are no more checkpoints, if something went wrong.
    pub(crate) fn error(&self) -> Option<String> {
        let path = self.writer.path().display();
        self.error.as_ref().map(|error| format!("no more checkpoints: cannot write {path}: {error}"))
    }
}
