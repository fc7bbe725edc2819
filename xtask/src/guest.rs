//! The embedded guest: rebuilt from its sources.

use crate::{Outcome, run};

/// Builds it, or with `check` compares what its sources make with the committed image.
pub fn build(check: bool) -> Outcome {
    let arguments: &[&str] =
        if check { &["guests/race/build.sh", "--check"] } else { &["guests/race/build.sh"] };
    run("bash", arguments)
}
