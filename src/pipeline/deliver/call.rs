//! One call, from P0 to P4.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::audit;
use crate::clinical::model::Moment;
use crate::clinical::model::Report;
use crate::clinical::workflow::State;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::cliniko;
use crate::formats::cliniko::write::NewAttachment;
use crate::outbound;
use crate::outbound::cliniko::Lane;
use crate::outbound::cliniko::Outcome;
use crate::pipeline::Pipeline;
use crate::pipeline::accounts::Account;
use crate::pipeline::deliver::Ended;
use crate::pipeline::deliver::Error;
use crate::pipeline::deliver::moment;
use crate::pipeline::deliver::plan;
use crate::pipeline::deliver::since;
use crate::pipeline::records::call;
use crate::pipeline::records::call::Call;
use crate::pipeline::records::call::FoundBy;
use crate::pipeline::records::call::Phase;
use crate::pipeline::records::call::What;
use crate::pipeline::records::case;
use crate::pipeline::records::case::MatchedPatient;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::report;
use crate::store;
use crate::store::Change;
use crate::store::Table;
use crate::telemetry::Chain;

/// Dates have no hour, and Cliniko's clock is not ours.
const NOTE_MARGIN: Duration = Duration::from_hours(24);

/// One call's turn.
pub(super) struct Turn<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) account: &'a Account,
    pub(super) case: &'a Stored,
    /// Its place in the plan.
    pub(super) number: u8,
}

