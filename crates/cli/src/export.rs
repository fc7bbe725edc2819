//! `timebase export --perfetto`: what happened as a trace for the Perfetto viewer.
//!
//! The format is the Trace Event Format (JSON), which the viewer opens by itself. Each vCPU has a track of what it
//! does, one of its interrupt handlers and one of its calls of firmware; the console has its own. Counters show how
//! many vCPUs run, and how late decrementer interrupts come.
//!
//! A handler ends where the program goes on that it interrupted, or where its vCPU is in problem state again: a task
//! switch leaves it then, and where it goes on later is not shown.

use crate::args;
use crate::commands::{Answer, catch_signals};
use crate::complaint::Status;
use crate::debugger::travelled;
use crate::see::{open_stretch, spare};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use timebase_replay::events::{Detail, Happening, Kind, events};

/// Ticks of a microsecond, in which the format counts.
const TICKS: f64 = timebase_state::time::TICKS_PER_SECOND as f64 / 1e6;
/// The one process: the guest.
const GUEST: u32 = 1;
/// Its threads: the console, and [`TRACKS`] for each vCPU.
const CONSOLE: u32 = 1;
const TRACKS: u32 = 3;
/// From a vCPU's first track on: the one of its handlers, of its calls.
const HANDLERS: u32 = 1;
const CALLS: u32 = 2;
/// A call is one instruction: its length in microseconds at two instructions to a tick. Less than to the next call.
const CALL: f64 = 0.5 / TICKS;
/// MSR[PR]: problem state.
const MSR_PR: u64 = 1 << 14;

fn track_of(cpu: u32) -> u32 {
    10 + TRACKS * cpu
}

/// Writes the trace.
pub fn perfetto(arguments: args::Export) -> Answer {
    let args::Export { file, perfetto, stretch } = arguments;
    spare(&file, &perfetto)?;
    let signals = catch_signals()?;
    let (mut opened, from, to) = open_stretch(&file, &stretch, &signals)?;
    let failed = |error: io::Error| {
        Status::Environment.because(format!("cannot write {}: {error}", perfetto.display()))
    };
    let out = BufWriter::new(File::create(&perfetto).map_err(failed)?);
    let mut trace = Trace::new(out).map_err(failed)?;
    let machine = opened.timeline.machine();
    let start = machine.now().ticks();
    let activities = (0..machine.cpus()).map(|cpu| machine.activity(cpu)).collect();
    trace.begin(activities, start).map_err(failed)?;
    let mut error = None;
    let mut tell = |happening: Happening| match trace.add(&happening) {
        Ok(()) => ControlFlow::Continue(()),
        Err(why) => {
            error = Some(why);
            ControlFlow::Break(())
        }
    };
    let mut patience = || signals.caught().is_none();
    events(&mut opened.timeline, from, to, &Kind::ALL, &mut tell, &mut patience).map_err(travelled)?;
    if let Some(error) = error {
        return Err(failed(error));
    }
    let written = trace.end(opened.timeline.machine().now().ticks()).map_err(failed)?;
    eprintln!("timebase: {}: {written} trace events: open it at ui.perfetto.dev", perfetto.display());
    Ok(Status::Done)
}

/// An interrupt handler that has not returned.
struct Handler {
    name: String,
    began: u64,
    resume: Option<u64>,
}

/// What is known of a vCPU while the trace is written.
struct Vcpu {
    activity: String,
    since: u64,
    handlers: Vec<Handler>,
}

struct Trace<W> {
    out: W,
    written: u64,
    vcpus: Vec<Vcpu>,
    /// The latest time that is known.
    now: u64,
}

impl<W: Write> Trace<W> {
    fn new(mut out: W) -> io::Result<Trace<W>> {
        out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n")?;
        Ok(Trace { out, written: 0, vcpus: Vec::new(), now: 0 })
    }

    fn write(&mut self, event: &Value) -> io::Result<()> {
        if self.written != 0 {
            self.out.write_all(b",\n")?;
        }
        self.written += 1;
        serde_json::to_writer(&mut self.out, event)?;
        Ok(())
    }

    fn name(&mut self, track: u32, name: &str) -> io::Result<()> {
        self.write(&json!({
            "ph": "M", "pid": GUEST, "tid": track, "name": "thread_name", "args": { "name": name },
        }))?;
        self.write(&json!({
            "ph": "M", "pid": GUEST, "tid": track, "name": "thread_sort_index", "args": { "sort_index": track },
        }))
    }

    fn begin(&mut self, activities: Vec<&'static str>, now: u64) -> io::Result<()> {
        self.now = now;
        self.write(&json!({
            "ph": "M", "pid": GUEST, "name": "process_name", "args": { "name": "guest" },
        }))?;
        self.name(CONSOLE, "console and inputs")?;
        for (cpu, activity) in activities.into_iter().enumerate() {
            let track = track_of(cpu as u32);
            self.name(track, &format!("vCPU {cpu}"))?;
            self.name(track + HANDLERS, &format!("vCPU {cpu} interrupts"))?;
            self.name(track + CALLS, &format!("vCPU {cpu} calls"))?;
            self.vcpus.push(Vcpu { activity: activity.into(), since: now, handlers: Vec::new() });
        }
        Ok(())
    }

