//! Paths in HL7's own spelling: `OBX-5`, `PID-3[type=NH].1`, `PID-3[4=NHS].1`, `OBR-16[2].1`, `ZPD`.
//!
//! A path without a selector means every repetition; which to take is the reader's decision, never the path's.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::formats::hl7v2::element::Element;
use crate::formats::hl7v2::element::Segment;
use crate::formats::hl7v2::location::name_text;

/// The highest number a path may give; no HL7 segment comes near it.
const NUMBER_MAX: u32 = 999;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    segment: [u8; 3],
    /// Absent in a path that names a whole segment.
    pub field: Option<u32>,
    pub repetition: Option<Selector>,
    pub component: Option<u32>,
    pub subcomponent: Option<u32>,
}

/// Which repetitions of a field are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// `[authority=X]`: CX.4.1 is X.
    Authority(String),
    /// `[4=X]` or `[4.2=X]`: this component is X.
    Component { component: u32, subcomponent: Option<u32>, value: String },
    /// `[2]`
    Index(u32),
    /// `[type=X]`: CX.5 is X.
    Type(String),
}

/// Why a text is no path; `column` counts characters from one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("column {column}: expected {expected}")]
    Expected { column: usize, expected: &'static str },
    #[error("column {column}: the number is above {max}")]
    NumberTooLarge { column: usize, max: u32 },
    #[error("column {column}: numbers count from 1")]
    NumberZero { column: usize },
    #[error(
        "column {column}: a selector is a repetition number, or `type`, `authority` or a component number, `=` and a value"
    )]
    Selector { column: usize },
}

impl Error {
    pub fn column(&self) -> usize {
        match self {
            Self::Expected { column, .. }
            | Self::NumberTooLarge { column, .. }
            | Self::NumberZero { column }
            | Self::Selector { column } => *column,
        }
    }
}

impl Path {
    pub fn segment(&self) -> &str {
        name_text(&self.segment)
    }

    pub(crate) const fn segment_name(&self) -> [u8; 3] {
        self.segment
    }

    /// The elements this path names in a segment, in the order sent; none if the segment has another name, or
    /// if the path names no field.
    pub fn select<'m>(&self, segment: Segment<'m>) -> impl Iterator<Item = Element<'m>> + use<'m, '_> {
        let field = self.field.filter(|_| segment.is(self.segment)).map(|number| segment.field(number));
        field.into_iter().flat_map(|field| self.select_in(field))
    }

    /// The elements this path names in its field, in the order sent.
    pub(crate) fn select_in<'m>(
        &self,
        field: Element<'m>,
    ) -> impl Iterator<Item = Element<'m>> + use<'m, '_> {
        field
            .repetitions()
            .filter(|repetition| self.repetition.as_ref().is_none_or(|selector| selector.matches(repetition)))
            .map(|repetition| repetition.descend(self.component, self.subcomponent))
    }
}

