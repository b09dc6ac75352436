//! Why we may lack what a peer has: one row a class, each with what must be true of the difference.

use haemosync_gateway::clinical::mapping::Outcome;
use haemosync_gateway::clinical::mapping::Status;

use crate::corpus::peers::facts::Fact;
use crate::corpus::peers::facts::Group;
use crate::corpus::peers::facts::Kind;
use crate::corpus::peers::own::Ours;

/// Kept, if the message had an order: what the rest of it says is read.
pub(super) const NO_ORDER: &str = "no-order";

pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) reason: &'static str,
    /// How many differences were looked at when the class was written: more are differences that nobody has seen.
    pub(super) most: usize,
    is: fn(&Ours, &Group, &Fact) -> bool,
}

/// Asked in this order. What stands in a place that a rule of ours reads, and is not kept, is excused by nothing but a
/// class that names the place, or the diagnostic by which the result is held.
pub(super) const CLASSES: [Class; 21] = [
    Class {
        name: NO_ORDER,
        reason: "a result message without OBR has no report and is quarantined (H106); once it has an order, we keep this",
        most: 78,
        // Told by where the fact was found.
        is: |_, _, _| false,
    },
    Class {
        name: "order-or-document",
        reason: "an order (ORM, OML) or a document (MDM) is no laboratory's report: refused with a code and kept",
        most: 1143,
        is: |ours, _, _| ours.is_rejected() && ["MDM", "OML", "ORM"].contains(&ours.kind.as_str()),
    },
    Class {
        name: "results-in-another-message",
        reason: "an OUL has results by specimen or container: refused with a code and kept; only ORU^R01 is mapped",
        most: 488,
        is: |ours, _, _| ours.is_rejected() && ours.kind == "OUL",
    },
    Class {
        name: "document-without-report",
        reason: "the document has no DiagnosticReport, only an order and answers to its questions: held (M140)",
        most: 39,
        is: |ours, _, _| is_told_anywhere(ours, "M140"),
    },
    Class {
        name: "result-not-sent",
        reason: "none of the result's codes and names is in the message: the peer made the result of other data",
        most: 397,
        is: |ours, group, _| !group.codes.is_empty() && !ours.was_sent(&group.codes),
    },
    Class {
        name: "zone-of-the-peer",
        reason: "the time was sent without a zone: the peer took one of its own, and we that of the mapping",
        most: 35,
        is: |ours, _, fact| fact.kind == Kind::Date && ours.shows_clock_of(fact),
    },
    Class {
        name: "range-in-words",
        reason: "a reference range with its unit in it is kept whole, and not taken apart into a number",
        most: 1,
        is: |ours, _, fact| fact.at.starts_with("high.") && ours.has_part(&fact.text, "OBX", 7),
    },
    Class {
        name: "not-sent",
        reason: "the text is in no field of the message: the peer made it, joined it or filled it in",
        most: 467,
        is: |ours, _, fact| fact.kind != Kind::Status && ours.places_with(fact).next().is_none(),
    },
    Class {
        name: "status-not-sent",
        reason: "the message gives the result no status; the peer says that it is final, and we hold it (M110)",
        most: 3,
        is: |ours, _, fact| fact.kind == Kind::Status && is_told_anywhere(ours, "M110"),
    },
    Class {
        name: "status-as-sent",
        reason: "a report's status is what OBR-25 says, or unknown where it is empty; the peer took it from elsewhere",
        most: 3,
        is: |ours, _, fact| fact.at == "DiagnosticReport.status" && ours.has_status_sent(),
    },
    Class {
        name: "status-unread-by-peer",
        reason: "the peer says `unknown` of a status that the message gives and we read",
        most: 18,
        is: |_, _, fact| fact.kind == Kind::Status && fact.text == "unknown",
    },
    Class {
        name: "result-of-no-report",
        reason: "no report of the document refers to the Observation: it is named (F021), and the document held",
        most: 166,
        is: |ours, group, _| is_result_told(ours, group, "F021"),
    },
    Class {
        name: "column-undecided",
        reason: "the table's columns are its sender's own; the draft leaves this one to a person, and holds until then",
        most: 234,
        is: |ours, _, _| ours.is_drafted && ours.reading.status == Status::Held,
    },
    Class {
        name: "ignored-by-name",
        reason: "it stands only in fields that the mapping ignores by name, with its reason",
        most: 334,
        is: |ours, _, fact| all_are(ours, fact, |outcome| matches!(outcome, Outcome::Ignored(_))),
    },
    Class {
        name: "told-unread",
        reason: "it stands only in fields that no rule reads: each is named, and holds where it may matter to a result (M107, M106)",
        most: 54,
        is: |ours, _, fact| all_are(ours, fact, |outcome| outcome != Outcome::Used),
    },
    Class {
        name: "result-before-any-order",
        reason: "a result of no order is in no report; the message is held, and a diagnostic names it (M104)",
        most: 3,
        is: |ours, _, fact| is_told(ours, fact, "M104"),
    },
    Class {
        name: "not-of-its-type",
        reason: "the value is not of the type it declares: kept whole as text, and told (M112)",
        most: 2,
        is: |ours, _, fact| is_told(ours, fact, "M112"),
    },
    Class {
        name: "header-by-name",
        reason: "of sender, receiver and profile the report has the first name; a feed is known by its credentials",
        most: 58,
        is: |ours, _, fact| is_read_only_in(ours, fact, &["MSH-3", "MSH-4", "MSH-5", "MSH-6", "MSH-21"]),
    },
    Class {
        name: "authority-by-name",
        reason: "who gave a patient's number is kept by name, or by number where no name is sent; not by both",
        most: 16,
        is: |ours, _, fact| {
            fact.at.starts_with("Organization.") && is_read_only_in(ours, fact, &["MSH-4", "PID-3", "PID-18"])
        },
    },
    Class {
        name: "laboratory-by-name",
        reason: "who measured is kept by name, or by number where no name is sent; not by both",
        most: 26,
        is: |ours, _, fact| {
            let is_of = |start: &&str| fact.at.starts_with(start);
            ["Location.", "Organization.", "testing_lab_"].iter().any(is_of)
                && is_read_only_in(ours, fact, &["MSH-4", "OBX-15", "OBX-23"])
        },
    },
    Class {
        name: "requester-by-name",
        reason: "of who asked we keep name and number: not since when either holds, nor who gave the number",
        most: 34,
        is: |ours, _, fact| {
            let is_of = |start: &&str| fact.at.starts_with(start);
            let is_number = fact.at == "Practitioner.identifier";
            ["Organization.", "Practitioner."].iter().any(is_of)
                && !is_number
                && is_read_only_in(ours, fact, &["MSH-3", "MSH-4", "OBR-16", "ORC-12"])
        },
    },
];

