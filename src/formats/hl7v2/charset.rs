//! Character sets: from the names of HL7 table 0211 to text, with every byte that is none reported.
//!
//! The conversions are encoding_rs's. As on the web, `8859/1` is read as windows-1252, its superset: what
//! ISO 8859-1 has at 0x80 to 0x9F are control characters that no laboratory sends.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::DecoderResult;
use encoding_rs::Encoding;

use crate::formats::hl7v2::deviation::Kind;

/// How the bytes of a message are text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    pub const UTF_8: Self = Self(encoding_rs::UTF_8);
    const UTF_16BE: Self = Self(encoding_rs::UTF_16BE);
    const UTF_16LE: Self = Self(encoding_rs::UTF_16LE);
    const WINDOWS_1252: Self = Self(encoding_rs::WINDOWS_1252);

    /// The character set's name on the web (WHATWG Encoding), for messages to people.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    pub fn encoding(self) -> &'static Encoding {
        self.0
    }

    /// The text of bytes that must all be text.
    pub(super) fn decode_exactly(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        self.0.decode_without_bom_handling_and_without_replacement(bytes)
    }

    /// The bytes of a text, and whether every character had some; one that has none is written `?`.
    pub fn encode(self, text: &str) -> (Vec<u8>, bool) {
        if self == Self::UTF_16LE {
            return (text.encode_utf16().flat_map(u16::to_le_bytes).collect(), true);
        }
        if self == Self::UTF_16BE {
            return (text.encode_utf16().flat_map(u16::to_be_bytes).collect(), true);
        }
        let (bytes, _, unmappable) = self.0.encode(text);
        if !unmappable {
            return (bytes.into_owned(), true);
        }
        let representable = |character: char| !self.0.encode(character.encode_utf8(&mut [0; 4])).2;
        let replaced: String = text.chars().map(|c| if representable(c) { c } else { '?' }).collect();
        (self.0.encode(&replaced).0.into_owned(), false)
    }

    /// A name from MSH-18, and whether it is spelled as in table 0211.
    fn named(name: &str) -> Option<(Self, bool)> {
        let encoding = match name {
            "ASCII" | "ISO IR6" => return Some((Self::UTF_8, true)),
            "8859/1" => encoding_rs::WINDOWS_1252,
            "8859/2" => encoding_rs::ISO_8859_2,
            "8859/3" => encoding_rs::ISO_8859_3,
            "8859/4" => encoding_rs::ISO_8859_4,
            "8859/5" => encoding_rs::ISO_8859_5,
            "8859/6" => encoding_rs::ISO_8859_6,
            "8859/7" => encoding_rs::ISO_8859_7,
            "8859/8" => encoding_rs::ISO_8859_8,
            "8859/9" => encoding_rs::WINDOWS_1254,
            "8859/15" => encoding_rs::ISO_8859_15,
            "BIG-5" => encoding_rs::BIG5,
            "GB 18030-2000" => encoding_rs::GB18030,
            "ISO IR14" => encoding_rs::SHIFT_JIS,
            "ISO IR87" | "ISO IR159" => encoding_rs::ISO_2022_JP,
            "KS X 1001" => encoding_rs::EUC_KR,
            // "UNICODE" alone is withdrawn; senders of bytes without a mark mean UTF-8 by it.
            "UNICODE" | "UNICODE UTF-8" => encoding_rs::UTF_8,
            "UNICODE UTF-16" => encoding_rs::UTF_16BE,
            _ => {
                let label = name.to_ascii_lowercase().replace('/', "-");
                let label = if label.starts_with("8859-") { format!("iso-{label}") } else { label };
                return Encoding::for_label_no_replacement(label.as_bytes())
                    .map(|found| (Self(found), false));
            }
        };
        Some((Self(encoding), true))
    }
}

/// A message as text, and the way back from each place in the text to its bytes.
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) content: Cow<'a, str>,
    pub(super) charset: Charset,
    /// The byte order mark, which is in the bytes but not in the text.
    pub(super) mark: usize,
    /// What is to be said about MSH-18 itself.
    pub(super) header: Vec<Kind>,
    /// Where in the text U+FFFD stands for bytes that are no text.
    pub(super) malformed: Vec<Range<usize>>,
}

impl<'a> Text<'a> {
    /// Reads bytes by their byte order mark, else by MSH-18, else as UTF-8 if they are, else as windows-1252.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let (seen, mark) = recognise(bytes);
        let body = bytes.get(mark..).unwrap_or_default();
        let (charset, header) = match seen {
            Some(seen) => (seen, contradiction(seen, body)),
            None => choose(body),
        };
        let mut malformed = Vec::new();
        let content = match charset.decode_exactly(body) {
            Some(text) => text,
            None => Cow::Owned(decode_replacing(charset.0, body, &mut malformed)),
        };
        Self { bytes, content, charset, mark, header, malformed }
    }
}

