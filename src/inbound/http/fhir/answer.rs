//! What a FHIR sender hears: the response Bundle of what it posted, or an OperationOutcome.

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::diagnostic::Diagnostic;
use crate::formats::fhir;
use crate::formats::fhir::Issue;
use crate::formats::fhir::IssueType;
use crate::formats::fhir::OperationOutcome;
use crate::formats::fhir::Severity;
use crate::formats::fhir::incoming::Incoming;
use crate::formats::fhir::incoming::Kind;
use crate::formats::json;
use crate::formats::tree::Node;
use crate::inbound::http::Door;
use crate::inbound::http::fhir::Prefer;
use crate::inbound::http::media::FhirFormat;
use crate::inbound::http::refusal::Refusal;
use crate::pipeline::hex;
use crate::pipeline::intake::Answer;
use crate::pipeline::records::MessageId;

/// A message that was accepted, and what it was.
pub(super) struct Answered {
    pub(super) answer: Answer,
    pub(super) read: Option<Incoming>,
    /// Of a message: its MessageHeader.
    pub(super) header: Option<Node>,
}

/// Writes answers as one request asked for them.
pub(super) struct Writer {
    base: String,
    /// The code system of our diagnostics: where their pages are.
    codes: String,
    format: FhirFormat,
    prefer: Prefer,
}

impl Writer {
    pub(super) fn new(door: &Door, format: FhirFormat, headers: &HeaderMap) -> Self {
        Self {
            base: format!("{}/fhir", door.public_url),
            codes: format!("{}/docs/errors", door.public_url),
            format,
            prefer: Prefer::of(headers),
        }
    }

    pub(super) fn write(&self, answered: &Answered) -> Response {
        let Answered { answer, read, header } = answered;
        let (Some(id), Some(read)) = (answer.message, read) else {
            return StatusCode::ACCEPTED.into_response();
        };
        match read.kind {
            Kind::Batch => self.body(StatusCode::OK, &self.entries("batch-response", id, answer, read)),
            Kind::Transaction => {
                self.body(StatusCode::OK, &self.entries("transaction-response", id, answer, read))
            }
            Kind::Message => self.body(StatusCode::OK, &self.reply(id, answer, header.as_ref())),
            Kind::Collection => self.created("Bundle", id, answer),
            Kind::Resource => self.created("DiagnosticReport", id, answer),
        }
    }

    /// One entry for each entry, in the order sent.
    fn entries(&self, kind: &str, id: MessageId, answer: &Answer, read: &Incoming) -> Value {
        let at = received_at(id).to_string();
        let status = if answer.repeated { "200 OK" } else { "201 Created" };
        let entry = |(index, name): (usize, &String)| {
            let mut response = json!({
                "status": status,
                "location": format!("{name}/{id}-{index}/_history/1"),
                "etag": "W/\"1\"",
                "lastModified": at,
            });
            if self.prefer == Prefer::Outcome {
                response["outcome"] = kept(answer);
            }
            json!({ "response": response })
        };
        let entries: Vec<Value> = (1..).zip(&read.types).map(entry).collect();
        json!({ "resourceType": "Bundle", "type": kind, "timestamp": at, "entry": entries })
    }

    /// The response to a message (R4, 2.26.4): the same answer to the same message, always.
    fn reply(&self, id: MessageId, answer: &Answer, header: Option<&Node>) -> Value {
        let text = |name: &str| header.and_then(|it| it.get(name)).and_then(Node::text).map(str::to_owned);
        let uuid = uuid(id);
        let mut reply = json!({ "resourceType": "MessageHeader", "id": uuid });
        if let Some(uri) = text("eventUri") {
            reply["eventUri"] = uri.into();
        } else {
            reply["eventCoding"] = coding(header.and_then(|it| it.get("eventCoding")));
        }
        let source = header.and_then(|it| it.get("source")?.get("endpoint")?.text());
        if let Some(endpoint) = source {
            reply["destination"] = json!([{ "endpoint": endpoint }]);
        }
        reply["source"] = json!({ "endpoint": format!("{}/$process-message", self.base) });
        let identifier = text("id").unwrap_or_else(|| answer.control_id.clone());
        let identifier = if identifier.is_empty() { id.to_string() } else { identifier };
        reply["response"] = json!({ "identifier": identifier, "code": "ok" });
        json!({
            "resourceType": "Bundle",
            "type": "message",
            "timestamp": received_at(id).to_string(),
            "entry": [{ "fullUrl": format!("urn:uuid:{uuid}"), "resource": reply }],
        })
    }

