//! The file: cut anywhere, damaged anywhere, made by another version, not writable.

mod toy;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use timebase_machine::api::*;
use timebase_replay::chunk::{FAST, Kind, Next, PREAMBLE, Packer, RECORDING, Reader, preamble};
use timebase_replay::live::{Idle, Live, Rules, World, drive};
use timebase_replay::play::{Played, play};
use timebase_replay::*;
use timebase_state::{Digest, Instant, Paged};

fn config() -> Config {
    Config {
        machine: "toy".into(),
        cpu: "toy".into(),
        memory_bytes: 1 << 16,
        cpus: 1,
        append: "reset=3000".into(),
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

/// Bytes that do not compress.
fn noise(bytes: usize) -> Vec<u8> {
    let mut x = 1u64;
    (0..bytes)
        .map(|_| {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (x >> 56) as u8
        })
        .collect()
}

fn images() -> Images {
    Images {
        kernel: Some(noise(3000)[..].into()),
        initrd: Some([7; 9000][..].into()),
        firmware: Some(noise(3000)[..].into()),
    }
}

/// A second passes at every quantum, and keys are typed now and then.
struct Typist {
    asked: u64,
}

impl Watcher for Typist {
    fn output(&mut self, _: Position, _: &Output) -> Attention {
        Attention::Later
    }
    fn watch(&mut self, _: Position, _: Instant) -> ControlFlow<Ended> {
        ControlFlow::Continue(())
    }
    fn quantum(&self) -> u64 {
        100
    }
}

impl World for Typist {
    fn input(&mut self, _: Instant) -> Option<(Port, Vec<u8>)> {
        self.asked += 1;
        (self.asked.is_multiple_of(37)).then(|| ("console0".into(), noise(self.asked as usize % 300)))
    }
    fn refused(&mut self, error: InputError) {
        panic!("{error:?}");
    }
    fn idle(&mut self, _: Instant, _: Option<Instant>) -> Idle {
        Idle::Over
    }
    fn second_passed(&mut self) -> bool {
        true
    }
}

/// A recording of 20,000 instructions with a chunk for each hundred.
fn record(path: &Path) -> Outcome {
    let mut machine = toy::build(&config(), images()).unwrap();
    let recorder = Recorder::create(path, &config(), &images(), machine.schema(), 1000).unwrap();
    let rules = Rules { until_count: Some(20_000), ..Rules::default() };
    drive(&mut *machine, &mut Live::recorded(recorder, None), &mut Typist { asked: 0 }, rules).unwrap()
}

fn replay(path: &Path) -> Result<Played, String> {
    let mut recording = Recording::open(path).map_err(|e| e.to_string())?;
    if !recording.is_started() {
        return Err("not started".into());
    }
    let images = recording.images().map_err(|e| e.to_string())?;
    let mut machine = toy::build(&recording.header().config.clone(), images).unwrap();
    recording.check(machine.schema()).map_err(|e| e.to_string())?;
    play(&mut *machine, recording.records(), &mut Typist { asked: 0 }, Rules::default())
        .map_err(|e| e.to_string())
}

/// Offsets at which chunks begin, and the end.
fn chunk_offsets(bytes: &[u8]) -> Vec<usize> {
    let mut offsets = vec![PREAMBLE];
    while let Some(header) = bytes.get(offsets[offsets.len() - 1]..).filter(|rest| !rest.is_empty()) {
        let stored = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        offsets.push(offsets[offsets.len() - 1] + 24 + stored);
    }
    offsets
}

#[test]
fn a_recording_cut_anywhere_replays_to_the_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("whole.tb");
    let outcome = record(&path);
    let whole = fs::read(&path).unwrap();
    let cut = directory.path().join("cut.tb");
    let (mut latest, mut started) = (0, 0);
    let offsets = chunk_offsets(&whole);
    let near = offsets.iter().flat_map(|&at| [at - 1, at, at + 1, at + 23, at + 24, at + 25]);
    let mut lengths: Vec<usize> =
        near.chain((0..whole.len()).step_by(4096)).filter(|&n| n < whole.len()).collect();
    lengths.sort_unstable();
    for length in lengths {
        fs::write(&cut, &whole[..length]).unwrap();
        match replay(&cut) {
            Ok(played) => {
                started += 1;
                assert_eq!(played.outcome.ended, Ended::Cut);
                assert!(played.outcome.at.count >= latest && played.outcome.at.count <= 20_000);
                latest = played.outcome.at.count;
                assert!(Recording::open(&cut).unwrap().cut_at().is_some());
            }
            Err(text) if length < PREAMBLE => {
                assert!(text.starts_with("not a recording"), "{length}: {text}")
            }
            Err(text) if length < offsets[1] => assert!(text.contains("it ends before"), "{length}: {text}"),
            Err(text) => assert!(text == "not started" && latest == 0, "{length}: {text}"),
        }
    }
    assert!(latest > 19_000 && started > 300, "{latest} {started}");
    assert_eq!(replay(&path).unwrap().outcome, outcome);
}

#[test]
fn a_flipped_byte_anywhere_is_corrupt_at_the_offset_of_its_chunk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("whole.tb");
    record(&path);
    let whole = fs::read(&path).unwrap();
    let offsets = chunk_offsets(&whole);
    let damaged = directory.path().join("damaged.tb");
    for chunk in offsets.windows(2) {
        // Every byte of a header, and some of the payload.
        for at in (chunk[0]..chunk[0] + 24).chain((chunk[0] + 24..chunk[1]).step_by(61)).chain([chunk[1] - 1])
        {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&damaged, bytes).unwrap();
            let error = Recording::open(&damaged).err().unwrap().to_string();
            assert!(error.starts_with(&format!("corrupt at offset {}: ", chunk[0])), "byte {at}: {error}");
        }
    }
    for at in 0..PREAMBLE {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&damaged, bytes).unwrap();
        let error = Recording::open(&damaged).err().unwrap().to_string();
        let expected = if at < 8 { "not a recording" } else { "corrupt at offset 8" };
        assert!(error.starts_with(expected), "byte {at}: {error}");
    }
}

