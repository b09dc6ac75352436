//! What a client hears when its request is not done: an SFTP status, one sentence, and where there is one, our code.

use russh_sftp::protocol::Packet;
use russh_sftp::protocol::StatusCode;

use crate::diagnostic::Code;
use crate::inbound::sftp::place::Nowhere;
use crate::pipeline::inbox;
use crate::telemetry::Chain;

#[derive(Debug)]
pub(super) enum Refusal {
    /// Not a failure: there is nothing more to read.
    End,
    Exists,
    /// Bytes beyond the end of the file.
    Gap,
    Inbox(inbox::Error),
    NoRoom(String),
    NoSuchHandle,
    NotARequest,
    NotHere(&'static str),
    NothingMarked,
    Nowhere(Nowhere),
    /// The session has the file open for writing.
    Open,
    Unsupported,
}

impl From<inbox::Error> for Refusal {
    fn from(error: inbox::Error) -> Self {
        Self::Inbox(error)
    }
}

impl From<Nowhere> for Refusal {
    fn from(nowhere: Nowhere) -> Self {
        Self::Nowhere(nowhere)
    }
}

impl Refusal {
    pub(super) const fn no_room(why: String) -> Self {
        Self::NoRoom(why)
    }

    pub(super) const fn not_here(why: &'static str) -> Self {
        Self::NotHere(why)
    }

    /// The status that says so. What an operator must know is logged here, once.
    pub(super) fn answer(self, id: u32, feed: &str) -> Packet {
        if let Self::Inbox(error @ (inbox::Error::NotKept | inbox::Error::Store(_))) = &self {
            tracing::error!(feed, error = %Chain(error), "could not keep or read a file of an inbox");
        }
        let (status, code, sentence) = self.told();
        let text = match code {
            Some(code) => format!("{sentence} ({code})"),
            None => sentence,
        };
        Packet::status(id, status, &text, "en")
    }

    fn told(self) -> (StatusCode, Option<Code>, String) {
        use StatusCode::BadMessage;
        use StatusCode::Eof;
        use StatusCode::Failure;
        use StatusCode::NoSuchFile;
        use StatusCode::OpUnsupported;
        use StatusCode::PermissionDenied;
        let code = |code| Some(Code::new(code));
        match self {
            Self::End => (Eof, None, "the end".to_owned()),
            Self::Exists => (Failure, None, "there is a file of this name".to_owned()),
            Self::Gap => (Failure, code("S131"), "bytes before these are missing".to_owned()),
            Self::Inbox(error @ inbox::Error::Absent) => (NoSuchFile, None, error.to_string()),
            Self::Inbox(error @ inbox::Error::Interrupted) => (Failure, code("S131"), error.to_string()),
            Self::Inbox(error @ inbox::Error::Changed) => (Failure, None, error.to_string()),
            Self::Inbox(error @ inbox::Error::Full { .. }) => (Failure, code("S132"), error.to_string()),
            Self::Inbox(inbox::Error::NotKept | inbox::Error::Store(_)) => {
                (Failure, code("S130"), inbox::Error::NotKept.to_string())
            }
            Self::NoRoom(why) => (Failure, code("S132"), why),
            Self::NoSuchHandle => (Failure, None, "this handle is not open".to_owned()),
            Self::NotARequest => (BadMessage, None, "this is no request".to_owned()),
            Self::NotHere(why) => (PermissionDenied, code("S135"), why.to_owned()),
            Self::NothingMarked => {
                (NoSuchFile, code("S134"), "no file waits that this marker belongs to".to_owned())
            }
            Self::Nowhere(Nowhere::NoSuchFolder) => (NoSuchFile, None, "there is no such folder".to_owned()),
            Self::Nowhere(Nowhere::NotAName) => {
                (PermissionDenied, code("S133"), "no file here can have this name".to_owned())
            }
            Self::Open => (Failure, None, "this file is open in this session".to_owned()),
            Self::Unsupported => (OpUnsupported, None, "this is not done here".to_owned()),
        }
    }
}

/// The two strings of a rename that came as an extension.
pub(super) fn two_strings(data: &[u8]) -> Result<(String, String), Refusal> {
    let (first, rest) = string(data).ok_or(Refusal::NotARequest)?;
    let (second, _) = string(rest).ok_or(Refusal::NotARequest)?;
    Ok((first, second))
}

fn string(data: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = data.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}
