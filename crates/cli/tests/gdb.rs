//! Stock gdb at recordings and live guests, without any scripts of ours: what a user sees.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tempfile::TempDir;

const RACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guests/race/race.elf");
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guests/race");
const KERNEL: &str = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el/vmlinux";
/// Long enough for the slowest computer, short enough to notice that something hangs.
const PATIENCE: Duration = Duration::from_secs(240);

/// A `timebase ... --gdb` that waits for gdb.
struct Server {
    child: Child,
    port: u16,
    said: Receiver<String>,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timebase"));
        command.args(arguments).args(["--gdb", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (send, said) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut server = Server { child, port: 0, said };
        let line = server.says("target remote :");
        server.port = line.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        server
    }

    /// Waits for a line with this text.
    fn says(&self, text: &str) -> String {
        loop {
            let line =
                self.said.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{e}: nothing says {text}"));
            assert!(!line.contains("panicked"), "{line}");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// What gdb prints when it does this. It leaves by detaching, unless `commands` say otherwise.
    fn gdb(&self, file: &str, commands: &[&str]) -> String {
        let mut gdb = Command::new("gdb-multiarch");
        gdb.args(["-nx", "-batch", file, "-ex", "set pagination off", "-ex", "set confirm off"]);
        gdb.args(["-ex", &format!("directory {SOURCES}"), "-ex", &format!("target remote :{}", self.port)]);
        for command in commands {
            gdb.args(["-ex", command]);
        }
        let output = gdb.stdin(Stdio::null()).output();
        let output = output.expect("gdb-multiarch: run `cargo xtask setup`, which installs it");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("{out}{err}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A recording of the embedded guest, or of the Debian kernel up to where its scheduler runs.
fn record(folder: &TempDir, arguments: &[&str]) -> String {
    let file = folder.path().join("a.tb").to_str().expect("UTF-8").to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_timebase"));
    command.args(["record", "-o", &file, "--quiet"]).args(arguments).stdin(Stdio::null());
    let status = command.status().expect("the program");
    assert!(status.success(), "{status}");
    file
}

fn race(folder: &TempDir) -> String {
    record(folder, &["--kernel", RACE, "--memory", "64M"])
}

fn linux(folder: &TempDir, cpus: &str, until: &[&str]) -> String {
    assert!(
        fs::exists(KERNEL).unwrap(),
        "no {KERNEL}: run `cargo xtask setup`, which installs the Debian guest"
    );
    let arguments = ["--kernel", KERNEL, "--append", "console=hvc0", "--cpus", cpus];
    record(folder, &[&arguments, until].concat())
}

/// Each of `expected` is in `text`, one after the other.
fn in_order(text: &str, expected: &[&str]) {
    let mut rest = text;
    for part in expected {
        let Some(at) = rest.find(part) else { panic!("no `{part}` in its place in:\n{text}") };
        rest = &rest[at + part.len()..];
    }
}

/// The kernel's first instruction does nothing in one byte order and branches over the next one in the other; gdb takes it
/// for a breakpoint of the program.
#[test]
fn a_trap_that_tells_the_byte_order_is_passed_forward_and_backward() {
    let folder = TempDir::new().unwrap();
    let guest = ["--machine", "powernv9", "--kernel", KERNEL, "--until", "dt-cpu-ftrs"];
    let server = Server::start(&["replay", &record(&folder, &guest)]);
    let said = server.gdb(
        KERNEL,
        &[
            "break *0x20010000",
            "continue",
            "x/i $pc",
            "stepi",
            "p/x $pc",
            "reverse-stepi",
            "p/x $pc",
            "break *0x20010024",
            "continue",
            "p/x $pc",
            "delete 2",
            "reverse-continue",
            "p/x $pc",
            "continue",
            "p $_siginfo",
        ],
    );
    in_order(&said, &["Breakpoint 1", "tdi", "= 0x20010008", "= 0x20010000", "= 0x20010024", "= 0x20010000"]);
    assert!(!said.contains("Could not write"), "{said}");
    in_order(&said, &["= 0x20010000", "= 0x20010000", "No more reverse-execution history"]);
}

#[test]
fn the_planted_race_is_found_backwards() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&["replay", &race(&folder), "--at", "console:lost update"]);
    let said = server.gdb(
        RACE,
        &[
            "print counter",
            "print added + ticks",
            // The store of add_one, where what it is about to store is not one more than what is there.
            "hbreak *0x2001f0 if $r10 != counter + 1",
            "reverse-continue",
            "print $r10",
            "print counter",
            "print ticks",
            "monitor events 2 interrupt,return",
            // It was right when it was loaded.
            "monitor last-write 0x206b00",
            "maintenance flush register-cache",
            "backtrace 1",
            "stepi",
            "print counter",
        ],
    );
    in_order(
        &said,
        &["$1 = 1137", "$2 = 1138", "Breakpoint 1", "counter = value + 1", "$3 = ", "$4 = ", "$5 = "],
    );
    in_order(&said, &["$5 = ", "on_decrementer", "$6 = "]);
    in_order(&said, &["interrupt    decrementer", "return       return", "stores at 0x206b00"]);
    let value = |n: &str| {
        let text = said.split(&format!("${n} = ")).nth(1).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim().parse::<u64>().unwrap_or_else(|_| panic!("{said}"))
    };
    assert_eq!(value("3"), value("4"), "the update of the handler gets lost: {said}");
    assert_eq!(value("6"), value("4"), "that is what the handler had stored: {said}");
}

#[test]
fn source_lines_backwards() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&["replay", &race(&folder), "--at", "50%"]);
    let said = server.gdb(
        RACE,
        &[
            "tbreak add_one",
            "reverse-continue",
            "tbreak *0x2001f0",
            "continue",
            "backtrace",
            "reverse-step",
            // In a function with one entry: up to release 13, gdb does not know the second one of ELFv2.
            "tbreak *0x2001a0",
            "continue",
            "reverse-finish",
            "reverse-next",
            "next",
            "next",
            "backtrace",
        ],
    );
    in_order(
        &said,
        &["Temporary breakpoint 1, add_one", "Temporary breakpoint 2", "#0", "add_one", "#1", "main"],
    );
    in_order(
        &said,
        &["u64 value = counter;", "Temporary breakpoint 3", "work (", "sum = work(sum);", "#0  main ("],
    );
    assert!(!said.contains("No more reverse-execution history"), "{said}");
}

#[test]
fn both_ends_of_history_are_told_and_it_goes_on() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&["replay", &race(&folder), "--at", "end-1000"]);
    let said = server.gdb(
        RACE,
        &[
            "continue",
            "monitor when",
            "reverse-stepi",
            "stepi",
            "stepi",
            "monitor goto 0",
            "maintenance flush register-cache",
            "reverse-stepi",
            "reverse-continue",
            "stepi",
            "print $pc",
        ],
    );
    let end = "No more reverse-execution history";
    in_order(&said, &[end, end, "_start", end, "_start", "$1 = (void (*)()) 0x200004"]);
    in_order(&said, &["(100.000 %)", "instruction 0 of"]);
}

