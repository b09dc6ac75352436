//! A request in the engine's terms: what was measured, in our units; what was measured earlier; what was said of the specimen.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::civil::DateTime;
use rust_decimal::Decimal;

use crate::clinical::interpret::Request;
use crate::clinical::interpret::RequestResult;
use crate::clinical::interpret::rules::Knowledge;
use crate::clinical::interpret::rules::analyte::Analyte;
use crate::clinical::interpret::rules::comment;
use crate::clinical::interpret::rules::interval::Interval;
use crate::clinical::interpret::rules::interval::Relation;
use crate::clinical::interpret::rules::interval::Truth;
use crate::clinical::interpret::rules::table::Limits;
use crate::clinical::model::Number;
use crate::clinical::model::RangeFlag;
use crate::clinical::model::ReferenceRange;
use crate::clinical::model::ResultId;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::Value;

/// One result that the engine can speak of.
#[derive(Debug)]
pub(super) struct Measurement<'a> {
    pub(super) id: &'a ResultId,
    pub(super) analyte: &'a Analyte,
    /// In the analyte's unit.
    pub(super) value: Interval,
    /// As sent, with the unit as sent.
    pub(super) shown: String,
    pub(super) preliminary: bool,
    /// Preliminary, because its sender does not say how far it is.
    pub(super) status_unknown: bool,
    pub(super) flag: Option<RangeFlag>,
    /// The laboratory's range in the analyte's unit, or ours where it sent none.
    pub(super) range: Limits,
    pub(super) range_shown: String,
    pub(super) lab_flags: String,
    /// The laboratory's own flag contradicts its own range.
    pub(super) flag_differs: bool,
}

/// A result that nothing may be said of, and why.
#[derive(Debug)]
pub(super) struct Unread<'a> {
    pub(super) id: &'a ResultId,
    pub(super) analyte: Option<&'a str>,
    pub(super) reason: &'static str,
}

/// An earlier value of the same laboratory.
#[derive(Debug)]
pub(super) struct Past<'a> {
    pub(super) days_before: u32,
    pub(super) value: Interval,
    pub(super) shown: &'a str,
}

/// The request, read once.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) knowledge: &'a Knowledge,
    pub(super) request: &'a Request<'a>,
    /// Ordered by analyte, then by where they stood.
    pub(super) measurements: Vec<Measurement<'a>>,
    pub(super) unread: Vec<Unread<'a>>,
    pub(super) earlier: Option<BTreeMap<&'a str, Vec<Past<'a>>>>,
    /// All that the laboratory said in words, in lower case.
    pub(super) comments: Vec<String>,
    pub(super) collected_hour: Option<Decimal>,
    pub(super) delay_hours: Option<Decimal>,
}

impl<'a> Scene<'a> {
    pub(super) fn of(knowledge: &'a Knowledge, request: &'a Request<'a>) -> Self {
        let mut measurements = Vec::new();
        let mut unread = Vec::new();
        for result in request.results.iter().filter(|result| is_alive(result.status)) {
            match measure(knowledge, request, result) {
                Ok(measurement) => measurements.push(measurement),
                Err(reason) => {
                    let analyte = knowledge.analytes.find(result.code, result.unit).map(|it| it.key.as_str());
                    unread.push(Unread { id: result.id, analyte, reason });
                }
            }
        }
        measurements.sort_by(|a, b| (&a.analyte.key, place(a.id)).cmp(&(&b.analyte.key, place(b.id))));
        unread.sort_by(|a, b| place(a.id).cmp(&place(b.id)));
        Self {
            knowledge,
            request,
            measurements,
            unread,
            earlier: request.earlier.as_ref().map(|_| earlier(knowledge, request)),
            comments: comment::all(request),
            collected_hour: collected_hour(request),
            delay_hours: delay_hours(request),
        }
    }

