//! Translation in two levels, for a guest of the guest: radix trees and the virtual real mode area, each kind of fault,
//! R and C of both levels, and that changed tables count at once.

use timebase_cpu::NoDevices;
use timebase_cpu::bits::{dsisr, lpcr, msr, srr1};
use timebase_cpu::{Clock, Engine, Interpreter, Model, Vcpu, Vector, World};
use timebase_memory::{Memory, Writer};
use timebase_state::Instant;

const RAM: u64 = 8 << 20;
const LPID: u64 = 1;
const PID: u64 = 5;

/// Host real: partition table, partition-scoped tree, and where guest real 0 is.
const PARTITION_TABLE: u64 = 0x1_0000;
const HOST_TREE: [u64; 4] = [0x2_0000, 0x3_0000, 0x3_1000, 0x3_2000];
const GUEST: u64 = 0x20_0000;

/// Guest real: process table, process-scoped tree (its last level twice: for EA 0 and for EA 0x20_0000).
const PROCESS_TABLE: u64 = 0x1_0000;
const GUEST_TREE: [u64; 4] = [0x4_0000, 0x5_0000, 0x5_1000, 0x5_2000];
const GUEST_SECOND: u64 = 0x5_3000;

/// Effective and guest real.
const CODE: u64 = 0x1000;
const DATA: u64 = 0x3000;
const FAR: u64 = 0x20_0000;

const VALID: u64 = 1 << 63;
const LEAF: u64 = 3 << 62;
const R: u64 = 0x100;
const C: u64 = 0x80;
const READ: u64 = 4;
const WRITE: u64 = 2;
const EXECUTE: u64 = 1;
/// RTS of trees of 52 bits, and the size of their first level.
const ROOT: u64 = 2 << 61 | 5 << 5 | 13;

/// ld r4,0(r3); std r4,0(r3); nop
const LD: u32 = 0xe883_0000;
const STD: u32 = 0xf883_0000;

struct Bench {
    cpu: Vcpu,
    memory: Memory,
    engine: Interpreter,
}

impl Bench {
    /// A guest in problem state whose tables are complete.
    fn new(word: u32) -> Bench {
        let mut cpu = Vcpu::cold(0, Model::Power9, true, 0, Instant::default());
        cpu.spr.lpcr = lpcr::HR | lpcr::UPRT;
        cpu.spr.ptcr = PARTITION_TABLE;
        cpu.spr.lpidr = LPID;
        cpu.spr.pidr = PID;
        cpu.set_msr(msr::SF | msr::ME | msr::IR | msr::DR);
        cpu.regs.gpr[3] = DATA;
        let mut bench = Bench { cpu, memory: Memory::new(RAM, 1), engine: Interpreter::new(Model::Power9) };
        bench.put(PARTITION_TABLE + 16 * LPID, VALID | ROOT | HOST_TREE[0]);
        bench.put(PARTITION_TABLE + 16 * LPID + 8, PROCESS_TABLE);
        for n in 0..3 {
            bench.put(HOST_TREE[n], VALID | HOST_TREE[n + 1] | 9);
        }
        for page in 0..0x60 {
            bench.host(page << 12, LEAF | READ | WRITE | EXECUTE);
        }
        bench.put(GUEST + PROCESS_TABLE + 16 * PID, ROOT | GUEST_TREE[0]);
        for n in 0..3 {
            bench.put(GUEST + GUEST_TREE[n], VALID | GUEST_TREE[n + 1] | 9);
        }
        bench.put(GUEST + GUEST_TREE[2] + 8, VALID | GUEST_SECOND | 9);
        for ea in [CODE, DATA] {
            bench.process(ea, ea, READ | WRITE | EXECUTE);
        }
        bench.put(GUEST + GUEST_SECOND, LEAF | DATA | READ | WRITE);
        bench.put(GUEST + DATA, 0x1122_3344_5566_7788);
        bench.memory.store_u32(GUEST + CODE, word, Writer::Other).expect("RAM");
        bench.memory.store_u32(GUEST + CODE + 4, 0x6000_0000, Writer::Other).expect("RAM");
        bench.cpu.regs.nia = CODE;
        bench
    }

    fn put(&mut self, address: u64, value: u64) {
        self.memory.store_u64(address, value, Writer::Other).expect("RAM");
    }

