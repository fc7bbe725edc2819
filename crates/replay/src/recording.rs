//! Reads a recording.

use crate::chunk::{Damage, Kind, Next, Place, RECORDING, Reader};
use crate::code::{Decode, Malformed};
use crate::event::{Event, Header, Record, Role, name_of};
use crate::{BUILD, FORMAT, SEMANTICS_EPOCH};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::Path;
use timebase_machine::api::{Firmware, Images, Position};
use timebase_state::{Digest, Paged};

/// A file that cannot be replayed. Displayed as one line that says what and what to do; the path is the caller's.
#[derive(Debug)]
pub enum OpenError {
    /// It cannot be read.
    Io(std::io::Error),
    /// It is not a recording at all.
    NotARecording,
    /// It is damaged.
    Corrupt {
        /// Where, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// It is sound, but not for this program.
    Incompatible(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            OpenError::Io(error) => write!(f, "{error}"),
            OpenError::NotARecording => {
                f.write_str("not a recording: make one with `timebase record -o FILE ...`")
            }
            OpenError::Corrupt { offset, what } => {
                write!(f, "corrupt at offset {offset}: {what}: use another copy, or record again")
            }
            OpenError::Incompatible(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<Damage> for OpenError {
    fn from(damage: Damage) -> OpenError {
        match damage {
            Damage::Io(error) => OpenError::Io(error),
            Damage::NotARecording => OpenError::NotARecording,
            Damage::Corrupt { offset, what } => OpenError::Corrupt { offset, what },
            Damage::Format(format) => OpenError::Incompatible(format!(
                "recorded in file format {format}, and {BUILD} reads format {FORMAT}: replay it with the version \
                 that made it"
            )),
            Damage::UnknownKind { offset, kind } => OpenError::Incompatible(format!(
                "has a chunk of unknown kind {kind} at offset {offset}: replay it with the version that made it"
            )),
        }
    }
}

/// An open recording: all records, and where the images stand.
pub struct Recording {
    header: Header,
    records: Vec<Record>,
    /// Where pieces of images stand.
    pieces: Vec<Place>,
    started: bool,
    cut_at: Option<u64>,
    sizes: Sizes,
    reader: Reader<File>,
}

/// Bytes of the file by use.
#[derive(Clone, Copy, Default)]
struct Sizes {
    images: u64,
    history: u64,
}

impl Recording {
    /// Opens and checks the recording at `path`. A file that was cut short is as good as what it holds.
    pub fn open(path: &Path) -> Result<Recording, OpenError> {
        let file = File::open(path).map_err(OpenError::Io)?;
        if !file.metadata().map_err(OpenError::Io)?.is_file() {
            return Err(OpenError::NotARecording);
        }
        let mut reader = Reader::new(file, RECORDING)?;
        let header = match reader.next_chunk()? {
            Next::Chunk(Kind::Header, place, payload) => {
                Header::decode(&payload).map_err(|e| malformed(place.offset, e))?
            }
            Next::Chunk(_, place, _) => {
                return Err(OpenError::Corrupt { offset: place.offset, what: "the header is missing" });
            }
            Next::End | Next::Cut => {
                return Err(OpenError::Corrupt {
                    offset: reader.offset(),
                    what: "it ends before it says what was recorded",
                });
            }
        };
        let mut recording = Recording {
            header,
            records: Vec::new(),
            pieces: Vec::new(),
            started: false,
            cut_at: None,
            sizes: Sizes::default(),
            reader,
        };
        recording.read_chunks()?;
        Ok(recording)
    }

    fn read_chunks(&mut self) -> Result<(), OpenError> {
        // Whoever wants an image has it unpacked then.
        self.reader.leave_packed(Kind::Image);
        loop {
            let corrupt = |offset, what| Err(OpenError::Corrupt { offset, what });
            match self.reader.next_chunk()? {
                Next::Chunk(_, place, _) if self.ended().is_some() => {
                    return corrupt(place.offset, "something follows the end of history");
                }
                Next::Chunk(Kind::Image, place, _) if !self.started => {
                    self.pieces.push(place);
                    self.sizes.images += place.length;
                }
                Next::Chunk(Kind::Start, ..) if !self.started => self.started = true,
                Next::Chunk(Kind::History, place, payload) if self.started => {
                    self.read_history(place, &payload)?;
                    self.sizes.history += place.length;
                }
                Next::Chunk(_, place, _) => return corrupt(place.offset, "a chunk is not where it belongs"),
                Next::End | Next::Cut
                    if self.ended().is_some() && self.reader.offset() == self.reader.length() =>
                {
                    return Ok(());
                }
                Next::End | Next::Cut => {
                    self.cut_at = Some(self.reader.offset());
                    return Ok(());
                }
            }
        }
    }

    fn read_history(&mut self, place: Place, payload: &[u8]) -> Result<(), OpenError> {
        let mut input = Decode(payload);
        while !input.is_empty() {
            let record = Record::decode(&mut input).map_err(|e| malformed(place.offset, e))?;
            if record.at < self.known() || self.ended().is_some() {
                return Err(OpenError::Corrupt { offset: place.offset, what: "history goes backwards" });
            }
            self.records.push(record);
        }
        Ok(())
    }

    /// The first chunk.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// History.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The position up to which history is known.
    pub fn known(&self) -> Position {
        self.records.last().map_or(Position::default(), |record| record.at)
    }

    /// The end record, if the recording ended in order.
    pub fn ended(&self) -> Option<&Record> {
        self.records.last().filter(|record| matches!(record.event, Event::End { .. }))
    }

    /// Where the file was cut, in bytes; None if it is complete.
    pub fn cut_at(&self) -> Option<u64> {
        self.cut_at
    }

    /// It was not cut before the images were complete: there is a machine to run.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Whether this program, whose machine has the schema `schema`, replays it.
    pub fn check(&self, schema: Digest) -> Result<(), OpenError> {
        self.check_epoch()?;
        let build = &self.header.build;
        if self.header.schema != schema {
            return Err(OpenError::Incompatible(format!(
                "recorded by {build}, whose machine has other state than that of this {BUILD}: replay it with the \
                 program that made it, or record again"
            )));
        }
        Ok(())
    }

    /// Whether the guest sees the same from this program as from the one that made the recording.
    pub fn check_epoch(&self) -> Result<(), OpenError> {
        let Header { build, epoch, .. } = &self.header;
        if *epoch == SEMANTICS_EPOCH {
            return Ok(());
        }
        Err(OpenError::Incompatible(format!(
            "recorded by {build} (semantics epoch {epoch}), and this is {BUILD} (epoch {SEMANTICS_EPOCH}): replay \
             it with {build}, or record again"
        )))
    }

    /// The images, unpacked and checked against their names.
    pub fn images(&mut self) -> Result<Images, OpenError> {
        let contents = self.contents()?;
        let mut images = Images::default();
        for image in &self.header.images {
            *match image.role {
                Role::Kernel => &mut images.kernel,
                Role::Initrd => &mut images.initrd,
                Role::Firmware => &mut images.firmware,
            } = contents.get(&image.hash).cloned();
        }
        Ok(images)
    }

    /// The contents of all images by name, checked.
    fn contents(&mut self) -> Result<BTreeMap<u128, Paged>, OpenError> {
        let first = self.pieces.first().map_or(0, |place| place.offset);
        let corrupt = |offset, what| Err(OpenError::Corrupt { offset, what });
        let images = self.header.images.iter();
        let mut contents: BTreeMap<u128, Paged> =
            images.map(|image| (image.hash, Paged::new(image.bytes))).collect();
        for &place in &self.pieces {
            let Next::Chunk(_, _, payload) = self.reader.again(place)? else { continue };
            let mut input = Decode(&payload);
            let (Ok(hash), Ok(offset)) = (input.array(), input.array()) else {
                return corrupt(place.offset, "an image has no name");
            };
            let Some(content) = contents.get_mut(&u128::from_be_bytes(hash)) else {
                return corrupt(place.offset, "an image is not of this recording");
            };
            if !content.write(u64::from_le_bytes(offset), input.0) {
                return corrupt(place.offset, "an image is longer than its name says");
            }
        }
        if contents.iter().any(|(hash, content)| name_of(content) != *hash) {
            return corrupt(first, "an image is not what its name says");
        }
        Ok(contents)
    }

    /// What is inside.
    pub fn info(&self) -> Info {
        let Header { build, epoch, schema, digest_interval, config, images } = &self.header;
        let mut counts = Counts::default();
        for record in &self.records {
            match &record.event {
                Event::Input { payload, .. } => {
                    counts.inputs += 1;
                    counts.input_bytes += payload.len() as u64;
                }
                Event::CutIdle { .. } => counts.idle_cuts += 1,
                Event::Reset => counts.resets += 1,
                Event::Resume => counts.panics += 1,
                Event::Digest(_) => counts.digests += 1,
                Event::Progress | Event::End { .. } => {}
            }
        }
        let (digest, ended, console) = match self.ended().map(|record| &record.event) {
            Some(Event::End { digest, ended, console_sha256 }) => {
                (Some(digest.to_string()), Some(ended.clone()), Some(Digest(*console_sha256).to_string()))
            }
            _ => (None, None, None),
        };
        Info {
            format: FORMAT,
            build: build.clone(),
            epoch: *epoch,
            schema: schema.to_string(),
            complete: self.cut_at.is_none(),
            cut_at_byte: self.cut_at,
            machine: config.machine.clone(),
            cpu: config.cpu.clone(),
            cpus: config.cpus,
            memory_bytes: config.memory_bytes,
            append: config.append.clone(),
            firmware: match config.firmware {
                Firmware::BuiltIn => "built-in",
                Firmware::None => "none",
                Firmware::Image => "image",
            },
            seed: config.seed,
            schedule_seed: config.schedule_seed,
            rtc_seconds: config.rtc_seconds,
            instructions_per_tick: format!("{}/{}", config.rate_numerator, config.rate_denominator),
            images: images
                .iter()
                .map(|image| ImageInfo {
                    role: image.role.name(),
                    bytes: image.bytes,
                    xxh3: format!("{:032x}", image.hash),
                })
                .collect(),
            digest_interval: *digest_interval,
            instructions: self.known().count,
            sequence: self.known().sequence,
            counts,
            ended,
            digest,
            console_sha256: console,
            file_bytes: self.reader.length(),
            image_file_bytes: self.sizes.images,
            history_file_bytes: self.sizes.history,
        }
    }
}

fn malformed(offset: u64, error: Malformed) -> OpenError {
    OpenError::Corrupt { offset, what: error.0 }
}

/// What is inside a recording; the field names are a stable contract.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Info {
    /// Version of the file format.
    pub format: u32,
    /// The program that made it.
    pub build: String,
    /// Its semantics epoch.
    pub epoch: u32,
    /// Digest of the names and kinds of the machine's state.
    pub schema: String,
    /// It ended in order.
    pub complete: bool,
    /// Where it was cut, in bytes.
    pub cut_at_byte: Option<u64>,
    /// `pseries`.
    pub machine: String,
    /// `power9`, `power10`.
    pub cpu: String,
    /// vCPUs.
    pub cpus: u32,
    /// Guest memory in bytes.
    pub memory_bytes: u64,
    /// Kernel command line.
    pub append: String,
    /// `built-in`, `none`, `image`.
    pub firmware: &'static str,
    /// Seed of the guest's randomness.
    pub seed: u64,
    /// Seed of the interleaving of the vCPUs.
    pub schedule_seed: u64,
    /// Real-time clock at power-on, seconds since 1970-01-01 00:00 UTC.
    pub rtc_seconds: u64,
    /// Instructions per timebase tick and running vCPU.
    pub instructions_per_tick: String,
    /// Embedded images.
    pub images: Vec<ImageInfo>,
    /// Instructions from one digest to the next.
    pub digest_interval: u64,
    /// History is known up to this instruction count.
    pub instructions: u64,
    /// And up to this event there.
    pub sequence: u32,
    /// How many records of each kind.
    #[serde(flatten)]
    pub counts: Counts,
    /// How it ended, if it did.
    pub ended: Option<String>,
    /// Digest at the end.
    pub digest: Option<String>,
    /// SHA-256 of all console output.
    pub console_sha256: Option<String>,
    /// Size of the file.
    pub file_bytes: u64,
    /// Bytes of the file that hold images.
    pub image_file_bytes: u64,
    /// Bytes of the file that hold inputs and digests.
    pub history_file_bytes: u64,
}

/// Records by kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    /// Inputs.
    pub inputs: u64,
    /// Their bytes.
    pub input_bytes: u64,
    /// Idle times cut short by an input.
    pub idle_cuts: u64,
    /// Resets carried out.
    pub resets: u64,
    /// Reports of the guest that it died, after which it was let go on.
    pub panics: u64,
    /// Digests.
    pub digests: u64,
}

/// An embedded image.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ImageInfo {
    /// `kernel`, `initrd`, `firmware`.
    pub role: &'static str,
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3 of the content, as `xxhsum -H2` prints it.
    pub xxh3: String,
}
