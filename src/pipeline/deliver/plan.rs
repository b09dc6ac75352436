//! The plan of a released case: made once by the outbound mapping, durable before anything is sent (P0).

use jiff::tz::TimeZone;

use crate::audit;
use crate::clinical::document::Kind;
use crate::clinical::lineage::Standing;
use crate::clinical::mapping::outbound::Action;
use crate::clinical::mapping::outbound::CaseView;
use crate::clinical::mapping::outbound::Document;
use crate::clinical::mapping::outbound::MarkerKey;
use crate::clinical::mapping::outbound::Settings;
use crate::clinical::mapping::outbound::case::ApprovalView;
use crate::clinical::mapping::outbound::case::FindingsView;
use crate::clinical::mapping::outbound::case::PatientView;
use crate::clinical::mapping::outbound::case::ReportView;
use crate::clinical::mapping::outbound::case::SupersededView;
use crate::clinical::model::LabResult;
use crate::clinical::model::Moment;
use crate::clinical::model::Report;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sensitive;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::pipeline::orders;
use crate::pipeline::records::call;
use crate::pipeline::records::call::Call;
use crate::pipeline::records::call::Phase;
use crate::pipeline::records::call::What;
use crate::pipeline::records::case;
use crate::pipeline::records::case::Case;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::lineage;
use crate::pipeline::review::document_key;
use crate::pipeline::sha256_hex;
use crate::security::keys::Scope;
use crate::store;
use crate::store::Change;
use crate::store::Table;

/// The purpose of a clinic's marker key. Never changed: what was filed could not be found again.
const MARKER_PURPOSE: &str = "cliniko marker";

/// The calls of a case: those planned before, or those planned now.
pub(super) async fn of(
    pipeline: &Pipeline,
    stored: &Stored,
) -> Result<Result<Vec<Call>, Diagnostic>, store::Error> {
    let case = &stored.case;
    let planned = call::of_case(&pipeline.store, &case.clinic, case.id)?;
    if !planned.is_empty() {
        return Ok(Ok(planned));
    }
    let key = MarkerKey::new(pipeline.store.mac(&stored.scope(), MARKER_PURPOSE, &[]).await?);
    let Some(view) = view(pipeline, case)? else { return Ok(Err(not_complete())) };
    let plan = match pipeline.mappings.now().outbound.plan(&view, &Settings { marker_key: &key, notes: true })
    {
        Ok(plan) => plan,
        Err(problems) => return Ok(Err(problems.into_iter().next().unwrap_or_else(not_complete))),
    };
    let Ok(patient) = view.patient.id.parse() else { return Ok(Err(not_complete())) };
    let approval = case.approval.as_ref();
    let (now, mut change, mut calls) = (pipeline.clock.now(), Change::new(), Vec::new());
    for (number, planned) in (0u8..).zip(plan.calls) {
        let what = match planned.action {
            Action::Attachment { document, filename, description, .. } => {
                let (document, sha256) = match document {
                    Document::ClinicianPdf => (Kind::Clinician, approval.map(|it| &it.clinician_pdf_sha256)),
                    Document::PatientPdf => (Kind::Patient, approval.map(|it| &it.patient_pdf_sha256)),
                };
                let Some(sha256) = sha256.cloned() else { return Ok(Err(not_complete())) };
                What::Attachment { document, sha256, filename, description }
            }
            Action::TreatmentNote { note } => What::Note { note },
        };
        let call = Call {
            id: planned.id,
            marker: planned.marker.to_string(),
            patient: crate::formats::cliniko::Id::clone(&patient),
            what,
            phase: Phase::Planned,
            planned_at: now,
        };
        call::put(&mut change, &case.clinic, case.id, number, &call);
        calls.push(call);
    }
    change.audit(
        audit::Entry::new(now, "gateway", "case.planned", case.id.to_string())
            .of_clinic(case.clinic.clone())
            .with("calls", calls.len()),
    );
    pipeline.store.commit(change).await?;
    Ok(Ok(calls))
}

/// The bytes of an approved document; none unless they are exactly those that were approved.
pub(super) fn document(
    pipeline: &Pipeline,
    case: &Case,
    kind: Kind,
    sha256: &str,
) -> Result<Option<Vec<u8>>, store::Error> {
    let scope = Scope::Clinic(case.clinic.clone());
    let bytes = pipeline.store.get_sealed(Table::Documents, &document_key(case.id, kind), &scope)?;
    Ok(bytes.filter(|bytes| sha256_hex(bytes) == sha256))
}

