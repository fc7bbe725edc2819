//! From a superblock to host code: one pass over its nodes, then the stubs of the places where control leaves.

use super::encode::*;
use super::values::{NOWHERE, Place};
use crate::ir::{Id, Node, Op};
use crate::lift::{self, Departure, End, Point, REGISTERS, Superblock, Target};
use crate::live::{GROUPS, Life};
use dynasmrt::{DynasmApi, dynasm};
use std::ops::Range;
use timebase_cpu::compiled::{Frame, JUMP_LINES, RECENT};
use timebase_isa::Reg;

/// What the stack begins with: 4 and 8 as words, the orders of values that are greater and less.
pub const ORDERS: [u32; 2] = [4, 8];
/// Where anchors of groups of accesses stand, in bytes from the stack pointer.
pub const ANCHORS_AT: i32 = 8;
/// Slots of the stack for values without a register.
pub const SLOTS: usize = 64;
/// Where slots begin, in bytes from the stack pointer.
pub const SLOTS_AT: i32 = ANCHORS_AT + 16 * GROUPS as i32;
/// Where exchanged values stand.
const EXCHANGED_AT: i32 = SLOTS_AT + 8 * SLOTS as i32;
/// Slots for guest registers whose values are exchanged.
pub const EXCHANGED: usize = 48;

/// How many bytes accesses have, but for a few of many words.
pub const SIZES: [u8; 5] = [1, 2, 4, 8, 16];
/// For loads, for stores; as [`Shared::fill_load`], as [`Shared::refill_load`]; for each of [`SIZES`].
pub type LookUps = [[[usize; SIZES.len()]; 2]; 2];

/// A place that jumps lead to, on the straight way or apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label(u32);

/// A jump to a label, in the straight code or apart: where it ends on the host.
struct Jump {
    aside: bool,
    end: usize,
    to: Label,
}

/// The code of a superblock: the straight way, and what is apart from it.
pub struct Code<'a> {
    /// The straight way, which begins with the entry.
    pub straight: &'a [u8],
    /// What is rarely executed.
    pub aside: &'a [u8],
}

/// Code that all superblocks share, by address.
#[derive(Clone, Copy, Default, Debug)]
pub struct Shared {
    /// Back to the caller, with NIA at offset rax of the page: because of [`LOOK`], [`BUDGET`].
    pub leave_at: [usize; 2],
    /// Back to the caller because of [`INTERPRET`]. The lower half of edx is the offset of that instruction, the upper half
    /// what is given back of the budget.
    pub interpret: usize,
    /// The same, called; ecx is how far it is from there to the jump that may be made to lead on.
    pub link: usize,
    /// Back to the caller because of [`DONE`]; NIA is set.
    pub done: usize,
    /// rax := the order of what the flags compare, signed and unsigned; uses rcx.
    pub order: [usize; 2],
    /// To the effective address in rax, which has no compiled code.
    pub outside: usize,
    /// To the effective address in rax, where code may be known.
    pub far: usize,
    /// To the page at r14, called; the offset there follows in the code, and what compares and jumps stands before it.
    pub over: usize,
    /// The same if what stands first in the line of jumps at rcx is another one.
    pub ways: usize,
    /// Makes the translation for a load at rax; rdx is the tag of its last byte. Zero flag: there is none.
    pub fill_load: usize,
    /// The same for a store.
    pub fill_store: usize,
    /// The same, but there is none either if anything that was known of translations is no longer true.
    pub refill_load: usize,
    /// The same for a store.
    pub refill_store: usize,
    /// rcx := the addend of the translation of the bytes at rax, which is made if it is not known. Zero flag: there is one.
    pub look_up: LookUps,
    /// The same for the first access of each group, which it notes as the anchor: rcx := its place on the host.
    pub anchor: [LookUps; GROUPS],
    /// Looks for the translation of the bytes at rax, and makes it as [`Shared::refill_load`] does. edx is one less than
    /// their number, and 32 times how far they are from the anchor of their group. rcx becomes the place of that on the
    /// host, if it is in the same page, and is noted if it is. Zero flag: there is none.
    pub find_load: [usize; GROUPS],
    /// The same for a store.
    pub find_store: [usize; GROUPS],
    /// Looks for the translation of the bytes at rax, rdx being the tag of the last one, puts it among those at hand, and
    /// makes rcx its addend. Zero flag: there is none. For loads, for stores; as [`Shared::fill_load`], as
    /// [`Shared::refill_load`]; for each place.
    pub recall: [[[usize; RECENT]; 2]; 2],
    /// Clears the block of 128 bytes at rax, whose translation is made if it is not known. Zero flag: there is one. The
    /// second is as [`Shared::refill_store`].
    pub clear: [usize; 2],
    /// Reserves rdx bytes at rax.
    pub reserve: usize,
    /// Stores rdx bytes of rcx at rax if they are reserved: rax becomes 1, or 0.
    pub conditional: usize,
    /// rax := the time base where rax of the budget is left after the instruction.
    pub time_base: usize,
    /// Executes the instruction at rsi by the interpreter. Zero flag: go on.
    pub step: usize,
    /// Calls the function rdx with the operands at rsi. Zero flag: go on.
    pub compute: usize,
    /// The same with the operands at rax, keeping what registers hold.
    pub compute_aside: usize,
    /// What the exponents of results are checked with, for doubles and for singles: two vectors each.
    pub limits: [usize; 2],
    /// What the numbers of bytes are changed with: three vectors.
    pub bytes: usize,
}

