//! The file that the guest (`guests/differential`) runs, and the results that it writes: the same numbers stand in its
//! source.
//!
//! Code stands apart from the records, each a state that some code begins in: many records begin the same code, which
//! the peer translates once.

use timebase_cpu::Model;
use timebase_isa::Regs;

/// The guest, a flat image for address 0.
pub const GUEST: &[u8] = include_bytes!("../../../guests/differential/differential.bin");

/// Real address of the file.
pub const BLOCKS: u64 = 0x2000_0000;
/// Of the code in it.
pub const CODES: u64 = BLOCKS + 0x20_0000;
/// Of the first record in it.
pub const RECORDS: u64 = BLOCKS + 0x120_0000;
/// Of the first result.
pub const RESULTS: u64 = 0x3000_0000;
/// Bytes of a record, and of a result.
pub const RECORD: usize = 0x900;
/// Records that there is room for.
pub const MOST: usize = 0xec0_0000 / RECORD;
/// Places for code.
pub const PLACES: usize = 0x100_0000 / (4 * WORDS);
/// Bytes of memory that the guest needs.
pub const MEMORY: u64 = 1 << 30;
/// Where the guest counts records that are done.
pub const DONE: u64 = BLOCKS + 24;

/// Data: the 256 bytes around the boundary of two pages, of which results have a copy.
pub const WINDOW: u64 = BLOCKS + 0x8_ff80;
/// Bytes of it.
pub const WINDOW_BYTES: usize = 256;
/// A page that is mapped for reading. The one after it is not mapped, the one before it is the window's second one.
pub const READ_ONLY: u64 = BLOCKS + 0x9_1000;
/// The first of `PAGES` pages whose rights, in one level of translation or the other, let only some load.
pub const RESTRICTED: u64 = READ_ONLY + 2 * PAGE;
/// How many.
pub const PAGES: u64 = 5;
/// Bytes of a page.
pub const PAGE: u64 = 0x1000;

/// Offset of the code in a record that is not yet in the file.
pub const CODE: usize = RECORD;
/// Words of code.
pub const WORDS: usize = 64;
/// Offset of the first GPR.
pub const GPR: usize = 0x180;
/// Of the first VSR.
pub const VSR: usize = 0x300;
/// Of the copy of the window.
pub const DATA: usize = 0x700;
/// The end of it.
pub const DATA_END: usize = DATA + WINDOW_BYTES;
/// Of the entries of the SLB, two doublewords each.
pub const SLB: usize = 0x800;
/// How many of them.
pub const SEGMENTS: usize = 8;
/// Of the registers of the performance monitor.
pub const PMU: usize = 0x880;
/// Of VSCR, in the last word of 16 bytes.
pub const VSCR: usize = 0x48;

/// Doublewords of a record and of a result that have an offset of their own.
#[expect(missing_docs, reason = "they are named as the ISA names the registers")]
pub mod at {
    pub const MSR: usize = 0x00;
    pub const NIA: usize = 0x08;
    pub const CR: usize = 0x10;
    pub const XER: usize = 0x18;
    pub const LR: usize = 0x20;
    pub const CTR: usize = 0x28;
    pub const FPSCR: usize = 0x30;
    pub const CFAR: usize = 0x38;
    /// Of a record.
    pub const LPCR: usize = 0x50;
    /// Of a result: the vector of the interrupt that ended the block.
    pub const VECTOR: usize = 0x50;
    pub const LPIDR: usize = 0x58;
    pub const PIDR: usize = 0x60;
    /// Of a record: how often it is run.
    pub const TIMES: usize = 0x68;
    /// Of a record: bits of [`super::kind`].
    pub const KIND: usize = 0x70;
    pub const SRR0: usize = 0x80;
    pub const SRR1: usize = 0x88;
    pub const HSRR1: usize = 0x80 + 8 * 16;
}

