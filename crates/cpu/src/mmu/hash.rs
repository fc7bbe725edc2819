//! Hashed page table translation (Power ISA Book III 6.7.4 to 6.7.9). Entries have the format of ISA 3.0 where the
//! partition table says where they are, and that of PAPR guests (B in doubleword 0) where the machine is the hypervisor.
//!
//! The virtual real mode area (III 6.7.3.4): a guest's real mode is translated through one segment of 1 TB.

use super::slb::{self, SlbEntry};
use super::table::{self, Hashed};
use super::{Access, Fault, GROUP_WATCH, Miss, PAGE, Translation, Update};
use crate::Vcpu;
use crate::bits::{lpcr, msr};
use timebase_memory::Memory;

const ENTRY: u64 = 16;
const GROUP: u64 = 8 * ENTRY;

/// Doubleword 0.
const LARGE: u64 = 4;
const SECONDARY: u64 = 2;
const VALID: u64 = 1;
/// Bits that a search compares: B, AVPN, H, V; in the format of ISA 3.0 without B, and AVPN has fewer bits.
const COMPARED: u64 = 0xffff_ffff_ffff_ff83;
const COMPARED_NEW: u64 = 0x000f_ffff_ffff_ff83;
const AVPN: u64 = 0x3fff_ffff_ffff_ff80;

/// Doubleword 1.
const RPN: u64 = 0x0fff_ffff_ffff_f000;
const RPN_NEW: u64 = 0x01ff_ffff_ffff_f000;
/// Where B is, in the format of ISA 3.0.
const B_NEW: u32 = 58;
const REFERENCE: u64 = 0x100;
const CHANGE: u64 = 0x80;
const NO_EXECUTE: u64 = 4;
const GUARDED: u64 = 8;

/// SLB entry, low doubleword.
const KS: u64 = 0x800;
const KP: u64 = 0x400;
const SEGMENT_NO_EXECUTE: u64 = 0x200;
const L_LP: u64 = 0x130;
const TAGGED: u64 = 0xffff_ffff_ffff_f000;
/// What ASDR holds of it: all but the class.
const ASDR: u64 = 0xffff_ffff_ffff_ff7f;
/// The segment of the virtual real mode area: B = 1 TB, VSID 0x1ff_ffff.
const VRMA: u64 = 1 << 62 | 0x1ff_ffff << 24;

