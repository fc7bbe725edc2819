//! Reads checkpoints.

use super::{Lineage, decode_log, decode_place, decode_position, patch};
use crate::chunk::{self, Damage, Kind, Next, Place, Reader};
use crate::code::{Decode, Malformed};
use crate::event::{Event, Record};
use crate::play::Playhead;
use crate::{ConsoleLog, Recording, Transcript};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use timebase_machine::api::Position;
use timebase_state::{PAGE, Paged, Snapshot};

/// Where the content of a page is, from some checkpoint on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    checkpoint: u32,
    chunk: u32,
    slot: u32,
}

/// One bulk storage over all checkpoints.
#[derive(Default)]
struct Bulk {
    /// Lengths in bytes, each from a checkpoint on.
    lengths: Vec<(u32, u64)>,
    versions: BTreeMap<u64, Vec<Version>>,
}

impl Bulk {
    /// Its length at `checkpoint`, and since which one it has it.
    fn length(&self, checkpoint: u32) -> Option<(u32, u64)> {
        self.lengths.iter().rev().find(|length| length.0 <= checkpoint).copied()
    }

    /// The version of a page at `checkpoint`, if it was written `since`.
    fn version(versions: &[Version], since: u32, checkpoint: u32) -> Option<Version> {
        let after = versions.partition_point(|version| version.checkpoint <= checkpoint);
        versions[..after].last().filter(|version| version.checkpoint >= since).copied()
    }
}

/// What is known of a checkpoint before it is loaded.
struct Stored {
    at: Position,
    /// Index of the next record.
    next: usize,
    /// What the console showed so far, in bytes.
    shown: usize,
    small: Vec<Place>,
    bulks: u32,
}

/// Checkpoints in a file.
pub struct Index {
    reader: Reader<File>,
    stored: Vec<Stored>,
    bulks: Vec<Bulk>,
    chunks: Vec<Place>,
    console: ConsoleLog,
    digests: Vec<(usize, u64)>,
    bytes: u64,
}

/// A checkpoint that cannot be loaded: the file was damaged, or changed, since it was opened.
#[derive(Debug)]
pub struct Unreadable(pub String);

impl From<Damage> for Unreadable {
    fn from(damage: Damage) -> Unreadable {
        Unreadable(match damage {
            Damage::Io(error) => error.to_string(),
            Damage::Corrupt { offset, what } => format!("corrupt at offset {offset}: {what}"),
            Damage::NotARecording | Damage::Format(_) | Damage::UnknownKind { .. } => {
                "it is of another version".into()
            }
        })
    }
}

impl From<Malformed> for Unreadable {
    fn from(malformed: Malformed) -> Unreadable {
        Unreadable(malformed.0.into())
    }
}

