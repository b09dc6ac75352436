//! One result as both documents show it: the value as sent, its range, and where it lies, in words and as a bar.

use serde::Serialize;

use crate::clinical::document::Content;
use crate::clinical::document::range_bar::Bar;
use crate::clinical::document::range_bar::Position;
use crate::clinical::document::range_bar::bar;
use crate::clinical::document::range_bar::position;
use crate::clinical::document::words;
use crate::clinical::document::words::Clock;
use crate::clinical::model::AbsentReason;
use crate::clinical::model::Flag;
use crate::clinical::model::LabResult;
use crate::clinical::model::Report;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Value;

/// Longer values take a line of their own under the name.
const COLUMN_CHARS_MAX: usize = 36;

/// A result, ready for the page.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) unit: String,
    /// As the laboratory printed it; empty where it sent none.
    pub(crate) range: String,
    /// Where the value lies, for the template's sign: `above`, `below`, `within`, `none`.
    pub(crate) position: &'static str,
    pub(crate) word: &'static str,
    pub(crate) lab_flags: String,
    pub(crate) status: Option<&'static str>,
    pub(crate) before: Option<String>,
    pub(crate) bar: Option<Bar>,
    /// The bar in words, for who cannot see it.
    pub(crate) bar_text: String,
    pub(crate) notes: Vec<String>,
    pub(crate) wide: bool,
}

impl Row {
    pub(crate) fn new(result: &LabResult, content: &Content<'_>, clock: &Clock) -> Self {
        let lies = standing_position(result, content.report);
        let value = value(result, content.report, clock);
        let unit = result.unit.as_ref().map_or_else(String::new, |unit| words::unit(&unit.sent));
        let range = result.range.as_ref().map_or_else(String::new, |range| range.sent.clone());
        let name = name(result);
        let word = word(result, lies);
        Self {
            bar_text: format!("{name} {value} {unit}, laboratory's range {range}: {}", word.to_lowercase()),
            bar: lies.and_then(|_| bar(result)),
            wide: value.chars().count() > COLUMN_CHARS_MAX || value.contains('\n'),
            name,
            value,
            unit,
            range,
            position: match lies {
                Some(Position::Above) => "above",
                Some(Position::Below) => "below",
                Some(Position::Within) => "within",
                None => "none",
            },
            word,
            lab_flags: flags(&result.flags),
            status: words::result_status(result.status),
            before: content.changes.get(&result.id).cloned(),
            notes: result.notes.iter().map(|note| note.text.clone()).collect(),
        }
    }
}

/// Where a result lies, unless its whole report is void.
pub(crate) fn standing_position(result: &LabResult, report: &Report) -> Option<Position> {
    position(result).filter(|_| !is_void(report.status))
}

/// The results of a withdrawn or cancelled report are shown and never spoken of.
pub(crate) const fn is_void(status: ReportStatus) -> bool {
    matches!(status, ReportStatus::Cancelled | ReportStatus::EnteredInError)
}

fn word(result: &LabResult, lies: Option<Position>) -> &'static str {
    match lies {
        Some(Position::Above) => "Above range",
        Some(Position::Below) => "Below range",
        Some(Position::Within) => "In range",
        None if result.not_interpreted => "Not interpreted",
        None if matches!(result.status, ResultStatus::Cancelled | ResultStatus::EnteredInError) => "Void",
        None if result.range.is_none() => "No range sent",
        None => "Not compared",
    }
}

/// What the laboratory calls the result, with what tells repeats apart.
pub(crate) fn name(result: &LabResult) -> String {
    match result.sub_id.as_deref() {
        Some(sub) if !sub.is_empty() && sub != "1" => format!("{} ({sub})", result.code.label()),
        _ => result.code.label().to_owned(),
    }
}

/// The value as sent, or why there is none.
pub(crate) fn value(result: &LabResult, report: &Report, clock: &Clock) -> String {
    match &result.value {
        Value::Absent { reason } => match (result.status, reason) {
            (ResultStatus::EnteredInError, _) => "withdrawn",
            (ResultStatus::Cancelled, _) | (_, AbsentReason::NotPerformed) => "not measured",
            (_, AbsentReason::Null) => "value deleted by the laboratory",
            (_, AbsentReason::Pending) => "not ready yet",
            (_, AbsentReason::Unknown) => "no value sent",
        }
        .to_owned(),
        Value::Attachment { index } => {
            let title = report.attachments.get(*index).and_then(|it| it.title.as_deref());
            format!("see the attached document{}", title.map_or_else(String::new, |it| format!(" “{it}”")))
        }
        Value::Moment { moment } => clock.when(&moment.iso),
        Value::Coded { .. }
        | Value::Quantity { .. }
        | Value::Range { .. }
        | Value::Ratio { .. }
        | Value::Text { .. } => result.value.as_sent().to_owned(),
    }
}

fn flags(flags: &[Flag]) -> String {
    let each: Vec<String> = flags
        .iter()
        .map(|flag| match &flag.text {
            Some(text) if *text != flag.sent => format!("{} ({text})", flag.sent),
            _ => flag.sent.clone(),
        })
        .collect();
    each.join(", ")
}

/// The results by id, named with their values: what a finding rests on.
pub(crate) fn cite(ids: &[ResultId], content: &Content<'_>, clock: &Clock) -> Vec<String> {
    ids.iter()
        .filter_map(|id| content.report.results().find(|result| result.id == *id))
        .map(|result| {
            let unit = result.unit.as_ref().map_or_else(String::new, |unit| words::unit(&unit.sent));
            format!("{} {} {unit}", name(result), value(result, content.report, clock)).trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::flags;
    use crate::clinical::model::Flag;

    #[test]
    fn the_laboratorys_flag_is_shown_as_sent_with_its_meaning() {
        let plain = Flag { sent: "*".into(), text: None };
        let known = Flag { sent: "H".into(), text: Some("above high normal".into()) };
        assert_eq!(flags(&[plain, known]), "*, H (above high normal)");
    }
}
