//! Files as sequences of checksummed chunks: recordings, and the checkpoints beside them.
//!
//! | bytes | |
//! |---|---|
//! | 0..8 | signature of what the file is |
//! | 8..12 | [`FORMAT`] of a recording, [`INDEX_FORMAT`] of checkpoints; little endian like all numbers here |
//! | 12..16 | CRC-32 of the bytes before |
//!
//! and then chunks, each a header of [`HEADER`] bytes and a payload:
//!
//! | bytes | |
//! |---|---|
//! | 0..4 | `TBck` |
//! | 4 | [`Kind`] |
//! | 5 | 0: the payload stands as it is; 1: it is a zstd frame |
//! | 6..8 | 0 |
//! | 8..12 | bytes of payload that follow |
//! | 12..16 | bytes of payload when unpacked, at most [`LARGEST`] |
//! | 16..20 | CRC-32 of the bytes that follow |
//! | 20..24 | CRC-32 of the header before |
//!
//! The header has its own checksum, so a file cut short (the header is right, bytes are missing) is told from a
//! damaged one. A file system that lost power may leave zeros where the last write should be: that is cut, too.

use crate::{FORMAT, INDEX_FORMAT};
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};

/// First bytes of a recording. Not text, and damaged by whatever converts line ends.
pub const RECORDING: [u8; 8] = *b"\x89TBREC\r\n";
/// First bytes of a file of checkpoints.
pub const INDEX: [u8; 8] = *b"\x89TBIDX\r\n";
const MAGIC: [u8; 4] = *b"TBck";
/// Bytes before the first chunk.
pub const PREAMBLE: usize = 16;
/// Bytes of a chunk's header.
pub const HEADER: usize = 24;
/// Largest payload of a chunk when unpacked, in bytes.
pub const LARGEST: usize = 4 << 20;
/// zstd's level for what is written while a guest runs: it must cost next to nothing.
pub const FAST: i32 = -7;

/// What a chunk holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Who made the recording, of what machine; names the images by content. Always first.
    Header = 1,
    /// A piece of an image.
    Image = 2,
    /// The images are complete: from here on there is history.
    Start = 3,
    /// Records.
    History = 4,
    /// Pages of bulk storage, one after another, each as what makes it from another page.
    Pages = 5,
    /// A piece of a checkpoint's small state.
    Small = 6,
    /// A piece of what is known of a checkpoint; the last one ends it.
    Checkpoint = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        let all = [
            Kind::Header,
            Kind::Image,
            Kind::Start,
            Kind::History,
            Kind::Pages,
            Kind::Small,
            Kind::Checkpoint,
        ];
        all.into_iter().find(|&kind| kind as u8 == byte)
    }
}

/// The version of the format in which files of this signature are written and read.
fn format_of(signature: [u8; 8]) -> u32 {
    if signature == INDEX { INDEX_FORMAT } else { FORMAT }
}

/// The first [`PREAMBLE`] bytes of a file.
pub fn preamble(signature: [u8; 8]) -> [u8; PREAMBLE] {
    let mut out = [0; PREAMBLE];
    out[..8].copy_from_slice(&signature);
    out[8..12].copy_from_slice(&format_of(signature).to_le_bytes());
    let check = crc32fast::hash(&out[..12]);
    out[12..].copy_from_slice(&check.to_le_bytes());
    out
}

/// Packs payloads into chunks; keeps the compressor's memory between them.
pub struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
}

impl Packer {
    /// A packer of zstd's `level`.
    pub fn new(level: i32) -> io::Result<Packer> {
        let compressor = zstd::bulk::Compressor::new(level)?;
        Ok(Packer { compressor, packed: Vec::new() })
    }

