//! Looking at history: `events`, `trace`, `export --perfetto`, `dump`, as their users see them.

use object::{Object, ObjectSegment, ObjectSymbol};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const ECHO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/echo.elf");
const RACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guests/race/race.elf");

/// A recording in a folder of its own.
struct Recorded {
    folder: TempDir,
    file: String,
}

impl Recorded {
    fn of(kernel: &str, more: &[&str]) -> Recorded {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("guest.tb").to_str().expect("UTF-8").to_owned();
        let recorded = Recorded { folder, file };
        let arguments = ["-o", &recorded.file, "--kernel", kernel, "--quiet"];
        let memory = if more.contains(&"--memory") { &[][..] } else { &["--memory", "64M"] };
        recorded.say("record", &[&arguments, memory, more].concat());
        recorded
    }

    /// It answers keys, dies, is reset, and powers off.
    fn echo() -> Recorded {
        let live = ["--send", "ready=ab", "--send", "ready=d", "--send", "ready=r", "--send", "^ready=xp"];
        Recorded::of(ECHO, &[&live[..], &["--on-panic", "continue"]].concat())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").into()
    }

    /// What a command that goes well prints.
    fn say(&self, command: &str, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_timebase"))
            .arg(command)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{command} {arguments:?}: {errors}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What a command says that goes wrong, and its status.
    fn refused(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output =
            Command::new(env!("CARGO_BIN_EXE_timebase")).args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into())
    }

    fn lines(&self, command: &str, arguments: &[&str]) -> Vec<String> {
        let arguments = [&[self.file.as_str()], arguments].concat();
        self.say(command, &arguments).lines().map(Into::into).collect()
    }

