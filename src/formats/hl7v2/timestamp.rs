//! Dates and times as HL7 writes them (DTM, TS, DT, TM), with the precision and offset they were sent with.
//!
//! Nothing is filled in: a time without an offset stays without one, and what zone it was meant in is for the
//! reader to decide.

use std::fmt;
use std::str::FromStr;

use memchr::memchr2;
use thiserror::Error;

/// `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`. Its `Display` is the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    pub year: u16,
    pub month: Option<u8>,
    pub day: Option<u8>,
    pub time: Option<Time>,
    pub offset: Option<Offset>,
}

/// `HH[MM[SS[.S[S[S[S]]]]]]`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    pub hour: u8,
    pub minute: Option<u8>,
    pub second: Option<u8>,
    /// The digits after the point, as sent.
    pub fraction: Option<String>,
}

/// `+ZZZZ` or `-ZZZZ`. `-0000` is kept apart from `+0000`: some senders mean "unknown" by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Offset {
    pub negative: bool,
    pub hours: u8,
    pub minutes: u8,
}

/// What FHIR can say of a timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fhir {
    /// A date of year, month or day precision. Also where only the hour is known, which FHIR cannot say.
    Date(String),
    DateTime(String),
    /// FHIR needs an offset with a time, and none was sent: the local time, and the date alone.
    NeedsOffset {
        local: String,
        date: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("the value has something other than digits where the {expected} should be")]
    NotDigits { expected: &'static str },
    #[error("the value ends inside the {part}")]
    Incomplete { part: &'static str },
    #[error("there is no {part} {value}")]
    OutOfRange { part: &'static str, value: u16 },
    #[error("the month has no day {day}")]
    NoSuchDay { day: u8 },
    #[error("the value is longer than a date and time can be")]
    TooLong,
}

impl Timestamp {
    /// Reads a DT: a date of any precision, without time or offset.
    pub fn parse_date(text: &str) -> Result<Self, Error> {
        let read: Self = text.parse()?;
        if read.time.is_some() || read.offset.is_some() { Err(Error::TooLong) } else { Ok(read) }
    }

    /// The date in FHIR's spelling, as precise as it was sent.
    pub fn date(&self) -> String {
        let mut date = String::with_capacity(DATE_CHARS);
        self.push_date(&mut date);
        date
    }

    fn push_date(&self, text: &mut String) {
        let [century, year] = [self.year / 100, self.year % 100].map(|pair| u8::try_from(pair).unwrap_or(0));
        push_part(text, "", century);
        push_part(text, "", year);
        for part in [self.month, self.day].into_iter().flatten() {
            push_part(text, "-", part);
        }
    }

    pub fn fhir(&self) -> Fhir {
        let Some(Time { hour, minute: Some(minute), second, fraction }) = &self.time else {
            return Fhir::Date(self.date());
        };
        // FHIR's dateTime must have seconds, and allows zero where they are not known (§2.24.0.1).
        let mut time = String::with_capacity(DATE_TIME_CHARS);
        self.push_date(&mut time);
        push_part(&mut time, "T", *hour);
        push_part(&mut time, ":", *minute);
        push_part(&mut time, ":", second.unwrap_or(0));
        if let Some(digits) = fraction {
            time.push('.');
            time.push_str(digits);
        }
        let Some(Offset { negative, hours, minutes }) = self.offset else {
            return Fhir::NeedsOffset { local: time, date: self.date() };
        };
        push_part(&mut time, if negative { "-" } else { "+" }, hours);
        push_part(&mut time, ":", minutes);
        Fhir::DateTime(time)
    }
}

const DATE_CHARS: usize = "2026-11-22".len();
/// Room for a date and time with its offset, as long as most are.
const DATE_TIME_CHARS: usize = "2026-11-22T09:30:00+00:00".len();

// A message has two times for each result: written digit by digit, where `format!` costs ten times as much.

fn push_part(text: &mut String, before: &str, part: u8) {
    text.push_str(before);
    text.push(char::from(b'0' + part / 10 % 10));
    text.push(char::from(b'0' + part % 10));
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (mut rest, offset) = split_offset(text)?;
        let year = digits(&mut rest, 4, "year")?;
        within("year", year, 1, 9999)?;
        let month = optional(&mut rest, "month", 1, 12)?;
        let day = optional(&mut rest, "day", 1, 31)?;
        if let (Some(month), Some(day)) = (month, day)
            && day > days_in(year, month)
        {
            return Err(Error::NoSuchDay { day });
        }
        let time = if rest.is_empty() { None } else { Some(Time::read(rest)?) };
        Ok(Self { year, month, day, time, offset })
    }
}

impl Time {
    /// Reads a TM: a time of day of any precision, and its offset.
    pub fn parse(text: &str) -> Result<(Self, Option<Offset>), Error> {
        let (rest, offset) = split_offset(text)?;
        Ok((Self::read(rest)?, offset))
    }

    fn read(mut rest: &str) -> Result<Self, Error> {
        let hour = optional(&mut rest, "hour", 0, 23)?.ok_or(Error::Incomplete { part: "hour" })?;
        let minute = optional(&mut rest, "minute", 0, 59)?;
        let second = optional(&mut rest, "second", 0, 59)?;
        let fraction = match rest.strip_prefix('.') {
            _ if rest.is_empty() => None,
            Some(digits) if second.is_some() => {
                if digits.is_empty() {
                    return Err(Error::Incomplete { part: "fraction" });
                }
                if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                    return Err(Error::NotDigits { expected: "fraction" });
                }
                // The standard has at most four digits; more are sent, and mean no harm.
                if digits.len() > 9 {
                    return Err(Error::TooLong);
                }
                Some(digits.to_owned())
            }
            Some(_) => return Err(Error::NotDigits { expected: "seconds" }),
            None => return Err(Error::TooLong),
        };
        Ok(Self { hour, minute, second, fraction })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        for part in [self.month, self.day].into_iter().flatten() {
            write!(f, "{part:02}")?;
        }
        if let Some(time) = &self.time {
            write!(f, "{time}")?;
        }
        self.offset.map_or(Ok(()), |offset| write!(f, "{offset}"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [Some(self.hour), self.minute, self.second].into_iter().flatten() {
            write!(f, "{part:02}")?;
        }
        self.fraction.as_ref().map_or(Ok(()), |digits| write!(f, ".{digits}"))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:02}{:02}", if self.negative { '-' } else { '+' }, self.hours, self.minutes)
    }
}

fn split_offset(text: &str) -> Result<(&str, Option<Offset>), Error> {
    let Some(sign) = memchr2(b'+', b'-', text.as_bytes()) else {
        return Ok((text, None));
    };
    let (rest, offset) = text.split_at_checked(sign).unwrap_or((text, ""));
    let mut digits = offset.get(1..).unwrap_or_default();
    let missing = Error::Incomplete { part: "offset" };
    // Offsets in use run from -12:00 to +14:00; FHIR allows 14:00 either way.
    let hours = optional(&mut digits, "offset hour", 0, 14)?.ok_or_else(|| missing.clone())?;
    let minutes =
        optional(&mut digits, "offset minute", 0, if hours == 14 { 0 } else { 59 })?.ok_or(missing)?;
    if !digits.is_empty() {
        return Err(Error::TooLong);
    }
    Ok((rest, Some(Offset { negative: offset.starts_with('-'), hours, minutes })))
}

/// Two digits within bounds, or `None` where the value or its whole part ends.
fn optional(rest: &mut &str, part: &'static str, min: u16, max: u16) -> Result<Option<u8>, Error> {
    if rest.is_empty() || rest.starts_with('.') {
        return Ok(None);
    }
    let value = within(part, digits(rest, 2, part)?, min, max)?;
    Ok(u8::try_from(value).ok())
}

/// The number that the next `count` digits write, four at most.
fn digits(rest: &mut &str, count: usize, part: &'static str) -> Result<u16, Error> {
    let found = rest.bytes().take(count).take_while(u8::is_ascii_digit);
    let (found, number) =
        found.fold((0, 0_u16), |(found, number), digit| (found + 1, number * 10 + u16::from(digit - b'0')));
    if found < count {
        return Err(if found == rest.len() {
            Error::Incomplete { part }
        } else {
            Error::NotDigits { expected: part }
        });
    }
    *rest = rest.get(count..).unwrap_or_default();
    Ok(number)
}

fn within(part: &'static str, value: u16, min: u16, max: u16) -> Result<u16, Error> {
    if (min..=max).contains(&value) { Ok(value) } else { Err(Error::OutOfRange { part, value }) }
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, fhir: &Fhir) {
        let read: Timestamp = text.parse().unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(read.fhir(), *fhir, "{text}");
    }

    fn fail(text: &str, reason: &str) {
        assert_eq!(text.parse::<Timestamp>().unwrap_err().to_string(), reason, "{text}");
    }

    #[test]
    fn keeps_precision_and_offset() {
        check("2024", &Fhir::Date("2024".into()));
        check("202402", &Fhir::Date("2024-02".into()));
        check("20240229", &Fhir::Date("2024-02-29".into()));
        check("2024022907", &Fhir::Date("2024-02-29".into()));
        check("202402290705+0100", &Fhir::DateTime("2024-02-29T07:05:00+01:00".into()));
        check("20240229070509.1200-0530", &Fhir::DateTime("2024-02-29T07:05:09.1200-05:30".into()));
        check("20240229000000-0000", &Fhir::DateTime("2024-02-29T00:00:00-00:00".into()));
        let (local, date) = ("2024-02-29T07:05:09".into(), "2024-02-29".into());
        check("20240229070509", &Fhir::NeedsOffset { local, date });
    }

    #[test]
    fn refuses_what_cannot_be() {
        fail("20230229", "the month has no day 29");
        fail("19651312151500", "there is no month 13");
        fail("202401012400", "there is no hour 24");
        fail("20240101000060", "there is no second 60");
        fail("00000000", "there is no year 0");
        fail("2024-01-01", "the value has something other than digits where the offset minute should be");
        fail("01/02/2024", "the value has something other than digits where the year should be");
        fail("202", "the value ends inside the year");
        fail("20240", "the value ends inside the month");
        fail("2024010107050912", "the value is longer than a date and time can be");
        fail("20240101070509+2500", "there is no offset hour 25");
        fail("", "the value ends inside the year");
    }

    #[test]
    fn reads_times_of_day() {
        let (time, offset) = Time::parse("070509.5+0100").unwrap();
        assert_eq!((time.to_string(), offset.unwrap().to_string()), ("070509.5".into(), "+0100".into()));
        assert!(Time::parse("2560").is_err());
        assert!(Timestamp::parse_date("20240101070509").is_err());
    }
}