#[test]
fn watchpoints_of_all_kinds_in_both_directions() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&["replay", &race(&folder), "--at", "50%"]);
    let said = server.gdb(
        RACE,
        &[
            "watch ticks",
            "continue",
            "continue",
            "reverse-continue",
            "reverse-continue",
            "delete",
            "rwatch added",
            "reverse-continue",
            "continue",
            "delete",
            "awatch counter",
            "continue",
            "reverse-continue",
        ],
    );
    in_order(
        &said,
        &[
            "Hardware watchpoint 1: ticks",
            "Old value",
            "New value",
            "Old value",
            "New value",
            "Hardware read watchpoint 2: added",
            "Value = ",
            "Hardware access (read/write) watchpoint 3: counter",
            "alue = ",
        ],
    );
    // Back over the same two changes: old and new change places.
    let values: Vec<(&str, &str)> = said
        .split("Old value = ")
        .skip(1)
        .map(|text| {
            let mut lines = text.lines();
            let old = lines.next().unwrap_or_default();
            (old, lines.next().unwrap_or_default().trim_start_matches("New value = "))
        })
        .collect();
    assert!(values.len() >= 4, "{said}");
    assert_eq!(values[0].1, values[1].0);
    assert_eq!((values[2].0, values[2].1), (values[1].1, values[1].0), "{said}");
    assert_eq!((values[3].0, values[3].1), (values[0].1, values[0].0), "{said}");
}

