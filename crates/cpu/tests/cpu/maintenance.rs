//! Hypervisor maintenance, machine checks, and the image of an instruction that is emulated.

use crate::bench::{Bench, CODE, NOP, QUANTA, branch_back, mtspr};
use timebase_cpu::bits::msr;
use timebase_cpu::{Bus, BusError, Engine, Exit, Model, Outcome, Vector, World};
use timebase_memory::Memory;
use timebase_state::Instant;

#[test]
fn an_enabled_bit_of_hmer_interrupts() {
    for quantum in QUANTA {
        let mut bench = Bench::of(Model::Power9, true, &[NOP, mtspr(337, 3), NOP, branch_back(1)]);
        bench.load(0xe60, &[branch_back(0)]);
        bench.quantum = quantum;
        bench.cpu.spr.hmer = 1 << 60;
        bench.cpu.regs.gpr[3] = 1 << 60;
        bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
        bench.run(6);
        assert_eq!(bench.taken, [(Vector::HypervisorMaintenance, 2)]);
        assert_eq!(bench.cpu.spr.hsrr0, CODE + 8);
    }
    // Not a bit that is not enabled, and not while interrupts are off in hypervisor state.
    for (hmeer, enabled) in [(1 << 59, msr::EE), (1 << 60, 0)] {
        let mut bench = Bench::of(Model::Power9, true, &[NOP, branch_back(1)]);
        (bench.cpu.spr.hmer, bench.cpu.spr.hmeer) = (1 << 60, hmeer);
        bench.cpu.set_msr(bench.cpu.regs.msr | enabled);
        bench.run(6);
        assert_eq!(bench.taken, []);
    }
}

/// A device that answers 7, and says this of each access.
struct Seven(Option<u64>);

impl Bus for Seven {
    fn load(&mut self, _: u32, _: u64, _: u8, _: Instant, _: &mut Memory) -> Result<u64, BusError> {
        Ok(7)
    }

    fn store(&mut self, _: u32, _: u64, _: u8, _: u64, _: Instant, _: &mut Memory) -> Result<(), BusError> {
        Ok(())
    }

    fn settled(&mut self) -> Option<u64> {
        self.0
    }
}

#[test]
fn a_run_goes_on_after_an_access_that_nobody_has_to_look_at() {
    const BIT: u64 = 1 << 54;
    // ld r4,0(r3); std r4,0(r3)
    for word in [0xe883_0000, 0xf883_0000] {
        for (says, hmeer, executed, hmer) in
            [(None, BIT, 2, 0), (Some(BIT), BIT, 2, BIT), (Some(BIT), BIT << 1, 6, BIT), (Some(0), BIT, 6, 0)]
        {
            let mut bench = Bench::of(Model::Power9, true, &[NOP, word, NOP, NOP, branch_back(4)]);
            bench.cpu.regs.gpr[3] = 1 << 40;
            bench.cpu.spr.hmeer = hmeer;
            bench.cpu.set_msr(bench.cpu.regs.msr | msr::EE);
            let mut world = World {
                observed: None,
                memory: &mut bench.memory,
                bus: &mut Seven(says),
                clock: bench.clock,
                count: 0,
                passed: None,
            };
            let exit = if executed == 6 { Exit::Budget } else { Exit::Look };
            assert_eq!(bench.engine.run(&mut bench.cpu, &mut world, 6), Outcome { executed, exit });
            assert_eq!(bench.cpu.spr.hmer, hmer);
        }
    }
}

#[test]
fn a_real_address_that_nothing_answers_is_a_machine_check() {
    // ld r4,0(r3); std r4,0(r3)
    for word in [0xe883_0000, 0xf883_0000] {
        for hypervisor in [true, false] {
            let mut bench = Bench::of(Model::Power9, hypervisor, &[word]);
            bench.cpu.regs.gpr[3] = 1 << 40;
            bench.run(1);
            assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.srr0), (Vector::MachineCheck.offset(), CODE));
            assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, 1 << 21);
            assert_eq!((bench.cpu.spr.dsisr, bench.cpu.spr.dar), (0x40, 1 << 40));
        }
    }
    let mut bench = Bench::new(&[]);
    bench.cpu.regs.nia = 1 << 40;
    bench.run(1);
    assert_eq!((bench.cpu.regs.nia, bench.cpu.spr.srr0), (Vector::MachineCheck.offset(), 1 << 40));
    assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, 0x080c_0000);
}

#[test]
fn heir_has_the_instruction_that_is_to_be_emulated() {
    let mut bench = Bench::of(Model::Power9, true, &[NOP, 0x0000_1234]);
    bench.run(2);
    assert_eq!(bench.cpu.regs.nia, Vector::HypervisorEmulationAssistance.offset());
    assert_eq!((bench.cpu.spr.heir, bench.cpu.spr.hsrr0), (0x0000_1234, CODE + 4));
}
