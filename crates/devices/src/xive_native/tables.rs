//! The tables in memory (XIVE specification, "Virtualization Structure Tables"): where an entry is, directly or through
//! a page of descriptors.

use super::bits::field;
use super::queue::Generation;
use timebase_memory::Memory;
use timebase_state::State;

/// Blocks that a table has descriptors for.
const BLOCKS: usize = 16;

/// Tables that have descriptors: what is above are overflow queues, which are never needed here.
const KINDS: usize = 8;

/// A kind of table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Event assignments, 8 bytes each: where a source's events go.
    Assignment,
    /// Event states, two bits each.
    State,
    /// Event notification descriptors, 32 bytes each: queues.
    Descriptor,
    /// Notification virtual targets, 64 bytes each, 32 in the second generation.
    Target,
    /// Of the second generation: groups of targets, and crowds of groups, 32 bytes each.
    Group,
    Crowd,
    /// Of the second generation: where each thread is told that what it injected is done, 512 bytes each.
    Done,
}

impl Kind {
    /// Bits of an entry.
    fn entry_bits(self, generation: Generation) -> u64 {
        match (self, generation) {
            (Kind::Assignment, _) => 64,
            (Kind::State, _) => 2,
            (Kind::Target, Generation::First) => 512,
            (Kind::Descriptor | Kind::Target | Kind::Group | Kind::Crowd, _) => 256,
            (Kind::Done, _) => 4096,
        }
    }

    /// The table's number in registers.
    fn number(self, generation: Generation) -> usize {
        match (self, generation) {
            (Kind::Assignment, Generation::First) | (Kind::State, Generation::Second) => 0,
            (Kind::Assignment | Kind::State, _) => 1,
            (Kind::Descriptor, _) => 2,
            (Kind::Target, _) => 3,
            (Kind::Group, _) => 4,
            (Kind::Crowd, _) => 5,
            (Kind::Done, _) => 7,
        }
    }
}

/// The descriptors of all tables of a chip.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tables {
    descriptors: [[u64; BLOCKS]; KINDS],
}

impl Tables {
    /// Writes the descriptor of a table.
    pub fn set(&mut self, kind: u64, block: u64, value: u64) {
        if let Some(table) = self.descriptors.get_mut(kind as usize) {
            table[block as usize % BLOCKS] = value;
        }
    }

    /// Reads it.
    pub fn get(&self, kind: u64, block: u64) -> u64 {
        self.descriptors.get(kind as usize).map_or(0, |table| table[block as usize % BLOCKS])
    }

    /// The real address of entry `index`. None: the table has no such entry.
    pub fn entry(
        &self,
        generation: Generation,
        kind: Kind,
        block: u32,
        index: u32,
        memory: &Memory,
    ) -> Option<u64> {
        let descriptor = self.descriptors[kind.number(generation)][block as usize % BLOCKS];
        let index = index as u64;
        if descriptor & INDIRECT == 0 {
            return within(descriptor, index * kind.entry_bits(generation) / 8);
        }
        let first = memory.read_u64(descriptor & ADDRESS).ok()?;
        let per_page = page_bytes(first)? * 8 / kind.entry_bits(generation);
        let page = memory.read_u64((descriptor & ADDRESS) + 8 * (index / per_page)).ok()?;
        within(page, index % per_page * kind.entry_bits(generation) / 8)
    }
}

const ADDRESS: u64 = 0x0fff_ffff_ffff_f000;
const INDIRECT: u64 = 1 << 7;

/// Bytes that a descriptor covers. None: it is empty.
fn page_bytes(descriptor: u64) -> Option<u64> {
    (descriptor & ADDRESS != 0).then(|| 1 << (field(descriptor, 0, 5) + 12))
}

fn within(descriptor: u64, offset: u64) -> Option<u64> {
    (offset < page_bytes(descriptor)?).then_some((descriptor & ADDRESS) + offset)
}
