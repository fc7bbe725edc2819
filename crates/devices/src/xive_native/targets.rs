//! Targets in memory (XIVE specification, "Notification Virtual Target", in the second generation "... Processor", "...
//! Group" and "... Crowd"): what is pending for a target that runs nowhere, how many events wait for a group, and the
//! context that is saved when a target leaves a thread and restored when it comes back.

use super::bits::{field, with_field};
use super::queue::Generation;
use super::tables::Kind;
use super::thread::{CPPR, HARDWARE, IPB, LGS, LSMFB, OS, POOL, T, Thread, WORD2, pending_bit, signal};
use super::{XiveNative, registers_10};
use timebase_memory::{Memory, Writer};

/// Word 0: valid; saved and restored by hardware; LSMFB, LGS and T are saved too; CPPR of a pool's target is.
const VALID: u32 = 1 << 31;
const SAVED: u32 = 1 << 24;
const SAVES_LSMFB: u32 = 1 << 23;
const SAVES_LGS: u32 = 1 << 22;
const SAVES_T: u32 = 1 << 21;
const SAVES_CPPR: u32 = 1 << 20;
/// Word 1: it is on a thread, at which privilege (0: operating system, 1: pool), and on which.
const CHECKED_OUT: u32 = 1 << 18;
const PRIVILEGE: u32 = 16;
const THREAD_VALID: u32 = 1 << 15;
/// The number of no thread.
const NO_THREAD: u32 = 0x7fff;

/// A group by what may differ among the numbers of its members: bits of the block (a crowd's) and of the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Level(pub u8);

impl Level {
    /// The bits of the index that may differ.
    pub fn index_bits(self) -> u32 {
        (self.0 & 0xf) as u32
    }

    /// The bits of the block that may differ: there are no crowds of eight.
    pub fn block_bits(self) -> u32 {
        match self.0 >> 4 & 3 {
            3 => 4,
            bits => bits as u32,
        }
    }

    /// The level of the group that is named by the number of a queue's target: ones at the right, and the zero before
    /// them, are what may differ. None: there is no such crowd.
    pub fn named(crowd: bool, block: u32, index: u32) -> Option<Level> {
        let of_index = (index.trailing_ones() + 1).min(15) as u8;
        let of_block = match (crowd, block.trailing_ones() + 1) {
            (false, _) => 0,
            (true, bits @ 1..=2) => bits as u8,
            (true, 4) => 3,
            (true, _) => return None,
        };
        Some(Level(of_block << 4 | of_index))
    }

    /// Block and index of the group that a target belongs to.
    pub fn group_of(self, block: u32, index: u32) -> (u32, u32) {
        let named = |number: u32, bits: u32| number >> bits << bits | ((1 << bits) - 1) >> 1;
        (named(block, self.block_bits()), named(index, self.index_bits()))
    }

    /// Which table counts its events.
    pub fn kind(self) -> Kind {
        if self.block_bits() != 0 { Kind::Crowd } else { Kind::Group }
    }
}

/// What an access to the backlog of a target or of a group does, and at which priority (XIVE specification of the second
/// generation, "NVPG and NVC pages").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Backlog {
    Add(u32),
    Remove(u32),
    Look,
}

impl Backlog {
    /// The operation at an offset, and its priority.
    pub fn at(offset: u64, delta: u32) -> (Backlog, u8) {
        let what = match offset >> 10 & 3 {
            0 => Backlog::Add(delta),
            1 => Backlog::Remove(delta),
            _ => Backlog::Look,
        };
        (what, (offset >> 4 & 7) as u8)
    }
}

impl XiveNative {
    /// The real address of a valid target.
    pub(super) fn target(&self, block: u32, index: u32, memory: &Memory) -> Option<u64> {
        let at = self.entry(Kind::Target, block, index, memory)?;
        (memory.read_u32(at).ok()? & VALID != 0).then_some(at)
    }

    /// The real address of what is known of a group: in the first generation that is the second half of the target of its
    /// number.
    pub(super) fn group(&self, level: Level, block: u32, index: u32, memory: &Memory) -> Option<u64> {
        let at = match self.generation {
            Generation::First => self.entry(Kind::Target, block, index, memory)? + 32,
            Generation::Second => self.entry(level.kind(), block, index, memory)?,
        };
        (memory.read_u32(at).ok()? & VALID != 0).then_some(at)
    }

