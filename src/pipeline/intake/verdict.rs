//! What a sender is told, decided from the header and the structure alone.
//!
//! Accepted means: readable as what it says it is. Unknown codes and unmatched patients are holds on our side, not
//! errors on theirs. An error is a message that cannot be read as its type; a rejection is one that is not for us.

use std::sync::Arc;

use crate::clinical::mapping::language::Format;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2;
use crate::formats::hl7v2::Kind;
use crate::formats::hl7v2::Location;
use crate::formats::hl7v2::acknowledgement;
use crate::formats::hl7v2::acknowledgement::Condition0357;
use crate::formats::hl7v2::acknowledgement::Outcome;
use crate::pipeline::feeds::ControlIds;
use crate::pipeline::feeds::Feed;
use crate::pipeline::feeds::Feeds;
use crate::pipeline::feeds::OnStoreFailure;
use crate::pipeline::feeds::Senders;
use crate::pipeline::intake::content::Seen;

/// The code of a sender under another's name.
const NOT_THEIR_NAME: &str = "H110";

/// The decision about one message.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// None for a sender no feed names.
    pub(super) feed: Option<Arc<Feed>>,
    /// Its control id was used before for other content, so that its content names it.
    pub(super) is_named_by_content: bool,
    reason: Option<Reason>,
    /// Why a message of another format than HL7 v2 cannot be read.
    problems: Vec<Diagnostic>,
}

#[derive(Debug, Clone)]
struct Reason {
    condition: Condition0357,
    code: Code,
    location: Option<Location>,
    text: String,
    help: &'static str,
}

impl Verdict {
    fn accept(feed: Arc<Feed>) -> Self {
        Self::refuse_for(Outcome::Accept, Some(feed), None)
    }

    fn refuse(outcome: Outcome, feed: Option<Arc<Feed>>, reason: Reason) -> Self {
        Self::refuse_for(outcome, feed, Some(reason))
    }

    fn refuse_for(outcome: Outcome, feed: Option<Arc<Feed>>, reason: Option<Reason>) -> Self {
        Self { outcome, feed, is_named_by_content: false, reason, problems: Vec::new() }
    }

    /// Whether the message goes on its way.
    pub(super) fn is_accepted(&self) -> bool {
        self.outcome == Outcome::Accept && self.reason.is_none()
    }

    /// Whether it is a message for us, readable or not, and no acknowledgement.
    pub(super) fn is_ours(&self) -> bool {
        self.is_accepted() || self.outcome == Outcome::Error
    }

    /// Whether its sender claims to be somebody else than the door knows it to be.
    pub(super) fn is_impostor(&self) -> bool {
        self.reason.as_ref().is_some_and(|reason| reason.code.as_str() == NOT_THEIR_NAME)
    }

    /// The same message, found to use another's control id: a conflict, unless the feed's ids are known to repeat.
    pub(super) fn of_used_control_id(&self, format: Format) -> Self {
        if self.feed.as_ref().is_some_and(|feed| feed.control_ids == ControlIds::Repeating) {
            return Self { is_named_by_content: true, ..self.clone() };
        }
        let reason = Reason {
            condition: Condition0357::DuplicateKey,
            code: Code::new("H108"),
            location: (format == Format::Hl7v2).then(|| header_field(10)),
            text: "this control id was already used for other content".to_owned(),
            help: "send it again under a control id of its own",
        };
        Self { is_named_by_content: true, ..Self::refuse(Outcome::Error, self.feed.clone(), reason) }
    }

    pub(super) fn too_long(max: usize) -> Self {
        let reason = Reason {
            condition: Condition0357::ApplicationInternal,
            code: Code::new("H109"),
            location: None,
            text: format!("the message is longer than {max} bytes and was not kept"),
            help: "send it in parts, or ask the operator to raise inbound.mllp.frame_bytes_max",
        };
        Self::refuse(Outcome::Reject, None, reason)
    }

    /// A file of more messages than are answered at once; kept whole, and not taken apart.
    pub(super) fn too_many(feed: Option<Arc<Feed>>, max: usize) -> Self {
        let reason = Reason {
            condition: Condition0357::ApplicationInternal,
            code: Code::new("H080"),
            location: None,
            text: format!("the file holds more than {max} messages"),
            help: "send it as several files",
        };
        Self::refuse(Outcome::Error, feed, reason)
    }

    /// What a sender of this feed hears when nothing could be kept.
    pub(super) fn store_failed_for(feed: Option<&Feed>) -> Self {
        Self::store_failed(feed.map_or(OnStoreFailure::Error, |feed| feed.on_store_failure))
    }

