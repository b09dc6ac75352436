//! Views into a decoded message: a segment, and the parts of it at every level.
//!
//! All are cheap to copy, borrow the message, and know their [`Location`]. Asking for a part that is not there
//! gives an empty element at that location, because HL7 does not tell an absent part from an empty one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::formats::hl7v2::Message;
use crate::formats::hl7v2::charset;
use crate::formats::hl7v2::decode::Level;
use crate::formats::hl7v2::decode::Mark;
use crate::formats::hl7v2::decode::SegmentIndex;
use crate::formats::hl7v2::deviation::Position;
use crate::formats::hl7v2::escape;
use crate::formats::hl7v2::escape::Escape;
use crate::formats::hl7v2::escape::Token;
use crate::formats::hl7v2::location::Location;
use crate::formats::hl7v2::location::name_text;

/// One segment.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    pub(super) message: &'m Message<'m>,
    pub(super) index: &'m SegmentIndex,
}

impl<'m> Segment<'m> {
    pub fn name(&self) -> &'m str {
        name_text(&self.index.name)
    }

    /// The number of this segment among those of its name, from one.
    pub fn ordinal(&self) -> u32 {
        self.index.ordinal
    }

    #[inline]
    pub fn location(&self) -> Location {
        Location::segment(self.index.name, self.index.ordinal)
    }

    /// The bytes and line of the whole segment, its terminator included.
    pub fn position(&self) -> Position {
        self.message.position(self.index.start, self.index.next, Some(self.location()))
    }

    /// The segment as sent (after the character set), without its terminator.
    pub fn raw(&self) -> &'m str {
        self.message.slice(self.index.content, self.index.end)
    }

    /// How many fields were sent, empty ones included; in MSH, MSH-1 and MSH-2 count.
    pub fn field_count(&self) -> u32 {
        self.index.fields_to - self.index.fields_from
    }

    /// A field by HL7's number: in MSH, field 1 is the separator itself and field 2 the encoding characters.
    #[inline]
    pub fn field(&self, number: u32) -> Element<'m> {
        let at = self.location().field(number);
        let place = number
            .checked_sub(1)
            .and_then(|offset| self.index.fields_from.checked_add(offset))
            .filter(|&place| place < self.index.fields_to)
            .and_then(|place| self.message.fields.get(place as usize).map(|field| (place, field)));
        let Some((place, field)) = place else {
            return Element {
                message: self.message,
                start: self.index.end,
                end: self.index.end,
                marks: &[],
                at,
            };
        };
        let marks_to = match self.message.fields.get(place as usize + 1) {
            Some(next) => next.mark as usize,
            None => self.message.marks.len(),
        };
        let marks = self.message.marks.get(field.mark as usize..marks_to).unwrap_or_default();
        Element { message: self.message, start: field.start, end: field.end, marks, at }
    }

    /// Whether the segment is one of this name.
    #[inline]
    pub(crate) fn is(&self, name: [u8; 3]) -> bool {
        self.index.name == name
    }

    /// Whether anything was sent in a field, be it delimiters alone.
    #[inline]
    pub(crate) fn has(&self, number: u32) -> bool {
        let place = number.checked_sub(1).and_then(|offset| self.index.fields_from.checked_add(offset));
        place
            .filter(|&place| place < self.index.fields_to)
            .and_then(|place| self.message.fields.get(place as usize))
            .is_some_and(|field| field.start < field.end)
    }

    pub fn fields(&self) -> impl Iterator<Item = Element<'m>> + use<'m> {
        let segment = *self;
        (1..=self.field_count()).map(move |number| segment.field(number))
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({})", self.location())
    }
}

/// The bytes of elements of one message, given in the order sent, found in one pass over it.
pub fn byte_ranges(message: &Message<'_>, elements: &[Element<'_>]) -> Vec<Range<usize>> {
    let body = message.bytes.get(message.text_start..).unwrap_or_default();
    let borrowed = matches!(message.text, Cow::Borrowed(_));
    let places: Vec<usize> = elements.iter().flat_map(|it| [it.start as usize, it.end as usize]).collect();
    let offsets = charset::byte_offsets(message.charset, body, borrowed, &places);
    let pairs = offsets.chunks_exact(2).map(|pair| match pair {
        [start, end] => message.text_start + start..message.text_start + end,
        _ => 0..0,
    });
    pairs.collect()
}

