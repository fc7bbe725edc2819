//! From guest instructions to IR: the compiler's reading of the definitions.
//!
//! A piece of code is a *superblock*: it begins at one place, goes on through branches that it follows or that are
//! not taken, and leaves in many places. It stays in one page, and knows addresses only as distances from the
//! page's start, so it serves wherever that page is mapped.
//!
//! Where much time is spent, a superblock is a *tree*: some places that leave are where another [`Segment`] begins,
//! which goes on with what is known there. Where a way leads back to the start, some registers stay in the host's.
//!
//! Writing a register makes no node. It moves what the register is at the moment, and is noted in a log; wherever
//! control may leave, a position in that log says what the registers are there.

use crate::ir::{C, Float, FloatOp, Id, Ir, Op, V, Width};
use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Range;
use timebase_cpu::bits::msr;
use timebase_cpu::compiled::{self, Decoded, Source, StoredSpr};
use timebase_isa::semantics::{Compute, Facility};
use timebase_isa::{Instruction, Mem, Ops, Reg, Semantics, SystemOp, Trap, Unary, Value, Visitor};

/// Registers that are followed: the words that bodies name, and CFAR.
pub const REGISTERS: usize = CFAR.0 as usize + 1;
/// The come-from address register, which bodies write by branching.
pub const CFAR: Reg = Reg((core::mem::offset_of!(timebase_isa::Regs, cfar) / 8) as u8);

/// Instructions in a segment at most.
const LONGEST: u32 = 64;
/// Branches after which it goes on.
const MOST_BRANCHES: u32 = 16;
/// Instructions in a tree after which no segment begins.
const LARGEST: u32 = 220;
/// How often the way around a loop is read: what is stored at its end, and checked at its start, is so for several rounds.
const ROUNDS: u32 = 2;
/// Registers that stay in registers of the host around a loop, at most.
const CARRIED: usize = 6;

/// A register was written.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Which.
    pub register: Reg,
    /// What it is from then on.
    pub value: Id,
    /// Nodes made before.
    pub at: u32,
}

/// Where code goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// At this offset of the same page.
    Page(u32),
    /// At this offset of the same page, where a debugger may stop.
    Stop(u32),
    /// At this distance from the start of the page, which is not in it.
    Far(u64),
}

/// How a superblock is left before its end.
#[derive(Clone, Copy, Debug)]
pub enum Departure {
    /// The instruction at this offset is to be interpreted.
    Interpret(u32),
    /// A branch.
    Branch {
        /// Where it leads.
        to: Target,
        /// Where it is; None if this is the way on when it is not taken.
        from: Option<u32>,
    },
    /// Execution goes on after a call, unless that raised an interrupt. All registers are in their places.
    Call,
}

/// Where control may leave.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// How.
    pub departure: Departure,
    /// The node that leaves. Registers are as the log says that was written before it.
    pub node: u32,
    /// The segment that it is in.
    pub segment: u32,
    /// Instructions of that completed.
    pub completed: u32,
    /// The segment that goes on here.
    pub child: Option<u32>,
}

/// A call of a named function of registers.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The function.
    pub function: Compute,
    /// The instruction, kept by the block.
    pub op: *const compiled::Op,
    /// Where the instruction is in the page.
    pub offset: u32,
    /// Instructions completed, with this one.
    pub completed: u32,
}

/// How a superblock ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// Straight on.
    Go(Target),
    /// At the address that a node tells.
    Indirect(Id),
    /// A conditional branch.
    Branch {
        /// It is taken.
        condition: Id,
        /// Where it leads: a place, or the address that a node tells.
        taken: Result<Target, Id>,
        /// Offset of the branch.
        from: u32,
        /// Where control goes if it is not taken.
        next: Target,
    },
    /// An instruction that the interpreter executes, called from here.
    Step {
        /// The instruction.
        op: *const compiled::Op,
        /// Where it is in the page.
        offset: u32,
        /// What follows.
        next: Target,
    },
}

