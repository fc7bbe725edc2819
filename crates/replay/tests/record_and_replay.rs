//! Record against replay on the toy machine: inputs, idle time cut short, resets, any quantum.

mod toy;

use proptest::prelude::*;
use std::ops::ControlFlow;
use std::path::Path;
use timebase_machine::api::*;
use timebase_replay::live::{Idle, Live, Rules, World, drive};
use timebase_replay::play::{Played, play};
use timebase_replay::*;
use timebase_state::{Instant, Ticks};

fn config(append: &str) -> Config {
    Config {
        machine: "toy".into(),
        cpu: "toy".into(),
        memory_bytes: 1 << 20,
        cpus: 1,
        append: append.into(),
        firmware: Firmware::None,
        seed: 1,
        schedule_seed: 0,
        rtc_seconds: 0,
        rate_numerator: 2,
        rate_denominator: 1,
        threads: 1,
        sockets: 1,
    }
}

fn images() -> Images {
    let kernel: Vec<u8> = (0..40_000u32).map(|n| ((n * n) >> 7) as u8).collect();
    Images { kernel: Some(kernel[..].into()), ..Images::default() }
}

/// A world made of pseudo-random choices: what it does is *not* a function of the machine.
struct Chaos {
    random: u64,
    inputs: bool,
    until: u64,
    shown: Vec<u8>,
    seconds: u64,
}

impl Chaos {
    fn new(random: u64, until: u64) -> Chaos {
        Chaos { random, inputs: true, until, shown: Vec::new(), seconds: 50 }
    }
    fn pick(&self, n: u64) -> u64 {
        (self.random >> 33) % n
    }
    fn stir(&mut self) {
        self.random = self.random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    }
}

impl Watcher for Chaos {
    fn output(&mut self, _: Position, output: &Output) -> Attention {
        self.stir();
        self.shown.extend(&output.bytes);
        if self.pick(10) == 0 { Attention::Here } else { Attention::Later }
    }
    fn watch(&mut self, at: Position, _: Instant) -> ControlFlow<Ended> {
        self.stir();
        if at.count >= self.until { ControlFlow::Break(Ended::Quit) } else { ControlFlow::Continue(()) }
    }
    fn quantum(&self) -> u64 {
        1 + self.pick(3000)
    }
}

impl World for Chaos {
    fn input(&mut self, _: Instant) -> Option<(Port, Vec<u8>)> {
        self.stir();
        match self.pick(12) {
            _ if !self.inputs => None,
            0..3 => Some(("console0".into(), vec![b'A' + self.pick(26) as u8; 1 + self.pick(5) as usize])),
            3 => Some(("nmi".into(), vec![])),
            4 => Some(("nmi".into(), vec![1])),
            5 => Some(("nowhere".into(), vec![1])),
            _ => None,
        }
    }
    fn refused(&mut self, _: InputError) {}
    fn idle(&mut self, now: Instant, deadline: Option<Instant>) -> Idle {
        self.stir();
        match self.pick(4) {
            0 => Idle::Wait,
            1 => Idle::Cut(now + Ticks(self.pick(40_000))),
            _ if deadline.is_none() && self.inputs => Idle::Wait,
            _ => Idle::Over,
        }
    }
    fn second_passed(&mut self) -> bool {
        self.pick(self.seconds) == 0
    }
}

fn record(path: &Path, append: &str, world: &mut Chaos, interval: u64) -> Outcome {
    let config = config(append);
    let mut machine = toy::build(&config, images()).unwrap();
    let recorder = Recorder::create(path, &config, &images(), machine.schema(), interval).unwrap();
    drive(&mut *machine, &mut Live::recorded(recorder, None), world, Rules::default()).unwrap()
}

/// Replays with other quanta than those of the recording.
fn replay(path: &Path, quanta: u64) -> (Result<Played, play::Divergence>, Vec<u8>) {
    let mut recording = Recording::open(path).unwrap();
    let images = recording.images().unwrap();
    let mut machine = toy::build(&recording.header().config.clone(), images).unwrap();
    recording.check(machine.schema()).unwrap();
    let mut watcher = Chaos::new(quanta, u64::MAX);
    let played = play(&mut *machine, recording.records(), &mut watcher, Rules::default());
    (played, watcher.shown)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_replay_is_the_recorded_run_whatever_came_in_and_however_runs_were_cut(
        seed: u64, quanta: u64, interval in 1u64..5000, program in 0usize..5
    ) {
        let append = ["", "busy panic=900", "panic=3000 reset=5000", "sleep=3000", "limit-first reset=4000 sleep=9000"][program];
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chaos.tb");
        let mut world = Chaos::new(seed, 30_000);
        let outcome = record(&path, append, &mut world, interval);
        let (played, shown) = replay(&path, quanta);
        let played = played.unwrap();
        prop_assert_eq!(&played.outcome, &outcome);
        prop_assert_eq!(shown, world.shown);
        prop_assert_eq!(played.digests_compared, 1 + outcome.at.count / interval);
        let info = Recording::open(&path).unwrap().info();
        prop_assert!(info.complete && info.counts.inputs > 0);
        prop_assert_eq!(info.instructions, outcome.at.count);
    }

    #[test]
    fn a_plain_run_is_the_recorded_run(seed: u64) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plain.tb");
        let quiet = |seed| Chaos { inputs: false, ..Chaos::new(seed, u64::MAX) };
        let mut skipping = Skip(quiet(seed));
        let append = "reset=7000 panic=8000 poweroff=20000";
        let mut machine = toy::build(&config(append), images()).unwrap();
        let plain = drive(&mut *machine, &mut Live::default(), &mut skipping, Rules::default()).unwrap();
        let mut machine = toy::build(&config(append), images()).unwrap();
        let recorder = Recorder::create(&path, &config(append), &images(), machine.schema(), 999).unwrap();
        let (mut live, mut world) = (Live::recorded(recorder, None), Skip(quiet(!seed)));
        let recorded = drive(&mut *machine, &mut live, &mut world, Rules::default()).unwrap();
        prop_assert_eq!(&plain, &recorded);
        prop_assert_eq!(&plain.ended, &Ended::PowerOff);
        prop_assert_eq!(plain.at.count, 20_000);
        prop_assert_eq!(replay(&path, seed).0.unwrap().outcome, recorded);
    }
}

