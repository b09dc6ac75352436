//! One shape for everything that went wrong or needs a person: what, where, what we did about it, how to fix it.
//!
//! A diagnostic never holds patient data: its position names a field (`OBX[3]-6.1`), and its message quotes a value
//! only from a coded field. Codes are for ever; what each means stands once, in `diagnostic/codes/*.toml`.
//! Rendering for a terminal is in [`render`].

pub mod codes;
pub mod render;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// A stable code: a letter for the area and three digits, such as `T014`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// Names a code of the list in `diagnostic/codes/`; a test holds every use against it.
    pub const fn new(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a diagnostic did to the message it speaks of. Ordered: a later variant is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Noted; nothing was changed by it.
    Info,
    /// We went on, and a person may want to know.
    Warning,
    /// Something was held, rejected or refused.
    Error,
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place in a text file of ours: a mapping, a table, the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// In characters; at least 1.
    pub length: usize,
    /// The whole line, for the caret.
    pub text: String,
    /// What stands under the caret.
    pub label: String,
}

/// A row that a table of a mapping does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingRow {
    /// The table's file, such as `mappings/labs/north/codes.csv`.
    pub table: String,
    pub kind: RowKind,
    /// What the laboratory sent, letter by letter.
    pub sent: String,
}

/// What a row gives a meaning to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    Code,
    Unit,
}

impl RowKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Unit => "unit",
        }
    }
}

/// One thing worth telling, complete enough to act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    /// Where in the message, such as `OBX[3]-6.1`; empty where it has no place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub position: String,
    /// What happened, one sentence without a final stop.
    pub message: String,
    /// Which rule of which file decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// Further facts, such as `held: nothing was sent on`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// The row that would mend it, where one would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Box<MissingRow>>,
    /// How to fix it; where possible a command or a line to paste.
    pub help: String,
}

impl Diagnostic {
    fn new(code: Code, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            position: String::new(),
            message: message.into(),
            span: None,
            facts: Vec::new(),
            row: None,
            help: String::new(),
        }
    }

    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, message)
    }

    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, message)
    }

    pub fn info(code: Code, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Info, message)
    }

    #[must_use]
    pub fn at(mut self, position: impl Into<String>) -> Self {
        self.position = position.into();
        self
    }

    #[must_use]
    pub fn spanning(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    #[must_use]
    pub fn fact(mut self, fact: impl Into<String>) -> Self {
        self.facts.push(fact.into());
        self
    }

    #[must_use]
    pub fn missing(mut self, row: MissingRow) -> Self {
        self.row = Some(Box::new(row));
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// Whether this one holds or rejects what it speaks of.
    pub const fn is_error(&self) -> bool {
        matches!(self.severity, Severity::Error)
    }
}

/// Whether any of these holds or rejects.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// The known name nearest to a mistyped one, if it is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| {
            (if is_swap(name, candidate) { 1 } else { edit_distance(name, candidate) }, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Whether two letters changed places, as fingers do it: `tabel`.
fn is_swap(a: &str, b: &str) -> bool {
    let differing: Vec<(char, char)> = a.chars().zip(b.chars()).filter(|(a, b)| a != b).collect();
    a.chars().count() == b.chars().count()
        && matches!(differing.as_slice(), [(a1, b1), (a2, b2)] if a1 == b2 && a2 == b1)
}

/// Levenshtein's distance, in characters.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            let here = (diagonal + usize::from(from != *to)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::edit_distance;
    use super::nearest;

    #[test]
    fn edit_distance_counts_single_changes() {
        for (a, b, distance) in
            [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("é", "e", 1)]
        {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn a_typo_finds_its_neighbour_and_a_stranger_does_not() {
        let known = ["filler_number", "order_number", "time_zone"];
        assert_eq!(nearest("filer_number", known), Some("filler_number"));
        assert_eq!(nearest("patient", known), None);
        assert_eq!(nearest("tabel", ["table", "label"]), Some("table"), "two letters that changed places");
    }
}
