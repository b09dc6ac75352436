//! What is told of a value or a field, in one shape for people and for tools.

use serde::Serialize;

use crate::cli::mapping::explain::account::Account;
use crate::cli::mapping::explain::account::Counts;
use crate::clinical::mapping::Outcome;
use crate::clinical::mapping::Rule;
use crate::clinical::mapping::inbound::trace::How;
use crate::clinical::mapping::inbound::trace::Origin;
use crate::clinical::mapping::inbound::trace::influence::Made;

/// The message an answer is about.
#[derive(Serialize)]
pub(super) struct Subject<'a> {
    pub(super) file: &'a str,
    pub(super) index: usize,
    pub(super) lab: &'a str,
    /// The digest of the mapping and the tables it reads.
    pub(super) mapping: &'a str,
    pub(super) status: &'static str,
    pub(super) counts: Counts,
}

/// A place of the message, and what stands there.
#[derive(Serialize)]
pub(super) struct Place<'a> {
    #[serde(rename = "place")]
    pub(super) name: &'a str,
    pub(super) text: &'a str,
    /// In bytes of the file; absent where the format's reader keeps no places.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
}

/// A rule of the mapping.
#[derive(Serialize)]
pub(super) struct RuleTold<'a> {
    pub(super) name: &'a str,
    pub(super) file: &'a str,
    pub(super) line: usize,
    pub(super) text: &'a str,
}

/// How a value came of its places.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum HowTold<'a> {
    AsSent,
    Constant,
    Derived {
        why: &'a str,
    },
    Entry {
        from: &'a str,
        to: &'a str,
    },
    Part,
    Row {
        file: &'a str,
        line: usize,
        sent: &'a str,
        target: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        display: Option<&'a str>,
    },
    Unknown,
}

/// A canonical value and where it came from.
#[derive(Serialize)]
pub(super) struct Value<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    pub(super) from: Vec<Place<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<RuleTold<'a>>,
    pub(super) how: HowTold<'a>,
}

/// A value of the Bundle or of a call.
#[derive(Serialize)]
pub(super) struct MadeTold<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
    /// Canonical values that stand in it, with their own origins.
    pub(super) holds: Vec<Value<'a>>,
    /// Canonical values that decide it without standing in it.
    pub(super) follows: Vec<&'a str>,
}

/// A leaf of the message and what became of it.
#[derive(Serialize)]
pub(super) struct FieldTold<'a> {
    #[serde(flatten)]
    pub(super) place: Place<'a>,
    pub(super) outcome: &'static str,
    /// Those that read it, also where another place served.
    pub(super) rules: Vec<RuleTold<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ignored: Option<IgnoredTold<'a>>,
    /// The canonical values that came of it.
    pub(super) report: Vec<Value<'a>>,
}

/// The `[[ignore]]` entry that says why nothing reads a field.
#[derive(Serialize)]
pub(super) struct IgnoredTold<'a> {
    pub(super) path: String,
    pub(super) why: &'a str,
}

impl Account<'_> {
    pub(super) fn subject_told(&self) -> Subject<'_> {
        Subject {
            file: self.file,
            index: self.index,
            lab: self.mapping.lab(),
            mapping: self.mapping.digest(),
            status: self.status.as_str(),
            counts: self.counts(),
        }
    }

    pub(super) fn place(&self, at: usize) -> Option<Place<'_>> {
        let leaf = self.leaf(at)?;
        let bytes = self.bytes(leaf);
        Some(Place {
            name: &leaf.place,
            text: &leaf.text,
            offset: bytes.as_ref().map(|it| it.start),
            length: bytes.map(|it| it.len()),
            line: self.line(leaf),
        })
    }

    pub(super) fn value<'a>(&'a self, origin: &'a Origin) -> Value<'a> {
        Value {
            path: &origin.path,
            text: &origin.text,
            from: origin.from.iter().filter_map(|at| self.place(*at)).collect(),
            rule: origin.rule.and_then(|id| self.mapping.rule(id)).map(rule),
            how: how(&origin.how),
        }
    }

    pub(super) fn made<'a>(&'a self, made: &'a Made) -> MadeTold<'a> {
        MadeTold {
            path: &made.path,
            text: &made.text,
            holds: (made.holds.iter()).filter_map(|path| Some(self.value(self.origin(path)?))).collect(),
            follows: made.follows.iter().map(String::as_str).collect(),
        }
    }

    pub(super) fn field(&self, at: usize) -> Option<FieldTold<'_>> {
        let leaf = self.leaf(at)?;
        let (outcome, ignored) = match self.trace.outcome(leaf) {
            Outcome::Used => ("used", None),
            Outcome::Ignored(index) => ("ignored", self.ignored(index)),
            Outcome::Unaccounted => ("unaccounted", None),
        };
        let rules = self.trace.readers.get(at).into_iter().flatten();
        let values = self.trace.values.get(at).into_iter().flatten();
        Some(FieldTold {
            place: self.place(at)?,
            outcome,
            rules: rules.filter_map(|id| self.mapping.rule(*id)).map(rule).collect(),
            ignored,
            report: values.filter_map(|it| Some(self.value(self.trace.origins.get(*it)?))).collect(),
        })
    }

    fn ignored(&self, index: usize) -> Option<IgnoredTold<'_>> {
        Some(IgnoredTold { path: self.mapping.ignored_path(index)?, why: self.mapping.why_ignored(index)? })
    }
}

fn rule(rule: &Rule) -> RuleTold<'_> {
    RuleTold { name: &rule.name, file: &rule.span.file, line: rule.span.line, text: rule.span.text.trim() }
}

fn how(how: &How) -> HowTold<'_> {
    match how {
        How::AsSent => HowTold::AsSent,
        How::Constant => HowTold::Constant,
        How::Derived(why) => HowTold::Derived { why },
        How::Entry { from, to } => HowTold::Entry { from, to },
        How::Part => HowTold::Part,
        How::Row { file, line, sent, target, display } => {
            HowTold::Row { file, line: *line, sent, target, display: display.as_deref() }
        }
        How::Unknown => HowTold::Unknown,
    }
}

impl HowTold<'_> {
    /// In words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::AsSent => "as sent".to_owned(),
            Self::Constant => "a constant of the rule".to_owned(),
            Self::Derived { why } => (*why).to_owned(),
            Self::Entry { from, to } => format!("map entry `{from}` = `{to}`"),
            Self::Part => "made of these parts".to_owned(),
            Self::Row { file, line, sent, target, display } => {
                let display = display.map(|it| format!(",{it}")).unwrap_or_default();
                format!("row {file}:{line}  {sent},{target}{display}")
            }
            Self::Unknown => "nothing accounts for it: a defect of the gateway".to_owned(),
        }
    }
}
