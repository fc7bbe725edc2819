//! Address translation (Power ISA Book III chapter 6): effective to real, radix and hash.
//!
//! A walk has no effect by itself: it says what R/C update it needs ([`Update`]) and what table entries it saw, and
//! the caller decides. So the debugger's and the compiler's looks change nothing, and a cached translation can be
//! watched exactly. Negative results are never cached.

mod hash;
mod radix;
mod slb;

pub use slb::{Slb, SlbEntry};

use crate::Vcpu;
use crate::bits::{dsisr, lpcr, msr, srr1};
use timebase_isa::Trap;
use timebase_memory::{Memory, Writer};
use timebase_state::State;

/// Bytes of the smallest page, the unit of cached translations.
pub const PAGE: u64 = 4096;

/// Marks a watched address as that of a hash group: all 128 bytes count, not one doubleword.
pub(crate) const GROUP_WATCH: u64 = 1;

/// The partition of a vCPU that no hypervisor code runs under: what its hypervisor, the machine, set up.
#[derive(State, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Partition {
    /// The partition uses radix translation; else hash.
    pub radix: bool,
    /// Real address of the process table (radix).
    pub process_table: u64,
    /// Its length in bytes; 0: none registered.
    pub process_table_bytes: u64,
    /// Real address of the hash page table.
    pub hpt: u64,
    /// log2 of its length in bytes; 0: none.
    pub hpt_shift: u8,
}

impl Partition {
    /// Nothing set up.
    pub const fn cold() -> Partition {
        Partition { radix: false, process_table: 0, process_table_bytes: 0, hpt: 0, hpt_shift: 0 }
    }
}

/// What an access wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Data load.
    Load,
    /// Data store.
    Store,
    /// Instruction fetch.
    Fetch,
}

/// A store that the walk needs to set R or C.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Update {
    /// Real address of the doubleword.
    pub address: u64,
    /// Its new value, big-endian.
    pub value: u64,
}

/// A translation of one page of [`PAGE`] bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// Real address of the page.
    pub page: u64,
    /// Loads are permitted.
    pub read: bool,
    /// Stores are permitted and C is set.
    pub write: bool,
    /// Fetches are permitted.
    pub execute: bool,
    /// What must be stored to set R or C for the access that was asked for.
    pub update: Option<Update>,
    /// Doubleword (or group, with `GROUP_WATCH`) that maps the page; 0 where there is none (real mode).
    pub leaf: u64,
    /// Doublewords (or groups) that led there.
    pub uppers: [u64; 8],
    /// How many of them.
    pub upper_count: u8,
}

impl Translation {
    /// Real mode: everything is permitted.
    fn real(page: u64) -> Translation {
        Translation {
            page,
            read: true,
            write: true,
            execute: true,
            update: None,
            leaf: 0,
            uppers: [0; 8],
            upper_count: 0,
        }
    }

    fn saw(&mut self, address: u64) {
        self.uppers[self.upper_count as usize] = address;
        self.upper_count += 1;
    }
}

/// Why there is no translation, before it is known whose fault it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Miss {
    Segment,
    NoTranslation,
    Protection,
    Key,
    NoExecute,
    Unsupported,
}

impl Miss {
    fn trap(self, ea: u64, access: Access) -> Trap {
        if access == Access::Fetch {
            let srr1 = match self {
                Miss::Segment => return Trap::InstructionSegment,
                Miss::NoTranslation => srr1::NO_TRANSLATION,
                Miss::Protection => srr1::PROTECTION,
                Miss::Key => srr1::KEY,
                Miss::NoExecute => srr1::NO_EXECUTE,
                Miss::Unsupported => dsisr::UNSUPPORTED as u64,
            };
            return Trap::InstructionStorage { srr1 };
        }
        let cause = match self {
            Miss::Segment => return Trap::DataSegment { ea },
            Miss::NoTranslation => dsisr::NO_TRANSLATION,
            Miss::Protection | Miss::NoExecute => dsisr::PROTECTION,
            Miss::Key => dsisr::KEY,
            Miss::Unsupported => dsisr::UNSUPPORTED,
        };
        let store = if access == Access::Store { dsisr::STORE } else { 0 };
        Trap::DataStorage { ea, dsisr: cause | store }
    }
}

