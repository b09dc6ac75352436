//! From the text of a mapping file to a [`Mapping`], or to every problem in it at once.
//!
//! The file is walked as a tree with positions rather than read into structs, because a struct would stop at its first
//! unknown key. Nothing is guessed: a key that is not in `language.rs` is an error with the nearest name.

mod clause;
mod layers;
mod lint;
mod path;
mod rule;
mod tables;
mod tell;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use self::layers::Layer;
use self::tables::Named;
use crate::clinical::mapping::language;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::language::Head;
use crate::clinical::mapping::language::Setting;
use crate::clinical::mapping::plan::Anchors;
use crate::clinical::mapping::plan::Grouping;
use crate::clinical::mapping::plan::Ignore;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::mapping::source::Source;
use crate::clinical::terminology::Table;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Span;
use crate::diagnostic::has_errors;

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
const EXTENDS: Code = Code::new("M020");
const UNREACHED: Code = Code::new("M021");
const TOO_MANY: Code = Code::new("M022");
const NEVER: Code = Code::new("M032");

type Node<'v> = Spanned<DeValue<'v>>;

/// Compiles `labs/<lab>/mapping.toml` of `files`, with what it extends.
pub(super) fn compile(lab: &str, files: &BTreeMap<String, String>) -> Result<Mapping, Vec<Diagnostic>> {
    let Checked { mapping, mut diagnostics, .. } = check(lab, files);
    diagnostics.retain(Diagnostic::is_error);
    mapping.ok_or(diagnostics)
}

/// What came of a mapping, with everything that can be told of it.
pub(super) struct Checked {
    /// `None` where there is an error.
    pub(super) mapping: Option<Mapping>,
    /// In the order of files and lines.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The files and `[tables]` it reads.
    pub(super) used: BTreeSet<String>,
}

/// Compiles, and tells also of what is legal and likely to be wrong.
pub(super) fn check(lab: &str, files: &BTreeMap<String, String>) -> Checked {
    let mut found = Vec::new();
    let layers = layers::read(lab, files, &mut found);
    let is_toml = found.iter().all(|it| it.code != NOT_TOML);
    let own = layers.first().expect("a laboratory's own file is read first, be it empty");
    let mut compiler = Compiler {
        lab,
        files,
        layers: &layers,
        source: own.source(),
        folder: own.folder(),
        format: Format::Hl7v2,
        is_xml: false,
        has_columns: false,
        is_whole: !has_errors(&found),
        diagnostics: found,
        rules: Vec::new(),
        reads: Vec::new(),
        tables: BTreeMap::new(),
        named: Vec::new(),
        used: layers.iter().map(|it| it.name.clone()).collect(),
    };
    let mapping = if is_toml { Some(compiler.mapping()) } else { None };
    if let Some(mapping) = &mapping {
        compiler.lint(mapping);
    }
    let Compiler { mut diagnostics, used, .. } = compiler;
    diagnostics.sort_by_key(|it| it.span.as_ref().map(|span| (span.file.clone(), span.line, span.column)));
    let mapping = mapping.filter(|_| !has_errors(&diagnostics));
    Checked { mapping, diagnostics, used }
}

/// A path that a rule reads, and where the file says so.
struct Read {
    rule: String,
    /// Which rule of the file it is of, so that two paths of one rule can be told from those of two.
    number: usize,
    path: Path,
    at: Span,
}

struct Compiler<'a> {
    lab: &'a str,
    files: &'a BTreeMap<String, String>,
    layers: &'a [Layer<'a>],
    /// The file at hand, and the folder it stands in.
    source: Source<'a>,
    folder: &'a str,
    format: Format,
    is_xml: bool,
    /// The section at hand leaves to its columns where its rules read from.
    has_columns: bool,
    /// Every file that it extends is there.
    is_whole: bool,
    diagnostics: Vec<Diagnostic>,
    rules: Vec<Rule>,
    reads: Vec<Read>,
    /// Tables read so far, by their name among the files; `None` for one that is unsound.
    tables: BTreeMap<String, Option<Arc<Table>>>,
    named: Vec<Named>,
    /// The files and `[tables]` that something reads.
    used: BTreeSet<String>,
}

