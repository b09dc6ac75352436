//! Elements to segments, fields and parts.

use std::collections::BTreeMap;

use crate::formats::hl7v2::Delimiters;
use crate::formats::hl7v2::delimiters::usable;
use crate::formats::hl7v2::escape;
use crate::formats::hl7v2::escape::Token;
use crate::formats::hl7v2::xml::Converted;
use crate::formats::hl7v2::xml::Error;
use crate::formats::hl7v2::xml::FIELDS_MAX;
use crate::formats::hl7v2::xml::Kind;
use crate::formats::hl7v2::xml::PARTS_MAX;
use crate::formats::hl7v2::xml::deviation::Deviations;
use crate::formats::xml;
use crate::formats::xml::Content;
use crate::formats::xml::Element;
use crate::formats::xml::Namespace;
use crate::formats::xml::is_space;

const UTF_8: &str = "UNICODE UTF-8";
const CHARSET_FIELD: usize = 18;

pub(super) fn message(text: &str, root: &Element<'_>) -> Result<Converted, Error> {
    let message = enclosed(root).ok_or(Error::NoHeader)?;
    let mut writer = Writer {
        text,
        delimiters: Delimiters::STANDARD,
        deviations: Deviations::default(),
        counts: BTreeMap::new(),
    };
    if message.namespace == Namespace::None {
        writer.tell(Kind::NamespaceMissing, message, "");
    }
    let mut segments = Vec::new();
    writer.gather(message, &mut segments);
    let Some(header) = segments.first().filter(|it| it.name == "MSH") else { return Err(Error::NoHeader) };
    writer.read_delimiters(header);
    let mut lines = segments.iter().map(|it| writer.segment(it)).collect::<Vec<_>>();
    let is_ascii = lines.iter().flatten().all(|field| field.is_ascii());
    if let Some(fields) = lines.first_mut() {
        writer.settle_charset(header, fields, is_ascii);
    }
    let separator = char::from(writer.delimiters.field).to_string();
    let mut er7 = String::new();
    for (segment, fields) in segments.iter().zip(&lines) {
        er7.push_str(segment.name);
        // MSH-1 is the separator itself.
        let written = if is_header(segment.name) { 1 } else { 0 };
        for field in fields.iter().skip(written) {
            er7.push_str(&separator);
            er7.push_str(field);
        }
        er7.push('\r');
    }
    Ok(Converted { er7: er7.into_bytes(), deviations: writer.deviations.finish() })
}

/// The message, inside whatever stands around it.
fn enclosed<'e, 't>(element: &'e Element<'t>) -> Option<&'e Element<'t>> {
    match element.namespace {
        Namespace::Hl7v2 => Some(element),
        Namespace::None if element.elements().any(|it| it.name == "MSH") => Some(element),
        _ => element.elements().find_map(enclosed),
    }
}

fn is_header(segment: &str) -> bool {
    matches!(segment, "MSH" | "FHS" | "BHS")
}

fn is_segment(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() == 3
        && bytes.next().is_some_and(|byte| byte.is_ascii_uppercase())
        && bytes.all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The number after the last dot of a name.
fn number(name: &str, max: usize) -> Option<usize> {
    let (_, digits) = name.rsplit_once('.')?;
    let sound = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| sound && (1..=max).contains(number))
}

struct Writer<'t> {
    text: &'t str,
    delimiters: Delimiters,
    deviations: Deviations,
    /// Segments of each name so far.
    counts: BTreeMap<&'t str, usize>,
}

impl<'t> Writer<'t> {
    fn tell(&mut self, kind: Kind, element: &Element<'_>, location: &str) {
        let text = self.text;
        self.deviations.push(kind, || xml::place(text, element.offset).0, location);
    }

