//! The store as the rest of the gateway sees it: seals what goes in, opens what comes out, finds by identifier.
//!
//! It holds the master key and the scopes' keys, made when first needed and durable before first use. A row opens only
//! under the scope that is asked for, so a caller that names its clinic cannot read another's.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use zeroize::Zeroizing;

use crate::audit;
use crate::security::blind_index;
use crate::security::blind_index::Field;
use crate::security::blind_index::INDEX_BYTES;
use crate::security::keys::MasterKey;
use crate::security::keys::Scope;
use crate::security::keys::ScopeKeys;
use crate::security::row_tag::RowTag;
use crate::store::Error;
use crate::store::backend::Backend;
use crate::store::backend::Committed;
use crate::store::backend::Operation;
use crate::store::backend::Precondition;
use crate::store::backend::Row;
use crate::store::backend::Scan;
use crate::store::backend::Table;
use crate::store::backend::VALUE_BYTES_MAX;
use crate::store::backend::Write;
use crate::store::change::Change;
use crate::store::change::Lookup;
use crate::store::change::Step;
use crate::store::parts;
use crate::store::parts::Place;
use crate::store::trail;

/// The layout of tables, keys and values. Another layout is another number.
const FORMAT: &str = "1";
const FORMAT_ROW: &[u8] = b"format";
const KEY_CHECK_ROW: &[u8] = b"key check value";

/// A store and its keys.
#[derive(Debug)]
pub struct Store {
    backend: Arc<dyn Backend>,
    master: MasterKey,
    /// As many as there are feeds and clinics.
    keys: RwLock<HashMap<Scope, Arc<ScopeKeys>>>,
    rows: RowTag,
}

impl Store {
    /// Opens a store with its master key; a new store takes the key as its own.
    ///
    /// # Errors
    /// [`Error::WrongKey`] and [`Error::UnknownFormat`] before anything is read or written.
    pub async fn open(backend: Arc<dyn Backend>, master: MasterKey) -> Result<Self, Error> {
        if backend.get(Table::Meta, FORMAT_ROW)?.is_none() {
            initialise(backend.as_ref(), &master).await?;
        }
        let format = backend.get(Table::Meta, FORMAT_ROW)?.unwrap_or_default();
        if format != FORMAT.as_bytes() {
            let found = String::from_utf8_lossy(&format).chars().take(16).collect();
            return Err(Error::UnknownFormat { found, known: FORMAT });
        }
        if backend.get(Table::Meta, KEY_CHECK_ROW)?.as_deref() != Some(master.check_value().as_slice()) {
            return Err(Error::WrongKey);
        }
        let keys = ensure_keys(backend.as_ref(), &master, &Scope::Gateway).await?;
        let rows = RowTag::new(&keys);
        let keys = RwLock::new(HashMap::from([(Scope::Gateway, Arc::new(keys))]));
        Ok(Self { backend, master, keys, rows })
    }

    /// Commits a change whole; when this returns, it is flushed.
    ///
    /// # Errors
    /// After [`Error::Conflict`] nothing of it is written; after [`Error::Write`] whether it is, is unknown.
    pub async fn commit(&self, change: Change) -> Result<Committed, Error> {
        for scope in change.steps.iter().filter_map(Step::scope) {
            self.keys(scope).await?;
        }
        let mut write = Write::default();
        for step in change.steps {
            self.add(&mut write, step)?;
        }
        self.backend.commit(write).await
    }

    /// Opens a row under its scope.
    pub fn get_sealed(&self, table: Table, key: &[u8], scope: &Scope) -> Result<Option<Vec<u8>>, Error> {
        let sealed = self.backend.get(table, key)?;
        sealed.map(|sealed| self.unseal(table, key, scope, &sealed)).transpose()
    }

    /// Reads a plain row.
    pub fn get_plain(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let stored = self.backend.get(table, key)?;
        stored.map(|stored| self.untag(table, key, stored)).transpose()
    }

    /// Opens a page of rows, all of one scope.
    pub fn scan_sealed(&self, scan: &Scan, scope: &Scope) -> Result<Vec<Row>, Error> {
        let rows = self.backend.scan(scan)?;
        let open = |(key, sealed): Row| Ok((key.clone(), self.unseal(scan.table, &key, scope, &sealed)?));
        rows.into_iter().map(open).collect()
    }

    /// Reads a page of plain rows.
    pub fn scan_plain(&self, scan: &Scan) -> Result<Vec<Row>, Error> {
        let rows = self.backend.scan(scan)?;
        let read = |(key, stored): Row| Ok((key.clone(), self.untag(scan.table, &key, stored)?));
        rows.into_iter().map(read).collect()
    }

