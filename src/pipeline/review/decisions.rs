//! What a clinician decides about a case: edit, annotate, approve, reject, release.
//!
//! Each is one transaction: the state as `workflow` allows it, the audit entry, and what follows from it. A case that
//! changed since it was read is a conflict in the store, and nothing happens (R11).

use std::sync::Arc;

use jiff::Timestamp;

use crate::audit;
use crate::clinical::document::Kind;
use crate::clinical::model::Sensitive;
use crate::clinical::workflow;
use crate::clinical::workflow::Command;
use crate::clinical::workflow::ContentDigest;
use crate::clinical::workflow::State;
use crate::pipeline::Pipeline;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::case::Approval;
use crate::pipeline::records::case::CaseNote;
use crate::pipeline::records::case::Rejection;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::clinic;
use crate::pipeline::records::clinic::Release;
use crate::pipeline::records::job;
use crate::pipeline::records::job::Job;
use crate::pipeline::review::Error;
use crate::pipeline::review::content;
use crate::pipeline::review::content::Material;
use crate::pipeline::review::content::Papers;
use crate::pipeline::review::content::sha256;
use crate::pipeline::review::document_key;
use crate::pipeline::review::open;
use crate::pipeline::sessions::Actor;
use crate::pipeline::sessions::Clinician;
use crate::store::Change;
use crate::store::Table;

/// Longest text in place of the interpreters' words: some pages.
const TEXT_CHARS_MAX: usize = 10_000;
/// Longest note, and longest reason.
const NOTE_CHARS_MAX: usize = 4_000;

/// What to change in the draft; what is `None` stays as it is.
#[derive(Debug, Default)]
pub struct Edit {
    /// `Some(None)` gives the interpreters' words back.
    pub clinician_text: Option<Option<Sensitive<String>>>,
    pub patient_text: Option<Option<Sensitive<String>>>,
    /// A person has spoken to the patient about what is urgent.
    pub contact_confirmed: Option<bool>,
}

/// Changes the draft's words.
pub async fn edit(pipeline: &Pipeline, by: &Clinician, id: CaseId, edit: Edit) -> Result<Stored, Error> {
    let mut step = Step::begin(pipeline, by.actor(), id)?;
    step.decide(Command::Edit)?;
    let mut changed = Vec::new();
    let edits = &mut step.stored.case.edits;
    for (field, text, place) in [
        ("clinician_text", edit.clinician_text, &mut edits.clinician_text),
        ("patient_text", edit.patient_text, &mut edits.patient_text),
    ] {
        let Some(text) = text else { continue };
        *place = text.map(|text| checked(field, text, TEXT_CHARS_MAX)).transpose()?;
        changed.push(field);
    }
    if let Some(confirmed) = edit.contact_confirmed {
        edits.contact_confirmed = confirmed;
        changed.push("contact_confirmed");
    }
    step.commit("case.edited", |entry| entry.with("fields", changed)).await
}

/// Adds a note for colleagues; it stands on the clinician document and never on the patient's.
pub async fn note(
    pipeline: &Pipeline,
    by: &Clinician,
    id: CaseId,
    text: Sensitive<String>,
) -> Result<Stored, Error> {
    let text = checked("text", text, NOTE_CHARS_MAX)?;
    let mut step = Step::begin(pipeline, by.actor(), id)?;
    step.decide(Command::AddNote)?;
    step.stored.case.notes.push(CaseNote { by: by.actor().signed(step.now), text });
    step.commit("case.note_added", |entry| entry).await
}

/// Signs exactly the content that was shown; releases it too where the clinic has said so.
///
/// # Errors
/// [`Error::OtherVersion`] and a refusal of the state before the hash is looked at; a refusal as stale where what was
/// shown is no longer what there is.
pub async fn approve(
    pipeline: &Pipeline,
    by: &Clinician,
    id: CaseId,
    version: u32,
    shown: ContentDigest,
) -> Result<Stored, Error> {
    let mut step = Step::begin(pipeline, by.actor(), id)?;
    let current = step.stored.case.version;
    if current != version {
        return Err(Error::OtherVersion { asked: version, current });
    }
    // Before the costly part: somebody who may not, or a case that cannot be, is told so.
    workflow::decide(
        step.stored.standing.state,
        Command::Approve { shown, current: shown },
        by.actor().roles,
    )?;
    let material = Arc::new(Material::read(pipeline, &step.stored.case)?);
    let draft = content::draft(&material).await?;
    step.decide(Command::Approve { shown, current: draft.digest })?;
    let signed = by.actor().signed(step.now);
    let papers = content::finals(&material, &signed).await?;
    let approval = Approval {
        by: signed,
        content_sha256: draft.digest.to_string(),
        clinician_pdf_sha256: sha256(&papers.clinician).to_string(),
        patient_pdf_sha256: sha256(&papers.patient).to_string(),
    };
    step.keep(papers);
    let facts = [
        ("content", approval.content_sha256.clone()),
        ("report", step.stored.case.report_sha256.clone()),
        ("clinician_pdf", approval.clinician_pdf_sha256.clone()),
        ("patient_pdf", approval.patient_pdf_sha256.clone()),
        ("mapping", material.reading.report.origin.mapping_digest.clone()),
        (
            "knowledge",
            step.stored.case.interpretation.as_ref().map_or_else(String::new, |it| it.digest.clone()),
        ),
    ];
    step.stored.case.approval = Some(approval);
    let clinic = clinic::load(&pipeline.store, &step.stored.case.clinic)?;
    let released = clinic.is_some_and(|it| it.release == Release::Automatic);
    if released {
        step.release()?;
    }
    let stored = step
        .commit("case.approved", |entry| {
            facts
                .into_iter()
                .fold(entry.with("version", version), |entry, (name, hash)| entry.with(name, hash))
        })
        .await?;
    if released {
        pipeline.wake.deliver.notify_one();
    }
    Ok(stored)
}

