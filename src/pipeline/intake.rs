//! Steps 2 and 3 of a message's way: keep it durably, then say so.
//!
//! Nothing is answered before the flush returns, and an acknowledgement is made here or nowhere: the sources can only
//! pass on what [`Intake::receive`] gives back. The same bytes again get the same answer and make nothing new (R6).
//! What the answer says is decided in [`verdict`].

mod verdict;

use std::borrow::Cow;
use std::sync::Arc;

use crate::audit;
use crate::formats::hl7v2;
use crate::formats::hl7v2::acknowledgement;
use crate::pipeline::Pipeline;
use crate::pipeline::feeds::OnStoreFailure;
use crate::pipeline::intake::verdict::Verdict;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::job;
use crate::pipeline::records::job::Job;
use crate::pipeline::records::message;
use crate::pipeline::records::message::HeaderFacts;
use crate::pipeline::records::message::Message;
use crate::pipeline::records::message::Standing;
use crate::pipeline::records::message::State;
use crate::pipeline::sha256_hex;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Table;
use crate::telemetry::Chain;

pub use self::verdict::rejection;

/// How often a message that races another of its control id is decided anew. Each try sees one more stored.
const RACES_MAX: usize = 8;

/// What the source does next.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// To be sent as it is; `None` for a message that is owed none.
    pub bytes: Option<Vec<u8>>,
    /// The connection ends after it: the store cannot be written.
    pub close: bool,
}

/// Takes raw messages from a source and gives back their answers.
#[derive(Debug, Clone)]
pub struct Intake(Arc<Pipeline>);

/// What became of one message at the door.
enum Kept {
    New { acknowledgement: Vec<u8> },
    Duplicate { acknowledgement: Vec<u8> },
}

impl Intake {
    pub const fn new(pipeline: Arc<Pipeline>) -> Self {
        Self(pipeline)
    }

