//! Cached translations: pages of effective addresses to host pointers, for a few contexts at a time.
//!
//! An entry is valid only while what it was derived from is unchanged: table entries are watched, and each entry
//! hangs in two chains, by the table entry that mapped it and by its real page, so that dropping costs what is
//! dropped. All vCPUs share the contexts; nothing here depends on which vCPU runs but the pages that other vCPUs
//! hold reserved, which are withdrawn at the start of a slice.

use super::address_sets::{AddressSets, Users};
use super::fast::mode;
use super::walks::Walks;
use crate::Vcpu;
use crate::bits::msr;
use crate::compiled::{TRANSLATIONS, Translated};
use crate::mmu::{Access, Context, GROUP_WATCH, PAGE, Translation, Upper};
use alloc::{vec, vec::Vec};
use core::ops::{Index, IndexMut};
use timebase_isa::Trap;
use timebase_memory::{Drop, Memory};

/// Entries of a context.
pub(crate) const ENTRIES: usize = TRANSLATIONS;
/// Contexts that are resident.
const CONTEXTS: usize = 32;
/// Entries of all contexts: first those for data, then those for fetches, so that data do not drive out code.
const SLOTS: usize = 2 * CONTEXTS * ENTRIES;
const NEVER: u64 = Translated::NEVER;
/// The number of a context stands in the upper 29 bits of a salt.
const LAST_SERIAL: u32 = u32::MAX >> 3;

/// Which entry of a context translates `ea`. Two buffers that lie a large power of two apart, as those that a boot
/// copies between do, must not meet in one entry: upper bits of the address take part. Neighbours must not either,
/// not even the last page and the first: an access that crosses from one into the other is told by the tag of its
/// last byte, in the entry of its first.
#[inline(always)]
pub(crate) fn index(ea: u64) -> usize {
    let low = ea as u32;
    (low >> 12 ^ low >> 21) as usize % ENTRIES
}

const INVALID: Translated = Translated { read: NEVER, write: NEVER, addend: 0, fetch: NEVER };

/// The entries of a vCPU whose context is not known at the moment: none.
pub(crate) static NONE: [Translated; ENTRIES] = [INVALID; ENTRIES];

/// An entry's place in a chain: its neighbours' slots, or [`END`]. Chains are long: one entry of a radix tree may map a
/// gibibyte.
#[derive(Clone, Copy)]
struct Link {
    next: u32,
    previous: u32,
}

/// What the rest needs to know of an entry. There are many: what an entry is stands in one word with its page.
#[derive(Clone, Copy)]
struct Origin {
    leaf: u64,
    /// The real page, and [`USED`], [`WATCHED`] and [`DEVICE`].
    real: u64,
    by_leaf: Link,
    by_real: Link,
    /// Tag of the effective page if stores are permitted and C is set.
    writable: u64,
}

/// There is an entry.
const USED: u64 = 1;
/// Stores must go through memory's store path.
const WATCHED: u64 = 2;
/// The page is no memory: its entry has no pointer but, in the place of one, the tag of the effective page for loads.
const DEVICE: u64 = 4;

impl Origin {
    fn is(&self, what: u64) -> bool {
        self.real & what != 0
    }

    /// The real page's address.
    fn page(&self) -> u64 {
        self.real & !(PAGE - 1)
    }
}

const END: u32 = u32::MAX;
const HEADS: usize = 8192;

const UNUSED: Origin = Origin {
    leaf: 0,
    real: 0,
    by_leaf: Link { next: END, previous: END },
    by_real: Link { next: END, previous: END },
    writable: NEVER,
};

fn bucket(address: u64) -> usize {
    (address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 51) as usize % HEADS
}

/// Something for each slot: a part of it per context, and kind of access, that was ever resident. The others take no
/// memory.
struct Slots<T> {
    parts: Vec<Vec<T>>,
}

