//! `timebase verify` and `timebase compare`: does history agree, and if not, where does it part and why?

use crate::args;
use crate::commands::{
    Answer, Opened, bad_recording, build, catch_signals, nothing_to_replay, open_to_run, print, print_json,
};
use crate::complaint::{Complaint, Status};
use crate::debugger::travelled;
use crate::disasm::{decoder_of, instruction};
use crate::script::Script;
use crate::world::Onlooker;
use serde::Serialize;
use std::io::{IsTerminal, stderr};
use std::path::Path;
use timebase_host::{Keyboard, Progress, Signals, parallel};
use timebase_isa::Decoder;
use timebase_machine::{BoxedMachine, Images};
use timebase_replay::divergence::{Field, Finding, Step};
use timebase_replay::index::{Index, path_of};
use timebase_replay::verify::{
    CheckError, Checked, Comparison, Explanation, Mismatch, Piece, PieceEnd, Trial, check, compare, explain,
    history_of, pieces,
};
use timebase_replay::{Ended, Header, Recording, Timeline};
use timebase_state::Snapshot;

/// `verify --json`; the field names are a stable contract.
#[derive(Serialize)]
struct Verified {
    ok: bool,
    complete: bool,
    instructions: u64,
    digests_compared: u64,
    digest: Option<String>,
    ended: Option<String>,
    divergence: Option<Diverged>,
}

#[derive(Serialize)]
struct Diverged {
    instruction: u64,
    sequence: u32,
    agreed_up_to: u64,
    expected: String,
    found: String,
    explanation: Option<Explanation>,
}

/// What all pieces came to.
struct Sum {
    agreed: u64,
    end: Option<PieceEnd>,
    mismatch: Option<(Piece, Mismatch)>,
}

/// Into how many pieces a recording of so many instructions is cut. Each begins with nothing compiled, which takes as long
/// as a few hundred million instructions; where that does not matter there are more pieces than jobs, so that all are busy
/// to the end.
fn pieces_for(jobs: usize, instructions: u64) -> u64 {
    const WORTH_IT: u64 = 5_000_000_000;
    let jobs = jobs as u64;
    if jobs > 1 { (instructions / WORTH_IT).clamp(jobs, 4 * jobs) } else { 1 }
}

/// Checks a recording.
pub fn verify(verify: args::Verify) -> Answer {
    let args::Verify { file, jobs, json } = verify;
    let Some(opened) = open_to_run(&file)? else {
        let nothing = Verified {
            ok: true,
            complete: false,
            instructions: 0,
            digests_compared: 0,
            digest: None,
            ended: None,
            divergence: None,
        };
        return if json { print_json(&nothing) } else { Ok(nothing_to_replay(&file, false)) };
    };
    let signals = catch_signals()?;
    let images = Recording::open(&file).and_then(|mut recording| recording.images());
    let images = images.map_err(|error| bad_recording(&file, error))?;
    let recording = opened.recording;
    let sum = check_all(&recording, &images, &file, jobs, &signals)?;
    let complete = recording.cut_at().is_none();
    let Some((piece, mismatch)) = sum.mismatch else {
        return tell_agreement(&file, &recording, sum.agreed, sum.end, json);
    };
    let index = Index::open(&path_of(&file), &recording).ok().flatten();
    if stderr().is_terminal() {
        eprintln!("timebase: {}: {mismatch}; looking for the first instruction ...", file.display());
    }
    let mut patience = || signals.caught().is_none();
    let make = |trial| make(&recording, &images, trial);
    let explanation = explain(&make, recording.records(), index, piece, &mismatch, &mut patience);
    let explanation = explanation.inspect_err(|error| eprintln!("timebase: no explanation: {error}")).ok();
    if json {
        let (agreed_up_to, expected, found) = match &mismatch {
            Mismatch::Replay(d) => (d.good, d.expected.clone(), d.found.clone()),
            Mismatch::Checkpoint { .. } => {
                (piece.start.count, "the state of the checkpoint".into(), "another state".into())
            }
        };
        let at = mismatch.at();
        print_json(&Verified {
            ok: false,
            complete,
            instructions: agreed_up_to,
            digests_compared: sum.agreed,
            digest: None,
            ended: None,
            divergence: Some(Diverged {
                instruction: at.count,
                sequence: at.sequence,
                agreed_up_to,
                expected,
                found,
                explanation,
            }),
        })?;
    } else if let Some(explanation) = &explanation {
        print(&Teller::new(&recording).tell(explanation))?;
    }
    Err(Status::Diverged.because(format!("{}: {mismatch}", file.display())))
}

