//! A case as JSON: its own shape, so that the model can change without the API.
//!
//! Values and units stand as the laboratory sent them. Fields that are not known are `null`, never left out, but for
//! what a reader may not see: that has no field.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::clinical::lineage::How;
use crate::clinical::lineage::Story;
use crate::clinical::model::AbsentReason;
use crate::clinical::model::Attachment;
use crate::clinical::model::Finding;
use crate::clinical::model::Interpretation;
use crate::clinical::model::LabResult;
use crate::clinical::model::Moment;
use crate::clinical::model::Note;
use crate::clinical::model::Panel;
use crate::clinical::model::Patient;
use crate::clinical::model::PersonName;
use crate::clinical::model::RangeFlag;
use crate::clinical::model::Report;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Sex;
use crate::clinical::model::StatusDetail;
use crate::clinical::model::Urgency;
use crate::clinical::model::Value as Measured;
use crate::pipeline::records::call::Call;
use crate::pipeline::records::call::Phase;
use crate::pipeline::records::call::What;
use crate::pipeline::records::case::Approval;
use crate::pipeline::records::case::Case;
use crate::pipeline::records::case::MatchedPatient;
use crate::pipeline::records::case::Signed;
use crate::pipeline::records::report::ReportKey;
use crate::pipeline::review::Previous;
use crate::pipeline::review::Row;
use crate::pipeline::review::VersionRow;
use crate::pipeline::review::View;

/// A case in a list, and the whole of it for who is no clinician.
pub(super) fn row(row: &Row) -> Value {
    let mut shown = json!({
        "id": row.id,
        "version": row.version,
        "state": row.state.as_str(),
        "urgency": row.urgency.map(Urgency::as_str),
        "seen": row.seen,
        "opened_at": row.opened_at.to_string(),
        "order_number": row.order_number,
    });
    if row.unreadable {
        shown["unreadable"] = json!(true);
    }
    if let Some(clinical) = &row.clinical {
        shown["lab"] = json!(clinical.lab);
        shown["filler_number"] = json!(clinical.filler_number);
        shown["status"] = json!(clinical.status.as_str());
        shown["patient_name"] = json!(clinical.patient_name.as_ref().map(Sensitive::expose));
        shown["suggested_patient_id"] = json!(clinical.suggested_patient_id);
    }
    shown
}

/// Everything a clinician sees.
pub(super) fn full(view: &View) -> Value {
    let case = &view.stored.case;
    let standing = &view.stored.standing;
    let interpretation = case.interpretation.as_ref();
    let path = format!("/api/v1/cases/{}/documents", case.id);
    json!({
        "id": case.id,
        "version": case.version,
        "state": standing.state.as_str(),
        "urgency": standing.urgency.map(Urgency::as_str),
        "clinic": case.clinic,
        "opened_at": case.opened_at.to_string(),
        "seen": case.seen.as_ref().map(signed),
        "content_sha256": view.content_sha256,
        "report": report(view, interpretation, &case.report_sha256),
        "findings": interpretation.map(findings).unwrap_or_default(),
        "not_assessed": interpretation.map_or_else(|| json!([]), |it| json!(it.not_assessed)),
        "interpreters": interpretation.map_or_else(|| json!([]), |it| {
            json!([{ "id": it.interpreter, "version": it.version, "digest": it.digest }])
        }),
        "patient": case.patient.as_ref().map(patient),
        "suggested_patient_id": case.suggested_patient_id,
        "edits": {
            "clinician_text": case.edits.clinician_text.as_ref().map(Sensitive::expose),
            "patient_text": case.edits.patient_text.as_ref().map(Sensitive::expose),
            "contact_confirmed": case.edits.contact_confirmed,
        },
        "notes": case.notes.iter()
            .map(|note| json!({ "by": signed(&note.by), "text": note.text.expose() }))
            .collect::<Vec<_>>(),
        "approval": case.approval.as_ref().map(approval),
        "rejection": rejection(case),
        "holds": case.holds,
        "attachments": attachments(&view.material.reading.report, &case.id.to_string()),
        "versions": view.versions.iter().map(version).collect::<Vec<_>>(),
        "previous": view.material.previous.as_ref().map(previous),
        "documents": case.patient.as_ref().map(|_| {
            json!({ "clinician": format!("{path}/clinician.pdf"), "patient": format!("{path}/patient.pdf") })
        }),
        "calls": view.calls.iter().map(call).collect::<Vec<_>>(),
    })
}

