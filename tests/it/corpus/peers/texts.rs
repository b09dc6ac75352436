//! Texts to be asked whether one of them says the same as another: numbers by their value, times by their instant or
//! the clock they show, anything else letter by letter.

use std::collections::HashSet;

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::corpus::peers::facts::Fact;
use crate::corpus::peers::facts::Kind;

const YEAR_DIGITS: usize = 4;
const DAY_DIGITS: usize = 8;
const MINUTE_DIGITS: usize = 12;
const SECOND_DIGITS: usize = 14;

#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    plain: HashSet<String>,
    numbers: HashSet<Decimal>,
    clocks: HashSet<Clock>,
}

impl Texts {
    /// A text whole, its lines, and the parts of what is a field as it was sent.
    pub(super) fn add(&mut self, text: &str) {
        self.one(text);
        for line in text.lines().filter(|_| text.contains(['\n', '~', '^', '&'])) {
            self.one(line);
            line.split(['~', '^', '&']).for_each(|part| self.one(part));
        }
    }

    fn one(&mut self, text: &str) {
        let text = plain(text);
        if text.is_empty() {
            return;
        }
        self.numbers.extend(decimal(&text));
        self.clocks.extend(Clock::read(&text));
        self.plain.insert(text);
    }

    pub(super) fn has_text(&self, text: &str) -> bool {
        self.plain.contains(text)
    }

    pub(super) fn has_part(&self, text: &str) -> bool {
        self.plain.iter().any(|it| it.contains(text))
    }

    /// Whether one of the times shows what this one shows, whatever the zone.
    pub(super) fn shows_clock_of(&self, text: &str) -> bool {
        let clock = Clock::read(&plain(text)).filter(|it| it.digits.len() >= MINUTE_DIGITS);
        clock.is_some_and(|theirs| self.clocks.iter().any(|ours| goes_on(&theirs.digits, &ours.digits)))
    }

    pub(super) fn has(&self, fact: &Fact) -> bool {
        let text = plain(&fact.text);
        // The number of an authority may be written as a URI.
        let is_number = |it: &str| text.strip_prefix(it).is_some_and(|text| self.plain.contains(text));
        self.plain.contains(&text)
            || ["urn:oid:", "urn:uuid:"].into_iter().any(is_number)
            || match fact.kind {
                Kind::Date => {
                    Clock::read(&text).is_some_and(|theirs| self.clocks.iter().any(|it| theirs.is(it)))
                }
                // A peer may leave an escaped line break as it was sent.
                Kind::Value => {
                    decimal(&text).is_some_and(|it| self.numbers.contains(&it))
                        || self.plain.contains(&plain(&text.replace("\\.br\\", " ")))
                }
                Kind::Identifier | Kind::Status | Kind::Unit => false,
            }
    }
}

fn decimal(text: &str) -> Option<Decimal> {
    text.parse().ok()
}

/// Without the white space around and between.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A date or time as anybody writes it: HL7 v2, ISO 8601.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Clock {
    /// What the clock on the wall shows, without fractions of a second.
    digits: String,
    /// Where its offset is told.
    instant: Option<Timestamp>,
}

impl Clock {
    fn read(text: &str) -> Option<Self> {
        let is_iso = text.as_bytes().get(YEAR_DIGITS) == Some(&b'-');
        let date_bytes = if is_iso { DAY_DIGITS + 2 } else { DAY_DIGITS };
        let is_end = |(at, letter): &(usize, char)| {
            matches!(letter, '+' | 'Z' | '.') || (*letter == '-' && *at >= date_bytes)
        };
        let end = text.char_indices().find(is_end).map_or(text.len(), |(at, _)| at);
        let (local, rest) = text.split_at(end);
        let digits: String = local.chars().filter(char::is_ascii_digit).collect();
        let is_clock = local.chars().all(|it| it.is_ascii_digit() || matches!(it, '-' | ':' | 'T' | ' '))
            && local.len() >= YEAR_DIGITS
            && local.bytes().take(YEAR_DIGITS).all(|it| it.is_ascii_digit())
            && digits.len() <= SECOND_DIGITS;
        let offset = rest.trim_start_matches(|it: char| it == '.' || it.is_ascii_digit());
        is_clock.then(|| Self { instant: instant(&digits, offset), digits })
    }

    /// Whether ours says the same as this, theirs. A peer may move a time to UTC, keep only its day, or fill it up with
    /// zeros that nobody sent.
    fn is(&self, ours: &Self) -> bool {
        if let (Some(theirs), Some(ours)) = (self.instant, ours.instant) {
            return theirs == ours;
        }
        let utc = self.instant.and_then(|it| Self::read(&it.to_string())).map(|it| it.digits);
        [Some(&self.digits), utc.as_ref()].into_iter().flatten().any(|theirs| goes_on(theirs, &ours.digits))
    }
}

fn goes_on(theirs: &str, ours: &str) -> bool {
    let filled_up = |rest: &str| rest.bytes().all(|it| it == b'0');
    if theirs.len() < DAY_DIGITS || ours.len() < DAY_DIGITS {
        return theirs == ours;
    }
    ours.starts_with(theirs) || theirs.strip_prefix(ours).is_some_and(filled_up)
}

fn instant(digits: &str, offset: &str) -> Option<Timestamp> {
    if offset.is_empty() || digits.len() < MINUTE_DIGITS {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to);
    let (date, time) = (part(0, DAY_DIGITS)?, part(DAY_DIGITS, MINUTE_DIGITS)?);
    let seconds = part(MINUTE_DIGITS, SECOND_DIGITS).unwrap_or("00");
    format!("{date}T{time}{seconds}{offset}").parse().ok()
}
