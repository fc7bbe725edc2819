//! What happened in a stretch of history, in order: interrupts, timers, calls, devices, console, inputs.

use crate::{Event, Patience, Record, Timeline, TravelError};
use serde::{Serialize, Serializer};
use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;
use timebase_machine::api::Position;
use timebase_machine::debug::Halts;
use timebase_machine::observe::{Latency, Observation, Observed, Operation, Routed, status_name};

/// Instructions that are run before what was seen is told.
const STRETCH: u64 = 1_000_000;
/// Instructions that are watched before a stretch, so that timers that expire just before it are known.
const APPROACH: u64 = 10_000;

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// DEC and HDEC: written, expired.
    Decrementer,
    /// Asynchronous interrupts, delivered.
    Interrupt,
    /// Synchronous interrupts, delivered.
    Exception,
    /// Returns from interrupts.
    Return,
    /// Doorbell messages.
    Doorbell,
    /// Interrupts between processors, requested and offered.
    Ipi,
    /// The interrupt controller: offers, acceptances, ends, its lines to vCPUs.
    Controller,
    /// Hypervisor calls.
    Hcall,
    /// Run-time abstraction services.
    Rtas,
    /// Accesses to device registers.
    Device,
    /// What vCPUs do: running, idle, stopped.
    Vcpu,
    /// When no vCPU can run.
    Idle,
    /// Console output.
    Console,
    /// Inputs.
    Input,
    /// Resets, power-off, panics: asked for, and carried out.
    Reset,
}

impl Kind {
    /// It comes by the thousand: told when asked for.
    pub fn is_frequent(self) -> bool {
        matches!(self, Kind::Exception | Kind::Return | Kind::Device)
    }

    /// All of them.
    pub const ALL: [Kind; 15] = [
        Kind::Decrementer,
        Kind::Interrupt,
        Kind::Exception,
        Kind::Return,
        Kind::Doorbell,
        Kind::Ipi,
        Kind::Controller,
        Kind::Hcall,
        Kind::Rtas,
        Kind::Device,
        Kind::Vcpu,
        Kind::Idle,
        Kind::Console,
        Kind::Input,
        Kind::Reset,
    ];

    /// As it is named on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Decrementer => "decrementer",
            Kind::Interrupt => "interrupt",
            Kind::Exception => "exception",
            Kind::Return => "return",
            Kind::Doorbell => "doorbell",
            Kind::Ipi => "ipi",
            Kind::Controller => "controller",
            Kind::Hcall => "hcall",
            Kind::Rtas => "rtas",
            Kind::Device => "device",
            Kind::Vcpu => "vcpu",
            Kind::Idle => "idle",
            Kind::Console => "console",
            Kind::Input => "input",
            Kind::Reset => "reset",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            format!("no kind of event is `{text}`: use {}", names.join(", "))
        })
    }
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Happening {
    /// Instructions before it. What an instruction did is at the instruction's own position.
    pub instruction: u64,
    /// Which of the things between two instructions.
    pub sequence: u32,
    /// Virtual time in timebase ticks; None for what has no time of its own.
    pub ticks: Option<u64>,
    /// The vCPU.
    pub cpu: Option<u32>,
    /// What it is about.
    pub kind: Kind,
    /// What happened, in a word or a name.
    pub name: String,
    /// What else there is to say, by name.
    pub details: Details,
}

impl Happening {
    /// What happened, without when and where.
    pub fn brief(&self) -> String {
        let Happening { kind, name, details, .. } = self;
        if details.0.is_empty() {
            format!("{} {name}", kind.name())
        } else {
            format!("{} {name} {details}", kind.name())
        }
    }
}

/// A line of a table.
impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Happening { instruction, sequence, ticks, cpu, kind, name, details } = self;
        let at = if *sequence == 0 { instruction.to_string() } else { format!("{instruction}.{sequence}") };
        let time = ticks.map_or(String::new(), |ticks| {
            format!("{:.9}", ticks as f64 / timebase_state::time::TICKS_PER_SECOND as f64)
        });
        let cpu = cpu.map_or(String::new(), |cpu| cpu.to_string());
        write!(f, "{at:>14}  {time:>14}  {cpu:>3}  {:<11}  {name}", kind.name())?;
        if details.0.is_empty() { Ok(()) } else { write!(f, "  {details}") }
    }
}

