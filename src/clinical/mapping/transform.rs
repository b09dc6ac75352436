//! Changes of a text: what a mapping may do to it before it is looked up or read.
//!
//! Closed and bounded: each step is one pass over the text, a rule has at most [`STEPS_MAX`] of them, and a text that
//! would grow beyond [`TEXT_BYTES_MAX`] is left as it is. What was sent stays beside what is made of it: a code keeps
//! its coding as sent, a unit, value, range or time its text.
//! A step is declared once, in [`STEPS`]: its name, its words, what it does.

use std::borrow::Cow;

/// Steps of one rule.
pub const STEPS_MAX: usize = 8;
/// A text beyond this is no code, unit or number, and is not made longer.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// One kind of step.
#[derive(Debug)]
pub struct Definition {
    pub name: &'static str,
    pub about: &'static str,
    pub argument: Argument,
    apply: for<'t> fn(&'t str, &Words) -> Cow<'t, str>,
}

/// What a step is told beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// `"trim"`
    None,
    /// `{ strip_prefix = "LAB-" }`
    Text,
    /// `{ replace = "_", by = " " }`: a second text under this key.
    TextAndText(&'static str),
    /// `{ split = "^", take = 2 }`: a number from one under this key.
    TextAndNumber(&'static str),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Words {
    text: String,
    second: String,
    number: usize,
}

/// Every step there is.
pub const STEPS: [Definition; 7] = [
    Definition {
        name: "lower",
        about: "every letter small",
        argument: Argument::None,
        apply: |text, _| Cow::Owned(text.to_lowercase()),
    },
    Definition {
        name: "replace",
        about: "one text by another, wherever it stands",
        argument: Argument::TextAndText("by"),
        apply: |text, words| {
            let is_short = text.len().saturating_mul(words.second.len().max(1)) <= TEXT_BYTES_MAX;
            if is_short && text.contains(&words.text) {
                Cow::Owned(text.replace(&words.text, &words.second))
            } else {
                Cow::Borrowed(text)
            }
        },
    },
    Definition {
        name: "split",
        about: "the part of this number, counted from one, between separators; the whole where there are fewer",
        argument: Argument::TextAndNumber("take"),
        apply: |text, words| {
            let part = text.split(words.text.as_str()).nth(words.number.saturating_sub(1));
            Cow::Borrowed(part.unwrap_or(text))
        },
    },
    Definition {
        name: "strip_prefix",
        about: "without this beginning, where it has it",
        argument: Argument::Text,
        apply: |text, words| Cow::Borrowed(text.strip_prefix(words.text.as_str()).unwrap_or(text)),
    },
    Definition {
        name: "strip_suffix",
        about: "without this end, where it has it",
        argument: Argument::Text,
        apply: |text, words| Cow::Borrowed(text.strip_suffix(words.text.as_str()).unwrap_or(text)),
    },
    Definition {
        name: "trim",
        about: "without white space at both ends",
        argument: Argument::None,
        apply: |text, _| Cow::Borrowed(text.trim()),
    },
    Definition {
        name: "upper",
        about: "every letter capital",
        argument: Argument::None,
        apply: |text, _| Cow::Owned(text.to_uppercase()),
    },
];

pub fn find(name: &str) -> Option<&'static Definition> {
    const { &STEPS }.iter().find(|it| it.name == name)
}

/// One step of one rule.
#[derive(Debug, Clone)]
pub struct Step {
    definition: &'static Definition,
    words: Words,
}

impl Step {
    /// `second` and `number` as far as the definition's argument asks for them.
    pub(super) fn new(definition: &'static Definition, text: &str, second: &str, number: usize) -> Self {
        Self { definition, words: Words { text: text.to_owned(), second: second.to_owned(), number } }
    }

    fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        (self.definition.apply)(text, &self.words)
    }
}

/// The text after every step.
pub(super) fn apply<'t>(steps: &[Step], text: &'t str) -> Cow<'t, str> {
    let mut text = Cow::Borrowed(text);
    for step in steps {
        text = match text {
            Cow::Borrowed(text) => step.apply(text),
            Cow::Owned(text) => Cow::Owned(step.apply(&text).into_owned()),
        };
    }
    text
}

/// Whether a text can be what is left after the steps: one that ends in capitals leaves no small letter.
pub(super) fn can_end_as(steps: &[Step], text: &str) -> bool {
    let (mut plain, mut rest) = (true, Cow::Borrowed(text));
    for step in steps {
        match step.definition.argument {
            Argument::None => rest = Cow::Owned(step.apply(&rest).into_owned()),
            // What it puts in may be of either case.
            Argument::TextAndText(_) => plain = false,
            Argument::Text | Argument::TextAndNumber(_) => {}
        }
    }
    !plain || rest == text
}

/// A decimal comma as a point. `None` where the text has a point, which then may mark thousands.
pub(super) fn decimal_point(text: &str) -> Option<Cow<'_, str>> {
    let is_between = |it: &[u8]| matches!(it, [a, b',', b] if a.is_ascii_digit() && b.is_ascii_digit());
    if text.contains('.') {
        return None;
    }
    let has_comma = text.as_bytes().windows(3).any(is_between);
    Some(if has_comma { Cow::Owned(text.replace(',', ".")) } else { Cow::Borrowed(text) })
}

#[cfg(test)]
mod tests {
    use super::Step;
    use super::TEXT_BYTES_MAX;
    use super::apply;
    use super::decimal_point;
    use super::find;

    fn changed(text: &str, steps: &[(&str, &str, &str, usize)]) -> String {
        let steps: Vec<Step> = steps
            .iter()
            .map(|(name, text, second, number)| Step::new(find(name).unwrap(), text, second, *number))
            .collect();
        apply(&steps, text).into_owned()
    }

    #[test]
    fn each_step_does_what_it_says_and_leaves_what_it_does_not_fit() {
        for (name, text, second, number, from, to) in [
            ("trim", "", "", 0, " a ", "a"),
            ("upper", "", "", 0, "mmol/l", "MMOL/L"),
            ("lower", "", "", 0, "K", "k"),
            ("strip_prefix", "LAB-", "", 0, "LAB-K", "K"),
            ("strip_prefix", "LAB-", "", 0, "K", "K"),
            ("strip_suffix", "*", "", 0, "5.1*", "5.1"),
            ("replace", "_", " ", 0, "a_b_c", "a b c"),
            ("split", "^", "", 2, "a^b^c", "b"),
            ("split", "^", "", 4, "a^b^c", "a^b^c"),
        ] {
            assert_eq!(changed(from, &[(name, text, second, number)]), to, "{name} {from}");
        }
        assert_eq!(
            changed(" lab-k ", &[("trim", "", "", 0), ("strip_prefix", "lab-", "", 0), ("upper", "", "", 0)]),
            "K"
        );
    }

    #[test]
    fn no_text_grows_without_bound() {
        let by = "x".repeat(64);
        let long = changed("x", &[("replace", "x", by.as_str(), 0); 8]);
        assert!(long.len() <= TEXT_BYTES_MAX, "{}", long.len());
    }

    #[test]
    fn a_comma_is_a_point_only_where_no_point_stands_beside_it() {
        assert_eq!(decimal_point("5,4").unwrap(), "5.4");
        assert_eq!(decimal_point("<5").unwrap(), "<5");
        assert_eq!(decimal_point("3,5 - 5,1").unwrap(), "3.5 - 5.1");
        assert_eq!(decimal_point("1.234,5"), None);
        assert_eq!(decimal_point("1.234"), None);
    }
}
