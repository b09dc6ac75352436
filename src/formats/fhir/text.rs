//! What FHIR allows in its text primitives (R4, 2.24.0.1), made from any text.
//!
//! `None` means that nothing is left, so the element is to be left out. Nothing is shortened.

use std::borrow::Cow;

use crate::formats::fhir::Text;

/// Stands visibly where a character stood that FHIR forbids.
const FORBIDDEN: char = '\u{FFFD}';

/// A `string` or `markdown`: no control characters but tab and line breaks, no space around, not empty.
pub fn string(text: &str) -> Option<Text<'_>> {
    let trimmed = if is_trim(text) { text } else { text.trim() };
    if trimmed.is_empty() {
        return None;
    }
    // Without an early end, so that the compiler looks at many bytes at once.
    let is_forbidden_byte = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    if trimmed.bytes().fold(false, |found, byte| found | is_forbidden_byte(byte)) {
        return Some(Cow::Owned(trimmed.replace(is_forbidden, &FORBIDDEN.to_string())));
    }
    Some(Cow::Borrowed(trimmed))
}

/// Whether a text begins and ends with a visible ASCII character, as most do: then there is nothing to trim.
fn is_trim(text: &str) -> bool {
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_graphic))
}

/// A `code`: one space at most between its words, none around them.
pub fn code(text: &str) -> Option<Text<'_>> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(Cow::Borrowed(text));
    }
    let text = string(text)?;
    let mut spaces = 0;
    let legal = text.chars().all(|c| {
        spaces = if c.is_whitespace() { spaces + 1 } else { 0 };
        spaces <= 1 && (c == ' ' || spaces == 0)
    });
    Some(if legal { text } else { Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" ")) })
}

/// A `uri`: without any space; what has some is no URI, and is left out.
pub fn uri(text: &str) -> Option<Text<'_>> {
    string(text).filter(|text| !text.contains(char::is_whitespace))
}

/// Percent-encodes what RFC 3986 does not allow in a path segment, and the colon that separates a URN's parts.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 0xF].map(hexadecimal));
        }
    }
    encoded
}

fn hexadecimal(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).map_or(FORBIDDEN, |digit| digit.to_ascii_uppercase())
}

fn is_forbidden(c: char) -> bool {
    c < ' ' && !matches!(c, '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::code;
    use super::percent_encoded;
    use super::string;
    use super::uri;

    #[test]
    fn a_string_has_no_space_around_and_no_control_characters() {
        assert!(matches!(string(" as sent\r\nnext line "), Some(Cow::Borrowed("as sent\r\nnext line"))));
        assert_eq!(string("bell\u{7}").as_deref(), Some("bell\u{FFFD}"));
        assert_eq!((string(""), string(" \t\n")), (None, None));
    }

    #[test]
    fn a_code_has_single_spaces_inside() {
        assert!(matches!(code(" HB A1C "), Some(Cow::Borrowed("HB A1C"))));
        assert_eq!(code("HB  \tA1C").as_deref(), Some("HB A1C"));
        assert_eq!(code("HB\nA1C").as_deref(), Some("HB A1C"));
        assert_eq!(code("  "), None);
    }

    #[test]
    fn a_uri_has_no_spaces() {
        assert_eq!(uri(" http://loinc.org ").as_deref(), Some("http://loinc.org"));
        assert_eq!(uri("not a uri"), None);
    }

    #[test]
    fn a_part_of_a_urn_is_encoded() {
        assert_eq!(percent_encoded("north-lab_1"), "north-lab_1");
        assert_eq!(percent_encoded("A:B é"), "A%3AB%20%C3%A9");
    }
}
