//! Memory for host code, and the way in and out of it.
//!
//! The memory is a file that is mapped twice: where it is executed it is never writable, and where it is written it is
//! never executed. (Written as a file is, it would need no second place; but each superblock would take two calls of
//! the host's kernel, a sixth of the time that compiling takes.)

use super::emit::{
    BUDGET, Code, DONE, EXCHANGED, INTERPRET, LOOK, ORDERS, OVER, SIZES, SLOTS, SLOTS_AT, Shared,
};
use super::encode::{
    BIAS, CODE, EQUAL, JUMPS, NIA, PATIENCE, RAX, SALT, TRANSLATIONS, VCPU, jump_line, recent,
    translation_slot,
};
use super::float::{BYTES, LIMITS};
use super::memory::anchor_at;
use crate::live::GROUPS;
use dynasmrt::x64::X64Relocation;
use dynasmrt::{AssemblyOffset, DynasmApi, DynasmLabelApi, VecAssembler, dynasm};
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};
use std::mem::offset_of;
use std::ptr;
use timebase_cpu::Vcpu;
use timebase_cpu::compiled::{CALLS, Entry, Frame, JUMP_WAYS, Leave, RECENT, Recent, Translated};

/// Bytes of host code at most; they are touched as they are filled.
const ROOM: usize = 64 << 20;
/// Where code begins that is apart from the straight way: so what is executed stands close together.
const ASIDE: usize = 28 << 20;
/// Ways into other pages that are looked up before one of them is made to lead on.
const PATIENT: i32 = 63;
/// Bytes of new code after which pages are taken out of the mapping through which they were written: they are in memory
/// once, but the host counts them for each mapping that has them.
const STEP: usize = 4 << 20;
/// What a superblock may take.
pub const LARGEST: usize = 256 << 10;
/// Of the stack, so that calls find it aligned.
const STACK: i32 = SLOTS_AT + 8 * (SLOTS + EXCHANGED) as i32;
const _: () = assert!(STACK % 16 == 8);

/// What compiled code gives back.
#[repr(C)]
struct Back {
    reason: u64,
    rest: u64,
}

type Enter = unsafe extern "sysv64" fn(registers: *mut u8, budget: u64, entry: Entry) -> Back;

/// A mapping of the memory.
struct Mapping(*mut u8);

impl Mapping {
    fn new(file: &OwnedFd, protection: ProtFlags) -> Option<Mapping> {
        // SAFETY: a new mapping of a file that nobody else has.
        let place = unsafe { mmap(ptr::null_mut(), ROOM, protection, MapFlags::SHARED, file, 0) };
        Some(Mapping(place.ok()?.cast()))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nothing runs there.
        let _ = unsafe { munmap(self.0.cast(), ROOM) };
    }
}

/// Host code.
pub struct Native {
    execute: Mapping,
    write: Mapping,
    /// Bytes that are taken of the straight code, which stands first, and where what is apart from it ends.
    used: usize,
    used_aside: usize,
    /// Bytes added since pages were last taken out of the mapping for writing.
    added: usize,
    /// What is never forgotten: the shared code.
    kept: usize,
    enter: Enter,
    /// Where the shared code is.
    pub shared: Shared,
}

// SAFETY: both mappings belong to this alone.
unsafe impl Send for Native {}

impl Native {
    /// Maps the memory. None: the host does not allow it.
    pub fn new() -> Option<Native> {
        let file = memfd_create("timebase-jit", MemfdFlags::CLOEXEC).ok()?;
        ftruncate(&file, ROOM as u64).ok()?;
        let execute = Mapping::new(&file, ProtFlags::READ | ProtFlags::EXEC)?;
        let write = Mapping::new(&file, ProtFlags::WRITE)?;
        let (code, shared, enter) = shared_code(execute.0 as usize)?;
        // SAFETY: the shared code is at `enter`, written just below, before anybody can call it.
        let enter = unsafe { std::mem::transmute::<*const u8, Enter>(execute.0.wrapping_add(enter)) };
        let mut native =
            Native { execute, write, used: 0, used_aside: ASIDE, added: 0, kept: 0, enter, shared };
        native.add(&Code { straight: &code, aside: &[] })?;
        native.kept = native.used;
        Some(native)
    }