impl Index {
    /// Opens the checkpoints of `recording` at `path`; None if there are none that fit.
    pub fn open(path: &Path, recording: &Recording) -> Result<Option<Index>, Unreadable> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Damage::Io)?,
        };
        let mut reader = Reader::new(file, chunk::INDEX)?;
        let mut lineage = Lineage::of(recording.header());
        match reader.next_chunk()? {
            Next::Chunk(Kind::Header, _, payload) if payload == lineage.0 => {}
            _ => return Ok(None),
        }
        let mut after = BTreeMap::from([(lineage, 0)]);
        for (n, record) in recording.records().iter().enumerate() {
            lineage.push(record);
            after.entry(lineage).or_insert(n + 1);
        }
        reader.skip(Kind::Pages);
        let digests = recording
            .records()
            .iter()
            .enumerate()
            .filter(|(_, record)| matches!(record.event, Event::Digest(_)));
        let mut index = Index {
            bytes: reader.length(),
            reader,
            stored: Vec::new(),
            bulks: Vec::new(),
            chunks: Vec::new(),
            console: ConsoleLog::default(),
            digests: digests.map(|(n, record)| (n, record.at.count)).collect(),
        };
        index.read(recording.records(), &after)?;
        Ok(Some(index).filter(|index| !index.stored.is_empty()))
    }

    /// Reads what is known of all checkpoints, up to the first that does not fit.
    fn read(&mut self, records: &[Record], after: &BTreeMap<Lineage, usize>) -> Result<(), Unreadable> {
        let mut known = Vec::new();
        while let Next::Chunk(kind, _, payload) = self.reader.next_chunk()? {
            if kind != Kind::Checkpoint {
                continue;
            }
            let (&more, piece) = payload.split_first().ok_or(Malformed("a checkpoint is empty"))?;
            known.extend_from_slice(piece);
            if more == 0 && !self.read_checkpoint(&std::mem::take(&mut known), records, after)? {
                break;
            }
        }
        Ok(())
    }

    /// False if the checkpoint is of another history.
    fn read_checkpoint(
        &mut self,
        known: &[u8],
        records: &[Record],
        after: &BTreeMap<Lineage, usize>,
    ) -> Result<bool, Unreadable> {
        let mut input = Decode(known);
        let at = decode_position(&mut input)?;
        let end = records.last().map_or(Position::default(), |record| record.at);
        let Some(&next) = after.get(&Lineage(input.array()?)) else { return Ok(false) };
        if at > end || self.stored.last().is_some_and(|last| last.at >= at) {
            return Ok(false);
        }
        let passed = records[next..].iter().take_while(|r| matches!(r.event, Event::Progress) && r.at <= at);
        let next = next + passed.count();
        decode_log(&mut input, &mut self.console)?;
        let checkpoint = self.stored.len() as u32;
        let bulks = input.number32()?;
        for n in 0..bulks as usize {
            if self.bulks.len() <= n {
                self.bulks.push(Bulk::default());
            }
            let length = input.number()?;
            let bulk = &mut self.bulks[n];
            if bulk.lengths.last().is_none_or(|last| last.1 != length) {
                bulk.lengths.push((checkpoint, length));
            }
            for _ in 0..input.number()? {
                let chunk = self.chunks.len() as u32;
                self.chunks.push(decode_place(&mut input)?);
                let mut page = 0u64;
                for slot in 0..input.number32()? {
                    page = page.saturating_add(input.number()?);
                    if page >= length.div_ceil(PAGE as u64) {
                        return Err(Malformed("a page is outside").into());
                    }
                    bulk.versions.entry(page).or_default().push(Version { checkpoint, chunk, slot });
                }
            }
        }
        let mut small = Vec::new();
        for _ in 0..input.number()? {
            small.push(decode_place(&mut input)?);
        }
        self.stored.push(Stored { at, next, shown: self.console.text.len(), small, bulks });
        Ok(true)
    }

    /// Where the checkpoints are, in order.
    pub fn positions(&self) -> impl DoubleEndedIterator<Item = Position> {
        self.stored.iter().map(|stored| stored.at)
    }

    /// The latest checkpoint at or before `at`, or strictly before it.
    pub(crate) fn nearest(&self, at: Position, strictly: bool) -> Option<(usize, Position)> {
        let after = self.stored.partition_point(|stored| stored.at < at || (!strictly && stored.at == at));
        let n = after.checked_sub(1)?;
        Some((n, self.stored[n].at))
    }

    /// What the console showed up to checkpoint `n`, in bytes.
    pub(super) fn shown(&self, n: usize) -> usize {
        self.stored[n].shown
    }

    /// Forgets what is after `at`.
    pub(crate) fn truncate(&mut self, at: Position) {
        self.stored.retain(|stored| stored.at <= at);
    }

    /// What the console showed up to the last checkpoint.
    pub fn console(&self) -> &ConsoleLog {
        &self.console
    }

    /// Size of the file in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Loads checkpoint `n`. It shares pages with `base`, which is another one (by number), or the machine `cold` at
    /// power-on.
    pub(crate) fn load(
        &mut self,
        n: usize,
        base: Option<(usize, &Snapshot)>,
        cold: &Snapshot,
    ) -> Result<(Snapshot, Playhead), Unreadable> {
        let checkpoint = n as u32;
        let mut snapshot = Snapshot::default();
        let mut wanted = Vec::new();
        for (b, bulk) in self.bulks.iter().enumerate().take(self.stored[n].bulks as usize) {
            let (since, length) = bulk.length(checkpoint).ok_or(Malformed("a length is missing"))?;
            let original = cold.paged.get(b).filter(|paged| since == 0 && paged.len() == length);
            // The base is of use if it has had the same length all the time.
            let base = base.filter(|(m, _)| bulk.length(*m as u32) == Some((since, length)));
            let base = base.and_then(|(m, snapshot)| Some((m, snapshot.paged.get(b)?)));
            let mut paged = base.map(|(_, paged)| paged).or(original).cloned().unwrap_or(Paged::new(length));
            for (&page, versions) in &bulk.versions {
                let here = Bulk::version(versions, since, checkpoint);
                let there = base.and_then(|(m, _)| Bulk::version(versions, since, m as u32));
                match here {
                    _ if here == there => {}
                    Some(version) => wanted.push((version.chunk, version.slot, b, page)),
                    None => {
                        let content = original.and_then(|paged| paged.page(page));
                        paged.set_page(page, content.map_or(&[0; PAGE], |page| &page.0));
                    }
                }
            }
            snapshot.paged.push(paged);
        }
        self.fetch(&mut wanted, &mut snapshot.paged, cold)?;
        let Stored { next, shown, ref small, .. } = self.stored[n];
        for &place in &small.clone() {
            snapshot.small.extend_from_slice(&self.payload(place, Kind::Small)?);
        }
        let digests = &self.digests[..self.digests.partition_point(|&(record, _)| record < next)];
        let head = Playhead {
            next,
            transcript: Transcript::of(&self.console.text[..shown]),
            compared: digests.len() as u64,
            good: digests.last().map_or(0, |digest| digest.1),
        };
        Ok((snapshot, head))
    }

    fn payload(&mut self, place: Place, kind: Kind) -> Result<Vec<u8>, Unreadable> {
        match self.reader.again(place)? {
            Next::Chunk(found, _, payload) if found == kind => Ok(payload),
            _ => Err(Malformed("a chunk is missing").into()),
        }
    }

    /// Reads the content of pages: (chunk, slot, bulk storage, page). They are made from those of `cold`.
    fn fetch(
        &mut self,
        wanted: &mut [(u32, u32, usize, u64)],
        bulks: &mut [Paged],
        cold: &Snapshot,
    ) -> Result<(), Unreadable> {
        wanted.sort_unstable();
        let nothing = Paged::new(0);
        for group in wanted.chunk_by(|a, b| a.0 == b.0) {
            let pages = self.payload(self.chunks[group[0].0 as usize], Kind::Pages)?;
            let (mut input, mut slots) = (Decode(&pages), 0..);
            for &(_, slot, bulk, page) in group {
                let originals = cold.paged.get(bulk).unwrap_or(&nothing);
                for here in slots.by_ref() {
                    let content = patch::decode(&mut input, |number| originals.page_bytes(number))?;
                    if here == slot {
                        bulks[bulk].set_page(page, &content);
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}
