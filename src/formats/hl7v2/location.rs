//! Where in a message something stands, in HL7's own numbering, free of what stands there.

use std::fmt;
use std::str::FromStr;

/// A place such as `OBX[3]-6.1`: the third OBX, field 6, component 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    segment: [u8; 3],
    ordinal: u32,
    // Zero stands for "not given" inside this type only; the accessors say `None`.
    field: u32,
    repetition: u32,
    component: u32,
    subcomponent: u32,
}

impl Location {
    /// The `ordinal`-th segment of this name, counted from one.
    pub const fn segment(name: [u8; 3], ordinal: u32) -> Self {
        Self { segment: name, ordinal, field: 0, repetition: 0, component: 0, subcomponent: 0 }
    }

    #[must_use]
    pub const fn field(self, field: u32) -> Self {
        Self { field, ..self }
    }

    #[must_use]
    pub const fn repetition(self, repetition: u32) -> Self {
        Self { repetition, ..self }
    }

    #[must_use]
    pub const fn component(self, component: u32) -> Self {
        Self { component, ..self }
    }

    #[must_use]
    pub const fn subcomponent(self, subcomponent: u32) -> Self {
        Self { subcomponent, ..self }
    }

    pub fn segment_name(&self) -> &str {
        name_text(&self.segment)
    }

    pub const fn ordinal(&self) -> u32 {
        self.ordinal
    }

    pub const fn field_number(&self) -> Option<u32> {
        given(self.field)
    }

    pub const fn repetition_number(&self) -> Option<u32> {
        given(self.repetition)
    }

    pub const fn component_number(&self) -> Option<u32> {
        given(self.component)
    }

    pub const fn subcomponent_number(&self) -> Option<u32> {
        given(self.subcomponent)
    }

    /// The components of ERR-2 (data type ERL, version 2.5 and later), as far as they are known.
    pub fn err_2(&self) -> Vec<String> {
        // ERL has no way to name a component without a repetition: the first is meant.
        let repetition = if self.component > 0 { self.repetition.max(1) } else { self.repetition };
        self.known([self.field, repetition, self.component, self.subcomponent].as_slice())
    }

    /// The first three components of ERR-1 (data type ELD, before version 2.5), as far as they are known.
    pub fn err_1(&self) -> Vec<String> {
        self.known(&[self.field])
    }

    fn known(&self, numbers: &[u32]) -> Vec<String> {
        let mut components = vec![self.segment_name().to_owned(), self.ordinal.to_string()];
        components.extend(numbers.iter().take_while(|&&number| number > 0).map(ToString::to_string));
        components
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.segment_name())?;
        // A message has one header; every other name may come again, so its number is always shown.
        if self.segment != *b"MSH" || self.ordinal > 1 {
            write!(f, "[{}]", self.ordinal)?;
        }
        if self.field > 0 {
            write!(f, "-{}", self.field)?;
        }
        if self.repetition > 1 {
            write!(f, "[{}]", self.repetition)?;
        }
        if self.component > 0 {
            write!(f, ".{}", self.component)?;
        }
        if self.subcomponent > 0 {
            write!(f, ".{}", self.subcomponent)?;
        }
        Ok(())
    }
}

/// Not a place of a message, such as `line 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in a message")]
pub struct NotAPlace;

/// Reads what `Display` writes.
impl FromStr for Location {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|it| *it > 0).ok_or(NotAPlace);
        let numbered = |text: &str| match text.split_once('[') {
            Some((name, rest)) => {
                let count = rest.strip_suffix(']').ok_or(NotAPlace)?;
                Ok((name.to_owned(), number(count)?))
            }
            None => Ok((text.to_owned(), 0)),
        };
        let (segment, rest) = text.split_once('-').map_or((text, None), |(it, rest)| (it, Some(rest)));
        let (name, ordinal) = numbered(segment)?;
        let name: [u8; 3] = name.as_bytes().try_into().map_err(|_| NotAPlace)?;
        if !name.iter().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit()) {
            return Err(NotAPlace);
        }
        let mut place = Self::segment(name, ordinal.max(1));
        let mut parts = rest.into_iter().flat_map(|rest| rest.split('.'));
        if let Some(field) = parts.next() {
            let (field, repetition) = numbered(field)?;
            place = place.field(number(&field)?).repetition(repetition);
        }
        if let Some(component) = parts.next() {
            place = place.component(number(component)?);
        }
        if let Some(subcomponent) = parts.next() {
            place = place.subcomponent(number(subcomponent)?);
        }
        if parts.next().is_some() { Err(NotAPlace) } else { Ok(place) }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text of a segment name, which is three ASCII characters wherever one is made.
pub(super) fn name_text(name: &[u8; 3]) -> &str {
    std::str::from_utf8(name).unwrap_or("???")
}

const fn given(number: u32) -> Option<u32> {
    if number > 0 { Some(number) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_is_known() {
        let obx = Location::segment(*b"OBX", 3);
        assert_eq!(obx.to_string(), "OBX[3]");
        assert_eq!(obx.field(6).repetition(1).component(1).to_string(), "OBX[3]-6.1");
        assert_eq!(obx.field(5).repetition(2).component(1).subcomponent(4).to_string(), "OBX[3]-5[2].1.4");
        assert_eq!(Location::segment(*b"MSH", 1).field(9).to_string(), "MSH-9");
    }

    #[test]
    fn reads_back_what_it_shows() {
        for shown in ["OBX[3]", "OBX[3]-6.1", "OBX[3]-5[2].1.4", "MSH-9", "ZPD[1]-12"] {
            assert_eq!(shown.parse::<Location>().unwrap().to_string(), shown);
        }
        for other in ["", "line 3", "OBX[0]", "OBX[3]-", "OBX[3]-5.1.2.3", "codes.csv", "PID-x"] {
            assert_eq!(other.parse::<Location>(), Err(NotAPlace), "{other}");
        }
    }

    #[test]
    fn renders_for_err() {
        let pid = Location::segment(*b"PID", 1).field(3).component(4);
        assert_eq!(pid.err_2(), ["PID", "1", "3", "1", "4"]);
        assert_eq!(pid.err_1(), ["PID", "1", "3"]);
        assert_eq!(Location::segment(*b"OBR", 2).err_2(), ["OBR", "2"]);
    }
}
