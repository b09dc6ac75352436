//! Values, units and ranges: by FHIR's types where there are such, by what is written everywhere else.

use crate::clinical::mapping::inbound::code;
use crate::clinical::mapping::inbound::gaps::Read;
use crate::clinical::mapping::inbound::tree::reader::Reader;
use crate::clinical::mapping::inbound::tree::reader::Scope;
use crate::clinical::mapping::language::Field;
use crate::clinical::mapping::plan::Decision;
use crate::clinical::mapping::plan::Rule;
use crate::clinical::mapping::plan::TypeSource;
use crate::clinical::model::AbsentReason;
use crate::clinical::model::Code;
use crate::clinical::model::Comparator;
use crate::clinical::model::Number;
use crate::clinical::model::ReferenceRange;
use crate::clinical::model::ResultStatus;
use crate::clinical::model::System;
use crate::clinical::model::Unit;
use crate::clinical::model::Value;
use crate::clinical::terminology::ucum;
use crate::clinical::terminology::unit_spelling;
use crate::diagnostic::Diagnostic;
use crate::formats::tree::Node;

/// A value, and whether rules may speak of it.
pub(super) struct ReadValue {
    pub(super) value: Value,
    pub(super) interpretable: bool,
}

/// A Quantity's parts.
struct Quantity<'n> {
    value: Option<&'n str>,
    comparator: Option<&'n str>,
    unit: Option<&'n str>,
    system: Option<&'n str>,
    code: Option<&'n str>,
}

impl Quantity<'_> {
    fn number(&self) -> Option<Number> {
        Number::parse(self.value?)
    }

    /// The unit in words a person reads.
    fn unit_text(&self) -> Option<&str> {
        self.unit.or(self.code)
    }

    fn as_sent(&self) -> String {
        format!("{}{}", self.comparator.unwrap_or_default(), self.value.unwrap_or_default())
    }
}

impl<'a, 'n> Reader<'a, 'n> {
    /// The value, or that there is none and why. `reasons` are the words the sender has for that.
    pub(super) fn value(&mut self, scope: Scope, status: ResultStatus, reasons: &[Code]) -> ReadValue {
        let Some(rule) = self.rule(Field::ResultValue, scope) else { return absent(status, reasons) };
        // A component has a value of its own or none: its observation's is another's.
        let own = Scope { outer: None, ..scope };
        let Some(at) = self.first(rule, own) else {
            let read = absent(status, reasons);
            if matches!(read.value, Value::Absent { reason: AbsentReason::Unknown }) && reasons.is_empty() {
                let help =
                    "look at the notes beside it, or ask the laboratory; the result is shown without a value";
                let position = self.expected_at(rule.1, scope);
                self.gaps.warn(
                    code::NO_VALUE,
                    position,
                    "the result has no value, and nothing says why",
                    help,
                );
            }
            return read;
        };
        if !reasons.is_empty() {
            let help = "ask the sender which of the two is meant";
            let position = self.position(at);
            self.gaps.error(
                code::VALUE_AND_REASON,
                position,
                "the result has a value, and a reason why it has none",
                help,
            );
        }
        let decision = rule.1.unmapped.unwrap_or(Decision::Keep);
        let read = match self.document.node(at) {
            Node::Object(_) => self.object(at, decision),
            _ => self.written(at, rule.1, decision),
        };
        let sound = reasons.is_empty();
        ReadValue { interpretable: read.interpretable && sound, ..read }
    }

