//! What all tests of machines share: a configuration, a random number generator.

use timebase_machine::{Config, Firmware};

pub fn config() -> Config {
    Config {
        machine: "pseries".into(),
        cpu: "power9".into(),
        memory_bytes: 64 << 20,
        cpus: 1,
        append: String::new(),
        firmware: Firmware::BuiltIn,
        seed: 1,
        schedule_seed: 2,
        rtc_seconds: 1_767_225_600,
        rate_numerator: 2,
        rate_denominator: 1,
    }
}

/// splitmix64
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