    /// Writes one chunk with a single call of the system, so that a killed process leaves at most one cut chunk.
    /// Returns the bytes it takes.
    ///
    /// # Panics
    /// If the payload is larger than [`LARGEST`]: the caller cuts it.
    pub fn write(&mut self, out: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<u64> {
        assert!(payload.len() <= LARGEST, "a payload of {} bytes is too large", payload.len());
        let Packer { compressor, packed } = self;
        packed.clear();
        packed.reserve(zstd::zstd_safe::compress_bound(payload.len()));
        compressor.compress_to_buffer(payload, packed)?;
        let (encoding, stored) = if packed.len() < payload.len() { (1, &packed[..]) } else { (0, payload) };
        put(out, kind, encoding, payload.len(), &[stored])
    }
}

/// Writes one chunk as [`Packer::write`] does, whose payload stands as it is: `parts` one after another, which are not
/// copied for that. Returns the bytes it takes.
///
/// # Panics
/// If the payload is larger than [`LARGEST`]: the caller cuts it.
pub fn store(out: &mut impl Write, kind: Kind, parts: &[&[u8]]) -> io::Result<u64> {
    let length = parts.iter().map(|part| part.len()).sum();
    assert!(length <= LARGEST, "a payload of {length} bytes is too large");
    put(out, kind, 0, length, parts)
}

/// Writes a chunk whose payload is `parts`, one after another; `raw` is its length in bytes when unpacked.
fn put(out: &mut impl Write, kind: Kind, encoding: u8, raw: usize, parts: &[&[u8]]) -> io::Result<u64> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut sum = crc32fast::Hasher::new();
    parts.iter().for_each(|part| sum.update(part));
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&MAGIC);
    header[4..6].copy_from_slice(&[kind as u8, encoding]);
    header[8..12].copy_from_slice(&(length as u32).to_le_bytes());
    header[12..16].copy_from_slice(&(raw as u32).to_le_bytes());
    header[16..20].copy_from_slice(&sum.finalize().to_le_bytes());
    let check = crc32fast::hash(&header[..20]);
    header[20..].copy_from_slice(&check.to_le_bytes());
    let mut slices: Vec<IoSlice> = Vec::with_capacity(1 + parts.len());
    slices.push(IoSlice::new(&header));
    slices.extend(parts.iter().map(|part| IoSlice::new(part)));
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match out.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((HEADER + length) as u64)
}

/// Where a chunk stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Offset of its header in the file, in bytes.
    pub offset: u64,
    /// Bytes it takes in the file, header included.
    pub length: u64,
}

/// What comes next in a file.
pub enum Next {
    /// A whole chunk with its payload, unpacked.
    Chunk(Kind, Place, Vec<u8>),
    /// The file ends after a whole chunk.
    End,
    /// The file ends in the middle of a chunk.
    Cut,
}

/// A file that does not hold what it should.
#[derive(Debug)]
pub enum Damage {
    /// It cannot be read.
    Io(io::Error),
    /// It does not begin as a recording does.
    NotARecording,
    /// The bytes at `offset` are not those that were written.
    Corrupt {
        /// Where, in bytes from the beginning of the file.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// It is sound, and written in a format that this program does not know.
    Format(u32),
    /// A chunk of a kind that this program does not know.
    UnknownKind {
        /// Where the chunk stands.
        offset: u64,
        /// Its kind.
        kind: u8,
    },
}

impl From<io::Error> for Damage {
    fn from(error: io::Error) -> Damage {
        Damage::Io(error)
    }
}

/// Reads chunks one after another.
pub struct Reader<R> {
    input: R,
    offset: u64,
    length: u64,
    skipped: Option<Kind>,
    left_packed: Option<Kind>,
    unpacker: zstd::bulk::Decompressor<'static>,
    /// The payload as it stands in the file.
    stored: Vec<u8>,
}

impl<R: Read + Seek> Reader<R> {
    /// Begins to read a file of this signature: checks the preamble.
    pub fn new(mut input: R, signature: [u8; 8]) -> Result<Reader<R>, Damage> {
        let length = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(0))?;
        let mut bytes = [0; PREAMBLE];
        if length < PREAMBLE as u64 {
            return Err(Damage::NotARecording);
        }
        input.read_exact(&mut bytes)?;
        if bytes[..8] != signature {
            return Err(Damage::NotARecording);
        }
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if word(12) != crc32fast::hash(&bytes[..12]) {
            return Err(Damage::Corrupt { offset: 8, what: "the checksum of the format version is wrong" });
        }
        if word(8) != format_of(signature) {
            return Err(Damage::Format(word(8)));
        }
        Ok(Reader {
            input,
            offset: PREAMBLE as u64,
            length,
            skipped: None,
            left_packed: None,
            unpacker: zstd::bulk::Decompressor::new()?,
            stored: Vec::new(),
        })
    }

