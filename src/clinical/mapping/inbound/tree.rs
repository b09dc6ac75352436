//! Reads a tree (JSON, FHIR, the rows of a CSV file) by the same sections, fields and decisions as HL7 v2.
//!
//! What differs is how places are named and what a standard type looks like. Every populated leaf ends as used, ignored
//! by a named rule, or told of; one that belongs to a result holds.

mod assemble;
mod composite;
mod document;
mod moment;
mod reader;
mod result;
mod value;

use self::document::Document;
use self::reader::Reader;
use self::reader::Scope;
use crate::clinical::mapping::inbound::Ledger;
use crate::clinical::mapping::inbound::Reading;
use crate::clinical::mapping::inbound::Status;
use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Mapping;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::diagnostic::has_errors;
use crate::formats::csv;
use crate::formats::tree::Node;

/// Methods of a Bundle's entries that bring something; any other takes away or changes in part.
const METHODS: [&str; 2] = ["POST", "PUT"];

impl Mapping {
    /// Reads a document into canonical reports.
    pub fn read_tree(&self, root: &Node) -> Reading {
        self.read_rows(root, Vec::new(), Vec::new())
    }

    /// Reads a table: each row one result, or one patient with a column for each.
    pub(super) fn read_table(&self, table: &csv::Table) -> Reading {
        let (root, lines) = rows(table);
        self.read_rows(&root, lines, table.deviations.iter().map(csv::Deviation::diagnostic).collect())
    }

    fn read_rows(&self, root: &Node, lines: Vec<usize>, told: Vec<Diagnostic>) -> Reading {
        let mut reader = Reader::new(self, root, lines);
        reader.gaps.diagnostics = told;
        if self.format() == Format::Fhir {
            reader.modifiers();
        }
        let reports = reader.reports();
        let ledger = reader.close_ledger();
        let mut status = Status::Mapped;
        if reports.is_empty() {
            let is_held = has_errors(&reader.gaps.diagnostics);
            let position = reader.position(0);
            let help = "a laboratory mapping reads reports of results; send a report with its results";
            reader.gaps.error(code::NO_REPORT, position, "there is no report in the document", help);
            status = if is_held { Status::Held } else { Status::Rejected };
        }
        reader.gather();
        if reader.gaps.rejected {
            status = Status::Rejected;
        } else if status == Status::Mapped && has_errors(&reader.gaps.diagnostics) {
            status = Status::Held;
        }
        let mut diagnostics = std::mem::take(&mut reader.gaps.diagnostics);
        if status == Status::Rejected {
            // Of what is not read at all, what no rule reads need not be told.
            diagnostics.retain(|it| it.severity != Severity::Info);
            return Reading { status, reports: Vec::new(), diagnostics, ledger: Ledger::default() };
        }
        Reading { status, reports, diagnostics, ledger }
    }

    /// What tells a document from every other of its sender, where the mapping says.
    pub(super) fn control_id_of(&self, root: &Node) -> Option<String> {
        Reader::new(self, root, Vec::new()).word(Field::ControlId, Scope::at(0))
    }

    /// Whether several results share one place, as the columns of one row do.
    fn has_rows(&self) -> bool {
        self.format() == Format::Csv
    }
}

/// A table as a tree, and the line of each row.
pub(super) fn rows(table: &csv::Table) -> (Node, Vec<usize>) {
    let rows = table.rows.iter().map(|row| {
        let cells =
            row.cells.iter().enumerate().map(|(at, cell)| (column_name(table, at), Node::Text(cell.clone())));
        Node::Object(cells.collect())
    });
    (Node::List(rows.collect()), table.rows.iter().map(|row| row.line).collect())
}

/// Every place of a document with its name, as [`Use::scope`](crate::clinical::mapping::inbound::Use) counts them.
pub(super) fn places(root: &Node, format: Format, lines: Vec<usize>) -> Vec<(String, &Node)> {
    let document = Document::of(root, format, lines);
    (0..document.len()).map(|at| (document.position(at), document.node(at))).collect()
}

/// The header's name, or the column's number where it has none of its own.
fn column_name(table: &csv::Table, at: usize) -> String {
    match table.columns.get(at) {
        Some(name) if !name.is_empty() && table.column(name) == Some(at) => name.clone(),
        _ => format!("column {}", at + 1),
    }
}

impl Reader<'_, '_> {
    /// What changes the meaning of everything around it (R4 §2.1.3), and entries that take away.
    fn modifiers(&mut self) {
        for at in 0..self.document.len() {
            let place = self.position_if(at, |name| matches!(name, "modifierExtension" | "implicitRules"));
            if let Some(position) = place {
                let help = "look at what it says; ask the sender what it means for the result";
                let message = "an extension changes the meaning of what it stands in, and no rule knows it";
                self.gaps.error(code::MODIFIER, position, message, help);
                self.mark_below(at);
            }
            let method = self
                .position_if(at, |name| name == "method")
                .filter(|position| position.ends_with(".request.method"));
            if let Some(position) = method
                && self.document.node(at).text().is_some_and(|it| !METHODS.contains(&it))
            {
                let help = "send corrections and withdrawals as a report with that status";
                let message =
                    "an entry is to be deleted, changed in part or looked up, which a report never is";
                self.gaps.error(code::ENTRY_METHOD, position, message, help);
            }
        }
    }

    fn position_if(&self, at: usize, is_named: impl Fn(&str) -> bool) -> Option<String> {
        self.document.name(at).filter(|name| is_named(name)).map(|_| self.position(at))
    }
}
