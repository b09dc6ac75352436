//! The embedded mapping on invented cases, and every departure from its language.

use super::*;

const FILE: &str = "mappings/cliniko/mapping.toml";
const TEXT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/cliniko/mapping.toml"));

fn key() -> MarkerKey {
    MarkerKey::new([7; 32])
}

fn case() -> CaseView {
    serde_json::from_value(json!({
        "patient": {"id": "1203948571203948576"},
        "report": {"lab": "northlab", "lab_name": "North Lab", "filler_number": "26-448812", "status": "final",
            "collected_on": "2026-11-20", "content_sha256": "ab", "version": 1},
        "approval": {"by": "Dr R. Example, GMC 0000000", "at": "22 Nov 2026 09:28"},
        "findings": {"results": ["TSH <0.01 mIU/L (0.27 - 4.2)"], "clinician": ["TSH is low."], "patient": ["x"]}
    }))
    .unwrap()
}

fn plan(case: &CaseView) -> Result<Plan, Vec<Diagnostic>> {
    Mapping::compile(FILE, TEXT).unwrap().plan(case, &Settings { marker_key: &key(), notes: true })
}

#[test]
fn an_approved_case_is_two_files_and_a_note_each_with_its_own_marker() {
    let plan = plan(&case()).unwrap();
    let ids: Vec<&str> = plan.calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["patient-pdf", "clinician-pdf", "note"]);
    let markers: std::collections::BTreeSet<&Marker> = plan.calls.iter().map(|call| &call.marker).collect();
    assert_eq!(markers.len(), 3);
    for marker in markers {
        let base32 = marker.as_str().strip_prefix("LAB-").unwrap();
        assert!(
            base32.len() == 16 && base32.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()),
            "{marker}"
        );
    }
    let kept = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&kept).unwrap(), plan, "a plan survives the store");
}

#[test]
fn a_marker_follows_the_content_and_nothing_else() {
    let marker = |case: &CaseView| plan(case).unwrap().calls.remove(0).marker;
    let mut again = case();
    again.approval.at = "23 Nov 2026 10:00".into();
    again.report.version = 2;
    assert_eq!(marker(&again), marker(&case()), "a restored case finds what it filed");
    again.report.content_sha256 = "ac".into();
    assert_ne!(marker(&again), marker(&case()));
    let other_key = Settings { marker_key: &MarkerKey::new([8; 32]), notes: true };
    let other = Mapping::compile(FILE, TEXT).unwrap().plan(&case(), &other_key).unwrap();
    assert_ne!(other.calls[0].marker, marker(&case()));
}

#[test]
fn a_comparator_reaches_the_note_escaped() {
    let Action::TreatmentNote { note } = plan(&case()).unwrap().calls.remove(2).action else {
        panic!("a note is last")
    };
    let results = note.content.sections[0].questions.iter().find(|it| it.name == "Results").unwrap();
    assert_eq!(results.answer, "<p>TSH &lt;0.01 mIU/L (0.27 - 4.2)</p>");
    assert!(!note.draft);
    assert!(note.content.sections[0].questions.iter().any(|it| it.answer.contains("GMC 0000000")));
}

#[test]
fn notes_are_left_out_for_a_key_that_cannot_write_them() {
    let settings = Settings { marker_key: &key(), notes: false };
    let plan = Mapping::compile(FILE, TEXT).unwrap().plan(&case(), &settings).unwrap();
    assert_eq!(plan.calls.len(), 2);
}

#[test]
fn nothing_is_planned_unless_every_call_fits() {
    let mut case = case();
    case.report.lab_name = "L".repeat(300);
    case.approval.by = " ".into();
    let codes: Vec<String> =
        plan(&case).unwrap_err().iter().map(|it| format!("{} {}", it.code, it.message)).collect();
    assert!(codes.iter().any(|it| it.starts_with("D013") && it.contains("`description` has")), "{codes:?}");
    assert!(codes.iter().any(|it| it.starts_with("D014") && it.contains("approval.by")), "{codes:?}");
    assert!(!codes.iter().any(|it| it.contains("LLL")), "{codes:?}");
}

