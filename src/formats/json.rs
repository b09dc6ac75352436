//! JSON (RFC 8259) to a tree and back, exactly: digits, member order and every character as sent.
//!
//! The reader is our own, because none at hand keeps what must be kept: `serde_json` gives a number to a visitor as a
//! float unless a feature changes its `Value` for the whole program, and its `RawValue` reads each level again and
//! then counts lines from the fragment. This one is strict where others are kind: a name that stands twice, a lone
//! surrogate, bytes that are no UTF-8, anything after the value. Errors name a place and never a value; member names
//! that do not look like names of members are not quoted, because somebody may key an object by patient.
//!
//! Start at [`decode`]; the reader is in `json/reader.rs`.

mod reader;
mod scalars;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

pub use self::scalars::scalars;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::tree::Node;

/// As for HL7 v2: room for documents beside the results.
pub const BYTES_MAX: usize = 64 << 20;
/// FHIR's own examples stay under 20; a deeper one is an attack on a reader.
pub const DEPTH_MAX: usize = 64;
/// Values in one text: a Bundle of two thousand results, and some tens of megabytes of memory.
pub const NODES_MAX: usize = 250_000;
/// A member's name, in bytes as decoded. FHIR's longest has 40.
pub const NAME_BYTES_MAX: usize = 256;

/// Reads one JSON text. A byte order mark before it is passed over.
pub fn decode(bytes: &[u8]) -> Result<Node, Error> {
    reader::read(bytes)
}

/// Writes the tree without white space; [`decode`] reads the same tree from it.
pub fn encode(node: &Node) -> String {
    let mut text = String::new();
    write(node, &mut text);
    text
}

/// Why a text could not be read, and where: line and column from one, in characters, and the JSON pointer
/// (RFC 6901) of the object or list that was being read; empty at the top.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    pub kind: Kind,
    pub line: usize,
    pub column: usize,
    pub pointer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A control character inside a string: it must be written as an escape.
    ControlCharacter,
    EscapeUnknown,
    /// Something other than white space after the value.
    Extra,
    /// One of a pair of surrogates without the other: no character.
    LoneSurrogate,
    /// A name that stands twice in its object; readers differ in which they take.
    NameTwice,
    NameTooLong {
        max: usize,
    },
    NotUtf8,
    /// Not what the grammar has at this place.
    Syntax {
        expected: &'static str,
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
    /// The text ends inside a value.
    Unfinished,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ControlCharacter => f.write_str("a control character stands in a string unescaped"),
            Self::EscapeUnknown => f.write_str("a backslash in a string begins no escape of JSON"),
            Self::Extra => f.write_str("something follows the JSON value"),
            Self::LoneSurrogate => f.write_str("an escape is half a surrogate pair, which is no character"),
            Self::NameTwice => f.write_str("a member's name stands twice in one object"),
            Self::NameTooLong { max } => write!(f, "a member's name is longer than {max} bytes"),
            Self::NotUtf8 => f.write_str("the bytes are not UTF-8"),
            Self::Syntax { expected } => write!(f, "the text is not JSON: {expected} should stand here"),
            Self::TooDeep { max } => write!(f, "objects and lists are nested deeper than {max}"),
            Self::TooLong { max } => write!(f, "the text is longer than {max} bytes"),
            Self::TooMany { max } => write!(f, "the text has more than {max} values"),
            Self::Unfinished => f.write_str("the text ends inside a value"),
        }
    }
}

impl Error {
    /// The stable code of this kind of error.
    pub const fn code(&self) -> &'static str {
        match self.kind {
            Kind::Extra | Kind::Syntax { .. } | Kind::Unfinished => "F001",
            Kind::NameTwice => "F002",
            Kind::NameTooLong { .. } | Kind::TooDeep { .. } | Kind::TooLong { .. } | Kind::TooMany { .. } => {
                "F003"
            }
            Kind::ControlCharacter | Kind::EscapeUnknown | Kind::LoneSurrogate | Kind::NotUtf8 => "F004",
        }
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let place = if self.pointer.is_empty() { String::new() } else { format!(", in {}", self.pointer) };
        let help = match self.code() {
            "F002" => "ask the sender to write each member once, and more values as a list",
            "F003" => "ask the sender to send less in one message",
            "F004" => "ask the sender to write text as UTF-8, with the escapes of RFC 8259",
            _ => "ask the sender to send the message again, whole and as RFC 8259 has it",
        };
        Diagnostic::error(Code::new(self.code()), self.kind.to_string())
            .at(format!("line {}, column {}{place}", self.line, self.column))
            .help(help)
    }
}

fn write(node: &Node, text: &mut String) {
    match node {
        Node::Null => text.push_str("null"),
        Node::Bool(true) => text.push_str("true"),
        Node::Bool(false) => text.push_str("false"),
        Node::Number(digits) => text.push_str(digits),
        Node::Text(value) => quote(value, text),
        Node::List(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Node::Object(members) => {
            text.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                quote(name, text);
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
    }
}

fn quote(value: &str, text: &mut String) {
    use fmt::Write as _;
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other if other < ' ' => {
                write!(text, "\\u{:04x}", u32::from(other)).expect("a string takes all that is written");
            }
            other => text.push(other),
        }
    }
    text.push('"');
}
