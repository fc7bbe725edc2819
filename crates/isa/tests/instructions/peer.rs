//! Instructions of Book I on random operands, all registers and memory compared.
//!
//! The results were once compared with those of an independent emulator, and their digests written down in
//! `digests.txt`: the ordinary test compares digests. After a change, and for a new instruction, the ignored test
//! `peer` repeats the comparison and `write_digests` the writing; they need user-mode QEMU (run as a separate
//! process) and are started by `cargo xtask diff`, which has a long form too, and by hand:
//! `cargo nextest run -p timebase-isa --run-ignored all --no-capture peer`.
//! The peer is an oracle with known faults; [`crate::different`] lists them.

use crate::cases::{Case, MEMORY_BYTES, cases, more_cases, tried};
use crate::different::Ignore;
use crate::reader::{Executor, Machine};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes of a record that goes to the executor (`executor.s`) and comes back.
const RECORD: usize = 1264;

/// Fields of a record are in the byte order of the program.
fn to_record(machine: &Machine, word: u64) -> Vec<u8> {
    let regs = &machine.regs;
    let little = regs.msr & 1 != 0;
    let doubleword = |value: u64| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let quadword = |value: u128| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let words = if word >> 32 != 0 { [(word >> 32) as u32, word as u32] } else { [word as u32, 0x6000_0000] };
    let mut record = Vec::with_capacity(RECORD);
    record.extend(words.iter().flat_map(|w| if little { w.to_le_bytes() } else { w.to_be_bytes() }));
    for value in [regs.fpscr, regs.cr_packed(), regs.xer()] {
        record.extend(doubleword(value));
    }
    record.extend(quadword(regs.vscr as u128));
    record.extend(regs.gpr[3..11].iter().flat_map(|g| doubleword(*g)));
    record.extend((0..64).flat_map(|n| quadword(regs.vsr128(n))));
    record.extend(&machine.memory);
    record
}

fn from_record(record: &[u8], like: &Machine) -> Machine {
    let mut machine = like.clone();
    let little = like.regs.msr & 1 != 0;
    let at = |n: usize| {
        let bytes = record[n..n + 8].try_into().expect("8 bytes");
        if little { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) }
    };
    // Doublewords of a quadword: the most significant one comes last in a little-endian record.
    let pair = |n: usize| if little { [at(n + 8), at(n)] } else { [at(n), at(n + 8)] };
    machine.regs.fpscr = at(8);
    machine.regs.set_cr_packed(255, at(16));
    machine.regs.set_xer(at(24));
    machine.regs.vscr = pair(32)[1];
    for n in 0..8 {
        machine.regs.gpr[3 + n] = at(48 + 8 * n);
    }
    for n in 0..64 {
        machine.regs.vsr[n] = pair(112 + 16 * n);
    }
    machine.memory.copy_from_slice(&record[RECORD - MEMORY_BYTES..]);
    machine
}

/// The peer with its executor, of one byte order.
struct Peer {
    emulator: &'static str,
    program: PathBuf,
}

/// Builds the executor of the peer.
fn build(directory: &Path, little: bool) -> Peer {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions/executor.s");
    let (tools, emulator) = if little {
        ("powerpc64le-linux-gnu", "qemu-ppc64le")
    } else {
        ("powerpc64-linux-gnu", "qemu-ppc64")
    };
    let (object, program) = (directory.join(format!("{tools}.o")), directory.join(tools));
    let run = |command: &mut Command| assert!(command.status().expect("cross binutils").success());
    run(Command::new(format!("{tools}-as")).args(["-mpower10", "-a64"]).arg(source).arg("-o").arg(&object));
    run(Command::new(format!("{tools}-ld"))
        .args([
            "--no-warn-rwx-segments",
            "--section-start=.code=0x10000000",
            "--section-start=.eh_frame=0x30000000",
            "-Tdata=0x20000000",
        ])
        .arg(&object)
        .arg("-o")
        .arg(&program));
    Peer { emulator, program }
}

