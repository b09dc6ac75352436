//! Reads one HL7 v2 message by one mapping.
//!
//! Bad input is a value: whatever could be read is in [`Reading::reports`], also when the message is held, and everything
//! that could not is named in its diagnostics by position. A diagnostic quotes a value only from a coded field.
//! Start at [`Mapping::read`]; `outline.rs` says which segment belongs to which, `assemble.rs` makes the reports.

mod assemble;
mod code;
mod coded;
mod composite;
mod date_format;
mod gaps;
mod ledger;
mod moment;
mod outline;
mod reader;
mod status;
pub mod trace;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use self::ledger::Answer;
pub use self::ledger::Asked;
pub use self::ledger::Ledger;
pub use self::ledger::LedgerEntry;
pub use self::ledger::Outcome;
pub use self::ledger::Position;
pub use self::ledger::Unread;
pub use self::ledger::Use;
use self::outline::Outline;
use self::reader::Reader;
use crate::clinical::mapping::deviation;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::model::Report;
use crate::diagnostic::Diagnostic;
use crate::formats::csv;
use crate::formats::fhir;
use crate::formats::hl7v2;
use crate::formats::json;
use crate::formats::tree::Node;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Every report is complete as far as the mapping asks.
    Mapped,
    /// A person must look: at least one diagnostic is an error.
    Held,
    /// It is not ours to read.
    Rejected,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Held => "held",
            Self::Rejected => "rejected",
        }
    }
}

/// One message as one mapping reads it.
#[derive(Debug, Clone)]
pub struct Reading {
    pub status: Status,
    /// What could be read, also when held; empty when rejected.
    pub reports: Vec<Report>,
    /// In the order of the message, worst first at one place.
    pub diagnostics: Vec<Diagnostic>,
    pub ledger: Ledger,
}

impl Reading {
    /// The reading of bytes that are not of their format.
    pub fn unreadable(problem: Diagnostic) -> Self {
        let diagnostics = vec![problem];
        Self { status: Status::Rejected, reports: Vec::new(), diagnostics, ledger: Ledger::default() }
    }

    /// The reading of bytes in which no message was found.
    pub fn of_nothing(deviations: &[hl7v2::Deviation]) -> Self {
        let mut diagnostics = deviation::diagnostics(deviations);
        if diagnostics.is_empty() {
            diagnostics.push(
                Diagnostic::error(code::NO_MESSAGE, "no message could be read")
                    .help("ask the sender for the file again"),
            );
        }
        Self { status: Status::Rejected, reports: Vec::new(), diagnostics, ledger: Ledger::default() }
    }
}

impl Mapping {
    /// Reads a message as it was kept, in whatever way its format is written.
    pub fn read_bytes(&self, raw: &[u8]) -> Reading {
        let [reading] = Self::read_by([self], raw);
        reading
    }

    /// Reads a message by each of several mappings, decoding it once where they are of one format.
    pub fn read_by<const N: usize>(mappings: [&Self; N], raw: &[u8]) -> [Reading; N] {
        let Some(first) = mappings.first() else { return mappings.map(|it| it.read_bytes(raw)) };
        if mappings.iter().any(|it| (it.format, it.delimiter) != (first.format, first.delimiter)) {
            return mappings.map(|it| it.read_bytes(raw));
        }
        match first.format {
            Format::Hl7v2 if hl7v2::xml::looks_like_xml(raw) => match hl7v2::xml::convert(raw) {
                Ok(converted) => {
                    let decoded = hl7v2::decode(&converted.er7);
                    mappings.map(|it| it.read_converted(&decoded, &converted.deviations))
                }
                Err(error) => mappings.map(|_| Reading::unreadable(error.diagnostic())),
            },
            Format::Hl7v2 => {
                let decoded = hl7v2::decode(raw);
                mappings.map(|it| it.read_er7(&decoded))
            }
            Format::Csv => match csv::decode(raw, first.delimiter) {
                Ok(table) => mappings.map(|it| it.read_table(&table)),
                Err(error) => mappings.map(|_| Reading::unreadable(error.diagnostic())),
            },
            Format::Fhir | Format::Json => match first.tree(raw) {
                Ok(root) => mappings.map(|it| it.read_tree(&root)),
                Err(problem) => mappings.map(|_| Reading::unreadable((*problem).clone())),
            },
        }
    }

    /// Reads a document of FHIR or JSON, and gives its bytes back as soon as they are a tree: it may be large.
    pub fn read_document(&self, raw: Vec<u8>) -> Reading {
        let root = self.tree(&raw);
        drop(raw);
        match root {
            Ok(root) => self.read_tree(&root),
            Err(problem) => Reading::unreadable(*problem),
        }
    }