impl<T: Clone> Slots<T> {
    fn new() -> Slots<T> {
        Slots { parts: vec![Vec::new(); SLOTS / ENTRIES] }
    }

    /// The parts of context `n` are there, with this in all their slots if they are new.
    fn make(&mut self, n: usize, unused: T) {
        for part in [n, CONTEXTS + n] {
            self.parts[part].resize(ENTRIES, unused.clone());
        }
    }
}

impl<T> Index<usize> for Slots<T> {
    type Output = T;
    #[inline]
    fn index(&self, slot: usize) -> &T {
        &self.parts[slot / ENTRIES][slot % ENTRIES]
    }
}

impl<T> IndexMut<usize> for Slots<T> {
    #[inline]
    fn index_mut(&mut self, slot: usize) -> &mut T {
        &mut self.parts[slot / ENTRIES][slot % ENTRIES]
    }
}

/// Cached translations of all resident contexts.
pub(crate) struct Tlb {
    entries: Slots<Translated>,
    origins: Slots<Origin>,
    /// A bit per slot: it is used.
    occupied: Vec<u64>,
    by_leaf: Vec<u32>,
    by_real: Vec<u32>,
    contexts: [Option<Context>; CONTEXTS],
    used: [u64; CONTEXTS],
    clock: u64,
    /// How many contexts had to make room for others.
    taken: u64,
    /// Non-leaf table entries that some translation of a context went through.
    uppers: AddressSets,
    /// Where walks may go on.
    walks: Walks,
    /// Of each context that is resident: a number that no other one had, and that it loses when all its fetch
    /// translations may have gone.
    serials: [u32; CONTEXTS],
    next_serial: u32,
    /// All numbers have been given out and begin anew: the engine forgets all jumps.
    worn: bool,
    /// How often a fetch translation has gone.
    pub fetch_changes: u64,
    /// Effective pages whose fetch translation has gone, in whatever context; the engine forgets jumps there.
    moved: Vec<u64>,
    /// Empty: room for what memory says.
    dropped: Vec<Drop>,
    /// Lines of code that changed; the engine drops what it decoded from them.
    pub code_dropped: Vec<u64>,
    pub fills: u64,
    pub flushes: u64,
    /// How often something was dropped.
    pub drops: u64,
}

/// What a translation found: the real address of the byte.
pub(crate) struct Real(pub u64);

/// An access that is to be translated, in the context of this resident number.
pub(crate) struct Wanted {
    pub context: u32,
    pub ea: u64,
    pub access: Access,
    /// It stores zeros: where that changes nothing, the page gets no pointer for it, and no bytes.
    pub clear: bool,
}

impl Wanted {
    pub fn new(context: u32, ea: u64, access: Access) -> Wanted {
        Wanted { context, ea, access, clear: false }
    }

    /// Compiled code can make this access, which is no fetch, by the entry for it.
    #[inline]
    pub fn is_direct(&self, entry: &Translated) -> bool {
        let tag = Translated::tag(self.ea);
        match self.access {
            Access::Store => entry.write == tag || self.clear && entry.write == tag | Translated::CLEAR,
            Access::Load | Access::Fetch => entry.read == tag,
        }
    }
}

impl Tlb {
    pub fn new() -> Tlb {
        Tlb {
            entries: Slots::new(),
            origins: Slots::new(),
            occupied: vec![0; SLOTS / 64],
            by_leaf: vec![END; HEADS],
            by_real: vec![END; HEADS],
            contexts: [const { None }; CONTEXTS],
            used: [0; CONTEXTS],
            clock: 0,
            taken: 0,
            uppers: AddressSets::new(),
            walks: Walks::new(CONTEXTS),
            dropped: Vec::new(),
            code_dropped: Vec::new(),
            serials: core::array::from_fn(|n| n as u32 + 1),
            next_serial: CONTEXTS as u32 + 1,
            worn: false,
            fetch_changes: 0,
            moved: Vec::new(),
            fills: 0,
            flushes: 0,
            drops: 0,
        }
    }

