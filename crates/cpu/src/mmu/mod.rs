//! Address translation (Power ISA Book III chapter 6): effective to real, radix and hash.
//!
//! A walk has no effect by itself: it says what R/C update it needs ([`Update`]) and what table entries it saw, and
//! the caller decides. So the debugger's and the compiler's looks change nothing, and a cached translation can be
//! watched exactly. Negative results are never cached.

mod hash;
mod radix;
mod slb;
mod table;

pub use slb::{Slb, SlbEntry};

use crate::Vcpu;
use crate::bits::{dsisr, lpcr, msr, srr1};
use crate::breakpoint::Watchpoint;
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

/// Something in memory that led to a translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Upper {
    /// Doubleword (or group, with `GROUP_WATCH`).
    pub address: u64,
    /// log2 of the bytes, an aligned range of effective addresses, whose translations by these tables it leads to.
    pub reach: u32,
}

impl Upper {
    /// [`Upper::reach`] of what leads to all translations.
    pub const ALL: u32 = 64;
}

/// A table of a radix tree of the host: the last one of a walk, from which the same walk may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// Real address.
    base: u64,
    /// log2 of its entries.
    index_bits: u32,
    /// log2 of the bytes that an entry maps.
    left: u32,
}

impl Table {
    /// log2 of the bytes that it maps.
    pub fn reach(&self) -> u32 {
        self.left + self.index_bits
    }

    /// Address of the entry for `address`.
    fn entry(&self, address: u64) -> u64 {
        self.base + 8 * (address >> self.left & ((1 << self.index_bits) - 1))
    }

    /// One that maps 2 to the power of `reach` bytes.
    #[cfg(test)]
    pub fn mapping(reach: u32) -> Table {
        Table { base: 0, index_bits: 5, left: reach - 5 }
    }
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
    /// Another update is needed after that: the next walk says which.
    pub more: bool,
    /// Doubleword (or group, with `GROUP_WATCH`) that maps the page; 0 where there is none (real mode).
    pub leaf: u64,
    /// What led there.
    pub uppers: [Upper; UPPERS],
    /// How many of them.
    pub upper_count: u8,
    /// Where the leaf is, if that is in a radix tree of the host.
    pub table: Option<Table>,
}

/// As many as two trees of four levels need: two for the partition table, four for the process table and its entry,
/// five for each level of a guest's tree, and four for its page.
const UPPERS: usize = 32;

impl Translation {
    /// Real mode: everything is permitted.
    fn real(page: u64) -> Translation {
        Translation {
            page,
            read: true,
            write: true,
            execute: true,
            update: None,
            more: false,
            leaf: 0,
            uppers: [Upper::default(); UPPERS],
            upper_count: 0,
            table: None,
        }
    }

    /// The translation depends on the entry at `address`. Trees that are deeper than any CPU's are not supported.
    fn saw(&mut self, address: u64) -> Result<(), Miss> {
        self.saw_part(address, Upper::ALL)
    }

    /// The same of an entry that leads to translations of 2 to the power of `reach` bytes only.
    fn saw_part(&mut self, address: u64, reach: u32) -> Result<(), Miss> {
        let count = self.upper_count as usize;
        if let Some(upper) = self.uppers[..count].iter_mut().find(|upper| upper.address == address) {
            upper.reach = upper.reach.max(reach);
            return Ok(());
        }
        let slot = self.uppers.get_mut(count).ok_or(Miss::Unsupported)?;
        *slot = Upper { address, reach };
        self.upper_count += 1;
        Ok(())
    }