#[test]
fn four_vcpus_are_four_threads() {
    let folder = TempDir::new().unwrap();
    let file = linux(&folder, "4", &["--until", "Brought up 1 node, 4 CPUs", "--until-count", "900000000"]);
    let server = Server::start(&["replay", &file, "--at", "end"]);
    let said = server.gdb(
        KERNEL,
        &[
            "info threads",
            "thread apply all print $pc",
            "thread 2",
            "reverse-stepi",
            "reverse-stepi",
            "stepi",
            "thread",
            "set scheduler-locking on",
            "monitor goto 50%",
            "continue",
        ],
    );
    for thread in 1..=4 {
        in_order(&said, &[&format!("Thread {thread}")]);
    }
    assert_eq!(said.matches("(void (*)()) 0x").count(), 4, "{said}");
    // A thread goes to its own previous attempts, and back to its own next one.
    assert!(said.contains("[Current thread is 2 (Thread 1.2"), "{said}");
    assert!(!said.contains("Switching to Thread 1.1"), "{said}");
    assert!(said.contains("E.scheduler-locking cannot hold"), "{said}");
}

#[test]
fn breakpoints_by_name_before_and_after_translation_is_on() {
    let folder = TempDir::new().unwrap();
    let file = linux(&folder, "1", &["--until-count", "60000000"]);
    let server = Server::start(&["replay", &file]);
    let said = server.gdb(
        KERNEL,
        &[
            "break early_setup",
            "break start_kernel",
            "continue",
            "print/x $msr & 0x30",
            "continue",
            "print/x $msr & 0x30",
            "reverse-continue",
            "print $pc",
            "monitor physical on",
            "x/1xw 0",
            "monitor physical off",
        ],
    );
    in_order(
        &said,
        &[
            "Breakpoint 1, ",
            "early_setup",
            "$1 = 0x0",
            "Breakpoint 2, ",
            "start_kernel",
            "$2 = 0x30",
            "Breakpoint 1, ",
            "early_setup",
            "$3 =",
            "0x0:\t0x",
        ],
    );
}

