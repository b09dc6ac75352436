//! A clinic starts a blood test: an order for a Cliniko patient, with a number nobody can guess, and its form.

use crate::audit;
use crate::clinical::document;
use crate::clinical::document::PatientFacts;
use crate::clinical::document::RequestForm;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Sex;
use crate::clinical::order::Order;
use crate::clinical::order::OrderNumber;
use crate::clinical::order::OrderPatient;
use crate::clinical::order::OrderState;
use crate::clinical::order::OrderedTest;
use crate::clinical::terminology::nhs_number;
use crate::formats::cliniko;
use crate::outbound;
use crate::outbound::cliniko::Lane;
use crate::pipeline::Pipeline;
use crate::pipeline::accounts;
use crate::pipeline::accounts::Account;
use crate::pipeline::records::OrderId;
use crate::pipeline::records::order;
use crate::pipeline::records::order::KnownPatient;
use crate::pipeline::records::person;
use crate::pipeline::sessions::Actor;
use crate::pipeline::sessions::Clinician;
use crate::store;
use crate::store::Change;

/// Tests on one form. More do not fit the page, and no laboratory takes them.
pub const TESTS_MAX: usize = 40;
/// Characters of one test's name.
pub const TEST_NAME_CHARS_MAX: usize = 120;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("an order names 1 to {TESTS_MAX} tests of at most {TEST_NAME_CHARS_MAX} characters each")]
    Tests,
    #[error("there is no such patient in the clinic's Cliniko account")]
    NoPatient,
    #[error("the patient's record in Cliniko is archived or merged")]
    PatientClosed,
    #[error("the patient's record in Cliniko has no valid NHS number in the configured field")]
    NoNhsNumber,
    #[error("there is no such order")]
    NoOrder,
    #[error("the role does not allow this")]
    Forbidden,
    #[error("the clinic's Cliniko account cannot be used")]
    Account(#[source] accounts::Error),
    #[error("Cliniko could not be asked")]
    Cliniko(#[source] outbound::cliniko::Error),
    #[error("cannot make the request form")]
    Form(#[source] document::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Orders tests for a patient, whose authorised fields are read live.
pub async fn create(
    pipeline: &Pipeline,
    by: &Actor,
    patient_id: &cliniko::Id,
    tests: Vec<String>,
) -> Result<(OrderId, Order), Error> {
    if !(by.roles.clinician || by.roles.support) {
        return Err(Error::Forbidden);
    }
    let is_name = |name: &String| (1..=TEST_NAME_CHARS_MAX).contains(&name.trim().chars().count());
    if tests.is_empty() || tests.len() > TESTS_MAX || !tests.iter().all(is_name) {
        return Err(Error::Tests);
    }
    let account = pipeline.accounts.account(&pipeline.store, &by.clinic).map_err(Error::Account)?;
    let patient = patient(&account, patient_id).await?;
    let mut random = [0; 8];
    pipeline.clock.fill_random(&mut random);
    let (id, now) = (OrderId(pipeline.clock.new_id()), pipeline.clock.now());
    let order = Order {
        number: OrderNumber::from_random(random),
        clinic: by.clinic.clone(),
        patient: authorised(&account, patient),
        tests: tests
            .into_iter()
            .map(|name| OrderedTest { code: None, name: name.trim().to_owned() })
            .collect(),
        ordered_at: now,
        ordered_by: by.user.to_string(),
        state: OrderState::Open,
        reports: Vec::new(),
    };
    let mut change = Change::new();
    order::insert(&mut change, id, &order);
    change.audit(
        audit::Entry::new(now, by.user.to_string(), "order.placed", id.to_string())
            .of_clinic(by.clinic.clone())
            .with("tests", order.tests.len()),
    );
    pipeline.store.commit(change).await?;
    tracing::info!(order.id = %id, "placed an order");
    Ok((id, order))
}

async fn patient(account: &Account, id: &cliniko::Id) -> Result<cliniko::read::Patient, Error> {
    let patient = match account.client.patient(Lane::Search, id).await {
        Ok(patient) => patient,
        Err(outbound::cliniko::Error::Refused { status: 404, .. }) => return Err(Error::NoPatient),
        Err(error) => return Err(Error::Cliniko(error)),
    };
    if patient.writable() { Ok(patient) } else { Err(Error::PatientClosed) }
}

/// The fields a form may print; everything else of the record is dropped here.
fn authorised(account: &Account, patient: cliniko::read::Patient) -> OrderPatient {
    let field = account.clinic.nhs_number_field.as_deref();
    let nhs_number = field.and_then(|token| patient.custom_field(token)).and_then(valid_nhs_number);
    OrderPatient {
        nhs_number,
        sex: match patient.sex.as_deref() {
            Some("Female") => Some(Sex::Female),
            Some("Male") => Some(Sex::Male),
            _ => None,
        },
        cliniko_id: patient.id,
        family: patient.last_name.unwrap_or_default().into(),
        given: patient.first_name.into_iter().map(Sensitive::new).collect(),
        birth_date: patient.date_of_birth.map(Sensitive::new),
        postcode: patient.post_code.map(Sensitive::new),
    }
}

fn valid_nhs_number(text: &str) -> Option<Sensitive<String>> {
    match nhs_number::read(text) {
        nhs_number::Reading::Valid(number) => Some(number.into()),
        _ => None,
    }
}

/// The request form of an order, as PDF.
pub fn form(pipeline: &Pipeline, by: &Actor, id: OrderId) -> Result<Vec<u8>, Error> {
    if !(by.roles.clinician || by.roles.support) {
        return Err(Error::Forbidden);
    }
    let order = order::load(&pipeline.store, &by.clinic, id)?.ok_or(Error::NoOrder)?;
    let requester =
        order.ordered_by.parse().ok().map(|id| person::load(&pipeline.store, id)).transpose()?.flatten();
    let patient = &order.patient;
    let name: Vec<&str> =
        patient.given.iter().chain([&patient.family]).map(|part| part.expose().as_str()).collect();
    let form = RequestForm {
        clinic: clinic_facts(&order.clinic),
        patient: PatientFacts {
            name: name.join(" ").into(),
            birth_date: patient.birth_date.as_ref().map(|date| date.expose().to_string().into()),
            nhs_number: patient.nhs_number.clone(),
            sex: patient.sex.map(|sex| sex.as_str().to_owned().into()),
            cliniko_reference: Some(patient.cliniko_id.to_string()),
        },
        order_number: order.number.to_string(),
        tests: order.tests.iter().map(|test| test.name.clone()).collect(),
        ordered_at: order.ordered_at.to_string(),
        requester: requester.map(|user| user.name.into_inner()).unwrap_or_default(),
        instructions: Vec::new(),
    };
    let pdf = document::request_form(&form).map_err(Error::Form);
    comemo::evict(0);
    pdf
}

/// What documents say of a clinic.
pub fn clinic_facts(name: &str) -> document::Clinic {
    document::Clinic {
        name: name.to_owned(),
        contact: Vec::new(),
        urgent_help: vec![
            "Call 999 or go to A&E if you have chest pain, trouble breathing, heavy bleeding or feel faint."
                .to_owned(),
            "For urgent advice at any hour, call 111.".to_owned(),
        ],
        time_zone: "Europe/London".to_owned(),
    }
}

/// A named user confirms that the NHS number in the clinic's field is this patient's. From then on it may match.
pub async fn confirm_nhs_number(
    pipeline: &Pipeline,
    by: &Clinician,
    patient_id: &cliniko::Id,
) -> Result<(), Error> {
    let actor = by.actor();
    let account = pipeline.accounts.account(&pipeline.store, &actor.clinic).map_err(Error::Account)?;
    let patient = patient(&account, patient_id).await?;
    let field = account.clinic.nhs_number_field.as_deref();
    let number = field.and_then(|token| patient.custom_field(token)).and_then(valid_nhs_number);
    let nhs_number = number.ok_or(Error::NoNhsNumber)?;
    let now = pipeline.clock.now();
    let known = KnownPatient { cliniko_id: patient.id, nhs_number, confirmed: actor.signed(now) };
    let mut change = Change::new();
    known.put(&mut change, &actor.clinic);
    change.audit(
        audit::Entry::new(
            now,
            actor.user.to_string(),
            "patient.nhs_number_confirmed",
            known.cliniko_id.to_string(),
        )
        .of_clinic(actor.clinic.clone()),
    );
    pipeline.store.commit(change).await?;
    Ok(())
}
