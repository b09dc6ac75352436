//! What we keep of a message, to be asked whether a fact is among it.

use std::collections::BTreeSet;

use haemosync_gateway::clinical::fhir;
use haemosync_gateway::clinical::fhir::IdKey;
use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::clinical::mapping::Reading;
use haemosync_gateway::clinical::mapping::Status;
use haemosync_gateway::clinical::mapping::language::Format;
use haemosync_gateway::clinical::model::Report;
use haemosync_gateway::clinical::model::ReportStatus;
use haemosync_gateway::formats::csv;
use haemosync_gateway::formats::hl7v2;
use haemosync_gateway::formats::json;
use haemosync_gateway::formats::tree::Node;
use haemosync_gateway::pipeline::intake;
use serde::Serialize;

use crate::corpus::peers::facts::Fact;
use crate::corpus::peers::facts::Group;
use crate::corpus::peers::facts::Kind;
use crate::corpus::peers::sent;
use crate::corpus::peers::sent::Place;
use crate::corpus::peers::texts::Texts;

/// Where a fact was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    No,
    /// The message has no order, and so no report; read with one, it has the fact.
    WithOrder,
    /// In the canonical report, which FHIR has no place for.
    Report,
    Bundle,
}

/// An order that says nothing.
const ORDER: &[u8] = b"OBR|1||ORDER|ORDER\r";

/// One result of ours.
struct Own {
    codes: Texts,
    bundle: Texts,
    report: Texts,
}

/// All that was made of one file.
pub(super) struct Ours {
    pub(super) reading: Reading,
    /// MSH-9.1, of HL7 v2.
    pub(super) kind: String,
    /// Read by a mapping that nobody has looked at yet.
    pub(super) is_drafted: bool,
    results: Vec<Own>,
    bundle: Texts,
    report: Texts,
    /// Of the reports and their panels.
    statuses: BTreeSet<&'static str>,
    places: Vec<Place>,
    /// The message again with an order in it, where it is quarantined for having none.
    with_order: Option<Box<Ours>>,
}

impl Ours {
    pub(super) fn of(mapping: &Mapping, raw: &[u8]) -> Self {
        match mapping.format() {
            Format::Hl7v2 => {
                let messages: Vec<_> = hl7v2::batch::split(raw).messages().collect();
                let [only] = messages.as_slice() else { panic!("a file holds {} messages", messages.len()) };
                let mut ours = Self::of_message(mapping, &raw[only.clone()]);
                if ours.reading.diagnostics.iter().any(|it| it.code.as_str() == "H106") {
                    let with_order = Self::of_message(mapping, &with_order(&raw[only.clone()]));
                    ours.with_order = Some(Box::new(with_order));
                }
                ours
            }
            Format::Csv => {
                let places = sent::of_table(&csv::decode(raw, None).unwrap());
                Self::new(mapping.read_bytes(raw), places, String::new())
            }
            Format::Fhir | Format::Json => {
                let places = sent::of_document(&json::decode(raw).unwrap());
                Self::new(mapping.read_bytes(raw), places, String::new())
            }
        }
    }

    fn of_message(mapping: &Mapping, raw: &[u8]) -> Self {
        let decoded = hl7v2::decode(raw);
        let reading = match intake::rejection(&decoded) {
            Some(rejection) => Reading::unreadable(rejection),
            None => mapping.read_decoded(&decoded),
        };
        let message = decoded.message.unwrap();
        Self::new(reading, sent::of_message(&message), message.message_type()[0].to_string())
    }

    fn new(reading: Reading, mut places: Vec<Place>, kind: String) -> Self {
        sent::close(&mut places, &reading);
        let bundle = tree(&fhir::collection(&reading.reports, &IdKey::PUBLIC_TEST));
        let observations: Vec<&Node> = bundle
            .get("entry")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(|it| it.get("resource"))
            .collect();
        let results = reading.reports.iter().flat_map(Report::results).map(|result| {
            let place = format!("/{}", result.id);
            let is_it = |it: &&&Node| {
                let identifiers = it.get("identifier").map(Node::items).unwrap_or_default();
                let first = identifiers.first().and_then(|it| it.get("value")).and_then(Node::text);
                first.is_some_and(|it| it.ends_with(&place))
            };
            let own = observations.iter().find(is_it).map(|it| leaves(it)).unwrap_or_default();
            Own { codes: leaves(&tree(&result.code)), bundle: own, report: leaves(&tree(result)) }
        });
        let results = results.collect();
        let panels = reading.reports.iter().flat_map(|report| report.panels.iter().map(|panel| panel.status));
        let statuses = panels.chain(reading.reports.iter().map(|report| report.status));
        let statuses = statuses.map(ReportStatus::as_str).collect();
        let report = leaves(&tree(&reading.reports));
        let bundle = leaves(&bundle);
        Self { bundle, report, results, statuses, places, kind, is_drafted: false, reading, with_order: None }
    }

    pub(super) fn is_rejected(&self) -> bool {
        self.reading.status == Status::Rejected
    }

