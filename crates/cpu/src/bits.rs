//! Bits of architected registers, as values (Power ISA Book III).

/// Machine state register (III 3.2.1).
pub mod msr {
    /// 64-bit mode.
    pub const SF: u64 = 1 << 63;
    /// Hypervisor state.
    pub const HV: u64 = 1 << 60;
    /// Transactional memory available (ISA 3.0).
    pub const TM: u64 = 1 << 32;
    /// Secure state.
    pub const S: u64 = 1 << 22;
    /// VMX available.
    pub const VEC: u64 = 1 << 25;
    /// VSX available.
    pub const VSX: u64 = 1 << 23;
    /// External interrupts enabled.
    pub const EE: u64 = 1 << 15;
    /// Problem state.
    pub const PR: u64 = 1 << 14;
    /// Floating point available.
    pub const FP: u64 = 1 << 13;
    /// Machine check enabled.
    pub const ME: u64 = 1 << 12;
    /// FP exception mode 0.
    pub const FE0: u64 = 1 << 11;
    /// Trace: both bits (S single step, B branch).
    pub const TE: u64 = 3 << 9;
    /// Single-step trace.
    pub const SE: u64 = 1 << 10;
    /// Branch trace.
    pub const BE: u64 = 1 << 9;
    /// FP exception mode 1.
    pub const FE1: u64 = 1 << 8;
    /// Instruction relocate.
    pub const IR: u64 = 1 << 5;
    /// Data relocate.
    pub const DR: u64 = 1 << 4;
    /// Performance monitor mark.
    pub const PMM: u64 = 1 << 2;
    /// Recoverable interrupt.
    pub const RI: u64 = 1 << 1;
    /// Little-endian.
    pub const LE: u64 = 1;
    /// All bits that are implemented.
    pub const ALL: u64 = SF | HV | VEC | VSX | EE | PR | FP | ME | FE0 | TE | FE1 | IR | DR | PMM | RI | LE;
}

/// Logical partitioning control register (III 2.2).
pub mod lpcr {
    /// Virtualized partition memory: a guest's storage interrupts by hash are the hypervisor's.
    pub const VPM: u64 = 1 << 62;
    /// Interrupt location.
    pub const AIL: u64 = 3 << 23;
    /// Shift of AIL.
    pub const AIL_SHIFT: u32 = 23;
    /// Interrupt little-endian.
    pub const ILE: u64 = 1 << 25;
    /// Use process table.
    pub const UPRT: u64 = 1 << 22;
    /// Emulation assistance for undefined SPRs.
    pub const EVIRT: u64 = 1 << 21;
    /// Hypervisor interrupt location (POWER10).
    pub const HAIL: u64 = 1 << 26;
    /// Host radix.
    pub const HR: u64 = 1 << 20;
    /// Online.
    pub const ONL: u64 = 1 << 18;
    /// Large decrementer.
    pub const LD: u64 = 1 << 17;
    /// Exit from `stop` by hypervisor virtualization interrupts.
    pub const PECE_VIRTUALIZATION: u64 = 1 << 46;
    /// Exit from `stop` by directed privileged doorbells.
    pub const PECE_DOORBELL: u64 = 1 << 16;
    /// Exit from `stop` by directed hypervisor doorbells.
    pub const PECE_HYPERVISOR_DOORBELL: u64 = 1 << 15;
    /// Exit from `stop` by external interrupts.
    pub const PECE_EXTERNAL: u64 = 1 << 14;
    /// Exit from `stop` by both decrementers.
    pub const PECE_DECREMENTER: u64 = 1 << 13;
    /// Exit from `stop` by hypervisor maintenance interrupts.
    pub const PECE_MAINTENANCE: u64 = 1 << 12;
    /// Power-saving exit enables: all five of the low halfword and the hypervisor ones.
    pub const PECE: u64 = 0x1f << 12;
    /// Mediated external exception request.
    pub const MER: u64 = 1 << 11;
    /// Guest translation shootdown enabled.
    pub const GTSE: u64 = 1 << 10;
    /// Secondary page table entry groups are not searched (hash).
    pub const TC: u64 = 1 << 9;
    /// Hypervisor external interrupt control.
    pub const HEIC: u64 = 1 << 4;
    /// Logical partitioning environment selector.
    pub const LPES: u64 = 1 << 3;
    /// Hypervisor virtualization interrupts enabled.
    pub const HVICE: u64 = 1 << 1;
    /// Hypervisor decrementer interrupts enabled.
    pub const HDICE: u64 = 1;
}

