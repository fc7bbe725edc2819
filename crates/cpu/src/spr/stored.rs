//! Registers that are no more than storage, for whoever accesses them where they are.

use super::{Place, Privilege, Sprs, row};
use crate::{Model, Vcpu};
use core::mem::offset_of;

/// Numbers of HMER, and of HMEER, which says what of it matters.
pub const HMER: u64 = 336;
/// Likewise.
pub const HMEER: u64 = 337;

/// A register that compiled code may read and write where it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredSpr {
    /// Where it is in a [`Vcpu`], in bytes.
    pub at: usize,
    /// Only hypervisor state may access it; otherwise privileged states, too.
    pub hypervisor: bool,
    /// Its implemented bits, if nothing follows from a write but that it is stored.
    pub written: Option<u64>,
}

/// The register of this number, of those that interrupt handlers and firmware access most: DSISR, DAR, SRR0, SRR1, SPRG0 to
/// SPRG3, HSPRG0, HSPRG1, HSRR0, HSRR1, HMER, HMEER.
pub fn stored_spr(number: u64) -> Option<StoredSpr> {
    if !matches!(number, 18 | 19 | 26 | 27 | 272..=275 | 304 | 305 | 314 | 315 | HMER | HMEER) {
        return None;
    }
    let row = row(number)?;
    let Place::Stored(place) = &row.place else { return None };
    let mut sprs = Sprs::default();
    let start = &raw const sprs as usize;
    let field: *const u64 = (place.get)(&mut sprs);
    let [bits, others] = [Model::Power9, Model::Power10].map(|model| row.bits(model));
    Some(StoredSpr {
        at: offset_of!(Vcpu, spr) + (field as usize - start),
        hypervisor: row.read == Privilege::H,
        written: bits.filter(|_| bits == others && !matches!(number, HMER | HMEER)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use timebase_state::Instant;

    #[test]
    fn stored_registers_are_privileged_and_where_they_are_said_to_be() {
        let all: alloc::vec::Vec<u64> = (0..1024).filter(|&number| stored_spr(number).is_some()).collect();
        assert_eq!(all, [18, 19, 26, 27, 272, 273, 274, 275, 304, 305, 314, 315, 336, 337]);
        for number in all {
            let (stored, row) = (stored_spr(number).unwrap(), row(number).unwrap());
            let privilege = if stored.hypervisor { Privilege::H } else { Privilege::S };
            assert!(row.read == privilege && row.write == privilege && row.facility.is_none(), "{number}");
            assert_eq!(stored.written.is_none(), matches!(number, HMER | HMEER), "{number}");
            let mut cpu = Vcpu::cold(0, Model::Power9, true, 0, Instant::default());
            let Place::Stored(place) = &row.place else { panic!("{number}") };
            let field: *const u64 = (place.get)(&mut cpu.spr);
            assert_eq!(field as usize - &raw const cpu as usize, stored.at, "{number}");
        }
    }
}