    fn get(&self, address: u64) -> u64 {
        self.memory.read_u64(address).expect("RAM")
    }

    /// The partition-scoped entry of a guest real page of the first 2 MiB.
    fn host_entry(&self, page: u64) -> u64 {
        self.get(HOST_TREE[3] + (page >> 12) * 8)
    }

    /// Sets it; bits of `entry` beside the address.
    fn host(&mut self, page: u64, entry: u64) {
        let address = if entry == 0 { 0 } else { GUEST + page };
        self.put(HOST_TREE[3] + (page >> 12) * 8, entry | address);
    }

    /// Maps a page of the guest's process.
    fn process(&mut self, ea: u64, page: u64, permissions: u64) {
        self.put(GUEST + GUEST_TREE[3] + (ea >> 12) * 8, LEAF | page | permissions);
    }

    fn process_entry(&self, ea: u64) -> u64 {
        self.get(GUEST + GUEST_TREE[3] + (ea >> 12) * 8)
    }

    /// One instruction.
    fn step(&mut self) {
        let mut world = World {
            observed: None,
            memory: &mut self.memory,
            bus: &mut NoDevices,
            clock: Clock::cold(2, 1, 0, Instant::default()),
            count: 0,
            passed: None,
        };
        self.engine.run(&mut self.cpu, &mut world, 1);
    }

    fn again(&mut self) {
        self.cpu.regs.nia = CODE;
        self.cpu.regs.gpr[4] = 0;
        self.step();
    }

    /// The hypervisor got a data storage interrupt like this.
    fn check_hdsi(&self, hdsisr: u32, asdr: u64) {
        assert_eq!(self.cpu.regs.nia, Vector::HypervisorDataStorage.offset());
        assert!(self.cpu.hypervisor());
        assert_eq!(self.cpu.spr.hsrr0, CODE);
        assert_eq!(self.cpu.spr.hdar, self.cpu.regs.gpr[3]);
        assert_eq!(self.cpu.spr.hdsisr, hdsisr as u64, "HDSISR {:#x}", self.cpu.spr.hdsisr);
        assert_eq!(self.cpu.spr.asdr, asdr);
    }

    /// The hypervisor got an instruction storage interrupt like this.
    fn check_hisi(&self, cause: u32, asdr: u64) {
        assert_eq!(self.cpu.regs.nia, Vector::HypervisorInstructionStorage.offset());
        assert!(self.cpu.hypervisor());
        assert_eq!(self.cpu.spr.hsrr1 & 0x783f_0000, cause as u64, "HSRR1 {:#x}", self.cpu.spr.hsrr1);
        assert_eq!(self.cpu.spr.asdr, asdr);
    }
}

#[test]
fn a_load_sets_r_in_both_trees_and_c_where_r_was_stored() {
    let mut bench = Bench::new(LD);
    bench.step();
    assert_eq!(bench.cpu.regs.gpr[4], 0x1122_3344_5566_7788);
    assert_eq!(bench.process_entry(DATA) & (R | C), R);
    assert_eq!(bench.host_entry(DATA) & (R | C), R);
    assert_eq!(bench.host_entry(PROCESS_TABLE) & (R | C), R, "the walk read it");
    for level in &GUEST_TREE[..3] {
        assert_eq!(bench.host_entry(*level) & (R | C), R);
    }
    assert_eq!(bench.host_entry(GUEST_TREE[3]) & (R | C), R | C, "the guest's R was stored there");
}

#[test]
fn a_store_sets_c_in_both_trees() {
    let mut bench = Bench::new(STD);
    bench.cpu.regs.gpr[4] = 77;
    bench.step();
    assert_eq!(bench.get(GUEST + DATA), 77);
    assert_eq!(bench.process_entry(DATA) & (R | C), R | C);
    assert_eq!(bench.host_entry(DATA) & (R | C), R | C);
}

