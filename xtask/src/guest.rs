//! The guests whose images are committed: rebuilt from their sources.

use crate::{Outcome, run};

const GUESTS: [&str; 5] = ["race", "latches", "big-endian", "differential", "partition"];

/// Builds them, or with `check` compares what their sources make with the committed images.
pub fn build(check: bool) -> Outcome {
    for guest in GUESTS {
        let script = format!("guests/{guest}/build.sh");
        let arguments: &[&str] = if check { &[&script, "--check"] } else { &[&script] };
        run("bash", arguments)?;
    }
    Ok(())
}
