//! Steps 7 and 8: whose report it is, and what the interpreters say; a case for a person to review.
//!
//! Between the report and the case stands one look-up, the candidates; the rest is pure. What is not safe becomes a
//! case that waits for a person, interpreted all the same: a critical result is escalated before its patient is known.
//! A newer report of a lineage supersedes the case before it.

pub(in crate::pipeline) mod candidates;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::task::JoinSet;

use crate::audit;
use crate::clinical::interpret;
use crate::clinical::interpret::Context;
use crate::clinical::interpret::guard::Guarded;
use crate::clinical::interpret::guard::guard;
use crate::clinical::matching;
use crate::clinical::matching::Match;
use crate::clinical::model::Interpretation;
use crate::clinical::model::NotAssessed;
use crate::clinical::model::Report;
use crate::clinical::workflow;
use crate::clinical::workflow::Command;
use crate::clinical::workflow::Roles;
use crate::clinical::workflow::State;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::pipeline::advance::LOOK_EVERY;
use crate::pipeline::advance::STORE_PAUSE;
use crate::pipeline::advance::put_back;
use crate::pipeline::advance::retry_after;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::case;
use crate::pipeline::records::case::Case;
use crate::pipeline::records::case::Edits;
use crate::pipeline::records::case::MatchedPatient;
use crate::pipeline::records::case::Standing;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::job;
use crate::pipeline::records::job::Job;
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
/// Earlier reports of a patient that an interpreter is shown.
const HISTORY_MAX: usize = 20;

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

/// A defect of ours holds up its message alone: it is tried again, ever more rarely, until a version without it runs.
async fn put_off(pipeline: &Pipeline, job: &Job, defect: &JoinError) -> Result<(), store::Error> {
    tracing::error!(message.id = %job.subject, error = %Chain(defect), "preparing a report met a defect of the gateway");
    let mut change = Change::new();
    put_back(&mut change, job, pipeline.clock.now(), retry_after(job.body.attempts, 0));
    pipeline.store.commit(change).await.map(drop)
}

