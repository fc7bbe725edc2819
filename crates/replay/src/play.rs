//! Runs a machine again from its recording, and compares on the way.

use crate::live::Rules;
use crate::watch::{outcome, run_settled};
use crate::{Ended, Event, Outcome, Record, Transcript, Watcher};
use std::fmt;
use std::ops::ControlFlow;
use timebase_machine::api::{Machine, Position, Stop};
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

struct Player<'a, W: Watcher + ?Sized> {
    machine: &'a mut dyn Machine,
    watcher: &'a mut W,
    transcript: Transcript,
    /// Digests that agreed.
    compared: u64,
    good: u64,
}

/// Replays `records` on a machine at power-on. `rules` may end it earlier than the recording; they change nothing
/// else.
pub fn play(
    machine: &mut dyn Machine,
    records: &[Record],
    watcher: &mut (impl Watcher + ?Sized),
    rules: Rules,
) -> Result<Played, Divergence> {
    let mut player = Player { machine, watcher, transcript: Transcript::default(), compared: 0, good: 0 };
    let (ended, recorded_end) = player.run(records, rules)?;
    let outcome = outcome(player.machine, ended, &player.transcript);
    Ok(Played { outcome, recorded_end, digests_compared: player.compared })
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

impl<W: Watcher + ?Sized> Player<'_, W> {
    fn run(&mut self, records: &[Record], rules: Rules) -> Result<(Ended, Option<String>), Divergence> {
        let mut records = records.iter().peekable();
        'run: while let Some(next) = records.peek() {
            let limit = self.limit(next.at, rules);
            let stop = self.run_to(limit);
            if let ControlFlow::Break(ended) = self.watcher.watch(self.machine.position(), self.machine.now())
            {
                return Ok((ended, None));
            }
            while let Some(next) = records.next_if(|next| next.at == self.machine.position()) {
                if let Some(ended) = rules.ends_before(&next.event, &stop) {
                    return Ok((ended, None));
                }
                match self.apply(next, &stop)? {
                    Applied::End(ended, name) => return Ok((ended, Some(name))),
                    Applied::Changed => continue 'run,
                    Applied::Compared => {}
                }
            }
            let Some(next) = records.peek() else { break };
            if matches!(stop, Stop::Limit | Stop::Idle { .. })
                && let Some(ended) = rules.ends(&stop, self.machine.position().count)
            {
                return Ok((ended, None));
            }
            self.go_on(stop, next)?;
        }
        Ok((Ended::Cut, None))
    }

    fn run_to(&mut self, limit: u64) -> Stop {
        run_settled(self.machine, limit, &mut self.transcript, self.watcher)
    }

    fn limit(&self, next: Position, rules: Rules) -> u64 {
        let count = self.machine.position().count;
        let quantum = count.saturating_add(self.watcher.quantum().max(1));
        next.count.min(quantum).min(rules.until_count.unwrap_or(u64::MAX)).max(count)
    }

    fn divergence(&self, expected: String, found: impl Into<String>) -> Divergence {
        Divergence {
            at: self.machine.position(),
            expected,
            found: found.into(),
            good: self.good,
            compared: self.compared,
        }
    }

    /// The machine stopped before the next record: does what needs no record.
    fn go_on(&mut self, stop: Stop, next: &Record) -> Result<(), Divergence> {
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
            Stop::Limit if at.count == next.at.count => self.idle_at_limit(next),
            Stop::Limit | Stop::Output => Ok(()),
        }
    }

    /// The count of the next record is reached, but not its sequence: history went on there without instructions,
    /// so all vCPUs are idle.
    fn idle_at_limit(&mut self, next: &Record) -> Result<(), Divergence> {
        let beyond = self.machine.position().count.saturating_add(1);
        match self.run_to(beyond) {
            Stop::Idle { deadline: Some(_) } => {
                self.machine.end_idle();
                Ok(())
            }
            _ => Err(self.divergence(describe(next), "a guest that is not idle")),
        }
    }

    fn apply(&mut self, record: &Record, stop: &Stop) -> Result<Applied, Divergence> {
        match &record.event {
            Event::Progress => Ok(Applied::Compared),
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
                if *console_sha256 != self.transcript.sha256() {
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
        self.compared += 1;
        self.good = self.machine.position().count;
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
