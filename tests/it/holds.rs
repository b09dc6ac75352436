//! What waits for a person: listing, reading again after a mend, closing with a reason, over the API and the socket.

use std::sync::Arc;
use std::time::Duration;

use haemosync_gateway::clock::FixedClock;
use haemosync_gateway::pipeline::records::MessageId;
use haemosync_gateway::pipeline::records::message;
use haemosync_gateway::pipeline::records::message::State;
use serde_json::Value;
use serde_json::json;

use crate::harness::CLINIC;
use crate::harness::ELSEWHERE;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::harness::User;
use crate::harness::until;
use crate::inbound_http::post;

fn oru(sender: &str, control_id: &str, processing: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|{sender}|HAEMOSYNC|CLINIC|20261122100000+0000||ORU^R01^ORU_R01|{control_id}|{processing}|2.5.1\r\
         PID|1||||Nobodyhere^Zebedee||19610203|M\r\
         OBR|1||F{control_id}|24362-6^Urea and electrolytes^LN|||20261122090000+0000|||||||||||||||20261122100000+0000|||F\r\
         OBX|1|NM|2951-2^Sodium^LN||140|mmol/L|133-146||||F\r"
    )
    .into_bytes()
}

/// A message that is held, because it does not say what it is for.
async fn hold(gateway: &TestGateway, control_id: &str) -> MessageId {
    gateway.send(&oru("LAB|FAC", control_id, "")).await;
    gateway.wait_until_quiet().await;
    let id = *gateway.ids().last().unwrap();
    assert_eq!(message::standing(gateway.store(), id).unwrap().unwrap().state, State::Held);
    id
}

