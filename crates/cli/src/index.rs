//! `timebase index`.

use crate::args;
use crate::commands::{Answer, catch_signals, nothing_to_replay, open_to_run};
use crate::complaint::Status;
use crate::script::Script;
use crate::world::Onlooker;
use std::io::{IsTerminal, stderr};
use timebase_host::{Keyboard, Progress};
use timebase_replay::index::{Built, IndexError, build, path_of};

/// Makes the checkpoints of a recording.
pub fn index(index: args::Index) -> Answer {
    let args::Index { file, size, quiet } = index;
    let Some(mut opened) = open_to_run(&file)? else { return Ok(nothing_to_replay(&file, quiet)) };
    let progress = Progress::new(Some(opened.recording.known().count), quiet || !stderr().is_terminal());
    let mut onlooker =
        Onlooker::new(Script::new(None, Vec::new()), Keyboard::none(), catch_signals()?, progress, true);
    let path = path_of(&file);
    let built = build(&mut *opened.machine, &opened.recording, &path, size, &mut onlooker);
    onlooker.leave();
    let Built { checkpoints, bytes, gap, instructions } = built.map_err(|error| {
        let status = match error {
            IndexError::Diverged(_) => Status::Diverged,
            IndexError::Write(..) | IndexError::Read(..) | IndexError::Interrupted => Status::Environment,
        };
        status.because(format!("{}: {error}", file.display()))
    })?;
    if !quiet {
        let megabytes = bytes.div_ceil(1 << 20);
        eprintln!(
            "timebase: {}: {checkpoints} checkpoints of {instructions} instructions, at most {gap} apart, \
             {megabytes} MiB",
            path.display()
        );
    }
    Ok(Status::Done)
}