    /// The resident number of a context; makes room for a new one.
    pub fn context(&mut self, context: Context) -> u32 {
        self.clock += 1;
        let known = self.contexts.iter().position(|c| c.as_ref() == Some(&context));
        let n = known.unwrap_or_else(|| {
            let n = (0..CONTEXTS).min_by_key(|&n| self.used[n]).unwrap_or(0);
            self.drop_context(n);
            self.contexts[n] = Some(context);
            self.entries.make(n, INVALID);
            self.origins.make(n, UNUSED);
            n
        });
        self.used[n] = self.clock;
        n as u32
    }

    fn drop_context(&mut self, n: usize) {
        if self.contexts[n].take().is_some() {
            self.taken += 1;
            self.empty(n);
        }
    }

    /// Drops all translations of a context.
    fn empty(&mut self, n: usize) {
        self.flushes += 1;
        self.walks.forget(n);
        let moved = self.moved.len();
        for first in [n * ENTRIES, (CONTEXTS + n) * ENTRIES] {
            for word in first / 64..(first + ENTRIES) / 64 {
                while self.occupied[word] != 0 {
                    self.clear(word * 64 + self.occupied[word].trailing_zeros() as usize);
                }
            }
        }
        // All its jumps go at once.
        self.moved.truncate(moved);
        self.renew(n);
    }

    /// Drops those translations of a context that are in the aligned range of 2 to the power of `reach` bytes around `ea`.
    fn empty_part(&mut self, n: usize, ea: u64, reach: u32) {
        self.walks.forget_part(n, ea, reach);
        let within = |tag: u64| tag != NEVER && (tag * PAGE ^ ea) >> reach == 0;
        // Pages of one range of 2 MiB have neighbouring entries.
        const TOGETHER: usize = 512;
        let (begin, length) =
            if reach <= 21 { (index(ea) / TOGETHER * TOGETHER, TOGETHER) } else { (0, ENTRIES) };
        for first in [n * ENTRIES + begin, (CONTEXTS + n) * ENTRIES + begin] {
            for word in first / 64..(first + length) / 64 {
                let mut left = self.occupied[word];
                while left != 0 {
                    let slot = word * 64 + left.trailing_zeros() as usize;
                    left &= left - 1;
                    let (entry, origin) = (&self.entries[slot], &self.origins[slot]);
                    let device = if origin.is(DEVICE) { entry.addend as u64 } else { NEVER };
                    // What has a tag for stores is writable.
                    let tags = [entry.read, entry.fetch, origin.writable, device];
                    // An entry that is good for nothing does not tell where it is.
                    if tags.iter().any(|&tag| within(tag)) || tags == [NEVER; 4] {
                        self.clear(slot);
                    }
                }
            }
        }
    }

    /// The context gets a new number: no jump that was found in it is valid any more.
    fn renew(&mut self, n: usize) {
        if self.next_serial > LAST_SERIAL {
            self.serials = core::array::from_fn(|n| n as u32 + 1);
            self.next_serial = CONTEXTS as u32 + 1;
            self.worn = true;
        }
        self.serials[n] = self.next_serial;
        self.next_serial += 1;
        self.fetch_changes += 1;
    }

    /// Jumps are to be forgotten before any is used again.
    #[inline]
    pub fn has_moved(&self) -> bool {
        self.worn || !self.moved.is_empty()
    }

    /// The effective pages to which jumps are to be forgotten; None: all of them.
    pub fn take_moved(&mut self) -> Option<Vec<u64>> {
        let moved = core::mem::take(&mut self.moved);
        (!core::mem::take(&mut self.worn)).then_some(moved)
    }

    /// All contexts get new numbers.
    pub fn renew_all(&mut self) {
        self.moved.clear();
        (0..CONTEXTS).for_each(|n| self.renew(n));
    }

