//! What a spreadsheet does to a cell when it opens and saves a table.
//!
//! Only what a cell shows by itself: a leading zero that is gone leaves no trace. The same text may be right in
//! another column (`1.5E-03` as a result, a date as a date), so the mapping decides where it matters.

use std::fmt;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// `3-May`, `May-24`, `03/05/2024`, `2024-05-03 00:00:00`: a range or code taken for a date.
    Date,
    /// `=…`: a formula, or text that a spreadsheet will run as one.
    Formula,
    /// `#####`: the column was too narrow to show it.
    Overflow,
    /// `1.23E+11`: a long identifier taken for a number, its last digits gone.
    Scientific,
    /// `#REF!`, `#N/A`: the value of a formula that failed.
    SpreadsheetError,
}

const ERRORS: [&str; 10] = [
    "#CALC!",
    "#DIV/0!",
    "#FIELD!",
    "#GETTING_DATA",
    "#N/A",
    "#NAME?",
    "#NULL!",
    "#NUM!",
    "#REF!",
    "#VALUE!",
];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl Damage {
    /// What a cell shows of a spreadsheet's work, if anything.
    pub fn of(cell: &str) -> Option<Self> {
        let cell = cell.trim();
        if cell.starts_with('=') {
            Some(Self::Formula)
        } else if ERRORS.iter().any(|error| error.eq_ignore_ascii_case(cell)) {
            Some(Self::SpreadsheetError)
        } else if cell.len() >= 3 && cell.bytes().all(|byte| byte == b'#') {
            Some(Self::Overflow)
        } else if is_scientific(cell) {
            Some(Self::Scientific)
        } else if is_date(cell) {
            Some(Self::Date)
        } else {
            None
        }
    }

    /// The stable code of all damage.
    pub const fn code(self) -> &'static str {
        "M139"
    }

    /// As a diagnostic, to be placed by whoever knows row and column.
    pub fn diagnostic(self) -> Diagnostic {
        Diagnostic::error(Code::new(self.code()), self.to_string())
            .help("ask the sender to export the table again, without opening it in a spreadsheet")
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Date => {
                "the cell is a date where none belongs: a spreadsheet may have made it of something else"
            }
            Self::Formula => "the cell is a formula",
            Self::Overflow => "the cell holds only the signs of a column that was too narrow",
            Self::Scientific => "the cell is a number in scientific notation: its last digits may be gone",
            Self::SpreadsheetError => "the cell is the error of a formula",
        })
    }
}

/// As spreadsheets write it: one digit before the point, a sign and two digits or more in the exponent. `12E45` is
/// not: it may be a code.
fn is_scientific(cell: &str) -> bool {
    let unsigned = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    let Some((mantissa, exponent)) = unsigned.split_once(['E', 'e']) else { return false };
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or_default();
    whole.len() == 1 && exponent.len() >= 2 && [whole, fraction, exponent].into_iter().all(is_digits)
}

fn is_date(cell: &str) -> bool {
    let (day, time) = cell.split_once([' ', 'T']).unwrap_or((cell, ""));
    let by = |mark| day.split(mark).collect::<Vec<_>>();
    let midnight = matches!(time, "" | "00:00" | "00:00:00" | "0:00");
    match (by('-').as_slice(), by('/').as_slice()) {
        ([first, second], _) => {
            time.is_empty() && (is_day(first) && is_month(second) || is_month(first) && is_year(second))
        }
        ([first, second, third], _) => {
            midnight
                && (is_day(first) && is_month(second) && is_year(third)
                    || first.len() == 4 && is_year(first) && is_day(second) && is_day(third))
        }
        (_, [first, second, third]) => midnight && is_day(first) && is_day(second) && is_year(third),
        _ => false,
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number of a day or month.
fn is_day(text: &str) -> bool {
    is_digits(text) && text.len() <= 2 && text.parse().is_ok_and(|number: u8| (1..=31).contains(&number))
}

fn is_month(text: &str) -> bool {
    MONTHS.iter().any(|month| month.eq_ignore_ascii_case(text))
}

fn is_year(text: &str) -> bool {
    is_digits(text) && matches!(text.len(), 2 | 4)
}

#[cfg(test)]
mod tests {
    use super::Damage;

    #[test]
    fn knows_what_spreadsheets_do() {
        let cases = [
            (Damage::Scientific, &["1.23E+11", "1E+12", "-4.5e-03", "9,43476E+09", " 1.23E+11 "][..]),
            (
                Damage::Date,
                &[
                    "3-May",
                    "03-May",
                    "May-24",
                    "3-May-24",
                    "3-May-2024",
                    "03/05/2024",
                    "3/5/24",
                    "2024-05-03 00:00:00",
                    "2024-05-03",
                ],
            ),
            (Damage::SpreadsheetError, &["#REF!", "#N/A", "#n/a", "#DIV/0!"]),
            (Damage::Overflow, &["###", "########"]),
            (Damage::Formula, &["=A1*2", "=\"00123\"", "=cmd|' /C calc'!A0"]),
        ];
        for (damage, cells) in cases {
            for cell in cells {
                assert_eq!(Damage::of(cell), Some(damage), "{cell}");
            }
        }
    }

    #[test]
    fn leaves_values_alone() {
        let cells = [
            "",
            "5.10",
            "<0.1",
            "+5",
            "-",
            "+ve",
            "-ve",
            "3-5",
            "3.5-5.1",
            "12E45",
            "1E5",
            "E11",
            "10^9/L",
            "#",
            "##",
            "#12",
            "4857773456",
            "00123",
            "Maybe-24",
            "41-May",
            "1/2",
            "2024",
            "12:30",
            "20240503",
            "2024-05-03 10:30",
            "1:40",
        ];
        for cell in cells {
            assert_eq!(Damage::of(cell), None, "{cell}");
        }
    }
}
