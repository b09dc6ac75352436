//! Long values in parts: each is sealed alone and stands in a row of its own, so that neither sealing nor a page of the
//! file ever needs a whole value a second time.
//!
//! The value's own row then holds a table of contents. A name drawn for each value binds its parts to it: a part of an
//! earlier value of the same row, or one in another place, does not open.

use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::rand;
use zeroize::Zeroize;
use zeroize::Zeroizing;

use crate::security::keys::Scope;
use crate::security::keys::ScopeKeys;
use crate::security::sealing;
use crate::store::Error;
use crate::store::backend::Backend;
use crate::store::backend::Later;
use crate::store::backend::Operation;
use crate::store::backend::Table;
use crate::store::change::Value;

/// A sealed part with its key fits a quarter of a mebibyte, and so a page of the embedded backend.
pub const PART_BYTES: usize = 252 * 1024;

/// The first byte of a row that holds a table of contents. No sealed value begins so: it begins with its version.
const CONTENTS: u8 = 0;
const NAME_BYTES: usize = 16;

/// Where a value belongs, and the keys that seal it.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) keys: &'a Arc<ScopeKeys>,
    pub(super) table: Table,
    pub(super) key: &'a [u8],
    pub(super) scope: &'a Scope,
}

impl Place<'_> {
    /// Adds what writes a value here, sealed; a long one part by part, each when its turn comes.
    pub(super) fn put(self, operations: &mut Vec<Operation>, value: Value) {
        operations.extend(forget_parts(self.table, self.key));
        let bytes = value.len();
        if bytes <= PART_BYTES || !self.table.holds_long_values() {
            let value = seal(self.keys, self.table, self.key, self.scope, &stretch(&value, 0..bytes));
            operations.push(Operation::Put { table: self.table, key: self.key.to_vec(), value });
            return;
        }
        let mut contents = vec![0; NAME_BYTES];
        rand::fill(&mut contents).expect("the operating system's generator does not fail once it is seeded");
        let name = contents.clone();
        contents.extend_from_slice(&(bytes as u64).to_be_bytes());
        let value = Arc::new(value);
        for number in 0..bytes.div_ceil(PART_BYTES) {
            let key = self.part(number);
            let bound = [&key, name.as_slice()].concat();
            let (keys, scope, value) = (Arc::clone(self.keys), self.scope.clone(), Arc::clone(&value));
            let range = number * PART_BYTES..bytes.min((number + 1) * PART_BYTES);
            let part = move || seal(&keys, Table::Parts, &bound, &scope, &stretch(&value, range.clone()));
            operations.push(Operation::PutLater { table: Table::Parts, key, value: Later::new(part) });
        }
        let mut row = vec![CONTENTS];
        row.append(&mut seal(self.keys, self.table, self.key, self.scope, &contents));
        operations.push(Operation::Put { table: self.table, key: self.key.to_vec(), value: row });
    }

    /// Opens what was found here, and fetches its parts.
    pub(super) fn open(self, backend: &dyn Backend, found: &[u8]) -> Result<Vec<u8>, Error> {
        let Some(contents) = found.strip_prefix(&[CONTENTS]) else {
            return self.unseal(self.table, self.key, found);
        };
        let damaged = || Error::Damaged { table: self.table };
        let contents = self.unseal(self.table, self.key, contents)?;
        let (name, bytes) = contents.split_at_checked(NAME_BYTES).ok_or_else(damaged)?;
        let bytes = bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged())?;
        let bytes = usize::try_from(bytes).map_err(|_| damaged())?;
        let mut value = Vec::with_capacity(bytes);
        for number in 0..bytes.div_ceil(PART_BYTES) {
            let key = self.part(number);
            let sealed = backend.get(Table::Parts, &key)?.ok_or_else(damaged)?;
            let mut part = self.unseal(Table::Parts, &[&key, name].concat(), &sealed)?;
            value.extend_from_slice(&part);
            part.zeroize();
        }
        if value.len() == bytes { Ok(value) } else { Err(damaged()) }
    }

    fn part(self, number: usize) -> Vec<u8> {
        let mut key = prefix(self.table, self.key);
        key.extend_from_slice(&(number as u64).to_be_bytes());
        key
    }

    fn unseal(self, table: Table, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let row = sealing::Row { table: table.name(), key, scope: self.scope };
        sealing::open(&self.keys.data, &row, sealed).map_err(|source| Error::Sealed { table, source })
    }
}

fn seal(keys: &ScopeKeys, table: Table, key: &[u8], scope: &Scope, plain: &[u8]) -> Vec<u8> {
    let row = sealing::Row { table: table.name(), key, scope };
    sealing::seal(&keys.data, keys.id, &row, plain)
}

/// A stretch of a value, which may begin in its head and end in its body.
fn stretch(value: &Value, range: Range<usize>) -> Zeroizing<Vec<u8>> {
    let head = value.head.len();
    let of_head = range.start.min(head)..range.end.min(head);
    let of_body = range.start.max(head) - head..range.end.max(head) - head;
    let [head, body] = [value.head.get(of_head), value.body.get(of_body)].map(Option::unwrap_or_default);
    Zeroizing::new([head, body].concat())
}

/// What removes the parts of a row's value; none in a table that has no long values.
pub(super) fn forget_parts(table: Table, key: &[u8]) -> Option<Operation> {
    let prefix = || prefix(table, key);
    table.holds_long_values().then(|| Operation::DeletePrefix { table: Table::Parts, prefix: prefix() })
}

/// Lengths first: no two rows can spell the same bytes.
fn prefix(table: Table, key: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::new();
    for part in [table.name().as_bytes(), key] {
        prefix.extend_from_slice(&(part.len() as u64).to_be_bytes());
        prefix.extend_from_slice(part);
    }
    prefix
}
