//! Messages in XML, what is told of each, and what holds for any text.

use std::fmt::Write as _;

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::formats::hl7v2;

const HEADER: &str = "<MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2><MSH.9><MSG.1>ORU</MSG.1></MSH.9></MSH>";

fn whole(inside: &str) -> String {
    format!("<ORU_R01 xmlns=\"urn:hl7-org:v2xml\">{inside}</ORU_R01>")
}

/// The ER7, and each deviation as its kind and location.
fn check(xml: &str, er7: &str, deviations: &[(Kind, &str)]) {
    let converted = convert(xml.as_bytes()).unwrap_or_else(|error| panic!("{xml}: {error}"));
    assert_eq!(String::from_utf8_lossy(&converted.er7), er7, "{xml}");
    let found: Vec<_> = converted.deviations.iter().map(|it| (it.kind, it.location.as_str())).collect();
    assert_eq!(found, deviations, "{xml}");
}

/// The same for what stands behind a plain header.
fn check_after_header(inside: &str, er7: &str, deviations: &[(Kind, &str)]) {
    check(&whole(&format!("{HEADER}{inside}")), &format!("MSH|^~\\&|||||||ORU\r{er7}"), deviations);
}

#[test]
fn writes_segments_repetitions_and_parts() {
    check(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- invented --><ORU_R01 xmlns="urn:hl7-org:v2xml">
  <MSH>
    <MSH.1>|</MSH.1><MSH.2>^~\&amp;</MSH.2>
    <MSH.3><HD.1>LAB</HD.1></MSH.3>
    <MSH.9><MSG.1>ORU</MSG.1><MSG.2>R01</MSG.2></MSH.9>
    <MSH.12><VID.1>2.5.1</VID.1></MSH.12>
  </MSH>
  <ORU_R01.PATIENT_RESULT><ORU_R01.PATIENT><PID>
    <PID.3><CX.1>1</CX.1><CX.4><HD.1>NHS</HD.1><HD.3>ISO</HD.3></CX.4></PID.3>
    <PID.3><CX.1>2</CX.1></PID.3>
    <PID.5><XPN.1><FN.1>Quillfeather</FN.1></XPN.1><XPN.10><DR.1><TS.1>2024</TS.1></DR.1></XPN.10></PID.5>
    <PID.7>""</PID.7><PID.8/>
  </PID></ORU_R01.PATIENT></ORU_R01.PATIENT_RESULT>
  <ZX1><ZX1.2><ZX1.2.1>a</ZX1.2.1><ZX1.2.2>b</ZX1.2.2></ZX1.2></ZX1>
</ORU_R01>"#,
        "MSH|^~\\&|LAB||||||ORU^R01|||2.5.1\rPID|||1^^^NHS&&ISO~2||Quillfeather^^^^^^^^^2024||\"\"|\rZX1||a^b\r",
        &[],
    );
}

#[test]
fn escapes_text_and_keeps_formatting() {
    check_after_header(
        "<NTE><NTE.3>a|b^c&amp;d~e\\f &lt;5\n6<escape V=\".br\"/>g<escape V=\"H\"/></NTE.3><NTE.4>\n   7.1\n </NTE.4><NTE.5> x </NTE.5></NTE>",
        "NTE|||a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f <5\\.br\\6\\.br\\g\\H\\|7.1| x \r",
        &[],
    );
    check_after_header(
        "<NTE><NTE.3>one\\.br\\two 10\\S\\9 C:\\dir</NTE.3><NTE.4>x<escape V=\"|\"/><escape V=\"Z|\"/></NTE.4></NTE>",
        "NTE|||one\\.br\\two 10\\S\\9 C:\\E\\dir|x\r",
        &[
            (Kind::EscapeInText, "NTE[1]-3"),
            (Kind::EscapeUnknown, "NTE[1]-4"),
            (Kind::EscapeUnknown, "NTE[1]-4"),
        ],
    );
}

#[test]
fn tells_of_everything_it_cannot_place() {
    check_after_header(
        "stray<PID><PID.5>a</PID.5><PID.3>b</PID.3><PID.XX>c</PID.XX><PID.YY/><PV1.2>d</PV1.2>text</PID><Note>e</Note><PV1/>",
        "PID|||b||a\rPV1\r",
        &[
            (Kind::TextBesideElements, ""),
            (Kind::Unplaced, ""),
            (Kind::TextBesideElements, "PID[1]"),
            (Kind::OutOfOrder, "PID[1]-3"),
            (Kind::Unplaced, "PID[1]"),
            (Kind::Unplaced, "PID[1]"),
        ],
    );
    check_after_header(
        "<PID><PID.3>x<CX.1>a</CX.1><CX.1>b</CX.1><CX.none>c</CX.none><CX.2><A.1><B.1>d</B.1><B.2>e</B.2></A.1></CX.2></PID.3><PID.0>f</PID.0><PID.9999>g</PID.9999></PID>",
        "PID|||a^d\r",
        &[
            (Kind::TextBesideElements, "PID[1]-3"),
            (Kind::PartTwice, "PID[1]-3"),
            (Kind::Unplaced, "PID[1]-3"),
            (Kind::TooDeep, "PID[1]-3"),
            (Kind::Unplaced, "PID[1]"),
            (Kind::Unplaced, "PID[1]"),
        ],
    );
}

