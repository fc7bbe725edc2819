//! Interrupt controller calls: XICS presentation (LoPAR "Interrupt Support"), and VIO signals.

use super::{Call, status};
use crate::pseries::describe::VTY;

pub(super) fn cppr(call: &mut Call) -> i64 {
    call.machine.board.devices.xics.set_cppr(call.n as u32, call.args[0] as u8);
    status::SUCCESS
}

pub(super) fn ipi(call: &mut Call) -> i64 {
    let [server, mfrr, ..] = call.args;
    let Ok(server) = u32::try_from(server) else { return status::PARAMETER };
    match call.machine.board.devices.xics.set_mfrr(server, mfrr as u8) {
        Ok(()) => status::SUCCESS,
        Err(_) => status::PARAMETER,
    }
}

pub(super) fn xirr(call: &mut Call) -> i64 {
    let value = call.machine.board.devices.xics.accept(call.n as u32);
    call.give(0, value as u64);
    status::SUCCESS
}

/// The same with the time base at which it was accepted.
pub(super) fn xirr_x(call: &mut Call) -> i64 {
    let status = xirr(call);
    let board = &call.machine.board;
    let tb = board.cpu[call.n].vcpu.tb(board.clock.at(board.count));
    call.give(1, tb);
    status
}

pub(super) fn eoi(call: &mut Call) -> i64 {
    call.machine.board.devices.xics.end_of_interrupt(call.n as u32, call.args[0] as u32);
    status::SUCCESS
}

pub(super) fn ipoll(call: &mut Call) -> i64 {
    let Ok(server) = u32::try_from(call.args[0]) else { return status::PARAMETER };
    match call.machine.board.devices.xics.poll(server) {
        Ok((xirr, mfrr)) => {
            call.give(0, xirr as u64);
            call.give(1, mfrr as u64);
            status::SUCCESS
        }
        Err(_) => status::PARAMETER,
    }
}

/// H_VIO_SIGNAL: unit, mode 0 (off) or 1 (interrupts).
pub(super) fn vio_signal(call: &mut Call) -> i64 {
    let [unit, mode, ..] = call.args;
    if unit != VTY as u64 || mode > 1 {
        return status::PARAMETER;
    }
    call.machine.board.devices.vty.set_signal(mode == 1);
    status::SUCCESS
}