fn make(recording: &Recording, images: &Images, _: Trial) -> Result<BoxedMachine, String> {
    build(&recording.header().config, images).map_err(|complaint| complaint.to_string())
}

/// What a thread checks with.
struct Bench {
    machine: BoxedMachine,
    /// The machine at power-on.
    cold: Snapshot,
    index: Option<Index>,
}

impl Bench {
    fn new(recording: &Recording, images: &Images, index: Option<Index>) -> Result<Bench, String> {
        let mut machine = make(recording, images, Trial::Checked)?;
        Ok(Bench { cold: machine.snapshot(), machine, index })
    }
}

/// Checks all pieces, on several threads if there are checkpoints.
fn check_all(
    recording: &Recording,
    images: &Images,
    file: &Path,
    jobs: Option<usize>,
    signals: &Signals,
) -> Result<Sum, Complaint> {
    let jobs = jobs.unwrap_or_else(parallel::cores).max(1);
    let open_index = || Index::open(&path_of(file), recording).ok().flatten();
    let index = open_index().filter(|_| jobs > 1);
    let pieces = pieces(index.as_ref(), recording.known(), pieces_for(jobs, recording.known().count));
    let begin = || Bench::new(recording, images, open_index());
    let work = |bench: &mut Result<Bench, String>, piece: &Piece| {
        let bench = bench.as_mut().map_err(|why| CheckError::Machine(why.clone()))?;
        if piece.from.is_none() {
            // Of a machine that ran, only a checkpoint makes another.
            bench.machine = make(recording, images, Trial::Checked).map_err(CheckError::Machine)?;
        }
        let Bench { machine, cold, index } = bench;
        let progress = Progress::new(None, true);
        let mut onlooker =
            Onlooker::new(Script::new(None, Vec::new()), Keyboard::none(), signals.clone(), progress, true);
        check(&mut **machine, cold, recording.records(), index.as_mut(), *piece, &mut onlooker)
    };
    let mut sum = Sum { agreed: 0, end: None, mismatch: None };
    for (piece, result) in pieces.iter().zip(parallel::each(jobs, &pieces, begin, work)) {
        match result.map_err(|error| Status::Environment.because(error))? {
            Ok(Checked { agreed, end }) => {
                sum.agreed += agreed;
                sum.end = end.or(sum.end);
            }
            // The first one tells what is wrong.
            Err(mismatch) => {
                sum.mismatch = Some((*piece, mismatch));
                break;
            }
        }
    }
    Ok(sum)
}

fn tell_agreement(
    file: &Path,
    recording: &Recording,
    agreed: u64,
    end: Option<PieceEnd>,
    json: bool,
) -> Answer {
    let instructions = recording.known().count;
    if json {
        let digest = end.as_ref().map(|end| end.digest.to_string());
        let ended = end.map(|end| end.recorded.unwrap_or_else(|| end.ended.name().into()));
        return print_json(&Verified {
            ok: true,
            complete: recording.cut_at().is_none(),
            instructions,
            digests_compared: agreed,
            digest,
            ended,
            divergence: None,
        });
    }
    if end.is_some_and(|end| end.ended == Ended::Cut) {
        eprintln!("timebase: {}", crate::commands::cut_notice(file, recording));
    }
    print(&format!("{}: {instructions} instructions, all {agreed} digests agree\n", file.display()))
}

/// Compares two recordings of one start.
pub fn compare_two(arguments: args::Compare) -> Answer {
    let args::Compare { left, right, json } = arguments;
    let signals = catch_signals()?;
    let ((mut a, start), (mut b, other)) = (open_history(&left)?, open_history(&right)?);
    if let Some(differs) = start_differs(&start, &other) {
        return Err(Status::Usage.because(format!(
            "{} and {} do not start alike: {differs}: compare recordings of one machine with the same images",
            left.display(),
            right.display()
        )));
    }
    let mut patience = || signals.caught().is_none();
    let comparison = compare(&mut a, &mut b, &mut patience).map_err(travelled)?;
    if json {
        print_json(&comparison)?;
    }
    let (left, right) = (left.display(), right.display());
    match comparison {
        Comparison::Parted(finding) => {
            if !json {
                let teller = Teller { decoder: decoder_of(&start.config.cpu) };
                print(&teller.finding(&finding, ["left", "right"]))?;
            }
            let at = finding.instruction;
            Err(Status::Diverged.because(format!("{left} and {right} part at instruction {at}")))
        }
        _ if json => Ok(Status::Done),
        Comparison::Equal { end } => {
            print(&format!("{left} and {right} are the same history of {end} instructions\n"))
        }
        Comparison::Beginning { end, longer_end, longer } => {
            let (short, long) = if longer == "left" { (right, left) } else { (left, right) };
            print(&format!(
                "{short} is the beginning of {long}: equal up to instruction {end}, and {long} goes on to \
                 {longer_end}\n"
            ))
        }
    }
}

