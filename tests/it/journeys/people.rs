//! Who sees and does what with a real case, and how soon a right that was taken away is gone (R12).

use haemosync_gateway::pipeline::records::MessageId;
use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Table;
use serde_json::Value;
use serde_json::json;

use crate::harness::CLINIC;
use crate::harness::ELSEWHERE;
use crate::harness::Ordered;
use crate::harness::TestGateway;
use crate::harness::path_of;
use crate::journeys::potassium;

/// What is clinical in the JSON of a case, a hold or a message, by the name of its field.
const CLINICAL_FIELDS: [&str; 17] = [
    "report",
    "findings",
    "panels",
    "results",
    "value",
    "range",
    "range_flag",
    "interpreters",
    "patient",
    "patient_name",
    "filler_number",
    "edits",
    "notes",
    "previous",
    "documents",
    "approval",
    "suggested_patient_id",
];

/// Every field name and every text of a document.
fn walk(value: &Value, seen: &mut impl FnMut(&str, bool)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, seen)),
        Value::Object(fields) => {
            for (name, value) in fields {
                seen(name, true);
                walk(value, seen);
            }
        }
        Value::String(text) => seen(text, false),
        other => seen(&other.to_string(), false),
    }
}

/// A matched critical case and one that nobody could match; the words in them that are nobody else's business.
async fn two_cases(gateway: &TestGateway) -> [&'static str; 6] {
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Nehemiah", "Oddbody").await;
    gateway.deliver(&gateway.sample("1", &ordered, &[potassium("7.13", "HH")])).await;
    let (_, mut person) = gateway.patient("Kezia", "O’Tumbledown");
    person.nhs_number.clear();
    person.family = "Strangeways".to_owned();
    let stranger = Ordered { person, number: String::new() };
    gateway.deliver(&gateway.sample("2", &stranger, &[potassium("7.14", "HH")])).await;
    ["Oddbody", "Nehemiah", "Strangeways", "7.13", "7.14", "otassium"]
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_who_is_no_clinician_sees_no_result_and_signs_nothing() {
    let gateway = TestGateway::start().await;
    let secrets = two_cases(&gateway).await;
    let rows = gateway.store().scan_plain(&Scan::all(Table::MessageStates)).unwrap();
    let message = MessageId::try_from(rows[0].0.as_slice()).unwrap();
    for role in ["support", "administrator", "integrator"] {
        let user = gateway.sign_in(CLINIC, role).await;
        let cases = gateway.cases(&user, "").await;
        assert_eq!(cases.len(), 2);
        let mut paths: Vec<String> = cases.iter().map(path_of).collect();
        paths.extend(["/api/v1/cases", "/api/v1/holds"].map(str::to_owned));
        paths.push(format!("/api/v1/messages/{message}"));
        for path in paths {
            let shown = gateway.get(&path, &user).await.done();
            walk(&shown, &mut |text, is_name| {
                let clinical = is_name && CLINICAL_FIELDS.contains(&text);
                assert!(
                    !clinical && !secrets.iter().any(|it| text.contains(it)),
                    "{role} reads `{text}` at {path}"
                );
            });
        }
        for case in &cases {
            let signed = json!({"id": case["id"], "version": 1, "content_sha256": "0".repeat(64)});
            assert_eq!(gateway.approve(&user, &signed).await.refusal(), (403, "W001".to_owned()), "{role}");
            assert_eq!(gateway.release(&user, case).await.refusal(), (403, "W001".to_owned()), "{role}");
            let pdf = gateway.get(&format!("{}/documents/clinician.pdf", path_of(case)), &user).await;
            assert_eq!(pdf.refusal(), (403, "W001".to_owned()), "{role}");
        }
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_another_clinics_case_is_as_absent_as_none() {
    let gateway = TestGateway::start().await;
    two_cases(&gateway).await;
    let foreign = gateway.sign_in(ELSEWHERE, "clinician").await;
    assert_eq!(gateway.cases(&foreign, "").await, Vec::<Value>::new());
    let own = gateway.open_session("clinician@test.example").await.done();
    let own = crate::harness::User { email: String::new(), token: own["token"].as_str().unwrap().to_owned() };
    let case = &gateway.cases(&own, "in_review").await[0];
    let shown = gateway.case(&own, case).await;
    assert_eq!(gateway.get(&path_of(case), &foreign).await.refusal(), (404, "W103".to_owned()));
    assert_eq!(gateway.approve(&foreign, &shown).await.refusal(), (404, "W103".to_owned()));
    assert_eq!(gateway.release(&foreign, &shown).await.refusal(), (404, "W103".to_owned()));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_only_what_was_shown_can_be_signed() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Nehemiah", "Oddbody").await;
    gateway.deliver(&gateway.sample("1", &ordered, &[potassium("4.2", "")])).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    let note = format!("{}/notes", path_of(&shown));
    gateway.post(&note, &clinician, &json!({"text": "fasting sample"})).await.done();
    assert_eq!(
        gateway.approve(&clinician, &shown).await.refusal(),
        (412, "W003".to_owned()),
        "it was read before the note"
    );
    let shown = gateway.only_case(&clinician, "in_review").await;
    let other_version = json!({"id": shown["id"], "version": 2, "content_sha256": shown["content_sha256"]});
    assert_eq!(gateway.approve(&clinician, &other_version).await.refusal(), (409, "W108".to_owned()));
    gateway.approve(&clinician, &shown).await.done();
    assert_eq!(
        gateway.approve(&clinician, &shown).await.refusal(),
        (409, "W002".to_owned()),
        "once is enough"
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_revoked_person_is_out_from_the_answer_on() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Nehemiah", "Oddbody").await;
    gateway.deliver(&gateway.sample("1", &ordered, &[potassium("4.2", "")])).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    gateway.revoke(&clinician).await;
    assert_eq!(gateway.get("/api/v1/cases", &clinician).await.refusal(), (401, "W101".to_owned()));
    assert_eq!(gateway.approve(&clinician, &shown).await.refusal(), (401, "W101".to_owned()));
    assert_eq!(gateway.open_session(&clinician.email).await.refusal(), (401, "W101".to_owned()));
    assert_eq!(gateway.written(), (vec![], vec![]));
    gateway.finish().await;
}
