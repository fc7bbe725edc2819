//! In-memory counters of cores and threads: an engine of each core counts, and brings what it has counted into a page of
//! memory that the host gives it, and into a page of each of its threads whose LDBAR says so ("In-Memory Collection
//! Counters", device tree bindings in skiboot's documentation; register numbers and bits are those that skiboot programs).
//! What is counted the host learns from a catalogue in the flash: a device tree, compressed. This one is ours, and names
//! one event of cores and threads, CPM_32MHZ_CYC: cycles of a clock of 32 MHz, which is the time base by 16. So a count is
//! a function of time alone. Of the chip's other units, which the on-chip controllers count, it names one event of the
//! power bus, PM_PB_CYC.
//!
//! A thread's count grows by what has gone by since the engine last came by, if LDBAR is on when it does.
//!
//! Left out: traces; other events.

use super::topology::Topology;
use crate::tree::{NodeId, ROOT, Tree};
use alloc::{boxed::Box, vec, vec::Vec};
use crc32fast::hash as crc32;
use timebase_cpu::Model;
use timebase_devices::occ;
use timebase_memory::{Memory, Writer};
use timebase_state::time::TICKS_PER_SECOND;
use timebase_state::{Instant, State, Ticks};

/// Ticks of the time base to a cycle of the clock that is counted.
const TICKS: u64 = TICKS_PER_SECOND / 32_000_000;
/// Where the counter of 64 bits is in the page.
const COUNTER: u32 = 8;
/// How often it is brought to memory: every millisecond.
const PERIOD: Ticks = Ticks(TICKS_PER_SECOND / 1000);

/// Where the page is: the address bits of PDBAR, and of LDBAR.
const PAGE: u64 = 0x0003_ffff_ffff_e000;
/// LDBAR: whether the thread is to be counted, and whether what is brought there is a trace.
const THREAD_COUNTS: u64 = 1 << 63;
const THREAD_TRACES: u64 = 1 << 62;
/// What the engine does: it brings its counters to memory.
const RUNS: u64 = 1 << (63 - 4);

/// The engine of a core.
#[derive(State, Clone, Debug, Default, PartialEq, Eq)]
struct Engine {
    /// Page, mode, what is counted in which state of the core, what is traced.
    registers: [u64; 4],
    /// Ticks that were counted in earlier runs.
    counted: u64,
    /// Since when it runs, when it last brought its counter to memory, and when it next does.
    run: Option<Run>,
}

/// Instants of an engine that runs.
#[derive(State, Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Run {
    since: Instant,
    last: Instant,
    next: Instant,
}

/// The engines of all cores.
#[derive(State)]
pub(crate) struct Imc {
    engines: Box<[Engine]>,
    #[wiring("from the configuration")]
    topology: Topology,
}

const PDBAR: usize = 0;
const MODE: usize = 1;

/// The register of a core that an XSCOM number of its chip means: core, register.
fn register(model: Model, number: u32) -> Option<(u32, usize)> {
    let (chiplet, offset) = (number >> 24, number & 0xff_ffff);
    match model {
        // Page and mode are registers of the quad, for each of its cores.
        Model::Power9 => match (chiplet, offset & 0xff_f0ff, offset >> 8 & 0xf) {
            (0x10..=0x15, 0x01_200b | 0x01_2000, part @ (2 | 3 | 6 | 7)) => {
                let core = (chiplet - 0x10) * 4 + (part & 1) + (part >> 1 & 2);
                Some((core, if offset & 0xff == 0xb { PDBAR } else { MODE }))
            }
            (0x20..=0x37, 0x01_00a8, 0xa) => Some((chiplet - 0x20, 2)),
            (0x20..=0x37, 0x01_00a9, 0xa) => Some((chiplet - 0x20, 3)),
            _ => None,
        },
        // Each core of a quad has a bit, the first the leftmost.
        Model::Power10 => {
            let bit = offset >> 12 & 0xf;
            let core = bit
                .is_power_of_two()
                .then(|| chiplet.checked_sub(0x20).map(|quad| quad * 4 + 3 - bit.trailing_zeros()));
            let register = match offset & 0xff_0fff {
                0x01_068b => PDBAR,
                0x01_0680 => MODE,
                0x02_0400 => 2,
                0x02_0401 => 3,
                _ => return None,
            };
            Some((core??, register))
        }
    }
}

