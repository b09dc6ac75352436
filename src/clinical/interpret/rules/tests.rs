//! What the loader refuses, how results are recognised and placed, and what the formulas give.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::clinical::interpret::Context;
use crate::clinical::interpret::request;
use crate::clinical::interpret::rules::Knowledge;
use crate::clinical::interpret::rules::embedded;
use crate::clinical::interpret::tests::born;
use crate::clinical::interpret::tests::coded;
use crate::clinical::interpret::tests::named;
use crate::clinical::interpret::tests::report;
use crate::clinical::model::LabResult;
use crate::clinical::model::RangeFlag;
use crate::clinical::model::ReferenceRange;
use crate::clinical::model::Report;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sex;
use crate::clinical::model::Urgency;

/// The embedded files with one text replaced; it must be there.
fn with(file: &str, from: &str, to: &str) -> BTreeMap<String, String> {
    let mut files = embedded();
    let text = files.get_mut(file).unwrap();
    assert!(text.contains(from), "{file} holds {from}");
    *text = text.replacen(from, to, 1);
    files
}

#[test]
fn every_fault_of_the_knowledge_stops_it() {
    let rules = "rules/60-bone-glucose.toml";
    for (code, file, from, to) in [
        ("I001", rules, "[[rule]]", "[[rule"),
        ("I002", "ranges.tsv", "\thigh\nrbc", "\tvery\nrbc"),
        ("I003", "ranges.tsv", "rbc\tfemale", "rbc\tany"),
        ("I004", "analytes.tsv", "\t718-7\t", "\t718-8\t"),
        ("I005", "analytes.tsv", "\tmm/h\t", "\tmm/hr\t"),
        ("I006", "analytes.tsv", "MCV|Mean", "MCH|Mean"),
        ("I007", "ranges.tsv", "133\t146\t120\t160", "133\t146\t134\t160"),
        ("I008", rules, "pth >= (pth.range.low", "pht >= (pth.range.low"),
        ("I009", rules, "calcium_adjusted >= 2.60\"]", "calcium_adjusted => 2.60\"]"),
        ("I010", rules, "source = \"Practice\"\n", ""),
        ("I010", rules, "fires = false", "fires = true"),
        ("I011", rules, "Your calcium is low.", "You have low calcium."),
        ("I013", rules, "id = \"hypocalcaemia\"", "id = \"hypercalcaemia\""),
        ("I013", rules, "absorbs = [\"hypercalcaemia\"]", "absorbs = [\"hypercalcemia\"]"),
    ] {
        // Every silent case is lost, so that each rule of the file lacks one.
        let mut files = with(file, from, to);
        if from == "fires = false" {
            let text = files.get_mut(file).unwrap();
            *text = text.replace("fires = false", "fires = true");
        }
        let problems = Knowledge::compile(&files).unwrap_err();
        assert!(problems.iter().any(|it| it.code.as_str() == code), "{code} by {to}: {problems:?}");
        assert!(problems.iter().all(|it| !it.help.is_empty()));
    }
}

#[test]
fn a_fault_points_at_its_place() {
    let problems =
        Knowledge::compile(&with("ranges.tsv", "133\t146\t120\t160", "133\t146\tabc\t160")).unwrap_err();
    let span = problems.first().and_then(|it| it.span.clone()).unwrap();
    assert_eq!(span.file, "ranges.tsv");
    let shown: String = span.text.chars().skip(span.column - 1).take(span.length).collect();
    assert_eq!(shown, "abc");
}

#[test]
fn a_missing_file_is_named() {
    let mut files = embedded();
    files.remove("ranges.tsv");
    let problems = Knowledge::compile(&files).unwrap_err();
    assert!(problems.iter().any(|it| it.message.contains("ranges.tsv is missing")));
}

