//! Letters that stand in for others: of the same case, and as long in the same character set.

use encoding_rs::Encoding;

use crate::formats::characters::bytes_of;

const CONSONANTS: &[u8; 20] = b"bcdfghjklmnprstvwxyz";
const VOWELS: &[u8; 5] = b"aeiou";
const HEX: &[u8; 6] = b"abcdef";

/// Cased letters beyond ASCII, one script after the other, each with its capital of the same length.
const CASED: &str = "áéíóúäöüçñèêîôåøæžščłęąőűğабвгдежзиклмнопрстфαβγδεζηθικλμνξ𐐨𐐩𐐪𐐫𐐬";
/// Letters without case.
const UNCASED: &str =
    "אבגדהוזחטابتثجحخدذرزكカキクケコサシสนรกมท一二三山川田中村高木林森가나다라마바사𠀀𠀁𠀂𠀃";

/// How a word's letters are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Alphabet {
    /// Consonants and vowels by turns, so that a name reads like one.
    Words,
    /// `a` to `f`, for the groups of a UUID.
    Hexadecimal,
}

/// The place of a letter in its word, which decides its kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) alphabet: Alphabet,
    pub(super) is_vowel: bool,
    pub(super) is_first: bool,
}

/// A small letter, or a digit, in the place of `sent`, which is small; the same where there is none to take.
pub(super) fn instead_of(sent: char, chance: u8, turn: Turn, encoding: &'static Encoding) -> char {
    let of = |letters: &[u8]| {
        letters.get(usize::from(chance) % letters.len()).map_or(sent, |letter| char::from(*letter))
    };
    match sent {
        '0' if turn.is_first => '0',
        '1'..='9' if turn.is_first => of(b"123456789"),
        '0'..='9' => of(b"0123456789"),
        'a'..='f' if turn.alphabet == Alphabet::Hexadecimal => of(HEX),
        'a'..='z' if turn.is_vowel => of(VOWELS),
        'a'..='z' => of(CONSONANTS),
        _ => beyond_ascii(sent, chance, encoding),
    }
}

fn beyond_ascii(sent: char, chance: u8, encoding: &'static Encoding) -> char {
    let long = |letter: char| bytes_of(encoding, letter).map(|it| it.len());
    let scripts = if sent.is_lowercase() { [CASED, UNCASED] } else { [UNCASED, CASED] };
    let ascii = std::str::from_utf8(CONSONANTS).unwrap_or_default();
    let fits = |letter: &char| *letter != sent && long(*letter) == long(sent);
    let fitting = |letters: &str| letters.chars().filter(fits).collect::<Vec<_>>();
    let letters =
        scripts.into_iter().chain([ascii]).map(fitting).find(|it| !it.is_empty()).unwrap_or_default();
    letters.get(usize::from(chance) % letters.len().max(1)).copied().unwrap_or(sent)
}

/// Letters that could stand in for one that is spelled in a way in which the chosen one does not fit.
pub(super) fn others_for(sent: char) -> impl Iterator<Item = char> {
    let is_capital = sent.is_uppercase();
    let all = if sent.is_ascii_digit() {
        "0123456789".to_owned()
    } else {
        format!("abcdefghijklmnopqrstuvwxyz{CASED}{UNCASED}")
    };
    let cased =
        all.chars().map(move |it| if is_capital { it.to_uppercase().next().unwrap_or(it) } else { it });
    cased.filter(move |it| *it != sent).collect::<Vec<_>>().into_iter()
}
