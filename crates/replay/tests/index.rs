//! Checkpoints in a file beside a recording: travel with them is travel without them, only faster; and whatever is
//! wrong with them, it is as good as none.

mod guests;

use guests::{Guest, Nobody, at, debian, race};
use std::path::Path;
use timebase_machine::Images;
use timebase_replay::index::{Built, Index, Indexer, Unreadable, build, path_of};
use timebase_replay::live::{Live, Rules, drive};
use timebase_replay::{Recorder, Recording, Timeline};

fn record(guest: &Guest, path: &Path, indexed: bool) {
    record_with(guest, path, indexed.then_some(10_000_000));
}

/// Records with checkpoints that are at least so far apart.
fn record_with(guest: &Guest, path: &Path, gap: Option<u64>) {
    record_of(guest, path, gap, &guest.images());
}

/// The same, where the checkpoints know of these images.
fn record_of(guest: &Guest, path: &Path, gap: Option<u64>, images: &Images) {
    let mut machine = guest.machine();
    let recorder =
        Recorder::create(path, &guest.config, &guest.images(), machine.schema(), 5_000_000).unwrap();
    let indexer =
        gap.map(|gap| Indexer::create(&path_of(path), &recorder, images, &mut *machine, gap).unwrap());
    let rules = Rules { until_count: Some(guest.end), ..Rules::default() };
    let mut live = Live::recorded(recorder, indexer);
    drive(&mut *machine, &mut live, &mut Nobody, rules).unwrap();
    assert_eq!(live.index_error(), None);
}

fn index(guest: &Guest, path: &Path, size: u64) -> Built {
    let recording = Recording::open(path).unwrap();
    build(&mut *guest.machine(), &recording, &path_of(path), size, &mut Nobody).unwrap()
}

fn open(guest: &Guest, path: &Path) -> (Timeline, usize) {
    let recording = Recording::open(path).unwrap();
    let mut timeline = Timeline::new(guest.machine(), recording.records().to_vec()).unwrap();
    let index = Index::open(&path_of(path), &recording).unwrap();
    let checkpoints = index.as_ref().map_or(0, |index| index.positions().count());
    if let Some(index) = index {
        timeline.use_index(index);
    }
    (timeline, checkpoints)
}

/// Seeks in random order: the digests are those of the straight run, and nearly nothing was run.
fn seeks(guest: &Guest, path: &Path, seeks: u64) -> usize {
    let mut random = 7;
    let mut draw = |n: u64| timebase_state::random::draw(&mut random) % n;
    let mut places: Vec<u64> = (0..seeks).map(|_| draw(guest.end)).collect();
    places.push(guest.end);
    let (_, digests) = guest.straight(&places);
    let (mut timeline, checkpoints) = open(guest, path);
    for place in places.into_iter().rev() {
        timeline.seek(at(place), &mut || true).expect("a seek");
        assert_eq!(timeline.digest(), digests[&place], "at {place}");
    }
    assert!(checkpoints == 0 || timeline.index().is_some(), "the file was of use");
    checkpoints
}

#[test]
fn an_indexed_recording_is_travelled_as_the_straight_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let guest = debian(1, 60_000_000);
    record(&guest, &path, false);
    let built = index(&guest, &path, 1 << 30);
    assert_eq!(seeks(&guest, &path, 30) as u64, built.checkpoints);
    assert!(built.checkpoints > 10, "{built:?}");
    // A size that cannot hold them all: fewer checkpoints, and they are as right.
    let smaller = index(&guest, &path, built.bytes / 2);
    assert!(smaller.checkpoints < built.checkpoints && smaller.gap > built.gap, "{smaller:?} {built:?}");
    assert_eq!(seeks(&guest, &path, 30) as u64, smaller.checkpoints);
}

#[test]
fn a_recording_is_indexed_while_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let guest = debian(4, 60_000_000);
    record(&guest, &path, true);
    // So short a run pays for no checkpoint: there are the last ones alone.
    assert_eq!(seeks(&guest, &path, 30), 2);
    // The end is there without running anything.
    let (mut timeline, _) = open(&guest, &path);
    let mut asked = 0;
    let mut patience = || {
        asked += 1;
        true
    };
    timeline.seek(at(guest.end), &mut patience).expect("the end");
    assert!(asked <= 1, "asked {asked} times whether to go on");
}

