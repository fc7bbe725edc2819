//! Which lines of which pages something was derived from. A cache: it is made by those who derive.

use crate::{ByPage, Drop, Writer};
use alloc::vec::Vec;

/// Bytes of a watched line.
pub(crate) const LINE: u64 = 64;

/// The watched lines of one page, a bit each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Watch {
    pub tables: u64,
    pub code: u64,
}

impl Watch {
    #[inline]
    pub fn any(&self) -> bool {
        self.tables | self.code != 0
    }

    /// Tells what a store of `bytes` at `start` in the page at `page`, which holds `old`, makes untrue.
    pub fn changes(
        &self,
        page: u64,
        old: &[u8],
        start: usize,
        bytes: &[u8],
        writer: Writer,
        dropped: &mut Vec<Drop>,
    ) {
        let end = start + bytes.len();
        let mut line = start as u64 / LINE;
        while line * LINE < end as u64 {
            let bit = 1u64 << line;
            if self.code & bit != 0 {
                dropped.push(Drop::Code(page + line * LINE));
            }
            if self.tables & bit != 0 && writer != Writer::Walker {
                let from = start.max((line * LINE) as usize) & !7;
                let to = end.min(((line + 1) * LINE) as usize);
                for at in (from..to).step_by(8) {
                    let (first, last) = (at.max(start), (at + 8).min(end));
                    if old[first..last] != bytes[first - start..last - start] {
                        dropped.push(Drop::Table(page + at as u64));
                    }
                }
            }
            line += 1;
        }
    }

    /// The lines of tables that are zero, of those in `page` that a store of `bytes` bytes at `start` touched.
    pub fn cleared(&self, page: &[u8], start: usize, bytes: usize) -> u64 {
        let touched =
            u64::MAX << (start as u64 / LINE) & u64::MAX >> (63 - (start + bytes - 1) as u64 / LINE);
        let at = |line: u64| &page[(line * LINE) as usize..][..LINE as usize];
        lines(self.tables & touched)
            .filter(|&line| *at(line) == [0; LINE as usize])
            .map(|line| 1 << line)
            .sum()
    }
}

/// The numbers of the lines in a mask.
pub(crate) fn lines(mut mask: u64) -> impl Iterator<Item = u64> {
    core::iter::from_fn(move || {
        let line = (mask != 0).then(|| u64::from(mask.trailing_zeros()));
        mask &= mask.wrapping_sub(1);
        line
    })
}

/// The watches of a region, by page.
#[derive(Default)]
pub(crate) struct Watches(ByPage<Watch>);

impl Watches {
    #[inline]
    pub fn page(&self, page: u64) -> Watch {
        self.0.get(page).copied().unwrap_or_default()
    }
    pub fn page_mut(&mut self, page: u64) -> &mut Watch {
        self.0.make(page)
    }
    /// The pages that code was decoded from.
    pub fn code_pages(&self) -> impl Iterator<Item = (u64, Watch)> {
        self.0.iter().filter(|(_, watch)| watch.code != 0).map(|(page, watch)| (page, *watch))
    }
    pub fn clear_tables(&mut self) {
        self.0.iter_mut().for_each(|(_, watch)| watch.tables = 0);
    }
}
