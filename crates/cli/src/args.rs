//! The command line.

use crate::script::{self, Send};
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use regex::bytes::Regex;
use std::path::PathBuf;
use timebase_replay::address::Place;
use timebase_replay::events::Kind;

/// Full-system emulator for Power machines that records, replays and goes back.
///
/// Everything a guest does follows from its configuration and from what comes in; so a recording is small, and its
/// replay is exact.
#[derive(Parser, Debug)]
#[command(name = "timebase", version, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What executes instructions: code compiled for this host, or the interpreter alone. It makes no difference to
    /// the guest
    #[arg(long, global = true, value_enum, default_value_t = Engine::Auto)]
    pub engine: Engine,
}

/// What executes instructions.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// The compiler where there is one for this host
    Auto,
    /// The interpreter alone
    Interpreter,
    /// The compiler; an error where there is none
    Jit,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a guest
    #[command(after_help = EXIT)]
    Run(Run),
    /// Run a guest and record it
    #[command(after_help = EXIT)]
    Record(Record),
    /// Run a recorded guest again, exactly as it was
    #[command(after_help = EXIT)]
    Replay(Replay),
    /// Go live from a place in a recording, into a new one
    #[command(after_help = EXIT)]
    Branch(Branch),
    /// Make checkpoints of a recording, so that travel in it is fast from the start
    #[command(after_help = EXIT)]
    Index(Index),
    /// Tell what is inside a recording
    Info(Info),
    /// Replay a recording, compare every digest in it, and explain what does not agree
    #[command(after_help = EXIT)]
    Verify(Verify),
    /// Find the first instruction at which two recordings of one start part
    #[command(after_help = EXIT)]
    Compare(Compare),
    /// List what happened: interrupts, timers, calls, devices, console, inputs
    #[command(after_help = EXIT)]
    Events(Events),
    /// List instructions as they were executed, with what each changed
    #[command(after_help = EXIT)]
    Trace(Trace),
    /// Write what happened to a file that the Perfetto viewer opens
    #[command(after_help = EXIT)]
    Export(Export),
    /// Write the guest at some place to a core file that gdb, crash and drgn open
    #[command(after_help = EXIT)]
    Dump(Dump),
    /// Show instruction words as the assembler takes them
    Disasm(Disasm),
    /// Show all this on the embedded guest, and on Linux where it is installed
    Demo(Demo),
}

const EXIT: &str = "\
Exit status: 0 done, 1 environment or input file, 2 usage, 3 the guest did not reach --until,
4 divergence, 5 corrupt or incompatible recording, 6 guest idle forever, 7 no kernel for the firmware.
On a terminal: Ctrl-A x quits, Ctrl-A b holds the guest and shows where it is, Ctrl-A n sends the
system reset interrupt, Ctrl-A h helps. All other keys, Ctrl-C too, go to the guest.";

#[derive(ClapArgs, Debug)]
pub struct Run {
    #[command(flatten)]
    pub guest: Guest,
    #[command(flatten)]
    pub live: Live,
    #[command(flatten)]
    pub end: End,
    #[command(flatten)]
    pub debug: Debug,
}

/// A debugger.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Debugger")]
pub struct Debug {
    /// Wait for gdb at [HOST]:PORT and do what it says; it goes back, too: `gdb-multiarch vmlinux -ex 'target
    /// remote :1234'`
    #[arg(long, value_name = "[HOST]:PORT", num_args = 0..=1, default_missing_value = ":1234")]
    pub gdb: Option<String>,
}

#[derive(ClapArgs, Debug)]
pub struct Record {
    /// File to record to; an older recording is overwritten, any other file is not
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Instructions from one digest in the recording to the next
    #[arg(long, value_name = "N", default_value_t = timebase_replay::DIGEST_INTERVAL,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub digest_interval: u64,
    /// Make no checkpoints beside the recording
    #[arg(long)]
    pub no_index: bool,
    #[command(flatten)]
    pub run: Run,
}

