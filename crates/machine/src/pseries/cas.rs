//! Client architecture support: what the guest can do meets what the platform offers (LoPAR, "ibm,client-
//! architecture-support").

use super::{Board, describe};
use crate::Config;
use alloc::vec::Vec;
use timebase_memory::Memory;

/// Byte of option vector 5: interrupt controller.
const INTERRUPTS: usize = 23;
/// Byte of option vector 5: MMU.
const MMU: usize = 24;
/// Byte of option vector 5: radix extensions.
const RADIX: usize = 26;

/// The option vectors that a guest passes.
pub(super) struct Vectors {
    /// Option vectors 1 up, each with its bytes numbered from 1 (byte 0 is the length).
    vectors: Vec<Vec<u8>>,
}

impl Vectors {
    /// Reads the structure at `address`: PVR pairs, then a count, then the vectors.
    pub fn read(memory: &Memory, address: u64) -> Option<Vectors> {
        let mut at = address;
        let mut pairs = 0;
        loop {
            let (mask, value) = (memory.read_u32(at).ok()?, memory.read_u32(at + 4).ok()?);
            at += 8;
            pairs += 1;
            // The list ends with an entry whose value is not covered by its mask.
            if value & !mask != 0 || pairs == 512 {
                break;
            }
        }
        let byte = |at: u64| {
            let mut byte = [0];
            memory.read(at, &mut byte).ok().map(|()| byte[0])
        };
        let count = byte(at)? as usize + 1;
        at += 1;
        let mut vectors = Vec::new();
        for _ in 0..count {
            let length = byte(at)? as usize + 1;
            let mut vector = alloc::vec![0; length + 1];
            memory.read(at, &mut vector).ok()?;
            vectors.push(vector);
            at += length as u64 + 1;
        }
        Some(Vectors { vectors })
    }

    fn byte(&self, vector: usize, n: usize) -> u8 {
        self.vectors.get(vector - 1).and_then(|v| v.get(n)).copied().unwrap_or(0)
    }
}

/// What was agreed.
#[derive(Clone, Copy)]
pub(super) struct Agreement {
    radix: bool,
    xive: bool,
}

impl Agreement {
    fn of(guest: &Vectors) -> Agreement {
        // The first two bits: 0 the older way (hash, XICS), 1 the newer one, 2 and 3 either.
        let newer = |byte| guest.byte(5, byte) & 0xc0 != 0;
        Agreement { radix: newer(MMU), xive: newer(INTERRUPTS) }
    }

    /// What a guest that is not asked would ask for, by its command line.
    fn unasked(config: &Config) -> Agreement {
        let says = |option| config.append.split_whitespace().any(|word| word == option);
        Agreement { radix: !says("disable_radix"), xive: !says("xive=off") }
    }

    /// The property "ibm,architecture-vec-5": a length byte and the bytes of the vector.
    fn vector5(self) -> [u8; 27] {
        let mut vector = [0; 27];
        vector[0] = 25;
        // Associativity of form 1.
        vector[5] = 0x80;
        if self.xive {
            vector[INTERRUPTS] = 0x40;
        }
        if self.radix {
            vector[MMU] = 0x40;
            vector[RADIX] = 0x40;
        }
        vector
    }
}

impl Board {
    fn agree(&mut self, agreement: Agreement) {
        let cpus = self.cpu.len() as u32;
        if let Some(chosen) = self.tree.find("/chosen") {
            self.tree.set(chosen, "ibm,architecture-vec-5", &agreement.vector5());
        }
        describe::interrupt_controller(&mut self.tree, agreement.xive, cpus);
        self.devices.choose_interrupts(agreement.xive, cpus);
    }

    /// For guests that are entered without a chance to negotiate.
    pub(super) fn settle_without_negotiation(&mut self, config: &Config) {
        self.agree(Agreement::unasked(config));
    }

    /// `ibm,client-architecture-support` with the structure at `address`. False: it cannot be read.
    pub(super) fn client_architecture_support(&mut self, address: u64) -> bool {
        let Some(guest) = Vectors::read(&self.memory, address) else { return false };
        self.agree(Agreement::of(&guest));
        true
    }
}
