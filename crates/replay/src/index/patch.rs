//! Pages as what makes them from other pages.
//!
//! Most of what a kernel has in memory is its image, with some words changed: calls of the tracer made into nothing,
//! instructions for this CPU put in. And most of what it makes is half zeros. So a page stands in a file of checkpoints as
//! the words in which it differs from a page of the machine at power-on, or from zeros. That costs a few host
//! instructions per word, where packing costs ten per byte.
//!
//! A patch is the number of the other page plus one (0: zeros), then runs: how many words are as there, how many
//! differ, and those; after the last one (0, 0). Words have 8 bytes.

use crate::code::{Decode, Encode, Malformed};
use timebase_state::PAGE;

const WORD: usize = 8;
/// Words that are compared at once, as most are equal.
const TOGETHER: usize = 16;

/// How many words are equal before the first that differs.
fn equal(here: &[[u8; WORD]], there: &[[u8; WORD]]) -> usize {
    let together = here.chunks_exact(TOGETHER).zip(there.chunks_exact(TOGETHER));
    let start = TOGETHER * together.take_while(|(here, there)| here == there).count();
    start + here[start..].iter().zip(&there[start..]).take_while(|(here, there)| here == there).count()
}

/// Appends what makes `page` from `base`, the page of that number or zeros, to `out`. False, and nothing appended, if
/// more than `most` words differ.
pub fn encode(base: Option<(u64, &[u8; PAGE])>, page: &[u8; PAGE], most: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let (name, base) = base.map_or((0, &[0; PAGE]), |(number, base)| (number + 1, base));
    out.number(name);
    let (mut here, mut there) = (page.as_chunks::<WORD>().0, base.as_chunks::<WORD>().0);
    let mut left = most;
    loop {
        let same = equal(here, there);
        let pairs = here[same..].iter().zip(&there[same..]);
        let differing = pairs.take_while(|(here, there)| here != there).count();
        if differing > left {
            out.truncate(start);
            return false;
        }
        if differing == 0 {
            break;
        }
        left -= differing;
        out.number(same as u64);
        out.number(differing as u64);
        out.extend_from_slice(here[same..same + differing].as_flattened());
        (here, there) = (&here[same + differing..], &there[same + differing..]);
    }
    out.number(0);
    out.number(0);
    true
}

/// Takes one patch from `input` and applies it to the page that `base` has by its number.
pub fn decode<'a>(
    input: &mut Decode,
    base: impl FnOnce(u64) -> &'a [u8; PAGE],
) -> Result<[u8; PAGE], Malformed> {
    let mut page = match input.number()? {
        0 => [0; PAGE],
        name => *base(name - 1),
    };
    let mut at = 0usize;
    loop {
        let (same, differing) = (input.number32()? as usize, input.number32()? as usize);
        if differing == 0 {
            return Ok(page);
        }
        let start = at.saturating_add(same.saturating_mul(WORD));
        at = start.saturating_add(differing.saturating_mul(WORD));
        let words = page.get_mut(start..at).ok_or(Malformed("a page is too long"))?;
        words.copy_from_slice(input.take(differing * WORD)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(words: &[(usize, u64)]) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        for (at, word) in words {
            let at = at * WORD;
            page[at..at + WORD].copy_from_slice(&word.to_le_bytes());
        }
        page
    }

    fn again(base: Option<(u64, &[u8; PAGE])>, page: &[u8; PAGE]) -> (usize, [u8; PAGE]) {
        let mut out = vec![1, 2, 3];
        assert!(encode(base, page, PAGE, &mut out));
        let mut input = Decode(&out[3..]);
        let named = |number| {
            let (known, content) = base.expect("it names the page that it was made from");
            assert_eq!(number, known);
            content
        };
        let made = decode(&mut input, named).unwrap();
        assert!(input.is_empty());
        (out.len() - 3, made)
    }

    proptest! {
        #[test]
        fn what_is_patched_is_what_was_there(
            base in prop::collection::vec((0..512usize, 0..3u64), 0..300),
            changed in prop::collection::vec((0..512usize, 0..3u64), 0..300),
        ) {
            let base = page(&base);
            let mut changed_page = base;
            for (at, word) in changed {
                changed_page[at * WORD..][..WORD].copy_from_slice(&word.to_le_bytes());
            }
            prop_assert_eq!(again(Some((77, &base)), &changed_page).1, changed_page);
            prop_assert_eq!(again(None, &changed_page).1, changed_page);
        }

        #[test]
        fn nonsense_is_an_error_and_never_a_panic(bytes: Vec<u8>) {
            let _ = decode(&mut Decode(&bytes), |_| &[7; PAGE]);
        }
    }

    #[test]
    fn what_is_equal_costs_nothing_and_what_is_not_is_given_up() {
        let full = [0xa5; PAGE];
        assert_eq!(again(Some((5, &full)), &full), (3, full));
        assert_eq!(again(None, &[0; PAGE]), (3, [0; PAGE]));
        assert_eq!(again(None, &full).1, full);
        let (base, mut out) = (page(&[]), vec![9]);
        let page = page(&[(0, 1), (300, 1), (511, 1)]);
        assert!(!encode(Some((0, &base)), &page, 2, &mut out));
        assert_eq!(out, [9]);
        assert!(encode(Some((0, &base)), &page, 3, &mut out));
    }

    #[test]
    fn a_patch_beyond_the_page_is_refused() {
        for (same, differing) in [(512, 1), (511, 2), (u32::MAX, u32::MAX)] {
            let mut out = vec![0];
            out.number(same.into());
            out.number(differing.into());
            out.extend_from_slice(&[0; 64]);
            assert!(decode(&mut Decode(&out), |_| &[0; PAGE]).is_err());
        }
    }
}
