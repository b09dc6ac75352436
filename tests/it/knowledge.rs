//! The knowledge that ships: it compiles, every rule's own cases come out as written, and whatever the results are, the
//! interpreter keeps its promises: the same answer in any order, no panic, no urgency lost.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use haemosync_gateway::clinical::interpret;
use haemosync_gateway::clinical::interpret::Context;
use haemosync_gateway::clinical::interpret::guard;
use haemosync_gateway::clinical::interpret::rules;
use haemosync_gateway::clinical::interpret::rules::Knowledge;
use haemosync_gateway::clinical::model::Interpretation;
use haemosync_gateway::clinical::model::Report;
use haemosync_gateway::clinical::model::Urgency;
use haemosync_gateway::diagnostic::Diagnostic;
use haemosync_gateway::diagnostic::codes;
use proptest::prelude::*;
use serde_json::json;

static KNOWLEDGE: LazyLock<Knowledge> = LazyLock::new(|| {
    Knowledge::compile(&rules::embedded()).unwrap_or_else(|problems| panic!("{}", list(&problems)))
});

/// One line a fault, for a reader of the test's output.
fn list(problems: &[Diagnostic]) -> String {
    let line = |it: &Diagnostic| {
        let at = it
            .span
            .as_ref()
            .map(|span| format!("{}:{}:{} {}", span.file, span.line, span.column, span.label));
        format!("{} {} {}", it.code, it.message, at.unwrap_or_default())
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_rule_fires_and_stays_silent_as_its_cases_say() {
    let failed = KNOWLEDGE.check_cases();
    assert!(failed.is_empty(), "{}", list(&failed));
    let (analytes, rules, cases) = KNOWLEDGE.counts();
    assert!(analytes >= 157 && rules >= 37 && cases >= 2 * rules, "{analytes} {rules} {cases}");
}

#[test]
fn all_twelve_data_quality_rules_are_there() {
    let text = &rules::embedded()["rules/10-quality.toml"];
    for number in 1..=12 {
        assert!(text.contains(&format!("ref = \"Q{number}\"\n")), "Q{number}");
    }
}

#[test]
fn the_binary_embeds_every_file_of_the_knowledge_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/knowledge");
    let names = |at: &Path, prefix: &str| {
        let files = std::fs::read_dir(at).unwrap().map(|it| it.unwrap());
        let files = files.filter(|it| it.path().extension().is_some_and(|it| it == "toml" || it == "tsv"));
        files.map(|it| format!("{prefix}{}", it.file_name().to_string_lossy())).collect::<BTreeSet<_>>()
    };
    let mut found = names(&folder, "");
    found.extend(names(&folder.join("rules"), "rules/"));
    assert_eq!(found, rules::embedded().into_keys().collect());
}

#[test]
fn every_code_of_the_interpretation_area_is_explained() {
    let files = BTreeMap::from([("rules/x.toml".to_owned(), "rule = 1".to_owned())]);
    for problem in Knowledge::compile(&files).unwrap_err() {
        assert!(codes::find(problem.code.as_str()).is_some(), "{}", problem.code);
    }
}

#[test]
fn the_digest_changes_with_any_file() {
    let mut files = rules::embedded();
    files.get_mut("forbidden.toml").unwrap().push('\n');
    let changed = Knowledge::compile(&files).unwrap();
    assert_ne!(changed.digest(), KNOWLEDGE.digest());
    assert_eq!(KNOWLEDGE.digest().len(), 64);
}

/// LOINC code, unit, and a value in range for a man of 50.
const ANALYTES: [(&str, &str, &str); 18] = [
    ("718-7", "g/L", "150"),
    ("787-2", "fL", "90.1"),
    ("777-3", "10*9/L", "250"),
    ("6690-2", "10*9/L", "6.2"),
    ("751-8", "10*9/L", "4.1"),
    ("2276-4", "ug/L", "120"),
    ("2951-2", "mmol/L", "140"),
    ("2823-3", "mmol/L", "4.2"),
    ("22664-7", "mmol/L", "5.1"),
    ("14682-9", "umol/L", "80"),
    ("1742-6", "U/L", "25"),
    ("6768-6", "U/L", "80"),
    ("1751-7", "g/L", "42"),
    ("29265-6", "mmol/L", "2.35"),
    ("1988-5", "mg/L", "2"),
    ("3016-3", "m[IU]/L", "1.5"),
    ("14920-3", "pmol/L", "16"),
    ("59261-8", "mmol/mol", "36"),
];

/// A result by its place in [`ANALYTES`]; `id` stays with it wherever it stands.
fn result(analyte: usize, value: &str, status: &str) -> serde_json::Value {
    let (loinc, unit, _) = ANALYTES[analyte];
    let (comparator, number) = match value.strip_prefix('<') {
        Some(number) => (Some("<"), number),
        None => (None, value),
    };
    let mut quantity = json!({"kind": "quantity", "sent": value, "number": number});
    if let Some(comparator) = comparator {
        quantity["comparator"] = json!(comparator);
    }
    json!({
        "id": format!("OBX[{}]", analyte + 1),
        "code": {"codings": [{"system": "http://loinc.org", "code": loinc}]},
        "value": quantity, "unit": {"sent": unit}, "status": status,
    })
}

fn report(sex: Option<&str>, birth: Option<&str>, results: &[serde_json::Value]) -> Report {
    let mut patient = json!({});
    if let Some(sex) = sex {
        patient["sex"] = json!(sex);
    }
    if let Some(birth) = birth {
        patient["birth_date"] = json!({"sent": birth, "iso": birth});
    }
    let taken = "2026-06-15T09:00:00+01:00";
    serde_json::from_value(json!({
        "lab": "lab", "filler_number": "F", "status": "final", "patient": patient,
        "panels": [{"id": "OBR[1]", "code": {}, "status": "final", "results": results,
                    "collected_at": {"sent": taken, "iso": taken}}],
        "origin": {"control_id": "", "sender": "", "mapping_digest": ""},
    }))
    .expect("the report is of the model's shape")
}

fn interpret(report: &Report) -> Interpretation {
    let context = Context { pregnant: Some(false), ..Context::default() };
    KNOWLEDGE.interpret(&interpret::request(report, context))
}

/// Any value a wire can carry for a number, sensible or not.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (0_u32..2_000_000, 0_u32..3).prop_map(|(number, decimals)| {
            rust_decimal::Decimal::new(i64::from(number), decimals).to_string()
        }),
        1 => Just("0".to_owned()),
        1 => Just("-3".to_owned()),
        1 => Just("<0.1".to_owned()),
        1 => Just("79228162514264337593543950335".to_owned()),
    ]
}

