//! XIVE calls H_INT_* (Linux `Documentation/arch/powerpc/`, QEMU `docs/specs/ppc-spapr-xive.rst`). All answer
//! H_FUNCTION where XICS was chosen.
//!
//! Left out: OS reporting lines, which answer H_FUNCTION as on the peer.

use super::{Call, status};
use timebase_devices::Xive;
use timebase_devices::xive::{QueueConfig, Refused, SourceConfig};
use timebase_memory::Memory;

/// A flag, by its bit.
const fn bit(n: u32) -> u64 {
    1 << (63 - n)
}

const SET_EVENT: u64 = bit(62);
const MASK: u64 = bit(63);
const ALWAYS_NOTIFY: u64 = bit(63);
const DEBUG: u64 = bit(63);
const STORE: u64 = bit(63);

impl Call<'_> {
    /// Runs a call on XIVE, which may have the flags `known`, and gives the values that it gives.
    fn with_xive<const N: usize>(
        &mut self,
        known: u64,
        function: impl FnOnce(&mut Xive, &mut Memory) -> Result<[u64; N], Refused>,
    ) -> i64 {
        let board = &mut self.machine.board;
        let Some(xive) = board.devices.interrupts.xive() else { return status::FUNCTION };
        if self.args[0] & !known != 0 {
            return status::PARAMETER;
        }
        match function(xive, &mut board.memory) {
            Ok(values) => {
                for (k, value) in values.into_iter().enumerate() {
                    self.give(k, value);
                }
                status::SUCCESS
            }
            Err(Refused(1)) => status::PARAMETER,
            // H_P2 is -55, H_P3 -56, and so on.
            Err(Refused(n)) => -53 - n as i64,
        }
    }
}

/// H_INT_GET_SOURCE_INFO: flags, source; gives flags, management page, trigger page, log2 of their size.
pub(super) fn source_info(call: &mut Call) -> i64 {
    let number = call.args[1];
    call.with_xive(0, |xive, _| {
        let info = xive.source_info(number)?;
        Ok([info.flags, info.management, info.trigger, info.shift])
    })
}

/// H_INT_SET_SOURCE_CONFIG: flags, source, server, priority, event.
pub(super) fn set_source_config(call: &mut Call) -> i64 {
    let [flags, number, server, priority, event, ..] = call.args;
    let event = (flags & SET_EVENT != 0).then_some(event);
    let config = SourceConfig { server, priority, event, mask: flags & MASK != 0 };
    call.with_xive(SET_EVENT | MASK, |xive, _| xive.set_source_config(number, config).map(|()| []))
}

/// H_INT_GET_SOURCE_CONFIG: flags, source; gives server, priority, event.
pub(super) fn source_config(call: &mut Call) -> i64 {
    let number = call.args[1];
    call.with_xive(0, |xive, _| {
        let config = xive.source_config(number)?;
        Ok([config.server, config.priority, config.event.unwrap_or(0)])
    })
}

/// H_INT_GET_QUEUE_INFO: flags, server, priority; gives notification page, log2 of the queue's size.
pub(super) fn queue_info(call: &mut Call) -> i64 {
    let [_, server, priority, ..] = call.args;
    call.with_xive(0, |xive, _| xive.queue_info(server, priority).map(|info| [info.page, info.shift]))
}

/// H_INT_SET_QUEUE_CONFIG: flags, server, priority, address, log2 of the size.
pub(super) fn set_queue_config(call: &mut Call) -> i64 {
    let [flags, server, priority, address, shift, ..] = call.args;
    let always_notify = flags & ALWAYS_NOTIFY != 0;
    let config = QueueConfig { always_notify, address, shift, ..QueueConfig::default() };
    call.with_xive(ALWAYS_NOTIFY, |xive, memory| {
        xive.set_queue_config(server, priority, config, memory).map(|()| [])
    })
}

/// H_INT_GET_QUEUE_CONFIG: flags, server, priority; gives flags, address, log2 of the size, offset.
pub(super) fn queue_config(call: &mut Call) -> i64 {
    let [flags, server, priority, ..] = call.args;
    call.with_xive(DEBUG, |xive, _| {
        let config = xive.queue_config(server, priority)?;
        let notify = if config.always_notify { ALWAYS_NOTIFY } else { 0 };
        let (generation, offset) =
            if flags & DEBUG != 0 { ((config.generation as u64) << 1, config.offset) } else { (0, 0) };
        Ok([notify | generation, config.address, config.shift, offset])
    })
}

/// H_INT_SET_OS_REPORTING_LINE, H_INT_GET_OS_REPORTING_LINE.
pub(super) fn no_reporting_line(_: &mut Call) -> i64 {
    status::FUNCTION
}

/// H_INT_ESB: flags, source, offset, data; gives what was loaded.
pub(super) fn manage(call: &mut Call) -> i64 {
    let [flags, number, offset, ..] = call.args;
    call.with_xive(STORE, |xive, memory| {
        xive.manage(number, offset, flags & STORE != 0, memory).map(|value| [value])
    })
}

/// H_INT_SYNC: flags, source.
pub(super) fn sync(call: &mut Call) -> i64 {
    let number = call.args[1];
    call.with_xive(0, |xive, _| xive.sync(number).map(|()| []))
}

/// H_INT_RESET: flags.
pub(super) fn reset(call: &mut Call) -> i64 {
    call.with_xive(0, |xive, _| {
        xive.reset();
        Ok([])
    })
}
