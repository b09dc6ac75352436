//! Ten broken mappings, each with what a colleague is told of it; and the mappings we ship, of which nothing is told.
//!
//! The snapshots are what `gateway mapping check` prints. Read one before you accept a change of it.

#![expect(clippy::disallowed_methods, reason = "the command reads files that a test writes")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use haemosync_gateway::clinical::mapping::check::check;
use haemosync_gateway::config::library;
use haemosync_gateway::diagnostic::render;

const SOUND: &str = r#"schema = 1
lab    = "northlab"
format = "hl7v2"

[patient]
names = "PID-5"

[report]
filler_number = { first_of = ["OBR-3.1", "ORC-3.1"], required = true }

[panel]
code = "OBR-4"

[result]
for_each = "OBX"
code     = { from = "OBX-3", table = "codes.csv", unmapped = "hold" }
value    = { from = "OBX-5", type = "OBX-2" }
unit     = { from = "OBX-6", table = "units.csv", unmapped = "hold" }
range    = "OBX-7"
status   = { from = "OBX-11", map = { F = "final", C = "corrected" }, unmapped = "hold" }

[[ignore]]
path = "ZPD"
why  = "billing"
"#;
const CODES: &str = "# owner: Pathology IT\nsent,loinc,display\nK,2823-3,Potassium\nNA,2951-2,Sodium\n";
const UNITS: &str = "sent,ucum\nmmol/L,mmol/L\n";

