//! A compiled mapping: rules with parsed paths, resolved tables and a decision for every gap.
//!
//! Made only by `compile.rs`, so that whoever holds a [`Mapping`] need not check it again.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::clinical::mapping::condition::Condition;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::transform;
use crate::clinical::model::ReferenceRange;
use crate::clinical::terminology::Table;
use crate::diagnostic::Span;
use crate::formats::csv;
use crate::formats::hl7v2;
use crate::formats::hl7v2::path::Selector;
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

impl Path {
    /// The values by which it chooses among repetitions or items.
    pub(super) fn choosing_words(&self) -> Vec<String> {
        match self {
            Self::Hl7v2(path) => match &path.repetition {
                Some(
                    Selector::Authority(value) | Selector::Component { value, .. } | Selector::Type(value),
                ) => vec![value.clone()],
                Some(Selector::Index(_)) | None => Vec::new(),
            },
            Self::Tree(path) => {
                let chosen = |step: &tree::Step| match step {
                    tree::Step::Where { value, .. } => Some(value.clone()),
                    _ => None,
                };
                path.steps().iter().filter_map(chosen).collect()
            }
        }
    }
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

/// One rule of a mapping file.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent key of the rule")]
pub struct Rule {
    pub(super) id: RuleId,
    /// `result.unit`, or `result.extra.device`.
    pub name: String,
    /// The rule's place in the mapping file.
    pub span: Span,
    /// The place of the table or map, where it has one.
    pub(super) lookup_span: Option<Span>,
    pub(super) sources: Vec<Path>,
    /// Read only where `sources` find nothing, and told.
    pub(super) fallback: Vec<Path>,
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
    pub(super) more: Option<Box<More>>,
}

/// What few rules say. Kept apart, so that every other rule costs one look.
#[derive(Debug, Clone, Default)]
pub(super) struct More {
    /// All must hold, or the rule is not read.
    pub(super) when: Vec<Condition>,
    /// The rule that is asked next where they do not.
    pub(super) otherwise: Option<RuleId>,
    pub(super) steps: Vec<transform::Step>,
    pub(super) has_decimal_comma: bool,
}

impl Rule {
    /// The canonical field it fills; none for an extra, which has a name of the mapping's own.
    pub(super) fn field(&self) -> Option<Field> {
        let (section, name) = self.name.split_once('.')?;
        Field::find(section, name.strip_prefix("column.").unwrap_or(name))
    }

    /// The text that is looked up or read, of one as sent.
    pub(super) fn changed<'t>(&self, sent: &'t str) -> Cow<'t, str> {
        match &self.more {
            None => Cow::Borrowed(sent),
            Some(more) => transform::apply(&more.steps, sent),
        }
    }

    /// [`Self::changed`] of a text that is not needed otherwise.
    pub(super) fn changed_owned(&self, sent: String) -> String {
        if self.more.is_some() { self.changed(&sent).into_owned() } else { sent }
    }

    /// The text that a number is read from. `None` where its decimals are not written as the mapping says.
    pub(super) fn numeric<'t>(&self, sent: &'t str) -> Option<Cow<'t, str>> {
        let Some(more) = &self.more else { return Some(Cow::Borrowed(sent)) };
        let text = match self.changed(sent) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        match text {
            text if !more.has_decimal_comma => Some(text),
            Cow::Borrowed(text) => transform::decimal_point(text),
            Cow::Owned(text) => transform::decimal_point(&text).map(|it| Cow::Owned(it.into_owned())),
        }
    }

    /// Whether the mapping says that decimals are written with a comma.
    pub(super) fn has_decimal_comma(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.has_decimal_comma)
    }

    /// A range as sent, its bounds read as the mapping says numbers are written.
    pub(super) fn range(&self, sent: &str) -> ReferenceRange {
        if self.more.is_none() {
            return ReferenceRange::parse(sent);
        }
        let read = self.numeric(sent);
        ReferenceRange { sent: sent.to_owned(), ..ReferenceRange::parse(read.as_deref().unwrap_or_default()) }
    }
}

/// Index of a rule in its mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(pub(super) u16);

/// A path that needs no rule, and why.
#[derive(Debug, Clone)]
pub(super) struct Ignore {
    pub(super) path: Path,
    pub(super) why: String,
    /// The path's place in the mapping file.
    pub(super) span: Span,
}

/// One laboratory's mapping, ready to read messages.
#[derive(Debug, Clone)]
pub struct Mapping {
    pub(super) lab: String,
    pub(super) format: Format,
    /// The laboratory says that it writes HL7 v2 as XML.
    pub(super) is_xml: bool,
    /// What stands between the cells of a table, where its header need not show it.
    pub(super) delimiter: Option<csv::Delimiter>,
    pub(super) digest: String,
    pub(super) files: Vec<String>,
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

    /// SHA-256 of the mapping, of what it extends and of all tables it reads, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The names of the files that the digest covers, the mapping's own first: from these alone it compiles again.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Every rule, in the order of the file's sections.
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

    /// The path that an `[[ignore]]` entry of this index names.
    pub fn ignored_path(&self, ignore: usize) -> Option<String> {
        self.ignores.get(ignore).map(|it| it.path.to_string())
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

    /// Of a rule and its alternatives the first whose conditions all hold. Each condition is asked, also after one that
    /// does not hold: the mapping has considered what it looks at.
    pub(super) fn chosen<'r>(
        &'r self,
        rule: (RuleId, &'r Rule),
        mut holds: impl FnMut(&'r Condition) -> bool,
    ) -> Option<(RuleId, &'r Rule)> {
        let (mut id, mut rule) = rule;
        while let Some(more) = &rule.more {
            let unmet = more.when.iter().filter(|condition| !holds(condition)).count();
            if unmet == 0 {
                break;
            }
            id = more.otherwise?;
            rule = self.rule(id)?;
        }
        Some((id, rule))
    }

    /// A rule and its alternatives, in the order in which they are asked.
    pub(super) fn alternatives(&self, id: RuleId) -> impl Iterator<Item = RuleId> {
        std::iter::successors(Some(id), |id| self.rule(*id)?.more.as_ref()?.otherwise)
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
