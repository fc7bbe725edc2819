//! NVRAM behind RTAS `nvram-fetch` and `nvram-store` (LoPAR, "NVRAM"; partitions: CHRP, "NVRAM"). It survives a reset.
//!
//! A new one is formatted: a system partition without variables, and free space from which operating systems and
//! firmware cut theirs.

use timebase_state::{Paged, State};

/// Its size in bytes.
pub const BYTES: u64 = 64 * 1024;

/// Partitions consist of blocks of 16 bytes; the first is the header.
const BLOCK: u64 = 16;
pub(crate) const SYSTEM: u8 = 0x70;
pub(crate) const FREE: u8 = 0x7f;
/// Bytes of the system partition.
const SYSTEM_BYTES: u64 = 4096;

/// The NVRAM.
#[derive(State, Clone)]
pub struct Nvram {
    content: Paged,
}

/// A partition's header: signature, checksum, length in blocks, name.
pub(crate) fn header(signature: u8, bytes: u64, name: &[u8; 12]) -> [u8; 16] {
    let mut header = [0; 16];
    header[0] = signature;
    header[2..4].copy_from_slice(&((bytes / BLOCK) as u16).to_be_bytes());
    header[4..].copy_from_slice(name);
    header[1] = checksum(&header);
    header
}

/// The sum of all bytes but the checksum itself, with end-around carry.
fn checksum(header: &[u8; 16]) -> u8 {
    let sum: u32 = header.iter().enumerate().filter(|(n, _)| *n != 1).map(|(_, &byte)| byte as u32).sum();
    let folded = (sum & 0xff) + (sum >> 8);
    ((folded & 0xff) + (folded >> 8)) as u8
}

impl Nvram {
    /// Formatted, without variables.
    pub fn cold() -> Nvram {
        let mut content = Paged::new(BYTES);
        content.write(0, &header(SYSTEM, SYSTEM_BYTES, b"common\0\0\0\0\0\0"));
        content.write(SYSTEM_BYTES, &header(FREE, BYTES - SYSTEM_BYTES, b"wwwwwwwwwwww"));
        Nvram { content }
    }

    /// Reads; false if the range is not all inside.
    pub fn fetch(&self, offset: u64, out: &mut [u8]) -> bool {
        self.content.read(offset, out)
    }

    /// Writes; false if the range is not all inside.
    pub fn store(&mut self, offset: u64, bytes: &[u8]) -> bool {
        self.content.write(offset, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_one_is_partitioned_to_its_end() {
        let nvram = Nvram::cold();
        let mut at = 0;
        let mut signatures = alloc::vec::Vec::new();
        while at < BYTES {
            let mut header = [0; 16];
            assert!(nvram.fetch(at, &mut header));
            assert_eq!(header[1], checksum(&header));
            signatures.push(header[0]);
            at += BLOCK * u16::from_be_bytes([header[2], header[3]]) as u64;
        }
        assert_eq!((at, &signatures[..]), (BYTES, &[SYSTEM, FREE][..]));
        // By hand: 0x70 + 0x01 + "common" (0x289) = 0x2fa, folded 0xfc.
        let mut system = [0; 4];
        nvram.fetch(0, &mut system);
        assert_eq!(system, [0x70, 0xfc, 0x01, 0x00]);
        assert!(!nvram.fetch(BYTES - 1, &mut system));
    }
}
