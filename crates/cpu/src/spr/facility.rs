//! Facilities that the hypervisor and the operating system lend: HFSCR, FSCR and MSR[TM] (Power ISA 3.0B Book III 6.2.10
//! and 6.2.11, 3.1 Book III 7.2.10 and 7.2.11). MSR[FP, VEC, VSX] are the instructions' own question, after HFSCR.

use crate::bits::{mmcr0, msr};
use crate::{Model, Vcpu};
use timebase_isa::Trap;

/// Floating point.
pub(crate) const FP: u8 = 0;
/// Vector and vector-scalar.
pub(crate) const VECTOR: u8 = 1;
/// DSCR; FSCR says only about problem state's number of it.
pub(crate) const DSCR: u8 = 2;
/// The registers of the performance monitor.
pub(crate) const PERFORMANCE_MONITOR: u8 = 3;
/// `mfbhrbe`, `clrbhrb`.
pub(crate) const BHRB: u8 = 4;
/// Transactional memory.
pub(crate) const TM: u8 = 5;
/// Event-based branches.
pub(crate) const EBB: u8 = 7;
/// TAR and `bctar`.
pub(crate) const TAR: u8 = 8;
/// `msgsndp`, `msgclrp`, DPDES, TIR.
pub(crate) const MSGP: u8 = 10;
/// `scv`.
pub(crate) const SCV: u8 = 12;
/// Prefixed instructions.
pub(crate) const PREFIX: u8 = 13;

/// HFSCR with every facility of the model.
pub(crate) const fn all(model: Model) -> u64 {
    let common = 1 << FP
        | 1 << VECTOR
        | 1 << DSCR
        | 1 << PERFORMANCE_MONITOR
        | 1 << BHRB
        | 1 << EBB
        | 1 << TAR
        | 1 << MSGP;
    match model {
        Model::Power9 => common | 1 << TM,
        Model::Power10 => common | 1 << PREFIX,
    }
}

impl Vcpu {
    /// HFSCR lets problem state, and privileged state of a guest, use the facility whose bit this is (from the least
    /// significant, as HFSCR[IC] names it).
    #[inline]
    pub(crate) fn lent(&self, bit: u8) -> Result<(), Trap> {
        let kept = all(self.model) & !self.spr.hfscr;
        if kept >> bit & 1 != 0 && self.has_hypervisor && !self.hypervisor() {
            return Err(Trap::HypervisorFacility(bit));
        }
        Ok(())
    }

    /// HFSCR takes floating point or vectors away from problem state and guests.
    pub(crate) fn keeps_registers(&self) -> bool {
        const REGISTERS: u64 = 1 << FP | 1 << VECTOR;
        self.has_hypervisor && self.spr.hfscr & REGISTERS != REGISTERS
    }

    /// The facility may be used now: HFSCR, then FSCR or MSR.
    pub(crate) fn available(&self, bit: u8) -> Result<(), Trap> {
        self.lent(bit)?;
        let available = match bit {
            BHRB => !self.problem() || self.spr.mmcr0 & mmcr0::BHRBA != 0,
            TM => self.regs.msr & msr::TM != 0,
            DSCR | EBB | TAR | SCV | PREFIX => !self.problem() || self.spr.fscr >> bit & 1 != 0,
            // Of what problem state may do with the performance monitor MMCR0 says more; MSGP is privileged.
            _ => true,
        };
        if available { Ok(()) } else { Err(Trap::Facility(bit)) }
    }
}
