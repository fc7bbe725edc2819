//! Which engine executes instructions. It is no part of a recording: the guest cannot tell.

use crate::args::Engine;
use crate::complaint::{Complaint, Status};
use std::sync::OnceLock;
use timebase_host::clock::nanoseconds;
use timebase_machine::{BoxedMachine, Config, ConfigError, Images};

/// What `--engine` says.
static CHOICE: OnceLock<Engine> = OnceLock::new();

/// Takes note of `--engine`. An error if this host has none of that kind.
pub fn choose(engine: Engine) -> Result<(), Complaint> {
    if engine == Engine::Jit && timebase_jit::compiler(nanoseconds).is_none() {
        let text = "--engine jit: this host has no compiler, or does not let programs make code; use \
                    --engine auto";
        return Err(Status::Environment.because(text.to_string()));
    }
    CHOICE.get_or_init(|| engine);
    Ok(())
}

/// Builds a machine with the engine that was chosen.
pub fn machine(config: &Config, images: &Images) -> Result<BoxedMachine, ConfigError> {
    let compiler = match CHOICE.get() {
        Some(Engine::Interpreter) => None,
        Some(Engine::Auto | Engine::Jit) | None => timebase_jit::compiler(nanoseconds),
    };
    match compiler {
        Some(compiler) => timebase_machine::with_compiler(config, images, compiler),
        None => timebase_machine::build(config, images),
    }
}
