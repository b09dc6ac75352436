//! What other converters made of messages of the corpus, beside what we make of them.
//!
//! Every value, unit, status, date and identifier that a peer kept is looked for in our Bundle and report. What is not
//! there must fall into a class of differences that is written down, with its reason; one that falls into none fails.
//! `PEERS=each` prints each difference by its file, and not only their number by class.

#![expect(clippy::disallowed_methods, reason = "a test reads the files of the reference corpus")]

mod classes;
mod facts;
mod own;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use haemosync_gateway::clinical::mapping::Catalog;
use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::config::library;
use haemosync_gateway::formats::hl7v2;

use crate::corpus::listed;
use crate::corpus::peers::facts::Group;
use crate::corpus::peers::own::Kept;
use crate::corpus::peers::own::Ours;
use crate::corpus::root;

#[derive(Default)]
struct Report {
    files: usize,
    kept: usize,
    kept_in_report: usize,
    classes: BTreeMap<&'static str, usize>,
    each: Vec<String>,
    unexplained: Vec<String>,
}

#[test]
fn what_the_peers_kept_is_kept_by_us() {
    let Some(root) = root("what_the_peers_kept_is_kept_by_us") else { return };
    let files = library::library(None).unwrap();
    let catalog = Catalog::compile(&files).unwrap();
    let standard = catalog.lab("standard").unwrap();
    let mut report = Report::default();
    for row in listed(&root).iter().filter(|row| !row.expected.is_empty()) {
        let raw = fs::read(root.join(&row.file)).unwrap();
        let expected = fs::read(root.join(&row.expected)).unwrap();
        report.files += 1;
        compare(standard, &row.file, &raw, &groups(&root.join(&row.expected), &expected), &mut report);
    }
    report.print();
    assert!(report.files > 0, "the corpus names no expected output");
    assert!(report.unexplained.is_empty(), "{} differences are in no class", report.unexplained.len());
}

/// What a peer's file says, by how it is written.
fn groups(path: &Path, bytes: &[u8]) -> Vec<Group> {
    match path.extension().and_then(|it| it.to_str()) {
        Some("json") => {
            let document = serde_json::from_slice(bytes).unwrap();
            let bundle = facts::of_bundle(&document);
            if document["checks"].is_array() { facts::of_assertions(&document) } else { bundle }
        }
        Some("ndjson") => {
            let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            lines.flat_map(|line| facts::of_bundle(&serde_json::from_slice(line).unwrap())).collect()
        }
        Some("hl7") => facts::of_message(bytes),
        // A table in columns of the peer's own, and one hand-made Bundle in XML, of a document.
        _ => Vec::new(),
    }
}

fn compare(standard: &Mapping, file: &str, raw: &[u8], groups: &[Group], report: &mut Report) {
    let messages: Vec<_> = hl7v2::batch::split(raw).messages().collect();
    let range = if let [only] = messages.as_slice() { only.clone() } else { 0..raw.len() };
    let decoded = hl7v2::decode(&raw[range]);
    let ours = Ours::of(standard, &decoded);
    for group in groups {
        for (fact, kept) in ours.look(group) {
            match kept {
                Kept::Bundle => report.kept += 1,
                Kept::Report => report.kept_in_report += 1,
                Kept::No => {
                    let line = format!("{file}: {:?} {} = {:?}", fact.kind, fact.at, fact.text);
                    match classes::class_of(&ours, group, fact) {
                        Some(class) => {
                            *report.classes.entry(class).or_default() += 1;
                            report.each.push(format!("{class}: {line}"));
                        }
                        None => {
                            report.unexplained.push(format!("{line} in {:?}", ours.fields_with(fact.kind, &fact.text)))
                        }
                    }
                }
            }
        }
    }
}

impl Report {
    fn print(&self) {
        println!("{} files with a peer's output", self.files);
        println!("{:>6} facts kept in the Bundle", self.kept);
        println!(
            "{:>6} facts kept in the canonical report, for which FHIR has no place",
            self.kept_in_report
        );
        for (class, count) in &self.classes {
            println!("{count:>6} {class}: {}", classes::reason(class));
        }
        if std::env::var("PEERS").is_ok_and(|it| it == "each") {
            self.each.iter().for_each(|line| println!("{line}"));
        }
        self.unexplained.iter().for_each(|line| println!("UNEXPLAINED {line}"));
    }
}
