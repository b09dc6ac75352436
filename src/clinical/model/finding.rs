//! What interpreters say of a report.

use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::ResultId;

/// How soon a person must act. Ordered: a later variant is more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Context only, no action implied.
    Info,
    /// At the next contact, or a repeat at the stated interval.
    Routine,
    /// Within two weeks, unless the finding says sooner.
    Soon,
    /// The same calendar day.
    SameDay,
    /// Now.
    Emergency,
}

impl Urgency {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Routine => "routine",
            Self::Soon => "soon",
            Self::SameDay => "same_day",
            Self::Emergency => "emergency",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Info, Self::Routine, Self::Soon, Self::SameDay, Self::Emergency]
            .into_iter()
            .find(|urgency| urgency.as_str() == word)
    }
}

/// One statement of an interpreter, with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id, such as `potassium-with-haemolysis`.
    pub id: String,
    pub urgency: Urgency,
    /// The results it rests on; never empty, and each exists in the report.
    pub about: Vec<ResultId>,
    pub clinician_text: String,
    /// Empty where there is nothing for the patient to read. Kept also for `emergency` and `same_day`, where no document
    /// may release it until the clinician has confirmed contact.
    pub patient_text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_up: Option<String>,
    /// The rule's conditions as they were met, and named formulas with their inputs and outcome.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Where the rule comes from, such as `RCPath G158 (2017)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Something that was not interpreted, and why. Unknown is never normal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotAssessed {
    /// A rule's id, or a result's.
    pub subject: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<ResultId>,
    pub reason: String,
}

/// Where a result lies. A range of ours is asked only where the laboratory sent none, and the word says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeFlag {
    Above,
    AboveTable,
    Below,
    BelowTable,
    InRange,
    InRangeTable,
    /// Reported, and nothing is known of where it lies: an unknown code or unit, a value or range that is text.
    NotInterpreted,
}

impl RangeFlag {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::AboveTable => "above_table",
            Self::Below => "below",
            Self::BelowTable => "below_table",
            Self::InRange => "in_range",
            Self::InRangeTable => "in_range_table",
            Self::NotInterpreted => "not_interpreted",
        }
    }

    /// Whether the result is known to lie outside its range.
    pub const fn is_outside(self) -> bool {
        matches!(self, Self::Above | Self::AboveTable | Self::Below | Self::BelowTable)
    }

    /// Whether the range was ours, because the laboratory sent none.
    pub const fn is_by_table(self) -> bool {
        matches!(self, Self::AboveTable | Self::BelowTable | Self::InRangeTable)
    }
}

/// The answer of one interpreter about one report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpretation {
    /// Such as `rules`.
    pub interpreter: String,
    pub version: String,
    /// SHA-256 of the knowledge it used, in hexadecimal.
    pub digest: String,
    /// Most urgent first.
    pub findings: Vec<Finding>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_assessed: Vec<NotAssessed>,
    /// One for each result, in the report's order: where it lies by the range sent with it, or by ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub range_flags: Vec<(ResultId, RangeFlag)>,
}

impl Interpretation {
    /// The most urgent finding's urgency; `Routine` cannot be assumed, so none is none.
    pub fn urgency(&self) -> Option<Urgency> {
        self.findings.iter().map(|finding| finding.urgency).max()
    }
}