#[test]
fn the_result_is_read_as_utf_8_whatever_msh_18_said() {
    for (sent, told) in
        [("", false), ("<MSH.18>8859/1</MSH.18>", true), ("<MSH.18>UNICODE UTF-8</MSH.18>", false)]
    {
        let xml = whole(&format!(
            "<MSH><MSH.2>^~\\&amp;</MSH.2><MSH.10>1</MSH.10>{sent}</MSH><NTE><NTE.3>&#181;g ł</NTE.3></NTE>"
        ));
        let converted = convert(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(converted.deviations.iter().any(|it| it.kind == Kind::CharsetReplaced), told);
        let decoded = hl7v2::decode(&converted.er7);
        assert_eq!(decoded.deviations, []);
        let message = decoded.message.expect("a header");
        assert_eq!(message.first("NTE").expect("a note").field(3).text(), "µg ł");
        assert_eq!(message.control_id(), "1");
    }
}

#[test]
fn takes_the_delimiters_that_are_given() {
    let header = |one: &str, two: &str| {
        whole(&format!(
            "<MSH><MSH.1>{one}</MSH.1><MSH.2>{two}</MSH.2></MSH><NTE><NTE.3>a|b#c</NTE.3><NTE.3>d</NTE.3></NTE>"
        ))
    };
    check(&header("#", "!%*@"), "MSH#!%*@\rNTE###a|b*F*c%d\r", &[]);
    check(&header("|", "^~\\&amp;#"), "MSH|^~\\&#\rNTE|||a\\F\\b\\P\\c~d\r", &[]);
    check(
        &header("a", "^~\\&amp;"),
        "MSH|^~\\&\rNTE|||a\\F\\b#c~d\r",
        &[(Kind::DelimitersReplaced, "MSH-2")],
    );
    check(&header("|", "^^^^"), "MSH|^~\\&\rNTE|||a\\F\\b#c~d\r", &[(Kind::DelimitersReplaced, "MSH-2")]);
    check("<A><MSH/></A>", "MSH|^~\\&\r", &[(Kind::NamespaceMissing, "")]);
}

#[test]
fn finds_the_message_in_its_envelope() {
    check(
        &format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{}</s:Body></s:Envelope>",
            whole(HEADER)
        ),
        "MSH|^~\\&|||||||ORU\r",
        &[],
    );
    let refuse = |xml: &str, code: &str| {
        let error = convert(xml.as_bytes()).err().unwrap_or_else(|| panic!("{xml} was read"));
        assert_eq!(error.diagnostic().code.as_str(), code, "{xml}");
    };
    refuse("<a/>", "H073");
    refuse(&whole("<PID/>"), "H073");
    refuse(&whole(&format!("<PID/>{HEADER}")), "H073");
    refuse("<a", "H070");
    refuse("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "H071");
    refuse(&whole("&x;"), "H071");
    refuse(&"<a>".repeat(100), "H072");
}

#[test]
fn knows_xml_at_a_glance() {
    for xml in ["<a/>", "\u{feff} \r\n<?xml?>", " <a"] {
        assert!(looks_like_xml(xml.as_bytes()), "{xml}");
    }
    assert!(looks_like_xml(b"\xFF\xFE<\0a\0") && looks_like_xml(b"\0<\0a"));
    for other in ["", "MSH|^~\\&|", "{\"a\":1}", "x<a>"] {
        assert!(!looks_like_xml(other.as_bytes()), "{other}");
    }
}

/// Every message of the corpus is converted, and read without anything to tell but what its XML has wrong.
#[test]
fn converts_the_shared_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/hl7v2-xml");
    if !root.is_dir() {
        eprintln!("SKIPPED converts_the_shared_corpus: there is no {}", root.display());
        return;
    }
    let mut read = 0;
    for folder in root.read_dir().unwrap() {
        for entry in folder.unwrap().path().read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            #[expect(clippy::disallowed_methods, reason = "a test reads its input")]
            let bytes = std::fs::read(&path).unwrap();
            assert!(looks_like_xml(&bytes), "{name}");
            let converted = match convert(&bytes) {
                Err(error) => {
                    assert!(name.contains("xxe") && error.code() == "H071", "{name}: {error}");
                    continue;
                }
                Ok(converted) => converted,
            };
            read += 1;
            let told = converted.deviations.iter().map(|it| it.kind).collect::<Vec<_>>();
            let expected = match () {
                () if name.contains("getMessage2") || name.contains("getMessage3") => vec![Kind::Unplaced],
                () if name.ends_with("misc.xml") => vec![Kind::EscapeInText],
                () => Vec::new(),
            };
            assert_eq!(told, expected, "{name}");
            let decoded = hl7v2::decode(&converted.er7);
            assert_eq!(decoded.deviations, [], "{name}");
            let message = decoded.message.expect("a header");
            if name.ends_with("samples_oru_r01.xml") {
                let values: Vec<_> = message
                    .segments()
                    .filter(|it| it.name() == "OBX")
                    .map(|it| (it.field(3).component(1).text().into_owned(), it.field(5).raw().to_owned()))
                    .collect();
                let expected = [("2093-3", "187"), ("10331-7", "D^Rh positive^LN")];
                assert_eq!(values, expected.map(|(code, value)| (code.to_owned(), value.to_owned())));
                let patient = message.first("PID").expect("a patient");
                assert_eq!(patient.field(3).raw(), "444333222^^^ACME&1.2.3.4&ISO^MR");
            }
        }
    }
    assert!(read >= 12, "{read} files");
}

