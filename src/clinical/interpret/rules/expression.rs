//! Arithmetic over named quantities: `0.02 * (40 - albumin) + calcium`. Parsed once, names checked, then evaluated often.
//!
//! The grammar is written down in `docs/rule-grammar.md`. There are no loops, no assignments and no user functions.

use rust_decimal::Decimal;

/// Deepest nesting of brackets, so that a rule file cannot exhaust the stack.
const DEPTH_MAX: usize = 16;

/// An arithmetic expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Binary(Box<Self>, Operator, Box<Self>),
    Call(Function, Vec<Self>),
    Number(Decimal),
    Quantity(Quantity),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Divide,
    Multiply,
    Power,
    Subtract,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Max,
    Min,
    Sqrt,
}

/// Something with a numeric value in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Quantity {
    Age,
    /// Hours of the day at which the specimen was taken, `8.5` for half past eight.
    CollectedHour,
    /// Hours from collection to receipt.
    DelayHours,
    Earlier(String, Past),
    /// A bound of an analyte, or of the value that an `each` rule looks at.
    Limit(Option<String>, Bound, Side),
    /// An analyte as reported, or else the formula of that name.
    Named(String),
    /// The value that an `each` rule looks at.
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Critical,
    Plausible,
    Range,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    High,
    Low,
}

/// Which earlier result of an analyte, by the same laboratory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// Days since the latest one.
    Days,
    Latest,
    /// Of the last seven days.
    Lowest7Days,
    /// Of the days 8 to 365 before this one.
    Median365Days,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `+ - * / ^ ( ) , | ~ < <= > >= =`
    Mark(&'static str),
    Number(Decimal),
    Quoted(String),
    Word(String),
}

/// Two-character marks stand before their first character.
const MARKS: [&str; 15] = ["<=", ">=", "<", ">", "=", "+", "-", "*", "/", "^", "(", ")", ",", "|", "~"];

/// Splits a text into tokens.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let taken = if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').ok_or("a quotation mark is not closed")?;
            tokens.push(Token::Quoted(quoted.get(..end).unwrap_or_default().to_owned()));
            end + 2
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let number = rest.get(..end).unwrap_or_default();
            tokens.push(Token::Number(number.parse().map_err(|_| format!("`{number}` is not a number"))?));
            end
        } else if first.is_ascii_lowercase() {
            let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.');
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest.get(..end).unwrap_or_default().to_owned()));
            end
        } else {
            let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
            let mark = mark.ok_or_else(|| format!("`{first}` has no meaning here"))?;
            tokens.push(Token::Mark(mark));
            mark.len()
        };
        rest = rest.get(taken..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// Reads tokens from the left. `knows` tells analytes and formulas from mistakes.
pub(super) struct Parser<'a> {
    tokens: &'a [Token],
    knows: &'a dyn Fn(&str) -> bool,
    /// What a bare `range.high` belongs to; `None` is the value of an `each` rule.
    pub(super) subject: Option<String>,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(tokens: &'a [Token], knows: &'a dyn Fn(&str) -> bool) -> Self {
        Self { tokens, knows, subject: None, depth: 0 }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// Takes this mark if it stands next.
    pub(super) fn take(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Mark(it)) if *it == mark);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn end(&self) -> Result<(), String> {
        self.peek().map_or(Ok(()), |token| Err(format!("{} is too much", show(token))))
    }

    /// sum = product { ("+" | "-") product }
    pub(super) fn sum(&mut self) -> Result<Expression, String> {
        let mut left = self.product()?;
        loop {
            let operator = match () {
                () if self.take("+") => Operator::Add,
                () if self.take("-") => Operator::Subtract,
                () => return Ok(left),
            };
            left = Expression::Binary(Box::new(left), operator, Box::new(self.product()?));
        }
    }

    /// product = power { ("*" | "/") power }
    fn product(&mut self) -> Result<Expression, String> {
        let mut left = self.power()?;
        loop {
            let operator = match () {
                () if self.take("*") => Operator::Multiply,
                () if self.take("/") => Operator::Divide,
                () => return Ok(left),
            };
            left = Expression::Binary(Box::new(left), operator, Box::new(self.power()?));
        }
    }

    /// power = operand [ "^" operand ]
    fn power(&mut self) -> Result<Expression, String> {
        let base = self.operand()?;
        if !self.take("^") {
            return Ok(base);
        }
        Ok(Expression::Binary(Box::new(base), Operator::Power, Box::new(self.operand()?)))
    }

    /// operand = number | "-" operand | "(" sum ")" | function "(" sum { "," sum } ")" | quantity
    fn operand(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("brackets are nested deeper than {DEPTH_MAX}"));
        }
        let operand = match self.next() {
            Some(Token::Number(number)) => Expression::Number(*number),
            Some(Token::Mark("-")) => {
                let zero = Expression::Number(Decimal::ZERO);
                Expression::Binary(Box::new(zero), Operator::Subtract, Box::new(self.operand()?))
            }
            Some(Token::Mark("(")) => {
                let inside = self.sum()?;
                self.closing()?;
                inside
            }
            Some(Token::Word(word)) => match function(word) {
                Some(function) if self.take("(") => Expression::Call(function, self.arguments()?),
                _ => Expression::Quantity(self.quantity(word)?),
            },
            Some(token) => return Err(format!("{} is no quantity", show(token))),
            None => return Err("a quantity is missing at the end".to_owned()),
        };
        self.depth -= 1;
        Ok(operand)
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, String> {
        let mut arguments = vec![self.sum()?];
        while self.take(",") {
            arguments.push(self.sum()?);
        }
        self.closing()?;
        Ok(arguments)
    }

    fn closing(&mut self) -> Result<(), String> {
        if self.take(")") { Ok(()) } else { Err("a closing bracket is missing".to_owned()) }
    }

    /// Gives a dotted name its meaning.
    pub(super) fn quantity(&self, word: &str) -> Result<Quantity, String> {
        let known = |key: &str| {
            (self.knows)(key).then(|| key.to_owned()).ok_or_else(|| format!("`{key}` is unknown"))
        };
        let parts: Vec<&str> = word.split('.').collect();
        Ok(match parts.as_slice() {
            ["age"] => Quantity::Age,
            ["value"] => Quantity::Value,
            ["specimen", "collected_hour"] => Quantity::CollectedHour,
            ["specimen", "delay_hours"] => Quantity::DelayHours,
            ["earlier", key] => Quantity::Earlier(known(key)?, Past::Latest),
            ["earlier", key, past] => Quantity::Earlier(known(key)?, past_of(past)?),
            [bound @ ("range" | "critical" | "plausible"), side] => {
                Quantity::Limit(self.subject.clone(), bound_of(bound), side_of(side)?)
            }
            [key, bound @ ("range" | "critical" | "plausible"), side] => {
                Quantity::Limit(Some(known(key)?), bound_of(bound), side_of(side)?)
            }
            [key] => Quantity::Named(known(key)?),
            _ => return Err(format!("`{word}` is unknown")),
        })
    }
}