    /// The facts of a group, each with where it was found: of a result, in the result of ours that has most of them.
    pub(super) fn look<'f>(&self, group: &'f Group) -> Vec<(&'f Fact, Kept)> {
        if let Some(with_order) = &self.with_order {
            let looked = with_order.look(group).into_iter();
            let looked =
                looked.map(|(fact, kept)| (fact, if kept == Kept::No { kept } else { Kept::WithOrder }));
            return looked.collect();
        }
        if group.codes.is_empty() {
            return group.facts.iter().map(|fact| (fact, self.anywhere(fact))).collect();
        }
        let has_code = |own: &&Own| group.codes.iter().any(|it| own.codes.has_text(it));
        let looked = self.results.iter().filter(has_code).map(|own| {
            let found = |fact: &'f Fact| (fact, found(fact, &own.bundle, &own.report));
            group.facts.iter().map(found).collect::<Vec<_>>()
        });
        let score = |facts: &Vec<(&Fact, Kept)>| facts.iter().filter(|(_, kept)| *kept != Kept::No).count();
        let best =
            looked.max_by_key(score).unwrap_or_else(|| group.facts.iter().map(|it| (it, Kept::No)).collect());
        // An identifier or a date of a result may be the report's or the specimen's with us.
        best.into_iter()
            .map(|(fact, kept)| match fact.kind {
                Kind::Identifier | Kind::Date if kept == Kept::No => (fact, self.anywhere(fact)),
                _ => (fact, kept),
            })
            .collect()
    }

    fn anywhere(&self, fact: &Fact) -> Kept {
        match fact.kind {
            Kind::Status if self.statuses.contains(fact.text.as_str()) => Kept::Bundle,
            Kind::Status => Kept::No,
            _ => found(fact, &self.bundle, &self.report),
        }
    }

    /// What says why a fact is lacking.
    pub(super) fn as_read(&self) -> &Self {
        self.with_order.as_deref().unwrap_or(self)
    }

    /// Whether any of these texts is a whole part of the message.
    pub(super) fn was_sent(&self, texts: &[String]) -> bool {
        self.places.iter().any(|place| texts.iter().any(|text| place.texts.has_text(text)))
    }

    /// Whether a result of one of these codes or names stands at this position.
    pub(super) fn has_within(&self, position: &str, texts: &[String]) -> bool {
        let mut places = self.places.iter().filter(|place| place.is_within(position));
        places.any(|place| texts.iter().any(|text| place.texts.has_text(text)))
    }

    /// Whether a text is part of what stands in one of these fields.
    pub(super) fn has_part(&self, text: &str, segment: &str, field: u32) -> bool {
        let name = format!("{segment}-{field}");
        self.places.iter().any(|place| place.field() == name && place.texts.has_part(text))
    }

    /// Whether our Bundle shows the time that a date shows, whatever the zone.
    pub(super) fn shows_clock_of(&self, fact: &Fact) -> bool {
        self.bundle.shows_clock_of(&fact.text)
    }

    /// Whether a report has the status that its message gives it.
    pub(super) fn has_status_sent(&self) -> bool {
        let mut sent = self.places.iter().filter(|place| place.field() == "OBR-25").peekable();
        if sent.peek().is_none() {
            return self.statuses.contains("unknown");
        }
        let words = [("C", "corrected"), ("F", "final"), ("P", "preliminary"), ("X", "cancelled")];
        let is_ours = |place: &Place| {
            words.iter().any(|(code, word)| place.texts.has_text(code) && self.statuses.contains(word))
        };
        sent.all(is_ours)
    }

    /// Where a fact stands in the message as a whole part.
    pub(super) fn places_with(&self, fact: &Fact) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.texts.has(fact))
    }
}

fn found(fact: &Fact, bundle: &Texts, report: &Texts) -> Kept {
    if bundle.has(fact) {
        Kept::Bundle
    } else if report.has(fact) {
        Kept::Report
    } else {
        Kept::No
    }
}

/// A message with an order before its results, or at its end.
fn with_order(raw: &[u8]) -> Vec<u8> {
    let line = |at: &usize| raw.get(at.wrapping_sub(1)).is_none_or(u8::is_ascii_control);
    let at = memchr::memmem::find_iter(raw, b"OBX|").find(line);
    let (before, after) = raw.split_at(at.unwrap_or(raw.len()));
    [before, if at.is_none() { b"\r" } else { b"" }, ORDER, after].concat()
}

/// A document of ours; its numbers keep their digits.
fn tree(document: &impl Serialize) -> Node {
    json::decode(&serde_json::to_vec(document).unwrap()).unwrap()
}

fn leaves(node: &Node) -> Texts {
    let mut texts = Texts::default();
    collect(node, &mut texts);
    texts
}

fn collect(node: &Node, texts: &mut Texts) {
    match node {
        Node::Object(members) => members.iter().for_each(|(_, it)| collect(it, texts)),
        Node::List(items) => items.iter().for_each(|it| collect(it, texts)),
        leaf => texts.add(leaf.text().unwrap_or_default()),
    }
}