    /// The keys of the rows that an identifier leads to, in their order: at most a page of them.
    pub fn find(
        &self,
        table: Table,
        scope: &Scope,
        field: Field,
        value: &str,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let Some(keys) = self.known_keys(scope)? else { return Ok(Vec::new()) };
        let index = blind_index::index(&keys, table.name(), field, value);
        let rows = self.backend.scan(&Scan::prefix(Table::Index, &index))?;
        Ok(rows.into_iter().filter_map(|(key, _)| key.get(INDEX_BYTES..).map(<[u8]>::to_vec)).collect())
    }

    /// A durable count; 0 for one that never counted.
    pub fn counter(&self, name: &str) -> Result<i64, Error> {
        self.backend.get(Table::Counters, name.as_bytes())?.map_or(Ok(0), |value| count(&value))
    }

    /// The durable counts whose names begin so, by name.
    pub fn counters(&self, prefix: &str) -> Result<Vec<(String, i64)>, Error> {
        let rows = self.backend.scan(&Scan::prefix(Table::Counters, prefix.as_bytes()))?;
        let named = |(name, value): Row| {
            let name = String::from_utf8(name).map_err(|_| Error::Damaged { table: Table::Counters })?;
            Ok((name, count(&value)?))
        };
        rows.into_iter().map(named).collect()
    }

    /// A keyed digest under a scope's key that never rotates: for Cliniko markers and pseudonyms.
    pub async fn mac(
        &self,
        scope: &Scope,
        purpose: &str,
        parts: &[&[u8]],
    ) -> Result<[u8; INDEX_BYTES], Error> {
        Ok(blind_index::mac(self.keys(scope).await?.as_ref(), purpose, parts))
    }

