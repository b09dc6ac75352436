//! A tree of named values, each scalar as the text that was sent: what JSON, FHIR XML and their like decode to.
//!
//! Nothing is converted: `5.10` stays `5.10`, and names keep their order. One element that XML cannot tell from a list
//! of one is that element; [`Node::items`] makes the two the same for whoever reads.
//! [`Path`] names places in a tree, in the spelling of the format it was written in.

mod path;

pub use self::path::Error as PathError;
pub use self::path::Path;
pub use self::path::Step;

/// One value. It has no `Debug` that shows content: a tree is a patient's.
#[derive(Clone, PartialEq, Eq)]
pub enum Node {
    Null,
    Bool(bool),
    /// The digits as sent.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// Members in the order sent; a name stands once.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The member of this name, of an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(it, _)| it == name).map(|(_, node)| node)
    }

    /// The items of a list; of anything else but null, the thing itself.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Null => &[],
            Self::List(items) => items,
            one => std::slice::from_ref(one),
        }
    }

    /// The text of a scalar, as sent.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool",
            Self::Number(_) => "Number",
            Self::Text(_) => "Text",
            Self::List(_) => "List",
            Self::Object(_) => "Object",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Node;

    #[test]
    fn one_thing_reads_as_a_list_of_one() {
        let one = Node::Text("one".to_owned());
        assert_eq!(one.items().len(), 1);
        assert!(one.items().first() == Some(&one));
        assert_eq!(Node::List(vec![one.clone(), Node::Null]).items().len(), 2);
        assert!(Node::Null.items().is_empty());
    }

    #[test]
    fn numbers_keep_their_digits_and_debug_shows_none() {
        let tree = Node::Object(vec![("value".to_owned(), Node::Number("5.10".to_owned()))]);
        assert_eq!(tree.get("value").and_then(Node::text), Some("5.10"));
        assert_eq!(format!("{tree:?}"), "Object");
    }
}
