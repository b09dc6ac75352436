//! Whether a text is a UCUM unit: its grammar, and the atoms a laboratory uses.
//!
//! It refuses what it does not know. A unit of another field of science would be refused too; that is the right side to
//! err on, because a refused unit is shown as sent and held or kept, while an accepted one is calculated with.

/// Deepest nesting of parentheses; real units have one.
const DEPTH_MAX: usize = 4;
/// Longest unit; the longest in use is near 30.
const LENGTH_MAX: usize = 64;

/// Atoms that take a prefix (UCUM, table 2 and the metric ones of tables 3 to 30).
const METRIC: [&str; 26] = [
    "m", "s", "g", "K", "mol", "L", "l", "Pa", "J", "W", "V", "A", "Hz", "N", "C", "Cel", "U", "[IU]",
    "[iU]", "kat", "eq", "osm", "bar", "Bq", "Gy", "m[Hg]",
];
/// Atoms that take none.
const PLAIN: [&str; 28] = [
    "%",
    "[ppth]",
    "[ppm]",
    "[ppb]",
    "[pptr]",
    "min",
    "h",
    "d",
    "wk",
    "mo",
    "a",
    "[pH]",
    "[drp]",
    "[lb_av]",
    "[oz_av]",
    "[in_i]",
    "[ft_i]",
    "[degF]",
    "[CFU]",
    "[cfu]",
    "[GPL'U]",
    "[MPL'U]",
    "[APL'U]",
    "[arb'U]",
    "[USP'U]",
    "[HPF]",
    "[LPF]",
    "[Ehrlich'U]",
];
const PREFIXES: [&str; 14] = ["da", "Y", "T", "G", "M", "k", "h", "d", "c", "m", "u", "n", "p", "f"];

/// Whether `text` is a UCUM expression of known atoms, case-sensitive (`c/s`).
pub fn is_valid(text: &str) -> bool {
    if text.is_empty() || text.len() > LENGTH_MAX || !text.is_ascii() {
        return false;
    }
    let mut parser = Parser { rest: text };
    parser.term(0) && parser.rest.is_empty()
}

struct Parser<'t> {
    rest: &'t str,
}

impl Parser<'_> {
    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// `[/] component {(. | /) component}`
    fn term(&mut self, depth: usize) -> bool {
        self.take('/');
        loop {
            if !self.component(depth) {
                return false;
            }
            if !self.take('.') && !self.take('/') {
                return true;
            }
        }
    }

    /// A parenthesis, an annotation, a number, or an atom with exponent and annotation.
    fn component(&mut self, depth: usize) -> bool {
        if self.take('(') {
            return depth < DEPTH_MAX && self.term(depth + 1) && self.take(')');
        }
        if self.rest.starts_with('{') {
            return self.annotation();
        }
        let end = self.symbol_end();
        let (symbol, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        let sound = is_factor(symbol) || is_atom(without_exponent(symbol));
        sound && (!self.rest.starts_with('{') || self.annotation())
    }

    fn annotation(&mut self) -> bool {
        let Some((inside, rest)) = self.rest.strip_prefix('{').and_then(|after| after.split_once('}')) else {
            return false;
        };
        self.rest = rest;
        !inside.is_empty() && !inside.contains('{')
    }

    /// Where the symbol ends: at an operator, parenthesis or brace outside square brackets.
    fn symbol_end(&self) -> usize {
        let mut bracketed = false;
        self.rest
            .find(|c| {
                bracketed = (bracketed || c == '[') && c != ']';
                !bracketed && matches!(c, '.' | '/' | '(' | ')' | '{' | '}')
            })
            .unwrap_or(self.rest.len())
    }
}

/// A number, or a power of ten (`10*9`, `10^9`).
fn is_factor(symbol: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let power = symbol.strip_prefix("10*").or_else(|| symbol.strip_prefix("10^"));
    power.map_or_else(|| digits(symbol), |exponent| digits(exponent.trim_start_matches(['+', '-'])))
}

/// The atom of `m2` or `s-1`.
fn without_exponent(symbol: &str) -> &str {
    let bare = symbol.trim_end_matches(|c: char| c.is_ascii_digit());
    if bare.len() < symbol.len() { bare.trim_end_matches(['+', '-']) } else { symbol }
}

fn is_atom(atom: &str) -> bool {
    let metric = |text: &str| METRIC.contains(&text);
    PLAIN.contains(&atom)
        || metric(atom)
        || PREFIXES.iter().any(|prefix| atom.strip_prefix(prefix).is_some_and(metric))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn units_of_a_laboratory_are_valid() {
        for unit in [
            "mmol/L",
            "umol/L",
            "10*9/L",
            "10*12/L",
            "10^9/L",
            "g/L",
            "U/L",
            "m[IU]/L",
            "k[IU]/L",
            "[IU]/L",
            "fL",
            "pg",
            "%",
            "mm/h",
            "mL/min/{1.73_m2}",
            "mmol/mol",
            "L/L",
            "ug/L{FEU}",
            "{ratio}",
            "{INR}",
            "mosm/kg",
            "mg/mmol",
            "ng/L",
            "s",
            "/min",
            "mm[Hg]",
            "10*3/uL",
            "kg/m2",
            "a",
            "wk",
            "Cel",
            "/[HPF]",
            "mL/min/(173.m2)",
            "pmol/L",
            "ug/g",
            "1",
            "m[IU]/mL",
            "meq/L",
        ] {
            assert!(is_valid(unit), "{unit}");
        }
    }

    #[test]
    fn likenesses_are_not() {
        for unit in [
            "",
            "mg%",
            "x10^9/L",
            "mmol/l/",
            "MMOLL",
            "mL/min/1.73m2",
            "IU/L",
            "cells",
            "mg/dL ",
            "g//L",
            "(g/L",
            "{",
            "{}",
            "µmol/L",
            "mm(hg)",
            "ratio",
            "10*/L",
            ".g",
            "g.",
        ] {
            assert!(!is_valid(unit), "{unit}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow() {
        assert!(!is_valid(&"(".repeat(64)));
    }
}
