//! One rule: a path in quotes, or a table of keys.

use std::ops::Range;

use toml::de::DeTable;

use crate::clinical::mapping::compile::CONTRADICTION;
use crate::clinical::mapping::compile::Compiler;
use crate::clinical::mapping::compile::NO_DECISION;
use crate::clinical::mapping::compile::Node;
use crate::clinical::mapping::compile::WRONG_TYPE;
use crate::clinical::mapping::compile::path;
use crate::clinical::mapping::language;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::language::Kind;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Fallback;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::mapping::plan::TypeSource;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::Sex;
use crate::clinical::model::StatusDetail;
use crate::clinical::terminology::TableKind;

/// HL7 v2 data types (chapter 2A) that a value can be read as.
const VALUE_TYPES: [&str; 20] = [
    "NM", "SN", "NR", "ST", "TX", "FT", "IS", "ID", "SI", "CE", "CWE", "CNE", "CF", "DT", "TM", "TS", "DTM",
    "ED", "RP", "NA",
];

impl Compiler<'_> {
    pub(super) fn rule(
        &mut self,
        name: &str,
        kind: Kind,
        key: Range<usize>,
        node: &Node<'_>,
    ) -> Option<RuleId> {
        let mut rule = Rule {
            name: name.to_owned(),
            span: self.source.span(key.start..node.span().end.max(key.end), "this rule"),
            lookup_span: None,
            sources: Vec::new(),
            fallback: Fallback::default(),
            each: false,
            constant: None,
            required: false,
            as_date: name == "patient.birth_date",
            check_nhs_number: false,
            lookup: if kind == Kind::Sex { Lookup::Sex } else { Lookup::None },
            unmapped: None,
            value_type: None,
            retype: Vec::new(),
            date_format: None,
            display: Vec::new(),
            system: None,
        };
        if let Some(text) = node.get_ref().as_str() {
            rule.sources.extend(self.field_path(text, &node.span()));
        } else if let Some(table) = node.get_ref().as_table() {
            self.keys(&mut rule, kind, table, &node.span());
        } else {
            self.wrong_type(node.span(), name, "a path in quotes, or a table with `from`");
        }
        if rule.sources.is_empty() && rule.constant.is_none() && !self.has_columns {
            return None;
        }
        if kind == Kind::Value && rule.value_type.is_none() && self.format == Format::Hl7v2 {
            let line = format!("{name} = {{ from = \"OBX-5\", type = \"OBX-2\" }}");
            self.missing(node.span(), "type", &line);
        }
        self.rules.push(rule);
        u16::try_from(self.rules.len() - 1).ok().map(RuleId)
    }

    fn keys(&mut self, rule: &mut Rule, kind: Kind, table: &DeTable<'_>, at: &Range<usize>) {
        let mut known = language::RULE_KEYS.to_vec();
        known.extend(kind.keys());
        if self.format != Format::Hl7v2 {
            known.extend(kind.keys_in_tree());
        }
        self.check_keys(table, &known, &format!("`{}`", rule.name));
        let origins: Vec<_> = table
            .iter()
            .filter(|(key, _)| ["from", "first_of", "each_of", "const"].contains(&key.get_ref().as_ref()))
            .collect();
        if let [_, (second, _), ..] = origins.as_slice() {
            let message = format!("`{}` says twice where it comes from", rule.name);
            let help = "keep one of `from`, `first_of`, `each_of`, `const`";
            self.error(CONTRADICTION, second.span(), message, "the second origin", help);
        } else if origins.is_empty() && !self.has_columns {
            self.missing(at.clone(), "from", path::example(self.format));
        }
        for (key, node) in table {
            let key = key.get_ref().as_ref();
            if known.contains(&key) {
                self.key(rule, kind, key, node);
            }
        }
        if rule.unmapped.is_none() && matches!(rule.lookup, Lookup::Tables(_) | Lookup::Map(_)) {
            let message = format!("`{}` does not say what to do when its table has no row", rule.name);
            let help = "add `unmapped = \"hold\"` (or \"keep\" or \"reject\") to the rule";
            self.error(NO_DECISION, at.clone(), message, "`unmapped` is missing", help);
        }
    }

    fn key(&mut self, rule: &mut Rule, kind: Kind, key: &str, node: &Node<'_>) {
        match key {
            "from" => {
                let text = self.string(node, key).unwrap_or_default();
                rule.sources.extend(self.field_path(text, &node.span()));
            }
            "first_of" | "each_of" => {
                rule.each = key == "each_of";
                rule.sources.extend(self.field_paths(node, key));
            }
            "fallback" => rule.fallback = self.fallback(kind, node),
            "const" => {
                let Some(word) = self.string(node, key) else { return };
                let sound = match kind {
                    Kind::ReportStatus | Kind::ResultStatus => {
                        self.known_word(word, targets(kind), node.span(), key)
                    }
                    _ => true,
                };
                rule.constant = sound.then(|| word.to_owned());
            }
            "required" => match node.get_ref().as_bool() {
                Some(required) => rule.required = required,
                None => self.wrong_type(node.span(), key, "true or false"),
            },
            "as" => {
                let Some(word) = self.string(node, key) else { return };
                self.known_word(word, &["date", "time"], node.span(), key);
                rule.as_date = word == "date";
            }
            "check" => {
                let Some(word) = self.string(node, key) else { return };
                rule.check_nhs_number = self.known_word(word, &["nhs-number"], node.span(), key);
            }
            "unmapped" => {
                let Some(word) = self.string(node, key) else { return };
                self.known_word(word, &language::DECISIONS, node.span(), key);
                rule.unmapped = Some(match word {
                    "keep" => Decision::Keep,
                    "reject" => Decision::Reject,
                    _ => Decision::Hold,
                });
            }
            "format" => self.date_format(rule, node),
            "display" => {
                let text = self.string(node, key).unwrap_or_default();
                rule.display.extend(self.field_path(text, &node.span()));
            }
            "system" => rule.system = self.string(node, key).map(str::to_owned),
            "table" => self.tables_of(rule, kind, node),
            "map" => self.map(rule, kind, node),
            "type" => {
                let Some(text) = self.string(node, key) else { return };
                rule.value_type = if VALUE_TYPES.contains(&text) {
                    Some(TypeSource::Fixed(text.to_owned()))
                } else {
                    self.field_path(text, &node.span()).map(TypeSource::Path)
                };
            }
            _ => {
                for (from, to, at) in self.words(node, key) {
                    if self.known_word(&to, &VALUE_TYPES, at, key) {
                        rule.retype.push((from, to));
                    }
                }
            }
        }
    }

    /// A list of paths; or, for a field with a map, where it looks and what the words mean there.
    fn fallback(&mut self, kind: Kind, node: &Node<'_>) -> Fallback {
        let table = node.get_ref().as_table().filter(|_| kind.is_word_of_map());
        let Some(table) = table else {
            return Fallback { paths: self.field_paths(node, "fallback"), words: Vec::new() };
        };
        self.check_keys(table, &language::FALLBACK_KEYS, "`fallback`");
        let (paths, words) = (table.get("from"), table.get("map"));
        if paths.is_none() || words.is_none() {
            self.missing(
                node.span(),
                "fallback",
                "fallback = { from = \"OBR-25\", map = { F = \"final\" } }",
            );
        }
        Fallback {
            paths: paths.map(|node| self.one_or_more_paths(node, "from")).unwrap_or_default(),
            words: words.map(|node| self.mapped_words(kind, node)).unwrap_or_default(),
        }
    }

    fn tables_of(&mut self, rule: &mut Rule, kind: Kind, node: &Node<'_>) {
        if kind == Kind::Sex {
            if let Some(word) = self.string(node, "table") {
                self.known_word(word, &["sex"], node.span(), "table");
            }
            return;
        }
        let table_kind = if kind == Kind::Unit { TableKind::Units } else { TableKind::Codes };
        rule.lookup_span = Some(self.source.span(node.span(), "no row for it"));
        let mut tables = Vec::new();
        for (name, at) in self.strings(node, "table") {
            match self.resolve(&name, table_kind, at) {
                Some((shown, table)) if table.kind() == table_kind => tables.push((shown, table)),
                Some((shown, _)) => {
                    let wanted = format!("a table with the columns {}", table_kind.header().join(","));
                    self.error(
                        WRONG_TYPE,
                        node.span(),
                        format!("{shown} is not {wanted}"),
                        "another kind",
                        "name another",
                    );
                }
                None => {}
            }
        }
        rule.lookup = Lookup::Tables(tables);
    }

    fn map(&mut self, rule: &mut Rule, kind: Kind, node: &Node<'_>) {
        rule.lookup_span = Some(self.source.span(node.span(), "no entry for it"));
        rule.lookup = Lookup::Map(self.mapped_words(kind, node));
    }

    /// The entries of a map, each to a word that the field may be.
    fn mapped_words(&mut self, kind: Kind, node: &Node<'_>) -> Vec<(String, String)> {
        let mut entries = Vec::new();
        for (from, to, at) in self.words(node, "map") {
            let sound = match kind {
                Kind::ReportStatus => ReportStatus::from_word(&to).is_some(),
                Kind::ResultStatus => StatusDetail::read(&to).is_some(),
                Kind::Sex => Sex::from_word(&to).is_some(),
                _ => matches!(to.as_str(), "yes" | "no"),
            };
            if sound {
                entries.push((from, to));
            } else {
                self.known_word(&to, targets(kind), at, "map");
            }
        }
        entries
    }

    /// The entries of `{ F = "final" }`.
    fn words(&mut self, node: &Node<'_>, key: &str) -> Vec<(String, String, Range<usize>)> {
        let Some(table) = self.table(node, key) else { return Vec::new() };
        let mut words = Vec::new();
        for (from, to) in table {
            if let Some(text) = self.string(to, key) {
                words.push((from.get_ref().as_ref().to_owned(), text.to_owned(), to.span()));
            }
        }
        words
    }
}

/// The words a map of this kind may lead to.
const fn targets(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ReportStatus => &[
            "registered",
            "partial",
            "preliminary",
            "final",
            "amended",
            "corrected",
            "cancelled",
            "entered-in-error",
            "unknown",
        ],
        Kind::ResultStatus => &[
            "registered",
            "preliminary",
            "final",
            "amended",
            "corrected",
            "cancelled",
            "entered-in-error",
            "unknown",
            "value-stands",
            "wrong-patient",
        ],
        Kind::Sex => &["female", "male", "other", "unknown"],
        _ => &["yes", "no"],
    }
}
