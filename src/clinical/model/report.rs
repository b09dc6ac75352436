//! One laboratory report: all panels of one patient under one filler number.

use serde::Deserialize;
use serde::Serialize;

use crate::clinical::attachment;
use crate::clinical::attachment::Document;
use crate::clinical::model::Code;
use crate::clinical::model::LabResult;
use crate::clinical::model::Moment;
use crate::clinical::model::Patient;
use crate::clinical::model::Sensitive;

/// The canonical report. Its results stand in the order they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The laboratory's name in the configuration.
    pub lab: String,
    /// The laboratory's own number for this report (OBR-3, ORC-3), unique per laboratory.
    pub filler_number: String,
    /// The clinic's order number (OBR-2, ORC-2), where the laboratory returned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    /// The clinic's number with the laboratory, by which its reports find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The receiver the report names (MSH-6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<String>,
    pub status: ReportStatus,
    pub patient: Patient,
    pub panels: Vec<Panel>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub specimens: Vec<Specimen>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Notes on the patient or the whole report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    pub origin: MessageOrigin,
}

impl Report {
    /// Every result of every panel, in the order sent.
    pub fn results(&self) -> impl Iterator<Item = &LabResult> {
        self.panels.iter().flat_map(|panel| &panel.results)
    }

    /// When the specimen was taken, as the first panel that knows it says.
    pub fn collected_at(&self) -> Option<&Moment> {
        self.panels.iter().find_map(|panel| panel.collected_at.as_ref())
    }

    /// The latest time at which a panel was reported.
    pub fn issued_at(&self) -> Option<&Moment> {
        self.panels.iter().filter_map(|panel| panel.reported_at.as_ref()).max_by_key(|at| at.instant())
    }
}

/// Which message, read by which mapping, said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageOrigin {
    /// MSH-10.
    pub control_id: String,
    /// MSH-3 and MSH-4 as `APPLICATION|FACILITY`.
    pub sender: String,
    /// MSH-7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Moment>,
    /// SHA-256 of the mapping folder that read it, in hexadecimal.
    pub mapping_digest: String,
}

/// One ordered panel (OBR) with its results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panel {
    /// Where it stood in the message, `OBR[2]`.
    pub id: String,
    /// OBR-4.
    pub code: Code,
    pub status: ReportStatus,
    /// OBR-7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_at: Option<Moment>,
    /// OBR-14, else SPM-18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Moment>,
    /// OBR-22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Moment>,
    /// OBR-16, ORC-12: who asked, by name or code as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Sensitive<String>>,
    /// OBR-13: relevant clinical information as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clinical_information: Option<Sensitive<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    pub results: Vec<LabResult>,
    /// Whatever else the mapping was told to keep, by its name in the mapping file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

/// Where a report stands (OBR-25, table 0123). Named after FHIR's `diagnostic-report-status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportStatus {
    Registered,
    Partial,
    Preliminary,
    Final,
    Amended,
    Corrected,
    Cancelled,
    EnteredInError,
    Unknown,
}

impl ReportStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Partial => "partial",
            Self::Preliminary => "preliminary",
            Self::Final => "final",
            Self::Amended => "amended",
            Self::Corrected => "corrected",
            Self::Cancelled => "cancelled",
            Self::EnteredInError => "entered-in-error",
            Self::Unknown => "unknown",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Registered,
            Self::Partial,
            Self::Preliminary,
            Self::Final,
            Self::Amended,
            Self::Corrected,
            Self::Cancelled,
            Self::EnteredInError,
            Self::Unknown,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
    }
}

/// A comment (NTE), attached to what it followed; lines kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where it stood, `NTE[2]`.
    pub id: String,
    pub text: String,
    /// NTE-2 (table 0105), such as `L` for the laboratory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specimen {
    /// Where it stood, `SPM[1]`, or `OBR[1]-15` before version 2.5.
    pub id: String,
    /// SPM-2.2, the laboratory's accession for this specimen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accession: Option<String>,
    /// SPM-2.1, the clinic's own specimen number, such as a kit barcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placer_number: Option<String>,
    /// SPM-4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Code>,
    /// SPM-17.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_at: Option<Moment>,
    /// SPM-18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Moment>,
    /// SPM-24, such as haemolysed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Code>,
    /// SPM-21.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reject_reasons: Vec<Code>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

/// A document inside the message (OBX-2 = ED), or a pointer to one (RP).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The result it belongs to, `OBX[4]`.
    pub id: String,
    /// MIME type where it can be named, such as `application/pdf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Bytes of the document; `None` for a pointer, and where it was not sent whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<usize>,
    /// SHA-256 of the document, in hexadecimal: with it, whatever signs the report signs the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The document itself, as it was read. It is no part of the record: the store keeps it apart.
    #[serde(skip)]
    pub document: Option<Document>,
    /// RP.1: where the sender says the document is. Never fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<Sensitive<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

impl Attachment {
    /// A document that was sent whole.
    pub fn of(id: impl Into<String>, media_type: Option<String>, document: Document) -> Self {
        let known = || attachment::media_type_of(&document).map(str::to_owned);
        Self {
            id: id.into(),
            media_type: media_type.or_else(known),
            bytes: Some(document.bytes().len()),
            sha256: Some(document.sha256()),
            document: Some(document),
            pointer: None,
            title: None,
        }
    }

    /// A document that the sender keeps elsewhere.
    pub fn pointing_at(
        id: impl Into<String>,
        media_type: Option<String>,
        pointer: String,
        title: Option<String>,
    ) -> Self {
        let pointer = Some(Sensitive::new(pointer));
        Self { id: id.into(), media_type, bytes: None, sha256: None, document: None, pointer, title }
    }
}
