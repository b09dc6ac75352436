//! A tree laid out flat: every place with its parent and its end, so that each leaf has one number to account for.
//!
//! Lists are transparent: a path goes through their items. A reference is followed inside the document only, never
//! out of it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use crate::clinical::mapping::language::Format;
use crate::formats::tree::Node;
use crate::formats::tree::Path;
use crate::formats::tree::Step;

/// The types that a choice such as `value[x]` may end in.
const CHOICES: [&str; 24] = [
    "Quantity",
    "CodeableConcept",
    "String",
    "Boolean",
    "Integer",
    "Range",
    "Ratio",
    "SampledData",
    "Time",
    "DateTime",
    "Period",
    "Instant",
    "Date",
    "Timing",
    "Attachment",
    "Reference",
    "Identifier",
    "Coding",
    "Decimal",
    "Uri",
    "Code",
    "Age",
    "Duration",
    "Markdown",
];

/// How a place is called by its parent.
#[derive(Clone, Copy)]
enum Name<'n> {
    Root,
    Member(&'n str),
    Item(usize),
}

struct Place<'n> {
    node: &'n Node,
    parent: usize,
    name: Name<'n>,
    /// One after the last place below it.
    end: usize,
}

pub(super) struct Document<'n> {
    format: Format,
    /// Of a table, the line of each row.
    lines: Vec<usize>,
    places: Vec<Place<'n>>,
    /// Resources by what a reference may call them; `None` for a name that two of them have.
    resources: HashMap<String, Option<usize>>,
}

/// What a path led to.
#[derive(Default)]
pub(super) struct Found {
    pub(super) places: Vec<usize>,
    /// Leaves that decided which way the path went.
    pub(super) touched: Vec<usize>,
    /// References that point at nothing in the document.
    pub(super) unresolved: Vec<usize>,
}

impl<'n> Document<'n> {
    pub(super) fn of(root: &'n Node, format: Format, lines: Vec<usize>) -> Self {
        let mut document = Self { format, lines, places: Vec::new(), resources: HashMap::new() };
        document.lay(root, 0, Name::Root);
        if format == Format::Fhir {
            document.index();
        }
        document
    }