impl<'a> Compiler<'a> {
    fn mapping(&mut self) -> Mapping {
        self.head();
        self.each_layer(Self::file_keys);
        let mut mapping = Mapping {
            lab: self.lab.to_owned(),
            format: self.format,
            is_xml: self.is_xml,
            delimiter: None,
            digest: String::new(),
            files: Vec::new(),
            rules: Vec::new(),
            by_field: vec![None; Field::ALL.len()],
            panel_extra: Vec::new(),
            result_extra: Vec::new(),
            specimen_extra: Vec::new(),
            anchors: Anchors::default(),
            columns: Vec::new(),
            ignores: Vec::new(),
            grouping: Grouping::FillerNumber,
            time_zone: None,
        };
        // What a higher file says stands; a lower one is asked for the rest.
        let mut said: BTreeSet<(String, String)> = BTreeSet::new();
        let has_columns = self
            .layers
            .iter()
            .any(|it| section_of(it.table(), "result").is_some_and(|it| it.contains_key("column")));
        self.each_layer(|compiler, layer| compiler.named_tables(layer.table()));
        self.each_layer(|compiler, layer| {
            let document = layer.table();
            mapping.delimiter = mapping.delimiter.or_else(|| compiler.delimiter(document));
            let ignores = compiler.ignores(document);
            mapping.ignores.extend(ignores);
            for section in language::SECTIONS {
                if let Some(node) = document.get(section)
                    && let Some(table) = compiler.table(node, section)
                {
                    compiler.has_columns = has_columns && section == "result";
                    compiler.section(section, table, &mut mapping, &mut said);
                }
            }
            compiler.has_columns = false;
        });
        // After the rules of the section, from which a column's take what they do not say.
        let layers = self.layers;
        let columns =
            layers.iter().find_map(|it| Some((it, section_of(it.table(), "result")?.get("column")?)));
        if self.format.is_tree()
            && let Some((layer, node)) = columns
        {
            self.enter(layer);
            mapping.columns = self.columns(node, &mapping);
        }
        if self.is_whole {
            self.completeness(&mapping);
        }
        mapping.files = self.covered();
        mapping.digest = self.digest(&mapping.files);
        mapping.rules = std::mem::take(&mut self.rules);
        mapping
    }

    /// Makes a file the one at hand.
    fn enter(&mut self, layer: &'a Layer<'a>) {
        self.source = layer.source();
        self.folder = layer.folder();
    }

    fn each_layer(&mut self, mut each: impl FnMut(&mut Self, &'a Layer<'a>)) {
        for layer in self.layers {
            self.enter(layer);
            each(self, layer);
        }
        if let Some(own) = self.layers.first() {
            self.enter(own);
        }
    }

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

    fn warn(
        &mut self,
        code: Code,
        at: Range<usize>,
        message: impl Into<String>,
        label: &str,
        help: impl Into<String>,
    ) {
        let span = self.source.span(at, label);
        self.report(Diagnostic::warning(code, message).spanning(span).help(help));
    }

    /// `schema`, `lab` and `format` of the laboratory's own file.
    fn head(&mut self) {
        let layers = self.layers;
        let Some(document) = layers.first().map(Layer::table) else { return };
        let lab = self.lab;
        for (key, known) in [("lab", &[lab][..]), ("format", &language::FORMATS[..])] {
            let Some(node) = document.get(key) else {
                let line = format!("{key} = \"{}\"", known.first().unwrap_or(&""));
                self.missing(0..0, key, &line);
                continue;
            };
            if let Some(word) = self.string(node, key)
                && self.known_word(word, known, node.span(), key)
                && key == "format"
            {
                self.format = Format::from_word(word).unwrap_or(self.format);
                self.is_xml = word == language::HL7V2_XML;
            }
        }
    }

