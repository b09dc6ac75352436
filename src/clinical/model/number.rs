//! A decimal exactly as sent: the text is the value, the [`Decimal`] is for arithmetic.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::Deserialize;
use serde::Serialize;

/// A decimal number that keeps its digits: `5.10` stays `5.10`.
///
/// Invariant: `text` is a legal JSON number without exponent. HL7 v2 (chapter 2A, NM) allows what JSON does not
/// (`+5.10`, `.5`, `5.`, `007`); [`Number::parse`] makes the least change that is legal and keeps every digit after
/// the point.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number {
    text: String,
    decimal: Option<Decimal>,
}

impl Number {
    /// Longest number accepted; no laboratory value is near it, and it bounds what a hostile sender can make us hold.
    pub const DIGITS_MAX: usize = 64;

    /// Reads an NM value. `None` where the text is not one.
    pub fn parse(sent: &str) -> Option<Self> {
        let (negative, unsigned) = match sent.as_bytes().first()? {
            b'+' => (false, sent.get(1..)?),
            b'-' => (true, sent.get(1..)?),
            _ => (false, sent),
        };
        if unsigned.len() > Self::DIGITS_MAX {
            return None;
        }
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let whole = match whole.trim_start_matches('0') {
            "" => "0",
            trimmed => trimmed,
        };
        let mut text = String::with_capacity(unsigned.len() + 2);
        if negative {
            text.push('-');
        }
        text.push_str(whole);
        if !fraction.is_empty() {
            text.push('.');
            text.push_str(fraction);
        }
        let decimal = Decimal::from_str_exact(&text).ok();
        Some(Self { text, decimal })
    }

    /// The digits, legal as a JSON number.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// This number times another, exactly; `None` where the product has more digits than can be exact.
    #[must_use]
    pub fn times(&self, factor: &Self) -> Option<Self> {
        let (one, other) = (self.decimal?, factor.decimal?);
        let product = one.checked_mul(other)?;
        // The library rounds what does not fit; a product that kept all its places was not rounded.
        (product.scale() == one.scale() + other.scale()).then(|| Self::parse(&product.to_string()))?
    }

    /// The value for arithmetic; `None` beyond 28 significant digits, where only the text is exact.
    pub const fn decimal(&self) -> Option<Decimal> {
        self.decimal
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Number {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        Self::parse(text).ok_or(NotANumber)
    }
}

impl TryFrom<String> for Number {
    type Error = NotANumber;

    fn try_from(text: String) -> Result<Self, NotANumber> {
        text.parse()
    }
}

impl From<Number> for String {
    fn from(number: Number) -> Self {
        number.text
    }
}

/// The text is not a decimal number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number")]
pub struct NotANumber;

#[cfg(test)]
mod tests {
    use super::Number;

    #[test]
    fn a_product_is_exact_or_there_is_none() {
        let times = |one: &str, other: &str| {
            let number = |text: &str| Number::parse(text).unwrap();
            number(one).times(&number(other)).map(|it| it.as_str().to_owned())
        };
        assert_eq!(times("14.5", "10").as_deref(), Some("145.0"));
        assert_eq!(times("0.10", "0.001").as_deref(), Some("0.00010"));
        assert_eq!(times("-3", "1000").as_deref(), Some("-3000"));
        assert_eq!(times("0.12345678901234567890", "0.12345678901234567890"), None);
        assert_eq!(times("12345678901234567890123456789012345", "10"), None);
    }

    #[test]
    fn digits_stay_as_sent_with_the_least_legal_change() {
        for (sent, legal) in [
            ("5.10", "5.10"),
            ("+5.10", "5.10"),
            (".5", "0.5"),
            ("5.", "5"),
            ("007", "7"),
            ("-0.50", "-0.50"),
            ("0", "0"),
            ("-.0", "-0.0"),
            ("12345678901234567890123456789012345.10", "12345678901234567890123456789012345.10"),
        ] {
            assert_eq!(Number::parse(sent).unwrap().as_str(), legal, "{sent}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_none() {
        for sent in ["", "+", "-", ".", "1e5", "5,1", "<5", "1.2.3", " 5", "٣", "NaN", "--5"] {
            assert_eq!(Number::parse(sent), None, "{sent}");
        }
    }
}
