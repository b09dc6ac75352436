//! Values and ranges: the digits and words as sent, in the FHIR type that has room for them.

use crate::clinical::fhir::concept;
use crate::clinical::fhir::date_time;
use crate::clinical::model::AbsentReason;
use crate::clinical::model::Comparator;
use crate::clinical::model::Number;
use crate::clinical::model::ReferenceRange;
use crate::clinical::model::System;
use crate::clinical::model::Unit;
use crate::clinical::model::Value;
use crate::formats::fhir;
use crate::formats::fhir::ObservationValue;

/// The value, or the reason why there is none: never both (`obs-6`), never neither.
pub(super) fn value<'a>(
    value: &'a Value,
    unit: Option<&'a Unit>,
) -> Result<ObservationValue<'a>, fhir::CodeableConcept<'a>> {
    let text = |text: &'a str| fhir::text::string(text).map(ObservationValue::String);
    let found = match value {
        Value::Absent { reason } => return Err(concept::absent(*reason)),
        Value::Attachment { .. } => return Err(concept::in_document()),
        Value::Coded { code } => concept::concept(code).map(ObservationValue::CodeableConcept),
        Value::Moment { moment } => date_time(moment).map(ObservationValue::DateTime),
        Value::Quantity { sent, comparator, number } => match quantity(number, *comparator, unit) {
            Some(quantity) => Some(ObservationValue::Quantity(quantity)),
            None => text(sent),
        },
        Value::Range { sent, low, high } => match range(Some(low), Some(high), unit) {
            Some(range) => Some(ObservationValue::Range(range)),
            None => text(sent),
        },
        Value::Ratio { sent, comparator, numerator, denominator } => {
            match (quantity(numerator, *comparator, unit), quantity(denominator, None, unit)) {
                (Some(numerator), Some(denominator)) => {
                    Some(ObservationValue::Ratio(fhir::Ratio { numerator, denominator }))
                }
                _ => text(sent),
            }
        }
        Value::Text { text: words } => text(words),
    };
    found.ok_or_else(|| concept::absent(AbsentReason::Unknown))
}

/// The range as sent, with its bounds where it has some.
///
/// A bound that lies outside (`<48`) is a bound all the same: R4 has no comparator there, and the text tells.
pub(super) fn reference_range<'a>(
    sent: &'a ReferenceRange,
    unit: Option<&'a Unit>,
) -> Option<fhir::ReferenceRange<'a>> {
    let fhir::Range { low, high } = range(sent.low.as_ref(), sent.high.as_ref(), unit).unwrap_or_default();
    let text = fhir::text::string(&sent.sent);
    (low.is_some() || high.is_some() || text.is_some()).then_some(fhir::ReferenceRange { low, high, text })
}

/// `None` where the bounds stand the wrong way round (`rng-2`), or are too long to tell.
fn range<'a>(
    low: Option<&'a Number>,
    high: Option<&'a Number>,
    unit: Option<&'a Unit>,
) -> Option<fhir::Range<'a>> {
    if let (Some(low), Some(high)) = (low, high)
        && low.decimal()? > high.decimal()?
    {
        return None;
    }
    let bound = |number: Option<&'a Number>| quantity(number?, None, unit);
    Some(fhir::Range { low: bound(low), high: bound(high) })
}

