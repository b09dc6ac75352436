//! What is read, what is refused and where, and what holds for any bytes.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn decode(bytes: &[u8]) -> Result<String, Error> {
    let text = characters(bytes)?;
    let root = read(&text)?;
    let mut out = String::new();
    show(&root, &mut out);
    Ok(out)
}

/// An element as `Namespace:name(attribute=value)[content]`.
fn show(element: &Element<'_>, out: &mut String) {
    write!(out, "{:?}:{}", element.namespace, element.name).unwrap();
    for attribute in &element.attributes {
        write!(out, "({}={:?})", attribute.name, attribute.value).unwrap();
    }
    out.push('[');
    for content in &element.content {
        match content {
            Content::Element(inner) => show(inner, out),
            Content::Text(text) => write!(out, "{text:?}").unwrap(),
        }
    }
    out.push(']');
}

fn check(text: &str, shown: &str) {
    assert_eq!(decode(text.as_bytes()).as_deref(), Ok(shown), "{text}");
}

fn refuse(bytes: impl AsRef<[u8]>, kind: Kind, (line, column): (usize, usize)) {
    let bytes = bytes.as_ref();
    assert_eq!(decode(bytes), Err(Error { kind, line, column }), "{}", bytes.escape_ascii());
}

#[test]
fn reads_elements_attributes_and_text() {
    check(
        "<?xml version=\"1.0\"?>\n<!-- a --><a xmlns='http://hl7.org/fhir' b='1&#10;&quot;2\n3'><?pi?>x&amp;<![CDATA[<y>]]>&#181;\r\n<c/></a>\n",
        "Fhir:a(b=\"1\\n\\\"2 3\")[\"x&<y>µ\\n\"Fhir:c[]]",
    );
    check(
        "<p:a xmlns:p='urn:hl7-org:v2xml' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='x y'><b xml:lang='cy'/><c xmlns='urn:x'/></p:a>",
        "Hl7v2:a[None:b(xml:lang=\"cy\")[]Other:c[]]",
    );
    let root = read("<a><b><c/></b>x</a>").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((root.source, root.has_text()), ("<a><b><c/></b>x</a>", true));
    assert_eq!(root.elements().map(|it| (it.source, it.offset)).collect::<Vec<_>>(), [("<b><c/></b>", 3)]);
}

#[test]
fn reads_the_declared_characters() {
    let shown = Ok("None:a[\"µ\"]".to_owned());
    assert_eq!(decode("\u{feff}<a>µ</a>".as_bytes()), shown);
    assert_eq!(decode(b"<?xml version='1.0' encoding = \"ISO-8859-1\"?><a>\xB5</a>"), shown);
    assert_eq!(decode("<?xml version='1.0' encoding='utf-16'?><a>µ</a>".as_bytes()), shown);
    for mark in ["", "\u{feff}"] {
        let wide: Vec<u8> = format!("{mark}<a>µ</a>").encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decode(&wide), shown);
    }
    refuse(b"<?xml version='1.0' encoding='klingon'?><a/>", Kind::EncodingUnknown, (1, 1));
    refuse(b"<a>\xB5</a>", Kind::NotInEncoding { encoding: "UTF-8" }, (1, 1));
}

#[test]
fn refuses_document_types_and_entities() {
    refuse("<!DOCTYPE a><a/>", Kind::Doctype, (1, 1));
    refuse(
        "<?xml version='1.0'?>\n<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
        Kind::Doctype,
        (2, 1),
    );
    refuse("<a>\n &nbsp;</a>", Kind::Entity, (2, 2));
    refuse("<a b='&x;'/>", Kind::Entity, (1, 1));
    refuse("<a>&#0;</a>", Kind::Character, (1, 4));
    refuse("<a>&#1;</a>", Kind::Character, (1, 4));
    refuse("<a b='&#x1F;'/>", Kind::Character, (1, 1));
    refuse("<a>\u{1}</a>", Kind::Character, (1, 4));
}

#[test]
fn refuses_what_is_not_well_formed() {
    let texts = [
        "",
        "x",
        "<a>",
        "<a></b>",
        "</a>",
        "<a/><b/>",
        "<a/>x",
        "<a/>&amp;",
        "<a/><![CDATA[]]>",
        "<a b=1/>",
        "<a b='1' b='2'/>",
        "<a b='<'/>",
        "<a b='x'",
        "<a>]]></a>",
        "<a>& b</a>",
        "<a>&amp</a>",
        "<1a/>",
        "<a:b/>",
        "<a:b:c xmlns:a='x'/>",
        "<a x:b='1'/>",
        "<a><?xml version='1.0'?></a>",
        " <?xml version='1.0'?><a/>",
        "<a><!-- </a>",
        "<a$/>",
    ];
    for text in texts {
        let refused = decode(text.as_bytes());
        assert!(
            matches!(refused, Err(Error { kind: Kind::NotWellFormed { .. }, .. })),
            "{text}: {refused:?}"
        );
    }
}

#[test]
fn bounds_everything() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(decode(nested(DEPTH_MAX).as_bytes()).is_ok());
    refuse(nested(DEPTH_MAX + 1), Kind::TooDeep { max: DEPTH_MAX }, (1, 3 * DEPTH_MAX + 1));
    let kind = |text: String| decode(text.as_bytes()).map_err(|error| error.kind);
    assert_eq!(kind(format!("<a>{}</a>", "<b/>".repeat(NODES_MAX))), Err(Kind::TooMany { max: NODES_MAX }));
    let attributes: String = (0..=ATTRIBUTES_MAX).map(|at| format!(" b{at}=''")).collect::<Vec<_>>().concat();
    assert_eq!(kind(format!("<a{attributes}/>")), Err(Kind::TooManyAttributes { max: ATTRIBUTES_MAX }));
    assert_eq!(kind(format!("<{}/>", "a".repeat(300))), Err(Kind::NameTooLong { max: NAME_BYTES_MAX }));
    refuse(vec![b' '; BYTES_MAX + 1], Kind::TooLong { max: BYTES_MAX }, (1, 1));
}

proptest! {
    #[test]
    fn what_is_escaped_reads_back(text in any::<String>().prop_filter("characters", |it| it.chars().all(is_character))) {
        let mut escaped = String::new();
        escape(&text, &mut escaped);
        let whole = format!("<a b=\"{escaped}\">{escaped}</a>");
        let root = read(&whole).unwrap_or_else(|error| panic!("{error}"));
        prop_assert_eq!(root.attribute("b"), Some(text.as_str()));
        let inside: String = root.content.iter().map(|it| if let Content::Text(text) = it { text } else { "" }).collect();
        prop_assert_eq!(inside, text);
    }

    #[test]
    fn nothing_makes_it_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        "<a>", "</a>", "<b x='", "'", "/>", ">", "<", "&", ";", "&amp;", "&#1", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "<!DOCTYPE", "xmlns=", ":", "µ", " ", "\0",
    ]), 0..12), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = decode(pieces.concat().as_bytes());
        let _ = decode(&bytes);
    }
}