    /// R or C must be set.
    fn needs(&mut self, update: Update) {
        self.more |= self.update.is_some();
        self.update.get_or_insert(update);
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

/// Why there is no translation, and whose fault it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// That of the tables of whoever made the access.
    Own(Miss),
    /// That of the hypervisor's tables for a guest.
    Partition {
        miss: Miss,
        /// Guest real address of the page; hash: the segment.
        asdr: u64,
        /// The access was one of translation itself, to a process table or to a guest's tree: a load, or a store
        /// of R or C.
        table: Option<Access>,
    },
}

impl From<Miss> for Fault {
    fn from(miss: Miss) -> Fault {
        Fault::Own(miss)
    }
}

impl Fault {
    fn trap(self, ea: u64, access: Access) -> Trap {
        let (miss, asdr, table) = match self {
            Fault::Own(miss) => return miss.trap(ea, access),
            Fault::Partition { miss, asdr, table } => (miss, asdr, table),
        };
        let store = if table == Some(Access::Store) { dsisr::STORE } else { 0 };
        let table = if table.is_some() { dsisr::TABLE } else { 0 };
        match miss.trap(ea, access) {
            Trap::InstructionStorage { srr1 } => {
                Trap::HypervisorInstructionStorage { gra: asdr, hsrr1: srr1 | table as u64 }
            }
            Trap::DataStorage { ea, dsisr } => {
                Trap::HypervisorDataStorage { ea, gra: asdr, hdsisr: dsisr | table | store }
            }
            other => other,
        }
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
    /// What is added to real addresses of hypervisor state.
    hrmor: u64,
    /// Watchpoints of data accesses.
    watchpoints: [Watchpoint; 2],
    /// LPCR[TC]: secondary groups are not searched.
    primary_only: bool,
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
            hrmor: if relocate { 0 } else { self.spr.hrmor },
            watchpoints: if fetch { Default::default() } else { self.watchpoints() },
            primary_only: self.spr.lpcr & lpcr::TC != 0,
            slb: (hash && !fetch).then(|| alloc::boxed::Box::new(self.slb.clone())),
            segment: if hash && fetch { self.slb.find(self.regs.nia).copied() } else { None },
        }
    }

    /// Translates the page of `ea` for `access` (the effective address already cut to 32 bits in 32-bit mode).
    pub fn translate(&self, memory: &Memory, ea: u64, access: Access) -> Result<Translation, Trap> {
        let bit = if access == Access::Fetch { msr::IR } else { msr::DR };
        let relocate = self.regs.msr & bit != 0;
        let walked = match (relocate, self.radix()) {
            (false, _) if !self.has_hypervisor || self.regs.msr & msr::HV != 0 => Ok(self.real_mode(ea)),
            (false, true) => radix::guest_real(self, memory, ea, access),
            (false, false) => hash::real_mode_area(self, memory, ea, access),
            (true, true) => radix::walk(self, memory, ea, access),
            (true, false) => hash::walk(self, memory, ea, access),
        };
        walked.map_err(|fault| fault.trap(ea, access))
    }

    /// Real mode with nobody above (III 6.7.3): HRMOR counts where bit 0 of the address is 0.
    fn real_mode(&self, ea: u64) -> Translation {
        let offset = if ea >> 63 == 0 { self.spr.hrmor } else { 0 };
        Translation::real(ea & 0x0fff_ffff_ffff_f000 | offset)
    }

    /// The same as [`Vcpu::translate`] with its effects, from the table to which a walk led before, as long as what that
    /// went through is as it was. None: the whole walk must tell.
    pub(crate) fn translate_from(
        &self,
        memory: &mut Memory,
        table: Table,
        ea: u64,
        access: Access,
    ) -> Option<Translation> {
        let found = radix::resume(self, memory, table, ea, access)?;
        found.commit(memory);
        Some(found)
    }

    /// The same with its effects: R and C are set.
    pub(crate) fn translate_and_update(
        &self,
        memory: &mut Memory,
        ea: u64,
        access: Access,
    ) -> Result<Translation, Trap> {
        loop {
            let found = self.translate(memory, ea, access)?;
            found.commit(memory);
            if !found.more {
                return Ok(found);
            }
        }
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
    fn commit(&self, memory: &mut Memory) {
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
