//! Checks a recording piece by piece, and explains what does not agree.
//!
//! Between two checkpoints history is replayed without what came before. So pieces can be checked side by side; each
//! ends where the next one begins, with a comparison of the whole state. If a piece does not agree, the same history
//! is run a second time, from power-on, and where the two runs part is the instruction that one of them got wrong.

use crate::divergence::{self, Field, Finding, differences};
use crate::index::{Index, Unreadable};
use crate::live::Rules;
use crate::play::{Divergence, Playhead, Rest};
use crate::{Ended, Event, Patience, Record, Timeline, TravelError, Watcher};
use serde::Serialize;
use std::fmt;
use timebase_machine::api::{BoxedMachine, Machine, Position};
use timebase_state::{Digest, Snapshot};

/// Which machine is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trial {
    /// The one that is to be checked.
    Checked,
    /// One to compare with: the plainest engine.
    Reference,
}

/// Builds machines at power-on.
pub type Maker<'a> = dyn Fn(Trial) -> Result<BoxedMachine, String> + Sync + 'a;

/// A piece of history from one checkpoint to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Number of the checkpoint where it begins; None: at power-on.
    pub from: Option<usize>,
    /// And its position.
    pub start: Position,
    /// Number of the checkpoint where it ends; None: at the end of history.
    pub to: Option<usize>,
    /// And its position.
    pub end: Position,
}

/// What does not agree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mismatch {
    /// The replay went another way than the recording, or to another digest.
    Replay(Box<Divergence>),
    /// The replay comes to another state than that of the checkpoint here.
    Checkpoint {
        /// Where.
        at: Position,
        /// Number of the checkpoint.
        checkpoint: usize,
    },
}

impl Mismatch {
    /// Where it showed.
    pub fn at(&self) -> Position {
        match self {
            Mismatch::Replay(divergence) => divergence.at,
            Mismatch::Checkpoint { at, .. } => *at,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Mismatch::Replay(divergence) => write!(f, "{divergence}"),
            Mismatch::Checkpoint { at, .. } => {
                write!(f, "diverged before instruction {}: the checkpoint there has another state", at.count)
            }
        }
    }
}

/// A piece that was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Digests and states that agreed.
    pub agreed: u64,
    /// How it ended, if history ended there.
    pub end: Option<PieceEnd>,
}

/// The end of history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PieceEnd {
    /// How.
    pub ended: Ended,
    /// The recording's own word for it, if there is one.
    pub recorded: Option<String>,
    /// The digest there.
    pub digest: Digest,
}

/// A check that came to no result.
#[derive(Debug)]
pub enum CheckError {
    /// The user interrupted it.
    Interrupted,
    /// A checkpoint cannot be used.
    Index(String),
    /// There is no machine.
    Machine(String),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            CheckError::Interrupted => f.write_str("interrupted: the recording was not verified to its end"),
            CheckError::Index(why) => {
                write!(f, "the checkpoints are of no use ({why}): make them anew with `timebase index`")
            }
            CheckError::Machine(why) => f.write_str(why),
        }
    }
}

impl From<Unreadable> for CheckError {
    fn from(Unreadable(why): Unreadable) -> CheckError {
        CheckError::Index(why)
    }
}

/// Cuts history into about `pieces` pieces of like length, at checkpoints.
pub fn pieces(index: Option<&Index>, end: Position, pieces: u64) -> Vec<Piece> {
    let mut cuts: Vec<(Option<usize>, Position)> = vec![(None, Position::default())];
    let length = end.count / pieces.max(1) + 1;
    for (n, at) in index.into_iter().flat_map(Index::positions).enumerate() {
        let last = cuts.last().map_or(0, |cut| cut.1.count);
        if at.count >= last + length && at < end {
            cuts.push((Some(n), at));
        }
    }
    let ends = cuts.iter().skip(1).copied().chain([(None, end)]);
    let piece = |(&(from, start), (to, end)): (&(Option<usize>, Position), _)| Piece { from, start, to, end };
    cuts.iter().zip(ends).map(piece).collect()
}