impl Turn<'_> {
    /// Brings the call as far as it goes now.
    pub(super) async fn run(&self, call: Call) -> Result<Ended, Error> {
        match call.phase {
            Phase::Confirmed { .. } => self.compare(call).await,
            Phase::Planned => self.begin(call).await,
            Phase::Registering { .. } => self.resolve(call).await,
        }
    }

    /// P0: looks whether it was filed before (a restored store, a message read again), then writes.
    async fn begin(&self, call: Call) -> Result<Ended, Error> {
        if let Some(ended) = self.stop_or_hold(&call).await? {
            return Ok(ended);
        }
        match self.look_up(&call).await?.as_slice() {
            [] => self.write(call).await,
            [found] => {
                let found = found.clone();
                self.confirm(call, found, FoundBy::LookUp).await
            }
            several => Ok(Ended::hold(found_several(several.len()))),
        }
    }

    /// P3: the write may have happened. Waits until it cannot happen any more, then looks, twice if need be.
    async fn resolve(&self, mut call: Call) -> Result<Ended, Error> {
        let Phase::Registering { began, absent } = call.phase else { return Ok(Ended::Done) };
        let config = self.pipeline.accounts.config();
        let age = since(self.pipeline, began);
        if age < config.request_life {
            return Ok(wait(config.request_life.saturating_sub(age)));
        }
        match self.look_up(&call).await?.as_slice() {
            [found] => {
                let found = found.clone();
                self.confirm(call, found, FoundBy::LookUp).await
            }
            [] => {
                // An absence counts from this run only: what another run saw may have been before the write arrived.
                let first = absent.filter(|then| then.run == self.pipeline.run);
                match first.map(|then| since(self.pipeline, then)) {
                    Some(apart) if apart >= config.settle => {
                        call.phase = Phase::Planned;
                        self.record(&call, "call.absent").await?;
                        self.begin(call).await
                    }
                    Some(apart) => Ok(wait(config.settle.saturating_sub(apart))),
                    None => {
                        call.phase = Phase::Registering { began, absent: Some(moment(self.pipeline)) };
                        self.record(&call, "call.not_found").await?;
                        Ok(wait(config.settle))
                    }
                }
            }
            several => Ok(Ended::hold(found_several(several.len()))),
        }
    }

    /// P1 to P4.
    async fn write(&self, mut call: Call) -> Result<Ended, Error> {
        let upload_url = match &call.what {
            What::Attachment { document, sha256, filename, .. } => {
                let Some(bytes) = plan::document(self.pipeline, &self.case.case, *document, sha256)? else {
                    return Ok(Ended::hold(document_lost()));
                };
                let form = self.account.client.attachment_presigned_post(&call.patient).await?;
                Some(self.account.client.upload(&form, &call.patient, filename, &bytes).await?)
            }
            What::Note { .. } => None,
        };
        // The upload took a while: nobody may have changed their mind, and the patient must still be who it was.
        if let Some(ended) = self.stop_or_hold(&call).await? {
            return Ok(ended);
        }
        call.phase = Phase::Registering { began: moment(self.pipeline), absent: None };
        if !self.register(&call).await? {
            call.phase = Phase::Planned;
            return Ok(wait(Duration::ZERO));
        }
        let answer = match (&call.what, upload_url) {
            (What::Attachment { description, .. }, Some(upload_url)) => {
                let new = NewAttachment {
                    patient_id: call.patient.to_string(),
                    upload_url,
                    description: description.clone(),
                };
                self.account.client.create_attachment(&new).await.map(|it| it.id)
            }
            (What::Attachment { .. }, None) => return Ok(Ended::hold(document_lost())),
            (What::Note { note }, _) => self.account.client.create_note(note).await.map(|it| it.id),
        };
        match answer {
            Ok(id) => self.confirm(call, id, FoundBy::Answer).await,
            Err(error) if error.outcome() == Outcome::NotHappened => {
                call.phase = Phase::Planned;
                self.record(&call, "call.refused").await?;
                Err(error.into())
            }
            Err(error) => {
                tracing::warn!(case.id = %self.case.case.id, call.id = call.id, error = %Chain(&error), "the outcome of a write is unknown");
                Ok(wait(self.pipeline.accounts.config().request_life))
            }
        }
    }

    /// P4.
    async fn confirm(
        &self,
        mut call: Call,
        cliniko_id: cliniko::Id,
        found_by: FoundBy,
    ) -> Result<Ended, Error> {
        let at = self.pipeline.clock.now();
        call.phase = Phase::Confirmed { cliniko_id, at, found_by, verified: false };
        self.record(&call, "call.confirmed").await?;
        self.compare(call).await
    }

    /// A note is compared with what was approved before the case counts as filed; a file later, once it is processed.
    async fn compare(&self, mut call: Call) -> Result<Ended, Error> {
        let (What::Note { note }, Phase::Confirmed { cliniko_id, at, found_by, verified: false }) =
            (&call.what, &call.phase)
        else {
            return Ok(Ended::Done);
        };
        let kept = self.account.client.note(cliniko_id).await?;
        if !note.reads_back(&kept.content) {
            return Ok(Ended::hold(note_differs()));
        }
        call.phase =
            Phase::Confirmed { cliniko_id: cliniko_id.clone(), at: *at, found_by: *found_by, verified: true };
        self.record(&call, "call.verified").await?;
        Ok(Ended::Done)
    }

    /// Whether the case is no longer to be sent, or its patient is no longer who was approved.
    async fn stop_or_hold(&self, call: &Call) -> Result<Option<Ended>, Error> {
        let now = case::standing(&self.pipeline.store, self.case.case.id)?;
        if now.is_none_or(|it| it.state != State::Releasing) {
            return Ok(Some(Ended::Stopped));
        }
        let patient = match self.account.client.patient(Lane::Delivery, &call.patient).await {
            Ok(patient) => patient,
            Err(outbound::cliniko::Error::Refused { status: 404, .. }) => {
                return Ok(Some(Ended::hold(patient_changed("is not there any more"))));
            }
            Err(error) => return Err(error.into()),
        };
        if !patient.writable() {
            return Ok(Some(Ended::hold(patient_changed("was archived or merged"))));
        }
        let approved = self.case.case.patient.as_ref();
        let is_same =
            approved.is_some_and(|it| it.is_same_person(&MatchedPatient::of(&self.account.clinic, &patient)));
        Ok((!is_same).then(|| Ended::hold(patient_changed("has another name, birth date or NHS number now"))))
    }

    /// What carries the call's marker in this patient's record, archived or not.
    async fn look_up(&self, call: &Call) -> Result<Vec<cliniko::Id>, Error> {
        let client = &self.account.client;
        match &call.what {
            What::Attachment { .. } => {
                let found = client.attachments_marked(&call.patient, &call.marker).await?;
                Ok(found.into_iter().map(|it| it.id).collect())
            }
            What::Note { .. } => {
                let since = self.notes_since(call)?;
                let found = client.notes_marked(&call.patient, since, &call.marker).await?;
                Ok(found.into_iter().map(|it| it.id).collect())
            }
        }
    }

    /// Since when a note with this marker can exist. A store that was restored may have filed it in an earlier life,
    /// before it planned it in this one; never before the sample was taken.
    fn notes_since(&self, call: &Call) -> Result<Timestamp, store::Error> {
        let case = &self.case.case;
        let report = report::load(&self.pipeline.store, case.report, &case.clinic)?;
        let sampled = report.as_ref().and_then(Report::collected_at).and_then(Moment::date);
        let sampled = sampled.and_then(|date| date.to_zoned(TimeZone::UTC).ok()).map(|day| day.timestamp());
        let earliest = sampled.unwrap_or(Timestamp::UNIX_EPOCH);
        Ok(earliest.min(case.opened_at).min(call.planned_at) - NOTE_MARGIN)
    }

    /// P3's trace, while the case is still to be sent: a newer version or a second thought that comes between stops it.
    async fn register(&self, call: &Call) -> Result<bool, store::Error> {
        let now = case::standing(&self.pipeline.store, self.case.case.id)?;
        let Some(now) = now.filter(|it| it.state == State::Releasing) else { return Ok(false) };
        let mut change = Change::new();
        change.expect_equals(Table::CaseStates, &self.case.case.id.key(), now.encode());
        match self.commit(change, call, "call.registering").await {
            Ok(()) => Ok(true),
            Err(store::Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the call's phase durable, with its audit entry.
    async fn record(&self, call: &Call, act: &'static str) -> Result<(), store::Error> {
        self.commit(Change::new(), call, act).await
    }

    async fn commit(&self, mut change: Change, call: &Call, act: &'static str) -> Result<(), store::Error> {
        let case = &self.case.case;
        call::put(&mut change, &case.clinic, case.id, self.number, call);
        let mut entry = audit::Entry::new(self.pipeline.clock.now(), "gateway", act, case.id.to_string())
            .of_clinic(case.clinic.clone())
            .with("call", call.id.clone())
            .with("marker", call.marker.clone());
        if let Phase::Confirmed { cliniko_id, .. } = &call.phase {
            entry = entry.with("cliniko_id", cliniko_id.to_string());
        }
        change.audit(entry);
        self.pipeline.store.commit(change).await.map(drop)
    }
}

/// Waiting is not failing.
const fn wait(after: Duration) -> Ended {
    Ended::Retry { after, failed: false }
}

fn found_several(count: usize) -> Diagnostic {
    Diagnostic::error(Code::new("D103"), format!("{count} records in Cliniko carry the marker of one call"))
        .fact("held: nothing more was sent")
        .help("look at the patient's record in Cliniko, and tell the gateway's makers; the gateway removes nothing")
}

fn document_lost() -> Diagnostic {
    Diagnostic::error(Code::new("D104"), "an approved document is not in the store as it was approved")
        .fact("held: nothing was sent")
        .help("check the store with `gateway audit verify`; the case must be approved again")
}

fn note_differs() -> Diagnostic {
    Diagnostic::error(Code::new("D105"), "the note in Cliniko does not read as it was approved")
        .fact("held: the note is there, and was not changed")
        .help("compare the note in Cliniko with the clinician report, and correct it there by hand")
}

fn patient_changed(how: &str) -> Diagnostic {
    Diagnostic::error(Code::new("D106"), format!("the patient's record in Cliniko {how}"))
        .fact("held: nothing was written to it")
        .help("put the record right in Cliniko and release the case again; if nothing was filed yet, it can also be matched again under Holds")
}