impl Selector {
    fn matches(&self, repetition: &Element<'_>) -> bool {
        match self {
            Self::Authority(value) => repetition.component(4).subcomponent(1).text() == value.as_str(),
            Self::Component { component, subcomponent, value } => {
                repetition.descend(Some(*component), *subcomponent).text() == value.as_str()
            }
            Self::Index(number) => repetition.location().repetition_number() == Some(*number),
            Self::Type(value) => repetition.component(5).text() == value.as_str(),
        }
    }
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut reader = Reader { text, rest: text };
        let segment = reader.segment()?;
        let mut path = Self { segment, field: None, repetition: None, component: None, subcomponent: None };
        if reader.rest.is_empty() {
            return Ok(path);
        }
        reader.expect('-', "`-` and a field number")?;
        path.field = Some(reader.number()?);
        if reader.rest.starts_with('[') {
            path.repetition = Some(reader.selector()?);
        }
        if reader.take('.') {
            path.component = Some(reader.number()?);
            if reader.take('.') {
                path.subcomponent = Some(reader.number()?);
            }
        }
        if reader.rest.is_empty() { Ok(path) } else { Err(reader.expected("the end of the path")) }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.segment())?;
        if let Some(field) = self.field {
            write!(f, "-{field}")?;
        }
        if let Some(selector) = &self.repetition {
            write!(f, "[{selector}]")?;
        }
        for number in [self.component, self.subcomponent].into_iter().flatten() {
            write!(f, ".{number}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(value) => write!(f, "authority={value}"),
            Self::Component { component, subcomponent: None, value } => write!(f, "{component}={value}"),
            Self::Component { component, subcomponent: Some(part), value } => {
                write!(f, "{component}.{part}={value}")
            }
            Self::Index(number) => write!(f, "{number}"),
            Self::Type(value) => write!(f, "type={value}"),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
}

impl Reader<'_> {
    fn column(&self) -> usize {
        self.text.chars().count() - self.rest.chars().count() + 1
    }

    fn expected(&self, expected: &'static str) -> Error {
        Error::Expected { column: self.column(), expected }
    }

    fn take(&mut self, character: char) -> bool {
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, character: char, expected: &'static str) -> Result<(), Error> {
        if self.take(character) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn segment(&mut self) -> Result<[u8; 3], Error> {
        let (name, rest) = self
            .rest
            .as_bytes()
            .split_first_chunk::<3>()
            .filter(|(name, _)| name[0].is_ascii_uppercase())
            .filter(|(name, _)| name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
            .ok_or_else(|| self.expected("a segment name of three capital letters or digits"))?;
        self.rest = self.rest.get(self.rest.len() - rest.len()..).unwrap_or_default();
        Ok(*name)
    }

    fn number(&mut self) -> Result<u32, Error> {
        let column = self.column();
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at_checked(digits).unwrap_or_default();
        if number.is_empty() {
            return Err(self.expected("a number"));
        }
        self.rest = rest;
        match number.parse() {
            Ok(0) => Err(Error::NumberZero { column }),
            Ok(number) if number <= NUMBER_MAX => Ok(number),
            _ => Err(Error::NumberTooLarge { column, max: NUMBER_MAX }),
        }
    }

    fn selector(&mut self) -> Result<Selector, Error> {
        self.expect('[', "`[`")?;
        let column = self.column();
        let Some((inside, after)) = self.rest.split_once(']') else {
            return Err(self.expected("`]` after the selector"));
        };
        let selector = match inside.split_once('=') {
            Some(("type", value)) => Selector::Type(value.to_owned()),
            Some(("authority", value)) => Selector::Authority(value.to_owned()),
            Some((_, value)) => {
                let component = self.number().map_err(|error| error.in_selector(column))?;
                let subcomponent = if self.take('.') { Some(self.number()?) } else { None };
                self.expect('=', "`=` and a value")?;
                Selector::Component { component, subcomponent, value: value.to_owned() }
            }
            None => {
                let number = self.number().map_err(|error| error.in_selector(column))?;
                if !self.rest.starts_with(']') {
                    return Err(Error::Selector { column });
                }
                Selector::Index(number)
            }
        };
        self.rest = after;
        Ok(selector)
    }
}

impl Error {
    /// Inside a selector, a missing number has more to say than "expected a number".
    fn in_selector(self, column: usize) -> Self {
        if matches!(self, Self::Expected { .. }) { Self::Selector { column } } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hl7v2::decode;

    const MESSAGE: &[u8] =
        b"MSH|^~\\&|LAB\rPID|1||1001^^^LOC&1.2&ISO^PI~9434765919^^^NHS^NH||DOE&VAN^JANE\rOBX|1|NM|K||5.10\r";

    fn check(path: &str, found: &[&str]) {
        let message = decode(MESSAGE).message.unwrap();
        let path: Path = path.parse().unwrap();
        let values: Vec<_> =
            message.segments().flat_map(|segment| path.select(segment).collect::<Vec<_>>()).collect();
        assert_eq!(values.iter().map(|value| value.text().into_owned()).collect::<Vec<_>>(), found, "{path}");
    }

    fn fail(path: &str, column: usize, text: &str) {
        let error = path.parse::<Path>().unwrap_err();
        assert_eq!(error.column(), column, "{path}: {error}");
        assert!(error.to_string().contains(text), "{path}: {error}");
    }

    #[test]
    fn selects() {
        check("OBX-5", &["5.10"]);
        check("PID-3.1", &["1001", "9434765919"]);
        check("PID-3[type=NH].1", &["9434765919"]);
        check("PID-3[4=NHS].1", &["9434765919"]);
        check("PID-3[authority=LOC].1", &["1001"]);
        check("PID-3[4.2=1.2].5", &["PI"]);
        check("PID-3[2].5", &["NH"]);
        check("PID-5.1.2", &["VAN"]);
        check("PID-5.1", &["DOE&VAN"]);
        check("PID-99.1", &[""]);
        check("MSH-1", &["|"]);
        check("MSH-2", &["^~\\&"]);
        check("MSH-3", &["LAB"]);
        check("ZPD", &[]);
    }

    #[test]
    fn round_trips_its_text() {
        for text in
            ["ZPD", "OBX-5", "PID-3[type=NH].1", "OBR-16[2].1.3", "PID-3[authority=a b].4", "PID-3[4.1=].1"]
        {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn says_where_a_path_is_wrong() {
        fail("pid-3", 1, "segment name");
        fail("PI", 1, "segment name");
        fail("PID3", 4, "`-`");
        fail("PID-", 5, "number");
        fail("PID-0", 5, "count from 1");
        fail("PID-1000", 5, "above 999");
        fail("PID-3[type=NH.1", 7, "`]`");
        fail("PID-3[kind=NH].1", 7, "selector");
        fail("PID-3[1x]", 7, "selector");
        fail("PID-3.1.2.3", 10, "end");
    }
}
