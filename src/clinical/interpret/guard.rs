//! The guard between every interpreter and a case: what it cannot trace to the request or the knowledge is dropped.
//!
//! It drops and says so; it never rewrites. It never lowers an urgency, and adds nothing of its own.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use rust_decimal::Decimal;

use crate::clinical::interpret::Request;
use crate::clinical::interpret::RequestResult;
use crate::clinical::interpret::rules;
use crate::clinical::interpret::rules::Audience;
use crate::clinical::interpret::rules::Knowledge;
use crate::clinical::model::Finding;
use crate::clinical::model::Interpretation;
use crate::clinical::model::ResultId;
use crate::clinical::model::Value;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// Longest text of one finding; a clinician reads a report in two minutes.
pub const TEXT_CHARS_MAX: usize = 1_200;
/// Most findings of one interpreter; beyond this an answer is noise, and the most urgent stand first.
pub const FINDINGS_MAX: usize = 200;
/// Most lines of evidence, and of things not assessed, that one answer may hold.
pub const LINES_MAX: usize = 500;

const NO_SUCH_RESULT: Code = Code::new("I020");
const NUMBER_UNKNOWN: Code = Code::new("I021");
const URGENCY_TOO_LOW: Code = Code::new("I022");
const MUST_NOT_BE_SAID: Code = Code::new("I023");
const MARKUP: Code = Code::new("I024");
const TOO_LONG: Code = Code::new("I025");

/// What begins a link or markup. `<` alone is a comparison; before a letter it is a tag.
const MARKUP_SIGNS: [&str; 12] =
    ["://", "www.", "](", "**", "__", "```", "javascript:", "data:", "mailto:", "&#", "&lt;", "{{"];

/// What passed, and a diagnostic for everything that did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    pub interpretation: Interpretation,
    pub dropped: Vec<Diagnostic>,
}

/// Checks the answer of any interpreter against the request, the knowledge and what the rules found.
pub fn guard(
    knowledge: &Knowledge,
    request: &Request<'_>,
    rules: &Interpretation,
    mut answer: Interpretation,
) -> Guarded {
    let judge = Judge::of(knowledge, request, rules);
    let mut dropped = Vec::new();
    if answer.findings.len() > FINDINGS_MAX {
        let message = format!("{} findings, more than {FINDINGS_MAX}", answer.findings.len());
        dropped.push(drop_note(&answer.interpreter, TOO_LONG, &message));
    }
    answer.findings.sort_by_key(|finding| std::cmp::Reverse(finding.urgency));
    answer.findings.truncate(FINDINGS_MAX);
    let interpreter = answer.interpreter.clone();
    answer.findings.retain(|finding| match judge.objection(finding) {
        None => true,
        Some((code, message)) => {
            dropped.push(drop_note(&interpreter, code, &message));
            false
        }
    });
    answer.not_assessed.truncate(LINES_MAX);
    answer.not_assessed.retain(|it| it.about.iter().all(|id| judge.results.contains_key(id)));
    for it in &mut answer.not_assessed {
        it.reason = it.reason.chars().take(TEXT_CHARS_MAX).collect();
    }
    // Where a result lies is arithmetic on the laboratory's range; nobody else's word on it counts.
    if answer.interpreter != rules::ID {
        answer.range_flags.clear();
    }
    Guarded { interpretation: answer, dropped }
}

/// The message names the interpreter and the fault, never the text, which may hold anything.
fn drop_note(interpreter: &str, code: Code, what: &str) -> Diagnostic {
    let interpreter: String =
        interpreter.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    Diagnostic::warning(code, format!("a finding of `{interpreter}` was dropped: {what}"))
        .fact("the findings of the rules stand as they are")
        .help("nothing needs doing; if it happens often, switch the interpreter off for this clinic")
}

/// All that a finding is held against.
struct Judge<'a> {
    knowledge: &'a Knowledge,
    rules: &'a Interpretation,
    results: BTreeMap<&'a ResultId, &'a RequestResult<'a>>,
    numbers: BTreeSet<Decimal>,
    computed: BTreeMap<&'a str, Decimal>,
}

impl<'a> Judge<'a> {
    fn of(knowledge: &'a Knowledge, request: &'a Request<'a>, rules: &'a Interpretation) -> Self {
        let mut known = knowledge.numbers();
        known.extend(in_request(request));
        Self {
            knowledge,
            rules,
            results: request.results.iter().map(|result| (result.id, result)).collect(),
            numbers: known,
            computed: knowledge.computed(request),
        }
    }

