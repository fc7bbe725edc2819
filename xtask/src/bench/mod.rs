//! The same work here and on the peer, in turn, as ratios of CPU seconds.
//!
//! Absolute figures of a shared machine mean little: what counts is the ratio of medians of runs made in one session,
//! one after the other.

mod bare_metal;
mod cost;
mod growth;
mod measure;
pub mod workloads;

use crate::packages::GUEST;
use crate::{Outcome, run};
use measure::{End, median};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use workloads::{Guest, initial_ram_disk, native, strings};

const HERE: &str = "target/release/timebase";
const PEER: &str = "qemu-system-ppc64";
const APPEND: &str = "console=hvc0 panic=-1";
const PANIC: &str = "VFS: Unable to mount root fs";
const BARE_METAL: &str = "Bare metal against the peer";
const LOGGER: &str = "Starting system log daemon";

/// CPU seconds of all runs of a kind, and their names.
#[derive(Default)]
struct Times {
    rows: Vec<(String, Vec<f64>)>,
}

impl Times {
    fn add(&mut self, name: &str, seconds: f64) {
        eprintln!("xtask: {name}: {seconds:.2} CPU s");
        match self.rows.iter_mut().find(|(known, _)| known == name) {
            Some((_, all)) => all.push(seconds),
            None => self.rows.push((name.into(), vec![seconds])),
        }
    }

    fn of(&self, name: &str) -> f64 {
        self.rows.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, all)| median(all))
    }
}

/// Where a bench keeps its files.
struct Bench {
    directory: tempfile::TempDir,
    ram_disk: PathBuf,
    native: PathBuf,
    times: Times,
}

impl Bench {
    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).to_string_lossy().into_owned()
    }

    fn ours(&mut self, name: &str, command: &[&str], rest: &[String], end: End) -> Outcome {
        let arguments = [strings(command), rest.to_vec()].concat();
        let taken = measure::run(HERE, &arguments, end)?;
        self.times.add(name, taken.seconds);
        Ok(())
    }

    fn peers(&mut self, name: &str, extra: &[&str], rest: &[String], end: End) -> Outcome {
        let arguments = [rest.to_vec(), strings(extra)].concat();
        let taken = measure::run(PEER, &arguments, end)?;
        self.times.add(name, taken.seconds);
        Ok(())
    }

    /// A boot to some text: plain, recorded and replayed, on both.
    fn boot(&mut self, name: &str, guest: &Guest, text: &str) -> Outcome {
        let until = strings(&["--until", text]);
        let ours = [guest.ours(), until].concat();
        let (recording, log) = (self.file("boot.tb"), self.file("boot.log"));
        let _ = std::fs::remove_file(&recording);
        self.ours(&format!("{name}: run"), &["run"], &ours, End::Exit(text))?;
        self.peers(&format!("{name}: peer"), &[], &guest.peers(), End::Text(text))?;
        self.ours(&format!("{name}: record"), &["record", "-o", &recording], &ours, End::Exit(text))?;
        self.ours(&format!("{name}: replay"), &["replay", &recording], &[], End::Exit(text))?;
        for shift in [3, 7] {
            let how = |way| format!("shift={shift},rr={way},rrfile={log}");
            let (record, replay) = (how("record"), how("replay"));
            self.peers(
                &format!("{name}: peer records, shift {shift}"),
                &["-icount", &record],
                &guest.peers(),
                End::Text(text),
            )?;
            self.peers(
                &format!("{name}: peer replays, shift {shift}"),
                &["-icount", &replay],
                &guest.peers(),
                End::Text(text),
            )?;
        }
        Ok(())
    }

    /// A workload: recorded here, plain there.
    fn work(&mut self, name: &str, options: &str, work: &str) -> Outcome {
        let ram_disk = self.ram_disk.clone();
        let append = format!("{APPEND} quiet {options} -- {work}");
        let guest = Guest { initrd: Some(&ram_disk), append, cpus: 1 };
        let text = "workload";
        let recording = self.file("work.tb");
        let _ = std::fs::remove_file(&recording);
        self.ours(&format!("{name}: record"), &["record", "-o", &recording], &guest.ours(), End::Exit(text))?;
        self.peers(&format!("{name}: peer"), &[], &guest.peers(), End::Exit(text))
    }

    /// A workload on the host itself.
    fn natively(&mut self, name: &str, work: &str) -> Outcome {
        let arguments: Vec<String> = work.split(' ').map(String::from).collect();
        let taken = measure::run(&self.native.to_string_lossy(), &arguments, End::Exit("workload"))?;
        self.times.add(&format!("{name}: native"), taken.seconds);
        Ok(())
    }
}

