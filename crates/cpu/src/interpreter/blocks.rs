//! Decoded code: straight runs of instructions, by real address.
//!
//! A block never leaves its page, so that one translation covers it, and its lines are watched: a store to them
//! drops it. It goes straight on through conditional branches that are not taken.

use super::thread::{self, Tables, Thread};
use crate::compiled::Entry;
use alloc::{boxed::Box, vec::Vec};
use core::cell::Cell;
use core::ptr;
use timebase_isa::{Decoder, Flow, Ops};
use timebase_memory::{ByPage, Memory, PAGE};

/// Instructions in a block at most.
pub(crate) const LONGEST: usize = 32;

/// One decoded instruction, as the interpreter executes it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Op {
    /// Executes it and goes on with the next.
    pub(super) thread: Thread,
    pub(super) ops: Ops,
    /// Bytes from the start of the block.
    pub(super) offset: u32,
    /// 4, or 8 with a prefix.
    pub(super) length: u32,
}

impl Op {
    /// The number of its definition; a larger one is none's.
    pub(crate) fn number(&self) -> u16 {
        self.ops.op
    }

    /// It begins with a prefix, wholly in its 64 bytes or not.
    pub(super) fn prefixed(&self) -> bool {
        self.length == 8 || self.ops.op == thread::CROSSING_PREFIX
    }
}

/// What code means depends on, beside its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mode {
    pub little_endian: bool,
    pub bits64: bool,
    /// Blocks of one instruction: a debugger looks after each.
    pub single: bool,
}

/// Places within pages where blocks begin, so that a debugger can stop there: a bit per word of a page. The effective
/// and the real address of an instruction have the same place.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cuts([u64; (PAGE / 4 / 64) as usize]);

impl Cuts {
    /// The places of these addresses and of those there were: a cut that is not needed any more costs next to
    /// nothing, decoding all anew does not.
    pub fn with(mut self, addresses: &[u64]) -> Cuts {
        for address in addresses {
            let word = address % PAGE / 4;
            self.0[(word / 64) as usize] |= 1 << (word % 64);
        }
        self
    }

    fn at(&self, address: u64) -> bool {
        let word = address % PAGE / 4;
        self.0[(word / 64) as usize] >> (word % 64) & 1 != 0
    }
}

/// Decoded code. What is asked when it is found stands in one line of the host's cache.
#[repr(C, align(64))]
pub(crate) struct Block {
    mode: Mode,
    /// A debugger may want to stop before it.
    pub stops: bool,
    /// How often it was found.
    pub heat: Cell<u32>,
    /// What it was compiled to.
    pub entry: Cell<Entry>,
    /// That is a tree of ways, for much time is spent there.
    pub tree: Cell<bool>,
    /// How often compiled code was found to be here when it was looked for.
    pub samples: Cell<u16>,
    /// How often it was executed by the interpreter after a look at where time is spent.
    pub passes: Cell<u16>,
    /// Instructions, without the terminator.
    pub count: u32,
    /// Real address of the first instruction.
    real: u64,
    /// The instructions and the terminator.
    pub ops: Box<[Op]>,
    /// What its compiled code refers to: of most blocks nothing, so that it is to take no room.
    #[expect(clippy::box_collection, reason = "compiled code holds pointers to them")]
    kept: Cell<Option<Box<Vec<Box<Op>>>>>,
}

const _: () = assert!(size_of::<Block>() == 64);

impl Block {
    /// Where it begins.
    pub fn real(&self) -> u64 {
        self.real
    }

    /// It may be compiled: 64-bit mode, and nobody looks after each instruction.
    pub fn is_plain(&self) -> bool {
        self.mode.bits64 && !self.mode.single
    }
}

/// In which effective pages the code of a page is executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Home {
    /// Nobody asked: none of it is compiled.
    Open,
    /// In this one alone: its compiled code may have ways into other pages.
    At(u64),
    /// In several.
    None,
}

