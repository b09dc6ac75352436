//! The one look-up between a report and its case: who could the patient be.
//!
//! First the patient of the order whose number came back, whoever an earlier version was matched to, and whoever is
//! known under the NHS number; only where that gives nobody, Cliniko is searched by birth date and surname. Each
//! candidate is read live: what is decided on is what Cliniko says now.

use std::collections::BTreeSet;

use crate::clinical::matching::Candidate;
use crate::clinical::matching::Candidates;
use crate::clinical::matching::Earlier;
use crate::clinical::matching::NhsNumber;
use crate::clinical::matching::Settings;
use crate::clinical::matching::Source;
use crate::clinical::model::Report;
use crate::clinical::order::ReportReference;
use crate::formats::cliniko;
use crate::outbound;
use crate::outbound::cliniko::Lane;
use crate::pipeline::Pipeline;
use crate::pipeline::accounts;
use crate::pipeline::accounts::Account;
use crate::pipeline::advance::prepare::Error;
use crate::pipeline::records::case::MatchedPatient;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::order;
use crate::pipeline::records::report;
use crate::pipeline::records::report::ReportKey;
use crate::security::blind_index::Field;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;
use crate::telemetry::Chain;

/// What the look-up found.
pub(super) enum Found {
    /// The clinic has not been added: there is nobody to ask.
    NoAccount,
    Candidates {
        candidates: Box<Candidates>,
        settings: Settings,
        people: Vec<MatchedPatient>,
    },
}

impl Found {
    /// The facts of one candidate, as read.
    pub(super) fn person(&self, id: &cliniko::Id) -> Option<MatchedPatient> {
        let Self::Candidates { people, .. } = self else { return None };
        people.iter().find(|it| it.cliniko_id == id.as_str()).cloned()
    }
}

pub(super) async fn find(
    pipeline: &Pipeline,
    clinic: &str,
    report: &Report,
    earlier: Option<&Stored>,
) -> Result<Found, Error> {
    let account = match pipeline.accounts.account(&pipeline.store, clinic) {
        Ok(account) => account,
        Err(accounts::Error::NotAdded) => return Ok(Found::NoAccount),
        Err(accounts::Error::Store(error)) => return Err(error.into()),
        Err(error) => return Err(Error::Account(error)),
    };
    let order = match &report.order_number {
        Some(number) => order::by_number(&pipeline.store, clinic, number)?.map(|(_, order)| order),
        None => None,
    };
    let earlier = earlier.map(|it| earlier_match(pipeline, it)).transpose()?.flatten();
    let mut wanted: Vec<(cliniko::Id, Source)> = Vec::new();
    wanted.extend(order.iter().map(|order| (order.patient.cliniko_id.clone(), Source::Order)));
    wanted.extend(earlier.iter().map(|it| (it.cliniko_id.clone(), Source::Known)));
    if let Some(number) = report.patient.nhs_number() {
        let known = order::patients_by_nhs_number(&pipeline.store, clinic, number.expose())?;
        wanted.extend(known.into_iter().map(|id| (id, Source::Known)));
    }
    let mut read = Vec::new();
    let mut seen = BTreeSet::new();
    for (id, source) in wanted {
        if seen.insert(id.clone()) {
            match account.client.patient(Lane::Search, &id).await {
                Ok(patient) => read.push((patient, source)),
                // The record is gone from the account: nobody to match.
                Err(outbound::cliniko::Error::Refused { status: 404, .. }) => {}
                Err(error) => return Err(Error::LookUp(error)),
            }
        }
    }
    if read.is_empty() {
        read = search(&account, report).await?;
    }
    let mut people = Vec::with_capacity(read.len());
    let mut candidates = Candidates { order, earlier, ..Candidates::default() };
    for (patient, source) in read {
        people.push(MatchedPatient::of(&account.clinic, &patient));
        candidates.people.push(Candidate::from_cliniko(
            &patient,
            nhs_number(pipeline, &account, &patient)?,
            source,
        ));
    }
    let settings =
        Settings { dangerous_test_nhs_numbers: pipeline.dangerous_test_nhs_numbers, ..Settings::default() };
    Ok(Found::Candidates { candidates: Box::new(candidates), settings, people })
}

