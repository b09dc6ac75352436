//! Enhanced mode's second answer: what became of a message after the mapping, where MSH-16 asks for it.
//!
//! | outcome of the mapping | answer |
//! | --- | --- |
//! | mapped, or held on our side | `AA`: it is ours from here on |
//! | rejected by the mapping | `AE`, with what was wrong and where |
//!
//! It goes out on the connection the message came by, while that is open; or, where the feed names the laboratory's own
//! listener, as a job that commits with the message's new state and is tried until the listener has taken it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::audit;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::formats::hl7v2;
use crate::formats::hl7v2::acknowledgement;
use crate::formats::hl7v2::acknowledgement::Condition0357;
use crate::formats::hl7v2::acknowledgement::Fresh;
use crate::formats::hl7v2::acknowledgement::Mode;
use crate::formats::hl7v2::acknowledgement::Outcome;
use crate::outbound;
use crate::pipeline::Pipeline;
use crate::pipeline::advance::LOOK_EVERY;
use crate::pipeline::advance::STORE_PAUSE;
use crate::pipeline::advance::put_back;
use crate::pipeline::advance::retry_after;
use crate::pipeline::feeds::ApplicationAcks;
use crate::pipeline::feeds::Feed;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::acknowledgement as record;
use crate::pipeline::records::acknowledgement::Acknowledgement;
use crate::pipeline::records::job;
use crate::pipeline::records::job::Job;
use crate::pipeline::records::message;
use crate::pipeline::records::message::State;
use crate::store;
use crate::store::Change;
use crate::telemetry::Chain;

/// Answers that wait for one connection to take them; beyond it the sender does not read, and they are dropped.
pub const CONNECTION_ANSWERS_MAX: usize = 1024;
/// Acknowledgements under way to laboratories' listeners at once.
const DELIVERIES_MAX: usize = 8;
/// One that failed so often, with waits up to ten minutes between, is given up and told.
const ATTEMPTS_MAX: u32 = 60;

/// Where a connection takes answers that are not made yet.
pub type Connection = mpsc::Sender<Vec<u8>>;

/// The connections on which answers are awaited, by message. An entry lives as long as its message waits to be read.
#[derive(Debug, Default)]
pub struct Awaited(Mutex<HashMap<MessageId, Connection>>);

impl Awaited {
    pub(super) fn expect(&self, message: MessageId, connection: Connection) {
        self.entries().insert(message, connection);
    }

    pub(super) fn forget(&self, message: MessageId) {
        self.entries().remove(&message);
    }

    fn awaits(&self, message: MessageId) -> bool {
        self.entries().contains_key(&message)
    }

