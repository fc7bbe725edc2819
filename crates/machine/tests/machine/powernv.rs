//! skiboot and the Debian installer's kernel on `powernv9`, and what its history owes.
//!
//! The firmware is the distribution's package qemu-system-data; the kernel is that of `linux.rs`.

use crate::harness::{Random, built, config};
use crate::linux::{PANIC, read, restored, until};
use std::collections::BTreeMap;
use timebase_machine::{BoxedMachine, Config, Firmware, Images, Stop, build};

const FIRMWARE: &str = "/usr/share/qemu/skiboot.lid";

fn configured(kernel: Option<Vec<u8>>, change: impl Fn(&mut Config)) -> (Config, Images) {
    let firmware = std::fs::read(FIRMWARE)
        .unwrap_or_else(|e| panic!("{FIRMWARE}: {e}: install the package qemu-system-data"));
    let mut config = Config {
        machine: "powernv9".into(),
        memory_bytes: 1 << 30,
        firmware: Firmware::Image,
        append: "console=hvc0 panic=-1".into(),
        ..config()
    };
    change(&mut config);
    (
        config,
        Images {
            kernel: kernel.map(|kernel| kernel[..].into()),
            firmware: Some(firmware[..].into()),
            ..Images::default()
        },
    )
}

/// A machine whose kernel is `kernel`.
fn machine(kernel: Option<Vec<u8>>, change: impl Fn(&mut Config)) -> BoxedMachine {
    let (config, images) = configured(kernel, change);
    built(&config, images)
}

/// The same, run by the interpreter alone.
fn interpreted(kernel: Option<Vec<u8>>, change: impl Fn(&mut Config)) -> BoxedMachine {
    let (config, images) = configured(kernel, change);
    build(&config, &images).map_err(|e| e.0).expect("a good configuration")
}

/// Runs to the count `limit`, idle time skipped.
fn run_to(machine: &mut BoxedMachine, limit: u64) {
    loop {
        match machine.run(limit) {
            Stop::Limit => return,
            Stop::Output => _ = machine.take_output(),
            Stop::Idle { deadline: Some(_) } => machine.end_idle(),
            stop => panic!("{stop:?} at {:?}", machine.position()),
        }
    }
}

#[test]
fn boots_linux_which_asks_the_management_controller_for_a_reset() {
    let mut machine = machine(Some(read("vmlinux")[..].into()), |_| {});
    let console = until(&mut machine, PANIC, 4_000_000_000);
    // skiboot 7.0 leaves the chiptod alone where it believes to be in a simulator.
    let synchronized = console.contains("CHIPTOD: Synchronized all processors");
    assert_eq!(synchronized, !console.contains("OPAL v7.0 "), "{console}");
    let expected = [
        "OPAL v",
        "CPU: All 1 processors called in",
        "64-bit LE kernel discovered",
        "radix-mmu: Initializing Radix MMU",
        "xive: Interrupt handling initialized with native backend",
        "HIOMAP: Negotiated hiomap protocol v2",
        "OPAL nvram setup, 262144 bytes",
        "PHB#0003:00:00.0 [ROOT] 1014 04c1",
        "pci 0000:00:00.0: PCI bridge to [bus 01]",
        "EEH: Capable adapter found",
    ];
    for text in expected {
        assert!(console.contains(text), "`{text}` is missing in:\n{console}");
    }
    for bad in [
        "Oops",
        "WARNING: CPU",
        "BUG:",
        "XIVE: ERR",
        "SBE: ",
        "SLW: ",
        "NVRAM: ",
        "FFS: ",
        "IMC: ",
        ",3] OCC: ",
    ] {
        assert!(!console.contains(bad), "`{bad}` in:\n{console}");
    }
    loop {
        match machine.run(6_000_000_000) {
            Stop::Output => _ = machine.take_output(),
            Stop::Idle { deadline: Some(_) } => machine.end_idle(),
            stop => break assert_eq!(stop, Stop::Reset),
        }
    }
    machine.reset();
    until(&mut machine, "OPAL v", 8_000_000_000);
}

