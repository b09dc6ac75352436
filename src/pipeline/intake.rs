//! Steps 2 and 3 of a message's way: keep it durably, then say so.
//!
//! Nothing is answered before the flush returns, and an acknowledgement is made here or nowhere: the sources can only
//! pass on what [`Intake::receive`] gives back. The same bytes again get the same answer and make nothing new (R6).
//! What the answer says is decided in [`verdict`].

pub(in crate::pipeline) mod again;
mod verdict;

use std::borrow::Cow;
use std::sync::Arc;

use crate::audit;
use crate::clock::Clock;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2;
use crate::formats::hl7v2::acknowledgement;
use crate::formats::hl7v2::acknowledgement::Outcome;
use crate::pipeline::Pipeline;
use crate::pipeline::feeds::Feed;
use crate::pipeline::feeds::OnStoreFailure;
use crate::pipeline::feeds::figures;
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

/// What became of one message at the door, for the door to say in its own words.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The kept message; of a repeated one, the first. None where nothing could be kept.
    pub message: Option<MessageId>,
    /// The sender's own name for the message; empty where it gave none.
    pub control_id: String,
    pub outcome: Outcome,
    /// The same bytes came before, and were answered so.
    pub repeated: bool,
    pub diagnostics: Vec<Diagnostic>,
    /// The HL7 v2 acknowledgement, to be sent as it is; `None` where the message is owed none.
    pub bytes: Option<Vec<u8>>,
    /// The connection ends after it: the store cannot be written.
    pub close: bool,
}

/// Takes raw messages from a source and gives back their answers.
#[derive(Debug, Clone)]
pub struct Intake(Arc<Pipeline>);

impl Intake {
    pub const fn new(pipeline: Arc<Pipeline>) -> Self {
        Self(pipeline)
    }

    /// Keeps one HL7 v2 message that says itself who sends it, and answers it.
    ///
    /// When this returns an acknowledgement that accepts, the message is flushed.
    pub async fn receive(&self, raw: &[u8]) -> Answer {
        let decoded = hl7v2::decode(raw);
        let verdict = verdict::decide(&decoded, &self.0.feeds);
        self.answer(raw, &Content::of(decoded.message.as_ref()), &verdict).await
    }

    /// Keeps one message that came by a door which knows whose it is, and answers it.
    pub async fn receive_from(&self, feed: &Arc<Feed>, raw: &[u8]) -> Answer {
        let decoded = hl7v2::decode(raw);
        let verdict = verdict::decide_for(&decoded, feed);
        self.answer(raw, &Content::of(decoded.message.as_ref()), &verdict).await
    }

