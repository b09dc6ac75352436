//! One observation.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Code;
use crate::clinical::model::Moment;
use crate::clinical::model::Note;
use crate::clinical::model::Number;
use crate::clinical::model::Value;

/// Names a result within its report, by where it stood: `OBX[3]` of the message. Stable for the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResultId(pub String);

impl fmt::Display for ResultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One result as the laboratory sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabResult {
    pub id: ResultId,
    pub code: Code,
    /// OBX-4: tells repeats of one code apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_id: Option<String>,
    pub value: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<ReferenceRange>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    pub status: ResultStatus,
    /// What the laboratory's word says beyond the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<StatusDetail>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// OBX-14.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Moment>,
    /// OBX-19.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysed_at: Option<Moment>,
    /// OBX-17, in the sender's codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<Code>,
    /// OBX-23, else OBX-15: the laboratory that did the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performing_lab: Option<String>,
    /// Index into [`crate::clinical::model::Report::specimens`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub specimen: Option<usize>,
    /// A code or unit was kept as text only: the result is reported, and no rule may speak of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_interpreted: bool,
    /// Whatever else the mapping was told to keep, by its name in the mapping file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<(String, String)>,
}

/// A unit as sent and, where a table knows it, in UCUM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    pub sent: String,
    /// A valid UCUM code, such as `10*9/L`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ucum: Option<String>,
    /// One of the unit as sent is this many of the UCUM unit. The numbers of the result and of its range are in the
    /// UCUM unit then, their texts as sent in the unit as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Number>,
}

/// The range the laboratory printed with this result (OBX-7). Never replaced by one of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceRange {
    pub sent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<Number>,
    /// `>37.5`: a value equal to the lower bound is outside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub low_exclusive: bool,
    /// `<48`: a value equal to the upper bound is outside.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub high_exclusive: bool,
}

impl ReferenceRange {
    /// Reads a range: `130-180`, `-5-5`, `<48`, `>=60`, `8.6 - 29.0`. Anything else is text without bounds.
    pub fn parse(sent: &str) -> Self {
        let mut range = Self {
            sent: sent.to_owned(),
            low: None,
            high: None,
            low_exclusive: false,
            high_exclusive: false,
        };
        let text = sent.trim();
        if let Some((comparator, rest)) = crate::clinical::model::Comparator::split(text) {
            use crate::clinical::model::Comparator as C;
            let bound = Number::parse(rest.trim());
            match comparator {
                C::Less | C::LessOrEqual => {
                    range.high_exclusive = comparator == C::Less && bound.is_some();
                    range.high = bound;
                }
                C::Greater | C::GreaterOrEqual => {
                    range.low_exclusive = comparator == C::Greater && bound.is_some();
                    range.low = bound;
                }
            }
        } else if let Some((low, high)) = split_bounds(text) {
            range.low = Some(low);
            range.high = Some(high);
        }
        range
    }
}

/// Splits at the dash that separates two numbers, not at a leading minus.
fn split_bounds(text: &str) -> Option<(Number, Number)> {
    text.char_indices().skip(1).filter(|(_, c)| matches!(c, '-' | '–')).find_map(|(at, dash)| {
        let low = Number::parse(text.get(..at)?.trim())?;
        let high = Number::parse(text.get(at + dash.len_utf8()..)?.trim())?;
        Some((low, high))
    })
}

/// An abnormal flag as sent (OBX-8, table 0078, or the laboratory's own such as `*`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    pub sent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Where a result stands (OBX-11, table 0085). Named after FHIR's `observation-status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultStatus {
    Registered,
    Preliminary,
    Final,
    Amended,
    Corrected,
    Cancelled,
    EnteredInError,
    Unknown,
}

impl ResultStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Preliminary => "preliminary",
            Self::Final => "final",
            Self::Amended => "amended",
            Self::Corrected => "corrected",
            Self::Cancelled => "cancelled",
            Self::EnteredInError => "entered-in-error",
            Self::Unknown => "unknown",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Registered,
            Self::Preliminary,
            Self::Final,
            Self::Amended,
            Self::Corrected,
            Self::Cancelled,
            Self::EnteredInError,
            Self::Unknown,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
    }
}

/// What table 0085 tells apart and FHIR's `observation-status` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusDetail {
    /// `U`: final now, and the value that was sent before stands.
    ValueStands,
    /// `W`: posted as wrong, such as on the wrong patient.
    WrongPatient,
}

impl StatusDetail {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValueStands => "value-stands",
            Self::WrongPatient => "wrong-patient",
        }
    }

    /// The status and its detail of a mapping's word: a status, or one of `value-stands` and `wrong-patient`.
    pub fn read(word: &str) -> Option<(ResultStatus, Option<Self>)> {
        match word {
            "value-stands" => Some((ResultStatus::Final, Some(Self::ValueStands))),
            "wrong-patient" => Some((ResultStatus::EnteredInError, Some(Self::WrongPatient))),
            status => ResultStatus::from_word(status).map(|status| (status, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReferenceRange;

    fn bounds(sent: &str) -> (Option<String>, Option<String>, bool, bool) {
        let range = ReferenceRange::parse(sent);
        assert_eq!(range.sent, sent);
        (
            range.low.map(|n| n.to_string()),
            range.high.map(|n| n.to_string()),
            range.low_exclusive,
            range.high_exclusive,
        )
    }

    #[test]
    fn two_sided_ranges_keep_their_digits_and_signs() {
        assert_eq!(bounds("130-180"), (Some("130".into()), Some("180".into()), false, false));
        assert_eq!(bounds("8.60 - 29.0"), (Some("8.60".into()), Some("29.0".into()), false, false));
        assert_eq!(bounds("-5-5"), (Some("-5".into()), Some("5".into()), false, false));
        assert_eq!(bounds("-5--2"), (Some("-5".into()), Some("-2".into()), false, false));
        assert_eq!(bounds("0.370–0.470"), (Some("0.370".into()), Some("0.470".into()), false, false));
    }

    #[test]
    fn one_sided_ranges_have_one_bound_and_say_whether_it_is_inside() {
        assert_eq!(bounds("<48"), (None, Some("48".into()), false, true));
        assert_eq!(bounds("<=48"), (None, Some("48".into()), false, false));
        assert_eq!(bounds(">37.5"), (Some("37.5".into()), None, true, false));
        assert_eq!(bounds("≥ 60"), (Some("60".into()), None, false, false));
    }

    #[test]
    fn text_has_no_bounds() {
        for sent in ["Not detected", "Male 130-180, Female 120-150", "", "2026-11-22", "see below", "<"] {
            assert_eq!(bounds(sent), (None, None, false, false), "{sent}");
        }
    }
}