/// The firmware asks the management controller for a reset and waits for it, in a loop of no device.
#[test]
fn a_reset_that_a_device_asks_for_is_the_end_of_that_instruction() {
    let mut machine = machine(Some(b"this is no kernel\n".repeat(1000)), |_| {});
    until(&mut machine, "Unable to log error", 200_000_000);
    let before = machine.snapshot();
    let run = |machine: &mut BoxedMachine, stride: u64| loop {
        match machine.run(machine.position().count + stride) {
            Stop::Reset => return (machine.position(), machine.digest()),
            Stop::Limit => {}
            Stop::Output => _ = machine.take_output(),
            Stop::Idle { deadline: Some(_) } => machine.end_idle(),
            stop => panic!("{stop:?}"),
        }
    };
    let end = run(&mut machine, 1 << 40);
    for stride in [1, 7, 1009] {
        machine.restore(&before).unwrap();
        assert_eq!(run(&mut machine, stride), end, "{stride}");
    }
}

#[test]
fn boots_on_power10() {
    let mut machine = machine(Some(read("vmlinux")[..].into()), |c| c.machine = "powernv10".into());
    let console = until(&mut machine, PANIC, 4_000_000_000);
    for text in [
        "POWER10",
        "xive: Interrupt handling initialized with native backend",
        "PHB#0003:00:00.0 [ROOT] 1014 0652",
        "PCI host bridge to bus 0003:00",
    ] {
        assert!(console.contains(text), "`{text}` is missing in:\n{console}");
    }
    assert!(!console.contains("SLW: "), "{console}");
}

#[test]
fn boots_with_hash_translation() {
    let mut machine = machine(Some(read("vmlinux")[..].into()), |c| c.append += " disable_radix");
    let console = until(&mut machine, PANIC, 4_000_000_000);
    for text in ["hash-mmu: Initializing hash mmu with SLB", "smp: Brought up"] {
        assert!(console.contains(text), "`{text}` is missing in:\n{console}");
    }
}

/// A kernel that panics has the firmware stop the other threads: by direct controls it quiesces them one by one, and
/// resets them.
#[test]
fn a_thread_stops_and_resets_another_by_direct_controls() {
    let mut machine = machine(Some(read("vmlinux")[..].into()), |c| {
        c.machine = "powernv10".into();
        c.append = "console=hvc0".into();
        (c.cpus, c.threads) = (4, 2);
    });
    until(&mut machine, PANIC, 8_000_000_000);
    let (mut stopped, end) = ([false; 4], machine.position().count + 100_000_000);
    while machine.position().count < end {
        let limit = machine.position().count + 500;
        match machine.run(limit) {
            Stop::Output => _ = machine.take_output(),
            Stop::Idle { deadline: Some(_) } => machine.end_idle(),
            _ => {}
        }
        for cpu in 0..4 {
            stopped[cpu as usize] |= machine.activity(cpu) == "stopped";
        }
    }
    assert_eq!(stopped.iter().filter(|&&stopped| stopped).count(), 3);
    for cpu in 0..4 {
        assert_ne!(machine.activity(cpu), "stopped");
    }
}

/// `--cpus N,threads=T,sockets=S`: Linux finds the nodes, all threads, and how many a core has.
fn boots_with_threads(name: &str, (cpus, threads, sockets): (u32, u32, u32), brought_up: &str) {
    let mut machine = machine(Some(read("vmlinux")[..].into()), |c| {
        c.machine = name.into();
        (c.cpus, c.threads, c.sockets) = (cpus, threads, sockets);
        c.memory_bytes = (sockets as u64) << 30;
    });
    let console = until(&mut machine, brought_up, 14_000_000_000);
    for text in [
        format!("CPU: All {cpus} processors called in"),
        format!("CPU maps initialized for {threads} thread"),
    ] {
        assert!(console.contains(&text), "`{text}` is missing in:\n{console}");
    }
}

#[test]
fn boots_four_cpus() {
    boots_with_threads("powernv9", (4, 1, 1), "smp: Brought up 1 node, 4 CPUs");
}

#[test]
fn boots_four_threads_of_a_core() {
    for name in ["powernv9", "powernv10"] {
        boots_with_threads(name, (4, 4, 1), "smp: Brought up 1 node, 4 CPUs");
    }
}

#[test]
fn boots_two_sockets() {
    for name in ["powernv9", "powernv10"] {
        boots_with_threads(name, (2, 1, 2), "smp: Brought up 2 nodes, 2 CPUs");
    }
}

