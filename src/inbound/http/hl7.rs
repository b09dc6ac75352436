//! HL7 v2 over HTTP: the acknowledgement is the body, and the status says the same (HAPI's draft, section 2.5).
//!
//! | acknowledgement | status |
//! | --- | --- |
//! | `AA`, `CA` | 200 |
//! | `AE`, `CE` | 500: cannot be read, or its control id was used for other content |
//! | `AR`, `CR` | 400: not for us; 403 where it claims another's name |
//! | `AE`, `AR` as the feed says | 503 with `Retry-After`: the store cannot be written, nothing was kept |
//! | none is owed | 204 |

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::formats::hl7v2::acknowledgement::Outcome;
use crate::inbound::http::media::Media;
use crate::inbound::http::refusal;
use crate::pipeline::intake::Answer;

/// The media type of an acknowledgement to XML.
const ER7: &str = "application/hl7-v2";

/// The acknowledgement as it is, in the words the sender used.
pub(super) fn response(answer: &Answer, media: Media) -> Response {
    let status = status(answer);
    let mut headers = HeaderMap::new();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(refusal::RETRY_AFTER_S));
    }
    let name = match media {
        Media::Er7(name) => name,
        // An acknowledgement is written in ER7, whichever encoding the message had.
        Media::Hl7Xml(_) => ER7,
        _ => return status.into_response(),
    };
    match &answer.bytes {
        None => (if status.is_success() { StatusCode::NO_CONTENT } else { status }, headers).into_response(),
        Some(bytes) => (status, headers, [(header::CONTENT_TYPE, name)], bytes.clone()).into_response(),
    }
}

fn status(answer: &Answer) -> StatusCode {
    match (refusal::status_of(answer), answer.outcome) {
        (unavailable @ StatusCode::SERVICE_UNAVAILABLE, _) => unavailable,
        (forbidden @ StatusCode::FORBIDDEN, _) => forbidden,
        (_, Outcome::Accept) => StatusCode::OK,
        (_, Outcome::Error) => StatusCode::INTERNAL_SERVER_ERROR,
        (_, Outcome::Reject) => StatusCode::BAD_REQUEST,
    }
}
