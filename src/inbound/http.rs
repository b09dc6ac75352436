//! The doors for laboratories on the HTTP listener: HL7 v2 and signed JSON at `/inbound/{feed}`, FHIR at `/fhir`.
//!
//! Who asks is settled first: by a token before the body is read, by a signature over it before it is parsed. Then the
//! body goes to [`Intake`], and what it says is rendered in the sender's own words. A success is told only of what was
//! flushed; a store that cannot be written is 503 and never less.
//!
//! | feed `kind` | address | known by |
//! | --- | --- | --- |
//! | `http` | `POST /inbound/{feed}` | HMAC over the body, a static token, an access token |
//! | `fhir` | `POST /fhir`, `/fhir/$process-message`, `/fhir/DiagnosticReport` | a static token, an access token |
//!
//! Start at [`router`].

mod body;
mod fhir;
mod guard;
mod hl7;
mod media;
mod openapi;
mod receipt;
mod refusal;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract;
use axum::extract::Path;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::MethodRouter;
use axum::routing::get;
use axum::routing::post;
use tokio::sync::Semaphore;

use self::body::BUDGET_UNIT_BYTES;
use self::media::Media;
use self::refusal::Refusal;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::feeds::Door as Kind;
use crate::pipeline::feeds::Feed;
use crate::pipeline::intake::Intake;
use crate::security::credentials::AccessTokens;
use crate::security::credentials::Assertions;
use crate::security::credentials::Client;
use crate::security::credentials::Signature;
use crate::security::credentials::StaticToken;

#[derive(Debug, Clone)]
pub struct Config {
    pub feeds: Vec<Guarded>,
    pub principals: Vec<Principal>,
    /// Where laboratories reach the listener; none: where it listens.
    pub public_url: Option<String>,
    pub body_bytes_max: usize,
    /// All bodies under way at the same time.
    pub bodies_bytes_max: usize,
}

/// A feed of this door, and what its laboratory proves itself by.
#[derive(Debug, Clone)]
pub struct Guarded {
    pub feed: Arc<Feed>,
    pub guard: Guard,
}

/// How a request is known to come from a feed's laboratory. A signature is asked for wherever there is one; a token
/// beside it too. The laboratory's access tokens serve where the feed has no signature.
#[derive(Debug, Clone)]
pub struct Guard {
    pub signature: Option<Signature>,
    pub token: Option<StaticToken>,
    /// Access tokens of its laboratory are taken.
    pub by_lab: bool,
    /// Anybody is taken; the configuration allows it on loopback listeners only.
    pub dangerous_none: bool,
}

/// A laboratory's program, which changes assertions for access tokens.
#[derive(Debug, Clone)]
pub struct Principal {
    pub lab: String,
    pub client: Client,
}

/// What the handlers work with.
#[derive(Debug)]
pub struct Door {
    config: Config,
    intake: Intake,
    tokens: AccessTokens,
    assertions: Assertions,
    /// Room for bodies under way.
    room: Semaphore,
    public_url: String,
}

impl Door {
    pub fn new(config: Config, intake: Intake, tokens: AccessTokens, listens: SocketAddr) -> Arc<Self> {
        let units = config.bodies_bytes_max.max(config.body_bytes_max).div_ceil(BUDGET_UNIT_BYTES);
        let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{listens}"));
        let (assertions, room) = (Assertions::default(), Semaphore::new(units));
        Arc::new(Self { config, intake, tokens, assertions, room, public_url })
    }

    fn named(&self, name: &str) -> Option<&Guarded> {
        self.config.feeds.iter().find(|it| it.feed.name == name && it.feed.door == Kind::Http)
    }
}

/// A route: its path, its method, and what answers.
type Route = (&'static str, &'static str, MethodRouter<Arc<Door>>);

/// Every route, as the description for laboratories has them.
fn routes() -> [Route; 7] {
    [
        ("/inbound/openapi.json", "get", get(openapi::document)),
        ("/inbound/{feed}", "post", post(inbound)),
        ("/fhir", "post", post(fhir::bundle)),
        ("/fhir/$process-message", "post", post(fhir::message)),
        ("/fhir/DiagnosticReport", "post", post(fhir::report)),
        ("/fhir/token", "post", post(token::issue)),
        ("/.well-known/smart-configuration", "get", get(token::configuration)),
    ]
}

/// The routes of this door, two of them under a second spelling.
pub fn router(door: Arc<Door>) -> Router {
    let again = Router::new()
        .route("/fhir/", post(fhir::bundle))
        .route("/fhir/.well-known/smart-configuration", get(token::configuration));
    routes().into_iter().fold(again, |router, (path, _, answer)| router.route(path, answer)).with_state(door)
}

/// A message for a feed that its address names.
async fn inbound(
    extract::State(door): extract::State<Arc<Door>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    match receive(&door, &name, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.as_problem(),
    }
}

async fn receive(door: &Door, name: &str, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let guarded = door.named(name).ok_or_else(guard::unknown)?;
    guarded.check_tokens(door, &parts.headers)?;
    let media = Media::of(&parts.headers).ok_or_else(unsupported)?;
    let body = door.read(&parts.headers, body).await?;
    guarded.check_signature(door, &parts.headers, &body)?;
    let answer = door.intake.receive_body(&guarded.feed, &body).await;
    Ok(if media.is_hl7() {
        hl7::response(&answer, media)
    } else {
        receipt::response(&answer).into_response()
    })
}

fn unsupported() -> Refusal {
    Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Diagnostic::error(Code::new("W122"), "the body is of a media type that is not taken here").help(
            "declare `Content-Type: application/hl7-v2` (or application/hl7-v2+xml), application/json, \
             application/fhir+json or application/fhir+xml, text/csv",
        ),
    )
}
