//! How fast one travels: `cargo bench -p timebase-replay --bench travel -- RECORDING [SEEKS]`.
//!
//! Opens a recording, with its index if it has one, goes to its end, and measures steps back from its end, seeks to random
//! positions, and a search back for a breakpoint that is hit once, early. CPU time of this thread, medians.

use std::path::Path;
use std::time::Duration;
use timebase_machine::api::Position;
use timebase_machine::debug::Halts;
use timebase_machine::{Space, Watchpoint};
use timebase_replay::index::{Index, path_of};
use timebase_replay::{Found, Recording, Timeline};

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let before = cpu();
    let result = work();
    (cpu() - before, result)
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!(
        "{what:<44} n {:>5}  p50 {:>9.3?}  p90 {:>9.3?}  p99 {:>9.3?}  max {:>9.3?}",
        times.len(),
        at(50),
        at(90),
        at(99),
        times[times.len() - 1]
    );
}

fn open(path: &Path) -> Timeline {
    let mut recording = Recording::open(path).expect("a recording");
    let images = recording.images().expect("its images");
    let config = &recording.header().config;
    let machine = match timebase_jit::compiler(|| 0) {
        Some(compiler) => timebase_machine::with_compiler(config, &images, compiler),
        None => timebase_machine::build(config, &images),
    }
    .map_err(|e| e.0)
    .expect("a machine");
    let mut timeline = Timeline::new(machine, recording.records().to_vec()).expect("a timeline");
    if let Some(index) = Index::open(&path_of(path), &recording).map_err(|e| e.0).expect("a good index") {
        timeline.use_index(index);
    }
    timeline
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(file) = arguments.next() else {
        eprintln!("which recording? cargo bench -p timebase-replay --bench travel -- RECORDING [SEEKS]");
        std::process::exit(2);
    };
    let seeks: u64 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let path = Path::new(&file);
    let (opening, mut timeline) = timed(|| open(path));
    let end = timeline.end();
    if let Some(index) = timeline.index() {
        println!(
            "indexed: {} checkpoints, {} MiB in the file",
            index.positions().count(),
            index.bytes() >> 20
        );
    }
    let (forward, ()) = timed(|| timeline.seek(end, &mut || true).expect("the end"));
    println!("{} instructions; opened in {opening:.3?}, at the end after {forward:.3?}", end.count);
    println!("{} checkpoints, {} MiB", timeline.checkpoints().count(), timeline.checkpoint_bytes() >> 20);

    let mut steps = Vec::new();
    for n in 1..=seeks {
        let target = Position { count: end.count - n, sequence: 0 };
        steps.push(timed(|| timeline.seek(target, &mut || true).expect("a step back")).0);
    }
    tell("one step back, from the end", steps);

    let mut random = 1;
    let mut hops = Vec::new();
    let mut first = Vec::new();
    for _ in 0..seeks {
        let count = timebase_state::random::draw(&mut random) % end.count;
        let there = Position { count, sequence: 0 };
        hops.push(timed(|| timeline.seek(there, &mut || true).expect("a seek")).0);
        let back = Position { count: count.saturating_sub(1), sequence: 0 };
        first.push(timed(|| timeline.seek(back, &mut || true).expect("a step back")).0);
    }
    tell("seek to a random position", hops);
    tell("one step back there", first);

    timeline.seek(Position { count: 1000, sequence: 0 }, &mut || true).expect("a seek");
    let early = timeline.machine().vcpu(0).regs.nia;
    timeline.seek(end, &mut || true).expect("the end");
    let halts = Halts { breakpoints: vec![early], ..Halts::default() };
    // One run forward, for comparison: to the same breakpoint, which is not hit any more.
    timeline.seek(Position { count: 5_000_000, sequence: 0 }, &mut || true).expect("a seek");
    let (run, _) =
        timed(|| timeline.forward(&halts, end, &mut |_, _| true, &mut || true).expect("a run to the end"));
    println!("one run forward with that breakpoint set: {run:.3?}");
    timeline.seek(end, &mut || true).expect("the end");
    let (back, found) = timed(|| {
        timeline.backward(&halts, Position::default(), &mut |_, _| true, &mut || true).expect("a search")
    });
    println!("back to a breakpoint near the beginning: {back:.3?}, {found:?}");

    timeline.seek(end, &mut || true).expect("the end");
    let watchpoint =
        Watchpoint { space: Space::Real, address: 0x1_0000, bytes: 8, loads: false, stores: true };
    let halts = Halts { watchpoints: vec![watchpoint], ..Halts::default() };
    let (back, found) = timed(|| {
        timeline.backward(&halts, Position::default(), &mut |_, _| true, &mut || true).expect("a search")
    });
    println!("back to the last store to one doubleword: {back:.3?}, {}", matches!(found, Found::Hit(_)));
}
