//! The partition table (Power ISA Book III 6.7.6): which tables translate the addresses of a partition.
//!
//! An entry has two doublewords. The first one says where the partition-scoped radix tree is (HR = 1), or the hashed
//! page table and the page size of the virtual real mode area (HR = 0); the second one where the process table is.
//!
//! Left out: segment tables (HR = 0 with LPCR[UPRT] = 1), which no system software uses for the CPU.

use super::{Miss, Translation};
use crate::Vcpu;
use timebase_memory::Memory;

const ADDRESS: u64 = 0x0fff_ffff_ffff_f000;
const HR: u64 = 1 << 63;
const SIZE: u64 = 0x1f;
const ROOT: u64 = 0x0fff_ffff_ffff_ff00;
const HTABORG: u64 = 0x0fff_ffff_fffc_0000;

/// The root of a radix tree: a doubleword of the form that partition and process table entries share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Root {
    /// Address of the first level: host real, or guest real for the trees of a guest.
    pub base: u64,
    /// log2 of its entries.
    pub index_bits: u32,
    /// log2 of the bytes that the tree maps.
    pub tree_bits: u32,
}

impl Root {
    /// Takes an entry apart. RTS stands in two pieces: bits 1:2 and 56:58.
    pub fn of(entry: u64) -> Root {
        Root {
            base: entry & ROOT,
            index_bits: (entry & SIZE) as u32,
            tree_bits: ((entry >> 58 & 0x18 | entry >> 5 & 7) + 31) as u32,
        }
    }
}

/// Where a process table is, and its length in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Processes {
    pub base: u64,
    pub bytes: u64,
}

/// A hashed page table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hashed {
    /// Host real address.
    pub base: u64,
    /// log2 of its length in bytes.
    pub shift: u32,
    /// Entries have the format of ISA 3.0 (B in doubleword 1), not that of PAPR guests.
    pub new_format: bool,
    /// L||LP of the virtual real mode area, as an SLB entry holds them.
    pub real_mode_page: u64,
}

/// The address of the entry of partition `lpid`.
fn entry_of(cpu: &Vcpu, lpid: u64) -> Result<u64, Miss> {
    let (table, bytes) = (cpu.spr.ptcr & ADDRESS, 1u64 << (12 + (cpu.spr.ptcr & SIZE)));
    if lpid * 16 + 16 > bytes { Err(Miss::Unsupported) } else { Ok(table + lpid * 16) }
}

fn read(memory: &Memory, found: &mut Translation, address: u64) -> Result<u64, Miss> {
    let value = memory.read_u64(address).map_err(|_| Miss::Unsupported)?;
    found.saw(address)?;
    Ok(value)
}

/// The partition-scoped tree of partition `lpid`.
pub(super) fn tree(cpu: &Vcpu, memory: &Memory, found: &mut Translation, lpid: u64) -> Result<Root, Miss> {
    let entry = read(memory, found, entry_of(cpu, lpid)?)?;
    if entry & HR == 0 { Err(Miss::Unsupported) } else { Ok(Root::of(entry)) }
}

/// The process table of partition `lpid`, whose address is that of a guest if there is a tree that translates it.
pub(super) fn processes(
    cpu: &Vcpu,
    memory: &Memory,
    found: &mut Translation,
    lpid: u64,
) -> Result<Processes, Miss> {
    if !cpu.has_hypervisor {
        let partition = &cpu.partition;
        return Ok(Processes { base: partition.process_table, bytes: partition.process_table_bytes });
    }
    let entry = read(memory, found, entry_of(cpu, lpid)? + 8)?;
    Ok(Processes { base: entry & ADDRESS, bytes: 1 << (12 + (entry & SIZE)) })
}

/// The hashed page table of the partition that LPIDR names, in all states.
pub(super) fn hashed(cpu: &Vcpu, memory: &Memory, found: &mut Translation) -> Result<Hashed, Miss> {
    if !cpu.has_hypervisor {
        let partition = &cpu.partition;
        if partition.hpt_shift == 0 {
            return Err(Miss::NoTranslation);
        }
        return Ok(Hashed {
            base: partition.hpt,
            shift: partition.hpt_shift.into(),
            new_format: false,
            real_mode_page: 0,
        });
    }
    let entry = read(memory, found, entry_of(cpu, cpu.spr.lpidr)?)?;
    if entry & HR != 0 {
        return Err(Miss::Unsupported);
    }
    Ok(Hashed {
        base: entry & HTABORG,
        shift: 18 + (entry & SIZE) as u32,
        new_format: true,
        real_mode_page: (entry & 0x80) << 1 | (entry & 0x60) >> 1,
    })
}