    fn created(&self, name: &str, id: MessageId, answer: &Answer) -> Response {
        let status = if answer.repeated { StatusCode::OK } else { StatusCode::CREATED };
        let mut response = if self.prefer == Prefer::Minimal {
            status.into_response()
        } else {
            self.body(status, &kept(answer))
        };
        let location = format!("{}/{name}/{id}/_history/1", self.base);
        let modified = received_at(id).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        for (name, value) in [
            (header::LOCATION, location),
            (header::ETAG, "W/\"1\"".to_owned()),
            (header::LAST_MODIFIED, modified),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    pub(super) fn refuse(&self, refusal: &Refusal) -> Response {
        let mut issues = refusal.diagnostics.iter().map(|it| self.issue(it));
        let first = issues.next().unwrap_or_else(|| Issue::error(IssueType::Processing, "refused"));
        let outcome = issues.fold(OperationOutcome::of(first), OperationOutcome::and);
        let outcome =
            serde_json::to_value(&outcome).expect("an outcome has text keys and no failing serializer");
        let mut response = self.body(refusal.status, &outcome);
        response.headers_mut().extend(refusal.headers());
        response
    }

    fn issue<'b>(&'b self, diagnostic: &'b Diagnostic) -> Issue<'b> {
        let code = diagnostic.code.as_str();
        let issue = Issue::new(Severity::Error, issue_type(code), diagnostic.message.as_str())
            .coded(self.codes.as_str(), code);
        let position = diagnostic.position.as_str();
        // A place in the text, such as a line, is no expression.
        let is_path = position.starts_with(|c: char| c.is_ascii_alphabetic()) && !position.contains(' ');
        let help = if is_path || position.is_empty() {
            diagnostic.help.clone()
        } else {
            format!("{position}: {}", diagnostic.help)
        };
        let issue = issue.helped(help);
        if is_path { issue.at(position) } else { issue }
    }

    fn body(&self, status: StatusCode, resource: &Value) -> Response {
        let (format, text) = match self.format {
            FhirFormat::Json => (FhirFormat::Json, resource.to_string()),
            // What XML cannot hold is told in JSON, rather than not at all.
            FhirFormat::Xml => xml(resource)
                .map_or_else(|| (FhirFormat::Json, resource.to_string()), |it| (FhirFormat::Xml, it)),
        };
        (status, [(header::CONTENT_TYPE, format.media_type())], text).into_response()
    }
}

fn xml(resource: &Value) -> Option<String> {
    fhir::xml::encode(&json::decode(resource.to_string().as_bytes()).ok()?).ok()
}

/// Something good to say: the results are ours now.
fn kept(answer: &Answer) -> Value {
    let text = if answer.repeated {
        "kept before under the same name or with the same content; nothing new was made"
    } else {
        "kept; it is read next, and a person looks at it before anything is filed"
    };
    let issue = Issue::new(Severity::Information, IssueType::Informational, text);
    serde_json::to_value(OperationOutcome::of(issue))
        .expect("an outcome has text keys and no failing serializer")
}

/// The event of a message, as it was sent.
fn coding(sent: Option<&Node>) -> Value {
    let mut coding = serde_json::Map::new();
    for name in ["system", "version", "code", "display"] {
        if let Some(text) = sent.and_then(|it| it.get(name)).and_then(Node::text) {
            coding.insert(name.to_owned(), text.into());
        }
    }
    if coding.is_empty() {
        coding.insert("code".to_owned(), "unknown".into());
    }
    Value::Object(coding)
}

/// An id begins with the milliseconds at which it was made.
fn received_at(id: MessageId) -> Timestamp {
    let milliseconds = id.key().iter().take(6).fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The same 128 bits in the spelling of a UUID.
fn uuid(id: MessageId) -> String {
    let hex = hex(&id.key());
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// What kind of issue a code of ours is, in FHIR's words.
fn issue_type(code: &str) -> IssueType {
    match code {
        "F051" | "F053" | "F054" => IssueType::Required,
        "F052" | "F055" | "F057" | "F058" | "W122" | "W124" => IssueType::NotSupported,
        "F056" | "W120" => IssueType::TooCostly,
        "H108" => IssueType::Conflict,
        "H110" | "S112" => IssueType::Forbidden,
        "S101" => IssueType::Transient,
        "S110" | "S111" => IssueType::Login,
        "W121" => IssueType::Throttled,
        _ if code.starts_with('F') => IssueType::Structure,
        _ => IssueType::Processing,
    }
}
