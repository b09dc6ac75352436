//! One message with what became of it, and what its reports become.

use std::ops::Range;

use serde::Serialize;

use crate::app::Compiled;
use crate::cli::try_::plan;
use crate::clinical::fhir;
use crate::clinical::fhir::IdKey;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::Outcome;
use crate::clinical::mapping::Status;
use crate::clinical::mapping::inbound::trace::Leaf;
use crate::clinical::mapping::inbound::trace::Origin;
use crate::clinical::mapping::inbound::trace::Trace;
use crate::clinical::mapping::inbound::trace::influence;
use crate::clinical::mapping::inbound::trace::influence::Made;
use crate::clinical::mapping::language::Format;
use crate::clinical::model::Report;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2;
use crate::formats::hl7v2::batch;
use crate::formats::json;
use crate::formats::tree::Node;
use crate::pipeline::intake;

pub(super) struct Account<'a> {
    pub(super) file: &'a str,
    pub(super) index: usize,
    pub(super) status: Status,
    /// Why the message is held or rejected, where it is.
    pub(super) problems: Vec<Diagnostic>,
    pub(super) mapping: &'a Mapping,
    pub(super) trace: Trace,
    compiled: &'a Compiled,
    /// Where the message begins in the file: its byte, and the lines before it.
    start: usize,
    lines: usize,
}

/// Of the populated fields, how many came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) used: usize,
    pub(super) ignored: usize,
    pub(super) unaccounted: usize,
}

/// The messages of a file. Only HL7 v2 has many one after the other.
pub(super) fn messages(bytes: &[u8], format: Format) -> Vec<Range<usize>> {
    let is_er7 = format == Format::Hl7v2 && !hl7v2::xml::looks_like_xml(bytes);
    let mut ranges: Vec<_> = batch::split(if is_er7 { bytes } else { &[] }).messages().collect();
    if ranges.is_empty() {
        ranges.push(0..bytes.len());
    }
    ranges
}

impl<'a> Account<'a> {
    pub(super) fn of(
        file: &'a str,
        index: usize,
        bytes: &[u8],
        range: Range<usize>,
        mapping: &'a Mapping,
        compiled: &'a Compiled,
    ) -> Self {
        let start = range.start;
        let before = bytes.get(..start).unwrap_or_default();
        let raw = bytes.get(range).unwrap_or_default();
        let trace = mapping.trace(raw);
        let is_er7 = mapping.format() == Format::Hl7v2 && !hl7v2::xml::looks_like_xml(raw);
        let refused = if is_er7 { intake::rejection(&hl7v2::decode(raw)) } else { None };
        let status = if refused.is_some() { Status::Rejected } else { trace.reading.status };
        let problems = match refused {
            Some(refused) => vec![refused],
            None => trace.reading.diagnostics.iter().filter(|it| it.is_error()).cloned().collect(),
        };
        Self { file, index, status, problems, mapping, trace, compiled, start, lines: lines(before) }
    }

    pub(super) fn subject(&self) -> String {
        format!("{} #{}", self.file, self.index)
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.trace.reading.ledger.entries {
            match entry.outcome {
                Outcome::Used => counts.used += 1,
                Outcome::Ignored(_) => counts.ignored += 1,
                Outcome::Unaccounted => counts.unaccounted += 1,
            }
        }
        counts
    }

    pub(super) fn leaf(&self, at: usize) -> Option<&Leaf> {
        self.trace.source.leaves.get(at)
    }

    pub(super) fn origin(&self, path: &str) -> Option<&Origin> {
        self.trace.origins.iter().find(|origin| origin.path == path)
    }

    /// A leaf's bytes in the file.
    pub(super) fn bytes(&self, leaf: &Leaf) -> Option<Range<usize>> {
        leaf.bytes.clone().map(|it| it.start + self.start..it.end + self.start)
    }

    /// A leaf's line in the file.
    pub(super) fn line(&self, leaf: &Leaf) -> Option<usize> {
        leaf.line.map(|line| line + self.lines)
    }

    /// The Bundle's values, with what they come from of these canonical values.
    pub(super) fn fhir(&self, paths: &[&str]) -> Vec<Made> {
        influence::influences(&self.trace.reading.reports, paths, "Bundle", &|reports| {
            node(&fhir::collection(reports, &IdKey::PUBLIC_TEST))
        })
    }

    /// The planned calls' values, each report's on its own. Their markers are of what was read, whatever is tried.
    pub(super) fn cliniko(&self, paths: &[&str]) -> Vec<Made> {
        let mut made = Vec::new();
        let mut before = 0;
        for (at, report) in self.trace.reading.reports.iter().enumerate() {
            let content = plan::content_of(report);
            let plan = |reports: &[Report]| {
                let calls = plan::calls_of(self.compiled, reports.first()?, &content).ok()?;
                node(&calls)
            };
            let (own, first) = (format!("reports[{at}]."), "reports[0].");
            let alone: Vec<String> = (paths.iter())
                .filter_map(|path| Some(format!("{first}{}", path.strip_prefix(&own)?)))
                .collect();
            let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
            let found = influence::influences(std::slice::from_ref(report), &alone, "calls", &plan);
            let renamed = |path: &String| path.replacen(first, &own, 1);
            let count = plan(std::slice::from_ref(report)).map_or(0, |calls| calls.items().len());
            made.extend(found.into_iter().map(|it| Made {
                path: renumbered(&it.path, before),
                text: it.text,
                holds: it.holds.iter().map(renamed).collect(),
                follows: it.follows.iter().map(renamed).collect(),
            }));
            before += count;
        }
        made
    }
}

/// `calls[0].body` as `calls[2].body`, with two calls before it.
fn renumbered(path: &str, before: usize) -> String {
    let number = path.strip_prefix("calls[").and_then(|rest| rest.split_once(']'));
    let moved = number.and_then(|(at, rest)| Some((at.parse::<usize>().ok()?, rest)));
    moved.map_or_else(|| path.to_owned(), |(at, rest)| format!("calls[{}]{rest}", at + before))
}

fn node(document: &impl Serialize) -> Option<Node> {
    json::decode(&serde_json::to_vec(document).ok()?).ok()
}

/// Line ends of any kind.
fn lines(bytes: &[u8]) -> usize {
    let is_pair = |at: usize| at > 0 && bytes.get(at - 1) == Some(&b'\r');
    bytes.iter().enumerate().filter(|(at, byte)| **byte == b'\r' || **byte == b'\n' && !is_pair(*at)).count()
}
