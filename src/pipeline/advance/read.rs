//! Steps 4 to 6: decode a kept message, map it to canonical reports, or hold it with everything that is wrong.
//!
//! Waiting messages are read in the order they were kept, many at a time: a batch shares one transaction, and while it
//! is flushed the next is read. A panic in one message holds that message alone, as a defect of ours.

use std::borrow::Cow;
use std::collections::HashSet;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use crate::audit;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::inbound::Reading;
use crate::clinical::mapping::inbound::Status;
use crate::clinical::mapping::language::Format;
use crate::clinical::model::Report;
use crate::clock::Id;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::pipeline::advance::LOOK_EVERY;
use crate::pipeline::advance::STORE_PAUSE;
use crate::pipeline::advance::put_back;
use crate::pipeline::advance::retry_after;
use crate::pipeline::application_ack;
use crate::pipeline::application_ack::Owed;
use crate::pipeline::feeds::Feed;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::job;
use crate::pipeline::records::job::Job;
use crate::pipeline::records::mapping;
use crate::pipeline::records::message;
use crate::pipeline::records::message::Message;
use crate::pipeline::records::message::Standing;
use crate::pipeline::records::message::State;
use crate::pipeline::records::report;
use crate::pipeline::records::report::ReportKey;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Table;
use crate::telemetry::Chain;

/// Messages read in one batch. Large enough to share a flush, small enough to hold in memory.
const BATCH_MAX: usize = 128;
/// A thread takes no further message into its share once those it has read hold so many bytes: documents are large.
const SHARE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A batch is shared by so many threads.
const THREADS: usize = 2;

/// Messages that are read, and what is to be committed of them.
#[derive(Default)]
struct Batch {
    messages: HashSet<Id>,
    change: Change,
    /// For connections that wait for them, once it is committed.
    answers: Vec<(MessageId, Option<Vec<u8>>)>,
}

/// Reads waiting messages until it is dropped.
pub async fn run(pipeline: Arc<Pipeline>) {
    let mut read = Batch::default();
    loop {
        let had_work = !read.messages.is_empty();
        read = match round(&pipeline, mem::take(&mut read)).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(error = %Chain(&error), "could not read waiting messages");
                tokio::time::sleep(STORE_PAUSE).await;
                continue;
            }
        };
        if !had_work && read.messages.is_empty() {
            let _new_work_or_time = tokio::time::timeout(LOOK_EVERY, pipeline.wake.read.notified()).await;
        }
    }
}

/// Commits one batch and reads the next meanwhile. Batches are committed one after the other, in the order kept.
async fn round(pipeline: &Arc<Pipeline>, read: Batch) -> Result<Batch, store::Error> {
    // What is being committed still has its jobs.
    let mut jobs = job::first(&pipeline.store, job::Kind::Read, BATCH_MAX + read.messages.len())?;
    jobs.retain(|job| !read.messages.contains(&job.subject));
    jobs.truncate(BATCH_MAX);
    let (committed, next) = tokio::join!(commit(pipeline, read), read_batch(pipeline, jobs));
    committed?;
    next
}

async fn commit(pipeline: &Pipeline, read: Batch) -> Result<(), store::Error> {
    if !read.messages.is_empty() {
        pipeline.store.commit(read.change).await?;
        pipeline.wake.prepare.notify_one();
        pipeline.wake.acknowledge.notify_one();
        for (message, answer) in read.answers {
            pipeline.awaited.answer(message, answer);
        }
    }
    Ok(())
}

async fn read_batch(pipeline: &Arc<Pipeline>, jobs: Vec<Job>) -> Result<Batch, store::Error> {
    let mut batch = Batch::default();
    let share = jobs.len().div_ceil(THREADS);
    let mut rest = jobs;
    let mut tasks = Vec::with_capacity(THREADS);
    while !rest.is_empty() {
        let later = rest.split_off(rest.len().min(share));
        let (part, pipeline) = (mem::replace(&mut rest, later), Arc::clone(pipeline));
        tasks.push(tokio::task::spawn_blocking(move || read_all(&pipeline, &part)));
    }
    for task in tasks {
        let read = task.await.expect("a panic in a message is caught where it is read")?;
        batch.messages.extend(read.messages);
        batch.answers.extend(read.answers);
        batch.change.append(read.change);
    }
    Ok(batch)
}

