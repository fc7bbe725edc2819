//! Instructions with a register of the guest, a spilled value or a constant, in their shortest encodings. The
//! assembler does the rest.

use super::emit::Emitter;
use super::memory::Guest;
use dynasmrt::{AssemblyOffset, DynasmApi};
use std::mem::{offset_of, size_of};
use timebase_cpu::compiled::{self, Frame, Recent};
use timebase_isa::{Reg, Regs};

/// rcx := the place of what translates the address in a register, from the first translation on:
/// `interpreter::tlb::index`, 32 bytes each.
macro_rules! translation_slot {
    ($code:expr, $register:expr) => {
        // With the register's number the assembler would name it by prefixes that most do not need.
        let (prefix, low): (u8, u8) = (0x41, 0xc8 | $register & 7);
        for (opcode, shift) in [(0x8b, 9), (0x33, 7)] {
            if $register >= 8 {
                $code.push(prefix);
            }
            // mov, xor ecx, register; shr ecx, shift
            $code.extend(&[opcode, low, 0xc1, 0xe9, shift]);
        }
        dynasmrt::dynasm!($code; .arch x64; and ecx, 0x1_ffe0)
    };
}
pub(super) use translation_slot;

/// rcx := the place of the line of jumps to the address in rax, from the first one on: number
/// `(rax >> 4) % JUMP_LINES`, 64 bytes each.
macro_rules! jump_line {
    ($code:expr) => {
        dynasmrt::dynasm!($code; .arch x64; lea ecx, [rax * 4]; and ecx, 0xf_ffc0)
    };
}
pub(super) use jump_line;

/// Host registers by number.
pub const RAX: u8 = 0;
pub const RCX: u8 = 1;
pub const RDX: u8 = 2;

/// `rbp` points so far into [`Regs`], so that the GPRs are within a byte's reach.
pub const BIAS: i32 = 128;

/// Where a register is from `rbp`.
pub fn home(register: u8) -> i32 {
    8 * register as i32 - BIAS
}

/// Where other fields of [`Regs`] and the frame are from `rbp`.
pub const NIA: i32 = offset_of!(Regs, nia) as i32 - BIAS;
pub const MSR: i32 = offset_of!(Regs, msr) as i32 - BIAS;
pub const CFAR: i32 = offset_of!(Regs, cfar) as i32 - BIAS;
const FRAME: i32 = compiled::FRAME as i32 - compiled::REGS as i32 - BIAS;
pub const TRANSLATIONS: i32 = FRAME + offset_of!(Frame, translations) as i32;
pub const JUMPS: i32 = FRAME + offset_of!(Frame, jumps) as i32;
pub const CODE: i32 = FRAME + offset_of!(Frame, code) as i32;
pub const SALT: i32 = FRAME + offset_of!(Frame, salt) as i32;
pub const PATIENCE: i32 = FRAME + offset_of!(Frame, patience) as i32;
/// Where the fields of translation number `number` of those at hand are from `rbp`: how far it reaches, its page, its
/// addend.
pub fn recent(store: bool, number: usize) -> [i32; 3] {
    let kind = offset_of!(Frame, recent) + size_of::<Recent>() * usize::from(store);
    [offset_of!(Recent, reach), offset_of!(Recent, page), offset_of!(Recent, addend)]
        .map(|field| FRAME + (kind + field + 8 * number) as i32)
}
/// The vCPU from `rbp`.
pub const VCPU: i32 = -(compiled::REGS as i32) - BIAS;

const _: () = assert!(offset_of!(Regs, lr) == 8 * Reg::LR.0 as usize);

/// Opcodes of the form `op register, register/memory`.
pub const ADD: u8 = 0x03;
pub const OR: u8 = 0x0b;
pub const AND: u8 = 0x23;
pub const SUB: u8 = 0x2b;
pub const XOR: u8 = 0x33;
pub const CMP: u8 = 0x3b;
pub const LOAD: u8 = 0x8b;
pub const STORE: u8 = 0x89;
pub const LEA: u8 = 0x8d;

/// Condition codes, as `jcc` and `setcc` encode them.
pub const BELOW: u8 = 2;
pub const NOT_BELOW: u8 = 3;
pub const EQUAL: u8 = 4;
pub const NOT_EQUAL: u8 = 5;
pub const ABOVE: u8 = 7;
pub const LESS: u8 = 12;
pub const NOT_LESS: u8 = 13;
pub const GREATER: u8 = 15;

/// The constant fits a sign-extended 32-bit immediate.
pub fn fits(k: u64) -> bool {
    k as i32 as i64 as u64 == k
}

/// Host code that is being made, and where it will stand.
#[derive(Default)]
pub struct Bytes {
    bytes: Vec<u8>,
    base: usize,
}

impl Bytes {
    /// Begins anew.
    pub fn start(&mut self, base: usize) {
        self.bytes.clear();
        self.base = base;
    }

    /// Where the next byte will be on the host.
    pub fn here(&self) -> usize {
        self.base + self.bytes.len()
    }

