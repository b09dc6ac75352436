//! `application/problem+json` (RFC 9457): the shape of every refusal of the HTTP faces.
//!
//! It carries our diagnostic code beside the standard's members, and never patient data: `detail` follows the rules of
//! [`crate::diagnostic`].

use serde::Deserialize;
use serde::Serialize;

use crate::diagnostic::Diagnostic;

/// The media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// One refusal, as the caller reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI reference that names the kind of problem: the page of the code, else `about:blank` (RFC 9457 §4.2.1).
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Our stable code, such as `W002`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Where in what was sent, such as `OBX[3]-6.1`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub position: String,
    /// How to fix it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// Every diagnostic, where there is more than the one the other members speak of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}

impl Problem {
    /// A problem that needs no more than its status and title.
    pub fn new(status: u16, title: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".to_owned(),
            title: title.into(),
            status,
            detail: String::new(),
            code: None,
            position: String::new(),
            help: String::new(),
            diagnostics: Vec::new(),
        }
    }

    /// The problem one diagnostic speaks of; its `type` is the code's page in `docs/errors/`.
    pub fn of(status: u16, title: impl Into<String>, diagnostic: &Diagnostic) -> Self {
        Self {
            kind: format!("/docs/errors/{}", diagnostic.code),
            detail: diagnostic.message.clone(),
            code: Some(diagnostic.code.to_string()),
            position: diagnostic.position.clone(),
            help: diagnostic.help.clone(),
            ..Self::new(status, title)
        }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    #[must_use]
    pub fn with(mut self, diagnostics: Vec<Diagnostic>) -> Self {
        self.diagnostics = diagnostics;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::Problem;
    use crate::diagnostic::Code;
    use crate::diagnostic::Diagnostic;

    #[test]
    fn a_problem_has_the_members_of_the_standard_and_our_code() {
        let why = Diagnostic::error(Code::new("W002"), "a case in state `filed` cannot be approved")
            .help("open it");
        let json = serde_json::to_value(Problem::of(409, "Conflict", &why)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"type": "/docs/errors/W002", "title": "Conflict", "status": 409,
                "detail": "a case in state `filed` cannot be approved", "code": "W002", "help": "open it"})
        );
        let bare = serde_json::to_value(Problem::new(404, "Not found")).unwrap();
        assert_eq!(bare, serde_json::json!({"type": "about:blank", "title": "Not found", "status": 404}));
    }
}
