//! How far long work is: on standard error, if that is a terminal.

use crate::clock::Moment;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::Duration;

/// A line that shows position, speed and the guest's time.
pub struct Progress {
    bar: ProgressBar,
    began: Moment,
    drawn: Moment,
}

impl Progress {
    /// A line for work up to `end` instructions, if that is known. Nothing is shown unless `wanted` and standard
    /// error is a terminal.
    pub fn new(end: Option<u64>, wanted: bool) -> Progress {
        let shown = wanted && stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr_with_hz(5) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(end, target);
        let template = match end {
            Some(_) => "{wide_bar} {percent}%  {msg}  {eta} left",
            None => "{spinner} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar, began: Moment::now(), drawn: Moment::now() }
    }

    /// The machine stands at `count` instructions and `ticks` of its time.
    pub fn show(&mut self, count: u64, ticks: u64) {
        if self.bar.is_hidden() || self.drawn.elapsed() < Duration::from_millis(100) {
            return;
        }
        self.drawn = Moment::now();
        let mips = count as f64 / self.began.elapsed().as_secs_f64().max(1e-6) / 1e6;
        let seconds = ticks as f64 / timebase_state::time::TICKS_PER_SECOND as f64;
        self.bar.set_message(format!("{count} instructions  {mips:.0} MIPS  guest time {seconds:.1} s"));
        self.bar.set_position(count);
    }

    /// The work is over: nothing of the line remains.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
