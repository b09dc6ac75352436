//! Documents inside messages: as long, as whole or as damaged, and empty of what they said.
//!
//! What a reader checks stays: the first bytes, by which a type is told, and the end of a PDF.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use crate::clinical::mapping::share::treatment::DocumentForm;

/// Enough to tell a type: the longest beginning is that of a picture, and a PDF's header has eight.
const BEGINNING_BYTES: usize = 12;
const PDF_END: &[u8] = b"%%EOF";

/// Empties the document that stands at `at`; `escape` opens and closes what is no part of it.
pub(super) fn empty(
    message: &[u8],
    at: Range<usize>,
    form: DocumentForm,
    escape: Option<u8>,
    copy: &mut [u8],
) {
    let digits = digits(message, at, escape);
    let sent: Vec<u8> = digits.iter().filter_map(|place| message.get(*place).copied()).collect();
    let (per_byte, of_byte) = match form {
        DocumentForm::Base64 => (4, 3),
        DocumentForm::Hexadecimal => (2, 1),
    };
    let place_of = |byte: usize| byte / of_byte * per_byte;
    let decoded = match form {
        DocumentForm::Base64 => STANDARD.decode(&sent).ok(),
        DocumentForm::Hexadecimal => Some(from_hexadecimal(&sent)),
    };
    // A document that is not whole is so by its last digits.
    let end = match &decoded {
        Some(bytes) => memmem::rfind(bytes, PDF_END)
            .map(|byte| place_of(byte)..place_of(byte + PDF_END.len() - 1) + per_byte),
        None => Some(sent.len().saturating_sub(per_byte)..sent.len()),
    };
    let nothing = match form {
        DocumentForm::Base64 => b'A',
        DocumentForm::Hexadecimal => b'0',
    };
    for (number, place) in digits.iter().enumerate() {
        let stays = number < place_of(BEGINNING_BYTES) || end.as_ref().is_some_and(|it| it.contains(&number));
        if let Some(byte) = copy.get_mut(*place).filter(|byte| !stays && is_digit(**byte)) {
            *byte = nothing;
        }
    }
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Where the document's own characters stand.
fn digits(message: &[u8], at: Range<usize>, escape: Option<u8>) -> Vec<usize> {
    let mut places = Vec::new();
    let mut is_escape = false;
    for place in at {
        let byte = message.get(place).copied().unwrap_or_default();
        if Some(byte) == escape {
            is_escape = !is_escape;
        } else if !is_escape && !byte.is_ascii_whitespace() {
            places.push(place);
        }
    }
    places
}

fn from_hexadecimal(digits: &[u8]) -> Vec<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok()).unwrap_or(0);
    let pairs = digits.chunks_exact(2);
    pairs.map(|pair| pair.iter().fold(0, |sum: u8, digit| sum << 4 | value(*digit))).collect()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::DocumentForm;
    use super::empty;

    fn emptied(text: &str, form: DocumentForm) -> String {
        let mut copy = text.as_bytes().to_vec();
        empty(text.as_bytes(), 0..text.len(), form, Some(b'\\'), &mut copy);
        String::from_utf8(copy).unwrap()
    }

    #[test]
    fn a_pdf_keeps_its_ends_and_says_nothing() {
        let pdf = b"%PDF-1.7 (Ottoline Quillfeather, born 29 February 1980) and so on\n%%EOF\n";
        let text = STANDARD.encode(pdf);
        let copy = emptied(&text, DocumentForm::Base64);
        assert_eq!(copy.len(), text.len());
        let bytes = STANDARD.decode(&copy).unwrap();
        assert!(bytes.starts_with(b"%PDF-1.7") && bytes.windows(5).any(|it| it == b"%%EOF"));
        assert!(!bytes.windows(5).any(|it| it == b"Quill"));
    }

    #[test]
    fn what_was_cut_short_stays_cut_short_and_escapes_stay() {
        let text = format!("{}\\.br\\QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo", STANDARD.encode([7; 30]));
        let copy = emptied(&text, DocumentForm::Base64);
        assert!(copy.contains("\\.br\\") && !copy.contains("QUJDREVG"));
        assert_eq!(copy.len(), text.len());
    }
}
