//! A planned Cliniko call and the proof that it happened.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::clinical::document::Kind;
use crate::clock::Id;
use crate::formats::cliniko;
use crate::formats::cliniko::write::NewNote;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Store;
use crate::store::Table;

/// One call of a plan, durable before anything is sent (P0).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Its name in the outbound mapping.
    pub id: String,
    /// Permanent, derived from content: how the effect is found again.
    pub marker: String,
    pub patient: cliniko::Id,
    pub what: What,
    pub phase: Phase,
    pub planned_at: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    Attachment { document: Kind, sha256: String, filename: String, description: String },
    Note { note: NewNote },
}

/// How far a call has come. The phase is written before what follows it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// P0 to P2: nothing is in the record; at most an orphan in temporary storage.
    Planned,
    /// P3: the write may have been sent, and its outcome is unknown until a look-up says.
    Registering { began: Moment, absent: Option<Moment> },
    /// P4: it happened, once.
    Confirmed { cliniko_id: cliniko::Id, at: Timestamp, found_by: FoundBy, verified: bool },
}

/// How we know that it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// Cliniko answered the write.
    Answer,
    /// A look-up found the marker.
    LookUp,
}

/// A time that a moved wall clock cannot bend: so long after the start of one run of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub run: Id,
    pub monotonic_ms: u64,
}

fn row(case: CaseId, number: u8) -> Vec<u8> {
    [case.key().as_slice(), &[number]].concat()
}

/// Adds a call's present state to a change.
pub fn put(change: &mut Change, clinic: &str, case: CaseId, number: u8, call: &Call) {
    change.put_sealed(Table::Calls, &row(case, number), &Scope::Clinic(clinic.to_owned()), encode(call));
}

/// Takes a call that never began out of the plan.
pub fn delete(change: &mut Change, case: CaseId, number: u8) {
    change.delete(Table::Calls, &row(case, number));
}

/// The calls of a case, in the order of its plan; none where it was not planned yet.
pub fn of_case(store: &Store, clinic: &str, case: CaseId) -> Result<Vec<Call>, store::Error> {
    let rows =
        store.scan_sealed(&Scan::prefix(Table::Calls, &case.key()), &Scope::Clinic(clinic.to_owned()))?;
    rows.iter().map(|(_, row)| decode(Table::Calls, row)).collect()
}
