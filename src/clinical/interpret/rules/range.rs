//! Our own ranges and critical limits, by sex and age. A range of ours is asked only where the laboratory sent none.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::clinical::interpret::rules::analyte::Analytes;
use crate::clinical::interpret::rules::table;
use crate::clinical::interpret::rules::table::Limits;
use crate::clinical::interpret::rules::table::Row;
use crate::clinical::model::Sex;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;

pub(super) const FILE: &str = "ranges.tsv";
const COLUMNS: &[&str] = &[
    "key",
    "sex",
    "age_min",
    "age_max",
    "low",
    "high",
    "critical_low",
    "critical_high",
    "source",
    "certainty",
];
const OVERLAP: Code = Code::new("I003");
const CRITICAL_INSIDE: Code = Code::new("I007");
pub(super) const UNKNOWN_NAME: Code = Code::new("I008");

/// The age from which the rules speak of a person at all; younger patients have critical limits only.
pub(super) const ADULT_YEARS: u32 = 18;

/// One row: to whom it applies and what it says.
#[derive(Debug, Clone)]
struct Band {
    /// `None` is either sex.
    sex: Option<Sex>,
    age_min: u32,
    /// Inclusive; `None` is without end.
    age_max: Option<u32>,
    range: Limits,
    critical: Limits,
}

impl Band {
    fn read(row: &Row<'_>, problems: &mut Vec<Diagnostic>) -> Self {
        let sex = Sex::from_word(row.cell("sex"));
        let band = Self {
            sex,
            age_min: row.number("age_min", problems).unwrap_or_default(),
            age_max: row.number("age_max", problems),
            range: row.limits("low", "high", problems),
            critical: row.limits("critical_low", "critical_high", problems),
        };
        if sex.is_none() && row.cell("sex") != "any" {
            let message = "the sex is none of `any`, `female`, `male`";
            problems.push(row.problem(table::ROW_MALFORMED, "sex", message, "write one of the three"));
        }
        if !matches!(row.required("certainty", problems), "high" | "medium" | "low" | "") {
            let message = "the certainty is none of `high`, `medium`, `low`";
            problems.push(row.problem(table::ROW_MALFORMED, "certainty", message, "write one of the three"));
        }
        row.required("source", problems);
        band
    }

    fn overlaps(&self, other: &Self) -> bool {
        let same_sex = self.sex.is_none() || other.sex.is_none() || self.sex == other.sex;
        let starts_before = |a: &Self, b: &Self| b.age_max.is_none_or(|end| a.age_min <= end);
        same_sex && starts_before(self, other) && starts_before(other, self)
    }

    /// A critical limit must lie outside the range, and the two critical limits apart.
    fn is_ordered(&self) -> bool {
        let ascending = [self.critical.low, self.range.low, self.range.high, self.critical.high];
        ascending.iter().flatten().collect::<Vec<_>>().is_sorted_by(|a, b| a < b)
    }

    fn covers_age(&self, age: u32) -> bool {
        self.age_min <= age && self.age_max.is_none_or(|end| age <= end)
    }
}

/// All rows, by analyte.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<String, Vec<Band>>);

impl Ranges {
    pub(super) fn read(text: &str, analytes: &Analytes, problems: &mut Vec<Diagnostic>) -> Self {
        let mut all: BTreeMap<String, Vec<Band>> = BTreeMap::new();
        for row in table::read(FILE, text, COLUMNS, problems) {
            let band = Band::read(&row, problems);
            let key = row.cell("key");
            if !analytes.known.contains_key(key) {
                let message = format!("`{key}` is no analyte");
                problems.push(row.problem(
                    UNKNOWN_NAME,
                    "key",
                    message,
                    "add it to analytes.tsv, or correct the key",
                ));
            }
            if !band.is_ordered() {
                let message = "the limits are not in order: critical low, low, high, critical high";
                problems.push(row.problem(
                    CRITICAL_INSIDE,
                    "key",
                    message,
                    "move the critical limit outside the range",
                ));
            }
            let bands = all.entry(key.to_owned()).or_default();
            if bands.iter().any(|other| other.overlaps(&band)) {
                let message = "this row and an earlier one hold for the same person";
                problems.push(row.problem(OVERLAP, "key", message, "part them by sex or by age"));
            }
            bands.push(band);
        }
        Self(all)
    }

    /// Our range for this person: of the one row that is known to hold for them.
    pub(super) fn range(&self, key: &str, sex: Option<Sex>, age: Option<u32>) -> Limits {
        let Some(age) = age else { return Limits::default() };
        let bands = self.0.get(key).map(Vec::as_slice).unwrap_or_default();
        let holds = |band: &&Band| band.covers_age(age) && (band.sex.is_none() || band.sex == sex);
        bands.iter().find(holds).map(|band| band.range).unwrap_or_default()
    }

    /// The critical limits for this person. Where sex or age leave several rows, the most sensitive limit of them.
    pub(super) fn critical(&self, key: &str, sex: Option<Sex>, age: Option<u32>) -> Limits {
        let bands = self.0.get(key).map(Vec::as_slice).unwrap_or_default();
        let sex = sex.filter(|sex| matches!(sex, Sex::Female | Sex::Male));
        let of_sex = |band: &&Band| band.sex.is_none() || sex.is_none() || band.sex == sex;
        let of_age: Vec<&Band> =
            bands.iter().filter(of_sex).filter(|band| age.is_some_and(|age| band.covers_age(age))).collect();
        let of_adults = || bands.iter().filter(of_sex).filter(|band| band.age_min >= ADULT_YEARS).collect();
        let holding = if of_age.is_empty() { of_adults() } else { of_age };
        Limits {
            low: holding.iter().filter_map(|band| band.critical.low).max(),
            high: holding.iter().filter_map(|band| band.critical.high).min(),
        }
    }

    /// Every number of every row, which a text may quote.
    pub(super) fn numbers(&self) -> impl Iterator<Item = Decimal> {
        let limits = self.0.values().flatten().flat_map(|band| [band.range, band.critical]);
        limits.flat_map(|limits| [limits.low, limits.high]).flatten()
    }
}
