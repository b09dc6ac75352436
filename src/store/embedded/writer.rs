//! The writer thread: takes all writes that are queued, at most [`GROUP_WRITES_MAX`], commits once, answers all.
//!
//! There is no timer: while one group is being flushed the next one gathers, so the group grows with the load.
//! The thread ends at the first failed commit and at the first panic; either way no later write is taken.
//! Only a full disk is waited out: what is queued is refused, and the file is opened anew until a commit succeeds.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use redb::Database;
use redb::Durability;
use redb::ReadableTable;
use redb::WriteTransaction;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::audit;
use crate::store::Cause;
use crate::store::Error;
use crate::store::backend::Committed;
use crate::store::backend::Operation;
use crate::store::backend::Precondition;
use crate::store::backend::Table;
use crate::store::backend::Write;
use crate::store::backend::successor;
use crate::store::embedded::Config;
use crate::store::embedded::SharedDatabase;
use crate::store::embedded::definition;
use crate::store::embedded::open_database;

/// Most writes in one flush: bounds the memory of a group and the wait of its first write.
const GROUP_WRITES_MAX: usize = 512;

/// How often a full disk is tried again: far within the ten seconds in which R3 wants the next message taken.
const ROOM_RETRY: Duration = Duration::from_millis(250);

/// A write, and where its answer goes.
pub(super) struct Queued {
    pub(super) write: Write,
    pub(super) answer: oneshot::Sender<Result<Committed, Error>>,
}

pub(super) struct Writer {
    config: Config,
    database: Arc<SharedDatabase>,
    writable: Arc<AtomicBool>,
    chain: Committed,
}

/// However the writer ends, nobody may think it still takes writes.
impl Drop for Writer {
    fn drop(&mut self) {
        self.writable.store(false, Ordering::Release);
    }
}

impl Writer {
    pub(super) fn new(
        config: Config,
        database: Arc<SharedDatabase>,
        writable: Arc<AtomicBool>,
    ) -> Result<Self, redb::Error> {
        let chain = prepare(database.read().unwrap_or_else(PoisonError::into_inner).as_ref())?;
        Ok(Self { config, database, writable, chain })
    }

    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Queued>) {
        let mut group = Vec::with_capacity(GROUP_WRITES_MAX);
        while queue.blocking_recv_many(&mut group, GROUP_WRITES_MAX) > 0 {
            let (writes, answers): (Vec<_>, Vec<_>) =
                group.drain(..).map(|queued| (queued.write, queued.answer)).unzip();
            match self.commit(writes) {
                Ok(outcomes) => {
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        // Who no longer waits for the answer has dropped its end.
                        let _ = answer.send(outcome);
                    }
                }
                Err(error) => {
                    self.writable.store(false, Ordering::Release);
                    let full = is_disk_full(&error);
                    tracing::error!(%error, full, "a commit failed; the store takes no changes");
                    let cause: Cause = Arc::new(error);
                    let error = if full { Error::DiskFull(cause) } else { Error::Write(cause) };
                    for answer in answers {
                        let _ = answer.send(Err(error.clone()));
                    }
                    if !full || !self.wait_for_room(&mut queue) {
                        return;
                    }
                }
            }
        }
    }

    /// Refuses what is queued until the file, opened anew, takes a commit. False when it cannot, or nobody waits for it.
    fn wait_for_room(&mut self, queue: &mut mpsc::Receiver<Queued>) -> bool {
        loop {
            loop {
                match queue.try_recv() {
                    Ok(queued) => drop(queued.answer.send(Err(Error::NotWritable))),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => return false,
                }
            }
            thread::sleep(ROOM_RETRY);
            match self.reopen() {
                Ok(chain) => {
                    self.chain = chain;
                    self.writable.store(true, Ordering::Release);
                    return true;
                }
                Err(error) if is_disk_full(&error) => {}
                Err(_) => return false,
            }
        }
    }

    pub(super) fn reopen(&self) -> Result<Committed, redb::Error> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(failed) = database.take() {
            // It cannot be written, so it cannot be closed cleanly either; what matters is that its lock is gone.
            let _ = failed.close();
        }
        prepare(Some(database.insert(open_database(&self.config)?)))
    }

    pub(super) fn commit(
        &mut self,
        writes: Vec<Write>,
    ) -> Result<Vec<Result<Committed, Error>>, redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = begin(database.as_ref().ok_or(redb::Error::DatabaseClosed)?)?;
        let mut group = Group::new(&transaction, self.chain);
        let outcomes = writes.into_iter().map(|write| group.apply(write)).collect::<Result<_, _>>()?;
        let chain = group.finish()?;
        transaction.commit()?;
        self.chain = chain;
        Ok(outcomes)
    }
}

/// Makes the tables that are missing, and finds the end of the audit chain.
fn prepare(database: Option<&Database>) -> Result<Committed, redb::Error> {
    let transaction = begin(database.ok_or(redb::Error::DatabaseClosed)?)?;
    for table in Table::ALL {
        transaction.open_table(definition(*table))?;
    }
    let chain = end_of_chain(&transaction)?;
    transaction.commit()?;
    Ok(chain)
}

