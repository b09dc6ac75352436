//! The mappings that serve, loading them anew, and those that ever served, with the text of their files.

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use serde_json::Value;
use serde_json::json;

use crate::diagnostic::Diagnostic;
use crate::diagnostic::MissingRow;
use crate::http::admin;
use crate::http::admin::Refusal;
use crate::pipeline::feeds::Feeds;
use crate::pipeline::holds;
use crate::pipeline::holds::By;
use crate::pipeline::mappings;
use crate::pipeline::mappings::Failure;
use crate::pipeline::mappings::Loaded;
use crate::pipeline::mappings::Reloaded;
use crate::pipeline::mappings::Source;
use crate::pipeline::mappings::Swap;
use crate::pipeline::records::mapping;

/// The shortest beginning of a digest that may stand for all of it.
const BEGINNING_CHARS_MIN: usize = 8;

pub(super) async fn list(State(state): State<admin::State>) -> Result<Json<Value>, Refusal> {
    admin::blocking(move || Ok(Json(json!(mapping::list(&state.store, "")?)))).await
}

/// One mapping, by its digest or the beginning of it.
pub(super) async fn show(
    State(state): State<admin::State>,
    Path(beginning): Path<String>,
) -> Result<Json<Value>, Refusal> {
    if beginning.len() < BEGINNING_CHARS_MIN {
        let words = format!("a digest is asked for by its first {BEGINNING_CHARS_MIN} characters or more");
        return Err(Refusal::Unusable(words));
    }
    admin::blocking(move || {
        let found = mapping::list(&state.store, &beginning)?;
        let digest = match found.as_slice() {
            [only] => &only.digest,
            [] => return Err(Refusal::NotFound("no mapping of this digest was ever loaded")),
            _ => return Err(Refusal::Conflict("several digests begin so")),
        };
        let remembered = mapping::load(&state.store, digest)?;
        let remembered = remembered.ok_or(Refusal::NotFound("no mapping of this digest was ever loaded"))?;
        let mapping::Remembered { lab, since, files } = remembered;
        Ok(Json(json!({ "digest": digest, "lab": lab, "since": since, "files": files })))
    })
    .await
}

/// What serves, and whether the files are otherwise by now.
pub(super) async fn active(State(state): State<admin::State>) -> Result<Json<Value>, Refusal> {
    let pipeline = state.running.ok_or(NOT_RUNNING)?;
    admin::blocking(move || {
        let (loaded, failure) = (pipeline.mappings.loaded(), pipeline.mappings.failure());
        let mut document = document(pipeline.mappings.source(), &loaded, &pipeline.feeds, failure.as_deref());
        document["running"] = json!(true);
        document["loaded_at"] = json!(loaded.at);
        for part in document["parts"].as_array_mut().into_iter().flatten() {
            let name = part["part"].as_str().unwrap_or_default();
            part["loaded_at"] = json!(loaded.parts.get(name).map(|it| it.since));
        }
        Ok(Json(document))
    })
    .await
}

const NOT_RUNNING: Refusal = Refusal::Conflict("no gateway runs on this store");

/// What is told of mappings that serve, or that would if a gateway ran.
pub fn document(source: &Source, loaded: &Loaded, feeds: &Feeds, failure: Option<&Failure>) -> Value {
    let parts = loaded.parts.iter().map(|(name, part)| {
        let lab = name.strip_prefix("labs/");
        let feeds = feeds.iter().filter(|it| lab == Some(it.mapping.as_str())).map(|it| it.name.as_str());
        json!({ "part": name, "digest": part.digest, "loaded_at": null, "feeds": feeds.collect::<Vec<_>>() })
    });
    let (differ, problems): (Vec<String>, Vec<Diagnostic>) = match source.files() {
        Ok(files) => (loaded.differs(&files).into_iter().map(str::to_owned).collect(), Vec::new()),
        Err(problems) => (Vec::new(), problems),
    };
    json!({
        "running": false,
        "directory": source.directory,
        "loaded_at": null,
        "parts": parts.collect::<Vec<_>>(),
        "disk": { "differs": !differ.is_empty() || !problems.is_empty(), "files": differ, "diagnostics": problems },
        "failed": failure.map(|it| json!({ "at": it.at, "diagnostics": it.diagnostics })),
    })
}

/// Loads the files as they are now. Once begun it goes to its end, whether or not whoever asked still waits.
pub(super) async fn reload(State(state): State<admin::State>) -> Result<Json<Value>, Refusal> {
    let pipeline = state.running.ok_or(NOT_RUNNING)?;
    let directory = pipeline.mappings.source().directory.clone();
    let reloading = tokio::spawn(async move { mappings::reload(&pipeline, By::OPERATOR.actor).await });
    let (result, swapped, diagnostics) = match reloading.await.expect("loading mappings does not panic")? {
        Reloaded::Refused(diagnostics) => ("refused", Vec::new(), diagnostics),
        Reloaded::Swapped(swaps) => ("swapped", swaps, Vec::new()),
        Reloaded::Unchanged => ("unchanged", Vec::new(), Vec::new()),
    };
    let swapped: Vec<Value> = swapped
        .into_iter()
        .map(|Swap { part, from, to }| json!({ "part": part, "from": from, "to": to }))
        .collect();
    Ok(Json(json!({
        "result": result, "directory": directory, "swapped": swapped, "diagnostics": diagnostics,
    })))
}

/// The held messages that wait for a row of a table.
pub(super) async fn waiting(
    State(state): State<admin::State>,
    Json(row): Json<MissingRow>,
) -> Result<Json<Value>, Refusal> {
    admin::blocking(move || Ok(Json(json!({ "messages": holds::waiting_for(&state.store, &row)? })))).await
}
