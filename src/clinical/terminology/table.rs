//! A table beside a mapping or in it: what the laboratory sends, and what it means.
//!
//! Two kinds, codes and units; the columns of each are listed once, in [`column`]. A table is sound when it is made:
//! each spelling stands once for a day, each LOINC code has its check digit, each unit is UCUM. In a CSV file lines that
//! begin with `#` are comments, and `# owner: NAME` says who answers for the rows.
//! A row may hold for some days only (`from`, `until`, both days included). Which day counts is the caller's to say;
//! where it is unknown, only rows without days hold.

pub mod column;

use std::collections::HashMap;

use jiff::civil::Date;

use self::column::Column;
use crate::clinical::model::Number;
use crate::clinical::terminology::loinc;
use crate::clinical::terminology::ucum;
use crate::clinical::terminology::unit_spelling;
use crate::diagnostic::nearest;

/// Most rows of one table; a laboratory's whole catalogue has a few thousand tests.
const ROWS_MAX: usize = 50_000;
/// What a comment begins with that names who answers for a table.
const OWNER: &str = "owner:";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    Codes,
    Units,
}

impl TableKind {
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Codes => &column::CODES,
            Self::Units => &column::UNITS,
        }
    }

    /// The header of a table that has no column it may do without.
    pub fn header(self) -> String {
        let needed = self.columns().iter().filter(|it| it.is_needed);
        needed.map(|it| it.name).collect::<Vec<_>>().join(",")
    }

    /// The column that a spelling leads to.
    const fn target(self) -> &'static str {
        match self {
            Self::Codes => "loinc",
            Self::Units => "ucum",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// 1-based, in its file or its list.
    pub line: usize,
    /// The LOINC or UCUM code; empty where the spelling is known and has none.
    pub target: String,
    pub display: Option<String>,
    /// One of the unit as sent is this many of the UCUM unit.
    pub factor: Option<Number>,
    days: Option<Box<Days>>,
}

/// The days on which a row holds, as `YYYY-MM-DD`; both are included.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Days {
    from: Option<String>,
    until: Option<String>,
}

impl Days {
    fn hold(&self, on: &str) -> bool {
        self.from.as_deref().is_none_or(|from| from <= on) && self.until.as_deref().is_none_or(|it| on <= it)
    }

    fn overlap(&self, other: &Self) -> bool {
        let before = |until: &Option<String>, from: &Option<String>| {
            until.as_ref().zip(from.as_ref()).is_some_and(|(until, from)| until < from)
        };
        !before(&self.until, &other.from) && !before(&other.until, &self.from)
    }
}

/// The rows of one spelling: one, or several for different days.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rows {
    first: Row,
    others: Vec<Row>,
}

