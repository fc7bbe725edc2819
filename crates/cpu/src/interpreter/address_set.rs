//! A set of addresses that is asked far more often than it grows.

use alloc::{vec, vec::Vec};

/// Open addressing with linear probing; 0 is never a member.
pub(crate) struct AddressSet {
    slots: Vec<u64>,
    members: usize,
}

impl AddressSet {
    pub fn new() -> AddressSet {
        AddressSet { slots: vec![0; 1024], members: 0 }
    }

    /// The slot that holds `address` or would take it.
    fn slot(&self, address: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & mask;
        while self.slots[at] != 0 && self.slots[at] != address {
            at = (at + 1) & mask;
        }
        at
    }

    pub fn contains(&self, address: u64) -> bool {
        address != 0 && self.slots[self.slot(address)] == address
    }

    pub fn insert(&mut self, address: u64) {
        let at = self.slot(address);
        if address == 0 || self.slots[at] == address {
            return;
        }
        self.slots[at] = address;
        self.members += 1;
        if self.members * 2 > self.slots.len() {
            let doubled = vec![0; self.slots.len() * 2];
            let old = core::mem::replace(&mut self.slots, doubled);
            for address in old.into_iter().filter(|&a| a != 0) {
                let at = self.slot(address);
                self.slots[at] = address;
            }
        }
    }

    pub fn clear(&mut self) {
        if self.members != 0 {
            self.slots.fill(0);
            self.members = 0;
        }
    }
}
