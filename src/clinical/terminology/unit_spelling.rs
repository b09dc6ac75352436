//! Brings the spellings of one unit together before a table is asked.
//!
//! The part of Unicode's NFKC that units need, done by hand so that each step can be read: both micro signs become `u`,
//! superscripts become digits, the multiplication sign becomes `x`, and white space goes. Case stays: `mg` is not `Mg`.

use std::borrow::Cow;

/// The spelling under which a table keeps and finds a unit.
pub fn normalise(unit: &str) -> Cow<'_, str> {
    if unit.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_whitespace()) {
        return Cow::Borrowed(unit);
    }
    let mut out = String::with_capacity(unit.len());
    let mut raised = false;
    for c in unit.chars() {
        let exponent = superscript(c);
        // `10⁹` is `10^9`, and never `109`.
        if exponent.is_some() && !raised && out.ends_with("10") {
            out.push('^');
        }
        raised = exponent.is_some();
        match c {
            _ if c.is_whitespace() => {}
            'µ' | 'μ' => out.push('u'),
            '×' => out.push('x'),
            '·' | '⋅' => out.push('.'),
            '∕' | '⁄' => out.push('/'),
            _ => out.push(exponent.unwrap_or(c)),
        }
    }
    Cow::Owned(out)
}

fn superscript(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴'..='⁹' => char::from_digit(u32::from(c) - u32::from('⁴') + 4, 10)?,
        '⁻' => '-',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn spellings_of_one_unit_meet() {
        for (sent, expected) in [
            ("µmol/L", "umol/L"),
            ("μmol/L", "umol/L"),
            (" umol / L ", "umol/L"),
            ("×10⁹/L", "x10^9/L"),
            ("x10^9/L", "x10^9/L"),
            ("10¹²/L", "10^12/L"),
            ("mL/min/1.73m²", "mL/min/1.73m2"),
            ("mmol\u{a0}/L", "mmol/L"),
            ("Mg", "Mg"),
        ] {
            assert_eq!(normalise(sent), expected, "{sent}");
        }
    }
}
