//! Mappings that compile, and everything that is told of those that do not.

use std::collections::BTreeMap;

use crate::clinical::mapping::Catalog;
use crate::diagnostic::Diagnostic;

/// The example of `design.md` §4, letter by letter.
const DESIGN: &str = r#"# mappings/labs/inuvi/mapping.toml
schema = 1
lab    = "inuvi"
format = "hl7v2"                     # hl7v2 | hl7v2-xml | fhir | csv | json

[patient]
nhs_number = { from = "PID-3[type=NH].1", check = "nhs-number" }
family     = "PID-5.1"
birth_date = { from = "PID-7", as = "date" }
sex        = { from = "PID-8", table = "sex" }

[report]
filler_number = { first_of = ["OBR-3.1", "ORC-3.1"], required = true }
order_number  = { first_of = ["OBR-2.1", "ORC-2.1"] }
time_zone     = "Europe/London"      # for times sent without an offset; an hour that occurs twice holds

[result]
for_each = "OBX"
code     = { from = "OBX-3", table = "codes.csv", unmapped = "hold" }
value    = { from = "OBX-5", type = "OBX-2" }
unit     = { from = "OBX-6", table = "units.csv", unmapped = "hold" }
range    = { from = "OBX-7" }        # the range sent with the result is the one shown; never replaced by ours
status   = { from = "OBX-11", map = { F = "final", C = "corrected", P = "preliminary" }, unmapped = "hold" }

[[ignore]]
path = "ZPD"
why  = "the lab's billing segment"
"#;

fn compile(mapping: &str) -> Result<Catalog, Vec<Diagnostic>> {
    let files = [
        ("labs/inuvi/mapping.toml", mapping),
        ("labs/inuvi/codes.csv", "sent,loinc,display\nK,2823-3,Potassium\n"),
        ("labs/inuvi/units.csv", "sent,ucum\nmmol/L,mmol/L\n"),
    ];
    Catalog::compile(&BTreeMap::from(files.map(|(name, text)| (name.to_owned(), text.to_owned()))))
}

/// Changes the example in one place, and gives what is told: code, line, marked text.
fn told(from: &str, to: &str) -> Vec<(String, usize, String)> {
    assert!(DESIGN.contains(from), "{from}");
    let problems = compile(&DESIGN.replacen(from, to, 1)).expect_err(to);
    let problems = problems.into_iter().map(|it| {
        assert!(!it.help.is_empty(), "{} has no help", it.message);
        let span = it.span.expect("a problem of a file has its place");
        let marked = span.text.chars().skip(span.column - 1).take(span.length).collect();
        (it.code.to_string(), span.line, marked)
    });
    problems.collect()
}

#[test]
fn the_example_of_the_design_compiles() {
    let catalog = compile(DESIGN).unwrap();
    let mapping = catalog.lab("inuvi").unwrap();
    assert_eq!(mapping.rules().count(), 11);
    assert_eq!(mapping.digest().len(), 64);
    let other = compile(&DESIGN.replace("Europe/London", "Europe/Dublin")).unwrap();
    assert_ne!(mapping.digest(), other.lab("inuvi").unwrap().digest());
}

#[test]
fn each_mistake_is_told_where_it_stands() {
    for (from, to, code, line, marked) in [
        ("schema = 1", "schema = 2", "M006", 2, "2"),
        ("\"inuvi\"\nformat", "\"inuvy\"\nformat", "M006", 3, "\"inuvy\""),
        ("\"hl7v2\"  ", "\"hl7v3\"  ", "M006", 4, "\"hl7v3\""),
        ("[patient]", "[pateint]", "M002", 6, "pateint"),
        ("family ", "familly ", "M002", 8, "familly"),
        ("\"PID-5.1\"", "\"PID5.1\"", "M005", 8, "\"PID5.1\""),
        ("\"PID-5.1\"", "\"PID\"", "M005", 8, "\"PID\""),
        ("as = \"date\"", "as = \"day\"", "M006", 9, "\"day\""),
        ("Europe/London", "Europe/Londom", "M006", 15, "\"Europe/Londom\""),
        ("\"units.csv\"", "\"unit.csv\"", "M008", 21, "\"unit.csv\""),
        ("C = \"corrected\"", "C = \"correct\"", "M006", 23, "\"correct\""),
        ("required = true", "required = \"yes\"", "M004", 13, "\"yes\""),
        ("path = \"ZPD\"", "path = \"OBX\"", "M010", 26, "\"OBX\""),
        ("why  =", "why_ =", "M002", 27, "why_"),
    ] {
        let found = told(from, to);
        assert!(found.contains(&(code.to_owned(), line, marked.to_owned())), "{to}: {found:?}");
    }
}

#[test]
fn a_gap_needs_a_decision() {
    assert_eq!(told(", table = \"codes.csv\", unmapped = \"hold\"", ", table = \"codes.csv\"")[0].0, "M007");
    assert_eq!(told(", type = \"OBX-2\"", "")[0].0, "M003");
}

#[test]
fn what_no_mapping_can_do_without_is_asked_for() {
    let removed = told("status   = { from", "observed_at = \"OBX-14\"\n# status = { from");
    assert_eq!(removed[0].0, "M003");
    assert_eq!(told("filler_number =", "filler_numbr =").len(), 2, "the typo, and what it leaves missing");
}

#[test]
fn every_problem_is_told_at_once_in_the_order_of_lines() {
    let broken = DESIGN
        .replace("family", "familly")
        .replace("\"OBX-7\"", "\"OBX7\"")
        .replace("path = \"ZPD\"", "path = \"NTE\"");
    let problems = compile(&broken).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|it| it.span.as_ref().unwrap().line).collect();
    assert_eq!(lines, [8, 22, 26]);
    assert!(problems[0].help.contains("did you mean `family`?"));
}

#[test]
fn text_that_is_not_toml_is_told_and_does_not_panic() {
    for text in ["", "[", "schema = ", "a = [[[[", "\u{0}", "schema = 1\nschema = 2"] {
        assert!(compile(text).is_err(), "{text:?}");
    }
}
