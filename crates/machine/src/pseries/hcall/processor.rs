//! Virtual processor calls (LoPAR "Shared Processor LPAR", "Partition Migration"): cede, prod, confer, join.

use super::{Call, status};
use crate::chassis::Activity;
use crate::observe::Observation;
use timebase_cpu::bits::msr;

/// H_CEDE: enables external interrupts and gives way until something is pending.
pub(super) fn cede(call: &mut Call) -> i64 {
    let slot = &mut call.machine.board.cpu[call.n];
    let value = slot.vcpu.regs.msr | msr::EE;
    slot.vcpu.set_msr(value);
    if slot.prodded {
        slot.prodded = false;
    } else {
        call.machine.rest(call.n);
    }
    status::SUCCESS
}

/// H_CONFER: the rest of the slice goes to others.
pub(super) fn confer(call: &mut Call) -> i64 {
    let target = call.args[0] as u32;
    if target != u32::MAX && target as usize >= call.machine.board.cpu.len() {
        return status::PARAMETER;
    }
    call.machine.board.schedule.end_slice();
    status::SUCCESS
}

/// H_PROD: wakes a vCPU, or lets its next cede return at once.
pub(super) fn prod(call: &mut Call) -> i64 {
    match call.machine.board.cpu.get_mut(call.args[0] as usize) {
        Some(slot) => {
            slot.prodded = true;
            let target = call.args[0] as u32;
            call.machine.see(Some(call.n), || Observation::Prod(target));
            status::SUCCESS
        }
        None => status::PARAMETER,
    }
}

/// H_JOIN: waits to be prodded; the last vCPU to join is told to continue.
pub(super) fn join(call: &mut Call) -> i64 {
    let board = &mut call.machine.board;
    if board.cpu[call.n].vcpu.regs.msr & msr::EE != 0 {
        return status::BAD_MODE;
    }
    let others = board.cpu.iter().enumerate().filter(|(n, _)| *n != call.n);
    let waiting = |activity| matches!(activity, Activity::Joined | Activity::Stopped | Activity::Dead);
    if others.map(|(_, slot)| slot.activity).all(waiting) {
        return status::CONTINUE;
    }
    board.cpu[call.n].activity = Activity::Joined;
    board.schedule.end_slice();
    status::SUCCESS
}

/// H_HOME_NODE_ASSOCIATIVITY: there is one node.
pub(super) fn home_node(call: &mut Call) -> i64 {
    let [flags, server, ..] = call.args;
    if flags != 1 || server as usize >= call.machine.board.cpu.len() {
        return if flags != 1 { status::PARAMETER } else { status::P2 };
    }
    // Domain numbers as halfwords: three of node 0 and the vCPU's own, then the end.
    call.give(0, 0x8000_8000_8000_8000 | server);
    for k in 1..6 {
        call.give(k, u64::MAX);
    }
    status::SUCCESS
}

/// H_RANDOM: 64 random bits of the machine's seed.
pub(super) fn random(call: &mut Call) -> i64 {
    let drawn = timebase_state::random::draw(&mut call.machine.board.random);
    call.give(0, drawn);
    status::SUCCESS
}

/// H_SIGNAL_SYS_RESET: a vCPU, -1 for all, -2 for all others.
pub(super) fn signal_system_reset(call: &mut Call) -> i64 {
    let target = call.args[0] as i64;
    let n = call.n as i64;
    let cpus = &mut call.machine.board.cpu;
    if target < -2 || target >= cpus.len() as i64 {
        return status::PARAMETER;
    }
    for (k, slot) in cpus.iter_mut().enumerate() {
        let hit = target == -1 || target == -2 && k as i64 != n || target == k as i64;
        if hit && slot.activity != Activity::Stopped {
            slot.vcpu.system_reset = true;
        }
    }
    status::SUCCESS
}

/// H_GET_CPU_CHARACTERISTICS: nothing here speculates.
pub(super) fn characteristics(call: &mut Call) -> i64 {
    // Character: speculation barrier instructions are not needed, L1D flush not needed (bits as LoPAR numbers them:
    // 0 ori 31 barrier, 1 bcctrl serialised, 2 ori 30 flush, 3 mttrig2 flush, 4 L1D thread-private). Behaviour: no
    // flush favoured.
    call.give(0, 1 << 63 | 1 << 62 | 1 << 59);
    call.give(1, 0);
    status::SUCCESS
}