/// Names and values.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Details(pub Vec<(&'static str, Detail)>);

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Detail {
    /// A number, shown as decimal.
    Number(i64),
    /// An address or a bit pattern, shown as hexadecimal.
    Bits(u64),
    /// Text.
    Text(String),
    /// Text that somebody wrote, shown in quotes.
    Quoted(String),
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Detail::Number(number) => write!(f, "{number}"),
            Detail::Bits(bits) => write!(f, "{bits:#x}"),
            Detail::Text(text) => write!(f, "{text}"),
            Detail::Quoted(text) => write!(f, "{text:?}"),
        }
    }
}

impl fmt::Display for Details {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (n, (name, value)) in self.0.iter().enumerate() {
            let space = if n == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

impl Serialize for Details {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Detail::Number(number) => serializer.serialize_i64(*number),
            // Beyond 53 bits a JSON number is not safe.
            Detail::Bits(_) | Detail::Text(_) => serializer.collect_str(self),
            Detail::Quoted(text) => serializer.serialize_str(text),
        }
    }
}

/// The latest `most` events of these `kinds` before the cursor, which stays where it is.
pub fn latest(
    timeline: &mut Timeline,
    most: usize,
    kinds: &[Kind],
    patience: &mut Patience,
) -> Result<Vec<Happening>, TravelError> {
    let here = timeline.position();
    let mut stretch = STRETCH;
    let found = loop {
        let from = Position { count: here.count.saturating_sub(stretch), sequence: 0 };
        let mut found = VecDeque::new();
        let mut tell = |happening| {
            found.push_back(happening);
            if found.len() > most {
                found.pop_front();
            }
            ControlFlow::Continue(())
        };
        events(timeline, from, here, kinds, &mut tell, patience)?;
        if found.len() >= most || from.count == 0 {
            break found;
        }
        stretch = stretch.saturating_mul(8);
    };
    timeline.seek(here, patience)?;
    Ok(found.into())
}

/// Runs `timeline` from `from` to `to` and tells what happened of these `kinds`, in order, until `tell` breaks. What is
/// at `to` belongs to the next stretch, unless history ends there.
pub fn events(
    timeline: &mut Timeline,
    from: Position,
    to: Position,
    kinds: &[Kind],
    tell: &mut dyn FnMut(Happening) -> ControlFlow<()>,
    patience: &mut Patience,
) -> Result<(), TravelError> {
    // What happens between two instructions has happened where a seek ends: watching begins before that.
    let before = Position { count: from.count.saturating_sub(APPROACH), sequence: 0 };
    timeline.seek(before, patience)?;
    timeline.machine().observe(true);
    let result = tell_all(timeline, from, to, kinds, tell, patience);
    timeline.machine().observe(false);
    result
}

fn tell_all(
    timeline: &mut Timeline,
    from: Position,
    to: Position,
    kinds: &[Kind],
    tell: &mut dyn FnMut(Happening) -> ControlFlow<()>,
    patience: &mut Patience,
) -> Result<(), TravelError> {
    let mut start = timeline.position();
    let last = to >= timeline.end();
    while start < to.min(timeline.end()) {
        let limit = Position { count: start.count.saturating_add(STRETCH), sequence: 0 }.min(to);
        timeline.forward(&Halts::default(), limit, &mut |_, _| false, patience)?;
        let end = timeline.position();
        let inside = |at: Position| from <= at && (at < to || last);
        let mut all: Vec<(Position, Happening)> = Vec::new();
        let observed = timeline.machine().take_observed();
        all.extend(observed.into_iter().map(|seen| (seen.at, of_observed(seen))));
        all.extend(console(timeline, start, end));
        // A record is applied when all else has happened in its place.
        let records = timeline.records().iter().filter(|record| start <= record.at && record.at < end);
        all.extend(records.filter_map(|record| Some((record.at, of_record(record)?))));
        all.retain(|(at, happening)| inside(*at) && kinds.contains(&happening.kind));
        // What happened in one place stays in this order.
        all.sort_by_key(|(at, _)| *at);
        for (_, happening) in all {
            if tell(happening).is_break() {
                return Ok(());
            }
        }
        if end <= start {
            break;
        }
        start = end;
    }
    Ok(())
}

