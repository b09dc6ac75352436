//! The Cliniko calls that an approved case would make, had a clinician approved exactly what the rules found.
//!
//! Nobody did: everything that only a running gateway knows is assumed, and said.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::app::Compiled;
use crate::cli::try_::reading::raw;
use crate::clinical::interpret;
use crate::clinical::interpret::Context;
use crate::clinical::mapping::outbound::CaseView;
use crate::clinical::mapping::outbound::MarkerKey;
use crate::clinical::mapping::outbound::PlannedCall;
use crate::clinical::mapping::outbound::Settings;
use crate::clinical::mapping::outbound::case::ApprovalView;
use crate::clinical::mapping::outbound::case::FindingsView;
use crate::clinical::mapping::outbound::case::PatientView;
use crate::clinical::mapping::outbound::case::ReportView;
use crate::clinical::model::Finding;
use crate::clinical::model::LabResult;
use crate::clinical::model::Moment;
use crate::clinical::model::Report;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Urgency;
use crate::diagnostic::Diagnostic;
use crate::pipeline::sha256_hex;

const MARKER_KEY: MarkerKey = MarkerKey::new(*b"public test key, never a secret.");

#[derive(Serialize)]
struct Plan {
    calls: Vec<Value>,
    assumed: Assumed,
}

/// What no message says.
#[derive(Serialize)]
struct Assumed {
    patient_id: &'static str,
    approved_by: &'static str,
    approved_at: &'static str,
    version: u32,
    note_template_id: Option<String>,
    notes: &'static str,
    markers: &'static str,
    findings: &'static str,
}

const ASSUMED: Assumed = Assumed {
    patient_id: "1",
    approved_by: "Dr A. Assumed",
    approved_at: "1 January 2026, 09:00",
    version: 1,
    note_template_id: None,
    notes: "written: the key's owner is a practitioner",
    markers: "made with a public test key",
    findings: "the rules' own words, unedited; urgent ones are not in the patient's until contact is confirmed",
};

pub(super) fn document(compiled: &Compiled, reports: &[Report]) -> (Box<RawValue>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let mut calls = Vec::new();
    for report in reports {
        match calls_of(compiled, report, &content_of(report)) {
            Ok(planned) => calls.extend(planned),
            Err(found) => problems.extend(found),
        }
    }
    (raw(&Plan { calls, assumed: ASSUMED }), problems)
}

/// The digest of a report's content, from which its calls' markers are made.
pub(crate) fn content_of(report: &Report) -> String {
    sha256_hex(raw(report).get().as_bytes())
}

/// The calls for one report, under markers of this content.
pub(crate) fn calls_of(
    compiled: &Compiled,
    report: &Report,
    content: &str,
) -> Result<Vec<Value>, Vec<Diagnostic>> {
    let settings = Settings { marker_key: &MARKER_KEY, notes: true };
    let plan = compiled.outbound.plan(&assumed_case(compiled, report, content), &settings)?;
    Ok(plan.calls.iter().map(PlannedCall::to_json).collect())
}

fn assumed_case(compiled: &Compiled, report: &Report, content: &str) -> CaseView {
    let findings = compiled.knowledge.interpret(&interpret::request(report, Context::default())).findings;
    let on = |moment: Option<&Moment>| Some(moment?.date()?.to_string());
    CaseView {
        patient: PatientView { id: ASSUMED.patient_id.to_owned() },
        report: ReportView {
            lab: report.lab.clone(),
            lab_name: report.lab.clone(),
            filler_number: report.filler_number.clone(),
            status: report.status.as_str().to_owned(),
            collected_on: on(report.collected_at()),
            reported_on: on(report.issued_at()),
            content_sha256: content.to_owned(),
            version: ASSUMED.version,
        },
        order_number: report.order_number.clone(),
        approval: ApprovalView { by: ASSUMED.approved_by.to_owned(), at: ASSUMED.approved_at.to_owned() },
        findings: texts(report, &findings),
        supersedes: None,
        note_template_id: ASSUMED.note_template_id,
    }
}

fn texts(report: &Report, findings: &[Finding]) -> FindingsView {
    let for_patient = |it: &&Finding| !it.patient_text.is_empty() && it.urgency < Urgency::SameDay;
    FindingsView {
        clinician: findings.iter().map(|it| it.clinician_text.clone().into()).collect(),
        patient: findings.iter().filter(for_patient).map(|it| it.patient_text.clone().into()).collect(),
        results: report.results().map(line).collect(),
        notes: Vec::new(),
    }
}

fn line(result: &LabResult) -> Sensitive<String> {
    let mut line = format!("{}: {}", result.code.label(), result.value.as_sent());
    if let Some(unit) = &result.unit {
        line = format!("{line} {}", unit.sent);
    }
    if let Some(range) = &result.range {
        line = format!("{line} ({})", range.sent);
    }
    line.into()
}
