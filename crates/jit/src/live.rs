//! How long values are needed, by one walk backwards.

use crate::ir::{Arithmetic, Id, Node, Op};
use crate::lift::{End, REGISTERS, Superblock};

/// How long the nodes of a superblock are needed.
pub struct Lives {
    /// The last node at which each one is needed; 0 if at none. The end counts as one past the last node.
    pub last: Vec<u32>,
    /// A lazy node that another one is made from.
    pub eager: Vec<bool>,
    /// A sum that only an access needs, as its address.
    pub folded: Vec<bool>,
}

struct Walk<'a> {
    nodes: &'a [Node],
    last: Vec<u32>,
    uses: Vec<u8>,
    eager: Vec<bool>,
}

impl Walk<'_> {
    fn used(&mut self, id: Id, at: u32) {
        if id != Id::NONE {
            let last = &mut self.last[id.at()];
            *last = (*last).max(at);
            self.uses[id.at()] = self.uses[id.at()].saturating_add(1);
        }
    }

    /// What the end needs.
    fn end(&mut self, end: &End) {
        let at = self.nodes.len() as u32;
        match *end {
            End::Go(_) | End::Step { .. } => {}
            End::Indirect(address) => self.used(address, at),
            End::Branch { condition, taken, .. } => {
                self.used(condition, at);
                if let Err(address) = taken {
                    self.used(address, at);
                }
            }
        }
    }

    /// What registers are where control may leave: a write is needed up to the last such place before the register is
    /// written again, and not at all if there is none.
    fn registers(&mut self, block: &Superblock) {
        let log = &block.log;
        // The last place that sees at most so many entries of the log.
        let mut last_point = vec![None; log.len() + 1];
        let mut next = 0;
        let mut found = None;
        for (entries, place) in last_point.iter_mut().enumerate() {
            while next < block.points.len() && block.points[next].log as usize <= entries {
                found = Some(next);
                next += 1;
            }
            *place = found;
        }
        let calls: Vec<u32> = block
            .points
            .iter()
            .filter(|point| self.nodes[point.node as usize].op == Op::Call)
            .map(|point| point.log)
            .collect();
        let mut call = calls.len();
        let mut written_again = [u32::MAX; REGISTERS];
        for (number, write) in log.iter().enumerate().rev() {
            // A call sees all and may write all.
            while call > 0 && calls[call - 1] as usize > number {
                call -= 1;
            }
            let barrier = calls.get(call).copied().unwrap_or(u32::MAX);
            let again = &mut written_again[write.register.0 as usize];
            let until = (*again).min(barrier);
            *again = number as u32;
            if until == u32::MAX {
                self.used(write.value, self.nodes.len() as u32);
                continue;
            }
            if let Some(place) = last_point[until as usize]
                && block.points[place].log as usize > number
            {
                self.used(write.value, block.points[place].node);
            }
        }
    }

    fn nodes(&mut self) {
        for at in (0..self.nodes.len() as u32).rev() {
            let node = self.nodes[at as usize];
            let operands = [node.a, node.b, node.c];
            if node.op.has_effect() {
                operands.into_iter().for_each(|operand| self.used(operand, at));
            } else if node.op.is_lazy() {
                // It is made where it is needed, from what must still be there.
                let last = self.last[at as usize];
                if last != 0 {
                    for operand in operands.into_iter().filter(|operand| *operand != Id::NONE) {
                        self.used(operand, last);
                        self.eager[operand.at()] |= self.nodes[operand.at()].op.is_lazy();
                    }
                }
            } else if self.last[at as usize] != 0 {
                operands.into_iter().for_each(|operand| self.used(operand, at));
            }
        }
    }
}

/// Finds out.
pub fn lives(nodes: &[Node], block: &Superblock) -> Lives {
    let mut walk = Walk {
        nodes,
        last: vec![0; nodes.len()],
        uses: vec![0; nodes.len()],
        eager: vec![false; nodes.len()],
    };
    walk.end(&block.end);
    walk.registers(block);
    walk.nodes();
    let Walk { mut last, uses, eager, .. } = walk;
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
    Lives { last, eager, folded }
}
