//! `gateway mapping diff` over a history, as a multiple of reading and mapping it once in the same run.
//!
//! Once by the processor time of the core alone, and once as an operator runs it: both commands over a gateway's store.
//! `mapping coverage` reads and maps each message once, and has the same way to it. The two mappings differ in one word
//! that every message has, so that nothing is skipped and every message has differences to tell.

#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and writes a mapping")]
#![expect(clippy::disallowed_types, reason = "rates and ratios are no clinical values")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[expect(dead_code, reason = "neither its memory nor its start is measured here")]
mod gateway;
mod generator;
mod lab;
mod measure;
mod processor;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use haemosync_gateway::clinical::mapping::Catalog;
use haemosync_gateway::clinical::mapping::Mapping;
use haemosync_gateway::clinical::mapping::comparison;
use haemosync_gateway::config::library;
use serde_json::Value;
use tempfile::TempDir;

use crate::gateway::Gateway;
use crate::measure::load;
use crate::measure::median;

/// The limit that `docs/promises.md` names.
const LIMIT: f64 = 2.5;
const CONNECTIONS: usize = 16;
/// What differs between OLD and NEW: the status of every final result.
const CHANGE: [&str; 2] = ["F = \"final\"", "F = \"corrected\""];

fn main() {
    let is_quick = measure::is_quick();
    let count = if is_quick { 1_000 } else { 10_000 };
    println!(
        "diff: {count} messages of {} results, as a multiple of reading and mapping them once (limit {LIMIT}); load {}",
        lab::RESULTS,
        load()
    );
    pure(is_quick, count);
    stored(is_quick, count);
    println!("load {} after", load());
}

/// The files of the embedded mapping, and the same with one word changed.
fn files() -> [BTreeMap<String, String>; 2] {
    let old = library::part(&library::library(None).expect("the embedded files are there"), "labs/standard");
    let mut new = old.clone();
    let mapping = new.get_mut("mapping.toml").expect("`standard` has a mapping");
    assert!(mapping.contains(CHANGE[0]), "the mapping has the word that is changed");
    *mapping = mapping.replace(CHANGE[0], CHANGE[1]);
    [old, new]
}

/// By the processor time of one thread.
fn pure(is_quick: bool, count: usize) {
    let mappings = files().map(|files| {
        let files = files.into_iter().map(|(name, text)| (format!("labs/standard/{name}"), text)).collect();
        let catalog = Catalog::compile(&files).expect("the mapping compiles");
        catalog.lab("standard").expect("it is there").clone()
    });
    let [old, new] = &mappings;
    let history: Vec<Vec<u8>> =
        (0..count).map(|it| generator::oru(&format!("B{it}"), &format!("F{it}"), lab::RESULTS)).collect();
    let differing = |raw: &[u8], pair: [&Mapping; 2]| {
        let [old, new] = Mapping::read_by(pair, raw);
        comparison::compare_readings(&old, &new)
    };
    assert!(
        history.iter().all(|raw| !differing(raw, [old, new]).is_empty()),
        "every message is read otherwise"
    );
    let mut turns = [history.iter().cycle(), history.iter().cycle(), history.iter().cycle()];
    let [once, alike, otherwise] = &mut turns;
    let [once, alike, otherwise] = processor::rates(
        is_quick,
        [
            &mut || drop(black_box(old.read_bytes(once.next().expect("it goes round")))),
            &mut || drop(black_box(differing(alike.next().expect("it goes round"), [old, old]))),
            &mut || drop(black_box(differing(otherwise.next().expect("it goes round"), [old, new]))),
        ],
    );
    println!("{:<44} {:>10} {:>7}", "processor time, one thread", "messages/s", "ratio");
    println!("{:<44} {once:>10.0} {:>7.2}", "decode + map once", 1.0);
    println!("{:<44} {alike:>10.0} {:>7.2}", "decode, map twice, compare: nothing differs", once / alike);
    println!("{:<44} {otherwise:>10.0} {:>7.2}", "the same: every result differs", once / otherwise);
}

/// By the clock, as commands over the store of a gateway that serves.
fn stored(is_quick: bool, count: usize) {
    let folder =
        TempDir::new_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("the target folder can be written");
    let gateway = Gateway::start(folder.path());
    let laboratory =
        tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime starts");
    laboratory.block_on(lab::send(gateway.mllp, lab::messages(0, count), CONNECTIONS));
    gateway.wait_until_mapped(count);
    for (side, files) in ["old", "new"].iter().zip(files()) {
        std::fs::create_dir(folder.path().join(side)).expect("the folder can be written");
        for (name, text) in files {
            std::fs::write(folder.path().join(side).join(name), text).expect("the folder can be written");
        }
    }
    let (mut once, mut diff) = (Vec::new(), Vec::new());
    for _ in 0..if is_quick { 3 } else { 7 } {
        once.push(run(folder.path(), &["coverage"], |it| it["messages"]["read"] == count));
        diff.push(run(folder.path(), &["diff", "old", "new"], |it| it["differing"] == count));
    }
    let ratios: Vec<f64> =
        once.iter().zip(&diff).map(|(once, diff)| diff.as_secs_f64() / once.as_secs_f64()).collect();
    let rate = |times: &[Duration]| {
        f64::from(u32::try_from(count).expect("a history is shorter")) / median(times).as_secs_f64()
    };
    println!("{:<44} {:>10} {:>7}", "commands over the store, by the clock", "messages/s", "ratio");
    println!("{:<44} {:>10.0} {:>7.2}", "gateway mapping coverage --stored", rate(&once), 1.0);
    println!(
        "{:<44} {:>10.0} {:>7.2}",
        "gateway mapping diff OLD NEW --stored",
        rate(&diff),
        median(&ratios)
    );
}

/// How long one command takes.
///
/// # Panics
/// Unless it looked at the whole history, or the figures compare nothing.
fn run(folder: &Path, arguments: &[&str], is_whole: impl Fn(&Value) -> bool) -> Duration {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .current_dir(folder)
        .arg("mapping")
        .args(arguments)
        .args(["--stored", "--config", "gateway.toml", "--format", "json"])
        .stderr(Stdio::null())
        .output()
        .expect("the binary is built");
    let took = start.elapsed();
    let document: Value = serde_json::from_slice(&output.stdout).expect("the command prints one document");
    assert!(is_whole(&document), "the whole history: {document}");
    took
}
