//! Writes checkpoints.

use super::{Lineage, Originals, encode_log, encode_place};
use crate::ConsoleLog;
use crate::chunk::{self, Kind, Packer, Place};
use crate::code::Encode;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use timebase_machine::api::Position;
use timebase_state::{Outline, Paged, Snapshot};

/// Pages in a chunk.
const TOGETHER: usize = 64;
/// Bytes of a piece of what is long.
const PIECE: usize = 1 << 20;

/// A file of checkpoints being written.
pub struct IndexWriter {
    path: PathBuf,
    file: File,
    packer: Packer,
    /// Pages of checkpoints are packed; else they stand as they are.
    packs: bool,
    originals: Originals,
    /// Bytes written.
    bytes: u64,
    /// What the bulk storage of the latest checkpoint was: the guest need not copy its pages for it.
    latest: Vec<Outline>,
    /// What the console showed up to it, in bytes.
    shown: u64,
}

impl IndexWriter {
    /// Begins a file at `path`, which is replaced, for a machine that is `cold` at power-on and had
    /// the pages `originals`. `level` is zstd's for pages, if they are to be packed.
    pub fn create(
        path: &Path,
        lineage: Lineage,
        cold: &Snapshot,
        originals: Originals,
        level: Option<i32>,
    ) -> io::Result<IndexWriter> {
        let mut writer = IndexWriter {
            path: path.into(),
            file: File::create(path)?,
            packer: Packer::new(level.unwrap_or(chunk::FAST))?,
            packs: level.is_some(),
            originals,
            bytes: 0,
            latest: cold.paged.iter().map(Paged::outline).collect(),
            shown: 0,
        };
        writer.file.write_all(&chunk::preamble(chunk::INDEX))?;
        writer.bytes = chunk::PREAMBLE as u64;
        writer.chunk(Kind::Header, &lineage.0)?;
        Ok(writer)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file has another name now.
    pub(super) fn renamed(&mut self, path: &Path) {
        self.path = path.into();
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many pages would be written for this checkpoint.
    pub fn would_add(&self, snapshot: &Snapshot) -> u64 {
        (0..snapshot.paged.len()).map(|n| self.changed(snapshot, n).0.len() as u64).sum()
    }

    /// The pages of bulk storage `n` that are others than those of the latest checkpoint, and which there are now.
    fn changed(&self, snapshot: &Snapshot, n: usize) -> (Vec<u64>, Outline) {
        let nothing = Outline::default();
        snapshot.paged[n].changed_since(self.latest.get(n).unwrap_or(&nothing))
    }

    fn chunk(&mut self, kind: Kind, payload: &[u8]) -> io::Result<Place> {
        let length = self.packer.write(&mut self.file, kind, payload)?;
        Ok(self.placed(length))
    }

    fn placed(&mut self, length: u64) -> Place {
        let place = Place { offset: self.bytes, length };
        self.bytes += length;
        place
    }

    /// Adds the checkpoint `snapshot` at `at`, which is after all others. `log` is what the console showed since the
    /// one before.
    pub fn add(
        &mut self,
        at: Position,
        lineage: Lineage,
        snapshot: &Snapshot,
        log: &ConsoleLog,
    ) -> io::Result<()> {
        let mut known = Vec::new();
        known.number(at.count);
        known.number(at.sequence.into());
        known.extend_from_slice(&lineage.0);
        encode_log(log, self.shown, &mut known);
        self.shown += log.text.len() as u64;
        known.number(snapshot.paged.len() as u64);
        let mut outlines = Vec::new();
        for (n, paged) in snapshot.paged.iter().enumerate() {
            known.number(paged.len());
            let (changed, outline) = self.changed(snapshot, n);
            self.add_pages(n, paged, &changed, &mut known)?;
            outlines.push(outline);
        }
        let pieces = snapshot.small.chunks(PIECE);
        known.number(pieces.len() as u64);
        for piece in pieces {
            let place = self.chunk(Kind::Small, piece)?;
            encode_place(place, &mut known);
        }
        let mut pieces = known.chunks(PIECE).peekable();
        while let Some(piece) = pieces.next() {
            let mut payload = vec![u8::from(pieces.peek().is_some())];
            payload.extend_from_slice(piece);
            self.chunk(Kind::Checkpoint, &payload)?;
        }
        self.latest = outlines;
        Ok(())
    }

    /// Writes these pages of bulk storage `n`, which is `paged`.
    fn add_pages(&mut self, n: usize, paged: &Paged, changed: &[u64], known: &mut Vec<u8>) -> io::Result<()> {
        let groups = changed.chunks(TOGETHER);
        known.number(groups.len() as u64);
        let mut payload = Vec::new();
        for group in groups {
            payload.clear();
            for &index in group {
                self.originals.patch(n, index, paged.page_bytes(index), &mut payload);
            }
            let place = self.pages(&payload)?;
            encode_place(place, known);
            known.number(group.len() as u64);
            let mut last = 0;
            for &index in group {
                known.number(index - last);
                last = index;
            }
        }
        Ok(())
    }

    fn pages(&mut self, payload: &[u8]) -> io::Result<Place> {
        if self.packs {
            return self.chunk(Kind::Pages, payload);
        }
        let length = chunk::store(&mut self.file, Kind::Pages, &[payload])?;
        Ok(self.placed(length))
    }
}
