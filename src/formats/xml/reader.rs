//! The builder of the tree, over the tokeniser's events.

use std::borrow::Cow;

use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::errors::IllFormedError;
use quick_xml::escape::EscapeError;
use quick_xml::events::BytesRef;
use quick_xml::events::BytesStart;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;

use crate::formats::xml::ATTRIBUTES_MAX;
use crate::formats::xml::Attribute;
use crate::formats::xml::Content;
use crate::formats::xml::DEPTH_MAX;
use crate::formats::xml::Element;
use crate::formats::xml::Error;
use crate::formats::xml::Kind;
use crate::formats::xml::NAME_BYTES_MAX;
use crate::formats::xml::NODES_MAX;
use crate::formats::xml::Namespace;
use crate::formats::xml::is_character;
use crate::formats::xml::is_space;
use crate::formats::xml::place;

/// Hints about schemas; they say nothing about the message.
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

pub(super) fn read(text: &str) -> Result<Element<'_>, Error> {
    let located = |kind, offset| {
        let (line, column) = place(text, offset);
        Error { kind, line, column }
    };
    if let Some((offset, _)) = text.char_indices().find(|(_, it)| !is_character(*it)) {
        return Err(located(Kind::Character, offset));
    }
    let mut builder =
        Builder { text, events: NsReader::from_str(text), open: Vec::new(), root: None, nodes: 0 };
    loop {
        let offset = builder.offset();
        match builder.step(offset) {
            Ok(true) => {}
            Ok(false) => break,
            Err(kind) => return Err(located(kind, offset)),
        }
    }
    builder.root.ok_or_else(|| located(ill("there is no element"), text.len()))
}

const fn ill(reason: &'static str) -> Kind {
    Kind::NotWellFormed { reason }
}

