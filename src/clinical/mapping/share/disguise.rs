//! One leaf made another's: what stays, what moves, what is replaced.

use encoding_rs::Encoding;
use jiff::tz::TimeZone;

use crate::clinical::attachment;
use crate::clinical::mapping::language::RESULT_SEGMENT;
use crate::clinical::mapping::share::dates;
use crate::clinical::mapping::share::leaf::Form;
use crate::clinical::mapping::share::leaf::Leaf;
use crate::clinical::mapping::share::leaf::Unit;
use crate::clinical::mapping::share::letters::Alphabet;
use crate::clinical::mapping::share::letters::others_for;
use crate::clinical::mapping::share::pseudonym::Pseudonyms;
use crate::clinical::mapping::share::treatment::Treatment;
use crate::clinical::order::OrderNumber;
use crate::clinical::terminology::nhs_number;
use crate::formats::csv::Damage;

/// What every laboratory says of results instead of a number, and what says nothing of a person.
const RESULT_WORDS: &[&str] = &[
    "a",
    "ab",
    "abnormal",
    "above",
    "absent",
    "and",
    "b",
    "below",
    "borderline",
    "clotted",
    "detected",
    "equivocal",
    "few",
    "haemolysed",
    "heavy",
    "high",
    "indeterminate",
    "insufficient",
    "low",
    "many",
    "moderate",
    "neg",
    "negative",
    "nil",
    "no",
    "non",
    "none",
    "nonreactive",
    "normal",
    "not",
    "o",
    "occasional",
    "pos",
    "positive",
    "present",
    "reactive",
    "rh",
    "sample",
    "scanty",
    "seen",
    "strong",
    "trace",
    "unsuitable",
    "weak",
];
/// What of a reference says how it is to be read, and not where it leads.
const REFERENCE_WORDS: &[&str] = &["http", "https", "oid", "urn", "uuid"];
/// Digits of a number that was measured; a telephone number has more.
const MEASURE_DIGITS_MAX: usize = 8;
/// Digits of a day or year beside the name of a month; with more it is a whole date.
const MONTH_DIGITS_MAX: usize = 4;

/// The longest word of those tables but one.
const TABLE_WORD_CHARS_MAX: usize = 5;

/// What is done with a leaf.
enum Decision {
    Keep,
    Move(dates::Sent),
    /// All words; or, of a number with a check digit, the whole of it as one.
    Replace {
        as_one: bool,
    },
}

/// What is the same for all leaves of a message.
pub(super) struct Disguise<'a> {
    pub(super) pseudonyms: Pseudonyms,
    pub(super) encoding: &'static Encoding,
    pub(super) zone: Option<&'a TimeZone>,
    /// Values by which the mapping's paths choose.
    pub(super) choosing: Vec<String>,
    /// Types of FHIR, which stay in a reference.
    pub(super) types: Vec<String>,
}