    /// Keeps one HL7 v2 message and answers it.
    ///
    /// When this returns an acknowledgement that accepts, the message is flushed.
    pub async fn receive(&self, raw: &[u8]) -> Answer {
        let decoded = hl7v2::decode(raw);
        let message = decoded.message.as_ref();
        let verdict = verdict::decide(&decoded, &self.0.feeds);
        match self.keep(raw, message, &verdict).await {
            Ok(Kept::New { acknowledgement } | Kept::Duplicate { acknowledgement }) => {
                Answer { bytes: (!acknowledgement.is_empty()).then_some(acknowledgement), close: false }
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "could not keep a message");
                self.refuse(message, &verdict)
            }
        }
    }

    /// Answers a frame that is longer than the listener takes: it cannot be kept, and the sender hears so.
    pub fn too_long(&self, beginning: &[u8], max: usize) -> Answer {
        let decoded = hl7v2::decode(beginning);
        let verdict = Verdict::too_long(max);
        let bytes = self.acknowledge(decoded.message.as_ref(), &verdict);
        Answer { bytes: bytes.map(|(_, bytes)| bytes), close: true }
    }

    async fn keep(
        &self,
        raw: &[u8],
        message: Option<&hl7v2::Message<'_>>,
        verdict: &Verdict,
    ) -> Result<Kept, store::Error> {
        let control_id = message.map_or(Cow::Borrowed(""), hl7v2::Message::control_id);
        let sha256 = sha256_hex(raw);
        let scope = message::scope_of(verdict.feed.as_ref().map(|feed| feed.name.as_str()));
        let mut conflict = None;
        for _ in 0..RACES_MAX {
            let change =
                self.change(raw, &control_id, &sha256, &scope, message, conflict.as_ref().unwrap_or(verdict));
            let (change, acknowledgement) = change;
            match self.0.store.commit(change).await {
                Ok(_) => {
                    self.0.wake.read.notify_one();
                    return Ok(Kept::New { acknowledgement });
                }
                Err(store::Error::Conflict { .. }) => match self.earlier(&control_id, &sha256, &scope)? {
                    Some(acknowledgement) => {
                        self.count_duplicate(&scope).await?;
                        return Ok(Kept::Duplicate { acknowledgement });
                    }
                    None => conflict = Some(verdict.conflicting()),
                },
                Err(error) => return Err(error),
            }
        }
        Err(store::Error::Conflict { table: Table::Messages })
    }

    /// The answer given to the same bytes under the same control id before.
    fn earlier(
        &self,
        control_id: &str,
        sha256: &str,
        scope: &Scope,
    ) -> Result<Option<Vec<u8>>, store::Error> {
        for key in
            self.0.store.find(Table::Messages, scope, Field::ControlId, &content_id(control_id, sha256))?
        {
            let id = MessageId::try_from(key.as_slice())
                .map_err(|_| store::Error::Damaged { table: Table::Index })?;
            if let Some(message) = message::load(&self.0.store, id, scope)? {
                return Ok(Some(message.acknowledgement));
            }
        }
        for key in self.0.store.find(Table::Messages, scope, Field::ControlId, control_id)? {
            let id = MessageId::try_from(key.as_slice())
                .map_err(|_| store::Error::Damaged { table: Table::Index })?;
            let message = message::load(&self.0.store, id, scope)?;
            if let Some(message) = message.filter(|it| it.header.sha256 == sha256) {
                return Ok(Some(message.acknowledgement));
            }
        }
        Ok(None)
    }

    /// One transaction: the sealed bytes, where they stand, how they are found, the audit entry, and the job.
    fn change(
        &self,
        raw: &[u8],
        control_id: &str,
        sha256: &str,
        scope: &Scope,
        message: Option<&hl7v2::Message<'_>>,
        verdict: &Verdict,
    ) -> (Change, Vec<u8>) {
        let now = self.0.clock.now();
        let id = MessageId(self.0.clock.new_id());
        let (ack, acknowledgement) = self.acknowledge(message, verdict).unzip();
        let acknowledgement = acknowledgement.unwrap_or_default();
        let facts = HeaderFacts {
            received_at: now,
            lab: verdict.feed.as_ref().map(|feed| feed.lab.clone()),
            feed: verdict.feed.as_ref().map(|feed| feed.name.clone()),
            control_id: control_id.to_owned(),
            sha256: sha256.to_owned(),
        };
        let state = if verdict.is_accepted() { State::Waiting } else { State::Rejected };
        let feed = facts.feed.clone();
        let mut change = Change::new();
        // A control id names one message of a feed. The content names a message without one, one beside a conflicting
        // one, and one that is not for us: that has used no control id.
        let name = if control_id.is_empty() || verdict.is_conflict || !verdict.is_ours() {
            content_id(control_id, sha256)
        } else {
            control_id.to_owned()
        };
        change.index_unique(Table::Messages, &id.key(), scope, Field::ControlId, &name);
        let mut entry = audit::Entry::new(
            now,
            feed.as_deref().unwrap_or("unknown sender"),
            "message.kept",
            id.to_string(),
        )
        .with("sha256", sha256)
        .with("bytes", raw.len());
        if let Some(ack) = ack {
            entry = entry.with("ack", ack);
        }
        Message::new(facts, acknowledgement.clone(), ack.map(str::to_owned), raw).put(&mut change, id, scope);
        change.put_plain(Table::MessageStates, &id.key(), Standing { state, feed }.encode());
        change.count(state.counter(), 1);
        change.audit(entry);
        message::put_diagnostics(&mut change, id, scope, &verdict.diagnostics());
        if state == State::Waiting {
            Job::new(job::Kind::Read, now, id.0).put(&mut change);
        }
        (change, acknowledgement)
    }

    async fn count_duplicate(&self, scope: &Scope) -> Result<(), store::Error> {
        let mut change = Change::new();
        change.count(message::DUPLICATES, 1);
        change.audit(audit::Entry::new(self.0.clock.now(), scope.label(), "message.repeated", "duplicate"));
        self.0.store.commit(change).await.map(drop)
    }

    fn acknowledge(
        &self,
        message: Option<&hl7v2::Message<'_>>,
        verdict: &Verdict,
    ) -> Option<(&'static str, Vec<u8>)> {
        let mode = message.map_or(acknowledgement::Mode::Original, acknowledgement::Mode::of);
        // Enhanced mode's first answer, the commit, is given here; application answers follow the mapping.
        let code = mode.answers(verdict.outcome).into_iter().next()?;
        let id = self.0.clock.new_id().to_string();
        // MSH-10 has 20 characters before version 2.7; the end of an id is what tells it from others.
        let control_id = id.get(id.len().saturating_sub(20)..).unwrap_or(&id);
        let time = self.0.clock.now().strftime("%Y%m%d%H%M%S+0000").to_string();
        let fresh = acknowledgement::Fresh { control_id, time: &time };
        Some((code.as_str(), acknowledgement::build(message, code, &verdict.problems(), fresh)))
    }

    /// The store cannot be written: nothing is claimed, and the connection ends.
    fn refuse(&self, message: Option<&hl7v2::Message<'_>>, verdict: &Verdict) -> Answer {
        let policy = verdict.feed.as_ref().map_or(OnStoreFailure::Error, |feed| feed.on_store_failure);
        let bytes = Verdict::store_failed(policy).and_then(|verdict| self.acknowledge(message, &verdict));
        Answer { bytes: bytes.map(|(_, bytes)| bytes), close: true }
    }
}

/// Names a message by its control id and its content together.
fn content_id(control_id: &str, sha256: &str) -> String {
    format!("{control_id}\n{sha256}")
}
