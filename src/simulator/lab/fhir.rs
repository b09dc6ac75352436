//! The laboratory's report as a FHIR R4 transaction: patient, report and observations.

use crate::simulator::lab::Observation;
use crate::simulator::lab::Person;
use crate::simulator::lab::Sample;

const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
const LOINC: &str = "http://loinc.org";
/// Codes that are the laboratory's own.
const LOCAL: &str = "https://lab.example/codes";
const UCUM: &str = "http://unitsofmeasure.org";
const FLAGS: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";

/// The Bundle, its numbers with the digits of the sample.
pub(super) fn bundle(sample: &Sample) -> Vec<u8> {
    let Sample { control_id, time, filler_number, order_number, panel, status, .. } = sample;
    let (time, status) = (quote(&date_time(time)), quote(word_of(status)));
    let references: Vec<String> = (1..=sample.results.len())
        .map(|number| format!(r#"{{"reference":{}}}"#, quote(&result_url(number))))
        .collect();
    let order = if order_number.is_empty() {
        String::new()
    } else {
        format!(r#""basedOn":[{{"identifier":{{"value":{}}}}}],"#, quote(order_number))
    };
    let report = format!(
        r#"{{"resourceType":"DiagnosticReport","identifier":[{{"value":{}}}],{order}"status":{status},"code":{},"subject":{{"reference":"urn:uuid:patient"}},"effectiveDateTime":{time},"issued":{time},"result":[{}]}}"#,
        quote(filler_number),
        concept(panel),
        references.join(","),
    );
    let mut entries = vec![
        entry("urn:uuid:patient", "Patient", &patient(&sample.patient)),
        entry("urn:uuid:report", "DiagnosticReport", &report),
    ];
    for (number, result) in (1..).zip(&sample.results) {
        entries.push(entry(&result_url(number), "Observation", &observation(result, &time)));
    }
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","identifier":{{"value":{}}},"timestamp":{time},"entry":[{}]}}"#,
        quote(control_id),
        entries.join(","),
    );
    bundle.into_bytes()
}

fn result_url(number: usize) -> String {
    format!("urn:uuid:result-{number}")
}

fn entry(url: &str, kind: &str, resource: &str) -> String {
    let url = quote(url);
    format!(r#"{{"fullUrl":{url},"resource":{resource},"request":{{"method":"POST","url":"{kind}"}}}}"#)
}

fn patient(it: &Person) -> String {
    let identifier = if it.nhs_number.is_empty() {
        String::new()
    } else {
        format!(r#""identifier":[{{"system":"{NHS_NUMBER}","value":{}}}],"#, quote(&it.nhs_number))
    };
    let address = if it.postcode.is_empty() {
        String::new()
    } else {
        format!(r#","address":[{{"postalCode":{}}}]"#, quote(&it.postcode))
    };
    let gender = if it.sex == "F" { "female" } else { "male" };
    format!(
        r#"{{"resourceType":"Patient",{identifier}"name":[{{"family":{},"given":[{}]}}],"gender":"{gender}","birthDate":{}{address}}}"#,
        quote(&it.family),
        quote(&it.given),
        quote(&date(&it.birth_date)),
    )
}

fn observation(it: &Observation, time: &str) -> String {
    let flag = if it.flag.is_empty() {
        String::new()
    } else {
        format!(r#","interpretation":[{{"coding":[{{"system":"{FLAGS}","code":{}}}]}}]"#, quote(&it.flag))
    };
    let range = match it.range.split_once('-') {
        _ if it.range.is_empty() => String::new(),
        Some((low, high)) => {
            let (low, high) = (quantity(low, &it.unit), quantity(high, &it.unit));
            format!(r#","referenceRange":[{{"low":{low},"high":{high}}}]"#)
        }
        None => format!(r#","referenceRange":[{{"text":{}}}]"#, quote(&it.range)),
    };
    format!(
        r#"{{"resourceType":"Observation","status":{},"code":{},"subject":{{"reference":"urn:uuid:patient"}},"effectiveDateTime":{time},"valueQuantity":{}{range}{flag}}}"#,
        quote(word_of(&it.status)),
        concept(&it.code),
        quantity(&it.value, &it.unit),
    )
}

/// The number as it stands: its digits are the laboratory's.
fn quantity(number: &str, unit: &str) -> String {
    let unit = quote(unit);
    format!(r#"{{"value":{number},"unit":{unit},"system":"{UCUM}","code":{unit}}}"#)
}

/// Of `code^text^system`.
fn concept(code: &str) -> String {
    let mut parts = code.split('^');
    let mut part = || quote(parts.next().unwrap_or_default());
    let (code, text) = (part(), part());
    let system = if parts.next() == Some("LN") { LOINC } else { LOCAL };
    format!(r#"{{"coding":[{{"system":"{system}","code":{code},"display":{text}}}]}}"#)
}

/// The word of HL7 table 0085 or 0123.
fn word_of(status: &str) -> &'static str {
    match status {
        "C" => "corrected",
        "P" => "preliminary",
        _ => "final",
    }
}

/// `YYYYMMDDHHMMSS+ZZZZ` as FHIR writes it.
fn date_time(time: &str) -> String {
    let part = |range| time.get(range).unwrap_or_default();
    format!(
        "{}T{}:{}:{}{}:{}",
        date(time),
        part(8..10),
        part(10..12),
        part(12..14),
        part(14..17),
        part(17..19)
    )
}

/// `YYYYMMDD` as FHIR writes it.
fn date(date: &str) -> String {
    let part = |range| date.get(range).unwrap_or_default();
    format!("{}-{}-{}", part(0..4), part(4..6), part(6..8))
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
