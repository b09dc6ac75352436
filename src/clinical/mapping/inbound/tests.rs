//! The rules of reading, one message at a time, by the mapping of `design.md` §4 and small variations of it.

use std::collections::BTreeMap;

use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::Outcome;
use crate::clinical::mapping::Reading;
use crate::clinical::mapping::Status;
use crate::clinical::model::Value;
use crate::formats::hl7v2;

const MAPPING: &str = r#"
schema = 1
lab    = "oak"
format = "hl7v2"
[patient]
nhs_number = { from = "PID-3[type=NH].1", check = "nhs-number" }
family     = "PID-5.1"
birth_date = { from = "PID-7", as = "date" }
sex        = { from = "PID-8", table = "sex" }
[report]
filler_number = { first_of = ["OBR-3.1", "ORC-3.1"], required = true }
order_number  = { first_of = ["OBR-2.1", "ORC-2.1"] }
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
status   = { from = "OBX-11", map = { F = "final", C = "corrected", P = "preliminary", X = "cancelled" }, unmapped = "hold" }
[specimen]
placer_number = "SPM-2.1"
[note]
text = "NTE-3"
[[ignore]]
path = "ZPD"
why  = "billing"
"#;

fn read_by(mapping: &str, segments: &[&str]) -> Reading {
    let files = BTreeMap::from(
        [
            ("labs/oak/mapping.toml", mapping),
            ("labs/oak/codes.csv", "sent,loinc,display\nK,2823-3,Potassium\nHB,718-7,Haemoglobin\n"),
            ("labs/oak/units.csv", "sent,ucum\nmmol/L,mmol/L\ng/L,g/L\n"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned())),
    );
    let catalog = Catalog::compile(&files).expect("the mapping compiles");
    let text = format!("MSH|^~\\&|OAK|LAB|||20260316||ORU^R01|1|P|2.5.1\r{}\r", segments.join("\r"));
    catalog.lab("oak").unwrap().read_decoded(&hl7v2::decode(text.as_bytes()))
}

fn read(segments: &[&str]) -> Reading {
    read_by(MAPPING, segments)
}

fn codes(reading: &Reading) -> Vec<(&str, &str)> {
    reading.diagnostics.iter().map(|it| (it.code.as_str(), it.position.as_str())).collect()
}

/// Reads one result and gives its value as sent, its kind, and whether it is interpreted.
fn value(obx: &str) -> (String, &'static str, bool) {
    let reading = read(&["PID|1", "OBR|1||F1", obx]);
    let result = reading.reports[0].results().next().unwrap().clone();
    let kind = match &result.value {
        Value::Absent { .. } => "absent",
        Value::Attachment { .. } => "attachment",
        Value::Coded { .. } => "coded",
        Value::Moment { .. } => "moment",
        Value::Quantity { .. } => "quantity",
        Value::Range { .. } => "range",
        Value::Ratio { .. } => "ratio",
        Value::Text { .. } => "text",
    };
    (result.value.as_sent().to_owned(), kind, !result.not_interpreted)
}

#[test]
fn values_are_read_by_their_type_and_kept_as_sent() {
    for (obx, sent, kind, interpreted) in [
        ("OBX|1|NM|K||5.10||||||F", "5.10", "quantity", true),
        ("OBX|1|NM|K||<0.01||||||F", "<0.01", "quantity", true),
        ("OBX|1|NM|K||5.0*||||||F", "5.0*", "text", false),
        ("OBX|1|NM|K||5,1||||||F", "5,1", "text", false),
        ("OBX|1|NM|K||37.0~37.1||||||F", "37.0\n37.1", "text", false),
        ("OBX|1|SN|K||>^90||||||F", ">90", "quantity", true),
        ("OBX|1|SN|K||^1^:^128||||||F", "1:128", "ratio", true),
        ("OBX|1|SN|K||^5^-^10||||||F", "5-10", "range", true),
        ("OBX|1|SN|K||^3^+||||||F", "3+", "text", false),
        ("OBX|1|SN|K||<>^3||||||F", "<>3", "text", false),
        ("OBX|1|ST|K||5.1||||||F", "5.1", "text", true),
        ("OBX|1|TX|K||one~two||||||F", "one\ntwo", "text", true),
        ("OBX|1|CWE|K||260373001^Detected^SCT||||||F", "Detected", "coded", true),
        ("OBX|1|DT|K||20260301||||||F", "20260301", "moment", true),
        ("OBX|1|TM|K||0930||||||F", "0930", "text", true),
        ("OBX|1|TS|K||19651312||||||F", "19651312", "text", false),
        ("OBX|1|NR|K||1^2||||||F", "1-2", "range", true),
        ("OBX|1||K||5.1||||||F", "5.1", "text", false),
        ("OBX|1|XPN|K||A^B||||||F", "A^B", "text", false),
        ("OBX|1|NM|K||||||||X", "", "absent", true),
        ("OBX|1|ED|K||^AP^PDF^Base64^JVBERi0lJUVPRg==||||||F", "", "attachment", true),
        ("OBX|1|ED|K||^AP^PDF^Base64^JVBERi0||||||F", "", "absent", false),
    ] {
        assert_eq!(value(obx), (sent.to_owned(), kind, interpreted), "{obx}");
    }
}

