//! What a new version of a report says otherwise than the one before.

use std::collections::BTreeMap;

use crate::clinical::model::LabResult;
use crate::clinical::model::Report;
use crate::clinical::model::ResultId;

/// One result that reads otherwise, is new, or is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub name: String,
    /// The result in the new version; `None` where it is gone.
    pub result: Option<ResultId>,
    /// As it read before; `None` where there was none.
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Tells results of one report apart and joins them across versions: what was measured, and which repeat of it.
type Key = (String, Option<String>, usize);

/// Every difference, in the order of the new report; then what is gone.
pub fn between(old: &Report, new: &Report) -> Vec<Change> {
    let mut before: BTreeMap<Key, &LabResult> = keyed(old).into_iter().collect();
    let mut changes = Vec::new();
    for (key, result) in keyed(new) {
        let (was, is) = (before.remove(&key).map(reading), reading(result));
        if was.as_ref() != Some(&is) {
            let name = result.code.label().to_owned();
            changes.push(Change { name, result: Some(result.id.clone()), old: was, new: Some(is) });
        }
    }
    let gone = |it: &LabResult| Change {
        name: it.code.label().to_owned(),
        result: None,
        old: Some(reading(it)),
        new: None,
    };
    changes.extend(before.into_values().map(gone));
    changes
}

fn keyed(report: &Report) -> Vec<(Key, &LabResult)> {
    let mut seen: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    report
        .results()
        .map(|result| {
            let coding = result.code.codings.first();
            let what = coding.map_or_else(|| result.code.label(), |coding| coding.code.as_str()).to_owned();
            let repeat = seen.entry((what.clone(), result.sub_id.clone())).or_default();
            let key = (what, result.sub_id.clone(), *repeat);
            *repeat += 1;
            (key, result)
        })
        .collect()
}

/// Value, unit and status as a person compares them; a range that moved shows beside the value anyway.
fn reading(result: &LabResult) -> String {
    use crate::clinical::model::ResultStatus as S;
    let value = match result.value.as_sent() {
        "" => "no value",
        sent => sent,
    };
    let unit = result.unit.as_ref().map_or_else(String::new, |unit| format!(" {}", unit.sent));
    // That a preliminary value became final is the report's news, not the result's.
    let status = match result.status {
        S::Cancelled | S::EnteredInError => format!(" ({})", result.status.as_str()),
        S::Registered | S::Preliminary | S::Final | S::Amended | S::Corrected | S::Unknown => String::new(),
    };
    format!("{value}{unit}{status}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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

        let told: Vec<_> = between(&old, &new)
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
        assert_eq!(between(&old, &old), []);
    }

    #[test]
    fn a_value_taken_back_is_a_change_though_it_reads_the_same() {
        let (old, new) = (report(&[("HB", "121", "final")]), report(&[("HB", "121", "entered-in-error")]));
        let told = between(&old, &new);
        assert_eq!(told.first().and_then(|it| it.new.as_deref()), Some("121 g/L (entered-in-error)"));
    }
}