/// Workloads: name, kernel options, what `/init` does, goal.
const WORK: &[(&str, &str, &str, &str)] = &[
    ("integer", "", "integer 60000000", ">= 1.2"),
    ("memory and system calls", "", "memory 12", ">= 4"),
    ("vectors of doubles", "", "vector 50", ">= 6"),
    ("fork, exec, mmap (radix)", "", "processes 300", ">= 2"),
    ("fork, exec, mmap (hash)", "disable_radix", "processes 300", ">= 2"),
];

fn boots(times: &Times) -> String {
    let mut table = String::from("| boot | CPU s | against the peer's | goal |\n|---|---|---|---|\n");
    for (name, record_goal, replay_goal) in
        [("to VFS panic", "0.5", "0.25"), ("to system log daemon", "0.33", "0.25")]
    {
        let of = |what: &str| times.of(&format!("{name}: {what}"));
        let best = |way: &str| of(&format!("peer {way}, shift 3")).min(of(&format!("peer {way}, shift 7")));
        let mut row = |what: &str, seconds: f64, other: &str, theirs: f64, goal: &str| {
            let _ = writeln!(
                table,
                "| {name}: {what} | {seconds:.2} | {:.2}x of {other}, {theirs:.2} | {goal} |",
                seconds / theirs
            );
        };
        row("run", of("run"), "plain", of("peer"), "");
        row("record", of("record"), "plain", of("peer"), "<= 1.0");
        row(
            "record",
            of("record"),
            "record at its best shift",
            best("records"),
            &format!("<= {record_goal}"),
        );
        row(
            "replay",
            of("replay"),
            "replay at its best shift",
            best("replays"),
            &format!("<= {replay_goal}"),
        );
    }
    table
}

fn works(times: &Times) -> String {
    let mut table = String::from(
        "| workload, without the boot | CPU s, recording | the peer's CPU s, plain | speed against the peer | goal | CPU s of the host by itself |\n\
         |---|---|---|---|---|---|\n",
    );
    for &(name, options, _, goal) in WORK {
        let none = if options.is_empty() { "nothing" } else { "nothing (hash)" };
        let net = |way: &str| times.of(&format!("{name}: {way}")) - times.of(&format!("{none}: {way}"));
        let (ours, theirs) = (net("record"), net("peer"));
        // What makes processes needs the guest's kernel.
        let native = times.of(&format!("{name}: native"));
        let native = if native.is_nan() { "".into() } else { format!("{native:.2}") };
        let _ = writeln!(
            table,
            "| {name} | {ours:.2} | {theirs:.2} | {:.1}x | {goal} | {native} |",
            theirs / ours
        );
    }
    table
}