#[test]
fn boots_two_chips_of_two_cores_of_four_threads() {
    boots_with_threads("powernv9", (16, 4, 2), "smp: Brought up 2 nodes, 16 CPUs");
}

#[test]
fn boots_two_chips_of_two_cores_of_four_threads_on_power10() {
    boots_with_threads("powernv10", (16, 4, 2), "smp: Brought up 2 nodes, 16 CPUs");
}

/// A payload that is no ELF file and big-endian: guests/big-endian.
#[test]
fn a_big_endian_payload_takes_interrupts_in_the_state_that_hile_names() {
    let payload = include_bytes!("../../../../guests/big-endian/big-endian.bin");
    for name in ["powernv9", "powernv10"] {
        let mut machine = machine(Some(payload.to_vec()), |c| c.machine = name.into());
        until(&mut machine, "payload: traps in big-endian state: 2, little-endian: 2", 1_000_000_000);
        loop {
            match machine.run(1_000_000_000) {
                Stop::Output => _ = machine.take_output(),
                Stop::Idle { deadline: Some(_) } => machine.end_idle(),
                stop => break assert_eq!(stop, Stop::PowerOff),
            }
        }
    }
}

/// A machine whose firmware is these instructions, which begin at 0x10 and end in an endless loop.
fn bare_machine(name: &str, words: &[u32]) -> BoxedMachine {
    const END: u32 = 0x4800_0000;
    let code: Vec<u8> =
        [&[0; 4], words, &[END; 4]].concat().iter().flat_map(|word| word.to_be_bytes()).collect();
    let (config, mut images) = configured(None, |c| c.machine = name.into());
    images.firmware = Some(code[..].into());
    build(&config, &images).map_err(|e| e.0).expect("a good configuration")
}

/// Runs such firmware; gives general registers 3 to 8 and what was not answered.
fn bare(name: &str, words: &[u32]) -> (Vec<u64>, BTreeMap<String, u64>) {
    let mut machine = bare_machine(name, words);
    assert_eq!(machine.run(words.len() as u64 + 100), Stop::Limit);
    (machine.vcpu(0).regs.gpr[3..9].to_vec(), machine.statistics().engine)
}

/// Loads a general register with a value.
fn load(register: u32, value: u64) -> [u32; 5] {
    let part = |shift: u32| (value >> shift & 0xffff) as u32;
    let (to, both) = (register << 21, register << 21 | register << 16);
    [
        0x3c00_0000 | to | part(48),
        0x6000_0000 | both | part(32),
        0x7800_07c6 | both,
        0x6400_0000 | both | part(16),
        0x6000_0000 | both | part(0),
    ]
}

/// Where XSCOM registers of chip 0 are, a doubleword each.
const XSCOM: u64 = 0x0006_03fc_0000_0000;
/// `ldcix` and `stdcix` of a register, by the address in r10.
fn ldcix(to: u32) -> u32 {
    0x7c00_56ea | to << 21
}
fn stdcix(from: u32) -> u32 {
    0x7c00_57ea | from << 21
}

/// Of an XSCOM register that does not exist, and of addresses that nobody has, hardware reads all ones; HMER tells of the
/// former (POWER9 Processor User's Manual, "HMER": bit 8 an XSCOM access failed, 9 it is done, 21 to 23 the cause, here
/// an invalid address).
#[test]
fn what_does_not_exist_reads_as_all_ones_and_is_counted() {
    const HMER: u32 = 336;
    let spr = |number: u32| (number & 31) << 16 | (number >> 5) << 11;
    let mfspr = |to: u32, number: u32| 0x7c00_02a6 | to << 21 | spr(number);
    let mtspr = |number: u32, from: u32| 0x7c00_03a6 | from << 21 | spr(number);
    let nothing = 0x0006_0123_4567_8000;
    for name in ["powernv9", "powernv10"] {
        let mut words = Vec::new();
        // One that exists, one that does not: what it reads, and HMER; a store to it; then an address that nobody has.
        for (number, register) in [(0xf_000f, 3), (0xdead, 5)] {
            words.extend(load(10, XSCOM + 8 * number));
            words.extend([ldcix(register), mfspr(register + 1, HMER)]);
        }
        let clear = [0x38e0_0000, mtspr(HMER, 7)];
        words.extend(clear);
        words.extend([stdcix(7), mfspr(7, HMER)]);
        words.extend(load(10, nothing));
        words.extend([ldcix(8), stdcix(8)]);
        let (registers, counts) = bare(name, &words);
        let (done, failed) = (1 << 54, 1 << 55 | 4 << 40);
        let id = if name == "powernv9" { 0x220d_1049_0000_8000 } else { 0x220d_a049_8000_0000 };
        assert_eq!(registers, [id, done, u64::MAX, done | failed, done | failed, u64::MAX], "{name}");
        let counted =
            ["xscom load 0xdead", "xscom store 0xdead", "load 0x6012345678000", "store 0x6012345678000"];
        for what in counted {
            assert_eq!(counts.get(&format!("unanswered {what}")), Some(&1), "{name}: {what} in {counts:?}");
        }
    }
}

