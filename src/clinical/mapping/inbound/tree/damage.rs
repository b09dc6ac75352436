//! What a spreadsheet, or the habits of another country, do to a value. It is recognised, and never repaired.

/// Why a text cannot be taken at its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// `5,1`: a decimal comma, or thousands.
    Comma,
    /// `05-Oct`, made of `5-10`.
    Date,
    /// `#N/A`, `#####`: the cell's error, or that it was too narrow.
    Error,
    /// `1.23E+11`: digits are gone.
    Rounded,
}

impl Damage {
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Comma => "the number has a comma, which may be a decimal point or mark thousands",
            Self::Date => "it looks like a date that a spreadsheet made of something else",
            Self::Error => "it is the error of a spreadsheet's cell, not what was in it",
            Self::Rounded => "a spreadsheet wrote the number with an exponent, so digits of it are gone",
        }
    }

    pub(super) const fn is_of_spreadsheet(self) -> bool {
        !matches!(self, Self::Comma)
    }

    pub(super) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if is_error(text) {
            Some(Self::Error)
        } else if is_date(text) {
            Some(Self::Date)
        } else if is_rounded(text) {
            Some(Self::Rounded)
        } else {
            has_comma(text).then_some(Self::Comma)
        }
    }
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_error(text: &str) -> bool {
    let rest = text.strip_prefix('#').unwrap_or_default();
    let named = ["N/A", "REF!", "VALUE!", "NAME?", "DIV/0!", "NUM!", "NULL!"].contains(&rest);
    named || rest.len() > 1 && rest.bytes().all(|byte| byte == b'#')
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['-', '/', ' ']).collect();
    let month = |part: &str| MONTHS.iter().any(|it| part.eq_ignore_ascii_case(it));
    let number = |part: &str| part.len() <= 4 && digits(part);
    match parts.as_slice() {
        [one, two] => month(one) && number(two) || number(one) && month(two),
        [day, name, year] => number(day) && month(name) && number(year),
        _ => false,
    }
}

fn is_rounded(text: &str) -> bool {
    let Some((number, exponent)) = text.split_once(['e', 'E']) else { return false };
    let exponent = exponent.trim_start_matches(['+', '-']);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    digits(whole.trim_start_matches('-')) && digits(fraction) && digits(exponent)
}

/// A comma between digits, in what is otherwise a number or a range of two.
fn has_comma(text: &str) -> bool {
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, ',' | '.' | '-' | '–' | '<' | '>' | '=' | '≤' | '≥' | '+' | ' ');
    let between = || {
        text.as_bytes().windows(3).any(|it| matches!(it, [a, b',', b] if a.is_ascii_digit() && b.is_ascii_digit()))
    };
    text.chars().all(numeric) && between()
}

#[cfg(test)]
mod tests {
    use super::Damage;

    #[test]
    fn damage_is_recognised_and_nothing_else_is() {
        for (text, damage) in [
            ("1.23E+11", Some(Damage::Rounded)),
            ("5E-03", Some(Damage::Rounded)),
            ("05-Oct", Some(Damage::Date)),
            ("Oct-05", Some(Damage::Date)),
            ("5-Dec-2026", Some(Damage::Date)),
            ("#N/A", Some(Damage::Error)),
            ("######", Some(Damage::Error)),
            ("5,1", Some(Damage::Comma)),
            ("<0,1", Some(Damage::Comma)),
            ("3,5 - 5,1", Some(Damage::Comma)),
            ("1,234", Some(Damage::Comma)),
            ("5.1", None),
            ("8.6 - 29.0", None),
            ("O+", None),
            ("E. coli", None),
            ("Negative, repeat", None),
            ("#1", None),
            ("1:128", None),
        ] {
            assert_eq!(Damage::of(text), damage, "{text}");
        }
    }
}
