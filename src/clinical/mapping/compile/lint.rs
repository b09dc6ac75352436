//! What is legal and likely to be wrong: rules, rows and entries that can never serve, and codes that mean two things.
//!
//! Warnings only; each has its place, its reason and what to do. Nothing here changes what a mapping reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clinical::mapping::compile::Compiler;
use crate::clinical::mapping::compile::Read;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::source::Source;
use crate::clinical::mapping::transform;
use crate::clinical::terminology::Row;
use crate::clinical::terminology::Table;
use crate::clinical::terminology::TableKind;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Span;

const OUT_OF_REACH: Code = Code::new("M030");
const TWICE: Code = Code::new("M031");
const SHADOWED_ROW: Code = Code::new("M033");
const TWO_TESTS: Code = Code::new("M034");
const FIRST_ONLY: Code = Code::new("M035");
const IGNORED_AND_READ: Code = Code::new("M036");
const ENTRY_NEVER: Code = Code::new("M037");
const TABLE_UNUSED: Code = Code::new("M038");
const CONSTANT_UNKNOWN: Code = Code::new("M042");

/// The resources that a FHIR document can be; a path that begins with another type begins nowhere.
const DOCUMENTS: [&str; 2] = ["Bundle", "DiagnosticReport"];

impl Compiler<'_> {
    pub(super) fn lint(&mut self, mapping: &Mapping) {
        let mut found = Vec::new();
        for (place, read) in self.reads.iter().enumerate() {
            found.extend(out_of_reach(read));
            found.extend(twice(read, self.reads.get(..place).unwrap_or_default()));
        }
        for rule in &mapping.rules {
            found.extend(unreachable_entries(rule));
            found.extend(unknown_constant(rule));
            if let Lookup::Tables(tables) = &rule.lookup {
                for (place, (shown, table)) in tables.iter().enumerate() {
                    found.extend(self.rows_of(rule, shown, table, tables.get(..place).unwrap_or_default()));
                }
            }
        }
        found.extend(self.ignores_of_what_is_read(mapping));
        for named in self.named.iter().filter(|it| !self.used.contains(&format!("[tables.{}]", it.name))) {
            let message = format!("no rule asks `[tables.{}]`", named.name);
            let help = format!("name it in a rule, `table = \"{}\"`, or take it out", named.name);
            let span = Span { label: "not asked".to_owned(), ..named.at.clone() };
            found.push(Diagnostic::warning(TABLE_UNUSED, message).spanning(span).help(help));
        }
        for diagnostic in found {
            // Several rules may ask one table, and its rows are told of once.
            if !self.diagnostics.contains(&diagnostic) {
                self.report(diagnostic);
            }
        }
    }

    /// What is wrong with the rows of one table, given those that are asked before it.
    fn rows_of(
        &self,
        rule: &Rule,
        shown: &str,
        table: &Table,
        earlier: &[(String, Arc<Table>)],
    ) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let mut names: BTreeMap<&str, (&str, &Row)> = BTreeMap::new();
        for (sent, row) in table.rows() {
            let place = |label: &str| self.row_span(rule, shown, row, label);
            let before = earlier.iter().find_map(|(file, it)| Some((file, it.find(sent, None)?)));
            if let Some((file, first)) = before {
                let where_ = format!("line {} of {file}", first.line);
                let (code, message) = if first.target == row.target {
                    (SHADOWED_ROW, format!("this row of `{sent}` never serves: {where_} is asked first"))
                } else {
                    let is_two = format!(
                        "`{sent}` means `{}` in {where_}, which is asked first, and `{}` here",
                        first.target, row.target
                    );
                    (TWO_TESTS, is_two)
                };
                let help = "keep the row that is right, in one of the two tables";
                found.push(Diagnostic::warning(code, message).spanning(place("never reached")).help(help));
            }
            if !can_be_looked_up(rule, sent) {
                let message =
                    format!("no text is `{sent}` after the rule's `transform`, so this row never serves");
                let help = "write the row as it is after the transform";
                found.push(
                    Diagnostic::warning(ENTRY_NEVER, message).spanning(place("never reached")).help(help),
                );
            }
            if table.kind() == TableKind::Codes && !row.target.is_empty() {
                let Some(name) = row.display.as_deref() else { continue };
                match names.get(row.target.as_str()) {
                    Some((known, first)) if !known.eq_ignore_ascii_case(name) => {
                        let message = format!(
                            "`{}` is `{known}` in line {} and `{name}` here: one code cannot be two tests",
                            row.target, first.line
                        );
                        let help = "look the code up; where both mean one test, give both rows one name";
                        found.push(
                            Diagnostic::warning(TWO_TESTS, message).spanning(place("or this one")).help(help),
                        );
                    }
                    Some(_) => {}
                    None => drop(names.insert(&row.target, (name, row))),
                }
            }
        }
        found
    }

    /// A row's place in its file; of one that stands in a mapping the place of the rule that asks it.
    fn row_span(&self, rule: &Rule, shown: &str, row: &Row, label: &str) -> Span {
        let text = shown.strip_prefix("mappings/").and_then(|key| self.files.get(key));
        let Some(text) = text else {
            let span = rule.lookup_span.clone().unwrap_or_else(|| rule.span.clone());
            return Span { label: format!("row {} of it: {label}", row.line), ..span };
        };
        let length = text.lines().nth(row.line.saturating_sub(1)).map_or(1, |it| it.chars().count().max(1));
        Source { file: shown, text }.line(row.line, 1, length, label)
    }

    /// Whether a path always reads all that another names. A bare name of FHIR or JSON is ignored wherever it stands.
    fn covers(&self, read: &Path, ignored: &Path) -> bool {
        match (read, ignored) {
            (Path::Hl7v2(read), Path::Hl7v2(ignored)) => {
                ignored.field.is_some()
                    && read.segment() == ignored.segment()
                    && read.field == ignored.field
                    && read.repetition.is_none()
            }
            (read, Path::Tree(tree)) => {
                let is_one_place =
                    self.format == Format::Csv || tree.is_anchored() || tree.root_type().is_some();
                is_one_place && read == ignored
            }
            _ => false,
        }
    }

    /// An ignored path that is read all the same, or was ignored before.
    fn ignores_of_what_is_read(&self, mapping: &Mapping) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for (place, ignore) in mapping.ignores.iter().enumerate() {
            let read = self.reads.iter().find(|read| {
                let rule = mapping.rules.get(read.number);
                let always =
                    rule.is_some_and(|rule| rule.more.as_ref().is_none_or(|more| more.when.is_empty()));
                always && self.covers(&read.path, &ignore.path)
            });
            let mut tell = |message: String, help: String, label: &str| {
                let span = Span { label: label.to_owned(), ..ignore.span.clone() };
                found.push(Diagnostic::warning(IGNORED_AND_READ, message).spanning(span).help(help));
            };
            if let Some(read) = read {
                let message = format!("`{}` is read by `{}`, so it is never ignored", ignore.path, read.rule);
                let help = format!("take it out of `[[ignore]]`; line {} reads it", read.at.line);
                tell(message, help, "is read");
            } else if mapping.ignores.iter().take(place).any(|it| it.path == ignore.path) {
                let message = format!("`{}` is ignored twice", ignore.path);
                tell(message, "keep the entry with the better reason".to_owned(), "the second time");
            }
        }
        found
    }
}

