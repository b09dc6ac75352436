//! Documents inside messages: decoded once, bounded, checked against what they say they are, and never repaired.
//!
//! A document that is not there, was cut short or is something else than it says is a [`Fault`]: it holds, so that
//! nobody is shown a broken file. Decoding writes into one buffer of the document's size and copies nothing before.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// Largest document of a message, decoded. Above what laboratories send (a few MB), below what a row may hold.
pub const ATTACHMENT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Base64 is decoded in blocks of so many characters; a multiple of four.
const BLOCK: usize = 4096;
/// A PDF's header may stand behind other bytes, its end before others, within so many (ISO 32000-1, annex H).
const PDF_SLACK: usize = 1024;
/// Words in place of a document are fewer than any document.
const PLACEHOLDER_BYTES_MAX: usize = 256;

/// A whole document with its digest. `Debug` shows how long it is, not what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    bytes: Arc<Vec<u8>>,
}

impl AsRef<[u8]> for Document {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Document {
    fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: Arc::new(bytes) }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256, in hexadecimal.
    pub fn sha256(&self) -> String {
        let digest = digest::digest(&digest::SHA256, &self.bytes);
        digest.as_ref().iter().fold(String::with_capacity(2 * 32), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String does not fail");
            text
        })
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.bytes.len())
    }
}

/// Why there is no document where one was said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The encoding is none of A, Hex and Base64 (table 0299).
    EncodingUnknown,
    /// Nothing, an explicit null, or words such as `PDF to follow`.
    Missing,
    /// Not whole base64 or hexadecimal: cut short or damaged.
    NotWhole,
    /// It is called one type, and its first bytes are not that type's.
    OtherType,
    /// A PDF without its end.
    PdfCutShort,
    /// Several documents in one value.
    Several,
    TooLarge,
}

impl Fault {
    /// What to tell of it; it holds.
    pub fn diagnostic(self, position: impl Into<String>) -> Diagnostic {
        let (code, message, help) = match self {
            Self::Missing => (
                Code::new("M180"),
                "a document is announced, and there is none: the field is empty or says so in words"
                    .to_owned(),
                "ask the laboratory to send the document with its report, or the report without naming one",
            ),
            Self::NotWhole => (
                Code::new("M117"),
                "the document is not whole: its encoding was cut short or damaged".to_owned(),
                "ask the sender for the document again",
            ),
            Self::OtherType => (
                Code::new("M182"),
                "the document is not of the type it is said to be".to_owned(),
                "ask the sender for the document again, under its real type",
            ),
            Self::PdfCutShort => (
                Code::new("M183"),
                "the PDF has no end: it was cut short before it was encoded".to_owned(),
                "ask the sender for the document again",
            ),
            Self::TooLarge => (
                Code::new("M184"),
                format!("the document is longer than {ATTACHMENT_BYTES_MAX} bytes"),
                "ask the sender for a smaller document, or for the results without it",
            ),
            Self::EncodingUnknown => (
                Code::new("M185"),
                "the document's encoding is none of A, Hex and Base64".to_owned(),
                "ask the sender to write `Base64` in ED-4",
            ),
            Self::Several => (
                Code::new("M186"),
                "one value holds several documents".to_owned(),
                "ask the sender for one OBX for each document",
            ),
        };
        Diagnostic::error(code, message).at(position).help(help)
    }
}

/// How a document is written in a message, HL7 table 0299.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Base64,
    Hex,
    /// `A`: the text itself.
    Text,
}

