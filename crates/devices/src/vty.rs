//! Virtual terminal `vty` of type `hvterm1` (LoPAR, "Virtual Terminal (Vterm)"): H_PUT_TERM_CHAR, H_GET_TERM_CHAR.

use alloc::{collections::VecDeque, vec::Vec};
use timebase_state::State;

/// Input bytes that are kept at most; what comes beyond waits outside.
pub const INPUT_MAX: usize = 64 * 1024;

/// A terminal.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub struct Vty {
    input: VecDeque<u8>,
    /// H_VIO_SIGNAL has enabled the interrupt.
    signal: bool,
}

impl Vty {
    /// Power-on state.
    pub fn cold() -> Vty {
        Vty::default()
    }

    /// Typed bytes arrive. Returns how many fit.
    pub fn type_in(&mut self, bytes: &[u8]) -> usize {
        let fits = bytes.len().min(INPUT_MAX - self.input.len().min(INPUT_MAX));
        self.input.extend(&bytes[..fits]);
        fits
    }

    /// H_GET_TERM_CHAR: up to 16 bytes.
    pub fn get(&mut self) -> Vec<u8> {
        let n = self.input.len().min(16);
        self.input.drain(..n).collect()
    }

    /// H_VIO_SIGNAL: interrupts on input, or not.
    pub fn set_signal(&mut self, on: bool) {
        self.signal = on;
    }

    /// Its interrupt line.
    pub fn line(&self) -> bool {
        self.signal && !self.input.is_empty()
    }
}
