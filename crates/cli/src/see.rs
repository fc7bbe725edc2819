//! `timebase events` and `timebase trace`: what happened, and what was executed.

use crate::args;
use crate::commands::{Answer, catch_signals};
use crate::complaint::{Complaint, Status};
use crate::debugger::{self, Opened, travelled};
use crate::disasm::{decoder_of, instruction};
use serde::Serialize;
use std::io::{self, BufWriter, Stdout, Write, stdout};
use std::ops::ControlFlow;
use std::path::Path;
use timebase_host::Signals;
use timebase_machine::api::Position;
use timebase_replay::events::{Happening, Kind, events};
use timebase_replay::trace::{Accessed, Changed, Traced, trace};

/// Opens the recording of a command, and finds its stretch.
pub fn open_stretch(
    file: &Path,
    stretch: &args::Stretch,
    signals: &Signals,
) -> Result<(Opened, Position, Position), Complaint> {
    let mut opened = debugger::open(file)?;
    opened.go_to(&stretch.from, signals)?;
    let from = opened.timeline.position();
    let to = opened.find(&stretch.to, signals)?;
    if to < from {
        return Err(Status::Usage.because(format!(
            "the stretch ends at instruction {} and begins at {}: give --to a later place",
            to.count, from.count
        )));
    }
    Ok((opened, from, to))
}

/// Refuses to write `output` over the recording it is made from.
pub fn spare(file: &Path, output: &Path) -> Result<(), Complaint> {
    match (file.canonicalize(), output.canonicalize()) {
        (Ok(from), Ok(to)) if from == to => Err(Status::Usage.because(format!(
            "{}: this would overwrite the recording: choose another name",
            output.display()
        ))),
        _ => Ok(()),
    }
}

/// Standard output, line by line; whoever reads it may have had enough.
struct Lines {
    out: BufWriter<Stdout>,
    error: Option<io::Error>,
}

impl Lines {
    fn new() -> Lines {
        Lines { out: BufWriter::new(stdout()), error: None }
    }

    fn line(&mut self, text: &str) -> ControlFlow<()> {
        match writeln!(self.out, "{text}") {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn json(&mut self, value: &impl Serialize) -> ControlFlow<()> {
        match serde_json::to_string(value) {
            Ok(text) => self.line(&text),
            Err(error) => {
                self.error = Some(error.into());
                ControlFlow::Break(())
            }
        }
    }

    fn end(mut self) -> Answer {
        let result = match self.error.take() {
            Some(error) => Err(error),
            None => self.out.flush(),
        };
        match result {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Status::Environment.because(format!("cannot write to standard output: {error}")))
            }
            _ => Ok(Status::Done),
        }
    }
}

/// Lists what happened.
pub fn list_events(arguments: args::Events) -> Answer {
    let args::Events { file, kind, cpu, stretch, json } = arguments;
    let signals = catch_signals()?;
    let (mut opened, from, to) = open_stretch(&file, &stretch, &signals)?;
    let usual = Kind::ALL.into_iter().filter(|kind| !kind.is_frequent());
    let kinds: Vec<Kind> = if kind.is_empty() { usual.collect() } else { kind };
    let mut lines = Lines::new();
    let mut tell = |happening: Happening| {
        if cpu.is_some() && happening.cpu.is_some() && happening.cpu != cpu {
            return ControlFlow::Continue(());
        }
        if json { lines.json(&happening) } else { lines.line(&happening.to_string()) }
    };
    let mut patience = || signals.caught().is_none();
    events(&mut opened.timeline, from, to, &kinds, &mut tell, &mut patience).map_err(travelled)?;
    lines.end()
}

/// Lists instructions.
pub fn list_instructions(arguments: args::Trace) -> Answer {
    let args::Trace { file, cpu, stretch, json } = arguments;
    let signals = catch_signals()?;
    let (mut opened, from, to) = open_stretch(&file, &stretch, &signals)?;
    let decoder = decoder_of(&opened.timeline.looked_at().config().cpu);
    let mut lines = Lines::new();
    let mut tell = |traced: Traced| {
        if cpu.is_some_and(|cpu| cpu != traced.step.cpu) {
            return ControlFlow::Continue(());
        }
        let text = instruction(&decoder, &traced.step);
        if json {
            return lines.json(&WithText { text, traced });
        }
        lines.line(&show_instruction(&text, &traced))?;
        for happening in &traced.happenings {
            let Happening { kind, name, details, .. } = happening;
            lines.line(format!("{:>14}  -- {} {name}  {details}", "", kind.name()).trim_end())?;
        }
        ControlFlow::Continue(())
    };
    let mut patience = || signals.caught().is_none();
    trace(&mut opened.timeline, from, to, &mut tell, &mut patience).map_err(travelled)?;
    lines.end()
}

#[derive(Serialize)]
struct WithText {
    text: String,
    #[serde(flatten)]
    traced: Traced,
}

fn show_instruction(text: &str, traced: &Traced) -> String {
    let Traced { step, registers, memory, happenings: _ } = traced;
    let mut line = format!("{:>14}  {:>2}  {:016x}  {text:<30}", step.instruction, step.cpu, step.address);
    for Changed { register, value } in registers {
        line.push_str(&format!(" {register}={value}"));
    }
    for Accessed { store, address, bytes, value } in memory {
        let (arrow, value) = (if *store { "<-" } else { "->" }, value.as_deref().unwrap_or("..."));
        line.push_str(&format!(" [{address:#x}]{arrow}{value}"));
        if value == "..." {
            line.push_str(&format!(" ({bytes} bytes)"));
        }
    }
    line.truncate(line.trim_end().len());
    line
}
