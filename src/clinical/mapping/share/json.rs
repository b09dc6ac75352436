//! The leaves of JSON, each with its bytes: of text that is JSON, and as far as it goes of text that is not.

use std::ops::Range;

use crate::clinical::attachment;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::share::leaf::Form;
use crate::clinical::mapping::share::leaf::Leaf;
use crate::clinical::mapping::share::leaf::Unit;
use crate::clinical::mapping::share::leaf::plain_units;
use crate::clinical::mapping::share::treatment::Treatment;
use crate::clinical::mapping::share::tree::Key;
use crate::clinical::mapping::share::tree::Policy;
use crate::formats::json;
use crate::formats::tree::Node;

/// The name of a member that says more digits, or is longer, may be somebody's.
const NAME_DIGITS_MAX: usize = 4;
const NAME_CHARS_MAX: usize = 64;

pub(super) fn leaves(mapping: &Mapping, bytes: &[u8], policy: &Policy) -> Vec<Leaf> {
    let root = json::decode(bytes).ok();
    let mut scanner = Scanner { bytes, at: 0, open: Vec::new(), found: Vec::new() };
    scanner.scan();
    let leaf = |scanned: Scanned| {
        let Scanned { at, path, what } = scanned;
        let is_number = matches!(what, What::Number);
        let treatment = match what {
            What::Name if is_like_a_name(bytes.get(at.clone()).unwrap_or_default()) => Treatment::Keep,
            What::Name | What::Junk => Treatment::Hide,
            What::Number | What::Value => policy.treatment(mapping, &key(root.as_ref(), &path)),
        };
        let text = String::from_utf8_lossy(bytes.get(at.clone()).unwrap_or_default());
        match treatment {
            Treatment::Document(_) if attachment::is_placeholder(&text) => {
                Leaf { at: at.clone(), units: units(bytes, at), treatment: Treatment::Hide }
            }
            Treatment::Document(_) => Leaf { at, units: Vec::new(), treatment },
            treatment => {
                let mut units = units(bytes, at.clone());
                // The letter of an exponent is what makes it one.
                let is_letter = |unit: &&mut Unit| is_number && unit.character.is_ascii_alphabetic();
                units.iter_mut().filter(is_letter).for_each(|unit| unit.form = Form::Fixed);
                Leaf { at, units, treatment }
            }
        }
    };
    scanner.found.into_iter().map(leaf).collect()
}

fn is_like_a_name(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.chars().count() <= NAME_CHARS_MAX
        && digits <= NAME_DIGITS_MAX
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '$' | '@'))
        && text
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '$' | '@' | '-' | '.' | ':' | ' '))
}

/// The kind of place that a path leads to.
fn key(root: Option<&Node>, path: &[Step]) -> Key {
    let mut key = Key::default();
    let mut node = root;
    let enter = |node: Option<&Node>, key: &mut Key| {
        if let Some(kind) = node.and_then(|it| it.get("resourceType")).and_then(Node::text) {
            *key = Key { resource: kind.to_owned(), names: Vec::new() };
        }
    };
    enter(node, &mut key);
    for step in path {
        match step {
            Step::Item(at) => {
                node = match node {
                    Some(Node::List(items)) => items.get(*at),
                    _ => None,
                };
            }
            Step::Name(name) => {
                key.names.push(name.clone());
                node = node.and_then(|it| it.get(name));
            }
        }
        enter(node, &mut key);
    }
    key
}

#[derive(Debug, Clone)]
enum Step {
    Item(usize),
    Name(String),
}

enum What {
    /// No JSON.
    Junk,
    Name,
    Number,
    Value,
}

struct Scanned {
    at: Range<usize>,
    path: Vec<Step>,
    what: What,
}

/// An object or list that is open.
struct Open {
    is_object: bool,
    is_name_next: bool,
    step: Step,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
    found: Vec<Scanned>,
}

