//! What other converters made of messages of the corpus, beside what we make of them.
//!
//! Every value, unit, status, date and identifier that a peer kept is looked for in our Bundle and report. What is not
//! there must fall into a class of differences that is written down, with its reason; one that falls into none fails.
//! `PEERS=each` prints each difference by its file, and not only their number by class.

#![expect(clippy::disallowed_methods, reason = "a test reads the files of the reference corpus")]

mod classes;
mod facts;
mod own;
mod sent;
mod texts;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use haemosync_gateway::clinical::mapping::Catalog;
use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::clinical::mapping::draft;
use haemosync_gateway::config::library;

use crate::corpus::listed;
use crate::corpus::peers::own::Kept;
use crate::corpus::peers::own::Ours;
use crate::corpus::root;

/// How one peer's files compare.
#[derive(Default)]
struct Row {
    files: usize,
    facts: usize,
    in_bundle: usize,
    in_report: usize,
    apart: usize,
}

#[derive(Default)]
struct Comparison {
    rows: BTreeMap<String, Row>,
    classes: BTreeMap<&'static str, usize>,
    each: Vec<String>,
    unexplained: Vec<String>,
    /// Files of a peer in which nothing is said that is compared.
    silent: Vec<String>,
}

#[test]
fn what_the_peers_kept_is_kept_by_us() {
    let Some(root) = root("what_the_peers_kept_is_kept_by_us") else { return };
    let reader = Reader::new(&root);
    let mut comparison = Comparison::default();
    for row in listed(&root).iter().filter(|row| !row.expected.is_empty()) {
        let peer = row.made_by.as_str();
        comparison.pair(&reader, &row.file, &row.expected, peer);
        // Where a peer made the message of a document, the document is one of ours to read as well.
        if row.expected.contains(".source.") {
            let peer = format!("{peer}, of the document that it is made of");
            comparison.pair(&reader, &row.expected, &row.file, &peer);
        }
    }
    comparison.print();
    assert!(!comparison.rows.is_empty(), "the corpus names no expected output");
    let unexplained = comparison.unexplained.len();
    assert_eq!(unexplained, 0, "differences are in no class");
    for class in &classes::CLASSES {
        let count = comparison.classes.get(class.name).copied().unwrap_or_default();
        assert!(count > 0, "nothing is in {}: take the class out", class.name);
        assert!(count <= class.most, "{} has {count}, not {}: look at them", class.name, class.most);
    }
}

struct Reader<'a> {
    root: &'a Path,
    files: BTreeMap<String, String>,
    catalog: Catalog,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Path) -> Self {
        let files = library::library(None).unwrap();
        Self { root, catalog: Catalog::compile(&files).unwrap(), files }
    }

    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.root.join(file)).unwrap()
    }

    /// Reads a file by the standard mapping of its format. A table has none, as its columns are its sender's own: there
    /// a first mapping is drafted of the file itself, as `gateway mapping new` does.
    fn read(&self, file: &str) -> Ours {
        let raw = self.bytes(file);
        let standard = |name: &str| -> &Mapping { self.catalog.lab(name).unwrap() };
        match Path::new(file).extension().and_then(|it| it.to_str()) {
            Some("json") => Ours::of(standard("standard-fhir"), &raw),
            Some("csv") => {
                let known = draft::Known { files: &self.files };
                let drafted = draft::draft("drafted", &[draft::Sample { bytes: &raw }], known);
                let mut ours = Ours::of(&drafted.unwrap().mapping, &raw);
                ours.is_drafted = true;
                ours
            }
            _ => Ours::of(standard("standard"), &raw),
        }
    }
}

impl Comparison {
    /// Compares what we make of one file with what a peer's file says.
    fn pair(&mut self, reader: &Reader<'_>, own: &str, theirs: &str, peer: &str) {
        let groups = facts::of_file(theirs, &reader.bytes(theirs));
        let ours = reader.read(own);
        let row = self.rows.entry(peer.to_owned()).or_default();
        row.files += 1;
        if groups.iter().all(|group| group.facts.is_empty()) {
            self.silent.push(theirs.to_owned());
        }
        for group in &groups {
            for (fact, kept) in ours.look(group) {
                row.facts += 1;
                let class = match kept {
                    Kept::Bundle => {
                        row.in_bundle += 1;
                        continue;
                    }
                    Kept::Report => {
                        row.in_report += 1;
                        continue;
                    }
                    Kept::WithOrder => Some(classes::NO_ORDER),
                    Kept::No => classes::class_of(&ours, group, fact),
                };
                row.apart += 1;
                let line = format!("{own}: {:?} {} = {:?}", fact.kind, fact.at, fact.text);
                if let Some(class) = class {
                    *self.classes.entry(class).or_default() += 1;
                    self.each.push(format!("{class}: {line}"));
                } else {
                    let places: Vec<&str> = ours.places_with(fact).map(|place| place.at.as_str()).collect();
                    self.unexplained.push(format!("{line} in {places:?}"));
                }
            }
        }
    }

    fn print(&self) {
        println!(
            "{:>6} {:>6} {:>9} {:>9} {:>6}  peer's output",
            "files", "facts", "in Bundle", "in report", "apart"
        );
        for (peer, row) in &self.rows {
            let Row { files, facts, in_bundle, in_report, apart } = row;
            println!("{files:>6} {facts:>6} {in_bundle:>9} {in_report:>9} {apart:>6}  {peer}");
        }
        let sum = |of: fn(&Row) -> usize| self.rows.values().map(of).sum::<usize>();
        let (files, facts, apart) = (sum(|it| it.files), sum(|it| it.facts), sum(|it| it.apart));
        let (in_bundle, in_report) = (sum(|it| it.in_bundle), sum(|it| it.in_report));
        println!("{files:>6} {facts:>6} {in_bundle:>9} {in_report:>9} {apart:>6}  all");
        println!(
            "In the report alone is what our Bundle does not write, chiefly what mappings keep as `extra`. What stands apart:"
        );
        for class in &classes::CLASSES {
            let count = self.classes.get(class.name).copied().unwrap_or_default();
            println!("{count:>6} {}: {}", class.name, class.reason);
        }
        println!(
            "{} files assert only the structure of their own Bundle: {}",
            self.silent.len(),
            self.silent.join(", ")
        );
        if std::env::var("PEERS").is_ok_and(|it| it == "each") {
            self.each.iter().for_each(|line| println!("{line}"));
        }
        self.unexplained.iter().for_each(|line| println!("UNEXPLAINED {line}"));
    }
}
