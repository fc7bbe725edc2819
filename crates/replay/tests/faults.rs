//! Seeded faults: a machine that is wrong on purpose, and whether the program finds by itself where and what.

mod guests;

use guests::{Guest, Nobody, at, bare_metal, race};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use timebase_machine::api::*;
use timebase_machine::debug::Halts;
use timebase_machine::{Memory, Vcpu};
use timebase_replay::divergence::{Field, Finding};
use timebase_replay::index::{Index, build, path_of};
use timebase_replay::live::{Live, Rules, drive};
use timebase_replay::verify::{Explanation, Mismatch, Piece, Trial, check, explain, pieces};
use timebase_replay::{Recorder, Recording};
use timebase_state::{Difference, Digest, Instant, LoadError, Snapshot};

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// When the count is reached by running, a leaf of the state is another.
    Flip { count: u64, leaf: u64 },
    /// After each restore, a leaf of the state is another.
    Restore { leaf: u64 },
}

/// A machine with a fault.
struct Faulty {
    machine: BoxedMachine,
    fault: Fault,
    /// Paths of the leaves that were changed.
    seeded: Arc<Mutex<BTreeSet<String>>>,
}

impl Faulty {
    /// Which leaf has a number may depend on the state.
    fn seed(&mut self, leaf: u64) {
        if let Some(path) = self.machine.perturb(leaf) {
            self.seeded.lock().unwrap().insert(path);
        }
    }
}

impl Machine for Faulty {
    fn run(&mut self, limit: InstructionCount) -> Stop {
        let Fault::Flip { count, leaf } = self.fault else { return self.machine.run(limit) };
        if self.machine.position().count >= count || limit < count {
            return self.machine.run(limit);
        }
        let stop = self.machine.run(count);
        if stop == Stop::Limit {
            self.seed(leaf);
        }
        if stop == Stop::Limit && limit > count { self.machine.run(limit) } else { stop }
    }
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), LoadError> {
        self.machine.restore(snapshot)?;
        if let Fault::Restore { leaf } = self.fault {
            self.seed(leaf);
        }
        Ok(())
    }
    fn position(&self) -> Position {
        self.machine.position()
    }
    fn now(&self) -> Instant {
        self.machine.now()
    }
    fn input(&mut self, port: &str, payload: &[u8]) -> Result<(), InputError> {
        self.machine.input(port, payload)
    }
    fn input_ports(&self) -> Vec<Port> {
        self.machine.input_ports()
    }
    fn end_idle(&mut self) {
        self.machine.end_idle();
    }
    fn cut_idle(&mut self, until: Instant) {
        self.machine.cut_idle(until);
    }
    fn resume(&mut self) {
        self.machine.resume();
    }
    fn reset(&mut self) {
        self.machine.reset();
    }
    fn take_output(&mut self) -> Vec<Output> {
        self.machine.take_output()
    }
    fn snapshot(&mut self) -> Snapshot {
        self.machine.snapshot()
    }
    fn digest(&mut self) -> Digest {
        self.machine.digest()
    }
    fn differences(&mut self, other: &Snapshot) -> Vec<Difference> {
        self.machine.differences(other)
    }
    fn schema(&mut self) -> Digest {
        self.machine.schema()
    }
    fn perturb(&mut self, n: u64) -> Option<String> {
        self.machine.perturb(n)
    }
    fn flush_caches(&mut self) {
        self.machine.flush_caches();
    }
    fn set_quantum(&mut self, instructions: u64) {
        self.machine.set_quantum(instructions);
    }
    fn set_halts(&mut self, halts: Halts) {
        self.machine.set_halts(halts);
    }
    fn cpus(&self) -> u32 {
        self.machine.cpus()
    }
    fn current(&self) -> u32 {
        self.machine.current()
    }
    fn vcpu(&self, cpu: u32) -> &Vcpu {
        self.machine.vcpu(cpu)
    }
    fn activity(&self, cpu: u32) -> &'static str {
        self.machine.activity(cpu)
    }
    fn memory(&self) -> &Memory {
        self.machine.memory()
    }
    fn read_effective(&mut self, cpu: u32, address: u64, out: &mut [u8]) -> usize {
        self.machine.read_effective(cpu, address, out)
    }
    fn real_address(&mut self, cpu: u32, address: u64) -> Option<u64> {
        self.machine.real_address(cpu, address)
    }
    fn statistics(&self) -> Statistics {
        self.machine.statistics()
    }
    fn engine(&self) -> &'static str {
        self.machine.engine()
    }
    fn config(&self) -> &Config {
        self.machine.config()
    }
}

/// Two vCPUs, so that each is as good a value as the other where one is named.
fn two_cpus() -> Guest {
    let mut guest = race(40_000);
    guest.config.cpus = 2;
    guest
}

