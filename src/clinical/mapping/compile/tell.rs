//! What is told of keys, words and types that are not what they should be; every file of the language needs it.

use std::ops::Range;

use toml::de::DeTable;

use crate::clinical::mapping::compile::Compiler;
use crate::clinical::mapping::compile::MISSING_KEY;
use crate::clinical::mapping::compile::Node;
use crate::clinical::mapping::compile::UNKNOWN_KEY;
use crate::clinical::mapping::compile::UNKNOWN_WORD;
use crate::clinical::mapping::compile::WRONG_TYPE;
use crate::diagnostic::nearest;

impl Compiler<'_> {
    pub(super) fn check_keys(&mut self, table: &DeTable<'_>, known: &[&str], place: &str) {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("{place} may have: {}", known.join(", ")),
            };
            self.error(
                UNKNOWN_KEY,
                key.span(),
                format!("{place} has no key `{name}`"),
                "not known here",
                help,
            );
        }
    }

    pub(super) fn known_word(&mut self, word: &str, known: &[&str], at: Range<usize>, key: &str) -> bool {
        if known.contains(&word) {
            return true;
        }
        let help = match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`{key}` may be: {}", known.join(", ")),
        };
        self.error(UNKNOWN_WORD, at, format!("`{key}` cannot be `{word}`"), "not known here", help);
        false
    }

    pub(super) fn missing(&mut self, at: Range<usize>, key: &str, line: &str) {
        self.error(MISSING_KEY, at, format!("`{key}` is missing"), "belongs here", format!("add `{line}`"));
    }

    pub(super) fn wrong_type(&mut self, at: Range<usize>, key: &str, wanted: &str) {
        let message = format!("`{key}` should be {wanted}");
        self.error(WRONG_TYPE, at, message, "another kind of value", format!("make `{key}` {wanted}"));
    }

    pub(super) fn table<'v, 't>(&mut self, node: &'v Node<'t>, key: &str) -> Option<&'v DeTable<'t>> {
        let table = node.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(node.span(), key, "a table");
        }
        table
    }

    pub(super) fn string<'v>(&mut self, node: &'v Node<'_>, key: &str) -> Option<&'v str> {
        let text = node.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(node.span(), key, "text in quotes");
        }
        text
    }

    /// One string or a list of them, each with its place.
    pub(super) fn strings(&mut self, node: &Node<'_>, key: &str) -> Vec<(String, Range<usize>)> {
        if let Some(text) = node.get_ref().as_str() {
            return vec![(text.to_owned(), node.span())];
        }
        let Some(items) = node.get_ref().as_array().filter(|items| !items.is_empty()) else {
            self.wrong_type(node.span(), key, "text in quotes, or a list of such");
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items {
            if let Some(text) = self.string(item, key) {
                found.push((text.to_owned(), item.span()));
            }
        }
        found
    }

    pub(super) fn flag(&mut self, node: &Node<'_>, key: &str) -> Option<bool> {
        let flag = node.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(node.span(), key, "true or false");
        }
        flag
    }
}
