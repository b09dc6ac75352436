//! A draft compiles, reads what it was drafted from, and marks what it guessed.

use haemosync_gateway::clinical::mapping::Status;
use haemosync_gateway::clinical::mapping::draft::Draft;
use haemosync_gateway::clinical::mapping::draft::Known;
use haemosync_gateway::clinical::mapping::draft::Sample;
use haemosync_gateway::clinical::mapping::draft::draft;
use haemosync_gateway::clinical::model::Report;
use haemosync_gateway::config::library::library;

const HL7: &str = "MSH|^~\\&|PATH|NORTH|||20260301090000||ORU^R01|C-1|P|2.4\rPID|1||9990000018^^^NHS^NH||Quillfeather^Ottoline||19800229|F\rOBR|1||F-1|FBC^Full blood count|||202603010830|||||||||||||||20260301085900||HM|F\rOBX|1|NM|HB^Haemoglobin||131|g/L|115-165||||F\rOBX|2|NM|XYZ^Something new||5|widgets|||||F\r";
const TABLE: &str = "NHS Number,Surname,DOB,Lab Number,Test Code,Test Name,Result,Units,Reference Range,Status\n9990000018,Quillfeather,29/02/1980,L-1,HB,Haemoglobin,131,g/L,115-165,F\n";
const JSON: &str = r#"{"vendor_order_id":"V-1","laboratory_order_id":"L-1","user":{"surname":"Quillfeather","dob":"1980/02/29","sex":"F"},"order_status":{"code":"results-available"},"results":[{"panel_code":"FBC","results":[{"code":"HB","name":"Haemoglobin","result":"131","units":"g/L","reference":"115-165"}]}]}"#;

fn drafted(message: &str) -> Draft {
    let files = library(None).unwrap();
    draft("north", &[Sample { bytes: message.as_bytes() }], Known { files: &files })
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn file<'d>(draft: &'d Draft, name: &str) -> &'d str {
    draft.files.get(name).map_or("", String::as_str)
}

#[test]
fn hl7_reads_what_it_knows_and_holds_the_rest() {
    let draft = drafted(HL7);
    let mapping = file(&draft, "mapping.toml");
    assert!(mapping.contains("PID-3[type=NH].1") && mapping.contains("map = { F = \"final\" }"), "{mapping}");
    assert!(!mapping.contains("NTE"), "nothing is read that was not seen");
    assert!(file(&draft, "codes.csv").contains("HB,718-7,Haemoglobin"), "{}", file(&draft, "codes.csv"));
    assert!(file(&draft, "codes.csv").contains("# XYZ,,"), "a code of no known meaning has no row");
    assert!(file(&draft, "units.csv").contains("# widgets,"));
    let reading = draft.mapping.read_bytes(HL7.as_bytes());
    assert_eq!(reading.status, Status::Held);
    let codes: Vec<&str> =
        reading.diagnostics.iter().filter(|it| it.is_error()).map(|it| it.code.as_str()).collect();
    assert!(codes.iter().all(|it| it.starts_with('T')), "{codes:?}");
    let known = HL7.replace("XYZ^Something new||5|widgets", "HB^Haemoglobin||132|g/L");
    assert_eq!(draft.mapping.read_bytes(known.as_bytes()).status, Status::Mapped);
}

#[test]
fn a_table_is_read_by_the_names_of_its_columns() {
    let draft = drafted(TABLE);
    let mapping = file(&draft, "mapping.toml");
    assert!(mapping.contains("format = \"DD/MM/YYYY\"") && mapping.contains("# guess:"), "{mapping}");
    let reading = draft.mapping.read_bytes(TABLE.as_bytes());
    assert_eq!(reading.status, Status::Mapped, "{:#?}\n{mapping}", reading.diagnostics);
    assert_eq!(reading.reports.first().map(|it| it.filler_number.as_str()), Some("L-1"));
}

#[test]
fn json_is_read_from_its_list_of_results() {
    let draft = drafted(JSON);
    let mapping = file(&draft, "mapping.toml");
    let reading = draft.mapping.read_bytes(JSON.as_bytes());
    assert_eq!(reading.status, Status::Mapped, "{:#?}\n{mapping}", reading.diagnostics);
    assert_eq!(reading.reports.iter().flat_map(Report::results).count(), 1);
}

#[test]
fn a_result_without_status_holds() {
    let draft = drafted(&TABLE.replace(",Status\n", ",Colour\n").replace(",F\n", ",red\n"));
    let reading = draft.mapping.read_bytes(TABLE.as_bytes());
    assert_eq!(reading.status, Status::Held);
    assert!(draft.questions.iter().any(|it| it.contains("final")), "{:?}", draft.questions);
}

#[test]
fn a_code_is_suggested_for_another_unit_of_the_same_property_and_for_no_other() {
    let powers = drafted(&HL7.replace("131|g/L|115-165", "13.1|g/dL|11.5-16.5"));
    assert!(file(&powers, "codes.csv").contains("HB,718-7,Haemoglobin"), "{}", file(&powers, "codes.csv"));
    let masses =
        drafted(&HL7.replace("HB^Haemoglobin||131|g/L|115-165", "CREA^Creatinine||1.1|mg/dL|0.6-1.2"));
    assert!(file(&masses, "codes.csv").contains("# CREA,,"), "{}", file(&masses, "codes.csv"));
}

#[test]
fn no_zone_is_guessed_where_times_have_offsets_of_another() {
    assert!(file(&drafted(HL7), "mapping.toml").contains("time_zone = \"Europe/London\""));
    let elsewhere = drafted(&HL7.replace("|20260301090000|", "|20260301090000-0700|"));
    let mapping = file(&elsewhere, "mapping.toml");
    assert!(!mapping.contains("\ntime_zone") && mapping.contains("`-0700`"), "{mapping}");
}
