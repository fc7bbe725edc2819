//! The registers of POWER10's XIVE: four pages, for the common queue (0), virtualization (1), presentation (2) and
//! thread contexts (3). A register is named by its page above 12 bits of offset.

use super::bits::field;
use super::queue::{FLIPPED, Generation};
use super::registers::{FIR, FIRMASK};
use super::tables::Kind;
use super::{Chip, PAGE_SHIFT, Window, XiveNative};
use timebase_memory::{Memory, Writer};

/// What there is (version 2, eight priorities for every target, targets that are saved and restored, exploitation mode,
/// ends of interrupt by stores) and what of it software chose.
const CAPABILITIES: u32 = 0x010;
const CAPABILITY_BITS: u64 = 2 << 60 | 3 << 52 | SAVE_AND_RESTORE | 1 << 5 | 1 << 4;
pub(super) const CONFIGURATION: u32 = 0x018;
const SAVE_AND_RESTORE: u64 = 1 << (63 - 38);
/// Windows: registers, thread contexts, event states, queues, targets and groups, crowds.
const REGISTERS_BASE: u32 = 0x040;
const CONTEXTS_BASE: u32 = 0x048;
const EVENTS_BASE: u32 = 0x050;
const QUEUES_BASE: u32 = 0x058;
const TARGETS_BASE: u32 = 0x060;
const CROWDS_BASE: u32 = 0x068;
/// Tables of structures: data registers of both halves; which one stands 8 before.
const TARGET_TABLE: u32 = 0x2008;
const EVENT_TABLE: u32 = 0x1008;
/// Requests that are done as soon as they are made.
const DONE_AT_ONCE: [u32; 6] = [0x1010, 0x1200, 0x1300, 0x1400, 0x2010, 0x2400];
/// Requests that are done as soon as they are made, and say so in memory: of the caches of event states, assignments,
/// queues and targets. With them, which byte says it.
const INJECTED: [(u32, u64); 4] = [(0x1210, 0x09), (0x1310, 0x0a), (0x1410, 0x08), (0x2410, 0x18)];
/// Synchronisation of queues of events by a store to a page of the window: by the page's offset, which byte says it.
const INJECT_PAGE: u64 = 7;
const SYNCHRONISED_BY: [(u64, u64); 13] = [
    (0x000, 0x00),
    (0x080, 0x01),
    (0x100, 0x02),
    (0x180, 0x03),
    (0x200, 0x04),
    (0x280, 0x05),
    (0x300, 0x06),
    (0x800, 0x10),
    (0x880, 0x11),
    (0x900, 0x12),
    (0x980, 0x13),
    (0xa00, 0x14),
    (0xa80, 0x15),
];
const SYNCHRONISED: u32 = 0x1420;
/// Cache watches of queues and of targets: which of the four is free (a load takes it), which may be given away, by four
/// bits at a shift, the first watch leftmost; the first watch.
const QUEUE_ASSIGN: u32 = 0x1430;
const QUEUE_MASK: (u32, u32) = (0x1440, 28);
const QUEUE_WATCH: u32 = 0x1500;
const TARGET_ASSIGN: u32 = 0x2430;
const TARGET_MASK: (u32, u32) = (0x2450, 60);
const TARGET_WATCH: u32 = 0x2500;
/// Watches of a kind, bytes of registers of each, where its data is among them, and how many doublewords.
const WATCHES: u32 = 4;
const WATCH_BYTES: u32 = 0x40;
const WATCH_DATA: u32 = 0x20;
const WATCHED: u32 = 4;
/// Enabled threads: two groups, each with a register to set (0x10 on) and one to clear (0x18 on).
pub(super) const ENABLED: [u32; 2] = [0x3000, 0x3020];

/// The register of an XSCOM number relative to the controller's first.
pub(super) fn register(number: u32) -> Option<u32> {
    (number < 0x400).then_some((number >> 8) << 12 | (number & 0xff) * 8)
}

