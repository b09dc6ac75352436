//! Work that waits: one plain row each, in the order it is due.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::clock::Id;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::store;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Store;
use crate::store::Table;

/// What a job does. Each kind is a lane of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Send an application acknowledgement to the laboratory's listener; the subject is the message.
    Acknowledge,
    /// Run the outbox of a case; the subject is the case.
    Deliver,
    /// Match and interpret the reports of a message; the subject is the message.
    Prepare,
    /// Decode and map a message; the subject is the message.
    Read,
}

impl Kind {
    const fn lane(self) -> u8 {
        match self {
            Self::Acknowledge => b'a',
            Self::Deliver => b'd',
            Self::Prepare => b'p',
            Self::Read => b'r',
        }
    }
}

/// A job, due at a time, about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub kind: Kind,
    pub due_at: Timestamp,
    pub subject: Id,
    pub body: Body,
}

/// What a job remembers between tries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    #[serde(default)]
    pub attempts: u32,
    /// The clinic of a delivery, whose key opens the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clinic: Option<String>,
    /// The digest of the remembered mapping to read the message with, where it is not the mapping of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<String>,
}

impl Job {
    pub fn new(kind: Kind, due_at: Timestamp, subject: Id) -> Self {
        Self { kind, due_at, subject, body: Body::default() }
    }

    /// Lane, due time, subject: a lane is scanned in the order it is due.
    pub fn key(&self) -> [u8; 25] {
        let mut key = [0; 25];
        let due = u64::try_from(self.due_at.as_millisecond()).unwrap_or(0);
        let (lane, rest) = key.split_at_mut(1);
        let (time, subject) = rest.split_at_mut(8);
        lane.fill(self.kind.lane());
        time.copy_from_slice(&due.to_be_bytes());
        subject.copy_from_slice(&self.subject.to_bytes());
        key
    }

    pub fn put(&self, change: &mut Change) {
        change.put_plain(Table::Jobs, &self.key(), encode(&self.body));
    }

    pub fn delete(&self, change: &mut Change) {
        change.delete(Table::Jobs, &self.key());
    }

    fn from_row(kind: Kind, key: &[u8], row: &[u8]) -> Result<Self, store::Error> {
        let damaged = || store::Error::Damaged { table: Table::Jobs };
        let due =
            key.get(1..9).and_then(|it| it.try_into().ok()).map(u64::from_be_bytes).ok_or_else(damaged)?;
        let due_at = i64::try_from(due)
            .ok()
            .and_then(|it| Timestamp::from_millisecond(it).ok())
            .ok_or_else(damaged)?;
        let subject = key.get(9..).and_then(|it| Id::try_from(it).ok()).ok_or_else(damaged)?;
        Ok(Self { kind, due_at, subject, body: decode(Table::Jobs, row)? })
    }
}

/// The first jobs of a lane, due or not, in order.
pub fn first(store: &Store, kind: Kind, limit: usize) -> Result<Vec<Job>, store::Error> {
    let rows = store.scan_plain(&Scan::prefix(Table::Jobs, &[kind.lane()]).limit(limit))?;
    rows.iter().map(|(key, row)| Job::from_row(kind, key, row)).collect()
}

/// How many jobs wait in all lanes, counted up to a page.
pub fn waiting(store: &Store) -> Result<usize, store::Error> {
    Ok(store.scan_plain(&Scan::all(Table::Jobs))?.len())
}
