//! The command line as its users see it: output, exit statuses, recordings that survive anything.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use timebase_host::clock::Moment;

const ECHO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/echo.elf");

fn timebase(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timebase"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a finished command said.
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

fn say(arguments: &[&str]) -> Said {
    said(timebase(arguments).output().expect("the binary runs"))
}

fn said(output: Output) -> Said {
    Said {
        status: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into(),
        err: String::from_utf8_lossy(&output.stderr).into(),
    }
}

/// Arguments that run the echo guest, more to follow.
fn echo<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<&'a str> {
    [before, &["--kernel", ECHO, "--memory", "64M"], after].concat()
}

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn name(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").into()
    }
}

fn report(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).expect("a report")).expect("JSON")
}

/// What must be equal in the reports of equal runs.
fn essence(path: &Path) -> Vec<String> {
    let report = report(path);
    ["instructions", "sequence", "digest", "console_sha256", "virtual_seconds", "ended"]
        .iter()
        .map(|name| report[name].to_string())
        .collect()
}

#[test]
fn errors_are_one_line_with_the_right_status() {
    let place = Place::new();
    let (text, corrupt) = (place.name("text"), place.name("corrupt.tb"));
    fs::write(&text, "not an image").unwrap();
    let recorded = say(&echo(&["record", "-o", &corrupt], &["--until", "ready"]));
    assert_eq!(recorded.status, Some(0), "{}", recorded.err);
    let mut bytes = fs::read(&corrupt).unwrap();
    bytes[100] ^= 1;
    fs::write(&corrupt, bytes).unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (&[], 2, "no command"),
        (&["frob"], 2, "frob"),
        (&["run"], 2, "--kernel"),
        (&["run", "--kernel", ECHO, "--memory", "3x"], 2, "K, M, G or T"),
        (&["run", "--kernel", ECHO, "--memory", "1K"], 2, "16 MiB"),
        (&["run", "--kernel", ECHO, "--cpus", "0"], 2, "0 CPUs"),
        (&["run", "--kernel", ECHO, "--cpu", "z80"], 2, "power9 or power10"),
        (&["run", "--kernel", ECHO, "--machine", "vax"], 2, "pseries"),
        (&["run", "--kernel", ECHO, "--until", "("], 2, "unclosed group"),
        (&["run", "--kernel", ECHO, "--send", "x"], 2, "REGEX=TEXT"),
        (&["run", "--kernel", ECHO, "--rtc", "yesterday"], 2, "YYYY-MM-DD"),
        (&["run", "--kernel", ECHO, "--on-panic", "flee"], 2, "stop"),
        (&["replay", &corrupt, "--send", "a=b"], 2, "--send"),
        (&["run", "--kernel", "/nonexistent"], 1, "cannot read the kernel"),
        (&["run", "--kernel", "/"], 1, "cannot read the kernel"),
        (&["run", "--kernel", &text], 1, "not an ELF file"),
        (&["run", "--kernel", "/bin/sh", "--memory", "64M"], 1, "not for Power"),
        (&["run", "--kernel", ECHO, "--initrd", "/nonexistent"], 1, "cannot read the initrd"),
        (&["record", "--kernel", ECHO, "-o", "/dev/full"], 1, "No space left"),
        (&["record", "--kernel", ECHO, "-o", "/nonexistent/a.tb"], 1, "No such file"),
        (&["record", "--kernel", ECHO, "-o", &text], 1, "is not a recording"),
        (&["record", "--kernel", ECHO], 2, "--output"),
        (&["run", "--kernel", ECHO, "--until-count", "9", "--report", "/nonexistent/r"], 1, "report"),
        (&["replay", "/nonexistent"], 1, "No such file"),
        (&["replay", &text], 5, "not a recording"),
        (&["replay", &corrupt], 5, "corrupt at offset 16"),
        (&["info", &corrupt], 5, "corrupt at offset 16"),
        (&["verify", &corrupt], 5, "corrupt at offset 16"),
    ];
    for (arguments, status, part) in cases {
        let said = say(arguments);
        assert_eq!(said.status, Some(*status), "{arguments:?}: {}", said.err);
        let last = said.err.lines().last().unwrap_or_default();
        assert!(said.err.lines().all(|line| line.starts_with("timebase: ")), "{arguments:?}: {}", said.err);
        assert!(last.contains(part), "{arguments:?}: {last}");
    }
    assert_eq!(fs::read(&text).unwrap(), b"not an image", "nothing was overwritten");
}