    fn json(&self, command: &str, arguments: &[&str]) -> Vec<Value> {
        let lines = self.lines(command, &[arguments, &["--json"]].concat());
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

const EVERYTHING: &str = "decrementer,interrupt,exception,return,doorbell,ipi,controller,hcall,rtas,device,vcpu,\
                          idle,console,input,reset";

#[test]
fn events_tell_the_story_of_a_guest_to_its_end() {
    let echo = Recorded::echo();
    let all = echo.json("events", &[]);
    let count = |kind: &str, name: &str| {
        all.iter().filter(|event| event["kind"] == kind && event["name"] == name).count()
    };
    assert_eq!(count("input", "input"), 4);
    assert_eq!(count("rtas", "ibm,os-term"), 1);
    assert_eq!((count("reset", "panic"), count("reset", "resumed after the panic")), (1, 1));
    assert_eq!((count("reset", "reset asked for"), count("reset", "reset")), (1, 1));
    assert_eq!(count("reset", "power-off"), 1, "the last thing that happens is told, too");
    let panic = all.iter().find(|event| event["name"] == "panic").expect("it dies");
    assert_eq!(panic["details"]["text"], "the echo guest died");
    let resets: Vec<&str> =
        all.iter().filter(|event| event["kind"] == "reset").map(|event| text(&event["name"])).collect();
    let story = ["panic", "resumed after the panic", "reset asked for", "reset", "power-off"];
    assert_eq!(resets, story, "what was asked for comes before what was done");
    // In order, and time does not go back.
    let place = |event: &Value| (number(&event["instruction"]), number(&event["sequence"]));
    assert!(all.is_sorted_by_key(place));
    assert!(all.iter().filter_map(|event| event["ticks"].as_u64()).is_sorted());
    // As text it is the same, a line for each.
    let lines = echo.lines("events", &[]);
    assert_eq!(lines.len(), all.len());
    for (line, event) in lines.iter().zip(&all) {
        let (kind, name) = (text(&event["kind"]), text(&event["name"]));
        assert!(line.contains(kind) && line.contains(name), "{line}: {event}");
    }
}

#[test]
fn a_guest_that_sleeps_is_idle_until_its_timer_ends_it() {
    let echo = Recorded::of(ECHO, &["--send", "ready=a", "--until-count", "20000"]);
    let idle = echo.json("events", &["--kind", "idle"]);
    assert!(idle.len() > 20, "it wakes every millisecond: {}", idle.len());
    for pair in idle.chunks_exact(2) {
        assert_eq!((text(&pair[0]["name"]), text(&pair[1]["name"])), ("begins", "ends"));
        let ticks = number(&pair[1]["ticks"]) - number(&pair[0]["ticks"]);
        assert!(ticks.abs_diff(number(&pair[1]["details"]["ticks"])) <= 1, "{pair:?}");
        assert!((400_000..520_000).contains(&ticks), "nearly a millisecond: {ticks}");
    }
    let expired = echo.json("events", &["--kind", "decrementer"]);
    assert!(expired.iter().filter(|event| event["name"] == "DEC expired").count() >= idle.len() / 2);
}

#[test]
fn parts_of_history_have_the_events_of_the_whole() {
    let echo = Recorded::echo();
    let options = ["--kind", EVERYTHING];
    let all = echo.json("events", &options);
    let end = number(&all[all.len() - 1]["instruction"]);
    // Some cuts where something happens between two instructions, and some anywhere.
    let idle =
        all.iter().filter(|event| event["kind"] == "interrupt").map(|event| number(&event["instruction"]));
    let mut cuts: Vec<u64> = idle.step_by(5).take(3).chain([1, end / 3, end / 2]).collect();
    cuts.sort_unstable();
    let cuts: Vec<String> = cuts.iter().map(ToString::to_string).collect();
    let mut parts = Vec::new();
    for n in 0..=cuts.len() {
        let from = if n == 0 { "start" } else { &cuts[n - 1] };
        let to = cuts.get(n).map_or("end", |cut| cut);
        parts.extend(echo.json("events", &[&options[..], &["--from", from, "--to", to]].concat()));
    }
    // A line of the console that a cut divides is told in two pieces; everything else is the same.
    let rest = |events: Vec<Value>| -> Vec<Value> {
        events.into_iter().filter(|event| event["kind"] != "console").collect()
    };
    let (parts, all) = (rest(parts), rest(all));
    for (part, whole) in parts.iter().zip(&all) {
        assert_eq!(part, whole);
    }
    assert_eq!(parts.len(), all.len());
}

#[test]
fn kinds_and_vcpus_are_chosen() {
    let echo = Recorded::of(ECHO, &["--cpus", "2", "--send", "ready=p"]);
    let kinds = |arguments: &[&str]| -> BTreeSet<String> {
        echo.json("events", arguments).iter().map(|event| text(&event["kind"]).to_owned()).collect()
    };
    assert_eq!(kinds(&["--kind", "rtas,input"]), BTreeSet::from(["rtas".into(), "input".into()]));
    assert!(kinds(&[]).contains("hcall") && !kinds(&[]).contains("exception"));
    assert!(!kinds(&["--cpu", "1"]).contains("hcall"), "all is done by vCPU 0");
    let wrong =
        Command::new(env!("CARGO_BIN_EXE_timebase")).args(["events", &echo.file, "--kind", "x"]).output();
    let wrong = wrong.expect("the binary runs");
    assert_eq!(wrong.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(errors.contains("no kind of event is `x`: use decrementer"), "{errors}");
}

#[test]
fn a_trace_has_each_instruction_with_what_it_changed() {
    let race = Recorded::of(RACE, &["--until-count", "5000"]);
    let traced = race.json("trace", &["--from", "2900", "--to", "3100"]);
    let instructions: Vec<u64> = traced.iter().map(|line| number(&line["instruction"])).collect();
    assert_eq!(instructions, (2900..3100).collect::<Vec<u64>>());
    // The registers that are told are those of the guest: a value stays until it is told to change.
    let mut registers: BTreeMap<String, String> = BTreeMap::new();
    let mut checked = 0;
    for line in &traced {
        for changed in line["registers"].as_array().expect("a list") {
            let (name, value) = (text(&changed["register"]), text(&changed["value"]));
            let before = registers.insert(name.into(), value.into());
            assert_ne!(before.as_deref(), Some(value), "{name} did not change: {line}");
        }
        // std rS,D(rA) stores what rS has.
        let words: Vec<&str> =
            text(&line["text"]).split([' ', ',']).filter(|word| !word.is_empty()).collect();
        if let ["std", source, ..] = words[..]
            && let Some(value) = registers.get(source)
        {
            let stored = text(&line["memory"][0]["value"]);
            let parse =
                |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("hexadecimal");
            assert_eq!(
                (parse(stored), &line["memory"][0]["store"]),
                (parse(value), &Value::Bool(true)),
                "{line}"
            );
            checked += 1;
        }
    }
    assert!(checked > 5, "{checked} stores");
    // The decrementer interrupt of instruction 2978 stands where it comes.
    let told = |line: &Value| line["happenings"].as_array().is_some_and(|list| !list.is_empty());
    let at: Vec<u64> =
        traced.iter().filter(|line| told(line)).map(|line| number(&line["instruction"])).collect();
    assert!(at.contains(&2977) || at.contains(&2978), "{at:?}");
    let lines = race.lines("trace", &["--from", "2900", "--to", "+200"]);
    assert!(lines.iter().any(|line| line.contains("-- interrupt decrementer")), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| !line.contains("--")).count(), 200);
}

#[test]
fn what_cannot_be_is_refused_and_the_recording_is_spared() {
    let race = Recorded::of(RACE, &["--until-count", "5000"]);
    let (file, before) = (race.file.as_str(), fs::read(&race.file).expect("the recording"));
    let cases: &[(&[&str], i32, &str)] = &[
        (&["dump", file, "-o", file], 2, "would overwrite the recording"),
        (&["export", file, "--perfetto", file], 2, "would overwrite the recording"),
        (&["dump", file, "-o", "/nonexistent/core"], 1, "cannot write /nonexistent/core"),
        (&["dump", file, "-o", "/dev/full"], 1, "cannot write /dev/full"),
        (&["export", file, "--perfetto", "/dev/full"], 1, "cannot write /dev/full"),
        (&["dump", file, "--at", "6000", "-o", "core"], 2, "history has no such place"),
        (&["events", file, "--from", "50%", "--to", "10"], 2, "give --to a later place"),
        (&["trace", file, "--from", "nowhere"], 2, "is no place in history"),
    ];
    for (arguments, status, part) in cases {
        let (found, errors) = race.refused(arguments);
        assert_eq!(found, Some(*status), "{arguments:?}: {errors}");
        assert!(errors.contains(part) && errors.lines().count() == 1, "{arguments:?}: {errors}");
    }
    assert!(fs::read(file).expect("it is there") == before);
}

/// Slices of a track, each inside another or beside it, as the viewer needs them.
fn assert_nested(track: &str, mut slices: Vec<(f64, f64)>) {
    slices.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut open: Vec<f64> = Vec::new();
    for (from, to) in slices {
        assert!(to >= from, "{track}: a slice from {from} to {to}");
        open.retain(|&end| end > from);
        if let Some(&outer) = open.last() {
            assert!(to <= outer, "{track}: a slice from {from} to {to} inside one to {outer}");
        }
        open.push(to);
    }
}

#[test]
fn the_perfetto_trace_is_one() {
    let race = Recorded::of(RACE, &["--cpus", "2", "--until-count", "400000"]);
    let out = race.path("trace.json");
    race.lines("export", &["--perfetto", &out]);
    let trace: Value = serde_json::from_slice(&fs::read(&out).expect("the file")).expect("JSON");
    assert_eq!(trace["displayTimeUnit"], "ns");
    let events = trace["traceEvents"].as_array().expect("events");
    let mut named = BTreeMap::new();
    let mut slices: BTreeMap<u64, Vec<(f64, f64)>> = BTreeMap::new();
    let (mut instants, mut counters) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        assert_eq!(event["pid"], 1, "{event}");
        let name = text(&event["name"]).to_owned();
        let time = |name: &str| event[name].as_f64().filter(|time| *time >= 0.0);
        match text(&event["ph"]) {
            "M" if name == "thread_name" => {
                named.insert(number(&event["tid"]), text(&event["args"]["name"]).to_owned());
            }
            "M" => {}
            "X" => {
                let (from, length) = (time("ts").expect("a time"), time("dur").expect("a length"));
                slices.entry(number(&event["tid"])).or_default().push((from, from + length));
            }
            "i" => {
                assert!(time("ts").is_some() && event["s"] == "t", "{event}");
                assert!(named.contains_key(&number(&event["tid"])), "{event} is on no track");
                instants.insert(name);
            }
            "C" => {
                assert!(event["args"].as_object().is_some_and(|args| args.values().all(Value::is_number)));
                counters.insert(name);
            }
            other => panic!("phase {other}: {event}"),
        }
    }
    let tracks: Vec<&str> = named.values().map(String::as_str).collect();
    let vcpu = |n| [format!("vCPU {n}"), format!("vCPU {n} interrupts"), format!("vCPU {n} calls")];
    let expected: Vec<String> = [vec!["console and inputs".into()], vcpu(0).into(), vcpu(1).into()].concat();
    assert_eq!(tracks, expected);
    assert!(instants.contains("decrementer") && instants.contains("DEC expired"), "{instants:?}");
    assert!(counters.contains("vCPU 0 decrementer latency (us)"), "{counters:?}");
    // Each delivered interrupt is a handler, each call a slice.
    let told = race.json("events", &["--kind", "interrupt,exception"]).len();
    let calls = race.json("events", &["--kind", "hcall,rtas"]).len();
    let on = |name: &str| {
        let track = named.iter().find(|(_, known)| *known == name).expect("a track").0;
        slices.get(track).cloned().unwrap_or_default()
    };
    assert_eq!((on("vCPU 0 interrupts").len(), on("vCPU 0 calls").len()), (told, calls));
    assert!(told > 20 && calls > 5);
    for (track, slices) in slices {
        assert_nested(&named[&track], slices);
    }
}

#[test]
fn a_core_file_has_memory_and_registers_and_gdb_reads_it() {
    let race = Recorded::of(RACE, &["--cpus", "2", "--until-count", "600000"]);
    let core = race.path("vmcore");
    race.lines("dump", &["--at", "500000", "-o", &core]);
    let bytes = fs::read(&core).expect("the file");
    assert!(bytes.len() < 4 << 20, "zeros take no room: {} bytes", bytes.len());
    let elf = object::File::parse(&*bytes).expect("ELF");
    assert_eq!(elf.architecture(), object::Architecture::PowerPc64);
    assert_eq!(elf.kind(), object::ObjectKind::Core);
    // The segments are all of memory, without gaps, in the linear mapping.
    let mut segments: Vec<(u64, u64)> =
        elf.segments().map(|segment| (segment.address(), segment.size())).collect();
    segments.sort_unstable();
    let mut next = 0xc000_0000_0000_0000;
    for (address, size) in segments {
        assert_eq!(address, next);
        next += size;
    }
    assert_eq!(next, 0xc000_0000_0000_0000 + (64 << 20));
    let gdb = |commands: &[&str]| {
        let mut gdb = Command::new("gdb-multiarch");
        gdb.args(["-nx", "-batch"]);
        for command in commands {
            gdb.args(["-ex", command]);
        }
        let output = gdb.args([RACE, &core]).stdin(Stdio::null()).output();
        let output = output.expect("gdb-multiarch: run `cargo xtask setup`, which installs it");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // The registers are those that the trace says the next instruction has, and its word is in memory.
    let next = &race.json("trace", &["--from", "500000", "--to", "+1"])[0];
    let pc = number(&next["address"]);
    let said = gdb(&["info threads", "printf \"pc %lx\\n\", $pc", "printf \"msr %lx\\n\", $msr"]);
    assert!(said.contains("LWP 1") && said.contains("LWP 2"), "a thread for each vCPU: {said}");
    assert!(said.contains(&format!("pc {pc:x}")) && said.contains("msr 80000000"), "{pc:x}: {said}");
    let address = 0xc000_0000_0000_0000 + pc;
    let word = number(&next["word"]);
    let said = gdb(&[&format!("printf \"word %x\\n\", *(unsigned int *){address:#x}ul")]);
    assert!(said.contains(&format!("word {word:x}")), "{word:x}: {said}");
}

/// Linux keeps a text for crash tools; drgn and crash need it, and find everything else with it.
#[test]
fn a_core_file_of_linux_has_its_vmcoreinfo_and_its_linear_mapping() {
    const KERNEL: &str = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el/vmlinux";
    let image = fs::read(KERNEL).expect("the Debian kernel: run `cargo xtask setup`, which installs it");
    let arguments =
        ["--memory", "256M", "--append", "console=hvc0", "--until-count", "200000000", "--no-index"];
    let linux = Recorded::of(KERNEL, &arguments);
    let core = linux.path("vmcore");
    linux.lines("dump", &["-o", &core]);
    let bytes = fs::read(&core).expect("the file");
    let name = b"VMCOREINFO\0";
    let note = bytes.windows(name.len()).position(|window| window == name).expect("the note");
    // Before the name: its length, that of the text, the type; after it: the text, from the next multiple of 4 on.
    let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes")) as usize;
    assert_eq!((field(note - 12), field(note - 4)), (name.len(), 0));
    let content = (note + name.len()).next_multiple_of(4);
    let info = std::str::from_utf8(&bytes[content..content + field(note - 8)]).expect("text");
    assert!(info.starts_with("OSRELEASE=") && info.ends_with('\n'), "{info}");
    // Symbols are where the text and the kernel's own table say, and what they name is there.
    let kernel = object::File::parse(&*image).expect("ELF");
    let symbol = |wanted: &str| {
        let found = kernel.symbols().find(|symbol| symbol.name() == Ok(wanted));
        found.unwrap_or_else(|| panic!("no symbol {wanted}")).address()
    };
    assert!(info.contains(&format!("SYMBOL(_stext)={:x}\n", symbol("_stext"))), "{info}");
    let elf = object::File::parse(&*bytes).expect("ELF");
    let banner = symbol("linux_banner");
    let shown = elf.segments().find_map(|segment| segment.data_range(banner, 14).ok().flatten());
    assert_eq!(shown, Some(&b"Linux version "[..]));
}
