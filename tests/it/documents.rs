//! What people will hold in their hands, read back with the tools a reader would use.
//!
//! The text is taken from the PDF by poppler's `pdftotext` and the barcode from a picture of the page by `zbarimg`.
//! Without them these tests say so and pass at home; in CI (`CI` is set) they fail.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use haemosync_gateway::clinical::document::Clinic;
use haemosync_gateway::clinical::document::ClinicianEdits;
use haemosync_gateway::clinical::document::ClinicianNote;
use haemosync_gateway::clinical::document::Content;
use haemosync_gateway::clinical::document::Error;
use haemosync_gateway::clinical::document::Kind;
use haemosync_gateway::clinical::document::OrderFacts;
use haemosync_gateway::clinical::document::PatientFacts;
use haemosync_gateway::clinical::document::RequestForm;
use haemosync_gateway::clinical::document::Standing;
use haemosync_gateway::clinical::document::Superseded;
use haemosync_gateway::clinical::document::render;
use haemosync_gateway::clinical::document::request_form;
use haemosync_gateway::clinical::model::Code;
use haemosync_gateway::clinical::model::Comparator;
use haemosync_gateway::clinical::model::Finding;
use haemosync_gateway::clinical::model::Flag;
use haemosync_gateway::clinical::model::Interpretation;
use haemosync_gateway::clinical::model::LabResult;
use haemosync_gateway::clinical::model::MessageOrigin;
use haemosync_gateway::clinical::model::Moment;
use haemosync_gateway::clinical::model::NotAssessed;
use haemosync_gateway::clinical::model::Note;
use haemosync_gateway::clinical::model::Number;
use haemosync_gateway::clinical::model::Panel;
use haemosync_gateway::clinical::model::Patient;
use haemosync_gateway::clinical::model::ReferenceRange;
use haemosync_gateway::clinical::model::Report;
use haemosync_gateway::clinical::model::ReportStatus;
use haemosync_gateway::clinical::model::ResultId;
use haemosync_gateway::clinical::model::ResultStatus;
use haemosync_gateway::clinical::model::Specimen;
use haemosync_gateway::clinical::model::Unit;
use haemosync_gateway::clinical::model::Urgency;
use haemosync_gateway::clinical::model::Value;

const KINDS: [Kind; 2] = [Kind::Clinician, Kind::Patient];
const MARKUP: &str = "#image(\"x\") $x$ *bold* @ref = head // gone <label> \\ `raw`";

fn moment(iso: &str) -> Moment {
    Moment { sent: iso.to_owned(), iso: iso.to_owned() }
}

fn text_code(text: &str) -> Code {
    Code { codings: vec![], text: Some(text.to_owned()) }
}

fn value(sent: &str) -> Value {
    let (comparator, digits) = Comparator::split(sent).map_or((None, sent), |(it, rest)| (Some(it), rest));
    match Number::parse(digits) {
        Some(number) => Value::Quantity { sent: sent.to_owned(), comparator, number },
        None => Value::Text { text: sent.to_owned() },
    }
}

fn result(index: usize, name: &str, sent: &str, unit: &str, range: &str, flag: &str) -> LabResult {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    LabResult {
        id: ResultId(format!("OBX[{index}]")),
        code: text_code(name),
        sub_id: None,
        value: value(sent),
        unit: some(unit).map(|sent| Unit { sent, ucum: None }),
        range: some(range).map(|sent| ReferenceRange::parse(&sent)),
        flags: some(flag).map(|sent| Flag { sent, text: None }).into_iter().collect(),
        status: ResultStatus::Final,
        notes: vec![],
        observed_at: None,
        analysed_at: None,
        methods: vec![],
        performing_lab: None,
        specimen: None,
        not_interpreted: false,
        extra: vec![],
    }
}

fn note(text: &str) -> Note {
    Note { id: "NTE[1]".to_owned(), text: text.to_owned(), source: Some("L".to_owned()) }
}

