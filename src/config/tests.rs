//! What the configuration takes, refuses, and says about it.

#![expect(clippy::disallowed_methods, reason = "the tests write the files that the configuration reads")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use russh::keys::Algorithm;
use russh::keys::PrivateKey;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;

use super::Config;
use super::DEFAULTS;
use super::load;
use crate::diagnostic::Diagnostic;

/// An invented public key, of the right shape.
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-384","alg":"ES384","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#;

fn read(text: &str, environment: &[(&str, &str)]) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("gateway.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("master.key"), "0123456789abcdef".repeat(4)).unwrap();
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    load(Some(&file), &environment)
}

/// A private key, and the line of its public half.
fn poll_key() -> (String, String) {
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let text = key.to_openssh(LineEnding::LF).unwrap().to_string();
    (text, key.public_key().to_openssh().unwrap())
}

fn complaints(text: &str) -> Vec<(String, String)> {
    read(text, &[]).unwrap_err().into_iter().map(|it| (it.code.to_string(), it.help)).collect()
}

#[test]
fn the_embedded_defaults_are_a_whole_configuration() {
    let (config, found) = read(DEFAULTS, &[]).unwrap();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.mllp.listen.unwrap().to_string(), "127.0.0.1:2575");
    assert!(config.mllp.tls.is_none());
}

