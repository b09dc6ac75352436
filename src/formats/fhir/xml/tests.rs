//! Both directions, over invented resources and, where it is at hand, the shared corpus.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::formats::json;

const OPEN: &str = "<Patient xmlns=\"http://hl7.org/fhir\">";

/// Reads the XML as this JSON, and the JSON's XML as the same again.
fn check(xml: &str, expected: &str) {
    let node = decode(xml.as_bytes()).unwrap_or_else(|error| panic!("{xml}: {error:?}"));
    assert_eq!(json::encode(&node), expected);
    let written = encode(&node).unwrap_or_else(|error| panic!("{xml}: {error}"));
    assert!(decode(written.as_bytes()).as_ref() == Ok(&node), "{written}");
}

fn refuse(xml: &str, kind: Kind, code: &str) {
    let error = decode(xml.as_bytes()).err().unwrap_or_else(|| panic!("{xml} was read"));
    assert_eq!((error.kind, error.code()), (kind, code), "{xml}");
}

#[test]
fn reads_primitives_lists_and_extensions() {
    check(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
        <!-- invented --><Patient xmlns=\"http://hl7.org/fhir\">
          <id value=\"p1\"/><active value=\"true\"/>
          <name id=\"n\"><family value=\"Quillfeather\"/><given value=\"Zephyrine\"><extension url=\"http://x\"><valueDecimal value=\"5.10\"/></extension></given><given value=\"Ø&#10;&quot;x&quot;\"/></name>
          <birthDate id=\"b\"><extension url=\"http://y\"><valueCode value=\"unknown\"/></extension></birthDate>
        </Patient>",
        r#"{"resourceType":"Patient","id":"p1","active":"true","name":{"id":"n","family":"Quillfeather","given":["Zephyrine","Ø\n\"x\""],"_given":[{"extension":{"url":"http://x","valueDecimal":"5.10"}},null]},"_birthDate":{"id":"b","extension":{"url":"http://y","valueCode":"unknown"}}}"#,
    );
}

#[test]
fn tells_a_primitive_without_value_from_an_empty_element() {
    check(
        &format!("{OPEN}<name><extension url=\"u\"/></name><gender/><given/><given value=\"a\"/></Patient>"),
        r#"{"resourceType":"Patient","name":{"extension":{"url":"u"}},"gender":{},"given":[null,"a"]}"#,
    );
}

#[test]
fn reads_resources_inside_resources_and_narratives_as_they_stand() {
    check(
        "<f:Bundle xmlns:f=\"http://hl7.org/fhir\"><f:entry><f:resource><f:Patient><f:text><f:status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\"><!-- kept --><p  class='a'>5 &lt; 6<br/></p></div></f:text><f:contained><f:Basic><f:id value=\"c\"/></f:Basic></f:contained></f:Patient></f:resource></f:entry></f:Bundle>",
        r#"{"resourceType":"Bundle","entry":{"resource":{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><!-- kept --><p  class='a'>5 &lt; 6<br/></p></div>"},"contained":{"resourceType":"Basic","id":"c"}}}}"#,
    );
    // A narrative that leans on a declaration outside it is written so that it stands alone.
    check(
        "<Basic xmlns=\"http://hl7.org/fhir\" xmlns:h=\"http://www.w3.org/1999/xhtml\"><text><h:div><h:b title=\"&quot;\">a &amp; b</h:b></h:div></text></Basic>",
        r#"{"resourceType":"Basic","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><b title=\"&quot;\">a &amp; b</b></div>"}}"#,
    );
}

