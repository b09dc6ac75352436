//! What can go wrong with a call, and the one thing the outbox must know of it: may it have happened?

use std::time::Duration;

use crate::formats::cliniko::read::NotThisShape;
use crate::formats::cliniko::upload::BadForm;

/// Whether a call that failed may have had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was changed; it may be tried again.
    NotHappened,
    /// It may have happened. Look before repeating (promises, P3).
    Unknown,
}

/// Why a call did not give its answer. Holds no name, key, query or body.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the reply is larger than {bytes_max} bytes")]
    AnswerTooLong { bytes_max: usize },
    #[error("cannot connect to {host}")]
    Connect { host: String, source: std::io::Error },
    #[error("{host} did not answer a connection within {after:?}")]
    ConnectTimeOut { host: String, after: Duration },
    #[error("a link in a reply points away from the clinic's account")]
    ForeignLink,
    #[error("the form for the upload cannot be sent")]
    Form(#[from] BadForm),
    #[error("the connection broke after the request was sent")]
    Lost(#[source] hyper::Error),
    #[error("the call is not on the list of calls the gateway may make")]
    NotAllowed,
    #[error("no answer within {after:?}")]
    NoAnswer { after: Duration },
    #[error("the key's allowance is used up for {wait:?}")]
    RateLimited { wait: Duration },
    /// 4xx. `fields` names what a 422 speaks of.
    #[error("refused with status {status}")]
    Refused { status: u16, fields: Vec<String> },
    /// 5xx, a redirect, or any other status the call does not document.
    #[error("unexpected status {status}")]
    Status { status: u16 },
    /// The reply to a read is not what was asked for.
    #[error(transparent)]
    Shape(#[from] NotThisShape),
    #[error("the list has more than {pages_max} pages")]
    TooManyPages { pages_max: usize },
    /// The write was answered with success, and the answer cannot be read.
    #[error("the write was accepted, and its answer cannot be read")]
    WrittenUnread(#[source] NotThisShape),
    #[error("the upload would go to a place that is not allowed: {reason}")]
    WrongStore { reason: &'static str },
}

impl Error {
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeOut { .. }
            | Self::ForeignLink
            | Self::Form(_)
            | Self::NotAllowed
            | Self::RateLimited { .. }
            | Self::Refused { .. }
            | Self::Shape(_)
            | Self::TooManyPages { .. }
            | Self::WrongStore { .. } => Outcome::NotHappened,
            Self::AnswerTooLong { .. }
            | Self::Lost(_)
            | Self::NoAnswer { .. }
            | Self::Status { .. }
            | Self::WrittenUnread(_) => Outcome::Unknown,
        }
    }

    /// The diagnostic code under which a person reads of it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused { status: 401, .. } => "D002",
            Self::Refused { status: 403, .. } => "D003",
            Self::Refused { status: 404, .. } => "D004",
            Self::RateLimited { .. } => "D006",
            Self::Connect { .. } | Self::ConnectTimeOut { .. } => "D001",
            Self::NotAllowed | Self::ForeignLink | Self::WrongStore { .. } => "D007",
            Self::Refused { .. } | Self::Form(_) => "D005",
            _ => "D008",
        }
    }
}
