//! Physical memory: where bytes live, the one path by which they change, and who wants to know of it.
//!
//! All writers (vCPU, hypervisor call, device, table walker, debugger) go through [`Memory::store`]. The only
//! exception is an engine that writes through a pointer from [`Memory::page_for_write`], which is given out only
//! for pages that nobody watches, and taken back ([`Drop`]) as soon as somebody does. So derived things (cached
//! translations, decoded code, reservations) are always as true as if they were made anew at each instruction.
//!
//! Left out: memory-mapped devices. An address that is not bulk storage here belongs to the machine's bus.
#![no_std]
extern crate alloc;

mod by_page;
mod reservation;
mod watch;
mod watchpoint;

pub use by_page::ByPage;
pub use reservation::{GRANULE, Reservation};
pub use watchpoint::{Sighting, Space, Watchpoint};

use alloc::{vec, vec::Vec};
use timebase_state::{Paged, State};
use watch::Watches;
use watchpoint::Watchpoints;

/// Bytes in a page: the unit of sharing, watching and engine pointers.
pub const PAGE: u64 = 4096;

/// Who stores: decides whose reservations the store clears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writer {
    /// The vCPU of this index.
    Cpu(u32),
    /// Anything else: hypervisor, firmware, device, debugger.
    Other,
    /// The table walker setting R or C: it invalidates no translation.
    Walker,
}

/// Something derived from memory that is no longer true, or a pointer that must not be used any more.
/// An engine applies these to its caches before the next instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drop {
    /// The translation table entry in this doubleword changed (real address).
    Table(u64),
    /// The 64-byte line at this real address has become zero. It is not watched as one of translation tables any more, so
    /// whatever was derived from it goes.
    Cleared(u64),
    /// Code in this 64-byte line changed (real address).
    Code(u64),
    /// Pointers for writing to this page are withdrawn.
    Writes(u64),
    /// Nothing in this page is watched any more: there may be pointers for writing to it.
    Unwatched(u64),
    /// The page lies elsewhere in the host now: all pointers to it are withdrawn.
    Moved(u64),
}

/// The real address is not bulk storage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotMemory;

/// A range of real addresses backed by bulk storage.
#[derive(State)]
struct Region {
    #[wiring("where the machine has it, all its life")]
    base: u64,
    storage: Paged,
    #[cache("what engines derived from the storage")]
    watches: Watches,
}

impl Region {
    fn new(base: u64, bytes: u64) -> Region {
        Region { base, storage: Paged::new(bytes), watches: Watches::default() }
    }

    /// Lines of a page are not watched any more as those of tables or of code.
    fn unwatch(&mut self, page: u64, tables: u64, code: u64, dropped: &mut Vec<Drop>) {
        let watch = self.watches.page_mut(page);
        let any = watch.any();
        watch.tables &= !tables;
        watch.code &= !code;
        if any && !watch.any() {
            dropped.push(Drop::Unwatched(self.base + page * PAGE));
        }
    }
}

/// All bulk storage of a machine, by real address.
#[derive(State)]
pub struct Memory {
    /// Main memory at 0, and what [`Memory::attach`] put beyond it.
    regions: [Region; 2],
    /// Per vCPU.
    reservations: Vec<Reservation>,
    #[cache("pages of other vCPUs' reservations, made at each slice")]
    reserved_pages: Vec<u64>,
    #[cache("applied by the engine before the next instruction")]
    dropped: Vec<Drop>,
    /// The page of main memory that was the last one to get bytes for an engine's pointer.
    #[cache("whether zeros are there or absent")]
    fresh: Option<u64>,
    /// Pages of main memory that have lost theirs.
    #[cache("whether zeros are there or absent")]
    emptied: ByPage<bool>,
    #[cache("what a debugger wants to know")]
    watchpoints: Watchpoints,
}