    /// The word with what is pending for a target, and the shift of that byte in it.
    fn pending_word(&self) -> (u64, u32) {
        match self.generation {
            Generation::First => (16, 8),
            Generation::Second => (8, 16),
        }
    }

    /// Carries out an operation on what is pending for a target: whether this priority was.
    pub(super) fn target_backlog(&self, at: u64, what: Backlog, priority: u8, memory: &mut Memory) -> bool {
        let (word, shift) = self.pending_word();
        let before = memory.read_u32(at + word).unwrap_or(0);
        let pending = field(before as u64, shift, 8) as u8;
        let after = match what {
            Backlog::Add(_) => pending | pending_bit(priority),
            Backlog::Remove(_) => pending & !pending_bit(priority),
            Backlog::Look => pending,
        };
        if after != pending {
            let word_after = with_field(before, shift, 8, after as u32);
            let _ = memory.store_u32(at + word, word_after, Writer::Other);
        }
        pending & pending_bit(priority) != 0
    }

    /// The same on the counter of a group, 24 bits that stop at their ends: its value before.
    pub(super) fn group_backlog(at: u64, what: Backlog, priority: u8, memory: &mut Memory) -> u32 {
        let place = at + 8 + 3 * (priority & 7) as u64;
        let mut bytes = [0; 4];
        if memory.read(place, &mut bytes[1..]).is_err() {
            return 0;
        }
        let before = u32::from_be_bytes(bytes);
        let after = match what {
            Backlog::Add(delta) => (before + delta).min(0xff_ffff),
            Backlog::Remove(delta) => before.saturating_sub(delta),
            Backlog::Look => before,
        };
        if after != before {
            let _ = memory.store(place, &after.to_be_bytes()[1..], Writer::Other);
        }
        before
    }

    /// The most favoured priority at which groups of a target have events, and the level of the first such group.
    pub(super) fn scan_groups(&self, block: u32, index: u32, memory: &Memory) -> Option<(u8, Level)> {
        /// Groups in groups: no more than there are bits that may differ.
        const LEVELS: u32 = 28;
        let target = self.target(block, index, memory)?;
        let first = Level((memory.read_u32(target).ok()? & 0x3f) as u8);
        let mut best: Option<(u8, Level)> = None;
        let mut level = first;
        for _ in 0..LEVELS {
            if level.0 == 0 {
                break;
            }
            let (block, index) = level.group_of(block, index);
            let Some(at) = self.group(level, block, index, memory) else { break };
            let mut counters = [0; 24];
            let _ = memory.read(at + 8, &mut counters);
            let first = counters.chunks(3).position(|count| count != [0; 3]).map(|priority| priority as u8);
            if let Some(priority) = first
                && best.is_none_or(|(of_best, _)| priority < of_best)
            {
                best = Some((priority, level));
            }
            level = Level((memory.read_u32(at).unwrap_or(0) & 0x3f) as u8);
        }
        best
    }

    /// Whether the controller of a thread saves and restores targets.
    fn saves(&self, thread: usize) -> bool {
        const ENABLED: u64 = 1 << (63 - 38);
        self.generation == Generation::Second
            && self.configuration(thread, registers_10::CONFIGURATION) & ENABLED != 0
    }

