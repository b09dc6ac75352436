//! What an author of mappings uses: `mapping new`, `mapping share` and `mapping test`; and copies of every example and
//! every message at hand, which must read as their messages do.

#![expect(clippy::disallowed_methods, reason = "a test reads the repository's folders and writes its own")]

mod draft;
mod share;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use haemosync_gateway::app::Compiled;
use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::clinical::mapping::Reading;
use haemosync_gateway::clinical::mapping::language::Format;
use haemosync_gateway::clinical::mapping::share as sharing;
use haemosync_gateway::clinical::model::Report;
use haemosync_gateway::config::examples;
use haemosync_gateway::formats::hl7v2;
use serde_json::Value;

use crate::cli::Place;

const MESSAGE: &str = "MSH|^~\\&|PATH|NORTH|||20260301090000||ORU^R01|C-1|P|2.4\rPID|1||9990000018^^^NHS^NH||Quillfeather^Ottoline||19800229|F\rOBR|1||F-1|FBC^Full blood count|||202603010830|||||||||||||||20260301085900||HM|F\rOBX|1|NM|HB^Haemoglobin||131|g/L|115-165||||F\r";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Codes and places; of a table the lines, because a header that the mapping does not know is hidden too.
fn told(reading: &Reading) -> Vec<(String, String)> {
    let place = |position: &str| match position.split_once(", ") {
        Some((line, _)) if line.starts_with("line ") => line.to_owned(),
        _ => position.to_owned(),
    };
    reading.diagnostics.iter().map(|it| (it.code.as_str().to_owned(), place(&it.position))).collect()
}

/// Names and numbers of the patients of reports.
fn secrets(reports: &[Report]) -> BTreeSet<String> {
    let mut secrets = BTreeSet::new();
    let mut add = |text: &str| {
        let words = text.split(|it: char| !it.is_alphanumeric()).filter(|it| it.chars().count() >= 4);
        secrets.extend(words.map(str::to_lowercase));
    };
    for patient in reports.iter().map(|it| &it.patient) {
        let json = serde_json::to_value(patient).unwrap();
        for (field, part) in [("names", "family"), ("identifiers", "value")] {
            for item in json[field].as_array().into_iter().flatten() {
                item[part].as_str().into_iter().for_each(&mut add);
            }
        }
    }
    secrets
}

/// Words of coded fields, which stay: a patient called Test is not hidden where a test is.
fn coded(reports: &[Report]) -> BTreeSet<String> {
    let mut texts = Vec::new();
    for panel in reports.iter().flat_map(|it| &it.panels) {
        texts.push(serde_json::to_string(&panel.code).unwrap());
        for result in &panel.results {
            let own =
                (&result.code, &result.unit, &result.range, &result.flags, &result.methods, &result.value);
            texts.push(serde_json::to_string(&own).unwrap());
        }
    }
    for specimen in reports.iter().flat_map(|it| &it.specimens) {
        texts.push(serde_json::to_string(&(&specimen.kind, &specimen.conditions)).unwrap());
    }
    let words = texts.iter().flat_map(|it| it.split(|letter: char| !letter.is_alphanumeric()));
    words.map(str::to_lowercase).collect()
}

/// Shares a message and holds the copy against it; a reason where it cannot be shared.
fn check(mapping: &Mapping, message: &[u8], name: &str) -> Result<(), String> {
    let copy = sharing::share(mapping, message, &sharing::Key::from_random([9; 32]))
        .map_err(|it| it.message.clone())?;
    assert_eq!(copy.len(), message.len(), "{name}");
    let [before, after] = [message, &copy].map(|bytes| mapping.read_bytes(bytes));
    assert_eq!(before.status, after.status, "{name}\n{:?}\n{:?}", told(&before), told(&after));
    assert_eq!(told(&before), told(&after), "{name}");
    let text = String::from_utf8_lossy(&copy).to_lowercase();
    let left: BTreeSet<&str> = text.split(|it: char| !it.is_alphanumeric()).collect();
    let kept = coded(&before.reports);
    for secret in secrets(&before.reports).difference(&kept) {
        assert!(!left.contains(secret.as_str()), "{name}: {secret} is left");
    }
    if mapping.format() == Format::Hl7v2 && message.trim_ascii_start().starts_with(b"MSH") {
        assert_eq!(hl7v2::decode(message).deviations, hl7v2::decode(&copy).deviations, "{name}");
    }
    Ok(())
}

