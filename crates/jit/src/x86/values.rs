//! Values in host registers, and the operations on them.
//!
//! A value is in a register from when it is made, unless it is lazy or a leaf. When registers run out, the one that
//! was used longest ago gives way: its value goes to the guest register that it is the latest value of, if that can
//! be, else to a slot of the stack.

use super::emit::{Emitter, SLOTS_AT};
use super::encode::*;
use crate::ir::{Arithmetic, INVERTED, Id, Node, Op};
use dynasmrt::{DynasmApi, dynasm};
use timebase_isa::{Binary, Relation, Unary};

/// Registers that hold values: rbx, rsi, rdi, r8 to r13, a bit each.
const POOL: u16 = 1 << 3 | 0xff << 6;

/// Numbers of the registers whose bits are set.
fn registers(mut bits: u16) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let register = (bits != 0).then(|| bits.trailing_zeros() as u8)?;
        bits &= bits - 1;
        Some(register)
    })
}

/// No register, no slot.
pub const NOWHERE: u8 = 255;

/// Where a value can be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a host register.
    Register(u8),
    /// In a slot of the stack.
    Slot(u8),
    /// In this guest register.
    Home(u8),
    /// It is this constant.
    Constant(u64),
    /// It is the page's address plus this.
    Here(u64),
}

/// Where values are at a place that leaves: (node, place).
pub type Places<'p> = Option<&'p [(Id, Place)]>;

