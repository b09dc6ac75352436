//! One more row at the end of a table's text, written as the rest of the file is: a change that is easy to review.

use crate::clinical::terminology::TableKind;

/// A row to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRow<'a> {
    pub sent: &'a str,
    /// The LOINC or UCUM code.
    pub target: &'a str,
    pub display: &'a str,
}

impl NewRow<'_> {
    /// The lines to add: a remark, and the row with the columns of the table's header. No line ends in a line end.
    pub fn lines(&self, text: &str, kind: TableKind, remark: &str) -> [String; 2] {
        let mut data = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let header = data.next().map_or_else(|| kind.header(), str::to_owned);
        let quotes_all = data.next_back().is_some_and(|line| line.trim_start().starts_with('"'));
        let cell = |column: &str| {
            let text = match column.trim().trim_matches('"') {
                "sent" => self.sent,
                "loinc" | "ucum" => self.target,
                "display" => self.display,
                _ => "",
            };
            let needs_quotes = text.contains([',', '"', '\n', '\r']) || text.starts_with('#');
            if needs_quotes || quotes_all {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.to_owned()
            }
        };
        let remark = remark.replace(['\n', '\r'], " ");
        [format!("# {remark}"), header.split(',').map(cell).collect::<Vec<_>>().join(",")]
    }
}

/// The text with these lines at its end, in its own line ends. Nothing that is there changes.
pub fn with_lines(text: &str, lines: &[String]) -> String {
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut longer = text.to_owned();
    if !longer.is_empty() && !longer.ends_with('\n') {
        longer.push_str(end);
    }
    for line in lines {
        longer.push_str(line);
        longer.push_str(end);
    }
    longer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clinical::terminology::Table;

    const POTASSIUM: NewRow<'_> = NewRow { sent: "K+", target: "2823-3", display: "Potassium" };

    fn added(text: &str, kind: TableKind, row: NewRow<'_>) -> String {
        let longer = with_lines(text, &row.lines(text, kind, "resolved"));
        assert!(longer.starts_with(text), "nothing that is there changes");
        let table = Table::parse(&longer, kind).unwrap();
        assert_eq!(table.find(row.sent, None).unwrap().target, row.target);
        longer[text.len()..].to_owned()
    }

    #[test]
    fn a_row_is_written_as_the_file_is() {
        for (text, expected) in [
            ("sent,loinc,display\n", "# resolved\nK+,2823-3,Potassium\n"),
            ("sent,loinc,display\r\nNA,2951-2,\r\n", "# resolved\r\nK+,2823-3,Potassium\r\n"),
            ("# ours\nsent,loinc,display\nNA,2951-2,", "\n# resolved\nK+,2823-3,Potassium\n"),
            ("sent,loinc,display\n\"NA\",\"2951-2\",\"\"\n", "# resolved\n\"K+\",\"2823-3\",\"Potassium\"\n"),
        ] {
            assert_eq!(added(text, TableKind::Codes, POTASSIUM), expected);
        }
    }

    #[test]
    fn a_cell_that_would_be_read_otherwise_is_quoted() {
        for (sent, cell) in [("a,b", "\"a,b\""), ("#K", "\"#K\""), ("6\" tube", "\"6\"\" tube\"")] {
            let row = NewRow { sent, target: "g/L", display: "" };
            assert_eq!(added("sent,ucum\n", TableKind::Units, row), format!("# resolved\n{cell},g/L\n"));
        }
    }

    #[test]
    fn a_column_that_is_not_ours_stays_empty() {
        let lines = POTASSIUM.lines("sent,loinc,owner,display\n", TableKind::Codes, "two\nlines");
        assert_eq!(lines, ["# two lines", "K+,2823-3,,Potassium"]);
    }
}
