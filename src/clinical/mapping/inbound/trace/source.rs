//! The message as it was sent, cut into the leaves that a reading can come from, each with its place.

use std::collections::HashMap;
use std::ops::Range;

use crate::clinical::mapping::inbound::LedgerEntry;
use crate::clinical::mapping::inbound::Position;
use crate::clinical::mapping::inbound::ledger;
use crate::clinical::mapping::inbound::tree;
use crate::clinical::mapping::language::Format;
use crate::formats::csv;
use crate::formats::hl7v2;
use crate::formats::hl7v2::Element;
use crate::formats::hl7v2::Location;
use crate::formats::hl7v2::Segment;
use crate::formats::json;
use crate::formats::tree::Node;

/// One populated leaf. It has no `Debug`: its text is a patient's.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf {
    /// `OBX[3]-6.1`, `Bundle.entry[0].resource.id`, `line 3, Ferritin`.
    pub place: String,
    /// Escapes decoded, without white space around it.
    pub text: String,
    /// In the bytes that were read; `None` where the format's reader keeps no places, as for XML.
    pub bytes: Option<Range<usize>>,
    /// From one.
    pub line: Option<usize>,
    /// The entry of the ledger it is accounted for in.
    pub field: usize,
    location: Option<Location>,
}

/// A run of the message's text, as sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    pub leaf: Option<usize>,
}

/// A message laid out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Source {
    pub leaves: Vec<Leaf>,
    /// The whole message in order, or a list of its leaves where they have no places in it.
    pub pieces: Vec<Piece>,
    /// Every segment or node by its name: its number as the ledger counts scopes, and the first leaf from there on.
    scopes: HashMap<String, (u32, usize)>,
}

impl Source {
    /// The leaves that a position of the ledger names or holds.
    pub(super) fn below(&self, at: &Position) -> Vec<usize> {
        match at {
            Position::Field(at) => {
                let segment = Location::segment(segment_name(at), at.ordinal());
                let is_of_segment = |it: &Leaf| it.location.is_some_and(|own| overlap(&segment, &own));
                let is_below = |it: &Leaf| it.location.is_some_and(|own| overlap(at, &own));
                self.run(&segment.to_string(), is_of_segment)
                    .filter(|(_, it)| is_below(it))
                    .map(|(at, _)| at)
                    .collect()
            }
            Position::Place(place) => {
                self.run(place, |it| is_within(&it.place, place)).map(|(at, _)| at).collect()
            }
        }
    }

    /// The leaves of a place by its name: `MSH-10`, `OBX[3]`, `Bundle.entry[0]`.
    pub fn named(&self, name: &str) -> Vec<usize> {
        match name.parse() {
            Ok(location) => self.below(&Position::Field(location)),
            Err(_) => self.below(&Position::Place(name.to_owned())),
        }
    }

    /// The leaves from a scope on, as long as they belong to it.
    fn run(&self, scope: &str, belongs: impl Fn(&Leaf) -> bool) -> impl Iterator<Item = (usize, &Leaf)> {
        let first = self.scopes.get(scope).map_or(self.leaves.len(), |(_, first)| *first);
        self.leaves.iter().enumerate().skip(first).take_while(move |(_, leaf)| belongs(leaf))
    }

    pub(super) fn scope(&self, name: &str) -> Option<u32> {
        self.scopes.get(name).map(|(number, _)| *number)
    }

    fn begin(&mut self, scope: String) {
        let number = ledger::scope(self.scopes.len());
        self.scopes.insert(scope, (number, self.leaves.len()));
    }

    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece { text: before, leaf: None }) => before.push_str(text),
            _ => self.pieces.push(Piece { text: text.to_owned(), leaf: None }),
        }
    }

    fn push_leaf(&mut self, written: &str, leaf: Leaf) {
        self.pieces.push(Piece { text: written.to_owned(), leaf: Some(self.leaves.len()) });
        self.leaves.push(leaf);
    }
}

/// Whether one place is another, or stands inside it.
pub(super) fn is_within(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || outer == "/" || rest.starts_with(['.', '[', '/', ',', '-']))
}

fn segment_name(at: &Location) -> [u8; 3] {
    at.segment_name().as_bytes().try_into().unwrap_or(*b"???")
}

/// Whether the numbers that both give are the same: a part that is not divided is its own first part.
fn overlap(a: &Location, b: &Location) -> bool {
    let agree = |a: Option<u32>, b: Option<u32>| a.zip(b).is_none_or(|(a, b)| a == b);
    a.segment_name() == b.segment_name()
        && a.ordinal() == b.ordinal()
        && agree(a.field_number(), b.field_number())
        && agree(a.repetition_number(), b.repetition_number())
        && agree(a.component_number(), b.component_number())
        && agree(a.subcomponent_number(), b.subcomponent_number())
}

