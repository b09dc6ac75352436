//! Whether a unit is written in UCUM, for the units that laboratories use: case-sensitive, with annotations.
//!
//! It knows the atoms and prefixes of laboratory medicine only, so an unknown but legal unit is refused, not let through.

/// The Unified Code for Units of Measure, §26 to §45, as far as blood results need it. Longer atoms stand first.
const ATOMS: [&str; 18] = [
    "[IU]", "mosm", "osm", "mol", "min", "Cel", "cal", "bar", "eq", "g", "L", "l", "m", "s", "h", "d", "U",
    "%",
];
const PREFIXES: [&str; 9] = ["da", "k", "d", "c", "m", "u", "n", "p", "f"];

/// Whether `unit` is a valid UCUM code.
pub(super) fn is_valid(unit: &str) -> bool {
    let Some(unit) = with_short_annotations(unit) else { return false };
    !unit.is_empty()
        && unit.split('/').enumerate().all(|(i, part)| (i == 0 && part.is_empty()) || is_product(part))
}

/// Every annotation as `{}`, so that a point or stroke inside one (`{1.73_m2}`) parts nothing.
fn with_short_annotations(unit: &str) -> Option<String> {
    let mut short = String::new();
    let mut rest = unit;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}')?;
        if inside.is_empty() || !inside.bytes().all(|b| b.is_ascii_graphic() && b != b'{') {
            return None;
        }
        short.push_str(before);
        short.push_str("{}");
        rest = after;
    }
    short.push_str(rest);
    Some(short)
}

fn is_product(part: &str) -> bool {
    !part.is_empty() && part.split('.').all(is_component)
}

/// One atom with prefix, exponent and annotation; an annotation alone; or a power of ten.
fn is_component(component: &str) -> bool {
    let unit = component.strip_suffix("{}").unwrap_or(component);
    if unit.is_empty() {
        return !component.is_empty();
    }
    if let Some(exponent) = unit.strip_prefix("10*").or_else(|| unit.strip_prefix("10^")) {
        return is_exponent(exponent);
    }
    let base = unit.trim_end_matches(|c: char| c.is_ascii_digit());
    let exponent = unit.get(base.len()..).unwrap_or_default();
    let base = base.strip_suffix(['+', '-']).filter(|_| !exponent.is_empty()).unwrap_or(base);
    ATOMS
        .iter()
        .filter_map(|atom| base.strip_suffix(atom))
        .any(|prefix| prefix.is_empty() || PREFIXES.contains(&prefix))
}

fn is_exponent(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn units_of_laboratories_are_read_and_their_usual_misspellings_are_not() {
        for unit in [
            "g/L",
            "10*12/L",
            "10*9/L",
            "L/L",
            "fL",
            "pg",
            "%",
            "mm/h",
            "mmol/L",
            "umol/L",
            "m[IU]/L",
            "k[IU]/L",
            "[IU]/L",
            "mL/min/{1.73_m2}",
            "mosm/kg",
            "meq/L",
            "{ratio}",
            "{INR}",
            "ug/L{FEU}",
            "mg/dL{BUN}",
            "mmol/mol",
            "s",
            "ug/g",
        ] {
            assert!(is_valid(unit), "{unit}");
        }
        for unit in [
            "",
            "mIU/L",
            "x10^9/L",
            "mL/min/1.73m2",
            "µmol/L",
            "g//L",
            "g/",
            "{",
            "{}",
            "10*",
            "mmHg/",
            "iu/L",
        ] {
            assert!(!is_valid(unit), "{unit}");
        }
    }
}
