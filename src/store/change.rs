//! What is to change, in one piece: rows, look-ups, counts, audit entries, and what must hold for them.
//!
//! A change is built without keys and without I/O; [`crate::store::Store::commit`] seals it and commits it whole.
//! Sealed rows are for whatever touches a patient or a secret; plain rows only for ids, states, times and digests.

use std::fmt;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::audit;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store::backend::Table;

/// A change that is not yet committed.
#[derive(Default)]
#[must_use]
pub struct Change {
    pub(super) steps: Vec<Step>,
}

/// A look-up: which rows of which table an identifier leads to.
pub(super) struct Lookup {
    pub(super) table: Table,
    pub(super) scope: Scope,
    pub(super) field: Field,
    pub(super) value: Zeroizing<String>,
}

/// What is to be sealed: the body follows the head.
pub(super) struct Value {
    pub(super) head: Zeroizing<Vec<u8>>,
    /// Shared with whoever gave it, and never copied whole.
    pub(super) body: Bytes,
}

impl Value {
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

pub(super) enum Step {
    Audit(Box<audit::Entry>),
    Count { name: String, delta: i64 },
    Delete { table: Table, key: Vec<u8> },
    ExpectAbsent { table: Table, key: Vec<u8> },
    ExpectEquals { table: Table, key: Vec<u8>, value: Vec<u8> },
    ExpectPresent { table: Table, key: Vec<u8> },
    ExpectUnindexed(Lookup),
    Index(Lookup, Vec<u8>),
    PutPlain { table: Table, key: Vec<u8>, value: Vec<u8> },
    PutSealed { table: Table, key: Vec<u8>, scope: Scope, value: Value },
    Unindex(Lookup, Vec<u8>),
}

impl Change {
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a row that only its scope's key opens.
    pub fn put_sealed(
        &mut self,
        table: Table,
        key: &[u8],
        scope: &Scope,
        value: impl Into<Vec<u8>>,
    ) -> &mut Self {
        self.put_sealed_long(table, key, scope, value.into(), Bytes::new())
    }

    /// The same for a value that may be long, such as a message: its body is shared, and sealed as it is written.
    pub fn put_sealed_long(
        &mut self,
        table: Table,
        key: &[u8],
        scope: &Scope,
        head: Vec<u8>,
        body: Bytes,
    ) -> &mut Self {
        let value = Value { head: Zeroizing::new(head), body };
        self.step(Step::PutSealed { table, key: key.to_vec(), scope: scope.clone(), value })
    }

    /// Writes a row without patient data: readable in the file, tagged against damage.
    pub fn put_plain(&mut self, table: Table, key: &[u8], value: impl Into<Vec<u8>>) -> &mut Self {
        self.step(Step::PutPlain { table, key: key.to_vec(), value: value.into() })
    }

    /// Removes a row; no matter if there is none.
    pub fn delete(&mut self, table: Table, key: &[u8]) -> &mut Self {
        self.step(Step::Delete { table, key: key.to_vec() })
    }

    /// Lets a row be found by an identifier. Several rows may share one.
    pub fn index(&mut self, table: Table, key: &[u8], scope: &Scope, field: Field, value: &str) -> &mut Self {
        self.step(Step::Index(lookup(table, scope, field, value), key.to_vec()))
    }

    /// As [`Change::index`], and a conflict if any row of the table already has this identifier.
    pub fn index_unique(
        &mut self,
        table: Table,
        key: &[u8],
        scope: &Scope,
        field: Field,
        value: &str,
    ) -> &mut Self {
        self.step(Step::ExpectUnindexed(lookup(table, scope, field, value)));
        self.index(table, key, scope, field, value)
    }

    /// A conflict if any row of the table has this identifier.
    pub fn expect_unindexed(&mut self, table: Table, scope: &Scope, field: Field, value: &str) -> &mut Self {
        self.step(Step::ExpectUnindexed(lookup(table, scope, field, value)))
    }

    /// Takes back what [`Change::index`] wrote.
    pub fn unindex(
        &mut self,
        table: Table,
        key: &[u8],
        scope: &Scope,
        field: Field,
        value: &str,
    ) -> &mut Self {
        self.step(Step::Unindex(lookup(table, scope, field, value), key.to_vec()))
    }

    /// Adds to a durable count.
    pub fn count(&mut self, name: impl Into<String>, delta: i64) -> &mut Self {
        self.step(Step::Count { name: name.into(), delta })
    }

    /// Appends an entry to the audit chain.
    pub fn audit(&mut self, entry: audit::Entry) -> &mut Self {
        self.step(Step::Audit(Box::new(entry)))
    }

    /// A conflict if the row is there.
    pub fn expect_absent(&mut self, table: Table, key: &[u8]) -> &mut Self {
        self.step(Step::ExpectAbsent { table, key: key.to_vec() })
    }

    /// A conflict if the row is not there.
    pub fn expect_present(&mut self, table: Table, key: &[u8]) -> &mut Self {
        self.step(Step::ExpectPresent { table, key: key.to_vec() })
    }

    /// A conflict unless the plain row has this value. A sealed row cannot be compared; guard it by a plain one.
    pub fn expect_equals(&mut self, table: Table, key: &[u8], value: impl Into<Vec<u8>>) -> &mut Self {
        self.step(Step::ExpectEquals { table, key: key.to_vec(), value: value.into() })
    }

    /// Adds all of another change, to be committed with this one or not at all.
    pub fn append(&mut self, mut other: Self) -> &mut Self {
        self.steps.append(&mut other.steps);
        self
    }

    fn step(&mut self, step: Step) -> &mut Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Change({} steps)", self.steps.len())
    }
}

impl Step {
    /// The scope whose keys this step needs.
    pub(super) fn scope(&self) -> Option<&Scope> {
        match self {
            Self::PutSealed { scope, .. } => Some(scope),
            Self::ExpectUnindexed(lookup) | Self::Index(lookup, _) | Self::Unindex(lookup, _) => {
                Some(&lookup.scope)
            }
            _ => None,
        }
    }
}

fn lookup(table: Table, scope: &Scope, field: Field, value: &str) -> Lookup {
    Lookup { table, scope: scope.clone(), field, value: Zeroizing::new(value.to_owned()) }
}
