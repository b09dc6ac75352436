//! Codes and units that were seen, and what the knowledge files say each may be.
//!
//! A LOINC code is suggested where a name, or the code itself, is one that is known and the unit is one of that test's,
//! or where the laboratory sent the LOINC code. Everything else stands in the table as a comment: it holds.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::clinical::mapping::Reading;
use crate::clinical::mapping::draft::Known;
use crate::clinical::mapping::draft::evidence::Tally;
use crate::clinical::model::Code;
use crate::clinical::model::LabResult;
use crate::clinical::model::Report;
use crate::clinical::model::System;
use crate::clinical::terminology::Table;
use crate::clinical::terminology::TableKind;
use crate::clinical::terminology::loinc;
use crate::clinical::terminology::ucum;
use crate::clinical::terminology::unit_spelling::normalise;

const ANALYTES: &str = "knowledge/analytes.tsv";
const UNIT_SPELLINGS: &str = "labs/standard/units.csv";

/// One code as the laboratory sends it.
#[derive(Debug, Default)]
struct Test {
    names: Tally,
    units: Tally,
    count: usize,
    /// It came as a LOINC code.
    is_loinc: bool,
}

/// One row of the analytes.
struct Analyte<'k> {
    name: &'k str,
    aliases: BTreeSet<String>,
    loinc: &'k str,
    unit: &'k str,
    spellings: BTreeSet<String>,
    other_unit: &'k str,
    /// The other unit differs by a power of ten, so the LOINC code's property is the same: `g/dL` of `g/L`, and not `mg/dL`
    /// of `mmol/L`.
    is_same_property: bool,
}

/// What is suggested for a code or unit, and why; or why nothing is.
enum Suggestion {
    Row { target: String, display: String, why: String },
    None { why: String },
}

pub(super) struct Tables {
    codes: Vec<(String, Suggestion)>,
    units: Vec<(String, Suggestion)>,
}

impl Tables {
    pub(super) fn of(readings: &[Reading], known: Known<'_>) -> Self {
        let mut tests: BTreeMap<String, Test> = BTreeMap::new();
        let mut units = Tally::default();
        for result in readings.iter().flat_map(|it| &it.reports).flat_map(Report::results) {
            if let Some(unit) = result.unit.as_ref().filter(|it| !it.sent.trim().is_empty()) {
                units.add(unit.sent.trim(), 1);
            }
            if let Some(code) = sent_code(result) {
                tests.entry(code).or_default().add(result);
            }
        }
        let spellings = known.files.get(UNIT_SPELLINGS).map_or("", String::as_str);
        let spellings = Table::parse(spellings, TableKind::Units).ok();
        let analytes: Vec<Analyte<'_>> = known
            .files
            .get(ANALYTES)
            .map_or("", String::as_str)
            .lines()
            .skip(1)
            .filter_map(Analyte::read)
            .collect();
        let ucum_of = |unit: &str| ucum_of(unit, spellings.as_ref());
        let codes = tests.iter().map(|(code, test)| (code.clone(), test.suggest(code, &analytes, &ucum_of)));
        let mut told = BTreeSet::new();
        let apart =
            units.most_first().into_iter().filter(|(unit, _)| told.insert(normalise(unit).into_owned()));
        let units = apart.map(|(unit, count)| {
            let suggestion = match ucum_of(&unit) {
                Some((target, why)) => {
                    Suggestion::Row { target, display: String::new(), why: format!("{count} results; {why}") }
                }
                None => Suggestion::None {
                    why: format!("{count} results; no spelling that is known, and not UCUM"),
                },
            };
            (unit, suggestion)
        });
        Self { codes: codes.collect(), units: units.collect() }
    }

    pub(super) fn codes(&self) -> String {
        let about = "# What this laboratory sends, and the LOINC code of each: suggested from samples, to be checked by a clinician for\n# component, specimen, property and unit. A row without a LOINC code is known, shown, and not interpreted.\n# This material contains content from LOINC (http://loinc.org), copyright Regenstrief Institute, Inc.\n";
        rows(
            about,
            TableKind::Codes,
            &self.codes,
            |target, display| format!("{target},{}", cell(display)),
            ",,",
        )
    }

    pub(super) fn units(&self) -> String {
        let about = "# What this laboratory writes, and the UCUM unit it means: suggested from samples.\n";
        rows(about, TableKind::Units, &self.units, |target, _| cell(target), ",")
    }

    pub(super) fn questions(&self) -> Vec<String> {
        let open = |rows: &[(String, Suggestion)]| -> Vec<String> {
            rows.iter()
                .filter(|(_, it)| matches!(it, Suggestion::None { .. }))
                .map(|(sent, _)| sent.clone())
                .collect()
        };
        let mut questions = Vec::new();
        for (file, open) in [("codes.csv", open(&self.codes)), ("units.csv", open(&self.units))] {
            if !open.is_empty() {
                let some: Vec<&str> = open.iter().take(8).map(String::as_str).collect();
                let more = if open.len() > some.len() { ", …" } else { "" };
                questions.push(format!(
                    "`{file}`: {} have no row and hold: {}{more}",
                    open.len(),
                    some.join(", ")
                ));
            }
        }
        questions
    }
}

fn rows(
    about: &str,
    kind: TableKind,
    rows: &[(String, Suggestion)],
    write: impl Fn(&str, &str) -> String,
    open: &str,
) -> String {
    let mut text = format!("{about}{}\n", kind.header());
    for (sent, suggestion) in rows {
        let line = match suggestion {
            Suggestion::Row { target, display, why } => {
                format!("# guess: {}\n{},{}\n", one_line(why), cell(sent), write(target, display))
            }
            Suggestion::None { why } => {
                format!("# open, and holds: {}. When it is known:\n# {}{open}\n", one_line(why), cell(sent))
            }
        };
        text.push_str(&line);
    }
    text
}

