//! What can be measured, and how a result is recognised as one of it: by code first, by name only if the unit fits.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use rust_decimal::Decimal;

use crate::clinical::interpret::rules::table;
use crate::clinical::interpret::rules::table::Limits;
use crate::clinical::interpret::rules::table::Row;
use crate::clinical::model::Code;
use crate::clinical::model::System;
use crate::clinical::model::Unit;
use crate::clinical::terminology::loinc::check_digit_holds;
use crate::clinical::terminology::ucum;
use crate::clinical::terminology::unit_spelling::normalise;
use crate::diagnostic;
use crate::diagnostic::Diagnostic;

pub(super) const FILE: &str = "analytes.tsv";
const COLUMNS: &[&str] = &[
    "key",
    "name",
    "aliases",
    "loinc",
    "snomed",
    "unit",
    "unit_aliases",
    "alt_unit",
    "factor",
    "decimals",
    "plausible_low",
    "plausible_high",
    "panel",
];
const LOINC_CHECK_DIGIT: diagnostic::Code = diagnostic::Code::new("I004");
const UCUM_INVALID: diagnostic::Code = diagnostic::Code::new("I005");
const NAME_TWICE: diagnostic::Code = diagnostic::Code::new("I006");

/// One thing that can be measured.
#[derive(Debug, Clone)]
pub struct Analyte {
    pub key: String,
    /// As a clinician reads it.
    pub name: String,
    /// The UCUM unit of every threshold and range of ours.
    pub unit: String,
    /// The panel it is shown under.
    pub panel: String,
    pub(super) aliases: Vec<String>,
    pub(super) loinc: Vec<String>,
    /// Digits after the point in which laboratories report it.
    pub decimals: u32,
    /// Outside this window a wrong unit is likelier than the value.
    pub(super) plausible: Limits,
    snomed: String,
    spellings: BTreeSet<String>,
    /// Another unit, and what its numbers are multiplied by.
    other_unit: Option<(String, Decimal)>,
}

impl Analyte {
    /// Its LOINC codes, the one to write first.
    pub fn loinc(&self) -> &[String] {
        &self.loinc
    }

    /// Other names it goes by.
    pub fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn read(row: &Row<'_>, problems: &mut Vec<Diagnostic>) -> Self {
        let unit = row.required("unit", problems);
        let spelled = row.list("unit_aliases");
        let factor = row.number::<Decimal>("factor", problems);
        let other = Some(row.cell("alt_unit")).filter(|unit| !unit.is_empty());
        let loinc: Vec<String> = row.list("loinc").into_iter().map(str::to_owned).collect();
        for (column, unit) in [("unit", Some(unit)), ("alt_unit", other)] {
            if let Some(unit) = unit.filter(|unit| !ucum::is_valid(unit)) {
                let message = format!("`{unit}` is not a UCUM unit");
                problems.push(row.problem(
                    UCUM_INVALID,
                    column,
                    message,
                    "write the unit as UCUM does, such as `10*9/L`",
                ));
            }
        }
        for code in loinc.iter().filter(|code| !check_digit_holds(code)) {
            let message = format!("the check digit of LOINC `{code}` is wrong");
            problems.push(row.problem(
                LOINC_CHECK_DIGIT,
                "loinc",
                message,
                "copy the code again from the LOINC table",
            ));
        }
        Self {
            key: row.required("key", problems).to_owned(),
            name: row.required("name", problems).to_owned(),
            unit: unit.to_owned(),
            panel: row.required("panel", problems).to_owned(),
            aliases: row.list("aliases").into_iter().map(str::to_owned).collect(),
            loinc,
            decimals: row.number("decimals", problems).unwrap_or_default(),
            plausible: row.limits("plausible_low", "plausible_high", problems),
            snomed: row.cell("snomed").to_owned(),
            spellings: spelled.into_iter().chain([unit]).map(|unit| normalise(unit).into_owned()).collect(),
            other_unit: other.zip(factor).map(|(unit, factor)| (normalise(unit).into_owned(), factor)),
        }
    }

