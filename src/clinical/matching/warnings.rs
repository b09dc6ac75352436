//! What always asks for a person, however well the identifiers agree (matching reference, "Always review").

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::clinical::matching::Agreement;
use crate::clinical::matching::Candidates;
use crate::clinical::matching::Seen;
use crate::clinical::matching::Settings;
use crate::clinical::matching::compare::normalise;
use crate::clinical::model::Code as Concept;
use crate::clinical::model::Moment;
use crate::clinical::model::Report;
use crate::clinical::order::Order;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

/// Every reason for a person to look, in the order of the reference.
pub(super) fn of(
    report: &Report,
    candidates: &Candidates,
    settings: &Settings,
    chosen: &Seen<'_>,
    plausible: &[&Seen<'_>],
) -> Vec<Diagnostic> {
    let it = &chosen.compared;
    let person = chosen.candidate;
    let birth_date = report.patient.birth_date.as_ref().and_then(|it| it.expose().date());
    let mut reasons = vec![
        (plausible.len() > 1, "another patient has the same surname and birth date"),
        (birth_date.is_some_and(|on| on.month() == 1 && on.day() == 1), "the birth date is 1 January"),
        (it.birth_date == Agreement::Transposed, "day and month of the birth date are exchanged"),
        (it.family == Agreement::Transposed, "surname and given name are exchanged"),
        (it.given == Agreement::Differs, "the given name differs from the patient's record"),
        (it.family == Agreement::Differs, "the surname differs from the patient's record"),
        (it.nhs_number == Agreement::Related, "the NHS number differs from one that nobody verified"),
        (person.deceased || report.patient.deceased == Some(true), "the patient is recorded as deceased"),
        (person.merged, "the patient's record was merged into another"),
        (person.archived, "the patient's record is archived"),
        (it.sex == Agreement::Related, "the sex is recorded differently from the one used for ranges"),
        (collected_after_receipt(report), "a specimen was collected after the laboratory received it"),
        (outside_licence(report, settings, birth_date), "the age is outside what the account may test"),
    ];
    if let Some(order) = &candidates.order {
        let second = !order.reports.is_empty() && !order.answered_by(&report.lab, &report.filler_number);
        reasons.push((!all_ordered(report, order), "it holds a test that is not on the order"));
        reasons.push((collected_before(report, order), "a specimen was collected before the order was made"));
        reasons.push((second, "the order already has another report"));
    }
    reasons
        .into_iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, reason)| {
            Diagnostic::error(Code::new("P005"), reason)
                .help("confirm the patient under Unmatched after looking at the request and the record")
        })
        .collect()
}

/// Whether each panel, or else each of its results, was asked for.
pub(super) fn all_ordered(report: &Report, order: &Order) -> bool {
    let asked = |concept: &Concept| {
        order.tests.iter().any(|test| {
            let by_code = |code: &str| concept.codings.iter().any(|it| it.code.eq_ignore_ascii_case(code));
            test.code.as_deref().is_some_and(by_code) || normalise(concept.label()) == normalise(&test.name)
        })
    };
    report.panels.iter().all(|panel| {
        asked(&panel.code)
            || !panel.results.is_empty() && panel.results.iter().all(|result| asked(&result.code))
    })
}

/// Whether the specimen was collected between the order and the end of its window; unknown is outside.
pub(super) fn within_window(report: &Report, order: &Order, settings: &Settings) -> bool {
    let Some(collected_on) = report.collected_at().and_then(Moment::date) else { return false };
    let days = ordered_on(order).until(collected_on).map_or(-1, |span| span.get_days());
    (0..=i32::from(settings.order_window_days)).contains(&days)
}

/// UTC's date is never later than the United Kingdom's, so comparing with it cannot invent a warning.
fn ordered_on(order: &Order) -> Date {
    order.ordered_at.to_zoned(TimeZone::UTC).date()
}

fn collected_before(report: &Report, order: &Order) -> bool {
    moments_collected(report).any(|collected| match (collected.instant(), collected.date()) {
        (Some(at), _) => at < order.ordered_at,
        (None, Some(on)) => on < ordered_on(order),
        (None, None) => false,
    })
}

fn moments_collected(report: &Report) -> impl Iterator<Item = &Moment> {
    let panels = report.panels.iter().filter_map(|panel| panel.collected_at.as_ref());
    panels.chain(report.specimens.iter().filter_map(|specimen| specimen.collected_at.as_ref()))
}

fn collected_after_receipt(report: &Report) -> bool {
    let panels = report.panels.iter().map(|it| (it.collected_at.as_ref(), it.received_at.as_ref()));
    let specimens = report.specimens.iter().map(|it| (it.collected_at.as_ref(), it.received_at.as_ref()));
    panels.chain(specimens).any(|pair| match pair {
        (Some(collected), Some(received)) => match (collected.instant(), received.instant()) {
            (Some(collected), Some(received)) => collected > received,
            _ => collected
                .date()
                .zip(received.date())
                .is_some_and(|(collected, received)| collected > received),
        },
        _ => false,
    })
}

/// An age that cannot be known is not inside.
fn outside_licence(report: &Report, settings: &Settings, birth_date: Option<Date>) -> bool {
    let Some((youngest, oldest)) = settings.age_years else { return false };
    let collected_on = report.collected_at().and_then(Moment::date);
    let age = birth_date
        .zip(collected_on)
        .and_then(|(born, collected)| born.until((jiff::Unit::Year, collected)).ok())
        .map(|span| span.get_years());
    !age.is_some_and(|years| (i16::from(youngest)..=i16::from(oldest)).contains(&years))
}