    /// The keys of a file: all known, its schema ours, its format that of the whole.
    fn file_keys(&mut self, layer: &'a Layer<'a>) {
        let document = layer.table();
        let mut known = Head::names(layer.is_block(), self.format);
        let is_tree = self.format.is_tree();
        known.extend(language::SECTIONS.iter().filter(|it| is_tree || **it != "message"));
        let place = if layer.is_block() { "a block" } else { "a mapping file" };
        self.check_keys(document, &known, place);
        match document.get("schema") {
            None => self.missing(0..0, "schema", "schema = 1"),
            Some(node) if integer(node) == Some(language::SCHEMA) => {}
            Some(node) => {
                let message = format!("this gateway reads mapping schema {}", language::SCHEMA);
                self.error(UNKNOWN_WORD, node.span(), message, "not this version", "write `schema = 1`");
            }
        }
        if let Some(node) = document.get("extends") {
            self.strings(node, "extends");
        }
        let is_own = self.layers.first().is_some_and(|own| own.name == layer.name);
        let Some(node) = document.get("format").filter(|_| !is_own) else {
            if !is_own {
                self.missing(0..0, "format", &format!("format = \"{}\"", self.format.as_str()));
            }
            return;
        };
        if let Some(word) = self.string(node, "format")
            && Format::from_word(word) != Some(self.format)
        {
            let message = format!(
                "`{}` extends this file and reads {}, and its paths are written for another format",
                self.lab,
                self.format.as_str()
            );
            let help = "extend a file of the same format";
            self.error(EXTENDS, node.span(), message, "another format", help);
        }
    }

    fn section(
        &mut self,
        section: &'static str,
        table: &DeTable<'_>,
        mapping: &mut Mapping,
        said: &mut BTreeSet<(String, String)>,
    ) {
        let format = self.format;
        let is_known =
            |field: &&Field| field.section() == section && (format.is_tree() || !field.is_of_trees_only());
        let mut known = Setting::names(section, format);
        known.extend(Field::ALL.iter().filter(is_known).map(|field| field.name()));
        self.check_keys(table, &known, &format!("`[{section}]`"));
        for (key, node) in table {
            let name = key.get_ref().as_ref();
            let is_said =
                name != Setting::Extra.name() && !said.insert((section.to_owned(), name.to_owned()));
            if is_said {
                continue;
            }
            if let Some(field) = Field::find(section, name).filter(|field| is_known(&field)) {
                let id = self.rule(&field.path(), field.kind(), key.span(), node);
                if let Some(slot) = mapping.by_field.get_mut(field as usize) {
                    *slot = id;
                }
            } else if let Some(setting) = Setting::find(name).filter(|it| it.takes(section, format)) {
                self.setting(section, setting, node, mapping);
            }
        }
        // `family` and `given` are the same thing as `names`: a file that has either leaves nothing of the other below.
        if section == "patient" {
            let has = |it: &str| table.contains_key(it);
            let others: &[&str] = match (has("names"), has("family") || has("given")) {
                (true, false) => &["family", "given"],
                (false, true) => &["names", "family", "given"],
                _ => &[],
            };
            said.extend(others.iter().map(|it| (section.to_owned(), (*it).to_owned())));
        }
    }

