//! What a backend must do: ordered tables of bytes, and writes that commit whole, in order, durably.
//!
//! A backend knows neither keys nor meanings. Each [`Write`] is atomic alone: when a precondition does not hold, that
//! write is refused and its neighbours in the same flush are not. Preconditions are checked in the order of arrival,
//! inside the transaction, so they decide races. The backend numbers and links the audit lines it is given.
//! Reads are of the last commit. The contract suite is `tests/it/store.rs`.

use std::fmt;
use std::ops::Bound;
use std::pin::Pin;
use std::sync::Arc;

use crate::audit;
use crate::store::Error;

/// Largest value of one row: above the largest message or document a feed may be allowed.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most rows one scan returns; more are read page by page.
pub const SCAN_ROWS_MAX: usize = 1000;

macro_rules! tables {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// The tables. A new one is a line here; an older store gets it when it is next opened.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Table { $($(#[$doc])* $variant,)* }

        impl Table {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in the backend and in associated data: never changed once released.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

tables! {
    /// Application acknowledgements owed to laboratories' own listeners, by message.
    Acknowledgements = "acknowledgements",
    /// Documents that came inside messages: report, and their place in it.
    Attachments = "attachments",
    /// The audit chain: sequence (big-endian) to link. Written by the backend itself.
    Audit = "audit",
    /// Planned Cliniko calls and their receipts.
    Calls = "calls",
    Cases = "cases",
    /// Where each case stands, and its revision: the guard of its sealed row.
    CaseStates = "case_states",
    Clinics = "clinics",
    /// Durable counts by name, eight bytes big-endian. Written by the backend itself.
    Counters = "counters",
    Documents = "documents",
    /// When each feed was last heard.
    Feeds = "feeds",
    /// The bytes of the files below.
    DropContents = "drop_contents",
    /// Files that wait in a feed's inbox.
    Drops = "drops",
    /// What became of files that were taken.
    FileReceipts = "file_receipts",
    /// Files taken from laboratories' servers, by feed and a keyed digest of what each is known by.
    Fetched = "fetched",
    /// What came around the messages of a batch or file, and in which order.
    Files = "files",
    Holds = "holds",
    /// Blind index and row key, to nothing.
    Index = "index",
    Jobs = "jobs",
    /// Each scope's keys, wrapped by the master key.
    Keys = "keys",
    /// The files of every mapping that was ever loaded, by its digest.
    Mappings = "mappings",
    /// Raw messages as received.
    Messages = "messages",
    MessageStates = "message_states",
    /// Format version and key check value.
    Meta = "meta",
    Orders = "orders",
    /// The parts of long values of other tables.
    Parts = "parts",
    Patients = "patients",
    Reports = "reports",
    /// Signing keys and partners' credentials.
    Secrets = "secrets",
    Sessions = "sessions",
    Users = "users",
    /// Cases in the order a person should look at them: clinic, state, urgency, id; to nothing.
    Worklist = "worklist",
}

impl Table {
    /// Whether its values may hold a whole message or document, and are then kept in parts.
    pub const fn holds_long_values(self) -> bool {
        matches!(
            self,
            Self::Attachments | Self::Documents | Self::DropContents | Self::Files | Self::Messages
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A row: its key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// What a commit will say.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Result<Committed, Error>> + Send + 'a>>;

/// The storage behind a store.
pub trait Backend: fmt::Debug + Send + Sync {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, Error>;

    /// Commits a write and answers when it is flushed. A write whose future is dropped may still take effect.
    fn commit(&self, write: Write) -> Pending<'_>;

    /// Whether a commit has a chance; false for good after one failed.
    fn is_writable(&self) -> bool;
}

/// One atomic write.
#[derive(Clone, Debug, Default)]
pub struct Write {
    pub preconditions: Vec<Precondition>,
    pub operations: Vec<Operation>,
    /// Canonical audit lines, in order.
    pub audit: Vec<Vec<u8>>,
}

/// What must hold when the write's turn comes.
#[derive(Clone, Debug)]
pub enum Precondition {
    Absent {
        table: Table,
        key: Vec<u8>,
    },
    Equals {
        table: Table,
        key: Vec<u8>,
        value: Vec<u8>,
    },
    /// No row's key begins so.
    NoneWithPrefix {
        table: Table,
        prefix: Vec<u8>,
    },
    Present {
        table: Table,
        key: Vec<u8>,
    },
}

impl Precondition {
    pub const fn table(&self) -> Table {
        match self {
            Self::Absent { table, .. }
            | Self::Equals { table, .. }
            | Self::NoneWithPrefix { table, .. }
            | Self::Present { table, .. } => *table,
        }
    }
}

/// What a write does to one row, or to those whose keys begin alike.
#[derive(Clone, Debug)]
pub enum Operation {
    Count {
        name: String,
        delta: i64,
    },
    Delete {
        table: Table,
        key: Vec<u8>,
    },
    DeletePrefix {
        table: Table,
        prefix: Vec<u8>,
    },
    Put {
        table: Table,
        key: Vec<u8>,
        value: Vec<u8>,
    },
    /// The same with a value that is made when its turn comes, and so never stands beside the others of its write.
    PutLater {
        table: Table,
        key: Vec<u8>,
        value: Later,
    },
}

/// How a value is made. Whoever applies the write asks once.
#[derive(Clone)]
pub struct Later(Arc<dyn Fn() -> Vec<u8> + Send + Sync>);

impl Later {
    pub fn new(make: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub fn make(&self) -> Vec<u8> {
        (self.0)()
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Later")
    }
}

/// A write that is flushed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Committed {
    /// How many entries the audit chain has, this write's included.
    pub audit_entries: u64,
    /// The chain's head after this write.
    pub audit_head: audit::Hash,
}

/// A range of keys, a direction and a limit.
#[derive(Clone, Debug)]
pub struct Scan {
    pub table: Table,
    pub from: Bound<Vec<u8>>,
    pub to: Bound<Vec<u8>>,
    pub descending: bool,
    pub limit: usize,
}

impl Scan {
    /// Every row of a table, ascending.
    pub const fn all(table: Table) -> Self {
        Self { table, from: Bound::Unbounded, to: Bound::Unbounded, descending: false, limit: SCAN_ROWS_MAX }
    }

    /// The rows whose keys begin with `prefix`, ascending.
    pub fn prefix(table: Table, prefix: &[u8]) -> Self {
        let to = successor(prefix).map_or(Bound::Unbounded, Bound::Excluded);
        Self { from: Bound::Included(prefix.to_vec()), to, ..Self::all(table) }
    }

    /// Begins at `key`, itself included.
    #[must_use]
    pub fn from(mut self, key: &[u8]) -> Self {
        self.from = Bound::Included(key.to_vec());
        self
    }

    /// Ends before `key`.
    #[must_use]
    pub fn until(mut self, key: &[u8]) -> Self {
        self.to = Bound::Excluded(key.to_vec());
        self
    }

    /// The last rows first.
    #[must_use]
    pub const fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Goes on after the last row of a page; say the direction first.
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        let end = if self.descending { &mut self.to } else { &mut self.from };
        *end = Bound::Excluded(key.to_vec());
        self
    }

    /// At most this many rows, and never more than [`SCAN_ROWS_MAX`].
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = rows.min(SCAN_ROWS_MAX);
        self
    }

    /// Whether no key can lie within; ordered maps may refuse such a range.
    pub(crate) fn is_empty(&self) -> bool {
        use Bound::Excluded;
        use Bound::Included;
        match (&self.from, &self.to) {
            (Included(from), Included(to)) => from > to,
            (Included(from) | Excluded(from), Excluded(to)) | (Excluded(from), Included(to)) => from >= to,
            _ => false,
        }
    }
}

/// The least key above every key that begins with `prefix`; none when there is no such key.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut next: Vec<u8> = prefix.iter().take(last + 1).copied().collect();
    *next.last_mut()? += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_its_successor_begins() {
        assert_eq!(successor(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(successor(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(successor(&[255, 255]), None);
        assert_eq!(successor(b""), None);
    }

    #[test]
    fn an_impossible_range_is_empty() {
        assert!(Scan::all(Table::Jobs).from(b"b").until(b"a").is_empty());
        assert!(Scan::prefix(Table::Jobs, b"a").after(b"b").is_empty());
        assert!(!Scan::prefix(Table::Jobs, b"a").descending().after(b"ab").is_empty());
    }

    #[test]
    fn table_names_are_distinct() {
        let mut names: Vec<_> = Table::ALL.iter().map(|table| table.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Table::ALL.len());
    }
}
