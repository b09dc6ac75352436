//! The allowance of one key, shared by everything that uses it.
//!
//! Cliniko allows 200 requests a minute and user; we stay below. Searching, which people start, may take a share of it
//! at most, so that it cannot starve delivery. Slots are given in advance: the schedule is one point in time for each
//! lane that moves on by an interval a request (the generic cell rate algorithm), so waiting costs no polling.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use crate::outbound::cliniko::error::Error;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Filing an approved case, and looking for what was filed.
    Delivery,
    /// Finding patients. Takes at most its share.
    Search,
}

/// The shared allowance.
#[derive(Debug)]
pub(super) struct Budget {
    schedule: Mutex<Schedule>,
}

#[derive(Debug)]
struct Schedule {
    all: Rate,
    search: Rate,
    /// Cliniko said to stop until then.
    paused_until: Instant,
    /// Refusals for the rate since the last answer that was none.
    refusals: u32,
}

/// A rate with a small burst.
#[derive(Debug)]
struct Rate {
    interval: Duration,
    /// How far ahead of an even rhythm a request may come.
    burst: Duration,
    next: Instant,
}

impl Rate {
    fn new(per_minute: u16, now: Instant) -> Self {
        let per_minute = u32::from(per_minute.max(1));
        let interval = Duration::from_mins(1) / per_minute;
        // An eighth of a minute's worth: with 150 a minute at most 169 fall into any minute, below Cliniko's 200.
        Self { interval, burst: interval * (per_minute / 8), next: now }
    }

    fn earliest(&self, now: Instant) -> Instant {
        self.next.checked_sub(self.burst).unwrap_or(now).max(now)
    }

    fn take(&mut self, at: Instant) {
        self.next = self.next.max(at) + self.interval;
    }
}

impl Budget {
    /// A request that would wait longer is refused instead: its job comes back later, and holds no connection.
    const WAIT_MAX: Duration = Duration::from_secs(30);
    /// A wrong clock on either side must not stop a clinic's filing for a day.
    const PAUSE_MAX: Duration = Duration::from_mins(2);
    /// The longest a request can wait for its slot, pauses included.
    pub(super) const LIFE_MAX: Duration = Duration::from_secs(150);

    pub(super) fn new(per_minute: u16, search_percent: u8, now: Instant) -> Self {
        let search = u32::from(per_minute) * u32::from(search_percent.min(100)) / 100;
        let search = Rate::new(u16::try_from(search).unwrap_or(per_minute), now);
        let all = Rate::new(per_minute, now);
        Self { schedule: Mutex::new(Schedule { all, search, paused_until: now, refusals: 0 }) }
    }

    /// Waits for this lane's next slot.
    pub(super) async fn acquire(&self, lane: Lane) -> Result<(), Error> {
        let asked_at = Instant::now();
        let mut at = self.reserve(lane, asked_at)?;
        loop {
            tokio::time::sleep_until(at).await;
            // Cliniko may have said to stop while we slept.
            let paused_until = self.lock(|schedule| schedule.paused_until);
            if paused_until <= Instant::now() {
                return Ok(());
            }
            let wait = paused_until.duration_since(asked_at);
            if wait > Self::LIFE_MAX {
                return Err(Error::RateLimited { wait });
            }
            at = paused_until;
        }
    }

    fn reserve(&self, lane: Lane, now: Instant) -> Result<Instant, Error> {
        self.lock(|schedule| {
            let mut at = schedule.all.earliest(now).max(schedule.paused_until);
            if lane == Lane::Search {
                at = at.max(schedule.search.earliest(now));
            }
            let wait = at.duration_since(now);
            if wait > Self::WAIT_MAX {
                return Err(Error::RateLimited { wait });
            }
            schedule.all.take(at);
            if lane == Lane::Search {
                schedule.search.take(at);
            }
            Ok(at)
        })
    }

    /// Stops every lane after a 429. `reset` is how far away the time in `X-RateLimit-Reset` is, if it lies ahead;
    /// without it the pause doubles with every refusal.
    pub(super) fn pause(&self, reset: Option<Duration>, jitter_percent: u8, now: Instant) -> Duration {
        self.lock(|schedule| {
            schedule.refusals = schedule.refusals.saturating_add(1);
            let backoff = Duration::from_secs(1 << schedule.refusals.min(6));
            let pause = reset.unwrap_or(backoff).max(Duration::from_secs(1));
            let pause = (pause + pause * u32::from(jitter_percent.min(100)) / 400).min(Self::PAUSE_MAX);
            schedule.paused_until = schedule.paused_until.max(now + pause);
            pause
        })
    }

    /// Cliniko answered something other than 429.
    pub(super) fn answered(&self) {
        self.lock(|schedule| schedule.refusals = 0);
    }

    fn lock<T>(&self, act: impl FnOnce(&mut Schedule) -> T) -> T {
        act(&mut self.schedule.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_holds_more_than_cliniko_allows() {
        let start = Instant::now();
        let budget = Budget::new(150, 40, start);
        let mut now = start;
        let mut given = Vec::new();
        for _ in 0..1_000 {
            // A caller that waits for each slot, as fast as it may.
            now = budget.reserve(Lane::Delivery, now).unwrap();
            given.push(now);
        }
        for (i, first) in given.iter().enumerate() {
            let within =
                given[i..].iter().take_while(|at| at.duration_since(*first) < Duration::from_mins(1)).count();
            assert!(within <= 170, "{within} in one minute");
        }
        assert!(now.duration_since(start) < Duration::from_secs(400), "and the allowance is used");
    }

    #[test]
    fn searching_takes_its_share_at_most() {
        let start = Instant::now();
        let budget = Budget::new(150, 40, start);
        let searches = (0..1_000).take_while(|_| budget.reserve(Lane::Search, start).is_ok()).count();
        assert!(searches <= 7 + 31, "{searches} slots within half a minute");
        assert!(budget.reserve(Lane::Delivery, start).is_ok(), "delivery still has slots");
    }

    #[test]
    fn a_refusal_stops_everything_until_the_reset_within_reason() {
        let start = Instant::now();
        let budget = Budget::new(150, 40, start);
        assert_eq!(budget.pause(Some(Duration::from_secs(20)), 0, start), Duration::from_secs(20));
        assert_eq!(budget.reserve(Lane::Delivery, start).unwrap(), start + Duration::from_secs(20));
        assert_eq!(budget.pause(Some(Duration::from_hours(24)), 100, start), Budget::PAUSE_MAX);
        assert!(matches!(budget.reserve(Lane::Delivery, start), Err(Error::RateLimited { .. })));
        budget.answered();
        assert_eq!(budget.pause(None, 0, start), Duration::from_secs(2));
        assert_eq!(budget.pause(None, 0, start), Duration::from_secs(4));
    }
}
