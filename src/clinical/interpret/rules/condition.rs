//! When a rule holds: comparisons, facts and their combinations, parsed to types. The grammar is in `docs/rule-grammar.md`.

use rust_decimal::Decimal;

use crate::clinical::interpret::rules::expression::Expression;
use crate::clinical::interpret::rules::expression::Parser;
use crate::clinical::interpret::rules::expression::Quantity;
use crate::clinical::interpret::rules::expression::Token;
use crate::clinical::interpret::rules::expression::show;
use crate::clinical::interpret::rules::expression::tokens;
use crate::clinical::interpret::rules::interval::Relation;

/// Something that is true, false or unknown of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare { left: Expression, relation: Relation, right: Expression, text: String },
    Fact { fact: Fact, words: Vec<String>, text: String },
    InRange { key: Option<String>, text: String },
    Not(Box<Self>),
}

/// Something with a word for its value: `yes`, `no`, `male`; `unknown` may be asked for too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// Some comment holds the words that follow, and does not deny them.
    Comment,
    /// Whether the same laboratory reported this analyte earlier.
    EarlierKnown(String),
    Fasting,
    /// The laboratory's own flag says otherwise than its range.
    FlagDiffers,
    Pregnant,
    SelfCollected,
    Sex,
    /// A condition of the specimen that the laboratory names in words.
    Stated(Stated),
    /// What a person answered.
    Told(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stated {
    Haemolysed,
    Icteric,
    Lipaemic,
}

impl Condition {
    /// Reads one condition. `knows` tells analytes and formulas from mistakes.
    pub(super) fn parse(text: &str, knows: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut parser = Parser::new(&tokens, knows);
        let condition = condition(&mut parser, text, knows)?;
        parser.end()?;
        Ok(condition)
    }

    /// Every number written in it.
    pub(super) fn numbers(&self, into: &mut Vec<Decimal>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.numbers(into)),
            Self::Compare { left, right, .. } => {
                left.numbers(into);
                right.numbers(into);
            }
            Self::Fact { .. } | Self::InRange { .. } => {}
            Self::Not(inner) => inner.numbers(into),
        }
    }
}

fn condition(parser: &mut Parser<'_>, text: &str, knows: &dyn Fn(&str) -> bool) -> Result<Condition, String> {
    if let Some(Token::Word(word)) = parser.peek() {
        if word == "not" {
            parser.next();
            return Ok(Condition::Not(Box::new(condition(parser, text, knows)?)));
        }
        if let Some(fact) = fact(word, knows)? {
            parser.next();
            return Ok(Condition::Fact { words: words(parser, &fact)?, fact, text: text.to_owned() });
        }
    }
    let left = parser.sum()?;
    if matches!(parser.peek(), Some(Token::Word(word)) if word == "in") {
        return in_range(parser, &left, text);
    }
    let relation = relation(parser)?;
    parser.subject = left.subject().map(str::to_owned);
    let right = parser.sum()?;
    Ok(Condition::Compare { left, relation, right, text: text.to_owned() })
}

fn relation(parser: &mut Parser<'_>) -> Result<Relation, String> {
    match parser.next() {
        Some(Token::Mark("<")) => Ok(Relation::Less),
        Some(Token::Mark("<=")) => Ok(Relation::LessOrEqual),
        Some(Token::Mark("=")) => Ok(Relation::Equal),
        Some(Token::Mark(">")) => Ok(Relation::Greater),
        Some(Token::Mark(">=")) => Ok(Relation::GreaterOrEqual),
        Some(token) => Err(format!("{} is no comparison", show(token))),
        None => Err("a comparison is missing".to_owned()),
    }
}

fn in_range(parser: &mut Parser<'_>, left: &Expression, text: &str) -> Result<Condition, String> {
    parser.next();
    let key = match left {
        Expression::Quantity(Quantity::Named(key)) => Some(key.clone()),
        Expression::Quantity(Quantity::Value) => None,
        _ => return Err("only an analyte can be `in range`".to_owned()),
    };
    match parser.next() {
        Some(Token::Word(word)) if word == "range" => Ok(Condition::InRange { key, text: text.to_owned() }),
        _ => Err("`in` must be followed by `range`".to_owned()),
    }
}

