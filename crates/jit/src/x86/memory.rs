//! Storage accesses: looked up in the translations of the current context, by the same rule as in the interpreter.

use super::emit::{Aside, Emitter, Registers, Stub};
use super::encode::*;
use super::values::NOWHERE;
use crate::ir::{Arithmetic, Id, Node, Op, Width};
use crate::live::ALONE;
use dynasmrt::{DynasmApi, dynasm};
use std::mem::{offset_of, size_of};
use timebase_cpu::compiled::{TRANSLATIONS as COUNT, Translated};

const _: () = assert!(size_of::<Translated>() == 32 && COUNT == 4096);
const ADDEND: i8 = offset_of!(Translated, addend) as i8;

impl Emitter<'_> {
    /// rax := the effective address.
    fn address(&mut self, id: Id) {
        let node = self.nodes[id.at()];
        if !self.lives.folded[id.at()] || self.known.register[id.at()] != NOWHERE {
            return match self.place(id) {
                Some(place) => self.fetch(RAX, place),
                None => self.evaluate(id, None),
            };
        }
        debug_assert!(node.op == Op::Binary(Arithmetic::Add));
        let a = self.need(node.a);
        let displacement = self.nodes[node.b.at()];
        if displacement.op == Op::Const && fits(displacement.k) {
            self.with_memory(LEA, RAX, a, displacement.k as i32);
        } else {
            let b = self.need(node.b);
            dynasm!(self.code; .arch x64; lea rax, [Rq(a) + Rq(b)]);
        }
    }

    /// Makes the effective address, and notes what registers are if the access fails. What makes room for the result
    /// comes after it and does not touch what was noted.
    fn begin(&mut self, address: Id) -> Registers {
        self.address(address);
        self.snapshot()
    }

    /// Notes where the present access's page begins, whose tag is in rdx, and its addend (rcx), for the others of its group.
    fn note_page(&mut self, group: u8) {
        self.shift(4, RDX, 12, true);
        self.with_memory(STORE, RDX, 4, 16 * group as i32);
        self.with_memory(STORE, RCX, 4, 16 * group as i32 + 8);
    }

    /// rcx := the addend of the translation of the address in rax: what its group has found, or by a look-up.
    fn translate(&mut self, bytes: u8, store: bool, point: u64, registers: Registers) {
        let group = self.lives.group[self.at as usize];
        if group == ALONE || self.known.found >> group & 1 == 0 {
            self.look_up(bytes, store, point, registers);
            dynasm!(self.code; .arch x64; mov rcx, [BYTE rcx + ADDEND]);
            if group != ALONE {
                self.note_page(group);
                self.known.found |= 1 << group;
            }
            return;
        }
        let (label, back) = (self.label(), self.label());
        // No byte may be before the page either: what is there on the host is another one's.
        self.copy(RDX, RAX);
        self.with_memory(SUB, RDX, 4, 16 * group as i32);
        self.with_constant(CMP, RDX, 4096 - bytes as i32, true);
        self.jump_if(ABOVE, label);
        self.with_memory(LOAD, RCX, 4, 16 * group as i32 + 8);
        self.bind(back);
        let aside = Aside::Find { back, store, bytes, group };
        self.stubs.push(Stub { label, aside, registers, point: point as u32 });
    }

    /// rcx := the place of the translation of the address in rax. Leaves for the stub if that does not translate all
    /// the bytes.
    fn look_up(&mut self, bytes: u8, store: bool, point: u64, registers: Registers) {
        let (label, retry) = (self.label(), self.label());
        self.bind(retry);
        translation_slot!(self.code);
        self.with_field(ADD, RCX, TRANSLATIONS);
        self.last_page(bytes);
        if store {
            dynasm!(self.code; .arch x64; cmp rdx, [rcx + 8]);
            self.jump_if(NOT_EQUAL, label);
        } else {
            dynasm!(self.code; .arch x64; cmp rdx, [rcx]);
            self.jump_if(NOT_EQUAL, label);
        }
        let aside = Aside::Fill { back: retry, store, again: self.known.found != 0 };
        self.stubs.push(Stub { label, aside, registers, point: point as u32 });
    }

    /// rdx := the tag of the page of the last byte: what crosses into the next page does not match.
    fn last_page(&mut self, bytes: u8) {
        if bytes > 1 {
            self.with_memory(LEA, RDX, RAX, bytes as i32 - 1);
        } else {
            self.copy(RDX, RAX);
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
        let registers = self.begin(node.a);
        let d = self.destination();
        self.translate(width.size, false, node.k, registers);
        self.read(d, width, 0);
        self.settle(Id(self.at), d);
    }

    /// A load of two values.
    pub fn load_pair(&mut self, node: Node, width: Width) {
        let registers = self.begin(node.a);
        let (first, second) = (self.destination(), self.destination());
        self.translate(16, false, node.k, registers);
        self.read(first, width, 0);
        self.read(second, width, 8);
        self.settle(Id(self.at), first);
        self.settle(Id(self.at + 1), second);
    }

    /// The register holds the value if somebody needs it.
    pub fn settle(&mut self, id: Id, register: u8) {
        if self.lives.last[id.at()] > self.at {
            self.hold(id, register);
        }
    }

    fn read(&mut self, d: u8, width: Width, offset: i8) {
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
        self.with_guest(opcode, d, signed || width.size == 8, false, offset);
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
        let registers = self.begin(node.a);
        let bytes = if second.is_some() { 16 } else { width.size };
        self.translate(bytes, true, node.k, registers);
        self.write(first, width, 0);
        if let Some(second) = second {
            self.write(second, width, 8);
        }
    }

    /// A value to be stored: a register, or a constant that fits an immediate, in the order of its bytes.
    fn stored(&mut self, id: Id, width: Width) -> Result<u8, i32> {
        let node = self.nodes[id.at()];
        if node.op == Op::Const {
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

    fn write(&mut self, value: Result<u8, i32>, width: Width, offset: i8) {
        let register = match value {
            Err(k) => {
                match width.size {
                    1 => self.with_guest(&[0xc6], 0, false, false, offset),
                    2 => self.with_guest(&[0x66, 0xc7], 0, false, false, offset),
                    size => self.with_guest(&[0xc7], 0, size == 8, false, offset),
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
            1 => self.with_guest(&[0x88], register, false, true, offset),
            2 => {
                self.code.push(0x66);
                self.with_guest(&[STORE], register, false, false, offset);
            }
            size => self.with_guest(&[STORE], register, size == 8, false, offset),
        }
    }

    /// Clears a block of 128 bytes.
    pub fn zero(&mut self, node: Node) {
        let registers = self.begin(node.a);
        self.look_up(128, true, node.k, registers);
        dynasm!(self.code; .arch x64; add rax, [BYTE rcx + ADDEND]; xorps xmm0, xmm0);
        for offset in (0..8i8).map(|n| n * 16) {
            dynasm!(self.code; .arch x64; movups [BYTE rax + offset], xmm0);
        }
    }

    /// Fails as an access would.
    pub fn probe(&mut self, node: Node, bytes: u8, write: bool) {
        let registers = self.begin(node.a);
        self.look_up(bytes, write, node.k, registers);
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
