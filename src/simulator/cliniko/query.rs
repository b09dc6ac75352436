//! Query strings and forms: percent-encoding both ways, in the order sent.

use std::fmt::Write as _;

/// Decodes `a=b&c=d`; `+` and `%20` are both a space, a stray `%` stays as it is.
pub(super) fn pairs(raw: &str) -> Vec<(String, String)> {
    raw.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name, Plus::IsSpace), decode(value, Plus::IsSpace))
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plus {
    IsPlus,
    IsSpace,
}

pub(super) fn decode(text: &str, plus: Plus) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' if plus == Plus::IsSpace => decoded.push(b' '),
            b'%' => {
                let mut ahead = bytes.clone();
                if let (Some(high), Some(low)) = (ahead.next().and_then(hex), ahead.next().and_then(hex)) {
                    decoded.push(high * 16 + low);
                    bytes = ahead;
                } else {
                    decoded.push(b'%');
                }
            }
            _ => decoded.push(byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 section 2.3 and `keep`.
pub(super) fn encode(text: &str, keep: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.as_bytes().contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
    encoded
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_spaces_and_stray_percent_signs_decode() {
        let expected = [("q[]", "last_name:~van der"), ("q[]", "a:=50%"), ("flag", "")];
        let found = pairs("q%5B%5D=last_name%3A~van+der&q[]=a:=50%&flag");
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn encoding_is_undone_by_decoding() {
        let text = "O’Neill & sons/50% [a]:>=+";
        assert_eq!(decode(&encode(text, ""), Plus::IsSpace), text);
        assert_eq!(encode("a/b c", "/"), "a/b%20c");
    }
}
