//! Paths in the spelling of the mapping's format, where its sections begin, and the columns of results.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use crate::clinical::mapping::compile::Compiler;
use crate::clinical::mapping::compile::NOT_A_PATH;
use crate::clinical::mapping::compile::Node;
use crate::clinical::mapping::compile::UNKNOWN_WORD;
use crate::clinical::mapping::language;
use crate::clinical::mapping::language::DATE_PARTS;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::language::RESULT_RESOURCES;
use crate::clinical::mapping::plan::Column;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::formats::csv;
use crate::formats::tree;

/// Columns of results in one mapping, so that a row is bounded.
const COLUMNS_MAX: usize = 400;
impl Compiler<'_> {
    pub(super) fn path(&mut self, text: &str, at: &Range<usize>) -> Option<Path> {
        let (read, help) = match self.format {
            Format::Hl7v2 => (
                text.parse().map(Path::Hl7v2).map_err(|error| format!("no HL7 v2 path: {error}")),
                "write a path as HL7 does: `OBX-6`, `PID-5.1`, `PID-3[type=NH].1`",
            ),
            Format::Fhir => (
                tree::Path::fhir(text)
                    .map(Path::Tree)
                    .map_err(|error| format!("no FHIRPath we read: {error}")),
                "write it as FHIRPath does: `code`, `identifier.where(system='…').value`, `result.resolve()`",
            ),
            Format::Json => (
                tree::Path::pointer(text)
                    .map(Path::Tree)
                    .map_err(|error| format!("no JSON pointer: {error}")),
                "write `/user/dob` from the document, or `units` from the place at hand",
            ),
            Format::Csv => (
                tree::Path::column(text).map(Path::Tree).map_err(|error| format!("no column: {error}")),
                "write the column's name as the header has it",
            ),
        };
        read.map_err(|error| {
            self.error(NOT_A_PATH, at.clone(), format!("`{text}` is {error}"), "not a path", help);
        })
        .ok()
    }

    /// `delimiter = "semicolon"`
    pub(super) fn delimiter(&mut self, document: &DeTable<'_>) -> Option<csv::Delimiter> {
        let node = document.get("delimiter").filter(|_| self.format == Format::Csv)?;
        let word = self.string(node, "delimiter")?;
        let place = language::DELIMITERS.iter().position(|it| *it == word);
        if place.is_none() {
            self.known_word(word, &language::DELIMITERS, node.span(), "delimiter");
        }
        csv::Delimiter::ALL.get(place?).copied()
    }

    pub(super) fn field_paths(&mut self, node: &Node<'_>, key: &str) -> Vec<Path> {
        if node.get_ref().as_array().is_none() {
            self.wrong_type(Spanned::span(node), key, "a list of paths");
            return Vec::new();
        }
        self.one_or_more_paths(node, key)
    }

    pub(super) fn one_or_more_paths(&mut self, node: &Node<'_>, key: &str) -> Vec<Path> {
        let texts = self.strings(node, key);
        texts.iter().filter_map(|(text, at)| self.field_path(text, at)).collect()
    }

    /// A path that names a field: a whole segment has no value.
    pub(super) fn field_path(&mut self, text: &str, at: &Range<usize>) -> Option<Path> {
        let path = self.path(text, at)?;
        if let Path::Hl7v2(hl7) = &path
            && hl7.field.is_none()
        {
            let help = format!("name a field: `{text}-1`");
            let message = format!("`{text}` names a whole segment");
            self.error(NOT_A_PATH, at.clone(), message, "has no value", help);
            return None;
        }
        Some(path)
    }

    /// Where a section begins: one path or several, of which all count.
    pub(super) fn anchor(&mut self, node: &Node<'_>, key: &str) -> Vec<tree::Path> {
        let texts = self.strings(node, key);
        let paths = texts.iter().filter_map(|(text, at)| match self.path(text, at) {
            Some(Path::Tree(path)) => Some(path),
            _ => None,
        });
        paths.collect()
    }

    /// `format = "YYYY/MM/DD"`: each part at most once, the year in four digits.
    pub(super) fn date_format(&mut self, rule: &mut Rule, node: &Node<'_>) {
        let Some(text) = self.string(node, "format") else { return };
        let once = DATE_PARTS.iter().all(|part| text.matches(part).count() <= 1);
        let rest = DATE_PARTS.iter().fold(text.to_owned(), |rest, part| rest.replacen(part, "", 1));
        if once && text.contains("YYYY") && !rest.contains(|c: char| c.is_ascii_alphanumeric() && c != 'T') {
            rule.date_format = Some(text.to_owned());
        } else {
            let message = format!("`{text}` does not say how a date is written");
            let help = "write its parts as YYYY, MM, DD, HH, mm and ss: `format = \"DD/MM/YYYY\"`";
            self.error(UNKNOWN_WORD, node.span(), message, "not a form of dates", help);
        }
    }

    /// `[[result.column]]`: what they do not say is as `[result]` says.
    pub(super) fn columns(&mut self, node: &Node<'_>, mapping: &Mapping) -> Vec<Column> {
        let Some(items) = node.get_ref().as_array().filter(|items| items.len() <= COLUMNS_MAX) else {
            let wanted =
                format!("a list of at most {COLUMNS_MAX}: begin each entry with `[[result.column]]`");
            self.wrong_type(node.span(), "column", &wanted);
            return Vec::new();
        };
        let of_result = |field: &&Field| field.section() == "result" && **field != Field::ResultValue;
        let mut known = vec!["column"];
        known.extend(Field::ALL.iter().filter(of_result).map(|field| field.name()));
        let mut columns = Vec::new();
        for item in items {
            let Some(table) = self.table(item, "column") else { continue };
            self.check_keys(table, &known, "`[[result.column]]`");
            let mut column = Column::default();
            let Some((key, value)) = table.get_key_value("column") else {
                self.missing(item.span(), "column", "column = \"HbA1c\"");
                continue;
            };
            let value = self.rule("result.column.value", language::Kind::Value, key.span(), value);
            column.rules.extend(self.inherit(Field::ResultValue, value, mapping));
            for (key, node) in table {
                let Some(field) = Field::find("result", key.get_ref().as_ref()).filter(|it| of_result(&it))
                else {
                    continue;
                };
                let id =
                    self.rule(&format!("result.column.{}", field.name()), field.kind(), key.span(), node);
                column.rules.extend(self.inherit(field, id, mapping));
            }
            columns.push(column);
        }
        columns
    }

    /// Takes the table and decision of the section's own rule where a column's names none.
    fn inherit(&mut self, field: Field, id: Option<RuleId>, mapping: &Mapping) -> Option<(Field, RuleId)> {
        let id = id?;
        let base = (*mapping.by_field.get(field as usize)?)
            .and_then(|base| self.rules.get(usize::from(base.0)))
            .cloned();
        if let (Some(base), Some(rule)) = (base, self.rules.get_mut(usize::from(id.0))) {
            if matches!(rule.lookup, Lookup::None) {
                rule.lookup = base.lookup;
                rule.lookup_span = base.lookup_span;
            }
            rule.unmapped = rule.unmapped.or(base.unmapped);
        }
        Some((field, id))
    }
}

