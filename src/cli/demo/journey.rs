//! The journey: orders, messages over the socket, a clinician at the API, documents in Cliniko.

use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use serde_json::Value;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::demo::Told;
use crate::cli::demo::browser::Browser;
use crate::cli::demo::messages;
use crate::cli::demo::messages::By;
use crate::cli::demo::messages::Letter;
use crate::cli::demo::messages::ORDERS;
use crate::cli::demo::messages::Ordered;
use crate::cli::demo::text;
use crate::cli::demo::world::CLINICIAN;
use crate::cli::demo::world::World;
use crate::cli::send;
use crate::pipeline::records::message::State;
use crate::simulator::lab;
use crate::simulator::lab::Lab;
use crate::simulator::lab::Person;

/// How long the gateway may take for all of it before the demonstration gives up.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How many cases the clinician approves and releases.
const APPROVALS: usize = 4;

pub(super) async fn run(world: &World, told: &Told) -> Result<(), Failure> {
    let clinician = Browser::sign_in(world.gateway.http, CLINICIAN.email, CLINICIAN.password).await?;
    told.say("\nThe clinician signs in and orders tests:");
    let (ordered, known) = order(world, &clinician, told).await?;
    // Times on the wire have whole seconds: the samples are taken in the second after the orders.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let time = world.clock.now().strftime("%Y%m%d%H%M%S+0000").to_string();
    let letters = messages::letters(&ordered, &known, &time);
    told.say(&format!(
        "\nThe laboratory sends {} messages, over MLLP, FHIR, SFTP and as signed JSON:",
        letters.len()
    ));
    send(world, &letters, told).await?;
    settle(world).await?;
    told.say("\nCases, most urgent first:");
    let cases = list(&clinician, "").await?;
    for case in &cases {
        told.say(&format!(
            "  {:<12} {:<10} {}",
            text(case, "state"),
            text(case, "urgency"),
            text(case, "id")
        ));
    }
    told.say("\nThe clinician reads, approves and releases:");
    approve(world, &clinician, told).await?;
    Ok(())
}

/// Orders one panel for each of the clinic's patients, and confirms the NHS number of one more.
async fn order(world: &World, clinician: &Browser, told: &Told) -> anyhow::Result<(Vec<Ordered>, Person)> {
    let records = world.cliniko.records();
    let patients =
        records.get("patients").and_then(Value::as_array).context("the simulated Cliniko has no patients")?;
    let mut living =
        patients.iter().filter(|it| it.get("archived_at").is_none_or(Value::is_null)).filter_map(person);
    let mut ordered = Vec::with_capacity(ORDERS);
    for index in 0..ORDERS {
        let (id, person) = living.next().context("the simulated Cliniko has too few patients")?;
        let order = clinician
            .post("/api/v1/orders", json!({ "patient_id": id, "tests": messages::tests(index) }))
            .await?;
        let order_number = text(&order, "order_number").to_owned();
        told.say(&format!("  order {order_number} for {} {}", person.given, person.family));
        ordered.push(Ordered { person, order_number });
    }
    let (id, known) = living.find(|(_, it)| !it.nhs_number.is_empty()).context("nobody has an NHS number")?;
    clinician.post(&format!("/api/v1/patients/{id}/nhs-number/confirm"), json!({})).await?;
    told.say(&format!("  the NHS number of {} {} is confirmed", known.given, known.family));
    Ok((ordered, known))
}

