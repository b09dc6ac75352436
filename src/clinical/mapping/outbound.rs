//! From an approved case to a plan of Cliniko calls, by a mapping file that is data.
//!
//! The file lists the calls; each leaf of a body is a path into the case, a constant, text with named slots, lines, or
//! an upload (`design.md` §4). It compiles once, to types; [`Mapping::plan`] is then a pure function, so the same
//! approved case always gives the same calls under the same markers. Slots are escaped by where they stand: a
//! paragraph is HTML, everything else one line of text. Nothing is planned unless every body fits its schema.
//!
//! Start at [`Mapping::compile`]; the file's language is read in [`compile`], the case's paths are in [`case`].

pub mod case;
mod compile;
mod marker;
mod rehearse;
mod schema;
mod text;

use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

pub use self::case::CaseView;
pub use self::marker::Marker;
pub use self::marker::MarkerKey;
pub use self::rehearse::rehearse;
pub use self::schema::json_schema;
use crate::clinical::mapping::outbound::case::List;
use crate::clinical::mapping::outbound::case::Path;
use crate::clinical::mapping::outbound::text::Text;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::cliniko::html;
use crate::formats::cliniko::write;
use crate::formats::cliniko::write::NewNote;
use crate::formats::cliniko::write::QuestionKind;

/// A compiled outbound mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    calls: Vec<Call>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    id: String,
    when: When,
    body: Body,
}

/// When a call is planned. Closed, so that what a mapping may depend on can be read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// The laboratory has finished: what may still change is not for the patient.
    Final,
    /// The case has findings that a clinician wrote for the patient.
    PatientText,
    /// The case supersedes one that was filed.
    Supersedes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    Attachment { document: Document, filename: Text, description: Text },
    Note { title: Text, template: Option<Path>, sections: Vec<Section> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Section {
    name: String,
    questions: Vec<Question>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    name: String,
    kind: QuestionKind,
    answer: Vec<Answer>,
}

/// One part of an answer; a paragraph may have several, anything else has one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Lines(List),
    Path { path: Path, optional: bool },
    Text { text: Text, optional: bool },
}

/// A document of an approved case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Document {
    ClinicianPdf,
    PatientPdf,
}

impl Document {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClinicianPdf => "clinician_pdf",
            Self::PatientPdf => "patient_pdf",
        }
    }
}

/// What is to be sent for one approved case version, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub calls: Vec<PlannedCall>,
}

/// One call, complete but for the bytes of its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCall {
    /// The call's id in the mapping, such as `patient-pdf`.
    pub id: String,
    /// Stands in the file's description or the note's title, and finds it again.
    pub marker: Marker,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// The client presigns, uploads, and registers the file with the URL it then has.
    Attachment {
        patient_id: String,
        document: Document,
        filename: String,
        description: String,
    },
    TreatmentNote {
        note: NewNote,
    },
}

impl PlannedCall {
    /// The call as `gateway try --stage cliniko` and an example's `cliniko.json` show it.
    pub fn to_json(&self) -> serde_json::Value {
        let (path, body) = match &self.action {
            Action::Attachment { patient_id, document, filename, description } => (
                "/patient_attachments",
                json!({"patient_id": patient_id, "description": description,
                       "upload_url": {"upload": document.as_str(), "filename": filename}}),
            ),
            Action::TreatmentNote { note } => ("/treatment_notes", json!(note)),
        };
        json!({"id": self.id, "method": "POST", "path": path, "marker": self.marker, "body": body})
    }
}

/// What the clinic's settings add to a plan.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The clinic's marker key; never rotated, or what was filed could not be found again.
    pub marker_key: &'a MarkerKey,
    /// Notes are written, because the key's owner is a practitioner.
    pub notes: bool,
}

impl Mapping {
    /// Compiles a mapping file; `file` is its name for diagnostics.
    ///
    /// # Errors
    /// Every problem of the file, in its order.
    pub fn compile(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        compile::compile(file, text)
    }

    /// The calls to make for an approved case.
    ///
    /// # Errors
    /// Everything that keeps a body from its schema; then nothing at all is planned.
    pub fn plan(&self, case: &CaseView, settings: &Settings<'_>) -> Result<Plan, Vec<Diagnostic>> {
        let mut calls = Vec::new();
        let mut problems = Vec::new();
        for call in &self.calls {
            let wanted = match call.when {
                When::Always => true,
                When::Final => !case.report.is_interim(),
                When::PatientText => !case.findings.patient.is_empty(),
                When::Supersedes => case.supersedes.is_some(),
            };
            let possible = settings.notes || !matches!(call.body, Body::Note { .. });
            if wanted && possible {
                match call.plan(case, settings.marker_key) {
                    Ok(planned) => calls.push(planned),
                    Err(found) => problems.extend(found),
                }
            }
        }
        if problems.is_empty() { Ok(Plan { calls }) } else { Err(problems) }
    }
}

