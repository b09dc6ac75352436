//! What a handler is given: who asks, whom the path names, and a body that was read strictly.
//!
//! The session is checked before anything else is read (Mirth's lesson: authenticate before parsing). A body is JSON
//! of exactly the declared fields; an error names a place and a field, never a value.

use std::str::FromStr;
use std::time::Duration;

use axum::RequestExt;
use axum::body::Bytes;
use axum::extract::FromRequest;
use axum::extract::FromRequestParts;
use axum::extract::Path;
use axum::extract::Query;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::http::State;
use crate::http::problem::Refused;
use crate::pipeline::review;
use crate::pipeline::sessions;
use crate::pipeline::sessions::Actor;
use crate::pipeline::sessions::Clinician;

/// A body that does not come within this time is not waited for.
const BODY_READ: Duration = Duration::from_secs(30);
/// The media type of bodies.
const JSON: &str = "application/json";

/// Somebody with a living session.
pub(super) struct SignedIn(pub Actor);

impl FromRequestParts<State> for SignedIn {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refused> {
        let token = bearer(&parts.headers).ok_or_else(Refused::not_signed_in)?;
        Ok(Self(state.sessions.check(token)?))
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1); it is taken from nowhere else.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (scheme, token) = values.next()?.to_str().ok()?.split_once(' ')?;
    (values.next().is_none() && scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim())
}

/// Somebody with a living session who is a clinician. An attempt by anybody else is in the audit chain.
pub(super) struct ByClinician(pub Clinician);

impl FromRequestParts<State> for ByClinician {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refused> {
        let SignedIn(actor) = SignedIn::from_request_parts(parts, state).await?;
        match actor.clone().clinician() {
            Ok(clinician) => Ok(Self(clinician)),
            Err(sessions::Error::Forbidden) => {
                // Paths hold ids and nothing else.
                let asked = format!("{} {}", parts.method, parts.uri.path());
                review::record_refusal(&state.pipeline, &actor, &asked).await?;
                Err(Refused::forbidden("clinician"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The one id in the path. What is no id names nothing.
pub(super) struct Named<T>(pub T);

impl<T: FromStr + Send> FromRequestParts<State> for Named<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refused> {
        let Path(text) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|_| Refused::not_found())?;
        text.parse().map(Self).map_err(|_| Refused::not_found())
    }
}

/// The query, of exactly the declared parameters.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<State> for Asked<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refused> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(_) => Err(Refused::new(
                StatusCode::BAD_REQUEST,
                &Diagnostic::error(Code::new("W109"), "the query has a parameter this address does not take")
                    .help("/api/v1/openapi.json shows the parameters of each address"),
            )),
        }
    }
}

/// A JSON body.
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<State> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &State) -> Result<Self, Refused> {
        if !is_json(request.headers()) {
            return Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &Diagnostic::error(Code::new("W107"), "the body is not declared as JSON")
                    .help("send `Content-Type: application/json`"),
            ));
        }
        let body = tokio::time::timeout(BODY_READ, request.with_limited_body().extract::<Bytes, _>());
        let body = match body.await {
            Ok(Ok(body)) => body,
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let max = state.body_bytes_max;
                return Err(Refused::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    &Diagnostic::error(Code::new("W106"), format!("the body has more than {max} bytes"))
                        .help("send less, or raise `http.body_bytes_max` in the configuration"),
                ));
            }
            Ok(Err(_)) => return Err(Refused::bad_request("the body ended early")),
            Err(_) => return Err(Refused::bad_request("the body did not come in time")),
        };
        serde_json::from_slice(&body).map(Self).map_err(|error| refuse(&error))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let declared =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(JSON))
}

/// serde's own text may quote a value, so only its kind and place are told, and of names only those of fields.
fn refuse(error: &serde_json::Error) -> Refused {
    let place = format!("line {}, column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => {
            let text = error.to_string();
            let told = ["unknown field", "missing field", "duplicate field"].into_iter().find_map(|kind| {
                let name = text.strip_prefix(kind)?.trim_start().strip_prefix('`')?.split('`').next()?;
                let is_name = name.len() <= 64
                    && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                Some(if is_name { format!("{kind} `{name}`") } else { kind.to_owned() })
            });
            let told = told.unwrap_or_else(|| "a field has a value of another type than it takes".to_owned());
            Refused::unprocessable(format!("the body does not fit this address: {told}, at {place}"))
        }
        Category::Eof | Category::Io | Category::Syntax => {
            Refused::bad_request(format!("the body is not JSON: it breaks at {place}"))
        }
    }
}
