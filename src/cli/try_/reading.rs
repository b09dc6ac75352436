//! One message through the stages, up to the one asked for.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::app::Compiled;
use crate::cli::try_::Stage;
use crate::cli::try_::plan;
use crate::cli::try_::sent;
use crate::cli::try_::summary::Results;
use crate::clinical::fhir;
use crate::clinical::fhir::IdKey;
use crate::clinical::interpret;
use crate::clinical::interpret::Context;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::Reading;
use crate::clinical::mapping::language::Format;
use crate::clinical::model::Finding;
use crate::clinical::model::NotAssessed;
use crate::clinical::model::Report;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::diagnostic::has_errors;
use crate::formats::hl7v2;
use crate::formats::hl7v2::Deviation;
use crate::pipeline::intake;

pub(super) use crate::clinical::mapping::Status;

pub(super) struct Reader<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) compiled: &'a Compiled,
    pub(super) stage: Stage,
    /// Whether the results are counted, both as sent and as read.
    pub(super) counts: bool,
}

/// What came of one message.
pub(super) struct Message {
    pub(super) status: Status,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The stage's document as JSON on one line; none where the message was rejected.
    output: Option<Box<RawValue>>,
    pub(super) results: Results,
    /// MSH-9 says ORU^R01, and there are PID, OBR and OBX; or the document has a result in a report.
    pub(super) is_readable_result: bool,
    pub(super) took: Duration,
}

/// One line of `--format json`.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    index: usize,
    status: &'static str,
    diagnostics: Vec<Told<'a>>,
    output: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Told<'a> {
    code: &'a Code,
    severity: Severity,
    position: &'a str,
    message: &'a str,
    help: &'a str,
}

impl<'a> Told<'a> {
    fn of(it: &'a Diagnostic) -> Self {
        let Diagnostic { code, severity, position, message, help, .. } = it;
        Self { code, severity: *severity, position, message, help }
    }
}

#[derive(Serialize)]
struct Reports<'a> {
    reports: &'a [Report],
}

#[derive(Serialize)]
struct Findings {
    findings: Vec<Finding>,
    /// What the rules could say nothing of, and why.
    not_assessed: Vec<NotAssessed>,
}

impl Message {
    /// A file that could not be read at all.
    pub(super) fn unreadable(problem: Diagnostic) -> Self {
        Self {
            status: Status::Rejected,
            diagnostics: vec![problem],
            output: None,
            results: Results::default(),
            is_readable_result: false,
            took: Duration::ZERO,
        }
    }

    pub(super) fn line(&self, file: &str, index: usize) -> String {
        let diagnostics = self.diagnostics.iter().map(Told::of).collect();
        json(&Line { file, index, status: self.status.as_str(), diagnostics, output: self.output.as_deref() })
    }

    /// The stage's document for people.
    pub(super) fn pretty(&self) -> String {
        self.output.as_deref().map_or_else(String::new, |output| pretty(output.get()))
    }
}