/// Registers that are not 0 after power-on: eight priorities, targets are saved and restored, the number of the chip; of
/// the four watches, the last three are given away.
pub(super) fn cold(chip: u32) -> [(u32, u64); 3] {
    let configuration = 3 << 52 | SAVE_AND_RESTORE | (chip as u64) << 40;
    [(CONFIGURATION, configuration), (QUEUE_MASK.0, 7 << QUEUE_MASK.1), (TARGET_MASK.0, 7 << TARGET_MASK.1)]
}

/// What register of a watch this is: of which watch, its offset there.
fn watch_register(register: u32) -> Option<((Kind, usize), u32)> {
    [(Kind::Descriptor, QUEUE_WATCH), (Kind::Target, TARGET_WATCH)].into_iter().find_map(|(kind, first)| {
        let offset = register.checked_sub(first).filter(|&offset| offset < WATCHES * WATCH_BYTES)?;
        Some(((kind, (offset / WATCH_BYTES) as usize), offset % WATCH_BYTES))
    })
}

/// The data register of a watch that is at an offset among its registers: its number.
fn watch_data(offset: u32) -> Option<usize> {
    let offset = offset.wrapping_sub(WATCH_DATA);
    (offset < 8 * WATCHED).then_some(offset as usize / 8)
}

impl XiveNative {
    pub(super) fn read_register_10(&mut self, chip: usize, register: u32, memory: &mut Memory) -> u64 {
        let ic = &mut self.chips[chip];
        match register {
            CAPABILITIES => CAPABILITY_BITS,
            TARGET_TABLE | EVENT_TABLE => {
                let which = ic.kept(register - 8);
                ic.tables.get(field(which, 48, 4), field(which, 32, 4))
            }
            // All of the seven queues.
            SYNCHRONISED => ic.kept(register) | 0x7f << 57,
            QUEUE_ASSIGN => ic.take_watch(register, QUEUE_MASK),
            TARGET_ASSIGN => ic.take_watch(register, TARGET_MASK),
            0x3010 | 0x3018 => ic.kept(ENABLED[0]),
            0x3030 | 0x3038 => ic.kept(ENABLED[1]),
            _ => match watch_register(register) {
                None => ic.kept(register),
                Some((watch, 0)) => {
                    ic.free_watch(watch);
                    // A watch never conflicts.
                    ic.kept(register) & !(1 << 63)
                }
                Some((watch, offset)) => {
                    let Some(n) = watch_data(offset) else { return ic.kept(register) };
                    if n == 0 {
                        self.read_watch(chip, watch, memory);
                        if watch.0 == Kind::Descriptor {
                            self.chips[chip].watch_data(watch)[0] &= !(FLIPPED as u64);
                        }
                    }
                    self.chips[chip].watch_data(watch)[n]
                }
            },
        }
    }

    pub(super) fn write_register_10(
        &mut self,
        chip: usize,
        register: u32,
        value: u64,
        (cpu, memory): (u32, &mut Memory),
    ) {
        /// Which table or block is addressed moves on with each entry that is written.
        const AUTOMATIC: u64 = 1 << 63;
        let ic = &mut self.chips[chip];
        if let Some(&(_, what)) = INJECTED.iter().find(|&&(injected, _)| injected == register) {
            return self.tell_done(cpu, chip, what, memory);
        }
        match register {
            CAPABILITIES => {}
            FIR..=0x190 => ic.combine(FIR, register, value),
            FIRMASK..=0x1a8 => ic.combine(FIRMASK, register, value),
            TARGET_TABLE | EVENT_TABLE => {
                let which = ic.kept.entry(register - 8).or_default();
                let (kind, block) = (field(*which, 48, 4), field(*which, 32, 4));
                if *which & AUTOMATIC != 0 {
                    *which = *which & !(0xf << 32) | ((block + 1) & 0xf) << 32;
                }
                ic.tables.set(kind, block, value);
            }
            0x3000..=0x3038 => {
                let group = if register < 0x3020 { ENABLED[0] } else { ENABLED[1] };
                let enabled = ic.kept.entry(group).or_default();
                *enabled = match register - group {
                    0x10 => *enabled | value,
                    0x18 => *enabled & !value,
                    _ => value,
                };
            }
            _ => match watch_register(register).map(|(watch, offset)| (watch, watch_data(offset))) {
                Some((watch, Some(n))) => {
                    ic.watch_data(watch)[n] = value;
                    if n == 0 {
                        self.write_watch(chip, watch, memory);
                    }
                }
                _ => {
                    let done = DONE_AT_ONCE.contains(&register);
                    ic.kept.insert(register, if done { value & !(1 << 63) } else { value });
                    self.move_window_10(chip, register);
                }
            },
        }
    }

