//! The Cliniko client against the simulated Cliniko, on real sockets.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use haemosync_gateway::clock::SystemClock;
use haemosync_gateway::formats::cliniko::Id;
use haemosync_gateway::formats::cliniko::html;
use haemosync_gateway::formats::cliniko::write;
use haemosync_gateway::outbound::cliniko;
use haemosync_gateway::outbound::cliniko::Client;
use haemosync_gateway::outbound::cliniko::Error;
use haemosync_gateway::outbound::cliniko::Expectations;
use haemosync_gateway::outbound::cliniko::Key;
use haemosync_gateway::outbound::cliniko::Lane;
use haemosync_gateway::outbound::cliniko::Outcome;
use haemosync_gateway::simulator::cliniko as simulator;
use serde_json::json;

const PATIENT: &str = "1203948571203948576";
const MARKER: &str = "LAB-ABCDEFGHIJKLMNOP";
const PDF: &[u8] = b"%PDF-1.7 an invented report";

async fn simulated() -> simulator::Running {
    simulator::start(simulator::Config::default()).await.expect("loopback ports are free")
}

fn client(cliniko: &simulator::Running, role: &str) -> Client {
    let key = cliniko.key(role).expect("the demonstration has every role");
    let config = cliniko::Config {
        dangerous_base_url: Some(format!("http://{}", cliniko.api)),
        request_timeout_ms: 2_000,
        ..cliniko::Config::default()
    };
    let key = Key::parse(key, &["uk1".to_owned()]).expect("the simulator's keys look like Cliniko's");
    Client::new(config, key, Arc::new(SystemClock::new())).expect("the address is on this machine")
}

fn patient() -> Id {
    PATIENT.parse().expect("it is an id")
}

fn fault(matching: &serde_json::Value, fault: &str) -> simulator::FaultRule {
    serde_json::from_value(json!({"match": matching, "do": fault, "value": 5}))
        .expect("it is a rule of the simulator")
}

fn new_attachment(upload_url: String) -> write::NewAttachment {
    write::NewAttachment {
        patient_id: PATIENT.to_owned(),
        upload_url,
        description: format!("Blood test report, Example Lab 26-1 [{MARKER}]"),
    }
}

fn new_note() -> write::NewNote {
    let answer = html::paragraph("TSH <0.01 mIU/L & falling");
    let question =
        write::Question { name: "Summary".to_owned(), kind: write::QuestionKind::Paragraph, answer };
    write::NewNote {
        patient_id: PATIENT.to_owned(),
        treatment_note_template_id: None,
        title: format!("Blood test report [{MARKER}]"),
        draft: false,
        content: write::Content {
            sections: vec![write::Section {
                name: "Blood test report".to_owned(),
                questions: vec![question],
            }],
        },
    }
}

async fn uploaded(client: &Client) -> String {
    let form = client.attachment_presigned_post(&patient()).await.expect("no fault is set");
    client.upload(&form, &patient(), "blood-report.pdf", PDF).await.expect("no fault is set")
}

#[tokio::test]
async fn a_file_and_a_note_are_written_found_by_marker_and_read_back() {
    let cliniko = simulated().await;
    let client = client(&cliniko, "practitioner");
    assert!(client.attachments_marked(&patient(), MARKER).await.unwrap().is_empty());

    let upload_url = uploaded(&client).await;
    let file = client.create_attachment(&new_attachment(upload_url)).await.unwrap();
    let found = client.attachments_marked(&patient(), MARKER).await.unwrap();
    assert_eq!(found.iter().map(|it| &it.id).collect::<Vec<_>>(), [&file.id]);
    cliniko.advance(jiff::SignedDuration::from_secs(5));
    let processed = client.attachment(&file.id).await.unwrap();
    assert_eq!(processed.processing_completed, Some(true));
    let location = client.attachment_content_url(&processed).await.unwrap();
    let content = client.content_digest(&location).await.unwrap();
    assert_eq!(content, digest::digest(&digest::SHA256, PDF).as_ref());

    let note = client.create_note(&new_note()).await.unwrap();
    let since = note.created_at.as_deref().unwrap().parse::<jiff::Timestamp>().unwrap();
    let since = since - jiff::SignedDuration::from_mins(10);
    let found = client.notes_marked(&patient(), since, MARKER).await.unwrap();
    assert_eq!(found.iter().map(|it| &it.id).collect::<Vec<_>>(), [&note.id]);
    let answer =
        client.note(&note.id).await.unwrap().content["sections"][0]["questions"][0]["answer"].clone();
    assert_eq!(html::to_text(answer.as_str().unwrap()), "TSH <0.01 mIU/L & falling");

    assert!(cliniko.forbidden().is_empty(), "{:?}", cliniko.forbidden());
}