fn is_disk_full(error: &redb::Error) -> bool {
    use std::io::ErrorKind;
    let redb::Error::Io(error) = error else { return false };
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    // Opening after a crash then takes milliseconds whatever the size of the file, for an eighth of the rate.
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn end_of_chain(transaction: &WriteTransaction) -> Result<Committed, redb::Error> {
    let table = transaction.open_table(definition(Table::Audit))?;
    let Some((key, value)) = table.last()? else {
        return Ok(Committed { audit_entries: 0, audit_head: audit::Hash::ORIGIN });
    };
    let damaged = || redb::Error::Corrupted("the last audit row cannot be read".to_owned());
    let sequence: [u8; 8] = key.value().try_into().map_err(|_| damaged())?;
    let link = audit::Link::from_bytes(value.value()).ok_or_else(damaged)?;
    Ok(Committed { audit_entries: u64::from_be_bytes(sequence).saturating_add(1), audit_head: link.hash })
}

type OpenTable<'transaction> = redb::Table<'transaction, &'static [u8], &'static [u8]>;

/// The writes of one flush, as far as they are applied.
struct Group<'transaction> {
    transaction: &'transaction WriteTransaction,
    tables: BTreeMap<Table, OpenTable<'transaction>>,
    /// Summed over the group: a count is read and written once a flush.
    counts: BTreeMap<String, i64>,
    chain: Committed,
}

impl<'transaction> Group<'transaction> {
    fn new(transaction: &'transaction WriteTransaction, chain: Committed) -> Self {
        Self { transaction, tables: BTreeMap::new(), counts: BTreeMap::new(), chain }
    }

    fn table(&mut self, table: Table) -> Result<&mut OpenTable<'transaction>, redb::Error> {
        use std::collections::btree_map::Entry;
        Ok(match self.tables.entry(table) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(closed) => closed.insert(self.transaction.open_table(definition(table))?),
        })
    }

    /// Applies one write whole, or none of it when a precondition does not hold.
    fn apply(&mut self, write: Write) -> Result<Result<Committed, Error>, redb::Error> {
        for precondition in &write.preconditions {
            if !self.holds(precondition)? {
                return Ok(Err(Error::Conflict { table: precondition.table() }));
            }
        }
        for operation in write.operations {
            match operation {
                Operation::Count { name, delta } => {
                    let count = self.counts.entry(name).or_default();
                    *count = count.saturating_add(delta);
                }
                Operation::Delete { table, key } => drop(self.table(table)?.remove(key.as_slice())?),
                Operation::DeletePrefix { table, prefix } => self.delete_prefix(table, &prefix)?,
                Operation::Put { table, key, value } => {
                    self.table(table)?.insert(key.as_slice(), value.as_slice())?;
                }
                Operation::PutLater { table, key, value } => {
                    self.table(table)?.insert(key.as_slice(), value.make().as_slice())?;
                }
            }
        }
        for line in write.audit {
            let link = audit::Link::after(&self.chain.audit_head, line);
            let sequence = self.chain.audit_entries.to_be_bytes();
            self.table(Table::Audit)?.insert(sequence.as_slice(), link.to_bytes().as_slice())?;
            self.chain.audit_entries += 1;
            self.chain.audit_head = link.hash;
        }
        Ok(Ok(self.chain))
    }

    fn delete_prefix(&mut self, table: Table, prefix: &[u8]) -> Result<(), redb::Error> {
        let table = self.table(table)?;
        let end = successor(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = (Bound::Included(prefix), end);
        // Nearly always there is none.
        if table.range::<&[u8]>(range)?.next().is_some() {
            table.retain_in::<&[u8], _>(range, |_, _| false)?;
        }
        Ok(())
    }

    fn holds(&mut self, precondition: &Precondition) -> Result<bool, redb::Error> {
        let table = self.table(precondition.table())?;
        Ok(match precondition {
            Precondition::Absent { key, .. } => table.get(key.as_slice())?.is_none(),
            Precondition::Present { key, .. } => table.get(key.as_slice())?.is_some(),
            Precondition::Equals { key, value, .. } => {
                table.get(key.as_slice())?.is_some_and(|found| found.value() == value.as_slice())
            }
            Precondition::NoneWithPrefix { prefix, .. } => match table.range(prefix.as_slice()..)?.next() {
                Some(row) => !row?.0.value().starts_with(prefix),
                None => true,
            },
        })
    }

    /// Writes the counts, and returns the end of the audit chain.
    fn finish(mut self) -> Result<Committed, redb::Error> {
        for (name, delta) in std::mem::take(&mut self.counts) {
            let table = self.table(Table::Counters)?;
            let before = match table.get(name.as_bytes())? {
                Some(value) => i64::from_be_bytes(
                    value
                        .value()
                        .try_into()
                        .map_err(|_| redb::Error::Corrupted("a count has not eight bytes".to_owned()))?,
                ),
                None => 0,
            };
            let after = before.saturating_add(delta).to_be_bytes();
            table.insert(name.as_bytes(), after.as_slice())?;
        }
        Ok(self.chain)
    }
}
