//! The commands of `docs/connect-a-lab.md`, run in order in a folder of their own.
//!
//! Each `sh` block is run by `bash` with the gateway on the path. The `text` block behind it is what it promises: each
//! of its lines stands in the output, in that order, `…` for anything. A block that says `exit status 1` ends so.

#![expect(clippy::disallowed_methods, reason = "the document is a file, and its commands need the path")]

use std::fs;
use std::path::Path;
use std::process::Command;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

/// The document's blocks: their language and text.
fn blocks(document: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in document.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Whether a line has the parts of a promise between its ellipses, in order.
fn keeps(line: &str, promise: &str) -> bool {
    let mut rest = line;
    promise.split('…').all(|part| match rest.find(part.trim()) {
        Some(at) => {
            rest = &rest[at + part.trim().len()..];
            true
        }
        None => false,
    })
}

#[test]
fn every_command_does_what_the_document_promises() {
    let document =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/connect-a-lab.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path =
        format!("{}:{}", Path::new(GATEWAY).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut output = String::new();
    let mut commands = 0;
    for (language, text) in blocks(&document) {
        match language.as_str() {
            "sh" => {
                let run = Command::new("bash")
                    .args(["-c", &text])
                    .current_dir(folder.path())
                    .env("PATH", &path)
                    .output()
                    .unwrap();
                output = format!(
                    "{}{}",
                    String::from_utf8_lossy(&run.stdout),
                    String::from_utf8_lossy(&run.stderr)
                );
                let expected = i32::from(text.contains("exit status 1"));
                assert_eq!(run.status.code(), Some(expected), "{text}\n{output}");
                commands += 1;
            }
            "text" => {
                let mut lines = output.lines();
                for promise in text.lines().filter(|it| !it.trim().is_empty()) {
                    assert!(lines.any(|line| keeps(line, promise.trim())), "`{promise}` is not in\n{output}");
                }
            }
            _ => {}
        }
    }
    assert!(commands >= 8, "{commands} commands");
}
