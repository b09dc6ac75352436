//! Words and figures as people read them: dates, numbers in groups, units, urgencies, states.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use typst::foundations::Datetime;

use crate::clinical::document::Error;
use crate::clinical::document::Standing;
use crate::clinical::model::Moment;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Urgency;

pub(crate) const NOT_KNOWN: &str = "not known";

/// Shows instants as the clinic's clock does.
pub(crate) struct Clock(TimeZone);

impl Clock {
    pub(crate) fn new(name: &str) -> Result<Self, Error> {
        let zone = TimeZone::get(name).map_err(|_| Error::TimeZoneUnknown { name: name.to_owned() })?;
        Ok(Self(zone))
    }

    /// `2026-11-22T09:30:00+00:00` as `22 November 2026, 09:30`; less precise texts as far as they go.
    pub(crate) fn when(&self, iso: &str) -> String {
        match iso.parse::<Timestamp>() {
            Ok(instant) => instant.to_zoned(self.0.clone()).strftime("%-d %B %Y, %H:%M").to_string(),
            Err(_) => day(iso),
        }
    }

    pub(crate) fn moment(&self, moment: Option<&Moment>) -> String {
        moment.map_or_else(|| NOT_KNOWN.to_owned(), |moment| self.when(&moment.iso))
    }

    /// The date alone, in the clinic's zone.
    pub(crate) fn date(&self, iso: &str) -> String {
        match iso.parse::<Timestamp>() {
            Ok(instant) => instant.to_zoned(self.0.clone()).strftime("%-d %B %Y").to_string(),
            Err(_) => day(iso),
        }
    }
}

/// `2026-03-05` as `5 March 2026`, `2026-03` as `March 2026`; anything else as it stands.
pub(crate) fn day(iso: &str) -> String {
    if let Ok(date) = iso.parse::<Date>() {
        return date.strftime("%-d %B %Y").to_string();
    }
    match format!("{iso}-01").parse::<Date>() {
        Ok(date) if iso.len() == 7 => date.strftime("%B %Y").to_string(),
        _ => iso.to_owned(),
    }
}

/// Whole years at a date, where both are known.
pub(crate) fn age(birth: &str, on: Date) -> Option<i32> {
    let born: Date = birth.parse().ok()?;
    let had_birthday = (on.month(), on.day()) >= (born.month(), born.day());
    let years = i32::from(on.year()) - i32::from(born.year()) - i32::from(!had_birthday);
    (years >= 0).then_some(years)
}

/// The instant in UTC for the PDF's metadata, or the day where no time is known.
pub(crate) fn utc(iso: &str) -> Option<Datetime> {
    let at = match iso.parse::<Timestamp>() {
        Ok(instant) => instant.to_zoned(TimeZone::UTC).datetime(),
        Err(_) => iso.parse::<Date>().ok()?.at(0, 0, 0, 0),
    };
    let part = |number: i8| u8::try_from(number).ok();
    Datetime::from_ymd_hms(
        i32::from(at.year()),
        part(at.month())?,
        part(at.day())?,
        part(at.hour())?,
        part(at.minute())?,
        part(at.second())?,
    )
}

/// An NHS number in groups of 3, 3 and 4, as the NHS data dictionary prints it; anything else as it stands.
pub(crate) fn nhs_number(number: &str) -> String {
    let digits = number.len() == 10 && number.bytes().all(|byte| byte.is_ascii_digit());
    match (digits, number.get(..3), number.get(3..6), number.get(6..)) {
        (true, Some(first), Some(second), Some(last)) => format!("{first} {second} {last}"),
        _ => number.to_owned(),
    }
}

/// The unit as sent, with powers of ten set as people write them: `10*9/L` as `×10⁹/L`.
pub fn unit(sent: &str) -> String {
    power_of_ten(sent).unwrap_or_else(|| sent.to_owned())
}

/// Reads `10*9`, `10^9`, `10E9`, each also after an `x`, at the beginning of a unit.
fn power_of_ten(sent: &str) -> Option<String> {
    let rest = sent.trim_start_matches(['x', 'X', '×']).strip_prefix("10")?;
    let rest = rest.strip_prefix(['*', '^', 'E', 'e'])?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (exponent, tail) = rest.split_at_checked(end)?;
    if exponent.is_empty() || exponent.len() > 2 || !(tail.is_empty() || tail.starts_with('/')) {
        return None;
    }
    let raised: String = exponent.chars().filter_map(superscript).collect();
    Some(format!("×10{raised}{tail}"))
}

