//! A recording opened for travel: to any position, and to the next or the previous of anything that a debugger can
//! wait for.
//!
//! Going back is restoring a [`Checkpoint`] and running forward. Checkpoints are a cache: they are made on the way,
//! at a bounded distance everywhere and ever denser towards the cursor, so that the next step back is short. A
//! snapshot shares all pages that did not change, so a checkpoint costs what was written since the one before.

use crate::index::Index;
use crate::live::{Idle, Live, Rules, World};
use crate::play::{Divergence, Playhead, Rest};
use crate::watch::{Attention, Watcher};
use crate::{ConsoleLog, Ended, Event, Record, Transcript, WriteError};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use timebase_machine::api::{BoxedMachine, InputError, Machine, Output, Port, Position};
use timebase_machine::debug::{self, Change, Halts, Hit};
use timebase_state::{Digest, Instant, LoadError, PAGE, Paged, Snapshot};

/// Instructions between two checkpoints that are made on the way, at first.
pub const GAP: u64 = 20_000_000;
/// Instructions to the nearest checkpoint before the cursor, about.
const NEAR: u64 = 20_000;
/// Checkpoints near cursors, past and present, that are kept.
const NEAR_KEPT: usize = 128;
/// Checkpoints that a stretch of a search back spans at most.
const REACH: u32 = 8;
/// Host memory for checkpoints, in bytes, unless another amount is given.
pub const DEFAULT_BUDGET: u64 = 768 << 20;

/// Travel that cannot go on.
#[derive(Debug)]
pub enum TravelError {
    /// The machine did something else than the recording says.
    Diverged(Box<Divergence>),
    /// A checkpoint does not fit the machine.
    Checkpoint(LoadError),
    /// The user interrupted it.
    Interrupted,
    /// What happens at the live end cannot be written down.
    Write(WriteError),
}

impl fmt::Display for TravelError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            TravelError::Diverged(divergence) => write!(f, "{divergence}"),
            TravelError::Checkpoint(error) => {
                write!(f, "a checkpoint does not fit: {} {}", error.path, error.what)
            }
            TravelError::Interrupted => f.write_str("interrupted"),
            TravelError::Write(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for TravelError {}

impl From<Divergence> for TravelError {
    fn from(divergence: Divergence) -> TravelError {
        TravelError::Diverged(Box::new(divergence))
    }
}

impl From<LoadError> for TravelError {
    fn from(error: LoadError) -> TravelError {
        TravelError::Checkpoint(error)
    }
}

impl From<WriteError> for TravelError {
    fn from(error: WriteError) -> TravelError {
        TravelError::Write(error)
    }
}

/// Why the guest was not changed.
#[derive(Debug)]
pub enum ChangeError {
    /// History cannot be changed, only branched from.
    History,
    /// The machine does not take it.
    Refused(InputError),
    /// Travel cannot go on.
    Travel(TravelError),
}

/// The machine at a position.
#[derive(Clone)]
pub struct Checkpoint {
    /// Its state.
    pub snapshot: Snapshot,
    /// How far the replay had come.
    pub head: Playhead,
    why: Why,
    /// When it was last of use.
    used: u64,
    /// Bytes that it has for itself, about.
    bytes: u64,
}

/// Why there is a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// To bound the distance to the next.
    Bound,
    /// A cursor was near.
    Near,
    /// It is number so-and-so of the index, and can be loaded from there again.
    Stored(usize),
}

impl Checkpoint {
    /// Little is lost without it.
    fn is_spare(&self) -> bool {
        self.why != Why::Bound
    }
}

/// Where a search ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// At a hit.
    Hit(Hit),
    /// At the beginning of history.
    Beginning,
    /// At its end.
    End,
    /// Where the search was to end.
    Limit,
}

/// Asked about every hit on the way: whether it counts. The machine is where the hit was noticed.
pub type Judge<'a> = dyn FnMut(&mut dyn Machine, &Hit) -> bool + 'a;
/// Asked now and then whether to go on with something long.
pub type Patience<'a> = dyn FnMut() -> bool + 'a;