#[test]
fn the_hour_that_happened_twice_holds_and_its_neighbours_do_not() {
    for (at, iso, told) in [
        ("20251026013000", "2025-10-26", &[("M119", "OBR[1]-7")][..]),
        ("20260329013000", "2026-03-29", &[("M120", "OBR[1]-7")]),
        ("20251026003000", "2025-10-26T00:30:00+01:00", &[]),
        ("20251026020000", "2025-10-26T02:00:00+00:00", &[]),
        ("20251026013000+0100", "2025-10-26T01:30:00+01:00", &[]),
    ] {
        let reading = read(&["PID|1", &format!("OBR|1||F1|P|||{at}"), "OBX|1|NM|K||5||||||F"]);
        assert_eq!(codes(&reading), told, "{at}");
        assert_eq!(reading.reports[0].panels[0].collected_at.as_ref().unwrap().iso, iso);
    }
}

#[test]
fn panels_of_one_filler_number_are_one_report_and_others_are_others() {
    let obx = "OBX|1|NM|K||5||||||F";
    let reading = read(&[
        "PID|1",
        "OBR|1||A",
        obx,
        "OBR|2||B",
        obx,
        "ORC|RE||A",
        "OBR|3",
        obx,
        "PID|2",
        "OBR|1||A",
        obx,
    ]);
    let shape: Vec<_> =
        reading.reports.iter().map(|it| (it.filler_number.as_str(), it.panels.len())).collect();
    assert_eq!(shape, [("A", 2), ("B", 1), ("A", 1)]);
    let grouped = MAPPING.replace("[report]", "[report]\ngroup_by = \"message\"");
    let reading = read_by(&grouped, &["PID|1", "OBR|1||A", obx, "OBR|2||B", obx]);
    assert_eq!(reading.reports.len(), 1);
}

#[test]
fn a_gap_holds_where_the_mapping_holds_and_what_was_read_stays() {
    let reading =
        read(&["PID|1", "OBR|1||F1", "OBX|1|NM|QQ||5|mg%|||||F", "OBX|2|NM|K||5||||||Z", "OBX|3|NM|K||5"]);
    assert_eq!(
        codes(&reading),
        [("T010", "OBX[1]-3"), ("T014", "OBX[1]-6"), ("M111", "OBX[2]-11"), ("M110", "OBX[3]-11")]
    );
    assert_eq!((reading.status, reading.reports[0].results().count()), (Status::Held, 3));
    let span = reading.diagnostics[1].span.as_ref().unwrap();
    assert_eq!(
        (span.file.as_str(), span.text.contains("units.csv")),
        ("mappings/labs/oak/mapping.toml", true)
    );
    assert!(reading.diagnostics[1].help.contains("`mg%,<UCUM>` to mappings/labs/oak/units.csv"));
    let rejecting =
        MAPPING.replace("\"units.csv\", unmapped = \"hold\"", "\"units.csv\", unmapped = \"reject\"");
    let reading = read_by(&rejecting, &["PID|1", "OBR|1||F1", "OBX|1|NM|K||5|mg%|||||F"]);
    assert_eq!((reading.status, reading.reports.len()), (Status::Rejected, 0));
}

#[test]
fn the_ledger_holds_what_may_matter_and_tells_the_rest() {
    let obx = "OBX|1|NM|K||5||||||F";
    let of = |segments: &[&str]| {
        codes(&read(segments)).iter().map(|(code, at)| format!("{code} {at}")).collect::<Vec<_>>()
    };
    assert_eq!(of(&["PID|1", "OBR|1||F1", &format!("{obx}|||||||ANALYSER")]), ["M106 OBX[1]-18"]);
    assert_eq!(of(&["PID|1", "OBR|1||F1", obx, "ZXX|1", "NTE|1||text"]), ["M108 ZXX[1]"]);
    assert_eq!(of(&["PID|1", "OBR|1||F1", obx, "ZPD|1", "NTE|1||text"]), Vec::<String>::new());
    assert_eq!(of(&["PID|1", "ZXX|1", "OBR|1||F1", obx]), ["M107 ZXX[1]-1"]);
    assert_eq!(of(&["PID|1", "PV1|1|O", "OBR|1||F1", obx]), ["M107 PV1[1]-1"]);
    let reading = read(&["PID|1", "OBR|1||F1", obx, "ZPD|1"]);
    assert_eq!(reading.ledger.entries.last().unwrap().outcome, Outcome::Ignored(0));
}

