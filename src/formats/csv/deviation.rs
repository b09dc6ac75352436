//! What a table does that a table should not, and where. It holds no text of the table.

use std::fmt;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;

/// More deviations than this are counted and not kept.
const DEVIATIONS_MAX: usize = 1000;

/// One thing out of order, while everything that could be read was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    pub kind: Kind,
    /// In the file, from one: where the row begins.
    pub line: usize,
    /// The row's number, from one, if it is about one; an error here is that row's alone.
    pub row: Option<usize>,
    /// The column's number, from one, if it is about one.
    pub column: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    BlankLine,
    /// Delimiters with nothing between them.
    BlankRow,
    /// The row has more cells than the header; `blank` if there is nothing in them.
    CellsExtra {
        expected: usize,
        found: usize,
        blank: bool,
    },
    CellsMissing {
        expected: usize,
        found: usize,
    },
    /// The bytes are no UTF-8.
    CharsetAssumed {
        assumed: &'static str,
    },
    /// NUL or another character that is no text.
    ControlCharacter,
    /// The header shows no delimiter, or two equally often.
    DelimiterUncertain,
    /// A column without a name; `used` if a row has something in it.
    HeaderBlank {
        used: bool,
    },
    /// The column's name is that of an earlier one.
    HeaderTwice {
        first: usize,
    },
    /// Bytes are no text in the character set that the byte order mark names; shown as U+FFFD.
    MalformedBytes {
        charset: &'static str,
    },
    /// Further deviations that were counted but not kept.
    More {
        count: usize,
    },
    /// A quote in a cell that does not begin with one; kept as sent.
    QuoteInside,
    /// A first line such as `sep=;`.
    SeparatorLine,
    /// Text behind a closing quote; kept.
    TextAfterQuote,
}

impl Kind {
    pub const fn severity(&self) -> Severity {
        match self {
            Self::BlankLine
            | Self::BlankRow
            | Self::CellsExtra { blank: true, .. }
            | Self::HeaderBlank { used: false }
            | Self::SeparatorLine => Severity::Info,
            Self::CharsetAssumed { .. } | Self::DelimiterUncertain | Self::QuoteInside => Severity::Warning,
            Self::CellsExtra { .. }
            | Self::CellsMissing { .. }
            | Self::ControlCharacter
            | Self::HeaderBlank { .. }
            | Self::HeaderTwice { .. }
            | Self::MalformedBytes { .. }
            | Self::More { .. }
            | Self::TextAfterQuote => Severity::Error,
        }
    }

    /// The stable code of this kind, and what a person does about it.
    const fn explain(&self) -> (&'static str, &'static str) {
        match self {
            Self::More { .. } => ("M131", "correct those that are listed, and read the file again"),
            Self::QuoteInside | Self::TextAfterQuote => (
                "M132",
                "ask the sender to quote a cell that has a quote in it, and to write that quote twice",
            ),
            Self::CellsExtra { .. } | Self::CellsMissing { .. } => {
                ("M133", "ask the sender for the row again, with a cell for each column")
            }
            Self::HeaderBlank { .. } | Self::HeaderTwice { .. } => {
                ("M134", "ask the sender to give each column a name of its own")
            }
            Self::CharsetAssumed { .. } | Self::MalformedBytes { .. } => {
                ("M135", "ask the sender to write the file as UTF-8")
            }
            Self::ControlCharacter => ("M136", "ask the sender for the cell as text"),
            Self::BlankLine | Self::BlankRow | Self::SeparatorLine => ("M137", "nothing need be done"),
            Self::DelimiterUncertain => ("M138", "declare the delimiter in the mapping"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::CellsExtra { expected, found, .. } | Self::CellsMissing { expected, found } => {
                return write!(f, "the row has {found} cells, the header {expected}");
            }
            Self::CharsetAssumed { assumed } => {
                return write!(f, "the bytes are not UTF-8; they were read as {assumed}");
            }
            Self::HeaderTwice { first } => {
                return write!(f, "the column has the name of column {first}");
            }
            Self::MalformedBytes { charset } => {
                return write!(f, "bytes are no text in {charset}, which the byte order mark names");
            }
            Self::More { count } => return write!(f, "{count} further deviations are not listed"),
            Self::BlankLine => "a line is blank",
            Self::BlankRow => "a row has nothing in its cells",
            Self::ControlCharacter => "a control character stands in a cell",
            Self::DelimiterUncertain => "the header does not show which character stands between cells",
            Self::HeaderBlank { used: true } => "a column with cells in it has no name",
            Self::HeaderBlank { used: false } => "an empty column has no name",
            Self::QuoteInside => "a quote stands inside a cell that is not quoted; it was kept",
            Self::SeparatorLine => "the first line only names the delimiter",
            Self::TextAfterQuote => "text stands behind the closing quote of a cell; it was kept",
        };
        f.write_str(text)
    }
}

impl Deviation {
    pub const fn code(&self) -> &'static str {
        self.kind.explain().0
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help) = self.kind.explain();
        let message = self.kind.to_string();
        let diagnostic = match self.kind.severity() {
            Severity::Info => Diagnostic::info(Code::new(code), message),
            Severity::Warning => Diagnostic::warning(Code::new(code), message),
            Severity::Error => Diagnostic::error(Code::new(code), message),
        };
        let column = self.column.map(|column| format!(", column {column}")).unwrap_or_default();
        diagnostic.at(format!("line {}{column}", self.line)).help(help)
    }
}

/// A list with an end.
#[derive(Default)]
pub(super) struct Deviations {
    kept: Vec<Deviation>,
    more: usize,
}

impl Deviations {
    pub(super) fn push(&mut self, kind: Kind, line: usize, row: Option<usize>, column: Option<usize>) {
        if self.kept.len() < DEVIATIONS_MAX {
            self.kept.push(Deviation { kind, line, row, column });
        } else {
            self.more += 1;
        }
    }

    /// All of them by line, the count of those not kept last.
    pub(super) fn finish(mut self) -> Vec<Deviation> {
        self.kept.sort_by_key(|it| (it.line, it.column));
        if self.more > 0 {
            let line = self.kept.last().map_or(1, |it| it.line);
            self.kept.push(Deviation {
                kind: Kind::More { count: self.more },
                line,
                row: None,
                column: None,
            });
        }
        self.kept
    }
}
