//! Memory of the host for what is large: guest pages and images.
//!
//! A guest's pages are allocated one by one as the guest touches them, each with its hash beside it. From the ordinary
//! allocator they would lie across pages of the host, each with a fault of its own when it is first touched, and with
//! two translations of the host each when it is used. Here they come from pieces of 2 MiB that the host may map at
//! once, and so do large vectors. Everything else goes to `mimalloc`, which takes large pages too: decoded blocks are
//! small, many, and used in no order.
//!
//! The host clears memory before it hands it out, which takes longer than to fill it. So pieces that are free again,
//! those of an image that has been loaded above all, are kept for what comes next.

use mimalloc::MiMalloc;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the host maps at once, and the alignment that it needs for that.
const PIECE: usize = 2 << 20;
/// Blocks for guest pages: a page of 4 KiB and what belongs to it.
const BLOCK: usize = 4096 + 64;
/// From this size on an allocation gets pieces of its own.
const LARGE: usize = 1 << 20;
/// Free pieces that are kept, at most.
const KEPT: usize = 48;

/// What is free, linked through its first words.
struct Free {
    first: *mut *mut u8,
    count: usize,
}

impl Free {
    const NONE: Free = Free { first: ptr::null_mut(), count: 0 };

    /// Null if nothing is free.
    fn take(&mut self) -> *mut u8 {
        let taken = self.first;
        if !taken.is_null() {
            // SAFETY: what is free begins with the link to the next.
            self.first = unsafe { taken.read() }.cast();
            self.count -= 1;
        }
        taken.cast()
    }

    /// # Safety
    /// `given` must be aligned to its first word and be used by nobody else.
    unsafe fn give(&mut self, given: *mut u8) {
        let given: *mut *mut u8 = given.cast();
        // SAFETY: promised by the caller.
        unsafe { given.write(self.first.cast()) };
        self.first = given;
        self.count += 1;
    }
}

/// Free blocks, free pieces, and the rest of the piece that is being handed out in blocks.
struct Blocks {
    free: Free,
    pieces: Free,
    next: *mut u8,
    left: usize,
    /// The rest is all zero.
    zero: bool,
}

/// The allocator of the program: `#[global_allocator] static MEMORY: Allocator = Allocator::new();`.
pub struct Allocator {
    locked: AtomicBool,
    blocks: UnsafeCell<Blocks>,
}

// SAFETY: `blocks` is used only while `locked` is held.
unsafe impl Sync for Allocator {}

/// Where an allocation comes from: its layout alone says so.
enum From {
    Blocks,
    Pieces,
    Small,
}

/// The allocator for what is small. It looks at its options when it first maps memory.
fn small() -> &'static MiMalloc {
    static SMALL: MiMalloc = MiMalloc;
    static CALLED: AtomicBool = AtomicBool::new(false);
    if !CALLED.load(Ordering::Relaxed) {
        CALLED.store(true, Ordering::Relaxed);
        // SAFETY: it sets a number in a table.
        unsafe { libmimalloc_sys::mi_option_set_enabled(libmimalloc_sys::mi_option_large_os_pages, true) };
    }
    &SMALL
}

fn from(layout: Layout) -> From {
    match layout.size() {
        4097..=BLOCK if layout.align() <= 64 => From::Blocks,
        LARGE.. if layout.align() <= PIECE => From::Pieces,
        _ => From::Small,
    }
}

impl Allocator {
    /// An allocator that has handed out nothing.
    #[expect(clippy::new_without_default, reason = "a static needs a const function")]
    pub const fn new() -> Allocator {
        let blocks =
            Blocks { free: Free::NONE, pieces: Free::NONE, next: ptr::null_mut(), left: 0, zero: false };
        Allocator { locked: AtomicBool::new(false), blocks: UnsafeCell::new(blocks) }
    }

    fn with_blocks<R>(&self, act: impl FnOnce(&mut Blocks) -> R) -> R {
        while self.locked.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            std::hint::spin_loop();
        }
        // SAFETY: the lock is held, and `act` (below) neither allocates nor panics.
        let result = act(unsafe { &mut *self.blocks.get() });
        self.locked.store(false, Ordering::Release);
        result
    }
}

/// Zeroed pieces for so many bytes; null if the host has none.
fn map(bytes: usize) -> *mut u8 {
    let Some(wanted) = bytes.checked_next_multiple_of(PIECE) else { return ptr::null_mut() };
    let Some(mapped) = wanted.checked_add(PIECE) else { return ptr::null_mut() };
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::NORESERVE);
    // SAFETY: a new mapping at a place that the host chooses.
    let Ok(start) = (unsafe { mmap_anonymous(ptr::null_mut(), mapped, protection, flags) }) else {
        return ptr::null_mut();
    };
    let start = start.cast::<u8>();
    let before = start.align_offset(PIECE);
    let pieces = start.wrapping_add(before);
    // SAFETY: parts of the new mapping that nobody has seen.
    unsafe {
        if before != 0 {
            let _ = munmap(start.cast(), before);
        }
        if before != PIECE {
            let _ = munmap(pieces.wrapping_add(wanted).cast(), PIECE - before);
        }
        // It works without, only slower.
        #[cfg(target_os = "linux")]
        let _ = rustix::mm::madvise(pieces.cast(), wanted, rustix::mm::Advice::LinuxHugepage);
    }
    pieces
}

