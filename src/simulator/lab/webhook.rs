//! The laboratory's report as the JSON body of a webhook, in the shape of an aggregator of several laboratories.

use serde_json::Value;
use serde_json::json;

use crate::simulator::lab::Observation;
use crate::simulator::lab::Sample;

/// The body. Values are strings, and codes the laboratory's own: the first part of what a sample has.
pub(super) fn body(sample: &Sample) -> Vec<u8> {
    let patient = &sample.patient;
    let [panel_code, panel_name] = code_and_name(&sample.panel);
    let status = match sample.status.as_str() {
        "C" => "results-corrected",
        "P" => "partial-results-available",
        _ => "results-available",
    };
    let part = |range| patient.birth_date.get(range).unwrap_or_default();
    json!({
        "vendor_order_id": sample.control_id,
        "partner_order_id": sample.order_number,
        "laboratory_order_id": sample.filler_number,
        "order_status": { "code": status },
        "user": {
            "surname": patient.family,
            "firstname": patient.given,
            "dob": format!("{}/{}/{}", part(0..4), part(4..6), part(6..8)),
            "sex": if patient.sex == "F" { "female" } else { "male" },
        },
        "results": [{
            "panel_code": panel_code,
            "panel_name": panel_name,
            "results": sample.results.iter().map(result).collect::<Vec<_>>(),
        }],
    })
    .to_string()
    .into_bytes()
}

fn result(it: &Observation) -> Value {
    let [code, name] = code_and_name(&it.code);
    json!({
        "code": code,
        "name": name,
        "result": it.value,
        "units": it.unit,
        "reference": it.range,
        "flag": it.flag,
    })
}

fn code_and_name(code: &str) -> [&str; 2] {
    let mut parts = code.split('^');
    [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()]
}
