//! R14: idle and slow connections cost little and keep nobody out, and a large document little more than itself.
//!
//! `ABUSE_IDLE` and `ABUSE_SLOW` say how many there are (2,000 and 200 without them; the promise speaks of 10,000 and
//! 1,000, for which the test and the gateway each need as many file handles).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use haemosync_gateway::simulator::cliniko;
use haemosync_gateway::simulator::lab::Lab;
use haemosync_gateway::simulator::lab::Observation;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::crash::laboratory::sample;
use crate::crash::line::By;
use crate::crash::line::Line;
use crate::crash::process::Home;
use crate::crash::process::SENDER;
use crate::harness::PATIENCE;
use crate::harness::option;
use crate::harness::until;

const RESIDENT_MAX: u64 = 256 << 20;
/// Messages of the good sender while the others are there.
const GOOD: usize = 100;

fn message(control_id: usize) -> Vec<u8> {
    format!(
        "MSH|^~\\&|{SENDER}|HAEMOSYNC|CLINIC|20261122100000+0000||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r\
         PID|1||||Nobodyhere^Zebedee||19610203|M\r\
         OBR|1||F{control_id}|24362-6^Urea and electrolytes^LN|||20261122090000+0000|||||||||||||||20261122100000+0000|||F\r\
         OBX|1|NM|2951-2^Sodium^LN||140|mmol/L|133-146||||F\r"
    )
    .into_bytes()
}

async fn connect(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        opened.push(TcpStream::connect(address).await.unwrap());
    }
    opened
}

/// Sends the good sender's messages on one connection; each is answered.
async fn good_sender(address: SocketAddr, from: usize) {
    let mut lab = Lab::connect(address).await.unwrap();
    for control_id in from..from + GOOD {
        let answer = tokio::time::timeout(PATIENCE, lab.send(&message(control_id))).await;
        let answer = answer.expect("the good sender is answered").unwrap();
        assert!(String::from_utf8_lossy(&answer).contains("\rMSA|AA|"), "message {control_id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_idle_and_slow_connections_leave_a_good_sender_its_answers_and_memory_bounded() {
    let (idle, slow) = (option("ABUSE_IDLE", 2_000), option("ABUSE_SLOW", 200));
    let cliniko = cliniko::start(cliniko::Config::default()).await.unwrap();
    let home = Home::furnish(&cliniko).await;
    let mut life = home.spawn();
    let (doors, _) = life.ready().await.unwrap_or_else(|why| panic!("{why}: {}", home.log()));

    let silent = connect(doors.mllp, idle).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut drips = JoinSet::new();
    for stream in connect(doors.mllp, slow).await {
        let is_over = Arc::clone(&is_over);
        drips.spawn(drip(stream, is_over));
    }
    good_sender(doors.mllp, 0).await;
    let resident = life.resident_peak();
    assert!(resident < RESIDENT_MAX, "{} MB with {idle} idle and {slow} slow", resident >> 20);
    is_over.store(true, Ordering::Relaxed);
    while drips.join_next().await.is_some() {}
    drop(silent);
    life.kill().await;
}

/// A frame that comes a byte a second and never ends.
async fn drip(mut stream: TcpStream, is_over: Arc<AtomicBool>) {
    for byte in b"\x0b".iter().chain(message(0).iter().cycle()) {
        if is_over.load(Ordering::Relaxed) || stream.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_when_every_place_is_taken_a_newcomer_is_served_and_the_silent_lose_theirs() {
    const PLACES: usize = 50;
    let cliniko = cliniko::start(cliniko::Config::default()).await.unwrap();
    let home = Home::furnish(&cliniko).await;
    let mut life = home.spawn_with(&[("GATEWAY_INBOUND__MLLP__CONNECTIONS_MAX", "50")]);
    let (doors, _) = life.ready().await.unwrap_or_else(|why| panic!("{why}: {}", home.log()));

    let silent = connect(doors.mllp, 3 * PLACES).await;
    good_sender(doors.mllp, 0).await;
    good_sender(doors.mllp, GOOD).await;
    drop(silent);
    life.kill().await;
}

const DOCUMENT_BYTES: usize = 20 << 20;

/// A message with one document, as this door takes it.
fn with_document(by: By, number: usize, document_bytes: usize) -> Vec<u8> {
    let mut sample = sample("R14", number, None);
    let mut document = b"%PDF-1.7\n".to_vec();
    document.resize(document_bytes, b'%');
    document.extend_from_slice(b"\n%%EOF\n");
    let data = STANDARD.encode(document);
    if by == By::Fhir {
        let mut bundle: Value = serde_json::from_slice(&sample.fhir()).unwrap();
        let entries = bundle["entry"].as_array_mut().unwrap();
        let report =
            entries.iter_mut().find(|it| it["resource"]["resourceType"] == "DiagnosticReport").unwrap();
        report["resource"]["presentedForm"] = json!([{ "contentType": "application/pdf", "data": data }]);
        return serde_json::to_vec(&bundle).unwrap();
    }
    let pdf = Observation::number("11502-2^Laboratory report^LN", "", "", "", "");
    sample.results.push(Observation {
        kind: "ED".to_owned(),
        value: format!("^AP^PDF^Base64^{data}"),
        ..pdf
    });
    by.encode(&sample)
}

/// Waits until so many messages are mapped.
async fn mapped(home: &Home, count: usize) {
    until(async || {
        let listed = home.ask(&["message", "list", "--state", "mapped"]).await;
        (listed.lines().count() >= count).then_some(())
    })
    .await;
}

async fn a_document_costs_at_most(by: By, percent: u64) {
    let cliniko = cliniko::start(cliniko::Config::default()).await.unwrap();
    let home = Home::furnish(&cliniko).await;
    let mut life = home.spawn();
    let (doors, _) = life.ready().await.unwrap_or_else(|why| panic!("{why}: {}", home.log()));
    let mut door = Line::open(by, doors).await.unwrap();
    // The first makes room for what every message needs, and fills the store's cache of pages.
    for number in 0..4 {
        door.send(&format!("small-{number}"), &with_document(by, number, 4 << 20)).await.unwrap();
    }
    mapped(&home, 4).await;

    let message = with_document(by, 4, DOCUMENT_BYTES);
    let before = life.resident_from_here();
    door.send("large", &message).await.unwrap();
    mapped(&home, 5).await;
    let cost = life.resident_peak().saturating_sub(before);
    let times_hundred = cost * 100 / message.len() as u64;
    println!("{by:?}: {} MB for a message of {} MB, {times_hundred} %", cost >> 20, message.len() >> 20);
    assert!(times_hundred <= percent, "{by:?}: {times_hundred} % of the message");
    life.kill().await;
}

// In hundredths of the message's length. By MLLP and HTTP 158 to 185 were measured, by SFTP 161 to 225, and by FHIR, whose
// tree stands beside its bytes for a moment, 238 to 380: how much of what was freed the allocator keeps is chance, so
// there is room above each.

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_large_document_by_mllp_costs_a_bounded_multiple_of_its_message() {
    a_document_costs_at_most(By::Mllp, 225).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_large_document_by_http_costs_a_bounded_multiple_of_its_message() {
    a_document_costs_at_most(By::Http, 225).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_large_document_by_sftp_costs_a_bounded_multiple_of_its_message() {
    a_document_costs_at_most(By::Sftp, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_large_document_by_fhir_costs_a_bounded_multiple_of_its_message() {
    a_document_costs_at_most(By::Fhir, 500).await;
}
