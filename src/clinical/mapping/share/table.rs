//! The cells of a table, each with its bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use encoding_rs::Encoding;

use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::plan::Path;
use crate::clinical::mapping::share::leaf::Leaf;
use crate::clinical::mapping::share::leaf::Unit;
use crate::clinical::mapping::share::leaf::plain_units;
use crate::clinical::mapping::share::treatment::Treatment;
use crate::clinical::mapping::share::treatment::kind_of;
use crate::clinical::mapping::share::treatment::of_tree;
use crate::formats::csv;

/// A header that says a number of more digits may be a row of patients.
const HEADER_DIGITS_MAX: usize = 4;

pub(super) fn leaves(mapping: &Mapping, bytes: &[u8]) -> (Vec<Leaf>, &'static Encoding) {
    let (encoding, mark) = match Encoding::for_bom(bytes) {
        Some(marked) => marked,
        None if std::str::from_utf8(bytes).is_ok() => (encoding_rs::UTF_8, 0),
        None => (encoding_rs::WINDOWS_1252, 0),
    };
    let delimiter = csv::decode(bytes, mapping.delimiter).map_or(csv::Delimiter::Comma, |it| it.delimiter);
    let units = plain_units(bytes, mark..bytes.len(), encoding);
    let records = records(&units, char::from(delimiter.byte()));
    let known = columns(mapping);
    let is_preface = |record: &Vec<Range<usize>>| {
        let text: String =
            record.iter().flat_map(|cell| text(&units, cell).chars().collect::<Vec<_>>()).collect();
        text.trim().is_empty() || text.to_ascii_lowercase().starts_with("sep=")
    };
    let header_at = records.iter().position(|record| !is_preface(record)).unwrap_or(0);
    let header: Vec<String> =
        records.get(header_at).into_iter().flatten().map(|cell| text(&units, cell)).collect();
    let is_header = header.iter().any(|name| known.contains_key(name.trim()));
    let mut leaves = Vec::new();
    for (number, record) in records.iter().enumerate() {
        for (column, cell) in record.iter().enumerate() {
            let name = header.get(column).map(|it| it.trim()).unwrap_or_default();
            let treatment = match number.cmp(&header_at) {
                std::cmp::Ordering::Less => Treatment::Keep,
                std::cmp::Ordering::Equal if is_header && stays_as_name(name) => Treatment::Keep,
                std::cmp::Ordering::Greater if is_header => {
                    known.get(name).cloned().unwrap_or(Treatment::Hide)
                }
                std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => Treatment::Hide,
            };
            let units = cell_units(&units, cell);
            let at = units.first().map_or(0, |it| it.at.start)..units.last().map_or(0, |it| it.at.end);
            leaves.push(Leaf { at, units, treatment });
        }
    }
    (leaves, encoding)
}

fn stays_as_name(name: &str) -> bool {
    name.bytes().filter(u8::is_ascii_digit).count() <= HEADER_DIGITS_MAX
}

/// What becomes of each column that a rule reads.
fn columns(mapping: &Mapping) -> BTreeMap<String, Treatment> {
    let mut known: BTreeMap<String, Treatment> = BTreeMap::new();
    let mut add = |path: &Path, treatment: Treatment| {
        let Path::Tree(path) = path else { return };
        let name = path.to_string();
        let both = known.remove(&name).map_or_else(|| treatment.clone(), |it| it.and(treatment.clone()));
        known.insert(name, both);
    };
    for rule in &mapping.rules {
        // Of an extra nothing is known; another rule may know more of its column.
        let Some(treatment) = kind_of(rule).map(|kind| of_tree(kind, rule, "", &[])) else { continue };
        for path in rule.sources.iter().chain(&rule.fallback) {
            add(path, treatment.clone());
        }
        for path in &rule.display {
            add(path, Treatment::Keep);
        }
    }
    for path in &mapping.anchors.note {
        add(&Path::Tree(path.clone()), Treatment::Hide);
    }
    known
}

fn text(units: &[Unit], cell: &Range<usize>) -> String {
    cell_units(units, cell).iter().map(|unit| unit.character).collect()
}

/// The characters of a cell; the quotes that are its spelling are none of it.
fn cell_units(units: &[Unit], cell: &Range<usize>) -> Vec<Unit> {
    let own = units.get(cell.clone()).unwrap_or_default();
    let is_quoted = own.first().is_some_and(|unit| unit.character == '"');
    own.iter().filter(|unit| !is_quoted || unit.character != '"').cloned().collect()
}

/// Records of cells, as places among the characters.
fn records(units: &[Unit], delimiter: char) -> Vec<Vec<Range<usize>>> {
    let (mut records, mut record, mut start) = (Vec::new(), Vec::new(), 0);
    let mut is_quoted = false;
    let character = |at: usize| units.get(at).map(|unit: &Unit| unit.character);
    for (at, unit) in units.iter().enumerate() {
        match unit.character {
            '"' if is_quoted => is_quoted = false,
            // A quote opens a cell where it begins one, and goes on with it where it is doubled.
            '"' if at == start || at > 0 && character(at - 1) == Some('"') => is_quoted = true,
            '\r' | '\n' if !is_quoted => {
                record.push(start..at);
                let is_second =
                    unit.character == '\n' && at > 0 && character(at - 1) == Some('\r') && start == at;
                if !is_second || record.len() > 1 {
                    records.push(std::mem::take(&mut record));
                }
                record.clear();
                start = at + 1;
            }
            letter if letter == delimiter && !is_quoted => {
                record.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    if start < units.len() || !record.is_empty() {
        record.push(start..units.len());
        records.push(record);
    }
    records
}
