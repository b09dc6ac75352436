//! The `fullUrl` of every resource of one report, drawn before any is written, so that each can point at the others.

use crate::clinical::fhir::ids::Ids;
use crate::clinical::model::Report;
use crate::formats::fhir;

pub(super) struct Links<'a> {
    pub(super) report: &'a Report,
    /// The laboratory's part of the identifier systems.
    lab_system: String,
    /// That of its results, of which each report has many.
    pub(super) result_system: String,
    /// The laboratory's number for the report, where it has one.
    pub(super) number: Option<fhir::Text<'a>>,
    pub(super) patient: String,
    pub(super) report_url: String,
    /// Where the message says what was ordered, by whom or why.
    pub(super) request: Option<String>,
    /// As [`Report::specimens`].
    pub(super) specimens: Vec<String>,
    /// As [`Report::attachments`].
    pub(super) documents: Vec<String>,
    /// As [`Report::panels`], where there are several; else empty.
    pub(super) groups: Vec<String>,
    /// As [`Report::results`].
    pub(super) results: Vec<String>,
    /// Each performing laboratory once, by name.
    pub(super) organizations: Vec<(fhir::Text<'a>, String)>,
}

impl<'a> Links<'a> {
    pub(super) fn new(report: &'a Report, ids: &Ids, patient: String) -> Self {
        let urls = |kind, count| (0..count).map(|at| ids.url(kind, at)).collect::<Vec<_>>();
        let group_count = if report.panels.len() > 1 { report.panels.len() } else { 0 };
        let has_request = report.order_number.as_deref().and_then(fhir::text::string).is_some()
            || report
                .panels
                .iter()
                .any(|panel| panel.requester.is_some() || panel.clinical_information.is_some());
        let mut organizations = Vec::<(fhir::Text<'a>, String)>::new();
        for name in
            report.results().filter_map(|result| fhir::text::string(result.performing_lab.as_deref()?))
        {
            if !organizations.iter().any(|(known, _)| *known == name) {
                let url = ids.url("Organization", organizations.len());
                organizations.push((name, url));
            }
        }
        let lab_system = format!("urn:haemosync:lab:{}", fhir::text::percent_encoded(&report.lab));
        Self {
            report,
            result_system: format!("{lab_system}:result"),
            lab_system,
            number: fhir::text::string(&report.filler_number),
            patient,
            report_url: ids.url("DiagnosticReport", 0),
            request: has_request.then(|| ids.url("ServiceRequest", 0)),
            specimens: urls("Specimen", report.specimens.len()),
            documents: urls("DocumentReference", report.attachments.len()),
            groups: urls("Group", group_count),
            results: urls("Observation", report.results().count()),
            organizations,
        }
    }

    /// An identifier system that belongs to the laboratory.
    pub(super) fn system(&self, what: &str) -> fhir::Text<'a> {
        format!("{}:{what}", self.lab_system).into()
    }

    pub(super) fn to_patient(&self) -> fhir::Reference<'a> {
        reference(&self.patient)
    }

    pub(super) fn to_request(&self) -> Vec<fhir::Reference<'a>> {
        self.request.iter().map(|url| reference(url)).collect()
    }

    pub(super) fn to_organization(&self, name: &str) -> Option<fhir::Reference<'a>> {
        let name = fhir::text::string(name)?;
        self.organizations.iter().find(|(known, _)| *known == name).map(|(_, url)| reference(url))
    }
}

pub(super) fn reference<'a>(url: &str) -> fhir::Reference<'a> {
    fhir::Reference::to(url.to_owned())
}
