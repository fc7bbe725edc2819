//! The fast reading of instruction bodies: 64-bit mode, pages that are in the TLB, no calls.

use super::blocks::Op;
use super::tlb;
use crate::Vcpu;
use crate::bits::msr;
use crate::compiled::{Frame, Translated};
use core::ptr;
use timebase_isa::semantics::{Compute, Facility};
use timebase_isa::{Mem, N, Ops, Reg, Semantics, SystemOp, Trap};

/// What of a vCPU exists only for fast execution.
#[repr(C)]
pub struct Fast {
    /// What compiled code looks at, too. Its translations are those of nobody when the data context is not known.
    pub(crate) frame: Frame,
    /// Resident number of the data context, if the frame's translations are its.
    pub(crate) data_context: Option<u32>,
    /// The same of the instruction context in a segment (256 MiB) of effective addresses.
    pub(crate) fetch_context: Option<(u64, u32)>,
    /// Contexts of data and of instructions that were current before, by what MSR says of them ([`mode`]), with the segment
    /// for instructions: they come back with every interrupt and every return from one. What depends on more than MSR is
    /// the same since.
    pub(crate) contexts: [[Option<(u64, u32)>; MODES]; 2],
    /// How many contexts had been taken away when `contexts` was filled.
    pub(crate) taken: u64,
    /// Effective address of the block that runs.
    pub(crate) block_address: u64,
}

/// What MSR says of a context: hypervisor, problem state, relocation.
const MODES: usize = 8;

/// Which of the [`MODES`] `msr` is for accesses whose relocation is on with this bit of it.
#[inline(always)]
pub(crate) fn mode(msr: u64, relocation: u64) -> usize {
    let is = |bit| (msr & bit != 0) as usize;
    is(msr::HV) << 2 | is(msr::PR) << 1 | is(relocation)
}

// SAFETY: the frame points to an engine's memory or to a static; both move between threads only together with the
// machine that owns vCPU and engine, and nothing reads through it elsewhere.
unsafe impl Send for Fast {}

impl Default for Fast {
    fn default() -> Fast {
        let frame = Frame {
            translations: tlb::NONE.as_ptr(),
            jumps: ptr::null(),
            code: ptr::null(),
            salt: 0,
            patience: 0,
            run: ptr::null_mut(),
            recent: Default::default(),
        };
        let contexts = [[None; MODES]; 2];
        Fast { frame, data_context: None, fetch_context: None, contexts, taken: 0, block_address: 0 }
    }
}

impl Fast {
    /// The context is to be looked up again, and so are all others.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.leave();
        self.forget_contexts();
    }

    /// Contexts that are not current are to be looked up again.
    pub fn forget_contexts(&mut self) {
        self.contexts = [[None; MODES]; 2];
    }

    /// The context is to be looked up again, for MSR changes.
    #[inline(always)]
    pub fn leave(&mut self) {
        self.frame.translations = tlb::NONE.as_ptr();
        self.frame.salt = 0;
        self.data_context = None;
        self.fetch_context = None;
    }
}

/// Why the fast reading stops.
pub(crate) enum Slow {
    /// Nothing has happened: the full reader must do the instruction.
    Again,
    /// A named function has run and raised this.
    Trap(Trap),
}

/// The reader.
pub(crate) struct FastReader<'a, const LITTLE: bool> {
    pub cpu: &'a mut Vcpu,
    pub op: *const Op,
}

impl<const LITTLE: bool> FastReader<'_, LITTLE> {
    #[inline(always)]
    fn entry(&self, ea: u64) -> Translated {
        // SAFETY: `translations` always points to ENTRIES entries.
        unsafe { *self.cpu.fast.frame.translations.add(tlb::index(ea)) }
    }

    /// Host address for an access of `bytes` bytes.
    #[inline(always)]
    fn host<const WRITE: bool>(&self, ea: u64, bytes: u64) -> Result<usize, Slow> {
        let entry = self.entry(ea);
        // The page of the last byte: an access that crosses into the next page does not match.
        let last_page = Translated::tag(ea.wrapping_add(bytes - 1));
        if last_page == if WRITE { entry.write } else { entry.read } {
            Ok((ea as usize).wrapping_add(entry.addend))
        } else {
            Err(Slow::Again)
        }
    }

    #[inline(always)]
    fn swap(mem: Mem) -> bool {
        mem.reversed == LITTLE
    }
}

/// Reads `mem.size` bytes at a host address; `swap`: as a big-endian number.
///
/// # Safety
/// The bytes are readable.
#[inline(always)]
unsafe fn read(host: usize, mem: Mem, swap: bool) -> u64 {
    // SAFETY: promised by the caller.
    let value = unsafe {
        match mem.size {
            1 => *(host as *const u8) as u64,
            2 => (host as *const u16).read_unaligned() as u64,
            4 => (host as *const u32).read_unaligned() as u64,
            _ => (host as *const u64).read_unaligned(),
        }
    };
    order(value, mem, swap)
}

/// Byte order and sign of a value whose bytes were read little-endian.
#[inline(always)]
pub(crate) fn order(value: u64, mem: Mem, swap: bool) -> u64 {
    let value = match (swap, mem.size) {
        (true, 2) => (value as u16).swap_bytes() as u64,
        (true, 4) => (value as u32).swap_bytes() as u64,
        (true, 8) => value.swap_bytes(),
        _ => value,
    };
    match (mem.signed, mem.size) {
        (true, 1) => value as i8 as i64 as u64,
        (true, 2) => value as i16 as i64 as u64,
        (true, 4) => value as i32 as i64 as u64,
        _ => value,
    }
}