    /// Where the memory begins.
    pub fn base(&self) -> Entry {
        self.execute.0
    }

    /// Where the next code will stand: the straight one, and the rest.
    pub fn next(&self) -> (usize, usize) {
        (self.base() as usize + self.used, self.base() as usize + self.used_aside)
    }

    /// Adds code that was made for [`Native::next`].
    pub fn add(&mut self, code: &Code) -> Option<Entry> {
        if code.straight.len() > ASIDE - self.used || code.aside.len() > ROOM - self.used_aside {
            return None;
        }
        let entry = self.base().wrapping_add(self.used);
        let straight = self.put(self.used, code.straight)?;
        self.used_aside = self.put(self.used_aside, code.aside)?;
        self.used = straight;
        self.added += code.straight.len() + code.aside.len();
        if self.added > STEP {
            self.added = 0;
            // SAFETY: the mapping is this one's, nobody refers into it, and its content is the file's. If the host does not
            // take the advice, no more than its count of pages is as it was.
            let _ = unsafe { madvise(self.write.0.cast(), ROOM, Advice::LinuxDontNeed) };
        }
        Some(entry)
    }

    /// Puts bytes at an offset, and tells where the next ones may stand. None: there is no room for them.
    fn put(&mut self, at: usize, bytes: &[u8]) -> Option<usize> {
        let end = at.checked_add(bytes.len()).filter(|&end| end <= ROOM)?;
        // SAFETY: it is within the memory that can be written. While this runs, nobody executes it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.write.0.add(at), bytes.len()) };
        Some(end.next_multiple_of(16))
    }

    /// There may be no room for the largest superblock.
    pub fn full(&self) -> bool {
        self.used + LARGEST > ASIDE || self.used_aside + LARGEST > ROOM
    }

    /// Forgets all but the shared code.
    pub fn clear(&mut self) {
        self.used = self.kept;
        self.used_aside = ASIDE;
    }

    /// Makes the superblock at `old` lead to the one at `new`. Nothing runs; its first instruction is no longer than a
    /// jump, and nothing leads to the second one.
    pub fn replace(&mut self, old: Entry, new: Entry) {
        let offset = (old as usize).wrapping_sub(self.base() as usize);
        if offset < self.kept || offset > self.used - 5 {
            return;
        }
        let mut jump = [0xe9; 5];
        jump[1..].copy_from_slice(&distance(old as usize + 5, new));
        self.put(offset, &jump);
    }

    /// Makes the jump whose distance stands at `site` lead to `to`.
    pub fn link(&mut self, site: usize, to: Entry) {
        if let Some(offset) = self.site(site) {
            self.put(offset, &distance(site + 4, to));
        }
    }

    /// The offset of a jump's distance in the memory, if it is one of a superblock's.
    fn site(&self, site: usize) -> Option<usize> {
        let offset = site.wrapping_sub(self.base() as usize);
        (self.kept..=self.used_aside - 4).contains(&offset).then_some(offset)
    }

    /// Makes the way at `site` into another page lead to `to` while the salt is `salt`.
    pub fn bridge(&mut self, site: usize, to: Entry, salt: u32) {
        let Some(offset) = self.site(site) else { return };
        let mut way = [0, 0, 0, 0, 0x0f, 0x80 | EQUAL, 0, 0, 0, 0];
        way[..4].copy_from_slice(&salt.to_le_bytes());
        way[6..].copy_from_slice(&distance(site + 4, to));
        self.put(offset - 6, &way);
    }

    /// Makes the way at `site` into another page be looked up.
    pub fn unbridge(&mut self, site: usize) {
        if let Some(offset) = self.site(site) {
            self.put(offset - 6, &Frame::NO_SALT.to_le_bytes());
        }
    }

