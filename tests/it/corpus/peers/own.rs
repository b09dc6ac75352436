//! What we keep of a message, to be asked whether a fact is among it.

use std::collections::BTreeSet;

use haemosync_gateway::clinical::fhir;
use haemosync_gateway::clinical::fhir::IdKey;
use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::clinical::mapping::Reading;
use haemosync_gateway::clinical::mapping::Status;
use haemosync_gateway::formats::hl7v2;
use haemosync_gateway::formats::hl7v2::Decoded;
use haemosync_gateway::pipeline::intake;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::corpus::peers::facts::Fact;
use crate::corpus::peers::facts::Group;
use crate::corpus::peers::facts::Kind;

const MONTH_DIGITS: usize = 6;
const DAY_DIGITS: usize = 8;

/// Where a fact was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    No,
    /// In the canonical report, which FHIR has no place for.
    Report,
    Bundle,
}

/// One result of ours.
struct Own {
    codes: BTreeSet<String>,
    bundle: BTreeSet<String>,
    report: BTreeSet<String>,
}

/// All that was made of one message.
pub(super) struct Ours<'m> {
    pub(super) reading: Reading,
    decoded: &'m Decoded<'m>,
    results: Vec<Own>,
    bundle: BTreeSet<String>,
    report: BTreeSet<String>,
    /// Of the reports and their panels.
    statuses: BTreeSet<String>,
}

impl<'m> Ours<'m> {
    pub(super) fn of(mapping: &Mapping, decoded: &'m Decoded<'m>) -> Self {
        let reading = match intake::rejection(decoded) {
            Some(rejection) => Reading::unreadable(rejection),
            None => mapping.read_decoded(decoded),
        };
        let bundle = serde_json::to_value(fhir::collection(&reading.reports, &IdKey::PUBLIC_TEST)).unwrap();
        let observations: Vec<&Value> =
            bundle["entry"].as_array().into_iter().flatten().map(|entry| &entry["resource"]).collect();
        let results = reading.reports.iter().flat_map(haemosync_gateway::clinical::model::Report::results);
        let results = results.map(|result| {
            let place = format!("/{}", result.id);
            let is_it =
                |it: &&&Value| it["identifier"][0]["value"].as_str().is_some_and(|it| it.ends_with(&place));
            let own = observations.iter().find(is_it).copied().unwrap_or(&Value::Null);
            let report = serde_json::to_value(result).unwrap();
            Own { codes: leaves(&report["code"]), bundle: leaves(own), report: leaves(&report) }
        });
        let results = results.collect();
        let report = serde_json::to_value(&reading.reports).unwrap();
        let panels = reading.reports.iter().flat_map(|report| report.panels.iter().map(|panel| panel.status));
        let statuses = panels.chain(reading.reports.iter().map(|report| report.status));
        let statuses = statuses.map(|status| status.as_str().to_owned()).collect();
        Self { decoded, results, bundle: leaves(&bundle), report: leaves(&report), statuses, reading }
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.reading.status == Status::Rejected
    }

    /// The facts of a group, each with where it was found: of a result, in the result of ours that has most of them.
    pub(super) fn look<'f>(&self, group: &'f Group) -> Vec<(&'f Fact, Kept)> {
        if group.codes.is_empty() {
            return group.facts.iter().map(|fact| (fact, self.anywhere(fact))).collect();
        }
        let candidates =
            self.results.iter().filter(|own| group.codes.iter().any(|it| own.codes.contains(it)));
        let looked = candidates.map(|own| {
            let found = |fact: &'f Fact| (fact, found(fact, &own.bundle, &own.report));
            group.facts.iter().map(found).collect::<Vec<_>>()
        });
        let score = |facts: &Vec<(&Fact, Kept)>| facts.iter().filter(|(_, kept)| *kept != Kept::No).count();
        let best =
            looked.max_by_key(score).unwrap_or_else(|| group.facts.iter().map(|it| (it, Kept::No)).collect());
        // An identifier of a result may be the report's or the specimen's with us.
        best.into_iter()
            .map(|(fact, kept)| match fact.kind {
                Kind::Identifier | Kind::Date if kept == Kept::No => {
                    (fact, found(fact, &self.bundle, &self.report))
                }
                _ => (fact, kept),
            })
            .collect()
    }

    fn anywhere(&self, fact: &Fact) -> Kept {
        match fact.kind {
            Kind::Status if self.statuses.contains(&fact.text) => Kept::Bundle,
            Kind::Status => Kept::No,
            _ => found(fact, &self.bundle, &self.report),
        }
    }

    /// Whether any of these texts is a whole part of the message.
    pub(super) fn was_sent(&self, texts: &[String]) -> bool {
        texts.iter().any(|text| !self.fields_with(Kind::Value, text).is_empty())
    }

    /// The fields of the message in which a text stands as a whole part.
    pub(super) fn fields_with(&self, kind: Kind, text: &str) -> Vec<String> {
        let Some(message) = &self.decoded.message else { return Vec::new() };
        let mut found = Vec::new();
        for segment in message.segments() {
            for field in segment.fields().filter(hl7v2::Element::is_populated) {
                let mut parts = field.raw().split(['~', '^', '&']);
                if same(kind, text, &field.text()) || parts.any(|part| same(kind, text, part)) {
                    found.push(field.location().to_string());
                }
            }
        }
        found
    }
}

