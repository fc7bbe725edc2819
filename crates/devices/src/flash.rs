//! The flash memory of the host's firmware, behind the management controller: the host asks the controller by IPMI to map
//! a part of it into the firmware space of the LPC bus, and accesses it there (OpenBMC "hiomap" protocol, version 2; the
//! partition table is that of the "FSP flash structure", version 1).
//!
//! The table is ours: it names NVRAM and what the machine adds, and nothing that firmware would load in place of what the
//! machine was given. The contents survive a reset.
//!
//! Left out: events of the controller's own accord (it never takes the flash away), locks. What was stored into a window
//! is in the flash at once, flushed or not.

use crate::nvram::{self, header};
use alloc::{vec, vec::Vec};
use timebase_state::{Paged, State};

/// Size of the flash in bytes.
pub const BYTES: u64 = 64 << 20;
/// log2 of the size of a block, in which the protocol counts: 4 KiB.
const BLOCK_SHIFT: u32 = 12;
const BLOCK: u64 = 1 << BLOCK_SHIFT;
/// The NVRAM partition.
const NVRAM: u64 = 0x10_0000;
const NVRAM_BYTES: u64 = 0x4_0000;
/// Where the partition is that the machine adds.
const ADDED: u64 = 0x20_0000;
/// Its first partitions, as skiboot makes them: its own, and the system's.
const PRIVATE: u8 = 0x51;
const PRIVATE_BYTES: u64 = 0x1000;
const SYSTEM_BYTES: u64 = 0x1_0000;

/// Completion codes of IPMI: done; the data are not valid.
const DONE: u8 = 0;
const INVALID: u8 = 0xcc;

/// The part that is mapped. Its address in firmware space is its offset in the flash.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
struct Window {
    base: u64,
    bytes: u64,
    writable: bool,
}

/// The flash.
#[derive(State, Clone)]
pub struct Flash {
    content: Paged,
    window: Option<Window>,
}

/// Big-endian words of the partition table, and the checksum that makes their exclusive-or 0.
fn sealed(words: &[u32]) -> Vec<u8> {
    let sum = words.iter().fold(0, |sum, word| sum ^ word);
    words.iter().chain([&sum]).flat_map(|word| word.to_be_bytes()).collect()
}

/// An entry of the partition table: name, base and size in bytes, type (1 data, 3 the table itself).
fn entry(number: u32, name: &[u8; 16], base: u64, bytes: u64, kind: u32) -> Vec<u8> {
    const TOP_LEVEL: u32 = u32::MAX;
    let mut words = [0; 31];
    for (word, four) in words.iter_mut().zip(name.chunks(4)) {
        *word = four.iter().fold(0, |word, &byte| word << 8 | byte as u32);
    }
    let [base_blocks, blocks] = [base, bytes].map(|bytes| (bytes >> BLOCK_SHIFT) as u32);
    words[4..11].copy_from_slice(&[base_blocks, blocks, TOP_LEVEL, number, kind, 0, bytes as u32]);
    sealed(&words)
}

/// The partition table: itself, NVRAM, and what else there is.
fn table(more: &[Vec<u8>]) -> Vec<u8> {
    const MAGIC: u32 = u32::from_be_bytes(*b"PART");
    const ENTRY_BYTES: u32 = 128;
    let own = [
        entry(1, b"part\0\0\0\0\0\0\0\0\0\0\0\0", 0, BLOCK, 3),
        entry(2, b"NVRAM\0\0\0\0\0\0\0\0\0\0\0", NVRAM, NVRAM_BYTES, 1),
    ];
    let (entries, blocks) = (own.len() + more.len(), (BYTES >> BLOCK_SHIFT) as u32);
    let head = sealed(&[MAGIC, 1, 1, ENTRY_BYTES, entries as u32, BLOCK as u32, blocks, 0, 0, 0, 0]);
    [&head[..], &own.concat(), &more.concat()].concat()
}

