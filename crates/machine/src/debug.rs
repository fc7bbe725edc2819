//! What debuggers ask of a machine: where to stop, what to read, what to change.
//!
//! Stops and reads are invisible to the guest. Changes are not, so they are inputs like all others: a [`Change`] goes
//! through [`crate::Machine::input`] at the port [`PORT`], and is recorded.

use crate::{InputError, Position};
use alloc::{format, string::String, vec::Vec};
use timebase_cpu::{Halts as EngineHalts, Register, Vcpu};
use timebase_memory::{Memory, PAGE, Watchpoint, Writer};
use timebase_state::Instant;

/// The input port of a debugger's changes.
pub const PORT: &str = "debugger";

/// Where a debugger wants [`crate::Machine::run`] to stop with [`crate::Stop::Hit`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Halts {
    /// Before the instructions at these effective addresses, on any vCPU.
    pub breakpoints: Vec<u64>,
    /// After the instruction that accesses these bytes.
    pub watchpoints: Vec<Watchpoint>,
    /// When this register of this vCPU has changed. A register that follows time changes when it is written.
    pub register: Option<(u32, Register)>,
    /// When the slice of another vCPU begins.
    pub slices: bool,
}

impl Halts {
    /// Nothing stops.
    pub fn is_empty(&self) -> bool {
        *self == Halts::default()
    }
}

/// Something that a debugger waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hit {
    /// Where history stands when it is about to happen.
    pub at: Position,
    /// The vCPU that is on.
    pub cpu: u32,
    /// What it is.
    pub what: Event,
}

/// What a debugger waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The instruction at this effective address is next.
    Breakpoint(u64),
    /// Watched bytes were accessed; by the attempt that began at [`Hit::at`], and [`Hit::cpu`] made it.
    Watchpoint {
        /// What is watched.
        watchpoint: Watchpoint,
        /// First byte accessed.
        address: u64,
        /// Bytes accessed.
        bytes: u64,
        /// It was a store.
        store: bool,
    },
    /// The register changed, in the attempt that began at [`Hit::at`].
    Register {
        /// Its value before, as [`Vcpu::stored`] tells it.
        old: u128,
        /// Its value after.
        new: u128,
    },
    /// The vCPU's slice begins.
    Slice,
}

/// What a machine remembers for its debugger. It is no state.
#[derive(Default)]
pub(crate) struct Debugger {
    pub halts: Halts,
    hits: Vec<Hit>,
    /// The count at which a breakpoint stopped the machine: it goes on there.
    pub passed: Option<u64>,
    register_was: Option<u128>,
    /// Where the latest attempt began, and who made it.
    latest: (Position, u32),
}

impl Debugger {
    /// What the engine is to look after.
    pub fn for_engine(&self) -> EngineHalts {
        EngineHalts { breakpoints: self.halts.breakpoints.clone(), register: self.halts.register }
    }

    /// The machine is another than before: forgets what was seen of it.
    pub fn start_over<'a>(&mut self, vcpu: impl Fn(u32) -> Option<&'a Vcpu>, at: Position) {
        self.hits.clear();
        self.passed = None;
        self.latest = (at, 0);
        self.register_was = self.register(vcpu);
    }

    fn register<'a>(&self, vcpu: impl Fn(u32) -> Option<&'a Vcpu>) -> Option<u128> {
        self.halts.register.and_then(|(cpu, register)| vcpu(cpu)?.stored(register))
    }

    /// vCPU `cpu` attempted `executed` instructions from `before` on.
    pub fn ran(&mut self, cpu: u32, before: Position, executed: u64) {
        if executed == 1 {
            self.latest = (before, cpu);
        } else if executed > 1 {
            self.latest = (Position { count: before.count + executed - 1, sequence: 0 }, cpu);
        }
    }

    /// A breakpoint stopped vCPU `cpu`.
    pub fn at_breakpoint(&mut self, at: Position, cpu: u32, address: u64) {
        self.passed = Some(at.count);
        self.hits.push(Hit { at, cpu, what: Event::Breakpoint(address) });
    }

    /// The slice of vCPU `cpu` begins.
    pub fn slice(&mut self, at: Position, cpu: u32) {
        if self.halts.slices {
            self.hits.push(Hit { at, cpu, what: Event::Slice });
        }
    }

    /// Looks what the latest attempt did, and takes what there is to tell.
    pub fn look<'a>(&mut self, memory: &mut Memory, vcpu: impl Fn(u32) -> Option<&'a Vcpu>) -> Vec<Hit> {
        let (at, current) = self.latest;
        if memory.has_sightings() {
            for seen in memory.take_sightings() {
                let what = Event::Watchpoint {
                    watchpoint: seen.watchpoint,
                    address: seen.address,
                    bytes: seen.bytes,
                    store: seen.store,
                };
                self.hits.push(Hit { at, cpu: seen.cpu.unwrap_or(current), what });
            }
        }
        if self.halts.register.is_some() {
            let now = self.register(vcpu);
            if now != self.register_was {
                let what = Event::Register {
                    old: self.register_was.unwrap_or_default(),
                    new: now.unwrap_or_default(),
                };
                self.hits.push(Hit { at, cpu: current, what });
                self.register_was = now;
            }
        }
        core::mem::take(&mut self.hits)
    }
}