    /// A text or number: what FHIR calls it, what the mapping calls it, or what it looks like.
    fn written(&mut self, at: usize, rule: &Rule, decision: Decision) -> ReadValue {
        let declared = match &rule.value_type {
            Some(TypeSource::Fixed(word)) => Some(word.as_str()),
            _ => None,
        };
        let text = self.text_at(at).unwrap_or_default();
        let whole = || ReadValue { value: Value::Text { text: text.to_owned() }, interpretable: true };
        match (self.document.choice(at).filter(|_| self.is_fhir()), declared) {
            (Some("Integer" | "Decimal"), _) => match number(text) {
                Some(value) => ReadValue { value, interpretable: true },
                None => self.not_a_number(at, text, decision),
            },
            (Some("DateTime" | "Date" | "Instant"), _) => match self.moment_at(at, false, None, decision) {
                Some(moment) => ReadValue { value: Value::Moment { moment }, interpretable: true },
                None => ReadValue { interpretable: false, ..whole() },
            },
            (Some(_), _) | (None, Some("ST" | "TX" | "FT")) => whole(),
            (None, _) => {
                if self.is_damaged(at, text, rule) {
                    return ReadValue { interpretable: false, ..whole() };
                }
                match number_of(text, rule) {
                    Some(value) => ReadValue { value, interpretable: true },
                    None if looks_numeric(text) || declared == Some("NM") => {
                        self.not_a_number(at, text, decision)
                    }
                    None => whole(),
                }
            }
        }
    }

    pub(super) fn is_fhir(&self) -> bool {
        self.mapping.format == crate::clinical::mapping::language::Format::Fhir
    }

    fn not_a_number(&mut self, at: usize, text: &str, decision: Decision) -> ReadValue {
        let help = "ask the sender for a number with a decimal point and nothing after it, or for words";
        let message = "the value looks like a number and is none; it is kept as the text that was sent";
        let position = self.position(at);
        self.gaps.decide(decision, Diagnostic::error(code::NOT_OF_TYPE, message).at(position).help(help));
        ReadValue { value: Value::Text { text: text.to_owned() }, interpretable: false }
    }

    fn object(&mut self, at: usize, decision: Decision) -> ReadValue {
        let node = self.document.node(at);
        let has = |name: &str| node.get(name).is_some();
        let read = if has("coding") || has("text") && !has("value") {
            Some(Value::Coded { code: self.code_at(at) })
        } else if has("low") || has("high") {
            self.between(at)
        } else if has("numerator") || has("denominator") {
            self.ratio(at)
        } else if has("start") || has("end") {
            self.moment_at(at, false, None, decision).map(|moment| Value::Moment { moment })
        } else if has("value") {
            let quantity = self.quantity(at);
            let comparator = quantity.comparator.map(Comparator::split);
            match (quantity.number(), comparator) {
                (Some(number), None) => {
                    Some(Value::Quantity { sent: quantity.as_sent(), comparator: None, number })
                }
                (Some(number), Some(Some((comparator, "")))) => {
                    Some(Value::Quantity { sent: quantity.as_sent(), comparator: Some(comparator), number })
                }
                _ => return self.not_a_number(at, &quantity.as_sent(), decision),
            }
        } else {
            None
        };
        if let Some(value) = read {
            return ReadValue { value, interpretable: true };
        }
        let help = "nothing need be done; rules do not speak of this result";
        let position = self.position(at);
        self.gaps.warn(code::UNREAD_TYPE, position, "values of this type are kept as text", help);
        let leaves: Vec<usize> = self.document.below(at).collect();
        let texts: Vec<&str> = leaves.into_iter().filter_map(|leaf| self.text_at(leaf)).collect();
        ReadValue { value: Value::Text { text: texts.join(" ") }, interpretable: false }
    }

