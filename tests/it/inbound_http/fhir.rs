//! FHIR from laboratories: what each kind of posting is answered, and what is refused by which words.

#![expect(clippy::disallowed_methods, reason = "the secrets of a test's own folder")]

use std::fs;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::inbound_http::Heard;
use crate::inbound_http::TOKEN;
use crate::inbound_http::feed;
use crate::inbound_http::post;

const JSON: &str = "application/fhir+json";

async fn start() -> (TestGateway, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), TOKEN).unwrap();
    let keys = format!(
        "senders = [\"urn:lab:oakmere\"]\nbearer = {{ file = \"{}/token\" }}",
        folder.path().display()
    );
    (TestGateway::start_with(Setup { more: feed("fhir", &keys), ..Setup::default() }).await, folder)
}

async fn send(gateway: &TestGateway, path: &str, headers: &[(&str, &str)], body: &str) -> Heard {
    let bearer = format!("Bearer {TOKEN}");
    let own = headers.iter().any(|(name, _)| *name == "Content-Type");
    let all = headers.iter().copied().chain([("Authorization", bearer.as_str())]);
    let all: Vec<_> = all.chain((!own).then_some(("Content-Type", JSON))).collect();
    post(gateway.http(), path, &all, body).await
}

fn report(number: &str) -> Value {
    json!({
        "resourceType": "DiagnosticReport", "status": "final",
        "identifier": [{ "system": "urn:lab:numbers", "value": number }],
        "code": { "text": "An invented panel" },
    })
}

