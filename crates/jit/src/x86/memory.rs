//! Storage accesses: looked up in the translations of the current context, by the same rule as in the interpreter.

use super::emit::{ANCHORS_AT, Aside, Emitter, LookUps, Registers, SIZES, Stub};
use super::encode::*;
use super::values::{NOWHERE, Place};
use crate::ir::{Arithmetic, Id, Node, Op, Width};
use crate::lift::Departure;
use crate::live::{ALONE, GROUPS, Life, parts};
use dynasmrt::{DynasmApi, dynasm};
use std::mem::{offset_of, size_of};
use timebase_cpu::compiled::{RECENT, TRANSLATIONS as COUNT, Translated};
use timebase_isa::Unary;

const _: () = assert!(size_of::<Translated>() == 32 && COUNT == 4096);
const ADDEND: i32 = offset_of!(Translated, addend) as i32;
const READ: i32 = offset_of!(Translated, read) as i32;
const WRITE: i32 = offset_of!(Translated, write) as i32;
/// By convention of all ABIs.
const STACK_POINTER: u64 = 1;

/// Where an anchor is noted, from the stack pointer: two words that say how far behind the start of its page it
/// is and, less than zero, before the end; then its place on the host.
pub fn anchor_at(place: usize) -> i32 {
    ANCHORS_AT + 16 * place as i32
}

/// Where guest memory is on the host.
#[derive(Clone, Copy)]
pub enum Guest {
    /// At this register plus rcx.
    Indexed(u8),
    /// The same, 8 bytes further.
    IndexedNext(u8),
    /// So far from rcx.
    Anchored(i32),
}

impl Guest {
    /// What is 8 bytes further.
    fn next(self) -> Guest {
        match self {
            Guest::Indexed(register) | Guest::IndexedNext(register) => Guest::IndexedNext(register),
            Guest::Anchored(distance) => Guest::Anchored(distance + 8),
        }
    }
}

