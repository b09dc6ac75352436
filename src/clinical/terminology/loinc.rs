//! The check digit of a LOINC code.

/// Whether a code has LOINC's form and its check digit (Luhn's mod 10, LOINC Users' Guide, appendix on check digits).
///
/// It catches a mistyped digit. It does not say that the code exists, or means this analyte.
pub fn check_digit_holds(code: &str) -> bool {
    let Some((number, check)) = code.split_once('-') else { return false };
    let (1..=7, [check @ b'0'..=b'9']) = (number.len(), check.as_bytes()) else { return false };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0');
            let weighted = if place % 2 == 0 { digit * 2 } else { digit };
            weighted / 10 + weighted % 10
        })
        .sum();
    (10 - sum % 10) % 10 == u32::from(check - b'0')
}

#[cfg(test)]
mod tests {
    use super::check_digit_holds;

    #[test]
    fn real_codes_hold_and_mistyped_ones_do_not() {
        for code in ["718-7", "2823-3", "14682-9", "62238-1", "59261-8", "100-8"] {
            assert!(check_digit_holds(code), "{code}");
        }
        for code in ["718-8", "2832-3", "14682-", "14682", "-7", "A18-7", "12345678-1", "718-77", ""] {
            assert!(!check_digit_holds(code), "{code}");
        }
    }
}
