//! The description of these doors for laboratories, OpenAPI 3.1: written by hand, held true by a test over the routes.

use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;

const DOCUMENT: &str = include_str!("../../../schemas/inbound.json");

/// `GET /inbound/openapi.json`. No feed has this name: names have no full stop.
pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::DOCUMENT;
    use crate::inbound::http::routes;

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|it| references(it, found));
            }
            Value::Array(items) => items.iter().for_each(|it| references(it, found)),
            _ => {}
        }
    }

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let document = document();
        let paths = document["paths"].as_object().unwrap().iter();
        let described: BTreeMap<&str, Vec<&str>> = paths
            .map(|(path, it)| (path.as_str(), it.as_object().unwrap().keys().map(String::as_str).collect()))
            .collect();
        let served: BTreeMap<&str, Vec<&str>> =
            routes().iter().map(|(path, method, _)| (*path, vec![*method])).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_part_is_used() {
        let document = document();
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        let parts = |kind: &str| {
            let names = document["components"][kind].as_object().unwrap().keys();
            names.map(|name| format!("#/components/{kind}/{name}")).collect::<Vec<_>>()
        };
        let defined: BTreeSet<String> = ["schemas", "responses"].into_iter().flat_map(parts).collect();
        assert_eq!(used, defined);
    }

    #[test]
    fn every_operation_says_what_it_answers_to_whom() {
        for (path, operations) in document()["paths"].as_object().unwrap() {
            for operation in operations.as_object().unwrap().values() {
                let responses = operation["responses"].as_object().unwrap();
                let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
                assert!(operation["summary"].is_string(), "{path}");
                assert!(is_open || responses.contains_key("401"), "{path}");
                assert!(responses.keys().any(|status| status.starts_with('2')), "{path}");
                assert_eq!(path.contains('{'), operation["parameters"][0]["in"] == "path", "{path}");
            }
        }
    }
}