fn superscript(digit: char) -> Option<char> {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    RAISED.get(usize::try_from(digit.to_digit(10)?).ok()?).copied()
}

/// How soon, in words that stand without colour.
pub(crate) const fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Emergency => "Emergency: act now",
        Urgency::SameDay => "Same day",
        Urgency::Soon => "Soon: within 2 weeks",
        Urgency::Routine => "Routine",
        Urgency::Info => "For information",
    }
}

/// What a result's status adds to its value; a final result needs no word.
pub(crate) const fn result_status(status: ResultStatus) -> Option<&'static str> {
    match status {
        ResultStatus::Final => None,
        ResultStatus::Registered => Some("Not ready yet"),
        ResultStatus::Preliminary => Some("Preliminary: may change"),
        ResultStatus::Amended => Some("Amended by the laboratory"),
        ResultStatus::Corrected => Some("Corrected by the laboratory"),
        ResultStatus::Cancelled => Some("Cancelled: not measured"),
        ResultStatus::EnteredInError => Some("Withdrawn: do not use"),
        ResultStatus::Unknown => Some("Status not known"),
    }
}

pub(crate) const fn report_status(status: ReportStatus) -> &'static str {
    match status {
        ReportStatus::Final => "Final",
        ReportStatus::Registered => "Registered: no results yet",
        ReportStatus::Partial => "Partial: more results to come",
        ReportStatus::Preliminary => "Preliminary: may change",
        ReportStatus::Amended => "Amended by the laboratory",
        ReportStatus::Corrected => "Corrected by the laboratory",
        ReportStatus::Cancelled => "Cancelled by the laboratory",
        ReportStatus::EnteredInError => "Withdrawn by the laboratory",
        ReportStatus::Unknown => "Status not known",
    }
}

/// Who stands behind the document, in one line; `None` for a draft.
pub(crate) fn approval(standing: &Standing, clock: &Clock) -> Option<String> {
    let Standing::Approved { approver, registration, at } = standing else { return None };
    let registration = registration.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
    Some(format!("Approved by {approver}{registration} on {}", clock.when(at)))
}

/// The same for the foot of a page.
pub(crate) fn approval_short(standing: &Standing, clock: &Clock) -> Option<String> {
    let Standing::Approved { approver, at, .. } = standing else { return None };
    Some(format!("Approved by {approver}, {}", clock.when(at)))
}

/// `one, two and three`.
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::Clock;
    use super::age;
    use super::day;
    use super::list;
    use super::nhs_number;
    use super::unit;

    #[test]
    fn times_are_those_of_the_clinic_and_no_more_precise_than_sent() {
        let clock = Clock::new("Europe/London").unwrap();
        assert_eq!(clock.when("2026-03-05T09:30:00+00:00"), "5 March 2026, 09:30");
        assert_eq!(clock.when("2026-07-05T23:30:00Z"), "6 July 2026, 00:30", "summer time");
        assert_eq!(clock.when("2026-03-05"), "5 March 2026");
        assert_eq!(clock.when("2026-03"), "March 2026");
        assert_eq!(clock.when("2026"), "2026");
        assert_eq!(day("last week"), "last week");
        assert!(Clock::new("Europe/Atlantis").is_err());
    }

    #[test]
    fn powers_of_ten_are_raised_and_other_units_stay_as_sent() {
        for (sent, shown) in [
            ("10*9/L", "×10⁹/L"),
            ("x10^12/L", "×10¹²/L"),
            ("10E9/L", "×10⁹/L"),
            ("10*9", "×10⁹"),
            ("µmol/L", "µmol/L"),
            ("umol/L", "umol/L"),
            ("10*/L", "10*/L"),
            ("10*9L", "10*9L"),
            ("mL/min/1.73m2", "mL/min/1.73m2"),
        ] {
            assert_eq!(unit(sent), shown);
        }
    }

    #[test]
    fn an_age_counts_whole_years() {
        assert_eq!(age("1980-11-22", date(2026, 11, 21)), Some(45));
        assert_eq!(age("1980-11-22", date(2026, 11, 22)), Some(46));
        assert_eq!(age("1980", date(2026, 11, 22)), None);
        assert_eq!(age("2027-01-01", date(2026, 11, 22)), None);
    }

    #[test]
    fn numbers_and_lists_read_as_people_write_them() {
        assert_eq!(nhs_number("9434765919"), "943 476 5919");
        assert_eq!(nhs_number("unknown"), "unknown");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
