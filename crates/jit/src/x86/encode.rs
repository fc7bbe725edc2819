//! Instructions with a register of the guest, a spilled value or a constant, in their shortest encodings. The
//! assembler does the rest.

use super::emit::Emitter;
use super::memory::Guest;
use dynasmrt::DynasmApi;
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

impl Emitter<'_> {
    fn modrm(&mut self, register: u8, base: u8, displacement: i32) {
        let short = i8::try_from(displacement).is_ok();
        self.code.push((if short { 0x40 } else { 0x80 }) | (register & 7) << 3 | base & 7);
        if base & 7 == 4 {
            self.code.push(0x24);
        }
        if short { self.code.push_i8(displacement as i8) } else { self.code.push_i32(displacement) }
    }

    /// `opcode register, [base + displacement]`, 64 bits.
    pub fn with_memory(&mut self, opcode: u8, register: u8, base: u8, displacement: i32) {
        self.code.push(0x48 | (register >> 3) << 2 | base >> 3);
        self.code.push(opcode);
        self.modrm(register, base, displacement);
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
        self.code.extend(opcode);
        let register = (register & 7) << 3;
        match guest {
            // Without a displacement r13 cannot be a base.
            Guest::Indexed(base) if base & 7 != 5 => self.code.extend(&[register | 4, 0x08 | base & 7]),
            Guest::Indexed(base) => self.code.extend(&[0x40 | register | 4, 0x08 | base & 7, 0]),
            Guest::IndexedNext(base) => self.code.extend(&[0x40 | register | 4, 0x08 | base & 7, 8]),
            Guest::Anchored(0) => self.code.push(register | RCX),
            Guest::Anchored(distance) => self.modrm(register >> 3, RCX, distance),
        }
    }

    /// `mov dword [rsp + at], register`. For rax to rdi.
    pub fn store_stack_word(&mut self, register: u8, at: i32) {
        self.code.push(STORE);
        self.modrm(register, 4, at);
    }

    /// `cmp dword [rsp + at], k`.
    pub fn compare_stack(&mut self, at: i32, k: i32) {
        let short = i8::try_from(k).is_ok();
        self.code.push(if short { 0x83 } else { 0x81 });
        self.modrm(7, 4, at);
        if short { self.code.push_i8(k as i8) } else { self.code.push_i32(k) }
    }

    /// The lower half of a register := the word at a field from `rbp`. For rax to rdi.
    pub fn load_word(&mut self, register: u8, field: i32) {
        self.code.push(LOAD);
        self.modrm(register, 5, field);
    }

    /// A field from `rbp` := a sign-extended constant.
    pub fn store_constant(&mut self, field: i32, k: i32) {
        self.code.extend(&[0x48, 0xc7]);
        self.modrm(0, 5, field);
        self.code.push_i32(k);
    }

    /// `test byte [field from rbp], mask`.
    pub fn test_field(&mut self, field: i32, mask: u8) {
        self.code.push(0xf6);
        self.modrm(0, 5, field);
        self.code.push(mask);
    }

    /// `opcode register, register`: 64 bits, or 32 with the upper half cleared.
    pub fn with_register(&mut self, opcode: u8, register: u8, other: u8, wide: bool) {
        let rex = 0x40 | (wide as u8) << 3 | (register >> 3) << 2 | other >> 3;
        if rex != 0x40 {
            self.code.push(rex);
        }
        self.code.push(opcode);
        self.code.push(0xc0 | (register & 7) << 3 | other & 7);
    }

    /// The same with a constant.
    pub fn with_constant(&mut self, opcode: u8, register: u8, k: i32, wide: bool) {
        let rex = 0x40 | (wide as u8) << 3 | register >> 3;
        if rex != 0x40 {
            self.code.push(rex);
        }
        let (short, modrm) = (i8::try_from(k).is_ok(), 0xc0 | opcode & 0x38 | register & 7);
        self.code.push(if short { 0x83 } else { 0x81 });
        self.code.push(modrm);
        if short { self.code.push_i8(k as i8) } else { self.code.push_i32(k) }
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
        self.code.push(0x48 | (register >> 3) << 2 | other >> 3);
        self.code.extend(&[0x0f, 0x40 | condition, 0xc0 | (register & 7) << 3 | other & 7]);
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
            if register >= 8 {
                self.code.push(0x41);
            }
            self.code.push(0xb8 | register & 7);
            self.code.push_u32(k);
        } else if fits(k) {
            self.code.extend(&[0x48 | register >> 3, 0xc7, 0xc0 | register & 7]);
            self.code.push_i32(k as i32);
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
        if rex != 0x40 {
            self.code.push(rex);
        }
        self.code.extend(&[0xc1, 0xc0 | extension << 3 | register & 7, count]);
    }

    /// Jumps to a fixed place of the host.
    pub fn jump_to(&mut self, to: usize) {
        self.code.push(0xe9);
        self.distance_to(to);
    }

    /// Jumps to a fixed place if the condition holds.
    pub fn jump_if_to(&mut self, condition: u8, to: usize) {
        self.code.extend(&[0x0f, 0x80 | condition]);
        self.distance_to(to);
    }

    /// Calls a fixed place.
    pub fn call(&mut self, to: usize) {
        self.code.push(0xe8);
        self.distance_to(to);
    }

    fn distance_to(&mut self, to: usize) {
        let next = self.base + self.code.offset().0 + 4;
        self.code.push_i32((to as isize - next as isize) as i32);
    }
}
