//! The algebra of versions: what a laboratory says now, of all it said under one filler number.
//!
//! Versions are ordered by the laboratory's own time, and by arrival only where that does not tell; so every order of
//! arrival ends the same (R9). Nothing is edited: a result reads as the newest version that names it says, its history
//! stays beside it, and what a newer version leaves out is carried over, because leaving out is no deletion. What one
//! version says of one person never becomes a result of another (R10).
//! Start at [`in_order`], then [`read`].

mod compose;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::clinical::model::LabResult;
use crate::clinical::model::Moment;
use crate::clinical::model::Report;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::StatusDetail;
use crate::formats::hl7v2::timestamp;

pub use self::compose::read;

/// One report of a lineage, as it was mapped.
#[derive(Debug, Clone, Copy)]
pub struct Version<'a> {
    pub report: &'a Report,
    /// Stands in for the laboratory's time where it gave none.
    pub received_at: Timestamp,
}

/// What a laboratory says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The newest version, with what stands from older ones put in.
    pub report: Report,
    /// One for each result of `report`, in its order.
    pub stories: Vec<Story>,
    pub standing: Standing,
    /// Places of versions that speak of another person than the newest does; nothing of them is in `report`.
    pub of_another: Vec<usize>,
}

/// What a reading is as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// To be interpreted and approved as it is.
    Complete,
    /// The laboratory has not finished: for the clinician, not for the patient.
    Interim,
    /// None of it could be done.
    Cancelled,
    /// The laboratory took all of it back.
    Withdrawn,
}

impl Standing {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Interim => "interim",
            Self::Cancelled => "cancelled",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// How one result came to read as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// The result in the reading's report.
    pub result: ResultId,
    pub how: How,
    /// Every word on it, oldest first; the last is the present one.
    pub said: Vec<Said>,
}

/// Why a result stands in a reading. Versions are named by their place in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The newest version says so.
    AsSent,
    /// The newest version does not name it; this one did last.
    CarriedOver { from: usize },
    /// The newest version made it final without its value, which this one sent.
    Promoted { from: usize },
    /// The newest version voids its panel without naming it; this one did last.
    VoidedWithPanel { from: usize },
}

/// What one version said of one result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its place in the order.
    pub version: usize,
    pub value: String,
    pub unit: Option<String>,
    pub status: ResultStatus,
    pub detail: Option<StatusDetail>,
    /// The laboratory's comments on it, such as why it was corrected.
    pub notes: Vec<String>,
}

/// The laboratory's own time of a version: when the message was written, else when the report was issued.
pub fn said_at(report: &Report) -> Option<Timestamp> {
    let of = |moment: Option<&Moment>| moment.and_then(comparable);
    of(report.origin.sent_at.as_ref()).or_else(|| of(report.issued_at()))
}

/// An instant to order by. Local times of one laboratory are compared as its clock showed them.
fn comparable(moment: &Moment) -> Option<Timestamp> {
    moment.instant().or_else(|| {
        let stamp: timestamp::Timestamp = moment.sent.parse().ok()?;
        let timestamp::Fhir::NeedsOffset { local, .. } = stamp.fhir() else { return None };
        let local: DateTime = local.parse().ok()?;
        local.to_zoned(TimeZone::UTC).ok().map(|it| it.timestamp())
    })
}

/// The places of the versions from oldest to newest. What says the same as an older one is left out.
pub fn in_order(versions: &[Version<'_>]) -> Vec<usize> {
    let mut keyed: Vec<_> = versions
        .iter()
        .enumerate()
        .map(|(at, it)| {
            ((said_at(it.report).unwrap_or(it.received_at), rank(it.report), it.received_at, at), it)
        })
        .collect();
    keyed.sort_unstable_by_key(|(key, _)| *key);
    let mut kept: Vec<(usize, &Report)> = Vec::with_capacity(keyed.len());
    for ((.., at), it) in keyed {
        if !kept.iter().any(|(_, other)| says_the_same(other, it.report)) {
            kept.push((at, it.report));
        }
    }
    kept.into_iter().map(|(at, _)| at).collect()
}

/// Whether two reports say the same, whichever message and mapping said it.
pub fn says_the_same(one: &Report, other: &Report) -> bool {
    let Report { lab, filler_number, order_number, status, patient, panels, .. } = one;
    *lab == other.lab
        && *filler_number == other.filler_number
        && *order_number == other.order_number
        && *status == other.status
        && *patient == other.patient
        && *panels == other.panels
        && one.specimens == other.specimens
        && one.attachments == other.attachments
        && one.notes == other.notes
}

/// How far a version has come; it decides between two that were written in the same second.
fn rank(report: &Report) -> u8 {
    let of_report = match report.status {
        ReportStatus::Registered => 0,
        ReportStatus::Preliminary | ReportStatus::Partial | ReportStatus::Unknown => 1,
        ReportStatus::Final => 2,
        ReportStatus::Amended | ReportStatus::Corrected => 3,
        ReportStatus::Cancelled => 4,
        ReportStatus::EnteredInError => 5,
    };
    let of_result = |it: &LabResult| match it.status {
        ResultStatus::Amended | ResultStatus::Corrected => 3,
        ResultStatus::Cancelled => 4,
        ResultStatus::EnteredInError => 5,
        ResultStatus::Final
        | ResultStatus::Preliminary
        | ResultStatus::Registered
        | ResultStatus::Unknown => 0,
    };
    report.results().map(of_result).fold(of_report, u8::max)
}

/// What a report is to the versions that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// It contradicts one of them, and a person must say which is right.
    Conflict(Conflict),
    /// What the laboratory says is another with it.
    Current,
    /// It is older than what stands, and changes nothing of it.
    Late,
    /// The version at this place said so before.
    Repeat(usize),
}

