//! The registers of POWER10's XIVE: four pages, for the common queue (0), virtualization (1), presentation (2) and
//! thread contexts (3). A register is named by its page above 12 bits of offset.

use super::bits::field;
use super::tables::Kind;
use super::{Window, XiveNative};
use timebase_memory::Memory;

/// What there is (version 2, eight priorities for every target, exploitation mode, ends of interrupt by stores) and what
/// of it software chose.
const CAPABILITIES: u32 = 0x010;
const CAPABILITY_BITS: u64 = 2 << 60 | 3 << 52 | 1 << 5 | 1 << 4;
pub(super) const CONFIGURATION: u32 = 0x018;
/// Windows: registers, thread contexts, event states, queues, targets.
const REGISTERS_BASE: u32 = 0x040;
const CONTEXTS_BASE: u32 = 0x048;
const EVENTS_BASE: u32 = 0x050;
const QUEUES_BASE: u32 = 0x058;
const TARGETS_BASE: u32 = 0x060;
/// Masks of errors: set by AND and OR.
const FIRMASK: u32 = 0x198;
/// Tables of structures: data registers of both halves; which one stands 8 before.
const TARGET_TABLE: u32 = 0x2008;
const EVENT_TABLE: u32 = 0x1008;
/// Requests that are done as soon as they are made.
const DONE_AT_ONCE: [u32; 6] = [0x1010, 0x1200, 0x1300, 0x1400, 0x2010, 0x2400];
const SYNCHRONISED: u32 = 0x1420;
/// Cache watch of targets and of queues: what, and its data.
const TARGET_WATCH: u32 = 0x2500;
const QUEUE_WATCH: u32 = 0x1500;
/// Doublewords of either.
const WATCHED: u32 = 4;
/// Enabled threads: two groups, each with a register to set (0x10 on) and one to clear (0x18 on).
const ENABLED: [u32; 2] = [0x3000, 0x3020];

/// The register of an XSCOM number relative to the controller's first.
pub(super) fn register(number: u32) -> Option<u32> {
    (number < 0x400).then_some((number >> 8) << 12 | (number & 0xff) * 8)
}

/// The data register of a watch: its number.
fn watch_data(watch: u32, register: u32) -> Option<usize> {
    let offset = register.wrapping_sub(watch + 0x20);
    (offset < 8 * WATCHED).then_some(offset as usize / 8)
}

impl XiveNative {
    pub(super) fn read_register_10(&mut self, chip: usize, register: u32, memory: &mut Memory) -> u64 {
        let ic = &self.chips[chip];
        let kept = |register| ic.kept.get(&register).copied().unwrap_or(0);
        match register {
            CAPABILITIES => CAPABILITY_BITS,
            TARGET_TABLE | EVENT_TABLE => {
                let which = kept(register - 8);
                ic.tables.get(field(which, 48, 4), field(which, 32, 4))
            }
            // All of the seven queues.
            SYNCHRONISED => kept(register) | 0x7f << 57,
            // A watch never conflicts.
            TARGET_WATCH | QUEUE_WATCH => kept(register) & !(1 << 63),
            0x3010 | 0x3018 => kept(ENABLED[0]),
            0x3030 | 0x3038 => kept(ENABLED[1]),
            _ => {
                if let Some(n) = watch_data(TARGET_WATCH, register) {
                    if n == 0 {
                        self.read_watch(chip, Kind::Target, memory);
                    }
                    return self.chips[chip].target_watch[n];
                }
                if let Some(n) = watch_data(QUEUE_WATCH, register) {
                    if n == 0 {
                        self.read_watch(chip, Kind::Descriptor, memory);
                    }
                    return self.chips[chip].queue_watch[n];
                }
                kept(register)
            }
        }
    }

    pub(super) fn write_register_10(&mut self, chip: usize, register: u32, value: u64, memory: &mut Memory) {
        let ic = &mut self.chips[chip];
        match register {
            CAPABILITIES => {}
            FIRMASK..=0x1a8 => ic.combine(FIRMASK, register, value),
            TARGET_TABLE | EVENT_TABLE => {
                let which = ic.kept.get(&(register - 8)).copied().unwrap_or(0);
                ic.tables.set(field(which, 48, 4), field(which, 32, 4), value);
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
            _ => {
                if let Some(n) = watch_data(TARGET_WATCH, register) {
                    ic.target_watch[n] = value;
                    if n == 0 {
                        self.write_watch(chip, Kind::Target, memory);
                    }
                } else if let Some(n) = watch_data(QUEUE_WATCH, register) {
                    ic.queue_watch[n] = value;
                    if n == 0 {
                        self.write_watch(chip, Kind::Descriptor, memory);
                    }
                } else {
                    let done = DONE_AT_ONCE.contains(&register);
                    ic.kept.insert(register, if done { value & !(1 << 63) } else { value });
                    self.move_window_10(chip, register);
                }
            }
        }
    }

    /// A base was written: its window follows.
    fn move_window_10(&mut self, chip: usize, register: u32) {
        let ic = &mut self.chips[chip];
        let base = ic.kept.get(&register).copied().unwrap_or(0);
        match register {
            REGISTERS_BASE => ic.windows[0] = window(base, 512 << 16),
            EVENTS_BASE => ic.windows[1] = window(base, range(base)),
            TARGETS_BASE => ic.windows[2] = window(base, range(base)),
            QUEUES_BASE => ic.windows[3] = window(base, range(base)),
            CONTEXTS_BASE => self.contexts = window(base, 4 << 16),
            _ => {}
        }
    }

    /// What is watched: block and index.
    pub(super) fn watched_10(&self, chip: usize, kind: Kind) -> (u32, u32) {
        let register = if kind == Kind::Target { TARGET_WATCH } else { QUEUE_WATCH };
        let what = self.chips[chip].kept.get(&register).copied().unwrap_or(0);
        (field(what, 32, 4) as u32, field(what, 0, 24) as u32)
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
