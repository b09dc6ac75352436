//! Reading the audit chain, with no key: verifying it, and reading it page by page for an export.

use std::ops::Bound;

use crate::audit::Entry;
use crate::audit::Hash;
use crate::audit::Link;
use crate::audit::Verified;
use crate::audit::Verifier;
use crate::store::Error;
use crate::store::backend::Backend;
use crate::store::backend::Row;
use crate::store::backend::Scan;
use crate::store::backend::Table;

/// Verifies the whole chain, in constant memory. Truncation shows only against a head that was kept elsewhere.
pub fn verify_audit(backend: &dyn Backend, expect_head: Option<Hash>) -> Result<Verified, Error> {
    let mut verifier = Verifier::default();
    let mut scan = Scan::all(Table::Audit);
    loop {
        let rows = backend.scan(&scan)?;
        let Some((last, _)) = rows.last() else { return Ok(verifier.finish(expect_head)) };
        scan = scan.after(last);
        for (key, value) in &rows {
            let link = Link::from_bytes(value);
            // A key of another shape is in no place of the chain.
            match sequence(key) {
                Some(sequence) => verifier.push(sequence, link.as_ref()),
                None => verifier.push(u64::MAX, None),
            }
        }
    }
}

/// The entries from `first` on, at most `limit` of them and at most a page.
pub fn entries(backend: &dyn Backend, first: u64, limit: usize) -> Result<Vec<(u64, Entry)>, Error> {
    let scan = Scan::all(Table::Audit).from(&first.to_be_bytes()).limit(limit);
    backend.scan(&scan)?.iter().map(numbered).collect()
}

/// The last entries, newest first, before `before` when it is given.
pub fn latest(backend: &dyn Backend, before: Option<u64>, limit: usize) -> Result<Vec<(u64, Entry)>, Error> {
    let mut scan = Scan::all(Table::Audit).descending().limit(limit);
    if let Some(before) = before {
        scan.to = Bound::Excluded(before.to_be_bytes().to_vec());
    }
    backend.scan(&scan)?.iter().map(numbered).collect()
}

fn numbered((key, value): &Row) -> Result<(u64, Entry), Error> {
    let damaged = || Error::Damaged { table: Table::Audit };
    let link = Link::from_bytes(value).ok_or_else(damaged)?;
    let entry = serde_json::from_slice(&link.line).map_err(|_| damaged())?;
    Ok((sequence(key).ok_or_else(damaged)?, entry))
}

fn sequence(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}