/// Whole ticks between two instants.
fn elapsed(since: Instant, now: Instant) -> u64 {
    Instant(now.0.wrapping_sub(since.0)).ticks()
}

impl Imc {
    /// As after power-on: nothing is counted.
    pub fn cold(topology: Topology) -> Imc {
        let cores = topology.chips * topology.cores;
        Imc { engines: vec![Engine::default(); cores as usize].into(), topology }
    }

    fn engine(&mut self, chip: u32, core: u32) -> Option<&mut Engine> {
        let within = core < self.topology.cores;
        self.engines.get_mut((chip * self.topology.cores + core) as usize).filter(|_| within)
    }

    /// Loads an XSCOM register of a chip. None: it is not an engine's.
    pub fn read(&mut self, model: Model, chip: u32, number: u32) -> Option<u64> {
        let (core, register) = register(model, number)?;
        Some(self.engine(chip, core)?.registers[register])
    }

    /// Stores it.
    pub fn write(&mut self, model: Model, chip: u32, number: u32, value: u64, now: Instant) -> Option<()> {
        let (core, register) = register(model, number)?;
        let engine = self.engine(chip, core)?;
        engine.registers[register] = value;
        if register == MODE {
            let runs = value & RUNS != 0;
            match engine.run {
                None if runs => engine.run = Some(Run { since: now, last: now, next: now }),
                Some(Run { since, .. }) if !runs => {
                    engine.counted += elapsed(since, now);
                    engine.run = None;
                }
                _ => {}
            }
        }
        Some(())
    }

    /// When a counter is next brought to memory.
    pub fn deadline(&self) -> Option<Instant> {
        self.engines.iter().filter_map(|engine| Some(engine.run?.next)).min()
    }

    /// Brings counters to memory whose time it is; `ldbar` gives LDBAR of a vCPU.
    pub fn settle(&mut self, now: Instant, memory: &mut Memory, ldbar: impl Fn(usize) -> u64) {
        let threads = self.topology.threads as usize;
        for (core, engine) in self.engines.iter_mut().enumerate() {
            let Some(run) = engine.run.filter(|run| run.next <= now) else { continue };
            let count = (engine.counted + elapsed(run.since, now)) / TICKS;
            let at = |register: u64| (register & PAGE) + COUNTER as u64;
            // An address that is no memory is an error of the host's, which nothing here tells it.
            let _ = memory.store_u64(at(engine.registers[PDBAR]), count, Writer::Other);
            // Of whole cycles since the start, so that no part of one is lost.
            let gone = count - (engine.counted + elapsed(run.since, run.last)) / TICKS;
            for ldbar in (core * threads..(core + 1) * threads).map(&ldbar) {
                if ldbar & (THREAD_COUNTS | THREAD_TRACES) == THREAD_COUNTS {
                    let before = memory.read_u64(at(ldbar)).unwrap_or(0);
                    let _ = memory.store_u64(at(ldbar), before.wrapping_add(gone), Writer::Other);
                }
            }
            engine.run = Some(Run { last: now, next: now + PERIOD, ..run });
        }
    }
}

/// The catalogue: which units count, and what.
fn catalogue(model: Model) -> Vec<u8> {
    const CHIP: u32 = 0x10;
    const CORE: u32 = 4;
    const THREAD: u32 = 1;
    let mut tree = Tree::new();
    tree.set_str(ROOT, "compatible", "ibm,opal-in-memory-counters");
    tree.set_cells(ROOT, "#address-cells", &[1]);
    tree.set_cells(ROOT, "#size-cells", &[1]);
    tree.set_cells(ROOT, "version-id", &[1]);
    let cycles = event(&mut tree, "core-events", COUNTER, "32MHZ_CYC", "Cycles of a clock of 32 MHz");
    for (name, kind) in [("core", CORE), ("thread", THREAD)] {
        let node = unit(&mut tree, name, "CPM_", cycles, (kind, 0x2000));
        tree.set_str(node, "scale", "");
    }
    let at = occ::BUS_CYCLES as u32;
    let cycles = event(&mut tree, "nest-pb-events", at, "CYC", "Cycles of the power bus");
    let bus = match model {
        Model::Power9 => "powerbus0",
        Model::Power10 => "pb",
    };
    let node = unit(&mut tree, bus, "PM_PB_", cycles, (CHIP, occ::COUNTERS_BYTES as u32));
    tree.set_cells(node, "offset", &[occ::COUNTERS as u32]);
    tree.set_str(node, "scale", "256");
    tree.flatten(&[])
}