/// A recording opened for travel.
pub struct Timeline {
    machine: BoxedMachine,
    head: Playhead,
    records: Vec<Record>,
    end: Position,
    checkpoints: BTreeMap<Position, Checkpoint>,
    /// The machine at power-on.
    cold: Snapshot,
    index: Option<Index>,
    console: ConsoleLog,
    /// Up to here everything was run through at least once, so the console's log is whole.
    explored: Position,
    gap: u64,
    budget: u64,
    clock: u64,
    halts: Halts,
    live: Option<LiveEnd>,
    /// Checkpoints restored, for reports.
    pub restored: u64,
}

/// Follows a run for the timeline: gathers output that is new, and looks whether to go on.
struct Follower<'a> {
    console: &'a mut ConsoleLog,
    fresh: bool,
    explored: Position,
    patience: &'a mut Patience<'a>,
}

impl Watcher for Follower<'_> {
    fn output(&mut self, at: Position, output: &Output) -> Attention {
        // What was emitted at the frontier itself was gathered when it was reached.
        if self.fresh && output.port == Transcript::PORT && at > self.explored {
            self.console.push(at, &output.bytes);
        }
        Attention::Later
    }

    fn watch(&mut self, at: Position, _: Instant) -> ControlFlow<Ended> {
        if self.fresh && at > self.explored {
            self.explored = at;
        }
        if (self.patience)() { ControlFlow::Continue(()) } else { ControlFlow::Break(Ended::Signal) }
    }

    fn quantum(&self) -> u64 {
        2_000_000
    }
}

/// Where history is being made.
struct LiveEnd {
    live: Live,
    world: Box<dyn World>,
}

/// Follows a run at the live end.
struct Witness<'a> {
    follower: Follower<'a>,
    world: &'a mut dyn World,
}

impl Watcher for Witness<'_> {
    fn output(&mut self, at: Position, output: &Output) -> Attention {
        self.follower.output(at, output);
        self.world.output(at, output)
    }
    fn watch(&mut self, at: Position, now: Instant) -> ControlFlow<Ended> {
        self.follower.watch(at, now)?;
        self.world.watch(at, now)
    }
    fn quantum(&self) -> u64 {
        self.world.quantum().min(self.follower.quantum())
    }
}

impl World for Witness<'_> {
    fn input(&mut self, now: Instant) -> Option<(Port, Vec<u8>)> {
        self.world.input(now)
    }
    fn refused(&mut self, error: InputError) {
        self.world.refused(error);
    }
    fn idle(&mut self, now: Instant, deadline: Option<Instant>) -> Idle {
        self.world.idle(now, deadline)
    }
    fn second_passed(&mut self) -> bool {
        self.world.second_passed()
    }
}

impl Timeline {
    /// Opens `records` for travel with a machine at power-on.
    pub fn new(mut machine: BoxedMachine, records: Vec<Record>) -> Result<Timeline, TravelError> {
        let end = records.last().map_or(Position::default(), |record| record.at);
        let cold = machine.snapshot();
        let mut timeline = Timeline {
            machine,
            cold,
            index: None,
            head: Playhead::default(),
            records,
            end,
            checkpoints: BTreeMap::new(),
            console: ConsoleLog::default(),
            explored: Position::default(),
            gap: GAP,
            budget: DEFAULT_BUDGET,
            clock: 0,
            halts: Halts::default(),
            live: None,
            restored: 0,
        };
        // What the firmware shows before the first instruction is at the first position.
        timeline.run_to(Position::default(), &mut |_, _| false, &mut || true)?;
        timeline.checkpoint(Why::Bound);
        Ok(timeline)
    }

    /// Opens `records` for travel from the checkpoint `snapshot` at `at` on; what is before cannot be reached.
    pub(crate) fn resumed(
        machine: BoxedMachine,
        records: Vec<Record>,
        at: Position,
        snapshot: Snapshot,
        head: Playhead,
    ) -> Result<Timeline, TravelError> {
        let mut timeline = Timeline::new(machine, records)?;
        timeline.checkpoints.clear();
        timeline.machine.restore(&snapshot)?;
        let next = timeline.records.partition_point(|record| record.at < at);
        timeline.head = Playhead { next, ..head };
        timeline.explored = at;
        timeline.keep(at, snapshot, timeline.head.clone(), Why::Bound);
        Ok(timeline)
    }

