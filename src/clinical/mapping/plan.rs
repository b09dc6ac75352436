//! A compiled mapping: rules with parsed paths, resolved tables and a decision for every gap.
//!
//! Made only by `compile.rs`, so that whoever holds a [`Mapping`] need not check it again.

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::terminology::Table;
use crate::diagnostic::Span;
use crate::formats::csv;
use crate::formats::hl7v2;
use crate::formats::tree;

/// What to do where a table or map has no row, or a value is not of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Hold,
    Keep,
    Reject,
}

/// What tells the reports of one message apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    FillerNumber,
    Message,
    OrderNumber,
}

/// Where a value stands, in the spelling of the mapping's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Path {
    Hl7v2(hl7v2::Path),
    Tree(tree::Path),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hl7v2(path) => path.fmt(f),
            Self::Tree(path) => path.fmt(f),
        }
    }
}

/// Where the sections of a tree begin; each relative to the one it stands in.
#[derive(Debug, Clone, Default)]
pub(super) struct Anchors {
    pub(super) report: Vec<tree::Path>,
    pub(super) patient: Vec<tree::Path>,
    pub(super) panel: Vec<tree::Path>,
    pub(super) result: Vec<tree::Path>,
    /// What makes a result a panel of further results.
    pub(super) members: Vec<tree::Path>,
    pub(super) specimen: Vec<tree::Path>,
    pub(super) note: Vec<tree::Path>,
}

/// A column of results, where each row is a patient: the rules that differ from those of `[result]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Column {
    pub(super) rules: Vec<(Field, RuleId)>,
}

/// How the words of a field become ours.
#[derive(Debug, Clone)]
pub(super) enum Lookup {
    None,
    /// Word as sent, word of the canonical model.
    Map(Vec<(String, String)>),
    /// HL7 table 0001.
    Sex,
    /// Tables are asked in order; each with its file's name as people see it.
    Tables(Vec<(String, Arc<Table>)>),
}

/// Where the type of a value stands.
#[derive(Debug, Clone)]
pub(super) enum TypeSource {
    Fixed(String),
    Path(Path),
}

/// What is read only where a rule's sources find nothing, and told.
#[derive(Debug, Clone, Default)]
pub(super) struct Fallback {
    pub(super) paths: Vec<Path>,
    /// What its words mean, where that is not what they mean at the sources; a word that is not here says nothing.
    pub(super) words: Vec<(String, String)>,
}

impl Fallback {
    /// The paths of which the rule's own words hold.
    pub(super) fn alike(&self) -> &[Path] {
        if self.words.is_empty() { &self.paths } else { &[] }
    }

    /// The paths with words of their own.
    pub(super) fn translated(&self) -> &[Path] {
        if self.words.is_empty() { &[] } else { &self.paths }
    }

    pub(super) fn word(&self, sent: &str) -> Option<String> {
        self.words.iter().find(|(from, _)| from == sent).map(|(_, word)| word.clone())
    }
}

/// One rule of a mapping file.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent key of the rule")]
pub struct Rule {
    /// `result.unit`, or `result.extra.device`.
    pub name: String,
    /// The rule's place in the mapping file.
    pub span: Span,
    /// The place of the table or map, where it has one.
    pub(super) lookup_span: Option<Span>,
    pub(super) sources: Vec<Path>,
    pub(super) fallback: Fallback,
    /// All sources are read, not the first that has something.
    pub(super) each: bool,
    pub(super) constant: Option<String>,
    pub(super) required: bool,
    pub(super) as_date: bool,
    pub(super) check_nhs_number: bool,
    pub(super) lookup: Lookup,
    pub(super) unmapped: Option<Decision>,
    pub(super) value_type: Option<TypeSource>,
    /// A type the laboratory declares, and the one it means.
    pub(super) retype: Vec<(String, String)>,
    /// How a date is written, such as `YYYY/MM/DD`.
    pub(super) date_format: Option<String>,
    /// Of a code: where the words for it stand, and the system it is of.
    pub(super) display: Vec<Path>,
    pub(super) system: Option<String>,
}

/// Index of a rule in its mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub(super) u16);

/// A path that needs no rule, and why.
#[derive(Debug, Clone)]
pub(super) struct Ignore {
    pub(super) path: Path,
    pub(super) why: String,
}

/// One laboratory's mapping, ready to read messages.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(super) lab: String,
    pub(super) format: Format,
    /// What stands between the cells of a table, where its header need not show it.
    pub(super) delimiter: Option<csv::Delimiter>,
    pub(super) digest: String,
    pub(super) rules: Vec<Rule>,
    /// By [`Field`], in the order of [`Field::ALL`].
    pub(super) by_field: Vec<Option<RuleId>>,
    pub(super) panel_extra: Vec<(String, RuleId)>,
    pub(super) result_extra: Vec<(String, RuleId)>,
    pub(super) specimen_extra: Vec<(String, RuleId)>,
    pub(super) anchors: Anchors,
    pub(super) columns: Vec<Column>,
    pub(super) ignores: Vec<Ignore>,
    pub(super) grouping: Grouping,
    pub(super) time_zone: Option<TimeZone>,
}

impl Mapping {
    pub fn lab(&self) -> &str {
        &self.lab
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// SHA-256 of the mapping and all tables it reads, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Every rule, for coverage.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        (0..).map(RuleId).zip(&self.rules)
    }

    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(usize::from(id.0))
    }

    /// Why a field with [`Outcome::Ignored`](crate::clinical::mapping::Outcome) of this index is not read.
    pub fn why_ignored(&self, ignore: usize) -> Option<&str> {
        self.ignores.get(ignore).map(|it| it.why.as_str())
    }

    /// Of a table whose rows are patients, the columns of results; none where each row is a result.
    pub fn value_columns(&self) -> Vec<String> {
        let value = |column: &Column| {
            let (_, id) = column.rules.iter().find(|(field, _)| *field == Field::ResultValue)?;
            first_name(self.rule(*id)?)
        };
        self.columns.iter().filter_map(value).collect()
    }

    /// The member of a result in which its value stands.
    pub fn value_member(&self) -> Option<String> {
        first_name(self.of(Field::ResultValue)?.1)
    }

    pub(super) fn of(&self, field: Field) -> Option<(RuleId, &Rule)> {
        let id = (*self.by_field.get(field as usize)?)?;
        Some((id, self.rule(id)?))
    }
}

/// The name with which the path of a rule into a tree begins.
fn first_name(rule: &Rule) -> Option<String> {
    match rule.sources.first()? {
        Path::Hl7v2(_) => None,
        Path::Tree(path) => path.names().next().map(str::to_owned),
    }
}