impl Disguise<'_> {
    /// Looks at a leaf before any is changed: no replacement may be a word that was sent.
    pub(super) fn note(&mut self, leaf: &Leaf) {
        match self.decide(leaf) {
            Decision::Keep => {}
            Decision::Move(sent) => {
                if let Some(date) = sent.date() {
                    self.pseudonyms.note_date(date);
                }
            }
            Decision::Replace { as_one } => {
                if as_one {
                    self.pseudonyms.note(&compact(&leaf.text()));
                }
                for place in leaf.words() {
                    let word = leaf.word(&place);
                    if !self.stays_in_reference(leaf, &word) {
                        self.pseudonyms.note(&word);
                    }
                }
            }
        }
    }

    /// Writes the leaf's disguise over it. False where a character has no other of its length.
    pub(super) fn write(&mut self, message: &[u8], leaf: &Leaf, days: i32, copy: &mut [u8]) -> bool {
        match self.decide(leaf) {
            Decision::Keep => true,
            Decision::Move(sent) => match sent.moved(&leaf.text(), days, self.zone) {
                Some(moved) => self.put_all(message, leaf, &moved.chars().collect::<Vec<_>>(), copy),
                // `00000000` is no day of anybody's life.
                None if sent.date().is_none() => true,
                None => self.replace(message, leaf, copy),
            },
            Decision::Replace { as_one: true } => {
                let mut one = self.pseudonyms.word(&compact(&leaf.text()), Alphabet::Words).into_iter();
                let other =
                    |unit: char| if unit.is_alphanumeric() { one.next().unwrap_or(unit) } else { unit };
                let others: Vec<char> = leaf.text().chars().map(other).collect();
                self.put_all(message, leaf, &others, copy)
            }
            Decision::Replace { as_one: false } => self.replace(message, leaf, copy),
        }
    }

    fn decide(&self, leaf: &Leaf) -> Decision {
        let text = leaf.text();
        let is_whole = leaf.units.iter().all(|unit| unit.form != Form::Fixed);
        if self.choosing.contains(&text) || text.trim().is_empty() {
            return Decision::Keep;
        }
        let number = is_whole.then(|| checked_number(&text)).flatten();
        let declared = match &leaf.treatment {
            Treatment::Keep | Treatment::Document(_) => return Decision::Keep,
            Treatment::Word if is_of_table(&text) => return Decision::Keep,
            Treatment::Measure { is_number } if stays_as_value(&text, *is_number) => return Decision::Keep,
            Treatment::Date(form) => Some(form.as_deref()),
            _ => None,
        };
        match (number, declared) {
            (Some(Checked::Placeholder), _) => return Decision::Keep,
            (Some(Checked::Number), _) => return Decision::Replace { as_one: true },
            (None, _) => {}
        }
        let declared_date = declared.and_then(|form| dates::read(&text, form)).filter(|_| is_whole);
        let likely = || dates::read(&text, None).filter(|it| is_whole && it.is_likely());
        match declared_date.or_else(likely) {
            Some(sent) => Decision::Move(sent),
            None => Decision::Replace { as_one: false },
        }
    }

    fn replace(&mut self, message: &[u8], leaf: &Leaf, copy: &mut [u8]) -> bool {
        let text = leaf.text();
        let alphabet = if is_uuid(&text) { Alphabet::Hexadecimal } else { Alphabet::Words };
        let mut others: Vec<char> = text.chars().collect();
        let visible = (leaf.treatment == Treatment::Markup).then(|| visible_in_markup(&text));
        for place in leaf.words() {
            let word = leaf.word(&place);
            let is_markup = visible.as_ref().is_some_and(|it| !it.get(place.start).copied().unwrap_or(true));
            if is_markup || self.stays_in_reference(leaf, &word) {
                continue;
            }
            let replaced = self.pseudonyms.word(&word, alphabet);
            for (slot, letter) in others.iter_mut().skip(place.start).zip(replaced) {
                *slot = letter;
            }
        }
        // What a spreadsheet made of a long number stays one, or the copy would hide that fault.
        if let Some(at) = exponent(&text)
            && let (Some(slot), Some(sent)) = (others.get_mut(at), text.chars().nth(at))
        {
            *slot = sent;
        }
        // A result that lost the line break before it stays swallowed, for the same reason.
        if text.ends_with(RESULT_SEGMENT) {
            for (slot, letter) in others.iter_mut().rev().zip(RESULT_SEGMENT.chars().rev()) {
                *slot = letter;
            }
        }
        self.put_all(message, leaf, &others, copy)
    }

    fn put_all(&self, message: &[u8], leaf: &Leaf, others: &[char], copy: &mut [u8]) -> bool {
        let mut is_hidden = true;
        for (unit, other) in leaf.units.iter().zip(others) {
            if unit.character == *other {
                continue;
            }
            let spell = |letter: char| unit.spell(message, letter, self.encoding);
            let spelled = spell(*other).or_else(|| others_for(unit.character).find_map(spell));
            match (spelled, copy.get_mut(unit.at.clone())) {
                (Some(bytes), Some(place)) => place.copy_from_slice(&bytes),
                _ => is_hidden = false,
            }
        }
        // A letter that stands for itself because there is no other would be a name half hidden.
        let is_same = |(unit, other): (&Unit, &char)| {
            unit.is_of_word() && !unit.character.is_ascii() && unit.character == *other
        };
        is_hidden && (leaf.treatment == Treatment::Markup || !leaf.units.iter().zip(others).any(is_same))
    }

    fn stays_in_reference(&self, leaf: &Leaf, word: &str) -> bool {
        leaf.treatment == Treatment::Reference
            && (REFERENCE_WORDS.contains(&word) || self.types.iter().any(|it| it == word))
    }
}