/// Lays out HL7 v2. `is_placed` where the bytes are those of the file, and not made from its XML.
pub(super) fn of_message(message: &hl7v2::Message<'_>, entries: &[LedgerEntry], is_placed: bool) -> Source {
    let mut source = Source::default();
    let mut fields = Fields { entries, next: 0 };
    let delimiters = message.delimiters();
    let [field, repetition, component, subcomponent] =
        [Some(delimiters.field), delimiters.repetition, delimiters.component, delimiters.subcomponent]
            .map(|it| it.map(|it| char::from(it).to_string()).unwrap_or_default());
    for segment in message.segments() {
        source.begin(segment.location().to_string());
        source.push(segment.name());
        let is_header = segment.name() == "MSH";
        let places = Places::of(segment, is_placed);
        for number in 1..=segment.field_count() {
            // MSH-1 is the separator itself.
            if !(is_header && number <= 2) {
                source.push(&field);
            }
            let element = segment.field(number);
            let entry = fields.of(element);
            let Some(entry) = entry else {
                source.push(element.raw());
                continue;
            };
            for (at, part) in element.repetitions().enumerate() {
                source.push(if at > 0 { &repetition } else { "" });
                for (at, part) in part.components().enumerate() {
                    source.push(if at > 0 { &component } else { "" });
                    for (at, part) in part.subcomponents().enumerate() {
                        source.push(if at > 0 { &subcomponent } else { "" });
                        leaf(&mut source, part, entry, &places);
                    }
                }
            }
        }
        source.push("\n");
    }
    source
}

fn leaf(source: &mut Source, part: Element<'_>, field: usize, places: &Places<'_>) {
    if !part.is_populated() {
        source.push(part.raw());
        return;
    }
    let (bytes, line) = places.of_part(part);
    let location = shortest(part, places.segment);
    let text = part.text().trim().to_owned();
    let place = location.to_string();
    source.push_leaf(part.raw(), Leaf { place, text, bytes, line, field, location: Some(location) });
}

/// `PID-8` rather than `PID-8.1.1`, where it is not divided.
fn shortest(part: Element<'_>, segment: Segment<'_>) -> Location {
    let at = part.location();
    let (Some(number), Some(repetition)) = (at.field_number(), at.repetition_number()) else { return at };
    let whole = segment.field(number).repetition(repetition);
    let component = at.component_number().map(|it| whole.component(it));
    if !whole.is_divided() {
        whole.location()
    } else if let Some(component) = component.filter(|it| !it.is_divided()) {
        component.location()
    } else {
        at
    }
}

/// The entries of the ledger, which stand in the order of the fields.
struct Fields<'l> {
    entries: &'l [LedgerEntry],
    next: usize,
}

impl Fields<'_> {
    fn of(&mut self, element: Element<'_>) -> Option<usize> {
        let entry = self.entries.get(self.next)?;
        if entry.field != Position::Field(element.location()) {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }
}

/// Where the parts of one segment stand in the file.
struct Places<'m> {
    segment: Segment<'m>,
    is_placed: bool,
    line: usize,
}

impl<'m> Places<'m> {
    fn of(segment: Segment<'m>, is_placed: bool) -> Self {
        let line = if is_placed { segment.position().line } else { 0 };
        Self { segment, is_placed, line }
    }

    fn of_part(&self, part: Element<'_>) -> (Option<Range<usize>>, Option<usize>) {
        if self.is_placed { (Some(part.position().bytes), Some(self.line)) } else { (None, None) }
    }
}

/// Lays out a tree by the bytes it was decoded from.
pub(super) fn of_document(raw: &[u8], format: Format, root: &Node, entries: usize) -> Source {
    let spans = if json::decode(raw).is_ok() { json::scalars(raw) } else { Vec::new() };
    of_places(raw, tree::places(root, format, Vec::new()), &spans, entries)
}

/// Lays out a table.
pub(super) fn of_table(
    raw: &[u8],
    delimiter: Option<csv::Delimiter>,
    table: &csv::Table,
    entries: usize,
) -> Source {
    let (root, lines) = tree::rows(table);
    let spans: Vec<_> = csv::places(raw, delimiter).unwrap_or_default().into_iter().flatten().collect();
    of_places(raw, tree::places(&root, Format::Csv, lines), &spans, entries)
}

fn of_places(raw: &[u8], places: Vec<(String, &Node)>, spans: &[Range<usize>], entries: usize) -> Source {
    let mut source = Source::default();
    let is_scalar = |node: &Node| !matches!(node, Node::List(_) | Node::Object(_));
    let scalars = places.iter().filter(|(_, node)| is_scalar(node)).count();
    let is_placed = spans.len() == scalars && std::str::from_utf8(raw).is_ok();
    let mut spans = spans.iter().cloned();
    let (mut at, mut line, mut field) = (0, 1, 0);
    let written = |range: Range<usize>| String::from_utf8_lossy(raw.get(range).unwrap_or_default());
    for (place, node) in places {
        let span = if is_scalar(node) { spans.next() } else { None }.filter(|_| is_placed);
        let text = node.text().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        source.begin(place.clone());
        if let Some(text) = text.filter(|_| field < entries) {
            let leaf = |bytes, line| Leaf { place: place.clone(), text, bytes, line, field, location: None };
            if let Some(span) = span {
                let before = written(at..span.start);
                line += before.matches('\n').count();
                source.push(&before);
                source.push_leaf(&written(span.clone()), leaf(Some(span.clone()), Some(line)));
                line += written(span.clone()).matches('\n').count();
                at = span.end;
            } else {
                source.push(&format!("{place}: "));
                let shown = node.text().unwrap_or_default();
                source.push_leaf(shown, leaf(None, None));
                source.push("\n");
            }
            field += 1;
        }
    }
    if is_placed {
        source.push(&written(at..raw.len()));
    }
    source
}
