use crate::*;
use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

#[derive(State, Clone, PartialEq, Debug, Default)]
enum Kind {
    #[default]
    Idle,
    Busy(u32, bool),
    Waiting {
        until: u64,
    },
}

#[derive(State, Clone, PartialEq, Debug)]
struct Device {
    a: u8,
    b: i64,
    wide: u128,
    list: Vec<(u32, u64)>,
    map: BTreeMap<u32, String>,
    kind: Kind,
    option: Option<u16>,
    deadline: Instant,
    array: [bool; 3],
    #[undigested("a position")]
    count: u64,
    #[cache("rebuilt from a")]
    derived: f64,
}

fn device() -> Device {
    Device {
        a: 7,
        b: -5,
        wide: 1 << 100,
        list: vec![(1, 2), (3, 4)],
        map: BTreeMap::from([(9, "nine".into())]),
        kind: Kind::Busy(6, true),
        option: Some(3),
        deadline: Instant::from_ticks(100),
        array: [true, false, true],
        count: 55,
        derived: 1.5,
    }
}

#[test]
fn what_is_saved_is_loaded_and_caches_stay() {
    let snapshot = save(&mut device());
    let mut other = Device {
        a: 0,
        b: 0,
        wide: 0,
        list: vec![(0, 0); 9],
        map: BTreeMap::new(),
        kind: Kind::Waiting { until: 3 },
        option: None,
        deadline: Instant::default(),
        array: [false; 3],
        count: 0,
        derived: 9.0,
    };
    load(&mut other, &snapshot).unwrap();
    assert_eq!(other, Device { derived: 9.0, ..device() });
}

#[test]
fn a_cut_or_lengthened_snapshot_is_an_error_and_never_a_panic() {
    let snapshot = save(&mut device());
    for length in 0..snapshot.small.len() {
        let cut = Snapshot { small: snapshot.small[..length].to_vec(), paged: vec![] };
        assert!(load(&mut device(), &cut).is_err(), "cut to {length}");
    }
    let mut long = snapshot;
    long.small.push(0);
    assert_eq!(load(&mut device(), &long).unwrap_err().what, "the saved state is too long");
}

#[test]
fn every_digested_leaf_changes_the_digest_and_shows_in_the_diff() {
    let now = Instant::from_ticks(40);
    let cold = digest(&mut device(), now);
    let mut n = 0;
    while let Some(path) = {
        let mut d = device();
        let path = perturb(&mut d, n);
        if path.is_some() {
            assert_ne!(digest(&mut d, now), cold, "{path:?}");
            let found = diff(&mut device(), &mut d, now, now);
            assert_eq!(Some(&found[0].path), path.as_ref());
        }
        path
    } {
        assert_ne!(path, "count");
        n += 1;
    }
    assert_eq!(n, 2 + 1 + 4 + 1 + 4 + 2 + 2 + 1 + 3, "all leaves were visited");
}

#[test]
fn instants_are_digested_relative_to_now() {
    let mut later = device();
    later.deadline = Instant::from_ticks(160);
    later.count = 1000;
    assert_eq!(
        digest(&mut device(), Instant::from_ticks(40)),
        digest(&mut later, Instant::from_ticks(100)),
        "position and origin do not matter"
    );
    assert_ne!(digest(&mut device(), Instant::from_ticks(40)), digest(&mut later, Instant::from_ticks(40)));
}

