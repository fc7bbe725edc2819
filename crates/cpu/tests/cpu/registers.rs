//! Numbers that name no special purpose register (Power ISA 3.0B Book III 5.4.4, `mtspr` and `mfspr`).

use crate::bench::{Bench, CODE, mfspr, mtspr};
use timebase_cpu::bits::msr;
use timebase_cpu::{Model, Vector};

#[test]
fn a_number_of_no_register_does_what_its_upper_bit_and_the_state_say() {
    const PRIVILEGED: u64 = 1 << 18;
    const ILLEGAL: u64 = 1 << 19;
    for (number, write, problem, cause) in [
        // Privileged state: nothing happens, but for the numbers that older CPUs used in other ways.
        (1000, false, false, 0),
        (1000, true, false, 0),
        (0, false, false, ILLEGAL),
        (0, true, false, ILLEGAL),
        (4, false, false, ILLEGAL),
        (6, false, false, ILLEGAL),
        (4, true, false, 0),
        // Problem state.
        (1000, false, true, ILLEGAL),
        (1016, false, true, PRIVILEGED),
        (1016, true, true, PRIVILEGED),
    ] {
        let mut bench = Bench::of(Model::Power9, false, &[(if write { mtspr } else { mfspr })(number, 3)]);
        bench.cpu.regs.gpr[3] = 77;
        bench.cpu.set_msr(msr::SF | msr::ME | if problem { msr::PR } else { 0 });
        bench.run(1);
        assert_eq!(bench.cpu.regs.gpr[3], 77);
        let expected = if cause == 0 { CODE + 4 } else { Vector::Program.offset() };
        assert_eq!(bench.cpu.regs.nia, expected, "{number} {write} {problem}");
        assert_eq!(bench.cpu.spr.srr1 & 0x783f_0000, cause);
    }
}
