//! Documents for people: the clinician report, the patient summary and the request form, as tagged PDF.
//!
//! A document is a pure function of its content, its standing and nothing else: the same input gives the same bytes,
//! and a draft has no date of its own. Values and units stand as the laboratory sent them; what is not known is said.
//! It decides nothing clinical: findings come from interpreters, words beyond them from the clinic and the clinician.
//! Text from outside is shown, never evaluated (see `typeset`). A patient reads nothing of an urgent finding until
//! the clinician confirms contact.
//! Start at [`render`]; [`Content`] is what a clinician approves.
//!
//! The typesetter keeps a cache for the process; the shell calls `comemo::evict` after each document.

mod barcode;
mod clinician;
mod form;
mod letters;
mod patient;
mod range_bar;
mod row;
mod typeset;
mod words;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use typst::diag::SourceDiagnostic;

pub use self::barcode::TEXT_CHARS_MAX as BARCODE_CHARS_MAX;
pub use self::form::RequestForm;
pub use self::form::request_form;
pub use self::words::unit as unit_in_words;

use crate::clinical::document::typeset::Template;
use crate::clinical::document::words::Clock;
use crate::clinical::lineage;
use crate::clinical::model::Interpretation;
use crate::clinical::model::Report;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sensitive;

/// Which reader a document is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Clinician,
    Patient,
}

/// What both documents show, and what an approval signs. Times are ISO 8601 with offset.
#[derive(Debug, Clone, Serialize)]
pub struct Content<'a> {
    pub clinic: Clinic,
    pub case_id: String,
    pub case_version: u32,
    /// `None` where the report answers no order of ours.
    pub order: Option<OrderFacts>,
    pub patient: PatientFacts,
    pub report: &'a Report,
    /// What the report is as a whole: complete, interim, cancelled, withdrawn.
    pub reads: lineage::Standing,
    pub interpretations: &'a [Interpretation],
    pub edits: ClinicianEdits,
    /// The clinician has spoken with the patient about what is urgent.
    pub contact_confirmed: bool,
    /// The filed version that this one replaces.
    pub supersedes: Option<Superseded>,
    /// What a result read in the version before, where it reads otherwise now.
    pub changes: BTreeMap<ResultId, String>,
    /// The same for the table of what changed, with both times.
    pub changed: Vec<Changed>,
    /// Panels that the laboratory's newest message left out, by their id, and when they were sent.
    pub carried: BTreeMap<String, Option<String>>,
    /// A result's name in plain words, where the knowledge has one.
    pub plain_names: BTreeMap<ResultId, String>,
    /// Everything that spoke, with its version: software, mapping, knowledge. Interpreters are added from their answers.
    pub versions: Vec<(String, String)>,
}

/// The clinic's own words and place.
#[derive(Debug, Clone, Serialize)]
pub struct Clinic {
    pub name: String,
    /// Address, telephone, whatever the clinic prints; one line each.
    pub contact: Vec<String>,
    /// When and where to seek help at once, for patients; one paragraph each.
    pub urgent_help: Vec<String>,
    /// IANA name, such as `Europe/London`: every time is shown in it.
    pub time_zone: String,
}

/// The order that the report answers.
#[derive(Debug, Clone, Serialize)]
pub struct OrderFacts {
    pub order_number: String,
    pub tests: Vec<String>,
    pub ordered_at: String,
    pub requested_by: Option<String>,
}

/// The person as the clinic knows them, after the match.
#[derive(Debug, Clone, Serialize)]
pub struct PatientFacts {
    pub name: Sensitive<String>,
    /// ISO date.
    pub birth_date: Option<Sensitive<String>>,
    pub nhs_number: Option<Sensitive<String>>,
    pub sex: Option<Sensitive<String>>,
    pub cliniko_reference: Option<String>,
}

/// What the clinician wrote.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ClinicianEdits {
    pub summary_clinician: Option<String>,
    pub summary_patient: Option<String>,
    /// For colleagues; never in the patient summary.
    pub notes: Vec<ClinicianNote>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ClinicianNote {
    pub author: String,
    pub at: String,
    pub text: String,
}

/// A filed version that the present one replaces.
#[derive(Debug, Clone, Serialize)]
pub struct Superseded {
    pub case_version: u32,
    pub filed_at: Option<String>,
}

/// A result that reads otherwise than in the version before.
#[derive(Debug, Clone, Serialize)]
pub struct Changed {
    pub name: String,
    /// `None`: it was not reported.
    pub old: Option<String>,
    pub old_at: Option<String>,
    /// `None`: it is gone.
    pub new: Option<String>,
    pub new_at: Option<String>,
    pub status: Option<ResultStatus>,
    /// Its range or a critical limit lies between the two.
    pub crosses: bool,
}

/// Whether a clinician stands behind the document. A draft says so on every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Draft,
    Approved {
        approver: String,
        /// Such as `GMC 1234567`.
        registration: Option<String>,
        at: String,
    },
}

/// Renders one document as PDF.
pub fn render(kind: Kind, content: &Content<'_>, standing: &Standing) -> Result<Vec<u8>, Error> {
    let clock = Clock::new(&content.clinic.time_zone)?;
    let moment = match standing {
        Standing::Approved { at, .. } => words::utc(at),
        // A draft has no time of its own, or it would differ from one look to the next; it takes the message's.
        Standing::Draft => content.report.origin.sent_at.as_ref().and_then(|at| words::utc(&at.iso)),
    };
    let (template, view) = match kind {
        Kind::Clinician => (Template::Clinician, clinician::view(content, standing, &clock)),
        Kind::Patient => (Template::Patient, patient::view(content, standing, &clock)),
    };
    typeset::pdf(template, view, moment)
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "order number of {chars} characters is not 1 to {max} characters of printable ASCII, as its barcode must be"
    )]
    Barcode { chars: usize, max: usize },
    #[error("time zone `{name}` is not in the IANA database")]
    TimeZoneUnknown { name: String },
    #[error("document content is {bytes} bytes long, and at most {max} are typeset")]
    TooLong { bytes: usize, max: usize },
    /// The messages are the typesetter's, about our templates; they quote no content.
    #[error("typesetter refused the document: {messages}")]
    Typeset { messages: String },
}

impl Error {
    fn typeset(errors: &[SourceDiagnostic]) -> Self {
        let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
        Self::Typeset { messages: messages.join("; ") }
    }
}
