//! Refusals as `application/problem+json`: one place that gives each error its status.
//!
//! A refusal tells what the caller may know and how to go on; causes inside are logged, where they are ours.

use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::clinical::workflow::RefusalKind;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::problem::MEDIA_TYPE;
use crate::formats::problem::Problem;
use crate::pipeline::holds;
use crate::pipeline::orders;
use crate::pipeline::review;
use crate::pipeline::sessions;
use crate::store;
use crate::telemetry::Chain;

/// A refusal, ready to be sent.
#[derive(Debug)]
pub(super) struct Refused(Box<Problem>);

impl Refused {
    pub(super) fn new(status: StatusCode, diagnostic: &Diagnostic) -> Self {
        let title = status.canonical_reason().unwrap_or("Refused");
        Self(Box::new(Problem::of(status.as_u16(), title, diagnostic)))
    }

    /// The same for whatever is not there, and for whatever is not theirs.
    pub(super) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            &Diagnostic::error(Code::new("W103"), "there is nothing under this address")
                .help("look the id up in the list it came from; /api/v1/openapi.json has every path"),
        )
    }

    /// The same for a missing, strange, expired or ended session, and for a wrong address or password.
    pub(super) fn not_signed_in() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            &Diagnostic::error(Code::new("W101"), "there is no such session")
                .help("sign in with POST /api/v1/session, and send its token as `Authorization: Bearer …`"),
        )
    }

    pub(super) fn forbidden(needs: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            &Diagnostic::error(Code::new("W001"), format!("this needs the role {needs}"))
                .help("ask somebody who has it, or have the role added with `gateway user`"),
        )
    }

    /// The request cannot be understood as what this address takes.
    pub(super) fn bad_request(what: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            &Diagnostic::error(Code::new("W102"), what)
                .help("/api/v1/openapi.json shows what each address takes, with every field"),
        )
    }

    /// Understood, and a field has a value that cannot be taken.
    pub(super) fn unprocessable(what: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            &Diagnostic::error(Code::new("W105"), what)
                .help("/api/v1/openapi.json shows what each field takes"),
        )
    }

    fn unavailable(error: &store::Error) -> Self {
        tracing::error!(error = %Chain(error), "the store failed a request");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, &no_store())
    }
}

fn no_store() -> Diagnostic {
    Diagnostic::error(Code::new("W114"), "the store cannot do this now")
        .help("try again; if it stays so, look at /health/ready and the log")
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).expect("a problem has text keys and no failing serializer");
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<review::Error> for Refused {
    fn from(error: review::Error) -> Self {
        use review::Error as E;
        let status = match &error {
            E::NotFound => return Self::not_found(),
            E::Refused(refusal) => match refusal.kind() {
                RefusalKind::Role => StatusCode::FORBIDDEN,
                RefusalKind::State => StatusCode::CONFLICT,
                RefusalKind::Stale => StatusCode::PRECONDITION_FAILED,
            },
            E::OtherVersion { .. } | E::ChangedMeanwhile | E::NoPatient => StatusCode::CONFLICT,
            E::PatientUnusable { .. } | E::TextMissing { .. } | E::TextTooLong { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            E::Account(_) | E::Cliniko(_) => StatusCode::BAD_GATEWAY,
            E::Document(_) | E::Typesetter => StatusCode::INTERNAL_SERVER_ERROR,
            E::Store(error) => return Self::unavailable(error),
        };
        log(status, &error);
        Self::new(status, &error.diagnostic())
    }
}

impl From<orders::Error> for Refused {
    fn from(error: orders::Error) -> Self {
        use orders::Error as E;
        let (status, code, help) = match &error {
            E::NoOrder => return Self::not_found(),
            E::Forbidden => return Self::forbidden("clinician or support"),
            E::Store(error) => return Self::unavailable(error),
            E::Tests => return Self::unprocessable(error.to_string()),
            E::NoPatient | E::PatientClosed => (
                StatusCode::UNPROCESSABLE_ENTITY,
                Code::new("W111"),
                "choose the living record in Cliniko, or complete it there",
            ),
            E::NoNhsNumber => (
                StatusCode::UNPROCESSABLE_ENTITY,
                Code::new("W115"),
                "enter the number in the patient's field in Cliniko, then confirm it again",
            ),
            E::Account(_) | E::Cliniko(_) => (
                StatusCode::BAD_GATEWAY,
                Code::new("W112"),
                "try again in a minute; `gateway check` tests the connection",
            ),
            E::Form(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                Code::new("W113"),
                "report the order's id and the gateway's version to its makers",
            ),
        };
        log(status, &error);
        Self::new(status, &Diagnostic::error(code, error.to_string()).help(help))
    }
}

impl From<sessions::Error> for Refused {
    fn from(error: sessions::Error) -> Self {
        use sessions::Error as E;
        match error {
            E::NotSignedIn => Self::not_signed_in(),
            E::Forbidden => Self::forbidden("clinician"),
            E::Store(error) => Self::unavailable(&error),
            E::AddressTaken | E::Password(_) | E::Token(_) => {
                tracing::error!(error = %Chain(&error), "could not sign somebody in");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, &no_store())
            }
        }
    }
}

impl From<holds::Error> for Refused {
    fn from(error: holds::Error) -> Self {
        use holds::Error as E;
        let status = match &error {
            E::NotFound => return Self::not_found(),
            E::ReasonMissing | E::ReasonTooLong { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            E::SharedFeed => StatusCode::FORBIDDEN,
            E::ChangedMeanwhile
            | E::KeptAgain { .. }
            | E::NeverRead
            | E::NotRemembered { .. }
            | E::NotWaiting { .. }
            | E::StillRefused { .. } => StatusCode::CONFLICT,
            E::Store(error) => return Self::unavailable(error),
        };
        Self::new(status, &error.diagnostic())
    }
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self::unavailable(&error)
    }
}

/// What is ours to mend is logged; what is the caller's is theirs.
fn log(status: StatusCode, error: &(dyn std::error::Error + 'static)) {
    if status.is_server_error() {
        tracing::error!(error = %Chain(error), http.status = status.as_u16(), "could not do what was asked");
    }
}

pub(super) async fn no_such_page() -> Refused {
    Refused::not_found()
}

pub(super) async fn method_not_allowed() -> Refused {
    Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        &Diagnostic::error(Code::new("W104"), "this address does not take this method")
            .help("/api/v1/openapi.json shows which methods each address takes"),
    )
}
