//! Instructions one by one, with what each changed.

use crate::divergence::{MSR_LE, Step, look};
use crate::events::{Happening, of_observed, of_record};
use crate::{Patience, Timeline, TravelError};
use serde::Serialize;
use std::ops::ControlFlow;
use timebase_machine::api::{Machine, Position};
use timebase_machine::debug::{Event, Halts, Hit};
use timebase_machine::{Register, Space, Watchpoint};

/// SPRs that are told when they change. CFAR and what follows time would be told at every instruction.
const SPRS: [u16; 26] = [
    3, 13, 17, 18, 19, 22, 26, 27, 29, 48, 61, 153, 157, 256, 272, 273, 274, 275, 310, 314, 315, 318, 319,
    464, 815, 896,
];
/// Bytes of an access that are shown.
const SHOWN: u64 = 16;

/// An instruction, and what it did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Traced {
    /// The instruction.
    #[serde(flatten)]
    pub step: Step,
    /// Registers that it changed.
    pub registers: Vec<Changed>,
    /// Memory that it accessed.
    pub memory: Vec<Accessed>,
    /// What else happened at it.
    pub happenings: Vec<Happening>,
}

/// A register that changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Changed {
    /// Its name.
    pub register: String,
    /// Its value, in hexadecimal.
    pub value: String,
}

/// An access to memory.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Accessed {
    /// It was a store.
    pub store: bool,
    /// Effective address.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
    /// What the bytes mean after the access, in the vCPU's byte order, in hexadecimal; None of more than 16.
    pub value: Option<String>,
}

fn all_registers() -> Vec<Register> {
    let mut all: Vec<Register> = (0..32).map(Register::Gpr).collect();
    all.extend([Register::Cr, Register::Lr, Register::Ctr, Register::Xer, Register::Msr]);
    all.extend((0..64).map(Register::Vsr));
    all.extend([Register::Fpscr, Register::Vscr, Register::Vrsave]);
    all.extend(SPRS.map(Register::Spr));
    all
}

/// Tells each instruction from `from` to `to`, until `tell` breaks.
pub fn trace(
    timeline: &mut Timeline,
    from: Position,
    to: Position,
    tell: &mut dyn FnMut(Traced) -> ControlFlow<()>,
    patience: &mut Patience,
) -> Result<(), TravelError> {
    timeline.seek(from, patience)?;
    timeline.machine().observe(true);
    let result = trace_all(timeline, to, tell, patience);
    timeline.machine().observe(false);
    result
}

fn trace_all(
    timeline: &mut Timeline,
    to: Position,
    tell: &mut dyn FnMut(Traced) -> ControlFlow<()>,
    patience: &mut Patience,
) -> Result<(), TravelError> {
    let everything =
        |loads| Watchpoint { space: Space::Effective, address: 0, bytes: u64::MAX, loads, stores: !loads };
    let halts = Halts { watchpoints: vec![everything(true), everything(false)], ..Halts::default() };
    let registers = all_registers();
    while timeline.position() < to.min(timeline.end()) {
        let here = timeline.position();
        let step = look(timeline.machine(), here.count);
        let cpu = step.cpu;
        let before: Vec<_> = registers.iter().map(|&r| timeline.machine().vcpu(cpu).stored(r)).collect();
        let mut memory = Vec::new();
        let mut gather = |machine: &mut dyn Machine, hit: &Hit| {
            memory.extend(accessed(machine, hit));
            false
        };
        let next = Position { count: here.count + 1, sequence: 0 };
        timeline.forward(&halts, next, &mut gather, patience)?;
        let machine = timeline.machine();
        let now = machine.now();
        let vcpu = machine.vcpu(cpu);
        let changed =
            registers.iter().zip(before).filter(|&(&register, before)| vcpu.stored(register) != before);
        let registers = changed
            .map(|(&register, _)| Changed {
                register: register.to_string(),
                value: format!("{:#x}", vcpu.register(register, now).unwrap_or_default()),
            })
            .collect();
        let mut happenings: Vec<Happening> =
            timeline.machine().take_observed().into_iter().map(of_observed).collect();
        let records = timeline.records().iter().filter(|record| here <= record.at && record.at < next);
        happenings.extend(records.filter_map(of_record));
        if tell(Traced { step, registers, memory, happenings }).is_break() || timeline.position() <= here {
            return Ok(());
        }
    }
    Ok(())
}

fn accessed(machine: &mut dyn Machine, hit: &Hit) -> Option<Accessed> {
    let Event::Watchpoint { address, bytes, store, .. } = hit.what else { return None };
    let mut content = vec![0; bytes.min(SHOWN) as usize];
    let read = bytes <= SHOWN && machine.read_effective(hit.cpu, address, &mut content) == content.len();
    if machine.vcpu(hit.cpu).regs.msr & MSR_LE != 0 {
        content.reverse();
    }
    let digits: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
    let value = read.then(|| format!("0x{digits}"));
    Some(Accessed { store, address, bytes, value })
}
