//! The data types of FHIR R4 that our resources use (R4, 2.24).

use serde::Serialize;
use serde::Serializer;
use serde_json::value::RawValue;

use crate::formats::fhir::Text;

/// A decimal in the digits it was given: precision is part of its meaning (R4, 2.24.0.1).
#[derive(Clone, Copy)]
pub struct Decimal<'a>(&'a RawValue);

impl<'a> Decimal<'a> {
    /// `None` where the text is not a JSON number.
    pub fn new(digits: &'a str) -> Option<Self> {
        let starts_a_number = digits.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let raw = serde_json::from_str::<&RawValue>(digits).ok().filter(|_| starts_a_number)?;
        Some(Self(raw))
    }

    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl Serialize for Decimal<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[derive(Clone, Default, Serialize)]
pub struct Meta<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<Text<'a>>,
}

impl<'a> Meta<'a> {
    pub fn profile(profile: &'a str) -> Option<Self> {
        Some(Self { profile: vec![profile.into()] })
    }
}

/// An extension whose value is a concept, the only kind we write.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Extension<'a> {
    pub url: Text<'a>,
    pub value_codeable_concept: CodeableConcept<'a>,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coding<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<Text<'a>>,
}

#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct CodeableConcept<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coding: Vec<Coding<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Text<'a>>,
}

impl<'a> CodeableConcept<'a> {
    pub fn of(system: &'a str, code: &'a str, display: &'a str) -> Self {
        let coding = Coding {
            system: Some(system.into()),
            version: None,
            code: Some(code.into()),
            display: Some(display.into()),
        };
        Self { coding: vec![coding], text: None }
    }

    pub fn text(text: impl Into<Text<'a>>) -> Self {
        Self { coding: Vec::new(), text: Some(text.into()) }
    }

    #[must_use]
    pub fn with_text(mut self, text: impl Into<Text<'a>>) -> Self {
        self.text = Some(text.into());
        self
    }
}

/// `code` is given only together with `system` (`qty-3`).
#[derive(Clone, Default, Serialize)]
pub struct Quantity<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Decimal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparator: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Text<'a>>,
}

/// Two quantities without comparators; `low` is not above `high` (`rng-2`).
#[derive(Clone, Default, Serialize)]
pub struct Range<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Quantity<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Quantity<'a>>,
}

#[derive(Clone, Serialize)]
pub struct Ratio<'a> {
    pub numerator: Quantity<'a>,
    pub denominator: Quantity<'a>,
}

#[derive(Clone, Default, Serialize)]
pub struct Identifier<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extension: Vec<Extension<'a>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<CodeableConcept<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigner: Option<Reference<'a>>,
}

#[derive(Clone, Default, Serialize)]
pub struct Reference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<Text<'a>>,
}

impl<'a> Reference<'a> {
    pub fn to(target: impl Into<Text<'a>>) -> Self {
        Self { reference: Some(target.into()), display: None }
    }

    pub fn display(display: Text<'a>) -> Self {
        Self { reference: None, display: Some(display) }
    }
}

#[derive(Clone, Serialize)]
pub struct Annotation<'a> {
    pub text: Text<'a>,
}

#[derive(Clone, Default, Serialize)]
pub struct HumanName<'a> {
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub name_use: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefix: Vec<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suffix: Vec<Text<'a>>,
}

#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Address<'a> {
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub address_use: Option<Text<'a>>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub line: Vec<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Text<'a>>,
}

/// A value is given only with its system (`cpt-2`).
#[derive(Clone, Serialize)]
pub struct ContactPoint<'a> {
    pub system: Text<'a>,
    pub value: Text<'a>,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub contact_use: Option<Text<'a>>,
}

/// Data is given only with its content type (`att-1`).
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Text<'a>>,
}

#[cfg(test)]
mod tests {
    use super::Decimal;
    use super::Quantity;

    #[test]
    fn a_decimal_is_written_in_its_own_digits() {
        for digits in ["5.10", "-0.0", "100", "12345678901234567890.12345", "0.000001"] {
            let quantity = Quantity { value: Decimal::new(digits), ..Quantity::default() };
            assert_eq!(serde_json::to_string(&quantity).unwrap(), format!(r#"{{"value":{digits}}}"#));
        }
    }

    #[test]
    fn only_a_json_number_is_a_decimal() {
        for text in ["", "+5", ".5", "5.", "007", "null", "true", "\"5\"", "[5]", " 5", "NaN"] {
            assert!(Decimal::new(text).is_none(), "{text}");
        }
    }
}
