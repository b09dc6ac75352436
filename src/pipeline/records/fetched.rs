//! A file that was taken from a laboratory's server, remembered for as long as it lies there.
//!
//! Its name may hold a patient's, so the row's key holds only a keyed digest of name, size and time, and the rest is
//! sealed. The record stands before anything is changed on the laboratory's side.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::pipeline::records::message;
use crate::security::blind_index::INDEX_BYTES;
use crate::store;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Store;
use crate::store::Table;
use crate::store::backend::SCAN_ROWS_MAX;

/// A keyed digest of a file's path, size and time of change: what tells one file of a feed from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchedKey(pub [u8; INDEX_BYTES]);

/// What is known of a file that was taken.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    pub taken_at: Timestamp,
    /// Of the bytes that were read, in hexadecimal.
    pub sha256: String,
    pub bytes: usize,
    pub messages: usize,
    /// It was read when its time of change had passed, so that another file of its size and time is one of its bytes.
    #[serde(default)]
    pub settled: bool,
    /// What the laboratory is still to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

/// A receipt that was not written yet.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Of the file it is about.
    pub name: String,
    pub text: String,
}

/// A feed's rows stand together. Its name has no NUL, so that no feed's rows begin with another's name.
fn row(feed: &str, key: &[u8]) -> Vec<u8> {
    [feed.as_bytes(), &[0], key].concat()
}

/// Adds the record of a file to a change.
pub fn put(change: &mut Change, feed: &str, key: FetchedKey, fetched: &Fetched) {
    change.put_sealed(Table::Fetched, &row(feed, &key.0), &message::scope_of(Some(feed)), encode(fetched));
}

pub fn delete(change: &mut Change, feed: &str, key: FetchedKey) {
    change.delete(Table::Fetched, &row(feed, &key.0));
}

/// Every file that a feed took and still remembers.
pub fn of_feed(store: &Store, feed: &str) -> Result<Vec<(FetchedKey, Fetched)>, store::Error> {
    let (prefix, scope) = (row(feed, &[]), message::scope_of(Some(feed)));
    let mut found: Vec<(FetchedKey, Fetched)> = Vec::new();
    let mut scan = Scan::prefix(Table::Fetched, &prefix);
    loop {
        let page = store.scan_sealed(&scan, &scope)?;
        for (key, row) in &page {
            let key = key.get(prefix.len()..).and_then(|it| it.try_into().ok());
            let key = key.map(FetchedKey).ok_or(store::Error::Damaged { table: Table::Fetched })?;
            found.push((key, decode(Table::Fetched, row)?));
        }
        match page.last() {
            Some((last, _)) if page.len() == SCAN_ROWS_MAX => {
                scan = Scan::prefix(Table::Fetched, &prefix).after(last);
            }
            _ => return Ok(found),
        }
    }
}