/// Whether the fact stands somewhere, and every place it stands in ended so.
fn all_are(ours: &Ours, fact: &Fact, so: impl Fn(Outcome) -> bool) -> bool {
    let mut places = ours.places_with(fact).peekable();
    places.peek().is_some() && places.all(|it| it.outcome.is_some_and(&so))
}

/// Whether no rule reads the fact in any other field than these.
fn is_read_only_in(ours: &Ours, fact: &Fact, fields: &[&str]) -> bool {
    let places = ours.places_with(fact).filter(|it| it.outcome == Some(Outcome::Used));
    let mut places = places.peekable();
    places.peek().is_some() && places.all(|it| fields.contains(&it.field().as_str()))
}

fn is_told_anywhere(ours: &Ours, code: &str) -> bool {
    ours.reading.diagnostics.iter().any(|it| it.code.as_str() == code)
}

/// Whether a diagnostic of this code names the segment of a field in which the fact stands.
fn is_told(ours: &Ours, fact: &Fact, code: &str) -> bool {
    let segment = |position: &str| position.split_once('-').map_or(position, |(it, _)| it).to_owned();
    let told = ours.reading.diagnostics.iter().filter(|it| it.code.as_str() == code);
    let told: Vec<String> = told.map(|it| segment(&it.position)).collect();
    ours.places_with(fact).any(|place| told.contains(&segment(&place.at)))
}

/// Whether a diagnostic of this code names the resource in which a code of the result stands.
fn is_result_told(ours: &Ours, group: &Group, code: &str) -> bool {
    let mut told = ours.reading.diagnostics.iter().filter(|it| it.code.as_str() == code);
    told.any(|it| ours.has_within(&it.position, &group.codes))
}

pub(super) fn class_of(ours: &Ours, group: &Group, fact: &Fact) -> Option<&'static str> {
    let ours = ours.as_read();
    CLASSES.iter().find(|class| (class.is)(ours, group, fact)).map(|class| class.name)
}