    async fn answer(&self, raw: &[u8], content: &Content<'_>, verdict: &Verdict) -> Answer {
        match self.keep(raw, content, verdict).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "could not keep a message");
                self.refuse(content, verdict)
            }
        }
    }

    /// Answers a frame that is longer than the listener takes: it cannot be kept, and the sender hears so.
    pub fn too_long(&self, beginning: &[u8], max: usize) -> Answer {
        let decoded = hl7v2::decode(beginning);
        self.not_kept(&Content::of(decoded.message.as_ref()), &Verdict::too_long(max))
    }

    async fn keep(
        &self,
        raw: &[u8],
        content: &Content<'_>,
        verdict: &Verdict,
    ) -> Result<Answer, store::Error> {
        let sha256 = sha256_hex(raw);
        let scope = message::scope_of(verdict.feed.as_ref().map(|feed| feed.name.as_str()));
        let mut conflict = None;
        for _ in 0..RACES_MAX {
            let verdict = conflict.as_ref().unwrap_or(verdict);
            let (change, answer) = self.change(raw, content, &sha256, &scope, verdict);
            match self.0.store.commit(change).await {
                Ok(_) => {
                    self.0.wake.read.notify_one();
                    return Ok(answer);
                }
                Err(store::Error::Conflict { .. }) => {
                    match self.earlier(&content.control_id, &sha256, &scope)? {
                        Some(answer) => {
                            self.count_duplicate(&scope).await?;
                            return Ok(answer);
                        }
                        None => conflict = Some(verdict.conflicting()),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(store::Error::Conflict { table: Table::Messages })
    }

    /// The answer given to the same bytes under the same control id before.
    fn earlier(&self, control_id: &str, sha256: &str, scope: &Scope) -> Result<Option<Answer>, store::Error> {
        let store = &self.0.store;
        for name in [content_id(control_id, sha256), control_id.to_owned()] {
            for key in store.find(Table::Messages, scope, Field::ControlId, &name)? {
                let id = MessageId::try_from(key.as_slice())
                    .map_err(|_| store::Error::Damaged { table: Table::Index })?;
                let kept = message::load(store, id, scope)?.filter(|it| it.header.sha256 == sha256);
                if let Some(message) = kept {
                    return self.answered(id, message, scope).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn answered(&self, id: MessageId, message: Message, scope: &Scope) -> Result<Answer, store::Error> {
        let rejected = message.header.ack.as_deref().is_some_and(|ack| ack.ends_with('R'));
        let state = message::standing(&self.0.store, id)?.map(|it| it.state);
        let outcome = match state {
            Some(State::Rejected) if rejected => Outcome::Reject,
            Some(State::Rejected) => Outcome::Error,
            _ => Outcome::Accept,
        };
        let diagnostics = match outcome {
            Outcome::Accept => Vec::new(),
            Outcome::Error | Outcome::Reject => message::diagnostics(&self.0.store, id, scope)?,
        };
        Ok(Answer {
            message: Some(id),
            control_id: message.header.control_id,
            outcome,
            repeated: true,
            diagnostics,
            bytes: (!message.acknowledgement.is_empty()).then_some(message.acknowledgement),
            close: false,
        })
    }

    /// One transaction: the sealed bytes, where they stand, how they are found, the audit entry, and the job.
    fn change(
        &self,
        raw: &[u8],
        content: &Content<'_>,
        sha256: &str,
        scope: &Scope,
        verdict: &Verdict,
    ) -> (Change, Answer) {
        let now = self.0.clock.now();
        let id = MessageId(self.0.clock.new_id());
        let (ack, acknowledgement) = self.acknowledge(content, verdict).unzip();
        let facts = HeaderFacts {
            received_at: now,
            lab: verdict.feed.as_ref().map(|feed| feed.lab.clone()),
            feed: verdict.feed.as_ref().map(|feed| feed.name.clone()),
            control_id: content.control_id.to_string(),
            sha256: sha256.to_owned(),
        };
        let state = if verdict.is_accepted() { State::Waiting } else { State::Rejected };
        let feed = facts.feed.clone();
        let diagnostics = verdict.diagnostics();
        let mut change = Change::new();
        // A control id names one message of a feed. The content names a message without one, one beside a conflicting
        // one, and one that is not for us: that has used no control id.
        let name = if content.control_id.is_empty() || verdict.is_conflict || !verdict.is_ours() {
            content_id(&content.control_id, sha256)
        } else {
            content.control_id.to_string()
        };
        change.index_unique(Table::Messages, &id.key(), scope, Field::ControlId, &name);
        let source = feed.as_deref().unwrap_or("unknown sender");
        let mut entry = audit::Entry::new(now, source, "message.kept", id.to_string())
            .with("sha256", sha256)
            .with("bytes", raw.len());
        if let Some(ack) = ack {
            entry = entry.with("ack", ack);
        }
        let answered = acknowledgement.clone().unwrap_or_default();
        Message::new(facts, answered, ack.map(str::to_owned), raw).put(&mut change, id, scope);
        if let Some(feed) = &feed {
            figures::heard(&mut change, feed, now);
        }
        message::put_standing(&mut change, id, None, &Standing::new(state, feed));
        change.audit(entry);
        message::put_diagnostics(&mut change, id, scope, &diagnostics);
        if state == State::Waiting {
            Job::new(job::Kind::Read, now, id.0).put(&mut change);
        }
        let answer = Answer {
            message: Some(id),
            control_id: content.control_id.to_string(),
            outcome: verdict.outcome,
            repeated: false,
            diagnostics,
            bytes: acknowledgement,
            close: false,
        };
        (change, answer)
    }

    async fn count_duplicate(&self, scope: &Scope) -> Result<(), store::Error> {
        let mut change = Change::new();
        change.count(message::DUPLICATES, 1);
        change.audit(audit::Entry::new(self.0.clock.now(), scope.label(), "message.repeated", "duplicate"));
        self.0.store.commit(change).await.map(drop)
    }

    fn acknowledge(&self, content: &Content<'_>, verdict: &Verdict) -> Option<(&'static str, Vec<u8>)> {
        acknowledge(self.0.clock.as_ref(), content, verdict)
    }

    /// The store cannot be written: nothing is claimed, and the connection ends.
    fn refuse(&self, content: &Content<'_>, verdict: &Verdict) -> Answer {
        let policy = verdict.feed.as_ref().map_or(OnStoreFailure::Error, |feed| feed.on_store_failure);
        let told = Verdict::store_failed(policy);
        let answer = self.not_kept(content, &told);
        Answer { bytes: answer.bytes.filter(|_| policy != OnStoreFailure::Close), ..answer }
    }

    fn not_kept(&self, content: &Content<'_>, verdict: &Verdict) -> Answer {
        Answer {
            message: None,
            control_id: content.control_id.to_string(),
            outcome: verdict.outcome,
            repeated: false,
            diagnostics: verdict.diagnostics(),
            bytes: self.acknowledge(content, verdict).map(|(_, bytes)| bytes),
            close: true,
        }
    }
}

/// MSA-1 and the acknowledgement it stands in; none for what is no HL7 v2, or is owed no answer.
fn acknowledge(
    clock: &dyn Clock,
    content: &Content<'_>,
    verdict: &Verdict,
) -> Option<(&'static str, Vec<u8>)> {
    let message = content.message;
    let mode = message.map_or(acknowledgement::Mode::Original, acknowledgement::Mode::of);
    // Enhanced mode's first answer, the commit, is given here; application answers follow the mapping.
    let code = mode.answers(verdict.outcome).into_iter().next()?;
    let id = clock.new_id().to_string();
    // MSH-10 has 20 characters before version 2.7; the end of an id is what tells it from others.
    let control_id = id.get(id.len().saturating_sub(20)..).unwrap_or(&id);
    let time = clock.now().strftime("%Y%m%d%H%M%S+0000").to_string();
    let fresh = acknowledgement::Fresh { control_id, time: &time };
    Some((code.as_str(), acknowledgement::build(message, code, &verdict.problems(), fresh)))
}

/// What the door can see of a message before it is read.
struct Content<'a> {
    /// Its header and structure, where it is HL7 v2.
    message: Option<&'a hl7v2::Message<'a>>,
    control_id: Cow<'a, str>,
}

impl<'a> Content<'a> {
    fn of(message: Option<&'a hl7v2::Message<'a>>) -> Self {
        Self { message, control_id: message.map_or(Cow::Borrowed(""), hl7v2::Message::control_id) }
    }
}

/// Names a message by its control id and its content together.
fn content_id(control_id: &str, sha256: &str) -> String {
    format!("{control_id}\n{sha256}")
}
