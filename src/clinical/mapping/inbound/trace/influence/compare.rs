//! Two documents side by side: what stands in both, what differs.
//!
//! Items of a list that have a name of their own are the same by it, wherever they stand. Where all the names are
//! other ones, the names are what changed, and the order tells.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt::Write as _;

use crate::formats::tree::Node;

/// What an item may be known by.
const NAMES: [&str; 3] = ["fullUrl", "id", "name"];

/// A value that is another, or is gone.
pub(super) struct Difference {
    pub(super) path: String,
    pub(super) text: Option<String>,
}

/// Every scalar with its path, in order.
pub(super) fn leaves(node: &Node, root: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut visit = |path: &str, text: &str, _: Option<(&str, &str)>| {
        found.push((path.to_owned(), text.to_owned()));
    };
    pair(node, None, &mut root.to_owned(), &mut String::new(), &mut visit);
    found
}

/// The values of one document that are not the same in the other.
pub(super) fn differences(one: &Node, other: &Node, root: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut visit = |path: &str, text: &str, other: Option<(&str, &str)>| {
        let other = other.map(|(_, text)| text);
        if other != Some(text) {
            found.push(Difference { path: path.to_owned(), text: other.map(str::to_owned) });
        }
    };
    pair(one, Some(other), &mut root.to_owned(), &mut root.to_owned(), &mut visit);
    found
}

/// How the other document calls each value of this one.
pub(super) fn same(one: &Node, other: &Node, root: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut visit = |path: &str, _: &str, other: Option<(&str, &str)>| {
        if let Some((there, _)) = other {
            found.insert(path.to_owned(), there.to_owned());
        }
    };
    pair(one, Some(other), &mut root.to_owned(), &mut root.to_owned(), &mut visit);
    found
}

/// Told of each scalar's path and text, and of those of its counterpart.
type Visit<'v> = dyn FnMut(&str, &str, Option<(&str, &str)>) + 'v;

/// Visits every scalar of `one` with its counterpart, and both paths.
fn pair(one: &Node, other: Option<&Node>, here: &mut String, there: &mut String, visit: &mut Visit<'_>) {
    let lengths = (here.len(), there.len());
    match one {
        Node::Object(members) => {
            for (name, member) in members {
                // Writing to a String cannot fail.
                let _ = (write!(here, ".{name}"), write!(there, ".{name}"));
                pair(member, other.and_then(|it| it.get(name)), here, there, visit);
                here.truncate(lengths.0);
                there.truncate(lengths.1);
            }
        }
        Node::List(items) => {
            let others = if let Some(Node::List(others)) = other { others.as_slice() } else { &[] };
            let by_name = Names::of(items, others);
            for (index, item) in items.iter().enumerate() {
                let place = by_name.as_ref().map_or(Some(index), |names| names.find(item));
                let _ = (write!(here, "[{index}]"), write!(there, "[{}]", place.unwrap_or(index)));
                pair(item, place.and_then(|at| others.get(at)), here, there, visit);
                here.truncate(lengths.0);
                there.truncate(lengths.1);
            }
        }
        Node::Null => {}
        scalar => {
            let text = scalar.text().unwrap_or_default();
            visit(here, text, other.and_then(Node::text).map(|text| (there.as_str(), text)));
        }
    }
}

/// The items of a list by their own names.
struct Names<'n>(HashMap<&'n str, usize>);

impl<'n> Names<'n> {
    /// `None` where the order tells: an item without a name, a name twice, or not one name in both.
    fn of(items: &'n [Node], others: &'n [Node]) -> Option<Self> {
        let unique = |items: &'n [Node]| {
            let mut names = HashMap::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                if names.insert(name(item)?, index).is_some() {
                    return None;
                }
            }
            Some(names)
        };
        let own: HashSet<&str> = unique(items)?.into_keys().collect();
        let others = unique(others)?;
        let is_shared = others.keys().any(|name| own.contains(name));
        (is_shared || items.len() != others.len()).then_some(Self(others))
    }

    fn find(&self, item: &Node) -> Option<usize> {
        self.0.get(name(item)?).copied()
    }
}

fn name(item: &Node) -> Option<&str> {
    NAMES.into_iter().find_map(|name| item.get(name).and_then(Node::text))
}

#[cfg(test)]
mod tests {
    use super::differences;
    use crate::formats::json;

    fn different(one: &str, other: &str) -> Vec<String> {
        let [one, other] = [one, other].map(|text| json::decode(text.as_bytes()).unwrap());
        differences(&one, &other, "D").into_iter().map(|it| it.path).collect()
    }

    #[test]
    fn named_items_are_the_same_wherever_they_stand() {
        let one = r#"{"e":[{"fullUrl":"a","v":1},{"fullUrl":"b","v":2.0}]}"#;
        let other = r#"{"e":[{"fullUrl":"n","v":9},{"fullUrl":"a","v":1},{"fullUrl":"b","v":2.1}]}"#;
        assert_eq!(different(one, other), ["D.e[1].v"]);
    }

    #[test]
    fn where_every_name_is_another_the_order_tells() {
        let one = r#"{"e":[{"fullUrl":"a","v":1},{"fullUrl":"b","v":2}]}"#;
        let other = r#"{"e":[{"fullUrl":"x","v":1},{"fullUrl":"y","v":2}]}"#;
        assert_eq!(different(one, other), ["D.e[0].fullUrl", "D.e[1].fullUrl"]);
    }

    #[test]
    fn what_is_gone_differs_and_what_is_new_is_nobodys() {
        assert_eq!(different(r#"{"a":1,"b":[2,3]}"#, r#"{"b":[2],"c":4}"#), ["D.a", "D.b[1]"]);
    }
}
