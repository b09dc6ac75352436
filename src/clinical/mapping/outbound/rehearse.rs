//! Tries an outbound mapping on invented cases, so that a body which Cliniko's shape refuses shows before a case needs it.

use crate::clinical::mapping::outbound::CaseView;
use crate::clinical::mapping::outbound::Mapping;
use crate::clinical::mapping::outbound::MarkerKey;
use crate::clinical::mapping::outbound::Settings;
use crate::clinical::mapping::outbound::case::ApprovalView;
use crate::clinical::mapping::outbound::case::FindingsView;
use crate::clinical::mapping::outbound::case::PatientView;
use crate::clinical::mapping::outbound::case::ReportView;
use crate::clinical::mapping::outbound::case::SupersededView;
use crate::clinical::mapping::source::Source;
use crate::clinical::model::Sensitive;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

const REFUSED: Code = Code::new("M039");
/// As long as a laboratory's number or name, or an approver's, may well be.
const NUMBER: &str = "26-4488120-0001-REISSUED";
const LAB_NAME: &str = "North of England Regional Pathology Network, Central";
const APPROVER: &str = "Dr Alexandra Featherstonehaugh-Cholmondeley, GMC 0000000";

/// Every error of the file; where it has none, every case that its bodies would not fit.
pub fn rehearse(file: &str, text: &str) -> Vec<Diagnostic> {
    let mapping = match Mapping::compile(file, text) {
        Ok(mapping) => mapping,
        Err(problems) => return problems,
    };
    let source = Source { file, text };
    let key = MarkerKey::new([0; 32]);
    let mut found: Vec<Diagnostic> = Vec::new();
    for (name, case) in
        [("a case with all it can have", fullest()), ("a case with the least it must have", barest())]
    {
        let settings = Settings { marker_key: &key, notes: true };
        for problem in mapping.plan(&case, &settings).err().into_iter().flatten() {
            let call = mapping.calls.iter().find(|call| problem.message.contains(&format!("`{}`", call.id)));
            let place = call
                .and_then(|call| text.find(&format!("\"{}\"", call.id)).map(|at| (at, call.id.len() + 2)));
            let span = place.map(|(at, length)| source.span(at..at + length, "this call"));
            let message = format!("{name} would be held: {}", problem.message);
            if found.iter().all(|it| !it.message.ends_with(&problem.message)) {
                found.push(Diagnostic { span, ..Diagnostic::warning(REFUSED, message).help(problem.help) });
            }
        }
    }
    found
}

fn fullest() -> CaseView {
    let lines = |text: &str| vec![Sensitive::new(text.to_owned())];
    CaseView {
        patient: PatientView { id: "1203948571203948576".to_owned() },
        report: ReportView {
            lab: "rehearsal".to_owned(),
            lab_name: LAB_NAME.to_owned(),
            filler_number: NUMBER.to_owned(),
            status: "corrected".to_owned(),
            collected_on: Some("2026-11-20".to_owned()),
            reported_on: Some("2026-11-21".to_owned()),
            content_sha256: "00".repeat(32),
            version: 12,
        },
        order_number: Some("ORD-7F3K-9Q2M-4T".to_owned()),
        approval: ApprovalView { by: APPROVER.to_owned(), at: "22 Nov 2026 09:28 GMT".to_owned() },
        findings: FindingsView {
            clinician: lines("TSH is below the range."),
            patient: lines("One result needs a talk."),
            results: lines("TSH <0.01 mIU/L (reference 0.27 - 4.2)"),
            notes: lines("Repeat in six weeks."),
        },
        supersedes: Some(SupersededView {
            version: 11,
            marker: "LAB-0000000000000000".to_owned(),
            filed_on: "2026-11-21".to_owned(),
        }),
        note_template_id: Some("1203948571203948577".to_owned()),
    }
}

/// A final report of one result, of which no day is known and about which there is nothing to say.
fn barest() -> CaseView {
    let full = fullest();
    CaseView {
        report: ReportView {
            status: "final".to_owned(),
            collected_on: None,
            reported_on: None,
            version: 1,
            ..full.report
        },
        order_number: None,
        findings: FindingsView { results: full.findings.results, ..FindingsView::default() },
        supersedes: None,
        note_template_id: None,
        ..full
    }
}

#[cfg(test)]
mod tests {
    use super::rehearse;

    const FILE: &str = "mappings/cliniko/mapping.toml";
    const TEXT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/cliniko/mapping.toml"));

    #[test]
    fn the_mapping_we_ship_fits_every_case() {
        assert_eq!(rehearse(FILE, TEXT), []);
    }

    #[test]
    fn a_body_that_the_shape_refuses_is_told_at_its_call() {
        let needy =
            TEXT.replace("{ path = \"report.collected_on\", optional = true }", "\"report.collected_on\"");
        let found = rehearse(FILE, &needy);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].message.contains("the least it must have") && found[0].message.contains("collected_on")
        );
        assert!(found[0].span.as_ref().unwrap().text.contains("\"note\""));
        let long = TEXT.replace("Blood test report{?", &format!("{}{{?", "Blood test report ".repeat(14)));
        assert!(rehearse(FILE, &long).iter().any(|it| it.message.contains("255")));
    }
}