/// What a record has beside the registers of all.
pub mod kind {
    /// Segments, and translation by hash.
    pub const SEGMENTS: u64 = 1;
    /// The performance monitor, frozen.
    pub const COUNTERS: u64 = 2;
    /// Doorbells, of which none is pending, if the following do not say so.
    pub const DOORBELLS: u64 = 4;
    /// One sent by `msgsnd` is pending.
    pub const MSGSND: u64 = 8;
    /// One sent by `msgsndp` is.
    pub const MSGSNDP: u64 = 16;
}

/// Registers of the performance monitor in a record and a result, by name and the number that writes them.
pub const PMU_SPRS: [(&str, u16); 16] = [
    ("pmc1", 787),
    ("pmc2", 788),
    ("pmc3", 789),
    ("pmc4", 790),
    ("pmc5", 791),
    ("pmc6", 792),
    ("mmcr1", 798),
    ("mmcr2", 785),
    ("mmcra", 786),
    ("sier", 784),
    ("siar", 796),
    ("sdar", 797),
    ("mmcr3", 754),
    ("sier2", 752),
    ("sier3", 753),
    ("mmcr0", 795),
];

/// SPRs of a record and a result, by name and number, from offset 0x80 on.
pub const SPRS: [(&str, u16); 25] = [
    ("srr0", 26),
    ("srr1", 27),
    ("dar", 19),
    ("dsisr", 18),
    ("dscr", 17),
    ("sprg0", 272),
    ("sprg1", 273),
    ("sprg2", 274),
    ("sprg3", 275),
    ("vrsave", 256),
    ("tar", 815),
    ("fscr", 153),
    ("amr", 29),
    ("iamr", 61),
    ("uamor", 157),
    ("hsrr0", 314),
    ("hsrr1", 315),
    ("hfscr", 190),
    ("hsprg0", 304),
    ("hsprg1", 305),
    ("hdar", 307),
    ("hdsisr", 306),
    ("heir", 339),
    ("asdr", 816),
    ("ppr", 896),
];

/// Offset of an SPR.
///
/// # Panics
/// If records do not have it.
pub fn spr(name: &str) -> usize {
    0x80 + 8 * SPRS.iter().position(|(n, _)| *n == name).expect("an SPR of records")
}

/// A record with the code that it begins in (or a result, whose code is not used).
#[derive(Clone, PartialEq, Eq)]
pub struct Record(pub Vec<u8>);

impl Record {
    /// All zero.
    pub fn new() -> Record {
        Record(vec![0; CODE + 4 * WORDS])
    }
    /// The doubleword at an offset.
    pub fn get(&self, offset: usize) -> u64 {
        u64::from_be_bytes(self.0[offset..offset + 8].try_into().expect("8 bytes"))
    }
    /// Writes the doubleword at an offset.
    pub fn set(&mut self, offset: usize, value: u64) {
        self.0[offset..offset + 8].copy_from_slice(&value.to_be_bytes());
    }
    /// A GPR.
    pub fn gpr(&self, n: u8) -> u64 {
        self.get(GPR + 8 * (n as usize & 31))
    }
    /// A VSR.
    pub fn vsr(&self, n: u8) -> u128 {
        let at = VSR + 16 * (n as usize & 63);
        (self.get(at) as u128) << 64 | self.get(at + 8) as u128
    }
    /// Gives `regs` the registers of problem state, NIA and CFAR apart.
    pub fn put_registers(&self, regs: &mut Regs) {
        for n in 0..32 {
            regs.gpr[n] = self.get(GPR + 8 * n);
        }
        for n in 0..64 {
            regs.vsr[n] = [self.get(VSR + 16 * n), self.get(VSR + 16 * n + 8)];
        }
        regs.set_cr_packed(255, self.get(at::CR));
        regs.set_xer(self.get(at::XER));
        (regs.lr, regs.ctr) = (self.get(at::LR), self.get(at::CTR));
        (regs.fpscr, regs.vscr) = (self.get(at::FPSCR), self.get(VSCR));
    }
    /// Writes a word of code, in the byte order of MSR[LE] = `little`.
    pub fn set_word(&mut self, n: usize, word: u32, little: bool) {
        let bytes = if little { word.to_le_bytes() } else { word.to_be_bytes() };
        self.0[CODE + 4 * n..CODE + 4 * n + 4].copy_from_slice(&bytes);
    }
    /// A word of code.
    pub fn word(&self, n: usize, little: bool) -> u32 {
        let bytes = self.0[CODE + 4 * n..CODE + 4 * n + 4].try_into().expect("4 bytes");
        if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    }
    /// MSR[LE].
    pub fn little(&self) -> bool {
        self.get(at::MSR) & 1 != 0
    }
    /// The place of its code: that of its first instruction.
    pub fn place(&self) -> usize {
        (self.get(at::NIA) - CODES) as usize / (4 * WORDS)
    }
}