    /// Uses the checkpoints of `index`, which is of this recording, from now on.
    pub fn use_index(&mut self, index: Index) {
        if let Some(last) = index.positions().next_back().filter(|&last| last > self.explored) {
            self.console = index.console().clone();
            self.explored = last;
        }
        self.index = Some(index);
    }

    /// The checkpoints in a file, if there are any and they could be read so far.
    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// How much host memory checkpoints may use, in bytes.
    pub fn set_budget(&mut self, bytes: u64) {
        self.budget = bytes;
    }

    /// Where the cursor is.
    pub fn position(&self) -> Position {
        self.machine.position()
    }

    /// Where history ends.
    pub fn end(&self) -> Position {
        self.end
    }

    /// What history consists of.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The machine at the cursor, to look at. Its position must stay as it is.
    pub fn machine(&mut self) -> &mut dyn Machine {
        &mut *self.machine
    }

    /// The same, only to look at.
    pub fn looked_at(&self) -> &dyn Machine {
        &*self.machine
    }

    /// Travel is over: the machine at the cursor, and what its console showed so far.
    pub fn into_machine(mut self) -> (BoxedMachine, Transcript) {
        self.set_halts(&Halts::default());
        (self.machine, self.head.transcript)
    }

    /// The playhead at the cursor.
    pub fn head(&self) -> &Playhead {
        &self.head
    }

    /// Digest at the cursor.
    pub fn digest(&mut self) -> Digest {
        self.machine.digest()
    }

    /// The console up to where history was run through.
    pub fn console(&self) -> &ConsoleLog {
        &self.console
    }

    /// Up to here the console's log is whole.
    pub fn explored(&self) -> Position {
        self.explored
    }

    /// Positions of the checkpoints there are.
    pub fn checkpoints(&self) -> impl Iterator<Item = Position> {
        self.checkpoints.keys().copied()
    }

    /// Host memory that checkpoints use, in bytes, about.
    pub fn checkpoint_bytes(&self) -> u64 {
        self.checkpoints.values().map(|checkpoint| checkpoint.bytes).sum()
    }

    /// Goes to `target`, or to the end of history if that comes first.
    pub fn seek(&mut self, target: Position, patience: &mut Patience) -> Result<(), TravelError> {
        self.set_halts(&Halts::default());
        let target = target.min(self.end);
        let here = self.position();
        if here == target {
            return Ok(());
        }
        if here > target || self.nearest(target, false) > Some(here) {
            self.restore_nearest(target, false)?;
        }
        self.approach(target, patience)
    }

    /// Runs forward to `target`, leaving checkpoints behind: ever denser ones just before it.
    fn approach(&mut self, target: Position, patience: &mut Patience) -> Result<(), TravelError> {
        loop {
            let here = self.position();
            let left = target.count.saturating_sub(here.count);
            if left <= NEAR {
                return self.run_to(target, &mut |_, _| false, patience).map(|_| ());
            }
            // Half of the way, but not beyond the next place where a checkpoint is due anyway.
            let half = here.count + left.div_ceil(2);
            let stage = Position { count: half.min(self.next_due(here.count)), sequence: 0 };
            self.run_to(stage, &mut |_, _| false, patience)?;
            self.checkpoint(if left <= 2 * self.gap { Why::Near } else { Why::Bound });
        }
    }

    fn next_due(&self, count: u64) -> u64 {
        (count / self.gap + 1) * self.gap
    }

    /// Runs forward from the cursor to the first hit that `judge` accepts, at most to `limit`.
    pub fn forward(
        &mut self,
        halts: &Halts,
        limit: Position,
        judge: &mut Judge,
        patience: &mut Patience,
    ) -> Result<Found, TravelError> {
        self.set_halts(halts);
        let start = self.position();
        loop {
            let limit = if self.live.is_some() { limit } else { limit.min(self.end) };
            let due = Position { count: self.next_due(self.position().count), sequence: 0 };
            let mut after_start = |machine: &mut dyn Machine, hit: &Hit| {
                // A breakpoint at the start is where one goes on from.
                let counts = hit.at > start || !matches!(hit.what, debug::Event::Breakpoint(_));
                counts && judge(machine, hit)
            };
            if let Some(hit) = self.run_to(limit.min(due), &mut after_start, patience)? {
                return Ok(Found::Hit(hit));
            }
            if self.position() >= limit {
                return Ok(if limit == self.end && self.live.is_none() { Found::End } else { Found::Limit });
            }
            self.checkpoint(Why::Bound);
        }
    }