    /// The number of resident context `n`.
    pub fn serial(&self, n: u32) -> u32 {
        self.serials[n as usize]
    }

    /// Pointer to the entries of context `n`.
    pub fn entries_of(&self, n: u32) -> *const Translated {
        self.entries.parts[n as usize].as_ptr()
    }

    /// The entry of context `n` for `ea`.
    pub fn entry(&self, n: u32, ea: u64) -> Translated {
        self.entries[Self::slot(n, ea, Access::Load)]
    }

    /// The resident number of a vCPU's context for accesses of a kind, in this segment if it is for instructions.
    fn current(&mut self, cpu: &mut Vcpu, access: Access, segment: u64) -> u32 {
        if cpu.fast.taken != self.taken {
            cpu.fast.forget_contexts();
            cpu.fast.taken = self.taken;
        }
        let (kind, relocation) = if access == Access::Fetch { (1, msr::IR) } else { (0, msr::DR) };
        let mode = mode(cpu.regs.msr, relocation);
        if let Some((of, n)) = cpu.fast.contexts[kind][mode]
            && of == segment
        {
            self.clock += 1;
            self.used[n as usize] = self.clock;
            return n;
        }
        let n = self.context(cpu.context(access));
        // It may have taken the place of a recent one.
        if cpu.fast.taken == self.taken {
            cpu.fast.contexts[kind][mode] = Some((segment, n));
        }
        n
    }

    /// The resident number of a vCPU's data context.
    #[inline]
    pub fn data_context(&mut self, cpu: &mut Vcpu) -> u32 {
        if let Some(n) = cpu.fast.data_context {
            return n;
        }
        let n = self.current(cpu, Access::Load, 0);
        cpu.fast.data_context = Some(n);
        cpu.fast.frame.translations = self.entries_of(n);
        n
    }

    /// The resident number of a vCPU's instruction context at NIA.
    #[inline]
    pub fn fetch_context(&mut self, cpu: &mut Vcpu) -> u32 {
        let segment = cpu.regs.nia >> 28;
        if let Some((of, n)) = cpu.fast.fetch_context
            && of == segment
        {
            return n;
        }
        let n = self.current(cpu, Access::Fetch, segment);
        cpu.fast.fetch_context = Some((segment, n));
        n
    }

    /// The translation of an access in the vCPU's present context, remembered or made.
    #[inline]
    pub fn lookup_or_fill(&mut self, cpu: &Vcpu, memory: &mut Memory, wanted: &Wanted) -> Result<Real, Trap> {
        let &Wanted { context, ea, access, .. } = wanted;
        let slot = Self::slot(context, ea, access);
        let (entry, origin, tag) = (&self.entries[slot], &self.origins[slot], Translated::tag(ea));
        let known = match access {
            Access::Load => entry.read == tag || origin.is(DEVICE) && entry.addend == tag as usize,
            // A page that somebody watches has no pointer for writing but may be writable. A first store through a pointer
            // that was withdrawn gets it back.
            Access::Store => {
                origin.is(USED) && origin.writable == tag && (origin.is(WATCHED) || wanted.is_direct(entry))
            }
            Access::Fetch => entry.fetch == tag,
        };
        if known {
            return Ok(Real(origin.page() | ea & (PAGE - 1)));
        }
        self.fill(cpu, memory, wanted)
    }

    fn slot(context: u32, ea: u64, access: Access) -> usize {
        let first = if access == Access::Fetch { CONTEXTS } else { 0 };
        (first + context as usize) * ENTRIES + index(ea)
    }

    /// Translates an access in the vCPU's present context with all its effects, and remembers it.
    fn fill(&mut self, cpu: &Vcpu, memory: &mut Memory, wanted: &Wanted) -> Result<Real, Trap> {
        let &Wanted { context, ea, access, .. } = wanted;
        self.fills += 1;
        let known = self.walks.find(context, ea);
        let found = match known.and_then(|table| cpu.translate_from(memory, table, ea, access)) {
            Some(found) => found,
            None => cpu.translate_and_update(memory, ea, access)?,
        };
        // The update may have dropped what was derived from the line it changed.
        self.apply(memory);
        self.insert(memory, wanted, &found, cpu.has_watched(ea));
        Ok(Real(found.page | ea & (PAGE - 1)))
    }

