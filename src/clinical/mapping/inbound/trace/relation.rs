//! What a text of the message has to do with a value of the model.

use crate::clinical::mapping::inbound::trace::How;
use crate::clinical::mapping::inbound::trace::canonical::Leaf;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Kind;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::model::System;
use crate::clinical::terminology::coding_system;

/// How a text that the rule read says this value, if it does. `rest` is the value's path below its member.
pub(super) fn of(rule: &Rule, leaf: &Leaf, rest: &str, text: &str) -> Option<How> {
    match &rule.lookup {
        Lookup::Tables(tables) if is_of_table(rest) => {
            let looked_up = rule.changed(text);
            // Which of several dated rows it was, the value itself shows.
            let mut rows =
                tables.iter().flat_map(|(file, table)| table.all(&looked_up).map(move |row| (file, row)));
            let row = rows.find(|(_, row)| {
                says(row.display.as_deref(), leaf)
                    || says(Some(&row.target), leaf)
                    || leaf.text == System::LOINC
            });
            if let Some((file, row)) = row {
                return Some(How::Row {
                    file: file.clone(),
                    line: row.line,
                    sent: text.to_owned(),
                    target: row.target.clone(),
                    display: row.display.clone(),
                });
            }
        }
        Lookup::Map(entries) if leaf.member != "sex_sent" => {
            let looked_up = rule.changed(text);
            if let Some((from, to)) = entries.iter().find(|(from, _)| *from == looked_up) {
                return Some(How::Entry { from: from.clone(), to: to.clone() });
            }
        }
        _ => {}
    }
    if leaf.text == text || leaf.text.trim() == text {
        return Some(How::AsSent);
    }
    if rule.changed(text) == leaf.text.as_str() {
        return Some(How::Derived("the text as sent, after the rule's transforms"));
    }
    if rest.ends_with(".system") && coding_system::uri(text).is_some_and(|it| it.0 == leaf.text) {
        return Some(How::Derived("the public name of the coding system that was sent"));
    }
    let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>();
    (leaf.text.bytes().all(|byte| byte.is_ascii_digit()) && bare(text) == leaf.text)
        .then_some(How::Derived("its digits, without what stands between them"))
}

/// Whether a value is one that a table gives: the UCUM code of a unit, the first coding of a code.
fn is_of_table(rest: &str) -> bool {
    rest.ends_with("ucum") || rest.contains(".codings[0].")
}

fn says(text: Option<&str>, leaf: &Leaf) -> bool {
    text.is_some_and(|text| !text.is_empty() && text == leaf.text)
}

/// Whether a text stands in another as a word of its own.
pub(super) fn is_part(whole: &str, part: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    !part.is_empty()
        && whole.match_indices(part).any(|(at, _)| {
            let before = whole.get(..at).and_then(|text| text.chars().next_back());
            let after = whole.get(at + part.len()..).and_then(|text| text.chars().next());
            edge(before) && edge(after)
        })
}

/// Whether each reading of a rule is an item of its own.
pub(super) fn is_list(rule: &Rule) -> bool {
    matches!(
        kind(rule),
        Some(
            Kind::Addresses
                | Kind::Attachments
                | Kind::Codes
                | Kind::Flags
                | Kind::Identifiers
                | Kind::Names
                | Kind::NhsNumber
                | Kind::Telecoms
        )
    )
}

/// Whether a rule reads coded concepts, whose parts the model has in the order of the message.
pub(super) fn is_code(rule: &Rule) -> bool {
    matches!(kind(rule), Some(Kind::Code | Kind::Codes))
}

fn kind(rule: &Rule) -> Option<Kind> {
    rule.field().map(Field::kind)
}

/// Why a value that stands nowhere in the message as such is what it is.
pub(super) fn derivation(rule: &Rule, leaf: &Leaf) -> &'static str {
    match kind(rule) {
        Some(Kind::Code | Kind::Codes) => "the coded concept that stands here",
        Some(Kind::Identifiers | Kind::NhsNumber) => "what kind of identifier the rule reads here",
        Some(Kind::Moment) => "the same date or time in ISO 8601, no more precise than it was sent",
        Some(Kind::Range) => "the range as it was sent, and its bounds",
        Some(Kind::ReportStatus | Kind::ResultStatus | Kind::YesNo) => {
            "no word of the mapping's for what was sent"
        }
        Some(Kind::Sex) => "HL7 table 0001 or the NHS data dictionary's codes",
        Some(Kind::Unit) => "the unit as the sender says it in UCUM",
        Some(Kind::Value) if leaf.member == "value" => "the value, by its type and how it is written",
        Some(Kind::Attachments | Kind::Value) => "taken from the document itself",
        _ => "made of what stands here",
    }
}

#[cfg(test)]
mod tests {
    use super::is_part;

    #[test]
    fn a_part_is_a_word_of_its_own() {
        assert!(is_part("Dr Ottoline Quillfeather", "Ottoline"));
        assert!(is_part("one\ntwo", "two"));
        assert!(!is_part("Quillfeather", "Quill"));
        assert!(!is_part("140", "4"));
        assert!(!is_part("140", ""));
    }
}
