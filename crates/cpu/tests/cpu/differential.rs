//! What an interrupt leaves in registers, where the differential tester (`cargo xtask diff`) found it wrong.

use crate::bench::{Bench, CODE, NOP, SC};
use timebase_cpu::Model;
use timebase_cpu::bits::{lpcr, msr};

const PREFIXED: u64 = 1 << 29;
const ILLEGAL: u32 = 0;
const SC_1: u32 = 0x4400_0022;
const HRFID: u32 = 0x4c00_0224;
const RFID: u32 = 0x4c00_0024;

/// A CPU of powernv in this state, at the first word of code.
fn bench(model: Model, state: u64, words: &[u32]) -> Bench {
    let mut bench = Bench::of(model, true, words);
    bench.cpu.spr.lpcr = lpcr::HR | lpcr::UPRT;
    bench.cpu.set_msr(state);
    bench
}

/// Partition 1 with its real addresses: one page of a gigabyte, in a tree of three entries.
fn partition(bench: &mut Bench) {
    const TREE: u64 = 0x8_0000;
    const PARTITIONS: u64 = 0x7_0000;
    let root = 1 << 63 | 2 << 61 | 5 << 5 | 13 | TREE;
    let entries = [
        (PARTITIONS + 16, root),
        (TREE, 1 << 63 | (TREE + 0x1_0000) | 9),
        (TREE + 0x1_0000, 3 << 62 | 0x187),
    ];
    for (address, entry) in entries {
        bench.memory.store_u64(address, entry, timebase_memory::Writer::Other).unwrap();
    }
    (bench.cpu.spr.ptcr, bench.cpu.spr.lpidr) = (PARTITIONS, 1);
}

/// III 7.5.14: LEV = 1 calls the hypervisor; before ISA 3.1 SRR1 does not tell LEV. Real mode of a partition is translated,
/// so the fetch happens in hypervisor state here.
#[test]
fn sc_1_of_a_guest_enters_hypervisor_state() {
    for (model, level) in [(Model::Power9, 0), (Model::Power10, 1 << 20)] {
        for (word, state) in [(SC, 0), (SC_1, msr::HV)] {
            let mut bench = Bench::of(model, true, &[word]);
            partition(&mut bench);
            bench.cpu.spr.lpcr = lpcr::HR | lpcr::UPRT;
            bench.cpu.set_msr(msr::SF | msr::ME);
            bench.run(1);
            assert_eq!(bench.cpu.regs.nia, 0xc00, "{model:?} {word:x}");
            assert_eq!(bench.cpu.regs.msr & msr::HV, state, "{model:?} {word:x}");
            let told = if word == SC_1 { level } else { 0 };
            assert_eq!(bench.cpu.spr.srr1, msr::SF | msr::ME | told, "{model:?} {word:x}");
        }
    }
}

/// III 7.5, "MSR setting due to interrupt": what saves into HSRR0 leaves RI alone, what saves into SRR0 clears it.
#[test]
fn hypervisor_interrupts_keep_ri() {
    for recoverable in [0, msr::RI] {
        let state = msr::SF | msr::HV | msr::ME | recoverable;
        let mut assistance = bench(Model::Power9, state, &[ILLEGAL]);
        assistance.run(1);
        assert_eq!((assistance.cpu.regs.nia, assistance.cpu.regs.msr), (0xe40, state));
        let mut call = bench(Model::Power9, state, &[SC]);
        call.run(1);
        assert_eq!((call.cpu.regs.nia, call.cpu.regs.msr), (0xc00, state & !msr::RI));
    }
}

/// I 1.11.3: an address that an interrupt puts into a register has an upper half of 0 in 32-bit mode.
#[test]
fn dar_of_an_alignment_interrupt_is_narrow_in_32_bit_mode() {
    const LWARX: u32 = 0x7c60_2028; // lwarx r3,0,r4
    for (sf, expected) in [(msr::SF, 0x1234_5678_0002_0001), (0, 0x2_0001)] {
        let mut bench = bench(Model::Power9, sf | msr::HV | msr::ME, &[LWARX]);
        bench.cpu.regs.gpr[4] = 0x1234_5678_0002_0001;
        bench.run(1);
        assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.dar), (0x600, expected));
    }
}

/// III 8.2: rfid is a place to come from, hrfid is none.
#[test]
fn cfar_tells_of_rfid_and_not_of_hrfid() {
    for (word, expected) in [(RFID, CODE), (HRFID, 0x1230)] {
        let mut bench = bench(Model::Power9, msr::SF | msr::HV | msr::ME, &[word, NOP]);
        let state = bench.cpu.regs.msr;
        let spr = &mut bench.cpu.spr;
        (spr.srr0, spr.srr1, spr.hsrr0, spr.hsrr1) = (CODE + 4, state, CODE + 4, state);
        bench.cpu.regs.cfar = 0x1230;
        bench.run(1);
        assert_eq!((bench.cpu.regs.nia, bench.cpu.regs.cfar), (CODE + 4, expected));
    }
}

