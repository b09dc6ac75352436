//! What a message in XML does that the XML encoding rules do not foresee, and where. It holds no text of the message.

use std::fmt;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;

/// More deviations than this are counted and not kept.
const DEVIATIONS_MAX: usize = 1000;

/// One thing out of order, while everything that has a place in ER7 was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    pub kind: Kind,
    /// Of the XML, from one.
    pub line: usize,
    /// The place in the message as far as it is known, such as `PID-3`; else empty.
    pub location: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// MSH-18 was replaced: the bytes are UTF-8 now.
    CharsetReplaced,
    /// MSH.1 or MSH.2 cannot serve; the standard delimiters stand in their place.
    DelimitersReplaced,
    /// An escape sequence of ER7 stands in the text, and was taken as one.
    EscapeInText,
    /// An `escape` element whose sequence ER7 does not know.
    EscapeUnknown,
    /// Further deviations that were counted but not kept.
    More { count: usize },
    /// The message is in no namespace.
    NamespaceMissing,
    /// A number is lower than one before it.
    OutOfOrder,
    /// A component stands twice; only fields repeat. The later is not in the ER7.
    PartTwice,
    /// Text between elements; not in the ER7.
    TextBesideElements,
    /// An element below subcomponents; not in the ER7.
    TooDeep,
    /// An element whose name gives it no place; what is in it is not in the ER7.
    Unplaced,
}

impl Kind {
    pub const fn severity(self) -> Severity {
        match self {
            Self::CharsetReplaced | Self::NamespaceMissing => Severity::Info,
            Self::DelimitersReplaced | Self::EscapeInText | Self::OutOfOrder => Severity::Warning,
            Self::EscapeUnknown
            | Self::More { .. }
            | Self::PartTwice
            | Self::TextBesideElements
            | Self::TooDeep
            | Self::Unplaced => Severity::Error,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::More { count } => return write!(f, "{count} further deviations are not listed"),
            Self::CharsetReplaced => "the message is read as UTF-8, whatever MSH.18 says",
            Self::DelimitersReplaced => {
                "MSH.1 or MSH.2 has characters that cannot delimit; the standard ones were taken"
            }
            Self::EscapeInText => "an escape sequence of ER7 stands in text, and was taken as one",
            Self::EscapeUnknown => "an escape element has a sequence that is not known",
            Self::NamespaceMissing => "the message is not in the namespace urn:hl7-org:v2xml, nor in any",
            Self::OutOfOrder => "an element stands after one with a higher number",
            Self::PartTwice => "a component or subcomponent stands twice; the later one was not read",
            Self::TextBesideElements => "text stands between elements and was not read",
            Self::TooDeep => "an element stands deeper than a subcomponent and was not read",
            Self::Unplaced => "an element's name gives it no place in the message, and it was not read",
        })
    }
}

impl Deviation {
    pub const fn code(&self) -> &'static str {
        match self.kind {
            Kind::DelimitersReplaced => "H074",
            Kind::PartTwice | Kind::TextBesideElements | Kind::TooDeep | Kind::Unplaced => "H075",
            Kind::OutOfOrder => "H076",
            Kind::EscapeInText | Kind::EscapeUnknown => "H077",
            Kind::CharsetReplaced | Kind::NamespaceMissing => "H078",
            Kind::More { .. } => "H079",
        }
    }

    pub fn diagnostic(&self) -> Diagnostic {
        let help = match self.kind {
            Kind::CharsetReplaced | Kind::NamespaceMissing => "nothing need be done",
            Kind::DelimitersReplaced => "ask the sender to write MSH.1 as `|` and MSH.2 as `^~\\&`",
            Kind::EscapeInText | Kind::EscapeUnknown => {
                "ask the sender to write formatting as `<escape V=\".br\"/>` and everything else as plain text"
            }
            Kind::More { .. } => "correct those that are listed, and read the message again",
            _ => "ask the sender to check the message against HL7's XML schema of its version",
        };
        let code = Code::new(self.code());
        let message = self.kind.to_string();
        let diagnostic = match self.kind.severity() {
            Severity::Info => Diagnostic::info(code, message),
            Severity::Warning => Diagnostic::warning(code, message),
            Severity::Error => Diagnostic::error(code, message),
        };
        let line = format!("line {}", self.line);
        let position = if self.location.is_empty() { line.clone() } else { self.location.clone() };
        diagnostic.at(position).fact(format!("{line} of the XML")).help(help)
    }
}

/// A list with an end.
#[derive(Default)]
pub(super) struct Deviations {
    kept: Vec<Deviation>,
    more: usize,
}

impl Deviations {
    pub(super) fn push(&mut self, kind: Kind, line: impl FnOnce() -> usize, location: &str) {
        if self.kept.len() < DEVIATIONS_MAX {
            self.kept.push(Deviation { kind, line: line(), location: location.to_owned() });
        } else {
            self.more += 1;
        }
    }

    pub(super) fn finish(mut self) -> Vec<Deviation> {
        if self.more > 0 {
            let line = self.kept.last().map_or(1, |it| it.line);
            let kind = Kind::More { count: self.more };
            self.kept.push(Deviation { kind, line, location: String::new() });
        }
        self.kept
    }
}
