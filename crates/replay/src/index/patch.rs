//! Pages as what makes them from other pages.
//!
//! Most of what a kernel has in memory is its image, with some words changed: calls of the tracer made into nothing,
//! instructions for this CPU put in. And most of what it makes is half zeros. So a page stands in a file of checkpoints as
//! the words in which it differs from a page of the machine at power-on, or from zeros. That costs a few host
//! instructions per word, where packing costs ten per byte.
//!
//! A patch is the number of the other page plus one (0: zeros), a byte with a bit for each group of 64 words that are not
//! all as there, and for each such group a mask of 64 bits with a bit for each word that differs, and those words. Words
//! have 8 bytes; the first one has the lowest bit.

use crate::code::{Decode, Encode, Malformed};
use timebase_state::PAGE;

const WORD: usize = 8;
/// Words of a group.
const GROUP: usize = 64;
/// Words that are looked at together.
const LINE: usize = 8;

fn words(page: &[u8; PAGE]) -> &[[[u8; WORD]; GROUP]] {
    page.as_chunks::<WORD>().0.as_chunks::<GROUP>().0
}

/// Appends what makes `page` from `base`, the page of that number or zeros, to `out`. False, and nothing appended, if
/// more than `most` words differ.
pub fn encode(base: Option<(u64, &[u8; PAGE])>, page: &[u8; PAGE], most: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let (name, base) = base.map_or((0, &[0; PAGE]), |(number, base)| (number + 1, base));
    out.number(name);
    let groups = out.len();
    out.push(0);
    let mut left = most;
    for (group, (here, there)) in words(page).iter().zip(words(base)).enumerate() {
        if here == there {
            continue;
        }
        out[groups] |= 1 << group;
        let mut mask = 0u64;
        let lines = here.as_chunks::<LINE>().0.iter().zip(there.as_chunks::<LINE>().0);
        for (line, (here, there)) in lines.enumerate() {
            if here == there {
                continue;
            }
            // Which words differ nobody could guess, so there is no branch.
            let differs = here.iter().zip(there).enumerate();
            let differs =
                differs.fold(0, |mask, (bit, (here, there))| mask | u64::from(here != there) << bit);
            mask |= differs << (LINE * line);
        }
        let count = mask.count_ones() as usize;
        if count > left {
            out.truncate(start);
            return false;
        }
        left -= count;
        out.extend_from_slice(&mask.to_le_bytes());
        if count == GROUP {
            out.extend_from_slice(here.as_flattened());
            continue;
        }
        let (mut differing, mut next) = ([[0; WORD]; GROUP], 0);
        for (bit, word) in here.iter().enumerate() {
            differing[next] = *word;
            next += (mask >> bit & 1) as usize;
        }
        out.extend_from_slice(differing[..count].as_flattened());
    }
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
    let groups = input.byte()?;
    for (group, words) in page.chunks_mut(WORD * GROUP).enumerate() {
        if groups >> group & 1 == 0 {
            continue;
        }
        let mut mask = u64::from_le_bytes(input.array()?);
        while mask != 0 {
            let at = mask.trailing_zeros() as usize * WORD;
            words[at..at + WORD].copy_from_slice(input.take(WORD)?);
            mask &= mask - 1;
        }
    }
    Ok(page)
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
        assert_eq!(again(Some((5, &full)), &full), (2, full));
        assert_eq!(again(None, &[0; PAGE]), (2, [0; PAGE]));
        assert_eq!(again(None, &full).1, full);
        let (base, mut out) = (page(&[]), vec![9]);
        let page = page(&[(0, 1), (300, 1), (511, 1)]);
        assert!(!encode(Some((0, &base)), &page, 2, &mut out));
        assert_eq!(out, [9]);
        assert!(encode(Some((0, &base)), &page, 3, &mut out));
    }

    #[test]
    fn a_patch_that_is_cut_is_refused() {
        let mut out = Vec::new();
        assert!(encode(None, &page(&[(3, 1), (64, 2), (511, 3)]), PAGE, &mut out));
        for cut in 0..out.len() {
            assert!(decode(&mut Decode(&out[..cut]), |_| &[0; PAGE]).is_err(), "{cut} of {}", out.len());
        }
    }
}
