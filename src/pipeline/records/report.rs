//! A canonical report as mapped, under its clinic's key.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Attachment;
use crate::clinical::model::MessageOrigin;
use crate::clinical::model::Report;
use crate::clock::Id;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::pipeline::records::message;
use crate::pipeline::sha256_hex;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

/// Names a report: its message, and its place among the message's reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReportKey {
    pub message: MessageId,
    pub index: u16,
}

impl ReportKey {
    pub fn bytes(self) -> Vec<u8> {
        [self.message.key().as_slice(), &self.index.to_be_bytes()].concat()
    }

    /// The key of one of its documents.
    fn attachment(self, index: u16) -> Vec<u8> {
        [self.bytes().as_slice(), &index.to_be_bytes()].concat()
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (message, index) = bytes.split_at_checked(Id::BYTES)?;
        Some(Self {
            message: MessageId::try_from(message).ok()?,
            index: u16::from_be_bytes(index.try_into().ok()?),
        })
    }
}

impl fmt::Display for ReportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.message, self.index)
    }
}

/// The lineage a report belongs to, within its clinic: versions of one report share it.
pub fn lineage(report: &Report) -> String {
    format!("{}|{}", report.lab, report.filler_number)
}

/// SHA-256 of what a report says, whichever message and mapping said it: a message read again has the same.
pub fn content_sha256(report: &Report) -> String {
    let origin = MessageOrigin {
        control_id: String::new(),
        sender: String::new(),
        sent_at: None,
        mapping_digest: String::new(),
    };
    sha256_hex(&encode(&Report { origin, ..report.clone() }))
}

/// Adds a report and its look-ups to a change.
pub fn put(change: &mut Change, key: ReportKey, clinic: &str, report: &Report) {
    let (scope, row) = (Scope::Clinic(clinic.to_owned()), key.bytes());
    change.put_sealed(Table::Reports, &row, &scope, encode(report));
    change.index(Table::Reports, &row, &scope, Field::FillerNumber, &lineage(report));
    for (index, attachment) in (0u16..).zip(&report.attachments) {
        if let Some(document) = &attachment.document {
            let bytes = Bytes::from_owner(document.clone());
            change.put_sealed_long(Table::Attachments, &key.attachment(index), &scope, Vec::new(), bytes);
        }
    }
    if let Some(number) = &report.order_number {
        change.index(Table::Reports, &row, &scope, Field::OrderNumber, number);
    }
    if let Some(number) = report.patient.nhs_number() {
        change.index(Table::Reports, &row, &scope, Field::NhsNumber, number.expose());
    }
}

/// The durable count of versions that said what an earlier one had said.
pub const REPEATS: &str = "reports.repeated";
/// The durable count of versions that say that results were posted as wrong, such as on the wrong patient.
pub const WRONG_PATIENT: &str = "reports.wrong_patient";

pub fn load(store: &Store, key: ReportKey, clinic: &str) -> Result<Option<Report>, store::Error> {
    let row = store.get_sealed(Table::Reports, &key.bytes(), &Scope::Clinic(clinic.to_owned()))?;
    row.map(|row| decode(Table::Reports, &row)).transpose()
}

/// A document of a report, if it was sent with it.
///
/// # Errors
/// [`store::Error::Damaged`] where the bytes are not those whose digest the report has.
pub fn attachment(
    store: &Store,
    key: ReportKey,
    clinic: &str,
    index: u16,
    attachment: &Attachment,
) -> Result<Option<Vec<u8>>, store::Error> {
    let Some(sha256) = &attachment.sha256 else { return Ok(None) };
    let scope = Scope::Clinic(clinic.to_owned());
    let damaged = store::Error::Damaged { table: Table::Attachments };
    let bytes = store.get_sealed(Table::Attachments, &key.attachment(index), &scope)?;
    bytes.filter(|it| sha256_hex(it) == *sha256).ok_or(damaged).map(Some)
}

/// The reports of a message, in its order, each with its clinic.
pub fn of_message(
    store: &Store,
    message: MessageId,
    standing: &message::Standing,
) -> Result<Vec<(ReportKey, String, Report)>, store::Error> {
    (0u16..)
        .zip(&standing.report_clinics)
        .map(|(index, clinic)| {
            let key = ReportKey { message, index };
            let report = load(store, key, clinic)?.ok_or(store::Error::Damaged { table: Table::Reports })?;
            Ok((key, clinic.clone(), report))
        })
        .collect()
}