#[test]
fn without_a_kernel_the_firmware_says_so() {
    let mut machine = machine(None, |_| {});
    until(&mut machine, "INIT: Waiting for kernel", 1_000_000_000);
}

#[test]
fn restored_at_random_positions_of_the_firmware_equals_straight() {
    const END: u64 = 60_000_000;
    let mut straight = machine(None, |c| c.cpus = 2);
    run_to(&mut straight, END);
    let expected = straight.digest();
    let mut random = Random(3);
    for _ in 0..8 {
        let at = random.below(END);
        let mut first = machine(None, |c| c.cpus = 2);
        run_to(&mut first, at);
        let (digest, snapshot) = (first.digest(), first.snapshot());
        let mut second = machine(None, |c| c.cpus = 2);
        second.restore(&snapshot).expect("a snapshot of the same machine");
        assert_eq!(second.digest(), digest, "at {at}");
        second.set_quantum(1 + random.below(5000));
        run_to(&mut second, END);
        assert_eq!(second.digest(), expected, "from {at}");
    }
}

fn restored_in_a_boot(name: &str, cpus: u32, positions: u64) {
    let change = |c: &mut Config| {
        c.machine = name.into();
        c.cpus = cpus;
    };
    let kernel = Some(read("vmlinux")[..].into());
    // Each stretch is run by both engines.
    let mut straight = machine(kernel.clone(), change);
    restored(&mut straight, &mut interpreted(kernel, change), positions, 1_000_000_000);
}

#[test]
fn s16_gap3_restored_at_100_random_positions_of_a_boot_equals_straight() {
    restored_in_a_boot("powernv9", 2, 100);
    restored_in_a_boot("powernv10", 1, 100);
}

#[test]
#[ignore = "takes minutes"]
fn large_s16_gap3_restored_at_1_000_random_positions_of_boots_equals_straight() {
    for name in ["powernv9", "powernv10"] {
        for cpus in [1, 4] {
            restored_in_a_boot(name, cpus, 1_000);
        }
    }
}

#[test]
fn a_reset_machine_equals_a_new_one() {
    // Two chips, two threads of a core; in XIVE's initialisation, behind that of PCI, and when the firmware waits for the
    // kernel.
    for (name, count) in [("powernv9", 20_000_000), ("powernv9", 80_000_000), ("powernv10", 270_000_000)] {
        let change = |c: &mut Config| {
            c.machine = name.into();
            (c.cpus, c.threads, c.sockets, c.memory_bytes) = (4, 2, 2, 2 << 30);
        };
        let mut machine = machine(None, change);
        run_to(&mut machine, count);
        machine.reset();
        machine.reset();
        let mut reset = machine.snapshot();
        // Output so far, and the clock, are what a reset keeps.
        let mut new = self::machine(None, change);
        let kept = ["output", "devices.lpc.bmc.clock"];
        let differences = new.differences(&reset);
        let other = differences.iter().find(|d| !kept.iter().any(|path| d.path.starts_with(path)));
        assert_eq!(other, None, "{name} at {count}");
        reset = machine.snapshot();
        new.restore(&reset).expect("a snapshot of the same machine");
        assert_eq!(new.digest(), machine.digest());
    }
}

