//! From bytes to an index of all delimiters, in one pass over the text.
//!
//! The index holds offsets only; [`Segment`](super::Segment) and [`Element`](super::Element) cut the text when
//! they are asked. Every line is a segment or is reported.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use memchr::memchr_iter;
use memchr::memchr2;

use crate::formats::hl7v2::Message;
use crate::formats::hl7v2::charset;
use crate::formats::hl7v2::charset::Text;
use crate::formats::hl7v2::delimiters::Delimiters;
use crate::formats::hl7v2::delimiters::usable;
use crate::formats::hl7v2::deviation::Deviation;
use crate::formats::hl7v2::deviation::Kind;
use crate::formats::hl7v2::deviation::Position;
use crate::formats::hl7v2::escape;
use crate::formats::hl7v2::location::Location;

/// The longest message decoded: far above any report with embedded documents, far below the index's 30 bits.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// The most deviations listed for one message; the rest is counted.
pub(super) const DEVIATIONS_MAX: usize = 1000;

/// What could be read of some bytes.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// Absent where no line begins with a readable MSH.
    pub message: Option<Message<'a>>,
    /// In the order of their bytes.
    pub deviations: Vec<Deviation>,
}

/// Reads one message. Use [`batch::split`](super::batch::split) first where there may be several.
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        let position = Position { bytes: 0..bytes.len(), line: 1, location: None };
        let deviation = Deviation { kind: Kind::TooLong { max: MESSAGE_BYTES_MAX }, position };
        return Decoded { message: None, deviations: vec![deviation] };
    }
    let text = Text::read(bytes);
    let mut index = Index::new(&text.content);
    for place in &text.malformed {
        index.report(Kind::MalformedBytes, place.clone(), None);
    }
    let delimiters = index.lines();
    if let Some(delimiters) = &delimiters {
        index.inspect_escapes(delimiters, text.charset);
        index.inspect_truncation(delimiters);
        let charset = Location::segment(*b"MSH", 1).field(18);
        let place = index.segments.first().map_or(0..0, |header| header.start as usize..header.end as usize);
        for kind in text.header.iter().cloned() {
            index.report(kind, place.clone(), Some(charset));
        }
    } else {
        index.found.clear();
        index.omitted = None;
        index.report(Kind::NoHeader, 0..text.content.len(), None);
    }
    let Index { segments, fields, marks, found, omitted, .. } = index;
    let deviations = place(&text, found, omitted);
    let message = delimiters.map(|delimiters| Message {
        bytes,
        text_start: text.mark,
        text: text.content,
        charset: text.charset,
        delimiters,
        segments,
        fields,
        marks,
    });
    Decoded { message, deviations }
}

/// A level below the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Repetition,
    Component,
    Subcomponent,
}

impl Level {
    pub(super) fn locate(self, at: Location, number: u32) -> Location {
        match self {
            Self::Repetition => at.repetition(number),
            Self::Component => at.component(number),
            Self::Subcomponent => at.subcomponent(number),
        }
    }
}

/// A delimiter below the field: its offset in the text, and in the lowest two bits its level.
#[derive(Clone, Copy)]
pub(super) struct Mark(u32);

impl Mark {
    fn new(offset: usize, level: Level) -> Self {
        Self(at(offset) << 2 | level as u32)
    }

    pub(super) fn offset(self) -> u32 {
        self.0 >> 2
    }

    pub(super) fn level(self) -> Level {
        match self.0 & 3 {
            0 => Level::Repetition,
            1 => Level::Component,
            _ => Level::Subcomponent,
        }
    }
}

/// Where a field is, and its first mark; the marks run on to those of the next field.
pub(super) struct FieldIndex {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) mark: u32,
}

/// Where a segment is: its line from `start` to `next`, its text from `content` to `end`.
pub(super) struct SegmentIndex {
    pub(super) name: [u8; 3],
    pub(super) ordinal: u32,
    pub(super) start: u32,
    pub(super) content: u32,
    pub(super) end: u32,
    pub(super) next: u32,
    pub(super) fields_from: u32,
    pub(super) fields_to: u32,
}

