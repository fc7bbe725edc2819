//! How long values are needed, by one walk backwards.

use crate::ir::{Arithmetic, Id, Node, Op};
use crate::lift::{End, REGISTERS, Superblock, Write};
use timebase_isa::{Binary, Reg, Unary};

/// How long a node is needed.
#[derive(Clone, Copy)]
pub struct Life {
    /// The last node at which it is needed; 0 if at none. The end counts as one past the last node.
    pub last: u32,
    /// Of an access: the group of accesses that it belongs to, or [`ALONE`].
    pub group: u8,
    /// The last access of its group.
    pub closes: bool,
    /// How often it is needed.
    uses: u8,
    /// At this node some value is needed for the last time.
    pub ends: bool,
    /// A lazy node that another one is made from.
    pub eager: bool,
    /// A node that is not lazy by nature, but is made only where control leaves early: the straight way does not need it.
    pub sunk: bool,
    /// A sum that only an access needs, as its address.
    pub folded: bool,
    /// The straight way needs it, or another value that is made where that one is needed has it as its second operand.
    straight: bool,
}

impl Life {
    const NONE: Life = Life {
        last: 0,
        group: ALONE,
        closes: false,
        uses: 0,
        ends: false,
        eager: false,
        sunk: false,
        folded: false,
        straight: false,
    };
}

/// How long the nodes of a superblock are needed. It keeps its memory for the next one's.
#[derive(Default)]
pub struct Lives {
    /// Of each node, and of the end.
    lives: Vec<Life>,
    /// Places of the straight way where all registers are stored.
    stores: Vec<u32>,
    /// The accesses that may belong to groups, the last one first.
    accesses: Vec<(Kind, u32)>,
    kinds: Vec<Accesses>,
    /// Of each segment, the last one first: up to where what a register is at its start is needed; 0: it is not.
    needs: Vec<[u32; REGISTERS]>,
    /// Registers that were written, seen from behind, since the last place that sees them.
    unseen: Vec<Reg>,
}

/// Groups of accesses whose anchors are noted at the same time, at most.
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

/// Accesses of one kind: how many there are.
struct Accesses {
    kind: Kind,
    count: u32,
}

