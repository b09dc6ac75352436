//! Why we may lack what a peer has: one row a class, each with what must be true of the difference.

use haemosync_gateway::clinical::mapping::Outcome;

use crate::corpus::peers::facts::Fact;
use crate::corpus::peers::facts::Group;
use crate::corpus::peers::facts::Kind;
use crate::corpus::peers::own::Ours;

struct Class {
    name: &'static str,
    reason: &'static str,
    is: fn(&Ours<'_>, &Group, &Fact) -> bool,
}

/// Asked in this order. None excuses a text of a field that a rule of ours reads: what we read and do not keep is in no
/// class, but for a result that its own diagnostic names.
const CLASSES: [Class; 8] = [
    Class {
        name: "no-result-message",
        reason: "an order or a document, refused with a code: nothing of it is a laboratory's report",
        is: |ours, _, _| ours.is_rejected(),
    },
    Class {
        name: "result-not-sent",
        reason: "none of the result's codes stands in the message: the peer's own document had more than it sent",
        is: |ours, group, _| !group.codes.is_empty() && !ours.was_sent(&group.codes),
    },
    Class {
        name: "not-sent",
        reason: "the text stands in no field of the message: the peer made it, joined it or filled it in",
        is: |ours, _, fact| fact.kind != Kind::Status && fields(ours, fact).is_empty(),
    },
    Class {
        name: "status-unread-by-peer",
        reason: "the peer says `unknown` of a status that the message gives and we read",
        is: |_, _, fact| fact.kind == Kind::Status && fact.text == "unknown",
    },
    Class {
        name: "ignored-by-name",
        reason: "it stands only in fields that the mapping ignores by name, with its reason",
        is: |ours, _, fact| all_are(ours, fact, |outcome| matches!(outcome, Outcome::Ignored(_))),
    },
    Class {
        name: "told-unread",
        reason: "it stands only in fields outside the results that no rule reads; a diagnostic names each (M107)",
        is: |ours, _, fact| all_are(ours, fact, |outcome| outcome != Outcome::Used),
    },
    Class {
        name: "result-before-any-order",
        reason: "a result of no order is in no report; the message is held, and a diagnostic names it (M104)",
        is: |ours, _, fact| is_told(ours, fact, "M104"),
    },
    Class {
        name: "not-of-its-type",
        reason: "the value is not of the type it declares: kept whole as text, and told (M112)",
        is: |ours, _, fact| is_told(ours, fact, "M112"),
    },
];

fn fields(ours: &Ours<'_>, fact: &Fact) -> Vec<String> {
    ours.fields_with(fact.kind, &fact.text)
}

/// Whether the fact stands somewhere, and every field it stands in ended so.
fn all_are(ours: &Ours<'_>, fact: &Fact, so: impl Fn(Outcome) -> bool) -> bool {
    let fields = fields(ours, fact);
    let entries = &ours.reading.ledger.entries;
    let ended =
        |field: &String| entries.iter().find(|it| it.field.to_string() == *field).map(|it| it.outcome);
    !fields.is_empty() && fields.iter().all(|field| ended(field).is_some_and(&so))
}

/// Whether a diagnostic of this code names the segment of each field in which the fact stands.
fn is_told(ours: &Ours<'_>, fact: &Fact, code: &str) -> bool {
    let segment = |position: &str| position.split_once('-').map_or(position, |(it, _)| it).to_owned();
    let told = ours.reading.diagnostics.iter().filter(|it| it.code.as_str() == code);
    let told: Vec<String> = told.map(|it| segment(&it.position)).collect();
    let fields = fields(ours, fact);
    !fields.is_empty() && fields.iter().any(|field| told.contains(&segment(field)))
}

pub(super) fn class_of(ours: &Ours<'_>, group: &Group, fact: &Fact) -> Option<&'static str> {
    CLASSES.iter().find(|class| (class.is)(ours, group, fact)).map(|class| class.name)
}

pub(super) fn reason(name: &str) -> &'static str {
    CLASSES.iter().find(|class| class.name == name).map_or("", |class| class.reason)
}
