//! What software must never say: the list is data (`forbidden.toml`), the search is here.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::clinical::interpret::rules::source::Source;
use crate::diagnostic::Diagnostic;

pub(super) const FILE: &str = "forbidden.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    /// In any text.
    anywhere: Vec<Group>,
    /// In what a patient reads.
    patient: Vec<Group>,
    /// Phrases that hold a forbidden one and are allowed, such as `if you have`.
    allowed: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    /// Why these must not be said; for readers of the file.
    #[serde(rename = "why")]
    _why: String,
    phrases: Vec<String>,
}

/// Who reads a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Clinician,
    Patient,
}

/// The forbidden phrases, as words in lower case.
#[derive(Debug, Default)]
pub struct Forbidden {
    anywhere: BTreeSet<String>,
    patient: BTreeSet<String>,
    allowed: BTreeSet<String>,
}

impl Forbidden {
    pub(super) fn read(source: &Source<'_>, problems: &mut Vec<Diagnostic>) -> Self {
        let Some(file) = source.parse::<RawFile>(problems) else { return Self::default() };
        let of = |groups: Vec<Group>| {
            let phrases = groups.into_iter().flat_map(|group| group.phrases);
            phrases.map(|phrase| words(&phrase)).filter(|phrase| phrase.len() > 2).collect()
        };
        Self {
            anywhere: of(file.anywhere),
            patient: of(file.patient),
            allowed: file.allowed.iter().map(|phrase| words(phrase)).collect(),
        }
    }

    /// The first forbidden phrase in `text`. A phrase that ends in `*` stands for every word that begins so.
    pub fn find(&self, text: &str, audience: Audience) -> Option<&str> {
        let mut text = words(text);
        for allowed in &self.allowed {
            text = text.replace(allowed.as_str(), " | ");
        }
        let patient = self.patient.iter().filter(|_| audience == Audience::Patient);
        self.anywhere.iter().chain(patient).map(String::as_str).find(|phrase| {
            match phrase.strip_suffix("* ") {
                Some(beginning) => text.contains(beginning),
                None => text.contains(phrase),
            }
        })
    }
}

/// The words of a text, each with one space before and after it, so that a phrase is found at word borders only.
fn words(text: &str) -> String {
    let mut words = String::from(" ");
    for word in
        text.to_lowercase().split(|c: char| !c.is_alphanumeric() && c != '*').filter(|word| !word.is_empty())
    {
        words.push_str(word);
        words.push(' ');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::Audience;
    use super::Forbidden;
    use super::words;

    #[test]
    fn phrases_are_found_at_word_borders_whatever_stands_between() {
        let of = |phrases: &[&str]| phrases.iter().map(|it| words(it)).collect();
        let forbidden = Forbidden {
            anywhere: of(&["normal", "you have"]),
            patient: of(&["cancer*"]),
            allowed: of(&["if you have"]),
        };
        for (text, audience, found) in [
            ("This is NORMAL.", Audience::Clinician, true),
            ("This is abnormal.", Audience::Clinician, false),
            ("normalised ratio", Audience::Clinician, false),
            ("You\n have  this", Audience::Patient, true),
            ("If you have pain", Audience::Patient, false),
            ("suspected-cancer referral", Audience::Clinician, false),
            ("suspected-cancer referral", Audience::Patient, true),
            ("cancerous", Audience::Patient, true),
            ("", Audience::Patient, false),
        ] {
            assert_eq!(forbidden.find(text, audience).is_some(), found, "{text}");
        }
    }
}