/// A factor such as `10` or `0.001`.
fn is_power_of_ten(factor: &str) -> bool {
    let digits = || factor.bytes().filter(|byte| *byte != b'.');
    digits().filter(|byte| *byte == b'1').count() == 1 && digits().all(|byte| matches!(byte, b'0' | b'1'))
}

/// A cell of a table; one that begins like a comment is quoted.
fn cell(text: &str) -> String {
    let text = one_line(text);
    if text.contains([',', '"']) || text.starts_with('#') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a table is asked: the first code that was sent, else the words.
fn sent_code(result: &LabResult) -> Option<String> {
    let code = result.code.codings.first().map(|it| it.code.as_str()).or(result.code.text.as_deref())?;
    Some(code.trim().to_owned()).filter(|it| !it.is_empty() && it != Code::default().label())
}

impl Test {
    fn add(&mut self, result: &LabResult) {
        self.count += 1;
        for name in
            result.code.codings.iter().filter_map(|it| it.display.as_deref()).chain([result.code.label()])
        {
            self.names.add(name.trim(), 1);
        }
        if let Some(unit) = result.unit.as_ref().filter(|it| !it.sent.trim().is_empty()) {
            self.units.add(unit.sent.trim(), 1);
        }
        let first = result.code.codings.first();
        self.is_loinc |= first.and_then(|it| it.system.as_ref()).is_some_and(|it| it.0 == System::LOINC);
    }

    fn suggest(
        &self,
        code: &str,
        analytes: &[Analyte<'_>],
        ucum_of: &impl Fn(&str) -> Option<(String, String)>,
    ) -> Suggestion {
        let units: Vec<String> = self.units.words().map(str::to_owned).collect();
        let shown =
            if units.is_empty() { "without a unit".to_owned() } else { format!("in {}", units.join(", ")) };
        let seen = format!("{} results {shown}", self.count);
        let name = self.names.most_first().into_iter().map(|(name, _)| name).find(|it| it != code);
        let called = name.clone().map(|it| format!(", called \"{it}\"")).unwrap_or_default();
        if loinc::check_digit_holds(code) && (self.is_loinc || analytes.iter().any(|it| it.loinc == code)) {
            let display = name.unwrap_or_else(|| code.to_owned());
            let why = format!("{seen}; sent as the LOINC code itself");
            return Suggestion::Row { target: code.to_owned(), display, why };
        }
        let names: BTreeSet<String> = self.names.words().chain([code]).map(plain).collect();
        let candidates: Vec<&Analyte<'_>> =
            analytes.iter().filter(|it| it.aliases.iter().any(|alias| names.contains(alias))).collect();
        let fits = |it: &&&Analyte<'_>| it.has_units(&units, ucum_of);
        match (candidates.as_slice(), candidates.iter().filter(fits).collect::<Vec<_>>().as_slice()) {
            (_, [one]) => Suggestion::Row {
                target: one.loinc.to_owned(),
                display: one.name.to_owned(),
                why: format!("{seen}{called}; name and unit are those of {} ({})", one.name, one.unit),
            },
            ([], _) => {
                Suggestion::None { why: format!("{seen}{called}; no test is known by this code or name") }
            }
            ([one], []) => Suggestion::None {
                why: format!(
                    "{seen}{called}; the name is that of {}, which is measured in {}",
                    one.name, one.unit
                ),
            },
            (several, _) => {
                let several: Vec<&str> = several.iter().map(|it| it.name).collect();
                Suggestion::None { why: format!("{seen}{called}; it may be {}", several.join(" or ")) }
            }
        }
    }
}

impl<'k> Analyte<'k> {
    fn read(line: &'k str) -> Option<Self> {
        let cells: Vec<&str> = line.split('\t').collect();
        let [_, name, aliases, loinc, _, unit, unit_aliases, other_unit, factor, ..] = cells.as_slice()
        else {
            return None;
        };
        // Of several LOINC codes the first is the one the table is about.
        let loinc = loinc.split('|').next().filter(|it| !it.is_empty())?;
        Some(Self {
            name,
            aliases: aliases.split('|').chain([*name]).map(plain).collect(),
            loinc,
            unit,
            spellings: unit_aliases.split('|').chain([*unit]).map(|it| normalise(it).into_owned()).collect(),
            other_unit,
            is_same_property: is_power_of_ten(factor),
        })
    }

    /// Whether every unit that was sent is the test's own; a ratio has none.
    fn has_units(&self, units: &[String], ucum_of: &impl Fn(&str) -> Option<(String, String)>) -> bool {
        let is_own = |unit: &String| {
            let is_spelled =
                |text: &str| self.spellings.contains(normalise(text).as_ref()) && text != self.other_unit;
            let is_other = |text: &str| self.is_same_property && text == self.other_unit;
            let fits = |text: &str| text == self.unit || is_spelled(text) || is_other(text);
            fits(unit) || ucum_of(unit).is_some_and(|(ucum, _)| fits(&ucum))
        };
        if units.is_empty() { self.unit.starts_with('{') } else { units.iter().all(is_own) }
    }
}

/// A name as it is compared: small letters and digits.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|it| it.is_alphanumeric() || matches!(it, '%' | '#' | '+'))
        .flat_map(char::to_lowercase)
        .collect()
}

fn ucum_of(unit: &str, spellings: Option<&Table>) -> Option<(String, String)> {
    if let Some(row) = spellings.and_then(|it| it.find(unit, None)).filter(|it| !it.target.is_empty()) {
        return Some((row.target.clone(), "a spelling that is known".to_owned()));
    }
    ucum::is_valid(unit).then(|| (unit.to_owned(), "UCUM as it stands".to_owned()))
}
