//! Recordings opened for travel, and gdb at them.

use crate::commands::{self, Answer, bad_recording, is_little_endian, open_to_run};
use crate::complaint::{Complaint, Status};
use crate::script::Script;
use crate::world::{Onlooker, Operator};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use timebase_debug::Session;
use timebase_debug::gdb::{Notice, serve as serve_gdb};
use timebase_debug::monitor::show;
use timebase_host::{IdleMode, Keyboard, Progress, Signals, Sleeper};
use timebase_machine::{BoxedMachine, Config, Images, Position};
use timebase_replay::address::Place;
use timebase_replay::index::{self, Index, Unreadable};
use timebase_replay::live::{Live, World};
use timebase_replay::{Ended, Record, Recorder, Recording, Timeline, TravelError};
use timebase_state::Digest;

/// What it takes to begin another recording of the same machine.
struct Origin {
    config: Config,
    schema: Digest,
    interval: u64,
}

/// History opened for travel.
pub struct Opened {
    /// It.
    pub timeline: Timeline,
    origin: Origin,
    /// Where its images come from: the recording, or themselves.
    images: ImageSource,
    /// The byte order of its kernel.
    pub little_endian: bool,
}

enum ImageSource {
    /// The file stays open, so it is there even if it is removed.
    Recording(PathBuf, Box<Recording>),
    Kept(Images),
}

impl ImageSource {
    fn images(&mut self) -> Result<Images, Complaint> {
        match self {
            ImageSource::Kept(images) => Ok(images.clone()),
            ImageSource::Recording(path, recording) => {
                recording.images().map_err(|error| bad_recording(path, error))
            }
        }
    }
}

/// What travel could not do, as an error for the user.
pub fn travelled(error: TravelError) -> Complaint {
    match error {
        TravelError::Diverged(_) => Status::Diverged,
        TravelError::Checkpoint(_) => Status::BadRecording,
        TravelError::Interrupted | TravelError::Write(_) => Status::Environment,
    }
    .because(error)
}

/// Opens the recording at `file`.
pub fn open(file: &Path) -> Result<Opened, Complaint> {
    let Some(commands::Opened { recording, machine, little_endian }) = open_to_run(file)? else {
        return Err(Status::BadRecording
            .because(format!("{} was cut before the first instruction: record again", file.display())));
    };
    let header = recording.header();
    let origin =
        Origin { config: header.config.clone(), schema: header.schema, interval: header.digest_interval };
    let mut timeline = Timeline::new(machine, recording.records().to_vec()).map_err(travelled)?;
    let index = index::path_of(file);
    match Index::open(&index, &recording) {
        Ok(Some(index)) => timeline.use_index(index),
        Ok(None) => {}
        Err(Unreadable(why)) => {
            eprintln!("timebase: {} is of no use ({why}): travelling without", index.display());
        }
    }
    Ok(Opened {
        timeline,
        origin,
        images: ImageSource::Recording(file.into(), Box::new(recording)),
        little_endian,
    })
}

impl Opened {
    /// Goes to a place.
    pub fn go_to(&mut self, place: &Place, signals: &Signals) -> Result<(), Complaint> {
        let position = self.find(place, signals)?;
        self.timeline.seek(position, &mut || signals.caught().is_none()).map_err(travelled)
    }

    /// Where a place is.
    pub fn find(&mut self, place: &Place, signals: &Signals) -> Result<Position, Complaint> {
        let mut patience = || signals.caught().is_none();
        let found = self.timeline.find(place, &mut patience).map_err(travelled)?;
        found.ok_or_else(|| {
            let end = show(self.timeline.end());
            Status::Usage.because(format!("history has no such place: it ends at instruction {end}"))
        })
    }

    /// Begins a recording of what comes after the cursor.
    pub fn begin_branch(&mut self, output: &Path) -> Result<Live, Complaint> {
        begin_branch(&self.origin, &mut self.images, output, self.timeline.past())
    }
}

