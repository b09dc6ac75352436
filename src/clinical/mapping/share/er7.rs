//! The leaves of HL7 v2 as ER7, one message or a batch of them, and what stands around.

use std::ops::Range;

use encoding_rs::Encoding;

use crate::clinical::attachment;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::TypeSource;
use crate::clinical::mapping::share::leaf::Form;
use crate::clinical::mapping::share::leaf::Leaf;
use crate::clinical::mapping::share::leaf::Unit;
use crate::clinical::mapping::share::leaf::plain_units;
use crate::clinical::mapping::share::treatment::Treatment;
use crate::clinical::mapping::share::treatment::kind_of;
use crate::clinical::mapping::share::treatment::of_component;
use crate::formats::characters::characters;
use crate::formats::hl7v2;
use crate::formats::hl7v2::Element;
use crate::formats::hl7v2::Written;

/// Fields of MSH that say how the message is to be read: delimiters, type, processing id, version, acknowledgement
/// conditions, character set.
const HEADER_FIELDS: [u32; 8] = [1, 2, 9, 11, 12, 15, 16, 18];
const HEADERS: [&str; 3] = ["MSH", "FHS", "BHS"];
const MESSAGE_SENT_AT: u32 = 7;
const VALUE_TYPE: u32 = 2;
/// Longer numbers in a set id's place may be a person's.
const SET_ID_DIGITS_MAX: usize = 4;

/// Where a leaf stands: `field` and what is below, zero for none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'s> {
    pub(super) segment: &'s str,
    pub(super) field: u32,
    pub(super) component: u32,
    pub(super) subcomponent: u32,
}

pub(super) fn leaves(mapping: &Mapping, bytes: &[u8]) -> (Vec<Leaf>, &'static Encoding) {
    let split = hl7v2::batch::split(bytes);
    let ranges: Vec<Range<usize>> = split.messages().collect();
    let mut found = Vec::new();
    let mut encoding: Option<&'static Encoding> = None;
    let mut end = 0;
    for range in ranges {
        around(bytes, end..range.start, &mut found);
        end = range.end;
        let Some(message) = hl7v2::decode(bytes.get(range.clone()).unwrap_or_default()).message else {
            around(bytes, range, &mut found);
            continue;
        };
        let own = message.charset().encoding();
        encoding.get_or_insert(own);
        of_message(mapping, &message, bytes, range.clone(), &mut found);
        between_segments(bytes, &message, range, &mut found);
    }
    around(bytes, end..bytes.len(), &mut found);
    found.sort_by_key(|leaf| leaf.at.start);
    (found, encoding.unwrap_or(encoding_rs::UTF_8))
}

/// What stands around messages: names of segments and counts of trailers stay, all else is hidden.
fn around(bytes: &[u8], range: Range<usize>, found: &mut Vec<Leaf>) {
    let mut start = range.start;
    let text = bytes.get(range).unwrap_or_default();
    for line in text.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
        let kept = match line {
            [b'F' | b'B', b'H', b'S', ..] => 8,
            [b'F' | b'B', b'T', b'S', separator, rest @ ..] => {
                4 + rest.iter().position(|byte| byte == separator).unwrap_or(rest.len())
            }
            _ => 0,
        };
        let from = start + kept.min(line.len());
        found.push(Leaf::plain(bytes, from..start + line.len(), Treatment::Hide, encoding_rs::UTF_8));
        start += line.len();
    }
}

/// Lines of a message that are no segment.
fn between_segments(bytes: &[u8], message: &hl7v2::Message<'_>, range: Range<usize>, found: &mut Vec<Leaf>) {
    let encoding = message.charset().encoding();
    let mut end = range.start;
    for segment in message.segments() {
        let position = segment.position().bytes;
        let start = (range.start + position.start).max(end);
        if start > end {
            found.push(Leaf::plain(bytes, end..start, Treatment::Hide, encoding));
        }
        end = range.start + position.end;
    }
    if range.end > end {
        found.push(Leaf::plain(bytes, end..range.end, Treatment::Hide, encoding));
    }
}

fn of_message(
    mapping: &Mapping,
    message: &hl7v2::Message<'_>,
    bytes: &[u8],
    range: Range<usize>,
    found: &mut Vec<Leaf>,
) {
    let encoding = message.charset().encoding();
    let mut elements = Vec::new();
    let mut treatments = Vec::new();
    for segment in message.segments() {
        let value_type = segment.field(VALUE_TYPE).text().trim().to_ascii_uppercase();
        for field in segment.fields() {
            let document = field.component(4).text().into_owned();
            for repetition in field.repetitions() {
                for component in repetition.components() {
                    for leaf in component.subcomponents().filter(|it| !it.is_empty()) {
                        let at = leaf.location();
                        let place = Place {
                            segment: segment.name(),
                            field: at.field_number().unwrap_or(0),
                            component: at.component_number().unwrap_or(1),
                            subcomponent: at.subcomponent_number().unwrap_or(1),
                        };
                        elements.push(leaf);
                        treatments.push(treatment(mapping, place, leaf.raw(), &value_type, &document));
                    }
                }
            }
        }
    }
    let ranges = hl7v2::byte_ranges(message, &elements);
    for ((element, treatment), at) in elements.iter().zip(treatments).zip(ranges) {
        let at = range.start + at.start..range.start + at.end;
        let is_document = matches!(treatment, Treatment::Document(_));
        let units = if is_document { Vec::new() } else { units(bytes, at.clone(), *element, encoding) };
        found.push(Leaf { at, units, treatment });
    }
}

