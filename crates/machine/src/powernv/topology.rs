//! Chips, cores and threads: how the vCPUs of a machine are numbered (POWER9 and POWER10 user's manuals, PIR).

use alloc::vec::Vec;

/// Bits of PIR below the chip's number.
const CHIP_SHIFT: u32 = 8;
/// Cores of a chip that a PIR can name, one pair of small cores apart from the other.
pub(super) const CORES_MAX: u32 = 24;

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    pub chips: u32,
    /// Of each chip.
    pub cores: u32,
    /// Of each core.
    pub threads: u32,
}

impl Topology {
    /// vCPUs in all.
    pub fn cpus(self) -> u32 {
        self.chips * self.cores * self.threads
    }

    /// Chip, core on the chip, thread of the core of vCPU `n`.
    pub fn place(self, n: u32) -> (u32, u32, u32) {
        let (core, thread) = (n / self.threads, n % self.threads);
        (core / self.cores, core % self.cores, thread)
    }

    /// PIR of vCPU `n`.
    pub fn pir(self, n: u32) -> u32 {
        let (chip, core, thread) = self.place(n);
        chip << CHIP_SHIFT | core << 2 | thread
    }

    /// Where the memory of each chip begins, and where the last one's ends: each has its part, in order, what is left over
    /// is at the first one.
    pub fn memory(self, bytes: u64) -> Vec<u64> {
        const UNIT: u64 = 256 << 20;
        let part = bytes / self.chips as u64 / UNIT * UNIT;
        let later = (0..self.chips as u64).rev().map(|after| bytes - part * after);
        [0].into_iter().chain(later).collect()
    }

    /// The vCPU of this PIR.
    pub fn cpu(self, pir: u32) -> Option<u32> {
        let (chip, core, thread) = (pir >> CHIP_SHIFT, pir >> 2 & 63, pir & 3);
        let is = chip < self.chips && core < self.cores && thread < self.threads;
        is.then(|| (chip * self.cores + core) * self.threads + thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vcpu_is_found_by_its_pir() {
        let topology = Topology { chips: 2, cores: 3, threads: 4 };
        for n in 0..topology.cpus() {
            assert_eq!(topology.cpu(topology.pir(n)), Some(n));
        }
        assert_eq!(topology.pir(13), 0x101);
        assert_eq!(topology.cpu(0x00c), None);
        assert_eq!(topology.cpu(u32::MAX), None);
    }

    #[test]
    fn each_chip_has_its_part_of_memory() {
        let parts = |chips, mib: u64| Topology { chips, cores: 1, threads: 1 }.memory(mib << 20);
        let mib = |bounds: &[u64]| bounds.iter().map(|bound| bound << 20).collect::<Vec<_>>();
        assert_eq!((parts(1, 1024), parts(2, 2048)), (mib(&[0, 1024]), mib(&[0, 1024, 2048])));
        assert_eq!(parts(2, 2304), mib(&[0, 1280, 2304]));
    }
}
