//! What a peer's file says of results, patients, reports and specimens, whatever it is written in.
//!
//! A fact is one value, unit, status, date or identifier, with what it is a fact of. Only these are taken: a peer's
//! categories, displays, provenance and the like are no part of the comparison.

use std::path::Path;

use haemosync_gateway::formats::csv;
use haemosync_gateway::formats::fhir;
use haemosync_gateway::formats::hl7v2;
use haemosync_gateway::formats::json;
use haemosync_gateway::formats::tree::Node;
use serde_json::value::RawValue;

/// What a converter says of itself, of the envelope, or of what is no part of a report.
const RESOURCES_LEFT_OUT: [&str; 2] = ["MessageHeader", "Provenance"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// The resource, segment or column, and where in it.
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

/// What a peer's file says, by how it is written. The first group is of everything that is no result.
pub(super) fn of_file(name: &str, bytes: &[u8]) -> Vec<Group> {
    match Path::new(name).extension().and_then(|it| it.to_str()) {
        Some("csv") => of_table(bytes),
        Some("hl7") => of_message(bytes),
        Some("xml") => of_bundle(&fhir::xml::decode(bytes).unwrap()),
        _ => {
            let documents = serde_json::Deserializer::from_slice(bytes).into_iter::<Box<RawValue>>();
            let documents = documents.map(|it| json::decode(it.unwrap().get().as_bytes()).unwrap());
            documents
                .flat_map(|it| if it.get("checks").is_some() { of_assertions(&it) } else { of_bundle(&it) })
                .collect()
        }
    }
}

fn items<'n>(node: &'n Node, name: &str) -> &'n [Node] {
    node.get(name).map(Node::items).unwrap_or_default()
}

fn text<'n>(node: &'n Node, name: &str) -> &'n str {
    node.get(name).and_then(Node::text).unwrap_or_default()
}

fn of_bundle(bundle: &Node) -> Vec<Group> {
    let mut groups = vec![Group::default()];
    for resource in items(bundle, "entry").iter().filter_map(|entry| entry.get("resource")) {
        of_resource(resource, &mut groups);
    }
    groups
}

fn of_resource(resource: &Node, groups: &mut Vec<Group>) {
    let kind = text(resource, "resourceType");
    if RESOURCES_LEFT_OUT.contains(&kind) {
        return;
    }
    if kind != "Observation" {
        let group = &mut groups[0];
        if kind == "DiagnosticReport" {
            group.push(Kind::Status, "DiagnosticReport.status", text(resource, "status"));
        }
        dates_and_identifiers(resource, kind, group);
        return;
    }
    let mut group = Group { codes: codes(resource), ..Group::default() };
    group.push(Kind::Status, "Observation.status", text(resource, "status"));
    values(resource, &mut group);
    dates_and_identifiers(resource, kind, &mut group);
    groups.push(group);
    for component in items(resource, "component") {
        let mut group = Group { codes: codes(component), ..Group::default() };
        values(component, &mut group);
        groups.push(group);
    }
}

/// Codes and words of what was measured, without the systems, which every converter names in its own way.
fn codes(observation: &Node) -> Vec<String> {
    let Some(concept) = observation.get("code") else { return Vec::new() };
    let of_coding =
        items(concept, "coding").iter().flat_map(|coding| ["code", "display"].map(|name| text(coding, name)));
    let all = of_coding.chain([text(concept, "text")]);
    all.filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

fn values(observation: &Node, group: &mut Group) {
    let Node::Object(members) = observation else { return };
    for (name, value) in
        members.iter().filter(|(name, _)| name.starts_with("value") || name == "referenceRange")
    {
        value_leaves(value, name, name, group);
    }
}

fn value_leaves(value: &Node, name: &str, at: &str, group: &mut Group) {
    match value {
        Node::Object(members) => {
            for (name, member) in members {
                // A system is named in each converter's own way, and a reference is its own.
                if !matches!(name.as_str(), "system" | "extension" | "reference" | "id" | "url") {
                    value_leaves(member, name, &format!("{at}.{name}"), group);
                }
            }
        }
        Node::List(items) => items.iter().for_each(|item| value_leaves(item, name, at, group)),
        leaf => {
            let is_quantity = ["Quantity", "Range", "Ratio"].iter().any(|it| at.contains(it));
            let kind = match name {
                "unit" => Kind::Unit,
                "code" if is_quantity => Kind::Unit,
                "valueDateTime" => Kind::Date,
                "start" | "end" if at.contains("Period") => Kind::Date,
                _ => Kind::Value,
            };
            group.push(kind, at, leaf.text().unwrap_or_default());
        }
    }
}

fn dates_and_identifiers(value: &Node, at: &str, group: &mut Group) {
    match value {
        Node::Object(members) => {
            for (name, member) in members {
                let at = format!("{at}.{name}");
                match (name.as_str(), member) {
                    ("identifier" | "accessionIdentifier", it) => {
                        it.items().iter().for_each(|it| group.push(Kind::Identifier, &at, text(it, "value")));
                    }
                    // A value is taken as a value, whatever it looks like; an extension is no standard place.
                    ("component" | "contained" | "extension" | "meta" | "referenceRange", _) => {}
                    (name, _) if name.starts_with("value") => {}
                    (name, Node::Text(text)) if is_date(name, text) => group.push(Kind::Date, &at, text),
                    (_, it) => dates_and_identifiers(it, &at, group),
                }
            }
        }
        Node::List(items) => items.iter().for_each(|item| dates_and_identifiers(item, at, group)),
        _ => {}
    }
}

/// `2026-03`, `2026-03-16` and what goes on from there; `2026` where the element's name says what it is.
fn is_date(name: &str, text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).is_some_and(|part| !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit()))
    };
    let is_named = ["Date", "DateTime", "Time"].iter().any(|it| name.ends_with(it)) || name == "issued";
    match text.len() {
        4 => is_named && digits(0..4),
        _ => digits(0..4) && text.get(4..5) == Some("-") && digits(5..7),
    }
}

