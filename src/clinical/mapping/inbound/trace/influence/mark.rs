//! Ways to change a value to another that is as good: what comes of it must differ by the change alone.

use serde_json::Value;
use serde_json::json;

/// Values that can be marked apart at once: the years of [`Mark::Date`] stay below 9999.
pub(super) const DISTINCT_MAX: usize = 1800;

/// One way to change a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Another year, so that month and day still are a date.
    Date,
    /// The other of two.
    Other,
    /// More text behind it.
    Text,
    /// More digits behind it.
    Digits,
    /// One of the model's own words.
    Word(&'static str),
}

/// All of them, the likely first. A value takes those that a report can hold.
pub(super) const ALL: [Mark; 21] = [
    Mark::Date,
    Mark::Other,
    Mark::Text,
    Mark::Digits,
    // Each set of words of the model twice, so that one of the two is another than the value.
    Mark::Word("final"),
    Mark::Word("corrected"),
    Mark::Word("cancelled"),
    Mark::Word("partial"),
    Mark::Word("entered-in-error"),
    Mark::Word("female"),
    Mark::Word("male"),
    Mark::Word("other"),
    Mark::Word("nhs_number"),
    Mark::Word("nhs_number_invalid"),
    Mark::Word("value-stands"),
    Mark::Word("wrong-patient"),
    Mark::Word("not_performed"),
    Mark::Word("pending"),
    Mark::Word("null"),
    Mark::Word("<"),
    Mark::Word(">="),
];

impl Mark {
    /// Whether it makes another value of each, which one way then suffices for.
    pub(super) const fn is_distinct(self) -> bool {
        matches!(self, Self::Date | Self::Text | Self::Digits)
    }

    /// The changed value, and what shows it in a text; `None` where this way is not one for the value.
    pub(super) fn of(self, value: &Value, number: usize, path: &str) -> Option<(Value, String)> {
        let is_date = path.rsplit('.').next() == Some("iso");
        match (self, value) {
            (Self::Date, Value::String(text)) if is_date => {
                let rest = text.get(4..)?;
                // Of four years one is a leap year, save most centuries, for which the day before would not do.
                let marked = format!("{:04}{rest}", 2400 + 4 * (number % DISTINCT_MAX));
                let token = marked.get(..10).unwrap_or(&marked).to_owned();
                (marked != *text).then(|| (json!(marked), token))
            }
            (Self::Text, Value::String(text)) if !is_date => {
                let token = format!("Q{number}Z");
                Some((json!(format!("{text}{token}")), token))
            }
            (Self::Digits, Value::String(text)) if !is_date && text.bytes().any(|it| it.is_ascii_digit()) => {
                let point = if text.contains('.') { "" } else { "." };
                let token = format!("{number:05}7");
                Some((json!(format!("{text}{point}{token}")), token))
            }
            (Self::Other, Value::Bool(is_so)) => Some((json!(!is_so), String::new())),
            (Self::Other, Value::Number(place)) => {
                let other = u8::from(place.as_u64() == Some(0));
                Some((json!(other), String::new()))
            }
            (Self::Word(word), Value::String(text)) if !is_date && text != word => {
                Some((json!(word), word.to_owned()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ALL;
    use super::Mark;
    use crate::clinical::model::AbsentReason;
    use crate::clinical::model::Comparator;
    use crate::clinical::model::IdentifierKind;
    use crate::clinical::model::Number;
    use crate::clinical::model::ReportStatus;
    use crate::clinical::model::ResultStatus;
    use crate::clinical::model::Sex;

    /// Whether at least two marks make another value of the type, so that every value of it has one.
    fn has_two<T: serde::de::DeserializeOwned>(value: &serde_json::Value) -> bool {
        let marked = ALL.iter().filter_map(|mark| mark.of(value, 3, "reports[0].status"));
        marked.filter(|(value, _)| serde_json::from_value::<T>(value.clone()).is_ok()).count() >= 2
    }

    #[test]
    fn every_closed_set_of_words_has_one_that_differs() {
        let none = json!("of no set");
        assert!(has_two::<ResultStatus>(&none));
        assert!(has_two::<ReportStatus>(&none));
        assert!(has_two::<Sex>(&none));
        assert!(has_two::<IdentifierKind>(&none));
        assert!(has_two::<AbsentReason>(&none));
        assert!(has_two::<Comparator>(&none));
    }

    #[test]
    fn a_marked_number_is_a_number_and_a_marked_date_the_same_day_of_another_year() {
        for text in ["5.10", "130", "+5.10", "007"] {
            let (marked, token) = Mark::Digits.of(&json!(text), 17, "number").unwrap();
            assert!(Number::parse(marked.as_str().unwrap()).is_some());
            assert_eq!(token, "000177");
        }
        let (marked, token) = Mark::Date.of(&json!("2024-02-29T09:00:00Z"), 1, "a.iso").unwrap();
        assert_eq!((marked, token.as_str()), (json!("2404-02-29T09:00:00Z"), "2404-02-29"));
    }
}