/// SRR1[34] tells of a prefix whatever the interrupt, stepped or not (ISA 3.1).
#[test]
fn interrupts_of_prefixed_instructions_say_so() {
    let plxsd = [0x0400_0000, 0xab20_0000]; // plxsd v25,0(0)
    let unknown = [0x0600_0000, 0];
    for step in [0, msr::SE] {
        let state = msr::SF | msr::HV | msr::ME | step;
        let mut unavailable = bench(Model::Power10, state, &plxsd);
        unavailable.run(1);
        assert_eq!((unavailable.cpu.regs.nia, unavailable.cpu.spr.srr1), (0xf20, state | PREFIXED));
        let mut undefined = bench(Model::Power10, state, &unknown);
        undefined.run(1);
        assert_eq!((undefined.cpu.regs.nia, undefined.cpu.spr.hsrr1), (0xe40, state | PREFIXED));
        // At the last word of 64 bytes.
        let mut crossing = bench(Model::Power10, state, &[]);
        crossing.load(CODE + 60, &plxsd);
        crossing.cpu.regs.nia = CODE + 60;
        crossing.run(1);
        assert_eq!((crossing.cpu.regs.nia, crossing.cpu.spr.srr1), (0x600, state | PREFIXED));
    }
}

/// I 3.3.4: in little-endian mode `plq` has the doubleword at the lower address in the first register, `lq` in the second.
#[test]
fn registers_of_prefixed_quadwords_are_in_the_order_of_storage() {
    let lq = [0xe0c4_0000u32]; // lq r6,0(r4)
    let plq = [0x0400_0000, 0xe0c4_0000]; // plq r6,0(r4),0
    let pstq = [0x0400_0000, 0xf0c4_0000];
    for (words, expected) in [(&lq[..], [2, 1]), (&plq, [1, 2]), (&pstq, [7, 8])] {
        let words: Vec<u32> = words.iter().map(|word| word.swap_bytes()).collect();
        let mut bench = bench(Model::Power10, msr::SF | msr::HV | msr::ME | msr::LE, &words);
        for (n, value) in [1u64, 2].into_iter().enumerate() {
            let address = 0x2_0000 + 8 * n as u64;
            bench.memory.store(address, &value.to_le_bytes(), timebase_memory::Writer::Other).unwrap();
        }
        (bench.cpu.regs.gpr[4], bench.cpu.regs.gpr[6], bench.cpu.regs.gpr[7]) = (0x2_0000, 7, 8);
        bench.run(1);
        assert_eq!(bench.cpu.regs.gpr[6..8], expected);
        let stored = [bench.memory.read_u64(0x2_0000).unwrap(), bench.memory.read_u64(0x2_0008).unwrap()];
        let stored = stored.map(u64::swap_bytes);
        assert_eq!(stored, if expected == [7, 8] { [7, 8] } else { [1, 2] });
    }
}

/// An instruction that ends single stepping is still stepped over, one that begins it is not (III 7.5.15).
#[test]
fn tracing_goes_by_the_state_before_the_instruction() {
    const MTMSR: u32 = 0x7c60_0124; // mtmsr r3
    for (before, after, expected) in [(msr::SE, 0, 0xd00), (0, msr::SE, CODE + 4)] {
        let state = msr::SF | msr::HV | msr::ME;
        let mut bench = bench(Model::Power9, state | before, &[MTMSR, NOP]);
        bench.cpu.regs.gpr[3] = state | after;
        bench.run(1);
        assert_eq!(bench.cpu.regs.nia, expected);
    }
}

/// LPCR[GTSE] lends a guest `tlbie` and `tlbsync`, which concern other threads; `tlbiel` needs no leave (III 6.9.3.3).
#[test]
fn gtse_lends_what_concerns_other_threads() {
    const PROCESS: u32 = 31 << 26 | 5 << 21 | 1 << 17 | 4 << 11;
    let (tlbie, tlbiel, tlbsync) = (PROCESS | 306 << 1, PROCESS | 274 << 1, 31 << 26 | 566 << 1);
    for (word, state, gtse, done) in [
        (tlbie, 0, false, false),
        (tlbie, 0, true, true),
        (tlbie, msr::HV, false, true),
        (tlbsync, 0, false, false),
        (tlbsync, 0, true, true),
        (tlbsync, msr::HV, false, true),
        (tlbiel, 0, false, true),
    ] {
        let mut bench = Bench::of(Model::Power9, true, &[word]);
        bench.cpu.spr.lpcr = lpcr::HR | lpcr::UPRT | if gtse { lpcr::GTSE } else { 0 };
        partition(&mut bench);
        bench.cpu.set_msr(msr::SF | msr::ME | state);
        bench.run(1);
        let next = bench.cpu.regs.nia;
        assert_eq!(next == CODE + 4, done, "{word:x} {state:x} {gtse}: {next:x}");
        // Privileged, SRR1[45], in the guest.
        assert!(done || next == 0x700 && bench.cpu.spr.srr1 & 1 << 18 != 0, "{word:x} {state:x}: {next:x}");
    }
}