/// A list of events that consists of the one whose counter is at `at`.
fn event(tree: &mut Tree, list: &str, at: u32, name: &str, description: &str) -> NodeId {
    let events = tree.add(ROOT, list);
    tree.set_cells(events, "#address-cells", &[1]);
    tree.set_cells(events, "#size-cells", &[1]);
    let event = tree.add(events, &alloc::format!("event@{at:x}"));
    tree.set_str(event, "event-name", name);
    tree.set_str(event, "desc", description);
    tree.set_cells(event, "reg", &[at, 8]);
    events
}

/// A unit that counts `events`, whose names begin with `prefix`; its kind, and how much memory its counters take.
fn unit(tree: &mut Tree, name: &str, prefix: &str, events: NodeId, (kind, size): (u32, u32)) -> NodeId {
    let unit = tree.add(ROOT, name);
    tree.set_str(unit, "compatible", "ibm,imc-counters");
    tree.set_str(unit, "events-prefix", prefix);
    tree.set_str(unit, "unit", "");
    tree.set_cells(unit, "reg", &[0, 8]);
    tree.set_cells(unit, "events", &[tree.phandle(events)]);
    tree.set_cells(unit, "type", &[kind]);
    tree.set_cells(unit, "size", &[size]);
    unit
}

/// The partition IMA_CATALOG of the flash: a table of catalogues by the version of the processor, and the one of `model`.
pub(crate) fn partition(model: Model) -> Vec<u8> {
    /// The table takes a block. Of the version register it has what skiboot looks for.
    const TABLE: usize = 0x1000;
    const VERSION: u32 = !0xf0ff;
    let content = stored_as_xz(&catalogue(model));
    let entry = [model.pvr() & VERSION, TABLE as u32, content.len() as u32];
    let mut partition = Vec::from(*b"IMC\0");
    partition.extend([1].iter().chain(&entry).flat_map(|word: &u32| word.to_be_bytes()));
    partition.resize(TABLE, 0);
    partition.extend(content);
    partition
}