/// A decoded message in XML, its leaves as plain text.
fn to_xml(message: &hl7v2::Message<'_>) -> String {
    let mut out = String::new();
    for segment in message.segments() {
        write!(out, "<{}>", segment.name()).unwrap();
        for (at, field) in segment.fields().enumerate() {
            let name = format!("{}.{}", segment.name(), at + 1);
            for repetition in field.repetitions() {
                write!(out, "<{name}>").unwrap();
                if segment.name() == "MSH" && at < 2 {
                    xml::escape(repetition.raw(), &mut out);
                } else {
                    for (at, component) in repetition.components().enumerate() {
                        write!(out, "<X.{}>", at + 1).unwrap();
                        for (at, leaf) in component.subcomponents().enumerate() {
                            write!(out, "<Y.{}>", at + 1).unwrap();
                            xml::escape(&leaf.text(), &mut out);
                            write!(out, "</Y.{}>", at + 1).unwrap();
                        }
                        write!(out, "</X.{}>", at + 1).unwrap();
                    }
                }
                write!(out, "</{name}>").unwrap();
            }
        }
        write!(out, "</{}>", segment.name()).unwrap();
    }
    whole(&out)
}

fn message() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "",
        "5.10",
        "<0.1",
        "10\\S\\9/L",
        "µmol/L",
        "\"\"",
        "a b",
        "\\T\\\\F\\x\\E\\y",
        "1\\.br\\2",
    ]);
    let component = prop::collection::vec(leaf, 1..3).prop_map(|leaves| leaves.join("&"));
    let repetition = prop::collection::vec(component, 1..4).prop_map(|components| components.join("^"));
    let field = prop::collection::vec(repetition, 1..3).prop_map(|repetitions| repetitions.join("~"));
    let segment =
        (prop::sample::select(vec!["PID", "OBX", "NTE", "ZX1"]), prop::collection::vec(field, 1..6))
            .prop_map(|(name, fields)| format!("{name}|{}\r", fields.join("|")));
    prop::collection::vec(segment, 0..6).prop_map(|segments| {
        format!("MSH|^~\\&|LAB|F|||20240101||ORU^R01|1|P|2.5.1||||||UNICODE UTF-8\r{}", segments.concat())
    })
}

proptest! {
    #[test]
    fn er7_comes_back_from_xml(er7 in message()) {
        let decoded = hl7v2::decode(er7.as_bytes());
        let converted = convert(to_xml(&decoded.message.unwrap()).as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        prop_assert_eq!(&converted.deviations, &[]);
        prop_assert_eq!(String::from_utf8(converted.er7).unwrap(), er7);
    }

    /// No text, whatever is in it, becomes another field, segment or text.
    #[test]
    fn text_stays_text(text in "[^\\p{Cc}]{0,12}|[|^~\\\\&#.bXrZ\"<]{0,9}") {
        let mut escaped = String::new();
        xml::escape(&text, &mut escaped);
        prop_assume!(text.chars().all(xml::is_character));
        let converted = convert(whole(&format!("{HEADER}<NTE><NTE.3>{escaped}</NTE.3><NTE.4>next</NTE.4></NTE>")).as_bytes());
        let converted = converted.unwrap_or_else(|error| panic!("{error}"));
        let decoded = hl7v2::decode(&converted.er7);
        let message = decoded.message.unwrap();
        prop_assert_eq!(message.segments().len(), 2);
        let note = message.first("NTE").unwrap();
        prop_assert_eq!((note.field_count(), note.field(4).text()), (4, "next".into()));
        if converted.deviations.is_empty() {
            prop_assert_eq!(note.field(3).text(), text);
            prop_assert_eq!(decoded.deviations, []);
        }
    }

    #[test]
    fn nothing_makes_it_panic(pieces in prop::collection::vec(prop::sample::select(vec![
        HEADER, "<PID>", "</PID>", "<PID.3>", "</PID.3>", "<CX.1>", "</CX.1>", "<escape V='.br'/>", "text", "\\", "<A.99999999999999999999/>", "<A./>", "<PID.-1/>",
    ]), 0..14)) {
        if let Ok(converted) = convert(whole(&pieces.concat()).as_bytes()) {
            converted.deviations.iter().for_each(|it| drop(it.diagnostic()));
            drop(hl7v2::decode(&converted.er7));
        }
    }
}
