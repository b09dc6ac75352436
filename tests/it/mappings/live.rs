//! Changed files are compiled aside and swapped as a whole; a broken change is shouted and keeps what serves.

use haemosync_gateway::audit::Link;
use haemosync_gateway::pipeline::records::message;
use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Table;
use serde_json::Value;
use serde_json::json;

use crate::harness::TestGateway;
use crate::harness::until;
use crate::mappings::CODES;
use crate::mappings::Folder;
use crate::mappings::UNITS;
use crate::mappings::potassium;

/// The digest by which `inuvi` is read now.
fn digest(gateway: &TestGateway) -> String {
    gateway.pipeline().mappings.now().catalog.lab("inuvi").unwrap().digest().to_owned()
}

async fn reload(gateway: &TestGateway) -> Value {
    gateway.operate("POST", "/mappings/reload", &Value::Null).await.done()
}

async fn active(gateway: &TestGateway) -> Value {
    gateway.operate("GET", "/mappings/active", &Value::Null).await.done()
}

async fn readiness(gateway: &TestGateway) -> (u16, Value) {
    let reply = gateway.face("/health/ready").await;
    (reply.status, reply.json())
}

/// Each swap of the audit chain: who, what, from, to.
fn swaps(gateway: &TestGateway) -> Vec<(String, String, String, String)> {
    let rows = gateway.store().backend().scan(&Scan::all(Table::Audit)).unwrap();
    let entries = rows.iter().map(|(_, row)| Link::from_bytes(row).unwrap());
    let entries = entries.map(|it| serde_json::from_slice::<Value>(&it.line).unwrap());
    let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
    entries
        .filter(|it| it["act"] == "mapping.swapped")
        .map(|it| {
            let detail = &it["detail"];
            (text(&it["actor"]), text(&it["object"]), text(&detail["from"]), text(&detail["to"]))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_swapped_as_a_whole_and_a_broken_one_keeps_what_serves() {
    let folder = Folder::new();
    let gateway = TestGateway::start_with(folder.setup()).await;
    let first = digest(&gateway);
    assert_eq!(reload(&gateway).await["result"], "unchanged");

    folder.append(UNITS, "milli-mol,mmol/L");
    reload(&gateway).await;
    let second = digest(&gateway);
    assert_ne!(second, first);
    let found = swaps(&gateway);
    assert_eq!(found.len(), 1, "one part changed: {found:?}");
    assert_eq!((&found[0].1, &found[0].2, &found[0].3), (&"labs/inuvi".to_owned(), &first, &second));

    // Two files of one change, and one of them is not TOML.
    folder.append(CODES, "KPL,2823-3,Potassium");
    folder.append("labs/inuvi/mapping.toml", "[result");
    let refused = reload(&gateway).await;
    assert_eq!((&refused["result"], &refused["diagnostics"][0]["code"]), (&json!("refused"), &json!("M001")));
    assert_eq!(digest(&gateway), second, "no half of the change serves");
    let (status, ready) = readiness(&gateway).await;
    assert_eq!((status, &ready["status"]), (200, &json!("degraded")), "it takes messages as before");
    let why = ready["why"].as_str().unwrap();
    assert!(why.contains("M001 in mappings/labs/inuvi/mapping.toml:"), "{why}");
    assert!(gateway.metrics().await.contains("\ngateway_mapping_reload_failed 1\n"));
    assert!(TestGateway::has_logged(&[
        "ERROR",
        "changed mappings cannot serve",
        "M001",
        "inuvi/mapping.toml"
    ]));
    let told = active(&gateway).await;
    assert_eq!(
        (&told["disk"]["differs"], &told["failed"]["diagnostics"][0]["code"]),
        (&json!(true), &json!("M001"))
    );
    assert_eq!(told["disk"]["files"], json!([CODES, "labs/inuvi/mapping.toml"]));

    folder.write("labs/inuvi/mapping.toml", &folder.read("labs/inuvi/mapping.toml").replace("[result\n", ""));
    reload(&gateway).await;
    assert_eq!(readiness(&gateway).await, (200, json!({ "status": "ready" })));
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("\ngateway_mapping_reload_failed 0\n"));
    assert!(metrics.contains("\ngateway_mapping_loaded_timestamp_seconds "));
    assert_eq!(active(&gateway).await["disk"]["differs"], false);
    assert_eq!(swaps(&gateway).len(), 2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_without_anybody_asking() {
    let folder = Folder::new();
    let gateway = TestGateway::start_with(folder.setup()).await;
    let first = digest(&gateway);
    folder.append(UNITS, "milli-mol,mmol/L");
    until(async || (digest(&gateway) != first).then_some(())).await;
    let found = swaps(&gateway);
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("gateway", "labs/inuvi"));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_does_not_lose_its_mapping() {
    let folder = Folder::new();
    let gateway = TestGateway::start_with(folder.setup()).await;
    let first = digest(&gateway);
    std::fs::remove_dir_all(folder.path("labs/inuvi")).unwrap();
    let refused = reload(&gateway).await;
    assert_eq!((&refused["result"], &refused["diagnostics"][0]["code"]), (&json!("refused"), &json!("M212")));
    assert_eq!(digest(&gateway), first);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_says_which_mapping_read_it() {
    let folder = Folder::new();
    let mut gateway = TestGateway::start_with(folder.setup()).await;
    let integrator = gateway.sign_in(crate::harness::CLINIC, "integrator").await;
    let first = digest(&gateway);
    gateway.send(&potassium("1", "K", "milli-mol")).await;
    gateway.wait_until_quiet().await;
    let id = gateway.ids()[0];
    let standing = message::standing(gateway.store(), id).unwrap().unwrap();
    assert_eq!(
        (standing.state, standing.mapping),
        (State::Held, Some(first.clone())),
        "held, and read all the same"
    );
    folder.append(UNITS, "milli-mol,mmol/L");
    reload(&gateway).await;
    gateway.reconfigure("clinics = [\"test\", \"elsewhere\"]", "clinics = [\"test\"]").await;
    gateway.replay(id).await;
    gateway.wait_until_quiet().await;
    let second = digest(&gateway);
    let shown = gateway.operate("GET", &format!("/messages/{id}"), &Value::Null).await.done();
    assert_eq!((&shown["state"], &shown["mapping"]), (&json!("mapped"), &json!(second)));
    let shown = gateway.get(&format!("/api/v1/messages/{id}"), &integrator).await.done();
    assert_eq!(shown["mapping"], json!(second));
    let clinician = gateway.sign_in(crate::harness::CLINIC, "clinician").await;
    let cases = gateway.cases(&clinician, "").await;
    assert_eq!(gateway.case(&clinician, &cases[0]).await["report"]["mapping"], json!(second));
    gateway.finish().await;
}