#[test]
fn zeros_that_a_power_cut_left_are_a_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("zeros.tb");
    record(&path);
    let mut bytes = fs::read(&path).unwrap();
    let offsets = chunk_offsets(&bytes);
    let from = offsets[offsets.len() - 5];
    bytes[from..].fill(0);
    fs::write(&path, bytes).unwrap();
    assert_eq!(replay(&path).unwrap().outcome.ended, Ended::Cut);
}

#[test]
fn what_follows_the_end_is_corrupt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("more.tb");
    record(&path);
    let whole = fs::read(&path).unwrap();
    let offsets = chunk_offsets(&whole);
    let mut bytes = whole.clone();
    bytes.extend_from_slice(&whole[offsets[offsets.len() - 3]..]);
    fs::write(&path, bytes).unwrap();
    let error = Recording::open(&path).err().unwrap().to_string();
    assert_eq!(error.split(": ").next(), Some(&*format!("corrupt at offset {}", whole.len())));
}

#[test]
fn unknown_kinds_of_chunks_and_formats_are_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.tb");
    let mut bytes = preamble(RECORDING);
    bytes[8] = 9;
    let check = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&check.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = Recording::open(&path).err().unwrap();
    assert!(matches!(error, OpenError::Incompatible(_)), "{error:?}");
    assert!(error.to_string().starts_with("recorded in file format 9, and timebase "), "{error}");

    record(&path);
    let mut bytes = fs::read(&path).unwrap();
    let last = chunk_offsets(&bytes)[5];
    bytes[last + 4] = 77;
    let check = crc32fast::hash(&bytes[last..last + 20]);
    bytes[last + 20..last + 24].copy_from_slice(&check.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = Recording::open(&path).err().unwrap();
    assert!(matches!(error, OpenError::Incompatible(_)), "{error:?}");
    assert!(error.to_string().contains("unknown kind 77"), "{error}");
}

#[test]
fn another_schema_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("schema.tb");
    record(&path);
    let recording = Recording::open(&path).unwrap();
    assert!(recording.check_epoch().is_ok());
    let error = recording.check(Digest([1; 32])).unwrap_err();
    assert!(matches!(error, OpenError::Incompatible(_)));
    let text = error.to_string();
    assert!(text.contains(&recording.header().build) && !text.contains('\n'), "{text}");
}

#[test]
fn a_file_that_is_no_recording_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vmlinux");
    fs::write(&path, b"precious").unwrap();
    let create = || Recorder::create(&path, &config(), &images(), Digest::default(), 1000);
    assert!(create().err().unwrap().to_string().contains("is not a recording"));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    // An empty file and an older recording are.
    fs::write(&path, b"").unwrap();
    record(&path);
    record(&path);
    assert!(Recording::open(&path).unwrap().ended().is_some());
}

#[test]
fn one_file_is_recorded_by_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("busy.tb");
    let create = || Recorder::create(&path, &config(), &images(), Digest::default(), 1000);
    let first = create().unwrap();
    assert!(create().err().unwrap().to_string().contains("is being recorded"));
    drop(first);
    assert!(create().is_ok());
}

#[test]
fn a_full_disk_is_one_line_and_leaves_nothing() {
    let error = Recorder::create(Path::new("/dev/full"), &config(), &images(), Digest::default(), 1000);
    let text = error.err().unwrap().to_string();
    assert!(text.contains("/dev/full") && text.contains("No space left"), "{text}");
    let missing = Path::new("/nonexistent/a.tb");
    let error = Recorder::create(missing, &config(), &images(), Digest::default(), 1000).err().unwrap();
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[test]
fn a_growing_recording_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("growing.tb");
    let mut recorder = Recorder::create(&path, &config(), &images(), Digest::default(), 1000).unwrap();
    assert_eq!(Recording::open(&path).unwrap().known(), Position::default());
    recorder.flush(Position { count: 77, sequence: 2 }).unwrap();
    let before = fs::metadata(&path).unwrap().len();
    recorder.flush(Position { count: 77, sequence: 2 }).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), before, "nothing new is nothing written");
    assert_eq!(Recording::open(&path).unwrap().known(), Position { count: 77, sequence: 2 });
}