/// What translations depend on, beside memory: the key of a context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Context {
    relocate: bool,
    problem: bool,
    hypervisor: bool,
    radix: bool,
    pid: u64,
    lpid: u64,
    amr: u64,
    iamr: u64,
    ptcr: u64,
    /// All segments, for data.
    slb: Option<alloc::boxed::Box<Slb>>,
    /// The segment of NIA, for instructions.
    segment: Option<SlbEntry>,
}

impl Vcpu {
    /// The partition uses radix.
    pub(crate) fn radix(&self) -> bool {
        if self.has_hypervisor { self.spr.lpcr & lpcr::HR != 0 } else { self.partition.radix }
    }

    /// The context of accesses now: data, or instructions.
    pub fn context(&self, access: Access) -> Context {
        let bit = if access == Access::Fetch { msr::IR } else { msr::DR };
        let relocate = self.regs.msr & bit != 0;
        let radix = self.radix();
        let hash = relocate && !radix;
        let fetch = access == Access::Fetch;
        // Quadrant 3 is that of process 0, whatever PIDR says: the code of a kernel is the same in all processes.
        let process = relocate && radix && !(fetch && self.regs.nia >> 62 == 3);
        Context {
            relocate,
            problem: self.problem(),
            hypervisor: self.regs.msr & msr::HV != 0,
            radix,
            pid: if process { self.spr.pidr } else { 0 },
            lpid: if self.has_hypervisor { self.spr.lpidr } else { 0 },
            amr: if hash {
                self.spr.amr
            } else if fetch {
                0
            } else {
                self.spr.amr >> 62
            },
            iamr: if hash {
                self.spr.iamr
            } else if fetch {
                self.spr.iamr >> 62
            } else {
                0
            },
            ptcr: self.spr.ptcr,
            slb: (hash && !fetch).then(|| alloc::boxed::Box::new(self.slb.clone())),
            segment: if hash && fetch { self.slb.find(self.regs.nia).copied() } else { None },
        }
    }

    /// Translates the page of `ea` for `access` (the effective address already cut to 32 bits in 32-bit mode).
    pub fn translate(&self, memory: &Memory, ea: u64, access: Access) -> Result<Translation, Trap> {
        let bit = if access == Access::Fetch { msr::IR } else { msr::DR };
        if self.regs.msr & bit == 0 {
            return Ok(Translation::real(ea & 0x0fff_ffff_ffff_f000));
        }
        let walked = if self.radix() {
            radix::walk(self, memory, ea, access)
        } else {
            hash::walk(self, memory, ea, access)
        };
        walked.map_err(|miss| miss.trap(ea, access))
    }
}

impl Vcpu {
    /// The real address of `ea` for a debugger: as data, else as code, and even if this context is not permitted to
    /// access it. Has no effect. None if it is not mapped.
    pub fn real_address(&mut self, memory: &Memory, ea: u64) -> Option<u64> {
        let ea = if self.regs.msr & msr::SF != 0 { ea } else { ea & 0xffff_ffff };
        let (msr, amr, iamr) = (self.regs.msr, self.spr.amr, self.spr.iamr);
        let mut found = None;
        for (access, state) in [
            (Access::Load, msr),
            (Access::Load, msr & !msr::PR),
            (Access::Fetch, msr),
            (Access::Fetch, msr & !msr::PR),
        ] {
            self.regs.msr = state;
            found = self.translate(memory, ea, access).ok();
            if found.is_some() {
                break;
            }
            (self.spr.amr, self.spr.iamr) = (0, 0);
        }
        self.regs.msr = msr;
        (self.spr.amr, self.spr.iamr) = (amr, iamr);
        found.map(|translation| translation.page | ea & (PAGE - 1))
    }
}

impl Translation {
    /// Carries out the R/C update.
    pub fn commit(&self, memory: &mut Memory) {
        if let Some(update) = self.update {
            // The walk has just read this doubleword.
            let _ = memory.store_u64(update.address, update.value, Writer::Walker);
        }
    }

    /// The access is permitted.
    fn permits(&self, access: Access) -> bool {
        match access {
            Access::Load => self.read,
            Access::Store => self.write,
            Access::Fetch => self.execute,
        }
    }
}
