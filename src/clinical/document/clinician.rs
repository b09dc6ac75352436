//! What the clinician report shows, in the order it is read: who, what is urgent, the results, what comes next.

use serde_json::Value as Json;
use serde_json::json;

use crate::clinical::document::Changed;
use crate::clinical::document::Content;
use crate::clinical::document::Standing;
use crate::clinical::document::range_bar::Position;
use crate::clinical::document::row;
use crate::clinical::document::row::Row;
use crate::clinical::document::words;
use crate::clinical::document::words::Clock;
use crate::clinical::document::words::NOT_KNOWN;
use crate::clinical::lineage::Standing as Reads;
use crate::clinical::model::Attachment;
use crate::clinical::model::Finding;
use crate::clinical::model::Interpretation;
use crate::clinical::model::Moment;
use crate::clinical::model::Panel;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Specimen;
use crate::clinical::model::StatusDetail;

pub(crate) fn view(content: &Content<'_>, standing: &Standing, clock: &Clock) -> Json {
    let findings = by_urgency(content.interpretations);
    json!({
        "clinic": content.clinic,
        "draft": matches!(standing, Standing::Draft),
        "approval": words::approval(standing, clock),
        "approval_short": words::approval_short(standing, clock),
        "case": case(content),
        "stamp": stamp(content),
        "banners": banners(content, clock),
        "changed": content.changed.iter().map(|it| changed(it, clock)).collect::<Vec<_>>(),
        "replaces": replaces(content, clock),
        "identity": identity(content),
        "facts": facts(content, clock),
        "headline": headline(content),
        "findings": findings.iter().map(|(by, it)| finding(by, it, content, clock)).collect::<Vec<_>>(),
        "silence": findings.is_empty().then(|| silence(content)),
        "summary": content.edits.summary_clinician,
        "panels": content.report.panels.iter().map(|it| panel(it, content, clock)).collect::<Vec<_>>(),
        "report_notes": content.report.notes.iter().map(|note| &note.text).collect::<Vec<_>>(),
        "attachments": attachments(content),
        "follow_up": follow_up(&findings),
        "not_assessed": not_assessed(content, clock),
        "notes": content.edits.notes.iter()
            .map(|note| json!({ "author": note.author, "at": clock.when(&note.at), "text": note.text }))
            .collect::<Vec<_>>(),
        "versions": versions(content),
    })
}

/// Every finding with its interpreter, most urgent first, otherwise as they came.
pub(crate) fn by_urgency(interpretations: &[Interpretation]) -> Vec<(&Interpretation, &Finding)> {
    let mut findings: Vec<_> =
        interpretations.iter().flat_map(|by| by.findings.iter().map(move |finding| (by, finding))).collect();
    findings.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.urgency));
    findings
}

pub(crate) fn case(content: &Content<'_>) -> String {
    format!("Case {}, version {}", content.case_id, content.case_version)
}

/// Who the patient is; the same lines head every page.
pub(crate) fn identity(content: &Content<'_>) -> Json {
    let patient = &content.patient;
    let exposed = |field: &Option<Sensitive<String>>| field.as_ref().map(|it| it.expose().clone());
    let known = |text: Option<String>| text.unwrap_or_else(|| NOT_KNOWN.to_owned());
    let birth = exposed(&patient.birth_date);
    let collected = content.report.collected_at().and_then(Moment::date);
    let age = birth.as_deref().zip(collected).and_then(|(birth, on)| words::age(birth, on));
    json!({
        "name": patient.name.expose(),
        "born": known(birth.as_deref().map(words::day)),
        "age": age.map(|years| format!("{years} years at collection")),
        "nhs_number": known(exposed(&patient.nhs_number).as_deref().map(words::nhs_number)),
        "sex": known(exposed(&patient.sex)),
        "reference": patient.cliniko_reference,
    })
}

/// What stands on every page of a report that is not what it seems; none of a complete one.
pub(crate) fn stamp(content: &Content<'_>) -> Option<Json> {
    let (word, text) = match content.reads {
        Reads::Withdrawn => ("WITHDRAWN", "WITHDRAWN by the laboratory – do not use"),
        Reads::Cancelled => ("CANCELLED", "CANCELLED by the laboratory"),
        Reads::Interim => ("INTERIM", "INTERIM – the laboratory has not finished, results may change"),
        Reads::Complete => return None,
    };
    Some(json!({ "word": word, "text": text }))
}

