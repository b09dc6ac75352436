//! Evaluates conditions on a scene in three-valued logic, and keeps what they rested on.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use rust_decimal::Decimal;
use rust_decimal::MathematicalOps;

use crate::clinical::interpret::rules::comment;
use crate::clinical::interpret::rules::condition::Condition;
use crate::clinical::interpret::rules::condition::Fact;
use crate::clinical::interpret::rules::expression::Bound;
use crate::clinical::interpret::rules::expression::Expression;
use crate::clinical::interpret::rules::expression::Function;
use crate::clinical::interpret::rules::expression::Operator;
use crate::clinical::interpret::rules::expression::Past;
use crate::clinical::interpret::rules::expression::Quantity;
use crate::clinical::interpret::rules::expression::Side;
use crate::clinical::interpret::rules::interval::Interval;
use crate::clinical::interpret::rules::interval::Truth;
use crate::clinical::interpret::rules::scene;
use crate::clinical::interpret::rules::scene::Measurement;
use crate::clinical::interpret::rules::scene::Scene;
use crate::clinical::interpret::rules::table::Limits;
use crate::clinical::model::RangeFlag;
use crate::clinical::model::ResultId;
use crate::clinical::model::Sex;

/// What an evaluation rested on, or lacked.
#[derive(Debug, Default, Clone)]
pub(super) struct Trace<'a> {
    pub(super) about: BTreeSet<&'a ResultId>,
    pub(super) missing: BTreeSet<String>,
    /// The conditions that were met, as written.
    pub(super) met: Vec<String>,
    /// What each name stood for, as shown to people.
    pub(super) readings: BTreeMap<String, String>,
    /// Formulas that were computed: `name = formula = value`.
    pub(super) computed: BTreeMap<String, String>,
}

impl Trace<'_> {
    pub(super) fn absorb(&mut self, other: Self) {
        self.about.extend(other.about);
        self.missing.extend(other.missing);
        self.met.extend(other.met);
        self.readings.extend(other.readings);
        self.computed.extend(other.computed);
    }

    /// The lines of evidence for people and for the guard.
    pub(super) fn evidence(&self) -> Vec<String> {
        let readings = self.readings.iter().map(|(name, shown)| format!("{name}: {shown}"));
        self.met.iter().cloned().chain(readings).chain(self.computed.values().cloned()).collect()
    }
}

/// One look at a scene; an `each` rule looks at one measurement at a time.
#[derive(Clone, Copy)]
pub(super) struct View<'s, 'a> {
    pub(super) scene: &'s Scene<'a>,
    pub(super) each: Option<&'s Measurement<'a>>,
}

impl<'s, 'a> View<'s, 'a> {
    pub(super) fn all(self, conditions: &[Condition], trace: &mut Trace<'a>) -> Truth {
        Truth::all(conditions.iter().map(|condition| self.holds(condition, trace)).collect::<Vec<_>>())
    }

    pub(super) fn holds(self, condition: &Condition, trace: &mut Trace<'a>) -> Truth {
        match condition {
            Condition::All(parts) => self.all(parts, trace),
            Condition::Any(parts) => self.any(parts, trace),
            Condition::Compare { left, relation, right, text } => {
                let mut own = Trace::default();
                let (left, right) = (self.number(left, &mut own), self.number(right, &mut own));
                let truth = match (left, right) {
                    (Some(left), Some(right)) => left.compare(*relation, right),
                    _ => Truth::Unknown,
                };
                if truth == Truth::Unknown && own.missing.is_empty() {
                    own.missing.insert(format!("whether {text}"));
                }
                settle(trace, own, truth, text)
            }
            Condition::Fact { fact, words, text } => self.fact(fact, words, text, trace),
            Condition::InRange { key, text } => self.in_range(key.as_deref(), text, trace),
            Condition::Not(inner) => {
                let mut own = Trace::default();
                let truth = self.holds(inner, &mut own).not();
                own.met.clear();
                trace.absorb(own);
                truth
            }
        }
    }

    /// Only the branches that are true are evidence; if none is, all of them lack something.
    fn any(self, parts: &[Condition], trace: &mut Trace<'a>) -> Truth {
        let branches: Vec<_> = parts
            .iter()
            .map(|part| {
                let mut own = Trace::default();
                (self.holds(part, &mut own), own)
            })
            .collect();
        let truth = Truth::any(branches.iter().map(|(truth, _)| *truth));
        for (_, own) in branches.into_iter().filter(|(branch, _)| *branch == truth) {
            trace.absorb(own);
        }
        truth
    }

