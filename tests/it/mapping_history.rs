//! What mapping tools say over many messages: `mapping coverage` and `mapping diff`, over folders and over a store.

#![expect(clippy::disallowed_methods, reason = "a test copies mappings and reads the repository's folders")]

use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::cli::Place;

const HEAD: &str = "MSH|^~\\&|LAB|FAC|||20260301090000+0000||ORU^R01^ORU_R01|C-1|P|2.5.1\r\
    PID|1||9990000018^^^NHS^NH||Quillfeather^Ottoline||19800229|F\r\
    OBR|1|O-1|F-1|24323-8^Panel^LN|||20260301083000+0000|||||||||||||||20260301085900+0000||CH|F\r";
const NORMAL: &str = "OBX|1|NM|718-7^Haemoglobin^LN||141|g/L|115-165|N|||F\r";
/// A code and a unit that no table has, a field that no rule reads, and a patient's name where no name belongs.
const STRANGE: &str =
    "OBX|1|NM|KX^Kappa^L||140.917|g per l|115-165|N|||F|||||||||||||||||||||||||||||Thistledown\r";

/// A folder of mappings with one laboratory in it, and a copy with texts of it changed.
fn mappings(place: &Place, changes: &[(&str, &str)]) {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings/labs/standard");
    for file in ["mapping.toml", "units.csv"] {
        let text = fs::read_to_string(lab.join(file)).unwrap();
        place.write(&format!("old/labs/standard/{file}"), &text);
        let altered = changes.iter().fold(text, |text, (from, to)| text.replace(from, to));
        place.write(&format!("new/labs/standard/{file}"), &altered);
    }
}

fn stderr(place: &Place, arguments: &[&str]) -> String {
    String::from_utf8(place.run(arguments).stderr).unwrap()
}