/// A straight way through a superblock: its first one, or one from a place where another one is left.
#[derive(Debug)]
pub struct Segment {
    /// Offset of its first instruction in the page.
    pub start: u32,
    /// Instructions, all of which are executed if no departure is taken.
    pub instructions: u32,
    /// Its nodes.
    pub nodes: Range<u32>,
    /// Its part of the log.
    pub log: Range<usize>,
    /// Its points.
    pub points: Range<usize>,
    /// Its end.
    pub end: End,
}

/// A superblock as it was read.
pub struct Superblock {
    /// Much time is spent in it.
    pub hot: bool,
    /// The effective address of the only page that it is executed in.
    pub home: Option<u64>,
    /// Its ways; the first one begins where the superblock does, others after those that they come from.
    pub segments: Vec<Segment>,
    /// What registers become.
    pub log: Vec<Write>,
    /// Where control may leave, in order.
    pub points: Vec<Point>,
    /// Calls.
    pub calls: Vec<Call>,
    /// Registers that stay in registers of the host when a way leads back to the start: which, and whether any way
    /// writes them. Their values at the start are the first nodes.
    pub carried: Vec<(Reg, bool)>,
}

impl Superblock {
    /// Offset of its first instruction in the page.
    pub fn start(&self) -> u32 {
        self.segments[0].start
    }

    /// Instructions of all segments.
    pub fn instructions(&self) -> u32 {
        self.segments.iter().map(|segment| segment.instructions).sum()
    }

    /// This end leads back to the start.
    pub fn loops(&self, end: &End) -> bool {
        matches!(*end, End::Go(Target::Page(offset)) if offset == self.start())
    }
}

/// The body does something that is not for compiled code.
pub struct Declined;

type Body = fn(&mut Lifter<'_>, &Ops) -> Result<(), Declined>;

/// The bodies of all instructions.
pub struct Bodies {
    bodies: Vec<Body>,
    /// What the host's vectors can do of an instruction.
    vectors: Vec<Option<Vectors>>,
    /// The host has them.
    host_vectors: bool,
}

/// What vectors of the host can do of an instruction that is a named function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Vectors {
    Float(Float),
    Permute { right: bool },
}

impl Visitor for Bodies {
    fn visit<I: Instruction>(&mut self) {
        self.bodies.push(body::<I>);
        let vectors = match I::NAME {
            "vperm" => Some(Vectors::Permute { right: false }),
            "vpermr" => Some(Vectors::Permute { right: true }),
            name => float(name).map(Vectors::Float),
        };
        self.vectors.push(vectors.filter(|_| self.host_vectors));
    }
}

/// Vector arithmetic that the host does in the same way, but for special numbers.
fn float(name: &str) -> Option<Float> {
    let double = name.ends_with("dp");
    let fused = |subtract, negate| FloatOp::Fused { subtract, negate };
    let op = match name.strip_suffix("dp").or_else(|| name.strip_suffix("sp"))? {
        "xvadd" => FloatOp::Add,
        "xvsub" => FloatOp::Sub,
        "xvmul" => FloatOp::Mul,
        "xvdiv" => FloatOp::Div,
        "xvmadda" | "xvmaddm" => fused(false, false),
        "xvmsuba" | "xvmsubm" => fused(true, false),
        "xvnmadda" | "xvnmaddm" => fused(false, true),
        "xvnmsuba" | "xvnmsubm" => fused(true, true),
        _ => return None,
    };
    Some(Float { op, double })
}

fn body<I: Instruction>(lifter: &mut Lifter<'_>, ops: &Ops) -> Result<(), Declined> {
    I::body(lifter, ops)
}

impl Bodies {
    /// Gathers them. `host_vectors`: the host has fused arithmetic on vectors.
    pub fn gather(host_vectors: bool) -> Bodies {
        let mut bodies = Bodies { bodies: Vec::new(), vectors: Vec::new(), host_vectors };
        timebase_isa::each(&mut bodies);
        bodies
    }
}