#[test]
fn help_and_version_are_answers() {
    for arguments in [&["--help"][..], &["record", "--help"], &["--version"], &["help", "replay"]] {
        let said = say(arguments);
        assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{arguments:?}");
        assert!(said.out.contains("timebase"), "{arguments:?}");
    }
}

#[test]
fn runs_end_with_the_status_of_how_they_ended() {
    let end = |after: &[&str]| {
        let said = say(&echo(&["run"], after));
        (said.status, said.err)
    };
    let (status, err) = end(&["--send", "ready=p"]);
    assert!(status == Some(0) && err.contains("powered off"), "{err}");
    let (status, err) = end(&["--send", "ready=p", "--until", "never"]);
    assert!(status == Some(3) && err.contains("did not reach --until"), "{err}");
    let (status, err) = end(&["--send", "ready=z"]);
    assert!(status == Some(6) && err.contains("idle forever"), "{err}");
    let (status, err) = end(&["--send", "ready=d"]);
    assert!(status == Some(0) && err.contains("the echo guest died"), "{err}");
    let (status, err) = end(&["--send", "ready=d", "--on-panic", "continue", "--until-count", "20000"]);
    assert!(status == Some(0) && err.contains("reached --until-count at instruction 20000,"), "{err}");
    let (status, err) = end(&["--send", "ready=r", "--no-reboot"]);
    assert!(status == Some(0) && err.contains("asked for a reset"), "{err}");
    let (status, err) = end(&["--send", "ready=p", "--send", "never=x"]);
    assert!(status == Some(0) && err.contains("waits for: never"), "{err}");
}

#[test]
fn until_and_send_meet_their_instruction_on_every_run() {
    let place = Place::new();
    let mut all = Vec::new();
    for name in ["a", "b"] {
        let report = place.name(name);
        let said = say(&echo(
            &["run"],
            &[
                "--send",
                r"ready> $=one\x2c",
                "--send",
                ", at=two",
                "--until",
                "^o at ",
                "--quiet",
                "--report",
                &report,
            ],
        ));
        assert_eq!((said.status, said.out.as_str(), said.err.as_str()), (Some(0), "", ""));
        all.push(essence(Path::new(&report)));
    }
    assert_eq!(all[0], all[1]);
}

#[test]
fn a_recording_replays_and_verifies_through_inputs_panics_and_reboots() {
    let place = Place::new();
    let (tb, recorded, replayed) = (place.name("echo.tb"), place.name("recorded"), place.name("replayed"));
    let live = ["--send", "ready=ab", "--send", "ready=d", "--send", "ready=r", "--send", "^ready=xp"];
    let options = ["--on-panic", "continue", "--report", &recorded];
    let record =
        say(&echo(&["record", "-o", &tb, "--digest-interval", "500"], &[&live[..], &options].concat()));
    assert_eq!(record.status, Some(0), "{}", record.err);
    assert!(record.out.contains("x at "), "{}", record.out);
    let replay = say(&["replay", &tb, "--report", &replayed]);
    assert_eq!((replay.status, &replay.out, &replay.err), (Some(0), &record.out, &record.err));
    assert_eq!(essence(Path::new(&recorded)), essence(Path::new(&replayed)));
    let verify = say(&["verify", &tb]);
    assert_eq!(verify.status, Some(0), "{}", verify.err);
    assert!(verify.out.contains("digests agree"), "{}", verify.out);
    let json: serde_json::Value = serde_json::from_str(&say(&["verify", &tb, "--json"]).out).unwrap();
    assert_eq!((json["ok"].as_bool(), json["ended"].as_str()), (Some(true), Some("power-off")));
    assert!(json["digests_compared"].as_u64() > Some(3), "{json}");
    let json: serde_json::Value = serde_json::from_str(&say(&["info", &tb, "--json"]).out).unwrap();
    assert_eq!(
        (json["inputs"].as_u64(), json["resets"].as_u64(), json["panics"].as_u64()),
        (Some(4), Some(1), Some(1))
    );
    assert!(say(&["info", &tb]).out.contains("1 resets"));
    // A replay may end earlier, for its own reasons.
    let early = say(&["replay", &tb, "--until", "d at"]);
    assert!(early.status == Some(0) && early.err.contains("reached --until"), "{}", early.err);
    let early = say(&["replay", &tb, "--no-reboot"]);
    assert!(early.status == Some(0) && early.err.contains("asked for a reset"), "{}", early.err);
    let never = say(&["replay", &tb, "--until", "never"]);
    assert_eq!(never.status, Some(3), "{}", never.err);
}