#[test]
fn s16_gap3_a_bare_metal_machine_goes_backwards_through_its_firmware_into_linux() {
    let folder = TempDir::new().unwrap();
    let machine = ["--machine", "powernv9", "--kernel", KERNEL, "--append", "console=hvc0"];
    let file = record(&folder, &[&machine[..], &["--until", "radix-mmu: Initializing"]].concat());
    let server = Server::start(&["replay", &file, "--at", "end"]);
    let said = server.gdb(
        KERNEL,
        &[
            "hbreak start_kernel",
            "hbreak *0x20010000",
            "print/x $msr >> 60",
            "reverse-continue",
            "stepi",
            "reverse-stepi",
            "print $pc",
            // In skiboot, where it sets up XIVE.
            "monitor goto 30000000",
            "maintenance flush register-cache",
            "print/x $pc",
            "reverse-stepi",
            "reverse-stepi",
            "stepi",
            "stepi",
            "print/x $pc",
            "continue",
            "print/x $pc",
        ],
    );
    // Hypervisor state in 64-bit mode.
    in_order(&said, &["$1 = 0x9", "Breakpoint 1", "start_kernel", "Breakpoint 1", "$2 = "]);
    let value = |n: &str| {
        let text = said.split(&format!("${n} = ")).nth(1).unwrap_or_default();
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(value("3"), value("4"), "{said}");
    assert_eq!(value("5"), "0x20010000", "{said}");
}

#[test]
fn history_is_not_written_and_a_branch_is() {
    let folder = TempDir::new().unwrap();
    let file = race(&folder);
    let child = folder.path().join("child.tb").to_str().expect("UTF-8").to_owned();
    let server = Server::start(&["replay", &file, "--at", "50%"]);
    let refused = server.gdb(RACE, &["set $r20 = 5"]);
    assert!(refused.contains("monitor branch FILE"), "{refused}");
    // gdb does not show why memory was not written; we do.
    let refused = server.gdb(RACE, &["set var counter = 5"]);
    assert!(refused.contains("Cannot access memory"), "{refused}");
    server.says("`monitor branch FILE` in gdb goes live");
    let branch = format!("monitor branch {child}");
    let said = server.gdb(
        RACE,
        &[
            &branch,
            "set var counter = 5",
            "print counter",
            "set $r20 = 77",
            "print $r20",
            "stepi",
            "reverse-stepi",
            "kill",
        ],
    );
    in_order(&said, &["$1 = 5", "$2 = 77"]);
    drop(server);
    let verify = Command::new(env!("CARGO_BIN_EXE_timebase")).args(["verify", &child]).output().unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
}

#[test]
fn a_recording_that_is_removed_while_open_is_still_there() {
    let folder = TempDir::new().unwrap();
    let file = race(&folder);
    let child = folder.path().join("child.tb").to_str().expect("UTF-8").to_owned();
    let server = Server::start(&["replay", &file, "--at", "50%"]);
    fs::remove_file(&file).unwrap();
    fs::remove_file(format!("{file}.index")).unwrap();
    let branch = format!("monitor branch {child}");
    let said = server
        .gdb(RACE, &["reverse-stepi", "monitor goto 10%", &branch, "set $r20 = 77", "print $r20", "kill"]);
    in_order(&said, &["(10.000 %)"]);
    in_order(&said, &["$1 = 77"]);
    drop(server);
    let verify = Command::new(env!("CARGO_BIN_EXE_timebase")).args(["verify", &child]).output().unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
}

#[test]
fn a_live_guest_is_reversed_at_once() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("live.tb").to_str().expect("UTF-8").to_owned();
    for arguments in [&["run"][..], &["record", "-o", &file]] {
        let arguments = [arguments, &["--kernel", RACE, "--memory", "64M", "--quiet"]].concat();
        let server = Server::start(&arguments);
        let said = server.gdb(
            RACE,
            &[
                "break on_decrementer",
                "continue",
                "continue",
                "print ticks",
                "reverse-continue",
                "print ticks",
                "set var ticks = 9",
            ],
        );
        in_order(
            &said,
            &["Breakpoint 1, on_decrementer", "Breakpoint 1, on_decrementer", "$1 = 1", "$2 = 0"],
        );
        server.says("`monitor branch FILE` in gdb goes live");
    }
}

/// A debugger that speaks the protocol itself.
struct Client {
    stream: TcpStream,
}

impl Client {
    fn connect(server: &Server) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream }
    }

    fn send(&mut self, packet: &str) {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        self.stream.write_all(format!("${packet}#{sum:02x}").as_bytes()).expect("a packet");
    }

    /// The next packet.
    fn receive(&mut self) -> String {
        let mut byte = [0];
        let mut packet = Vec::new();
        loop {
            self.stream.read_exact(&mut byte).expect("a byte");
            match byte[0] {
                b'$' => packet.clear(),
                b'#' => break,
                other => packet.push(other),
            }
        }
        let mut sum = [0; 2];
        self.stream.read_exact(&mut sum).expect("a checksum");
        self.stream.write_all(b"+").expect("an acknowledgement");
        String::from_utf8_lossy(&packet).into_owned()
    }

    fn ask(&mut self, packet: &str) -> String {
        self.send(packet);
        self.receive()
    }
}