    fn quantity(&mut self, at: usize) -> Quantity<'n> {
        let [value, comparator, unit, system, code] =
            ["value", "comparator", "unit", "system", "code"].map(|name| self.part(at, name));
        Quantity { value, comparator, unit, system, code }
    }

    fn member_quantity(&mut self, at: usize, name: &str) -> Option<Quantity<'n>> {
        let member = self.document.members(at, name);
        Some(self.quantity(*member.first()?))
    }

    fn between(&mut self, at: usize) -> Option<Value> {
        let low = self.member_quantity(at, "low");
        let high = self.member_quantity(at, "high");
        match (low, high) {
            (Some(low), Some(high)) => Some(Value::Range {
                sent: format!("{}-{}", low.as_sent(), high.as_sent()),
                low: low.number()?,
                high: high.number()?,
            }),
            (Some(low), None) => {
                let number = low.number()?;
                Some(Value::Quantity {
                    sent: format!(">={}", low.as_sent()),
                    comparator: Some(Comparator::GreaterOrEqual),
                    number,
                })
            }
            (None, high) => {
                let high = high?;
                let number = high.number()?;
                Some(Value::Quantity {
                    sent: format!("<={}", high.as_sent()),
                    comparator: Some(Comparator::LessOrEqual),
                    number,
                })
            }
        }
    }

    fn ratio(&mut self, at: usize) -> Option<Value> {
        let numerator = self.member_quantity(at, "numerator")?;
        let denominator = self.member_quantity(at, "denominator")?;
        Some(Value::Ratio {
            sent: format!("{}:{}", numerator.as_sent(), denominator.as_sent()),
            comparator: numerator.comparator.and_then(Comparator::split).map(|(it, _)| it),
            numerator: numerator.number()?,
            denominator: denominator.number()?,
        })
    }

    pub(super) fn unit(&mut self, scope: Scope) -> Option<Read<Unit>> {
        let rule = self.rule(Field::ResultUnit, scope)?;
        if let Some(constant) = &rule.1.constant {
            let position = self.position(scope.at);
            return Some(self.gaps.known_unit(rule.1, constant.clone(), false, position));
        }
        let at = self.first(rule, Scope { outer: None, ..scope })?;
        let position = self.position(at);
        let node = self.document.node(at);
        if !matches!(node, Node::Object(_)) {
            // `valueString` is no unit, though the rule for units leads to every value.
            let is_value = self.is_fhir() && self.document.choice(at).is_some();
            let sent = self.text_at(at).filter(|_| !is_value)?.to_owned();
            return Some(self.gaps.known_unit(rule.1, sent, false, position));
        }
        let ends = ["low", "high", "origin"].into_iter().find(|name| node.get(name).is_some());
        let quantity = match ends {
            Some(name) => self.member_quantity(at, name)?,
            None if node.get("value").is_some() => self.quantity(at),
            None => return None,
        };
        self.unit_of(rule.1, &quantity, position)
    }

    /// UCUM by its code, with the words beside it, if the two do not contradict each other.
    fn unit_of(&mut self, rule: &'a Rule, quantity: &Quantity<'_>, position: String) -> Option<Read<Unit>> {
        let is_ucum = quantity.system == Some(System::UCUM);
        let (words, code) = match (quantity.unit, quantity.code.filter(|_| is_ucum)) {
            (None, None) => {
                let sent = quantity.code?.to_owned();
                return Some(self.gaps.known_unit(rule, sent, false, position));
            }
            (Some(words), None) => {
                return Some(self.gaps.known_unit(rule, words.to_owned(), false, position));
            }
            (None, Some(code)) => {
                return Some(self.gaps.known_unit(rule, code.to_owned(), true, position));
            }
            (Some(words), Some(code)) => (words, code),
        };
        if !ucum::is_valid(code) {
            self.gaps.not_ucum(code, &position);
            return Some(self.gaps.known_unit(rule, words.to_owned(), false, position));
        }
        let row = self.gaps.row(rule, words);
        let factor = row.and_then(|row| row.factor.clone());
        let target = row.map(|row| row.target.clone()).filter(|it| !it.is_empty());
        let spelled = unit_spelling::normalise(words).into_owned();
        let said = target.clone().or_else(|| ucum::is_valid(&spelled).then_some(spelled));
        if said.is_none_or(|said| self.are_same(rule, &said, code)) {
            let ucum = Some(target.unwrap_or_else(|| code.to_owned()));
            let unit = Unit { sent: words.to_owned(), ucum, factor };
            return Some(Read { value: unit, interpretable: true });
        }
        let message = format!("the unit is `{words}` in words and `{code}` in UCUM, which are not the same");
        let help =
            "ask the sender which is meant; taking the wrong one may be wrong by a factor of a hundred"
                .to_owned();
        let decision = rule.unmapped.unwrap_or(Decision::Hold);
        self.gaps.gap(decision, rule, code::UNIT_CONTRADICTS, position, message, help);
        let unit = Unit { sent: format!("{words} (UCUM: {code})"), ucum: None, factor: None };
        Some(Read { value: unit, interpretable: false })
    }

    /// The range sent with the result: its bounds only where they are certain to be of this value.
    pub(super) fn range(&mut self, scope: Scope, unit: Option<&Unit>) -> Option<ReferenceRange> {
        let rule = self.rule(Field::ResultRange, scope)?;
        if let Some(constant) = &rule.1.constant {
            return Some(rule.1.range(constant));
        }
        let places = self.all(rule, Scope { outer: None, ..scope });
        let mut ranges = Vec::new();
        for at in places {
            if matches!(self.document.node(at), Node::Object(_)) {
                ranges.push(self.range_of(at, scope, unit));
            } else if let Some(text) = self.text_at(at) {
                self.is_damaged(at, text, rule.1);
                ranges.push(rule.1.range(text));
            }
        }
        if ranges.len() > 1 {
            // Several are for different people or phases, and which is this patient's is not ours to say.
            let sent = ranges.iter().map(|range| range.sent.as_str()).collect::<Vec<_>>().join("\n");
            return Some(without_bounds(sent));
        }
        ranges.pop().filter(|range| !range.sent.is_empty())
    }

    fn range_of(&mut self, at: usize, scope: Scope, unit: Option<&Unit>) -> ReferenceRange {
        let text = self.part(at, "text").map(str::to_owned);
        let low = self.member_quantity(at, "low");
        let high = self.member_quantity(at, "high");
        let mut conditions = Vec::new();
        for name in ["type", "appliesTo"] {
            for place in self.document.members(at, name) {
                let code = self.code_at(place);
                let is_normal = name == "type" && code.codings.iter().any(|it| it.code == "normal");
                if !code.is_empty() && !is_normal {
                    conditions.push(code.label().to_owned());
                }
            }
        }
        for age in self.document.members(at, "age") {
            let [from, to] = ["low", "high"].map(|name| self.member_quantity(age, name));
            let part = |it: Option<Quantity<'_>>| {
                it.map(|it| format!("{} {}", it.as_sent(), it.unit_text().unwrap_or_default()))
            };
            let ages = [part(from), part(to)].into_iter().flatten().collect::<Vec<_>>().join(" to ");
            conditions.push(format!("age {}", ages.trim()));
        }
        let bounds = match (&low, &high) {
            (Some(low), Some(high)) => format!("{} - {}", low.as_sent(), high.as_sent()),
            (Some(low), None) => format!(">={}", low.as_sent()),
            (None, Some(high)) => format!("<={}", high.as_sent()),
            (None, None) => String::new(),
        };
        let own = low.iter().chain(&high).find_map(|it| it.unit_text().map(str::to_owned));
        let same_unit = low.iter().chain(&high).all(|it| self.is_in(it, scope, unit));
        let mut sent = text.clone().unwrap_or_else(|| bounds.clone());
        if !conditions.is_empty() {
            sent = format!("{sent} ({})", conditions.join(", "));
            return without_bounds(sent.trim().to_owned());
        }
        if !same_unit {
            let message = "the range is in another unit than the value, and is shown as text only";
            let help = "ask the sender for the range in the unit of the value";
            let position = self.position(at);
            self.gaps.warn(code::RANGE_UNIT, position, message, help);
            let own = own.unwrap_or_default();
            let shown = if text.is_some() && !bounds.is_empty() { format!("{sent}; {bounds}") } else { sent };
            return without_bounds(format!("{shown} {own}").trim().to_owned());
        }
        if bounds.is_empty() {
            return ReferenceRange::parse(&sent);
        }
        let written = ReferenceRange::parse(&sent);
        let numbers = (low.and_then(|it| it.number()), high.and_then(|it| it.number()));
        let said = (written.low.clone(), written.high.clone());
        if said == (None, None) {
            return ReferenceRange { low: numbers.0, high: numbers.1, ..without_bounds(sent) };
        }
        if said == numbers || text.is_none() {
            return written;
        }
        let message = "the range says one thing in words and another in numbers; it is shown as text only";
        let position = self.position(at);
        self.gaps.warn(code::RANGE_CONTRADICTS, position, message, "ask the sender which is meant");
        without_bounds(format!("{sent}; {bounds}"))
    }

    /// Whether a bound has the value's unit, or none of its own.
    fn is_in(&self, bound: &Quantity<'_>, scope: Scope, unit: Option<&Unit>) -> bool {
        let Some(own) = bound.unit_text() else { return true };
        let (Some(unit), Some((_, rule))) = (unit, self.rule_anywhere(Field::ResultUnit, scope)) else {
            return false;
        };
        if unit_spelling::normalise(own) == unit_spelling::normalise(&unit.sent) {
            return true;
        }
        let code = bound.code.filter(|code| bound.system == Some(System::UCUM) && ucum::is_valid(code));
        let code = code.map(str::to_owned).or_else(|| self.gaps.row(rule, own).map(|row| row.target.clone()));
        matches!((code, &unit.ucum), (Some(code), Some(ucum)) if self.are_same(rule, ucum, &code))
    }

    /// Whether two UCUM codes are two spellings of one unit: `10^9/L` and `10*9/L`, `g/l` and `g/L`, or one row of the
    /// table.
    fn are_same(&self, rule: &Rule, one: &str, other: &str) -> bool {
        let in_table =
            |code: &str| self.gaps.row(rule, code).map(|row| row.target.clone()).filter(|it| !it.is_empty());
        let plain = |code: &str| in_table(code).unwrap_or_else(|| canonical(code));
        canonical(one) == canonical(other) || plain(one) == plain(other)
    }
}