#[test]
fn coverage_tells_what_a_mapping_and_the_messages_do_not_share_and_names_nobody() {
    let place = Place::new();
    mappings(&place, &[]);
    place.write("in/a.hl7", &format!("{HEAD}{NORMAL}"));
    place.write("in/b.hl7", &format!("{HEAD}{STRANGE}"));
    let (status, documents) = place.json(&["mapping", "coverage", "in"]);
    assert_eq!(status, 1, "a field of a result is not read");
    let [document] = documents.as_slice() else { panic!("one mapping read them: {documents:?}") };
    assert_eq!(document["mapping"], "standard");
    assert_eq!(document["messages"], json!({ "read": 2, "held": 1, "rejected": 0 }));
    assert_eq!(
        document["unread_fields"],
        json!([{ "field": "OBX-40", "count": 1, "holds": true, "example": { "message": "in/b.hl7 #0", "at": "OBX[1]-40" } }])
    );
    let words: Vec<_> = document["unmapped_words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["rule"].as_str(), it["word"].as_str(), it["holds"].as_bool()))
        .collect();
    assert_eq!(
        words,
        [(Some("result.code"), Some("KX"), Some(false)), (Some("result.unit"), Some("g per l"), Some(false))]
    );
    let silent = document["silent_rules"].as_array().unwrap();
    let telecoms =
        silent.iter().find(|it| it["rule"] == "patient.telecoms").expect("no message has a telephone");
    let line = usize::try_from(telecoms["line"].as_u64().unwrap()).unwrap();
    let text = fs::read_to_string(place.path("old/labs/standard/mapping.toml")).unwrap();
    assert!(text.lines().nth(line - 1).unwrap().starts_with("telecoms"), "the line is the rule's");
    assert!(silent.iter().all(|it| it["rule"] != "result.value"));
    assert!(document["unseen_words"].as_array().unwrap().iter().any(|it| it["word"] == "C"));

    let plain = place.run(&["mapping", "coverage", "in", "--lab", "standard"]);
    let shown = [plain.stdout, plain.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
    for wanted in ["OBX-40", "g per l", "patient.telecoms", "mapping.toml:"] {
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
    for name in ["Quillfeather", "Thistledown", "9990000018", "140.917"] {
        assert!(!shown.contains(name) && !document.to_string().contains(name), "{name} is a patient's");
    }
    assert_eq!(place.json(&["mapping", "coverage", "in/a.hl7"]).0, 0, "nothing waits for a rule");
    assert_eq!(place.json(&["mapping", "coverage", "nowhere"]).0, 1, "a file that is not there");
    assert_eq!(place.json(&["mapping", "coverage", "--lab", "standart", "in"]).0, 2);
    assert_eq!(
        place.json(&["mapping", "coverage", "in", "--since", "2026-01-01"]).0,
        2,
        "files have no such time"
    );
}

#[test]
fn diff_says_what_changes_clinically_and_for_whom_only_when_asked() {
    let place = Place::new();
    mappings(
        &place,
        &[
            ("F = \"final\"", "F = \"corrected\""),
            ("names       = { each_of = [\"PID-5\", \"PID-9\"] }", "family = \"PID-5.2\""),
        ],
    );
    place.write("in/a.hl7", &format!("{HEAD}{NORMAL}"));
    place.write("in/b.hl7", &format!("{HEAD}{NORMAL}").replace("C-1", "C-2"));
    let (status, documents) = place.json(&["mapping", "diff", "old", "new", "in"]);
    assert_eq!((status, documents.len()), (1, 1));
    let document = &documents[0];
    assert_eq!([&document["messages"], &document["differing"], &document["clinically_differing"]], [2, 2, 2]);
    let group = |kind: &str, field: &str| {
        let groups = document["groups"].as_array().unwrap();
        groups
            .iter()
            .find(|it| it["kind"] == kind && it["field"] == field)
            .unwrap_or_else(|| panic!("{kind} {field}: {document}"))
    };
    let status = group("status", "result.status");
    assert_eq!((&status["test"], &status["count"]), (&json!("718-7 Haemoglobin"), &json!(2)));
    assert_eq!(
        status["example"],
        json!({ "message": "in/a.hl7 #0", "at": "OBX[1]", "private": false, "old": "final", "new": "corrected" })
    );
    let name = &group("identity", "patient.names")["example"];
    assert_eq!((&name["private"], &name["old"], &name["new"]), (&json!(true), &Value::Null, &Value::Null));
    let plain = |more: &[&str]| {
        let output = place.run(&[&["mapping", "diff", "old", "new", "in"], more].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(plain(&[]).contains("final -> corrected") && !plain(&[]).contains("Quillfeather"));
    assert!(!plain(&[]).contains('\u{1b}'), "no colour where there is no terminal");
    assert!(plain(&["--show-values"]).contains("Quillfeather"));
    // One laboratory's folder, under whatever name, and the other way round.
    let (status, back) = place.json(&["mapping", "diff", "new/labs/standard", "old", "in"]);
    assert_eq!((status, &back[0]["differing"]), (1, &json!(2)));
}

#[test]
fn diff_of_what_no_clinician_sees_ends_with_0_and_of_what_cannot_be_compared_with_2() {
    let place = Place::new();
    mappings(&place, &[("observer ", "watcher ")]);
    place.write("in/a.hl7", &format!("{HEAD}{}", NORMAL.replace("F\r", "F|||||Z1\r")));
    let (status, documents) = place.json(&["mapping", "diff", "old", "new", "in"]);
    assert_eq!((status, &documents[0]["clinical"]), (0, &json!(false)), "{documents:?}");
    assert_eq!(documents[0]["groups"][0]["field"], "result.extra");
    assert!(stderr(&place, &["mapping", "diff", "old", "in", "in"]).contains("M070"));
    assert!(stderr(&place, &["mapping", "diff", "old", "old", "in", "--lab", "elsewhere"]).contains("M073"));
    let other = fs::read_to_string(place.path("old/labs/standard/mapping.toml")).unwrap();
    let renamed = other.replace("lab    = \"standard\"", "lab = \"elsewhere\"");
    assert_ne!(other, renamed);
    place.write("else/mapping.toml", &renamed);
    place.write("else/units.csv", "sent,ucum\n");
    assert!(stderr(&place, &["mapping", "diff", "old/labs/standard", "else", "in"]).contains("M071"));
    place.write("new/labs/other/mapping.toml", &other.replace("\"standard\"", "\"other\""));
    place.write(
        "old/labs/other/mapping.toml",
        &other.replace("\"standard\"", "\"other\"").replace("F = \"final\"", "F = \"amended\""),
    );
    place.write("new/labs/other/units.csv", "sent,ucum\n");
    place.write("old/labs/other/units.csv", "sent,ucum\n");
    assert!(stderr(&place, &["mapping", "diff", "old", "new", "in"]).contains("M072"));
    place.write("new/labs/other/mapping.toml", "schema = ");
    let output = place.run(&["mapping", "diff", "old", "new", "in"]);
    assert_eq!(output.status.code(), Some(2), "a mapping that does not compile compares nothing");
}

#[test]
fn kept_messages_are_compared_alike_with_and_without_a_running_gateway() {
    let place = Place::configured();
    mappings(&place, &[("F = \"final\"", "F = \"corrected\"")]);
    let (running, ready) = place.start(&["serve"]);
    let target = format!("mllp://{}", ready["mllp"].as_str().unwrap());
    place.write("in/a.hl7", &format!("{HEAD}{NORMAL}"));
    place.write("odd.hl7", &format!("{HEAD}{STRANGE}").replace("C-1", "C-9").replace("F-1", "F-9"));
    let many = ["send", &target, "in/a.hl7", "--repeat", "150", "--connections", "4", "--fresh-control-ids"];
    assert_eq!(place.json(&many).0, 0);
    assert_eq!(place.json(&["send", &target, "odd.hl7"]).0, 0);
    let stranger = HEAD.replace("LAB|FAC", "ELSE|WHERE") + NORMAL;
    place.write("stranger.hl7", &stranger);
    assert_eq!(place.json(&["send", &target, "stranger.hl7"]).0, 1, "it is not ours, and kept all the same");
    let started = Instant::now();
    while !place.json(&["message", "list", "--state", "waiting"]).1.is_empty() {
        assert!(started.elapsed() < Duration::from_mins(1), "the messages are read");
        std::thread::sleep(Duration::from_millis(50));
    }
    let asked: [&[&str]; 4] = [
        &["mapping", "diff", "old", "new", "--stored"],
        &["mapping", "diff", "old/labs/standard", "old/labs/standard", "--stored"],
        &["mapping", "coverage", "--stored", "--lab", "standard"],
        &["mapping", "coverage", "--stored", "--since", "2999-01-01"],
    ];
    let answers: Vec<_> = asked.iter().map(|it| place.json(it)).collect();
    let statuses: Vec<i32> = answers.iter().map(|it| it.0).collect();
    assert_eq!(statuses, [1, 0, 1, 1]);
    let diff = &answers[0].1[0];
    assert_eq!(
        [&diff["messages"], &diff["differing"], &diff["without_feed"], &diff["unreadable"]],
        [151, 151, 1, 0]
    );
    assert_eq!(answers[1].1[0]["differing"], 0);
    let coverage = &answers[2].1[0];
    assert_eq!(coverage["messages"], json!({ "read": 151, "held": 1, "rejected": 0 }));
    assert_eq!(coverage["unread_fields"][0]["field"], "OBX-40");
    let id = coverage["unread_fields"][0]["example"]["message"].as_str().unwrap();
    assert_eq!(place.run(&["message", "show", id, "--raw"]).stdout, fs::read(place.path("odd.hl7")).unwrap());
    assert_eq!(answers[3].1, Vec::<Value>::new());
    let told = stderr(&place, &["mapping", "coverage", "--stored", "--progress"]);
    assert!(told.contains("151 messages in all") && told.contains("left out"), "{told}");
    // What was loaded is remembered: it is compared by its digest, with messages and with files.
    let digest = &coverage["digest"].as_str().unwrap()[..12];
    for (new, differing) in [("old/labs/standard", 0), ("new/labs/standard", 151)] {
        let (status, diff) = place.json(&["mapping", "diff", digest, new, "--stored"]);
        assert_eq!((status, &diff[0]["differing"]), (i32::from(differing > 0), &json!(differing)), "{new}");
    }
    assert_eq!(place.json(&["mapping", "diff", digest, "new", "in"]).1[0]["differing"], 1);
    assert!(stderr(&place, &["mapping", "diff", "00000000", "new", "--stored"]).contains("M074"));
    assert_eq!(running.stop(), Some(0));
    let alone: Vec<_> = asked.iter().map(|it| place.json(it)).collect();
    assert_eq!(answers, alone);
}

/// Whatever laboratories send, the tools say something of it and end in order.
#[test]
fn the_corpus_is_accounted_for_and_compared() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/hl7v2");
    if !corpus.is_dir() {
        println!("SKIPPED: {} is not here", corpus.display());
        return;
    }
    let corpus = corpus.to_str().unwrap();
    let place = Place::new();
    mappings(&place, &[("F = \"final\"", "F = \"corrected\"")]);
    let (status, coverage) = place.json(&["mapping", "coverage", corpus]);
    let read = coverage[0]["messages"]["read"].as_u64().unwrap();
    assert!(status <= 1 && read > 300, "{read} messages");
    let (status, diff) = place.json(&["mapping", "diff", "old", "new", corpus]);
    assert_eq!(status, 1);
    assert_eq!((diff[0]["messages"].as_u64(), &diff[0]["unreadable"]), (Some(read), &json!(0)));
    let kinds: std::collections::BTreeSet<_> =
        diff[0]["groups"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["status"], "only what was changed is told");
    let (status, same) = place.json(&["mapping", "diff", "old", "old", corpus, "--lab", "standard"]);
    assert_eq!((status, &same[0]["differing"]), (0, &json!(0)));
}
