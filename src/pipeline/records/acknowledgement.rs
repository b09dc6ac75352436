//! An application acknowledgement that is owed to a laboratory's own listener: the same bytes on every try.

use serde::Deserialize;
use serde::Serialize;

use crate::pipeline::records::MessageId;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

#[derive(Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    pub header: Header,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// `HOST:PORT`.
    pub address: String,
    /// Its own MSH-10, which its answer must name.
    pub control_id: String,
}

impl Acknowledgement {
    /// Adds it to a change, sealed under the key of its message.
    pub fn put(&self, change: &mut Change, message: MessageId, scope: &Scope) {
        let mut row = encode(&self.header);
        row.push(b'\n');
        row.extend_from_slice(&self.bytes);
        change.put_sealed(Table::Acknowledgements, &message.key(), scope, row);
    }
}

/// The acknowledgement of a message, if one was ever owed.
pub fn load(
    store: &Store,
    message: MessageId,
    scope: &Scope,
) -> Result<Option<Acknowledgement>, store::Error> {
    let damaged = || store::Error::Damaged { table: Table::Acknowledgements };
    let Some(row) = store.get_sealed(Table::Acknowledgements, &message.key(), scope)? else {
        return Ok(None);
    };
    let end = memchr::memchr(b'\n', &row).ok_or_else(damaged)?;
    let (header, bytes) = row.split_at_checked(end).ok_or_else(damaged)?;
    let header = decode(Table::Acknowledgements, header)?;
    Ok(Some(Acknowledgement { header, bytes: bytes.get(1..).unwrap_or_default().to_vec() }))
}
