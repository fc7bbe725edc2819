//! A reader for tests: one instruction on registers and a small memory.

use timebase_isa::semantics::{Compute, Facility};
use timebase_isa::{Decoder, Instruction, Mem, N, Ops, Reg, Regs, Semantics, SystemOp, Trap, Visitor};

/// Registers and memory.
#[derive(Clone)]
pub struct Machine {
    pub regs: Regs,
    /// Effective address of the first byte.
    pub base: u64,
    pub memory: Vec<u8>,
}

/// Why an instruction did not complete.
#[derive(Debug, PartialEq)]
pub enum Stop {
    Trap(Trap),
    /// It is an operation of the whole CPU.
    System(SystemOp),
    Outside(u64),
}

const MSR_LE: u64 = 1;
const MSR_SF: u64 = 1 << 63;

impl Machine {
    /// Little-endian, 64 bits, with all facilities.
    pub fn new(base: u64, bytes: usize) -> Machine {
        Machine::with_order(base, bytes, true)
    }

    /// The same in either byte order.
    pub fn with_order(base: u64, bytes: usize, little: bool) -> Machine {
        let mut regs = Regs::cold(310);
        regs.msr = MSR_SF | 1 << 25 | 1 << 23 | 1 << 13 | if little { MSR_LE } else { 0 };
        Machine { regs, base, memory: vec![0; bytes] }
    }

    fn bytes(&mut self, ea: u64, count: usize) -> Result<&mut [u8], Stop> {
        let start = ea.wrapping_sub(self.base) as usize;
        self.memory.get_mut(start..start.saturating_add(count)).ok_or(Stop::Outside(ea))
    }

    fn swap(&self, mem: Mem) -> bool {
        mem.reversed == self.little_endian()
    }
}

impl Semantics for Machine {
    type V = N;
    type C = bool;
    type Stop = Stop;

    fn imm(&self, value: u64) -> N {
        N(value)
    }
    fn get(&self, reg: Reg) -> N {
        N(self.regs.word(reg))
    }
    fn set(&mut self, reg: Reg, value: N) {
        self.regs.set_word(reg, value.0)
    }
    fn load(&mut self, ea: N, mem: Mem) -> Result<N, Stop> {
        let swap = self.swap(mem);
        let mut bytes = self.bytes(ea.0, mem.size as usize)?.to_vec();
        if swap {
            bytes.reverse();
        }
        let value = bytes.iter().rev().fold(0, |value, &byte| value << 8 | byte as u64);
        let unused = 64 - 8 * mem.size as u32;
        Ok(N(if mem.signed { ((value << unused) as i64 >> unused) as u64 } else { value }))
    }
    fn store(&mut self, ea: N, value: N, mem: Mem) -> Result<(), Stop> {
        let swap = self.swap(mem);
        let mut bytes = value.0.to_le_bytes()[..mem.size as usize].to_vec();
        if swap {
            bytes.reverse();
        }
        self.bytes(ea.0, bytes.len())?.copy_from_slice(&bytes);
        Ok(())
    }
    fn load16(&mut self, ea: N) -> Result<(N, N), Stop> {
        let little = self.little_endian();
        let bytes = <[u8; 16]>::try_from(&*self.bytes(ea.0, 16)?).expect("16 bytes");
        let value = if little { u128::from_le_bytes(bytes) } else { u128::from_be_bytes(bytes) };
        Ok((N((value >> 64) as u64), N(value as u64)))
    }
    fn store16(&mut self, ea: N, high: N, low: N) -> Result<(), Stop> {
        let value = (high.0 as u128) << 64 | low.0 as u128;
        let bytes = if self.little_endian() { value.to_le_bytes() } else { value.to_be_bytes() };
        self.bytes(ea.0, 16)?.copy_from_slice(&bytes);
        Ok(())
    }
    fn load_bytes(&mut self, ea: N, count: N) -> Result<(N, N), Stop> {
        let mut bytes = [0; 16];
        bytes[..count.0 as usize].copy_from_slice(self.bytes(ea.0, count.0 as usize)?);
        let value = u128::from_be_bytes(bytes);
        Ok((N((value >> 64) as u64), N(value as u64)))
    }
    fn store_bytes(&mut self, ea: N, count: N, first: N, second: N) -> Result<(), Stop> {
        let bytes = ((first.0 as u128) << 64 | second.0 as u128).to_be_bytes();
        self.bytes(ea.0, count.0 as usize)?.copy_from_slice(&bytes[..count.0 as usize]);
        Ok(())
    }
    fn probe(&mut self, ea: N, bytes: u32, _: bool) -> Result<(), Stop> {
        self.bytes(ea.0, bytes as usize).map(|_| ())
    }
    fn require(&mut self, facility: Facility) -> Result<(), Stop> {
        let (bit, trap) = match facility {
            Facility::Fp => (1 << 13, Trap::FpUnavailable),
            Facility::Vector => (1 << 25, Trap::VectorUnavailable),
            Facility::Vsx => (1 << 23, Trap::VsxUnavailable),
            _ => return Ok(()),
        };
        if self.regs.msr & bit != 0 { Ok(()) } else { Err(Stop::Trap(trap)) }
    }
    fn cia(&self) -> N {
        N(self.regs.cia)
    }
    fn branch(&mut self, taken: bool, target: N) {
        if taken {
            self.regs.nia = target.0;
        }
    }
    fn compute(&mut self, function: Compute, i: &Ops) -> Result<(), Stop> {
        function(&mut self.regs, i).map_err(Stop::Trap)
    }
    fn system(&mut self, op: SystemOp, _: &Ops) -> Result<(), Stop> {
        Err(Stop::System(op))
    }
    fn mode64(&self) -> bool {
        self.regs.msr & MSR_SF != 0
    }
    fn little_endian(&self) -> bool {
        self.regs.msr & MSR_LE != 0
    }
    fn trap_if(&mut self, condition: bool, trap: Trap) -> Result<(), Stop> {
        if condition { Err(Stop::Trap(trap)) } else { Ok(()) }
    }
}

type Body = fn(&mut Machine, &Ops) -> Result<(), Stop>;

struct Bodies(Vec<Body>);
impl Visitor for Bodies {
    fn visit<I: Instruction>(&mut self) {
        self.0.push(|machine, ops| I::body(machine, ops));
    }
}

/// Decodes and executes.
pub struct Executor {
    pub decoder: Decoder,
    bodies: Vec<Body>,
}

impl Executor {
    pub fn new(level: u16) -> Executor {
        let mut bodies = Bodies(Vec::new());
        timebase_isa::each(&mut bodies);
        Executor { decoder: Decoder::new(level), bodies: bodies.0 }
    }

    /// Executes one instruction word (prefix in the upper half).
    pub fn execute(&self, machine: &mut Machine, word: u64) -> Result<(), Stop> {
        let ops = self.decoder.decode(word);
        self.bodies[ops.op as usize](machine, &ops)
    }
}
