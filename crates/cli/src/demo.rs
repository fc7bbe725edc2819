//! `timebase demo`: the main job shown on real guests, with all set-up. It runs the very commands that it prints.

use crate::args::{Args, Demo};
use crate::commands;
use crate::complaint::{Complaint, Status};
use clap::Parser;
use std::path::Path;
use std::process::Command;

/// The embedded guest: a decrementer handler and a main loop that race.
const RACE: &[u8] = include_bytes!("../../../guests/race/race.elf");

/// Where the distribution's package puts the Debian installer's kernel.
const DEBIAN: &str = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el/vmlinux";
const PACKAGE: &str = "debian-installer-12-netboot-ppc64el";

/// Runs the demonstration.
pub fn demo(demo: &Demo) -> Result<Status, Complaint> {
    let folder = demo.folder.to_string_lossy();
    std::fs::create_dir_all(&demo.folder)
        .and_then(|()| std::fs::write(demo.folder.join("race.elf"), RACE))
        .map_err(|error| Status::Environment.because(format!("cannot write to {folder}: {error}")))?;
    say(
        "The embedded guest: its timer interrupt and its main loop share a counter, and a race loses updates.",
    );
    let kernel = format!("{folder}/race.elf");
    round(&format!("{folder}/race.tb"), &["--kernel", &kernel, "--memory", "64M"])?;
    if demo.debian && !Path::new(DEBIAN).exists() {
        fetch()?;
    }
    if !Path::new(DEBIAN).exists() {
        say(&format!(
            "Linux is not on this machine: `timebase demo --debian` fetches the package {PACKAGE}."
        ));
        return Ok(Status::Done);
    }
    say("Linux: the Debian installer's kernel, to the panic that it has no root file system.");
    let until = "VFS: Unable to mount root fs";
    let append = "console=hvc0 panic=-1";
    round(&format!("{folder}/linux.tb"), &["--kernel", DEBIAN, "--append", append, "--until", until])?;
    Ok(Status::Done)
}

/// Records a guest, tells what is in the recording, replays it and verifies it.
fn round(file: &str, guest: &[&str]) -> Result<(), Complaint> {
    run(&[&["record", "-o", file], guest].concat())?;
    run(&["info", file])?;
    say("The same history again, from that one file:");
    run(&["replay", file])?;
    run(&["verify", file])
}

fn say(text: &str) {
    eprintln!("\n# {text}");
}

/// Shows a command and runs it.
fn run(words: &[&str]) -> Result<(), Complaint> {
    let quoted = |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_string() };
    eprintln!("\n$ timebase {}", words.iter().map(quoted).collect::<Vec<_>>().join(" "));
    let args = Args::try_parse_from([&["timebase"], words].concat())
        .map_err(|error| Status::Usage.because(format!("demo: {error}")))?;
    match commands::run(args.command)? {
        Status::Done => Ok(()),
        status => Err(status.because("the demonstration did not end as it should")),
    }
}

/// Installs the Debian guest with the distribution's package tools.
fn fetch() -> Result<(), Complaint> {
    say(&format!("Fetching the package {PACKAGE}."));
    let apt =
        |arguments: &[&str]| Command::new("apt-get").args(arguments).status().is_ok_and(|s| s.success());
    if apt(&["update", "-qq"]) && apt(&["install", "-y", "-qq", "--no-install-recommends", PACKAGE]) {
        return Ok(());
    }
    Err(Status::Environment.because(format!(
        "could not install {PACKAGE}: install it as root (`apt-get install {PACKAGE}`) and run the demo again"
    )))
}
