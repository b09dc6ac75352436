//! Where a value lies against the laboratory's own range: a position for words, and a bar in per mille for the eye.
//!
//! All arithmetic is decimal, and what a comparator leaves open stays open. Nothing is drawn without a numeric range.

use rust_decimal::Decimal;
use serde::Serialize;

use crate::clinical::model::Comparator;
use crate::clinical::model::LabResult;
use crate::clinical::model::Number;
use crate::clinical::model::ReferenceRange;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Value;

/// Where a value lies against its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Above,
    Below,
    Within,
}

/// A bar on a scale of 0 to 1000: the range from `from` to `to`, the value at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Bar {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) at: u32,
    pub(crate) marker: Marker,
}

/// How the value is drawn. A pointer says that the value lies beyond where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Marker {
    Exact,
    Higher,
    Lower,
}

const SCALE: u32 = 1000;

/// Where the result lies; `None` where that cannot be said.
pub(crate) fn position(result: &LabResult) -> Option<Position> {
    let (value, comparator, range) = comparable(result)?;
    let (low, high) = (bound(range.low.as_ref()), bound(range.high.as_ref()));
    let below = |low: Decimal| if range.low_exclusive { value <= low } else { value < low };
    let above = |high: Decimal| if range.high_exclusive { value >= high } else { value > high };
    match comparator {
        None => Some(match (low, high) {
            (Some(low), _) if below(low) => Position::Below,
            (_, Some(high)) if above(high) => Position::Above,
            _ => Position::Within,
        }),
        // The true value is anywhere under `value`: settled if all of that lies on one side.
        Some(Comparator::Less | Comparator::LessOrEqual) => {
            let strict = comparator == Some(Comparator::Less);
            match (low, high) {
                (Some(low), _) if below(low) || (strict && value == low) => Some(Position::Below),
                (None, Some(high)) if !above(high) || (strict && value == high) => Some(Position::Within),
                _ => None,
            }
        }
        Some(Comparator::Greater | Comparator::GreaterOrEqual) => {
            let strict = comparator == Some(Comparator::Greater);
            match (low, high) {
                (_, Some(high)) if above(high) || (strict && value == high) => Some(Position::Above),
                (Some(low), None) if !below(low) || (strict && value == low) => Some(Position::Within),
                _ => None,
            }
        }
    }
}

/// Whether a value outside a two-sided range is out by at most a tenth of the range's width.
pub(crate) fn is_near(result: &LabResult) -> bool {
    let near = || {
        let (value, comparator, range) = comparable(result)?;
        let (low, high) = (bound(range.low.as_ref())?, bound(range.high.as_ref())?);
        let out_by = if value < low { low.checked_sub(value)? } else { value.checked_sub(high)? };
        let tenfold = out_by.checked_mul(Decimal::TEN)?;
        Some(comparator.is_none() && tenfold <= high.checked_sub(low)?)
    };
    near().unwrap_or(false)
}

/// The bar; `None` without a range that has a scale.
pub(crate) fn bar(result: &LabResult) -> Option<Bar> {
    let (value, comparator, range) = comparable(result)?;
    // A two-sided range takes the middle half of the scale; a one-sided one two thirds of a scale that begins at zero.
    let (from, to, at) = match (bound(range.low.as_ref()), bound(range.high.as_ref())) {
        (Some(low), Some(high)) if low < high => {
            let share = value.checked_sub(low)?.checked_div(high.checked_sub(low)?)?;
            (250, 750, along(share, 500, 250)?)
        }
        (None, Some(high)) if high > Decimal::ZERO => (0, 667, along(value.checked_div(high)?, 667, 0)?),
        (Some(low), None) if low > Decimal::ZERO => (333, SCALE, along(value.checked_div(low)?, 333, 0)?),
        _ => return None,
    };
    let marker = match comparator {
        Some(Comparator::Less | Comparator::LessOrEqual) => Marker::Lower,
        Some(Comparator::Greater | Comparator::GreaterOrEqual) => Marker::Higher,
        None if at < 0 => Marker::Lower,
        None if at > i64::from(SCALE) => Marker::Higher,
        None => Marker::Exact,
    };
    let at = u32::try_from(at.clamp(0, i64::from(SCALE))).ok()?;
    Some(Bar { from, to, at, marker })
}

/// The value and range of a result that may be compared: interpreted, reported, numeric.
fn comparable(result: &LabResult) -> Option<(Decimal, Option<Comparator>, &ReferenceRange)> {
    let void = matches!(
        result.status,
        ResultStatus::Cancelled | ResultStatus::EnteredInError | ResultStatus::Registered
    );
    let range = result.range.as_ref().filter(|range| range.low.is_some() || range.high.is_some())?;
    let Value::Quantity { comparator, number, .. } = &result.value else { return None };
    // A bound too long for arithmetic is as good as no range: it must not look one-sided.
    let exact = [&range.low, &range.high].into_iter().flatten().all(|bound| bound.decimal().is_some());
    if void || result.not_interpreted || !exact {
        return None;
    }
    Some((number.decimal()?, *comparator, range))
}