/// Records `guest` with a digest every few instructions, and checkpoints.
fn record(guest: &Guest, path: &Path, interval: u64) -> Recording {
    let mut machine = guest.machine();
    let recorder =
        Recorder::create(path, &guest.config, &guest.images(), machine.schema(), interval).unwrap();
    let rules = Rules { until_count: Some(guest.end), ..Rules::default() };
    drive(&mut *machine, &mut Live::recorded(recorder, None), &mut Nobody, rules).unwrap();
    let recording = Recording::open(path).unwrap();
    build(&mut *guest.machine(), &recording, &path_of(path), 1 << 30, &mut Nobody).unwrap();
    recording
}

struct Case<'a> {
    guest: &'a Guest,
    recording: &'a Recording,
    path: &'a Path,
    seeded: Arc<Mutex<BTreeSet<String>>>,
}

impl Case<'_> {
    fn index(&self) -> Option<Index> {
        Index::open(&path_of(self.path), self.recording).unwrap()
    }

    /// The first piece that does not agree, on a machine with `fault`.
    fn mismatch(&self, fault: Option<Fault>, parts: u64) -> Option<(Piece, Mismatch)> {
        let mut index = self.index();
        let cold = self.guest.machine().snapshot();
        for piece in pieces(index.as_ref(), self.recording.known(), parts) {
            let mut machine = self.machine(fault);
            let records = self.recording.records();
            let checked = check(&mut *machine, &cold, records, index.as_mut(), piece, &mut Nobody).unwrap();
            if let Err(mismatch) = checked {
                return Some((piece, mismatch));
            }
        }
        None
    }

    fn machine(&self, fault: Option<Fault>) -> BoxedMachine {
        let machine = self.guest.machine();
        match fault {
            Some(fault) => Box::new(Faulty { machine, fault, seeded: self.seeded.clone() }),
            None => machine,
        }
    }

    /// One of the fields is a leaf that was changed.
    fn is_told(&self, fields: &[Field]) -> bool {
        let seeded = self.seeded.lock().unwrap();
        // Of bulk storage, the doubleword is told.
        let leaf = |field: &Field| field.path.split('+').next().unwrap_or_default().to_owned();
        // An entry of a map whose key is another moves, and others with it.
        let map = |path: &str| {
            path.split_once('[').filter(|(_, entry)| entry.contains("].0")).map(|(map, _)| map.to_owned())
        };
        let moved = |field: &Field| {
            map(&field.path).is_some() && seeded.iter().any(|path| map(path) == map(&field.path))
        };
        let told =
            |field: &Field| seeded.contains(&field.path) || seeded.contains(&leaf(field)) || moved(field);
        fields.iter().any(told)
    }

    /// What the program finds out about `fault`, if the recording shows it at all.
    fn explanation(&self, fault: Fault, parts: u64) -> Option<Explanation> {
        self.seeded.lock().unwrap().clear();
        let (piece, mismatch) = self.mismatch(Some(fault), parts)?;
        let make = |trial| Ok(self.machine((trial == Trial::Checked).then_some(fault)));
        let records = self.recording.records();
        Some(explain(&make, records, self.index(), piece, &mismatch, &mut || true).unwrap())
    }
}

/// Leaves of the state to change, by component: the first two steps of the path. The first, the last and one in
/// between of each.
fn leaves(guest: &Guest, count: u64) -> Vec<(u64, String)> {
    let mut machine = guest.machine();
    loop {
        match machine.run(count) {
            Stop::Limit => break,
            Stop::Idle { .. } => machine.end_idle(),
            _ => drop(machine.take_output()),
        }
    }
    let snapshot = machine.snapshot();
    let mut components: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for leaf in 0.. {
        let Some(path) = machine.perturb(leaf) else { break };
        machine.restore(&snapshot).unwrap();
        // Among devices of devices, each.
        let steps = |path: &str| {
            let depth = if path.starts_with("devices.") { 3 } else { 2 };
            path.split(['.', '[', '+']).take(depth).collect::<Vec<_>>().join(".")
        };
        components.entry(steps(&path)).or_default().push((leaf, path));
    }
    assert!(components.len() > 10, "{:?}", components.keys());
    let some = |leaves: Vec<(u64, String)>| {
        let (first, last) = (leaves[0].clone(), leaves[leaves.len() - 1].clone());
        [first, leaves[leaves.len() / 2].clone(), last]
    };
    let mut chosen: Vec<_> = components.into_values().flat_map(some).collect();
    chosen.sort();
    chosen.dedup();
    chosen
}

