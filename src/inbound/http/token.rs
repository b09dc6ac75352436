//! SMART backend services: a signed assertion is changed for an access token (RFC 6749 §4.4, RFC 7523 §2.2).

use std::sync::Arc;

use axum::extract;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde_json::json;

use crate::inbound::http::Door;
use crate::inbound::http::guard;
use crate::security::credentials::AccessTokens;
use crate::security::credentials::AssertionError;
use crate::telemetry::Chain;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// A form with one assertion is far smaller.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// `POST /fhir/token`.
pub(super) async fn issue(extract::State(door): extract::State<Arc<Door>>, request: Request) -> Response {
    let form = guard::only(request.headers(), header::CONTENT_TYPE.as_str())
        .is_some_and(|it| it.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    let Ok(body) = axum::body::to_bytes(request.into_body(), FORM_BYTES_MAX).await else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request");
    };
    let (true, Ok(text)) = (form, std::str::from_utf8(&body)) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request");
    };
    if field(text, "grant_type").as_deref() != Some("client_credentials") {
        return refuse(StatusCode::BAD_REQUEST, "unsupported_grant_type");
    }
    let assertion = field(text, "client_assertion");
    let (Some(ASSERTION_TYPE), Some(assertion)) =
        (field(text, "client_assertion_type").as_deref(), assertion)
    else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request");
    };
    // A client may ask for nothing, or for a list that holds what it may do; it is told what it got (RFC 6749 §3.3).
    let asked = field(text, "scope").unwrap_or_default();
    if !asked.trim().is_empty() && !asked.split_whitespace().any(grants_create) {
        return refuse(StatusCode::BAD_REQUEST, "invalid_scope");
    }
    grant(&door, &assertion)
}

fn grant(door: &Door, assertion: &str) -> Response {
    let now = door.intake.now();
    let clients = door.config.principals.iter().map(|it| &it.client);
    let client = match door.assertions.check(clients, assertion, &door.token_url(), now) {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "refused a client assertion");
            let told = match error {
                AssertionError::Expired | AssertionError::NoUsableKey | AssertionError::Refused => "S113",
                AssertionError::Replayed => "S114",
            };
            return refuse_because(StatusCode::UNAUTHORIZED, "invalid_client", told);
        }
    };
    let lab = door.config.principals.iter().find(|it| it.client.id == client.id).map(|it| it.lab.as_str());
    match door.tokens.issue(lab.unwrap_or_default(), now) {
        Ok(token) => axum::Json(json!({
            "access_token": token,
            "token_type": "bearer",
            "expires_in": AccessTokens::LIFE.as_secs(),
            "scope": AccessTokens::SCOPE,
        }))
        .into_response(),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "could not make an access token");
            refuse(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
        }
    }
}

/// Whether a SMART scope (v1 or v2) asks to create something a laboratory may create.
fn grants_create(scope: &str) -> bool {
    let Some((kind, rights)) = scope.strip_prefix("system/").and_then(|it| it.split_once('.')) else {
        return false;
    };
    let kinds = ["*", "Bundle", "DiagnosticReport"];
    let may =
        rights == "write" || rights == "*" || rights.split('?').next().is_some_and(|it| it.contains('c'));
    kinds.contains(&kind) && may
}

impl Door {
    /// The audience of assertions.
    fn token_url(&self) -> String {
        format!("{}/fhir/token", self.public_url)
    }
}

/// `GET /.well-known/smart-configuration`.
pub(super) async fn configuration(extract::State(door): extract::State<Arc<Door>>) -> Response {
    axum::Json(json!({
        "issuer": format!("{}/fhir", door.public_url),
        "token_endpoint": door.token_url(),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "scopes_supported": [AccessTokens::SCOPE],
        "response_types_supported": ["token"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v2"],
    }))
    .into_response()
}

/// OAuth's own shape of an error (RFC 6749 §5.2).
fn refuse(status: StatusCode, error: &str) -> Response {
    (status, axum::Json(json!({ "error": error }))).into_response()
}

fn refuse_because(status: StatusCode, error: &str, code: &str) -> Response {
    let description = match code {
        "S114" => "S114: this assertion was used before; make a new one with another jti for each request",
        _ => {
            "S113: the assertion is not one of this client's for this address and time: RS384 or ES384, \
              iss = sub = client id, aud = token endpoint, exp within five minutes, a jti"
        }
    };
    (status, axum::Json(json!({ "error": error, "error_description": description }))).into_response()
}

/// One field of a form; none where it stands twice.
fn field(form: &str, name: &str) -> Option<String> {
    let mut values = form.split('&').filter_map(|it| it.split_once('=')).filter(|(key, _)| *key == name);
    let (_, value) = values.next()?;
    if values.next().is_some() {
        return None;
    }
    crate::formats::fhir::incoming::percent_decoded(value)
}