#[test]
fn a_plain_run_is_the_recorded_run() {
    let place = Place::new();
    let (tb, a, b) = (place.name("echo.tb"), place.name("a"), place.name("b"));
    let live = ["--send", "ready=abp"];
    let run = say(&echo(&["run", "--report", &a], &live));
    let record = say(&echo(&["record", "-o", &tb, "--report", &b], &live));
    assert_eq!((run.status, run.out, run.err), (record.status, record.out, record.err));
    assert_eq!(essence(Path::new(&a)), essence(Path::new(&b)));
}

/// Waits until `ready`, at most 20 seconds.
fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let began = Moment::now();
    while !ready() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Records the echo guest in real time: it wakes a thousand times a second and never ends.
fn record_in_real_time(tb: &str) -> Child {
    timebase(&echo(&["record", "-o", tb], &["--idle", "realtime", "--send", "ready=a", "--send", "ready=b"]))
        .spawn()
        .expect("the binary runs")
}

fn known(tb: &str) -> u64 {
    let said = say(&["info", tb, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_default();
    json["instructions"].as_u64().unwrap_or(0)
}

#[test]
fn a_killed_recording_replays_to_within_its_last_second() {
    let place = Place::new();
    let tb = place.name("killed.tb");
    let mut child = record_in_real_time(&tb);
    wait_for("history", || known(&tb) > 0);
    let began = Moment::now();
    let before = known(&tb);
    wait_for("a second flush", || known(&tb) > before);
    assert!(began.elapsed() < Duration::from_secs(5), "about once a second");
    child.kill().unwrap();
    child.wait().unwrap();
    let replay = say(&["replay", &tb]);
    assert_eq!(replay.status, Some(0), "{}", replay.err);
    assert!(
        replay.err.contains("was cut at byte") && replay.err.contains("up to instruction"),
        "{}",
        replay.err
    );
    assert!(replay.out.contains("b at "), "{}", replay.out);
    assert_eq!(say(&["verify", &tb]).status, Some(0));
    assert!(say(&["info", &tb]).out.contains("it was cut"));
}

#[test]
fn a_recording_cut_at_every_4_kib_replays_to_the_cut() {
    let place = Place::new();
    let (whole, cut) = (place.name("whole.tb"), place.name("cut.tb"));
    let live = ["--send", "ready=ab", "--until-count", "300000"];
    assert_eq!(say(&echo(&["record", "-o", &whole, "--digest-interval", "1000"], &live)).status, Some(0));
    let bytes = fs::read(&whole).unwrap();
    assert!(bytes.len() > 8192, "there is something to cut: {}", bytes.len());
    for length in (4096..bytes.len()).step_by(4096).chain([200, bytes.len() - 1]) {
        fs::write(&cut, &bytes[..length]).unwrap();
        for command in ["replay", "verify"] {
            let said = say(&[command, &cut]);
            assert_eq!(said.status, Some(0), "{length}: {}", said.err);
            assert!(said.err.contains("was cut"), "{length}: {}", said.err);
        }
    }
}

#[test]
fn signals_end_a_recording_in_order() {
    let place = Place::new();
    for signal in ["INT", "TERM", "HUP"] {
        let tb = place.name(signal);
        let mut child = record_in_real_time(&tb);
        wait_for("history", || known(&tb) > 0);
        let killed =
            Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        let info = say(&["info", &tb]).out;
        assert!(info.contains("ended          signal"), "{info}");
        assert_eq!(say(&["verify", &tb]).status, Some(0), "{signal}");
    }
}

#[test]
fn another_history_is_a_divergence() {
    let place = Place::new();
    let tb = place.name("diverges.tb");
    let said = say(&echo(&["record", "-o", &tb, "--digest-interval", "200"], &["--send", "ready=abp"]));
    assert_eq!(said.status, Some(0));
    // The same chunks but for one digest: what another program with the same schema would have written.
    timebase_replay_edit(Path::new(&tb));
    let said = say(&["replay", &tb]);
    assert_eq!(said.status, Some(4), "{}", said.err);
    assert!(
        said.err.contains("diverged after instruction 0, noticed at 200.0: expected digest"),
        "{}",
        said.err
    );
    let said = say(&["verify", "--json", &tb]);
    assert_eq!(said.status, Some(4));
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((json["ok"].as_bool(), json["divergence"]["instruction"].as_u64()), (Some(false), Some(200)));
}

/// Changes the first digest in the history of a recording, with the right checksums.
fn timebase_replay_edit(path: &Path) {
    use timebase_replay::chunk::{FAST, Kind, Next, Packer, RECORDING, Reader, preamble};
    let mut reader = Reader::new(fs::File::open(path).unwrap(), RECORDING).ok().unwrap();
    let (mut out, mut packer, mut edited) = (preamble(RECORDING).to_vec(), Packer::new(FAST).unwrap(), false);
    while let Ok(Next::Chunk(kind, _, mut payload)) = reader.next_chunk() {
        if kind == Kind::History && !edited {
            // An input record stands before it: the digest is found by its tag, count 200 and sequence 0.
            let at = payload.windows(4).position(|w| w == [4, 0xc8, 1, 0]).expect("a digest at 200");
            payload[at + 4] ^= 1;
            edited = true;
        }
        packer.write(&mut out, kind, &payload).unwrap();
    }
    assert!(edited);
    fs::write(path, out).unwrap();
}

#[test]
fn a_closed_pipe_is_an_error_and_not_a_panic() {
    let mut child =
        timebase(&echo(&["run"], &["--idle", "realtime", "--send", "ready=aaaa"])).spawn().unwrap();
    let mut first = [0; 4];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(child.stdout.take());
    // Silence cannot fail: it ends by a signal if all was written before the pipe was closed.
    std::thread::sleep(Duration::from_millis(300));
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()).status();
    let said = said(child.wait_with_output().unwrap());
    assert!(!said.err.contains("panicked"), "{}", said.err);
    assert!(matches!(said.status, Some(0 | 1)), "{:?}", said.status);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = timebase(&echo(&["run"], &["--send", "ready=p"]));
    let status = command.stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1), "a full disk under the console is told");
}