    /// The decoders bound how deep a tree is.
    fn lay(&mut self, node: &'n Node, parent: usize, name: Name<'n>) {
        let at = self.places.len();
        self.places.push(Place { node, parent, name, end: at });
        match node {
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.lay(item, at, Name::Item(index));
                }
            }
            Node::Object(members) => {
                for (name, member) in members {
                    self.lay(member, at, Name::Member(name));
                }
            }
            _ => {}
        }
        let end = self.places.len();
        if let Some(place) = self.places.get_mut(at) {
            place.end = end;
        }
    }

    fn index(&mut self) {
        for at in 0..self.places.len() {
            let Some(kind) = self.resource_type(at) else { continue };
            let id = self.member_text(at, "id");
            let mut names = Vec::new();
            if self.is_contained(at) {
                names.extend(id.map(|id| format!("{}#{id}", self.container(at).unwrap_or(0))));
            } else {
                names.extend(id.map(|id| format!("{kind}/{id}")));
                let entry = self.parent(at);
                names.extend(self.member_text(entry, "fullUrl").map(str::to_owned));
            }
            for name in names {
                self.resources
                    .entry(name)
                    .and_modify(|known| *known = known.filter(|it| *it == at))
                    .or_insert(Some(at));
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn node(&self, at: usize) -> &'n Node {
        self.places.get(at).map_or(&Node::Null, |place| place.node)
    }

    pub(super) fn below(&self, at: usize) -> Range<usize> {
        at..self.places.get(at).map_or(at, |place| place.end)
    }

    pub(super) fn parent(&self, at: usize) -> usize {
        self.places.get(at).map_or(0, |place| place.parent)
    }

    fn children(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let below = self.below(at);
        let mut next = below.start + 1;
        std::iter::from_fn(move || {
            let child = next;
            next = self.below(child).end;
            (child < below.end).then_some(child)
        })
    }

    /// The name by which its object knows this place; an item of a list has that of the list.
    pub(super) fn name(&self, at: usize) -> Option<&'n str> {
        match self.places.get(at)?.name {
            Name::Root => None,
            Name::Member(name) => Some(name),
            Name::Item(_) => self.name(self.parent(at)).filter(|_| at != 0),
        }
    }

    /// The names from the document to this place.
    pub(super) fn names(&self, at: usize) -> Vec<&'n str> {
        let mut names = Vec::new();
        let mut at = at;
        while at != 0 {
            if let Some(Name::Member(name)) = self.places.get(at).map(|place| place.name) {
                names.push(name);
            }
            at = self.parent(at);
        }
        names.reverse();
        names
    }

    /// The member of an object, through lists, items apart.
    pub(super) fn members(&self, at: usize, name: &str) -> Vec<usize> {
        let mut found = Vec::new();
        self.step(at, &Step::Name(name.to_owned()), &mut Found::default(), &mut found);
        found
    }

    fn member(&self, at: usize, name: &str) -> Option<usize> {
        self.children(at).find(|child| matches!(self.places.get(*child), Some(Place { name: Name::Member(it), .. }) if *it == name))
    }

    fn member_text(&self, at: usize, name: &str) -> Option<&'n str> {
        self.node(self.member(at, name)?).text()
    }

    pub(super) fn resource_type(&self, at: usize) -> Option<&'n str> {
        self.node(at).get("resourceType").and_then(Node::text)
    }

    /// The resource this place stands in, itself included.
    pub(super) fn resource(&self, at: usize) -> usize {
        let mut at = at;
        while at != 0 && self.resource_type(at).is_none() {
            at = self.parent(at);
        }
        at
    }

    fn is_contained(&self, at: usize) -> bool {
        self.name(at) == Some("contained")
    }

    /// The resource that contains this one.
    fn container(&self, at: usize) -> Option<usize> {
        (at != 0).then(|| self.resource(self.parent(at)))
    }

    /// What the name of a choice ends in: `Quantity` of `valueQuantity`.
    pub(super) fn choice(&self, at: usize) -> Option<&'static str> {
        let name = self.name(at)?;
        CHOICES.into_iter().filter(|it| name.len() > it.len() && name.ends_with(it)).max_by_key(|it| it.len())
    }

    pub(super) fn select(&self, path: &Path, from: usize) -> Found {
        let mut found = Found::default();
        let mut here = Vec::new();
        self.expand(if path.is_anchored() { 0 } else { from }, &mut here);
        for step in path.steps() {
            let mut next = Vec::new();
            match step {
                Step::Index(index) => self.indexed(&here, *index, &mut next),
                step => here.iter().for_each(|at| self.step(*at, step, &mut found, &mut next)),
            }
            here = next;
        }
        found.places = here;
        found
    }

    /// The item of a list whose items have just been found.
    fn indexed(&self, here: &[usize], index: usize, next: &mut Vec<usize>) {
        for at in here {
            let own = match self.places.get(*at).map(|place| place.name) {
                Some(Name::Item(own)) => own,
                _ => 0,
            };
            if own == index {
                next.push(*at);
            }
        }
    }

    fn step(&self, at: usize, step: &Step, found: &mut Found, next: &mut Vec<usize>) {
        match step {
            Step::Name(name) => {
                if let Some(member) = self.member(at, name) {
                    self.expand(member, next);
                }
            }
            Step::Choice(name) => {
                let of_choice = |child: &usize| {
                    self.name(*child)
                        .and_then(|it| it.strip_prefix(name.as_str()))
                        .is_some_and(|rest| CHOICES.contains(&rest))
                };
                match self.member(at, name) {
                    Some(member) => self.expand(member, next),
                    None => {
                        for child in self.children(at).filter(of_choice).collect::<Vec<_>>() {
                            self.expand(child, next);
                        }
                    }
                }
            }
            Step::OfType(name) => {
                if self.resource_type(at) == Some(name) || self.choice(at) == Some(name) {
                    next.push(at);
                }
            }
            Step::Resolve => match self.resolve(at) {
                Some(target) => {
                    next.push(target);
                    found.touched.extend(self.below(at));
                }
                None if self.member_text(at, "reference").is_some() => found.unresolved.push(at),
                None => {}
            },
            Step::Where { names, value } => {
                let mut here = vec![at];
                for name in names {
                    here = here.iter().flat_map(|at| self.members(*at, name)).collect();
                }
                here.retain(|at| self.node(*at).text() == Some(value));
                if !here.is_empty() {
                    next.push(at);
                    found.touched.extend(here);
                }
            }
            Step::Index(_) => {}
        }
    }

    fn expand(&self, at: usize, places: &mut Vec<usize>) {
        match self.node(at) {
            Node::Null => {}
            Node::List(_) => self.children(at).for_each(|item| self.expand(item, places)),
            _ => places.push(at),
        }
    }

    /// What a Reference points at: something contained, or another resource of the document.
    fn resolve(&self, at: usize) -> Option<usize> {
        if self.resource_type(at).is_some() {
            return Some(at);
        }
        let reference = self.member_text(at, "reference")?.trim();
        if let Some(id) = reference.strip_prefix('#') {
            let own = self.resource(at);
            let container = if self.is_contained(own) { self.container(own)? } else { own };
            if id.is_empty() {
                return Some(container);
            }
            return *self.resources.get(&format!("{container}#{id}"))?;
        }
        let bare = reference.split_once("/_history/").map_or(reference, |(before, _)| before);
        *self.resources.get(reference).or_else(|| self.resources.get(bare))?
    }

    /// The place as the format's own people would name it.
    pub(super) fn position(&self, at: usize) -> String {
        let mut chain = vec![at];
        while let Some(last) = chain.last().copied().filter(|last| *last != 0) {
            chain.push(self.parent(last));
        }
        chain.reverse();
        let mut text = String::new();
        if self.format == Format::Fhir {
            text.push_str(self.resource_type(0).unwrap_or("$this"));
        }
        for at in chain {
            // Writing to a String cannot fail.
            let _ = match (self.places.get(at).map(|place| place.name), self.format) {
                (Some(Name::Member(name)), Format::Fhir) => write!(text, ".{name}"),
                (Some(Name::Item(index)), Format::Fhir) => write!(text, "[{index}]"),
                (Some(Name::Item(index)), Format::Csv) => {
                    write!(text, "line {}", self.lines.get(index).copied().unwrap_or(index + 2))
                }
                (Some(Name::Member(name)), Format::Csv) => write!(text, ", {name}"),
                (Some(Name::Member(name)), _) => {
                    write!(text, "/{}", name.replace('~', "~0").replace('/', "~1"))
                }
                (Some(Name::Item(index)), _) => write!(text, "/{index}"),
                _ => Ok(()),
            };
        }
        if text.is_empty() { "/".to_owned() } else { text }
    }
}