#[derive(ClapArgs, Debug)]
pub struct Replay {
    /// The recording
    pub file: PathBuf,
    #[command(flatten)]
    pub end: End,
    #[command(flatten)]
    pub debug: Debug,
    /// Where gdb finds the guest: N, N%, start, end, end-N, console:REGEX
    #[arg(long, value_name = "PLACE", default_value = "start", requires = "gdb", help_heading = "Debugger")]
    pub at: Place,
    /// Host memory for checkpoints
    #[arg(long, value_name = "SIZE", default_value = "768M", value_parser = bytes, help_heading = "Debugger")]
    pub checkpoint_memory: u64,
}

#[derive(ClapArgs, Debug)]
pub struct Branch {
    /// The recording
    pub file: PathBuf,
    /// Where the branch leaves it: N, N%, start, end, end-N, console:REGEX
    #[arg(long, value_name = "PLACE")]
    pub at: Place,
    /// File to record the branch to; it stands alone, and holds the history before it, too
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub live: Live,
    #[command(flatten)]
    pub end: End,
    #[command(flatten)]
    pub debug: Debug,
}

#[derive(ClapArgs, Debug)]
pub struct Index {
    /// The recording; its checkpoints go into the file of this name with `.index` added
    pub file: PathBuf,
    /// Size of the file at most; checkpoints are farther from each other if it would be larger
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = bytes)]
    pub size: u64,
    /// Say nothing
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(ClapArgs, Debug)]
pub struct Info {
    /// The recording
    pub file: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs, Debug)]
pub struct Verify {
    /// The recording
    pub file: PathBuf,
    /// Threads; the checkpoints of `timebase index` are where the work is divided [default: cores]
    #[arg(short, long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<usize>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs, Debug)]
pub struct Compare {
    /// A recording
    pub left: PathBuf,
    /// Another one, of the same machine with the same images
    pub right: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// A stretch of history.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Stretch")]
pub struct Stretch {
    /// Where it begins: N, N%, start, end, end-N, console:REGEX
    #[arg(long, value_name = "PLACE", default_value = "start")]
    pub from: Place,
    /// Where it ends, likewise; +N is N instructions after its beginning
    #[arg(long, value_name = "PLACE", default_value = "end")]
    pub to: Place,
}

#[derive(ClapArgs, Debug)]
pub struct Events {
    /// The recording
    pub file: PathBuf,
    /// Only events of these kinds, with commas between them: decrementer, interrupt, exception, return, doorbell,
    /// ipi, controller, hcall, rtas, device, vcpu, idle, console, input, reset [default: all but exception, return,
    /// device]
    #[arg(short, long, value_name = "KINDS", value_delimiter = ',')]
    pub kind: Vec<Kind>,
    /// Only those of this vCPU, and those of none
    #[arg(long, value_name = "N")]
    pub cpu: Option<u32>,
    #[command(flatten)]
    pub stretch: Stretch,
    /// As JSON, an object on each line
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs, Debug)]
pub struct Trace {
    /// The recording
    pub file: PathBuf,
    /// Only instructions of this vCPU
    #[arg(long, value_name = "N")]
    pub cpu: Option<u32>,
    #[command(flatten)]
    pub stretch: Stretch,
    /// As JSON, an object on each line
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs, Debug)]
pub struct Export {
    /// The recording
    pub file: PathBuf,
    /// File to write: open it at ui.perfetto.dev
    #[arg(long, value_name = "FILE")]
    pub perfetto: PathBuf,
    #[command(flatten)]
    pub stretch: Stretch,
}

#[derive(ClapArgs, Debug)]
pub struct Dump {
    /// The recording
    pub file: PathBuf,
    /// Where: N, N%, start, end, end-N, console:REGEX
    #[arg(long, value_name = "PLACE", default_value = "end")]
    pub at: Place,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(ClapArgs, Debug)]
