//! The approved case as an outbound mapping sees it, and the closed list of paths into it.

use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Sensitive;

/// Everything of an approved case that may leave. No name, birth date or address: the record it goes to has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseView {
    pub patient: PatientView,
    pub report: ReportView,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    pub approval: ApprovalView,
    pub findings: FindingsView,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<SupersededView>,
    /// The clinic's own note template in Cliniko.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note_template_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientView {
    /// The Cliniko id.
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportView {
    /// The laboratory's name in the configuration; part of every marker.
    pub lab: String,
    /// The laboratory's name as people write it.
    pub lab_name: String,
    pub filler_number: String,
    /// `final`, `corrected`, …
    pub status: String,
    /// `YYYY-MM-DD`, where known to the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_on: Option<String>,
    /// `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_on: Option<String>,
    /// SHA-256 of the canonical report, in hexadecimal: a restored or re-read message has the same.
    pub content_sha256: String,
    /// The version within its lineage, from 1.
    pub version: u32,
}

impl ReportView {
    /// Whether the laboratory has not finished.
    pub fn is_interim(&self) -> bool {
        matches!(self.status.as_str(), "registered" | "partial" | "preliminary")
    }

    /// What a reader must know before anything else; none of a report that is complete.
    fn standing(&self) -> Option<&'static str> {
        match self.status.as_str() {
            "entered-in-error" => Some("WITHDRAWN by the laboratory"),
            "cancelled" => Some("cancelled by the laboratory"),
            _ if self.is_interim() => Some("INTERIM, may change"),
            _ => None,
        }
    }

    /// What a version that supersedes another did to it.
    fn change(&self) -> &'static str {
        match self.status.as_str() {
            "entered-in-error" => "withdrawn",
            "cancelled" => "cancelled",
            "amended" | "corrected" => "corrected",
            _ => "updated",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalView {
    /// The approver as the note names them, such as `Dr R. Example, GMC 0000000`.
    pub by: String,
    /// In the clinic's time, as the note prints it.
    pub at: String,
}

/// The texts as approved, line by line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindingsView {
    #[serde(default)]
    pub clinician: Vec<Sensitive<String>>,
    #[serde(default)]
    pub patient: Vec<Sensitive<String>>,
    /// One line for each result: name, value as sent, unit, range.
    #[serde(default)]
    pub results: Vec<Sensitive<String>>,
    #[serde(default)]
    pub notes: Vec<Sensitive<String>>,
}

/// The filed case that this one supersedes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupersededView {
    pub version: u32,
    /// The marker of the file or note it supersedes, as people can search for it.
    pub marker: String,
    /// `YYYY-MM-DD`.
    pub filed_on: String,
}

/// A path to one text of the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    ApprovalAt,
    ApprovalBy,
    CollectedOn,
    FillerNumber,
    LabName,
    NoteTemplate,
    OrderNumber,
    PatientId,
    ReportedOn,
    Standing,
    Status,
    SupersedesChange,
    SupersedesFiledOn,
    SupersedesMarker,
    SupersedesVersion,
    Version,
}

impl Path {
    pub(super) const ALL: [Self; 16] = [
        Self::ApprovalAt,
        Self::ApprovalBy,
        Self::CollectedOn,
        Self::FillerNumber,
        Self::LabName,
        Self::NoteTemplate,
        Self::OrderNumber,
        Self::PatientId,
        Self::ReportedOn,
        Self::Standing,
        Self::Status,
        Self::SupersedesChange,
        Self::SupersedesFiledOn,
        Self::SupersedesMarker,
        Self::SupersedesVersion,
        Self::Version,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ApprovalAt => "approval.at",
            Self::ApprovalBy => "approval.by",
            Self::CollectedOn => "report.collected_on",
            Self::FillerNumber => "report.filler_number",
            Self::LabName => "report.lab_name",
            Self::NoteTemplate => "settings.note_template_id",
            Self::OrderNumber => "order.number",
            Self::PatientId => "patient.id",
            Self::ReportedOn => "report.reported_on",
            Self::Standing => "report.standing",
            Self::Status => "report.status",
            Self::SupersedesChange => "supersedes.change",
            Self::SupersedesFiledOn => "supersedes.filed_on",
            Self::SupersedesMarker => "supersedes.marker",
            Self::SupersedesVersion => "supersedes.version",
            Self::Version => "report.version",
        }
    }

    pub(super) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|path| path.as_str() == name)
    }

    pub(super) fn of(self, case: &CaseView) -> Option<String> {
        let superseded = case.supersedes.as_ref();
        let value = match self {
            Self::ApprovalAt => Some(case.approval.at.clone()),
            Self::ApprovalBy => Some(case.approval.by.clone()),
            Self::CollectedOn => case.report.collected_on.clone(),
            Self::FillerNumber => Some(case.report.filler_number.clone()),
            Self::LabName => Some(case.report.lab_name.clone()),
            Self::NoteTemplate => case.note_template_id.clone(),
            Self::OrderNumber => case.order_number.clone(),
            Self::PatientId => Some(case.patient.id.clone()),
            Self::ReportedOn => case.report.reported_on.clone(),
            Self::Standing => case.report.standing().map(str::to_owned),
            Self::Status => Some(case.report.status.clone()),
            Self::SupersedesChange => superseded.map(|_| case.report.change().to_owned()),
            Self::SupersedesFiledOn => superseded.map(|it| it.filed_on.clone()),
            Self::SupersedesMarker => superseded.map(|it| it.marker.clone()),
            Self::SupersedesVersion => superseded.map(|it| it.version.to_string()),
            Self::Version => Some(case.report.version.to_string()),
        };
        value.filter(|text| !text.trim().is_empty())
    }
}

/// A path to several lines of the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Clinician,
    Notes,
    Patient,
    Results,
}

impl List {
    pub(super) const ALL: [(&'static str, Self); 4] = [
        ("findings.clinician", Self::Clinician),
        ("findings.notes", Self::Notes),
        ("findings.patient", Self::Patient),
        ("findings.results", Self::Results),
    ];

    pub(super) fn of(self, case: &CaseView) -> Vec<String> {
        let lines = match self {
            Self::Clinician => &case.findings.clinician,
            Self::Notes => &case.findings.notes,
            Self::Patient => &case.findings.patient,
            Self::Results => &case.findings.results,
        };
        lines.iter().map(|line| line.expose().clone()).collect()
    }
}
