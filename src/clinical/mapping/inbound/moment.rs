//! Dates and times: as precise as sent, and in no zone but the one that was sent or configured.

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::reader::Reader;
use crate::clinical::mapping::inbound::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::model::Moment;
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
                Fhir::NeedsOffset { local, date } => self.gaps.in_zone(element.location(), &local, date),
            }
        };
        Some(Moment { sent: sent.to_owned(), iso })
    }
}