    /// Goes back from the cursor to the latest earlier hit that `judge` accepts, to where its instruction is next;
    /// at most to `limit`.
    pub fn backward(
        &mut self,
        halts: &Halts,
        limit: Position,
        judge: &mut Judge,
        patience: &mut Patience,
    ) -> Result<Found, TravelError> {
        let start = self.position();
        let mut until = start;
        // What is far is searched in longer stretches: restoring costs, too.
        let mut reach = 1;
        while until > limit {
            let mut from = until;
            for _ in 0..reach {
                from = self.nearest(from, true).filter(|_| from > limit).unwrap_or(from);
            }
            reach = (2 * reach).min(REACH);
            let Some(from) = self.restore_nearest(from, from == until)? else { break };
            if let Some(hit) = self.last_until(until, limit, halts, judge, patience)? {
                self.seek(hit.at, patience)?;
                return Ok(Found::Hit(hit));
            }
            until = from;
        }
        self.seek(limit, patience)?;
        Ok(if limit == Position::default() { Found::Beginning } else { Found::Limit })
    }

    /// The last accepted hit at or after `limit` between the cursor and `until`.
    fn last_until(
        &mut self,
        until: Position,
        limit: Position,
        halts: &Halts,
        judge: &mut Judge,
        patience: &mut Patience,
    ) -> Result<Option<Hit>, TravelError> {
        self.set_halts(halts);
        let mut last = None;
        while self.position() < until {
            let due = Position { count: self.next_due(self.position().count), sequence: 0 };
            let mut gather = |machine: &mut dyn Machine, hit: &Hit| {
                if hit.at >= limit && hit.at < until && judge(machine, hit) {
                    last = Some(hit.clone());
                }
                false
            };
            self.run_to(until.min(due), &mut gather, patience)?;
            if self.position() < until {
                self.checkpoint(Why::Bound);
            }
        }
        Ok(last)
    }

    fn set_halts(&mut self, halts: &Halts) {
        if self.halts != *halts {
            self.halts = halts.clone();
            self.machine.set_halts(halts.clone());
        }
    }

    /// The cursor is at the live end: history is made there.
    pub fn is_live(&self) -> bool {
        self.live.is_some() && self.position() == self.end
    }

    /// There is a live end.
    pub fn has_live_end(&self) -> bool {
        self.live.is_some()
    }

    /// From the cursor on history is made anew: what came after it is forgotten here (not in its recording).
    pub fn branch(&mut self, live: Live, world: Box<dyn World>) {
        let here = self.position();
        self.records.truncate(self.head.next);
        self.end = here;
        self.checkpoints.retain(|&at, _| at <= here);
        self.explored = self.explored.min(here);
        self.console.truncate(here);
        if let Some(index) = &mut self.index {
            index.truncate(here);
        }
        self.live = Some(LiveEnd { live, world });
        self.mark_end();
        self.checkpoint(Why::Bound);
    }

    /// The records before the cursor.
    pub fn past(&self) -> &[Record] {
        &self.records[..self.head.next]
    }

    /// The live end is over: its recording ends in order.
    pub fn end_live(&mut self, ended: Ended) -> Result<(), TravelError> {
        self.seek(self.end, &mut || true)?;
        if let Some(mut end) = self.live.take() {
            end.live.conclude(&mut *self.machine, ended, &self.head.transcript)?;
        }
        Ok(())
    }

    /// Changes the guest at the cursor, which must be the live end.
    pub fn change(&mut self, change: &Change) -> Result<(), ChangeError> {
        if !self.is_live() {
            return Err(ChangeError::History);
        }
        let Some(end) = &mut self.live else { return Err(ChangeError::History) };
        let taken = end.live.input(&mut *self.machine, debug::PORT, &change.encode());
        taken.map_err(|error| ChangeError::Travel(error.into()))?.map_err(ChangeError::Refused)?;
        let here = Position { count: self.end.count, sequence: u32::MAX };
        self.run_live(here, &mut || true).map(|_| ()).map_err(ChangeError::Travel)
    }

    /// Writes down what has happened so far.
    pub fn flush(&mut self) -> Result<(), TravelError> {
        match &mut self.live {
            Some(end) => Ok(end.live.flush(self.end)?),
            None => Ok(()),
        }
    }

