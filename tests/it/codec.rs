//! A second opinion on the HL7 v2 codec, and a run over the shared corpus where it is at hand.

use std::path::Path;

use haemosync_gateway::formats::hl7v2;
use hl7_parser::message::Subcomponent;
use proptest::prelude::*;

/// What hl7-parser reads rightly: standard delimiters, CR ends, three-letter names, no blank lines. Escapes are
/// compared as sent, because it decodes only some of them.
fn message() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["", "5.10", "<0.1", "x10\\S\\9/L", "µmol/L", "\"\"", "a b"]);
    let component = prop::collection::vec(leaf, 1..3).prop_map(|leaves| leaves.join("&"));
    let repetition = prop::collection::vec(component, 1..4).prop_map(|components| components.join("^"));
    let field = prop::collection::vec(repetition, 1..3).prop_map(|repetitions| repetitions.join("~"));
    let name = prop::sample::select(vec!["PID", "OBR", "OBX", "NTE", "ZX1"]);
    let segment = (name, prop::collection::vec(field, 1..6))
        .prop_map(|(name, fields)| format!("{name}|{}\r", fields.join("|")));
    prop::collection::vec(segment, 0..8)
        .prop_map(|segments| format!("MSH|^~\\&|LAB|F|||20240101||ORU^R01|1|P|2.5.1\r{}", segments.concat()))
}

proptest! {
    #[test]
    fn agrees_with_hl7_parser(text in message()) {
        let decoded = hl7v2::decode(text.as_bytes());
        let ours = decoded.message.unwrap();
        let theirs = hl7_parser::parse_message(&text).unwrap();
        prop_assert_eq!(ours.segments().len(), theirs.segments().count());
        for (ours, theirs) in ours.segments().zip(theirs.segments()) {
            prop_assert_eq!(ours.name(), theirs.name);
            for number in 1..=ours.field_count() {
                let field = ours.field(number);
                let Some(other) = theirs.field(number as usize) else {
                    prop_assert!(field.is_empty());
                    continue;
                };
                prop_assert_eq!(field.raw(), other.raw_value());
                if ours.name() == "MSH" && number <= 2 {
                    continue;
                }
                for (ours, theirs) in field.repetitions().zip(other.repeats()) {
                    prop_assert_eq!(ours.raw(), theirs.raw_value());
                    for (ours, theirs) in ours.components().zip(theirs.components()) {
                        prop_assert_eq!(ours.raw(), theirs.raw_value());
                        let leaves: Vec<_> = ours.subcomponents().map(|leaf| leaf.raw()).collect();
                        prop_assert_eq!(leaves, theirs.subcomponents().map(Subcomponent::raw_value).collect::<Vec<_>>());
                    }
                }
            }
        }
    }
}

/// Every file of the corpus is read without panic, and each message in it is written back as it was wherever
/// nothing was found to report.
#[test]
fn reads_the_shared_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    if !root.is_dir() {
        eprintln!("SKIPPED reads_the_shared_corpus: there is no {}", root.display());
        return;
    }
    let mut files = Vec::new();
    let mut folders = vec![root.join("hl7v2"), root.join("batch")];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let (mut read, mut clean) = (0, 0);
    for file in &files {
        #[expect(clippy::disallowed_methods, reason = "a test reads its input")]
        let bytes = std::fs::read(file).unwrap();
        let split = hl7v2::batch::split(&bytes);
        assert_eq!(split.parts.iter().map(|part| part.bytes.len()).sum::<usize>(), bytes.len());
        for part in split.messages() {
            let decoded = hl7v2::decode(&bytes[part.clone()]);
            read += 1;
            if decoded.deviations.is_empty() {
                clean += 1;
                let written = hl7v2::encode::encode(&decoded.message.unwrap()).unwrap();
                assert!(written == bytes[part], "{} is not written as it was read", file.display());
            }
        }
    }
    assert!(read > 500 && clean > 50, "{} files, {read} messages, {clean} without deviation", files.len());
}
