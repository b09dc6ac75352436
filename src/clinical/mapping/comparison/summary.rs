//! Differences counted over many messages: by kind, field and test, with one example of each.

use std::collections::BTreeMap;

use crate::clinical::mapping::comparison::Difference;
use crate::clinical::mapping::comparison::Kind;
use crate::clinical::model::Sensitive;

/// Most groups that are told apart. A history has some hundred tests; a sender who puts its numbers into codes has no end.
const GROUPS_MAX: usize = 10_000;

/// What changed over all messages compared.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub messages: usize,
    /// Messages of which anything is read otherwise.
    pub differing: usize,
    /// Messages of which a clinician would see something else.
    pub clinically: usize,
    /// Differences that found no place among the groups.
    pub beyond: usize,
    groups: BTreeMap<Key, Group>,
}

/// What is counted together. Ordered as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: Kind,
    field: &'static str,
    test: Option<String>,
    /// Of a message as a whole: what it was and what it is.
    step: Option<(String, String)>,
}

/// Differences of one kind, in one field, of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub kind: Kind,
    pub field: &'static str,
    pub test: Option<String>,
    pub count: usize,
    pub example: Example,
}

/// The first difference of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Which message, as whoever compares names it.
    pub message: String,
    pub at: String,
    pub old: Option<Sensitive<String>>,
    pub new: Option<Sensitive<String>>,
    pub is_private: bool,
}

impl Summary {
    /// Counts what one message, named `message`, is read otherwise.
    pub fn add(&mut self, differences: Vec<Difference>, message: impl Fn() -> String) {
        self.messages += 1;
        self.differing += usize::from(!differences.is_empty());
        self.clinically += usize::from(differences.iter().any(|it| it.kind.is_clinical()));
        for Difference { kind, field, at, test, old, new, is_private } in differences {
            let text = |side: &Option<Sensitive<String>>| {
                side.as_ref().map_or(String::new(), |it| it.expose().clone())
            };
            let step = matches!(kind, Kind::Reason | Kind::Standing).then(|| (text(&old), text(&new)));
            let key = Key { kind, field, test, step };
            if let Some(group) = self.groups.get_mut(&key) {
                group.count += 1;
            } else if self.groups.len() == GROUPS_MAX {
                self.beyond += 1;
            } else {
                let example = Example { message: message(), at, old, new, is_private };
                let group = Group { kind, field, test: key.test.clone(), count: 1, example };
                self.groups.insert(key, group);
            }
        }
    }

    /// Whether a clinician would see anything else.
    pub const fn is_clinical(&self) -> bool {
        self.clinically > 0
    }

    /// By kind, and the most frequent first.
    pub fn groups(&self) -> Vec<&Group> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups.sort_by_key(|it| (it.kind, std::cmp::Reverse(it.count)));
        groups
    }
}