struct Builder<'t> {
    text: &'t str,
    events: NsReader<&'t [u8]>,
    /// The elements that are begun and not ended, the innermost last.
    open: Vec<Element<'t>>,
    root: Option<Element<'t>>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn offset(&self) -> usize {
        usize::try_from(self.events.buffer_position()).unwrap_or(usize::MAX)
    }

    /// Takes the event that begins here; false at the end.
    fn step(&mut self, offset: usize) -> Result<bool, Kind> {
        match self.events.read_event().map_err(|error| refusal(&error))? {
            Event::Start(start) => {
                let element = self.element(&start, offset)?;
                self.open.push(element);
            }
            Event::Empty(start) => {
                let mut element = self.element(&start, offset)?;
                element.source = self.text.get(offset..self.offset()).unwrap_or_default();
                self.add(element);
            }
            Event::End(_) => {
                let mut element = self.open.pop().ok_or(ill("an end tag ends nothing"))?;
                element.source = self.text.get(element.offset..self.offset()).unwrap_or_default();
                self.add(element);
            }
            Event::Text(text) => {
                if text.contains("]]>") {
                    return Err(ill("`]]>` stands in text"));
                }
                self.add_text(text.xml10_content())?;
            }
            Event::CData(text) if self.open.is_empty() => {
                drop(text);
                return Err(ill("text stands outside the root"));
            }
            Event::CData(text) => self.add_text(text.xml10_content())?,
            Event::GeneralRef(reference) => {
                if self.open.is_empty() {
                    return Err(ill("text stands outside the root"));
                }
                let mut buffer = [0; 4];
                let character = referenced(&reference)?;
                self.add_text(Cow::Borrowed(character.encode_utf8(&mut buffer)))?;
            }
            Event::Comment(_) | Event::PI(_) => {}
            Event::Decl(_) if offset == 0 => {}
            Event::Decl(_) => return Err(ill("the XML declaration is not at the beginning")),
            Event::DocType(_) => return Err(Kind::Doctype),
            Event::Eof if self.open.is_empty() => return Ok(false),
            Event::Eof => return Err(ill("an element is not ended")),
        }
        Ok(true)
    }

    fn element(&mut self, start: &BytesStart<'_>, offset: usize) -> Result<Element<'t>, Kind> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Kind::TooDeep { max: DEPTH_MAX });
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err(ill("there is a second root"));
        }
        self.count()?;
        let qualified = start.name().0.len();
        let name = self.text.get(offset + 1..offset + 1 + qualified).unwrap_or_default();
        check_name(name)?;
        let (prefix, local) = name.split_once(':').map_or(("", name), |(prefix, local)| (prefix, local));
        let namespace = match self.events.resolver().resolve_element(start.name()).0 {
            ResolveResult::Bound(namespace) => Namespace::of(namespace.0),
            ResolveResult::Unbound => Namespace::None,
            ResolveResult::Unknown(_) => return Err(ill("a prefix is not declared")),
        };
        let (attributes, declares_default) = self.attributes(start)?;
        let prefixed = !prefix.is_empty();
        Ok(Element {
            namespace,
            name: local,
            prefixed,
            declares_default,
            attributes,
            content: Vec::new(),
            source: "",
            offset,
        })
    }

    fn attributes(&mut self, start: &BytesStart<'_>) -> Result<(Vec<Attribute>, bool), Kind> {
        let mut attributes = Vec::new();
        let mut declares_default = false;
        for (at, attribute) in start.attributes().enumerate() {
            let attribute =
                attribute.map_err(|_| ill("an attribute is not written once, as name=\"value\""))?;
            if at >= ATTRIBUTES_MAX {
                return Err(Kind::TooManyAttributes { max: ATTRIBUTES_MAX });
            }
            self.count()?;
            let name = attribute.key.0;
            check_name(name)?;
            if attribute.value.contains('<') {
                return Err(ill("`<` stands in an attribute"));
            }
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| refusal(&error))?;
            if !value.chars().all(is_character) {
                return Err(Kind::Character);
            }
            if name == "xmlns" || name.starts_with("xmlns:") {
                declares_default |= name == "xmlns";
                continue;
            }
            match self.events.resolver().resolve_attribute(attribute.key).0 {
                ResolveResult::Bound(namespace) if namespace.0 == SCHEMA_INSTANCE => {}
                ResolveResult::Unknown(_) => return Err(ill("a prefix is not declared")),
                _ => attributes.push(Attribute { name: name.to_owned(), value: value.into_owned() }),
            }
        }
        Ok((attributes, declares_default))
    }

    fn add(&mut self, element: Element<'t>) {
        match self.open.last_mut() {
            Some(parent) => parent.content.push(Content::Element(element)),
            None => self.root = Some(element),
        }
    }

    fn add_text(&mut self, text: Cow<'_, str>) -> Result<(), Kind> {
        let Some(parent) = self.open.last_mut() else {
            let is_layout = text.chars().all(is_space);
            return if is_layout { Ok(()) } else { Err(ill("text stands outside the root")) };
        };
        match parent.content.last_mut() {
            Some(Content::Text(before)) => before.push_str(&text),
            _ => parent.content.push(Content::Text(text.into_owned())),
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Kind> {
        self.nodes += 1;
        if self.nodes > NODES_MAX { Err(Kind::TooMany { max: NODES_MAX }) } else { Ok(()) }
    }
}

/// The character a reference in text stands for.
fn referenced(reference: &BytesRef<'_>) -> Result<char, Kind> {
    let character = match reference.resolve_char_ref() {
        Err(_) => return Err(Kind::Character),
        Ok(Some(character)) => character,
        Ok(None) => match &**reference {
            "amp" => '&',
            "apos" => '\'',
            "gt" => '>',
            "lt" => '<',
            "quot" => '"',
            _ => return Err(Kind::Entity),
        },
    };
    if is_character(character) { Ok(character) } else { Err(Kind::Character) }
}

/// A name as XML has it, but for letters that no format here uses.
fn check_name(name: &str) -> Result<(), Kind> {
    if name.len() > NAME_BYTES_MAX {
        return Err(Kind::NameTooLong { max: NAME_BYTES_MAX });
    }
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && part.chars().all(|it| it.is_alphanumeric() || matches!(it, '_' | '-' | '.'))
    };
    let sound = match name.split_once(':') {
        Some((prefix, local)) => is_part(prefix) && is_part(local),
        None => is_part(name),
    };
    if sound { Ok(()) } else { Err(ill("a name is no name")) }
}

/// The tokeniser's refusal in our words: its own may quote the text.
fn refusal(error: &quick_xml::Error) -> Kind {
    use quick_xml::Error;
    match error {
        Error::Escape(EscapeError::UnrecognizedEntity(..)) => Kind::Entity,
        Error::Escape(EscapeError::InvalidCharRef(_)) => Kind::Character,
        Error::Escape(_) => ill("`&` begins no reference"),
        Error::IllFormed(IllFormedError::UnclosedReference) => ill("`&` begins no reference"),
        Error::IllFormed(_) => ill("tags do not begin and end each other"),
        Error::InvalidAttr(_) => ill("an attribute is not written once, as name=\"value\""),
        Error::Namespace(_) => ill("a namespace is declared as none may be"),
        Error::Syntax(_) | Error::Io(_) | Error::Encoding(_) => ill("markup is not ended"),
    }
}
