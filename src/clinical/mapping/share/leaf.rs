//! A leaf of a message as it was written: its characters, the bytes of each, and how it is spelled there.

use std::ops::Range;

use encoding_rs::Encoding;

use crate::clinical::mapping::share::treatment::Treatment;
use crate::formats::characters::bytes_of;
use crate::formats::characters::characters;

/// How a character is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Not to be changed: part of an escape, or no text.
    Fixed,
    /// Pairs of hexadecimal digits, one for each byte.
    Hexadecimal,
    /// `\u00e9`
    Json,
    Plain,
    /// `&#233;`
    XmlDecimal,
    /// `&#xE9;`
    XmlHexadecimal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) at: Range<usize>,
    pub(super) character: char,
    pub(super) form: Form,
}

/// One leaf and what becomes of it. A document has no units: it is looked at byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) at: Range<usize>,
    pub(super) units: Vec<Unit>,
    pub(super) treatment: Treatment,
}

impl Unit {
    pub(super) fn is_of_word(&self) -> bool {
        self.form != Form::Fixed && (self.character.is_alphabetic() || self.character.is_ascii_digit())
    }

    /// The bytes of another character in this one's place; `None` where they would not be as many.
    pub(super) fn spell(&self, message: &[u8], other: char, encoding: &'static Encoding) -> Option<Vec<u8>> {
        let own = message.get(self.at.clone())?;
        let is_small = own.iter().any(|byte| (b'a'..=b'f').contains(byte));
        let hexadecimal = |number: u32, width: usize| {
            if is_small { format!("{number:0width$x}") } else { format!("{number:0width$X}") }
        };
        let bytes = match self.form {
            Form::Fixed => return None,
            Form::Plain => {
                // An encoding that switches has the switch before the character's own bytes.
                let spelled = bytes_of(encoding, other)?;
                let switch = own.len().checked_sub(spelled.len())?;
                let (before, _) = own.split_at(switch);
                if !before.is_empty() && !before.contains(&0x1B) {
                    return None;
                }
                [before, spelled.as_slice()].concat()
            }
            Form::Hexadecimal => {
                let bytes = bytes_of(encoding, other)?;
                bytes.iter().map(|byte| hexadecimal(u32::from(*byte), 2)).collect::<String>().into_bytes()
            }
            Form::Json => {
                let mut units = [0; 2];
                let mut escaped = String::new();
                for unit in other.encode_utf16(&mut units).iter() {
                    escaped.push_str("\\u");
                    escaped.push_str(&hexadecimal(u32::from(*unit), 4));
                }
                escaped.into_bytes()
            }
            Form::XmlDecimal => {
                let width = own.len().saturating_sub("&#;".len());
                format!("&#{:0width$};", u32::from(other)).into_bytes()
            }
            Form::XmlHexadecimal => {
                let width = own.len().saturating_sub("&#x;".len());
                format!("&#x{};", hexadecimal(u32::from(other), width)).into_bytes()
            }
        };
        (bytes.len() == own.len()).then_some(bytes)
    }
}

impl Leaf {
    /// A leaf of plain characters.
    pub(super) fn plain(
        message: &[u8],
        at: Range<usize>,
        treatment: Treatment,
        encoding: &'static Encoding,
    ) -> Self {
        let units = plain_units(message, at.clone(), encoding);
        Self { at, units, treatment }
    }

    pub(super) fn text(&self) -> String {
        self.units.iter().map(|unit| unit.character).collect()
    }

    /// Runs of letters and digits, as places among the units.
    pub(super) fn words(&self) -> Vec<Range<usize>> {
        let mut words = Vec::new();
        let mut start = None;
        for (at, unit) in self.units.iter().enumerate() {
            match (unit.is_of_word(), start) {
                (true, None) => start = Some(at),
                (false, Some(from)) => {
                    words.push(from..at);
                    start = None;
                }
                _ => {}
            }
        }
        words.extend(start.map(|from| from..self.units.len()));
        words
    }

    pub(super) fn word(&self, place: &Range<usize>) -> String {
        self.units.get(place.clone()).unwrap_or_default().iter().map(|unit| unit.character).collect()
    }
}

pub(super) fn plain_units(message: &[u8], at: Range<usize>, encoding: &'static Encoding) -> Vec<Unit> {
    let bytes = message.get(at.clone()).unwrap_or_default();
    let unit = |(range, character): (Range<usize>, char)| Unit {
        at: at.start + range.start..at.start + range.end,
        character,
        form: if character == char::REPLACEMENT_CHARACTER { Form::Fixed } else { Form::Plain },
    };
    characters(encoding, bytes).into_iter().map(unit).collect()
}
