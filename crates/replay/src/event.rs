//! What a recording says: its header, and the records of history.

use crate::Ended;
use crate::code::{Decode, Encode, Malformed};
use timebase_machine::api::{Config, Firmware, Port, Position, Stop};
use timebase_state::{Digest, Instant, Paged};
use twox_hash::XxHash3_128;

/// Which of the images that a machine starts with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// The kernel.
    Kernel = 0,
    /// The initial RAM disk.
    Initrd = 1,
    /// The boot ROM.
    Firmware = 2,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Kernel, Role::Initrd, Role::Firmware];

    /// As it is named in messages.
    pub fn name(self) -> &'static str {
        match self {
            Role::Kernel => "kernel",
            Role::Initrd => "initrd",
            Role::Firmware => "firmware",
        }
    }
}

/// An image that the recording embeds, named by its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Image {
    /// What it is to the machine.
    pub role: Role,
    /// XXH3 of its content: for copies that were damaged, not for forgers. Two roles of the same content share what is
    /// stored.
    pub hash: u128,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The first chunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// The program that made the recording.
    pub build: String,
    /// Its [`crate::SEMANTICS_EPOCH`].
    pub epoch: u32,
    /// Digest of the names and kinds of the machine's state.
    pub schema: Digest,
    /// Instructions from one digest to the next.
    pub digest_interval: u64,
    /// What the machine was built from.
    pub config: Config,
    /// Images that it started with.
    pub images: Vec<Image>,
}

/// Bytes of an image at most. Zeros take no place in the file, but whoever checks the image reads them all.
pub(crate) const LONGEST_IMAGE: u64 = 1 << 36;

/// The name of an image of this content.
pub(crate) fn name_of(content: &Paged) -> u128 {
    let mut hasher = XxHash3_128::new();
    content.pieces(0, content.len()).for_each(|piece| hasher.write(piece));
    hasher.finish_128()
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Header { build, epoch, schema, digest_interval, config, images } = self;
        let mut out = Vec::new();
        out.blob(build.as_bytes());
        out.number((*epoch).into());
        out.extend_from_slice(&schema.0);
        out.number(*digest_interval);
        encode_config(config, &mut out);
        out.number(images.len() as u64);
        for Image { role, hash, bytes } in images {
            out.push(*role as u8);
            out.extend_from_slice(&hash.to_be_bytes());
            out.number(*bytes);
        }
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Header, Malformed> {
        let mut input = Decode(payload);
        let build = input.text()?;
        let epoch = input.number32()?;
        let schema = Digest(input.array()?);
        let digest_interval = input.number()?;
        if digest_interval == 0 {
            return Err(Malformed("the distance between digests is 0"));
        }
        let config = decode_config(&mut input)?;
        let mut images = Vec::new();
        for _ in 0..input.number()? {
            let role = input.byte()?;
            let role = Role::ALL.into_iter().find(|&r| r as u8 == role).ok_or(Malformed("unknown image"))?;
            let hash = u128::from_be_bytes(input.array()?);
            let bytes = input.number()?;
            if bytes > LONGEST_IMAGE {
                return Err(Malformed("an image is too long"));
            }
            images.push(Image { role, hash, bytes });
        }
        if !input.is_empty() {
            return Err(Malformed("the header is too long"));
        }
        Ok(Header { build, epoch, schema, digest_interval, config, images })
    }
}

fn encode_config(config: &Config, out: &mut Vec<u8>) {
    // Taken apart exhaustively: a field that is added does not compile until it is recorded.
    let Config {
        machine,
        cpu,
        memory_bytes,
        cpus,
        append,
        firmware,
        seed,
        schedule_seed,
        rtc_seconds,
        rate_numerator,
        rate_denominator,
        threads,
        sockets,
    } = config;
    out.blob(machine.as_bytes());
    out.blob(cpu.as_bytes());
    out.number(*memory_bytes);
    out.number((*cpus).into());
    out.blob(append.as_bytes());
    out.push(match firmware {
        Firmware::BuiltIn => 0,
        Firmware::None => 1,
        Firmware::Image => 2,
    });
    out.number(*seed);
    out.number(*schedule_seed);
    out.number(*rtc_seconds);
    out.number((*rate_numerator).into());
    out.number((*rate_denominator).into());
    out.number((*threads).into());
    out.number((*sockets).into());
}

fn decode_config(input: &mut Decode) -> Result<Config, Malformed> {
    Ok(Config {
        machine: input.text()?,
        cpu: input.text()?,
        memory_bytes: input.number()?,
        cpus: input.number32()?,
        append: input.text()?,
        firmware: match input.byte()? {
            0 => Firmware::BuiltIn,
            1 => Firmware::None,
            2 => Firmware::Image,
            _ => return Err(Malformed("unknown firmware")),
        },
        seed: input.number()?,
        schedule_seed: input.number()?,
        rtc_seconds: input.number()?,
        rate_numerator: input.number32()?,
        rate_denominator: input.number32()?,
        threads: input.number32()?,
        sockets: input.number32()?,
    })
}