/// The reader.
pub struct Lifter<'b> {
    ir: &'b Ir,
    little_endian: bool,
    /// What each register is, if that is known.
    current: [Cell<Id>; REGISTERS],
    log: Vec<Write>,
    points: Vec<Point>,
    calls: Vec<Call>,
    /// Offset of the instruction that is read.
    offset: u32,
    /// Instructions of its segment before it.
    completed: u32,
    /// The segment that is read.
    segment: u32,
    /// Places where segments may begin; None: the superblock has only one.
    forks: Option<Vec<Fork>>,
    /// Since the start, by the way that is read: how often it has come there again, and instructions from there on.
    rounds: u32,
    around: u32,
    /// The branch that the instruction is.
    branch: Option<(Id, Id)>,
    /// Bits of MSR that were asked for.
    required: u64,
    /// What the host's vectors can do of the instruction.
    vectors: Option<Vectors>,
}

/// Where a segment may begin, and what is known there.
struct Fork {
    point: u32,
    offset: u32,
    current: [Cell<Id>; REGISTERS],
    seen: Places,
    required: u64,
    rounds: u32,
    around: u32,
}

/// Instructions of a superblock of one way, at least, before it leads on to code that is there already.
const SHORTEST: u32 = 3;

/// Reads a superblock; a tree of ways if it is `hot`.
pub fn lift(ir: &Ir, bodies: &Bodies, source: &mut Source, hot: bool) -> Superblock {
    let block = Lifter::new(ir, source, hot).superblock(bodies, source, Vec::new());
    if !block.segments.iter().any(|segment| hot && block.loops(&segment.end)) {
        return block;
    }
    // Read once more, now that it is known which registers matter.
    let carried = carried(ir, &block);
    ir.clear();
    Lifter::new(ir, source, hot).superblock(bodies, source, carried)
}

/// The registers that are read most from their places: those are to stay in registers of the host.
fn carried(ir: &Ir, block: &Superblock) -> Vec<(Reg, bool)> {
    let mut uses = [0u32; REGISTERS];
    for at in 0..ir.count() {
        let node = ir.node(Id(at));
        for operand in [node.a, node.b, node.c].into_iter().filter(|operand| *operand != Id::NONE) {
            let operand = ir.node(operand);
            if operand.op == Op::Get {
                uses[operand.k as usize] += 1;
            }
        }
    }
    let written = |register: usize| block.log.iter().any(|write| write.register.0 as usize == register);
    let mut registers: Vec<usize> = (0..REGISTERS).filter(|&register| uses[register] != 0).collect();
    // What is written would be stored and loaded again each time around.
    registers.sort_by_key(|&register| std::cmp::Reverse(uses[register] + 2 * written(register) as u32));
    registers.truncate(CARRIED);
    registers.into_iter().map(|register| (Reg(register as u8), written(register))).collect()
}

/// What is at `distance` from the start of the page.
fn target(source: &Source, distance: u64) -> Target {
    match u32::try_from(distance) {
        Ok(offset) if offset < 4096 && source.stops(offset) => Target::Stop(offset),
        Ok(offset) if offset < 4096 => Target::Page(offset),
        _ => Target::Far(distance),
    }
}

/// Places of a page: a bit per word.
#[derive(Clone, Default)]
struct Places([u64; 16]);

impl Places {
    fn contains(&self, offset: u32) -> bool {
        self.0[offset as usize / 256] >> (offset / 4 % 64) & 1 != 0
    }
    fn insert(&mut self, offset: u32) {
        self.0[offset as usize / 256] |= 1 << (offset / 4 % 64);
    }
}