impl Default for Record {
    fn default() -> Record {
        Record::new()
    }
}

/// Effective and real address of the code at a place.
pub fn code_of(place: usize) -> u64 {
    CODES + (place * 4 * WORDS) as u64
}

/// The record with its code at another place: addresses of the code follow.
pub fn moved(record: &Record, to: usize) -> Record {
    let mut moved = record.clone();
    let (old, new) = (code_of(record.place()), code_of(to));
    let addresses = [at::NIA, at::LR, at::CTR, at::SRR0, spr("tar")];
    for offset in addresses.into_iter().chain((0..32).map(|n| GPR + 8 * n)) {
        let distance = moved.get(offset).wrapping_sub(old);
        if distance < 4 * WORDS as u64 {
            moved.set(offset, new + distance);
        }
    }
    moved
}

const VALID: u64 = 1 << 63;
const LEAF: u64 = 1 << 62;
/// Reference and change, so that nothing is to be updated.
const USED: u64 = 0x180;
const READ: u64 = 4;
const WRITE: u64 = 2;
const EXECUTE: u64 = 1;
const PRIVILEGED: u64 = 8;
/// Real addresses of large pages that a partition may only read, and that it does not have.
const LENT: u64 = 0x1000_0000;
const MISSING: u64 = 0x1020_0000;

/// Entry of the partition table whose pages are hashed; those before it have radix trees.
pub const HASHED: u64 = 2;
/// Distance of effective addresses from the real ones in each segment that the hashed page table knows: pages of 4K, of
/// 64K, of 4K that are pieces of larger ones, and of 16M in a segment of 1T.
pub const SEGMENT_DISTANCES: [u64; 4] = [0, 0x2000_0000, 0x3000_0000, 1 << 40];
/// ESID with its place, and B, VSID, L and LP of each, as SLB entries have them.
pub const SEGMENT_ENTRIES: [(u64, u64); 4] = [
    (0x2000_0000, SEGMENT_VSIDS[0] << 12),
    (0x4000_0000, SEGMENT_VSIDS[1] << 12 | 0x110),
    (0x5000_0000, SEGMENT_VSIDS[2] << 12),
    (1 << 40, 1 << 62 | SEGMENT_VSIDS[3] << 24 | 0x100),
];
const SEGMENT_VSIDS: [u64; 4] = [0x12_3457, 0x6_789a, 0x3a_bcde, 0x2_4681];
/// VSID of the segment that a guest's real mode is translated by (III 6.7.3.4).
const REAL_MODE_VSID: u64 = 0x1ff_ffff;

/// The hashed page table of the partition `HASHED` (III 6.7.6): log2 of its bytes is 18.
struct HashedTable<'a> {
    put: &'a mut dyn FnMut(u64, u64),
    /// Entries in each group.
    filled: Vec<u64>,
}

/// A page of it: log2 of the base page size, LP of the actual one, the real address.
struct Mapped {
    vsid: u64,
    offset: u64,
    base: u32,
    page_size: Option<u64>,
    real: u64,
    /// PP, N, G and R and C.
    rights: u64,
    key: u64,
}

