//! Where the scalars of a JSON text stand, for whoever explains what was read of them.

use std::ops::Range;

/// The bytes of every scalar in the order of the text, quotes included. The text must be one that [`super::decode`]
/// reads: nothing is checked here.
pub fn scalars(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b'"' => end_of_string(bytes, at),
            b'-' | b'0'..=b'9' | b'a'..=b'z' => at + length(bytes, at, |it| !b",]} \t\r\n".contains(it)),
            _ => {
                at += 1;
                continue;
            }
        };
        let after = end + length(bytes, end, u8::is_ascii_whitespace);
        let is_name = *byte == b'"' && bytes.get(after) == Some(&b':');
        if !is_name {
            found.push(at..end);
        }
        at = end;
    }
    found
}

fn length(bytes: &[u8], from: usize, is_in: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().skip(from).take_while(|byte| is_in(byte)).count()
}

/// One after the closing quote.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::scalars;

    #[test]
    fn every_scalar_has_its_place_and_no_name_does() {
        let text = "\u{feff}{ \"a\" : 5.10, \"b:\": [\"x\\\"y\", true , null], \"c\": {\"d\":\"µ\"}}";
        let found: Vec<&str> = scalars(text.as_bytes()).into_iter().map(|it| &text[it]).collect();
        assert_eq!(found, ["5.10", r#""x\"y""#, "true", "null", r#""µ""#]);
    }
}
