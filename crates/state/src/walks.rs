//! What can be done with a walk: save, load, digest, diff, perturb.

use crate::{Instant, Paged, State, Walk};
use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::fmt;

/// Saved state: small things as bytes in walking order, bulk storage as shared trees. Cloning shares.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// All leaves but bulk storage.
    pub small: Vec<u8>,
    /// Bulk storage, in walking order.
    pub paged: Vec<Paged>,
}

/// State that cannot be loaded here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadError {
    /// Where, as `cpu[1].dec`.
    pub path: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// A digest of state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A leaf that differs between two states.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// `cpu[1].dec`, or `memory.ram+0x1000` for the doubleword at an offset of bulk storage.
    pub path: String,
    /// Its value in the first state; empty if it has no such leaf.
    pub left: String,
    /// Its value in the second state.
    pub right: String,
}

#[derive(Default)]
struct Path(Vec<Step>);

enum Step {
    Name(&'static str),
    Index(u64),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Name(name) if n == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// What most walks do not care about.
macro_rules! pathless {
    () => {
        fn enter(&mut self, _: &'static str) {}
        fn enter_index(&mut self, _: u64) {}
        fn leave(&mut self) {}
        fn error(&self, what: &'static str) -> LoadError {
            LoadError { path: String::new(), what }
        }
    };
}

macro_rules! with_path {
    () => {
        fn enter(&mut self, name: &'static str) {
            self.path.0.push(Step::Name(name));
        }
        fn enter_index(&mut self, index: u64) {
            self.path.0.push(Step::Index(index));
        }
        fn leave(&mut self) {
            self.path.0.pop();
        }
        fn error(&self, what: &'static str) -> LoadError {
            LoadError { path: format!("{}", self.path), what }
        }
    };
}

fn bytes_of(bits: u32) -> usize {
    bits.div_ceil(8) as usize
}

impl Walk for Snapshot {
    pathless!();
    fn undigested(&mut self, _: bool) {}
    fn number(&mut self, value: &mut u128, bits: u32) {
        self.small.extend_from_slice(&value.to_le_bytes()[..bytes_of(bits)]);
    }
    fn instant(&mut self, value: &mut Instant) {
        self.small.extend_from_slice(&value.0.to_le_bytes());
    }
    fn variant(&mut self, value: &mut u32) {
        self.small.extend_from_slice(&value.to_le_bytes());
    }
    fn length(&mut self, value: &mut u64) {
        self.small.extend_from_slice(&value.to_le_bytes());
    }
    fn paged(&mut self, value: &mut Paged) {
        self.paged.push(value.clone());
    }
    fn bytes(&mut self, value: &mut [u8]) {
        self.small.extend_from_slice(value);
    }
}

/// Saves `state`. Whoever holds pointers into its bulk storage must have given them back: the trees are shared from
/// now on.
pub fn save(state: &mut (impl State + ?Sized)) -> Snapshot {
    let mut snapshot = Snapshot::default();
    // Saving changes nothing, so no value can be wrong.
    let _ = state.walk(&mut snapshot);
    snapshot
}

struct Loader<'a> {
    path: Path,
    small: &'a [u8],
    paged: core::slice::Iter<'a, Paged>,
    short: bool,
}

impl Loader<'_> {
    fn take(&mut self, bytes: usize) -> &[u8] {
        if self.small.len() < bytes {
            self.short = true;
            self.small = &[];
            return &[];
        }
        let (taken, rest) = self.small.split_at(bytes);
        self.small = rest;
        taken
    }

    fn take_number(&mut self, bytes: usize) -> u128 {
        let taken = self.take(bytes);
        let mut buffer = [0; 16];
        buffer[..taken.len()].copy_from_slice(taken);
        u128::from_le_bytes(buffer)
    }
}

impl Walk for Loader<'_> {
    with_path!();
    fn undigested(&mut self, _: bool) {}
    fn number(&mut self, value: &mut u128, bits: u32) {
        *value = self.take_number(bytes_of(bits));
    }
    fn instant(&mut self, value: &mut Instant) {
        value.0 = self.take_number(16);
    }
    fn variant(&mut self, value: &mut u32) {
        *value = self.take_number(4) as u32;
    }
    fn length(&mut self, value: &mut u64) {
        *value = self.take_number(8) as u64;
        // Every element takes at least a byte, save those without state: a length beyond that is no length.
        if *value > self.small.len() as u64 * 8 + 1 {
            *value = u64::MAX;
            self.short = true;
        }
    }
    fn paged(&mut self, value: &mut Paged) {
        match self.paged.next() {
            Some(saved) => *value = saved.clone(),
            None => self.short = true,
        }
    }
    fn bytes(&mut self, value: &mut [u8]) {
        let taken = self.take(value.len());
        if taken.len() == value.len() {
            value.copy_from_slice(taken);
        }
    }
}

