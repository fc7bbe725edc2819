//! Travel against the straight run: whatever way one came, the machine at a position is the same, and what is found
//! going back is what was found going forward, reversed.

mod guests;

use guests::{Guest, at, bare_metal, debian, latches, race};
use std::ops::ControlFlow;
use timebase_machine::api::*;
use timebase_machine::debug::{self, Change, Halts, Hit};
use timebase_machine::{Register, Space, Watchpoint};
use timebase_replay::events::{Happening, Kind, events};
use timebase_replay::live::{Idle, Live, Rules, World, drive};
use timebase_replay::{Attention, Ended, Event, Found, Record, Recorder, Recording, Timeline, Watcher};
use timebase_state::{Instant, Ticks};

/// Random seeks: the digest at each place is that of the straight run.
fn seeks(guest: &Guest, seed: u64, seeks: u64) {
    let mut random = seed;
    let mut draw = |n: u64| timebase_state::random::draw(&mut random) % n;
    let places: Vec<u64> = (0..seeks / 4).map(|_| draw(guest.end + 1)).collect();
    let (records, digests) = guest.straight(&places);
    let mut timeline = guest.timeline(records);
    for _ in 0..seeks {
        let place = places[draw(places.len() as u64) as usize];
        timeline.seek(at(place), &mut || true).expect("a seek");
        assert_eq!(timeline.position(), at(place));
        assert_eq!(timeline.digest(), digests[&place], "at {place}");
    }
}

fn all_forward(timeline: &mut Timeline, halts: &Halts, first: Position, limit: Position) -> Vec<Hit> {
    let mut hits = Vec::new();
    timeline.seek(first, &mut || true).expect("the beginning");
    // Gathered on the way: a search that accepts nothing sees everything.
    let mut gather = |_: &mut dyn Machine, hit: &Hit| {
        hits.push(hit.clone());
        false
    };
    timeline.forward(halts, limit, &mut gather, &mut || true).expect("a run");
    hits.retain(|hit| hit.at > first && hit.at < limit);
    hits
}

/// The hits found going back one by one to the beginning are those of the run forward, reversed.
fn backward(guest: &Guest, halts: &Halts, limit: u64) -> usize {
    backward_to(0, guest, halts, limit)
}

/// The same, back to the count `first`.
fn backward_to(first: u64, guest: &Guest, halts: &Halts, limit: u64) -> usize {
    let (records, _) = guest.straight(&[]);
    let mut timeline = guest.timeline(records);
    let (first, limit) = (at(first), at(limit.min(guest.end)));
    let forward = all_forward(&mut timeline, halts, first, limit);
    let mut places: Vec<Position> = forward.iter().map(|hit| hit.at).collect();
    places.dedup();
    timeline.seek(limit, &mut || true).expect("the end");
    let mut judge = |_: &mut dyn Machine, hit: &Hit| hit.at > first;
    for place in places.iter().rev() {
        match timeline.backward(halts, first, &mut judge, &mut || true).expect("a search") {
            Found::Hit(hit) => assert_eq!(hit.at, *place),
            other => panic!("{other:?} instead of {place:?}"),
        }
        assert_eq!(timeline.position(), *place);
    }
    let found = timeline.backward(halts, first, &mut judge, &mut || true).expect("a search");
    assert_eq!(found, if first == at(0) { Found::Beginning } else { Found::Limit });
    // And forward again, stopping at each.
    let mut stops = Vec::new();
    while let Found::Hit(hit) = timeline.forward(halts, limit, &mut judge, &mut || true).expect("a run") {
        stops.push(hit.at);
    }
    stops.dedup();
    stops.retain(|&place| place < limit);
    assert_eq!(stops, places);
    places.len()
}

/// Effective addresses of instructions that the guest comes to at random places.
fn addresses(guest: &Guest, seed: u64, count: u64) -> Vec<u64> {
    let mut random = seed;
    let mut machine = guest.machine();
    let mut found = Vec::new();
    let mut places: Vec<u64> =
        (0..count).map(|_| timebase_state::random::draw(&mut random) % guest.end).collect();
    places.sort();
    for place in places {
        while machine.run(place) != Stop::Limit {
            machine.take_output();
            machine.end_idle();
        }
        found.push(machine.vcpu(machine.current()).regs.nia);
    }
    found
}

#[test]
fn s15_gap4_random_seeks_in_the_embedded_guest() {
    seeks(&race(12_000_000), 1, 400);
}

#[test]
fn s16_gap4_random_seeks_in_a_linux_boot() {
    seeks(&debian(1, 60_000_000), 2, 100);
}

