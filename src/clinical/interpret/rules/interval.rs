//! What is known of a number: exactly, or only on one side of a bound. `<0.1` takes part only in comparisons it settles.

use rust_decimal::Decimal;

use crate::clinical::model::Comparator;
use crate::clinical::model::Value;

/// Three-valued truth: an absent input makes a condition unknown, not false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    False,
    True,
    Unknown,
}

impl From<bool> for Truth {
    fn from(known: bool) -> Self {
        if known { Self::True } else { Self::False }
    }
}

impl Truth {
    pub(super) fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            Self::Unknown => Self::Unknown,
        }
    }

    pub(super) fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        truths.into_iter().fold(Self::True, |so_far, next| match (so_far, next) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::True,
        })
    }

    pub(super) fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        Self::all(truths.into_iter().map(Self::not)).not()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// One end; `open` excludes the number itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    at: Decimal,
    open: bool,
}

/// All the numbers a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    low: Option<End>,
    high: Option<End>,
}

impl Interval {
    pub(super) fn exactly(at: Decimal) -> Self {
        let end = Some(End { at, open: false });
        Self { low: end, high: end }
    }

    /// The numbers a laboratory value may be; `None` where it is no number.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Quantity { comparator, number, .. } => {
                let at = number.decimal()?;
                let end = |open| Some(End { at, open });
                Some(match comparator {
                    None => Self::exactly(at),
                    Some(Comparator::Less) => Self { low: None, high: end(true) },
                    Some(Comparator::LessOrEqual) => Self { low: None, high: end(false) },
                    Some(Comparator::Greater) => Self { low: end(true), high: None },
                    Some(Comparator::GreaterOrEqual) => Self { low: end(false), high: None },
                })
            }
            Value::Range { low, high, .. } => {
                let end = |at| Some(End { at, open: false });
                let (low, high) = (low.decimal()?, high.decimal()?);
                (low <= high).then(|| Self { low: end(low), high: end(high) })
            }
            _ => None,
        }
    }

    pub(super) fn scaled(self, factor: Decimal) -> Option<Self> {
        let scale = |end: Option<End>| match end {
            None => Some(None),
            Some(End { at, open }) => at.checked_mul(factor).map(|at| Some(End { at, open })),
        };
        Some(Self { low: scale(self.low)?, high: scale(self.high)? })
    }

    /// The number, where there is only one it may be.
    pub(super) fn exact(self) -> Option<Decimal> {
        match (self.low, self.high) {
            (Some(low), Some(high)) if low == high && !low.open => Some(low.at),
            _ => None,
        }
    }

    /// What is certain when either of two results may be the true one.
    pub(super) fn or(self, other: Self) -> Self {
        let lower = |a: End, b: End| if (b.at, b.open) < (a.at, a.open) { b } else { a };
        let higher = |a: End, b: End| if (b.at, !b.open) > (a.at, !a.open) { b } else { a };
        Self {
            low: self.low.zip(other.low).map(|(a, b)| lower(a, b)),
            high: self.high.zip(other.high).map(|(a, b)| higher(a, b)),
        }
    }

    pub(super) fn compare(self, relation: Relation, other: Self) -> Truth {
        let settle = |yes: bool, no: bool| match (yes, no) {
            (true, _) => Truth::True,
            (_, true) => Truth::False,
            _ => Truth::Unknown,
        };
        match relation {
            Relation::Less => settle(self.is_below(other), other.is_at_most(self)),
            Relation::LessOrEqual => settle(self.is_at_most(other), other.is_below(self)),
            Relation::Greater => other.compare(Relation::Less, self),
            Relation::GreaterOrEqual => other.compare(Relation::LessOrEqual, self),
            Relation::Equal => {
                let same = self.exact().is_some() && self.exact() == other.exact();
                settle(same, self.is_below(other) || other.is_below(self))
            }
        }
    }

    fn is_below(self, other: Self) -> bool {
        matches!((self.high, other.low), (Some(a), Some(b)) if a.at < b.at || (a.at == b.at && (a.open || b.open)))
    }

    fn is_at_most(self, other: Self) -> bool {
        matches!((self.high, other.low), (Some(a), Some(b)) if a.at <= b.at)
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::Interval;
    use super::Relation;
    use super::Truth;
    use crate::clinical::model::Comparator;
    use crate::clinical::model::Number;
    use crate::clinical::model::Value;

    fn interval(sent: &str) -> Interval {
        let (comparator, number) =
            Comparator::split(sent).map_or((None, sent), |(it, rest)| (Some(it), rest));
        let number = Number::parse(number).unwrap();
        Interval::of(&Value::Quantity { sent: sent.into(), comparator, number }).unwrap()
    }

    #[test]
    fn a_censored_value_settles_only_what_its_bound_settles() {
        use Truth::{False, True, Unknown};
        for (value, relation, limit, expected) in [
            ("<0.1", Relation::Less, 1, True),
            ("<5", Relation::Less, 5, True),
            ("<=5", Relation::Less, 5, Unknown),
            ("<=5", Relation::LessOrEqual, 5, True),
            ("<5", Relation::Less, 4, Unknown),
            ("<5", Relation::GreaterOrEqual, 5, False),
            ("<5", Relation::Greater, 3, Unknown),
            (">90", Relation::Less, 60, False),
            (">90", Relation::Greater, 90, True),
            (">=90", Relation::Greater, 90, Unknown),
            (">90", Relation::Less, 95, Unknown),
            ("5", Relation::Equal, 5, True),
            ("5.0", Relation::Equal, 5, True),
            (">5", Relation::Equal, 5, False),
            (">=5", Relation::Equal, 5, Unknown),
        ] {
            let truth = interval(value).compare(relation, Interval::exactly(Decimal::from(limit)));
            assert_eq!(truth, expected, "{value} {relation:?} {limit}");
        }
    }

    #[test]
    fn two_results_settle_what_both_settle() {
        let both = interval("5.8").or(interval("6.1"));
        let over =
            |limit: &str| both.compare(Relation::GreaterOrEqual, Interval::exactly(limit.parse().unwrap()));
        assert_eq!((over("5.5"), over("6.0"), over("6.2")), (Truth::True, Truth::Unknown, Truth::False));
    }
}