impl Encoding {
    /// By its word; base64 where there is none, which is what is sent.
    pub fn read(word: &str) -> Option<Self> {
        match word.trim().to_ascii_lowercase().as_str() {
            "" | "base64" => Some(Self::Base64),
            "hex" => Some(Self::Hex),
            "a" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Decodes a document from base64, line breaks in it allowed (RFC 2045).
pub fn decode(media_type: Option<&str>, base64: &str) -> Result<Document, Fault> {
    decode_bytes(media_type, Encoding::Base64, base64.bytes(), base64)
}

/// As [`decode`], from a field of HL7 v2 as it was sent, whose escapes are read on the way.
///
/// `unescaped` gives the field's text and is asked only where the encoding is the text itself.
pub fn decode_field<'t>(
    media_type: Option<&str>,
    encoding: Encoding,
    raw: &str,
    escape: Option<u8>,
    unescaped: impl FnOnce() -> std::borrow::Cow<'t, str>,
) -> Result<Document, Fault> {
    if encoding == Encoding::Text {
        if is_nothing(raw) {
            return Err(Fault::Missing);
        }
        return checked(media_type, unescaped().into_owned().into_bytes());
    }
    let unbroken = Unbroken { bytes: raw.as_bytes(), escape };
    decode_bytes(media_type, encoding, unbroken, raw)
}

fn decode_bytes(
    media_type: Option<&str>,
    encoding: Encoding,
    bytes: impl Iterator<Item = u8>,
    raw: &str,
) -> Result<Document, Fault> {
    if is_nothing(raw) || has_words(raw) {
        return Err(Fault::Missing);
    }
    let digits = bytes.filter(|byte| !byte.is_ascii_whitespace());
    let decoded = match encoding {
        Encoding::Hex => from_hex(digits, raw.len() / 2)?,
        Encoding::Base64 | Encoding::Text => from_base64(digits, raw.len() / 4 * 3)?,
    };
    checked(media_type, decoded)
}

/// Whether this stands where a document should, and is none: nothing, a null, or a few words.
pub fn is_placeholder(raw: &str) -> bool {
    is_nothing(raw) || has_words(raw)
}

/// Nothing, a null, or a word that means it.
pub fn is_nothing(raw: &str) -> bool {
    const WORDS: [&str; 8] = ["\"\"", "n/a", "na", "none", "null", "pending", "tbc", "tba"];
    let text = raw.trim();
    text.is_empty() || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A few words: between them stand blanks, which no line of base64 has.
fn has_words(raw: &str) -> bool {
    let text = raw.trim();
    text.len() <= PLACEHOLDER_BYTES_MAX && text.contains(' ')
}

fn from_base64(digits: impl Iterator<Item = u8>, about: usize) -> Result<Vec<u8>, Fault> {
    let mut decoded = Vec::with_capacity(about.min(ATTACHMENT_BYTES_MAX) + BLOCK);
    let mut block = Vec::with_capacity(BLOCK);
    let mut is_ended = false;
    let mut end_block = |block: &mut Vec<u8>| {
        if is_ended && !block.is_empty() {
            return Err(Fault::NotWhole);
        }
        is_ended = block.contains(&b'=');
        STANDARD.decode_vec(&block, &mut decoded).map_err(|_| Fault::NotWhole)?;
        block.clear();
        if decoded.len() > ATTACHMENT_BYTES_MAX { Err(Fault::TooLarge) } else { Ok(()) }
    };
    for digit in digits {
        block.push(digit);
        if block.len() == BLOCK {
            end_block(&mut block)?;
        }
    }
    end_block(&mut block)?;
    Ok(decoded)
}

fn from_hex(mut digits: impl Iterator<Item = u8>, about: usize) -> Result<Vec<u8>, Fault> {
    let mut decoded = Vec::with_capacity(about.min(ATTACHMENT_BYTES_MAX));
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
    while let Some(high) = digits.next() {
        let low = digits.next().and_then(value).ok_or(Fault::NotWhole)?;
        decoded.push(value(high).ok_or(Fault::NotWhole)? << 4 | low);
        if decoded.len() > ATTACHMENT_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
    }
    Ok(decoded)
}

/// What files of a type begin with.
const BEGINNINGS: [(&str, &[&[u8]]); 6] = [
    ("application/rtf", &[b"{\\rtf"]),
    ("image/gif", &[b"GIF8"]),
    ("image/jpeg", &[b"\xFF\xD8\xFF"]),
    ("image/png", &[b"\x89PNG\r\n\x1A\n"]),
    ("image/tiff", &[b"II*\0", b"MM\0*"]),
    ("text/rtf", &[b"{\\rtf"]),
];

const PDF: &str = "application/pdf";

fn checked(media_type: Option<&str>, bytes: Vec<u8>) -> Result<Document, Fault> {
    if bytes.is_empty() {
        return Err(Fault::Missing);
    }
    if bytes.len() > ATTACHMENT_BYTES_MAX {
        return Err(Fault::TooLarge);
    }
    let head = bytes.get(..PDF_SLACK).unwrap_or(&bytes);
    let is_pdf = memmem::find(head, b"%PDF-").is_some();
    let beginnings = BEGINNINGS.iter().find(|(it, _)| Some(*it) == media_type);
    match beginnings {
        _ if media_type == Some(PDF) && !is_pdf => return Err(Fault::OtherType),
        Some((_, begin)) if !begin.iter().any(|it| bytes.starts_with(it)) => return Err(Fault::OtherType),
        _ => {}
    }
    let tail = bytes.get(bytes.len().saturating_sub(PDF_SLACK)..).unwrap_or(&bytes);
    if is_pdf && beginnings.is_none() && memmem::find(tail, b"%%EOF").is_none() {
        return Err(Fault::PdfCutShort);
    }
    Ok(Document::new(bytes))
}

/// The type of a document that was sent without one, where its first bytes tell.
pub fn media_type_of(document: &Document) -> Option<&'static str> {
    let bytes = document.bytes();
    if bytes.starts_with(b"%PDF-") {
        return Some(PDF);
    }
    BEGINNINGS.iter().find(|(_, begin)| begin.iter().any(|it| bytes.starts_with(it))).map(|(name, _)| *name)
}

/// The bytes of a field, its line-break escapes (`\.br\`, `\X0D\`, `\X0A\`) read as blanks.
struct Unbroken<'t> {
    bytes: &'t [u8],
    escape: Option<u8>,
}

impl Iterator for Unbroken<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        if Some(*first) != self.escape {
            return Some(*first);
        }
        // Any other escape stays what it is, and is no digit of base64.
        let breaks: [&[u8]; 5] = [b".br", b"X0D", b"X0A", b"X0D0A", b".sp"];
        let ended = breaks.into_iter().find_map(|it| rest.strip_prefix(it)?.strip_prefix(&[*first]));
        match ended {
            Some(rest) => {
                self.bytes = rest;
                Some(b'\n')
            }
            None => Some(*first),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"%PDF-1.7\n1 0 obj invented endobj\n%%EOF\n";

    fn field(media_type: &str, encoding: Encoding, raw: &str) -> Result<Vec<u8>, Fault> {
        decode_field(Some(media_type), encoding, raw, Some(b'\\'), || raw.into())
            .map(|it| it.bytes().to_vec())
    }

    #[test]
    fn a_whole_document_is_decoded_however_its_lines_are_broken() {
        let base64 = STANDARD.encode(WHOLE);
        let (before, after) = base64.split_at(10);
        for broken in [
            base64.clone(),
            format!("{before}\r\n{after}\n"),
            format!("{before}\\.br\\{after}"),
            format!("{before}\\X0D0A\\{after}"),
        ] {
            assert_eq!(field(PDF, Encoding::Base64, &broken).unwrap(), WHOLE, "{broken}");
        }
        let hex: String = WHOLE.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat();
        assert_eq!(field(PDF, Encoding::Hex, &hex).unwrap(), WHOLE);
        assert_eq!(
            field("text/plain", Encoding::Text, "Seen by the registrar").unwrap(),
            b"Seen by the registrar"
        );
        let long = [WHOLE, &[b' '; 900]].concat();
        assert_eq!(decode(None, &STANDARD.encode(&long)).unwrap().bytes(), long);
    }

    #[test]
    fn what_is_no_whole_document_is_told_apart() {
        let base64 = STANDARD.encode(WHOLE);
        let cut = STANDARD.encode(&WHOLE[..20]);
        let twice = format!("{}{base64}", STANDARD.encode(b"%PDF-1.4 %%EOF.."));
        for (sent, fault) in [
            ("", Fault::Missing),
            ("\"\"", Fault::Missing),
            ("PDF to follow", Fault::Missing),
            ("PENDING", Fault::Missing),
            (&base64[..base64.len() - 5], Fault::NotWhole),
            ("%%%%", Fault::NotWhole),
            (&twice, Fault::NotWhole),
            (&cut, Fault::PdfCutShort),
            ("SGVsbG8gd29ybGQu", Fault::OtherType),
            ("JVBE\\T\\UmV0", Fault::NotWhole),
        ] {
            assert_eq!(field(PDF, Encoding::Base64, sent), Err(fault), "{sent}");
        }
        assert_eq!(field(PDF, Encoding::Hex, "255044"), Err(Fault::OtherType));
        assert_eq!(field(PDF, Encoding::Hex, "25504"), Err(Fault::NotWhole));
        assert_eq!(field("image/png", Encoding::Base64, &base64), Err(Fault::OtherType));
    }

    #[test]
    fn a_document_has_a_largest_size_and_costs_its_own_once() {
        let mut bytes = vec![b'x'; 20 << 20];
        bytes[..5].copy_from_slice(b"%PDF-");
        bytes.extend(b"%%EOF");
        let sent = STANDARD.encode(&bytes);
        let decoded = from_base64(sent.bytes(), sent.len() / 4 * 3).unwrap();
        assert!(decoded == bytes);
        assert!(decoded.capacity() <= bytes.len() + 2 * BLOCK, "one buffer, and it never grew");
        let large = "A".repeat(ATTACHMENT_BYTES_MAX / 3 * 4 + 8);
        assert_eq!(decode(None, &large), Err(Fault::TooLarge));
    }
}
