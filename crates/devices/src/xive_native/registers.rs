//! The registers of POWER9's XIVE: by the offset in the register page, which XSCOM numbers are turned into.

use super::bits::field;
use super::tables::Kind;
use super::{Chip, Generation, Window, XiveNative, registers_10};
use timebase_memory::{Memory, Writer};

/// Windows: registers, thread contexts, targets and the mask of their window, events and the mask of their window.
const REGISTERS_BASE: u32 = 0x080;
const CONTEXTS_BASE: u32 = 0x090;
const TARGETS_BASE: u32 = 0x0b0;
const TARGETS_MASK: u32 = 0x0b8;
const EVENTS_BASE: u32 = 0x0c0;
const EVENTS_MASK: u32 = 0x0c8;
/// The table of what is where: which entry, its data.
const TABLE_ADDRESS: u32 = 0x0f0;
const TABLE_DATA: u32 = 0x0f8;
/// Errors, and masks of them: set by AND and OR.
pub(super) const FIR: u32 = 0x180;
pub(super) const FIRMASK: u32 = 0x198;
/// The error that is noted: virtualization met a table entry that is not valid. skiboot masks it.
pub(super) const INFORMATION: u64 = 1;
/// The thread that is accessed indirectly.
pub(super) const INDIRECT_THREAD: u32 = 0x420;
/// Enabled threads: two groups, each with a register to set and one to clear.
pub(super) const ENABLED: [u32; 2] = [0x440, 0x460];
/// Tables of structures: which one, its data; for targets and for events.
const TARGET_TABLE: u32 = 0x488;
const EVENT_TABLE: u32 = 0x808;
/// Requests that are done as soon as they are written: their leftmost bit reads as 0.
const DONE_AT_ONCE: [u32; 6] = [0x4b0, 0x710, 0x8b0, 0x910, 0x990, 0xa10];
/// Cache watch of targets and of queues: what, and its data.
const TARGET_WATCH: u32 = 0x738;
const QUEUE_WATCH: u32 = 0x928;
/// Configuration of queues; its synchronisation bits say "done".
const QUEUE_CONFIG: u32 = 0x920;
const SYNCHRONISED: u64 = 0x1f << (63 - 36);

/// The offset in the register page of an XSCOM number relative to the controller's first.
fn offset(number: u32) -> Option<u32> {
    match number {
        0..0x80 => Some(number * 8),
        0x100..0x180 => Some(0x400 + (number - 0x100) * 8),
        0x200..=0x202 | 0x208 => Some(0x800 + (number - 0x200) * 8),
        _ => None,
    }
}

impl XiveNative {
    /// Loads a register over XSCOM; `number` counts from the controller's first.
    pub fn scom(&mut self, chip: u32, number: u32, memory: &mut Memory) -> Option<u64> {
        self.chips.get(chip as usize)?;
        Some(self.read_register(chip as usize, self.register_of(number)?, memory))
    }

    /// Stores a register over XSCOM; `by`: the thread that does it.
    pub fn set_scom(&mut self, chip: u32, number: u32, value: u64, by: (u32, &mut Memory)) -> Option<()> {
        self.chips.get(chip as usize)?;
        self.write_register(chip as usize, self.register_of(number)?, value, by);
        Some(())
    }

    fn register_of(&self, number: u32) -> Option<u32> {
        match self.generation {
            Generation::First => offset(number),
            Generation::Second => registers_10::register(number),
        }
    }

