//! Which contexts' translations went through a table entry: asked far more often than it grows.

use alloc::{vec, vec::Vec};

/// Sets of contexts (a bit each) by address. Open addressing with linear probing; nothing stands at address 0.
pub(crate) struct AddressSets {
    slots: Vec<(u64, u32)>,
    members: usize,
}

impl AddressSets {
    pub fn new() -> AddressSets {
        AddressSets { slots: vec![(0, 0); 1024], members: 0 }
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

    /// The contexts of `address`, which it has no more.
    pub fn take(&mut self, address: u64) -> u32 {
        if address == 0 {
            return 0;
        }
        let at = self.slot(address);
        core::mem::take(&mut self.slots[at].1)
    }

    /// `context` is one of those of `address` from now on.
    pub fn insert(&mut self, address: u64, context: u32) {
        if address == 0 {
            return;
        }
        let at = self.slot(address);
        let new = self.slots[at].0 == 0;
        self.slots[at] = (address, self.slots[at].1 | 1 << context);
        if !new {
            return;
        }
        self.members += 1;
        if self.members * 2 > self.slots.len() {
            let doubled = vec![(0, 0); self.slots.len() * 2];
            let old = core::mem::replace(&mut self.slots, doubled);
            for entry in old.into_iter().filter(|entry| entry.0 != 0) {
                let at = self.slot(entry.0);
                self.slots[at] = entry;
            }
        }
    }

    pub fn clear(&mut self) {
        if self.members != 0 {
            self.slots.fill((0, 0));
            self.members = 0;
        }
    }
}