/// Writes `mem.size` bytes at a host address.
///
/// # Safety
/// The bytes are writable.
#[inline(always)]
unsafe fn write(host: usize, value: u64, mem: Mem, swap: bool) {
    let value = order(value, Mem { signed: false, ..mem }, swap);
    // SAFETY: promised by the caller.
    unsafe {
        match mem.size {
            1 => *(host as *mut u8) = value as u8,
            2 => (host as *mut u16).write_unaligned(value as u16),
            4 => (host as *mut u32).write_unaligned(value as u32),
            _ => (host as *mut u64).write_unaligned(value),
        }
    }
}

impl<const LITTLE: bool> Semantics for FastReader<'_, LITTLE> {
    type V = N;
    type C = bool;
    type Stop = Slow;

    #[inline(always)]
    fn imm(&self, value: u64) -> N {
        N(value)
    }
    #[inline(always)]
    fn get(&self, reg: Reg) -> N {
        N(self.cpu.regs.word(reg))
    }
    #[inline(always)]
    fn set(&mut self, reg: Reg, value: N) {
        self.cpu.regs.set_word(reg, value.0)
    }
    #[inline(always)]
    fn load(&mut self, ea: N, mem: Mem) -> Result<N, Slow> {
        let host = self.host::<false>(ea.0, mem.size as u64)?;
        // SAFETY: the TLB entry says that these bytes of the host page are readable.
        Ok(N(unsafe { read(host, mem, Self::swap(mem)) }))
    }
    #[inline(always)]
    fn store(&mut self, ea: N, value: N, mem: Mem) -> Result<(), Slow> {
        let host = self.host::<true>(ea.0, mem.size as u64)?;
        // SAFETY: the TLB entry says that these bytes of the host page are writable.
        unsafe { write(host, value.0, mem, Self::swap(mem)) }
        Ok(())
    }
    #[inline(always)]
    fn load16(&mut self, ea: N) -> Result<(N, N), Slow> {
        let host = self.host::<false>(ea.0, 16)?;
        // SAFETY: as for `load`.
        let (first, second) =
            unsafe { (read(host, Mem::D, Self::swap(Mem::D)), read(host + 8, Mem::D, Self::swap(Mem::D))) };
        Ok(if LITTLE { (N(second), N(first)) } else { (N(first), N(second)) })
    }
    #[inline(always)]
    fn store16(&mut self, ea: N, high: N, low: N) -> Result<(), Slow> {
        let host = self.host::<true>(ea.0, 16)?;
        let (first, second) = if LITTLE { (low, high) } else { (high, low) };
        // SAFETY: as for `store`.
        unsafe {
            write(host, first.0, Mem::D, Self::swap(Mem::D));
            write(host + 8, second.0, Mem::D, Self::swap(Mem::D));
        }
        Ok(())
    }
    #[inline(always)]
    fn load_bytes(&mut self, ea: N, count: N) -> Result<(N, N), Slow> {
        if count.0 != 16 {
            return Err(Slow::Again);
        }
        let host = self.host::<false>(ea.0, 16)?;
        // SAFETY: as for `load`.
        Ok(unsafe { (N(read(host, Mem::D, true)), N(read(host + 8, Mem::D, true))) })
    }
    #[inline(always)]
    fn store_bytes(&mut self, ea: N, count: N, first: N, second: N) -> Result<(), Slow> {
        if count.0 != 16 {
            return Err(Slow::Again);
        }
        let host = self.host::<true>(ea.0, 16)?;
        // SAFETY: as for `store`.
        unsafe {
            write(host, first.0, Mem::D, true);
            write(host + 8, second.0, Mem::D, true);
        }
        Ok(())
    }
    #[inline(always)]
    fn probe(&mut self, ea: N, bytes: u32, write: bool) -> Result<(), Slow> {
        if write {
            self.host::<true>(ea.0, bytes as u64)?
        } else {
            self.host::<false>(ea.0, bytes as u64)?
        };
        Ok(())
    }
    #[inline(always)]
    fn require(&mut self, facility: Facility) -> Result<(), Slow> {
        let bit = match facility {
            Facility::Fp => msr::FP,
            Facility::Vector => msr::VEC,
            Facility::Vsx => msr::VSX,
            Facility::Prefix | Facility::Tar => return Err(Slow::Again),
        };
        if self.cpu.regs.msr & bit != 0 { Ok(()) } else { Err(Slow::Again) }
    }
    #[inline(always)]
    fn cia(&self) -> N {
        // SAFETY: `op` points to the instruction that runs.
        N(self.cpu.fast.block_address.wrapping_add(unsafe { (*self.op).offset } as u64))
    }
    #[inline(always)]
    fn branch(&mut self, taken: bool, target: N) {
        let here = self.cia().0;
        if taken {
            self.cpu.regs.cfar = here;
        }
        self.cpu.regs.nia = if taken { target.0 } else { here.wrapping_add(4) };
    }
    #[inline(always)]
    fn compute(&mut self, function: Compute, i: &Ops) -> Result<(), Slow> {
        function(&mut self.cpu.regs, i).map_err(Slow::Trap)
    }
    #[inline(always)]
    fn system(&mut self, _: SystemOp, _: &Ops) -> Result<(), Slow> {
        Err(Slow::Again)
    }
    #[inline(always)]
    fn mode64(&self) -> bool {
        true
    }
    #[inline(always)]
    fn little_endian(&self) -> bool {
        LITTLE
    }
    #[inline(always)]
    fn trap_if(&mut self, condition: bool, _: Trap) -> Result<(), Slow> {
        if condition { Err(Slow::Again) } else { Ok(()) }
    }
}
