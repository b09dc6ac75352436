//! Steps 7 and 8: whose report it is, and what the interpreters say; a case for a person to review.
//!
//! Between the report and the case stands one look-up, the candidates; the rest is pure. What is not safe becomes a
//! case that waits for a person, and while Cliniko cannot be asked it waits in `matching`: interpreted all the same, so
//! that a critical result is escalated before its patient is known.

pub(in crate::pipeline) mod candidates;
mod notices;
pub(in crate::pipeline) mod opening;
mod versions;

use std::error;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clinical::model::Report;
use crate::clinical::workflow::State;
use crate::pipeline::Pipeline;
use crate::pipeline::advance::LOOK_EVERY;
use crate::pipeline::advance::STORE_PAUSE;
use crate::pipeline::advance::prepare::candidates::Found;
use crate::pipeline::advance::put_back;
use crate::pipeline::advance::retry_after;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::case;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::job;
use crate::pipeline::records::job::Job;
use crate::pipeline::records::lineage;
use crate::pipeline::records::message;
use crate::pipeline::records::report;
use crate::pipeline::records::report::ReportKey;
use crate::store;
use crate::store::Change;
use crate::telemetry::Chain;

/// Reports prepared before the lane looks at the clock again.
const BATCH_MAX: usize = 32;
/// Reading goes first: while messages wait to be read, a batch is put off by this much at a time.
const GIVE_WAY: Duration = Duration::from_millis(20);
/// How often a batch is put off at most: a critical result must not wait for the end of a flood.
const GIVE_WAY_TIMES: u32 = 25;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Cliniko could not be asked; nothing was decided.
    #[error("cannot look for the patient")]
    LookUp(#[source] crate::outbound::cliniko::Error),
    /// The clinic's account cannot be used as it is configured.
    #[error("cannot look for the patient")]
    Account(#[source] crate::pipeline::accounts::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Prepares mapped reports until it is dropped.
pub async fn run(pipeline: Arc<Pipeline>) {
    loop {
        match round(&pipeline).await {
            Ok(0) => {
                let _new_work_or_time =
                    tokio::time::timeout(LOOK_EVERY, pipeline.wake.prepare.notified()).await;
            }
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "could not prepare reports");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

/// Prepares the due jobs of one look; how many there were.
async fn round(pipeline: &Arc<Pipeline>) -> Result<usize, store::Error> {
    let now = pipeline.clock.now();
    let due: Vec<Job> = job::first(&pipeline.store, job::Kind::Prepare, BATCH_MAX)?
        .into_iter()
        .filter(|job| job.due_at <= now)
        .collect();
    if !due.is_empty() {
        give_way(pipeline).await?;
    }
    for job in &due {
        // In a task of its own, so that a panic ends it alone; dropped with the lane.
        let mut task = JoinSet::new();
        let (its, shared) = (job.clone(), Arc::clone(pipeline));
        task.spawn(async move { advance(&shared, &its).await });
        match task.join_next().await {
            Some(Err(defect)) => put_off(pipeline, job, &defect).await?,
            Some(Ok(Err(damage))) if damage.concerns_one_row() => put_off(pipeline, job, &damage).await?,
            Some(Ok(ended)) => ended?,
            None => {}
        }
    }
    Ok(due.len())
}

/// Waits, not for long, while messages are still to be read: a laboratory that sends many wants its answers first.
async fn give_way(pipeline: &Pipeline) -> Result<(), store::Error> {
    for _ in 0..GIVE_WAY_TIMES {
        if pipeline.store.counter(&message::State::Waiting.counter())? <= 0 {
            break;
        }
        tokio::time::sleep(GIVE_WAY).await;
    }
    Ok(())
}

/// A defect of ours, or a row that cannot be read back, holds up its message alone: it is tried again, ever more
/// rarely, until a program or a disk without the fault runs.
async fn put_off(
    pipeline: &Pipeline,
    job: &Job,
    why: &(dyn error::Error + Sync + 'static),
) -> Result<(), store::Error> {
    tracing::error!(message.id = %job.subject, error = %Chain(why), "could not prepare the reports of a message");
    let mut change = Change::new();
    put_back(&mut change, job, pipeline.clock.now(), retry_after(job.body.attempts, 0));
    pipeline.store.commit(change).await.map(drop)
}

async fn advance(pipeline: &Pipeline, job: &Job) -> Result<(), store::Error> {
    let mut change = Change::new();
    match prepare(pipeline, MessageId(job.subject), &mut change).await? {
        Progress::Settled => job.delete(&mut change),
        Progress::LookAgain => {
            let mut jitter = [0];
            pipeline.clock.fill_random(&mut jitter);
            put_back(&mut change, job, pipeline.clock.now(), retry_after(job.body.attempts, jitter[0]));
        }
    }
    match pipeline.store.commit(change).await {
        // Somebody changed a case of the lineage meanwhile: the job is still there, and decides anew.
        Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// How far a message's reports have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// Each has a case, and it is known whose it is or that a person must say.
    Settled,
    /// A case waits in `matching`, because Cliniko could not be asked.
    LookAgain,
}

/// Adds the cases of a message's reports to a change.
async fn prepare(pipeline: &Pipeline, id: MessageId, change: &mut Change) -> Result<Progress, store::Error> {
    let mut progress = Progress::Settled;
    let Some(standing) = message::standing(&pipeline.store, id)? else { return Ok(progress) };
    for (key, clinic, report) in report::of_message(&pipeline.store, id, &standing)? {
        progress = progress.max(prepare_one(pipeline, &clinic, key, report, change).await?);
    }
    Ok(progress)
}

/// Opens the case of a report, or takes up the one that still waits for the look-up.
async fn prepare_one(
    pipeline: &Pipeline,
    clinic: &str,
    key: ReportKey,
    report: Report,
    change: &mut Change,
) -> Result<Progress, store::Error> {
    let mut others = case::of_lineage(&pipeline.store, clinic, &report::lineage(&report))?;
    let waiting = others.iter().position(|it| it.case.report == key).map(|at| others.remove(at));
    if let Some(waiting) = waiting {
        if waiting.standing.state != State::Matching {
            return Ok(Progress::Settled);
        }
        others.retain(|it| it.case.version < waiting.case.version);
        let report = lineage::reading(&pipeline.store, &waiting.case)?.report;
        let Some(found) = look(pipeline, clinic, &report, known(&others)).await? else {
            return Ok(Progress::LookAgain);
        };
        opening::take_up(pipeline, waiting, &report, &found, change)?;
        return Ok(Progress::Settled);
    }
    let Some(arrived) = versions::arrive(pipeline, clinic, (key, report), &others, change)? else {
        return Ok(Progress::Settled);
    };
    let found = look(pipeline, clinic, &arrived.reading.report, known(&others)).await?;
    let state = opening::open(pipeline, clinic, arrived, others, found.as_ref(), change)?;
    Ok(if state == State::Matching { Progress::LookAgain } else { Progress::Settled })
}

/// The newest case of a lineage whose patient is known; else the newest.
fn known(cases: &[Stored]) -> Option<&Stored> {
    cases.iter().rfind(|it| it.case.patient.is_some()).or(cases.last())
}

/// The candidates; none where Cliniko could not be asked, so that nothing can be decided yet.
async fn look(
    pipeline: &Pipeline,
    clinic: &str,
    report: &Report,
    earlier: Option<&Stored>,
) -> Result<Option<Found>, store::Error> {
    match candidates::find(pipeline, clinic, report, earlier).await {
        Ok(found) => Ok(Some(found)),
        Err(Error::Store(error)) => Err(error),
        Err(error @ (Error::LookUp(_) | Error::Account(_))) => {
            tracing::warn!(clinic, error = %Chain(&error), "could not look for a patient");
            Ok(None)
        }
    }
}
