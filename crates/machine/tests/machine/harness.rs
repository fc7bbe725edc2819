//! What the tests of machines share: building one, running it to its end, small guests, a random number generator.

use timebase_machine::{BoxedMachine, Config, Firmware, Images, Stop, build, with_compiler};
use timebase_state::Digest;

pub fn config() -> Config {
    Config {
        machine: "pseries".into(),
        cpu: "power9".into(),
        memory_bytes: 64 << 20,
        cpus: 1,
        append: String::new(),
        firmware: Firmware::BuiltIn,
        seed: 1,
        schedule_seed: 2,
        rtc_seconds: 1_767_225_600,
        rate_numerator: 2,
        rate_denominator: 1,
        threads: 1,
        sockets: 1,
    }
}

/// A sequence of random numbers.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        timebase_state::random::draw(&mut self.0)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The embedded default guest.
pub const RACE: &[u8] = include_bytes!("../../../../guests/race/race.elf");

/// A machine with the compiler of this host, if it has one.
pub fn built(config: &Config, images: Images) -> BoxedMachine {
    match timebase_jit::compiler(|| 0) {
        Some(compiler) => with_compiler(config, &images, compiler),
        None => build(config, &images),
    }
    .map_err(|e| e.0)
    .expect("the configuration is good")
}

pub fn machine_with(config: &Config, kernel: &[u8]) -> BoxedMachine {
    built(config, Images { kernel: Some(kernel[..].into()), ..Images::default() })
}

/// The embedded guest, run by the interpreter alone.
pub fn interpreted() -> BoxedMachine {
    let images = Images { kernel: Some(RACE[..].into()), ..Images::default() };
    build(&config(), &images).map_err(|e| e.0).expect("the configuration is good")
}

pub fn machine() -> BoxedMachine {
    machine_with(&config(), RACE)
}

/// Runs to `limit`, advancing idle time. Gives the stop and all output.
pub fn run_to(machine: &mut BoxedMachine, limit: u64) -> (Stop, Vec<u8>) {
    let mut console = Vec::new();
    loop {
        let stop = machine.run(limit);
        for output in machine.take_output() {
            console.extend(output.bytes);
        }
        match stop {
            Stop::Output => {}
            Stop::Idle { deadline: Some(_) } => machine.end_idle(),
            stop => return (stop, console),
        }
    }
}

/// Runs to the end; gives everything by which two runs are compared.
pub fn finish(machine: &mut BoxedMachine) -> (Stop, Vec<u8>, u64, Digest) {
    let (stop, console) = run_to(machine, u64::MAX / 4);
    (stop, console, machine.position().count, machine.digest())
}

/// A big-endian ELF64 image of these instruction words at `address`.
pub fn elf(address: u64, words: &[u32]) -> Vec<u8> {
    let code: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([0, 2, 0, 21, 0, 0, 0, 1]);
    file.extend(address.to_be_bytes());
    file.extend(64u64.to_be_bytes());
    file.extend([0; 8]);
    file.extend([0, 0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0]);
    file.extend([0, 0, 0, 1, 0, 0, 0, 7]);
    for value in [120, address, address, code.len() as u64, code.len() as u64, 16] {
        file.extend(value.to_be_bytes());
    }
    file.extend(code);
    file
}
