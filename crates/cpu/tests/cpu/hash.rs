//! Translation by the hashed page table: page and segment sizes, both groups, protection, keys, R and C. The table is made
//! here by the formulas of the book (Power ISA 3.0B Book III 5.7.9), in the format of a partition whose hypervisor the
//! machine is.

use crate::bench::Bench;
use timebase_cpu::bits::{dsisr, lpcr, msr, srr1};
use timebase_cpu::{Model, Partition, Vector};
use timebase_memory::{Memory, Writer};

const HPT: u64 = 0x10_0000;
/// log2 of its bytes: 2048 groups.
const SHIFT: u8 = 18;
/// Where pages are in memory.
const FRAME: u64 = 0x400_0000;
const LD: u32 = 0xe883_0000; // ld r4,0(r3)
const STD: u32 = 0xf883_0000;

const R: u64 = 0x100;
const C: u64 = 0x80;
const KS: u64 = 0x800;
const KP: u64 = 0x400;
const NO_EXECUTE: u64 = 0x200;

/// Base page: log2 of its bytes, L||LP of the SLB; actual page: log2 of its bytes, LP of the entry.
#[derive(Clone, Copy, Debug)]
struct Size {
    base: u32,
    segment: u64,
    actual: u32,
    lp: u64,
}

const SIZES: [Size; 6] = [
    Size { base: 12, segment: 0, actual: 12, lp: 0 },
    Size { base: 12, segment: 0, actual: 16, lp: 7 },
    Size { base: 12, segment: 0, actual: 24, lp: 0x38 },
    Size { base: 16, segment: 0x110, actual: 16, lp: 1 },
    Size { base: 16, segment: 0x110, actual: 24, lp: 8 },
    Size { base: 24, segment: 0x100, actual: 24, lp: 0 },
];

struct Mapping {
    size: Size,
    large_segment: bool,
    secondary: bool,
    ea: u64,
    /// SLB: Ks, Kp, N.
    segment: u64,
    /// Doubleword 1 beside the address and LP.
    rest: u64,
}

impl Mapping {
    fn of(size: Size) -> Mapping {
        Mapping {
            size,
            large_segment: false,
            secondary: false,
            ea: 0x1234_5678_9012_3458,
            segment: 0,
            rest: 0,
        }
    }

    /// The address of the entry that maps it.
    fn put(&self, memory: &mut Memory) -> u64 {
        let segment_shift = if self.large_segment { 40 } else { 28 };
        let vsid = self.vsid();
        let offset = self.ea & ((1 << segment_shift) - 1);
        let page = offset >> self.size.base;
        let hash = if self.large_segment { vsid ^ vsid << 25 } else { vsid } ^ page;
        let hash = if self.secondary { !hash } else { hash };
        let address = HPT + (hash & 0x7ff) * 128 + 3 * 16;
        let virtual_address =
            (vsid as u128) << segment_shift | (offset >> self.size.base << self.size.base) as u128;
        let b = if self.large_segment { 1 << 62 } else { 0 };
        let large = if self.size.actual == 12 { 0 } else { 4 };
        let avpn = (virtual_address >> 23) as u64;
        let second = if self.secondary { 2 } else { 0 };
        memory.store_u64(address + 8, FRAME | self.size.lp << 12 | self.rest, Writer::Other).expect("RAM");
        memory.store_u64(address, b | avpn << 7 | large | second | 1, Writer::Other).expect("RAM");
        address
    }

    fn vsid(&self) -> u64 {
        if self.large_segment { 0x12_3456_789a } else { 0x1_2345_6789_abcd }
    }

    /// RS and RB of `slbmte`.
    fn slb(&self) -> (u64, u64) {
        let (shift, b) = if self.large_segment { (24, 1 << 62) } else { (12, 0) };
        let esid = self.ea >> if self.large_segment { 40 } else { 28 };
        let esid = esid << if self.large_segment { 40 } else { 28 };
        (b | self.vsid() << shift | self.segment | self.size.segment, esid | 1 << 27 | 3)
    }

