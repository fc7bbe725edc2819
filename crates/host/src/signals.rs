//! Signals that ask the program to end: it does so between two instructions, with a complete recording.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Catches SIGINT, SIGTERM and SIGHUP from now on.
#[derive(Clone)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Begins to catch them.
    pub fn catch() -> io::Result<Signals> {
        let got = Arc::new(AtomicUsize::new(0));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register_usize(signal, Arc::clone(&got), signal as usize)?;
        }
        Ok(Signals(got))
    }

    /// The number of the latest signal, if there was one.
    pub fn caught(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal as i32),
        }
    }
}
