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
        unit: unit.and_then(|unit| fhir::text::string(&unit.sent)),
        system: code.is_some().then_some(System::UCUM.into()),
        code,
    })
}
