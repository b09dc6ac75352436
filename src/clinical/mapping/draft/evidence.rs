//! Counts of what was seen.

use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How often each of some words was seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally(BTreeMap<String, usize>);

impl Tally {
    pub(super) fn add(&mut self, word: &str, count: usize) {
        *self.0.entry(word.to_owned()).or_default() += count;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn total(&self) -> usize {
        self.0.values().sum()
    }

    pub(super) fn count(&self, word: &str) -> usize {
        self.0.get(word).copied().unwrap_or_default()
    }

    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The most frequent first; of as many, in the order of the alphabet.
    pub(super) fn most_first(&self) -> Vec<(String, usize)> {
        let mut all: Vec<_> = self.0.iter().map(|(word, count)| (word.clone(), *count)).collect();
        all.sort_by_key(|(_, count)| Reverse(*count));
        all
    }
}
