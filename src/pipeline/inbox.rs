//! A feed's inbox: files that wait in the store until they are taken, and a receipt for each that was.
//!
//! A file has a name and no path; the store keeps it sealed under its feed's key, for names hold patients' names too,
//! so no log line and no audit entry has one. What a client was told is there, is flushed. Taking a file keeps each of
//! its messages first and gives it its receipt then, so a crash in between leaves a file that can be taken again and
//! makes nothing new (R6). A receipt holds the messages' ids and is written out when it is read, so that it always
//! tells how they stand.

mod receipts;
mod rule;
mod taking;

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::clock::Id;
use crate::pipeline::Pipeline;
use crate::pipeline::feeds::Feed;
use crate::pipeline::intake::Intake;
use crate::pipeline::records::dropped;
use crate::pipeline::records::dropped::File;
use crate::pipeline::records::message;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;

pub use self::receipts::Shown;
pub use self::rule::Arrival;
pub use self::rule::Rule;
pub use self::rule::Step;
pub use self::taking::Taken;

/// Why a file was not kept, moved or taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such file")]
    Absent,
    #[error("the upload of this file was interrupted: send the rest of it, or all of it again")]
    Interrupted,
    #[error("another session changed this file at the same time")]
    Changed,
    #[error("{max} files wait in the inbox already: have them taken, or remove some")]
    Full { max: usize },
    /// Nothing is claimed: the file is still its sender's.
    #[error("the gateway cannot keep messages now; send the file again later")]
    NotKept,
    #[error("the store cannot be used")]
    Store(#[from] store::Error),
}

/// How much an inbox holds.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Files that wait.
    pub files_max: usize,
    /// Receipts; the oldest go first.
    pub receipts_max: usize,
}

/// One feed's inbox; cheap to clone.
#[derive(Debug, Clone)]
pub struct Inbox {
    pipeline: Arc<Pipeline>,
    intake: Intake,
    feed: Arc<Feed>,
    scope: Scope,
    limits: Limits,
}

/// A file that waits, with the key of its row: what a later change is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub id: Id,
    pub file: File,
}

impl Inbox {
    pub fn new(pipeline: &Arc<Pipeline>, feed: &Arc<Feed>, limits: Limits) -> Self {
        Self {
            intake: Intake::new(Arc::clone(pipeline)),
            pipeline: Arc::clone(pipeline),
            scope: message::scope_of(Some(&feed.name)),
            feed: Arc::clone(feed),
            limits,
        }
    }

    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    pub fn now(&self) -> Timestamp {
        self.pipeline.clock.now()
    }

    /// The files that wait, oldest first.
    pub fn waiting(&self) -> Result<Vec<Waiting>, Error> {
        let rows = dropped::files(&self.pipeline.store, &self.feed.name, &self.scope, self.limits.files_max)?;
        Ok(rows.into_iter().map(|(id, file)| Waiting { id, file }).collect())
    }

    pub fn find(&self, name: &str) -> Result<Option<Waiting>, Error> {
        let found = dropped::find(&self.pipeline.store, &self.feed.name, &self.scope, name)?;
        Ok(found.map(|(id, file)| Waiting { id, file }))
    }

    /// The bytes of a file that waits.
    pub fn content(&self, waiting: &Waiting) -> Result<Vec<u8>, Error> {
        let content = dropped::content(&self.pipeline.store, &self.feed.name, &self.scope, waiting.id)?;
        content.ok_or(Error::Absent)
    }

    /// Keeps a file durably under its name, in place of what stood there.
    ///
    /// # Errors
    /// [`Error::Changed`]: the name no longer leads to what `instead_of` says.
    pub async fn keep(
        &self,
        name: &str,
        bytes: &Bytes,
        whole: bool,
        instead_of: Option<&Waiting>,
    ) -> Result<(), Error> {
        let waiting = count(&self.pipeline.store, &dropped::waiting_counter(&self.feed.name))?;
        if instead_of.is_none() && waiting >= self.limits.files_max {
            return Err(Error::Full { max: self.limits.files_max });
        }
        let mut change = Change::new();
        if let Some(old) = instead_of {
            dropped::remove(&mut change, &self.feed.name, &self.scope, old.id, &old.file.name);
        }
        let file = File { name: name.to_owned(), bytes: bytes.len(), kept_at: self.now(), whole };
        let id = self.pipeline.clock.new_id();
        // The index row of the old file is there until this change is done, so it cannot be asked to be absent.
        let alone = instead_of.is_none();
        dropped::put(&mut change, &self.feed.name, &self.scope, id, &file, bytes.clone(), alone);
        self.commit(change).await
    }

    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let waiting = self.find(name)?.ok_or(Error::Absent)?;
        let mut change = Change::new();
        dropped::remove(&mut change, &self.feed.name, &self.scope, waiting.id, name);
        self.commit(change).await
    }

    /// Gives a whole or unfinished file another name. What stands under the new name is replaced if `over` allows.
    pub async fn rename(&self, from: &str, to: &str, over: bool) -> Result<(), Error> {
        let waiting = self.find(from)?.ok_or(Error::Absent)?;
        if from == to {
            return Ok(());
        }
        let mut change = Change::new();
        if let Some(old) = self.find(to)? {
            if !over {
                return Err(Error::Changed);
            }
            dropped::remove(&mut change, &self.feed.name, &self.scope, old.id, to);
        } else {
            change.expect_unindexed(Table::Drops, &self.scope, Field::FileName, to);
        }
        dropped::rename(&mut change, &self.feed.name, &self.scope, waiting.id, &waiting.file, to);
        self.commit(change).await
    }

    async fn commit(&self, change: Change) -> Result<(), Error> {
        match self.pipeline.store.commit(change).await {
            Ok(_) => Ok(()),
            Err(store::Error::Conflict { .. }) => Err(Error::Changed),
            Err(error) => Err(error.into()),
        }
    }
}

fn count(store: &Store, counter: &str) -> Result<usize, store::Error> {
    Ok(usize::try_from(store.counter(counter)?).unwrap_or(0))
}
