//! What an example beside a mapping expects: one file for each stage, and what has become of it.
//!
//! A report is compared as a clinician would see it, other documents member by member; text stands in for both where
//! an expectation cannot be read. Nothing here reads or writes a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::clinical::mapping::Reading;
use crate::clinical::mapping::comparison;
use crate::clinical::model::Report;
use crate::clinical::model::Sensitive;
use crate::diagnostic::render;

pub const CLINIKO: &str = "cliniko.json";
pub const DIAGNOSTICS: &str = "diagnostics.txt";
pub const FHIR: &str = "fhir.json";
pub const FINDINGS: &str = "findings.json";
pub const REPORT: &str = "report.json";
/// Every example has these; the others where somebody wants them held.
pub const ALWAYS: [&str; 2] = [REPORT, DIAGNOSTICS];
pub const WHERE_PRESENT: [&str; 3] = [FHIR, FINDINGS, CLINIKO];

/// One thing that an example's reading says otherwise than expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub file: &'static str,
    /// Of a report what a clinician would call it, such as `value`; else `diagnostic`, `document` or `text`.
    pub kind: &'static str,
    /// Where in the message or the document.
    pub at: String,
    pub test: Option<String>,
    pub expected: Option<String>,
    pub found: Option<String>,
}

/// The reports as an example holds them. The mapping's digest changes with any row of any table, and says nothing of
/// how this message was read.
pub fn reports(reading: &Reading) -> String {
    let mut reports = reading.reports.clone();
    for report in &mut reports {
        "(digest)".clone_into(&mut report.origin.mapping_digest);
    }
    serde_json::to_string_pretty(&reports).expect("the model has text keys and serialises") + "\n"
}

/// What became of the message, and everything told of it.
pub fn diagnostics(reading: &Reading) -> String {
    let mut text = format!("{}\n", reading.status.as_str());
    for diagnostic in &reading.diagnostics {
        let _writing_to_a_string_succeeds = write!(text, "\n{}", render::plain(diagnostic, ""));
    }
    text
}

/// The files that every example has, as this reading would have them.
pub fn found(reading: &Reading) -> BTreeMap<&'static str, String> {
    BTreeMap::from([(REPORT, reports(reading)), (DIAGNOSTICS, diagnostics(reading))])
}

/// Everything in which an example's files and what was found differ; nothing where they are the same to the byte.
pub fn changes(expected: &BTreeMap<String, String>, found: &BTreeMap<&'static str, String>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (file, found) in found {
        match expected.get(*file) {
            None => changes.push(Change::text(file, "", None, Some("there was no expectation"))),
            Some(expected) if expected == found => {}
            Some(expected) => {
                let of_file = match *file {
                    REPORT => of_reports(expected, found),
                    DIAGNOSTICS => of_diagnostics(expected, found),
                    file => of_documents(file, expected, found),
                };
                // Files that differ are never called the same.
                let is_silent = of_file.is_empty();
                changes.extend(of_file);
                if is_silent {
                    changes.push(first_line(file, expected, found));
                }
            }
        }
    }
    changes
}

impl Change {
    fn text(file: &'static str, at: &str, expected: Option<&str>, found: Option<&str>) -> Self {
        let [expected, found] = [expected, found].map(|it| it.map(str::to_owned));
        Self { file, kind: "text", at: at.to_owned(), test: None, expected, found }
    }
}

fn of_reports(expected: &str, found: &str) -> Vec<Change> {
    let [old, new] = [expected, found].map(serde_json::from_str::<Vec<Report>>);
    let (Ok(old), Ok(new)) = (old, new) else { return of_documents(REPORT, expected, found) };
    let clinical: Vec<Change> = comparison::compare(&old, &new)
        .into_iter()
        .map(|it| Change {
            file: REPORT,
            kind: it.kind.as_str(),
            at: if it.at.is_empty() { it.field.to_owned() } else { format!("{} {}", it.at, it.field) },
            test: it.test,
            expected: it.old.map(Sensitive::into_inner),
            found: it.new.map(Sensitive::into_inner),
        })
        .collect();
    if clinical.is_empty() { of_documents(REPORT, expected, found) } else { clinical }
}