    /// The first thing that speaks against a finding.
    fn objection(&self, finding: &Finding) -> Option<(Code, String)> {
        if finding.about.is_empty() || finding.about.iter().any(|id| !self.results.contains_key(id)) {
            return Some((
                NO_SUCH_RESULT,
                "it cites no result, or one that the report does not have".to_owned(),
            ));
        }
        let uninterpreted = |id: &ResultId| self.results.get(id).is_some_and(|result| result.not_interpreted);
        if finding.about.iter().any(uninterpreted) {
            return Some((
                NO_SUCH_RESULT,
                "it speaks of a result that is reported and not interpreted".to_owned(),
            ));
        }
        // The rules' own findings set the floor, and may themselves differ about one result.
        if !self.rules.findings.contains(finding) {
            let floor = rules::urgency_of(self.rules, &finding.about);
            if floor.is_some_and(|floor| finding.urgency < floor) {
                return Some((URGENCY_TOO_LOW, "its urgency is below what the rules found".to_owned()));
            }
        }
        let follow_up = finding.follow_up.as_deref().unwrap_or_default();
        let texts = [
            (finding.clinician_text.as_str(), Audience::Clinician),
            (finding.patient_text.as_str(), Audience::Patient),
            (follow_up, Audience::Clinician),
        ];
        let lines = finding.evidence.len() > LINES_MAX;
        let own_words = [finding.id.as_str(), finding.source.as_deref().unwrap_or_default()];
        let all = texts
            .iter()
            .map(|(text, _)| *text)
            .chain(own_words)
            .chain(finding.evidence.iter().map(String::as_str));
        if lines || all.clone().any(|text| text.chars().count() > TEXT_CHARS_MAX) {
            return Some((TOO_LONG, format!("a text is longer than {TEXT_CHARS_MAX} characters")));
        }
        if all.clone().any(has_markup) {
            return Some((MARKUP, "it holds a link or markup".to_owned()));
        }
        texts.iter().find_map(|(text, audience)| self.objection_to_text(text, *audience, finding))
    }

    fn objection_to_text(&self, text: &str, audience: Audience, finding: &Finding) -> Option<(Code, String)> {
        if let Some(phrase) = self.knowledge.forbidden().find(text, audience) {
            return Some((
                MUST_NOT_BE_SAID,
                format!("it says `{}`, which software must not say", phrase.trim()),
            ));
        }
        let quoted_formula = |number: &Decimal| {
            let names = self.computed.iter().filter(|(_, value)| *value == number).map(|(name, _)| name);
            names.into_iter().any(|name| finding.evidence.iter().any(|line| names_formula(line, name)))
        };
        let known = |number: &Decimal| self.numbers.contains(number) || quoted_formula(number);
        numbers(text).into_iter().any(|number| !known(&number)).then(|| {
            (
                NUMBER_UNKNOWN,
                "it states a number that is neither in the report nor in the knowledge".to_owned(),
            )
        })
    }
}

/// Whether a line of evidence names this formula as a whole word.
fn names_formula(line: &str, name: &str) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == name)
}

/// Every number that the request states: values, ranges, ages, days, and what the laboratory said.
fn in_request(request: &Request<'_>) -> BTreeSet<Decimal> {
    let mut found: BTreeSet<Decimal> = request.age_years.into_iter().map(Decimal::from).collect();
    let earlier = request.earlier.iter().flatten();
    found.extend(earlier.clone().map(|it| Decimal::from(it.days_before)));
    for result in request.results.iter().chain(earlier.map(|it| &it.result)) {
        if !matches!(result.value, Value::Attachment { .. }) {
            found.extend(numbers(result.value.as_sent()));
        }
        let range = result.range.map(|range| range.sent.as_str()).unwrap_or_default();
        let unit = result.unit.map(|unit| unit.sent.as_str()).unwrap_or_default();
        let said = result.notes.iter().copied().chain([range, unit, result.code.label()]);
        found.extend(said.flat_map(numbers));
    }
    found.extend(request.notes.iter().chain(&request.report_notes).flat_map(|note| numbers(note)));
    found
}

/// Every number in a text, without its sign, so that `3.5-5.3` is 3.5 and 5.3. A digit inside a word (`B12`) is a name.
pub(super) fn numbers(text: &str) -> Vec<Decimal> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut in_word = false;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        if first.is_ascii_digit() && length > 0 {
            let digits = rest.get(..length).unwrap_or_default().trim_end_matches('.');
            let parsed = digits.parse::<Decimal>().ok().map(|number| number.normalize());
            if !in_word {
                // What has two points, or more digits than a decimal holds, is no number anyone sent.
                found.push(parsed.unwrap_or(Decimal::MAX));
            }
            rest = rest.get(length..).unwrap_or_default();
        } else {
            in_word = first.is_alphabetic() || first == '_';
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    found
}

fn has_markup(text: &str) -> bool {
    let lower = text.to_lowercase();
    let tag = |(at, _)| {
        lower
            .get(at + 1..)
            .and_then(|rest| rest.chars().next())
            .is_some_and(|c| c.is_alphabetic() || matches!(c, '/' | '!'))
    };
    MARKUP_SIGNS.iter().any(|sign| lower.contains(sign))
        || lower.match_indices('<').any(tag)
        || text.chars().any(|c| c.is_control() && c != '\n')
}

#[cfg(test)]
mod tests;
