//! Radix tree translation (Power ISA Book III 6.7.10 to 6.7.12).
//!
//! Left out so far: partition-scoped translation of a guest by a hypervisor (machine `powernv`).

use super::{Access, Miss, PAGE, Translation, Update};
use crate::Vcpu;
use crate::bits::msr;
use timebase_memory::Memory;

const VALID: u64 = 1 << 63;
const LEAF: u64 = 1 << 62;
const RPN: u64 = 0x01ff_ffff_ffff_f000;
const REFERENCE: u64 = 0x100;
const CHANGE: u64 = 0x80;
const PRIVILEGED: u64 = 8;
const READ: u64 = 4;
const READ_WRITE: u64 = 2;
const EXECUTE: u64 = 1;
const NEXT_BASE: u64 = 0x0fff_ffff_ffff_ff00;
const NEXT_SIZE: u64 = 0x1f;

/// The process that an effective address belongs to, by its quadrant.
fn process(cpu: &Vcpu, ea: u64) -> Result<u64, Miss> {
    match ea >> 62 {
        0 => Ok(cpu.spr.pidr),
        3 => Ok(0),
        _ => Err(Miss::Segment),
    }
}

/// The process table: its real address and length in bytes. Where there is a hypervisor, the partition table entry of
/// the host says it: the second doubleword of entry 0.
fn process_table(cpu: &Vcpu, memory: &Memory, found: &mut Translation) -> Result<(u64, u64), Miss> {
    const TABLE: u64 = 0x0fff_ffff_ffff_f000;
    if !cpu.has_hypervisor {
        return Ok((cpu.partition.process_table, cpu.partition.process_table_bytes));
    }
    if cpu.regs.msr & msr::HV == 0 && cpu.spr.lpidr != 0 {
        return Err(Miss::Unsupported);
    }
    let address = (cpu.spr.ptcr & TABLE) + 8;
    let entry = memory.read_u64(address).map_err(|_| Miss::Unsupported)?;
    found.saw(address);
    Ok((entry & TABLE, 1 << (12 + (entry & 0x1f))))
}

/// Walks the process-scoped tree for `ea`.
pub(super) fn walk(cpu: &Vcpu, memory: &Memory, ea: u64, access: Access) -> Result<Translation, Miss> {
    let process = process(cpu, ea)?;
    let mut found = Translation::real(0);
    let entry_offset = process * 16;
    let (table, bytes) = process_table(cpu, memory, &mut found)?;
    if entry_offset + 16 > bytes {
        return Err(Miss::NoTranslation);
    }
    let entry_address = table + entry_offset;
    let entry = memory.read_u64(entry_address).map_err(|_| Miss::Unsupported)?;
    found.saw(entry_address);
    // RTS stands in two pieces: bits 1:2 and 56:58.
    let tree_bits = ((entry >> 58 & 0x18 | entry >> 5 & 7) + 31) as u32;
    if tree_bits > 62 || (ea & !(3 << 62)) >> tree_bits != 0 {
        return Err(Miss::Segment);
    }
    let (mut base, mut index_bits) = (entry & NEXT_BASE, (entry & NEXT_SIZE) as u32);
    let mut left = tree_bits;
    loop {
        if !(5..=16).contains(&index_bits) || left < index_bits + 12 {
            return Err(Miss::Unsupported);
        }
        left -= index_bits;
        let index = ea >> left & ((1 << index_bits) - 1);
        let address = (base & !((8 << index_bits) - 1)) + 8 * index;
        let entry = memory.read_u64(address).map_err(|_| Miss::Unsupported)?;
        if entry & VALID == 0 {
            return Err(Miss::NoTranslation);
        }
        if entry & LEAF != 0 {
            found.leaf = address;
            return leaf(cpu, found, entry, left, ea, access);
        }
        if found.upper_count == 7 {
            return Err(Miss::Unsupported);
        }
        found.saw(address);
        (base, index_bits) = (entry & NEXT_BASE, (entry & NEXT_SIZE) as u32);
    }
}

/// Applies a leaf entry that maps 2^`shift` bytes.
fn leaf(
    cpu: &Vcpu,
    mut found: Translation,
    entry: u64,
    shift: u32,
    ea: u64,
    access: Access,
) -> Result<Translation, Miss> {
    if !matches!(shift, 12 | 16 | 21 | 30) {
        return Err(Miss::Unsupported);
    }
    let offset = (1u64 << shift) - 1;
    found.page = (entry & RPN & !offset | ea & offset) & !(PAGE - 1);
    let problem = cpu.regs.msr & msr::PR != 0;
    found.read = entry & (READ | READ_WRITE) != 0;
    let writable = entry & READ_WRITE != 0;
    found.write = writable;
    // Execution needs caching: entries of caching-inhibited storage (ATT 1x) are guarded.
    found.execute = entry & EXECUTE != 0 && entry & 0x20 == 0;
    if entry & PRIVILEGED != 0 {
        if problem {
            return Err(Miss::Protection);
        }
    } else if !problem {
        // Privileged accesses to problem-state pages obey key 0 of AMR and IAMR.
        let (amr, iamr) = (cpu.spr.amr >> 62, cpu.spr.iamr >> 62);
        found.write &= amr & 2 == 0;
        found.read &= amr & 1 == 0;
        found.execute &= iamr & 1 == 0;
    }
    if !found.permits(access) {
        return Err(Miss::Protection);
    }
    let mut updated = entry | REFERENCE;
    if access == Access::Store {
        updated |= CHANGE;
    }
    if updated != entry {
        found.update = Some(Update { address: found.leaf, value: updated });
    }
    found.write &= updated & CHANGE != 0;
    Ok(found)
}
