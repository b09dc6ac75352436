//! What Cliniko can do between the match and the last write.

use haemosync_gateway::pipeline::records::clinic::Release;
use haemosync_gateway::simulator::cliniko::FaultRule;
use serde_json::Value;
use serde_json::json;

use crate::harness::CLINIC;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::harness::User;
use crate::journeys::sodium;

/// A case of Lysander Pumphrey-Singh's that is approved and not yet released.
async fn approved(gateway: &TestGateway, clinician: &User) -> Value {
    let ordered = gateway.order(clinician, "Lysander", "Pumphrey-Singh").await;
    gateway.deliver(&gateway.sample("1", &ordered, &[sodium("140")])).await;
    let shown = gateway.only_case(clinician, "in_review").await;
    gateway.approve(clinician, &shown).await.done();
    shown
}

fn fault(matching: &Value, fault: &str) -> FaultRule {
    serde_json::from_value(json!({"match": matching, "do": fault})).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_patient_who_was_archived_merged_or_renamed_meanwhile_gets_nothing() {
    for change in ["archive-patient", "merge-patient", "rename-patient"] {
        let gateway = TestGateway::start_with(Setup { release: Release::Manual, ..Setup::default() }).await;
        let clinician = gateway.sign_in(CLINIC, "clinician").await;
        let shown = approved(&gateway, &clinician).await;
        let (id, _) = gateway.patient("Lysander", "Pumphrey-Singh");
        gateway
            .cliniko()
            .add_fault(fault(&json!({"method": "GET", "path": format!("/patients/{id}")}), change));
        gateway.release(&clinician, &shown).await.done();
        gateway.wait_until_quiet().await;

        let held = gateway.only_case(&clinician, "held").await;
        assert_eq!(held["holds"][0]["code"], "D106", "{change}");
        assert_eq!(gateway.written(), (vec![], vec![]), "{change}");
        let holds = gateway.get("/api/v1/holds", &clinician).await.done();
        assert_eq!(holds["items"][0]["codes"], json!(["D106"]), "{change}");
        gateway.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_write_notes_files_the_documents_and_holds_the_note() {
    let setup = Setup { release: Release::Manual, key_of: "administrator", ..Setup::default() };
    let gateway = TestGateway::start_with(setup).await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let shown = approved(&gateway, &clinician).await;
    gateway.release(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;

    let held = gateway.only_case(&clinician, "held").await;
    let reason = &held["holds"][0];
    assert_eq!(reason["code"], "D101");
    assert!(reason.to_string().contains("D003"), "it names the answer that explains it: {reason}");
    let phases: Vec<&Value> = held["calls"].as_array().unwrap().iter().map(|call| &call["phase"]).collect();
    assert_eq!(phases, ["confirmed", "confirmed", "planned"]);
    let (files, notes) = gateway.written();
    assert_eq!((files.len(), notes.len()), (2, 0));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_answers_that_are_lost_after_the_effect_double_nothing() {
    let fast = "[cliniko.recovery]\nrequest_life_ms = 3000\nsettle_ms = 2000\ndangerous_fast = true\n";
    let setup = Setup { release: Release::Manual, more: fast.to_owned(), ..Setup::default() };
    let gateway = TestGateway::start_with(setup).await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let shown = approved(&gateway, &clinician).await;
    let posting = |path: &str| json!({"method": "POST", "path": path, "nth": 1});
    gateway.cliniko().add_fault(fault(&posting("/patient_attachments"), "effect-then-500"));
    gateway.cliniko().add_fault(fault(&posting("/treatment_notes"), "reset"));
    gateway.release(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;

    gateway.only_case(&clinician, "filed").await;
    let (files, notes) = gateway.written();
    assert_eq!((files.len(), notes.len()), (2, 1));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_held_release_is_matched_again_by_hand_while_nothing_has_left() {
    let gateway = TestGateway::start_with(Setup { release: Release::Manual, ..Setup::default() }).await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let shown = approved(&gateway, &clinician).await;
    let (id, _) = gateway.patient("Lysander", "Pumphrey-Singh");
    let path = format!("/patients/{id}");
    gateway.cliniko().add_fault(fault(&json!({"method": "GET", "path": path}), "archive-patient"));
    gateway.release(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    let held = gateway.only_case(&clinician, "held").await;

    let (other, _) = gateway.patient("Ottoline", "Marmalade-Jones");
    let body = json!({"patient_id": other, "reason": "the record was entered twice"});
    let path = format!("/api/v1/holds/{}/match", held["id"].as_str().unwrap());
    assert_eq!(gateway.post(&path, &clinician, &body).await.done()["state"], "in_review");
    let again = gateway.only_case(&clinician, "in_review").await;
    assert_eq!((&again["approval"], &again["calls"]), (&Value::Null, &json!([])), "it must be approved anew");
    assert_ne!(again["content_sha256"], shown["content_sha256"]);
    gateway.approve(&clinician, &again).await.done();
    gateway.release(&clinician, &again).await.done();
    gateway.wait_until_quiet().await;

    gateway.only_case(&clinician, "filed").await;
    let (files, notes) = gateway.written();
    assert_eq!((files.len(), notes.len()), (2, 1));
    assert!(files.iter().all(|file| file.to_string().contains(&other)), "on the other's record alone");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_release_of_which_something_has_left_is_not_matched_again() {
    let setup = Setup { release: Release::Manual, key_of: "administrator", ..Setup::default() };
    let gateway = TestGateway::start_with(setup).await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let shown = approved(&gateway, &clinician).await;
    gateway.release(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    let held = gateway.only_case(&clinician, "held").await;

    let (other, _) = gateway.patient("Ottoline", "Marmalade-Jones");
    let body = json!({"patient_id": other, "reason": "a mistake"});
    let path = format!("/api/v1/holds/{}/match", held["id"].as_str().unwrap());
    assert_eq!(gateway.post(&path, &clinician, &body).await.refusal(), (409, "W002".to_owned()));
    assert_eq!(gateway.only_case(&clinician, "held").await["calls"], held["calls"]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_cut_short_is_asked_for_again() {
    let gateway = TestGateway::start_with(Setup { release: Release::Manual, ..Setup::default() }).await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let shown = approved(&gateway, &clinician).await;
    let reading = json!({"method": "GET", "path": "/patient_attachments", "nth": 1});
    gateway.cliniko().add_fault(fault(&reading, "truncated-json"));
    gateway.release(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;

    gateway.only_case(&clinician, "filed").await;
    let (files, notes) = gateway.written();
    assert_eq!((files.len(), notes.len()), (2, 1));
    gateway.finish().await;
}
