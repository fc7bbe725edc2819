//! Radix tree translation (Power ISA Book III 6.7.10 to 6.7.12): process-scoped trees, and under them the
//! partition-scoped tree of a guest, which translates the guest's real addresses, those of its tables included.
//!
//! R and C are set in both trees. Where a guest's entry needs them, its page must be writable in the hypervisor's tree.

use super::table::{self, Root};
use super::{Access, Fault, Miss, PAGE, Table, Translation, Update, Upper};
use crate::Vcpu;
use crate::bits::msr;
use timebase_memory::Memory;

const VALID: u64 = 1 << 63;
const LEAF: u64 = 1 << 62;
const RPN: u64 = 0x01ff_ffff_ffff_f000;
const REFERENCE: u64 = 0x100;
const CHANGE: u64 = 0x80;
/// Caching inhibited (ATT 1x): such storage is guarded.
const INHIBITED: u64 = 0x20;
const PRIVILEGED: u64 = 8;
const READ: u64 = 4;
const READ_WRITE: u64 = 2;
const EXECUTE: u64 = 1;
const NEXT_BASE: u64 = 0x0fff_ffff_ffff_ff00;
const NEXT_SIZE: u64 = 0x1f;
/// Bits of a real address that a guest's access forms.
const REAL: u64 = 0x0fff_ffff_ffff_ffff;

/// Whose translation an effective address needs, by its quadrant.
struct Space {
    process: u64,
    /// Its partition, which is translated by a tree of its own unless it is the host.
    partition: u64,
    guest: bool,
}

fn space(cpu: &Vcpu, ea: u64) -> Result<Space, Miss> {
    let (quadrant, spr) = (ea >> 62, &cpu.spr);
    let process = if quadrant < 2 { spr.pidr } else { 0 };
    if !cpu.has_hypervisor || cpu.regs.msr & msr::HV == 0 {
        if matches!(quadrant, 1 | 2) {
            return Err(Miss::Segment);
        }
        return Ok(Space { process, partition: spr.lpidr, guest: cpu.has_hypervisor });
    }
    // Hypervisor state reaches a guest through quadrants 1 and 2.
    let partition = if matches!(quadrant, 1 | 2) { spr.lpidr } else { 0 };
    Ok(Space { process, partition, guest: partition != 0 })
}

/// Which tree is walked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tree {
    /// A process's, for effective addresses.
    Process,
    /// The same, in guest real storage.
    Guest,
    /// A partition's, for guest real addresses.
    Partition,
}

/// A leaf entry that a walk ended at.
#[derive(Clone, Copy)]
struct Leaf {
    entry: u64,
    /// Its host real address.
    address: u64,
    /// log2 of the bytes that it maps.
    shift: u32,
}

impl Leaf {
    /// Where the bytes at `address` of the tree are, one level down.
    fn real(&self, address: u64) -> u64 {
        let offset = (1u64 << self.shift) - 1;
        self.entry & RPN & !offset | address & offset
    }

    fn readable(&self) -> bool {
        self.entry & (READ | READ_WRITE) != 0
    }

    fn writable(&self) -> bool {
        self.entry & READ_WRITE != 0
    }

    fn executable(&self) -> bool {
        self.entry & EXECUTE != 0 && self.entry & INHIBITED == 0
    }

    /// Why it does not permit `access`: storage without execute permission, or guarded, is told apart (III 7.5.5).
    fn refusal(&self, access: Access) -> Miss {
        if access == Access::Fetch && !self.executable() { Miss::NoExecute } else { Miss::Protection }
    }

    /// The entry with R, and C for a store.
    fn used(&self, access: Access) -> u64 {
        self.entry | REFERENCE | if access == Access::Store { CHANGE } else { 0 }
    }
}

/// One translation under way.
struct Walk<'a> {
    memory: &'a Memory,
    found: Translation,
    /// The partition-scoped tree, for a guest.
    partition: Option<Root>,
    /// Address of the last entry that was read, in the tree's own space.
    last: u64,
}