impl Emitter<'_> {
    /// A register that an address is made from, and what is added to it; None: that is no constant, or it was made.
    fn base(&mut self, id: Id) -> Option<(Id, i32)> {
        let node = self.nodes[id.at()];
        if !self.lives[id.at()].folded || self.known.spots[id.at()].register != NOWHERE {
            return None;
        }
        debug_assert!(matches!(node.op, Op::Binary(Arithmetic::Add)));
        let displacement = self.nodes[node.b.at()];
        (matches!(displacement.op, Op::Const) && fits(displacement.k))
            .then_some((node.a, displacement.k as i32))
    }

    /// rax := the effective address.
    fn address(&mut self, id: Id) {
        let register = self.address_register(id);
        self.copy(RAX, register);
    }

    /// A register that holds the effective address: rax, or the one that has it anyway.
    fn address_register(&mut self, id: Id) -> u8 {
        let node = self.nodes[id.at()];
        if let Some((base, displacement)) = self.base(id) {
            let base = self.need(base);
            if displacement == 0 {
                return base;
            }
            self.with_memory(LEA, RAX, base, displacement);
        } else if self.lives[id.at()].folded && self.known.spots[id.at()].register == NOWHERE {
            let (a, b) = (self.need(node.a), self.need(node.b));
            dynasm!(self.code; .arch x64; lea rax, [Rq(a) + Rq(b)]);
        } else {
            match self.place(id) {
                Some(Place::Register(_)) => return self.need(id),
                Some(place) => self.fetch(RAX, place),
                None => self.evaluate(id, None),
            }
        }
        RAX
    }

    /// Where an effective address can be made from, while the present access is emitted.
    fn source(&mut self, id: Id) -> (Place, i32) {
        let (id, displacement) = self.base(id).unwrap_or((id, 0));
        let place = self.place(id).unwrap_or_else(|| Place::Register(self.need(id)));
        if let Place::Register(register) = place {
            self.locked |= 1 << register;
        }
        (place, displacement)
    }

    /// rax := an effective address, where its place was noted.
    pub fn address_from(&mut self, (place, displacement): (Place, i32)) {
        match place {
            Place::Register(register) => self.with_memory(LEA, RAX, register, displacement),
            place => {
                self.fetch(RAX, place);
                self.with_constant(ADD, RAX, displacement, true);
            }
        }
    }

    /// Finds guest memory for the present access. `make_room` is called when what registers are, if the access fails, has
    /// been noted: it takes registers for the results, which are not written before the access.
    ///
    /// The first access of a group that is executed is its *anchor*: it notes where in its page it is, and where that is
    /// on the host. Others know how far they are from it, and ask whether that leads out of the page.
    fn reach(&mut self, node: Node, bytes: u8, store: bool, make_room: impl FnOnce(&mut Self)) -> Guest {
        let Life { group, closes, .. } = self.lives[self.at as usize];
        let Some((_, displacement)) = parts(self.nodes, node.a).filter(|_| group != ALONE) else {
            return self.reach_alone(node, bytes, store, make_room);
        };
        let noted = |(place, anchor): (usize, &Option<(u8, i32)>)| {
            anchor.filter(|anchor| anchor.0 == group).map(|anchor| (place, anchor.1))
        };
        let Some((place, anchor)) = self.known.anchors.iter().enumerate().find_map(noted) else {
            if closes {
                return self.reach_alone(node, bytes, store, make_room);
            }
            let place = self.place_of_anchor();
            if let Some(size) = self.shared_size(bytes) {
                self.call_look_up(node, store, make_room, &self.shared.anchor[place], size);
            } else {
                let register = self.find_addend(node, bytes, store, make_room);
                self.note_anchor(place, register);
            }
            self.known.anchors[place] = Some((group, displacement));
            return Guest::Anchored(0);
        };
        if closes {
            self.known.anchors[place] = None;
        }
        let distance = displacement - anchor;
        // Not if it may lead out of the page on either side.
        if distance < 0 && distance + i32::from(bytes) > 0 {
            return self.reach_alone(node, bytes, store, make_room);
        }
        let source = self.source(node.a);
        let registers = self.snapshot();
        make_room(self);
        let (label, back) = (self.label(), self.label());
        if distance >= 0 {
            self.compare_stack(anchor_at(place) + 4, -i32::from(bytes) - distance);
            self.jump_if(GREATER, label);
        } else {
            self.compare_stack(anchor_at(place), -distance);
            self.jump_if(BELOW, label);
        }
        self.with_memory(LOAD, RCX, 4, anchor_at(place) + 8);
        self.bind(back);
        let aside = Aside::Find { back, store, bytes, place, source, distance };
        self.stubs.push(Stub { label, aside, registers, point: node.k as u32 });
        Guest::Anchored(distance)
    }

    /// What is known of other pages is in use: making a translation must not take it away.
    fn again(&self) -> bool {
        self.known.anchors != [None; GROUPS]
    }

    /// A place for an anchor: one that none takes, or that of the oldest one.
    fn place_of_anchor(&mut self) -> usize {
        let free = self.known.anchors.iter().position(Option::is_none);
        free.unwrap_or_else(|| {
            let place = self.known.oldest as usize;
            self.known.oldest = ((place + 1) % GROUPS) as u8;
            self.known.anchors[place] = None;
            place
        })
    }

    /// The same by a look-up of its own.
    fn reach_alone(
        &mut self,
        node: Node,
        bytes: u8,
        store: bool,
        make_room: impl FnOnce(&mut Self),
    ) -> Guest {
        Guest::Indexed(self.find_addend(node, bytes, store, make_room))
    }

    /// Where little time is spent code is to be short, for it waits for lines of the host's cache above all: it looks up
    /// translations by calls of code that all superblocks share. For so many bytes: by which of [`SIZES`].
    fn shared_size(&self, bytes: u8) -> Option<usize> {
        SIZES.iter().position(|size| *size == bytes).filter(|_| !self.block.hot)
    }

    /// Looks up the translation for the present access by one of these, the address being in rax.
    fn call_look_up(
        &mut self,
        node: Node,
        store: bool,
        make_room: impl FnOnce(&mut Self),
        look_ups: &LookUps,
        size: usize,
    ) {
        self.address(node.a);
        let registers = self.snapshot();
        make_room(self);
        self.call(look_ups[usize::from(store)][usize::from(self.again())][size]);
        self.leave_unless_equal(registers, node);
    }

    /// Leaves, the registers being these, if the zero flag is not set.
    fn leave_unless_equal(&mut self, registers: Registers, node: Node) {
        let label = self.label();
        self.jump_if(NOT_EQUAL, label);
        self.stubs.push(Stub { label, aside: Aside::Leave, registers, point: node.k as u32 });
    }

    /// rcx := the addend of the translation for the present access. Returns the register that has the address. Leaves for
    /// the stub if nothing translates all the bytes.
    fn find_addend(&mut self, node: Node, bytes: u8, store: bool, make_room: impl FnOnce(&mut Self)) -> u8 {
        if let Some(size) = self.shared_size(bytes) {
            self.call_look_up(node, store, make_room, &self.shared.look_up, size);
            return RAX;
        }
        let mut register = self.address_register(node.a);
        let registers = self.snapshot();
        make_room(self);
        if bytes == 16 && register != RAX {
            // The first half may be loaded to where the address is.
            self.copy(RAX, register);
            register = RAX;
        }
        let (label, back) = (self.label(), self.label());
        let again = self.again();
        // What is larger may lead out of the page though it begins far from its end.
        let at_hand = if bytes <= 16 { self.at_hand(node, store) } else { None };
        let aside = match at_hand {
            Some(number) => {
                let [reach, page, addend] = recent(store, number);
                self.copy(RDX, register);
                self.with_field(SUB, RDX, page);
                self.with_field(CMP, RDX, reach);
                self.jump_if(NOT_BELOW, label);
                self.with_field(LOAD, RCX, addend);
                self.bind(back);
                Aside::Recall { back, store, again, bytes, register, number }
            }
            None => {
                self.bind(back);
                translation_slot!(self.code, register);
                self.with_field(ADD, RCX, TRANSLATIONS);
                self.last_page(register, bytes);
                self.with_memory(CMP, RDX, RCX, if store { WRITE } else { READ });
                self.jump_if(NOT_EQUAL, label);
                self.with_memory(LOAD, RCX, RCX, ADDEND);
                Aside::Fill { back, store, again, register }
            }
        };
        self.stubs.push(Stub { label, aside, registers, point: node.k as u32 });
        register
    }

    /// Which of the translations that are at hand an access looks at: the stack has one for itself, and where much time is
    /// spent each access that is likely to stay in one page for a while takes the next one.
    fn at_hand(&mut self, access: Node, store: bool) -> Option<usize> {
        let (base, _) = parts(self.nodes, access.a)?;
        let node = &self.nodes[base.at()];
        if matches!(node.op, Op::Get) && node.k == STACK_POINTER {
            return Some(0);
        }
        if !self.block.hot || !self.is_steady(access.a, 8) {
            return None;
        }
        // One instruction may stand in several ways.
        let Departure::Interpret(offset) = self.block.points[access.k as usize].departure else {
            return None;
        };
        let takers = &mut self.recent_takers[usize::from(store)];
        let number = takers.iter().position(|taker| *taker == offset).unwrap_or_else(|| {
            takers.push(offset);
            takers.len() - 1
        });
        Some(1 + number % (RECENT - 1))
    }

    /// An address made of registers that are counted up or down, and not of what was just loaded or masked, as an index
    /// into a table of hashes is: a wrong guess costs more than a right one saves.
    fn is_steady(&self, id: Id, depth: u32) -> bool {
        let node = &self.nodes[id.at()];
        let constant = |id: Id| matches!(self.nodes[id.at()].op, Op::Const);
        let steady = |id: Id| depth != 0 && self.is_steady(id, depth - 1);
        match node.op {
            Op::Const | Op::Here | Op::Get => true,
            Op::Unary(Unary::Sext32) => steady(node.a),
            Op::Binary(Arithmetic::Add | Arithmetic::Sub) => steady(node.a) && steady(node.b),
            Op::Binary(Arithmetic::Shl) => constant(node.b) && steady(node.a),
            Op::Binary(Arithmetic::And) => {
                constant(node.b) && self.nodes[node.b.at()].k >= 0xffff_ffff && steady(node.a)
            }
            _ => false,
        }
    }

    /// Notes an access as the anchor of its group. The register has its address, rcx the addend, which becomes its place on
    /// the host.
    fn note_anchor(&mut self, place: usize, register: u8) {
        self.with_register(ADD, RCX, register, true);
        self.with_memory(STORE, RCX, 4, anchor_at(place) + 8);
        if register != RAX {
            self.with_register(LOAD, RAX, register, false);
        }
        dynasm!(self.code; .arch x64; and eax, 0xfff);
        self.store_stack_word(RAX, anchor_at(place));
        dynasm!(self.code; .arch x64; or eax, -4096);
        self.store_stack_word(RAX, anchor_at(place) + 4);
    }

    /// rdx := the tag of the page of the last byte: what crosses into the next page does not match.
    pub fn last_page(&mut self, register: u8, bytes: u8) {
        if bytes > 1 {
            self.with_memory(LEA, RDX, register, bytes as i32 - 1);
        } else {
            self.copy(RDX, register);
        }
        self.shift(5, RDX, 12, true);
    }

    /// A register for what is loaded: its value is there until the load.
    pub fn destination(&mut self) -> u8 {
        let register = self.room(true);
        self.locked |= 1 << register;
        register
    }

    /// A load.
    pub fn load(&mut self, node: Node, width: Width) {
        let mut d = 0;
        let guest = self.reach(node, width.size, false, |emitter| d = emitter.destination());
        self.read(d, width, guest);
        self.settle(Id(self.at), d);
    }

    /// A load of two values.
    pub fn load_pair(&mut self, node: Node, width: Width) {
        let (mut first, mut second) = (0, 0);
        let guest = self.reach(node, 16, false, |emitter| {
            (first, second) = (emitter.destination(), emitter.destination());
        });
        self.read(first, width, guest);
        self.read(second, width, guest.next());
        self.settle(Id(self.at), first);
        self.settle(Id(self.at + 1), second);
    }

    /// The register holds the value if somebody needs it.
    pub fn settle(&mut self, id: Id, register: u8) {
        if self.lives[id.at()].last > self.at {
            self.hold(id, register);
        }
    }

    fn read(&mut self, d: u8, width: Width, guest: Guest) {
        let signed = width.signed && (width.size == 1 || !width.big);
        // movzx, movsx, movsxd, mov
        let opcode: &[u8] = match (width.size, signed) {
            (1, false) => &[0x0f, 0xb6],
            (1, true) => &[0x0f, 0xbe],
            (2, false) => &[0x0f, 0xb7],
            (2, true) => &[0x0f, 0xbf],
            (4, true) => &[0x63],
            _ => &[LOAD],
        };
        self.with_guest(opcode, d, signed || width.size == 8, false, guest);
        if !width.big {
            return;
        }
        match (width.size, width.signed) {
            (2, false) => dynasm!(self.code; .arch x64; rol Rw(d), 8),
            (2, true) => dynasm!(self.code; .arch x64; rol Rw(d), 8; movsx Rq(d), Rw(d)),
            (4, false) => dynasm!(self.code; .arch x64; bswap Rd(d)),
            (4, true) => dynasm!(self.code; .arch x64; bswap Rd(d); movsxd Rq(d), Rd(d)),
            (8, _) => dynasm!(self.code; .arch x64; bswap Rq(d)),
            _ => {}
        }
    }

    /// A store of one or two values.
    pub fn store(&mut self, node: Node, width: Width, second: Option<Id>) {
        let first = self.stored(node.b, width);
        let second = second.map(|id| self.stored(id, width));
        let bytes = if second.is_some() { 16 } else { width.size };
        let guest = self.reach(node, bytes, true, |_| {});
        self.write(first, width, guest);
        if let Some(second) = second {
            self.write(second, width, guest.next());
        }
    }

    /// A value to be stored: a register, or a constant that fits an immediate, in the order of its bytes.
    fn stored(&mut self, id: Id, width: Width) -> Result<u8, i32> {
        let node = self.nodes[id.at()];
        if matches!(node.op, Op::Const) {
            let k = match (width.big, width.size) {
                (true, 2) => (node.k as u16).swap_bytes() as u64,
                (true, 4) => (node.k as u32).swap_bytes() as u64,
                (true, 8) => node.k.swap_bytes(),
                _ => node.k,
            };
            if width.size < 8 || fits(k) {
                return Err(k as i32);
            }
        }
        Ok(self.need(id))
    }

    fn write(&mut self, value: Result<u8, i32>, width: Width, guest: Guest) {
        let register = match value {
            Err(k) => {
                match width.size {
                    1 => self.with_guest(&[0xc6], 0, false, false, guest),
                    2 => self.with_guest(&[0x66, 0xc7], 0, false, false, guest),
                    size => self.with_guest(&[0xc7], 0, size == 8, false, guest),
                }
                let bytes = width.size.min(4) as usize;
                return self.code.extend(&k.to_le_bytes()[..bytes]);
            }
            Ok(register) if width.big && width.size > 1 => {
                self.copy(RDX, register);
                match width.size {
                    2 => dynasm!(self.code; .arch x64; rol dx, 8),
                    4 => dynasm!(self.code; .arch x64; bswap edx),
                    _ => dynasm!(self.code; .arch x64; bswap rdx),
                }
                RDX
            }
            Ok(register) => register,
        };
        match width.size {
            1 => self.with_guest(&[0x88], register, false, true, guest),
            2 => {
                self.code.push(0x66);
                self.with_guest(&[STORE], register, false, false, guest);
            }
            size => self.with_guest(&[STORE], register, size == 8, false, guest),
        }
    }

    /// Clears a block of 128 bytes.
    pub fn clear(&mut self, node: Node) {
        self.address(node.a);
        let registers = self.snapshot();
        self.call(self.shared.clear[usize::from(self.again())]);
        self.leave_unless_equal(registers, node);
    }

    /// Fails as an access would.
    pub fn probe(&mut self, node: Node, bytes: u8, write: bool) {
        self.find_addend(node, bytes, write, |_| {});
    }

    /// Reserves what has just been loaded.
    pub fn reserve(&mut self, node: Node) {
        self.address(node.a);
        self.constant(RDX, node.k);
        self.call(self.shared.reserve);
    }

    /// Stores if that is still reserved.
    pub fn store_conditional(&mut self, node: Node) {
        let value = self.need(node.b);
        self.address(node.a);
        let d = self.destination();
        self.copy(RCX, value);
        self.constant(RDX, node.k);
        self.call(self.shared.conditional);
        self.copy(d, RAX);
        self.settle(Id(self.at), d);
    }
}
