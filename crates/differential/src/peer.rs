//! Records on the peer, QEMU's bare-metal machine, as a separate process. Its memory is a file: records are in it before
//! the peer starts, and results are read from it while it runs.

use crate::layout::{BLOCKS, DONE, GUEST, MEMORY, RECORD, RESULTS, Record, file, machine};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use timebase_cpu::Model;

const POLL: Duration = Duration::from_millis(5);
/// CPU time that the peer may spend at one record, in hundredths of a second.
const PATIENCE: u64 = 50;
/// The same at the first one, before which it starts.
const STARTING: u64 = 500;
/// What counts of the CPU time between two polls: one of us may have been stopped meanwhile, and not the other one.
const BETWEEN: u64 = 5;
/// Polls that find it asleep at one record, as where it rests for ever. None counts where it has been stopped, or waits
/// for a CPU of the host.
const IDLE: u32 = 400;

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

fn start(model: Model, records: &[Record], first: usize) -> std::io::Result<Peer> {
    // In memory, where there is such a directory: results come at hundreds of megabytes a second.
    let shared = Path::new("/dev/shm");
    let directory = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }?;
    let (memory_path, guest) = (directory.path().join("memory"), directory.path().join("guest"));
    std::fs::write(&guest, GUEST)?;
    let memory = File::options().read(true).write(true).create(true).truncate(true).open(&memory_path)?;
    memory.set_len(MEMORY)?;
    memory.write_all_at(&file(records, first, |_| 1), BLOCKS)?;
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

    /// CPU time spent, in hundredths of a second, and whether all threads sleep: fields 14 and 15 of proc(5), and 3.
    fn spent(&self) -> std::io::Result<(u64, bool)> {
        let (mut spent, mut asleep) = (0, true);
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end meanwhile.
            let all = std::fs::read_to_string(task?.path().join("stat")).unwrap_or_default();
            let fields = all.rsplit_once(") ").map_or("", |(_, fields)| fields);
            asleep &= fields.starts_with('S');
            spent +=
                fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        }
        Ok((spent, asleep))
    }

    /// Waits from the record `first` on until `count` are done, the peer dies or stays at one. Returns how many are done.
    ///
    /// No clock says when it is taken for one that does not come back: the host may be busy with others, or stop us.
    fn wait(&mut self, first: u64, count: u64) -> std::io::Result<u64> {
        let (mut done, mut before) = (first, 0);
        let (mut idle, mut busy) = (0, 0);
        while done < count && idle < IDLE && busy < if done == first { STARTING } else { PATIENCE } {
            std::thread::sleep(POLL);
            let (spent, asleep) = self.spent()?;
            // Read last: what is done by now is not held against it.
            let now = self.done()?;
            if now != done {
                (done, idle, busy) = (now, 0, 0);
            } else {
                idle += asleep as u32;
                busy += spent.saturating_sub(before).min(BETWEEN);
            }
            before = spent;
            if now < count && self.child.try_wait()?.is_some() {
                return self.done();
            }
        }
        Ok(done)
    }
}

/// The result of each record; None where the peer died or did not come back.
pub fn run(model: Model, records: &[Record]) -> Result<Vec<Option<Record>>, String> {
    let failed = |error: std::io::Error| format!("qemu-system-ppc64: {error}");
    let mut results = Vec::new();
    while results.len() < records.len() {
        let first = results.len();
        let mut peer = start(model, records, first).map_err(failed)?;
        let done = peer.wait(first as u64, records.len() as u64).map_err(failed)? as usize;
        for n in first..done {
            let mut record = Record::new();
            let place = RESULTS + (n * RECORD) as u64;
            peer.memory.read_exact_at(&mut record.0[..RECORD], place).map_err(failed)?;
            results.push(Some(record));
        }
        if done < records.len() {
            if done == 0 && peer.child.try_wait().map_err(failed)?.is_some() {
                return Err("qemu-system-ppc64 does not run the first record".into());
            }
            results.push(None);
        }
    }
    Ok(results)
}