fn bound(number: Option<&Number>) -> Option<Decimal> {
    number?.decimal()
}

/// `start + share × length`, cut off far outside the scale so that it always fits.
fn along(share: Decimal, length: i64, start: i64) -> Option<i64> {
    let share = share.clamp(Decimal::from(-10), Decimal::TEN);
    i64::try_from(share.checked_mul(length.into())?.checked_add(start.into())?.round()).ok()
}

#[cfg(test)]
mod tests {
    use super::Bar;
    use super::Marker;
    use super::Position;
    use super::bar;
    use super::is_near;
    use super::position;
    use crate::clinical::model::Code;
    use crate::clinical::model::Comparator;
    use crate::clinical::model::LabResult;
    use crate::clinical::model::Number;
    use crate::clinical::model::ReferenceRange;
    use crate::clinical::model::ResultId;
    use crate::clinical::model::ResultStatus;
    use crate::clinical::model::Value;

    fn result(sent: &str, range: &str) -> LabResult {
        let (comparator, digits) =
            Comparator::split(sent).map_or((None, sent), |(comparator, rest)| (Some(comparator), rest));
        LabResult {
            id: ResultId("OBX[1]".into()),
            code: Code::default(),
            sub_id: None,
            value: Value::Quantity { sent: sent.into(), comparator, number: Number::parse(digits).unwrap() },
            unit: None,
            range: Some(ReferenceRange::parse(range)),
            flags: vec![],
            status: ResultStatus::Final,
            detail: None,
            notes: vec![],
            observed_at: None,
            analysed_at: None,
            methods: vec![],
            performing_lab: None,
            specimen: None,
            not_interpreted: false,
            extra: vec![],
        }
    }

    #[test]
    fn a_value_on_a_bound_is_within_unless_the_bound_is_excluded() {
        for (value, range, expected) in [
            ("3.5", "3.5-5.3", Some(Position::Within)),
            ("3.49", "3.5-5.3", Some(Position::Below)),
            ("5.3", "3.5-5.3", Some(Position::Within)),
            ("5.31", "3.5-5.3", Some(Position::Above)),
            ("48", "<48", Some(Position::Above)),
            ("48", "<=48", Some(Position::Within)),
            ("60", ">60", Some(Position::Below)),
            ("60", ">=60", Some(Position::Within)),
            ("5", "see comment", None),
        ] {
            assert_eq!(position(&result(value, range)), expected, "{value} in {range}");
        }
    }

    #[test]
    fn a_comparator_settles_only_what_it_settles() {
        for (value, range, expected) in [
            ("<0.01", "0.27-4.20", Some(Position::Below)),
            ("<0.27", "0.27-4.20", Some(Position::Below)),
            ("<=0.27", "0.27-4.20", None),
            ("<1", "0.27-4.20", None),
            ("<48", "<48", Some(Position::Within)),
            ("<50", "<48", None),
            (">90", ">=60", Some(Position::Within)),
            (">90", "60-100", None),
            (">100", "60-100", Some(Position::Above)),
        ] {
            assert_eq!(position(&result(value, range)), expected, "{value} in {range}");
        }
    }

    #[test]
    fn bars_are_per_mille_and_stay_on_their_scale() {
        let exact = |from, to, at| Some(Bar { from, to, at, marker: Marker::Exact });
        assert_eq!(bar(&result("150", "130-180")), exact(250, 750, 450));
        assert_eq!(bar(&result("24", "<48")), exact(0, 667, 334));
        assert_eq!(bar(&result("120", ">=60")), exact(333, 1000, 666));
        assert_eq!(bar(&result("900", "130-180")).unwrap().marker, Marker::Higher);
        assert_eq!(bar(&result("900", "130-180")).unwrap().at, 1000);
        assert_eq!(bar(&result("<0.01", "0.27-4.20")).unwrap().marker, Marker::Lower);
        assert_eq!(bar(&result("5", "5-5")), None);
        assert_eq!(bar(&result("5", "<0")), None);
        assert_eq!(bar(&result("5", "Not detected")), None);
    }

    #[test]
    fn near_means_a_tenth_of_the_width_and_only_with_two_bounds() {
        assert!(is_near(&result("5.48", "3.5-5.3")));
        assert!(!is_near(&result("5.49", "3.5-5.3")));
        assert!(!is_near(&result("48.1", "<48")));
    }

    #[test]
    fn what_may_not_be_interpreted_has_no_position() {
        for spoil in [
            |it: &mut LabResult| it.not_interpreted = true,
            |it: &mut LabResult| it.status = ResultStatus::Cancelled,
            |it: &mut LabResult| it.status = ResultStatus::EnteredInError,
            |it: &mut LabResult| it.range = None,
        ] {
            let mut spoilt = result("5.0", "3.5-5.3");
            spoil(&mut spoilt);
            assert_eq!((position(&spoilt), bar(&spoilt)), (None, None));
        }
    }
}
