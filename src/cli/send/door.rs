//! A way to a receiver, by whichever door: opened once, then one thing after the other is sent and answered.

use std::path::Path;
use std::time::Duration;

use crate::cli::send::answer::Error;
use crate::cli::send::answer::Heard;
use crate::cli::send::http;
use crate::cli::send::http::Credentials;
use crate::cli::send::message::Message;
use crate::cli::send::mllp;
use crate::cli::send::sftp;
use crate::cli::send::sftp::Manner;
use crate::cli::send::stream::Tls;
use crate::cli::send::target;
use crate::cli::send::target::Target;

/// A message that is owed no answer gets this long for one all the same.
const SILENCE: Duration = Duration::from_millis(300);

/// Where a receiver is, and how it is spoken to.
pub(crate) enum Door {
    Http { target: Target, path: String, tls: Option<Tls>, credentials: Credentials },
    Mllp { target: Target, tls: Option<Tls> },
    Sftp(Manner),
}

impl Door {
    /// Over plain HTTP; `url` is `http://HOST:PORT/PATH`.
    ///
    /// # Errors
    /// How to write the URL.
    pub(crate) fn http(url: &str, credentials: Credentials) -> Result<Self, String> {
        Ok(Self::new(&url.parse()?, None, credentials, None))
    }

    /// `manner` is given for a target that is one of files.
    pub(super) fn new(
        target: &Target,
        tls: Option<Tls>,
        credentials: Credentials,
        manner: Option<Manner>,
    ) -> Self {
        let to = target.clone();
        match (manner, &target.door) {
            (Some(manner), _) => Self::Sftp(manner),
            (None, target::Door::Http { path, .. }) => {
                Self::Http { target: to, path: path.clone(), tls, credentials }
            }
            (None, _) => Self::Mllp { target: to, tls },
        }
    }

    /// Files go whole, with all their messages.
    pub(super) const fn takes_files(&self) -> bool {
        matches!(self, Self::Sftp(_))
    }
}

/// A way that is open.
pub(crate) enum Connection {
    Http(http::Connection),
    Mllp(mllp::Connection),
    Sftp(Box<sftp::Connection>),
}

impl Connection {
    pub(crate) async fn open(door: &Door) -> Result<Self, Error> {
        match door {
            Door::Http { target, path, tls, credentials } => {
                http::Connection::open(target, path, tls.as_ref(), credentials).await.map(Self::Http)
            }
            Door::Mllp { target, tls } => mllp::Connection::open(target, tls.as_ref()).await.map(Self::Mllp),
            Door::Sftp(manner) => sftp::Connection::open(manner).await.map(|it| Self::Sftp(Box::new(it))),
        }
    }

    /// Whether something can be sent on it still, as far as can be known without sending.
    pub(super) async fn is_open(&mut self) -> bool {
        match self {
            Self::Http(open) => open.is_open().await,
            Self::Mllp(_) | Self::Sftp(_) => true,
        }
    }

    /// Sends, and waits for what comes back. `mark` is a text that no other sending has.
    pub(crate) async fn exchange(
        &mut self,
        message: &Message,
        patience: Duration,
        mark: &str,
    ) -> Result<Heard, Error> {
        let bytes = message.bytes.as_slice();
        match self {
            Self::Http(open) => open.exchange(bytes, patience).await.map(Heard::Answer),
            Self::Mllp(open) => {
                let patience = if message.is_owed_an_answer { patience } else { SILENCE.min(patience) };
                match open.exchange(bytes, &message.control_id, patience).await {
                    // Silence was asked for; the connection goes on.
                    Err(Error::Unanswered { .. }) if !message.is_owed_an_answer => Ok(Heard::Nothing),
                    answer => answer.map(|it| Heard::Answer(it.into())),
                }
            }
            Self::Sftp(open) => {
                open.exchange(Path::new(&*message.file), bytes, mark).await.map(Heard::Receipt)
            }
        }
    }

    /// Says good-bye where that is usual.
    pub(crate) async fn leave(self) {
        if let Self::Sftp(open) = self {
            open.leave().await;
        }
    }
}