/// Blocks that start in one page.
pub(crate) struct PageBlocks {
    home: Cell<Home>,
    /// For each word: 0, or one more than the number of its block.
    starts: [u16; (PAGE / 4) as usize],
    #[expect(clippy::vec_box, reason = "jumps hold pointers to them")]
    blocks: Vec<Box<Block>>,
}

impl PageBlocks {
    fn new(home: Home) -> PageBlocks {
        PageBlocks { home: Cell::new(home), starts: [0; (PAGE / 4) as usize], blocks: Vec::new() }
    }

    /// The effective address of the only page that this one is executed in, of which it is about to be compiled at
    /// effective address `address`: from now on it is, if nothing of it was compiled. None: there are several.
    pub fn settle(&self, address: u64) -> Option<u64> {
        let here = Home::At(address / PAGE);
        if self.home.get() == Home::Open {
            self.home.set(here);
        }
        (self.home.get() == here).then_some(address / PAGE * PAGE)
    }
}

/// All decoded code.
pub(crate) struct Blocks {
    /// Instructions of the block that is being decoded.
    ops: Vec<Op>,
    pages: ByPage<Option<Box<PageBlocks>>>,
    /// Dropped while they might still be running; freed when nothing runs.
    dropped: Vec<PageBlocks>,
    /// Made room for blocks of another mode; freed with the next flush.
    #[expect(clippy::vec_box, reason = "jumps hold pointers to them")]
    replaced: Vec<Box<Block>>,
    pub decoded: u64,
}

impl Blocks {
    pub fn new() -> Blocks {
        Blocks {
            ops: Vec::with_capacity(LONGEST + 1),
            pages: ByPage::default(),
            dropped: Vec::new(),
            replaced: Vec::new(),
            decoded: 0,
        }
    }

    /// The block at real address `real`, decoded if need be. None if it is not memory.
    pub fn get(
        &mut self,
        decoder: &Decoder,
        tables: &Tables,
        memory: &mut Memory,
        real: u64,
        mode: Mode,
        cuts: &Cuts,
    ) -> Option<*const Block> {
        if real >= memory.bytes() {
            return None;
        }
        let none = || Box::new(PageBlocks::new(Home::Open));
        let PageBlocks { starts, blocks, .. } = &mut **self.pages.make(real / PAGE).get_or_insert_with(none);
        let start = &mut starts[(real % PAGE / 4) as usize];
        let known = (*start as usize).checked_sub(1).map(|number| &mut blocks[number]);
        if let Some(block) = known.as_ref().filter(|block| block.mode == mode) {
            return Some(&raw const ***block);
        }
        self.decoded += 1;
        let mut code = Code::of(memory, real)?;
        let block = Box::new(decode(decoder, tables, &mut code, real, mode, cuts, &mut self.ops));
        let lines = code.lines;
        memory.watch_code(real & !(PAGE - 1), lines);
        let found = &raw const *block;
        match known {
            // Jumps may still lead to the one for another mode.
            Some(other) => self.replaced.push(core::mem::replace(other, block)),
            None => {
                blocks.push(block);
                *start = blocks.len() as u16;
            }
        }
        Some(found)
    }

    /// The blocks of the page at real address `real`.
    pub fn of_page(&self, real: u64) -> Option<&PageBlocks> {
        self.pages.get(real / PAGE)?.as_deref()
    }

    /// Code at `real` is about to be executed at effective address `address`. False: it was compiled for another effective
    /// page; all blocks of its page are dropped, and will be compiled for any.
    pub fn admit(&mut self, real: u64, address: u64) -> bool {
        let Some(Some(page)) = self.pages.get_mut(real / PAGE) else { return true };
        match page.home.get() {
            Home::At(home) if home != address / PAGE => {
                self.dropped.push(core::mem::replace(&mut **page, PageBlocks::new(Home::None)));
                false
            }
            _ => true,
        }
    }

