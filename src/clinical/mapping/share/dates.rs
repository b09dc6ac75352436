//! Dates moved by one secret number of days: as precise, as long and as valid as they were sent.
//!
//! All dates of a file move together, so ages and waiting times stay. One that would leave its form or meet another
//! change of the clocks than it had moves a little further.

use std::ops::Range;

use jiff::civil::Date;
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::tz::TimeZone;

use crate::clinical::mapping::language::DATE_PARTS;
use crate::formats::hl7v2::timestamp::Timestamp;

/// How much further a date may move before it is left where it is.
const FURTHER_DAYS_MAX: i32 = 400;
/// Of a year in two digits; which century is meant is nobody's concern here.
const CENTURY: i16 = 2000;
/// Digits that could be a date are taken for one only if a person or a specimen could have it.
const LIKELY_YEARS: Range<i16> = 1880..2100;

/// Where the parts of a date stand in a text, in bytes; all are ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    year: Range<usize>,
    month: Option<Range<usize>>,
    day: Option<Range<usize>>,
    /// Hour and minute, where the text has them and no offset.
    local: Option<(i8, i8)>,
}

/// A text that is written as a date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    written: Written,
    /// `None` where there is no such day.
    date: Option<Date>,
}

impl Sent {
    pub(super) fn date(&self) -> Option<Date> {
        self.date
    }

    /// Whether it may be taken for a date where nothing says that it is one.
    pub(super) fn is_likely(&self) -> bool {
        self.is_day() && self.date.is_some_and(|it| LIKELY_YEARS.contains(&it.year()))
    }

    /// Whether it is a day that was or will be.
    pub(super) fn is_day(&self) -> bool {
        self.date.is_some() && self.written.day.is_some()
    }

    /// The text with its date moved.
    pub(super) fn moved(&self, text: &str, days: i32, zone: Option<&TimeZone>) -> Option<String> {
        let Some(date) = self.date else { return self.moved_and_invalid(text, days) };
        let kind = self.kind(date, zone);
        let further = (0..=FURTHER_DAYS_MAX).flat_map(|it| [it, -it]);
        for more in further {
            let Ok(moved) = date.checked_add(jiff::Span::new().days(days + more)) else { continue };
            if moved == date || self.kind(moved, zone) != kind {
                continue;
            }
            if let Some(text) = self.write(text, moved.year(), Some((moved.month(), moved.day()))) {
                return Some(text);
            }
        }
        None
    }

    /// Another year, in which there is no such day either.
    fn moved_and_invalid(&self, text: &str, days: i32) -> Option<String> {
        let year: i16 = text.get(self.written.year.clone())?.parse().ok()?;
        let step = if days < 0 { -1 } else { 1 };
        (1..=8).find_map(|years| {
            let moved = self.write(text, year.checked_add(step * years)?, None)?;
            let is_none = self.written.date(&moved).is_none();
            is_none.then_some(moved)
        })
    }

    /// Whether a local time happened once, twice or never.
    fn kind(&self, date: Date, zone: Option<&TimeZone>) -> u8 {
        let (Some(zone), Some((hour, minute))) = (zone, self.written.local) else { return 0 };
        let at: DateTime = date.at(hour, minute, 0, 0);
        match zone.to_ambiguous_timestamp(at).offset() {
            AmbiguousOffset::Unambiguous { .. } => 0,
            AmbiguousOffset::Gap { .. } => 1,
            AmbiguousOffset::Fold { .. } => 2,
        }
    }

    /// `None` where the parts would have another length.
    fn write(&self, text: &str, year: i16, month_and_day: Option<(i8, i8)>) -> Option<String> {
        let mut moved = text.to_owned();
        let mut put = |place: &Range<usize>, number: i16| {
            let width = place.len();
            let digits = format!("{number:0width$}");
            let fits = digits.len() == width && number > 0;
            if fits {
                moved.replace_range(place.clone(), &digits);
            }
            fits
        };
        let is_short = self.written.year.len() == 2;
        let mut fits = put(&self.written.year, if is_short { year % 100 } else { year });
        if let Some((month, day)) = month_and_day {
            fits &= self.written.month.as_ref().is_none_or(|place| put(place, i16::from(month)));
            fits &= self.written.day.as_ref().is_none_or(|place| put(place, i16::from(day)));
        }
        fits.then_some(moved)
    }
}