/// What of the case may leave; none while it has no patient, report or approval.
fn view(pipeline: &Pipeline, case: &Case) -> Result<Option<CaseView>, store::Error> {
    let (Some(patient), Some(approval)) = (&case.patient, &case.approval) else { return Ok(None) };
    let reading = lineage::reading(&pipeline.store, case)?;
    let report = reading.report;
    Ok(Some(CaseView {
        patient: PatientView { id: patient.cliniko_id.clone() },
        order_number: report.order_number.clone(),
        approval: ApprovalView {
            by: approval.by.name.expose().clone(),
            at: clinic_time(case, approval.by.at),
        },
        findings: findings(case, &report),
        supersedes: superseded(pipeline, case)?,
        note_template_id: None,
        report: ReportView {
            lab: report.lab.clone(),
            lab_name: report.lab.clone(),
            status: status(reading.standing, report.status).as_str().to_owned(),
            collected_on: report.collected_at().and_then(day),
            reported_on: report.issued_at().and_then(day),
            content_sha256: case.report_sha256.clone(),
            version: case.version,
            filler_number: report.filler_number,
        },
    }))
}

/// A report that calls itself final and has values that may change is not one that a patient gets.
const fn status(standing: Standing, said: ReportStatus) -> ReportStatus {
    match (standing, said) {
        (_, ReportStatus::Registered | ReportStatus::Partial | ReportStatus::Preliminary) => said,
        (Standing::Interim, _) => ReportStatus::Preliminary,
        _ => said,
    }
}

fn day(moment: &Moment) -> Option<String> {
    moment.date().map(|date| date.to_string())
}

fn clinic_time(case: &Case, at: jiff::Timestamp) -> String {
    let zone = TimeZone::get(&orders::clinic_facts(&case.clinic).time_zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%-d %B %Y %H:%M %Z").to_string()
}

/// The words as approved: the clinician's own where they wrote some, else the interpreters'.
fn findings(case: &Case, report: &Report) -> FindingsView {
    let found = case.interpretation.iter().flat_map(|it| &it.findings);
    let lines = |edited: Option<&Sensitive<String>>, drafted: Vec<Sensitive<String>>| match edited {
        Some(text) => text.expose().lines().map(|line| line.to_owned().into()).collect(),
        None => drafted,
    };
    let clinician = found.clone().map(|it| it.clinician_text.clone().into()).collect();
    let patient =
        found.filter(|it| !it.patient_text.is_empty()).map(|it| it.patient_text.clone().into()).collect();
    FindingsView {
        clinician: lines(case.edits.clinician_text.as_ref(), clinician),
        patient: lines(case.edits.patient_text.as_ref(), patient),
        results: report.results().map(|result| result_line(result).into()).collect(),
        notes: case.notes.iter().map(|note| note.text.clone()).collect(),
    }
}

fn result_line(result: &LabResult) -> String {
    let unit = result.unit.as_ref().map_or("", |unit| unit.sent.as_str());
    let range = result.range.as_ref().map(|range| format!(" (reference {})", range.sent)).unwrap_or_default();
    let flags: Vec<&str> = result.flags.iter().map(|flag| flag.sent.as_str()).collect();
    let flags = if flags.is_empty() { String::new() } else { format!(" [{}]", flags.join(" ")) };
    let status = match result.status {
        ResultStatus::EnteredInError => " WITHDRAWN by the laboratory: do not use",
        ResultStatus::Cancelled => " cancelled by the laboratory",
        ResultStatus::Preliminary => " preliminary: may change",
        ResultStatus::Registered => " not ready yet",
        ResultStatus::Corrected | ResultStatus::Amended => " corrected by the laboratory",
        ResultStatus::Final | ResultStatus::Unknown => "",
    };
    format!("{}: {} {unit}{range}{flags}{status}", result.code.label(), result.value.as_sent())
}

/// The newest earlier version of the lineage that reached Cliniko.
fn superseded(pipeline: &Pipeline, case: &Case) -> Result<Option<SupersededView>, store::Error> {
    let lineage = case::of_lineage(&pipeline.store, &case.clinic, &case.lineage)?;
    for earlier in lineage.iter().rev().filter(|it| it.case.version < case.version) {
        for call in call::of_case(&pipeline.store, &case.clinic, earlier.case.id)? {
            if let Phase::Confirmed { at, .. } = call.phase {
                let filed_on = at.strftime("%Y-%m-%d").to_string();
                let marker = call.marker;
                return Ok(Some(SupersededView { version: earlier.case.version, marker, filed_on }));
            }
        }
    }
    Ok(None)
}

fn not_complete() -> Diagnostic {
    Diagnostic::error(Code::new("D108"), "the case lacks what its documents and note need")
        .fact("held: nothing was planned")
        .help("open the case, complete what is missing, and approve it again")
}