    /// Drops all blocks that may contain the 64-byte line at `line`: those of its page.
    pub fn drop_line(&mut self, memory: &mut Memory, line: u64) {
        if let Some(blocks) = self.pages.get_mut(line / PAGE).and_then(Option::take) {
            self.dropped.push(*blocks);
        }
        memory.unwatch_code(line);
    }

    /// Nothing runs: frees what was dropped.
    pub fn free_dropped(&mut self) {
        self.dropped.clear();
    }

    /// Forgets everything.
    pub fn flush(&mut self, memory: &mut Memory) {
        for (page, blocks) in self.pages.iter_mut() {
            if let Some(blocks) = blocks.take() {
                self.dropped.push(*blocks);
                memory.unwatch_code(page * PAGE);
            }
        }
        self.replaced.clear();
    }

    /// All compiled code has gone.
    pub fn forget_compiled(&mut self) {
        for block in self.pages.iter().filter_map(|(_, page)| page.as_ref()).flat_map(|page| &page.blocks) {
            block.heat.set(0);
            block.entry.set(ptr::null());
            block.tree.set(false);
            block.samples.set(0);
            block.passes.set(0);
            block.kept.set(None);
        }
    }
}

/// Code to be compiled: instructions of one page.
pub struct Source<'a> {
    pub(super) decoder: &'a Decoder,
    pub(super) code: Code<'a>,
    pub(super) cuts: &'a Cuts,
    pub(super) block: &'a Block,
    /// The effective address of the only page that it is executed in: what leads from there into another page may lead on
    /// by itself. None: there are several.
    pub home: Option<u64>,
    /// What else begins in its page.
    pub(super) page: Option<&'a PageBlocks>,
}

/// An instruction to be compiled.
pub struct Decoded {
    /// The operands, and which it is.
    pub ops: Ops,
    /// What follows it.
    pub flow: Flow,
    /// 4, or 8 with a prefix, in bytes.
    pub length: u32,
    /// It may be read by its definition; otherwise it must be executed by [`step`](crate::compiled::Calls::step).
    pub plain: bool,
}

impl Source<'_> {
    /// Where the code begins, in bytes from the start of its page.
    pub fn start(&self) -> u32 {
        (self.block.real % PAGE) as u32
    }

    /// It is little-endian.
    pub fn little_endian(&self) -> bool {
        self.block.mode.little_endian
    }

    /// A debugger may want to stop before the instruction at `offset` of the page: nothing must go on there by itself.
    pub fn stops(&self, offset: u32) -> bool {
        self.cuts.at(offset as u64)
    }

    /// Something was executed that begins at `offset` of the page.
    pub fn found(&self, offset: u32) -> bool {
        self.beginning(offset).is_some()
    }

    /// There is compiled code that begins at `offset` of the page; if this is to be a tree of ways, another one.
    pub fn is_compiled(&self, offset: u32, hot: bool) -> bool {
        let there = |block: &Block| !block.entry.get().is_null() && (!hot || block.tree.get());
        self.beginning(offset).is_some_and(|block| !ptr::eq(block, self.block) && there(block))
    }

    /// What begins at `offset` of the page is executed more than half as often as what is compiled: a branch that leads
    /// there is likely taken.
    pub fn is_likely(&self, offset: u32) -> bool {
        let passes = |block: &Block| u32::from(block.passes.get());
        self.beginning(offset).is_some_and(|block| 2 * passes(block) > passes(self.block))
    }

    /// The block that begins at `offset` of the page.
    fn beginning(&self, offset: u32) -> Option<&Block> {
        let page = self.page?;
        let number = page.starts[(offset as u64 % PAGE / 4) as usize].checked_sub(1)?;
        Some(&page.blocks[number as usize])
    }

    /// The instruction at `offset` of the page. None if it is not in the page.
    pub fn instruction(&mut self, offset: u32) -> Option<Decoded> {
        if offset as u64 >= PAGE {
            return None;
        }
        let (ops, length) = self.code.decode(self.decoder, offset, self.block.mode);
        let crosses = ops.op == thread::CROSSING_PREFIX;
        let flow = if crosses { Flow::Context } else { self.decoder.flow(&ops) };
        Some(Decoded { ops, flow, length, plain: length == 4 && !crosses })
    }

    /// Keeps an instruction as long as the compiled code lives.
    pub fn keep(&mut self, decoded: &Decoded) -> *const Op {
        let op = Op { thread: thread::end, ops: decoded.ops, offset: 0, length: decoded.length };
        let op = Box::new(op);
        let pointer = &raw const *op;
        let mut kept = self.block.kept.take().unwrap_or_default();
        kept.push(op);
        self.block.kept.set(Some(kept));
        pointer
    }
}