/// What an address is made from: a node, and a displacement of 32 bits. None if it is not worth to be remembered.
pub fn parts(nodes: &[Node], address: Id) -> Option<(Id, i32)> {
    let node = &nodes[address.at()];
    match node.op {
        Op::Const | Op::Here => None,
        Op::Binary(Arithmetic::Add) if matches!(nodes[node.b.at()].op, Op::Const) => {
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

impl Lives {
    /// Finds out.
    pub fn find(&mut self, nodes: &[Node], block: &Superblock) -> &[Life] {
        self.lives.clear();
        self.lives.resize(nodes.len() + 1, Life::NONE);
        self.stores.clear();
        self.accesses.clear();
        self.kinds.clear();
        self.needs.clear();
        self.registers(nodes, block);
        self.stores.sort_unstable();
        for at in (0..nodes.len() as u32).rev() {
            self.node(nodes, at);
        }
        self.groups();
        &self.lives
    }

    fn used(&mut self, id: Id, at: u32) {
        if id != Id::NONE {
            let life = &mut self.lives[id.at()];
            life.last = life.last.max(at);
            life.uses = life.uses.saturating_add(1);
        }
    }

    /// The same by the straight way.
    fn used_straight(&mut self, id: Id, at: u32) {
        self.used(id, at);
        if id != Id::NONE {
            self.lives[id.at()].straight = true;
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
    fn registers(&mut self, nodes: &[Node], block: &Superblock) {
        for segment in block.segments.iter().rev() {
            let end = segment.nodes.end;
            self.end(&segment.end, end);
            self.stores.push(end);
            // The end sees all.
            let mut need = [end; REGISTERS];
            self.unseen.clear();
            let mut log = block.log[segment.log.clone()].iter().rev().peekable();
            for point in block.points[segment.points.clone()].iter().rev() {
                while let Some(write) = log.next_if(|write| write.at > point.node) {
                    self.written(write, &mut need);
                }
                if matches!(nodes[point.node as usize].op, Op::Call) {
                    // A call sees all and may write all.
                    need = [point.node; REGISTERS];
                    self.stores.push(point.node);
                    self.unseen.clear();
                }
                if let Some(child) = point.child {
                    let child = &self.needs[block.segments.len() - 1 - child as usize];
                    need.iter_mut().zip(child).for_each(|(need, child)| *need = (*need).max(*child));
                }
                for register in self.unseen.drain(..) {
                    let need = &mut need[register.0 as usize];
                    *need = (*need).max(point.node);
                }
            }
            log.for_each(|write| self.written(write, &mut need));
            self.needs.push(need);
        }
        // What is carried around is the register's value from the start, though nobody has written it there.
        for (number, (register, _)) in block.carried.iter().enumerate() {
            let need = self.needs.last().map_or(0, |need| need[register.0 as usize]);
            self.used(Id(number as u32), need);
        }
    }

    fn written(&mut self, write: &Write, need: &mut [u32; REGISTERS]) {
        let need = &mut need[write.register.0 as usize];
        if *need != 0 {
            self.used(write.value, *need);
            *need = 0;
            self.unseen.push(write.register);
        }
    }

    /// A node, after all those that may need it.
    fn node(&mut self, nodes: &[Node], at: u32) {
        let node = &nodes[at as usize];
        let Life { last, uses, straight, .. } = self.lives[at as usize];
        self.lives[last as usize].ends = true;
        // They are made from nothing.
        if node.op.is_leaf() || matches!(node.op, Op::Get) {
            return;
        }
        let operands = [node.a, node.b, node.c];
        if node.op.has_effect() {
            if let Some(kind) = kind(nodes, node) {
                self.accesses.push((kind, at));
            }
            return operands.into_iter().for_each(|operand| self.used_straight(operand, at));
        }
        if last == 0 {
            return;
        }
        let sunk = !straight && self.can_sink(nodes, node, last);
        if node.op.is_lazy() || sunk {
            self.lives[at as usize].sunk = sunk;
            return self.made_later(nodes, operands, last, straight);
        }
        // An access that alone needs a sum, as its address, needs what that is made of.
        let folded = uses == 1
            && matches!(node.op, Op::Binary(Arithmetic::Add))
            && nodes.get(last as usize).is_some_and(|user| user.op.has_address() && user.a == Id(at));
        self.lives[at as usize].folded = folded;
        let when = if folded { last } else { at };
        operands.into_iter().for_each(|operand| self.used_straight(operand, when));
    }

    /// What is made where it is needed: what it is made from must still be there.
    fn made_later(&mut self, nodes: &[Node], operands: [Id; 3], last: u32, straight: bool) {
        for (number, operand) in operands.into_iter().enumerate().filter(|(_, operand)| *operand != Id::NONE)
        {
            // The first operand may be made then, too, but not if it is a condition.
            if straight || number != 0 {
                self.used_straight(operand, last);
            } else {
                self.used(operand, last);
            }
            self.lives[operand.at()].eager |= nodes[operand.at()].op.is_lazy();
        }
    }

    /// A value that the straight way does not need can be made in one register where it is needed, last at `last`.
    fn can_sink(&self, nodes: &[Node], node: &Node, last: u32) -> bool {
        use Arithmetic::*;
        let simple = match node.op {
            Op::Binary(Add | Sub | And | Or | Xor) => true,
            Op::Binary(Shl | Shr | Other(Binary::Sar)) => matches!(nodes[node.b.at()].op, Op::Const),
            Op::Unary(Unary::Sext8 | Unary::Sext16 | Unary::Sext32) => true,
            _ => false,
        };
        // Where all registers are stored it is made in any case.
        simple && self.stores.binary_search(&last).is_err()
    }

    /// Puts accesses into groups: those of a kind, if there are several.
    fn groups(&mut self) {
        let Lives { lives, accesses, kinds, .. } = self;
        // The last one first.
        for &(kind, at) in &*accesses {
            let known = kinds.iter().position(|other| other.kind == kind);
            let number = known.unwrap_or(kinds.len());
            if known.is_none() {
                kinds.push(Accesses { kind, count: 0 });
            }
            kinds[number].count += 1;
            let life = &mut lives[at as usize];
            (life.group, life.closes) = (number.min(ALONE as usize) as u8, known.is_none());
        }
        for (_, at) in &*accesses {
            let life = &mut lives[*at as usize];
            if life.group != ALONE && kinds[life.group as usize].count == 1 {
                life.group = ALONE;
            }
        }
    }
}
