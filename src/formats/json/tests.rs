//! What is read, what is refused and where, and what holds for any text.

use proptest::prelude::*;

use super::*;

fn read(text: &str, tree: &Node) {
    assert!(decode(text.as_bytes()).as_ref() == Ok(tree), "{text}");
}

fn refuse(text: impl AsRef<[u8]>, kind: Kind, (line, column): (usize, usize), pointer: &str) {
    let text = text.as_ref();
    let expected = Error { kind, line, column, pointer: pointer.to_owned() };
    assert_eq!(decode(text), Err(expected), "{}", text.escape_ascii());
}

fn text(value: &str) -> Node {
    Node::Text(value.to_owned())
}

fn number(digits: &str) -> Node {
    Node::Number(digits.to_owned())
}

fn object(members: &[(&str, Node)]) -> Node {
    Node::Object(members.iter().map(|(name, node)| ((*name).to_owned(), node.clone())).collect())
}

#[test]
fn keeps_digits_and_order() {
    read(
        " {\"z\" : 5.10 , \"a\":[1e+06,-0,0.0,12345678901234567890.123456789012345678901],\r\n\t\"m\":{}} ",
        &object(&[
            ("z", number("5.10")),
            (
                "a",
                Node::List(
                    ["1e+06", "-0", "0.0", "12345678901234567890.123456789012345678901"].map(number).to_vec(),
                ),
            ),
            ("m", object(&[])),
        ]),
    );
    read(
        "\u{feff}[true,false,null,[]]",
        &Node::List(vec![Node::Bool(true), Node::Bool(false), Node::Null, Node::List(Vec::new())]),
    );
}

