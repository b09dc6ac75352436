//! Moves kept messages on: the lanes that read, and that match and interpret.

pub mod prepare;
pub mod read;

use std::time::Duration;

use crate::pipeline::records::job::Job;
use crate::store::Change;

/// A lane looks for due work at least so often; new work wakes it at once.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// After a failed read or write of the store, before the next try.
pub(super) const STORE_PAUSE: Duration = Duration::from_secs(1);

/// The first wait of a job that must be tried again; doubled each time.
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// The longest wait between tries.
const RETRY_LONGEST: Duration = Duration::from_mins(10);

/// How long a job waits before its next try: doubling, with up to a quarter of jitter.
pub(super) fn retry_after(attempts: u32, chance: u8) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1 << attempts.min(16)).min(RETRY_LONGEST);
    doubled + doubled / 4 * u32::from(chance) / 255
}

/// Puts a job back, due later.
pub(super) fn put_back(change: &mut Change, job: &Job, now: jiff::Timestamp, after: Duration) {
    job.delete(change);
    let mut later = job.clone();
    later.body.attempts += 1;
    later.due_at = now + after;
    later.put(change);
}
