//! Where walks of radix trees ended lately, so that the next one nearby goes on there: a table entry is read instead of six.
//!
//! What led to a table is watched, as what led to a translation is: who drops the one drops the other.

use crate::mmu::Table;
use alloc::{vec, vec::Vec};

/// log2 of the bytes of effective addresses for which one table is noted: those that map less are not.
const REGION: u32 = 21;
/// Regions of a context.
const REGIONS: usize = 64;
/// No region has this number.
const NONE: u64 = u64::MAX;

/// The tables of each resident context, by region.
pub(super) struct Walks {
    contexts: Vec<[(u64, Table); REGIONS]>,
}

impl Walks {
    pub fn new(contexts: usize) -> Walks {
        Walks { contexts: vec![[(NONE, Table::default()); REGIONS]; contexts] }
    }

    fn place(ea: u64) -> usize {
        // Stacks, heaps and images of programs lie powers of two apart.
        (ea >> REGION ^ ea >> 30 ^ ea >> 40) as usize % REGIONS
    }

    /// The table that has the leaf for `ea`, if it is known.
    pub fn find(&self, context: u32, ea: u64) -> Option<Table> {
        let (region, table) = self.contexts[context as usize][Self::place(ea)];
        (region == ea >> REGION).then_some(table)
    }

    pub fn note(&mut self, context: u32, ea: u64, table: Table) {
        if table.reach() >= REGION {
            self.contexts[context as usize][Self::place(ea)] = (ea >> REGION, table);
        }
    }

    /// Something that led to tables for the aligned range of 2 to the power of `reach` bytes around `ea` has changed.
    pub fn forget_part(&mut self, context: usize, ea: u64, reach: u32) {
        let all = &mut self.contexts[context];
        if reach <= REGION {
            all[Self::place(ea)].0 = NONE;
            return;
        }
        let shift = reach - REGION;
        all.iter_mut()
            .filter(|(region, _)| (region ^ ea >> REGION) >> shift == 0)
            .for_each(|(region, _)| *region = NONE);
    }

    pub fn forget(&mut self, context: usize) {
        self.contexts[context].fill((NONE, Table::default()));
    }

    pub fn forget_all(&mut self) {
        (0..self.contexts.len()).for_each(|context| self.forget(context));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_known_until_what_led_there_changes() {
        let (mut walks, ea, table) = (Walks::new(2), 0x7fff_1234_5678, Table::mapping(21));
        let known = |walks: &Walks| [0, 1].map(|context| walks.find(context, ea ^ 0x1f_0000).is_some());
        walks.note(0, ea, Table::mapping(17));
        assert_eq!(known(&walks), [false, false]);
        walks.note(0, ea, table);
        walks.note(1, ea, table);
        walks.forget_part(0, ea ^ 1 << 30, 30);
        walks.forget_part(0, ea ^ 1 << 25, 21);
        assert_eq!((known(&walks), walks.find(0, ea ^ 1 << 21)), ([true, true], None));
        walks.forget_part(0, ea ^ 1 << 25, 30);
        assert_eq!(known(&walks), [false, true]);
        walks.note(0, ea, table);
        walks.forget_part(1, ea, 21);
        assert_eq!(known(&walks), [true, false]);
        walks.forget(0);
        assert_eq!(known(&walks), [false, false]);
    }
}
