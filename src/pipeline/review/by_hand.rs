//! A person says whose report it is, and why.
//!
//! The patient is read live from Cliniko, so an archived or merged record is never chosen. Nothing is remembered for
//! other reports: what a person decided holds for this lineage. A release that waits because its patient changed is
//! matched again the same way, and then approved again, as long as nothing has left.

use crate::clinical::model::Sensitive;
use crate::clinical::workflow;
use crate::clinical::workflow::Command;
use crate::clinical::workflow::Roles;
use crate::clinical::workflow::State;
use crate::formats::cliniko;
use crate::outbound;
use crate::outbound::cliniko::Lane;
use crate::pipeline::Pipeline;
use crate::pipeline::accounts::Account;
use crate::pipeline::advance::prepare::candidates;
use crate::pipeline::advance::prepare::opening;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::call;
use crate::pipeline::records::call::Phase;
use crate::pipeline::records::case;
use crate::pipeline::records::case::MatchedPatient;
use crate::pipeline::records::case::Signed;
use crate::pipeline::records::case::Stored;
use crate::pipeline::review::Error;
use crate::pipeline::review::content::load_report;
use crate::pipeline::review::decisions::REASON_CHARS_MAX;
use crate::pipeline::review::decisions::Step;
use crate::pipeline::review::decisions::checked;
use crate::pipeline::sessions::Actor;

/// Gives a case its patient. Permission is the workflow's: a clinician or an administrator.
pub async fn match_by_hand(
    pipeline: &Pipeline,
    by: &Actor,
    id: CaseId,
    patient: &cliniko::Id,
    reason: Sensitive<String>,
) -> Result<Stored, Error> {
    let mut step = Step::begin(pipeline, by, id)?;
    if step.stored.standing.state == State::Held(workflow::Step::Releasing) {
        take_back(pipeline, &mut step)?;
    }
    step.decide(Command::ManualMatch)?;
    let reason = checked("reason", reason, REASON_CHARS_MAX)?;
    let account = pipeline.accounts.account(&pipeline.store, &by.clinic).map_err(Error::Account)?;
    let found = match account.client.patient(Lane::Search, patient).await {
        Ok(found) => found,
        Err(outbound::cliniko::Error::Refused { status: 404, .. }) => {
            return Err(Error::PatientUnusable { why: "the clinic's Cliniko account has no such record" });
        }
        Err(error) => return Err(Error::Cliniko(error)),
    };
    let matched = matched(&account, &found, by.signed(step.now), reason)?;
    let case = &mut step.stored.case;
    case.patient = Some(matched);
    case.suggested_patient_id = None;
    case.holds.clear();
    if case.conflicts_with.take().is_some() {
        // A person says that this one is right: what it contradicted ends.
        let mut others = case::of_lineage(&pipeline.store, &case.clinic, &case.lineage)?;
        others.retain(|it| it.case.id != id);
        opening::end(pipeline, others, case, Command::Supersede, &mut step.change);
    }
    let report = load_report(&pipeline.store, case)?;
    candidates::answer_order(&pipeline.store, &case.clinic, &report, &mut step.change)?;
    if case.interpretation.is_none() {
        let found = opening::interpretation(pipeline, &case.clinic, &report)?;
        step.stored.standing.urgency = step.stored.standing.urgency.max(found.urgency());
        step.stored.case.interpretation = Some(found);
    }
    step.decide_as(Command::Interpreted, Roles::gateway())?;
    // The reason stands in the sealed case: people write names into reasons.
    step.commit("case.matched_by_hand", |entry| entry.with("patient", patient.as_str())).await
}

/// Undoes what led to a release that waits for a person: approval, plan and match, as long as no call has begun. What
/// is approved is content for one patient, so another patient needs another approval.
fn take_back(pipeline: &Pipeline, step: &mut Step<'_>) -> Result<(), Error> {
    let calls = call::of_case(&pipeline.store, &step.stored.case.clinic, step.stored.case.id)?;
    let has_begun = calls.iter().any(|call| call.phase != Phase::Planned);
    step.decide(Command::Unmatch { has_begun })?;
    for (number, _) in (0u8..).zip(&calls) {
        call::delete(&mut step.change, step.stored.case.id, number);
    }
    step.stored.case.approval = None;
    let entry = step.entry("case.unmatched").with("calls", calls.len());
    step.change.audit(entry);
    Ok(())
}

fn matched(
    account: &Account,
    patient: &cliniko::read::Patient,
    by: Signed,
    reason: Sensitive<String>,
) -> Result<MatchedPatient, Error> {
    if !patient.writable() {
        return Err(Error::PatientUnusable { why: "the record is archived, deleted or merged with another" });
    }
    if patient.date_of_birth.is_none() {
        return Err(Error::PatientUnusable { why: "the record has no birth date" });
    }
    if patient.last_name.is_none() {
        return Err(Error::PatientUnusable { why: "the record has no surname" });
    }
    Ok(MatchedPatient {
        evidence: vec![reason.into_inner()],
        matched_by: Some(by),
        ..MatchedPatient::of(&account.clinic, patient)
    })
}
