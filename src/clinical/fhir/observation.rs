//! One result as an Observation; one panel among several as a group Observation.

use crate::clinical::fhir::annotation;
use crate::clinical::fhir::concept;
use crate::clinical::fhir::date_time;
use crate::clinical::fhir::ids::id_of;
use crate::clinical::fhir::instant;
use crate::clinical::fhir::links::Links;
use crate::clinical::fhir::links::reference;
use crate::clinical::fhir::value;
use crate::clinical::model::LabResult;
use crate::clinical::model::Panel;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Value;
use crate::formats::fhir;

const RESULT: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Observation-Lab";
const GROUP: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Observation-Group-Lab";

pub(super) fn observation<'a>(
    links: &Links<'a>,
    panel: &'a Panel,
    result: &'a LabResult,
    url: &str,
) -> fhir::Resource<'a> {
    let report = links.report;
    let unit = result.unit.as_ref();
    let (value, data_absent_reason) = match value::value(&result.value, unit) {
        Ok(value) => (Some(value), None),
        Err(reason) => (None, Some(reason)),
    };
    let document = match &result.value {
        Value::Attachment { index } => links.documents.get(*index),
        _ => None,
    };
    let specimen =
        result.specimen.and_then(|index| Some((report.specimens.get(index)?, links.specimens.get(index)?)));
    let collected_at = || panel.collected_at.as_ref().or(specimen?.0.collected_at.as_ref());
    fhir::Resource::Observation(Box::new(fhir::Observation {
        id: Some(id_of(url).to_owned().into()),
        meta: fhir::Meta::profile(RESULT),
        identifier: identifier(links, links.result_system.clone().into(), &result.id.0),
        based_on: links.to_request(),
        status: result.status.as_str().into(),
        category: category(),
        code: concept::required(&result.code),
        subject: links.to_patient(),
        effective_date_time: result.observed_at.as_ref().or_else(collected_at).and_then(date_time),
        issued: panel.reported_at.as_ref().and_then(instant),
        performer: result.performing_lab.iter().filter_map(|name| links.to_organization(name)).collect(),
        value,
        data_absent_reason,
        interpretation: result.flags.iter().filter_map(concept::interpretation).collect(),
        note: annotation(&result.notes),
        method: concept::joined(&result.methods),
        specimen: specimen.map(|(_, url)| reference(url)),
        reference_range: result
            .range
            .iter()
            .filter_map(|range| value::reference_range(range, unit))
            .collect(),
        has_member: Vec::new(),
        derived_from: document.map(|url| reference(url)).into_iter().collect(),
    }))
}

/// A panel among several: no value of its own, the results as members.
pub(super) fn group<'a>(
    links: &Links<'a>,
    panel: &'a Panel,
    members: &[String],
    url: &str,
) -> fhir::Resource<'a> {
    fhir::Resource::Observation(Box::new(fhir::Observation {
        id: Some(id_of(url).to_owned().into()),
        meta: fhir::Meta::profile(GROUP),
        identifier: identifier(links, links.system("panel"), &panel.id),
        based_on: links.to_request(),
        status: group_status(panel.status).as_str().into(),
        category: category(),
        code: concept::required(&panel.code),
        subject: links.to_patient(),
        effective_date_time: panel.collected_at.as_ref().and_then(date_time),
        issued: panel.reported_at.as_ref().and_then(instant),
        note: annotation(&panel.notes),
        has_member: members.iter().map(|url| reference(url)).collect(),
        ..fhir::Observation::default()
    }))
}

/// An Observation cannot be `partial` (value set `observation-status`); what is incomplete is preliminary.
const fn group_status(status: ReportStatus) -> ResultStatus {
    match status {
        ReportStatus::Registered => ResultStatus::Registered,
        ReportStatus::Partial | ReportStatus::Preliminary => ResultStatus::Preliminary,
        ReportStatus::Final => ResultStatus::Final,
        ReportStatus::Amended => ResultStatus::Amended,
        ReportStatus::Corrected => ResultStatus::Corrected,
        ReportStatus::Cancelled => ResultStatus::Cancelled,
        ReportStatus::EnteredInError => ResultStatus::EnteredInError,
        ReportStatus::Unknown => ResultStatus::Unknown,
    }
}

/// The laboratory's filler number, and where in the message this stood.
fn identifier<'a>(links: &Links<'a>, system: fhir::Text<'a>, place: &str) -> Vec<fhir::Identifier<'a>> {
    let Some(number) = links.number.as_deref() else { return Vec::new() };
    let value = [number, "/", place].concat().into();
    vec![fhir::Identifier { system: Some(system), value: Some(value), ..fhir::Identifier::default() }]
}

fn category<'a>() -> Vec<fhir::CodeableConcept<'a>> {
    const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
    vec![fhir::CodeableConcept::of(SYSTEM, "laboratory", "Laboratory")]
}
