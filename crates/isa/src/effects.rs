//! The third reader of the definitions: which registers and how much memory an instruction reads and writes.
//!
//! Values are nothing here: a body runs once over its decoded operands and what it touches is noted. Bodies branch
//! only on operands, so one reading holds for all data. The named functions of registers ([`Compute`]) are opaque
//! to a reader; they are tried on a few fixed register files, and a register counts as read where changing it
//! changes another one, as written where it changes. So for them a register that matters only for rare data may be
//! missing. Operations of the whole CPU ([`SystemOp`]) are only named.

use crate::semantics::{Compute, Facility};
use crate::{
    Binary, Condition, Done, Instruction, Mem, Ops, Reg, Regs, Relation, Semantics, SystemOp, Trap, Unary,
    Value, Visitor, regs,
};
use alloc::vec::Vec;
use core::cell::Cell;
use core::ops::{Add, BitAnd, BitOr, BitXor, Mul, Not, Shl, Shr, Sub};

/// A set of words of [`Regs`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegSet([u64; 3]);

impl RegSet {
    /// Adds `reg`; the constant 0 is no register.
    pub fn insert(&mut self, reg: Reg) {
        if reg != Reg::ZERO {
            self.0[reg.0 as usize / 64] |= 1 << (reg.0 % 64);
        }
    }
    /// Whether `reg` is in it.
    pub fn contains(&self, reg: Reg) -> bool {
        self.0.get(reg.0 as usize / 64).is_some_and(|word| word >> (reg.0 % 64) & 1 != 0)
    }
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 3]
    }
    /// The registers, in the order of [`Regs`].
    pub fn iter(self) -> impl Iterator<Item = Reg> {
        (0..regs::WORDS as u8).map(Reg).filter(move |reg| self.contains(*reg))
    }
}

/// What an instruction touches, whatever the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Registers that it may read.
    pub reads: RegSet,
    /// Registers that it may write.
    pub writes: RegSet,
    /// Bytes of storage that it loads, at most.
    pub loads: u16,
    /// Bytes of storage that it stores, at most.
    pub stores: u16,
    /// It may branch.
    pub branches: bool,
    /// The operation of the whole CPU that it is: registers that this touches are not in `reads` and `writes`.
    pub system: Option<SystemOp>,
}

/// What each definition touches. Built once: `Reader::new(level)`.
pub struct Reader {
    bodies: Vec<fn(&mut Noting, &Ops) -> Done<Noting>>,
    level: u64,
}

impl Visitor for Reader {
    fn visit<I: Instruction>(&mut self) {
        self.bodies.push(I::body::<Noting>);
    }
}

impl Reader {
    /// For a CPU of ISA level `level` (300 or 310), in 64-bit mode.
    pub fn new(level: u16) -> Reader {
        let mut reader = Reader { bodies: Vec::new(), level: level.into() };
        crate::each(&mut reader);
        reader
    }

    /// What the decoded instruction touches.
    pub fn effects(&self, i: &Ops) -> Effects {
        self.read(i, true)
    }

    /// The same without what named functions of registers do, which access no storage: that takes no time.
    pub fn accesses(&self, i: &Ops) -> Effects {
        self.read(i, false)
    }

    fn read(&self, i: &Ops, tries: bool) -> Effects {
        let (reads, effects) = (Cell::default(), Effects::default());
        let mut noting = Noting { reads, effects, level: self.level, tries };
        if let Some(body) = self.bodies.get(i.op as usize) {
            // Nothing stops this reader.
            let Ok(()) = body(&mut noting, i);
        }
        let mut effects = noting.effects;
        noting.reads.get().iter().for_each(|reg| effects.reads.insert(reg));
        effects
    }
}

/// No value.
#[derive(Clone, Copy)]
struct Nothing;

macro_rules! operators {
    ($($trait:ident $method:ident),*) => {$(
        impl $trait for Nothing {
            type Output = Nothing;
            fn $method(self, _: Nothing) -> Nothing { Nothing }
        }
        impl $trait<u64> for Nothing {
            type Output = Nothing;
            fn $method(self, _: u64) -> Nothing { Nothing }
        }
    )*};
}
operators!(Add add, Sub sub, Mul mul, BitAnd bitand, BitOr bitor, BitXor bitxor, Shl shl, Shr shr);