fn open_history(file: &Path) -> Result<(Timeline, Header), Complaint> {
    let Some(Opened { recording, machine, .. }) = open_to_run(file)? else {
        return Err(Status::BadRecording
            .because(format!("{} was cut before the first instruction: record again", file.display())));
    };
    let timeline = Timeline::new(machine, history_of(recording.records())).map_err(travelled)?;
    Ok((timeline, recording.header().clone()))
}

/// In what two machines differ at power-on.
fn start_differs(left: &Header, right: &Header) -> Option<String> {
    let (l, r) = (format!("{:#?}", left.config), format!("{:#?}", right.config));
    let line = l.lines().zip(r.lines()).find(|(l, r)| l != r);
    let line =
        line.map(|(l, r)| format!("{} / {}", l.trim().trim_end_matches(','), r.trim().trim_end_matches(',')));
    line.or_else(|| (left.images != right.images).then(|| "other images".into()))
}

/// Puts explanations into words.
struct Teller {
    decoder: Decoder,
}

impl Teller {
    fn new(recording: &Recording) -> Teller {
        Teller { decoder: decoder_of(&recording.header().config.cpu) }
    }

    fn tell(&self, explanation: &Explanation) -> String {
        match explanation {
            Explanation::Parted(finding) => {
                let mut text = self.finding(finding, ["straight run", "checked run"]);
                text.push_str("Two runs of the same history part here: one of them is wrong.\n");
                text
            }
            Explanation::Restored { instruction, fields } => format!(
                "The checkpoint at instruction {instruction} restores another state than the straight run has \
                 there:\n{}",
                tell_fields(fields, false, ["straight run", "restored"])
            ),
            Explanation::Recorded { agreed, differs, fields } => {
                let mut text = format!(
                    "Run twice, this program does the same each time, and not what was recorded: the recording is of \
                     another program, or the computer failed while it was made. It agrees up to instruction {agreed} and \
                     no more at {differs}; a smaller --digest-interval when recording narrows that down.\n"
                );
                if !fields.is_empty() {
                    text.push_str(&format!("At instruction {differs}:\n"));
                    text.push_str(&tell_fields(fields, false, ["this program", "recorded"]));
                }
                text
            }
        }
    }

    fn finding(&self, finding: &Finding, names: [&str; 2]) -> String {
        let Finding { instruction, cpu, address, fields, more_fields, missing, before, inputs } = finding;
        let mut text =
            format!("First difference: instruction {instruction}, cpu {cpu}, address {address:#x}");
        if let Some(step) = before.last() {
            text.push_str(&format!("\n  {}", self.step(step).trim_start()));
        }
        text.push('\n');
        if let Some(missing) = missing {
            text.push_str(&format!("  {missing}\n"));
        }
        text.push_str(&tell_fields(fields, *more_fields, names));
        for (name, inputs) in names.iter().zip(inputs) {
            for input in inputs {
                text.push_str(&format!("  {name}: {input}\n"));
            }
        }
        text.push_str("\nBefore it:\n");
        for step in before {
            text.push_str(&format!("{}\n", self.step(step)));
        }
        text
    }

    fn step(&self, step: &Step) -> String {
        let Step { instruction: n, cpu, address, events, .. } = step;
        let word = instruction(&self.decoder, step);
        let mut line = format!("{n:>12}  cpu {cpu}  {address:016x}  {word:<28}");
        if !events.is_empty() {
            line.push_str(&format!("  [{}]", events.join(", ")));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

fn tell_fields(fields: &[Field], more: bool, names: [&str; 2]) -> String {
    let width = fields.iter().map(|field| field.path.len()).max().unwrap_or(0);
    let values = fields.iter().map(|field| field.left.len()).max().unwrap_or(0).max(names[0].len());
    let mut text = format!("  {:width$}  {:values$}  {}\n", "field", names[0], names[1]);
    for Field { path, left, right } in fields {
        text.push_str(&format!("  {path:width$}  {left:values$}  {right}\n"));
    }
    if more {
        text.push_str("  ... and more\n");
    }
    text
}
