//! What the patient summary shows: plain words, what needs action first, and nothing that a clinician must say first.
//!
//! Numerals, whole dates, "usual range", never "normal"; one sentence a result.

use serde_json::Value as Json;
use serde_json::json;

use crate::clinical::document::Content;
use crate::clinical::document::Standing;
use crate::clinical::document::clinician;
use crate::clinical::document::range_bar::Position;
use crate::clinical::document::range_bar::is_near;
use crate::clinical::document::row;
use crate::clinical::document::row::Row;
use crate::clinical::document::words;
use crate::clinical::document::words::Clock;
use crate::clinical::document::words::NOT_KNOWN;
use crate::clinical::lineage::Standing as Reads;
use crate::clinical::model::Finding;
use crate::clinical::model::Interpretation;
use crate::clinical::model::LabResult;
use crate::clinical::model::Moment;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Urgency;

/// Where a clinic has not set its own words.
const URGENT_HELP: [&str; 2] = [
    "If you think it is an emergency, call 999.",
    "If you feel unwell and are not sure what to do, call 111 at any time, or contact your clinic.",
];

pub(crate) fn view(content: &Content<'_>, standing: &Standing, clock: &Clock) -> Json {
    let report = content.report;
    let status = status(content);
    let void = row::is_void(status);
    let findings = if void { Vec::new() } else { clinician::by_urgency(content.interpretations) };
    let waiting = !content.contact_confirmed && findings.iter().any(|(_, it)| is_urgent(it));
    let help = &content.clinic.urgent_help;
    let panels: Vec<Json> = report
        .panels
        .iter()
        .map(|panel| {
            let results = panel.results.iter();
            let rows: Vec<Json> = results.map(|it| result(it, &findings, content, clock)).collect();
            json!({ "name": panel.code.label(), "rows": rows, "carried": clinician::carried(panel, content, clock) })
        })
        .collect();
    json!({
        "clinic": content.clinic,
        "draft": matches!(standing, Standing::Draft),
        "approval": words::approval(standing, clock),
        "approval_short": words::approval_short(standing, clock),
        "case": clinician::case(content),
        "identity": clinician::identity(content),
        "stamp": clinician::stamp(content),
        "title": title(status),
        "void": void,
        "banners": banners(content),
        "replaces": replaces(content, clock),
        "tested": tested(content, clock),
        "waiting": waiting,
        "messages": messages(&findings, content),
        "silence": findings.is_empty().then(|| silence(content)),
        "summary": content.edits.summary_patient,
        "panels": panels,
        "help": if help.is_empty() { json!(URGENT_HELP) } else { json!(help) },
        "versions": clinician::versions(content),
    })
}

const fn is_urgent(finding: &Finding) -> bool {
    matches!(finding.urgency, Urgency::Emergency | Urgency::SameDay)
}

/// Whether the clinician has yet to speak before this finding may be read.
fn is_held_back(finding: &Finding, content: &Content<'_>) -> bool {
    is_urgent(finding) && !content.contact_confirmed
}

const INTERIM: &str = "The laboratory has not finished. Results may change, and more may follow. \
    This summary is given out only when they are complete.";

/// What a patient is to do about results that were taken back or never made.
const WITHDRAWN: &str = "Please do not use the results of this report that you may have been given before. \
    If you changed anything because of them, please call your clinic. You need not do anything else now: \
    your clinic will tell you what happened, and whether a new test is needed.";
const CANCELLED: &str =
    "You need not do anything now. Your clinic will tell you whether a new sample is needed.";

/// What must be read before any result.
fn banners(content: &Content<'_>) -> Vec<&'static str> {
    let text = match status(content) {
        ReportStatus::EnteredInError => {
            "The laboratory has withdrawn this report. Please do not use its results."
        }
        ReportStatus::Cancelled => "The laboratory could not do these tests.",
        ReportStatus::Registered | ReportStatus::Partial | ReportStatus::Preliminary => INTERIM,
        _ if content.reads == Reads::Interim => INTERIM,
        ReportStatus::Amended | ReportStatus::Corrected => {
            "The laboratory has changed results that it sent before."
        }
        ReportStatus::Unknown => "The laboratory has not said whether these results are final.",
        ReportStatus::Final => return Vec::new(),
    };
    vec![text]
}

fn replaces(content: &Content<'_>, clock: &Clock) -> Option<String> {
    let old = content.supersedes.as_ref()?;
    let filed = old.filed_at.as_deref().map_or_else(String::new, |at| format!(" of {}", clock.date(at)));
    Some(format!("This summary replaces the earlier one{filed}. Please use this one only."))
}

fn tested(content: &Content<'_>, clock: &Clock) -> Vec<(&'static str, String)> {
    let report = content.report;
    let date =
        |moment: Option<&Moment>| moment.map_or_else(|| NOT_KNOWN.to_owned(), |at| clock.date(&at.iso));
    let tests: Vec<String> = report.panels.iter().map(|panel| panel.code.label().to_owned()).collect();
    vec![
        ("Tests", words::list(&tests)),
        ("Sample taken", date(report.collected_at())),
        ("Laboratory", report.lab.clone()),
        ("Results sent by the laboratory", date(report.issued_at())),
    ]
}

/// Each text once, the most urgent first.
fn messages(findings: &[(&Interpretation, &Finding)], content: &Content<'_>) -> Vec<Json> {
    let mut seen: Vec<&str> = Vec::new();
    let mut messages = Vec::new();
    for (_, finding) in findings.iter().filter(|(_, it)| !is_held_back(it, content)) {
        let text = finding.patient_text.as_str();
        if text.is_empty() || seen.contains(&text) {
            continue;
        }
        seen.push(text);
        let about: Vec<String> = finding
            .about
            .iter()
            .filter_map(|id| content.report.results().find(|result| result.id == *id))
            .map(|result| name(result, content))
            .collect();
        messages.push(json!({
            "urgency": finding.urgency.as_str(),
            "when": when(finding.urgency),
            "about": words::list(&about),
            "text": text,
        }));
    }
    messages
}

const fn when(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Emergency => "Act now",
        Urgency::SameDay => "Today",
        Urgency::Soon => "Within 2 weeks",
        Urgency::Routine => "At your next appointment",
        Urgency::Info => "For your information",
    }
}

