//! XML 1.0 with namespaces, as far as messages need it: bytes to a tree of elements, safely.
//!
//! There is no document type, so no entity can be declared: one is refused, wherever it stands and whatever it says,
//! and only the five entities of XML itself and character references are read. Nothing outside the bytes is ever
//! looked at. Everything is bounded before it is built. Comments and processing instructions carry nothing here and
//! are passed over.
//!
//! `quick-xml` tokenises; this adds what it leaves to its callers: one root, names that are names, characters that
//! are characters, prefixes that are declared.

mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use encoding_rs::Encoding;

/// As for HL7 v2: room for documents beside the results.
pub const BYTES_MAX: usize = 64 << 20;
/// FHIR and HL7 v2 stay under 30; a deeper one is an attack on a reader.
pub const DEPTH_MAX: usize = 64;
/// Elements and attributes of one text: a Bundle of two thousand results, and some tens of megabytes of memory.
pub const NODES_MAX: usize = 250_000;
/// Attributes of one element.
pub const ATTRIBUTES_MAX: usize = 64;
/// An element's or attribute's name, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// The namespaces our formats are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    Fhir,
    Hl7v2,
    None,
    Other,
    Xhtml,
}

impl Namespace {
    pub const FHIR: &'static str = "http://hl7.org/fhir";
    pub const HL7V2: &'static str = "urn:hl7-org:v2xml";
    pub const XHTML: &'static str = "http://www.w3.org/1999/xhtml";

    fn of(name: &str) -> Self {
        match name {
            Self::FHIR => Self::Fhir,
            Self::HL7V2 => Self::Hl7v2,
            Self::XHTML => Self::Xhtml,
            "" => Self::None,
            _ => Self::Other,
        }
    }
}

/// One element. It has no `Debug`: its text is a patient's.
pub struct Element<'t> {
    pub namespace: Namespace,
    /// Without its prefix.
    pub name: &'t str,
    /// Whether the name is written with a prefix.
    pub prefixed: bool,
    /// Whether the element itself says what names without a prefix mean.
    pub declares_default: bool,
    /// Without declarations of namespaces and hints about schemas.
    pub attributes: Vec<Attribute>,
    pub content: Vec<Content<'t>>,
    /// The element as it stands in the text.
    pub source: &'t str,
    /// Where that begins, in bytes.
    pub offset: usize,
}

pub struct Attribute {
    /// As written, prefix included.
    pub name: String,
    pub value: String,
}

pub enum Content<'t> {
    Element(Element<'t>),
    Text(String),
}

impl<'t> Element<'t> {
    /// The elements inside, in order.
    pub fn elements(&self) -> impl Iterator<Item = &Element<'t>> {
        self.content.iter().filter_map(|it| match it {
            Content::Element(element) => Some(element),
            Content::Text(_) => None,
        })
    }

    /// Whether text other than white space stands directly inside.
    pub fn has_text(&self) -> bool {
        self.content
            .iter()
            .any(|it| matches!(it, Content::Text(text) if !text.trim_matches(is_space).is_empty()))
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|it| it.name == name).map(|it| it.value.as_str())
    }
}

/// White space, as XML has it.
pub const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// What XML 1.0 can carry, in any spelling.
pub const fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Why a text could not be read, and where: line and column from one, in characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    pub kind: Kind,
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A character that XML cannot carry, or a reference to one.
    Character,
    /// A document type: it could declare entities.
    Doctype,
    /// The declaration names a character set that is not known.
    EncodingUnknown,
    /// A reference to an entity that is not one of XML's own five.
    Entity,
    NameTooLong {
        max: usize,
    },
    /// Bytes that are no text in this character set.
    NotInEncoding {
        encoding: &'static str,
    },
    NotWellFormed {
        reason: &'static str,
    },
    TooDeep {
        max: usize,
    },
    TooLong {
        max: usize,
    },
    TooMany {
        max: usize,
    },
    TooManyAttributes {
        max: usize,
    },
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character => f.write_str("a character is one that XML forbids"),
            Self::Doctype => f.write_str("a document type is declared, which messages may not have"),
            Self::EncodingUnknown => {
                f.write_str("the XML declaration names a character set that is not known")
            }
            Self::Entity => f.write_str("an entity is none of the five that XML has of its own"),
            Self::NameTooLong { max } => write!(f, "a name is longer than {max} bytes"),
            Self::NotInEncoding { encoding } => write!(f, "the bytes are not {encoding}"),
            Self::NotWellFormed { reason } => write!(f, "the text is not well-formed XML: {reason}"),
            Self::TooDeep { max } => write!(f, "elements are nested deeper than {max}"),
            Self::TooLong { max } => write!(f, "the text is longer than {max} bytes"),
            Self::TooMany { max } => write!(f, "the text has more than {max} elements and attributes"),
            Self::TooManyAttributes { max } => write!(f, "an element has more than {max} attributes"),
        }
    }
}

/// The characters of the bytes, in the character set that [`encoding`] finds.
pub fn characters(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    let refuse = |kind| Err(Error { kind, line: 1, column: 1 });
    if bytes.len() > BYTES_MAX {
        return refuse(Kind::TooLong { max: BYTES_MAX });
    }
    let Some((encoding, mark)) = encoding(bytes) else { return refuse(Kind::EncodingUnknown) };
    let body = bytes.get(mark..).unwrap_or_default();
    match encoding.decode_without_bom_handling_and_without_replacement(body) {
        Some(text) => Ok(text),
        None => refuse(Kind::NotInEncoding { encoding: encoding.name() }),
    }
}

/// The character set by byte order mark, else by the declaration, else UTF-8; and the mark's length. `None` where the
/// declaration names one that is not known.
///
/// Bytes that declare a two-byte character set in single bytes are not of it; they are read as UTF-8 if they are.
pub fn encoding(bytes: &[u8]) -> Option<(&'static Encoding, usize)> {
    match (Encoding::for_bom(bytes), bytes) {
        (Some(marked), _) => Some(marked),
        (None, [b'<', 0, ..]) => Some((encoding_rs::UTF_16LE, 0)),
        (None, [0, b'<', ..]) => Some((encoding_rs::UTF_16BE, 0)),
        (None, _) => match declared(bytes).map(Encoding::for_label) {
            Some(None) => None,
            Some(Some(encoding))
                if encoding != encoding_rs::UTF_16LE && encoding != encoding_rs::UTF_16BE =>
            {
                Some((encoding, 0))
            }
            _ => Some((encoding_rs::UTF_8, 0)),
        },
    }
}

/// The label of the character set in the XML declaration.
fn declared(bytes: &[u8]) -> Option<&[u8]> {
    const DECLARATION_BYTES_MAX: usize = 256;
    let head = bytes.get(..DECLARATION_BYTES_MAX).unwrap_or(bytes).strip_prefix(b"<?xml")?;
    let head = head.get(..memchr::memmem::find(head, b"?>")?)?;
    let after = head.get(memchr::memmem::find(head, b"encoding")? + b"encoding".len()..)?;
    let value = after.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    value.get(..memchr::memchr(*quote, value)?)
}

/// Reads one document; the answer is its root.
pub fn read(text: &str) -> Result<Element<'_>, Error> {
    reader::read(text)
}

/// The line and column of a place in the text, both from one, the column in characters.
pub fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

/// Writes text so that it reads back the same, inside an element or an attribute in double quotes.
pub fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
}
