//! Coded concepts: what was sent, and what a table made of it.

use serde::Deserialize;
use serde::Serialize;

/// A code system's canonical URI, such as `http://loinc.org`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct System(pub String);

impl System {
    pub const LOINC: &'static str = "http://loinc.org";
    pub const SNOMED: &'static str = "http://snomed.info/sct";
    pub const UCUM: &'static str = "http://unitsofmeasure.org";
}

/// One coding of a concept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coding {
    /// The system as a URI; `None` where the sender named none, or one we cannot name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<System>,
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The coding system's name as sent (CWE.3, table 0396), kept also where it became a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_system: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A concept in as many codings as are known, with the text a person reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Codings from the mapping's table come first, then those sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codings: Vec<Coding>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Code {
    /// The code under `system`, if there is one.
    pub fn in_system(&self, system: &str) -> Option<&str> {
        self.codings
            .iter()
            .find(|coding| coding.system.as_ref().is_some_and(|s| s.0 == system))
            .map(|coding| coding.code.as_str())
    }

    /// What a person would call this: the text, else a display, else the bare code.
    pub fn label(&self) -> &str {
        self.text
            .as_deref()
            .or_else(|| self.codings.iter().find_map(|coding| coding.display.as_deref()))
            .or_else(|| self.codings.first().map(|coding| coding.code.as_str()))
            .unwrap_or("(no code)")
    }

    pub fn is_empty(&self) -> bool {
        self.codings.is_empty() && self.text.is_none()
    }
}