    fn real(&self) -> u64 {
        FRAME | self.ea & ((1 << self.size.actual) - 1)
    }

    /// A bench in privileged or problem state with the mapping, about to access it.
    fn bench(&self, word: u32, problem: bool) -> (Bench, u64) {
        let mut bench = Bench::of(Model::Power9, false, &[]);
        bench.memory = Memory::new(1 << 27, 1);
        bench.load(crate::bench::CODE, &[word]);
        bench.cpu.partition = Partition { hpt: HPT, hpt_shift: SHIFT, ..Partition::cold() };
        let address = self.put(&mut bench.memory);
        let (rs, rb) = self.slb();
        bench.cpu.slb.write(rs, rb);
        // Instructions are fetched in real mode.
        bench.cpu.set_msr(msr::SF | msr::ME | msr::DR | if problem { msr::PR } else { 0 });
        bench.cpu.regs.gpr[3] = self.ea;
        bench.cpu.regs.gpr[4] = 0xabcd;
        bench.memory.store_u64(self.real(), 0x1122_3344_5566_7788, Writer::Other).expect("RAM");
        (bench, address)
    }
}

#[test]
fn pages_and_segments_of_all_sizes_are_found_in_both_groups() {
    for size in SIZES {
        for (large_segment, secondary) in [(false, false), (false, true), (true, false), (true, true)] {
            let mapping = Mapping { large_segment, secondary, ..Mapping::of(size) };
            let what = format!("{size:?} {large_segment} {secondary}");
            let (mut bench, entry) = mapping.bench(LD, false);
            bench.run(1);
            assert_eq!(bench.cpu.regs.gpr[4], 0x1122_3344_5566_7788, "{what}: {:x}", bench.cpu.regs.nia);
            assert_eq!(bench.memory.read_u64(entry + 8).expect("RAM") & (R | C), R, "{what}");
            let (mut bench, entry) = mapping.bench(STD, false);
            bench.run(1);
            assert_eq!(bench.memory.read_u64(mapping.real()).expect("RAM"), 0xabcd, "{what}");
            assert_eq!(bench.memory.read_u64(entry + 8).expect("RAM") & (R | C), R | C, "{what}");
            // Another page size of the segment does not find it.
            let other = SIZES.iter().find(|other| other.base != size.base).expect("one");
            let (mut bench, _) = mapping.bench(LD, false);
            let (rs, rb) = mapping.slb();
            bench.cpu.slb.write(rs & !0x130 | other.segment, rb);
            bench.run(1);
            assert_eq!(bench.cpu.spr.dsisr, dsisr::NO_TRANSLATION.into(), "{what}");
        }
    }
}

#[test]
fn no_segment_is_a_data_segment_interrupt_and_no_entry_a_data_storage_one() {
    let mapping = Mapping::of(SIZES[3]);
    for word in [LD, STD] {
        let (mut bench, _) = mapping.bench(word, false);
        bench.cpu.slb.write(0, 3);
        bench.run(1);
        assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.dar), (Vector::DataSegment.offset(), mapping.ea));
        let (mut bench, entry) = mapping.bench(word, false);
        bench.memory.store_u64(entry, 0, Writer::Other).expect("RAM");
        bench.run(1);
        let store = if word == STD { dsisr::STORE } else { 0 };
        assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.dar), (Vector::DataStorage.offset(), mapping.ea));
        assert_eq!(bench.cpu.spr.dsisr, (dsisr::NO_TRANSLATION | store).into());
    }
}

