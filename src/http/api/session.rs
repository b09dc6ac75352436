//! Signing in and out.

use axum::extract;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::clinical::model::Sensitive;
use crate::http::State;
use crate::http::extract::Json;
use crate::http::extract::SignedIn;
use crate::http::problem::Refused;

/// Longer addresses and passwords are nobody's; a password this long is not hashed.
const CREDENTIAL_BYTES_MAX: usize = 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    email: Sensitive<String>,
    password: Sensitive<String>,
}

/// Opens a session. The answer to a wrong address and to a wrong password is the same, and takes as long.
pub(super) async fn open(
    extract::State(state): extract::State<State>,
    Json(Credentials { email, password }): Json<Credentials>,
) -> Result<axum::Json<Value>, Refused> {
    if email.expose().len().max(password.expose().len()) > CREDENTIAL_BYTES_MAX {
        return Err(Refused::not_signed_in());
    }
    let _turn = state.sign_ins.acquire().await.expect("the semaphore is never closed");
    let (token, expires_at) = state.sessions.sign_in(email.expose(), password.expose()).await?;
    Ok(axum::Json(json!({ "token": token, "expires_at": expires_at.to_string() })))
}

/// Ends the caller's session: from the answer on, its token is refused.
pub(super) async fn end(
    extract::State(state): extract::State<State>,
    SignedIn(actor): SignedIn,
) -> Result<StatusCode, Refused> {
    state.sessions.end(&actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
