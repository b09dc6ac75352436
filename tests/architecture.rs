//! The house rules that can be checked: rings, sizes, headings, and no leftovers.

#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "the test reads the sources it judges")]

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Modules by ring; one may use lower rings only (ARCHITECTURE.md, "The dependency rule").
const RINGS: [&[&str]; 10] = [
    &["diagnostic", "audit"],
    &["formats"],
    &["clinical"],
    &["security", "telemetry", "clock"],
    &["store", "outbound"],
    &["pipeline"],
    &["inbound", "http", "simulator"],
    &["config"],
    &["app"],
    &["cli"],
];
/// Rings below this one do no I/O.
const FIRST_RING_WITH_IO: usize = 3;
const LINES_MAX: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|it| it == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    let root = root();
    files(&root.join("src"), "rs")
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn ring(module: &str) -> Option<usize> {
    RINGS.iter().position(|modules| modules.contains(&module))
}

fn module_of(file: &str) -> &str {
    let inside = file.trim_start_matches("src/");
    inside.split(['/', '.']).next().unwrap()
}

fn check(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn a_module_uses_lower_rings_only() {
    let mut complaints = Vec::new();
    for (file, text) in sources() {
        let module = module_of(&file);
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some(own) = ring(module) else {
            complaints.push(format!("{file}: `{module}` has no ring; add it to RINGS and ARCHITECTURE.md"));
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for path in line.split("crate::").skip(1) {
                let used = path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                let at = format!("{file}:{}", number + 1);
                match ring(used) {
                    _ if used == module => {}
                    Some(other) if other < own => {}
                    Some(_) => complaints.push(format!("{at}: ring {own} `{module}` uses `{used}`")),
                    None => complaints.push(format!("{at}: one path a line, and no group, after crate::")),
                }
            }
        }
    }
    check(&complaints);
}

#[test]
fn the_pure_rings_do_no_input_or_output() {
    const BANNED: [&str; 9] = [
        "tokio::",
        "std::fs",
        "std::net",
        "std::env",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "std::process",
        "rand::",
    ];
    let mut complaints = Vec::new();
    for (file, text) in sources() {
        if ring(module_of(&file)).is_none_or(|it| it >= FIRST_RING_WITH_IO) || file.ends_with("/tests.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains("#[cfg(test)]") {
                break;
            }
            for banned in BANNED {
                if line.contains(banned) && !line.trim_start().starts_with("//") {
                    complaints.push(format!("{file}:{}: `{banned}` in a pure ring", number + 1));
                }
            }
        }
    }
    check(&complaints);
}

#[test]
fn every_file_opens_with_its_purpose_and_stays_small() {
    let mut complaints = Vec::new();
    for (file, text) in sources() {
        if !text.starts_with("//!") {
            complaints.push(format!("{file}: opens without `//!`"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            complaints.push(format!("{file}: {lines} lines, at most {LINES_MAX}"));
        }
        if file.ends_with("/mod.rs") {
            complaints.push(format!("{file}: name it after its folder"));
        }
    }
    check(&complaints);
}

#[test]
fn nothing_unfinished_or_forbidden_is_left_in_the_source() {
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("super::", "super"),
        concat!("#[all", "ow("),
        concat!("#[ign", "ore"),
        concat!("#[should_", "panic"),
    ];
    let mut complaints = Vec::new();
    for (file, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            for word in banned {
                if line.contains(word) {
                    complaints.push(format!("{file}:{}: `{word}`", number + 1));
                }
            }
        }
    }
    check(&complaints);
}

/// A word of RFC 7636 that only looks like one of our codes.
const PKCE_METHOD: &str = "S256";

#[test]
fn every_diagnostic_code_in_use_is_explained_and_every_explained_one_is_in_use() {
    let mut used = std::collections::BTreeSet::new();
    for (_, text) in sources() {
        for word in text.split('"') {
            let is_code = word.len() == 4
                && word.starts_with(|c: char| c.is_ascii_uppercase())
                && word.bytes().skip(1).all(|byte| byte.is_ascii_digit());
            if is_code && word != PKCE_METHOD {
                used.insert(word.to_owned());
            }
        }
    }
    let explained: std::collections::BTreeSet<String> =
        haemosync_gateway::diagnostic::codes::all().iter().map(|it| it.code.clone()).collect();
    let unexplained: Vec<_> = used.difference(&explained).collect();
    let unused: Vec<_> = explained.difference(&used).collect();
    assert!(unexplained.is_empty() && unused.is_empty(), "unexplained {unexplained:?}, unused {unused:?}");
}

#[test]
fn the_pages_of_the_codes_are_current() {
    let folder = root().join("docs/errors");
    let bless = std::env::var_os("BLESS").is_some();
    let mut complaints = Vec::new();
    for explanation in haemosync_gateway::diagnostic::codes::all() {
        let path = folder.join(format!("{}.md", explanation.code));
        if bless {
            fs::write(&path, explanation.page()).unwrap();
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&explanation.page()) {
            complaints.push(format!(
                "docs/errors/{}.md is not current: run `BLESS=1 cargo test --test architecture`",
                explanation.code
            ));
        }
    }
    check(&complaints);
}

/// The words of a text that are names of promises' tests, such as the ones beginning with r07.
fn promise_tests(text: &str) -> std::collections::BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_promise = |word: &&str| match word.as_bytes() {
        [b'r', tens, ones, b'_', _, ..] => tens.is_ascii_digit() && ones.is_ascii_digit(),
        _ => false,
    };
    words.filter(is_promise).map(str::to_owned).collect()
}

#[test]
fn every_test_that_the_promises_name_exists() {
    let promised = promise_tests(&fs::read_to_string(root().join("docs/promises.md")).unwrap());
    let mut written = std::collections::BTreeSet::new();
    for folder in ["src", "tests"] {
        for path in files(&root().join(folder), "rs") {
            let text = fs::read_to_string(path).unwrap();
            let heads = text.lines().filter_map(|line| Some(line.split_once("fn ")?.1.split_once('(')?.0));
            written.extend(heads.flat_map(promise_tests));
        }
    }
    let missing: Vec<_> = promised.difference(&written).collect();
    assert!(!promised.is_empty() && missing.is_empty(), "docs/promises.md names no test: {missing:?}");
}
