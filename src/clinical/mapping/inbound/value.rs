//! The value of a result (OBX-5), by its declared type (OBX-2).
//!
//! A number is read only where the type allows one and the text is one. Anything else stays the text that was sent: a
//! decimal comma, a trailing `*` or an unknown type is told, and never repaired.

use std::borrow::Cow;

use crate::clinical::attachment;
use crate::clinical::attachment::Encoding;
use crate::clinical::attachment::Fault;
use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::composite::code_of;
use crate::clinical::mapping::inbound::composite::part;
use crate::clinical::mapping::inbound::composite::words;
use crate::clinical::mapping::inbound::reader::Reader;
use crate::clinical::mapping::inbound::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::RuleId;
use crate::clinical::mapping::plan::TypeSource;
use crate::clinical::model::AbsentReason;
use crate::clinical::model::Attachment;
use crate::clinical::model::Comparator;
use crate::clinical::model::Number;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Value;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2::Element;
use crate::formats::hl7v2::Location;

/// A value, the document it may carry, and whether rules may speak of it.
pub(super) struct ReadValue {
    pub(super) value: Value,
    pub(super) attachment: Option<Attachment>,
    pub(super) interpretable: bool,
}

impl ReadValue {
    const fn plain(value: Value) -> Self {
        Self { value, attachment: None, interpretable: true }
    }

    const fn uninterpreted(value: Value) -> Self {
        Self { value, attachment: None, interpretable: false }
    }
}

impl<'a, 'm> Reader<'a, 'm> {
    pub(super) fn value(&mut self, scope: Scope<'_>, obx: Location, status: ResultStatus) -> ReadValue {
        let Some(rule) = self.rule(Field::ResultValue, scope) else {
            return ReadValue::plain(Value::Absent { reason: AbsentReason::Unknown });
        };
        let sent_type = self.value_type(rule, scope);
        let elements = self.all(rule, scope);
        let [first, rest @ ..] = elements.as_slice() else {
            let announced = sent_type.as_deref() == Some("ED")
                && !matches!(status, ResultStatus::Cancelled | ResultStatus::Registered);
            if announced {
                self.decide(Decision::Hold, Fault::Missing.diagnostic(obx.field(5).to_string()));
            }
            return self.absent(rule.1, scope, obx, status);
        };
        let decision = rule.1.unmapped.unwrap_or(Decision::Keep);
        let Some(sent_type) = sent_type else {
            let message = "the value has no type (OBX-2), so no number is read from it";
            let help = "ask the sender to fill OBX-2: NM for a number, ST for text";
            self.decide_at(decision, code::NO_TYPE, first.location(), message, help);
            return ReadValue::uninterpreted(text_of(&elements));
        };
        if let Some((_, meant)) = rule.1.retype.iter().find(|(from, _)| *from == sent_type)
            && rest.is_empty()
            && let Some(value) = number(*first, rule.1)
                .or_else(|| structured(*first, rule.1))
                .filter(|_| matches!(meant.as_str(), "NM" | "SN"))
        {
            return ReadValue::plain(value);
        }
        if !rest.is_empty() && !matches!(sent_type.as_ref(), "ED" | "ST" | "TX" | "FT" | "ID" | "IS") {
            let message = "the value repeats: its repetitions are kept as lines of text";
            let help = "ask the sender for one OBX for each value";
            self.warn(code::REPEATED, first.location(), message, help);
            return ReadValue::uninterpreted(text_of(&elements));
        }
        self.typed(rule.1, &sent_type, &elements, decision, obx)
    }