/// What becomes of a leaf. `declared` is the segment's field 2, `encoded` the fourth component of the leaf's field.
pub(super) fn treatment(
    mapping: &Mapping,
    place: Place<'_>,
    raw: &str,
    declared: &str,
    encoded: &str,
) -> Treatment {
    let Place { segment, field, .. } = place;
    let is_header = HEADERS.contains(&segment);
    let is_set_id = || raw.len() <= SET_ID_DIGITS_MAX && raw.bytes().all(|byte| byte.is_ascii_digit());
    if is_header && HEADER_FIELDS.contains(&field)
        || segment == "OBX" && field == VALUE_TYPE
        || segment == "ORC" && field == 1
        || field == 1 && !is_header && is_set_id()
    {
        return Treatment::Keep;
    }
    if is_header && field == MESSAGE_SENT_AT {
        return Treatment::Date(None);
    }
    let of_rules = mapping.rules.iter().filter_map(|rule| of_rule(rule, place, declared));
    match of_rules.reduce(Treatment::and).unwrap_or(Treatment::Hide) {
        Treatment::Document(_) if attachment::is_placeholder(raw) => Treatment::Hide,
        Treatment::Document(_) => Treatment::of_encoding(encoded),
        other => other,
    }
}

fn of_rule(rule: &Rule, place: Place<'_>, declared: &str) -> Option<Treatment> {
    let kind = kind_of(rule)?;
    let type_path = match &rule.value_type {
        Some(TypeSource::Path(path)) if names(path, place).is_some() => return Some(Treatment::Keep),
        Some(TypeSource::Fixed(word)) => Some(word.as_str()),
        _ => None,
    };
    if rule.display.iter().any(|path| names(path, place).is_some()) {
        return Some(Treatment::Keep);
    }
    let part = rule.sources.iter().chain(&rule.fallback).find_map(|path| names(path, place))?;
    Some(of_component(kind, rule, part, type_path.unwrap_or(declared)))
}

/// The part of what the path names that a place is, from one; `None` where the path does not lead there.
fn names(path: &Path, place: Place<'_>) -> Option<u32> {
    let Path::Hl7v2(path) = path else { return None };
    let leads = path.segment() == place.segment
        && path.field.is_none_or(|field| field == place.field)
        && path.component.is_none_or(|it| it == place.component)
        && path.subcomponent.is_none_or(|it| it == place.subcomponent);
    let part = match (path.component, path.subcomponent) {
        (None, _) => place.component,
        (Some(_), None) => place.subcomponent,
        (Some(_), Some(_)) => 1,
    };
    leads.then_some(part)
}

/// The characters of an element, its escapes apart.
fn units(bytes: &[u8], at: Range<usize>, element: Element<'_>, encoding: &'static Encoding) -> Vec<Unit> {
    let plain = plain_units(bytes, at, encoding);
    if plain.len() != element.raw().chars().count() {
        // The bytes were read otherwise than they stand; then nothing in them is taken for an escape.
        return plain;
    }
    let mut plain = plain.into_iter();
    let mut units = Vec::new();
    let mut is_after_stray = false;
    for part in element.written() {
        let (Written::Escape(text) | Written::Hex(text) | Written::Stray(text) | Written::Text(text)) = part;
        let own: Vec<Unit> = plain.by_ref().take(text.chars().count()).collect();
        match part {
            Written::Hex(digits) => units.extend(hexadecimal(digits, &own, encoding)),
            Written::Escape(_) | Written::Stray(_) => {
                units.extend(own.into_iter().map(|unit| Unit { form: Form::Fixed, ..unit }));
            }
            Written::Text(_) => units.extend(own.into_iter().enumerate().map(|(number, unit)| {
                // Another capital could make an escape of what is none.
                let stays = is_after_stray && number == 0 && unit.character.is_ascii_uppercase();
                if stays { Unit { form: Form::Fixed, ..unit } } else { unit }
            })),
        }
        is_after_stray = matches!(part, Written::Stray(_));
    }
    units
}

/// The characters that the digits of a hexadecimal escape stand for.
fn hexadecimal(digits: &str, own: &[Unit], encoding: &'static Encoding) -> Vec<Unit> {
    let pairs = digits.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let meant: Vec<u8> = pairs.filter_map(byte).collect();
    let unit = |(range, character): (Range<usize>, char)| {
        let first = own.get(range.start * 2)?;
        let last = own.get((range.end * 2).checked_sub(1)?)?;
        let form = if character == char::REPLACEMENT_CHARACTER { Form::Fixed } else { Form::Hexadecimal };
        Some(Unit { at: first.at.start..last.at.end, character, form })
    };
    characters(encoding, &meant).into_iter().filter_map(unit).collect()
}