impl Walk<'_> {
    /// Walks a tree down to the leaf for `address`.
    fn descend(&mut self, root: Root, address: u64, tree: Tree) -> Result<Leaf, Fault> {
        let Root { mut base, mut index_bits, tree_bits: mut left } = root;
        loop {
            if !(5..=16).contains(&index_bits) || left < index_bits + 12 {
                return Err(Miss::Unsupported.into());
            }
            left -= index_bits;
            let table = Table { base: base & !((8 << index_bits) - 1), index_bits, left };
            let at = table.entry(address);
            let host = if tree == Tree::Guest { self.table(at, Access::Load)? } else { at };
            self.last = at;
            let entry = self.memory.read_u64(host).map_err(|_| Miss::Unsupported)?;
            if entry & VALID == 0 {
                return Err(Miss::NoTranslation.into());
            }
            if entry & LEAF != 0 {
                if !matches!(left, 12 | 16 | 21 | 30) {
                    return Err(Miss::Unsupported.into());
                }
                if tree == Tree::Process {
                    self.found.table = Some(table);
                }
                return Ok(Leaf { entry, address: host, shift: left });
            }
            self.found.saw_part(host, if tree == Tree::Partition { Upper::ALL } else { left })?;
            (base, index_bits) = (entry & NEXT_BASE, (entry & NEXT_SIZE) as u32);
        }
    }

    /// The leaf of the partition-scoped tree for `access` to a guest real address. `table`: the access is one of
    /// translation itself.
    fn partition(&mut self, real: u64, access: Access, table: Option<Access>) -> Result<Leaf, Fault> {
        let Some(root) = self.partition else { return Err(Miss::Unsupported.into()) };
        let fault = |miss| Fault::Partition { miss, asdr: real & !(PAGE - 1), table };
        if root.tree_bits > 62 || real >> root.tree_bits != 0 {
            return Err(fault(Miss::NoTranslation));
        }
        let leaf = self.descend(root, real, Tree::Partition).map_err(|found| match found {
            Fault::Own(miss) => fault(miss),
            partition => partition,
        })?;
        let permitted = match access {
            Access::Load => leaf.readable(),
            Access::Store => leaf.writable(),
            Access::Fetch => leaf.executable(),
        };
        if !permitted {
            return Err(fault(leaf.refusal(access)));
        }
        self.update(leaf, access);
        Ok(leaf)
    }

    /// The host real address of a doubleword of a guest's tables.
    fn table(&mut self, real: u64, access: Access) -> Result<u64, Fault> {
        let leaf = self.partition(real, access, Some(access))?;
        self.found.saw(leaf.address)?;
        Ok(leaf.real(real))
    }

    fn update(&mut self, leaf: Leaf, access: Access) {
        let value = leaf.used(access);
        if value != leaf.entry {
            self.found.needs(Update { address: leaf.address, value });
        }
    }

    /// Applies the leaf of a process-scoped tree.
    fn process_leaf(&mut self, cpu: &Vcpu, leaf: Leaf, ea: u64, access: Access) -> Result<(), Fault> {
        let found = &mut self.found;
        found.leaf = leaf.address;
        found.page = leaf.real(ea) & !(PAGE - 1);
        found.read = leaf.readable();
        found.write = leaf.writable();
        found.execute = leaf.executable();
        let problem = cpu.regs.msr & msr::PR != 0;
        if leaf.entry & PRIVILEGED != 0 {
            if problem {
                return Err(Miss::Protection.into());
            }
        } else if !problem {
            // Privileged accesses to problem-state pages obey key 0 of AMR and IAMR.
            let (amr, iamr) = (cpu.spr.amr >> 62, cpu.spr.iamr >> 62);
            found.write &= amr & 2 == 0;
            found.read &= amr & 1 == 0;
            found.execute &= iamr & 1 == 0;
        }
        if !found.permits(access) {
            return Err(leaf.refusal(access).into());
        }
        found.write &= leaf.used(access) & CHANGE != 0;
        if leaf.used(access) != leaf.entry && self.partition.is_some() {
            // R and C are stored into the guest's own storage.
            self.table(self.last, Access::Store)?;
        }
        self.update(leaf, access);
        Ok(())
    }

    /// Takes what a guest's tree says, or its real mode, through the partition-scoped tree.
    fn guest_page(&mut self, access: Access) -> Result<(), Fault> {
        let guest_page = self.found.page;
        let leaf = self.partition(guest_page, access, None)?;
        let found = &mut self.found;
        if found.leaf == 0 {
            found.leaf = leaf.address;
        } else {
            found.saw(leaf.address)?;
        }
        found.page = leaf.real(guest_page) & !(PAGE - 1);
        found.read &= leaf.readable();
        found.write &= leaf.writable() && leaf.used(access) & CHANGE != 0;
        found.execute &= leaf.executable();
        Ok(())
    }
}

