//! `gateway mapping explain`: the account of every message there is, and the command as others use it.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests read the corpus and write the files that the command reads"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::clinical::mapping::Outcome;
use haemosync_gateway::clinical::mapping::Status;
use haemosync_gateway::clinical::mapping::inbound::trace::How;
use haemosync_gateway::clinical::mapping::inbound::trace::Trace;
use haemosync_gateway::clinical::mapping::language::Format;
use haemosync_gateway::formats::csv;
use haemosync_gateway::formats::fhir;
use haemosync_gateway::formats::hl7v2;
use haemosync_gateway::formats::json;
use haemosync_gateway::formats::tree::Node;
use serde_json::Value;
use tempfile::TempDir;

use crate::labs::catalog;

/// The populated fields of a message, counted without the reader or its ledger.
fn populated(mapping: &Mapping, raw: &[u8]) -> usize {
    let fields = |raw: &[u8]| {
        let decoded = hl7v2::decode(raw);
        let message = decoded.message.as_ref().unwrap();
        message.segments().flat_map(|it| it.fields()).filter(hl7v2::Element::is_populated).count()
    };
    match mapping.format() {
        Format::Hl7v2 if hl7v2::xml::looks_like_xml(raw) => fields(&hl7v2::xml::convert(raw).unwrap().er7),
        Format::Hl7v2 => fields(raw),
        Format::Csv => {
            let table = csv::decode(raw, None).unwrap();
            table.rows.iter().flat_map(|row| &row.cells).filter(|cell| !cell.trim().is_empty()).count()
        }
        Format::Fhir | Format::Json => {
            leaves(&json::decode(raw).ok().or_else(|| fhir::xml::decode(raw).ok()).unwrap())
        }
    }
}

fn leaves(node: &Node) -> usize {
    match node {
        Node::List(items) => items.iter().map(leaves).sum(),
        Node::Object(members) => members.iter().map(|(_, member)| leaves(member)).sum(),
        scalar => usize::from(scalar.text().is_some_and(|text| !text.trim().is_empty())),
    }
}

#[derive(Debug, Default)]
struct Counts {
    messages: usize,
    fields: usize,
    used: usize,
    ignored: usize,
    unaccounted: usize,
    values: usize,
    placed: usize,
    made: usize,
}

/// Holds one message to account: each field once, each value explained, each place in the bytes it claims.
fn account(mapping: &Mapping, raw: &[u8], name: &str, counts: &mut Counts) {
    let trace = mapping.trace(raw);
    if trace.reading.status != Status::Mapped {
        return;
    }
    counts.messages += 1;
    let entries = &trace.reading.ledger.entries;
    let fields: BTreeSet<String> = entries.iter().map(|entry| entry.field.to_string()).collect();
    assert_eq!(fields.len(), entries.len(), "{name}: a field stands twice in the ledger");
    assert_eq!(entries.len(), populated(mapping, raw), "{name}: fields without an entry");
    counts.fields += entries.len();
    for entry in entries {
        match entry.outcome {
            Outcome::Used => counts.used += 1,
            Outcome::Ignored(index) => {
                assert!(mapping.why_ignored(index).is_some_and(|why| !why.is_empty()), "{name}: no why");
                counts.ignored += 1;
            }
            Outcome::Unaccounted => counts.unaccounted += 1,
        }
    }
    let with_leaf: BTreeSet<usize> = trace.source.leaves.iter().map(|leaf| leaf.field).collect();
    assert_eq!(with_leaf.len(), entries.len(), "{name}: a field without a leaf");
    explained(&trace, name, counts);
}

