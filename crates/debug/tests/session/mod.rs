//! A session that hostile bytes are sent to: the embedded guest, early on, with two vCPUs.

use timebase_debug::Session;
use timebase_machine::api::Position;
use timebase_machine::{Config, Firmware, Images, build};
use timebase_replay::{Event, Record, Timeline};

const RACE: &[u8] = include_bytes!("../../../../guests/race/race.elf");

/// A session over the first instructions.
pub fn session() -> Session {
    let config = Config {
        machine: "pseries".into(),
        cpu: "power9".into(),
        memory_bytes: 64 << 20,
        cpus: 2,
        append: String::new(),
        firmware: Firmware::BuiltIn,
        seed: 1,
        schedule_seed: 2,
        rtc_seconds: 0,
        rate_numerator: 2,
        rate_denominator: 1,
        threads: 1,
        sockets: 1,
    };
    let images = Images { kernel: Some(RACE[..].into()), ..Images::default() };
    let machine = build(&config, &images).map_err(|e| e.0).expect("a machine");
    let end = Position { count: 100_000, sequence: 0 };
    let records = vec![Record { at: end, event: Event::Progress }];
    Session::new(Timeline::new(machine, records).expect("a timeline"), false)
}
