//! Tables as text (RFC 4180 and what spreadsheets make of it): bytes to a header and rows, each cell with its place.
//!
//! The reader of records is our own: the `csv` crate takes a quote that nobody closes to the end of the file, and
//! text behind a closing quote, without a word; here rows would vanish into a cell. A second opinion in the tests
//! holds both to the same answer on clean tables.
//!
//! A cell is never trimmed, converted or repaired. What is wrong with one row is a [`Deviation`] of that row, so that
//! the others can be read; [`Error`] means that rows cannot be told apart. Positions are line and column numbers and
//! never a header's name: in a file without its header that is a patient's. What a spreadsheet did to a cell,
//! [`Damage`] recognises; whether it matters in that column, the mapping decides.

mod damage;
mod deviation;
mod records;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

pub use self::damage::Damage;
pub use self::deviation::Deviation;
pub use self::deviation::Kind;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::csv::deviation::Deviations;
use crate::formats::csv::records::Record;
use crate::formats::csv::records::Records;

/// As for HL7 v2: room for documents beside the results.
pub const BYTES_MAX: usize = 64 << 20;
/// Cells of one table: five thousand rows of a hundred columns, and some tens of megabytes of memory.
pub const CELLS_MAX: usize = 500_000;
/// One cell: room for a document in base64.
pub const CELL_BYTES_MAX: usize = 16 << 20;
/// Columns of one table; the widest known export has some two hundred.
pub const COLUMNS_MAX: usize = 1024;

/// What stands between two cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    Comma,
    Pipe,
    Semicolon,
    Tab,
}

impl Delimiter {
    /// In the order in which a doubtful header is tried.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Pipe];

    pub const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Pipe => b'|',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.byte() == byte)
    }
}

/// A table. It has no `Debug`: its cells are patients'.
#[derive(Clone, PartialEq, Eq)]
pub struct Table {
    pub delimiter: Delimiter,
    /// The header's names, without white space around them.
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    pub deviations: Vec<Deviation>,
}

/// One row below the header that holds anything. A row may have fewer or more cells than there are columns; then a
/// deviation says so.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// From one, the header not counted.
    pub number: usize,
    /// Where it begins in the file, from one.
    pub line: usize,
    pub cells: Vec<String>,
}

impl Table {
    /// The place of the column of this name, if exactly one has it.
    pub fn column(&self, name: &str) -> Option<usize> {
        let mut found = self.columns.iter().enumerate().filter(|(_, it)| *it == name).map(|(at, _)| at);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// The cell of a row in the column of this name, as sent.
    pub fn cell<'a>(&self, row: &'a Row, name: &str) -> Option<&'a str> {
        row.cells.get(self.column(name)?).map(String::as_str)
    }
}

/// Why a table cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a cell is longer than {max} bytes")]
    CellTooLong { line: usize, max: usize },
    #[error("the file holds no header: it is empty")]
    NoHeader,
    #[error("a quote opens a cell and nothing closes it")]
    QuoteOpen { line: usize },
    #[error("the file is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("the table has more than {max} cells")]
    TooManyCells { line: usize, max: usize },
    #[error("a row has more than {max} cells")]
    TooManyColumns { line: usize, max: usize },
}

impl Error {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoHeader => "M130",
            Self::CellTooLong { .. }
            | Self::TooLong { .. }
            | Self::TooManyCells { .. }
            | Self::TooManyColumns { .. } => "M131",
            Self::QuoteOpen { .. } => "M132",
        }
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let (line, help) = match self {
            Self::NoHeader => (None, "ask the sender for the file with its header and rows"),
            Self::TooLong { .. } => (None, "ask the sender to split the file"),
            Self::CellTooLong { line, .. }
            | Self::TooManyCells { line, .. }
            | Self::TooManyColumns { line, .. } => (Some(line), "ask the sender to split the file"),
            Self::QuoteOpen { line } => (
                Some(line),
                "ask the sender to write a quote inside a cell twice, and to close each quoted cell",
            ),
        };
        Diagnostic::error(Code::new(self.code()), self.to_string())
            .at(line.map(|line| format!("line {line}")).unwrap_or_default())
            .help(help)
    }
}

/// Reads a table whose first line that is not blank is its header.
///
/// A declared delimiter wins; otherwise the header shows it. Bytes are UTF-8, UTF-16 behind a byte order mark, or else
/// Windows-1252, which is told.
pub fn decode(bytes: &[u8], declared: Option<Delimiter>) -> Result<Table, Error> {
    if bytes.len() > BYTES_MAX {
        return Err(Error::TooLong { max: BYTES_MAX });
    }
    let mut deviations = Deviations::default();
    let text = characters(bytes, &mut deviations);
    let (preface, said) = separator_line(&text);
    if said.is_some() {
        deviations.push(Kind::SeparatorLine, 1, None, None);
    }
    let body = text.get(preface..).unwrap_or_default();
    let delimiter = declared.or(said).unwrap_or_else(|| shown(body, &mut deviations));
    let mut records = Records::new(body, delimiter, if preface > 0 { 2 } else { 1 });
    let header = loop {
        let Some(record) = records.read()? else { return Err(Error::NoHeader) };
        if record.is_blank() {
            deviations.push(Kind::BlankLine, record.line, None, None);
        } else {
            break record;
        }
    };
    tell(&header, None, &mut deviations);
    let columns: Vec<String> = header.cells.iter().map(|name| name.trim().to_owned()).collect();
    let rows = rows(&mut records, &columns, &mut deviations)?;
    judge_header(&columns, header.line, &rows, &mut deviations);
    Ok(Table { delimiter, columns, rows, deviations: deviations.finish() })
}

