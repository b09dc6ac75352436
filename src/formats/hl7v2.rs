//! HL7 v2: from bytes to a tree of segments, fields, repetitions, components and subcomponents, and back.
//!
//! [`decode`] never fails and never panics: it gives the [`Message`] it could read and a [`Deviation`] for
//! everything that is not as the standard has it. It repairs nothing in silence, and each byte of the input is
//! either inside a segment or inside a deviation. Text borrows the input wherever the character set allows;
//! escapes are decoded when a value is asked for. [`encode`](encode::encode) rebuilds a message from the tree,
//! never from the bytes it came from.
//!
//! It knows nothing of what segments mean, save what framing needs: MSH for delimiters, character set and
//! acknowledgement, FHS/BHS/BTS/FTS for batches, MSA and ERR for acknowledgements.
//!
//! Start reading at `decode.rs` (the index), then `element.rs` (the views into it).

pub mod acknowledgement;
pub mod batch;
pub mod charset;
mod decode;
mod delimiters;
mod deviation;
mod element;
pub mod encode;
mod escape;
mod location;
pub mod path;
pub mod timestamp;
pub mod xml;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

pub use self::decode::Decoded;
pub use self::decode::MESSAGE_BYTES_MAX;
pub use self::decode::decode;
pub use self::delimiters::Delimiters;
pub use self::deviation::Deviation;
pub use self::deviation::Kind;
pub use self::deviation::Position;
pub use self::deviation::Severity;
pub use self::element::Element;
pub use self::element::Segment;
pub use self::element::Written;
pub use self::element::byte_ranges;
pub use self::location::Location;
pub use self::path::Path;
use crate::formats::hl7v2::charset::Charset;
use crate::formats::hl7v2::decode::FieldIndex;
use crate::formats::hl7v2::decode::Mark;
use crate::formats::hl7v2::decode::SegmentIndex;

/// One decoded message.
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Where in `bytes` the text begins, after a byte order mark.
    text_start: usize,
    text: Cow<'a, str>,
    charset: Charset,
    delimiters: Delimiters,
    segments: Vec<SegmentIndex>,
    fields: Vec<FieldIndex>,
    marks: Vec<Mark>,
}

impl Message<'_> {
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// The character set the message was read in.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// All segments in the order sent; the first is MSH.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Segment<'_>> + ExactSizeIterator {
        self.segments.iter().map(|index| Segment { message: self, index })
    }

    /// The first segment of this name.
    pub fn first(&self, name: &str) -> Option<Segment<'_>> {
        self.segments().find(|segment| segment.name() == name)
    }

    /// The MSH segment.
    pub fn header(&self) -> Segment<'_> {
        self.segments().next().expect("decode makes a message only of a header")
    }

    /// MSH-10.
    pub fn control_id(&self) -> Cow<'_, str> {
        self.header().field(10).text()
    }

    /// MSH-9: message type, trigger event, structure; each may be empty.
    pub fn message_type(&self) -> [Cow<'_, str>; 3] {
        let field = self.header().field(9);
        [1, 2, 3].map(|number| field.component(number).text())
    }

    /// MSH-12, component 1, as sent.
    pub fn version(&self) -> Cow<'_, str> {
        self.header().field(12).component(1).text()
    }

    fn slice(&self, start: u32, end: u32) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    fn position(&self, start: u32, end: u32, location: Option<Location>) -> Position {
        let (start, end) = (start as usize, end as usize);
        let line = decode::line_of(self.text.as_bytes(), start);
        let body = self.bytes.get(self.text_start..).unwrap_or_default();
        let borrowed = matches!(self.text, Cow::Borrowed(_));
        let offsets = charset::byte_offsets(self.charset, body, borrowed, &[start, end]);
        let byte = |at: usize| self.text_start + offsets.get(at).copied().unwrap_or(body.len());
        Position { bytes: byte(0)..byte(1), line, location }
    }
}

/// Counts, never content: a message is a patient's.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("bytes", &self.bytes.len())
            .field("segments", &self.segments.len())
            .field("charset", &self.charset.name())
            .finish_non_exhaustive()
    }
}