#[test]
fn refuses_what_is_no_fhir() {
    refuse("<Patient/>", Kind::NotFhir, "F007");
    refuse("<patient xmlns=\"http://hl7.org/fhir\"/>", Kind::NotFhir, "F007");
    let inside = |content: &str| format!("{OPEN}{content}</Patient>");
    refuse(&inside("text"), Kind::Text, "F007");
    refuse(&inside("<x xmlns=\"urn:x\"/>"), Kind::NamespaceForeign, "F007");
    refuse(&inside("<id Value=\"1\"/>"), Kind::AttributeUnknown, "F007");
    refuse(&inside("<name url=\"1\"/>"), Kind::AttributeUnknown, "F007");
    refuse(&inside("<a-b value=\"1\"/>"), Kind::NameNotFhir, "F007");
    refuse(&inside("<id value=\"1\"><use value=\"a\"/></id>"), Kind::ElementInPrimitive, "F007");
    refuse(&inside("<name value=\"1\"/><name><use value=\"a\"/></name>"), Kind::Mixed, "F007");
    refuse(&inside("<contained><Basic/><Basic/></contained>"), Kind::ResourceNotAlone, "F007");
    refuse(&format!("<!DOCTYPE x>{OPEN}</Patient>"), Kind::Xml(xml::Kind::Doctype), "F006");
    refuse(&inside("<id value=\"&e;\"/>"), Kind::Xml(xml::Kind::Entity), "F006");
    refuse(OPEN, Kind::Xml(xml::Kind::NotWellFormed { reason: "an element is not ended" }), "F005");
    let deep = inside(&format!("{}{}", "<a>".repeat(64), "</a>".repeat(64)));
    refuse(&deep, Kind::Xml(xml::Kind::TooDeep { max: 64 }), "F003");
    let error = decode(inside("\n <id value=\"\"/>Quillfeather").as_bytes()).unwrap_err().diagnostic();
    assert_eq!(error.position, "line 1, column 1");
    assert!(!format!("{error:?}").contains("Quillfeather"));
}

