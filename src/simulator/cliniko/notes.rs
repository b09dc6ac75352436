//! Creating a treatment note: who may, what it must hold, and what becomes of its text
//! (reference section 7).
//!
//! The author is the practitioner whom the key belongs to; a `practitioner_id` in the body is ignored.

use hyper::StatusCode;
use jiff::civil::Date;
use serde_json::Value;
use serde_json::json;

use crate::simulator::cliniko::api::Answer;
use crate::simulator::cliniko::api::Call;
use crate::simulator::cliniko::api::Sending;
use crate::simulator::cliniko::api::invalid;
use crate::simulator::cliniko::api::message;
use crate::simulator::cliniko::records::Fields;
use crate::simulator::cliniko::records::Resource;
use crate::simulator::cliniko::records::Row;
use crate::simulator::cliniko::records::stamp;
use crate::simulator::cliniko::sanitiser;
use crate::simulator::cliniko::wire::Reply;

const NAME_CHARACTERS_MAX: usize = 255;
const DESCRIPTION_CHARACTERS_MAX: usize = 10_000;

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    call.permit(Resource::Notes)?;
    let forbidden = || Reply::empty(StatusCode::FORBIDDEN);
    let practitioner_id = call.practitioner_id().ok_or_else(forbidden)?.to_owned();
    let author = call.state.tables.find(Resource::Practitioners, &practitioner_id);
    let author = author.map_or("", |row| row.text("display_name")).to_owned();
    let sending = Sending::read(call.received)?;
    let content = sending.fields.get("content").unwrap_or(&Value::Null);
    if !content.is_null() && !content.is_object() {
        return Err(message(StatusCode::UNPROCESSABLE_ENTITY, "must be an object"));
    }
    let template = sending.id("treatment_note_template_id");
    let template =
        template.and_then(|id| call.state.tables.find(Resource::Templates, &id)).filter(|row| row.is_live());
    let title = sending.text("title").or_else(|| template.map(|row| row.text("name")));
    let patient_id = sending.id("patient_id").filter(|id| call.live_patient(id).is_some());
    let errors = errors(&sending, content, template, title, patient_id.as_deref());
    let (Some(title), Some(patient_id), true) = (title, patient_id, errors.is_empty()) else {
        return Err(invalid(&Value::Object(errors)));
    };
    let draft = sending.fields.get("draft").and_then(Value::as_bool).unwrap_or(true);
    let columns = [
        ("title", json!(title)),
        ("draft", json!(draft)),
        ("finalized_at", if draft { Value::Null } else { json!(stamp(call.now)) }),
        ("author_name", json!(author)),
        ("content", sanitised(content)),
        ("pinned_at", Value::Null),
        ("deleted_at", Value::Null),
        ("patient_id", json!(patient_id)),
        ("practitioner_id", json!(practitioner_id)),
        ("treatment_note_template_id", json!(template.map(|row| row.text("id")))),
        ("booking_id", json!(sending.id("booking_id"))),
        ("attendee_id", json!(sending.id("attendee_id"))),
    ];
    let mut fields = call.new_fields();
    fields.extend(columns.map(|(name, value)| (name.to_owned(), value)));
    let row = call.insert(Resource::Notes, fields);
    Ok(call.created(Resource::Notes, &row))
}

fn errors(
    sending: &Sending,
    content: &Value,
    template: Option<&Row>,
    title: Option<&str>,
    patient_id: Option<&str>,
) -> Fields {
    let mut errors = Fields::new();
    let given = |field: &str| sending.fields.get(field).is_some_and(|value| !value.is_null());
    if patient_id.is_none() {
        let text = if given("patient_id") { "must exist" } else { "can’t be blank" };
        errors.insert("patient".to_owned(), json!(text));
    }
    if template.is_none() && given("treatment_note_template_id") {
        errors.insert("treatment_note_template".to_owned(), json!("must exist"));
    }
    match title {
        None => errors.insert("title".to_owned(), json!("can’t be blank")),
        Some(title) if is_too_long(title, NAME_CHARACTERS_MAX) => {
            errors.insert("title".to_owned(), json!("is too long (maximum is 255 characters)"))
        }
        Some(_) => None,
    };
    if given("draft") && !sending.was_form && !sending.fields.get("draft").is_some_and(Value::is_boolean) {
        errors.insert("draft".to_owned(), json!("must be true or false"));
    }
    if sending.was_form {
        errors.insert("content".to_owned(), Value::Null);
    } else if let Err(fault) = check_content(content) {
        errors.insert("content".to_owned(), json!(fault));
    }
    errors
}

type Checked = Result<(), String>;

/// The schema of reference section 7.4.
fn check_content(content: &Value) -> Checked {
    let Some(content) = content.as_object() else { return Ok(()) };
    only(content, &["sections"], "content")?;
    for section in filled_list(content, "sections")?.ok_or("sections is required")? {
        let section = section.as_object().ok_or("a section must be an object")?;
        only(section, &["name", "description", "questions"], "section")?;
        optional_text(section, "name", NAME_CHARACTERS_MAX)?;
        optional_text(section, "description", DESCRIPTION_CHARACTERS_MAX)?;
        for question in filled_list(section, "questions")?.unwrap_or_default() {
            check_question(question.as_object().ok_or("a question must be an object")?)?;
        }
    }
    Ok(())
}