async fn search(account: &Account, report: &Report) -> Result<Vec<(cliniko::read::Patient, Source)>, Error> {
    let born = report.patient.birth_date.as_ref().and_then(|it| it.expose().date());
    let family = report.patient.names.iter().find_map(|name| name.family.as_ref());
    // Whoever shares the birth date is compared by name here: how Cliniko folds case and accents is not documented.
    let (Some(born), Some(_)) = (born, family) else { return Ok(Vec::new()) };
    let found = account.client.patients_born_on(born).await.map_err(Error::LookUp)?;
    Ok(found.into_iter().map(|patient| (patient, Source::Search)).collect())
}

/// The NHS number in the clinic's custom field; verified where a person confirmed exactly this one.
fn nhs_number(
    pipeline: &Pipeline,
    account: &Account,
    patient: &cliniko::read::Patient,
) -> Result<Option<NhsNumber>, store::Error> {
    let Some(text) = account.clinic.nhs_number_field.as_deref().and_then(|token| patient.custom_field(token))
    else {
        return Ok(None);
    };
    let value: String = text.chars().filter(char::is_ascii_digit).collect();
    let known = order::known_patient(&pipeline.store, &account.clinic.name, &patient.id)?;
    let verified = known.is_some_and(|it| *it.nhs_number.expose() == value);
    Ok(Some(NhsNumber { value: value.into(), verified }))
}

/// How the version before was matched, and the identity it carried.
fn earlier_match(pipeline: &Pipeline, earlier: &Stored) -> Result<Option<Earlier>, store::Error> {
    let Some(cliniko_id) = earlier.case.patient.as_ref().and_then(|it| it.cliniko_id.parse().ok()) else {
        return Ok(None);
    };
    let report = report::load(&pipeline.store, earlier.case.report, &earlier.case.clinic)?;
    Ok(report.map(|report| Earlier { cliniko_id, order_number: report.order_number, sent: report.patient }))
}

/// Notes in the order that this report answered it, so that a second result for it is noticed.
pub(in crate::pipeline) fn answer_order(
    store: &Store,
    clinic: &str,
    report: &Report,
    change: &mut Change,
) -> Result<(), store::Error> {
    let Some(number) = report.order_number.as_deref() else { return Ok(()) };
    let Some((id, mut order)) = order::by_number(store, clinic, number)? else { return Ok(()) };
    if !order.answered_by(&report.lab, &report.filler_number) {
        order
            .reports
            .push(ReportReference { lab: report.lab.clone(), filler_number: report.filler_number.clone() });
        order::put(change, id, &order);
    }
    Ok(())
}

/// Earlier reports under the same NHS number; `None` where the report carries none, so that nobody could look.
pub(super) fn history(
    store: &Store,
    clinic: &str,
    report: &Report,
    limit: usize,
) -> Result<Option<Vec<Report>>, store::Error> {
    let Some(number) = report.patient.nhs_number() else { return Ok(None) };
    let scope = Scope::Clinic(clinic.to_owned());
    let keys = store.find(Table::Reports, &scope, Field::NhsNumber, number.expose())?;
    let mut earlier = Vec::new();
    for key in keys.iter().rev().take(limit).filter_map(|key| ReportKey::from_bytes(key)) {
        let other = match report::load(store, key, clinic) {
            Err(damage) if damage.concerns_one_row() => {
                tracing::error!(report = %key, error = %Chain(&damage), "could not open an earlier report");
                continue;
            }
            other => other?,
        };
        earlier.extend(
            other.filter(|other| other.filler_number != report.filler_number || other.lab != report.lab),
        );
    }
    Ok(Some(earlier))
}
