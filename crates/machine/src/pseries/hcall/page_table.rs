//! Hashed page table calls (LoPAR "Hcall Functions for Page Frame Table Access").

use super::{Call, status};
use crate::pseries::HPT_BASE;
use timebase_memory::{Memory, Writer};

/// Flags: bits 24, 26, 32 and 33 as LoPAR numbers them.
const EXACT: u64 = 1 << (63 - 24);
const READ_4: u64 = 1 << (63 - 26);
const AVPN: u64 = 1 << (63 - 32);
const AND_CONDITION: u64 = 1 << (63 - 33);

/// Doubleword 0.
const VALID: u64 = 1;
const LARGE: u64 = 4;
/// Bits of doubleword 0 that the hypervisor keeps for itself: software bits stay the guest's.
const HYPERVISOR: u64 = 0x60;

/// Doubleword 1.
const REFERENCE: u64 = 0x100;
const CHANGE: u64 = 0x80;

/// An entry: its real address.
struct Entry(u64);

impl Entry {
    fn read(&self, memory: &Memory) -> (u64, u64) {
        // The table is attached as long as an index is valid.
        (memory.read_u64(self.0).unwrap_or(0), memory.read_u64(self.0 + 8).unwrap_or(0))
    }
    fn write(&self, memory: &mut Memory, first: u64, second: u64) {
        let _ = memory.store_u64(self.0 + 8, second, Writer::Other);
        let _ = memory.store_u64(self.0, first, Writer::Other);
    }
}

impl Call<'_> {
    /// Entries of the table.
    fn entries(&self) -> u64 {
        match self.machine.board.cpu[self.n].vcpu.partition.hpt_shift {
            0 => 0,
            shift => 1 << (shift - 4),
        }
    }

    fn entry(&self, index: u64) -> Option<Entry> {
        (index < self.entries()).then(|| Entry(HPT_BASE + 16 * index))
    }
}

/// The page size that an entry claims must be one that exists, and its real address aligned to it.
fn page_shift(first: u64, second: u64) -> Option<u32> {
    if first & LARGE == 0 {
        return Some(12);
    }
    match second >> 12 & 0xff {
        lp if lp & 0x0f == 1 => Some(16),
        lp if lp & 0x0f == 7 => Some(16),
        0 | 0x08 | 0x38 => Some(24),
        _ => None,
    }
}

/// H_ENTER: flags, index, both doublewords; gives the index.
pub(super) fn enter(call: &mut Call) -> i64 {
    let [flags, index, first, second, ..] = call.args;
    let Some(shift) = page_shift(first, second) else { return status::PARAMETER };
    let real = second & 0x0fff_ffff_ffff_f000 & !((1 << shift) - 1);
    let inside = real < call.machine.board.memory.bytes();
    // Caching inhibited where there is memory, or not where there is none, is refused.
    let inhibited = second & 0x20 != 0;
    if inside == inhibited && !inside {
        return status::PARAMETER;
    }
    let first = first & !HYPERVISOR;
    let start = if flags & EXACT != 0 { index } else { index & !7 };
    let last = if flags & EXACT != 0 { index } else { index | 7 };
    if call.entry(last).is_none() {
        return status::PARAMETER;
    }
    for index in start..=last {
        let Some(entry) = call.entry(index) else { return status::PARAMETER };
        let memory = &mut call.machine.board.memory;
        if entry.read(memory).0 & VALID == 0 {
            entry.write(memory, first, second);
            call.give(0, index);
            return status::SUCCESS;
        }
    }
    status::PTEG_FULL
}

/// The flags' conditions on the entry hold.
fn matches(flags: u64, first: u64, avpn: u64) -> bool {
    !(first & VALID == 0
        || flags & AVPN != 0 && first & !0x7f != avpn & !0x7f
        || flags & AND_CONDITION != 0 && first & avpn != 0)
}

/// Removes an entry: status, and both doublewords as they were.
fn remove_one(call: &mut Call, flags: u64, index: u64, avpn: u64) -> Result<(u64, u64), i64> {
    let entry = call.entry(index).ok_or(status::PARAMETER)?;
    let memory = &mut call.machine.board.memory;
    let (first, second) = entry.read(memory);
    if !matches(flags, first, avpn) {
        return Err(status::NOT_FOUND);
    }
    entry.write(memory, 0, 0);
    Ok((first, second))
}

