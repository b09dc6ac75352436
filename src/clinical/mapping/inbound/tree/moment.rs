//! Dates and times in ISO 8601 as FHIR has them, or as the mapping declares.

use crate::clinical::mapping::inbound::date_format;
use crate::clinical::mapping::inbound::tree::reader::Reader;
use crate::clinical::mapping::inbound::tree::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::model::Moment;
use crate::formats::hl7v2::timestamp::Fhir;
use crate::formats::hl7v2::timestamp::Timestamp;

impl Reader<'_, '_> {
    pub(super) fn moment(&mut self, field: Field, scope: Scope) -> Option<Moment> {
        let rule = self.rule(field, scope)?;
        let at = self.first(rule, scope)?;
        // A spreadsheet's dates are a guess waiting to be made; FHIR's are either right or none.
        let unsaid = if self.mapping.format == Format::Fhir { Decision::Keep } else { Decision::Hold };
        let decision = rule.1.unmapped.unwrap_or(unsaid);
        if let Some(sent) = self.text_at(at).filter(|_| rule.1.more.is_some()) {
            let changed = rule.1.changed(sent);
            let iso =
                self.iso(changed.trim(), at, rule.1.as_date, rule.1.date_format.as_deref(), decision)?;
            return Some(Moment { sent: sent.to_owned(), iso });
        }
        self.moment_at(at, rule.1.as_date, rule.1.date_format.as_deref(), decision)
    }

    /// Reads a date, a time or a period's begin. `None` where it is none; that has been told.
    pub(super) fn moment_at(
        &mut self,
        at: usize,
        as_date: bool,
        format: Option<&str>,
        decision: Decision,
    ) -> Option<Moment> {
        if self.text_at(at).is_none() {
            let [start, end] = ["start", "end"].map(|name| self.part(at, name));
            let sent = [start, end].into_iter().flatten().collect::<Vec<_>>().join(" to ");
            let iso = self.iso(start.or(end)?, at, as_date, None, decision)?;
            return Some(Moment { sent, iso });
        }
        let sent = self.text_at(at)?;
        Some(Moment { sent: sent.to_owned(), iso: self.iso(sent, at, as_date, format, decision)? })
    }

    fn iso(
        &mut self,
        sent: &str,
        at: usize,
        as_date: bool,
        format: Option<&str>,
        decision: Decision,
    ) -> Option<String> {
        let read = match format {
            Some(format) => {
                date_format::digits(sent, format).and_then(|digits| digits.parse().ok()).map(|it| (it, ""))
            }
            None => of_iso(sent),
        };
        let Some((stamp, fraction)): Option<(Timestamp, &str)> = read else {
            let wanted = format.unwrap_or("YYYY-MM-DD, or a time as YYYY-MM-DDTHH:mm:ss+00:00");
            let position = self.position(at);
            self.gaps.not_a_time(decision, wanted, position);
            return None;
        };
        if as_date {
            return Some(stamp.date());
        }
        Some(match stamp.fhir() {
            Fhir::Date(iso) => iso,
            Fhir::DateTime(iso) => with_fraction(iso, fraction),
            Fhir::NeedsOffset { local, date } => {
                let position = self.position(at);
                let iso = self.gaps.in_zone(position, &local, date);
                if iso.contains('T') { with_fraction(iso, fraction) } else { iso }
            }
        })
    }
}

const SECONDS_END: usize = "2026-11-22T09:30:00".len();

fn with_fraction(mut iso: String, fraction: &str) -> String {
    if !fraction.is_empty() && iso.is_char_boundary(SECONDS_END) {
        iso.insert_str(SECONDS_END, fraction);
    }
    iso
}

/// ISO 8601 in the extended form, without its fraction of a second, which is given beside it.
fn of_iso(sent: &str) -> Option<(Timestamp, &str)> {
    let (date, time) = match sent.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (sent, None),
    };
    let lengths: Vec<usize> = date.split('-').map(str::len).collect();
    if !matches!(lengths.as_slice(), [4] | [4, 2] | [4, 2, 2]) {
        return None;
    }
    let mut digits = date.replace('-', "");
    let Some(time) = time else { return Some((digits.parse().ok()?, "")) };
    let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(place) => time.split_at_checked(place)?,
        None => (time, ""),
    };
    let (clock, fraction) = clock.split_at_checked(clock.find('.').unwrap_or(clock.len()))?;
    let lengths: Vec<usize> = clock.split(':').map(str::len).collect();
    let is_fraction =
        fraction.strip_prefix('.').is_none_or(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()));
    if date.len() != 10 || !matches!(lengths.as_slice(), [2, 2] | [2, 2, 2]) || !is_fraction {
        return None;
    }
    digits.push_str(&clock.replace(':', ""));
    match offset {
        "Z" | "z" => digits.push_str("+0000"),
        offset => digits.push_str(&offset.replace(':', "")),
    }
    Some((digits.parse().ok()?, fraction))
}

#[cfg(test)]
mod tests {
    use super::of_iso;

    #[test]
    fn iso_is_read_with_the_precision_it_has() {
        for (sent, digits, fraction) in [
            ("2026", "2026", ""),
            ("2026-11", "202611", ""),
            ("2026-11-22", "20261122", ""),
            ("2026-11-22T09:30:00Z", "20261122093000+0000", ""),
            ("2026-11-22T09:30:00.123456+01:00", "20261122093000+0100", ".123456"),
            ("2026-11-22 09:30", "202611220930", ""),
        ] {
            let (stamp, found) = of_iso(sent).unwrap_or_else(|| panic!("{sent}"));
            assert_eq!((stamp, found), (digits.parse().unwrap(), fraction), "{sent}");
        }
        for sent in ["22/11/2026", "44887", "2026-1-2", "2026-11-22T9:30", "2026-11-22T", "2026-13-01", ""] {
            assert!(of_iso(sent).is_none(), "{sent}");
        }
    }
}
