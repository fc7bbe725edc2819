//! Watching: it is invisible, and what is told is exact.

use crate::harness::{Random, config, elf, finish, machine, machine_with, run_to};
use timebase_machine::observe::{Observation, Observed};
use timebase_machine::{BoxedMachine, Firmware, Stop};

fn watched(machine: &mut BoxedMachine, limit: u64) -> (Stop, Vec<Observed>) {
    machine.observe(true);
    let (stop, _) = run_to(machine, limit);
    (stop, machine.take_observed())
}

#[test]
fn watching_changes_nothing_whenever_it_begins_and_ends() {
    let straight = finish(&mut machine());
    let mut random = Random(21);
    let mut machine = machine();
    let (mut console, mut told) = (Vec::new(), 0);
    let stop = loop {
        machine.observe(random.below(2) == 0);
        let limit = machine.position().count + 1 + random.below(30_000);
        let (stop, output) = run_to(&mut machine, limit);
        console.extend(output);
        told += machine.take_observed().len();
        if stop != Stop::Limit {
            break stop;
        }
    };
    assert!(told > 1000, "{told} were told");
    assert_eq!((stop, console, machine.position().count, machine.digest()), straight);
}

#[test]
fn who_does_not_watch_is_told_nothing() {
    let mut machine = machine();
    run_to(&mut machine, 50_000);
    assert_eq!(machine.take_observed(), []);
    machine.observe(true);
    run_to(&mut machine, 100_000);
    machine.observe(false);
    assert_eq!(machine.take_observed(), [], "what was not taken is dropped");
}

/// Pieces, quanta and flushes do not change what is told, nor where.
#[test]
fn what_is_told_does_not_depend_on_how_the_run_is_cut() {
    const END: u64 = 400_000;
    let (_, straight) = watched(&mut machine(), END);
    assert!(straight.is_sorted_by_key(|seen| seen.at), "in the order of history");
    for quantum in [1, 97, 1009] {
        let mut machine = machine();
        machine.set_quantum(quantum);
        let (_, found) = watched(&mut machine, END);
        assert!(found == straight, "quantum {quantum}");
    }
    let mut random = Random(5);
    let (mut machine, mut found) = (machine(), Vec::new());
    machine.observe(true);
    while machine.position().count < END {
        let limit = END.min(machine.position().count + 1 + random.below(5000));
        run_to(&mut machine, limit);
        machine.flush_caches();
        found.extend(machine.take_observed());
    }
    assert!(found == straight);
}

/// lis r4,VALUE; mtdec r4; and then a branch to itself, with MSR[EE] as `ee` says.
fn timer(value: u32, ee: bool) -> Vec<u32> {
    let mut words = vec![0x3880_0000 | value, 0x7c96_03a6];
    if ee {
        // li r5,-32768 (EE); mtmsrd r5,1
        words.extend([0x38a0_8002, 0x7ca1_0164]);
    }
    words.push(0x4800_0000);
    words
}

#[test]
fn a_decrementer_expires_at_its_instruction_and_its_interrupt_tells_how_late_it_is() {
    let mut bare = config();
    bare.firmware = Firmware::None;
    // Without EE it expires and nothing more happens. Written by the second instruction: two of them to a tick.
    let (_, seen) = watched(&mut machine_with(&bare, &elf(0x10_0000, &timer(1000, false))), 5000);
    let what: Vec<(u64, &Observation)> = seen.iter().map(|seen| (seen.at.count, &seen.what)).collect();
    let written = Observation::TimerWritten { timer: "DEC", value: 1000 };
    let expired = Observation::TimerExpired { timer: "DEC" };
    // DEC counts whole ticks: written in tick 0, it is -1 in tick 1001, that is before instruction 2002.
    assert_eq!(what, [(1, &written), (2002, &expired)]);
    // With EE the interrupt comes in the same place, as late as nothing.
    let (_, seen) = watched(&mut machine_with(&bare, &elf(0x10_0000, &timer(1000, true))), 2003);
    let latency = seen.iter().find_map(|seen| match &seen.what {
        Observation::Interrupt { name: "decrementer", resume, latency, .. } => {
            Some((seen.at.count, *resume, *latency))
        }
        _ => None,
    });
    let (at, resume, latency) = latency.expect("an interrupt");
    let latency = latency.expect("of a timer");
    assert_eq!((at, resume, latency.ticks, latency.instructions), (2002, 0x10_0010, 0, Some(0)));
}