impl Blocks {
    /// A block, and whether it is all zero; null if the host has none.
    fn take(&mut self) -> (*mut u8, bool) {
        let block = self.free.take();
        if !block.is_null() {
            return (block, false);
        }
        if self.left < BLOCK {
            self.next = self.pieces.take();
            self.zero = self.next.is_null();
            if self.zero {
                self.next = map(PIECE);
            }
            if self.next.is_null() {
                self.left = 0;
                return (ptr::null_mut(), false);
            }
            self.left = PIECE;
        }
        let block = self.next;
        self.next = block.wrapping_add(BLOCK);
        self.left -= BLOCK;
        (block, self.zero)
    }

    fn give_back(&mut self, block: *mut u8) {
        // SAFETY: the block was handed out by `take` and is free again; blocks are aligned to 64 bytes.
        unsafe { self.free.give(block) };
    }

    /// Keeps as many of `count` pieces from `first` on as there is room for; says how many.
    ///
    /// # Safety
    /// They are whole pieces that nobody uses.
    unsafe fn keep(&mut self, first: *mut u8, count: usize) -> usize {
        let kept = count.min(KEPT.saturating_sub(self.pieces.count));
        for n in 0..kept {
            // SAFETY: promised by the caller.
            unsafe { self.pieces.give(first.wrapping_add(n * PIECE)) };
        }
        kept
    }
}

impl Allocator {
    /// Memory for a large allocation, and whether it is all zero; null if the host has none.
    fn pieces(&self, bytes: usize) -> (*mut u8, bool) {
        if bytes <= PIECE {
            let piece = self.with_blocks(|blocks| blocks.pieces.take());
            if !piece.is_null() {
                return (piece, false);
            }
        }
        (map(bytes), true)
    }
}

/// Makes zero what was just allocated for `layout`, if it is not yet.
fn zeroed((memory, zero): (*mut u8, bool), layout: Layout) -> *mut u8 {
    if !memory.is_null() && !zero {
        // SAFETY: it is at least as large.
        unsafe { memory.write_bytes(0, layout.size()) };
    }
    memory
}

// SAFETY: blocks and pieces are handed out once, are as large and aligned as their layouts say, and go back to where
// they came from, which the layout tells.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match from(layout) {
            From::Blocks => self.with_blocks(Blocks::take).0,
            From::Pieces => self.pieces(layout.size()).0,
            // SAFETY: promised by the caller.
            From::Small => unsafe { small().alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match from(layout) {
            From::Blocks => zeroed(self.with_blocks(Blocks::take), layout),
            From::Pieces => zeroed(self.pieces(layout.size()), layout),
            // SAFETY: promised by the caller.
            From::Small => unsafe { small().alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match from(layout) {
            From::Blocks => self.with_blocks(|blocks| blocks.give_back(block)),
            // SAFETY: the pieces were mapped for this layout, and the caller uses them no more.
            From::Pieces => unsafe {
                let count = layout.size().div_ceil(PIECE);
                let kept = self.with_blocks(|blocks| blocks.keep(block, count));
                if kept < count {
                    let _ = munmap(block.wrapping_add(kept * PIECE).cast(), (count - kept) * PIECE);
                }
            },
            // SAFETY: promised by the caller.
            From::Small => unsafe { small().dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `size` is a valid size for this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (from(layout), from(wanted)) {
            // SAFETY: promised by the caller.
            (From::Small, From::Small) => unsafe { small().realloc(block, layout, size) },
            (From::Blocks, From::Blocks) => block,
            (From::Pieces, From::Pieces)
                if size.next_multiple_of(PIECE) == layout.size().next_multiple_of(PIECE) =>
            {
                block
            }
            // SAFETY: the new block is as large as the smaller of both, and is another one.
            _ => unsafe {
                let new = self.alloc(wanted);
                if !new.is_null() {
                    ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                new
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes around every border, filled, grown, shrunk and freed: what one block holds no other one does.
    #[test]
    fn blocks_keep_what_they_hold() {
        let allocator = Allocator::new();
        let sizes = [1, 4096, 4097, 4176, BLOCK, BLOCK + 1, LARGE - 1, LARGE, PIECE, PIECE + 1, 3 * PIECE];
        let mut held = Vec::new();
        for round in 0..600usize {
            let size = sizes[round * 7 % sizes.len()];
            let layout = Layout::from_size_align(size, 16).expect("a layout");
            // SAFETY: the layouts are those of the blocks; blocks are filled and read within their sizes.
            unsafe {
                let block =
                    if round % 3 == 0 { allocator.alloc_zeroed(layout) } else { allocator.alloc(layout) };
                assert!(!block.is_null() && block.addr().is_multiple_of(16));
                if round % 3 == 0 {
                    assert!((0..size).step_by(61).chain([size - 1]).all(|at| block.add(at).read() == 0));
                }
                block.write_bytes(round as u8, size);
                held.push((block, layout, round as u8));
                if round % 2 == 1 {
                    let (block, layout, content) = held.swap_remove(round * 5 % held.len());
                    let new = sizes[round * 3 % sizes.len()];
                    let block = allocator.realloc(block, layout, new);
                    for at in (0..new.min(layout.size())).step_by(61) {
                        assert_eq!(block.add(at).read(), content, "at {at} of {layout:?} made {new}");
                    }
                    allocator.dealloc(block, Layout::from_size_align(new, 16).expect("a layout"));
                }
                if held.len() > 40 {
                    let (block, layout, content) = held.swap_remove(round % held.len());
                    assert_eq!(block.add(layout.size() - 1).read(), content);
                    allocator.dealloc(block, layout);
                }
            }
        }
        for (block, layout, content) in held {
            // SAFETY: still held.
            unsafe {
                assert_eq!(block.read(), content);
                assert_eq!(block.add(layout.size() - 1).read(), content);
                allocator.dealloc(block, layout);
            }
        }
    }
}
