//! Writes a recording.
//!
//! The file grows in place, so that what was flushed is there whatever happens to the process; a complete recording
//! is one that has an end record. What is written is not synchronised to the disk: a killed program loses nothing
//! that it flushed, a machine that loses power may.

use crate::chunk::{self, Kind, Packer};
use crate::event::{Event, Header, Image, LONGEST_IMAGE, Record, Role, name_of};
use crate::{BUILD, SEMANTICS_EPOCH, Transcript};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use timebase_machine::api::{Config, Images, Position};
use timebase_state::{Digest, PAGE, Paged};

/// Bytes of an input at most.
pub const LONGEST_INPUT: usize = 1 << 20;

/// A recording that cannot be begun.
#[derive(Debug)]
pub enum CreateError {
    /// The file exists and is none of ours.
    NotOurs(PathBuf),
    /// Another process is writing it.
    Busy(PathBuf),
    /// It cannot be opened or written.
    Io(PathBuf, io::Error),
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            CreateError::NotOurs(path) => {
                write!(
                    f,
                    "{} exists and is not a recording: choose another name, or remove it",
                    path.display()
                )
            }
            CreateError::Busy(path) => {
                write!(f, "{} is being recorded by another process: choose another name", path.display())
            }
            CreateError::Io(path, error) => {
                write!(f, "cannot write {}: {error}: record to another place", path.display())
            }
        }
    }
}

impl std::error::Error for CreateError {}

/// A recording that cannot go on. What was flushed before stays good; it has no end record.
#[derive(Debug)]
pub struct WriteError {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let WriteError { path, error } = self;
        write!(f, "cannot go on recording to {}: {error}: what was written so far replays", path.display())
    }
}

impl std::error::Error for WriteError {}

fn content_of(images: &Images, role: Role) -> Option<&Paged> {
    match role {
        Role::Kernel => images.kernel.as_ref(),
        Role::Initrd => images.initrd.as_ref(),
        Role::Firmware => images.firmware.as_ref(),
    }
}

/// Pages of an image in a chunk, at most.
const TOGETHER: usize = 256;

/// A recording being made.
pub struct Recorder {
    path: PathBuf,
    header: Header,
    file: File,
    packer: Packer,
    /// Of each image, the numbers of its pages that are not zero, and their offsets in the file in bytes.
    images: BTreeMap<u128, Vec<(u64, u64)>>,
    /// Bytes of the file that are whole chunks.
    sound: u64,
    pending: Vec<u8>,
    /// The position of the latest record.
    known: Position,
    interval: u64,
    next_digest: u64,
}

impl Recorder {
    /// Begins a recording of a machine of `config` and `images` at `path`, whose schema is `schema`, with a digest
    /// every `interval` instructions. The header and the images are in the file when this returns. An older
    /// recording of that name is overwritten, any other file is not.
    pub fn create(
        path: &Path,
        config: &Config,
        images: &Images,
        schema: Digest,
        interval: u64,
    ) -> Result<Recorder, CreateError> {
        let failed = |error| CreateError::Io(path.into(), error);
        let all = Role::ALL.into_iter().filter_map(|role| Some((role, content_of(images, role)?)));
        if all.clone().any(|(_, content)| content.len() > LONGEST_IMAGE) {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        let existed = path.exists();
        let mut options = File::options();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(CreateError::Busy(path.into())),
            // A file system without locks: go on without.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_file() && metadata.len() > 0 {
            let mut signature = Vec::new();
            (&mut file).take(8).read_to_end(&mut signature).map_err(failed)?;
            if signature != chunk::RECORDING {
                return Err(CreateError::NotOurs(path.into()));
            }
            file.rewind().map_err(failed)?;
            file.set_len(0).map_err(failed)?;
        }
        let header = Header {
            build: BUILD.into(),
            epoch: SEMANTICS_EPOCH,
            schema,
            digest_interval: interval.max(1),
            config: config.clone(),
            images: all
                .map(|(role, content)| Image { role, hash: name_of(content), bytes: content.len() })
                .collect(),
        };
        let mut recorder = Recorder {
            path: path.into(),
            header,
            file,
            packer: Packer::new(chunk::FAST).map_err(failed)?,
            images: BTreeMap::new(),
            sound: 0,
            pending: Vec::new(),
            known: Position::default(),
            interval: interval.max(1),
            next_digest: interval.max(1),
        };
        recorder.begin(images).map_err(|error| {
            if !existed {
                // Nothing in it is worth anything. If it cannot be removed, it still says that it was cut.
                let _ = std::fs::remove_file(path);
            }
            failed(error)
        })?;
        Ok(recorder)
    }

