//! What the commands do.

use crate::args::{self, Command, OnPanic};
use crate::complaint::{Complaint, Status};
use crate::debugger;
use crate::engine;
use crate::report::Report;
use crate::script::Script;
use crate::world::{Onlooker, Operator};
use serde::Serialize;
use std::io::{self, IsTerminal, Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use timebase_host::clock::cpu_time;
use timebase_host::{IdleMode, Keyboard, Progress, Signals, Sleeper};
use timebase_machine::{BoxedMachine, Config, ConfigError, Firmware, ImageSource, Images, Machine};
use timebase_replay::index::{Indexer, LIVE_GAP, path_of};
use timebase_replay::live::{Live, Rules, drive};
use timebase_replay::play::{Played, Rest, play};
use timebase_replay::{Ended, OpenError, Outcome, Recorder, Recording};
use timebase_state::Paged;

/// What a command comes to.
pub type Answer = Result<Status, Complaint>;

/// Does what the command line says.
pub fn run(command: Command) -> Answer {
    match command {
        Command::Run(run) => live(run, None),
        Command::Record(args::Record { output, digest_interval, no_index, run }) => {
            live(run, Some(Target { output, digest_interval, index: !no_index }))
        }
        Command::Replay(replay) => self::replay(replay),
        Command::Branch(branch) => self::branch(branch),
        Command::Index(index) => crate::index::index(index),
        Command::Info(info) => self::info(info),
        Command::Verify(verify) => crate::verify::verify(verify),
        Command::Compare(compare) => crate::verify::compare_two(compare),
        Command::Events(events) => crate::see::list_events(events),
        Command::Trace(trace) => crate::see::list_instructions(trace),
        Command::Export(export) => crate::export::perfetto(export),
        Command::Dump(dump) => crate::dump::dump(dump),
        Command::Disasm(disasm) => crate::disasm::disasm(disasm),
        Command::Demo(demo) => crate::demo::demo(&demo),
    }
}

/// What skiboot's console shows when an exception is its end.
const FIRMWARE_DIES: &[u8] = b"] Fatal ";

/// Where a run is recorded to.
struct Target {
    output: PathBuf,
    digest_interval: u64,
    index: bool,
}

fn live(run: args::Run, target: Option<Target>) -> Answer {
    let args::Run { guest, live, mut end, debug } = run;
    let files = image_files(&guest)?;
    let again = images_again(&files);
    let images = read_images(&files)?;
    // Firmware that finds nothing to start gives up and asks for a reset, again and again: the first one is the end. What
    // is no ELF file it starts as code; if that is the end of it, it will be the next time too.
    let nothing_to_start = is_powernv(&guest) && images.kernel.is_none();
    let is_elf = |kernel: &Paged| kernel.copy(0, 4) == b"\x7fELF";
    let anything = is_powernv(&guest) && images.kernel.as_ref().is_some_and(|kernel| !is_elf(kernel));
    let config = config(guest)?;
    let mut machine = build(&config, &images)?;
    let signals = catch_signals()?;
    let recorder = match &target {
        None => None,
        Some(target) => Some(
            Recorder::create(&target.output, &config, &images, machine.schema(), target.digest_interval)
                .map_err(|error| Status::Environment.because(error))?,
        ),
    };
    if let Some(address) = &debug.gdb {
        let operator = operator(live, &end, signals.clone())?;
        return debugger::live(machine, Live::journaled(recorder), images, operator, address, signals);
    }
    let indexer = match (&recorder, &target) {
        (Some(recorder), Some(target)) => indexer(target, recorder, &images, &mut *machine),
        _ => None,
    };
    drop(images);
    if let Some(source) = again {
        machine.release_images(source);
    }
    let mut rules = rules(&end, OnPanic::Stop);
    rules.reboot &= !nothing_to_start;
    let mut operator = operator(live, &end, signals)?;
    if anything {
        operator.onlooker.script_mut().watch_for_death(FIRMWARE_DIES);
    }
    let mut history = recorder.map_or_else(Live::default, |recorder| Live::recorded(recorder, indexer));
    let outcome = drive(&mut *machine, &mut history, &mut operator, rules);
    operator.onlooker.leave();
    if let Some(error) = history.index_error() {
        eprintln!("timebase: {error}");
    }
    let outcome = outcome.map_err(|error| Status::Environment.because(error))?;
    let in_vain = nothing_to_start || operator.onlooker.script().died();
    if in_vain && outcome.ended == Ended::Reset && end.until.is_none() {
        end.quiet = true;
        conclude(&*machine, &outcome, None, &operator.onlooker, &end)?;
        return Err(Status::NoKernel.because(match nothing_to_start {
            true => {
                "no kernel: the firmware found nothing to start and asked for a reset; give --kernel FILE"
            }
            false => {
                "kernel: it is no ELF file; the firmware started it as code, died, and asked for a reset"
            }
        }));
    }
    conclude(&*machine, &outcome, None, &operator.onlooker, &end)
}

/// Makes checkpoints beside the recording. They are only a cache: if that cannot be, the recording is as good.
fn indexer(
    target: &Target,
    recorder: &Recorder,
    images: &Images,
    machine: &mut dyn Machine,
) -> Option<Indexer> {
    if !target.index || !target.output.is_file() {
        return None;
    }
    let path = path_of(&target.output);
    Indexer::create(&path, recorder, images, machine, LIVE_GAP)
        .inspect_err(|error| eprintln!("timebase: no checkpoints: cannot write {}: {error}", path.display()))
        .ok()
}

/// Whoever sits before a live guest.
pub fn operator(live: args::Live, end: &args::End, signals: Signals) -> Result<Operator, Complaint> {
    let idle = match live.idle {
        Some(args::Idle::Realtime) => IdleMode::Realtime,
        Some(args::Idle::Skip) => IdleMode::Skip,
        None if stdin().is_terminal() => IdleMode::Realtime,
        None => IdleMode::Skip,
    };
    let script = Script::new(end.until.clone(), live.send);
    let keyboard =
        Keyboard::open().map_err(|error| Status::Environment.because(format!("terminal: {error}")))?;
    let progress = progress(end.until_count, end.quiet);
    let onlooker = Onlooker::new(script, keyboard, signals, progress, end.quiet);
    Ok(Operator::new(onlooker, Sleeper::new(idle)))
}

fn branch(branch: args::Branch) -> Answer {
    let args::Branch { file, at, output, live, end, debug } = branch;
    let signals = catch_signals()?;
    let mut parent = debugger::open(&file)?;
    parent.go_to(&at, &signals)?;
    let mut child = parent.begin_branch(&output)?;
    let mut operator = operator(live, &end, signals.clone())?;
    if let Some(address) = &debug.gdb {
        parent.timeline.branch(child, Box::new(operator));
        return debugger::serve(parent, address, signals);
    }
    let (mut machine, mut transcript) = parent.timeline.into_machine();
    let ended = loop {
        let rules = rules(&end, OnPanic::Stop);
        match child.advance(&mut *machine, &mut transcript, &mut operator, u64::MAX, rules) {
            Ok(Rest::Stopped(ended) | Rest::End(ended, _)) => break ended,
            Ok(Rest::There | Rest::Hit(_)) => {}
            Err(error) => return Err(Status::Environment.because(error)),
        }
    };
    operator.onlooker.leave();
    let outcome = child
        .conclude(&mut *machine, ended, &transcript)
        .map_err(|error| Status::Environment.because(error))?;
    conclude(&*machine, &outcome, None, &operator.onlooker, &end)
}

fn replay(replay: args::Replay) -> Answer {
    let args::Replay { file, end, debug, at, checkpoint_memory } = replay;
    if let Some(address) = &debug.gdb {
        let signals = catch_signals()?;
        let mut debugged = debugger::open(&file)?;
        debugged.timeline.set_budget(checkpoint_memory);
        debugged.go_to(&at, &signals)?;
        return debugger::serve(debugged, address, signals);
    }
    let Some(Opened { recording, mut machine, .. }) = open_to_run(&file)? else {
        return Ok(nothing_to_replay(&file, end.quiet));
    };
    let again = file.clone();
    machine.release_images(Box::new(move || {
        let images = Recording::open(&again).and_then(|mut recording| recording.images());
        images.unwrap_or_else(|error| give_up(&bad_recording(&again, error)))
    }));
    let script = Script::new(end.until.clone(), Vec::new());
    let progress = progress(Some(recording.known().count), end.quiet);
    let mut onlooker = Onlooker::new(script, Keyboard::none(), catch_signals()?, progress, end.quiet);
    let played = play(&mut *machine, recording.records(), &mut onlooker, rules(&end, OnPanic::Continue));
    onlooker.leave();
    let Played { outcome, digests_compared, .. } =
        played.map_err(|divergence| Status::Diverged.because(format!("{}: {divergence}", file.display())))?;
    let status = conclude(&*machine, &outcome, Some(digests_compared), &onlooker, &end);
    if outcome.ended == Ended::Cut && !end.quiet {
        eprintln!("timebase: {}", cut_notice(&file, &recording));
    }
    status
}

/// A recording and its machine.
pub struct Opened {
    /// The recording.
    pub recording: Recording,
    /// Its machine at power-on.
    pub machine: BoxedMachine,
    /// The byte order of its kernel.
    pub little_endian: bool,
}

/// The recording and its machine at power-on; None if it was cut before there was a machine.
pub fn open_to_run(file: &Path) -> Result<Option<Opened>, Complaint> {
    let bad = |error| bad_recording(file, error);
    let mut recording = Recording::open(file).map_err(bad)?;
    recording.check_epoch().map_err(bad)?;
    if !recording.is_started() {
        return Ok(None);
    }
    let images = recording.images().map_err(bad)?;
    let little_endian = is_little_endian(&images);
    let mut machine = build(&recording.header().config, &images)
        .map_err(|error| Status::BadRecording.because(format!("{}: {error}", file.display())))?;
    recording.check(machine.schema()).map_err(bad)?;
    Ok(Some(Opened { recording, machine, little_endian }))
}

/// The byte order of an ELF kernel; the one of this architecture's Linux if there is none.
pub fn is_little_endian(images: &Images) -> bool {
    images.kernel.as_ref().is_none_or(|kernel| kernel.copy(5, 1) != [2])
}

pub fn bad_recording(file: &Path, error: OpenError) -> Complaint {
    let status = if matches!(error, OpenError::Io(_)) { Status::Environment } else { Status::BadRecording };
    status.because(format!("{}: {error}", file.display()))
}

pub fn nothing_to_replay(file: &Path, quiet: bool) -> Status {
    if !quiet {
        eprintln!(
            "timebase: {} was cut before the first instruction: there is nothing to replay",
            file.display()
        );
    }
    Status::Done
}

pub fn cut_notice(file: &Path, recording: &Recording) -> String {
    format!(
        "{} was cut at byte {}: history is known up to instruction {}",
        file.display(),
        recording.cut_at().unwrap_or_default(),
        recording.known().count
    )
}

/// Tells how it ended, writes the report, and finds the exit status.
fn conclude(
    machine: &dyn Machine,
    outcome: &Outcome,
    digests_compared: Option<u64>,
    onlooker: &Onlooker,
    end: &args::End,
) -> Answer {
    let cpu = cpu_time();
    if let Some(path) = &end.report {
        write_report(path, &Report::of(machine, outcome, cpu, digests_compared))?;
    }
    if let Some(error) = &onlooker.output_error {
        return Err(Status::Environment.because(format!("cannot write to standard output: {error}")));
    }
    let seconds = outcome.now.ticks() as f64 / timebase_state::time::TICKS_PER_SECOND as f64;
    let place = format!("instruction {}, guest time {seconds:.3} s", outcome.at.count);
    let how = match &outcome.ended {
        Ended::Panic(text) => format!("the guest died ({})", text.trim()),
        Ended::Until => "reached --until".into(),
        Ended::UntilCount => "reached --until-count".into(),
        Ended::PowerOff => "the guest powered off".into(),
        Ended::Reset => "the guest asked for a reset".into(),
        Ended::IdleForever => "the guest is idle forever: no timer is set, and no input can come".into(),
        Ended::Quit => "quit".into(),
        Ended::Signal => "ended by a signal".into(),
        Ended::Cut => "the recording ends here".into(),
    };
    let notice = |text: &str| {
        if !end.quiet {
            eprintln!("timebase: {text}");
        }
    };
    if let Some(regex) = onlooker.script().unsent() {
        notice(&format!("the console never showed what --send waits for: {regex}"));
    }
    if outcome.ended == Ended::IdleForever {
        return Err(Status::IdleForever.because(format!("{how}; {place}")));
    }
    if onlooker.script().waits() && outcome.ended != Ended::Until {
        return Err(Status::NotReached.because(format!("the guest did not reach --until: {how} at {place}")));
    }
    notice(&format!("{how} at {place}, digest {}", outcome.digest));
    Ok(Status::Done)
}

fn write_report(path: &Path, report: &Report) -> Result<(), Complaint> {
    let bad = |error: &dyn std::fmt::Display| {
        Status::Environment.because(format!("cannot write the report {}: {error}", path.display()))
    };
    let mut text = serde_json::to_string_pretty(report).map_err(|error| bad(&error))?;
    text.push('\n');
    std::fs::write(path, text).map_err(|error| bad(&error))
}

fn info(info: args::Info) -> Answer {
    let recording = Recording::open(&info.file).map_err(|error| bad_recording(&info.file, error))?;
    let inside = recording.info();
    if info.json {
        return print_json(&inside);
    }
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<14} {value}\n"));
    line(
        "recorded by",
        format!("{} (format {}, semantics epoch {})", inside.build, inside.format, inside.epoch),
    );
    line(
        "machine",
        format!("{}, {} x {}, {} MiB", inside.machine, inside.cpus, inside.cpu, inside.memory_bytes >> 20),
    );
    line("firmware", inside.firmware.into());
    if !inside.append.is_empty() {
        line("command line", inside.append);
    }
    for image in inside.images {
        line(image.role, format!("{} bytes, xxh3 {}", image.bytes, image.xxh3));
    }
    line(
        "seeds",
        format!(
            "{} (schedule {}), clock {} s since 1970",
            inside.seed, inside.schedule_seed, inside.rtc_seconds
        ),
    );
    let counts = inside.counts;
    line(
        "history",
        format!(
            "{} instructions, {} inputs ({} bytes), {} idle cuts, {} resets, {} digests",
            inside.instructions,
            counts.inputs,
            counts.input_bytes,
            counts.idle_cuts,
            counts.resets,
            counts.digests
        ),
    );
    match (inside.ended, inside.cut_at_byte) {
        (Some(ended), _) => line("ended", ended),
        (None, cut) => line("ended", format!("it was cut at byte {}", cut.unwrap_or_default())),
    }
    if let (Some(digest), Some(console)) = (inside.digest, inside.console_sha256) {
        line("digest", digest);
        line("console", format!("sha256 {console}"));
    }
    line(
        "file",
        format!(
            "{} bytes: {} of images, {} of history",
            inside.file_bytes, inside.image_file_bytes, inside.history_file_bytes
        ),
    );
    print(&text)
}

