//! Whether the gateway lives, and whether it can take work.

use axum::extract;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::diagnostic::Diagnostic;
use crate::http::State;
use crate::pipeline::mappings::Failure;

/// Problems named in one answer.
const TOLD_MAX: usize = 5;

/// The process answers.
pub(super) async fn live() -> Response {
    axum::Json(json!({ "status": "live" })).into_response()
}

/// The store takes changes; without it no message can be acknowledged.
pub(super) async fn ready(extract::State(state): extract::State<State>) -> Response {
    if !state.pipeline.store.is_writable() {
        let body = json!({ "status": "not ready", "why": "the store takes no changes" });
        return (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response();
    }
    // The mappings from before serve well, so nothing is kept from coming in; but a person must act.
    let body = match state.pipeline.mappings.failure() {
        Some(failure) => json!({ "status": "degraded", "why": degraded(&failure) }),
        None => json!({ "status": "ready" }),
    };
    axum::Json(body).into_response()
}

/// Codes and places only: whoever asks need not be signed in.
fn degraded(failure: &Failure) -> String {
    let place = |it: &Diagnostic| match &it.span {
        Some(span) => format!("{} in {}:{}", it.code, span.file, span.line),
        None => it.code.to_string(),
    };
    let mut told: Vec<String> = failure.diagnostics.iter().take(TOLD_MAX).map(place).collect();
    if failure.diagnostics.len() > TOLD_MAX {
        told.push(format!("{} more", failure.diagnostics.len() - TOLD_MAX));
    }
    format!("changed mappings cannot serve, so those from before do: {}", told.join(", "))
}
