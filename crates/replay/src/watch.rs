//! What live runs and replays have in common: somebody who watches, and how it ended.

use sha2::{Digest as _, Sha256};
use std::ops::ControlFlow;
use timebase_machine::api::{InstructionCount, Machine, Output, Position, Stop};
use timebase_state::{Digest, Instant};

/// Whether the watcher wants to be asked at this very position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attention {
    /// Whenever convenient.
    Later,
    /// Before the next instruction.
    Here,
}

/// Who watches a machine run.
pub trait Watcher {
    /// The machine emitted something: called for each output once, in order, at its position.
    fn output(&mut self, at: Position, output: &Output) -> Attention;
    /// Asked between two runs: go on, or end and why.
    fn watch(&mut self, at: Position, now: Instant) -> ControlFlow<Ended>;
    /// Instructions until it wants to be asked again.
    fn quantum(&self) -> u64;
}

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The console showed what `--until` waits for.
    Until,
    /// The instruction count of `--until-count` was reached.
    UntilCount,
    /// The guest powered off.
    PowerOff,
    /// The guest asked for a reset, and it was not to be carried out.
    Reset,
    /// The guest said that it died, with this text.
    Panic(String),
    /// No vCPU can run, and nothing will ever wake one.
    IdleForever,
    /// The user quit.
    Quit,
    /// Somebody asked the program to end.
    Signal,
    /// A replay reached the end of a recording that was cut.
    Cut,
}

impl Ended {
    /// Its name in recordings and reports; stable.
    pub fn name(&self) -> &'static str {
        match self {
            Ended::Until => "until",
            Ended::UntilCount => "until-count",
            Ended::PowerOff => "power-off",
            Ended::Reset => "reset",
            Ended::Panic(_) => "panic",
            Ended::IdleForever => "idle-forever",
            Ended::Quit => "quit",
            Ended::Signal => "signal",
            Ended::Cut => "cut",
        }
    }

    /// The end that a recording names, None if there is no such; `stop` has the text of a panic.
    pub(crate) fn from_name(name: &str, stop: &Stop) -> Option<Ended> {
        let panic = match stop {
            Stop::Panic(text) => text.clone(),
            _ => String::new(),
        };
        let all = [
            Ended::Until,
            Ended::UntilCount,
            Ended::PowerOff,
            Ended::Reset,
            Ended::Panic(panic),
            Ended::IdleForever,
            Ended::Signal,
            Ended::Quit,
        ];
        all.into_iter().find(|ended| ended.name() == name)
    }
}

/// Where and how a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// How.
    pub ended: Ended,
    /// Where.
    pub at: Position,
    /// When, in the guest's time.
    pub now: Instant,
    /// Digest of the machine there.
    pub digest: Digest,
    /// SHA-256 of the console's output.
    pub console_sha256: [u8; 32],
}

/// Everything the console showed, and where.
#[derive(Clone, Default, Debug)]
pub struct ConsoleLog {
    /// The bytes.
    pub text: Vec<u8>,
    /// Where in the text the output of each position begins.
    pub marks: Vec<(u64, Position)>,
}

impl ConsoleLog {
    /// More was shown at `at`.
    pub fn push(&mut self, at: Position, bytes: &[u8]) {
        if self.marks.last().is_none_or(|mark| mark.1 != at) {
            self.marks.push((self.text.len() as u64, at));
        }
        self.text.extend_from_slice(bytes);
    }

    /// More was shown: what `more` says.
    pub(crate) fn append(&mut self, more: ConsoleLog) {
        let offset = self.text.len() as u64;
        self.marks.extend(more.marks.into_iter().map(|mark| (mark.0 + offset, mark.1)));
        self.text.extend_from_slice(&more.text);
    }

    /// Where the byte at `offset` was shown.
    pub fn position_of(&self, offset: usize) -> Option<Position> {
        let after = self.marks.partition_point(|mark| mark.0 <= offset as u64);
        Some(self.marks.get(after.checked_sub(1)?)?.1)
    }

    /// Forgets what was shown after `at`.
    pub(crate) fn truncate(&mut self, at: Position) {
        let length = self.until(at).len();
        self.text.truncate(length);
        self.marks.retain(|mark| mark.1 <= at);
    }

    /// The bytes from one offset to another, as a log of its own.
    pub(crate) fn between(&self, from: usize, to: usize) -> ConsoleLog {
        let inside = |mark: &&(u64, Position)| (from as u64..to as u64).contains(&mark.0);
        let marks = self.marks.iter().filter(inside).map(|mark| (mark.0 - from as u64, mark.1));
        ConsoleLog { text: self.text[from..to].to_vec(), marks: marks.collect() }
    }

    /// The first `length` bytes and the rest, each as a log of its own.
    pub(crate) fn split(&self, length: usize) -> (ConsoleLog, ConsoleLog) {
        (self.between(0, length), self.between(length, self.text.len()))
    }

    /// What was shown up to `at`.
    pub fn until(&self, at: Position) -> &[u8] {
        let after = self.marks.partition_point(|mark| mark.1 <= at);
        let end = self.marks.get(after).map_or(self.text.len(), |mark| mark.0 as usize);
        &self.text[..end]
    }
}

/// Running hash of what the console showed.
#[derive(Clone, Default)]
pub struct Transcript {
    hash: Sha256,
    /// What it showed, too, if somebody keeps that.
    log: Option<ConsoleLog>,
}

impl Transcript {
    /// The port whose output is hashed.
    pub const PORT: &str = "console0";

    /// A transcript that keeps what was shown until it is taken.
    pub fn kept() -> Transcript {
        Transcript { hash: Sha256::default(), log: Some(ConsoleLog::default()) }
    }

    /// The transcript of a console that showed `text` so far.
    pub(crate) fn of(text: &[u8]) -> Transcript {
        Transcript { hash: Sha256::new_with_prefix(text), log: None }
    }

    fn add(&mut self, at: Position, output: &Output) {
        if output.port == Self::PORT {
            self.hash.update(&output.bytes);
            if let Some(log) = &mut self.log {
                log.push(at, &output.bytes);
            }
        }
    }

    /// What was shown since it was last taken, if it is kept.
    pub(crate) fn take_log(&mut self) -> ConsoleLog {
        self.log.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The hash so far.
    pub fn sha256(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }
}

/// Runs `machine` to `limit` at most, shows what it emits, and comes back when there is nothing more to emit. Where
/// the watcher asks for attention, that is at the same position.
pub(crate) fn run_settled(
    machine: &mut dyn Machine,
    mut limit: InstructionCount,
    transcript: &mut Transcript,
    watcher: &mut (impl Watcher + ?Sized),
) -> Stop {
    loop {
        let stop = machine.run(limit);
        let at = machine.position();
        for output in machine.take_output() {
            transcript.add(at, &output);
            if watcher.output(at, &output) == Attention::Here {
                limit = at.count;
            }
        }
        if stop != Stop::Output {
            return stop;
        }
    }
}

/// The outcome of a run that ended here.
pub(crate) fn outcome(machine: &mut dyn Machine, ended: Ended, transcript: &Transcript) -> Outcome {
    Outcome {
        ended,
        at: machine.position(),
        now: machine.now(),
        digest: machine.digest(),
        console_sha256: transcript.sha256(),
    }
}
