//! The report itself and what stands around its results: order, specimens, laboratories, documents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clinical::fhir::annotation;
use crate::clinical::fhir::concept;
use crate::clinical::fhir::date_time;
use crate::clinical::fhir::ids::id_of;
use crate::clinical::fhir::instant;
use crate::clinical::fhir::links::Links;
use crate::clinical::fhir::links::reference;
use crate::clinical::fhir::notes_text;
use crate::clinical::model::Attachment;
use crate::clinical::model::Panel;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::Specimen;
use crate::clinical::model::System;
use crate::formats::fhir;
use crate::formats::fhir::text::string;

const REPORT: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-DiagnosticReport-Lab";
const REQUEST: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-ServiceRequest-Lab";
const SPECIMEN: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Specimen";
const ORGANIZATION: &str = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Organization";
const IDENTIFIER_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
/// Whose number it is (table 0203), with the display FHIR's code system has for it.
const ACCESSION: (&str, &str) = ("ACSN", "Accession ID");
const FILLER: (&str, &str) = ("FILL", "Filler Identifier");
const PLACER: (&str, &str) = ("PLAC", "Placer Identifier");

pub(super) fn diagnostic_report<'a>(links: &Links<'a>) -> fhir::Resource<'a> {
    let report = links.report;
    let issued_at = report.issued_at();
    let issued = issued_at.and_then(instant);
    // A day of reporting cannot be an `instant`. Where no time of collection is known it is the day that is.
    let effective_at = report.collected_at().or(issued_at.filter(|_| issued.is_none()));
    // Notes of a panel among several stand with its group.
    let panel_notes = if let [only] = &*report.panels { notes_text(&only.notes) } else { None };
    let conclusion = match (notes_text(&report.notes), panel_notes) {
        (Some(report), Some(panel)) => Some(format!("{report}\n{panel}").into()),
        (report, panel) => report.or(panel),
    };
    let results = if links.groups.is_empty() { &links.results } else { &links.groups };
    fhir::Resource::DiagnosticReport(Box::new(fhir::DiagnosticReport {
        id: Some(id_of(&links.report_url).to_owned().into()),
        meta: fhir::Meta::profile(REPORT),
        identifier: identifier(FILLER, links.system("filler"), &report.filler_number).into_iter().collect(),
        based_on: links.to_request(),
        status: report.status.as_str().into(),
        category: vec![fhir::CodeableConcept::of(
            "http://terminology.hl7.org/CodeSystem/v2-0074",
            "LAB",
            "Laboratory",
        )],
        code: code(&report.panels),
        subject: links.to_patient(),
        effective_date_time: effective_at.and_then(date_time),
        issued,
        performer: links.organizations.iter().map(|(_, url)| reference(url)).collect(),
        specimen: links.specimens.iter().map(|url| reference(url)).collect(),
        result: results.iter().map(|url| reference(url)).collect(),
        conclusion,
    }))
}

/// The code of the only panel; for several, that of UK Core's laboratory guide, with their names as its text.
fn code(panels: &[Panel]) -> fhir::CodeableConcept<'_> {
    if let [only] = panels {
        return concept::required(&only.code);
    }
    let concept = fhir::CodeableConcept::of(System::SNOMED, "721981007", "Diagnostic studies report");
    match concept::labels(panels.iter().map(|panel| &panel.code)) {
        Some(names) => concept.with_text(names),
        None => concept,
    }
}

/// What was ordered, as far as the laboratory repeats it.
pub(super) fn service_request<'a>(links: &Links<'a>, url: &str) -> fhir::Resource<'a> {
    let report = links.report;
    let requester = report.panels.iter().find_map(|panel| string(panel.requester.as_ref()?.expose()));
    let mut information = Vec::new();
    for panel in &report.panels {
        let text = panel.clinical_information.as_ref().and_then(|text| string(text.expose()));
        information.extend(text.filter(|text| !information.contains(text)));
    }
    fhir::Resource::ServiceRequest(Box::new(fhir::ServiceRequest {
        id: Some(id_of(url).to_owned().into()),
        meta: fhir::Meta::profile(REQUEST),
        identifier: (report.order_number.as_deref())
            .and_then(|number| identifier(PLACER, "urn:haemosync:order".into(), number))
            .into_iter()
            .collect(),
        status: "active".into(),
        intent: "order".into(),
        category: vec![fhir::CodeableConcept::of(System::SNOMED, "108252007", "Laboratory procedure")],
        code: if let [only] = &*report.panels { concept::concept(&only.code) } else { None },
        subject: links.to_patient(),
        requester: requester.map(fhir::Reference::display),
        note: if information.is_empty() {
            Vec::new()
        } else {
            vec![fhir::Annotation { text: information.join("\n").into() }]
        },
    }))
}