impl Call {
    fn plan(&self, case: &CaseView, key: &MarkerKey) -> Result<PlannedCall, Vec<Diagnostic>> {
        let marker = Marker::new(key, &case.report, &self.id);
        let mut missing = Vec::new();
        let mut fill = |text: &Text| text.fill(case, &marker, &mut missing);
        let (action, departures, findable) = match &self.body {
            Body::Attachment { document, filename, description } => {
                let (filename, description) = (fill(filename), fill(description));
                let shape = write::NewAttachment {
                    patient_id: case.patient.id.clone(),
                    upload_url: "https://store.invalid/".to_owned(),
                    description: description.clone(),
                };
                let findable = marker.stands_alone_in(&description);
                let patient_id = case.patient.id.clone();
                let action = Action::Attachment { patient_id, document: *document, filename, description };
                (action, shape.check(), findable)
            }
            Body::Note { title, template, sections } => {
                let note = NewNote {
                    patient_id: case.patient.id.clone(),
                    treatment_note_template_id: template.and_then(|path| path.of(case)),
                    title: fill(title),
                    draft: false,
                    content: write::Content {
                        sections: sections.iter().map(|it| it.fill(case, &marker, &mut missing)).collect(),
                    },
                };
                let texts = note.content.sections.iter().flat_map(|it| &it.questions);
                let quiet = texts.into_iter().all(|it| !it.answer.contains(Marker::OPENING));
                let (departures, findable) = (note.check(), quiet && marker.stands_alone_in(&note.title));
                (Action::TreatmentNote { note }, departures, findable)
            }
        };
        let mut problems: Vec<Diagnostic> = missing.iter().map(|path| self.missing(*path)).collect();
        problems.extend(departures.iter().map(|it| self.departs(&it.path, &it.reason)));
        if !findable {
            problems.push(self.departs(
                "marker",
                "must stand once, in brackets, in the description or title and nowhere else",
            ));
        }
        if problems.is_empty() {
            Ok(PlannedCall { id: self.id.clone(), marker, action })
        } else {
            Err(problems)
        }
    }

    fn missing(&self, path: Path) -> Diagnostic {
        let what = format!("call `{}` needs `{}`, and the case does not have it", self.id, path.as_str());
        Diagnostic::error(Code::new("D014"), what)
            .fact("held: nothing was planned")
            .help("mark the leaf `optional = true` in the outbound mapping, or complete the case")
    }

    fn departs(&self, path: &str, reason: &str) -> Diagnostic {
        Diagnostic::error(Code::new("D013"), format!("call `{}`: `{path}` {reason}", self.id))
            .fact("held: nothing was planned")
            .help("change the text in the outbound mapping or in the case, then resume")
    }
}

impl Section {
    /// Questions without an answer are left out: Cliniko refuses an empty one.
    fn fill(&self, case: &CaseView, marker: &Marker, missing: &mut Vec<Path>) -> write::Section {
        let questions = self.questions.iter().filter_map(|question| {
            let answer: String = question
                .answer
                .iter()
                .flat_map(|part| part.lines(case, marker, missing))
                .map(|line| match question.kind {
                    QuestionKind::Paragraph => html::paragraph(&line),
                    QuestionKind::Date | QuestionKind::Text => html::one_line(&line),
                })
                .collect();
            let name = question.name.clone();
            (!answer.is_empty()).then_some(write::Question { name, kind: question.kind, answer })
        });
        write::Section { name: self.name.clone(), questions: questions.collect() }
    }
}

impl Answer {
    fn lines(&self, case: &CaseView, marker: &Marker, missing: &mut Vec<Path>) -> Vec<String> {
        match self {
            Self::Lines(list) => list.of(case),
            Self::Path { path, optional } => {
                let value = path.of(case);
                if value.is_none() && !optional {
                    missing.push(*path);
                }
                value.into_iter().collect()
            }
            Self::Text { text, optional } => {
                let mut absent = Vec::new();
                let filled = text.fill(case, marker, &mut absent);
                match (absent.is_empty(), optional) {
                    (true, _) => vec![filled],
                    (false, true) => Vec::new(),
                    (false, false) => {
                        missing.append(&mut absent);
                        Vec::new()
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