#[test]
fn the_example_laboratory_in_the_comments_is_valid() {
    let example: String = DEFAULTS
        .lines()
        .filter_map(|line| line.strip_prefix("#: "))
        .fold(String::new(), |all, line| all + line + "\n");
    let (key, _) = poll_key();
    let secrets = [
        ("POLL_KEY", key.as_str()),
        ("LAB_HMAC_SECRET", "an invented secret of 32 letters"),
        ("LAB_TOKEN", "an invented token of the laboratory"),
        ("LAB_JWKS", JWKS),
    ];
    let (config, _) = read(&example, &secrets).unwrap();
    assert_eq!(config.inbound_http.feeds.len(), 2);
    assert_eq!(config.inbound_http.principals[0].lab, "standard");
    assert_eq!(config.feeds.named("standard-fhir").unwrap().routed(Some("N-100"), None), Some("test"));
    assert_eq!(config.feeds.for_sender("LAB|FAC").unwrap().name, "standard-mllp");
    assert!(config.feeds.for_sender("LAB|OTHER").is_none());
    let [(feed, poll)] = config.polls.as_slice() else { panic!("one feed fetches") };
    assert_eq!((feed.name.as_str(), poll.login.address.as_str()), ("standard-files", "sftp.lab.example:22"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let (config, _) = read(
        "[store]\ndirectory = \"file\"\n",
        &[
            ("GATEWAY_STORE__DIRECTORY", "elsewhere"),
            ("GATEWAY_INBOUND__MLLP__IDLE_MS", "5"),
            ("GATEWAY_LOG__LEVEL", "7"),
        ],
    )
    .unwrap();
    assert!(config.store_directory.ends_with("elsewhere"));
    assert_eq!(config.mllp.idle.as_millis(), 5);
    assert_eq!(config.log_level, "7");
}

#[test]
fn a_secret_from_the_environment_replaces_the_default_file() {
    let key = "fedcba9876543210".repeat(4);
    assert!(read("[keys]\nmaster = { env = \"KEY\" }\n", &[("KEY", &key)]).is_ok());
    assert_eq!(complaints("[keys]\nmaster = { env = \"KEY\" }\n")[0].0, "C005");
    assert_eq!(complaints("[keys]\nmaster = { value = \"abab\" }\n")[0].0, "C005");
}

#[test]
fn every_unknown_key_is_named_with_its_place_and_its_neighbour() {
    let found = read("[store]\ndirectry = \"x\"\n\n[htp]\n", &[]).unwrap_err();
    assert_eq!(found.len(), 2);
    let span = found[0].span.as_ref().unwrap();
    assert_eq!((span.line, span.column, span.length), (2, 1, 8));
    assert_eq!(found[0].help, "did you mean `directory`?");
    assert_eq!(found[1].help, "did you mean `http`?");
}

fn door(kind: &str, keys: &str) -> String {
    format!(
        "[[lab]]\nname = \"a\"\nmapping = \"standard\"\n[[lab.feed]]\nname = \"f\"\nkind = \"{kind}\"\n{keys}\n"
    )
}

#[test]
fn secrets_that_could_be_guessed_and_keys_that_cannot_be_used_are_refused() {
    let codes = |text: &str| -> Vec<String> {
        let environment = [("WEAK", "short"), ("STRONG", "an invented secret of 32 letters"), ("JWKS", JWKS)];
        read(text, &environment).unwrap_err().into_iter().map(|it| it.code.to_string()).collect()
    };
    assert_eq!(codes(&door("http", "bearer = { env = \"WEAK\" }")), ["C036"]);
    let hmac = |kind, keys| door(kind, &format!("[lab.feed.hmac]\nheader = \"X\"\n{keys}"));
    assert_eq!(codes(&hmac("http", "secret = { env = \"WEAK\" }")), ["C036"]);
    assert_eq!(codes(&hmac("fhir", "secret = { env = \"STRONG\" }")), ["C034"]);
    assert_eq!(codes(&hmac("http", "secret = { env = \"STRONG\" }\ncovers = \"timestamp.body\"")), ["C035"]);
    let jwt = |keys| format!("\n[lab.jwt]\nclient_id = \"c\"\njwks = {{ env = \"{keys}\" }}\n");
    assert_eq!(codes(&door("http", &jwt("STRONG"))), ["C033"]);
    let second = "[[lab.feed]]\nname = \"g\"\nkind = \"fhir\"";
    assert_eq!(codes(&door("fhir", &format!("{second}{}", jwt("JWKS")))), ["C032"]);
}

#[test]
fn wrong_values_are_refused_with_their_own_codes() {
    for (text, code) in [
        ("[http]\nlisten = 5\n", "C002"),
        ("[http\n", "C002"),
        ("[http]\nlisten = \"nowhere\"\n", "C003"),
        ("[[lab]]\nname = \"a b\"\nmapping = \"standard\"\n", "C004"),
        ("[[lab]]\nname = \"a\"\nmaping = \"standard\"\n", "C002"),
        ("[cliniko.recovery]\nsettle_ms = 5\n", "C009"),
        (
            "[[lab]]\nname = \"a\"\nmapping = \"standard\"\n[[lab.feed]]\nname = \"f\"\nkind = \"mllp\"\n",
            "C010",
        ),
        (
            "[inbound.mllp]\nlisten = \"0.0.0.0:0\"\n[[lab]]\nname = \"a\"\nmapping = \"standard\"\n[[lab.feed]]\nname = \"f\"\nkind = \"mllp\"\ndangerous_any_sender = true\n",
            "C007",
        ),
        (
            "[[lab]]\nname = \"a\"\nmapping = \"standard\"\n[[lab.feed]]\nname = \"f\"\nkind = \"mllp\"\nsenders = [\"A|B\"]\n[[lab.feed]]\nname = \"g\"\nkind = \"mllp\"\nsenders = [\"A|B\"]\n",
            "C008",
        ),
        (&door("http", ""), "C031"),
        (
            &format!("[http]\nlisten = \"0.0.0.0:1\"\n{}", door("fhir", "dangerous_no_credentials = true")),
            "C031",
        ),
        ("[http]\npublic_url = \"gateway.example\"\n", "C030"),
        (&door("http", "bearer = { env = \"NONE\" }"), "C005"),
        (
            &door(
                "http",
                "dangerous_no_credentials = true\n[[lab.route]]\nclinic = \"x\"\naccounts = [\"1\"]",
            ),
            "C037",
        ),
    ] {
        assert_eq!(complaints(text).first().map(|it| it.0.as_str()), Some(code), "{text}");
    }
}

/// What is said of a polled feed with these keys over those that are right.
fn poll_complaints(lines: &[&str], without: &[&str]) -> Vec<(String, String)> {
    let (key, host) = poll_key();
    let right = [
        ("address", "\"lab.example:22\"".to_owned()),
        ("user", "\"clinic\"".to_owned()),
        ("host_key", format!("\"{host}\"")),
        ("key", "{ env = \"POLL_KEY\" }".to_owned()),
        ("folder", "\"/out\"".to_owned()),
    ];
    let is_given = |key: &str| lines.iter().any(|line| line.starts_with(&format!("{key} ")));
    let kept = right.iter().filter(|(key, _)| !is_given(key) && !without.contains(key));
    let kept: Vec<String> = kept.map(|(key, value)| format!("{key} = {value}")).collect();
    let text = format!(
        "[[lab]]\nname = \"a\"\nmapping = \"standard\"\n[[lab.feed]]\nname = \"f\"\nkind = \"sftp_poll\"\n[lab.feed.poll]\n{}\n{}\n",
        kept.join("\n"),
        lines.join("\n"),
    );
    match read(&text, &[("POLL_KEY", &key)]) {
        Ok(_) => Vec::new(),
        Err(found) => found.into_iter().map(|it| (it.code.to_string(), it.position)).collect(),
    }
}

#[test]
fn a_polled_feed_is_refused_for_each_thing_that_is_wrong() {
    assert_eq!(poll_complaints(&[], &[]), []);
    let check = |line: &str, code: &str, key: &str| {
        let expected = (code.to_owned(), format!("lab.feed `f` poll.{key}"));
        assert_eq!(poll_complaints(&[line], &[]), [expected], "{line}");
    };
    check("host_key = \"\"", "C045", "host_key");
    check("host_key = \"ssh-ed25519 AAAA\"", "C045", "host_key");
    check("host_key = \"SHA256:short\"", "C045", "host_key");
    check("key = { agent = true, env = \"POLL_KEY\" }", "C046", "key");
    check("key = { env = \"UNSET\" }", "C005", "key");
    check("key = { agent = true }", "C049", "key");
    check("address = \"lab.example\"", "C047", "address");
    check("address = \":22\"", "C047", "address");
    check("user = \"\"", "C047", "user");
    check("folder = \"\"", "C047", "folder");
    check("pattern = \"in/*.hl7\"", "C047", "pattern");
    check("every_ms = 0", "C047", "every_ms");
    check("take = \"marker\"\nmarker = \"\"", "C047", "marker");
    check("after = \"archive\"", "C047", "archive_folder");
    check("after = \"archive\"\narchive_folder = \"/out/\"", "C047", "archive_folder");
    check("file_bytes_max = 1_000_000_000", "C047", "file_bytes_max");
    assert_eq!(poll_complaints(&[], &["host_key"])[0].0, "C045", "not pinned");
    assert_eq!(complaints("[[lab]]\nname = \"a\"\nmapping = \"standard\"\n[[lab.feed]]\nname = \"f\"\nkind = \"sftp_poll\"\n")[0].0, "C048");
}
