//! Other words for the words of a file: the same word always the same, letter for letter, and none that the file has.
//!
//! A word is a run of letters and digits. Its case is not part of it, so that `SMITH` and `Smith` stay one name. A
//! number with a check digit that holds gets one that holds, and one that does not gets one that does not.

use std::collections::HashMap;
use std::collections::HashSet;

use aws_lc_rs::hmac;
use encoding_rs::Encoding;
use jiff::civil::Date;

use crate::clinical::mapping::share::Key;
use crate::clinical::mapping::share::dates;
use crate::clinical::mapping::share::letters::Alphabet;
use crate::clinical::mapping::share::letters::Turn;
use crate::clinical::mapping::share::letters::instead_of;
use crate::clinical::order::OrderNumber;
use crate::clinical::terminology::nhs_number;

/// Shorter words are no names, and there are too few of them to avoid all that were sent.
pub(super) const WORD_CHARS_MIN: usize = 3;
/// One in eleven numbers has an NHS number's check digit, one in seventy-four words an order number's.
const ATTEMPTS_MAX: u32 = 5_000;
/// Dates move back, so that none lies ahead that did not, by a month to a year and more.
const DAYS_MIN: u32 = 33;
const DAYS_SPAN: u32 = 400;
/// The range of NHS numbers that is never issued.
const NHS_TEST_RANGE: &str = "999";

pub(super) struct Pseudonyms {
    key: hmac::Key,
    encoding: &'static Encoding,
    /// Every word that is replaced, so that no other becomes it.
    sent: HashSet<String>,
    sent_dates: HashSet<Date>,
    given: HashMap<(String, Alphabet), Vec<char>>,
    taken: HashSet<Vec<char>>,
}

impl Pseudonyms {
    pub(super) fn new(key: &Key, encoding: &'static Encoding) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.0.expose()),
            encoding,
            sent: HashSet::new(),
            sent_dates: HashSet::new(),
            given: HashMap::new(),
            taken: HashSet::new(),
        }
    }

    /// Takes note of a word that will be replaced.
    pub(super) fn note(&mut self, word: &str) {
        let word = small(word);
        if word.chars().count() >= WORD_CHARS_MIN {
            self.sent.insert(word);
        }
    }

    pub(super) fn note_date(&mut self, date: Date) {
        self.sent_dates.insert(date);
    }

    /// By how many days every date of the file moves: such that none becomes another that was sent, if it can be.
    pub(super) fn days(&self) -> i32 {
        let attempt = |attempt: u32| {
            let chance = self.chance("days", "", attempt);
            let number = chance.iter().take(4).fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            -i32::try_from(DAYS_MIN + number % DAYS_SPAN).unwrap_or(-1)
        };
        let is_apart = |days: &i32| {
            let moved = |date: &Date| date.checked_add(jiff::Span::new().days(*days)).ok();
            !self.sent_dates.iter().filter_map(moved).any(|date| self.sent_dates.contains(&date))
        };
        (0..DAYS_SPAN).map(attempt).find(is_apart).unwrap_or_else(|| attempt(0))
    }

    /// What stands for a word, in its letter case.
    pub(super) fn word(&mut self, word: &str, alphabet: Alphabet) -> Vec<char> {
        let plain = (small(word), alphabet);
        let given = if let Some(given) = self.given.get(&plain) {
            given.clone()
        } else {
            let found = self.find(&plain.0, alphabet);
            self.taken.insert(found.clone());
            self.given.insert(plain, found.clone());
            found
        };
        let cased = |(sent, letter): (char, char)| {
            if sent.is_uppercase() { letter.to_uppercase().next().unwrap_or(letter) } else { letter }
        };
        word.chars().zip(given).map(cased).collect()
    }

    fn find(&self, plain: &str, alphabet: Alphabet) -> Vec<char> {
        let mut last = plain.chars().collect();
        for attempt in 0..ATTEMPTS_MAX {
            let candidate = self.candidate(plain, alphabet, attempt);
            let text: String = candidate.iter().collect();
            if text != plain {
                let is_free = !self.taken.contains(&candidate) && !self.sent.contains(&text);
                if is_free && is_alike(plain, &text) {
                    return candidate;
                }
                last = candidate;
            }
        }
        last
    }

    fn candidate(&self, plain: &str, alphabet: Alphabet, attempt: u32) -> Vec<char> {
        let mut chance = Vec::new();
        let mut block = attempt;
        let mut word = Vec::new();
        let mut is_vowel = false;
        for (at, sent) in plain.chars().enumerate() {
            if chance.is_empty() {
                chance = self.chance("word", plain, block);
                block = block.wrapping_add(ATTEMPTS_MAX);
                is_vowel ^= at == 0 && chance.first().is_some_and(|it| it % 3 == 0);
            }
            let drawn = chance.pop().unwrap_or_default();
            let turn = Turn { alphabet, is_vowel, is_first: at == 0 };
            word.push(instead_of(sent, drawn, turn, self.encoding));
            is_vowel = sent.is_alphabetic() && !is_vowel;
        }
        if matches!(nhs_number::read(plain), nhs_number::Reading::Valid(_)) && plain.len() == word.len() {
            for (letter, digit) in word.iter_mut().zip(NHS_TEST_RANGE.chars()) {
                *letter = digit;
            }
        }
        word
    }

    fn chance(&self, purpose: &str, word: &str, attempt: u32) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [purpose.as_bytes(), word.as_bytes(), &attempt.to_be_bytes()] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().to_vec()
    }
}

/// The word without its case; as many characters as it had.
fn small(word: &str) -> String {
    let one = |letter: char| {
        let mut small = letter.to_lowercase();
        small.next().filter(|_| small.next().is_none()).unwrap_or(letter)
    };
    word.chars().map(one).collect()
}

/// Whether two words pass the same checks.
fn is_alike(sent: &str, copy: &str) -> bool {
    let form = |text: &str| match nhs_number::read(text) {
        nhs_number::Reading::Valid(_) => 0,
        nhs_number::Reading::WrongForm => 1,
        nhs_number::Reading::WrongCheckDigit => 2,
        nhs_number::Reading::Placeholder => 3,
    };
    let is_order = |text: &str| text.to_ascii_uppercase().parse::<OrderNumber>().is_ok();
    let is_date = |text: &str| dates::read(text, None).is_some_and(|it| it.is_day());
    form(sent) == form(copy) && is_order(sent) == is_order(copy) && (is_date(sent) || !is_date(copy))
}
