//! Where code was found lately, by effective address: what is asked at each way out of a page.
//!
//! It is asked all the time and at random, so it is to stay small: four [`Jump`]s stand in a line of the host's cache, and
//! their blocks, which compiled code does not ask for, elsewhere.

use super::blocks::Block;
use crate::compiled::{Entry, JUMP_LINES, JUMP_WAYS, Jump};
use crate::mmu::PAGE;
use alloc::{vec, vec::Vec};
use core::ptr;

/// Nothing: no instruction has this address.
const NOWHERE: Jump = Jump { address: 1, entry: 0, salt: 0 };

#[repr(C, align(64))]
#[derive(Clone)]
struct Line([Jump; JUMP_WAYS]);

pub(super) struct Jumps {
    lines: Vec<Line>,
    blocks: Vec<[*const Block; JUMP_WAYS]>,
    /// A bit per line: something may be there.
    used: Vec<u64>,
    /// Where compiled code begins on the host.
    base: Entry,
}

fn line(address: u64) -> usize {
    (address >> 4) as usize % JUMP_LINES
}

impl Jumps {
    /// Entries are counted from `base` on.
    pub fn new(base: Entry) -> Jumps {
        Jumps {
            lines: vec![Line([NOWHERE; JUMP_WAYS]); JUMP_LINES],
            blocks: vec![[ptr::null(); JUMP_WAYS]; JUMP_LINES],
            used: vec![0; JUMP_LINES / 64],
            base,
        }
    }

    /// For [`Frame`](crate::compiled::Frame): the lines, and where compiled code begins.
    pub fn for_frame(&self) -> (*const Jump, Entry) {
        (self.lines.as_ptr().cast(), self.base)
    }

    fn offset(&self, entry: Entry) -> u32 {
        (entry as usize).wrapping_sub(self.base as usize) as u32
    }

    /// The block that was found at `address`, if that is still true.
    #[inline]
    pub fn find(&self, address: u64, salt: u32) -> Option<*const Block> {
        let n = line(address);
        let way = self.lines[n].0.iter().position(|jump| jump.address == address && jump.salt == salt)?;
        Some(self.blocks[n][way])
    }

    /// The block was found at `address`; jumps there lead to `entry`. What stands in its line longest gives way.
    pub fn insert(&mut self, address: u64, salt: u32, block: *const Block, entry: Entry) {
        let n = line(address);
        let entry = self.offset(entry);
        let (jumps, blocks) = (&mut self.lines[n].0, &mut self.blocks[n]);
        jumps.rotate_right(1);
        blocks.rotate_right(1);
        jumps[0] = Jump { address, entry, salt };
        blocks[0] = block;
        self.used[n / 64] |= 1 << (n % 64);
    }

    /// Jumps to `address` lead to `entry` where they would find this block.
    #[inline]
    pub fn lead(&mut self, address: u64, block: *const Block, entry: Entry) {
        let n = line(address);
        let entry = self.offset(entry);
        for (jump, of) in self.lines[n].0.iter_mut().zip(self.blocks[n]) {
            if jump.address == address && of == block {
                jump.entry = entry;
            }
        }
    }

    /// Forgets jumps to the effective page at `page`.
    pub fn forget_page(&mut self, page: u64) {
        let first = line(page) / 64;
        for word in first..first + (PAGE / 16 / 64) as usize {
            let mut left = self.used[word];
            while left != 0 {
                let n = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let mut rest = false;
                for jump in &mut self.lines[n].0 {
                    if jump.address / PAGE * PAGE == page {
                        *jump = NOWHERE;
                    }
                    rest |= jump.address != NOWHERE.address;
                }
                if !rest {
                    self.used[word] &= !(1 << (n % 64));
                }
            }
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.lines.fill(Line([NOWHERE; JUMP_WAYS]));
        self.used.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u32 = 8;

    /// An address for a block: nobody looks there.
    fn block(n: usize) -> *const Block {
        ptr::without_provenance(64 * n)
    }

    #[test]
    fn a_line_holds_four_and_the_oldest_gives_way() {
        let mut jumps = Jumps::new(ptr::null());
        let address = |n: usize| 0x1000_0000 + (n * 16 * JUMP_LINES) as u64;
        (1..=5).for_each(|n| jumps.insert(address(n), SALT, block(n), ptr::null()));
        assert_eq!(jumps.find(address(1), SALT), None);
        (2..=5).for_each(|n| assert_eq!(jumps.find(address(n), SALT), Some(block(n))));
        assert_eq!(jumps.find(address(2), SALT + 8), None, "another context");
    }

    #[test]
    fn a_page_is_forgotten_and_no_other() {
        let mut jumps = Jumps::new(ptr::null());
        let addresses: Vec<u64> =
            (0..0x4000).step_by(52).map(|at| 0xc000_0000_0000_e000 + at / 4 * 4).collect();
        for (n, &address) in addresses.iter().enumerate() {
            jumps.insert(address, SALT, block(n + 1), ptr::null());
        }
        jumps.forget_page(0xc000_0000_0000_f000);
        for (n, &address) in addresses.iter().enumerate() {
            let gone = address / PAGE == 0xc_0000_0000_000f;
            assert_eq!(jumps.find(address, SALT), (!gone).then_some(block(n + 1)), "{address:#x}");
        }
    }
}
