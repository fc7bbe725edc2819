//! Which contexts' translations went through a table entry: asked far more often than it grows.

use crate::mmu::Upper;
use alloc::{vec, vec::Vec};

/// Whose translations went through a table entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Users {
    /// A bit for each context.
    pub contexts: u32,
    /// An effective address among them, and log2 of the bytes of the aligned range that they are in: [`Upper::ALL`] is
    /// everywhere.
    pub ea: u64,
    pub reach: u32,
}

impl Users {
    fn add(&mut self, context: u32, ea: u64, reach: u32) {
        if self.contexts == 0 {
            (self.ea, self.reach) = (ea, reach);
        } else if reach != self.reach || reach < Upper::ALL && (ea ^ self.ea) >> reach != 0 {
            self.reach = Upper::ALL;
        }
        self.contexts |= 1 << context;
    }
}

/// [`Users`] by address. Open addressing with linear probing; nothing stands at address 0.
pub(crate) struct AddressSets {
    slots: Vec<(u64, Users)>,
    members: usize,
}

impl AddressSets {
    pub fn new() -> AddressSets {
        AddressSets { slots: vec![(0, Users::default()); 1024], members: 0 }
    }

    /// The slot that holds `address` or would take it.
    fn slot(&self, address: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.slots[at].0 != 0 && self.slots[at].0 != address {
            at = (at + 1) & mask;
        }
        at
    }

    /// The users of `address`, which it has no more.
    pub fn take(&mut self, address: u64) -> Users {
        if address == 0 {
            return Users::default();
        }
        let at = self.slot(address);
        core::mem::take(&mut self.slots[at].1)
    }

    /// A translation of `ea` in `context` went through what `upper` says.
    pub fn insert(&mut self, upper: Upper, context: u32, ea: u64) {
        let address = upper.address;
        if address == 0 {
            return;
        }
        let at = self.slot(address);
        let new = self.slots[at].0 == 0;
        self.slots[at].0 = address;
        self.slots[at].1.add(context, ea, upper.reach);
        if !new {
            return;
        }
        self.members += 1;
        if self.members * 2 > self.slots.len() {
            let doubled = vec![(0, Users::default()); self.slots.len() * 2];
            let old = core::mem::replace(&mut self.slots, doubled);
            for entry in old.into_iter().filter(|entry| entry.0 != 0) {
                let at = self.slot(entry.0);
                self.slots[at] = entry;
            }
        }
    }

    pub fn clear(&mut self) {
        if self.members != 0 {
            self.slots.fill((0, Users::default()));
            self.members = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_is_used_in_two_places_leads_everywhere() {
        let mut sets = AddressSets::new();
        let upper = Upper { address: 8, reach: 21 };
        sets.insert(upper, 3, 0x7fff_1234_5678);
        sets.insert(upper, 4, 0x7fff_123f_ffff);
        sets.insert(Upper { address: 16, reach: Upper::ALL }, 4, 5);
        assert_eq!(sets.take(8), Users { contexts: 0x18, ea: 0x7fff_1234_5678, reach: 21 });
        assert_eq!(sets.take(8).contexts, 0);
        sets.insert(upper, 1, 0x7fff_1240_0000);
        sets.insert(upper, 1, 0x7fff_1234_5678);
        assert_eq!(sets.take(8), Users { contexts: 2, ea: 0x7fff_1240_0000, reach: Upper::ALL });
        assert_eq!(sets.take(16), Users { contexts: 0x10, ea: 5, reach: Upper::ALL });
    }
}