/// A bit of each component whose path begins with `under` is flipped before the instruction after `count`: the fields
/// and the instruction are found. At most one in `unseen_in` is in no digest. Gives the paths of what was flipped.
fn flipped(guest: &Guest, under: &str, interval: u64, count: u64, unseen_in: usize) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let recording = record(guest, &path, interval);
    let case = Case { guest, recording: &recording, path: &path, seeded: Arc::default() };
    assert_eq!(case.mismatch(None, 4), None, "without a fault all agrees");
    let mut unseen = Vec::new();
    let mut leaves = leaves(guest, count);
    leaves.retain(|(_, path)| path.starts_with(under));
    for (leaf, seeded) in &leaves {
        match case.explanation(Fault::Flip { count, leaf: *leaf }, 1) {
            Some(Explanation::Parted(Finding { instruction, fields, before, .. })) => {
                assert_eq!(instruction, count - 1, "{seeded}");
                assert!(case.is_told(&fields), "{seeded}: {fields:?}");
                assert_eq!(before.len(), 32, "{seeded}");
                assert!(before.iter().all(|step| step.word.is_some()), "{seeded}: {before:?}");
            }
            // What is wrong for a while and then written anew is in no digest.
            None => unseen.push(seeded),
            other => panic!("{seeded}: {other:?}"),
        }
    }
    assert!(unseen.len() * unseen_in < leaves.len(), "{unseen:?} of {}", leaves.len());
    leaves.into_iter().map(|(_, path)| path).collect()
}

#[test]
fn gap5_a_flipped_bit_in_any_component_is_found_with_its_field_and_instruction() {
    flipped(&two_cpus(), "", 500, 25_317, 4);
}

/// A flipped bit in any device is found.
fn flipped_devices(machine: &str, count: u64) {
    let paths = flipped(&bare_metal(machine, 1, count + 50_000), "devices.", 100_000, count, 4);
    for device in
        ["lpc.uart", "lpc.bmc", "occ", "xive.chips", "xive.threads", "psi", "scoms", "sbe", "i2c", "phb"]
    {
        let device = format!("devices.{device}");
        assert!(paths.iter().any(|path| path.starts_with(&device)), "{device} in {paths:?}");
    }
}

#[test]
fn gap5_a_flipped_bit_in_any_device_of_a_bare_metal_machine_is_found() {
    // skiboot has set up the interrupt controller and the time of day, and turns to the management controller.
    flipped_devices("powernv9", 27_945_317);
}

#[test]
#[ignore = "takes a minute"]
fn large_gap5_a_flipped_bit_in_a_pci_host_bridge_that_was_set_up_is_found() {
    // skiboot has just set them up, and scanned what is behind them.
    let count = 66_120_317;
    let guest = bare_metal("powernv9", 1, count + 50_000);
    let paths = flipped(&guest, "devices.phb", 100_000, count, 4);
    for part in ["nest", "registers", "tables"] {
        assert!(paths.iter().any(|path| path.contains(part)), "{part} in {paths:?}");
    }
}

#[test]
#[ignore = "takes minutes: cargo nextest run -p timebase-replay --cargo-profile release --run-ignored only large"]
fn large_gap5_a_flipped_bit_in_any_device_of_power10_is_found() {
    // The same, and skiboot waits for the timer of the self-boot engine.
    flipped_devices("powernv10", 142_120_317);
}

#[test]
fn gap5_a_field_that_is_lost_on_restore_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let guest = two_cpus();
    let recording = record(&guest, &path, 500);
    let case = Case { guest: &guest, recording: &recording, path: &path, seeded: Arc::default() };
    let mut found = 0;
    for (leaf, seeded) in leaves(&guest, 25_000) {
        match case.explanation(Fault::Restore { leaf }, 4) {
            Some(Explanation::Restored { instruction, fields }) => {
                assert!(instruction > 0 && instruction < guest.end);
                assert!(case.is_told(&fields), "{seeded}: {fields:?}");
                found += 1;
            }
            None => {}
            other => panic!("{seeded}: {other:?}"),
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn gap5_a_fault_while_recording_is_told_from_one_while_replaying() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let guest = two_cpus();
    // r14, once.
    let (leaf, _) = leaves(&guest, 20_000)
        .into_iter()
        .find(|(_, path)| path.contains("gpr"))
        .unwrap_or_else(|| panic!("{:?}", leaves(&guest, 20_000)));
    let fault = Fault::Flip { count: 20_250, leaf };
    let mut machine: BoxedMachine =
        Box::new(Faulty { machine: guest.machine(), fault, seeded: Arc::default() });
    let schema = machine.schema();
    let recorder = Recorder::create(&path, &guest.config, &guest.images(), schema, 500).unwrap();
    let rules = Rules { until_count: Some(guest.end), ..Rules::default() };
    drive(&mut *machine, &mut Live::recorded(recorder, None), &mut Nobody, rules).unwrap();
    let recording = Recording::open(&path).unwrap();
    let case = Case { guest: &guest, recording: &recording, path: &path, seeded: Arc::default() };
    let (piece, mismatch) = case.mismatch(None, 1).expect("the recording is wrong");
    let make = |_| Ok(case.machine(None));
    let explanation = explain(&make, recording.records(), None, piece, &mismatch, &mut || true).unwrap();
    assert_eq!(explanation, Explanation::Recorded { agreed: 20_000, differs: 20_500, fields: Vec::new() });
    assert_eq!(mismatch.at(), at(20_500));
}
