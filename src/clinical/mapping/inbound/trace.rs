//! Why a value came out as it did: each value of the canonical reports with the bytes, rule, table row or map entry it
//! came from, and each populated field of the message with what became of it.
//!
//! Reading a message records only which rule read which place for what. A trace lays message and reports out beside
//! that record and finds the rest after the fact, so that nobody pays for it who does not ask.
//! Start at [`Mapping::trace`]. From the canonical reports on, [`influence`] finds which value of a Bundle or plan
//! comes from which of theirs by changing one and looking what follows.

mod attribute;
mod canonical;
mod derived;
pub mod influence;
mod relation;
mod source;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use self::source::Leaf;
pub use self::source::Piece;
pub use self::source::Source;
use crate::clinical::mapping::inbound::Outcome;
use crate::clinical::mapping::inbound::Reading;
use crate::clinical::mapping::inbound::trace::attribute::Attribution;
use crate::clinical::mapping::inbound::trace::canonical::Canonical;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::model::Report;
use crate::formats::csv;
use crate::formats::hl7v2;

/// How a value came of what was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The text, white space around it aside.
    AsSent,
    /// A constant of its rule.
    Constant,
    /// Something else, and why.
    Derived(&'static str),
    /// An entry of the rule's map.
    Entry { from: String, to: String },
    /// It is made of several texts, of which these are parts.
    Part,
    /// A row of a table.
    Row { file: String, line: usize, sent: String, target: String, display: Option<String> },
    /// Nothing accounts for it: a defect of this module.
    Unknown,
}

/// Where one value of the canonical reports came from. It has no `Debug`: it may be a patient's.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// `reports[0].panels[0].results[3].unit.ucum`
    pub path: String,
    pub text: String,
    /// Leaves of the message, by index.
    pub from: Vec<usize>,
    pub rule: Option<RuleId>,
    pub how: How,
}

/// A message with what became of it.
#[derive(Clone)]
pub struct Trace {
    pub reading: Reading,
    pub source: Source,
    /// Every value of the canonical reports, in their order.
    pub origins: Vec<Origin>,
    /// Of each leaf, the rules that read it, whether or not anything came of it.
    pub readers: Vec<Vec<RuleId>>,
    /// Of each leaf, the origins it is in.
    pub values: Vec<Vec<usize>>,
}

impl Trace {
    fn of(reading: Reading, source: Source, origins: Vec<Origin>) -> Self {
        let mut readers = vec![Vec::new(); source.leaves.len()];
        for it in &reading.ledger.uses {
            for leaf in source.below(&it.at) {
                if let Some(readers) = readers.get_mut(leaf)
                    && !readers.contains(&it.rule)
                {
                    readers.push(it.rule);
                }
            }
        }
        let mut values = vec![Vec::new(); source.leaves.len()];
        for (index, origin) in origins.iter().enumerate() {
            for leaf in &origin.from {
                if let Some(values) = values.get_mut(*leaf) {
                    values.push(index);
                }
            }
        }
        Self { reading, source, origins, readers, values }
    }

    /// What became of a leaf of the message.
    pub fn outcome(&self, leaf: &Leaf) -> Outcome {
        self.reading.ledger.entries.get(leaf.field).map_or(Outcome::Unaccounted, |entry| entry.outcome)
    }
}

/// The reports as data: the same shape as `gateway try` prints.
pub fn as_data(reports: &[Report]) -> Vec<Value> {
    let data = |report| serde_json::to_value(report).expect("a report has text keys and serialises");
    reports.iter().map(data).collect()
}

impl Mapping {
    /// Reads a message as [`Mapping::read_bytes`] does, and says where every value came from.
    pub fn trace(&self, raw: &[u8]) -> Trace {
        let reading = self.read_bytes(raw);
        let source = self.lay_out(raw, &reading);
        let ledger = &reading.ledger;
        let canonical = Canonical::of(&as_data(&reading.reports), &ledger.homes, &source);
        let origins = Attribution::new(self, &source, ledger, &canonical).origins();
        let is_hl7v2 = self.format == Format::Hl7v2;
        let origins = derived::complete(origins, &canonical, &source, is_hl7v2);
        Trace::of(reading, source, origins)
    }

    fn lay_out(&self, raw: &[u8], reading: &Reading) -> Source {
        let entries = &reading.ledger.entries;
        match self.format {
            Format::Hl7v2 => {
                let converted = hl7v2::xml::looks_like_xml(raw).then(|| hl7v2::xml::convert(raw));
                let (er7, is_placed) = match &converted {
                    None => (raw, true),
                    Some(Ok(converted)) => (converted.er7.as_slice(), false),
                    Some(Err(_)) => return Source::default(),
                };
                let decoded = hl7v2::decode(er7);
                let laid = decoded.message.as_ref().map(|it| source::of_message(it, entries, is_placed));
                laid.unwrap_or_default()
            }
            Format::Csv => csv::decode(raw, self.delimiter)
                .map(|table| source::of_table(raw, self.delimiter, &table, entries.len()))
                .unwrap_or_default(),
            Format::Fhir | Format::Json => self
                .tree(raw)
                .map(|root| source::of_document(raw, self.format, &root, entries.len()))
                .unwrap_or_default(),
        }
    }
}
