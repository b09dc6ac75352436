//! What a peer's expected output says of results, patients, reports and specimens, whatever it is written in.
//!
//! A fact is one value, unit, status, date or identifier, with what it is a fact of. Only these are taken: a peer's
//! categories, displays, provenance and the like are no part of the comparison.

use haemosync_gateway::formats::hl7v2;
use serde_json::Value;

/// Resources whose dates and identifiers a laboratory report consists of.
const RESOURCES: [&str; 5] = ["DiagnosticReport", "Observation", "Patient", "ServiceRequest", "Specimen"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Date,
    Identifier,
    Status,
    Unit,
    Value,
}

#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) kind: Kind,
    /// The resource, and where in it.
    pub(super) at: String,
    pub(super) text: String,
}

/// What a peer says of one result, or of everything that is no result.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    /// The codes and names of what was measured; empty for what is no result.
    pub(super) codes: Vec<String>,
    pub(super) facts: Vec<Fact>,
}

impl Group {
    fn push(&mut self, kind: Kind, at: &str, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            self.facts.push(Fact { kind, at: at.to_owned(), text: text.to_owned() });
        }
    }
}

/// The first group is of everything that is no result.
pub(super) fn of_bundle(bundle: &Value) -> Vec<Group> {
    let mut groups = vec![Group::default()];
    for entry in bundle["entry"].as_array().into_iter().flatten() {
        resource(&entry["resource"], &mut groups);
    }
    groups
}

fn resource(resource: &Value, groups: &mut Vec<Group>) {
    let kind = resource["resourceType"].as_str().unwrap_or_default();
    if !RESOURCES.contains(&kind) {
        return;
    }
    if kind != "Observation" {
        let group = &mut groups[0];
        if kind == "DiagnosticReport" {
            group.push(
                Kind::Status,
                "DiagnosticReport.status",
                resource["status"].as_str().unwrap_or_default(),
            );
        }
        dates_and_identifiers(resource, kind, group);
        return;
    }
    let mut group = Group { codes: codes(&resource["code"]), ..Group::default() };
    group.push(Kind::Status, "Observation.status", resource["status"].as_str().unwrap_or_default());
    values(resource, &mut group);
    dates_and_identifiers(resource, "Observation", &mut group);
    groups.push(group);
    for component in resource["component"].as_array().into_iter().flatten() {
        let mut group = Group { codes: codes(&component["code"]), ..Group::default() };
        values(component, &mut group);
        groups.push(group);
    }
}

/// Codes and words of a concept, without the systems, which every converter names in its own way.
fn codes(concept: &Value) -> Vec<String> {
    let codings = concept["coding"].as_array().into_iter().flatten();
    let of_coding = codings.flat_map(|coding| ["code", "display"].map(|name| coding[name].as_str()));
    of_coding.chain([concept["text"].as_str()]).flatten().map(str::to_owned).collect()
}

fn values(observation: &Value, group: &mut Group) {
    for (name, value) in observation.as_object().into_iter().flatten() {
        if name.starts_with("value") {
            value_leaves(value, name, name, group);
        }
    }
}

fn value_leaves(value: &Value, name: &str, at: &str, group: &mut Group) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                // A system is named in each converter's own way, and a reference is its own.
                if !matches!(name.as_str(), "system" | "extension" | "reference" | "id" | "url") {
                    value_leaves(member, name, &format!("{at}.{name}"), group);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| value_leaves(item, name, at, group)),
        Value::Null => {}
        leaf => {
            let is_quantity = at.contains("Quantity") || at.contains("Range") || at.contains("Ratio");
            let kind = match name {
                "unit" => Kind::Unit,
                "code" if is_quantity => Kind::Unit,
                "valueDateTime" => Kind::Date,
                "start" | "end" if at.contains("Period") => Kind::Date,
                _ => Kind::Value,
            };
            group.push(kind, at, &text_of(leaf));
        }
    }
}

