//! Escape sequences (chapter 2, §2.7): reading a leaf as tokens, its plain text, and writing text so that it
//! reads back the same.
//!
//! What is not an escape sequence stays as it was sent, backslashes included: no character is ever lost.

use std::borrow::Cow;

use memchr::memchr;

use crate::formats::hl7v2::charset::Charset;
use crate::formats::hl7v2::delimiters::Delimiters;
use crate::formats::hl7v2::deviation::Kind;

/// The most lines or spaces one formatting command may ask for; a larger count is not taken as a command.
const FORMAT_COUNT_MAX: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Text that means itself.
    Text(&'a str),
    /// What stands between two escape characters, and means this.
    Escape(&'a str, Escape<'a>),
    /// An escape character that opens nothing: it has no partner.
    Unterminated,
    /// An escape character whose sequence is not known. What follows it comes as text.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape<'a> {
    Component,
    Itself,
    Field,
    /// `\C..\`, `\M..\`, `\Z..\`
    Foreign,
    /// `\H\`, `\N\`
    Highlight,
    /// Pairs of hexadecimal digits.
    Hex(&'a str),
    /// Formatting that ends a number of lines.
    Lines(usize),
    Repetition,
    /// Formatting that skips a number of spaces.
    Spaces(usize),
    Subcomponent,
    Truncation,
}

impl<'a> Escape<'a> {
    fn read(body: &'a str) -> Option<Self> {
        Some(match body {
            "F" => Self::Field,
            "S" => Self::Component,
            "T" => Self::Subcomponent,
            "R" => Self::Repetition,
            "E" => Self::Itself,
            "P" => Self::Truncation,
            "H" | "N" => Self::Highlight,
            _ => match body.as_bytes() {
                [b'.', ..] => return Self::format(body),
                [b'X', digits @ ..] if !digits.is_empty() && digits.len() % 2 == 0 && is_hex(digits) => {
                    Self::Hex(body.get(1..)?)
                }
                [b'C', digits @ ..] if digits.len() == 4 && is_hex(digits) => Self::Foreign,
                [b'M', digits @ ..] if matches!(digits.len(), 4 | 6) && is_hex(digits) => Self::Foreign,
                [b'Z', ..] => Self::Foreign,
                _ => return None,
            },
        })
    }

    /// Formatting commands of FT (§2.7.7). Indenting and filling change nothing in plain text.
    fn format(body: &str) -> Option<Self> {
        let (command, count) = body.split_at_checked(3)?;
        let number = || match count.trim_start_matches('+').trim() {
            "" => Some(1),
            digits => digits.parse().ok().filter(|&count| count <= FORMAT_COUNT_MAX),
        };
        let signed =
            || count.trim().trim_start_matches(['+', '-']).bytes().all(|digit| digit.is_ascii_digit());
        match command.to_ascii_lowercase().as_str() {
            ".br" | ".ce" if count.is_empty() => Some(Self::Lines(1)),
            ".fi" | ".nf" if count.is_empty() => Some(Self::Spaces(0)),
            ".in" | ".ti" if signed() => Some(Self::Spaces(0)),
            ".sp" => number().map(Self::Lines),
            ".sk" => number().map(Self::Spaces),
            _ => None,
        }
    }
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

/// The tokens of a leaf, in order. Concatenated with their escape characters they are the leaf again.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    escape: Option<u8>,
}

pub(super) fn tokens(leaf: &str, escape: Option<u8>) -> Tokens<'_> {
    Tokens { rest: leaf, escape }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let next_escape = |text: &str| self.escape.and_then(|escape| memchr(escape, text.as_bytes()));
        // Escape characters are ASCII, so every cut below falls between characters.
        match next_escape(self.rest) {
            None => Some(Token::Text(std::mem::take(&mut self.rest))),
            Some(0) => {
                let after = self.rest.get(1..)?;
                let Some(length) = next_escape(after) else {
                    self.rest = after;
                    return Some(Token::Unterminated);
                };
                let body = after.get(..length)?;
                if let Some(escape) = Escape::read(body) {
                    self.rest = after.get(length + 1..)?;
                    Some(Token::Escape(body, escape))
                } else {
                    self.rest = after;
                    Some(Token::Unknown)
                }
            }
            Some(length) => {
                let (text, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Some(Token::Text(text))
            }
        }
    }
}

/// The plain text of a leaf.
pub(super) fn decode<'a>(leaf: &'a str, delimiters: &Delimiters, charset: Charset) -> Cow<'a, str> {
    let Some(escape) = delimiters.escape.filter(|&escape| memchr(escape, leaf.as_bytes()).is_some()) else {
        return Cow::Borrowed(leaf);
    };
    let mut text = String::with_capacity(leaf.len());
    let mut tokens = tokens(leaf, Some(escape)).peekable();
    while let Some(token) = tokens.next() {
        match token {
            Token::Text(plain) => text.push_str(plain),
            Token::Unterminated | Token::Unknown => text.push(char::from(escape)),
            Token::Escape(body, meaning) => match meaning {
                Escape::Field => text.push(char::from(delimiters.field)),
                Escape::Component => push(&mut text, delimiters.component, escape, body),
                Escape::Subcomponent => push(&mut text, delimiters.subcomponent, escape, body),
                Escape::Repetition => push(&mut text, delimiters.repetition, escape, body),
                Escape::Truncation => push(&mut text, delimiters.truncation.or(Some(b'#')), escape, body),
                Escape::Itself => text.push(char::from(escape)),
                Escape::Highlight => {}
                Escape::Lines(count) => text.extend(std::iter::repeat_n('\n', count)),
                Escape::Spaces(count) => text.extend(std::iter::repeat_n(' ', count)),
                Escape::Foreign => keep(&mut text, escape, body),
                Escape::Hex(digits) => {
                    // A character of several bytes may be sent as several escapes in a row.
                    let mut run = vec![digits];
                    while let Some(Token::Escape(_, Escape::Hex(more))) = tokens.peek() {
                        run.push(more);
                        tokens.next();
                    }
                    match charset.decode_exactly(&hex_bytes(&run)) {
                        Some(decoded) => text.push_str(&decoded),
                        None => run.iter().for_each(|digits| keep(&mut text, escape, &format!("X{digits}"))),
                    }
                }
            },
        }
    }
    Cow::Owned(text)
}

