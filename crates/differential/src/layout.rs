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
pub const RECORD: usize = 0x800;
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
    pub const SRR0: usize = 0x80;
    pub const SRR1: usize = 0x88;
    pub const HSRR1: usize = 0x80 + 8 * 16;
}

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

/// The tables, each put into its place (III 6.7.10: radix trees): `put(address, doubleword)`.
fn tables(mut put: impl FnMut(u64, u64)) {
    const PARTITIONS: u64 = BLOCKS + 0x1_0000;
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