#[test]
fn pages_of_devices_are_cached_and_follow_their_entries() {
    let device = |permissions| LEAF | permissions | 1 << 40;
    for (word, set) in [(LD, R), (STD, R | C)] {
        let mut bench = Bench::new(word);
        let state = bench.cpu.regs.msr;
        let step = |bench: &mut Bench, word: u32, entry: Option<u64>| {
            let at = HOST_TREE[3] + (DATA >> 12) * 8;
            entry.into_iter().for_each(|entry| bench.put(at, entry));
            bench.memory.store_u32(GUEST + CODE, word, Writer::Other).expect("RAM");
            bench.cpu.set_msr(state);
            bench.again();
            (bench.cpu.regs.nia, bench.get(at) & (R | C))
        };
        let check = Vector::MachineCheck.offset();
        for _ in 0..2 {
            assert_eq!(step(&mut bench, word, Some(device(READ | WRITE))), (check, set));
            assert_eq!(step(&mut bench, word, None), (check, set), "nothing answers this time either");
            assert_eq!(step(&mut bench, LD, None), (check, set));
            assert_eq!(step(&mut bench, STD, None), (check, R | C));
            assert_eq!(step(&mut bench, word, Some(LEAF | READ | WRITE | GUEST + DATA)), (CODE + 4, set));
        }
        step(&mut bench, word, Some(device(READ | WRITE)));
        let (nia, _) = step(&mut bench, word, Some(device(EXECUTE)));
        assert_eq!(nia, Vector::HypervisorDataStorage.offset());
    }
}

#[test]
fn what_a_walk_that_fails_would_have_set_is_not_set() {
    let mut bench = Bench::new(LD);
    bench.host(DATA, 0);
    bench.step();
    assert_eq!(bench.process_entry(DATA) & (R | C), 0);
}

#[test]
fn partition_scoped_faults_of_data() {
    let table = dsisr::TABLE;
    // No translation, not readable, not writable.
    let mut bench = Bench::new(LD);
    bench.host(DATA, 0);
    bench.step();
    bench.check_hdsi(dsisr::NO_TRANSLATION, DATA);
    let mut bench = Bench::new(LD);
    bench.host(DATA, LEAF | EXECUTE);
    bench.step();
    bench.check_hdsi(dsisr::PROTECTION, DATA);
    let mut bench = Bench::new(STD);
    bench.host(DATA, LEAF | READ);
    bench.step();
    bench.check_hdsi(dsisr::PROTECTION | dsisr::STORE, DATA);
    // The tree's last level is not there, or not valid.
    let mut bench = Bench::new(LD);
    bench.cpu.regs.gpr[3] = FAR + 0x18;
    bench.host(GUEST_SECOND, 0);
    bench.step();
    bench.check_hdsi(dsisr::NO_TRANSLATION | table, GUEST_SECOND);
    // R of the guest's entry cannot be stored.
    let mut bench = Bench::new(LD);
    bench.cpu.regs.gpr[3] = FAR;
    bench.host(GUEST_SECOND, LEAF | READ);
    bench.step();
    bench.check_hdsi(dsisr::PROTECTION | dsisr::STORE | table, GUEST_SECOND);
    // Levels of no size.
    let mut bench = Bench::new(LD);
    bench.put(GUEST + GUEST_TREE[2] + 8, VALID | GUEST_SECOND | 20);
    bench.cpu.regs.gpr[3] = FAR;
    bench.step();
    assert_eq!(bench.cpu.regs.nia, Vector::DataStorage.offset(), "the guest's own mistake");
    assert_eq!(bench.cpu.spr.dsisr, dsisr::UNSUPPORTED as u64);
}

#[test]
fn partition_scoped_faults_of_fetches() {
    let (none, protected) = (dsisr::NO_TRANSLATION, dsisr::PROTECTION);
    let no_execute = srr1::NO_EXECUTE as u32;
    for (page, entry, cause) in [
        (CODE, 0, none),
        (CODE, LEAF | READ | WRITE, no_execute),
        // Caching-inhibited storage is guarded.
        (CODE, LEAF | READ | EXECUTE | 0x20, no_execute),
        (PROCESS_TABLE, 0, none | dsisr::TABLE),
        (GUEST_TREE[1], 0, none | dsisr::TABLE),
        (GUEST_TREE[3], LEAF | READ, protected | dsisr::TABLE),
    ] {
        let mut bench = Bench::new(LD);
        bench.host(page, entry);
        bench.step();
        bench.check_hisi(cause, page);
        assert_eq!(bench.cpu.spr.hsrr0, CODE);
    }
}

