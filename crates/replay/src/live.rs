//! Runs a machine in the world, and records what comes in if asked to.
//!
//! Whatever comes from outside is applied at a *settled* position: where [`Machine::run`] up to the present count
//! has nothing more to emit, so all that is due there has happened. A replay settles in the same way before it
//! applies a record, so it does not matter how runs were cut into pieces.

use crate::index::Indexer;
use crate::play::Rest;
use crate::watch::{outcome, run_settled};
use crate::{
    Attention, Ended, Event, LONGEST_INPUT, Outcome, Record, Recorder, Transcript, Watcher, WriteError,
};
use std::ops::ControlFlow;
use timebase_machine::api::{InputError, Machine, Port, Position, Stop};
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
    /// Whether a reset that the guest asks for now is carried out, if the [`Rules`] let it; else the run ends.
    fn reboots(&self) -> bool {
        true
    }
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
    /// Compare the digests that the recording has. Whoever was here before need not: hashing what came from a file of
    /// checkpoints takes long.
    pub compare: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { reboot: true, stop_on_panic: false, until_count: None, compare: true }
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

/// The live end of history: what happens there is written down.
#[derive(Default)]
pub struct Live {
    recorder: Option<Recorder>,
    /// What happened since [`Live::take_journal`], if somebody keeps it.
    journal: Option<Vec<Record>>,
    /// Checkpoints that are made on the way.
    indexer: Option<Indexer>,
}

/// Runs `machine` until something ends it, with what `live` writes down. On an error of the recorder the run ends: a
/// guest whose history is lost is of no use.
pub fn drive(
    machine: &mut dyn Machine,
    live: &mut Live,
    world: &mut dyn World,
    rules: Rules,
) -> Result<Outcome, WriteError> {
    let mut transcript = if live.indexer.is_some() { Transcript::kept() } else { Transcript::default() };
    let ended = loop {
        match live.advance(machine, &mut transcript, world, u64::MAX, rules)? {
            Rest::Stopped(ended) | Rest::End(ended, _) => break ended,
            Rest::There | Rest::Hit(_) => {}
        }
    };
    let outcome = live.conclude(machine, ended, &transcript)?;
    // After the digest, which knows the pages that are zero.
    if let Some(indexer) = &mut live.indexer {
        indexer.finish(machine, &mut transcript);
    }
    Ok(outcome)
}

impl Live {
    /// The live end of a history that goes into `recorder`, with checkpoints if there is an `indexer`.
    pub fn recorded(recorder: Recorder, indexer: Option<Indexer>) -> Live {
        Live { recorder: Some(recorder), journal: None, indexer }
    }

    /// Why there are no more checkpoints, if something went wrong with them.
    pub fn index_error(&self) -> Option<String> {
        self.indexer.as_ref()?.error()
    }

    /// The live end of a history that goes into `recorder`, if there is one, and is kept for whoever travels.
    pub fn journaled(recorder: Option<Recorder>) -> Live {
        Live { recorder, journal: Some(Vec::new()), indexer: None }
    }

    /// What happened since the last call.
    pub fn take_journal(&mut self) -> Vec<Record> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn note(&mut self, at: Position, event: Event) -> Result<(), WriteError> {
        if let Some(journal) = &mut self.journal {
            journal.push(Record { at, event: event.clone() });
        }
        if let Some(indexer) = &mut self.indexer {
            indexer.note(&Record { at, event: event.clone() });
        }
        match &mut self.recorder {
            Some(recorder) => recorder.note(at, event),
            None => Ok(()),
        }
    }

    /// Writes what happened up to `at`.
    pub fn flush(&mut self, at: Position) -> Result<(), WriteError> {
        self.recorder.as_mut().map_or(Ok(()), |recorder| recorder.flush(at))
    }

    /// The run of `machine` ended here, so.
    pub fn conclude(
        &mut self,
        machine: &mut dyn Machine,
        ended: Ended,
        transcript: &Transcript,
    ) -> Result<Outcome, WriteError> {
        let outcome = outcome(machine, ended, transcript);
        self.end(&outcome, transcript)?;
        Ok(outcome)
    }

    /// The run ended in order.
    fn end(&mut self, outcome: &Outcome, transcript: &Transcript) -> Result<(), WriteError> {
        match self.recorder.take() {
            Some(recorder) => recorder.end(outcome.at, outcome.digest, outcome.ended.name(), transcript),
            None => Ok(()),
        }
    }

