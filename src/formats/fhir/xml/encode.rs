//! Members to elements.

use crate::formats::fhir::xml::EncodeError;
use crate::formats::fhir::xml::decode::is_name;
use crate::formats::fhir::xml::decode::is_resource_name;
use crate::formats::tree::Node;
use crate::formats::xml;
use crate::formats::xml::Namespace;

type Members = [(String, Node)];

pub(super) fn document(node: &Node) -> Result<String, EncodeError> {
    let mut writer = Writer { text: String::new(), path: Vec::new() };
    let Some((kind, members)) = as_resource(node) else { return Err(EncodeError::NotAResource) };
    writer.resource(kind, members, true)?;
    Ok(writer.text)
}

fn as_resource(node: &Node) -> Option<(&str, &Members)> {
    let Node::Object(members) = node else { return None };
    let kind = node.get("resourceType")?.text().filter(|kind| is_resource_name(kind))?;
    Some((kind, members))
}

struct Writer<'n> {
    text: String,
    /// The names of the elements that are open, for errors.
    path: Vec<&'n str>,
}

impl<'n> Writer<'n> {
    fn resource(&mut self, kind: &'n str, members: &'n Members, root: bool) -> Result<(), EncodeError> {
        self.path.push(kind);
        self.text.push('<');
        self.text.push_str(kind);
        if root {
            self.text.push_str(" xmlns=\"");
            self.text.push_str(Namespace::FHIR);
            self.text.push('"');
        }
        let before = self.text.len();
        self.text.push('>');
        for (name, value) in members.iter().filter(|(name, _)| name != "resourceType") {
            self.member(name, value, members)?;
        }
        self.end(kind, before);
        self.path.pop();
        Ok(())
    }

    /// One member of an object, with what its `_name` adds. A `_name` is written with its `name`, or alone.
    fn member(&mut self, name: &'n str, value: &'n Node, members: &'n Members) -> Result<(), EncodeError> {
        let find = |name: &str| members.iter().find(|(it, _)| it == name).map(|(_, node)| node);
        let (name, values, others) = match name.strip_prefix('_') {
            Some(plain) if find(plain).is_some() => return Ok(()),
            Some(plain) => (plain, &Node::Null, value),
            None => (name, value, find(&format!("_{name}")).unwrap_or(&Node::Null)),
        };
        if !is_name(name) {
            return Err(EncodeError::Name { at: self.at() });
        }
        self.path.push(name);
        let (values, others) = (values.items(), others.items());
        for at in 0..values.len().max(others.len()) {
            self.element(name, values.get(at).unwrap_or(&Node::Null), others.get(at).unwrap_or(&Node::Null))?;
        }
        self.path.pop();
        Ok(())
    }

    fn element(&mut self, name: &'n str, value: &'n Node, other: &'n Node) -> Result<(), EncodeError> {
        match (value, other) {
            (Node::Text(div), Node::Null) if name == "div" => self.narrative(div),
            (Node::Object(members), Node::Null) => {
                if let Some((kind, members)) = as_resource(value) {
                    self.text.push('<');
                    self.text.push_str(name);
                    let before = self.text.len();
                    self.text.push('>');
                    self.resource(kind, members, false)?;
                    self.end(name, before);
                    return Ok(());
                }
                self.composed(name, None, members)
            }
            (Node::Object(_) | Node::List(_), _) | (_, Node::List(_)) => {
                Err(EncodeError::Shape { at: self.at() })
            }
            (scalar, Node::Object(members)) => self.composed(name, scalar.text(), members),
            (scalar, Node::Null) => self.composed(name, scalar.text(), &[]),
            _ => Err(EncodeError::Shape { at: self.at() }),
        }
    }

    /// An element with its attributes and elements: `id`, `url` of an extension, and the value of a primitive.
    fn composed(
        &mut self,
        name: &'n str,
        value: Option<&str>,
        members: &'n Members,
    ) -> Result<(), EncodeError> {
        self.text.push('<');
        self.text.push_str(name);
        let is_extension = matches!(name, "extension" | "modifierExtension");
        let is_attribute = |it: &str| it == "id" || it == "url" && is_extension;
        for (member, node) in members.iter().filter(|(it, _)| is_attribute(it)) {
            let text = node.text().ok_or_else(|| EncodeError::Shape { at: self.at() })?;
            self.attribute(member, text)?;
        }
        if let Some(value) = value {
            self.attribute("value", value)?;
        }
        let before = self.text.len();
        self.text.push('>');
        for (member, node) in members.iter().filter(|(it, _)| !is_attribute(it)) {
            self.member(member, node, members)?;
        }
        self.end(name, before);
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), EncodeError> {
        if !value.chars().all(xml::is_character) {
            return Err(EncodeError::Character { at: self.at() });
        }
        self.text.push(' ');
        self.text.push_str(name);
        self.text.push_str("=\"");
        xml::escape(value, &mut self.text);
        self.text.push('"');
        Ok(())
    }

    /// A narrative goes in as it stands, once it is known to be one element of XHTML that ends where it should.
    fn narrative(&mut self, div: &str) -> Result<(), EncodeError> {
        let refused = || EncodeError::Div { at: self.at() };
        let root = xml::read(div).map_err(|_| refused())?;
        if root.namespace != Namespace::Xhtml || root.name != "div" || root.prefixed {
            return Err(refused());
        }
        self.text.push_str(root.source);
        Ok(())
    }

    /// Ends the element whose start tag ends at `tag`; one with nothing in it ends itself.
    fn end(&mut self, name: &str, tag: usize) {
        if self.text.len() == tag + 1 {
            self.text.truncate(tag);
            self.text.push_str("/>");
        } else {
            self.text.push_str("</");
            self.text.push_str(name);
            self.text.push('>');
        }
    }

    fn at(&self) -> String {
        self.path.join(".")
    }
}
