//! What a receiver said, whichever door it said it by.

use serde::Serialize;

use crate::formats::hl7v2::acknowledgement;
use crate::formats::hl7v2::acknowledgement::Acknowledgement;

/// One answer, as a line of output tells it.
pub(super) struct Answer {
    /// MSA-1, or the HTTP status.
    pub(super) ack: String,
    pub(super) is_accepted: bool,
    pub(super) errors: Vec<Told>,
}

/// One thing that is wrong, in the receiver's words.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    pub(super) code: String,
    pub(super) location: String,
    pub(super) text: String,
}

impl From<Acknowledgement> for Answer {
    fn from(it: Acknowledgement) -> Self {
        let told =
            |it: acknowledgement::Reported| Told { code: it.code, location: it.location, text: it.text };
        Self {
            ack: it.code.as_str().to_owned(),
            is_accepted: it.code.outcome() == acknowledgement::Outcome::Accept,
            errors: it.problems.into_iter().map(told).collect(),
        }
    }
}

/// No answer that can be understood; the message may have arrived.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    #[error("the connection broke off; the message may have arrived")]
    Broken(#[source] std::io::Error),
    #[error("the connection broke off; the message may have arrived")]
    Http(#[source] hyper::Error),
    #[error("the receiver closed the connection without an answer; the message may have arrived")]
    Closed,
    #[error("no answer within {patience:?}; the message may have arrived")]
    Unanswered { patience: std::time::Duration },
    #[error("the answer cannot be read")]
    Answer(#[source] acknowledgement::Error),
    #[error("the answer is longer than {max} bytes")]
    TooLong { max: usize },
}

impl Error {
    /// In place of the code an answer would have.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Broken(_) | Self::Closed | Self::Http(_) => "closed",
            Self::Unanswered { .. } => "timeout",
            Self::Answer(_) | Self::TooLong { .. } => "answer",
        }
    }

    pub(super) fn told(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |it| it.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}
