//! A held message is read again with the mapping of now, or with the one that read it, as the store remembers it.

use haemosync_gateway::pipeline::records::MessageId;
use haemosync_gateway::pipeline::records::message;
use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::pipeline::records::report;
use haemosync_gateway::store::Change;
use haemosync_gateway::store::Table;
use serde_json::Value;
use serde_json::json;

use crate::harness::TestGateway;
use crate::mappings::CODES;
use crate::mappings::Folder;
use crate::mappings::potassium;

/// Where a message stands, which mapping read it, and the name of its first result.
fn reading(gateway: &TestGateway, id: MessageId) -> (State, String, String) {
    let standing = message::standing(gateway.store(), id).unwrap().unwrap();
    let reports = report::of_message(gateway.store(), id, &standing).unwrap();
    let (_, _, first) = &reports[0];
    let name = first.results().next().unwrap().code.codings[0].display.clone();
    (standing.state, standing.mapping.unwrap(), name.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn then_and_now_read_the_same_bytes_differently() {
    let folder = Folder::new();
    let mut gateway = TestGateway::start_with(folder.setup()).await;
    for control_id in ["1", "2", "3"] {
        // Held because nobody knows which of two clinics it is for; the mapping has read it.
        gateway.send(&potassium(control_id, "K", "mmol/L")).await;
    }
    gateway.wait_until_quiet().await;
    let [first, second, third] = gateway.ids()[..] else { panic!("three are kept") };
    let then = message::standing(gateway.store(), first).unwrap().unwrap().mapping.unwrap();

    folder.write(CODES, &folder.read(CODES).replace("K,2823-3,Potassium", "K,2823-3,Potassium (plasma)"));
    gateway.reconfigure("clinics = [\"test\", \"elsewhere\"]", "clinics = [\"test\"]").await;
    let now = gateway.pipeline().mappings.now().catalog.lab("inuvi").unwrap().digest().to_owned();
    assert_ne!(now, then);
    gateway.operate("POST", &format!("/messages/{first}/replay?mapping=then"), &Value::Null).await.done();
    gateway.operate("POST", &format!("/messages/{second}/replay?mapping=now"), &Value::Null).await.done();
    let integrator = gateway.sign_in(crate::harness::CLINIC, "integrator").await;
    let path = format!("/api/v1/holds/{third}/replay?mapping=then");
    gateway.post(&path, &integrator, &Value::Null).await.done();
    gateway.wait_until_quiet().await;
    assert_eq!(reading(&gateway, first), (State::Mapped, then.clone(), "Potassium".to_owned()));
    assert_eq!(reading(&gateway, second), (State::Mapped, now, "Potassium (plasma)".to_owned()));
    assert_eq!(reading(&gateway, third).1, then);
    gateway.finish().await;
}

/// What was mapped has its case; a further reading that says the same has none, and one that says another value is put
/// before a person beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_message_is_read_again_beside_itself_and_never_over_it() {
    let folder = Folder::new();
    let mut gateway = TestGateway::start_with(folder.setup()).await;
    gateway.reconfigure("clinics = [\"test\", \"elsewhere\"]", "clinics = [\"test\"]").await;
    let clinician = gateway.sign_in(crate::harness::CLINIC, "clinician").await;
    gateway.send(&potassium("1", "K", "mmol/L")).await;
    gateway.wait_until_quiet().await;
    let [first] = gateway.ids()[..] else { panic!("one is kept") };
    let report = reading(&gateway, first);
    assert_eq!((report.0, gateway.cases(&clinician, "").await.len()), (State::Mapped, 1));

    let path = format!("/messages/{first}/replay");
    let tried = gateway.operate("POST", &format!("{path}?dry_run=true"), &Value::Null).await.done();
    assert_eq!(tried, json!({ "id": first, "state": "waiting" }), "nothing is made of a dry run");
    assert_eq!(gateway.ids(), [first]);

    let done = gateway.operate("POST", &path, &Value::Null).await.done();
    gateway.wait_until_quiet().await;
    let [_, second] = gateway.ids()[..] else { panic!("a further message is kept") };
    assert_eq!(done["read_as"], json!(second));
    assert_eq!(reading(&gateway, second), report);
    let shown = gateway.operate("GET", &format!("/messages/{second}"), &Value::Null).await.done();
    assert_eq!((&shown["read_again"], &shown["ack"]), (&json!(first), &Value::Null), "{shown}");
    assert_eq!(gateway.store().counter(report::REPEATS).unwrap(), 1);
    assert_eq!(gateway.cases(&clinician, "").await.len(), 1, "it says what is known");

    folder.write(CODES, &folder.read(CODES).replace("K,2823-3,Potassium", "K,2951-2,Sodium"));
    gateway.restart().await;
    gateway.operate("POST", &path, &Value::Null).await.done();
    gateway.wait_until_quiet().await;
    let third = gateway.ids()[2];
    assert_eq!(reading(&gateway, third).2, "Sodium");
    assert_eq!(reading(&gateway, first), report, "what was read first stands");
    assert_eq!(gateway.cases(&clinician, "").await.len(), 2, "another reading is a person's to judge");
    // The same bytes from the laboratory are still those of the first.
    let again = String::from_utf8(gateway.send(&potassium("1", "K", "mmol/L")).await).unwrap();
    assert!(again.contains("\rMSA|AA|1"), "{again}");
    assert_eq!(gateway.ids().len(), 3);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_remembered_is_not_replaced_by_what_is() {
    let folder = Folder::new();
    let gateway = TestGateway::start_with(folder.setup()).await;
    gateway.send(&potassium("1", "K", "mmol/L")).await;
    gateway.wait_until_quiet().await;
    let id = gateway.ids()[0];
    let digest = message::standing(gateway.store(), id).unwrap().unwrap().mapping.unwrap();
    let mut change = Change::new();
    change.delete(Table::Mappings, digest.as_bytes());
    gateway.store().commit(change).await.unwrap();
    let path = format!("/messages/{id}/replay?mapping=then");
    for path in [path.clone(), format!("{path}&dry_run=true")] {
        let refused = gateway.operate("POST", &path, &Value::Null).await;
        assert_eq!(refused.refusal(), (409, "M210".to_owned()));
        assert!(refused.text().contains(&digest), "{}", refused.text());
    }
    assert_eq!(message::standing(gateway.store(), id).unwrap().unwrap().state, State::Held);
    let unread = gateway.operate("POST", &path.replace("then", "sometime"), &Value::Null).await;
    assert_eq!(unread.status, 400, "{:?}", json!(unread.text()));
    gateway.finish().await;
}
