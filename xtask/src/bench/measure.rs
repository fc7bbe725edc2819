//! CPU seconds of programs run one after the other.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// When a run has done its work.
#[derive(Clone, Copy)]
pub enum End<'a> {
    /// It ends by itself, and has printed this.
    Exit(&'a str),
    /// It has printed this; it may go on for ever, and is ended.
    Text(&'a str),
}

/// What a run took.
pub struct Taken {
    /// User and system CPU seconds.
    pub seconds: f64,
}

/// Runs a program to its end.
pub fn run(program: &str, arguments: &[String], end: End) -> Result<Taken, String> {
    let before = children_seconds()?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("{program}: {e}"))?;
    let mut out = child.stdout.take().ok_or("no standard output")?;
    let (text, stays) = match end {
        End::Exit(text) => (text, true),
        End::Text(text) => (text, false),
    };
    let mut output = Vec::new();
    let mut buffer = [0; 65536];
    let mut found = false;
    // A program that hangs prints nothing either: the watch is kept by a second thread.
    let id = child.id();
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waits.recv_timeout(PATIENCE).is_err() {
            let _ = Command::new("kill").arg(id.to_string()).status();
        }
    });
    loop {
        let count = out.read(&mut buffer).map_err(|e| e.to_string())?;
        if count == 0 {
            break;
        }
        let from = output.len().saturating_sub(text.len());
        output.extend_from_slice(&buffer[..count]);
        found |= output[from..].windows(text.len()).any(|window| window == text.as_bytes());
        if found && !stays {
            let _ = Command::new("kill").arg(id.to_string()).status();
            break;
        }
    }
    drop(out);
    child.wait().map_err(|e| e.to_string())?;
    let _ = done.send(());
    let _ = watch.join();
    if !found {
        return Err(format!("{program} did not print `{text}`"));
    }
    Ok(Taken { seconds: children_seconds()? - before })
}

/// CPU seconds of all children that have ended, from the kernel's own account of this process.
fn children_seconds() -> Result<f64, String> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|e| e.to_string())?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    // Fields 16 and 17 of proc(5), in ticks of 1/100 s.
    Ok((ticks(13) + ticks(14)) / 100.0)
}

/// The one in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A number of what we print as JSON, which has each on a line of its own.
pub fn number(json: &str, name: &str) -> Result<f64, String> {
    let key = format!("\"{name}\": ");
    let value = json.lines().find_map(|line| line.trim().strip_prefix(&key));
    let value = value.and_then(|value| value.trim_end_matches(',').parse().ok());
    value.ok_or_else(|| format!("no {name} in: {json}"))
}