#[test]
fn paged_behaves_as_flat_bytes_and_clones_do_not_see_later_writes() {
    let mut paged = Paged::new(70 * 4096 + 100);
    let mut flat = vec![0u8; 70 * 4096 + 100];
    let mut seed = 1u64;
    let mut random = |n: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % n
    };
    let mut old: Vec<(Paged, Vec<u8>)> = vec![];
    for step in 0..2000u32 {
        let offset = random(flat.len() as u64 + 50);
        let bytes: Vec<u8> = (0..random(9000)).map(|_| random(3) as u8).collect();
        let inside = offset as usize + bytes.len() <= flat.len();
        assert_eq!(paged.write(offset, &bytes), inside);
        if inside {
            flat[offset as usize..offset as usize + bytes.len()].copy_from_slice(&bytes);
        }
        if step % 200 == 0 {
            old.push((paged.clone(), flat.clone()));
        }
    }
    let mut out = vec![0; flat.len()];
    assert!(paged.read(0, &mut out));
    assert_eq!(out, flat);
    for (paged, flat) in &old {
        assert!(paged.read(0, &mut out));
        assert_eq!(&out, flat);
    }
    let (first, model) = &old[0];
    let expected: Vec<u64> = (0..71u64)
        .filter(|&page| {
            let range = page as usize * 4096..((page as usize + 1) * 4096).min(flat.len());
            model[range.clone()] != flat[range]
        })
        .collect();
    assert_eq!(first.changed_pages(&paged), expected);
}

#[test]
fn an_outline_tells_what_changed_without_keeping_it() {
    let mut seed = 7u64;
    let mut random = |n: u64| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) % n
    };
    let mut paged = Paged::new(300 * 4096);
    let mut before = (paged.clone(), paged.outline());
    let mut equal = 0;
    for step in 0..300 {
        for _ in 0..random(5) {
            match random(5) {
                // Often what is there already.
                0 => assert!(paged.write(random(300) * 4096, &[random(2) as u8])),
                // The last ones go.
                3 => paged.share(280, &Paged::new(300 * 4096), 280, 20),
                1 => paged.set_page(random(300), &[random(2) as u8; 4096]),
                // As when a machine is restored.
                2 => paged.share(100, &before.0.clone(), 90, random(20)),
                _ => _ = paged.root_hash(),
            }
        }
        let (changed, exact) = (paged.changed_since(&before.1).0, paged.changed_pages(&before.0));
        assert!(exact.iter().all(|page| changed.contains(page)), "{step}: {exact:?} of {changed:?}");
        assert!(changed.is_sorted() && changed.len() < 100, "{step}: {changed:?}");
        equal += usize::from(changed == exact);
        if step % 3 == 0 {
            before = (paged.clone(), paged.outline());
            assert_eq!(paged.changed_since(&before.1).0, []);
        }
    }
    assert!(equal > 50, "it names pages that nobody wrote");
    assert_eq!(Paged::new(4096).changed_since(&before.1).0, [], "a page of another storage");
}

#[test]
fn appended_and_shared_bytes_are_those_of_the_file() {
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect();
    let mut file = Paged::default();
    for piece in bytes.chunks(70_001) {
        file.append(piece);
    }
    assert!(file == Paged::from(&bytes[..]) && file.len() == bytes.len() as u64);
    assert_eq!(file.copy(0, u64::MAX), bytes);
    assert_eq!(file.copy(5000, 10_000), bytes[5000..15_000]);
    assert_eq!(file.copy(2_999_999, 5), bytes[2_999_999..]);
    assert!(file.copy(3_000_000, 5).is_empty() && file.copy(u64::MAX, 5).is_empty());
    let mut memory = Paged::new(64 << 20);
    memory.share(1000, &file, 2, 700);
    assert!(memory.write(1000 * 4096, &[1, 2, 3]));
    assert_eq!(memory.copy(1000 * 4096 + 3, 5000), bytes[8195..13_195]);
    assert_eq!(file.copy(8192, 3), bytes[8192..8195], "the file is not written");
}

#[test]
fn a_page_that_became_zero_hashes_as_an_absent_one() {
    let (mut written, fresh) = (Paged::new(1 << 30), Paged::new(1 << 30));
    assert!(written.write(5 << 20, &[1]));
    assert_ne!(written.root_hash(), fresh.root_hash());
    assert_eq!(fresh.changed_pages(&written), [(5 << 20) / 4096]);
    assert!(written.write(5 << 20, &[0]));
    assert_eq!(written.root_hash(), fresh.root_hash());
    assert_eq!(fresh.changed_pages(&written), [0u64; 0]);
}
