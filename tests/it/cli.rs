//! The command line as others use it: the built binary, its output and its exit status.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write the files that commands read, and wait for processes"
)]

mod holds;

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");
const NORMAL: &str = "MSH|^~\\&|LAB|FAC|||20260301090000+0000||ORU^R01^ORU_R01|C-1|P|2.5.1\r\
    PID|1||9990000018^^^NHS^NH||Quillfeather^Ottoline||19800229|F\r\
    OBR|1|O-1|F-1|24323-8^Panel^LN|||20260301083000+0000|||||||||||||||20260301085900+0000||CH|F\r\
    OBX|1|NM|718-7^Haemoglobin^LN||5.10|g/L|115-165|L|||F\r";
const ORDER: &str = "MSH|^~\\&|LAB|FAC|||20260301||ORM^O01|C-2|P|2.5.1\rPID|1\r";

pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A place with a configuration and a master key.
    pub(crate) fn configured() -> Self {
        let place = Self::new();
        place.write(
            "gateway.toml",
            "[store]\ndirectory = \"data\"\n[http]\nlisten = \"127.0.0.1:0\"\n[inbound.mllp]\nlisten = \"127.0.0.1:0\"\n\
             [[lab]]\nname = \"standard\"\nmapping = \"standard\"\nclinics = [\"test\"]\n\
             [[lab.feed]]\nname = \"standard-mllp\"\nkind = \"mllp\"\nsenders = [\"LAB|FAC\"]\n",
        );
        assert_eq!(place.run(&["keys", "init", "--out", "master.key"]).status.code(), Some(0));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        name.to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(GATEWAY);
        command.args(arguments).current_dir(self.0.path()).env_clear();
        if self.path("gateway.toml").exists() {
            command.env("GATEWAY_CONFIG", "gateway.toml");
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs with `--format json`: the exit status and each line of output.
    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Vec<Value>) {
        let output = self.run(&[arguments, &["--format", "json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.code().unwrap(), lines)
    }

    /// Starts what runs until it is interrupted, and reads its first line.
    pub(crate) fn start(&self, arguments: &[&str]) -> (Running, Value) {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Running(child), serde_json::from_str(&line).unwrap())
    }
}

pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Interrupts it and waits for its end.
    pub(crate) fn stop(mut self) -> Option<i32> {
        Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn try_prints_one_line_a_message_and_says_what_became_of_each() {
    let place = Place::new();
    place.write("in/1-normal.hl7", NORMAL);
    place.write("in/2-batch.hl7", &format!("{NORMAL}{ORDER}"));
    place.write("in/3-nothing.hl7", "no message");
    let held = NORMAL.replace("|P|2.5.1", "||2.5.1");
    place.write("in/4-held.hl7", &held);
    let (status, lines) = place.json(&["try", "in", "missing.hl7"]);
    assert_eq!(status, 1);
    let became: Vec<(u64, &str)> =
        lines.iter().map(|it| (it["index"].as_u64().unwrap(), it["status"].as_str().unwrap())).collect();
    assert_eq!(
        became,
        [(0, "mapped"), (0, "mapped"), (1, "rejected"), (0, "rejected"), (0, "held"), (0, "rejected")]
    );
    for line in &lines {
        assert_eq!(keys(line), ["file", "index", "status", "diagnostics", "output"]);
        assert_eq!(line["output"].is_null(), line["status"] == "rejected");
        for diagnostic in line["diagnostics"].as_array().unwrap() {
            assert_eq!(keys(diagnostic), ["code", "severity", "position", "message", "help"]);
        }
    }
    assert_eq!(
        lines[4]["output"]["reports"].as_array().unwrap().len(),
        1,
        "a held message shows what was read"
    );
    assert_eq!(lines[5]["diagnostics"][0]["code"], "C015");
    assert!(!lines.iter().any(|it| it["diagnostics"].to_string().contains("Quillfeather")));
}

#[test]
fn try_shows_each_stage() {
    let place = Place::new();
    place.write("a.hl7", NORMAL);
    for (stage, expected) in [
        ("report", vec!["reports"]),
        ("findings", vec!["findings", "not_assessed"]),
        ("cliniko", vec!["calls", "assumed"]),
    ] {
        let (status, lines) = place.json(&["try", "--stage", stage, "a.hl7"]);
        assert_eq!((status, lines.len()), (0, 1), "{stage}");
        assert_eq!(keys(&lines[0]["output"]), expected);
    }
    let (_, lines) = place.json(&["try", "--stage", "fhir", "a.hl7"]);
    assert_eq!(
        (&lines[0]["output"]["resourceType"], &lines[0]["output"]["type"]),
        (&"Bundle".into(), &"collection".into())
    );
    let (_, calls) = place.json(&["try", "--stage", "cliniko", "a.hl7"]);
    assert!(calls[0]["output"]["calls"].as_array().unwrap().len() >= 3);

    let plain = place.run(&["try", "--stage", "fhir", "a.hl7"]);
    assert!(text(&plain.stdout).contains("\"value\": 5.10"), "the digits are those sent");
    assert!(
        text(&plain.stderr).contains("public test key") && !text(&plain.stdout).contains("public test key")
    );
    assert_eq!(
        place.run(&["try", "--stage", "fhir", "a.hl7"]).stdout,
        plain.stdout,
        "same bytes, same Bundle"
    );
}

#[test]
fn try_counts_when_asked_for_a_summary() {
    let place = Place::new();
    place.write("in/a.hl7", NORMAL);
    place.write("in/b.hl7", ORDER);
    let (status, lines) = place.json(&["try", "--summary", "in"]);
    assert_eq!((status, lines.len()), (1, 3));
    let summary = &lines[2]["summary"];
    assert_eq!(
        (&summary["mapped"], &summary["rejected"], &summary["reasons"]["H103"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!((&summary["results"]["sent"], &summary["results"]["lost"]), (&1.into(), &0.into()));
    assert_eq!(summary["readable"]["permille"], 1000);
    let table = text(&place.run(&["try", "--summary", "in"]).stdout);
    assert!(table.contains("H103 Not a result message") && table.contains("100.0 %"), "{table}");
}

#[test]
fn usage_and_configuration_end_with_2() {
    let place = Place::new();
    place.write("a.hl7", NORMAL);
    place.write("wrong.toml", "[store]\ndirectroy = \"x\"\n");
    let wrong: [&[&str]; 6] = [
        &["nonsense"],
        &["try"],
        &["try", "--lab", "standart", "a.hl7"],
        &["check", "--config", "wrong.toml"],
        &["send", "ftp://127.0.0.1:1", "a.hl7"],
        &["explain", "Z999"],
    ];
    for arguments in wrong {
        assert_eq!(place.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let told = text(&place.run(&["try", "--lab", "standart", "a.hl7"]).stderr);
    assert!(told.contains("did you mean `standard`"), "{told}");
    assert_eq!(place.run(&["explain", "H103"]).status.code(), Some(0));
}

#[test]
fn every_command_helps_with_an_example() {
    let place = Place::new();
    let commands = "demo|serve|check|try|send|simulate cliniko|mapping coverage|mapping diff|mapping active|mapping export|mapping reload|mapping resolve|message list|message show|message replay|audit verify|\
        clinic add|clinic list|user add|user revoke|keys init|keys status|explain";
    for command in commands.split('|') {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let output = place.run(&arguments);
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(
            help.contains(&format!("gateway {command}")) && help.contains("Example"),
            "{command}: {help}"
        );
    }
}

#[test]
fn a_simulated_cliniko_says_where_it_is_and_ends_when_asked() {
    let place = Place::new();
    let (running, line) = place.start(&["simulate", "cliniko", "--seed", "demo"]);
    assert_eq!(keys(&line), ["api", "store", "control", "keys"]);
    assert!(
        ["api", "store", "control"]
            .iter()
            .all(|it| line[it].as_str().unwrap().starts_with("http://127.0.0.1:"))
    );
    assert_eq!(keys(&line["keys"][0]), ["user", "role", "key"]);
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn clinics_and_users_are_added_and_no_secret_is_shown() {
    let place = Place::configured();
    let (secret, password) = ("c2VjcmV0LWtleQ-uk1", "correct horse battery staple");
    place.write("cliniko.key", &format!("{secret}\n"));
    place.write("password", password);
    let add = ["clinic", "add", "test", "--cliniko-key-file", "cliniko.key"];
    assert_eq!(place.json(&[&add[..], &["--shard", "uk2"]].concat()).0, 2, "the key is of another shard");
    let (status, added) = place.json(&[&add[..], &["--shard", "uk1"]].concat());
    assert_eq!((status, added), (0, vec![serde_json::json!({ "id": "test" })]));
    assert_eq!(place.json(&[&add[..], &["--shard", "uk1"]].concat()).0, 1, "a clinic is added once");

    let user = [
        "user",
        "add",
        "a.green@clinic.example",
        "--clinic",
        "test",
        "--role",
        "clinician",
        "--password-file",
    ];
    let (status, added) = place.json(&[&user[..], &["password"]].concat());
    assert_eq!((status, keys(&added[0])), (0, vec!["id"]));
    assert_eq!(place.json(&[&user[..], &["password"]].concat()).0, 1, "an address has one account");
    place.write("short", "short");
    assert_eq!(place.json(&[&user[..], &["short"]].concat()).0, 1);
    assert_eq!(place.json(&["user", "revoke", "a.green@clinic.example"]).0, 0);
    assert_eq!(place.json(&["user", "revoke", "nobody@clinic.example"]).0, 1);

    let listed = place.run(&["clinic", "list", "--format", "json"]);
    assert!(!text(&listed.stdout).contains("c2VjcmV0"));
    let stored = fs::read(place.path("data/store.redb")).unwrap();
    for hidden in [secret, password, "a.green@clinic.example"] {
        assert!(!stored.windows(hidden.len()).any(|it| it == hidden.as_bytes()), "sealed in the store");
    }
}

#[test]
fn a_clinics_key_is_replaced_by_one_of_its_own_account() {
    let place = Place::configured();
    for (name, key) in
        [("old.key", "b2xkLXNlY3JldA-uk1"), ("new.key", "bmV3LXNlY3JldA-uk1\n"), ("other.key", "b3RoZXI-uk2")]
    {
        place.write(name, key);
    }
    let replace = |clinic: &str, key: &str| place.json(&["clinic", "key", clinic, "--cliniko-key-file", key]);
    place.json(&["clinic", "add", "test", "--cliniko-key-file", "old.key", "--shard", "uk1"]);
    assert_eq!(replace("nobody", "new.key").0, 1, "there is no such clinic");
    assert_eq!(replace("test", "other.key").0, 2, "patients' ids are an account's own, so the shard stays");
    let before = place.json(&["clinic", "list"]);
    assert_eq!(replace("test", "new.key"), (0, vec![serde_json::json!({ "id": "test" })]));
    assert_eq!(place.json(&["clinic", "list"]), before, "no key is ever shown");
    let stored = fs::read(place.path("data/store.redb")).unwrap();
    for key in ["b2xkLXNlY3JldA", "bmV3LXNlY3JldA"] {
        assert!(!stored.windows(key.len()).any(|it| it == key.as_bytes()), "sealed in the store");
    }
    assert_eq!(place.json(&["audit", "verify"]).1[0]["verified"], true);
}

#[test]
fn r05_the_audit_chain_verifies_without_a_key_and_tells_a_wrong_head() {
    let place = Place::configured();
    assert_eq!(place.json(&["audit", "verify"]).0, 1, "there is no store yet");
    place.write("cliniko.key", "c2VjcmV0LWtleQ-uk1");
    place.json(&["clinic", "add", "test", "--cliniko-key-file", "cliniko.key", "--shard", "uk1"]);
    fs::remove_file(place.path("master.key")).unwrap();
    let (status, verified) = place.json(&["audit", "verify"]);
    assert_eq!((status, keys(&verified[0])), (0, vec!["entries", "head", "verified", "first_bad"]));
    let head = verified[0]["head"].as_str().unwrap();
    assert_eq!(place.json(&["audit", "verify", "--expect-head", head]).0, 0);
    let (status, verified) = place.json(&["audit", "verify", "--expect-head", &"0".repeat(64)]);
    assert_eq!((status, &verified[0]["verified"]), (1, &Value::Bool(false)));
    assert_eq!(place.run(&["audit", "verify", "--expect-head", "xyz"]).status.code(), Some(2));
}

#[test]
fn what_was_sent_is_listed_and_shown_the_same_with_and_without_a_running_gateway() {
    let place = Place::configured();
    let (running, ready) = place.start(&["serve"]);
    let target = format!("mllp://{}", ready["mllp"].as_str().unwrap());
    place.write("in/a.hl7", NORMAL);
    place.write("in/b.hl7", ORDER);
    let (status, sent) = place.json(&["send", &target, "in"]);
    assert_eq!(status, 1, "one of them was rejected");
    assert_eq!(keys(&sent[0]), ["file", "index", "control_id", "ack", "errors", "ms"]);
    assert_eq!((&sent[0]["ack"], &sent[1]["ack"]), (&"AA".into(), &"AR".into()));
    assert_eq!(keys(&sent[1]["errors"][0]), ["code", "location", "text"]);
    let many = ["send", &target, "in/a.hl7", "--repeat", "5", "--connections", "3", "--fresh-control-ids"];
    let (status, fresh) = place.json(&many);
    let ids: std::collections::BTreeSet<_> = fresh.iter().map(|it| it["control_id"].to_string()).collect();
    assert_eq!((status, ids.len()), (0, 5));

    let mapped = || place.json(&["message", "list", "--state", "mapped"]).1;
    let started = Instant::now();
    while mapped().len() < 6 {
        assert!(started.elapsed() < Duration::from_secs(30), "the messages are read");
        std::thread::sleep(Duration::from_millis(50));
    }
    let first = mapped().remove(0);
    assert_eq!(
        keys(&first),
        ["id", "received_at", "lab", "feed", "control_id", "sha256", "bytes", "state", "ack"]
    );
    let id = first["id"].as_str().unwrap();
    assert_eq!(place.run(&["message", "show", id, "--raw"]).stdout, NORMAL.as_bytes());
    let (status, again) = place.json(&["message", "replay", id, "--dry-run"]);
    assert_eq!((status, again[0]["state"].as_str()), (0, Some("waiting")), "{again:?}");
    let asked: [&[&str]; 4] = [
        &["message", "list"],
        &["message", "list", "--since", "2999-01-01"],
        &["message", "show", id],
        &["clinic", "list"],
    ];
    let settled = |since: Instant| since.elapsed() > Duration::from_secs(30);
    while place.json(&["message", "show", id]).1[0]["cases"].as_array().unwrap().is_empty() {
        assert!(!settled(started), "a case is opened");
        std::thread::sleep(Duration::from_millis(50));
    }
    let journey = place.json(&["message", "show", id]).1.remove(0);
    assert_eq!(journey["reports"][0]["lineage"], "standard|F-1");
    assert!(journey["audit"].as_array().unwrap().iter().any(|it| it["act"] == "message.kept"));
    assert!(!journey.to_string().contains("Quillfeather"));

    let answers: Vec<_> = asked.iter().map(|it| place.json(it)).collect();
    assert_eq!(running.stop(), Some(0));
    assert!(!Path::new(&place.path("data/gateway.sock")).exists());
    let alone: Vec<_> = asked.iter().map(|it| place.json(it)).collect();
    assert_eq!(answers, alone);
    assert_eq!(answers[0].1.len(), 7);
    assert!(answers[1].1.is_empty());
}

#[test]
fn a_feed_whose_mapping_cannot_read_what_it_takes_is_refused_at_start() {
    let place = Place::configured();
    let config = fs::read_to_string(place.path("gateway.toml")).unwrap();
    let fhir = "[[lab.feed]]\nname = \"bundles\"\nkind = \"fhir\"\ndangerous_no_credentials = true\n";
    let fhir_mapping = format!("{fhir}mapping = \"standard-fhir\"\n");
    let csv = config.replace("mapping = \"standard\"", "mapping = \"standard-csv\"");
    for (configuration, refused) in [
        (format!("{config}{fhir}"), Some("`bundles`")),
        (format!("{config}{fhir_mapping}"), None),
        (csv.clone(), Some("`standard-mllp`")),
        (csv.replace("kind = \"mllp\"", "kind = \"http\"\ndangerous_no_credentials = true"), None),
    ] {
        place.write("gateway.toml", &configuration);
        let output = place.run(&["check"]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(if refused.is_some() { 2 } else { 0 }), "{told}");
        let Some(feed) = refused else { continue };
        assert!(told.contains("C072") && told.contains(feed) && told.contains("help"), "{told}");
        let served = place.run(&["serve"]);
        assert_eq!(served.status.code(), Some(2));
        assert!(text(&served.stderr).contains("C072") && !place.path("data").exists());
    }
}

#[test]
fn check_tells_what_is_missing_and_touches_nothing() {
    let place = Place::configured();
    let output = place.run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("C018") && !place.path("data").exists());
    assert_eq!(place.run(&["check", "--no-environment"]).status.code(), Some(0));
    let config = fs::read_to_string(place.path("gateway.toml")).unwrap();
    place.write("gateway.toml", &config.replace("mapping = \"standard\"", "mapping = \"nowhere\""));
    let output = place.run(&["check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("C016"));
    fs::remove_file(place.path("master.key")).unwrap();
    assert!(text(&place.run(&["check"]).stderr).contains("C005"));
}