    /// Goes on at the live end, up to the count of `target`.
    fn run_live(&mut self, target: Position, patience: &mut Patience) -> Result<Rest, TravelError> {
        let Some(LiveEnd { live, world }) = &mut self.live else { return Ok(Rest::There) };
        self.head.next = self.records.len();
        let follower =
            Follower { console: &mut self.console, fresh: true, explored: self.explored, patience };
        let mut witness = Witness { follower, world: &mut **world };
        let rules = Rules::default();
        let rest =
            live.advance(&mut *self.machine, &mut self.head.transcript, &mut witness, target.count, rules);
        self.explored = witness.follower.explored;
        self.records.extend(live.take_journal());
        self.end = self.machine.position();
        self.explored = self.end;
        self.mark_end();
        let rest = rest?;
        if let Rest::End(ended, _) = &rest {
            let ended = ended.clone();
            self.end_live(ended)?;
        }
        Ok(rest)
    }

    /// History is known up to its end: there is a record that says so.
    fn mark_end(&mut self) {
        if self.records.last().is_none_or(|last| last.at < self.end) {
            self.records.push(Record { at: self.end, event: Event::Progress });
        }
        self.head.next = self.records.len();
    }

    /// Runs to `target` at most, and stops at the first hit that is accepted.
    fn run_to(
        &mut self,
        target: Position,
        judge: &mut Judge,
        patience: &mut Patience,
    ) -> Result<Option<Hit>, TravelError> {
        loop {
            let rest = if self.is_live() {
                self.run_live(target, patience)?
            } else {
                self.replay_to(target.min(self.end), patience)?
            };
            match rest {
                Rest::There if self.is_live() && self.position() < target => {}
                Rest::There | Rest::End(..) => return Ok(None),
                Rest::Stopped(_) => return Err(TravelError::Interrupted),
                Rest::Hit(hits) => {
                    for hit in hits {
                        if judge(&mut *self.machine, &hit) {
                            return Ok(Some(hit));
                        }
                    }
                }
            }
        }
    }

    fn replay_to(&mut self, target: Position, patience: &mut Patience) -> Result<Rest, TravelError> {
        let fresh = self.position() <= self.explored;
        let mut follower = Follower { console: &mut self.console, fresh, explored: self.explored, patience };
        let rules = Rules { compare: target > self.explored, ..Rules::default() };
        let rest = self.head.play_to(&mut *self.machine, &self.records, target, &mut follower, rules);
        self.explored = follower.explored;
        Ok(rest?)
    }

    /// Makes a checkpoint at the cursor.
    fn checkpoint(&mut self, why: Why) {
        let at = self.position();
        self.clock += 1;
        if let Some(known) = self.checkpoints.get_mut(&at) {
            known.used = self.clock;
            if known.why == Why::Near {
                known.why = why;
            }
            return;
        }
        let stored = self.index.as_ref().and_then(|index| index.nearest(at, false));
        if why == Why::Bound && stored.is_some_and(|(_, stored)| at.count - stored.count < self.gap / 2) {
            return;
        }
        let snapshot = self.machine.snapshot();
        self.keep(at, snapshot, self.head.clone(), why);
    }

    fn keep(&mut self, at: Position, snapshot: Snapshot, head: Playhead, why: Why) {
        let before = self.checkpoints.range(..at).next_back().map(|(_, checkpoint)| &checkpoint.snapshot);
        let bytes = own_bytes(&snapshot, before);
        let checkpoint = Checkpoint { snapshot, head, why, used: self.clock, bytes };
        self.checkpoints.insert(at, checkpoint);
        self.thin();
    }

    /// Keeps checkpoints within their bounds: the oldest of those to spare go, then every other of the rest.
    fn thin(&mut self) {
        let near = self.checkpoints.values().filter(|checkpoint| checkpoint.why == Why::Near).count();
        if near > NEAR_KEPT {
            self.forget_oldest(|checkpoint| checkpoint.why == Why::Near);
        }
        while self.checkpoint_bytes() > self.budget && self.checkpoints.len() > 2 {
            if self.forget_oldest(Checkpoint::is_spare) {
                continue;
            }
            // Half of them go, and from now on they are made half as often.
            self.gap = self.gap.saturating_mul(2);
            let kept = |at: Position| at.count.is_multiple_of(self.gap);
            let gone: Vec<Position> = self.checkpoints.keys().copied().filter(|&at| !kept(at)).collect();
            if gone.is_empty() && self.gap > self.end.count {
                break;
            }
            for at in gone {
                self.forget(at);
            }
        }
    }

