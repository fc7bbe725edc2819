//! How long values are needed, by one walk backwards.

use crate::ir::{Arithmetic, Id, Node, Op};
use crate::lift::{End, REGISTERS, Superblock, Write};
use timebase_isa::{Binary, Reg, Unary};

/// How long the nodes of a superblock are needed.
pub struct Lives {
    /// The last node at which each one is needed; 0 if at none. The end counts as one past the last node.
    pub last: Vec<u32>,
    /// At this node some value is needed for the last time.
    pub ends: Vec<bool>,
    /// A lazy node that another one is made from.
    pub eager: Vec<bool>,
    /// A node that is not lazy by nature, but is made only where control leaves early: the straight way does not need it.
    pub sunk: Vec<bool>,
    /// A sum that only an access needs, as its address.
    pub folded: Vec<bool>,
    /// Of each access: the group of accesses that it belongs to, or [`ALONE`].
    pub group: Vec<u8>,
}

/// Groups of accesses at most.
pub const GROUPS: usize = 6;
/// An access that belongs to no group.
pub const ALONE: u8 = 255;

/// Loads, or stores, by one base register with displacements of which two may well lie in one page: the first of them
/// finds the page's translation for all. (Loads and stores together were no gain: they are often parted by branches.)
#[derive(PartialEq, Eq, Clone, Copy)]
struct Kind {
    base: Id,
    vicinity: i32,
    store: bool,
}

/// What an address is made from: a node, and a displacement of 32 bits. None if it is not worth to be remembered.
pub fn parts(nodes: &[Node], address: Id) -> Option<(Id, i32)> {
    let node = &nodes[address.at()];
    match node.op {
        Op::Const | Op::Here => None,
        Op::Binary(Arithmetic::Add) if nodes[node.b.at()].op == Op::Const => {
            Some((node.a, i32::try_from(nodes[node.b.at()].k as i64).ok()?))
        }
        _ => Some((address, 0)),
    }
}

/// The kind of an access, if it is one.
fn kind(nodes: &[Node], node: &Node) -> Option<Kind> {
    let store = match node.op {
        Op::Load(_) | Op::LoadPair(_) => false,
        Op::Store(_) | Op::StorePair(_) => true,
        _ => return None,
    };
    let (base, displacement) = parts(nodes, node.a)?;
    // Stack frames reach some way below the pointer.
    Some(Kind { base, vicinity: displacement.checked_add(1024)? >> 12, store })
}

/// Puts accesses into groups: the largest ones.
fn groups(nodes: &[Node]) -> Vec<u8> {
    let mut group = vec![ALONE; nodes.len()];
    let mut kinds: Vec<(Kind, u32)> = Vec::with_capacity(32);
    for (at, node) in nodes.iter().enumerate() {
        let Some(kind) = kind(nodes, node) else { continue };
        let known = kinds.iter().position(|(other, _)| *other == kind);
        let number = known.unwrap_or_else(|| {
            kinds.push((kind, 0));
            kinds.len() - 1
        });
        kinds[number].1 += 1;
        group[at] = number.min(ALONE as usize - 1) as u8;
    }
    let mut largest: Vec<u8> = (0..kinds.len().min(ALONE as usize - 1) as u8).collect();
    largest.sort_by_key(|&number| std::cmp::Reverse(kinds[number as usize].1));
    largest.retain(|&number| kinds[number as usize].1 > 1);
    largest.truncate(GROUPS);
    for number in group.iter_mut().filter(|number| **number != ALONE) {
        *number = largest.iter().position(|large| large == number).map_or(ALONE, |place| place as u8);
    }
    group
}

struct Walk<'a> {
    nodes: &'a [Node],
    last: Vec<u32>,
    uses: Vec<u8>,
    eager: Vec<bool>,
    sunk: Vec<bool>,
    /// The straight way needs it, or another value that is made where that one is needed has it as its second operand.
    straight: Vec<bool>,
    /// Places of the straight way where all registers are stored.
    stores: Vec<u32>,
}