fn explained(trace: &Trace, name: &str, counts: &mut Counts) {
    for origin in &trace.origins {
        let path = &origin.path;
        assert!(origin.how != How::Unknown, "{name}: nothing explains {path}");
        let is_derived = matches!(origin.how, How::Constant | How::Derived(_));
        // A row or entry may be asked with a constant of the rule.
        let is_named = origin.rule.is_some() || is_derived;
        assert!(!origin.from.is_empty() || is_named, "{name}: {path} comes from nowhere");
        counts.values += 1;
        if origin.from.is_empty() {
            counts.made += 1;
        } else {
            counts.placed += 1;
        }
        for leaf in origin.from.iter().map(|at| &trace.source.leaves[*at]) {
            let is_read = trace.outcome(leaf) == Outcome::Used;
            assert!(
                is_read,
                "{name}: {path} comes from {}, which the ledger does not know as used",
                leaf.place
            );
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The messages of a file: many, where it is HL7 v2.
fn messages(bytes: &[u8], format: Format) -> Vec<Vec<u8>> {
    let is_er7 = format == Format::Hl7v2 && !hl7v2::xml::looks_like_xml(bytes);
    let split = hl7v2::batch::split(if is_er7 { bytes } else { &[] });
    let found: Vec<_> = split.messages().map(|range| bytes[range].to_vec()).collect();
    if found.is_empty() { vec![bytes.to_vec()] } else { found }
}

/// Issue 4: the account holds every populated field of every mapped message of the corpus, each as one of three, and
/// every canonical value has a place, a constant or a reason.
#[test]
fn every_mapped_message_of_the_shared_corpus_is_accounted_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    if !root.is_dir() {
        eprintln!(
            "SKIPPED every_mapped_message_of_the_shared_corpus_is_accounted_for: there is no {}",
            root.display()
        );
        return;
    }
    let catalog = catalog();
    for (folder, labs) in [
        ("hl7v2", ["standard"].as_slice()),
        ("hl7v2-xml", &["standard"]),
        ("batch", &["standard"]),
        ("fhir", &["standard-fhir"]),
        ("csv", &["standard-csv", "wide-csv"]),
    ] {
        for lab in labs {
            let mapping = catalog.lab(lab).unwrap();
            let mut counts = Counts::default();
            for file in files(&root.join(folder)) {
                let name = file.display().to_string();
                for message in messages(&fs::read(&file).unwrap(), mapping.format()) {
                    account(mapping, &message, &name, &mut counts);
                }
            }
            println!("{folder} by {lab}: {counts:?}");
            assert_eq!(counts.fields, counts.used + counts.ignored + counts.unaccounted);
            assert!(counts.messages > 0 || folder == "csv", "no message of {folder} was mapped");
        }
    }
}

/// The same of every example beside a mapping, which the corpus need not be there for, whatever its format.
#[test]
fn every_example_that_is_mapped_is_accounted_for() {
    let catalog = catalog();
    let labs = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/labs");
    for lab in catalog.names() {
        let mapping = catalog.lab(lab).unwrap();
        let mut counts = Counts::default();
        let examples = files(&labs.join(lab).join("examples"));
        for file in examples.iter().filter(|it| it.file_stem().is_some_and(|stem| stem == "message")) {
            for message in messages(&fs::read(file).unwrap(), mapping.format()) {
                account(mapping, &message, &file.display().to_string(), &mut counts);
            }
        }
        println!("{lab}: {counts:?}");
        assert!(counts.messages > 0, "no example of {lab} was mapped");
    }
}

const MESSAGE: &str = "MSH|^~\\&|LAB|FAC|||20260301090000+0000||ORU^R01^ORU_R01|C-1|P|2.5.1\r\
    PID|1||9990000018^^^NHS^NH||Quill<script>alert(1)</script>^Otto\"'&line||19800229|F||||||||||||||||||||London\r\
    OBR|1|O-1|F-1|24323-8^Panel^LN|||20260301083000+0000|||||||||||||||20260301085900+0000||CH|F\r\
    OBX|1|NM|718-7^Haemoglobin^LN||5.10|g/L|115-165|L|||F\r\
    OBX|2|NM|2823-3^Potassium^LN||4.4|mmol/L|3.5-5.3||||C\r";

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join("m.hl7"), MESSAGE).unwrap();
        place
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.args(["mapping", "explain", "m.hl7"]).args(arguments);
        command.current_dir(self.0.path()).env_clear().output().unwrap()
    }

    fn plain(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.plain(&[arguments, &["--format", "json"]].concat())).unwrap()
    }
}

