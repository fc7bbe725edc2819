//! Bulk storage as a persistent tree of pages.
//!
//! A tree of [`PAGE`]-byte pages, 64 to a node; absent means zero. Cloning shares the whole tree; writing makes the
//! path to the page its own. So the root is at once the digest, the checkpoint and the diff, and what they cost
//! follows the pages that changed, never the size.
//!
//! An engine may keep pointers from [`Paged::page_mut`] and write through them later. Hashes are remembered and
//! clones share pages, so whoever takes a hash or a clone must first have withdrawn those pointers; the memory crate
//! and the machine see to it.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Bytes of a page.
pub const PAGE: usize = 4096;
const FANOUT_BITS: u32 = 6;
const FANOUT: usize = 1 << FANOUT_BITS;

/// The bytes of a page.
#[repr(C, align(16))]
#[derive(Clone)]
pub struct Page(pub [u8; PAGE]);

static ZERO: Page = Page([0; PAGE]);

/// A hash that is made when first asked for. Whoever asks at the same time makes the same.
#[derive(Default)]
struct Remembered {
    known: AtomicBool,
    words: [AtomicU64; 4],
}

impl Remembered {
    fn get_or(&self, make: impl FnOnce() -> [u8; 32]) -> [u8; 32] {
        let mut hash = [0; 32];
        if self.known.load(Ordering::Acquire) {
            for (bytes, word) in hash.chunks_mut(8).zip(&self.words) {
                bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
            }
            return hash;
        }
        hash = make();
        for (bytes, word) in hash.chunks(8).zip(&self.words) {
            let bytes = [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]];
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        self.known.store(true, Ordering::Release);
        hash
    }

    fn forget(&mut self) {
        *self.known.get_mut() = false;
    }
}

/// A copy is about to be changed: it has no hash yet.
impl Clone for Remembered {
    fn clone(&self) -> Remembered {
        Remembered::default()
    }
}

#[derive(Clone)]
struct Leaf {
    page: Page,
    hash: Remembered,
}

impl Leaf {
    /// A page of zeros, which the allocator may have at hand.
    fn zero() -> Arc<Leaf> {
        // SAFETY: bytes, and a hash that is not known: both are all zero.
        unsafe { Arc::new_zeroed().assume_init() }
    }
}

#[derive(Clone)]
struct Inner {
    children: [Option<Node>; FANOUT],
    hash: Remembered,
}

#[derive(Clone)]
enum Node {
    Leaf(Arc<Leaf>),
    Inner(Arc<Inner>),
}

/// The hash of what is all zero.
const ZERO_HASH: [u8; 32] = [0; 32];

impl Node {
    /// Equal content has equal hashes, whether zero pages are there or absent.
    fn hash(&self) -> [u8; 32] {
        match self {
            Node::Leaf(leaf) => leaf.hash.get_or(|| {
                if leaf.page.0.iter().all(|&byte| byte == 0) {
                    ZERO_HASH
                } else {
                    *blake3::hash(&leaf.page.0).as_bytes()
                }
            }),
            Node::Inner(inner) => inner.hash.get_or(|| {
                let mut all = [ZERO_HASH; FANOUT];
                for (hash, child) in all.iter_mut().zip(&inner.children) {
                    *hash = child.as_ref().map_or(ZERO_HASH, Node::hash);
                }
                if all.iter().all(|hash| *hash == ZERO_HASH) {
                    ZERO_HASH
                } else {
                    *blake3::hash(all.as_flattened()).as_bytes()
                }
            }),
        }
    }

