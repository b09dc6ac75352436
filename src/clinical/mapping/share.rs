//! A copy of a message that is safe to send to support: the same structure, lengths, delimiters, faults and check
//! digits; other people.
//!
//! What is clinical stays, so that the mapping does with the copy what it did with the message: codes, units, ranges,
//! flags, statuses, types and numbers that a rule reads as such. Everything else is hidden, whether a rule reads it or
//! not. Bytes that are no text stay no text. Dates move together; a word becomes the same other word wherever it
//! stands, and none that the message has.
//!
//! Start at [`share`]. `treatment.rs` says what is clinical, one file for each format finds the leaves and their
//! bytes, `disguise.rs` changes one. That a copy names nobody and reads the same is proved in `tests/it/mapping_author/share.rs`.

mod dates;
mod disguise;
mod document;
mod er7;
mod json;
mod leaf;
mod letters;
mod pseudonym;
mod table;
mod treatment;
mod tree;
mod xml;

use self::disguise::Disguise;
use self::pseudonym::Pseudonyms;
use self::treatment::Treatment;
use self::tree::Policy;
use crate::clinical::mapping::inbound;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::model::Sensitive;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::fhir;
use crate::formats::hl7v2;
use crate::formats::json as json_format;

const NOT_HIDDEN: Code = Code::new("M080");

/// Chance, from which all replacements of one copy are made. Without it nobody can tell whom a copy is of.
#[derive(Debug, Clone)]
pub struct Key(Sensitive<[u8; 32]>);

impl Key {
    pub const fn from_random(bytes: [u8; 32]) -> Self {
        Self(Sensitive::new(bytes))
    }
}

/// The copy of a message, as long as the message.
///
/// # Errors
///
/// M080 where a character has none of its length to stand for it; then there is no copy.
pub fn share(mapping: &Mapping, message: &[u8], key: &Key) -> Result<Vec<u8>, Box<Diagnostic>> {
    let is_xml = hl7v2::xml::looks_like_xml(message) || message.trim_ascii_start().starts_with(b"<");
    let (leaves, encoding, types) = match mapping.format() {
        Format::Csv => {
            let (leaves, encoding) = table::leaves(mapping, message);
            (leaves, encoding, Vec::new())
        }
        Format::Hl7v2 if is_xml => {
            let (leaves, encoding) = xml::leaves(mapping, message, &Policy::default());
            (leaves, encoding, Vec::new())
        }
        Format::Hl7v2 => {
            let (leaves, encoding) = er7::leaves(mapping, message);
            (leaves, encoding, Vec::new())
        }
        Format::Fhir if inbound::is_xml(message) => {
            let policy = Policy::of(mapping, fhir::xml::decode(message).ok().as_ref(), message);
            let (leaves, encoding) = xml::leaves(mapping, message, &policy);
            (leaves, encoding, policy.types)
        }
        Format::Fhir | Format::Json => {
            let policy = Policy::of(mapping, json_format::decode(message).ok().as_ref(), message);
            (json::leaves(mapping, message, &policy), encoding_rs::UTF_8, policy.types)
        }
    };
    let mut disguise = Disguise {
        pseudonyms: Pseudonyms::new(key, encoding),
        encoding,
        zone: mapping.time_zone.as_ref(),
        choosing: treatment::choosing_words(mapping),
        types,
    };
    for leaf in &leaves {
        disguise.note(leaf);
    }
    let days = disguise.pseudonyms.days();
    let escape = match mapping.format() {
        Format::Hl7v2 if !is_xml => hl7v2::decode(message).message.and_then(|it| it.delimiters().escape),
        _ => None,
    };
    let mut copy = message.to_vec();
    let mut is_hidden = true;
    for leaf in &leaves {
        if let Treatment::Document(form) = leaf.treatment {
            document::empty(message, leaf.at.clone(), form, escape, &mut copy);
        } else {
            is_hidden &= disguise.write(message, leaf, days, &mut copy);
        }
    }
    if is_hidden { Ok(copy) } else { Err(Box::new(not_hidden(encoding.name()))) }
}

fn not_hidden(encoding: &str) -> Diagnostic {
    let message =
        format!("a character of the message has no other of its length in {encoding}; there is no copy");
    Diagnostic::error(NOT_HIDDEN, message)
        .help("replace the names by hand, or describe the message's shape to support instead of sending it")
}