/// Checks a piece on `machine`, which is at power-on and so `cold`.
pub fn check(
    machine: &mut dyn Machine,
    cold: &Snapshot,
    records: &[Record],
    index: Option<&mut Index>,
    piece: Piece,
    watcher: &mut dyn Watcher,
) -> Result<Result<Checked, Mismatch>, CheckError> {
    let mut head = Playhead::default();
    let mut index = index;
    if let (Some(from), Some(index)) = (piece.from, &mut index) {
        let (snapshot, loaded) = index.load(from, None, cold)?;
        machine.restore(&snapshot).map_err(|error| CheckError::Index(error.to_string()))?;
        head = loaded;
    }
    let before = head.compared();
    let limit = if piece.to.is_some() { piece.end } else { crate::play::FOREVER };
    let rest = loop {
        match head.play_to(machine, records, limit, watcher, Rules::default()) {
            Err(divergence) => return Ok(Err(Mismatch::Replay(Box::new(divergence)))),
            Ok(Rest::Hit(_)) => {}
            Ok(rest) => break rest,
        }
    };
    let agreed = head.compared() - before;
    match (rest, piece.to, index) {
        (Rest::Stopped(_), ..) => Err(CheckError::Interrupted),
        (Rest::There, Some(to), Some(index)) => {
            let digest = machine.digest();
            let (snapshot, _) = index.load(to, None, cold)?;
            machine.restore(&snapshot).map_err(|error| CheckError::Index(error.to_string()))?;
            if machine.digest() != digest {
                return Ok(Err(Mismatch::Checkpoint { at: piece.end, checkpoint: to }));
            }
            Ok(Ok(Checked { agreed: agreed + 1, end: None }))
        }
        (Rest::End(ended, recorded), ..) => {
            let end = PieceEnd { ended, recorded, digest: machine.digest() };
            Ok(Ok(Checked { agreed, end: Some(end) }))
        }
        (Rest::There | Rest::Hit(_), ..) => Ok(Ok(Checked { agreed, end: None })),
    }
}

/// Why a piece does not agree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "cause")]
pub enum Explanation {
    /// Two runs of the same history part: the first instruction after which they differ. Left is a straight run from
    /// power-on, right the one that was checked.
    Parted(Finding),
    /// A checkpoint restores another state than the straight run (left) has there.
    Restored {
        /// Where the checkpoint is, in instructions.
        instruction: u64,
        /// The fields that differ.
        fields: Vec<Field>,
    },
    /// Two runs of the history agree with each other, and not with the recording.
    Recorded {
        /// Up to here the recording agrees, in instructions.
        agreed: u64,
        /// From here it does not.
        differs: u64,
        /// What differs at the first checkpoint there: left is this program's state, right the recorded one.
        fields: Vec<Field>,
    },
}

/// The history without what checks it: it can be run again wherever it leads.
fn unchecked(records: &[Record]) -> Vec<Record> {
    let open = |record: &Record| match &record.event {
        Event::Digest(_) => None,
        Event::End { .. } => Some(Record { at: record.at, event: Event::Progress }),
        _ => Some(record.clone()),
    };
    records.iter().filter_map(open).collect()
}

/// Finds out why `piece` does not agree.
pub fn explain(
    make: &Maker,
    records: &[Record],
    mut index: Option<Index>,
    piece: Piece,
    mismatch: &Mismatch,
    patience: &mut Patience,
) -> Result<Explanation, ExplainError> {
    let free = unchecked(records);
    let mut reference = Timeline::new(make(Trial::Reference)?, free.clone())?;
    let mut checked = make(Trial::Checked)?;
    let cold = checked.snapshot();
    let mut checked = match (piece.from, &mut index) {
        (Some(from), Some(index)) => {
            let (snapshot, head) = index.load(from, None, &cold)?;
            Timeline::resumed(checked, free, piece.start, snapshot, head)?
        }
        _ => Timeline::new(checked, free)?,
    };
    reference.seek(piece.start, patience)?;
    let (left, right) = (reference.digest(), checked.digest());
    if left != right {
        let fields = differences(reference.machine(), &checked.machine().snapshot());
        return Ok(Explanation::Restored { instruction: piece.start.count, fields });
    }
    let differ = mismatch.at();
    // At the very place of the mismatch an event may have been wrong: look behind it.
    let differ = Position { count: differ.count + 1, sequence: 0 }.min(reference.end());
    let at = |timeline: &mut Timeline, patience: &mut Patience| match timeline.seek(differ, patience) {
        Ok(()) => Ok(Some(timeline.digest())),
        Err(TravelError::Diverged(_)) => Ok(None),
        Err(error) => Err(error),
    };
    if at(&mut reference, patience)? != at(&mut checked, patience)? {
        return Ok(Explanation::Parted(divergence::find(
            &mut reference,
            &mut checked,
            piece.start,
            differ,
            patience,
        )?));
    }
    if let (Mismatch::Checkpoint { at, checkpoint }, Some(index)) = (mismatch, &mut index) {
        // The replay came to the right state. Is it the file's state that is wrong, or what is made of it?
        let (snapshot, _) = index.load(*checkpoint, None, &cold)?;
        let mut restored = make(Trial::Checked)?;
        restored.restore(&snapshot).map_err(TravelError::Checkpoint)?;
        reference.seek(*at, patience)?;
        let fields = differences(reference.machine(), &restored.snapshot());
        if !fields.is_empty() && differences(reference.machine(), &snapshot).is_empty() {
            return Ok(Explanation::Restored { instruction: at.count, fields });
        }
    }
    recorded(&mut reference, index, piece, mismatch, &cold, patience)
}

