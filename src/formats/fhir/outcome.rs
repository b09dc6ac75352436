//! OperationOutcome: what FHIR answers when something is wrong, or worth saying.

use serde::Serialize;

use crate::diagnostic;
use crate::diagnostic::Diagnostic;
use crate::formats::fhir::CodeableConcept;
use crate::formats::fhir::Coding;
use crate::formats::fhir::Text;

/// The code system of our diagnostics.
pub const DIAGNOSTICS: &str = "urn:haemosync:diagnostic";

/// At least one issue (R4: `issue` is 1..*), which [`OperationOutcome::of`] sees to.
#[derive(Clone, Serialize)]
#[serde(tag = "resourceType")]
pub struct OperationOutcome<'a> {
    pub issue: Vec<Issue<'a>>,
}

impl<'a> OperationOutcome<'a> {
    pub fn of(issue: Issue<'a>) -> Self {
        Self { issue: vec![issue] }
    }

    #[must_use]
    pub fn and(mut self, issue: Issue<'a>) -> Self {
        self.issue.push(issue);
        self
    }
}

#[derive(Clone, Serialize)]
pub struct Issue<'a> {
    pub severity: Severity,
    pub code: IssueType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<CodeableConcept<'a>>,
    /// How to fix it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<Text<'a>>,
    /// FHIRPath to what is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expression: Vec<Text<'a>>,
}

impl<'a> Issue<'a> {
    /// `text` is for a person; it holds nothing of a patient.
    pub fn error(code: IssueType, text: impl Into<Text<'a>>) -> Self {
        Self::new(Severity::Error, code, text)
    }

    pub fn new(severity: Severity, code: IssueType, text: impl Into<Text<'a>>) -> Self {
        Self {
            severity,
            code,
            details: Some(CodeableConcept::text(text)),
            diagnostics: None,
            expression: Vec::new(),
        }
    }

    /// A diagnostic in FHIR's words.
    pub fn of(diagnostic: &'a Diagnostic, code: IssueType) -> Self {
        let severity = match diagnostic.severity {
            diagnostic::Severity::Info => Severity::Information,
            diagnostic::Severity::Warning => Severity::Warning,
            diagnostic::Severity::Error => Severity::Error,
        };
        let issue = Self::new(severity, code, diagnostic.message.as_str())
            .coded(DIAGNOSTICS, diagnostic.code.as_str());
        let given = |text: &'a str| Some(text).filter(|text| !text.is_empty());
        Self {
            diagnostics: given(&diagnostic.help).map(Into::into),
            expression: given(&diagnostic.position).map(Into::into).into_iter().collect(),
            ..issue
        }
    }

    /// Adds our own diagnostic code under `system`.
    #[must_use]
    pub fn coded(mut self, system: impl Into<Text<'a>>, code: impl Into<Text<'a>>) -> Self {
        let coding = Coding { system: Some(system.into()), code: Some(code.into()), ..Coding::default() };
        self.details.get_or_insert_default().coding.push(coding);
        self
    }

    /// Says how to go on.
    #[must_use]
    pub fn helped(mut self, help: impl Into<Text<'a>>) -> Self {
        self.diagnostics = Some(help.into());
        self
    }

    #[must_use]
    pub fn at(mut self, expression: impl Into<Text<'a>>) -> Self {
        self.expression.push(expression.into());
        self
    }
}

/// Value set `issue-severity`, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Fatal,
    Error,
    Warning,
    Information,
}

/// Value set `issue-type`: those we answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssueType {
    Conflict,
    Deleted,
    Exception,
    Forbidden,
    Informational,
    Invalid,
    Login,
    NotFound,
    NotSupported,
    Processing,
    Required,
    Structure,
    Throttled,
    TooCostly,
    Transient,
    Value,
}

#[cfg(test)]
mod tests {
    use super::Issue;
    use super::IssueType;
    use super::OperationOutcome;
    use super::Severity;

    #[test]
    fn an_outcome_is_written_in_the_order_of_the_definition() {
        let outcome = OperationOutcome::of(
            Issue::error(IssueType::NotFound, "no such resource")
                .coded("urn:example:codes", "W1")
                .at("Patient.id"),
        )
        .and(Issue::new(Severity::Information, IssueType::TooCostly, "ask for less"));
        assert_eq!(
            serde_json::to_string(&outcome).unwrap(),
            concat!(
                r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","#,
                r#""details":{"coding":[{"system":"urn:example:codes","code":"W1"}],"text":"no such resource"},"#,
                r#""expression":["Patient.id"]},"#,
                r#"{"severity":"information","code":"too-costly","details":{"text":"ask for less"}}]}"#,
            )
        );
    }
}