    /// What a number in `unit` is multiplied by to be in ours; `None` where the unit does not fit.
    pub(super) fn factor(&self, unit: Option<&Unit>) -> Option<Decimal> {
        let Some(unit) = unit.filter(|unit| unit.ucum.is_some() || !unit.sent.trim().is_empty()) else {
            // A ratio or score has no unit to send.
            return self.unit.starts_with('{').then_some(Decimal::ONE);
        };
        // The mapping's UCUM code decides: a laboratory may write `g/L` and mean another unit. The spelling as sent
        // stands in where there is none, or one that is UCUM and not in our list, such as `u[IU]/mL`.
        // Where the number was brought into the UCUM unit, the spelling as sent is that of another number.
        let sent = Some(unit.sent.as_str()).filter(|_| unit.factor.is_none());
        [unit.ucum.as_deref(), sent].into_iter().flatten().find_map(|spelling| {
            let plain = normalise(spelling);
            if self.spellings.contains(plain.as_ref()) {
                return Some(Decimal::ONE);
            }
            self.other_unit.as_ref().filter(|(other, _)| *other == plain.as_ref()).map(|(_, factor)| *factor)
        })
    }
}

/// All analytes, and the ways to find one.
#[derive(Debug, Default)]
pub(super) struct Analytes {
    pub(super) known: BTreeMap<String, Analyte>,
    loinc: BTreeMap<String, String>,
    snomed: BTreeMap<String, String>,
    aliases: BTreeMap<String, String>,
}

impl Analytes {
    pub(super) fn read(text: &str, problems: &mut Vec<Diagnostic>) -> Self {
        let mut all = Self::default();
        for row in table::read(FILE, text, COLUMNS, problems) {
            let analyte = Analyte::read(&row, problems);
            let Analyte { key, name, aliases, loinc, snomed, .. } = &analyte;
            let aliases =
                aliases.iter().chain([name]).map(|alias| plain_name(alias)).collect::<BTreeSet<_>>();
            let snomed = Some(snomed.clone()).filter(|code| !code.is_empty());
            let twice = [
                (FILE, all.known.contains_key(key).then(|| key.clone())),
                ("loinc", claim(&mut all.loinc, loinc.iter().cloned(), key)),
                ("snomed", claim(&mut all.snomed, snomed, key)),
                ("aliases", claim(&mut all.aliases, aliases, key)),
            ];
            for (column, taken) in twice {
                if let Some(taken) = taken {
                    let message = format!("`{taken}` already names another analyte");
                    problems.push(row.problem(NAME_TWICE, column, message, "leave it with one of the two"));
                }
            }
            all.known.insert(key.clone(), analyte);
        }
        all
    }

    /// The analyte a code names: by LOINC, by SNOMED CT, else by name where the unit fits.
    ///
    /// A result that carries a LOINC or SNOMED code we do not know is none of ours, whatever its name: `Sodium` with
    /// the code of urine sodium is not serum sodium.
    pub(super) fn find(&self, code: &Code, unit: Option<&Unit>) -> Option<&Analyte> {
        let coded = |system: &str, index: &BTreeMap<String, String>| -> Vec<Option<String>> {
            let codings =
                code.codings.iter().filter(|coding| coding.system.as_ref().is_some_and(|it| it.0 == system));
            codings.map(|coding| index.get(&coding.code).cloned()).collect()
        };
        let mut keys = coded(System::LOINC, &self.loinc);
        // A LOINC code that is known decides alone against a SNOMED code that is not: the tables of SNOMED are sparse.
        let snomed = coded(System::SNOMED, &self.snomed);
        keys.extend(
            snomed.into_iter().filter(|key| key.is_some() || code.in_system(System::LOINC).is_none()),
        );
        if keys.is_empty() {
            return self.named(code).filter(|analyte| analyte.factor(unit).is_some());
        }
        let known: BTreeSet<_> = keys.into_iter().collect();
        match known.iter().collect::<Vec<_>>().as_slice() {
            [Some(key)] => self.known.get(key),
            _ => None,
        }
    }

    /// The one analyte that the text, displays and uncoded codes name.
    fn named(&self, code: &Code) -> Option<&Analyte> {
        let of_codings =
            code.codings.iter().flat_map(|coding| [Some(coding.code.as_str()), coding.display.as_deref()]);
        let keys: BTreeSet<_> = of_codings
            .chain([code.text.as_deref()])
            .flatten()
            .filter_map(|name| self.aliases.get(&plain_name(name)))
            .collect();
        if keys.len() == 1 { keys.first().and_then(|key| self.known.get(*key)) } else { None }
    }
}

/// Notes that these names mean `key`; returns one that already meant another.
fn claim(
    index: &mut BTreeMap<String, String>,
    names: impl IntoIterator<Item = String>,
    key: &str,
) -> Option<String> {
    let mut taken = None;
    for name in names {
        let owner = index.entry(name.clone()).or_insert_with(|| key.to_owned());
        if owner != key {
            taken = Some(name);
        }
    }
    taken
}

/// A name without needless space. Case stays: `CA` and `Ca` may differ at a laboratory.
fn plain_name(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}
