//! Steps 2 and 3 of a message's way: keep it durably, then say so.
//!
//! Nothing is answered before the flush returns, and an acknowledgement is made here or nowhere: the sources can only
//! pass on what [`Intake::receive`] gives back. The same bytes again get the same answer and make nothing new (R6).
//! What the answer says is decided in [`verdict`].

pub(in crate::pipeline) mod again;
mod content;
mod file;
pub mod tree;
mod verdict;

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;

use crate::audit;
use crate::clinical::mapping::language::Format;
use crate::clock::Clock;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2;
use crate::formats::hl7v2::acknowledgement;
use crate::formats::hl7v2::acknowledgement::Outcome;
use crate::formats::hl7v2::batch;
use crate::pipeline::Pipeline;
use crate::pipeline::application_ack;
use crate::pipeline::application_ack::Connection;
use crate::pipeline::feeds::ApplicationAcks;
use crate::pipeline::feeds::Feed;
use crate::pipeline::feeds::OnStoreFailure;
use crate::pipeline::feeds::figures;
use crate::pipeline::fresh_control_id;
use crate::pipeline::hl7_time;
use crate::pipeline::intake::content::Content;
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

pub use self::file::FILE_MESSAGES_MAX;
pub use self::file::FileAnswer;
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
pub struct Intake(Arc<Pipeline>, Option<Connection>);

impl Intake {
    pub const fn new(pipeline: Arc<Pipeline>) -> Self {
        Self(pipeline, None)
    }

    /// The same for one connection, which takes enhanced mode's second answers when they are made.
    #[must_use]
    pub fn on(&self, connection: Connection) -> Self {
        Self(Arc::clone(&self.0), Some(connection))
    }

    /// What time it is for the doors, which have no clock of their own.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Keeps one HL7 v2 frame that says itself who sends it, and answers it: a message, or a batch.
    ///
    /// When this returns an acknowledgement that accepts, what it accepts is flushed.
    pub async fn receive(&self, raw: &Bytes) -> Answer {
        self.receive_certified(&[], raw).await
    }

    /// The same, for a sender whose certificate bears these names.
    pub async fn receive_certified(&self, names: &[String], raw: &Bytes) -> Answer {
        let decoded = hl7v2::decode(raw);
        if batch::is_batch(raw, &decoded) {
            drop(decoded);
            return self.receive_parts(None, names, raw).await.into_answer();
        }
        let verdict = verdict::decide_certified(&decoded, &self.0.feeds, names);
        self.answer(raw, &Content::of(decoded.message.as_ref()), &verdict).await
    }

    /// Keeps one message that came by a door which knows whose it is, and answers it.
    pub async fn receive_from(&self, feed: &Arc<Feed>, raw: &Bytes) -> Answer {
        self.receive_unless(feed, raw, None).await
    }

    /// The same, where the sender asks that nothing be made if there is such a resource already (FHIR's
    /// `If-None-Exist`): the answer is then that of the first, as if the same bytes had come again.
    pub async fn receive_unless(&self, feed: &Arc<Feed>, raw: &Bytes, known: Option<&str>) -> Answer {
        let mappings = self.0.mappings.now();
        let format = content::format_of(feed, &mappings.catalog);
        if format == Format::Hl7v2 {
            let er7 = match content::er7(raw) {
                Ok(er7) => er7,
                Err(seen) => {
                    return self.answer(raw, &seen.content, &verdict::decide_seen(&seen, feed)).await;
                }
            };
            let decoded = hl7v2::decode(&er7);
            let verdict = verdict::decide_for(&decoded, feed);
            return self.answer(raw, &Content::of(decoded.message.as_ref()), &verdict).await;
        }
        let seen = content::look(format, raw, known, mappings.catalog.lab(&feed.mapping));
        let verdict = verdict::decide_seen(&seen, feed);
        self.answer(raw, &seen.content, &verdict).await
    }