#[test]
fn s16_gap4_random_seeks_in_a_linux_boot_with_4_vcpus() {
    seeks(&debian(4, 60_000_000), 3, 100);
}

#[test]
fn s16_gap3_random_seeks_in_a_bare_metal_boot() {
    seeks(&bare_metal("powernv9", 1, 60_000_000), 4, 60);
    seeks(&bare_metal("powernv10", 2, 200_000_000), 5, 60);
}

#[test]
#[ignore = "takes minutes: cargo nextest run -p timebase-replay --cargo-profile release --run-ignored only large"]
fn large_s16_gap3_a_thousand_positions_of_bare_metal_boots() {
    for (machine, cpus) in [("powernv9", 1), ("powernv9", 4), ("powernv10", 1), ("powernv10", 4)] {
        seeks(&bare_metal(machine, cpus, 1_000_000_000), 6, 4_000);
    }
}

#[test]
#[ignore = "takes minutes: cargo nextest run -p timebase-replay --cargo-profile release --run-ignored only large"]
fn large_gap4_ten_thousand_seeks_with_1_and_4_vcpus() {
    seeks(&debian(1, 200_000_000), 11, 5_000);
    seeks(&debian(4, 200_000_000), 12, 5_000);
}

#[test]
#[ignore = "takes minutes: cargo nextest run -p timebase-replay --cargo-profile release --run-ignored only large"]
fn large_gap4_a_step_back_over_each_of_100_000_instructions() {
    steps_back(&debian(1, 60_000_000), 50_000_000, 100_000);
}

#[test]
fn s15_breakpoints_backward_are_those_forward_reversed() {
    let guest = race(60_000);
    // Two places in the loop, hit on almost every round, and the decrementer's vector.
    let mut breakpoints = addresses(&guest, 4, 2);
    breakpoints.push(0x900);
    let hits = backward(&guest, &Halts { breakpoints, ..Halts::default() }, 60_000);
    assert!(hits > 100, "{hits}");
}

#[test]
fn watchpoints_backward_are_those_forward_reversed() {
    let guest = race(300_000);
    // The stack's top page is used by every interrupt and every call.
    let mut machine = guest.machine();
    while machine.run(250_000) != Stop::Limit {
        machine.take_output();
    }
    let stack = machine.vcpu(0).regs.gpr[1];
    for (space, loads, stores) in
        [(Space::Effective, true, false), (Space::Effective, false, true), (Space::Real, true, true)]
    {
        let watchpoints = vec![Watchpoint { space, address: stack, bytes: 64, loads, stores }];
        let hits = backward(&guest, &Halts { watchpoints, ..Halts::default() }, 250_000);
        assert!(hits > 2, "{space:?}: {hits}");
    }
}

#[test]
fn register_changes_backward_are_those_forward_reversed() {
    let guest = race(40_000);
    for (register, least) in [(Register::Lr, 10), (Register::Gpr(31), 2), (Register::Spr(22), 1)] {
        let hits = backward(&guest, &Halts { register: Some((0, register)), ..Halts::default() }, 40_000);
        assert!(hits >= least, "{register}: {hits}");
    }
}

#[test]
fn searches_in_a_linux_boot_with_4_vcpus() {
    let guest = debian(4, 30_000_000);
    let mut breakpoints = addresses(&guest, 5, 3);
    breakpoints.push(0xc000_0000_0000_0900);
    let hits = backward(&guest, &Halts { breakpoints, slices: true, ..Halts::default() }, 500_000);
    assert!(hits > 20, "{hits}");
}

/// Vectors of the decrementers and of both doorbells in a machine of hypervisor state.
const LATCHED: [u64; 4] = [0x900, 0x980, 0xa00, 0xe80];

#[test]
fn s16_gap2_interrupts_from_latches_backward_are_those_forward_reversed() {
    for vector in LATCHED {
        let hits =
            backward(&latches(40_000), &Halts { breakpoints: vec![vector], ..Halts::default() }, 40_000);
        assert!(hits > 20, "{vector:#x}: {hits}");
    }
}

#[test]
fn s16_gap2_every_step_back_over_instructions_that_latch() {
    steps_back(&latches(3_000_000), 1_500_000, 3_000);
    seeks(&latches(3_000_000), 7, 400);
}

