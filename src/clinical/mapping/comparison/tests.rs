//! Two mappings over one message, and what changes by it.

use std::collections::BTreeMap;

use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::Reading;
use crate::clinical::mapping::comparison::Difference;
use crate::clinical::mapping::comparison::Kind;
use crate::clinical::mapping::comparison::Summary;
use crate::clinical::mapping::comparison::compare;
use crate::clinical::mapping::comparison::compare_readings;
use crate::formats::hl7v2;

const MAPPING: &str = r#"
schema = 1
lab    = "oak"
format = "hl7v2"
[patient]
nhs_number = { from = "PID-3[type=NH].1", check = "nhs-number" }
family     = "PID-5.1"
[report]
filler_number = { first_of = ["OBR-3.1", "ORC-3.1"], required = true }
order_number  = "OBR-2.1"
time_zone     = "Europe/London"
[panel]
code = "OBR-4"
collected_at = "OBR-7"
[result]
for_each = "OBX"
code     = { from = "OBX-3", table = "codes.csv", unmapped = "hold" }
value    = { from = "OBX-5", type = "OBX-2" }
unit     = { from = "OBX-6", table = "units.csv", unmapped = "hold" }
range    = { from = "OBX-7" }
flags    = "OBX-8"
status   = { from = "OBX-11", map = { F = "final", C = "corrected", P = "preliminary" }, unmapped = "hold" }
[note]
text = "NTE-3"
"#;

const MESSAGE: [&str; 7] = [
    "PID|1||9434765919^^^NHS^NH||Quillfeather^Ottoline",
    "OBR|1|A1|F1|FBC|||202603160930",
    "OBX|1|NM|HB||141|g/L|130-170|N|||F",
    "NTE|1||Thistledown",
    "OBR|2|A1|F2|UE|||202603160930",
    "OBX|2|NM|K||5.1|mmol/L|3.5-5.3|H|||C",
    "OBX|3|ST|NA||see note||||||F",
];