impl Emitter<'_> {
    /// Where a node's value is, if it has been made and is anywhere.
    pub fn place(&self, id: Id) -> Option<Place> {
        let register = self.known.spots[id.at()].register;
        if register != NOWHERE {
            return Some(Place::Register(register));
        }
        let node = &self.nodes[id.at()];
        match node.op {
            Op::Const => return Some(Place::Constant(node.k)),
            Op::Here => return Some(Place::Here(node.k)),
            _ => {}
        }
        let slot = self.known.spots[id.at()].slot;
        if slot != NOWHERE {
            return Some(Place::Slot(slot));
        }
        if matches!(node.op, Op::Get) && self.known.home[node.k as usize] == id {
            return Some(Place::Home(node.k as u8));
        }
        let latest = self.known.spots[id.at()].latest;
        (latest != NOWHERE && self.known.home[latest as usize] == id).then_some(Place::Home(latest))
    }

    /// Where it is here, or was at a place that leaves.
    fn find(&self, id: Id, places: Places) -> Option<Place> {
        match places {
            None => self.place(id),
            Some(places) => places.iter().find(|(node, _)| *node == id).map(|(_, place)| *place),
        }
    }

    /// register := what is there.
    pub fn fetch(&mut self, register: u8, place: Place) {
        match place {
            Place::Register(other) => self.copy(register, other),
            Place::Slot(slot) => self.with_memory(LOAD, register, 4, SLOTS_AT + 8 * slot as i32),
            Place::Home(guest) => self.with_field(LOAD, register, home(guest)),
            Place::Constant(k) => self.constant(register, k),
            Place::Here(k) => self.here(register, k),
        }
    }

    /// The value is still needed after this node.
    fn lives(&self, id: Id) -> bool {
        self.lives[id.at()].last > self.at
    }

    /// A register whose value may be lost. `dying`: the value may be needed by this node, for the last time.
    pub fn room(&mut self, dying: bool) -> u8 {
        let unlocked = POOL & !self.locked;
        if let Some(register) = registers(unlocked & !self.known.held).next() {
            return register;
        }
        if dying {
            let dies = |&register: &u8| !self.lives(self.known.holds[register as usize]);
            if let Some(register) = registers(self.known.held).find(dies) {
                self.free(register);
                return register;
            }
        }
        let oldest = registers(unlocked).min_by_key(|&register| self.known.used[register as usize]);
        let register = oldest.unwrap_or(POOL.trailing_zeros() as u8);
        self.save(self.known.holds[register as usize], register);
        self.free(register);
        register
    }

    /// The register holds nothing any more.
    fn free(&mut self, register: u8) {
        let id = self.known.holds[register as usize];
        self.known.spots[id.at()].register = NOWHERE;
        self.known.held &= !(1 << register);
    }

    /// Makes sure that a value can be found without its register.
    fn save(&mut self, id: Id, register: u8) {
        let node = self.nodes[id.at()];
        // What the present node needs for the last time may be needed once more: it has not been emitted yet.
        let needed = self.lives[id.at()].last >= self.at;
        if node.op.is_leaf() || self.known.spots[id.at()].slot != NOWHERE || !needed {
            return;
        }
        if matches!(node.op, Op::Get) && self.known.home[node.k as usize] == id {
            return;
        }
        let guest = self.known.spots[id.at()].latest;
        if guest != NOWHERE && !self.lost.contains(&guest) {
            let guest = guest as usize;
            if self.known.home[guest] == id {
                return;
            }
            let old = self.known.home[guest];
            let free = old == Id::NONE
                || self.lives[old.at()].last < self.at
                || self.known.spots[old.at()].register != NOWHERE
                || self.known.spots[old.at()].slot != NOWHERE;
            if self.known.current[guest] == id && free {
                self.with_field(STORE, register, home(guest as u8));
                self.known.home[guest] = id;
                self.clean(guest as u8);
                return;
            }
        }
        let unused = |&slot: &usize| {
            let id = self.known.slots[slot];
            id == Id::NONE || self.lives[id.at()].last < self.at
        };
        let Some(slot) = (0..self.known.slots.len()).find(unused) else {
            self.failed = true;
            return;
        };
        let old = self.known.slots[slot];
        if old != Id::NONE {
            self.known.spots[old.at()].slot = NOWHERE;
        }
        self.known.slots[slot] = id;
        self.known.spots[id.at()].slot = slot as u8;
        self.with_memory(STORE, register, 4, SLOTS_AT + 8 * slot as i32);
    }

    /// The register holds the node's value from now on.
    pub fn hold(&mut self, id: Id, register: u8) {
        self.known.spots[id.at()].register = register;
        self.known.holds[register as usize] = id;
        self.known.held |= 1 << register;
        self.touch(register);
    }

    fn touch(&mut self, register: u8) {
        self.known.clock += 1;
        self.known.used[register as usize] = self.known.clock;
        self.locked |= 1 << register;
    }

    /// Registers whose values are not needed after this node are free.
    pub fn release(&mut self) {
        if self.lives[self.at as usize].ends {
            self.release_dead();
        }
    }

    /// The same whatever is known of this node.
    pub fn release_dead(&mut self) {
        for register in registers(self.known.held) {
            if !self.lives(self.known.holds[register as usize]) {
                self.free(register);
            }
        }
    }

    /// No register holds anything.
    pub fn release_all(&mut self) {
        registers(self.known.held).for_each(|register| self.free(register));
    }

    /// A register that holds the node's value, and keeps it while this node is emitted.
    pub fn need(&mut self, id: Id) -> u8 {
        let register = self.known.spots[id.at()].register;
        if register != NOWHERE {
            self.touch(register);
            return register;
        }
        let place = self.place(id);
        if place.is_none() && matches!(self.nodes[id.at()].op, Op::Test(_) | Op::Bit) {
            let condition = self.condition(id, None);
            // Moves leave the flags alone.
            let register = self.room(false);
            self.set_if(condition, register);
            self.hold(id, register);
            return register;
        }
        if place.is_none() {
            self.evaluate(id, None);
        }
        let register = self.room(false);
        match place.unwrap_or(Place::Register(RAX)) {
            // Whoever makes flags has what they are made of before.
            Place::Constant(0) => self.with_register(XOR, register, register, false),
            place => self.fetch(register, place),
        }
        self.hold(id, register);
        register
    }

    /// A register for the present node's value: that of `a` if it is not needed any more.
    fn result(&mut self, a: Id) -> u8 {
        let id = Id(self.at);
        if a != Id::NONE && !self.lives(a) {
            let register = self.known.spots[a.at()].register;
            if register != NOWHERE {
                self.known.spots[a.at()].register = NOWHERE;
                self.hold(id, register);
                return register;
            }
        }
        let register = self.room(false);
        self.hold(id, register);
        register
    }

    /// The present node's value is in rax.
    fn result_is_rax(&mut self) {
        let register = self.result(Id::NONE);
        self.copy(register, RAX);
    }

    /// Flags := a ? b.
    fn compare(&mut self, a: Id, b: Id, places: Places) {
        if places.is_none() {
            for id in [a, b] {
                if !self.nodes[id.at()].op.is_leaf() {
                    self.need(id);
                }
            }
        }
        let left = match self.find(a, places) {
            Some(Place::Register(register)) => register,
            Some(place) => {
                self.fetch(RAX, place);
                RAX
            }
            None => {
                self.evaluate(a, places);
                RAX
            }
        };
        match self.find(b, places) {
            // test left, left
            Some(Place::Constant(0)) => self.with_register(0x85, left, left, true),
            Some(Place::Constant(k)) if fits(k) => self.with_constant(CMP, left, k as i32, true),
            Some(Place::Register(register)) => self.with_register(CMP, left, register, true),
            Some(Place::Home(guest)) => self.with_field(CMP, left, home(guest)),
            Some(place) => {
                self.fetch(RCX, place);
                self.with_register(CMP, left, RCX, true);
            }
            None => self.fail(),
        }
    }

    /// Something that cannot be: the block is left to the interpreter.
    pub fn fail(&mut self) {
        debug_assert!(self.failed, "a value is nowhere");
        self.failed = true;
    }

    /// Flags := a & mask.
    fn test(&mut self, a: Id, mask: u64, places: Places) {
        match self.find(a, places) {
            Some(Place::Home(guest)) if mask < 256 => self.test_field(home(guest), mask as u8),
            found => {
                let register = match found {
                    Some(Place::Register(register)) => register,
                    Some(place) => {
                        self.fetch(RAX, place);
                        RAX
                    }
                    None => {
                        self.evaluate(a, places);
                        RAX
                    }
                };
                if mask < 128 {
                    dynasm!(self.code; .arch x64; test Rb(register), mask as i8);
                } else if mask >> 31 == 0 {
                    dynasm!(self.code; .arch x64; test Rd(register), mask as i32);
                } else {
                    self.constant(RCX, mask);
                    dynasm!(self.code; .arch x64; test Rq(register), rcx);
                }
            }
        }
    }

    /// The condition code under which the node is true, after what makes the flags.
    pub fn condition(&mut self, id: Id, places: Places) -> u8 {
        let node = self.nodes[id.at()];
        if self.find(id, places).is_none() {
            match node.op {
                Op::Test(relation) => {
                    // A constant is the second operand of the host's comparison, or takes a register.
                    let exchanged = matches!(self.nodes[node.a.at()].op, Op::Const);
                    let (a, b) = if exchanged { (node.b, node.a) } else { (node.a, node.b) };
                    self.compare(a, b, places);
                    let code = match (relation, exchanged) {
                        (Relation::Eq, _) => EQUAL,
                        (Relation::LtU, false) => BELOW,
                        (Relation::LtU, true) => ABOVE,
                        (Relation::LtS, false) => LESS,
                        (Relation::LtS, true) => GREATER,
                    };
                    return code ^ (node.k & 1) as u8;
                }
                Op::Bit => {
                    self.test(node.a, node.k & !INVERTED, places);
                    return NOT_EQUAL ^ (node.k & INVERTED != 0) as u8;
                }
                _ => {}
            }
        }
        let register = match (places, self.find(id, places)) {
            (None, _) => self.need(id),
            (_, Some(Place::Register(register))) => register,
            _ => {
                self.evaluate(id, places);
                RAX
            }
        };
        self.with_register(0x85, register, register, false);
        NOT_EQUAL
    }

    /// rax := the node's value, wherever it is or made from what it is made of.
    pub fn evaluate(&mut self, id: Id, places: Places) {
        if let Some(place) = self.find(id, places) {
            return self.fetch(RAX, place);
        }
        let node = self.nodes[id.at()];
        match node.op {
            Op::Order => {
                self.compare(node.a, node.b, places);
                if self.aside {
                    // Where control leaves, code is to be small.
                    self.call(self.shared.order[if node.k == 1 { 0 } else { 1 }]);
                } else if node.k == 1 {
                    dynasm!(self.code; .arch x64; mov eax, 2; cmovg eax, [rsp]; cmovl eax, [rsp + 4]);
                } else {
                    dynasm!(self.code; .arch x64; mov eax, 2; cmova eax, [rsp]; cmovb eax, [rsp + 4]);
                }
                if node.c != Id::NONE {
                    match self.find(node.c, places) {
                        Some(Place::Home(guest)) => self.with_field(OR, RAX, home(guest)),
                        Some(place) => {
                            self.fetch(RCX, place);
                            self.with_register(OR, RAX, RCX, false);
                        }
                        None => self.fail(),
                    }
                }
            }
            Op::Test(_) | Op::Bit => {
                let condition = self.condition(id, places);
                self.set_if(condition, RAX);
            }
            Op::Unary(op) => {
                self.evaluate(node.a, places);
                match op {
                    Unary::Sext8 => dynasm!(self.code; .arch x64; movsx rax, al),
                    Unary::Sext16 => dynasm!(self.code; .arch x64; movsx rax, ax),
                    Unary::Sext32 => dynasm!(self.code; .arch x64; movsxd rax, eax),
                    _ => self.fail(),
                }
            }
            Op::Binary(op) => self.evaluate_binary(op, node, places),
            _ => self.fail(),
        }
    }

    /// The same for a node that is made where it is needed: its second operand is somewhere.
    fn evaluate_binary(&mut self, op: Arithmetic, node: Node, places: Places) {
        self.evaluate(node.a, places);
        let Some(second) = self.find(node.b, places) else { return self.fail() };
        let opcode = match (op, second) {
            (Arithmetic::Shl, Place::Constant(k)) => return self.shift(4, RAX, k as u8 & 63, true),
            (Arithmetic::Shr, Place::Constant(k)) => return self.shift(5, RAX, k as u8 & 63, true),
            (Arithmetic::Other(Binary::Sar), Place::Constant(k)) => {
                return self.shift(7, RAX, k as u8 & 63, true);
            }
            (Arithmetic::Add, _) => ADD,
            (Arithmetic::Sub, _) => SUB,
            (Arithmetic::And, _) => AND,
            (Arithmetic::Or, _) => OR,
            (Arithmetic::Xor, _) => XOR,
            _ => return self.fail(),
        };
        match second {
            Place::Constant(k) if opcode == AND && k >> 32 == 0 => {
                self.with_constant(opcode, RAX, k as i32, false);
            }
            Place::Constant(k) if fits(k) => self.with_constant(opcode, RAX, k as i32, true),
            Place::Register(register) => self.with_register(opcode, RAX, register, true),
            Place::Home(guest) => self.with_field(opcode, RAX, home(guest)),
            place => {
                self.fetch(RCX, place);
                self.with_register(opcode, RAX, RCX, true);
            }
        }
    }

    /// Emits a node that makes a value.
    pub fn make(&mut self, node: Node) {
        match node.op {
            Op::Unary(op) => self.unary(op, node),
            Op::Binary(op) => self.binary(op, node),
            Op::Select => self.select(node),
            _ => self.fail(),
        }
    }

    fn unary(&mut self, op: Unary, node: Node) {
        let a = self.need(node.a);
        let d = self.result(node.a);
        match op {
            Unary::Sext8 => dynasm!(self.code; .arch x64; movsx Rq(d), Rb(a)),
            Unary::Sext16 => dynasm!(self.code; .arch x64; movsx Rq(d), Rw(a)),
            Unary::Sext32 => dynasm!(self.code; .arch x64; movsxd Rq(d), Rd(a)),
            Unary::Clz => dynasm!(self.code; .arch x64; lzcnt Rq(d), Rq(a)),
            Unary::Clz32 => dynasm!(self.code; .arch x64; lzcnt Rd(d), Rd(a)),
            Unary::Ctz => dynasm!(self.code; .arch x64; tzcnt Rq(d), Rq(a)),
            Unary::Ctz32 => dynasm!(self.code; .arch x64; tzcnt Rd(d), Rd(a)),
            Unary::Popcnt => dynasm!(self.code; .arch x64; popcnt Rq(d), Rq(a)),
            Unary::Bswap16 => {
                dynasm!(self.code; .arch x64; movzx eax, Rw(a); rol ax, 8; mov Rd(d), eax);
            }
            Unary::Bswap32 => dynasm!(self.code; .arch x64; mov Rd(d), Rd(a); bswap Rd(d)),
            Unary::Bswap64 => {
                self.copy(d, a);
                dynasm!(self.code; .arch x64; bswap Rq(d));
            }
        }
    }

    fn binary(&mut self, op: Arithmetic, node: Node) {
        use Arithmetic::*;
        match op {
            Add => self.plain(ADD, node),
            Sub => self.plain(SUB, node),
            And => self.plain(AND, node),
            Or => self.plain(OR, node),
            Xor => self.plain(XOR, node),
            Mul => {
                let a = self.need(node.a);
                match self.small(node.b) {
                    Some(k) => {
                        let d = self.result(node.a);
                        dynasm!(self.code; .arch x64; imul Rq(d), Rq(a), k);
                    }
                    None => {
                        let b = self.need(node.b);
                        let (d, a, b) = self.either(node, a, b);
                        self.copy(d, a);
                        dynasm!(self.code; .arch x64; imul Rq(d), Rq(b));
                    }
                }
            }
            Shl => self.shifted(4, node, true),
            Shr => self.shifted(5, node, true),
            Other(Binary::Sar) => self.shifted(7, node, true),
            Other(Binary::Rotl) => self.shifted(0, node, true),
            Other(Binary::Rotl32) => self.shifted(0, node, false),
            Other(op) => self.product(op, node),
        }
    }

    /// A constant that fits an immediate.
    fn small(&self, id: Id) -> Option<i32> {
        let node = &self.nodes[id.at()];
        (matches!(node.op, Op::Const) && fits(node.k)).then_some(node.k as i32)
    }

    /// A register for the present node's value, and those of its operands, of which the first may be the same: the one
    /// that is free afterwards gives it.
    fn either(&mut self, node: Node, a: u8, b: u8) -> (u8, u8, u8) {
        if self.lives(node.a) && !self.lives(node.b) {
            (self.result(node.b), b, a)
        } else {
            (self.result(node.a), a, b)
        }
    }

    /// add, sub, and, or, xor.
    fn plain(&mut self, opcode: u8, node: Node) {
        let a = self.need(node.a);
        let (known, k) = (matches!(self.nodes[node.b.at()].op, Op::Const), self.nodes[node.b.at()].k);
        if known && opcode == AND && k >> 32 == 0 {
            let d = self.result(node.a);
            match k {
                0xff => dynasm!(self.code; .arch x64; movzx Rd(d), Rb(a)),
                0xffff => dynasm!(self.code; .arch x64; movzx Rd(d), Rw(a)),
                0xffff_ffff => self.with_register(LOAD, d, a, false),
                _ => {
                    if d != a {
                        self.with_register(LOAD, d, a, false);
                    }
                    self.with_constant(AND, d, k as i32, false);
                }
            }
            return;
        }
        if known && fits(k) {
            let d = self.result(node.a);
            if opcode == ADD && d != a {
                self.with_memory(LEA, d, a, k as i32);
            } else {
                self.copy(d, a);
                self.with_constant(opcode, d, k as i32, true);
            }
            return;
        }
        if let Some(Place::Home(guest)) = self.place(node.b)
            && !self.lives(node.b)
        {
            // Used once, straight from where it is.
            let d = self.result(node.a);
            self.copy(d, a);
            return self.with_field(opcode, d, home(guest));
        }
        let b = if known && self.known.spots[node.b.at()].register == NOWHERE {
            self.constant(RCX, k);
            RCX
        } else {
            self.need(node.b)
        };
        let (d, a, b) =
            if opcode == SUB || b == RCX { (self.result(node.a), a, b) } else { self.either(node, a, b) };
        if opcode == ADD && d != a {
            dynasm!(self.code; .arch x64; lea Rq(d), [Rq(a) + Rq(b)]);
        } else {
            self.copy(d, a);
            self.with_register(opcode, d, b, true);
        }
    }

    /// Shifts and rotates.
    fn shifted(&mut self, extension: u8, node: Node, wide: bool) {
        let a = self.need(node.a);
        if let Some(count) = self.small(node.b) {
            let d = self.result(node.a);
            let count = count as u8 & if wide { 63 } else { 31 };
            if d != a || !wide {
                self.with_register(LOAD, d, a, wide);
            }
            return self.shift(extension, d, count, wide);
        }
        let b = self.need(node.b);
        if extension == 0 {
            self.copy(RCX, b);
            let d = self.result(node.a);
            if wide {
                self.copy(d, a);
                dynasm!(self.code; .arch x64; rol Rq(d), cl);
            } else {
                self.with_register(LOAD, d, a, false);
                dynasm!(self.code; .arch x64; rol Rd(d), cl);
            }
            return;
        }
        let d = self.result(node.a);
        match extension {
            4 => dynasm!(self.code; .arch x64; shlx Rq(d), Rq(a), Rq(b)),
            5 => dynasm!(self.code; .arch x64; shrx Rq(d), Rq(a), Rq(b)),
            _ => dynasm!(self.code; .arch x64; sarx Rq(d), Rq(a), Rq(b)),
        }
    }

    /// High products and quotients.
    fn product(&mut self, op: Binary, node: Node) {
        let (a, b) = (self.need(node.a), self.need(node.b));
        match op {
            Binary::MulHu => dynasm!(self.code; .arch x64; mov rax, Rq(a); mul Rq(b); mov rax, rdx),
            Binary::MulHs => dynasm!(self.code; .arch x64; mov rax, Rq(a); imul Rq(b); mov rax, rdx),
            Binary::DivU | Binary::DivS => self.divide(a, b, op == Binary::DivS, true),
            Binary::DivU32 => self.divide(a, b, false, false),
            Binary::DivS32 => {
                self.divide(a, b, true, false);
                dynasm!(self.code; .arch x64; mov eax, eax);
            }
            Binary::Sar | Binary::Rotl | Binary::Rotl32 => self.fail(),
        }
        self.result_is_rax();
    }

    /// rax := a / b; 0 if b is 0.
    fn divide(&mut self, a: u8, b: u8, signed: bool, wide: bool) {
        let (done, division) = (self.label(), self.label());
        dynasm!(self.code; .arch x64; xor eax, eax);
        self.with_register(LOAD, RCX, b, wide);
        self.with_register(0x85, RCX, RCX, wide);
        self.jump_if(EQUAL, done);
        self.with_register(LOAD, RAX, a, wide);
        if signed {
            // The most negative by -1 wraps; the host's division would fault.
            self.with_constant(CMP, RCX, -1, wide);
            self.jump_if(NOT_EQUAL, division);
            if wide {
                dynasm!(self.code; .arch x64; neg rax);
            } else {
                dynasm!(self.code; .arch x64; neg eax);
            }
            self.jump(done);
            self.bind(division);
        }
        match (signed, wide) {
            (false, false) => dynasm!(self.code; .arch x64; xor edx, edx; div ecx),
            (false, true) => dynasm!(self.code; .arch x64; xor edx, edx; div rcx),
            (true, false) => dynasm!(self.code; .arch x64; cdq; idiv ecx),
            (true, true) => dynasm!(self.code; .arch x64; cqo; idiv rcx),
        }
        self.bind(done);
    }

    fn select(&mut self, node: Node) {
        let (yes, no) = (self.need(node.a), self.need(node.b));
        let condition = self.condition(node.c, None);
        // The flags hold: nothing but moves from here. Either operand's register may become the result's.
        let (d, other, condition) = if self.lives(node.b) && !self.lives(node.a) {
            (self.result(node.a), no, condition ^ 1)
        } else {
            let d = self.result(node.b);
            self.copy(d, no);
            (d, yes, condition)
        };
        self.move_if(condition, d, other);
    }
}
