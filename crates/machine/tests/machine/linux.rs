//! The Debian installer's kernel on `pseries`: it boots in every configuration, and its history is exact.
//!
//! The guest is the distribution's package debian-installer-12-netboot-ppc64el; `cargo xtask setup` installs it.

use crate::harness::{Random, built, config};
use timebase_machine::{BoxedMachine, Config, Firmware, Images, Stop, build};

const GUEST: &str = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el";
pub const PANIC: &str = "VFS: Unable to mount root fs";

pub fn read(name: &str) -> Vec<u8> {
    std::fs::read(format!("{GUEST}/{name}"))
        .unwrap_or_else(|e| panic!("{name}: {e}: run `cargo xtask setup`, which installs the Debian guest"))
}

fn configured(change: impl Fn(&mut Config)) -> (Config, Images) {
    let mut config = Config { memory_bytes: 1 << 30, append: "console=hvc0 panic=-1".into(), ..config() };
    change(&mut config);
    (config, Images { kernel: Some(read("vmlinux")[..].into()), ..Images::default() })
}

fn linux(change: impl Fn(&mut Config)) -> BoxedMachine {
    let (config, images) = configured(change);
    built(&config, images)
}

/// The same, run by the interpreter alone.
fn interpreted(change: impl Fn(&mut Config)) -> BoxedMachine {
    let (config, images) = configured(change);
    without_compiler(&config, &images)
}

fn without_compiler(config: &Config, images: &Images) -> BoxedMachine {
    build(config, images).map_err(|e| e.0).expect("a good configuration")
}

/// Runs to that instruction.
fn run_to(machine: &mut BoxedMachine, limit: u64) {
    while machine.position().count < limit {
        match machine.run(limit) {
            Stop::Output => drop(machine.take_output()),
            Stop::Idle { .. } => machine.end_idle(),
            stop => assert_eq!(stop, Stop::Limit),
        }
    }
}

/// Runs until the console shows `text`; gives the console so far.
pub fn until(machine: &mut BoxedMachine, text: &str, limit: u64) -> String {
    let mut console = Vec::new();
    loop {
        let stop = machine.run(limit);
        for output in machine.take_output() {
            console.extend(output.bytes);
        }
        let shown = String::from_utf8_lossy(&console[console.len().saturating_sub(4096)..]).into_owned();
        if shown.contains(text) {
            return String::from_utf8_lossy(&console).into_owned();
        }
        match stop {
            Stop::Output => {}
            Stop::Idle { deadline: Some(_) } => machine.end_idle(),
            stop => {
                panic!("{stop:?} at {:?} before `{text}`; the console ends:\n{shown}", machine.position())
            }
        }
    }
}

fn boots(change: impl Fn(&mut Config), expected: &[&str]) {
    let mut machine = linux(change);
    let console = until(&mut machine, PANIC, 3_000_000_000);
    for text in expected {
        assert!(console.contains(text), "`{text}` is missing in:\n{console}");
    }
    for bad in ["Oops", "WARNING: CPU", "BUG:"] {
        assert!(!console.contains(bad), "`{bad}` in:\n{console}");
    }
}

#[test]
fn s14_boots_with_radix_to_the_vfs_panic() {
    boots(|_| {}, &["Using radix MMU under hypervisor", "xive: Interrupt handling initialized"]);
}

#[test]
fn boots_with_hash() {
    boots(|c| c.append.push_str(" disable_radix"), &["hash-mmu: Initializing hash mmu with SLB"]);
}

#[test]
fn boots_on_power10() {
    boots(|c| c.cpu = "power10".into(), &["POWER10"]);
}

#[test]
fn boots_four_cpus() {
    boots(|c| c.cpus = 4, &["smp: Brought up 1 node, 4 CPUs"]);
}

#[test]
fn boots_four_cpus_with_hash_and_xics() {
    let change = |c: &mut Config| {
        c.cpus = 4;
        c.append.push_str(" disable_radix xive=off");
    };
    boots(change, &["smp: Brought up 1 node, 4 CPUs", "hash-mmu: Initializing hash mmu"]);
}

#[test]
fn boots_entered_with_the_flattened_tree() {
    boots(|c| c.firmware = Firmware::None, &["Using radix MMU under hypervisor"]);
}

/// The installer.
fn installer() -> (Config, Images) {
    let config = Config { memory_bytes: 1 << 30, append: "console=hvc0".into(), ..config() };
    let images = Images {
        kernel: Some(read("vmlinux")[..].into()),
        initrd: Some(read("initrd.gz")[..].into()),
        ..Images::default()
    };
    (config, images)
}

#[test]
fn the_installer_starts_its_userland() {
    let (config, images) = installer();
    let mut machine = built(&config, images);
    until(&mut machine, "Starting system log daemon", 6_000_000_000);
}

/// The boot ROM of the peer; its package comes with the guest.
const SLOF: &str = "/usr/share/qemu/slof.bin";

#[test]
fn boots_by_firmware_in_the_guest() {
    let config = Config {
        memory_bytes: 1 << 30,
        append: "console=hvc0 panic=-1".into(),
        firmware: Firmware::Image,
        ..config()
    };
    let rom = std::fs::read(SLOF).unwrap_or_else(|e| panic!("{SLOF}: {e}: run `cargo xtask setup`"));
    let images = Images {
        kernel: Some(read("vmlinux")[..].into()),
        firmware: Some(rom[..].into()),
        ..Images::default()
    };
    let mut machine = built(&config, images);
    let console = until(&mut machine, PANIC, 7_000_000_000);
    for text in ["Welcome to Open Firmware", "client-architecture-support... done", "Using radix MMU"] {
        assert!(console.contains(text), "`{text}` is missing in:\n{console}");
    }
}

