//! What is refused at the door, before or after it is kept: a status and diagnostics, in the words of the face asked.

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2::acknowledgement::Outcome;
use crate::formats::problem;
use crate::formats::problem::Problem;
use crate::pipeline::intake::Answer;

/// After how many seconds a sender may try again.
pub(super) const RETRY_AFTER_S: &str = "30";

/// A refusal that is not yet written down.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, diagnostic: Diagnostic) -> Self {
        Self { status, diagnostics: vec![diagnostic] }
    }

    /// Of an answer that does not accept; none where it does.
    pub(super) fn of(answer: &Answer) -> Option<Self> {
        let status = status_of(answer);
        (!status.is_success()).then(|| Self { status, diagnostics: answer.diagnostics.clone() })
    }

    pub(super) fn as_problem(&self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Refused");
        let status = self.status.as_u16();
        let problem = match self.diagnostics.split_first() {
            None => Problem::new(status, title),
            Some((first, [])) => Problem::of(status, title, first),
            Some((first, _)) => Problem::of(status, title, first).with(self.diagnostics.clone()),
        };
        let body = serde_json::to_vec(&problem).expect("a problem has text keys and no failing serializer");
        (self.status, self.headers(), [(header::CONTENT_TYPE, problem::MEDIA_TYPE)], body).into_response()
    }

    /// What each face says beside the body.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
            }
            _ => {}
        }
        headers
    }
}

/// The status by which HTTP says what became of a message.
pub(super) fn status_of(answer: &Answer) -> StatusCode {
    let is = |code: &str| answer.diagnostics.iter().any(|it| it.code.as_str() == code);
    if answer.message.is_none() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match answer.outcome {
        Outcome::Accept if answer.repeated => StatusCode::OK,
        Outcome::Accept => StatusCode::CREATED,
        Outcome::Error if is("H108") => StatusCode::CONFLICT,
        Outcome::Error if is("F003") || is("F056") => StatusCode::PAYLOAD_TOO_LARGE,
        // What cannot be decoded is a bad request; what can, and is no message of results, is understood and refused.
        Outcome::Error if answer.diagnostics.iter().any(|it| is_syntax(it.code.as_str())) => {
            StatusCode::BAD_REQUEST
        }
        Outcome::Reject if is("H110") => StatusCode::FORBIDDEN,
        Outcome::Error | Outcome::Reject => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// The codes of the decoders, F001 to F049.
fn is_syntax(code: &str) -> bool {
    matches!(code.strip_prefix('F').and_then(|it| it.parse::<u16>().ok()), Some(1..=49))
}
