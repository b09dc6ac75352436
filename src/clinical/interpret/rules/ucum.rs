//! Whether a unit is written in UCUM, for the units that laboratories use: case-sensitive, with annotations.
//!
//! It knows the atoms and prefixes of laboratory medicine only, so an unknown but legal unit is refused, not let through.

/// The Unified Code for Units of Measure, §26 to §45, as far as blood results need it. Longer atoms stand first.
const ATOMS: [&str; 18] =
    ["[IU]", "mosm", "osm", "mol", "min", "Cel", "cal", "bar", "eq", "g", "L", "l", "m", "s", "h", "d", "U", "%"];
const PREFIXES: [&str; 9] = ["da", "k", "d", "c", "m", "u", "n", "p", "f"];

/// Whether `unit` is a valid UCUM code.
pub(super) fn is_valid(unit: &str) -> bool {
    !unit.is_empty() && unit.split('/').enumerate().all(|(i, part)| (i == 0 && part.is_empty()) || is_product(part))
}

fn is_product(part: &str) -> bool {
    !part.is_empty() && part.split('.').all(is_component)
}

/// One atom with prefix, exponent and annotation; an annotation alone; or a power of ten.
fn is_component(component: &str) -> bool {
    let (unit, annotation) = match component.split_once('{') {
        Some((unit, rest)) => (unit, Some(rest)),
        None => (component, None),
    };
    if let Some(rest) = annotation {
        let Some(inside) = rest.strip_suffix('}') else { return false };
        if inside.is_empty() || !inside.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'{' | b'}')) {
            return false;
        }
    }
    if unit.is_empty() {
        return annotation.is_some();
    }
    if let Some(exponent) = unit.strip_prefix("10*").or_else(|| unit.strip_prefix("10^")) {
        return is_exponent(exponent);
    }
    ATOMS.iter().any(|atom| {
        let (Some(at), true) = (unit.find(atom), unit.contains(atom)) else { return false };
        let prefix = unit.get(..at).unwrap_or_default();
        let exponent = unit.get(at + atom.len()..).unwrap_or_default();
        (prefix.is_empty() || PREFIXES.contains(&prefix)) && (exponent.is_empty() || is_exponent(exponent))
    })
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
            "g/L", "10*12/L", "10*9/L", "L/L", "fL", "pg", "%", "mm/h", "mmol/L", "umol/L", "m[IU]/L", "k[IU]/L", "[IU]/L",
            "mL/min/{1.73_m2}", "mosm/kg", "meq/L", "{ratio}", "{INR}", "ug/L{FEU}", "mg/dL{BUN}", "mmol/mol", "s", "ug/g",
        ] {
            assert!(is_valid(unit), "{unit}");
        }
        for unit in ["", "mIU/L", "x10^9/L", "mL/min/1.73m2", "µmol/L", "g//L", "g/", "{", "{}", "10*", "mmHg/", "iu/L"] {
            assert!(!is_valid(unit), "{unit}");
        }
    }
}