/// A part of an element as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written<'m> {
    /// An escape, or what opens and closes one.
    Escape(&'m str),
    /// The digits of a hexadecimal escape.
    Hex(&'m str),
    /// An escape character that opens no escape.
    Stray(&'m str),
    Text(&'m str),
}

/// A field, repetition, component or subcomponent.
#[derive(Clone, Copy)]
pub struct Element<'m> {
    pub(super) message: &'m Message<'m>,
    start: u32,
    end: u32,
    /// The delimiters inside this element, all of a lower level than its own.
    marks: &'m [Mark],
    at: Location,
}

impl<'m> Element<'m> {
    pub fn location(&self) -> Location {
        self.at
    }

    pub fn position(&self) -> Position {
        self.message.position(self.start, self.end, Some(self.at))
    }

    /// The element as sent: escapes not decoded, delimiters of lower levels included.
    #[inline]
    pub fn raw(&self) -> &'m str {
        self.message.slice(self.start, self.end)
    }

    /// The element's plain text: escapes decoded. Delimiters of lower levels stay in it, so nothing is lost
    /// where a value has more parts than the reader expects.
    #[inline]
    pub fn text(&self) -> Cow<'m, str> {
        escape::decode(self.raw(), &self.message.delimiters, self.message.charset)
    }

    /// The escape character that [`Element::raw`] is written with.
    pub fn escape_character(&self) -> Option<u8> {
        self.message.delimiters.escape
    }

    /// Nothing was sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The explicit null `""`: the sender says there is no value, and an older one is to be deleted.
    #[inline]
    pub fn is_null(&self) -> bool {
        self.raw() == "\"\""
    }

    /// Whether anything but delimiters was sent at any level below; an explicit null counts.
    #[inline]
    pub fn is_populated(&self) -> bool {
        (self.end - self.start) as usize > self.marks.len()
    }

    /// Whether the sender cut the value short (chapter 2, §2.5.5.2).
    pub fn is_truncated(&self) -> bool {
        self.message.delimiters.truncation.is_some_and(|mark| self.raw().as_bytes().last() == Some(&mark))
    }

    /// Whether this element is divided into repetitions, components or subcomponents.
    pub fn is_divided(&self) -> bool {
        !self.marks.is_empty()
    }

    /// All repetitions of a field: at least one, which may be empty.
    pub fn repetitions(&self) -> impl Iterator<Item = Element<'m>> + use<'m> {
        self.parts(Level::Repetition)
    }

    /// All components, of the first repetition where this is a field.
    pub fn components(&self) -> impl Iterator<Item = Element<'m>> + use<'m> {
        self.first(Level::Repetition).parts(Level::Component)
    }

    /// All subcomponents, of the first component where this is a field or repetition.
    pub fn subcomponents(&self) -> impl Iterator<Item = Element<'m>> + use<'m> {
        self.first(Level::Repetition).first(Level::Component).parts(Level::Subcomponent)
    }

    #[must_use]
    pub fn repetition(&self, number: u32) -> Element<'m> {
        self.part(Level::Repetition, number)
    }

    /// A component, of the first repetition where this is a field.
    #[inline]
    #[must_use]
    pub fn component(&self, number: u32) -> Element<'m> {
        self.first(Level::Repetition).part(Level::Component, number)
    }

    /// A subcomponent, of the first component where this is a field or repetition.
    #[inline]
    #[must_use]
    pub fn subcomponent(&self, number: u32) -> Element<'m> {
        self.first(Level::Repetition).first(Level::Component).part(Level::Subcomponent, number)
    }

    /// The element as it was written: text, and escapes apart. Concatenated it is [`Element::raw`].
    pub fn written(&self) -> Vec<Written<'m>> {
        let raw = self.raw();
        let mut parts = Vec::new();
        let mut at = 0;
        let mut cut = |length: usize| {
            let from = at;
            at += length;
            raw.get(from..at).unwrap_or_default()
        };
        for token in escape::tokens(raw, self.message.delimiters.escape) {
            match token {
                Token::Text(text) => parts.push(Written::Text(cut(text.len()))),
                Token::Escape(_, Escape::Hex(digits)) => {
                    parts.push(Written::Escape(cut(2)));
                    parts.push(Written::Hex(cut(digits.len())));
                    parts.push(Written::Escape(cut(1)));
                }
                // What a local escape says is in its body; its letter makes it one.
                Token::Escape(body, Escape::Foreign) if body.starts_with('Z') => {
                    parts.push(Written::Escape(cut(2)));
                    parts.push(Written::Text(cut(body.len() - 1)));
                    parts.push(Written::Escape(cut(1)));
                }
                Token::Escape(body, _) => parts.push(Written::Escape(cut(body.len() + 2))),
                Token::Unknown | Token::Unterminated => parts.push(Written::Stray(cut(1))),
            }
        }
        parts
    }

    /// The element at the end of `component.subcomponent`, where zero stands for "the whole".
    #[inline]
    pub(super) fn descend(&self, component: Option<u32>, subcomponent: Option<u32>) -> Element<'m> {
        let whole = component.map_or(*self, |number| self.component(number));
        subcomponent.map_or(whole, |number| whole.subcomponent(number))
    }

    /// The pieces between delimiters, with the level of the delimiter after each.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (&'m str, Option<Level>)> + use<'m> {
        let element = *self;
        (0..=self.marks.len()).map(move |number| {
            let before = number.checked_sub(1).and_then(|last| element.marks.get(last));
            let after = element.marks.get(number);
            let start = before.map_or(element.start, |mark| mark.offset() + 1);
            let end = after.map_or(element.end, |mark| mark.offset());
            (element.message.slice(start, end), after.map(|mark| mark.level()))
        })
    }

    #[inline]
    fn first(&self, level: Level) -> Element<'m> {
        // Inside an element of this level or a lower one, no delimiter of the level is left to cut at.
        if self.marks.iter().any(|mark| mark.level() == level) { self.part(level, 1) } else { *self }
    }

    fn part(&self, level: Level, number: u32) -> Element<'m> {
        let at = level.locate(self.at, number);
        let absent = Element { start: self.end, marks: &[], at, ..*self };
        let mut cuts = self.marks.iter().enumerate().filter(|(_, mark)| mark.level() == level);
        let (start, from) = match number {
            0 => return absent,
            1 => (self.start, 0),
            _ => match cuts.nth(number as usize - 2) {
                Some((cut, mark)) => (mark.offset() + 1, cut + 1),
                None => return absent,
            },
        };
        let (end, to) = cuts.next().map_or((self.end, self.marks.len()), |(cut, mark)| (mark.offset(), cut));
        Element { start, end, marks: self.marks.get(from..to).unwrap_or_default(), at, ..*self }
    }

    #[inline]
    fn parts(&self, level: Level) -> Parts<'m> {
        Parts { rest: Some(*self), level, number: 0 }
    }
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Element({})", self.at)
    }
}

/// Cuts an element at the delimiters of one level.
struct Parts<'m> {
    rest: Option<Element<'m>>,
    level: Level,
    number: u32,
}

impl<'m> Iterator for Parts<'m> {
    type Item = Element<'m>;

    #[inline]
    fn next(&mut self) -> Option<Element<'m>> {
        let rest = self.rest.take()?;
        self.number += 1;
        let at = self.level.locate(rest.at, self.number);
        let Some(cut) = rest.marks.iter().position(|mark| mark.level() == self.level) else {
            return Some(Element { at, ..rest });
        };
        let (before, after) = rest.marks.split_at(cut);
        let (mark, after) = after.split_first()?;
        self.rest = Some(Element { start: mark.offset() + 1, marks: after, ..rest });
        Some(Element { end: mark.offset(), marks: before, at, ..rest })
    }
}