fn panel(name: &str, results: Vec<LabResult>) -> Panel {
    Panel {
        id: "OBR[1]".to_owned(),
        code: text_code(name),
        status: ReportStatus::Final,
        collected_at: Some(moment("2026-03-05T08:10:00+00:00")),
        received_at: Some(moment("2026-03-05T15:42:00+00:00")),
        reported_at: Some(moment("2026-03-06T07:05:00+00:00")),
        requester: None,
        clinical_information: None,
        notes: vec![],
        results,
        extra: vec![],
    }
}

fn report() -> Report {
    let mut potassium = result(9, "Potassium", "6.7", "mmol/L", "3.5-5.3", "HH");
    potassium.notes.push(note("Sample slightly haemolysed; potassium may be falsely raised.\nTelephoned 06:55."));
    let mut crp = result(12, "C-reactive protein", "<0.6", "mg/L", "<5", "");
    crp.status = ResultStatus::Preliminary;
    let mut unknown = result(14, "Lipoprotein X index", "1.2", "AU", "0.5-1.5", "");
    unknown.not_interpreted = true;
    let culture = "No significant growth after 48 hours of incubation.\nMixed skin flora only; contamination is likely.";
    Report {
        lab: "Northern Reference Laboratory".to_owned(),
        filler_number: "26N0048817".to_owned(),
        order_number: None,
        status: ReportStatus::Final,
        patient: Patient::default(),
        panels: vec![
            panel(
                "Full blood count",
                vec![
                    result(1, "Haemoglobin", "128", "g/L", "130-180", "L"),
                    result(2, "White cell count", "6.40", "10*9/L", "4.0-11.0", ""),
                    result(3, "Platelets", "265", "x10^9/L", "150-400", ""),
                    result(4, "Red cell count", "4.51", "10*12/L", "4.50 - 6.00", ""),
                ],
            ),
            panel(
                "Urea and electrolytes",
                vec![
                    result(8, "Sodium", "139", "mmol/L", "133-146", ""),
                    potassium,
                    result(10, "Creatinine", "88", "µmol/L", "59-104", ""),
                    result(11, "eGFR", ">90", "mL/min/1.73m²", "≥60", ""),
                    crp,
                ],
            ),
            panel(
                "Other tests",
                vec![
                    result(13, "TSH", "<0.01", "mU/L", "0.27-4.20", "L"),
                    unknown,
                    result(15, "ANA titre", "1:128", "", "", "*"),
                    result(16, "Hepatitis B surface antigen", "Not detected", "", "Not detected", ""),
                    result(17, "Urine culture", culture, "", "", ""),
                ],
            ),
        ],
        specimens: vec![Specimen {
            id: "SPM[1]".to_owned(),
            accession: Some("26N0048817-1".to_owned()),
            kind: Some(text_code("Venous blood, EDTA")),
            ..Specimen::default()
        }],
        attachments: vec![],
        notes: vec![note("Reported by the duty biochemist.")],
        origin: MessageOrigin {
            control_id: "0001".to_owned(),
            sender: "LIS|NRL".to_owned(),
            sent_at: Some(moment("2026-03-06T07:06:00+00:00")),
            mapping_digest: "4f1c".repeat(16),
        },
    }
}

fn finding(id: &str, urgency: Urgency, about: &[&str], clinician: &str, patient: &str) -> Finding {
    Finding {
        id: id.to_owned(),
        urgency,
        about: about.iter().map(|id| ResultId((*id).to_owned())).collect(),
        clinician_text: clinician.to_owned(),
        patient_text: patient.to_owned(),
        follow_up: Some("Repeat urea and electrolytes on a fresh sample.".to_owned()),
        evidence: vec!["potassium 6.7 ≥ 6.5 mmol/L".to_owned()],
        source: Some("RCPath G158 (2017)".to_owned()),
    }
}