    fn in_range(self, key: Option<&str>, text: &str, trace: &mut Trace<'a>) -> Truth {
        let mut own = Trace::default();
        let flags: Vec<Truth> = self
            .measurements(key)
            .map(|measurement| {
                own.about.insert(measurement.id);
                own.readings.insert(measurement.analyte.key.clone(), measurement.shown.clone());
                match measurement.flag {
                    None | Some(RangeFlag::NotInterpreted) => Truth::Unknown,
                    Some(flag) => Truth::from(!flag.is_outside()),
                }
            })
            .collect();
        let truth = match flags.split_first() {
            Some((first, rest)) if rest.iter().all(|flag| flag == first) => *first,
            _ => Truth::Unknown,
        };
        if truth == Truth::Unknown {
            own.missing.insert(key.unwrap_or("value").to_owned());
        }
        settle(trace, own, truth, text)
    }

    fn fact(self, fact: &Fact, words: &[String], text: &str, trace: &mut Trace<'a>) -> Truth {
        let asks = |word: &str| words.iter().any(|asked| asked == word);
        let mut own = Trace::default();
        let truth = match fact {
            Fact::Comment => Truth::from(comment::says(&self.scene.comments, words)),
            Fact::Sex => match self.scene.request.sex {
                Some(sex @ (Sex::Female | Sex::Male)) => Truth::from(asks(sex.as_str())),
                _ if asks("unknown") => Truth::True,
                _ => Truth::Unknown,
            },
            other => match self.yes_or_no(other) {
                Some(yes) => Truth::from(asks(if yes { "yes" } else { "no" })),
                None if asks("unknown") => Truth::True,
                None => Truth::Unknown,
            },
        };
        if truth == Truth::Unknown {
            let name = text.trim_start_matches("not ").split([' ', '=']).next().unwrap_or(text);
            own.missing.insert(name.to_owned());
        }
        settle(trace, own, truth, text)
    }

    fn yes_or_no(self, fact: &Fact) -> Option<bool> {
        let request = self.scene.request;
        match fact {
            Fact::EarlierKnown(key) => Some(self.scene.earlier.as_ref()?.contains_key(key.as_str())),
            Fact::Fasting => request.fasting,
            Fact::FlagDiffers => self.each.map(|measurement| measurement.flag_differs),
            Fact::Pregnant => request.pregnant,
            Fact::SelfCollected => request.self_collected,
            // A laboratory names these where it sees them, so silence is a no.
            Fact::Stated(stated) => Some(comment::says(&self.scene.comments, comment::stems(*stated))),
            Fact::Told(question) => request.told.get(question).copied(),
            Fact::Comment | Fact::Sex => None,
        }
    }

    fn measurements(self, key: Option<&str>) -> impl Iterator<Item = &'s Measurement<'a>> {
        let each = self.each.filter(|_| key.is_none());
        let named = self.scene.measurements.iter().filter(move |it| Some(it.analyte.key.as_str()) == key);
        named.filter(|it| !it.preliminary).chain(each)
    }

    pub(super) fn number(self, expression: &Expression, trace: &mut Trace<'a>) -> Option<Interval> {
        match expression {
            Expression::Number(number) => Some(Interval::exactly(*number)),
            Expression::Quantity(quantity) => self.quantity(quantity, trace),
            Expression::Binary(left, operator, right) => {
                // Both sides are looked at, so that all that is missing is named.
                let (left, right) = (self.number(left, trace), self.number(right, trace));
                apply(*operator, left?.exact()?, right?.exact()?).map(Interval::exactly)
            }
            Expression::Call(function, arguments) => {
                let arguments: Vec<_> =
                    arguments.iter().map(|argument| self.number(argument, trace)).collect();
                let arguments: Option<Vec<_>> =
                    arguments.into_iter().map(|argument| argument?.exact()).collect();
                call(*function, &arguments?).map(Interval::exactly)
            }
        }
    }

    pub(super) fn quantity(self, quantity: &Quantity, trace: &mut Trace<'a>) -> Option<Interval> {
        let value = match quantity {
            Quantity::Age => known("age", self.scene.request.age_years.map(Decimal::from), trace),
            Quantity::CollectedHour => known("specimen.collected_hour", self.scene.collected_hour, trace),
            Quantity::DelayHours => known("specimen.delay_hours", self.scene.delay_hours, trace),
            Quantity::Earlier(key, past) => return self.earlier(key, *past, trace),
            Quantity::Limit(key, bound, side) => {
                let limits = self.limits(key.as_deref(), *bound);
                let (name, at) = match side {
                    Side::High => ("high", limits.high),
                    Side::Low => ("low", limits.low),
                };
                let owner = key.as_deref().unwrap_or("value");
                known(&format!("{owner}.{}.{name}", bound_name(*bound)), at, trace)
            }
            Quantity::Named(name) => return self.named(name, trace),
            Quantity::Value => {
                let measurement = self.each?;
                trace.about.insert(measurement.id);
                trace.readings.insert(measurement.analyte.key.clone(), measurement.shown.clone());
                return Some(measurement.value);
            }
        };
        value.map(Interval::exactly)
    }

