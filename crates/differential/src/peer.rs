//! Blocks on the peer, QEMU's bare-metal machine, as a separate process. Its memory is a file: blocks are in it before the
//! peer starts, and results are read from it while it runs.

use crate::layout::{BLOCKS, DONE, GUEST, MEMORY, RESULT, RESULTS, Record, file, machine};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use timebase_cpu::Model;

/// How long the peer may stay at one block.
const PATIENCE: u32 = 300;
const POLL: Duration = Duration::from_millis(5);

struct Peer {
    child: Child,
    memory: File,
    /// Removes the files when it goes.
    _directory: tempfile::TempDir,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have died already.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn start(model: Model, records: &[Record]) -> std::io::Result<Peer> {
    let directory = tempfile::tempdir()?;
    let (memory_path, guest) = (directory.path().join("memory"), directory.path().join("guest"));
    std::fs::write(&guest, GUEST)?;
    let memory = File::options().read(true).write(true).create(true).truncate(true).open(&memory_path)?;
    memory.set_len(MEMORY)?;
    memory.write_all_at(&file(records, 1), BLOCKS)?;
    let backend =
        format!("memory-backend-file,id=ram,size={MEMORY},mem-path={},share=on", memory_path.display());
    let child = Command::new("qemu-system-ppc64")
        .args(["-M", &format!("{},memory-backend=ram", machine(model)), "-m", "1G", "-object", &backend])
        .args(["-nographic", "-nodefaults", "-serial", "none", "-monitor", "none", "-bios"])
        .arg(&guest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok(Peer { child, memory, _directory: directory })
}

impl Peer {
    fn done(&self) -> std::io::Result<u64> {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, DONE)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Waits until `count` blocks are done, the peer dies or stays at one. Returns how many are done.
    fn wait(&mut self, count: u64) -> std::io::Result<u64> {
        let (mut done, mut waited) = (0, 0);
        while done < count && waited < PATIENCE {
            std::thread::sleep(POLL);
            let now = self.done()?;
            waited = if now == done { waited + 1 } else { 0 };
            done = now;
            if now < count && self.child.try_wait()?.is_some() {
                return self.done();
            }
        }
        Ok(done)
    }
}

/// The result of each block; None where the peer died or did not come back.
pub fn run(model: Model, records: &[Record]) -> Result<Vec<Option<Record>>, String> {
    let failed = |error: std::io::Error| format!("qemu-system-ppc64: {error}");
    let mut results = Vec::new();
    while results.len() < records.len() {
        // Blocks have their places: those that are done are done once more.
        let rest = match results.len() {
            0 => records.to_vec(),
            done => crate::layout::without(records, done),
        };
        let mut peer = start(model, &rest).map_err(failed)?;
        let done = peer.wait(records.len() as u64).map_err(failed)? as usize;
        for n in results.len()..done.min(records.len()) {
            let mut record = Record::new();
            let place = RESULTS + (n * RESULT) as u64;
            peer.memory.read_exact_at(&mut record.0[..RESULT], place).map_err(failed)?;
            results.push(Some(record));
        }
        if done < records.len() {
            if done == 0 {
                return Err("qemu-system-ppc64 does not run the first block".into());
            }
            results.push(None);
        }
    }
    Ok(results)
}
