//! Virtual terminal calls (LoPAR "Virtual Terminal (Vterm)").

use super::{Call, status};
use crate::chassis::CONSOLE;
use crate::pseries::describe::VTY;

/// Unit address 0 means the console, as early boot code uses it.
fn is_console(unit: u64) -> bool {
    unit == 0 || unit == VTY as u64
}

/// H_PUT_TERM_CHAR: unit, length, 16 bytes.
pub(super) fn put_term_char(call: &mut Call) -> i64 {
    let [unit, length, high, low, ..] = call.args;
    if !is_console(unit) || length > 16 {
        return status::PARAMETER;
    }
    let bytes = ((high as u128) << 64 | low as u128).to_be_bytes();
    if length != 0 {
        call.machine.emit(CONSOLE, &bytes[..length as usize]);
    }
    status::SUCCESS
}

/// H_GET_TERM_CHAR: unit; gives length and up to 16 bytes.
pub(super) fn get_term_char(call: &mut Call) -> i64 {
    if !is_console(call.args[0]) {
        return status::PARAMETER;
    }
    let typed = call.machine.board.devices.vty.get();
    let mut bytes = [0; 16];
    bytes[..typed.len()].copy_from_slice(&typed);
    let value = u128::from_be_bytes(bytes);
    call.give(0, typed.len() as u64);
    call.give(1, (value >> 64) as u64);
    call.give(2, value as u64);
    status::SUCCESS
}