/// A path that leads out of the group its rule reads in.
fn out_of_reach(read: &Read) -> Option<Diagnostic> {
    let (section, _) = read.rule.split_once('.')?;
    let (code, message, label, help) = match &read.path {
        Path::Hl7v2(path) => match (section, path.segment()) {
            ("patient", "ORC" | "OBR") => (
                OUT_OF_REACH,
                format!("`{path}` never matches here: a patient is read before any order"),
                "stands in an order",
                format!("read it in `[report]` or `[panel]`, whose group has {}", path.segment()),
            ),
            ("patient" | "report" | "panel" | "specimen" | "note", "OBX") => (
                FIRST_ONLY,
                format!("`{path}` is that of the first result of the order, whichever that is"),
                "of the first OBX only",
                "read it in `[result]`, which sees each result's own OBX".to_owned(),
            ),
            ("report" | "panel" | "result" | "specimen", "NTE") => (
                FIRST_ONLY,
                format!("`{path}` is that of the first note of the order, whichever that is"),
                "of the first NTE only",
                "read it in `[note]`, which gives each note to what it follows".to_owned(),
            ),
            _ => return None,
        },
        Path::Tree(path) => {
            let root = path.root_type().filter(|root| !DOCUMENTS.contains(root))?;
            let inner: String =
                path.to_string().split_once('.').map_or_else(String::new, |(_, it)| it.to_owned());
            (
                OUT_OF_REACH,
                format!(
                    "`{path}` never matches: a path that begins with a type begins at the document, which is no {root}"
                ),
                "begins at the document",
                format!("write it from the place at hand: `{inner}`"),
            )
        }
    };
    let span = Span { label: label.to_owned(), ..read.at.clone() };
    Some(Diagnostic::warning(code, message).spanning(span).help(help))
}

