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
/// resets the bridge and finds its root port again. Counters of cores and threads are there.
#[test]
fn linux_recovers_from_errors_of_a_pci_host_bridge_and_replays_exactly() {
    const MOUNT: &str = "mount -t sysfs s /sys; mount -t proc p /proc; mount -t debugfs d /sys/kernel/debug";
    const INJECT: &str = "cd /sys/kernel/debug/powerpc; \
        echo 0x8000000000000000 > PCI0000/err_injct_inboundA; sleep 1; \
        echo 0x8000000000000000 > PCI0000/err_injct_outbound; cat PCI0000/err_injct_outbound; \
        echo 0000:00:00.0 > eeh_dev_check; sleep 9; cat PCI0000/err_injct_outbound";
    const LOOK: &str =
        "ls /sys/bus/event_source/devices; grep opal-eeh /proc/interrupts; echo $((6*7)) is the end";
    let out = typed(&["powernv9"], "", &format!("~ # ={MOUNT}; {INJECT}; {LOOK}\\n"), "42 is the end");
    for text in [
        "PHB#0000[0:0]: PHB Freeze/Fence detected !",
        "EEH: Recovering PHB#0",
        "PhbTxeErr:  8000000000000000 8000000000000000",
        "EEH: Recovery successful.",
        "core_imc",
        "thread_imc",
    ] {
        assert!(out.contains(text), "`{text}` is missing in:\n{out}");
    }
    // The register to inject by: fenced off, and after the reset.
    let read = out.lines().map(str::trim_end).filter(|line| matches!(*line, "0xffffffffffffffff" | "0x0"));
    assert_eq!(read.collect::<Vec<_>>(), ["0xffffffffffffffff", "0x0"], "{out}");
    let events = out.lines().find(|line| line.contains("opal-eeh") && line.contains("OPAL EVT"));
    assert_eq!(events.and_then(|line| line.split_whitespace().nth(1)), Some("1"), "{out}");
}
