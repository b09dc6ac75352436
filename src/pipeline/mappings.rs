//! The mappings that serve, and that each one that ever served is remembered under its digest.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::clinical::mapping::Catalog;
use crate::pipeline::records::mapping;
use crate::pipeline::records::mapping::Remembering;
use crate::store;
use crate::store::Change;
use crate::store::Store;

/// The texts of the mappings folder, by their names below it.
pub type Files = BTreeMap<String, String>;

/// What the store does not remember yet of these mappings, to be committed before any of them reads a message.
pub fn remembering(
    store: &Store,
    now: Timestamp,
    catalog: &Catalog,
    files: &Files,
) -> Result<Change, store::Error> {
    let mut change = Change::new();
    for it in catalog.iter() {
        if mapping::load(store, it.digest())?.is_some() {
            continue;
        }
        if let Remembering::TooLarge { bytes } = mapping::remember(&mut change, now, it, files) {
            tracing::warn!(lab = it.lab(), bytes, "a mapping is too large to be remembered");
        }
    }
    Ok(change)
}