    fn slice(&mut self, track: u32, name: &str, from: u64, to: u64) -> io::Result<()> {
        let (ts, dur) = (from as f64 / TICKS, to.saturating_sub(from) as f64 / TICKS);
        self.write(&json!({ "ph": "X", "pid": GUEST, "tid": track, "name": name, "ts": ts, "dur": dur }))
    }

    fn instant(&mut self, track: u32, name: &str, happening: &Happening) -> io::Result<()> {
        let ts = self.now as f64 / TICKS;
        self.write(&json!({
            "ph": "i", "s": "t", "pid": GUEST, "tid": track, "name": name, "ts": ts, "args": arguments(happening),
        }))
    }

    /// A call of firmware.
    fn call(&mut self, track: u32, happening: &Happening) -> io::Result<()> {
        let (ts, name) = (self.now as f64 / TICKS, &happening.name);
        self.write(&json!({
            "ph": "X", "pid": GUEST, "tid": track, "name": name, "ts": ts, "dur": CALL, "args": arguments(happening),
        }))
    }

    /// How late a decrementer interrupt is.
    fn latency(&mut self, cpu: u32, happening: &Happening) -> io::Result<()> {
        let late = happening.details.0.iter().find(|(name, _)| *name == "latency_ticks");
        let Some((_, Detail::Number(ticks))) = late else { return Ok(()) };
        let name = format!("vCPU {cpu} decrementer latency (us)");
        let ts = self.now as f64 / TICKS;
        self.write(&json!({
            "ph": "C", "pid": GUEST, "name": name, "ts": ts, "args": { "us": *ticks as f64 / TICKS },
        }))
    }

    /// The handlers of `cpu` from the `n`th on have ended, the inner ones first.
    fn end_handlers(&mut self, cpu: u32, n: usize) -> io::Result<()> {
        let now = self.now;
        let ended = self.vcpus[cpu as usize].handlers.split_off(n);
        for Handler { name, began, .. } in ended.into_iter().rev() {
            self.slice(track_of(cpu) + HANDLERS, &name, began, now)?;
        }
        Ok(())
    }

    fn running(&mut self) -> io::Result<()> {
        let running = self.vcpus.iter().filter(|vcpu| vcpu.activity == "running").count();
        let ts = self.now as f64 / TICKS;
        self.write(&json!({
            "ph": "C", "pid": GUEST, "name": "running vCPUs", "ts": ts, "args": { "running": running },
        }))
    }

    fn add(&mut self, happening: &Happening) -> io::Result<()> {
        self.now = happening.ticks.unwrap_or(self.now).max(self.now);
        let now = self.now;
        let cpu = happening.cpu.filter(|&cpu| (cpu as usize) < self.vcpus.len());
        let Some(cpu) = cpu else {
            let text = happening.details.0.iter().find(|(name, _)| *name == "text");
            let name = match (happening.kind, text) {
                (Kind::Console, Some((_, Detail::Quoted(text)))) => text.trim_end().to_owned(),
                _ => happening.name.clone(),
            };
            return self.instant(CONSOLE, &name, happening);
        };
        let track = track_of(cpu);
        match happening.kind {
            Kind::Vcpu => {
                let vcpu = &mut self.vcpus[cpu as usize];
                let before = std::mem::replace(&mut vcpu.activity, happening.name.clone());
                let since = std::mem::replace(&mut vcpu.since, now);
                self.slice(track, &before, since, now)?;
                self.running()
            }
            Kind::Interrupt | Kind::Exception => {
                let resume = bits(happening, "resume");
                let handler = Handler { name: happening.name.clone(), began: now, resume };
                self.vcpus[cpu as usize].handlers.push(handler);
                if happening.kind == Kind::Interrupt {
                    self.latency(cpu, happening)?;
                }
                self.instant(track, &happening.name, happening)
            }
            Kind::Return => {
                let (to, msr) = (bits(happening, "to"), bits(happening, "msr").unwrap_or(0));
                let handlers = &self.vcpus[cpu as usize].handlers;
                let ended = handlers.iter().rposition(|handler| handler.resume == to);
                match ended {
                    _ if msr & MSR_PR != 0 => self.end_handlers(cpu, 0),
                    Some(n) => self.end_handlers(cpu, n),
                    None => Ok(()),
                }
            }
            Kind::Hcall | Kind::Rtas => self.call(track + CALLS, happening),
            _ => self.instant(track, &happening.name, happening),
        }
    }

    fn end(mut self, now: u64) -> io::Result<u64> {
        self.now = self.now.max(now);
        for cpu in 0..self.vcpus.len() {
            let (name, since) = (self.vcpus[cpu].activity.clone(), self.vcpus[cpu].since);
            self.slice(track_of(cpu as u32), &name, since, self.now)?;
            self.end_handlers(cpu as u32, 0)?;
        }
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()?;
        Ok(self.written)
    }
}

/// A detail that is an address or a bit pattern.
fn bits(happening: &Happening, name: &str) -> Option<u64> {
    happening.details.0.iter().find_map(|(detail, value)| match value {
        Detail::Bits(bits) if *detail == name => Some(*bits),
        _ => None,
    })
}

/// What there is to say, for the viewer.
fn arguments(happening: &Happening) -> serde_json::Map<String, Value> {
    let details = happening.details.0.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    details.chain([("instruction".to_owned(), json!(happening.instruction))]).collect()
}
