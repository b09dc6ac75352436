//! R13 at the doors beside MLLP: poisons as FHIR, JSON, CSV and files hold themselves alone.

#![expect(clippy::disallowed_methods, reason = "the secret of a test's own folder")]

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use haemosync_gateway::outbound::sftp::Credential;
use haemosync_gateway::outbound::sftp::HostKey;
use haemosync_gateway::outbound::sftp::Login;
use haemosync_gateway::outbound::sftp::Server;
use haemosync_gateway::simulator::lab::Sample;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::CLINIC;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::harness::option;
use crate::inbound_http::TOKEN;
use crate::inbound_http::post;
use crate::journeys::sodium;
use crate::poison::State;
use crate::poison::message;
use crate::poison::standing;
use crate::sftp;

/// By each door.
const POISONS: usize = 60;
const GOOD: usize = 10;

/// A door's path and media type.
type Way = (&'static str, &'static str);

const FHIR: Way = ("/fhir", "application/fhir+json");
const JSON: Way = ("/inbound/poison-json", "application/json");
const CSV: Way = ("/inbound/poison-csv", "text/csv; charset=utf-8");

async fn start() -> (TestGateway, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, TOKEN).unwrap();
    let http = |name: &str, kind: &str, mapping: &str| {
        format!(
            "[[lab.feed]]\nname = \"{name}\"\nkind = \"{kind}\"\nmapping = \"{mapping}\"\nbearer = {{ file = {token:?} }}\n"
        )
    };
    let feeds = http("poison-fhir", "fhir", "standard-fhir")
        + &http("poison-json", "http", "json-aggregator")
        + &http("poison-csv", "http", "standard-csv");
    let files = sftp::setup("take = \"rename\"", "");
    let gateway = TestGateway::start_with(Setup { more: feeds + &files.more, ..files }).await;
    (gateway, folder)
}