fn rules(end: &args::End, on_panic: OnPanic) -> Rules {
    Rules {
        reboot: !end.no_reboot,
        stop_on_panic: end.on_panic.unwrap_or(on_panic) == OnPanic::Stop,
        until_count: end.until_count,
        compare: true,
    }
}

fn progress(end: Option<u64>, quiet: bool) -> Progress {
    Progress::new(end, quiet || !stdout().is_terminal())
}

pub fn catch_signals() -> Result<Signals, Complaint> {
    Signals::catch().map_err(|error| Status::Environment.because(format!("cannot catch signals: {error}")))
}

/// The files of a guest's images, and what they are: kernel, initial RAM disk, firmware.
type ImageFiles = [(&'static str, Option<PathBuf>); 3];

fn image_files(guest: &args::Guest) -> Result<ImageFiles, Complaint> {
    let firmware = match &guest.firmware {
        None if is_powernv(guest) => Some(skiboot()?),
        given => given.clone().filter(|path| path != Path::new("none")),
    };
    Ok([("kernel", guest.kernel.clone()), ("initrd", guest.initrd.clone()), ("firmware", firmware)])
}

fn read_images([kernel, initrd, firmware]: &ImageFiles) -> Result<Images, Complaint> {
    let read = |(what, path): &(&str, Option<PathBuf>)| {
        let Some(path) = path else { return Ok(None) };
        read_pages(path).map(Some).map_err(|error| {
            Status::Environment.because(format!("cannot read the {what} {}: {error}", path.display()))
        })
    };
    Ok(Images { kernel: read(kernel)?, initrd: read(initrd)?, firmware: read(firmware)? })
}

/// A file's content in pages, read in pieces: it is not there twice. Its length need not be known before, as of a pipe.
fn read_pages(path: &Path) -> io::Result<Paged> {
    const PIECE: u64 = 1 << 20;
    let mut file = std::fs::File::open(path)?;
    let (mut pages, mut piece) = (Paged::default(), Vec::new());
    loop {
        piece.clear();
        if (&mut file).take(PIECE).read_to_end(&mut piece)? == 0 {
            return Ok(pages);
        }
        pages.append(&piece);
    }
}

/// The images of a guest once more, for when it starts anew: None if they cannot be read twice. It is asked before they are
/// read the first time; if they have changed since, there is nothing to start.
fn images_again(files: &ImageFiles) -> Option<ImageSource> {
    let files = files.clone();
    let seen = |(_, path): &(&str, Option<PathBuf>)| {
        let Some(path) = path else { return Some(None) };
        let metadata = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file())?;
        Some(Some((metadata.len(), metadata.modified().ok()?)))
    };
    let before = files.iter().map(seen).collect::<Option<Vec<_>>>()?;
    Some(Box::new(move || {
        let images = read_images(&files).unwrap_or_else(|complaint| give_up(&complaint));
        for (file, before) in files.iter().zip(&before) {
            if let ((what, Some(path)), true) = (file, seen(file).as_ref() != Some(before)) {
                let path = path.display();
                let text = format!(
                    "the {what} {path} has changed since the guest was started: it cannot start anew"
                );
                give_up(&Status::Environment.because(text));
            }
        }
        images
    }))
}

/// Ends the program from within the guest's run.
fn give_up(complaint: &Complaint) -> ! {
    timebase_host::keyboard::restore();
    eprintln!("timebase: {complaint}");
    std::process::exit(complaint.status as i32)
}

fn is_powernv(guest: &args::Guest) -> bool {
    guest.machine.starts_with("powernv")
}

/// The firmware of bare-metal machines, where the distribution's package puts it.
fn skiboot() -> Result<PathBuf, Complaint> {
    const PLACE: &str = "/usr/share/qemu/skiboot.lid";
    let path = PathBuf::from(PLACE);
    if path.exists() {
        return Ok(path);
    }
    let text = format!(
        "no firmware: {PLACE} is absent; install the package qemu-system-data, or give --firmware FILE"
    );
    Err(Status::Environment.because(text))
}

fn config(guest: args::Guest) -> Result<Config, Complaint> {
    let powernv = is_powernv(&guest);
    // A bare-metal machine decides which CPU it has; the recording says so.
    let (machine, own) = match guest.machine.as_str() {
        "powernv9" => ("powernv9".into(), Some("power9")),
        "powernv" | "powernv10" => ("powernv10".into(), Some("power10")),
        _ => (guest.machine, None),
    };
    let cpu = match (own, guest.cpu) {
        (Some(own), Some(cpu)) if cpu != own => {
            return Err(Status::Usage.because(format!("--cpu {cpu}: the CPUs of {machine} are {own}")));
        }
        (Some(own), _) => own.into(),
        (None, cpu) => cpu.unwrap_or_else(|| "power9".into()),
    };
    Ok(Config {
        machine,
        cpu,
        memory_bytes: guest.memory,
        cpus: guest.cpus.count,
        append: guest.append,
        firmware: match guest.firmware {
            None if powernv => Firmware::Image,
            None => Firmware::BuiltIn,
            Some(path) if path == Path::new("none") => Firmware::None,
            Some(_) => Firmware::Image,
        },
        seed: guest.seed,
        schedule_seed: guest.schedule_seed,
        rtc_seconds: guest.rtc,
        rate_numerator: 2,
        rate_denominator: 1,
        threads: guest.cpus.threads,
        sockets: guest.cpus.sockets,
    })
}

/// A machine. What is wrong with an image is told by its name in front, all else is a matter of flags.
pub fn build(config: &Config, images: &Images) -> Result<BoxedMachine, Complaint> {
    engine::machine(config, images).map_err(|ConfigError(text)| {
        let of_an_image = ["kernel: ", "initrd: ", "firmware: "].iter().any(|image| text.starts_with(image));
        if of_an_image { Status::Environment } else { Status::Usage }.because(text)
    })
}

pub fn print(text: &str) -> Answer {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(cannot_write)?;
    Ok(Status::Done)
}

pub fn print_json(value: &impl Serialize) -> Answer {
    let text = serde_json::to_string_pretty(value).map_err(|error| cannot_write(error.into()))?;
    print(&(text + "\n"))
}

fn cannot_write(error: io::Error) -> Complaint {
    Status::Environment.because(format!("cannot write to standard output: {error}"))
}