/// Reasons to leave; any other is the place of a jump that can be made to lead on, or with [`OVER`] of a way into another
/// page.
pub const LOOK: u64 = 1;
pub const BUDGET: u64 = 2;
pub const INTERPRET: u64 = 3;
pub const DONE: u64 = 4;
pub const OVER: u64 = 1 << 63;

/// What registers are where control may leave: parts of [`Emitter::writes`] and [`Emitter::places`].
#[derive(Clone, Debug, Default)]
pub struct Registers {
    writes: Range<usize>,
    places: Range<usize>,
}

/// Stores of registers that end with the instruction left to the interpreter: where they begin, and what they store.
struct Tail {
    label: Label,
    registers: Registers,
}

/// Code apart from the straight way.
pub struct Stub {
    pub label: Label,
    /// What it tries before it leaves.
    pub aside: Aside,
    pub registers: Registers,
    /// Number of the point.
    pub point: u32,
}

/// What a stub tries before it leaves.
#[derive(Clone, Copy)]
pub enum Aside {
    /// Nothing.
    Leave,
    /// The page of an access is not known: fill, and go back there. `again`: what is known of other pages is in use.
    /// The register has the address.
    Fill { back: Label, store: bool, again: bool, register: u8 },
    /// An access is not in the page that is at hand for it: find the one that it is in, put it there, and go back.
    Recall { back: Label, store: bool, again: bool, bytes: u8, register: u8, number: usize },
    /// An access is not in the page of its group's anchor, which is noted at this place: find the one that it is in, and go
    /// back there.
    Find { back: Label, store: bool, bytes: u8, place: usize, source: (Place, i32), distance: i32 },
    /// The host's floating point cannot do this call exactly: make it, and go back with the result in two registers.
    Call { back: Label, number: u64, results: (u8, u8) },
    /// It is no point: the budget of a segment ends.
    Overrun(usize),
}

/// Where a segment begins: its label, and what was known where the one that it comes from is left.
struct Begin {
    label: Label,
    known: Known,
    /// Instructions of that one that are not executed.
    rest: u32,
    /// It is where a branch leads: the first entry of its log says where that came from.
    branch: bool,
}

/// Where a node's value is: its register, its slot, and the guest register that it was written to last.
#[derive(Clone, Copy)]
pub struct Spot {
    pub register: u8,
    pub slot: u8,
    pub latest: u8,
}

/// Where values are: what the emitter knows at a place.
#[derive(Clone)]
pub struct Known {
    /// Of each node.
    pub spots: Vec<Spot>,
    /// Of each guest register: the node that is its value now, and the one that it holds in memory.
    pub current: [Id; REGISTERS],
    pub home: [Id; REGISTERS],
    dirty: [u64; REGISTERS.div_ceil(64)],
    /// The host registers that hold values, a bit each.
    pub held: u16,
    /// Of each host register: what it holds or held last, and when it was used.
    pub holds: [Id; 16],
    pub used: [u32; 16],
    pub clock: u32,
    pub slots: [Id; SLOTS],
    /// Anchors that are noted on the stack: their groups, and their displacements.
    pub anchors: [Option<(u8, i32)>; GROUPS],
    /// Which of them makes room next.
    pub oldest: u8,
}

/// Memory for code and for what is noted of it, used again for the next superblock.
#[derive(Default)]
pub struct Scratch {
    straight: Bytes,
    aside: Bytes,
    labels: Vec<usize>,
    jumps: Vec<Jump>,
    spots: Vec<Spot>,
    writes: Vec<(u8, Id, Option<Place>)>,
    places: Vec<(Id, Place)>,
    more: Vec<(u8, Id, Option<Place>)>,
    noted: Vec<u32>,
    stubs: Vec<Stub>,
    links: Vec<(Label, usize, u32)>,
}

