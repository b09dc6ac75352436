//! Each value as a person reads it: short, and so that two that differ look different.

use crate::clinical::mapping::comparison::fields::Document;
use crate::clinical::model::AbsentReason;
use crate::clinical::model::Address;
use crate::clinical::model::Code;
use crate::clinical::model::Flag;
use crate::clinical::model::Identifier;
use crate::clinical::model::IdentifierKind;
use crate::clinical::model::Moment;
use crate::clinical::model::Note;
use crate::clinical::model::PersonName;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Sex;
use crate::clinical::model::System;
use crate::clinical::model::Telecom;
use crate::clinical::model::Unit;
use crate::clinical::model::Value;

/// Longer texts tell a story, and stories name people.
const WORDS_CHARS_MAX: usize = 60;

/// Whether a value is prose.
pub(super) fn is_narrative(text: &str) -> bool {
    text.contains('\n') || text.chars().nth(WORDS_CHARS_MAX).is_some()
}

/// What a test is called: by its LOINC code where either side has one, else by what was sent.
pub(super) fn test(codes: [Option<&Code>; 2]) -> Option<String> {
    let mut known = codes.into_iter().flatten();
    let loinc = known.clone().find_map(|it| Some((it.in_system(System::LOINC)?, it)));
    let (code, it) = if let Some(found) = loinc {
        found
    } else {
        let it = known.next()?;
        (it.codings.first().map_or("", |coding| coding.code.as_str()), it)
    };
    let label = it.label();
    Some(if code.is_empty() || code == label { label.to_owned() } else { format!("{code} {label}") })
}

pub(super) fn code(it: &Code) -> Option<String> {
    let codings = it.codings.iter().map(|coding| {
        let system = match &coding.system {
            Some(system) if system.0 == System::LOINC => Some("LOINC"),
            Some(system) => Some(system.0.as_str()),
            None => coding.sent_system.as_deref(),
        };
        let parts =
            [Some(coding.code.as_str()), coding.display.as_deref(), coding.version.as_deref(), system];
        join(parts.into_iter().flatten(), " ")
    });
    let text = it.text.iter().map(|text| format!("\"{text}\""));
    all(codings.chain(text))
}

pub(super) fn codes(them: &[Code]) -> Option<String> {
    all(them.iter().filter_map(code))
}

/// A number bare, anything else with what it was taken for: the same characters may be one or the other.
pub(super) fn value(it: &Value) -> Option<String> {
    Some(match it {
        Value::Absent { reason } => format!("no value: {}", absent(*reason)),
        Value::Attachment { .. } => "a document".to_owned(),
        Value::Coded { code: coded } => return code(coded),
        Value::Moment { moment: it } => return moment(Some(it)),
        Value::Quantity { sent, .. } => sent.clone(),
        Value::Range { low, high, .. } => format!("{low} to {high}"),
        Value::Ratio { comparator, numerator, denominator, .. } => {
            let comparator = comparator.map_or("", |it| it.as_str());
            format!("{comparator}{numerator}:{denominator}")
        }
        Value::Text { text } => format!("\"{text}\""),
    })
}

const fn absent(reason: AbsentReason) -> &'static str {
    match reason {
        AbsentReason::NotPerformed => "not performed",
        AbsentReason::Null => "deleted by the sender",
        AbsentReason::Pending => "not there yet",
        AbsentReason::Unknown => "nobody says why",
    }
}

pub(super) fn unit(it: Option<&Unit>) -> Option<String> {
    let Unit { sent, ucum, factor } = it?;
    if let (Some(ucum), Some(factor)) = (ucum, factor) {
        return Some(format!("{sent} (UCUM {ucum}, times {factor})"));
    }
    Some(match ucum {
        Some(ucum) if ucum == sent => sent.clone(),
        Some(ucum) => format!("{sent} (UCUM {ucum})"),
        None => format!("{sent} (no UCUM)"),
    })
}

pub(super) fn flags(them: &[Flag]) -> Option<String> {
    all(them.iter().map(|it| match &it.text {
        Some(text) if *text != it.sent => format!("{} {text}", it.sent),
        _ => it.sent.clone(),
    }))
}

pub(super) fn moment(it: Option<&Moment>) -> Option<String> {
    let Moment { sent, iso } = it?;
    Some(if sent == iso { iso.clone() } else { format!("{iso} (sent {sent})") })
}

pub(super) fn interpreted(is: bool) -> String {
    if is { "interpreted" } else { "not interpreted" }.to_owned()
}

pub(super) fn yes_or_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

pub(super) fn document(it: &Document<'_>) -> String {
    let (media_type, sha256, pointer, title) = it;
    let parts = [*media_type, *title, *sha256, pointer.map(Sensitive::expose)];
    join(parts.into_iter().flatten().map(String::as_str), " ")
}

pub(super) fn notes(them: &[Note]) -> Option<String> {
    all(them.iter().map(|it| {
        let source = it.source.as_ref().map_or(String::new(), |source| format!("{source}: "));
        format!("{source}{}", it.text)
    }))
}

pub(super) fn extra(them: &[(String, String)]) -> Option<String> {
    all(them.iter().map(|(name, text)| format!("{name}: {text}")))
}

pub(super) fn identifiers(them: &[Identifier]) -> Option<String> {
    all(them.iter().map(|it| {
        let kind = match it.kind {
            IdentifierKind::NhsNumber => "NHS number",
            IdentifierKind::NhsNumberInvalid => "not an NHS number",
            IdentifierKind::Other => "number",
        };
        let parts = [Some(it.value.expose()), it.type_code.as_ref(), it.authority.as_ref()];
        join([kind].into_iter().chain(parts.into_iter().flatten().map(String::as_str)), " ")
    }))
}

pub(super) fn names(them: &[PersonName]) -> Option<String> {
    all(them.iter().map(|it| {
        let given = it.given.iter().map(Sensitive::expose);
        let parts = it.prefix.iter().chain(given).chain(it.family.iter().map(Sensitive::expose));
        join(parts.chain(&it.suffix).chain(&it.type_code).map(String::as_str), " ")
    }))
}

pub(super) fn sex(sex: Option<Sex>, sent: Option<&str>) -> Option<String> {
    match (sex, sent) {
        (None, None) => None,
        (sex, None) => sex.map(|it| it.as_str().to_owned()),
        (sex, Some(sent)) => Some(format!("{} (sent {sent})", sex.map_or("not known", Sex::as_str))),
    }
}

pub(super) fn addresses(them: &[Address]) -> Option<String> {
    all(them.iter().map(|it| {
        let parts = it.lines.iter().chain(&it.city).chain(&it.district).chain(&it.postcode);
        join(parts.map(Sensitive::expose).chain(&it.country).chain(&it.type_code).map(String::as_str), ", ")
    }))
}

pub(super) fn telecoms(them: &[Telecom]) -> Option<String> {
    all(them.iter().map(|it| {
        let parts = [Some(it.value.expose()), it.use_code.as_ref(), it.equipment.as_ref()];
        join(parts.into_iter().flatten().map(String::as_str), " ")
    }))
}

/// One after the other; `None` where there is none.
fn all(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<String> = texts.collect();
    (!texts.is_empty()).then(|| texts.join(" | "))
}

fn join<'t>(texts: impl Iterator<Item = &'t str>, between: &str) -> String {
    texts.collect::<Vec<_>>().join(between)
}