    /// All segments below, in the order of the document.
    fn gather<'e>(&mut self, group: &'e Element<'t>, segments: &mut Vec<&'e Element<'t>>) {
        if group.has_text() {
            self.tell(Kind::TextBesideElements, group, "");
        }
        for element in group.elements() {
            if is_segment(element.name) {
                segments.push(element);
            } else if element.elements().next().is_some() {
                self.gather(element, segments);
            } else if element.has_text() {
                self.tell(Kind::Unplaced, element, "");
            }
        }
    }

    fn read_delimiters(&mut self, header: &Element<'t>) {
        let given = |name: &str| header.elements().find(|it| it.name == name).map(|it| plain(it));
        let field = given("MSH.1").unwrap_or_else(|| "|".to_owned());
        let others = given("MSH.2").unwrap_or_else(|| Delimiters::STANDARD.encoding_characters());
        if let [field] = field.as_bytes()
            && usable(*field)
            && (4..=5).contains(&others.len())
            && let (delimiters, true) = Delimiters::read(*field, others.as_bytes())
        {
            self.delimiters = delimiters;
        } else {
            self.tell(Kind::DelimitersReplaced, header, "MSH-2");
        }
    }

    /// MSH-18 as it must be, so that the bytes are read as what they are.
    fn settle_charset(&mut self, header: &Element<'t>, fields: &mut Vec<String>, is_ascii: bool) {
        let sent = fields.get(CHARSET_FIELD - 1).cloned().unwrap_or_default();
        if sent == UTF_8 || sent.is_empty() && is_ascii {
            return;
        }
        if !sent.is_empty() {
            self.tell(Kind::CharsetReplaced, header, "MSH-18");
        }
        if fields.len() < CHARSET_FIELD {
            fields.resize(CHARSET_FIELD, String::new());
        }
        if let Some(field) = fields.get_mut(CHARSET_FIELD - 1) {
            UTF_8.clone_into(field);
        }
    }

    /// The fields of a segment as ER7, from field 1.
    fn segment(&mut self, segment: &Element<'t>) -> Vec<String> {
        let count = self.counts.entry(segment.name).or_insert(0);
        *count += 1;
        let here =
            if segment.name == "MSH" { "MSH".to_owned() } else { format!("{}[{count}]", segment.name) };
        if segment.has_text() {
            self.tell(Kind::TextBesideElements, segment, &here);
        }
        let mut fields: Vec<Option<String>> = Vec::new();
        let mut highest = 0;
        for element in segment.elements() {
            let own = element.name.strip_prefix(segment.name).is_some_and(|rest| rest.starts_with('.'));
            let Some(place) = number(element.name, FIELDS_MAX).filter(|_| own) else {
                if !is_empty(element) {
                    self.tell(Kind::Unplaced, element, &here);
                }
                continue;
            };
            let location = format!("{here}-{place}");
            if place < highest {
                self.tell(Kind::OutOfOrder, element, &location);
            }
            highest = highest.max(place);
            if fields.len() < place {
                fields.resize(place, None);
            }
            let value = match (is_header(segment.name), place) {
                (true, 1) => char::from(self.delimiters.field).to_string(),
                (true, 2) => self.delimiters.encoding_characters(),
                _ => self.part(element, Level::Field, &location),
            };
            match fields.get_mut(place - 1) {
                Some(Some(before)) => {
                    before.push(char::from(self.delimiters.repetition.unwrap_or(b'~')));
                    before.push_str(&value);
                }
                Some(field) => *field = Some(value),
                None => {}
            }
        }
        let mut fields: Vec<String> = fields.into_iter().map(Option::unwrap_or_default).collect();
        if is_header(segment.name) {
            fields.resize(fields.len().max(2), String::new());
            for (field, value) in fields
                .iter_mut()
                .zip([char::from(self.delimiters.field).to_string(), self.delimiters.encoding_characters()])
            {
                *field = value;
            }
        }
        fields
    }

    /// One repetition, component or subcomponent as ER7.
    fn part(&mut self, element: &Element<'t>, level: Level, location: &str) -> String {
        let mut inner = element.elements().filter(|it| !is_escape(it)).peekable();
        if inner.peek().is_none() {
            return self.leaf(element, location);
        }
        if element.has_text() || element.elements().any(is_escape) {
            self.tell(Kind::TextBesideElements, element, location);
        }
        let Some((below, delimiter)) = level.below(&self.delimiters) else {
            // A type that has only its first part is that part: `DR.1` of a subcomponent holds a `TS.1`.
            return self.only_first(element, location);
        };
        let mut parts: Vec<Option<String>> = Vec::new();
        let mut highest = 0;
        for element in inner {
            let Some(place) = number(element.name, PARTS_MAX) else {
                if !is_empty(element) {
                    self.tell(Kind::Unplaced, element, location);
                }
                continue;
            };
            if place < highest {
                self.tell(Kind::OutOfOrder, element, location);
            }
            highest = highest.max(place);
            if parts.len() < place {
                parts.resize(place, None);
            }
            match parts.get_mut(place - 1) {
                Some(Some(_)) => self.tell(Kind::PartTwice, element, location),
                Some(part) => *part = Some(self.part(element, below, location)),
                None => {}
            }
        }
        let parts: Vec<String> = parts.into_iter().map(Option::unwrap_or_default).collect();
        parts.join(&char::from(delimiter).to_string())
    }

    fn only_first(&mut self, element: &Element<'t>, location: &str) -> String {
        let mut first = None;
        for inner in element.elements().filter(|it| !is_escape(it)) {
            if number(inner.name, PARTS_MAX) == Some(1) && first.is_none() {
                first = Some(self.part(inner, Level::Subcomponent, location));
            } else if !is_empty(inner) {
                self.tell(Kind::TooDeep, inner, location);
            }
        }
        first.unwrap_or_default()
    }

    /// Text and `escape` elements, delimiters in the text escaped.
    fn leaf(&mut self, element: &Element<'t>, location: &str) -> String {
        let mut out = String::new();
        let last = element.content.len().saturating_sub(1);
        for (at, content) in element.content.iter().enumerate() {
            match content {
                Content::Text(text) => {
                    let text = if at == 0 { without_layout_before(text) } else { text };
                    let text = if at == last { without_layout_after(text) } else { text };
                    self.escaped(text, element, location, &mut out);
                }
                Content::Element(inner) => {
                    let sequence = inner.attribute("V").unwrap_or_default();
                    let escape = char::from(self.delimiters.escape.unwrap_or(b'\\'));
                    let whole = format!("{escape}{sequence}{escape}");
                    if self.is_escape_sequence(&whole) {
                        out.push_str(&whole);
                    } else {
                        self.tell(Kind::EscapeUnknown, inner, location);
                    }
                }
            }
        }
        out
    }

    fn is_escape_sequence(&self, whole: &str) -> bool {
        let mut tokens = escape::tokens(whole, self.delimiters.escape);
        matches!(tokens.next(), Some(Token::Escape(body, _)) if self.is_plain(body))
            && tokens.next().is_none()
    }

    /// Whether an escape's body has nothing that would end a segment, field or part.
    fn is_plain(&self, body: &str) -> bool {
        let taken = self.delimiters.encoding_characters();
        body.bytes().all(|byte| {
            (b' '..=b'~').contains(&byte)
                && byte != self.delimiters.field
                && !taken.as_bytes().contains(&byte)
        })
    }

    fn escaped(&mut self, text: &str, element: &Element<'t>, location: &str, out: &mut String) {
        let escape = char::from(self.delimiters.escape.unwrap_or(b'\\'));
        let mut told = false;
        for token in escape::tokens(text, self.delimiters.escape) {
            match token {
                Token::Text(plain) => escape::encode(plain, &self.delimiters, out),
                Token::Escape(body, _) if self.is_plain(body) => {
                    told = true;
                    out.push(escape);
                    out.push_str(body);
                    out.push(escape);
                }
                Token::Escape(body, _) => {
                    escape::encode(&format!("{escape}{body}{escape}"), &self.delimiters, out);
                }
                Token::Unterminated | Token::Unknown => {
                    escape::encode(escape.encode_utf8(&mut [0; 4]), &self.delimiters, out);
                }
            }
        }
        if told {
            self.tell(Kind::EscapeInText, element, location);
        }
    }
}

