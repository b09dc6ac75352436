//! The embedded backend: one redb file, one process, one writer thread with group commit.
//!
//! The file is locked while it is open. All writes pass one bounded queue to the writer (`writer`), which takes what is
//! queued, commits once and answers all. After a failed or interrupted commit nothing more is written (R4): the operating
//! system may have dropped what it could not flush, and only opening the file again shows what is in it. When the cause
//! was a full disk, the writer opens it again itself as soon as there is room (R3).

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

use redb::Database;
use redb::DatabaseError;
use redb::ReadableDatabase;
use redb::TableDefinition;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::store::Cause;
use crate::store::Error;
use crate::store::backend::Backend;
use crate::store::backend::Pending;
use crate::store::backend::Row;
use crate::store::backend::Scan;
use crate::store::backend::Table;
use crate::store::backend::Write;

mod writer;

/// The file in the store's directory.
pub const FILE_NAME: &str = "store.redb";

/// Writes that may wait for the writer. A full queue makes senders wait, and so slows who sends.
const QUEUE_WRITES_MAX: usize = 1024;

const CACHE_BYTES_DEFAULT: usize = 24 * 1024 * 1024;

/// Where the store is and what it may use.
#[derive(Clone, Debug)]
pub struct Config {
    pub directory: PathBuf,
    /// Memory for pages of the file, read and not yet written.
    pub cache_bytes: usize,
}

impl Config {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), cache_bytes: CACHE_BYTES_DEFAULT }
    }
}

/// The open file; none while the writer opens it again.
type SharedDatabase = RwLock<Option<Database>>;

/// A store in a file of this machine.
#[derive(Debug)]
pub struct Embedded {
    database: Arc<SharedDatabase>,
    writable: Arc<AtomicBool>,
    /// Taken when the backend is dropped, which ends the writer.
    queue: Option<mpsc::Sender<writer::Queued>>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the store, and makes it first if there is none.
    pub fn open(config: &Config) -> Result<Self, Error> {
        create_file(&config.directory).map_err(|error| open_error(config, Arc::new(error)))?;
        Self::open_existing(config)
    }

    /// Opens a store that is there. Enough, without any key, to verify its audit chain.
    pub fn open_existing(config: &Config) -> Result<Self, Error> {
        if !config.directory.join(FILE_NAME).exists() {
            return Err(Error::NoStore { directory: config.directory.clone() });
        }
        let database = match open_database(config) {
            Ok(database) => Arc::new(RwLock::new(Some(database))),
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(Error::AlreadyOpen { directory: config.directory.clone() });
            }
            Err(error) => return Err(open_error(config, Arc::new(error))),
        };

        let (queue, queued) = mpsc::channel(QUEUE_WRITES_MAX);
        let writable = Arc::new(AtomicBool::new(true));
        let writer = writer::Writer::new(config.clone(), Arc::clone(&database), Arc::clone(&writable))
            .map_err(|error| open_error(config, Arc::new(error)))?;
        let writer = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(queued))
            .map_err(|error| open_error(config, Arc::new(error)))?;
        Ok(Self { database, writable, queue: Some(queue), writer: Some(writer) })
    }

    fn read(&self, table: Table) -> Result<redb::ReadOnlyTable<&'static [u8], &'static [u8]>, Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(|| read_error(redb::Error::DatabaseClosed))?;
        let transaction = database.begin_read().map_err(read_error)?;
        transaction.open_table(definition(table)).map_err(read_error)
    }
}

impl Backend for Embedded {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        // The value's guard does not keep its transaction alive (redb 4.6); the table does, so it must outlive the value.
        let table = self.read(table)?;
        let found = table.get(key).map_err(read_error)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, Error> {
        if scan.is_empty() {
            return Ok(Vec::new());
        }
        let range = (scan.from.as_ref().map(Vec::as_slice), scan.to.as_ref().map(Vec::as_slice));
        let mut range = self.read(scan.table)?.range::<&[u8]>(range).map_err(read_error)?;
        let mut rows = Vec::new();
        while rows.len() < scan.limit {
            let next = if scan.descending { range.next_back() } else { range.next() };
            let Some(row) = next else { break };
            let (key, value) = row.map_err(read_error)?;
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(rows)
    }

    fn commit(&self, write: Write) -> Pending<'_> {
        Box::pin(async move {
            if !self.is_writable() {
                return Err(Error::NotWritable);
            }
            let queue = self.queue.as_ref().ok_or(Error::NotWritable)?;
            let (answer, answered) = oneshot::channel();
            queue.send(writer::Queued { write, answer }).await.map_err(|_| Error::NotWritable)?;
            // A writer that stops drops the answers it still owes.
            answered.await.map_err(|_| Error::NotWritable)?
        })
    }

    fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has already refused all further writes; there is nothing left to tell.
            let _ = writer.join();
        }
    }
}

fn open_database(config: &Config) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(config.cache_bytes).create(config.directory.join(FILE_NAME))
}

const fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

/// Makes the directory and an empty file, readable by this user alone, and makes their names durable.
fn create_file(directory: &Path) -> io::Result<()> {
    if !directory.exists() {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    }
    let path = directory.join(FILE_NAME);
    if !path.exists() {
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?.sync_all()?;
        File::open(directory)?.sync_all()?;
        if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

fn open_error(config: &Config, source: Cause) -> Error {
    Error::Open { directory: config.directory.clone(), source }
}

fn read_error(error: impl Into<redb::Error>) -> Error {
    Error::Read(Arc::new(error.into()))
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::store::backend::Operation;

    fn write(key: &[u8]) -> Write {
        let operations = vec![Operation::Put { table: Table::Jobs, key: key.to_vec(), value: Vec::new() }];
        Write { operations, audit: vec![key.to_vec()], ..Write::default() }
    }

    #[tokio::test]
    async fn r04_after_a_failed_commit_nothing_more_is_taken() {
        let directory = tempdir().unwrap();
        let config = Config::new(directory.path());
        let backend = Embedded::open(&config).unwrap();
        backend.commit(write(b"kept")).await.unwrap();

        // Without its file the writer fails at its next commit, as it would if the flush did.
        backend.database.write().unwrap().take();
        assert!(matches!(backend.commit(write(b"failed")).await, Err(Error::Write(_))));
        assert!(!backend.is_writable());
        assert!(matches!(backend.commit(write(b"refused")).await, Err(Error::NotWritable)));
        drop(backend);

        let backend = Embedded::open(&config).unwrap();
        let keys: Vec<_> = backend.scan(&Scan::all(Table::Jobs)).unwrap();
        assert_eq!(keys, [(b"kept".to_vec(), Vec::new())]);
    }

    #[tokio::test]
    async fn r03_opening_the_file_anew_goes_on_where_it_ended() {
        let directory = tempdir().unwrap();
        let config = Config::new(directory.path());
        drop(Embedded::open(&config).unwrap());
        let database = Arc::new(RwLock::new(Some(open_database(&config).unwrap())));
        let writable = Arc::new(AtomicBool::new(true));
        let mut writer = writer::Writer::new(config, Arc::clone(&database), writable).unwrap();
        let kept = writer.commit(vec![write(b"kept")]).unwrap().remove(0).unwrap();

        database.write().unwrap().take();
        assert!(writer.commit(vec![write(b"failed")]).is_err());
        assert_eq!(writer.reopen().unwrap(), kept);
        let next = writer.commit(vec![write(b"next")]).unwrap().remove(0).unwrap();
        assert_eq!((kept.audit_entries, next.audit_entries), (1, 2));
    }
}