/// Where the report stands as a whole: one of which every result was withdrawn is, whatever its own status says.
fn status(content: &Content<'_>) -> ReportStatus {
    match content.reads {
        Reads::Withdrawn => ReportStatus::EnteredInError,
        Reads::Cancelled => ReportStatus::Cancelled,
        Reads::Interim | Reads::Complete => content.report.status,
    }
}

const fn title(status: ReportStatus) -> &'static str {
    match status {
        ReportStatus::EnteredInError => "Your blood test results were withdrawn",
        ReportStatus::Cancelled => "Your blood test could not be done",
        _ => "Your blood test results",
    }
}

fn silence(content: &Content<'_>) -> &'static str {
    let report = content.report;
    match status(content) {
        ReportStatus::EnteredInError => return WITHDRAWN,
        ReportStatus::Cancelled => return CANCELLED,
        _ => {}
    }
    let within = |it: &LabResult| row::standing_position(it, report) == Some(Position::Within);
    if report.results().next().is_some() && report.results().all(within) {
        "All results reported are within the ranges supplied by the laboratory. \
         This does not rule out illness; discuss symptoms with your clinician."
    } else {
        "Each result is listed below, with a word for where it lies. \
         Discuss them, and any symptoms, with your clinician."
    }
}

fn name(result: &LabResult, content: &Content<'_>) -> String {
    content.plain_names.get(&result.id).cloned().unwrap_or_else(|| row::name(result))
}

fn result(
    result: &LabResult,
    findings: &[(&Interpretation, &Finding)],
    content: &Content<'_>,
    clock: &Clock,
) -> Json {
    let mut row = Row::new(result, content, clock);
    let spoken: Vec<&Finding> =
        findings.iter().map(|(_, it)| *it).filter(|it| it.about.contains(&result.id)).collect();
    let held_back = spoken.iter().any(|it| is_held_back(it, content));
    let mild = spoken.iter().all(|it| it.urgency < Urgency::Soon);
    let (word, sentence) = standing(result, content, mild);
    // What was withdrawn may belong to another person: the patient reads that it was, not what it said.
    if row::is_void(content.report.status) || result.status == ResultStatus::EnteredInError {
        "withdrawn".clone_into(&mut row.value);
        row.unit = String::new();
        row.range = String::new();
        row.before = None;
        row.bar = None;
    }
    let plain = name(result, content);
    row.bar_text =
        format!("{plain} {} {}, usual range {}: {}", row.value, row.unit, row.range, word.to_lowercase());
    json!({
        "row": row,
        "name": plain.clone(),
        "lab_name": (plain != row.name).then_some(row.name.as_str()),
        "word": word,
        "sentence": if held_back { "Your clinician will talk with you about this result." } else { sentence },
    })
}

/// The word and the one sentence for where a result lies.
fn standing(result: &LabResult, content: &Content<'_>, mild: bool) -> (&'static str, &'static str) {
    const ABOVE: &str = "This is higher than the range this laboratory uses.";
    const BELOW: &str = "This is lower than the range this laboratory uses.";
    match row::standing_position(result, content.report) {
        Some(Position::Above) if mild && is_near(result) => ("A little above the usual range", ABOVE),
        Some(Position::Above) => ("Above the usual range", ABOVE),
        Some(Position::Below) if mild && is_near(result) => ("A little below the usual range", BELOW),
        Some(Position::Below) => ("Below the usual range", BELOW),
        Some(Position::Within) => ("In the usual range", "This is within the range this laboratory uses."),
        None => match (result.status, content.report.status) {
            (ResultStatus::EnteredInError, _) | (_, ReportStatus::EnteredInError) => {
                ("Withdrawn", "The laboratory has withdrawn this result. Please do not use it.")
            }
            (ResultStatus::Cancelled, _) | (_, ReportStatus::Cancelled) => (
                "Not measured",
                "The laboratory could not do this test. Your clinic can tell you about a new sample.",
            ),
            (ResultStatus::Registered, _) => ("Not ready yet", "The laboratory has not finished this test."),
            _ if result.range.is_none() => {
                ("No range", "The laboratory sent no range for this. Ask your clinician what it means.")
            }
            _ => ("Not compared", "This was not compared with a range. Ask your clinician what it means."),
        },
    }
}
