//! Why a person's request about a case was not done, with its diagnostic.

use crate::clinical::document;
use crate::clinical::workflow::Refusal;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::outbound;
use crate::pipeline::accounts;
use crate::store;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another clinic's case is as absent as none.
    #[error("there is no such case")]
    NotFound,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("version {asked} was meant, and the case is version {current}")]
    OtherVersion { asked: u32, current: u32 },
    #[error("somebody or something changed the case meanwhile")]
    ChangedMeanwhile,
    #[error("the case has no patient yet, so it has no documents")]
    NoPatient,
    #[error("the patient cannot be chosen: {why}")]
    PatientUnusable { why: &'static str },
    #[error("`{field}` is empty")]
    TextMissing { field: &'static str },
    #[error("`{field}` has {chars} characters, and at most {max} are taken")]
    TextTooLong { field: &'static str, chars: usize, max: usize },
    #[error("the clinic's Cliniko account cannot be used")]
    Account(#[source] accounts::Error),
    #[error("Cliniko could not be asked")]
    Cliniko(#[source] outbound::cliniko::Error),
    #[error("cannot make the document")]
    Document(#[source] document::Error),
    #[error("the typesetter stopped at this document")]
    Typesetter,
    #[error(transparent)]
    Store(store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Conflict { .. } => Self::ChangedMeanwhile,
            other => Self::Store(other),
        }
    }
}

impl Error {
    /// What to tell whoever asked. The inner causes are for operators and stay in the log.
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help) = match self {
            Self::Refused(refusal) => return refusal.diagnostic(),
            Self::NotFound => {
                (Code::new("W103"), "look the id up under Cases; only your own clinic's are there")
            }
            Self::OtherVersion { .. } | Self::ChangedMeanwhile => {
                (Code::new("W108"), "open the case again, read what changed, and decide anew")
            }
            Self::NoPatient => (Code::new("W110"), "match the case under Holds first"),
            Self::PatientUnusable { .. } => (
                Code::new("W111"),
                "choose the living record in Cliniko, or complete it there, and match again",
            ),
            Self::TextMissing { .. } | Self::TextTooLong { .. } => {
                (Code::new("W105"), "write a text within the limit")
            }
            Self::Account(_) | Self::Cliniko(_) => {
                (Code::new("W112"), "try again in a minute; `gateway check` tests the connection")
            }
            Self::Document(_) | Self::Typesetter => {
                (Code::new("W113"), "report the case's id and the gateway's version to its makers")
            }
            Self::Store(_) => {
                (Code::new("W114"), "try again; if it stays so, look at /health/ready and the log")
            }
        };
        let message = match self {
            Self::Store(_) => "the store cannot do this now".to_owned(),
            other => other.to_string(),
        };
        Diagnostic::error(code, message).help(help)
    }
}
