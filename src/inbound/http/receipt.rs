//! What a sender of JSON, or of anything that has no acknowledgement of its own, is answered.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Serialize;

use crate::inbound::http::refusal::Refusal;
use crate::pipeline::intake::Answer;

/// A message that is kept, by the name under which the gateway's people find it.
#[derive(Serialize)]
struct Receipt<'a> {
    id: String,
    /// The sender's own name for it; empty where it gave none.
    control_id: &'a str,
    outcome: &'static str,
    /// The same bytes came before, and were answered so.
    repeated: bool,
}

/// 202 for what is kept and will be read; 200 for what was kept before; a problem for the rest.
pub(super) fn response(answer: &Answer) -> Response {
    if let Some(refusal) = Refusal::of(answer) {
        return refusal.as_problem();
    }
    let receipt = Receipt {
        id: answer.message.map(|it| it.to_string()).unwrap_or_default(),
        control_id: &answer.control_id,
        outcome: "accepted",
        repeated: answer.repeated,
    };
    let status = if answer.repeated { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, axum::Json(receipt)).into_response()
}
