//! The same boot here and on the peer, in turn, as ratios of CPU seconds.
//!
//! Absolute figures of a shared machine mean little: what counts is the ratio of medians of runs made in one session,
//! one after the other.

use crate::packages::GUEST;
use crate::{Outcome, run};
use std::fmt::Write as _;
use std::process::{Command, Stdio};

const APPEND: &str = "console=hvc0 panic=-1";
const END: &str = "VFS: Unable to mount root fs";

/// CPU seconds (user and system) of a command that ends by itself after the panic; a hang is ended.
fn cpu_seconds(program: &str, arguments: &[String]) -> Result<f64, String> {
    let before = children_seconds()?;
    let output = Command::new("timeout")
        .args(["120", program])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if !String::from_utf8_lossy(&output.stdout).contains(END) {
        return Err(format!("{program} did not reach `{END}`"));
    }
    Ok(children_seconds()? - before)
}

/// CPU seconds of all children that have ended, from the kernel's own account of this process.
fn children_seconds() -> Result<f64, String> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|e| e.to_string())?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    // Fields 16 and 17 of proc(5), in ticks of 1/100 s.
    Ok((ticks(13) + ticks(14)) / 100.0)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.into()).collect()
}

/// Runs the table; `arguments`: number of pairs (default 3), and `--write` to keep the result in docs/benchmarks.md.
pub fn bench(arguments: &[String]) -> Outcome {
    let pairs: usize = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(3);
    run("cargo", &["build", "--release", "--quiet", "--package", "timebase"])?;
    let kernel = format!("{GUEST}/vmlinux");
    let here = "target/release/timebase";
    let common = [
        "--machine",
        "pseries",
        "--cpu",
        "power9",
        "--memory",
        "1G",
        "--kernel",
        &kernel,
        "--append",
        APPEND,
    ];
    let ours = |command: &[&str]| strings(&[command, &common, &["--until", END, "--idle", "skip"]].concat());
    let recording = std::env::temp_dir().join("timebase-bench.tb");
    let recording = recording.to_string_lossy();
    let peer = |extra: &[&str]| {
        let base =
            ["-display", "none", "-nodefaults", "-serial", "stdio", "-no-reboot", "-M", "pseries,x-vof=on"];
        let rest = ["-cpu", "power9", "-m", "1G", "-kernel", &kernel, "-append", APPEND];
        strings(&[&base[..], &rest, extra].concat())
    };
    let mut rows: Vec<(&str, Vec<f64>)> = vec![
        ("timebase run (interpreter)", vec![]),
        ("timebase record (interpreter)", vec![]),
        ("timebase replay (interpreter)", vec![]),
        ("peer, plain", vec![]),
    ];
    for _ in 0..pairs {
        let _ = std::fs::remove_file(&*recording);
        rows[0].1.push(cpu_seconds(here, &ours(&["run"]))?);
        rows[3].1.push(cpu_seconds("qemu-system-ppc64", &peer(&[]))?);
        rows[1].1.push(cpu_seconds(here, &ours(&["record", "-o", &recording]))?);
        rows[2].1.push(cpu_seconds(here, &strings(&["replay", &recording]))?);
    }
    let _ = std::fs::remove_file(&*recording);
    let plain = median(&mut rows[3].1.clone());
    let mut table = format!(
        "| boot to `{END}` | CPU s, median of {pairs} | against the peer's plain run |\n|---|---|---|\n"
    );
    for (name, values) in &mut rows {
        let seconds = median(values);
        let _ = writeln!(table, "| {name} | {seconds:.2} | {:.2}x |", seconds / plain);
    }
    print!("{table}");
    if arguments.iter().any(|argument| argument == "--write") {
        let made = format!(
            "Made by `cargo xtask bench {pairs} --write`: runs in turn on one machine, medians of CPU"
        );
        let rest = "seconds (user and system). Compare ratios, not absolutes.";
        let guest = "Guest: the Debian installer's netboot kernel, 1 GiB, power9, one vCPU.";
        let text = format!("# Benchmarks\n\n{made}\n{rest}\n{guest}\n\n{table}");
        // What is measured by other means stands below and stays.
        let old = std::fs::read_to_string("docs/benchmarks.md").unwrap_or_default();
        let kept = old.find("\n## ").map_or("", |at| &old[at..]);
        std::fs::write("docs/benchmarks.md", text + kept).map_err(|e| format!("docs/benchmarks.md: {e}"))?;
    }
    Ok(())
}