#[derive(Clone, Copy)]
enum Level {
    Field,
    Component,
    Subcomponent,
}

impl Level {
    /// The level of the parts inside, and what stands between them.
    fn below(self, delimiters: &Delimiters) -> Option<(Self, u8)> {
        match self {
            Self::Field => Some((Self::Component, delimiters.component?)),
            Self::Component => Some((Self::Subcomponent, delimiters.subcomponent?)),
            Self::Subcomponent => None,
        }
    }
}

fn is_escape(element: &Element<'_>) -> bool {
    element.name == "escape"
}

fn is_empty(element: &Element<'_>) -> bool {
    !element.has_text() && element.elements().all(is_empty) && !is_escape(element)
}

/// The text of an element, without layout.
fn plain(element: &Element<'_>) -> String {
    let texts = element.content.iter().map(|it| match it {
        Content::Text(text) => text.trim_matches(is_space),
        Content::Element(_) => "",
    });
    texts.collect()
}

/// White space at the beginning is layout if a line ends in it.
fn without_layout_before(text: &str) -> &str {
    let trimmed = text.trim_start_matches(is_space);
    let layout = text.strip_suffix(trimmed).unwrap_or_default();
    if layout.contains('\n') { trimmed } else { text }
}

fn without_layout_after(text: &str) -> &str {
    let trimmed = text.trim_end_matches(is_space);
    let layout = text.strip_prefix(trimmed).unwrap_or_default();
    if layout.contains('\n') { trimmed } else { text }
}