    /// What a sender hears when nothing could be kept.
    pub(super) fn store_failed(policy: OnStoreFailure) -> Self {
        let outcome = match policy {
            OnStoreFailure::Close | OnStoreFailure::Error => Outcome::Error,
            OnStoreFailure::Reject => Outcome::Reject,
        };
        let reason = Reason {
            condition: Condition0357::ApplicationInternal,
            code: Code::new("S101"),
            location: None,
            text: "the message could not be stored; it is still yours, send it again later".to_owned(),
            help: "see the gateway's log for the cause; nothing was kept",
        };
        Self::refuse(outcome, None, reason)
    }

    /// For the sender's ERR segment.
    pub(super) fn problems(&self) -> Vec<acknowledgement::Problem<'_>> {
        self.reason
            .iter()
            .map(|reason| acknowledgement::Problem {
                location: reason.location,
                condition: reason.condition,
                severity: acknowledgement::Severity::Error,
                code: reason.code.as_str(),
                text: &reason.text,
            })
            .collect()
    }

    /// The same, for our own people.
    pub(super) fn diagnostics(&self) -> Vec<Diagnostic> {
        let kept = "rejected: the bytes are kept in quarantine, nothing else was made of them";
        let own = self.reason.iter().map(Reason::diagnostic);
        own.chain(self.problems.iter().cloned()).map(|it| it.fact(kept)).collect()
    }
}

impl Reason {
    fn diagnostic(&self) -> Diagnostic {
        let position = self.location.map_or_else(|| "line 1".to_owned(), |it| it.to_string());
        Diagnostic::error(self.code.clone(), self.text.clone()).at(position).help(self.help)
    }
}

/// A field of the header.
const fn header_field(number: u32) -> Location {
    Location::segment(*b"MSH", 1).field(number)
}

/// Decides about a message that has arrived.
pub(super) fn decide(decoded: &hl7v2::Decoded<'_>, feeds: &Feeds) -> Verdict {
    let Some(message) = &decoded.message else { return Verdict::refuse(Outcome::Reject, None, no_header()) };
    let Some(feed) = feeds.for_sender(&sender(message)) else {
        return Verdict::refuse(
            Outcome::Reject,
            None,
            Reason {
                condition: Condition0357::UnknownKey,
                code: Code::new("H102"),
                location: Some(header_field(3)),
                text: "no feed is configured for this sending application and facility".to_owned(),
                help: "add MSH-3|MSH-4 to the `senders` of the laboratory's feed in the configuration",
            },
        );
    };
    of_feed(message, decoded, feed)
}

/// Decides about a message whose sender showed a certificate with these names.
///
/// A feed that names certificates takes messages from their bearers alone, so without any, as on the plain listener,
/// it takes none.
pub(super) fn decide_certified(decoded: &hl7v2::Decoded<'_>, feeds: &Feeds, names: &[String]) -> Verdict {
    let verdict = decide(decoded, feeds);
    let Some(feed) = &verdict.feed else { return verdict };
    let bears = |name: &String| names.iter().any(|it| it.eq_ignore_ascii_case(name));
    if feed.client_certificates.is_empty() || feed.client_certificates.iter().any(bears) {
        return verdict;
    }
    Verdict::refuse(Outcome::Reject, verdict.feed.clone(), not_their_name())
}

/// Decides about a message of another format than HL7 v2, whose feed the door knows.
pub(super) fn decide_seen(seen: &Seen, feed: &Arc<Feed>) -> Verdict {
    if let (Some(claimed), Senders::Named(names)) = (&seen.sender, &feed.senders)
        && !names.is_empty()
        && !names.contains(claimed)
    {
        let reason = Reason { location: None, ..not_their_name() };
        return Verdict::refuse(Outcome::Reject, Some(Arc::clone(feed)), reason);
    }
    let outcome = if seen.problems.is_empty() { Outcome::Accept } else { Outcome::Error };
    let problems = seen.problems.clone();
    Verdict { problems, ..Verdict::refuse_for(outcome, Some(Arc::clone(feed)), None) }
}

/// Decides about a message whose feed the door knows.
pub(super) fn decide_for(decoded: &hl7v2::Decoded<'_>, feed: &Arc<Feed>) -> Verdict {
    let Some(message) = &decoded.message else {
        return Verdict::refuse(Outcome::Reject, Some(Arc::clone(feed)), no_header());
    };
    if !feed.senders.allow(&sender(message)) {
        return Verdict::refuse(Outcome::Reject, Some(Arc::clone(feed)), not_their_name());
    }
    of_feed(message, decoded, feed)
}

/// `APPLICATION|FACILITY`, each by its first component.
fn sender(message: &hl7v2::Message<'_>) -> String {
    let [application, facility] =
        [3, 4].map(|number| message.header().field(number).component(1).text().into_owned());
    format!("{application}|{facility}")
}

