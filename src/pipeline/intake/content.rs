//! What the door can see of a message before a mapping reads it: the sender's name for it, and whether it is whole.
//!
//! Each format is only looked at as far as the answer needs. What a message means is for its mapping, later.

use std::borrow::Cow;

use crate::clinical::mapping::Catalog;
use crate::clinical::mapping::Mapping;
use crate::clinical::mapping::language::Format;
use crate::diagnostic::Diagnostic;
use crate::formats::fhir::incoming;
use crate::formats::hl7v2;
use crate::formats::hl7v2::xml;
use crate::pipeline::feeds::Door;
use crate::pipeline::feeds::Feed;
use crate::pipeline::intake::tree;

/// A message as the door sees it.
pub(super) struct Content<'a> {
    pub(super) format: Format,
    /// Its header and structure, where it is HL7 v2.
    pub(super) message: Option<&'a hl7v2::Message<'a>>,
    /// The sender's own name for the message; empty where it gave none.
    pub(super) control_id: Cow<'a, str>,
    /// What later messages may ask for by: FHIR's identifiers of reports.
    pub(super) names: Vec<String>,
    /// Names under which the sender asks that nothing be made if they are there already (FHIR's conditional create).
    pub(super) unless: Vec<String>,
}

/// What was seen of a message that is not HL7 v2.
pub(super) struct Seen {
    pub(super) content: Content<'static>,
    /// Who the message says it is from, where it says so.
    pub(super) sender: Option<String>,
    /// Why it cannot be read as what it says it is.
    pub(super) problems: Vec<Diagnostic>,
}

impl<'a> Content<'a> {
    pub(super) fn of(message: Option<&'a hl7v2::Message<'a>>) -> Self {
        let control_id = message.map_or(Cow::Borrowed(""), hl7v2::Message::control_id);
        Self { message, control_id, ..Self::named(Format::Hl7v2, String::new()) }
    }

    fn named(format: Format, control_id: String) -> Self {
        Self {
            format,
            message: None,
            control_id: Cow::Owned(control_id),
            names: Vec::new(),
            unless: Vec::new(),
        }
    }
}

/// How the messages of a feed are written: a FHIR feed's as FHIR, any other's as its mapping says.
pub(super) fn format_of(feed: &Feed, catalog: &Catalog) -> Format {
    match feed.door {
        Door::Fhir => Format::Fhir,
        Door::Http | Door::Mllp | Door::Sftp | Door::SftpPoll => {
            catalog.lab(&feed.mapping).map_or(Format::Hl7v2, Mapping::format)
        }
    }
}

/// How a message that is decided anew is written: as its feed's mapping says now; by its first bytes, where no mapping
/// is at hand.
pub(super) fn format_again(feed: &Feed, catalog: Option<&Catalog>, raw: &[u8]) -> Format {
    match catalog {
        Some(catalog) => format_of(feed, catalog),
        None if feed.door == Door::Mllp => Format::Hl7v2,
        None => other_than_hl7(raw).unwrap_or(Format::Hl7v2),
    }
}

/// FHIR or JSON by the first bytes; none for what may be HL7 v2.
fn other_than_hl7(raw: &[u8]) -> Option<Format> {
    let text = String::from_utf8_lossy(raw);
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{b}'));
    match text.bytes().next()? {
        b'<' if !text.contains("urn:hl7-org:v2xml") => Some(Format::Fhir),
        b'{' if text.contains("\"resourceType\"") => Some(Format::Fhir),
        b'{' | b'[' => Some(Format::Json),
        _ => None,
    }
}

/// The message as ER7: as it is, or from the XML encoding of the same structures.
///
/// # Errors
/// What of the XML cannot be read; it is broken as a whole.
pub(super) fn er7(raw: &[u8]) -> Result<Cow<'_, [u8]>, Seen> {
    if !xml::looks_like_xml(raw) {
        return Ok(Cow::Borrowed(raw));
    }
    match xml::convert(raw) {
        Ok(converted) => Ok(Cow::Owned(converted.er7)),
        Err(error) => Err(Seen::broken(Format::Hl7v2, Box::new(error.diagnostic()))),
    }
}

/// Looks at a message that is not HL7 v2. `unless` is the condition the request bore beside it.
/// `mapping` says where a JSON document has its control id.
pub(super) fn look(format: Format, raw: &[u8], unless: Option<&str>, mapping: Option<&Mapping>) -> Seen {
    match format {
        Format::Fhir => fhir(raw, unless),
        Format::Json => match tree::json(raw) {
            Ok(_) => {
                let control_id = mapping.and_then(|it| it.control_id(raw)).unwrap_or_default();
                Seen::whole(Content::named(format, control_id))
            }
            Err(problem) => Seen::broken(format, problem),
        },
        Format::Csv | Format::Hl7v2 => Seen::whole(Content::named(format, String::new())),
    }
}

fn fhir(raw: &[u8], unless: Option<&str>) -> Seen {
    let read = match tree::fhir(raw).and_then(|root| incoming::read(&root)) {
        Ok(read) => read,
        Err(problem) => return Seen::broken(Format::Fhir, problem),
    };
    let asked = unless.into_iter().chain(read.conditions.iter().map(String::as_str));
    // A condition the door cannot answer is no reason to lose the results: they are kept, and matched by their numbers.
    let unless: Option<Vec<String>> =
        asked.map(|it| Some(name_of(&incoming::asked_identifier(it)?))).collect();
    let unless = unless.unwrap_or_default();
    let names = read.identifiers.iter().map(|it| name_of(it)).collect();
    let content = Content { names, unless, ..Content::named(Format::Fhir, read.control_id) };
    Seen { sender: read.source, ..Seen::whole(content) }
}

/// Under what a report's identifier is found; no control id looks like it.
fn name_of(identifier: &str) -> String {
    format!("report\n{identifier}")
}

impl Seen {
    fn whole(content: Content<'static>) -> Self {
        Self { content, sender: None, problems: Vec::new() }
    }

    fn broken(format: Format, problem: Box<Diagnostic>) -> Self {
        Self { problems: vec![*problem], ..Self::whole(Content::named(format, String::new())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fhir_or_json_shows_by_its_first_bytes() {
        for (raw, format) in [
            ("\u{feff} {\"resourceType\": \"Bundle\"}", Some(Format::Fhir)),
            ("<Bundle xmlns=\"http://hl7.org/fhir\"/>", Some(Format::Fhir)),
            ("{\"order\": 1}", Some(Format::Json)),
            ("<ORU_R01 xmlns=\"urn:hl7-org:v2xml\"/>", None),
            ("MSH|^~\\&|A", None),
            ("", None),
        ] {
            assert!(other_than_hl7(raw.as_bytes()) == format, "{raw}");
        }
    }
}
