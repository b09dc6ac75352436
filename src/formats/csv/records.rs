//! Records and cells: RFC 4180, with any of the line ends, and nothing taken in silence.

use memchr::memchr;
use memchr::memchr_iter;
use memchr::memchr3;

use crate::formats::csv::CELL_BYTES_MAX;
use crate::formats::csv::COLUMNS_MAX;
use crate::formats::csv::Delimiter;
use crate::formats::csv::Error;
use crate::formats::csv::Kind;

pub(super) struct Record {
    /// Where it begins, from one.
    pub(super) line: usize,
    pub(super) cells: Vec<String>,
    /// Where each cell stands, quotes included, as bytes that were left to read.
    pub(super) left: Vec<(usize, usize)>,
    /// Quotes that stand where none should, each with its column from one.
    pub(super) quotes: Vec<(Kind, usize)>,
    /// Whether a cell was quoted: `""` alone is a cell, an empty line is none.
    quoted: bool,
}

impl Record {
    /// Whether this is a line with nothing in it.
    pub(super) fn is_blank(&self) -> bool {
        !self.quoted && self.cells.len() == 1 && self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}

pub(super) struct Records<'a> {
    rest: &'a str,
    line: usize,
    delimiter: u8,
}

impl<'a> Records<'a> {
    pub(super) fn new(text: &'a str, delimiter: Delimiter, line: usize) -> Self {
        Self { rest: text, line, delimiter: delimiter.byte() }
    }

    pub(super) fn read(&mut self) -> Result<Option<Record>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        let mut record =
            Record { line, cells: Vec::new(), left: Vec::new(), quotes: Vec::new(), quoted: false };
        loop {
            let before = self.rest.len();
            let cell = self.cell(&mut record)?;
            record.left.push((before, self.rest.len()));
            if cell.len() > CELL_BYTES_MAX {
                return Err(Error::CellTooLong { line, max: CELL_BYTES_MAX });
            }
            record.cells.push(cell);
            if record.cells.len() > COLUMNS_MAX {
                return Err(Error::TooManyColumns { line, max: COLUMNS_MAX });
            }
            if self.rest.as_bytes().first() != Some(&self.delimiter) {
                break;
            }
            self.take(1);
        }
        if self.rest.starts_with("\r\n") {
            self.take(2);
        } else if !self.rest.is_empty() {
            self.take(1);
        }
        self.line += 1;
        Ok(Some(record))
    }

    /// One cell; a delimiter, a line end or the end of the text is next.
    fn cell(&mut self, record: &mut Record) -> Result<String, Error> {
        let column = record.cells.len() + 1;
        if !self.rest.starts_with('"') {
            let text = self.plain();
            if text.contains('"') {
                record.quotes.push((Kind::QuoteInside, column));
            }
            return Ok(text.to_owned());
        }
        record.quoted = true;
        let mut text = self.quoted()?;
        let after = self.plain();
        if !after.is_empty() {
            record.quotes.push((Kind::TextAfterQuote, column));
            text.push_str(after);
        }
        Ok(text)
    }

    /// Text up to a delimiter or line end.
    fn plain(&mut self) -> &'a str {
        let end = memchr3(self.delimiter, b'\r', b'\n', self.rest.as_bytes());
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// What stands between two quotes, the opening one being next; two quotes inside mean one.
    fn quoted(&mut self) -> Result<String, Error> {
        let start = self.line;
        let mut text = String::new();
        self.take(1);
        loop {
            let Some(end) = memchr(b'"', self.rest.as_bytes()) else {
                return Err(Error::QuoteOpen { line: start });
            };
            let run = self.take(end);
            self.line += line_ends(run);
            text.push_str(run);
            self.take(1);
            if !self.rest.starts_with('"') {
                return Ok(text);
            }
            self.take(1);
            text.push('"');
        }
    }

    /// Takes bytes up to the place of an ASCII character, or all.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }
}

/// Line feeds, and carriage returns without one.
fn line_ends(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_alone = |at: &usize| bytes.get(at + 1) != Some(&b'\n');
    memchr_iter(b'\n', bytes).count() + memchr_iter(b'\r', bytes).filter(is_alone).count()
}
