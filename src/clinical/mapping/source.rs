//! A file of ours as text, and the place in it that a diagnostic points at.

use std::ops::Range;

use crate::diagnostic::Span;

/// One mapping file or table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'t> {
    /// As people see it: `mappings/labs/inuvi/mapping.toml`.
    pub(super) file: &'t str,
    pub(super) text: &'t str,
}

impl Source<'_> {
    /// The place of some bytes of the text; of their first line only, where they are many.
    pub(super) fn span(&self, bytes: Range<usize>, label: impl Into<String>) -> Span {
        let start = bytes.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let line_text = rest.lines().next().unwrap_or_default();
        let line_end = line_start + line_text.len();
        let marked = self.text.get(start..bytes.end.min(line_end).max(start)).unwrap_or_default();
        Span {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: self.text.get(line_start..start).unwrap_or_default().chars().count() + 1,
            length: marked.chars().count().max(1),
            text: line_text.to_owned(),
            label: label.into(),
        }
    }

    /// The place of a line, by its number from one.
    pub(super) fn line(&self, line: usize, column: usize, length: usize, label: &str) -> Span {
        Span {
            file: self.file.to_owned(),
            line,
            column,
            length,
            text: self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_owned(),
            label: label.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn a_span_counts_lines_and_characters_from_one() {
        let source = Source { file: "f", text: "a = 1\nµ = \"xy\"\n" };
        let span = source.span(11..15, "here");
        assert_eq!((span.line, span.column, span.length, span.text.as_str()), (2, 5, 4, "µ = \"xy\""));
    }

    #[test]
    fn a_span_of_many_lines_stays_in_its_first_and_one_beyond_the_text_is_its_end() {
        let source = Source { file: "f", text: "ab\ncd" };
        assert_eq!(source.span(1..5, "").length, 1);
        assert_eq!(source.span(99..100, "").line, 2);
    }
}
