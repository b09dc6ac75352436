//! The HTML of a note's paragraph answer: written escaped, read back as text.
//!
//! Cliniko strips what it takes for an unknown tag, so `TSH <0.01` sent raw loses its meaning. We write `<p>` and
//! escaped text only; after the POST the note is read and [`to_text`] of both sides must agree.

/// The tags Cliniko keeps (portal, Treatment Note). [`to_text`] reads past these and no others.
const TAGS_ALLOWED: [&str; 13] =
    ["p", "div", "br", "ul", "ol", "li", "blockquote", "h1", "h2", "b", "i", "u", "a"];

/// The longest character reference worth decoding, `&thetasym;` and numeric forms included.
const REFERENCE_BYTES_MAX: usize = 10;

/// One paragraph of escaped text, or nothing for blank text: an answer may hold no empty paragraph.
pub fn paragraph(text: &str) -> String {
    let text = one_line(text);
    if text.is_empty() {
        return text;
    }
    format!("<p>{}</p>", escape(&text))
}

/// Text in which nothing can be taken for a tag or a character reference.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out
}

/// Text on one line: every control character and run of white space becomes one space, as Cliniko drops them.
pub fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a reader sees: allowed tags gone, character references decoded, white space made one space.
///
/// A tag that is not on the list stays as text, so that a comparison shows it.
pub fn to_text(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = allowed_tag(found) {
            out.push(' ');
            rest = after;
        } else if let Some((c, after)) = reference(found) {
            out.push(c);
            rest = after;
        } else {
            let mut chars = found.chars();
            out.extend(chars.next());
            rest = chars.as_str();
        }
    }
    out.push_str(rest);
    one_line(&out.replace('\u{a0}', " "))
}

/// What follows the allowed tag at the start of `text`, if one stands there.
fn allowed_tag(text: &str) -> Option<&str> {
    let (inside, after) = text.strip_prefix('<')?.split_once('>')?;
    let name = inside.trim_start_matches('/').split([' ', '/']).next()?;
    TAGS_ALLOWED.iter().any(|tag| tag.eq_ignore_ascii_case(name)).then_some(after)
}

/// The character that the reference at the start of `text` stands for, and what follows it.
fn reference(text: &str) -> Option<(char, &str)> {
    let body = text.strip_prefix('&')?;
    let end = body.bytes().take(REFERENCE_BYTES_MAX).position(|b| b == b';')?;
    let (name, after) = (body.get(..end)?, body.get(end + 1..)?);
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::one_line;
    use super::paragraph;
    use super::to_text;

    #[test]
    fn a_comparator_is_escaped_and_comes_back() {
        let html = paragraph("TSH <0.01 mIU/L & T4 > 20\n\"high\"");
        assert_eq!(html, "<p>TSH &lt;0.01 mIU/L &amp; T4 &gt; 20 \"high\"</p>");
        assert_eq!(to_text(&html), "TSH <0.01 mIU/L & T4 > 20 \"high\"");
        assert_eq!(paragraph(" \n"), "");
    }

    #[test]
    fn other_spellings_of_the_same_text_read_the_same() {
        for html in
            ["<div>TSH &#60;0.01</div>", "<P class=\"x\">TSH&nbsp;&lt;0.01<br/></P>", "TSH\u{a0}&#x3C;0.01"]
        {
            assert_eq!(to_text(html), "TSH <0.01", "{html}");
        }
    }

    #[test]
    fn what_a_sanitiser_took_away_shows() {
        assert_ne!(to_text("<p>TSH  mIU/L</p>"), to_text(&paragraph("TSH <0.01 mIU/L")));
        assert_eq!(to_text("<script>x</script> &bogus; &"), "<script>x</script> &bogus; &");
    }

    proptest! {
        #[test]
        fn any_text_survives_the_round_trip(text in any::<String>()) {
            let text = text.replace('\u{a0}', " ");
            prop_assert_eq!(to_text(&paragraph(&text)), one_line(&text));
        }
    }
}
