//! The contract of every interpreter: what it is shown ([`Request`]), and the [`guard`] its answer passes.
//!
//! A request is a read-only view of a report. It holds no name, number, address or birth date, and unknown stays
//! unknown in it. The built-in interpreter is [`rules`]; others may add to its findings, never take away.

pub mod guard;
pub mod rules;

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;

use crate::clinical::model::Code;
use crate::clinical::model::Flag;
use crate::clinical::model::LabResult;
use crate::clinical::model::Moment;
use crate::clinical::model::Note;
use crate::clinical::model::Panel;
use crate::clinical::model::ReferenceRange;
use crate::clinical::model::Report;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sex;
use crate::clinical::model::Specimen;
use crate::clinical::model::Unit;
use crate::clinical::model::Value;

/// What an interpreter gets. Nothing in it says who the patient is.
#[derive(Debug, Clone, Serialize)]
pub struct Request<'a> {
    /// Completed years on the day of collection; unknown where either date is.
    pub age_years: Option<u32>,
    /// For ranges only.
    pub sex: Option<Sex>,
    pub pregnant: Option<bool>,
    pub lab: &'a str,
    /// In the order sent.
    pub results: Vec<RequestResult<'a>>,
    pub specimens: Vec<RequestSpecimen<'a>>,
    /// Comments on panels.
    pub notes: Vec<&'a str>,
    /// Comments on the patient or the whole report; they may name a person, so they stay inside the gateway.
    #[serde(skip)]
    pub report_notes: Vec<&'a str>,
    pub fasting: Option<bool>,
    pub self_collected: Option<bool>,
    /// Earlier results of the same patient; `None` where nobody looked.
    pub earlier: Option<Vec<EarlierResult<'a>>>,
    /// What a person answered to a named question (`biotin`, `diabetes`); a question not asked is absent.
    pub told: BTreeMap<String, bool>,
    /// The clinic's settings that an interpreter may know.
    pub settings: BTreeMap<String, String>,
}

/// One result as an interpreter sees it.
#[derive(Debug, Clone, Serialize)]
pub struct RequestResult<'a> {
    pub id: &'a ResultId,
    pub code: &'a Code,
    pub value: &'a Value,
    pub unit: Option<&'a Unit>,
    pub range: Option<&'a ReferenceRange>,
    pub flags: &'a [Flag],
    pub status: ResultStatus,
    pub notes: Vec<&'a str>,
    pub methods: &'a [Code],
    pub performing_lab: Option<&'a str>,
    pub collected_at: Option<&'a Moment>,
    /// A code or unit was kept as text only: no interpreter may speak of this result.
    pub not_interpreted: bool,
}

/// One specimen as an interpreter sees it.
#[derive(Debug, Clone, Serialize)]
pub struct RequestSpecimen<'a> {
    pub kind: Option<&'a Code>,
    pub collected_at: Option<&'a Moment>,
    pub received_at: Option<&'a Moment>,
    pub conditions: Vec<&'a Code>,
    pub notes: Vec<&'a str>,
}

/// A result of an earlier report of the same patient.
#[derive(Debug, Clone, Serialize)]
pub struct EarlierResult<'a> {
    pub lab: &'a str,
    /// Days between that collection and this one; never negative.
    pub days_before: u32,
    pub result: RequestResult<'a>,
}

/// What is known beside the report. The default knows nothing.
#[derive(Debug, Clone, Default)]
pub struct Context<'a> {
    pub pregnant: Option<bool>,
    pub fasting: Option<bool>,
    pub self_collected: Option<bool>,
    /// Earlier reports of the same patient, matched by the clinic; `None` where nobody looked.
    pub earlier: Option<&'a [Report]>,
    pub told: BTreeMap<String, bool>,
    pub settings: BTreeMap<String, String>,
}

