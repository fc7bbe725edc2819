//! Runs a machine again from its recording, and compares on the way.

use crate::live::Rules;
use crate::watch::{outcome, run_settled};
use crate::{Ended, Event, Outcome, Record, Transcript, Watcher};
use std::fmt;
use std::ops::ControlFlow;
use timebase_machine::api::{Machine, Position, Stop};
use timebase_machine::debug::Hit;
use timebase_state::{Digest, Instant};

/// A replay that did not do what the recording says: a bug in the emulator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// Where it showed.
    pub at: Position,
    /// What the recording says.
    pub expected: String,
    /// What happened.
    pub found: String,
    /// Up to here the digests agreed, in instructions.
    pub good: u64,
    /// So many digests agreed.
    pub compared: u64,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Divergence { at, expected, found, good, compared: _ } = self;
        write!(
            f,
            "diverged after instruction {good}, noticed at {}.{}: expected {expected}, found {found}",
            at.count, at.sequence
        )
    }
}

impl std::error::Error for Divergence {}

/// A replay that went well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Played {
    /// Where and how it ended; [`Ended::Cut`] at the end of a recording without an end record.
    pub outcome: Outcome,
    /// The recording's own word for how it ended, if the replay got there.
    pub recorded_end: Option<String>,
    /// Digests that were compared, the last one included.
    pub digests_compared: u64,
}

/// Beyond every position.
pub const FOREVER: Position = Position { count: u64::MAX, sequence: u32::MAX };

/// How far a replay has come: what belongs to a machine's state that is replayed.
#[derive(Clone, Default)]
pub struct Playhead {
    /// Index of the next record.
    pub(crate) next: usize,
    pub(crate) transcript: Transcript,
    /// Digests that agreed.
    pub(crate) compared: u64,
    /// Where the latest one was, in instructions.
    pub(crate) good: u64,
}

/// Why a replay came to rest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rest {
    /// The position that was asked for is reached; or passed, if history has no such position.
    There,
    /// What a debugger waited for.
    Hit(Vec<Hit>),
    /// History ends here: as the recording says, or because it was cut.
    End(Ended, Option<String>),
    /// The watcher, or the rules, ended it.
    Stopped(Ended),
}

/// Replays `records` on a machine at power-on. `rules` may end it earlier than the recording; they change nothing
/// else.
pub fn play(
    machine: &mut dyn Machine,
    records: &[Record],
    watcher: &mut (impl Watcher + ?Sized),
    rules: Rules,
) -> Result<Played, Divergence> {
    let mut head = Playhead::default();
    let limit = rules.until_count.map_or(FOREVER, |count| Position { count, sequence: 0 });
    let (ended, recorded_end) = loop {
        match head.play_to(machine, records, limit, watcher, rules)? {
            Rest::There => break (Ended::UntilCount, None),
            Rest::Hit(_) => {}
            Rest::End(ended, name) => break (ended, name),
            Rest::Stopped(ended) => break (ended, None),
        }
    };
    let outcome = outcome(machine, ended, &head.transcript);
    Ok(Played { outcome, recorded_end, digests_compared: head.compared })
}

/// What applying a record led to.
enum Applied {
    /// Nothing: it only compared.
    Compared,
    /// The machine is another than before: let it settle.
    Changed,
    /// The recording ends here.
    End(Ended, String),
}

struct Player<'a, W: Watcher + ?Sized> {
    machine: &'a mut dyn Machine,
    watcher: &'a mut W,
    head: &'a mut Playhead,
    /// Compare digests on the way.
    compare: bool,
}

impl Playhead {
    /// The index of the next record.
    pub fn next(&self) -> usize {
        self.next
    }

    /// Digests that agreed so far.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Runs `machine`, of which this is the playhead, until its position is `limit` or something else happens.
    pub fn play_to(
        &mut self,
        machine: &mut dyn Machine,
        records: &[Record],
        limit: Position,
        watcher: &mut (impl Watcher + ?Sized),
        rules: Rules,
    ) -> Result<Rest, Divergence> {
        let compare = rules.compare;
        Player { machine, watcher, head: self, compare }.play_to(records, limit, rules)
    }
}