/// Walks the trees for `ea`.
pub(super) fn walk(cpu: &Vcpu, memory: &Memory, ea: u64, access: Access) -> Result<Translation, Fault> {
    let space = space(cpu, ea)?;
    let mut walk = Walk { memory, found: Translation::real(0), partition: None, last: 0 };
    if space.guest {
        let unsupported = |miss| Fault::Partition { miss, asdr: 0, table: Some(Access::Load) };
        walk.partition =
            Some(table::tree(cpu, memory, &mut walk.found, space.partition).map_err(unsupported)?);
    }
    let processes = table::processes(cpu, memory, &mut walk.found, space.partition)?;
    let offset = space.process * 16;
    if offset + 16 > processes.bytes {
        return Err(Miss::NoTranslation.into());
    }
    let at = processes.base + offset;
    let at = if space.guest { walk.table(at, Access::Load)? } else { at };
    let entry = memory.read_u64(at).map_err(|_| Miss::Unsupported)?;
    walk.found.saw(at)?;
    let root = Root::of(entry);
    if root.tree_bits > 62 || (ea & !(3 << 62)) >> root.tree_bits != 0 {
        return Err(Miss::Segment.into());
    }
    let leaf = walk.descend(root, ea, if space.guest { Tree::Guest } else { Tree::Process })?;
    walk.process_leaf(cpu, leaf, ea, access)?;
    if space.guest {
        walk.guest_page(access)?;
    }
    Ok(walk.found)
}

/// Goes on with a walk for `ea` at the table that has its leaf. None: there is none that permits the access.
pub(super) fn resume(
    cpu: &Vcpu,
    memory: &Memory,
    table: Table,
    ea: u64,
    access: Access,
) -> Option<Translation> {
    let address = table.entry(ea);
    let entry = memory.read_u64(address).ok()?;
    if entry & (VALID | LEAF) != VALID | LEAF {
        return None;
    }
    let mut walk = Walk { memory, found: Translation::real(0), partition: None, last: address };
    walk.process_leaf(cpu, Leaf { entry, address, shift: table.left }, ea, access).ok()?;
    Some(walk.found)
}

/// Real mode of a guest: the effective address is the guest real address.
pub(super) fn guest_real(cpu: &Vcpu, memory: &Memory, ea: u64, access: Access) -> Result<Translation, Fault> {
    let mut walk =
        Walk { memory, found: Translation::real(ea & REAL & !(PAGE - 1)), partition: None, last: 0 };
    let unsupported = |miss| Fault::Partition { miss, asdr: ea & REAL & !(PAGE - 1), table: None };
    walk.partition = Some(table::tree(cpu, memory, &mut walk.found, cpu.spr.lpidr).map_err(unsupported)?);
    walk.guest_page(access)?;
    Ok(walk.found)
}
