//! The one law, on the embedded guest: the state at instruction N depends on nothing but configuration and inputs.

use crate::harness::{RACE, Random, config, elf, finish, interpreted, machine, machine_with, run_to};
use timebase_machine::{Firmware, Images, Stop};

#[test]
fn two_runs_are_equal() {
    let first = finish(&mut machine());
    assert_eq!(first.0, Stop::PowerOff);
    assert!(String::from_utf8_lossy(&first.1).contains("3 updates lost"), "the planted race shows");
    assert_eq!(first, finish(&mut machine()));
}

#[test]
fn another_configuration_is_another_history() {
    let first = finish(&mut machine());
    let mut other = config();
    other.rtc_seconds += 1;
    assert_ne!(first.3, finish(&mut machine_with(&other, RACE)).3);
}

#[test]
fn engines_and_quanta_are_invisible() {
    let straight = finish(&mut interpreted());
    assert_eq!(finish(&mut machine()), straight);
    for quantum in [1, 3, 97, 1009, 99_991] {
        let mut machine = machine();
        machine.set_quantum(quantum);
        assert_eq!(finish(&mut machine), straight, "quantum {quantum}");
    }
}

#[test]
fn stops_and_flushes_at_random_are_invisible() {
    let straight = finish(&mut interpreted());
    let mut random = Random(7);
    let mut machine = machine();
    let mut console = Vec::new();
    let stop = loop {
        let limit = machine.position().count + 1 + random.below(20_000);
        let (stop, output) = run_to(&mut machine, limit);
        console.extend(output);
        if stop != Stop::Limit {
            break stop;
        }
        assert_eq!(machine.position().count, limit, "a limit is met exactly");
        match random.below(3) {
            0 => machine.flush_caches(),
            1 => {
                machine.digest();
            }
            _ => {
                machine.snapshot();
            }
        }
    };
    assert_eq!((stop, console, machine.position().count, machine.digest()), straight);
}

/// S8, S11 and S12 ride on this: DEC and the reservation are part of what is restored, and restoring consumes nothing.
#[test]
fn restored_into_a_fresh_machine_at_100_random_positions_equals_straight() {
    let straight = finish(&mut machine());
    let mut random = Random(3);
    let mut origin = machine();
    let mut positions: Vec<u64> = (0..100).map(|_| random.below(straight.2)).collect();
    positions.sort_unstable();
    let mut console = Vec::new();
    for position in positions {
        console.extend(run_to(&mut origin, position).1);
        let here = origin.digest();
        let snapshot = origin.snapshot();
        let mut fresh = machine();
        fresh.restore(&snapshot).expect("the same configuration");
        assert_eq!(fresh.position(), origin.position());
        assert_eq!(fresh.digest(), here, "at {position}");
        let (stop, rest, count, digest) = finish(&mut fresh);
        assert_eq!((stop, count, digest), (straight.0.clone(), straight.2, straight.3), "from {position}");
        assert_eq!([console.clone(), rest].concat(), straight.1);
    }
}

#[test]
fn s8_dec_is_part_of_the_saved_state() {
    let mut machine = machine();
    run_to(&mut machine, 10_000);
    let snapshot = machine.snapshot();
    run_to(&mut machine, 30_000);
    let found = machine.differences(&snapshot);
    assert!(found.iter().any(|d| d.path == "cpu[0].vcpu.dec_zero"), "{found:?}");
}

#[test]
fn s12_restoring_a_thousand_times_changes_nothing() {
    let mut machine = machine();
    run_to(&mut machine, 123_456);
    let (snapshot, digest, position) = (machine.snapshot(), machine.digest(), machine.position());
    for _ in 0..1000 {
        machine.restore(&snapshot).expect("its own");
    }
    assert_eq!((machine.digest(), machine.position()), (digest, position));
}

#[test]
fn perturbing_any_field_changes_the_digest() {
    let mut machine = machine();
    run_to(&mut machine, 50_000);
    let (snapshot, digest) = (machine.snapshot(), machine.digest());
    let mut n = 0;
    while let Some(path) = machine.perturb(n) {
        assert_ne!(machine.digest(), digest, "{path} is not in the digest");
        machine.restore(&snapshot).expect("its own");
        n += 1;
    }
    assert!(n > 400, "only {n} leaves: something is not walked");
    assert_eq!(machine.digest(), digest);
}

#[test]
fn s2_s9_a_thousand_resets_give_the_same_digest_and_equal_cold() {
    let mut machine = machine();
    let cold = machine.differences(&crate::harness::machine().snapshot());
    assert_eq!(cold, [], "two new machines are equal");
    let mut fresh = crate::harness::machine();
    let mut random = Random(11);
    let mut first = None;
    for n in 0..1000 {
        let limit = machine.position().count + random.below(3000);
        run_to(&mut machine, limit);
        machine.reset();
        // The output so far survives in its running hash; everything else equals a new machine.
        let found: Vec<String> = machine.differences(&fresh.snapshot()).into_iter().map(|d| d.path).collect();
        let others: Vec<&String> = found
            .iter()
            .filter(|path| !path.starts_with("output") && !path.starts_with("devices.rtc"))
            .collect();
        assert!(others.is_empty(), "reset {n}: {others:?} are not as new");
        let memory = machine.snapshot().paged.iter().map(|p| p.present_pages().len()).sum::<usize>();
        assert_eq!(*first.get_or_insert(memory), memory, "reset {n}: memory grew");
    }
}

#[test]
fn after_a_reset_the_guest_runs_as_from_power_on() {
    let straight = finish(&mut machine());
    let mut machine = machine();
    run_to(&mut machine, 400_000);
    let before = machine.position().count;
    machine.reset();
    let (stop, console, count, _) = finish(&mut machine);
    assert_eq!((stop, console, count - before), (straight.0, straight.1, straight.2));
}

