//! The reader: one pass over the text, one function for each rule of the grammar.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::formats::json::BYTES_MAX;
use crate::formats::json::DEPTH_MAX;
use crate::formats::json::Error;
use crate::formats::json::Kind;
use crate::formats::json::NAME_BYTES_MAX;
use crate::formats::json::NODES_MAX;
use crate::formats::tree::Node;

pub(super) fn read(bytes: &[u8]) -> Result<Node, Error> {
    if bytes.len() > BYTES_MAX {
        let kind = Kind::TooLong { max: BYTES_MAX };
        return Err(Error { kind, line: 1, column: 1, pointer: String::new() });
    }
    let body = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => {
            let (before, _) = body.split_at(error.valid_up_to());
            return Err(located(Kind::NotUtf8, &String::from_utf8_lossy(before), String::new()));
        }
    };
    let mut reader = Reader { text, at: 0, path: Vec::new(), nodes: 0 };
    reader.document().map_err(|kind| {
        let before = text.get(..reader.at).unwrap_or(text);
        located(kind, before, reader.pointer())
    })
}

fn located(kind: Kind, before: &str, pointer: String) -> Error {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Error { kind, line, column, pointer }
}

/// One step into the tree: what the pointer of an error is made of.
enum Step<'a> {
    Member(Cow<'a, str>),
    Item(usize),
}