pub(super) fn specimen<'a>(links: &Links<'a>, specimen: &'a Specimen, url: &str) -> fhir::Resource<'a> {
    let placer_number = (specimen.placer_number.as_deref())
        .and_then(|number| identifier(PLACER, "urn:haemosync:specimen".into(), number));
    let accession = (specimen.accession.as_deref())
        .and_then(|number| identifier(ACCESSION, links.system("accession"), number));
    // The panel's time of receipt is the specimen's where there is no other specimen it could mean.
    let is_only = links.report.specimens.len() == 1;
    let panel_received =
        || links.report.panels.iter().find_map(|panel| panel.received_at.as_ref()).filter(|_| is_only);
    let rejections = concept::rejections(specimen);
    let note = match (&rejections, notes_text(&specimen.notes)) {
        (Some(rejections), Some(notes)) => {
            vec![fhir::Annotation { text: format!("{rejections}\n{notes}").into() }]
        }
        (Some(rejections), None) => vec![fhir::Annotation { text: rejections.clone().into() }],
        (None, _) => annotation(&specimen.notes),
    };
    fhir::Resource::Specimen(Box::new(fhir::Specimen {
        id: Some(id_of(url).to_owned().into()),
        meta: fhir::Meta::profile(SPECIMEN),
        identifier: placer_number.into_iter().chain(accession.clone()).collect(),
        accession_identifier: accession,
        status: rejections.map(|_| "unsatisfactory".into()),
        kind: specimen.kind.as_ref().and_then(concept::concept),
        subject: Some(links.to_patient()),
        received_time: specimen.received_at.as_ref().or_else(panel_received).and_then(date_time),
        request: links.to_request(),
        collection: (specimen.collected_at.as_ref())
            .and_then(date_time)
            .map(|collected_date_time| fhir::Collection { collected_date_time }),
        condition: specimen.conditions.iter().filter_map(concept::concept).collect(),
        note,
    }))
}

pub(super) fn organization<'a>(url: &str, name: &fhir::Text<'a>) -> fhir::Resource<'a> {
    fhir::Resource::Organization(Box::new(fhir::Organization {
        id: Some(id_of(url).to_owned().into()),
        meta: fhir::Meta::profile(ORGANIZATION),
        name: Some(name.clone()),
    }))
}

/// A document of the report. UK Core's laboratory guide forbids `presentedForm`, so it points at the report instead.
pub(super) fn document<'a>(links: &Links<'a>, attachment: &'a Attachment, url: &str) -> fhir::Resource<'a> {
    let data = attachment.document.as_ref().map(|document| STANDARD.encode(document.bytes()));
    let title = attachment.title.as_deref().and_then(string);
    let pointer = attachment.pointer.as_ref().and_then(|pointer| string(pointer.expose()));
    let location =
        pointer.clone().filter(|pointer| pointer.contains("://") && !pointer.contains(char::is_whitespace));
    let description = match (&data, pointer) {
        (None, None) if attachment.sha256.is_some() => {
            Some("The document is kept by the gateway, with the case".into())
        }
        (None, Some(pointer)) if location.is_none() => {
            Some(format!("The sender keeps the document at: {pointer}").into())
        }
        (None, None) => Some("No document was sent".into()),
        _ => title.clone(),
    };
    let named = attachment.media_type.as_deref().and_then(fhir::text::code);
    let content_type = named.or_else(|| data.as_ref().map(|_| "application/octet-stream".into()));
    let is_empty = content_type.is_none() && data.is_none() && location.is_none() && title.is_none();
    let title = if is_empty { Some("Document".into()) } else { title };
    let status =
        if links.report.status == ReportStatus::EnteredInError { "entered-in-error" } else { "current" };
    fhir::Resource::DocumentReference(Box::new(fhir::DocumentReference {
        id: Some(id_of(url).to_owned().into()),
        meta: None,
        status: status.into(),
        subject: Some(links.to_patient()),
        description,
        content: vec![fhir::Content {
            attachment: fhir::Attachment { content_type, data: data.map(Into::into), url: location, title },
        }],
        context: Some(fhir::DocumentContext { related: vec![reference(&links.report_url)] }),
    }))
}

/// An identifier with its type (table 0203), or none where the number is blank.
fn identifier<'a>(
    (code, display): (&'a str, &'a str),
    system: fhir::Text<'a>,
    number: &'a str,
) -> Option<fhir::Identifier<'a>> {
    Some(fhir::Identifier {
        kind: Some(fhir::CodeableConcept::of(IDENTIFIER_TYPES, code, display)),
        system: Some(system),
        value: Some(string(number)?),
        ..fhir::Identifier::default()
    })
}