impl Written {
    fn date(&self, text: &str) -> Option<Date> {
        let number = |place: &Range<usize>| text.get(place.clone())?.parse::<i16>().ok();
        let part = |place: &Option<Range<usize>>, absent: i8| match place {
            Some(place) => i8::try_from(number(place)?).ok(),
            None => Some(absent),
        };
        let day = if self.month.is_some() { 15 } else { 1 };
        let year = match self.year.len() {
            2 => number(&self.year)? + CENTURY,
            _ => number(&self.year).filter(|it| *it > 0)?,
        };
        Date::new(year, part(&self.month, 7)?, part(&self.day, day)?).ok()
    }
}

/// Reads a text that is wholly a date: as `form` declares, else as HL7, ISO 8601, or day, month and year.
pub(super) fn read(text: &str, form: Option<&str>) -> Option<Sent> {
    let written = match form {
        Some(form) => declared(text, form)?,
        None => compact(text).or_else(|| extended(text)).or_else(|| day_first(text))?,
    };
    let date = written.date(text);
    Some(Sent { written, date })
}

fn inner(text: &str) -> Option<(usize, &str)> {
    let trimmed = text.trim();
    let is_whole = !trimmed.is_empty() && trimmed.is_ascii();
    is_whole.then(|| (text.len() - text.trim_start().len(), trimmed))
}

/// `YYYY[MM[DD[HH[MM[SS[.S…]]]]]][+ZZZZ]`
fn compact(text: &str) -> Option<Written> {
    let (start, body) = inner(text)?;
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    let (clock, rest) = body.split_at_checked(digits)?;
    if !matches!(digits, 4 | 6 | 8 | 10 | 12 | 14) {
        return None;
    }
    // A day that is none is still a date; a time that is none makes it none.
    let is_time = if digits > 8 {
        format!("20000101{}{rest}", clock.get(8..)?).parse::<Timestamp>().is_ok()
    } else {
        rest.is_empty()
    };
    if !is_time {
        return None;
    }
    let part = |from: usize| clock.get(from..from + 2)?.parse::<i8>().ok();
    let has_offset = rest.contains(['+', '-']);
    Some(Written {
        year: start..start + 4,
        month: (digits >= 6).then_some(start + 4..start + 6),
        day: (digits >= 8).then_some(start + 6..start + 8),
        local: part(8).filter(|_| !has_offset).map(|hour| (hour, part(10).unwrap_or(0))),
    })
}

/// `YYYY-MM[-DD[Thh:mm…]]`
fn extended(text: &str) -> Option<Written> {
    let (start, body) = inner(text)?;
    let (date, time) = body.split_once(['T', ' ']).map_or((body, ""), |(date, time)| (date, time));
    let parts: Vec<&str> = date.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|it| it.len()).collect();
    let are_digits = parts.iter().all(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
    if !are_digits || !matches!(lengths.as_slice(), [4, 2] | [4, 2, 2]) || !is_clock(time) {
        return None;
    }
    Some(Written {
        year: start..start + 4,
        month: Some(start + 5..start + 7),
        day: (lengths.len() == 3).then_some(start + 8..start + 10),
        local: local(time),
    })
}