/// What must be read before any result.
fn banners(content: &Content<'_>, clock: &Clock) -> Vec<String> {
    let status = content.report.status;
    let said = words::report_status(status);
    let since = content.report.origin.sent_at.as_ref().or_else(|| content.report.issued_at());
    let since = since.map_or_else(String::new, |at| format!(" on {}", clock.when(&at.iso)));
    let text = match (content.reads, status) {
        (Reads::Withdrawn, _) | (_, ReportStatus::EnteredInError) => {
            let wrong = content.report.results().any(|it| it.detail == Some(StatusDetail::WrongPatient));
            let why = if wrong { " It was posted in error, such as on the wrong patient." } else { "" };
            format!(
                "Withdrawn: the laboratory has withdrawn this report{since}.{why} The results below must not be used."
            )
        }
        (Reads::Cancelled, _) | (_, ReportStatus::Cancelled) => {
            format!("Cancelled: the laboratory has cancelled this report{since}. Consider a new sample.")
        }
        (Reads::Interim, _)
        | (_, ReportStatus::Preliminary | ReportStatus::Partial | ReportStatus::Registered) => {
            format!(
                "{said}. The laboratory has not finished this report; it is not given to the patient before."
            )
        }
        (_, ReportStatus::Amended | ReportStatus::Corrected) => {
            let changed = content.changes.len();
            format!("{said}. Changed results, shown with what they were before: {changed}.")
        }
        (_, ReportStatus::Unknown) => "The laboratory did not say whether this report is final.".to_owned(),
        (_, ReportStatus::Final) => return Vec::new(),
    };
    vec![text]
}

/// One line of the table of what changed: old, new, and when each was said.
fn changed(it: &Changed, clock: &Clock) -> Json {
    let at =
        |iso: &Option<String>| iso.as_deref().map_or_else(|| NOT_KNOWN.to_owned(), |iso| clock.when(iso));
    json!({
        "name": it.name,
        "old": it.old.clone().unwrap_or_else(|| "not reported".to_owned()),
        "old_at": it.old.as_ref().map(|_| at(&it.old_at)),
        "new": it.new.clone().unwrap_or_else(|| "no longer reported".to_owned()),
        "new_at": at(&it.new_at),
        "status": it.status.and_then(words::result_status),
        "crosses": it.crosses,
    })
}

/// That a panel is older than the rest.
pub(crate) fn carried(panel: &Panel, content: &Content<'_>, clock: &Clock) -> Option<String> {
    let at = content.carried.get(&panel.id)?;
    let of = at.as_deref().map_or_else(String::new, |at| format!(" of {}", clock.when(at)));
    Some(format!(
        "Carried over: the laboratory’s latest message does not name this. It stood in the one{of}."
    ))
}

fn replaces(content: &Content<'_>, clock: &Clock) -> Option<String> {
    let old = content.supersedes.as_ref()?;
    let filed =
        old.filed_at.as_deref().map_or_else(String::new, |at| format!(", filed on {}", clock.when(at)));
    let (new, old) = (content.case_version, old.case_version);
    Some(format!("This is version {new} of the case. It replaces version {old}{filed}."))
}

fn facts(content: &Content<'_>, clock: &Clock) -> Vec<(&'static str, String)> {
    let report = content.report;
    let panels = &report.panels;
    let order = content.order.as_ref();
    let received = panels.iter().find_map(|panel| panel.received_at.as_ref());
    let requester = order.and_then(|order| order.requested_by.clone()).or_else(|| {
        panels.iter().find_map(|panel| panel.requester.as_ref()).map(|requester| requester.expose().clone())
    });
    let mut facts = vec![
        ("Laboratory", report.lab.clone()),
        ("Laboratory number", report.filler_number.clone()),
        (
            "Order number",
            order.map_or_else(
                || report.order_number.clone().unwrap_or_else(|| "none of ours".to_owned()),
                |order| order.order_number.clone(),
            ),
        ),
        ("Requested by", requester.unwrap_or_else(|| NOT_KNOWN.to_owned())),
        ("Collected", clock.moment(report.collected_at())),
        ("Received", clock.moment(received)),
        ("Reported", clock.moment(report.issued_at())),
        ("Report status", words::report_status(report.status).to_owned()),
    ];
    if let Some(order) = order {
        facts.push(("Ordered", clock.when(&order.ordered_at)));
        facts.push(("Tests ordered", words::list(&order.tests)));
    }
    facts.extend(report.specimens.iter().map(|it| ("Specimen", specimen(it))));
    let information = panels.iter().find_map(|panel| panel.clinical_information.as_ref());
    facts.extend(information.map(|it| ("Clinical information", it.expose().clone())));
    facts
}

