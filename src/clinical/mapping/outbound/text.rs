//! Text with named slots: `Blood test report {report.collected_on} [{marker}]`.

use crate::clinical::mapping::outbound::CaseView;
use crate::clinical::mapping::outbound::Marker;
use crate::clinical::mapping::outbound::case::Path;
use crate::formats::cliniko::html;

/// A text whose slots are known paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Marker,
    /// Left out, with the literals of its `{?…}` group, where the case does not have it.
    Optional(Vec<Part>),
    Slot(Path),
}

/// The name in a slot that no case has, or a brace without its partner.
pub(super) enum BadText {
    Brace,
    Unknown(String),
}

impl Text {
    /// Reads the slots: `{path}`, `{marker}`, and `{?…}` around a part that is left out when one of its slots is empty.
    pub(super) fn parse(text: &str) -> Result<Self, BadText> {
        let (parts, rest) = parts(text, false)?;
        if rest.is_empty() { Ok(Self(parts)) } else { Err(BadText::Brace) }
    }

    /// Whether the marker stands in it, in brackets, whatever the case has.
    pub(super) fn is_marked(&self) -> bool {
        self.0.windows(3).any(|parts| {
            matches!(parts, [Part::Literal(before), Part::Marker, Part::Literal(after)]
                if before.ends_with('[') && after.starts_with(']'))
        })
    }

    /// The text of this case on one line; what the case lacks is added to `missing`.
    pub(super) fn fill(&self, case: &CaseView, marker: &Marker, missing: &mut Vec<Path>) -> String {
        html::one_line(&fill(&self.0, case, marker, missing))
    }
}

fn fill(parts: &[Part], case: &CaseView, marker: &Marker, missing: &mut Vec<Path>) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => out.push_str(literal),
            Part::Marker => out.push_str(marker.as_str()),
            Part::Optional(parts) => {
                let mut absent = Vec::new();
                let text = fill(parts, case, marker, &mut absent);
                if absent.is_empty() {
                    out.push_str(&text);
                }
            }
            Part::Slot(path) => match path.of(case) {
                Some(value) => out.push_str(&value),
                None => missing.push(*path),
            },
        }
    }
    out
}

/// Reads up to the end, or to the brace that closes the group it is in.
fn parts(mut text: &str, in_group: bool) -> Result<(Vec<Part>, &str), BadText> {
    let mut parts = Vec::new();
    loop {
        let Some(at) = text.find(['{', '}']) else {
            parts.push(Part::Literal(text.to_owned()));
            return if in_group { Err(BadText::Brace) } else { Ok((parts, "")) };
        };
        let (literal, brace) = text.split_at(at);
        parts.push(Part::Literal(literal.to_owned()));
        if brace.starts_with('}') {
            return if in_group {
                Ok((parts, brace.strip_prefix('}').unwrap_or("")))
            } else {
                Err(BadText::Brace)
            };
        }
        if let Some(group) = brace.strip_prefix("{?") {
            // One level is enough for any sentence, and keeps the reading bounded.
            if in_group {
                return Err(BadText::Brace);
            }
            let (inside, rest) = self::parts(group, true)?;
            parts.push(Part::Optional(inside));
            text = rest;
            continue;
        }
        let (name, rest) = brace.strip_prefix('{').and_then(|it| it.split_once('}')).ok_or(BadText::Brace)?;
        parts.push(match name {
            "marker" => Part::Marker,
            name => Part::Slot(Path::find(name).ok_or_else(|| BadText::Unknown(name.to_owned()))?),
        });
        text = rest;
    }
}
