//! Images: from a file's bytes to what is loaded where.

use crate::api::ConfigError;
use alloc::{format, string::String, vec::Vec};
use core::ops::Range;
use object::elf::{EM_PPC, EM_PPC64, FileHeader32, FileHeader64, Machine, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endian, Endianness, FileKind};
use timebase_memory::Memory;
use timebase_state::Paged;

fn no_room(memory: &Memory, what: &str, end: u64) -> ConfigError {
    let room = memory.bytes();
    ConfigError(format!("{what}: it needs memory up to {end:#x}, there is {room:#x}: use a larger --memory"))
}

/// There is memory up to `end` for `what`.
pub(crate) fn check_room(memory: &Memory, what: &str, end: u64) -> Result<(), ConfigError> {
    if end > memory.bytes() { Err(no_room(memory, what, end)) } else { Ok(()) }
}

/// Puts a part of the content of `what` at `address`.
pub(crate) fn place(
    memory: &mut Memory,
    what: &str,
    address: u64,
    content: &Paged,
    part: Range<u64>,
) -> Result<(), ConfigError> {
    let bytes = part.end - part.start;
    memory
        .place(address, content, part.start, bytes)
        .map_err(|_| no_room(memory, what, address.saturating_add(bytes)))
}

/// A piece of an image.
pub(crate) struct Segment {
    pub address: u64,
    /// The part of the file that it is.
    pub part: Range<u64>,
    /// Length in memory; what is beyond its part of the file is zero.
    pub memory_bytes: u64,
}

/// An image taken apart.
pub(crate) struct Image {
    pub segments: Vec<Segment>,
    pub program: Program,
}

/// A program in memory.
pub(crate) struct Program {
    /// The first address of everything that is loaded.
    pub start: u64,
    /// The first address after everything that is loaded.
    pub end: u64,
    /// Where it is entered.
    pub entry: u64,
    /// Its code is for 64-bit mode.
    pub bits64: bool,
    /// Its code is little-endian.
    pub little_endian: bool,
}

/// An image linked at kernel addresses (0xc000...) runs anywhere and is loaded at `base`; any other is loaded where it was
/// linked.
fn destination(address: u64, base: u64) -> u64 {
    if address >> 60 == 0xc { (address & 0x0fff_ffff_ffff_ffff).wrapping_add(base) } else { address }
}

fn parse_elf<E: FileHeader<Endian = Endianness>>(
    data: &[u8],
    length: u64,
    machine: Machine,
    base: u64,
) -> Result<Image, String> {
    let damaged = |e: object::read::Error| format!("it is a damaged ELF file: {e}");
    let header = E::parse(data).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    if header.e_machine(endian) != machine {
        return Err(format!("it is an ELF file for machine {}, not for Power", header.e_machine(endian).0));
    }
    let (mut segments, mut start, mut end) = (Vec::new(), u64::MAX, 0);
    for program in header.program_headers(endian, data).map_err(damaged)? {
        if program.p_type(endian) != PT_LOAD {
            continue;
        }
        let (offset, bytes) = program.file_range(endian);
        let Some(end_in_file) = offset.checked_add(bytes).filter(|&end| end <= length) else {
            return Err("it is a damaged ELF file: cut short".into());
        };
        let memory_bytes: u64 = program.p_memsz(endian).into();
        if memory_bytes != 0 {
            let address = destination(program.p_vaddr(endian).into(), base);
            let memory_bytes = memory_bytes.max(bytes);
            (start, end) = (address.min(start), address.saturating_add(memory_bytes).max(end));
            segments.push(Segment { address, part: offset..end_in_file, memory_bytes });
        }
    }
    if segments.is_empty() {
        return Err("it is an ELF file with nothing to load".into());
    }
    let mut entry: u64 = header.e_entry(endian).into();
    // ELFv1 (big-endian) kernels name a function descriptor only where the flags say so; Linux names code.
    if entry == 0 {
        entry = segments[0].address;
    }
    let (bits64, little_endian) = (header.is_type_64(), endian.is_little_endian());
    Ok(Image {
        segments,
        program: Program { start, end, entry: destination(entry, base), bits64, little_endian },
    })
}

/// What of a file is looked at first, in bytes: the headers of nearly every ELF file.
const HEAD: u64 = 1 << 16;

/// Takes `content` apart: ELF for Power of either width and byte order; what may be anywhere is put at `base`. The error
/// completes "kernel: ...".
pub(crate) fn parse(content: &Paged, base: u64) -> Result<Image, String> {
    let length = content.len();
    let head = content.copy(0, HEAD);
    // The rest is looked at only if the headers of an ELF file are not all in front.
    let more = length > HEAD && FileKind::parse(&head[..]).is_ok();
    parse_head(&head, length, base).or_else(|why| match more {
        true => parse_head(&content.copy(0, length), length, base),
        false => Err(why),
    })
}

/// The same, of a file of `length` bytes that begins with `data`.
fn parse_head(data: &[u8], length: u64, base: u64) -> Result<Image, String> {
    match FileKind::parse(data) {
        Ok(FileKind::Elf64) => parse_elf::<FileHeader64<Endianness>>(data, length, EM_PPC64, base),
        Ok(FileKind::Elf32) => parse_elf::<FileHeader32<Endianness>>(data, length, EM_PPC, base),
        _ => Err("it is not an ELF file; give a vmlinux, zImage or bare-metal ELF image for Power".into()),
    }
}
