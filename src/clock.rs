//! Time, new ids and randomness: the only place they come from, so that tests can own them.
//!
//! Wall time may jump; deadlines use [`Clock::monotonic`].
//! The randomness here is for ids, jitter and numbers that are shown; keys, salts and nonces are drawn in `security`,
//! from the operating system and from nothing a test can set.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use aws_lc_rs::rand;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use ulid::Ulid;

/// Where time, ids and chance come from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock. Never a measure of how long something took.
    fn now(&self) -> Timestamp;

    /// How long this clock has run; never goes back.
    fn monotonic(&self) -> Duration;

    /// Fills `bytes` with chance.
    fn fill_random(&self, bytes: &mut [u8]);

    /// An id later in order than every id this clock gave before.
    fn new_id(&self) -> Id;
}

/// A time-ordered id of 128 bits, written as 26 characters (ULID). The ids of the model are newtypes over it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id(Ulid);

impl Id {
    pub const BYTES: usize = 16;

    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(Ulid::from_bytes(bytes))
    }

    /// The bytes sort as the ids do: keys made of them append to their table.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0.to_bytes()
    }

    /// The least id that can be given at `at`: where a scan of rows since then begins.
    pub fn floor(at: Timestamp) -> Self {
        Self(Ulid::from_parts(milliseconds(at), 0))
    }

    /// When it was given, to the millisecond.
    pub fn given_at(self) -> Timestamp {
        let at = i64::try_from(self.0.timestamp_ms()).ok();
        at.and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(Timestamp::MAX)
    }

    fn after(previous: Option<Self>, at: Timestamp, random: [u8; Self::BYTES]) -> Self {
        // The top bit of the random part stays clear, so that counting up within a millisecond cannot overflow it.
        const RANDOM: u128 = (1 << 79) - 1;
        let drawn = Self(Ulid::from_parts(milliseconds(at), u128::from_be_bytes(random) & RANDOM));
        match previous {
            // The same millisecond, or a clock that went back: count on from the last id.
            Some(Self(last)) if drawn.0.timestamp_ms() <= last.timestamp_ms() => {
                Self(last.increment().unwrap_or(drawn.0))
            }
            _ => drawn,
        }
    }
}

fn milliseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.array_to_str(&mut [0; ulid::ULID_LEN]))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let id = Self(Ulid::from_string(text).map_err(|_| NotAnId)?);
        // One id has one spelling: lower case and look-alike letters would be a second name for it.
        if id.to_string() == text { Ok(id) } else { Err(NotAnId) }
    }
}

impl TryFrom<&[u8]> for Id {
    type Error = NotAnId;

    fn try_from(bytes: &[u8]) -> Result<Self, NotAnId> {
        bytes.try_into().map(Self::from_bytes).map_err(|_| NotAnId)
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text or bytes are not an id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an id is 26 characters, digits and capital letters without I, L, O and U")]
pub struct NotAnId;

/// The machine's clock and the operating system's randomness.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    last: Mutex<Option<Id>>,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn new() -> Self {
        Self { started: Instant::now(), last: Mutex::default() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        rand::fill(bytes).expect("the operating system's generator does not fail once it is seeded");
    }

    fn new_id(&self) -> Id {
        let mut random = [0; Id::BYTES];
        self.fill_random(&mut random);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let id = Id::after(*last, self.now(), random);
        *last = Some(id);
        id
    }
}

/// A clock that stands still until it is moved, and draws the same ids from the same seed. For tests.
#[derive(Debug)]
pub struct FixedClock(Mutex<Fixed>);

#[derive(Debug)]
struct Fixed {
    now: Timestamp,
    monotonic: Duration,
    state: u64,
    last: Option<Id>,
}

impl FixedClock {
    pub fn new(now: Timestamp, seed: u64) -> Self {
        Self(Mutex::new(Fixed { now, monotonic: Duration::ZERO, state: seed, last: None }))
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.with(|fixed| {
            fixed.now += by;
            fixed.monotonic += by;
        });
    }

    /// Moves the wall clock alone, as an operator or a bad time server does.
    pub fn set(&self, now: Timestamp) {
        self.with(|fixed| fixed.now = now);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Fixed) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Fixed {
    /// SplitMix64: repeatable, and no more than that.
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = self.state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            for (byte, drawn) in chunk.iter_mut().zip(mixed.to_be_bytes()) {
                *byte = drawn;
            }
        }
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.with(|fixed| fixed.now)
    }

    fn monotonic(&self) -> Duration {
        self.with(|fixed| fixed.monotonic)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.with(|fixed| fixed.fill(bytes));
    }

    fn new_id(&self) -> Id {
        self.with(|fixed| {
            let mut random = [0; Id::BYTES];
            fixed.fill(&mut random);
            let id = Id::after(fixed.last, fixed.now, random);
            fixed.last = Some(id);
            id
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed() -> FixedClock {
        FixedClock::new("2026-03-01T10:00:00Z".parse().unwrap(), 7)
    }

    #[test]
    fn ids_ascend_within_a_millisecond_and_when_the_clock_goes_back() {
        let clock = fixed();
        let mut ids: Vec<Id> = (0..1000).map(|_| clock.new_id()).collect();
        clock.set("2020-01-01T00:00:00Z".parse().unwrap());
        ids.extend((0..1000).map(|_| clock.new_id()));
        clock.set("2026-03-01T10:00:01Z".parse().unwrap());
        ids.push(clock.new_id());

        assert!(ids.is_sorted_by(|a, b| a < b && a.to_bytes() < b.to_bytes()));
        let system = SystemClock::new();
        let ids: Vec<Id> = (0..1000).map(|_| system.new_id()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_same_seed_gives_the_same_ids_and_another_gives_others() {
        let draw = |seed| FixedClock::new(Timestamp::UNIX_EPOCH, seed).new_id();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = fixed().new_id();
        let text = id.to_string();
        assert_eq!(text.len(), 26);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_lowercase().parse::<Id>(), Err(NotAnId));
        assert_eq!("I".repeat(26).parse::<Id>(), Err(NotAnId));
        assert_eq!(serde_json::from_str::<Id>(&format!("\"{text}\"")).unwrap(), id);
        assert!(Id::floor(fixed().now()) < id);
    }

    #[test]
    fn time_passes_on_both_clocks_and_jumps_on_one() {
        let clock = fixed();
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().to_string(), "2026-03-01T10:01:30Z");
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.monotonic(), Duration::from_secs(90));
    }
}