#[test]
fn decodes_escapes() {
    read(r#""\u00b5mol\/L \ud83e\ude78 \"\\\b\f\n\r\t\u0000""#, &text("µmol/L 🩸 \"\\\u{8}\u{c}\n\r\t\0"));
    read("\"µ\u{7f}\"", &text("µ\u{7f}"));
    read(r#""\n""#, &text("\n"));
}

#[test]
fn refuses_what_is_not_json_and_says_where() {
    let syntax = |expected| Kind::Syntax { expected };
    refuse("", Kind::Unfinished, (1, 1), "");
    refuse("[1,]", syntax("a value"), (1, 4), "/1");
    refuse("{\"a\":1,}", syntax("a member's name in quotes"), (1, 8), "");
    refuse("{'a':1}", syntax("a member's name in quotes"), (1, 2), "");
    refuse("{\"a\" 1}", syntax("a colon"), (1, 6), "");
    refuse("{\"a\":1 \"b\":2}", syntax("a comma or the end of the object"), (1, 8), "");
    refuse("[1 2]", syntax("a comma or the end of the list"), (1, 4), "");
    refuse("[01]", syntax("the end of the number"), (1, 3), "/0");
    refuse("[1.]", syntax("a digit"), (1, 4), "/0");
    refuse("[.5]", syntax("a value"), (1, 2), "/0");
    refuse("[+5]", syntax("a value"), (1, 2), "/0");
    refuse("[1.2.3]", syntax("the end of the number"), (1, 5), "/0");
    refuse("NaN", syntax("a value"), (1, 1), "");
    refuse("[trux]", syntax("a value"), (1, 2), "/0");
    refuse("tru", Kind::Unfinished, (1, 1), "");
    refuse("1 2", Kind::Extra, (1, 3), "");
    refuse("{\"result\":[{\"value\":5.1},\n {\"µ\":\"5.1", Kind::Unfinished, (2, 11), "/result/1/*");
}

#[test]
fn refuses_text_that_is_no_text() {
    refuse("[\"a\tb\"]", Kind::ControlCharacter, (1, 4), "/0");
    refuse(r#"["µ\x"]"#, Kind::EscapeUnknown, (1, 4), "/0");
    refuse(r#"["\u00g0"]"#, Kind::EscapeUnknown, (1, 3), "/0");
    refuse(r#"["\ud83e"]"#, Kind::LoneSurrogate, (1, 3), "/0");
    refuse(r#"["\ud83e\u0041"]"#, Kind::LoneSurrogate, (1, 3), "/0");
    refuse(r#"["\ude78"]"#, Kind::LoneSurrogate, (1, 3), "/0");
    refuse(b"[\n\"\xB5\"]", Kind::NotUtf8, (2, 2), "");
}

#[test]
fn refuses_a_name_that_stands_twice() {
    refuse(r#"{"a":{"value":1,"unit":2,"value":3}}"#, Kind::NameTwice, (1, 26), "/a");
    // The same name, written otherwise.
    refuse(r#"{"a":1,"\u0061":2}"#, Kind::NameTwice, (1, 8), "");
    read(r#"{"a":1,"A":2}"#, &object(&[("a", number("1")), ("A", number("2"))]));
}

#[test]
fn bounds_everything() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(decode(nested(DEPTH_MAX).as_bytes()).is_ok());
    let error = decode(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!((error.kind, error.column), (Kind::TooDeep { max: DEPTH_MAX }, DEPTH_MAX + 1));
    assert_eq!(decode("[".repeat(1 << 20).as_bytes()).unwrap_err().kind, Kind::TooDeep { max: DEPTH_MAX });
    let many = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
    assert!(decode(many(NODES_MAX).as_bytes()).is_ok());
    assert_eq!(decode(many(NODES_MAX + 1).as_bytes()).unwrap_err().kind, Kind::TooMany { max: NODES_MAX });
    let named = |length: usize| format!("{{\"{}\":0}}", "n".repeat(length));
    assert!(decode(named(NAME_BYTES_MAX).as_bytes()).is_ok());
    refuse(named(NAME_BYTES_MAX + 1), Kind::NameTooLong { max: NAME_BYTES_MAX }, (1, 2), "");
    assert_eq!(decode(&vec![b' '; BYTES_MAX + 1]).unwrap_err().kind, Kind::TooLong { max: BYTES_MAX });
}

#[test]
fn a_diagnostic_names_the_place_and_no_value() {
    let text = r#"{"name":{"family":"Quillfeather","4857773456":["Quillfeather",]}}"#;
    let diagnostic = decode(text.as_bytes()).unwrap_err().diagnostic();
    assert_eq!(diagnostic.code.as_str(), "F001");
    assert_eq!(diagnostic.position, "line 1, column 63, in /name/*/1");
    let shown = format!("{diagnostic:?}");
    assert!(!shown.contains("Quillfeather") && !shown.contains("4857773456"), "{shown}");
}

pub(crate) fn tree() -> impl Strategy<Value = Node> {
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?";
    let leaf = prop_oneof![
        Just(Node::Null),
        any::<bool>().prop_map(Node::Bool),
        number.prop_map(Node::Number),
        any::<String>().prop_map(Node::Text),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Node::List),
            prop::collection::btree_map(
                any::<String>().prop_filter("short", |it| it.len() < NAME_BYTES_MAX),
                inner,
                0..6
            )
            .prop_map(|members| Node::Object(members.into_iter().rev().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(tree in tree()) {
        let text = encode(&tree);
        prop_assert!(decode(text.as_bytes()).as_ref() == Ok(&tree), "{}", text);
        // A second opinion, on the grammar.
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    /// What we take, `serde_json` takes; what it takes and we refuse, we refuse for a reason of our own.
    #[test]
    fn agrees_with_serde_json(tree in tree(), at in any::<prop::sample::Index>(), byte in prop::sample::select(b"{}[],:\"\\ 0.e-x".to_vec())) {
        let mut bytes = encode(&tree).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let theirs = serde_json::from_slice::<&serde_json::value::RawValue>(&bytes);
        match decode(&bytes) {
            Ok(_) => prop_assert!(theirs.is_ok()),
            Err(error) => prop_assert!(theirs.is_err() || matches!(error.code(), "F002" | "F004"), "{:?}", error),
        }
    }
}
