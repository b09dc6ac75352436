//! A batch or file that was cut into messages: what stood around them, so that no byte of it is lost (R24).
//!
//! The messages are kept as messages. The record holds the rest (envelopes, frame bytes, text that belongs to no
//! message) and the order of it all: from it and the messages the file can be put together again.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::diagnostic::Diagnostic;
use crate::pipeline::records::FileId;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub received_at: Timestamp,
    /// None for a batch whose sender no feed names.
    pub feed: Option<String>,
    /// Of the whole file, in hexadecimal.
    pub sha256: String,
    pub bytes: usize,
    pub parts: Vec<Part>,
    /// What is wrong around the messages.
    pub diagnostics: Vec<Diagnostic>,
}

/// A stretch of the file, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// So many bytes that are in the record itself.
    Around(usize),
    /// A message; of a repeated one, the first that was kept.
    Message(MessageId),
}

/// A file with the bytes around its messages.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    pub header: Header,
    /// All that is no message, one stretch after the other.
    pub around: Vec<u8>,
}

impl File {
    /// Adds the file to a change, and a conflict if the same bytes came by the same feed before.
    pub fn put(&self, change: &mut Change, id: FileId, scope: &Scope) {
        let mut row = encode(&self.header);
        row.push(b'\n');
        row.extend_from_slice(&self.around);
        change.index_unique(Table::Files, &id.key(), scope, Field::Digest, &self.header.sha256);
        change.put_sealed(Table::Files, &id.key(), scope, row);
    }
}

/// The file of these bytes, if the feed sent it before.
pub fn find(store: &Store, sha256: &str, scope: &Scope) -> Result<Option<FileId>, store::Error> {
    let rows = store.find(Table::Files, scope, Field::Digest, sha256)?;
    let id = |row: &Vec<u8>| {
        FileId::try_from(row.as_slice()).map_err(|_| store::Error::Damaged { table: Table::Index })
    };
    rows.first().map(id).transpose()
}

/// A kept file, opened.
pub fn load(store: &Store, id: FileId, scope: &Scope) -> Result<Option<File>, store::Error> {
    let damaged = || store::Error::Damaged { table: Table::Files };
    let Some(row) = store.get_sealed(Table::Files, &id.key(), scope)? else { return Ok(None) };
    let end = memchr::memchr(b'\n', &row).ok_or_else(damaged)?;
    let (header, around) = row.split_at_checked(end).ok_or_else(damaged)?;
    let header: Header = decode(Table::Files, header)?;
    Ok(Some(File { header, around: around.get(1..).ok_or_else(damaged)?.to_vec() }))
}
