//! The journey of one message: what arrived, what was made of it, who did what with it.
//!
//! Ids, states and diagnostics only; results and patients stay in the store.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::audit::Entry;
use crate::http::admin;
use crate::http::admin::Refusal;
use crate::http::admin::messages;
use crate::pipeline::records::case;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::message;
use crate::pipeline::records::report;
use crate::store;
use crate::store::Store;
use crate::store::trail;

/// Entries are in the order of commits; their times may differ from it by this much.
const TIME_SLACK: SignedDuration = SignedDuration::from_mins(10);
/// Entries read at once.
const PAGE_ENTRIES: usize = 1_000;

pub(super) async fn show(
    State(state): State<admin::State>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let id = messages::id_of(&id)?;
    admin::blocking(move || {
        let (standing, message) = messages::load(&state, id)?.ok_or(Refusal::NotFound("there is no such message"))?;
        let mut document = messages::header(id, &standing, &message);
        let (mut reports, mut cases) = (Vec::new(), Vec::new());
        for (key, clinic, report) in report::of_message(&state.store, id, &standing)? {
            let lineage = report::lineage(&report);
            reports.push(json!({ "id": key.to_string(), "clinic": clinic, "lineage": lineage, "status": report.status }));
            cases.extend(case::of_lineage(&state.store, &clinic, &lineage)?.into_iter().filter(|it| it.case.report == key));
        }
        let mut objects: BTreeSet<String> = cases.iter().map(|it| it.case.id.to_string()).collect();
        objects.insert(id.to_string());
        document["mapping"] = json!(standing.mapping);
        document["diagnostics"] = json!(message::diagnostics(&state.store, id, &standing.scope())?);
        if standing.discarded.is_some() {
            document["discard_reason"] = json!(message::reason(&state.store, id, &standing.scope())?);
        }
        document["reports"] = json!(reports);
        document["cases"] = cases.iter().map(case_line).collect();
        document["audit"] = json!(entries_about(&state.store, message.header.received_at, &objects)?);
        Ok(Json(document))
    })
    .await
}

fn case_line(it: &Stored) -> Value {
    json!({
        "id": it.case.id, "clinic": it.case.clinic, "report": it.case.report.to_string(), "version": it.case.version,
        "state": it.standing.state.as_str(), "urgency": it.standing.urgency,
    })
}

/// The audit entries about some objects, from the time the first of them can have.
fn entries_about(
    store: &Store,
    since: Timestamp,
    objects: &BTreeSet<String>,
) -> Result<Vec<Entry>, store::Error> {
    let backend = store.backend();
    let mut next = first_since(store, since.checked_sub(TIME_SLACK).unwrap_or(since))?;
    let mut found = Vec::new();
    loop {
        let page = trail::entries(backend, next, PAGE_ENTRIES)?;
        let Some((last, _)) = page.last() else { return Ok(found) };
        next = last + 1;
        found
            .extend(page.into_iter().map(|(_, entry)| entry).filter(|entry| objects.contains(&entry.object)));
    }
}

/// The number of the first entry at or after a time, by halving: entries are in the order of time.
fn first_since(store: &Store, since: Timestamp) -> Result<u64, store::Error> {
    let backend = store.backend();
    let Some((last, _)) = trail::latest(backend, None, 1)?.into_iter().next() else { return Ok(0) };
    let (mut low, mut high) = (0, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match trail::entries(backend, middle, 1)?.first() {
            Some((_, entry)) if entry.at < since => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