    /// The gateway's own secret of this name, made once and kept sealed.
    pub async fn secret(
        &self,
        name: &str,
        make: impl FnOnce() -> Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = name.as_bytes();
        if self.backend.get(Table::Secrets, key)?.is_none() {
            let mut change = Change::new();
            change.expect_absent(Table::Secrets, key).put_sealed(
                Table::Secrets,
                key,
                &Scope::Gateway,
                make().to_vec(),
            );
            match self.commit(change).await {
                // Another made it meanwhile: there is one, and that one counts.
                Ok(_) | Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let secret = self.get_sealed(Table::Secrets, key, &Scope::Gateway)?;
        secret.map(Zeroizing::new).ok_or(Error::Damaged { table: Table::Secrets })
    }

    /// Verifies the audit chain, as anyone can without a key.
    pub fn verify_audit(&self, expect_head: Option<audit::Hash>) -> Result<audit::Verified, Error> {
        trail::verify_audit(self.backend.as_ref(), expect_head)
    }

    /// The backend, for what needs no key.
    pub fn backend(&self) -> &dyn Backend {
        self.backend.as_ref()
    }

    /// Whether changes can be taken; false for good after a write failed.
    pub fn is_writable(&self) -> bool {
        self.backend.is_writable()
    }

    fn add(&self, write: &mut Write, step: Step) -> Result<(), Error> {
        let Write { preconditions, operations, audit } = write;
        match step {
            Step::Audit(entry) => {
                let line = entry.line();
                within(Table::Audit, line.len(), audit::LINE_BYTES_MAX)?;
                audit.push(line);
            }
            Step::Count { name, delta } => operations.push(Operation::Count { name, delta }),
            Step::Delete { table, key } => {
                operations.extend(parts::forget_parts(table, &key));
                operations.push(Operation::Delete { table, key });
            }
            Step::ExpectAbsent { table, key } => preconditions.push(Precondition::Absent { table, key }),
            Step::ExpectEquals { table, key, value } => {
                let value = self.rows.attach(table.name(), &key, &value);
                preconditions.push(Precondition::Equals { table, key, value });
            }
            Step::ExpectPresent { table, key } => preconditions.push(Precondition::Present { table, key }),
            Step::ExpectUnindexed(lookup) => {
                let prefix = self.index_row(&lookup, &[])?;
                preconditions.push(Precondition::NoneWithPrefix { table: Table::Index, prefix });
            }
            Step::Index(lookup, key) => {
                let key = self.index_row(&lookup, &key)?;
                operations.push(Operation::Put { table: Table::Index, key, value: Vec::new() });
            }
            Step::PutPlain { table, key, value } => {
                within(table, value.len(), VALUE_BYTES_MAX)?;
                let value = self.rows.attach(table.name(), &key, &value);
                operations.push(Operation::Put { table, key, value });
            }
            Step::PutSealed { table, key, scope, value } => {
                within(table, value.len(), VALUE_BYTES_MAX)?;
                let keys = self.present_keys(&scope)?;
                Place { keys: &keys, table, key: &key, scope: &scope }.put(operations, value);
            }
            Step::Unindex(lookup, key) => {
                let key = self.index_row(&lookup, &key)?;
                operations.push(Operation::Delete { table: Table::Index, key });
            }
        }
        Ok(())
    }

    fn index_row(&self, lookup: &Lookup, key: &[u8]) -> Result<Vec<u8>, Error> {
        let keys = self.present_keys(&lookup.scope)?;
        let index = blind_index::index(&keys, lookup.table.name(), lookup.field, &lookup.value);
        Ok([&index, key].concat())
    }

    fn unseal(&self, table: Table, key: &[u8], scope: &Scope, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let keys = self.present_keys(scope)?;
        Place { keys: &keys, table, key, scope }.open(self.backend.as_ref(), sealed)
    }

    fn untag(&self, table: Table, key: &[u8], stored: Vec<u8>) -> Result<Vec<u8>, Error> {
        self.rows.detach(table.name(), key, stored).ok_or(Error::Damaged { table })
    }

    /// The scope's keys, made now if it has none.
    async fn keys(&self, scope: &Scope) -> Result<Arc<ScopeKeys>, Error> {
        if let Some(keys) = self.known_keys(scope)? {
            return Ok(keys);
        }
        let keys = ensure_keys(self.backend.as_ref(), &self.master, scope).await?;
        Ok(self.remember(scope, keys))
    }

    fn present_keys(&self, scope: &Scope) -> Result<Arc<ScopeKeys>, Error> {
        self.known_keys(scope)?.ok_or_else(|| Error::KeyMissing { scope: scope.clone() })
    }

    /// The scope's keys if it has any.
    fn known_keys(&self, scope: &Scope) -> Result<Option<Arc<ScopeKeys>>, Error> {
        if let Some(keys) = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(scope) {
            return Ok(Some(Arc::clone(keys)));
        }
        let stored = stored_keys(self.backend.as_ref(), &self.master, scope)?;
        Ok(stored.map(|keys| self.remember(scope, keys)))
    }

    fn remember(&self, scope: &Scope, keys: ScopeKeys) -> Arc<ScopeKeys> {
        let mut known = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(scope.clone()).or_insert_with(|| Arc::new(keys)))
    }
}

async fn initialise(backend: &dyn Backend, master: &MasterKey) -> Result<(), Error> {
    let table = Table::Meta;
    let row = |key: &[u8], value: &[u8]| Operation::Put { table, key: key.to_vec(), value: value.to_vec() };
    let write = Write {
        // A store that lost its format row is damaged, not new: its keys are still there.
        preconditions: vec![
            Precondition::NoneWithPrefix { table, prefix: Vec::new() },
            Precondition::NoneWithPrefix { table: Table::Keys, prefix: Vec::new() },
        ],
        operations: vec![row(FORMAT_ROW, FORMAT.as_bytes()), row(KEY_CHECK_ROW, &master.check_value())],
        audit: Vec::new(),
    };
    match backend.commit(write).await {
        Ok(_) => Ok(()),
        // Another node made it, or it is damaged: what is there decides.
        Err(Error::Conflict { .. }) if backend.get(table, FORMAT_ROW)?.is_some() => Ok(()),
        Err(Error::Conflict { .. }) => Err(Error::Damaged { table }),
        Err(error) => Err(error),
    }
}

async fn ensure_keys(backend: &dyn Backend, master: &MasterKey, scope: &Scope) -> Result<ScopeKeys, Error> {
    if let Some(keys) = stored_keys(backend, master, scope)? {
        return Ok(keys);
    }
    let (table, key) = (Table::Keys, scope.label().into_bytes());
    let value = master.wrap(scope, &ScopeKeys::generate());
    let write = Write {
        preconditions: vec![Precondition::Absent { table, key: key.clone() }],
        operations: vec![Operation::Put { table, key, value }],
        audit: Vec::new(),
    };
    match backend.commit(write).await {
        // What is read back is what is durable, be it ours or that of another who was first.
        Ok(_) | Err(Error::Conflict { .. }) => {
            stored_keys(backend, master, scope)?.ok_or_else(|| Error::KeyMissing { scope: scope.clone() })
        }
        Err(error) => Err(error),
    }
}

fn stored_keys(backend: &dyn Backend, master: &MasterKey, scope: &Scope) -> Result<Option<ScopeKeys>, Error> {
    let wrapped = backend.get(Table::Keys, scope.label().as_bytes())?;
    let unwrapped = wrapped.map(|wrapped| master.unwrap_keys(scope, &wrapped)).transpose();
    unwrapped.map_err(|source| Error::Key { scope: scope.clone(), source })
}

fn within(table: Table, bytes: usize, max: usize) -> Result<(), Error> {
    if bytes > max { Err(Error::TooLarge { table, bytes, max }) } else { Ok(()) }
}

fn count(value: &[u8]) -> Result<i64, Error> {
    value.try_into().map(i64::from_be_bytes).map_err(|_| Error::Damaged { table: Table::Counters })
}
