//! The seam between the interpreter and a compiler of its blocks.
//!
//! The interpreter finds code, counts how often it runs, and hands what is hot to a [`Compiler`], which knows the host.
//! Compiled code works on [`Vcpu::regs`](crate::Vcpu) and on [`Frame`], and calls back what is in [`Calls`]. It is
//! as much a cache as decoded blocks are, and belongs to them: compiled code leaves the page whose block it is by a look
//! into [`Jump`]s, or by a way that was made for the present context alone ([`Compiler::bridge`]). Both are forgotten
//! when the page is elsewhere or its blocks are dropped, so nothing leads to that code any more.

use crate::Vcpu;
pub use crate::interpreter::{CALLS, Decoded, Op, Source};
pub use crate::spr::{HMEER, HMER, StoredSpr, TIME_BASE, stored_spr};
use alloc::{collections::BTreeMap, string::String};
use core::ffi::c_void;
use timebase_isa::Ops;

/// Where compiled code begins on the host; null: there is none.
pub type Entry = *const u8;

/// Where code was found lately, by effective address: what a jump out of a page looks at.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Jump {
    /// Effective address.
    pub address: u64,
    /// Compiled code, or [`Compiler::outside`], in bytes from [`Compiler::base`].
    pub entry: u32,
    /// Validity: that of [`Frame::salt`] when this was found.
    pub salt: u32,
}

/// Lines of [`Jump`]s; the one for an address is number `(address >> 4) % JUMP_LINES`.
pub const JUMP_LINES: usize = 16384;
/// [`Jump`]s in a line: any of them may be to the address.
pub const JUMP_WAYS: usize = 4;

/// What a translation looks like to compiled code. Tags are numbers of effective pages, or [`Translated::NEVER`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Translated {
    /// Tag for loads.
    pub read: u64,
    /// Tag for stores; with [`Translated::CLEAR`], for stores of zeros, which change nothing: the page has no bytes yet.
    pub write: u64,
    /// Host address minus effective address.
    pub addend: usize,
    /// Tag for fetches.
    pub fetch: u64,
}

impl Translated {
    /// The tag of no page.
    pub const NEVER: u64 = u64::MAX;
    /// No tag has this bit.
    pub const CLEAR: u64 = 1 << 63;

    /// The tag of the page that `ea` is in.
    #[inline(always)]
    pub const fn tag(ea: u64) -> u64 {
        ea >> 12
    }
}

/// Translations of a context: the one for `ea`, of which only the lower 32 bits count, is number
/// `(ea >> 12 ^ ea >> 21) % TRANSLATIONS`.
pub const TRANSLATIONS: usize = 4096;

/// Translations that compiled code keeps at hand, of loads and of stores: places that mostly stay in one page, as the
/// stack does, look there first.
pub const RECENT: usize = 8;

/// Translations that compiled code found lately, for one kind of access. They are not looked up by address, so whether an
/// access leads out of the page is for it to see: it begins less than `reach` bytes after `page`.
#[repr(C)]
#[derive(Default)]
pub struct Recent {
    /// [`Recent::REACH`]; 0: there is none.
    pub reach: [u64; RECENT],
    /// Effective addresses of pages.
    pub page: [u64; RECENT],
    /// Host addresses minus effective addresses.
    pub addend: [usize; RECENT],
}

impl Recent {
    /// Where in a page an access may begin: none is larger than 16 bytes.
    pub const REACH: u64 = 4096 - 15;
}

/// What compiled code needs of a vCPU beside its registers. It begins the cached part of a vCPU.
#[repr(C)]
pub struct Frame {
    /// Translations of the current data context.
    pub translations: *const Translated,
    /// [`JUMP_LINES`] lines.
    pub jumps: *const Jump,
    /// [`Compiler::base`].
    pub code: Entry,
    /// What a [`Jump`] must hold to be valid now: which context, which mode, and since when. 0: look outside.
    pub salt: u32,
    /// How many ways into other pages may still be looked up before one is made to lead on: one made for a context that
    /// is gone, or for another process, is used again and again before it is worth the work.
    pub patience: u32,
    /// The run that compiled code is part of.
    pub(crate) run: *mut c_void,
    /// Some of `translations`, of loads and of stores. They are forgotten whenever compiled code is entered and when
    /// anything that it calls may have made one of them untrue.
    pub recent: [Recent; 2],
}

impl Frame {
    /// A salt that no context ever has: their numbers, in the bits above, begin at 1.
    pub const NO_SALT: u32 = 7;

    /// Forgets the translations that are at hand.
    pub(crate) fn forget_recent(&mut self) {
        self.recent.iter_mut().for_each(|recent| recent.reach = [0; RECENT]);
    }
}

/// Why compiled code came back. NIA says where to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// What is next is not compiled yet or not known; a jump at this address of the host can be made to lead there.
    Link(usize),
    /// What is next is in another page; the way at this address of the host can be made to lead there.
    Bridge(usize),
    /// What is next is to be looked up.
    Look,
    /// The instruction at NIA must be interpreted: a page that is not mapped, a device, a facility that is off.
    Interpret,
    /// Less is left of the budget than the next piece of code takes.
    Budget,
    /// The last instruction raised an interrupt or ends the run.
    Done,
}