impl HashedTable<'_> {
    const BASE: u64 = BLOCKS + 0x10_0000;
    const GROUPS: u64 = 1 << 11;

    fn map(&mut self, large: bool, page: &Mapped) {
        let hash = if large { page.vsid ^ page.vsid << 25 } else { page.vsid } ^ page.offset >> page.base;
        let primary = hash & (Self::GROUPS - 1);
        // One page of five, and what finds no room, is in the secondary group.
        let secondary = (page.offset >> page.base).is_multiple_of(5) || self.filled[primary as usize] == 8;
        let group = if secondary { primary ^ (Self::GROUPS - 1) } else { primary };
        let slot = &mut self.filled[group as usize];
        assert!(*slot < 8, "the hashed page table has room");
        let address = Self::BASE + 128 * group + 16 * *slot;
        *slot += 1;
        let virtual_page = (page.vsid as u128) << if large { 40 } else { 28 } | page.offset as u128;
        let first = (virtual_page >> 23) as u64 & ((1 << 45) - 1);
        let flags = (page.page_size.is_some() as u64) << 2 | (secondary as u64) << 1 | 1;
        let key = (page.key & 0x18) << 57 | (page.key & 7) << 9;
        let size = (large as u64) << 58 | page.page_size.unwrap_or(0) << 12;
        (self.put)(address, first << 7 | flags);
        (self.put)(address + 8, page.real | size | key | page.rights | USED);
    }
}

/// What the segments of `SEGMENT_ENTRIES` have, and a guest's real mode.
fn hashed_pages(put: &mut dyn FnMut(u64, u64)) {
    const PP: u64 = 2;
    const READ_ONLY_PP: u64 = 3;
    const NO_EXECUTE: u64 = 4;
    const GUARDED: u64 = 8;
    let mut table = HashedTable { put, filled: vec![0; HashedTable::GROUPS as usize] };
    let mut map =
        |n: usize, (base, page_size): (u32, Option<u64>), ea: u64, real: u64, rights: u64, key: u64| {
            let large = n == 3;
            let offset = ea & ((1 << if large { 40 } else { 28 }) - 1) >> base << base;
            table.map(large, &Mapped { vsid: SEGMENT_VSIDS[n], offset, base, page_size, real, rights, key });
        };
    let small = (12, None);
    for page in (CODES..RECORDS).step_by(PAGE as usize) {
        map(0, small, page, page, READ_ONLY_PP, 10);
    }
    let first = WINDOW & !(PAGE - 1);
    map(0, small, first, first, PP, 1);
    map(0, small, first + PAGE, first + PAGE, PP, 2);
    map(0, small, READ_ONLY, READ_ONLY, READ_ONLY_PP, 0);
    let restricted = [(0, 3), (1, 4), (1 << 63 | 2, 5), (PP, 9), (PP | NO_EXECUTE | GUARDED, 30)];
    for (n, (rights, key)) in (0..).zip(restricted) {
        map(0, small, RESTRICTED + n * PAGE, RESTRICTED, rights, key);
    }
    // The second page of each: as a piece of one of 16 MiB.
    const LARGE: u64 = BLOCKS;
    let (low, high) = (WINDOW & !0xffff, (WINDOW & !0xffff) + 0x1_0000);
    map(1, (16, Some(1)), low, low, PP, 6);
    map(1, (16, Some(8)), high, LARGE, PP, 7);
    map(2, (12, Some(7)), first, low, PP, 8);
    map(2, (12, Some(0x38)), first + PAGE, LARGE, PP, 17);
    map(3, (24, Some(0)), BLOCKS, LARGE, PP, 25);
    for real in (0..MEMORY).step_by(1 << 24) {
        let page_size = Some(0);
        let page =
            Mapped { vsid: REAL_MODE_VSID, offset: real, base: 24, page_size, real, rights: PP, key: 31 };
        table.map(true, &page);
    }
}

