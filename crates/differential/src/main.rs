//! The command behind `cargo xtask diff`: `timebase-differential EXECUTIONS SEED [FIRST]`, which compares, from
//! block FIRST of each model on, or `timebase-differential corpus BLOCKS`, which prints a new corpus for tests.

use std::process::ExitCode;
use timebase_cpu::Model;
use timebase_differential::here::Engine;
use timebase_differential::session::{self, Report};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["corpus", blocks] => blocks.parse().map(corpus),
        [executions, seed] => numbers([executions, seed, "0"]).map(compare),
        [executions, seed, first] => numbers([executions, seed, first]).map(compare),
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
    eprintln!(
        "differential: say how many executions, which seed and perhaps from which block on, or `corpus` and how many blocks"
    );
    ExitCode::from(2)
}

fn corpus(blocks: usize) -> Result<bool, String> {
    print!("{}", session::corpus(blocks)?);
    Ok(true)
}

fn numbers(texts: [&str; 3]) -> Result<[u64; 3], std::num::ParseIntError> {
    let [a, b, c] = texts.map(str::parse);
    Ok([a?, b?, c?])
}

fn compare([executions, seed, first]: [u64; 3]) -> Result<bool, String> {
    let mut report = Report::default();
    let engines = [Engine::Interpreter, Engine::Compiler];
    for model in [Model::Power9, Model::Power10] {
        session::run(model, executions / 2, [seed, first], &engines, &mut report)?;
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