impl Rows {
    fn all(&self) -> impl Iterator<Item = &Row> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// A table that was found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    kind: TableKind,
    owner: Option<String>,
    rows: HashMap<String, Rows>,
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
    /// Reads a CSV table, or says everything that is wrong with it.
    pub fn parse(text: &str, kind: TableKind) -> Result<Self, Vec<Problem>> {
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let header: Vec<String> =
            reader.headers().map(|row| row.iter().map(str::to_owned).collect()).unwrap_or_default();
        let mut table = Builder::new(kind);
        table.table.owner = owner(text);
        table.problems.extend(check_header(text, &header, kind));
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    table.tell(line_of(text, error.position()), "the row is not CSV");
                    continue;
                }
            };
            let line = line_of(text, record.position());
            if let Some(message) = check_length(&record, &header, kind) {
                table.tell(line, message);
                continue;
            }
            let cell = |name: &str| {
                let at = header.iter().position(|it| it == name);
                at.and_then(|at| record.get(at)).unwrap_or_default()
            };
            if !table.add(line, cell) {
                break;
            }
        }
        for problem in &mut table.problems {
            let line = text.lines().nth(problem.line.saturating_sub(1));
            problem.length = line.map_or(1, |it| it.chars().count().max(1));
        }
        table.finish()
    }

    /// A table of rows that stand in a mapping file: for each the text of a column by its name. A problem's line is the
    /// row's number from one.
    pub fn of_rows<'c>(
        kind: TableKind,
        owner: Option<String>,
        rows: impl IntoIterator<Item = impl Fn(&str) -> &'c str>,
    ) -> Result<Self, Vec<Problem>> {
        let mut table = Builder::new(kind);
        table.table.owner = owner;
        for (at, cell) in rows.into_iter().enumerate() {
            if !table.add(at + 1, cell) {
                break;
            }
        }
        table.finish()
    }

    pub const fn kind(&self) -> TableKind {
        self.kind
    }

    /// Who answers for its rows.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The row for a code or unit as sent that holds on a day (`YYYY-MM-DD`); where none is known, one that always holds.
    pub fn find(&self, sent: &str, on: Option<&str>) -> Option<&Row> {
        let rows = match self.kind {
            TableKind::Codes => self.rows.get(sent.trim()),
            TableKind::Units => self.rows.get(unit_spelling::normalise(sent).as_ref()),
        }?;
        if rows.first.days.is_none() {
            return Some(&rows.first);
        }
        let on = on?;
        rows.all().find(|row| row.days.as_ref().is_none_or(|days| days.hold(on)))
    }

    /// Every row for a code or unit as sent, on whatever days they hold.
    pub fn all(&self, sent: &str) -> impl Iterator<Item = &Row> {
        self.rows.get(normalised(self.kind, sent.trim()).as_str()).into_iter().flat_map(Rows::all)
    }

    /// Whether it has the spelling, on whatever day.
    pub fn has(&self, sent: &str) -> bool {
        self.rows.contains_key(normalised(self.kind, sent.trim()).as_str())
    }

    /// The known spelling nearest to one that is not in the table.
    ///
    /// A letter's difference is another test or unit as easily as a slip (`PLT` and `ALT`), so only case, spaces and
    /// punctuation may differ.
    pub fn nearest(&self, sent: &str) -> Option<&str> {
        let letters = |text: &str| -> String {
            let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '%' | '/'));
            kept.flat_map(char::to_lowercase).collect()
        };
        let wanted = letters(sent);
        let alike = self.rows.keys().map(String::as_str).filter(|known| letters(known) == wanted);
        alike.min().filter(|_| !wanted.is_empty())
    }

    /// Every row with its spelling, in the order of lines.
    pub fn rows(&self) -> Vec<(&str, &Row)> {
        let all = self.rows.iter().flat_map(|(sent, rows)| rows.all().map(move |row| (sent.as_str(), row)));
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by_key(|(_, row)| row.line);
        all
    }
}

struct Builder {
    table: Table,
    problems: Vec<Problem>,
}

impl Builder {
    fn new(kind: TableKind) -> Self {
        Self { table: Table { kind, owner: None, rows: HashMap::new() }, problems: Vec::new() }
    }

    fn tell(&mut self, line: usize, message: impl Into<String>) {
        let message = message.into();
        self.problems.push(Problem { line, column: 1, length: 1, message, help: String::new() });
    }

    /// Adds a row. Whether there is room for another.
    fn add<'c>(&mut self, line: usize, cell: impl Fn(&str) -> &'c str) -> bool {
        let kind = self.table.kind;
        let text = |name: &str| Some(cell(name)).filter(|it| !it.is_empty()).map(str::to_owned);
        let (from, until) = (text("from"), text("until"));
        let row = Row {
            line,
            target: cell(kind.target()).to_owned(),
            display: text("display"),
            factor: Number::parse(cell("factor")),
            days: (from.is_some() || until.is_some()).then(|| Box::new(Days { from, until })),
        };
        for message in check_row(&cell, &row, kind) {
            self.tell(line, message);
        }
        let sent = normalised(kind, cell("sent"));
        if let Some(message) = self.table.rows.get(&sent).and_then(|known| known.clash(&row)) {
            self.tell(line, message);
        } else if let Some(known) = self.table.rows.get_mut(&sent) {
            known.others.push(row);
        } else {
            self.table.rows.insert(sent, Rows { first: row, others: Vec::new() });
        }
        let has_room = self.table.rows.len() <= ROWS_MAX;
        if !has_room {
            self.tell(line, format!("more than {ROWS_MAX} rows"));
        }
        has_room
    }

    fn finish(self) -> Result<Table, Vec<Problem>> {
        if self.problems.is_empty() { Ok(self.table) } else { Err(self.problems) }
    }
}