impl Memory {
    /// `bytes` of zeroed main memory at address 0, for `cpus` vCPUs.
    pub fn new(bytes: u64, cpus: u32) -> Memory {
        Memory {
            regions: [Region::new(0, bytes), Region::new(u64::MAX, 0)],
            reservations: vec![Reservation::NONE; cpus as usize],
            reserved_pages: Vec::new(),
            dropped: Vec::new(),
            fresh: None,
            emptied: ByPage::default(),
            watchpoints: Watchpoints::default(),
        }
    }

    /// Puts zeroed storage at `base`, beyond what [`Memory::bytes`] counts (a hash page table outside the guest),
    /// in place of what was attached before. The engine must drop all its caches.
    pub fn attach(&mut self, base: u64, bytes: u64) {
        self.regions[1] = Region::new(base, bytes);
    }

    /// Main memory in bytes.
    pub fn bytes(&self) -> u64 {
        self.regions[0].storage.len()
    }

    #[inline]
    fn region(&self, address: u64, bytes: u64) -> Option<(usize, u64)> {
        self.regions.iter().enumerate().find_map(|(n, region)| {
            let offset = address.wrapping_sub(region.base);
            (offset < region.storage.len() && bytes <= region.storage.len() - offset).then_some((n, offset))
        })
    }

    /// The address is bulk storage.
    pub fn contains(&self, address: u64, bytes: u64) -> bool {
        self.region(address, bytes).is_some()
    }