#[test]
fn perturbing_any_field_changes_the_digest() {
    for name in ["powernv9", "powernv10"] {
        let mut machine = machine(None, |c| {
            c.cpus = 2;
            c.machine = name.into();
        });
        run_to(&mut machine, 40_000_000);
        assert!(perturb(&mut machine).len() > 500, "{name}");
    }
}

/// The same where the engines of counters run: that of a core, and that of the chip's units.
#[test]
fn perturbing_any_field_of_engines_that_count_changes_the_digest() {
    const RUNS: u64 = 1 << 59;
    const RESUME: u64 = 1;
    let command = (1 << 30) - 0x280_0000 + 0x1b_fc08;
    for (name, mode) in [("powernv9", 0x1001_2200), ("powernv10", 0x2001_8680)] {
        let mut words = Vec::new();
        for (address, value) in [(XSCOM + 8 * mode, RUNS), (command, RESUME)] {
            words.extend(load(10, address));
            words.extend(load(9, value));
            words.push(stdcix(9));
        }
        let mut machine = bare_machine(name, &words);
        // The on-chip controllers look every 4 ms.
        run_to(&mut machine, 10_000_000);
        let paths = perturb(&mut machine);
        for field in ["imc.engines[0].run", "occ.engines[0].since", "occ.next"] {
            assert!(paths.iter().any(|path| path.contains(field)), "{name}: no {field} in {paths:?}");
        }
    }
}

/// Changes each leaf of the state, and sees the digest change. Their paths.
fn perturb(machine: &mut BoxedMachine) -> Vec<String> {
    let snapshot = machine.snapshot();
    let digest = machine.digest();
    let mut paths = Vec::new();
    while let Some(path) = machine.perturb(paths.len() as u64) {
        assert_ne!(machine.digest(), digest, "{path}");
        machine.restore(&snapshot).expect("a snapshot of the same machine");
        paths.push(path);
    }
    paths
}

/// A hypervisor of one partition, in `guests/partition`: radix in two levels that is filled as the guest comes upon it,
/// what the guest takes itself, HFSCR, HDEC, doorbells, `sc 1`.
#[test]
fn a_bare_hypervisor_runs_the_guest_of_its_partition() {
    const END: u64 = 20_000;
    let firmware = include_bytes!("../../../../guests/partition/partition.bin");
    for name in ["powernv9", "powernv10"] {
        let (config, mut images) = configured(None, |c| c.machine = name.into());
        images.firmware = Some(firmware[..].into());
        let mut machine = build(&config, &images).map_err(|e| e.0).expect("a good configuration");
        run_to(&mut machine, END);
        let digest = machine.digest();
        // Calls; data and instruction storage; decrementer; doorbells; facility; HDSISR: no page, by a store; own ones.
        let counts = machine.vcpu(0).regs.gpr[16..24].to_vec();
        assert_eq!(counts, [2, 8, 8, 1, 1, 1, 0x4200_0000, 3], "{name}");
        // The compiler sees the same, and so does who goes on from a snapshot.
        let mut compiled = built(&config, images.clone());
        for at in (0..END).step_by(97) {
            run_to(&mut compiled, at);
            machine.restore(&compiled.snapshot()).expect("a snapshot of the same machine");
            run_to(&mut machine, END);
            assert_eq!(machine.digest(), digest, "{name} from {at}");
        }
        run_to(&mut compiled, END);
        assert_eq!(compiled.digest(), digest, "{name}");
    }
}

#[test]
fn what_cannot_be_built_is_refused_in_one_line() {
    let refused = |images: Images, change: fn(&mut Config)| {
        let mut config = Config {
            machine: "powernv9".into(),
            memory_bytes: 1 << 30,
            firmware: Firmware::Image,
            ..config()
        };
        change(&mut config);
        let error = build(&config, &images).map(|_| ()).expect_err("no machine").0;
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let firmware = |bytes: &[u8]| Images { firmware: Some(bytes[..].into()), ..Images::default() };
    assert!(refused(Images::default(), |_| {}).contains("--firmware"));
    assert!(refused(firmware(b"\x7fELF and more"), |_| {}).contains("skiboot.lid"));
    assert!(refused(firmware(&[0; 4096]), |c| c.cpus = 0).contains("CPUs"));
    assert!(refused(firmware(&[0; 4096]), |c| c.memory_bytes = 1 << 20).contains("memory"));
}