    fn insert(&mut self, memory: &mut Memory, wanted: &Wanted, found: &Translation, watched: bool) {
        let &Wanted { context, ea, access, clear } = wanted;
        let Some(read) = memory.page_for_read(found.page) else {
            return self.insert_device(memory, wanted, found);
        };
        let (tag, page) = (Translated::tag(ea), ea & !(PAGE - 1));
        let spied = watched || memory.has_watchpoints() && memory.watches_page(page, found.page);
        let store = access == Access::Store && found.write && !spied;
        let clear = store && clear && memory.is_clear(found.page);
        let write = if store && !clear { memory.page_for_write(found.page) } else { None };
        self.watch(memory, found, context, ea);
        // Withdrawals caused by the pointers and watches just made come before the entry that holds them.
        self.apply(memory);
        let host = write.map_or_else(|| memory.page_for_read(found.page).unwrap_or(read), |w| w.cast_const());
        let slot = Self::slot(context, ea, access);
        let old = self.entries[slot];
        let origin = &self.origins[slot];
        // One that is fetched from stays what it is, or goes with all that is known by it.
        let other = access == Access::Fetch && old.fetch != NEVER && old.fetch != tag;
        let same = origin.is(USED) && origin.page() == found.page && origin.leaf == found.leaf && !other;
        let keep = |t: u64| if same && t == tag { t } else { NEVER };
        let (kept_write, kept_fetch) = (keep(old.write), keep(old.fetch));
        if !same {
            self.clear(slot);
            self.link(slot, found.leaf, found.page);
        }
        if access == Access::Store {
            let origin = &mut self.origins[slot];
            origin.writable = tag;
            let watched = write.is_none() && !clear;
            origin.real = origin.real & !WATCHED | if watched { WATCHED } else { 0 };
        }
        self.entries[slot] = Translated {
            read: if found.read && !spied { tag } else { NEVER },
            write: match write {
                Some(_) => tag,
                None if clear => tag | Translated::CLEAR,
                None => kept_write,
            },
            addend: (host as usize).wrapping_sub(page as usize),
            fetch: if access == Access::Fetch { tag } else { kept_fetch },
        };
    }

    /// The page is no memory. It does not take the place of one that is, which compiled code may need all the time.
    fn insert_device(&mut self, memory: &mut Memory, wanted: &Wanted, found: &Translation) {
        let &Wanted { context, ea, access, .. } = wanted;
        let (slot, tag) = (Self::slot(context, ea, access), Translated::tag(ea));
        let there = &self.origins[slot];
        if access == Access::Fetch || !found.read || there.is(USED) && !there.is(DEVICE) {
            return;
        }
        self.watch(memory, found, context, ea);
        self.apply(memory);
        self.clear(slot);
        self.link(slot, found.leaf, found.page);
        let origin = &mut self.origins[slot];
        origin.real |= DEVICE | WATCHED;
        if access == Access::Store {
            origin.writable = tag;
        }
        self.entries[slot] = Translated { addend: tag as usize, ..INVALID };
    }

    fn watch(&mut self, memory: &mut Memory, found: &Translation, context: u32, ea: u64) {
        let mut watch = |address: u64| {
            memory.watch_table(address & !7);
            if address & GROUP_WATCH != 0 {
                memory.watch_table(address & !7 | 64);
            }
        };
        if found.leaf != 0 {
            watch(found.leaf);
        }
        for &upper in &found.uppers[..found.upper_count as usize] {
            watch(upper.address);
            self.uppers.insert(upper, context, ea);
        }
        if let Some(table) = found.table {
            self.walks.note(context, ea, table);
        }
    }

