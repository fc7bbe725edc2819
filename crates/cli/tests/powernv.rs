//! Bare-metal machines as their users see them. The firmware is the package qemu-system-data, the guest the package
//! debian-installer-12-netboot-ppc64el.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const GUEST: &str = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el";

/// Exit status, standard output, standard error.
fn say(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_timebase"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_no_bare_metal_machine_can_be_made_of_is_refused_in_one_line() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = place.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let elf = file("elf", &fs::read(env!("CARGO_BIN_EXE_timebase")).unwrap()[..4096]);
    let text = file("text", &b"this is no firmware\n".repeat(20));
    let (short, zeros) = (file("short", &[0x48; 19]), file("zeros", &[0; 4096]));
    let large = file("large", &[0x60, 0, 0, 0].repeat((4 << 20) + 1));
    // Firmware moves itself to where these would lie; they have no blocks.
    let sparse = |name: &str| {
        let path = place.path().join(name);
        fs::File::create(&path).unwrap().set_len((256 << 20) + 1).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (initrd, kernel) = (sparse("initrd"), file("kernel", &[0; 64]));
    let gzip = file("gzip", &[0x1f, 0x8b, 8, 0]);
    for (arguments, status, reason) in [
        (&["--firmware", "/nowhere"][..], 1, "cannot read the firmware /nowhere"),
        (&["--firmware", "none"], 2, "no firmware: give --firmware FILE"),
        (&["--firmware", &elf], 1, "firmware: it is no boot image"),
        (&["--firmware", &text], 1, "firmware: it is no boot image"),
        (&["--firmware", &short], 1, "firmware: it is no boot image"),
        (&["--firmware", &zeros], 1, "firmware: it is no boot image"),
        (&["--firmware", &large], 1, "firmware: it is larger than 16 MiB"),
        (&["--kernel", &elf], 1, "kernel: it is an ELF file for machine"),
        (&["--kernel", &gzip], 1, "kernel: it is compressed by gzip"),
        (&["--cpu", "power10"], 2, "--cpu power10: the CPUs of powernv9 are power9"),
        (&["--cpus", "4,threads=3"], 2, "3 threads to a core: use 1, 2 or 4"),
        (&["--cpus", "4,sockets=4"], 2, "4 sockets: this machine has 1 or 2"),
        (&["--cpus", "3,sockets=2"], 2, "3 CPUs on 2 sockets with 1 threads to a core"),
        (&["--cpus", "4,cores=3"], 2, "3 cores of 1 threads on 1 sockets are not 4 CPUs"),
        (&["--cpus", "4,sockets=1,sockets=2"], 2, "`sockets=2`: it is given twice"),
        (&["--cpus", "25"], 2, "give a multiple of 1 up to 24"),
        (&["--cpus", "2,sockets=2"], 2, "two sockets need 2 GiB"),
        (&["--memory", "768M"], 2, "memory of 768 MiB: give a multiple of 256 MiB between 1 GiB and 1 TiB"),
        (&["--kernel", &kernel, "--initrd", &initrd], 1, "initrd: it is larger than 128 MiB"),
        (&["--kernel", &initrd], 1, "kernel: it is larger than 256 MiB"),
        (&["--memory", "700M"], 2, "memory of 700 MiB: give a multiple of 256 MiB"),
    ] {
        let (code, out, err) = say(&[&["run", "--machine", "powernv9"], arguments].concat());
        assert_eq!((code, out.as_str(), err.lines().count()), (Some(status), "", 1), "{arguments:?}: {err}");
        assert!(err.contains(reason), "{arguments:?}: {err}");
    }
}

#[test]
fn without_a_kernel_the_firmware_says_so_and_that_is_the_end() {
    let place = tempfile::tempdir().unwrap();
    let tb = place.path().join("none.tb").to_str().unwrap().to_owned();
    let (code, out, err) = say(&["record", "-o", &tb, "--machine", "powernv9"]);
    assert!(out.contains("INIT: ELF header not found"), "{out}");
    assert_eq!((code, err.lines().count(), out.matches("OPAL v").count()), (Some(7), 1, 1), "{err}");
    assert!(err.contains("no kernel: the firmware found nothing to start"), "{err}");
    let (code, replayed, err) = say(&["replay", &tb]);
    assert_eq!((code, replayed == out), (Some(0), true), "{err}");
    // Whoever waits for something is told that it did not come.
    let (code, _, err) = say(&["run", "--machine", "powernv9", "--until", "a kernel"]);
    assert_eq!(code, Some(3), "{err}");
}

#[test]
fn what_is_no_kernel_is_started_as_code_and_that_is_the_end() {
    let place = tempfile::tempdir().unwrap();
    for (name, bytes, last) in [
        ("zeros", vec![0; 4096], "FATAL: Kernel is zeros"),
        ("text", b"this is no kernel\n".repeat(1000), "Fatal Exception 0xe40"),
    ] {
        let file = place.path().join(name);
        fs::write(&file, bytes).unwrap();
        let tb = place.path().join("none.tb").to_str().unwrap().to_owned();
        let (code, out, err) =
            say(&["record", "-o", &tb, "--machine", "powernv9", "--kernel", file.to_str().unwrap()]);
        assert!(out.contains(last), "{out}");
        assert_eq!((code, err.lines().count(), out.matches("OPAL v").count()), (Some(7), 1, 1), "{err}");
        assert!(err.contains("kernel: it is no ELF file"), "{err}");
        let (code, replayed, err) = say(&["replay", &tb]);
        assert_eq!((code, replayed == out), (Some(0), true), "{err}");
    }
}

/// Records Linux whose init is a shell, on a machine and with more on its command line, at which `send` is typed, until
/// `until` is shown; and that it replays exactly. Standard output.
fn typed(machine: &[&str], append: &str, send: &str, until: &str) -> String {
    let (kernel, initrd) = (format!("{GUEST}/vmlinux"), format!("{GUEST}/initrd.gz"));
    assert!(Path::new(&initrd).exists(), "no {initrd}: run `cargo xtask setup`, which installs the guest");
    let place = tempfile::tempdir().unwrap();
    let tb = place.path().join("typed.tb").to_str().unwrap().to_owned();
    let append = format!("console=hvc0 rdinit=/bin/sh {append}");
    let guest = ["--kernel", &kernel, "--initrd", &initrd, "--append", &append];
    let typing = ["--send", send, "--until", until, "--until-count", "5000000000"];
    let (code, out, err) = say(&[&["record", "-o", &tb, "--machine"], machine, &guest, &typing].concat());
    assert_eq!(code, Some(0), "{out}\n{err}");
    let (code, replayed, err) = say(&["replay", &tb]);
    assert_eq!((code, replayed == out), (Some(0), true), "{err}");
    out
}

/// Console input on POWER10: interrupts of the serial port by LPC, PSI and the second XIVE, two threads of a core.
#[test]
fn linux_on_power10_is_typed_at_and_replays_exactly() {
    let machine = ["powernv10", "--cpus", "2,threads=2"];
    typed(&machine, "quiet", r"~ # =echo $((6*8\x7f7)) is the answer\n", "42 is the answer");
}

/// What Linux's debugging files inject into a PCI host bridge: an error that interrupts, one that fences the bridge. Linux
/// resets the bridge and finds its root port again.
fn linux_recovers_from_errors_of_a_pci_host_bridge(machine: &str) {
    const MOUNT: &str = "mount -t sysfs s /sys; mount -t proc p /proc; mount -t debugfs d /sys/kernel/debug";
    const INJECT: &str = "cd /sys/kernel/debug/powerpc; \
        echo 0x8000000000000000 > PCI0000/err_injct_inboundA; sleep 1; \
        grep opal-eeh /proc/interrupts; \
        echo 0x8000000000000000 > PCI0000/err_injct_outbound; cat PCI0000/err_injct_outbound; \
        echo 0000:00:00.0 > eeh_dev_check; sleep 9; cat PCI0000/err_injct_outbound";
    let end = "echo $((6*7)) is the end";
    let out = typed(&[machine], "", &format!("~ # ={MOUNT}; {INJECT}; {end}\\n"), "42 is the end");
    for text in [
        "PHB#0000[0:0]: PHB Freeze/Fence detected !",
        "EEH: Recovering PHB#0",
        "PhbTxeErr:  8000000000000000 8000000000000000",
        "EEH: Recovery successful.",
    ] {
        assert!(out.contains(text), "`{text}` is missing in:\n{out}");
    }
    // The register to inject by: fenced off, and after the reset.
    let read = out.lines().map(str::trim_end).filter(|line| matches!(*line, "0xffffffffffffffff" | "0x0"));
    assert_eq!(read.collect::<Vec<_>>(), ["0xffffffffffffffff", "0x0"], "{out}");
    // How many there are at the end depends on where skiboot probes the slot.
    let events = out.lines().find(|line| line.contains("opal-eeh") && line.contains("OPAL EVT"));
    assert_eq!(events.and_then(|line| line.split_whitespace().nth(1)), Some("1"), "{out}");
}

#[test]
fn linux_recovers_from_errors_of_a_pci_host_bridge_and_replays_exactly() {
    linux_recovers_from_errors_of_a_pci_host_bridge("powernv9");
}

#[test]
fn linux_on_power10_recovers_from_errors_of_a_pci_host_bridge_and_replays_exactly() {
    linux_recovers_from_errors_of_a_pci_host_bridge("powernv10");
}

/// What on-chip controllers have in main memory: a sensor by firmware and by Linux itself, a power cap, the counter of the
/// power bus, which pauses and then counts for a second.
fn linux_reads_what_on_chip_controllers_share(machine: &str, bus: &str) {
    const LOOK: &str = "mount -t sysfs s /sys; mount -t debugfs d /sys/kernel/debug; \
        ls /sys/bus/event_source/devices; cat /sys/class/hwmon/hwmon0/temp1_input; \
        cd /sys/firmware/opal; head -c 4 exports/occ_inband_sensors | cat -v; echo; \
        CAP=powercap/system-powercap/powercap-current; [ -e $CAP ] && echo 2000 > $CAP && cat $CAP || echo no cap; \
        cd exports; X=$(echo imc_nest*); \
        look() { dd if=$X bs=1 skip=$1 count=8 2> /dev/null | cat -v; echo; }; \
        look 280; look 261120; echo 1 > /sys/kernel/debug/powerpc/imc/imc_cmd_0; sleep 1; look 261120; look 280; \
        echo $((6*7)) is the end";
    let out = typed(&[machine], "", &format!("~ # ={LOOK}\\n"), "42 is the end");
    // As hostboot does, the tree says whose memory that is.
    assert!(out.contains("HOMER Image at") && !out.contains("is not reserved"), "{out}");
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    let devices = lines.iter().flat_map(|line| line.split_whitespace());
    let counters = [bus, "core_imc", "thread_imc"].map(|name| devices.clone().any(|device| device == name));
    assert_eq!(counters, [true; 3], "{out}");
    let after =
        lines.iter().position(|line| *line == "40000").unwrap_or_else(|| panic!("no sensor in:\n{out}"));
    let [sensors, cap, before, paused, running, cycles] = lines[after + 1..after + 7] else {
        panic!("{out}")
    };
    const ZEROS: &str = "^@^@^@^@^@^@^@";
    // skiboot 7.0 takes no controller for one that it can command: "major != 0x9 || major != 0xA".
    let expected = if out.contains("OPAL v7.0 ") { "no cap" } else { "2000" };
    assert_eq!((sensors, cap), ("^A^A^@^A", expected), "{out}");
    assert_eq!(
        (before, paused, running),
        (&*format!("{ZEROS}^@"), &*format!("{ZEROS}^B"), &*format!("{ZEROS}^A"))
    );
    // A second of 2 GHz by 256 is 0x77_3594: it ended within the last four milliseconds.
    assert!(cycles.starts_with("^@^@^@^@^@w"), "{cycles}");
}

#[test]
fn linux_on_power9_reads_what_on_chip_controllers_share() {
    linux_reads_what_on_chip_controllers_share("powernv9", "nest_powerbus0_imc");
}

#[test]
fn linux_on_power10_reads_what_on_chip_controllers_share() {
    linux_reads_what_on_chip_controllers_share("powernv10", "nest_pb_imc");
}
