//! The NHS number: ten digits, a check digit, and the placeholders that pass it.

/// What a text sent as an NHS number is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Ten digits whose check digit holds.
    Valid(String),
    /// Not ten digits.
    WrongForm,
    WrongCheckDigit,
    /// One digit ten times: some of them pass the check (`3333333333`), and none is anybody's number.
    Placeholder,
}

/// Reads an NHS number, written with or without spaces or hyphens.
///
/// A check digit that holds says that the digits were copied well, not whose number it is.
pub fn read(text: &str) -> Reading {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '\u{a0}')).collect();
    if digits.len() != 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Reading::WrongForm;
    }
    if digits.bytes().all(|byte| digits.bytes().next() == Some(byte)) {
        return Reading::Placeholder;
    }
    if check_digit_holds(&digits) { Reading::Valid(digits) } else { Reading::WrongCheckDigit }
}

/// Weights 10 to 2 on the first nine digits; eleven minus the sum's remainder by eleven, where 11 counts as 0.
fn check_digit_holds(digits: &str) -> bool {
    let value = |byte: u8| u32::from(byte - b'0');
    let sum: u32 =
        digits.bytes().take(9).zip((2..=10).rev()).map(|(byte, weight)| value(byte) * weight).sum();
    let check = match 11 - sum % 11 {
        11 => 0,
        check => check,
    };
    digits.bytes().last().is_some_and(|last| value(last) == check)
}

/// Whether the number is of the range that is never issued and serves for testing (9 at its head).
pub fn is_test_range(number: &str) -> bool {
    number.starts_with('9')
}

#[cfg(test)]
mod tests {
    use super::Reading;
    use super::read;

    #[test]
    fn published_test_numbers_hold() {
        for number in ["9727710859", "9727710638", "9435492908", "9434765919", "5189214567", "943 476 5919"] {
            assert!(matches!(read(number), Reading::Valid(digits) if digits.len() == 10), "{number}");
        }
    }

    #[test]
    fn wrong_digits_lengths_and_placeholders_do_not() {
        assert_eq!(read("4123456879"), Reading::WrongCheckDigit);
        assert_eq!(read("943476591"), Reading::WrongForm);
        assert_eq!(read("94347659l9"), Reading::WrongForm);
        for placeholder in ["0000000000", "1111111111", "3333333333", "9999999999"] {
            assert_eq!(read(placeholder), Reading::Placeholder, "{placeholder}");
        }
    }

    #[test]
    fn a_remainder_that_gives_ten_is_no_number() {
        // The weighted sum of 100000001 is 12, so the check digit would be ten.
        for last in 0..10 {
            assert_ne!(read(&format!("100000001{last}")), Reading::Valid(format!("100000001{last}")));
        }
    }
}
