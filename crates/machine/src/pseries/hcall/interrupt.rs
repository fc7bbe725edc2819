//! Interrupt controller calls: XICS presentation (LoPAR "Interrupt Support"), and VIO signals.

use super::{Call, status};
use crate::observe::Observation;
use crate::pseries::describe::VTY;
use timebase_devices::Xics;

impl Call<'_> {
    /// Runs a call on XICS; H_FUNCTION where XIVE was chosen.
    fn with_xics(&mut self, function: impl FnOnce(&mut Xics) -> i64) -> i64 {
        self.machine.board.devices.interrupts.xics().map_or(status::FUNCTION, function)
    }
}

/// H_CPPR: priority.
pub(super) fn cppr(call: &mut Call) -> i64 {
    let (server, cppr) = (call.n as u32, call.args[0] as u8);
    call.with_xics(|xics| {
        xics.set_cppr(server, cppr);
        status::SUCCESS
    })
}

/// H_IPI: server, priority.
pub(super) fn ipi(call: &mut Call) -> i64 {
    let [server, mfrr, ..] = call.args;
    let Ok(server) = u32::try_from(server) else { return status::PARAMETER };
    let status = call
        .with_xics(|xics| xics.set_mfrr(server, mfrr as u8).map_or(status::PARAMETER, |()| status::SUCCESS));
    if status == status::SUCCESS {
        call.machine.see(Some(call.n), || Observation::IpiRequest { server, mfrr: mfrr as u8 });
    }
    status
}

/// H_XIRR: gives XIRR.
pub(super) fn xirr(call: &mut Call) -> i64 {
    let server = call.n as u32;
    let mut value = 0;
    let status = call.with_xics(|xics| {
        value = xics.accept(server);
        status::SUCCESS
    });
    if status == status::SUCCESS {
        call.give(0, value as u64);
        call.machine.see(Some(call.n), || Observation::Accepted(value));
    }
    status
}

/// H_XIRR_X: the same with the time base at which it was accepted.
pub(super) fn xirr_x(call: &mut Call) -> i64 {
    let status = xirr(call);
    if status == status::SUCCESS {
        let board = &call.machine.board;
        let tb = board.cpu[call.n].vcpu.tb(board.clock.at(board.count));
        call.give(1, tb);
    }
    status
}

/// H_EOI: XIRR.
pub(super) fn eoi(call: &mut Call) -> i64 {
    let (server, xirr) = (call.n as u32, call.args[0] as u32);
    let status = call.with_xics(|xics| {
        xics.end_of_interrupt(server, xirr);
        status::SUCCESS
    });
    if status == status::SUCCESS {
        call.machine.see(Some(call.n), || Observation::Ended(xirr));
    }
    status
}

/// H_IPOLL: server; gives XIRR and MFRR.
pub(super) fn ipoll(call: &mut Call) -> i64 {
    let Ok(server) = u32::try_from(call.args[0]) else { return status::PARAMETER };
    let mut found = None;
    let status = call.with_xics(|xics| {
        found = xics.poll(server).ok();
        found.map_or(status::PARAMETER, |_| status::SUCCESS)
    });
    if let Some((xirr, mfrr)) = found {
        call.give(0, xirr as u64);
        call.give(1, mfrr as u64);
    }
    status
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
