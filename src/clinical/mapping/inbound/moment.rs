//! Dates and times: as precise as sent, and in no zone but the one that was sent or configured.

use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::reader::Reader;
use crate::clinical::mapping::inbound::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::model::Moment;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2::Element;
use crate::formats::hl7v2::timestamp::Fhir;
use crate::formats::hl7v2::timestamp::Timestamp;

impl<'m> Reader<'_, 'm> {
    pub(super) fn moment(&mut self, field: Field, scope: Scope<'_>) -> Option<Moment> {
        let rule = self.rule(field)?;
        let element = self.first(rule, scope)?;
        let decision = rule.1.unmapped.unwrap_or(Decision::Keep);
        self.moment_of(element, rule.1.as_date, decision)
    }

    /// Reads one DT, TS or DTM. `None` where it is no time; that has been told.
    pub(super) fn moment_of(
        &mut self,
        element: Element<'m>,
        as_date: bool,
        decision: Decision,
    ) -> Option<Moment> {
        let text = element.component(1).text();
        let sent = text.trim();
        if sent.is_empty() {
            return None;
        }
        let stamp: Timestamp = match sent.parse() {
            Ok(stamp) => stamp,
            Err(error) => {
                let help = "ask the sender to write dates as `YYYYMMDD` and times as `YYYYMMDDHHMMSS+ZZZZ`";
                let diagnostic = Diagnostic::error(code::NOT_A_TIME, format!("not a date or time: {error}"));
                self.decide(decision, diagnostic.at(element.location().to_string()).help(help));
                return None;
            }
        };
        let iso = if as_date {
            stamp.date()
        } else {
            match stamp.fhir() {
                Fhir::Date(iso) | Fhir::DateTime(iso) => iso,
                Fhir::NeedsOffset { local, date } => self.in_zone(element, &local, date),
            }
        };
        Some(Moment { sent: sent.to_owned(), iso })
    }

    /// A local time in the mapping's zone, or its date where there is none or the hour is not one hour.
    fn in_zone(&mut self, element: Element<'m>, local: &str, date: String) -> String {
        let at = element.location();
        let Some(zone) = &self.mapping.time_zone else {
            let first = self.without_offset.map_or(at, |(first, _)| first);
            self.without_offset = Some((first, self.without_offset.map_or(1, |(_, count)| count + 1)));
            return date;
        };
        let Ok(civil) = local.parse::<DateTime>() else { return date };
        let help = "ask the sender to add the offset (`+0100` or `+0000`) to the time";
        let offset = match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { .. } => {
                self.hour(
                    code::TIME_TWICE,
                    at,
                    "the clocks went back in this hour, so it happened twice",
                    help,
                );
                return date;
            }
            AmbiguousOffset::Gap { .. } => {
                self.hour(
                    code::TIME_NEVER,
                    at,
                    "the clocks went forward over this hour, so it never was",
                    help,
                );
                return date;
            }
        };
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{local}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }

    fn hour(&mut self, code: Code, at: crate::formats::hl7v2::Location, message: &str, help: &str) {
        self.decide(Decision::Hold, Diagnostic::error(code, message).at(at.to_string()).help(help));
    }
}