    /// Runs code.
    ///
    /// # Safety
    /// `entry` was added since the last [`Native::clear`], and `cpu` is as its code expects.
    pub unsafe fn enter(&self, entry: Entry, cpu: &mut Vcpu, budget: u64) -> (Leave, u64) {
        let registers = (&raw mut *cpu).cast::<u8>().wrapping_offset(-VCPU as isize);
        debug_assert_eq!(registers, (&raw mut cpu.regs).cast::<u8>().wrapping_add(BIAS as usize));
        // SAFETY: promised by the caller.
        let Back { reason, rest } = unsafe { (self.enter)(registers, budget, entry) };
        let leave = match reason {
            LOOK => Leave::Look,
            INTERPRET => Leave::Interpret,
            BUDGET => Leave::Budget,
            DONE => Leave::Done,
            site if site & OVER != 0 => Leave::Bridge((site & !OVER) as usize),
            site => Leave::Link(site as usize),
        };
        (leave, rest)
    }
}

/// What a jump that ends at `from` needs to lead to `to`.
fn distance(from: usize, to: Entry) -> [u8; 4] {
    ((to as isize - from as isize) as i32).to_le_bytes()
}

/// Makes the translation of the bytes at rax by the code at `$fill`, and looks again; or returns without the zero flag.
macro_rules! fill_and_look_again {
    ($code:expr, $fill:expr) => {
        dynasm!($code; .arch x64
            // With two addresses to return to the stack is aligned.
            ; sub rsp, 8
            ; mov rcx, QWORD $fill as i64
            ; call rcx
            ; lea rsp, [rsp + 8]
            ; jne <again
            ; test rsp, rsp
            ; ret
        )
    };
}

