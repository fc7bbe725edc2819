//! Calls that set modes and register areas: H_SET_MODE, H_REGISTER_PROC_TBL, H_REGISTER_VPA, H_SET_SPRG0,
//! H_SET_DABR.

use super::{Call, status};
use crate::pseries::GUEST_ADDRESS;
use timebase_cpu::bits::lpcr;
use timebase_cpu::{Model, Partition, Sprs};

/// H_SET_MODE: flags, resource, value 1, value 2.
pub(super) fn set_mode(call: &mut Call) -> i64 {
    let [flags, resource, value1, value2, ..] = call.args;
    match resource {
        1 => completed_breakpoint(call, value1, value2, flags),
        2 => watchpoint(call, value1, value2, flags, |spr| (&mut spr.dawr0, &mut spr.dawrx0)),
        5 if call.model() == Model::Power10 => {
            watchpoint(call, value1, value2, flags, |spr| (&mut spr.dawr1, &mut spr.dawrx1))
        }
        3 => interrupt_location(call, flags, value1, value2),
        4 => endianness(call, flags, value1, value2),
        _ => status::P2,
    }
}

/// Changes LPCR of all vCPUs.
fn change_lpcr(call: &mut Call, mask: u64, value: u64) {
    for slot in &mut call.machine.board.cpu {
        slot.vcpu.spr.lpcr = slot.vcpu.spr.lpcr & !mask | value & mask;
    }
}

/// CIABR.
fn completed_breakpoint(call: &mut Call, value1: u64, value2: u64, flags: u64) -> i64 {
    if flags != 0 {
        return status::UNSUPPORTED_FLAG;
    }
    // Mode 3 (hypervisor) is not the guest's to set.
    if value2 != 0 || value1 & 3 == 3 {
        return if value2 != 0 { status::P4 } else { status::P3 };
    }
    call.machine.board.cpu[call.n].vcpu.spr.ciabr = value1;
    status::SUCCESS
}

/// A DAWR and its DAWRX.
fn watchpoint(
    call: &mut Call,
    value1: u64,
    value2: u64,
    flags: u64,
    registers: fn(&mut Sprs) -> (&mut u64, &mut u64),
) -> i64 {
    if flags != 0 {
        return status::UNSUPPORTED_FLAG;
    }
    // Bit 61: hypervisor accesses.
    if value2 & 4 != 0 {
        return status::P4;
    }
    let (dawr, dawrx) = registers(&mut call.machine.board.cpu[call.n].vcpu.spr);
    (*dawr, *dawrx) = (value1 & !7, value2 & 0xffff_ffff);
    status::SUCCESS
}

/// Alternate interrupt location.
fn interrupt_location(call: &mut Call, flags: u64, value1: u64, value2: u64) -> i64 {
    if value1 != 0 || value2 != 0 {
        return if value1 != 0 { status::P3 } else { status::P4 };
    }
    // ISA 3.1 has no interrupt location 2.
    let known = matches!(flags, 0 | 3) || flags == 2 && call.model() == Model::Power9;
    if !known {
        return status::UNSUPPORTED_FLAG;
    }
    change_lpcr(call, lpcr::AIL, flags << lpcr::AIL_SHIFT);
    status::SUCCESS
}

/// Byte order of interrupt handlers: 0 big, 1 little.
fn endianness(call: &mut Call, flags: u64, value1: u64, value2: u64) -> i64 {
    if value1 != 0 || value2 != 0 {
        return if value1 != 0 { status::P3 } else { status::P4 };
    }
    if flags > 1 {
        return status::UNSUPPORTED_FLAG;
    }
    change_lpcr(call, lpcr::ILE, if flags == 1 { lpcr::ILE } else { 0 });
    status::SUCCESS
}

/// H_REGISTER_PROC_TBL: flags, base, page size, table size.
pub(super) fn register_process_table(call: &mut Call) -> i64 {
    let [flags, base, page_size, table_size, ..] = call.args;
    const NEW: u64 = 0x18;
    const REGISTER: u64 = 0x08;
    const RADIX: u64 = 0x04;
    const GTSE: u64 = 0x01;
    if flags & !0x1f != 0 {
        return status::PARAMETER;
    }
    let old = call.machine.board.cpu[call.n].vcpu.partition;
    let (mut new, radix) = (old, if flags & REGISTER != 0 { flags & RADIX != 0 } else { old.radix });
    if flags & NEW == NEW {
        if radix && base & 0xfff != 0 {
            return status::P2;
        }
        if radix && page_size != 0 {
            return status::P3;
        }
        if table_size > 24 {
            return status::P4;
        }
        if radix {
            new = Partition { process_table: base, process_table_bytes: 1 << (table_size + 12), ..old };
        }
    } else if flags & NEW == 0x10 || flags & REGISTER == 0 {
        new = Partition { process_table: 0, process_table_bytes: 0, ..old };
    }
    new.radix = radix;
    let gtse = flags & GTSE != 0;
    for slot in &mut call.machine.board.cpu {
        slot.vcpu.partition = new;
        let lpcr = &mut slot.vcpu.spr.lpcr;
        *lpcr &= !(lpcr::UPRT | lpcr::HR | lpcr::GTSE);
        if radix {
            *lpcr |= lpcr::UPRT | lpcr::HR;
        }
        if gtse {
            *lpcr |= lpcr::GTSE;
        }
    }
    call.machine.forget_translations();
    status::SUCCESS
}

/// H_REGISTER_VPA: flags (function in bits 16:18), vCPU, address. The areas are kept and never written: no vCPU of
/// this machine is dispatched away from behind the guest's back.
pub(super) fn register_vpa(call: &mut Call) -> i64 {
    let [flags, server, address, ..] = call.args;
    let address = address & GUEST_ADDRESS;
    let memory_bytes = call.machine.board.memory.bytes();
    let length = call.machine.board.memory.read_u32(address.wrapping_add(4));
    let Some(slot) = call.machine.board.cpu.get_mut(server as usize) else { return status::PARAMETER };
    let function = flags >> 45 & 7;
    let registering = matches!(function, 1..=3);
    if registering && (!address.is_multiple_of(128) || address >= memory_bytes) {
        return status::PARAMETER;
    }
    // The VPA holds its length as a halfword at byte 4, the other areas as a word there.
    let length = length.unwrap_or(0) as u64;
    match function {
        1 => {
            if length >> 16 < 640 {
                return status::PARAMETER;
            }
            slot.vpa = address;
        }
        2 => slot.dispatch_log = (address, length),
        3 => slot.slb_shadow = (address, length),
        5 => {
            if slot.slb_shadow.0 != 0 || slot.dispatch_log.0 != 0 {
                return status::RESOURCE;
            }
            slot.vpa = 0;
        }
        6 => slot.dispatch_log = (0, 0),
        7 => slot.slb_shadow = (0, 0),
        _ => return status::PARAMETER,
    }
    status::SUCCESS
}

/// H_SET_SPRG0.
pub(super) fn set_sprg0(call: &mut Call) -> i64 {
    call.machine.board.cpu[call.n].vcpu.spr.sprg0 = call.args[0];
    status::SUCCESS
}

/// H_SET_DABR: POWER9 and POWER10 have DAWR instead, which H_SET_MODE sets.
pub(super) fn set_dabr(_: &mut Call) -> i64 {
    status::HARDWARE
}

/// H_SET_XDABR.
pub(super) fn set_xdabr(_: &mut Call) -> i64 {
    status::HARDWARE
}