#[tokio::test]
async fn the_start_check_passes_a_practitioner_and_stops_the_wrong_account_and_owner() {
    let cliniko = simulated().await;
    let expected = Expectations {
        subdomain: Some("example-clinic".to_owned()),
        country_code: Some("GB".to_owned()),
        notes: true,
        nhs_number_field: Some(simulator::NHS_NUMBER_TOKEN.to_owned()),
        ..Expectations::default()
    };
    assert_eq!(cliniko::check(&client(&cliniko, "practitioner"), &expected).await, []);

    let told = |found: Vec<haemosync_gateway::diagnostic::Diagnostic>| {
        found.iter().map(|it| it.code.to_string()).collect::<Vec<_>>()
    };
    let administrator = client(&cliniko, "administrator");
    assert_eq!(told(cliniko::check(&administrator, &expected).await), ["D009"]);
    let elsewhere = Expectations {
        subdomain: Some("another".to_owned()),
        nhs_number_field: Some("gone".to_owned()),
        ..Expectations::default()
    };
    assert_eq!(told(cliniko::check(&administrator, &elsewhere).await), ["D009", "D009"]);
    let error = administrator.create_note(&new_note()).await.err().unwrap();
    assert!(matches!(error, Error::Refused { status: 403, .. }), "{error}");
    assert_eq!(error.outcome(), Outcome::NotHappened);
}

#[tokio::test]
async fn patients_are_found_over_all_pages_and_by_their_own_fields() {
    let config = simulator::Config { seed: simulator::Seed::Full, ..simulator::Config::default() };
    let cliniko = simulator::start(config).await.unwrap();
    let client = client(&cliniko, "practitioner");
    let person = client.patient(Lane::Search, &patient()).await.unwrap();
    let born = client.patients_born_on(person.date_of_birth.unwrap()).await.unwrap();
    assert!(born.iter().any(|it| it.id == patient()));
    assert!(born.iter().all(|it| it.date_of_birth == person.date_of_birth));
    let named = client.patients_named(person.last_name.as_deref().unwrap()).await.unwrap();
    assert!(named.iter().any(|it| it.id == patient()));
    let error = client.patient(Lane::Search, &"7".parse().unwrap()).await.err().unwrap();
    assert!(matches!(error, Error::Refused { status: 404, .. }), "{error}");
}

#[tokio::test]
async fn r07_a_lost_answer_is_unknown_and_the_look_up_finds_what_happened() {
    let cliniko = simulated().await;
    let client = client(&cliniko, "practitioner");
    for fault_name in ["effect-then-timeout", "effect-then-500", "reset"] {
        let before = client.attachments_marked(&patient(), MARKER).await.unwrap().len();
        let upload_url = uploaded(&client).await;
        cliniko.add_fault(fault(
            &json!({"method": "POST", "path": "/patient_attachments", "nth": 1}),
            fault_name,
        ));
        let error = client.create_attachment(&new_attachment(upload_url)).await.err().unwrap();
        assert_eq!(error.outcome(), Outcome::Unknown, "{fault_name}: {error}");
        cliniko.clear_faults();
        let after = client.attachments_marked(&patient(), MARKER).await.unwrap().len();
        assert_eq!(after, before + 1, "{fault_name}");
    }
    cliniko.add_fault(fault(&json!({"method": "POST", "path": "/treatment_notes"}), "429"));
    let error = client.create_note(&new_note()).await.err().unwrap();
    assert!(matches!(error, Error::RateLimited { wait } if wait >= Duration::from_secs(1)), "{error}");
    assert_eq!(error.outcome(), Outcome::NotHappened);
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed_and_a_wrong_folder_is_not_used() {
    let cliniko = simulated().await;
    let client = client(&cliniko, "practitioner");
    cliniko.add_fault(
        serde_json::from_value(json!({"match": {"method": "GET", "path": "/patients"},
        "do": "foreign-next-link", "value": "https://evil.example"}))
        .unwrap(),
    );
    let error = client.patients_named("Quillfeather").await.err().unwrap();
    assert!(matches!(error, Error::ForeignLink), "{error}");

    let form = client.attachment_presigned_post(&patient()).await.unwrap();
    let other: Id = "1203948571203949585".parse().unwrap();
    let error = client.upload(&form, &other, "blood-report.pdf", PDF).await.unwrap_err();
    assert!(matches!(error, Error::WrongStore { .. }), "{error}");
    for told in [error.to_string(), format!("{error:?}"), format!("{client:?}")] {
        assert!(
            !told.contains("Quillfeather") && !told.contains(PATIENT) && !told.contains("Basic"),
            "{told}"
        );
    }
}