    fn typed(
        &mut self,
        rule: &Rule,
        sent_type: &str,
        all: &[Element<'m>],
        decision: Decision,
        obx: Location,
    ) -> ReadValue {
        let Some(element) = all.first().copied() else { return ReadValue::uninterpreted(text_of(all)) };
        match sent_type {
            "NM" => self.numeric(element, rule, decision),
            "SN" => match structured(element, rule) {
                Some(value) => ReadValue::plain(value),
                None => self.not_of_type("SN", element, joined(element), decision),
            },
            "NR" => match range(element, rule) {
                Some(value) => ReadValue::plain(value),
                None => self.not_of_type("NR", element, joined(element), decision),
            },
            "ST" | "TX" | "FT" | "ID" | "IS" | "SI" | "TM" => ReadValue::plain(text_of(all)),
            "CE" | "CWE" | "CNE" | "CF" => ReadValue::plain(Value::Coded { code: code_of(element) }),
            "DT" | "TS" | "DTM" => match self.moment_of(element, sent_type == "DT", decision) {
                Some(moment) => ReadValue::plain(Value::Moment { moment }),
                None => ReadValue::uninterpreted(text_of(all)),
            },
            "ED" => self.embedded(element, all, obx),
            "RP" => self.pointer(element, decision, obx),
            _ => {
                let message = format!("values of type `{sent_type}` are kept as text");
                let help = "nothing need be done; rules do not speak of this result";
                self.warn(code::UNREAD_TYPE, element.location(), message, help);
                ReadValue::uninterpreted(text_of(all))
            }
        }
    }

    fn value_type(&mut self, (id, rule): (RuleId, &'a Rule), scope: Scope<'_>) -> Option<Cow<'m, str>> {
        match rule.value_type.as_ref()? {
            TypeSource::Fixed(word) => Some(Cow::Owned(word.clone())),
            TypeSource::Path(path) => {
                let mut found = None;
                self.visit_path(id, path, scope, |element| {
                    found = found.take().or_else(|| words(element.component(1)));
                });
                found
            }
        }
    }

    fn absent(&mut self, rule: &Rule, scope: Scope<'_>, obx: Location, status: ResultStatus) -> ReadValue {
        let null = rule.sources.iter().any(|path| self.is_null(path, scope));
        let reason = match status {
            ResultStatus::Cancelled => AbsentReason::NotPerformed,
            ResultStatus::Registered => AbsentReason::Pending,
            _ if null => AbsentReason::Null,
            _ => AbsentReason::Unknown,
        };
        if reason == AbsentReason::Unknown {
            let help =
                "look at the notes beside it, or ask the laboratory; the result is shown without a value";
            self.warn(code::NO_VALUE, obx.field(5), "the result has no value, and nothing says why", help);
        }
        ReadValue::plain(Value::Absent { reason })
    }

    fn numeric(&mut self, element: Element<'m>, rule: &Rule, decision: Decision) -> ReadValue {
        let Some(value) = number(element, rule) else {
            return self.not_of_type("NM", element, element.text().into_owned(), decision);
        };
        if matches!(&value, Value::Quantity { comparator: Some(_), .. }) {
            // Labs send `<0.01` as NM, which chapter 2A does not allow (it is an SN). The comparator is clinically
            // meaningful, so it is kept beside the number and does not hold.
            let help = "nothing need be done; the standard's type for it is SN";
            self.warn(code::COMPARATOR, element.location(), "a number (NM) has a comparator before it", help);
        }
        ReadValue::plain(value)
    }

    fn not_of_type(
        &mut self,
        declared: &str,
        element: Element<'m>,
        text: String,
        decision: Decision,
    ) -> ReadValue {
        let message =
            format!("the value is not of its declared type {declared}; it is kept as the text that was sent");
        let help = format!(
            "ask the sender to send text as ST, and {declared} as the standard has it (a decimal point, no trailing marks)"
        );
        self.decide_at(decision, code::NOT_OF_TYPE, element.location(), &message, &help);
        ReadValue::uninterpreted(Value::Text { text })
    }

    /// ED: source application, type, subtype, encoding, data (chapter 2A, §2.A.24).
    fn embedded(&mut self, element: Element<'m>, all: &[Element<'m>], obx: Location) -> ReadValue {
        let data = element.component(5);
        let media_type = media_type(element);
        let escape = data.escape_character();
        let read = match Encoding::read(&part(element.component(4)).unwrap_or_default()) {
            _ if all.len() > 1 => Err(Fault::Several),
            // Some senders put words in place of all the components.
            _ if !element.is_divided() => Err(Fault::Missing),
            None => Err(Fault::EncodingUnknown),
            Some(encoding) => {
                attachment::decode_field(media_type.as_deref(), encoding, data.raw(), escape, || data.text())
            }
        };
        match read {
            Ok(document) => ReadValue {
                // The index is set where the report's attachments are gathered.
                value: Value::Attachment { index: 0 },
                attachment: Some(Attachment::of(obx.to_string(), media_type, document)),
                interpretable: true,
            },
            Err(fault) => {
                // Never by the mapping's leave: a broken document is no text and no document.
                self.decide(Decision::Hold, fault.diagnostic(data.location().to_string()));
                ReadValue::uninterpreted(Value::Absent { reason: AbsentReason::Unknown })
            }
        }
    }

