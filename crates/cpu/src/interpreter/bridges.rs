//! Ways of compiled code into other pages, by the effective page that they lead to: when that is elsewhere, or what was
//! there has been dropped, they are to be looked up again.
//!
//! A way holds for one context ([`Frame::salt`](crate::compiled::Frame::salt)); what was noted for another one may stand
//! here as well, and to forget it costs no more than to make it again.

use crate::mmu::PAGE;
use alloc::collections::BTreeSet;

/// Ways at most: processes come and go, and nobody tells which ways were theirs.
const MOST: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Bridges(BTreeSet<(u64, usize)>);

impl Bridges {
    /// The way at `site` leads to `address`. False: there are too many, and all are to be forgotten.
    pub fn note(&mut self, address: u64, site: usize) -> bool {
        self.0.insert((address / PAGE, site));
        self.0.len() <= MOST
    }

    /// Forgets ways to the effective page at `page`.
    pub fn forget_page(&mut self, page: u64, mut forget: impl FnMut(usize)) {
        let page = page / PAGE;
        while let Some(&way) = self.0.range((page, 0)..=(page, usize::MAX)).next() {
            self.0.remove(&way);
            forget(way.1);
        }
    }

    /// Forgets all ways.
    pub fn forget_all(&mut self, mut forget: impl FnMut(usize)) {
        core::mem::take(&mut self.0).into_iter().for_each(|(_, site)| forget(site));
    }

    /// All of them have gone, and what they led to.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn ways_go_with_their_page_and_no_other() {
        let mut bridges = Bridges::default();
        for (address, site) in [(0x1ffc, 1), (0x2000, 2), (0x2ffc, 3), (0x3000, 4), (0x2000, 2)] {
            assert!(bridges.note(address, site));
        }
        let mut gone = Vec::new();
        bridges.forget_page(0x2000, |site| gone.push(site));
        bridges.forget_page(0x2000, |site| gone.push(site));
        assert_eq!(gone, [2, 3]);
        bridges.forget_all(|site| gone.push(site));
        assert_eq!(gone, [2, 3, 1, 4]);
    }

    #[test]
    fn there_may_be_too_many() {
        let mut bridges = Bridges::default();
        assert!((0..MOST).all(|site| bridges.note(0x1000, site)));
        assert!(!bridges.note(0x1000, MOST));
    }
}