/// Whether an ignored path names something that carries results, as a whole.
pub(super) fn is_of_results(path: &Path) -> bool {
    match path {
        Path::Hl7v2(path) => path.field.is_none() && language::RESULT_SEGMENTS.contains(&path.segment()),
        Path::Tree(path) => match path.steps() {
            [] => true,
            [tree::Step::OfType(name)] => RESULT_RESOURCES.contains(&name.as_str()),
            _ => false,
        },
    }
}

pub(super) fn within(path: &Path) -> String {
    match path {
        Path::Hl7v2(path) => format!("{path}-18"),
        Path::Tree(path) => format!("{path}.text"),
    }
}

/// A line that shows where a rule's value comes from.
pub(super) const fn example(format: Format) -> &'static str {
    match format {
        Format::Csv => "from = \"Result\"",
        Format::Fhir => "from = \"value\"",
        Format::Hl7v2 => "from = \"OBX-5\"",
        Format::Json => "from = \"result\"",
    }
}

/// The rules that no mapping can do without, each with a line to paste.
pub(super) const fn needed(format: Format) -> [(Field, &'static str); 4] {
    const CODE: &str = "code = { from = \"code\", table = \"codes.csv\", unmapped = \"hold\" }";
    const VALUE: &str = "value = { from = \"value\", unmapped = \"hold\" }";
    const STATUS: &str = "status = { from = \"status\", map = { final = \"final\" }, unmapped = \"hold\" }";
    let [filler, code, value, status] = match format {
        Format::Hl7v2 => [
            "filler_number = { first_of = [\"OBR-3.1\", \"ORC-3.1\"], required = true }",
            "code = { from = \"OBX-3\", table = \"codes.csv\", unmapped = \"hold\" }",
            "value = { from = \"OBX-5\", type = \"OBX-2\" }",
            "status = { from = \"OBX-11\", map = { F = \"final\" }, unmapped = \"hold\" }",
        ],
        Format::Fhir => {
            ["filler_number = { from = \"identifier.value\", required = true }", CODE, VALUE, STATUS]
        }
        Format::Json => {
            ["filler_number = { from = \"/laboratory_order_id\", required = true }", CODE, VALUE, STATUS]
        }
        Format::Csv => ["filler_number = { from = \"Lab number\", required = true }", CODE, VALUE, STATUS],
    };
    [
        (Field::FillerNumber, filler),
        (Field::ResultCode, code),
        (Field::ResultValue, value),
        (Field::ResultStatus, status),
    ]
}