/// What the console showed after `start` and up to `end`, by lines: a line is where it began.
fn console(timeline: &Timeline, start: Position, end: Position) -> Vec<(Position, Happening)> {
    let log = timeline.console();
    let first = log.marks.partition_point(|mark| mark.1 <= start);
    let mut lines: Vec<(Position, Vec<u8>)> = Vec::new();
    for (n, &(offset, at)) in log.marks.iter().enumerate().skip(first).take_while(|(_, mark)| mark.1 <= end) {
        let to = log.marks.get(n + 1).map_or(log.text.len(), |mark| mark.0 as usize);
        for piece in log.text[offset as usize..to].split_inclusive(|&byte| byte == b'\n') {
            match lines.last_mut().filter(|(_, line)| !line.ends_with(b"\n")) {
                Some((_, line)) => line.extend_from_slice(piece),
                None => lines.push((at, piece.to_vec())),
            }
        }
    }
    let tell = |(at, line): (Position, Vec<u8>)| {
        let text = Detail::Quoted(String::from_utf8_lossy(&line).into_owned());
        (at, plain(at, Kind::Console, "output", Details(vec![("text", text)])))
    };
    lines.into_iter().map(tell).collect()
}

fn plain(at: Position, kind: Kind, name: &str, details: Details) -> Happening {
    let Position { count, sequence } = at;
    Happening { instruction: count, sequence, ticks: None, cpu: None, kind, name: name.into(), details }
}

pub(crate) fn of_record(record: &Record) -> Option<Happening> {
    let mut details = Details::default();
    let (kind, name) = match &record.event {
        Event::Input { port, payload } => {
            details.0.push(("port", Detail::Text(port.clone())));
            details.0.push(("bytes", Detail::Quoted(String::from_utf8_lossy(payload).into_owned())));
            (Kind::Input, "input")
        }
        Event::CutIdle { until } => {
            details.0.push(("until_ticks", Detail::Number(until.ticks() as i64)));
            (Kind::Input, "idle-cut")
        }
        Event::Reset => (Kind::Reset, "reset"),
        Event::Resume => (Kind::Reset, "resumed after the panic"),
        Event::Digest(_) | Event::Progress | Event::End { .. } => return None,
    };
    Some(plain(record.at, kind, name, details))
}

fn of_xirr(xirr: u32) -> Vec<(&'static str, Detail)> {
    vec![("source", Detail::Bits((xirr & 0xff_ffff).into())), ("cppr", Detail::Bits((xirr >> 24).into()))]
}

