//! Where values came from, one message at a time.

use std::collections::BTreeMap;

use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::Outcome;
use crate::clinical::mapping::inbound::trace::How;
use crate::clinical::mapping::inbound::trace::Origin;
use crate::clinical::mapping::inbound::trace::Trace;

const MAPPING: &str = r#"
schema = 1
lab    = "oak"
format = "hl7v2"
[patient]
nhs_number  = { from = "PID-3[type=NH].1", check = "nhs-number" }
identifiers = "PID-3"
names       = "PID-5"
birth_date  = { from = "PID-7", as = "date" }
sex         = { from = "PID-8", table = "sex" }
[report]
filler_number = { first_of = ["OBR-3.1", "ORC-3.1"], required = true }
time_zone     = "Europe/London"
[panel]
code      = "OBR-4"
requester = "OBR-16"
[result]
for_each = "OBX"
code     = { from = "OBX-3", table = "codes.csv", unmapped = "keep" }
value    = { from = "OBX-5", type = "OBX-2" }
unit     = { from = "OBX-6", table = "units.csv", unmapped = "hold" }
range    = { from = "OBX-7" }
status   = { from = "OBX-11", map = { F = "final", C = "corrected" }, unmapped = "hold" }
performing_lab = { const = "Oak House" }
[note]
text = "NTE-3"
[[ignore]]
path = "ZPD"
why  = "billing"
"#;

const MESSAGE: &str = "MSH|^~\\&|OAK|LAB|||20260316||ORU^R01|C-1|P|2.5.1\r\
    PID|1||9990004196^^^NHS^NH~PX17^^^CLINIC^PI~PX18^^^CLINIC^PI||QUILL^OTTO^^^DR||19790314|F|||||MOON\r\
    OBR|1||A-1|FBC^Blood count^L||||||||||||177^BANKS^WILHELMINA\r\
    OBX|1|NM|HB^Haemoglobin^L||135|g/L|120-150||||F\r\
    OBX|2|SN|K^Potassium^L||<^4.0|mmol/L|3.5-5.3||||C\r\
    NTE|1||Haemolysed\r\
    ZPD|1|A\r";

fn trace(mapping: &str, message: &str) -> Trace {
    let files = BTreeMap::from(
        [
            ("labs/oak/mapping.toml", mapping),
            ("labs/oak/codes.csv", "sent,loinc,display\nK,2823-3,Potassium in serum\nHB,718-7,Haemoglobin\n"),
            ("labs/oak/units.csv", "sent,ucum\nmmol/L,mmol/L\ng/L,g/L\n"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned())),
    );
    Catalog::compile(&files).expect("the mapping compiles").lab("oak").unwrap().trace(message.as_bytes())
}

/// A report of two results, for whoever follows it further.
pub(super) fn standard() -> Trace {
    trace(MAPPING, MESSAGE)
}

fn origin<'t>(trace: &'t Trace, path: &str) -> &'t Origin {
    let path = format!("reports[0].{path}");
    trace.origins.iter().find(|it| it.path == path).unwrap_or_else(|| panic!("there is no {path}"))
}

fn places<'t>(trace: &'t Trace, path: &str) -> Vec<&'t str> {
    let from = &origin(trace, path).from;
    from.iter().map(|at| trace.source.leaves[*at].place.as_str()).collect()
}

#[test]
fn a_value_has_the_component_it_stands_in_and_the_bytes() {
    let trace = standard();
    assert_eq!(places(&trace, "patient.names[0].family"), ["PID[1]-5.1"]);
    assert_eq!(places(&trace, "patient.names[0].prefix[0]"), ["PID[1]-5.5"]);
    assert_eq!(places(&trace, "panels[0].results[1].value.number"), ["OBX[2]-5.2"]);
    assert_eq!(places(&trace, "panels[0].results[1].code.codings[1].display"), ["OBX[2]-3.2"]);
    assert_eq!(places(&trace, "panels[0].results[1].notes[0].text"), ["NTE[1]-3"]);
    assert_eq!(places(&trace, "filler_number"), ["OBR[1]-3"]);
    assert_eq!(places(&trace, "origin.control_id"), ["MSH-10"]);
    for origin in &trace.origins {
        for leaf in origin.from.iter().map(|at| &trace.source.leaves[*at]) {
            let bytes = leaf.bytes.clone().expect("HL7 v2 keeps places");
            assert!(MESSAGE[bytes.clone()].contains(&leaf.text) || leaf.place == "MSH-1", "{}", leaf.place);
            assert_eq!(leaf.line, Some(MESSAGE[..bytes.start].matches('\r').count() + 1));
        }
    }
}

