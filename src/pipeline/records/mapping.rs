//! A mapping as it was loaded: the text of every file its digest covers, so that a message can be read as it was that day.
//!
//! One row for each digest, written once and never changed, under the gateway's own key: a mapping holds no patient's
//! data, but what a laboratory sends is its business. From the files alone the mapping compiles to the same digest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::clinical::mapping::Mapping;
use crate::pipeline::records::decode;
use crate::pipeline::records::encode;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Store;
use crate::store::Table;

/// The largest mapping that is remembered: a laboratory's whole catalogue of 50,000 rows is near 3 MiB, and a text may
/// grow sixfold where it is escaped, so that this stays within the largest row.
pub const FILES_BYTES_MAX: usize = 8 << 20;
/// Rows opened at once: each holds whole files.
const PAGE_ROWS: usize = 16;

/// A mapping that was loaded once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub lab: String,
    /// When it was first loaded.
    pub since: Timestamp,
    /// Text by name below the mappings folder.
    pub files: BTreeMap<String, String>,
}

/// Whether a mapping was written to the change; one that is too large is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembering {
    Added,
    TooLarge { bytes: usize },
}

/// Adds a mapping to a change, with those of `files` that its digest covers. Ask first whether it is there already.
pub fn remember(
    change: &mut Change,
    now: Timestamp,
    mapping: &Mapping,
    files: &BTreeMap<String, String>,
) -> Remembering {
    let covered = mapping.files().iter().filter_map(|name| files.get_key_value(name));
    let files: BTreeMap<String, String> = covered.map(|(name, text)| (name.clone(), text.clone())).collect();
    let bytes = files.values().map(String::len).sum();
    if bytes > FILES_BYTES_MAX {
        return Remembering::TooLarge { bytes };
    }
    let row = Remembered { lab: mapping.lab().to_owned(), since: now, files };
    change.put_sealed(Table::Mappings, mapping.digest().as_bytes(), &Scope::Gateway, encode(&row));
    Remembering::Added
}

/// The mapping of this digest, if it was ever loaded.
pub fn load(store: &Store, digest: &str) -> Result<Option<Remembered>, store::Error> {
    let row = store.get_sealed(Table::Mappings, digest.as_bytes(), &Scope::Gateway)?;
    row.map(|row| decode(Table::Mappings, &row)).transpose()
}

/// What a list says of a remembered mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub digest: String,
    pub lab: String,
    pub since: Timestamp,
    pub files: Vec<String>,
    pub bytes: usize,
}

/// Every mapping that was ever loaded and whose digest begins so, in the order first loaded.
pub fn list(store: &Store, beginning: &str) -> Result<Vec<Listed>, store::Error> {
    let damaged = || store::Error::Damaged { table: Table::Mappings };
    let mut scan = Scan::prefix(Table::Mappings, beginning.as_bytes()).limit(PAGE_ROWS);
    let mut found = Vec::new();
    loop {
        let rows = store.scan_sealed(&scan, &Scope::Gateway)?;
        let Some((last, _)) = rows.last() else { break };
        scan = scan.after(last);
        for (key, row) in rows {
            let Remembered { lab, since, files } = decode(Table::Mappings, &row)?;
            found.push(Listed {
                digest: String::from_utf8(key).map_err(|_| damaged())?,
                lab,
                since,
                bytes: files.values().map(String::len).sum(),
                files: files.into_keys().collect(),
            });
        }
    }
    found.sort_by(|a, b| (a.since, &a.lab).cmp(&(b.since, &b.lab)));
    Ok(found)
}
