//! What a report is to the versions of its lineage that have cases already.

use crate::audit;
use crate::clinical::lineage;
use crate::clinical::lineage::Arrival;
use crate::clinical::lineage::Reading;
use crate::clinical::lineage::Version;
use crate::clinical::model::Report;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::pipeline::advance::prepare::notices;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::lineage as kept;
use crate::pipeline::records::lineage::VERSIONS_MAX;
use crate::pipeline::records::report;
use crate::pipeline::records::report::ReportKey;
use crate::store;
use crate::store::Change;

/// A report that is to have a case, and what the case reads.
pub(super) struct Arrived {
    pub(super) key: ReportKey,
    pub(super) versions: Vec<ReportKey>,
    pub(super) reading: Reading,
    /// It is older than what stands, and changes nothing of it.
    pub(super) is_late: bool,
    pub(super) conflicts_with: Option<ReportKey>,
    /// What keeps it from being matched by itself.
    pub(super) hold: Option<Diagnostic>,
}

/// Decides what a report is. One that says what an earlier version said has no case; the audit chain has a line of it.
pub(super) fn arrive(
    pipeline: &Pipeline,
    clinic: &str,
    (key, report): (ReportKey, Report),
    cases: &[Stored],
    change: &mut Change,
) -> Result<Option<Arrived>, store::Error> {
    let mut reports: Vec<(ReportKey, Report)> = Vec::with_capacity(cases.len() + 1);
    for stored in cases.iter().filter(|it| it.case.conflicts_with.is_none()) {
        let of_case = stored.case.report;
        reports.push((of_case, kept::load(&pipeline.store, of_case, clinic)?));
    }
    let newcomer = Version { report: &report, received_at: kept::received_at(key) };
    let arrival = lineage::arrive(&kept::as_versions(&reports), newcomer);
    if let Arrival::Repeat(place) = arrival {
        record_repeat(pipeline, clinic, key, reports.get(place).map(|(of, _)| *of), change);
        return Ok(None);
    }
    if notices::is_wrong_patient(&report) {
        raise_wrong_patient(pipeline, clinic, key, change);
    }
    if reports.len() >= VERSIONS_MAX {
        return Ok(Some(alone(key, &report)));
    }
    let mut is_late = false;
    let mut conflict = None;
    match arrival {
        Arrival::Current | Arrival::Repeat(_) => {}
        Arrival::Late => is_late = true,
        Arrival::Conflict(found) => {
            let with = reports.get(found.with).map(|(with, _)| *with);
            conflict = with.map(|with| (with, contradiction(key, with, &found.result.0)));
        }
    }
    reports.push((key, report));
    let mut order: Vec<ReportKey> = lineage::in_order(&kept::as_versions(&reports))
        .into_iter()
        .filter_map(|at| reports.get(at).map(|(key, _)| *key))
        .collect();
    if is_late {
        // What it said in its day: newer versions have no part in it.
        let until = order.iter().position(|it| *it == key).map_or(order.len(), |at| at + 1);
        order.truncate(until);
    }
    let ordered: Vec<&Report> = order
        .iter()
        .filter_map(|key| reports.iter().find(|(it, _)| it == key).map(|(_, report)| report))
        .collect();
    let reading = lineage::read(&ordered).ok_or(store::Error::Damaged { table: store::Table::Reports })?;
    let (conflicts_with, hold) = conflict.unzip();
    let versions = if order.len() > 1 { order } else { Vec::new() };
    Ok(Some(Arrived { key, versions, reading, is_late, conflicts_with, hold }))
}

fn alone(key: ReportKey, report: &Report) -> Arrived {
    let reading = lineage::read(&[report]).expect("one version is read");
    let hold = Diagnostic::error(
        Code::new("P011"),
        format!("the laboratory has sent more than {VERSIONS_MAX} versions of this report"),
    )
    .fact("held: this version is read alone, and nothing of the others was changed")
    .help("ask the laboratory whether it uses one report number for several reports");
    // It is no version of the others until a person says so.
    Arrived {
        key,
        versions: Vec::new(),
        reading,
        is_late: false,
        conflicts_with: Some(key),
        hold: Some(hold),
    }
}

/// Two values for one result, and nothing says which is newer: a person must ask.
fn contradiction(key: ReportKey, with: ReportKey, result: &str) -> Diagnostic {
    Diagnostic::error(
        Code::new("P010"),
        "two messages give one result different values, with the same status and the same time",
    )
    .at(result)
    .fact(format!("in: report {key}; it contradicts report {with}"))
    .fact("held: this report; the earlier one stands as it was, and nothing was changed")
    .help(
        "ask the laboratory which is right; have it send a correction (status C), or take this report by matching \
         the case by hand, which supersedes the other",
    )
}

fn record_repeat(
    pipeline: &Pipeline,
    clinic: &str,
    key: ReportKey,
    of: Option<ReportKey>,
    change: &mut Change,
) {
    let entry = audit::Entry::new(pipeline.clock.now(), "gateway", "report.repeated", key.to_string())
        .of_clinic(clinic.to_owned());
    change.audit(match of {
        Some(of) => entry.with("of", of.to_string()),
        None => entry,
    });
    change.count(report::REPEATS, 1);
    tracing::info!(message.id = %key.message, "a report said what an earlier version had said");
}

/// An incident: somebody else's result may have been read, or filed.
fn raise_wrong_patient(pipeline: &Pipeline, clinic: &str, key: ReportKey, change: &mut Change) {
    tracing::error!(message.id = %key.message, clinic, "the laboratory posted results on the wrong patient");
    change.audit(
        audit::Entry::new(pipeline.clock.now(), "gateway", "report.wrong_patient", key.to_string())
            .of_clinic(clinic.to_owned()),
    );
    change.count(report::WRONG_PATIENT, 1);
}