fn interpretation() -> Interpretation {
    Interpretation {
        interpreter: "rules".to_owned(),
        version: "1.4.0".to_owned(),
        digest: "9b2e".repeat(16),
        findings: vec![
            finding(
                "potassium-critical",
                Urgency::Emergency,
                &["OBX[9]"],
                "Potassium at or beyond 6.5 mmol/L. The laboratory reports haemolysis, so it may be spurious: treat as real until repeated.",
                "Your potassium is high and must be checked again now.",
            ),
            Finding {
                follow_up: Some("Full blood count and ferritin at the next contact.".to_owned()),
                evidence: vec!["haemoglobin 128 < 130 g/L".to_owned()],
                source: Some("CKS anaemia (2024)".to_owned()),
                ..finding(
                    "haemoglobin-mildly-low",
                    Urgency::Routine,
                    &["OBX[1]"],
                    "Haemoglobin just under the laboratory's range. Can be seen with iron deficiency.",
                    "Your haemoglobin, which carries oxygen, is a little low. Your clinician may check your iron.",
                )
            },
        ],
        not_assessed: vec![NotAssessed {
            subject: "lipoprotein-x".to_owned(),
            about: vec![ResultId("OBX[14]".to_owned())],
            reason: "the code is not in the knowledge".to_owned(),
        }],
        range_flags: vec![],
    }
}

fn clinic() -> Clinic {
    Clinic {
        name: "Harbour Street Clinic".to_owned(),
        contact: vec!["14 Harbour Street, Bristol BS1 4ZZ".to_owned(), "Telephone 0117 496 0123".to_owned()],
        urgent_help: vec![],
        time_zone: "Europe/London".to_owned(),
    }
}

fn patient() -> PatientFacts {
    PatientFacts {
        name: "Orlaith O’Quillfeather-Ågren".to_owned().into(),
        birth_date: Some("1979-11-02".to_owned().into()),
        nhs_number: Some("9434765919".to_owned().into()),
        sex: Some("Female".to_owned().into()),
        cliniko_reference: Some("1084417".to_owned()),
    }
}

fn content<'a>(report: &'a Report, interpretations: &'a [Interpretation]) -> Content<'a> {
    Content {
        clinic: clinic(),
        case_id: "01JNQ8W3ZC4M6T7Q".to_owned(),
        case_version: 2,
        order: Some(OrderFacts {
            order_number: "HS-7Q2M-4XKD-T".to_owned(),
            tests: vec!["Full blood count".to_owned(), "Urea and electrolytes".to_owned()],
            ordered_at: "2026-03-04T16:20:00+00:00".to_owned(),
            requested_by: Some("Dr Imogen Vale".to_owned()),
        }),
        patient: patient(),
        report,
        interpretations,
        edits: ClinicianEdits {
            summary_clinician: Some("Spoke with the laboratory; repeat arranged for this morning.".to_owned()),
            summary_patient: Some("We would like to see you for another sample.".to_owned()),
            notes: vec![ClinicianNote {
                author: "Dr Imogen Vale".to_owned(),
                at: "2026-03-06T08:02:00+00:00".to_owned(),
                text: "No ECG changes recorded last month.".to_owned(),
            }],
        },
        contact_confirmed: false,
        supersedes: Some(Superseded { case_version: 1, filed_at: Some("2026-03-06T07:30:00+00:00".to_owned()) }),
        changes: BTreeMap::from([(ResultId("OBX[9]".to_owned()), "5.1 mmol/L".to_owned())]),
        plain_names: BTreeMap::from([(ResultId("OBX[2]".to_owned()), "White blood cells".to_owned())]),
        versions: vec![("Gateway".to_owned(), "0.1.0".to_owned()), ("Mapping".to_owned(), "4f1c".repeat(16))],
    }
}

fn approved() -> Standing {
    Standing::Approved {
        approver: "Dr Imogen Vale".to_owned(),
        registration: Some("GMC 7654321".to_owned()),
        at: "2026-03-06T08:15:00+00:00".to_owned(),
    }
}