#[test]
fn the_copy_of_every_example_reads_as_the_example() {
    let mappings = root().join("mappings");
    let compiled = Compiled::read(Some(&mappings)).unwrap();
    for lab in compiled.catalog.names() {
        let mapping = compiled.catalog.lab(lab).unwrap();
        for example in examples::of_lab(&mappings, lab).unwrap() {
            check(mapping, &example.message, &example.folder.display().to_string()).unwrap();
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Of one source at most so many files: they are much alike, and each is read four times.
const FILES_OF_ONE_SOURCE_MAX: usize = 15;

/// Messages that were never written for us, of every format.
#[test]
fn the_copy_of_every_message_of_the_shared_corpus_reads_as_the_message() {
    let corpus = root().join("../shared/corpus");
    if !corpus.is_dir() {
        eprintln!(
            "SKIPPED the_copy_of_every_message_of_the_shared_corpus_reads_as_the_message: there is no {}",
            corpus.display()
        );
        return;
    }
    let compiled = Compiled::read(None).unwrap();
    let (mut shared, mut refused) = (0, 0);
    for (folder, lab) in
        [("hl7v2", "standard"), ("hl7v2-xml", "standard"), ("fhir", "standard-fhir"), ("csv", "standard-csv")]
    {
        let mapping = compiled.catalog.lab(lab).unwrap();
        let mut paths = Vec::new();
        files(&corpus.join(folder), &mut paths);
        paths.sort();
        let mut sources: BTreeMap<PathBuf, usize> = BTreeMap::new();
        paths.retain(|path| {
            let count = sources.entry(path.parent().unwrap().to_owned()).or_default();
            *count += 1;
            *count <= FILES_OF_ONE_SOURCE_MAX
        });
        for path in paths {
            let bytes = fs::read(&path).unwrap();
            let is_er7 = folder == "hl7v2";
            let split = hl7v2::batch::split(if is_er7 { &bytes } else { &[] });
            let mut ranges: Vec<_> = split.messages().collect();
            if ranges.is_empty() {
                ranges.push(0..bytes.len());
            }
            for range in ranges {
                match check(mapping, &bytes[range], &path.display().to_string()) {
                    Ok(()) => shared += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(shared > 150, "{shared} shared, {refused} refused");
    assert!(refused * 100 <= shared, "{shared} shared, {refused} refused");
}

#[test]
fn a_laboratory_is_drafted_tested_changed_and_blessed() {
    let place = Place::new();
    place.write("in/one.hl7", MESSAGE);
    place.write("in/two.hl7", &MESSAGE.replace("C-1", "C-2").replace("HB^Haemoglobin", "ZZ^Novel"));
    let (status, documents) = place.json(&["mapping", "new", "north", "in"]);
    assert_eq!((status, documents[0]["messages"].as_u64()), (0, Some(2)), "{documents:?}");
    assert_eq!(documents[0]["mapped"], 1);
    let example = fs::read_to_string(place.path("mappings/labs/north/examples/mapped/message.hl7")).unwrap();
    assert!(!example.contains("Quillfeather") && example.contains("HB^Haemoglobin"), "{example}");

    let again = place.run(&["mapping", "new", "north", "in"]);
    assert_eq!(again.status.code(), Some(2), "nothing is overwritten");
    assert!(String::from_utf8(again.stderr).unwrap().contains("M085"));

    let (status, documents) = place.json(&["mapping", "test", "north"]);
    assert_eq!(status, 0, "{documents:?}");
    let table = "mappings/labs/north/units.csv";
    let text = fs::read_to_string(place.path(table)).unwrap();
    place.write(table, &text.replace("g/L,g/L", "g/L,mg/L"));
    let (status, documents) = place.json(&["mapping", "test", "north"]);
    assert_eq!(status, 1);
    let kinds: Vec<&Value> =
        documents.iter().filter_map(|it| it["changes"].as_array()).flatten().map(|it| &it["kind"]).collect();
    assert!(kinds.contains(&&Value::from("unit")), "{documents:?}");
    let plain = String::from_utf8(place.run(&["mapping", "test", "north"]).stdout).unwrap();
    assert!(plain.contains("result.unit") && !plain.contains('\u{1b}'), "{plain}");

    let (status, _) = place.json(&["mapping", "test", "north", "--bless"]);
    assert_eq!(status, 0);
    assert_eq!(place.json(&["mapping", "test", "north"]).0, 0);
}

#[test]
fn without_a_folder_of_mappings_there_is_nothing_to_test() {
    let place = Place::new();
    let output = place.run(&["mapping", "test"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("M082"));
}

#[test]
fn a_copy_is_written_and_is_another_each_time() {
    let place = Place::new();
    place.write("one.hl7", MESSAGE);
    let (status, documents) = place.json(&["mapping", "share", "one.hl7", "--out", "copy.hl7"]);
    assert_eq!((status, documents[0]["message"].clone()), (0, documents[0]["copy"].clone()));
    let first = fs::read_to_string(place.path("copy.hl7")).unwrap();
    let second = String::from_utf8(place.run(&["mapping", "share", "one.hl7"]).stdout).unwrap();
    assert_eq!(first.len(), MESSAGE.len());
    assert_ne!(first, second);
    assert!(!first.contains("Quillfeather") && first.contains("|131|g/L|115-165|"), "{first}");
}
