//! Puts one reading together from versions in order.

use crate::clinical::lineage::How;
use crate::clinical::lineage::Reading;
use crate::clinical::lineage::Said;
use crate::clinical::lineage::Standing;
use crate::clinical::lineage::Story;
use crate::clinical::lineage::is_same_person;
use crate::clinical::model::AbsentReason;
use crate::clinical::model::Code;
use crate::clinical::model::LabResult;
use crate::clinical::model::Panel;
use crate::clinical::model::Report;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::StatusDetail;
use crate::clinical::model::Value;

/// One result through the versions: the same test, sub-id and repeat.
pub(super) struct Track<'a> {
    codes: Vec<&'a str>,
    sub_id: Option<&'a str>,
    repeat: usize,
    pub(super) results: Vec<Mention<'a>>,
    /// A later version voids its panel without naming it.
    voided: Option<(usize, ResultStatus)>,
}

/// One result in one version.
#[derive(Clone, Copy)]
pub(super) struct Mention<'a> {
    pub(super) version: usize,
    panel: &'a Panel,
    pub(super) result: &'a LabResult,
}

/// Follows every result through the versions, in the order first named.
pub(super) fn tracks<'a>(versions: &[&'a Report]) -> Vec<Track<'a>> {
    let mut tracks: Vec<Track<'a>> = Vec::new();
    for (version, report) in versions.iter().enumerate() {
        for panel in &report.panels {
            for result in &panel.results {
                mention(&mut tracks, Mention { version, panel, result });
            }
            if panel.results.is_empty() {
                void(&mut tracks, version, panel);
            }
        }
    }
    tracks
}

fn mention<'a>(tracks: &mut Vec<Track<'a>>, it: Mention<'a>) {
    let codes = names(&it.result.code);
    let sub_id = it.result.sub_id.as_deref().filter(|sub| !sub.is_empty());
    let is_of =
        |track: &Track<'a>| track.sub_id == sub_id && track.codes.iter().any(|code| codes.contains(code));
    // A repeat within one version is another result, told apart by its place among its like.
    let repeat = tracks
        .iter()
        .filter(|track| is_of(track) && track.results.last().is_some_and(|last| last.version == it.version))
        .count();
    if let Some(track) = tracks.iter_mut().find(|track| track.repeat == repeat && is_of(track)) {
        track.codes.extend(codes.into_iter().filter(|code| !track.codes.contains(code)).collect::<Vec<_>>());
        track.results.push(it);
        track.voided = None;
    } else {
        tracks.push(Track { codes, sub_id, repeat, results: vec![it], voided: None });
    }
}

/// A panel without results that is cancelled or withdrawn says so of all it had.
fn void(tracks: &mut [Track<'_>], version: usize, panel: &Panel) {
    let status = match panel.status {
        ReportStatus::Cancelled => ResultStatus::Cancelled,
        ReportStatus::EnteredInError => ResultStatus::EnteredInError,
        _ => return,
    };
    let codes = names(&panel.code);
    for track in tracks {
        let is_of = |last: &Mention<'_>| {
            panel.code.is_empty() || names(&last.panel.code).iter().any(|code| codes.contains(code))
        };
        if track.results.last().is_some_and(is_of) {
            track.voided = Some((version, status));
        }
    }
}

/// What a code is known by: every coding, else its text.
fn names(code: &Code) -> Vec<&str> {
    if code.codings.is_empty() {
        return vec![code.label()];
    }
    code.codings.iter().map(|coding| coding.code.as_str()).collect()
}

/// Reads versions that stand from oldest to newest; `None` where there is none.
pub fn read(versions: &[&Report]) -> Option<Reading> {
    let (&newest, older) = versions.split_last()?;
    let of_another: Vec<usize> =
        older.iter().enumerate().filter(|(_, it)| !is_same_person(it, newest)).map(|(at, _)| at).collect();
    // Versions keep their places; those of another person have nothing to say.
    let silent = Report { panels: Vec::new(), ..newest.clone() };
    let heard: Vec<&Report> = versions
        .iter()
        .enumerate()
        .map(|(at, it)| if of_another.contains(&at) { &silent } else { *it })
        .collect();
    let mut page = Page { versions: &heard, report: newest.clone(), stories: Vec::new() };
    let all = tracks(&heard);
    page.sent_now(&all);
    page.carry_over(&all);
    let Page { mut report, stories, .. } = page;
    let standing = standing(&report, &stories);
    match standing {
        Standing::Withdrawn => report.status = ReportStatus::EnteredInError,
        Standing::Cancelled => report.status = ReportStatus::Cancelled,
        Standing::Complete | Standing::Interim => {}
    }
    Some(Reading { report, stories, standing, of_another })
}