/// Diagnostics are known by all that they say; what only one side has is told by its first line.
fn of_diagnostics(expected: &str, found: &str) -> Vec<Change> {
    let [(old_status, old), (new_status, new)] = [expected, found].map(blocks);
    let mut changes = Vec::new();
    if old_status != new_status {
        let kind = "standing";
        let [expected, found] = [old_status, new_status].map(|it| Some(it.to_owned()));
        changes.push(Change {
            file: DIAGNOSTICS,
            kind,
            at: "message".to_owned(),
            test: None,
            expected,
            found,
        });
    }
    let only = |own: &[&str], other: &[&str]| {
        let mut rest: Vec<&str> = other.to_vec();
        let mut only = Vec::new();
        for block in own {
            match rest.iter().position(|it| it == block) {
                Some(at) => drop(rest.remove(at)),
                None => only.push((*block).to_owned()),
            }
        }
        only
    };
    let told = |block: &str| {
        let at = block.lines().find_map(|line| line.trim_start().strip_prefix("= in: "));
        (at.unwrap_or_default().to_owned(), block.lines().next().unwrap_or_default().to_owned())
    };
    let (gone, come) = (only(&old, &new), only(&new, &old));
    for (block, is_new) in gone.iter().map(|it| (it, false)).chain(come.iter().map(|it| (it, true))) {
        let (at, line) = told(block);
        let (expected, found) = if is_new { (None, Some(line)) } else { (Some(line), None) };
        changes.push(Change { file: DIAGNOSTICS, kind: "diagnostic", at, test: None, expected, found });
    }
    changes
}

/// The first line, and the diagnostics below it.
fn blocks(text: &str) -> (&str, Vec<&str>) {
    let (status, rest) = text.split_once('\n').unwrap_or((text, ""));
    (status, rest.split("\n\n").map(|it| it.trim_matches('\n')).filter(|it| !it.is_empty()).collect())
}

fn of_documents(file: &'static str, expected: &str, found: &str) -> Vec<Change> {
    let [old, new] = [expected, found].map(serde_json::from_str::<Value>);
    let (Ok(old), Ok(new)) = (old, new) else { return vec![first_line(file, expected, found)] };
    let mut changes = Vec::new();
    members(file, &mut String::new(), &old, &new, &mut changes);
    changes
}

fn members(file: &'static str, at: &mut String, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    let children = |value: &Value| -> Vec<(String, Value)> {
        match value {
            Value::Array(items) => {
                items.iter().enumerate().map(|(at, item)| (at.to_string(), item.clone())).collect()
            }
            Value::Object(members) => members.iter().map(|(name, it)| (name.clone(), it.clone())).collect(),
            _ => Vec::new(),
        }
    };
    let is_same_kind = old.is_array() && new.is_array() || old.is_object() && new.is_object();
    if old == new {
        return;
    }
    if !is_same_kind {
        let [expected, found] = [old, new].map(|it| (!it.is_null()).then(|| it.to_string()));
        let at = at.clone();
        changes.push(Change { file, kind: "document", at, test: None, expected, found });
        return;
    }
    let (old, new) = (children(old), children(new));
    let names: Vec<&String> = old.iter().chain(&new).map(|(name, _)| name).collect();
    for (number, name) in names.iter().enumerate() {
        if names.iter().take(number).any(|it| it == name) {
            continue;
        }
        let side = |side: &[(String, Value)]| {
            side.iter().find(|(it, _)| it == *name).map_or(Value::Null, |(_, value)| value.clone())
        };
        let length = at.len();
        let _writing_to_a_string_succeeds = write!(at, "/{name}");
        members(file, at, &side(&old), &side(&new), changes);
        at.truncate(length);
    }
}

fn first_line(file: &'static str, expected: &str, found: &str) -> Change {
    let line = expected.lines().zip(found.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
    let of = |text: &str| Some(text.lines().nth(line).unwrap_or("(the end)").to_owned());
    Change {
        kind: "text",
        at: format!("line {}", line + 1),
        test: None,
        file,
        expected: of(expected),
        found: of(found),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::DIAGNOSTICS;
    use super::FHIR;
    use super::changes;

    fn between(file: &'static str, expected: &str, found: &str) -> Vec<String> {
        let expected = BTreeMap::from([(file.to_owned(), expected.to_owned())]);
        let found = BTreeMap::from([(file, found.to_owned())]);
        let line = |it: super::Change| {
            format!(
                "{} {}: {} -> {}",
                it.kind,
                it.at,
                it.expected.unwrap_or_default(),
                it.found.unwrap_or_default()
            )
        };
        changes(&expected, &found).into_iter().map(line).collect()
    }

    #[test]
    fn documents_differ_by_member() {
        let found = between(FHIR, r#"{"a":[1,{"b":"x"}],"c":null}"#, r#"{"a":[1,{"b":"y"}],"d":2}"#);
        assert_eq!(found, ["document /a/1/b: \"x\" -> \"y\"", "document /d:  -> 2"]);
    }

    #[test]
    fn files_that_differ_in_white_space_alone_are_not_the_same() {
        assert_eq!(between(FHIR, "{}", "{ }"), ["text line 1: {} -> { }"]);
    }

    #[test]
    fn diagnostics_differ_by_what_only_one_side_tells() {
        let old = "held\n\nerror[T010]: a code\n  = in: OBX[1]-3\n\nerror[M106]: a field\n  = in: OBX[1]-9\n";
        let new = "mapped\n\nerror[M106]: a field\n  = in: OBX[1]-9\n";
        let expected = ["standing message: held -> mapped", "diagnostic OBX[1]-3: error[T010]: a code -> "];
        assert_eq!(between(DIAGNOSTICS, old, new), expected);
    }
}