/// The code that all superblocks share, which will stand at `base`: its places, and the offset of the way in.
fn shared_code(base: usize) -> Option<(Vec<u8>, Shared, usize)> {
    let mut code: VecAssembler<X64Relocation> = VecAssembler::new(base);
    let place = |offset: AssemblyOffset| base + offset.0;

    let enter = code.offset().0;
    dynasm!(code; .arch x64
        ; push rbp; push rbx; push r12; push r13; push r14; push r15
        ; sub rsp, STACK
        ; mov DWORD [rsp], ORDERS[0] as i32
        ; mov DWORD [rsp + 4], ORDERS[1] as i32
        ; mov rbp, rdi
        ; mov r15, rsi
        ; mov r14, [rbp + NIA]
        ; and r14, -4096
        ; jmp rdx
    );
    dynasm!(code; .arch x64
        ; ->leave:
        ; mov rdx, r15
        ; add rsp, STACK
        ; pop r15; pop r14; pop r13; pop r12; pop rbx; pop rbp
        ; ret
    );
    let leave_at = [LOOK, BUDGET].map(|reason| {
        let start = place(code.offset());
        dynasm!(code; .arch x64
            ; add rax, r14
            ; mov [rbp + NIA], rax
            ; mov eax, reason as i32
            ; jmp ->leave
        );
        start
    });
    let interpret = place(code.offset());
    dynasm!(code; .arch x64
        ; movzx eax, dx
        ; shr edx, 16
        ; add r15, rdx
        ; add rax, r14
        ; mov [rbp + NIA], rax
        ; mov eax, INTERPRET as i32
        ; jmp ->leave
    );
    let link = place(code.offset());
    dynasm!(code; .arch x64
        ; add rax, r14
        ; mov [rbp + NIA], rax
        ; pop rdx
        ; movsxd rax, ecx
        ; add rax, rdx
        ; jmp ->leave
    );
    let done = place(code.offset());
    dynasm!(code; .arch x64; mov eax, DONE as i32; jmp ->leave);
    let order = [true, false].map(|signed| {
        let start = place(code.offset());
        // Moves leave the flags alone.
        dynasm!(code; .arch x64; mov eax, 2; mov ecx, 4);
        if signed {
            dynasm!(code; .arch x64; cmovg eax, ecx; mov ecx, 8; cmovl eax, ecx; ret);
        } else {
            dynasm!(code; .arch x64; cmova eax, ecx; mov ecx, 8; cmovb eax, ecx; ret);
        }
        start
    });
    let outside = place(code.offset());
    dynasm!(code; .arch x64
        ; ->outside:
        ; mov [rbp + NIA], rax
        ; mov eax, LOOK as i32
        ; jmp ->leave
    );
    let far = place(code.offset());
    dynasm!(code; .arch x64; ->far:);
    jump_line!(code);
    dynasm!(code; .arch x64
        ; add rcx, [rbp + JUMPS]
        ; cmp rax, [rcx]
        ; jne ->ways
        ; mov edx, [rbp + SALT]
        ; cmp edx, [rcx + 12]
        ; jne ->ways
        ; mov ecx, [rcx + 8]
        ; ->found:
        ; add rcx, [rbp + CODE]
        ; mov r14, rax
        ; and r14, -4096
        ; jmp rcx
    );
    let over = place(code.offset());
    dynasm!(code; .arch x64
        ; pop rdx
        ; movzx eax, WORD [rdx]
        ; add rax, r14
        ; dec DWORD [rbp + PATIENCE]
        ; jns ->far
        ; mov DWORD [rbp + PATIENCE], PATIENT
        ; mov [rbp + NIA], rax
        // Before the call of five bytes.
        ; lea rax, [rdx - 9]
        ; bts rax, BYTE OVER.trailing_zeros() as i8
        ; jmp ->leave
    );
    let ways = place(code.offset());
    dynasm!(code; .arch x64; ->ways:; mov edx, [rbp + SALT]);
    for jump in (1..JUMP_WAYS as i8).map(|way| 16 * way) {
        dynasm!(code; .arch x64
            ; cmp rax, [BYTE rcx + jump]
            ; jne >other
            ; cmp edx, [BYTE rcx + jump + 12]
            ; jne >other
            ; mov ecx, [BYTE rcx + jump + 8]
            ; jmp ->found
            ; other:
        );
    }
    dynasm!(code; .arch x64; jmp ->outside);
    let mut fill = |function: usize, again: i32| {
        let start = place(code.offset());
        dynasm!(code; .arch x64
            ; mov rcx, rax
            ; shr rcx, 12
            ; cmp rcx, rdx
            ; jne >crosses
            // With the address to return to these are 64 bytes: the stack is aligned.
            ; push rax; push rsi; push rdi; push r8; push r9; push r10; push r11
            ; lea rdi, [rbp + VCPU]
            ; mov rsi, rax
            ; mov edx, again
            ; mov rax, QWORD function as i64
            ; call rax
            ; mov rcx, rax
            ; pop r11; pop r10; pop r9; pop r8; pop rdi; pop rsi; pop rax
            ; test ecx, ecx
            ; ret
            ; crosses:
            ; xor ecx, ecx
            ; ret
        );
        start
    };
    let fill_load = fill(CALLS.fill_load as usize, 0);
    let fill_store = fill(CALLS.fill_store as usize, 0);
    let refill_load = fill(CALLS.fill_load as usize, 1);
    let refill_store = fill(CALLS.fill_store as usize, 1);
    let fill_clear = [0, 1].map(|again| fill(CALLS.fill_clear as usize, again));
    let numbers: [usize; GROUPS] = std::array::from_fn(|number| number);
    let mut look_up = |fill: usize, store: bool, bytes: u8, anchor: Option<usize>| {
        let tag = if store { offset_of!(Translated, write) } else { offset_of!(Translated, read) } as i8;
        // It lies in one line of the host's cache.
        dynasm!(code; .arch x64; .align 64);
        let start = place(code.offset());
        dynasm!(code; .arch x64; again:);
        translation_slot!(code, RAX);
        dynasm!(code; .arch x64
            ; add rcx, [rbp + TRANSLATIONS]
            ; lea rdx, [rax + i32::from(bytes) - 1]
            ; shr rdx, 12
            ; cmp rdx, [BYTE rcx + tag]
            ; jne >unknown
            ; mov rcx, [rcx + 16]
        );
        if let Some(number) = anchor {
            // Above the address to return to.
            let noted = 8 + anchor_at(number);
            dynasm!(code; .arch x64
                ; add rcx, rax
                ; mov [rsp + noted + 8], rcx
                ; and eax, 0xfff
                ; mov [rsp + noted], eax
                ; or eax, -4096
                ; mov [rsp + noted + 4], eax
                ; cmp eax, eax
            );
        }
        dynasm!(code; .arch x64
            ; ret
            ; unknown:
        );
        fill_and_look_again!(code, fill);
        start
    };
    let mut look_ups = |anchor: Option<usize>| {
        [(false, [fill_load, refill_load]), (true, [fill_store, refill_store])]
            .map(|(store, fills)| fills.map(|fill| SIZES.map(|bytes| look_up(fill, store, bytes, anchor))))
    };
    let look_up = look_ups(None);
    let anchor = numbers.map(|number| look_ups(Some(number)));
    let mut find = |refill: usize, store: bool, number: usize| {
        let tag = if store { offset_of!(Translated, write) } else { offset_of!(Translated, read) } as i8;
        // Above the address to return to.
        let noted = 8 + anchor_at(number);
        let start = place(code.offset());
        dynasm!(code; .arch x64
            ; push rdx
            ; again:
            ; mov edx, [rsp]
            ; and edx, 31
            ; add rdx, rax
            ; shr rdx, 12
        );
        translation_slot!(code, RAX);
        dynasm!(code; .arch x64
            ; add rcx, [rbp + TRANSLATIONS]
            ; cmp rdx, [BYTE rcx + tag]
            ; jne >unknown
            ; pop rdx
            ; movsxd rdx, edx
            ; sar rdx, 5
            ; sub rax, rdx
            // The anchor; rdx becomes the address again.
            ; add rdx, rax
            ; xor rdx, rax
            ; mov rcx, [rcx + 16]
            ; add rcx, rax
            ; shr rdx, 12
            ; jne >apart
            ; mov [rsp + noted + 8], rcx
            ; and eax, 0xfff
            ; mov [rsp + noted], eax
            ; or eax, -4096
            ; mov [rsp + noted + 4], eax
            ; apart:
            // The zero flag is not set.
            ; test rsp, rsp
            ; ret
            ; unknown:
            // With the address to return to and what was pushed the stack is aligned.
            ; mov rcx, QWORD refill as i64
            ; call rcx
            ; jne <again
            ; pop rdx
            ; ret
        );
        start
    };
    let find_load = numbers.map(|number| find(refill_load, false, number));
    let find_store = numbers.map(|number| find(refill_store, true, number));
    let mut keep = |refill: usize, store: bool, number: usize| {
        let tag = if store { offset_of!(Translated, write) } else { offset_of!(Translated, read) } as i8;
        let [reach, page, addend] = recent(store, number);
        let start = place(code.offset());
        dynasm!(code; .arch x64; again:);
        translation_slot!(code, RAX);
        dynasm!(code; .arch x64
            ; add rcx, [rbp + TRANSLATIONS]
            ; cmp rdx, [BYTE rcx + tag]
            ; jne >unknown
            ; mov rcx, [rcx + 16]
            ; mov [rbp + addend], rcx
            ; shl rdx, 12
            ; mov [rbp + page], rdx
            ; mov QWORD [rbp + reach], Recent::REACH as i32
            // The zero flag is not set.
            ; test rsp, rsp
            ; ret
            ; unknown:
            ; push rdx
            ; mov rcx, QWORD refill as i64
            ; call rcx
            ; pop rdx
            ; jne <again
            ; ret
        );
        start
    };
    let numbers: [usize; RECENT] = std::array::from_fn(|number| number);
    let recall = [(false, [fill_load, refill_load]), (true, [fill_store, refill_store])]
        .map(|(store, fills)| fills.map(|fill| numbers.map(|number| keep(fill, store, number))));
    let clear = fill_clear.map(|fill| {
        let start = place(code.offset());
        dynasm!(code; .arch x64; again:);
        translation_slot!(code, RAX);
        dynasm!(code; .arch x64
            ; add rcx, [rbp + TRANSLATIONS]
            ; mov rdx, rax
            ; shr rdx, 12
            ; cmp rdx, [BYTE rcx + offset_of!(Translated, write) as i8]
            ; jne >other
            ; mov rcx, [rcx + 16]
            ; add rcx, rax
            ; xorps xmm0, xmm0
        );
        for offset in (0..8i8).map(|n| n * 16) {
            dynasm!(code; .arch x64; movups [BYTE rcx + offset], xmm0);
        }
        dynasm!(code; .arch x64
            ; cmp eax, eax
            ; ret
            ; other:
            // No bytes, no work.
            ; bts rdx, BYTE Translated::CLEAR.trailing_zeros() as i8
            ; cmp rdx, [BYTE rcx + offset_of!(Translated, write) as i8]
            ; jne >unknown
            ; ret
            ; unknown:
            ; btr rdx, BYTE Translated::CLEAR.trailing_zeros() as i8
        );
        fill_and_look_again!(code, fill);
        start
    });
    let mut aside = |function: usize| {
        let start = place(code.offset());
        dynasm!(code; .arch x64
            // With the address to return to and one more these are 64 bytes: the stack is aligned.
            ; push rsi; push rdi; push r8; push r9; push r10; push r11
            ; sub rsp, 8
            ; lea rdi, [rbp + VCPU]
            ; mov rsi, rax
            ; mov rax, QWORD function as i64
            ; call rax
            ; add rsp, 8
            ; pop r11; pop r10; pop r9; pop r8; pop rdi; pop rsi
            ; ret
        );
        start
    };
    let reserve = aside(CALLS.reserve as usize);
    let conditional = aside(CALLS.conditional as usize);
    let time_base = aside(CALLS.time_base as usize);
    let step = place(code.offset());
    dynasm!(code; .arch x64
        ; sub rsp, 8
        ; lea rdi, [rbp + VCPU]
        ; mov rcx, r15
        ; mov rax, QWORD CALLS.step as usize as i64
        ; call rax
        ; add rsp, 8
        ; test eax, eax
        ; ret
    );
    let compute = place(code.offset());
    dynasm!(code; .arch x64
        ; sub rsp, 8
        ; lea rdi, [rbp + VCPU]
        ; mov rax, QWORD CALLS.compute as usize as i64
        ; call rax
        ; add rsp, 8
        ; test eax, eax
        ; ret
    );
    let compute_aside = place(code.offset());
    dynasm!(code; .arch x64
        // With the address to return to and one more these are 64 bytes.
        ; push rsi; push rdi; push r8; push r9; push r10; push r11
        ; sub rsp, 8
        ; lea rdi, [rbp + VCPU]
        ; mov rsi, rax
        ; mov rax, QWORD CALLS.compute as usize as i64
        ; call rax
        ; add rsp, 8
        ; pop r11; pop r10; pop r9; pop r8; pop rdi; pop rsi
        ; test eax, eax
        ; ret
        ; .align 16
    );
    let limits = LIMITS.map(|limits| {
        let start = place(code.offset());
        limits.into_iter().for_each(|word| code.push_u32(word));
        start
    });
    let bytes = place(code.offset());
    BYTES.into_iter().flat_map(|byte| [byte; 16]).for_each(|byte| code.push(byte));
    let shared = Shared {
        leave_at,
        interpret,
        link,
        done,
        order,
        outside,
        far,
        over,
        ways,
        fill_load,
        fill_store,
        refill_load,
        refill_store,
        look_up,
        anchor,
        find_load,
        find_store,
        recall,
        clear,
        reserve,
        conditional,
        time_base,
        step,
        compute,
        compute_aside,
        limits,
        bytes,
    };
    Some((code.finalize().ok()?, shared, enter))
}
