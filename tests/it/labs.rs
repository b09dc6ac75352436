//! Every example beside a laboratory's mapping, against its committed expectation.
//!
//! `BLESS=1 cargo test --test it labs` writes the expectations anew; look at the difference before committing it.

#![expect(clippy::disallowed_methods, reason = "a test reads the files of the repository")]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use haemosync_gateway::clinical::mapping::Catalog;
use haemosync_gateway::clinical::mapping::Reading;
use haemosync_gateway::clinical::mapping::Status;
use haemosync_gateway::clinical::mapping::example;
use haemosync_gateway::clinical::mapping::inbound::Position;
use haemosync_gateway::clinical::mapping::language::Format;
use haemosync_gateway::config::examples;
use haemosync_gateway::config::examples::Example;
use haemosync_gateway::diagnostic::codes;
use haemosync_gateway::diagnostic::render;
use haemosync_gateway::formats::hl7v2;

const EXAMPLES_MIN: usize = 6;

fn mappings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings")
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

pub(crate) fn catalog() -> Catalog {
    let mut files = BTreeMap::new();
    for lab in folders(&mappings().join("labs")) {
        for entry in
            fs::read_dir(&lab).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
        {
            let key = format!("labs/{}/{}", name(&lab), name(&entry));
            files.insert(key, fs::read_to_string(&entry).unwrap());
        }
    }
    Catalog::compile(&files).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(|it| render::plain(it, "")).collect::<String>())
    })
}

/// One example as its mapping reads it.
struct Read {
    example: Example,
    reading: Reading,
}

/// Each example of a laboratory: where it is, its bytes, how its mapping reads it.
fn examples() -> Vec<(PathBuf, Vec<u8>, Reading)> {
    parts(read_examples(|_| true))
}

/// Those whose message is HL7 v2 as ER7.
fn examples_of_hl7() -> Vec<(PathBuf, Vec<u8>, Reading)> {
    let mut examples = read_examples(|format| format == Format::Hl7v2);
    examples.retain(|it| it.example.folder.join("message.hl7").is_file());
    parts(examples)
}

fn parts(examples: Vec<Read>) -> Vec<(PathBuf, Vec<u8>, Reading)> {
    examples.into_iter().map(|it| (it.example.folder, it.example.message, it.reading)).collect()
}

fn read_examples(takes: impl Fn(Format) -> bool) -> Vec<Read> {
    let catalog = catalog();
    let mut read = Vec::new();
    for lab in folders(&mappings().join("labs")) {
        let Some(mapping) = catalog.lab(name(&lab)).filter(|mapping| takes(mapping.format())) else {
            continue;
        };
        for example in examples::of_lab(&mappings(), name(&lab)).unwrap() {
            let reading = mapping.read_bytes(&example.message);
            read.push(Read { example, reading });
        }
    }
    read
}

