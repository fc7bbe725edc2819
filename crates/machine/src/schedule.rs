//! Which vCPU runs next: deterministic round robin in slices whose lengths a seed varies.

use timebase_state::State;

/// Instructions in a slice on average.
const SLICE: u64 = 16_384;

/// The scheduler's state.
#[derive(State, Clone, Debug)]
pub(crate) struct Schedule {
    /// The vCPU that is on.
    pub current: u32,
    /// Instructions left of its slice.
    pub left: u64,
    random: u64,
}

impl Schedule {
    /// vCPU 0 is on.
    pub fn cold(seed: u64) -> Schedule {
        let mut schedule = Schedule { current: 0, left: 0, random: seed };
        schedule.left = schedule.slice();
        schedule
    }

    /// The length of the next slice: between half and one and a half times the average.
    fn slice(&mut self) -> u64 {
        SLICE / 2 + timebase_state::random::draw(&mut self.random) % SLICE
    }

    /// Ends the slice of the vCPU that is on.
    pub fn end_slice(&mut self) {
        self.left = 0;
    }

    /// Instructions that the vCPU that is on may run at once: its slice; or any number if no other one is able to run,
    /// for then one slice of it follows the other.
    pub fn room(&self, cpus: u32, able: impl Fn(u32) -> bool) -> u64 {
        let alone = (0..cpus).all(|n| n == self.current || !able(n));
        if alone { u64::MAX } else { self.left }
    }

    /// The vCPU that is on has executed so many instructions: slices that have gone by are drawn as they would have
    /// been one by one.
    pub fn pass(&mut self, mut executed: u64) {
        while executed > self.left {
            executed -= self.left;
            self.left = self.slice();
        }
        self.left -= executed;
    }

    /// Chooses who runs: who is on, while its slice lasts; else the next that is able to. Some(true): another slice
    /// begins. None: nobody can run.
    pub fn choose(&mut self, cpus: u32, able: impl Fn(u32) -> bool) -> Option<bool> {
        if self.left != 0 && able(self.current) {
            return Some(false);
        }
        let next = (1..=cpus).map(|n| (self.current + n) % cpus).find(|&n| able(n))?;
        self.current = next;
        self.left = self.slice();
        Some(true)
    }
}