    /// False if there is none such.
    fn forget_oldest(&mut self, such: impl Fn(&Checkpoint) -> bool) -> bool {
        let oldest = self.checkpoints.iter().filter(|(_, c)| such(c)).min_by_key(|(_, c)| c.used);
        let Some((&at, _)) = oldest else { return false };
        self.forget(at);
        true
    }

    /// Drops a checkpoint. The pages that it shared with the one before belong to the next one then.
    fn forget(&mut self, at: Position) {
        self.checkpoints.remove(&at);
        let before = self.checkpoints.range(..at).next_back().map(|(_, c)| c.snapshot.clone());
        if let Some((_, next)) = self.checkpoints.range_mut(at..).next() {
            next.bytes = own_bytes(&next.snapshot, before.as_ref());
        }
    }

    /// The latest checkpoint in memory at or before `at`, or strictly before it.
    fn nearest_kept(&self, at: Position, strictly: bool) -> Option<Position> {
        let mut before = self.checkpoints.range(..=at).rev().map(|(&kept, _)| kept);
        before.find(|&kept| !strictly || kept < at)
    }

    /// The latest checkpoint of all.
    fn nearest(&self, at: Position, strictly: bool) -> Option<Position> {
        let stored = self.index.as_ref().and_then(|index| index.nearest(at, strictly));
        self.nearest_kept(at, strictly).max(stored.map(|(_, stored)| stored))
    }

    /// Puts the cursor on the latest checkpoint at or before `at`, or strictly before it.
    fn restore_nearest(&mut self, at: Position, strictly: bool) -> Result<Option<Position>, TravelError> {
        self.clock += 1;
        let kept = self.nearest_kept(at, strictly);
        let stored = self.index.as_ref().and_then(|index| index.nearest(at, strictly));
        if let Some((n, stored)) = stored.filter(|&(_, stored)| Some(stored) > kept)
            && self.load(n, stored)
        {
            return Ok(Some(stored));
        }
        let Some(kept) = kept else { return Ok(None) };
        if let Some(checkpoint) = self.checkpoints.get_mut(&kept) {
            checkpoint.used = self.clock;
            self.machine.restore(&checkpoint.snapshot)?;
            self.head = checkpoint.head.clone();
            self.restored += 1;
        }
        Ok(Some(kept))
    }

    /// Puts the cursor on checkpoint `n` of the index, at `at`. False if that cannot be read: it is only a cache, so
    /// travel goes on without.
    fn load(&mut self, n: usize, at: Position) -> bool {
        let Some(index) = &mut self.index else { return false };
        let related = self.checkpoints.values().filter_map(|checkpoint| match checkpoint.why {
            Why::Stored(m) => Some((m, &checkpoint.snapshot)),
            Why::Bound | Why::Near => None,
        });
        let base = related.min_by_key(|(m, _)| m.abs_diff(n));
        let loaded = index.load(n, base, &self.cold).ok();
        let fits = loaded.filter(|(snapshot, _)| self.machine.restore(snapshot).is_ok());
        let Some((snapshot, head)) = fits else {
            self.index = None;
            return false;
        };
        self.head = head.clone();
        self.keep(at, snapshot, head, Why::Stored(n));
        self.restored += 1;
        true
    }

    /// Positions of the inputs before `at`, latest last.
    pub fn inputs(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(|record| matches!(record.event, Event::Input { .. }))
    }
}

/// Bytes that `snapshot` does not share with the one before it.
fn own_bytes(snapshot: &Snapshot, before: Option<&Snapshot>) -> u64 {
    let nothing = Paged::new(0);
    let pages: u64 = snapshot
        .paged
        .iter()
        .enumerate()
        .map(|(n, paged)| paged.unshared_pages(before.map_or(&nothing, |before| &before.paged[n])))
        .sum();
    snapshot.small.len() as u64 + pages * PAGE as u64
}
