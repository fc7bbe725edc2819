//! Why an instruction does not complete: the synchronous interrupts (Power ISA Book III chapter 7, "Interrupts").

/// A synchronous interrupt that an instruction raises instead of completing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// Program, illegal instruction; Hypervisor Emulation Assistance where the CPU has a hypervisor.
    Illegal,
    /// Program, privileged instruction in problem state.
    Privileged,
    /// Program, trap instruction.
    TrapInstruction,
    /// Program, floating-point enabled exception. The instruction has completed as the ISA says for enabled
    /// exceptions; only delivery remains.
    FpEnabled,
    /// Program, floating-point enabled exception, because the instruction set MSR[FE0] or MSR[FE1] while FPSCR[FEX] was
    /// 1. It has completed.
    FpEnabledByMsr {
        /// Effective address of the instruction that would have been next, for SRR0.
        resume: u64,
    },
    /// Program, TM Bad Thing: a transactional state that is not to be.
    TmBadThing,
    /// MSR[FP] is 0.
    FpUnavailable,
    /// MSR[VEC] is 0.
    VectorUnavailable,
    /// MSR[VSX] is 0.
    VsxUnavailable,
    /// A facility is disabled by FSCR; the cause as FSCR[IC] reports it.
    Facility(u8),
    /// A facility is disabled by HFSCR; the cause as HFSCR[IC] reports it.
    HypervisorFacility(u8),
    /// The effective address is not aligned as this instruction needs.
    Alignment {
        /// Effective address for DAR.
        ea: u64,
    },
    /// Data storage.
    DataStorage {
        /// Effective address for DAR.
        ea: u64,
        /// Cause for DSISR.
        dsisr: u32,
    },
    /// Data segment (hash: no SLB entry; radix: quadrant or effective address out of range).
    DataSegment {
        /// Effective address for DAR.
        ea: u64,
    },
    /// Instruction storage, with its SRR1 cause bits.
    InstructionStorage {
        /// Bits for SRR1.
        srr1: u64,
    },
    /// Instruction segment.
    InstructionSegment,
    /// Hypervisor data storage (partition-scoped translation).
    HypervisorDataStorage {
        /// Effective address for HDAR.
        ea: u64,
        /// Guest real address for ASDR.
        gra: u64,
        /// Cause for HDSISR.
        hdsisr: u32,
    },
    /// Hypervisor instruction storage.
    HypervisorInstructionStorage {
        /// Guest real address for ASDR.
        gra: u64,
        /// Bits for HSRR1.
        hsrr1: u64,
    },
    /// `sc` with its LEV.
    SystemCall {
        /// LEV: 0 system call, 1 hypervisor call, 2 ultravisor call.
        lev: u8,
    },
    /// `scv` with its LEV.
    SystemCallVectored {
        /// LEV, 0 to 127: selects the vector.
        lev: u8,
    },
    /// Machine check: a real address that nothing answers.
    MachineCheck {
        /// Effective address for DAR.
        ea: u64,
        /// The access was a fetch.
        fetch: bool,
    },
}