pub struct Disasm {
    /// Words in hexadecimal; 16 digits for a prefixed instruction
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub words: Vec<String>,
    /// Disassemble this file instead: the code of an ELF file, or all of any other
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Address of the first word [default: 0, or as the ELF file says]
    #[arg(long, value_name = "ADDRESS", value_parser = hexadecimal)]
    pub address: Option<u64>,
    /// The file is big-endian; an ELF file says so itself
    #[arg(long, requires = "file")]
    pub big_endian: bool,
    /// CPU of pseries: power9 or power10
    #[arg(long, value_name = "NAME", default_value = "power10", value_parser = ["power9", "power10"])]
    pub cpu: String,
}

#[derive(ClapArgs, Debug)]
pub struct Demo {
    /// Fetch the Debian guest with the distribution's package tools if it is not installed (as root)
    #[arg(long)]
    pub debian: bool,
    /// Folder for the recordings
    #[arg(long, value_name = "FOLDER", default_value = "timebase-demo")]
    pub folder: PathBuf,
}

/// What the machine is.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Machine")]
pub struct Guest {
    /// Machine: pseries, powernv9, powernv10 (powernv is powernv10)
    #[arg(long, default_value = "pseries", value_name = "NAME")]
    pub machine: String,
    /// CPU of pseries: power9 or power10 [default: power9]
    #[arg(long, value_name = "NAME")]
    pub cpu: Option<String>,
    /// Number of virtual CPUs; of powernv also threads of a core, cores of a socket, and sockets
    #[arg(long, default_value = "1", value_name = "N[,threads=N][,cores=N][,sockets=N]", value_parser = cpus)]
    pub cpus: Cpus,
    /// Guest memory, with a suffix K, M, G or T
    #[arg(long, default_value = "1G", value_name = "SIZE", value_parser = bytes)]
    pub memory: u64,
    /// Kernel: vmlinux, zImage, or a bare-metal ELF image
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Initial RAM disk
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// Kernel command line
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    pub append: String,
    /// Boot ROM, or `none` to enter the kernel with the device tree [default: built-in Open Firmware; powernv: the
    /// skiboot.lid of the package qemu-system-data]
    #[arg(long, value_name = "none|FILE")]
    pub firmware: Option<PathBuf>,
    /// Seed of all randomness that the guest can ask for
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Seed of how the virtual CPUs interleave
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub schedule_seed: u64,
    /// Real-time clock at power-on, UTC: YYYY-MM-DD, YYYY-MM-DDTHH:MM:SS, or seconds since 1970
    #[arg(long, default_value = "2026-01-01", value_name = "TIME", value_parser = seconds)]
    pub rtc: u64,
}

/// How many virtual CPUs, and how they are arranged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpus {
    pub count: u32,
    pub threads: u32,
    pub sockets: u32,
}

/// What comes in.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "Input")]
pub struct Live {
    /// Type TEXT once a line of the console shows REGEX; repeatable, in order. TEXT knows \n \r \t \e \\ \xNN;
    /// a `=` in REGEX is written \=
    #[arg(long, value_name = "REGEX=TEXT", value_parser = Send::parse)]
    pub send: Vec<Send>,
    /// Idle time takes as long as it should, or is skipped [default: realtime when stdin is a terminal]
    #[arg(long, value_name = "realtime|skip", hide_possible_values = true)]
    pub idle: Option<Idle>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Idle {
    Realtime,
    Skip,
}

/// When to end, and what to tell.
#[derive(ClapArgs, Debug)]
#[command(next_help_heading = "End and output")]
pub struct End {
    /// End when a line of the console shows REGEX
    #[arg(long, value_name = "REGEX", value_parser = script::expression)]
    pub until: Option<Regex>,
    /// End at instruction N
    #[arg(long, value_name = "N")]
    pub until_count: Option<u64>,
    /// End when the guest asks for a reset
    #[arg(long)]
    pub no_reboot: bool,
    /// End or go on when the guest reports that it died [default: stop; in a replay, as recorded]
    #[arg(long, value_name = "stop|continue", hide_possible_values = true)]
    pub on_panic: Option<OnPanic>,
    /// Show neither console nor notices
    #[arg(long)]
    pub quiet: bool,
    /// Write what happened to FILE as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum OnPanic {
    Stop,
    Continue,
}

/// A number of CPUs and their arrangement.
fn cpus(text: &str) -> Result<Cpus, String> {
    let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is no number"));
    let mut words = text.split(',');
    let count = number(words.next().unwrap_or(""))?;
    let (mut threads, mut cores, mut sockets) = (None, None, None);
    for word in words {
        let (what, value) = match word.split_once('=') {
            Some(("threads", value)) => (&mut threads, value),
            Some(("cores", value)) => (&mut cores, value),
            Some(("sockets", value)) => (&mut sockets, value),
            _ => return Err(format!("`{word}`: give threads=N, cores=N or sockets=N")),
        };
        if what.replace(number(value)?).is_some() {
            return Err(format!("`{word}`: it is given twice"));
        }
    }
    let (threads, sockets) = (threads.unwrap_or(1), sockets.unwrap_or(1));
    let product = |cores: u32| cores.checked_mul(threads)?.checked_mul(sockets);
    match cores {
        Some(cores) if product(cores) != Some(count) => {
            Err(format!("{cores} cores of {threads} threads on {sockets} sockets are not {count} CPUs"))
        }
        _ => Ok(Cpus { count, threads, sockets }),
    }
}

/// A number of bytes with a suffix K, M, G or T.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "m" | "MiB" => 1 << 20,
        "G" | "g" | "GiB" => 1 << 30,
        "T" | "t" | "TiB" => 1 << 40,
        _ => return Err("give a number with K, M, G or T".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "give a number with K, M, G or T")?;
    number.checked_mul(factor).ok_or_else(|| "that is more than 64 bits of bytes".into())
}