    pub(super) fn read_register(&mut self, chip: usize, register: u32, memory: &mut Memory) -> u64 {
        if self.generation == Generation::Second {
            return self.read_register_10(chip, register, memory);
        }
        let ic = &self.chips[chip];
        let kept = ic.kept.get(&register).copied().unwrap_or(0);
        match register {
            TABLE_DATA => {
                let (_, entry) = ic.selected();
                ic.set(entry)
            }
            0x448 | 0x450 => ic.kept.get(&ENABLED[0]).copied().unwrap_or(0),
            0x468 | 0x470 => ic.kept.get(&ENABLED[1]).copied().unwrap_or(0),
            0x490 | 0x810 => {
                let which = ic.kept.get(&(register - 8)).copied().unwrap_or(0);
                ic.tables.get(field(which, 48, 3), field(which, 32, 5))
            }
            QUEUE_CONFIG => kept | SYNCHRONISED,
            // A watch never conflicts.
            TARGET_WATCH | QUEUE_WATCH => kept & !(1 << 63),
            0x740..0x780 => {
                let n = (register - 0x740) as usize / 8;
                if n == 0 {
                    self.read_watch(chip, (Kind::Target, 0), memory);
                }
                self.chips[chip].target_watch[0][n]
            }
            0x930..0x950 => {
                let n = (register - 0x930) as usize / 8;
                if n == 0 {
                    self.read_watch(chip, (Kind::Descriptor, 0), memory);
                }
                self.chips[chip].queue_watch[0][n]
            }
            _ => kept,
        }
    }

    pub(super) fn write_register(
        &mut self,
        chip: usize,
        register: u32,
        value: u64,
        (cpu, memory): (u32, &mut Memory),
    ) {
        if self.generation == Generation::Second {
            return self.write_register_10(chip, register, value, (cpu, memory));
        }
        let ic = &mut self.chips[chip];
        match register {
            FIR..=0x190 => ic.combine(FIR, register, value),
            FIRMASK..=0x1a8 => ic.combine(FIRMASK, register, value),
            TABLE_DATA => ic.write_set(value),
            0x440..=0x470 => ic.enable(register, value),
            0x490 | 0x810 => {
                let which = ic.kept.get(&(register - 8)).copied().unwrap_or(0);
                // The tables of targets and of queues have a register each in both halves; both say the same.
                ic.tables.set(field(which, 48, 3), field(which, 32, 5), value);
            }
            0x740..0x780 => {
                ic.target_watch[0][(register - 0x740) as usize / 8] = value;
                if register == 0x740 {
                    self.write_watch(chip, (Kind::Target, 0), memory);
                }
            }
            0x930..0x950 => {
                ic.queue_watch[0][(register - 0x930) as usize / 8] = value;
                if register == 0x930 {
                    self.write_watch(chip, (Kind::Descriptor, 0), memory);
                }
            }
            _ => {
                let done = DONE_AT_ONCE.contains(&register);
                ic.kept.insert(register, if done { value & !(1 << 63) } else { value });
                self.move_window(chip, register);
            }
        }
    }

    /// A base or a mask was written: the windows follow.
    fn move_window(&mut self, chip: usize, register: u32) {
        let ic = &mut self.chips[chip];
        let kept = |register| ic.kept.get(&register).copied().unwrap_or(0);
        match register {
            REGISTERS_BASE => ic.windows[0] = window(kept(REGISTERS_BASE), 8 << 16),
            TARGETS_BASE | TARGETS_MASK => {
                let bytes = size(kept(TARGETS_MASK), 1 << 38);
                ic.windows[2] = window(kept(TARGETS_BASE), bytes);
            }
            EVENTS_BASE | EVENTS_MASK => {
                let bytes = size(kept(EVENTS_MASK), 1 << 43);
                ic.windows[1] = window(kept(EVENTS_BASE), bytes);
            }
            CONTEXTS_BASE => self.contexts = window(kept(CONTEXTS_BASE), 4 << 16),
            _ => {}
        }
    }

    /// What is watched: block and index.
    fn watched_9(&self, chip: usize, kind: Kind) -> (u32, u32) {
        let kept = |register| self.chips[chip].kept.get(&register).copied().unwrap_or(0);
        if kind == Kind::Target {
            let what = kept(TARGET_WATCH);
            (field(what, 32, 5) as u32, field(what, 0, 19) as u32)
        } else {
            let what = kept(QUEUE_WATCH);
            (field(what, 32, 4) as u32, field(what, 0, 24) as u32)
        }
    }

