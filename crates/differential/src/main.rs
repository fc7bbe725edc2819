//! The command behind `cargo xtask diff`: `timebase-differential BLOCKS SEED`, or `timebase-differential corpus BLOCKS`,
//! which prints a new corpus for tests.

use std::process::ExitCode;
use timebase_cpu::Model;
use timebase_differential::here::Engine;
use timebase_differential::session::{self, Report};

/// Blocks of each model that run on the compiler too, which has to run each of them often.
const COMPILED: usize = 4_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["corpus", blocks] => blocks.parse().map(corpus),
        [blocks, seed] => blocks.parse().and_then(|blocks| seed.parse().map(|seed| compare(blocks, seed))),
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
    eprintln!("differential: say how many blocks and which seed, or `corpus` and how many blocks");
    ExitCode::from(2)
}

fn corpus(blocks: usize) -> Result<bool, String> {
    print!("{}", session::corpus(blocks)?);
    Ok(true)
}

fn compare(blocks: usize, seed: u64) -> Result<bool, String> {
    let models = [Model::Power9, Model::Power10];
    let mut report = Report::default();
    let compiled = COMPILED.min(blocks / 2);
    session::run(&models, compiled, seed, &[Engine::Interpreter, Engine::Compiler], &mut report)?;
    session::run(&models, blocks - compiled, seed + 1, &[Engine::Interpreter], &mut report)?;
    print(&report);
    Ok(report.unexplained.is_empty())
}

fn print(report: &Report) {
    for (what, (count, example)) in &report.unexplained {
        println!("{what}: {count} times; {example}");
    }
    println!("instructions executed in blocks, by family:");
    for (family, count) in &report.families {
        println!("{count:>12}  {family}");
    }
    let all: u64 = report.families.values().sum();
    println!("{all:>12}  in {} blocks", report.blocks);
    println!(
        "{:>12}  repeated alone, of {} blocks that differed for a reason that is known",
        report.repeated, report.differed
    );
    println!("{} kinds of unexplained mismatches", report.unexplained.len());
}
