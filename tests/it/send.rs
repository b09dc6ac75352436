//! `gateway send` as a laboratory runs it: each door, over a real socket, with what it prints and its exit status.

#![expect(clippy::disallowed_methods, reason = "the files that are sent, and the keys they are sent with")]

use std::fs;
use std::process::Output;
use std::process::Stdio;

use haemosync_gateway::pipeline::records::message::State;
use russh::keys::HashAlg;
use russh::keys::ssh_key::LineEnding;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::inbound_http::TOKEN;
use crate::mllp::tls::authority;
use crate::mllp::tls::certified;
use crate::sftp;
use crate::sftp::held;
use crate::sftp::key_of;
use crate::sftp::lab_key;
use crate::sftp::oru;

const FHIR: &str = r#"{"resourceType": "DiagnosticReport", "status": "final",
    "identifier": [{"system": "urn:lab:numbers", "value": "F-1"}], "code": {"text": "An invented panel"}}"#;

/// A laboratory's machine.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("lab_key", lab_key().to_openssh(LineEnding::LF).unwrap());
        desk.write("token", TOKEN);
        desk
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command.arg("send").args(arguments).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command.output().await.unwrap()
    }

    /// The exit status, the lines, and what a person was told.
    async fn send(&self, arguments: &[&str]) -> (i32, Vec<Value>, String) {
        let output = self.run(&[arguments, &["--format", "json"]].concat()).await;
        let lines = String::from_utf8(output.stdout).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (output.status.code().unwrap(), lines, String::from_utf8(output.stderr).unwrap())
    }
}

