//! The durable store: a sealing face, [`Store`], over a [`Backend`] that only ever sees sealed or tagged bytes.
//!
//! A [`Change`] holds a change of state, its audit entries and its follow-on jobs, and commits whole or not at all; when
//! `commit` returns, it is flushed. The store never looks inside a payload and gives no order to rows but that of their
//! keys: rows that grow with time have keys that begin with a [`crate::clock::Id`], so that they append.
//!
//! A store has one owner. It does not start without its key, and after a failed
//! write it takes no other, but for a full disk, until it is opened again.
//! Start with [`sealed`], then [`backend`].

use std::error;
use std::path::PathBuf;
use std::sync::Arc;

use crate::security::keys;
use crate::security::sealing;

pub mod backend;
pub mod change;
pub mod embedded;
pub mod faulty;
mod parts;
pub mod sealed;
pub mod trail;

pub use backend::Backend;
pub use backend::Committed;
pub use backend::Scan;
pub use backend::Table;
pub use change::Change;
pub use embedded::Embedded;
pub use parts::PART_BYTES;
pub use sealed::Store;
pub use trail::verify_audit;

/// What a backend's own failure is passed on as.
pub type Cause = Arc<dyn error::Error + Send + Sync>;

/// Why the store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of the change was written. Read again and decide anew.
    #[error("a row of `{table}` is not as the change expects it")]
    Conflict { table: Table },
    #[error(
        "the store in `{}` is open in another process; a store has one owner, so ask the running gateway, or stop it",
        directory.display()
    )]
    AlreadyOpen { directory: PathBuf },
    #[error("there is no store in `{}`", directory.display())]
    NoStore { directory: PathBuf },
    #[error("cannot open the store in `{}`", directory.display())]
    Open {
        directory: PathBuf,
        #[source]
        source: Cause,
    },
    #[error("the store has format {found}, and this program knows {known}; use the program that wrote it")]
    UnknownFormat { found: String, known: &'static str },
    #[error(
        "the master key is not the one this store was made with; put back the key file that belongs to it"
    )]
    WrongKey,
    #[error("the store has no key for {}, though it has its data", scope.label())]
    KeyMissing { scope: keys::Scope },
    #[error("cannot use the key of {}", scope.label())]
    Key {
        scope: keys::Scope,
        #[source]
        source: keys::Error,
    },
    #[error("cannot open a row of `{table}`")]
    Sealed {
        table: Table,
        #[source]
        source: sealing::Error,
    },
    #[error("a row of `{table}` is damaged")]
    Damaged { table: Table },
    #[error("a value for `{table}` has {bytes} bytes, and {max} are allowed")]
    TooLarge { table: Table, bytes: usize, max: usize },
    #[error("cannot read the store")]
    Read(#[source] Cause),
    /// Whether the change took effect is unknown until the store is opened again.
    #[error("a change could not be made durable")]
    Write(#[source] Cause),
    /// As [`Error::Write`], of the cause an operator can mend: writing goes on by itself when there is room.
    #[error("the disk or its quota is full, and a change could not be made durable")]
    DiskFull(#[source] Cause),
    #[error(
        "the store takes no changes since a write failed; make room if the disk is full, else restart the gateway"
    )]
    NotWritable,
}

impl Error {
    /// Whether one row is at fault, and all others can be worked on.
    pub fn concerns_one_row(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::Key { .. } | Self::KeyMissing { .. } | Self::Sealed { .. }
        )
    }
}
