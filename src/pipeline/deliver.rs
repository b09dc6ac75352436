//! The outbox: runs the planned calls of a released case so that each happens exactly once (R7).
//!
//! | phase | durable before the next begins | if we die here |
//! | --- | --- | --- |
//! | P0 planned | marker, hash, patient | nothing is outside: go on |
//! | P1, P2 presigned, uploaded | nothing: repeated from P1 | an orphan in temporary storage |
//! | P3 registering | that the write may be on its way | **unknown**: wait, then look |
//! | P4 confirmed | the id Cliniko gave | done |
//!
//! Cliniko has no idempotency key, so an unanswered write is never repeated before a look-up found nothing, twice, far
//! enough apart. Times are counted on the monotonic clock of one run; after a restart the longest life of a request is
//! waited out afresh. Before each write the case must still be releasing and the patient unchanged. Nothing is ever
//! edited or removed: `outbound::cliniko` has no such function.
//! The steps of one call are in [`call`].

mod call;
mod plan;
mod verify;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task;
use tokio::task::JoinSet;

use crate::audit;
use crate::clinical::workflow;
use crate::clinical::workflow::Command;
use crate::clinical::workflow::Roles;
use crate::clinical::workflow::State;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::outbound;
use crate::outbound::cliniko::Outcome;
use crate::pipeline::Pipeline;
use crate::pipeline::accounts;
use crate::pipeline::advance::LOOK_EVERY;
use crate::pipeline::advance::STORE_PAUSE;
use crate::pipeline::advance::retry_after;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::call as call_records;
use crate::pipeline::records::call::Moment;
use crate::pipeline::records::call::Phase;
use crate::pipeline::records::case;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::job;
use crate::pipeline::records::job::Job;
use crate::store;
use crate::store::Change;
use crate::telemetry::Chain;

/// Cases delivered at the same time: enough to hide latency, few enough for one account's allowance.
const DELIVERIES_MAX: usize = 4;
/// A delivery that failed so often, with waits up to ten minutes between, is put before a person.
const ATTEMPTS_MAX: u32 = 60;
/// An answer that was cut short reads well the next time; one that is of another shape never does.
const MISREAD_ATTEMPTS_MAX: u32 = 6;

/// How a step of a delivery ended.
enum Ended {
    Done,
    /// To be taken up again; a failure counts as an attempt.
    Retry {
        after: Duration,
        failed: bool,
    },
    Hold(Box<Diagnostic>),
    /// The case is no longer to be delivered.
    Stopped,
}

impl Ended {
    fn hold(problem: Diagnostic) -> Self {
        Self::Hold(Box::new(problem))
    }
}

