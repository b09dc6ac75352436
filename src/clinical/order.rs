//! Orders: what a clinic asked a laboratory for, and the number that comes back with the result.
//!
//! The number is unguessable and checks itself, so that a mistyped or misread one is nobody's rather than somebody
//! else's. This module draws no chance: whoever makes a number brings the bytes.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde::Serialize;

use crate::clinical::model::Sensitive;
use crate::clinical::model::Sex;
use crate::formats::cliniko;

/// Twelve characters of chance (60 bits) and one that checks them, all of Crockford's base 32: `7F3A9C21Q2M5T`.
///
/// Thirteen letters and digits, so it fits Code 128 and any laboratory's field, and holds none of HL7's delimiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderNumber(u64);

impl OrderNumber {
    const CHANCE_CHARS: u32 = 12;
    const CHANCE_BITS: u32 = 5 * Self::CHANCE_CHARS;
    pub const CHARS: usize = Self::CHANCE_CHARS as usize + 1;
    /// Digits and capitals without I, L, O and U: none is mistaken for another.
    const ALPHABET: &'static [u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    /// Crockford's check is the number modulo 37: a prime above 32, so any one wrong character and any two neighbours
    /// exchanged change it.
    const MODULUS: u64 = 37;

    /// The number these random bytes stand for.
    pub const fn from_random(bytes: [u8; 8]) -> Self {
        let mut chance = u64::from_be_bytes(bytes) >> (u64::BITS - Self::CHANCE_BITS);
        // A remainder of 32 to 36 has no letter in the alphabet, and Crockford's signs for them mean something in HL7:
        // such a number steps back to the nearest that has one (costs under a third of a bit).
        while chance % Self::MODULUS >= 32 {
            chance -= 1;
        }
        Self(chance)
    }

    /// In groups for a person to read and type: `7F3A-9C21-Q2M5-T`.
    pub fn grouped(self) -> String {
        let text = self.to_string();
        let groups: Vec<&str> =
            text.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        groups.join("-")
    }

    /// A character's value; look-alikes and either case are read as what was meant.
    fn value(c: u8) -> Option<u64> {
        let meant = match c.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        let at = Self::ALPHABET.iter().position(|letter| *letter == meant)?;
        u64::try_from(at).ok()
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter =
            |value: u64| char::from(Self::ALPHABET[usize::try_from(value & 31).expect("it is below 32")]);
        let chance: String =
            (0..Self::CHANCE_CHARS).rev().map(|place| letter(self.0 >> (5 * place))).collect();
        write!(f, "{chance}{}", letter(self.0 % Self::MODULUS))
    }
}

impl FromStr for OrderNumber {
    type Err = NotAnOrderNumber;

    fn from_str(text: &str) -> Result<Self, NotAnOrderNumber> {
        let mut value: u64 = 0;
        let mut count = 0;
        let mut last = 0;
        for c in text.trim().bytes().filter(|c| !matches!(c, b'-' | b' ')) {
            last = Self::value(c).ok_or(NotAnOrderNumber)?;
            count += 1;
            if count < Self::CHARS {
                value = value << 5 | last;
            } else if count > Self::CHARS {
                return Err(NotAnOrderNumber);
            }
        }
        if count == Self::CHARS && value % Self::MODULUS == last {
            Ok(Self(value))
        } else {
            Err(NotAnOrderNumber)
        }
    }
}

impl Serialize for OrderNumber {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OrderNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is no number of ours, or was misread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an order number: thirteen characters of which the last checks the others")]
pub struct NotAnOrderNumber;

/// A blood test a clinic asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub number: OrderNumber,
    pub clinic: String,
    pub patient: OrderPatient,
    pub tests: Vec<OrderedTest>,
    #[serde(with = "as_text")]
    pub ordered_at: Timestamp,
    /// The id of the user who ordered.
    pub ordered_by: String,
    pub state: OrderState,
    /// The reports that answered it so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<ReportReference>,
}

impl Order {
    /// Whether this report, in an earlier version, already answered the order.
    pub fn answered_by(&self, lab: &str, filler_number: &str) -> bool {
        self.reports.iter().any(|it| it.lab == lab && it.filler_number == filler_number)
    }
}

