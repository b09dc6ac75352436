//! The control listener: what tests read and turn. No client of Cliniko's ever sees it.

use hyper::StatusCode;
use hyper::body::Bytes;
use jiff::SignedDuration;
use serde_json::Value;
use serde_json::json;

use crate::simulator::cliniko::FaultRule;
use crate::simulator::cliniko::journal::Entry;
use crate::simulator::cliniko::policy::sha256;
use crate::simulator::cliniko::records::Resource;
use crate::simulator::cliniko::records::Row;
use crate::simulator::cliniko::records::stamp;
use crate::simulator::cliniko::seed::complete;
use crate::simulator::cliniko::wire::Received;
use crate::simulator::cliniko::wire::Reply;
use crate::simulator::cliniko::wire::Sent;
use crate::simulator::cliniko::world::State;
use crate::simulator::cliniko::world::World;

pub(super) fn answer(world: &World, received: &Received) -> Sent {
    let segments = received.segments();
    let reply = match (received.method.as_str(), segments.as_slice()) {
        ("GET", ["requests"]) => found(&json!(requests(world))),
        ("GET", ["forbidden"]) => found(&json!(forbidden(world))),
        ("GET", ["violations"]) => found(&json!(world.state().0.journal.violations())),
        ("GET", ["records"]) => found(&records(world)),
        ("GET", ["records", "attachments", id, "content"]) => content(&world.state().0, id),
        ("GET", ["faults"]) => found(&json!(world.state().0.faults.listed())),
        ("DELETE", ["faults"]) => {
            world.state().0.faults.clear();
            Reply::empty(StatusCode::NO_CONTENT)
        }
        ("POST", ["faults"]) => with_body(received, |body| add_faults(world, body)),
        ("POST", ["records", "patients"]) => with_body(received, |body| add_patients(world, body)),
        ("POST", ["records", list, id]) => with_body(received, |body| change(world, list, id, &body)),
        ("POST", ["clock"]) => with_body(received, |body| advance(world, &body)),
        _ => Reply::empty(StatusCode::NOT_FOUND),
    };
    reply.into()
}

pub(super) fn requests(world: &World) -> Vec<Value> {
    world.state().0.journal.requests().iter().map(|entry| json!(entry)).collect()
}

pub(super) fn forbidden(world: &World) -> Vec<Value> {
    let shown = |entry: &Entry| json!(entry);
    world.state().0.journal.forbidden().iter().map(shown).collect()
}

pub(super) fn records(world: &World) -> Value {
    let (state, _) = world.state();
    let plain = |resource: Resource| -> Vec<Value> {
        state.tables.rows(resource).iter().map(|row| Value::Object(row.fields.clone())).collect()
    };
    let attachments: Vec<Value> =
        state.tables.rows(Resource::Attachments).iter().map(|row| attachment(&state, row)).collect();
    json!({
        "patients": plain(Resource::Patients),
        "patient_attachments": attachments,
        "treatment_notes": plain(Resource::Notes),
    })
}

/// A file with the digest and size of the bytes that are really there, processed or not.
fn attachment(state: &State, row: &Row) -> Value {
    let mut fields = row.fields.clone();
    let content = state.content(row.text("id"));
    fields.insert("sha256".to_owned(), json!(content.map(|content| sha256(content))));
    fields.insert("size".to_owned(), json!(content.map(Bytes::len)));
    fields.insert("archived".to_owned(), json!(!row.is_null("archived_at")));
    Value::Object(fields)
}

fn content(state: &State, id: &str) -> Reply {
    match state.content(id) {
        Some(content) => Reply::typed(StatusCode::OK, "application/octet-stream", content.clone()),
        None => Reply::empty(StatusCode::NOT_FOUND),
    }
}

fn found(body: &Value) -> Reply {
    Reply::json(StatusCode::OK, body)
}

fn with_body(received: &Received, act: impl FnOnce(Value) -> Option<Reply>) -> Reply {
    let reply = serde_json::from_slice(&received.body).ok().and_then(act);
    reply.unwrap_or_else(|| {
        let body = json!({ "message": "the body does not have the shape this call takes" });
        Reply::json(StatusCode::BAD_REQUEST, &body)
    })
}

/// One thing or an array of them.
fn several(body: Value) -> Vec<Value> {
    match body {
        Value::Array(items) => items,
        one => vec![one],
    }
}

fn add_faults(world: &World, body: Value) -> Option<Reply> {
    let rules: Vec<FaultRule> =
        several(body).into_iter().map(serde_json::from_value).collect::<Result<_, _>>().ok()?;
    let (mut state, _) = world.state();
    for rule in rules {
        state.faults.add(rule);
    }
    Some(Reply::json(StatusCode::CREATED, &json!(state.faults.listed())))
}

/// New patients; one without an id gets the next.
fn add_patients(world: &World, body: Value) -> Option<Reply> {
    let given = several(body).into_iter().map(|patient| match patient {
        Value::Object(fields) if fields.get("id").is_none_or(Value::is_string) => Some(fields),
        _ => None,
    });
    let given: Vec<_> = given.collect::<Option<_>>()?;
    let (mut state, now) = world.state();
    let mut ids = Vec::new();
    for mut fields in given {
        let id = match fields.get("id").and_then(Value::as_str) {
            Some(id) if state.tables.find(Resource::Patients, id).is_some() => return None,
            Some(id) => id.to_owned(),
            None => state.mint(),
        };
        fields.insert("id".to_owned(), json!(id));
        ids.push(id);
        let row = Row::new(complete(Resource::Patients, fields, &stamp(now)));
        state.tables.rows_mut(Resource::Patients).push(row);
    }
    Some(Reply::json(StatusCode::CREATED, &json!({ "ids": ids })))
}

/// Lays the given fields over a record of any list: a patient's name, a user's `user_active`.
fn change(world: &World, list: &str, id: &str, body: &Value) -> Option<Reply> {
    let (mut state, now) = world.state();
    let row = state.tables.find_mut(Resource::from_path(list)?, id)?;
    let mut fields = body.as_object()?.clone();
    fields.remove("id");
    if let Some(number) = fields.remove("nhs_number") {
        let given = [("nhs_number".to_owned(), number)].into_iter().collect();
        let completed = complete(Resource::Patients, given, "");
        fields.insert("custom_fields".to_owned(), completed.get("custom_fields")?.clone());
    }
    row.fields.extend(fields);
    row.set("updated_at", stamp(now));
    Some(found(&Value::Object(row.fields.clone())))
}

fn advance(world: &World, body: &Value) -> Option<Reply> {
    let by = SignedDuration::from_millis(body["advance_ms"].as_i64()?);
    world.state().0.advance(by);
    Some(found(&json!({ "now": world.state().1.to_string() })))
}
