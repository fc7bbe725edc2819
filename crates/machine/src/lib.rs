//! Machines: wiring, firmware interfaces, scheduling of vCPUs.
//!
//! A machine is a pure object ([`Machine`]): it runs up to a count, takes inputs at positions, gives outputs. What
//! is common to all machines stands here; each machine has a folder.
#![no_std]
extern crate alloc;

pub mod api;
mod chassis;
pub mod debug;
mod image;
pub mod observe;
mod powernv;
mod pseries;
mod schedule;
mod tree;

pub use api::*;

use alloc::boxed::Box;
use alloc::format;
use timebase_cpu::compiled::Compiler;
use timebase_cpu::{Engine, Interpreter, Model};
pub use timebase_cpu::{Register, Vcpu};
pub use timebase_memory::{Memory, Space, Watchpoint};

/// Builds the machine that `config` names, run by the interpreter.
pub fn build(config: &Config, images: &Images) -> Result<BoxedMachine, ConfigError> {
    let model = model(config)?;
    with_engine(config, images, Box::new(Interpreter::new(model)))
}

/// Builds the machine that `config` names; `compiler` makes host code of what is hot.
pub fn with_compiler(
    config: &Config,
    images: &Images,
    compiler: Box<dyn Compiler>,
) -> Result<BoxedMachine, ConfigError> {
    let model = model(config)?;
    with_engine(config, images, Box::new(Interpreter::with_compiler(model, compiler)))
}

fn model(config: &Config) -> Result<Model, ConfigError> {
    let cpu = match config.machine.as_str() {
        "powernv9" => "power9",
        "powernv10" => "power10",
        _ => &config.cpu,
    };
    Model::named(cpu)
        .ok_or_else(|| ConfigError(format!("unknown CPU `{}`: use power9 or power10", config.cpu)))
}

/// Builds the machine that `config` names, run by `engine`.
pub fn with_engine(
    config: &Config,
    images: &Images,
    engine: Box<dyn Engine>,
) -> Result<BoxedMachine, ConfigError> {
    match config.machine.as_str() {
        "pseries" => Ok(Box::new(pseries::Pseries::cold(config, images, model(config)?, engine)?)),
        "powernv9" | "powernv10" => {
            Ok(Box::new(powernv::Powernv::cold(config, images, model(config)?, engine)?))
        }
        other => Err(ConfigError(format!("unknown machine `{other}`: use pseries, powernv9 or powernv10"))),
    }
}
