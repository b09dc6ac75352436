//! A canonical report as a FHIR R4 Bundle in UK Core shape.
//!
//! | canonical | FHIR |
//! | --- | --- |
//! | report | DiagnosticReport; with a ServiceRequest where the message says what was ordered |
//! | panel | the DiagnosticReport itself where it is the only one; else a group Observation each, with `hasMember` |
//! | result | exactly one Observation each |
//! | patient, specimen, performing laboratory, attachment | Patient, Specimen, Organization, DocumentReference |
//!
//! Invariants: the same reports and key give the same bytes; every reference resolves inside the Bundle; what the
//! sender wrote as a number keeps its digits. Refuses to guess: what has no agreed FHIR code goes out as text.
//! Not written, for want of an element in R4 and UK Core: OBX-4, OBX-19, where the message came from, and what a
//! mapping keeps as `extra`. They stay in the canonical report.

mod concept;
mod ids;
mod links;
mod observation;
mod patient;
mod report;
mod value;

use std::collections::HashMap;
use std::slice;

use crate::clinical::model::Moment;
use crate::clinical::model::Note;
use crate::clinical::model::Report;
use crate::formats::fhir;

use self::ids::Ids;
use self::links::Links;

pub use self::ids::IdKey;

/// One report as a Bundle of type `collection`.
pub fn bundle<'a>(report: &'a Report, key: &IdKey) -> fhir::Bundle<'a> {
    collection(slice::from_ref(report), key)
}

/// The reports of one message as one Bundle of type `collection`.
///
/// Reports that follow one another with the same identified patient share one Patient.
pub fn collection<'a>(reports: &'a [Report], key: &IdKey) -> fhir::Bundle<'a> {
    let mut entries = Vec::new();
    let mut id = None;
    let mut seen = HashMap::<_, usize>::new();
    let mut previous: Option<(&'a Report, Links<'a>)> = None;
    for report in reports {
        let repeat = seen.entry((&report.lab, &report.filler_number)).or_default();
        let ids = Ids::new(key, report, *repeat);
        *repeat += 1;
        id.get_or_insert_with(|| ids.id("Bundle", 0));
        let known = previous.as_ref().filter(|(other, _)| same_patient(other, report));
        let patient = known.map(|(_, links)| links.patient.clone());
        let is_new = patient.is_none();
        let links = Links::new(report, &ids, patient.unwrap_or_else(|| ids.url("Patient", 0)));
        if is_new {
            entries.push(entry(&links.patient, patient::patient(&links)));
        }
        write_report(&links, &mut entries);
        previous = Some((report, links));
    }
    fhir::Bundle { id: id.map(Into::into), kind: "collection".into(), entry: entries }
}

/// Two reports of nobody are not of the same person: only an identifier makes two patients one.
fn same_patient(a: &Report, b: &Report) -> bool {
    a.lab == b.lab && !a.patient.identifiers.is_empty() && a.patient == b.patient
}

fn write_report<'a>(links: &Links<'a>, entries: &mut Vec<fhir::Entry<'a>>) {
    let report = links.report;
    for (name, url) in &links.organizations {
        entries.push(entry(url, report::organization(url, name)));
    }
    if let Some(url) = &links.request {
        entries.push(entry(url, report::service_request(links, url)));
    }
    for (specimen, url) in report.specimens.iter().zip(&links.specimens) {
        entries.push(entry(url, report::specimen(links, specimen, url)));
    }
    entries.push(entry(&links.report_url, report::diagnostic_report(links)));
    let mut results = links.results.iter();
    let mut groups = links.groups.iter();
    for panel in &report.panels {
        let members = results.as_slice().get(..panel.results.len()).unwrap_or_default();
        if let Some(url) = groups.next() {
            entries.push(entry(url, observation::group(links, panel, members, url)));
        }
        for (result, url) in panel.results.iter().zip(&mut results) {
            entries.push(entry(url, observation::observation(links, panel, result, url)));
        }
    }
    for (attachment, url) in report.attachments.iter().zip(&links.documents) {
        entries.push(entry(url, report::document(links, attachment, url)));
    }
}

fn entry<'a>(url: &str, resource: fhir::Resource<'a>) -> fhir::Entry<'a> {
    fhir::Entry { full_url: url.to_owned().into(), resource }
}

/// As much of a date and time as is known.
fn date_time(moment: &Moment) -> Option<fhir::Text<'_>> {
    fhir::text::code(&moment.iso)
}

/// FHIR's `instant`: only a full time, which in [`Moment::iso`] always has its offset.
fn instant(moment: &Moment) -> Option<fhir::Text<'_>> {
    date_time(moment).filter(|iso| iso.contains('T'))
}

/// All notes as one text, a line break between them; UK Core's laboratory guide takes one note at most.
fn notes_text(notes: &[Note]) -> Option<fhir::Text<'_>> {
    let mut texts = notes.iter().filter_map(|note| fhir::text::string(&note.text));
    let first = texts.next()?;
    Some(texts.fold(first, |all, text| format!("{all}\n{text}").into()))
}

fn annotation(notes: &[Note]) -> Vec<fhir::Annotation<'_>> {
    notes_text(notes).map(|text| fhir::Annotation { text }).into_iter().collect()
}
