//! What the distribution's packages must bring: guests, cross compilers, the peer.

use crate::{Outcome, exists, run};
use std::path::Path;

/// The Debian guest, as its package installs it.
pub const GUEST: &str = "/usr/lib/debian-installer/images/12/ppc64el/text/debian-installer/ppc64el";

/// Debian packages that the tests need, and a file or program that shows that they are there.
const PACKAGES: &[(&str, &str)] = &[
    ("debian-installer-12-netboot-ppc64el", GUEST),
    ("gcc-powerpc64-linux-gnu", "powerpc64-linux-gnu-gcc"),
    ("gcc-powerpc64le-linux-gnu", "powerpc64le-linux-gnu-gcc"),
    ("device-tree-compiler", "dtc"),
    ("gdb-multiarch", "gdb-multiarch"),
    ("qemu-system-data", "/usr/share/qemu/slof.bin"),
];

/// Likewise for the comparison: the peer, and what the workloads are compiled with.
const PEER: &[(&str, &str)] = &[
    ("qemu-system-ppc", "qemu-system-ppc64"),
    ("qemu-utils", "qemu-img"),
    ("qemu-user", "qemu-ppc64"),
    ("libc6-dev-ppc64el-cross", "/usr/powerpc64le-linux-gnu/include/bits/wordsize.h"),
];

fn present(sign: &str) -> bool {
    if sign.starts_with('/') { Path::new(sign).exists() } else { exists(sign, "--version") }
}

fn install_all(packages: &[(&str, &str)]) -> Outcome {
    let missing: Vec<&str> =
        packages.iter().filter(|(_, sign)| !present(sign)).map(|&(package, _)| package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("xtask: installing {}", missing.join(" "));
    let advice = |why| format!("{why}; install these Debian packages as root: {}", missing.join(" "));
    run("apt-get", &["update", "-qq"]).map_err(advice)?;
    let arguments = [&["install", "-y", "-qq", "--no-install-recommends"], &missing[..]].concat();
    run("apt-get", &arguments).map_err(|why| format!("{why}; install as root: {}", missing.join(" ")))
}

/// Installs what the tests need.
pub fn install() -> Outcome {
    install_all(PACKAGES)
}

/// Installs what the comparison needs.
pub fn install_peer() -> Outcome {
    install()?;
    install_all(PEER)
}