fn absent(status: ResultStatus, reasons: &[Code]) -> ReadValue {
    let said = reasons.iter().flat_map(|reason| &reason.codings).map(|coding| coding.code.as_str()).next();
    let reason = match (said, status) {
        (Some("not-performed" | "not-permitted" | "not-applicable"), _) | (_, ResultStatus::Cancelled) => {
            AbsentReason::NotPerformed
        }
        (Some("temp-unknown"), _) | (None, ResultStatus::Registered) => AbsentReason::Pending,
        _ => AbsentReason::Unknown,
    };
    ReadValue { value: Value::Absent { reason }, interpretable: true }
}

/// A number, with a comparator before it if there is one.
fn number(text: &str) -> Option<Value> {
    quantity_of(text, text)
}

/// A number as the mapping says numbers are written; the text stays as sent.
fn number_of(sent: &str, rule: &Rule) -> Option<Value> {
    quantity_of(sent, &rule.numeric(sent)?)
}

fn quantity_of(sent: &str, read: &str) -> Option<Value> {
    let (comparator, digits) = match Comparator::split(read) {
        Some((comparator, digits)) => (Some(comparator), digits),
        None => (None, read),
    };
    Some(Value::Quantity { sent: sent.to_owned(), comparator, number: Number::parse(digits)? })
}

/// Begins as a number does: `5.0*`, `7 10`, `> 5 x`.
fn looks_numeric(text: &str) -> bool {
    let digits = Comparator::split(text).map_or(text, |(_, rest)| rest);
    digits.trim_start_matches(['+', '-', '.']).starts_with(|first: char| first.is_ascii_digit())
}

fn without_bounds(sent: String) -> ReferenceRange {
    ReferenceRange { sent, low: None, high: None, low_exclusive: false, high_exclusive: false }
}

/// A UCUM code with the spellings of litre and of powers made alike.
fn canonical(code: &str) -> String {
    let code = code.replace("10^", "10*").replace("[iU]", "[IU]");
    let litres = |part: &str| match part {
        "l" | "dl" | "cl" | "ml" | "ul" | "nl" | "pl" | "fl" => {
            format!("{}L", part.trim_end_matches('l'))
        }
        part => part.to_owned(),
    };
    code.split('/').map(litres).collect::<Vec<_>>().join("/")
}