impl Not for Nothing {
    type Output = Nothing;
    fn not(self) -> Nothing {
        Nothing
    }
}

impl Value for Nothing {
    type Condition = Nothing;
    fn unary(self, _: Unary) -> Nothing {
        Nothing
    }
    fn binary(self, _: Binary, _: Nothing) -> Nothing {
        Nothing
    }
    fn test(self, _: Relation, _: Nothing) -> Nothing {
        Nothing
    }
    fn order(self, _: bool, _: Nothing) -> Nothing {
        Nothing
    }
}

impl Condition for Nothing {
    type Value = Nothing;
    fn bit(self) -> Nothing {
        Nothing
    }
    fn select(self, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }
}

/// The reader of bodies.
struct Noting {
    reads: Cell<RegSet>,
    effects: Effects,
    level: u64,
    /// Named functions of registers are tried.
    tries: bool,
}

impl Noting {
    fn note_read(&self, reg: Reg) {
        let mut reads = self.reads.get();
        reads.insert(reg);
        self.reads.set(reads);
    }
}

impl Semantics for Noting {
    type V = Nothing;
    type C = Nothing;
    type Stop = core::convert::Infallible;

    fn imm(&self, _: u64) -> Nothing {
        Nothing
    }
    fn get(&self, reg: Reg) -> Nothing {
        // What the body itself has written is no input.
        if !self.effects.writes.contains(reg) {
            self.note_read(reg);
        }
        Nothing
    }
    fn set(&mut self, reg: Reg, _: Nothing) {
        self.effects.writes.insert(reg);
    }
    fn load(&mut self, _: Nothing, mem: Mem) -> Result<Nothing, Self::Stop> {
        self.effects.loads += u16::from(mem.size);
        Ok(Nothing)
    }
    fn store(&mut self, _: Nothing, _: Nothing, mem: Mem) -> Done<Self> {
        self.effects.stores += u16::from(mem.size);
        Ok(())
    }
    fn load16(&mut self, _: Nothing) -> Result<(Nothing, Nothing), Self::Stop> {
        self.effects.loads += 16;
        Ok((Nothing, Nothing))
    }
    fn store16(&mut self, _: Nothing, _: Nothing, _: Nothing) -> Done<Self> {
        self.effects.stores += 16;
        Ok(())
    }
    fn load_bytes(&mut self, _: Nothing, _: Nothing) -> Result<(Nothing, Nothing), Self::Stop> {
        self.effects.loads += 16;
        Ok((Nothing, Nothing))
    }
    fn store_bytes(&mut self, _: Nothing, _: Nothing, _: Nothing, _: Nothing) -> Done<Self> {
        self.effects.stores += 16;
        Ok(())
    }
    fn probe(&mut self, _: Nothing, _: u32, _: bool) -> Done<Self> {
        Ok(())
    }
    fn require(&mut self, _: Facility) -> Done<Self> {
        Ok(())
    }
    fn cia(&self) -> Nothing {
        Nothing
    }
    fn branch(&mut self, _: Nothing, _: Nothing) {
        self.effects.branches = true;
    }
    fn compute(&mut self, function: Compute, i: &Ops) -> Done<Self> {
        let mut trials = Trials::new(function, i, self.level);
        if self.tries {
            trials.run();
        }
        trials.reads.iter().for_each(|reg| self.note_read(reg));
        trials.writes.iter().for_each(|reg| self.effects.writes.insert(reg));
        Ok(())
    }
    fn system(&mut self, op: SystemOp, _: &Ops) -> Done<Self> {
        self.effects.system = Some(op);
        Ok(())
    }
    fn mode64(&self) -> bool {
        true
    }
    fn little_endian(&self) -> bool {
        true
    }
    fn trap_if(&mut self, _: Nothing, _: Trap) -> Done<Self> {
        Ok(())
    }
}