fn dates_and_identifiers(value: &Value, at: &str, group: &mut Group) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let at = format!("{at}.{name}");
                match (name.as_str(), member) {
                    ("identifier" | "accessionIdentifier", it) => identifiers(it, &at, group),
                    // A value is a value, whatever it looks like; an extension of ours or theirs is no standard place.
                    (name, _) if name.starts_with("value") || name == "component" => {}
                    ("extension" | "meta" | "contained", _) => {}
                    (_, Value::String(text)) if is_date(text) => group.push(Kind::Date, &at, text),
                    (_, it) => dates_and_identifiers(it, &at, group),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| dates_and_identifiers(item, at, group)),
        _ => {}
    }
}

fn identifiers(value: &Value, at: &str, group: &mut Group) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| identifiers(item, at, group)),
        one => group.push(Kind::Identifier, at, one["value"].as_str().unwrap_or_default()),
    }
}

/// `2026`, `2026-03`, `2026-03-16` and what goes on from there.
fn is_date(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).is_some_and(|part| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit()))
    };
    text.len() >= 7 && digits(0..4) && text.get(4..5) == Some("-") && digits(5..7)
}

fn text_of(leaf: &Value) -> String {
    leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned)
}

/// Assertions of a converter's own tests, restated: each names what it looks at in words of that test.
pub(super) fn of_assertions(document: &Value) -> Vec<Group> {
    let mut group = Group::default();
    for check in document["checks"].as_array().into_iter().flatten() {
        let (what, is, text) =
            (check["what"].as_str().unwrap_or_default(), &check["is"], text_of(&check["value"]));
        if !matches!(is.as_str(), Some("isEqualTo" | "hasToString")) {
            continue;
        }
        let kind = match what {
            "value" => Kind::Identifier,
            "q.unit" | "high.unit" => Kind::Unit,
            "q.value.floatValue()" | "high.value.floatValue()" | "range.text" => Kind::Value,
            _ if what.ends_with("effectiveDateTimeType") => Kind::Date,
            "diag.status" | "diag2.status" => Kind::Status,
            _ => continue,
        };
        // As Java writes a float.
        group.push(kind, what, text.trim_end_matches('f'));
    }
    vec![group]
}

/// A message that a peer made of ours.
pub(super) fn of_message(raw: &[u8]) -> Vec<Group> {
    let mut groups = vec![Group::default()];
    for range in hl7v2::batch::split(raw).messages() {
        let text = String::from_utf8_lossy(&raw[range]).into_owned();
        for line in text.split(['\r', '\n']) {
            segment(&line.split('|').collect::<Vec<_>>(), &mut groups);
        }
    }
    groups
}

fn segment(fields: &[&str], groups: &mut Vec<Group>) {
    let field = |number: usize| fields.get(number).copied().unwrap_or_default();
    let first = |number: usize| field(number).split(['^', '~']).next().unwrap_or_default();
    match field(0) {
        "PID" => {
            for repetition in field(3).split('~') {
                groups[0].push(Kind::Identifier, "PID-3", repetition.split('^').next().unwrap_or_default());
            }
            groups[0].push(Kind::Date, "PID-7", first(7));
        }
        "OBR" => {
            [2, 3].iter().for_each(|it| groups[0].push(Kind::Identifier, &format!("OBR-{it}"), first(*it)));
            [7, 8, 14, 22].iter().for_each(|it| groups[0].push(Kind::Date, &format!("OBR-{it}"), first(*it)));
        }
        "OBX" => {
            let mut group = Group {
                codes: field(3).split('^').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
                ..Group::default()
            };
            for part in field(5).split(['^', '~']) {
                group.push(Kind::Value, "OBX-5", part);
            }
            group.push(Kind::Unit, "OBX-6", first(6));
            [14, 19].iter().for_each(|it| group.push(Kind::Date, &format!("OBX-{it}"), first(*it)));
            groups.push(group);
        }
        _ => {}
    }
}