/// Makes the read-only view of `report` that interpreters get.
pub fn request<'a>(report: &'a Report, context: Context<'a>) -> Request<'a> {
    let collected = collected_on(report);
    let earlier = context.earlier.map(|reports| earlier_results(reports, collected));
    Request {
        age_years: age_years(report, collected),
        sex: report.patient.sex,
        pregnant: context.pregnant,
        lab: &report.lab,
        results: results_of(report),
        specimens: report
            .specimens
            .iter()
            .map(specimen_view)
            .chain(report.panels.iter().map(panel_view))
            .collect(),
        notes: report.panels.iter().flat_map(|panel| texts(&panel.notes)).collect(),
        report_notes: texts(&report.notes),
        fasting: context.fasting.or_else(|| fasting_as_sent(report)),
        self_collected: context.self_collected,
        earlier,
        told: context.told,
        settings: context.settings,
    }
}

fn texts(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.text.as_str()).collect()
}

/// The day the specimen was taken, by the panels or else by the specimens.
fn collected_on(report: &Report) -> Option<Date> {
    let of_specimens = || report.specimens.iter().find_map(|specimen| specimen.collected_at.as_ref());
    report.collected_at().or_else(of_specimens)?.date()
}

fn age_years(report: &Report, collected: Option<Date>) -> Option<u32> {
    let born = report.patient.birth_date.as_ref()?.expose().date()?;
    let on = collected?;
    let had_birthday = (on.month(), on.day()) >= (born.month(), born.day());
    u32::try_from(i32::from(on.year()) - i32::from(born.year()) - i32::from(!had_birthday)).ok()
}

fn results_of(report: &Report) -> Vec<RequestResult<'_>> {
    report
        .panels
        .iter()
        .flat_map(|panel| {
            panel.results.iter().map(move |result| result_view(result, panel.collected_at.as_ref()))
        })
        .collect()
}

fn result_view<'a>(result: &'a LabResult, collected_at: Option<&'a Moment>) -> RequestResult<'a> {
    RequestResult {
        id: &result.id,
        code: &result.code,
        value: &result.value,
        unit: result.unit.as_ref(),
        range: result.range.as_ref(),
        flags: &result.flags,
        status: result.status,
        notes: texts(&result.notes),
        methods: &result.methods,
        performing_lab: result.performing_lab.as_deref(),
        collected_at: result.observed_at.as_ref().or(collected_at),
        not_interpreted: result.not_interpreted,
    }
}

fn specimen_view(specimen: &Specimen) -> RequestSpecimen<'_> {
    RequestSpecimen {
        kind: specimen.kind.as_ref(),
        collected_at: specimen.collected_at.as_ref(),
        received_at: specimen.received_at.as_ref(),
        conditions: specimen.conditions.iter().chain(&specimen.reject_reasons).collect(),
        notes: texts(&specimen.notes),
    }
}

/// A panel's own times stand for its specimen: before version 2.5 there is nothing else (OBR-7, OBR-14).
fn panel_view(panel: &Panel) -> RequestSpecimen<'_> {
    RequestSpecimen {
        kind: None,
        collected_at: panel.collected_at.as_ref(),
        received_at: panel.received_at.as_ref(),
        conditions: Vec::new(),
        notes: Vec::new(),
    }
}

/// Table 0916 (OBR-13): `F` is fasting, `NF` is not. Any other text there is for people.
fn fasting_as_sent(report: &Report) -> Option<bool> {
    report.panels.iter().find_map(|panel| match panel.clinical_information.as_ref()?.expose().trim() {
        "F" => Some(true),
        "NF" => Some(false),
        _ => None,
    })
}

/// Results whose age is unknown, or that are no older than this report, are no history.
fn earlier_results(reports: &[Report], collected: Option<Date>) -> Vec<EarlierResult<'_>> {
    let Some(now) = collected else { return Vec::new() };
    reports
        .iter()
        .filter_map(|report| Some((report, collected_on(report)?)))
        .filter_map(|(report, on)| Some((report, u32::try_from((now - on).get_days()).ok()?)))
        .flat_map(|(report, days_before)| {
            results_of(report).into_iter().map(move |result| EarlierResult {
                lab: &report.lab,
                days_before,
                result,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