    /// Gives an answer to the connection that awaits it, if it is still open.
    pub(super) fn answer(&self, message: MessageId, bytes: Option<Vec<u8>>) {
        let connection = self.entries().remove(&message);
        if let (Some(connection), Some(bytes)) = (connection, bytes)
            && let Err(error) = connection.try_send(bytes)
        {
            tracing::warn!(message.id = %message, error = %Chain(&error), "could not give an application acknowledgement to its connection");
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<MessageId, Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a message asks for an answer after the mapping at all.
pub(super) fn is_asked(message: Option<&hl7v2::Message<'_>>) -> bool {
    let mode = message.map_or(Mode::Original, Mode::of);
    let asks = |outcome| {
        mode.answers(outcome).iter().any(|code| *code == acknowledgement::Code::application(outcome))
    };
    matches!(mode, Mode::Enhanced { .. }) && (asks(Outcome::Accept) || asks_on_error(mode))
}

const fn asks_on_error(mode: Mode) -> bool {
    use acknowledgement::Condition;
    matches!(mode, Mode::Enhanced { application: Condition::Always | Condition::OnError, .. })
}

/// What is to be sent when a message has left `waiting`.
pub(super) enum Owed {
    Nothing,
    /// On the connection, with nothing to be said on it where `None`: it need not wait any longer.
    OnConnection(Option<Vec<u8>>),
    ToListener(Acknowledgement),
}

/// The answer that is owed for a message now that it is read.
pub(super) fn owed(
    pipeline: &Pipeline,
    id: MessageId,
    feed: &Feed,
    raw: &[u8],
    state: State,
    diagnostics: &[Diagnostic],
) -> Owed {
    match &feed.application_acks {
        ApplicationAcks::None => Owed::Nothing,
        ApplicationAcks::SameConnection if !pipeline.awaited.awaits(id) => Owed::Nothing,
        ApplicationAcks::SameConnection => {
            Owed::OnConnection(build(pipeline, raw, state, diagnostics, false).map(|(_, bytes)| bytes))
        }
        ApplicationAcks::Address(address) => match build(pipeline, raw, state, diagnostics, true) {
            Some((control_id, bytes)) => {
                let header = record::Header { address: address.clone(), control_id };
                Owed::ToListener(Acknowledgement { header, bytes })
            }
            None => Owed::Nothing,
        },
    }
}

/// Writes the answer, where MSH-16 asks for one of this outcome; its control id with it.
pub(super) fn build(
    pipeline: &Pipeline,
    raw: &[u8],
    state: State,
    diagnostics: &[Diagnostic],
    asks_commit: bool,
) -> Option<(String, Vec<u8>)> {
    let decoded = hl7v2::decode(raw);
    let message = decoded.message.as_ref()?;
    let Mode::Enhanced { application, .. } = Mode::of(message) else { return None };
    let outcome = if state == State::Rejected { Outcome::Error } else { Outcome::Accept };
    if !application.asks(outcome) {
        return None;
    }
    let problems: Vec<_> = diagnostics
        .iter()
        .filter(|it| outcome == Outcome::Error && it.severity == Severity::Error)
        .map(|it| acknowledgement::Problem::of(it, Condition0357::DataType))
        .collect();
    let (control_id, time) = (pipeline.fresh_control_id(), pipeline.hl7_time());
    let fresh = Fresh { control_id: &control_id, time: &time };
    let code = acknowledgement::Code::application(outcome);
    let bytes = if asks_commit {
        acknowledgement::build_asking_commit(message, code, &problems, fresh)
    } else {
        acknowledgement::build(Some(message), code, &problems, fresh)
    };
    Some((control_id, bytes))
}

/// Adds an acknowledgement and its job to the change of its message, unless one was sent before.
pub(super) fn put(
    pipeline: &Pipeline,
    change: &mut Change,
    id: MessageId,
    feed: &Feed,
    owed: &Acknowledgement,
) -> Result<(), store::Error> {
    let scope = message::scope_of(Some(&feed.name));
    if record::load(&pipeline.store, id, &scope)?.is_none() {
        owed.put(change, id, &scope);
        Job::new(job::Kind::Acknowledge, pipeline.clock.now(), id.0).put(change);
    }
    Ok(())
}

/// Sends what is owed to laboratories' listeners until it is dropped.
pub async fn run(pipeline: Arc<Pipeline>) {
    loop {
        let now = pipeline.clock.now();
        let jobs = match job::first(&pipeline.store, job::Kind::Acknowledge, DELIVERIES_MAX) {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "could not look for application acknowledgements");
                tokio::time::sleep(STORE_PAUSE).await;
                continue;
            }
        };
        let mut under_way = JoinSet::new();
        for job in jobs.into_iter().filter(|job| job.due_at <= now) {
            let pipeline = Arc::clone(&pipeline);
            under_way.spawn(async move { deliver(&pipeline, &job).await });
        }
        if under_way.is_empty() {
            let _new_work_or_time =
                tokio::time::timeout(LOOK_EVERY, pipeline.wake.acknowledge.notified()).await;
        }
        while let Some(ended) = under_way.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::error!(error = %Chain(&error), "could not record an application acknowledgement");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

async fn deliver(pipeline: &Pipeline, job: &Job) -> Result<(), store::Error> {
    let id = MessageId(job.subject);
    let scope = message::standing(&pipeline.store, id)?.map(|it| it.scope());
    let mut change = Change::new();
    let owed = match &scope {
        Some(scope) => record::load(&pipeline.store, id, scope)?,
        None => None,
    };
    let (Some(scope), Some(owed)) = (scope, owed) else {
        job.delete(&mut change);
        return pipeline.store.commit(change).await.map(drop);
    };
    let said = outbound::mllp::send(&owed.header.address, &owed.bytes).await;
    let answer = said.map(|bytes| acknowledgement::parse(&bytes));
    let now = pipeline.clock.now();
    let mut end = |act: &'static str| {
        change.audit(
            audit::Entry::new(now, "gateway", act, id.to_string()).with("attempts", job.body.attempts + 1),
        );
        job.delete(&mut change);
    };
    let failure = match answer {
        Ok(Ok(answer)) if answer.control_id == owed.header.control_id => match answer.code.outcome() {
            Outcome::Accept => {
                end("acknowledgement.delivered");
                None
            }
            Outcome::Error | Outcome::Reject => {
                end("acknowledgement.refused");
                Some(refused())
            }
        },
        other => {
            let error = match &other {
                Err(error) => Chain(error).to_string(),
                Ok(_) => "the answer is not to it".to_owned(),
            };
            tracing::warn!(message.id = %id, delivery.attempt = job.body.attempts, error, "could not deliver an application acknowledgement");
            if job.body.attempts < ATTEMPTS_MAX {
                let mut jitter = [0];
                pipeline.clock.fill_random(&mut jitter);
                put_back(&mut change, job, now, retry_after(job.body.attempts, jitter[0]));
                None
            } else {
                end("acknowledgement.given_up");
                Some(given_up())
            }
        }
    };
    if let Some(problem) = failure {
        tracing::error!(message.id = %id, diagnostic.code = problem.code.as_str(), "an application acknowledgement was not taken");
        let mut said = message::diagnostics(&pipeline.store, id, &scope)?;
        said.push(problem);
        message::put_diagnostics(&mut change, id, &scope, &said);
    }
    pipeline.store.commit(change).await.map(drop)
}

fn given_up() -> Diagnostic {
    Diagnostic::warning(Code::new("D110"), "the application acknowledgement could not be delivered")
        .fact("the message itself is kept and goes its way")
        .help("check `application_acks` of the feed, and whether the laboratory's listener can be reached")
}

fn refused() -> Diagnostic {
    Diagnostic::warning(
        Code::new("D111"),
        "the laboratory's listener refused the application acknowledgement",
    )
    .fact("the message itself is kept and goes its way")
    .help("ask the laboratory what its listener expects, or set `application_acks = \"none\"` for the feed")
}