    fn limits(self, key: Option<&str>, bound: Bound) -> Limits {
        let scene = self.scene;
        let (sex, age) = (scene.request.sex, scene.request.age_years);
        let key_or_each = key.or(self.each.map(|it| it.analyte.key.as_str())).unwrap_or_default();
        match bound {
            Bound::Critical => scene.knowledge.ranges.critical(key_or_each, sex, age),
            Bound::Plausible => scene
                .knowledge
                .analytes
                .known
                .get(key_or_each)
                .map(|analyte| analyte.plausible)
                .unwrap_or_default(),
            Bound::Range => {
                let mut ranges = self.measurements(key).map(|measurement| measurement.range);
                match ranges.next() {
                    // Two results with two ranges have no range in common.
                    Some(first) if ranges.all(|other| other == first) => first,
                    Some(_) => Limits::default(),
                    None => scene.knowledge.ranges.range(key_or_each, sex, age),
                }
            }
        }
    }

    /// The reported value; with none, the formula of that name.
    fn named(self, name: &str, trace: &mut Trace<'a>) -> Option<Interval> {
        let mut found: Option<Interval> = None;
        let mut shown: Vec<&str> = Vec::new();
        for measurement in self.scene.of_key(name) {
            trace.about.insert(measurement.id);
            shown.push(&measurement.shown);
            found = Some(found.map_or(measurement.value, |value| value.or(measurement.value)));
        }
        if found.is_some() {
            trace.readings.insert(name.to_owned(), shown.join(" and "));
            return found;
        }
        if self.scene.is_unread(name) {
            trace.missing.insert(format!("{name} (reported, not interpreted)"));
            return None;
        }
        let Some(formula) = self.scene.knowledge.formulas.get(name) else {
            trace.missing.insert(name.to_owned());
            return None;
        };
        formula.compute(View { scene: self.scene, each: None }, trace).map(Interval::exactly)
    }

    fn earlier(self, key: &str, past: Past, trace: &mut Trace<'a>) -> Option<Interval> {
        let name = format!("earlier.{key}");
        let values = self.scene.earlier.as_ref().and_then(|earlier| earlier.get(key));
        let of_days = |from: u32, to: u32| {
            let within = values.into_iter().flatten().filter(move |it| (from..=to).contains(&it.days_before));
            within.filter_map(|it| it.value.exact()).collect::<Vec<_>>()
        };
        let found = match past {
            Past::Days => values.and_then(|it| it.first()).map(|it| Interval::exactly(it.days_before.into())),
            Past::Latest => values.and_then(|it| it.first()).map(|it| it.value),
            Past::Lowest7Days => of_days(0, 7).into_iter().min().map(Interval::exactly),
            Past::Median365Days => median(of_days(8, 365)).map(Interval::exactly),
        };
        match (found, values.and_then(|it| it.first())) {
            (Some(_), Some(latest)) => {
                trace.readings.insert(name, format!("{}, {} days before", latest.shown, latest.days_before));
            }
            _ => {
                trace.missing.insert(name);
            }
        }
        found
    }
}

fn settle<'a>(trace: &mut Trace<'a>, mut own: Trace<'a>, truth: Truth, text: &str) -> Truth {
    if truth == Truth::True {
        own.met.push(text.to_owned());
    }
    trace.absorb(own);
    truth
}

fn known(name: &str, value: Option<Decimal>, trace: &mut Trace<'_>) -> Option<Decimal> {
    if let Some(value) = value {
        trace.readings.insert(name.to_owned(), value.normalize().to_string());
    } else {
        trace.missing.insert(name.to_owned());
    }
    value
}

const fn bound_name(bound: Bound) -> &'static str {
    match bound {
        Bound::Critical => "critical",
        Bound::Plausible => "plausible",
        Bound::Range => "range",
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<Decimal>) -> Option<Decimal> {
    values.sort();
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some((*values.get(values.len() / 2 - 1)? + upper) / Decimal::TWO)
}

/// Arithmetic that overflows or divides by nothing has no outcome.
fn apply(operator: Operator, left: Decimal, right: Decimal) -> Option<Decimal> {
    match operator {
        Operator::Add => left.checked_add(right),
        Operator::Divide => left.checked_div(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Power => left.checked_powd(right),
        Operator::Subtract => left.checked_sub(right),
    }
}

fn call(function: Function, arguments: &[Decimal]) -> Option<Decimal> {
    match (function, arguments) {
        (Function::Abs, [one]) => Some(one.abs()),
        (Function::Sqrt, [one]) => one.sqrt(),
        (Function::Max, all) => all.iter().max().copied(),
        (Function::Min, all) => all.iter().min().copied(),
        (Function::Abs | Function::Sqrt, _) => None,
    }
}

/// Results in the order in which a report shows them.
pub(super) fn ordered(about: &BTreeSet<&ResultId>) -> Vec<ResultId> {
    let mut ids: Vec<ResultId> = about.iter().map(|id| (*id).clone()).collect();
    ids.sort_by(|a, b| scene::place(a).cmp(&scene::place(b)));
    ids
}