/// File, place in it, control id, answer, and codes of a line.
fn told(line: &Value) -> Value {
    let codes: Vec<&Value> = line["errors"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
    json!([line["file"], line["index"], line["control_id"], line["ack"], codes])
}

/// A gateway whose SFTP host key is known, with more lines for the feed.
async fn sftp_gateway(feed: &str) -> (TestGateway, TempDir, String) {
    let (files, key) = (tempfile::tempdir().unwrap(), key_of(9));
    let path = files.path().join("host_key");
    fs::write(&path, key.to_openssh(LineEnding::LF).unwrap()).unwrap();
    let server = format!("host_key = {{ file = {path:?} }}");
    let gateway = TestGateway::start_with(sftp::setup(feed, &server)).await;
    (gateway, files, key.public_key().fingerprint(HashAlg::Sha256).to_string())
}

fn sftp_url(gateway: &TestGateway) -> String {
    format!("sftp://{}@{}", sftp::FEED, gateway.sftp())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_goes_over_sftp_and_its_receipts_are_the_answers() {
    for (feed, more) in
        [("", &[][..]), ("take = \"rename\"", &[]), ("take = \"marker\"", &["--marker", ".done"])]
    {
        let (gateway, _files, pin) = sftp_gateway(feed).await;
        let desk = Desk::new();
        desk.write("out/1.hl7", oru("S1") + &oru("S2"));
        desk.write("out/2.csv", "no,result\n1,2\n");
        desk.write("out/more/1.hl7", oru("S3"));
        let url = sftp_url(&gateway);
        let pinned = [&url, "out", "--identity", "lab_key", "--host-key", &pin];
        let (status, lines, said) = desk.send(&[&pinned[..], more].concat()).await;
        gateway.count(4);
        assert_eq!(status, 1, "one of them was rejected: {said}");
        let expected = [
            json!(["out/1.hl7", 0, "S1", "accepted", []]),
            json!(["out/1.hl7", 1, "S2", "accepted", []]),
            json!(["out/2.csv", 0, "", "rejected", ["H101"]]),
            json!(["out/more/1.hl7", 0, "S3", "accepted", []]),
        ];
        assert_eq!(lines.iter().map(told).collect::<Vec<_>>(), expected, "{feed}");
        let keys: Vec<_> = lines[0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["file", "index", "control_id", "ack", "errors", "ms"]);
        // The same file again has another receipt, and fresh control ids make other messages.
        let again = [&pinned[..], more, &["--repeat", "2", "--fresh-control-ids"]].concat();
        let again: Vec<&str> =
            again.into_iter().map(|it| if it == "out" { "out/1.hl7" } else { it }).collect();
        let (status, lines, said) = desk.send(&again).await;
        gateway.count(4);
        let ids: std::collections::BTreeSet<_> =
            lines.iter().map(|it| it["control_id"].to_string()).collect();
        assert_eq!((status, ids.len()), (0, 4), "{said}");
        gateway.wait_until_quiet().await;
        assert_eq!((gateway.counted(State::Mapped), gateway.duplicates()), (7, 0));
        gateway.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_put_on_a_server_that_is_not_the_one_agreed() {
    let (gateway, _files, pin) = sftp_gateway("").await;
    let desk = Desk::new();
    desk.write("a.hl7", oru("S1"));
    desk.write("other_key", key_of(8).to_openssh(LineEnding::LF).unwrap());
    let url = sftp_url(&gateway);
    let other = key_of(10).public_key().fingerprint(HashAlg::Sha256).to_string();
    let (status, lines, _) = desk.send(&[&url, "a.hl7", "--identity", "lab_key", "--host-key", &other]).await;
    assert_eq!((status, told(&lines[0])), (1, json!(["a.hl7", 0, "S1", null, ["connect"]])));
    assert!(lines[0]["errors"][0]["text"].as_str().unwrap().contains(&pin), "it says what was shown");
    let (status, lines, _) = desk.send(&[&url, "a.hl7", "--identity", "other_key", "--host-key", &pin]).await;
    assert_eq!((status, &lines[0]["errors"][0]["code"]), (1, &json!("connect")), "a key of nobody's");
    for (arguments, code) in [
        (&["--identity", "lab_key"][..], "C070"),
        (&["--identity", "lab_key", "--host-key", "SHA256:?"], "C070"),
        (&["--dangerous-any-host-key"], "C071"),
        (&["--dangerous-any-host-key", "--identity", "a.hl7"], "C071"),
    ] {
        let (status, lines, said) = desk.send(&[&[url.as_str(), "a.hl7"], arguments].concat()).await;
        assert_eq!((status, lines.len()), (2, 0), "{arguments:?}");
        assert!(said.contains(code), "{arguments:?}: {said}");
    }
    let any = [&url, "a.hl7", "--identity", "lab_key", "--dangerous-any-host-key"];
    assert_eq!(desk.send(&any).await.0, 0);
    gateway.count(1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_does_not_come_is_told_and_not_waited_for_for_ever() {
    let (gateway, _files, pin) = sftp_gateway("take = \"marker\"").await;
    let desk = Desk::new();
    desk.write("a.hl7", oru("S1"));
    let url = sftp_url(&gateway);
    let unmarked = [&url, "a.hl7", "--identity", "lab_key", "--host-key", &pin, "--wait", "1"];
    let (status, lines, _) = desk.send(&unmarked).await;
    assert_eq!((status, told(&lines[0])), (1, json!(["a.hl7", 0, "S1", null, ["timeout"]])));
    assert!(gateway.kept().is_empty(), "the feed waits for a marker");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_was_taken_and_its_line_says_why() {
    let (gateway, _files, pin) = sftp_gateway("").await;
    let desk = Desk::new();
    desk.write("a.hl7", held("S1"));
    let url = sftp_url(&gateway);
    let pinned = [&url, "a.hl7", "--identity", "lab_key", "--host-key", &pin];
    assert_eq!(desk.send(&pinned).await.0, 0);
    gateway.wait_until_quiet().await;
    let (status, lines, _) = desk.send(&pinned).await;
    gateway.count(2);
    assert_eq!((status, &lines[0]["ack"]), (0, &json!("held")));
    assert_eq!(lines[0]["errors"][0]["code"].as_str().map(str::len), Some(4));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mllps_is_spoken_with_a_certificate_of_ours() {
    let (desk, ours) = (Desk::new(), authority());
    let (certificate, key) = certified(&ours, "localhost");
    let (own_certificate, own_key) = certified(&ours, "laboratory");
    for (name, text) in [
        ("server.pem", certificate),
        ("server.key", key),
        ("ca.pem", ours.pem()),
        ("lab.pem", own_certificate),
        ("lab.key", own_key),
        ("other.pem", authority().pem()),
        ("a.hl7", oru("S1")),
    ] {
        desk.write(name, text);
    }
    let folder = desk.0.path().display();
    let more = format!(
        "[inbound.mllps]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{folder}/server.pem\"\nkey = \"{folder}/server.key\"\n\
         client_ca = \"{folder}/ca.pem\"\n"
    );
    let gateway = TestGateway::start_with(Setup { more, ..Setup::default() }).await;
    let url = format!("mllps://localhost:{}", gateway.mllps().port());
    let own = ["--cert", "lab.pem", "--key", "lab.key"];
    let (status, lines, said) = desk.send(&[&[&url, "a.hl7", "--ca", "ca.pem"], &own[..]].concat()).await;
    assert_eq!(status, 0, "{said}");
    assert_eq!(told(&lines[0]), json!(["a.hl7", 0, "S1", "AA", []]));
    let deceived = desk.send(&[&[&url, "a.hl7", "--ca", "other.pem"], &own[..]].concat()).await;
    assert_eq!((deceived.0, told(&deceived.1[0])), (1, json!(["a.hl7", 0, "S1", null, ["connect"]])));
    let nobody = desk.send(&[&url, "a.hl7", "--ca", "ca.pem"]).await;
    assert_eq!((nobody.0, &nobody.1[0]["ack"]), (1, &Value::Null), "no certificate was shown");
    gateway.count(1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_goes_over_http_and_progress_is_told_where_it_is_asked_for() {
    let desk = Desk::new();
    let bearer = format!("bearer = {{ file = {:?} }}", desk.0.path().join("token"));
    let feeds = [("fhir", ""), ("http", "senders = [\"LAB|FAC\"]")]
        .map(|(kind, more)| crate::inbound_http::feed(kind, &format!("{more}\n{bearer}")));
    let gateway = TestGateway::start_with(Setup { more: feeds.concat(), ..Setup::default() }).await;
    desk.write("out/a.json", FHIR);
    desk.write("out/b.hl7", oru("S1"));
    desk.write("out/c.hl7", oru("S2"));
    let base = format!("http://{}", gateway.http());
    let fhir = [&format!("{base}/fhir"), "out", "--token-file", "token"].map(str::to_owned);
    let fhir: Vec<&str> = fhir.iter().map(String::as_str).collect();
    let (status, lines, said) = desk.send(&[&fhir[..], &["--progress"]].concat()).await;
    gateway.count(1);
    assert_eq!((status, lines.len()), (0, 1), "only FHIR goes to a FHIR server: {said}");
    assert_eq!(told(&lines[0]), json!(["out/a.json", 0, "", "201", []]));
    assert_eq!(said, "1 of 1 sent, 1 accepted\n");
    let inbound = format!("{base}/inbound/standard-http");
    let quiet = desk.send(&[&inbound, "out/b.hl7", "out/c.hl7", "--token-file", "token"]).await;
    gateway.count(2);
    assert_eq!(quiet.1.iter().map(|it| &it["ack"]).collect::<Vec<_>>(), ["AA", "AA"]);
    assert_eq!((quiet.0, quiet.2.as_str()), (0, ""), "no terminal, so nothing is told");
    let plain = desk.run(&[&inbound, "out/b.hl7", "--token-file", "token", "--progress"]).await;
    gateway.count(1);
    let said = String::from_utf8(plain.stderr).unwrap();
    assert!(said.starts_with("1 of 1 sent, 1 accepted\n1 sent, 1 accepted, "), "{said}");
    gateway.finish().await;
}
