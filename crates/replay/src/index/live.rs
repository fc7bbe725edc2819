//! Makes checkpoints while a guest is recorded, as far as that costs next to nothing.

use super::{DEFAULT_SIZE, IndexWriter, Lineage, Originals};
use crate::event::Record;
use crate::{ConsoleLog, Recorder, Transcript};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use timebase_machine::api::{Images, Machine, Position};
use timebase_state::Snapshot;

/// Instructions that pay for a page that is written, which is then less than 1 % of the run. Counted in
/// instructions, the distances follow from the run alone.
const INSTRUCTIONS_PER_PAGE: u64 = 400_000;
/// Instructions from one checkpoint to the next, while recording: after each, pages are copied anew when written.
pub const LIVE_GAP: u64 = 300_000_000;
/// Checkpoints before the present position that are at hand: the end may come at any time, and steps back from there
/// should be quick.
const RECENT: usize = 2;

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
    /// Checkpoints that were not written, latest last.
    recent: VecDeque<Recent>,
    /// What the console showed since the latest that was written.
    log: ConsoleLog,
    /// And how much before that, in bytes.
    logged: usize,
    /// The disk is full: there will be no more.
    error: Option<io::Error>,
}

struct Recent {
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
            recent: VecDeque::new(),
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
        let at = machine.position();
        self.take(machine, transcript);
        self.due = at.count.saturating_add(self.gap);
        // The oldest, so that there are always some at hand before the present position.
        let Some(oldest) = self.recent.front() else { return };
        let cost = self.writer.would_add(&oldest.snapshot).saturating_mul(INSTRUCTIONS_PER_PAGE);
        if at.count - self.paid < cost {
            return;
        }
        self.paid = at.count;
        if let Some(oldest) = self.recent.pop_front() {
            self.write(&oldest);
        }
        if self.error.is_some() || self.writer.bytes() > DEFAULT_SIZE {
            self.due = u64::MAX;
        }
    }

    /// The last checkpoint: where `machine` is now.
    pub(crate) fn finish(&mut self, machine: &mut dyn Machine, transcript: &mut Transcript) {
        if self.due == u64::MAX {
            return;
        }
        self.take(machine, transcript);
        for recent in std::mem::take(&mut self.recent) {
            self.write(&recent);
        }
    }

    fn take(&mut self, machine: &mut dyn Machine, transcript: &mut Transcript) {
        self.log.append(transcript.take_log());
        let (at, lineage, shown) = (machine.position(), self.lineage, self.logged + self.log.text.len());
        if self.recent.back().is_some_and(|latest| latest.at == at) {
            self.recent.pop_back();
        }
        self.recent.push_back(Recent { at, lineage, snapshot: machine.snapshot(), shown });
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    fn write(&mut self, recent: &Recent) {
        let Recent { at, lineage, snapshot, shown } = recent;
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
