//! HL7 v2 in XML (HL7's "XML Encoding Rules for Version 2", `urn:hl7-org:v2xml`) to the bytes of its ER7 spelling,
//! which [`decode`](crate::formats::hl7v2::decode) then reads like any other message.
//!
//! No grammar of messages is needed: groups are descended, and the number after the last dot of a name is the place
//! at its level (`PID.3`, `CX.4`, `HD.1`). What has no place in ER7 is a [`Deviation`], an error if text is lost by
//! it. Decisions, each told where it changes anything:
//!
//! - A leaf's text is the sender's; white space around it that holds a line end is layout, as is white space between
//!   elements. Delimiters in it are escaped, line ends are written `\.br\`, and so is `<escape V=".br"/>`.
//! - A whole escape sequence of ER7 inside text is taken as one: senders that only wrap ER7 write it so.
//! - The bytes are UTF-8, whatever the XML was in, so MSH-18 says so wherever it said something else, or where it
//!   said nothing and a character needs it.
//! - Delimiters are those of MSH.1 and MSH.2; ones that cannot serve are replaced by the standard ones.
//! - A message inside an envelope of another namespace, such as SOAP's, is found; one without any namespace is read.

mod convert;
mod deviation;
#[cfg(test)]
mod tests;

pub use self::deviation::Deviation;
pub use self::deviation::Kind;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::xml;

/// Fields of a segment; HL7's longest has some 120.
pub const FIELDS_MAX: usize = 512;
/// Components of a field, and subcomponents of a component.
pub const PARTS_MAX: usize = 64;

/// The same message in ER7, and what was out of order in its XML. It has no `Debug`: it is a patient's.
pub struct Converted {
    /// UTF-8, segments ended by carriage returns.
    pub er7: Vec<u8>,
    pub deviations: Vec<Deviation>,
}

/// Why a text is no message in XML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the XML holds no message that begins with MSH")]
    NoHeader,
    #[error(transparent)]
    Xml(#[from] xml::Error),
}

/// Whether the bytes begin as XML does, and not as ER7: a quick look, without reading.
pub fn looks_like_xml(bytes: &[u8]) -> bool {
    let mark = encoding_rs::Encoding::for_bom(bytes).map_or(0, |(_, mark)| mark);
    let body = bytes.get(mark..).unwrap_or_default();
    // In two-byte character sets every other byte of these is zero.
    body.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != 0) == Some(&b'<')
}

/// Writes a message in XML as ER7.
pub fn convert(bytes: &[u8]) -> Result<Converted, Error> {
    let text = xml::characters(bytes)?;
    let root = xml::read(&text)?;
    convert::message(&text, &root)
}

impl Error {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoHeader => "H073",
            Self::Xml(error) => match error.kind {
                xml::Kind::Doctype | xml::Kind::Entity => "H071",
                xml::Kind::NameTooLong { .. }
                | xml::Kind::TooDeep { .. }
                | xml::Kind::TooLong { .. }
                | xml::Kind::TooMany { .. }
                | xml::Kind::TooManyAttributes { .. } => "H072",
                _ => "H070",
            },
        }
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let help = match self.code() {
            "H071" => "ask the sender to write characters as themselves, without a document type",
            "H072" => "ask the sender to send documents apart from results",
            "H073" => "ask the sender to send an HL7 v2 message with its MSH segment",
            _ => "ask the sender to send the message again, whole and well-formed",
        };
        let position = match self {
            Self::NoHeader => String::new(),
            Self::Xml(error) => format!("line {}, column {}", error.line, error.column),
        };
        Diagnostic::error(Code::new(self.code()), self.to_string()).at(position).help(help)
    }
}