/// What a byte does. The table gives one for each of the 256, so that a pass is one look-up a byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Field,
    Below(Level),
    LineEnd,
    Control,
}

/// How the first line of the message ends decides whether a lone line feed later on ends a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Cr,
    CrLf,
    Lf,
}

struct Found {
    kind: Kind,
    text: Range<usize>,
    location: Option<Location>,
}

struct Index<'t> {
    text: &'t [u8],
    segments: Vec<SegmentIndex>,
    fields: Vec<FieldIndex>,
    marks: Vec<Mark>,
    ordinals: HashMap<[u8; 3], u32>,
    line_end: Option<LineEnd>,
    mixed: bool,
    found: Vec<Found>,
    omitted: Option<(usize, Range<usize>)>,
}

impl<'t> Index<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text: text.as_bytes(),
            segments: Vec::with_capacity(64),
            fields: Vec::with_capacity(text.len() / 8),
            marks: Vec::with_capacity(text.len() / 16),
            ordinals: HashMap::new(),
            line_end: None,
            mixed: false,
            found: Vec::new(),
            omitted: None,
        }
    }

    fn byte(&self, offset: usize) -> Option<u8> {
        self.text.get(offset).copied()
    }

    fn from(&self, offset: usize) -> &'t [u8] {
        self.text.get(offset..).unwrap_or_default()
    }

    fn report(&mut self, kind: Kind, text: Range<usize>, location: Option<Location>) {
        if self.found.len() < DEVIATIONS_MAX {
            self.found.push(Found { kind, text, location });
            return;
        }
        let (count, span) = self.omitted.get_or_insert((0, text.clone()));
        *count += 1;
        *span = span.start.min(text.start)..span.end.max(text.end);
    }

    /// Reads line after line; gives the delimiters once a header was found.
    fn lines(&mut self) -> Option<Delimiters> {
        let mut reader: Option<(Delimiters, [Class; 256])> = None;
        let mut start = 0;
        while start < self.text.len() {
            let content = self.content(start);
            let name = self.name_at(content, reader.as_ref().map(|(delimiters, _)| delimiters.field));
            start = match (name, &reader) {
                (Some(name), Some((_, classes))) => self.segment(name, start, content, classes),
                (Some(name), None) if name == *b"MSH" => {
                    let (delimiters, classes) = self.header(content);
                    let next = self.segment(name, start, content, &classes);
                    reader = Some((delimiters, classes));
                    next
                }
                _ => self.other_line(start, content),
            };
        }
        reader.map(|(delimiters, _)| delimiters)
    }

    /// Where the content of a line begins: after MLLP bytes and white space.
    fn content(&self, start: usize) -> usize {
        let margin = |byte: &&u8| matches!(byte, 0x0B | 0x1C | b' ' | b'\t');
        start + self.from(start).iter().take_while(margin).count()
    }

    /// Reports what stands before a segment's name.
    fn margin(&mut self, start: usize, content: usize) {
        let framed = |byte: &u8| matches!(byte, 0x0B | 0x1C);
        let bytes = self.text.get(start..content).unwrap_or_default();
        if bytes.iter().any(framed) {
            self.report(Kind::StrayFrameByte, start..content, None);
        }
        if !bytes.iter().all(framed) {
            self.report(Kind::SegmentIndented, start..content, None);
        }
    }

    /// The segment name at an offset, if a field separator or a line's end follows it.
    fn name_at(&self, offset: usize, separator: Option<u8>) -> Option<[u8; 3]> {
        let (name, rest) = self.from(offset).split_first_chunk::<3>()?;
        let named = name[0].is_ascii_uppercase()
            && name[1..].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let ended = match (rest.first(), separator) {
            (None | Some(b'\r' | b'\n' | 0x1C), separator) => separator.is_some(),
            (Some(&next), Some(separator)) => next == separator,
            (Some(&next), None) => usable(next),
        };
        (named && ended).then_some(*name)
    }

    /// Reads MSH-1 and MSH-2.
    fn header(&mut self, content: usize) -> (Delimiters, [Class; 256]) {
        let field = self.byte(content + 3).unwrap_or(b'|');
        let characters = self.from(content + 4);
        let length = characters.iter().position(|&byte| byte == field || matches!(byte, b'\r' | b'\n'));
        let characters = characters.get(..length.unwrap_or(characters.len())).unwrap_or_default();
        let (delimiters, sound) = Delimiters::read(field, characters);
        let place = content + 4..content + 4 + characters.len();
        let location = Some(Location::segment(*b"MSH", 1).field(2));
        if !sound || characters.is_empty() {
            self.report(Kind::DelimitersUnusable, place, location);
        } else if characters.len() < 4 {
            self.report(Kind::DelimitersMissing, place, location);
        }
        let mut classes = [Class::Text; 256];
        for class in classes.iter_mut().take(0x20) {
            *class = Class::Control;
        }
        let roles = [
            (Some(b'\t'), Class::Text),
            (Some(b'\r'), Class::LineEnd),
            (Some(b'\n'), Class::LineEnd),
            (Some(field), Class::Field),
            (delimiters.repetition, Class::Below(Level::Repetition)),
            (delimiters.component, Class::Below(Level::Component)),
            (delimiters.subcomponent, Class::Below(Level::Subcomponent)),
        ];
        for (character, class) in roles {
            if let Some(character) = character {
                classes[usize::from(character)] = class;
            }
        }
        (delimiters, classes)
    }

    /// Indexes one segment and gives the start of the next line.
    fn segment(&mut self, name: [u8; 3], start: usize, content: usize, classes: &[Class; 256]) -> usize {
        self.margin(start, content);
        let ordinal = self.ordinals.entry(name).or_insert(0);
        *ordinal += 1;
        let location = Location::segment(name, *ordinal);
        let ordinal = *ordinal;
        if name == *b"MSH" && ordinal > 1 {
            self.report(Kind::SecondHeader, content..content + 3, Some(location));
        }
        let fields_from = self.fields.len();
        let mut at_byte = content + 3;
        let mut field_start = None;
        let mut mark = self.marks.len();
        // In the three headers, field 1 is the separator itself, and field 2 must not be divided.
        if matches!(&name, b"MSH" | b"FHS" | b"BHS") && at_byte < self.text.len() {
            self.push_field(at_byte, at_byte + 1, mark);
            field_start = Some(at_byte + 1);
            let skip = |&byte: &u8| matches!(classes[usize::from(byte)], Class::Field | Class::LineEnd);
            let rest = self.from(at_byte + 1);
            at_byte += 1 + rest.iter().position(skip).unwrap_or(rest.len());
        }
        let mut controls = Vec::new();
        let text = self.text;
        while let Some(rest) = text.get(at_byte..) {
            // Most bytes are text, and are stepped over in a loop of their own.
            let run = rest.iter().position(|&byte| classes[usize::from(byte)] != Class::Text);
            at_byte += run.unwrap_or(rest.len());
            let Some(&byte) = text.get(at_byte) else { break };
            match classes[usize::from(byte)] {
                Class::Field => {
                    if let Some(field_start) = field_start {
                        self.push_field(field_start, at_byte, mark);
                    }
                    field_start = Some(at_byte + 1);
                    mark = self.marks.len();
                }
                Class::Below(level) => self.marks.push(Mark::new(at_byte, level)),
                Class::Control => controls.push(at_byte),
                Class::LineEnd if self.ends_line(at_byte, location) => break,
                Class::LineEnd | Class::Text => {}
            }
            at_byte += 1;
        }
        let end = self.controls(&controls, at_byte, location);
        if let Some(field_start) = field_start {
            self.push_field(field_start, end, mark);
        }
        let next = self.terminator(at_byte, Some(location));
        self.segments.push(SegmentIndex {
            name,
            ordinal,
            start: at(start),
            content: at(content),
            end: at(end),
            next: at(next),
            fields_from: at(fields_from),
            fields_to: at(self.fields.len()),
        });
        next
    }

    fn push_field(&mut self, start: usize, end: usize, mark: usize) {
        self.fields.push(FieldIndex { start: at(start), end: at(end), mark: at(mark) });
    }

    /// Reports control characters, and cuts MLLP bytes off a segment's end. Gives that end.
    fn controls(&mut self, controls: &[usize], line_end: usize, location: Location) -> usize {
        let mut end = line_end;
        for &control in controls.iter().rev() {
            if control + 1 == end && matches!(self.byte(control), Some(0x0B | 0x1C)) {
                self.report(Kind::StrayFrameByte, control..end, None);
                end = control;
            } else {
                self.report(Kind::ControlCharacter, control..control + 1, Some(location));
            }
        }
        end
    }

    /// Whether a line end at this offset ends the segment, or is a line feed that belongs to its text.
    fn ends_line(&mut self, offset: usize, location: Location) -> bool {
        if self.byte(offset) == Some(b'\r') || matches!(self.line_end, None | Some(LineEnd::Lf)) {
            return true;
        }
        // Only a whole segment after it shows that a lone line feed was meant as a terminator.
        let separator = self.segments.first().and_then(|header| self.byte(header.content as usize + 3));
        if offset + 1 >= self.text.len() || self.name_at(offset + 1, separator).is_some() {
            return true;
        }
        self.report(Kind::LineFeedInText, offset..offset + 1, Some(location));
        false
    }

    /// Steps over a line end, and reports one that is not a carriage return alone.
    fn terminator(&mut self, offset: usize, location: Option<Location>) -> usize {
        let (length, kind) = match (self.byte(offset), self.byte(offset + 1)) {
            (Some(b'\r'), Some(b'\n')) => (2, LineEnd::CrLf),
            (Some(b'\r'), _) => (1, LineEnd::Cr),
            (Some(_), _) => (1, LineEnd::Lf),
            (None, _) => {
                self.report(Kind::LastSegmentOpen, offset..offset, location);
                return offset;
            }
        };
        match self.line_end {
            None => {
                self.line_end = Some(kind);
                if kind != LineEnd::Cr {
                    self.report(Kind::LineEndsNotCr, offset..offset + length, location);
                }
            }
            Some(first) if first != kind && !self.mixed => {
                self.mixed = true;
                self.report(Kind::LineEndsMixed, offset..offset + length, location);
            }
            Some(_) => {}
        }
        offset + length
    }

    /// Reports a line that is no segment.
    fn other_line(&mut self, start: usize, content: usize) -> usize {
        let rest = self.from(content);
        let end = content + memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let length = match self.from(end) {
            [b'\r', b'\n', ..] => 2,
            [_, ..] => 1,
            [] => 0,
        };
        let blank = content == end;
        let framed =
            self.text.get(start..end).is_some_and(|line| line.iter().any(|byte| matches!(byte, 0x0B | 0x1C)));
        let kind = match (blank, framed) {
            (true, true) => Kind::StrayFrameByte,
            (true, false) => Kind::BlankLine,
            (false, _) => Kind::NotASegment,
        };
        self.report(kind, start..end + length, None);
        end + length
    }

    fn inspect_escapes(&mut self, delimiters: &Delimiters, charset: charset::Charset) {
        let Some(escape) = delimiters.escape else { return };
        let text = self.text;
        let mut done = 0;
        for hit in memchr_iter(escape, text) {
            if hit < done {
                continue;
            }
            let Some((leaf, location)) = self.leaf_at(hit) else { continue };
            done = leaf.end;
            let Some(content) = text.get(leaf.clone()).and_then(|leaf| std::str::from_utf8(leaf).ok()) else {
                continue;
            };
            escape::inspect(content, escape, charset, |kind, start, end| {
                self.report(kind, leaf.start + start..leaf.start + end, Some(location));
            });
        }
    }

    fn inspect_truncation(&mut self, delimiters: &Delimiters) {
        let Some(truncation) = delimiters.truncation else { return };
        for hit in memchr_iter(truncation, self.text) {
            if let Some((leaf, location)) = self.leaf_at(hit)
                && leaf.end == hit + 1
            {
                self.report(Kind::ValueTruncated, hit..hit + 1, Some(location));
            }
        }
    }

    /// The text between two delimiters around an offset, outside of MSH-1 and MSH-2.
    fn leaf_at(&self, offset: usize) -> Option<(Range<usize>, Location)> {
        let offset = at(offset);
        let segment = self.segments.partition_point(|segment| segment.content <= offset).checked_sub(1)?;
        let segment = self.segments.get(segment)?;
        let fields = self.fields.get(segment.fields_from as usize..segment.fields_to as usize)?;
        let number = fields.partition_point(|field| field.start <= offset);
        let field = fields.get(number.checked_sub(1)?).filter(|field| offset < field.end)?;
        if matches!(&segment.name, b"MSH" | b"FHS" | b"BHS") && number <= 2 {
            return None;
        }
        let marks = self.marks.get(field.mark as usize..)?;
        let inside = marks.get(..marks.partition_point(|mark| mark.offset() < field.end))?;
        let (before, after) = inside.split_at(inside.partition_point(|mark| mark.offset() < offset));
        let start = before.last().map_or(field.start, |mark| mark.offset() + 1);
        let end = after.first().map_or(field.end, |mark| mark.offset());
        let mut location = Location::segment(segment.name, segment.ordinal).field(at(number));
        if !inside.is_empty() {
            let count = |level: Level| {
                let same = before.iter().rev().take_while(|mark| mark.level() >= level);
                1 + at(same.filter(|mark| mark.level() == level).count())
            };
            location = location.repetition(count(Level::Repetition)).component(count(Level::Component));
            if inside.iter().any(|mark| mark.level() == Level::Subcomponent) {
                location = location.subcomponent(count(Level::Subcomponent));
            }
        }
        Some((start as usize..end as usize, location))
    }
}

