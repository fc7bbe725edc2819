//! The thread interrupt management area (XIVE specification, "Thread Context"): four rings of 16 bytes per thread, and
//! what can be done to them without looking at anything else.
//!
//! The user's and the operating system's rings notify on their own; the pool's and the physical one notify together, by
//! NSR, CPPR and PIPR of the physical one.

use timebase_state::State;

/// Offsets of the rings.
pub(super) const USER: usize = 0;
pub(super) const OS: usize = 0x10;
pub(super) const POOL: usize = 0x20;
pub(super) const PHYSICAL: usize = 0x30;

/// Offsets in a ring: what is notified, the priority that the processor works at, what is pending, the least favoured
/// priority of groups that may have something (LSMFB), the size of groups that the ring takes part in (LGS), the most
/// favoured priority that is pending, the target.
pub(super) const NSR: usize = 0;
pub(super) const CPPR: usize = 1;
pub(super) const IPB: usize = 2;
pub(super) const LSMFB: usize = 3;
pub(super) const ACK_COUNT: usize = 4;
pub(super) const LGS: usize = 5;
pub(super) const T: usize = 6;
pub(super) const PIPR: usize = 7;
pub(super) const WORD2: usize = 8;
/// In the operating system's ring: 1 if it speaks the first generation.
pub(super) const OGEN: usize = 0xf;

/// NSR of the OS ring: an event is there. Of the physical ring: one of the pool, or its own.
const NSR_OS: u8 = 0x80;
const NSR_POOL: u8 = 0x40;
const NSR_PHYSICAL: u8 = 0x80;
/// NSR: the level of the group or crowd whose event it is; 0: the target's own.
pub(super) const NSR_LEVEL: u8 = 0x3f;
/// Word 2 is valid, and the target is to be saved and restored.
pub(super) const VALID: u8 = 0x80;
pub(super) const HARDWARE: u8 = 0x40;

/// Nothing is pending.
pub(super) const NONE: u8 = 0xff;

/// The context of one thread.
#[derive(State, Clone, Debug, PartialEq, Eq)]
pub(super) struct Thread {
    rings: [u8; 64],
}

/// The bit of a priority in a pending buffer.
pub(super) const fn pending_bit(priority: u8) -> u8 {
    0x80 >> (priority & 7)
}

/// The most favoured priority that is pending.
const fn most_favoured(pending: u8) -> u8 {
    if pending == 0 { NONE } else { pending.leading_zeros() as u8 }
}

/// The ring whose NSR tells of the events of a ring.
pub(super) const fn signal(ring: usize) -> usize {
    if ring == POOL { PHYSICAL } else { ring }
}

impl Thread {
    /// Nothing is pending, nothing accepted, no target.
    pub fn cold() -> Thread {
        let mut rings = [0; 64];
        for ring in [OS, PHYSICAL] {
            rings[ring + PIPR] = NONE;
        }
        Thread { rings }
    }

    /// The lines to the thread: to the hypervisor, to the operating system.
    pub fn lines(&self) -> (bool, bool) {
        (self.rings[PHYSICAL + NSR] >> 6 != 0, self.rings[OS + NSR] & NSR_OS != 0)
    }

    /// A byte of the rings.
    pub fn byte(&self, at: usize) -> u8 {
        self.rings[at]
    }

    /// Sets it.
    pub fn set_byte(&mut self, at: usize, byte: u8) {
        self.rings[at] = byte;
    }

    /// All of the rings.
    pub fn rings(&self) -> &[u8; 64] {
        &self.rings
    }

    /// Whether a ring has a target.
    pub fn is_valid(&self, ring: usize) -> bool {
        self.rings[ring + WORD2] & VALID != 0
    }

    /// Which target a ring has.
    pub fn word2(&self, ring: usize) -> u32 {
        let at = ring + WORD2;
        u32::from_be_bytes([self.rings[at], self.rings[at + 1], self.rings[at + 2], self.rings[at + 3]])
    }

    /// The ring has no target any more; what is pending stays.
    pub fn invalidate(&mut self, ring: usize) {
        self.rings[ring + WORD2] &= !VALID;
    }