/// Loads what [`save`] made of a state of the same shape. After an error `state` may be half loaded: it must not be
/// used any more.
pub fn load(state: &mut (impl State + ?Sized), snapshot: &Snapshot) -> Result<(), LoadError> {
    let mut loader =
        Loader { path: Path::default(), small: &snapshot.small, paged: snapshot.paged.iter(), short: false };
    state.walk(&mut loader)?;
    if loader.short {
        return Err(loader.error("the saved state is too short"));
    }
    if !loader.small.is_empty() || loader.paged.next().is_some() {
        return Err(loader.error("the saved state is too long"));
    }
    Ok(())
}

struct Digester {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    now: Instant,
    skip: u32,
}

impl Digester {
    fn add(&mut self, bytes: &[u8]) {
        if self.skip == 0 {
            self.buffer.extend_from_slice(bytes);
        }
    }
}

impl Walk for Digester {
    pathless!();
    fn undigested(&mut self, begin: bool) {
        if begin { self.skip += 1 } else { self.skip -= 1 }
    }
    fn number(&mut self, value: &mut u128, bits: u32) {
        self.add(&value.to_le_bytes()[..bytes_of(bits)]);
    }
    fn instant(&mut self, value: &mut Instant) {
        let distance = value.0.wrapping_sub(self.now.0);
        self.add(&distance.to_le_bytes());
    }
    fn variant(&mut self, value: &mut u32) {
        self.add(&value.to_le_bytes());
    }
    fn length(&mut self, value: &mut u64) {
        self.add(&value.to_le_bytes());
    }
    fn paged(&mut self, value: &mut Paged) {
        let hash = value.root_hash().to_le_bytes();
        self.add(&hash);
        self.add(&value.len().to_le_bytes());
    }
    fn bytes(&mut self, value: &mut [u8]) {
        self.add(value);
    }
}

/// Digest of `state` as it is at `now`.
pub fn digest(state: &mut (impl State + ?Sized), now: Instant) -> Digest {
    let mut digester = Digester { hasher: blake3::Hasher::new(), buffer: Vec::new(), now, skip: 0 };
    let _ = state.walk(&mut digester);
    digester.hasher.update(&digester.buffer);
    Digest(*digester.hasher.finalize().as_bytes())
}

/// A leaf as a diff sees it.
enum Leaf {
    Text(String),
    Bulk(Paged),
}

struct Lister {
    path: Path,
    now: Instant,
    skip: u32,
    leaves: Vec<(String, Leaf)>,
}

impl Lister {
    fn add(&mut self, leaf: Leaf) {
        if self.skip == 0 {
            self.leaves.push((format!("{}", self.path), leaf));
        }
    }
}

impl Walk for Lister {
    with_path!();
    fn undigested(&mut self, begin: bool) {
        if begin { self.skip += 1 } else { self.skip -= 1 }
    }
    fn number(&mut self, value: &mut u128, _: u32) {
        self.add(Leaf::Text(format!("{value:#x}")));
    }
    fn instant(&mut self, value: &mut Instant) {
        let distance = value.0.wrapping_sub(self.now.0) as i128;
        let (ticks, fraction) = (distance >> 64, distance as u64);
        let sign = if ticks < 0 { "" } else { "+" };
        self.add(Leaf::Text(if fraction == 0 {
            format!("now{sign}{ticks} ticks")
        } else {
            format!("now{sign}{ticks} ticks and {fraction:#x}/2^64")
        }));
    }
    fn variant(&mut self, value: &mut u32) {
        self.add(Leaf::Text(format!("variant {value}")));
    }
    fn length(&mut self, value: &mut u64) {
        self.add(Leaf::Text(format!("{value} elements")));
    }
    fn paged(&mut self, value: &mut Paged) {
        self.add(Leaf::Bulk(value.clone()));
    }
    fn bytes(&mut self, value: &mut [u8]) {
        self.add(Leaf::Text(format!("{value:02x?}")));
    }
}

fn list(state: &mut (impl State + ?Sized), now: Instant) -> Vec<(String, Leaf)> {
    let mut lister = Lister { path: Path::default(), now, skip: 0, leaves: Vec::new() };
    let _ = state.walk(&mut lister);
    lister.leaves
}

/// All digested leaves as (path, value), bulk storage as its hash.
pub fn leaves(state: &mut (impl State + ?Sized), now: Instant) -> Vec<(String, String)> {
    let text = |leaf| match leaf {
        Leaf::Text(text) => text,
        Leaf::Bulk(paged) => format!("{:032x}", paged.root_hash()),
    };
    list(state, now).into_iter().map(|(path, leaf)| (path, text(leaf))).collect()
}

/// Differing doublewords of bulk storage that a diff lists at most.
const LISTED: usize = 16;

