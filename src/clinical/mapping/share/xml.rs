//! The leaves of XML, each with its bytes: of FHIR, and of HL7 v2 in its XML encoding.
//!
//! It reads on where a document is not well formed, and hides what it cannot place.

use encoding_rs::Encoding;

use crate::clinical::attachment;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::share::er7;
use crate::clinical::mapping::share::er7::Place;
use crate::clinical::mapping::share::leaf::Form;
use crate::clinical::mapping::share::leaf::Leaf;
use crate::clinical::mapping::share::leaf::Unit;
use crate::clinical::mapping::share::leaf::plain_units;
use crate::clinical::mapping::share::treatment::Treatment;
use crate::clinical::mapping::share::tree::Key;
use crate::clinical::mapping::share::tree::Policy;
use crate::formats::xml;

pub(super) fn leaves(mapping: &Mapping, bytes: &[u8], policy: &Policy) -> (Vec<Leaf>, &'static Encoding) {
    let (encoding, mark) = xml::encoding(bytes).unwrap_or((encoding_rs::UTF_8, 0));
    let units = plain_units(bytes, mark..bytes.len(), encoding);
    let mut scanner = Scanner {
        mapping,
        policy,
        units: &units,
        at: 0,
        open: Vec::new(),
        declared: String::new(),
        encoded: String::new(),
        found: Vec::new(),
    };
    scanner.scan();
    (scanner.found, encoding)
}

struct Scanner<'a> {
    mapping: &'a Mapping,
    policy: &'a Policy,
    units: &'a [Unit],
    at: usize,
    /// Local names of the elements that are open.
    open: Vec<String>,
    /// OBX.2 of the segment at hand, and the encoding of the document at hand.
    declared: String,
    encoded: String,
    found: Vec<Leaf>,
}

impl Scanner<'_> {
    fn character(&self, at: usize) -> Option<char> {
        self.units.get(at).map(|unit| unit.character)
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(at, letter)| self.character(self.at + at) == Some(letter))
    }

    /// Passes over everything to the end of `mark`, or of the document.
    fn pass(&mut self, mark: &str) {
        while self.at < self.units.len() && !self.starts_with(mark) {
            self.at += 1;
        }
        self.at = (self.at + mark.chars().count()).min(self.units.len());
    }

    fn scan(&mut self) {
        while self.at < self.units.len() {
            let start = self.at;
            if self.starts_with("<!--") {
                self.pass("-->");
                self.leaf(start + 4, self.at.saturating_sub(3), Treatment::Hide);
            } else if self.starts_with("<![CDATA[") {
                self.pass("]]>");
                self.text(start + 9, self.at.saturating_sub(3));
            } else if self.starts_with("<?") {
                self.pass("?>");
            } else if self.starts_with("<!") {
                self.pass(">");
                self.leaf(start + "<!DOCTYPE".len(), self.at.saturating_sub(1), Treatment::Hide);
            } else if self.starts_with("</") {
                self.pass(">");
                self.open.pop();
            } else if self.starts_with("<") {
                self.tag();
            } else {
                while self.at < self.units.len() && !self.starts_with("<") {
                    self.at += 1;
                }
                self.text(start, self.at);
            }
        }
    }

    fn name(&mut self) -> String {
        let is_part = |it: char| !it.is_whitespace() && !matches!(it, '=' | '>' | '/' | '<');
        let mut name = String::new();
        while let Some(letter) = self.character(self.at).filter(|it| is_part(*it)) {
            name.push(letter);
            self.at += 1;
        }
        name
    }

    /// A start tag with its attributes.
    fn tag(&mut self) {
        self.at += 1;
        let name = self.name();
        let local = name.rsplit(':').next().unwrap_or_default().to_owned();
        if is_segment(&local) {
            self.declared.clear();
        }
        self.open.push(local);
        loop {
            match self.character(self.at) {
                None | Some('<') => return,
                Some('>') => {
                    self.at += 1;
                    return;
                }
                Some('/') => {
                    self.at += 1;
                    if self.starts_with(">") {
                        self.at += 1;
                        self.open.pop();
                        return;
                    }
                }
                Some(letter) if letter.is_whitespace() || letter == '=' => self.at += 1,
                Some(quote @ ('"' | '\'')) => {
                    // A value without its name.
                    self.value("", quote);
                }
                Some(_) => {
                    let name = self.name();
                    while self.character(self.at).is_some_and(|it| it.is_whitespace() || it == '=') {
                        self.at += 1;
                    }
                    if let Some(quote @ ('"' | '\'')) = self.character(self.at) {
                        self.value(&name, quote);
                    } else if name.is_empty() {
                        self.at += 1;
                    }
                }
            }
        }
    }

    /// The value of an attribute, of which the opening quote is next.
    fn value(&mut self, name: &str, quote: char) {
        let start = self.at + 1;
        self.at = start;
        while self.character(self.at).is_some_and(|it| it != quote) {
            self.at += 1;
        }
        let end = self.at;
        self.at += 1;
        let is_markup = name == "xmlns"
            || name.starts_with("xmlns:")
            || name.starts_with("xsi:")
            || name.starts_with("xml:");
        let treatment = if is_markup || self.open.last().is_some_and(|it| it == "escape") {
            Treatment::Keep
        } else if self.mapping.format() == Format::Fhir && !self.open.iter().any(|it| it == "div") {
            let mut key = self.key();
            if name != "value" {
                key.names.push(name.to_owned());
            }
            self.policy.treatment(self.mapping, &key)
        } else {
            Treatment::Hide
        };
        self.leaf(start, end, treatment);
    }

    /// Text between tags.
    fn text(&mut self, start: usize, end: usize) {
        let text: String =
            self.units.get(start..end).unwrap_or_default().iter().map(|unit| unit.character).collect();
        if text.trim().is_empty() {
            return;
        }
        let treatment = match self.place() {
            Some((segment, [field, component, subcomponent])) if self.mapping.format() == Format::Hl7v2 => {
                if segment == "OBX" && field == 2 {
                    self.declared = text.trim().to_ascii_uppercase();
                }
                if component == 4 {
                    text.trim().clone_into(&mut self.encoded);
                }
                let place = Place { segment: &segment, field, component, subcomponent };
                er7::treatment(self.mapping, place, text.trim(), &self.declared, &self.encoded)
            }
            _ => Treatment::Hide,
        };
        self.leaf(start, end, treatment);
    }

    /// Of HL7 v2, the segment and the numbers of field, component and subcomponent.
    fn place(&self) -> Option<(String, [u32; 3])> {
        let at = self.open.iter().rposition(|name| is_segment(name))?;
        let number = |name: Option<&String>| name?.rsplit_once('.')?.1.parse::<u32>().ok();
        let field = number(self.open.get(at + 1))?;
        let [component, subcomponent] = [2, 3].map(|it| number(self.open.get(at + it)).unwrap_or(1));
        Some((self.open.get(at)?.clone(), [field, component, subcomponent]))
    }

    /// Of FHIR, the kind of place: names since the last element that is a resource.
    fn key(&self) -> Key {
        let is_type = |name: &String| name.starts_with(|first: char| first.is_ascii_uppercase());
        let at = self.open.iter().rposition(is_type);
        let names = self.open.get(at.map_or(0, |it| it + 1)..).unwrap_or_default().to_vec();
        Key { resource: at.and_then(|at| self.open.get(at)).cloned().unwrap_or_default(), names }
    }

    fn leaf(&mut self, start: usize, end: usize, treatment: Treatment) {
        let own = self.units.get(start..end).unwrap_or_default();
        let (Some(first), Some(last)) = (own.first(), own.last()) else { return };
        let at = first.at.start..last.at.end;
        let text = || own.iter().map(|unit| unit.character).collect::<String>();
        let leaf = match treatment {
            Treatment::Document(_) if attachment::is_placeholder(&text()) => {
                Leaf { at, units: with_references(own), treatment: Treatment::Hide }
            }
            Treatment::Document(_) => Leaf { at, units: Vec::new(), treatment },
            treatment => Leaf { at, units: with_references(own), treatment },
        };
        self.found.push(leaf);
    }
}

