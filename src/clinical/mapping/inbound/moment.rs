//! Dates and times: as precise as sent, and in no zone but the one that was sent or configured.

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::composite::words;
use crate::clinical::mapping::inbound::date_format;
use crate::clinical::mapping::inbound::reader::Reader;
use crate::clinical::mapping::inbound::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::model::Moment;
use crate::diagnostic::Diagnostic;
use crate::formats::hl7v2::Element;
use crate::formats::hl7v2::timestamp::Fhir;
use crate::formats::hl7v2::timestamp::Timestamp;

impl<'m> Reader<'_, 'm> {
    pub(super) fn moment(&mut self, field: Field, scope: Scope<'_>) -> Option<Moment> {
        let rule = self.rule(field, scope)?;
        let element = self.first(rule, scope)?;
        let decision = rule.1.unmapped.unwrap_or(Decision::Keep);
        if rule.1.date_format.is_some() || rule.1.more.is_some() {
            return self.moment_as(rule.1, element, decision);
        }
        self.moment_of(element, rule.1.as_date, decision)
    }

    /// A time that is not written as HL7 has it, or whose text the mapping changes first.
    fn moment_as(&mut self, rule: &Rule, element: Element<'m>, decision: Decision) -> Option<Moment> {
        let text = element.component(1).text();
        let sent = text.trim();
        let changed = rule.changed(sent);
        let digits = match &rule.date_format {
            Some(format) => date_format::digits(changed.trim(), format),
            None => Some(changed.trim().to_owned()),
        };
        if sent.is_empty() || changed.trim().is_empty() {
            return None;
        }
        let stamp = digits.and_then(|digits| digits.parse::<Timestamp>().ok());
        if stamp.is_none() {
            let wanted = rule.date_format.as_deref().unwrap_or("YYYYMMDDHHMMSS");
            self.gaps.not_a_time(decision, wanted, element.location());
        }
        let iso = self.iso(&stamp?, element, rule.as_date);
        Some(Moment { sent: sent.to_owned(), iso })
    }

    /// Reads one DT, TS or DTM. `None` where it is no time; that has been told.
    pub(super) fn moment_of(
        &mut self,
        element: Element<'m>,
        as_date: bool,
        decision: Decision,
    ) -> Option<Moment> {
        let sent = words(element.component(1))?;
        let stamp: Timestamp = match sent.parse() {
            Ok(stamp) => stamp,
            Err(error) => {
                let help = "ask the sender to write dates as `YYYYMMDD` and times as `YYYYMMDDHHMMSS+ZZZZ`";
                let diagnostic = Diagnostic::error(code::NOT_A_TIME, format!("not a date or time: {error}"));
                self.decide(decision, diagnostic.at(element.location().to_string()).help(help));
                return None;
            }
        };
        let iso = self.iso(&stamp, element, as_date);
        Some(Moment { sent: sent.into_owned(), iso })
    }

    fn iso(&mut self, stamp: &Timestamp, element: Element<'m>, as_date: bool) -> String {
        if as_date {
            return stamp.date();
        }
        match stamp.fhir() {
            Fhir::Date(iso) | Fhir::DateTime(iso) => iso,
            Fhir::NeedsOffset { local, date } => self.gaps.in_zone(element.location(), &local, date),
        }
    }
}