    fn link(&mut self, slot: usize, leaf: u64, real: u64) {
        self.origins[slot] = Origin { leaf, real: real | USED, ..UNUSED };
        chain(&mut self.by_leaf[bucket(leaf)], &mut self.origins, slot, |o| &mut o.by_leaf);
        chain(&mut self.by_real[bucket(real)], &mut self.origins, slot, |o| &mut o.by_real);
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// Makes an entry invalid and takes it out of its chains.
    fn clear(&mut self, slot: usize) {
        if !self.origins[slot].is(USED) {
            return;
        }
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        if self.entries[slot].fetch != NEVER {
            self.moved.push(self.entries[slot].fetch * PAGE);
            self.fetch_changes += 1;
        }
        self.entries[slot] = INVALID;
        let (leaf, real) = (self.origins[slot].leaf, self.origins[slot].page());
        unchain(&mut self.by_leaf[bucket(leaf)], &mut self.origins, slot, |o| &mut o.by_leaf);
        unchain(&mut self.by_real[bucket(real)], &mut self.origins, slot, |o| &mut o.by_real);
        self.origins[slot] = UNUSED;
    }

    fn drop_leaf(&mut self, leaf: u64) {
        let mut slot = self.by_leaf[bucket(leaf)];
        while slot != END {
            let origin = self.origins[slot as usize];
            if origin.leaf == leaf {
                self.clear(slot as usize);
            }
            slot = origin.by_leaf.next;
        }
    }

    fn each_of_page(&mut self, real: u64, mut act: impl FnMut(&mut Tlb, usize)) {
        let mut slot = self.by_real[bucket(real)];
        while slot != END {
            let origin = self.origins[slot as usize];
            if origin.page() == real {
                act(self, slot as usize);
            }
            slot = origin.by_real.next;
        }
    }

    /// Drops what memory says is no longer true. Lines of code are gathered in `code_dropped`.
    #[inline(always)]
    pub fn apply(&mut self, memory: &mut Memory) {
        if memory.has_dropped() {
            self.apply_dropped(memory);
        }
    }

    #[cold]
    fn apply_dropped(&mut self, memory: &mut Memory) {
        self.drops += 1;
        let mut all = core::mem::take(&mut self.dropped);
        memory.exchange_dropped(&mut all);
        for dropped in all.drain(..) {
            match dropped {
                Drop::Table(address) => self.drop_table([address, address & !127 | GROUP_WATCH]),
                Drop::Cleared(line) => {
                    let entries: [u64; 8] = core::array::from_fn(|n| line + 8 * n as u64);
                    self.drop_table(entries);
                    self.drop_table([line & !127 | GROUP_WATCH]);
                }
                Drop::Code(line) => self.code_dropped.push(line),
                Drop::Writes(page) => self.each_of_page(page, |tlb, slot| tlb.entries[slot].write = NEVER),
                Drop::Moved(page) => self.each_of_page(page, |tlb, slot| tlb.clear(slot)),
                // The next store asks for a pointer.
                Drop::Unwatched(page) => {
                    self.each_of_page(page, |tlb, slot| tlb.origins[slot].real &= !WATCHED);
                }
            }
        }
        self.dropped = all;
    }

    /// Drops what was derived from these table entries.
    fn drop_table<const N: usize>(&mut self, addresses: [u64; N]) {
        for address in addresses {
            let Users { mut contexts, ea, reach } = self.uppers.take(address);
            while contexts != 0 {
                let n = contexts.trailing_zeros() as usize;
                contexts &= contexts - 1;
                if reach == Upper::ALL { self.empty(n) } else { self.empty_part(n, ea, reach) }
            }
            self.drop_leaf(address);
        }
    }

    /// What was decoded from the page at `real` has gone: jumps there, wherever it is, are to be forgotten.
    pub fn code_has_gone(&mut self, real: u64) {
        self.each_of_page(real & !(PAGE - 1), |tlb, slot| {
            let page = tlb.entries[slot].fetch;
            if page != NEVER {
                tlb.moved.push(page * PAGE);
                tlb.fetch_changes += 1;
            }
        });
    }

    /// Gives back all pointers for writing.
    pub fn withdraw_writes(&mut self) {
        for (word, &used) in self.occupied.iter().enumerate() {
            let mut left = used;
            while left != 0 {
                self.entries[word * 64 + left.trailing_zeros() as usize].write = NEVER;
                left &= left - 1;
            }
        }
    }

    /// Forgets which contexts are resident.
    pub fn forget_contexts(&mut self) {
        self.contexts = [const { None }; CONTEXTS];
    }

    /// Forgets all translations, but not which contexts are resident.
    pub fn flush(&mut self, memory: &mut Memory) {
        memory.unwatch_tables();
        self.flushes += 1;
        for (word, used) in self.occupied.iter_mut().enumerate() {
            while *used != 0 {
                let slot = word * 64 + used.trailing_zeros() as usize;
                self.entries[slot] = INVALID;
                self.origins[slot] = UNUSED;
                *used &= *used - 1;
            }
        }
        self.by_leaf.fill(END);
        self.by_real.fill(END);
        self.uppers.clear();
        self.walks.forget_all();
        self.renew_all();
    }
}

/// Puts a slot at the head of a chain.
fn chain(head: &mut u32, origins: &mut Slots<Origin>, slot: usize, of: fn(&mut Origin) -> &mut Link) {
    *of(&mut origins[slot]) = Link { next: *head, previous: END };
    if *head != END {
        of(&mut origins[*head as usize]).previous = slot as u32;
    }
    *head = slot as u32;
}

/// Takes a slot out of its chain.
fn unchain(head: &mut u32, origins: &mut Slots<Origin>, slot: usize, of: fn(&mut Origin) -> &mut Link) {
    let Link { next, previous } = *of(&mut origins[slot]);
    if next != END {
        of(&mut origins[next as usize]).previous = previous;
    }
    if previous == END {
        *head = next;
    } else {
        of(&mut origins[previous as usize]).next = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Model;
    use crate::bits::lpcr;
    use timebase_memory::Writer;
    use timebase_state::Instant;

    #[test]
    fn numbers_that_begin_anew_are_told() {
        let mut tlb = Tlb::new();
        tlb.next_serial = LAST_SERIAL;
        tlb.renew(3);
        assert!(!tlb.has_moved() && tlb.serial(3) == LAST_SERIAL);
        tlb.renew(4);
        assert!(tlb.has_moved() && tlb.take_moved().is_none() && !tlb.has_moved());
        let mut serials = tlb.serials.to_vec();
        serials.sort();
        serials.dedup();
        assert_eq!(serials.len(), CONTEXTS);
    }

    #[test]
    fn a_context_that_made_room_is_not_found_among_the_recent_ones() {
        let vcpu = || Vcpu::cold(0, Model::Power9, true, 0, Instant::default());
        let (mut tlb, mut cpu, mut other) = (Tlb::new(), vcpu(), vcpu());
        for cpu in [&mut cpu, &mut other] {
            cpu.spr.lpcr |= lpcr::HR;
            cpu.set_msr(cpu.regs.msr | msr::DR);
        }
        let first = tlb.data_context(&mut cpu);
        cpu.fast.leave();
        assert_eq!(tlb.data_context(&mut cpu), first);
        for pid in 1..=CONTEXTS as u64 {
            other.spr.pidr = pid;
            tlb.context(other.context(Access::Load));
        }
        cpu.fast.leave();
        let n = tlb.data_context(&mut cpu) as usize;
        assert_eq!(tlb.contexts[n], Some(cpu.context(Access::Load)));
    }

    /// Trees of two processes that share tables, changed at random in all levels: whatever is cached, each access finds
    /// what a whole walk finds.
    #[test]
    fn what_is_cached_is_what_a_whole_walk_finds() {
        const VALID: u64 = 1 << 63;
        const LEAF: u64 = 3 << 62 | 0x107;
        const PROCESSES: u64 = 0x1_0000;
        let root = |process: u64| 0x10_0000 + process * 0x1_0000;
        let table = |level: u64, n: u64| 0x20_0000 + level * 0x1_0000 + n * 0x1000;
        let mut memory = Memory::new(16 << 20, 1);
        let mut put = |address: u64, value: u64| memory.store_u64(address, value, Writer::Other).unwrap();
        for process in 0..3 {
            // 52 bits, of which the first level has 13.
            put(PROCESSES + 16 * process, 2 << 61 | 5 << 5 | 13 | root(process));
        }
        let mut cpu = Vcpu::cold(0, Model::Power9, false, 0, Instant::default());
        cpu.partition.radix = true;
        (cpu.partition.process_table, cpu.partition.process_table_bytes) = (PROCESSES, 4096);
        cpu.set_msr(cpu.regs.msr | msr::DR | msr::IR);
        let mut tlb = Tlb::new();
        let mut state = 1u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (state >> 33) % limit
        };
        let (mut found, mut missed) = (0, 0);
        for step in 0..200_000 {
            if step < 500 || below(60) == 0 {
                let level = below(4);
                let place = if level == 0 { root(below(3)) } else { table(level, below(3)) };
                let place = place + 8 * below(3) * if level == 3 { 200 } else { 1 };
                let next =
                    if level < 3 { VALID | table(level + 1, below(3)) | 9 } else { LEAF | below(4) << 12 };
                let value = match below(16) {
                    0 if level > 0 => LEAF | below(2) << 21,
                    1 | 2 => 0,
                    _ => next,
                };
                memory.store_u64(place, value, Writer::Cpu(0)).unwrap();
                if below(24) == 0 {
                    memory.zero(place & !127, 128, Writer::Cpu(0)).unwrap();
                }
                if below(100) == 0 {
                    tlb.flush(&mut memory);
                }
                tlb.apply(&mut memory);
            }
            cpu.spr.pidr = 1 + below(2);
            cpu.fast.leave();
            cpu.context_changed();
            let [second, third, page] =
                [(1, 30), (1, 21), (200, 12)].map(|(by, shift)| below(3) * by << shift);
            // These do not count for the place of an entry.
            let [quadrant, first] = [3 << 62, 1 << 39].map(|upper| if below(8) == 0 { upper } else { 0 });
            let ea = quadrant | first | second | third | page | below(4096);
            let access = [Access::Load, Access::Store, Access::Fetch][below(3) as usize];
            cpu.regs.nia = ea;
            let whole = cpu.translate(&memory, ea, access).map(|found| found.page | ea & (PAGE - 1));
            let context = if access == Access::Fetch {
                tlb.fetch_context(&mut cpu)
            } else {
                tlb.data_context(&mut cpu)
            };
            let cached =
                tlb.lookup_or_fill(&cpu, &mut memory, &Wanted::new(context, ea, access)).map(|real| real.0);
            assert_eq!(cached, whole, "{access:?} at {ea:#x} by process {}", cpu.spr.pidr);
            *(if cached.is_ok() { &mut found } else { &mut missed }) += 1;
        }
        let known = found - (tlb.fills - missed);
        assert!(known > 20_000 && missed > 10_000, "{known} of {found}, {missed} missed");
    }

    #[test]
    fn neighbours_have_different_entries() {
        for page in (0..1 << 22).chain([u64::MAX >> 12, (1 << 40) - 1, 0x000f_ffff_ffff_fc00 - 1]) {
            assert_ne!(index(page << 12), index((page + 1) << 12), "{page:#x}");
        }
    }
}