    /// Runs `machine` until its count is `limit` or something else happens.
    pub fn advance(
        &mut self,
        machine: &mut dyn Machine,
        transcript: &mut Transcript,
        world: &mut dyn World,
        limit: u64,
        rules: Rules,
    ) -> Result<Rest, WriteError> {
        let mut attention = Attention::Later;
        loop {
            let next = self.next_limit(machine, world, attention, limit, rules);
            let stop = run_settled(machine, next, transcript, world);
            attention = Attention::Later;
            if let Stop::Hit(hits) = stop {
                return Ok(Rest::Hit(hits));
            }
            let at = machine.position();
            self.digest_if_due(machine, &stop)?;
            if let ControlFlow::Break(ended) = world.watch(at, machine.now()) {
                return Ok(Rest::Stopped(ended));
            }
            if let Some(ended) = rules.ends(&stop, at.count) {
                return Ok(Rest::End(ended, None));
            }
            // Not where it ends: that has one of its own, and the one before is to be at hand still.
            if let Some(indexer) = self.indexer.as_mut().filter(|indexer| at.count >= indexer.due()) {
                indexer.checkpoint(machine, transcript);
            }
            if world.second_passed() {
                self.flush(at)?;
            }
            if stop == Stop::Reset {
                if !world.reboots() {
                    return Ok(Rest::End(Ended::Reset, None));
                }
                self.note(at, Event::Reset)?;
                machine.reset();
                continue;
            }
            if matches!(stop, Stop::Panic(_)) {
                self.note(at, Event::Resume)?;
                machine.resume();
                continue;
            }
            if at.count >= limit {
                return Ok(Rest::There);
            }
            if self.take_input(machine, world)? {
                // The next one comes after this one has had its effect, in a replay as here.
                attention = Attention::Here;
                continue;
            }
            if let Stop::Idle { deadline } = stop
                && let Some(ended) = self.idle(machine, world, deadline)?
            {
                return Ok(Rest::End(ended, None));
            }
        }
    }

    /// Hands in an input at the present position, and writes it down.
    pub fn input(
        &mut self,
        machine: &mut dyn Machine,
        port: &str,
        payload: &[u8],
    ) -> Result<Result<(), InputError>, WriteError> {
        let at = machine.position();
        if let Err(error) = machine.input(port, payload) {
            return Ok(Err(error));
        }
        self.note(at, Event::Input { port: port.into(), payload: payload.into() })?;
        Ok(Ok(()))
    }

    fn next_limit(
        &self,
        machine: &dyn Machine,
        world: &dyn World,
        attention: Attention,
        limit: u64,
        rules: Rules,
    ) -> u64 {
        let count = machine.position().count;
        if attention == Attention::Here {
            return count;
        }
        let mut next = count.saturating_add(world.quantum().max(1)).min(limit);
        if let Some(recorder) = &self.recorder {
            next = next.min(recorder.next_digest());
        }
        if let Some(indexer) = &self.indexer {
            next = next.min(indexer.due());
        }
        next.min(rules.until_count.unwrap_or(u64::MAX)).max(count)
    }

    fn digest_if_due(&mut self, machine: &mut dyn Machine, stop: &Stop) -> Result<(), WriteError> {
        let at = machine.position();
        let due = self.recorder.as_ref().is_some_and(|recorder| at.count == recorder.next_digest());
        if due && matches!(stop, Stop::Limit | Stop::Idle { .. }) {
            let digest = machine.digest();
            self.note(at, Event::Digest(digest))?;
        }
        Ok(())
    }

    /// True if something came in.
    fn take_input(&mut self, machine: &mut dyn Machine, world: &mut dyn World) -> Result<bool, WriteError> {
        let Some((port, payload)) = world.input(machine.now()) else { return Ok(false) };
        debug_assert!(payload.len() <= LONGEST_INPUT);
        if let Err(error) = self.input(machine, &port, &payload)? {
            world.refused(error);
        }
        Ok(true)
    }

    fn idle(
        &mut self,
        machine: &mut dyn Machine,
        world: &mut dyn World,
        deadline: Option<Instant>,
    ) -> Result<Option<Ended>, WriteError> {
        let now = machine.now();
        match world.idle(now, deadline) {
            Idle::Over if deadline.is_some() => machine.end_idle(),
            Idle::Over | Idle::Forever => return Ok(Some(Ended::IdleForever)),
            Idle::Wait => {}
            Idle::Cut(until) => {
                let until = until.clamp(now, deadline.unwrap_or(until).max(now));
                if Some(until) == deadline {
                    machine.end_idle();
                } else if until > now {
                    self.note(machine.position(), Event::CutIdle { until })?;
                    machine.cut_idle(until);
                }
            }
        }
        Ok(None)
    }
}