fn read_all(pipeline: &Pipeline, jobs: &[Job]) -> Result<Batch, store::Error> {
    let mut batch = Batch::default();
    let mut bytes = 0;
    for job in jobs {
        if bytes > SHARE_BYTES_MAX {
            break;
        }
        batch.messages.insert(job.subject);
        let change = &mut batch.change;
        let mut its = Change::new();
        match advance(pipeline, job, &mut its) {
            Ok(read) => {
                bytes += read.bytes;
                batch.answers.extend(read.answer);
                change.append(its);
            }
            // Where it stands cannot be read, so it cannot be moved on; nobody waits for it.
            Err(damage) if damage.concerns_one_row() => {
                tracing::error!(message.id = %job.subject, error = %Chain(&damage), "could not read a waiting message");
                put_back(change, job, pipeline.clock.now(), retry_after(job.body.attempts, 0));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(batch)
}

/// What one message leaves behind beside its change.
#[derive(Default)]
struct Advanced {
    bytes: usize,
    answer: Option<(MessageId, Option<Vec<u8>>)>,
}

/// Adds one message's next state to the change.
fn advance(pipeline: &Pipeline, job: &Job, change: &mut Change) -> Result<Advanced, store::Error> {
    let id = MessageId(job.subject);
    job.delete(change);
    let Some(before) = message::standing(&pipeline.store, id)?.filter(|it| it.state == State::Waiting) else {
        // An earlier run of this job was committed; only the job's row outlived it.
        return Ok(Advanced::default());
    };
    let mut advanced = Advanced::default();
    let feed = before.feed.as_deref().and_then(|name| pipeline.feeds.named(name));
    let outcome = match (feed, message::load(&pipeline.store, id, &before.scope())) {
        (None, _) => Outcome::held(vec![feed_gone()]),
        (Some(feed), Ok(Some(Message { mut raw, .. }))) => {
            advanced.bytes = raw.len();
            let outcome = guarded(|| read(pipeline, feed, &mut raw, job.body.mapping.as_deref()));
            let Outcome { state, diagnostics, .. } = &outcome;
            match application_ack::owed(pipeline, id, feed, &raw, *state, diagnostics) {
                Owed::Nothing => {}
                Owed::OnConnection(answer) => advanced.answer = Some((id, answer)),
                Owed::ToListener(answer) => application_ack::put(pipeline, change, id, feed, &answer)?,
            }
            outcome
        }
        (Some(_), Ok(None)) => Outcome::held(vec![unreadable()]),
        (Some(_), Err(damage)) if damage.concerns_one_row() => {
            tracing::error!(message.id = %id, error = %Chain(&damage), "could not open a kept message");
            Outcome::held(vec![unreadable()])
        }
        (Some(_), Err(error)) => return Err(error),
    };
    outcome.put(pipeline, change, job, &before);
    Ok(advanced)
}

/// What reading a message came to.
struct Outcome {
    state: State,
    reports: Vec<(String, Report)>,
    diagnostics: Vec<Diagnostic>,
    /// Of the mapping that read it; none where none could.
    mapping: Option<String>,
}

impl Outcome {
    fn held(diagnostics: Vec<Diagnostic>) -> Self {
        Self { state: State::Held, reports: Vec::new(), diagnostics, mapping: None }
    }

    fn put(self, pipeline: &Pipeline, change: &mut Change, job: &Job, before: &Standing) {
        let (now, id) = (pipeline.clock.now(), MessageId(job.subject));
        let report_clinics = self.reports.iter().map(|(clinic, _)| clinic.clone()).collect();
        let mapping = self.mapping.clone();
        let after = Standing { state: self.state, report_clinics, mapping, ..before.clone() };
        message::put_standing(change, id, Some(before), &after);
        message::put_diagnostics(change, id, &before.scope(), &self.diagnostics);
        for (index, (clinic, report)) in (0u16..).zip(&self.reports) {
            report::put(change, ReportKey { message: id, index }, clinic, report);
        }
        if !self.reports.is_empty() {
            // Due when the message was: reports are prepared in the order they were kept, not in that of the threads.
            Job::new(job::Kind::Prepare, job.due_at, id.0).put(change);
        }
        let act = match after.state {
            State::Mapped => "message.mapped",
            State::Waiting | State::Held => "message.held",
            State::Rejected => "message.rejected",
        };
        let codes: Vec<&str> = self.diagnostics.iter().map(|it| it.code.as_str()).collect();
        let entry = audit::Entry::new(now, "gateway", act, id.to_string())
            .with("reports", self.reports.len())
            .with("mapping", self.mapping.unwrap_or_default());
        change.audit(if codes.is_empty() { entry } else { entry.with("diagnostics", codes) });
    }
}

/// A panic while one message is read is a defect of ours and holds that message.
fn guarded(read: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| bug())
}

/// Reads a message with the mapping of now, or with a remembered one where `then` names its digest.
///
/// HL7 v2, which may be owed an answer, stays in `raw`; what is read as a tree is given back before it is mapped.
fn read(pipeline: &Pipeline, feed: &Feed, raw: &mut Vec<u8>, then: Option<&str>) -> Outcome {
    let mappings = pipeline.mappings.now();
    let mapping = match then {
        Some(digest) => remembered(pipeline, digest).map(Cow::Owned),
        None => mappings.catalog.lab(&feed.mapping).map(Cow::Borrowed).ok_or_else(mapping_gone),
    };
    let mapping = match mapping {
        Ok(mapping) => mapping,
        Err(problem) => return Outcome::held(vec![problem]),
    };
    let Reading { reports, mut diagnostics, status, .. } = match mapping.format() {
        Format::Csv | Format::Hl7v2 => mapping.read_bytes(raw),
        Format::Fhir | Format::Json => mapping.read_document(mem::take(raw)),
    };
    let mut placed = Vec::with_capacity(reports.len());
    for mut report in reports {
        // Several laboratories may share a mapping; filler numbers are unique to each.
        report.lab.clone_from(&feed.lab);
        match clinic_of(pipeline, feed, &report) {
            Ok(clinic) => placed.push((clinic, report)),
            Err(problem) => diagnostics.push(problem),
        }
    }
    let held = diagnostics.iter().any(Diagnostic::is_error);
    let state = match status {
        Status::Rejected => State::Rejected,
        Status::Held => State::Held,
        Status::Mapped if held => State::Held,
        Status::Mapped => State::Mapped,
    };
    let reports = if state == State::Mapped { placed } else { Vec::new() };
    Outcome { state, reports, diagnostics, mapping: Some(mapping.digest().to_owned()) }
}

/// The mapping of a digest, compiled from what the store remembers of it.
fn remembered(pipeline: &Pipeline, digest: &str) -> Result<Mapping, Diagnostic> {
    let kept = mapping::load(&pipeline.store, digest).ok().flatten().ok_or_else(|| not_remembered(digest))?;
    let compiled = Mapping::compile(&kept.lab, &kept.files).ok().filter(|it| it.digest() == digest);
    compiled.ok_or_else(|| not_as_it_was(digest))
}

/// Whose report it is: the clinic its route leads to, the feed's one clinic, or the one that issued the order number.
///
/// A feed with routes has said how its clinics are told apart; a report that fits none of them belongs to nobody, and
/// an order number does not overrule that.
fn clinic_of(pipeline: &Pipeline, feed: &Feed, report: &Report) -> Result<String, Diagnostic> {
    if !feed.routes.is_empty() {
        let clinic = feed.routed(report.account.as_deref(), report.facility.as_deref());
        return clinic.map(str::to_owned).ok_or_else(no_route);
    }
    if let [only] = feed.clinics.as_slice() {
        return Ok(only.clone());
    }
    let mut owners = feed.clinics.iter().filter(|clinic| {
        let scope = Scope::Clinic((*clinic).clone());
        report.order_number.as_deref().is_some_and(|number| {
            pipeline
                .store
                .find(Table::Orders, &scope, Field::OrderNumber, number)
                .is_ok_and(|rows| !rows.is_empty())
        })
    });
    match (owners.next(), owners.next()) {
        (Some(only), None) => Ok(only.clone()),
        _ => Err(Diagnostic::error(Code::new("M201"), "it cannot be told which clinic the report belongs to")
            .at("OBR[1]-2")
            .fact("held: nothing was sent on")
            .help("have the laboratory return the order number, or bind the feed to one clinic with `clinics = [\"…\"]`")),
    }
}

fn no_route() -> Diagnostic {
    Diagnostic::error(Code::new("M201"), "it cannot be told which clinic the report belongs to")
        .fact("held: nothing was sent on")
        .fact("the report's account and receiving facility fit no route of the laboratory, or those of two clinics")
        .help("add the account or facility to the clinic's `[[lab.route]]`, and replay the message")
}

fn feed_gone() -> Diagnostic {
    Diagnostic::error(Code::new("M202"), "the feed this message came by is no longer configured")
        .fact("held: without its feed nobody knows how to read it")
        .help("configure a feed of that name again, and replay the message")
}

fn mapping_gone() -> Diagnostic {
    Diagnostic::error(Code::new("M203"), "the mapping of this feed does not exist")
        .fact("held: nothing was sent on")
        .help("add the mapping's folder under labs/, and replay the message")
}

fn not_remembered(digest: &str) -> Diagnostic {
    Diagnostic::error(Code::new("M210"), "the mapping that read this message is not remembered")
        .fact(format!("its digest is `{digest}`"))
        .help("replay the message with the mapping of now: leave `--mapping then` out")
}

fn not_as_it_was(digest: &str) -> Diagnostic {
    let told = "the remembered mapping cannot be compiled to what it was by this version of the gateway";
    Diagnostic::error(Code::new("M214"), told)
        .fact("held: nothing was sent on")
        .fact(format!("its digest is `{digest}`"))
        .help("replay the message with the mapping of now: leave `--mapping then` out")
}

fn unreadable() -> Diagnostic {
    Diagnostic::error(Code::new("S103"), "the kept bytes of this message cannot be opened")
        .fact("held: the message alone; nothing was read from the damaged row")
        .help("restore the store from its last backup, or have the laboratory send the message again under a new control id")
}

fn bug() -> Outcome {
    Outcome::held(vec![
        Diagnostic::error(Code::new("S102"), "reading this message met a defect of the gateway")
            .fact("held: the message alone; all others go on")
            .help("report the message's id and the gateway's version to its makers; the bytes are kept"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r13_a_panic_in_a_mapping_holds_its_message_and_ends_nothing_else() {
        let outcome = guarded(|| panic!("an invented defect"));
        assert_eq!(outcome.state, State::Held);
        assert_eq!(outcome.diagnostics.first().map(|it| it.code.as_str()), Some("S102"));
        assert!(outcome.reports.is_empty());
    }
}
