//! What the guard lets through and what it drops.

use crate::clinical::interpret::Context;
use crate::clinical::interpret::guard::FINDINGS_MAX;
use crate::clinical::interpret::guard::TEXT_CHARS_MAX;
use crate::clinical::interpret::guard::guard;
use crate::clinical::interpret::guard::numbers;
use crate::clinical::interpret::request;
use crate::clinical::interpret::rules::Knowledge;
use crate::clinical::interpret::rules::embedded;
use crate::clinical::interpret::tests::named;
use crate::clinical::interpret::tests::report;
use crate::clinical::model::Finding;
use crate::clinical::model::Interpretation;
use crate::clinical::model::ResultId;
use crate::clinical::model::Urgency;

fn finding(clinician: &str, patient: &str) -> Finding {
    Finding {
        id: "extra".to_owned(),
        urgency: Urgency::Soon,
        about: vec![ResultId("OBX[2]".to_owned())],
        clinician_text: clinician.to_owned(),
        patient_text: patient.to_owned(),
        follow_up: None,
        evidence: Vec::new(),
        source: None,
    }
}

/// The codes of what was dropped from an answer that holds `findings`, about a report with a critical potassium.
fn dropped(findings: Vec<Finding>) -> Vec<String> {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    let results = [
        ("Potassium", "6.7", "mmol/L"),
        ("Sodium", "139", "mmol/L"),
        ("Chloride", "101", "mmol/L"),
        ("Bicarbonate", "24.1", "mmol/L"),
    ];
    let report = report(
        results.iter().zip(1..).map(|((name, value, unit), id)| named(id, name, value, unit)).collect(),
    );
    let request = request(&report, Context::default());
    let rules = knowledge.interpret(&request);
    let count = findings.len();
    let answer = Interpretation { interpreter: "other".to_owned(), findings, ..rules.clone() };
    let guarded = guard(&knowledge, &request, &rules, answer);
    assert_eq!(
        guarded.interpretation.findings.len().min(FINDINGS_MAX),
        guarded.interpretation.findings.len()
    );
    assert!(guarded.interpretation.findings.len() <= count);
    assert!(guarded.interpretation.range_flags.is_empty(), "only the rules say where a result lies");
    guarded.dropped.iter().map(|it| it.code.as_str().to_owned()).collect()
}

#[test]
fn what_can_be_traced_passes() {
    assert!(
        dropped(vec![finding(
            "Sodium is 139 mmol/L at age 50.",
            "Your salt is within this laboratory's range."
        )])
        .is_empty()
    );
}

#[test]
fn each_fault_drops_the_finding_and_is_named() {
    let cites = |id: &str| Finding { about: vec![ResultId(id.to_owned())], ..finding("Text.", "") };
    for (code, fault) in [
        ("I020", cites("OBX[9]")),
        ("I020", Finding { about: Vec::new(), ..finding("Text.", "") }),
        ("I021", finding("Sodium was 138.77 mmol/L.", "")),
        ("I021", finding("It is 1.2.3 now.", "")),
        ("I021", Finding { follow_up: Some("Repeat in 8317 hours".to_owned()), ..finding("Text.", "") }),
        ("I022", cites("OBX[1]")),
        ("I023", finding("The patient has Addison's disease.", "")),
        ("I023", finding("Consider metformin.", "")),
        ("I023", finding("Text.", "This may be cancer.")),
        ("I023", finding("Text.", "Everything is normal.")),
        ("I023", finding("Text.", "You have diabetes.")),
        ("I024", finding("See https://example.test for more.", "")),
        ("I024", finding("<b>Sodium</b>", "")),
        ("I024", finding("Text\u{1b}[31m.", "")),
        ("I025", finding(&"word ".repeat(TEXT_CHARS_MAX), "")),
    ] {
        assert_eq!(dropped(vec![fault.clone()]), [code], "{fault:?}");
    }
}

#[test]
fn a_computed_number_passes_only_with_its_formula_in_the_evidence() {
    let text = "The anion gap is 13.9 mmol/L.";
    // 139 - (101 + 24.1) is 13.9, which the formula rounds to 14.
    assert_eq!(dropped(vec![finding(text, "")]), ["I021"]);
    let quoting = |evidence: &str| Finding {
        evidence: vec![evidence.to_owned()],
        ..finding("Osmolality is near 14 and 13.9.", "")
    };
    assert_eq!(dropped(vec![quoting("anion_gap")]), ["I021"], "the outcome is 14, not 13.9");
    let named = Finding { evidence: vec!["anion_gap = 14".to_owned()], ..finding("The gap is 14.", "") };
    assert!(dropped(vec![named]).is_empty());
}

#[test]
fn too_many_findings_lose_the_least_urgent() {
    let mut many = vec![finding("Text.", ""); FINDINGS_MAX];
    many.push(Finding { urgency: Urgency::Emergency, ..finding("Now.", "") });
    assert_eq!(dropped(many), ["I025"]);
}

#[test]
fn a_dropped_text_is_never_quoted_in_its_diagnostic() {
    let knowledge = Knowledge::compile(&embedded()).unwrap();
    let report = report(vec![named(1, "Sodium", "139", "mmol/L")]);
    let request = request(&report, Context::default());
    let rules = knowledge.interpret(&request);
    let secret = Finding { about: vec![ResultId("OBX[1]".to_owned())], ..finding("Quillfeather 77123.", "") };
    let answer = Interpretation { interpreter: "other".to_owned(), findings: vec![secret], ..rules.clone() };
    let guarded = guard(&knowledge, &request, &rules, answer);
    assert!(!format!("{:?}", guarded.dropped).contains("Quillfeather"));
    assert_eq!(guarded.dropped.len(), 1);
}

#[test]
fn numbers_are_read_out_of_text() {
    let found = |text: &str| numbers(text).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(found("3.5-5.3, 10.0%, B12 and HbA1c 48."), ["3.5", "5.3", "10", "48"]);
    assert_eq!(found("x10*9/L"), ["9"], "the ten is part of a word");
    assert!(found("none").is_empty());
}