/// A path that its own rule has read already.
fn twice(read: &Read, earlier: &[Read]) -> Option<Diagnostic> {
    let is_known = |it: &&Read| it.number == read.number && it.rule == read.rule && it.path == read.path;
    earlier.iter().find(is_known)?;
    let message = format!("`{}` reads `{}` already, so this adds nothing", read.rule, read.path);
    let span = Span { label: "the second time".to_owned(), ..read.at.clone() };
    Some(
        Diagnostic::warning(TWICE, message)
            .spanning(span)
            .help("take one of the two out, or name another path"),
    )
}

/// Entries of a map that no text can be.
fn unreachable_entries(rule: &Rule) -> Vec<Diagnostic> {
    let Lookup::Map(entries) = &rule.lookup else { return Vec::new() };
    let never = entries.iter().filter(|(sent, _)| sent.trim() != sent || !can_be_looked_up(rule, sent));
    let told = never.map(|(sent, word)| {
        let message =
            format!("no text is `{sent}` when the map is asked, so `{word}` is never reached by it");
        let span = rule.lookup_span.clone().unwrap_or_else(|| rule.span.clone());
        let help =
            "write the entry without white space at its ends, and as it is after the rule's `transform`";
        Diagnostic::warning(ENTRY_NEVER, message)
            .spanning(Span { label: format!("`{sent}` stands here"), ..span })
            .help(help)
    });
    told.collect()
}

fn can_be_looked_up(rule: &Rule, sent: &str) -> bool {
    rule.more.as_ref().is_none_or(|more| transform::can_end_as(&more.steps, sent))
}

/// A fixed code or unit that its own tables do not have: each message would find a gap.
fn unknown_constant(rule: &Rule) -> Option<Diagnostic> {
    let Lookup::Tables(tables) = &rule.lookup else { return None };
    let constant = rule.constant.as_deref()?;
    let looked_up = rule.changed(constant);
    if tables.is_empty() || tables.iter().any(|(_, table)| table.has(&looked_up)) {
        return None;
    }
    let (file, table) = tables.first()?;
    let near = table.nearest(&looked_up).map(|near| format!("; it has `{near}`")).unwrap_or_default();
    let message = format!("`{}` is always `{constant}`, which {file} does not have{near}", rule.name);
    let help = format!("add a row for `{constant}`, or write one that is there");
    let span = Span { label: "has no row".to_owned(), ..rule.span.clone() };
    Some(Diagnostic::warning(CONSTANT_UNKNOWN, message).spanning(span).help(help))
}
