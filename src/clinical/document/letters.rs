//! Makes foreign text fit to be drawn: every character has a glyph, and none changes how its neighbours read.

use serde_json::Value as Json;

/// Stands for a character that no embedded face can draw; the templates say so at the foot of the page.
pub(crate) const MISSING: char = '\u{FFFD}';

/// The longest run of characters without a break; longer ones would leave their column.
const RUN_MAX: usize = 24;

/// Applies [`safe`] to every string of the value; keys are ours.
pub(crate) fn make_safe(value: &mut Json, covered: &dyn Fn(char) -> bool) {
    match value {
        Json::String(text) => *text = safe(text, covered),
        Json::Array(items) => items.iter_mut().for_each(|item| make_safe(item, covered)),
        Json::Object(fields) => fields.values_mut().for_each(|field| make_safe(field, covered)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// The text as it can be drawn. Line breaks stay, other controls become spaces, what has no glyph becomes
/// [`MISSING`], and controls of direction go: they can make one value read as another.
fn safe(text: &str, covered: &dyn Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = 0;
    for character in text.chars() {
        let drawn = match character {
            '\n' | ' ' => character,
            _ if is_direction_control(character) => continue,
            _ if character.is_control() => ' ',
            _ if is_private(character) || !covered(character) => MISSING,
            _ => character,
        };
        run = if matches!(drawn, ' ' | '\n') { 0 } else { run + 1 };
        if run > RUN_MAX {
            out.push('\u{200B}');
            run = 1;
        }
        out.push(drawn);
    }
    out
}

/// Unicode's bidirectional formatting characters (UAX #9), and the invisible ones that only hide or join.
const fn is_direction_control(character: char) -> bool {
    matches!(
        character,
        '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}'
    )
}

/// PDF/A-2a (ISO 19005-2, 6.2.11.7.3) does not take private-use characters without a replacement text.
const fn is_private(character: char) -> bool {
    matches!(character, '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..)
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn ordinary_text_stays_as_it_is() {
        let text = "µmol/L ×10⁹/L ≥60 – O’Quillfeather-Ågren\nsecond line";
        assert_eq!(safe(text, &|_| true), text);
    }

    #[test]
    fn what_cannot_be_drawn_is_seen_to_be_missing() {
        assert_eq!(safe("a\u{E000}b", &|_| true), "a\u{FFFD}b");
        assert_eq!(safe("a\u{4E2D}b", &|c| c.is_ascii()), "a\u{FFFD}b");
    }

    #[test]
    fn controls_of_direction_cannot_turn_a_value_round() {
        assert_eq!(safe("\u{202E}1.5\u{202C}\t\u{0}", &|_| true), "1.5  ");
    }

    #[test]
    fn a_long_run_may_break() {
        assert_eq!(safe(&"x".repeat(30), &|_| true), format!("{}\u{200B}{}", "x".repeat(24), "x".repeat(6)));
    }
}
