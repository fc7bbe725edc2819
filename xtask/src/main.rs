//! The developers' own commands: `cargo xtask help`.

mod bench;
mod guest;
mod isa;
mod kvm;
mod packages;
mod tidy;

use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask COMMAND

  test [ARGS]  install what the tests need, then run all of them (ARGS go to the test runner)
  setup        only install: guest packages, cross compilers
  check        formatting, clippy with warnings denied, tidy
  tidy         the project's own rules
  guest        rebuild the small guests; `guest --check` compares them with the committed images
  isa          list the instructions: defined, with which vectors, how compiled; fails if the books have more
  diff [all]   compare with the peer: every computational instruction in its user mode, and blocks of all instructions
               in all states on its bare-metal machines; all: more than ten million times;
               `diff corpus`: write the blocks anew that tests repeat without the peer
  fuzz [SECS]  feed the gdb server with hostile bytes (cargo-fuzz; default 60 seconds)
  bench [N]    boots and workloads here and on the peer in turn, N rounds (3); `--write` keeps the table in docs;
               `bench growth`: how speed changes with vCPUs, memory, code and interrupts;
               `bench powernv`: boots of bare-metal machines;
               `bench cost`: what recording, the host's memory and compiling cost
  kvm FOLDER   Linux's KVM starts a guest on bare-metal machines; FOLDER has kvm.ko and kvm-hv.ko of the guest's kernel
";

/// Why a command failed: one line.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let outcome = match command.as_str() {
        "test" => packages::install().and_then(|()| test(&rest)),
        "setup" => packages::install(),
        "check" => check(),
        "tidy" => tidy::tidy(),
        "kvm" => packages::install().and_then(|()| kvm::kvm(&rest)),
        "guest" => guest::build(rest.first().is_some_and(|flag| flag == "--check")),
        "isa" => isa::list(),
        "diff" => diff(rest.first().map_or("", String::as_str)),
        "fuzz" => fuzz(rest.first().map_or("60", String::as_str)),
        "bench" => packages::install_peer().and_then(|()| bench::bench(&rest)),
        "" | "help" | "--help" | "-h" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => Err(format!("unknown command `{other}`; see `cargo xtask help`")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a program; its failure is an error that names it.
fn run(program: &str, arguments: &[&str]) -> Outcome {
    let shown = format!("{program} {}", arguments.join(" "));
    match Command::new(program).args(arguments).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed: {status}")),
        Err(error) => Err(format!("`{shown}` could not be started: {error}")),
    }
}

fn exists(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// All tests: under nextest where it is installed, else under cargo test; and the documentation's.
fn test(arguments: &[String]) -> Outcome {
    let extra: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run("cargo", &["test", "--workspace", "--doc", "--quiet"])?;
    let runner: &[&str] = if exists("cargo", "nextest") || exists("cargo-nextest", "--version") {
        &["nextest", "run"]
    } else {
        &["test"]
    };
    run("cargo", &[runner, &["--workspace"], &extra].concat())
}

/// Runs the fuzzer, which needs flags of the compiler that are not stable yet.
fn fuzz(seconds: &str) -> Outcome {
    if !exists("cargo-fuzz", "--version") {
        run("cargo", &["install", "cargo-fuzz", "--locked", "--quiet"])?;
    }
    let limit = format!("-max_total_time={seconds}");
    let fuzzer = ["fuzz", "run", "--fuzz-dir", "fuzz", "gdb_packets", "--", &limit, "-timeout=60"];
    let status = Command::new("cargo").args(fuzzer).env("RUSTC_BOOTSTRAP", "1").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the fuzzer ended with {status}: its input is in fuzz/artifacts")),
        Err(error) => Err(format!("cargo fuzz: {error}")),
    }
}

/// The comparison with the peer: single computational instructions in its user mode, then blocks of all instructions on
/// its bare-metal machines.
fn diff(what: &str) -> Outcome {
    const DIFFERENTIAL: &[&str] =
        &["run", "--release", "--quiet", "--package", "timebase-differential", "--"];
    packages::install_peer()?;
    let (tests, blocks): (&[&str], &[&str]) = match what {
        "" => (&["peer::peer", "peer::peer_big_endian"], &["200000", "1"]),
        "all" => (&["peer::peer_at_length"], &["10000000", "2"]),
        "corpus" => (&[], &["corpus", "400"]),
        other => return Err(format!("diff: unknown `{other}`; see `cargo xtask help`")),
    };
    if what == "corpus" {
        return write_corpus(&[DIFFERENTIAL, blocks].concat());
    }
    let package = ["test", "--package", "timebase-isa", "--test", "instructions"];
    let options = ["--", "--ignored", "--exact", "--nocapture"];
    run("cargo", &[&package[..], &options, tests].concat())?;
    run("cargo", &[DIFFERENTIAL, blocks].concat())
}

/// Writes what the peer confirmed anew, for the tests that have no peer.
fn write_corpus(command: &[&str]) -> Outcome {
    let output = Command::new("cargo").args(command).stderr(std::process::Stdio::inherit()).output();
    match output {
        Ok(output) if output.status.success() => {
            std::fs::write("crates/differential/tests/corpus.txt", output.stdout)
                .map_err(|e| format!("corpus.txt: {e}"))
        }
        Ok(output) => Err(format!("the corpus was not confirmed: {}", output.status)),
        Err(error) => Err(format!("cargo: {error}")),
    }
}

fn check() -> Outcome {
    run("cargo", &["fmt", "--all", "--check"])?;
    run("cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    guest::build(true)?;
    tidy::tidy()
}
