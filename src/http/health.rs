//! Whether the gateway lives, and whether it can take work.

use axum::extract;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::http::State;

/// The process answers.
pub(super) async fn live() -> Response {
    axum::Json(json!({ "status": "live" })).into_response()
}

/// The store takes changes; without it no message can be acknowledged.
pub(super) async fn ready(extract::State(state): extract::State<State>) -> Response {
    if state.pipeline.store.is_writable() {
        axum::Json(json!({ "status": "ready" })).into_response()
    } else {
        let body = json!({ "status": "not ready", "why": "the store takes no changes" });
        (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
    }
}