/// Where each cell of [`Table::rows`] stands in the bytes, quotes included. `None` where the bytes are not UTF-8 or
/// no table: what they became has other places.
pub fn places(bytes: &[u8], declared: Option<Delimiter>) -> Option<Vec<Vec<Range<usize>>>> {
    let table = decode(bytes, declared).ok()?;
    let mark = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let text = std::str::from_utf8(bytes.get(mark..)?).ok()?;
    let (preface, _) = separator_line(text);
    let mut records = Records::new(text.get(preface..)?, table.delimiter, if preface > 0 { 2 } else { 1 });
    let mut lines = table.rows.iter().map(|row| row.line).peekable();
    let mut places = Vec::with_capacity(table.rows.len());
    while let (Some(line), Some(record)) = (lines.peek().copied(), records.read().ok()?) {
        if record.line == line {
            lines.next();
            let place = |(before, after): &(usize, usize)| bytes.len() - before..bytes.len() - after;
            places.push(record.left.iter().map(place).collect());
        }
    }
    Some(places)
}

fn rows(
    records: &mut Records<'_>,
    columns: &[String],
    deviations: &mut Deviations,
) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    let mut cells = columns.len();
    while let Some(record) = records.read()? {
        let line = record.line;
        if record.is_blank() {
            deviations.push(Kind::BlankLine, line, None, None);
            continue;
        }
        if record.cells.iter().all(|cell| cell.trim().is_empty()) {
            deviations.push(Kind::BlankRow, line, None, None);
            continue;
        }
        cells += record.cells.len();
        if cells > CELLS_MAX {
            return Err(Error::TooManyCells { line, max: CELLS_MAX });
        }
        let number = rows.len() + 1;
        tell(&record, Some(number), deviations);
        let (expected, found) = (columns.len(), record.cells.len());
        if found < expected {
            deviations.push(Kind::CellsMissing { expected, found }, line, Some(number), None);
        } else if found > expected {
            let blank = record.cells.iter().skip(expected).all(|cell| cell.trim().is_empty());
            deviations.push(Kind::CellsExtra { expected, found, blank }, line, Some(number), None);
        }
        rows.push(Row { number, line, cells: record.cells });
    }
    Ok(rows)
}

/// What is wrong with the cells of one record, whatever the header says.
fn tell(record: &Record, row: Option<usize>, deviations: &mut Deviations) {
    for (kind, column) in &record.quotes {
        deviations.push(kind.clone(), record.line, row, Some(*column));
    }
    for (at, cell) in record.cells.iter().enumerate() {
        let is_odd = |it: char| it.is_control() && !matches!(it, '\t' | '\r' | '\n');
        if cell.chars().any(is_odd) {
            deviations.push(Kind::ControlCharacter, record.line, row, Some(at + 1));
        }
    }
}

/// Names that stand twice, and columns without one. A column that holds nothing needs no name.
fn judge_header(columns: &[String], line: usize, rows: &[Row], deviations: &mut Deviations) {
    let mut first_seen = BTreeMap::new();
    for (at, name) in columns.iter().enumerate() {
        if name.is_empty() {
            let is_used = |row: &Row| row.cells.get(at).is_some_and(|cell| !cell.trim().is_empty());
            let used = rows.iter().any(is_used);
            deviations.push(Kind::HeaderBlank { used }, line, None, Some(at + 1));
        } else if let Some(first) = first_seen.get(name) {
            deviations.push(Kind::HeaderTwice { first: *first }, line, None, Some(at + 1));
        } else {
            first_seen.insert(name, at + 1);
        }
    }
}

fn characters<'a>(bytes: &'a [u8], deviations: &mut Deviations) -> Cow<'a, str> {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        let body = bytes.get(mark..).unwrap_or_default();
        let (text, malformed) = encoding.decode_without_bom_handling(body);
        if malformed {
            deviations.push(Kind::MalformedBytes { charset: encoding.name() }, 1, None, None);
        }
        return text;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + memchr::memchr_iter(b'\n', before).count();
            let encoding = encoding_rs::WINDOWS_1252;
            deviations.push(Kind::CharsetAssumed { assumed: encoding.name() }, line, None, None);
            encoding.decode_without_bom_handling(bytes).0
        }
    }
}

/// A first line `sep=;`, by which spreadsheets tell each other the delimiter: its length and what it says.
fn separator_line(text: &str) -> (usize, Option<Delimiter>) {
    let line = text.split(['\r', '\n']).next().unwrap_or_default();
    let said = match line.trim_matches('"').as_bytes() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => Delimiter::of(*delimiter),
        _ => None,
    };
    if said.is_none() {
        return (0, None);
    }
    let end = text.get(line.len()..).unwrap_or_default();
    let end = if end.starts_with("\r\n") { 2 } else { usize::from(!end.is_empty()) };
    (line.len() + end, said)
}

/// The delimiter that stands most often in the header, outside quotes.
fn shown(text: &str, deviations: &mut Deviations) -> Delimiter {
    let mut counts = [0_usize; Delimiter::ALL.len()];
    let mut quoted = false;
    for byte in text.trim_start_matches(['\r', '\n']).bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted => break,
            _ if quoted => {}
            other => {
                for (count, delimiter) in counts.iter_mut().zip(Delimiter::ALL) {
                    *count += usize::from(delimiter.byte() == other);
                }
            }
        }
    }
    let most = counts.into_iter().max().unwrap_or(0);
    if counts.into_iter().filter(|&count| count == most).count() > 1 {
        deviations.push(Kind::DelimiterUncertain, 1, None, None);
    }
    let found = counts.into_iter().zip(Delimiter::ALL).find(|&(count, _)| count == most);
    found.map_or(Delimiter::Comma, |(_, delimiter)| delimiter)
}
