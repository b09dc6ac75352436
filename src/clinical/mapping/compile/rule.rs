//! One rule: a path in quotes, or a table of keys.

use std::ops::Range;

use toml::de::DeTable;

use crate::clinical::mapping::compile::CONTRADICTION;
use crate::clinical::mapping::compile::Compiler;
use crate::clinical::mapping::compile::NEVER;
use crate::clinical::mapping::compile::NO_DECISION;
use crate::clinical::mapping::compile::Node;
use crate::clinical::mapping::compile::RULES_MAX;
use crate::clinical::mapping::compile::TOO_MANY;
use crate::clinical::mapping::compile::UNREACHED;
use crate::clinical::mapping::compile::path;
use crate::clinical::mapping::condition;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::language::Kind;
use crate::clinical::mapping::language::Verb;
use crate::clinical::mapping::language::verb::ALTERNATIVES_MAX;
use crate::clinical::mapping::language::verb::Shape;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Lookup;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::mapping::plan::TypeSource;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::Sex;
use crate::clinical::model::StatusDetail;

/// HL7 v2 data types (chapter 2A) that a value can be read as.
const VALUE_TYPES: [&str; 20] = [
    "NM", "SN", "NR", "ST", "TX", "FT", "IS", "ID", "SI", "CE", "CWE", "CNE", "CF", "DT", "TM", "TS", "DTM",
    "ED", "RP", "NA",
];

