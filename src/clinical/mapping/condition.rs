//! What must hold for a rule to be read (`when`): a closed list of tests, all of which must hold.
//!
//! No expression language: a condition looks at one path, and asks whether something stands there or which text it is.
//! An alternative is a further rule for the same field.

use crate::clinical::mapping::plan::Path;

/// One test of one path.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) path: Path,
    pub(super) test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// Whether there must be something, or nothing.
    Exists(bool),
    Is(Vec<String>),
    /// Also where there is nothing.
    IsNot(Vec<String>),
}

impl Test {
    /// Whether it holds of the texts found, each trimmed and not empty. Where a path finds several, one that fits does;
    /// for `is_not` none may be of the list.
    pub(super) fn holds<T: AsRef<str>>(&self, mut found: impl Iterator<Item = T>) -> bool {
        let is_listed = |texts: &[String], it: T| texts.iter().any(|text| text == it.as_ref());
        match self {
            Self::Exists(wanted) => *wanted == found.next().is_some(),
            Self::Is(texts) => found.any(|it| is_listed(texts, it)),
            Self::IsNot(texts) => !found.any(|it| is_listed(texts, it)),
        }
    }
}

/// Whether no message can make all of these hold at once.
pub(super) fn contradict(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().enumerate().find_map(|(i, later)| {
        let earlier = conditions.iter().take(i).filter(|it| it.path == later.path);
        earlier.into_iter().any(|earlier| exclude(&earlier.test, &later.test)).then_some(later)
    })
}

/// Two tests of one path. Two different words may both stand in a field that repeats, so two `is` exclude nothing.
fn exclude(a: &Test, b: &Test) -> bool {
    match (a, b) {
        (Test::Exists(a), Test::Exists(b)) => a != b,
        (Test::Exists(false), Test::Is(_)) | (Test::Is(_), Test::Exists(false)) => true,
        (Test::Is(is), Test::IsNot(is_not)) | (Test::IsNot(is_not), Test::Is(is)) => {
            is.iter().all(|it| is_not.contains(it))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::Test;
    use super::exclude;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn a_test_holds_of_what_is_there_and_of_nothing() {
        for (test, found, holds) in [
            (Test::Exists(true), &["NM"][..], true),
            (Test::Exists(true), &[], false),
            (Test::Exists(false), &[], true),
            (Test::Is(words(&["NM", "SN"])), &["SN"], true),
            (Test::Is(words(&["NM"])), &["ST"], false),
            (Test::Is(words(&["NM"])), &[], false),
            (Test::IsNot(words(&["NM"])), &["ST"], true),
            (Test::IsNot(words(&["NM"])), &["ST", "NM"], false),
            (Test::IsNot(words(&["NM"])), &[], true),
        ] {
            assert_eq!(test.holds(found.iter()), holds, "{test:?} {found:?}");
        }
    }

    #[test]
    fn only_what_can_never_hold_is_a_contradiction() {
        let is = |it: &[&str]| Test::Is(words(it));
        let is_not = |it: &[&str]| Test::IsNot(words(it));
        assert!(exclude(&Test::Exists(false), &is(&["NM"])));
        assert!(exclude(&is(&["NM"]), &is_not(&["NM", "SN"])));
        assert!(!exclude(&is(&["NM", "SN"]), &is_not(&["NM"])));
        assert!(!exclude(&is(&["NM"]), &is(&["SN"])), "a field may repeat");
        assert!(!exclude(&Test::Exists(true), &is_not(&["NM"])));
    }
}