    /// Where the entry is that a watch looks at, and how many doublewords it has. A watch: whether of queues or of targets,
    /// and its number.
    fn watched(&self, chip: usize, (kind, watch): (Kind, usize), memory: &Memory) -> Option<(u64, usize)> {
        let (kind, block, index) = match self.generation {
            Generation::First => {
                let (block, index) = self.watched_9(chip, kind);
                (kind, block, index)
            }
            Generation::Second => self.watched_10(chip, kind, watch)?,
        };
        let long = kind == Kind::Target && self.generation == Generation::First;
        Some((self.entry(kind, block, index, memory)?, if long { 8 } else { 4 }))
    }

    pub(super) fn read_watch(&mut self, chip: usize, watch: (Kind, usize), memory: &mut Memory) {
        let Some((at, length)) = self.watched(chip, watch, memory) else { return };
        for n in 0..length {
            self.chips[chip].watch_data(watch)[n] = memory.read_u64(at + 8 * n as u64).unwrap_or(u64::MAX);
        }
    }

    pub(super) fn write_watch(&mut self, chip: usize, watch: (Kind, usize), memory: &mut Memory) {
        let Some((at, length)) = self.watched(chip, watch, memory) else { return };
        for n in 0..length {
            let value = self.chips[chip].watch_data(watch)[n];
            let _ = memory.store_u64(at + 8 * n as u64, value, Writer::Other);
        }
    }
}

impl Chip {
    /// The data registers of a watch.
    pub(super) fn watch_data(&mut self, (kind, watch): (Kind, usize)) -> &mut [u64] {
        if kind == Kind::Target { &mut self.target_watch[watch] } else { &mut self.queue_watch[watch] }
    }

    /// Which table of what is where is selected (3: of events), and which entry.
    fn selected(&self) -> (u64, usize) {
        let which = self.kept.get(&TABLE_ADDRESS).copied().unwrap_or(0);
        (field(which, 48, 4), field(which, 32, 6) as usize)
    }

    /// Writes the selected entry, and goes on to the next if that is wanted.
    fn write_set(&mut self, value: u64) {
        const AUTOMATIC: u64 = 1 << 63;
        const EVENTS: u64 = 1;
        let (table, entry) = self.selected();
        if table & EVENTS != 0 {
            self.sets[entry / 16][entry % 16] = value;
        }
        let which = self.kept.entry(TABLE_ADDRESS).or_default();
        if *which & AUTOMATIC != 0 {
            *which = *which & !(0x3f << 32) | ((entry as u64 + 1) & 0x3f) << 32;
        }
    }

    /// The mask of errors, and its forms that AND and OR.
    pub(super) fn combine(&mut self, first: u32, register: u32, value: u64) {
        let mask = self.kept.entry(first).or_default();
        *mask = match register - first {
            0 => value,
            8 => *mask & value,
            _ => *mask | value,
        };
    }

    /// Enabled threads, and the forms that set and clear.
    fn enable(&mut self, register: u32, value: u64) {
        let group = if register < 0x460 { ENABLED[0] } else { ENABLED[1] };
        let enabled = self.kept.entry(group).or_default();
        *enabled = match register - group {
            0 => value,
            8 => *enabled | value,
            _ => *enabled & !value,
        };
    }
}

/// The window of a base register, whose leftmost bit makes it valid.
fn window(base: u64, bytes: u64) -> Window {
    if base >> 63 != 0 { (base & 0x00ff_ffff_ffff_0000, bytes) } else { (0, 0) }
}

/// Bytes of a window by its mask, of which only `limit` counts.
fn size(mask: u64, limit: u64) -> u64 {
    // The mask has ones where addresses must agree.
    if mask == 0 { 0 } else { (mask & mask.wrapping_neg()).min(limit) }
}

const _: () = assert!(TARGET_TABLE + 8 == 0x490 && EVENT_TABLE + 8 == 0x810);