#[test]
fn refuses_to_write_what_xml_cannot_say() {
    let written =
        |text: &str| encode(&json::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{error}")));
    let at = |path: &str| path.to_owned();
    assert_eq!(written("{}"), Err(EncodeError::NotAResource));
    assert_eq!(written(r#"{"resourceType":"a b"}"#), Err(EncodeError::NotAResource));
    let patient = |member: &str| written(&format!("{{\"resourceType\":\"Patient\",{member}}}"));
    assert_eq!(patient(r#""a><b":1"#), Err(EncodeError::Name { at: at("Patient") }));
    assert_eq!(patient(r#""id":"\u0001""#), Err(EncodeError::Character { at: at("Patient.id") }));
    assert_eq!(patient(r#""a":[[1]]"#), Err(EncodeError::Shape { at: at("Patient.a") }));
    assert_eq!(patient(r#""a":{"id":[1]}"#), Err(EncodeError::Shape { at: at("Patient.a") }));
    assert_eq!(patient(r#""a":1,"_a":2"#), Err(EncodeError::Shape { at: at("Patient.a") }));
    for div in [
        "",
        "<div/>",
        "<p xmlns='http://www.w3.org/1999/xhtml'/>",
        "<div xmlns='http://www.w3.org/1999/xhtml'>&nbsp;</div>",
        "<div xmlns='http://www.w3.org/1999/xhtml'/><x/>",
    ] {
        assert_eq!(
            patient(&format!("\"text\":{{\"div\":\"{div}\"}}")),
            Err(EncodeError::Div { at: at("Patient.text.div") })
        );
    }
    assert_eq!(
        patient(r#""active":true,"n":-0.50"#).as_deref(),
        Ok("<Patient xmlns=\"http://hl7.org/fhir\"><active value=\"true\"/><n value=\"-0.50\"/></Patient>")
    );
}

/// The tree as XML can say it: without types, order of members, lists of one and nulls that pad nothing.
fn untyped(node: &Node) -> Node {
    match node {
        Node::List(items) => {
            let mut items: Vec<_> = items.iter().map(untyped).collect();
            if items.len() == 1 { items.remove(0) } else { Node::List(items) }
        }
        Node::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, node)| (name.clone(), untyped(node))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            Node::Object(members)
        }
        Node::Null => Node::Null,
        scalar => Node::Text(scalar.text().unwrap_or_default().to_owned()),
    }
}

#[test]
fn json_comes_back_from_xml() {
    let text = r#"{"resourceType":"Observation","id":"o","meta":{"profile":["a","b"]},"contained":[{"resourceType":"Specimen","id":"s"}],
        "status":"final","_status":{"id":"x"},"code":{"coding":[{"system":"http://loinc.org","code":"2276-4","display":"Ferritin"}],"text":"Ferritin"},
        "subject":{"reference":"Patient/1"},"_effectiveDateTime":{"extension":[{"url":"u","valueCode":"unknown"}]},
        "valueQuantity":{"value":5.10,"comparator":"<","unit":"µg/L"},"note":[{"text":"one\ntwo"},{"text":"three"}],
        "referenceRange":[{"low":{"value":0.0}}],"performer":[{"extension":[{"url":"v","valueBoolean":false}]}]}"#;
    let node = json::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let written = encode(&node).unwrap_or_else(|error| panic!("{error}"));
    let back = decode(written.as_bytes()).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(json::encode(&untyped(&back)), json::encode(&untyped(&node)));
}

/// Every resource of the corpus, in both directions.
#[test]
fn reads_the_shared_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/fhir");
    if !root.is_dir() {
        eprintln!("SKIPPED reads_the_shared_corpus: there is no {}", root.display());
        return;
    }
    let (mut from_json, mut from_xml) = (0, 0);
    for folder in root.read_dir().unwrap() {
        for entry in folder.unwrap().path().read_dir().unwrap() {
            let path = entry.unwrap().path();
            #[expect(clippy::disallowed_methods, reason = "a test reads its input")]
            let bytes = std::fs::read(&path).unwrap();
            let name = path.display();
            let tree = match path.extension().and_then(|it| it.to_str()) {
                // Fragments of a guide's pages: they have no namespace, and so are no FHIR.
                Some("xml") if name.to_string().contains("snippets") => {
                    assert_eq!(decode(&bytes).map_err(|error| error.kind), Err(Kind::NotFhir), "{name}");
                    continue;
                }
                Some("xml") => {
                    from_xml += 1;
                    decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error:?}"))
                }
                Some("json") => {
                    from_json += 1;
                    json::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error:?}"))
                }
                _ => continue,
            };
            // A few files hold a list of resources.
            for resource in tree.items() {
                let written = encode(resource).unwrap_or_else(|error| panic!("{name}: {error}"));
                let back = decode(written.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
                assert!(untyped(&back) == untyped(resource), "{name} does not come back");
            }
        }
    }
    assert!(from_json > 50 && from_xml > 50, "{from_json} of JSON, {from_xml} of XML");
}

fn element() -> impl Strategy<Value = String> {
    let text = any::<String>().prop_map(|text| {
        let mut escaped = String::new();
        xml::escape(&text.chars().filter(|it| xml::is_character(*it)).collect::<String>(), &mut escaped);
        escaped
    });
    let name = prop::sample::select(vec!["code", "given", "text", "name", "birthDate", "valueString"]);
    let extension = Just("<extension url=\"u\"><valueCode value=\"c\"/></extension>".to_owned());
    let leaf = (name.clone(), text, prop::option::of(extension)).prop_map(|(name, value, inside)| {
        format!("<{name} value=\"{value}\">{}</{name}>", inside.unwrap_or_default())
    });
    leaf.prop_recursive(4, 30, 5, move |inner| {
        prop_oneof![
            (name.clone(), prop::collection::vec(inner.clone(), 0..5))
                .prop_map(|(name, all)| format!("<{name}>{}</{name}>", all.concat())),
            inner.clone().prop_map(|inner| format!("<extension url=\"u\" id=\"i\">{inner}</extension>")),
            inner.prop_map(|inner| format!("<resource><Basic>{inner}</Basic></resource>")),
        ]
    })
}

proptest! {
    #[test]
    fn what_was_read_is_written_and_read_again(elements in prop::collection::vec(element(), 0..5)) {
        if let Ok(node) = decode(format!("{OPEN}{}</Patient>", elements.concat()).as_bytes()) {
            let written = encode(&node).unwrap_or_else(|error| panic!("{error}"));
            prop_assert!(decode(written.as_bytes()).as_ref() == Ok(&node), "{}", written);
        }
    }

    #[test]
    fn any_tree_is_written_or_refused(tree in json::tests::tree()) {
        let resource = Node::Object(vec![("resourceType".to_owned(), Node::Text("Basic".to_owned())), ("code".to_owned(), tree)]);
        if let Ok(written) = encode(&resource) {
            prop_assert!(decode(written.as_bytes()).is_ok(), "{}", written);
        }
    }

    #[test]
    fn nothing_makes_it_panic(elements in prop::collection::vec(element(), 0..4), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = format!("{OPEN}{}</Patient>", elements.concat()).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(&bytes);
    }
}
