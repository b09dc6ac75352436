//! A point in time as the laboratory gave it, no more precise than it was.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde::Serialize;

/// A date or time: the text as sent, and its ISO 8601 form as FHIR's `dateTime` allows.
///
/// `iso` is `2026`, `2026-11`, `2026-11-22`, or a full time *with* offset. A time sent without an offset, under a
/// mapping without a zone, has the date alone in `iso`; the rest stays in `sent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub sent: String,
    pub iso: String,
}

impl Moment {
    /// The calendar date at the place it was written, if it is known to the day.
    pub fn date(&self) -> Option<Date> {
        self.iso.get(..10)?.parse().ok()
    }

    /// The instant, if a time and an offset are known.
    pub fn instant(&self) -> Option<Timestamp> {
        self.iso.contains('T').then(|| self.iso.parse().ok()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn a_partial_date_is_neither_a_day_nor_an_instant() {
        let month = Moment { sent: "202611".into(), iso: "2026-11".into() };
        assert_eq!((month.date(), month.instant()), (None, None));
    }

    #[test]
    fn a_full_time_is_both() {
        let moment = Moment { sent: "202611220930+0100".into(), iso: "2026-11-22T09:30:00+01:00".into() };
        assert_eq!(moment.date().unwrap().to_string(), "2026-11-22");
        assert_eq!(moment.instant().unwrap().to_string(), "2026-11-22T08:30:00Z");
    }
}