/// Decides what a newcomer is. The reading after the last `Current` is the one of all versions, however they came.
pub fn arrive(known: &[Version<'_>], newcomer: Version<'_>) -> Arrival {
    let at = |it: &Version<'_>| said_at(it.report).unwrap_or(it.received_at);
    let is_repeat = |it: &Version<'_>| says_the_same(it.report, newcomer.report) && at(it) <= at(&newcomer);
    if let Some(place) = known.iter().position(is_repeat) {
        return Arrival::Repeat(place);
    }
    if let Some(conflict) = conflict(known, newcomer.report) {
        return Arrival::Conflict(conflict);
    }
    let all: Vec<Version<'_>> = known.iter().copied().chain([newcomer]).collect();
    let of = |versions: &[Version<'_>]| {
        let order = in_order(versions);
        let reports: Vec<&Report> =
            order.iter().filter_map(|at| versions.get(*at)).map(|it| it.report).collect();
        read(&reports)
    };
    match (of(known), of(&all)) {
        (Some(before), Some(after)) if before.reads_as(&after) => Arrival::Late,
        _ => Arrival::Current,
    }
}

impl Reading {
    /// Whether both say the same of everything; only the places differ by which older versions are numbered.
    pub fn reads_as(&self, other: &Self) -> bool {
        let bare = |reading: &Self| {
            let mut report = reading.report.clone();
            for panel in &mut report.panels {
                panel.id.clear();
                panel.results.iter_mut().for_each(|result| result.id.0.clear());
            }
            report
        };
        self.standing == other.standing && says_the_same(&bare(self), &bare(other))
    }
}

/// Two versions that cannot both be right: one clinical key, two values, and nothing says which came later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Place of the version that came first.
    pub with: usize,
    /// The result in the newcomer.
    pub result: ResultId,
}

/// The first contradiction between a newcomer and what is there (R6).
///
/// The clinical key is laboratory, filler number, test, specimen, status and time. A correction may contradict, and so
/// may what was written later or earlier: those are versions.
pub fn conflict(versions: &[Version<'_>], newcomer: &Report) -> Option<Conflict> {
    let corrects = |status| matches!(status, ResultStatus::Amended | ResultStatus::Corrected);
    if matches!(newcomer.status, ReportStatus::Amended | ReportStatus::Corrected) {
        return None;
    }
    let at = said_at(newcomer);
    let rivals = versions.iter().enumerate().filter(|(_, it)| {
        said_at(it.report) == at && is_same_person(it.report, newcomer) && !says_the_same(it.report, newcomer)
    });
    for (with, rival) in rivals {
        for track in compose::tracks(&[rival.report, newcomer]) {
            let [old, new] = track.results.as_slice() else { continue };
            let of_one_specimen = specimen(rival.report, old.result)
                .zip(specimen(newcomer, new.result))
                .is_none_or(|(one, other)| one == other);
            if old.result.status == new.result.status
                && !corrects(new.result.status)
                && of_one_specimen
                && (old.result.value.as_sent(), unit(old.result))
                    != (new.result.value.as_sent(), unit(new.result))
            {
                return Some(Conflict { with, result: new.result.id.clone() });
            }
        }
    }
    None
}

/// The laboratory's number of a result's specimen.
fn specimen<'a>(report: &'a Report, result: &LabResult) -> Option<&'a str> {
    let specimen = report.specimens.get(result.specimen?)?;
    specimen.accession.as_deref().or(specimen.placer_number.as_deref())
}

fn unit(result: &LabResult) -> Option<&str> {
    result.unit.as_ref().map(|unit| unit.sent.as_str())
}

/// Whether nothing in two versions says that they speak of two people. Names change; these do not.
fn is_same_person(one: &Report, other: &Report) -> bool {
    let agrees = |a: Option<&str>, b: Option<&str>| a.zip(b).is_none_or(|(a, b)| a == b);
    let number = |it: &Report| it.patient.nhs_number().map(|it| it.expose().clone());
    let born = |it: &Report| it.patient.birth_date.as_ref().map(|it| it.expose().iso.clone());
    agrees(number(one).as_deref(), number(other).as_deref())
        && agrees(born(one).as_deref(), born(other).as_deref())
}

/// A result before and after: the same test and repeat in two reports, in the order of the newer, then what is gone.
pub fn pairs<'a>(old: &'a Report, new: &'a Report) -> Vec<(Option<&'a LabResult>, Option<&'a LabResult>)> {
    let mut pairs: Vec<_> = compose::tracks(&[old, new])
        .into_iter()
        .map(|track| {
            let of = |version| track.results.iter().rfind(|it| it.version == version).map(|it| it.result);
            (of(0), of(1))
        })
        .collect();
    let place = |it: Option<&LabResult>| {
        it.and_then(|it| new.results().position(|other| other.id == it.id)).unwrap_or(usize::MAX)
    };
    pairs.sort_by_key(|(_, new)| place(*new));
    pairs
}
