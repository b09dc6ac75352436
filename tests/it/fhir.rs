//! Reports as Bundles: shape, references, digits, and that nothing empty or illegal is ever written.

use std::collections::HashSet;

use haemosync_gateway::clinical::attachment;
use haemosync_gateway::clinical::fhir::IdKey;
use haemosync_gateway::clinical::fhir::bundle;
use haemosync_gateway::clinical::fhir::collection;
use haemosync_gateway::clinical::model::Moment;
use haemosync_gateway::clinical::model::Report;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

const REPORT: &str = include_str!("fhir/report.json");

fn report() -> Report {
    let mut report: Report = serde_json::from_str(REPORT).unwrap();
    let document = attachment::decode(Some("application/pdf"), "JVBERi0lJUVPRg==").unwrap();
    assert_eq!(report.attachments[0].sha256, Some(document.sha256()));
    report.attachments[0].document = Some(document);
    report
}

fn text(reports: &[Report]) -> String {
    serde_json::to_string(&collection(reports, &IdKey::PUBLIC_TEST)).unwrap()
}

/// The Bundle as JSON, once it has passed the lint.
fn written(reports: &[Report]) -> Value {
    let bundle = serde_json::from_str(&text(reports)).unwrap();
    lint(&bundle);
    bundle
}

fn resources<'a>(bundle: &'a Value, kind: &str) -> Vec<&'a Value> {
    let entries = bundle["entry"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| &entry["resource"])
        .filter(|resource| resource["resourceType"] == kind)
        .collect()
}

/// The single panel's report: the first panel alone.
fn single() -> Report {
    let mut report = report();
    report.panels.truncate(1);
    report
}

