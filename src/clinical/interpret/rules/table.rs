//! Tab-separated tables of knowledge: a header line, then one row a line, no quoting. A wrong cell is named by its place.

use std::str::FromStr;

use rust_decimal::Decimal;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Span;

pub(super) const ROW_MALFORMED: Code = Code::new("I002");

/// One row, with its place for diagnostics.
pub(super) struct Row<'a> {
    file: &'a str,
    line: usize,
    text: &'a str,
    columns: &'static [&'static str],
    cells: Vec<&'a str>,
}

/// Reads a table whose header is exactly `columns`. Rows of the wrong width are reported and left out.
pub(super) fn read<'a>(
    file: &'a str,
    text: &'a str,
    columns: &'static [&'static str],
    problems: &mut Vec<Diagnostic>,
) -> Vec<Row<'a>> {
    let mut lines = text.lines().zip(1..);
    let header: Vec<&str> = lines.next().map(|(line, _)| line.split('\t').collect()).unwrap_or_default();
    if header != columns {
        problems.push(
            Diagnostic::error(ROW_MALFORMED, format!("the header of {file} is not the one expected"))
                .help(format!("make line 1: {}", columns.join("\t"))),
        );
        return Vec::new();
    }
    let mut rows = Vec::new();
    for (text, line) in lines.filter(|(text, _)| !text.is_empty()) {
        let row = Row { file, line, text, columns, cells: text.split('\t').collect() };
        if row.cells.len() == columns.len() {
            rows.push(row);
        } else {
            let message = format!("a row has {} cells, not {}", row.cells.len(), columns.len());
            problems.push(row.problem(ROW_MALFORMED, "", message, "separate the cells by one tab each"));
        }
    }
    rows
}

impl<'a> Row<'a> {
    pub(super) fn cell(&self, column: &str) -> &'a str {
        let at = self.columns.iter().position(|name| *name == column);
        at.and_then(|at| self.cells.get(at)).copied().unwrap_or_default()
    }

    /// The parts of a cell that holds several, separated by `|`.
    pub(super) fn list(&self, column: &str) -> Vec<&'a str> {
        self.cell(column).split('|').filter(|part| !part.is_empty()).collect()
    }

    /// A cell that must not be empty.
    pub(super) fn required(&self, column: &str, problems: &mut Vec<Diagnostic>) -> &'a str {
        let cell = self.cell(column);
        if cell.is_empty() {
            let message = format!("`{column}` is empty");
            problems.push(self.problem(ROW_MALFORMED, column, message, "fill the cell"));
        }
        cell
    }

    /// A cell that is empty or a number.
    pub(super) fn number<T: FromStr>(&self, column: &str, problems: &mut Vec<Diagnostic>) -> Option<T> {
        let cell = self.cell(column);
        let number = cell.parse().ok();
        if number.is_none() && !cell.is_empty() {
            let message = format!("`{cell}` in column `{column}` is not a number");
            problems.push(self.problem(
                ROW_MALFORMED,
                column,
                message,
                "write a number, or leave the cell empty",
            ));
        }
        number
    }

    /// Two cells that bound something.
    pub(super) fn limits(&self, low: &str, high: &str, problems: &mut Vec<Diagnostic>) -> Limits {
        Limits { low: self.number(low, problems), high: self.number(high, problems) }
    }

    /// A diagnostic about the cell of `column`, or about the whole row.
    pub(super) fn problem(
        &self,
        code: Code,
        column: &str,
        message: impl Into<String>,
        help: &str,
    ) -> Diagnostic {
        let cell = self.cell(column);
        let before = self.columns.iter().zip(&self.cells).take_while(|(name, _)| **name != column);
        let column_at = if cell.is_empty() {
            1
        } else {
            before.map(|(_, cell)| cell.chars().count() + 1).sum::<usize>() + 1
        };
        let length = if cell.is_empty() { self.text.chars().count() } else { cell.chars().count() };
        let span = Span {
            file: self.file.to_owned(),
            line: self.line,
            column: column_at,
            length: length.max(1),
            text: self.text.to_owned(),
            label: String::new(),
        };
        Diagnostic::error(code, message).spanning(span).help(help)
    }
}

/// Two bounds, each of which may be open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) low: Option<Decimal>,
    pub(super) high: Option<Decimal>,
}
