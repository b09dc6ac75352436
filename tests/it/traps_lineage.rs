//! The traps of versions, duplicates and closed orders, each by its number in the list of traps.

use haemosync_gateway::simulator::lab::Sample;
use serde_json::json;

use crate::harness::CLINIC;
use crate::harness::TestGateway;
use crate::lineage::cases;
use crate::lineage::potassium;
use crate::lineage::results;
use crate::lineage::sodium;
use crate::lineage::version;

#[tokio::test(flavor = "multi_thread")]
async fn trap_13_corrected_before_original() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let original = gateway.sample("1", &ordered, &[sodium("140", "F")]);
    let corrected = version(&gateway, &original, "2", "C", &[sodium("141", "C")]);
    gateway.deliver(&corrected).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    gateway.deliver(&original).await;

    let after = gateway.only_case(&clinician, "in_review").await;
    assert_eq!(after["id"], shown["id"], "the older version disturbs nothing");
    assert_eq!(after["content_sha256"], shown["content_sha256"]);
    assert_eq!(results(&after), ["Sodium 141 corrected as_sent"]);
    let late = gateway.only_case(&clinician, "superseded").await;
    assert_eq!(results(&late), ["Sodium 140 final as_sent"], "it is kept and readable");
    assert_eq!(after["versions"].as_array().unwrap().len(), 2);
    gateway.approve(&clinician, &after).await.done();
    gateway.wait_until_quiet().await;
    gateway.only_case(&clinician, "filed").await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_14_a_final_shorter_than_the_preliminary() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let interim = gateway.sample("1", &ordered, &[sodium("139", "P"), potassium("4.4", "F")]);
    let interim = Sample { status: "P".to_owned(), ..interim };
    gateway.deliver(&interim).await;
    gateway.deliver(&version(&gateway, &interim, "2", "F", &[sodium("140", "F")])).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    assert_eq!(results(&shown), ["Sodium 140 final as_sent", "Potassium 4.4 final carried_over"]);
    let carried = &shown["report"]["panels"][1]["results"][0]["lineage"];
    let first = &shown["versions"][0];
    assert_eq!((&carried["from"], &carried["from_sent_at"]), (&first["report"], &first["sent_at"]));
    gateway.approve(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.written().0.len(), 2);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_15_a_result_for_a_kit_that_has_its_results() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    gateway.deliver(&gateway.sample("1", &ordered, &[sodium("140", "F")])).await;
    gateway.only_case(&clinician, "in_review").await;
    gateway.deliver(&gateway.sample("2", &ordered, &[sodium("151", "F")])).await;
    let held = gateway.only_case(&clinician, "held").await;
    assert_eq!((&held["report"]["filler_number"], &held["patient"]), (&json!("26-2"), &json!(null)));
    assert!(["P003", "P005"].contains(&held["holds"][0]["code"].as_str().unwrap()), "{}", held["holds"]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_25_the_same_report_again_under_another_name() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let first = gateway.sample("1", &ordered, &[sodium("140", "F")]);
    gateway.deliver(&first).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    gateway.approve(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    for again in ["2", "3"] {
        gateway.deliver(&Sample { control_id: again.to_owned(), ..first.clone() }).await;
    }
    assert_eq!(cases(&gateway, &clinician, &first).await.len(), 1);
    assert_eq!(gateway.written().0.len(), 2, "nothing is filed again");
    assert_eq!(gateway.acts().iter().filter(|(act, _)| act == "report.repeated").count(), 2);
    let metrics = gateway.metrics().await;
    assert!(metrics.lines().any(|it| it == "gateway_reports_repeated 2"), "{metrics}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_32_an_acknowledgement_that_was_lost() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let message = gateway.sample("1", &ordered, &[sodium("140", "F")]).encode();
    let lost = gateway.send(&message).await;
    gateway.wait_until_quiet().await;
    assert_eq!(gateway.send(&message).await, lost, "the same answer, byte for byte");
    gateway.wait_until_quiet().await;
    gateway.only_case(&clinician, "in_review").await;
    assert_eq!((gateway.kept().len(), gateway.duplicates()), (1, 1));
    gateway.finish().await;
}
