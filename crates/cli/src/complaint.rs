//! Exit statuses, and errors as one line that says what is wrong and what to do.

use std::fmt;
use std::process::ExitCode;

/// How the program ends; the numbers are a stable contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Done.
    Done = 0,
    /// The environment, or an input file.
    Environment = 1,
    /// Usage.
    Usage = 2,
    /// The guest did not reach `--until`.
    NotReached = 3,
    /// A replay diverged.
    Diverged = 4,
    /// A corrupt or incompatible recording.
    BadRecording = 5,
    /// The guest is idle forever.
    IdleForever = 6,
    /// The firmware found no kernel.
    NoKernel = 7,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(status as u8)
    }
}

/// An error for the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complaint {
    /// The exit status.
    pub status: Status,
    text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Status {
    /// An error of this status.
    pub fn because(self, text: impl fmt::Display) -> Complaint {
        Complaint { status: self, text: text.to_string() }
    }
}

/// Help and version are shown; a wrong command line is one line.
pub fn of_usage(error: clap::Error) -> Result<Status, Complaint> {
    if !error.use_stderr() {
        error.print().map_err(|error| Status::Environment.because(format!("cannot write: {error}")))?;
        return Ok(Status::Done);
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(Status::Usage.because("no command: see `timebase --help`"));
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    // clap adds usage and hints after the first paragraph.
    let first: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    Err(Status::Usage.because(format!("{}: see `timebase --help`", first.join(" "))))
}