fn form() -> RequestForm {
    RequestForm {
        clinic: clinic(),
        patient: patient(),
        order_number: "HS-7Q2M-4XKD-T".to_owned(),
        tests: vec!["Full blood count".to_owned(), "Urea and electrolytes".to_owned(), "TSH".to_owned()],
        ordered_at: "2026-03-04T16:20:00+00:00".to_owned(),
        requester: "Dr Imogen Vale (GMC 7654321)".to_owned(),
        instructions: vec!["Fasting: no food for 10 hours, water is fine.".to_owned()],
    }
}

/// Runs a tool over bytes; `None` where it is not installed, which only CI may not have.
fn tool(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = spawned else {
        assert!(std::env::var_os("CI").is_none(), "CI must have `{program}` (poppler-utils, zbar-tools)");
        println!("SKIPPED: `{program}` is not installed (poppler-utils, zbar-tools)");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program}: {}", output.status);
    Some(output.stdout)
}

/// The text of a PDF in reading order, one space between words; empty where it cannot be read here.
fn text(pdf: &[u8]) -> Option<String> {
    let text = String::from_utf8(tool("pdftotext", &["-raw", "-enc", "UTF-8", "-", "-"], pdf)?).unwrap();
    Some(text.replace('\u{200B}', "").split_whitespace().collect::<Vec<_>>().join(" "))
}

fn rendered(kind: Kind, content: &Content<'_>, standing: &Standing) -> Option<String> {
    text(&render(kind, content, standing).unwrap())
}

