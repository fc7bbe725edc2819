//! The command behind `cargo xtask diff`: `timebase-differential EXECUTIONS SEED`, which compares, or
//! `timebase-differential corpus BLOCKS`, which prints a new corpus for tests.

use std::process::ExitCode;
use timebase_cpu::Model;
use timebase_differential::here::Engine;
use timebase_differential::session::{self, Report};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["corpus", blocks] => blocks.parse().map(corpus),
        [executions, seed] => {
            executions.parse().and_then(|executions| seed.parse().map(|seed| compare(executions, seed)))
        }
        _ => return usage(),
    };
    match done {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::FAILURE,
        Ok(Err(why)) => {
            eprintln!("differential: {why}");
            ExitCode::FAILURE
        }
        Err(_) => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("differential: say how many executions and which seed, or `corpus` and how many blocks");
    ExitCode::from(2)
}

fn corpus(blocks: usize) -> Result<bool, String> {
    print!("{}", session::corpus(blocks)?);
    Ok(true)
}

fn compare(executions: u64, seed: u64) -> Result<bool, String> {
    let mut report = Report::default();
    let engines = [Engine::Interpreter, Engine::Compiler];
    for model in [Model::Power9, Model::Power10] {
        session::run(model, executions / 2, seed, &engines, &mut report)?;
    }
    print(&report);
    Ok(report.unexplained.is_empty())
}

fn print(report: &Report) {
    for (what, (count, example)) in &report.unexplained {
        println!("{what}: {count} times; {example}");
    }
    println!("known faults of the peer, and what is undefined, by executions:");
    let mut known: Vec<_> = report.known.iter().collect();
    known.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (why, count) in known {
        println!("{count:>12}  {why}");
    }
    println!("executions of instructions that were compared, by family:");
    for (family, count) in &report.families {
        println!("{count:>12}  {family}");
    }
    println!("by the state that blocks begin in:");
    for (state, count) in &report.states {
        println!("{count:>12}  {state}");
    }
    let [big, little] = report.orders;
    println!("{big:>12}  big-endian\n{little:>12}  little-endian");
    let total = report.total();
    println!(
        "{total:>12}  of {} definitions, in {} runs of {} blocks",
        report.executed.len(),
        report.runs,
        report.blocks
    );
    println!("{:>12}  repeated alone, from {} runs that differed", report.repeated, report.differed);
    println!("{:>12}  runs that did not differ when they were repeated", report.again);
    println!("{} kinds of unexplained mismatches", report.unexplained.len());
}
