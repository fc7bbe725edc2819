//! Calls on memory: H_PAGE_INIT, H_LOGICAL_CI_LOAD/STORE, and the private 0xf000 family.

use super::{Call, status};
use crate::pseries::GUEST_ADDRESS;
use alloc::vec;
use timebase_memory::{PAGE, Writer};

/// Calls about caches that do not exist, or that the guest's own instructions do.
pub(super) fn nothing(_: &mut Call) -> i64 {
    status::SUCCESS
}

/// H_PAGE_INIT: flags, destination, source: zeroes or copies a page of 4 KiB.
pub(super) fn page_init(call: &mut Call) -> i64 {
    const ZERO: u64 = 1 << (63 - 48);
    const COPY: u64 = 1 << (63 - 49);
    // Bits 40 and 41: the instruction cache is to follow, as it does anyhow.
    const KNOWN: u64 = ZERO | COPY | 1 << (63 - 40) | 1 << (63 - 41);
    let [flags, destination, source, ..] = call.args;
    if flags & !KNOWN != 0 {
        return status::PARAMETER;
    }
    let memory = &mut call.machine.board.memory;
    if destination % PAGE != 0 || destination >= memory.bytes() {
        return status::PARAMETER;
    }
    if flags & COPY != 0 {
        let mut page = [0; PAGE as usize];
        if source % PAGE != 0 || source >= memory.bytes() || memory.read(source, &mut page).is_err() {
            return status::PARAMETER;
        }
        let _ = memory.store(destination, &page, Writer::Other);
    } else if flags & ZERO != 0 {
        let _ = memory.zero(destination, PAGE, Writer::Other);
    }
    status::SUCCESS
}

fn naturally_aligned(size: u64, address: u64) -> bool {
    matches!(size, 1 | 2 | 4 | 8) && address.is_multiple_of(size)
}

/// H_LOGICAL_CI_LOAD: size, address.
pub(super) fn logical_ci_load(call: &mut Call) -> i64 {
    let [size, address, ..] = call.args;
    let address = address & GUEST_ADDRESS;
    if !naturally_aligned(size, address) {
        return status::PARAMETER;
    }
    let board = &mut call.machine.board;
    let mut bytes = [0; 8];
    let value = if board.memory.read(address, &mut bytes[8 - size as usize..]).is_ok() {
        u64::from_be_bytes(bytes)
    } else {
        let now = board.clock.at(board.count);
        use timebase_cpu::Bus;
        match board.devices.load(call.n as u32, address, size as u8, now, &mut board.memory) {
            Ok(value) => value,
            Err(_) => return status::PARAMETER,
        }
    };
    call.give(0, value);
    status::SUCCESS
}

/// H_LOGICAL_CI_STORE: size, address, value.
pub(super) fn logical_ci_store(call: &mut Call) -> i64 {
    let [size, address, value, ..] = call.args;
    let address = address & GUEST_ADDRESS;
    if !naturally_aligned(size, address) {
        return status::PARAMETER;
    }
    let board = &mut call.machine.board;
    let bytes = value.to_be_bytes();
    if board.memory.store(address, &bytes[8 - size as usize..], Writer::Other).is_err() {
        let now = board.clock.at(board.count);
        use timebase_cpu::Bus;
        if board.devices.store(call.n as u32, address, size as u8, value, now, &mut board.memory).is_err() {
            return status::PARAMETER;
        }
    }
    status::SUCCESS
}

/// 0xf001: destination, source, log2 of element size, count, operation (0 copy, 1 exclusive or with ones).
pub(super) fn logical_memop(call: &mut Call) -> i64 {
    let [destination, source, shift, count, operation, ..] = call.args;
    let (destination, source) = (destination & GUEST_ADDRESS, source & GUEST_ADDRESS);
    if shift > 3 || operation > 1 {
        return status::PARAMETER;
    }
    let Some(bytes) = count.checked_mul(1 << shift).filter(|&n| n <= 1 << 28) else {
        return status::PARAMETER;
    };
    let mut buffer = vec![0; bytes as usize];
    let memory = &mut call.machine.board.memory;
    if memory.read(source, &mut buffer).is_err() {
        return status::PARAMETER;
    }
    if operation == 1 {
        buffer.iter_mut().for_each(|byte| *byte = !*byte);
    }
    match memory.store(destination, &buffer, Writer::Other) {
        Ok(()) => status::SUCCESS,
        Err(_) => status::PARAMETER,
    }
}

/// 0xf002: client architecture support for firmware in the guest: vectors at r4; the new tree goes to r5 (r6 bytes).
pub(super) fn client_architecture_support(call: &mut Call) -> i64 {
    let [vectors, buffer, size, ..] = call.args;
    let (vectors, buffer) = (vectors & GUEST_ADDRESS, buffer & GUEST_ADDRESS);
    let board = &mut call.machine.board;
    if !board.client_architecture_support(vectors) {
        return status::PARAMETER;
    }
    let flat = board.tree.flatten(&[]);
    // A word with the version of the format comes first.
    if flat.len() as u64 + 4 > size {
        return status::PARAMETER;
    }
    let stored = board.memory.store_u32(buffer, 1, Writer::Other).is_ok()
        && board.memory.store(buffer.wrapping_add(4), &flat, Writer::Other).is_ok();
    if stored { status::SUCCESS } else { status::PARAMETER }
}

/// 0xf003: firmware in the guest gives its tree; this machine does not need it.
pub(super) fn update_device_tree(call: &mut Call) -> i64 {
    match call.machine.board.memory.read_u32(call.args[0] & GUEST_ADDRESS) {
        Ok(0xd00d_feed) => status::SUCCESS,
        _ => status::PARAMETER,
    }
}