/// The documents that came with the report, and where each can be had; a pointer is only text.
fn attachments(report: &Report, case: &str) -> Vec<Value> {
    let one = |(number, it): (u16, &Attachment)| {
        json!({
            "number": number,
            "position": it.id,
            "title": it.title,
            "media_type": it.media_type,
            "bytes": it.bytes,
            "sha256": it.sha256,
            "pointer": it.pointer.as_ref().map(Sensitive::expose),
            "href": it.sha256.as_ref().map(|_| format!("/api/v1/cases/{case}/attachments/{number}")),
        })
    };
    (1u16..).zip(&report.attachments).map(one).collect()
}

/// A planned call, and the proof that it happened where there is one.
fn call(call: &Call) -> Value {
    let (phase, receipt) = match &call.phase {
        Phase::Planned => ("planned", None),
        Phase::Registering { .. } => ("registering", None),
        Phase::Confirmed { cliniko_id, at, verified, .. } => {
            let receipt =
                json!({ "cliniko_id": cliniko_id.as_str(), "at": at.to_string(), "verified": verified });
            ("confirmed", Some(receipt))
        }
    };
    let kind = match call.what {
        What::Attachment { .. } => "attachment",
        What::Note { .. } => "note",
    };
    json!({ "id": call.id, "kind": kind, "phase": phase, "receipt": receipt })
}

fn signed(it: &Signed) -> Value {
    json!({ "user": it.user, "name": it.name.expose(), "at": it.at.to_string() })
}

fn report(view: &View, interpretation: Option<&Interpretation>, sha256: &str) -> Value {
    let flags: BTreeMap<&ResultId, RangeFlag> =
        interpretation.into_iter().flat_map(|it| &it.range_flags).map(|(id, flag)| (id, *flag)).collect();
    let reading = &view.material.reading;
    let report = &reading.report;
    let stories: BTreeMap<&ResultId, Value> =
        reading.stories.iter().map(|it| (&it.result, story(it, &view.material.versions))).collect();
    let received = report.panels.iter().find_map(|panel| panel.received_at.as_ref());
    json!({
        "sha256": sha256,
        "lab": report.lab,
        "filler_number": report.filler_number,
        "order_number": report.order_number,
        "status": report.status.as_str(),
        "standing": reading.standing.as_str(),
        "mapping": report.origin.mapping_digest,
        "sent_at": report.origin.sent_at.as_ref().map(|it| &it.iso),
        "collected_at": iso(report.collected_at()),
        "received_at": iso(received),
        "reported_at": iso(report.issued_at()),
        "panels": report.panels.iter().map(|it| panel(it, &flags, &stories)).collect::<Vec<_>>(),
        "notes": texts(&report.notes),
        "patient_as_sent": patient_as_sent(&report.patient),
    })
}

/// How a result came to read as it does: every word on it, oldest first, each with when the laboratory wrote it.
fn story(story: &Story, versions: &[(ReportKey, Option<Moment>)]) -> Value {
    let of = |place: usize| versions.get(place);
    let at = |place: usize| of(place).and_then(|(_, at)| at.as_ref()).map(|at| &at.iso);
    let (how, from) = match story.how {
        How::AsSent => ("as_sent", None),
        How::CarriedOver { from } => ("carried_over", Some(from)),
        How::Promoted { from } => ("promoted", Some(from)),
        How::VoidedWithPanel { from } => ("voided_with_panel", Some(from)),
    };
    let said: Vec<Value> = story
        .said
        .iter()
        .map(|it| {
            json!({ "report": of(it.version).map(|(key, _)| key.to_string()), "sent_at": at(it.version),
                "value": it.value, "unit": it.unit, "status": it.status.as_str(),
                "status_detail": it.detail.map(StatusDetail::as_str), "notes": it.notes })
        })
        .collect();
    json!({ "how": how, "from": from.and_then(of).map(|(key, _)| key.to_string()),
        "from_sent_at": from.and_then(at), "history": said })
}

/// A version of the lineage, for who reads another.
fn version(it: &VersionRow) -> Value {
    json!({ "case": it.case, "version": it.version, "state": it.state.as_str(), "report": it.report.to_string(),
        "status": it.status.as_str(), "sent_at": it.said_at.as_ref().map(|at| &at.iso),
        "received_at": it.received_at.to_string(), "approved_at": it.approved_at.map(|at| at.to_string()) })
}

