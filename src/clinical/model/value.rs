//! What was measured, in the shape it was sent.

use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Code;
use crate::clinical::model::Moment;
use crate::clinical::model::Number;

/// The value of one result (OBX-5), read by its declared type (OBX-2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Value {
    /// There is no value, and this is why.
    Absent {
        reason: AbsentReason,
    },
    /// An attachment of the report, by its index there (OBX-2 = ED or RP).
    Attachment {
        index: usize,
    },
    Coded {
        code: Code,
    },
    /// A date or time of day (DT, DTM, TS); a time of day alone (TM) is [`Value::Text`].
    Moment {
        moment: Moment,
    },
    /// A measurement; `sent` is the whole text of OBX-5 (`<0.1`, `+5.10`).
    Quantity {
        sent: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comparator: Option<Comparator>,
        number: Number,
    },
    /// Two bounds (SN with separator `-`, or NR).
    Range {
        sent: String,
        low: Number,
        high: Number,
    },
    /// Two numbers and a separator (SN with `:` or `/`), such as a titre of 1:128.
    Ratio {
        sent: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comparator: Option<Comparator>,
        numerator: Number,
        denominator: Number,
    },
    /// Words. Several repetitions or lines are joined by a line break.
    Text {
        text: String,
    },
}

impl Value {
    /// The value as a person reads it, in the sender's own characters; empty where there is none.
    pub fn as_sent(&self) -> &str {
        match self {
            Self::Absent { .. } | Self::Attachment { .. } => "",
            Self::Coded { code } => code.label(),
            Self::Moment { moment } => &moment.sent,
            Self::Quantity { sent, .. } | Self::Range { sent, .. } | Self::Ratio { sent, .. } => sent,
            Self::Text { text } => text,
        }
    }
}

/// Why a result has no value. Named after FHIR's `data-absent-reason` codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbsentReason {
    /// The test could not be done, or was cancelled (OBX-11 = X).
    NotPerformed,
    /// The sender deleted the value with the explicit null `""`.
    Null,
    /// OBX-5 is empty, and nothing says why.
    Unknown,
    /// The result is not there yet (OBX-11 = I or O).
    Pending,
}

/// How the true value relates to the number (SN.1; FHIR `Quantity.comparator`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparator {
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
    #[serde(rename = ">=")]
    GreaterOrEqual,
    #[serde(rename = ">")]
    Greater,
}

impl Comparator {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }

    /// Splits a leading comparator (`<`, `<=`, `≤`, `>`, `>=`, `≥`) from a text.
    pub fn split(text: &str) -> Option<(Self, &str)> {
        const SPELLINGS: [(&str, Comparator); 6] = [
            ("<=", Comparator::LessOrEqual),
            (">=", Comparator::GreaterOrEqual),
            ("≤", Comparator::LessOrEqual),
            ("≥", Comparator::GreaterOrEqual),
            ("<", Comparator::Less),
            (">", Comparator::Greater),
        ];
        SPELLINGS.iter().find_map(|(spelling, it)| Some((*it, text.strip_prefix(spelling)?.trim_start())))
    }
}