impl Rows {
    /// Why another row cannot stand beside these.
    fn clash(&self, row: &Row) -> Option<String> {
        self.all().find_map(|known| match (&known.days, &row.days) {
            (Some(one), Some(other)) => one.overlap(other).then(|| {
                format!("the same spelling stands in line {} for some of the same days", known.line)
            }),
            _ => Some(format!("the same spelling stands in line {}", known.line)),
        })
    }
}

fn normalised(kind: TableKind, sent: &str) -> String {
    match kind {
        TableKind::Codes => sent.to_owned(),
        TableKind::Units => unit_spelling::normalise(sent).into_owned(),
    }
}

/// `# owner: Pathology IT, ext. 4411` among the comments.
fn owner(text: &str) -> Option<String> {
    let comments = text.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim()));
    let owner = comments.filter_map(|line| line.strip_prefix(OWNER)).map(str::trim).find(|it| !it.is_empty());
    owner.map(str::to_owned)
}

fn check_header(text: &str, header: &[String], kind: TableKind) -> Option<Problem> {
    let known = kind.columns();
    let line = text.lines().position(|line| !line.starts_with('#')).map_or(1, |at| at + 1);
    let tell = |message: String, help: String| Some(Problem { line, column: 1, length: 1, message, help });
    let names = || known.iter().map(|it| it.name);
    if let Some(missing) = known.iter().find(|it| it.is_needed && !header.iter().any(|name| name == it.name))
    {
        let message = format!("the header has no column `{}`", missing.name);
        return tell(message, format!("write `{}` as the first line that is no comment", kind.header()));
    }
    if let Some(other) = header.iter().find(|name| names().all(|it| it != name.as_str())) {
        let help = match nearest(other, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a table of this kind may have: {}", names().collect::<Vec<_>>().join(", ")),
        };
        return tell(format!("there is no column `{other}`"), help);
    }
    let twice = header.iter().enumerate().find(|(at, name)| header.iter().take(*at).any(|it| it == *name));
    let (_, name) = twice?;
    tell(format!("the column `{name}` stands twice"), "keep one of the two".to_owned())
}

/// The line of the row at a place, from one. The reader's place may be that of comments before the row.
fn line_of(text: &str, position: Option<&csv::Position>) -> usize {
    let Some(position) = position else { return 1 };
    let [begins, line] =
        [position.byte(), position.line()].map(|it| usize::try_from(it).unwrap_or(usize::MAX));
    // Of CR LF the first ends a row for the reader, so the rest of that line counts as a blank one before this row.
    let rest = text.get(begins..).unwrap_or_default();
    line + rest.lines().take_while(|line| line.starts_with('#') || line.trim().is_empty()).count()
}

/// Cells may be left out at a row's end, but not those that every row needs.
fn check_length(record: &csv::StringRecord, header: &[String], kind: TableKind) -> Option<String> {
    if record.len() > header.len() {
        let (cells, columns) = (record.len(), header.len());
        return Some(format!(
            "the row has {cells} cells and the header {columns} columns: a cell with a comma in it stands in quotes"
        ));
    }
    let needed = kind.columns().iter().filter(|it| it.is_needed).map(|it| it.name);
    let missing =
        header.iter().skip(record.len()).find(|name| needed.clone().any(|it| it == name.as_str()))?;
    Some(format!("the row ends before the column `{missing}`"))
}