/// A superblock being emitted.
pub struct Emitter<'a> {
    /// The code that is emitted now, the straight one or what is apart.
    pub code: &'a mut Bytes,
    /// The other one.
    other: &'a mut Bytes,
    /// Of each label: where it is on the host.
    labels: &'a mut Vec<usize>,
    jumps: &'a mut Vec<Jump>,
    pub nodes: &'a [Node],
    pub lives: &'a [Life],
    pub block: &'a Superblock,
    pub shared: &'a Shared,
    /// The segment that is emitted, and its node.
    number: usize,
    pub at: u32,
    /// Where values are.
    pub known: Known,
    /// Registers that must keep their values while this node is emitted.
    pub locked: u16,
    /// Guest registers that are written aside by this node: nothing is to be kept in their places.
    pub lost: [u8; 3],
    /// What is to be written to which guest register, and where it is; None: it is to be made, or is in another one's place.
    writes: &'a mut Vec<(u8, Id, Option<Place>)>,
    /// Where what those are made of is.
    places: &'a mut Vec<(Id, Place)>,
    /// For the moment.
    more: &'a mut Vec<(u8, Id, Option<Place>)>,
    /// Of each node: the number of the snapshot that noted it last.
    noted: &'a mut Vec<u32>,
    snapshots: u32,
    pub stubs: &'a mut Vec<Stub>,
    entry: Label,
    /// Where ways that lead back to the start go on, and where they leave if the budget ends.
    around: Label,
    around_overrun: Label,
    /// Registers of the host that hold what is carried around.
    carriers: Vec<u8>,
    /// Where segments begin.
    begins: Vec<(u32, Begin)>,
    /// Jumps that can be linked: their stubs, where they end on the host, where they lead.
    links: &'a mut Vec<(Label, usize, u32)>,
    /// What was stored last before an instruction was left to the interpreter.
    tail: Option<Tail>,
    /// The instructions whose loads and stores took places among the translations at hand, by their offsets in the page.
    pub recent_takers: [Vec<u32>; 2],
    /// What is emitted now is apart from the straight way.
    pub aside: bool,
    /// It cannot be compiled.
    pub failed: bool,
}

/// Emits the code of a superblock: the straight way will stand at `base`, the rest at `aside`. None: it needs more than
/// there is.
pub fn emit<'s>(
    nodes: &[Node],
    lives: &[Life],
    block: &Superblock,
    shared: &Shared,
    (base, aside): (usize, usize),
    scratch: &'s mut Scratch,
) -> Option<Code<'s>> {
    let [entry, around, around_overrun] = [0, 1, 2].map(Label);
    scratch.straight.start(base);
    scratch.aside.start(aside);
    scratch.labels.clear();
    scratch.labels.resize(3, 0);
    scratch.jumps.clear();
    scratch.writes.clear();
    scratch.places.clear();
    scratch.noted.clear();
    scratch.noted.resize(nodes.len(), 0);
    scratch.links.clear();
    let mut spots = std::mem::take(&mut scratch.spots);
    spots.clear();
    spots.resize(nodes.len(), Spot { register: NOWHERE, slot: NOWHERE, latest: NOWHERE });
    let mut emitter = Emitter {
        code: &mut scratch.straight,
        other: &mut scratch.aside,
        labels: &mut scratch.labels,
        jumps: &mut scratch.jumps,
        nodes,
        lives,
        block,
        shared,
        number: 0,
        at: 0,
        known: Known {
            spots,
            current: [Id::NONE; REGISTERS],
            home: [Id::NONE; REGISTERS],
            dirty: Default::default(),
            held: 0,
            holds: [Id::NONE; 16],
            used: [0; 16],
            clock: 0,
            slots: [Id::NONE; SLOTS],
            anchors: [None; GROUPS],
            oldest: 0,
        },
        locked: 0,
        lost: [NOWHERE; 3],
        writes: &mut scratch.writes,
        places: &mut scratch.places,
        more: &mut scratch.more,
        noted: &mut scratch.noted,
        snapshots: 0,
        stubs: &mut scratch.stubs,
        entry,
        around,
        around_overrun,
        carriers: Vec::new(),
        begins: Vec::new(),
        links: &mut scratch.links,
        tail: None,
        recent_takers: [Vec::new(), Vec::new()],
        aside: false,
        failed: false,
    };
    let done = emitter.run();
    emitter.stubs.clear();
    scratch.spots = emitter.known.spots;
    done?;
    Some(Code { straight: scratch.straight.bytes(), aside: scratch.aside.bytes() })
}