#[test]
fn who_begins_late_is_not_told_of_a_count_that_nobody_saw() {
    let mut bare = config();
    bare.firmware = Firmware::None;
    // It expires without EE; EE comes after 20,000 turns of a loop.
    let words = [
        0x3880_0064, // li r4,100
        0x7c96_03a6, // mtdec r4
        0x38c0_4e20, // li r6,20000
        0x7cc9_03a6, // mtctr r6
        0x4200_0000, // bdnz .
        0x38a0_8002, // li r5,EE|RI
        0x7ca1_0164, // mtmsrd r5,1
        0x4800_0000, // b .
    ];
    let latency = |from: u64| {
        let mut machine = machine_with(&bare, &elf(0x10_0000, &words));
        run_to(&mut machine, from);
        let (_, seen) = watched(&mut machine, 20_010);
        seen.into_iter().find_map(|seen| match seen.what {
            Observation::Interrupt { name: "decrementer", latency, .. } => latency,
            _ => None,
        })
    };
    let (whole, late) = (latency(0).expect("one"), latency(10_000).expect("one"));
    // Expired in tick 101, before instruction 202; taken before instruction 20,006, in tick 10,003.
    assert_eq!((whole.ticks, whole.instructions), (10_003 - 101, Some(20_006 - 202)));
    assert_eq!((late.ticks, late.instructions), (whole.ticks, None));
}

/// What was told, in words: where, and what.
fn words_of(seen: &[Observed]) -> Vec<(u64, String)> {
    let word = |seen: &Observed| match &seen.what {
        Observation::Hypercall { name, arguments, status, results } => {
            assert_eq!(*status, 0, "{name} {arguments:x?}");
            format!("{name} {arguments:x?} {results:x?}")
        }
        Observation::IpiRequest { server, mfrr } => format!("requested {server} {mfrr}"),
        Observation::Offered { routed, ipi } => {
            format!("offered {} {} {:x?} {ipi}", routed.source, routed.priority, routed.event)
        }
        Observation::Accepted(xirr) => format!("accepted {xirr:#x}"),
        Observation::Ended(xirr) => format!("ended {xirr:#x}"),
        Observation::ExternalLine(up) => format!("line {up}"),
        Observation::Xive { operation, value } => {
            format!("{} {:?} {:?} {value:#x}", operation.name, operation.source, operation.pq)
        }
        other => format!("{other:?}"),
    };
    seen.iter().map(|seen| (seen.at.count, word(seen))).collect()
}

fn assert_told(seen: &[Observed], expected: &[(u64, &str)]) {
    let told = words_of(seen);
    let told: Vec<(u64, &str)> = told.iter().map(|(at, what)| (*at, what.as_str())).collect();
    assert_eq!(told, expected);
}

/// A call's event comes before what it brings about, at the position before `sc 1`.
#[test]
fn calls_of_xics_and_their_consequences_are_told_in_order() {
    let words = [
        0x3860_0068, // li r3,H_CPPR
        0x3880_00ff, // li r4,255
        0x4400_0022, // sc 1
        0x3860_006c, // li r3,H_IPI
        0x3880_0000, // li r4,0
        0x38a0_0004, // li r5,4
        0x4400_0022, // sc 1
        0x3860_0074, // li r3,H_XIRR
        0x4400_0022, // sc 1
        0x3860_0064, // li r3,H_EOI; r4 is what H_XIRR gave
        0x4400_0022, // sc 1
        0x4800_0000, // b .
    ];
    let (_, seen) = watched(&mut machine_with(&config(), &elf(0x10_0000, &words)), 40);
    assert_told(
        &seen,
        &[
            (2, "H_CPPR [ff] []"),
            (6, "H_IPI [0, 4] []"),
            (6, "requested 0 4"),
            (6, "offered 2 4 None true"),
            (7, "line true"),
            (8, "H_XIRR [] [ff000002]"),
            (8, "accepted 0xff000002"),
            (9, "line false"),
            (10, "H_EOI [ff000002] []"),
            (10, "ended 0xff000002"),
            // MFRR still asks for it.
            (10, "offered 2 4 None true"),
            (11, "line true"),
        ],
    );
}

