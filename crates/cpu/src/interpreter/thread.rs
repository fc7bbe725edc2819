//! Threaded code: each instruction's function ends in a call of the next one's, which compiles to a jump. Where it
//! does not, the depth is bounded by the length of a block.
//!
//! The functions are the fast reading of the definitions ([`FastReader`]): it calls nothing, so it saves no
//! register. What it cannot do (a page that is not in the TLB, a system operation, a facility that is off) it
//! leaves undone, and the full reading ([`Core`]) does the instruction instead.

use super::blocks::{Mode, Op};
use super::core::{Core, Run};
use super::fast::{FastReader, Slow};
use crate::Vcpu;
use alloc::vec::Vec;
use timebase_isa::{Decoder, Flow, Instruction, Ops, Trap, Visitor};

/// Runs from an instruction to the end of its block. Returns a pointer past the last instruction attempted.
/// If that one raised an interrupt, `Run::trap` holds it; otherwise NIA is where to go on.
pub(crate) type Thread = unsafe fn(&mut Vcpu, *const Op, &mut Run) -> *const Op;

/// Executes one instruction as the full reader.
pub(crate) type Full = fn(&mut Core, &Ops) -> Result<(), Trap>;

/// Instruction number of a prefixed instruction that crosses a 64-byte boundary.
pub(crate) const CROSSING_PREFIX: u16 = u16::MAX;

/// The functions of all instructions.
pub(crate) struct Tables {
    big: Vec<Thread>,
    little: Vec<Thread>,
    pub full: Vec<Full>,
}

impl Visitor for Tables {
    fn visit<I: Instruction>(&mut self) {
        match I::ENCODING.flow {
            Flow::Next => {
                self.big.push(next::<I, false>);
                self.little.push(next::<I, true>);
            }
            Flow::Branch => {
                self.big.push(branch::<I>);
                self.little.push(branch::<I>);
            }
            Flow::Context => {
                self.big.push(slow);
                self.little.push(slow);
            }
        }
        self.full.push(|core, ops| I::body(core, ops));
    }
}

impl Tables {
    pub fn new() -> Tables {
        let mut tables = Tables { big: Vec::new(), little: Vec::new(), full: Vec::new() };
        timebase_isa::each(&mut tables);
        tables
    }

    /// The function for a decoded instruction.
    pub fn thread(&self, ops: &Ops, length: u32, mode: Mode) -> Thread {
        if ops.op == CROSSING_PREFIX {
            return crossing;
        }
        if length == 8 {
            // The facility is to be checked.
            return slow;
        }
        match mode {
            Mode { bits64: false, .. } => slow,
            Mode { little_endian: true, .. } => self.little[ops.op as usize],
            Mode { little_endian: false, .. } => self.big[ops.op as usize],
        }
    }
}

/// An instruction after which the next one follows, unless it is stopped.
unsafe fn next<I: Instruction, const LITTLE: bool>(
    cpu: &mut Vcpu,
    op: *const Op,
    run: &mut Run,
) -> *const Op {
    // SAFETY: `op` points into a block that the engine keeps alive while it runs; a block ends with `end`, so the
    // next instruction exists.
    unsafe {
        match I::body(&mut FastReader::<LITTLE> { cpu, op }, &(*op).ops) {
            Ok(()) => {
                let next = op.add(1);
                ((*next).thread)(cpu, next, run)
            }
            Err(Slow::Again) => slow(cpu, op, run),
            Err(Slow::Trap(trap)) => stop(cpu, op, run, trap),
        }
    }
}

/// A branch: straight on if it is not taken.
unsafe fn branch<I: Instruction>(cpu: &mut Vcpu, op: *const Op, run: &mut Run) -> *const Op {
    // SAFETY: as for `next`.
    unsafe {
        let fallthrough = cpu.fast.block_address.wrapping_add((*op).offset as u64 + 4);
        match I::body(&mut FastReader::<true> { cpu, op }, &(*op).ops) {
            Ok(()) => {
                let next = op.add(1);
                if cpu.regs.nia == fallthrough { ((*next).thread)(cpu, next, run) } else { next }
            }
            Err(_) => slow(cpu, op, run),
        }
    }
}

/// The instruction as the full reader does it.
#[cold]
#[inline(never)]
pub(crate) unsafe fn slow(cpu: &mut Vcpu, op: *const Op, run: &mut Run) -> *const Op {
    // SAFETY: as for `next`.
    unsafe {
        let decoded = &*op;
        match run.step(cpu, decoded) {
            Ok(true) => {
                let next = op.add(1);
                ((*next).thread)(cpu, next, run)
            }
            Ok(false) => op.add(1),
            Err(trap) => stop(cpu, op, run, trap),
        }
    }
}

#[cold]
#[inline(never)]
unsafe fn stop(cpu: &mut Vcpu, op: *const Op, run: &mut Run, trap: Trap) -> *const Op {
    // SAFETY: as for `next`.
    unsafe {
        cpu.regs.cia = cpu.fast.block_address.wrapping_add((*op).offset as u64);
        cpu.regs.nia = cpu.regs.cia.wrapping_add((*op).length as u64);
        run.trap = Some((trap, (*op).length == 8));
        op.add(1)
    }
}

/// The end of a block that has no branch there.
pub(crate) unsafe fn end(cpu: &mut Vcpu, op: *const Op, _: &mut Run) -> *const Op {
    // SAFETY: as for `next`.
    cpu.regs.nia = cpu.fast.block_address.wrapping_add(unsafe { (*op).offset } as u64);
    op
}

/// A prefixed instruction must not cross a 64-byte boundary (Book I 1.6, "Prefixed instructions").
unsafe fn crossing(cpu: &mut Vcpu, op: *const Op, run: &mut Run) -> *const Op {
    // SAFETY: as for `next`.
    unsafe {
        let address = cpu.fast.block_address.wrapping_add((*op).offset as u64);
        let stopped = stop(cpu, op, run, Trap::Alignment { ea: address });
        run.trap = Some((Trap::Alignment { ea: address }, true));
        stopped
    }
}

/// An unconditional branch: nothing after it belongs to the block.
pub(crate) fn always_branches(decoder: &Decoder, ops: &Ops) -> bool {
    match decoder.entries()[ops.op as usize].name {
        "b" => true,
        _ => ops.t & 20 == 20,
    }
}