    async fn answer(&self, raw: &Bytes, content: &Content<'_>, verdict: &Verdict) -> Answer {
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
        raw: &Bytes,
        content: &Content<'_>,
        verdict: &Verdict,
    ) -> Result<Answer, store::Error> {
        let sha256 = sha256_hex(raw);
        let scope = message::scope_of(verdict.feed.as_ref().map(|feed| feed.name.as_str()));
        let mut renamed = None;
        for _ in 0..RACES_MAX {
            let verdict = renamed.as_ref().unwrap_or(verdict);
            let (mut change, answer) = self.change(raw, content, &sha256, &scope, verdict);
            if verdict.is_accepted()
                && let Some(first) = self.claim_names(&mut change, content, &scope, &answer)?
            {
                self.count_duplicate(&scope).await?;
                return Ok(first);
            }
            self.await_answer(&answer, content, verdict);
            let committed = self.0.store.commit(change).await;
            if committed.is_err() {
                answer.message.inspect(|id| self.0.awaited.forget(*id));
            }
            match committed {
                Ok(_) => {
                    if verdict.is_impostor() {
                        let feed = verdict.feed.as_ref().map(|feed| feed.name.as_str());
                        tracing::warn!(feed, "a sender claimed another's name");
                    }
                    self.0.wake.read.notify_one();
                    return Ok(answer);
                }
                Err(store::Error::Conflict { .. }) => {
                    match self.earlier(&content.control_id, &sha256, &scope)? {
                        Some(answer) => {
                            self.count_duplicate(&scope).await?;
                            self.answer_again(&answer, raw, content, verdict)?;
                            return Ok(answer);
                        }
                        None => renamed = Some(verdict.of_used_control_id(content.format)),
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

    /// Enters the names by which later messages may ask for this one; or the answer of the first, where the sender
    /// asked that nothing be made if they are known, and all of them are.
    fn claim_names(
        &self,
        change: &mut Change,
        content: &Content<'_>,
        scope: &Scope,
        answer: &Answer,
    ) -> Result<Option<Answer>, store::Error> {
        let Some(id) = answer.message else { return Ok(None) };
        let mut first = None;
        let mut unknown = Vec::new();
        for name in &content.unless {
            match self.0.store.find(Table::Messages, scope, Field::ControlId, name)?.first() {
                Some(key) => first = first.or_else(|| MessageId::try_from(key.as_slice()).ok()),
                None => unknown.push(name),
            }
        }
        if let (Some(first), true) = (first, unknown.is_empty())
            && let Some(message) = message::load(&self.0.store, first, scope)?
        {
            return self.answered(first, message, scope).map(Some);
        }
        for name in content.names.iter().filter(|name| !unknown.contains(name)) {
            change.index(Table::Messages, &id.key(), scope, Field::ControlId, name);
        }
        for name in unknown {
            change.index_unique(Table::Messages, &id.key(), scope, Field::ControlId, name);
        }
        Ok(None)
    }

    fn answered(&self, id: MessageId, message: Message, scope: &Scope) -> Result<Answer, store::Error> {
        // What the sender was told then, whatever became of the message since.
        let outcome = match (message.header.ack.as_deref(), message::standing(&self.0.store, id)?) {
            (Some("AE" | "CE"), _) => Outcome::Error,
            (Some("AR" | "CR"), _) => Outcome::Reject,
            (None, Some(standing)) if standing.state == State::Rejected => Outcome::Error,
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
        raw: &Bytes,
        content: &Content<'_>,
        sha256: &str,
        scope: &Scope,
        verdict: &Verdict,
    ) -> (Change, Answer) {
        let now = self.0.clock.now();
        let id = MessageId(self.0.clock.new_id());
        let (ack, acknowledgement) = self.acknowledge(content, verdict).unzip();
        let acknowledgement = acknowledgement.flatten();
        let facts = HeaderFacts {
            received_at: now,
            lab: verdict.feed.as_ref().map(|feed| feed.lab.clone()),
            feed: verdict.feed.as_ref().map(|feed| feed.name.clone()),
            control_id: content.control_id.to_string(),
            sha256: sha256.to_owned(),
            read_again: None,
        };
        let state = if verdict.is_accepted() { State::Waiting } else { State::Rejected };
        let feed = facts.feed.clone();
        let diagnostics = verdict.diagnostics();
        let mut change = Change::new();
        // A control id names one message of a feed. The content names a message without one, one beside a conflicting
        // one, and one that is not for us: that has used no control id.
        let name = if content.control_id.is_empty() || verdict.is_named_by_content || !verdict.is_ours() {
            content_id(&content.control_id, sha256)
        } else {
            content.control_id.to_string()
        };
        change.index_unique(Table::Messages, &id.key(), scope, Field::ControlId, &name);
        let source = feed.clone().unwrap_or_else(|| "unknown sender".to_owned());
        let mut entry = audit::Entry::new(now, source.clone(), "message.kept", id.to_string())
            .with("sha256", sha256)
            .with("bytes", raw.len());
        if let Some(ack) = ack {
            entry = entry.with("ack", ack);
        }
        let answered = acknowledgement.as_deref().unwrap_or_default();
        Message::put(&mut change, id, scope, facts, (ack, answered), raw.clone());
        if let Some(feed) = &feed {
            figures::heard(&mut change, feed, now);
        }
        message::put_standing(&mut change, id, None, &Standing::new(state, feed));
        change.audit(entry);
        if verdict.is_impostor() {
            change.count(message::IMPOSTORS, 1);
            change.audit(audit::Entry::new(now, source, "sender.mismatch", id.to_string()));
        }
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

    /// Whether enhanced mode's second answer to this message follows the mapping.
    fn answers_later(&self, content: &Content<'_>, verdict: &Verdict) -> bool {
        let way = verdict.feed.as_ref().map(|feed| &feed.application_acks);
        let has_way = match way {
            Some(ApplicationAcks::Address(_)) => true,
            Some(ApplicationAcks::SameConnection) => self.1.is_some(),
            Some(ApplicationAcks::None) | None => false,
        };
        has_way && verdict.is_accepted() && application_ack::is_asked(content.message)
    }

    /// Has the connection told what becomes of the message, from before anybody can read it.
    fn await_answer(&self, answer: &Answer, content: &Content<'_>, verdict: &Verdict) {
        let on_connection = verdict
            .feed
            .as_ref()
            .is_some_and(|feed| feed.application_acks == ApplicationAcks::SameConnection);
        if let (Some(id), Some(connection)) = (answer.message, &self.1)
            && on_connection
            && self.answers_later(content, verdict)
        {
            self.0.awaited.expect(id, connection.clone());
        }
    }

    /// A message sent again may be sent for its second answer, which was lost with its connection.
    fn answer_again(
        &self,
        answer: &Answer,
        raw: &[u8],
        content: &Content<'_>,
        verdict: &Verdict,
    ) -> Result<(), store::Error> {
        self.await_answer(answer, content, verdict);
        let Some(id) = answer.message else { return Ok(()) };
        let Some(standing) = message::standing(&self.0.store, id)? else { return Ok(()) };
        if standing.state != State::Waiting {
            let said = message::diagnostics(&self.0.store, id, &standing.scope())?;
            let built = application_ack::build(&self.0, raw, standing.state, &said, false);
            self.0.awaited.answer(id, built.map(|(_, bytes)| bytes));
        }
        Ok(())
    }

    /// MSA-1 and the acknowledgement it stands in; none for what is owed no answer. The word is the same for every
    /// format, the acknowledgement is HL7 v2's alone.
    fn acknowledge(
        &self,
        content: &Content<'_>,
        verdict: &Verdict,
    ) -> Option<(&'static str, Option<Vec<u8>>)> {
        let later = self.answers_later(content, verdict);
        acknowledge(self.0.clock.as_ref(), content, verdict, later)
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
            bytes: self.acknowledge(content, verdict).and_then(|(_, bytes)| bytes),
            close: true,
        }
    }
}

/// The same, for whoever has a clock and no pipeline. `later`: enhanced mode's second answer follows the mapping.
fn acknowledge(
    clock: &dyn Clock,
    content: &Content<'_>,
    verdict: &Verdict,
    later: bool,
) -> Option<(&'static str, Option<Vec<u8>>)> {
    let mode = content.message.map_or(acknowledgement::Mode::Original, acknowledgement::Mode::of);
    // Enhanced mode's first answer, the commit, is given here; application answers follow the mapping.
    let is_given_now =
        |code: &acknowledgement::Code| !later || *code == acknowledgement::Code::commit(verdict.outcome);
    let code = mode.answers(verdict.outcome).into_iter().find(is_given_now)?;
    if content.format != Format::Hl7v2 {
        return Some((code.as_str(), None));
    }
    let (control_id, time) = (fresh_control_id(clock), hl7_time(clock));
    let fresh = acknowledgement::Fresh { control_id: &control_id, time: &time };
    Some((code.as_str(), Some(acknowledgement::build(content.message, code, &verdict.problems(), fresh))))
}

/// Names a message by its control id and its content together.
fn content_id(control_id: &str, sha256: &str) -> String {
    format!("{control_id}\n{sha256}")
}
