//! A neighbour that does not answer, and a row that cannot be opened: one message waits, and nobody else does.

use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::security::keys::Scope;
use haemosync_gateway::store::Change;
use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Table;
use serde_json::json;

use crate::harness::CLINIC;
use crate::harness::TestGateway;
use crate::harness::until;
use crate::journeys::potassium;
use crate::journeys::sodium;

#[tokio::test(flavor = "multi_thread")]
async fn trap_31_a_critical_result_is_seen_while_cliniko_cannot_be_asked() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Ottoline", "Marmalade-Jones").await;
    gateway.lose_patients();
    gateway.send(&gateway.sample("1", &ordered, &[potassium("7.1", "HH")]).encode()).await;

    let waiting = until(async || gateway.cases(&clinician, "matching").await.pop()).await;
    assert_eq!((&waiting["urgency"], &waiting["filler_number"]), (&json!("emergency"), &json!("26-1")));
    let metrics = gateway.metrics().await;
    assert!(metrics.lines().any(|it| it == "gateway_critical_unseen 1"), "{metrics}");
    let shown = gateway.case(&clinician, &waiting).await;
    assert_eq!(shown["holds"][0]["code"], "P102");
    assert_eq!(shown["report"]["panels"][0]["results"][0]["value"], "7.1");

    gateway.cliniko().clear_faults();
    gateway.wait_until_quiet().await;
    let matched = gateway.only_case(&clinician, "in_review").await;
    assert_eq!((&matched["id"], &matched["version"]), (&waiting["id"], &json!(1)), "one case, taken up");
    assert_eq!(matched["patient"]["matched"]["how"], "automatic");
    assert_eq!(matched["holds"], json!([]));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r05_a_message_that_cannot_be_opened_holds_alone() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let sample = gateway.sample("1", &ordered, &[sodium("140")]);
    // Without a processing id it holds; what holds can be read again.
    let text = String::from_utf8(sample.encode()).unwrap().replace("|P|2.5", "||2.5");
    gateway.send(text.as_bytes()).await;
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.counted(State::Held), 1);

    let (key, _) = gateway.store().scan_plain(&Scan::all(Table::MessageStates)).unwrap().remove(0);
    let mut damage = Change::new();
    damage.put_sealed(Table::Messages, &key, &Scope::Gateway, b"sealed for somebody else".to_vec());
    gateway.store().commit(damage).await.unwrap();
    let id = key.as_slice().try_into().unwrap();
    gateway.replay(id).await;
    gateway.deliver(&gateway.sample("2", &ordered, &[sodium("141")])).await;

    assert_eq!(gateway.codes(id), ["S103"]);
    assert_eq!((gateway.counted(State::Held), gateway.counted(State::Mapped)), (1, 1));
    assert_eq!(gateway.cases(&clinician, "in_review").await[0]["filler_number"], "26-2");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r05_a_report_that_cannot_be_opened_waits_alone() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    gateway.lose_patients();
    gateway.send(&gateway.sample("1", &ordered, &[sodium("140")]).encode()).await;
    until(async || gateway.cases(&clinician, "matching").await.pop()).await;

    let scope = Scope::Clinic(CLINIC.to_owned());
    let (key, intact) = gateway.store().scan_sealed(&Scan::all(Table::Reports), &scope).unwrap().remove(0);
    let mut damage = Change::new();
    damage.put_sealed(Table::Reports, &key, &Scope::Gateway, b"sealed for somebody else".to_vec());
    gateway.store().commit(damage).await.unwrap();
    gateway.cliniko().clear_faults();
    gateway.send(&gateway.sample("2", &ordered, &[sodium("141")]).encode()).await;
    let other = until(async || {
        gateway.cases(&clinician, "").await.into_iter().find(|it| it["filler_number"] == "26-2")
    })
    .await;
    assert_eq!(other["state"], "in_review", "{other}");
    let waiting = gateway.cases(&clinician, "matching").await;
    assert_eq!(waiting.len(), 1, "it is neither decided nor forgotten");
    assert_eq!(waiting[0]["unreadable"], true);

    let mut restored = Change::new();
    restored.put_sealed(Table::Reports, &key, &scope, intact);
    gateway.store().commit(restored).await.unwrap();
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.cases(&clinician, "matching").await.len(), 0, "restored, it goes on by itself");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_key_is_used_from_the_next_request_on() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let replace = async |key: &str| {
        let new = json!({ "name": CLINIC, "cliniko_key": key });
        assert_eq!(gateway.operate("POST", "/clinics/key", &new).await.done(), json!({ "id": CLINIC }));
    };
    replace("bm90LWEta2V5LW9mLWFueWJvZHk-uk1").await;
    let (id, _) = gateway.patient("Ottoline", "Marmalade-Jones");
    let order = json!({ "patient_id": id, "tests": ["Urea and electrolytes"] });
    let refused = gateway.post("/api/v1/orders", &clinician, &order).await;
    assert!(refused.status >= 400, "Cliniko knows no such key: {}", refused.text());
    replace(gateway.cliniko().key("practitioner").unwrap()).await;
    gateway.post("/api/v1/orders", &clinician, &order).await.done();
    assert!(gateway.acts().contains(&("clinic.key_replaced".to_owned(), CLINIC.to_owned())));
    gateway.finish().await;
}
