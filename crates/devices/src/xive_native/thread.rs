//! The thread interrupt management area (XIVE specification, "Thread Context"): four rings of 16 bytes per thread, and
//! the operations on them.

use alloc::vec::Vec;
use timebase_state::State;

/// Offsets of the rings.
const USER: usize = 0;
const OS: usize = 0x10;
const POOL: usize = 0x20;
const PHYSICAL: usize = 0x30;

/// Offsets in a ring.
const NSR: usize = 0;
const CPPR: usize = 1;
const IPB: usize = 2;
const PIPR: usize = 7;
const WORD2: usize = 8;

/// NSR of the OS ring: an event is there. Of the physical ring: one of the pool, or its own.
const NSR_OS: u8 = 0x80;
const NSR_POOL: u8 = 0x40;
const NSR_PHYSICAL: u8 = 0x80;
/// Word 2 is valid.
const VALID: u8 = 0x80;

/// The context of one thread.
#[derive(State, Clone, Debug, PartialEq, Eq)]
pub(super) struct Thread {
    rings: [u8; 64],
}

/// Which notification virtual target a thread's ring answers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Target {
    /// Block and index, as in word 2: block above 19 bits of index.
    pub cam: u32,
    /// The bits of word 2 that this is compared with.
    pub mask: u32,
    /// The logical server of a user-level target.
    pub server: Option<u32>,
}

/// The bit of a priority in a pending buffer.
const fn pending_bit(priority: u8) -> u8 {
    0x80 >> (priority & 7)
}

/// The most favoured priority that is pending, 0xff if none.
const fn most_favoured(pending: u8) -> u8 {
    if pending == 0 { 0xff } else { pending.leading_zeros() as u8 }
}

impl Thread {
    /// Nothing is pending, nothing accepted, no target.
    pub fn cold() -> Thread {
        let mut rings = [0; 64];
        for ring in [OS, POOL, PHYSICAL] {
            rings[ring + PIPR] = 0xff;
        }
        Thread { rings }
    }

    /// The lines to the thread: to the hypervisor, to the operating system.
    pub fn lines(&self) -> (bool, bool) {
        (self.rings[PHYSICAL + NSR] >> 6 != 0, self.rings[OS + NSR] & NSR_OS != 0)
    }

    fn word2(&self, ring: usize) -> u32 {
        let at = ring + WORD2;
        u32::from_be_bytes([self.rings[at], self.rings[at + 1], self.rings[at + 2], self.rings[at + 3]])
    }

    /// The ring that answers to `target`. `own`: the target of the physical thread itself.
    fn ring_of(&self, target: Target, own: u32) -> Option<usize> {
        let valid = |ring: usize| self.rings[ring + WORD2] & VALID != 0;
        let os = valid(OS) && self.word2(OS) & target.mask == target.cam;
        if let Some(server) = target.server {
            let user = valid(USER) && self.word2(USER) & 0x7fff_ffff == server;
            return (os && user).then_some(USER);
        }
        if valid(PHYSICAL) && own == target.cam {
            return Some(PHYSICAL);
        }
        if valid(POOL) && self.word2(POOL) & target.mask == target.cam {
            return Some(POOL);
        }
        os.then_some(OS)
    }

    /// Presents an event, if it is for this thread.
    pub fn present(&mut self, target: Target, own: u32, priority: u8) -> bool {
        let Some(ring) = self.ring_of(target, own) else { return false };
        match ring {
            USER => self.rings[USER + NSR] |= 0x80,
            _ => {
                self.rings[ring + IPB] |= pending_bit(priority);
                self.update(if ring == OS { OS } else { PHYSICAL });
            }
        }
        true
    }

    /// Derives PIPR and NSR of the OS ring, or of the physical one with its pool.
    fn update(&mut self, ring: usize) {
        let rings = &mut self.rings;
        let own = most_favoured(rings[ring + IPB]);
        if ring == OS {
            rings[OS + PIPR] = own;
            if own < rings[OS + CPPR] {
                rings[OS + NSR] |= NSR_OS;
            }
            return;
        }
        let of_pool = if rings[POOL + WORD2] & VALID != 0 { most_favoured(rings[POOL + IPB]) } else { 0xff };
        let first = own.min(of_pool);
        rings[PHYSICAL + PIPR] = first;
        rings[POOL + PIPR] = of_pool;
        if first < rings[PHYSICAL + CPPR] {
            rings[PHYSICAL + NSR] = if of_pool < own { NSR_POOL } else { NSR_PHYSICAL };
        }
    }

    /// The current processor priority changes; what is pending is looked at anew.
    fn set_priority(&mut self, ring: usize, priority: u8) {
        self.rings[ring + CPPR] = if priority > 7 { 0xff } else { priority };
        self.rings[ring + NSR] = 0;
        self.update(ring);
    }

    /// Accepts what NSR tells of: returns NSR and the new current priority.
    fn accept(&mut self, ring: usize) -> u16 {
        let told = self.rings[ring + NSR];
        let is = if ring == OS { told & NSR_OS } else { told & 0xc0 };
        if is != 0 {
            let priority = self.rings[ring + PIPR];
            let from = if ring == PHYSICAL && is == NSR_POOL { POOL } else { ring };
            self.rings[ring + CPPR] = priority;
            self.rings[from + IPB] &= !pending_bit(priority);
            self.rings[ring + NSR] = 0;
            self.update(ring);
        }
        (told as u16) << 8 | self.rings[ring + CPPR] as u16
    }