/// Chaos, but idle time is skipped.
struct Skip(Chaos);

impl Watcher for Skip {
    fn output(&mut self, at: Position, output: &Output) -> Attention {
        self.0.output(at, output)
    }
    fn watch(&mut self, at: Position, now: Instant) -> ControlFlow<Ended> {
        self.0.watch(at, now)
    }
    fn quantum(&self) -> u64 {
        self.0.quantum()
    }
}

impl World for Skip {
    fn input(&mut self, _: Instant) -> Option<(Port, Vec<u8>)> {
        None
    }
    fn refused(&mut self, _: InputError) {}
    fn idle(&mut self, _: Instant, _: Option<Instant>) -> Idle {
        Idle::Over
    }
    fn second_passed(&mut self) -> bool {
        false
    }
}

fn end_of(append: &str, rules: Rules) -> Outcome {
    let mut machine = toy::build(&config(append), images()).unwrap();
    drive(&mut *machine, &mut Live::default(), &mut Skip(Chaos::new(7, u64::MAX)), rules).unwrap()
}

#[test]
fn rules_end_runs() {
    let end = end_of("reset=500", Rules { reboot: false, ..Rules::default() });
    assert_eq!((end.ended, end.at.count), (Ended::Reset, 500));
    let end = end_of("panic=600", Rules { stop_on_panic: true, ..Rules::default() });
    assert_eq!((end.ended, end.at.count), (Ended::Panic("the toy broke".into()), 600));
    let end = end_of("panic=600", Rules { until_count: Some(12_345), ..Rules::default() });
    assert_eq!((end.ended, end.at.count), (Ended::UntilCount, 12_345));
    let end = end_of("sleep=700", Rules::default());
    assert_eq!((end.ended, end.at.count), (Ended::IdleForever, 700));
}

#[test]
fn a_replay_may_end_earlier_than_its_recording() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("early.tb");
    record(&path, "reset=5000", &mut Chaos::new(3, 20_000), 1000);
    let recording = Recording::open(&path).unwrap();
    let early = |rules| {
        let mut machine = toy::build(&config("reset=5000"), images()).unwrap();
        play(&mut *machine, recording.records(), &mut Chaos::new(9, u64::MAX), rules).unwrap().outcome
    };
    let end = early(Rules { until_count: Some(1234), ..Rules::default() });
    assert_eq!((end.ended, end.at.count), (Ended::UntilCount, 1234));
    let end = early(Rules { reboot: false, ..Rules::default() });
    assert_eq!((end.ended, end.at.count), (Ended::Reset, 5000));
}

#[test]
fn another_machine_diverges_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.tb");
    record(&path, "", &mut Chaos::new(3, 20_000), 1000);
    let recording = Recording::open(&path).unwrap();
    let mut machine = toy::build(&Config { seed: 2, ..config("") }, images()).unwrap();
    let divergence =
        play(&mut *machine, recording.records(), &mut Chaos::new(9, u64::MAX), Rules::default()).unwrap_err();
    assert!(divergence.at.count <= 1000 && divergence.good == 0, "{divergence}");
    for program in ["poweroff=10500", "reset=10500", "sleep=10500"] {
        let mut machine = toy::build(&config(program), images()).unwrap();
        let divergence =
            play(&mut *machine, recording.records(), &mut Chaos::new(9, u64::MAX), Rules::default())
                .unwrap_err();
        assert!((10_500..=11_000).contains(&divergence.at.count), "{divergence}");
        assert_eq!(divergence.good, 10_000, "{divergence}");
    }
}

#[test]
fn every_perturbed_leaf_diverges() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leaf.tb");
    record(&path, "", &mut Chaos::new(5, 3000), 100);
    let recording = Recording::open(&path).unwrap();
    for n in 0.. {
        let mut machine = toy::build(&config(""), images()).unwrap();
        let Some(path) = machine.perturb(n) else {
            assert!(n >= 8, "all leaves were visited");
            break;
        };
        let played = play(&mut *machine, recording.records(), &mut Chaos::new(9, u64::MAX), Rules::default());
        assert!(played.is_err(), "{path}");
    }
}

#[test]
fn the_history_of_a_long_run_is_small() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("small.tb");
    let append = "busy";
    let mut machine = toy::build(&config(append), images()).unwrap();
    let recorder = Recorder::create(&path, &config(append), &images(), machine.schema(), 100_000).unwrap();
    let rules = Rules { until_count: Some(1_000_000), ..Rules::default() };
    drive(&mut *machine, &mut Live::recorded(recorder, None), &mut Skip(Chaos::new(1, u64::MAX)), rules)
        .unwrap();
    let info = Recording::open(&path).unwrap().info();
    assert_eq!(info.counts.digests, 10);
    assert!(info.history_file_bytes < 1000, "{info:?}");
}
