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
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use twox_hash::XxHash3_128;

/// Bytes of a page.
pub const PAGE: usize = 4096;
const FANOUT_BITS: u32 = 6;
const FANOUT: usize = 1 << FANOUT_BITS;

/// The bytes of a page.
#[repr(C, align(16))]
#[derive(Clone)]
pub struct Page(pub [u8; PAGE]);

static ZERO: Page = Page([0; PAGE]);

/// XXH3 (128 bits) of a page, or of the hashes of a node's children; [`ZERO_HASH`] of what is all zero. It tells contents
/// apart that came about without a wish to deceive, at a fraction of what a cryptographic one takes.
type Hash = u128;

/// A hash that is made when first asked for. Whoever asks at the same time makes the same.
#[derive(Default)]
struct Remembered {
    known: AtomicBool,
    words: [AtomicU64; 2],
}

impl Remembered {
    /// The hash, if it was made.
    fn get(&self) -> Option<Hash> {
        self.known.load(Ordering::Acquire).then(|| {
            let [low, high] = self.words.each_ref().map(|word| word.load(Ordering::Relaxed));
            u128::from(high) << 64 | u128::from(low)
        })
    }

    fn get_or(&self, make: impl FnOnce() -> Hash) -> Hash {
        if let Some(hash) = self.get() {
            return hash;
        }
        let hash = make();
        for (word, part) in self.words.iter().zip([hash as u64, (hash >> 64) as u64]) {
            word.store(part, Ordering::Relaxed);
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
    /// No two contents in this process have the same number; 0: it has not been given.
    version: u64,
}

impl Leaf {
    /// A page of zeros, which the allocator may have at hand.
    fn zero() -> Arc<Leaf> {
        // SAFETY: bytes, a hash that is not known, a number: all are zero.
        unsafe { Arc::new_zeroed().assume_init() }
    }

    fn is_zero(&self) -> bool {
        // Where the hash is known it says so: whoever makes a checkpoint has mostly made a digest before.
        self.hash.get().map_or_else(|| self.page.0 == ZERO.0, |hash| hash == ZERO_HASH)
    }

    /// The content is about to change.
    fn renew(&mut self) {
        // Nobody ever sees the number itself, only whether two are equal.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        self.version = NEXT.fetch_add(1, Ordering::Relaxed);
        self.hash.forget();
    }
}

/// Which pages a [`Paged`] had at some time, without their contents.
#[derive(Clone, Default)]
pub struct Outline {
    bytes: u64,
    /// The number of each page that was there, and that of its content; in order.
    pages: Vec<(u64, u64)>,
}

impl Outline {
    /// Numbers of the pages that were there, zero or not, in order.
    pub fn pages(&self) -> impl Iterator<Item = u64> {
        self.pages.iter().map(|(number, _)| *number)
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
const ZERO_HASH: Hash = 0;

impl Node {
    /// Equal content has equal hashes, whether zero pages are there or absent.
    fn hash(&self) -> Hash {
        match self {
            Node::Leaf(leaf) => leaf.hash.get_or(|| {
                if leaf.page.0 == ZERO.0 { ZERO_HASH } else { XxHash3_128::oneshot(&leaf.page.0) }
            }),
            Node::Inner(inner) => inner.hash.get_or(|| {
                let hash = |child: &Option<Node>| child.as_ref().map_or(ZERO_HASH, Node::hash);
                let all = inner.children.each_ref().map(hash);
                if all == [ZERO_HASH; FANOUT] {
                    ZERO_HASH
                } else {
                    XxHash3_128::oneshot(all.map(Hash::to_le_bytes).as_flattened())
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
        self.leaf(index).map(|leaf| &leaf.page)
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
        leaf.renew();
        &mut leaf.page.0
    }

    /// Page `index`, if its bytes are zero, loses them: it is absent from now on. Says whether it did.
    pub fn drop_zeros(&mut self, index: u64) -> bool {
        let zeros = self.page(index).is_some_and(|page| page.0 == ZERO.0);
        if zeros {
            *self.slot(index) = None;
        }
        zeros
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
    pub fn root_hash(&self) -> u128 {
        self.root.as_ref().map_or(ZERO_HASH, Node::hash)
    }

    /// Grows by `bytes`. Pages of zeros stay absent.
    pub fn append(&mut self, bytes: &[u8]) {
        let end = self.bytes;
        self.bytes += bytes.len() as u64;
        let levels = Paged::new(self.bytes).levels;
        while self.levels < levels {
            self.levels += 1;
            if let Some(below) = self.root.take() {
                let mut children = [const { None }; FANOUT];
                children[0] = Some(below);
                self.root = Some(Node::Inner(Arc::new(Inner { children, hash: Remembered::default() })));
            }
        }
        let first = (end.next_multiple_of(PAGE as u64) - end).min(bytes.len() as u64) as usize;
        let (head, pages) = bytes.split_at(first);
        self.write(end, head);
        for (n, page) in pages.chunks(PAGE).enumerate().filter(|(_, page)| **page != ZERO.0[..page.len()]) {
            self.write(end + (first + n * PAGE) as u64, page);
        }
    }

    /// The leaf of page `index`; None: it is zero (or outside).
    fn leaf(&self, index: u64) -> Option<&Arc<Leaf>> {
        let mut node = self.root.as_ref()?;
        let mut level = self.levels;
        loop {
            match node {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Inner(inner) => {
                    level -= 1;
                    node = inner.children[Self::child(index, level)].as_ref()?;
                }
            }
        }
    }

    /// `pages` pages from number `to` on are those of `other` from `from` on, shared until either writes to them.
    ///
    /// # Panics
    /// If they are outside: the caller has checked.
    pub fn share(&mut self, to: u64, other: &Paged, from: u64, pages: u64) {
        for n in 0..pages {
            *self.slot(to + n) = other.leaf(from + n).cloned().map(Node::Leaf);
        }
    }

    /// The bytes from `offset` on, at most `bytes` of them, in order and in pieces of at most a page.
    pub fn pieces(&self, offset: u64, bytes: u64) -> impl Iterator<Item = &[u8]> {
        let end = offset.saturating_add(bytes).min(self.bytes);
        let mut at = offset;
        core::iter::from_fn(move || {
            let start = (at % PAGE as u64) as usize;
            let length = (PAGE - start).min(end.checked_sub(at)? as usize);
            let page = self.page_bytes(at / PAGE as u64);
            at += length as u64;
            (length != 0).then(|| &page[start..start + length])
        })
    }

    /// At most `bytes` bytes from `offset` on.
    pub fn copy(&self, offset: u64, bytes: u64) -> Vec<u8> {
        let mut all = Vec::with_capacity(bytes.min(self.bytes.saturating_sub(offset)) as usize);
        self.pieces(offset, bytes).for_each(|piece| all.extend_from_slice(piece));
        all
    }

    /// Numbers of the pages whose content differs, in order. Both must have the same length.
    pub fn changed_pages(&self, other: &Paged) -> Vec<u64> {
        let mut changed = Vec::new();
        differing(self.root.as_ref(), other.root.as_ref(), self.levels, 0, &mut changed);
        changed
    }

    /// What [`Paged::changed_since`] will need.
    pub fn outline(&self) -> Outline {
        let mut pages = Vec::new();
        each_leaf(self.root.as_ref(), self.levels, 0, &mut |index, leaf| {
            pages.push((index, leaf.version));
        });
        Outline { bytes: self.bytes, pages }
    }

    /// Numbers of the pages that may have another content than when `before` was taken, in order: all that were to be
    /// written since. If the length is another one, all that are not zero. And what they are compared with next time.
    pub fn changed_since(&self, before: &Outline) -> (Vec<u64>, Outline) {
        let known = if self.bytes == before.bytes { &before.pages[..] } else { &[] };
        let mut known = known.iter().peekable();
        let (mut changed, mut pages) = (Vec::new(), Vec::with_capacity(before.pages.len()));
        each_leaf(self.root.as_ref(), self.levels, 0, &mut |index, leaf| {
            pages.push((index, leaf.version));
            // Those that were there and are zero now.
            changed
                .extend(core::iter::from_fn(|| known.next_if(|(old, _)| *old < index)).map(|(old, _)| *old));
            let same = match known.next_if(|(old, _)| *old == index) {
                None => leaf.is_zero(),
                Some((_, version)) => *version == leaf.version,
            };
            if !same {
                changed.push(index);
            }
        });
        changed.extend(known.map(|(old, _)| *old));
        (changed, Outline { bytes: self.bytes, pages })
    }

    /// Page `index` is this from now on.
    ///
    /// # Panics
    /// If `index` is outside: the caller has checked.
    pub fn set_page(&mut self, index: u64, page: &[u8; PAGE]) {
        let mut leaf = Leaf { page: Page(*page), hash: Remembered::default(), version: 0 };
        leaf.renew();
        *self.slot(index) = Some(Node::Leaf(Arc::new(leaf)));
    }

    /// How many pages there are that `other` does not share: what it costs to keep this one beside it. Compares no
    /// content.
    pub fn unshared_pages(&self, other: &Paged) -> u64 {
        unshared_below(self.root.as_ref(), other.root.as_ref())
    }

    /// Numbers of the pages that are not zero, in order.
    pub fn present_pages(&self) -> Vec<u64> {
        self.changed_since(&Outline { bytes: self.bytes, pages: Vec::new() }).0
    }
}

/// Of bytes that are there already.
impl From<&[u8]> for Paged {
    fn from(bytes: &[u8]) -> Paged {
        let mut paged = Paged::default();
        paged.append(bytes);
        paged
    }
}

/// The same length and content.
impl PartialEq for Paged {
    fn eq(&self, other: &Paged) -> bool {
        self.bytes == other.bytes && self.root_hash() == other.root_hash()
    }
}

impl Eq for Paged {}

impl fmt::Debug for Paged {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} bytes in pages", self.bytes)
    }
}

fn each_leaf(node: Option<&Node>, level: u32, base: u64, act: &mut impl FnMut(u64, &Leaf)) {
    match node {
        None => {}
        Some(Node::Leaf(leaf)) => act(base, leaf),
        Some(Node::Inner(inner)) => {
            for (child, node) in inner.children.iter().enumerate() {
                let base = base + ((child as u64) << (FANOUT_BITS * (level - 1)));
                each_leaf(node.as_ref(), level - 1, base, act);
            }
        }
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

/// Numbers of the pages whose contents differ.
fn differing(a: Option<&Node>, b: Option<&Node>, level: u32, base: u64, out: &mut Vec<u64>) {
    if equal(a, b) {
        return;
    }
    if level == 0 {
        out.push(base);
        return;
    }
    for child in 0..FANOUT {
        let next = base + ((child as u64) << (FANOUT_BITS * (level - 1)));
        differing(child_of(a, child), child_of(b, child), level - 1, next, out);
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
