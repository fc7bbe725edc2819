//! What the machine had in memory at power-on, to make patches from.
//!
//! While a guest is recorded nothing keeps those pages: the guest writes over them, and they would be in memory twice.
//! But almost all come from images, and the recording has those as they are, so they are read from there.

use super::patch;
use crate::Recorder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use timebase_machine::api::Images;
use timebase_state::{Outline, PAGE, Paged, Snapshot};

/// Words in which a page differs, at most, from one at power-on to be made from that: more are as well made from zeros.
const MOST: usize = 128;
/// Bytes that are read at once: guests move their images, but in order.
const WINDOW: u64 = 1 << 18;

/// The pages of a machine at power-on.
pub struct Originals {
    content: Content,
    /// Of each bulk storage, what is known of its pages.
    bulks: Vec<Bulk>,
}

#[derive(Default)]
struct Bulk {
    /// Pages by a piece of their content.
    samples: BTreeMap<[u8; 16], u64>,
    /// How far from its place the last page was found, in pages: the next one is there, too.
    moved: u64,
}

enum Content {
    Memory(Vec<Paged>),
    File {
        file: File,
        /// Of each bulk storage, where the content of its pages stands, in bytes.
        offsets: Vec<BTreeMap<u64, u64>>,
        window: Vec<u8>,
        /// Where the window begins.
        start: u64,
    },
}

/// What tells pages apart, mostly. Nothing of a page that is zero there.
fn sample(page: &[u8; PAGE]) -> Option<[u8; 16]> {
    let (mut sample, halves) = ([0; 16], [&page[1024..1032], &page[3072..3080]]);
    sample[..8].copy_from_slice(halves[0]);
    sample[8..].copy_from_slice(halves[1]);
    halves.iter().all(|half| **half != [0; 8]).then_some(sample)
}

impl Originals {
    /// Those of `cold`, kept in memory.
    pub fn kept(cold: &Snapshot) -> Originals {
        let outlines = cold.paged.iter().map(Paged::outline);
        let bulks = cold.paged.iter().zip(outlines).map(|(paged, outline)| Bulk::of(paged, outline.pages()));
        Originals { bulks: bulks.collect(), content: Content::Memory(cold.paged.clone()) }
    }

    /// Those of `cold` that are pages of `images`, as they are in the file that `recorder` has made of them. If it cannot
    /// be read there are none.
    pub(crate) fn recorded(cold: &Snapshot, images: &Images, recorder: &Recorder) -> Originals {
        let Ok(file) = File::open(recorder.path()) else { return Originals::none() };
        let stored = recorder.pages(images);
        let of_bulk = |paged: &Paged| {
            let outline: Outline = paged.outline();
            let place = |page| Some((page, *stored.get(&paged.page_ptr(page))?));
            outline.pages().filter_map(place).collect::<BTreeMap<_, _>>()
        };
        let offsets: Vec<_> = cold.paged.iter().map(of_bulk).collect();
        let bulks = cold.paged.iter().zip(&offsets);
        let bulks = bulks.map(|(paged, offsets)| Bulk::of(paged, offsets.keys().copied())).collect();
        Originals { bulks, content: Content::File { file, offsets, window: Vec::new(), start: 0 } }
    }

    fn none() -> Originals {
        Originals { bulks: Vec::new(), content: Content::Memory(Vec::new()) }
    }

    /// Appends to `out` what makes `page`, which is number `index` of bulk storage `n`: from a page that was there at
    /// power-on if there is one like it, else from zeros.
    pub fn patch(&mut self, n: usize, index: u64, page: &[u8; PAGE], out: &mut Vec<u8>) {
        let Originals { content, bulks } = self;
        if let Some(bulk) = bulks.get_mut(n) {
            let near = index.wrapping_add(bulk.moved);
            let alike = sample(page).and_then(|sample| bulk.samples.get(&sample)).copied();
            for number in [Some(near), alike.filter(|&alike| alike != near)].into_iter().flatten() {
                let Some(base) = content.page(n, number) else { continue };
                if patch::encode(Some((number, base)), page, MOST, out) {
                    bulk.moved = number.wrapping_sub(index);
                    return;
                }
            }
        }
        patch::encode(None, page, PAGE, out);
    }
}

impl Bulk {
    fn of(paged: &Paged, pages: impl Iterator<Item = u64>) -> Bulk {
        let known = |page| Some((sample(paged.page_bytes(page))?, page));
        Bulk { samples: pages.filter_map(known).collect(), moved: 0 }
    }
}

impl Content {
    /// Page `number` of bulk storage `n` at power-on, if its content is at hand.
    fn page(&mut self, n: usize, number: u64) -> Option<&[u8; PAGE]> {
        match self {
            Content::Memory(bulks) => bulks.get(n)?.page(number).map(|page| &page.0),
            Content::File { file, offsets, window, start } => {
                let offset = *offsets.get(n)?.get(&number)?;
                let inside = |start: u64, window: &[u8]| {
                    offset >= start && offset + PAGE as u64 <= start + window.len() as u64
                };
                if !inside(*start, window) {
                    window.clear();
                    *start = offset;
                    file.seek(SeekFrom::Start(offset)).ok()?;
                    file.take(WINDOW).read_to_end(window).ok()?;
                }
                window.get((offset - *start) as usize..)?.first_chunk()
            }
        }
    }
}