fn specimen(specimen: &Specimen) -> String {
    let mut parts = vec![specimen.kind.as_ref().map_or("kind not known", |kind| kind.label()).to_owned()];
    parts.extend(specimen.accession.clone());
    parts.extend(specimen.conditions.iter().map(|it| it.label().to_owned()));
    parts.extend(specimen.reject_reasons.iter().map(|it| format!("rejected: {}", it.label())));
    parts.extend(specimen.notes.iter().map(|note| note.text.clone()));
    parts.join(", ")
}

/// The report in numbers.
fn headline(content: &Content<'_>) -> String {
    let lies = |wanted: fn(Position) -> bool| {
        let all = content.report.results();
        all.filter(|it| row::standing_position(it, content.report).is_some_and(wanted)).count()
    };
    let total = content.report.results().count();
    let outside = lies(|position| position != Position::Within);
    let within = lies(|position| position == Position::Within);
    let compared = within + outside;
    format!(
        "{total} {}: {outside} outside the laboratory’s range, {within} in range, {} not compared.",
        if total == 1 { "result" } else { "results" },
        total - compared
    )
}

/// What is said where no rule spoke.
pub(crate) fn silence(content: &Content<'_>) -> &'static str {
    let report = content.report;
    let all_within =
        || report.results().all(|it| row::standing_position(it, report) == Some(Position::Within));
    if content.interpretations.is_empty() {
        "No interpreter has spoken about these results."
    } else if report.results().next().is_some() && all_within() {
        "All results reported are within the ranges supplied by the laboratory. \
         This does not rule out illness; discuss symptoms with your clinician."
    } else {
        "No rule fired. Results outside their range, or not compared with one, are marked below. \
         This does not rule out illness."
    }
}

fn finding(by: &Interpretation, finding: &Finding, content: &Content<'_>, clock: &Clock) -> Json {
    json!({
        "urgency": finding.urgency.as_str(),
        "urgency_text": words::urgency(finding.urgency),
        "text": finding.clinician_text,
        "about": words::list(&row::cite(&finding.about, content, clock)),
        "evidence": finding.evidence,
        "follow_up": finding.follow_up,
        "source": finding.source,
        "origin": format!("{}, {} {}", finding.id, by.interpreter, by.version),
    })
}

fn panel(panel: &Panel, content: &Content<'_>, clock: &Clock) -> Json {
    let status = (panel.status != content.report.status).then(|| words::report_status(panel.status));
    json!({
        "name": panel.code.label(),
        "carried": carried(panel, content, clock),
        "status": status,
        "rows": panel.results.iter().map(|it| Row::new(it, content, clock)).collect::<Vec<_>>(),
        "notes": panel.notes.iter().map(|note| &note.text).collect::<Vec<_>>(),
    })
}

fn attachments(content: &Content<'_>) -> Vec<String> {
    let named = |it: &Attachment| {
        let title = it.title.as_deref().unwrap_or("untitled document");
        let kind = it.media_type.as_deref().unwrap_or("type not known");
        let place = if it.sha256.is_some() { "kept with the report" } else { "named but not sent" };
        format!("{title} ({kind}), {place}")
    };
    content.report.attachments.iter().map(named).collect()
}

/// Each follow-up once, at its most urgent.
fn follow_up(findings: &[(&Interpretation, &Finding)]) -> Vec<Json> {
    let mut seen: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for (_, finding) in findings {
        let Some(text) = finding.follow_up.as_deref().filter(|text| !seen.contains(text)) else { continue };
        seen.push(text);
        lines.push(json!({ "urgency_text": words::urgency(finding.urgency), "text": text }));
    }
    lines
}

fn not_assessed(content: &Content<'_>, clock: &Clock) -> Vec<Json> {
    let all = content.interpretations.iter().flat_map(|by| &by.not_assessed);
    all.map(|it| {
        let about = row::cite(&it.about, content, clock);
        let subject = if about.is_empty() { it.subject.clone() } else { words::list(&about) };
        json!({ "subject": subject, "rule": it.subject, "reason": it.reason })
    })
    .collect()
}

/// Everything that spoke, with its version.
pub(crate) fn versions(content: &Content<'_>) -> Vec<(String, String)> {
    let interpreters = content.interpretations.iter().map(|by| {
        (format!("Interpreter {}", by.interpreter), format!("{}, knowledge {}", by.version, by.digest))
    });
    content.versions.iter().cloned().chain(interpreters).collect()
}
