//! The binary `timebase`.

mod args;
mod commands;
mod complaint;
mod debugger;
mod demo;
mod disasm;
mod dump;
mod engine;
mod export;
mod index;
mod report;
mod script;
mod see;
mod verify;
mod world;

use clap::Parser;
use std::process::ExitCode;

#[global_allocator]
static MEMORY: timebase_host::Allocator = timebase_host::Allocator::new();

fn main() -> ExitCode {
    let result = match args::Args::try_parse() {
        Ok(args) => engine::choose(args.engine).and_then(|()| commands::run(args.command)),
        Err(error) => complaint::of_usage(error),
    };
    match result {
        Ok(status) => status.into(),
        Err(complaint) => {
            eprintln!("timebase: {complaint}");
            complaint.status.into()
        }
    }
}