    /// Reads bytes in address order. Has no effect on anything.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<(), NotMemory> {
        let (n, offset) = self.region(address, out.len() as u64).ok_or(NotMemory)?;
        let storage = &self.regions[n].storage;
        if offset % PAGE + out.len() as u64 <= PAGE {
            let start = (offset % PAGE) as usize;
            out.copy_from_slice(&storage.page_bytes(offset / PAGE)[start..start + out.len()]);
            return Ok(());
        }
        storage.read(offset, out).then_some(()).ok_or(NotMemory)
    }

    /// Reads a big-endian doubleword.
    pub fn read_u64(&self, address: u64) -> Result<u64, NotMemory> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Reads a big-endian word.
    pub fn read_u32(&self, address: u64) -> Result<u32, NotMemory> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// The one store path: changes bytes, drops what was derived from them, clears reservations.
    /// Nothing changes if part of the range is not memory.
    pub fn store(&mut self, address: u64, bytes: &[u8], writer: Writer) -> Result<(), NotMemory> {
        let (n, offset) = self.region(address, bytes.len() as u64).ok_or(NotMemory)?;
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let length = ((PAGE - at % PAGE) as usize).min(bytes.len() - done);
            self.store_in_page(n, at, &bytes[done..done + length], writer);
            done += length;
        }
        Ok(())
    }

    fn store_in_page(&mut self, n: usize, offset: u64, bytes: &[u8], writer: Writer) {
        let region = &mut self.regions[n];
        let page = offset / PAGE;
        let start = (offset % PAGE) as usize;
        let old = region.storage.page(page).map(|old| old.0.as_ptr());
        let watch = region.watches.page(page);
        if watch.any() {
            let old = region.storage.page_bytes(page);
            watch.changes(region.base + page * PAGE, old, start, bytes, writer, &mut self.dropped);
        }
        // What has no bytes yet stays so as long as only zeros are stored there: guests clear more than they use.
        if old.is_some() || bytes.iter().any(|byte| *byte != 0) {
            let target = region.storage.page_mut(page);
            target[start..start + bytes.len()].copy_from_slice(bytes);
            if old != Some(target.as_ptr()) {
                self.dropped.push(Drop::Moved(region.base + page * PAGE));
            }
        }
        if watch.tables != 0 {
            // Tables end as zeros, and then their pages are used for something else.
            let cleared = watch.cleared(region.storage.page_bytes(page), start, bytes.len());
            for line in watch::lines(cleared) {
                self.dropped.push(Drop::Cleared(region.base + page * PAGE + line * watch::LINE));
            }
            if cleared != 0 {
                region.unwatch(page, cleared, 0, &mut self.dropped);
            }
        }
        let address = region.base + offset;
        if self.watchpoints.any() {
            let cpu = if let Writer::Cpu(cpu) = writer { Some(cpu) } else { None };
            self.watchpoints.tell(Space::Real, cpu, address, bytes.len() as u64, true);
        }
        for (cpu, reservation) in self.reservations.iter_mut().enumerate() {
            if writer != Writer::Cpu(cpu as u32) && reservation.overlaps(address, bytes.len() as u64) {
                *reservation = Reservation::NONE;
            }
        }
    }

    /// Stores a big-endian doubleword.
    pub fn store_u64(&mut self, address: u64, value: u64, writer: Writer) -> Result<(), NotMemory> {
        self.store(address, &value.to_be_bytes(), writer)
    }

    /// Stores a big-endian word.
    pub fn store_u32(&mut self, address: u64, value: u32, writer: Writer) -> Result<(), NotMemory> {
        self.store(address, &value.to_be_bytes(), writer)
    }

    /// Sets `bytes` bytes to zero.
    pub fn zero(&mut self, address: u64, bytes: u64, writer: Writer) -> Result<(), NotMemory> {
        const ZEROS: [u8; PAGE as usize] = [0; PAGE as usize];
        self.region(address, bytes).ok_or(NotMemory)?;
        let mut done = 0;
        while done < bytes {
            let length = (PAGE - (address + done) % PAGE).min(bytes - done);
            self.store(address + done, &ZEROS[..length as usize], writer)?;
            done += length;
        }
        Ok(())
    }

    /// The bytes of the page at `address` (a multiple of [`PAGE`]). None if it is not memory.
    pub fn page(&self, address: u64) -> Option<&[u8; PAGE as usize]> {
        let (n, offset) = self.region(address, PAGE)?;
        Some(self.regions[n].storage.page_bytes(offset / PAGE))
    }

    /// A pointer for reading the page at `address` (a multiple of [`PAGE`]), valid until [`Drop::Moved`] names it.
    /// None if it is not memory.
    pub fn page_for_read(&self, address: u64) -> Option<*const u8> {
        self.page(address).map(|page| page.as_ptr())
    }

    /// A pointer for reading and writing the page at `address` (a multiple of [`PAGE`]), valid until
    /// [`Drop::Moved`] or [`Drop::Writes`] names it or the storage is sealed (digest, snapshot; the owner of the
    /// engine sees to that). None if it is not memory or somebody watches it: then only [`Memory::store`] may write.
    pub fn page_for_write(&mut self, address: u64) -> Option<*mut u8> {
        let (n, offset) = self.unwatched(address)?;
        let number = offset / PAGE;
        let old = self.regions[n].storage.page(number).map(|page| page.0.as_ptr());
        if n == 0 && old.is_none() {
            self.drop_zeros();
            // Once is enough: what is asked for again may be filled by turns with another page.
            let emptied = self.emptied.get(number).is_some_and(|emptied| *emptied);
            self.fresh = (!emptied).then_some(address);
        }
        let page = self.regions[n].storage.page_mut(number).as_mut_ptr();
        if old != Some(page.cast_const()) {
            self.dropped.push(Drop::Moved(address));
        }
        Some(page)
    }

    /// Guests fill with zeros what was clear, by the MiB: if nothing else was stored in the page that got bytes last, it
    /// loses them.
    fn drop_zeros(&mut self) {
        let Some(address) = self.fresh.take().filter(|address| self.unwatched(*address).is_some()) else {
            return;
        };
        if self.regions[0].storage.drop_zeros(address / PAGE) {
            *self.emptied.make(address / PAGE) = true;
            self.dropped.push(Drop::Moved(address));
        }
    }

    /// Storing zeros in the page at `address` (a multiple of [`PAGE`]) changes nothing: it has no bytes yet, and nobody
    /// watches it. So it is until [`Drop::Moved`] or [`Drop::Writes`] names it or the storage is sealed.
    pub fn is_clear(&self, address: u64) -> bool {
        self.unwatched(address)
            .is_some_and(|(n, offset)| self.regions[n].storage.page(offset / PAGE).is_none())
    }

    /// Where the page at `address` is, if it is memory and nobody watches it.
    fn unwatched(&self, address: u64) -> Option<(usize, u64)> {
        let (n, offset) = self.region(address, PAGE)?;
        let watched = self.regions[n].watches.page(offset / PAGE).any()
            || self.reserved_pages.contains(&address)
            || self.watchpoints.in_page(Space::Real, address);
        (!watched).then_some((n, offset))
    }

    /// From now on changes of the doubleword at `address` are told as [`Drop::Table`].
    pub fn watch_table(&mut self, address: u64) {
        self.watch(address, |watch| watch.tables |= 1 << (address % PAGE / watch::LINE));
    }

    /// From now on changes of these 64-byte lines of the page at `address`, a bit each, are told as [`Drop::Code`].
    pub fn watch_code(&mut self, address: u64, lines: u64) {
        self.watch(address, |watch| watch.code |= lines);
    }

    fn watch(&mut self, address: u64, add: impl FnOnce(&mut watch::Watch)) {
        let Some((n, offset)) = self.region(address, 1) else { return };
        let watch = self.regions[n].watches.page_mut(offset / PAGE);
        if !watch.any() {
            self.dropped.push(Drop::Writes(address & !(PAGE - 1)));
        }
        add(watch);
    }

    /// Code in this page is no longer watched: the engine has dropped all it had decoded from it.
    pub fn unwatch_code(&mut self, address: u64) {
        if let Some((n, offset)) = self.region(address, 1) {
            self.regions[n].unwatch(offset / PAGE, 0, u64::MAX, &mut self.dropped);
        }
    }

    /// Translation tables are no longer watched: the engine has dropped all translations.
    pub fn unwatch_tables(&mut self) {
        for region in &mut self.regions {
            region.watches.clear_tables();
        }
    }

    /// Replaces the watchpoints. The engine must drop all translations.
    pub fn set_watchpoints(&mut self, watchpoints: Vec<Watchpoint>) {
        self.watchpoints.set(watchpoints);
    }

    /// There are watchpoints.
    #[inline(always)]
    pub fn has_watchpoints(&self) -> bool {
        self.watchpoints.any()
    }

    /// Some byte of the page at this effective or real address is watched: an engine may have no pointer to it.
    pub fn watches_page(&self, effective: u64, real: u64) -> bool {
        self.watchpoints.in_page(Space::Effective, effective) || self.watchpoints.in_page(Space::Real, real)
    }

    /// A vCPU accesses `bytes` bytes. Stores to real addresses tell of themselves.
    pub fn tell_access(&mut self, space: Space, cpu: u32, address: u64, bytes: u64, store: bool) {
        self.watchpoints.tell(space, Some(cpu), address, bytes, store);
    }

    /// Watched bytes were accessed since [`Memory::take_sightings`].
    #[inline(always)]
    pub fn has_sightings(&self) -> bool {
        self.watchpoints.any_seen()
    }

    /// Takes the accesses to watched bytes.
    pub fn take_sightings(&mut self) -> Vec<Sighting> {
        self.watchpoints.take()
    }

    /// Takes what is no longer true since the last call.
    pub fn take_dropped(&mut self) -> Vec<Drop> {
        core::mem::take(&mut self.dropped)
    }

    /// The same into an empty vector, whose room is used for what comes next.
    pub fn exchange_dropped(&mut self, dropped: &mut Vec<Drop>) {
        debug_assert!(dropped.is_empty());
        core::mem::swap(&mut self.dropped, dropped);
    }

    /// Something is no longer true.
    #[inline(always)]
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Reservation of vCPU `cpu`.
    pub fn reservation(&self, cpu: u32) -> Reservation {
        self.reservations[cpu as usize]
    }

    /// Replaces the reservation of vCPU `cpu`.
    pub fn set_reservation(&mut self, cpu: u32, reservation: Reservation) {
        self.reservations[cpu as usize] = reservation;
    }

    /// The bulk storage as it is, to be handed to [`Memory::replaced`] later. Shares it: engines must have given back
    /// their pointers for writing.
    pub fn storage(&self) -> [Paged; 2] {
        [self.regions[0].storage.clone(), self.regions[1].storage.clone()]
    }

    /// Pages of bulk storage that were ever written, by images or by the guest.
    pub fn pages(&self) -> u64 {
        self.regions.iter().map(|region| region.storage.unshared_pages(&Paged::new(0))).sum()
    }

    /// Puts `bytes` bytes of `content` from `offset` on at `address`. Whole pages are shared, where the pages of both agree.
    /// Nothing changes if part of the range is not memory. The engine must drop all its caches.
    pub fn place(&mut self, address: u64, content: &Paged, offset: u64, bytes: u64) -> Result<(), NotMemory> {
        let (n, to) = self.region(address, bytes).ok_or(NotMemory)?;
        let mut done = 0;
        if to % PAGE == offset % PAGE {
            // What precedes the first whole page is copied, as is what follows the last.
            done = ((PAGE - to % PAGE) % PAGE).min(bytes);
            self.copy_in(address, content, offset, done)?;
            let pages = (bytes - done) / PAGE;
            self.regions[n].storage.share((to + done) / PAGE, content, (offset + done) / PAGE, pages);
            done += pages * PAGE;
        }
        self.copy_in(address + done, content, offset + done, bytes - done)
    }

    fn copy_in(&mut self, address: u64, content: &Paged, offset: u64, bytes: u64) -> Result<(), NotMemory> {
        let mut at = address;
        for piece in content.pieces(offset, bytes) {
            self.store(at, piece, Writer::Other)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Main memory has this content from now on, shared until it is written. The engine must drop all its caches.
    ///
    /// # Panics
    /// If it has another length: it was taken from a memory like this one.
    pub fn put(&mut self, main: &Paged) {
        assert_eq!(main.len(), self.bytes(), "another length");
        self.regions[0].storage = main.clone();
    }

    /// The storage was `before` and was loaded anew: tells the engine, which has dropped its translations, which code
    /// changed by that. The rest of what it decoded is still true.
    pub fn replaced(&mut self, before: &[Paged; 2]) {
        for (region, before) in self.regions.iter().zip(before) {
            for (page, watch) in region.watches.code_pages() {
                if before.len() != region.storage.len() {
                    self.dropped.push(Drop::Code(region.base + page * PAGE));
                    continue;
                }
                let (old, new) = (before.page_ptr(page), region.storage.page_ptr(page));
                if old == new {
                    continue;
                }
                for line in (0..PAGE / watch::LINE).filter(|line| watch.code >> line & 1 != 0) {
                    let at = (line * watch::LINE) as usize;
                    // SAFETY: both pointers are to PAGE readable bytes that nothing changes meanwhile.
                    let (old, new) = unsafe {
                        let length = watch::LINE as usize;
                        (
                            core::slice::from_raw_parts(old.add(at), length),
                            core::slice::from_raw_parts(new.add(at), length),
                        )
                    };
                    if old != new {
                        self.dropped.push(Drop::Code(region.base + page * PAGE + at as u64));
                        // All of the page is dropped with it.
                        break;
                    }
                }
            }
        }
    }

    /// vCPU `cpu` runs next: the granules that the others hold reserved are watched.
    pub fn begin_slice(&mut self, cpu: u32) {
        self.reserved_pages.clear();
        for (other, reservation) in self.reservations.iter().enumerate() {
            if other as u32 != cpu
                && let Some(address) = reservation.address()
            {
                let page = address & !(PAGE - 1);
                self.reserved_pages.push(page);
                self.dropped.push(Drop::Writes(page));
            }
        }
    }

    /// Main memory and attached storage become zero, reservations are lost: power-on. What was attached
    /// goes. The engine must drop all its caches.
    pub fn reset(&mut self) {
        self.regions = [Region::new(0, self.bytes()), Region::new(u64::MAX, 0)];
        self.reservations.fill(Reservation::NONE);
    }
}

#[cfg(test)]
mod tests;