fn quantity<'a>(
    number: &'a Number,
    comparator: Option<Comparator>,
    unit: Option<&'a Unit>,
) -> Option<fhir::Quantity<'a>> {
    let code = unit.and_then(|unit| fhir::text::code(unit.ucum.as_deref()?));
    Some(fhir::Quantity {
        value: Some(fhir::Decimal::new(number.as_str())?),
        comparator: comparator.map(|comparator| comparator.as_str().into()),
        // A number that was brought into the UCUM unit is no longer in the unit as sent.
        unit: unit.and_then(|unit| {
            let scaled = unit.factor.as_ref().and(unit.ucum.as_ref());
            fhir::text::string(scaled.unwrap_or(&unit.sent))
        }),
        system: code.is_some().then_some(System::UCUM.into()),
        code,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::reference_range;
    use super::value;
    use crate::clinical::model::ReferenceRange;
    use crate::clinical::model::Unit;
    use crate::clinical::model::Value;

    /// The JSON of a value, or of the reason why there is none.
    fn written(sent: serde_json::Value, unit: Option<&Unit>) -> String {
        let sent: Value = serde_json::from_value(sent).unwrap();
        match value(&sent, unit) {
            Ok(value) => serde_json::to_string(&value).unwrap(),
            Err(reason) => serde_json::to_string(&reason).unwrap(),
        }
    }

    #[test]
    fn a_number_in_another_unit_than_was_sent_is_never_given_that_units_name() {
        let unit = Unit {
            sent: "g/dL".into(),
            ucum: Some("g/L".into()),
            factor: crate::clinical::model::Number::parse("10"),
        };
        let sent = json!({"kind": "quantity", "sent": "14.5", "number": "145.0"});
        let found = written(sent, Some(&unit));
        assert!(found.contains("145.0") && found.contains("g/L") && !found.contains("g/dL"), "{found}");
    }

    fn unit() -> Unit {
        Unit { sent: "x10^9/L".into(), ucum: Some("10*9/L".into()), factor: None }
    }

    const UNIT: &str = r#""unit":"x10^9/L","system":"http://unitsofmeasure.org","code":"10*9/L""#;

    #[test]
    fn a_quantity_keeps_digits_comparator_and_both_units() {
        let sent = json!({"kind": "quantity", "sent": "<+5.10", "comparator": "<", "number": "+5.10"});
        let expected = format!(r#"{{"valueQuantity":{{"value":5.10,"comparator":"<",{UNIT}}}}}"#);
        assert_eq!(written(sent, Some(&unit())), expected);
    }

    #[test]
    fn a_unit_without_ucum_has_no_code_and_no_system() {
        let sent = json!({"kind": "quantity", "sent": "7.0", "number": "7.0"});
        let unknown = Unit { sent: "blobs ".into(), ucum: None, factor: None };
        assert_eq!(
            written(sent.clone(), Some(&unknown)),
            r#"{"valueQuantity":{"value":7.0,"unit":"blobs"}}"#
        );
        assert_eq!(written(sent, None), r#"{"valueQuantity":{"value":7.0}}"#);
    }

    #[test]
    fn two_numbers_are_a_range_or_a_ratio() {
        let range = json!({"kind": "range", "sent": "^5^-^10.0", "low": "5", "high": "10.0"});
        let expected =
            format!(r#"{{"valueRange":{{"low":{{"value":5,{UNIT}}},"high":{{"value":10.0,{UNIT}}}}}}}"#);
        assert_eq!(written(range, Some(&unit())), expected);
        let ratio = json!({"kind": "ratio", "sent": ">1:128", "comparator": ">", "numerator": "1", "denominator": "128"});
        assert_eq!(
            written(ratio, None),
            r#"{"valueRatio":{"numerator":{"value":1,"comparator":">"},"denominator":{"value":128}}}"#
        );
    }

    #[test]
    fn a_range_that_fhir_forbids_stays_text() {
        let range = json!({"kind": "range", "sent": "10-5", "low": "10", "high": "5"});
        assert_eq!(written(range, Some(&unit())), r#"{"valueString":"10-5"}"#);
    }

    #[test]
    fn words_codes_and_times_have_their_own_types() {
        for (sent, expected) in [
            (
                json!({"kind": "text", "text": " Scanty growth\nSee note "}),
                r#"{"valueString":"Scanty growth\nSee note"}"#,
            ),
            (
                json!({"kind": "coded", "code": {"codings": [{"code": "POS"}], "text": "Positive"}}),
                r#"{"valueCodeableConcept":{"coding":[{"code":"POS"}],"text":"Positive"}}"#,
            ),
            (
                json!({"kind": "moment", "moment": {"sent": "202611", "iso": "2026-11"}}),
                r#"{"valueDateTime":"2026-11"}"#,
            ),
        ] {
            assert_eq!(written(sent, None), expected);
        }
    }

    #[test]
    fn what_has_no_value_says_why() {
        for (sent, code) in [
            (json!({"kind": "absent", "reason": "not_performed"}), "not-performed"),
            (json!({"kind": "absent", "reason": "pending"}), "temp-unknown"),
            (json!({"kind": "absent", "reason": "null"}), "unknown"),
            (json!({"kind": "absent", "reason": "unknown"}), "unknown"),
            (json!({"kind": "attachment", "index": 0}), "unsupported"),
            (json!({"kind": "text", "text": " \n"}), "unknown"),
            (json!({"kind": "coded", "code": {}}), "unknown"),
        ] {
            let reason = written(sent, None);
            let expected = format!(
                r#"{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"{code}","#
            );
            assert!(reason.starts_with(&expected), "{reason}");
        }
    }

    #[test]
    fn a_reference_range_keeps_its_text_and_has_the_bounds_fhir_can_say() {
        for (sent, expected) in [
            (
                "4.0 - 11.0",
                format!(
                    r#"{{"low":{{"value":4.0,{UNIT}}},"high":{{"value":11.0,{UNIT}}},"text":"4.0 - 11.0"}}"#
                ),
            ),
            ("<48", format!(r#"{{"high":{{"value":48,{UNIT}}},"text":"<48"}}"#)),
            ("11-4", r#"{"text":"11-4"}"#.to_owned()),
            ("Not detected", r#"{"text":"Not detected"}"#.to_owned()),
        ] {
            let range = ReferenceRange::parse(sent);
            let unit = unit();
            let written = reference_range(&range, Some(&unit)).unwrap();
            assert_eq!(serde_json::to_string(&written).unwrap(), expected);
        }
        assert!(reference_range(&ReferenceRange::parse(" "), None).is_none());
    }
}