    /// Reads what HL7's XML was converted to, and tells of what the conversion met.
    fn read_converted(&self, decoded: &hl7v2::Decoded<'_>, deviations: &[hl7v2::xml::Deviation]) -> Reading {
        let mut reading = self.read_decoded(decoded);
        let told: Vec<_> = deviations.iter().map(hl7v2::xml::Deviation::diagnostic).collect();
        if reading.status == Status::Mapped && crate::diagnostic::has_errors(&told) {
            reading.status = Status::Held;
        }
        reading.diagnostics.splice(0..0, told);
        reading
    }

    /// What tells a message from every other of its sender: MSH-10, or what the mapping says. `None` where it says
    /// nothing, or the message cannot be read.
    pub fn control_id(&self, raw: &[u8]) -> Option<String> {
        let id = match self.format {
            Format::Hl7v2 => {
                let converted = hl7v2::xml::looks_like_xml(raw).then(|| hl7v2::xml::convert(raw));
                let converted = converted.transpose().ok()?;
                let decoded = hl7v2::decode(converted.as_ref().map_or(raw, |it| it.er7.as_slice()));
                decoded.message?.header().field(10).component(1).text().trim().to_owned()
            }
            Format::Csv => return None,
            Format::Fhir | Format::Json => self.control_id_of(&self.tree(raw).ok()?)?,
        };
        (!id.is_empty()).then_some(id)
    }

    /// Decodes JSON, or in FHIR XML where the first character says so.
    fn tree(&self, raw: &[u8]) -> Result<Node, Box<Diagnostic>> {
        if self.format == Format::Fhir && is_xml(raw) {
            return fhir::xml::decode(raw).map_err(|error| Box::new(error.diagnostic()));
        }
        json::decode(raw).map_err(|error| Box::new(error.diagnostic()))
    }

    /// Reads a message that came as ER7, and warns where the mapping expects XML.
    fn read_er7(&self, decoded: &hl7v2::Decoded<'_>) -> Reading {
        let mut reading = self.read_decoded(decoded);
        if self.is_xml {
            let message = "the message is not XML, which the mapping says this laboratory writes";
            let help = "nothing need be done: both are read; write `format = \"hl7v2\"` to be told no more";
            let told = Diagnostic::warning(code::OTHER_WRITING, message).at("MSH[1]").help(help);
            reading.diagnostics.insert(0, told);
        }
        reading
    }

    /// Reads a decoded message, or says that none was decoded.
    pub fn read_decoded(&self, decoded: &hl7v2::Decoded<'_>) -> Reading {
        match &decoded.message {
            Some(message) => self.read(message, &decoded.deviations),
            None => Reading::of_nothing(&decoded.deviations),
        }
    }

    /// Reads a message into canonical reports: one for each patient group and filler number.
    pub fn read(&self, message: &hl7v2::Message<'_>, deviations: &[hl7v2::Deviation]) -> Reading {
        let mut reader = Reader::new(self, message);
        reader.gaps.diagnostics = deviation::diagnostics(deviations);
        reader.excuse(deviations, message.delimiters());
        if !is_result_message(message) {
            reader.error(
                code::NOT_A_RESULT,
                message.header().field(9).location(),
                "the message is not an ORU^R01",
                "a laboratory mapping reads ORU^R01 only; send results as ORU^R01",
            );
            return Reading {
                status: Status::Rejected,
                reports: Vec::new(),
                diagnostics: reader.gaps.diagnostics,
                ledger: Ledger::default(),
            };
        }
        reader.processing_id();
        let outline = Outline::of(&reader.segments);
        let reports = reader.reports(&outline);
        let ledger = reader.close_ledger();
        let status = if reader.gaps.rejected {
            Status::Rejected
        } else if crate::diagnostic::has_errors(&reader.gaps.diagnostics) {
            Status::Held
        } else {
            Status::Mapped
        };
        let reports = if status == Status::Rejected { Vec::new() } else { reports };
        Reading { status, reports, diagnostics: reader.gaps.diagnostics, ledger }
    }
}

/// Whether the first character is that of XML; the bytes may begin with a mark of their order.
pub(super) fn is_xml(raw: &[u8]) -> bool {
    let raw = raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw);
    raw.starts_with(b"\xFF\xFE") || raw.starts_with(b"\xFE\xFF") || raw.trim_ascii_start().starts_with(b"<")
}

/// MSH-9 says ORU^R01, in its parts or (before 2.3.1, and from some senders since) as the structure's name alone.
fn is_result_message(message: &hl7v2::Message<'_>) -> bool {
    let [kind, trigger, structure] = message.message_type();
    (kind == "ORU" && trigger == "R01")
        || kind == "ORU_R01"
        || (kind == "ORU" && trigger.is_empty() && structure == "ORU_R01")
}