fn function(word: &str) -> Option<Function> {
    Some(match word {
        "abs" => Function::Abs,
        "max" => Function::Max,
        "min" => Function::Min,
        "sqrt" => Function::Sqrt,
        _ => return None,
    })
}

fn past_of(word: &str) -> Result<Past, String> {
    match word {
        "days" => Ok(Past::Days),
        "lowest_7d" => Ok(Past::Lowest7Days),
        "median_365d" => Ok(Past::Median365Days),
        other => Err(format!("`{other}` is none of days, lowest_7d, median_365d")),
    }
}

fn bound_of(word: &str) -> Bound {
    match word {
        "critical" => Bound::Critical,
        "plausible" => Bound::Plausible,
        _ => Bound::Range,
    }
}

fn side_of(word: &str) -> Result<Side, String> {
    match word {
        "high" => Ok(Side::High),
        "low" => Ok(Side::Low),
        other => Err(format!("`{other}` is neither low nor high")),
    }
}

pub(super) fn show(token: &Token) -> String {
    match token {
        Token::Mark(mark) => format!("`{mark}`"),
        Token::Number(number) => format!("`{number}`"),
        Token::Quoted(text) => format!("\"{text}\""),
        Token::Word(word) => format!("`{word}`"),
    }
}

impl Expression {
    /// The one analyte or formula this speaks of, if it is one.
    pub(super) fn subject(&self) -> Option<&str> {
        let mut names = Vec::new();
        self.visit(&mut |quantity| {
            if let Quantity::Named(name) = quantity {
                names.push(name.as_str());
            }
        });
        names.dedup();
        if let [only] = names.as_slice() { Some(only) } else { None }
    }

    pub(super) fn visit<'a>(&'a self, see: &mut dyn FnMut(&'a Quantity)) {
        match self {
            Self::Binary(left, _, right) => {
                left.visit(see);
                right.visit(see);
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|argument| argument.visit(see)),
            Self::Number(_) => {}
            Self::Quantity(quantity) => see(quantity),
        }
    }

    /// Every number written in it.
    pub(super) fn numbers(&self, into: &mut Vec<Decimal>) {
        match self {
            Self::Binary(left, _, right) => {
                left.numbers(into);
                right.numbers(into);
            }
            Self::Call(_, arguments) => arguments.iter().for_each(|argument| argument.numbers(into)),
            Self::Number(number) => into.push(*number),
            Self::Quantity(_) => {}
        }
    }
}
