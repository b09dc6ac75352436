//! A date or time by the form that a mapping declares: `DD/MM/YYYY HH:mm`.

use crate::clinical::mapping::language::DATE_PARTS;

/// The digits in HL7's order, by a declared form: its parts as digits, everything else as it stands.
pub(super) fn digits(sent: &str, format: &str) -> Option<String> {
    let mut parts: [Option<String>; 6] = [const { None }; 6];
    let (mut sent, mut format) = (sent, format);
    while !format.is_empty() {
        let part = DATE_PARTS.iter().zip(&mut parts).find(|(part, _)| format.starts_with(**part));
        if let Some((name, slot)) = part {
            format = format.get(name.len()..)?;
            let wide = sent.bytes().take(name.len()).take_while(u8::is_ascii_digit).count();
            // One digit does where something else than a digit ends it, as in `1/2/2026`.
            let ends = format.chars().next().is_some_and(|next| !next.is_alphanumeric());
            if wide < name.len() && !(wide == 1 && name.len() == 2 && (ends || format.is_empty())) {
                return None;
            }
            let (digits, rest) = sent.split_at_checked(wide)?;
            *slot = Some(format!("{digits:0>width$}", width = name.len()));
            sent = rest;
        } else {
            let literal = format.chars().next()?;
            sent = sent.strip_prefix(literal)?;
            format = format.get(literal.len_utf8()..)?;
        }
    }
    sent.is_empty().then(|| parts.into_iter().map_while(|part| part).collect())
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn a_declared_form_is_read_and_no_other() {
        for (sent, format, wanted) in [
            ("1985/07/31", "YYYY/MM/DD", Some("19850731")),
            ("31/07/1985", "DD/MM/YYYY", Some("19850731")),
            ("1/2/1985", "DD/MM/YYYY", Some("19850201")),
            ("31.07.1985 14:05", "DD.MM.YYYY HH:mm", Some("198507311405")),
            ("07/1985", "DD/MM/YYYY", None),
            ("85/07/31", "YYYY/MM/DD", None),
            ("1985/07/31 ", "YYYY/MM/DD", None),
        ] {
            assert_eq!(digits(sent, format).as_deref(), wanted, "{sent}");
        }
    }
}