impl Flash {
    /// As it comes from the factory: the partition table, and an NVRAM without variables.
    pub fn cold() -> Flash {
        let mut content = Paged::new(BYTES);
        content.write(0, &table(&[]));
        let free = PRIVATE_BYTES + SYSTEM_BYTES;
        for (at, signature, bytes, name) in [
            (0, PRIVATE, PRIVATE_BYTES, b"ibm,skiboot\0"),
            (PRIVATE_BYTES, nvram::SYSTEM, SYSTEM_BYTES, b"common\0\0\0\0\0\0"),
            (free, nvram::FREE, NVRAM_BYTES - free, b"wwwwwwwwwwww"),
        ] {
            content.write(NVRAM + at, &header(signature, bytes, name));
        }
        Flash { content, window: None }
    }

    /// Adds one partition behind NVRAM, of a flash that has no more than NVRAM: its name and what is in it, up to 1 MiB.
    pub fn add(&mut self, name: &[u8; 16], bytes: &[u8]) {
        let blocks = (bytes.len() as u64).next_multiple_of(BLOCK);
        self.content.write(0, &table(&[entry(3, name, ADDED, blocks, 1)]));
        self.content.write(ADDED, bytes);
    }

    /// After a reset: nothing is mapped.
    pub fn after_reset(&self) -> Flash {
        Flash { content: self.content.clone(), window: None }
    }

    /// Answers a command of the protocol: completion code, command, sequence number, results.
    pub fn command(&mut self, request: &[u8]) -> Vec<u8> {
        let [command, sequence, arguments @ ..] = request else { return vec![INVALID] };
        match self.results(*command, arguments) {
            Some(results) => [&[DONE, *command, *sequence], &results[..]].concat(),
            None => vec![INVALID],
        }
    }

    fn results(&mut self, command: u8, arguments: &[u8]) -> Option<Vec<u8>> {
        match command {
            // Reset: nothing is mapped. Close the window.
            1 | 5 => self.window = None,
            // Version, log2 of the size of a block, seconds after which the controller may be taken for dead: unsaid.
            2 => return Some(vec![2, BLOCK_SHIFT as u8, 0, 0]),
            // Size, and the granule of erasing.
            3 => return Some(halves([BYTES >> BLOCK_SHIFT, 1])),
            4 | 6 => return self.map(range(arguments)?, command == 6),
            // Mark what was written; flush; acknowledge events.
            7 if self.window.as_ref()?.writable => _ = range(arguments)?,
            8 if self.window.as_ref()?.writable => {}
            9 => {}
            10 => self.erase(range(arguments)?)?,
            _ => return None,
        }
        Some(Vec::new())
    }

    /// Maps the part of the flash at this offset, of at least a block.
    fn map(&mut self, (base, bytes): (u64, u64), writable: bool) -> Option<Vec<u8>> {
        self.window = None;
        if base >= BYTES {
            return None;
        }
        let bytes = bytes.clamp(BLOCK, BYTES - base);
        self.window = Some(Window { base, bytes, writable });
        Some(halves([base >> BLOCK_SHIFT, bytes >> BLOCK_SHIFT, base >> BLOCK_SHIFT]))
    }

    /// Erases a part of the window: to all ones.
    fn erase(&mut self, (offset, bytes): (u64, u64)) -> Option<()> {
        let window = self.window.as_ref().filter(|window| window.writable)?;
        if offset + bytes > window.bytes {
            return None;
        }
        let base = window.base + offset;
        for at in (base..base + bytes).step_by(BLOCK as usize) {
            self.content.write(at, &[0xff; BLOCK as usize]);
        }
        Some(())
    }

    /// The bytes at this offset of firmware space, if they are mapped.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> Option<()> {
        self.mapped(offset, out.len() as u64)?;
        self.content.read(offset, out).then_some(())
    }

    /// Stores bytes there, if they are mapped to be written.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Option<()> {
        self.mapped(offset, bytes.len() as u64).filter(|window| window.writable)?;
        self.content.write(offset, bytes).then_some(())
    }

    fn mapped(&self, offset: u64, bytes: u64) -> Option<&Window> {
        let window = self.window.as_ref()?;
        let inside = offset.checked_sub(window.base)?;
        (inside + bytes <= window.bytes).then_some(window)
    }
}