/// `bytes`, of which there are up to 64 KiB, as an xz file (".xz file format", version 1.1) whose one block is not
/// compressed and has no checksum.
fn stored_as_xz(bytes: &[u8]) -> Vec<u8> {
    const FLAGS: [u8; 2] = [0, 0];
    let seal = |out: &mut Vec<u8>, from: usize| {
        let crc = crc32(&out[from..]);
        out.extend(crc.to_le_bytes());
    };
    let pad = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(4), 0);
    let number = |out: &mut Vec<u8>, mut value: usize| {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    };
    let mut out = Vec::from(*b"\xfd7zXZ\0");
    out.extend(FLAGS);
    seal(&mut out, 6);
    // The block's header: 12 bytes, one filter, LZMA2 with a dictionary of 64 KiB. Its data: a chunk as it is, the end.
    let block = out.len();
    out.extend([2, 0, 0x21, 1, 8, 0, 0, 0]);
    seal(&mut out, block);
    out.push(1);
    out.extend((bytes.len() as u16).wrapping_sub(1).to_be_bytes());
    out.extend(bytes);
    out.push(0);
    let block_bytes = out.len() - block;
    pad(&mut out);
    let index = out.len();
    out.extend([0, 1]);
    number(&mut out, block_bytes);
    number(&mut out, bytes.len());
    pad(&mut out);
    seal(&mut out, index);
    // The footer counts words of the index, the first not.
    let mut footer = Vec::from((((out.len() - index) / 4 - 1) as u32).to_le_bytes());
    footer.extend(FLAGS);
    out.extend(crc32(&footer).to_le_bytes());
    out.extend(footer);
    out.extend(*b"YZ");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_counts_while_its_engine_runs_and_brings_it_to_its_page() {
        for (model, page, mode) in
            [(Model::Power9, 0x1001_270b, 0x1001_2700), (Model::Power10, 0x2001_168b, 0x2001_1680)]
        {
            let mut memory = Memory::new(1 << 20, 1);
            let mut imc = Imc::cold(Topology { chips: 1, cores: 4, threads: 1 });
            let at = |ticks| Instant::from_ticks(ticks);
            imc.write(model, 0, page, 0x8000_0000_0000_4000, at(0)).unwrap();
            assert_eq!(imc.deadline(), None);
            imc.write(model, 0, mode, 0xe800_0000_0000_0000, at(1600)).unwrap();
            imc.settle(at(1600), &mut memory, |_| 0);
            assert_eq!(imc.deadline(), Some(at(1600 + 512_000)));
            imc.settle(at(1600 + 511_999), &mut memory, |_| 0);
            assert_eq!(memory.read_u64(0x4008), Ok(0));
            imc.settle(at(1600 + 512_000), &mut memory, |_| 0);
            assert_eq!(memory.read_u64(0x4008), Ok(32_000));
            imc.write(model, 0, mode, 0xe000_0000_0000_0000, at(1600 + 512_160)).unwrap();
            assert_eq!(imc.deadline(), None);
            imc.write(model, 0, mode, 0xe800_0000_0000_0000, at(9_000_000)).unwrap();
            imc.settle(at(9_000_016), &mut memory, |_| 0);
            assert_eq!(memory.read_u64(0x4008), Ok(32_011));
            assert_eq!(imc.read(model, 0, page), Some(0x8000_0000_0000_4000));
            assert_eq!(imc.read(model, 1, page), None);
        }
    }

    #[test]
    fn threads_count_while_their_ldbar_is_on() {
        let mut memory = Memory::new(1 << 20, 1);
        let mut imc = Imc::cold(Topology { chips: 1, cores: 2, threads: 2 });
        let at = |ticks| Instant::from_ticks(ticks);
        // The second core's engine; its threads are vCPUs 2 and 3, its page is at 0x8000.
        imc.write(Model::Power9, 0, 0x1001_230b, 0x8000, at(0)).unwrap();
        imc.write(Model::Power9, 0, 0x1001_2300, RUNS, at(8)).unwrap();
        memory.store_u64(0x4008, 100, Writer::Other).unwrap();
        let on = |cpu: usize| THREAD_COUNTS | [0x2000, 0x2000, 0x4000, 0x6000][cpu];
        imc.settle(at(8), &mut memory, on);
        // What goes by while it is off is not counted; a trace is none.
        imc.settle(at(8 + 512_000), &mut memory, |cpu| on(cpu) & !THREAD_COUNTS);
        imc.settle(at(8 + 1_024_000), &mut memory, |cpu| on(cpu) | (cpu as u64 & 1) << 62);
        let counts = [0x2008, 0x4008, 0x6008, 0x8008].map(|address| memory.read_u64(address).unwrap());
        assert_eq!(counts, [0, 32_100, 0, 64_000]);
    }

    #[test]
    fn registers_of_cores_that_are_not_there_are_not_there() {
        let mut imc = Imc::cold(Topology { chips: 1, cores: 3, threads: 1 });
        assert_eq!(imc.read(Model::Power9, 0, 0x1001_270b), None);
        assert_eq!(imc.read(Model::Power10, 0, 0x2001_168b), None);
        assert_eq!(imc.read(Model::Power10, 0, 0x2001_368b), None);
        assert_eq!(imc.read(Model::Power9, 0, 0x2201_0aa8), Some(0));
        assert_eq!(imc.read(Model::Power10, 0, 0x2002_2400), Some(0));
    }

    #[test]
    fn the_catalogue_is_an_xz_file_of_a_tree() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let tree = catalogue(Model::Power9);
        let xz = stored_as_xz(&tree);
        assert_eq!(xz.len() % 4, 0);
        assert_eq!(&xz[24..24 + 3 + 4][3..], &[0xd0, 0x0d, 0xfe, 0xed]);
        let end = xz.len() - 12;
        assert_eq!(xz[end..end + 4], crc32(&xz[end + 4..end + 10]).to_le_bytes());
        let partition = partition(Model::Power9);
        assert_eq!(partition[8..12], [0x00, 0x4e, 0x02, 0x00]);
        assert_eq!(partition[0x1000..], xz);
        assert!(partition.len() < 0x4_0000);
    }
}