/// The patient as Cliniko had them when the order was made: the authorised fields that the form prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPatient {
    pub cliniko_id: cliniko::Id,
    pub family: Sensitive<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Sensitive<String>>,
    #[serde(default, with = "as_text::optional", skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<Sensitive<Date>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<Sex>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<Sensitive<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nhs_number: Option<Sensitive<String>>,
}

/// One test asked for: the laboratory's code where one is agreed, and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedTest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub name: String,
}

/// A report by what names it for ever: the laboratory and its own number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportReference {
    pub lab: String,
    pub filler_number: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    Cancelled,
    Open,
    /// Every test has its result; a further report under this number is a conflict.
    Resulted,
}

/// Times and dates in their ISO 8601 text.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }

    pub(super) mod optional {
        use std::fmt::Display;
        use std::str::FromStr;

        use serde::Deserialize;
        use serde::Deserializer;
        use serde::Serializer;
        use serde::de::Error;

        use crate::clinical::model::Sensitive;

        #[expect(clippy::ref_option, reason = "serde hands over a reference to the field")]
        pub(in crate::clinical::order) fn serialize<T: Display, S: Serializer>(
            value: &Option<Sensitive<T>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => serializer.collect_str(value.expose()),
                None => serializer.serialize_none(),
            }
        }

        pub(in crate::clinical::order) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Sensitive<T>>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.map(|text| text.parse().map(Sensitive::new).map_err(D::Error::custom)).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it() {
        let number = OrderNumber::from_random(*b"\x00\x10\x83\x10\x51\x87\x20\x92");
        let text = number.to_string();
        assert_eq!(text.len(), OrderNumber::CHARS);
        for typed in [text.clone(), text.to_lowercase(), number.grouped(), format!(" {} ", number.grouped())]
        {
            assert_eq!(typed.parse(), Ok(number), "{typed}");
        }
        let look_alikes = text.replace('0', "O").replace('1', "l");
        assert_eq!(look_alikes.parse(), Ok(number));
        for wrong in ["", "7F3A", "U234567890123", "~~~~~~~~~~~~~", "12345678901234567890"] {
            assert_eq!(wrong.parse::<OrderNumber>(), Err(NotAnOrderNumber), "{wrong}");
        }
    }

    #[test]
    fn an_order_survives_the_store() {
        let order = Order {
            number: OrderNumber::from_random([7; 8]),
            clinic: "test".to_owned(),
            patient: OrderPatient {
                cliniko_id: "1203948571203948576".parse().unwrap(),
                family: "Quillfeather".to_owned().into(),
                given: vec!["Odalys".to_owned().into()],
                birth_date: Some(Sensitive::new("1984-02-29".parse().unwrap())),
                sex: Some(Sex::Female),
                postcode: None,
                nhs_number: None,
            },
            tests: vec![OrderedTest { code: Some("FBC".to_owned()), name: "Full blood count".to_owned() }],
            ordered_at: "2026-11-20T09:30:00Z".parse().unwrap(),
            ordered_by: "u1".to_owned(),
            state: OrderState::Open,
            reports: Vec::new(),
        };
        let text = serde_json::to_string(&order).unwrap();
        assert!(text.contains(r#""ordered_at":"2026-11-20T09:30:00Z""#), "{text}");
        assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
        for secret in ["Quillfeather", "1984"] {
            assert!(!format!("{order:?}").contains(secret), "{secret}");
        }
    }

    proptest! {
        #[test]
        fn one_wrong_character_or_two_exchanged_are_always_noticed(bytes: [u8; 8], at in 0..13_usize, to in 0..32_usize) {
            let number = OrderNumber::from_random(bytes);
            let text = number.to_string();
            prop_assert_eq!(text.parse(), Ok(number));

            let mut changed = text.clone().into_bytes();
            changed[at] = OrderNumber::ALPHABET[to];
            if changed != text.as_bytes() {
                prop_assert!(String::from_utf8(changed).unwrap().parse::<OrderNumber>().is_err());
            }
            let mut exchanged = text.clone().into_bytes();
            exchanged.swap(at, (at + 1).min(12));
            if exchanged != text.as_bytes() {
                prop_assert!(String::from_utf8(exchanged).unwrap().parse::<OrderNumber>().is_err());
            }
        }
    }
}