#[test]
fn a_result_is_recognised_by_code_first_and_by_name_only_if_the_unit_fits() {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    let key = |result| knowledge.analyte_for(&result).map(|it| it.key.clone());
    assert_eq!(key(coded(1, "http://loinc.org", "2823-3", "4.1", "mmol/L")).as_deref(), Some("potassium"));
    assert_eq!(
        key(coded(1, "http://snomed.info/sct", "1107761000000109", "4.1", "mmol/L")).as_deref(),
        Some("potassium")
    );
    assert_eq!(key(named(1, "Potassium", "4.1", "mmol/L")).as_deref(), Some("potassium"));
    assert_eq!(key(named(1, "Potassium", "4.1", "mg/dL")), None);
    assert_eq!(key(named(1, "potassium", "4.1", "mmol/L")), None, "names keep their case");
    // Urine sodium is not serum sodium, whatever its text says.
    let mut urine = coded(1, "http://loinc.org", "2955-3", "40", "mmol/L");
    urine.code.text = Some("Sodium".to_owned());
    assert_eq!(key(urine), None);
    let mut kept = named(1, "Potassium", "4.1", "mmol/L");
    kept.not_interpreted = true;
    assert_eq!(key(kept), None);
}

fn flag(result: LabResult, sex: Option<Sex>) -> Option<RangeFlag> {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    let mut report = report(vec![result]);
    report.patient.sex = sex;
    let answer = knowledge.interpret(&request(&report, Context::default()));
    answer.range_flags.first().map(|(_, flag)| *flag)
}

#[test]
fn the_laboratorys_range_decides_and_ours_only_stands_in() {
    let potassium = |value: &str, range: Option<&str>| {
        let mut result = named(1, "Potassium", value, "mmol/L");
        result.range = range.map(ReferenceRange::parse);
        flag(result, None)
    };
    for (value, range, expected) in [
        ("5.4", Some("3.5-5.5"), RangeFlag::InRange),
        ("5.4", Some("3.5-5.3"), RangeFlag::Above),
        ("5.4", None, RangeFlag::AboveTable),
        ("5.3", None, RangeFlag::InRangeTable),
        ("3.4", None, RangeFlag::BelowTable),
        ("5.4", Some("see text"), RangeFlag::NotInterpreted),
        ("5.4", Some(""), RangeFlag::AboveTable),
        ("5.0", Some("<5.0"), RangeFlag::Above),
        ("5.0", Some("<=5.0"), RangeFlag::InRange),
        (">5.0", Some("3.5-5.3"), RangeFlag::NotInterpreted),
        ("<3.0", Some("3.5-5.3"), RangeFlag::Below),
        ("high", Some("3.5-5.3"), RangeFlag::NotInterpreted),
    ] {
        assert_eq!(potassium(value, range), Some(expected), "{value} {range:?}");
    }
    // The sex-split range of ours needs a sex; without one there is no flag at all.
    let haemoglobin = |sex| flag(named(1, "Haemoglobin", "125", "g/L"), sex);
    assert_eq!(haemoglobin(Some(Sex::Male)), Some(RangeFlag::BelowTable));
    assert_eq!(haemoglobin(Some(Sex::Female)), Some(RangeFlag::InRangeTable));
    assert_eq!(haemoglobin(Some(Sex::Unknown)), None);
}