fn told(changes: &[(&str, &str)], more: &[(&str, &str)]) -> String {
    let mut mapping = SOUND.to_owned();
    for (from, to) in changes {
        assert!(mapping.contains(from), "{from}");
        mapping = mapping.replacen(from, to, 1);
    }
    let mut files = BTreeMap::from([
        ("labs/northlab/mapping.toml".to_owned(), mapping),
        ("labs/northlab/codes.csv".to_owned(), CODES.to_owned()),
        ("labs/northlab/units.csv".to_owned(), UNITS.to_owned()),
    ]);
    files.extend(more.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    let checked = check(&files, &["northlab".to_owned()]).unwrap();
    let diagnostics = checked.iter().flat_map(|it| &it.diagnostics);
    diagnostics.map(|it| render::plain(it, "")).collect::<Vec<_>>().join("\n")
}

fn check_told(name: &str, changes: &[(&str, &str)], more: &[(&str, &str)]) {
    insta::assert_snapshot!(name, told(changes, more));
}

#[test]
fn of_a_sound_mapping_nothing_is_told() {
    assert_eq!(told(&[], &[]), "");
}

#[test]
fn names_mistyped() {
    let changes = [
        ("[patient]\nnames", "[pateint]\nnames"),
        ("table = \"codes.csv\"", "tabel = \"codes.csv\""),
        ("\"units.csv\"", "\"unit.csv\""),
        ("C = \"corrected\"", "C = \"correct\""),
    ];
    check_told("names_mistyped", &changes, &[]);
}

#[test]
fn a_gap_without_a_decision() {
    let changes = [("units.csv\", unmapped = \"hold\"", "units.csv\""), (", type = \"OBX-2\"", "")];
    check_told("gap_without_decision", &changes, &[]);
}

#[test]
fn paths_that_are_none_or_lead_nowhere() {
    let changes = [
        ("\"OBX-7\"", "\"OBX7\""),
        ("names = \"PID-5\"", "names = \"PID-5\"\nsex = { from = \"OBR-8\", table = \"sex\" }"),
        (
            "code = \"OBR-4\"",
            "code = { from = \"OBR-4\", fallback = [\"OBR-4\"] }\nclinical_information = \"OBX-5\"",
        ),
        ("path = \"ZPD\"", "path = [\"OBX\", \"OBX-6\"]"),
    ];
    check_told("paths_lead_nowhere", &changes, &[]);
}

#[test]
fn rows_that_are_unsound() {
    let codes = "sent,loinc,display\nK,2823-4,Potassium\nNA,2951-2,Sodium\nNA,2951-2,Sodium\n";
    let units = "sent,ucum,factor,from\nmg%,mg%,,\nfL,,,\ng/dL,g/L,ten,\numol/L,umol/L,,1.4.2026\n";
    check_told(
        "rows_unsound",
        &[],
        &[("labs/northlab/codes.csv", codes), ("labs/northlab/units.csv", units)],
    );
}

#[test]
fn rows_that_never_serve_or_mean_two_tests() {
    let codes = "sent,loinc,display\nK,2823-3,Potassium\nKP,2823-3,Phosphate\n";
    let more = "sent,loinc,display\nK,2951-2,Sodium\nKP,2823-3,Phosphate\n";
    let changes = [("\"codes.csv\"", "[\"codes.csv\", \"more.csv\"]")];
    let files = [
        ("labs/northlab/codes.csv", codes),
        ("labs/northlab/more.csv", more),
        ("labs/northlab/old.csv", more),
    ];
    check_told("rows_two_tests", &changes, &files);
}

#[test]
fn conditions_that_never_hold() {
    let units = "unit = [{ from = \"OBX-6\" }, { from = \"OBX-6.2\", when = [{ path = \"OBX-2\", is = \"NM\" }, { path = \"OBX-2\", exists = false }, { path = \"OBX-3\" }] }]\n#";
    check_told("conditions_never_hold", &[("unit     =", units)], &[]);
}

#[test]
fn transforms_that_are_none() {
    let changes = [
        (
            "table = \"codes.csv\"",
            "transform = [\"uper\", { split = \"^\" }, { strip_prefix = \"\" }, \"replace\"], table = \"codes.csv\"",
        ),
        ("map = { F", "transform = \"lower\", map = { F"),
        ("type = \"OBX-2\"", "type = \"OBX-2\", decimal = \"komma\""),
    ];
    check_told("transforms_none", &changes, &[]);
}

#[test]
fn blocks_that_lead_in_a_circle() {
    let block = |other: &str| format!("schema = 1\nformat = \"hl7v2\"\nextends = \"blocks/{other}\"\n");
    let (one, two) = (block("two"), block("one"));
    let fhir = "schema = 1\nformat = \"fhir\"\n[note]\ntext = \"text\"\n[nota]\n";
    let extends = "lab    = \"northlab\"\nextends = [\"blocks/one\", \"blocks/oen\", \"blocks/fhir\"]\n";
    let files =
        [("blocks/one.toml", one.as_str()), ("blocks/two.toml", two.as_str()), ("blocks/fhir.toml", fhir)];
    check_told("blocks_in_a_circle", &[("lab    = \"northlab\"\n", extends)], &files);
}

#[test]
fn tables_in_the_mapping_that_are_unsound() {
    let tables = "[tables.units]\nowner = \"Pathology IT\"\nrows = [\n  { sent = \"mmol/L\", ucum = \"mmol/L\" },\n  { sent = \"mmol/L\", ucum = \"mol/L\" },\n  { sent = \"U\", umuc = \"U\" },\n]\n\n[tables.spare]\nrows = [{ sent = \"K\", loinc = \"2823-3\", display = \"Potassium\" }]\n\n[[ignore]]";
    let changes = [("\"units.csv\"", "\"units\""), ("[[ignore]]", tables)];
    check_told("tables_unsound", &changes, &[]);
}

#[test]
fn a_file_that_is_not_toml() {
    check_told("not_toml", &[("range    = \"OBX-7\"", "range    = \"OBX-7")], &[]);
}

#[test]
fn constants_and_entries_that_nothing_reaches() {
    let changes = [
        ("unit     = { from = \"OBX-6\"", "unit     = { const = \"mmol\""),
        ("map = { F", "transform = \"upper\", map = { f = \"final\", F"),
    ];
    check_told("nothing_reaches", &changes, &[]);
}

#[test]
fn of_the_mappings_we_ship_nothing_is_told() {
    let checked = check(&library::library(None).unwrap(), &[]).unwrap();
    let told: String =
        checked.iter().flat_map(|it| &it.diagnostics).map(|it| render::plain(it, "")).collect();
    assert!(told.is_empty(), "{told}");
    assert_eq!(checked.last().unwrap().name, "cliniko");
}

#[test]
fn a_name_that_no_mapping_has_is_told() {
    let problems = check(&library::library(None).unwrap(), &["inuvy".to_owned()]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].help.contains("did you mean `inuvi`?"));
}

#[test]
fn the_command_says_by_its_exit_status_whether_all_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("labs/northlab");
    fs::create_dir_all(&own).unwrap();
    let run = |mapping: &str, more: &[&str]| {
        for (name, text) in [("mapping.toml", mapping), ("codes.csv", CODES), ("units.csv", UNITS)] {
            fs::write(own.join(name), text).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.args(["mapping", "check", "northlab", "--format", "json", "--mappings"]).arg(folder.path());
        let output = command.args(more).output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let document: serde_json::Value = serde_json::from_str(lines.trim()).expect("one line, one document");
        (output.status.code(), document["diagnostics"].as_array().unwrap().len())
    };
    let warned = SOUND.replace("code = \"OBR-4\"", "code = \"OBR-4\"\nclinical_information = \"OBX-5\"");
    let broken = SOUND.replace("[patient]", "[pateint]");
    assert_eq!(run(SOUND, &["--strict"]), (Some(0), 0));
    assert_eq!(run(&warned, &[]), (Some(0), 1));
    assert_eq!(run(&warned, &["--strict"]), (Some(1), 1));
    assert_eq!(run(&broken, &[]), (Some(2), 1));
}