#[test]
fn accesses_to_xive_are_told_by_what_they_do() {
    let mut bare = config();
    // It negotiates XIVE for the guest.
    bare.firmware = Firmware::None;
    let words = [
        0x3860_03b8, // li r3,H_INT_SET_QUEUE_CONFIG
        0x3880_0000, // li r4,0
        0x38a0_0000, // li r5,0: server
        0x38c0_0006, // li r6,6: priority
        0x3ce0_0020, // lis r7,0x20: address
        0x3900_0010, // li r8,16: log2 of the size
        0x4400_0022, // sc 1
        0x3860_03ac, // li r3,H_INT_SET_SOURCE_CONFIG
        0x3880_0002, // li r4,2: set the event
        0x38a0_0000, // li r5,0: source
        0x38c0_0000, // li r6,0: server
        0x38e0_0006, // li r7,6: priority
        0x3900_0077, // li r8,0x77: event
        0x4400_0022, // sc 1
        0x3d20_0006, // lis r9,6
        0x6129_0100, // ori r9,r9,0x100
        0x7929_07c6, // sldi r9,r9,32: its trigger page
        0x3d69_0001, // addis r11,r9,1: its management page
        0xe94b_0c00, // ld r10,0xc00(r11): PQ := 00
        0xf949_0000, // std r10,0(r9): trigger
        0xe94b_0800, // ld r10,0x800(r11): PQ
        0xe94b_0000, // ld r10,0(r11): end of interrupt
        0x4800_0000, // b .
    ];
    let (_, seen) = watched(&mut machine_with(&bare, &elf(0x10_0000, &words)), 40);
    assert_told(
        &seen,
        &[
            (6, "H_INT_SET_QUEUE_CONFIG [0, 0, 6, 200000, 10] []"),
            (13, "H_INT_SET_SOURCE_CONFIG [2, 0, 0, 6, 77] []"),
            (18, "esb-set-pq Some(0) Some(0) 0x1"),
            (19, "esb-trigger Some(0) None 0x1"),
            (19, "offered 0 6 Some(77) true"),
            (20, "esb-get-pq Some(0) None 0x2"),
            (21, "esb-eoi Some(0) None 0x0"),
        ],
    );
}

/// Power ISA Book III 11.3: msgsndp with message type 5 to thread 0 of the core.
#[test]
fn doorbells_are_told_when_sent_when_they_arrive_and_when_taken() {
    let mut bare = config();
    bare.firmware = Firmware::None;
    let words = [
        0x3c80_2800, // lis r4,5 << 11: directed, thread 0
        0x7c00_211c, // msgsndp r4
        0x38a0_8002, // li r5,EE|RI
        0x7ca1_0164, // mtmsrd r5,1
        0x4800_0000, // b .
    ];
    let (_, seen) = watched(&mut machine_with(&bare, &elf(0x10_0000, &words)), 5);
    let told: Vec<(u64, &Observation)> = seen.iter().map(|seen| (seen.at.count, &seen.what)).collect();
    let sent = Observation::DoorbellSent { message: 0x2800_0000, hypervisor: false };
    let arrived = Observation::Doorbell { hypervisor: false };
    assert_eq!(told[..2], [(1, &sent), (2, &arrived)]);
    let taken = |what: &Observation| {
        matches!(what, Observation::Interrupt { name: "directed-privileged-doorbell", resume: 0x10_0010, .. })
    };
    assert!(told[2].0 == 4 && taken(told[2].1), "{told:?}");
}

#[test]
fn the_end_of_the_guest_is_told_once() {
    let mut machine = machine();
    machine.observe(true);
    let (stop, ..) = finish(&mut machine);
    assert_eq!(stop, Stop::PowerOff);
    for _ in 0..3 {
        assert_eq!(machine.run(u64::MAX / 4), Stop::PowerOff);
    }
    let seen = machine.take_observed();
    let ends = seen.iter().filter(|seen| seen.what == Observation::PowerOff).count();
    assert_eq!((ends, seen.last().map(|seen| &seen.what)), (1, Some(&Observation::PowerOff)));
}

/// A guest that cedes in a loop: idle begins where it cedes, and ends after as long as its timer says.
#[test]
fn idle_time_is_told_with_its_length() {
    let mut bare = config();
    bare.firmware = Firmware::None;
    let words = [
        0x3880_1388, // li r4,5000
        0x7c96_03a6, // mtdec r4
        0x3860_00e0, // li r3,H_CEDE
        0x4400_0022, // sc 1
        0x4800_0000, // b .
    ];
    let (_, seen) = watched(&mut machine_with(&bare, &elf(0x10_0000, &words)), 5);
    let idle: Vec<_> = seen
        .iter()
        .filter_map(|seen| match seen.what {
            Observation::IdleBegins => Some((seen.at.count, seen.at.sequence, None)),
            Observation::IdleEnds(ticks) => Some((seen.at.count, seen.at.sequence, Some(ticks))),
            _ => None,
        })
        .collect();
    // From tick 2 to tick 5001.
    assert_eq!(idle, [(4, 0, None), (4, 1, Some(4999))]);
}
