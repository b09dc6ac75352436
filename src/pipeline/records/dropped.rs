//! A file that waits in a feed's inbox, and the receipt of one that was taken.
//!
//! Rows are keyed by feed and id, so that a feed's files stand together in the order they came. Everything is sealed
//! under the feed's key, names too; a name is found by its blind index.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::clock::Id;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Store;
use crate::store::Table;
use crate::store::backend::Row;
use crate::store::backend::SCAN_ROWS_MAX;

/// What is known of a file beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// As its sender wrote it.
    pub name: String,
    pub bytes: usize,
    pub kept_at: Timestamp,
    /// False: the upload was interrupted, and the file is not to be read.
    pub whole: bool,
}

/// That a file was taken, and which messages it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Of the file.
    pub name: String,
    /// Of the receipt: a second file of the same name has a second receipt.
    pub shown_as: String,
    pub bytes: usize,
    pub sha256: String,
    pub taken_at: Timestamp,
    pub lines: Vec<Line>,
}

/// One message of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub message: MessageId,
    pub control_id: String,
    /// The same bytes came before; `message` is the first.
    pub repeated: bool,
}

/// The durable count of a feed's files that wait.
pub fn waiting_counter(feed: &str) -> String {
    format!("inbox.waiting.{feed}")
}

/// The durable count of a feed's receipts.
pub fn receipts_counter(feed: &str) -> String {
    format!("inbox.receipts.{feed}")
}

fn key(feed: &str, id: Id) -> Vec<u8> {
    [prefix(feed).as_slice(), &id.to_bytes()].concat()
}

/// A feed's name holds no zero byte, so no feed's rows begin like another's.
fn prefix(feed: &str) -> Vec<u8> {
    [feed.as_bytes(), &[0]].concat()
}

fn id_of(table: Table, feed: &str, key: &[u8]) -> Result<Id, store::Error> {
    let rest = key.strip_prefix(prefix(feed).as_slice());
    rest.and_then(|rest| Id::try_from(rest).ok()).ok_or(store::Error::Damaged { table })
}

/// The rows of a feed in one table, oldest first, at most `max`.
fn rows(
    store: &Store,
    table: Table,
    feed: &str,
    scope: &Scope,
    max: usize,
) -> Result<Vec<Row>, store::Error> {
    let mut all: Vec<Row> = Vec::new();
    while all.len() < max {
        let mut page = Scan::prefix(table, &prefix(feed)).limit(max - all.len());
        if let Some((last, _)) = all.last() {
            page = page.after(last);
        }
        let rows = store.scan_sealed(&page, scope)?;
        let is_last = rows.len() < SCAN_ROWS_MAX.min(max - all.len());
        all.extend(rows);
        if is_last {
            break;
        }
    }
    Ok(all)
}

fn opened<T: serde::de::DeserializeOwned>(
    table: Table,
    feed: &str,
    rows: &[Row],
) -> Result<Vec<(Id, T)>, store::Error> {
    rows.iter().map(|(key, row)| Ok((id_of(table, feed, key)?, decode(table, row)?))).collect()
}

/// The row that a name leads to.
fn named<T: serde::de::DeserializeOwned>(
    store: &Store,
    table: Table,
    feed: &str,
    scope: &Scope,
    name: &str,
) -> Result<Option<(Id, T)>, store::Error> {
    let Some(key) = store.find(table, scope, Field::FileName, name)?.into_iter().next() else {
        return Ok(None);
    };
    let row = store.get_sealed(table, &key, scope)?;
    row.map(|row| Ok((id_of(table, feed, &key)?, decode(table, &row)?))).transpose()
}

pub fn files(store: &Store, feed: &str, scope: &Scope, max: usize) -> Result<Vec<(Id, File)>, store::Error> {
    opened(Table::Drops, feed, &rows(store, Table::Drops, feed, scope, max)?)
}

pub fn find(
    store: &Store,
    feed: &str,
    scope: &Scope,
    name: &str,
) -> Result<Option<(Id, File)>, store::Error> {
    named(store, Table::Drops, feed, scope, name)
}

pub fn content(store: &Store, feed: &str, scope: &Scope, id: Id) -> Result<Option<Vec<u8>>, store::Error> {
    store.get_sealed(Table::DropContents, &key(feed, id), scope)
}

/// Adds a file to a change. `alone`: a conflict if its name is in use.
pub fn put(change: &mut Change, feed: &str, scope: &Scope, id: Id, file: &File, content: Bytes, alone: bool) {
    let key = key(feed, id);
    if alone {
        change.index_unique(Table::Drops, &key, scope, Field::FileName, &file.name);
    } else {
        change.index(Table::Drops, &key, scope, Field::FileName, &file.name);
    }
    change.put_sealed(Table::Drops, &key, scope, encode(file));
    change.put_sealed_long(Table::DropContents, &key, scope, Vec::new(), content);
    change.count(waiting_counter(feed), 1);
}

/// Removes a file; a conflict if it is gone.
pub fn remove(change: &mut Change, feed: &str, scope: &Scope, id: Id, name: &str) {
    let key = key(feed, id);
    change.expect_present(Table::Drops, &key);
    change.unindex(Table::Drops, &key, scope, Field::FileName, name);
    change.delete(Table::Drops, &key);
    change.delete(Table::DropContents, &key);
    change.count(waiting_counter(feed), -1);
}

/// Gives a file another name; a conflict if it is gone.
pub fn rename(change: &mut Change, feed: &str, scope: &Scope, id: Id, file: &File, to: &str) {
    let key = key(feed, id);
    change.expect_present(Table::Drops, &key);
    change.unindex(Table::Drops, &key, scope, Field::FileName, &file.name);
    change.index(Table::Drops, &key, scope, Field::FileName, to);
    change.put_sealed(Table::Drops, &key, scope, encode(&File { name: to.to_owned(), ..file.clone() }));
}

pub fn receipts(
    store: &Store,
    feed: &str,
    scope: &Scope,
    max: usize,
) -> Result<Vec<(Id, Receipt)>, store::Error> {
    opened(Table::FileReceipts, feed, &rows(store, Table::FileReceipts, feed, scope, max)?)
}

pub fn find_receipt(
    store: &Store,
    feed: &str,
    scope: &Scope,
    shown_as: &str,
) -> Result<Option<(Id, Receipt)>, store::Error> {
    named(store, Table::FileReceipts, feed, scope, shown_as)
}

/// Adds a receipt to a change; a conflict if its name is in use.
pub fn put_receipt(change: &mut Change, feed: &str, scope: &Scope, id: Id, receipt: &Receipt) {
    let key = key(feed, id);
    change.index_unique(Table::FileReceipts, &key, scope, Field::FileName, &receipt.shown_as);
    change.put_sealed(Table::FileReceipts, &key, scope, encode(receipt));
    change.count(receipts_counter(feed), 1);
}

/// Removes a receipt; a conflict if it is gone.
pub fn remove_receipt(change: &mut Change, feed: &str, scope: &Scope, id: Id, shown_as: &str) {
    let key = key(feed, id);
    change.expect_present(Table::FileReceipts, &key);
    change.count(receipts_counter(feed), -1);
    change.unindex(Table::FileReceipts, &key, scope, Field::FileName, shown_as);
    change.delete(Table::FileReceipts, &key);
}
