//! The JSON Schema of an outbound mapping file, made of the same words the compiler reads.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::clinical::mapping::outbound::case::List;
use crate::clinical::mapping::outbound::case::Path;
use crate::clinical::mapping::outbound::compile::CALLS_MAX;
use crate::clinical::mapping::outbound::compile::DOCUMENTS;
use crate::clinical::mapping::outbound::compile::WHEN;
use crate::formats::cliniko::write::PARTS_MAX;
use crate::formats::cliniko::write::QuestionKind;

/// For editors; what it does not say, such as the braces of a text, `gateway mapping check` does.
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Outbound mapping to Cliniko",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "destination", "call"],
        "properties": {
            "schema": { "const": 1 },
            "destination": { "const": "cliniko" },
            "call": { "type": "array", "minItems": 1, "maxItems": CALLS_MAX, "items": {
                "anyOf": [call("/patient_attachments", &attachment()), call("/treatment_notes", &note())] } },
        },
    })
}

fn names<T>(known: &[(&'static str, T)]) -> Vec<&'static str> {
    known.iter().map(|(name, _)| *name).collect()
}

fn call(path: &str, body: &Value) -> Value {
    table(
        &["id", "method", "path", "body"],
        [
            ("id", json!({ "type": "string", "description": "names the call; part of its marker" })),
            (
                "when",
                json!({ "enum": names(&WHEN), "description": "when the call is planned; always, where it does not say" }),
            ),
            ("method", json!({ "const": "POST" })),
            ("path", json!({ "const": path })),
            ("body", body.clone()),
        ],
    )
}

fn attachment() -> Value {
    let upload = table(
        &["upload", "filename"],
        [("upload", json!({ "enum": names(&DOCUMENTS) })), ("filename", text())],
    );
    table(
        &["patient_id", "upload_url", "description"],
        [("patient_id", patient()), ("upload_url", upload), ("description", slotted(false))],
    )
}

fn note() -> Value {
    let question = table(
        &["name", "type", "answer"],
        [("name", text()), ("type", json!({ "enum": names(&QuestionKind::ALL) })), ("answer", answers())],
    );
    let list = |of: Value| json!({ "type": "array", "minItems": 1, "maxItems": PARTS_MAX, "items": of });
    let section = table(&["name", "questions"], [("name", text()), ("questions", list(question))]);
    table(
        &["patient_id", "title", "draft", "content"],
        [
            ("patient_id", patient()),
            ("treatment_note_template_id", path()),
            ("title", slotted(false)),
            ("draft", json!({ "const": false })),
            ("content", table(&["sections"], [("sections", list(section))])),
        ],
    )
}

fn answers() -> Value {
    let optional = || json!({ "type": "boolean" });
    let lines = table(&["lines"], [("lines", json!({ "enum": names(&List::ALL) }))]);
    let of_path = table(&["path"], [("path", path()), ("optional", optional())]);
    let one = json!({ "anyOf": [path(), lines, of_path, slotted(true)] });
    json!({ "anyOf": [one, { "type": "array", "items": one, "description": "of a paragraph: its parts" }] })
}

fn slotted(may_be_optional: bool) -> Value {
    let mut fields = vec![("text", text())];
    if may_be_optional {
        fields.push(("optional", json!({ "type": "boolean" })));
    }
    table(&["text"], fields)
}

fn text() -> Value {
    json!({ "type": "string", "description": "text with slots: `{report.status}`, `{?…}` around what may be left out" })
}

fn patient() -> Value {
    json!({ "const": Path::PatientId.as_str(), "description": "a call is for the case's patient" })
}

fn path() -> Value {
    json!({ "enum": Path::ALL.map(Path::as_str) })
}

fn table(required: &[&str], fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let properties: Map<String, Value> =
        fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}
