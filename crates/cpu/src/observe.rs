//! What happens inside a vCPU's run, for whoever watches. It is no state: whether somebody watches, the guest cannot
//! tell.

use crate::interrupt::Vector;

/// Something that an instruction attempt did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observed {
    /// Attempts by all vCPUs before it.
    pub count: u64,
    /// What.
    pub what: Observation,
}

/// What an instruction attempt did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Observation {
    /// It raised a synchronous interrupt, which was delivered.
    Interrupt {
        /// Which.
        vector: Vector,
        /// Where the interrupted program goes on: (H)SRR0.
        resume: u64,
        /// (H)SRR1.
        cause: u64,
        /// DAR, or HDAR.
        address: u64,
        /// DSISR, or HDSISR.
        status: u64,
    },
    /// It returned from an interrupt.
    Return {
        /// Effective address of the next instruction.
        to: u64,
        /// MSR from then on.
        msr: u64,
    },
    /// It wrote the decrementer.
    Decrementer(u64),
    /// It wrote the hypervisor decrementer.
    HypervisorDecrementer(u64),
    /// `msgsnd` or `msgsndp` sent a directed doorbell.
    DoorbellSent {
        /// RB: type and target, as the ISA lays them out.
        message: u64,
        /// By `msgsnd`.
        hypervisor: bool,
    },
    /// It accessed a device.
    Device {
        /// It was a store.
        store: bool,
        /// Real address.
        address: u64,
        /// Size in bytes.
        bytes: u8,
        /// The value, as a big-endian access means it.
        value: u64,
    },
}