fn of_xive(operation: Operation, value: u64) -> (Kind, String, Vec<(&'static str, Detail)>) {
    let Operation { name, source, queue, pq } = operation;
    let mut details = Vec::new();
    details.extend(source.map(|source| ("source", Detail::Bits(source.into()))));
    if let Some((server, priority)) = queue {
        details.push(("server", Detail::Number(server.into())));
        details.push(("priority", Detail::Number(priority.into())));
    }
    details.extend(pq.map(|pq| ("pq", Detail::Text(format!("{pq:02b}")))));
    details.push(("value", Detail::Bits(value)));
    (Kind::Controller, name.into(), details)
}

fn status_of(status: i64) -> Detail {
    status_name(status).map_or(Detail::Number(status), |name| Detail::Text(name.into()))
}

pub(crate) fn of_observed(seen: Observed) -> Happening {
    use Detail::{Bits, Number, Text};
    let Observed { at, now, cpu, what } = seen;
    let (kind, name, details) = match what {
        Observation::Exception { name, resume, cause, address, status } => {
            let mut details = vec![("resume", Bits(resume)), ("cause", Bits(cause))];
            if name.contains("storage") || name.contains("segment") || name == "alignment" {
                details.extend([("dar", Bits(address)), ("dsisr", Bits(status))]);
            }
            (Kind::Exception, name.to_owned(), details)
        }
        Observation::Interrupt { name, resume, cause, latency } => {
            let mut details = vec![("resume", Bits(resume)), ("cause", Bits(cause))];
            if let Some(Latency { ticks, instructions }) = latency {
                details.push(("latency_ticks", Number(ticks as i64)));
                details.extend(instructions.map(|n| ("latency_instructions", Number(n as i64))));
            }
            (Kind::Interrupt, name.to_owned(), details)
        }
        Observation::Return { to, msr } => {
            (Kind::Return, "return".into(), vec![("to", Bits(to)), ("msr", Bits(msr))])
        }
        Observation::TimerWritten { timer, value } => {
            (Kind::Decrementer, format!("{timer} written"), vec![("value", Bits(value))])
        }
        Observation::TimerExpired { timer } => (Kind::Decrementer, format!("{timer} expired"), Vec::new()),
        Observation::ExternalLine(up) => {
            let state = if up { "raised" } else { "lowered" };
            (Kind::Controller, format!("external {state}"), Vec::new())
        }
        Observation::Doorbell { hypervisor } => {
            (Kind::Doorbell, if hypervisor { "hypervisor" } else { "privileged" }.into(), Vec::new())
        }
        Observation::DoorbellSent { message, hypervisor } => {
            let name = if hypervisor { "msgsnd" } else { "msgsndp" };
            (Kind::Doorbell, name.into(), vec![("message", Bits(message))])
        }
        Observation::Xive { operation, value } => of_xive(operation, value),
        Observation::IpiRequest { server, mfrr } => {
            let name = if mfrr == u8::MAX { "withdrawn" } else { "requested" };
            let server = ("server", Number(server.into()));
            (Kind::Ipi, name.into(), vec![server, ("priority", Number(mfrr.into()))])
        }
        Observation::Accepted(xirr) => (Kind::Controller, "accepted".into(), of_xirr(xirr)),
        Observation::Ended(xirr) => (Kind::Controller, "ended".into(), of_xirr(xirr)),
        Observation::Offered { routed: Routed { source, priority, event, server: _ }, ipi } => {
            let mut details = vec![("source", Bits(source.into())), ("priority", Number(priority.into()))];
            details.extend(event.map(|event| ("event", Bits(event.into()))));
            (if ipi { Kind::Ipi } else { Kind::Controller }, "offered".into(), details)
        }
        Observation::Device { store, address, bytes, value } => (
            Kind::Device,
            if store { "store" } else { "load" }.into(),
            vec![("address", Bits(address)), ("bytes", Number(bytes.into())), ("value", Bits(value))],
        ),
        Observation::Hypercall { name, arguments, status, results } => {
            let registers = ["r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12"];
            let mut details: Vec<_> = registers.into_iter().zip(arguments.into_iter().map(Bits)).collect();
            details.push(("status", status_of(status)));
            let returned = ["r4'", "r5'", "r6'", "r7'", "r8'", "r9'", "r10'", "r11'", "r12'"];
            details.extend(returned.into_iter().zip(results.into_iter().map(Bits)));
            (Kind::Hcall, name, details)
        }
        Observation::Rtas { name, arguments, results } => {
            let list = |values: Vec<String>| Text(format!("[{}]", values.join(",")));
            let arguments = list(arguments.iter().map(|value| format!("{value:#x}")).collect());
            let results = list(results.iter().map(ToString::to_string).collect());
            (Kind::Rtas, name, vec![("arguments", arguments), ("results", results)])
        }
        Observation::Activity(activity) => (Kind::Vcpu, activity.into(), Vec::new()),
        Observation::Prod(cpu) => (Kind::Vcpu, "prod".into(), vec![("target", Number(cpu.into()))]),
        Observation::IdleBegins => (Kind::Idle, "begins".into(), Vec::new()),
        Observation::IdleEnds(ticks) => (Kind::Idle, "ends".into(), vec![("ticks", Number(ticks as i64))]),
        Observation::ResetRequest => (Kind::Reset, "reset asked for".into(), Vec::new()),
        Observation::PowerOff => (Kind::Reset, "power-off".into(), Vec::new()),
        Observation::Panic(text) => {
            (Kind::Reset, "panic".into(), vec![("text", Detail::Quoted(text.trim().into()))])
        }
    };
    Happening {
        instruction: at.count,
        sequence: at.sequence,
        ticks: Some(now.ticks()),
        cpu,
        kind,
        name,
        details: Details(details),
    }
}