impl<'b> Lifter<'b> {
    fn new(ir: &'b Ir, source: &Source, hot: bool) -> Lifter<'b> {
        Lifter {
            ir,
            little_endian: source.little_endian(),
            current: [const { Cell::new(Id::NONE) }; REGISTERS],
            log: Vec::with_capacity(64),
            points: Vec::with_capacity(32),
            calls: Vec::new(),
            offset: source.start(),
            completed: 0,
            segment: 0,
            forks: hot.then(Vec::new),
            rounds: 1,
            around: 0,
            branch: None,
            required: 0,
            vectors: None,
        }
    }

    fn superblock(mut self, bodies: &Bodies, source: &mut Source, carried: Vec<(Reg, bool)>) -> Superblock {
        for &(register, _) in &carried {
            self.get(register);
        }
        let mut segments = vec![self.one_segment(bodies, source, Places::default(), (0, 0))];
        let hot = self.forks.is_some();
        let mut forks = VecDeque::from(self.forks.take().unwrap_or_default());
        let mut instructions = segments[0].instructions;
        // Those nearest to the start first.
        while let Some(fork) = forks.pop_front() {
            if instructions >= LARGEST {
                break;
            }
            let point = &mut self.points[fork.point as usize];
            point.child = Some(segments.len() as u32);
            let Departure::Branch { from, .. } = point.departure else { continue };
            self.current = fork.current;
            self.required = fork.required;
            self.rounds = fork.rounds;
            self.around = fork.around;
            self.offset = fork.offset;
            self.completed = 0;
            self.segment = segments.len() as u32;
            self.forks = Some(Vec::new());
            let first = (self.ir.count(), self.log.len());
            if let Some(from) = from {
                self.set(CFAR, V(self.ir.here(from.into()), self.ir));
            }
            let segment = self.one_segment(bodies, source, fork.seen, first);
            instructions += segment.instructions;
            segments.push(segment);
            forks.extend(self.forks.take().unwrap_or_default());
        }
        Superblock {
            hot,
            home: source.home,
            segments,
            log: self.log,
            points: self.points,
            calls: self.calls,
            carried,
        }
    }

    /// Reads from the present offset to an end. Its first node and its first entry of the log are `first`.
    fn one_segment(
        &mut self,
        bodies: &Bodies,
        source: &mut Source,
        seen: Places,
        (first, log): (u32, usize),
    ) -> Segment {
        let start = self.offset;
        let points = self.points.len();
        self.ir.begin_segment();
        let end = self.read(bodies, source, seen);
        Segment {
            start,
            instructions: self.completed,
            nodes: first..self.ir.count(),
            log: log..self.log.len(),
            points: points..self.points.len(),
            end,
        }
    }

    /// A segment may go on where the point that was just made leaves. `found`: something was executed there.
    fn fork(&mut self, source: &Source, to: Target, seen: &Places, found: bool) {
        let Some(forks) = &mut self.forks else { return };
        let Target::Page(offset) = to else { return };
        let back = offset == source.start();
        let there = !back && source.is_compiled(offset, true);
        if back || !there && !seen.contains(offset) && (found || source.found(offset)) {
            forks.push(Fork {
                point: self.points.len() as u32 - 1,
                offset,
                current: self.current.clone(),
                seen: seen.clone(),
                required: self.required,
                rounds: self.rounds,
                around: self.around,
            });
        }
    }

    /// The way leads back to the start: goes around once more, if it is short.
    fn goes_around(&mut self, source: &Source, seen: &mut Places) -> bool {
        let short = self.rounds < ROUNDS && self.completed + self.around <= LONGEST;
        let goes = short && self.forks.is_some();
        if goes {
            self.rounds += 1;
            self.around = 0;
            self.offset = source.start();
            *seen = Places::default();
        }
        goes
    }

    fn read(&mut self, bodies: &Bodies, source: &mut Source, mut seen: Places) -> End {
        let mut branches = 0;
        let hot = self.forks.is_some();
        loop {
            let here = target(source, self.offset.into());
            match here {
                Target::Page(offset) if seen.contains(offset) || self.completed >= LONGEST => {
                    return End::Go(here);
                }
                // The same code once more would cost lines of the host's cache; a jump there costs less.
                Target::Page(offset)
                    if self.completed >= if hot { 1 } else { SHORTEST }
                        && source.is_compiled(offset, hot) =>
                {
                    return End::Go(here);
                }
                Target::Page(_) => {}
                // Whoever entered here has asked the debugger.
                Target::Stop(_) if self.completed == 0 && self.segment == 0 => {}
                Target::Stop(_) | Target::Far(_) => return End::Go(here),
            }
            seen.insert(self.offset);
            let Some(decoded) = source.instruction(self.offset) else { return End::Go(here) };
            if let Err(Declined) = self.instruction(bodies, source, &decoded) {
                self.completed += 1;
                let next = target(source, (self.offset + decoded.length).into());
                return End::Step { op: source.keep(&decoded), offset: self.offset, next };
            }
            let Some((condition, to)) = self.branch.take() else {
                self.offset += 4;
                continue;
            };
            branches += 1;
            let goes_on = |seen: &Places, to: Target| match to {
                Target::Page(offset) => branches <= MOST_BRANCHES && !seen.contains(offset),
                Target::Stop(_) | Target::Far(_) => false,
            };
            let from = self.offset;
            let next = target(source, (from + 4).into());
            let taken = self.ir.distance(to).map(|distance| target(source, distance)).ok_or(to);
            match (self.ir.value(condition), taken) {
                (Some(0), _) => self.offset += 4,
                (Some(_), taken) => {
                    self.set(CFAR, V(self.ir.here(from.into()), self.ir));
                    match taken {
                        Ok(Target::Page(offset)) if goes_on(&seen, Target::Page(offset)) => {
                            self.offset = offset
                        }
                        Ok(Target::Page(offset))
                            if offset == source.start() && self.goes_around(source, &mut seen) => {}
                        Ok(to) => return End::Go(to),
                        Err(address) => return End::Indirect(address),
                    }
                }
                // Around the loop once more, or out of it.
                (None, Ok(back @ Target::Page(offset))) if hot && offset == source.start() => {
                    self.take_branch(source, condition, next, &seen, false);
                    if !self.goes_around(source, &mut seen) {
                        return End::Go(back);
                    }
                }
                // Seen to be taken.
                (None, Ok(to @ Target::Page(offset)))
                    if hot && goes_on(&seen, to) && source.is_likely(offset) =>
                {
                    self.take_branch(source, condition, next, &seen, true);
                    self.offset = offset;
                }
                // Backward, or to a place that was seen: likely taken.
                (None, Ok(to))
                    if goes_on(&seen, next)
                        && (hot || !matches!(to, Target::Page(offset) if offset <= from)) =>
                {
                    self.leave_if(C(condition, self.ir), Departure::Branch { to, from: Some(from) });
                    self.fork(source, to, &seen, false);
                    self.offset += 4;
                }
                (None, taken) => return End::Branch { condition, taken, from, next },
            }
        }
    }

    /// The way follows the branch that was read, and leaves for `next` if its condition does not hold; something may have
    /// been executed there (`found`).
    fn take_branch(&mut self, source: &Source, condition: Id, next: Target, seen: &Places, found: bool) {
        self.leave_if(!C(condition, self.ir), Departure::Branch { to: next, from: None });
        self.fork(source, next, seen, found);
        self.set(CFAR, V(self.ir.here(self.offset.into()), self.ir));
    }

    /// Leaves if the condition holds.
    fn leave_if(&mut self, condition: C<'b>, departure: Departure) {
        let point = self.point(departure);
        self.ir.add(Op::Exit, condition.0, Id::NONE, Id::NONE, point);
    }

    /// Reads one instruction.
    fn instruction(
        &mut self,
        bodies: &Bodies,
        source: &mut Source,
        decoded: &Decoded,
    ) -> Result<(), Declined> {
        if !decoded.plain {
            return Err(Declined);
        }
        self.vectors = bodies.vectors[decoded.ops.op as usize];
        let (written, called) = (self.log.len(), self.calls.len());
        if bodies.bodies[decoded.ops.op as usize](self, &decoded.ops).is_err() {
            debug_assert_eq!(
                written,
                self.log.len(),
                "a body writes no state before its last point of failure"
            );
            return Err(Declined);
        }
        for call in &mut self.calls[called..] {
            call.op = source.keep(decoded);
        }
        self.completed += 1;
        self.around += 1;
        Ok(())
    }

    /// Notes that control may leave by the node that is made next.
    fn point(&mut self, departure: Departure) -> u64 {
        // When a branch is noted it has been counted, others have not.
        let completed = self.completed + matches!(departure, Departure::Call) as u32;
        let (node, segment) = (self.ir.count(), self.segment);
        self.points.push(Point { departure, node, segment, completed, child: None });
        self.points.len() as u64 - 1
    }

    fn may_fail(&mut self) -> u64 {
        self.point(Departure::Interpret(self.offset))
    }

    fn width(&self, mem: Mem) -> Width {
        Width { size: mem.size, signed: mem.signed, big: mem.reversed == self.little_endian }
    }

    /// Nothing has been written to the register that memory does not have.
    fn holds_still(&self, reg: Reg) -> bool {
        let current = self.current[reg.0 as usize].get();
        current == Id::NONE || self.ir.node(current).op == Op::Get
    }

    /// The vectors that an operation reads.
    fn pairs(&self, third: bool, i: &Ops) -> [Id; 3] {
        let pair = |n: u8| {
            let (high, low) = self.vsr(n);
            self.ir.add(Op::Pair, high.0, low.0, Id::NONE, 0)
        };
        let third = third.then(|| pair(i.c));
        [pair(i.a), pair(i.b), third.unwrap_or(Id::NONE)]
    }

    /// Two results of the node `op`, to a vector.
    fn set_vsr_to(&mut self, t: u8, op: Op, [a, b, c]: [Id; 3], k: u64) {
        let high = self.ir.add(op, a, b, c, k);
        let low = self.ir.add(Op::Second, high, Id::NONE, Id::NONE, 0);
        self.set_vsr(t, V(high, self.ir), V(low, self.ir));
    }

    /// Leaves unless this bit of MSR, which does not change within a superblock, is as it says.
    fn require_state(&mut self, bit: u64, set: bool) {
        if self.required & bit == 0 {
            self.required |= bit;
            let (point, bit) = (self.may_fail(), bit.trailing_zeros() as u8);
            self.ir.add(Op::Require { bit, set }, Id::NONE, Id::NONE, Id::NONE, point);
        }
    }

    /// A special purpose register that is no more than stored, for a state that may access it.
    fn stored_spr(&mut self, number: u64) -> Result<StoredSpr, Declined> {
        let stored = compiled::stored_spr(number).ok_or(Declined)?;
        self.require_state(msr::PR, false);
        if stored.hypervisor {
            self.require_state(msr::HV, true);
        }
        Ok(stored)
    }

    fn spr(&self, spr: StoredSpr) -> V<'b> {
        V(self.ir.add(Op::Spr, Id::NONE, Id::NONE, Id::NONE, spr.at as u64), self.ir)
    }

