//! Debug facilities of the CPU (Power ISA 3.0B Book III chapter 10): data address watchpoints (DAWR0, DAWR1 of ISA 3.1)
//! and the completed instruction address breakpoint (CIABR).
//!
//! A page that a watchpoint covers has no fast translation, and an instruction that CIABR names begins a block of its own:
//! what nobody asks for costs nothing. The range of a watchpoint of POWER9 ends with its 512-byte block. Left out:
//! DAWRX[HRAMMC].

use crate::bits::{ciabr, dawrx, msr};
use crate::mmu::{Access, PAGE};
use crate::{Model, Vcpu};

/// A watchpoint that may match: DAWR and DAWRX.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Watchpoint {
    address: u64,
    control: u64,
}

impl Watchpoint {
    /// Nothing where no access can match.
    fn new(address: u64, control: u64) -> Watchpoint {
        let matches = control & dawrx::ACCESSES != 0 && control & dawrx::STATES != 0;
        if matches { Watchpoint { address: address & !7, control } } else { Watchpoint::default() }
    }

    fn is_active(&self) -> bool {
        self.control != 0
    }

    /// The last byte that it covers.
    fn last(&self, model: Model) -> u64 {
        let bytes = ((self.control >> dawrx::MRD_SHIFT & 63) + 1) * 8;
        let last = self.address.saturating_add(bytes - 1);
        if model == Model::Power9 { last.min(self.address | 511) } else { last }
    }

    /// It covers a byte between these.
    fn covers(&self, model: Model, first: u64, last: u64) -> bool {
        self.is_active() && first <= self.last(model) && last >= self.address
    }
}

impl Vcpu {
    /// The watchpoints of data accesses.
    pub(crate) fn watchpoints(&self) -> [Watchpoint; 2] {
        let spr = &self.spr;
        [Watchpoint::new(spr.dawr0, spr.dawrx0), Watchpoint::new(spr.dawr1, spr.dawrx1)]
    }

    /// A watchpoint covers bytes of the page of `ea`, whatever access it is for.
    pub(crate) fn has_watched(&self, ea: u64) -> bool {
        let page = ea & !(PAGE - 1);
        let covers = |watchpoint: Watchpoint| watchpoint.covers(self.model, page, page | (PAGE - 1));
        (self.spr.dawrx0 | self.spr.dawrx1) != 0 && self.watchpoints().into_iter().any(covers)
    }

    /// An access of `bytes` bytes at `ea` matches a watchpoint (III 10.4).
    #[inline]
    pub(crate) fn is_watched(&self, ea: u64, bytes: usize, access: Access) -> bool {
        (self.spr.dawrx0 | self.spr.dawrx1) != 0 && self.matches(ea, bytes, access)
    }

    #[cold]
    fn matches(&self, ea: u64, bytes: usize, access: Access) -> bool {
        let state = match (self.problem(), self.has_hypervisor && self.regs.msr & msr::HV != 0) {
            (true, _) => dawrx::PROBLEM,
            (_, false) => dawrx::PRIVILEGED,
            (_, true) => dawrx::HYPERVISOR,
        };
        let kind = if access == Access::Store { dawrx::WRITE } else { dawrx::READ };
        let relocated = self.regs.msr & msr::DR != 0;
        let last = ea.saturating_add((bytes as u64).saturating_sub(1));
        self.watchpoints().into_iter().any(|watchpoint| {
            let control = watchpoint.control;
            control & kind != 0
                && control & state != 0
                && (control & dawrx::WTI != 0 || (control & dawrx::WT != 0) == relocated)
                && watchpoint.covers(self.model, ea, last)
        })
    }

    /// The instruction at NIA is executed alone: it may be traced, by MSR or by CIABR, be recorded in the history of
    /// branches, or be one that PCR or HFSCR take away.
    #[inline]
    pub(crate) fn traces(&self) -> bool {
        self.regs.msr & msr::TE != 0
            || self.spr.ciabr & ciabr::STATE != 0 && self.breaks()
            || self.records_branches()
            || self.counts_taken()
            || self.is_compatible_with_less()
            || !self.hypervisor() && self.keeps_registers()
    }

    /// CIABR names the instruction at NIA, and this state.
    pub(crate) fn breaks(&self) -> bool {
        let state = match (self.problem(), self.has_hypervisor && self.regs.msr & msr::HV != 0) {
            (true, _) => ciabr::PROBLEM,
            (_, false) => ciabr::PRIVILEGED,
            (_, true) => ciabr::HYPERVISOR,
        };
        self.spr.ciabr == self.regs.nia | state
    }
}