#[test]
fn every_example_reads_as_expected() {
    let is_blessing = std::env::var_os("BLESS").is_some();
    let mut differences = Vec::new();
    for Read { example, reading } in read_examples(|_| true) {
        let found = example::found(&reading);
        for change in example::changes(&example.expected, &found) {
            differences.push(format!("{}: {change:?}", example.folder.display()));
        }
        for (file, text) in found.iter().filter(|_| is_blessing) {
            fs::write(example.folder.join(file), text).unwrap();
        }
    }
    assert!(is_blessing || differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn each_laboratory_has_examples_that_pass_and_that_are_held() {
    let mut labs: BTreeMap<String, Vec<Status>> = BTreeMap::new();
    for (folder, _, reading) in examples() {
        let lab = name(folder.parent().and_then(Path::parent).unwrap()).to_owned();
        labs.entry(lab).or_default().push(reading.status);
    }
    for (lab, readings) in labs {
        assert!(readings.len() >= EXAMPLES_MIN, "{lab} has {} examples", readings.len());
        assert!(readings.contains(&Status::Mapped) && readings.contains(&Status::Held), "{lab}");
    }
}

#[test]
fn no_result_vanishes() {
    for (folder, bytes, reading) in
        examples_of_hl7().into_iter().filter(|(_, _, reading)| reading.status != Status::Rejected)
    {
        let decoded = hl7v2::decode(&bytes);
        let message = decoded.message.unwrap();
        let sent: BTreeSet<String> = message
            .segments()
            .filter(|segment| segment.name() == "OBX")
            .map(|segment| segment.location().to_string())
            .collect();
        let results =
            reading.reports.iter().flat_map(|report| report.results().map(|result| result.id.0.clone()));
        let named =
            reading.diagnostics.iter().filter_map(|it| it.position.split('-').next().map(str::to_owned));
        let accounted: BTreeSet<String> =
            results.chain(named.filter(|place| place.starts_with("OBX"))).collect();
        assert_eq!(accounted, sent, "{}", folder.display());
    }
}

#[test]
fn every_diagnostic_is_explained_and_helps() {
    for (folder, _, reading) in examples() {
        for diagnostic in &reading.diagnostics {
            let place = format!("{}: {}", folder.display(), diagnostic.code);
            assert!(codes::find(diagnostic.code.as_str()).is_some(), "{place} is not explained");
            assert!(
                !diagnostic.help.is_empty() && !diagnostic.position.is_empty(),
                "{place} has no help or place"
            );
        }
    }
}

#[test]
fn no_diagnostic_holds_a_patients_name_or_number() {
    for (folder, bytes, reading) in examples_of_hl7() {
        let told = example::diagnostics(&reading);
        let decoded = hl7v2::decode(&bytes);
        let Some(patient) = decoded.message.as_ref().and_then(|message| message.first("PID")) else {
            continue;
        };
        for secret in
            [patient.field(3).component(1), patient.field(5).component(1), patient.field(5).component(2)]
        {
            assert!(!told.contains(secret.raw()), "{}", folder.display());
        }
    }
}

#[test]
fn every_ledger_is_total() {
    for (folder, bytes, reading) in
        examples_of_hl7().into_iter().filter(|(_, _, reading)| reading.status != Status::Rejected)
    {
        let decoded = hl7v2::decode(&bytes);
        let message = decoded.message.unwrap();
        let populated = message
            .segments()
            .flat_map(|segment| segment.fields().filter(hl7v2::Element::is_populated).collect::<Vec<_>>());
        assert_eq!(reading.ledger.entries.len(), populated.count(), "{}", folder.display());
        let among_results = |name: &str| ["OBR", "OBX", "NTE", "SPM"].contains(&name);
        let unread = reading.ledger.unaccounted().any(|field| match field {
            Position::Field(location) => among_results(location.segment_name()),
            Position::Place(_) => false,
        });
        assert!(!unread || reading.status == Status::Held, "{}", folder.display());
    }
}

/// A readable ORU^R01: MSH-9 says so, and there is a PID, an OBR and an OBX.
fn is_readable_result(message: &hl7v2::Message<'_>) -> bool {
    let [kind, trigger, _] = message.message_type();
    kind == "ORU" && trigger == "R01" && ["PID", "OBR", "OBX"].iter().all(|it| message.first(it).is_some())
}

/// Real messages that were never written for us: most of them map, the rest are held with position and remedy, and no
/// result of any vanishes.
#[test]
fn the_standard_mapping_reads_most_of_the_shared_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/hl7v2");
    if !root.is_dir() {
        eprintln!(
            "SKIPPED the_standard_mapping_reads_most_of_the_shared_corpus: there is no {}",
            root.display()
        );
        return;
    }
    let catalog = catalog();
    let standard = catalog.lab("standard").unwrap();
    let (mut mapped, mut held) = (0, 0);
    for file in folders(&root).iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
        let Ok(bytes) = fs::read(file.unwrap().path()) else { continue };
        for range in hl7v2::batch::split(&bytes).messages() {
            let decoded = hl7v2::decode(&bytes[range]);
            let reading = standard.read_decoded(&decoded);
            let Some(message) = decoded.message.as_ref().filter(|message| is_readable_result(message)) else {
                continue;
            };
            let sent = message.segments().filter(|segment| segment.name() == "OBX").count();
            let read: usize = reading.reports.iter().map(|report| report.results().count()).sum();
            let orphans = reading.diagnostics.iter().filter(|it| it.code.as_str() == "M104").count();
            assert_eq!(sent, read + orphans);
            if reading.status == Status::Mapped {
                mapped += 1;
            } else {
                held += 1;
            }
            let reasons = reading.diagnostics.iter().filter(|it| it.is_error());
            assert!(reasons.clone().all(|it| !it.position.is_empty() && !it.help.is_empty()));
            assert_eq!(reasons.count() > 0, reading.status == Status::Held);
        }
    }
    assert!(mapped * 100 >= (mapped + held) * 80, "{mapped} mapped, {held} held");
}