#[test]
fn equal_images_are_stored_once_and_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tb");
    let images = Images {
        kernel: Some(noise(3 << 20)[..].into()),
        initrd: Some(Paged::default()),
        firmware: Some(noise(3 << 20)[..].into()),
    };
    drop(Recorder::create(&path, &config(), &images, Digest::default(), 1000).unwrap());
    assert!(fs::metadata(&path).unwrap().len() < (3 << 20) + 10_000);
    assert_eq!(Recording::open(&path).unwrap().images().unwrap(), images);
}

#[test]
fn images_stand_as_they_are_and_packed_ones_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tb");
    let images = Images { kernel: Some([5; 3 << 20][..].into()), ..images() };
    drop(Recorder::create(&path, &config(), &images, Digest::default(), 1000).unwrap());
    let image_bytes = Recording::open(&path).unwrap().info().image_file_bytes;
    assert!(image_bytes > 3 << 20, "{image_bytes}");
    assert_eq!(Recording::open(&path).unwrap().images().unwrap(), images);

    // As they stood in recordings of former versions.
    let mut reader = Reader::new(fs::File::open(&path).unwrap(), RECORDING).ok().unwrap();
    let (mut packed, mut packer) = (preamble(RECORDING).to_vec(), Packer::new(FAST).unwrap());
    while let Ok(Next::Chunk(kind, _, payload)) = reader.next_chunk() {
        packer.write(&mut packed, kind, &payload).unwrap();
    }
    assert!(packed.len() < 1 << 20, "{}", packed.len());
    fs::write(&path, packed).unwrap();
    assert_eq!(Recording::open(&path).unwrap().images().unwrap(), images);
}

#[test]
fn zeros_of_an_image_take_no_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tb");
    let mut bytes = vec![0; 10_000_000];
    bytes[5_000_000..5_003_000].copy_from_slice(&noise(3000));
    let images = Images { kernel: Some(bytes[..].into()), ..Images::default() };
    drop(Recorder::create(&path, &config(), &images, Digest::default(), 1000).unwrap());
    let size = fs::metadata(&path).unwrap().len();
    assert!(size < 10_000, "{size}");
    let mut recording = Recording::open(&path).unwrap();
    assert_eq!(recording.images().unwrap(), images);
    // The name is what a common tool says of the whole file.
    let name = twox_hash::XxHash3_128::oneshot(&bytes);
    assert_eq!(recording.info().images[0].xxh3, format!("{name:032x}"));

    // One whose pages stand elsewhere is not that image, nor is one without them.
    let whole = fs::read(&path).unwrap();
    let offsets = chunk_offsets(&whole);
    let (start, end) = (offsets[1], offsets[2]);
    let mut payload = whole[start + 24..end].to_vec();
    payload[16 + 1] ^= 0x10;
    let mut moved = whole[..start].to_vec();
    let mut packer = Packer::new(FAST).unwrap();
    packer.write(&mut moved, Kind::Image, &payload).unwrap();
    moved.extend_from_slice(&whole[end..]);
    let without = [&whole[..start], &whole[end..]].concat();
    for wrong in [moved, without] {
        fs::write(&path, wrong).unwrap();
        let error = Recording::open(&path).unwrap().images().unwrap_err().to_string();
        assert!(error.contains("an image is not what its name says"), "{error}");
    }
}

#[test]
fn an_image_that_nobody_could_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("images.tb");
    let images = Images { kernel: Some(Paged::new((1 << 36) + 1)), ..Images::default() };
    let error = Recorder::create(&path, &config(), &images, Digest::default(), 1000).err().unwrap();
    assert!(error.to_string().contains("too large"), "{error}");
    assert!(!path.exists());
}

#[test]
fn hostile_chunks_are_errors_and_never_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hostile.tb");
    record(&path);
    let whole = fs::read(&path).unwrap();
    let header = chunk_offsets(&whole)[1];
    for n in 0..2000usize {
        // Rightly checksummed, and nonsense.
        let mut bytes = if n % 2 == 0 { preamble(RECORDING).to_vec() } else { whole[..header].to_vec() };
        let mut packer = Packer::new(FAST).unwrap();
        let kinds = [Kind::Header, Kind::Image, Kind::Start, Kind::History];
        for k in 0..n % 5 {
            let noise: Vec<u8> =
                noise(n % 97 + 40).into_iter().map(|byte| byte % (1 + n % 7) as u8).collect();
            packer.write(&mut bytes, kinds[(n + k) % 4], &noise[n % 31..]).unwrap();
        }
        fs::write(&path, bytes).unwrap();
        if let Ok(mut recording) = Recording::open(&path) {
            let _ = (recording.images(), recording.info());
        }
    }
}