type Results = BTreeMap<usize, (String, &'static str)>;

fn any_results() -> impl Strategy<Value = Results> {
    let status = prop_oneof![6 => Just("final"), 1 => Just("preliminary"), 1 => Just("corrected"), 1 => Just("cancelled")];
    proptest::collection::btree_map(0..ANALYTES.len(), (any_value(), status), 0..12)
}

fn made(results: &Results) -> Vec<serde_json::Value> {
    results.iter().map(|(analyte, (value, status))| result(*analyte, value, status)).collect()
}

fn any_person() -> impl Strategy<Value = (Option<&'static str>, Option<&'static str>)> {
    let sex = prop_oneof![Just(None), Just(Some("male")), Just(Some("female")), Just(Some("unknown"))];
    let birth =
        prop_oneof![Just(None), Just(Some("1976-01-01")), Just(Some("1950-01-01")), Just(Some("2015-01-01"))];
    (sex, birth)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_input_gives_an_answer_that_the_guard_lets_through((sex, birth) in any_person(), results in any_results()) {
        let report = report(sex, birth, &made(&results));
        let request = interpret::request(&report, Context::default());
        let answer = KNOWLEDGE.interpret(&request);
        prop_assert_eq!(&answer, &KNOWLEDGE.interpret(&request), "same input, same answer");
        prop_assert!(answer.findings.is_sorted_by(|a, b| a.urgency >= b.urgency));
        let guarded = guard::guard(&KNOWLEDGE, &request, &answer, answer.clone());
        prop_assert!(guarded.dropped.is_empty(), "{}", list(&guarded.dropped));
        prop_assert_eq!(guarded.interpretation, answer);
    }

    #[test]
    fn the_order_of_results_changes_nothing_that_is_said((sex, birth) in any_person(), results in any_results(), turn in 0_usize..12) {
        let mut made = made(&results);
        let straight = interpret(&report(sex, birth, &made));
        let at = turn.min(made.len());
        made.rotate_left(at);
        made.reverse();
        let turned = interpret(&report(sex, birth, &made));
        prop_assert_eq!(straight.findings, turned.findings);
        prop_assert_eq!(straight.not_assessed, turned.not_assessed);
    }

    #[test]
    fn an_unrelated_result_in_range_never_changes_the_urgency(value in any_value(), analyte in 0_usize..ANALYTES.len()) {
        // HbA1c in range stands in no rule that speaks of the others.
        let unrelated = ANALYTES.len() - 1;
        prop_assume!(analyte != unrelated);
        let alone = interpret(&report(Some("male"), Some("1976-01-01"), &[result(analyte, &value, "final")]));
        let both = [result(analyte, &value, "final"), result(unrelated, ANALYTES[unrelated].2, "final")];
        let both = interpret(&report(Some("male"), Some("1976-01-01"), &both));
        let speaks = |answer: &Interpretation| answer.findings.iter().filter(|it| it.id != "hba1c-unreliable").map(|it| it.urgency).max();
        prop_assert_eq!(speaks(&alone), speaks(&both));
    }

    #[test]
    fn a_value_further_past_its_critical_limit_is_never_less_urgent(
        (analyte, critical) in prop_oneof![Just((7_usize, 65_u32)), Just((6, 1600)), Just((2, 10000)), Just((14, 3000)), Just((13, 35))],
        beyond in 0_u32..100_000,
        status in prop_oneof![Just("final"), Just("preliminary")],
        (sex, birth) in any_person(),
    ) {
        let value = rust_decimal::Decimal::new(i64::from(critical) + i64::from(beyond), 1).to_string();
        let answer = interpret(&report(sex, birth, &[result(analyte, &value, status)]));
        prop_assert_eq!(answer.urgency().map(Urgency::as_str), Some("emergency"), "{}", value);
    }

    #[test]
    fn the_same_value_in_another_unit_gives_the_same_finding(tenths in 1_i64..2500) {
        let of = |value: String, unit: &str| {
            let mut result = result(0, &value, "final");
            result["unit"]["sent"] = json!(unit);
            let answer = interpret(&report(Some("female"), Some("1976-01-01"), &[result]));
            answer.findings.into_iter().map(|it| (it.id, it.urgency)).collect::<Vec<_>>()
        };
        let grams = rust_decimal::Decimal::new(tenths, 1);
        let per_decilitre = rust_decimal::Decimal::new(tenths, 2);
        prop_assert_eq!(of(grams.to_string(), "g/L"), of(per_decilitre.to_string(), "g/dL"));
    }

    #[test]
    fn a_mutilated_rule_file_is_refused_and_never_panics(at in 0_usize..4000, byte in 0_u8..128) {
        let mut files = rules::embedded();
        let text = files.get_mut("rules/60-bone-glucose.toml").unwrap();
        if text.is_char_boundary(at) && at < text.len() {
            text.insert(at, char::from(byte));
        }
        let _ = Knowledge::compile(&files);
    }
}