/// What base FHIR asks of every Bundle of ours, whatever is in it.
fn lint(bundle: &Value) {
    let entries = bundle["entry"].as_array().unwrap();
    let mut urls = HashSet::new();
    for entry in entries {
        let url = entry["fullUrl"].as_str().unwrap();
        let id = entry["resource"]["id"].as_str().unwrap();
        assert_eq!(url.strip_prefix("urn:uuid:"), Some(id));
        assert!(id.len() == 36 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{id}");
        assert!(urls.insert(url), "{url} occurs twice");
    }
    lint_value(bundle, "Bundle", &urls);
}

fn lint_value(value: &Value, path: &str, urls: &HashSet<&str>) {
    match value {
        Value::Null => panic!("null at {path}"),
        Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => {
            assert!(!text.is_empty() && text.trim() == text, "blank or padded text at {path}: {text:?}");
            assert!(
                text.chars().all(|c| c >= ' ' || matches!(c, '\t' | '\n' | '\r')),
                "control at {path}: {text:?}"
            );
            let element = path.rsplit('.').next().unwrap();
            match element {
                "reference" => assert!(urls.contains(text.as_str()), "{path} leads nowhere"),
                "code" => {
                    assert!(text.split(' ').all(|word| !word.is_empty()), "bad code at {path}: {text:?}");
                }
                "system" | "url" => {
                    assert!(!text.contains(char::is_whitespace), "bad uri at {path}: {text:?}");
                }
                "issued" => assert!(text.contains('T'), "{path} is no instant: {text:?}"),
                _ => {}
            }
        }
        Value::Array(items) => {
            assert!(!items.is_empty(), "empty array at {path}");
            for item in items {
                lint_value(item, path, urls);
            }
        }
        Value::Object(members) => {
            assert!(!members.is_empty(), "empty object at {path}");
            lint_object(value, path);
            for (name, member) in members {
                lint_value(member, &format!("{path}.{name}"), urls);
            }
        }
    }
}

/// Invariants of one object: `obs-6`, `qty-3`, `cpt-2`, `att-1`, `obs-3`.
fn lint_object(object: &Value, path: &str) {
    let has = |name: &str| object.get(name).is_some();
    if object["resourceType"] == "Observation" {
        let values = object.as_object().unwrap().keys().filter(|name| name.starts_with("value")).count();
        let is_group = object["meta"]["profile"][0].as_str().unwrap().contains("Group");
        let states = values + usize::from(has("dataAbsentReason"));
        assert_eq!(states, usize::from(!is_group), "value or reason, never both: {path}");
    }
    if has("unit") || has("comparator") {
        assert!(!has("code") || has("system"), "qty-3 at {path}");
    }
    assert!(!path.ends_with("telecom") || has("system"), "cpt-2 at {path}");
    assert!(!has("data") || has("contentType"), "att-1 at {path}");
    assert!(!path.ends_with("referenceRange") || has("low") || has("high") || has("text"), "obs-3 at {path}");
}

#[test]
fn every_result_is_one_observation_reached_from_the_report() {
    for report in [report(), single()] {
        let bundle = written(std::slice::from_ref(&report));
        let observations = resources(&bundle, "Observation");
        let reachable = |from: &Value, element: &str| -> Vec<String> {
            let targets = from[element].as_array().into_iter().flatten();
            targets
                .map(|it| it["reference"].as_str().unwrap().trim_start_matches("urn:uuid:").to_owned())
                .collect()
        };
        let mut reached = Vec::new();
        for id in reachable(resources(&bundle, "DiagnosticReport")[0], "result") {
            let observation = observations.iter().find(|it| it["id"] == id.as_str()).unwrap();
            let members = reachable(observation, "hasMember");
            reached.extend(if members.is_empty() { vec![id] } else { members });
        }
        assert_eq!(reached.len(), report.results().count());
        let distinct: HashSet<_> = reached.iter().collect();
        assert_eq!(distinct.len(), reached.len());
        let groups = if report.panels.len() > 1 { report.panels.len() } else { 0 };
        assert_eq!(observations.len(), reached.len() + groups);
    }
}

#[test]
fn digits_comparators_and_ranges_are_as_sent() {
    let text = text(&[report()]);
    for expected in [
        r#""valueQuantity":{"value":105.10,"unit":"g/L","system":"http://unitsofmeasure.org","code":"g/L"}"#,
        r#""valueQuantity":{"value":0.010,"comparator":"<","unit":"mIU/L","#,
        r#""high":{"value":4.20,"unit":"mIU/L","system":"http://unitsofmeasure.org","code":"m[IU]/L"},"text":"<4.20""#,
        r#""valueRatio":{"numerator":{"value":1},"denominator":{"value":128}}"#,
        r#""valueRange":{"low":{"value":5},"high":{"value":10}}"#,
        r#""valueString":"Anisocytosis.\nNo blasts seen.""#,
        r#""valueDateTime":"2026-11""#,
    ] {
        assert!(text.contains(expected), "{expected}\nin {text}");
    }
}

#[test]
fn the_report_has_the_shape_of_uk_core() {
    let bundle = written(&[report()]);
    let diagnostic_report = resources(&bundle, "DiagnosticReport")[0];
    assert_eq!(bundle["type"], "collection");
    assert_eq!(
        diagnostic_report["meta"]["profile"],
        json!(["https://fhir.hl7.org.uk/StructureDefinition/UKCore-DiagnosticReport-Lab"])
    );
    assert_eq!(diagnostic_report["status"], "corrected");
    assert_eq!(diagnostic_report["category"][0]["coding"][0]["code"], "LAB");
    assert_eq!(diagnostic_report["code"]["coding"][0]["code"], "721981007");
    assert_eq!(diagnostic_report["code"]["text"], "Full blood count; Serology");
    assert_eq!(diagnostic_report["identifier"][0]["value"], "N26-004711");
    assert_eq!(diagnostic_report["identifier"][0]["system"], "urn:haemosync:lab:northlab:filler");
    assert_eq!(diagnostic_report["issued"], "2026-11-22T15:00:00+00:00");
    assert_eq!(diagnostic_report["effectiveDateTime"], "2026-11-22T09:15:00+00:00");
    assert_eq!(diagnostic_report["conclusion"], "Telephoned to the clinic");
    assert_eq!(diagnostic_report["performer"].as_array().unwrap().len(), 2);
    assert_eq!(resources(&bundle, "Organization")[1]["name"], "Northlab East");
    let observation = resources(&bundle, "Observation")[1];
    assert_eq!(observation["category"][0]["coding"][0]["code"], "laboratory");
    assert_eq!(observation["interpretation"][0]["coding"][0]["code"], "L");
    assert_eq!(observation["interpretation"][1], json!({"text": "* (outside range)"}));
    assert_eq!(observation["note"], json!([{"text": "Repeated\nPreviously 95"}]));
    assert_eq!(observation["identifier"][0]["value"], "N26-004711/OBX[1]");
    let specimen = resources(&bundle, "Specimen")[0];
    assert_eq!(specimen["accessionIdentifier"]["value"], "A-1");
    assert_eq!(specimen["status"], "unsatisfactory");
    assert_eq!(specimen["receivedTime"], "2026-11-22T11:30:00+00:00");
    assert_eq!(specimen["note"], json!([{"text": "Rejected: Haemolysis\nArrived warm"}]));
    let request = resources(&bundle, "ServiceRequest")[0];
    assert_eq!(request["identifier"][0]["value"], "HS-0000-0042");
    assert_eq!(request["requester"], json!({"display": "Dr Example"}));
}

#[test]
fn a_group_has_its_panel_s_state_and_notes_and_no_value() {
    let bundle = written(&[report()]);
    let observations = resources(&bundle, "Observation");
    let groups: Vec<_> = observations.iter().filter(|it| it.get("hasMember").is_some()).collect();
    assert_eq!(groups[0]["note"], json!([{"text": "Film reviewed"}]));
    assert_eq!(groups[1]["status"], "preliminary");
    assert_eq!(groups[1]["effectiveDateTime"], "2026-11-22");
    assert_eq!(groups[1].get("issued"), None);
}

#[test]
fn the_only_panel_is_the_report_itself() {
    let bundle = written(&[single()]);
    let diagnostic_report = resources(&bundle, "DiagnosticReport")[0];
    assert_eq!(diagnostic_report["code"]["coding"][0]["code"], "FBC");
    assert_eq!(diagnostic_report["conclusion"], "Telephoned to the clinic\nFilm reviewed");
}

#[test]
fn a_day_of_reporting_is_no_instant() {
    let mut report = single();
    report.panels[0].reported_at = Some(Moment { sent: "20261122".into(), iso: "2026-11-22".into() });
    report.panels[0].collected_at = None;
    let bundle = written(&[report]);
    let diagnostic_report = resources(&bundle, "DiagnosticReport")[0];
    assert_eq!(diagnostic_report.get("issued"), None);
    assert_eq!(diagnostic_report["effectiveDateTime"], "2026-11-22");
}

#[test]
fn a_document_points_at_its_report_and_its_result_at_the_document() {
    let bundle = written(&[report()]);
    let document = resources(&bundle, "DocumentReference")[0];
    let attachment = &document["content"][0]["attachment"];
    assert_eq!(
        *attachment,
        json!({"contentType": "application/pdf", "data": "JVBERi0lJUVPRg==", "title": "Full report"})
    );
    let result =
        resources(&bundle, "Observation").into_iter().find(|it| it.get("derivedFrom").is_some()).unwrap();
    assert!(
        result["derivedFrom"][0]["reference"].as_str().unwrap().ends_with(document["id"].as_str().unwrap())
    );
}

#[test]
fn a_document_that_is_not_at_hand_is_left_out_and_says_so() {
    let mut report = report();
    report.attachments[0].document = None;
    let bundle = written(&[report]);
    let document = resources(&bundle, "DocumentReference")[0];
    assert_eq!(document["content"][0]["attachment"].get("data"), None);
    assert_eq!(document["description"], "The document is kept by the gateway, with the case");
}

#[test]
fn the_same_report_gives_the_same_bytes_and_another_key_other_ids() {
    assert_eq!(text(&[report()]), text(&[report()]));
    let report = report();
    let other_key = serde_json::to_string(&bundle(&report, &IdKey::new([7; IdKey::BYTES]))).unwrap();
    assert_ne!(text(std::slice::from_ref(&report)), other_key);
    let mut other_number = report.clone();
    other_number.filler_number = "N26-004712".into();
    let ids = |bundle: &Value| -> HashSet<String> {
        let entries = bundle["entry"].as_array().unwrap();
        entries.iter().map(|entry| entry["fullUrl"].as_str().unwrap().to_owned()).collect()
    };
    assert!(ids(&written(&[report])).is_disjoint(&ids(&written(&[other_number]))));
}

#[test]
fn reports_of_one_message_share_an_identified_patient_and_never_an_id() {
    let mut nobody = single();
    nobody.patient.identifiers.clear();
    let bundle = written(&[report(), single(), nobody.clone(), nobody]);
    assert_eq!(resources(&bundle, "DiagnosticReport").len(), 4);
    assert_eq!(resources(&bundle, "Patient").len(), 3);
}

#[test]
fn no_reports_are_an_empty_bundle() {
    assert_eq!(text(&[]), r#"{"resourceType":"Bundle","type":"collection"}"#);
}

/// Puts a hostile text in place of every text a sender can choose.
fn replace(value: &mut Value, texts: &mut impl Iterator<Item = String>) {
    const FREE: [&str; 23] = [
        "lab",
        "filler_number",
        "order_number",
        "authority",
        "type_code",
        "family",
        "given",
        "prefix",
        "lines",
        "city",
        "postcode",
        "use_code",
        "equipment",
        "requester",
        "clinical_information",
        "text",
        "code",
        "display",
        "system",
        "sent",
        "performing_lab",
        "accession",
        "title",
    ];
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, texts)),
        Value::Object(members) => {
            for (name, member) in members {
                let free = FREE.contains(&name.as_str());
                match member {
                    Value::String(text) if free => *text = texts.next().unwrap(),
                    Value::Array(items) if free => {
                        items
                            .iter_mut()
                            .filter(|it| it.is_string())
                            .for_each(|it| *it = texts.next().unwrap().into());
                    }
                    _ => replace(member, texts),
                }
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_sender_writes_is_legal_fhir(texts in prop::collection::vec("(?s).{0,6}|[ \t\n\r\u{0}-\u{1f}ab]{0,6}", 1..40)) {
        let mut sample: Value = serde_json::from_str(REPORT).unwrap();
        replace(&mut sample, &mut texts.into_iter().cycle());
        let report: Report = serde_json::from_value(sample).unwrap();
        written(&[report]);
    }
}