/// Runs the records through the peer; None if it died.
fn run_peer(peer: &Peer, records: Vec<u8>) -> Option<Vec<u8>> {
    let mut child = Command::new(peer.emulator)
        .args(["-cpu", "power10"])
        .arg(&peer.program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("user-mode QEMU");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = std::thread::spawn(move || {
        for record in records.chunks(RECORD) {
            // A record is written at once, so that it is read at once; a closed pipe is the peer's death.
            if stdin.write_all(record).is_err() {
                break;
            }
        }
    });
    let output = child.wait_with_output().expect("output");
    writer.join().expect("writer");
    output.status.success().then_some(output.stdout)
}

fn compare(ours: &Machine, peer: &Machine, ignore: Ignore) -> Vec<String> {
    let mut differences = Vec::new();
    let mut check = |what: String, a: u128, b: u128| {
        if a != b {
            differences.push(format!("{what}: {a:x}, peer {b:x}"));
        }
    };
    let mask = !ignore.fpscr;
    check("fpscr".into(), (ours.regs.fpscr & mask) as u128, (peer.regs.fpscr & mask) as u128);
    // The peer keeps reserved bits of VSCR.
    check("vscr".into(), ours.regs.vscr as u128, (peer.regs.vscr & 0x1_0001) as u128);
    let mask = if ignore.cr6 { !0xf0 } else { !0 };
    check("cr".into(), (ours.regs.cr_packed() & mask) as u128, (peer.regs.cr_packed() & mask) as u128);
    check("xer".into(), ours.regs.xer() as u128, peer.regs.xer() as u128);
    for n in 3..11 {
        check(format!("r{n}"), ours.regs.gpr[n] as u128, peer.regs.gpr[n] as u128);
    }
    for n in 0..64 {
        let mask = if ignore.second_doubleword { u128::MAX << 64 } else { u128::MAX };
        let mask = if ignore.upper_word { mask & !(u128::MAX << 96) } else { mask };
        let mask = if ignore.target == Some(n) { 0 } else { mask };
        let there = if ignore.exchanged == Some(n & 62) { n ^ 1 } else { n };
        check(format!("vs{n}"), ours.regs.vsr128(n) & mask, peer.regs.vsr128(there) & mask);
    }
    if ours.memory != peer.memory {
        differences.push(format!("memory: {:x?}, peer {:x?}", ours.memory, peer.memory));
    }
    differences
}

/// The differences of each case that has any.
fn failures(peer: &Peer, cases: &[Case]) -> Option<Vec<(u64, Vec<String>)>> {
    let records = cases.iter().flat_map(|case| to_record(&case.before, case.word)).collect();
    let results = run_peer(peer, records)?;
    let compared = cases.iter().zip(results.chunks(RECORD)).map(|(case, record)| {
        (case.word, compare(&case.after, &from_record(record, &case.before), case.ignore))
    });
    Some(compared.filter(|(_, found)| !found.is_empty()).collect())
}

/// Compares `rounds` rounds of cases of every instruction; what differs, one line and its details for each.
fn compare_all(rounds: std::ops::Range<u64>, little: bool) -> Vec<String> {
    let directory = std::env::temp_dir().join(format!("timebase-peer-{}-{little}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("temporary directory");
    let peer = build(&directory, little);
    let executor = Executor::new(310);
    let mut bad = Vec::new();
    let mut untested = Vec::new();
    let mut compared = 0;
    for entry in executor.decoder.entries().iter().filter(|entry| tried(entry)) {
        let cases: Vec<Case> =
            rounds.clone().flat_map(|round| more_cases(&executor, entry, round, little)).collect();
        compared += cases.len();
        match failures(&peer, &cases) {
            _ if cases.is_empty() => untested.push(entry.name),
            None => bad.push(format!("{}: the peer died", entry.name)),
            Some(found) => {
                if let Some((word, differences)) = found.first() {
                    let count = format!("{} of {}", found.len(), cases.len());
                    bad.push(format!("{} {word:x}: {count}\n    {}", entry.name, differences.join("\n    ")));
                }
            }
        }
    }
    std::fs::remove_dir_all(&directory).expect("temporary directory");
    println!("{compared} executions compared; not compared: {}", untested.join(" "));
    bad
}

#[test]
#[ignore = "needs user-mode QEMU"]
fn peer() {
    let bad = compare_all(0..1, true);
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
#[ignore = "needs user-mode QEMU"]
fn peer_big_endian() {
    let bad = compare_all(0..1, false);
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// More than ten million executions in both byte orders.
#[test]
#[ignore = "takes an hour"]
fn peer_at_length() {
    for little in [true, false] {
        let bad = compare_all(1..36, little);
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    }
}

const DIGESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions/digests.txt");

/// Digests (FNV-1a) of the states after all cases, by instruction, with the number of cases.
fn digests() -> BTreeMap<&'static str, String> {
    let executor = Executor::new(310);
    let digest = |cases: &[Case]| {
        let bytes = cases.iter().flat_map(|case| to_record(&case.after, case.word));
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ byte as u64).wrapping_mul(0x100_0000_01b3))
    };
    let entries = executor.decoder.entries().iter().filter(|entry| tried(entry));
    let of = |entry| {
        let cases = cases(&executor, entry);
        (entry.name, format!("{} {:016x}", cases.len(), digest(&cases)))
    };
    entries.map(of).collect()
}

/// To be run only when `peer` passes.
#[test]
#[ignore = "overwrites the digests"]
fn write_digests() {
    let lines: String = digests().iter().map(|(name, digest)| format!("{name} {digest}\n")).collect();
    std::fs::write(DIGESTS, lines).expect("digests");
}

#[test]
fn results_are_those_that_the_peer_confirmed() {
    let expected = std::fs::read_to_string(DIGESTS).expect("digests");
    let expected: BTreeMap<&str, &str> = expected.lines().filter_map(|line| line.split_once(' ')).collect();
    let now = digests();
    let changed: Vec<_> = now
        .iter()
        .filter(|(name, digest)| expected.get(*name).is_some_and(|expected| expected != digest))
        .map(|(name, _)| *name)
        .collect();
    assert!(changed.is_empty(), "changed: {changed:?}");
    let missing: Vec<_> = expected.keys().filter(|name| !now.contains_key(*name)).collect();
    assert!(missing.is_empty(), "no longer there: {missing:?}");
}
