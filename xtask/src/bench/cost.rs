//! What recording costs beside running, what memory of the host is taken, and what compiling costs: all by the reports of
//! our own runs, made in turn.

use super::measure::{median, number};
use super::workloads::strings;
use super::{APPEND, Bench, HERE, LOGGER, PANIC};
use crate::packages::GUEST;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where it stands in docs/benchmarks.md.
pub const SECTION: &str = "Cost of recording, memory of the host, and compiling";

const MIB: f64 = 1048576.0;

/// The ways to go through a boot.
const WAYS: [&str; 4] = ["run", "record", "record --no-index", "replay"];

/// Runs ourselves and gives the report.
fn report(bench: &Bench, arguments: &[String]) -> Result<String, String> {
    let path = bench.file("report.json");
    let status = Command::new(HERE)
        .args(arguments)
        .args(["--report", &path])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|e| format!("{HERE}: {e}"))?;
    if !status.success() {
        return Err(format!("{HERE} {} ended with {status}", arguments.join(" ")));
    }
    std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))
}

/// The guest up to `end`, gone through in that way.
fn way(way: &str, recording: &str, guest: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = way.split(' ').map(String::from).collect();
    match way {
        "run" => arguments.extend(strings(guest)),
        "replay" => arguments.push(recording.into()),
        _ => arguments.extend(strings(&[&["-o", recording], guest].concat())),
    }
    arguments
}

/// The table.
pub fn cost(bench: &Bench, rounds: usize) -> Result<String, String> {
    let (kernel, initrd) = (format!("{GUEST}/vmlinux"), format!("{GUEST}/initrd.gz"));
    let guest = ["--memory", "1G", "--kernel", &kernel, "--append", APPEND];
    let short = [&guest[..], &["--until", PANIC]].concat();
    let long = [&guest[..], &["--initrd", &initrd, "--until", LOGGER]].concat();
    let recording = bench.file("cost.tb");
    let (mut seconds, mut per_instruction) = (vec![Vec::new(); WAYS.len()], Vec::new());
    let (mut begins, mut bytes) = (Vec::new(), 0.0);
    for round in 0..rounds {
        for (all, name) in seconds.iter_mut().zip(WAYS) {
            // A recording is begun anew, not written over.
            if name != "replay" && Path::new(&recording).exists() {
                std::fs::remove_file(&recording).map_err(|e| e.to_string())?;
            }
            let report = report(bench, &way(name, &recording, &short))?;
            let taken = number(&report, "host_cpu_seconds")?;
            eprintln!("xtask: round {}: {name}: {taken:.2} CPU s", round + 1);
            all.push(taken);
            let compiled = number(&report, "compiled_instructions")?;
            per_instruction.push(number(&report, "compile_nanoseconds")? / compiled / 1000.0);
            bytes = number(&report, "compiled_bytes")? / compiled;
        }
        let first = [&guest[..], &["--until-count", "1"]].concat();
        begins.push(number(&report(bench, &way("run", "", &first))?, "host_cpu_seconds")? * 1000.0);
    }
    let mut table = String::from(
        "| boot to the VFS panic | CPU s | against `run`, median of the rounds' ratios | goal |\n|---|---|---|---|\n",
    );
    for (name, all) in WAYS.iter().zip(&seconds) {
        let ratios: Vec<f64> = all.iter().zip(&seconds[0]).map(|(a, b)| a / b).collect();
        let goal = if *name == "record" { "<= 1.03" } else { "" };
        let _ = writeln!(table, "| `{name}` | {:.2} | {:.2}x | {goal} |", median(all), median(&ratios));
    }
    let least = per_instruction.iter().copied().fold(f64::INFINITY, f64::min);
    let _ = writeln!(
        table,
        "\n| compiling, per guest instruction | | goal |\n|---|---|---|\n\
         | microseconds: median, least | {:.2}, {least:.2} | <= 1.5 |\n| bytes of host code | {bytes:.1} | <= 60 |\n\
         | a start, to the first instruction, in CPU milliseconds | {:.0} | <= 50 |",
        median(&per_instruction),
        median(&begins)
    );
    table.push_str(
        "\n| boot to the system log daemon | resident at most, MiB | beside the guest's own pages | goal |\n|---|---|---|---|\n",
    );
    for name in WAYS {
        if name == "record" {
            std::fs::remove_file(&recording).map_err(|e| e.to_string())?;
        }
        let report = report(bench, &way(name, &recording, &long))?;
        let resident = number(&report, "host_memory_bytes")? / MIB;
        let own = number(&report, "memory_pages")? * 4096.0 / MIB;
        let _ = writeln!(table, "| `{name}` | {resident:.0} | {:.0} | <= 150 |", resident - own);
    }
    Ok(table)
}
