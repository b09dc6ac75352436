//! The account of a message: every populated field is used, ignored by a named rule, or unaccounted.

use std::fmt;

use crate::clinical::mapping::plan::RuleId;
use crate::formats::hl7v2::Location;

/// What became of one populated field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// By a rule, or by what the gateway reads of every message (its header and set ids).
    Used,
    /// By the mapping's `[[ignore]]` entry of this index.
    Ignored(usize),
    Unaccounted,
}

/// A field of HL7 v2, or a leaf of a tree as its format names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    Field(Location),
    Place(String),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(location) => location.fmt(f),
            Self::Place(place) => place.fmt(f),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    pub field: Position,
    pub outcome: Outcome,
}

/// One reading of one place by one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub rule: RuleId,
    pub at: Position,
    /// What it was read for: the segment's place in the message, or that of the node in its tree.
    pub scope: u32,
}

/// Where a report was read, and the patient it is of, as [`Use::scope`] counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::clinical::mapping) struct Home {
    pub(in crate::clinical::mapping) report: Vec<u32>,
    pub(in crate::clinical::mapping) patient: u32,
}

/// What the table or map of a rule said of one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The map's entry of this index.
    Entry(usize),
    /// Nothing; the word as sent. Only coded fields are looked up.
    Nothing(String),
}

/// One look-up that a rule made. Those that found a row of a table are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub rule: RuleId,
    pub answer: Answer,
}

/// A field that nothing accounts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The first place.
    pub at: Position,
    /// As `[[ignore]]` would name it, where the place does not say.
    pub name: Option<String>,
    pub count: usize,
    /// It may matter to a result, and so the message is held.
    pub holds: bool,
}

impl Unread {
    /// As `[[ignore]]` would name it, such as `OBX-15`.
    pub fn name(&self) -> String {
        match (&self.name, &self.at) {
            (Some(name), _) => name.clone(),
            (None, Position::Place(place)) => place.clone(),
            (None, Position::Field(location)) => {
                let segment = location.segment_name();
                location
                    .field_number()
                    .map_or_else(|| segment.to_owned(), |field| format!("{segment}-{field}"))
            }
        }
    }
}

/// Every populated field of the message, in its order, and every use of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    pub entries: Vec<LedgerEntry>,
    pub uses: Vec<Use>,
    pub asked: Vec<Asked>,
    pub unread: Vec<Unread>,
    /// As the reading's reports.
    pub(in crate::clinical::mapping) homes: Vec<Home>,
}

/// A place as [`Use::scope`] counts. No message or document is as long as the last number.
pub(super) fn scope(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Ledger {
    /// The fields that nothing accounts for.
    pub fn unaccounted(&self) -> impl Iterator<Item = &Position> {
        self.entries.iter().filter(|entry| entry.outcome == Outcome::Unaccounted).map(|entry| &entry.field)
    }
}

/// Which fields of one segment have been read. No segment of HL7 2.9 has more than 80; a field beyond the last bit
/// stays unaccounted, and so is told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks(u128);

impl Marks {
    pub(super) fn set(&mut self, field: u32) {
        self.0 |= 1_u128.checked_shl(field).unwrap_or(0);
    }

    pub(super) fn has(self, field: u32) -> bool {
        self.0 & 1_u128.checked_shl(field).unwrap_or(0) != 0
    }
}
