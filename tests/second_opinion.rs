//! A second opinion on our FHIR: every Bundle we write reads back through `fhir-sdk`, typed, with nothing lost.
//!
//! It speaks R4B, which has our resources in R4's shape. Its decimals are floats, so digits are compared as values here
//! and as text in `tests/it/fhir.rs`.

#![expect(clippy::unwrap_used, reason = "what is missing in a Bundle fails the test")]

use fhir_sdk::r4b::codes;
use fhir_sdk::r4b::resources::Bundle;
use fhir_sdk::r4b::resources::ObservationValue;
use fhir_sdk::r4b::resources::Resource;
use haemosync_gateway::clinical::fhir::IdKey;
use haemosync_gateway::clinical::fhir::collection;
use haemosync_gateway::clinical::model::Report;
use serde_json::Value;
use serde_json::json;

fn report() -> Report {
    serde_json::from_str(include_str!("it/fhir/report.json")).unwrap()
}

fn written(reports: &[Report]) -> String {
    serde_json::to_string(&collection(reports, &IdKey::PUBLIC_TEST)).unwrap()
}

fn resources(bundle: &Bundle) -> Vec<&Resource> {
    bundle.entry.iter().map(|entry| entry.as_ref().unwrap().resource.as_ref().unwrap()).collect()
}

/// Numbers as values, times in one spelling of the offset zero: what `fhir-sdk` does not keep.
fn normal(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::Number(number) => json!(number.as_f64()),
        Value::Object(members) => members.into_iter().map(|(name, member)| (name, normal(member))).collect(),
        Value::String(text) if text.contains('T') && text.ends_with("+00:00") => {
            json!(format!("{}Z", text.trim_end_matches("+00:00")))
        }
        other => other,
    }
}

#[test]
fn a_bundle_reads_back_with_nothing_lost() {
    let mut single = report();
    single.panels.truncate(1);
    single.attachments.clear();
    let mut bare = report();
    bare.patient = haemosync_gateway::clinical::model::Patient::default();
    bare.specimens.clear();
    bare.panels.clear();
    for reports in [vec![report()], vec![single], vec![bare], vec![report(), report()], vec![]] {
        let text = written(&reports);
        let read: Bundle = serde_json::from_str(&text).unwrap();
        let again = normal(serde_json::to_value(&read).unwrap());
        assert_eq!(again, normal(serde_json::from_str(&text).unwrap()));
    }
}

#[test]
fn resources_codes_and_values_read_back_as_what_they_are() {
    let report = report();
    let bundle: Bundle = serde_json::from_str(&written(std::slice::from_ref(&report))).unwrap();
    assert_eq!(bundle.r#type, codes::BundleType::Collection);
    let resources = resources(&bundle);
    let count = |is: fn(&Resource) -> bool| resources.iter().filter(|it| is(it)).count();
    assert_eq!(count(|it| matches!(it, Resource::Patient(_))), 1);
    assert_eq!(
        count(|it| matches!(it, Resource::Observation(_))),
        report.results().count() + report.panels.len()
    );
    assert_eq!(count(|it| matches!(it, Resource::Specimen(_))), report.specimens.len());
    assert_eq!(count(|it| matches!(it, Resource::DocumentReference(_))), report.attachments.len());
    for resource in resources {
        match resource {
            Resource::DiagnosticReport(it) => {
                assert_eq!(it.status, codes::DiagnosticReportStatus::Corrected);
                assert_eq!(serde_json::to_value(&it.issued).unwrap(), "2026-11-22T15:00:00Z");
                assert_eq!(it.result.len(), 2);
            }
            Resource::Patient(it) => {
                assert_eq!(it.gender, Some(codes::AdministrativeGender::Female));
                assert_eq!(serde_json::to_value(&it.birth_date).unwrap(), "1950-01-02");
            }
            Resource::Observation(it) if it.code.text.as_deref() == Some("Last dose") => {
                assert!(matches!(it.value, Some(ObservationValue::DateTime(_))));
            }
            Resource::Observation(it) if it.code.text.as_deref() == Some("Haemoglobin") => {
                let code = it.code.coding[0].as_ref().unwrap();
                assert_eq!(code.code.as_deref(), Some("718-7"));
                assert_eq!(it.status, codes::ObservationStatus::Corrected);
                let Some(ObservationValue::Quantity(quantity)) = &it.value else { panic!("no quantity") };
                assert_eq!(quantity.code.as_deref(), Some("g/L"));
            }
            _ => {}
        }
    }
}