    fn same(&self, other: &Node) -> bool {
        match (self, other) {
            (Node::Leaf(a), Node::Leaf(b)) => Arc::ptr_eq(a, b),
            (Node::Inner(a), Node::Inner(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// Bulk storage of a fixed length.
#[derive(Clone, Default)]
pub struct Paged {
    root: Option<Node>,
    /// Levels of inner nodes.
    levels: u32,
    bytes: u64,
}

impl Paged {
    /// `bytes` bytes of zeros.
    pub fn new(bytes: u64) -> Paged {
        let pages = bytes.div_ceil(PAGE as u64);
        let mut levels = 0;
        while pages > 1 << (FANOUT_BITS * levels) {
            levels += 1;
        }
        Paged { root: None, levels, bytes }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// It has no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn child(index: u64, level: u32) -> usize {
        (index >> (FANOUT_BITS * level)) as usize % FANOUT
    }

    /// Page number `index`; None: it is zero (or outside).
    pub fn page(&self, index: u64) -> Option<&Page> {
        let mut node = self.root.as_ref()?;
        let mut level = self.levels;
        loop {
            match node {
                Node::Leaf(leaf) => return Some(&leaf.page),
                Node::Inner(inner) => {
                    level -= 1;
                    node = inner.children[Self::child(index, level)].as_ref()?;
                }
            }
        }
    }

    /// The bytes of page `index`.
    pub fn page_bytes(&self, index: u64) -> &[u8; PAGE] {
        &self.page(index).unwrap_or(&ZERO).0
    }

    /// Pointer to the bytes of page `index`, valid until the page is changed or the storage goes.
    pub fn page_ptr(&self, index: u64) -> *const u8 {
        self.page_bytes(index).as_ptr()
    }

    /// Where page `index` hangs, on a path of its own from now on.
    fn slot(&mut self, index: u64) -> &mut Option<Node> {
        assert!(index < self.bytes.div_ceil(PAGE as u64), "page {index} is outside");
        let mut level = self.levels;
        let mut node = &mut self.root;
        while level > 0 {
            level -= 1;
            let here = node.get_or_insert_with(|| {
                Node::Inner(Arc::new(Inner {
                    children: [const { None }; FANOUT],
                    hash: Remembered::default(),
                }))
            });
            let Node::Inner(inner) = here else { unreachable!("levels count the inner nodes") };
            let inner = Arc::make_mut(inner);
            inner.hash.forget();
            node = &mut inner.children[Self::child(index, level)];
        }
        node
    }

    /// Page `index` for writing, its own from now on.
    ///
    /// # Panics
    /// If `index` is outside: the caller has checked.
    pub fn page_mut(&mut self, index: u64) -> &mut [u8; PAGE] {
        let node = self.slot(index);
        let here = node.get_or_insert_with(|| Node::Leaf(Leaf::zero()));
        let Node::Leaf(leaf) = here else { unreachable!("levels count the inner nodes") };
        let leaf = Arc::make_mut(leaf);
        leaf.hash.forget();
        &mut leaf.page.0
    }

    fn contains(&self, offset: u64, bytes: usize) -> bool {
        offset.checked_add(bytes as u64).is_some_and(|end| end <= self.bytes)
    }

    /// Reads bytes. False, and nothing read, if the range is not all inside.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> bool {
        if !self.contains(offset, out.len()) {
            return false;
        }
        let (mut at, mut done) = (offset, 0);
        while done < out.len() {
            let start = (at % PAGE as u64) as usize;
            let length = (PAGE - start).min(out.len() - done);
            let page = self.page(at / PAGE as u64).unwrap_or(&ZERO);
            out[done..done + length].copy_from_slice(&page.0[start..start + length]);
            at += length as u64;
            done += length;
        }
        true
    }

    /// Writes bytes. False, and nothing written, if the range is not all inside.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> bool {
        if !self.contains(offset, bytes.len()) {
            return false;
        }
        let (mut at, mut done) = (offset, 0);
        while done < bytes.len() {
            let start = (at % PAGE as u64) as usize;
            let length = (PAGE - start).min(bytes.len() - done);
            let page = self.page_mut(at / PAGE as u64);
            page[start..start + length].copy_from_slice(&bytes[done..done + length]);
            at += length as u64;
            done += length;
        }
        true
    }

    /// Hash of the content.
    pub fn root_hash(&self) -> [u8; 32] {
        self.root.as_ref().map_or(ZERO_HASH, Node::hash)
    }

    /// Numbers of the pages whose content differs, in order. Both must have the same length.
    pub fn changed_pages(&self, other: &Paged) -> Vec<u64> {
        let mut changed = Vec::new();
        parting(self.root.as_ref(), other.root.as_ref(), self.levels, 0, equal, &mut changed);
        changed
    }

    /// Numbers of the pages that this and `other` do not share, in order: all that may differ. Compares no content.
    /// Both must have the same length.
    pub fn own_pages(&self, other: &Paged) -> Vec<u64> {
        let mut own = Vec::new();
        parting(self.root.as_ref(), other.root.as_ref(), self.levels, 0, shared, &mut own);
        own
    }

    /// Page `index` is this from now on.
    ///
    /// # Panics
    /// If `index` is outside: the caller has checked.
    pub fn set_page(&mut self, index: u64, page: &[u8; PAGE]) {
        let leaf = Leaf { page: Page(*page), hash: Remembered::default() };
        *self.slot(index) = Some(Node::Leaf(Arc::new(leaf)));
    }

    /// How many pages there are that `other` does not share: what it costs to keep this one beside it. Compares no
    /// content.
    pub fn unshared_pages(&self, other: &Paged) -> u64 {
        unshared_below(self.root.as_ref(), other.root.as_ref())
    }

    /// Numbers of the pages that are not zero, in order.
    pub fn present_pages(&self) -> Vec<u64> {
        let mut present = Vec::new();
        parting(self.root.as_ref(), None, self.levels, 0, equal, &mut present);
        present
    }
}

fn unshared_below(a: Option<&Node>, b: Option<&Node>) -> u64 {
    match (a, b) {
        (None, _) => 0,
        (Some(a), Some(b)) if a.same(b) => 0,
        (Some(Node::Leaf(_)), _) => 1,
        (Some(Node::Inner(a)), b) => {
            (0..FANOUT).map(|child| unshared_below(a.children[child].as_ref(), child_of(b, child))).sum()
        }
    }
}

/// Numbers of the pages at which two trees part, where `same` says what does not.
fn parting(
    a: Option<&Node>,
    b: Option<&Node>,
    level: u32,
    base: u64,
    same: fn(Option<&Node>, Option<&Node>) -> bool,
    out: &mut Vec<u64>,
) {
    if same(a, b) {
        return;
    }
    if level == 0 {
        out.push(base);
        return;
    }
    for child in 0..FANOUT {
        let next = base + ((child as u64) << (FANOUT_BITS * (level - 1)));
        parting(child_of(a, child), child_of(b, child), level - 1, next, same, out);
    }
}

/// They are one and the same node.
fn shared(a: Option<&Node>, b: Option<&Node>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.same(b),
        _ => false,
    }
}

/// Their contents are equal.
fn equal(a: Option<&Node>, b: Option<&Node>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.same(b) || a.hash() == b.hash(),
        (Some(one), None) | (None, Some(one)) => one.hash() == ZERO_HASH,
    }
}

fn child_of(node: Option<&Node>, child: usize) -> Option<&Node> {
    match node {
        Some(Node::Inner(inner)) => inner.children[child].as_ref(),
        _ => None,
    }
}
