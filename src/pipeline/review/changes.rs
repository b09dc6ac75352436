//! What a new version of a report says otherwise than the one before.

use crate::clinical::document::unit_in_words;
use crate::clinical::lineage;
use crate::clinical::model::Interpretation;
use crate::clinical::model::LabResult;
use crate::clinical::model::RangeFlag;
use crate::clinical::model::Report;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Urgency;

/// A report as somebody reads it.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    pub report: &'a Report,
    pub interpretation: Option<&'a Interpretation>,
}

/// One result that reads otherwise, is new, or is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub name: String,
    /// The result in the new version; `None` where it is gone.
    pub result: Option<ResultId>,
    /// As it read before; `None` where there was none.
    pub old: Option<String>,
    pub new: Option<String>,
    /// Where it stands now, in the laboratory's word.
    pub status: Option<ResultStatus>,
    /// It lies elsewhere in relation to its range, or is more or less urgent than it was.
    pub crosses: bool,
}

/// Every difference, in the order of the new report; then what is gone.
pub fn between(old: Read<'_>, new: Read<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (was, is) in lineage::pairs(old.report, new.report) {
        let (before, after) = (was.map(reading), is.map(reading));
        let Some(named) = is.or(was).filter(|_| before != after) else { continue };
        changes.push(Change {
            name: named.code.label().to_owned(),
            result: is.map(|it| it.id.clone()),
            old: before,
            new: after,
            status: is.map(|it| it.status),
            crosses: was.zip(is).is_some_and(|(was, is)| crosses((old, was), (new, is))),
        });
    }
    changes
}

/// Whether a reference or critical limit lies between the two.
fn crosses(old: (Read<'_>, &LabResult), new: (Read<'_>, &LabResult)) -> bool {
    let lies = |(read, result): (Read<'_>, &LabResult)| {
        let flag = read.interpretation?.range_flags.iter().find(|(id, _)| *id == result.id)?.1;
        match flag {
            RangeFlag::Above | RangeFlag::AboveTable => Some(1),
            RangeFlag::InRange | RangeFlag::InRangeTable => Some(0),
            RangeFlag::Below | RangeFlag::BelowTable => Some(-1),
            RangeFlag::NotInterpreted => None,
        }
    };
    let urgent = |(read, result): (Read<'_>, &LabResult)| {
        let about = read.interpretation?.findings.iter().filter(|it| it.about.contains(&result.id));
        about.map(|it| it.urgency).max().filter(|it| *it >= Urgency::SameDay)
    };
    lies(old) != lies(new) || urgent(old) != urgent(new)
}

/// Value, unit and status as a person compares them; a range that moved shows beside the value anyway.
fn reading(result: &LabResult) -> String {
    // That a preliminary value became final is the report's news, not the result's.
    let status = match result.status {
        ResultStatus::Cancelled => Some("not measured"),
        ResultStatus::EnteredInError => Some("withdrawn"),
        ResultStatus::Registered
        | ResultStatus::Preliminary
        | ResultStatus::Final
        | ResultStatus::Amended
        | ResultStatus::Corrected
        | ResultStatus::Unknown => None,
    };
    let unit =
        result.unit.as_ref().map_or_else(String::new, |unit| format!(" {}", unit_in_words(&unit.sent)));
    match (result.value.as_sent(), status) {
        ("", Some(status)) => status.to_owned(),
        ("", None) => "no value".to_owned(),
        (value, Some(status)) => format!("{value}{unit}, {status}"),
        (value, None) => format!("{value}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(report: &Report) -> Read<'_> {
        Read { report, interpretation: None }
    }

    fn report(results: &[(&str, &str, &str)]) -> Report {
        let results: Vec<_> = results
            .iter()
            .enumerate()
            .map(|(at, (code, value, status))| {
                json!({"id": format!("OBX[{}]", at + 1), "code": {"codings": [{"code": code}], "text": code},
                    "value": {"kind": "quantity", "sent": value, "number": value}, "unit": {"sent": "g/L"},
                    "status": status})
            })
            .collect();
        serde_json::from_value(json!({
            "lab": "north", "filler_number": "F1", "status": "final", "patient": {},
            "panels": [{"id": "OBR[1]", "code": {"text": "FBC"}, "status": "final", "results": results}],
            "origin": {"control_id": "1", "sender": "A|B", "mapping_digest": ""}
        }))
        .unwrap()
    }

    #[test]
    fn a_correction_shows_what_changed_what_is_new_and_what_is_gone() {
        let old = report(&[
            ("HB", "121", "preliminary"),
            ("WCC", "5.10", "final"),
            ("HB", "99", "final"),
            ("PLT", "7", "final"),
        ]);
        let new = report(&[
            ("WCC", "5.1", "corrected"),
            ("HB", "121", "final"),
            ("HB", "98", "corrected"),
            ("MCV", "88", "final"),
        ]);

        let told: Vec<_> = between(read(&old), read(&new))
            .into_iter()
            .map(|it| (it.name, it.result.map(|id| id.0), it.old, it.new))
            .collect();

        let text = |it: &str| Some(it.to_owned());
        assert_eq!(
            told,
            [
                ("WCC".to_owned(), text("OBX[1]"), text("5.10 g/L"), text("5.1 g/L")),
                ("HB".to_owned(), text("OBX[3]"), text("99 g/L"), text("98 g/L")),
                ("MCV".to_owned(), text("OBX[4]"), None, text("88 g/L")),
                ("PLT".to_owned(), None, text("7 g/L"), None),
            ]
        );
        assert_eq!(between(read(&old), read(&old)), []);
    }

    #[test]
    fn a_value_taken_back_is_a_change_though_it_reads_the_same() {
        let (old, new) = (report(&[("HB", "121", "final")]), report(&[("HB", "121", "entered-in-error")]));
        let told = between(read(&old), read(&new));
        assert_eq!(told.first().and_then(|it| it.new.as_deref()), Some("121 g/L, withdrawn"));
    }
}