fn bulk_differences(path: &str, left: &Paged, right: &Paged, out: &mut Vec<Difference>) {
    if left.len() != right.len() {
        let text = |p: &Paged| format!("{} bytes", p.len());
        out.push(Difference { path: path.into(), left: text(left), right: text(right) });
        return;
    }
    let mut listed = 0;
    for page in left.changed_pages(right) {
        let read = |p: &Paged, at| {
            let mut word = [0; 8];
            p.read(at, &mut word);
            u64::from_be_bytes(word)
        };
        for at in (page * PAGE_BYTES..(page + 1) * PAGE_BYTES).step_by(8) {
            let (l, r) = (read(left, at), read(right, at));
            if l != r {
                if listed == LISTED {
                    return;
                }
                listed += 1;
                out.push(Difference {
                    path: format!("{path}+{at:#x}"),
                    left: format!("{l:#018x}"),
                    right: format!("{r:#018x}"),
                });
            }
        }
    }
}

const PAGE_BYTES: u64 = crate::PAGE as u64;

/// The digested leaves in which two states differ, the first in walking order first.
pub fn diff(
    left: &mut (impl State + ?Sized),
    right: &mut (impl State + ?Sized),
    now_left: Instant,
    now_right: Instant,
) -> Vec<Difference> {
    let (left, right) = (list(left, now_left), list(right, now_right));
    let mut others: BTreeMap<&str, &Leaf> = right.iter().map(|(path, leaf)| (path.as_str(), leaf)).collect();
    let mut out = Vec::new();
    let text = |leaf: &Leaf| match leaf {
        Leaf::Text(text) => text.clone(),
        Leaf::Bulk(paged) => format!("{} bytes", paged.len()),
    };
    for (path, leaf) in &left {
        match (leaf, others.remove(path.as_str())) {
            (Leaf::Bulk(l), Some(Leaf::Bulk(r))) => bulk_differences(path, l, r, &mut out),
            (Leaf::Text(l), Some(Leaf::Text(r))) if l == r => {}
            (l, r) => {
                let right = r.map_or_else(String::new, text);
                out.push(Difference { path: path.clone(), left: text(l), right });
            }
        }
    }
    for (path, leaf) in others {
        out.push(Difference { path: path.into(), left: String::new(), right: text(leaf) });
    }
    out
}

struct Perturber {
    path: Path,
    wanted: u64,
    seen: u64,
    skip: u32,
    done: Option<String>,
}

impl Perturber {
    fn here(&mut self) -> bool {
        if self.skip != 0 {
            return false;
        }
        self.seen += 1;
        if self.seen - 1 != self.wanted {
            return false;
        }
        self.done = Some(format!("{}", self.path));
        true
    }
}

impl Walk for Perturber {
    with_path!();
    fn undigested(&mut self, begin: bool) {
        if begin { self.skip += 1 } else { self.skip -= 1 }
    }
    fn number(&mut self, value: &mut u128, _: u32) {
        if self.here() {
            *value ^= 1;
        }
    }
    fn instant(&mut self, value: &mut Instant) {
        if self.here() {
            value.0 ^= 1 << 64;
        }
    }
    fn variant(&mut self, _: &mut u32) {}
    fn length(&mut self, _: &mut u64) {}
    fn paged(&mut self, value: &mut Paged) {
        if !value.is_empty() && self.here() {
            let mut byte = [0];
            value.read(value.len() / 2, &mut byte);
            value.write(value.len() / 2, &[byte[0] ^ 1]);
        }
    }
    fn bytes(&mut self, value: &mut [u8]) {
        if !value.is_empty() && self.here() {
            value[0] ^= 1;
        }
    }
}

/// Changes the `n`th digested leaf a little and gives its path; None if there are not so many.
pub fn perturb(state: &mut (impl State + ?Sized), n: u64) -> Option<String> {
    let mut perturber = Perturber { path: Path::default(), wanted: n, seen: 0, skip: 0, done: None };
    let _ = state.walk(&mut perturber);
    perturber.done
}

struct Schema {
    path: Path,
    hasher: blake3::Hasher,
}

impl Schema {
    fn add(&mut self, kind: &str) {
        self.hasher.update(format!("{}: {kind}\n", self.path).as_bytes());
    }
}

impl Walk for Schema {
    with_path!();
    fn undigested(&mut self, _: bool) {}
    fn number(&mut self, _: &mut u128, bits: u32) {
        let kind = format!("u{bits}");
        self.add(&kind);
    }
    fn instant(&mut self, _: &mut Instant) {
        self.add("instant");
    }
    fn variant(&mut self, _: &mut u32) {
        self.add("variant");
    }
    fn length(&mut self, _: &mut u64) {
        self.add("length");
    }
    fn paged(&mut self, _: &mut Paged) {
        self.add("paged");
    }
    fn bytes(&mut self, _: &mut [u8]) {
        self.add("bytes");
    }
}

/// Digest of the names and kinds of all leaves of `state`: equal for two cold states of one configuration exactly
/// if their snapshots can be exchanged.
pub fn schema(state: &mut (impl State + ?Sized)) -> Digest {
    let mut schema = Schema { path: Path::default(), hasher: blake3::Hasher::new() };
    let _ = state.walk(&mut schema);
    Digest(*schema.hasher.finalize().as_bytes())
}

/// A running hash: `before` with `parts` added, each with its length.
pub fn chain(before: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