    /// Final results of this analyte.
    pub(super) fn of_key(&self, key: &str) -> impl Iterator<Item = &Measurement<'a>> {
        self.measurements.iter().filter(move |it| it.analyte.key == key && !it.preliminary)
    }

    /// Whether the laboratory reported this in a form that nothing may be computed in place of.
    pub(super) fn is_unread(&self, key: &str) -> bool {
        self.unread.iter().any(|it| it.analyte == Some(key))
            || self.measurements.iter().any(|it| it.analyte.key == key && it.preliminary)
    }
}

/// Orders `OBX[2]` before `OBX[10]`.
pub(super) fn place(id: &ResultId) -> (usize, &str) {
    (id.0.len(), &id.0)
}

/// A withdrawn result says nothing.
fn is_alive(status: ResultStatus) -> bool {
    !matches!(status, ResultStatus::Cancelled | ResultStatus::EnteredInError)
}

fn is_preliminary(status: ResultStatus) -> bool {
    !matches!(status, ResultStatus::Final | ResultStatus::Amended | ResultStatus::Corrected)
}

fn measure<'a>(
    knowledge: &'a Knowledge,
    request: &Request<'_>,
    result: &'a RequestResult<'a>,
) -> Result<Measurement<'a>, &'static str> {
    if result.not_interpreted {
        return Err("its code or unit was kept as the text that was sent");
    }
    let sent = match result.value {
        Value::Attachment { .. } => return Err("it is a document"),
        Value::Absent { .. } => return Err("no value was sent"),
        value => Interval::of(value).ok_or("its value is not a number")?,
    };
    let analyte =
        knowledge.analytes.find(result.code, result.unit).ok_or("its code is unknown to the rules")?;
    let factor = analyte.factor(result.unit).ok_or("its unit does not fit the analyte")?;
    let value = sent.scaled(factor).ok_or("its value is too large to compare")?;
    let table = knowledge.ranges.range(&analyte.key, request.sex, request.age_years);
    let (range, flag, range_shown) = match result.range.filter(|range| !range.sent.trim().is_empty()) {
        Some(lab) => (lab_limits(lab, factor), Some(lab_flag(sent, lab)), lab.sent.clone()),
        None => (table, table_flag(value, table), show_limits(table)),
    };
    let unit = result.unit.map(|unit| unit.sent.as_str()).filter(|unit| !unit.is_empty());
    let lab_flags: Vec<&str> = result.flags.iter().map(|flag| flag.sent.as_str()).collect();
    Ok(Measurement {
        id: result.id,
        analyte,
        value,
        shown: unit.map_or_else(
            || result.value.as_sent().to_owned(),
            |unit| format!("{} {unit}", result.value.as_sent()),
        ),
        preliminary: is_preliminary(result.status),
        status_unknown: result.status == ResultStatus::Unknown,
        flag,
        range,
        range_shown,
        flag_differs: flag.is_some_and(|flag| lab_flags.iter().any(|sent| contradicts(sent, flag))),
        lab_flags: lab_flags.join(" "),
    })
}

fn lab_limits(range: &ReferenceRange, factor: Decimal) -> Limits {
    let bound = |number: &Option<Number>| number.as_ref()?.decimal()?.checked_mul(factor);
    Limits { low: bound(&range.low), high: bound(&range.high) }
}

/// Where a value lies by the range sent with it. Both are in the unit sent, so no conversion can blur it.
fn lab_flag(value: Interval, range: &ReferenceRange) -> RangeFlag {
    let low = range.low.as_ref().and_then(Number::decimal);
    let high = range.high.as_ref().and_then(Number::decimal);
    if (low.is_none() && high.is_none())
        || (range.low.is_some() && low.is_none())
        || (range.high.is_some() && high.is_none())
    {
        return RangeFlag::NotInterpreted;
    }
    let under = if range.low_exclusive { Relation::LessOrEqual } else { Relation::Less };
    let over = if range.high_exclusive { Relation::GreaterOrEqual } else { Relation::Greater };
    flag(value, Limits { low, high }, under, over, [RangeFlag::Below, RangeFlag::InRange, RangeFlag::Above])
}