/// Who the laboratory says it is: what a person matches by, and no proof of anything.
fn patient_as_sent(patient: &Patient) -> Value {
    let name = |it: &PersonName| {
        let parts: Vec<&str> = it.given.iter().chain(&it.family).map(|part| part.expose().as_str()).collect();
        parts.join(" ")
    };
    json!({
        "names": patient.names.iter().map(name).collect::<Vec<_>>(),
        "birth_date": patient.birth_date.as_ref().map(|it| &it.expose().iso),
        "sex": patient.sex.map(Sex::as_str),
        "nhs_number": patient.nhs_number().map(Sensitive::expose),
        "identifiers": patient.identifiers.iter()
            .map(|it| json!({ "kind": it.kind, "value": it.value.expose(), "authority": it.authority }))
            .collect::<Vec<_>>(),
        "postcodes": patient.addresses.iter()
            .filter_map(|it| it.postcode.as_ref().map(Sensitive::expose))
            .collect::<Vec<_>>(),
    })
}

fn panel(
    panel: &Panel,
    flags: &BTreeMap<&ResultId, RangeFlag>,
    stories: &BTreeMap<&ResultId, Value>,
) -> Value {
    let shown = |it: &LabResult| {
        let mut shown = result(it, flags.get(&it.id).copied());
        shown["lineage"] = stories.get(&it.id).cloned().unwrap_or_default();
        shown
    };
    json!({
        "name": panel.code.label(),
        "status": panel.status.as_str(),
        "results": panel.results.iter().map(shown).collect::<Vec<_>>(),
        "notes": texts(&panel.notes),
    })
}

fn result(result: &LabResult, flag: Option<RangeFlag>) -> Value {
    let coding = result.code.codings.first();
    let absent = match &result.value {
        Measured::Absent { reason } => Some(match reason {
            AbsentReason::NotPerformed => "not_performed",
            AbsentReason::Null => "null",
            AbsentReason::Pending => "pending",
            AbsentReason::Unknown => "unknown",
        }),
        _ => None,
    };
    let value = match &result.value {
        Measured::Absent { .. } | Measured::Attachment { .. } => None,
        value => Some(value.as_sent()),
    };
    json!({
        "id": result.id,
        "name": result.code.label(),
        "code": coding.map(|it| &it.code),
        "system": coding.and_then(|it| it.system.as_ref()),
        "value": value,
        "absent": absent,
        "unit": result.unit.as_ref().map(|it| &it.sent),
        "range": result.range.as_ref().map(|it| &it.sent),
        "range_flag": flag.map(RangeFlag::as_str),
        "flags": result.flags.iter().map(|it| &it.sent).collect::<Vec<_>>(),
        "status": result.status.as_str(),
        "status_detail": result.detail.map(StatusDetail::as_str),
        "notes": texts(&result.notes),
        "interpreted": !result.not_interpreted,
    })
}

fn iso(moment: Option<&Moment>) -> Option<&str> {
    moment.map(|it| it.iso.as_str())
}

fn texts(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.text.as_str()).collect()
}

/// Most urgent first.
fn findings(interpretation: &Interpretation) -> Vec<Value> {
    let mut findings: Vec<&Finding> = interpretation.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.urgency));
    findings
        .into_iter()
        .map(|it| {
            json!({
                "id": it.id,
                "urgency": it.urgency.as_str(),
                "about": it.about,
                "clinician_text": it.clinician_text,
                "patient_text": it.patient_text,
                "follow_up": it.follow_up,
                "evidence": it.evidence,
                "source": it.source,
            })
        })
        .collect()
}

fn patient(patient: &MatchedPatient) -> Value {
    json!({
        "cliniko_id": patient.cliniko_id,
        "name": patient.name.expose(),
        "birth_date": patient.birth_date.expose().iso,
        "sex": patient.sex,
        "nhs_number": patient.nhs_number.as_ref().map(Sensitive::expose),
        "matched": {
            "how": if patient.matched_by.is_some() { "by_hand" } else { "automatic" },
            "by": patient.matched_by.as_ref().map(signed),
            "evidence": patient.evidence,
        },
    })
}

fn approval(approval: &Approval) -> Value {
    json!({
        "by": signed(&approval.by),
        "content_sha256": approval.content_sha256,
        "clinician_pdf_sha256": approval.clinician_pdf_sha256,
        "patient_pdf_sha256": approval.patient_pdf_sha256,
    })
}

fn rejection(case: &Case) -> Option<Value> {
    case.rejection.as_ref().map(|it| json!({ "by": signed(&it.by), "reason": it.reason.expose() }))
}

fn previous(previous: &Previous) -> Value {
    let changes: Vec<Value> = previous
        .changes
        .iter()
        .map(|it| {
            json!({ "result": it.result, "name": it.name, "old": it.old, "new": it.new,
            "status": it.status.map(ResultStatus::as_str), "urgent": it.crosses })
        })
        .collect();
    let at = previous.said_at.as_ref().map(|it| &it.iso);
    json!({ "case": previous.case, "version": previous.version, "sent_at": at, "changes": changes })
}