    fn begin(&mut self, images: &Images) -> io::Result<()> {
        self.file.write_all(&chunk::preamble(chunk::RECORDING))?;
        self.sound = chunk::PREAMBLE as u64;
        self.chunk(Kind::Header, &self.header.encode())?;
        for image in self.header.images.clone() {
            let Some(content) = content_of(images, image.role) else { continue };
            if self.images.contains_key(&image.hash) {
                continue;
            }
            let present = content.present_pages();
            let mut places = Vec::with_capacity(present.len());
            // What follows each other, without the zeros between.
            let runs = present.chunk_by(|page, next| page + 1 == *next);
            for pages in runs.flat_map(|run| run.chunks(TOGETHER)) {
                let (offset, bytes) = (pages[0] * PAGE as u64, (pages.len() * PAGE) as u64);
                let head = [&image.hash.to_be_bytes()[..], &offset.to_le_bytes()].concat();
                let start = self.sound + (chunk::HEADER + head.len()) as u64;
                places.extend(pages.iter().zip((start..).step_by(PAGE)).map(|(page, place)| (*page, place)));
                // As it is: packing a kernel takes longer than all else that recording a boot costs.
                let mut parts = vec![&head[..]];
                parts.extend(content.pieces(offset, bytes));
                self.written(|_, file| chunk::store(file, Kind::Image, &parts))?;
            }
            self.images.insert(image.hash, places);
        }
        self.chunk(Kind::Start, &[])
    }

    /// Where the pages of `images`, from which the recording was begun, stand in the file: by the address that a page has
    /// now, its offset in bytes.
    pub(crate) fn pages(&self, images: &Images) -> BTreeMap<*const u8, u64> {
        let of_image = |image: &Image| {
            let content = content_of(images, image.role)?;
            let places = self.images.get(&image.hash)?.iter();
            let whole = places.filter(|(page, _)| (page + 1) * PAGE as u64 <= content.len());
            Some(whole.map(|&(page, place)| (content.page_ptr(page), place)))
        };
        self.header.images.iter().filter_map(of_image).flatten().collect()
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the recording begins with.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Begins a recording as [`Recorder::create`] does, whose history begins with `records`.
    pub fn fork(
        path: &Path,
        config: &Config,
        images: &Images,
        schema: Digest,
        interval: u64,
        records: &[Record],
    ) -> Result<Recorder, CreateError> {
        let mut recorder = Recorder::create(path, config, images, schema, interval)?;
        let failed = |WriteError { path, error }| CreateError::Io(path, error);
        for record in records {
            recorder.note(record.at, record.event.clone()).map_err(failed)?;
        }
        recorder.write_pending().map_err(failed)?;
        Ok(recorder)
    }

    fn chunk(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        self.written(|packer, file| packer.write(file, kind, payload))
    }

    fn written(&mut self, write: impl FnOnce(&mut Packer, &mut File) -> io::Result<u64>) -> io::Result<()> {
        let before = self.sound;
        let written = write(&mut self.packer, &mut self.file);
        if written.is_err() {
            // The file is full or gone: at least end it after a whole chunk. It would be read as cut anyway.
            let _ = self.file.set_len(before);
        }
        written?;
        self.sound = self.file.stream_position().unwrap_or(before);
        Ok(())
    }

    fn push(&mut self, at: Position, event: Event) {
        self.known = at;
        Record { at, event }.encode(&mut self.pending);
    }

    /// Something happened at `at`. An input has at most [`LONGEST_INPUT`] bytes.
    pub fn note(&mut self, at: Position, event: Event) -> Result<(), WriteError> {
        let payload = if let Event::Input { payload, .. } = &event { payload.len() } else { 0 };
        // Records are not split over chunks, so what is pending stays below a chunk's size.
        if self.pending.len() + payload > chunk::LARGEST / 2 {
            self.write_pending()?;
        }
        if matches!(event, Event::Digest(_)) {
            self.next_digest = self.next_digest.saturating_add(self.interval);
        }
        self.push(at, event);
        Ok(())
    }

    /// The count at which the next digest is due.
    pub fn next_digest(&self) -> u64 {
        self.next_digest
    }

    /// Writes what happened up to `at`, so that a killed program loses nothing of it.
    pub fn flush(&mut self, at: Position) -> Result<(), WriteError> {
        if at > self.known {
            self.push(at, Event::Progress);
        }
        self.write_pending()
    }

    /// The run ended in order.
    pub fn end(
        mut self,
        at: Position,
        digest: Digest,
        ended: &str,
        transcript: &Transcript,
    ) -> Result<(), WriteError> {
        self.push(at, Event::End { digest, ended: ended.into(), console_sha256: transcript.sha256() });
        self.write_pending()
    }

    fn write_pending(&mut self) -> Result<(), WriteError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let pending = std::mem::take(&mut self.pending);
        self.chunk(Kind::History, &pending).map_err(|error| WriteError { path: self.path.clone(), error })
    }
}