/// A base page size and how entries say the actual one: log2 of bytes, SLB L||LP, (log2 of bytes, LP).
type PageSize = (u32, u64, &'static [(u32, u64)]);

const PAGE_SIZES: [PageSize; 4] = [
    (12, 0x000, &[(12, 0), (16, 7), (24, 0x38)]),
    (16, 0x110, &[(16, 1), (24, 8)]),
    (24, 0x100, &[(24, 0)]),
    (34, 0x120, &[(34, 3)]),
];

/// log2 of the bytes that an entry maps, if it fits the base page size.
fn actual_shift(size: &PageSize, first: u64, second: u64) -> Option<u32> {
    if first & LARGE == 0 {
        return (size.0 == 12).then_some(12);
    }
    size.2.iter().find_map(|&(shift, lp)| {
        let mask = ((1u64 << shift) - 1) & RPN;
        (shift != 12 && second & mask == lp << 12).then_some(shift)
    })
}

/// Looks through a group; gives the entry's address and both doublewords.
fn search(
    memory: &Memory,
    table: &Hashed,
    group: u64,
    wanted: u64,
    size: &PageSize,
) -> Result<Option<(u64, u64, u32)>, Miss> {
    let compared = if table.new_format { COMPARED_NEW } else { COMPARED };
    for n in 0..8 {
        let address = group + n * ENTRY;
        let first = memory.read_u64(address).map_err(|_| Miss::Unsupported)?;
        if (first ^ wanted) & compared == 0 {
            let second = memory.read_u64(address + 8).map_err(|_| Miss::Unsupported)?;
            if table.new_format && (second >> B_NEW ^ wanted >> 62) & 3 != 0 {
                continue;
            }
            if let Some(shift) = actual_shift(size, first, second) {
                return Ok(Some((address, second, shift)));
            }
        }
    }
    Ok(None)
}

/// The virtual segment's contribution to the hash and the value that entries must show.
fn hash_and_tag(segment: &SlbEntry, ea: u64, shift: u32) -> (u64, u64) {
    let segment_shift = segment.segment_shift();
    let page = ea & ((1 << segment_shift) - 1) & !((1 << shift) - 1);
    let vsid = segment.vsid & 0x3fff_ffff_ffff_f000;
    let hash = if segment_shift == 40 {
        let vsid = vsid >> 24;
        vsid ^ vsid << 25
    } else {
        vsid >> 12
    };
    (hash ^ page >> shift, segment.vsid & TAGGED | page >> 16 & AVPN | VALID)
}

/// Whose fault a miss is: a guest's storage interrupts are the hypervisor's under LPCR[VPM], segment interrupts never.
fn blame(cpu: &Vcpu, segment: &SlbEntry, miss: Miss) -> Fault {
    let guest = cpu.has_hypervisor && cpu.regs.msr & msr::HV == 0;
    if guest && cpu.spr.lpcr & lpcr::VPM != 0 {
        return Fault::Partition { miss, asdr: segment.vsid & ASDR, table: None };
    }
    miss.into()
}

/// Searches the table for `ea`.
pub(super) fn walk(cpu: &Vcpu, memory: &Memory, ea: u64, access: Access) -> Result<Translation, Fault> {
    let segment = *cpu.slb.find(ea).ok_or(Miss::Segment)?;
    let mut found = Translation::real(0);
    table::hashed(cpu, memory, &mut found)
        .and_then(|table| in_segment(cpu, memory, found, &table, &segment, ea, access))
        .map_err(|miss| blame(cpu, &segment, miss))
}

/// Translates `ea` of a guest in real mode: as of a segment of 1 TB whose pages have the size that the partition
/// table says. Storage interrupts are the hypervisor's.
pub(super) fn real_mode_area(
    cpu: &Vcpu,
    memory: &Memory,
    ea: u64,
    access: Access,
) -> Result<Translation, Fault> {
    let ea = ea & 0x0fff_ffff_ffff_ffff;
    let mut segment = SlbEntry { esid: slb::VALID, vsid: VRMA };
    let mut found = Translation::real(0);
    let walked = table::hashed(cpu, memory, &mut found).and_then(|table| {
        segment.vsid |= table.real_mode_page;
        if ea >> segment.segment_shift() != 0 {
            return Err(Miss::NoTranslation);
        }
        in_segment(cpu, memory, found, &table, &segment, ea, access)
    });
    walked.map_err(|miss| Fault::Partition { miss, asdr: segment.vsid & ASDR, table: None })
}

fn in_segment(
    cpu: &Vcpu,
    memory: &Memory,
    mut found: Translation,
    table: &Hashed,
    segment: &SlbEntry,
    ea: u64,
    access: Access,
) -> Result<Translation, Miss> {
    let size = PAGE_SIZES.iter().find(|size| size.1 == segment.vsid & L_LP).ok_or(Miss::Unsupported)?;
    if access == Access::Fetch && segment.vsid & SEGMENT_NO_EXECUTE != 0 {
        return Err(Miss::NoExecute);
    }
    let (hash, wanted) = hash_and_tag(segment, ea, size.0);
    let mask = (1u64 << (table.shift - 7)) - 1;
    let primary = table.base + (hash & mask) * GROUP;
    let hit = match search(memory, table, primary, wanted, size)? {
        Some(hit) => hit,
        None if cpu.spr.lpcr & lpcr::TC != 0 => return Err(Miss::NoTranslation),
        None => {
            // What was not in the primary group may come to be there.
            found.saw(primary | GROUP_WATCH)?;
            let secondary = table.base + (!hash & mask) * GROUP;
            search(memory, table, secondary, wanted | SECONDARY, size)?.ok_or(Miss::NoTranslation)?
        }
    };
    let rpn = if table.new_format { RPN_NEW } else { RPN };
    entry(cpu, found, segment, hit, rpn, ea, access)
}

/// What the storage key and PP bits permit: (read, write).
fn protection(segment_key: bool, second: u64) -> (bool, bool) {
    let pp = second & 3 | second >> 61 & 4;
    match (segment_key, pp) {
        (false, 0..=2) | (true, 2) => (true, true),
        (false, 3 | 6) | (true, 1 | 3) => (true, false),
        _ => (false, false),
    }
}

fn entry(
    cpu: &Vcpu,
    mut found: Translation,
    segment: &SlbEntry,
    (address, second, shift): (u64, u64, u32),
    rpn: u64,
    ea: u64,
    access: Access,
) -> Result<Translation, Miss> {
    // An entry earlier in the group would win: the whole group is what the translation was derived from.
    found.leaf = address & !(GROUP - 1) | GROUP_WATCH;
    let offset = (1u64 << shift) - 1;
    found.page = (second & rpn & !offset | ea & offset) & !(PAGE - 1);
    let problem = cpu.regs.msr & msr::PR != 0;
    let segment_key = segment.vsid & if problem { KP } else { KS } != 0;
    (found.read, found.write) = protection(segment_key, second);
    found.execute = second & (NO_EXECUTE | GUARDED) == 0 && segment.vsid & SEGMENT_NO_EXECUTE == 0;
    if access == Access::Fetch && !found.execute {
        return Err(Miss::NoExecute);
    }
    if !found.permits(access) {
        return Err(Miss::Protection);
    }
    let key = second >> 57 & 0x18 | second >> 9 & 7;
    let (amr, iamr) = (cpu.spr.amr >> (62 - 2 * key), cpu.spr.iamr >> (62 - 2 * key));
    found.write &= amr & 2 == 0;
    found.read &= amr & 1 == 0;
    found.execute &= iamr & 1 == 0;
    if !found.permits(access) {
        return Err(Miss::Key);
    }
    let mut updated = second | REFERENCE;
    if access == Access::Store {
        updated |= CHANGE;
    }
    if updated != second {
        found.needs(Update { address: address + 8, value: updated });
    }
    found.write &= updated & CHANGE != 0;
    Ok(found)
}
