//! Bare-metal boots against the peer: CPU seconds, and bytes of history.

use super::measure::{End, median, number};
use super::workloads::strings;
use super::{APPEND, Bench, HERE, PANIC, PEER, Times};
use crate::packages::GUEST;
use std::fmt::Write as _;
use std::process::Command;

/// The machines, by the name that both sides know them by.
const MACHINES: [&str; 2] = ["powernv9", "powernv10"];
/// Settings of the peer's clock: 2 to this power nanoseconds to an instruction.
const SHIFTS: [u32; 2] = [3, 7];

/// Bytes of history, of one run after the other.
#[derive(Default)]
pub struct Histories {
    rows: Vec<(String, Vec<f64>)>,
}

impl Histories {
    fn add(&mut self, name: String, bytes: f64) {
        eprintln!("xtask: {name}: {bytes} bytes of history");
        match self.rows.iter_mut().find(|(known, _)| *known == name) {
            Some((_, all)) => all.push(bytes),
            None => self.rows.push((name, vec![bytes])),
        }
    }

    fn of(&self, name: &str) -> f64 {
        self.rows.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, all)| median(all))
    }
}

/// What a recording of ours holds beside the images, in bytes.
fn history(recording: &str) -> Result<f64, String> {
    let output = Command::new(HERE)
        .args(["info", "--json", recording])
        .output()
        .map_err(|e| format!("{HERE}: {e}"))?;
    number(&String::from_utf8_lossy(&output.stdout), "history_file_bytes")
}

/// Boots all machines on both, plain, recorded and replayed.
pub fn boots(bench: &mut Bench, histories: &mut Histories) -> Result<(), String> {
    let kernel = format!("{GUEST}/vmlinux");
    for machine in MACHINES {
        let ours = [
            &["--machine", machine, "--memory", "2G", "--idle", "skip"][..],
            &["--kernel", &kernel, "--append", APPEND, "--until", PANIC],
        ];
        let ours = strings(&ours.concat());
        let peers = [
            &["-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot", "-M", machine][..],
            &["-m", "2G", "-net", "none", "-kernel", &kernel, "-append", APPEND],
        ];
        let peers = strings(&peers.concat());
        let (recording, log) = (bench.file("bare.tb"), bench.file("bare.log"));
        let _ = std::fs::remove_file(&recording);
        bench.ours(&format!("{machine}: run"), &["run"], &ours, End::Exit(PANIC))?;
        bench.peers(&format!("{machine}: peer"), &[], &peers, End::Text(PANIC))?;
        bench.ours(&format!("{machine}: record"), &["record", "-o", &recording], &ours, End::Exit(PANIC))?;
        bench.ours(&format!("{machine}: replay"), &["replay", &recording], &[], End::Exit(PANIC))?;
        histories.add(machine.into(), history(&recording)?);
        for shift in SHIFTS {
            for way in ["record", "replay"] {
                let how = format!("shift={shift},rr={way},rrfile={log}");
                let name = format!("{machine}: peer, {way}, shift {shift}");
                bench.peers(&name, &["-icount", &how], &peers, End::Text(PANIC))?;
            }
            let bytes = std::fs::metadata(&log).map_err(|e| format!("{PEER}'s trace: {e}"))?.len() as f64;
            histories.add(format!("{machine}: peer, shift {shift}"), bytes);
        }
    }
    Ok(())
}

/// The table.
pub fn table(times: &Times, histories: &Histories) -> String {
    let mut table = String::from("| boot | here | the peer's | against it | goal |\n|---|---|---|---|---|\n");
    for machine in MACHINES {
        let mut row = |what: &str, here: f64, other: &str, theirs: f64, goal: &str| {
            let ratio = here / theirs;
            let _ = writeln!(
                table,
                "| {machine}: {what} | {here:.2} s | {theirs:.2} s, {other} | {ratio:.2}x | {goal} |"
            );
        };
        let of = |what: &str| times.of(&format!("{machine}: {what}"));
        row("run", of("run"), "plain", of("peer"), "");
        row("record", of("record"), "plain", of("peer"), "");
        for (way, goals) in [("record", ["", "<= 0.33"]), ("replay", ["", "<= 0.1"])] {
            for (shift, goal) in SHIFTS.iter().zip(goals) {
                let other = format!("{way}, shift {shift}");
                row(way, of(way), &other, of(&format!("peer, {other}")), goal);
            }
        }
        let here = histories.of(machine);
        let theirs = SHIFTS.map(|shift| histories.of(&format!("{machine}: peer, shift {shift}")));
        let _ = writeln!(
            table,
            "| {machine}: bytes of history | {here} | {}, {} | 1/{:.0}, 1/{:.0} | <= 65,536 |",
            theirs[0],
            theirs[1],
            theirs[0] / here,
            theirs[1] / here
        );
    }
    table
}
