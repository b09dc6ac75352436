//! What an operator says a code or unit means: checked, never guessed; the nearest names are offered.

use std::collections::BTreeMap;

use crate::clinical::interpret::rules::Analyte;
use crate::clinical::interpret::rules::Knowledge;
use crate::clinical::terminology::loinc;
use crate::clinical::terminology::ucum;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::RowKind;
use crate::diagnostic::edit_distance;

/// Names offered instead of an unknown one.
const OFFERED_MAX: usize = 3;

/// A LOINC code with its name, or a UCUM code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) target: String,
    pub(super) display: String,
}

impl Meaning {
    /// # Errors
    /// M222, with the nearest names.
    pub(super) fn of(
        key: &str,
        kind: RowKind,
        display: &str,
        knowledge: &Knowledge,
    ) -> Result<Self, Diagnostic> {
        match kind {
            RowKind::Code => Self::of_code(key, display, knowledge),
            RowKind::Unit if ucum::is_valid(key) => {
                Ok(Self { target: key.to_owned(), display: String::new() })
            }
            RowKind::Unit => {
                let units = knowledge.analytes().map(|it| (it.unit.as_str(), it.unit.as_str()));
                Err(unknown(format!("`{key}` is no UCUM unit"), key, units))
            }
        }
    }

    fn of_code(key: &str, display: &str, knowledge: &Knowledge) -> Result<Self, Diagnostic> {
        let by_loinc = |it: &&Analyte| it.loinc().iter().any(|code| code == key);
        let analyte = knowledge.analyte(key);
        let found = analyte.or_else(|| knowledge.analytes().find(by_loinc));
        let display = if display.is_empty() { found.map_or("", |it| it.name.as_str()) } else { display };
        let target = match analyte {
            Some(analyte) => analyte.loinc().first().cloned(),
            None => loinc::check_digit_holds(key).then(|| key.to_owned()),
        };
        if let Some(target) = target {
            return Ok(Self { target, display: display.to_owned() });
        }
        let message = match analyte {
            Some(_) => format!("the analyte `{key}` has no LOINC code"),
            None if looks_like_loinc(key) => {
                format!("`{key}` is no LOINC code: its check digit does not hold")
            }
            None => format!("`{key}` is neither an analyte's key nor a LOINC code"),
        };
        let names = knowledge.analytes().flat_map(|it| {
            let others = it.aliases().iter().chain(it.loinc()).chain([&it.key, &it.name]);
            others.map(|name| (name.as_str(), it.key.as_str()))
        });
        Err(unknown(message, key, names))
    }
}

fn looks_like_loinc(key: &str) -> bool {
    key.contains('-') && key.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// Offers what is nearest to `key` among names, each with what to write for it.
fn unknown<'a>(message: String, key: &str, names: impl Iterator<Item = (&'a str, &'a str)>) -> Diagnostic {
    let folded = key.to_lowercase();
    let mut nearest: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, written) in names {
        let distance = edit_distance(&folded, &name.to_lowercase());
        let best = nearest.entry(written).or_insert(distance);
        *best = distance.min(*best);
    }
    let mut nearest: Vec<(usize, &str)> =
        nearest.into_iter().map(|(name, distance)| (distance, name)).collect();
    nearest.sort_unstable();
    let offered: Vec<String> =
        nearest.iter().take(OFFERED_MAX).map(|(_, name)| format!("`--as {name}`")).collect();
    Diagnostic::error(Code::new("M222"), message)
        .fact("nothing was written")
        .help(format!("nearest: {}; mappings/knowledge/analytes.tsv has all keys", offered.join(", ")))
}

#[cfg(test)]
mod tests {
    use crate::clinical::interpret::rules;

    use super::*;

    fn meaning(key: &str, kind: RowKind) -> Result<(String, String), String> {
        let knowledge = Knowledge::compile(&rules::embedded()).unwrap();
        let meaning = Meaning::of(key, kind, "", &knowledge);
        meaning.map(|it| (it.target, it.display)).map_err(|it| format!("{}; {}", it.message, it.help))
    }

    #[test]
    fn a_code_is_named_by_key_or_by_loinc_and_a_unit_by_ucum() {
        for (key, kind, target, display) in [
            ("haemoglobin", RowKind::Code, "718-7", "Haemoglobin"),
            ("718-7", RowKind::Code, "718-7", "Haemoglobin"),
            ("2164-2", RowKind::Code, "2164-2", ""),
            ("10*9/L", RowKind::Unit, "10*9/L", ""),
        ] {
            assert_eq!(meaning(key, kind).unwrap(), (target.to_owned(), display.to_owned()), "{key}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused_with_the_nearest_names() {
        for (key, kind, parts) in [
            ("haemaglobin", RowKind::Code, ["neither an analyte's key", "`--as haemoglobin`"]),
            ("718-8", RowKind::Code, ["check digit", "`--as haemoglobin`"]),
            ("g/l/", RowKind::Unit, ["no UCUM unit", "`--as g/L`"]),
        ] {
            let told = meaning(key, kind).unwrap_err();
            assert!(parts.iter().all(|part| told.contains(part)), "{key}: {told}");
        }
    }
}
