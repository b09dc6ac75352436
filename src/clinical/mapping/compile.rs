//! From the text of a mapping file to a [`Mapping`], or to every problem in it at once.
//!
//! The file is walked as a tree with positions rather than read into structs, because a struct would stop at its first
//! unknown key. Nothing is guessed: a key that is not in `language.rs` is an error with the nearest name.

mod path;
mod rule;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::clinical::mapping::language;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Anchors;
use crate::clinical::mapping::plan::Grouping;
use crate::clinical::mapping::plan::Ignore;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::mapping::source::Source;
use crate::clinical::terminology::Table;
use crate::clinical::terminology::TableKind;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::has_errors;
use crate::diagnostic::nearest;

/// Most rules of one mapping, so that a rule's index fits 16 bits with room to spare.
const RULES_MAX: usize = 1000;

const NOT_TOML: Code = Code::new("M001");
const UNKNOWN_KEY: Code = Code::new("M002");
const MISSING_KEY: Code = Code::new("M003");
const WRONG_TYPE: Code = Code::new("M004");
const NOT_A_PATH: Code = Code::new("M005");
const UNKNOWN_WORD: Code = Code::new("M006");
const NO_DECISION: Code = Code::new("M007");
const NO_TABLE: Code = Code::new("M008");
const UNSOUND_TABLE: Code = Code::new("M009");
const IGNORES_RESULTS: Code = Code::new("M010");
const CONTRADICTION: Code = Code::new("M011");

type Node<'v> = Spanned<DeValue<'v>>;

/// Compiles `labs/<lab>/mapping.toml` of `files`.
pub(super) fn compile(lab: &str, files: &BTreeMap<String, String>) -> Result<Mapping, Vec<Diagnostic>> {
    let name = format!("labs/{lab}/mapping.toml");
    let shown = format!("mappings/{name}");
    let text = files.get(&name).map_or("", String::as_str);
    let source = Source { file: &shown, text };
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut compiler = Compiler {
        lab,
        files,
        source,
        format: Format::Hl7v2,
        has_columns: false,
        diagnostics: Vec::new(),
        rules: Vec::new(),
        tables: BTreeMap::new(),
    };
    for error in errors {
        let span = source.span(error.span().unwrap_or(0..0), "here");
        let message = format!("the file is not TOML: {}", error.message().lines().next().unwrap_or_default());
        compiler.report(
            Diagnostic::error(NOT_TOML, message).spanning(span).help("correct the line at the caret"),
        );
    }
    if has_errors(&compiler.diagnostics) {
        return Err(compiler.diagnostics);
    }
    let mapping = compiler.document(document.get_ref());
    let mut diagnostics = compiler.diagnostics;
    diagnostics.sort_by_key(|it| it.span.as_ref().map(|span| (span.file.clone(), span.line, span.column)));
    match mapping {
        Some(mapping) if !has_errors(&diagnostics) => Ok(mapping),
        _ => Err(diagnostics),
    }
}

struct Compiler<'a> {
    lab: &'a str,
    files: &'a BTreeMap<String, String>,
    source: Source<'a>,
    format: Format,
    /// The section at hand leaves to its columns where its rules read from.
    has_columns: bool,
    diagnostics: Vec<Diagnostic>,
    rules: Vec<Rule>,
    /// Tables read so far, by their name among the files; `None` for one that is unsound.
    tables: BTreeMap<String, Option<Arc<Table>>>,
}

