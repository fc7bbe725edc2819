//! Client architecture support: what the guest can do meets what the platform offers (LoPAR, "ibm,client-
//! architecture-support").

use super::{Board, describe};
use crate::Config;
use crate::tree::{ROOT, Tree};
use alloc::vec::Vec;
use timebase_memory::Memory;

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
}

impl Agreement {
    fn of(guest: &Vectors) -> Agreement {
        // Bits 0:1 of the MMU byte: 0 hash, 1 radix, 2 either.
        Agreement { radix: guest.byte(5, MMU) & 0xc0 != 0 }
    }

    /// The property "ibm,architecture-vec-5": a length byte and the bytes of the vector.
    fn vector5(self) -> [u8; 27] {
        let mut vector = [0; 27];
        vector[0] = 25;
        // Byte 2: dynamic reconfiguration of splpar's kind is offered: shared processors no; byte 5: form 1 affinity.
        vector[5] = 0x80;
        if self.radix {
            vector[MMU] = 0x40;
            vector[RADIX] = 0x40;
        }
        vector
    }
}

fn apply(tree: &mut Tree, agreement: Agreement, cpus: u32) {
    if let Some(chosen) = tree.find("/chosen") {
        tree.set(chosen, "ibm,architecture-vec-5", &agreement.vector5());
    }
    if tree.find("/interrupt-controller").is_none() {
        describe::add_xics(tree, cpus);
    }
}

/// The tree for guests that are entered without a chance to negotiate: radix, unless the command line says no.
pub(super) fn settle_without_negotiation(config: &Config, tree: &mut Tree) {
    let radix = !config.append.split_whitespace().any(|word| word == "disable_radix");
    apply(tree, Agreement { radix }, config.cpus);
}

impl Board {
    /// `ibm,client-architecture-support` with the structure at `address`. False: it cannot be read.
    pub(super) fn client_architecture_support(&mut self, address: u64) -> bool {
        let Some(guest) = Vectors::read(&self.memory, address) else { return false };
        let agreement = Agreement::of(&guest);
        let cpus = self.cpu.len() as u32;
        apply(&mut self.tree, agreement, cpus);
        true
    }
}

const _: u32 = ROOT;
