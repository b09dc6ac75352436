//! FHIR R4 from laboratories: Bundles at `/fhir`, messages at `/fhir/$process-message`, single reports.
//!
//! What is posted is kept whole, as one message, before anything is answered; a Bundle is therefore done or refused as
//! one, also a batch. The answer is a transaction-response, a batch-response, a message's response, or 201 with the
//! place; a refusal is an OperationOutcome. Written in JSON or XML, as asked for.

mod answer;

use std::sync::Arc;

use axum::extract;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;

use self::answer::Answered;
use self::answer::Writer;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::fhir::incoming;
use crate::formats::fhir::incoming::Incoming;
use crate::formats::fhir::incoming::Kind;
use crate::formats::tree::Node;
use crate::inbound::http::Door;
use crate::inbound::http::guard;
use crate::inbound::http::media::FhirFormat;
use crate::inbound::http::refusal::Refusal;
use crate::pipeline::intake::tree;

/// Which address was posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Address {
    Base,
    ProcessMessage,
    Report,
}

impl Address {
    const fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Base => !matches!(kind, Kind::Resource),
            Self::ProcessMessage => matches!(kind, Kind::Message),
            Self::Report => matches!(kind, Kind::Resource),
        }
    }
}

/// `POST /fhir`.
pub(super) async fn bundle(extract::State(door): extract::State<Arc<Door>>, request: Request) -> Response {
    take(&door, Address::Base, request).await
}

/// `POST /fhir/$process-message`.
pub(super) async fn message(extract::State(door): extract::State<Arc<Door>>, request: Request) -> Response {
    take(&door, Address::ProcessMessage, request).await
}

/// `POST /fhir/DiagnosticReport`.
pub(super) async fn report(extract::State(door): extract::State<Arc<Door>>, request: Request) -> Response {
    take(&door, Address::Report, request).await
}

async fn take(door: &Door, address: Address, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let written = FhirFormat::of_body(&parts.headers);
    let asked = FhirFormat::asked(parts.uri.query(), &parts.headers, written.unwrap_or(FhirFormat::Json));
    let writer = Writer::new(door, asked.unwrap_or(FhirFormat::Json), &parts.headers);
    let taken = async {
        let feed = door.fhir_feed(&parts.headers)?;
        written.ok_or_else(unsupported)?;
        asked.ok_or_else(not_acceptable)?;
        let condition = condition(&parts.headers)?;
        let body = door.read(&parts.headers, body).await?;
        // What cannot be decoded or is no message of results is kept too; intake says why it is refused.
        let (read, header) = tree::fhir(&body).map_or((None, None), |root| of_message(&root));
        if read.as_ref().is_some_and(|read| !address.takes(read.kind)) {
            return Err(other_address());
        }
        let answer = door.intake.receive_unless(&feed, &body, condition).await;
        if let Some(refusal) = Refusal::of(&answer) {
            return Err(refusal);
        }
        Ok(Answered { answer, read, header })
    };
    match taken.await {
        Ok(answered) => writer.write(&answered),
        Err(refusal) => writer.refuse(&refusal),
    }
}

/// What the answer needs of what was sent, which may be large and is not kept for it.
fn of_message(root: &Node) -> (Option<Incoming>, Option<Node>) {
    let read = incoming::read(root).ok();
    let is_message = read.as_ref().is_some_and(|read| matches!(read.kind, Kind::Message));
    let header = || root.get("entry")?.items().first()?.get("resource").cloned();
    (read, if is_message { header() } else { None })
}

/// The identifier of `If-None-Exist`. A condition that cannot be checked is refused, as the sender relies on it.
fn condition(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    if !headers.contains_key("if-none-exist") {
        return Ok(None);
    }
    let asked = guard::only(headers, "if-none-exist").filter(|it| incoming::asked_identifier(it).is_some());
    asked.map(Some).ok_or_else(|| {
        Refusal::new(
            StatusCode::PRECONDITION_FAILED,
            Diagnostic::error(Code::new("F058"), "the condition of this create cannot be checked here")
                .help("write `If-None-Exist: identifier=SYSTEM|VALUE`, or leave it out"),
        )
    })
}

fn unsupported() -> Refusal {
    Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Diagnostic::error(Code::new("W122"), "the body is of a media type that is not taken here")
            .help("declare `Content-Type: application/fhir+json` or application/fhir+xml, in UTF-8"),
    )
}

fn not_acceptable() -> Refusal {
    Refusal::new(
        StatusCode::NOT_ACCEPTABLE,
        Diagnostic::error(Code::new("W124"), "the answer cannot be written in any format that is asked for")
            .help("ask with `Accept: application/fhir+json` or application/fhir+xml"),
    )
}

fn other_address() -> Refusal {
    Refusal::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        Diagnostic::error(Code::new("F057"), "this address takes another kind of resource; nothing was kept")
            .help("post Bundles to /fhir, messages to /fhir/$process-message, reports to /fhir/DiagnosticReport"),
    )
}

/// Whether the answer's body is left out, told, or as the server likes (`Prefer`, R4 3.1.0.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefer {
    AsTheServerLikes,
    Minimal,
    Outcome,
}

impl Prefer {
    fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get_all("prefer").iter().filter_map(|it| it.to_str().ok());
        let asked = asked.flat_map(|it| it.split([',', ';'])).map(str::trim);
        asked
            .filter_map(|it| it.strip_prefix("return="))
            .map(|it| match it {
                "minimal" => Self::Minimal,
                "OperationOutcome" => Self::Outcome,
                _ => Self::AsTheServerLikes,
            })
            .next()
            .unwrap_or(Self::AsTheServerLikes)
    }
}