#[test]
fn s16_gap3_searches_and_steps_in_the_initialisation_of_xive() {
    // Both generations are set up from 12 M instructions on, by two threads side by side, and beyond 50 M.
    for machine in ["powernv9", "powernv10"] {
        let guest = bare_metal(machine, 2, 40_000_000);
        steps_back(&guest, 30_000_000, 300);
        let mut breakpoints = nearby(&guest, 39_999_000);
        breakpoints.truncate(4);
        let hits = backward_to(39_999_000, &guest, &Halts { breakpoints, ..Halts::default() }, 40_000_000);
        assert!(hits > 20, "{machine}: {hits}");
    }
}

/// Effective addresses of instructions that the guest comes to in the 64 ones from `count` on.
fn nearby(guest: &Guest, count: u64) -> Vec<u64> {
    let mut machine = guest.machine();
    let addresses = (count..count + 64).map(|place| {
        while machine.run(place) != Stop::Limit {
            machine.take_output();
            machine.end_idle();
        }
        machine.vcpu(machine.current()).regs.nia
    });
    let mut addresses: Vec<u64> = addresses.collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Stepping back over each of `count` instructions after `first`: always one, and always to the same state.
fn steps_back(guest: &Guest, first: u64, count: u64) {
    let places: Vec<u64> = (first..first + count).collect();
    let (records, digests) = guest.straight(&places);
    let mut timeline = guest.timeline(records);
    timeline.seek(at(first + count), &mut || true).expect("a seek");
    for place in places.into_iter().rev() {
        timeline.seek(at(place), &mut || true).expect("a step back");
        assert_eq!(timeline.digest(), digests[&place], "at {place}");
    }
}

#[test]
fn s15_every_step_back_over_consecutive_instructions() {
    steps_back(&race(3_000_000), 1_500_000, 2_000);
}

#[test]
fn stops_and_reads_of_a_debugger_are_invisible() {
    let guest = race(2_000_000);
    let (_, digests) = guest.straight(&[]);
    let mut machine = guest.machine();
    machine.set_halts(Halts {
        breakpoints: addresses(&guest, 6, 3),
        watchpoints: vec![Watchpoint {
            space: Space::Real,
            address: 0x1000,
            bytes: 0x2_0000,
            loads: true,
            stores: true,
        }],
        register: Some((0, Register::Msr)),
        slices: true,
    });
    let mut hits = 0;
    loop {
        match machine.run(guest.end) {
            Stop::Hit(_) => {
                hits += 1;
                let mut bytes = [0; 64];
                let nia = machine.vcpu(0).regs.nia;
                machine.read_effective(0, nia, &mut bytes);
            }
            Stop::Output => drop(machine.take_output()),
            Stop::Limit => break,
            stop => panic!("{stop:?}"),
        }
    }
    assert!(hits > 1000, "{hits}");
    assert_eq!(machine.digest(), digests[&guest.end]);
}

#[test]
fn a_change_is_an_input() {
    let guest = race(2_000_000);
    let (mut records, digests) = guest.straight(&[]);
    let change = Change::Memory { address: 0x2000, bytes: vec![1, 2, 3] };
    let event = Event::Input { port: debug::PORT.into(), payload: change.encode() };
    records.insert(0, Record { at: at(1_000_000), event });
    let mut timeline = guest.timeline(records);
    timeline.seek(at(guest.end), &mut || true).expect("a seek");
    assert_ne!(timeline.digest(), digests[&guest.end]);
    let mut bytes = [0; 3];
    timeline.machine().memory().read(0x2000, &mut bytes).expect("memory");
    assert_eq!(bytes, [1, 2, 3]);
    timeline.seek(at(1_000_000), &mut || true).expect("a seek");
    timeline.machine().memory().read(0x2000, &mut bytes).expect("memory");
    assert_ne!(bytes, [1, 2, 3]);
}

/// All that `guest` does is told, and nobody but us notices.
fn watched(guest: &Guest) -> Vec<Happening> {
    let (records, digests) = guest.straight(&[]);
    let mut timeline = guest.timeline(records);
    let mut all: Vec<Happening> = Vec::new();
    let mut gather = |happening| {
        all.push(happening);
        ControlFlow::Continue(())
    };
    events(&mut timeline, at(0), at(guest.end), &Kind::ALL, &mut gather, &mut || true).expect("events");
    assert_eq!(timeline.position(), at(guest.end));
    assert_eq!(timeline.digest(), digests[&guest.end], "nobody noticed");
    let mut machine = guest.machine();
    loop {
        match machine.run(guest.end) {
            Stop::Limit => break,
            Stop::Idle { .. } => machine.end_idle(),
            _ => drop(machine.take_output()),
        }
    }
    // What is counted and what is told are the same.
    let counted = machine.statistics();
    for (kind, counts) in [
        (Kind::Exception, &counted.exceptions),
        (Kind::Interrupt, &counted.interrupts),
        (Kind::Hcall, &counted.hcalls),
        (Kind::Rtas, &counted.rtas),
    ] {
        for (name, &count) in counts.iter().filter(|count| *count.1 != 0) {
            assert_eq!(told(&all, kind, name), count, "{kind:?} {name}");
        }
    }
    assert!(all.is_sorted_by_key(|happening| (happening.instruction, happening.sequence)));
    all
}

fn told(all: &[Happening], kind: Kind, name: &str) -> u64 {
    all.iter().filter(|happening| happening.kind == kind && happening.name == name).count() as u64
}

#[test]
fn watching_linux_is_invisible_and_tells_all() {
    let all = watched(&debian(4, 60_000_000));
    assert!(told(&all, Kind::Hcall, "H_PUT_TERM_CHAR") > 100);
    let console = all.iter().filter(|happening| happening.kind == Kind::Console);
    assert!(console.map(|happening| happening.to_string()).any(|line| line.contains("Linux version")));
}

#[test]
fn watching_interrupts_is_invisible_and_tells_all() {
    let all = watched(&race(2_000_000));
    let interrupts = told(&all, Kind::Interrupt, "decrementer");
    assert!(interrupts > 100, "{interrupts}");
    let expired = told(&all, Kind::Decrementer, "DEC expired");
    assert!(expired.abs_diff(interrupts) <= 1, "{expired} expiries, {interrupts} interrupts");
    assert!(told(&all, Kind::Return, "return") > 100);
}

const ECHO: &[u8] = include_bytes!("../../cli/tests/guests/echo.elf");

/// Types these texts, one after another, some time apart.
struct Typist {
    texts: Vec<&'static str>,
    next: u64,
}

impl Watcher for Typist {
    fn output(&mut self, _: Position, _: &Output) -> Attention {
        Attention::Later
    }
    fn watch(&mut self, _: Position, _: Instant) -> ControlFlow<Ended> {
        ControlFlow::Continue(())
    }
    fn quantum(&self) -> u64 {
        500
    }
}

impl World for Typist {
    fn input(&mut self, now: Instant) -> Option<(Port, Vec<u8>)> {
        if now.ticks() < self.next || self.texts.is_empty() {
            return None;
        }
        self.next = now.ticks() + 20_000;
        Some(("console0".into(), self.texts.remove(0).into()))
    }
    fn refused(&mut self, error: InputError) {
        panic!("{error:?}");
    }
    fn idle(&mut self, now: Instant, deadline: Option<Instant>) -> Idle {
        match deadline {
            Some(_) => Idle::Over,
            None if self.texts.is_empty() => Idle::Forever,
            None => Idle::Cut(now + Ticks(1_000)),
        }
    }
    fn second_passed(&mut self) -> bool {
        false
    }
}

#[test]
fn s13_gap4_seeks_across_resets_inputs_and_idle_time() {
    let mut guest = race(0);
    guest.kernel = Some(ECHO.into());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let mut machine = guest.machine();
    let schema = machine.schema();
    let recorder = Recorder::create(&path, &guest.config, &guest.images(), schema, 1_000).unwrap();
    let mut typist = Typist { texts: vec!["abc", "r", "de", "r", "f", "p"], next: 20_000 };
    let mut live = Live::recorded(recorder, None);
    drive(&mut *machine, &mut live, &mut typist, Rules::default()).unwrap();
    let records = Recording::open(&path).unwrap().records().to_vec();
    let resets = records.iter().filter(|record| record.event == Event::Reset).count();
    assert_eq!(resets, 2, "the guest rebooted");
    // The straight run: forward only, from power-on, to each place once.
    let mut straight = guest.timeline(records.clone());
    let end = straight.end();
    let mut places: Vec<Position> = records.iter().map(|record| record.at).collect();
    places.extend((0..end.count).step_by(97).map(at));
    places.sort();
    places.dedup();
    let digests: Vec<_> = places
        .iter()
        .map(|&place| {
            straight.seek(place, &mut || true).expect("a seek");
            (place, straight.position(), straight.digest())
        })
        .collect();
    let mut timeline = guest.timeline(records);
    let mut random = 3;
    for _ in 0..2_000 {
        let n = timebase_state::random::draw(&mut random) % digests.len() as u64;
        let (place, position, digest) = digests[n as usize];
        timeline.seek(place, &mut || true).expect("a seek");
        assert_eq!((timeline.position(), timeline.digest()), (position, digest), "at {place:?}");
    }
}
