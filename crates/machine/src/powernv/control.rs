//! Direct controls: how one thread stops, starts and resets another over XSCOM, and sees how it is (POWER9 and POWER10
//! register specifications, "EC direct controls", "RAS status"; numbers and bits as skiboot has them).
//!
//! Left out: instruction stepping and ramming.

use super::topology::Topology;
use alloc::{boxed::Box, vec, vec::Vec};
use timebase_cpu::Model;
use timebase_state::State;

/// What a thread is to do.
#[derive(State, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Stop at the next boundary of instructions.
    #[default]
    Stop,
    /// Go on.
    Start,
    /// Take a system reset interrupt, and go on.
    Reset,
}

/// How a thread is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Stopped by direct control.
    pub held: bool,
    /// In a state that `stop` began.
    pub resting: bool,
}

/// The controls of all cores.
#[derive(State)]
pub(crate) struct Controls {
    /// vCPUs and their orders; the machine carries them out before the next instruction.
    orders: Vec<(u32, Order)>,
    #[cache("the machine brings it before each run")]
    pub seen: Box<[Seen]>,
    #[wiring("from the configuration")]
    topology: Topology,
}

/// Registers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Register {
    /// Which threads are in a state that `stop` began.
    State,
    /// Which threads are active.
    Active,
    /// Which threads are quiesced.
    Quiesced,
    Control,
}

/// The register and the core of its chip.
fn register(model: Model, number: u32) -> Option<(Register, u32)> {
    let (chiplet, offset) = ((number >> 24).checked_sub(0x20)?, number & 0xff_ffff);
    Some(match model {
        Model::Power9 => {
            let register = match offset {
                0x01_0ab3 => Register::State,
                0x01_0a9b => Register::Active,
                0x01_0a02 => Register::Quiesced,
                0x01_0a9c => Register::Control,
                _ => return None,
            };
            (register, chiplet)
        }
        Model::Power10 => {
            let register = match offset & 0xff_0fff {
                0x02_0412 => Register::State,
                0x02_0413 => Register::Active,
                0x02_0454 => Register::Quiesced,
                0x02_0449 => Register::Control,
                _ => return None,
            };
            // Each core of a quad has a bit, the first the leftmost.
            let bit = offset >> 12 & 15;
            (register, bit.is_power_of_two().then(|| chiplet * 4 + 3 - bit.trailing_zeros())?)
        }
    })
}

/// A field of 8 bits of thread `thread`, the first thread's the leftmost.
fn field(thread: u32, bits: u64) -> u64 {
    bits << (56 - 8 * thread)
}

impl Controls {
    /// As after power-on: all run.
    pub fn cold(topology: Topology) -> Controls {
        Controls {
            orders: Vec::new(),
            seen: vec![Seen::default(); topology.cpus() as usize].into(),
            topology,
        }
    }

    /// vCPU of the first thread of a core.
    fn first(&self, chip: u32, core: u32) -> Option<u32> {
        (core < self.topology.cores).then(|| (chip * self.topology.cores + core) * self.topology.threads)
    }

    /// Loads a register of a chip. None: it is none of these.
    pub fn read(&self, model: Model, chip: u32, number: u32) -> Option<u64> {
        let (register, core) = register(model, number)?;
        let first = self.first(chip, core)?;
        let threads = (0..self.topology.threads).map(|thread| {
            let seen = self.seen.get((first + thread) as usize).copied().unwrap_or_default();
            match register {
                Register::State if seen.resting => 0x80 >> thread,
                Register::Active => 1 << (63 - thread),
                Register::Quiesced if seen.held => field(thread, 0xf0),
                _ => 0,
            }
        });
        Some(threads.fold(0, |all, bits| all | bits))
    }

    /// Stores it.
    pub fn write(&mut self, model: Model, chip: u32, number: u32, value: u64) -> Option<()> {
        let (register, core) = register(model, number)?;
        let first = self.first(chip, core)?;
        if register == Register::Control {
            for thread in 0..self.topology.threads {
                // Stop, start, reset, leave maintenance.
                for (bit, order) in
                    [(0x01, Order::Stop), (0x02, Order::Start), (0x08, Order::Reset), (0x10, Order::Start)]
                {
                    if value & field(thread, bit) != 0 {
                        self.orders.push((first + thread, order));
                    }
                }
            }
        }
        Some(())
    }

    /// Takes the orders that were given.
    pub fn take_orders(&mut self) -> Vec<(u32, Order)> {
        core::mem::take(&mut self.orders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_states_are_those_of_the_thread_that_is_named() {
        let topology = Topology { chips: 2, cores: 6, threads: 2 };
        for (model, control, quiesced, state) in [
            (Model::Power9, 0x2501_0a9c, 0x2501_0a02, 0x2501_0ab3),
            (Model::Power10, 0x2102_4449, 0x2102_4454, 0x2102_4412),
        ] {
            let mut controls = Controls::cold(topology);
            controls.write(model, 1, control, 1 << (63 - 15)).unwrap();
            controls.write(model, 1, control, 1 << (63 - 4)).unwrap();
            assert_eq!(controls.take_orders(), [(23, Order::Stop), (22, Order::Reset)]);
            assert_eq!(controls.take_orders(), []);
            controls.seen[23] = Seen { held: true, resting: true };
            assert_eq!(controls.read(model, 1, quiesced), Some(0x00f0 << 48));
            assert_eq!(controls.read(model, 1, state), Some(0x40));
            assert_eq!(controls.read(model, 0, quiesced), Some(0));
            // A seventh core, and what is no such register.
            assert_eq!(controls.write(model, 0, control + 0x100_0000, 1), None);
            assert_eq!(controls.read(model, 0, 0xf_000f), None);
        }
    }
}
