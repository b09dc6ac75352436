//! What a receiver said, whichever door it said it by.

use serde::Serialize;

use crate::formats::hl7v2::acknowledgement;
use crate::formats::hl7v2::acknowledgement::Acknowledgement;
use crate::outbound::sftp;

/// What came back for what was sent.
pub(crate) enum Heard {
    /// No answer was owed, and none came.
    Nothing,
    Answer(Answer),
    /// Of a file: an answer for each message, by its control id.
    Receipt(Vec<(String, Answer)>),
}

/// One answer, as a line of output tells it.
pub(crate) struct Answer {
    /// MSA-1, the HTTP status, or the word of a receipt.
    pub(crate) ack: String,
    pub(crate) is_accepted: bool,
    pub(crate) errors: Vec<Told>,
}

/// One thing that is wrong, in the receiver's words.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Told {
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
pub(crate) enum Error {
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
    #[error("no receipt within {patience:?}; the file was put, and its messages may have arrived")]
    NoReceipt { patience: std::time::Duration },
    #[error("the answer cannot be read")]
    Answer(#[source] acknowledgement::Error),
    #[error("the answer is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("the file could not be put, or its receipt not be read")]
    Sftp(#[from] sftp::Error),
}

impl Error {
    /// In place of the code an answer would have.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Broken(_) | Self::Closed | Self::Http(_) => "closed",
            Self::NoReceipt { .. } | Self::Unanswered { .. } => "timeout",
            Self::Answer(_) | Self::TooLong { .. } => "answer",
            Self::Sftp(error) => match error {
                sftp::Error::Broken { .. } | sftp::Error::Ssh(_) => "closed",
                sftp::Error::Folder { .. } | sftp::Error::LongerThan { .. } | sftp::Error::Status { .. } => {
                    "refused"
                }
                sftp::Error::TooSlow { .. } => "timeout",
                sftp::Error::Agent(_)
                | sftp::Error::Connect(_)
                | sftp::Error::HostKey { .. }
                | sftp::Error::Refused => "connect",
            },
        }
    }

    /// With its causes, and what an SFTP server said itself: whoever sends knows the names of their files.
    pub(super) fn told(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |it| it.source());
        let mut told: Vec<String> = causes.map(ToString::to_string).collect();
        if let Self::Sftp(sftp::Error::Status { said, .. }) = self {
            told.push(said.expose().clone());
        }
        told.join(": ")
    }
}