    fn set_spr(&self, spr: StoredSpr, value: V<'b>) {
        self.ir.add(Op::SetSpr, value.0, Id::NONE, Id::NONE, spr.at as u64);
    }

    /// The address of an indexed access, which the interpreter sees if it is not a multiple of its size.
    fn aligned(&mut self, i: &Ops) -> Result<V<'b>, Declined> {
        let ea = self.ea_x(i);
        let misaligned = !(ea & (i.imm - 1)).eq(self.imm(0));
        self.trap_if(misaligned, Trap::Illegal)?;
        Ok(ea)
    }

    fn load_pair(&mut self, ea: Id, big: bool) -> (V<'b>, V<'b>) {
        let point = self.may_fail();
        let width = Width { size: 8, signed: false, big };
        let first = self.ir.add(Op::LoadPair(width), ea, Id::NONE, Id::NONE, point);
        let second = self.ir.add(Op::Second, first, Id::NONE, Id::NONE, 0);
        (V(first, self.ir), V(second, self.ir))
    }

    fn store_pair(&mut self, ea: Id, first: Id, second: Id, big: bool) {
        let point = self.may_fail();
        let width = Width { size: 8, signed: false, big };
        self.ir.add(Op::StorePair(width), ea, first, second, point);
    }
}

impl<'b> Semantics for Lifter<'b> {
    type V = V<'b>;
    type C = C<'b>;
    type Stop = Declined;

