//! What two readings of one message say differently, as a clinician would see it.
//!
//! Panels, results and specimens are known by their place in the message (`OBX[3]`), which no mapping changes: a mapping
//! that groups reports otherwise is not told as results lost and found. Which mapping read the message, and the
//! laboratory's name in it, are no difference. Where nothing differs nothing is written, because histories are long.
//! Start at [`compare_readings`]; `fields.rs` lists what is compared, `words.rs` says each
//! value as a person reads it, `summary.rs` counts over messages.

mod fields;
mod pair;
mod summary;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;

pub use self::summary::Example;
pub use self::summary::Group;
pub use self::summary::Summary;
use crate::clinical::mapping::Reading;
use crate::clinical::mapping::Status;
use crate::clinical::model::Code;
use crate::clinical::model::Report;
use crate::clinical::model::Sensitive;

/// What a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Code,
    /// What nobody decides by: who asked, how it was measured, what the mapping keeps besides.
    Detail,
    Document,
    Flags,
    /// The patient.
    Identity,
    /// Whether rules may speak of the result.
    Interpretation,
    Notes,
    /// The numbers by which the report and its specimens are known.
    Number,
    Range,
    /// A message that waits for a person either way, for another reason.
    Reason,
    /// A report or panel that only one reading has.
    Report,
    /// A result that only one reading has.
    Result,
    Specimen,
    /// Mapped, held or rejected.
    Standing,
    Status,
    Time,
    Unit,
    Value,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Detail => "detail",
            Self::Document => "document",
            Self::Flags => "flags",
            Self::Identity => "identity",
            Self::Interpretation => "interpretation",
            Self::Notes => "notes",
            Self::Number => "number",
            Self::Range => "range",
            Self::Reason => "reason",
            Self::Report => "report",
            Self::Result => "result",
            Self::Specimen => "specimen",
            Self::Standing => "standing",
            Self::Status => "status",
            Self::Time => "time",
            Self::Unit => "unit",
            Self::Value => "value",
        }
    }

    /// Whether a clinician would see, or be kept from seeing, something else.
    pub const fn is_clinical(self) -> bool {
        !matches!(self, Self::Detail | Self::Reason)
    }

    /// Whether its values may name a person, whatever they are.
    const fn is_private(self) -> bool {
        matches!(self, Self::Detail | Self::Document | Self::Identity | Self::Notes | Self::Number)
    }
}

/// One thing that two readings of a message say differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub kind: Kind,
    /// As the mapping language names it, such as `result.value`; `message` for the whole.
    pub field: &'static str,
    /// Where in the message, such as `OBX[3]`; empty for the whole.
    pub at: String,
    /// What was measured or ordered: LOINC and name, else the code as sent.
    pub test: Option<String>,
    pub old: Option<Sensitive<String>>,
    pub new: Option<Sensitive<String>>,
    /// The values may name a person: they are shown only to whoever asks for them.
    pub is_private: bool,
}

/// Everything that two readings of the same message say differently, their standing first.
pub fn compare_readings(old: &Reading, new: &Reading) -> Vec<Difference> {
    let mut found = Comparison::default();
    if [old.status, new.status] != [Status::Mapped; 2] {
        let kind = if old.status == new.status { Kind::Reason } else { Kind::Standing };
        let [said, says] = [old, new].map(standing);
        found.field(kind, "message", Place::WHOLE, [&said, &says], |it| Some(it.clone()));
    }
    // What is rejected has no reports; that each of its results is missing would only say so again.
    if old.status == new.status || ![old.status, new.status].contains(&Status::Rejected) {
        found.reports(&old.reports, &new.reports);
    }
    found.0
}

/// Everything that two sets of reports of the same message say differently.
pub fn compare(old: &[Report], new: &[Report]) -> Vec<Difference> {
    let mut found = Comparison::default();
    found.reports(old, new);
    found.0
}

/// What became of the message, and by which codes.
fn standing(reading: &Reading) -> String {
    let codes: BTreeSet<&str> =
        reading.diagnostics.iter().filter(|it| it.is_error()).map(|it| it.code.as_str()).collect();
    let mut text = reading.status.as_str().to_owned();
    for (at, code) in codes.into_iter().enumerate() {
        text.push_str(if at == 0 { ": " } else { ", " });
        text.push_str(code);
    }
    text
}

/// Where a difference is, and the codes of the test there, old and new.
#[derive(Clone, Copy)]
struct Place<'r> {
    at: &'r str,
    codes: [Option<&'r Code>; 2],
}

impl Place<'static> {
    const WHOLE: Self = Self { at: "", codes: [None, None] };
}

#[derive(Default)]
struct Comparison(Vec<Difference>);

impl Comparison {
    fn field<T: PartialEq + ?Sized>(
        &mut self,
        kind: Kind,
        field: &'static str,
        place: Place<'_>,
        [old, new]: [&T; 2],
        say: impl Fn(&T) -> Option<String>,
    ) {
        if old != new {
            self.tell(kind, field, place, [say(old), say(new)]);
        }
    }

    fn tell(&mut self, kind: Kind, field: &'static str, place: Place<'_>, [old, new]: [Option<String>; 2]) {
        self.0.push(Difference {
            kind,
            field,
            at: place.at.to_owned(),
            test: words::test(place.codes),
            is_private: kind.is_private()
                || [&old, &new].into_iter().flatten().any(|it| words::is_narrative(it)),
            old: old.map(Sensitive::new),
            new: new.map(Sensitive::new),
        });
    }

    /// What only one of the two has.
    fn alone(&mut self, kind: Kind, field: &'static str, at: &str, codes: [Option<&Code>; 2], is_old: bool) {
        let there = Some("there".to_owned());
        let sides = if is_old { [there, None] } else { [None, there] };
        self.tell(kind, field, Place { at, codes }, sides);
    }
}
