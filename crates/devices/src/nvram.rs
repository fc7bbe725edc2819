//! NVRAM behind RTAS `nvram-fetch` and `nvram-store` (LoPAR, "NVRAM"). It survives a reset.

use timebase_state::{Paged, State};

/// Its size in bytes.
pub const BYTES: u64 = 64 * 1024;

/// The NVRAM.
#[derive(State, Clone)]
pub struct Nvram {
    content: Paged,
}

impl Nvram {
    /// All zero.
    pub fn cold() -> Nvram {
        Nvram { content: Paged::new(BYTES) }
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