impl Reader<'_> {
    /// Reads one message; `around` is what the file has around it.
    pub(super) fn read(&self, bytes: &[u8], around: &[Deviation]) -> Message {
        catch_unwind(AssertUnwindSafe(|| self.read_or_panic(bytes, around))).unwrap_or_else(|_| self.defect())
    }

    fn read_or_panic(&self, bytes: &[u8], around: &[Deviation]) -> Message {
        if self.mapping.format() != Format::Hl7v2 || hl7v2::xml::looks_like_xml(bytes) {
            let reading = self.mapping.read_bytes(bytes);
            let is_readable_result = reading.reports.iter().any(|report| report.results().next().is_some());
            return self.finish(reading, is_readable_result, bytes);
        }
        let decoded = hl7v2::decode(bytes);
        let mut reading = match intake::rejection(&decoded) {
            Some(rejection) => Reading::unreadable(rejection),
            None => self.mapping.read_decoded(&decoded),
        };
        if !around.is_empty() {
            reading.diagnostics.extend(Reading::of_nothing(around).diagnostics);
        }
        let is_readable_result = decoded.message.as_ref().is_some_and(is_readable_result);
        self.finish(reading, is_readable_result, bytes)
    }

    /// Adds the stage's document, and counts the results of what was not rejected.
    fn finish(&self, reading: Reading, is_readable_result: bool, bytes: &[u8]) -> Message {
        let Reading { mut status, reports, mut diagnostics, .. } = reading;
        let (mut output, mut results) = (None, Results::default());
        if status != Status::Rejected {
            let (document, problems) = self.of_stage(&reports);
            diagnostics.extend(problems);
            output = Some(document);
            if has_errors(&diagnostics) {
                status = Status::Held;
            }
            if self.counts {
                results = Results::of(&sent::results(self.mapping, bytes), &reports, &diagnostics);
            }
        }
        Message { status, diagnostics, output, results, is_readable_result, took: Duration::ZERO }
    }

    /// The document of the stage, and what kept it from being whole.
    fn of_stage(&self, reports: &[Report]) -> (Box<RawValue>, Vec<Diagnostic>) {
        of_stage(self.compiled, self.stage, reports)
    }

    /// A panic: a defect of ours, which holds this message and no other.
    fn defect(&self) -> Message {
        let problem =
            Diagnostic::error(Code::new("S102"), "reading this message met a defect of the gateway").help(
                "report the gateway's version to its makers, with the message's shape from `gateway try`",
            );
        let output = catch_unwind(AssertUnwindSafe(|| self.of_stage(&[]).0)).ok();
        Message { status: Status::Held, output, ..Message::unreadable(problem) }
    }
}

/// The document of a stage for people.
pub(super) fn document(compiled: &Compiled, stage: Stage, reports: &[Report]) -> String {
    pretty(of_stage(compiled, stage, reports).0.get())
}

fn of_stage(compiled: &Compiled, stage: Stage, reports: &[Report]) -> (Box<RawValue>, Vec<Diagnostic>) {
    match stage {
        Stage::Report => (raw(&Reports { reports }), Vec::new()),
        Stage::Findings => {
            let mut said = Findings { findings: Vec::new(), not_assessed: Vec::new() };
            for report in reports {
                let of_report = compiled.knowledge.interpret(&interpret::request(report, Context::default()));
                said.findings.extend(of_report.findings);
                said.not_assessed.extend(of_report.not_assessed);
            }
            (raw(&said), Vec::new())
        }
        Stage::Fhir => (raw(&fhir::collection(reports, &IdKey::PUBLIC_TEST)), Vec::new()),
        Stage::Cliniko => plan::document(compiled, reports),
    }
}

fn is_readable_result(message: &hl7v2::Message<'_>) -> bool {
    let [kind, event, _] = message.message_type();
    kind == "ORU" && event == "R01" && ["PID", "OBR", "OBX"].iter().all(|name| message.first(name).is_some())
}

fn json(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("our documents have text keys and serialise")
}

pub(super) fn raw(document: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(document).expect("our documents have text keys and serialise")
}

/// Breaks one line of JSON into lines; numbers keep their digits, which reading it as values would not.
fn pretty(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if is_text {
            text.push(letter);
            is_text = letter != '"' || is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            continue;
        }
        match letter {
            '"' => {
                is_text = true;
                text.push(letter);
            }
            '{' | '[' => {
                text.push(letter);
                if let Some(close) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(close);
                } else {
                    depth += 1;
                    break_line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                break_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ => text.push(letter),
        }
    }
    text
}

fn break_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn pretty_json_keeps_every_digit_and_every_text() {
        let line = r#"{"a":5.10,"b":["x, {y}: \"z\\",[],{}],"c":{"d":null}}"#;
        let expected = "{\n  \"a\": 5.10,\n  \"b\": [\n    \"x, {y}: \\\"z\\\\\",\n    [],\n    {}\n  ],\n  \"c\": {\n    \"d\": null\n  }\n}";
        assert_eq!(pretty(line), expected);
    }
}