async fn advance(pipeline: &Pipeline, job: &Job) -> Result<(), store::Error> {
    let message = MessageId(job.subject);
    let mut change = Change::new();
    match prepare(pipeline, message, &mut change).await {
        Ok(()) => job.delete(&mut change),
        Err(Error::Store(failed)) => return Err(failed),
        Err(error @ (Error::LookUp(_) | Error::Account(_))) => {
            tracing::warn!(message.id = %message, error = %Chain(&error), "could not look for a patient");
            let mut jitter = [0];
            pipeline.clock.fill_random(&mut jitter);
            change = Change::new();
            put_back(&mut change, job, pipeline.clock.now(), retry_after(job.body.attempts, jitter[0]));
        }
    }
    match pipeline.store.commit(change).await {
        // Somebody changed a case of the lineage meanwhile: the job is still there, and decides anew.
        Ok(_) | Err(store::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Adds the cases of a message's reports to a change.
async fn prepare(pipeline: &Pipeline, id: MessageId, change: &mut Change) -> Result<(), Error> {
    let Some(standing) = message::standing(&pipeline.store, id)? else { return Ok(()) };
    let feed = standing.feed.as_deref().and_then(|name| pipeline.feeds.named(name));
    for clinic in feed.map(|feed| feed.clinics.as_slice()).unwrap_or_default() {
        for (key, report) in of_clinic(pipeline, id, clinic)? {
            prepare_one(pipeline, clinic, key, &report, change).await?;
        }
    }
    Ok(())
}

/// The message's reports that are sealed for this clinic; another clinic's do not open.
fn of_clinic(
    pipeline: &Pipeline,
    id: MessageId,
    clinic: &str,
) -> Result<Vec<(ReportKey, Report)>, store::Error> {
    match report::of_message(&pipeline.store, id, clinic) {
        Err(store::Error::Sealed { .. } | store::Error::KeyMissing { .. }) => Ok(Vec::new()),
        other => other,
    }
}

async fn prepare_one(
    pipeline: &Pipeline,
    clinic: &str,
    key: ReportKey,
    report: &Report,
    change: &mut Change,
) -> Result<(), Error> {
    let lineage = report::lineage(report);
    let before = case::of_lineage(&pipeline.store, clinic, &lineage)?;
    if before.iter().any(|it| it.case.report == key) {
        return Ok(());
    }
    let earlier = before.last();
    let found = candidates::find(pipeline, clinic, report, earlier).await?;
    let decision = match &found {
        candidates::Found::NoAccount => Match::None { diagnostics: vec![clinic_missing()] },
        candidates::Found::Candidates { candidates, settings, .. } => {
            matching::decide(report, candidates, settings)
        }
    };
    let interpretation = interpretation(pipeline, clinic, report)?;
    let now = pipeline.clock.now();
    let mut case = Case {
        id: CaseId(pipeline.clock.new_id()),
        clinic: clinic.to_owned(),
        lineage,
        version: earlier.map_or(1, |it| it.case.version + 1),
        report: key,
        report_sha256: report::content_sha256(report),
        previous: earlier.map(|it| it.case.id),
        opened_at: now,
        patient: None,
        suggested_patient_id: None,
        interpretation: Some(interpretation),
        edits: Edits::default(),
        notes: Vec::new(),
        approval: None,
        rejection: None,
        holds: Vec::new(),
        seen: None,
    };
    let mut state = place(&mut case, decision, &found);
    if before.iter().any(|it| it.case.report.message > key.message) {
        // It arrived late: a newer report of its lineage was read before it.
        state = State::Superseded;
    } else {
        supersede(pipeline, before, &case, change);
    }
    if state == State::InReview {
        candidates::answer_order(&pipeline.store, clinic, report, change)?;
    }
    let urgency = case.interpretation.as_ref().and_then(Interpretation::urgency);
    let standing = Standing { clinic: clinic.to_owned(), state, urgency, revision: 0, seen: false };
    tracing::info!(case.id = %case.id, message.id = %key.message, state = state.as_str(), "opened a case");
    change.audit(
        audit::Entry::new(now, "gateway", "case.opened", case.id.to_string())
            .of_clinic(clinic)
            .with("report", key.to_string())
            .with("report_sha256", case.report_sha256.clone())
            .with("version", case.version)
            .with("state", state.as_str())
            .with("knowledge", pipeline.knowledge.digest()),
    );
    Stored { case, standing }.insert(change);
    Ok(())
}

/// Files the match in the case; the state that follows from it.
fn place(case: &mut Case, decision: Match, found: &candidates::Found) -> State {
    let step = |state: State, command: Command| {
        workflow::decide(state, command, Roles::gateway()).map(|event| workflow::apply(state, event))
    };
    let matched = match decision {
        Match::Automatic { patient, evidence, .. } => {
            let evidence = evidence
                .fields
                .iter()
                .map(|(field, agreement)| format!("{field}: {}", agreement.as_str()))
                .collect();
            found.person(&patient).map(|facts| MatchedPatient { evidence, matched_by: None, ..facts })
        }
        Match::Review { suggested, diagnostics, .. } => {
            case.suggested_patient_id = suggested.map(|id| id.to_string());
            case.holds = diagnostics;
            None
        }
        Match::None { diagnostics } | Match::Quarantine { diagnostics, .. } => {
            case.holds = diagnostics;
            None
        }
    };
    case.patient = matched;
    let next = if case.patient.is_some() {
        step(State::Matching, Command::MatchFound).and_then(|state| step(state, Command::Interpreted))
    } else {
        step(State::Matching, Command::Hold)
    };
    next.expect("the workflow lets the gateway match, interpret and hold a new case")
}

/// Ends the cases before this one, as far as they have not ended.
fn supersede(pipeline: &Pipeline, before: Vec<Stored>, newer: &Case, change: &mut Change) {
    for mut old in before {
        let standing = old.standing.clone();
        let Ok(event) = workflow::decide(standing.state, Command::Supersede, Roles::gateway()) else {
            continue;
        };
        old.standing.state = workflow::apply(standing.state, event);
        change.audit(
            audit::Entry::new(pipeline.clock.now(), "gateway", "case.superseded", old.case.id.to_string())
                .of_clinic(old.case.clinic.clone())
                .with("from", standing.state.as_str())
                .with("by", newer.id.to_string()),
        );
        old.update(change, &standing);
    }
}

/// What the built-in rules say of a report, with what they may know of its patient's history.
pub fn interpretation(
    pipeline: &Pipeline,
    clinic: &str,
    report: &Report,
) -> Result<Interpretation, store::Error> {
    let earlier = candidates::history(&pipeline.store, clinic, report, HISTORY_MAX)?;
    let context = Context { earlier: earlier.as_deref(), ..Context::default() };
    let request = interpret::request(report, context);
    let rules = pipeline.knowledge.interpret(&request);
    let Guarded { mut interpretation, dropped } = guard(&pipeline.knowledge, &request, &rules, rules.clone());
    // What the guard drops is shown to the clinician: nothing is left out in silence.
    interpretation.not_assessed.extend(dropped.into_iter().map(|it| NotAssessed {
        subject: format!("guard {}", it.code),
        about: Vec::new(),
        reason: it.message,
    }));
    Ok(interpretation)
}

fn clinic_missing() -> Diagnostic {
    Diagnostic::error(
        Code::new("P101"),
        "the clinic of this report has not been added, so nobody can be matched",
    )
    .fact("held: the report is kept and mapped")
    .help("add the clinic with `gateway clinic add`, then match the case by hand")
}