    /// Whether NSR of the OS ring or of the physical one tells of a group's event.
    pub fn tells_of_group(&self, signal: usize) -> bool {
        self.rings[signal + NSR] & NSR_LEVEL != 0
    }

    /// The ring whose event NSR tells of.
    pub fn told(&self, signal: usize) -> usize {
        let pool = signal == PHYSICAL && self.rings[signal + NSR] & !NSR_LEVEL == NSR_POOL;
        if pool { POOL } else { signal }
    }

    /// The rings with a target that notify by `signal`, the physical one first.
    fn notifying(&self, signal: usize) -> impl Iterator<Item = usize> {
        let second = if signal == PHYSICAL { Some(POOL) } else { None };
        [Some(signal), second].into_iter().flatten().filter(|&ring| self.is_valid(ring))
    }

    /// The most favoured priority that is pending, and the ring where it is.
    pub fn pending(&self, signal: usize) -> (u8, usize) {
        let all = self.notifying(signal).map(|ring| (most_favoured(self.rings[ring + IPB]), ring));
        all.min_by_key(|&(priority, _)| priority).unwrap_or((NONE, signal))
    }

    /// The most favoured priority at which groups of the rings may have something, and the ring that is a member.
    pub fn grouped(&self, signal: usize) -> (u8, usize) {
        let members = self.notifying(signal).filter(|&ring| self.rings[ring + LGS] != 0);
        let all = members.map(|ring| (self.rings[ring + LSMFB], ring));
        all.min_by_key(|&(priority, _)| priority).unwrap_or((NONE, signal))
    }

    /// An event of `priority` is pending, and is notified if the priority lets it: of a group if `level` is not 0.
    pub fn tell(&mut self, ring: usize, priority: u8, level: u8) {
        let signal = signal(ring);
        self.rings[signal + PIPR] = priority;
        self.rings[signal + NSR] = match ring {
            _ if priority >= self.rings[signal + CPPR] => 0,
            OS => NSR_OS | level,
            POOL => NSR_POOL | level,
            _ => NSR_PHYSICAL | level,
        };
    }

    /// Notifies the user.
    pub fn tell_user(&mut self) {
        self.rings[USER + NSR] |= NSR_OS;
    }

    /// Whether a group's event of this priority would be notified at once.
    pub fn is_free_for(&self, ring: usize, priority: u8) -> bool {
        let signal = signal(ring);
        priority < self.rings[signal + CPPR].min(self.rings[signal + PIPR])
    }

    /// Accepts what NSR tells of: the processor works at its priority, and its own events are pending no more. Returns
    /// NSR as it was.
    pub fn accept(&mut self, signal: usize) -> u8 {
        let was = self.rings[signal + NSR];
        if was & !NSR_LEVEL != 0 {
            let (priority, ring) = (self.rings[signal + PIPR], self.told(signal));
            self.rings[signal + CPPR] = priority;
            if was & NSR_LEVEL == 0 {
                self.rings[ring + IPB] &= !pending_bit(priority);
            }
            self.rings[signal + NSR] = 0;
        }
        was
    }

    /// The rings that `page` shows: 0 and 1 to the hypervisor, 2 to the operating system, 3 to users.
    fn shown(page: u8) -> usize {
        match page {
            0 | 1 => 0x40,
            2 => 0x20,
            _ => 0x10,
        }
    }

    /// Looks at `bytes` bytes.
    pub fn read(&self, page: u8, offset: usize, bytes: u8) -> u64 {
        (offset..offset + bytes as usize).fold(0, |value, at| {
            let byte = if at < Self::shown(page) { self.rings[at] } else { 0 };
            value << 8 | byte as u64
        })
    }

    /// Writes `bytes` bytes as the hypervisor may: not PIPR, and not what the pool has no register for.
    pub fn write(&mut self, offset: usize, bytes: u8, value: u64) {
        let content = value.to_be_bytes();
        for (at, &byte) in (offset..0x40).zip(&content[8 - bytes as usize..]) {
            let place = at & 0xf;
            let absent = at & 0x30 == POOL && matches!(place, NSR | CPPR);
            if place != PIPR && !absent {
                self.rings[at] = byte;
            }
        }
    }
}