/// III 7.5.5: SRR1[35] tells of storage without execute permission, and of guarded storage; SRR1[36] of what IAMR forbids.
#[test]
fn process_scoped_faults_of_fetches() {
    for (permissions, iamr, cause) in [
        (READ | WRITE, 0, srr1::NO_EXECUTE),
        (READ | EXECUTE | 0x20, 0, srr1::NO_EXECUTE),
        (READ | EXECUTE, 1 << 62, srr1::PROTECTION),
    ] {
        let mut bench = Bench::new(LD);
        bench.process(CODE, CODE, permissions);
        bench.cpu.spr.iamr = iamr;
        bench.step();
        assert_eq!(bench.cpu.regs.nia, Vector::InstructionStorage.offset());
        assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, cause, "{permissions:x}");
    }
}

#[test]
fn process_scoped_faults_stay_in_the_guest() {
    for (permissions, word, cause) in
        [(0, LD, dsisr::PROTECTION), (READ, STD, dsisr::PROTECTION | dsisr::STORE)]
    {
        let mut bench = Bench::new(word);
        bench.process(DATA, DATA, permissions);
        bench.step();
        assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.dar), (Vector::DataStorage.offset(), DATA));
        assert_eq!(bench.cpu.spr.dsisr, cause as u64);
        assert!(!bench.cpu.hypervisor());
    }
    for quadrant in [1, 2] {
        let mut bench = Bench::new(LD);
        bench.cpu.regs.gpr[3] = quadrant << 62 | DATA;
        bench.step();
        assert_eq!(bench.cpu.regs.nia, Vector::DataSegment.offset());
    }
}

#[test]
fn a_partition_table_that_says_something_else_is_an_unsupported_configuration() {
    for change in [
        |bench: &mut Bench| bench.put(PARTITION_TABLE + 16 * LPID, ROOT | HOST_TREE[0]),
        |bench: &mut Bench| bench.cpu.spr.lpidr = 0x100,
        |bench: &mut Bench| bench.cpu.spr.ptcr = RAM,
    ] {
        let mut bench = Bench::new(LD);
        change(&mut bench);
        bench.step();
        assert_eq!(bench.cpu.regs.nia, Vector::HypervisorInstructionStorage.offset());
        assert_ne!(bench.cpu.spr.hsrr1 & dsisr::UNSUPPORTED as u64, 0);
    }
}

#[test]
fn hypervisor_state_reaches_a_guest_through_quadrants_1_and_2() {
    let bench = |ea: u64| {
        let mut bench = Bench::new(LD);
        // The code is the host's, in real mode.
        bench.memory.store_u32(CODE, LD, Writer::Other).expect("RAM");
        bench.cpu.set_msr(msr::SF | msr::HV | msr::ME | msr::DR);
        bench.cpu.regs.gpr[3] = ea;
        bench
    };
    let mut quadrant1 = bench(1 << 62 | DATA);
    quadrant1.step();
    assert_eq!(quadrant1.cpu.regs.gpr[4], 0x1122_3344_5566_7788);
    // Quadrant 2 is that of process 0.
    let mut quadrant2 = bench(2 << 62 | DATA);
    quadrant2.step();
    assert_eq!(quadrant2.cpu.spr.dsisr, dsisr::UNSUPPORTED as u64, "process 0 has no tree");
    let root = quadrant2.get(GUEST + PROCESS_TABLE + 16 * PID);
    let mut quadrant2 = bench(2 << 62 | DATA);
    quadrant2.put(GUEST + PROCESS_TABLE, root);
    quadrant2.step();
    assert_eq!(quadrant2.cpu.regs.gpr[4], 0x1122_3344_5566_7788);
    // A page that the hypervisor does not map, and one that the guest does not.
    let mut missing = bench(1 << 62 | DATA);
    missing.host(DATA, 0);
    missing.step();
    missing.check_hdsi(dsisr::NO_TRANSLATION, DATA);
    let mut missing = bench(1 << 62 | 0x4000);
    missing.step();
    assert_eq!(missing.cpu.regs.nia, Vector::DataStorage.offset());
}

#[test]
fn real_mode_of_a_guest_is_translated_once() {
    let mut bench = Bench::new(LD);
    bench.cpu.set_msr(msr::SF | msr::ME);
    bench.step();
    assert_eq!(bench.cpu.regs.gpr[4], 0x1122_3344_5566_7788);
    assert_eq!(bench.host_entry(DATA) & (R | C), R);
    assert_eq!(bench.process_entry(DATA) & (R | C), 0);
    bench.cpu.regs.gpr[3] = 0xf0;
    bench.cpu.regs.gpr[3] = 1 << 53;
    bench.again();
    bench.check_hdsi(dsisr::NO_TRANSLATION, 1 << 53);
}

