//! What a message does that the standard does not foresee, and where.
//!
//! A deviation never carries text of the message: it names a kind and a position.

use std::fmt;
use std::ops::Range;

use crate::formats::hl7v2::location::Location;

/// One thing found out of order, while everything that could be read was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    pub kind: Kind,
    pub position: Position,
}

/// Where: bytes of the input as received, line (from one), and the place in the message if it is inside one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub bytes: Range<usize>,
    pub line: usize,
    pub location: Option<Location>,
}

/// How much a deviation matters to the meaning of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Only the form differs; nothing had to be assumed.
    Note,
    /// Something was assumed, or cannot be shown as the sender meant it.
    Warning,
    /// Bytes that belong to no segment, or text that could not be read.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A trailer's count is not that of what came before it.
    BatchCount {
        declared: u64,
        found: u64,
    },
    /// A trailer's count is not a number.
    BatchCountUnreadable,
    /// A batch or file header without its trailer.
    BatchHeaderAlone,
    /// Text between the messages of a batch or file.
    BatchJunk,
    /// A batch or file trailer without its header.
    BatchTrailerAlone,
    BlankLine,
    ByteOrderMark,
    /// MSH-18 names a character set that cannot be read here; the bytes were read as `assumed`.
    CharsetUnknown {
        assumed: &'static str,
    },
    /// MSH-18 names a character set in words that table 0211 does not have.
    CharsetNameNotInTable,
    /// MSH-18 is empty or says ASCII, and there are other bytes, which were read as `assumed`.
    CharsetUndeclared {
        assumed: &'static str,
    },
    /// MSH-18 says one thing, the byte order mark or the bytes themselves another.
    CharsetContradicted {
        actual: &'static str,
    },
    ControlCharacter,
    /// MSH-2 has fewer than four characters.
    DelimitersMissing,
    /// MSH-2 names a character twice, one that cannot delimit, or too many.
    DelimitersUnusable,
    /// The bytes of an `\X..\` escape are no text in the message's character set.
    EscapeBytesMalformed,
    /// `\C..\`, `\M..\` or `\Z..\`: kept as sent, because its meaning is not in the message.
    EscapeForeign,
    /// Highlighting (`\H\`, `\N\`) that plain text cannot show.
    EscapeHighlight,
    EscapeUnknown,
    EscapeUnterminated,
    /// The last segment has no terminator.
    LastSegmentOpen,
    /// A line feed inside a field, in a message whose segments end with carriage returns.
    LineFeedInText,
    LineEndsMixed,
    /// All segments end with LF or CRLF, where the standard has CR.
    LineEndsNotCr,
    /// Bytes that are no text in the message's character set; shown as U+FFFD.
    MalformedBytes,
    /// Further deviations that were counted but not kept.
    More {
        count: usize,
    },
    /// No line begins with a readable MSH.
    NoHeader,
    /// A line that does not begin with a segment name and a field separator.
    NotASegment,
    /// A second MSH in what was given as one message.
    SecondHeader,
    SegmentIndented,
    /// An MLLP start or end byte beside a segment.
    StrayFrameByte,
    TooLong {
        max: usize,
    },
    /// The value ends with the truncation character: the sender cut it short.
    ValueTruncated,
}

impl Kind {
    pub const fn severity(&self) -> Severity {
        match self {
            Self::BatchCountUnreadable
            | Self::ByteOrderMark
            | Self::BlankLine
            | Self::CharsetNameNotInTable
            | Self::EscapeHighlight
            | Self::LastSegmentOpen
            | Self::LineEndsMixed
            | Self::LineEndsNotCr
            | Self::StrayFrameByte => Severity::Note,
            Self::BatchHeaderAlone
            | Self::BatchTrailerAlone
            | Self::CharsetContradicted { .. }
            | Self::CharsetUndeclared { .. }
            | Self::ControlCharacter
            | Self::DelimitersMissing
            | Self::EscapeForeign
            | Self::EscapeUnknown
            | Self::EscapeUnterminated
            | Self::LineFeedInText
            | Self::SegmentIndented
            | Self::ValueTruncated => Severity::Warning,
            Self::BatchCount { .. }
            | Self::BatchJunk
            | Self::CharsetUnknown { .. }
            | Self::DelimitersUnusable
            | Self::EscapeBytesMalformed
            | Self::MalformedBytes
            | Self::More { .. }
            | Self::NoHeader
            | Self::NotASegment
            | Self::SecondHeader
            | Self::TooLong { .. } => Severity::Error,
        }
    }
}

/// One plain sentence, without final stop and without anything of the message's text.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::BatchCount { declared, found } => {
                return write!(f, "the trailer counts {declared}, but {found} came before it");
            }
            Self::CharsetUnknown { assumed } => {
                return write!(
                    f,
                    "the character set in MSH-18 is not known; the bytes were read as {assumed}"
                );
            }
            Self::CharsetUndeclared { assumed } => {
                return write!(f, "MSH-18 allows only ASCII, but there are other bytes, read as {assumed}");
            }
            Self::CharsetContradicted { actual } => {
                return write!(f, "the bytes are {actual}, which is not what MSH-18 says");
            }
            Self::More { count } => return write!(f, "{count} further deviations are not listed"),
            Self::TooLong { max } => return write!(f, "the message is longer than {max} bytes"),
            Self::BatchCountUnreadable => "the trailer's count is not a number",
            Self::BatchHeaderAlone => "a batch or file header has no trailer",
            Self::BatchJunk => "text between messages belongs to none of them",
            Self::BatchTrailerAlone => "a batch or file trailer has no header",
            Self::BlankLine => "a blank line stands where a segment should",
            Self::ByteOrderMark => "the message begins with a byte order mark",
            Self::CharsetNameNotInTable => "the character set in MSH-18 is not spelled as in HL7 table 0211",
            Self::ControlCharacter => "a control character stands inside a field",
            Self::DelimitersMissing => "MSH-2 has fewer than four encoding characters",
            Self::DelimitersUnusable => {
                "MSH-2 has a character that cannot serve as a delimiter, or one twice"
            }
            Self::EscapeBytesMalformed => "a hexadecimal escape is no text in the message's character set",
            Self::EscapeForeign => {
                "an escape switches character sets or is local to the sender; it was kept as sent"
            }
            Self::EscapeHighlight => "highlighting cannot be shown in plain text",
            Self::EscapeUnknown => "an escape sequence is not known; it was kept as sent",
            Self::EscapeUnterminated => "an escape character has no closing one; it was kept as sent",
            Self::LastSegmentOpen => "the last segment is not ended by a carriage return",
            Self::LineFeedInText => "a line feed stands inside a field",
            Self::LineEndsMixed => "segments end in different ways",
            Self::LineEndsNotCr => "segments do not end with a carriage return alone",
            Self::MalformedBytes => "bytes are no text in the message's character set",
            Self::NoHeader => "no line begins with a readable MSH segment",
            Self::NotASegment => "a line does not begin with a segment name and the field separator",
            Self::SecondHeader => "a second MSH segment stands inside the message",
            Self::SegmentIndented => "white space stands before a segment name",
            Self::StrayFrameByte => "an MLLP start or end byte stands inside the message",
            Self::ValueTruncated => "a value ends with the truncation character: the sender cut it short",
        };
        f.write_str(text)
    }
}