    /// The bytes so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds the first bytes of a word: an instruction is seldom longer.
    #[inline]
    pub fn word(&mut self, word: u64, count: usize) {
        let end = self.bytes.len() + count;
        self.bytes.extend_from_slice(&word.to_le_bytes());
        self.bytes.truncate(end);
    }

    /// Makes the four bytes before the place `end` of the host the distance from there to `to`.
    pub fn lead(&mut self, end: usize, to: usize) {
        let distance = (to as isize - end as isize) as i32;
        let end = end - self.base;
        self.bytes[end - 4..end].copy_from_slice(&distance.to_le_bytes());
    }
}

impl Extend<u8> for Bytes {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, bytes: T) {
        self.bytes.extend(bytes);
    }
}

impl<'a> Extend<&'a u8> for Bytes {
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, bytes: T) {
        self.bytes.extend(bytes);
    }
}

impl DynasmApi for Bytes {
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.bytes.len())
    }
    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }
    fn align(&mut self, alignment: usize, with: u8) {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), with);
    }
}

/// ModR/M and what follows it for `[base + displacement]`, and how many bytes these are.
fn operand(register: u8, base: u8, displacement: i32) -> (u64, usize) {
    let short = i8::try_from(displacement).is_ok();
    let modrm = (if short { 0x40 } else { 0x80 }) | (register & 7) << 3 | base & 7;
    let (displacement, count) = (displacement as u32 as u64, if short { 1 } else { 4 });
    if base & 7 == 4 {
        (modrm as u64 | 0x24 << 8 | displacement << 16, 2 + count)
    } else {
        (modrm as u64 | displacement << 8, 1 + count)
    }
}