fn of_feed(message: &hl7v2::Message<'_>, decoded: &hl7v2::Decoded<'_>, feed: &Arc<Feed>) -> Verdict {
    if acknowledgement::is_acknowledgement(message) {
        return Verdict::refuse(Outcome::Accept, Some(Arc::clone(feed)), silent());
    }
    let refusal =
        foreign(message).or_else(|| wrong_processing(message, feed)).map(|it| (Outcome::Reject, it));
    match refusal.or_else(|| Some((Outcome::Error, unreadable(message, &decoded.deviations)?))) {
        Some((outcome, reason)) => Verdict::refuse(outcome, Some(Arc::clone(feed)), reason),
        None => Verdict::accept(Arc::clone(feed)),
    }
}

/// Why every feed would reject a message, whoever sent it; `None` if it is readable as a result message.
pub fn rejection(decoded: &hl7v2::Decoded<'_>) -> Option<Diagnostic> {
    let reason = match &decoded.message {
        None => Some(no_header()),
        Some(message) if acknowledgement::is_acknowledgement(message) => Some(silent()),
        Some(message) => foreign(message).or_else(|| unreadable(message, &decoded.deviations)),
    };
    reason.map(|reason| reason.diagnostic())
}

fn no_header() -> Reason {
    Reason {
        condition: Condition0357::SegmentSequence,
        code: Code::new("H101"),
        location: None,
        text: "no readable MSH segment begins the message".to_owned(),
        help: "begin each MLLP frame with MSH and its encoding characters",
    }
}

/// Who sends is known by other means, and the message says somebody else.
fn not_their_name() -> Reason {
    Reason {
        condition: Condition0357::UnknownKey,
        code: Code::new(NOT_THEIR_NAME),
        location: Some(header_field(3)),
        text: "this sender may not send under this name".to_owned(),
        help: "send your own name (MSH-3|MSH-4, MessageHeader.source.endpoint), with your own certificate; or have it added to your feed",
    }
}

/// An acknowledgement is kept and never answered.
fn silent() -> Reason {
    Reason {
        condition: Condition0357::UnsupportedMessageType,
        code: Code::new("H107"),
        location: Some(header_field(9)),
        text: "the message is itself an acknowledgement".to_owned(),
        help: "nothing needs to be done unless the laboratory should not send these",
    }
}

/// Not for us, whatever the feed.
fn foreign(message: &hl7v2::Message<'_>) -> Option<Reason> {
    let [kind, event, structure] = message.message_type();
    // Some say the structure alone, `ORU_R01` (HL7 v2.5.1 chapter 2, table 0354), and mean the same.
    let is_named_by_structure =
        kind == "ORU_R01" || (kind == "ORU" && event.is_empty() && structure == "ORU_R01");
    let version = message.version();
    let (condition, code, field, text, help) = if kind != "ORU" && !is_named_by_structure {
        (
            Condition0357::UnsupportedMessageType,
            "H103",
            9,
            "only results (ORU^R01) are taken here",
            "send orders and other messages elsewhere",
        )
    } else if event != "R01" && !is_named_by_structure {
        (
            Condition0357::UnsupportedEventCode,
            "H103",
            9,
            "only the event R01 is taken here",
            "send results as ORU^R01",
        )
    } else if version != "2" && !version.starts_with("2.") {
        (
            Condition0357::UnsupportedVersion,
            "H104",
            12,
            "only HL7 version 2 is taken here, and MSH-12 does not say so",
            "send MSH-12 as 2.x, for example 2.5.1",
        )
    } else {
        return None;
    };
    let location = Some(header_field(field));
    Some(Reason { condition, code: Code::new(code), location, text: text.to_owned(), help })
}

/// Not for this feed. A blank processing id is no refusal: it holds when the message is read.
fn wrong_processing(message: &hl7v2::Message<'_>, feed: &Feed) -> Option<Reason> {
    let processing = message.header().field(11).component(1).text();
    if processing.is_empty() || feed.processing_ids.iter().any(|it| *it == processing) {
        return None;
    }
    Some(Reason {
        condition: Condition0357::UnsupportedProcessingId,
        code: Code::new("H105"),
        location: Some(header_field(11)),
        text: "this feed does not take this processing id".to_owned(),
        help: "send P for production, or add the id to the feed's `processing_ids`",
    })
}

/// Ours, but not a result message by its structure.
fn unreadable(message: &hl7v2::Message<'_>, deviations: &[hl7v2::Deviation]) -> Option<Reason> {
    let second = deviations.iter().find(|it| it.kind == Kind::SecondHeader);
    let (location, text, help) = if let Some(second) = second {
        (
            second.position.location,
            "what was given as one message holds several",
            "send each message by itself, or as a batch where batches are taken",
        )
    } else if message.first("OBR").is_none() {
        (
            Some(Location::segment(*b"OBR", 1)),
            "a result message needs at least one OBR segment, and there is none",
            "send the order's OBR before its OBX segments",
        )
    } else {
        return None;
    };
    Some(Reason {
        condition: Condition0357::SegmentSequence,
        code: Code::new("H106"),
        location,
        text: text.to_owned(),
        help,
    })
}