fn found(fact: &Fact, bundle: &BTreeSet<String>, report: &BTreeSet<String>) -> Kept {
    let is_in = |leaves: &BTreeSet<String>| {
        leaves.contains(&fact.text) || leaves.iter().any(|leaf| same(fact.kind, &fact.text, leaf))
    };
    match (is_in(bundle), is_in(report)) {
        (true, _) => Kept::Bundle,
        (_, true) => Kept::Report,
        _ => Kept::No,
    }
}

/// Whether two texts say the same: numbers by their value, times by their instant, anything else letter by letter.
fn same(kind: Kind, theirs: &str, ours: &str) -> bool {
    match kind {
        Kind::Date => same_moment(theirs, ours),
        Kind::Value => match (decimal(theirs), decimal(ours)) {
            (Some(theirs), Some(ours)) => theirs == ours,
            // A peer may leave an escaped line break as it was sent.
            _ => {
                let theirs = plain(&theirs.replace("\\.br\\", " "));
                plain(ours) == theirs || ours.lines().any(|line| plain(line) == theirs)
            }
        },
        _ => plain(theirs) == plain(ours),
    }
}

fn decimal(text: &str) -> Option<Decimal> {
    text.trim().parse().ok()
}

/// Without the white space around and between.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Two instants, or a time as it was sent and theirs: by the clock they show, or by that of UTC, which some peers take.
fn same_moment(theirs: &str, ours: &str) -> bool {
    if let (Some(theirs), Some(ours)) = (instant(theirs), instant(ours)) {
        return theirs.as_second() == ours.as_second();
    }
    let utc = instant(theirs).map(|it| digits(&it.to_string()));
    let ours = digits(ours);
    [Some(digits(theirs)), utc].into_iter().flatten().any(|theirs| same_clock(&theirs, &ours))
}

/// One goes on where the other ends: a date and a time of it, or zeros that nobody sent.
fn same_clock(theirs: &str, ours: &str) -> bool {
    if theirs.len() < MONTH_DIGITS || ours.len() < MONTH_DIGITS {
        return false;
    }
    let filled_up = |rest: &str| ours.len() >= DAY_DIGITS && rest.bytes().all(|it| it == b'0');
    ours.starts_with(theirs) || theirs.strip_prefix(ours).is_some_and(filled_up)
}

fn instant(text: &str) -> Option<jiff::Timestamp> {
    text.parse().ok()
}

/// The digits of the local time: neither fraction nor offset.
fn digits(text: &str) -> String {
    let time = text.find(['T', ' ']).unwrap_or(8);
    let local: String = text
        .char_indices()
        .take_while(|(at, letter)| {
            !(matches!(letter, '+' | '.' | 'Z') || *letter == '-' && *at > time.max(8))
        })
        .map(|(_, letter)| letter)
        .collect();
    local.chars().filter(char::is_ascii_digit).collect()
}

/// Every text and number in a document, and every part of those that are fields as they were sent.
fn leaves(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.values().for_each(|it| collect(it, found)),
        Value::Array(items) => items.iter().for_each(|it| collect(it, found)),
        Value::Null => {}
        Value::String(text) => {
            found.extend(text.split(['~', '^', '&']).map(|part| part.trim().to_owned()));
            found.insert(text.trim().to_owned());
        }
        leaf => {
            found.insert(leaf.to_string());
        }
    }
}
