//! Whole journeys: an order, a message over the socket, a clinician at the API, documents in the simulated Cliniko.

mod delivery;
mod people;
mod trouble;

use haemosync_gateway::formats::cliniko::html;
use haemosync_gateway::pipeline::records::clinic::Release;
use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::pipeline::sha256_hex;
use haemosync_gateway::simulator::lab::Observation;
use haemosync_gateway::simulator::lab::Sample;
use serde_json::Value;
use serde_json::json;

use crate::harness::APPROVER;
use crate::harness::CLINIC;
use crate::harness::Ordered;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::harness::path_of;

pub(crate) fn sodium(value: &str) -> Observation {
    Observation::number("2951-2^Sodium^LN", value, "mmol/L", "133-146", "")
}

fn potassium(value: &str, flag: &str) -> Observation {
    Observation::number("2823-3^Potassium^LN", value, "mmol/L", "3.5-5.3", flag)
}

/// The marker in the brackets of a description or title.
fn marker(text: &Value) -> &str {
    let text = text.as_str().unwrap();
    let marker = &text[text.rfind('[').unwrap() + 1..text.rfind(']').unwrap()];
    assert!(marker.starts_with("LAB-") && marker.len() == 20, "{marker}");
    marker
}

/// All answers of a note, as a person reads them.
fn note_text(note: &Value) -> String {
    let sections = note["content"]["sections"].as_array().unwrap();
    let questions = sections.iter().flat_map(|section| section["questions"].as_array().unwrap());
    questions.filter_map(|it| it["answer"].as_str()).map(html::to_text).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_a_result_ends_as_two_approved_documents_and_a_note_in_cliniko() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Bartholomew", "Snodgrass-Oyelaran").await;
    let tiny = Observation::number("3016-3^TSH^LN", "<0.01", "m[IU]/L", "0.27-4.20", "L");
    gateway.deliver(&gateway.sample("1", &ordered, &[sodium("5.10"), tiny])).await;

    let shown = gateway.only_case(&clinician, "in_review").await;
    let results = &shown["report"]["panels"][0]["results"];
    assert_eq!((&results[0]["value"], &results[1]["value"]), (&json!("5.10"), &json!("<0.01")));
    assert_eq!(shown["patient"]["matched"]["how"], "automatic");
    assert_eq!(gateway.written(), (vec![], vec![]), "R11: nothing leaves before the approval");
    assert_eq!(gateway.approve(&clinician, &shown).await.done()["state"], "releasing");
    gateway.wait_until_quiet().await;

    let ended = gateway.only_case(&clinician, "filed").await;
    let (files, notes) = gateway.written();
    assert_eq!((files.len(), notes.len()), (2, 1));
    let (patient_id, _) = gateway.patient("Bartholomew", "Snodgrass-Oyelaran");
    let mut markers = vec![marker(&notes[0]["title"])];
    for (file, kind) in files.iter().zip(["patient", "clinician"]) {
        let document = gateway.get(&format!("{}/documents/{kind}.pdf", path_of(&ended)), &clinician).await;
        assert_eq!(file["sha256"], sha256_hex(&document.body), "{kind}");
        assert_eq!(file["sha256"], ended["approval"][format!("{kind}_pdf_sha256")]);
        assert!(file.to_string().contains(&patient_id), "{kind}");
        markers.push(marker(&file["description"]));
    }
    markers.sort_unstable();
    markers.dedup();
    assert_eq!(markers.len(), 3, "each call has a marker of its own");
    let text = note_text(&notes[0]);
    assert_eq!(notes[0]["draft"], false);
    assert!(notes[0].to_string().contains(&patient_id));
    for words in [APPROVER, "Sodium: 5.10 mmol/L", "TSH: <0.01 m[IU]/L", "26-1"] {
        assert!(text.contains(words), "`{words}` is not in the note: {text}");
    }
    let calls = ended["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 3);
    for call in calls {
        assert_eq!(
            (&call["phase"], &call["receipt"]["verified"]),
            (&json!("confirmed"), &json!(true)),
            "{call}"
        );
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_where_the_clinic_releases_by_hand_nothing_leaves_before() {
    let gateway = TestGateway::start_with(Setup { release: Release::Manual, ..Setup::default() }).await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Dilip", "Featherstonehaugh").await;
    // Born on 1 January would ask for a person; the 15th does not.
    gateway.deliver(&gateway.sample("1", &ordered, &[sodium("140")])).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    assert_eq!(gateway.release(&clinician, &shown).await.refusal(), (409, "W002".to_owned()));
    assert_eq!(gateway.approve(&clinician, &shown).await.done()["state"], "approved");
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.written(), (vec![], vec![]));

    assert_eq!(gateway.release(&clinician, &shown).await.done()["state"], "releasing");
    gateway.wait_until_quiet().await;
    gateway.only_case(&clinician, "filed").await;
    let (files, notes) = gateway.written();
    assert_eq!((files.len(), notes.len()), (2, 1));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_correction_supersedes_before_and_after_filing() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let first = gateway.sample("1", &ordered, &[sodium("140")]);
    gateway.deliver(&first).await;
    let old = gateway.only_case(&clinician, "in_review").await;

    let mut second = gateway.sample("2", &ordered, &[sodium("141")]);
    (second.filler_number, second.status) = (first.filler_number.clone(), "C".to_owned());
    "C".clone_into(&mut second.results[0].status);
    gateway.deliver(&second).await;
    assert_eq!(gateway.approve(&clinician, &old).await.refusal(), (409, "W002".to_owned()));
    assert_eq!(gateway.only_case(&clinician, "superseded").await["id"], old["id"]);
    let shown = gateway.only_case(&clinician, "in_review").await;
    assert_eq!((&shown["version"], &shown["previous"]["case"]), (&json!(2), &old["id"]));
    assert_eq!(shown["previous"]["changes"][0]["old"], "140 mmol/L");
    gateway.approve(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    let (files, _) = gateway.written();
    assert_eq!(files.len(), 2, "the version that nobody approved was not filed");
    let superseded = marker(&files[0]["description"]).to_owned();

    let mut third = gateway.sample("3", &ordered, &[sodium("142")]);
    (third.filler_number, third.status) = (first.filler_number.clone(), "C".to_owned());
    "C".clone_into(&mut third.results[0].status);
    gateway.deliver(&third).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    gateway.approve(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    let (files, notes) = gateway.written();
    assert_eq!(
        (files.len(), notes.len()),
        (4, 2),
        "what was filed stays, and the correction stands beside it"
    );
    for text in [&files[2]["description"], &files[3]["description"]] {
        assert!(text.as_str().unwrap().contains(&format!("corrected, supersedes {superseded}")), "{text}");
    }
    assert!(
        notes[1]["title"].as_str().unwrap().contains("corrected (version 3, supersedes 2)"),
        "{}",
        notes[1]["title"]
    );
    assert!(note_text(&notes[1]).contains(&superseded));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_what_is_not_certain_waits_and_a_person_matches_it_with_a_reason() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let (patient_id, mut person) = gateway.patient("Euphemia", "Brackenthwaite");
    person.nhs_number.clear();
    person.family = "Unheardof".to_owned();
    let stranger = Ordered { person, number: String::new() };
    gateway.deliver(&gateway.sample("1", &stranger, &[sodium("140")])).await;
    let held = gateway.only_case(&clinician, "held").await;
    assert_eq!(
        (&held["patient"], &held["documents"], &held["content_sha256"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(
        gateway
            .approve(&clinician, &json!({"id": held["id"], "version": 1, "content_sha256": "0".repeat(64)}))
            .await
            .status,
        409
    );

    let holds = gateway.get("/api/v1/holds", &clinician).await.done();
    assert_eq!((&holds["items"][0]["id"], &holds["items"][0]["codes"]), (&held["id"], &json!(["P001"])));
    let path = format!("/api/v1/holds/{}/match", held["id"].as_str().unwrap());
    let body = json!({"patient_id": patient_id, "reason": "married last month; confirmed by telephone"});
    assert_eq!(gateway.post(&path, &clinician, &body).await.done()["state"], "in_review");
    let shown = gateway.only_case(&clinician, "in_review").await;
    assert_eq!(shown["patient"]["matched"]["how"], "by_hand");
    gateway.approve(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    gateway.only_case(&clinician, "filed").await;
    assert_eq!(gateway.written().0.len(), 2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_twins_and_weak_identifiers_are_never_matched_by_the_gateway() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let weak = |given: &str, family: &str| {
        let (_, mut person) = gateway.patient(given, family);
        person.nhs_number.clear();
        Ordered { person, number: String::new() }
    };
    let twin = weak("Viveca", "Quackenbush");
    let name_and_birth_date = weak("Fenwick", "Mumblethorpe");
    let mut birth_date_only = weak("Fenwick", "Mumblethorpe");
    (birth_date_only.person.family, birth_date_only.person.given) =
        ("Other".to_owned(), "Somebody".to_owned());
    let (_, unconfirmed) = gateway.patient("Griselda", "Ponsonby-Akhtar");
    let unconfirmed = Ordered { person: unconfirmed, number: String::new() };
    // Viveca's order, and a specimen that names her sister.
    let mut sister = gateway.order(&clinician, "Viveca", "Quackenbush").await;
    sister.person = gateway.patient("Veronica", "Quackenbush").1;

    for (control_id, ordered, code, suggested) in [
        ("1", twin, "P002", false),
        ("2", name_and_birth_date, "P004", true),
        ("3", birth_date_only, "P001", false),
        ("4", unconfirmed, "P004", true),
        ("5", sister, "P005", false),
    ] {
        gateway.deliver(&gateway.sample(control_id, &ordered, &[sodium("140")])).await;
        let held = gateway.cases(&clinician, "held").await;
        let filler_number = format!("26-{control_id}");
        let row = held.iter().find(|row| row["filler_number"] == filler_number).unwrap();
        let case = gateway.case(&clinician, row).await;
        assert_eq!(
            (&case["holds"][0]["code"], &case["patient"]),
            (&json!(code), &Value::Null),
            "{control_id}"
        );
        assert_eq!(case["suggested_patient_id"].is_string(), suggested, "{control_id}");
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_nhs_number_needs_no_order() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let (id, person) = gateway.patient("Griselda", "Ponsonby-Akhtar");
    let confirm = format!("/api/v1/patients/{id}/nhs-number/confirm");
    assert_eq!(gateway.post(&confirm, &clinician, &Value::Null).await.status, 204);
    let known = Ordered { person, number: String::new() };
    gateway.deliver(&gateway.sample("1", &known, &[sodium("140")])).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    assert_eq!(shown["patient"]["cliniko_id"], id);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_urgent_stands_first_and_the_unseen_are_counted() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let calm = gateway.order(&clinician, "Peregrine", "Bumblewick").await;
    let urgent = gateway.order(&clinician, "Ottoline", "Marmalade-Jones").await;
    gateway.deliver(&gateway.sample("1", &calm, &[potassium("4.2", "")])).await;
    gateway.deliver(&gateway.sample("2", &urgent, &[potassium("7.1", "HH")])).await;

    let listed = gateway.cases(&clinician, "").await;
    let fillers: Vec<&str> = listed.iter().map(|row| row["filler_number"].as_str().unwrap()).collect();
    assert_eq!(fillers, ["26-2", "26-1"]);
    assert_eq!(listed[0]["urgency"], "emergency");
    let metrics = gateway.metrics().await;
    for line in [
        "gateway_critical_unseen 1",
        "gateway_messages{state=\"mapped\"} 2",
        "gateway_messages{state=\"held\"} 0",
    ] {
        assert!(metrics.lines().any(|it| it == line), "`{line}` is not in {metrics}");
    }
    gateway.case(&clinician, &listed[0]).await;
    assert!(gateway.metrics().await.lines().any(|it| it == "gateway_critical_unseen 0"));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_restarts_in_the_middle_lose_and_double_nothing() {
    let fast = "[cliniko.recovery]\nrequest_life_ms = 2000\nsettle_ms = 2000\ndangerous_fast = true\n";
    let setup = Setup { release: Release::Manual, more: fast.to_owned(), ..Setup::default() };
    let mut gateway = TestGateway::start_with(setup).await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let mut samples = Vec::new();
    for (control_id, given, family) in [
        ("1", "Bartholomew", "Snodgrass-Oyelaran"),
        ("2", "Euphemia", "Brackenthwaite"),
        ("3", "Horatio", "Crumplehorn"),
        ("4", "Merrily", "Van der Zweigelmann"),
    ] {
        let ordered = gateway.order(&clinician, given, family).await;
        samples.push(gateway.sample(control_id, &ordered, &[sodium("140")]));
    }
    for sample in &samples {
        gateway.send(&sample.encode()).await;
    }
    gateway.restart().await;
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.counted(State::Mapped), 4);
    assert_eq!(gateway.kept(), samples.iter().map(Sample::encode).collect::<Vec<_>>(), "byte for byte");
    let repeated = gateway.send(&samples[0].encode()).await;
    assert!(String::from_utf8_lossy(&repeated).contains("\rMSA|AA|1"));
    assert_eq!(gateway.duplicates(), 1);

    for row in gateway.cases(&clinician, "in_review").await {
        let shown = gateway.case(&clinician, &row).await;
        gateway.approve(&clinician, &shown).await.done();
    }
    gateway.restart().await;
    let approved = gateway.cases(&clinician, "approved").await;
    assert_eq!(approved.len(), 4, "the session and the approvals outlive the restart");
    for row in &approved {
        gateway.release(&clinician, row).await.done();
    }
    gateway.restart().await;
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.cases(&clinician, "filed").await.len(), 4);
    let (files, notes) = gateway.written();
    assert_eq!((files.len(), notes.len()), (8, 4), "R7: each call happened once");
    gateway.finish().await;
}
