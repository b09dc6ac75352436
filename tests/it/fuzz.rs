//! The checks of the fuzz targets, on stable and bounded: any bytes, and valid inputs with a few bytes changed.

#[path = "../fuzz/checks.rs"]
mod checks;

use proptest::prelude::*;
use proptest::sample::Index;

const MESSAGE: &str = "MSH|^~\\&|LAB|F|||20240101||ORU^R01|1|P|2.5.1||||||UNICODE UTF-8\rPID|1||9^^^NHS&x&ISO~8||Quillfeather^Zephyrine\rOBX|1|NM|FE^Ferritin||5.10|\\T\\g/L||||F\r";
const BATCH: &str =
    "FHS|^~\\&|LAB\rBHS|^~\\&|LAB\rMSH|^~\\&|LAB\rPID|1\rMSH|^~\\&|LAB\rPID|2\rBTS|2\rFTS|1\r";
const FRAMES: &str = "\u{b}MSH|^~\\&|LAB\r\u{1c}\rstray\u{b}MSH\u{b}MSH\r\u{1c}\r\u{b}MSH";
const JSON: &str = r#"{"resourceType":"Observation","value":[5.10,-1e+6,null,true],"note":"\u00b5g \ud83e\ude78 \"x\"","e":{}}"#;
const FHIR: &str = "<?xml version=\"1.0\"?><Patient xmlns=\"http://hl7.org/fhir\"><text><div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a &amp; b</p></div></text><name id=\"n\"><given value=\"Zephyrine\"/><given><extension url=\"u\"><valueCode value=\"&#181;\"/></extension></given></name><contained><Basic><id value=\"b\"/></Basic></contained></Patient>";
const V2XML: &str = "<ORU_R01 xmlns=\"urn:hl7-org:v2xml\"><MSH><MSH.1>|</MSH.1><MSH.2>^~\\&amp;</MSH.2><MSH.18>8859/1</MSH.18></MSH><ORU_R01.PATIENT><PID><PID.3><CX.1>9</CX.1><CX.4><HD.1>N&#181;</HD.1></CX.4></PID.3><PID.3/></PID></ORU_R01.PATIENT><NTE><NTE.3>a|b<escape V=\".br\"/>c\\.br\\d</NTE.3></NTE></ORU_R01>";
const CSV: &str =
    "\u{feff}code;value;note\r\nFE;5,10;\"a \"\"b\"\"\r\nc\"\r\n;;\r\n\r\nB12;1\r\nX;1.2E+11;=A1;9\r\n";

/// Bytes of the kind that decoders look for, and any others.
fn byte() -> impl Strategy<Value = u8> {
    let telling = b"|^~\\&\r\n\x0b\x1c<>/=\"'&;#![]{}:,\\u0eE+-.\tMSHx\0\xB5\xC2".to_vec();
    prop_oneof![prop::sample::select(telling), any::<u8>()]
}

#[derive(Clone, Debug)]
enum Change {
    Cut(Index, Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
    Set(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Cut(from, to)),
        (any::<Index>(), prop::collection::vec(byte(), 1..6))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Change::Set(at, byte)),
    ]
}

fn changed(valid: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = valid.as_bytes().to_vec();
    for change in changes {
        let place = |at: &Index| at.index(bytes.len() + 1);
        let span = |from: &Index, to: &Index| place(from).min(place(to))..place(from).max(place(to));
        match change {
            Change::Cut(from, to) => drop(bytes.drain(span(from, to))),
            Change::Insert(at, more) => {
                let at = place(at);
                bytes.splice(at..at, more.iter().copied());
            }
            Change::Repeat(from, to) => {
                let again = bytes[span(from, to)].to_vec();
                bytes.extend(again);
            }
            Change::Set(at, byte) => {
                let at = at.index(bytes.len().max(1));
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
        }
    }
    bytes
}

/// The checks hold of the valid input, of it changed, and of any bytes.
macro_rules! holds {
    ($($name:ident: $check:ident, $valid:expr;)*) => {
        proptest! {$(
            #[test]
            fn $name(changes in prop::collection::vec(change(), 0..4), bytes in prop::collection::vec(byte(), 0..120)) {
                checks::$check(&changed($valid, &changes));
                checks::$check(&bytes);
            }
        )*}
    };
}

holds! {
    batch_splitting_holds: check_batch, BATCH;
    csv_decoding_holds: check_csv, CSV;
    fhir_xml_decoding_holds: check_fhir_xml, FHIR;
    hl7v2_decoding_holds: check_hl7v2, MESSAGE;
    json_decoding_holds: check_json, JSON;
    mllp_decoding_holds: check_mllp, FRAMES;
    timestamp_decoding_holds: check_timestamp, "20240331013000.1234+0100";
    v2xml_conversion_holds: check_v2xml, V2XML;
}

/// Every check has its target, and every target is declared.
#[test]
fn every_check_has_a_fuzz_target() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = include_str!("../fuzz/Cargo.toml");
    let checks =
        include_str!("../fuzz/checks.rs").lines().filter_map(|line| line.strip_prefix("pub fn check_"));
    let names: Vec<&str> = checks.filter_map(|line| line.split('(').next()).collect();
    assert_eq!(names.len(), 8);
    for name in names {
        assert!(folder.join(format!("targets/{name}.rs")).is_file(), "{name} has no target");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not declared");
    }
}