/// Where the `E` of a number such as `1.23E+11` stands, in characters.
fn exponent(text: &str) -> Option<usize> {
    let (mantissa, power) = text.trim_end().split_once(['E', 'e'])?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let is_number = mantissa.trim_start().split(['.', ',']).all(is_digits);
    (is_number && is_digits(power.trim_start_matches(['+', '-']))).then(|| mantissa.chars().count())
}

/// `MR`, `PRN`, `HOME`: the words of HL7's tables 0190, 0200, 0201, 0202 and 0203.
fn is_of_table(text: &str) -> bool {
    text == "Internet" || text.len() <= TABLE_WORD_CHARS_MAX && text.bytes().all(|it| it.is_ascii_uppercase())
}

enum Checked {
    Number,
    /// Identifies nobody.
    Placeholder,
}

/// An NHS number or an order number, also in groups.
fn checked_number(text: &str) -> Option<Checked> {
    match nhs_number::read(text.trim()) {
        nhs_number::Reading::Placeholder => return Some(Checked::Placeholder),
        nhs_number::Reading::Valid(_) | nhs_number::Reading::WrongCheckDigit => return Some(Checked::Number),
        nhs_number::Reading::WrongForm => {}
    }
    let is_order = text.trim().parse::<OrderNumber>().is_ok() && compact(text).len() == OrderNumber::CHARS;
    is_order.then_some(Checked::Number)
}

fn compact(text: &str) -> String {
    text.chars().filter(|it| it.is_alphanumeric()).collect()
}

fn is_uuid(text: &str) -> bool {
    let group = |text: &str| text.bytes().all(|it| it.is_ascii_hexdigit());
    text.split([':', '/', '#']).any(|part| {
        let lengths: Vec<usize> = part.split('-').map(str::len).collect();
        lengths == [8, 4, 4, 4, 12] && part.split('-').all(group)
    })
}

/// Whether a value says nothing of a person: a number as laboratories write them, or one of their words.
fn stays_as_value(text: &str, is_number: bool) -> bool {
    if attachment::is_nothing(text) {
        return true;
    }
    let trimmed = text.trim();
    let digits = trimmed.bytes().filter(u8::is_ascii_digit).count();
    match Damage::of(trimmed) {
        Some(Damage::Overflow | Damage::Scientific | Damage::SpreadsheetError) => return true,
        // `3-May`, of what once was a range.
        Some(Damage::Date) if digits <= MONTH_DIGITS_MAX => return true,
        _ => {}
    }
    let letters = trimmed.chars().filter(|it| it.is_alphabetic()).count();
    if letters == 0 {
        let numbers = trimmed.split(|it: char| !it.is_ascii_digit()).filter(|it| !it.is_empty()).count();
        let is_alone = !trimmed.contains(char::is_whitespace) || trimmed.starts_with(['<', '>', '=']);
        let is_day = dates::read(trimmed, None).is_some_and(|it| it.is_likely());
        return digits <= MEASURE_DIGITS_MAX && numbers <= 4 && (is_number || is_alone) && !is_day;
    }
    let mut words = trimmed.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
    let is_known = |word: &str| {
        let word = word.to_lowercase();
        RESULT_WORDS.contains(&word.as_str()) || word.len() <= 2 && word.bytes().all(|it| it.is_ascii_digit())
    };
    words.all(is_known)
}

/// Which characters of an XHTML text are seen, or stand in an attribute that may say something.
fn visible_in_markup(text: &str) -> Vec<bool> {
    let (mut is_tag, mut quote, mut attribute) = (false, None, String::new());
    let mut visible = Vec::with_capacity(text.len());
    for letter in text.chars() {
        visible.push(!is_tag || quote.is_some() && !attribute.ends_with("xmlns="));
        match (letter, quote) {
            ('<', None) => is_tag = true,
            ('>', None) => is_tag = false,
            ('"' | '\'', None) if is_tag => quote = Some(letter),
            (letter, Some(open)) if letter == open => {
                quote = None;
                attribute.clear();
            }
            (letter, None) if is_tag && letter.is_whitespace() => attribute.clear(),
            (letter, None) if is_tag => attribute.push(letter),
            _ => {}
        }
    }
    visible
}