/// The tables, each put into its place (III 6.7.10: radix trees): `put(address, doubleword)`.
fn tables(mut put: impl FnMut(u64, u64)) {
    const PARTITIONS: u64 = BLOCKS + 0x1_0000;
    /// Of the pages of a guest's real mode: 16 MiB.
    const REAL_MODE_PAGE: u64 = 0x80;
    put(PARTITIONS + 16 * HASHED, HashedTable::BASE | REAL_MODE_PAGE);
    hashed_pages(&mut put);
    const PROCESSES: u64 = BLOCKS + 0x1_1000;
    const TREE: u64 = BLOCKS + 0x2_0000;
    const GUEST_TREE: u64 = BLOCKS + 0x4_0000;
    // 52 bits of effective address, a root of 2^13 entries.
    const SIZE: u64 = 2 << 61 | 5 << 5;
    const ROOT: u64 = SIZE | 13;
    for lpid in 0..2 {
        put(PARTITIONS + 16 * lpid, VALID | ROOT | GUEST_TREE);
        put(PARTITIONS + 16 * lpid + 8, PROCESSES);
    }
    for pid in 0..2 {
        put(PROCESSES + 16 * pid, ROOT | TREE);
    }
    // Guest real addresses: a gigabyte, but for what is lent or missing.
    let (gigabytes, tables) = (GUEST_TREE + 0x1_0000, GUEST_TREE + 0x1_1000);
    put(GUEST_TREE, VALID | gigabytes | 9);
    put(gigabytes, VALID | tables | 9);
    for page in (0..MEMORY >> 21).map(|n| n << 21).filter(|&page| page != MISSING) {
        let rights = if page == LENT { READ } else { READ | WRITE | EXECUTE };
        put(tables + 8 * (page >> 21), VALID | LEAF | page | USED | rights);
    }
    // Effective addresses: code for reading and execution, and the pages of data.
    let (second, third, fourth) = (TREE + 0x1_0000, TREE + 0x1_1000, TREE + 0x1_2000);
    put(TREE, VALID | second | 9);
    put(second, VALID | third | 9);
    put(third + 8 * (BLOCKS >> 21), VALID | fourth | 9);
    for large in CODES >> 21..RECORDS >> 21 {
        put(third + 8 * large, VALID | LEAF | large << 21 | USED | READ | EXECUTE);
    }
    let first = WINDOW & !(PAGE - 1);
    for (page, rights) in [(first, READ | WRITE), (first + PAGE, READ | WRITE), (READ_ONLY, READ)] {
        put(fourth + 8 * (page >> 12 & 511), VALID | LEAF | page | USED | rights);
    }
    let own = RESTRICTED;
    let restricted: [_; PAGES as usize] =
        [(own, PRIVILEGED | READ), (own, EXECUTE), (own, 0), (LENT, READ | WRITE), (MISSING, READ | WRITE)];
    for (n, (page, rights)) in (0..).zip(restricted) {
        put(fourth + 8 * ((RESTRICTED >> 12 & 511) + n), VALID | LEAF | page | USED | rights);
    }
}

/// The file, to run the records from `first` on: each `times` times, that is told which one it is.
pub fn file(records: &[Record], first: usize, times: impl Fn(usize) -> u64) -> Vec<u8> {
    let mut file = vec![0; (RECORDS - BLOCKS) as usize];
    let mut put = |address: u64, value: u64| {
        let at = (address - BLOCKS) as usize;
        file[at..at + 8].copy_from_slice(&value.to_be_bytes());
    };
    let offset = (first * RECORD) as u64;
    let header = [records.len() as u64, RECORDS + offset, RESULTS + offset, first as u64];
    for (n, value) in header.into_iter().enumerate() {
        put(BLOCKS + 8 * n as u64, value);
    }
    tables(&mut put);
    for n in 0..PAGE / 8 {
        put(READ_ONLY + 8 * n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    for record in records {
        let at = (code_of(record.place()) - BLOCKS) as usize;
        file[at..at + 4 * WORDS].copy_from_slice(&record.0[CODE..]);
    }
    for (n, record) in records.iter().enumerate() {
        let start = file.len();
        file.extend(&record.0[..RECORD]);
        file[start + at::TIMES..start + at::TIMES + 8].copy_from_slice(&times(n).to_be_bytes());
    }
    file
}

/// The model's bare-metal machine, here and of the peer.
pub fn machine(model: Model) -> &'static str {
    match model {
        Model::Power9 => "powernv9",
        Model::Power10 => "powernv10",
    }
}

/// `sc`, which ends a block.
pub const SC: u32 = 0x4400_0002;
