//! The guests whose images are committed: rebuilt from their sources.

use crate::{Outcome, run};

/// Those of one source in C: folder, name, source.
const ELF: [[&str; 3]; 2] = [["guests/race", "race", "main"], ["crates/cli/tests/guests", "echo", "echo"]];
/// Those of one source of assembly, linked at 0.
const FLAT: [&str; 4] = ["latches", "big-endian", "differential", "partition"];

/// Builds them, or with `check` compares what their sources make with the committed images.
pub fn build(check: bool) -> Outcome {
    let check: &[&str] = if check { &["--check"] } else { &[] };
    for guest in ELF {
        run("bash", &[&["guests/elf.sh"], &guest[..], check].concat())?;
    }
    for guest in FLAT {
        run("bash", &[&["guests/flat.sh", guest], check].concat())?;
    }
    Ok(())
}