fn assert_shows(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

fn assert_hides(text: &str, unwanted: &[&str]) {
    for part in unwanted {
        assert!(!text.contains(part), "`{part}` must not stand in:\n{text}");
    }
}

#[test]
fn the_same_content_gives_the_same_bytes_and_another_gives_others() {
    let (report, interpretations) = (report(), [interpretation()]);
    let content = content(&report, &interpretations);
    for kind in KINDS {
        for standing in [Standing::Draft, approved()] {
            let first = render(kind, &content, &standing).unwrap();
            typst::comemo::evict(0);
            assert!(first == render(kind, &content, &standing).unwrap(), "{kind:?} {standing:?}");
        }
        assert_ne!(
            render(kind, &content, &Standing::Draft).unwrap(),
            render(kind, &content, &approved()).unwrap()
        );
    }
}

#[test]
fn documents_are_tagged_titled_and_claim_their_standards() {
    let (report, interpretations) = (report(), [interpretation()]);
    let content = content(&report, &interpretations);
    let mut pdfs: Vec<Vec<u8>> =
        KINDS.iter().map(|kind| render(*kind, &content, &Standing::Draft).unwrap()).collect();
    pdfs.push(request_form(&form()).unwrap());
    for pdf in pdfs {
        let contains = |needle: &[u8]| pdf.windows(needle.len()).any(|window| window == needle);
        for needle in ["/StructTreeRoot", "/Lang", "en-GB", "pdfuaid:part", "pdfaid:part", "/Title", "/Marked true"] {
            assert!(contains(needle.as_bytes()), "{needle}");
        }
    }
}

#[test]
fn a_draft_says_so_on_every_page_and_an_approved_document_never() {
    let (report, interpretations) = (report(), [interpretation()]);
    let content = content(&report, &interpretations);
    for kind in KINDS {
        let pdf = render(kind, &content, &Standing::Draft).unwrap();
        let Some(raw) = tool("pdftotext", &["-", "-"], &pdf) else { return };
        let raw = String::from_utf8(raw).unwrap();
        let pages: Vec<&str> = raw.split('\u{c}').filter(|page| !page.trim().is_empty()).collect();
        assert!(pages.len() > 1, "{kind:?}");
        for page in pages {
            assert_shows(page, &["DRAFT – not yet approved"]);
        }
        let text = rendered(kind, &content, &approved()).unwrap();
        assert_shows(&text, &["Approved by Dr Imogen Vale (GMC 7654321) on 6 March 2026, 08:15"]);
        assert_hides(&text, &["DRAFT", "Draft", "draft"]);
    }
}

#[test]
fn every_value_stands_in_both_documents_with_its_unit_and_its_range() {
    let (report, interpretations) = (report(), [interpretation()]);
    let content = content(&report, &interpretations);
    for kind in KINDS {
        let Some(text) = rendered(kind, &content, &approved()) else { return };
        for result in report.results() {
            assert_shows(&text, &result.value.as_sent().split('\n').collect::<Vec<_>>());
            assert_shows(&text, &result.range.iter().map(|range| range.sent.as_str()).collect::<Vec<_>>());
        }
        assert_shows(
            &text,
            &["128 g/L", "6.40 ×10⁹/L", "265 ×10⁹/L", "4.51 ×10¹²/L", "88 µmol/L", ">90 mL/min/1.73m²", "≥60", "<0.01 mU/L"],
        );
        assert_shows(&text, &["Orlaith O’Quillfeather-Ågren", "2 November 1979", "943 476 5919", "Harbour Street Clinic"]);
        assert_shows(&text, &["Gateway: 0.1.0", "Interpreter rules: 1.4.0", "Case 01JNQ8W3ZC4M6T7Q, version 2"]);
    }
}

#[test]
fn the_clinician_reads_findings_most_urgent_first_and_then_everything_else() {
    let (report, interpretations) = (report(), [interpretation()]);
    let Some(text) = rendered(Kind::Clinician, &content(&report, &interpretations), &approved()) else { return };
    let order = ["Emergency: act now", "Routine", "Haemoglobin 128 g/L", "Follow-up", "Not assessed", "Approval and versions"];
    let positions: Vec<usize> = order.iter().map(|part| text.find(part).unwrap()).collect();
    assert!(positions.is_sorted(), "{order:?} stand at {positions:?}");
    assert_shows(
        &text,
        &[
            "46 years at collection",
            "HS-7Q2M-4XKD-T",
            "26N0048817",
            "5 March 2026, 08:10",
            "14 results: 3 outside the laboratory’s range, 7 in range, 4 not compared.",
            "potassium 6.7 ≥ 6.5 mmol/L",
            "RCPath G158 (2017)",
            "Below range",
            "Above range",
            "Not interpreted",
            "Lab flag: HH",
            "Preliminary: may change",
            "Changed: 5.1 mmol/L → 6.7 mmol/L",
            "Telephoned 06:55.",
            "It replaces version 1, filed on 6 March 2026, 07:30.",
            "the code is not in the knowledge",
            "No ECG changes recorded last month.",
            "Page 1 of",
        ],
    );
}

#[test]
fn a_patient_reads_nothing_urgent_before_the_clinician_has_spoken() {
    let (report, interpretations) = (report(), [interpretation()]);
    let mut content = content(&report, &interpretations);
    let Some(text) = rendered(Kind::Patient, &content, &approved()) else { return };
    assert_shows(&text, &["Your clinician will contact you.", "Your clinician will talk with you about this result."]);
    assert_shows(&text, &["Your haemoglobin, which carries oxygen, is a little low.", "call 999", "White blood cells"]);
    assert_hides(&text, &["must be checked again now", "spurious", "ECG", "Spoke with the laboratory", "Telephoned"]);

    content.contact_confirmed = true;
    let text = rendered(Kind::Patient, &content, &approved()).unwrap();
    assert_shows(&text, &["Act now", "Your potassium is high and must be checked again now."]);
    assert_hides(&text, &["Your clinician will contact you."]);
}

#[test]
fn a_word_says_where_a_result_lies_and_never_makes_light_of_an_urgent_one() {
    let (mut report, mut interpretation) = (report(), interpretation());
    let Some(text) = rendered(Kind::Patient, &content(&report, &[interpretation.clone()]), &approved()) else {
        return;
    };
    assert_shows(&text, &["A little below the usual range", "Above the usual range", "In the usual range"]);
    for finding in &mut interpretation.findings {
        finding.urgency = Urgency::Soon;
    }
    report.panels.truncate(1);
    let text = rendered(Kind::Patient, &content(&report, &[interpretation]), &approved()).unwrap();
    assert_hides(&text, &["A little below"]);
}

#[test]
fn a_withdrawn_report_is_shown_as_such_and_its_values_are_kept_from_the_patient() {
    let (mut report, interpretations) = (report(), [interpretation()]);
    report.status = ReportStatus::EnteredInError;
    let content = content(&report, &interpretations);
    let Some(text) = rendered(Kind::Clinician, &content, &approved()) else { return };
    assert_shows(&text, &["The results below must not be used.", "6.7 mmol/L"]);
    assert_hides(&text, &["In range", "Above range"]);
    let text = rendered(Kind::Patient, &content, &approved()).unwrap();
    assert_shows(&text, &["Please do not use these results.", "withdrawn"]);
    assert_hides(&text, &["6.7", "265", "is a little low"]);
}

#[test]
fn when_no_rule_spoke_a_report_within_range_says_what_that_does_not_mean() {
    let mut report = report();
    report.panels.truncate(1);
    report.panels[0].results.remove(0);
    let silent = Interpretation { findings: vec![], not_assessed: vec![], ..interpretation() };
    let sentence = "All results reported are within the ranges supplied by the laboratory. \
                    This does not rule out illness; discuss symptoms with your clinician.";
    for kind in KINDS {
        let Some(text) = rendered(kind, &content(&report, std::slice::from_ref(&silent)), &approved()) else { return };
        assert_shows(&text, &[sentence]);
    }
    report.panels[0].results.push(result(5, "Haematocrit", "0.30", "L/L", "0.37-0.50", "L"));
    for kind in KINDS {
        assert_hides(&rendered(kind, &content(&report, std::slice::from_ref(&silent)), &approved()).unwrap(), &[sentence]);
    }
}

#[test]
fn markup_in_foreign_text_is_shown_as_it_stands() {
    let (mut report, mut interpretation) = (report(), interpretation());
    report.panels[0].code = text_code(MARKUP);
    report.panels[0].results[0].value = Value::Text { text: MARKUP.to_owned() };
    report.panels[0].results[1].notes.push(note(MARKUP));
    report.notes.push(note(MARKUP));
    interpretation.findings[1].clinician_text = MARKUP.to_owned();
    interpretation.findings[1].patient_text = MARKUP.to_owned();
    let interpretations = [interpretation];
    let mut content = content(&report, &interpretations);
    content.patient.name = MARKUP.to_owned().into();
    content.edits.summary_clinician = Some(MARKUP.to_owned());
    content.edits.summary_patient = Some(MARKUP.to_owned());
    for (kind, at_least) in [(Kind::Clinician, 6), (Kind::Patient, 4)] {
        let Some(text) = rendered(kind, &content, &approved()) else { return };
        let count = text.matches(MARKUP).count();
        assert!(count >= at_least, "{kind:?}: {count} of {at_least} in:\n{text}");
    }
    let form = RequestForm { tests: vec![MARKUP.to_owned()], requester: MARKUP.to_owned(), ..form() };
    assert!(text(&request_form(&form).unwrap()).unwrap().contains(MARKUP));
}

#[test]
fn characters_without_a_glyph_are_marked_and_never_lose_the_document() {
    let (mut report, interpretations) = (report(), [interpretation()]);
    report.notes.push(note("中文 \u{1F9EA} \u{E000} a\u{0}b \u{202E}1.5\u{202C} e\u{0301}\u{0489} \u{FFFE}"));
    let mut content = content(&report, &interpretations);
    for name in ["أحمد بن يوسف", "ישראלה כהן", "Ελένη Παπαδοπούλου", "Żółć Şahin", "张伟", &"Quill".repeat(60), ""] {
        content.patient.name = name.to_owned().into();
        for kind in KINDS {
            let pdf = render(kind, &content, &Standing::Draft).unwrap();
            let Some(text) = text(&pdf) else { return };
            let marked = text.contains("stands for a character that cannot be printed");
            assert_eq!(marked, kind == Kind::Clinician || name == "张伟", "{name}");
        }
    }
}

#[test]
fn a_long_report_runs_over_pages_with_its_table_header_on_each() {
    let mut report = report();
    let results: Vec<LabResult> = (1..=70)
        .map(|index| {
            let mut it = result(index, &format!("Analyte number {index}"), &format!("{index}.50"), "µg/L", "10-60", "");
            it.notes = vec![note(&format!("Comment on analyte {index}."))];
            it
        })
        .collect();
    report.panels = vec![panel("Everything", results)];
    report.notes = vec![note(&"A line of a very long note.\n".repeat(400))];
    for kind in KINDS {
        let Some(text) = rendered(kind, &content(&report, &[]), &approved()) else { return };
        for index in 1..=70 {
            assert_shows(&text, &[&format!("Analyte number {index}"), &format!("{index}.50 µg/L")]);
        }
        let header = if kind == Kind::Clinician { "Lab’s range" } else { "Your result " };
        assert!(text.matches(header).count() >= 3, "{kind:?}");
    }
}

#[test]
fn what_is_not_known_is_said() {
    let mut report = report();
    for panel in &mut report.panels {
        (panel.collected_at, panel.received_at, panel.reported_at) = (None, None, None);
    }
    report.origin.sent_at = None;
    report.specimens.clear();
    let mut content = content(&report, &[]);
    content.order = None;
    content.patient.birth_date = None;
    content.patient.nhs_number = None;
    content.patient.sex = None;
    for kind in KINDS {
        let Some(text) = rendered(kind, &content, &Standing::Draft) else { return };
        assert_shows(&text, &["NHS number not known", "born not known"]);
    }
}

#[test]
fn a_flood_of_text_is_refused_and_a_wrong_time_zone_too() {
    let mut report = report();
    report.notes = vec![note(&"x ".repeat(2 * 1024 * 1024))];
    let mut content = content(&report, &[]);
    assert!(matches!(render(Kind::Clinician, &content, &approved()), Err(Error::TooLong { .. })));
    content.clinic.time_zone = "Europe/Atlantis".to_owned();
    assert!(matches!(render(Kind::Patient, &content, &approved()), Err(Error::TimeZoneUnknown { .. })));
}

#[test]
fn the_request_forms_barcode_reads_as_the_order_number_from_a_picture_of_the_page() {
    for order_number in ["HS-7Q2M-4XKD-T", "A", &"W".repeat(32)] {
        let pdf = request_form(&RequestForm { order_number: order_number.to_owned(), ..form() }).unwrap();
        for dots_per_inch in ["150", "300"] {
            let Some(png) = tool("pdftoppm", &["-png", "-r", dots_per_inch, "-"], &pdf) else { return };
            let folder = tempfile::tempdir().unwrap();
            let picture = folder.path().join("form.png");
            std::fs::File::create(&picture).unwrap().write_all(&png).unwrap();
            let arguments = ["--quiet", "--raw", "-Sdisable", "-Scode128.enable", picture.to_str().unwrap()];
            let Some(read) = tool("zbarimg", &arguments, &[]) else { return };
            assert_eq!(String::from_utf8(read).unwrap().trim(), order_number, "{dots_per_inch} dots an inch");
        }
        let Some(text) = text(&pdf) else { return };
        assert_shows(&text, &[order_number, "Orlaith O’Quillfeather-Ågren", "943 476 5919", "Dr Imogen Vale", "TSH"]);
    }
}

#[test]
fn an_order_number_that_no_barcode_carries_is_refused() {
    for order_number in ["", "HS–7Q2M", &"9".repeat(33)] {
        let refused = request_form(&RequestForm { order_number: order_number.to_owned(), ..form() });
        assert!(matches!(refused, Err(Error::Barcode { .. })), "{order_number}");
    }
}