/// H_REMOVE: flags, index, AVPN; gives both doublewords.
pub(super) fn remove(call: &mut Call) -> i64 {
    let [flags, index, avpn, ..] = call.args;
    match remove_one(call, flags, index, avpn) {
        Ok((first, second)) => {
            call.give(0, first);
            call.give(1, second);
            status::SUCCESS
        }
        Err(status) => status,
    }
}

/// H_BULK_REMOVE: up to four pairs of a request and an AVPN (LoPAR "H_BULK_REMOVE").
pub(super) fn bulk_remove(call: &mut Call) -> i64 {
    const REQUEST: u64 = 0x4000_0000_0000_0000;
    const RESPONSE: u64 = 0x8000_0000_0000_0000;
    const END: u64 = 0xc000_0000_0000_0000;
    for k in 0..4 {
        let (request, avpn) = (call.args[2 * k], call.args[2 * k + 1]);
        match request & END {
            END => break,
            REQUEST => {}
            _ => return status::PARAMETER,
        }
        let mut response = request & 0x00ff_ffff_ffff_ffff | RESPONSE;
        if request & 0x0300_0000_0000_0000 == 0x0300_0000_0000_0000 {
            call.give(2 * k, response | 3 << 60);
            return status::PARAMETER;
        }
        // Bits 6 and 7 of a request are AVPN and AND condition.
        let flags = request >> 26 & (AVPN | AND_CONDITION);
        match remove_one(call, flags, request & 0x00ff_ffff_ffff_ffff, avpn) {
            Ok((_, second)) => response |= (second & (REFERENCE | CHANGE)) << 51 & 0x0c00_0000_0000_0000,
            Err(status::NOT_FOUND) => response |= 1 << 60,
            Err(status) => {
                call.give(2 * k, response | 2 << 60);
                return status;
            }
        }
        call.give(2 * k, response);
    }
    status::SUCCESS
}

/// H_PROTECT: flags (new pp, N, key), index, AVPN.
pub(super) fn protect(call: &mut Call) -> i64 {
    let [flags, index, avpn, ..] = call.args;
    let Some(entry) = call.entry(index) else { return status::PARAMETER };
    let memory = &mut call.machine.board.memory;
    let (first, second) = entry.read(memory);
    if !matches(flags, first, avpn) {
        return status::NOT_FOUND;
    }
    // pp0, key high, pp, N, key low.
    const CHANGED: u64 = 1 << 63 | 3 << 60 | 3 | 4 | 0xe00;
    let new = flags << 55 & 1 << 63 | flags << 48 & 3 << 60 | flags & (3 | 4 | 0xe00);
    entry.write(memory, first, second & !CHANGED | new);
    status::SUCCESS
}

/// H_READ: flags, index; gives one entry or four.
pub(super) fn read(call: &mut Call) -> i64 {
    let [flags, index, ..] = call.args;
    let (start, count) = if flags & READ_4 != 0 { (index & !3, 4) } else { (index, 1) };
    for k in 0..count {
        let Some(entry) = call.entry(start + k) else { return status::PARAMETER };
        let (first, second) = entry.read(&call.machine.board.memory);
        call.give(2 * k as usize, first);
        call.give(2 * k as usize + 1, second);
    }
    status::SUCCESS
}

/// Clears a bit of doubleword 1; gives the old doubleword.
fn clear(call: &mut Call, bit: u64) -> i64 {
    let [flags, index, avpn, ..] = call.args;
    let Some(entry) = call.entry(index) else { return status::PARAMETER };
    let memory = &mut call.machine.board.memory;
    let (first, second) = entry.read(memory);
    if !matches(flags, first, avpn) {
        return status::NOT_FOUND;
    }
    entry.write(memory, first, second & !bit);
    call.give(0, second);
    status::SUCCESS
}

/// H_CLEAR_MOD.
pub(super) fn clear_modified(call: &mut Call) -> i64 {
    clear(call, CHANGE)
}

/// H_CLEAR_REF.
pub(super) fn clear_referenced(call: &mut Call) -> i64 {
    clear(call, REFERENCE)
}
