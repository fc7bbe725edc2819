//! What guests are made to do: Debian's kernel with an initial RAM disk whose `/init` is `guests/workloads`.

use crate::packages::GUEST;
use crate::run;
use std::path::{Path, PathBuf};

/// Builds the initial RAM disk into `directory`.
pub fn initial_ram_disk(directory: &Path) -> Result<PathBuf, String> {
    let program = directory.join("init");
    let text = program.to_string_lossy();
    let compile = ["-O2", "-mcpu=power9", "-static", "-o", &text, "guests/workloads/init.c"];
    run("powerpc64le-linux-gnu-gcc", &compile)?;
    let init = std::fs::read(&program).map_err(|e| e.to_string())?;
    let path = directory.join("workloads.cpio");
    std::fs::write(&path, archive(&[("init", &init)])).map_err(|e| e.to_string())?;
    Ok(path)
}

/// Builds the workloads for the host into `directory`: what its hardware takes for them.
pub fn native(directory: &Path) -> Result<PathBuf, String> {
    let program = directory.join("native");
    run("cc", &["-O2", "-march=native", "-o", &program.to_string_lossy(), "guests/workloads/init.c"])?;
    Ok(program)
}

/// An initial RAM disk with these programs and the console's device.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let devices = [entry("dev", 0o40755, &[], 0, 0), entry("dev/console", 0o20600, &[], 5, 1)];
    let mut bytes = devices.concat();
    for &(name, data) in files {
        bytes.extend(entry(name, 0o100_755, data, 0, 0));
    }
    bytes.extend(entry("TRAILER!!!", 0, &[], 0, 0));
    bytes
}

/// An entry of a cpio archive of format `newc`.
fn entry(name: &str, mode: u32, data: &[u8], major: u32, minor: u32) -> Vec<u8> {
    let fields = [
        name.len() as u32 + 1,
        mode,
        0,
        0,
        1,
        0,
        data.len() as u32,
        0,
        0,
        major,
        minor,
        name.len() as u32 + 1,
        0,
    ];
    let mut bytes = b"070701".to_vec();
    fields.iter().for_each(|field| bytes.extend(format!("{field:08x}").bytes()));
    let padded = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(name.bytes().chain([0]));
    padded(&mut bytes);
    bytes.extend_from_slice(data);
    padded(&mut bytes);
    bytes
}

/// A guest and what it is told.
pub struct Guest<'a> {
    /// Initial RAM disk, if any.
    pub initrd: Option<&'a Path>,
    /// Kernel command line.
    pub append: String,
    /// vCPUs.
    pub cpus: u32,
}

impl Guest<'_> {
    /// Arguments of ours.
    pub fn ours(&self) -> Vec<String> {
        let (kernel, cpus) = (format!("{GUEST}/vmlinux"), self.cpus.to_string());
        let mut all =
            strings(&["--machine", "pseries", "--cpu", "power9", "--memory", "2G", "--idle", "skip"]);
        all.extend(strings(&["--cpus", &cpus, "--kernel", &kernel, "--append", &self.append]));
        if let Some(path) = self.initrd {
            all.extend(strings(&["--initrd", &path.to_string_lossy()]));
        }
        all
    }

    /// Arguments of the peer.
    pub fn peers(&self) -> Vec<String> {
        let (kernel, cpus) = (format!("{GUEST}/vmlinux"), self.cpus.to_string());
        let mut all = strings(&["-display", "none", "-nodefaults", "-serial", "stdio", "-no-reboot"]);
        all.extend(strings(&["-M", "pseries,x-vof=on", "-cpu", "power9", "-m", "2G", "-smp", &cpus]));
        all.extend(strings(&["-net", "none", "-kernel", &kernel, "-append", &self.append]));
        if let Some(path) = self.initrd {
            all.extend(strings(&["-initrd", &path.to_string_lossy()]));
        }
        all
    }
}

/// Owned strings.
pub fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.into()).collect()
}
