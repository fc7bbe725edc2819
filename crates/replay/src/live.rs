//! Runs a machine in the world, and records what comes in if asked to.
//!
//! Whatever comes from outside is applied at a *settled* position: where [`Machine::run`] up to the present count
//! has nothing more to emit, so all that is due there has happened. A replay settles in the same way before it
//! applies a record, so it does not matter how runs were cut into pieces.

use crate::watch::{outcome, run_settled};
use crate::{Attention, Ended, Event, LONGEST_INPUT, Outcome, Recorder, Transcript, Watcher, WriteError};
use std::ops::ControlFlow;
use timebase_machine::api::{InputError, Machine, Port, Stop};
use timebase_state::Instant;

/// The world outside a machine.
pub trait World: Watcher {
    /// The next input of at most [`LONGEST_INPUT`] bytes, if there is one. Asked until there is none.
    fn input(&mut self, now: Instant) -> Option<(Port, Vec<u8>)>;
    /// The machine did not take an input.
    fn refused(&mut self, error: InputError);
    /// All vCPUs are idle until `deadline` (None: forever, unless an input comes), and no input is there.
    fn idle(&mut self, now: Instant, deadline: Option<Instant>) -> Idle;
    /// About a second of the world's time has passed since this was last true.
    fn second_passed(&mut self) -> bool;
}

/// What becomes of idle time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idle {
    /// It is over: the deadline is now.
    Over,
    /// Something came in at this instant; [`World::input`] or [`Watcher::watch`] tells what.
    Cut(Instant),
    /// It goes on; ask again.
    Wait,
    /// Nothing will ever come in.
    Forever,
}

/// What to do at turns of history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Carry out the resets that the guest asks for.
    pub reboot: bool,
    /// End when the guest says that it died.
    pub stop_on_panic: bool,
    /// End at this instruction count.
    pub until_count: Option<u64>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { reboot: true, stop_on_panic: false, until_count: None }
    }
}

impl Rules {
    /// How a run ends that stops with `stop` at `count`, if it does.
    pub(crate) fn ends(&self, stop: &Stop, count: u64) -> Option<Ended> {
        match stop {
            Stop::PowerOff => Some(Ended::PowerOff),
            Stop::Reset if !self.reboot => Some(Ended::Reset),
            Stop::Panic(text) if self.stop_on_panic => Some(Ended::Panic(text.clone())),
            _ if self.until_count.is_some_and(|until| count >= until) => Some(Ended::UntilCount),
            _ => None,
        }
    }

    /// How a replay ends that would carry out `event` after `stop`, if it does.
    pub(crate) fn ends_before(&self, event: &Event, stop: &Stop) -> Option<Ended> {
        match (event, stop) {
            (Event::Reset, _) if !self.reboot => Some(Ended::Reset),
            (Event::Resume, Stop::Panic(text)) if self.stop_on_panic => Some(Ended::Panic(text.clone())),
            _ => None,
        }
    }
}

struct Live<'a, W: World + ?Sized> {
    machine: &'a mut dyn Machine,
    recorder: Option<Recorder>,
    world: &'a mut W,
    transcript: Transcript,
}

/// Runs `machine` until something ends it, recording if there is a recorder. On an error of the recorder the run
/// ends: a guest whose history is lost is of no use.
pub fn drive(
    machine: &mut dyn Machine,
    recorder: Option<Recorder>,
    world: &mut (impl World + ?Sized),
    rules: Rules,
) -> Result<Outcome, WriteError> {
    let mut live = Live { machine, recorder, world, transcript: Transcript::default() };
    let ended = live.run(rules)?;
    let outcome = outcome(live.machine, ended, &live.transcript);
    if let Some(recorder) = live.recorder {
        recorder.end(outcome.at, outcome.digest, outcome.ended.name(), &live.transcript)?;
    }
    Ok(outcome)
}

impl<W: World + ?Sized> Live<'_, W> {
    fn run(&mut self, rules: Rules) -> Result<Ended, WriteError> {
        let mut attention = Attention::Later;
        loop {
            let limit = self.limit(attention, rules);
            attention = Attention::Later;
            let stop = run_settled(self.machine, limit, &mut self.transcript, self.world);
            let at = self.machine.position();
            self.digest_if_due(&stop);
            if let ControlFlow::Break(ended) = self.world.watch(at, self.machine.now()) {
                return Ok(ended);
            }
            if let Some(ended) = rules.ends(&stop, at.count) {
                return Ok(ended);
            }
            if let Some(recorder) = &mut self.recorder
                && self.world.second_passed()
            {
                recorder.flush(at)?;
            }
            if stop == Stop::Reset {
                if let Some(recorder) = &mut self.recorder {
                    recorder.reset(at);
                }
                self.machine.reset();
                continue;
            }
            if matches!(stop, Stop::Panic(_)) {
                if let Some(recorder) = &mut self.recorder {
                    recorder.resume(at);
                }
                self.machine.resume();
                continue;
            }
            if self.take_input()? {
                // The next one comes after this one has had its effect, in a replay as here.
                attention = Attention::Here;
                continue;
            }
            if let Stop::Idle { deadline } = stop
                && let Some(ended) = self.idle(deadline)
            {
                return Ok(ended);
            }
        }
    }

    fn limit(&self, attention: Attention, rules: Rules) -> u64 {
        let count = self.machine.position().count;
        if attention == Attention::Here {
            return count;
        }
        let mut limit = count.saturating_add(self.world.quantum().max(1));
        if let Some(recorder) = &self.recorder {
            limit = limit.min(recorder.next_digest());
        }
        limit.min(rules.until_count.unwrap_or(u64::MAX)).max(count)
    }

    fn digest_if_due(&mut self, stop: &Stop) {
        let at = self.machine.position();
        if let Some(recorder) = &mut self.recorder
            && at.count == recorder.next_digest()
            && matches!(stop, Stop::Limit | Stop::Idle { .. })
        {
            recorder.digest(at, self.machine.digest());
        }
    }

    /// True if something came in.
    fn take_input(&mut self) -> Result<bool, WriteError> {
        let Some((port, payload)) = self.world.input(self.machine.now()) else { return Ok(false) };
        debug_assert!(payload.len() <= LONGEST_INPUT);
        let at = self.machine.position();
        match self.machine.input(&port, &payload) {
            Ok(()) => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.input(at, &port, &payload)?;
                }
            }
            Err(error) => self.world.refused(error),
        }
        Ok(true)
    }

    fn idle(&mut self, deadline: Option<Instant>) -> Option<Ended> {
        let now = self.machine.now();
        match self.world.idle(now, deadline) {
            Idle::Over if deadline.is_some() => self.machine.end_idle(),
            Idle::Over | Idle::Forever => return Some(Ended::IdleForever),
            Idle::Wait => {}
            Idle::Cut(until) => {
                let until = until.clamp(now, deadline.unwrap_or(until).max(now));
                if Some(until) == deadline {
                    self.machine.end_idle();
                } else if until > now {
                    if let Some(recorder) = &mut self.recorder {
                        recorder.cut_idle(self.machine.position(), until);
                    }
                    self.machine.cut_idle(until);
                }
            }
        }
        None
    }
}