    /// A target came to a ring: its context comes with it if hardware has it, and what is pending for it in any case.
    pub(super) fn restore(&mut self, thread: usize, ring: usize, memory: &mut Memory) {
        let (block, index) = self.ring_target(thread, ring);
        let Some(at) = self.target(block, index, memory) else { return };
        let Ok(word0) = memory.read_u32(at) else { return };
        let with_context = self.threads[thread].byte(ring + WORD2) & HARDWARE != 0 && self.saves(thread);
        if with_context && word0 & SAVED != 0 && matches!(ring, OS | POOL) {
            let [word1, word2] = [4, 8].map(|word| memory.read_u32(at + word).unwrap_or(0));
            let context = &mut self.threads[thread];
            let mut left = word2;
            if ring == OS || word0 & SAVES_CPPR != 0 {
                context.set_byte(signal(ring) + CPPR, (word2 >> 24) as u8);
                left &= 0xff_ffff;
            }
            context.set_byte(ring + LSMFB, (word2 >> 8) as u8);
            context.set_byte(ring + LGS, (word2 & 0xf) as u8);
            context.set_byte(ring + T, (word2 >> 4 & 1) as u8);
            let word1 = with_field(word1, PRIVILEGE, 2, (ring == POOL) as u32);
            let out = with_field(word1, 0, 15, self.pirs[thread]) | CHECKED_OUT | THREAD_VALID;
            let _ = memory.store_u32(at + 8, left, Writer::Other);
            let _ = memory.store_u32(at + 4, out, Writer::Other);
        }
        let (word, shift) = self.pending_word();
        let before = memory.read_u32(at + word).unwrap_or(0);
        let pending = field(before as u64, shift, 8) as u8;
        if pending != 0 {
            let _ = memory.store_u32(at + word, with_field(before, shift, 8, 0), Writer::Other);
            let context = &mut self.threads[thread];
            context.set_byte(ring + IPB, context.byte(ring + IPB) | pending);
        }
    }

    /// A target leaves a ring: hardware keeps its context, if it is its own and was taken out by this thread. `word2`: of
    /// the ring, before it became invalid.
    pub(super) fn save(&mut self, thread: usize, ring: usize, word2: u32, memory: &mut Memory) {
        let asked = (word2 >> 24) as u8 & HARDWARE != 0 && matches!(ring, OS | POOL) && self.saves(thread);
        let (block, index) = self.ring_target(thread, ring);
        let Some(at) = self.target(block, index, memory).filter(|_| asked) else { return };
        let [word0, word1, mut saved] = [0, 4, 8].map(|word| memory.read_u32(at + word).unwrap_or(0));
        let elsewhere = word1 & THREAD_VALID != 0 && word1 & NO_THREAD != self.pirs[thread] & NO_THREAD;
        if word0 & SAVED == 0 || word1 & CHECKED_OUT == 0 || elsewhere {
            return;
        }
        let context: &Thread = &self.threads[thread];
        let byte = |at: usize| context.byte(at) as u32;
        saved = with_field(saved, 16, 8, byte(ring + IPB));
        if ring == OS || word0 & SAVES_CPPR != 0 {
            saved = with_field(saved, 24, 8, byte(signal(ring) + CPPR));
        }
        if word0 & SAVES_LSMFB != 0 {
            saved = with_field(saved, 8, 8, byte(ring + LSMFB));
        }
        if word0 & SAVES_LGS != 0 {
            saved = with_field(saved, 0, 4, byte(ring + LGS));
        }
        if word0 & SAVES_T != 0 {
            saved = with_field(saved, 4, 1, byte(ring + T));
        }
        let _ = memory.store_u32(at + 8, saved, Writer::Other);
        let _ = memory.store_u32(at + 4, word1 & !CHECKED_OUT | NO_THREAD, Writer::Other);
    }

    /// The pair of cache lines to which events of a target are reported.
    pub(super) fn report_lines(&self, block: u32, index: u32, memory: &Memory) -> Option<u64> {
        let at = self.target(block, index, memory)?;
        let [high, low] = [24, 28].map(|word| memory.read_u32(at + word).unwrap_or(0));
        Some(((high & 0x0fff_ffff) as u64) << 32 | (low & !0xff) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_by_the_ones_at_the_right() {
        assert_eq!(Level::named(false, 0, 0x80), Some(Level(1)));
        assert_eq!(Level::named(false, 0, 0x81), Some(Level(2)));
        assert_eq!(Level::named(true, 0b0111, 0x17), Some(Level(0x34)));
        assert_eq!(Level::named(true, 0b0011, 0x17), None);
        for level in [0x01, 0x02, 0x14, 0x34].map(Level) {
            let (block, index) = level.group_of(0b1010, 0x5a);
            assert_eq!(Level::named(level.block_bits() != 0, block, index), Some(level));
            assert_eq!(index >> level.index_bits(), 0x5a >> level.index_bits());
        }
    }
}