#[test]
fn notes_belong_to_what_they_follow_with_their_lines() {
    let reading = read(&[
        "PID|1",
        "NTE|1||of the patient",
        "ORC|RE",
        "NTE|1||of the order",
        "OBR|1||F1",
        "NTE|1||of the panel",
        "OBX|1|NM|K||5||||||F",
        "NTE|1||one\\.br\\two~three",
        "SPM|1|KIT1",
        "NTE|1||of the specimen",
    ]);
    let report = &reading.reports[0];
    assert_eq!(report.notes[0].text, "of the patient");
    let panel: Vec<_> = report.panels[0].notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(panel, ["of the order", "of the panel"]);
    assert_eq!(report.panels[0].results[0].notes[0].text, "one\ntwo\nthree");
    assert_eq!(report.specimens[0].notes[0].text, "of the specimen");
    assert_eq!(report.panels[0].results[0].specimen, Some(0));
}

#[test]
fn an_invalid_nhs_number_is_kept_told_and_not_one() {
    let reading = read(&["PID|1||3333333333^^^NHS^NH||QUILLFEATHER", "OBR|1||F1", "OBX|1|NM|K||5||||||F"]);
    assert_eq!(codes(&reading), [("T030", "PID[1]-3.1")]);
    assert_eq!((reading.reports[0].patient.nhs_number(), reading.status), (None, Status::Mapped));
}

#[test]
fn a_message_that_is_not_whole_is_held_with_its_reason() {
    let obx = "OBX|1|NM|K||5||||||F";
    for (segments, code) in [
        (vec!["PID|1", obx], "M104"),
        (vec!["OBR|1||F1", obx], "M102"),
        (vec!["PID|1"], "M103"),
        (vec!["PID|1", "OBR|1", obx], "M105"),
        (vec!["PID|1", "OBR|1||F1", "not a segment"], "H003"),
    ] {
        let reading = read(&segments);
        assert_eq!(reading.status, Status::Held, "{segments:?}");
        assert!(codes(&reading).iter().any(|(found, _)| *found == code), "{segments:?}");
    }
    let blank = hl7v2::decode(b"MSH|^~\\&|OAK|LAB|||20260316||ORU^R01|1||2.5.1\rPID|1\rOBR|1||F1\r");
    let files = BTreeMap::from([("labs/oak/mapping.toml".to_owned(), MAPPING.to_owned())]);
    assert!(Catalog::compile(&files).is_err(), "its tables are missing");
    assert!(blank.message.is_some());
}

#[test]
fn a_result_that_lost_its_line_break_is_not_missed() {
    let told = |segments: &[&str]| {
        let reading = read(segments);
        let told = codes(&reading).into_iter().find(|it| it.0 == "M149").map(|it| it.1.to_owned());
        (reading.status, told)
    };
    let order = format!("OBR|1||A-1|FBC^Blood count{}", "|".repeat(21));
    for before in ["F", ""] {
        let swallowing = format!("{order}{before}OBX|1|NM|K^Potassium||7.1|mmol/L|3.5-5.3|H|||F");
        let found = told(&["PID|1", &swallowing, "OBX|2|NM|HB^Haemoglobin||135|g/L|||||F"]);
        assert_eq!(found, (Status::Held, Some("OBR[1]-25".to_owned())));
    }
    let words = "OBX|1|ST|K^Potassium||see OBX|mmol/L|||||F";
    assert_eq!(told(&["PID|1", "OBR|1||A-1|FBC^Blood count", words]).1, None);
}

#[test]
fn a_report_that_says_nothing_is_told_unless_its_status_says_why() {
    let with_status = MAPPING.replace(
        "collected_at = \"OBR-7\"",
        "collected_at = \"OBR-7\"\nstatus = { from = \"OBR-25\", map = { F = \"final\", X = \"cancelled\" }, unmapped = \"keep\" }",
    );
    for (status, told) in [("F", true), ("X", false)] {
        let order = format!("OBR|1||A-1|FBC^Blood count{}{status}", "|".repeat(21));
        let reading = read_by(&with_status, &["PID|1", &order]);
        assert_eq!(codes(&reading).contains(&("M148", "OBR[1]")), told, "{:?}", codes(&reading));
    }
}

#[test]
fn a_status_that_the_sender_does_not_know_is_told() {
    let unknown = MAPPING.replace("X = \"cancelled\" }", "X = \"cancelled\", \"?\" = \"unknown\" }");
    let order = "OBR|1||A-1|FBC^Blood count";
    let reading = read_by(&unknown, &["PID|1", order, "OBX|1|NM|K^Potassium||4.1|mmol/L|||||?"]);
    assert_eq!((reading.status, codes(&reading)), (Status::Mapped, vec![("M147", "OBX[1]")]));
}