/// The mapping and its tables with some texts put for others.
fn read(changes: &[(&str, &str)], message: &[&str]) -> Reading {
    let files = [
        ("labs/oak/mapping.toml", MAPPING),
        (
            "labs/oak/codes.csv",
            "sent,loinc,display\nHB,718-7,Haemoglobin\nK,2823-3,Potassium\nNA,2951-2,Sodium\n",
        ),
        ("labs/oak/units.csv", "sent,ucum\nmmol/L,mmol/L\ng/L,g/L\n"),
    ];
    let with_changes =
        |text: &str| changes.iter().fold(text.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
    let files = BTreeMap::from(files.map(|(name, text)| (name.to_owned(), with_changes(text))));
    let catalog = Catalog::compile(&files).expect("the mapping compiles");
    let text = format!("MSH|^~\\&|OAK|LAB|||20260316||ORU^R01|1|P|2.5.1\r{}\r", message.join("\r"));
    catalog.lab("oak").unwrap().read_decoded(&hl7v2::decode(text.as_bytes()))
}

fn differences(changes: &[(&str, &str)]) -> Vec<Difference> {
    compare_readings(&read(&[], &MESSAGE), &read(changes, &MESSAGE))
}

/// Kind, field, place, test, and both values.
fn told(changes: &[(&str, &str)]) -> Vec<String> {
    let side = |it: &Option<crate::clinical::model::Sensitive<String>>| {
        it.as_ref().map_or("-".to_owned(), |it| it.expose().clone())
    };
    differences(changes)
        .iter()
        .map(|it| {
            let (kind, test) = (it.kind.as_str(), it.test.as_deref().unwrap_or("-"));
            format!("{kind} {} {} [{test}] {} -> {}", it.field, it.at, side(&it.old), side(&it.new))
        })
        .collect()
}

#[test]
fn a_mapping_that_only_has_another_digest_changes_nothing() {
    assert_eq!(told(&[("time_zone", "# a comment\ntime_zone")]), [""; 0]);
}

#[test]
fn each_clinical_field_is_told_as_what_it_is() {
    assert_eq!(
        told(&[("mmol/L,mmol/L", "mmol/L,mol/L")]),
        ["unit result.unit OBX[2] [2823-3 Potassium] mmol/L -> mmol/L (UCUM mol/L)"]
    );
    assert_eq!(
        told(&[("C = \"corrected\"", "C = \"final\"")]),
        ["status result.status OBX[2] [2823-3 Potassium] corrected -> final"]
    );
    assert_eq!(
        told(&[("K,2823-3,Potassium", "K,2951-2,Sodium")]),
        ["code result.code OBX[2] [2823-3 Potassium] 2823-3 Potassium LOINC | K -> 2951-2 Sodium LOINC | K"]
    );
    assert_eq!(
        told(&[("type = \"OBX-2\"", "type = \"ST\"")]),
        [
            "standing message  [-] mapped -> held: M106",
            "value result.value OBX[1] [718-7 Haemoglobin] 141 -> \"141\"",
            "value result.value OBX[2] [2823-3 Potassium] 5.1 -> \"5.1\""
        ]
    );
    assert_eq!(
        told(&[("Europe/London", "Europe/Paris")]),
        [
            "time panel.collected_at OBR[1] [FBC] 2026-03-16T09:30:00+00:00 (sent 202603160930) -> 2026-03-16T09:30:00+01:00 (sent 202603160930)",
            "time panel.collected_at OBR[2] [UE] 2026-03-16T09:30:00+00:00 (sent 202603160930) -> 2026-03-16T09:30:00+01:00 (sent 202603160930)"
        ]
    );
}

#[test]
fn a_message_that_would_be_held_says_by_what() {
    let found = told(&[("K,2823-3,Potassium\n", "")]);
    assert_eq!(found[0], "standing message  [-] mapped -> held: T010");
    assert!(found.contains(
        &"interpretation result OBX[2] [2823-3 Potassium] interpreted -> not interpreted".to_owned()
    ));
}

#[test]
fn a_rejected_message_is_told_once_and_not_for_each_result() {
    let found = told(&[("K,2823-3,Potassium\n", ""), ("unmapped = \"hold\"", "unmapped = \"reject\"")]);
    assert_eq!(found, ["standing message  [-] mapped -> rejected: T010"]);
}

#[test]
fn another_grouping_moves_no_result() {
    let found = told(&[("[report]", "[report]\ngroup_by = \"message\"")]);
    assert_eq!(found, ["report report OBR[2] [-] there -> -"]);
    let back = compare(
        &read(&[("[report]", "[report]\ngroup_by = \"message\"")], &MESSAGE).reports,
        &read(&[], &MESSAGE).reports,
    );
    assert_eq!(
        back.iter().map(|it| (it.kind, it.at.as_str())).collect::<Vec<_>>(),
        [(Kind::Report, "OBR[2]")]
    );
}

#[test]
fn who_the_patient_is_differs_without_being_shown() {
    let found = differences(&[("PID-5.1", "PID-5.2"), ("NTE-3", "NTE-4"), ("\"OBR-2.1\"", "\"OBR-3.1\"")]);
    let kinds: std::collections::BTreeSet<_> = found.iter().map(|it| (it.kind, it.is_private)).collect();
    for kind in [Kind::Identity, Kind::Notes, Kind::Number] {
        assert!(kinds.contains(&(kind, true)), "{kind:?} of {kinds:?}");
    }
    assert!(!format!("{found:?}").contains("Quillfeather"), "debugging shows no name");
}

#[test]
fn a_summary_counts_by_kind_field_and_test_and_keeps_the_first() {
    let mut summary = Summary::default();
    for message in ["a", "b"] {
        summary.add(differences(&[("F = \"final\"", "F = \"amended\"")]), || message.to_owned());
    }
    summary.add(Vec::new(), || unreachable!("a message that is read alike needs no name"));
    assert_eq!((summary.messages, summary.differing, summary.clinically), (3, 2, 2));
    let groups: Vec<_> = summary
        .groups()
        .into_iter()
        .map(|it| {
            (it.test.as_deref().unwrap(), it.count, it.example.message.as_str(), it.example.at.as_str())
        })
        .collect();
    assert_eq!(groups, [("2951-2 Sodium", 2, "a", "OBX[3]"), ("718-7 Haemoglobin", 2, "a", "OBX[1]")]);
}