impl Leave {
    /// Names of the counters in reports.
    pub const NAMES: [&'static str; 6] = [
        "leaves_to_link",
        "leaves_to_look",
        "leaves_to_interpret",
        "leaves_at_budget",
        "leaves_when_done",
        "leaves_to_bridge",
    ];

    /// Its place in [`Leave::NAMES`].
    pub fn number(self) -> usize {
        match self {
            Leave::Link(_) => 0,
            Leave::Look => 1,
            Leave::Interpret => 2,
            Leave::Budget => 3,
            Leave::Done => 4,
            Leave::Bridge(_) => 5,
        }
    }
}

/// When code is compiled.
#[derive(Clone, Copy, Debug)]
pub struct Eagerness {
    /// A block is compiled when it was found this often.
    pub found: u32,
    /// Compiled code is stopped after so many instructions, to see where time is spent.
    pub sample: u64,
    /// So many blocks are interpreted then, which shows where branches lead.
    pub looks: u32,
    /// A block is compiled with more care when it was seen so often.
    pub samples: u16,
}

impl Default for Eagerness {
    fn default() -> Eagerness {
        Eagerness { found: 32, sample: 250_000, looks: 16, samples: 4 }
    }
}

/// What compiled code calls. The vCPU must be the one that was entered.
pub struct Calls {
    /// Makes the translation for a load at `ea`. 0 if there is none for compiled code: interpret the instruction.
    /// If `again` is not 0, compiled code goes on using other translations that it has looked up: 0 as well if any may
    /// not be true any more.
    pub fill_load: unsafe extern "C" fn(cpu: *mut Vcpu, ea: u64, again: u64) -> u64,
    /// The same for a store.
    pub fill_store: unsafe extern "C" fn(cpu: *mut Vcpu, ea: u64, again: u64) -> u64,
    /// The same for the tag of a page that is to be cleared, with or without [`Translated::CLEAR`].
    pub fill_clear: unsafe extern "C" fn(cpu: *mut Vcpu, ea: u64, again: u64) -> u64,
    /// Executes one instruction, all state being in the vCPU, NIA not; `left` of the budget after it. 0: the next
    /// one in the page follows, else the run is done or must look around.
    pub step: unsafe extern "C" fn(cpu: *mut Vcpu, op: *const Op, address: u64, left: u64) -> u64,
    /// Reserves `bytes` bytes at `ea`, which has just been loaded from by them.
    pub reserve: unsafe extern "C" fn(cpu: *mut Vcpu, ea: u64, bytes: u64),
    /// Stores the first `bytes` bytes of `value`, the least significant one first, at `ea`, whose translation for stores
    /// has just been found, if they are reserved; 1 if so. The reservation is lost.
    pub conditional: unsafe extern "C" fn(cpu: *mut Vcpu, ea: u64, bytes: u64, value: u64) -> u64,
    /// The time base at the instruction after which `left` of the budget is left.
    pub time_base: unsafe extern "C" fn(cpu: *mut Vcpu, left: u64) -> u64,
    /// Calls a named function of registers ([`Compute`](timebase_isa::semantics::Compute)). 0: it is done. Otherwise it
    /// raised an interrupt: the run is done.
    pub compute: unsafe extern "C" fn(
        cpu: *mut Vcpu,
        operands: *const Ops,
        function: *const c_void,
        address: u64,
    ) -> u64,
}

/// Where the registers are in a [`Vcpu`], in bytes.
pub const REGS: usize = core::mem::offset_of!(Vcpu, regs);
/// Where the [`Frame`] is in a [`Vcpu`], in bytes.
pub const FRAME: usize = core::mem::offset_of!(Vcpu, fast);

/// Compiles.
pub trait Compiler: Send {
    /// Its name for reports.
    fn name(&self) -> &'static str;
    /// When compiling pays.
    fn eagerness(&self) -> Eagerness {
        Eagerness::default()
    }
    /// Compiles the code that begins at `source`'s start; more of it, and with more care, if it is `hot`: much time is
    /// spent there. None: nothing is gained by it, or there is no room.
    fn compile(&mut self, source: &mut Source, hot: bool) -> Option<Entry>;
    /// Makes what leads to the code at `old` lead to that at `new`.
    fn replace(&mut self, old: Entry, new: Entry);
    /// Where the memory for code begins: all of it is less than 4 GiB away.
    fn base(&self) -> Entry;
    /// Where a [`Jump`] leads that has no compiled code: back.
    fn outside(&self) -> Entry;
    /// Makes the jump at `site` lead to `to`.
    fn link(&mut self, site: usize, to: Entry);
    /// Makes the way at `site` into another page lead to `to` while [`Frame::salt`] is `salt`; whatever it led to before,
    /// it does no more.
    fn bridge(&mut self, site: usize, to: Entry, salt: u32);
    /// Makes the way at `site` into another page be looked up again.
    fn unbridge(&mut self, site: usize);
    /// Runs compiled code with this budget; returns why it came back, and what is left.
    ///
    /// # Safety
    /// `entry` was compiled for the code at NIA in the present mode, since the last [`Compiler::flush`].
    unsafe fn enter(&mut self, entry: Entry, cpu: &mut Vcpu, budget: u64) -> (Leave, u64);
    /// There is little room left.
    fn full(&self) -> bool;
    /// Forgets all code.
    fn flush(&mut self);
    /// Its own counters.
    fn counters(&self) -> BTreeMap<String, u64>;
}
