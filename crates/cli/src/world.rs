//! The world that a guest of the command line lives in: terminal, script, signals, idle time.

use crate::script::Script;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::Duration;
use timebase_host::clock::EverySecond;
use timebase_host::keyboard::{Command, HELP};
use timebase_host::{Keyboard, Pace, Progress, Signals, Sleeper};
use timebase_machine::{InputError, Output, Port, Position};
use timebase_replay::live::{Idle, World};
use timebase_replay::{Attention, Ended, Transcript, Watcher};
use timebase_state::Instant;

/// The port of the system reset interrupt.
const NMI: &str = "nmi";
/// Longest wait for a key before signals are looked after.
const NAP: Duration = Duration::from_millis(250);
/// Bytes of output that are gathered before they are shown, at most.
const GATHERED: usize = 1 << 16;

/// Who watches a run from the command line.
pub struct Onlooker {
    script: Script,
    keyboard: Keyboard,
    signals: Signals,
    pace: Pace,
    progress: Progress,
    shown: bool,
    gathered: Vec<u8>,
    /// The console's last line is not finished.
    in_line: bool,
    /// Standard output cannot be written any more.
    pub output_error: Option<io::Error>,
    nmi: VecDeque<()>,
}

impl Onlooker {
    /// Shows the console unless `quiet`.
    pub fn new(
        script: Script,
        keyboard: Keyboard,
        signals: Signals,
        progress: Progress,
        quiet: bool,
    ) -> Onlooker {
        Onlooker {
            script,
            keyboard,
            signals,
            pace: Pace::default(),
            progress,
            shown: !quiet,
            gathered: Vec::new(),
            in_line: false,
            output_error: None,
            nmi: VecDeque::new(),
        }
    }

    /// What `--until` and `--send` came to.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// The same, to be told what else to look for.
    pub fn script_mut(&mut self) -> &mut Script {
        &mut self.script
    }

    /// Shows what was gathered.
    pub fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        self.in_line = self.gathered.last() != Some(&b'\n');
        let mut out = io::stdout().lock();
        if self.output_error.is_none()
            && let Err(error) = out.write_all(&self.gathered).and_then(|()| out.flush())
        {
            self.output_error = Some(error);
        }
        self.gathered.clear();
    }

    /// The run is over: the terminal is as it was.
    pub fn leave(&mut self) {
        self.flush();
        self.progress.clear();
        self.keyboard = Keyboard::none();
        if self.in_line && io::stdout().is_terminal() && io::stderr().is_terminal() {
            // What we say next is no part of the guest's last line.
            eprintln!();
        }
    }

    /// Holds the guest until a key is pressed; it does not notice.
    fn hold(&mut self, at: Position, now: Instant) {
        let seconds = now.ticks() as f64 / timebase_state::time::TICKS_PER_SECOND as f64;
        eprint!(
            "\r\nheld at instruction {}.{}, guest time {seconds:.6} s: any key goes on, Ctrl-A x quits\r\n",
            at.count, at.sequence
        );
        while self.signals.caught().is_none() && self.keyboard.is_open() {
            if self.keyboard.wait(NAP) {
                // Of a command, both keys are meant for us: it is obeyed after this.
                if !self.keyboard.has_command() {
                    self.keyboard.take();
                }
                break;
            }
        }
        self.pace.skip();
    }

    fn obey(&mut self, command: Command, at: Position, now: Instant) -> ControlFlow<Ended> {
        match command {
            Command::Quit => return ControlFlow::Break(Ended::Quit),
            Command::Nmi => self.nmi.push_back(()),
            Command::Help => eprint!("\r\n{}", HELP.replace('\n', "\r\n")),
            Command::BreakIn => self.hold(at, now),
        }
        ControlFlow::Continue(())
    }
}

impl Watcher for Onlooker {
    fn output(&mut self, _: Position, output: &Output) -> Attention {
        if output.port != Transcript::PORT {
            return Attention::Later;
        }
        if self.shown {
            self.gathered.extend_from_slice(&output.bytes);
            if self.gathered.len() > GATHERED {
                self.flush();
            }
        }
        if self.script.show(&output.bytes) { Attention::Here } else { Attention::Later }
    }

    fn watch(&mut self, at: Position, now: Instant) -> ControlFlow<Ended> {
        self.flush();
        self.pace.ran_to(at.count);
        self.progress.show(at.count, now.ticks());
        if self.script.reached() {
            return ControlFlow::Break(Ended::Until);
        }
        if self.output_error.is_some() {
            return ControlFlow::Break(Ended::Quit);
        }
        if self.signals.caught().is_some() {
            return ControlFlow::Break(Ended::Signal);
        }
        self.keyboard.poll();
        while let Some(command) = self.keyboard.command() {
            self.obey(command, at, now)?;
        }
        ControlFlow::Continue(())
    }

    fn quantum(&self) -> u64 {
        self.pace.quantum()
    }
}

/// An onlooker who also types, and lets idle time pass.
pub struct Operator {
    /// The one who looks on.
    pub onlooker: Onlooker,
    sleeper: Sleeper,
    second: EverySecond,
}

impl Operator {
    /// A world around `onlooker`.
    pub fn new(onlooker: Onlooker, sleeper: Sleeper) -> Operator {
        Operator { onlooker, sleeper, second: EverySecond::default() }
    }
}

impl Watcher for Operator {
    fn output(&mut self, at: Position, output: &Output) -> Attention {
        self.onlooker.output(at, output)
    }
    fn watch(&mut self, at: Position, now: Instant) -> ControlFlow<Ended> {
        self.onlooker.watch(at, now)
    }
    fn quantum(&self) -> u64 {
        self.onlooker.quantum()
    }
}

impl World for Operator {
    fn input(&mut self, _: Instant) -> Option<(Port, Vec<u8>)> {
        let Onlooker { script, keyboard, nmi, .. } = &mut self.onlooker;
        if nmi.pop_front().is_some() {
            return Some((NMI.into(), Vec::new()));
        }
        let bytes = script.typed().unwrap_or_else(|| keyboard.bytes());
        (!bytes.is_empty()).then(|| (Transcript::PORT.into(), bytes))
    }

    fn refused(&mut self, error: InputError) {
        match error {
            InputError::UnknownPort(port) => eprintln!("timebase: this machine has no input `{port}`"),
            InputError::BadPayload(why) => eprintln!("timebase: an input was not taken: {why}"),
        }
    }

    fn idle(&mut self, now: Instant, deadline: Option<Instant>) -> Idle {
        let idle = self.sleeper.idle(now, deadline, &mut self.onlooker.keyboard);
        self.onlooker.pace.skip();
        idle
    }

    fn second_passed(&mut self) -> bool {
        self.second.passed()
    }

    fn reboots(&self) -> bool {
        !self.onlooker.script.died()
    }
}
