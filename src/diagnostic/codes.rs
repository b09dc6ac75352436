//! The one list of diagnostic codes, read from the data files beside this one.
//!
//! `gateway explain`, `docs/errors/` and the API's problem pages are all made from it.

use std::sync::LazyLock;

use serde::Deserialize;

/// What a code means, told once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    pub code: String,
    /// A short name, such as "Unit without a UCUM mapping".
    pub title: String,
    /// What happened, in a sentence or two.
    pub meaning: String,
    /// What the gateway does about it, and why.
    pub action: String,
    /// What a person does about it; commands and lines to paste stand in backquotes.
    pub remedy: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    diagnostic: Vec<Explanation>,
}

/// The files, each with the letters of the areas in it.
const FILES: [(&str, &str); 14] = [
    ("C", include_str!("codes/configuration.toml")),
    ("HM", include_str!("codes/intake.toml")),
    ("H", include_str!("codes/hl7v2.toml")),
    ("F", include_str!("codes/fhir.toml")),
    ("F", include_str!("codes/fhir_door.toml")),
    ("M", include_str!("codes/mapping.toml")),
    ("M", include_str!("codes/mapping_author.toml")),
    ("M", include_str!("codes/mapping_diff.toml")),
    ("T", include_str!("codes/terms.toml")),
    ("P", include_str!("codes/patient.toml")),
    ("I", include_str!("codes/interpretation.toml")),
    ("W", include_str!("codes/workflow.toml")),
    ("D", include_str!("codes/delivery.toml")),
    ("S", include_str!("codes/security.toml")),
];

static ALL: LazyLock<Vec<Explanation>> = LazyLock::new(|| {
    FILES
        .iter()
        .flat_map(|(_, text)| {
            toml::from_str::<File>(text).expect("a test parses every embedded file of codes").diagnostic
        })
        .collect()
});

/// All codes, by area.
pub fn all() -> &'static [Explanation] {
    &ALL
}

/// What `code` means; case does not matter.
pub fn find(code: &str) -> Option<&'static Explanation> {
    ALL.iter().find(|explanation| explanation.code.eq_ignore_ascii_case(code))
}

impl Explanation {
    /// The page of this code for `docs/errors/` and for people.
    pub fn page(&self) -> String {
        format!(
            "# {}: {}\n\n{}\n\n## What the gateway does\n\n{}\n\n## How to fix it\n\n{}\n",
            self.code, self.title, self.meaning, self.action, self.remedy
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::FILES;
    use super::File;
    use super::all;

    #[test]
    fn every_file_parses_and_holds_its_own_letters_only() {
        for (letters, text) in FILES {
            let file: File = toml::from_str(text).unwrap_or_else(|error| panic!("{letters}: {error}"));
            for it in file.diagnostic {
                assert!(letters.contains(&it.code[..1]), "{} stands in the file of {letters}", it.code);
                assert!(
                    it.code.len() == 4 && it.code[1..].bytes().all(|b| b.is_ascii_digit()),
                    "{}",
                    it.code
                );
                for text in [&it.title, &it.meaning, &it.action, &it.remedy] {
                    assert!(!text.trim().is_empty(), "{} leaves something unsaid", it.code);
                }
            }
        }
    }

    #[test]
    fn no_code_is_explained_twice() {
        let codes: BTreeSet<_> = all().iter().map(|it| &it.code).collect();
        assert_eq!(codes.len(), all().len());
    }
}