/// `DD/MM/YYYY` or `DD/MM/YY`, also with points or hyphens, one digit for a day or month below ten, and a time behind it.
fn day_first(text: &str) -> Option<Written> {
    let (start, body) = inner(text)?;
    let (date, time) = body.split_once(' ').map_or((body, ""), |(date, time)| (date, time));
    let mark = date.chars().find(|it| !it.is_ascii_digit()).filter(|it| matches!(it, '/' | '.' | '-'))?;
    let parts: Vec<&str> = date.split(mark).collect();
    let [day, month, year] = parts.as_slice() else { return None };
    let are_digits = parts.iter().all(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
    if !are_digits || day.len() > 2 || month.len() > 2 || !matches!(year.len(), 2 | 4) || !is_clock(time) {
        return None;
    }
    let (month_at, year_at) = (start + day.len() + 1, start + day.len() + month.len() + 2);
    let day_place = start..start + day.len();
    let month_place = month_at..month_at + month.len();
    // Months of the other order are beyond twelve.
    let is_month_first =
        month.parse::<u8>().is_ok_and(|it| it > 12) && day.parse::<u8>().is_ok_and(|it| it <= 12);
    let (day, month) = if is_month_first { (month_place, day_place) } else { (day_place, month_place) };
    Some(Written {
        year: year_at..year_at + year.len(),
        month: Some(month),
        day: Some(day),
        local: local(time),
    })
}

fn is_clock(time: &str) -> bool {
    time.is_empty()
        || time.contains(':')
            && time
                .bytes()
                .all(|it| it.is_ascii_digit() || matches!(it, b':' | b'.' | b'+' | b'-' | b'Z' | b'z'))
}

fn local(time: &str) -> Option<(i8, i8)> {
    let has_offset = time.contains(['+', '-', 'Z', 'z']);
    let mut parts = time.split(':').map(|it| it.parse::<i8>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute);
    (!has_offset && is_time).then_some((hour, minute))
}

/// By a declared form, such as `DD/MM/YYYY HH:mm`.
fn declared(text: &str, form: &str) -> Option<Written> {
    let (start, body) = inner(text)?;
    let (mut at, mut form) = (0, form);
    let mut places: [Option<Range<usize>>; DATE_PARTS.len()] = [const { None }; DATE_PARTS.len()];
    while !form.is_empty() {
        let part = DATE_PARTS.iter().zip(&mut places).find(|(part, _)| form.starts_with(**part));
        if let Some((name, place)) = part {
            let rest = body.get(at..)?;
            let wide = rest.bytes().take(name.len()).take_while(u8::is_ascii_digit).count();
            if wide == 0 {
                return None;
            }
            *place = Some(start + at..start + at + wide);
            at += wide;
            form = form.get(name.len()..)?;
        } else {
            let literal = form.chars().next()?;
            body.get(at..)?.strip_prefix(literal)?;
            at += literal.len_utf8();
            form = form.get(literal.len_utf8()..)?;
        }
    }
    let [year, month, day, hour, minute, _] = places;
    let number = |place: Option<Range<usize>>| text.get(place?)?.parse::<i8>().ok();
    let local = number(hour).filter(|it| (0..24).contains(it)).zip(number(minute).or(Some(0)));
    let local = local.filter(|(_, minute)| (0..60).contains(minute));
    (at == body.len()).then_some(Written { year: year.filter(|it| it.len() == 4)?, month, day, local })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::read;

    fn moved(text: &str, form: Option<&str>, days: i32) -> Option<String> {
        let zone = TimeZone::get("Europe/London").unwrap();
        read(text, form).and_then(|sent| sent.moved(text, days, Some(&zone)))
    }

    #[test]
    fn a_date_keeps_its_precision_and_form() {
        for (sent, form, expected) in [
            ("19800229", None, "19800219"),
            ("198002", None, "198002"),
            ("20260301083000.5+0000", None, "20260219083000.5+0000"),
            ("2026-03-11T08:30:00Z", None, "2026-03-01T08:30:00Z"),
            (" 2026-03-11 ", None, " 2026-03-01 "),
            ("11/03/2026 09:15", None, "01/03/2026 09:15"),
            ("2026/03/11", Some("YYYY/MM/DD"), "2026/03/01"),
        ] {
            let expected = if sent == "198002" { "198001" } else { expected };
            let days = if sent == "198002" { -30 } else { -10 };
            assert_eq!(moved(sent, form, days).as_deref(), Some(expected), "{sent}");
        }
    }

    #[test]
    fn what_is_no_day_stays_none() {
        for sent in ["20260230", "20261345", "2026-02-30", "31/02/2026", "20230229"] {
            let copy = moved(sent, None, -100).unwrap();
            assert_ne!(copy, sent);
            assert_eq!(read(&copy, None).unwrap().date(), None, "{copy}");
        }
        assert_eq!(moved("soon", None, -10), None);
    }

    #[test]
    fn an_hour_that_happened_twice_still_does() {
        let copy = moved("20261025013000", None, -97).unwrap();
        assert!(copy.starts_with("20251026") || copy.starts_with("2027"), "{copy}");
        let single = moved("20260131013000", None, -97).unwrap();
        assert_ne!(single.get(..8), Some("20251026"), "{single}");
    }
}