/// What goes wrong inside a delivery.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the clinic's account cannot be used")]
    Account(#[from] accounts::Error),
    #[error("a call to Cliniko failed")]
    Cliniko(#[from] outbound::cliniko::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Delivers until it is dropped.
pub async fn run(pipeline: Arc<Pipeline>) {
    let mut under_way: HashMap<task::Id, Job> = HashMap::new();
    let mut deliveries = JoinSet::new();
    loop {
        match due(&pipeline, &under_way) {
            Ok(jobs) => {
                for job in jobs.into_iter().take(DELIVERIES_MAX.saturating_sub(deliveries.len())) {
                    let (pipeline, its) = (Arc::clone(&pipeline), job.clone());
                    let delivery = deliveries.spawn(async move { deliver(&pipeline, &its).await });
                    under_way.insert(delivery.id(), job);
                }
            }
            Err(error) => {
                tracing::error!(error = %Chain(&error), "could not look for deliveries");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
        tokio::select! {
            Some(ended) = deliveries.join_next_with_id() => match ended {
                Ok((id, ())) => drop(under_way.remove(&id)),
                Err(error) => if let Some(job) = under_way.remove(&error.id()) {
                    hold_defect(&pipeline, &job, &error).await;
                },
            },
            () = pipeline.wake.deliver.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Due jobs that nobody is at.
fn due(pipeline: &Pipeline, under_way: &HashMap<task::Id, Job>) -> Result<Vec<Job>, store::Error> {
    let now = pipeline.clock.now();
    let is_free = |job: &Job| under_way.values().all(|other| other.subject != job.subject);
    let jobs = job::first(&pipeline.store, job::Kind::Deliver, DELIVERIES_MAX * 8)?;
    Ok(jobs.into_iter().filter(|job| job.due_at <= now && is_free(job)).collect())
}

/// A panic in a delivery holds its case alone. A write that was under way stays in its phase, and is looked for first
/// when the case goes on.
async fn hold_defect(pipeline: &Pipeline, job: &Job, error: &task::JoinError) {
    let case = CaseId(job.subject);
    tracing::error!(case.id = %case, error = %Chain(error), "a delivery met a defect of the gateway");
    let Some(clinic) = job.body.clinic.as_deref() else { return };
    let problem = Diagnostic::error(Code::new("S102"), "delivering this case met a defect of the gateway")
        .fact("held: the case alone; all others go on, and nothing is sent twice")
        .help("report the case's id and the gateway's version to its makers");
    if let Err(error) = finish(pipeline, clinic, case, job, Ended::hold(problem)).await {
        tracing::error!(case.id = %case, error = %Chain(&error), "could not end a delivery's turn");
    }
}

async fn deliver(pipeline: &Pipeline, job: &Job) {
    let case = CaseId(job.subject);
    let Some(clinic) = job.body.clinic.as_deref() else {
        tracing::error!(case.id = %case, "a delivery does not say whose it is");
        return;
    };
    let ended = match run_case(pipeline, clinic, case).await {
        Ok(ended) => ended,
        Err(Error::Store(error)) => {
            tracing::error!(case.id = %case, error = %Chain(&error), "could not record a delivery");
            tokio::time::sleep(STORE_PAUSE).await;
            return;
        }
        Err(Error::Account(error)) => Ended::hold(account_unusable(&error)),
        Err(Error::Cliniko(error)) => after_failure(pipeline, case, job, &error),
    };
    if let Err(error) = finish(pipeline, clinic, case, job, ended).await {
        tracing::error!(case.id = %case, error = %Chain(&error), "could not end a delivery's turn");
    }
}

/// A failure that may pass is tried again; one that will not is put before a person.
fn after_failure(pipeline: &Pipeline, case: CaseId, job: &Job, error: &outbound::cliniko::Error) -> Ended {
    tracing::warn!(case.id = %case, delivery.attempt = job.body.attempts, error = %Chain(error), "a call to Cliniko failed");
    let passes = match error {
        outbound::cliniko::Error::RateLimited { wait } => {
            return Ended::Retry { after: *wait, failed: false };
        }
        outbound::cliniko::Error::Connect { .. } | outbound::cliniko::Error::ConnectTimeOut { .. } => true,
        // Only reads end so: nothing was changed by them.
        outbound::cliniko::Error::Shape(_) => job.body.attempts < MISREAD_ATTEMPTS_MAX,
        other => other.outcome() == Outcome::Unknown,
    };
    if passes && job.body.attempts < ATTEMPTS_MAX {
        let mut chance = [0];
        pipeline.clock.fill_random(&mut chance);
        return Ended::Retry { after: retry_after(job.body.attempts, chance[0]), failed: true };
    }
    Ended::hold(
        Diagnostic::error(Code::new("D101"), format!("Cliniko did not take the case: {error}"))
            .fact("held: what was already filed stays filed, and nothing is sent twice")
            .help(format!(
                "`gateway explain {}` says what this answer means; then release the case again",
                error.code()
            )),
    )
}

/// Runs what is left of one case's plan.
async fn run_case(pipeline: &Pipeline, clinic: &str, id: CaseId) -> Result<Ended, Error> {
    let Some(stored) = case::load(&pipeline.store, clinic, id)? else { return Ok(Ended::Stopped) };
    let account = match stored.standing.state {
        State::Superseded | State::Withdrawn => return settle(pipeline, &stored).await,
        State::Releasing | State::Filed => pipeline.accounts.account(&pipeline.store, clinic)?,
        _ => return Ok(Ended::Stopped),
    };
    let calls = match plan::of(pipeline, &stored).await? {
        Ok(calls) => calls,
        Err(problem) => return Ok(Ended::hold(problem)),
    };
    if stored.standing.state == State::Filed {
        return verify::run(pipeline, &account, &stored, calls).await;
    }
    for (number, planned) in (0u8..).zip(calls) {
        let turn = call::Turn { pipeline, account: &account, case: &stored, number };
        match turn.run(planned).await? {
            Ended::Done => {}
            other => return Ok(other),
        }
    }
    Ok(Ended::Done)
}

/// A newer version came while a write was under way. Nothing more is written; whether that one happened is found out,
/// so that the newer version can name it.
async fn settle(pipeline: &Pipeline, stored: &Stored) -> Result<Ended, Error> {
    let calls = call_records::of_case(&pipeline.store, &stored.case.clinic, stored.case.id)?;
    if !calls.iter().any(|it| matches!(it.phase, Phase::Registering { .. })) {
        return Ok(Ended::Stopped);
    }
    let account = pipeline.accounts.account(&pipeline.store, &stored.case.clinic)?;
    for (number, call) in (0u8..).zip(calls) {
        if matches!(call.phase, Phase::Registering { .. }) {
            let turn = call::Turn { pipeline, account: &account, case: stored, number };
            match turn.run(call).await? {
                Ended::Done | Ended::Stopped => {}
                other => return Ok(other),
            }
        }
    }
    Ok(Ended::Stopped)
}

/// Writes down how a turn ended, and when the next one is due.
async fn finish(
    pipeline: &Pipeline,
    clinic: &str,
    id: CaseId,
    job: &Job,
    ended: Ended,
) -> Result<(), store::Error> {
    let mut change = Change::new();
    let now = pipeline.clock.now();
    match ended {
        Ended::Done => {
            let Some(mut stored) = case::load(&pipeline.store, clinic, id)? else { return Ok(()) };
            job.delete(&mut change);
            if move_on(&mut stored, Command::Filed, &mut change, pipeline) {
                // The content is read back once, later: Cliniko needs a while to process a file.
                let mut later = Job::new(job::Kind::Deliver, now + verify::FIRST_LOOK, id.0);
                later.body.clinic = Some(clinic.to_owned());
                later.put(&mut change);
                tracing::info!(case.id = %id, "filed a case");
            }
        }
        Ended::Hold(problem) => {
            let Some(mut stored) = case::load(&pipeline.store, clinic, id)? else { return Ok(()) };
            job.delete(&mut change);
            tracing::error!(case.id = %id, diagnostic.code = problem.code.as_str(), "a delivery waits for a person");
            let before = stored.standing.clone();
            stored.case.holds = vec![*problem];
            if !move_on(&mut stored, Command::Hold, &mut change, pipeline) {
                // A filed case stays filed; what was found about it afterwards is shown with it.
                change.audit(
                    audit::Entry::new(now, "gateway", "case.alarm", id.to_string())
                        .of_clinic(clinic.to_owned()),
                );
                stored.update(&mut change, &before);
            }
        }
        Ended::Retry { after, failed } => {
            job.delete(&mut change);
            let mut later = job.clone();
            later.body.attempts += u32::from(failed);
            // A due time of the same millisecond would be the row just deleted.
            later.due_at = now + after.max(Duration::from_millis(2));
            later.put(&mut change);
        }
        Ended::Stopped => job.delete(&mut change),
    }
    match pipeline.store.commit(change).await {
        // The case changed meanwhile; the job is still there and finds it as it is now.
        Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Applies a command of the gateway's own to a case, if its state takes it.
fn move_on(stored: &mut Stored, command: Command, change: &mut Change, pipeline: &Pipeline) -> bool {
    let before = stored.standing.clone();
    let Ok(event) = workflow::decide(before.state, command, Roles::gateway()) else { return false };
    stored.standing.state = workflow::apply(before.state, event);
    let act = if matches!(stored.standing.state, State::Filed) { "case.filed" } else { "case.held" };
    let codes: Vec<&str> = stored.case.holds.iter().map(|it| it.code.as_str()).collect();
    change.audit(
        audit::Entry::new(pipeline.clock.now(), "gateway", act, stored.case.id.to_string())
            .of_clinic(stored.case.clinic.clone())
            .with("diagnostics", codes),
    );
    stored.update(change, &before);
    true
}

fn account_unusable(error: &accounts::Error) -> Diagnostic {
    Diagnostic::error(Code::new("D102"), format!("the clinic's Cliniko account cannot be used: {error}"))
        .fact("held: nothing was sent")
        .help("correct the key with `gateway clinic key`, then release the case again")
}

/// How far this run of the gateway has come, as a time the wall clock cannot bend.
fn moment(pipeline: &Pipeline) -> Moment {
    let monotonic_ms = u64::try_from(pipeline.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
    Moment { run: pipeline.run, monotonic_ms }
}

/// How long after `then` it is, for certain: for a moment of another run, only this run's own age is certain.
fn since(pipeline: &Pipeline, then: Moment) -> Duration {
    let now = moment(pipeline);
    let from = if then.run == now.run { then.monotonic_ms } else { pipeline.started_ms };
    Duration::from_millis(now.monotonic_ms.saturating_sub(from))
}