/// Ends a case without sending anything, or takes an approval back that was not released yet.
pub async fn reject(
    pipeline: &Pipeline,
    by: &Clinician,
    id: CaseId,
    reason: Sensitive<String>,
) -> Result<Stored, Error> {
    let reason = checked("reason", reason, NOTE_CHARS_MAX)?;
    let mut step = Step::begin(pipeline, by.actor(), id)?;
    step.decide(Command::Reject)?;
    step.stored.case.rejection = Some(Rejection { by: by.actor().signed(step.now), reason });
    step.commit("case.rejected", |entry| entry).await
}

/// Sends an approved case on its way to Cliniko: the second step, where the clinic wants two.
pub async fn release(pipeline: &Pipeline, by: &Clinician, id: CaseId) -> Result<Stored, Error> {
    let mut step = Step::begin(pipeline, by.actor(), id)?;
    step.release()?;
    // `Step::release` has its own entry in the audit chain.
    let stored = step.commit_silently().await?;
    pipeline.wake.deliver.notify_one();
    Ok(stored)
}

/// One decision in the making: the case as read, the case as it will be, and the change that makes it so.
pub(super) struct Step<'a> {
    pipeline: &'a Pipeline,
    actor: &'a Actor,
    pub(super) stored: Stored,
    before: crate::pipeline::records::case::Standing,
    pub(super) change: Change,
    pub(super) now: Timestamp,
}

impl<'a> Step<'a> {
    pub(super) fn begin(pipeline: &'a Pipeline, actor: &'a Actor, id: CaseId) -> Result<Self, Error> {
        let stored = open(pipeline, actor, id)?;
        let before = stored.standing.clone();
        Ok(Self { pipeline, actor, stored, before, change: Change::new(), now: pipeline.clock.now() })
    }

    /// Moves the case on as the workflow decides for this person.
    pub(super) fn decide(&mut self, command: Command) -> Result<(), Error> {
        self.decide_as(command, self.actor.roles)
    }

    pub(super) fn decide_as(&mut self, command: Command, roles: workflow::Roles) -> Result<(), Error> {
        let state = self.stored.standing.state;
        self.stored.standing.state = workflow::apply(state, workflow::decide(state, command, roles)?);
        Ok(())
    }

    pub(super) fn entry(&self, act: &'static str) -> audit::Entry {
        audit::Entry::new(self.now, self.actor.user.to_string(), act, self.stored.case.id.to_string())
            .of_clinic(self.stored.case.clinic.clone())
    }

    /// The decision to send, or to go on sending what the outbox put before a person: the state, the outbox's job, and
    /// an entry of its own.
    fn release(&mut self) -> Result<(), Error> {
        let is_held = self.stored.standing.state == State::Held(workflow::Step::Releasing);
        self.decide(if is_held { Command::Resume } else { Command::Release })?;
        self.stored.case.holds.clear();
        let mut job = Job::new(job::Kind::Deliver, self.now, self.stored.case.id.0);
        job.body.clinic = Some(self.stored.case.clinic.clone());
        job.put(&mut self.change);
        let entry = self.entry("case.released").with("version", self.stored.case.version);
        self.change.audit(entry);
        Ok(())
    }

    /// Keeps the final documents; from here on these bytes are the documents.
    fn keep(&mut self, papers: Papers) {
        let scope = self.stored.scope();
        for (kind, pdf) in [(Kind::Clinician, papers.clinician), (Kind::Patient, papers.patient)] {
            self.change.put_sealed(Table::Documents, &document_key(self.stored.case.id, kind), &scope, pdf);
        }
    }

    /// Commits everything with its audit entry, or nothing.
    pub(super) async fn commit(
        mut self,
        act: &'static str,
        detail: impl FnOnce(audit::Entry) -> audit::Entry,
    ) -> Result<Stored, Error> {
        let entry = detail(self.entry(act));
        self.change.audit(entry);
        self.commit_silently().await
    }

    async fn commit_silently(self) -> Result<Stored, Error> {
        let Self { pipeline, mut stored, before, mut change, .. } = self;
        stored.update(&mut change, &before);
        pipeline.store.commit(change).await?;
        tracing::info!(
            case.id = %stored.case.id,
            case.version = stored.case.version,
            case.from = before.state.as_str(),
            case.state = stored.standing.state.as_str(),
            "changed a case"
        );
        Ok(stored)
    }
}

/// A text that is neither blank nor longer than its limit.
pub(super) fn checked(
    field: &'static str,
    text: Sensitive<String>,
    max: usize,
) -> Result<Sensitive<String>, Error> {
    let chars = text.expose().chars().count();
    if text.expose().trim().is_empty() {
        return Err(Error::TextMissing { field });
    }
    if chars > max {
        return Err(Error::TextTooLong { field, chars, max });
    }
    Ok(text)
}

/// Longest reason of a match by hand.
pub(super) const REASON_CHARS_MAX: usize = NOTE_CHARS_MAX;
