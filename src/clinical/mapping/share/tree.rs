//! What the rules of a mapping read of a tree, by the names that lead there: indices say nothing of meaning, and a
//! resource begins its own names.

use std::collections::HashMap;

use crate::clinical::mapping::inbound::Position;
use crate::clinical::mapping::language::Format;
use crate::clinical::mapping::plan::Mapping;
use crate::clinical::mapping::share::treatment::Treatment;
use crate::clinical::mapping::share::treatment::kind_of;
use crate::clinical::mapping::share::treatment::of_fhir_structure;
use crate::clinical::mapping::share::treatment::of_tree;
use crate::formats::tree::Node;

/// A kind of place: the type of the resource, where there are resources, and the names below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) resource: String,
    pub(super) names: Vec<String>,
}

/// What is known of a message's places.
#[derive(Debug, Default)]
pub(super) struct Policy {
    is_fhir: bool,
    /// Places that rules read, and what becomes of what they hold; a leaf of them is found by its names below.
    read: Vec<(Key, usize)>,
    /// Types of resources in the message.
    pub(super) types: Vec<String>,
}

impl Policy {
    /// Of a message that can be read; of any other nothing is known.
    pub(super) fn of(mapping: &Mapping, root: Option<&Node>, raw: &[u8]) -> Self {
        let mut policy = Self { is_fhir: mapping.format() == Format::Fhir, ..Self::default() };
        let Some(root) = root else { return policy };
        let mut keys = HashMap::new();
        let mut walk = Walk { is_fhir: policy.is_fhir, keys: &mut keys, types: &mut policy.types };
        walk.node(root, walk.root(root), Key::default());
        for used in mapping.read_bytes(raw).ledger.uses {
            let Position::Place(place) = used.at else { continue };
            let known = keys.get(&place).cloned().zip(mapping.rules.iter().position(|rule| {
                mapping.rule(used.rule).is_some_and(|it| it.name == rule.name && it.span == rule.span)
            }));
            policy.read.extend(known.filter(|it| !policy.read.contains(it)));
        }
        policy
    }

    pub(super) fn treatment(&self, mapping: &Mapping, key: &Key) -> Treatment {
        let names: Vec<&str> = key.names.iter().map(String::as_str).collect();
        let structure = if self.is_fhir { of_fhir_structure(&names) } else { None };
        let of_rules = self.read.iter().filter_map(|(read, rule)| {
            let below = names.get(read.names.len()..)?;
            let leads = read.resource == key.resource && key.names.starts_with(&read.names);
            let rule = mapping.rules.get(*rule).filter(|_| leads)?;
            let place = read.names.last().map_or("", String::as_str);
            Some(of_tree(kind_of(rule)?, rule, place, below))
        });
        let of_rules = of_rules.reduce(Treatment::and);
        match structure {
            Some(structure) if of_rules != Some(Treatment::Keep) => structure,
            _ => of_rules.unwrap_or(Treatment::Hide),
        }
    }
}

struct Walk<'w> {
    is_fhir: bool,
    /// By the place's name in a diagnostic.
    keys: &'w mut HashMap<String, Key>,
    types: &'w mut Vec<String>,
}

impl Walk<'_> {
    fn root(&self, root: &Node) -> String {
        let kind = root.get("resourceType").and_then(Node::text);
        if self.is_fhir { kind.unwrap_or("$this").to_owned() } else { String::new() }
    }

    fn node(&mut self, node: &Node, place: String, key: Key) {
        let kind = node.get("resourceType").and_then(Node::text).filter(|_| self.is_fhir);
        let key = match kind {
            Some(kind) => {
                if !self.types.iter().any(|it| it == kind) {
                    self.types.push(kind.to_owned());
                }
                Key { resource: kind.to_owned(), names: Vec::new() }
            }
            None => key,
        };
        match node {
            Node::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    let place = if self.is_fhir { format!("{place}[{at}]") } else { format!("{place}/{at}") };
                    self.node(item, place, key.clone());
                }
            }
            Node::Object(members) => {
                for (name, member) in members {
                    let written = name.replace('~', "~0").replace('/', "~1");
                    let place =
                        if self.is_fhir { format!("{place}.{name}") } else { format!("{place}/{written}") };
                    let mut key = key.clone();
                    key.names.push(name.clone());
                    self.node(member, place, key);
                }
            }
            _ => {}
        }
        self.keys.insert(if place.is_empty() { "/".to_owned() } else { place }, key);
    }
}