/// Monitor mode control register 0 (III 9.4.4).
pub mod mmcr0 {
    /// Freeze counters.
    pub const FC: u64 = 0x8000_0000;
    /// Freeze in privileged state.
    pub const FCS: u64 = 0x4000_0000;
    /// Freeze in problem state.
    pub const FCP: u64 = 0x2000_0000;
    /// Freeze while MSR[PMM] = 1.
    pub const FCM1: u64 = 0x1000_0000;
    /// Freeze while MSR[PMM] = 0.
    pub const FCM0: u64 = 0x0800_0000;
    /// Alerts are enabled.
    pub const PMAE: u64 = 0x0400_0000;
    /// Freeze on an enabled condition or event.
    pub const FCECE: u64 = 0x0200_0000;
    /// Problem state may use the history of branches.
    pub const BHRBA: u64 = 0x0020_0000;
    /// Transitions of a bit of TB are events.
    pub const TBEE: u64 = 0x0040_0000;
    /// Alerts are for event-based branches.
    pub const EBE: u64 = 0x0010_0000;
    /// What problem state may access.
    pub const PMCC: u64 = 0x000c_0000;
    /// Extends PMCC (ISA 3.1).
    pub const PMCCEXT: u64 = 0x200;
    /// PMC1 alerts when it is negative.
    pub const PMC1CE: u64 = 0x8000;
    /// PMC2 to PMC6 alert when they are negative.
    pub const PMCJCE: u64 = 0x4000;
    /// PMC2 to PMC6 wait for PMC1.
    pub const TRIGGER: u64 = 0x2000;
    /// FCP distinguishes problem state of the hypervisor.
    pub const FCPC: u64 = 0x1000;
    /// PMC5 and PMC6 count whatever the run latch says.
    pub const CC56RUN: u64 = 0x100;
    /// An alert has occurred.
    pub const PMAO: u64 = 0x80;
    /// Freeze PMC1 to PMC4.
    pub const FC14: u64 = 0x20;
    /// Freeze PMC5 and PMC6.
    pub const FC56: u64 = 0x10;
    /// Freeze PMC1 to PMC4 while the run latch is 0.
    pub const FCWAIT: u64 = 2;
    /// Freeze in hypervisor state.
    pub const FCHV: u64 = 1;
    /// All that depend on MSR.
    pub const BY_STATE: u64 = FCS | FCP | FCM1 | FCM0 | FCPC | FCHV;
}

/// Monitor mode control register A (III 9.4.6).
pub mod mmcra {
    /// The history of branches is not recorded (ISA 3.1).
    pub const BHRBRD: u64 = 1 << 37;
    /// Shift of IFM: which branches are recorded.
    pub const IFM_SHIFT: u32 = 30;
}

/// Processor compatibility register (III 2.5).
pub mod pcr {
    /// Problem state is that of version 2.05.
    pub const V2_05: u64 = 2;
    /// Of version 2.06.
    pub const V2_06: u64 = 4;
    /// Of version 2.07.
    pub const V2_07: u64 = 8;
    /// Of version 3.0 (ISA 3.1).
    pub const V3_00: u64 = 0x10;
    /// The matrix-multiply assist is not there (ISA 3.1).
    pub const MMA_DISABLE: u64 = 1 << 60;
}

/// Data address watchpoint extension (III 10.4).
pub mod dawrx {
    /// Shift of MRD: doublewords after the first one.
    pub const MRD_SHIFT: u32 = 10;
    /// Stores match.
    pub const WRITE: u64 = 0x40;
    /// Loads match.
    pub const READ: u64 = 0x20;
    /// Both.
    pub const ACCESSES: u64 = WRITE | READ;
    /// Accesses with this MSR[DR] match.
    pub const WT: u64 = 0x10;
    /// MSR[DR] does not matter.
    pub const WTI: u64 = 8;
    /// Accesses of hypervisor state match.
    pub const HYPERVISOR: u64 = 4;
    /// Accesses of privileged state match.
    pub const PRIVILEGED: u64 = 2;
    /// Accesses of problem state match.
    pub const PROBLEM: u64 = 1;
    /// All three.
    pub const STATES: u64 = 7;
}