impl<W: Watcher + ?Sized> Player<'_, W> {
    fn play_to(&mut self, records: &[Record], limit: Position, rules: Rules) -> Result<Rest, Divergence> {
        'run: loop {
            let Some(next) = records.get(self.head.next) else { return Ok(Rest::End(Ended::Cut, None)) };
            let stop = self.run_to(self.count_limit(next.at.count.min(limit.count)));
            if let Stop::Hit(hits) = stop {
                return Ok(Rest::Hit(hits));
            }
            let at = self.machine.position();
            if let ControlFlow::Break(ended) = self.watcher.watch(at, self.machine.now()) {
                return Ok(Rest::Stopped(ended));
            }
            if at >= limit {
                return Ok(Rest::There);
            }
            while let Some(next) = records.get(self.head.next).filter(|next| next.at == at) {
                if let Some(ended) = rules.ends_before(&next.event, &stop) {
                    return Ok(Rest::Stopped(ended));
                }
                let changed = match self.apply(next, &stop)? {
                    // It stays the next record: whoever comes back here finds the end again.
                    Applied::End(ended, name) => return Ok(Rest::End(ended, Some(name))),
                    Applied::Changed => true,
                    Applied::Compared => false,
                };
                self.head.next += 1;
                if changed {
                    continue 'run;
                }
            }
            let Some(next) = records.get(self.head.next) else { continue };
            self.go_on(stop, next, limit)?;
        }
    }

    fn run_to(&mut self, limit: u64) -> Stop {
        run_settled(self.machine, limit, &mut self.head.transcript, self.watcher)
    }

    fn count_limit(&self, limit: u64) -> u64 {
        let count = self.machine.position().count;
        let quantum = count.saturating_add(self.watcher.quantum().max(1));
        limit.min(quantum).max(count)
    }

    fn divergence(&self, expected: String, found: impl Into<String>) -> Divergence {
        Divergence {
            at: self.machine.position(),
            expected,
            found: found.into(),
            good: self.head.good,
            compared: self.head.compared,
        }
    }

    /// The machine stopped before the next record and before the limit: does what needs no record.
    fn go_on(&mut self, stop: Stop, next: &Record, limit: Position) -> Result<(), Divergence> {
        let at = self.machine.position();
        let late = at > next.at;
        match stop {
            _ if late => {
                Err(self.divergence(describe(next), format!("the machine at {}.{}", at.count, at.sequence)))
            }
            Stop::Idle { deadline: Some(_) } => {
                self.machine.end_idle();
                Ok(())
            }
            Stop::Idle { deadline: None } => {
                Err(self.divergence(describe(next), "a guest that is idle forever"))
            }
            Stop::Reset => Err(self.divergence(describe(next), "a guest that asks for a reset")),
            Stop::PowerOff => Err(self.divergence(describe(next), "a guest that powers off")),
            Stop::Panic(text) => {
                Err(self.divergence(describe(next), format!("a guest that reports that it died: {text}")))
            }
            Stop::Limit if at.count == next.at.count => {
                if self.end_idle_at_limit() {
                    return Ok(());
                }
                Err(self.divergence(describe(next), "a guest that is not idle"))
            }
            Stop::Limit if at.count == limit.count => {
                // If it is not idle, there is no such position: the next one is as good.
                self.end_idle_at_limit();
                Ok(())
            }
            Stop::Limit | Stop::Output | Stop::Hit(_) => Ok(()),
        }
    }

    /// The count that was to be reached is reached, but not the sequence: history goes on there without instructions
    /// if all vCPUs are idle. False if they are not.
    fn end_idle_at_limit(&mut self) -> bool {
        let beyond = self.machine.position().count.saturating_add(1);
        let idle = matches!(self.run_to(beyond), Stop::Idle { deadline: Some(_) });
        if idle {
            self.machine.end_idle();
        }
        idle
    }

    fn apply(&mut self, record: &Record, stop: &Stop) -> Result<Applied, Divergence> {
        match &record.event {
            Event::Progress => Ok(Applied::Compared),
            Event::Digest(_) if !self.compare => Ok(Applied::Compared),
            Event::Digest(digest) => self.compare(*digest).map(|()| Applied::Compared),
            Event::Input { port, payload } => match self.machine.input(port, payload) {
                Ok(()) => Ok(Applied::Changed),
                Err(_) => Err(self.divergence(describe(record), "a machine that does not take it")),
            },
            Event::CutIdle { until } => match self.idle(stop) {
                Some(deadline)
                    if *until >= self.machine.now() && deadline.is_none_or(|deadline| *until <= deadline) =>
                {
                    self.machine.cut_idle(*until);
                    Ok(Applied::Changed)
                }
                _ => Err(self.divergence(describe(record), "a guest that is not idle until then")),
            },
            Event::Reset => {
                if *stop != Stop::Reset && self.settle() != Stop::Reset {
                    return Err(self.divergence(describe(record), "a guest that asks for none"));
                }
                self.machine.reset();
                Ok(Applied::Changed)
            }
            Event::Resume => {
                if !matches!(stop, Stop::Panic(_)) && !matches!(self.settle(), Stop::Panic(_)) {
                    return Err(self.divergence(describe(record), "a guest that reports nothing"));
                }
                self.machine.resume();
                Ok(Applied::Changed)
            }
            Event::End { digest, ended, console_sha256 } => {
                self.compare(*digest)?;
                if *console_sha256 != self.head.transcript.sha256() {
                    return Err(self.divergence("the recorded console output".into(), "other output"));
                }
                // Decoding let no other name in.
                let end = Ended::from_name(ended, stop).unwrap_or(Ended::Quit);
                Ok(Applied::End(end, ended.clone()))
            }
        }
    }

    /// The deadline of the idle guest; None if it is not idle.
    fn idle(&mut self, stop: &Stop) -> Option<Option<Instant>> {
        let beyond = self.machine.position().count.saturating_add(1);
        let stop = match stop {
            Stop::Limit => self.run_to(beyond),
            stop => stop.clone(),
        };
        match stop {
            Stop::Idle { deadline } => Some(deadline),
            _ => None,
        }
    }

    fn settle(&mut self) -> Stop {
        let count = self.machine.position().count;
        self.run_to(count)
    }

    fn compare(&mut self, expected: Digest) -> Result<(), Divergence> {
        let found = self.machine.digest();
        if found != expected {
            return Err(self.divergence(format!("digest {expected}"), format!("digest {found}")));
        }
        self.head.compared += 1;
        self.head.good = self.machine.position().count;
        Ok(())
    }
}

fn describe(record: &Record) -> String {
    let Position { count, sequence } = record.at;
    let what = match &record.event {
        Event::Input { port, payload } => format!("{} bytes of input at {port}", payload.len()),
        Event::CutIdle { .. } => "idle time cut short".into(),
        Event::Reset => "a reset".into(),
        Event::Resume => "the guest to report that it died".into(),
        Event::Digest(_) => "a digest".into(),
        Event::Progress => "the guest to run on".into(),
        Event::End { ended, .. } => format!("the end ({ended})"),
    };
    format!("{what} at {count}.{sequence}")
}
