//! The two bodies we send to Cliniko. Their JSON Schemas are `schemas/cliniko/*.json`, made from these types.
//!
//! A body is built whole and checked by [`NewAttachment::check`] or [`NewNote::check`] before anything is planned;
//! neither type can hold a field the gateway may not send.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::formats::cliniko::html;

/// Descriptions, titles and names hold at most 255 characters.
pub const TEXT_CHARS_MAX: usize = 255;
/// The API documents no limit for an answer; ours is the one it documents for a section's description.
pub const ANSWER_CHARS_MAX: usize = 10_000;
/// More sections, or questions of a section, than a report can need.
pub const PARTS_MAX: usize = 50;

/// `POST /patient_attachments`: registers an uploaded file. This is the effect; the upload before it is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAttachment {
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,18}$"))]
    pub patient_id: String,
    #[schemars(length(min = 1))]
    pub upload_url: String,
    #[schemars(length(min = 1, max = 255))]
    pub description: String,
}

impl NewAttachment {
    /// Every way in which the body departs from its schema.
    pub fn check(&self) -> Vec<Departure> {
        let mut found = Vec::new();
        check_id("patient_id", &self.patient_id, &mut found);
        check_text("upload_url", &self.upload_url, ANSWER_CHARS_MAX, &mut found);
        check_text("description", &self.description, TEXT_CHARS_MAX, &mut found);
        found
    }
}

/// `POST /treatment_notes`: a finished note. The author is whoever owns the key; it cannot be said here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNote {
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,18}$"))]
    pub patient_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[1-9][0-9]{0,18}$"))]
    pub treatment_note_template_id: Option<String>,
    #[schemars(length(min = 1, max = 255))]
    pub title: String,
    /// Always `false`: only what a clinician approved is sent, and a draft could be finished by the key's owner alone.
    #[schemars(extend("const" = false))]
    pub draft: bool,
    pub content: Content,
}

impl NewNote {
    /// Every way in which the body departs from its schema.
    pub fn check(&self) -> Vec<Departure> {
        let mut found = Vec::new();
        check_id("patient_id", &self.patient_id, &mut found);
        if let Some(id) = &self.treatment_note_template_id {
            check_id("treatment_note_template_id", id, &mut found);
        }
        check_text("title", &self.title, TEXT_CHARS_MAX, &mut found);
        if self.draft {
            found.push(Departure::new("draft", "must be false"));
        }
        check_count("content.sections", self.content.sections.len(), &mut found);
        for (s, section) in self.content.sections.iter().enumerate() {
            let at = format!("content.sections[{s}]");
            check_text(&format!("{at}.name"), &section.name, TEXT_CHARS_MAX, &mut found);
            check_count(&format!("{at}.questions"), section.questions.len(), &mut found);
            for (q, question) in section.questions.iter().enumerate() {
                let at = format!("{at}.questions[{q}]");
                check_text(&format!("{at}.name"), &question.name, TEXT_CHARS_MAX, &mut found);
                check_text(&format!("{at}.answer"), &question.answer, ANSWER_CHARS_MAX, &mut found);
            }
        }
        found
    }
}