/// Assertions of a converter's own tests, restated: each names what it looks at in words of that test. Most are about
/// the structure of that converter's Bundle and state no fact.
fn of_assertions(document: &Node) -> Vec<Group> {
    let mut group = Group::default();
    for check in items(document, "checks") {
        let what = text(check, "what");
        if !matches!(text(check, "is"), "isEqualTo" | "hasToString") {
            continue;
        }
        let kind = match what {
            "value" | "pract.identifier[0].value" => Kind::Identifier,
            "q.unit" | "high.unit" => Kind::Unit,
            "q.value.floatValue()" | "high.value.floatValue()" | "range.text" => Kind::Value,
            "authoredOnDate" => Kind::Date,
            _ if what.ends_with("effectiveDateTimeType") => Kind::Date,
            "diag.status" | "diag2.status" => Kind::Status,
            _ => continue,
        };
        // As Java writes a float.
        group.push(kind, what, text(check, "value").trim_end_matches('f'));
    }
    vec![group]
}

/// Messages that a peer made.
fn of_message(raw: &[u8]) -> Vec<Group> {
    let mut groups = vec![Group::default()];
    for range in hl7v2::batch::split(raw).messages() {
        let decoded = hl7v2::decode(&raw[range]);
        decoded.message.unwrap().segments().for_each(|it| of_segment(it, &mut groups));
    }
    groups
}

/// Dates by field; the first component is the time.
const DATES: [(&str, &[u32]); 5] = [
    ("PID", &[7, 29]),
    ("ORC", &[9, 15]),
    ("OBR", &[6, 7, 8, 14, 22]),
    ("OBX", &[14, 19]),
    ("SPM", &[17, 18]),
];
const IDENTIFIERS: [(&str, &[u32]); 5] = [
    ("PID", &[2, 3, 4, 18, 19, 20]),
    ("ORC", &[2, 3, 4, 12]),
    ("OBR", &[2, 3, 16, 29]),
    ("OBX", &[16]),
    ("SPM", &[2, 30]),
];

fn of_segment(segment: hl7v2::Segment<'_>, groups: &mut Vec<Group>) {
    let mut group = Group::default();
    let fields = |of: [(&'static str, &'static [u32]); 5]| {
        of.into_iter().filter(|(name, _)| *name == segment.name()).flat_map(|(_, numbers)| numbers)
    };
    for number in fields(DATES) {
        let field = segment.field(*number);
        for part in field.repetitions().flat_map(|it| it.components()) {
            group.push(Kind::Date, &format!("{}-{number}", segment.name()), &part.text());
        }
    }
    for number in fields(IDENTIFIERS) {
        for repetition in segment.field(*number).repetitions() {
            let first = repetition.component(1).subcomponent(1);
            group.push(Kind::Identifier, &format!("{}-{number}", segment.name()), &first.text());
        }
    }
    if segment.name() != "OBX" {
        groups[0].facts.append(&mut group.facts);
        return;
    }
    let code = segment.field(3);
    group.codes = code.components().map(|it| it.text().into_owned()).filter(|it| !it.is_empty()).collect();
    let declared = segment.field(2).text();
    let kind = if matches!(&*declared, "DT" | "DTM" | "TS") { Kind::Date } else { Kind::Value };
    // Of a coded value, the codes and their words: a system is named in each converter's own way.
    let is_said = |number: usize| !matches!(&*declared, "CE" | "CWE") || matches!(number, 1 | 2 | 4 | 5 | 9);
    for repetition in segment.field(5).repetitions() {
        for (_, part) in repetition.components().enumerate().filter(|(at, _)| is_said(at + 1)) {
            group.push(kind, "OBX-5", &part.text());
        }
    }
    group.push(Kind::Unit, "OBX-6", &segment.field(6).component(1).text());
    group.push(Kind::Value, "OBX-7", &segment.field(7).text());
    groups.push(group);
}

/// A peer's own table: a row for each result, and columns whose names say what they hold.
fn of_table(bytes: &[u8]) -> Vec<Group> {
    let table = csv::decode(bytes, None).unwrap();
    let mut groups = vec![Group::default()];
    for row in &table.rows {
        let cell = |name: &str| table.cell(row, name).unwrap_or_default();
        let mut result = Group { codes: vec![cell("test_performed_code").to_owned()], ..Group::default() };
        for column in &table.columns {
            match (column.as_str(), kind_of(column)) {
                ("test_result" | "test_result_units" | "reference_range", Some(kind)) => {
                    result.push(kind, column, cell(column));
                }
                (_, Some(kind)) => groups[0].push(kind, column, cell(column)),
                _ => {}
            }
        }
        groups.push(result);
    }
    groups
}

fn kind_of(column: &str) -> Option<Kind> {
    let ends = |endings: &[&str]| endings.iter().any(|it| column.ends_with(it));
    match column {
        "test_result" | "reference_range" => Some(Kind::Value),
        "test_result_units" => Some(Kind::Unit),
        "file_created_date" => None,
        "date_result_released" => Some(Kind::Date),
        _ if ends(&["_date", "_date_time", "_datetime", "_dob"]) => Some(Kind::Date),
        _ if ends(&["_id", "_clia", "accession_number"]) => Some(Kind::Identifier),
        _ => None,
    }
}