/// A function of registers, tried on register files.
struct Trials<'a> {
    function: Compute,
    i: &'a Ops,
    level: u64,
    reads: RegSet,
    writes: RegSet,
}

/// Doublewords that numbers, floating-point numbers, decimals and masks of several sizes are likely to notice.
const PATTERNS: [u64; 6] = [
    0x3ff8_0000_4048_f5c3,
    0xc004_5678_9abc_def1,
    0x0000_0000_0000_0003,
    0x0123_4567_8901_234c,
    0x4009_21fb_5444_2d18,
    0xffff_ffff_8000_0000,
];

/// The bits that a word of [`Regs`] has.
fn width(reg: Reg) -> u64 {
    match reg.0 {
        n if (Reg::CA.0..=Reg::SO.0).contains(&n) => 1,
        n if (Reg::cr(0).0..=Reg::cr(7).0).contains(&n) => 15,
        _ => u64::MAX,
    }
}

impl<'a> Trials<'a> {
    fn new(function: Compute, i: &'a Ops, level: u64) -> Trials<'a> {
        Trials { function, i, level, reads: RegSet::default(), writes: RegSet::default() }
    }

    /// Register file `number`: patterns in an order of its own.
    fn file(&self, number: usize) -> Regs {
        let mut regs = Regs::cold(self.level);
        regs.msr = 1 << 63;
        let pattern = |n: usize| PATTERNS[(n + number * (1 + n % 3)) % PATTERNS.len()];
        (0..32).for_each(|n| regs.gpr[n] = pattern(n));
        (0..64).for_each(|n| regs.vsr[n] = [pattern(n), pattern(n + 1).rotate_left(n as u32)]);
        (0..8).for_each(|n| regs.cr[n] = (n + number) as u64 % 16);
        regs
    }

    fn after(&self, mut regs: Regs) -> Regs {
        // A trap leaves what it leaves: that is the effect.
        let _ = (self.function)(&mut regs, self.i);
        regs
    }

    /// Registers that the operands may name, and those that are not named.
    fn candidates(&self) -> RegSet {
        let mut set = RegSet::default();
        for n in [self.i.t, self.i.a, self.i.b, self.i.c] {
            // Pairs begin at an even number; accumulators are four registers.
            for near in [n & 31, n | 1] {
                set.insert(Reg::gpr(near & 31));
            }
            for near in [n, n | 1, (4 * n) & 63, (4 * n + 1) & 63, (4 * n + 2) & 63, (4 * n + 3) & 63] {
                [0, 1].into_iter().for_each(|half| set.insert(Reg::vsr(near & 63, half)));
            }
            set.insert(Reg::cr(n & 7));
        }
        for n in 0..8 {
            set.insert(Reg::cr(n));
        }
        for reg in (Reg::LR.0..=Reg::SO.0).chain(Reg::FPSCR.0..=Reg::TAR.0) {
            set.insert(Reg(reg));
        }
        set
    }

    fn run(&mut self) {
        for number in 0..4 {
            let before = self.file(number);
            let plain = self.after(before.clone());
            let words = || (0..regs::WORDS as u8).map(Reg).filter(|reg| *reg != Reg::ZERO);
            words()
                .filter(|reg| before.word(*reg) != plain.word(*reg))
                .for_each(|reg| self.writes.insert(reg));
            for reg in self.candidates().iter() {
                if self.reads.contains(reg) {
                    continue;
                }
                for flip in [1, 0x8000_0000_0000_0010, 0x0010_0000_0040_0004] {
                    let mut changed = before.clone();
                    changed.set_word(reg, before.word(reg) ^ (flip & width(reg)));
                    let after = self.after(changed.clone());
                    let unmoved = |w: Reg| w == reg && after.word(w) == changed.word(w);
                    if !words().all(|w| after.word(w) == plain.word(w) || unmoved(w)) {
                        self.reads.insert(reg);
                    }
                    // What the plain file did not show.
                    words()
                        .filter(|w| changed.word(*w) != after.word(*w))
                        .for_each(|w| self.writes.insert(w));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Decoder;

    fn of(word: u64) -> (Vec<Reg>, Vec<Reg>, Effects) {
        let effects = Reader::new(310).effects(&Decoder::new(310).decode(word));
        (effects.reads.iter().collect(), effects.writes.iter().collect(), effects)
    }

    #[test]
    fn plain_bodies() {
        // add. r3,r4,r5
        let (reads, writes, _) = of(0x7c64_2a15);
        assert_eq!(reads, [Reg::gpr(4), Reg::gpr(5), Reg::SO]);
        assert_eq!(writes, [Reg::gpr(3), Reg::cr(0)]);
        // li r3,1: RA|0 is no register.
        assert_eq!(of(0x3860_0001).0, []);
        // bdnz: CTR both ways.
        let (reads, writes, effects) = of(0x4200_0010);
        assert_eq!((reads, writes, effects.branches), (Vec::from([Reg::CTR]), Vec::from([Reg::CTR]), true));
    }

    #[test]
    fn storage() {
        // lwzu r3,8(r4); stxv vs1,16(r4)
        let (reads, writes, effects) = of(0x8464_0008);
        assert_eq!(
            (reads, writes, effects.loads),
            (Vec::from([Reg::gpr(4)]), Vec::from([Reg::gpr(3), Reg::gpr(4)]), 4)
        );
        let (reads, writes, effects) = of(0xf424_0015);
        assert_eq!(reads, [Reg::gpr(4), Reg::vsr(1, 0), Reg::vsr(1, 1)]);
        assert_eq!((writes, effects.stores), (Vec::new(), 16));
    }

    #[test]
    fn named_functions() {
        // fadd f1,f2,f3
        let (reads, writes, _) = of(0xfc22_182a);
        assert!(reads.starts_with(&[Reg::fpr(2), Reg::fpr(3)]), "{reads:?}");
        assert!(reads.contains(&Reg::FPSCR) && !reads.contains(&Reg::fpr(1)), "{reads:?}");
        assert_eq!(writes, [Reg::vsr(1, 0), Reg::vsr(1, 1), Reg::FPSCR]);
        // vadduqm v1,v2,v3
        let (reads, writes, _) = of(0x1022_1900);
        let halves = |n| [Reg::vsr(n, 0), Reg::vsr(n, 1)];
        assert_eq!(reads, [halves(34), halves(35)].concat());
        assert_eq!(writes, halves(33));
        // mfcr r3
        assert_eq!(of(0x7c60_0026).0, (0..8).map(Reg::cr).collect::<Vec<_>>());
    }

    #[test]
    fn every_definition_has_effects_or_is_known_to_have_none() {
        let (decoder, reader) = (Decoder::new(310), Reader::new(310));
        let mut none = Vec::new();
        let mut seed = 1u64;
        for entry in decoder.entries().iter().filter(|entry| entry.encoding.until >= 310) {
            let mut effects = Effects::default();
            for _ in 0..4 {
                seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                let width = if entry.encoding.prefixed() { u64::MAX } else { u32::MAX as u64 };
                let word = entry.encoding.bits | (seed ^ seed >> 31) & !entry.encoding.mask & width;
                let now = reader.effects(&decoder.decode(word));
                now.writes.iter().for_each(|reg| effects.writes.insert(reg));
                effects.system = effects.system.or(now.system);
                effects.loads |= now.loads;
                effects.stores |= now.stores;
                effects.branches |= now.branches;
            }
            if effects == Effects::default() {
                none.push(entry.name);
            }
        }
        let known = [
            "xxmfacc", "xxmtacc", "rnop", "twi", "tw", "tdi", "td", "pnop", "illegal", "dcbt", "dcbtst",
            "dss", "dst", "dstst", "icbt", "isync", "sync", "eieio", "attn",
        ];
        none.retain(|name| !known.contains(name));
        assert!(none.is_empty(), "{none:?}");
    }

    #[test]
    fn system_operations_are_named() {
        assert_eq!(of(0x7c00_0124).2.system, Some(SystemOp::Mtmsr));
    }
}