    fn imm(&self, value: u64) -> V<'b> {
        V(self.ir.constant(value), self.ir)
    }
    fn get(&self, reg: Reg) -> V<'b> {
        if reg == Reg::ZERO {
            return self.imm(0);
        }
        let current = &self.current[reg.0 as usize];
        if current.get() == Id::NONE {
            current.set(self.ir.add(Op::Get, Id::NONE, Id::NONE, Id::NONE, reg.0.into()));
        }
        V(current.get(), self.ir)
    }
    fn set(&mut self, reg: Reg, value: V<'b>) {
        let current = &self.current[reg.0 as usize];
        if current.get() != value.0 {
            current.set(value.0);
            self.log.push(Write { register: reg, value: value.0, at: self.ir.count() });
        }
    }
    fn load(&mut self, ea: V<'b>, mem: Mem) -> Result<V<'b>, Declined> {
        let (point, width) = (self.may_fail(), self.width(mem));
        Ok(V(self.ir.add(Op::Load(width), ea.0, Id::NONE, Id::NONE, point), self.ir))
    }
    fn store(&mut self, ea: V<'b>, value: V<'b>, mem: Mem) -> Result<(), Declined> {
        let (point, width) = (self.may_fail(), self.width(mem));
        self.ir.add(Op::Store(width), ea.0, value.0, Id::NONE, point);
        Ok(())
    }
    fn load16(&mut self, ea: V<'b>) -> Result<(V<'b>, V<'b>), Declined> {
        let (first, second) = self.load_pair(ea.0, !self.little_endian);
        Ok(if self.little_endian { (second, first) } else { (first, second) })
    }
    fn store16(&mut self, ea: V<'b>, high: V<'b>, low: V<'b>) -> Result<(), Declined> {
        let (first, second) = if self.little_endian { (low, high) } else { (high, low) };
        self.store_pair(ea.0, first.0, second.0, !self.little_endian);
        Ok(())
    }
    fn load_bytes(&mut self, ea: V<'b>, count: V<'b>) -> Result<(V<'b>, V<'b>), Declined> {
        if self.ir.value(count.0) == Some(16) { Ok(self.load_pair(ea.0, true)) } else { Err(Declined) }
    }
    fn store_bytes(&mut self, ea: V<'b>, count: V<'b>, first: V<'b>, second: V<'b>) -> Result<(), Declined> {
        if self.ir.value(count.0) != Some(16) {
            return Err(Declined);
        }
        self.store_pair(ea.0, first.0, second.0, true);
        Ok(())
    }
    fn probe(&mut self, ea: V<'b>, bytes: u32, write: bool) -> Result<(), Declined> {
        let Ok(bytes) = u8::try_from(bytes) else { return Err(Declined) };
        let point = self.may_fail();
        self.ir.add(Op::Probe { bytes, write }, ea.0, Id::NONE, Id::NONE, point);
        Ok(())
    }
    fn require(&mut self, facility: Facility) -> Result<(), Declined> {
        let bit = match facility {
            Facility::Fp => msr::FP,
            Facility::Vector => msr::VEC,
            Facility::Vsx => msr::VSX,
            Facility::Prefix | Facility::Tar => return Err(Declined),
        };
        self.require_state(bit, true);
        Ok(())
    }
    fn cia(&self) -> V<'b> {
        V(self.ir.here(self.offset.into()), self.ir)
    }
    fn branch(&mut self, taken: C<'b>, target: V<'b>) {
        self.branch = Some((taken.0, target.0));
    }
    fn compute(&mut self, function: Compute, i: &Ops) -> Result<(), Declined> {
        let float = match self.vectors {
            Some(Vectors::Permute { right }) => {
                let pairs = self.pairs(true, i);
                self.set_vsr_to(i.t, Op::Permute { right }, pairs, 0);
                return Ok(());
            }
            Some(Vectors::Float(float)) if self.holds_still(Reg::FPSCR) => {
                Some((float, self.pairs(matches!(float.op, FloatOp::Fused { .. }), i)))
            }
            _ => None,
        };
        let call = self.calls.len() as u64;
        self.point(Departure::Call);
        let (offset, completed) = (self.offset, self.completed + 1);
        self.calls.push(Call { function, op: core::ptr::null(), offset, completed });
        if let Some((float, pairs)) = float {
            self.set_vsr_to(i.t, Op::Float(float), pairs, call);
            self.current[Reg::FPSCR.0 as usize].set(Id::NONE);
            return Ok(());
        }
        self.ir.add(Op::Call, Id::NONE, Id::NONE, Id::NONE, call);
        // The function may write any register.
        self.current.iter().for_each(|current| current.set(Id::NONE));
        Ok(())
    }
    /// A few operations of the whole CPU are frequent and simple, where the translation is known: what they do is told
    /// by the interpreter's functions, which do all the rest.
    fn system(&mut self, op: SystemOp, i: &Ops) -> Result<(), Declined> {
        match op {
            SystemOp::Icbi | SystemOp::Dcbst => {
                let ea = self.ea_x(i);
                self.probe(ea, 1, false)
            }
            SystemOp::Dcbz => {
                let block = self.ea_x(i) & !127;
                let point = self.may_fail();
                self.ir.add(Op::Zero, block.0, Id::NONE, Id::NONE, point);
                Ok(())
            }
            SystemOp::LoadReserve if i.imm <= 8 => {
                let (ea, mem) = (self.aligned(i)?, Mem { size: i.imm as u8, ..Mem::B });
                let value = self.load(ea, mem)?;
                self.ir.add(Op::Reserve, ea.0, Id::NONE, Id::NONE, i.imm);
                self.set_gpr(i.t, value);
                Ok(())
            }
            SystemOp::StoreConditional if i.imm <= 8 => {
                let ea = self.aligned(i)?;
                self.probe(ea, i.imm as u32, true)?;
                let value = self.gpr(i.t);
                let value = match i.imm {
                    2 if !self.little_endian => value.unary(Unary::Bswap16),
                    4 if !self.little_endian => value.unary(Unary::Bswap32),
                    8 if !self.little_endian => value.unary(Unary::Bswap64),
                    _ => value,
                };
                let held = self.ir.add(Op::Conditional, ea.0, value.0, Id::NONE, i.imm);
                let field = V(held, self.ir) << 1u64 | self.get(Reg::SO);
                self.set(Reg::cr(0), field);
                Ok(())
            }
            SystemOp::Mfspr if i.imm == compiled::TIME_BASE => {
                let time = self.ir.add(Op::TimeBase, Id::NONE, Id::NONE, Id::NONE, self.completed.into());
                self.set_gpr(i.t, V(time, self.ir));
                Ok(())
            }
            SystemOp::Mfspr => {
                let stored = self.stored_spr(i.imm)?;
                let value = self.spr(stored);
                self.set_gpr(i.t, value);
                Ok(())
            }
            SystemOp::Mtspr if i.imm == compiled::HMER => {
                // A write can only clear bits, and matters if any that can interrupt is set.
                let (hmer, hmeer) = (self.stored_spr(compiled::HMER)?, self.stored_spr(compiled::HMEER)?);
                let (old, enabled) = (self.spr(hmer), self.spr(hmeer));
                self.trap_if(!(old & enabled).eq(self.imm(0)), Trap::Illegal)?;
                self.set_spr(hmer, old & self.gpr(i.t));
                Ok(())
            }
            SystemOp::Mtspr => {
                let stored = self.stored_spr(i.imm)?;
                let bits = stored.written.ok_or(Declined)?;
                self.set_spr(stored, self.gpr(i.t) & bits);
                Ok(())
            }
            _ => Err(Declined),
        }
    }
    fn mode64(&self) -> bool {
        true
    }
    fn little_endian(&self) -> bool {
        self.little_endian
    }
    fn trap_if(&mut self, condition: C<'b>, _: Trap) -> Result<(), Declined> {
        match self.ir.value(condition.0) {
            Some(0) => return Ok(()),
            Some(_) => return Err(Declined),
            None => {}
        }
        let point = self.may_fail();
        self.ir.add(Op::Exit, condition.0, Id::NONE, Id::NONE, point);
        Ok(())
    }
}