#[test]
fn a_correction_is_not_found_under_the_marker_it_supersedes() {
    let first = plan(&case()).unwrap().calls.remove(0).marker;
    let mut corrected = case();
    corrected.report.content_sha256 = "ac".into();
    corrected.supersedes =
        Some(case::SupersededView { version: 1, marker: first.to_string(), filed_on: "2026-11-22".into() });
    let Action::Attachment { description, .. } = plan(&corrected).unwrap().calls.remove(0).action else {
        panic!("a file is first")
    };
    assert!(
        description.contains(first.as_str()) && !description.contains(&format!("[{first}]")),
        "{description}"
    );
    corrected.report.filler_number = "[LAB-".into();
    assert!(plan(&corrected).is_err(), "a second bracket would be a second mark");
}

#[track_caller]
fn check_problem(from: &str, to: &str, expected: &str) {
    assert!(TEXT.contains(from), "{from}");
    let found = Mapping::compile(FILE, &TEXT.replacen(from, to, 1)).unwrap_err();
    let told: Vec<String> = found
        .iter()
        .map(|it| {
            let span = it.span.as_ref().unwrap();
            format!("{}:{}:{} {} ({})", it.code, span.line, span.column, it.message, it.help)
        })
        .collect();
    assert!(told.iter().any(|it| it.contains(expected)), "{told:#?}");
}

#[test]
fn every_departure_from_the_language_is_told_at_its_place() {
    check_problem("report.filler_number}", "report.filer_number}", "(did you mean `report.filler_number`?)");
    check_problem("method = ", "methud = ", "there is no `methud` here (did you mean `method`?)");
    check_problem("/treatment_notes", "/patients/7/archive", "D012");
    check_problem(
        "\"POST\"",
        "\"DELETE\"",
        "`DELETE /patient_attachments` is not a call the gateway may make",
    );
    check_problem("draft                      = false", "draft = true", "a note is sent finished");
    check_problem(" [{marker}]", "", "must hold `[{marker}]`");
    check_problem(
        "patient_id  = \"patient.id\"",
        "patient_id = \"order.number\"",
        "a call is for the case's patient",
    );
    check_problem(
        "id     = \"clinician-pdf\"",
        "id = \"patient-pdf\"",
        "two calls have the id `patient-pdf`",
    );
    check_problem("\"patient_pdf\"", "\"patient_doc\"", "there is no document `patient_doc`");
    check_problem("{approval.by}", "{approval.by", "D01");
    check_problem("schema      = 1", "schema      = [", "D010");
}

#[test]
fn compiling_any_text_ends_in_a_mapping_or_in_diagnostics() {
    let lines: Vec<&str> = TEXT.lines().collect();
    for skipped in 0..lines.len() {
        let text: Vec<&str> =
            lines.iter().enumerate().filter(|(i, _)| *i != skipped).map(|(_, line)| *line).collect();
        if let Err(found) = Mapping::compile(FILE, &text.join("\n")) {
            assert!(!found.is_empty(), "without line {skipped}");
        }
    }
}

/// The committed examples: `case.json` in, `cliniko.json` out.
#[test]
#[expect(clippy::disallowed_methods, reason = "the examples are files beside the mapping")]
fn every_example_is_planned_as_committed() {
    let folder = format!("{}/mappings/cliniko/examples", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for example in std::fs::read_dir(folder).unwrap() {
        let path = example.unwrap().path();
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        let case: CaseView = serde_json::from_str(&read("case.json")).unwrap();
        let calls: Vec<_> = plan(&case).unwrap().calls.iter().map(PlannedCall::to_json).collect();
        let made = serde_json::to_string_pretty(&json!({"calls": calls})).unwrap() + "\n";
        assert_eq!(made, read("cliniko.json"), "{}", path.display());
        count += 1;
    }
    assert!(count >= 3);
}
