//! What people will hold in their hands, read back with the tools a reader would use.
//!
//! The text is taken from the PDF by poppler's `pdftotext` and the barcode from a picture of the page by `zbarimg`.
//! Without them these tests say so and pass at home; in CI (`CI` is set) they fail.

mod fixture;

use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use haemosync_gateway::clinical::document::Content;
use haemosync_gateway::clinical::document::Error;
use haemosync_gateway::clinical::document::Kind;
use haemosync_gateway::clinical::document::RequestForm;
use haemosync_gateway::clinical::document::Standing;
use haemosync_gateway::clinical::document::render;
use haemosync_gateway::clinical::document::request_form;
use haemosync_gateway::clinical::model::Interpretation;
use haemosync_gateway::clinical::model::LabResult;
use haemosync_gateway::clinical::model::ReportStatus;
use haemosync_gateway::clinical::model::Urgency;
use haemosync_gateway::clinical::model::Value;

use self::fixture::approved;
use self::fixture::content;
use self::fixture::form;
use self::fixture::interpretation;
use self::fixture::note;
use self::fixture::panel;
use self::fixture::report;
use self::fixture::result;
use self::fixture::text_code;

const KINDS: [Kind; 2] = [Kind::Clinician, Kind::Patient];
const MARKUP: &str = "#image(\"x\") $x$ *bold* @ref = head // gone <label> \\ `raw`";

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
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: `{program}` is not installed (poppler-utils, zbar-tools)");
        return None;
    };
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the tool ran");
    // A tool that wants no input may close it early.
    let _ = writer.join().expect("the writer does not panic");
    assert!(output.status.success(), "{program}: {}", output.status);
    Some(output.stdout)
}

/// The text of a PDF in reading order, one space between words; empty where it cannot be read here.
fn text(pdf: &[u8]) -> Option<String> {
    let text = String::from_utf8(tool("pdftotext", &["-raw", "-enc", "UTF-8", "-", "-"], pdf)?)
        .expect("poppler writes UTF-8");
    Some(text.replace('\u{200B}', "").split_whitespace().collect::<Vec<_>>().join(" "))
}

fn rendered(kind: Kind, content: &Content<'_>, standing: &Standing) -> Option<String> {
    text(&render(kind, content, standing).expect("the document renders"))
}

fn contains(pdf: &[u8], needle: &str) -> bool {
    pdf.windows(needle.len()).any(|window| window == needle.as_bytes())
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
            comemo::evict(0);
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
        for needle in
            ["/StructTreeRoot", "/Lang", "en-GB", "pdfuaid:part", "pdfaid:part", "/Title", "/Marked true"]
        {
            assert!(contains(&pdf, needle), "{needle}");
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
            &[
                "128 g/L",
                "6.40 ×10⁹/L",
                "265 ×10⁹/L",
                "4.51 ×10¹²/L",
                "88 µmol/L",
                ">90 mL/min/1.73m²",
                "≥60",
                "<0.01 mU/L",
            ],
        );
        assert_shows(
            &text,
            &["Orlaith O’Quillfeather-Ågren", "2 November 1979", "943 476 5919", "Harbour Street Clinic"],
        );
        assert_shows(
            &text,
            &["Gateway: 0.1.0", "Interpreter rules: 1.4.0", "Case 01JNQ8W3ZC4M6T7Q, version 2"],
        );
    }
}

#[test]
fn the_clinician_reads_findings_most_urgent_first_and_then_everything_else() {
    let (report, interpretations) = (report(), [interpretation()]);
    let Some(text) = rendered(Kind::Clinician, &content(&report, &interpretations), &approved()) else {
        return;
    };
    let order = [
        "Emergency: act now",
        "Routine",
        "Clinician’s summary",
        "White cell count 6.40",
        "Follow-up • Emergency: act now – Repeat",
        "Not assessed",
        "Approval and versions",
    ];
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
    assert_shows(
        &text,
        &["Your clinician will contact you.", "Your clinician will talk with you about this result."],
    );
    assert_shows(
        &text,
        &["Your haemoglobin, which carries oxygen, is a little low.", "call 999", "White blood cells"],
    );
    assert_hides(
        &text,
        &["must be checked again now", "spurious", "ECG", "Spoke with the laboratory", "Telephoned"],
    );

    content.contact_confirmed = true;
    let text = rendered(Kind::Patient, &content, &approved()).unwrap();
    assert_shows(&text, &["Act now", "Your potassium is high and must be checked again now."]);
    assert_hides(&text, &["Your clinician will contact you."]);
}

#[test]
fn a_word_says_where_a_result_lies_and_never_makes_light_of_an_urgent_one() {
    let (mut report, mut interpretation) = (report(), interpretation());
    let Some(text) = rendered(Kind::Patient, &content(&report, &[interpretation.clone()]), &approved())
    else {
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
    assert_shows(
        &text,
        &[
            "Your blood test results were withdrawn",
            "Please do not use its results.",
            "please call your clinic",
        ],
    );
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
        let Some(text) = rendered(kind, &content(&report, std::slice::from_ref(&silent)), &approved()) else {
            return;
        };
        assert_shows(&text, &[sentence]);
    }
    report.panels[0].results.push(result(5, "Haematocrit", "0.30", "L/L", "0.37-0.50", "L"));
    for kind in KINDS {
        assert_hides(
            &rendered(kind, &content(&report, std::slice::from_ref(&silent)), &approved()).unwrap(),
            &[sentence],
        );
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
    for name in
        ["أحمد بن يوسف", "ישראלה כהן", "Ελένη Παπαδοπούλου", "Żółć Şahin", "张伟", &"Quill".repeat(60), ""]
    {
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
            let mut it = result(
                index,
                &format!("Analyte number {index}"),
                &format!("{index}.50"),
                "µg/L",
                "10-60",
                "",
            );
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
        let pdf = render(kind, &content, &Standing::Draft).unwrap();
        assert!(contains(&pdf, "pdfuaid:part"), "a missing date costs no standard");
        let Some(text) = text(&pdf) else { return };
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
        assert_shows(
            &text,
            &[order_number, "Orlaith O’Quillfeather-Ågren", "943 476 5919", "Dr Imogen Vale", "TSH"],
        );
    }
}

#[test]
fn an_order_number_that_no_barcode_carries_is_refused() {
    for order_number in ["", "HS–7Q2M", &"9".repeat(33)] {
        let refused = request_form(&RequestForm { order_number: order_number.to_owned(), ..form() });
        assert!(matches!(refused, Err(Error::Barcode { .. })), "{order_number}");
    }
}
