//! Linux's KVM on the bare-metal machines: it starts a guest of its own, recorded and verified.
//!
//! The modules are those of the guest's kernel, in the package linux-image-VERSION-powerpc64le of architecture ppc64el:
//! `dpkg -x` it, and name the folder that has `kvm.ko` and `kvm-hv.ko`.

use crate::bench::workloads::archive;
use crate::packages::GUEST;
use crate::{Outcome, run};
use std::path::Path;

const HERE: &str = "target/release/timebase";
/// The sum of 0 to 262,143.
const SAYS: &str = "kvm: the guest says 7fffe0000";

/// Runs it; `arguments`: the folder of the modules.
pub fn kvm(arguments: &[String]) -> Outcome {
    let [folder] = arguments else { return Err("kvm: name the folder that has kvm.ko and kvm-hv.ko".into()) };
    let directory = tempfile::tempdir().map_err(|e| e.to_string())?;
    let file = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let (program, ram_disk, recording) = (file("init"), file("kvm.cpio"), file("kvm.tb"));
    let compile = ["-O2", "-mcpu=power9", "-static", "-o", &program, "guests/kvm/init.c"];
    run("powerpc64le-linux-gnu-gcc", &compile)?;
    let read = |path: &Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let init = read(Path::new(&program))?;
    let (kvm, hv) = (read(&Path::new(folder).join("kvm.ko"))?, read(&Path::new(folder).join("kvm-hv.ko"))?);
    let files = [("init", &init[..]), ("kvm.ko", &kvm), ("kvm-hv.ko", &hv)];
    std::fs::write(&ram_disk, archive(&files)).map_err(|e| format!("{ram_disk}: {e}"))?;
    run("cargo", &["build", "--release", "--quiet", "--package", "timebase"])?;
    let kernel = format!("{GUEST}/vmlinux");
    for machine in ["powernv9", "powernv10"] {
        let guest = ["record", "-o", &recording, "--machine", machine, "--cpus", "2", "--memory", "2G"];
        let images = ["--kernel", &kernel, "--initrd", &ram_disk, "--append", "console=hvc0 rdinit=/init"];
        run(HERE, &[&guest[..], &images, &["--until", SAYS, "--until-count", "8000000000"]].concat())?;
        run(HERE, &["verify", &recording])?;
    }
    Ok(())
}
