//! The examples of `docs/mapping.md`, run: what the reference says of each verb is what the gateway does.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use haemosync_gateway::clinical::mapping::Catalog;
use haemosync_gateway::clinical::mapping::language::Head;
use haemosync_gateway::clinical::mapping::language::Setting;
use haemosync_gateway::clinical::mapping::language::Verb;
use haemosync_gateway::clinical::mapping::transform;
use haemosync_gateway::diagnostic::render;
use serde_json::Value;

const REFERENCE: &str = include_str!("../../docs/mapping.md");
/// The head of every file, which the reference shows in its bases.
const IN_EVERY_FILE: [Head; 3] = [Head::Format, Head::Lab, Head::Schema];
const SEGMENTS_BEFORE: [&str; 3] = [
    "MSH|^~\\&|LAB|FAC|CLINIC|HUB|20260720101500+0100||ORU^R01^ORU_R01|1|P|2.5.1",
    "PID|1||A1||Ash",
    "OBR|1||L1|FBC^Full blood count",
];

/// A fenced block: the words after the fence, and its lines.
struct Block<'t> {
    heading: &'t str,
    words: Vec<&'t str>,
    text: String,
}

fn blocks() -> Vec<Block<'static>> {
    let (mut blocks, mut heading, mut open): (Vec<Block<'_>>, &str, bool) = (Vec::new(), "", false);
    for line in REFERENCE.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            open = !open;
            if open {
                blocks.push(Block { heading, words: fence.split(' ').collect(), text: String::new() });
            }
        } else if open {
            let block = blocks.last_mut().unwrap();
            block.text.push_str(line);
            block.text.push('\n');
        } else if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().trim_matches('`');
        }
    }
    blocks
}

fn file(lab: &str, format: &str, extends: Option<&str>, text: &str) -> String {
    let extends = extends.map(|it| format!("extends = \"{it}\"\n")).unwrap_or_default();
    format!("schema = 1\nlab = \"{lab}\"\nformat = \"{format}\"\n{extends}{text}")
}

fn message(format: &str, text: &str) -> Vec<u8> {
    if format != "hl7" {
        return text.as_bytes().to_vec();
    }
    let segments: Vec<&str> = text.lines().collect();
    let has = |name: &str| segments.iter().any(|it| it.starts_with(name));
    let before = SEGMENTS_BEFORE.iter().filter(|it| !has(it.get(..3).unwrap()));
    // MSH first, then what the example does not show, then what it does: PID stands before OBR in every one.
    let all: Vec<&str> = before.copied().chain(segments.iter().copied()).collect();
    all.join("\r").into_bytes()
}

/// The value at `result.value.number`, as a text.
fn at(report: &Value, path: &str) -> Option<String> {
    let path = path.replace("result.", "panels.0.results.0.");
    let path = if path.starts_with("panel.") { path.replacen("panel.", "panels.0.", 1) } else { path };
    let found = report.pointer(&format!("/{}", path.replace('.', "/")))?;
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

#[test]
fn every_example_reads_as_the_reference_says() {
    let blocks = blocks();
    let mut bases = BTreeMap::new();
    let mut shared: BTreeMap<String, String> = BTreeMap::new();
    let mut mapping: Option<(&str, &str)> = None;
    let mut sent: Vec<u8> = Vec::new();
    let (mut examples, mut wrong) = (0, Vec::new());
    for block in &blocks {
        match block.words.as_slice() {
            ["toml", "base", format] => drop(bases.insert(*format, block.text.as_str())),
            ["toml", "block", name] => drop(shared.insert(format!("{name}.toml"), block.text.clone())),
            ["toml", format] => mapping = Some((*format, block.text.as_str())),
            [format @ ("hl7" | "json" | "csv")] => sent = message(format, &block.text),
            ["text"] => {
                let (format, own) = mapping.take().unwrap_or_else(|| panic!("{}: no mapping", block.heading));
                let extends = (!own.contains("extends =")).then_some("base");
                let mut files = shared.clone();
                files.insert("labs/base/mapping.toml".into(), file("base", format, None, bases[format]));
                files.insert("labs/example/mapping.toml".into(), file("example", format, extends, own));
                let catalog = Catalog::compile(&files).unwrap_or_else(|problems| {
                    let told: String = problems.iter().map(|it| render::plain(it, "")).collect();
                    panic!("{}: {told}", block.heading)
                });
                let reading = catalog.lab("example").unwrap().read_bytes(&sent);
                let report = serde_json::to_value(reading.reports.first()).unwrap();
                for (path, expected) in block.text.lines().filter_map(|line| line.split_once(" = ")) {
                    let found = match path {
                        "status" => Some(reading.status.as_str().to_owned()),
                        "diagnostics" => {
                            let has = reading.diagnostics.iter().any(|it| it.code.as_str() == expected);
                            has.then(|| expected.to_owned())
                        }
                        path => at(&report, path),
                    };
                    if found.as_deref() != Some(expected) {
                        let told: String =
                            reading.diagnostics.iter().map(|it| render::plain(it, "")).collect();
                        wrong.push(format!("{}: {path} is {found:?}, not {expected}\n{told}", block.heading));
                    }
                }
                examples += 1;
            }
            other => panic!("{}: a block of {other:?}", block.heading),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(examples > 30, "{examples}");
}

#[test]
fn every_verb_of_the_language_has_an_example() {
    let shown: BTreeSet<&str> =
        blocks().iter().filter(|it| it.words == ["text"]).map(|it| it.heading).collect();
    let verbs = Verb::ALL.iter().map(|it| it.name());
    let settings = Setting::ALL.iter().map(|it| it.name());
    let heads = Head::ALL.iter().filter(|it| !IN_EVERY_FILE.contains(it)).map(|it| it.name());
    let steps = transform::STEPS.iter().map(|it| it.name);
    let without: Vec<&str> =
        verbs.chain(settings).chain(heads).chain(steps).filter(|it| !shown.contains(it)).collect();
    assert!(without.is_empty(), "docs/mapping.md shows no example of {without:?}");
}
