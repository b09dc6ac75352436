//! What differs, since when a part serves, and that what is still being written is not read.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::clinical::interpret::rules;

const MAPPING: &str = "schema = 1\nlab = \"LAB\"\nformat = \"hl7v2\"\n\
    [patient]\nfamily = \"PID-5.1\"\n[report]\nfiller_number = \"OBR-3.1\"\n\
    [result]\ncode = \"OBX-3\"\nvalue = { from = \"OBX-5\", type = \"OBX-2\" }\nunit = \"OBX-6\"\n\
    status = { from = \"OBX-11\", map = { F = \"final\" }, unmapped = \"hold\" }\n";

/// The folder of these laboratories.
fn files(labs: &[&str]) -> Files {
    let knowledge = rules::embedded().into_iter().map(|(name, text)| (format!("knowledge/{name}"), text));
    let of_lab = |lab: &&str| (format!("labs/{lab}/mapping.toml"), MAPPING.replace("LAB", lab));
    let cliniko = include_str!("../../../mappings/cliniko/mapping.toml");
    let cliniko = ("cliniko/mapping.toml".to_owned(), cliniko.to_owned());
    knowledge.chain(labs.iter().map(of_lab)).chain([cliniko]).collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_part_that_is_as_it_was_has_served_since_it_did() {
    let first = Loaded::compile(files(&["a", "b"]), at(1), None).unwrap();
    let mut changed = files(&["a", "c"]);
    changed.get_mut("labs/a/mapping.toml").unwrap().push_str("# a remark\n");
    assert_eq!(
        first.differs(&changed),
        ["labs/a/mapping.toml", "labs/b/mapping.toml", "labs/c/mapping.toml"]
    );
    assert_eq!(first.differs(&files(&["a", "b"])), Vec::<&str>::new());
    let second = Loaded::compile(changed, at(2), Some(&first.parts)).unwrap();
    let since: Vec<(&str, i64)> =
        second.parts.iter().map(|(name, it)| (name.as_str(), it.since.as_second())).collect();
    assert_eq!(since, [("cliniko", 1), ("knowledge", 1), ("labs/a", 2), ("labs/c", 2)]);
}

static LOOKS: AtomicUsize = AtomicUsize::new(0);

/// A folder of which the first three looks all show something else.
#[expect(clippy::unnecessary_wraps, reason = "a source may fail, and its type says so")]
fn being_copied(_: Option<&Path>) -> Result<Files, Vec<Diagnostic>> {
    let look = LOOKS.fetch_add(1, Ordering::Relaxed).min(3);
    Ok(Files::from([("labs/a/codes.csv".to_owned(), "row\n".repeat(look))]))
}

#[expect(clippy::unnecessary_wraps, reason = "a source may fail, and its type says so")]
fn never_the_same(_: Option<&Path>) -> Result<Files, Vec<Diagnostic>> {
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    let look = LOOKS.fetch_add(1, Ordering::Relaxed);
    Ok(Files::from([("labs/a/codes.csv".to_owned(), look.to_string())]))
}

#[tokio::test]
async fn what_is_still_being_written_is_not_read() {
    let source = |read| Source { directory: None, read };
    let settled = reload::settled(&source(being_copied), Duration::ZERO).await.unwrap();
    assert_eq!(settled["labs/a/codes.csv"], "row\nrow\nrow\n", "as it is once it stays so");
    let problems = reload::settled(&source(never_the_same), Duration::ZERO).await.unwrap_err();
    assert_eq!(problems.iter().map(|it| it.code.as_str()).collect::<Vec<_>>(), ["M211"]);
}