fn check_row<'c>(cell: &impl Fn(&str) -> &'c str, row: &Row, kind: TableKind) -> Vec<String> {
    let mut problems = Vec::new();
    if cell("sent").is_empty() {
        problems.push("the column `sent` is empty".to_owned());
    }
    let target = row.target.as_str();
    match kind {
        TableKind::Codes if !target.is_empty() && !loinc::check_digit_holds(target) => {
            problems.push(format!("`{target}` is no LOINC code: its check digit does not hold"));
        }
        TableKind::Units if target.is_empty() => {
            problems.push(format!("unit `{}` has no UCUM code", cell("sent")));
        }
        TableKind::Units if !ucum::is_valid(target) => problems.push(format!("`{target}` is no UCUM unit")),
        TableKind::Codes | TableKind::Units => {}
    }
    let factor = cell("factor");
    let is_above_zero = || row.factor.as_ref().and_then(Number::decimal).is_some_and(|it| it > 0.into());
    if !factor.is_empty() && !is_above_zero() {
        problems.push(format!("`{factor}` is no factor: it must be a decimal number above zero"));
    }
    for name in ["from", "until"] {
        let day = cell(name);
        if !day.is_empty() && (day.len() != DAY_LENGTH || day.parse::<Date>().is_err()) {
            problems.push(format!("`{day}` is no day: write it as YYYY-MM-DD"));
        }
    }
    if let Some(Days { from: Some(from), until: Some(until) }) = row.days.as_deref()
        && until < from
    {
        problems.push(format!("it holds until {until}, which is before {from}"));
    }
    problems
}

const DAY_LENGTH: usize = "2026-11-22".len();

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
        assert_eq!(table.find("μmol / L", None).unwrap().target, "umol/L");
        assert_eq!(table.find("×10⁹/L", None).unwrap().target, "10*9/L");
        assert_eq!(table.find("x10^9/L", None).unwrap().line, 4);
        assert_eq!(table.find("UMOL/L", None), None);
        assert_eq!(table.nearest("umol/l"), Some("umol/L"));
        assert_eq!(table.nearest("mmol/L"), None, "another unit is no hint");
    }

    #[test]
    fn a_code_may_be_known_and_have_no_loinc() {
        let table = Table::parse("sent,loinc,display\nHAEM,,Haemolysis index\n", TableKind::Codes).unwrap();
        assert_eq!(table.find("HAEM", None).unwrap().target, "");
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
        let commented =
            "# ours\nsent,ucum,factor\n# 7 results\n\n# so far\ng/L,g/L\n# 2 results\nmg%,mg%,\nU\n";
        for text in [commented.to_owned(), commented.replace('\n', "\r\n")] {
            assert_eq!(
                messages(&text, TableKind::Units),
                [(8, "`mg%` is no UCUM unit".into()), (9, "the row ends before the column `ucum`".into())],
                "{text:?}"
            );
        }
        assert_eq!(messages("sent,ucum\na,b,c\n", TableKind::Units)[0].0, 2);
    }

    #[test]
    fn a_row_holds_on_its_days_and_where_the_day_is_unknown_only_one_without() {
        let text = "# owner: Pathology IT\nsent,loinc,display,from,until\nK,2823-3,Potassium,,2026-03-31\nK,6298-4,Potassium,2026-04-01,\nNA,2951-2,Sodium,,\n";
        let table = Table::parse(text, TableKind::Codes).unwrap();
        let target = |sent: &str, on| table.find(sent, on).map(|row| row.target.as_str());
        assert_eq!(target("K", Some("2026-03-31")), Some("2823-3"));
        assert_eq!(target("K", Some("2026-04-01")), Some("6298-4"));
        assert_eq!(target("K", None), None);
        assert!(table.has("K"));
        assert_eq!(target("NA", None), Some("2951-2"));
        assert_eq!(table.owner(), Some("Pathology IT"));
        let overlapping = text.replace("2026-04-01", "2026-03-31");
        assert!(messages(&overlapping, TableKind::Codes)[0].1.contains("some of the same days"));
        let backwards = "sent,ucum,from,until\ng/L,g/L,2026-02-01,2026-01-01\nU,U,1.2.2026,\n";
        assert_eq!(messages(backwards, TableKind::Units).len(), 2);
    }

    #[test]
    fn columns_may_stand_in_any_order_and_no_other_may_stand_there() {
        let table = Table::parse("factor,ucum,sent\n10,g/L,g/dL\n", TableKind::Units).unwrap();
        assert_eq!(table.find("g/dL", None).unwrap().factor.as_ref().unwrap().as_str(), "10");
        for text in ["sent,ucum,facter\n", "sent,ucum,ucum\n", "sent,ucum,factor\ng,g,0\n"] {
            assert_eq!(messages(text, TableKind::Units).len(), 1, "{text}");
        }
    }
}
