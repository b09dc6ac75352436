//! Cliniko's ids: 64-bit integers sent as strings.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;

/// The id of a Cliniko record. Kept as text: a client that made a double of it lost digits and was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// A signed 64-bit integer has at most 19 digits.
    pub const DIGITS_MAX: usize = 19;

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id a link such as `…/v1/patients/123` names: its last path segment.
    pub fn of_link(link: &str) -> Option<Self> {
        let path = link.split(['?', '#']).next()?;
        path.rsplit('/').next()?.parse().ok()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Id {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let canonical = text.len() <= Self::DIGITS_MAX
            && text.bytes().all(|b| b.is_ascii_digit())
            && !text.starts_with('0')
            && text.parse::<i64>().is_ok();
        if canonical { Ok(Self(text.to_owned())) } else { Err(NotAnId) }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Sent {
            Text(String),
            Number(u64),
        }
        let text = match Sent::deserialize(deserializer)? {
            Sent::Text(text) => text,
            Sent::Number(number) => number.to_string(),
        };
        text.parse().map_err(de::Error::custom)
    }
}

/// The text is not a Cliniko id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Cliniko id is a positive 64-bit integer without leading zeros")]
pub struct NotAnId;

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn nineteen_digits_survive_and_anything_else_is_refused() {
        let id: Id = serde_json::from_str("\"1203948571203948577\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"1203948571203948577\"");
        assert_eq!(serde_json::from_str::<Id>("42").unwrap().as_str(), "42");
        for text in
            ["", "0", "007", "-1", "1.5", "12a", "9223372036854775808", "12039485712039485760", "../1"]
        {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_link_names_the_id_in_its_last_segment() {
        let id = Id::of_link("https://api.uk1.cliniko.com/v1/patients/123?x=1");
        assert_eq!(id.as_ref().map(Id::as_str), Some("123"));
        assert_eq!(Id::of_link("https://api.uk1.cliniko.com/v1/patients/123/content"), None);
    }
}