#[test]
fn what_comes_from_an_image_is_not_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let guest = debian(1, 60_000_000);
    let size = |images: &Images| {
        record_of(&guest, &path, Some(30_000_000), images);
        assert_eq!(seeks(&guest, &path, 10), 2);
        std::fs::metadata(path_of(&path)).unwrap().len()
    };
    // Linux changes a few words in many pages.
    let (with, without) = (size(&guest.images()), size(&Images::default()));
    assert!(with < without / 3, "{with} bytes, {without} without the images");
    // Nor when all is done once more with the machine at hand.
    let built = index(&guest, &path, 1 << 30);
    seeks(&guest, &path, 10);
    assert!(built.bytes < without / 2, "{built:?}, {without} without the images");
}

#[test]
fn checkpoints_of_another_version_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    record(&race(12_000_000), &path, true);
    let mut bytes = std::fs::read(path_of(&path)).unwrap();
    bytes[8] -= 1;
    let check = crc32fast::hash(&bytes[..12]);
    bytes[12..16].copy_from_slice(&check.to_le_bytes());
    std::fs::write(path_of(&path), bytes).unwrap();
    let Unreadable(why) = Index::open(&path_of(&path), &Recording::open(&path).unwrap()).err().unwrap();
    assert_eq!(why, "it is of another version");
}

#[test]
fn what_writes_few_pages_has_checkpoints_all_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let guest = race(12_000_000);
    record_with(&guest, &path, Some(300_000));
    let checkpoints = seeks(&guest, &path, 30);
    assert!((5..20).contains(&checkpoints), "{checkpoints}");
}

#[test]
fn the_console_is_known_from_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let guest = race(12_000_000);
    record(&guest, &path, true);
    let (mut without, _) =
        (Timeline::new(guest.machine(), Recording::open(&path).unwrap().records().to_vec()).unwrap(), 0);
    without.seek(at(guest.end), &mut || true).unwrap();
    for again in [false, true] {
        if again {
            index(&guest, &path, 1);
        }
        let (with, _) = open(&guest, &path);
        assert_eq!(with.explored(), at(guest.end));
        assert_eq!(with.console().text, without.console().text);
        assert_eq!(with.console().marks, without.console().marks);
        assert!(!with.console().text.is_empty());
    }
}

#[test]
fn a_damaged_index_is_as_good_as_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tb");
    let guest = race(12_000_000);
    record(&guest, &path, true);
    let (_, digests) = guest.straight(&[11_000_000]);
    let whole = std::fs::read(path_of(&path)).unwrap();
    let mut damaged = 0;
    for place in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        if place % 3 == 0 {
            bytes.truncate(place);
        }
        std::fs::write(path_of(&path), bytes).unwrap();
        let recording = Recording::open(&path).unwrap();
        let mut timeline = Timeline::new(guest.machine(), recording.records().to_vec()).unwrap();
        match Index::open(&path_of(&path), &recording) {
            Err(_) => damaged += 1,
            Ok(None) => {}
            Ok(Some(index)) => {
                timeline.use_index(index);
                for place in [guest.end, 11_000_000] {
                    timeline.seek(at(place), &mut || true).expect("a seek");
                    assert_eq!(timeline.digest(), digests[&place]);
                }
            }
        }
    }
    assert!(damaged > 0);
}

#[test]
fn an_index_of_another_recording_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.tb"), folder.path().join("b.tb"));
    let guest = race(12_000_000);
    record(&guest, &a, true);
    let mut other = race(12_000_000);
    other.config.seed = 9;
    record(&other, &b, false);
    std::fs::copy(path_of(&a), path_of(&b)).unwrap();
    assert_eq!(open(&other, &b).1, 0);
    // The same history that ends earlier has what is before its end.
    record(&race(11_000_000), &b, false);
    std::fs::copy(path_of(&a), path_of(&b)).unwrap();
    let (timeline, checkpoints) = open(&race(11_000_000), &b);
    assert!(checkpoints > 0 && timeline.explored() <= at(11_000_000));
}
