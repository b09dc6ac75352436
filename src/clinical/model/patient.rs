//! The person as the laboratory knows them. Nothing here says who they are in a clinic: that is a match.

use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Moment;
use crate::clinical::model::Sensitive;

/// The patient of a report, as sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<PersonName>,
    /// At most to the day; a time of birth stays in `sent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<Sensitive<Moment>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<Sex>,
    /// PID-8 as sent, also where `sex` is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex_sent: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub telecoms: Vec<Telecom>,
    /// PID-30 = Y, or a date in PID-29. `None` where the message does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deceased: Option<bool>,
}

impl Patient {
    /// The NHS number whose check digit holds, if exactly one was sent: ten digits.
    pub fn nhs_number(&self) -> Option<&Sensitive<String>> {
        let mut numbers = self.identifiers.iter().filter(|id| id.kind == IdentifierKind::NhsNumber);
        match (numbers.next(), numbers.next()) {
            (Some(only), None) => Some(&only.value),
            _ => None,
        }
    }
}

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// Ten digits whose check digit holds and which is no placeholder; see `clinical::matching::nhs_number`.
    NhsNumber,
    /// Sent as an NHS number and not one: wrong length, wrong check digit, a placeholder. Kept, never matched on.
    NhsNumberInvalid,
    /// Anything else: a hospital number, a laboratory's own.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identifier {
    pub kind: IdentifierKind,
    pub value: Sensitive<String>,
    /// CX.5 (table 0203).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_code: Option<String>,
    /// CX.4, the assigning authority's namespace or universal id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonName {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Sensitive<String>>,
    /// First, then further given names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Sensitive<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suffix: Vec<String>,
    /// XPN.7 (table 0200), such as `L` for legal or `M` for maiden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_code: Option<String>,
}

/// Administrative sex (PID-8), as FHIR's `administrative-gender` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    Female,
    Male,
    Other,
    Unknown,
}

impl Sex {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Female, Self::Male, Self::Other, Self::Unknown].into_iter().find(|sex| sex.as_str() == word)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Sensitive<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<Sensitive<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub district: Option<Sensitive<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<Sensitive<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// XAD.7 (table 0190).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_code: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telecom {
    pub value: Sensitive<String>,
    /// XTN.2 (table 0201), such as `PRN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_code: Option<String>,
    /// XTN.3 (table 0202), such as `PH` or `Internet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equipment: Option<String>,
}