fn table_flag(value: Interval, limits: Limits) -> Option<RangeFlag> {
    if limits == Limits::default() {
        return None;
    }
    let words = [RangeFlag::BelowTable, RangeFlag::InRangeTable, RangeFlag::AboveTable];
    Some(flag(value, limits, Relation::Less, Relation::Greater, words))
}

fn flag(
    value: Interval,
    limits: Limits,
    under: Relation,
    over: Relation,
    words: [RangeFlag; 3],
) -> RangeFlag {
    let outside = |bound: Option<Decimal>, relation| {
        bound.map_or(Truth::False, |bound| value.compare(relation, Interval::exactly(bound)))
    };
    let [below, inside, above] = words;
    match (outside(limits.low, under), outside(limits.high, over)) {
        (Truth::True, _) => below,
        (_, Truth::True) => above,
        (Truth::False, Truth::False) => inside,
        _ => RangeFlag::NotInterpreted,
    }
}

fn show_limits(limits: Limits) -> String {
    match (limits.low, limits.high) {
        (Some(low), Some(high)) => format!("{low}-{high} (our table)"),
        (Some(low), None) => format!("{low} or more (our table)"),
        (None, Some(high)) => format!("up to {high} (our table)"),
        (None, None) => "no range".to_owned(),
    }
}

/// Whether an abnormal flag (table 0078) says otherwise. A flag outside that table says nothing we can read.
fn contradicts(sent: &str, flag: RangeFlag) -> bool {
    match flag {
        RangeFlag::Above => matches!(sent, "L" | "LL" | "LU" | "<" | "N"),
        RangeFlag::Below => matches!(sent, "H" | "HH" | "HU" | ">" | "N"),
        RangeFlag::InRange => matches!(sent, "H" | "HH" | "HU" | ">" | "L" | "LL" | "LU" | "<" | "A" | "AA"),
        // A flag that rests on a range we do not have cannot be held against ours.
        RangeFlag::AboveTable
        | RangeFlag::BelowTable
        | RangeFlag::InRangeTable
        | RangeFlag::NotInterpreted => false,
    }
}

/// Earlier values by analyte, latest first. Another laboratory's are left out: its method is another.
fn earlier<'a>(knowledge: &'a Knowledge, request: &'a Request<'a>) -> BTreeMap<&'a str, Vec<Past<'a>>> {
    let mut all: BTreeMap<&str, Vec<Past<'_>>> = BTreeMap::new();
    let same_lab = request.earlier.iter().flatten().filter(|earlier| earlier.lab == request.lab);
    for earlier in same_lab.filter(|earlier| !is_preliminary(earlier.result.status)) {
        if let Ok(measurement) = measure(knowledge, request, &earlier.result) {
            let past = Past {
                days_before: earlier.days_before,
                value: measurement.value,
                shown: earlier.result.value.as_sent(),
            };
            all.entry(measurement.analyte.key.as_str()).or_default().push(past);
        }
    }
    for values in all.values_mut() {
        values.sort_by_key(|past| (past.days_before, past.shown));
    }
    all
}

/// The hour of day at which all of it was taken; several hours are none.
fn collected_hour(request: &Request<'_>) -> Option<Decimal> {
    let of_results = request.results.iter().filter_map(|result| result.collected_at);
    let of_specimens = request.specimens.iter().filter_map(|specimen| specimen.collected_at);
    let hours: BTreeSet<Decimal> = of_results
        .chain(of_specimens)
        .filter(|moment| moment.iso.contains('T'))
        .filter_map(|moment| moment.iso.get(..16)?.parse::<DateTime>().ok())
        .map(|at| Decimal::from(at.hour()) + Decimal::from(at.minute()) / Decimal::from(60))
        .collect();
    if hours.len() == 1 { hours.first().copied() } else { None }
}

/// The longest wait between collection and receipt that is known.
fn delay_hours(request: &Request<'_>) -> Option<Decimal> {
    let delays = request.specimens.iter().filter_map(|specimen| {
        let seconds =
            specimen.received_at?.instant()?.as_second() - specimen.collected_at?.instant()?.as_second();
        Some(Decimal::from(seconds) / Decimal::from(3600))
    });
    delays.max()
}