/// The byte offsets of places in a text decoded from `bytes`, given in ascending order.
pub(super) fn byte_offsets(charset: Charset, bytes: &[u8], borrowed: bool, places: &[usize]) -> Vec<usize> {
    if borrowed {
        return places.to_vec();
    }
    // Decoding byte by byte is slow, but only messages in other character sets than UTF-8 come here, and only
    // for the positions of their deviations.
    let mut decoder = charset.0.new_decoder_without_bom_handling();
    let mut offsets = Vec::with_capacity(places.len());
    let (mut read, mut written) = (0, 0);
    let mut wanted = places.iter().peekable();
    let mut out = [0; 64];
    loop {
        while wanted.next_if(|&&place| place <= written).is_some() {
            offsets.push(read);
        }
        if wanted.peek().is_none() || read >= bytes.len() {
            break;
        }
        let next = bytes.get(read..=read).unwrap_or_default();
        let (_, _, length, _) = decoder.decode_to_utf8(next, &mut out, false);
        read += 1;
        written += length;
    }
    offsets.resize(places.len(), bytes.len());
    offsets
}

/// A byte order mark, or the header's first letters in two-byte units; and the mark's length.
fn recognise(bytes: &[u8]) -> (Option<Charset>, usize) {
    let units = |low: usize| {
        let mut letters = bytes.iter().skip_while(|&&byte| byte == 0x0B);
        let letters: [u8; 6] = std::array::from_fn(|_| letters.next().copied().unwrap_or(1));
        (0..6).all(|at| if at % 2 == low { letters[at].is_ascii_uppercase() } else { letters[at] == 0 })
    };
    match bytes {
        [0xEF, 0xBB, 0xBF, ..] => (Some(Charset::UTF_8), 3),
        [0xFF, 0xFE, ..] => (Some(Charset::UTF_16LE), 2),
        [0xFE, 0xFF, ..] => (Some(Charset::UTF_16BE), 2),
        _ if units(0) => (Some(Charset::UTF_16LE), 0),
        _ if units(1) => (Some(Charset::UTF_16BE), 0),
        _ => (None, 0),
    }
}

/// Whether MSH-18 disagrees with what the bytes show themselves to be.
fn contradiction(seen: Charset, body: &[u8]) -> Vec<Kind> {
    let (text, _) = seen.0.decode_without_bom_handling(body);
    let declared = declared(text.as_bytes());
    let named = declared.iter().find(|name| !name.is_empty()).and_then(|name| Charset::named(name));
    match named {
        Some((charset, _)) if charset.0.is_ascii_compatible() != seen.0.is_ascii_compatible() => {
            vec![Kind::CharsetContradicted { actual: seen.name() }]
        }
        Some((charset, _)) if charset.0.is_ascii_compatible() && charset != seen && !text.is_ascii() => {
            vec![Kind::CharsetContradicted { actual: seen.name() }]
        }
        _ => Vec::new(),
    }
}

/// The character set of bytes that do not show it themselves.
fn choose(body: &[u8]) -> (Charset, Vec<Kind>) {
    let utf_8 = std::str::from_utf8(body).is_ok();
    let assumed = if utf_8 { Charset::UTF_8 } else { Charset::WINDOWS_1252 };
    let declared = declared(body);
    // Japanese messages leave the first repetition empty or ASCII and name the set they switch to after it
    // (chapter 2, MSH-18); ISO-2022-JP is ASCII until it switches.
    let switched = declared.iter().find(|name| matches!(name.as_str(), "ISO IR87" | "ISO IR159"));
    let Some(name) = switched.or(declared.first()).filter(|name| !name.is_empty()) else {
        return (assumed, undeclared(body, assumed));
    };
    match Charset::named(name) {
        None => (assumed, vec![Kind::CharsetUnknown { assumed: assumed.name() }]),
        Some(_) if matches!(name.as_str(), "ASCII" | "ISO IR6") => (assumed, undeclared(body, assumed)),
        // The header could be read byte by byte, so the units cannot be two bytes wide.
        Some((charset, _)) if !charset.0.is_ascii_compatible() && charset.0 != encoding_rs::ISO_2022_JP => {
            (assumed, vec![Kind::CharsetContradicted { actual: assumed.name() }])
        }
        Some((charset, true)) => (charset, Vec::new()),
        Some((charset, false)) => (charset, vec![Kind::CharsetNameNotInTable]),
    }
}

fn undeclared(body: &[u8], assumed: Charset) -> Vec<Kind> {
    if body.is_ascii() { Vec::new() } else { vec![Kind::CharsetUndeclared { assumed: assumed.name() }] }
}