/// Completed instruction address breakpoint: the state it is for (III 10.3).
pub mod ciabr {
    /// The field; 0: none.
    pub const STATE: u64 = 3;
    /// Problem state.
    pub const PROBLEM: u64 = 1;
    /// Privileged state.
    pub const PRIVILEGED: u64 = 2;
    /// Hypervisor state.
    pub const HYPERVISOR: u64 = 3;
}

/// Branch event status and control (II 6.2.1).
pub mod bescr {
    /// Event-based branches are enabled.
    pub const GE: u64 = 1 << 63;
    /// Those of the performance monitor are.
    pub const PME: u64 = 1 << 32;
    /// An external one has occurred.
    pub const EEO: u64 = 2;
    /// One of the performance monitor has occurred.
    pub const PMEO: u64 = 1;
}

/// Processor stop status and control (III 3.2.3).
pub mod psscr {
    /// Exit criterion: what LPCR[PECE] lets, through the system reset vector.
    pub const EC: u64 = 1 << 20;
}

/// Data storage interrupt status (III 7.5.3).
pub mod dsisr {
    /// Machine check (POWER9 user's manual): a load or store at a real address that nothing answers.
    pub const BAD_REAL_ADDRESS: u32 = 0x40;
    /// No translation.
    pub const NO_TRANSLATION: u32 = 0x4000_0000;
    /// Not permitted.
    pub const PROTECTION: u32 = 0x0800_0000;
    /// The access was a store.
    pub const STORE: u32 = 0x0200_0000;
    /// Data address watchpoint.
    pub const DAWR: u32 = 0x0040_0000;
    /// Virtual page class key protection.
    pub const KEY: u32 = 0x0020_0000;
    /// Unsupported MMU configuration.
    pub const UNSUPPORTED: u32 = 0x0008_0000;
    /// R or C could not be set.
    pub const RC_UPDATE: u32 = 0x0004_0000;
    /// An access to a process table, or to a guest's tree, failed in the partition-scoped tree.
    pub const TABLE: u32 = 0x0002_0000;
}

/// SRR1 bits set by interrupts (III 7.5).
pub mod srr1 {
    /// Instruction storage: no translation.
    pub const NO_TRANSLATION: u64 = 0x4000_0000;
    /// Instruction storage: no-execute or guarded.
    pub const NO_EXECUTE: u64 = 0x1000_0000;
    /// Instruction storage: not permitted.
    pub const PROTECTION: u64 = 0x0800_0000;
    /// Instruction storage: key protection.
    pub const KEY: u64 = 0x0020_0000;
    /// Machine check (POWER9 user's manual): DSISR says the cause.
    pub const BY_DSISR: u64 = 1 << 21;
    /// Machine check: a fetch at a real address that nothing answers.
    pub const BAD_REAL_FETCH: u64 = 0x080c_0000;
    /// Trace, always.
    pub const TRACE: u64 = 0x4000_0000;
    /// Trace: the instruction loaded, or is treated as a load.
    pub const TRACE_LOAD: u64 = 1 << 28;
    /// Trace: the instruction stored, or is treated as a store.
    pub const TRACE_STORE: u64 = 1 << 27;
    /// Trace: by CIABR.
    pub const TRACE_CIABR: u64 = 0x10_0000;
    /// Program: floating-point enabled exception.
    pub const PROGRAM_FP: u64 = 1 << 20;
    /// Program, floating-point enabled exception: SRR0 is the address of a later instruction than that which caused it.
    pub const PROGRAM_LATER: u64 = 1 << 16;
    /// Program: TM Bad Thing.
    pub const PROGRAM_TM: u64 = 1 << 21;
    /// Program: illegal instruction.
    pub const PROGRAM_ILLEGAL: u64 = 1 << 19;
    /// Program: privileged instruction.
    pub const PROGRAM_PRIVILEGED: u64 = 1 << 18;
    /// Program: trap.
    pub const PROGRAM_TRAP: u64 = 1 << 17;
    /// The instruction was prefixed (ISA 3.1).
    pub const PREFIXED: u64 = 1 << 29;
}
