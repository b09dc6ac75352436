//! Writing messages: a decoded tree back to bytes, and new messages field by field.
//!
//! Everything goes through [`Writer`], which escapes; text given to it reads back the same.

use thiserror::Error;

use crate::formats::hl7v2::Element;
use crate::formats::hl7v2::Message;
use crate::formats::hl7v2::Segment;
use crate::formats::hl7v2::charset::Charset;
use crate::formats::hl7v2::decode::Level;
use crate::formats::hl7v2::delimiters::Delimiters;
use crate::formats::hl7v2::escape;
use crate::formats::hl7v2::escape::Token;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("the message has a character that {charset} cannot write")]
    NotInCharset { charset: &'static str },
}

/// Rebuilds a message from its tree, in its own delimiters and character set, each segment ended by CR.
///
/// The bytes are those of the input if `decode` found no deviation in it.
pub fn encode(message: &Message<'_>) -> Result<Vec<u8>, Error> {
    encode_with(message, message.delimiters(), message.charset())
}

/// Rebuilds a message in other delimiters or another character set. MSH-18 is not changed.
pub fn encode_with(
    message: &Message<'_>,
    delimiters: Delimiters,
    charset: Charset,
) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new(delimiters);
    for segment in message.segments() {
        writer.copy(segment);
    }
    match writer.finish(charset) {
        (bytes, true) => Ok(bytes),
        (_, false) => Err(Error::NotInCharset { charset: charset.name() }),
    }
}

/// Builds a message segment by segment. It has no `Debug`: its text is a patient's.
pub struct Writer {
    delimiters: Delimiters,
    text: String,
}

impl Writer {
    /// Roles that the delimiters leave empty are filled, because a writer must be able to escape.
    pub fn new(delimiters: Delimiters) -> Self {
        Self { delimiters: delimiters.completed(), text: String::new() }
    }

    /// Begins a segment. MSH, FHS and BHS come with their fields 1 and 2; the next field is the third.
    pub fn segment(&mut self, name: &str) -> &mut Self {
        self.end_segment();
        self.text.push_str(name);
        if matches!(name, "MSH" | "FHS" | "BHS") {
            self.text.push(char::from(self.delimiters.field));
            self.text.push_str(&self.delimiters.encoding_characters());
        }
        self
    }

    /// Adds a field of plain text.
    pub fn field(&mut self, text: &str) -> &mut Self {
        self.components(&[text])
    }

    /// Adds a field of components. Trailing empty ones are not written.
    pub fn components<S: AsRef<str>>(&mut self, components: &[S]) -> &mut Self {
        self.text.push(char::from(self.delimiters.field));
        self.parts(Level::Component, components)
    }

    /// Adds a repetition to the field just begun.
    pub fn repetition<S: AsRef<str>>(&mut self, components: &[S]) -> &mut Self {
        self.delimiter(Level::Repetition);
        self.parts(Level::Component, components)
    }

    /// Adds the `number`-th component, made of subcomponents, to a field begun with `written` components.
    pub fn subcomponents<S: AsRef<str>>(
        &mut self,
        number: usize,
        written: usize,
        subcomponents: &[S],
    ) -> &mut Self {
        for _ in written.max(1)..number {
            self.delimiter(Level::Component);
        }
        self.parts(Level::Subcomponent, subcomponents)
    }

    /// Adds a field taken from a decoded message, its structure and escapes kept.
    pub fn element(&mut self, element: &Element<'_>) -> &mut Self {
        self.text.push(char::from(self.delimiters.field));
        let from = element.message.delimiters();
        for (leaf, after) in element.pieces() {
            self.leaf(leaf, &from);
            if let Some(level) = after {
                self.delimiter(level);
            }
        }
        self
    }

    /// Adds a segment taken from a decoded message.
    pub fn copy(&mut self, segment: Segment<'_>) -> &mut Self {
        self.segment(segment.name());
        let header = matches!(segment.name(), "MSH" | "FHS" | "BHS");
        for field in segment.fields().skip(if header { 2 } else { 0 }) {
            self.element(&field);
        }
        self
    }

    /// The message's bytes, and whether every character could be written; one that could not is `?`.
    pub fn finish(mut self, charset: Charset) -> (Vec<u8>, bool) {
        self.end_segment();
        charset.encode(&self.text)
    }

    fn end_segment(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\r');
        }
    }

    fn parts<S: AsRef<str>>(&mut self, level: Level, parts: &[S]) -> &mut Self {
        let count = parts.iter().rposition(|part| !part.as_ref().is_empty()).map_or(0, |last| last + 1);
        for (number, part) in parts.iter().take(count).enumerate() {
            if number > 0 {
                self.delimiter(level);
            }
            escape::encode(part.as_ref(), &self.delimiters, &mut self.text);
        }
        self
    }

    fn delimiter(&mut self, level: Level) {
        let role = match level {
            Level::Repetition => self.delimiters.repetition,
            Level::Component => self.delimiters.component,
            Level::Subcomponent => self.delimiters.subcomponent,
        };
        self.text.push(char::from(role.expect("a writer's delimiters are complete")));
    }

    fn leaf(&mut self, leaf: &str, from: &Delimiters) {
        let escape_to = self.delimiters.escape.expect("a writer's delimiters are complete");
        // The truncation character means itself inside a value, and is escaped only where it becomes one.
        let truncation = self.delimiters.truncation.filter(|_| from.truncation != self.delimiters.truncation);
        let delimiters = Delimiters { truncation, ..self.delimiters };
        for token in escape::tokens(leaf, from.escape) {
            match token {
                Token::Text(text) => escape::encode(text, &delimiters, &mut self.text),
                Token::Escape(body, _) => escape::keep(&mut self.text, escape_to, body),
                Token::Unknown | Token::Unterminated => {
                    let character = from.escape.map(char::from).unwrap_or_default();
                    escape::encode(character.encode_utf8(&mut [0; 4]), &delimiters, &mut self.text);
                }
            }
        }
    }
}