/// A reading while it is written.
struct Page<'a> {
    versions: &'a [&'a Report],
    report: Report,
    stories: Vec<Story>,
}

impl<'a> Page<'a> {
    fn newest(&self) -> usize {
        self.versions.len().saturating_sub(1)
    }

    /// The newest version's own results; one made final without its value gets the value that stands.
    fn sent_now(&mut self, tracks: &[Track<'a>]) {
        let newest = self.newest();
        let Some(version) = self.versions.get(newest).copied() else { return };
        for (panel_at, panel) in version.panels.iter().enumerate() {
            for (at, result) in panel.results.iter().enumerate() {
                let track = tracks
                    .iter()
                    .find(|track| track.results.last().is_some_and(|last| std::ptr::eq(last.result, result)));
                let Some(track) = track else { continue };
                let promoted = self.promoted(track);
                let how = promoted.as_ref().map_or(How::AsSent, |(from, _)| How::Promoted { from: *from });
                if let Some((_, result)) = promoted {
                    let place = self.report.panels.get_mut(panel_at).and_then(|it| it.results.get_mut(at));
                    if let Some(place) = place {
                        *place = result;
                    }
                }
                self.stories.push(Story { result: result.id.clone(), how, said: said(track) });
            }
        }
    }

    /// What the newest version does not name, in panels of their own with the comments that went with them.
    fn carry_over(&mut self, tracks: &[Track<'a>]) {
        let newest = self.newest();
        let mut panels: Vec<(usize, String, Panel)> = Vec::new();
        for track in tracks {
            let Some(last) = track.results.last().filter(|last| last.version != newest) else { continue };
            let from = last.version;
            let mut result = match self.promoted(track) {
                Some((_, promoted)) => promoted,
                None => self.moved(from, last.result.clone()),
            };
            result.id = ResultId(placed(from, &last.result.id.0));
            let how = match track.voided {
                Some((_, status)) => {
                    result.status = status;
                    How::VoidedWithPanel { from }
                }
                None => How::CarriedOver { from },
            };
            self.stories.push(Story { result: result.id.clone(), how, said: said(track) });
            let panel = panels.iter_mut().find(|(of, id, _)| *of == from && *id == last.panel.id);
            if let Some((.., panel)) = panel {
                panel.results.push(result);
            } else {
                let status = track.voided.map_or(last.panel.status, |(_, status)| of_panel(status));
                let id = placed(from, &last.panel.id);
                let panel = Panel { id, status, results: vec![result], ..last.panel.clone() };
                panels.push((from, last.panel.id.clone(), panel));
            }
        }
        // A cancelled panel without results stands with what it voided, not beside it.
        self.report.panels.extend(panels.into_iter().map(|(.., panel)| panel));
        let order: Vec<ResultId> = self.report.results().map(|it| it.id.clone()).collect();
        self.stories.sort_by_key(|story| order.iter().position(|id| *id == story.result));
    }

    /// The value that stands for a result made final without one, with the version that sent it.
    fn promoted(&mut self, track: &Track<'a>) -> Option<(usize, LabResult)> {
        let (last, earlier) = track.results.split_last()?;
        let is_bare = matches!(last.result.value, Value::Absent { reason: AbsentReason::Unknown });
        if last.result.detail != Some(StatusDetail::ValueStands) || !is_bare {
            return None;
        }
        let stands = earlier.iter().rfind(|it| !matches!(it.result.value, Value::Absent { .. }))?;
        if is_void(stands.result.status) {
            return None;
        }
        let stored = self.moved(stands.version, stands.result.clone());
        let sent = last.result.clone();
        let notes = if sent.notes.is_empty() { stored.notes.clone() } else { sent.notes.clone() };
        let flags = if sent.flags.is_empty() { stored.flags.clone() } else { sent.flags.clone() };
        let result = LabResult {
            value: stored.value,
            unit: stored.unit,
            range: sent.range.clone().or(stored.range),
            specimen: stored.specimen,
            not_interpreted: stored.not_interpreted || sent.not_interpreted,
            methods: if sent.methods.is_empty() { stored.methods } else { sent.methods.clone() },
            observed_at: sent.observed_at.clone().or(stored.observed_at),
            flags,
            notes,
            ..sent
        };
        Some((stands.version, result))
    }

    /// A result of another version, its specimen and attachment brought along.
    fn moved(&mut self, from: usize, mut result: LabResult) -> LabResult {
        let Some(report) = self.versions.get(from) else { return result };
        if from == self.newest() {
            return result;
        }
        if let Some(specimen) = result.specimen.and_then(|at| report.specimens.get(at)) {
            result.specimen = Some(place_in(&mut self.report.specimens, specimen));
        }
        if let Value::Attachment { index } = &mut result.value
            && let Some(attachment) = report.attachments.get(*index)
        {
            *index = place_in(&mut self.report.attachments, attachment);
        }
        result
    }
}

/// The place of an equal entry, added where there is none.
fn place_in<T: Clone + PartialEq>(list: &mut Vec<T>, entry: &T) -> usize {
    list.iter().position(|it| it == entry).unwrap_or_else(|| {
        list.push(entry.clone());
        list.len() - 1
    })
}

/// Names a result or panel of an older version: places within one message are not those of another.
fn placed(version: usize, id: &str) -> String {
    format!("{}:{id}", version + 1)
}

fn said(track: &Track<'_>) -> Vec<Said> {
    let mut said: Vec<Said> = track
        .results
        .iter()
        .map(|it| Said {
            version: it.version,
            value: it.result.value.as_sent().to_owned(),
            unit: it.result.unit.as_ref().map(|unit| unit.sent.clone()),
            status: it.result.status,
            detail: it.result.detail,
            notes: it.result.notes.iter().chain(&it.panel.notes).map(|note| note.text.clone()).collect(),
        })
        .collect();
    if let (Some((version, status)), Some(last)) = (track.voided, said.last().cloned()) {
        said.push(Said { version, status, value: String::new(), detail: None, notes: Vec::new(), ..last });
    }
    said
}

const fn is_void(status: ResultStatus) -> bool {
    matches!(status, ResultStatus::Cancelled | ResultStatus::EnteredInError)
}

const fn of_panel(status: ResultStatus) -> ReportStatus {
    match status {
        ResultStatus::EnteredInError => ReportStatus::EnteredInError,
        _ => ReportStatus::Cancelled,
    }
}

fn standing(report: &Report, stories: &[Story]) -> Standing {
    let results: Vec<&LabResult> = report.results().collect();
    let withdrawn = results.iter().any(|it| it.status == ResultStatus::EnteredInError);
    if !results.is_empty() && results.iter().all(|it| is_void(it.status)) {
        return if withdrawn { Standing::Withdrawn } else { Standing::Cancelled };
    }
    let is_waiting = |status| matches!(status, ResultStatus::Preliminary | ResultStatus::Registered);
    let sent_now = |result: &LabResult| {
        let mut stories = stories.iter();
        stories.any(|it| it.result == result.id && matches!(it.how, How::AsSent | How::Promoted { .. }))
    };
    match report.status {
        ReportStatus::EnteredInError => Standing::Withdrawn,
        ReportStatus::Cancelled if results.is_empty() => Standing::Cancelled,
        ReportStatus::Registered | ReportStatus::Partial | ReportStatus::Preliminary => Standing::Interim,
        // A value that may still change is not for the patient, whatever the whole is called.
        _ if results.iter().any(|it| it.status == ResultStatus::Preliminary && sent_now(it)) => {
            Standing::Interim
        }
        ReportStatus::Unknown if results.iter().any(|it| is_waiting(it.status)) => Standing::Interim,
        _ => Standing::Complete,
    }
}