/// Something at its place in history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Where it happened: the position before it.
    pub at: Position,
    /// What happened.
    pub event: Event,
}

/// What the machine cannot know by itself, and what is known about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An input came in.
    Input {
        /// Where.
        port: Port,
        /// What.
        payload: Vec<u8>,
    },
    /// Idle time ended before its deadline, because something came in.
    CutIdle {
        /// When.
        until: Instant,
    },
    /// The reset that the guest had asked for was carried out.
    Reset,
    /// The guest had reported that it died, and was let go on.
    Resume,
    /// The digest here.
    Digest(Digest),
    /// History is known up to here.
    Progress,
    /// The run ended here, in order.
    End {
        /// The last digest.
        digest: Digest,
        /// How: [`crate::Ended::name`].
        ended: String,
        /// SHA-256 of all console output.
        console_sha256: [u8; 32],
    },
}

impl Record {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let tag = match self.event {
            Event::Input { .. } => 1,
            Event::CutIdle { .. } => 2,
            Event::Reset => 3,
            Event::Digest(_) => 4,
            Event::Progress => 5,
            Event::End { .. } => 6,
            Event::Resume => 7,
        };
        out.push(tag);
        out.number(self.at.count);
        out.number(self.at.sequence.into());
        match &self.event {
            Event::Input { port, payload } => {
                out.blob(port.as_bytes());
                out.blob(payload);
            }
            Event::CutIdle { until } => out.extend_from_slice(&until.0.to_le_bytes()),
            Event::Reset | Event::Resume | Event::Progress => {}
            Event::Digest(digest) => out.extend_from_slice(&digest.0),
            Event::End { digest, ended, console_sha256 } => {
                out.extend_from_slice(&digest.0);
                out.blob(ended.as_bytes());
                out.extend_from_slice(console_sha256);
            }
        }
    }

    pub(crate) fn decode(input: &mut Decode) -> Result<Record, Malformed> {
        let tag = input.byte()?;
        let at = Position { count: input.number()?, sequence: input.number32()? };
        let event = match tag {
            1 => Event::Input { port: input.text()?, payload: input.blob()?.to_vec() },
            2 => Event::CutIdle { until: Instant(u128::from_le_bytes(input.array()?)) },
            3 => Event::Reset,
            4 => Event::Digest(Digest(input.array()?)),
            5 => Event::Progress,
            6 => {
                let (digest, ended, console_sha256) = (Digest(input.array()?), input.text()?, input.array()?);
                if Ended::from_name(&ended, &Stop::Limit).is_none() {
                    return Err(Malformed("unknown way to end"));
                }
                Event::End { digest, ended, console_sha256 }
            }
            7 => Event::Resume,
            _ => return Err(Malformed("unknown kind of record")),
        };
        Ok(Record { at, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config() -> Config {
        Config {
            machine: "pseries".into(),
            cpu: "power9".into(),
            memory_bytes: 1 << 30,
            cpus: 4,
            append: "console=hvc0".into(),
            firmware: Firmware::None,
            seed: u64::MAX,
            schedule_seed: 2,
            rtc_seconds: 3,
            rate_numerator: 2,
            rate_denominator: 1,
            threads: 1,
            sockets: 1,
        }
    }

    #[test]
    fn a_header_survives() {
        let header = Header {
            build: "timebase 9".into(),
            epoch: 7,
            schema: Digest([3; 32]),
            digest_interval: 5,
            config: config(),
            images: vec![Image { role: Role::Initrd, hash: 9 << 100, bytes: 77 }],
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for length in 0..bytes.len() {
            assert!(Header::decode(&bytes[..length]).is_err(), "cut to {length}");
        }
    }

    proptest! {
        #[test]
        fn records_survive(count: u64, sequence: u32, payload: Vec<u8>, until: u128, d: [u8; 32], which in 0..7) {
            let event = match which {
                0 => Event::Input { port: "console0".into(), payload },
                1 => Event::CutIdle { until: Instant(until) },
                2 => Event::Reset,
                3 => Event::Digest(Digest(d)),
                4 => Event::Progress,
                5 => Event::Resume,
                _ => Event::End { digest: Digest(d), ended: "quit".into(), console_sha256: d },
            };
            let record = Record { at: Position { count, sequence }, event };
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            let mut input = Decode(&bytes);
            prop_assert_eq!(Record::decode(&mut input), Ok(record));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn nonsense_is_an_error_and_never_a_panic(bytes: Vec<u8>) {
            let _ = Header::decode(&bytes);
            let _ = Record::decode(&mut Decode(&bytes));
        }
    }
}