#[test]
fn ctrl_c_stops_in_both_directions() {
    let folder = TempDir::new().unwrap();
    let file = linux(&folder, "1", &["--until-count", "400000000"]);
    let server = Server::start(&["replay", &file]);
    let mut client = Client::connect(&server);
    for (go, from) in [("c", "0"), ("bc", "end")] {
        let goto: String = format!("goto {from}").bytes().map(|byte| format!("{byte:02x}")).collect();
        client.send(&format!("qRcmd,{goto}"));
        while client.receive() != "OK" {}
        client.send(go);
        std::thread::sleep(Duration::from_millis(200));
        client.stream.write_all(&[3]).expect("Ctrl-C");
        let stop = client.receive();
        assert!(stop.starts_with("T02"), "{go}: {stop}");
        assert!(client.ask("g").len() > 100);
    }
}

#[test]
fn debuggers_come_and_go() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&["replay", &race(&folder), "--at", "50%"]);
    let mut first = Client::connect(&server);
    server.says("gdb is connected");
    assert!(first.ask("?").starts_with('T'));
    let registers = first.ask("g");
    // A second one is sent away, and the first does not notice.
    let mut second = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    server.says("a second gdb was sent away");
    let mut rest = Vec::new();
    let _ = second.read_to_end(&mut rest);
    assert_eq!(first.ask("g"), registers);
    // It vanishes; the next one finds everything as it was.
    drop(first);
    server.says("gdb is gone");
    let mut third = Client::connect(&server);
    assert_eq!(third.ask("g"), registers);
    assert_eq!(third.ask("D"), "OK");
    server.says("gdb detached");
    let mut fourth = Client::connect(&server);
    assert_eq!(fourth.ask("g"), registers);
}

#[test]
fn hostile_packets_harm_nobody() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&["replay", &race(&folder), "--at", "50%"]);
    let hostile = [
        "",
        "m",
        "mffffffffffffffff,ffffffffffffffff",
        "m0,7fffffffffffffff",
        "M0,ffffffff:",
        "Z0",
        "Z0,,,",
        "Z2,ffffffffffffffff,ffffffffffffffff",
        "Z0,0,4;X7fffffff,00",
        "Z1,200000,4;X4,22ffffff",
        "vCont;c:p1.99",
        "vCont;r0,ffffffffffffffff",
        "vCont",
        "Hgffffffffffffffff",
        "Hc-1",
        "p9999999999999999",
        "P0=",
        "G00",
        "qXfer:features:read:target.xml:ffffffffffffffff,ffffffffffffffff",
        "qXfer:features:read:../../etc/passwd:0,100",
        "qRcmd,zz",
        "qRcmd,776174636820",
        "qRcmd,67 6f",
        "QStartNoAckMode;;",
        "bs;bc",
        "\u{7f}\u{1}",
    ];
    for packet in hostile {
        let mut client = Client::connect(&server);
        client.send(packet);
        // Whatever it answers, it goes on answering; or it gives this connection up, and takes the next.
        client.stream.write_all(b"$g#00$?#ff#####$$$").ok();
        drop(client);
        server.says("timebase: gdb ");
        server.says("timebase: gdb");
        let mut next = Client::connect(&server);
        assert!(next.ask("?").starts_with('T'), "after {packet:?}");
        assert!(next.ask("g").len() > 100, "after {packet:?}");
        drop(next);
        server.says("timebase: gdb ");
        server.says("timebase: gdb");
    }
}
