//! A message's journey, as jobs in the store: keep, read, prepare, review, deliver.
//!
//! | step | where | if it cannot |
//! | --- | --- | --- |
//! | keep, acknowledge | [`intake`] | no positive acknowledgement, so the laboratory sends again |
//! | decode, map | [`advance::read`] | hold, `H…` `M…` `T…` |
//! | match, interpret | [`advance::prepare`] | hold, `P…`; a person decides |
//! | review: approve, reject, release | [`review`] | refusal, `W…` |
//! | plan the Cliniko calls, run them with receipts | [`deliver`] | retry, then hold, `D…` |
//!
//! Every step commits its change, its audit entry and its follow-on jobs together, and can be run again: a crash
//! between any two lines is ordinary. I/O goes through the store and `outbound` only.

pub mod accounts;
pub mod advance;
pub mod application_ack;
pub mod deliver;
pub mod feeds;
pub mod fetches;
pub mod holds;
pub mod inbox;
pub mod intake;
pub mod mappings;
pub mod orders;
pub mod records;
pub mod review;
pub mod sessions;
pub mod shutdown;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::clock::Id;
use crate::pipeline::accounts::Accounts;
use crate::pipeline::application_ack::Awaited;
use crate::pipeline::feeds::Feeds;
use crate::pipeline::mappings::Mappings;
use crate::store::Store;

/// What every step works with.
#[derive(Debug)]
pub struct Pipeline {
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub feeds: Feeds,
    pub mappings: Mappings,
    pub accounts: Accounts,
    /// Accept NHS numbers of the 9xx range; never for real patients.
    pub dangerous_test_nhs_numbers: bool,
    pub wake: Wake,
    /// Connections that wait for enhanced mode's second answer.
    pub awaited: Awaited,
    /// Names this run of the gateway: times of another run are not comparable.
    pub run: Id,
    /// The monotonic clock at the start of this run, in milliseconds.
    pub started_ms: u64,
}

impl Pipeline {
    /// A control id for a message of ours.
    fn fresh_control_id(&self) -> String {
        fresh_control_id(self.clock.as_ref())
    }

    fn hl7_time(&self) -> String {
        hl7_time(self.clock.as_ref())
    }
}

fn fresh_control_id(clock: &dyn Clock) -> String {
    let id = clock.new_id().to_string();
    // MSH-10 has 20 characters before version 2.7; the end of an id is what tells it from others.
    id.get(id.len().saturating_sub(20)..).unwrap_or(&id).to_owned()
}

/// Now, in HL7's spelling.
fn hl7_time(clock: &dyn Clock) -> String {
    clock.now().strftime("%Y%m%d%H%M%S+0000").to_string()
}

/// Rings when a lane may have new work, so that nobody has to wait for the next look.
#[derive(Debug, Default)]
pub struct Wake {
    pub acknowledge: Notify,
    pub read: Notify,
    pub prepare: Notify,
    pub deliver: Notify,
}

/// SHA-256, in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}