#[test]
fn rows_entries_and_constants_are_named() {
    let trace = standard();
    let result = "panels[0].results[1]";
    let How::Row { line: 2, sent, target, .. } =
        &origin(&trace, &format!("{result}.code.codings[0].code")).how
    else {
        panic!("a row of the table")
    };
    assert_eq!((sent.as_str(), target.as_str()), ("K", "2823-3"));
    assert_eq!(places(&trace, &format!("{result}.code.codings[0].display")), ["OBX[2]-3.1"]);
    let unit = origin(&trace, &format!("{result}.unit.ucum"));
    assert!(matches!(&unit.how, How::Row { file, .. } if file.ends_with("labs/oak/units.csv")));
    assert_eq!(origin(&trace, &format!("{result}.unit.sent")).how, How::AsSent);
    let status = &origin(&trace, &format!("{result}.status")).how;
    assert_eq!(*status, How::Entry { from: "C".to_owned(), to: "corrected".to_owned() });
    assert_eq!(origin(&trace, &format!("{result}.performing_lab")).how, How::Constant);
}

#[test]
fn alike_items_of_a_list_come_each_from_its_own_repetition() {
    let trace = standard();
    assert_eq!(places(&trace, "patient.identifiers[0].value"), ["PID[1]-3.1"]);
    assert_eq!(places(&trace, "patient.identifiers[1].type_code"), ["PID[1]-3[2].5"]);
    assert_eq!(places(&trace, "patient.identifiers[2].type_code"), ["PID[1]-3[3].5"]);
}

#[test]
fn what_is_made_of_several_values_says_so() {
    let trace = standard();
    let requester = origin(&trace, "panels[0].requester");
    assert_eq!((requester.text.as_str(), &requester.how), ("WILHELMINA BANKS", &How::Part));
    assert_eq!(places(&trace, "panels[0].requester"), ["OBR[1]-16.2", "OBR[1]-16.3"]);
    let kind = origin(&trace, "panels[0].results[1].value.kind");
    assert!(matches!(kind.how, How::Derived(_)));
    assert!(places(&trace, "panels[0].results[1].value.kind").contains(&"OBX[2]-2"));
    assert!(trace.origins.iter().all(|origin| origin.how != How::Unknown));
}

#[test]
fn a_field_leads_forward_to_its_values_or_to_what_became_of_it() {
    let trace = standard();
    let leaf = |place: &str| trace.source.leaves.iter().position(|it| it.place == place).unwrap();
    let values: Vec<&str> =
        trace.values[leaf("OBX[1]-6")].iter().map(|at| trace.origins[*at].path.as_str()).collect();
    let unit = "reports[0].panels[0].results[0].unit";
    assert!(values.contains(&format!("{unit}.sent").as_str()), "{values:?}");
    assert!(values.contains(&format!("{unit}.ucum").as_str()), "{values:?}");
    let outcome = |place: &str| trace.outcome(&trace.source.leaves[leaf(place)]);
    assert_eq!(outcome("ZPD[1]-2"), Outcome::Ignored(0));
    assert_eq!(outcome("PID[1]-13"), Outcome::Unaccounted);
    assert_eq!(outcome("OBX[1]-6"), Outcome::Used);
    assert_eq!(trace.readers[leaf("OBX[1]-6")].len(), 1);
}

#[test]
fn the_pieces_are_the_message_again() {
    let text: String = standard().source.pieces.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(text, MESSAGE.replace('\r', "\n"));
}

#[test]
fn a_document_has_its_places_too() {
    let mapping = r#"
schema = 1
lab    = "oak"
format = "json"
[patient]
family = "/who"
[report]
filler_number = { from = "/number", required = true }
[result]
for_each = "/results"
code   = { from = "code", table = "codes.csv", unmapped = "hold" }
value  = { from = "value", unmapped = "keep" }
unit   = { from = "unit", table = "units.csv", unmapped = "hold" }
status = { const = "final" }
"#;
    let message = r#"{ "who": "Quill", "number": "A-1",
  "results": [ {"code": "HB", "value": 5.10, "unit": "g/L", "more": null} ] }"#;
    let trace = trace(mapping, message);
    let number = origin(&trace, "panels[0].results[0].value.number");
    let leaf = &trace.source.leaves[number.from[0]];
    assert_eq!((leaf.place.as_str(), &message[leaf.bytes.clone().unwrap()]), ("/results/0/value", "5.10"));
    assert_eq!(leaf.line, Some(2));
    let text: String = trace.source.pieces.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(text, message);
    assert!(trace.origins.iter().all(|it| it.how != How::Unknown));
}

#[test]
fn of_alternatives_the_one_that_served_is_named() {
    let unit = r#"unit     = { from = "OBX-6", table = "units.csv", unmapped = "hold" }"#;
    let alternatives = r#"unit = [
    { from = "OBX-6", when = { path = "OBX-3.1", is = "ALB" }, table = { "g/L" = "mg/L" }, unmapped = "keep" },
    { from = "OBX-6", table = "units.csv", unmapped = "hold" },
]"#;
    assert!(MAPPING.contains(unit));
    let trace = trace(&MAPPING.replace(unit, alternatives), MESSAGE);
    let unit = "panels[0].results[1].unit";
    assert_eq!(origin(&trace, &format!("{unit}.sent")).how, How::AsSent);
    assert_eq!(places(&trace, &format!("{unit}.sent")), ["OBX[2]-6"]);
    assert!(matches!(&origin(&trace, &format!("{unit}.ucum")).how, How::Row { .. }));
}
