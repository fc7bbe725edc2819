//! From an instruction word to its definition and operands.

use crate::{Encoding, Flow, Instruction, Ops, Visitor};
use alloc::{vec, vec::Vec};

/// What a table of definitions needs of one.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Base mnemonic as a Rust identifier.
    pub name: &'static str,
    /// Assembler syntax.
    pub syntax: &'static str,
    /// ISA section.
    pub section: &'static str,
    /// Encoding.
    pub encoding: Encoding,
}

/// Finds the definition of an instruction word. Built once per engine.
pub struct Decoder {
    entries: Vec<Entry>,
    level: u16,
    /// For each primary opcode: which of the ten bits above the lowest tell its definitions apart.
    telling: [u16; 64],
    /// For each (primary opcode, those bits): where its candidates start in `candidates`.
    index: Vec<u32>,
    /// Definitions, most specific first.
    candidates: Vec<Candidate>,
    /// Prefixed definitions.
    prefixed: Vec<u16>,
    illegal: u16,
}

/// A definition that a word may mean, if it has these bits. Only what is looked at for each word, so that it stays near.
struct Candidate {
    mask: u32,
    bits: u32,
    number: u16,
}

struct Collect(Vec<Entry>);
impl Visitor for Collect {
    fn visit<I: Instruction>(&mut self) {
        self.0.push(Entry { name: I::NAME, syntax: I::SYNTAX, section: I::SECTION, encoding: I::ENCODING });
    }
}

const KEYS: usize = 1 << 16;

fn key(word: u64) -> usize {
    primary(word) << 10 | (word >> 1 & 1023) as usize
}

fn primary(word: u64) -> usize {
    (word >> 26 & 63) as usize
}

impl Decoder {
    /// A decoder for a CPU of ISA level `level` (300, 310).
    pub fn new(level: u16) -> Decoder {
        let mut collect = Collect(Vec::new());
        crate::each(&mut collect);
        let entries = collect.0;
        let here = |e: &Entry| e.encoding.since <= level && level <= e.encoding.until;
        let illegal = entries.iter().position(|e| e.name == "illegal").expect("system.rs defines it") as u16;
        let mut order: Vec<u16> = (0..entries.len() as u16).filter(|&n| here(&entries[n as usize])).collect();
        order.sort_by_key(|&n| core::cmp::Reverse(entries[n as usize].encoding.mask.count_ones()));
        let (prefixed, plain): (Vec<u16>, Vec<u16>) = order
            .into_iter()
            .filter(|&n| n != illegal)
            .partition(|&n| entries[n as usize].encoding.prefixed());
        let mut telling = [0; 64];
        for &n in &plain {
            let e = &entries[n as usize].encoding;
            telling[primary(e.bits)] |= (key(e.mask) & 1023) as u16;
        }
        let mut pairs: Vec<(u32, u16)> = Vec::new();
        for &n in &plain {
            let e = &entries[n as usize].encoding;
            let (mask, bits) = (key(e.mask), key(e.bits));
            // Every subset of the telling bits that the encoding leaves open.
            let open = !mask & usize::from(telling[primary(e.bits)]);
            let mut subset = open;
            loop {
                pairs.push(((bits | subset) as u32, n));
                if subset == 0 {
                    break;
                }
                subset = (subset - 1) & open;
            }
        }
        pairs.sort_by_key(|&(key, _)| key);
        let mut index = vec![0u32; KEYS + 1];
        for &(key, _) in &pairs {
            index[key as usize + 1] += 1;
        }
        for k in 0..KEYS {
            index[k + 1] += index[k];
        }
        let candidates = pairs
            .into_iter()
            .map(|(_, number)| {
                let encoding = &entries[number as usize].encoding;
                Candidate { mask: encoding.mask as u32, bits: encoding.bits as u32, number }
            })
            .collect();
        Decoder { entries, level, telling, index, candidates, prefixed, illegal }
    }

    /// All definitions, in the order of [`crate::each`].
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The ISA level of the CPU.
    pub fn level(&self) -> u16 {
        self.level
    }

    /// The word is the prefix of a two-word instruction on this CPU.
    pub fn is_prefix(&self, word: u32) -> bool {
        self.level >= 310 && word >> 26 == 1
    }

    /// Decodes `word`: an instruction word, or prefix << 32 | suffix. A word that no definition matches decodes
    /// to the instruction `illegal` with the word in `imm`.
    pub fn decode(&self, word: u64) -> Ops {
        let found = if word >> 32 != 0 {
            self.prefixed.iter().copied().find(|&n| {
                let encoding = &self.entries[n as usize].encoding;
                word & encoding.mask == encoding.bits
            })
        } else {
            let key = key(word) & (63 << 10 | usize::from(self.telling[primary(word)]));
            let candidates = &self.candidates[self.index[key] as usize..self.index[key + 1] as usize];
            let means = |candidate: &&Candidate| word as u32 & candidate.mask == candidate.bits;
            candidates.iter().find(means).map(|candidate| candidate.number)
        };
        if let Some(n) = found {
            return Ops { op: n, ..(self.entries[n as usize].encoding.operands)(word) };
        }
        Ops { op: self.illegal, imm: word, ..Ops::default() }
    }

    /// What follows the decoded instruction.
    pub fn flow(&self, ops: &Ops) -> Flow {
        self.entries[ops.op as usize].encoding.flow
    }
}
