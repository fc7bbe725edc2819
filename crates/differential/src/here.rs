//! Blocks on the machine of this project.

use crate::layout::{DONE, GUEST, MEMORY, RECORD, RESULTS, Record, at, file, machine};
use timebase_cpu::Model;
use timebase_machine::{BoxedMachine, Config, Firmware, Images, Stop};

/// Which engine runs the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// The interpreter alone.
    Interpreter,
    /// The compiler, and the interpreter for what is not hot.
    Compiler,
}

/// Instructions after which a block is taken for one that never ends.
const ENDLESS: u64 = 100_000;
/// How often the compiler's guest runs code from the first of its states: often enough for it to become hot.
const TIMES: u64 = 40;

fn config(model: Model) -> Config {
    Config {
        machine: machine(model).into(),
        cpu: String::new(),
        memory_bytes: MEMORY,
        cpus: 1,
        append: String::new(),
        firmware: Firmware::Image,
        seed: 1,
        schedule_seed: 1,
        rtc_seconds: 0,
        rate_numerator: 2,
        rate_denominator: 1,
        threads: 1,
        sockets: 1,
    }
}

/// The result of each record; None where the machine does not come back.
pub fn run(model: Model, engine: Engine, records: &[Record]) -> Result<Vec<Option<Record>>, String> {
    let mut results: Vec<Option<Record>> = Vec::new();
    while results.len() < records.len() {
        let first = results.len();
        let mut machine = start(model, engine, records, first)?;
        let done = go(&mut machine, engine, first as u64, records.len() as u64)? as usize;
        for n in first..done {
            let mut record = Record::new();
            let bytes = machine.memory().read(RESULTS + (n * RECORD) as u64, &mut record.0[..RECORD]);
            bytes.map_err(|_| "results are not in memory".to_string())?;
            results.push(Some(record));
        }
        if done < records.len() {
            results.push(None);
        }
    }
    Ok(results)
}

/// Code is compiled for what MSR says of it.
fn begins(records: &[Record], n: usize) -> bool {
    let of = |n: usize| (records[n].place(), records[n].get(at::MSR));
    n == 0 || of(n) != of(n - 1)
}

fn start(model: Model, engine: Engine, records: &[Record], first: usize) -> Result<BoxedMachine, String> {
    let times = |n| if engine == Engine::Compiler && begins(records, n) { TIMES } else { 1 };
    let kernel = file(records, first, times);
    let images =
        Images { kernel: Some(kernel[..].into()), firmware: Some(GUEST[..].into()), ..Images::default() };
    let config = config(model);
    let built = match engine {
        Engine::Interpreter => timebase_machine::build(&config, &images),
        Engine::Compiler => {
            let compiler = timebase_jit::compiler(|| 0).ok_or("this host has no compiler")?;
            timebase_machine::with_compiler(&config, &images, compiler)
        }
    };
    built.map_err(|error| error.0)
}

/// Runs from the record `first` on until `count` are done, or one does not end. Returns how many are done.
fn go(machine: &mut BoxedMachine, engine: Engine, first: u64, count: u64) -> Result<u64, String> {
    let mut done = first;
    let endless = if engine == Engine::Compiler { ENDLESS * TIMES } else { ENDLESS };
    while done < count {
        let limit = machine.position().count + endless;
        match machine.run(limit) {
            Stop::Limit => {}
            Stop::Output => _ = machine.take_output(),
            Stop::Panic(_) | Stop::Idle { .. } => break,
            stop => return Err(format!("block {done}: {stop:?}")),
        }
        let now = machine.memory().read_u64(DONE).unwrap_or_default();
        if now == done {
            break;
        }
        done = now;
    }
    Ok(done)
}
