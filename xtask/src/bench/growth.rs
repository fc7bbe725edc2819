//! How speed changes with vCPUs, working set, size of code and interrupts: guest MIPS here, and the time of the peer.

use super::measure::{self, End};
use super::workloads::{Guest, strings};
use super::{APPEND, Bench, HERE, PEER};
use std::fmt::Write as _;

/// What grows: name, vCPUs, what `/init` does.
const ROWS: &[(&str, u32, &str)] = &[
    ("1 vCPU", 1, "together 1 100000000"),
    ("2 vCPUs", 2, "together 2 100000000"),
    ("4 vCPUs", 4, "together 4 100000000"),
    ("8 vCPUs", 8, "together 8 100000000"),
    ("loads from 1 MiB", 1, "reach 1 20000000"),
    ("loads from 16 MiB", 1, "reach 16 20000000"),
    ("loads from 128 MiB", 1, "reach 128 20000000"),
    ("loads from 1 GiB", 1, "reach 1024 20000000"),
    ("10 KiB of code", 1, "code 10 20000000"),
    ("256 KiB of code", 1, "code 256 20000000"),
    ("4 MiB of code", 1, "code 4096 20000000"),
    ("16 MiB of code", 1, "code 16384 20000000"),
    ("timer at 100 Hz", 1, "timer 100 30000000"),
    ("timer at 1 kHz", 1, "timer 1000 30000000"),
    ("timer at 10 kHz", 1, "timer 10000 30000000"),
    ("timer at 100 kHz", 1, "timer 100000 30000000"),
];

/// CPU seconds here, instructions, CPU seconds of the peer.
fn measured(bench: &Bench, cpus: u32, work: &str) -> Result<(f64, f64, f64), String> {
    let append = format!("{APPEND} quiet -- {work}");
    let guest = Guest { initrd: Some(&bench.ram_disk), append, cpus };
    let report = bench.file("report.json");
    let ours = [strings(&["run", "--report", &report]), guest.ours()].concat();
    let here = measure::run(HERE, &ours, End::Exit("workload"))?.seconds;
    let text = std::fs::read_to_string(&report).map_err(|e| e.to_string())?;
    let instructions = text.lines().find_map(|line| line.trim().strip_prefix("\"instructions\": "));
    let instructions = instructions.and_then(|n| n.trim_end_matches(',').parse().ok());
    let instructions: f64 = instructions.ok_or("the report has no count of instructions")?;
    let there = measure::run(PEER, &guest.peers(), End::Exit("workload"))?.seconds;
    Ok((here, instructions, there))
}

/// The table.
pub fn growth(bench: &Bench) -> Result<String, String> {
    let mut table = String::from(
        "| work, without the boot | guest MIPS | CPU s | the peer's CPU s, plain | speed against the peer |\n\
         |---|---|---|---|---|\n",
    );
    let mut nothing = Vec::<(u32, (f64, f64, f64))>::new();
    for &(name, cpus, work) in ROWS {
        if !nothing.iter().any(|(of, _)| *of == cpus) {
            nothing.push((cpus, measured(bench, cpus, "none")?));
        }
        let none = nothing.iter().find(|(of, _)| *of == cpus).map_or((0.0, 0.0, 0.0), |(_, none)| *none);
        let all = measured(bench, cpus, work)?;
        let (here, instructions, there) = (all.0 - none.0, all.1 - none.1, all.2 - none.2);
        eprintln!("xtask: {name}: {here:.2} CPU s here, {there:.2} there");
        // Less than this is the noise of the boot that is taken off.
        let told = |text: String, enough: bool| if enough { text } else { String::from("too short to tell") };
        let mips = told(format!("{:.0}", instructions / here / 1e6), here >= 0.2);
        let speed = told(format!("{:.1}x", there / here), here >= 0.2 && there >= 0.2);
        let _ = writeln!(table, "| {name} | {mips} | {here:.2} | {there:.2} | {speed} |");
    }
    Ok(table)
}
