//! Segment lookaside buffer (Power ISA Book III 6.7.8).

use timebase_state::State;

/// Entries of POWER9 and POWER10.
pub const ENTRIES: usize = 32;

/// An entry as `slbmte` writes it.
#[derive(State, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlbEntry {
    /// ESID in bits 0:35, V in bit 36 (1 << 27).
    pub esid: u64,
    /// B, VSID, Ks, Kp, N, L, C, LP.
    pub vsid: u64,
}

/// V of [`SlbEntry::esid`].
pub const VALID: u64 = 1 << 27;
/// C of [`SlbEntry::vsid`].
pub const CLASS: u64 = 0x80;

impl SlbEntry {
    /// log2 of the segment's bytes: 28 or 40.
    pub fn segment_shift(&self) -> u32 {
        if self.vsid >> 62 & 1 != 0 { 40 } else { 28 }
    }

    fn covers(&self, ea: u64) -> bool {
        self.esid & VALID != 0 && (self.esid ^ ea) >> self.segment_shift() == 0
    }
}

/// All entries.
#[derive(State, Clone, PartialEq, Eq, Debug)]
pub struct Slb {
    /// By index.
    pub entries: [SlbEntry; ENTRIES],
}

impl Slb {
    /// No valid entry.
    pub fn cold() -> Slb {
        Slb { entries: [SlbEntry::default(); ENTRIES] }
    }

    /// The entry that covers `ea`, the first if several do.
    pub fn find(&self, ea: u64) -> Option<&SlbEntry> {
        self.entries.iter().find(|entry| entry.covers(ea))
    }

    /// `slbmte`: RS, RB. Bits that are in no field read as 0 (III 6.9.3.2).
    pub fn write(&mut self, rs: u64, rb: u64) {
        const FIELDS: u64 = !0x4f;
        let index = (rb & 0xfff) as usize;
        if let Some(entry) = self.entries.get_mut(index) {
            *entry = SlbEntry { esid: rb & (0xffff_ffff_f000_0000 | VALID), vsid: rs & FIELDS };
        }
    }

    /// `slbie`: RB.
    pub fn invalidate(&mut self, rb: u64) {
        for entry in &mut self.entries {
            if entry.covers(rb) {
                entry.esid &= !VALID;
            }
        }
    }

    /// `slbia` with IH (III 6.9.3.2).
    pub fn invalidate_all(&mut self, ih: u8) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let hit = match ih {
                3 => entry.vsid & CLASS != 0,
                4 => true,
                // Only what hardware derived from entries.
                7 => false,
                // 1, 2 and 6 say which of what is derived may be kept.
                _ => index != 0,
            };
            if hit {
                entry.esid &= !VALID;
            }
        }
    }
}