#[test]
fn a_value_of_any_stage_leads_back_to_bytes_rule_and_row() {
    let place = Place::new();
    let at = MESSAGE.find("mmol/L").unwrap();
    for address in ["reports[0].panels[0].results[1].unit.ucum", "result OBX[2] unit ucum"] {
        let answer = place.json(&[address]);
        let value = &answer["report"][0];
        assert_eq!(value["text"], "mmol/L");
        let from = &value["from"][0];
        assert_eq!(from["place"], "OBX[2]-6");
        assert_eq!((from["offset"].as_u64(), from["length"].as_u64()), (Some(at as u64), Some(6)));
        assert_eq!(from["line"], 5);
        assert_eq!(value["rule"]["name"], "result.unit");
        assert!(value["rule"]["text"].as_str().unwrap().starts_with("unit"));
        assert_eq!(value["how"]["kind"], "row");
        assert!(value["how"]["file"].as_str().unwrap().ends_with("standard/units.csv"));
        assert_eq!(answer["mapping"].as_str().unwrap().len(), 64);
    }
    let bundle = place.json(&["Bundle"]);
    let values = bundle["fhir"].as_array().unwrap();
    let code =
        values.iter().rfind(|it| it["path"].as_str().unwrap().ends_with("valueQuantity.code")).unwrap();
    let again = place.json(&[code["path"].as_str().unwrap()]);
    assert_eq!(again["fhir"][0]["holds"][0]["from"][0]["place"], "OBX[2]-6");
    let calls = place.json(&["calls"]);
    let values = calls["cliniko"].as_array().unwrap();
    let holds_value = |it: &&Value| {
        let holds = it["holds"].as_array().unwrap();
        holds.iter().any(|it| it["path"] == "reports[0].panels[0].results[1].value.sent")
    };
    assert!(values.iter().any(|it| holds_value(&it)), "no call holds the value as sent");
}

#[test]
fn a_field_leads_forward_to_every_stage_or_says_why_not() {
    let place = Place::new();
    let unit = place.json(&["OBX[2]-6"]);
    assert_eq!(unit["message"][0]["outcome"], "used");
    assert_eq!(unit["message"][0]["rules"][0]["name"], "result.unit");
    let paths = |stage: &str| -> Vec<String> {
        let made = unit[stage].as_array().unwrap();
        made.iter().map(|it| it["path"].as_str().unwrap().to_owned()).collect()
    };
    assert!(paths("fhir").iter().any(|it| it.ends_with("valueQuantity.unit")), "{:?}", paths("fhir"));
    assert!(paths("cliniko").iter().any(|it| it.starts_with("calls[")), "{:?}", paths("cliniko"));
    let text = place.plain(&["PID-28"]);
    assert!(text.contains("unaccounted") || text.contains("[[ignore]]"), "{text}");
    assert!(place.plain(&["OBX[1]-1"]).contains("the gateway reads it of every message"));
}

#[test]
fn the_whole_account_counts_what_it_lists() {
    let place = Place::new();
    let whole = place.json(&[]);
    let outcomes: Vec<&str> =
        whole["message"].as_array().unwrap().iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert!(outcomes.contains(&"used"));
    let text = place.plain(&[]);
    for outcome in ["used", "ignored", "unaccounted"] {
        let listed = text.lines().filter(|line| line.starts_with(&format!("  {outcome} "))).count();
        assert_eq!(whole["counts"][outcome], listed, "{outcome}");
    }
}

#[test]
fn what_is_not_there_is_said_with_the_nearest_that_is() {
    let place = Place::new();
    let output = place.run(&["reports[0].panels[0].results[1].unit.ucom"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("M060") && said.contains("did you mean"), "{said}");
}

/// The values of an attribute, by the simplest reading of markup that is all our own.
fn attribute<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let opening = format!(" {name}=\"");
    page.split(opening.as_str()).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn the_page_is_whole_in_itself_links_what_exists_and_escapes_what_was_sent() {
    let place = Place::new();
    let output = place.run(&["--html", "out.html"]);
    assert_eq!(output.status.code(), Some(0));
    let page = fs::read_to_string(place.0.path().join("out.html")).unwrap();
    assert!(page.starts_with("<!doctype html>\n<html lang=\"en-GB\">"));
    let first = page.find("holds a patient’s data").unwrap();
    assert!(first < page.find("<h1>").unwrap(), "the page says first what it holds");
    for external in
        [" src=", " href=", "url(", "@import", "fetch(", "XMLHttpRequest", "<link", "<iframe", "<img"]
    {
        assert!(!page.contains(external), "{external}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("alert(1)</script>") && page.contains("Quill&lt;script&gt;"));
    let ids = attribute(&page, "id");
    let known: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(known.len(), ids.len(), "an id stands twice");
    for id in attribute(&page, "data-link").iter().flat_map(|links| links.split_whitespace()) {
        assert!(known.contains(id), "{id} leads nowhere");
    }
    let places = attribute(&page, "data-place");
    let message = place.json(&[]);
    for field in message["message"].as_array().unwrap() {
        assert!(places.contains(&field["place"].as_str().unwrap()), "{}", field["place"]);
    }
}