#[test]
fn a_reset_whose_images_make_no_machine_is_told_and_ends_the_guest() {
    for (kernel, why) in [
        (Some(&b"no kernel"[..]), "the machine cannot start anew: kernel: "),
        (None, "the machine cannot start anew: no kernel: "),
    ] {
        let mut machine = machine();
        let images = Images { kernel: kernel.map(|kernel| kernel[..].into()), ..Images::default() };
        machine.release_images(Box::new(move || images.clone()));
        run_to(&mut machine, 400_000);
        machine.reset();
        let Stop::Panic(text) = run_to(&mut machine, 800_000).0 else { panic!("it ran") };
        assert!(text.starts_with(why), "{text}");
        // Who goes on nevertheless finds a machine in which nothing runs.
        machine.resume();
        assert_eq!(run_to(&mut machine, 800_000).0, Stop::Idle { deadline: None });
        assert_eq!(machine.position().count, 400_000);
    }
    // With what it was built from, it starts.
    let mut machine = machine();
    machine.release_images(Box::new(|| Images { kernel: Some(RACE[..].into()), ..Images::default() }));
    machine.reset();
    assert_eq!(finish(&mut machine).1, finish(&mut crate::harness::machine()).1);
}

#[test]
fn nonsense_guests_cannot_harm_and_repeat_exactly() {
    for seed in 0..1000 {
        let mut random = Random(seed);
        // Random words; a third of them hypercalls or loads of hcall numbers, so that calls are hit as well.
        let words: Vec<u32> = (0..256)
            .map(|_| match random.below(9) {
                0 => 0x4400_0022,
                1 => 0x3860_0000 | (random.next() as u32 & 0x3fc),
                2 => 0x6063_f000 | random.below(6) as u32,
                3 => 0x3880_0000 | (random.next() as u32 & 0xffff),
                _ => random.next() as u32,
            })
            .collect();
        let mut small = config();
        small.firmware = if seed % 2 == 0 { Firmware::BuiltIn } else { Firmware::None };
        small.cpu = if seed % 3 == 0 { "power10" } else { "power9" }.into();
        let run = |quantum| {
            let mut machine = machine_with(&small, &elf(0x10_0000, &words));
            machine.set_quantum(quantum);
            let (stop, console) = run_to(&mut machine, 20_000);
            (stop, console, machine.position(), machine.digest())
        };
        assert_eq!(run(u64::MAX), run(113), "seed {seed}");
    }
}

#[test]
fn an_endless_exception_loop_still_moves_history() {
    // The illegal word's handler at 0x700 is itself illegal.
    let mut machine = machine_with(&config(), &elf(0x10_0000, &[0]));
    let (stop, _) = run_to(&mut machine, 100_000);
    assert_eq!((stop, machine.position().count), (Stop::Limit, 100_000));
    assert!(machine.now().ticks() >= 50_000, "time moved on");
}

#[test]
fn a_system_reset_request_is_taken_once() {
    let mut machine = machine();
    run_to(&mut machine, 20_000);
    machine.input("nmi", &[]).expect("the port exists");
    let before = machine.statistics().interrupts;
    run_to(&mut machine, 30_000);
    let after = machine.statistics().interrupts;
    assert_eq!((before.get("system-reset"), after.get("system-reset")), (None, Some(&1)));
}

/// ldarx and stdcx. with eight instructions between; the outcome goes to r7.
fn reserving(between: u32) -> Vec<u32> {
    let mut words = vec![
        0x3c80_0010, // lis r4,0x10
        0x6084_8000, // ori r4,r4,0x8000
        0x7ca0_20a8, // ldarx r5,0,r4
    ];
    words.extend([between; 8]);
    words.extend([
        0x7ca0_21ad, // stdcx. r5,0,r4
        0x7ce0_0026, // mfcr r7
        0x4800_0000, // b .
    ]);
    words
}

#[test]
fn s11_restored_between_larx_and_stcx_the_outcome_is_the_recorded_one() {
    let outcome = |machine: &mut timebase_machine::BoxedMachine| {
        run_to(machine, 100);
        machine.digest()
    };
    // 0x60000000: nop keeps the reservation; 0xf8a40008: std r5,8(r4) is one's own store and keeps it too.
    for between in [0x6000_0000, 0xf8a4_0008] {
        let image = elf(0x10_0000, &reserving(between));
        let straight = outcome(&mut machine_with(&config(), &image));
        for position in 0..14 {
            let mut origin = machine_with(&config(), &image);
            run_to(&mut origin, position);
            let snapshot = origin.snapshot();
            let mut fresh = machine_with(&config(), &image);
            fresh.restore(&snapshot).expect("the same configuration");
            fresh.flush_caches();
            let got = outcome(&mut fresh);
            let mut whole = machine_with(&config(), &image);
            run_to(&mut whole, 100);
            assert_eq!(fresh.differences(&whole.snapshot()), [], "restored at {position}");
            assert_eq!(got, straight, "restored at {position}");
        }
        // The reservation matters: without it the store fails and the digest is another one.
        let mut lost = machine_with(&config(), &image);
        run_to(&mut lost, 3);
        let mut n = 0;
        let found = loop {
            let snapshot = lost.snapshot();
            let path = lost.perturb(n).expect("the reservation is a leaf");
            if path == "memory.reservations[0].granule" {
                break outcome(&mut lost);
            }
            lost.restore(&snapshot).expect("its own");
            n += 1;
        };
        assert_ne!(found, straight);
    }
}
