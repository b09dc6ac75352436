//! Elements to members.

use std::collections::BTreeMap;

use crate::formats::fhir::xml::Kind;
use crate::formats::fhir::xml::primitive::is_primitive;
use crate::formats::tree::Node;
use crate::formats::xml::Content;
use crate::formats::xml::Element;
use crate::formats::xml::Namespace;
use crate::formats::xml::escape;

/// What is wrong, and where in the text.
type Refusal = (Kind, usize);
type Members = Vec<(String, Node)>;

pub(super) fn resource(element: &Element<'_>) -> Result<Node, Refusal> {
    if element.namespace != Namespace::Fhir || !is_resource_name(element.name) {
        return Err((Kind::NotFhir, element.offset));
    }
    if !element.attributes.is_empty() {
        return Err((Kind::AttributeUnknown, element.offset));
    }
    let mut members = vec![("resourceType".to_owned(), Node::Text(element.name.to_owned()))];
    children(element, &mut members)?;
    Ok(Node::Object(members))
}

/// The elements inside, those of one name together where the first of them stands.
fn children(parent: &Element<'_>, members: &mut Members) -> Result<(), Refusal> {
    if parent.has_text() {
        return Err((Kind::Text, parent.offset));
    }
    let mut groups: Vec<(&str, Vec<&Element<'_>>)> = Vec::new();
    let mut places = BTreeMap::new();
    for element in parent.elements() {
        check(element)?;
        let place = *places.entry(element.name).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push(element),
            None => groups.push((element.name, vec![element])),
        }
    }
    for (name, group) in groups {
        let bare = |it: &&Element<'_>| it.content.is_empty() && it.attributes.is_empty();
        let extended = |it: &&Element<'_>| has_only_extensions(it) && !bare(it);
        if group.iter().any(|it| it.attribute("value").is_some())
            || is_primitive(parent.name, name) && group.iter().any(extended)
        {
            primitives(name, &group, members)?;
        } else {
            let nodes = group.iter().map(|it| composed(it)).collect::<Result<Vec<_>, _>>()?;
            members.push((name.to_owned(), joined(nodes)));
        }
    }
    Ok(())
}

fn check(element: &Element<'_>) -> Result<(), Refusal> {
    let refuse = |kind| Err((kind, element.offset));
    match element.namespace {
        Namespace::Fhir => {}
        Namespace::Xhtml if element.name == "div" => return Ok(()),
        _ => return refuse(Kind::NamespaceForeign),
    }
    if !is_name(element.name) {
        return refuse(Kind::NameNotFhir);
    }
    let may_have_url = matches!(element.name, "extension" | "modifierExtension");
    let known = |name: &str| matches!(name, "id" | "value") || name == "url" && may_have_url;
    if element.attributes.iter().all(|it| known(&it.name)) { Ok(()) } else { refuse(Kind::AttributeUnknown) }
}

/// Elements of one name that are primitives: their values as `name`, what else they have as `_name`.
fn primitives(name: &str, group: &[&Element<'_>], members: &mut Members) -> Result<(), Refusal> {
    let mut values = Vec::new();
    let mut others = Vec::new();
    for element in group {
        if !has_only_extensions(element) {
            let valued = element.attribute("value").is_some();
            return Err((if valued { Kind::ElementInPrimitive } else { Kind::Mixed }, element.offset));
        }
        values.push(element.attribute("value").map_or(Node::Null, |value| Node::Text(value.to_owned())));
        let mut other = Vec::new();
        other.extend(text_member(element, "id"));
        children(element, &mut other)?;
        others.push(if other.is_empty() { Node::Null } else { Node::Object(other) });
    }
    for (name, nodes) in [(name.to_owned(), values), (format!("_{name}"), others)] {
        if nodes.iter().any(|it| *it != Node::Null) {
            members.push((name, joined(nodes)));
        }
    }
    Ok(())
}

/// An element that is no primitive: a narrative, a resource in its wrapper, or members of its own.
fn composed(element: &Element<'_>) -> Result<Node, Refusal> {
    if element.namespace == Namespace::Xhtml {
        return Ok(Node::Text(narrative(element)));
    }
    let mut inner = element.elements().filter(|it| is_resource_name(it.name));
    if let Some(only) = inner.next() {
        let alone = element.elements().count() == 1 && element.attributes.is_empty() && !element.has_text();
        return if alone { resource(only) } else { Err((Kind::ResourceNotAlone, element.offset)) };
    }
    let mut members = Vec::new();
    members.extend(text_member(element, "id"));
    members.extend(text_member(element, "url"));
    children(element, &mut members)?;
    Ok(Node::Object(members))
}

fn text_member(element: &Element<'_>, name: &str) -> Option<(String, Node)> {
    element.attribute(name).map(|value| (name.to_owned(), Node::Text(value.to_owned())))
}

fn joined(mut nodes: Vec<Node>) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        last => {
            nodes.extend(last);
            Node::List(nodes)
        }
    }
}

fn has_only_extensions(element: &Element<'_>) -> bool {
    element.namespace == Namespace::Fhir
        && !element.has_text()
        && element.elements().all(|it| it.name == "extension" && it.namespace == Namespace::Fhir)
}

/// A narrative's text as it stands, or, where it leans on declarations outside it, written again so that it stands
/// alone.
fn narrative(div: &Element<'_>) -> String {
    if div.declares_default && !any_prefixed(div) {
        return div.source.to_owned();
    }
    let mut text = String::new();
    rewrite(div, true, &mut text);
    text
}

fn any_prefixed(element: &Element<'_>) -> bool {
    let attribute =
        |it: &crate::formats::xml::Attribute| it.name.contains(':') && !it.name.starts_with("xml:");
    element.prefixed || element.attributes.iter().any(attribute) || element.elements().any(any_prefixed)
}

fn rewrite(element: &Element<'_>, root: bool, text: &mut String) {
    text.push('<');
    text.push_str(element.name);
    if root {
        text.push_str(" xmlns=\"");
        text.push_str(Namespace::XHTML);
        text.push('"');
    }
    for attribute in &element.attributes {
        // A foreign attribute cannot stand without its declaration; its value shows nothing.
        if !attribute.name.contains(':') || attribute.name.starts_with("xml:") {
            text.push(' ');
            text.push_str(&attribute.name);
            text.push_str("=\"");
            escape(&attribute.value, text);
            text.push('"');
        }
    }
    if element.content.is_empty() {
        text.push_str("/>");
        return;
    }
    text.push('>');
    for content in &element.content {
        match content {
            Content::Element(inner) => rewrite(inner, false, text),
            Content::Text(plain) => escape(plain, text),
        }
    }
    text.push_str("</");
    text.push_str(element.name);
    text.push('>');
}

/// FHIR's names are letters and digits of ASCII; those of resources begin with a capital.
pub(super) fn is_name(name: &str) -> bool {
    const FHIR_NAME_BYTES_MAX: usize = 64;
    name.len() <= FHIR_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub(super) fn is_resource_name(name: &str) -> bool {
    is_name(name) && name.starts_with(|first: char| first.is_ascii_uppercase())
}