    /// RP: pointer, application, type, subtype (chapter 2A, §2.A.65). It is kept as text, and nobody follows it.
    fn pointer(&mut self, element: Element<'m>, decision: Decision, obx: Location) -> ReadValue {
        let Some(pointer) = part(element.component(1)) else {
            self.decide(Decision::Hold, Fault::Missing.diagnostic(element.location().to_string()));
            return ReadValue::uninterpreted(Value::Absent { reason: AbsentReason::Unknown });
        };
        let message = "the document is only pointed at (RP), and the gateway fetches none";
        let help = "ask the sender to embed documents (ED), or read it where the laboratory keeps it";
        self.decide_at(decision, code::POINTER, element.location(), message, help);
        let attachment = Attachment {
            id: obx.to_string(),
            media_type: media_type_of(part(element.component(3)), part(element.component(4))),
            bytes: None,
            sha256: None,
            document: None,
            pointer: Some(Sensitive::new(pointer)),
            title: None,
        };
        ReadValue { value: Value::Attachment { index: 0 }, attachment: Some(attachment), interpretable: true }
    }

    fn decide_at(&mut self, decision: Decision, code: Code, at: Location, message: &str, help: &str) {
        self.decide(decision, Diagnostic::error(code, message).at(at.to_string()).help(help));
    }
}

fn media_type(element: Element<'_>) -> Option<String> {
    media_type_of(part(element.component(2)), part(element.component(3)))
}

/// HL7 tables 0191 and 0291 as a MIME type, or the MIME type itself where the sender wrote one.
fn media_type_of(kind: Option<String>, subtype: Option<String>) -> Option<String> {
    let kind = kind.unwrap_or_default();
    let subtype = subtype.unwrap_or_default().to_ascii_lowercase();
    if kind.contains('/') {
        return Some(kind.to_ascii_lowercase());
    }
    match subtype.as_str() {
        "pdf" => return Some("application/pdf".to_owned()),
        "" => return kind.eq_ignore_ascii_case("pdf").then(|| "application/pdf".to_owned()),
        _ if subtype.contains('/') => return Some(subtype),
        _ => {}
    }
    let top = match kind.to_ascii_lowercase().as_str() {
        "ap" | "application" => "application",
        "au" | "audio" => "audio",
        "im" | "image" => "image",
        "text" | "tx" | "ft" => "text",
        "video" => "video",
        _ => return None,
    };
    let subtype = if subtype == "jpg" { "jpeg" } else { subtype.as_str() };
    Some(format!("{top}/{subtype}"))
}

/// A number, with a comparator before it if there is one.
fn number(element: Element<'_>, rule: &Rule) -> Option<Value> {
    if element.is_divided() {
        return None;
    }
    let text = element.text();
    let sent = text.trim();
    let read = rule.numeric(sent)?;
    let (comparator, digits) = match Comparator::split(&read) {
        Some((comparator, digits)) => (Some(comparator), digits),
        None => (None, read.as_ref()),
    };
    Some(Value::Quantity { sent: sent.to_owned(), comparator, number: Number::parse(digits)? })
}

/// SN: comparator, number, separator, number (chapter 2A, §2.A.70).
fn structured(element: Element<'_>, rule: &Rule) -> Option<Value> {
    let [first, one, separator, two] = [1, 2, 3, 4].map(|place| part(element.component(place)));
    let parse = |text: &str| Number::parse(&rule.numeric(text)?);
    if element.components().count() > 4 {
        return None;
    }
    let comparator = match first.as_deref() {
        None | Some("=") => None,
        Some(text) => match Comparator::split(text) {
            Some((comparator, "")) => Some(comparator),
            // `<>` and words have no comparator of ours; `<5` in one part is no SN.
            _ => return None,
        },
    };
    let number = parse(&one?)?;
    let sent = joined(element);
    match (separator.as_deref(), two) {
        (None, None) => Some(Value::Quantity { sent, comparator, number }),
        (Some("-"), Some(high)) if comparator.is_none() => {
            Some(Value::Range { sent, low: number, high: parse(&high)? })
        }
        (Some(":" | "/"), Some(low)) => {
            Some(Value::Ratio { sent, comparator, numerator: number, denominator: parse(&low)? })
        }
        _ => None,
    }
}

/// NR: low and high.
fn range(element: Element<'_>, rule: &Rule) -> Option<Value> {
    let [low, high] = [part(element.component(1))?, part(element.component(2))?];
    let parse = |text: &str| Number::parse(&rule.numeric(text)?);
    Some(Value::Range { low: parse(&low)?, high: parse(&high)?, sent: format!("{low}-{high}") })
}

/// The components one after the other, as a person would write them.
fn joined(element: Element<'_>) -> String {
    element.components().filter_map(part).collect()
}

fn text_of(elements: &[Element<'_>]) -> Value {
    let lines: Vec<_> = elements.iter().map(Element::text).collect();
    Value::Text { text: lines.join("\n") }
}