/// The repetitions of MSH-18 in the first line that begins with a header.
fn declared(body: &[u8]) -> Vec<String> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let header = body.split(is_end).find_map(|line| {
        let start = line.iter().position(|byte| !matches!(byte, 0x0B | 0x1C | b' ' | b'\t'))?;
        line.get(start..)?.strip_prefix(b"MSH")
    });
    let Some((&separator, fields)) = header.and_then(<[u8]>::split_first) else {
        return Vec::new();
    };
    let mut fields = fields.split(|&byte| byte == separator);
    let repetition = fields.next().and_then(|characters| characters.get(1)).copied();
    // MSH-2 is taken: MSH-18 is the sixteenth after it.
    let names = fields.nth(15).unwrap_or_default();
    names
        .split(|&byte| Some(byte) == repetition)
        .map(|name| String::from_utf8_lossy(name).trim().to_ascii_uppercase())
        .collect()
}

/// Decodes with U+FFFD for each sequence that is no text, and notes where it stands.
fn decode_replacing(encoding: &'static Encoding, bytes: &[u8], malformed: &mut Vec<Range<usize>>) -> String {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2 + 16);
    let mut rest = bytes;
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(rest, &mut text, true);
        rest = rest.get(read..).unwrap_or_default();
        match result {
            DecoderResult::InputEmpty => return text,
            DecoderResult::OutputFull => text.reserve(rest.len() * 3 + 16),
            DecoderResult::Malformed(..) => {
                let start = text.len();
                text.push(char::REPLACEMENT_CHARACTER);
                malformed.push(start..text.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(charset: &str, name: &[u8]) -> Vec<u8> {
        let mut bytes = format!("MSH|^~\\&||||||||||2.5||||||{charset}\rPID|||||").into_bytes();
        bytes.extend_from_slice(name);
        bytes
    }

    fn check(charset: &str, name: &[u8], text: &str, kinds: &[Kind]) {
        let bytes = message(charset, name);
        let read = Text::read(&bytes);
        assert!(read.content.ends_with(&format!("|{text}")), "{charset}: {}", read.content);
        assert_eq!(read.header, kinds, "{charset}");
    }

    #[test]
    fn reads_the_sets_of_table_0211() {
        check("", b"ASCII", "ASCII", &[]);
        check("8859/1", b"M\xFCller", "Müller", &[]);
        check("8859/15", b"\xA4", "€", &[]);
        check("8859/2", b"\xB3", "ł", &[]);
        check("UNICODE UTF-8", "Müller µ".as_bytes(), "Müller µ", &[]);
        check("~ISO IR87", b"\x1b$B;3ED\x1b(B", "山田", &[]);
        check("GB 18030-2000", b"\xB3\x7C", "硘", &[]);
        check("KS X 1001", b"\xB1\xE8", "김", &[]);
        check("BIG-5", b"\xA4\xFD", "王", &[]);
    }

    #[test]
    fn says_what_it_assumed() {
        check("", "é".as_bytes(), "é", &[Kind::CharsetUndeclared { assumed: "UTF-8" }]);
        check("", b"\xE9", "é", &[Kind::CharsetUndeclared { assumed: "windows-1252" }]);
        check("ASCII", b"\xE9", "é", &[Kind::CharsetUndeclared { assumed: "windows-1252" }]);
        check("UTF-8", "é".as_bytes(), "é", &[Kind::CharsetNameNotInTable]);
        check("8859-1", b"\xE9", "é", &[Kind::CharsetNameNotInTable]);
        check("CNS 11643-1992", b"A", "A", &[Kind::CharsetUnknown { assumed: "UTF-8" }]);
        check("UNICODE UTF-16", b"A", "A", &[Kind::CharsetContradicted { actual: "UTF-8" }]);
    }

    #[test]
    fn marks_bytes_that_are_no_text() {
        let bytes = message("UNICODE UTF-8", b"M\xFCller");
        let read = Text::read(&bytes);
        assert_eq!(read.malformed.len(), 1);
        let place = read.malformed[0].clone();
        let offsets = byte_offsets(read.charset, &bytes, false, &[place.start, place.end]);
        assert_eq!(bytes[offsets[0]..offsets[1]], *b"\xFC");
    }

    #[test]
    fn finds_the_way_back_to_the_bytes() {
        let text = "MSH|^~\\&|Ä\r";
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let read = Text::read(&bytes);
        assert_eq!((read.charset, read.content.as_ref()), (Charset::UTF_16LE, text));
        assert_eq!(byte_offsets(read.charset, &bytes, false, &[0, 9, 11, 12]), [0, 18, 20, 22]);
    }

    #[test]
    fn encodes_what_it_can() {
        assert_eq!(Charset::WINDOWS_1252.encode("é€ł"), (b"\xE9\x80?".to_vec(), false));
        assert_eq!(Charset::UTF_16BE.encode("é"), (vec![0, 0xE9], true));
    }
}
