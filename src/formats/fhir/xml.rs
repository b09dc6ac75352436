//! FHIR's XML to the tree of its JSON, and back (R4, "XML" and "JSON" representations).
//!
//! FHIR XML has no types, so three things come out as the text says them and no more:
//! - numbers and booleans are [`Node::Text`], digits as sent;
//! - one element is itself and not a list of one ([`Node::items`] makes the two the same); several are a list;
//! - an element with extensions and no value is a primitive (`_name`) where R4 has a primitive of that name, else an
//!   element of its own. `primitive.rs` knows the names.
//!
//! A narrative's `div` is kept as its exact text. Comments and processing instructions carry nothing and are not kept
//! (FHIR allows that). Anything else that has no place in FHIR XML is refused: text between elements, a foreign
//! namespace, an unknown attribute. What the elements mean is not known here.

mod decode;
mod encode;
mod primitive;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::tree::Node;
use crate::formats::xml;

/// Reads one resource.
pub fn decode(bytes: &[u8]) -> Result<Node, Error> {
    let text = xml::characters(bytes)?;
    let root = xml::read(&text)?;
    decode::resource(&root).map_err(|(kind, offset)| {
        let (line, column) = xml::place(&text, offset);
        Error { kind, line, column }
    })
}

/// Writes one resource; [`decode`] reads from it what it would read from the XML the tree came from.
pub fn encode(resource: &Node) -> Result<String, EncodeError> {
    encode::document(resource)
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
    AttributeUnknown,
    /// A primitive with elements that are not extensions.
    ElementInPrimitive,
    /// Elements of one name of which some are primitives and others not.
    Mixed,
    NameNotFhir,
    /// An element of a namespace that has no place here.
    NamespaceForeign,
    /// The root is no resource of FHIR.
    NotFhir,
    /// An element around a resource holds something else as well.
    ResourceNotAlone,
    Text,
    Xml(xml::Kind),
}

impl From<xml::Error> for Error {
    fn from(error: xml::Error) -> Self {
        Self { kind: Kind::Xml(error.kind), line: error.line, column: error.column }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xml(kind) => return kind.fmt(f),
            Self::AttributeUnknown => "an attribute is none that FHIR has there",
            Self::ElementInPrimitive => "an element with a value holds elements that are not extensions",
            Self::Mixed => "of the elements of one name some have a value and others elements",
            Self::NameNotFhir => "an element's name is none that FHIR could have",
            Self::NamespaceForeign => "an element is of a namespace that has no place in FHIR",
            Self::NotFhir => "the root is no resource in the namespace http://hl7.org/fhir",
            Self::ResourceNotAlone => "an element holds a resource and something else",
            Self::Text => "text stands between elements, where FHIR has none",
        })
    }
}

impl Error {
    /// The stable code of this kind of error.
    pub const fn code(&self) -> &'static str {
        match self.kind {
            Kind::Xml(xml::Kind::NotWellFormed { .. }) => "F005",
            Kind::Xml(xml::Kind::Doctype | xml::Kind::Entity) => "F006",
            Kind::Xml(
                xml::Kind::Character | xml::Kind::EncodingUnknown | xml::Kind::NotInEncoding { .. },
            ) => "F004",
            Kind::Xml(
                xml::Kind::NameTooLong { .. }
                | xml::Kind::TooDeep { .. }
                | xml::Kind::TooLong { .. }
                | xml::Kind::TooMany { .. }
                | xml::Kind::TooManyAttributes { .. },
            ) => "F003",
            _ => "F007",
        }
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let help = match self.code() {
            "F003" => "ask the sender to send less in one message",
            "F004" => "ask the sender to write UTF-8",
            "F005" => "ask the sender to send the message again, whole and well-formed",
            "F006" => "ask the sender to write characters as themselves, without a document type",
            _ => "ask the sender to check the message against FHIR R4's XML schemas",
        };
        Diagnostic::error(Code::new(self.code()), self.kind.to_string())
            .at(format!("line {}, column {}", self.line, self.column))
            .help(help)
    }
}

/// Why a tree cannot be written as FHIR XML. The elements' names lead to the place; they are FHIR's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("`{at}` holds a character that XML cannot carry")]
    Character { at: String },
    #[error("the narrative in `{at}` is not one `div` of well-formed XHTML")]
    Div { at: String },
    #[error("a member of `{at}` has a name that is none of FHIR's")]
    Name { at: String },
    #[error("the tree is no resource: it has no resource type")]
    NotAResource,
    #[error("`{at}` has a shape that FHIR does not know")]
    Shape { at: String },
}

impl EncodeError {
    /// The stable code of all of them.
    pub const fn code(&self) -> &'static str {
        "F008"
    }

    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error(Code::new(self.code()), self.to_string()).help("ask for the resource as JSON")
    }
}
