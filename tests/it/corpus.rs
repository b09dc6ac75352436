//! All of the shared corpus: about 770 files that others wrote, none of them for us. It is read where it lies and no
//! line of it is copied here.

mod peers;

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

/// The corpus, or none, said loudly.
fn root(test: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    if root.is_dir() {
        return Some(root);
    }
    eprintln!("SKIPPED {test}: there is no {}", root.display());
    None
}

/// One row of the corpus's own list.
struct Listed {
    file: String,
    /// The file beside it that a peer made of it, or made it of; empty where there is none.
    expected: String,
    made_by: String,
}

fn listed(root: &Path) -> Vec<Listed> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).from_path(root.join("corpus.tsv")).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|it| it == name).unwrap();
    let (file, expected, made_by) = (column("file"), column("expected_file"), column("expected_made_by"));
    let listed = |row: csv::StringRecord| Listed {
        file: row[file].to_owned(),
        // Behind the name of the file may stand what it is, in brackets.
        expected: row[expected].split(" (").next().unwrap_or_default().to_owned(),
        made_by: row[made_by].to_owned(),
    };
    reader.records().map(|row| listed(row.unwrap())).collect()
}

#[test]
fn every_file_of_the_corpus_is_mapped_held_or_rejected_and_no_result_is_missing() {
    const TEST: &str = "every_file_of_the_corpus_is_mapped_held_or_rejected_and_no_result_is_missing";
    let Some(root) = root(TEST) else { return };
    let folders = ["batch", "csv", "fhir", "hl7v2", "hl7v2-xml"].map(|name| root.join(name));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args([
            "try",
            "--summary",
            "--lab",
            "auto",
            "--format",
            "json",
            "--skip",
            ".expected.",
            "--skip",
            ".source.",
        ])
        .args(&folders)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, messages) = lines.split_last().unwrap();
    let summary = &summary["summary"];
    println!("{summary:#}");

    let read: BTreeSet<&str> = messages.iter().map(|it| it["file"].as_str().unwrap()).collect();
    let prefix = format!("{}/", root.display());
    let read: BTreeSet<&str> = read.iter().map(|it| it.strip_prefix(&prefix).unwrap()).collect();
    let rows = listed(&root);
    let unread: Vec<&str> =
        rows.iter().map(|row| row.file.as_str()).filter(|file| !read.contains(file)).collect();
    assert!(unread.is_empty(), "not read: {unread:?}");
    for message in messages {
        let errors: Vec<&Value> = message["diagnostics"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["severity"] == "error")
            .collect();
        assert_eq!(message["status"] != "mapped", !errors.is_empty(), "{}", message["file"]);
        for error in errors {
            let is_told = ["code", "position", "message", "help"].iter().all(|it| error[*it] != "");
            assert!(is_told && error["code"] != "S102", "{}: {error}", message["file"]);
        }
    }
    for row in summary["rows"].as_array().unwrap() {
        assert_eq!(row["results"]["lost"], 0, "{row}");
    }
    let is_hl7 = |row: &&Value| row["given"].as_str().is_some_and(|given| given.ends_with("/hl7v2"));
    let hl7 = summary["rows"].as_array().unwrap().iter().find(is_hl7).unwrap();
    let permille = hl7["readable"]["permille"].as_u64().unwrap();
    assert!(permille >= 800, "{permille} ‰ of the readable messages are mapped");
}
