//! Paths into a tree: JSON pointers (RFC 6901), FHIRPath's simple subset, and the names of CSV columns.
//!
//! A path finds; it computes nothing. One that is anchored begins at the document, any other at the place at hand.

use std::fmt;

use thiserror::Error;

/// Where values of a tree stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    text: String,
    anchored: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of this name; in FHIR also the one of a choice, `valueQuantity` for `value`.
    Choice(String),
    /// The item of this place, counted from zero.
    Index(usize),
    Name(String),
    /// A resource, or a choice's value, of this type.
    OfType(String),
    /// What a FHIR reference points at.
    Resolve,
    /// Of which the member that these names lead to is this text.
    Where {
        names: Vec<String>,
        value: String,
    },
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("there is nothing in it")]
    Empty,
    #[error("`{0}` is no step: write a name, `[n]`, `where(name='text')`, `ofType(Type)` or `resolve()`")]
    NotAStep(String),
    #[error("a bracket or quotation mark is not closed")]
    NotClosed,
    #[error("`~` stands for itself as `~0`, and for `/` as `~1`")]
    Tilde,
}

impl Path {
    /// `/order_status/code` from the document, `panel_code` or `user/dob` from the place at hand, `.` that place.
    pub fn pointer(text: &str) -> Result<Self, Error> {
        let anchored = text.starts_with('/');
        let inner = text.strip_prefix('/').unwrap_or(text);
        let mut steps = Vec::new();
        if text.is_empty() || inner.is_empty() && !anchored {
            return Err(Error::Empty);
        }
        if !matches!(text, "." | "/") {
            for token in inner.split('/') {
                steps.push(pointer_step(token)?);
            }
        }
        Ok(Self { text: text.to_owned(), anchored, steps })
    }

    /// A column's name as the header has it; `.` is the whole row.
    pub fn column(text: &str) -> Result<Self, Error> {
        let name = text.trim();
        if name.is_empty() {
            return Err(Error::Empty);
        }
        let steps = if name == "." { Vec::new() } else { vec![Step::Name(name.to_owned())] };
        Ok(Self { text: name.to_owned(), anchored: false, steps })
    }

    /// `code`, `identifier.where(system='…').value`, `result.resolve()`, `value.ofType(Quantity)`, `note[0].text`,
    /// `$this`; one that begins with a type, `Bundle.entry.resource`, begins at the document.
    pub fn fhir(text: &str) -> Result<Self, Error> {
        let mut steps = Vec::new();
        let parts = split_outside(text)?;
        let anchored = text.starts_with(|first: char| first.is_ascii_uppercase());
        for (place, part) in parts.iter().enumerate() {
            match part.as_str() {
                "" => return Err(Error::Empty),
                "$this" if place == 0 => {}
                type_name if anchored && place == 0 => steps.push(Step::OfType(word(type_name)?)),
                part => fhir_steps(part, &mut steps)?,
            }
        }
        Ok(Self { text: text.to_owned(), anchored, steps })
    }

    /// From the document, not from the place at hand.
    pub const fn is_anchored(&self) -> bool {
        self.anchored
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The names it leads through, without the rest.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Choice(name) | Step::Name(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The resource type that an anchored FHIR path begins with.
    pub fn root_type(&self) -> Option<&str> {
        match self.steps.first() {
            Some(Step::OfType(name)) if self.anchored => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn pointer_step(token: &str) -> Result<Step, Error> {
    let mut name = String::with_capacity(token.len());
    let mut letters = token.chars();
    while let Some(letter) = letters.next() {
        name.push(match letter {
            '~' => match letters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(Error::Tilde),
            },
            letter => letter,
        });
    }
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    Ok(match name.parse() {
        Ok(index) if digits => Step::Index(index),
        _ => Step::Name(name),
    })
}

/// The parts between points that stand in no bracket or quotation.
fn split_outside(text: &str) -> Result<Vec<String>, Error> {
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0_usize, false);
    for letter in text.chars() {
        match letter {
            '\'' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth = depth.checked_sub(1).ok_or(Error::NotClosed)?,
            '.' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    if quoted || depth > 0 { Err(Error::NotClosed) } else { Ok(parts) }
}

fn fhir_steps(part: &str, steps: &mut Vec<Step>) -> Result<(), Error> {
    let not_a_step = || Error::NotAStep(part.to_owned());
    let inside = |function: &str| part.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')');
    if part == "resolve()" {
        steps.push(Step::Resolve);
    } else if let Some(name) = inside("ofType") {
        steps.push(Step::OfType(word(name.trim())?));
    } else if let Some(test) = inside("where") {
        let (names, value) = test.split_once('=').ok_or_else(not_a_step)?;
        let value = value.trim().strip_prefix('\'').and_then(|it| it.strip_suffix('\''));
        let names = names.trim().split('.').map(word).collect::<Result<_, _>>()?;
        steps.push(Step::Where { names, value: value.ok_or_else(not_a_step)?.to_owned() });
    } else if let Some((name, index)) = part.strip_suffix(']').and_then(|part| part.split_once('[')) {
        steps.push(Step::Choice(word(name)?));
        steps.push(Step::Index(index.parse().map_err(|_| not_a_step())?));
    } else {
        steps.push(Step::Choice(word(part)?));
    }
    Ok(())
}

fn word(text: &str) -> Result<String, Error> {
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || !text.chars().all(sound) {
        return Err(Error::NotAStep(text.to_owned()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::Error;
    use super::Path;
    use super::Step;

    #[test]
    fn a_pointer_is_anchored_by_its_slash_and_unescapes() {
        let path = Path::pointer("/a~1b/0/c~0").unwrap();
        let steps = [Step::Name("a/b".into()), Step::Index(0), Step::Name("c~".into())];
        assert_eq!((path.is_anchored(), path.steps()), (true, &steps[..]));
        let relative = Path::pointer("user/dob").unwrap();
        assert!(!relative.is_anchored());
        assert_eq!(relative.names().collect::<Vec<_>>(), ["user", "dob"]);
        assert!(Path::pointer(".").unwrap().steps().is_empty());
        assert_eq!(Path::pointer("a~2"), Err(Error::Tilde));
        assert_eq!(Path::pointer(""), Err(Error::Empty));
    }

    #[test]
    fn fhir_paths_are_the_simple_subset() {
        let path = Path::fhir("identifier.where(system='https://a.b/c').value").unwrap();
        assert_eq!(
            path.steps(),
            [
                Step::Choice("identifier".into()),
                Step::Where { names: vec!["system".into()], value: "https://a.b/c".into() },
                Step::Choice("value".into())
            ]
        );
        let path = Path::fhir("Bundle.entry.resource.ofType(DiagnosticReport)").unwrap();
        assert_eq!((path.is_anchored(), path.root_type()), (true, Some("Bundle")));
        assert_eq!(Path::fhir("result[1].resolve()").unwrap().steps()[1..], [Step::Index(1), Step::Resolve]);
        assert!(Path::fhir("$this").unwrap().steps().is_empty());
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in
            ["", "a..b", "a.where(b=c)", "a.exists()", "a[x]", "a.ofType(", "a)", "a b", "a.where(b='c)"]
        {
            assert!(Path::fhir(text).is_err(), "{text}");
        }
    }
}
