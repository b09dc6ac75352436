//! A mapping file as it is written: sections, rules, and a comment with its evidence over each guess.

use std::fmt::Write as _;

const LINE_CHARS_MAX: usize = 118;

#[derive(Debug, Clone, Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn new(lab: &str, format: &str, about: &str) -> Self {
        let mut page = Self::default();
        page.comment(about);
        page.line(&format!("schema = 1\nlab    = {}\nformat = {}", quoted(lab), quoted(format)));
        page
    }

    pub(super) fn text(&self) -> String {
        self.0.clone()
    }

    pub(super) fn line(&mut self, line: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "{line}");
    }

    /// A comment, broken where a line would be too long.
    pub(super) fn comment(&mut self, text: &str) {
        for paragraph in text.lines() {
            let indent = paragraph.len() - paragraph.trim_start().len();
            let mut line = format!("#{}", " ".repeat(indent));
            for word in paragraph.split_whitespace() {
                if line.chars().count() + word.chars().count() > LINE_CHARS_MAX {
                    self.line(&line);
                    "#".clone_into(&mut line);
                }
                line.push(' ');
                line.push_str(word);
            }
            self.line(&line);
        }
    }

    pub(super) fn guess(&mut self, evidence: &str) {
        self.comment(&format!("guess: {evidence}"));
    }

    pub(super) fn section(&mut self, name: &str) {
        self.line(&format!("\n[{name}]"));
    }

    pub(super) fn rule(&mut self, name: &str, value: &str) {
        self.line(&format!("{name} = {value}"));
    }

    pub(super) fn ignore(&mut self, path: &str, why: &str) {
        self.line(&format!("[[ignore]]\npath = {}\nwhy  = {}\n", quoted(path), quoted(why)));
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// A key as TOML writes it.
pub(super) fn key(text: &str) -> String {
    let is_bare =
        !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'));
    if is_bare { text.to_owned() } else { quoted(text) }
}

pub(super) fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|it| quoted(it)).collect();
    format!("[{}]", texts.join(", "))
}

/// `{ F = "final", C = "corrected" }`
pub(super) fn words(words: &[(String, &str)]) -> String {
    let words: Vec<String> =
        words.iter().map(|(sent, ours)| format!("{} = {}", key(sent), quoted(ours))).collect();
    format!("{{ {} }}", words.join(", "))
}