    /// Which synchronisation a store to the window of registers injects: the byte that says it is done.
    pub(super) fn injected(&self, offset: u64) -> Option<u64> {
        let page = self.generation == Generation::Second && offset >> PAGE_SHIFT == INJECT_PAGE;
        let found = SYNCHRONISED_BY.iter().find(|&&(at, _)| page && at == offset & 0xffff)?;
        Some(found.1)
    }

    /// Tells a thread that what it injected is done: in its part of the table, 32 bytes to each chip.
    pub(super) fn tell_done(&mut self, cpu: u32, chip: usize, what: u64, memory: &mut Memory) {
        let pir = self.pirs.get(cpu as usize).copied().unwrap_or(0);
        let tables = &self.chips[chip].tables;
        if let Some(at) = tables.entry(self.generation, Kind::Done, pir >> 8, pir & 0x7f, memory) {
            let _ = memory.store(at + 32 * chip as u64 + what, &[0xff], Writer::Other);
        }
    }

    /// A base was written: its window follows.
    fn move_window_10(&mut self, chip: usize, register: u32) {
        let ic = &mut self.chips[chip];
        let base = ic.kept(register);
        match register {
            REGISTERS_BASE => ic.windows[0] = window(base, 512 << 16),
            EVENTS_BASE => ic.windows[1] = window(base, range(base)),
            TARGETS_BASE => ic.windows[2] = window(base, range(base)),
            QUEUES_BASE => ic.windows[3] = window(base, range(base)),
            CROWDS_BASE => ic.windows[4] = window(base, range(base)),
            CONTEXTS_BASE => self.contexts = window(base, 4 << 16),
            _ => {}
        }
    }

    /// What a watch looks at: which table, block and index.
    pub(super) fn watched_10(&self, chip: usize, kind: Kind, watch: usize) -> Option<(Kind, u32, u32)> {
        let first = if kind == Kind::Target { TARGET_WATCH } else { QUEUE_WATCH };
        let what = self.chips[chip].kept(first + WATCH_BYTES * watch as u32);
        let kind = match (kind, field(what, 36, 2)) {
            (Kind::Target, 1) => return None,
            (Kind::Target, 2) => Kind::Group,
            (Kind::Target, 3) => Kind::Crowd,
            (kind, _) => kind,
        };
        Some((kind, field(what, 32, 4) as u32, field(what, 0, 24) as u32))
    }
}

impl Chip {
    /// Takes a free watch: its number, 0xff if there is none. The register has a bit for each that is taken.
    fn take_watch(&mut self, register: u32, (mask, shift): (u32, u32)) -> u64 {
        let given = field(self.kept(mask), shift, 4);
        let taken = self.kept.entry(register).or_default();
        match (0..WATCHES as u64).find(|n| given & !*taken & 8 >> n != 0) {
            Some(n) => {
                *taken |= 8 >> n;
                n
            }
            None => 0xff,
        }
    }

    /// A watch is free again.
    fn free_watch(&mut self, (kind, watch): (Kind, usize)) {
        let register = if kind == Kind::Target { TARGET_ASSIGN } else { QUEUE_ASSIGN };
        *self.kept.entry(register).or_default() &= !(8 >> watch);
    }
}

/// Bytes of a window: 16 MiB times a power of two.
fn range(base: u64) -> u64 {
    1 << (24 + field(base, 0, 5).min(20))
}

/// The window of a base register, whose leftmost bit makes it valid.
fn window(base: u64, bytes: u64) -> Window {
    if base >> 63 != 0 { (base & 0x00ff_ffff_ffff_0000, bytes) } else { (0, 0) }
}