/// Turns places in the text into places in the bytes, with their lines.
fn place(text: &Text<'_>, mut found: Vec<Found>, omitted: Option<(usize, Range<usize>)>) -> Vec<Deviation> {
    if let Some((count, text)) = omitted {
        found.push(Found { kind: Kind::More { count }, text, location: None });
    }
    found.sort_by_key(|found| found.text.start);
    let mut places: Vec<usize> = found.iter().flat_map(|found| [found.text.start, found.text.end]).collect();
    places.sort_unstable();
    places.dedup();
    let body = text.bytes.get(text.mark..).unwrap_or_default();
    let borrowed = matches!(text.content, Cow::Borrowed(_));
    let offsets = charset::byte_offsets(text.charset, body, borrowed, &places);
    let byte = |place: usize| {
        let offset = places.binary_search(&place).ok().and_then(|found| offsets.get(found));
        text.mark + offset.copied().unwrap_or(body.len())
    };
    let (mut line, mut counted) = (1, 0);
    let mut deviations = Vec::with_capacity(found.len() + 1);
    if text.mark > 0 {
        let position = Position { bytes: 0..text.mark, line, location: None };
        deviations.push(Deviation { kind: Kind::ByteOrderMark, position });
    }
    for Found { kind, text: place, location } in found {
        let passed = text.content.as_bytes().get(counted..place.start).unwrap_or_default();
        line += line_of(passed, passed.len()) - 1;
        counted = place.start;
        let position = Position { bytes: byte(place.start)..byte(place.end), line, location };
        deviations.push(Deviation { kind, position });
    }
    deviations
}

/// The line, from one, that an offset is on; CR, LF and CRLF each end one.
pub(super) fn line_of(text: &[u8], offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    let ends = memchr::memchr2_iter(b'\r', b'\n', before);
    1 + ends.filter(|&end| before.get(end..end + 2) != Some(b"\r\n")).count()
}

/// Offsets fit: no message is longer than [`MESSAGE_BYTES_MAX`], and no text more than three times its bytes.
fn at(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