/// Runs the tables; `arguments`: number of rounds (default 3), `growth` for the tables of how speed changes with size,
/// `powernv` for that of bare-metal boots, `cost` for what recording, memory and compiling cost, and `--write` to keep the
/// result in docs/benchmarks.md.
pub fn bench(arguments: &[String]) -> Outcome {
    let given = |what: &str| arguments.iter().any(|argument| argument == what);
    let rounds: usize = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(3);
    run("cargo", &["build", "--release", "--quiet", "--package", "timebase"])?;
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let ram_disk = initial_ram_disk(directory.path())?;
    let native = native(directory.path())?;
    let mut bench = Bench { directory, ram_disk, native, times: Times::default() };
    let (section, table) = if given("growth") {
        ("Growth", growth::growth(&bench)?)
    } else if given("cost") {
        (cost::SECTION, cost::cost(&bench, rounds)?)
    } else if given("powernv") {
        let mut histories = bare_metal::Histories::default();
        for _ in 0..rounds {
            bare_metal::boots(&mut bench, &mut histories)?;
        }
        (BARE_METAL, bare_metal::table(&bench.times, &histories))
    } else {
        all(&mut bench, rounds)?;
        ("Against the peer", format!("{}\n{}", boots(&bench.times), works(&bench.times)))
    };
    print!("{table}");
    if given("--write") { write(section, rounds, &table) } else { Ok(()) }
}

fn all(bench: &mut Bench, rounds: usize) -> Outcome {
    let initrd = PathBuf::from(format!("{GUEST}/initrd.gz"));
    let kernel_alone = Guest { initrd: None, append: APPEND.into(), cpus: 1 };
    let installer = Guest { initrd: Some(Path::new(&initrd)), append: APPEND.into(), cpus: 1 };
    for _ in 0..rounds {
        bench.boot("to VFS panic", &kernel_alone, PANIC)?;
        bench.work("nothing", "", "none")?;
        bench.work("nothing (hash)", "disable_radix", "none")?;
        for &(name, options, work, _) in WORK {
            bench.work(name, options, work)?;
            if !work.starts_with("processes") {
                bench.natively(name, work)?;
            }
        }
    }
    // The longest runs are made once.
    bench.boot("to system log daemon", &installer, LOGGER)
}

/// Puts a table in its section of docs/benchmarks.md; what is measured by other means stays.
fn write(section: &str, rounds: usize, table: &str) -> Outcome {
    const FILE: &str = "docs/benchmarks.md";
    let how = match section {
        "Growth" => {
            "Made by `cargo xtask bench growth --write`: one run each, in turn; what takes less than 0.2 s \
                     beside the boot\nis in its noise."
                .to_string()
        }
        cost::SECTION => format!(
            "Made by `cargo xtask bench cost {rounds} --write`: {rounds} rounds in turn, medians. Guest: the Debian\n\
             installer's kernel, 1 GiB, power9, one vCPU."
        ),
        BARE_METAL => format!(
            "Made by `cargo xtask bench powernv {rounds} --write`: in turn, medians of {rounds} rounds. A boot by\n\
             skiboot to the VFS panic, 2 GiB, one vCPU, CPU seconds (user and system). The peer has no snapshot at the\n\
             start, which would cost it more. History is what a recording holds beside the images; the peer's is its\n\
             trace. It has the devices of its machine here, as ours has: PCI host bridges without devices above all.\n\
             Backwards the peer does not go on these machines: every seek hangs."
        ),
        _ => format!(
            "Made by `cargo xtask bench {rounds} --write`: runs in turn on one machine, medians of CPU seconds (user\n\
             and system) of {rounds} rounds, of one for the boot to the system log daemon. Guest: the Debian installer's\n\
             netboot kernel, 2 GiB, power9, one vCPU. What workloads do: `guests/workloads`."
        ),
    };
    let old = std::fs::read_to_string(FILE).map_err(|e| format!("{FILE}: {e}"))?;
    let heading = format!("\n## {section}\n");
    let text = format!("{heading}\n{how}\n\n{table}");
    let new = match old.find(&heading) {
        Some(from) => {
            let rest = &old[from + heading.len()..];
            let to = rest.find("\n## ").map_or("", |at| &rest[at..]);
            old[..from].to_string() + &text + to
        }
        None => old + &text,
    };
    std::fs::write(FILE, new).map_err(|e| format!("{FILE}: {e}"))
}
