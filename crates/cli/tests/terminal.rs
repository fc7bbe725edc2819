//! The terminal: keys to the guest, Ctrl-A for us, and all as it was when it is over.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use timebase_host::clock::Moment;

const ECHO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/echo.elf");

/// A command on a terminal of its own.
struct Session {
    child: Child,
    keys: File,
    slave: File,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Session {
    fn new(arguments: &[&str]) -> Session {
        Session::with_kernel(ECHO, arguments)
    }

    fn with_kernel(kernel: &str, arguments: &[&str]) -> Session {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_timebase"))
            .args(arguments)
            .args(["--kernel", kernel, "--memory", "64M"])
            .stdin(Stdio::from(slave.try_clone().unwrap()))
            .stdout(Stdio::from(slave.try_clone().unwrap()))
            .stderr(Stdio::from(slave.try_clone().unwrap()))
            .spawn()
            .unwrap();
        let keys = File::from(master);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut screen, all) = (keys.try_clone().unwrap(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut buffer) {
                all.lock().unwrap().extend(&buffer[..n]);
            }
        });
        Session { child, keys, slave, seen }
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into()
    }

    fn wait_for(&self, text: &str) {
        let began = Moment::now();
        while !self.screen().contains(text) {
            assert!(began.elapsed() < Duration::from_secs(20), "no `{text}` in: {}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

#[test]
fn keys_go_to_the_guest_and_ctrl_a_to_us_and_the_replay_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let tb = directory.path().join("typed.tb");
    let tb = tb.to_str().unwrap();
    let mut session = Session::new(&["record", "-o", tb]);
    session.wait_for("ready> ");
    assert!(session.is_raw());
    session.type_in(b"a");
    session.wait_for("a at ");
    session.type_in(b"\x03");
    session.wait_for("\x03 at ");
    session.type_in(b"\x01\x01");
    session.wait_for("\x01 at ");
    session.type_in(b"\x01h");
    session.wait_for("Ctrl-A x   quit");
    session.type_in(b"\x01b");
    session.wait_for("held at instruction ");
    session.type_in(b" ");
    session.type_in(b"\x01b");
    session.type_in(b"\x01x");
    assert_eq!(session.child.wait().unwrap().code(), Some(0));
    session.wait_for("\ntimebase: quit at instruction");
    assert!(!session.is_raw(), "the terminal is as it was");

    let replay = Command::new(env!("CARGO_BIN_EXE_timebase")).args(["replay", tb]).output().unwrap();
    assert_eq!(replay.status.code(), Some(0), "{}", String::from_utf8_lossy(&replay.stderr));
    let console = String::from_utf8_lossy(&replay.stdout).into_owned();
    let answers: Vec<&str> = console.split("\r\n").filter(|line| line.contains(" at ")).collect();
    assert_eq!(answers.len(), 3, "{console}");
    for answer in answers {
        // The time at which the guest saw the key is part of the answer, and the same.
        assert!(session.screen().contains(answer), "{answer} in {}", session.screen());
    }
}

/// Images are read once more when a guest starts anew: another kernel would make another machine of it.
#[test]
fn a_kernel_that_changed_meanwhile_ends_a_reboot_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let kernel = directory.path().join("echo.elf");
    let kernel = kernel.to_str().unwrap();
    let code = std::fs::read(ECHO).unwrap();
    std::fs::write(kernel, &code).unwrap();
    let mut session = Session::with_kernel(kernel, &["run"]);
    session.wait_for("ready> ");
    session.type_in(b"r");
    while session.screen().matches("ready> ").count() < 2 {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::write(kernel, [&code[..], b"more"].concat()).unwrap();
    session.type_in(b"r");
    assert_eq!(session.child.wait().unwrap().code(), Some(1));
    session.wait_for("echo.elf has changed since the guest was started: it cannot start anew");
    assert!(!session.is_raw(), "the terminal is as it was");
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let mut session = Session::new(&["run"]);
    session.wait_for("ready> ");
    assert!(session.is_raw());
    let id = session.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(session.child.wait().unwrap().code(), Some(0));
    assert!(!session.is_raw());
}

#[test]
fn idle_time_is_real_on_a_terminal() {
    let mut session = Session::new(&["run"]);
    session.wait_for("ready> ");
    let began = Moment::now();
    std::thread::sleep(Duration::from_millis(500));
    session.type_in(b"a");
    session.wait_for("a at ");
    let ticks = |screen: &str| {
        let at = screen.find("a at ").unwrap();
        u64::from_str_radix(screen.get(at + 5..at + 21)?, 16).ok()
    };
    let mut ticks_then = None;
    while ticks_then.is_none() {
        ticks_then = ticks(&session.screen());
    }
    let (guest, host) = (ticks_then.unwrap() as f64 / 512e6, began.elapsed().as_secs_f64());
    assert!(guest > 0.2 && guest < host + 1.0, "{guest} s of the guest's time in {host} s");
    session.type_in(b"p");
    assert_eq!(session.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_system_reset_interrupt_is_recorded_and_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let tb = directory.path().join("nmi.tb");
    let tb = tb.to_str().unwrap();
    let mut session = Session::new(&["record", "-o", tb]);
    session.wait_for("ready> ");
    session.type_in(b"\x01n");
    let timebase = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_timebase")).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let inputs = || serde_json::from_str::<serde_json::Value>(&timebase(&["info", tb, "--json"]).1).unwrap();
    let began = Moment::now();
    while inputs()["inputs"].as_u64() != Some(1) {
        assert!(began.elapsed() < Duration::from_secs(20), "it is in the file within about a second");
        std::thread::sleep(Duration::from_millis(50));
    }
    session.type_in(b"\x01x");
    assert_eq!(session.child.wait().unwrap().code(), Some(0));
    let info = inputs();
    assert_eq!(
        (info["ended"].as_str(), info["inputs"].as_u64(), info["input_bytes"].as_u64()),
        (Some("quit"), Some(1), Some(0))
    );
    assert_eq!(timebase(&["verify", tb]).0, Some(0));
}
