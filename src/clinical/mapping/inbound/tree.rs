//! Reads a tree (JSON, FHIR, the rows of a CSV file) by the same sections, fields and decisions as HL7 v2.
//!
//! What differs is how places are named and what a standard type looks like. Every populated leaf ends as used, ignored
//! by a named rule, or told of; one that belongs to a result holds.

mod assemble;
mod composite;
mod damage;
mod document;
mod moment;
mod reader;
mod result;
mod value;

use self::reader::Reader;
use self::reader::Scope;
use crate::clinical::mapping::inbound::Ledger;
use crate::clinical::mapping::inbound::Reading;
use crate::clinical::mapping::inbound::Status;
use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Mapping;
use crate::diagnostic::has_errors;
use crate::formats::tree::Node;

/// Methods of a Bundle's entries that bring something; any other takes away or changes in part.
const METHODS: [&str; 2] = ["POST", "PUT"];

impl Mapping {
    /// Reads a document into canonical reports.
    pub fn read_tree(&self, root: &Node) -> Reading {
        let mut reader = Reader::new(self, root);
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
        if status == Status::Rejected {
            let diagnostics = reader.gaps.diagnostics;
            return Reading { status, reports: Vec::new(), diagnostics, ledger: Ledger::default() };
        }
        Reading { status, reports, diagnostics: reader.gaps.diagnostics, ledger }
    }

    /// What tells a document from every other of its sender, where the mapping says.
    pub fn control_id_of_tree(&self, root: &Node) -> Option<String> {
        Reader::new(self, root).word(Field::ControlId, Scope::at(0))
    }

    /// Whether several results share one place, as the columns of one row do.
    fn format_has_rows(&self) -> bool {
        self.format() == Format::Csv
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
            let method = self.position_if(at, |name| name == "method").filter(|position| position.ends_with(".request.method"));
            if let Some(position) = method
                && self.document.node(at).text().is_some_and(|it| !METHODS.contains(&it))
            {
                let help = "send corrections and withdrawals as a report with that status";
                let message = "an entry is to be deleted, changed in part or looked up, which a report never is";
                self.gaps.error(code::ENTRY_METHOD, position, message, help);
            }
        }
    }

    fn position_if(&self, at: usize, is_named: impl Fn(&str) -> bool) -> Option<String> {
        self.document.name(at).filter(|name| is_named(name)).map(|_| self.position(at))
    }
}
