//! One HTTP connection to a receiver: HL7 v2, FHIR, JSON or CSV in a request, whatever it says in the reply.
//!
//! What a message is, its own first bytes say: that gives the media type, and below a FHIR base the interaction.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::cli::send::answer::Answer;
use crate::cli::send::answer::Error;
use crate::cli::send::answer::Told;
use crate::cli::send::stream;
use crate::cli::send::stream::Tls;
use crate::cli::send::target::Target;
use crate::formats::hl7v2::acknowledgement;
use crate::formats::problem::Problem;
use crate::pipeline::hex;

/// A Bundle of answers has an entry for each entry sent.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How we show who we are.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) bearer: Option<Zeroizing<String>>,
    pub(crate) signature: Option<Signature>,
}

/// HMAC-SHA-256 over the body, as lower-case hexadecimal in a header.
#[derive(Clone)]
pub(crate) struct Signature {
    pub(crate) header: header::HeaderName,
    pub(crate) key: Arc<hmac::Key>,
}

pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    authority: String,
    path: String,
    credentials: Credentials,
}

impl Connection {
    pub(super) async fn open(
        target: &Target,
        path: &str,
        tls: Option<&Tls>,
        credentials: &Credentials,
    ) -> Result<Self, Error> {
        let stream = stream::open(target, tls).await.map_err(Error::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Error::Http)?;
        // Ends with the sender; what broke it, the next request tells.
        tokio::spawn(connection);
        let credentials = credentials.clone();
        Ok(Self { sender, authority: target.authority(), path: path.to_owned(), credentials })
    }

    /// Whether the receiver still takes requests on it.
    pub(super) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(super) async fn exchange(&mut self, message: &[u8], patience: Duration) -> Result<Answer, Error> {
        let talk = async {
            let request = self.request(message);
            let reply = self.sender.send_request(request).await.map_err(Error::Http)?;
            let (parts, body) = reply.into_parts();
            let media = parts.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
            let is_hl7 = media.is_some_and(|it| it.contains("hl7-v2"));
            let body = match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) => {
                    let long = |_| Error::TooLong { max: ANSWER_BYTES_MAX };
                    return Err(error.downcast::<hyper::Error>().map_or_else(long, |it| Error::Http(*it)));
                }
            };
            read(parts.status, is_hl7, &body)
        };
        timeout(patience, talk).await.unwrap_or(Err(Error::Unanswered { patience }))
    }

    fn request(&self, message: &[u8]) -> Request<Full<Bytes>> {
        let content = Content::of(message);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(content.path(&self.path))
            .header(header::HOST, &self.authority)
            .header(header::CONTENT_TYPE, content.media_type());
        if let Some(media) = content.accept() {
            request = request.header(header::ACCEPT, media);
        }
        if let Some(token) = &self.credentials.bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.as_str()));
        }
        if let Some(Signature { header, key }) = &self.credentials.signature {
            let tag = hmac::sign(key, message);
            request = request.header(header, hex(tag.as_ref()));
        }
        request
            .body(Full::new(Bytes::copy_from_slice(message)))
            .expect("the target, the token and the media types were checked to be header text")
    }
}

/// What a message is, by its own first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Csv,
    FhirJson(Interaction),
    FhirXml(Interaction),
    Hl7,
    Hl7Xml,
    Json,
}

/// What a FHIR server is asked to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interaction {
    /// A transaction or batch, at the base.
    Bundle,
    CreateReport,
    ProcessMessage,
}

impl Content {
    fn of(message: &[u8]) -> Self {
        let text = String::from_utf8_lossy(message);
        let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{b}'));
        if ["MSH", "FHS", "BHS"].iter().any(|name| text.starts_with(name)) {
            return Self::Hl7;
        }
        if text.starts_with('<') {
            return if text.contains("urn:hl7-org:v2xml") {
                Self::Hl7Xml
            } else {
                let is_message = text.contains("<type value=\"message\"");
                Self::FhirXml(Interaction::of(text.contains("<Bundle"), is_message))
            };
        }
        let document: Option<Value> = serde_json::from_str(text).ok();
        let word = |name: &str| document.as_ref()?.get(name)?.as_str();
        match (word("resourceType"), text.starts_with(['{', '['])) {
            (Some(kind), _) => {
                Self::FhirJson(Interaction::of(kind == "Bundle", word("type") == Some("message")))
            }
            (None, true) => Self::Json,
            (None, false) => Self::Csv,
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::FhirJson(_) => "application/fhir+json; charset=utf-8",
            Self::FhirXml(_) => "application/fhir+xml; charset=utf-8",
            Self::Hl7 => "application/hl7-v2",
            Self::Hl7Xml => "application/hl7-v2+xml",
            Self::Json => "application/json",
        }
    }