impl Walk<'_> {
    fn used(&mut self, id: Id, at: u32) {
        if id != Id::NONE {
            let last = &mut self.last[id.at()];
            *last = (*last).max(at);
            self.uses[id.at()] = self.uses[id.at()].saturating_add(1);
        }
    }

    /// The same by the straight way.
    fn used_straight(&mut self, id: Id, at: u32) {
        self.used(id, at);
        if id != Id::NONE {
            self.straight[id.at()] = true;
        }
    }

    /// What an end needs, which stands before node `at`.
    fn end(&mut self, end: &End, at: u32) {
        match *end {
            End::Go(_) | End::Step { .. } => {}
            End::Indirect(address) => self.used_straight(address, at),
            End::Branch { condition, taken, .. } => {
                self.used_straight(condition, at);
                if let Err(address) = taken {
                    self.used_straight(address, at);
                }
            }
        }
    }

    /// What registers are where control may leave: a write is needed up to the last such place before the register is
    /// written again, and not at all if there is none. Segments come after those that they begin in.
    fn registers(&mut self, block: &Superblock) {
        // Of each segment, up to where what a register is at its start is needed; 0: it is not.
        let mut needs: Vec<[u32; REGISTERS]> = Vec::with_capacity(block.segments.len());
        for segment in block.segments.iter().rev() {
            let end = segment.nodes.end;
            self.end(&segment.end, end);
            self.stores.push(end);
            // The end sees all.
            let mut need = [end; REGISTERS];
            // Those that were written, seen from behind, since the last place that sees them.
            let mut unseen: Vec<Reg> = Vec::with_capacity(16);
            let mut log = block.log[segment.log.clone()].iter().rev().peekable();
            for point in block.points[segment.points.clone()].iter().rev() {
                while let Some(write) = log.next_if(|write| write.at > point.node) {
                    self.written(write, &mut need, &mut unseen);
                }
                if self.nodes[point.node as usize].op == Op::Call {
                    // A call sees all and may write all.
                    need = [point.node; REGISTERS];
                    self.stores.push(point.node);
                    unseen.clear();
                }
                if let Some(child) = point.child {
                    let child = &needs[block.segments.len() - 1 - child as usize];
                    need.iter_mut().zip(child).for_each(|(need, child)| *need = (*need).max(*child));
                }
                for register in unseen.drain(..) {
                    let need = &mut need[register.0 as usize];
                    *need = (*need).max(point.node);
                }
            }
            log.for_each(|write| self.written(write, &mut need, &mut unseen));
            needs.push(need);
        }
        let Some(need) = needs.last() else { return };
        // What is carried around is the register's value from the start, though nobody has written it there.
        for (number, (register, _)) in block.carried.iter().enumerate() {
            self.used(Id(number as u32), need[register.0 as usize]);
        }
    }

    fn written(&mut self, write: &Write, need: &mut [u32; REGISTERS], unseen: &mut Vec<Reg>) {
        let need = &mut need[write.register.0 as usize];
        if *need != 0 {
            self.used(write.value, *need);
            *need = 0;
            unseen.push(write.register);
        }
    }

    fn nodes(&mut self) {
        self.stores.sort_unstable();
        for at in (0..self.nodes.len() as u32).rev() {
            let node = self.nodes[at as usize];
            let operands = [node.a, node.b, node.c];
            let last = self.last[at as usize];
            if node.op.has_effect() {
                operands.into_iter().for_each(|operand| self.used_straight(operand, at));
            } else if last != 0 {
                let straight = self.straight[at as usize];
                self.sunk[at as usize] = !straight && self.can_sink(&node, last);
                if node.op.is_lazy() || self.sunk[at as usize] {
                    self.made_later(operands, last, straight);
                } else {
                    operands.into_iter().for_each(|operand| self.used_straight(operand, at));
                }
            }
        }
    }

    /// What is made where it is needed: what it is made from must still be there.
    fn made_later(&mut self, operands: [Id; 3], last: u32, straight: bool) {
        for (number, operand) in operands.into_iter().enumerate().filter(|(_, operand)| *operand != Id::NONE)
        {
            // The first operand may be made then, too, but not if it is a condition.
            if straight || number != 0 {
                self.used_straight(operand, last);
            } else {
                self.used(operand, last);
            }
            self.eager[operand.at()] |= self.nodes[operand.at()].op.is_lazy();
        }
    }

    /// A value that the straight way does not need can be made in one register where it is needed, last at `last`.
    fn can_sink(&self, node: &Node, last: u32) -> bool {
        use Arithmetic::*;
        let simple = match node.op {
            Op::Binary(Add | Sub | And | Or | Xor) => true,
            Op::Binary(Shl | Shr | Other(Binary::Sar)) => self.nodes[node.b.at()].op == Op::Const,
            Op::Unary(Unary::Sext8 | Unary::Sext16 | Unary::Sext32) => true,
            _ => false,
        };
        // Where all registers are stored it is made in any case.
        simple && self.stores.binary_search(&last).is_err()
    }
}

/// Finds out.
pub fn lives(nodes: &[Node], block: &Superblock) -> Lives {
    let mut walk = Walk {
        nodes,
        last: vec![0; nodes.len()],
        uses: vec![0; nodes.len()],
        eager: vec![false; nodes.len()],
        sunk: vec![false; nodes.len()],
        straight: vec![false; nodes.len()],
        stores: Vec::with_capacity(8),
    };
    walk.registers(block);
    walk.nodes();
    let Walk { mut last, uses, eager, sunk, .. } = walk;
    let mut folded = vec![false; nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        if matches!(node.op, Op::Load(_) | Op::Store(_) | Op::LoadPair(_) | Op::StorePair(_) | Op::Zero) {
            let address = nodes[node.a.at()];
            if address.op == Op::Binary(Arithmetic::Add) && uses[node.a.at()] == 1 {
                folded[node.a.at()] = true;
                for operand in [address.a, address.b] {
                    last[operand.at()] = last[operand.at()].max(at as u32);
                }
            }
        }
    }
    let mut ends = vec![false; nodes.len() + 1];
    last.iter().for_each(|&last| ends[last as usize] = true);
    Lives { last, ends, eager, sunk, folded, group: groups(nodes) }
}
