//! Everything the simulator knows, behind one lock: records, stored objects, faults, journal, time.
//!
//! Time is asked from outside and may be moved ahead. What takes time there (processing a file) is
//! brought up to date whenever somebody looks, so that no task runs behind a test's back.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use hyper::body::Bytes;
use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::Value;

use crate::simulator::cliniko::Now;
use crate::simulator::cliniko::Switch;
use crate::simulator::cliniko::access::Allowance;
use crate::simulator::cliniko::access::Key;
use crate::simulator::cliniko::faults::Faults;
use crate::simulator::cliniko::journal::Journal;
use crate::simulator::cliniko::policy::Signer;
use crate::simulator::cliniko::policy::sha256;
use crate::simulator::cliniko::records::Resource;
use crate::simulator::cliniko::records::Tables;
use crate::simulator::cliniko::records::stamp;
use crate::simulator::cliniko::seed::Planted;

/// New ids start here: 19 digits, more than a float holds (reference section 4.1).
const MINTED_FIRST: u64 = 1_204_000_000_000_000_001;

#[derive(Clone)]
pub(super) struct World(Arc<Inside>);

struct Inside {
    rules: Rules,
    now: Now,
    state: Mutex<State>,
}

/// What does not change while the simulator runs.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// `http://host:port/v1`
    pub(super) api_base: String,
    /// `http://host:port`
    pub(super) store_origin: String,
    pub(super) shard: String,
    pub(super) signer: Signer,
    pub(super) switches: BTreeSet<Switch>,
    pub(super) rate_limit_per_minute: u32,
    pub(super) list_lag: SignedDuration,
    pub(super) processing_delay: SignedDuration,
    pub(super) policy_lifetime: SignedDuration,
    pub(super) upload_bytes_max: usize,
}

pub(super) struct State {
    pub(super) tables: Tables,
    pub(super) settings: Value,
    pub(super) keys: Vec<Key>,
    pub(super) objects: BTreeMap<String, Bytes>,
    pub(super) pending: Vec<Pending>,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    pub(super) allowance: Allowance,
    minted: u64,
    ahead: SignedDuration,
}

/// A registered file on its way out of the temporary folder.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) attachment_id: String,
    pub(super) temporary_key: String,
    /// Never, when processing is stuck.
    pub(super) due_at: Option<Timestamp>,
}

impl World {
    pub(super) fn new(rules: Rules, now: Now, planted: Planted) -> Self {
        let state = State {
            tables: planted.tables,
            settings: planted.settings,
            keys: planted.keys,
            objects: BTreeMap::new(),
            pending: Vec::new(),
            faults: Faults::default(),
            journal: Journal::default(),
            allowance: Allowance::default(),
            minted: 0,
            ahead: SignedDuration::ZERO,
        };
        Self(Arc::new(Inside { rules, now, state: Mutex::new(state) }))
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// The state, brought up to the present.
    pub(super) fn state(&self) -> (MutexGuard<'_, State>, Timestamp) {
        // A panic in another request is that request's failure; the records stay consistent enough to show.
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outside = (self.0.now)();
        let now = outside.saturating_add(state.ahead).unwrap_or(outside);
        state.settle(now);
        (state, now)
    }
}

impl State {
    pub(super) fn advance(&mut self, by: SignedDuration) {
        self.ahead = self.ahead.saturating_add(by);
    }

    pub(super) fn mint(&mut self) -> String {
        self.minted += 1;
        (MINTED_FIRST + self.minted).to_string()
    }

    pub(super) fn account_id(&self) -> String {
        self.settings["account"]["id"].as_str().unwrap_or_default().to_owned()
    }

    /// The bytes of an attachment, processed or not.
    pub(super) fn content(&self, attachment_id: &str) -> Option<&Bytes> {
        let pending = self.pending.iter().find(|pending| pending.attachment_id == attachment_id);
        match pending {
            Some(pending) => self.objects.get(&pending.temporary_key),
            None => self.objects.get(&self.final_key(attachment_id)?),
        }
    }

    /// Where the store keeps a processed file.
    pub(super) fn final_key(&self, attachment_id: &str) -> Option<String> {
        let row = self.tables.find(Resource::Attachments, attachment_id)?;
        let (patient, name) = (row.text("patient_id"), row.text("filename"));
        Some(format!("{}/patients/{patient}/attachments/{attachment_id}/{name}", self.account_id()))
    }

    /// Files whose processing is due leave the temporary folder (reference section 6.5).
    fn settle(&mut self, now: Timestamp) {
        let (due, waiting) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|pending| pending.due_at.is_some_and(|at| at <= now));
        self.pending = waiting;
        for pending in due {
            let Some(content) = self.objects.remove(&pending.temporary_key) else { continue };
            let name = pending.temporary_key.rsplit('/').next().unwrap_or_default().to_owned();
            if let Some(row) = self.tables.find_mut(Resource::Attachments, &pending.attachment_id) {
                row.set("content_type", content_type(&name));
                row.set("size", content.len());
                row.set("filename", name);
                row.set("processing_completed", true);
                row.set("processed_at", stamp(now));
                row.set("updated_at", stamp(now));
            }
            if let Some(key) = self.final_key(&pending.attachment_id) {
                self.objects.insert(key, content);
            }
        }
    }

    /// A folder name nobody used before, in the shape of a UUID.
    pub(super) fn fresh_folder(&mut self) -> String {
        let digest = sha256(self.mint().as_bytes());
        let mut folder = String::new();
        for (at, character) in digest.chars().take(32).enumerate() {
            if matches!(at, 8 | 12 | 16 | 20) {
                folder.push('-');
            }
            folder.push(character);
        }
        folder
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("pdf") => "application/pdf",
        Some("png") => "image/png",
        Some("txt") => "text/plain",
        _ => "invalid/invalid",
    }
}