    fn setting(&mut self, section: &str, setting: Setting, node: &Node<'_>, mapping: &mut Mapping) {
        let name = setting.name();
        match setting {
            Setting::Extra => {
                let rules = match section {
                    "panel" => &mut mapping.panel_extra,
                    "result" => &mut mapping.result_extra,
                    _ => &mut mapping.specimen_extra,
                };
                self.extra(section, node, rules);
            }
            Setting::ForEach if !self.format.is_tree() => {
                if let (Some(word), Some(segment)) =
                    (self.string(node, name), language::repeated_for(section))
                {
                    self.known_word(word, &[segment], node.span(), name);
                }
            }
            Setting::ForEach | Setting::At | Setting::Members => {
                let paths = self.anchor(node, name);
                let anchors = &mut mapping.anchors;
                *match (section, setting) {
                    ("result", Setting::Members) => &mut anchors.members,
                    ("report", _) => &mut anchors.report,
                    ("patient", _) => &mut anchors.patient,
                    ("panel", _) => &mut anchors.panel,
                    ("result", _) => &mut anchors.result,
                    ("specimen", _) => &mut anchors.specimen,
                    _ => &mut anchors.note,
                } = paths;
            }
            Setting::GroupBy => {
                let Some(word) = self.string(node, name) else { return };
                if self.known_word(word, &language::GROUPINGS, node.span(), name) {
                    mapping.grouping = match word {
                        "message" => Grouping::Message,
                        "order_number" => Grouping::OrderNumber,
                        _ => Grouping::FillerNumber,
                    };
                }
            }
            Setting::TimeZone => {
                let Some(word) = self.string(node, name) else { return };
                mapping.time_zone = TimeZone::get(word).ok();
                if mapping.time_zone.is_none() {
                    let message = format!("`{word}` is no time zone of the IANA list");
                    let help = "write `time_zone = \"Europe/London\"`";
                    self.error(UNKNOWN_WORD, node.span(), message, "not known", help);
                }
            }
            // Read after every rule of the section.
            Setting::Column => {}
        }
    }

    /// What else a mapping keeps, under names of its own; a name that a higher file has is left to it.
    fn extra(&mut self, section: &str, node: &Node<'_>, rules: &mut Vec<(String, RuleId)>) {
        let Some(table) = self.table(node, "extra") else { return };
        for (key, node) in table {
            let name = key.get_ref().as_ref();
            if rules.iter().any(|(it, _)| it == name) {
                continue;
            }
            let path = format!("{section}.extra.{name}");
            if let Some(id) = self.rule(&path, language::Kind::Text, key.span(), node) {
                rules.push((name.to_owned(), id));
            }
        }
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
    fn completeness(&mut self, mapping: &Mapping) {
        let has = |field: Field| {
            mapping.by_field.get(field as usize).is_some_and(Option::is_some)
                || !mapping.columns.is_empty()
                    && mapping.columns.iter().all(|it| it.rules.iter().any(|(of, _)| *of == field))
        };
        let layers = self.layers;
        let Some(own) = layers.first().map(Layer::table) else { return };
        for (field, line) in path::needed(self.format).into_iter().filter(|(field, _)| !has(*field)) {
            // A rule that is there and did not compile has had its own diagnostic.
            let is_there = |layer: &Layer<'_>| {
                section_of(layer.table(), field.section()).is_some_and(|it| it.contains_key(field.name()))
            };
            if !layers.iter().any(is_there) {
                let at = own.get(field.section()).map_or(0..0, Spanned::span);
                self.missing(at, &field.path(), line);
            }
        }
        if has(Field::Names) && (has(Field::Family) || has(Field::Given)) {
            let at = own.get("patient").map_or(0..0, Spanned::span);
            let message = "`names` reads whole names, and so do `family` and `given`";
            self.error(CONTRADICTION, at, message, "two rules for one thing", "keep one of them");
        }
    }

    /// The mapping's own file, those it extends, and every table it reads.
    fn covered(&self) -> Vec<String> {
        self.layers.iter().map(|it| &it.name).chain(self.tables.keys()).cloned().collect()
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
}

fn section_of<'v, 't>(document: &'v DeTable<'t>, section: &str) -> Option<&'v DeTable<'t>> {
    document.get(section)?.get_ref().as_table()
}

fn integer(node: &Node<'_>) -> Option<i64> {
    node.get_ref().as_integer().and_then(|it| i64::from_str_radix(it.as_str(), it.radix()).ok())
}
