//! Repeatable choices from a seed.

use std::time::Duration;

use haemosync_gateway::clock::Clock;
use haemosync_gateway::clock::FixedClock;
use jiff::Timestamp;

pub(crate) struct Chance(FixedClock);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(FixedClock::new(Timestamp::UNIX_EPOCH, seed))
    }

    /// A number from nought up to, and without, `end`.
    pub(crate) fn below(&self, end: u64) -> u64 {
        let mut drawn = [0; 8];
        self.0.fill_random(&mut drawn);
        u64::from_be_bytes(drawn) % end.max(1)
    }

    pub(crate) fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        let count = u64::try_from(from.len()).unwrap();
        &from[usize::try_from(self.below(count)).unwrap()]
    }

    pub(crate) fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