fn hexadecimal(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| "give a hexadecimal address".into())
}

fn jobs(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&jobs| jobs > 0).ok_or_else(|| "give a number of threads, 1 or more".into())
}

/// A point in time, in seconds since 1970-01-01 00:00 UTC.
fn seconds(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    date(text).ok_or_else(|| "give YYYY-MM-DD, YYYY-MM-DDTHH:MM:SS, or seconds since 1970".into())
}

fn date(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let three = |text: &str, by: char| -> Option<[u64; 3]> {
        let parts: Vec<u64> = text.split(by).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let [year, month, day] = three(date, '-')?;
    let [hour, minute, second] = three(time, ':')?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let months = [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *months.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let inside = (1970..=9999).contains(&year) && (1..=length).contains(&day);
    if !inside || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // Days of the whole years before this one, since 1970.
    let before = year - 1;
    let leaps = (before / 4 - before / 100 + before / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let days = (year - 1970) * 365 + leaps + months[..month as usize - 1].iter().sum::<u64>() + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn cpus_have_an_arrangement() {
        assert_eq!(cpus("3"), Ok(Cpus { count: 3, threads: 1, sockets: 1 }));
        let two = Ok(Cpus { count: 16, threads: 4, sockets: 2 });
        assert_eq!(cpus("16,threads=4,cores=2,sockets=2"), two);
        assert_eq!(cpus("16,threads=4,sockets=2"), two);
        for wrong in [
            "",
            "x",
            "4,threads",
            "4,chips=2",
            "4,threads=4,cores=2",
            "4,cores=4294967295,threads=9",
            "4,sockets=2,sockets=1",
        ] {
            assert!(cpus(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(bytes("64M"), Ok(64 << 20));
        assert_eq!(bytes("1G"), Ok(1 << 30));
        assert_eq!(bytes("4096"), Ok(4096));
        for wrong in ["", "G", "3x", "-1", "1GG", "99999999T"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_seconds() {
        assert_eq!(seconds("1767225600"), Ok(1_767_225_600));
        assert_eq!(seconds("2026-01-01"), Ok(1_767_225_600));
        assert_eq!(seconds("1970-01-01T00:00:01"), Ok(1));
        assert_eq!(seconds("2000-02-29T12:34:56Z"), Ok(951_827_696));
        assert_eq!(seconds("2100-03-01"), Ok(4_107_542_400));
        for wrong in
            ["", "2026-13-01", "2026-00-01", "2026-02-29", "2026-01-01T24:00:00", "1969-01-01", "now"]
        {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