/// Calls `report` with each thing in the leaf that is kept as sent or cannot be shown, and its place in the leaf.
pub(super) fn inspect(leaf: &str, escape: u8, charset: Charset, mut report: impl FnMut(Kind, usize, usize)) {
    let mut at = 0;
    let mut hex: Option<(usize, Vec<&str>)> = None;
    for token in tokens(leaf, Some(escape)).chain(std::iter::once(Token::Text(""))) {
        if let Token::Escape(body, Escape::Hex(digits)) = token {
            hex.get_or_insert_with(|| (at, Vec::new())).1.push(digits);
            at += body.len() + 2;
            continue;
        }
        if let Some((start, run)) = hex.take()
            && charset.decode_exactly(&hex_bytes(&run)).is_none()
        {
            report(Kind::EscapeBytesMalformed, start, at);
        }
        match token {
            Token::Text(plain) => at += plain.len(),
            Token::Unterminated => {
                report(Kind::EscapeUnterminated, at, at + 1);
                at += 1;
            }
            Token::Unknown => {
                report(Kind::EscapeUnknown, at, at + 1);
                at += 1;
            }
            Token::Escape(body, meaning) => {
                let end = at + body.len() + 2;
                match meaning {
                    Escape::Foreign => report(Kind::EscapeForeign, at, end),
                    Escape::Highlight => report(Kind::EscapeHighlight, at, end),
                    _ => {}
                }
                at = end;
            }
        }
    }
}

/// Writes text so that it reads back the same, whatever it contains. `delimiters` must be complete.
pub(super) fn encode(text: &str, delimiters: &Delimiters, out: &mut String) {
    let escape = char::from(delimiters.escape.unwrap_or(b'\\'));
    for character in text.chars() {
        let body = match u8::try_from(character).ok() {
            None => None,
            Some(b'\n') => Some(".br"),
            Some(b'\r') => Some("X0D"),
            Some(byte) if byte == delimiters.field => Some("F"),
            byte if byte == delimiters.component => Some("S"),
            byte if byte == delimiters.subcomponent => Some("T"),
            byte if byte == delimiters.repetition => Some("R"),
            byte if byte == delimiters.escape => Some("E"),
            byte if byte == delimiters.truncation => Some("P"),
            Some(_) => None,
        };
        match body {
            Some(body) => keep(out, u8::try_from(escape).unwrap_or(b'\\'), body),
            None => out.push(character),
        }
    }
}

/// A delimiter the message does not have cannot be meant by its escape, which is then kept as sent.
fn push(text: &mut String, delimiter: Option<u8>, escape: u8, body: &str) {
    match delimiter {
        Some(delimiter) => text.push(char::from(delimiter)),
        None => keep(text, escape, body),
    }
}

pub(super) fn keep(text: &mut String, escape: u8, body: &str) {
    text.push(char::from(escape));
    text.push_str(body);
    text.push(char::from(escape));
}

fn hex_bytes(run: &[&str]) -> Vec<u8> {
    let digit = |character: u8| char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    run.iter()
        .flat_map(|digits| digits.as_bytes().chunks(2))
        .filter_map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(leaf: &str, text: &str, kinds: &[Kind]) {
        let mut found = Vec::new();
        inspect(leaf, b'\\', Charset::UTF_8, |kind, _, _| found.push(kind));
        assert_eq!(decode(leaf, &Delimiters::STANDARD, Charset::UTF_8), text, "{leaf}");
        assert_eq!(found, kinds, "{leaf}");
    }

    #[test]
    fn reads_every_escape() {
        check(r"x10\S\9/L", "x10^9/L", &[]);
        check(r"\F\\S\\T\\R\\E\\P\", r"|^&~\#", &[]);
        check(r"one\.br\two\.sp+2\three\.sk 3\four\.in+4\\.ti-2\\.nf\.", "one\ntwo\n\nthree   four.", &[]);
        check(r"\X41\\X0D0A\", "A\r\n", &[]);
        check(r"\XC3\\XA9\t\XC2B5\", "ét\u{b5}", &[]);
        check(r"\H\bold\N\", "bold", &[Kind::EscapeHighlight, Kind::EscapeHighlight]);
        check(r"\Zx1\ \C2842\ \M244200\", r"\Zx1\ \C2842\ \M244200\", &vec![Kind::EscapeForeign; 3]);
    }

    #[test]
    fn keeps_what_is_no_escape() {
        check(r"unterminated \F", r"unterminated \F", &[Kind::EscapeUnterminated]);
        check(r"C:\dir\file", r"C:\dir\file", &[Kind::EscapeUnknown, Kind::EscapeUnterminated]);
        check(r"\\", r"\\", &[Kind::EscapeUnknown, Kind::EscapeUnterminated]);
        check(r"\XE9\x", r"\XE9\x", &[Kind::EscapeBytesMalformed]);
        check(r"\XE\", r"\XE\", &[Kind::EscapeUnknown, Kind::EscapeUnterminated]);
        check(r"\.sp99999999\", r"\.sp99999999\", &[Kind::EscapeUnknown, Kind::EscapeUnterminated]);
    }
}