fn bundle(kind: &str, name: &str, resources: &[Value]) -> Value {
    let entry = |resource: &Value| {
        let url = resource["resourceType"].clone();
        json!({ "resource": resource, "request": { "method": "POST", "url": url } })
    };
    json!({
        "resourceType": "Bundle", "type": kind, "identifier": { "value": name },
        "entry": resources.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn observation(value: &str) -> Value {
    json!({ "resourceType": "Observation", "status": "final", "code": { "text": "Sodium" }, "valueString": value })
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_transaction_is_answered_entry_by_entry_and_again_the_same() {
    let (gateway, _files) = start().await;
    for kind in ["transaction", "batch"] {
        let body = bundle(kind, kind, &[observation("140"), report(kind)]).to_string();
        let first = send(&gateway, "/fhir", &[], &body).await;
        assert_eq!(
            (first.status, first.header("content-type")),
            (200, "application/fhir+json; charset=utf-8")
        );
        let answer = first.json();
        assert_eq!(answer["type"], format!("{kind}-response"));
        let entries = answer["entry"].as_array().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0]["response"]["status"], "201 Created");
        assert!(entries[0]["response"]["location"].as_str().unwrap().starts_with("Observation/"));
        assert!(entries[1]["response"]["location"].as_str().unwrap().starts_with("DiagnosticReport/"));
        assert_eq!(entries[0]["response"]["etag"], "W/\"1\"");
        let again = send(&gateway, "/fhir", &[("Prefer", "return=OperationOutcome")], &body).await.json();
        assert_eq!(again["entry"][1]["response"]["status"], "200 OK");
        assert_eq!(again["entry"][1]["response"]["location"], entries[1]["response"]["location"]);
        assert_eq!(again["entry"][1]["response"]["outcome"]["issue"][0]["severity"], "information");
        let other = body.replace("140", "141");
        let conflict = send(&gateway, "/fhir", &[], &other).await;
        assert_eq!(conflict.refusal(), (409, "H108".to_owned()));
        assert_eq!(conflict.json()["issue"][0]["code"], "conflict");
        gateway.count(3);
    }
    assert_eq!(gateway.kept().len(), 4);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_by_a_message_and_may_not_speak_for_others() {
    let (gateway, _files) = start().await;
    let header = |endpoint: &str| {
        json!({
            "resourceType": "MessageHeader", "id": "m-1", "source": { "endpoint": endpoint },
            "eventCoding": { "system": "urn:lab:events", "code": "results" },
        })
    };
    let mut sent = bundle("message", "", &[header("urn:lab:oakmere"), report("7")]);
    sent.as_object_mut().unwrap().remove("identifier");
    for path in ["/fhir/$process-message", "/fhir"] {
        let heard = send(&gateway, path, &[], &sent.to_string()).await;
        assert_eq!(heard.status, 200, "{}", heard.text());
        let reply = &heard.json()["entry"][0]["resource"];
        assert_eq!(reply["response"], json!({ "identifier": "m-1", "code": "ok" }));
        assert_eq!(reply["eventCoding"]["code"], "results");
        assert_eq!(reply["destination"][0]["endpoint"], "urn:lab:oakmere");
    }
    assert_eq!(gateway.kept().len(), 1);
    let foreign = bundle("message", "x", &[header("urn:lab:other"), report("8")]);
    let refused = send(&gateway, "/fhir/$process-message", &[], &foreign.to_string()).await;
    assert_eq!(refused.refusal(), (403, "H110".to_owned()));
    gateway.count(3);
    assert!(gateway.metrics().await.contains("gateway_sender_mismatches 1"));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_conditional_create_makes_one_report() {
    let (gateway, _files) = start().await;
    let path = "/fhir/DiagnosticReport";
    let condition = [("If-None-Exist", "identifier=urn:lab:numbers|9")];
    let first = send(&gateway, path, &condition, &report("9").to_string()).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert!(first.header("location").contains("/fhir/DiagnosticReport/"));
    assert_eq!(first.header("etag"), "W/\"1\"");
    // Other bytes, the same number: there is such a report already.
    let mut other = report("9");
    other["issued"] = "2026-03-01T10:00:00Z".into();
    let second = send(&gateway, path, &condition, &other.to_string()).await;
    assert_eq!((second.status, second.header("location")), (200, first.header("location")));
    let minimal = [condition[0], ("Prefer", "return=minimal")];
    let third = send(&gateway, path, &minimal, &other.to_string()).await;
    assert_eq!((third.status, third.body.len()), (200, 0));
    assert_eq!(gateway.kept().len(), 1);
    // Without the condition it is a new version of the report.
    assert_eq!(send(&gateway, path, &[], &other.to_string()).await.status, 201);
    assert_eq!(gateway.kept().len(), 2);
    let refused = send(&gateway, path, &[("If-None-Exist", "status=final")], &other.to_string()).await;
    assert_eq!(refused.refusal(), (412, "F058".to_owned()));
    gateway.count(4);
    // In a Bundle, the condition stands in the entry.
    let mut in_bundle = bundle("transaction", "conditional", &[report("9")]);
    in_bundle["entry"][0]["request"]["ifNoneExist"] = "identifier=urn:lab:numbers|9".into();
    let heard = send(&gateway, "/fhir", &[], &in_bundle.to_string()).await.json();
    assert_eq!(heard["entry"][0]["response"]["status"], "200 OK");
    gateway.count(1);
    assert_eq!(gateway.kept().len(), 2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_of_results_is_kept_and_refused_by_name() {
    let (gateway, _files) = start().await;
    for (body, refusal) in [
        ("{".to_owned(), (400, "F001")),
        (r#"{"resourceType":"Bundle","resourceType":"Bundle"}"#.to_owned(), (400, "F002")),
        (format!("{}1{}", "[".repeat(100), "]".repeat(100)), (413, "F003")),
        ("{}".to_owned(), (422, "F051")),
        (json!({ "resourceType": "Patient" }).to_string(), (422, "F052")),
        (bundle("searchset", "a", &[report("1")]).to_string(), (422, "F052")),
        (bundle("transaction", "b", &[observation("1")]).to_string(), (422, "F053")),
        (bundle("message", "c", &[report("1")]).to_string(), (422, "F054")),
        (bundle("batch", "d", &[report("1")]).to_string().replace("POST", "DELETE"), (422, "F055")),
    ] {
        let heard = send(&gateway, "/fhir", &[], &body).await;
        assert_eq!(heard.refusal(), (refusal.0, refusal.1.to_owned()), "{body}");
        assert_eq!(heard.json()["resourceType"], "OperationOutcome");
        gateway.count(1);
    }
    assert_eq!(gateway.kept().len(), 9, "in quarantine");
    let heard = send(&gateway, "/fhir", &[], &bundle("batch", "e", &[observation("1")]).to_string()).await;
    assert_eq!(heard.json()["issue"][0]["expression"], json!(["Bundle.entry"]));
    gateway.count(1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_answered_are_refused_before_anything_is_kept() {
    let (gateway, _files) = start().await;
    let body = bundle("transaction", "a", &[report("1")]).to_string();
    for (path, headers, refusal) in [
        ("/fhir", vec![("Content-Type", "text/html")], (415, "W122")),
        ("/fhir", vec![("Content-Type", "application/fhir+json; charset=utf-16")], (415, "W122")),
        ("/fhir", vec![("Accept", "text/turtle")], (406, "W124")),
        ("/fhir?_format=turtle", vec![], (406, "W124")),
        ("/fhir/DiagnosticReport", vec![], (422, "F057")),
        ("/fhir/$process-message", vec![], (422, "F057")),
    ] {
        let heard = send(&gateway, path, &headers, &body).await;
        assert_eq!(heard.refusal(), (refusal.0, refusal.1.to_owned()), "{path} {headers:?}");
    }
    let strange = post(gateway.http(), "/fhir", &[("Content-Type", JSON)], &body).await;
    assert_eq!(strange.refusal(), (401, "S110".to_owned()));
    assert_eq!(strange.json()["issue"][0]["code"], "login");
    assert!(gateway.kept().is_empty());
    gateway.finish().await;
}