#[test]
fn a_changed_entry_of_either_tree_counts_at_once() {
    let other = 0x4_5000;
    for change in [
        // The hypervisor moves the page, the table of the last level, or all.
        |bench: &mut Bench| {
            bench.put(HOST_TREE[3] + 8 * (DATA >> 12), LEAF | READ | WRITE | GUEST + 0x4_5000)
        },
        |bench: &mut Bench| bench.process(DATA, 0x4_5000, READ),
        |bench: &mut Bench| {
            // Another last level of the guest's tree, by the hypervisor's entry for it.
            let leaf = bench.get(GUEST + GUEST_TREE[3] + 8 * (CODE >> 12));
            bench.put(GUEST + 0x4_6000 + 8 * (CODE >> 12), leaf);
            bench.put(GUEST + 0x4_6000 + 8 * (DATA >> 12), LEAF | READ | 0x4_5000);
            let moved = LEAF | READ | WRITE | GUEST + 0x4_6000;
            bench.put(HOST_TREE[3] + 8 * (GUEST_TREE[3] >> 12), moved);
        },
        |bench: &mut Bench| {
            // Another tree for the process.
            for n in 0..3 {
                bench.put(GUEST + 0x4_7000 + n * 0x1000, VALID | (0x4_8000 + n * 0x1000) | 9);
            }
            let leaf = bench.get(GUEST + GUEST_TREE[3] + 8 * (CODE >> 12));
            bench.put(GUEST + 0x4_a000 + 8 * (CODE >> 12), leaf);
            bench.put(GUEST + 0x4_a000 + 8 * (DATA >> 12), LEAF | READ | 0x4_5000);
            bench.put(GUEST + GUEST_TREE[0], VALID | 0x4_8000 | 9);
        },
    ] {
        let mut bench = Bench::new(LD);
        bench.put(GUEST + other, 99);
        bench.step();
        bench.again();
        assert_eq!(bench.cpu.regs.gpr[4], 0x1122_3344_5566_7788);
        change(&mut bench);
        bench.again();
        assert_eq!(bench.cpu.regs.gpr[4], 99);
    }
    // And one that is taken away.
    let mut bench = Bench::new(LD);
    bench.step();
    bench.host(GUEST_TREE[2], 0);
    bench.again();
    bench.check_hisi(dsisr::NO_TRANSLATION | dsisr::TABLE, GUEST_TREE[2]);
}

#[test]
fn partitions_do_not_see_each_others_translations() {
    let mut bench = Bench::new(LD);
    bench.step();
    bench.cpu.spr.lpidr = 2;
    bench.cpu.context_changed();
    bench.again();
    assert_eq!(bench.cpu.regs.nia, Vector::HypervisorInstructionStorage.offset());
}

/// The hashed page table of partition 1, of 256 KiB, and pages of 64 KiB for its real mode.
const HPT: u64 = 0x4_0000;

fn real_mode_area() -> Bench {
    let mut bench = Bench::new(LD);
    bench.cpu.spr.lpcr = lpcr::VPM;
    bench.put(PARTITION_TABLE + 16 * LPID, HPT | 0xa0);
    bench.cpu.set_msr(msr::SF | msr::ME);
    // Page 0 of the segment: VSID 0x1ffffff, 1 TB, 64 KiB.
    let vsid = 0x1ff_ffffu64;
    let group = HPT + ((vsid ^ vsid << 25) & 0x7ff) * 128;
    bench.put(group + 8, 1 << 58 | GUEST | 1 << 12 | 2);
    bench.put(group, vsid << 24 & 0x000f_ffff_ffff_ff80 | 4 | 1);
    bench
}

