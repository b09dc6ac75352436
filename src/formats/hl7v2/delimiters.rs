//! The characters MSH-1 and MSH-2 declare, and which of them a message may use.
//!
//! Any ASCII punctuation is accepted. A character that cannot serve (a letter, a line end, one already taken)
//! is not replaced by a standard one: its role stays empty, and the decoder reports it.

/// The delimiters of one message. A role that MSH-2 leaves out, or fills with an unusable character, is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    pub field: u8,
    pub component: Option<u8>,
    pub repetition: Option<u8>,
    pub escape: Option<u8>,
    pub subcomponent: Option<u8>,
    /// Version 2.7 and later (chapter 2, §2.5.5.2): ends a value that was cut short.
    pub truncation: Option<u8>,
}

impl Delimiters {
    /// `|^~\&`, the characters chapter 2 recommends.
    pub const STANDARD: Self = Self {
        field: b'|',
        component: Some(b'^'),
        repetition: Some(b'~'),
        escape: Some(b'\\'),
        subcomponent: Some(b'&'),
        truncation: None,
    };

    /// Reads MSH-1 and MSH-2; the second value says whether every character found a role of its own.
    pub(super) fn read(field: u8, encoding_characters: &[u8]) -> (Self, bool) {
        let mut roles = [None; 5];
        let mut sound = encoding_characters.len() <= roles.len();
        for (index, &character) in encoding_characters.iter().take(roles.len()).enumerate() {
            if usable(character) && character != field && !roles.contains(&Some(character)) {
                roles[index] = Some(character);
            } else {
                sound = false;
            }
        }
        let [component, repetition, escape, subcomponent, truncation] = roles;
        (Self { field, component, repetition, escape, subcomponent, truncation }, sound)
    }

    /// MSH-2 as these delimiters are written.
    pub fn encoding_characters(&self) -> String {
        self.roles().into_iter().map_while(|role| role.map(char::from)).collect()
    }

    /// The same delimiters with every empty role filled, so that anything can be written with them.
    ///
    /// The standard character is taken where it is free, else the first free punctuation.
    #[must_use]
    pub fn completed(mut self) -> Self {
        self.component = self.component.or_else(|| self.free(b'^'));
        self.repetition = self.repetition.or_else(|| self.free(b'~'));
        self.escape = self.escape.or_else(|| self.free(b'\\'));
        self.subcomponent = self.subcomponent.or_else(|| self.free(b'&'));
        self
    }

    fn free(&self, wanted: u8) -> Option<u8> {
        let taken = |character| character == self.field || self.roles().contains(&Some(character));
        std::iter::once(wanted).chain(b'!'..=b'/').find(|&character| usable(character) && !taken(character))
    }

    fn roles(&self) -> [Option<u8>; 5] {
        [self.component, self.repetition, self.escape, self.subcomponent, self.truncation]
    }
}

/// Whether a character may delimit: ASCII, and neither text, nor a line end, nor an MLLP byte, nor the quote
/// that writes an explicit null.
pub(super) fn usable(character: u8) -> bool {
    character.is_ascii()
        && !character.is_ascii_alphanumeric()
        && !matches!(character, b'\r' | b'\n' | 0x0B | 0x1C | b' ' | b'"' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoding_characters: &[u8], sound: bool, written: &str) {
        let (delimiters, found) = Delimiters::read(b'|', encoding_characters);
        assert_eq!((found, delimiters.encoding_characters().as_str()), (sound, written));
    }

    #[test]
    fn reads_msh_2() {
        check(br"^~\&", true, r"^~\&");
        check(br"^~\&#", true, r"^~\&#");
        check(b"!%*@", true, "!%*@");
        check(b"^~", true, "^~");
        check(b"^^", false, "^");
        check(b"^~|&", false, "^~");
        check(br"^~\&#x", false, r"^~\&#");
        check(b"", true, "");
    }

    #[test]
    fn completes_without_taking_a_character_twice() {
        let (delimiters, _) = Delimiters::read(b'^', b"&");
        let full = delimiters.completed();
        assert_eq!(full.encoding_characters(), r"&~\!");
        assert_eq!(full.completed(), full);
    }
}