#[test]
fn flipped_bytes_are_corrupt_with_their_offset() {
    let place = Place::new();
    let (whole, damaged) = (place.name("whole.tb"), place.name("damaged.tb"));
    let live = ["--send", "ready=abp"];
    assert_eq!(say(&echo(&["record", "-o", &whole, "--digest-interval", "500"], &live)).status, Some(0));
    let bytes = fs::read(&whole).unwrap();
    for at in (16..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        let mut copy = bytes.clone();
        copy[at] ^= 0x20;
        fs::write(&damaged, copy).unwrap();
        let said = say(&["replay", &damaged]);
        assert_eq!(said.status, Some(5), "byte {at}: {}", said.err);
        let offset = said.err.split("corrupt at offset ").nth(1).and_then(|rest| rest.split(':').next());
        let offset: usize = offset.unwrap_or_else(|| panic!("{}", said.err)).parse().unwrap();
        assert!(offset <= at, "byte {at}: {}", said.err);
    }
}

/// The Debian installer, typed at: recorded and replayed. The guest is the package
/// debian-installer-12-netboot-ppc64el.
/// Linux on bare metal is typed at, reboots and powers off, all by way of the firmware and the management controller.
#[test]
fn s13_s14_a_reboot_and_a_power_off_of_bare_metal_are_in_its_recording() {
    let guest = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el";
    let (kernel, initrd) = (format!("{guest}/vmlinux"), format!("{guest}/initrd.gz"));
    let place = Place::new();
    let tb = place.name("bare.tb");
    let arguments = [
        &[
            "record",
            "-o",
            &tb,
            "--machine",
            "powernv9",
            "--cpus",
            "2",
            "--kernel",
            &kernel,
            "--initrd",
            &initrd,
        ][..],
        &["--append", "console=hvc0 rdinit=/bin/sh quiet", "--until-count", "12000000000"],
        &["--send", r"~ # =echo $((6*7)); reboot -f\n", "--send", r"Starting kernel=\n"],
        &["--send", r"turned off=poweroff -f\n"],
    ];
    let record = say(&arguments.concat());
    assert_eq!(record.status, Some(0), "{}\n{}", record.out, record.err);
    assert!(record.err.contains("the guest powered off"), "{}", record.err);
    assert!(record.out.contains("\n42"), "{}", record.out);
    assert_eq!(record.out.matches("OPAL v").count(), 2, "{}", record.out);
    let verify = say(&["verify", &tb]);
    assert_eq!(verify.status, Some(0), "{}", verify.err);
    let info: serde_json::Value = serde_json::from_str(&say(&["info", &tb, "--json"]).out).unwrap();
    assert!(info["history_file_bytes"].as_u64() < Some(64 << 10), "{info}");
}

