//! The versions of a report as a case reads them: the kept reports themselves, put together again each time.
//!
//! A case names the versions it was opened with, so that what was shown and approved never changes under a reader when
//! another version arrives.

use jiff::Timestamp;

use crate::clinical::lineage;
use crate::clinical::lineage::Reading;
use crate::clinical::lineage::Version;
use crate::clinical::model::Attachment;
use crate::clinical::model::Report;
use crate::pipeline::records::case::Case;
use crate::pipeline::records::report;
use crate::pipeline::records::report::ReportKey;
use crate::store;
use crate::store::Store;
use crate::store::Table;

/// Versions of one report that are read together. A laboratory that sends more under one number names something else
/// by it, and a person must look.
pub const VERSIONS_MAX: usize = 64;

/// When the message of a report was received.
pub fn received_at(key: ReportKey) -> Timestamp {
    key.message.0.at()
}

/// What a case shows: its versions, read as one.
pub fn reading(store: &Store, case: &Case) -> Result<Reading, store::Error> {
    let reports = versions(store, case)?;
    lineage::read(&reports.iter().collect::<Vec<_>>()).ok_or(store::Error::Damaged { table: Table::Cases })
}

/// The reports a case reads, oldest first.
pub fn versions(store: &Store, case: &Case) -> Result<Vec<Report>, store::Error> {
    case.read_from().iter().map(|key| load(store, *key, &case.clinic)).collect()
}

pub fn load(store: &Store, key: ReportKey, clinic: &str) -> Result<Report, store::Error> {
    report::load(store, key, clinic)?.ok_or(store::Error::Damaged { table: Table::Reports })
}

/// Reports with what orders them.
pub fn as_versions(reports: &[(ReportKey, Report)]) -> Vec<Version<'_>> {
    reports.iter().map(|(key, report)| Version { report, received_at: received_at(*key) }).collect()
}

/// A document of the reading: its bytes lie with the version that brought it.
pub fn attachment(
    store: &Store,
    case: &Case,
    attachment: &Attachment,
) -> Result<Option<Vec<u8>>, store::Error> {
    for (key, sent) in case.read_from().iter().zip(versions(store, case)?) {
        let place = sent.attachments.iter().position(|it| it.sha256 == attachment.sha256);
        if let Some(index) = place.and_then(|at| u16::try_from(at).ok()) {
            return report::attachment(store, *key, &case.clinic, index, attachment);
        }
    }
    Ok(None)
}