#[test]
fn real_mode_of_a_guest_that_hashes_is_a_segment_of_the_hypervisors() {
    const ASDR: u64 = 1 << 62 | 0x1ff_ffff << 24 | 0x110;
    let mut bench = real_mode_area();
    bench.step();
    assert_eq!(bench.cpu.regs.gpr[4], 0x1122_3344_5566_7788);
    bench.cpu.regs.gpr[3] = 0x1_0000;
    bench.again();
    bench.check_hdsi(dsisr::NO_TRANSLATION, ASDR);
    let mut bench = real_mode_area();
    bench.cpu.regs.gpr[3] = 1 << 40;
    bench.step();
    bench.check_hdsi(dsisr::NO_TRANSLATION, ASDR);
    // Another page size: the entries do not fit.
    let mut bench = real_mode_area();
    bench.put(PARTITION_TABLE + 16 * LPID, HPT);
    bench.step();
    bench.check_hisi(dsisr::NO_TRANSLATION, ASDR & !0x110);
}

#[test]
fn storage_interrupts_of_a_guest_that_hashes_go_where_vpm_says() {
    for (vpm, vector) in [(lpcr::VPM, Vector::HypervisorInstructionStorage), (0, Vector::InstructionStorage)]
    {
        let mut bench = real_mode_area();
        bench.cpu.spr.lpcr = vpm;
        bench.cpu.slb.write(0x400_0000, 1 << 27);
        bench.cpu.set_msr(msr::SF | msr::ME | msr::IR | msr::DR);
        bench.step();
        assert_eq!(bench.cpu.regs.nia, vector.offset());
        assert_eq!(bench.cpu.hypervisor(), vpm != 0);
        assert_eq!(bench.cpu.spr.asdr, if vpm != 0 { 0x400_0000 } else { 0 });
        // The guest's own segments never are the hypervisor's.
        let mut bench = real_mode_area();
        bench.cpu.spr.lpcr = vpm;
        bench.cpu.set_msr(msr::SF | msr::ME | msr::IR | msr::DR);
        bench.step();
        assert_eq!(bench.cpu.regs.nia, Vector::InstructionSegment.offset());
    }
}

#[test]
fn real_mode_of_the_hypervisor_adds_hrmor() {
    let mut bench = Bench::new(LD);
    bench.cpu.set_msr(msr::SF | msr::HV | msr::ME);
    bench.cpu.spr.hrmor = GUEST;
    bench.step();
    assert_eq!(bench.cpu.regs.gpr[4], 0x1122_3344_5566_7788);
    // Not where bit 0 of the address is 1.
    bench.cpu.regs.gpr[3] = 1 << 63 | GUEST | DATA;
    bench.again();
    assert_eq!(bench.cpu.regs.gpr[4], 0x1122_3344_5566_7788);
}

#[test]
fn a_system_call_of_level_1_leads_out_of_a_guest_into_the_hypervisor() {
    // sc, sc 1; in either state of the guest.
    for (word, hv) in [(0x4400_0002, 0), (0x4400_0022, msr::HV)] {
        for problem in [0, msr::PR] {
            let mut bench = Bench::new(word);
            // The guest's handlers are little-endian, the hypervisor's are not.
            bench.cpu.spr.lpcr |= lpcr::ILE;
            let state = bench.cpu.regs.msr | problem;
            bench.cpu.set_msr(state);
            bench.step();
            let little = if hv == 0 { msr::LE } else { 0 };
            assert_eq!(bench.cpu.regs.nia, Vector::SystemCall.offset());
            assert_eq!(bench.cpu.regs.msr, msr::SF | msr::ME | hv | little, "{word:x} {state:x}");
            assert_eq!((bench.cpu.spr.srr0, bench.cpu.spr.srr1), (CODE + 4, state));
        }
    }
}

#[test]
fn doorbells_and_registers_of_a_guest_are_the_hypervisors_to_lend() {
    // msgsndp r4, msgclrp r4, mfspr r4,DPDES; fadd for privileged state of a guest.
    for (word, bit) in [(0x7c00_211c, 10), (0x7c00_215c, 10), (0x7c90_2aa6, 10), (0xfc00_082a, 0)] {
        for lent in [false, true] {
            let mut bench = Bench::new(word);
            bench.cpu.set_msr(bench.cpu.regs.msr | msr::FP);
            bench.cpu.spr.hfscr = if lent { u64::MAX } else { !(1 << bit) };
            bench.step();
            let expected = if lent { CODE + 4 } else { Vector::HypervisorFacilityUnavailable.offset() };
            assert_eq!(bench.cpu.regs.nia, expected, "{word:x} {lent}");
            if !lent {
                assert_eq!((bench.cpu.spr.hsrr0, bench.cpu.spr.hfscr >> 56), (CODE, bit));
            }
        }
    }
}