struct Reader<'a> {
    text: &'a str,
    /// Bytes read; after an error, where it is.
    at: usize,
    /// The way to the value being read; left as it was when an error was found.
    path: Vec<Step<'a>>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, Kind> {
        let node = self.value()?;
        self.space();
        if self.peek().is_some() { Err(Kind::Extra) } else { Ok(node) }
    }

    fn value(&mut self) -> Result<Node, Kind> {
        self.space();
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(Kind::TooMany { max: NODES_MAX });
        }
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::list),
            Some(b'"') => Ok(Node::Text(self.string()?.into_owned())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Node::Bool(true)),
            Some(b'f') => self.word("false", Node::Bool(false)),
            Some(b'n') => self.word("null", Node::Null),
            Some(_) => Err(Kind::Syntax { expected: "a value" }),
            None => Err(Kind::Unfinished),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Node, Kind>) -> Result<Node, Kind> {
        // The path is as long as the containers that are open: each has one step in it while a value of it is read.
        if self.path.len() >= DEPTH_MAX {
            return Err(Kind::TooDeep { max: DEPTH_MAX });
        }
        self.at += 1;
        read(self)
    }

    fn object(&mut self) -> Result<Node, Kind> {
        let mut members = Vec::new();
        let mut names = BTreeSet::new();
        if self.closes(b'}') {
            return Ok(Node::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            let name = match self.peek() {
                Some(b'"') => self.string()?,
                Some(_) => return Err(Kind::Syntax { expected: "a member's name in quotes" }),
                None => return Err(Kind::Unfinished),
            };
            let refused = if name.len() > NAME_BYTES_MAX {
                Some(Kind::NameTooLong { max: NAME_BYTES_MAX })
            } else if names.insert(name.clone()) {
                None
            } else {
                Some(Kind::NameTwice)
            };
            if let Some(kind) = refused {
                self.at = start;
                return Err(kind);
            }
            self.space();
            self.expect(b':', "a colon")?;
            self.path.push(Step::Member(name.clone()));
            let value = self.value()?;
            self.path.pop();
            members.push((name.into_owned(), value));
            if self.closes(b'}') {
                return Ok(Node::Object(members));
            }
            self.expect(b',', "a comma or the end of the object")?;
        }
    }

    fn list(&mut self) -> Result<Node, Kind> {
        let mut items = Vec::new();
        if self.closes(b']') {
            return Ok(Node::List(items));
        }
        loop {
            self.path.push(Step::Item(items.len()));
            items.push(self.value()?);
            self.path.pop();
            if self.closes(b']') {
                return Ok(Node::List(items));
            }
            self.expect(b',', "a comma or the end of the list")?;
        }
    }

    /// A number, its text kept: the grammar is checked, nothing is computed.
    fn number(&mut self) -> Result<Node, Kind> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        if self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
            return Err(Kind::Syntax { expected: "the end of the number" });
        }
        Ok(Node::Number(self.since(start).to_owned()))
    }

    fn digits(&mut self) -> Result<(), Kind> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.peek() {
            _ if self.at > start => Ok(()),
            None => Err(Kind::Unfinished),
            Some(_) => Err(Kind::Syntax { expected: "a digit" }),
        }
    }

    fn word(&mut self, word: &str, node: Node) -> Result<Node, Kind> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(node)
        } else if word.starts_with(rest) {
            Err(Kind::Unfinished)
        } else {
            Err(Kind::Syntax { expected: "a value" })
        }
    }

    /// A string, borrowed if no escape is in it.
    fn string(&mut self) -> Result<Cow<'a, str>, Kind> {
        self.at += 1;
        let mut text = Cow::Borrowed("");
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            let run = self.since(start);
            if text.is_empty() {
                text = Cow::Borrowed(run);
            } else {
                text.to_mut().push_str(run);
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    let character = self.escape()?;
                    text.to_mut().push(character);
                }
                Some(_) => return Err(Kind::ControlCharacter),
                None => return Err(Kind::Unfinished),
            }
        }
    }

    /// One escape, of which the backslash is next.
    fn escape(&mut self) -> Result<char, Kind> {
        let start = self.at;
        self.at += 1;
        let Some(letter) = self.peek() else { return Err(Kind::Unfinished) };
        self.at += 1;
        let read = match letter {
            b'"' => Ok('"'),
            b'\\' => Ok('\\'),
            b'/' => Ok('/'),
            b'b' => Ok('\u{8}'),
            b'f' => Ok('\u{c}'),
            b'n' => Ok('\n'),
            b'r' => Ok('\r'),
            b't' => Ok('\t'),
            b'u' => self.unicode(),
            _ => Err(Kind::EscapeUnknown),
        };
        if read.is_err() {
            self.at = start;
        }
        read
    }

    fn unicode(&mut self) -> Result<char, Kind> {
        let first = self.unit()?;
        let code = if (0xD800..0xDC00).contains(&first) {
            if !(self.take(b'\\') && self.take(b'u')) {
                return Err(Kind::LoneSurrogate);
            }
            let second = self.unit()?;
            if !(0xDC00..0xE000).contains(&second) {
                return Err(Kind::LoneSurrogate);
            }
            0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
        } else {
            first
        };
        char::from_u32(code).ok_or(Kind::LoneSurrogate)
    }

    fn unit(&mut self) -> Result<u32, Kind> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = self.peek().ok_or(Kind::Unfinished)?;
            value = value * 16 + char::from(digit).to_digit(16).ok_or(Kind::EscapeUnknown)?;
            self.at += 1;
        }
        Ok(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Kind> {
        match self.peek() {
            _ if self.take(byte) => Ok(()),
            None => Err(Kind::Unfinished),
            Some(_) => Err(Kind::Syntax { expected }),
        }
    }

    /// Takes the end of a container, if it is next.
    fn closes(&mut self, end: u8) -> bool {
        self.space();
        self.take(end)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn pointer(&self) -> String {
        self.path
            .iter()
            .map(|step| match step {
                Step::Member(name) => format!("/{}", shown(name)),
                Step::Item(number) => format!("/{number}"),
            })
            .collect()
    }
}

/// A member's name as an error may show it: one that looks like a name, else `*`. No name that is shown holds a
/// character that a pointer would have to escape.
fn shown(name: &str) -> &str {
    const SHOWN_BYTES_MAX: usize = 64;
    let like_a_name = name.len() <= SHOWN_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '_' | '$' | '@'))
        && name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'@' | b'-' | b'.' | b':')
        });
    if like_a_name { name } else { "*" }
}