/// Two runs agree, so the recording was made by another program, or on a machine that failed: says as closely as the
/// recording allows where it is different.
fn recorded(
    reference: &mut Timeline,
    index: Option<Index>,
    piece: Piece,
    mismatch: &Mismatch,
    cold: &Snapshot,
    patience: &mut Patience,
) -> Result<Explanation, ExplainError> {
    let mut agreed = match mismatch {
        Mismatch::Replay(divergence) => divergence.good.max(piece.start.count),
        Mismatch::Checkpoint { .. } => piece.start.count,
    };
    let mut differs = mismatch.at().count;
    let mut fields = Vec::new();
    if let Some(mut index) = index {
        let positions: Vec<Position> = index.positions().collect();
        let first = positions.partition_point(|at| at.count <= agreed);
        for (n, &at) in positions.iter().enumerate().skip(first) {
            reference.seek(at, patience)?;
            let (snapshot, _) = index.load(n, None, cold)?;
            fields = differences(reference.machine(), &snapshot);
            if !fields.is_empty() {
                differs = differs.min(at.count);
                break;
            }
            agreed = at.count;
        }
    }
    Ok(Explanation::Recorded { agreed, differs, fields })
}

/// An explanation that was not found.
#[derive(Debug)]
pub enum ExplainError {
    /// Travel could not go on.
    Travel(TravelError),
    /// The check itself could not.
    Check(CheckError),
}

impl fmt::Display for ExplainError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            ExplainError::Travel(error) => write!(f, "{error}"),
            ExplainError::Check(error) => write!(f, "{error}"),
        }
    }
}

impl From<TravelError> for ExplainError {
    fn from(error: TravelError) -> ExplainError {
        ExplainError::Travel(error)
    }
}

impl From<String> for ExplainError {
    fn from(why: String) -> ExplainError {
        ExplainError::Check(CheckError::Machine(why))
    }
}

impl From<Unreadable> for ExplainError {
    fn from(error: Unreadable) -> ExplainError {
        ExplainError::Check(error.into())
    }
}

/// What two recordings have in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Comparison {
    /// Both are the same history.
    Equal {
        /// Where it ends, in instructions.
        end: u64,
    },
    /// One of them is the beginning of the other.
    Beginning {
        /// Where the shorter one ends, in instructions.
        end: u64,
        /// Where the longer one ends.
        longer_end: u64,
        /// The longer one: `left` or `right`.
        longer: &'static str,
    },
    /// They part.
    Parted(Finding),
}

/// Compares two histories that start alike.
pub fn compare(
    left: &mut Timeline,
    right: &mut Timeline,
    patience: &mut Patience,
) -> Result<Comparison, TravelError> {
    let end = left.end().min(right.end());
    let mut equal = Position::default();
    while equal < end {
        let next = Position { count: equal.count.saturating_add(crate::timeline::GAP), sequence: 0 }.min(end);
        left.seek(next, patience)?;
        right.seek(next, patience)?;
        if left.position() != right.position() || left.digest() != right.digest() {
            return divergence::find(left, right, equal, next, patience).map(Comparison::Parted);
        }
        equal = next;
    }
    let (a, b) = (left.end(), right.end());
    Ok(match a.cmp(&b) {
        std::cmp::Ordering::Equal => Comparison::Equal { end: a.count },
        std::cmp::Ordering::Less => {
            Comparison::Beginning { end: a.count, longer_end: b.count, longer: "right" }
        }
        std::cmp::Ordering::Greater => {
            Comparison::Beginning { end: b.count, longer_end: a.count, longer: "left" }
        }
    })
}

/// History for [`compare`]: what checks it is left out, so that it can be run wherever it leads.
pub fn history_of(records: &[Record]) -> Vec<Record> {
    unchecked(records)
}
