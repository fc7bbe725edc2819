//! Virtual terminal `vty` of type `hvterm1` (LoPAR, "Virtual Terminal (Vterm)"): H_PUT_TERM_CHAR, H_GET_TERM_CHAR.
//!
//! It interrupts as long as there is input. LoPAR has H_VIO_SIGNAL enable that; Linux waits for interrupts without
//! asking for them, so they are enabled until a guest says otherwise, as on the peer.

use alloc::{collections::VecDeque, vec::Vec};
use timebase_state::State;

/// Input bytes that are kept at most; what comes beyond waits outside.
pub const INPUT_MAX: usize = 64 * 1024;

/// A terminal.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
pub struct Vty {
    input: VecDeque<u8>,
    /// Input interrupts.
    signal: bool,
}

impl Vty {
    /// Power-on state.
    pub fn cold() -> Vty {
        Vty { input: VecDeque::new(), signal: true }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_interrupts_until_all_is_read_unless_told_not_to() {
        let mut vty = Vty::cold();
        assert!(!vty.line());
        assert_eq!(vty.type_in(b"an entire sentence"), 18);
        assert!(vty.line());
        assert_eq!(vty.get(), b"an entire senten");
        assert!(vty.line());
        vty.set_signal(false);
        assert!(!vty.line());
        vty.set_signal(true);
        assert_eq!(vty.get(), b"ce");
        assert!(!vty.line());
        assert_eq!(vty.get(), b"");
    }

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let mut vty = Vty::cold();
        assert_eq!(vty.type_in(&[0; INPUT_MAX - 1]), INPUT_MAX - 1);
        assert_eq!(vty.type_in(b"ab"), 1);
        assert_eq!(vty.type_in(b"b"), 0);
    }
}
