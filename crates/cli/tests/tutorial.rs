//! The transcripts of `docs/time-travel.md`, run again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const KERNEL: &str = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el/vmlinux";

/// A fenced block: its language, and its lines.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => open = Some((language.into(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line.into()),
            (None, None) => {}
        }
    }
    blocks
}

/// Commands after a prompt, each with what it is to print.
fn commands(prompt: &str, lines: &[String]) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        match line.strip_prefix(prompt) {
            Some(command) => commands.push((command.into(), Vec::new())),
            None => commands.last_mut().expect("a prompt first").1.push(line.clone()),
        }
    }
    commands
}

/// `expected` is what was printed; a line `...` stands for any lines. Where the guest is not ours, numbers may differ.
fn matches(expected: &[String], found: &[&str], same_guest: bool) -> bool {
    let same = |a: &str, b: &str| if same_guest { a == b } else { without_numbers(a) == without_numbers(b) };
    match expected.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=found.len()).any(|n| matches(rest, &found[n..], same_guest))
        }
        Some((first, rest)) => {
            found.first().is_some_and(|line| same(line, first)) && matches(rest, &found[1..], same_guest)
        }
    }
}

/// Runs of hexadecimal digits that begin with a digit become one `#`.
fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        match c {
            '0'..='9' | 'x' | 'a'..='f' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    out
}

/// Words of a shell's command line; single quotes keep them together.
fn words(line: &str) -> Vec<String> {
    let pieces = line.split('\'').enumerate();
    pieces
        .flat_map(|(n, piece)| match n % 2 {
            0 => piece.split_whitespace().map(String::from).collect::<Vec<_>>(),
            _ => vec![piece.to_owned()],
        })
        .collect()
}

struct Gdb {
    child: Child,
    /// The server's child.
    server: Child,
    port: String,
    screen: BufReader<std::process::ChildStdout>,
}

impl Gdb {
    /// The output of a command: up to the next prompt.
    fn read(&mut self) -> String {
        let mut seen = Vec::new();
        while !seen.ends_with(b"(gdb) ") {
            let mut byte = [0];
            std::io::Read::read_exact(&mut self.screen, &mut byte)
                .unwrap_or_else(|e| panic!("{e}: gdb said {}", String::from_utf8_lossy(&seen)));
            seen.push(byte[0]);
        }
        seen.truncate(seen.len() - 6);
        String::from_utf8_lossy(&seen).into_owned()
    }

    fn run(&mut self, command: &str) -> String {
        let command = command.replace(":1234", &format!(":{}", self.port));
        writeln!(self.child.stdin.as_mut().unwrap(), "{command}").unwrap();
        self.read().replace(&format!(":{}", self.port), ":1234")
    }
}

impl Drop for Gdb {
    fn drop(&mut self) {
        for child in [&mut self.child, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts the server of a `timebase replay ... --gdb`, checks what it says, and gdb at it.
fn start(arguments: &[String], expected: &[String], folder: &Path, program: &str) -> Gdb {
    let arguments: Vec<String> = arguments
        .iter()
        .flat_map(|word| match word.as_str() {
            "--gdb" => vec!["--gdb".into(), "127.0.0.1:0".into()],
            _ => vec![word.clone()],
        })
        .collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_timebase"));
    command.args(&arguments).current_dir(folder).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let port = line.trim_end().rsplit(':').next().unwrap_or_default().to_owned();
    let line = line.trim_end().replace(&format!(":{port}"), ":1234");
    assert!(matches(expected, &[&line], program != KERNEL), "{line}");
    // What it says later is of no interest, but must have somewhere to go.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    let script =
        format!("exec gdb-multiarch -nx -q -iex 'set width 0' -iex 'set confirm off' {program} 2>&1");
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .current_dir(Path::new(ROOT).join("guests/race"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gdb-multiarch: run `cargo xtask setup`, which installs it");
    let screen = BufReader::new(child.stdout.take().unwrap());
    let mut gdb = Gdb { child, server, port, screen };
    gdb.read();
    gdb
}

#[test]
fn the_transcripts_of_time_travel_are_as_printed() {
    assert!(
        Path::new(KERNEL).exists(),
        "no {KERNEL}: run `cargo xtask setup`, which installs the Debian guest"
    );
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/time-travel.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut gdb: Option<Gdb> = None;
    let mut program = String::new();
    let mut compared = 0;
    for (language, lines) in blocks(&text) {
        match language.as_str() {
            "console" => {
                for (command, expected) in commands("$ ", &lines) {
                    let mut arguments = words(&command);
                    assert_eq!(arguments.remove(0), "timebase");
                    for word in &mut arguments {
                        if word == "vmlinux" || word.ends_with(".elf") {
                            let guest = Path::new(ROOT).join(&word).to_str().unwrap().to_owned();
                            *word = if word == "vmlinux" { KERNEL.into() } else { guest };
                            program.clone_from(word);
                        }
                    }
                    if arguments[0] == "replay" {
                        drop(gdb.take());
                        gdb = Some(start(&arguments, &expected, folder.path(), &program));
                        continue;
                    }
                    let mut timebase = Command::new(env!("CARGO_BIN_EXE_timebase"));
                    let status = timebase.args(&arguments).current_dir(folder.path()).stdin(Stdio::null());
                    assert!(status.status().unwrap().success(), "{command}");
                }
            }
            "gdb" => {
                let gdb = gdb.as_mut().expect("a server first");
                for (command, expected) in commands("(gdb) ", &lines) {
                    let printed = gdb.run(&command);
                    let found: Vec<&str> = printed.lines().collect();
                    assert!(
                        matches(&expected, &found, program != KERNEL),
                        "{command}\n{printed}\ninstead of\n{}",
                        expected.join("\n")
                    );
                    compared += 1;
                }
            }
            _ => {}
        }
    }
    assert!(compared > 20, "{compared}");
}
