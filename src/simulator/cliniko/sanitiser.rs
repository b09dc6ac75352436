//! What Cliniko does to the text of an answer: tags outside the list vanish, and a bare `<` is
//! taken for a tag (reference section 7.5).
//!
//! This is deliberately the harshest reading of the documentation: an unescaped `<` eats everything
//! to the next `>`, or to the end. A summary that says `eGFR <60` loses its meaning here, as it may there.

/// The thirteen tags the API documents, and no attribute but a link's target.
const ALLOWED: [&str; 13] =
    ["p", "div", "br", "ul", "ol", "li", "blockquote", "h1", "h2", "b", "i", "u", "a"];
/// Elements whose content goes with the tag.
const OPAQUE: [&str; 2] = ["script", "style"];

/// The answer of a `paragraph` question as it will be read back.
pub(super) fn paragraph(answer: &str) -> String {
    clean(answer, &ALLOWED)
}

/// The answer of a `text` question: one line, no tags at all.
pub(super) fn line(answer: &str) -> String {
    clean(answer, &[])
}

fn clean(answer: &str, allowed: &[&str]) -> String {
    let mut kept = String::with_capacity(answer.len());
    let mut rest = answer;
    while let Some((text, after)) = rest.split_once('<') {
        kept.push_str(text);
        let (tag, left) = after.split_once('>').unwrap_or((after, ""));
        let name = tag_name(tag);
        if allowed.contains(&name.as_str()) {
            kept.push_str(&bare_tag(tag, &name));
        }
        let opens_opaque = OPAQUE.contains(&name.as_str()) && !tag.starts_with('/');
        rest = if opens_opaque { after_closing(left, &name) } else { left };
    }
    kept.push_str(rest);
    kept.retain(|character| !matches!(character, '\n' | '\r' | '\t'));
    kept
}

fn tag_name(tag: &str) -> String {
    let tag = tag.strip_prefix('/').unwrap_or(tag);
    tag.chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

fn bare_tag(tag: &str, name: &str) -> String {
    if tag.starts_with('/') {
        return format!("</{name}>");
    }
    let target = (name == "a").then(|| tag.split_once("href=\"")?.1.split_once('"')).flatten();
    match target {
        Some((target, _)) => format!("<a href=\"{target}\">"),
        None => format!("<{name}>"),
    }
}

fn after_closing<'a>(text: &'a str, name: &str) -> &'a str {
    text.split_once(&format!("</{name}>")).map_or("", |(_, after)| after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unescaped_less_than_sign_eats_the_text_behind_it() {
        assert_eq!(paragraph("eGFR <60 mL/min"), "eGFR ");
        assert_eq!(paragraph("<p>TSH <0.01 mIU/L</p> done"), "<p>TSH  done");
        assert_eq!(line("TSH <0.01"), "TSH ");
    }

    #[test]
    fn an_escaped_one_stays_as_it_was_sent() {
        assert_eq!(paragraph("<p>eGFR &lt;60 &amp; falling</p>"), "<p>eGFR &lt;60 &amp; falling</p>");
        assert_eq!(line("TSH &lt;0.01"), "TSH &lt;0.01");
    }

    #[test]
    fn tags_outside_the_list_vanish_and_their_text_stays() {
        assert_eq!(paragraph("<table><tr><td>9</td></tr></table>"), "9");
        assert_eq!(paragraph("<P class=\"x\">a<br/>b</P>"), "<p>a<br>b</p>");
        assert_eq!(paragraph("a<script>alert(1)</script>b"), "ab");
        assert_eq!(
            paragraph("<a onclick=\"x\" href=\"https://a.example\">l</a>"),
            "<a href=\"https://a.example\">l</a>"
        );
        assert_eq!(line("<b>low</b>"), "low");
    }

    #[test]
    fn line_breaks_and_tabs_are_removed() {
        assert_eq!(paragraph("a\r\nb\tc"), "abc");
    }
}