    /// From now on [`Reader::next_chunk`] leaves out payloads of `kind`, and does not check them.
    pub fn skip(&mut self, kind: Kind) {
        self.skipped = Some(kind);
    }

    /// From now on [`Reader::next_chunk`] checks payloads of `kind`, but leaves them out.
    pub fn leave_packed(&mut self, kind: Kind) {
        self.left_packed = Some(kind);
    }

    /// Offset of the next chunk in bytes; at the end, the bytes that are sound.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Length of the whole file in bytes, as it was when reading began.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads the chunk at `place` again.
    pub fn again(&mut self, place: Place) -> Result<Next, Damage> {
        let (offset, length) = (self.offset, self.length);
        self.input.seek(SeekFrom::Start(place.offset))?;
        (self.offset, self.length) = (place.offset, place.offset + place.length);
        let (skipped, left_packed) = (self.skipped.take(), self.left_packed.take());
        let next = self.next_chunk();
        (self.offset, self.length) = (offset, length);
        (self.skipped, self.left_packed) = (skipped, left_packed);
        self.input.seek(SeekFrom::Start(offset))?;
        next
    }

    /// Reads the next chunk.
    pub fn next_chunk(&mut self) -> Result<Next, Damage> {
        let offset = self.offset;
        let corrupt = |what| Err(Damage::Corrupt { offset, what });
        let left = self.length - offset;
        if left == 0 {
            return Ok(Next::End);
        }
        let mut header = [0; HEADER];
        let have = HEADER.min(left as usize);
        self.input.read_exact(&mut header[..have])?;
        if header.iter().all(|&byte| byte == 0) && self.rest_is_zero()? {
            return Ok(Next::Cut);
        }
        let magic = MAGIC.len().min(have);
        if header[..magic] != MAGIC[..magic] {
            return corrupt("no chunk begins here");
        }
        if have < HEADER {
            return Ok(Next::Cut);
        }
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if word(20) != crc32fast::hash(&header[..20]) {
            return corrupt("the checksum of a chunk's header is wrong");
        }
        let (stored, raw) = (word(8) as usize, word(12) as usize);
        if raw > LARGEST || stored > raw || header[6..8] != [0, 0] || header[5] > 1 {
            return corrupt("a chunk's header makes no sense");
        }
        if left < (HEADER + stored) as u64 {
            return Ok(Next::Cut);
        }
        let place = Place { offset, length: (HEADER + stored) as u64 };
        let kind = Kind::from_byte(header[4]);
        if let Some(kind) = kind.filter(|_| kind == self.skipped) {
            self.offset += place.length;
            self.input.seek(SeekFrom::Start(self.offset))?;
            return Ok(Next::Chunk(kind, place, Vec::new()));
        }
        self.stored.resize(stored, 0);
        self.input.read_exact(&mut self.stored)?;
        if word(16) != crc32fast::hash(&self.stored) {
            return corrupt("the checksum of a chunk is wrong");
        }
        if let Some(kind) = kind.filter(|_| kind == self.left_packed) {
            self.offset += place.length;
            return Ok(Next::Chunk(kind, place, Vec::new()));
        }
        let payload = match header[5] {
            0 => self.stored.clone(),
            _ => match self.unpacker.decompress(&self.stored, raw) {
                Ok(unpacked) => unpacked,
                Err(_) => return corrupt("a chunk cannot be unpacked"),
            },
        };
        if payload.len() != raw {
            return corrupt("a chunk has another length than it says");
        }
        self.offset += place.length;
        match kind {
            Some(kind) => Ok(Next::Chunk(kind, place, payload)),
            None => Err(Damage::UnknownKind { offset, kind: header[4] }),
        }
    }

    fn rest_is_zero(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.input.read(&mut buffer)? {
                0 => return Ok(true),
                n if buffer[..n].iter().any(|&byte| byte != 0) => return Ok(false),
                _ => {}
            }
        }
    }
}
