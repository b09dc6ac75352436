//! A backend that fails on demand, for tests: the same contract, with faults where a test wants them.
//!
//! It injects what a disk or a database can do: a commit that fails and left nothing, a commit that took effect though
//! the answer was lost, reads that fail, and a store that takes nothing any more.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::store::Cause;
use crate::store::Error;
use crate::store::backend::Backend;
use crate::store::backend::Pending;
use crate::store::backend::Row;
use crate::store::backend::Scan;
use crate::store::backend::Table;
use crate::store::backend::Write;

/// Where a commit fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The change took effect, and the caller is not told.
    AfterEffect,
    /// Nothing took effect.
    BeforeEffect,
}

/// A backend with faults in front of it.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Backend>,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    commits: u64,
    faults: BTreeMap<u64, Fault>,
    reads_fail: bool,
    stopped: bool,
}

impl Faulty {
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// Lets the nth commit from now fail; 1 is the next.
    pub fn fail_commit(&self, nth: u64, fault: Fault) {
        let mut plan = self.plan();
        let at = plan.commits.saturating_add(nth);
        plan.faults.insert(at, fault);
    }

    /// Lets every read fail, or no longer.
    pub fn fail_reads(&self, fail: bool) {
        self.plan().reads_fail = fail;
    }

    /// Takes no changes, as after a failed flush; or takes them again, as after a restart.
    pub fn stop(&self, stopped: bool) {
        self.plan().stopped = stopped;
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readable(&self) -> Result<&dyn Backend, Error> {
        if self.plan().reads_fail { Err(Error::Read(injected())) } else { Ok(self.inner.as_ref()) }
    }
}

impl Backend for Faulty {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.readable()?.get(table, key)
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, Error> {
        self.readable()?.scan(scan)
    }

    fn commit(&self, write: Write) -> Pending<'_> {
        let (fault, stopped) = {
            let mut plan = self.plan();
            plan.commits += 1;
            let at = plan.commits;
            (plan.faults.remove(&at), plan.stopped)
        };
        Box::pin(async move {
            if stopped {
                return Err(Error::NotWritable);
            }
            match fault {
                None => self.inner.commit(write).await,
                Some(Fault::AfterEffect) => {
                    self.inner.commit(write).await?;
                    Err(Error::Write(injected()))
                }
                Some(Fault::BeforeEffect) => Err(Error::Write(injected())),
            }
        })
    }

    fn is_writable(&self) -> bool {
        !self.plan().stopped && self.inner.is_writable()
    }
}

fn injected() -> Cause {
    Arc::new(io::Error::other("a fault that was asked for"))
}