#[test]
fn withdrawn_results_are_silent_and_preliminary_ones_have_critical_limits_only() {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    let found = |status| {
        let mut results = vec![named(1, "Potassium", "6.7", "mmol/L"), named(2, "Ferritin", "12", "ug/L")];
        for result in &mut results {
            result.status = status;
        }
        let report = report(results);
        let answer = knowledge.interpret(&request(&report, Context::default()));
        answer.findings.into_iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert_eq!(found(ResultStatus::Cancelled), Vec::<String>::new());
    assert_eq!(found(ResultStatus::EnteredInError), Vec::<String>::new());
    assert_eq!(found(ResultStatus::Preliminary), ["critical-high.potassium"]);
}

#[test]
fn a_single_result_in_range_lists_no_rule_as_not_assessed() {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    let report = report(vec![named(1, "Sodium", "140", "mmol/L")]);
    let answer = knowledge.interpret(&request(&report, Context::default()));
    assert_eq!((answer.findings, answer.not_assessed), (vec![], vec![]));
}

#[test]
fn a_child_and_an_unknown_age_get_critical_limits_and_a_reason() {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    for age in [None, Some("2015-01-01")] {
        let mut report =
            report(vec![named(1, "Potassium", "6.5", "mmol/L"), named(2, "Ferritin", "5", "ug/L")]);
        report.patient.birth_date = age.map(born);
        let answer = knowledge.interpret(&request(&report, Context::default()));
        assert_eq!(
            answer.findings.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(),
            ["critical-high.potassium"]
        );
        assert!(answer.not_assessed.iter().any(|it| it.reason.contains("only critical limits")));
    }
}

fn computed(name: &str, sex: Sex, birth: &str, given: &[(&str, &str, &str)]) -> Option<Decimal> {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    let results = given.iter().zip(1..).map(|((name, value, unit), id)| named(id, name, value, unit));
    let mut report: Report = report(results.collect());
    report.patient.sex = Some(sex);
    report.patient.birth_date = Some(born(birth));
    knowledge.computed(&request(&report, Context::default())).get(name).copied()
}

#[test]
fn formulas_give_the_published_vectors() {
    let creatinine = |value| [("Creatinine", value, "umol/L")];
    let number = |text: &str| Some(text.parse::<Decimal>().unwrap());
    for (sex, born, value, expected) in [
        (Sex::Male, "1976-01-01", "100", "75.3"),
        (Sex::Female, "1976-01-01", "100", "56.6"),
        (Sex::Male, "1956-01-01", "150", "40.1"),
        (Sex::Female, "1966-01-01", "354", "11.4"),
    ] {
        assert_eq!(
            computed("egfr_ckd_epi_2009", sex, born, &creatinine(value)),
            number(expected),
            "{sex:?} {value}"
        );
    }
    let fib4 = [("AST", "45", "U/L"), ("ALT", "38", "U/L"), ("Platelets", "180", "10*9/L")];
    assert_eq!(computed("fib4", Sex::Male, "1964-01-01", &fib4), number("2.51"));
    assert_eq!(computed("fib4", Sex::Male, "1992-01-01", &fib4), None, "not under 35");
    let lipids = |tg| [("CHOL", "5.8", "mmol/L"), ("HDL", "1.3", "mmol/L"), ("TG", tg, "mmol/L")];
    assert_eq!(computed("ldl", Sex::Male, "1976-01-01", &lipids("1.9")), number("3.64"));
    assert_eq!(computed("ldl", Sex::Male, "1976-01-01", &lipids("4.6")), None, "refused above 4.5");
    let bone = [("Calcium (total)", "2.40", "mmol/L"), ("Albumin", "32", "g/L")];
    assert_eq!(computed("calcium_adjusted", Sex::Male, "1976-01-01", &bone), number("2.56"));
    let androgens = [("Testosterone", "11.2", "nmol/L"), ("SHBG", "32", "nmol/L"), ("Albumin", "43", "g/L")];
    assert_eq!(computed("testosterone_free", Sex::Male, "1976-01-01", &androgens), number("226"));
    assert_eq!(computed("fai", Sex::Female, "1976-01-01", &androgens), number("35"));
    assert_eq!(computed("fai", Sex::Male, "1976-01-01", &androgens), None, "women only");
}

#[test]
fn two_results_of_one_analyte_settle_only_what_both_settle() {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    let urgency = |a: &str, b: &str| {
        let report = report(vec![named(1, "Potassium", a, "mmol/L"), named(2, "Potassium", b, "mmol/L")]);
        knowledge.interpret(&request(&report, Context::default())).urgency().map(Urgency::as_str)
    };
    assert_eq!(urgency("5.6", "5.9"), Some("soon"));
    assert_eq!(urgency("5.6", "6.1"), Some("soon"));
    assert_eq!(urgency("4.0", "6.6"), Some("emergency"), "a critical value needs no second one");
}

#[test]
fn the_mappings_unit_wins_over_the_spelling_that_was_sent() {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    let urgent = |ucum: Option<&str>| {
        let mut result = named(1, "Haemoglobin", "13.1", "g/L");
        if let Some(unit) = result.unit.as_mut() {
            unit.ucum = ucum.map(str::to_owned);
        }
        let report = report(vec![result]);
        let answer = knowledge.interpret(&request(&report, Context::default()));
        answer.findings.into_iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert_eq!(urgent(Some("g/dL")), Vec::<String>::new());
    assert!(urgent(None).contains(&"implausible-value.haemoglobin".to_owned()));
}