fn check_question(question: &Fields) -> Checked {
    optional_text(question, "name", NAME_CHARACTERS_MAX)?;
    if !question.contains_key("name") {
        return Err("name is required".to_owned());
    }
    let kind = question.get("type").and_then(Value::as_str).ok_or("type is required")?;
    match kind {
        "text" | "paragraph" | "date" => {
            only(question, &["name", "type", "answer"], kind)?;
            optional_text(question, "answer", usize::MAX)?;
            let answer = question.get("answer").and_then(Value::as_str);
            let is_date = |text: &str| text.len() == 10 && text.parse::<Date>().is_ok();
            if kind == "date" && !answer.is_none_or(is_date) {
                return Err("answer must be a date".to_owned());
            }
            Ok(())
        }
        "checkboxes" | "radiobuttons" => check_choices(question, kind),
        "bodycharts" => only(question, &["name", "type", "body_chart_ids"], kind),
        _ => Err("type is not one of text, paragraph, date, checkboxes, radiobuttons".to_owned()),
    }
}

fn check_choices(question: &Fields, kind: &str) -> Checked {
    only(question, &["name", "type", "answers", "other"], kind)?;
    let mut selected = 0;
    for answer in filled_list(question, "answers")?.unwrap_or_default() {
        let answer = answer.as_object().ok_or("an answer must be an object")?;
        only(answer, &["value", "selected"], "answers")?;
        if answer.get("value").is_some_and(|value| !value.is_null()) {
            optional_text(answer, "value", NAME_CHARACTERS_MAX)?;
        }
        match answer.get("selected") {
            None => {}
            Some(Value::Bool(true)) => selected += 1,
            Some(_) => return Err("selected must be true or left out".to_owned()),
        }
    }
    if let Some(other) = question.get("other") {
        let other = other.as_object().ok_or("other must be an object")?;
        only(other, &["enabled", "selected", "value"], "other")?;
        let is = |field: &str| other.get(field) == Some(&Value::Bool(true));
        if other.contains_key("selected") && !is("enabled") || other.contains_key("value") && !is("selected")
        {
            return Err("other is not consistent".to_owned());
        }
        optional_text(other, "value", NAME_CHARACTERS_MAX)?;
        selected += usize::from(is("selected"));
    }
    if kind == "radiobuttons" && selected > 1 {
        return Err("radiobuttons can have at most one selected".to_owned());
    }
    Ok(())
}

fn only(object: &Fields, allowed: &[&str], what: &str) -> Checked {
    match object.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(extra) => Err(format!("{extra} is not a property of {what}")),
        None => Ok(()),
    }
}

/// A list may be left out; it may not be empty.
fn filled_list<'a>(object: &'a Fields, name: &str) -> Result<Option<&'a [Value]>, String> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::Array(items)) if !items.is_empty() => Ok(Some(items)),
        Some(_) => Err(format!("{name} may not be empty")),
    }
}

/// A text may be left out; it may not be empty or null.
fn optional_text(object: &Fields, name: &str, characters_max: usize) -> Checked {
    match object.get(name) {
        Some(Value::String(text)) if text.is_empty() => Err(format!("{name} may not be empty")),
        Some(Value::String(text)) if is_too_long(text, characters_max) => Err(format!("{name} is too long")),
        None | Some(Value::String(_)) => Ok(()),
        Some(_) => Err(format!("{name} must be a string")),
    }
}

fn is_too_long(text: &str, characters_max: usize) -> bool {
    text.chars().count() > characters_max
}

fn sanitised(content: &Value) -> Value {
    let mut content = content.clone();
    let sections = content.get_mut("sections").and_then(Value::as_array_mut).into_iter().flatten();
    let questions = sections.filter_map(|section| section.get_mut("questions")?.as_array_mut()).flatten();
    for question in questions {
        let clean = match question["type"].as_str() {
            Some("paragraph") => sanitiser::paragraph,
            Some("text") => sanitiser::line,
            _ => continue,
        };
        if let Some(Value::String(answer)) = question.get_mut("answer") {
            *answer = clean(answer);
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(question: &Value) -> Checked {
        check_content(&json!({ "sections": [{ "questions": [question] }] }))
    }

    #[test]
    fn the_kinds_of_question_are_accepted_in_their_documented_form() {
        let good = [
            json!({ "name": "a", "type": "text", "answer": "x" }),
            json!({ "name": "a", "type": "paragraph" }),
            json!({ "name": "a", "type": "date", "answer": "2026-11-20" }),
            json!({ "name": "a", "type": "checkboxes", "answers": [{ "value": null, "selected": true }, { "value": "b" }] }),
            json!({ "name": "a", "type": "radiobuttons", "other": { "enabled": true, "selected": true, "value": "c" } }),
        ];
        for question in good {
            assert_eq!(check(&question), Ok(()), "{question}");
        }
        assert_eq!(check_content(&Value::Null), Ok(()));
    }

    #[test]
    fn what_the_schema_forbids_is_refused() {
        let bad = [
            json!({ "type": "text" }),
            json!({ "name": "a" }),
            json!({ "name": "a", "type": "number", "answer": "1" }),
            json!({ "name": "a", "type": "text", "answer": "" }),
            json!({ "name": "a", "type": "text", "answer": null }),
            json!({ "name": "a", "type": "date", "answer": "20/11/2026" }),
            json!({ "name": "a", "type": "text", "answers": [] }),
            json!({ "name": "n".repeat(256), "type": "text" }),
            json!({ "name": "a", "type": "checkboxes", "answers": [] }),
            json!({ "name": "a", "type": "checkboxes", "answers": [{ "value": "b", "selected": false }] }),
            json!({ "name": "a", "type": "checkboxes", "other": { "enabled": false, "selected": true } }),
            json!({ "name": "a", "type": "radiobuttons", "answers": [
                { "value": "b", "selected": true }, { "value": "c", "selected": true }] }),
        ];
        for question in bad {
            assert!(check(&question).is_err(), "{question}");
        }
        for content in [json!({}), json!({ "sections": [] }), json!({ "sections": [{ "questions": [] }] })] {
            assert!(check_content(&content).is_err(), "{content}");
        }
    }
}