/// A body that does its worst, each kind in turn. No two are the same.
fn poison(way: Way, number: usize) -> Vec<u8> {
    let bundle = |entries: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"batch","identifier":{{"value":"P{number}"}},"entry":[{entries}]}}"#
        )
    };
    let report = |result: &str| {
        format!(
            r#"{{"resource":{{"resourceType":"DiagnosticReport","status":"final","code":{{"text":"x"}},"identifier":[{{"value":"F{number}"}}],"result":[{result}]}},"request":{{"method":"POST","url":"DiagnosticReport"}}}}"#
        )
    };
    let member = |name: usize, of: usize| {
        format!(
            r#"{{"fullUrl":"urn:uuid:{name}","resource":{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"hasMember":[{{"reference":"urn:uuid:{of}"}}]}},"request":{{"method":"POST","url":"Observation"}}}}"#
        )
    };
    let text = match (way, number % 6) {
        (FHIR, 0) => {
            bundle(&(report(r#"{"reference":"urn:uuid:1"}"#) + "," + &member(1, 2) + "," + &member(2, 1)))
        }
        (FHIR, 1) => bundle(&report(&vec![r#"{"reference":"urn:uuid:nobody"}"#; 3_000].join(","))),
        (FHIR, 2) => bundle(&report("")).replace("\"status\"", "\"status\":\"final\",\"status\""),
        (_, 3) => format!("{}{number}", "[".repeat(100_000)),
        (FHIR, 4) => bundle(&"{},".repeat(2_000)) + "\u{0}",
        (JSON, 0) => {
            format!(r#"{{"vendor_order_id":"P{number}","results":[{}]}}"#, vec!["null"; 20_000].join(","))
        }
        (JSON, 1) => {
            format!(r#"{{"vendor_order_id":{number},"user":[],"results":"none","laboratory_order_id":{{}}}}"#)
        }
        (JSON, 2) => format!(
            r#"{{"vendor_order_id":"P{number}","laboratory_order_id":"F{number}","results":[{{"panel_code":"X","results":[{{"code":"HB","result":"{}","units":"g/L"}}]}}]}}"#,
            "9".repeat(2 << 20)
        ),
        (CSV, 0) => format!("patient,\"result{number}\n1,2,3\n"),
        (CSV, 1) => format!("{}\n{number}\n", "column,".repeat(5_000)),
        (CSV, 2) => format!("a\u{0}b,{number}\n\u{0}"),
        _ => format!("{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":{number}"),
    };
    let mut bytes = text.into_bytes();
    if number % 6 == 5 {
        bytes.extend_from_slice(b"\xff\xfe\xc0\xaf");
    }
    bytes
}

/// Posts all poisons of a door, one after the other; each is answered.
async fn post_poisons(to: SocketAddr, way: Way, poisons: usize) {
    for number in 0..poisons {
        let answered = send(to, way, &poison(way, number)).await;
        assert!(answered < 500, "poison {number} of {}: {answered}", way.0);
    }
}

async fn send(to: SocketAddr, (path, media): Way, body: &[u8]) -> u16 {
    let bearer = format!("Bearer {TOKEN}");
    post(to, path, &[("Authorization", &bearer), ("Content-Type", media)], body).await.status
}

async fn sign_in(to: SocketAddr) -> Server {
    let login = Login {
        address: to.to_string(),
        user: sftp::FEED.to_owned(),
        host_key: HostKey::DangerousAny,
        credential: Credential::Key(Arc::new(sftp::lab_key())),
    };
    Server::connect(&login).await.unwrap()
}

async fn put(server: &Server, name: &str, bytes: &[u8]) {
    let passing = format!("{name}.part");
    server.write(&passing, bytes).await.unwrap();
    server.rename(&passing, name).await.unwrap();
}

async fn put_poisons(to: SocketAddr, poisons: usize) {
    let server = sign_in(to).await;
    for number in 1..=poisons {
        put(&server, &format!("p{number}.hl7"), &crate::poison::poison(number)).await;
    }
    server.leave().await;
}

/// Of one door's good messages, by their filler numbers.
fn good(gateway: &TestGateway, door: &str, number: usize) -> Sample {
    let ordered = crate::harness::Ordered {
        person: gateway.patient("Ottoline", "Marmalade-Jones").1,
        number: String::new(),
    };
    let mut sample = gateway.sample(&format!("GOOD{door}{number:02}"), &ordered, &[sodium("140")]);
    if door == "json" {
        "NA^Sodium^L".clone_into(&mut sample.results[0].code);
    }
    sample
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_poisons_at_every_other_door_hold_themselves_alone() {
    let (gateway, _folder) = start().await;
    let poisons = option("R13_POISONS", POISONS);
    let mut poisoners = JoinSet::new();
    for way in [FHIR, JSON, CSV] {
        poisoners.spawn(post_poisons(gateway.http(), way, poisons));
    }
    poisoners.spawn(put_poisons(gateway.sftp(), poisons));
    let files = sign_in(gateway.sftp()).await;
    for number in 0..GOOD {
        let sample = good(&gateway, "fhir", number);
        assert_eq!(send(gateway.http(), FHIR, &sample.fhir()).await, 200, "Bundle {number}");
        let sample = good(&gateway, "json", number);
        assert_eq!(send(gateway.http(), JSON, &sample.webhook()).await, 202, "body {number}");
        put(&files, &format!("good{number}.hl7"), &good(&gateway, "sftp", number).encode()).await;
    }
    files.leave().await;
    poisoners.join_all().await;
    gateway.count(i64::try_from(4 * poisons + 3 * GOOD).unwrap());
    gateway.wait_until_quiet().await;
    let mut mapped = 0;
    for id in gateway.ids() {
        let stands = message::standing(gateway.store(), id).unwrap().unwrap();
        let kept = message::load(gateway.store(), id, &stands.scope()).unwrap().unwrap();
        if kept.header.control_id.starts_with("GOOD") {
            assert_eq!(standing(&gateway, id), State::Mapped, "{}", kept.header.control_id);
            mapped += 1;
        } else if stands.state != State::Mapped {
            assert!(!gateway.codes(id).is_empty(), "what is held or rejected says why");
        }
    }
    assert_eq!(mapped, 3 * GOOD);
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let page = gateway.get("/api/v1/cases", &clinician).await.done();
    assert!(!page["items"].as_array().unwrap().is_empty(), "the API answers as ever");
    gateway.finish().await;
}
