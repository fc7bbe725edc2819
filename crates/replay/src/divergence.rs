//! Where two runs of one history part, and how it came to that.
//!
//! Two timelines of the same history are equal at one position and differ at a later one. The first instruction that
//! they differ after is found by halves; what is told of it is what someone would look up next: the fields that
//! differ, and what was executed and what happened before.

use crate::events::of_observed;
use crate::{Event, Patience, Record, Timeline, TravelError};
use serde::Serialize;
use timebase_machine::api::{Machine, Position};
use timebase_state::{Digest, Snapshot};

/// Instructions that are told before the first that diverges.
pub const TOLD: u64 = 32;
/// Differing fields that are told at most.
const FIELDS: usize = 64;
/// MSR[LE].
pub(crate) const MSR_LE: u64 = 1;

/// The first instruction after which two runs differ.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Instructions before it: here both were equal.
    pub instruction: u64,
    /// The vCPU that executed it, on the left.
    pub cpu: u32,
    /// Its effective address.
    pub address: u64,
    /// The fields that differ after it.
    pub fields: Vec<Field>,
    /// There are more of them.
    pub more_fields: bool,
    /// One of the runs has no such position: it ended, or went another way.
    pub missing: Option<&'static str>,
    /// The latest instructions before it and itself, last.
    pub before: Vec<Step>,
    /// What came in at that place, on the left and on the right.
    pub inputs: [Vec<String>; 2],
}

/// A field that differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Field {
    /// Its path in the machine.
    pub path: String,
    /// Its value on the left.
    pub left: String,
    /// Its value on the right.
    pub right: String,
}

/// An instruction, and what happened at it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Step {
    /// Instructions before it.
    pub instruction: u64,
    /// The vCPU that executed it.
    pub cpu: u32,
    /// Its effective address.
    pub address: u64,
    /// The word there, as it was executed; None if it could not be read.
    pub word: Option<u32>,
    /// The word after it, for a prefixed instruction.
    pub next_word: Option<u32>,
    /// Interrupts, hcalls, inputs and the like at it, as in reports.
    pub events: Vec<String>,
}

/// Finds the first instruction after which `left` and `right` differ, which are equal at `equal` and differ at
/// `differ`.
pub fn find(
    left: &mut Timeline,
    right: &mut Timeline,
    equal: Position,
    differ: Position,
    patience: &mut Patience,
) -> Result<Finding, TravelError> {
    // A difference between two events at one count shows at the next count.
    let (mut low, mut high) = (equal.count, differ.count.max(equal.count + 1));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if digest(left, middle, patience)? == digest(right, middle, patience)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    describe(left, right, low, patience)
}

/// The digest at an instruction count; None if there is no such place in history.
fn digest(
    timeline: &mut Timeline,
    count: u64,
    patience: &mut Patience,
) -> Result<Option<Digest>, TravelError> {
    let place = Position { count, sequence: 0 };
    match timeline.seek(place, patience) {
        Ok(()) if timeline.position().count == count => Ok(Some(timeline.digest())),
        Ok(()) | Err(TravelError::Diverged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn describe(
    left: &mut Timeline,
    right: &mut Timeline,
    instruction: u64,
    patience: &mut Patience,
) -> Result<Finding, TravelError> {
    let after = instruction + 1;
    let there = [digest(left, after, patience)?, digest(right, after, patience)?];
    let (missing, fields) = match there {
        [Some(_), Some(_)] => (None, differences(left.machine(), &right.machine().snapshot())),
        [None, None] => (Some("both runs end here, or go another way"), Vec::new()),
        [None, _] => (Some("the first run ends here, or goes another way"), Vec::new()),
        [_, None] => (Some("the second run ends here, or goes another way"), Vec::new()),
    };
    let before = steps(left, (after).saturating_sub(TOLD), after, patience)?;
    let last = before.last();
    Ok(Finding {
        instruction,
        cpu: last.map_or(0, |step| step.cpu),
        address: last.map_or(0, |step| step.address),
        more_fields: fields.len() > FIELDS,
        fields: fields.into_iter().take(FIELDS).collect(),
        missing,
        inputs: [inputs(left, instruction, after), inputs(right, instruction, after)],
        before,
    })
}

/// The fields in which `machine` differs from `other`.
pub fn differences(machine: &mut dyn Machine, other: &Snapshot) -> Vec<Field> {
    let differences = machine.differences(other);
    differences.into_iter().map(|d| Field { path: d.path, left: d.left, right: d.right }).collect()
}

fn inputs(timeline: &Timeline, from: u64, to: u64) -> Vec<String> {
    let there = timeline.records().iter().filter(|record| (from..to).contains(&record.at.count));
    there.filter_map(input).collect()
}

/// What a record brings into the machine, if anything.
pub fn input(record: &Record) -> Option<String> {
    match &record.event {
        Event::Input { port, payload } => {
            Some(format!("input at {port}: {:?}", String::from_utf8_lossy(payload)))
        }
        Event::CutIdle { .. } => Some("idle time cut short".into()),
        Event::Reset => Some("reset".into()),
        Event::Resume => Some("the guest goes on after its panic".into()),
        Event::Digest(_) | Event::Progress | Event::End { .. } => None,
    }
}

/// The instructions from one count up to another, and what happened at each.
pub fn steps(
    timeline: &mut Timeline,
    from: u64,
    to: u64,
    patience: &mut Patience,
) -> Result<Vec<Step>, TravelError> {
    timeline.seek(Position { count: from, sequence: 0 }, patience)?;
    timeline.machine().observe(true);
    let steps = observed_steps(timeline, from, to, patience);
    timeline.machine().observe(false);
    steps
}

fn observed_steps(
    timeline: &mut Timeline,
    from: u64,
    to: u64,
    patience: &mut Patience,
) -> Result<Vec<Step>, TravelError> {
    let mut steps = Vec::new();
    for instruction in from..to {
        let mut step = look(timeline.machine(), instruction);
        match timeline.seek(Position { count: instruction + 1, sequence: 0 }, patience) {
            Ok(()) => {}
            Err(TravelError::Diverged(_)) => {
                steps.push(step);
                break;
            }
            Err(error) => return Err(error),
        }
        let observed = timeline.machine().take_observed();
        step.events = observed.into_iter().map(|seen| of_observed(seen).brief()).collect();
        step.events.extend(inputs(timeline, instruction, instruction + 1));
        steps.push(step);
        if timeline.position().count <= instruction {
            break;
        }
    }
    Ok(steps)
}

/// The instruction that `machine` executes next.
pub(crate) fn look(machine: &mut dyn Machine, instruction: u64) -> Step {
    let cpu = machine.current();
    let regs = &machine.vcpu(cpu).regs;
    let (address, little) = (regs.nia, regs.msr & MSR_LE != 0);
    let mut word = |address: u64| {
        let mut bytes = [0; 4];
        let whole = machine.read_effective(cpu, address, &mut bytes) == bytes.len();
        whole.then(|| if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let (first, next) = (word(address), word(address.wrapping_add(4)));
    Step { instruction, cpu, address, word: first, next_word: next, events: Vec::new() }
}