#[test]
fn linux_with_typed_input_replays_exactly() {
    let guest = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el";
    let (kernel, initrd) = (format!("{guest}/vmlinux"), format!("{guest}/initrd.gz"));
    assert!(
        Path::new(&initrd).exists(),
        "no {initrd}: run `cargo xtask setup`, which installs the Debian guest"
    );
    let place = Place::new();
    let (tb, a, b) = (place.name("linux.tb"), place.name("a"), place.name("b"));
    let arguments = [
        "record",
        "-o",
        &tb,
        "--kernel",
        &kernel,
        "--initrd",
        &initrd,
        "--append",
        "console=hvc0 rdinit=/bin/sh quiet",
        "--send",
        r"~ # =echo $((6*7)) is the answer\n",
        "--until",
        "42 is the answer",
        "--until-count",
        "8000000000",
        "--report",
        &a,
    ];
    let record = say(&arguments);
    assert_eq!(record.status, Some(0), "{}\n{}", record.out, record.err);
    let replay = say(&["replay", &tb, "--report", &b]);
    assert_eq!((replay.status, &replay.out), (Some(0), &record.out), "{}", replay.err);
    assert_eq!(essence(Path::new(&a)), essence(Path::new(&b)));
    let info: serde_json::Value = serde_json::from_str(&say(&["info", &tb, "--json"]).out).unwrap();
    assert!(info["history_file_bytes"].as_u64() < Some(64 << 10), "{info}");
}

#[test]
fn a_disk_that_fills_up_ends_the_run_and_what_was_written_replays() {
    let place = Place::new();
    let tb = place.name("full.tb");
    let arguments = echo(&["record", "-o", &tb, "--digest-interval", "100"], &["--until-count", "300000"]);
    let whole = say(&arguments);
    assert_eq!(whole.status, Some(0), "{}", whole.err);
    let info: serde_json::Value = serde_json::from_str(&say(&["info", &tb, "--json"]).out).unwrap();
    let bytes = |part: &str| info[part].as_u64().expect("a size");
    // A limit on the file's size stands for the full disk: it has room for half of the history. Units are of 512 bytes.
    let limit = (bytes("file_bytes") - bytes("history_file_bytes") / 2) / 512;
    let script = format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_timebase")]).args(arguments).stdin(Stdio::null());
    let record = said(command.output().unwrap());
    assert_eq!(record.status, Some(1), "{}", record.err);
    assert!(record.err.contains("cannot go on recording to"), "{}", record.err);
    assert!(!record.err.contains("reached"), "it is not told as a success: {}", record.err);
    let replay = say(&["replay", &tb]);
    assert!(replay.status == Some(0) && replay.err.contains("was cut"), "{}", replay.err);
}