#[test]
fn pp_and_the_key_of_the_segment_protect() {
    // (PP with PP0 on top, key): loads, stores.
    for (pp, key, loads, stores) in [
        (0, 0, true, true),
        (1, 0, true, true),
        (2, 0, true, true),
        (3, 0, true, false),
        (6, 0, true, false),
        (0, 1, false, false),
        (1, 1, true, false),
        (2, 1, true, true),
        (3, 1, true, false),
        (6, 1, false, false),
    ] {
        for problem in [false, true] {
            for (word, permitted) in [(LD, loads), (STD, stores)] {
                let own = if problem { KP } else { KS };
                // The other state's key must not matter.
                let segment = if key == 1 { own } else { (KS | KP) ^ own };
                let mapping = Mapping { segment, rest: pp & 3 | (pp & 4) << 61, ..Mapping::of(SIZES[3]) };
                let (mut bench, entry) = mapping.bench(word, problem);
                bench.run(1);
                let what = format!("{pp} {key} {problem} {word:x}");
                assert_eq!(bench.cpu.regs.nia == crate::bench::CODE + 4, permitted, "{what}");
                if !permitted {
                    let store = if word == STD { dsisr::STORE } else { 0 };
                    assert_eq!(bench.cpu.spr.dsisr, (dsisr::PROTECTION | store).into(), "{what}");
                    let rc = bench.memory.read_u64(entry + 8).expect("RAM") & (R | C);
                    assert_eq!(rc, 0, "{what}: what is not permitted sets nothing");
                }
            }
        }
    }
}

#[test]
fn virtual_page_class_keys_protect() {
    // Key 21: bits 0:1 and 2:4 of the entry's two pieces. AMR bits of a key: no stores, no loads.
    let key = 21u64;
    let rest = (key >> 3) << 60 | (key & 7) << 9;
    for (bits, loads, stores) in [(0, true, true), (1, false, true), (2, true, false), (3, false, false)] {
        for (word, permitted) in [(LD, loads), (STD, stores)] {
            let mapping = Mapping { rest, ..Mapping::of(SIZES[0]) };
            let (mut bench, _) = mapping.bench(word, false);
            bench.cpu.spr.amr = bits << (62 - 2 * key);
            bench.run(1);
            assert_eq!(bench.cpu.regs.nia == crate::bench::CODE + 4, permitted, "{bits} {word:x}");
            if !permitted {
                let store = if word == STD { dsisr::STORE } else { 0 };
                assert_eq!(bench.cpu.spr.dsisr, (dsisr::KEY | store).into());
            }
        }
    }
}

#[test]
fn fetches_need_pages_and_segments_that_may_be_executed() {
    // N of the entry, G of the entry, N of the segment, IAMR.
    for (rest, segment, iamr, cause) in [
        (0, 0, 0, None),
        (4, 0, 0, Some(srr1::NO_EXECUTE)),
        (8, 0, 0, Some(srr1::NO_EXECUTE)),
        (0, NO_EXECUTE, 0, Some(srr1::NO_EXECUTE)),
        (0, 0, 1 << 62, Some(srr1::KEY)),
    ] {
        let mapping = Mapping { rest, segment, ..Mapping::of(SIZES[3]) };
        let (mut bench, _) = mapping.bench(LD, false);
        bench.cpu.set_msr(msr::SF | msr::ME | msr::IR);
        bench.cpu.spr.iamr = iamr;
        bench.memory.store_u32(mapping.real() & !3, 0x6000_0000, Writer::Other).expect("RAM");
        bench.cpu.regs.nia = mapping.ea & !3;
        bench.run(1);
        match cause {
            None => assert_eq!(bench.cpu.regs.nia, (mapping.ea & !3) + 4),
            Some(cause) => {
                assert_eq!(bench.cpu.regs.nia, Vector::InstructionStorage.offset());
                assert_eq!(bench.cpu.spr.srr0, mapping.ea & !3);
                assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, cause, "{rest} {segment:x} {iamr:x}");
            }
        }
    }
}

