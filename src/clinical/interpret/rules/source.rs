//! A TOML file of knowledge, and how its problems are pointed at.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;

use crate::clinical::interpret::rules::condition::Condition;
use crate::clinical::interpret::rules::range::UNKNOWN_NAME;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Span;

pub(super) const UNREADABLE: Code = Code::new("I001");
const CONDITION_UNREADABLE: Code = Code::new("I009");
const INCOMPLETE: Code = Code::new("I010");

/// A file's name and text.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Source<'_> {
    pub(super) fn parse<T: DeserializeOwned>(&self, problems: &mut Vec<Diagnostic>) -> Option<T> {
        toml::from_str(self.text)
            .map_err(|error| {
                let diagnostic =
                    Diagnostic::error(UNREADABLE, format!("{} cannot be read as knowledge", self.file))
                        .help("correct the file as `docs/rule-grammar.md` describes it");
                problems.push(match error.span() {
                    Some(at) => diagnostic.spanning(self.span(&at, error.message())),
                    None => diagnostic.fact(error.message()),
                });
            })
            .ok()
    }

    pub(super) fn conditions(
        &self,
        texts: &[Spanned<String>],
        knows: &dyn Fn(&str) -> bool,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<Condition> {
        let read = texts.iter().map(|text| self.condition(text.get_ref(), &text.span(), knows, problems));
        read.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    /// Reads one condition that stands somewhere within `area`.
    pub(super) fn condition(
        &self,
        text: &str,
        area: &Range<usize>,
        knows: &dyn Fn(&str) -> bool,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Condition> {
        Condition::parse(text, knows)
            .map_err(|reason| problems.push(self.unreadable(area, text, &reason)))
            .ok()
    }

    pub(super) fn unreadable(&self, area: &Range<usize>, text: &str, reason: &str) -> Diagnostic {
        let code = if reason.ends_with("is unknown") { UNKNOWN_NAME } else { CONDITION_UNREADABLE };
        let within = self.text.get(area.clone()).and_then(|part| part.find(text));
        let exact = within.map(|at| area.start + at..area.start + at + text.len());
        Diagnostic::error(code, format!("the condition `{text}` cannot be read"))
            .spanning(self.span(&exact.unwrap_or_else(|| area.clone()), reason))
            .help("write it as `docs/rule-grammar.md` describes; names are those of analytes.tsv and formulas.toml")
    }

    pub(super) fn incomplete(&self, id: &str, what: &str) -> Diagnostic {
        let at = self.text.find(id).unwrap_or_default();
        Diagnostic::error(INCOMPLETE, format!("`{id}` is incomplete: {what}"))
            .spanning(self.span(&(at..at + id.len()), what))
            .help("add what is missing; an unsourced or untested rule is not run")
    }

    pub(super) fn span(&self, at: &Range<usize>, label: &str) -> Span {
        let start = at.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let column = self.text.get(line_start..start).map_or(0, |it| it.chars().count());
        let length =
            self.text.get(at.clone()).map_or(1, |it| it.lines().next().unwrap_or_default().chars().count());
        Span {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            length: length.max(1),
            text: line.to_owned(),
            label: label.to_owned(),
        }
    }
}
