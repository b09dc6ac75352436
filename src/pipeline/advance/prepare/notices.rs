//! What a version itself says, beside what interpreters say of its values: findings of the gateway's own.
//!
//! They name no value and no number, so that nothing in them can be invented.

use crate::clinical::lineage::Reading;
use crate::clinical::lineage::Standing;
use crate::clinical::model::Finding;
use crate::clinical::model::Report;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::StatusDetail;
use crate::clinical::model::Urgency;
use crate::pipeline::review::changes::Change;

/// Who may have acted on what an earlier version said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ActedOn {
    Nobody,
    /// A clinician has opened it.
    Seen,
    /// A clinician has approved it.
    Approved,
}

/// Whether a report says that results were posted as wrong, such as on the wrong patient.
pub(super) fn is_wrong_patient(report: &Report) -> bool {
    report.results().any(|it| it.detail == Some(StatusDetail::WrongPatient))
}

pub(super) fn findings(reading: &Reading, changes: &[Change], acted: ActedOn) -> Vec<Finding> {
    let mut found = Vec::new();
    let report = &reading.report;
    let with = |wanted: &dyn Fn(&crate::clinical::model::LabResult) -> bool| -> Vec<ResultId> {
        report.results().filter(|it| wanted(it)).map(|it| it.id.clone()).collect()
    };
    let wrong = with(&|it| it.detail == Some(StatusDetail::WrongPatient));
    if !wrong.is_empty() {
        found.push(finding(
            "lineage.wrong-patient",
            Urgency::SameDay,
            wrong,
            "The laboratory says that this was posted in error, such as on the wrong patient. Do not use it.",
            Some("Find out whose it was and who acted on it, and record it as a data incident."),
        ));
    } else if reading.standing == Standing::Withdrawn {
        let urgency = if acted == ActedOn::Nobody { Urgency::Routine } else { Urgency::SameDay };
        found.push(finding(
            "lineage.withdrawn",
            urgency,
            with(&|_| true),
            "The laboratory has withdrawn this report. Do not use its results.",
            (acted != ActedOn::Nobody)
                .then_some("An earlier version was read here: reconsider what followed from it."),
        ));
    }
    let cancelled = with(&|it| it.status == ResultStatus::Cancelled);
    if !cancelled.is_empty() {
        found.push(finding(
            "lineage.cancelled",
            Urgency::Routine,
            cancelled,
            "The laboratory could not measure this.",
            Some("Read the laboratory's reason, and consider a new sample."),
        ));
    }
    let crossed: Vec<ResultId> =
        changes.iter().filter(|it| it.crosses).filter_map(|it| it.result.clone()).collect();
    if acted == ActedOn::Approved && !crossed.is_empty() {
        found.push(finding(
            "lineage.crossed-a-limit",
            Urgency::SameDay,
            crossed,
            "Since a version was approved, the laboratory changed this across a limit.",
            Some("Compare it with what was approved, and reconsider what followed from it."),
        ));
    }
    found.retain(|it| !it.about.is_empty());
    found
}

fn finding(id: &str, urgency: Urgency, about: Vec<ResultId>, text: &str, follow_up: Option<&str>) -> Finding {
    Finding {
        id: id.to_owned(),
        urgency,
        about,
        clinician_text: text.to_owned(),
        patient_text: String::new(),
        follow_up: follow_up.map(str::to_owned),
        evidence: Vec::new(),
        source: Some("the laboratory's own status".to_owned()),
    }
}