#[test]
fn a_changed_entry_or_segment_counts_at_the_next_access() {
    let mapping = Mapping::of(SIZES[3]);
    let (mut bench, entry) = mapping.bench(LD, false);
    bench.run(1);
    assert_eq!(bench.cpu.regs.gpr[4], 0x1122_3344_5566_7788);
    let second = bench.memory.read_u64(entry + 8).expect("RAM");
    bench.memory.store_u64(entry + 8, second + 0x10_0000, Writer::Other).expect("RAM");
    bench.memory.store_u64(mapping.real() + 0x10_0000, 5, Writer::Other).expect("RAM");
    bench.cpu.regs.nia = crate::bench::CODE;
    bench.run(1);
    assert_eq!(bench.cpu.regs.gpr[4], 5);
    bench.memory.store_u64(entry, 0, Writer::Other).expect("RAM");
    bench.cpu.regs.nia = crate::bench::CODE;
    bench.run(1);
    assert_eq!(bench.cpu.regs.nia, Vector::DataStorage.offset());
}

/// LPCR[TC] counts at the next access, in both directions.
#[test]
fn secondary_groups_are_searched_unless_tc_says_no() {
    for secondary in [false, true] {
        let mapping = Mapping { secondary, ..Mapping::of(SIZES[3]) };
        let (mut bench, _) = mapping.bench(LD, false);
        for tc in [true, false, true] {
            bench.cpu.set_msr(msr::SF | msr::ME | msr::DR);
            bench.cpu.spr.lpcr = if tc { lpcr::TC } else { 0 };
            bench.cpu.context_changed();
            bench.cpu.regs.nia = crate::bench::CODE;
            bench.run(1);
            let missed = bench.cpu.regs.nia == Vector::DataStorage.offset();
            assert_eq!(missed, secondary && tc, "{secondary} {tc}: {:x}", bench.cpu.regs.nia);
        }
    }
}

/// III 6.9.3.2: IH 1, 2 and 6 say what may be kept of what was derived from entries, not which entries.
#[test]
fn slbia_leaves_the_entries_that_ih_says() {
    for (ih, left) in [(0, 1), (1, 1), (2, 1), (3, 0b0101), (4, 0), (6, 1), (7, 0b1111)] {
        let mut bench = Bench::new(&[31 << 26 | ih << 21 | 498 << 1]);
        for n in 0..4 {
            // Odd ones have class 1.
            bench.cpu.slb.write((n & 1) << 7, n << 28 | 1 << 27 | n);
        }
        bench.run(1);
        let valid = |n: &usize| bench.cpu.slb.entries[*n].esid >> 27 & 1 != 0;
        assert_eq!((0..4).filter(valid).map(|n| 1 << n).sum::<u32>(), left, "IH {ih}");
    }
}

/// An interrupted access names its own address: cut to 32 bits in 32-bit mode, and that of an element.
#[test]
fn dar_is_the_address_of_the_storage_element() {
    const DCBST: u32 = 31 << 26 | 3 << 11 | 54 << 1;
    const DCBF: u32 = 31 << 26 | 3 << 11 | 86 << 1;
    const ICBI: u32 = 31 << 26 | 3 << 11 | 982 << 1;
    let element = |extended: u32| 31 << 26 | 4 << 21 | 3 << 11 | extended << 1;
    let [lvebx, lvehx, lvewx, lvx] = [7, 39, 71, 103].map(element);
    for (word, wide, dar) in [
        (DCBST, false, 0x5678_9abf),
        (DCBF, false, 0x5678_9abf),
        (ICBI, false, 0x5678_9abf),
        (ICBI, true, 0x1234_0000_5678_9abf),
        (lvebx, true, 0x1234_0000_5678_9abf),
        (lvehx, true, 0x1234_0000_5678_9abe),
        (lvewx, true, 0x1234_0000_5678_9abc),
        (lvx, true, 0x1234_0000_5678_9ab0),
    ] {
        let mut bench = Bench::new(&[word]);
        bench.cpu.regs.gpr[3] = 0x1234_0000_5678_9abf;
        bench.cpu.set_msr(msr::ME | msr::DR | msr::VEC | if wide { msr::SF } else { 0 });
        bench.run(1);
        assert_eq!(bench.cpu.regs.nia, Vector::DataSegment.offset(), "{word:x}");
        assert_eq!(bench.cpu.spr.dar, dar, "{word:x}");
    }
}
