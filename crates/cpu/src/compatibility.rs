//! The processor compatibility register (Power ISA 3.0B Book III 2.5): in problem state, instructions that are newer than
//! the version it names are illegal. Where it takes something away, instructions are executed one at a time.

use crate::bits::pcr;
use crate::{Model, Vcpu};
use alloc::vec::Vec;
use timebase_isa::Decoder;
use timebase_isa::version::Versions;

/// What decides of each definition, by number: its version, and whether it is of the matrix-multiply assist.
pub(crate) struct Ages(Vec<(u16, bool)>);

impl Ages {
    pub fn gather(decoder: &Decoder) -> Ages {
        let versions = Versions::gather();
        let matrix = |name: &str| name.contains("ger") || name.contains("acc");
        let age = |entry: &timebase_isa::decode::Entry| {
            (versions.of(entry), entry.section.starts_with("I 7") && matrix(entry.name))
        };
        Ages(decoder.entries().iter().map(age).collect())
    }

    /// The instruction of this number is not there for `cpu` in its state.
    pub fn lacks(&self, cpu: &Vcpu, number: u16) -> bool {
        let Some(&(version, matrix)) = self.0.get(number as usize) else { return false };
        cpu.is_compatible_with_less() && (version > cpu.newest_version() || matrix && cpu.has_no_matrix())
    }
}

impl Vcpu {
    /// PCR takes something away in this state.
    #[inline]
    pub(crate) fn is_compatible_with_less(&self) -> bool {
        self.spr.pcr != 0 && self.problem()
    }

    /// The newest version whose instructions problem state has. The oldest one that PCR names counts.
    fn newest_version(&self) -> u16 {
        let pcr = self.spr.pcr;
        match self.model {
            _ if pcr & pcr::V2_05 != 0 => 205,
            _ if pcr & pcr::V2_06 != 0 => 206,
            _ if pcr & pcr::V2_07 != 0 => 207,
            Model::Power10 if pcr & pcr::V3_00 != 0 => 300,
            _ => u16::MAX,
        }
    }

    fn has_no_matrix(&self) -> bool {
        self.spr.pcr & pcr::MMA_DISABLE != 0
    }
}