fn begin_branch(
    origin: &Origin,
    images: &mut ImageSource,
    output: &Path,
    past: &[Record],
) -> Result<Live, Complaint> {
    if let ImageSource::Recording(path, _) = images
        && let (Ok(parent), Ok(child)) = (path.canonicalize(), output.canonicalize())
        && parent == child
    {
        return Err(Status::Usage.because(format!(
            "{}: a branch cannot replace its parent: choose another name",
            output.display()
        )));
    }
    let images = images.images()?;
    let Origin { config, schema, interval } = origin;
    let recorder = Recorder::fork(output, config, &images, *schema, *interval, past)
        .map_err(|error| Status::Environment.because(error))?;
    Ok(Live::journaled(Some(recorder)))
}

/// A guest that runs with nobody at its keyboard; its console is shown.
fn alone(signals: Signals) -> Operator {
    let progress = Progress::new(None, true);
    let script = Script::new(None, Vec::new());
    Operator::new(
        Onlooker::new(script, Keyboard::none(), signals, progress, false),
        Sleeper::new(IdleMode::Skip),
    )
}

/// Debugs a guest at power-on, live.
pub fn live(
    mut machine: BoxedMachine,
    live: Live,
    images: Images,
    operator: Operator,
    address: &str,
    signals: Signals,
) -> Answer {
    let origin = Origin {
        config: machine.config().clone(),
        schema: machine.schema(),
        interval: timebase_replay::DIGEST_INTERVAL,
    };
    let little_endian = is_little_endian(&images);
    let mut timeline = Timeline::new(machine, Vec::new()).map_err(travelled)?;
    timeline.branch(live, Box::new(operator));
    serve(Opened { timeline, origin, images: ImageSource::Kept(images), little_endian }, address, signals)
}

/// Serves gdb until it kills the guest, or a signal ends the program.
pub fn serve(opened: Opened, address: &str, signals: Signals) -> Answer {
    let Opened { timeline, origin, mut images, little_endian } = opened;
    let listener = listen(address)?;
    let port = listener.local_addr().map_err(|error| Status::Environment.because(error))?.port();
    let mut session = Session::new(timeline, little_endian);
    let branch_signals = signals.clone();
    session.brancher = Some(Box::new(move |output: &Path, past: &[Record]| {
        let live =
            begin_branch(&origin, &mut images, output, past).map_err(|complaint| complaint.to_string())?;
        let world: Box<dyn World> = Box::new(alone(branch_signals.clone()));
        Ok((live, world))
    }));
    let (here, end) = (session.timeline.position(), session.timeline.end());
    if session.timeline.is_live() {
        eprintln!("timebase: the guest waits for gdb: target remote :{port}");
    } else {
        eprintln!(
            "timebase: at instruction {} of {}, waiting for gdb: target remote :{port}",
            show(here),
            show(end)
        );
    }
    let notice = move |notice| match notice {
        Notice::Connected => eprintln!("timebase: gdb is connected"),
        Notice::Detached => eprintln!("timebase: gdb detached; it may come back to :{port}"),
        Notice::Vanished => eprintln!("timebase: gdb is gone; it may come back to :{port}"),
        Notice::Refused => eprintln!("timebase: a second gdb was sent away: one at a time"),
        Notice::ReadOnly => eprintln!(
            "timebase: history cannot be changed: `monitor branch FILE` in gdb goes live from here, recorded in FILE"
        ),
        Notice::Broken(why) => eprintln!("timebase: gdb's connection was given up: {why}"),
    };
    serve_gdb(listener, &mut session, Arc::new(notice), &|| signals.caught().is_some());
    if session.timeline.has_live_end() {
        session.timeline.end_live(Ended::Quit).map_err(travelled)?;
    }
    Ok(Status::Done)
}

fn listen(address: &str) -> Result<TcpListener, Complaint> {
    let address = address.strip_prefix("tcp:").unwrap_or(address);
    let address = match address.rsplit_once(':') {
        None => format!("127.0.0.1:{address}"),
        Some(("", port)) => format!("127.0.0.1:{port}"),
        Some(_) => address.into(),
    };
    TcpListener::bind(&address).map_err(|error| {
        Status::Environment
            .because(format!("cannot listen at {address}: {error}: use another --gdb [HOST]:PORT"))
    })
}