impl NewNote {
    /// Whether a note read from Cliniko still says what was sent: every question, in order, with the same text once
    /// tags and character references are read. A sanitiser that took a comparator for a tag shows here.
    pub fn reads_back(&self, found: &serde_json::Value) -> bool {
        let sent = self.content.sections.iter().flat_map(|section| &section.questions);
        let sent = sent.map(|it| (it.name.as_str(), html::to_text(&it.answer)));
        let list =
            |value: &serde_json::Value, name: &str| value.get(name).and_then(|it| it.as_array()).cloned();
        let Some(sections) = list(found, "sections") else { return false };
        let questions: Vec<_> =
            sections.iter().flat_map(|it| list(it, "questions").unwrap_or_default()).collect();
        let text = |question: &serde_json::Value, name: &str| -> Option<String> {
            question.get(name)?.as_str().map(str::to_owned)
        };
        let found = questions.iter().map(|it| Some((text(it, "name")?, html::to_text(&text(it, "answer")?))));
        sent.map(|(name, answer)| Some((name.to_owned(), answer))).eq(found)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Content {
    #[schemars(length(min = 1, max = 50))]
    pub sections: Vec<Section>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    #[schemars(length(min = 1, max = 50))]
    pub questions: Vec<Question>,
}

/// A question with its answer. One without an answer is left out of its section: an empty answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    #[serde(rename = "type")]
    pub kind: QuestionKind,
    /// HTML for a paragraph, one line of text for the others.
    #[schemars(length(min = 1, max = 10_000))]
    pub answer: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QuestionKind {
    Date,
    Paragraph,
    Text,
}

impl QuestionKind {
    pub const ALL: [(&'static str, Self); 3] =
        [("date", Self::Date), ("paragraph", Self::Paragraph), ("text", Self::Text)];
}

/// One place where a body departs from its schema. Holds no value of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    pub path: String,
    pub reason: String,
}

impl Departure {
    fn new(path: &str, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), reason: reason.into() }
    }
}

fn check_id(path: &str, id: &str, found: &mut Vec<Departure>) {
    if id.parse::<crate::formats::cliniko::Id>().is_err() {
        found.push(Departure::new(path, "is not a Cliniko id"));
    }
}

fn check_text(path: &str, text: &str, chars_max: usize, found: &mut Vec<Departure>) {
    let chars = text.chars().count();
    if chars == 0 {
        found.push(Departure::new(path, "is empty"));
    } else if chars > chars_max {
        found.push(Departure::new(path, format!("has {chars} characters, and Cliniko keeps {chars_max}")));
    }
}

fn check_count(path: &str, count: usize, found: &mut Vec<Departure>) {
    if count == 0 || count > PARTS_MAX {
        found.push(Departure::new(path, format!("has {count} entries, and must have 1 to {PARTS_MAX}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a test compares the committed schemas with the types")]
    fn check_schema<T: JsonSchema>(file: &str) {
        let path = format!("{}/schemas/cliniko/{file}", env!("CARGO_MANIFEST_DIR"));
        let made = serde_json::to_string_pretty(&schemars::schema_for!(T)).unwrap() + "\n";
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(kept, made, "write this to {path}");
    }

    #[test]
    fn the_committed_schemas_are_those_of_the_types() {
        check_schema::<NewAttachment>("patient_attachment.json");
        check_schema::<NewNote>("treatment_note.json");
    }

    #[test]
    fn a_body_beyond_the_limits_is_told_every_departure() {
        let note = NewNote {
            patient_id: "01".to_owned(),
            treatment_note_template_id: None,
            title: "é".repeat(256),
            draft: true,
            content: Content { sections: vec![Section { name: "S".to_owned(), questions: Vec::new() }] },
        };
        let found: Vec<_> = note.check().into_iter().map(|it| it.path).collect();
        assert_eq!(found, ["patient_id", "title", "draft", "content.sections[0].questions"]);
        let file = NewAttachment {
            patient_id: "9223372036854775807".to_owned(),
            upload_url: "https://store.example/a".to_owned(),
            description: "d".repeat(255),
        };
        assert!(file.check().is_empty());
    }

    #[test]
    fn a_note_that_lost_a_comparator_does_not_read_back() {
        let question =
            |answer: &str| serde_json::json!({"name": "Summary", "type": "paragraph", "answer": answer});
        let content =
            |answer: &str| serde_json::json!({"sections": [{"name": "S", "questions": [question(answer)]}]});
        let note: NewNote = serde_json::from_value(serde_json::json!({"patient_id": "7", "title": "T",
            "draft": false, "content": content("<p>TSH &lt;0.01 mIU/L</p>")}))
        .unwrap();
        assert!(note.reads_back(&content("<div>TSH &#60;0.01 mIU/L</div>")));
        for other in ["<p>TSH  mIU/L</p>", "<p>TSH &lt;0.1 mIU/L</p>", ""] {
            assert!(!note.reads_back(&content(other)), "{other}");
        }
        assert!(!note.reads_back(&serde_json::Value::Null));
    }

    #[test]
    fn a_note_is_written_as_the_api_documents_it() {
        let question = Question {
            name: "Summary".to_owned(),
            kind: QuestionKind::Paragraph,
            answer: "<p>a</p>".to_owned(),
        };
        let note = NewNote {
            patient_id: "7".to_owned(),
            treatment_note_template_id: None,
            title: "T".to_owned(),
            draft: false,
            content: Content { sections: vec![Section { name: "S".to_owned(), questions: vec![question] }] },
        };
        assert_eq!(
            serde_json::to_string(&note).unwrap(),
            r#"{"patient_id":"7","title":"T","draft":false,"content":{"sections":[{"name":"S","questions":[{"name":"Summary","type":"paragraph","answer":"<p>a</p>"}]}]}}"#
        );
    }
}
