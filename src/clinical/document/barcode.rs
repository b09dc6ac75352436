//! Code 128 (ISO/IEC 15417) as runs of modules, for the typesetter to draw as vectors.

use barcoders::sym::code128::Code128;

/// The longest text for one line of a form: 32 characters at 0.33 mm a module are 13 cm.
pub const TEXT_CHARS_MAX: usize = 32;

/// The widths of bars and spaces in modules, alternating, beginning with a bar.
///
/// `None` where the text is empty, too long, or outside printable ASCII, which is all of character set B.
pub(crate) fn code128(text: &str) -> Option<Vec<u32>> {
    let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if text.is_empty() || text.len() > TEXT_CHARS_MAX || !printable {
        return None;
    }
    // `Ɓ` is how barcoders spells "start in character set B".
    let modules = Code128::new(format!("\u{0181}{text}")).ok()?.encode();
    Some(modules.chunk_by(|a, b| a == b).map(|run| u32::try_from(run.len()).unwrap_or(u32::MAX)).collect())
}

#[cfg(test)]
mod tests {
    use super::code128;

    #[test]
    fn a_symbol_is_start_data_check_and_stop_of_eleven_modules_each_and_two_more() {
        let runs = code128("HS-7Q2M-4XKD-T").unwrap();
        assert_eq!(runs.iter().sum::<u32>(), 11 * (1 + 14 + 1) + 13);
        assert_eq!(runs.get(..6).unwrap(), [2, 1, 1, 2, 1, 4], "start B");
        assert_eq!(runs.get(runs.len() - 7..).unwrap(), [2, 3, 3, 1, 1, 1, 2], "stop");
    }

    #[test]
    fn what_the_symbol_cannot_carry_is_refused() {
        for text in ["", "é", "a\nb", &"9".repeat(33)] {
            assert_eq!(code128(text), None, "{text:?}");
        }
    }
}