impl Op {
    /// Its operands.
    pub fn ops(&self) -> &Ops {
        &self.ops
    }
}

/// Code that is read: a page of it.
pub(super) struct Code<'a> {
    page: &'a [u8; PAGE as usize],
    /// The lines of 64 bytes that were looked at, a bit each: they are to be watched.
    pub lines: u64,
}

impl<'a> Code<'a> {
    /// That of the page that real address `real` is in. None if it is not memory.
    pub fn of(memory: &'a Memory, real: u64) -> Option<Code<'a>> {
        Some(Code { page: memory.page(real / PAGE * PAGE)?, lines: 0 })
    }

    fn word(&self, offset: u32, mode: Mode) -> u32 {
        // Instructions are aligned.
        let (words, _) = self.page.as_chunks();
        let word = words[(offset / 4) as usize];
        if mode.little_endian { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) }
    }

    /// The instruction at `offset`, and its length.
    fn decode(&mut self, decoder: &Decoder, offset: u32, mode: Mode) -> (Ops, u32) {
        self.lines |= 1 << (offset / 64);
        let first = self.word(offset, mode);
        if !decoder.is_prefix(first) {
            (decoder.decode(first as u64), 4)
        } else if offset % 64 == 60 {
            // A prefixed instruction that crosses a 64-byte boundary raises Alignment: it is left to a body of its own.
            (Ops { op: thread::CROSSING_PREFIX, ..Ops::default() }, 4)
        } else {
            (decoder.decode((first as u64) << 32 | self.word(offset + 4, mode) as u64), 8)
        }
    }
}

fn decode(
    decoder: &Decoder,
    tables: &Tables,
    code: &mut Code<'_>,
    real: u64,
    mode: Mode,
    cuts: &Cuts,
    ops: &mut Vec<Op>,
) -> Block {
    ops.clear();
    let mut offset = 0u32;
    let page_left = (PAGE - real % PAGE) as u32;
    let mut count = 0;
    let longest = if mode.single { 1 } else { LONGEST };
    while count < longest && offset < page_left {
        if offset != 0 && cuts.at(real + offset as u64) {
            break;
        }
        let (decoded, length) = code.decode(decoder, (real % PAGE) as u32 + offset, mode);
        let crosses = decoded.op == thread::CROSSING_PREFIX;
        let flow = if crosses { Flow::Context } else { decoder.flow(&decoded) };
        ops.push(Op { thread: tables.thread(&decoded, length, mode), ops: decoded, offset, length });
        offset += length;
        count += 1;
        if flow == Flow::Context || flow == Flow::Branch && thread::always_branches(decoder, &decoded) {
            break;
        }
    }
    ops.push(Op { thread: thread::end, ops: Ops::default(), offset, length: 0 });
    Block {
        mode,
        real,
        ops: ops.as_slice().into(),
        count: count as u32,
        stops: cuts.at(real),
        heat: Cell::new(0),
        entry: Cell::new(ptr::null()),
        tree: Cell::new(false),
        samples: Cell::new(0),
        passes: Cell::new(0),
        kept: Cell::new(None),
    }
}