    /// Word 2 as it was; it is valid no more.
    fn pull(&mut self, ring: usize) -> u32 {
        let was = self.word2(ring);
        self.rings[ring + WORD2] &= !VALID;
        if ring == POOL {
            self.set_priority(PHYSICAL, self.rings[PHYSICAL + CPPR]);
        } else {
            self.rings[ring + NSR] = 0;
        }
        was
    }

    /// A load of `bytes` bytes through `page`: 0 and 1 for the hypervisor, 2 for the operating system, 3 for users.
    pub fn load(&mut self, page: u8, offset: u64, bytes: u8) -> u64 {
        let hypervisor = page < 2;
        match (offset & 0xfff, bytes) {
            (0x810, 2) if page < 3 => self.accept(OS) as u64,
            (0x830, 2) if hypervisor => self.accept(PHYSICAL) as u64,
            (0x808, 4) if page < 3 => self.pull(USER) as u64,
            (0x818, 4 | 8) if hypervisor => (self.pull(OS) as u64) << (8 * (bytes as u32 - 4)),
            (0x828, 4 | 8) if hypervisor => (self.pull(POOL) as u64) << (8 * (bytes as u32 - 4)),
            (offset @ 0..0x40, _) => self.read(page, offset as usize, bytes),
            _ => u64::MAX >> (64 - 8 * bytes as u32),
        }
    }

    /// The rings that `page` shows.
    fn shown(page: u8) -> usize {
        match page {
            0 | 1 => 0x40,
            2 => 0x20,
            _ => 0x10,
        }
    }

    fn read(&self, page: u8, offset: usize, bytes: u8) -> u64 {
        (offset..offset + bytes as usize).fold(0, |value, at| {
            let byte = if at < Self::shown(page) { self.rings[at] } else { 0 };
            value << 8 | byte as u64
        })
    }

    /// A store of `bytes` bytes.
    pub fn store(&mut self, page: u8, offset: u64, bytes: u8, value: u64) {
        let hypervisor = page < 2;
        match (offset & 0xfff, bytes) {
            (0x11, 1) if page < 3 => self.set_priority(OS, value as u8),
            (0x31, 1) if hypervisor => self.set_priority(PHYSICAL, value as u8),
            (0x812, 1) if page < 3 => {
                self.rings[OS + IPB] |= pending_bit(value as u8);
                self.update(OS);
            }
            (offset @ 0..0x40, _) => {
                let content: Vec<u8> = value.to_be_bytes()[8 - bytes as usize..].into();
                for (at, byte) in (offset as usize..).zip(content) {
                    self.write(page, at, byte);
                }
                for ring in [OS, PHYSICAL] {
                    self.update(ring);
                }
            }
            _ => {}
        }
    }

    /// Writes a byte that `page` may write: words 2, and the rest only as long as a ring is not valid.
    fn write(&mut self, page: u8, at: usize, byte: u8) {
        if at >= 0x40 || page >= 2 && !(OS..POOL).contains(&at) {
            return;
        }
        let ring = at & 0x30;
        let place = at & 0xf;
        let word2 = (WORD2..WORD2 + 4).contains(&place);
        if word2 && page < 2 || place < WORD2 && self.rings[ring + WORD2] & VALID == 0 && page < 2 {
            self.rings[at] = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u32 = 0x80;

    #[test]
    fn an_event_is_presented_accepted_and_the_next_one_waits_for_its_priority() {
        let mut thread = Thread::cold();
        let target = Target { cam: OWN, mask: 0xff_ffff, server: None };
        assert!(!thread.present(target, OWN, 6));
        thread.store(1, 0x38, 1, 0x80);
        thread.store(1, 0x31, 1, 0xff);
        assert!(thread.present(target, OWN, 6));
        assert!(thread.lines().0);
        assert_eq!(thread.load(1, 0x830, 2), 0x8006);
        assert!(!thread.lines().0);
        assert!(thread.present(target, OWN, 7));
        assert!(!thread.lines().0);
        thread.store(1, 0x31, 1, 0xff);
        assert!(thread.lines().0);
        assert_eq!(thread.load(1, 0x830, 2), 0x8007);
        assert_eq!(thread.load(1, 0x830, 2), 0x0007);
    }

    #[test]
    fn the_pool_is_told_apart_and_can_be_pulled() {
        let mut thread = Thread::cold();
        thread.store(1, 0x28, 4, 0x8000_0123);
        thread.store(1, 0x31, 1, 0xff);
        let target = Target { cam: 0x123, mask: 0xff_ffff, server: None };
        assert!(thread.present(target, OWN, 2));
        assert_eq!(thread.load(1, 0x30, 1), NSR_POOL as u64);
        assert_eq!(thread.load(1, 0x830, 2), 0x4002);
        assert_eq!(thread.load(1, 0x828, 4), 0x8000_0123);
        assert!(!thread.present(target, OWN, 2));
    }
}