/// A shell on the console: what is typed arrives by interrupt, and `reboot` starts the machine anew.
#[test]
fn s13_a_shell_reads_the_console_and_reboots_the_machine() {
    let (config, images) = installer();
    let config = Config { append: "console=hvc0 rdinit=/bin/sh".into(), cpus: 2, ..config };
    let mut machine = built(&config, images);
    let limit = 6_000_000_000;
    until(&mut machine, "~ # ", limit);
    // The answer is not in what is typed, which is echoed.
    for (typed, answer) in [
        ("mount -t proc p /proc; echo $((6 * 7))\n", "42"),
        ("sleep 100; read line; echo got ${line}\n", "${line}"),
        ("some words\n", "got some words"),
        ("grep -c 'XIVE-IRQ.*[1-9] .*hvc_console' /proc/interrupts; echo do''ne\n", "done"),
    ] {
        machine.input("console0", typed.as_bytes()).expect("the console is a port");
        until(&mut machine, answer, limit);
    }
    machine.input("console0", b"reboot -f\n").expect("the console is a port");
    let stop = loop {
        let stop = machine.run(limit);
        machine.take_output();
        match stop {
            Stop::Output => {}
            Stop::Idle { deadline: Some(_) } => machine.end_idle(),
            stop => break stop,
        }
    };
    assert_eq!(stop, Stop::Reset);
    machine.reset();
    until(&mut machine, "~ # ", 2 * limit);
}

/// Digests of a boot at some counts: by the interpreter straight on, and by compiled code with caches flushed and runs
/// cut at random.
#[test]
fn a_boot_with_random_flushes_and_quanta_has_the_same_digests() {
    for cpus in [1, 4] {
        let digests = |disturb: bool| -> Vec<String> {
            let cpus = |c: &mut Config| c.cpus = cpus;
            let mut machine = if disturb { linux(cpus) } else { interpreted(cpus) };
            let mut random = Random(7);
            let mut all = Vec::new();
            for point in 1..=6 {
                let end = point * 50_000_000;
                while machine.position().count < end {
                    let step = if disturb { random.below(3_000_000) + 1 } else { u64::MAX / 4 };
                    let limit = end.min(machine.position().count + step);
                    match machine.run(limit) {
                        Stop::Output => {
                            machine.take_output();
                        }
                        Stop::Idle { .. } => machine.end_idle(),
                        _ => {}
                    }
                    if disturb {
                        machine.set_quantum([1009, 97, 99_991, u64::MAX][random.below(4) as usize]);
                        match random.below(8) {
                            0..=2 => machine.flush_caches(),
                            3 => drop(machine.snapshot()),
                            _ => {}
                        }
                    }
                }
                all.push(machine.digest().to_string());
            }
            all
        };
        assert_eq!(digests(true), digests(false), "{cpus} CPUs");
    }
}

/// The whole boot of the installer, in pieces of random length: by either engine, which take over from one another, in
/// runs of every length down to one instruction, with caches flushed at random.
#[test]
#[ignore = "takes minutes"]
fn large_a_boot_with_initrd_by_engines_in_turn_has_the_same_digests() {
    let (config, images) = installer();
    let mut straight = without_compiler(&config, &images);
    let mut machines = [built(&config, images.clone()), without_compiler(&config, &images)];
    let (mut present, mut random, mut turns) = (0, Random(11), 0);
    for point in 1..=12 {
        let end = point * 200_000_000;
        run_to(&mut straight, end);
        while machines[present].position().count < end {
            let machine = &mut machines[present];
            let piece = random.below(3_000_000) + 1;
            machine.set_quantum([1, 3, 97, 1009, 99_991, u64::MAX][random.below(6) as usize]);
            run_to(machine, end.min(machine.position().count + piece));
            match random.below(16) {
                0..=3 => machine.flush_caches(),
                4..=6 => {
                    let snapshot = machine.snapshot();
                    present = 1 - present;
                    machines[present].restore(&snapshot).expect("the same configuration");
                    turns += 1;
                }
                _ => {}
            }
        }
        assert_eq!(machines[present].digest(), straight.digest(), "after {end} instructions");
    }
    assert!(turns > 100, "{turns} turns");
}

/// Restored into `fresh` at random positions, runs go on as `straight` does.
pub fn restored(straight: &mut BoxedMachine, fresh: &mut BoxedMachine, positions: u64, end: u64) {
    let mut random = Random(5);
    let mut positions: Vec<u64> = (0..positions).map(|_| random.below(end)).collect();
    positions.sort_unstable();
    for position in positions {
        run_to(straight, position);
        fresh.restore(&straight.snapshot()).expect("the same configuration");
        assert_eq!(fresh.digest(), straight.digest(), "restored at {position}");
        let later = position + 200_000;
        run_to(fresh, later);
        run_to(straight, later);
        assert_eq!(fresh.digest(), straight.digest(), "from {position} to {later}");
    }
}

#[test]
fn restored_at_100_random_positions_of_a_boot_equals_straight() {
    // Each stretch is run by both engines.
    restored(&mut linux(|_| {}), &mut interpreted(|_| {}), 100, 960_000_000);
}