fn is_segment(name: &str) -> bool {
    name.len() == 3
        && name.starts_with(|it: char| it.is_ascii_uppercase())
        && name.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit())
}

/// The longest reference or escape there is.
const REFERENCE_CHARS_MAX: usize = 12;

/// Entities and character references as the one character each is, and HL7's escapes as they stand.
fn with_references(units: &[Unit]) -> Vec<Unit> {
    let mut read = Vec::with_capacity(units.len());
    let mut rest = units;
    while let Some(first) = rest.first() {
        let mark = match first.character {
            '&' => ';',
            '\\' => '\\',
            _ => {
                read.push(first.clone());
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
        };
        let end = rest.iter().skip(1).take(REFERENCE_CHARS_MAX).position(|unit| unit.character == mark);
        let (own, after) = rest.split_at(end.map_or(1, |it| it + 2).min(rest.len()));
        rest = after;
        let text: String = own.iter().map(|unit| unit.character).collect();
        let at = first.at.start..own.last().map_or(first.at.end, |it| it.at.end);
        let reference = text.strip_prefix("&#").and_then(|it| it.strip_suffix(';'));
        let referenced = reference.and_then(|digits| match digits.strip_prefix('x') {
            Some(digits) => Some((u32::from_str_radix(digits, 16).ok()?, Form::XmlHexadecimal)),
            None => Some((digits.parse().ok()?, Form::XmlDecimal)),
        });
        let referenced = referenced.and_then(|(number, form)| Some((char::from_u32(number)?, form)));
        if mark == '\\' && !is_escape(&text) {
            read.extend(own.iter().cloned());
            continue;
        }
        let (character, form) = referenced.unwrap_or((first.character, Form::Fixed));
        read.push(Unit { at, character, form });
    }
    read
}

fn is_escape(text: &str) -> bool {
    let body = text.trim_matches('\\');
    matches!(body, "E" | "F" | "H" | "N" | "P" | "R" | "S" | "T") || body.starts_with('.')
}