impl Compiler<'_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn error(
        &mut self,
        code: Code,
        at: Range<usize>,
        message: impl Into<String>,
        label: &str,
        help: impl Into<String>,
    ) {
        let span = self.source.span(at, label);
        self.report(Diagnostic::error(code, message).spanning(span).help(help));
    }

    fn document(&mut self, document: &DeTable<'_>) -> Option<Mapping> {
        self.head(document);
        let mut known = vec!["schema", "lab", "format", "ignore"];
        known
            .extend(language::SECTIONS.iter().filter(|it| self.format != Format::Hl7v2 || **it != "message"));
        if self.format == Format::Csv {
            known.push("delimiter");
        }
        self.check_keys(document, &known, "a mapping file");
        let mut mapping = Mapping {
            lab: self.lab.to_owned(),
            format: self.format,
            delimiter: self.delimiter(document),
            digest: String::new(),
            files: Vec::new(),
            rules: Vec::new(),
            by_field: vec![None; Field::ALL.len()],
            panel_extra: Vec::new(),
            result_extra: Vec::new(),
            specimen_extra: Vec::new(),
            anchors: Anchors::default(),
            columns: Vec::new(),
            ignores: self.ignores(document),
            grouping: Grouping::FillerNumber,
            time_zone: None,
        };
        for section in language::SECTIONS {
            if let Some(node) = document.get(section)
                && let Some(table) = self.table(node, section)
            {
                self.section(section, table, &mut mapping);
            }
        }
        self.completeness(document, &mapping);
        mapping.files = self.covered();
        mapping.digest = self.digest(&mapping.files);
        mapping.rules = std::mem::take(&mut self.rules);
        (mapping.rules.len() <= RULES_MAX).then_some(mapping)
    }

    /// `schema`, `lab` and `format`.
    fn head(&mut self, document: &DeTable<'_>) {
        match document.get("schema") {
            None => self.missing(0..0, "schema", "schema = 1"),
            Some(node) if integer(node) == Some(language::SCHEMA) => {}
            Some(node) => {
                let message = format!("this gateway reads mapping schema {}", language::SCHEMA);
                self.error(UNKNOWN_WORD, node.span(), message, "not this version", "write `schema = 1`");
            }
        }
        let lab = self.lab;
        for (key, known) in [("lab", &[lab][..]), ("format", &language::FORMATS[..])] {
            let Some(node) = document.get(key) else {
                let line = format!("{key} = \"{}\"", known.first().unwrap_or(&""));
                self.missing(0..0, key, &line);
                continue;
            };
            if let Some(word) = self.string(node, key) {
                self.known_word(word, known, node.span(), key);
                self.format = Format::from_word(word).unwrap_or(self.format);
            }
        }
    }

    fn section(&mut self, section: &'static str, table: &DeTable<'_>, mapping: &mut Mapping) {
        let settings = language::settings(section, self.format);
        let is_tree = self.format != Format::Hl7v2;
        let is_known = |field: &&Field| field.section() == section && (is_tree || !field.is_of_trees_only());
        let mut known: Vec<&str> = settings.to_vec();
        known.extend(Field::ALL.iter().filter(is_known).map(|field| field.name()));
        self.check_keys(table, &known, &format!("`[{section}]`"));
        self.has_columns = table.contains_key("column");
        for (key, node) in table {
            let name = key.get_ref().as_ref();
            if let Some(field) = Field::find(section, name).filter(|field| is_known(&field)) {
                let id = self.rule(&field.path(), field.kind(), key.span(), node);
                if let Some(slot) = mapping.by_field.get_mut(field as usize) {
                    *slot = id;
                }
            } else if name != "column" && settings.contains(&name) {
                self.setting(section, name, node, mapping);
            }
        }
        self.has_columns = false;
        // After the rules of the section, from which a column's take what they do not say.
        if let Some(node) = table.get("column").filter(|_| settings.contains(&"column")) {
            mapping.columns = self.columns(node, mapping);
        }
    }

    fn setting(&mut self, section: &str, name: &str, node: &Node<'_>, mapping: &mut Mapping) {
        match name {
            "extra" => {
                let rules = self.extra(section, node);
                match section {
                    "panel" => mapping.panel_extra = rules,
                    "result" => mapping.result_extra = rules,
                    _ => mapping.specimen_extra = rules,
                }
            }
            "for_each" | "at" | "members" if self.format != Format::Hl7v2 => {
                let paths = self.anchor(node, name);
                let anchors = &mut mapping.anchors;
                *match (section, name) {
                    ("result", "members") => &mut anchors.members,
                    ("report", _) => &mut anchors.report,
                    ("patient", _) => &mut anchors.patient,
                    ("panel", _) => &mut anchors.panel,
                    ("result", _) => &mut anchors.result,
                    ("specimen", _) => &mut anchors.specimen,
                    _ => &mut anchors.note,
                } = paths;
            }
            "for_each" => {
                if let (Some(word), Some(segment)) =
                    (self.string(node, name), language::repeated_for(section))
                {
                    self.known_word(word, &[segment], node.span(), name);
                }
            }
            "group_by" => {
                let Some(word) = self.string(node, name) else { return };
                if self.known_word(word, &language::GROUPINGS, node.span(), name) {
                    mapping.grouping = match word {
                        "message" => Grouping::Message,
                        "order_number" => Grouping::OrderNumber,
                        _ => Grouping::FillerNumber,
                    };
                }
            }
            _ => {
                let Some(word) = self.string(node, name) else { return };
                mapping.time_zone = TimeZone::get(word).ok();
                if mapping.time_zone.is_none() {
                    let message = format!("`{word}` is no time zone of the IANA list");
                    self.error(
                        UNKNOWN_WORD,
                        node.span(),
                        message,
                        "not known",
                        "write `time_zone = \"Europe/London\"`",
                    );
                }
            }
        }
    }

    /// What else a mapping keeps, under names of its own.
    fn extra(&mut self, section: &str, node: &Node<'_>) -> Vec<(String, RuleId)> {
        let Some(table) = self.table(node, "extra") else { return Vec::new() };
        let mut rules = Vec::new();
        for (key, node) in table {
            let name = key.get_ref().as_ref();
            let path = format!("{section}.extra.{name}");
            if let Some(id) = self.rule(&path, language::Kind::Text, key.span(), node) {
                rules.push((name.to_owned(), id));
            }
        }
        rules
    }

    fn ignores(&mut self, document: &DeTable<'_>) -> Vec<Ignore> {
        let Some(node) = document.get("ignore") else { return Vec::new() };
        let Some(items) = node.get_ref().as_array() else {
            self.wrong_type(node.span(), "ignore", "a list: begin each entry with `[[ignore]]`");
            return Vec::new();
        };
        let mut ignores = Vec::new();
        for item in items {
            let Some(table) = self.table(item, "ignore") else { continue };
            self.check_keys(table, &["path", "why"], "`[[ignore]]`");
            let why = table.get("why").and_then(|node| self.string(node, "why")).unwrap_or_default();
            if why.trim().is_empty() {
                self.missing(item.span(), "why", "why = \"the reason, for whoever reads this next\"");
            }
            let Some(path) = table.get("path") else {
                self.missing(item.span(), "path", "path = \"ZPD\"");
                continue;
            };
            for (text, at) in self.strings(path, "path") {
                let Some(path) = self.path(&text, &at) else { continue };
                if path::is_of_results(&path) {
                    let message = format!("no mapping may ignore {text} as a whole: it carries results");
                    let help = format!("name what in it is not read, such as `{}`", path::within(&path));
                    self.error(IGNORES_RESULTS, at, message, "names all of it", help);
                    continue;
                }
                let span = self.source.span(at, "this path");
                ignores.push(Ignore { path, why: why.to_owned(), span });
            }
        }
        ignores
    }

    /// What no mapping can do without, and rules that exclude each other.
    fn completeness(&mut self, document: &DeTable<'_>, mapping: &Mapping) {
        let has = |field: Field| {
            mapping.by_field.get(field as usize).is_some_and(Option::is_some)
                || !mapping.columns.is_empty()
                    && mapping.columns.iter().all(|it| it.rules.iter().any(|(of, _)| *of == field))
        };
        for (field, line) in path::needed(self.format).into_iter().filter(|(field, _)| !has(*field)) {
            // A rule that is there and did not compile has had its own diagnostic.
            let section = document.get(field.section());
            let table = section.and_then(|node| node.get_ref().as_table());
            if table.is_none_or(|table| !table.contains_key(field.name())) {
                self.missing(section.map_or(0..0, Spanned::span), &field.path(), line);
            }
        }
        if has(Field::Names) && (has(Field::Family) || has(Field::Given)) {
            let at = document.get("patient").map_or(0..0, Spanned::span);
            let message = "`names` reads whole names, and so do `family` and `given`";
            self.error(CONTRADICTION, at, message, "two rules for one thing", "keep one of them");
        }
    }

    /// The mapping and every table it reads.
    fn covered(&self) -> Vec<String> {
        let own = format!("labs/{}/mapping.toml", self.lab);
        std::iter::once(own).chain(self.tables.keys().cloned()).collect()
    }

    /// Over these files, names included, so that a moved row changes it.
    fn digest(&self, files: &[String]) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for name in files {
            let text = self.files.get(name).map_or("", String::as_str);
            context.update(format!("{name}\0{}\0", text.len()).as_bytes());
            context.update(text.as_bytes());
        }
        context.finish().as_ref().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    fn check_keys(&mut self, table: &DeTable<'_>, known: &[&str], place: &str) {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{place} may have: {}", known.join(", ")),
            };
            self.error(
                UNKNOWN_KEY,
                key.span(),
                format!("{place} has no key `{name}`"),
                "not known here",
                help,
            );
        }
    }

    fn known_word(&mut self, word: &str, known: &[&str], at: Range<usize>, key: &str) -> bool {
        if known.contains(&word) {
            return true;
        }
        let help = match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`{key}` may be: {}", known.join(", ")),
        };
        self.error(UNKNOWN_WORD, at, format!("`{key}` cannot be `{word}`"), "not known here", help);
        false
    }

    fn missing(&mut self, at: Range<usize>, key: &str, line: &str) {
        self.error(MISSING_KEY, at, format!("`{key}` is missing"), "belongs here", format!("add `{line}`"));
    }

    fn wrong_type(&mut self, at: Range<usize>, key: &str, wanted: &str) {
        let message = format!("`{key}` should be {wanted}");
        self.error(WRONG_TYPE, at, message, "another kind of value", format!("make `{key}` {wanted}"));
    }

    fn table<'v, 't>(&mut self, node: &'v Node<'t>, key: &str) -> Option<&'v DeTable<'t>> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(node.span(), key, "a table");
        }
        table
    }

    fn string<'v>(&mut self, node: &'v Node<'_>, key: &str) -> Option<&'v str> {
        let text = node.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(node.span(), key, "text in quotes");
        }
        text
    }

    /// One string or a list of them, each with its place.
    fn strings(&mut self, node: &Node<'_>, key: &str) -> Vec<(String, Range<usize>)> {
        if let Some(text) = node.get_ref().as_str() {
            return vec![(text.to_owned(), node.span())];
        }
        let Some(items) = node.get_ref().as_array().filter(|items| !items.is_empty()) else {
            self.wrong_type(node.span(), key, "text in quotes, or a list of such");
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items {
            if let Some(text) = self.string(item, key) {
                found.push((text.to_owned(), item.span()));
            }
        }
        found
    }

    /// The table of this name: in the laboratory's own folder, or `<lab>/<file>` for another's.
    fn resolve(&mut self, name: &str, kind: TableKind, at: Range<usize>) -> Option<(String, Arc<Table>)> {
        let key =
            if name.contains('/') { format!("labs/{name}") } else { format!("labs/{}/{name}", self.lab) };
        let shown = format!("mappings/{key}");
        if let Some(known) = self.tables.get(&key) {
            return known.clone().map(|table| (shown, table));
        }
        let files = self.files;
        let Some(text) = files.get(&key) else {
            let help = format!("make {shown}, with the first line `{}`", kind.header().join(","));
            self.error(NO_TABLE, at, format!("there is no table {shown}"), "no such file", help);
            return None;
        };
        let table = match Table::parse(text, kind) {
            Ok(table) => Some(Arc::new(table)),
            Err(problems) => {
                let source = Source { file: &shown, text };
                for it in problems {
                    let span = source.line(it.line, it.column, it.length, "this row");
                    let help = if it.help.is_empty() {
                        "correct the row, or take it out".to_owned()
                    } else {
                        it.help
                    };
                    self.report(Diagnostic::error(UNSOUND_TABLE, it.message).spanning(span).help(help));
                }
                None
            }
        };
        self.tables.insert(key, table.clone());
        table.map(|table| (shown, table))
    }
}

fn integer(node: &Node<'_>) -> Option<i64> {
    node.get_ref().as_integer().and_then(|it| i64::from_str_radix(it.as_str(), it.radix()).ok())
}