impl Compiler<'_> {
    /// One rule, or a list of which the first whose `when` holds is read.
    pub(super) fn rule(
        &mut self,
        name: &str,
        kind: Kind,
        key: Range<usize>,
        node: &Node<'_>,
    ) -> Option<RuleId> {
        let Some(items) = node.get_ref().as_array() else { return self.one_rule(name, kind, key, node) };
        if items.is_empty() || items.len() > ALTERNATIVES_MAX {
            let message = format!("`{name}` has {} alternatives", items.len());
            let help = format!("give it one to {ALTERNATIVES_MAX}, each a table");
            self.error(TOO_MANY, node.span(), message, "these", help);
            return None;
        }
        let mut ids: Vec<RuleId> = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let is_conditional = item.get_ref().as_table().is_some_and(|it| it.contains_key("when"));
            if !is_conditional && place + 1 < items.len() {
                let message = format!("what follows this rule of `{name}` is never read");
                let help = "give it a `when`, or make it the last of the list";
                self.error(UNREACHED, item.span(), message, "it has no `when`", help);
            }
            ids.extend(self.one_rule(name, kind, item.span(), item));
        }
        for pair in ids.windows(2) {
            if let [id, next] = pair
                && let Some(rule) = self.rules.get_mut(usize::from(id.0))
            {
                rule.more.get_or_insert_default().otherwise = Some(*next);
            }
        }
        ids.first().copied()
    }

    fn one_rule(&mut self, name: &str, kind: Kind, key: Range<usize>, node: &Node<'_>) -> Option<RuleId> {
        let id = RuleId(u16::try_from(self.rules.len()).ok()?);
        let mut rule = Rule {
            id,
            name: name.to_owned(),
            span: self.source.span(key.start..node.span().end.max(key.end), "this rule"),
            lookup_span: None,
            sources: Vec::new(),
            fallback: Vec::new(),
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
            more: None,
        };
        if let Some(text) = node.get_ref().as_str() {
            rule.sources.extend(self.read_path(&rule.name, text, &node.span()));
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
        if self.rules.len() >= RULES_MAX {
            let help = "read fewer fields, or keep several as one text";
            let message = format!("a mapping has at most {RULES_MAX} rules");
            self.error(TOO_MANY, key, message, "one too many", help);
            return None;
        }
        self.rules.push(rule);
        Some(id)
    }

    fn keys(&mut self, rule: &mut Rule, kind: Kind, table: &DeTable<'_>, at: &Range<usize>) {
        let format = self.format;
        self.check_keys(table, &Verb::names(kind, format), &format!("`{}`", rule.name));
        let is_origin = |verb: Option<Verb>| {
            matches!(verb, Some(Verb::From | Verb::FirstOf | Verb::EachOf | Verb::Const))
        };
        let verbs = || table.iter().map(|(key, node)| (Verb::find(key.get_ref().as_ref()), key, node));
        let origins: Vec<_> = verbs().filter(|(verb, ..)| is_origin(*verb)).collect();
        if let [_, (_, second, _), ..] = origins.as_slice() {
            let message = format!("`{}` says twice where it comes from", rule.name);
            let help = "keep one of `from`, `first_of`, `each_of`, `const`";
            self.error(CONTRADICTION, second.span(), message, "the second origin", help);
        } else if origins.is_empty() && !self.has_columns {
            self.missing(at.clone(), "from", path::example(self.format));
        }
        for (verb, _, node) in verbs() {
            if let Some(verb) = verb.filter(|it| it.takes(kind, format)) {
                self.verb(rule, kind, verb, node);
            }
        }
        if rule.unmapped.is_none() && matches!(rule.lookup, Lookup::Tables(_) | Lookup::Map(_)) {
            let message = format!("`{}` does not say what to do when its table has no row", rule.name);
            let help = "add `unmapped = \"hold\"` (or \"keep\" or \"reject\") to the rule";
            self.error(NO_DECISION, at.clone(), message, "`unmapped` is missing", help);
        }
    }

    fn verb(&mut self, rule: &mut Rule, kind: Kind, verb: Verb, node: &Node<'_>) {
        let key = verb.name();
        match verb {
            Verb::From => {
                let Some(text) = self.string(node, key) else { return };
                rule.sources.extend(self.read_path(&rule.name, text, &node.span()));
            }
            Verb::FirstOf | Verb::EachOf => {
                rule.each = verb == Verb::EachOf;
                rule.sources.extend(self.field_paths(&rule.name, node, key));
            }
            Verb::Fallback => rule.fallback.extend(self.field_paths(&rule.name, node, key)),
            Verb::Const => {
                let Some(word) = self.string(node, key) else { return };
                let is_sound = match kind {
                    Kind::ReportStatus | Kind::ResultStatus => {
                        self.known_word(word, targets(kind), node.span(), key)
                    }
                    _ => true,
                };
                rule.constant = is_sound.then(|| word.to_owned());
            }
            // Of a report's own number it is asked always.
            Verb::Required => {
                rule.required =
                    self.flag(node, key).unwrap_or_default() && rule.name != "report.filler_number";
            }
            Verb::As => rule.as_date = self.word(verb, node) == Some("date"),
            Verb::Check => rule.check_nhs_number = self.word(verb, node).is_some(),
            Verb::Decimal => {
                let has_comma = self.word(verb, node) == Some("comma");
                rule.more.get_or_insert_default().has_decimal_comma = has_comma;
            }
            Verb::Unmapped => {
                rule.unmapped = Some(match self.word(verb, node) {
                    Some("keep") => Decision::Keep,
                    Some("reject") => Decision::Reject,
                    _ => Decision::Hold,
                });
            }
            Verb::Format => self.date_format(rule, node),
            Verb::Display => {
                let Some(text) = self.string(node, key) else { return };
                rule.display.extend(self.read_path(&rule.name, text, &node.span()));
            }
            Verb::System => rule.system = self.string(node, key).map(str::to_owned),
            Verb::Table => self.tables_of(rule, kind, node),
            Verb::Map => self.map(rule, kind, node),
            Verb::Type => {
                let Some(text) = self.string(node, key) else { return };
                rule.value_type = if VALUE_TYPES.contains(&text) {
                    Some(TypeSource::Fixed(text.to_owned()))
                } else {
                    self.read_path(&rule.name, text, &node.span()).map(TypeSource::Path)
                };
            }
            Verb::Retype => {
                for (from, to, at) in self.words(node, key) {
                    if self.known_word(&to, &VALUE_TYPES, at, key) {
                        rule.retype.push((from, to));
                    }
                }
            }
            Verb::Transform => rule.more.get_or_insert_default().steps = self.steps(node),
            Verb::When => self.when(rule, node),
        }
    }

    /// `when`, of a rule or of a column.
    pub(super) fn when(&mut self, rule: &mut Rule, node: &Node<'_>) {
        let conditions = self.conditions(node);
        if let Some(condition) = condition::contradict(&conditions) {
            let message = format!(
                "no message can fulfil this `when`: what it asks of `{}` excludes itself",
                condition.path
            );
            let help = "take one of the conditions out, or make two rules of it";
            self.warn(NEVER, node.span(), message, "never holds", help);
        }
        rule.more.get_or_insert_default().when = conditions;
    }

    /// The one of its words that a key has.
    fn word<'v>(&mut self, verb: Verb, node: &'v Node<'_>) -> Option<&'v str> {
        let word = self.string(node, verb.name())?;
        let Shape::Word(known) = verb.shape() else { return Some(word) };
        self.known_word(word, known, node.span(), verb.name()).then_some(word)
    }

    fn map(&mut self, rule: &mut Rule, kind: Kind, node: &Node<'_>) {
        rule.lookup_span = Some(self.source.span(node.span(), "no entry for it"));
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
        rule.lookup = Lookup::Map(entries);
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