impl Emitter<'_> {
    fn run(&mut self) -> Option<()> {
        let total = self.block.segments[0].instructions;
        let overrun = self.label();
        let entry = self.entry;
        self.bind(entry);
        self.with_constant(SUB, 15, total as i32, true);
        self.jump_if(LESS, overrun);
        let head = (!self.block.carried.is_empty()).then(|| self.carry());
        for number in 0..self.block.segments.len() {
            self.segment(number)?;
        }
        std::mem::swap(&mut self.code, &mut self.other);
        self.aside = true;
        self.bind(overrun);
        self.overrun(0);
        if let Some(registers) = head {
            let around_overrun = self.around_overrun;
            self.bind(around_overrun);
            self.store_registers(&registers);
            self.overrun(0);
        }
        let mut stubs = std::mem::take(self.stubs);
        stubs.drain(..).for_each(|stub| self.stub(stub));
        *self.stubs = stubs;
        let mut links = std::mem::take(self.links);
        for (label, end, offset) in links.drain(..) {
            self.bind(label);
            self.constant(RAX, offset.into());
            let (site, back) = (end - 4, self.code.here() + 10);
            self.constant(RCX, (site as isize - back as isize) as u32 as u64);
            self.call(self.shared.link);
        }
        *self.links = links;
        for &Jump { aside, end, to } in self.jumps.iter() {
            let code = if aside { &mut *self.code } else { &mut *self.other };
            code.lead(end, self.labels[to.0 as usize]);
        }
        (!self.failed).then_some(())
    }

    /// A new label.
    pub fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() as u32 - 1)
    }

    /// The label is here.
    pub fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.code.here();
    }

    /// Jumps to a label.
    pub fn jump(&mut self, to: Label) {
        self.code.word(0xe9, 5);
        self.leads(to);
    }

    /// Jumps to a label if the condition holds.
    pub fn jump_if(&mut self, condition: u8, to: Label) {
        self.code.word(0x800f | (condition as u64) << 8, 6);
        self.leads(to);
    }

    /// Notes that the jump that ends here leads to a label.
    fn leads(&mut self, to: Label) {
        self.jumps.push(Jump { aside: self.aside, end: self.code.here(), to });
    }

    /// Leaves at the start of a segment, none of whose instructions is executed.
    fn overrun(&mut self, segment: usize) {
        let lift::Segment { start, instructions, .. } = self.block.segments[segment];
        self.with_constant(ADD, 15, instructions as i32, true);
        self.leave_at(start, BUDGET);
    }

    /// Loads what is carried around. Returns what is to be stored where that is left.
    fn carry(&mut self) -> Registers {
        for (number, &(register, written)) in self.block.carried.iter().enumerate() {
            let (id, guest) = (Id(number as u32), register.0 as usize);
            let carrier = self.room(false);
            self.with_field(LOAD, carrier, home(register.0));
            self.hold(id, carrier);
            self.carriers.push(carrier);
            self.known.current[guest] = id;
            self.known.spots[id.at()].latest = register.0;
            if written {
                // The next time around it is in the carrier alone.
                self.known.dirty[guest / 64] |= 1 << (guest % 64);
            } else {
                self.known.home[guest] = id;
            }
        }
        let around = self.around;
        self.bind(around);
        self.snapshot()
    }

    /// Emits a segment.
    fn segment(&mut self, number: usize) -> Option<()> {
        let block = self.block;
        let segment = &block.segments[number];
        self.number = number;
        let mut written = segment.log.start;
        let mut first = segment.nodes.start;
        if number == 0 {
            first += block.carried.len() as u32;
        } else {
            let found = self.begins.iter().position(|(child, _)| *child as usize == number)?;
            let (_, Begin { label, known, rest, branch }) = self.begins.swap_remove(found);
            self.known = known;
            self.at = first - 1;
            self.locked = 0;
            self.bind(label);
            if branch {
                self.write_register(written);
                written += 1;
            }
            // What is needed there for the last time still has its register.
            self.take_budget(number, rest);
            self.release_dead();
        }
        for at in first..segment.nodes.end {
            let node = self.nodes[at as usize];
            if node.op.is_leaf() {
                continue;
            }
            written = self.write_registers(written, at);
            self.at = at;
            self.locked = 0;
            self.node(node);
            self.release();
            if self.failed {
                return None;
            }
        }
        self.at = segment.nodes.end;
        self.locked = 0;
        (written..segment.log.end).for_each(|entry| self.write_register(entry));
        self.end(&segment.end);
        (!self.failed).then_some(())
    }

    /// Takes the budget of a segment, of which the one before gives `rest` back.
    fn take_budget(&mut self, segment: usize, rest: u32) {
        let more = self.block.segments[segment].instructions as i32 - rest as i32;
        if more <= 0 {
            if more < 0 {
                self.with_constant(ADD, 15, -more, true);
            }
            return;
        }
        self.with_constant(SUB, 15, more, true);
        let label = self.label();
        self.jump_if(LESS, label);
        let registers = self.snapshot();
        self.stubs.push(Stub { label, aside: Aside::Overrun(segment), registers, point: 0 });
    }

    /// What the log says before node `at`, from entry `from` on. Returns how far it went.
    fn write_registers(&mut self, mut from: usize, at: u32) -> usize {
        while self.block.log.get(from).is_some_and(|write| write.at <= at) {
            self.write_register(from);
            from += 1;
        }
        from
    }

    fn write_register(&mut self, entry: usize) {
        let write = self.block.log[entry];
        let (guest, id) = (write.register.0 as usize, write.value);
        self.known.current[guest] = id;
        let latest = &mut self.known.spots[id.at()].latest;
        if *latest == NOWHERE || self.known.home[*latest as usize] != id {
            *latest = guest as u8;
        }
        let dirty = self.known.home[guest] != id;
        let (word, bit) = (guest / 64, 1 << (guest % 64));
        self.known.dirty[word] =
            if dirty { self.known.dirty[word] | bit } else { self.known.dirty[word] & !bit };
    }

    /// The guest register in memory is up to date.
    pub fn clean(&mut self, guest: u8) {
        self.known.dirty[guest as usize / 64] &= !(1 << (guest % 64));
    }

    /// The guest register has a value that memory does not have.
    pub fn is_dirty(&self, guest: usize) -> bool {
        self.known.dirty[guest / 64] >> (guest % 64) & 1 != 0
    }

    fn node(&mut self, node: Node) {
        match node.op {
            Op::Second => {}
            Op::Get => self.known.home[node.k as usize] = Id(self.at),
            Op::Load(width) => self.load(node, width),
            Op::LoadPair(width) => self.load_pair(node, width),
            Op::Store(width) => self.store(node, width, None),
            Op::StorePair(width) => self.store(node, width, Some(node.c)),
            Op::Probe { bytes, write } => self.probe(node, bytes, write),
            Op::Zero => self.clear(node),
            Op::Reserve => self.reserve(node),
            Op::Conditional => self.store_conditional(node),
            Op::Exit => {
                let condition = self.condition(node.a, None);
                self.depart(condition, node.k);
            }
            Op::Require { bit, set } => {
                self.test_field(MSR + bit as i32 / 8, 1 << (bit % 8));
                self.depart(if set { EQUAL } else { NOT_EQUAL }, node.k);
            }
            Op::SetSpr => {
                let value = self.need(node.a);
                self.with_field(STORE, value, VCPU + node.k as i32);
            }
            Op::Call => self.call_function(node.k),
            Op::Float(float) => self.float(node, float),
            Op::Permute { right } => self.permute(node, right),
            _ if self.lives[self.at as usize].last == 0 => {}
            _ if self.lives[self.at as usize].folded || self.lives[self.at as usize].sunk => {}
            Op::TimeBase => self.time_base(node),
            Op::Spr => {
                let d = self.destination();
                self.with_field(LOAD, d, VCPU + node.k as i32);
                self.settle(Id(self.at), d);
            }
            op if op.is_lazy() => {
                if self.lives[self.at as usize].eager {
                    self.need(Id(self.at));
                }
            }
            _ => self.make(node),
        }
    }

    /// The time base: of the budget at the segment's entry all its instructions are taken.
    fn time_base(&mut self, node: Node) {
        let after = u64::from(self.block.segments[self.number].instructions) - node.k - 1;
        let d = self.destination();
        self.with_memory(LEA, RAX, 15, after as i32);
        self.call(self.shared.time_base);
        self.copy(d, RAX);
        self.settle(Id(self.at), d);
    }

    /// Leaves by a point if the flags say so.
    fn depart(&mut self, condition: u8, point: u64) {
        let label = self.label();
        let Point { departure, child, segment, completed, .. } = self.block.points[point as usize];
        if let Some(child) = child {
            self.jump_if(condition, label);
            let rest = self.block.segments[segment as usize].instructions - completed;
            let branch = matches!(departure, Departure::Branch { from: Some(_), .. });
            self.begins.push((child, Begin { label, known: self.known.clone(), rest, branch }));
            return;
        }
        let registers = self.snapshot();
        self.jump_if(condition, label);
        self.stubs.push(Stub { label, aside: Aside::Leave, registers, point: point as u32 });
    }

    /// Notes the registers that memory does not have, and where what they are made of is.
    pub fn snapshot(&mut self) -> Registers {
        let (writes, places) = (self.writes.len(), self.places.len());
        self.snapshots += 1;
        for word in 0..self.known.dirty.len() {
            let mut left = self.known.dirty[word];
            while left != 0 {
                let guest = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let id = self.known.current[guest];
                let place = self.place(id).filter(|place| !matches!(place, Place::Home(_)));
                self.writes.push((guest as u8, id, place));
                if place.is_none() {
                    self.note(id);
                }
            }
        }
        Registers { writes: writes..self.writes.len(), places: places..self.places.len() }
    }

    fn note(&mut self, id: Id) {
        if id == Id::NONE || self.noted[id.at()] == self.snapshots {
            return;
        }
        self.noted[id.at()] = self.snapshots;
        if let Some(place) = self.place(id) {
            return self.places.push((id, place));
        }
        let node = self.nodes[id.at()];
        [node.a, node.b, node.c].into_iter().for_each(|operand| self.note(operand));
    }

    /// Stores registers as they were noted. Uses rax and rcx.
    fn store_registers(&mut self, registers: &Registers) {
        let all_writes = std::mem::take(self.writes);
        let all_places = std::mem::take(self.places);
        self.store_writes(&all_writes[registers.writes.clone()], &all_places[registers.places.clone()]);
        *self.writes = all_writes;
        *self.places = all_places;
    }

    fn store_writes(&mut self, writes: &[(u8, Id, Option<Place>)], places: &[(Id, Place)]) {
        // First what is made from what memory still has; it must not overwrite what others are made of.
        let mut exchanged = Vec::new();
        for &(guest, id, _) in writes.iter().filter(|(_, _, place)| place.is_none()) {
            self.evaluate(id, Some(places));
            if places.iter().any(|(_, place)| *place == Place::Home(guest)) {
                self.with_memory(STORE, RAX, 4, EXCHANGED_AT + 8 * exchanged.len() as i32);
                exchanged.push(guest);
            } else {
                self.with_field(STORE, RAX, home(guest));
            }
        }
        if exchanged.len() > EXCHANGED {
            self.failed = true;
        }
        for (number, guest) in exchanged.into_iter().enumerate() {
            self.with_memory(LOAD, RAX, 4, EXCHANGED_AT + 8 * number as i32);
            self.with_field(STORE, RAX, home(guest));
        }
        for &(guest, _, place) in writes {
            match place {
                Some(Place::Register(register)) => self.with_field(STORE, register, home(guest)),
                Some(Place::Constant(k)) if fits(k) => self.store_constant(home(guest), k as i32),
                Some(place) => {
                    self.fetch(RAX, place);
                    self.with_field(STORE, RAX, home(guest));
                }
                None => {}
            }
        }
    }

    /// Leaves the instruction at `offset` to the interpreter, which is the end of a stub. There are many such places, and
    /// most come soon after another one: what that one stores, it stores for them as well.
    fn interpret(&mut self, offset: u32, rest: u32, registers: Registers) {
        self.constant(RDX, (rest << 16 | offset).into());
        let label = self.label();
        self.bind(label);
        let all_writes = std::mem::take(self.writes);
        let all_places = std::mem::take(self.places);
        let (writes, places) = (&all_writes[registers.writes.clone()], &all_places[registers.places.clone()]);
        let (tail_writes, tail_places) = match &self.tail {
            Some(Tail { registers, .. }) => {
                (&all_writes[registers.writes.clone()], &all_places[registers.places.clone()])
            }
            None => (&[][..], &[][..]),
        };
        let mut more = std::mem::take(self.more);
        more.clear();
        // Both are in order.
        let mut left = tail_writes.iter().peekable();
        more.extend(writes.iter().filter(|write| left.next_if_eq(write).is_none()));
        let overwritten = |place: &Place| more.iter().any(|(guest, _, _)| *place == Place::Home(*guest));
        let same = self.tail.is_some()
            && left.next().is_none()
            && tail_places.iter().all(|place| places.contains(place) && !overwritten(&place.1));
        match self.tail.as_ref().filter(|_| same).map(|tail| tail.label) {
            Some(tail) => {
                self.store_writes(&more, places);
                self.jump(tail);
            }
            None => {
                self.store_writes(writes, places);
                self.jump_to(self.shared.interpret);
            }
        }
        if !same || !more.is_empty() {
            self.tail = Some(Tail { label, registers });
        }
        *self.writes = all_writes;
        *self.places = all_places;
        *self.more = more;
    }

    /// Stores all registers that memory does not have.
    fn store_all(&mut self) {
        let registers = self.snapshot();
        self.store_registers(&registers);
        self.known.dirty = Default::default();
    }

    fn leave_at(&mut self, offset: u32, reason: u64) {
        self.constant(RAX, offset.into());
        self.jump_to(self.shared.leave_at[reason as usize - 1]);
    }

    fn stub(&mut self, stub: Stub) {
        let Stub { label, aside, registers, point } = stub;
        if let Aside::Overrun(segment) = aside {
            self.bind(label);
            self.store_registers(&registers);
            return self.overrun(segment);
        }
        let Point { departure, segment, completed, .. } = self.block.points[point as usize];
        self.bind(label);
        match aside {
            Aside::Fill { back, store, again, register } => {
                self.copy(RAX, register);
                self.call(match (store, again) {
                    (false, false) => self.shared.fill_load,
                    (true, false) => self.shared.fill_store,
                    (false, true) => self.shared.refill_load,
                    (true, true) => self.shared.refill_store,
                });
                self.jump_if(NOT_EQUAL, back);
            }
            Aside::Recall { back, store, again, bytes, register, number } => {
                self.copy(RAX, register);
                self.last_page(RAX, bytes);
                self.call(self.shared.recall[usize::from(store)][usize::from(again)][number]);
                self.jump_if(NOT_EQUAL, back);
            }
            Aside::Find { back, store, bytes, place, source, distance } => {
                self.address_from(source);
                self.constant(RDX, (distance << 5 | i32::from(bytes - 1)) as u32 as u64);
                let find = if store { self.shared.find_store } else { self.shared.find_load };
                self.call(find[place]);
                self.jump_if(NOT_EQUAL, back);
            }
            Aside::Leave | Aside::Call { .. } | Aside::Overrun(_) => {}
        }
        let rest = self.block.segments[segment as usize].instructions - completed;
        if let Departure::Interpret(offset) = departure {
            return self.interpret(offset, rest, registers);
        }
        self.store_registers(&registers);
        if let Aside::Call { back, number, results } = aside {
            self.call_aside(number, results, back);
        }
        if rest != 0 {
            self.with_constant(ADD, 15, rest as i32, true);
        }
        match departure {
            Departure::Interpret(_) => {}
            Departure::Branch { to, from } => {
                if let Some(from) = from {
                    self.set_come_from(from);
                }
                self.go(to);
            }
            // NIA is set.
            Departure::Call => self.jump_to(self.shared.done),
        }
    }

    fn set_come_from(&mut self, from: u32) {
        self.here(RAX, from.into());
        self.with_field(STORE, RAX, CFAR);
    }

    fn call_function(&mut self, number: u64) {
        let call = self.block.calls[number as usize];
        self.store_all();
        self.release_all();
        self.known.current = [Id::NONE; REGISTERS];
        self.known.home = [Id::NONE; REGISTERS];
        // SAFETY: the source keeps it.
        let operands = unsafe { (*call.op).ops() };
        self.constant(6, operands as *const _ as u64);
        self.constant(RDX, call.function as usize as u64);
        self.here(RCX, call.offset.into());
        self.call(self.shared.compute);
        let label = self.label();
        self.jump_if(NOT_EQUAL, label);
        let point = self.point_of_call();
        let registers = Registers::default();
        self.stubs.push(Stub { label, aside: Aside::Leave, registers, point: point as u32 });
    }

    /// The point of the call that is emitted.
    pub fn point_of_call(&mut self) -> usize {
        let calls = |point: &Point| matches!(point.departure, Departure::Call);
        let found = self.block.points.partition_point(|point| point.node < self.at);
        if !self.block.points.get(found).is_some_and(calls) {
            self.fail();
            return 0;
        }
        found
    }

    /// The vector that a call writes.
    pub fn target(&self, number: u64) -> u8 {
        // SAFETY: the source keeps it.
        unsafe { (*self.block.calls[number as usize].op).ops() }.t
    }

    /// Calls a function while registers hold values: all are in their places, too.
    fn call_aside(&mut self, number: u64, (first, second): (u8, u8), back: Label) {
        let call = self.block.calls[number as usize];
        // SAFETY: the source keeps it.
        let operands = unsafe { (*call.op).ops() };
        self.constant(RAX, operands as *const _ as u64);
        self.constant(RDX, call.function as usize as u64);
        self.here(RCX, call.offset.into());
        self.call(self.shared.compute_aside);
        let failed = self.label();
        self.jump_if(NOT_EQUAL, failed);
        let result = |half| home(Reg::vsr(operands.t, half).0);
        self.with_field(LOAD, first, result(0));
        self.with_field(LOAD, second, result(1));
        self.jump(back);
        self.bind(failed);
    }

    /// Goes around: to the start, with what is carried in its registers and all else in its place.
    fn go_around(&mut self) {
        let block = self.block;
        // What is made from what memory has is made now, before anything is stored there.
        let now = |emitter: &Emitter<'_>, register: Reg| match emitter.known.current[register.0 as usize] {
            Id::NONE => Some(Place::Home(register.0)),
            id => emitter.place(id),
        };
        for &(register, _) in &block.carried {
            let id = self.known.current[register.0 as usize];
            if id != Id::NONE && matches!(self.place(id), None | Some(Place::Home(_))) {
                self.need(id);
                // They need not all be in registers at once.
                self.locked = 0;
            }
        }
        for &(register, _) in &block.carried {
            self.clean(register.0);
        }
        for &(register, _) in &block.carried {
            // A register that gave way may have been the only one with a value that is stored over now.
            match now(self, register) {
                None => self.failed = true,
                Some(Place::Home(guest)) if self.is_dirty(guest as usize) => self.failed = true,
                _ => {}
            }
        }
        self.store_all();
        let mut moves = Vec::with_capacity(block.carried.len());
        for (number, &(register, _)) in block.carried.iter().enumerate() {
            let Some(from) = now(self, register) else { return };
            let to = self.carriers[number];
            if from != Place::Register(to) {
                moves.push((to, from));
            }
        }
        self.move_all(moves);
        self.with_constant(SUB, 15, block.segments[0].instructions as i32, true);
        let (around, overrun) = (self.around, self.around_overrun);
        self.jump_if(NOT_LESS, around);
        self.jump(overrun);
    }

    /// Moves values to registers, all at once.
    fn move_all(&mut self, mut moves: Vec<(u8, Place)>) {
        while !moves.is_empty() {
            let is_needed = |to: u8| moves.iter().any(|(_, from)| *from == Place::Register(to));
            match moves.iter().position(|&(to, _)| !is_needed(to)) {
                Some(at) => {
                    let (to, from) = moves.swap_remove(at);
                    self.fetch(to, from);
                }
                None => {
                    // A circle: one of them waits in rax.
                    let (_, from) = moves[0];
                    self.fetch(RAX, from);
                    for (_, other) in moves.iter_mut().filter(|(_, other)| *other == from) {
                        *other = Place::Register(RAX);
                    }
                }
            }
        }
    }

    /// After a call control comes back soon: what is known of that place is fetched meanwhile.
    fn expect_return(&mut self) {
        let address = self.known.current[Reg::LR.0 as usize];
        if address == Id::NONE || !matches!(self.nodes[address.at()].op, Op::Here) {
            return;
        }
        if let Some(home) = self.block.home {
            let k = self.nodes[address.at()].k;
            let line = (home.wrapping_add(k) >> 4) as usize % JUMP_LINES;
            self.with_field(LOAD, RCX, JUMPS);
            dynasm!(self.code; .arch x64; prefetcht0 [rcx + 64 * line as i32]);
        }
    }

    fn end(&mut self, end: &End) {
        match *end {
            End::Go(_) if self.block.loops(end) && !self.carriers.is_empty() => self.go_around(),
            End::Go(to) => {
                self.expect_return();
                self.store_all();
                self.go(to);
            }
            End::Indirect(address) => {
                let register = self.need(address);
                self.expect_return();
                self.store_all();
                self.copy(RAX, register);
                self.go_to_rax();
            }
            End::Branch { condition, taken, from, next } => {
                self.need_operands(condition);
                let address = taken.err().map(|address| self.need(address));
                self.store_all();
                let condition = self.condition(condition, None);
                let label = self.label();
                self.jump_if(condition ^ 1, label);
                self.set_come_from(from);
                match (taken, address) {
                    (Ok(to), _) => self.go(to),
                    (_, Some(register)) => {
                        self.copy(RAX, register);
                        self.go_to_rax();
                    }
                    _ => self.fail(),
                }
                self.bind(label);
                self.go(next);
            }
            End::Step { op, offset, next } => {
                self.store_all();
                self.here(RDX, offset.into());
                self.constant(6, op as u64);
                self.call(self.shared.step);
                let label = self.label();
                self.jump_if(NOT_EQUAL, label);
                self.go(next);
                self.bind(label);
                self.jump_to(self.shared.done);
            }
        }
    }

    /// Storing all registers will not take away what the condition is made of.
    fn need_operands(&mut self, condition: Id) {
        let node = self.nodes[condition.at()];
        if self.place(condition).is_none() && matches!(node.op, Op::Test(_) | Op::Bit) {
            for id in [node.a, node.b] {
                if id != Id::NONE && !self.nodes[id.at()].op.is_leaf() {
                    self.need(id);
                }
            }
        } else {
            self.need(condition);
        }
    }

    /// Goes on at a place known now.
    fn go(&mut self, to: Target) {
        match to {
            Target::Page(offset) if offset == self.block.start() => {
                let entry = self.entry;
                self.jump(entry);
            }
            Target::Page(offset) => {
                let label = self.label();
                self.jump(label);
                self.links.push((label, self.code.here(), offset));
            }
            Target::Stop(offset) => self.leave_at(offset, LOOK),
            Target::Far(distance) if self.block.home.is_some() && fits(distance) => self.go_over(distance),
            Target::Far(distance) => {
                self.here(RAX, distance);
                self.go_to_rax();
            }
        }
    }

    /// Goes on in another page: as long as the context is that for which it was found what is there, at once.
    fn go_over(&mut self, distance: u64) {
        self.here(14, distance & !0xfff);
        dynasm!(self.code; .arch x64; cmp DWORD [rbp + SALT], Frame::NO_SALT as i32);
        // To what comes next, until there is anything to lead to.
        self.code.extend(&[0x0f, 0x80 | EQUAL, 0, 0, 0, 0]);
        self.call(self.shared.over);
        self.code.push_u16(distance as u16 & 0xfff);
    }

    /// Goes on at the effective address in rax.
    fn go_to_rax(&mut self) {
        if !self.block.hot {
            // There is much such code: it is to be small.
            return self.jump_to(self.shared.far);
        }
        jump_line!(self.code);
        self.with_field(ADD, RCX, JUMPS);
        dynasm!(self.code; .arch x64; cmp rax, [rcx]);
        self.jump_if_to(NOT_EQUAL, self.shared.ways);
        self.load_word(RDX, SALT);
        dynasm!(self.code; .arch x64; cmp edx, [rcx + 12]);
        self.jump_if_to(NOT_EQUAL, self.shared.ways);
        dynasm!(self.code; .arch x64; mov ecx, [rcx + 8]);
        self.with_field(ADD, RCX, CODE);
        dynasm!(self.code; .arch x64; mov r14, rax; and r14, -4096; jmp rcx);
    }
}

const _: () = {
    use std::mem::{offset_of, size_of};
    use timebase_cpu::compiled::{JUMP_WAYS, Jump};
    assert!(size_of::<Jump>() == 16 && JUMP_LINES == 16384 && JUMP_WAYS == 4);
    assert!(offset_of!(Jump, address) == 0 && offset_of!(Jump, entry) == 8 && offset_of!(Jump, salt) == 12);
    assert!(lift::CFAR.0 as usize == REGISTERS - 1);
};