/// The fact a name stands for, if it is none of the quantities.
fn fact(word: &str, knows: &dyn Fn(&str) -> bool) -> Result<Option<Fact>, String> {
    let parts: Vec<&str> = word.split('.').collect();
    Ok(Some(match parts.as_slice() {
        ["pregnant"] => Fact::Pregnant,
        ["sex"] => Fact::Sex,
        ["specimen", "comment"] => Fact::Comment,
        ["specimen", "fasting"] => Fact::Fasting,
        ["specimen", "haemolysed"] => Fact::Stated(Stated::Haemolysed),
        ["specimen", "icteric"] => Fact::Stated(Stated::Icteric),
        ["specimen", "lipaemic"] => Fact::Stated(Stated::Lipaemic),
        ["specimen", "self_collected"] => Fact::SelfCollected,
        ["told", question] => Fact::Told((*question).to_owned()),
        ["value", "flag_differs"] => Fact::FlagDiffers,
        ["earlier", key, "known"] if knows(key) => Fact::EarlierKnown((*key).to_owned()),
        ["earlier", key, "known"] => return Err(format!("`{key}` is unknown")),
        _ => return Ok(None),
    }))
}

/// `= word | word`, `~ "stem|stem"` for comments, or nothing, which means `= yes`.
fn words(parser: &mut Parser<'_>, fact: &Fact) -> Result<Vec<String>, String> {
    if *fact == Fact::Comment {
        return match (parser.take("~"), parser.next()) {
            (true, Some(Token::Quoted(stems))) => {
                Ok(stems.to_lowercase().split('|').map(str::to_owned).collect())
            }
            _ => Err("`specimen.comment` is asked as `~ \"stem|stem\"`".to_owned()),
        };
    }
    if !parser.take("=") {
        return Ok(vec!["yes".to_owned()]);
    }
    let mut words = Vec::new();
    loop {
        match parser.next() {
            Some(Token::Word(word)) if may_be(fact, word) => words.push(word.clone()),
            Some(token) => return Err(format!("{} is no answer to this", show(token))),
            None => return Err("an answer is missing".to_owned()),
        }
        if !parser.take("|") {
            return Ok(words);
        }
    }
}

fn may_be(fact: &Fact, word: &str) -> bool {
    match fact {
        Fact::Sex => matches!(word, "female" | "male" | "unknown"),
        _ => matches!(word, "no" | "unknown" | "yes"),
    }
}

#[cfg(test)]
mod tests {
    use super::Condition;

    fn parse(text: &str) -> Result<Condition, String> {
        Condition::parse(text, &|name| matches!(name, "alpha" | "beta"))
    }

    #[test]
    fn every_form_of_the_grammar_is_read() {
        for text in [
            "alpha > 5.5",
            "alpha >= 3 * range.high",
            "alpha in range",
            "abs(alpha - beta * 2) > 0.1 * alpha",
            "(alpha / alpha.range.high) / (beta / beta.range.high) >= 5",
            "alpha <= earlier.alpha - 20",
            "alpha >= 1.5 * earlier.alpha.lowest_7d",
            "earlier.alpha.known = no",
            "age >= 60",
            "sex = male",
            "pregnant = no|unknown",
            "specimen.haemolysed",
            "not specimen.fasting = yes",
            "specimen.comment ~ \"clump|aggregat\"",
            "specimen.delay_hours > 12",
            "value <= critical.low",
            "told.biotin = yes|unknown",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, error) in [
            ("gamma > 5", "`gamma` is unknown"),
            ("alpha", "a comparison is missing"),
            ("alpha > 5 5", "`5` is too much"),
            ("alpha > (5", "a closing bracket is missing"),
            ("alpha ! 5", "`!` has no meaning here"),
            ("sex = tall", "`tall` is no answer to this"),
            ("alpha in order", "`in` must be followed by `range`"),
            ("specimen.comment = yes", "`specimen.comment` is asked as `~ \"stem|stem\"`"),
            ("alpha > range.middle", "`middle` is neither low nor high"),
            ("alpha > 1.2.3", "`1.2.3` is not a number"),
            ("told.x ~ \"open", "a quotation mark is not closed"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
        assert!(parse(&"(".repeat(100)).unwrap_err().contains("nested deeper"));
    }
}