impl Emitter<'_> {
    /// Some bytes and an operand in memory, of which only the first ones may count.
    #[inline]
    fn with_operand(&mut self, first: u64, bytes: usize, (operand, count): (u64, usize)) {
        self.code.word(first | operand << (8 * bytes), bytes + count);
    }

    /// `opcode register, [base + displacement]`, 64 bits.
    pub fn with_memory(&mut self, opcode: u8, register: u8, base: u8, displacement: i32) {
        let rex = 0x48 | (register >> 3) << 2 | base >> 3;
        self.with_operand(rex as u64 | (opcode as u64) << 8, 2, operand(register, base, displacement));
    }

    /// `opcode register, [a field from rbp]`.
    pub fn with_field(&mut self, opcode: u8, register: u8, field: i32) {
        self.with_memory(opcode, register, 5, field);
    }

    /// `opcode register, [guest memory]`. `wide`: 64 bits. A register of one byte may need a prefix to be named.
    pub fn with_guest(&mut self, opcode: &[u8], register: u8, wide: bool, byte: bool, guest: Guest) {
        let base = match guest {
            Guest::Indexed(base) | Guest::IndexedNext(base) => base,
            Guest::Anchored(_) => RCX,
        };
        let rex = 0x40 | (wide as u8) << 3 | (register >> 3) << 2 | base >> 3;
        if rex != 0x40 || byte && register >= 4 {
            self.code.push(rex);
        }
        let opcodes = opcode.iter().rev().fold(0, |word, &byte| word << 8 | byte as u64);
        let named = (register & 7) << 3;
        // The index is rcx.
        let indexed = |mode: u8, base: u8| (mode | named | 4) as u64 | ((0x08 | base & 7) as u64) << 8;
        let operand = match guest {
            // Without a displacement r13 cannot be a base.
            Guest::Indexed(base) if base & 7 != 5 => (indexed(0, base), 2),
            Guest::Indexed(base) => (indexed(0x40, base), 3),
            Guest::IndexedNext(base) => (indexed(0x40, base) | 8 << 16, 3),
            Guest::Anchored(0) => ((named | RCX) as u64, 1),
            Guest::Anchored(distance) => operand(register, RCX, distance),
        };
        self.with_operand(opcodes, opcode.len(), operand);
    }

    /// `mov dword [rsp + at], register`. For rax to rdi.
    pub fn store_stack_word(&mut self, register: u8, at: i32) {
        self.with_operand(STORE as u64, 1, operand(register, 4, at));
    }

    /// `cmp dword [rsp + at], k`.
    pub fn compare_stack(&mut self, at: i32, k: i32) {
        let short = i8::try_from(k).is_ok();
        self.with_operand(if short { 0x83 } else { 0x81 }, 1, operand(7, 4, at));
        self.code.word(k as u64, if short { 1 } else { 4 });
    }

    /// The lower half of a register := the word at a field from `rbp`. For rax to rdi.
    pub fn load_word(&mut self, register: u8, field: i32) {
        self.with_operand(LOAD as u64, 1, operand(register, 5, field));
    }

    /// A field from `rbp` := a sign-extended constant.
    pub fn store_constant(&mut self, field: i32, k: i32) {
        self.with_operand(0xc748, 2, operand(0, 5, field));
        self.code.word(k as u64, 4);
    }

    /// `test byte [field from rbp], mask`.
    pub fn test_field(&mut self, field: i32, mask: u8) {
        self.with_operand(0xf6, 1, operand(0, 5, field));
        self.code.push(mask);
    }

    /// An instruction of up to 7 bytes without and 8 with a prefix, which is left out if it says nothing.
    #[inline]
    fn prefixed(&mut self, rex: u8, word: u64, bytes: usize) {
        if rex == 0x40 {
            self.code.word(word, bytes)
        } else {
            self.code.word(rex as u64 | word << 8, bytes + 1)
        }
    }

    /// `opcode register, register`: 64 bits, or 32 with the upper half cleared.
    pub fn with_register(&mut self, opcode: u8, register: u8, other: u8, wide: bool) {
        let rex = 0x40 | (wide as u8) << 3 | (register >> 3) << 2 | other >> 3;
        self.prefixed(rex, opcode as u64 | ((0xc0 | (register & 7) << 3 | other & 7) as u64) << 8, 2);
    }

    /// The same with a constant.
    pub fn with_constant(&mut self, opcode: u8, register: u8, k: i32, wide: bool) {
        let rex = 0x40 | (wide as u8) << 3 | register >> 3;
        let (short, modrm) = (i8::try_from(k).is_ok(), 0xc0 | opcode & 0x38 | register & 7);
        let word = (if short { 0x83 } else { 0x81 }) | (modrm as u64) << 8 | (k as u32 as u64) << 16;
        self.prefixed(rex, word, if short { 3 } else { 6 });
    }

    /// register := 1 if the condition holds, else 0: setcc, movzx.
    pub fn set_if(&mut self, condition: u8, register: u8) {
        // The lower bytes of rsi, rdi need a prefix to be named.
        if register >= 4 {
            self.code.push(0x40 | register >> 3);
        }
        self.code.extend(&[0x0f, 0x90 | condition, 0xc0 | register & 7]);
        if register >= 4 {
            self.code.push(0x40 | (register >> 3) << 2 | register >> 3);
        }
        self.code.extend(&[0x0f, 0xb6, 0xc0 | (register & 7) << 3 | register & 7]);
    }

    /// register := other if the condition holds: cmovcc.
    pub fn move_if(&mut self, condition: u8, register: u8, other: u8) {
        let rex = 0x48 | (register >> 3) << 2 | other >> 3;
        self.code.extend(&[rex, 0x0f, 0x40 | condition, 0xc0 | (register & 7) << 3 | other & 7]);
    }

    /// register := other.
    pub fn copy(&mut self, register: u8, other: u8) {
        if register != other {
            self.with_register(LOAD, register, other, true);
        }
    }

    /// register := k.
    pub fn constant(&mut self, register: u8, k: u64) {
        if let Ok(k) = u32::try_from(k) {
            self.prefixed(0x40 | register >> 3, (0xb8 | register & 7) as u64 | (k as u64) << 8, 5);
        } else if fits(k) {
            let (rex, modrm) = (0x48 | register >> 3, 0xc0 | register & 7);
            self.prefixed(rex, 0xc7 | (modrm as u64) << 8 | k << 16, 6);
        } else {
            self.code.extend(&[0x48 | register >> 3, 0xb8 | register & 7]);
            self.code.push_u64(k);
        }
    }

    /// register := effective address of the page's start + k.
    pub fn here(&mut self, register: u8, k: u64) {
        if k == 0 {
            self.copy(register, 14);
        } else if fits(k) {
            self.with_memory(LEA, register, 14, k as i32);
        } else {
            self.constant(register, k);
            self.with_register(ADD, register, 14, true);
        }
    }

    /// Shifts and rotates by a constant: `extension` is rol 0, shl 4, shr 5, sar 7.
    pub fn shift(&mut self, extension: u8, register: u8, count: u8, wide: bool) {
        let rex = 0x40 | (wide as u8) << 3 | register >> 3;
        let modrm = 0xc0 | extension << 3 | register & 7;
        self.prefixed(rex, 0xc1 | (modrm as u64) << 8 | (count as u64) << 16, 3);
    }

    /// Jumps to a fixed place of the host.
    pub fn jump_to(&mut self, to: usize) {
        self.lead_to(0xe9, 1, to);
    }

    /// Jumps to a fixed place if the condition holds.
    pub fn jump_if_to(&mut self, condition: u8, to: usize) {
        self.lead_to(0x800f | (condition as u64) << 8, 2, to);
    }

    /// Calls a fixed place.
    pub fn call(&mut self, to: usize) {
        self.lead_to(0xe8, 1, to);
    }

    /// An opcode, and the distance from there to a place of the host.
    fn lead_to(&mut self, opcode: u64, bytes: usize, to: usize) {
        let next = self.code.here() + bytes + 4;
        let distance = (to as isize - next as isize) as u32;
        self.code.word(opcode | (distance as u64) << (8 * bytes), bytes + 4);
    }
}