impl Scanner<'_> {
    fn scan(&mut self) {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'{' => self.open.push(Open { is_object: true, is_name_next: true, step: Step::Item(0) }),
                b'[' => self.open.push(Open { is_object: false, is_name_next: false, step: Step::Item(0) }),
                b'}' | b']' => drop(self.open.pop()),
                b',' => self.next_member(),
                b'"' => self.text(),
                _ if byte.is_ascii_alphanumeric() || !byte.is_ascii() || byte == b'-' => self.word(),
                _ => {}
            }
        }
    }

    fn next_member(&mut self) {
        let Some(open) = self.open.last_mut() else { return };
        open.is_name_next = open.is_object;
        if let (false, Step::Item(at)) = (open.is_object, &mut open.step) {
            *at += 1;
        }
    }

    fn path(&self) -> Vec<Step> {
        self.open.iter().map(|it| it.step.clone()).collect()
    }

    /// A string, of which the opening quote has been read.
    fn text(&mut self) {
        let start = self.at;
        let mut is_escaped = false;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => break,
                _ => {}
            }
            self.at += 1;
        }
        let at = start..self.at;
        self.at += 1;
        let is_name = self.open.last().is_some_and(|it| it.is_object && it.is_name_next);
        if is_name {
            let quoted =
                format!("\"{}\"", String::from_utf8_lossy(self.bytes.get(at.clone()).unwrap_or_default()));
            let name = match json::decode(quoted.as_bytes()) {
                Ok(Node::Text(name)) => name,
                _ => quoted,
            };
            if let Some(open) = self.open.last_mut() {
                open.is_name_next = false;
                open.step = Step::Name(name);
            }
            self.found.push(Scanned { at, path: Vec::new(), what: What::Name });
        } else {
            self.found.push(Scanned { at, path: self.path(), what: What::Value });
        }
    }

    /// A number, a literal, or what is no JSON.
    fn word(&mut self) {
        let start = self.at - 1;
        let ends = |byte: &u8| {
            byte.is_ascii_whitespace() || matches!(byte, b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']')
        };
        let rest = self.bytes.get(start..).unwrap_or_default();
        self.at = start + rest.iter().position(ends).unwrap_or(rest.len());
        let at = start..self.at;
        match self.bytes.get(at.clone()).unwrap_or_default() {
            b"true" | b"false" | b"null" => {}
            word if word.iter().all(|it| it.is_ascii_digit() || b"+-.eE".contains(it)) => {
                self.found.push(Scanned { at, path: self.path(), what: What::Number });
            }
            _ => self.found.push(Scanned { at, path: Vec::new(), what: What::Junk }),
        }
    }
}

/// The characters of a string or number, escapes read.
fn units(bytes: &[u8], at: Range<usize>) -> Vec<Unit> {
    let plain = plain_units(bytes, at, encoding_rs::UTF_8);
    let mut units = Vec::with_capacity(plain.len());
    let mut rest = plain.as_slice();
    while let Some(first) = rest.first() {
        let long = if first.character != '\\' {
            1
        } else if rest.get(1).is_some_and(|it| it.character == 'u') {
            if surrogates(rest).is_some() { 12 } else { 6 }
        } else {
            2
        };
        let (own, after) = rest.split_at(long.min(rest.len()));
        rest = after;
        let end = own.last().map_or(first.at.end, |it| it.at.end);
        let unit = match own.len() {
            1 => first.clone(),
            6 => unicode(own)
                .map_or_else(|| fixed(first), |it| Unit { character: it, form: Form::Json, ..first.clone() }),
            12 => surrogates(own)
                .map_or_else(|| fixed(first), |it| Unit { character: it, form: Form::Json, ..first.clone() }),
            _ => Unit { character: meant(own).unwrap_or(first.character), ..fixed(first) },
        };
        units.push(Unit { at: first.at.start..end, ..unit });
    }
    units
}

/// What an escape of one letter stands for.
fn meant(own: &[Unit]) -> Option<char> {
    Some(match own.get(1)?.character {
        'b' | 'f' | 'n' | 'r' | 't' => ' ',
        other => other,
    })
}

fn fixed(unit: &Unit) -> Unit {
    Unit { form: Form::Fixed, ..unit.clone() }
}

fn code_unit(units: &[Unit]) -> Option<u16> {
    let digits: String = units.get(2..6)?.iter().map(|it| it.character).collect();
    u16::from_str_radix(&digits, 16).ok()
}

fn unicode(units: &[Unit]) -> Option<char> {
    char::from_u32(u32::from(code_unit(units)?))
}

fn surrogates(units: &[Unit]) -> Option<char> {
    let pair = [code_unit(units)?, code_unit(units.get(6..12)?)?];
    char::decode_utf16(pair).next()?.ok().filter(|it| it.len_utf16() == 2)
}