/// Little-endian halfwords.
fn halves<const N: usize>(values: [u64; N]) -> Vec<u8> {
    values.into_iter().flat_map(|value| (value as u16).to_le_bytes()).collect()
}

/// Offset and size in bytes, from halfwords that count blocks.
fn range(arguments: &[u8]) -> Option<(u64, u64)> {
    let &[a, b, c, d, ..] = arguments else { return None };
    let bytes = |low, high| (u16::from_le_bytes([low, high]) as u64) << BLOCK_SHIFT;
    Some((bytes(a, b), bytes(c, d)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_adds_up_and_leads_to_a_formatted_nvram() {
        let mut flash = Flash::cold();
        assert_eq!(flash.read(0, &mut [0]), None);
        assert_eq!(flash.command(&[4, 1, 0, 0, 1, 0]), [DONE, 4, 1, 0, 0, 1, 0, 0, 0]);
        let mut table = [0; 48 + 2 * 128];
        flash.read(0, &mut table).unwrap();
        assert_eq!(&table[..4], b"PART");
        for part in [&table[..48], &table[48..176], &table[176..]] {
            let words = part.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap()));
            assert_eq!(words.fold(0, |sum, word| sum ^ word), 0);
        }
        let nvram = &table[176..];
        assert_eq!((&nvram[..6], &nvram[16..20]), (&b"NVRAM\0"[..], &[0, 0, 1, 0][..]));
        flash.command(&[4, 2, 0, 1, 0x40, 0]);
        let mut first = [0; 16];
        flash.read(NVRAM, &mut first).unwrap();
        assert_eq!((first[0], &first[4..15]), (PRIVATE, &b"ibm,skiboot"[..]));
    }

    #[test]
    fn what_is_written_needs_a_window_for_it_and_survives_a_reset() {
        let mut flash = Flash::cold();
        assert_eq!(flash.command(&[3, 9]), [DONE, 3, 9, 0, 0x40, 1, 0]);
        flash.command(&[4, 1, 0, 1, 1, 0]);
        assert_eq!(flash.write(NVRAM, &[1]), None);
        assert_eq!(flash.command(&[8, 1]), [INVALID]);
        flash.command(&[6, 1, 0, 1, 1, 0]);
        flash.write(NVRAM + 2, &[7, 8]).unwrap();
        assert_eq!(flash.write(NVRAM + BLOCK - 1, &[7, 8]), None);
        assert_eq!(flash.command(&[7, 3, 0, 0, 1, 0]), [DONE, 7, 3]);
        let mut flash = flash.after_reset();
        assert_eq!(flash.read(NVRAM, &mut [0]), None);
        flash.command(&[6, 1, 0, 1, 1, 0]);
        let mut two = [0; 2];
        flash.read(NVRAM + 2, &mut two).unwrap();
        assert_eq!(two, [7, 8]);
        assert_eq!(flash.command(&[10, 4, 0, 0, 1, 0]), [DONE, 10, 4]);
        flash.read(NVRAM + 2, &mut two).unwrap();
        assert_eq!(two, [0xff; 2]);
    }

    #[test]
    fn damaged_and_hostile_requests_are_refused() {
        let mut flash = Flash::cold();
        for request in
            [&[][..], &[4], &[4, 1], &[4, 1, 0, 0x40, 1, 0], &[10, 1, 0, 0, 1, 0], &[99, 1], &[7, 1]]
        {
            assert_eq!(flash.command(request), [INVALID], "{request:?}");
        }
        assert_eq!(flash.command(&[6, 1, 0xff, 0x3f, 0xff, 0xff])[3..], [0xff, 0x3f, 1, 0, 0xff, 0x3f]);
        assert_eq!(flash.command(&[10, 1, 0, 0, 0xff, 0xff]), [INVALID]);
        assert_eq!(flash.write(u64::MAX, &[1]), None);
    }
}
