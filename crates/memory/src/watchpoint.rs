//! Watchpoints: accesses that a debugger wants to know of.
//!
//! They are no state, and the guest cannot see them: pages that hold a watched byte get no pointers for engines, so
//! that every access to them takes the slow path, which tells of it. Stores to real addresses are told by
//! [`crate::Memory::store`] whoever makes them; accesses by effective address, and loads, by the vCPU that makes
//! them. Loads by firmware and devices are not told.

use crate::PAGE;
use alloc::vec::Vec;

/// What an address of a watchpoint is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Space {
    /// Effective address, in whatever context a vCPU accesses it.
    Effective,
    /// Real address.
    Real,
}

/// Watched bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Watchpoint {
    /// What the address is.
    pub space: Space,
    /// First watched byte.
    pub address: u64,
    /// Number of bytes, at least 1.
    pub bytes: u64,
    /// Loads are told.
    pub loads: bool,
    /// Stores are told.
    pub stores: bool,
}

impl Watchpoint {
    fn last(&self) -> u64 {
        self.address.saturating_add(self.bytes.max(1) - 1)
    }

    fn overlaps(&self, space: Space, first: u64, last: u64) -> bool {
        self.space == space && first <= self.last() && self.address <= last
    }
}

/// An access to watched bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// What was accessed.
    pub watchpoint: Watchpoint,
    /// The vCPU that did, None for anybody else.
    pub cpu: Option<u32>,
    /// First byte of the access, in the watchpoint's space.
    pub address: u64,
    /// Bytes of the access.
    pub bytes: u64,
    /// It was a store.
    pub store: bool,
}

/// All watchpoints, and what was seen since it was last asked.
#[derive(Default)]
pub(crate) struct Watchpoints {
    watched: Vec<Watchpoint>,
    seen: Vec<Sighting>,
}

impl Watchpoints {
    #[inline(always)]
    pub fn any(&self) -> bool {
        !self.watched.is_empty()
    }

    #[inline(always)]
    pub fn any_seen(&self) -> bool {
        !self.seen.is_empty()
    }

    pub fn set(&mut self, watched: Vec<Watchpoint>) {
        self.watched = watched;
        self.seen.clear();
    }

    /// Some byte of the page is watched.
    pub fn in_page(&self, space: Space, address: u64) -> bool {
        let first = address & !(PAGE - 1);
        self.watched.iter().any(|watch| watch.overlaps(space, first, first | (PAGE - 1)))
    }

    pub fn tell(&mut self, space: Space, cpu: Option<u32>, address: u64, bytes: u64, store: bool) {
        let last = address.wrapping_add(bytes.max(1) - 1);
        let of_interest = |watch: &&Watchpoint| {
            (if store { watch.stores } else { watch.loads }) && watch.overlaps(space, address, last)
        };
        let sightings = self.watched.iter().filter(of_interest).map(|&watchpoint| Sighting {
            watchpoint,
            cpu,
            address,
            bytes,
            store,
        });
        self.seen.extend(sightings);
    }

    pub fn take(&mut self) -> Vec<Sighting> {
        core::mem::take(&mut self.seen)
    }
}
