//! One CSV table beside a mapping: what the laboratory sends, and what it means.
//!
//! Two kinds: codes (`sent,loinc,display`) and units (`sent,ucum`). A table is sound when it is made: each spelling
//! stands once, each LOINC code has its check digit, each unit is UCUM. Lines that begin with `#` are comments.

use std::collections::HashMap;

use crate::clinical::terminology::loinc;
use crate::clinical::terminology::ucum;
use crate::clinical::terminology::unit_spelling;
use crate::diagnostic::nearest;

/// Most rows of one table; a laboratory's whole catalogue has a few thousand tests.
const ROWS_MAX: usize = 50_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    Codes,
    Units,
}

impl TableKind {
    pub const fn header(self) -> &'static [&'static str] {
        match self {
            Self::Codes => &["sent", "loinc", "display"],
            Self::Units => &["sent", "ucum"],
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// 1-based.
    pub line: usize,
    /// The LOINC or UCUM code; empty where the spelling is known and has none.
    pub target: String,
    pub display: Option<String>,
}

/// A table that was found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    kind: TableKind,
    rows: HashMap<String, Row>,
}

/// What is wrong with one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    pub length: usize,
    pub message: String,
    pub help: String,
}

impl Table {
    /// Reads a table, or says everything that is wrong with it.
    pub fn parse(text: &str, kind: TableKind) -> Result<Self, Vec<Problem>> {
        let mut reader =
            csv::ReaderBuilder::new().comment(Some(b'#')).trim(csv::Trim::All).from_reader(text.as_bytes());
        let header: Vec<String> =
            reader.headers().map(|row| row.iter().map(str::to_owned).collect()).unwrap_or_default();
        let mut problems = check_header(text, &header, kind);
        let mut rows: HashMap<String, Row> = HashMap::new();
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(1, csv::Position::line);
                    problems.push(Problem::of_line(text, line, "the row is not CSV of the header's columns"));
                    continue;
                }
            };
            let line = record.position().map_or(1, csv::Position::line);
            let row = Row {
                line: usize::try_from(line).unwrap_or(usize::MAX),
                target: record.get(1).unwrap_or_default().to_owned(),
                display: record.get(2).filter(|text| !text.is_empty()).map(str::to_owned),
            };
            if let Some(message) = check_row(&record, &row, kind) {
                problems.push(Problem::of_line(text, line, &message));
            }
            let sent = normalised(kind, record.get(0).unwrap_or_default());
            if let Some(earlier) = rows.insert(sent, row) {
                let message = format!("the same spelling stands in line {}", earlier.line);
                problems.push(Problem::of_line(text, line, &message));
            }
            if rows.len() > ROWS_MAX {
                problems.push(Problem::of_line(text, line, &format!("more than {ROWS_MAX} rows")));
                break;
            }
        }
        if problems.is_empty() { Ok(Self { kind, rows }) } else { Err(problems) }
    }

    pub const fn kind(&self) -> TableKind {
        self.kind
    }

    /// The row for a code or unit as sent.
    pub fn find(&self, sent: &str) -> Option<&Row> {
        match self.kind {
            TableKind::Codes => self.rows.get(sent.trim()),
            TableKind::Units => self.rows.get(unit_spelling::normalise(sent).as_ref()),
        }
    }

    /// The known spelling nearest to one that is not in the table.
    pub fn nearest(&self, sent: &str) -> Option<&str> {
        let mut known: Vec<&str> = self.rows.keys().map(String::as_str).collect();
        known.sort_unstable();
        nearest(sent, known)
    }
}

fn normalised(kind: TableKind, sent: &str) -> String {
    match kind {
        TableKind::Codes => sent.to_owned(),
        TableKind::Units => unit_spelling::normalise(sent).into_owned(),
    }
}

fn check_header(text: &str, header: &[String], kind: TableKind) -> Vec<Problem> {
    let expected = kind.header();
    if header.iter().map(String::as_str).eq(expected.iter().copied()) {
        return Vec::new();
    }
    let line = text.lines().position(|line| !line.starts_with('#')).map_or(1, |at| at as u64 + 1);
    let mut problem = Problem::of_line(text, line, &format!("the header is not `{}`", expected.join(",")));
    problem.help = format!("write `{}` as the first line that is no comment", expected.join(","));
    vec![problem]
}

fn check_row(record: &csv::StringRecord, row: &Row, kind: TableKind) -> Option<String> {
    if record.get(0).is_none_or(str::is_empty) {
        return Some("the column `sent` is empty".to_owned());
    }
    let target = row.target.as_str();
    match kind {
        TableKind::Codes if !target.is_empty() && !loinc::check_digit_holds(target) => {
            Some(format!("`{target}` is no LOINC code: its check digit does not hold"))
        }
        TableKind::Units if !ucum::is_valid(target) => Some(format!("`{target}` is no UCUM unit")),
        TableKind::Codes | TableKind::Units => None,
    }
}

impl Problem {
    fn of_line(text: &str, line: u64, message: &str) -> Self {
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        let length = text.lines().nth(line.saturating_sub(1)).map_or(1, |it| it.chars().count().max(1));
        Self { line, column: 1, length, message: message.to_owned(), help: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use super::TableKind;

    fn messages(text: &str, kind: TableKind) -> Vec<(usize, String)> {
        let problems = Table::parse(text, kind).expect_err("the table is unsound");
        problems.into_iter().map(|it| (it.line, it.message)).collect()
    }

    #[test]
    fn a_unit_is_found_under_each_of_its_spellings() {
        let table =
            Table::parse("# ours\nsent,ucum\numol/L,umol/L\nx10^9/L,10*9/L\n", TableKind::Units).unwrap();
        assert_eq!(table.find("μmol / L").unwrap().target, "umol/L");
        assert_eq!(table.find("×10⁹/L").unwrap().target, "10*9/L");
        assert_eq!(table.find("x10^9/L").unwrap().line, 4);
        assert_eq!(table.find("UMOL/L"), None);
        assert_eq!(table.nearest("umol/l"), Some("umol/L"));
    }

    #[test]
    fn a_code_may_be_known_and_have_no_loinc() {
        let table = Table::parse("sent,loinc,display\nHAEM,,Haemolysis index\n", TableKind::Codes).unwrap();
        assert_eq!(table.find("HAEM").unwrap().target, "");
    }

    #[test]
    fn every_unsound_line_is_named() {
        assert_eq!(
            messages("sent,ucum\nmg%,mg%\ng/L,g/L\ng/L,g/L\n", TableKind::Units),
            [(2, "`mg%` is no UCUM unit".into()), (4, "the same spelling stands in line 3".into())]
        );
        assert_eq!(
            messages("sent,loinc,display\nK,2823-4,Potassium\n,2823-3,x\n", TableKind::Codes),
            [
                (2, "`2823-4` is no LOINC code: its check digit does not hold".into()),
                (3, "the column `sent` is empty".into())
            ]
        );
        assert_eq!(messages("unit,ucum\n", TableKind::Units)[0].0, 1);
        assert_eq!(messages("sent,ucum\na,b,c\n", TableKind::Units)[0].0, 2);
    }
}