async fn listed(gateway: &TestGateway, by: &User, query: &str) -> Vec<String> {
    let page = gateway.get(&format!("/api/v1/holds{query}"), by).await.done();
    let items = page["items"].as_array().unwrap().iter();
    items.map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

fn acknowledged(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer).into_owned();
    text.split("\rMSA|").nth(1).and_then(|it| it.get(..2)).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_refused_for_our_configuration_is_taken_once_that_is_mended() {
    let mut gateway = TestGateway::start().await;
    let raw = oru("NEWLAB|SOUTH", "1", "P");
    assert_eq!(acknowledged(&gateway.send(&raw).await), "AR");
    let id = gateway.ids()[0];
    assert_eq!(gateway.codes(id), ["H102"]);
    let refused = gateway.operate("POST", &format!("/messages/{id}/replay"), &Value::Null).await;
    assert_eq!(refused.refusal(), (409, "W131".to_owned()));
    assert!(refused.text().contains("H102"), "it says why: {}", refused.text());

    gateway.reconfigure("senders = [\"LAB|FAC\"]", "senders = [\"LAB|FAC\", \"NEWLAB|SOUTH\"]").await;
    gateway.replay(id).await;
    gateway.wait_until_quiet().await;

    let standing = message::standing(gateway.store(), id).unwrap().unwrap();
    assert_eq!((standing.state, standing.feed.as_deref()), (State::Mapped, Some("standard-mllp")));
    let kept = message::load(gateway.store(), id, &standing.scope()).unwrap().unwrap();
    assert_eq!((kept.raw, kept.header.lab.as_deref()), (raw.clone(), Some("standard")));
    assert_eq!(acknowledged(&gateway.send(&raw).await), "AA", "sent again, it is ours already");
    assert_eq!((gateway.counted(State::Mapped), gateway.duplicates()), (1, 1));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarantined_message_that_was_sent_again_since_is_not_read_twice() {
    let mut gateway = TestGateway::start().await;
    let raw = oru("NEWLAB|SOUTH", "1", "P");
    gateway.send(&raw).await;
    gateway.reconfigure("senders = [\"LAB|FAC\"]", "senders = [\"LAB|FAC\", \"NEWLAB|SOUTH\"]").await;
    assert_eq!(acknowledged(&gateway.send(&raw).await), "AA");
    gateway.wait_until_quiet().await;
    let [first, second] = gateway.ids()[..] else { panic!("two are kept") };

    let refused = gateway.operate("POST", &format!("/messages/{first}/replay"), &Value::Null).await;
    assert_eq!(refused.refusal(), (409, "W132".to_owned()));
    assert!(refused.text().contains(&second.to_string()), "it names the other");
    let other = oru("LAB|FAC", "1", "T");
    gateway.send(&other).await;
    let third = *gateway.ids().last().unwrap();
    gateway.reconfigure("kind = \"mllp\"", "kind = \"mllp\"\nprocessing_ids = [\"P\", \"T\"]").await;
    let refused = gateway.operate("POST", &format!("/messages/{third}/replay"), &Value::Null).await;
    assert_eq!(refused.refusal(), (409, "W131".to_owned()), "its control id is taken by now");
    assert!(refused.text().contains("H108"), "{}", refused.text());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_a_discarded_message_waits_for_nobody_and_stays_in_the_books() {
    let gateway = TestGateway::start().await;
    let integrator = gateway.sign_in(CLINIC, "integrator").await;
    let id = hold(&gateway, "1").await;
    let path = format!("/api/v1/holds/{id}/discard");
    let reason = json!({ "reason": "Mrs Nobodyhere's, sent again as 2" });
    assert_eq!(gateway.post(&path, &integrator, &json!({"reason": " "})).await.refusal().1, "W105");
    let done = gateway.post(&path, &integrator, &reason).await.done();
    assert_eq!((&done["state"], done["discarded"]["by"].is_string()), (&json!("held"), true));
    assert_eq!(gateway.post(&path, &integrator, &reason).await.refusal(), (409, "W130".to_owned()));

    assert_eq!(listed(&gateway, &integrator, "").await, Vec::<String>::new());
    assert_eq!(gateway.counted(State::Held), 1);
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("gateway_feed_held{feed=\"standard-mllp\"} 0"), "{metrics}");
    let shown = gateway.operate("GET", &format!("/messages/{id}"), &Value::Null).await.done();
    assert_eq!(shown["discard_reason"], reason["reason"]);
    let audit = shown["audit"].to_string();
    assert!(audit.contains("message.discarded") && !audit.contains("Nobodyhere"), "{audit}");

    gateway.replay(id).await;
    gateway.wait_until_quiet().await;
    assert_eq!(listed(&gateway, &integrator, "").await, [id.to_string()], "taken up again, it waits again");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_mend_replay_and_discard_and_only_their_clinics_messages() {
    let gateway = TestGateway::start().await;
    let id = hold(&gateway, "1").await;
    let body = json!({ "reason": "not ours" });
    let acts = [("replay", Value::Null), ("discard", body)];
    for role in ["clinician", "support"] {
        let user = gateway.sign_in(CLINIC, role).await;
        for (act, body) in &acts {
            let refused = gateway.post(&format!("/api/v1/holds/{id}/{act}"), &user, body).await;
            assert_eq!(refused.refusal(), (403, "W001".to_owned()), "{role} {act}");
        }
    }
    let stranger = gateway.sign_in(ELSEWHERE, "integrator").await;
    for (act, body) in &acts {
        let refused = gateway.post(&format!("/api/v1/holds/{id}/{act}"), &stranger, body).await;
        assert_eq!(refused.refusal(), (404, "W103".to_owned()), "{act}");
    }
    assert_eq!(listed(&gateway, &stranger, "").await, Vec::<String>::new());
    let many = gateway.post("/api/v1/holds/replay", &stranger, &json!({})).await.done();
    assert_eq!((&many["replayed"], &many["next"]), (&json!([]), &Value::Null));
    assert_eq!(gateway.counted(State::Held), 1);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_are_paged_filtered_and_read_again_in_the_order_received() {
    const HELD: usize = 60;
    let gateway = TestGateway::start().await;
    let integrator = gateway.sign_in(CLINIC, "integrator").await;
    for number in 0..HELD {
        gateway.send(&oru("LAB|FAC", &number.to_string(), "")).await;
    }
    gateway.wait_until_quiet().await;
    let received: Vec<String> = gateway.ids().iter().map(ToString::to_string).collect();
    let code = gateway.codes(gateway.ids()[0])[0].clone();

    let (mut seen, mut query) = (Vec::new(), String::new());
    loop {
        let page = gateway.get(&format!("/api/v1/holds?{query}"), &integrator).await.done();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 50);
        seen.extend(items.iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("cursor={next}");
    }
    seen.reverse();
    assert_eq!(seen, received, "each once, newest first");
    assert_eq!(listed(&gateway, &integrator, &format!("?feed=standard-mllp&code={code}")).await.len(), 50);
    for none in ["?feed=other", "?code=D106"] {
        assert_eq!(listed(&gateway, &integrator, none).await, Vec::<String>::new(), "{none}");
    }
    assert_eq!(gateway.get("/api/v1/holds?cursor=strange", &integrator).await.refusal().0, 400);

    let dry =
        gateway.post("/api/v1/holds/replay", &integrator, &json!({"code": code, "dry_run": true})).await;
    assert_eq!(dry.done()["replayed"], json!(received));
    let done = gateway.post("/api/v1/holds/replay", &integrator, &json!({ "code": code })).await.done();
    assert_eq!((&done["replayed"], &done["refused"]), (&json!(received), &json!([])));
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.counted(State::Held), i64::try_from(HELD).unwrap(), "nothing was mended");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_feed_has_its_silence_and_its_backlog() {
    let gateway = TestGateway::start().await;
    let before = gateway.metrics().await;
    assert!(before.contains("gateway_feed_waiting{feed=\"standard-mllp\"} 0"), "{before}");
    assert!(!before.contains("gateway_feed_last_message_seconds{"), "never heard");
    hold(&gateway, "1").await;
    gateway.send(&oru("STRANGER|X", "2", "P")).await;
    let metrics = gateway.metrics().await;
    for line in [
        "gateway_feed_held{feed=\"standard-mllp\"} 1",
        "gateway_feed_rejected{feed=\"\"} 1",
        "gateway_feed_last_message_seconds{feed=\"standard-mllp\"} ",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let feeds = gateway.operate("GET", "/feeds", &Value::Null).await.done();
    let row = feeds.as_array().unwrap().iter().find(|it| it["feed"] == "standard-mllp").unwrap();
    assert_eq!((&row["held"], &row["mapped"], &row["lab"]), (&json!(1), &json!(0), &json!("standard")));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_falls_silent_is_told_of_once_and_when_it_speaks_again() {
    let clock = Arc::new(FixedClock::new("2026-11-22T10:00:00Z".parse().unwrap(), 1));
    let more = "silence_alert_minutes = 60\n".to_owned();
    let mut gateway =
        TestGateway::start_with(Setup { clock: Some(clock.clone()), more, ..Setup::default() }).await;
    let silent = async |gateway: &TestGateway| {
        let metrics = gateway.metrics().await;
        let told =
            metrics.lines().find_map(|it| it.strip_prefix("gateway_feed_silent{feed=\"standard-mllp\"} "));
        told.unwrap().to_owned()
    };
    let alert =
        || TestGateway::has_logged(&["WARN", "a feed has said nothing", "standard-mllp", "minutes=60"]);
    gateway.send(&oru("LAB|FAC", "1", "P")).await;
    clock.advance(Duration::from_secs(60 * 60 - 1));
    assert_eq!(silent(&gateway).await, "0");
    // The lane looks when it starts.
    gateway.restart().await;
    gateway.send(&oru("LAB|FAC", "2", "P")).await;
    assert!(!alert(), "an hour is not yet over");
    clock.advance(Duration::from_hours(1));
    assert_eq!(silent(&gateway).await, "1");
    gateway.restart().await;
    until(async || alert().then_some(())).await;
    gateway.send(&oru("LAB|FAC", "3", "P")).await;
    assert_eq!(silent(&gateway).await, "0");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_for_the_wrong_mapping_is_taken_as_the_mended_one_says() {
    const CSV: &str = "report_number,family,given,birth_date,sex,code,name,value,unit,range,status,collected_at\n\
        L-1,Nobodyhere,Zebedee,1961-02-03,M,2951-2,Sodium,140,mmol/L,133-146,F,2026-03-16T08:30:00\n";
    let more = "[[lab.feed]]\nname = \"files\"\nkind = \"http\"\nmapping = \"json-aggregator\"\n\
                dangerous_no_credentials = true\n";
    let mut gateway = TestGateway::start_with(Setup { more: more.to_owned(), ..Setup::default() }).await;
    let heard =
        post(gateway.http(), "/inbound/files", &[("Content-Type", "text/csv; charset=utf-8")], CSV).await;
    gateway.count(1);
    assert_eq!((heard.status, gateway.counted(State::Rejected)), (400, 1), "{}", heard.text());
    let id = gateway.ids()[0];
    gateway.reconfigure("json-aggregator", "standard-csv").await;
    gateway.replay(id).await;
    gateway.wait_until_quiet().await;
    assert_eq!((gateway.counted(State::Mapped), gateway.codes(id)), (1, Vec::new()));
    gateway.finish().await;
}