/// Reads memory as vCPU `cpu` sees it, without any effect on the guest, and whether or not it is permitted. Returns
/// how many bytes could be read. Device registers cannot.
pub(crate) fn read(vcpu: &mut Vcpu, memory: &Memory, address: u64, out: &mut [u8]) -> usize {
    let mut done = 0;
    while done < out.len() {
        let ea = address.wrapping_add(done as u64);
        let length = ((PAGE - ea % PAGE) as usize).min(out.len() - done);
        let Some(real) = vcpu.real_address(memory, ea) else { break };
        if memory.read(real, &mut out[done..done + length]).is_err() {
            break;
        }
        done += length;
    }
    done
}

/// What a debugger changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A register of a vCPU.
    Register {
        /// The vCPU.
        cpu: u32,
        /// The register.
        register: Register,
        /// Its new value.
        value: u128,
    },
    /// Bytes at a real address.
    Memory {
        /// The first byte's.
        address: u64,
        /// The new bytes.
        bytes: Vec<u8>,
    },
}

impl Change {
    /// As the payload of an input: words that a person can read, too.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Change::Register { cpu, register, value } => format!("register {cpu} {register} {value:x}"),
            Change::Memory { address, bytes } => {
                let mut text = format!("memory {address:x} ");
                for byte in bytes {
                    text.push_str(&format!("{byte:02x}"));
                }
                text
            }
        }
        .into_bytes()
    }

    /// From the payload of an input.
    pub fn decode(payload: &[u8]) -> Option<Change> {
        let text = core::str::from_utf8(payload).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["register", cpu, register, value] => Some(Change::Register {
                cpu: cpu.parse().ok()?,
                register: Register::named(register)?,
                value: u128::from_str_radix(value, 16).ok()?,
            }),
            ["memory", address, digits] if digits.len().is_multiple_of(2) && digits.is_ascii() => {
                let byte = |n| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).ok();
                Some(Change::Memory {
                    address: u64::from_str_radix(address, 16).ok()?,
                    bytes: (0..digits.len() / 2).map(byte).collect::<Option<_>>()?,
                })
            }
            _ => None,
        }
    }

    /// Makes the change.
    pub(crate) fn apply<'a>(
        &self,
        memory: &mut Memory,
        vcpu: impl FnOnce(u32) -> Option<&'a mut Vcpu>,
        now: Instant,
    ) -> Result<(), InputError> {
        let refused = |why: &str| Err(InputError::BadPayload(String::from(why)));
        match self {
            Change::Register { cpu, register, value } => match vcpu(*cpu) {
                Some(vcpu) => {
                    let written = vcpu.set_register(*register, *value, now);
                    if written { Ok(()) } else { refused("this register cannot be written") }
                }
                None => refused("there is no such vCPU"),
            },
            Change::Memory { address, bytes } => match memory.store(*address, bytes, Writer::Other) {
                Ok(()) => Ok(()),
                Err(_) => refused("there is no memory at this address"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn changes_survive_their_encoding() {
        let changes = [
            Change::Register { cpu: 3, register: Register::Gpr(31), value: 0xdead },
            Change::Register { cpu: 0, register: Register::Vsr(63), value: u128::MAX },
            Change::Register { cpu: 0, register: Register::Spr(26), value: 1 },
            Change::Memory { address: 0x1234, bytes: vec![0, 255, 7] },
            Change::Memory { address: 0, bytes: vec![] },
        ];
        for change in changes {
            assert_eq!(Change::decode(&change.encode()), Some(change));
        }
        for wrong in ["", "memory", "memory 1 0", "memory 1 zz", "register 0 r32 1", "register x r3 1"] {
            assert_eq!(Change::decode(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
