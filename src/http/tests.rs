//! The API's description and its routes say the same.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::http::api;
use crate::http::openapi::DOCUMENT;

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// Every object of the document, at whatever depth.
fn visit(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            see(fields);
            fields.values().for_each(|it| visit(it, see));
        }
        Value::Array(items) => items.iter().for_each(|it| visit(it, see)),
        _ => {}
    }
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let document = document();
    let described: BTreeMap<String, Vec<String>> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, operations)| {
            let mut methods: Vec<String> = operations.as_object().unwrap().keys().cloned().collect();
            methods.sort();
            (path.clone(), methods)
        })
        .collect();
    let served: BTreeMap<String, Vec<String>> = api::routes()
        .iter()
        .map(|(path, methods, _)| ((*path).to_owned(), methods.iter().map(|it| (*it).to_owned()).collect()))
        .collect();
    assert_eq!(described, served);
    assert_eq!(document["servers"][0]["url"], api::PREFIX);
}

#[test]
fn every_reference_in_the_description_leads_somewhere_and_every_part_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    visit(&document, &mut |fields| {
        used.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
    });
    let defined: BTreeSet<String> = ["schemas", "responses"]
        .into_iter()
        .flat_map(|kind| {
            let parts = document["components"][kind].as_object().unwrap();
            parts.keys().map(move |name| format!("#/components/{kind}/{name}")).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(used, defined);
}

#[test]
fn every_operation_says_who_may_and_what_it_answers() {
    for (path, operations) in document()["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let at = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{at}");
            let responses = operation["responses"].as_object().unwrap();
            let open = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert!(open || responses.contains_key("401"), "{at}");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{at}");
            assert_eq!(path.contains("{id}"), operation["parameters"][0]["name"] == "id", "{at}");
        }
    }
}
