//! Named formulas, such as the anion gap: data with a guard, computed only where the laboratory did not report the quantity.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;
use toml::Spanned;

use crate::clinical::interpret::rules::condition::Condition;
use crate::clinical::interpret::rules::evaluate::Trace;
use crate::clinical::interpret::rules::evaluate::View;
use crate::clinical::interpret::rules::expression::Expression;
use crate::clinical::interpret::rules::expression::Parser;
use crate::clinical::interpret::rules::expression::tokens;
use crate::clinical::interpret::rules::interval::Truth;
use crate::clinical::interpret::rules::source::Source;
use crate::diagnostic::Diagnostic;

pub(super) const FILE: &str = "formulas.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    formula: Vec<RawFormula>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFormula {
    name: String,
    unit: String,
    decimals: u32,
    source: String,
    #[serde(default)]
    when: Vec<Spanned<String>>,
    #[serde(default)]
    is: Option<Spanned<String>>,
    /// The first whose conditions hold is computed.
    #[serde(default)]
    variant: Vec<RawVariant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVariant {
    when: Vec<Spanned<String>>,
    is: Spanned<String>,
}

/// One formula.
#[derive(Debug)]
pub(super) struct Formula {
    name: String,
    pub(super) unit: String,
    decimals: u32,
    guard: Vec<Condition>,
    variants: Vec<Variant>,
}

#[derive(Debug)]
struct Variant {
    when: Vec<Condition>,
    text: String,
    expression: Expression,
}

impl Formula {
    /// The outcome, rounded as it is shown, so that text and decision cannot differ.
    pub(super) fn compute<'a>(&self, view: View<'_, 'a>, trace: &mut Trace<'a>) -> Option<Decimal> {
        let mut own = Trace::default();
        let outcome = self.outcome(view, &mut own);
        match &outcome {
            Some((value, text)) => {
                let line = format!("{} = {text} = {value} {}", self.name, self.unit);
                own.computed.insert(self.name.clone(), line);
                own.readings.insert(self.name.clone(), self.show(*value));
            }
            None if own.missing.is_empty() => {
                own.missing.insert(format!("{} (its formula does not hold here)", self.name));
            }
            // A formula that lacks one input is worth a word; one that lacks several was never within reach.
            None if own.missing.len() > 1 => own.about.clear(),
            None => {}
        }
        own.met.clear();
        trace.absorb(own);
        outcome.map(|(value, _)| value)
    }

    fn outcome<'a>(&self, view: View<'_, 'a>, trace: &mut Trace<'a>) -> Option<(Decimal, &str)> {
        if view.all(&self.guard, trace) != Truth::True {
            return None;
        }
        let variant = self.variants.iter().find(|variant| view.all(&variant.when, trace) == Truth::True)?;
        let value = view.number(&variant.expression, trace)?.exact()?;
        let mut rounded =
            value.round_dp_with_strategy(self.decimals, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        rounded.rescale(self.decimals);
        Some((rounded, &variant.text))
    }

    /// The value as a person reads it: an annotation such as `{ratio}` is no unit to them.
    pub(super) fn show(&self, value: Decimal) -> String {
        if self.unit.starts_with('{') { value.to_string() } else { format!("{value} {}", self.unit) }
    }

    pub(super) fn numbers(&self, into: &mut Vec<Decimal>) {
        self.guard.iter().for_each(|condition| condition.numbers(into));
        for variant in &self.variants {
            variant.expression.numbers(into);
        }
    }
}

/// Reads the formulas. One may use those above it only, so none can go round in a circle.
pub(super) fn read(
    source: &Source<'_>,
    is_analyte: &dyn Fn(&str) -> bool,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Formula> {
    let mut all: BTreeMap<String, Formula> = BTreeMap::new();
    let Some(file) = source.parse::<RawFile>(problems) else { return all };
    for raw in file.formula {
        let knows = |name: &str| is_analyte(name) || all.contains_key(name);
        let whole = raw.is.map(|is| RawVariant { when: Vec::new(), is });
        let formula = Formula {
            guard: source.conditions(&raw.when, &knows, problems),
            variants: whole
                .into_iter()
                .chain(raw.variant)
                .filter_map(|variant| read_variant(source, &variant, &knows, problems))
                .collect(),
            name: raw.name,
            unit: raw.unit,
            decimals: raw.decimals,
        };
        if raw.source.is_empty() || formula.variants.is_empty() {
            problems.push(source.incomplete(&formula.name, "a formula needs a source and an expression"));
        }
        all.insert(formula.name.clone(), formula);
    }
    all
}

fn read_variant(
    source: &Source<'_>,
    raw: &RawVariant,
    knows: &dyn Fn(&str) -> bool,
    problems: &mut Vec<Diagnostic>,
) -> Option<Variant> {
    let text = raw.is.get_ref().clone();
    let expression = tokens(&text).and_then(|tokens| {
        let mut parser = Parser::new(&tokens, knows);
        let sum = parser.sum()?;
        parser.end().map(|()| sum)
    });
    match expression {
        Ok(expression) => {
            Some(Variant { when: source.conditions(&raw.when, knows, problems), text, expression })
        }
        Err(reason) => {
            problems.push(source.unreadable(&raw.is.span(), &text, &reason));
            None
        }
    }
}
