//! Whether a request comes from the laboratory of a feed.
//!
//! What a stranger hears is the same for a feed that is not there, a missing credential and a wrong one; which it was
//! is in the log. A laboratory that is known and asks for another's feed hears 403.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::inbound::http::Door;
use crate::inbound::http::Guarded;
use crate::inbound::http::Kind;
use crate::inbound::http::refusal::Refusal;
use crate::pipeline::feeds::Feed;
use crate::security::credentials::SignatureError;

/// No feed, no credential, or a wrong one.
pub(super) fn unknown() -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        Diagnostic::error(
            Code::new("S110"),
            "the request does not prove that it comes from a feed's laboratory",
        )
        .help("check the feed's name, and send what the operator agreed with you: a signature or a token"),
    )
}

fn stale() -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        Diagnostic::error(
            Code::new("S111"),
            "the request is rightly signed, and was sent too long ago or bears no date",
        )
        .help("check the clock of the sending system, and sign each request when it is sent"),
    )
}

fn not_theirs() -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        Diagnostic::error(Code::new("S112"), "this token is another laboratory's")
            .help("send with the token of the laboratory that the feed belongs to"),
    )
}

impl Guarded {
    /// Checks what can be checked before the body is read.
    pub(super) fn check_tokens(&self, door: &Door, headers: &HeaderMap) -> Result<(), Refusal> {
        let guard = &self.guard;
        let asks_for_token = guard.token.is_some() || (guard.signature.is_none() && guard.by_lab);
        if !asks_for_token {
            let open = guard.signature.is_some() || guard.dangerous_none;
            return if open { Ok(()) } else { Err(unknown()) };
        }
        let Some(token) = bearer(headers) else { return Err(self.refused("no token")) };
        if guard.token.as_ref().is_some_and(|own| own.is(token)) {
            return Ok(());
        }
        match door.tokens.check(token, door.intake.now()) {
            Ok(lab) if lab != self.feed.lab => Err(not_theirs()),
            Ok(_) if guard.by_lab => Ok(()),
            Ok(_) | Err(_) => Err(self.refused("a wrong or expired token")),
        }
    }

    /// Checks the body's signature, where the feed asks for one.
    pub(super) fn check_signature(
        &self,
        door: &Door,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let Some(signature) = &self.guard.signature else { return Ok(()) };
        match signature.check(|name| only(headers, name), body, door.intake.now()) {
            Ok(()) => Ok(()),
            Err(SignatureError::Missing) => Err(self.refused("no signature")),
            Err(SignatureError::Wrong) => Err(self.refused("a wrong signature")),
            Err(SignatureError::Stale | SignatureError::Undated) => {
                tracing::warn!(feed = self.feed.name, "refused a request that is stale or undated");
                Err(stale())
            }
        }
    }

    fn refused(&self, why: &'static str) -> Refusal {
        tracing::warn!(feed = self.feed.name, why, "refused a request without the feed's credentials");
        unknown()
    }
}

impl Door {
    /// The FHIR feed a request is for: the one its token is of, else the one of its token's laboratory, else the one
    /// that takes anybody.
    pub(super) fn fhir_feed(&self, headers: &HeaderMap) -> Result<Arc<Feed>, Refusal> {
        let feeds = || self.config.feeds.iter().filter(|it| it.feed.door == Kind::Fhir);
        let Some(token) = bearer(headers) else {
            let open = feeds().find(|it| it.guard.dangerous_none);
            return open.map(|it| Arc::clone(&it.feed)).ok_or_else(unknown);
        };
        if let Some(own) = feeds().find(|it| it.guard.token.as_ref().is_some_and(|own| own.is(token))) {
            return Ok(Arc::clone(&own.feed));
        }
        let lab = self.tokens.check(token, self.intake.now()).map_err(|_| {
            tracing::warn!("refused a FHIR request with a wrong or expired token");
            unknown()
        })?;
        let of_lab = feeds().find(|it| it.guard.by_lab && it.guard.token.is_none() && it.feed.lab == lab);
        of_lab.map(|it| Arc::clone(&it.feed)).ok_or_else(not_theirs)
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1); it is taken from nowhere else.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = only(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of a header that stands once.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