/// A simulated patient as the laboratory knows them; none without the fields a laboratory needs.
fn person(patient: &Value) -> Option<(String, Person)> {
    let field = |name: &str| patient.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
    let sex = match field("sex")? {
        "Female" => "F",
        "Male" => "M",
        _ => return None,
    };
    let sections = patient.pointer("/custom_fields/sections").and_then(Value::as_array);
    let nhs_number = sections
        .into_iter()
        .flatten()
        .filter_map(|section| section.get("fields")?.as_array())
        .flatten()
        .find(|field| text(field, "token") == crate::simulator::cliniko::NHS_NUMBER_TOKEN)
        .map(|field| text(field, "value").to_owned());
    let person = Person {
        nhs_number: nhs_number.filter(|it| it.len() == 10).unwrap_or_default(),
        family: field("last_name")?.to_owned(),
        given: field("first_name")?.to_owned(),
        birth_date: field("date_of_birth")?.replace('-', ""),
        sex: sex.to_owned(),
        postcode: field("post_code").unwrap_or_default().to_owned(),
    };
    Some((field("id")?.to_owned(), person))
}

async fn send(world: &World, letters: &[Letter], told: &Told) -> anyhow::Result<()> {
    let address = world.gateway.mllp.context("the gateway has no MLLP listener")?;
    let mut lab = Lab::connect(address).await.context("cannot connect to the gateway")?;
    for (number, letter) in (1..).zip(letters) {
        world.count_sent(letter.by);
        let answer = match letter.by {
            By::Mllp => lab.send(&letter.bytes).await.map(|it| lab::code_of(&it)).map_err(Into::into),
            by => send::once(&world.door(by)?, &format!("demo-{number}.hl7"), letter.bytes.clone()).await,
        };
        let answer = answer.context("the gateway did not answer a message")?;
        told.say(&format!("  {:<4}  {answer:<8}  {}", letter.by.as_str(), letter.title));
    }
    Ok(())
}

/// Waits until every message is read and every report has its case.
async fn settle(world: &World) -> anyhow::Result<()> {
    wait_for("the gateway did not read its messages in time", || {
        let store = &world.gateway.pipeline.store;
        let waiting = store.counter(&State::Waiting.counter())?;
        let jobs = crate::pipeline::records::job::waiting(store)?;
        Ok(waiting == 0 && jobs == 0)
    })
    .await
}

async fn wait_for(complaint: &str, done: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let waiting = async {
        while !done()? {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(result) => result,
        Err(_) => bail!("{complaint}"),
    }
}

/// Every case in a state, page by page; all of them for an empty state.
pub(super) async fn list(browser: &Browser, state: &str) -> anyhow::Result<Vec<Value>> {
    let (mut cases, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = browser.get(&format!("/api/v1/cases?state={state}&cursor={cursor}")).await?;
        cases.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
        text(&page, "next").clone_into(&mut cursor);
        if cursor.is_empty() {
            return Ok(cases);
        }
    }
}

async fn approve(world: &World, clinician: &Browser, told: &Told) -> anyhow::Result<()> {
    let in_review = list(clinician, "in_review").await?;
    if in_review.len() < APPROVALS {
        bail!("only {} cases came to review", in_review.len());
    }
    for case in in_review.iter().take(APPROVALS) {
        let id = text(case, "id");
        let path = format!("/api/v1/cases/{id}");
        let shown = clinician.get(&path).await?;
        for kind in ["clinician", "patient"] {
            clinician.bytes(&format!("{path}/documents/{kind}.pdf")).await?;
        }
        let signature = json!({
            "version": shown.get("version"),
            "content_sha256": shown.get("content_sha256"),
        });
        clinician.post(&format!("{path}/approve"), signature).await?;
        clinician.post(&format!("{path}/release"), json!({})).await?;
        told.say(&format!("  approved and released {id} ({})", text(case, "urgency")));
    }
    wait_for("the approved cases were not filed in time", || {
        let store = &world.gateway.pipeline.store;
        Ok(crate::pipeline::records::job::waiting(store)? == 0)
    })
    .await?;
    let filed = list(clinician, "filed").await?.len();
    told.say(&format!("  {filed} cases are filed in Cliniko, each with two documents and a note"));
    if filed < APPROVALS {
        bail!("only {filed} of {APPROVALS} released cases were filed");
    }
    Ok(())
}
