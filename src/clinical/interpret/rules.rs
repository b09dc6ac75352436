//! The built-in interpreter: runs the knowledge files, deterministically, and knows no analyte by name.
//!
//! [`Knowledge::compile`] turns the files of `mappings/knowledge/` into typed rules and finds every fault in them;
//! [`Knowledge::interpret`] runs them on one request. Unknown means *not interpreted*, never in order.
//! It refuses to guess: an unknown code, a unit that does not fit or an absent input makes a rule stay silent and be listed.

mod analyte;
mod case;
mod comment;
mod condition;
mod embedded;
mod evaluate;
mod expression;
mod formula;
mod interval;
mod phrase;
mod range;
mod rule;
mod run;
mod scene;
mod source;
mod table;
mod template;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use aws_lc_rs::digest;
use rust_decimal::Decimal;

pub use self::analyte::Analyte;
pub use self::embedded::embedded;
pub use self::phrase::Audience;
pub use self::phrase::Forbidden;
pub(in crate::clinical::interpret) use self::run::urgency_of;

use self::analyte::Analytes;
use self::evaluate::Trace;
use self::evaluate::View;
use self::formula::Formula;
use self::range::Ranges;
use self::rule::Rule;
use self::scene::Scene;
use self::source::Source;
use crate::clinical::interpret::Request;
use crate::clinical::model::Interpretation;
use crate::clinical::model::LabResult;
use crate::diagnostic;
use crate::diagnostic::Diagnostic;

/// The interpreter's id in every interpretation.
pub const ID: &str = "rules";
/// Changes when the engine would judge the same knowledge otherwise.
pub const VERSION: &str = "1";

const MISSING: diagnostic::Code = diagnostic::Code::new("I001");
const RULES_FOLDER: &str = "rules/";

/// All that the rules interpreter knows.
#[derive(Debug)]
pub struct Knowledge {
    analytes: Analytes,
    ranges: Ranges,
    formulas: BTreeMap<String, Formula>,
    forbidden: Forbidden,
    rules: Vec<Rule>,
    digest: String,
}

impl Knowledge {
    /// Compiles the knowledge files, named relative to their folder (`analytes.tsv`, `rules/liver.toml`).
    ///
    /// # Errors
    /// Every fault of every file, not the first.
    pub fn compile(files: &BTreeMap<String, String>) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let text = |name: &str, problems: &mut Vec<Diagnostic>| -> &str {
            files.get(name).map_or_else(
                || {
                    let message = format!("the knowledge file {name} is missing");
                    problems.push(Diagnostic::error(MISSING, message).help("put the file back"));
                    ""
                },
                String::as_str,
            )
        };
        let analytes = Analytes::read(text(analyte::FILE, &mut problems), &mut problems);
        let ranges = Ranges::read(text(range::FILE, &mut problems), &analytes, &mut problems);
        let is_analyte = |name: &str| analytes.known.contains_key(name);
        let formulas = Source { file: formula::FILE, text: text(formula::FILE, &mut problems) };
        let formulas = formula::read(&formulas, &is_analyte, &mut problems);
        let forbidden = Source { file: phrase::FILE, text: text(phrase::FILE, &mut problems) };
        let forbidden = Forbidden::read(&forbidden, &mut problems);
        let knows = |name: &str| is_analyte(name) || formulas.contains_key(name);
        let mut rules = Vec::new();
        for (file, text) in files.iter().filter(|(name, _)| name.starts_with(RULES_FOLDER)) {
            let reader = rule::Reader { source: Source { file, text }, knows: &knows, forbidden: &forbidden };
            rules.extend(rule::read(&reader, &mut problems));
        }
        rule::check_ids(&rules, &mut problems);
        if diagnostic::has_errors(&problems) {
            return Err(problems);
        }
        Ok(Self { analytes, ranges, formulas, forbidden, rules, digest: digest_of(files) })
    }

    /// SHA-256 of all files and their names, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the rules find in `request`. The same request gives the same answer, whatever the order of its results.
    pub fn interpret(&self, request: &Request<'_>) -> Interpretation {
        run::interpret(self, request)
    }

    /// The analyte a result is one of: by code, or by name where the unit fits.
    pub fn analyte_for(&self, result: &LabResult) -> Option<&Analyte> {
        if result.not_interpreted {
            return None;
        }
        self.analytes.find(&result.code, result.unit.as_ref())
    }

    /// The analyte of this key.
    pub fn analyte(&self, key: &str) -> Option<&Analyte> {
        self.analytes.known.get(key)
    }

    /// Every analyte, by key.
    pub fn analytes(&self) -> impl Iterator<Item = &Analyte> {
        self.analytes.known.values()
    }

    /// Runs every rule's own cases through the real engine. Empty when all come out as written.
    pub fn check_cases(&self) -> Vec<Diagnostic> {
        self.rules.iter().flat_map(|rule| case::check(self, rule)).collect()
    }

    /// How much is known: analytes, rules, cases.
    pub fn counts(&self) -> (usize, usize, usize) {
        let cases = self.rules.iter().map(|rule| rule.cases.len()).sum();
        (self.analytes.known.len(), self.rules.len(), cases)
    }

    pub(super) fn forbidden(&self) -> &Forbidden {
        &self.forbidden
    }

    /// Every number that the knowledge itself states.
    pub(super) fn numbers(&self) -> BTreeSet<Decimal> {
        let mut numbers: Vec<Decimal> = self.ranges.numbers().collect();
        numbers.extend(self.rules.iter().flat_map(|rule| rule.numbers.iter().copied()));
        self.formulas.values().for_each(|formula| formula.numbers(&mut numbers));
        numbers.into_iter().map(|number| number.normalize()).collect()
    }

    /// Every formula's outcome for this request, by its name: what an interpreter may quote if it names the formula.
    pub(super) fn computed(&self, request: &Request<'_>) -> BTreeMap<&str, Decimal> {
        let scene = Scene::of(self, request);
        let view = View { scene: &scene, each: None };
        let outcomes = self.formulas.iter().map(|(name, formula)| {
            formula.compute(view, &mut Trace::default()).map(|value| (name.as_str(), value.normalize()))
        });
        outcomes.flatten().collect()
    }
}

/// Names and texts with their lengths, so that no two sets of files hash alike.
fn digest_of(files: &BTreeMap<String, String>) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in files.iter().flat_map(|(name, text)| [name, text]) {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish().as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests;