    /// FHIR answers are read as JSON, whatever was sent.
    const fn accept(self) -> Option<&'static str> {
        match self {
            Self::FhirJson(_) | Self::FhirXml(_) => Some("application/fhir+json"),
            Self::Csv | Self::Hl7 | Self::Hl7Xml | Self::Json => None,
        }
    }

    /// The path of the interaction, where the one given is a FHIR server's base.
    fn path(self, given: &str) -> String {
        let base = given.trim_end_matches('/');
        match self {
            Self::FhirJson(it) | Self::FhirXml(it) if base.ends_with("/fhir") => match it {
                Interaction::Bundle => base.to_owned(),
                Interaction::CreateReport => format!("{base}/DiagnosticReport"),
                Interaction::ProcessMessage => format!("{base}/$process-message"),
            },
            _ if given.is_empty() => "/".to_owned(),
            _ => given.to_owned(),
        }
    }
}

impl Interaction {
    const fn of(is_bundle: bool, is_message: bool) -> Self {
        match (is_bundle, is_message) {
            (true, true) => Self::ProcessMessage,
            (true, false) => Self::Bundle,
            (false, _) => Self::CreateReport,
        }
    }
}

fn read(status: StatusCode, is_hl7: bool, body: &[u8]) -> Result<Answer, Error> {
    if is_hl7 {
        return acknowledgement::parse(body).map(Answer::from).map_err(Error::Answer);
    }
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_accepted = status.is_success();
    let mut errors = issues(&document);
    if errors.is_empty() && !is_accepted {
        let told = serde_json::from_value(document).map_or_else(
            |_| Told {
                code: String::new(),
                location: String::new(),
                text: status.canonical_reason().unwrap_or_default().to_owned(),
            },
            problem,
        );
        errors.push(told);
    }
    Ok(Answer { ack: status.as_u16().to_string(), is_accepted, errors })
}

fn problem(it: Problem) -> Told {
    let text = if it.detail.is_empty() { it.title } else { it.detail };
    Told { code: it.code.unwrap_or_default(), location: String::new(), text }
}

/// The errors of an OperationOutcome, alone or as the outcome of a Bundle's entries.
fn issues(document: &Value) -> Vec<Told> {
    let alone = Some(document).filter(|it| it["resourceType"] == "OperationOutcome");
    let entries = document["entry"].as_array().into_iter().flatten();
    let outcomes = alone.into_iter().chain(entries.map(|entry| &entry["response"]["outcome"]));
    outcomes
        .flat_map(|outcome| outcome["issue"].as_array().into_iter().flatten())
        .filter(|issue| matches!(issue["severity"].as_str(), Some("error" | "fatal")))
        .map(|issue| {
            let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
            Told {
                code: text(&issue["details"]["coding"][0]["code"]),
                location: text(&issue["expression"][0]),
                text: text(&issue["details"]["text"]),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_by_itself_what_it_is() {
        for (message, content, path) in [
            ("\u{feff}MSH|^~\\&|A", Content::Hl7, "/fhir"),
            ("<?xml version=\"1.0\"?><ORU_R01 xmlns=\"urn:hl7-org:v2xml\"/>", Content::Hl7Xml, "/fhir"),
            (r#"{"order": 1}"#, Content::Json, "/fhir"),
            ("patient,value\n1,2\n", Content::Csv, "/fhir"),
            (
                r#"{"resourceType": "Bundle", "type": "transaction"}"#,
                Content::FhirJson(Interaction::Bundle),
                "/fhir",
            ),
            (
                r#"{"resourceType": "Bundle", "type": "message"}"#,
                Content::FhirJson(Interaction::ProcessMessage),
                "/fhir/$process-message",
            ),
            (
                "<DiagnosticReport xmlns=\"http://hl7.org/fhir\"/>",
                Content::FhirXml(Interaction::CreateReport),
                "/fhir/DiagnosticReport",
            ),
        ] {
            let found = Content::of(message.as_bytes());
            assert_eq!((found, found.path("/fhir/").trim_end_matches('/')), (content, path), "{message}");
        }
        assert_eq!(Content::Json.path("/inbound/a"), "/inbound/a");
        assert_eq!(Content::Json.path(""), "/");
    }

    #[test]
    fn each_way_of_refusing_is_told_in_the_receivers_words() {
        let outcome = br#"{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid",
            "details": {"coding": [{"code": "F001"}], "text": "not JSON"}, "expression": ["Bundle.entry[1]"]}]}"#;
        let answer = read(StatusCode::BAD_REQUEST, false, outcome).unwrap();
        let told = |code: &str, location: &str, text: &str| Told {
            code: code.to_owned(),
            location: location.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(answer.errors, [told("F001", "Bundle.entry[1]", "not JSON")]);
        assert!(!answer.is_accepted);
        let problem = br#"{"type": "about:blank", "title": "Forbidden", "status": 403, "code": "S110"}"#;
        let answer = read(StatusCode::FORBIDDEN, false, problem).unwrap();
        assert_eq!((answer.ack.as_str(), answer.errors), ("403", vec![told("S110", "", "Forbidden")]));
        let answer = read(StatusCode::BAD_GATEWAY, false, b"<html>").unwrap();
        assert_eq!(answer.errors, [told("", "", "Bad Gateway")]);
        let acknowledgement = b"MSH|^~\\&|A|B|C|D|20260101||ACK|9|P|2.5\rMSA|AA|1\r";
        assert!(read(StatusCode::OK, true, acknowledgement).unwrap().is_accepted);
    }
}
