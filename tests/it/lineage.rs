//! Reports that change their mind, through a whole gateway: interim, final, corrected, withdrawn, late and twice.

mod resends;

use haemosync_gateway::formats::cliniko::html;
use haemosync_gateway::pipeline::records::clinic::Release;
use haemosync_gateway::simulator::lab::Observation;
use haemosync_gateway::simulator::lab::Sample;
use serde_json::Value;
use serde_json::json;

use crate::harness::CLINIC;
use crate::harness::Setup;
use crate::harness::TestGateway;
use crate::harness::User;
use crate::harness::option;
use crate::harness::path_of;
use crate::harness::until;

/// Rounds of the race between an approval and a correction.
const RACES: usize = 6;

pub(crate) fn sodium(value: &str, status: &str) -> Observation {
    let number = Observation::number("2951-2^Sodium^LN", value, "mmol/L", "133-146", "");
    Observation { status: status.to_owned(), ..number }
}

pub(crate) fn potassium(value: &str, status: &str) -> Observation {
    let number = Observation::number("2823-3^Potassium^LN", value, "mmol/L", "3.5-5.3", "");
    Observation { status: status.to_owned(), ..number }
}

/// Another version of a report, written now.
pub(crate) fn version(
    gateway: &TestGateway,
    of: &Sample,
    control_id: &str,
    status: &str,
    results: &[Observation],
) -> Sample {
    // Versions are told apart by their times: a clock that has not moved since would not tell.
    let before = gateway.time();
    while gateway.time() == before {}
    Sample {
        control_id: control_id.to_owned(),
        time: gateway.time(),
        status: status.to_owned(),
        results: results.to_vec(),
        ..of.clone()
    }
}

/// The cases of one filler number, oldest version first, as a clinician sees them.
pub(crate) async fn cases(gateway: &TestGateway, by: &User, of: &Sample) -> Vec<Value> {
    let mut cases = Vec::new();
    for row in gateway.cases(by, "").await {
        if row["filler_number"] == of.filler_number {
            cases.push(gateway.case(by, &row).await);
        }
    }
    cases.sort_by_key(|it| it["version"].as_u64());
    cases
}

/// Name and value of each result of a case, with how it came to stand there.
pub(crate) fn results(case: &Value) -> Vec<String> {
    let panels = case["report"]["panels"].as_array().unwrap().iter();
    panels
        .flat_map(|panel| panel["results"].as_array().unwrap())
        .map(|it| {
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {} {}",
                text(&it["name"]),
                text(&it["value"]),
                text(&it["status"]),
                text(&it["lineage"]["how"])
            )
        })
        .collect()
}

fn states(cases: &[Value]) -> Vec<&str> {
    cases.iter().map(|it| it["state"].as_str().unwrap()).collect()
}

fn note_text(note: &Value) -> String {
    let sections = note["content"]["sections"].as_array().unwrap();
    let questions = sections.iter().flat_map(|section| section["questions"].as_array().unwrap());
    questions.filter_map(|it| it["answer"].as_str()).map(html::to_text).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_whatever_order_versions_come_in_one_case_stands_and_reads_the_same() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    for (number, order) in
        [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1], [0, 2, 1, 3]].iter().enumerate()
    {
        let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
        let first =
            gateway.sample(&format!("{number}0"), &ordered, &[sodium("138", "P"), potassium("4.1", "P")]);
        let first = Sample { status: "P".to_owned(), ..first };
        let id = |version| format!("{number}{version}");
        let versions = [
            first.clone(),
            version(&gateway, &first, &id(1), "F", &[sodium("140", "F")]),
            version(&gateway, &first, &id(2), "C", &[sodium("141", "C")]),
            version(&gateway, &first, &id(3), "F", &[potassium("", "U")]),
        ];
        for at in order {
            gateway.deliver(&versions[*at]).await;
        }
        let cases = cases(&gateway, &clinician, &first).await;
        let standing: Vec<&Value> = cases.iter().filter(|it| it["state"] == "in_review").collect();
        assert_eq!(standing.len(), 1, "order {order:?}: {:?}", states(&cases));
        assert_eq!(
            results(standing[0]),
            ["Potassium 4.1 final promoted", "Sodium 141 corrected carried_over"],
            "order {order:?}"
        );
        assert_eq!(cases.len(), 4, "each version is readable");
        let history = &standing[0]["report"]["panels"][1]["results"][0]["lineage"]["history"];
        assert_eq!(history.as_array().unwrap().last().unwrap()["value"], "141");
        assert_eq!(standing[0]["versions"].as_array().unwrap().len(), 4);
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_an_interim_report_goes_to_the_record_and_not_to_the_patient() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let interim = gateway.sample("1", &ordered, &[sodium("138", "P")]);
    let interim = Sample { status: "P".to_owned(), ..interim };
    gateway.deliver(&interim).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    assert_eq!(shown["report"]["standing"], "interim");
    gateway.approve(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    let (files, notes) = gateway.written();
    assert_eq!((files.len(), notes.len()), (1, 1), "the clinician's document and the note");
    assert!(files[0]["description"].as_str().unwrap().starts_with("Blood test report: INTERIM, may change"));
    assert!(note_text(&notes[0]).contains("preliminary: may change"));

    gateway.deliver(&version(&gateway, &interim, "2", "F", &[sodium("139", "F")])).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    assert_eq!(shown["report"]["standing"], "complete");
    let change = &shown["previous"]["changes"][0];
    assert_eq!((&change["old"], &change["new"]), (&json!("138 mmol/L"), &json!("139 mmol/L")));
    gateway.approve(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    let (files, _) = gateway.written();
    assert_eq!(files.len(), 3);
    assert!(files[1]["description"].as_str().unwrap().contains("updated, supersedes LAB-"), "{}", files[1]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_report_withdrawn_before_it_was_filed_leaves_nothing_to_file() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let first = gateway.sample("1", &ordered, &[sodium("140", "F")]);
    gateway.deliver(&first).await;
    let old = gateway.only_case(&clinician, "in_review").await;
    gateway.deliver(&version(&gateway, &first, "2", "C", &[sodium("140", "W")])).await;

    let cases = cases(&gateway, &clinician, &first).await;
    assert_eq!(states(&cases), ["withdrawn", "withdrawn"]);
    assert_eq!(gateway.approve(&clinician, &old).await.refusal(), (409, "W002".to_owned()));
    assert_eq!(
        (&cases[1]["report"]["standing"], &cases[1]["urgency"]),
        (&json!("withdrawn"), &json!("same_day"))
    );
    assert_eq!(cases[1]["findings"][0]["id"], "lineage.wrong-patient");
    let metrics = gateway.metrics().await;
    assert!(metrics.lines().any(|it| it == "gateway_reports_wrong_patient 1"), "{metrics}");
    assert_eq!(gateway.acts().iter().filter(|(act, _)| act == "report.wrong_patient").count(), 1);
    assert_eq!(gateway.written(), (vec![], vec![]));

    // The laboratory reports anew: that is a version like any other.
    gateway.deliver(&version(&gateway, &first, "3", "F", &[sodium("143", "F")])).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    assert_eq!(shown["previous"]["changes"][0]["old"], "140 mmol/L, withdrawn");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_report_withdrawn_after_it_was_filed_is_filed_as_withdrawn() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let first = gateway.sample("1", &ordered, &[sodium("140", "F"), potassium("4.4", "F")]);
    gateway.deliver(&first).await;
    gateway.approve(&clinician, &gateway.only_case(&clinician, "in_review").await).await.done();
    gateway.wait_until_quiet().await;

    let withdrawn = version(&gateway, &first, "2", "C", &[sodium("", "D"), potassium("", "D")]);
    gateway.deliver(&withdrawn).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    assert_eq!((&shown["report"]["standing"], &shown["urgency"]), (&json!("withdrawn"), &json!("same_day")));
    assert_eq!(shown["previous"]["changes"][0]["old"], "140 mmol/L");
    assert_eq!(shown["previous"]["changes"][0]["new"], "withdrawn");
    gateway.approve(&clinician, &shown).await.done();
    gateway.wait_until_quiet().await;
    let (files, notes) = gateway.written();
    assert_eq!((files.len(), notes.len()), (4, 2));
    for file in &files[2..] {
        let text = file["description"].as_str().unwrap();
        assert!(
            text.contains(": WITHDRAWN by the laboratory") && text.contains("withdrawn, supersedes LAB-"),
            "{text}"
        );
    }
    assert!(
        note_text(&notes[1]).contains("WITHDRAWN by the laboratory: do not use"),
        "{}",
        note_text(&notes[1])
    );
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_correction_across_a_limit_after_an_approval_is_urgent() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Ottoline", "Marmalade-Jones").await;
    let first = gateway.sample("1", &ordered, &[potassium("4.2", "F"), sodium("140", "F")]);
    gateway.deliver(&first).await;
    gateway.approve(&clinician, &gateway.only_case(&clinician, "in_review").await).await.done();
    gateway.wait_until_quiet().await;
    let corrected = version(&gateway, &first, "2", "C", &[potassium("5.6", "C"), sodium("141", "C")]);
    gateway.deliver(&Sample { note: Some("Wrong dilution entered".to_owned()), ..corrected }).await;
    let shown = gateway.only_case(&clinician, "in_review").await;
    let changes = shown["previous"]["changes"].as_array().unwrap();
    assert_eq!((&changes[0]["urgent"], &changes[1]["urgent"]), (&json!(true), &json!(false)));
    assert_eq!(shown["urgency"], "same_day");
    let found = shown["findings"].as_array().unwrap();
    assert!(found.iter().any(|it| it["id"] == "lineage.crossed-a-limit"), "{found:?}");
    let history = &shown["report"]["panels"][0]["results"][0]["lineage"]["history"];
    assert_eq!((&history[0]["value"], &history[1]["value"]), (&json!("4.2"), &json!("5.6")));
    assert_eq!(history[1]["notes"], json!(["Wrong dilution entered"]), "the laboratory's reason");
    assert!(history[0]["sent_at"].as_str() < history[1]["sent_at"].as_str());
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_an_approval_that_races_a_correction_never_files_the_older_version_after_it() {
    let races = option("RACES", RACES);
    let gateway = TestGateway::start_with(Setup { release: Release::Automatic, ..Setup::default() }).await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    for round in 0..races {
        let ordered = gateway.order(&clinician, "Dilip", "Featherstonehaugh").await;
        let first = gateway.sample(&format!("{round}a"), &ordered, &[sodium("140", "F")]);
        gateway.deliver(&first).await;
        let shown = cases(&gateway, &clinician, &first).await.remove(0);
        let corrected = version(&gateway, &first, &format!("{round}b"), "C", &[sodium("141", "C")]).encode();
        let late = async {
            // Somewhere between the first look and the last call.
            tokio::time::sleep(std::time::Duration::from_millis(u64::try_from(round * 97 % 900).unwrap()))
                .await;
            gateway.send(&corrected).await
        };
        let (approved, _) = tokio::join!(gateway.approve(&clinician, &shown), late);
        assert!([200, 409, 412].contains(&approved.status), "{}", approved.text());
        gateway.wait_until_quiet().await;
        let cases = cases(&gateway, &clinician, &first).await;
        assert_eq!(states(&cases), ["superseded", "in_review"]);
    }
    let acts = gateway.acts();
    let ended = acts.iter().enumerate().filter(|(_, (act, _))| act == "case.superseded");
    for (at, (_, case)) in ended {
        for (act, of) in &acts[at..] {
            assert!(
                of != case
                    || !["case.approved", "case.released", "call.registering", "case.filed"]
                        .contains(&act.as_str()),
                "{act} came after a newer version"
            );
        }
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_version_whose_work_was_put_back_does_not_come_before_a_newer_one() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    gateway.lose_patients();
    let first = gateway.sample("1", &ordered, &[sodium("138", "P")]);
    let first = Sample { status: "P".to_owned(), ..first };
    gateway.send(&first.encode()).await;
    until(async || gateway.cases(&clinician, "matching").await.pop()).await;
    gateway.send(&version(&gateway, &first, "2", "F", &[sodium("140", "F")]).encode()).await;
    until(async || (gateway.cases(&clinician, "superseded").await.len() == 1).then_some(())).await;
    gateway.cliniko().clear_faults();
    gateway.wait_until_quiet().await;
    let cases = cases(&gateway, &clinician, &first).await;
    assert_eq!(states(&cases), ["superseded", "in_review"]);
    assert_eq!(results(&cases[1]), ["Sodium 140 final as_sent"]);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_two_values_under_one_clinical_key_hold_the_second_until_a_person_decides() {
    let gateway = TestGateway::start().await;
    let clinician = gateway.sign_in(CLINIC, "clinician").await;
    let ordered = gateway.order(&clinician, "Horatio", "Crumplehorn").await;
    let first = gateway.sample("1", &ordered, &[sodium("140", "F")]);
    gateway.deliver(&first).await;
    let mut other = Sample { control_id: "2".to_owned(), ..first.clone() };
    "150".clone_into(&mut other.results[0].value);
    gateway.deliver(&other).await;
    let held = gateway.only_case(&clinician, "held").await;
    assert_eq!(held["holds"][0]["code"], "P010");
    let standing = gateway.only_case(&clinician, "in_review").await;
    assert_eq!(
        (&standing["version"], results(&standing)),
        (&json!(1), vec!["Sodium 140 final as_sent".to_owned()])
    );

    let patient = held["suggested_patient_id"].clone();
    let path = format!("/api/v1/holds/{}/match", held["id"].as_str().unwrap());
    let body = json!({"patient_id": patient, "reason": "the laboratory confirms the second by telephone"});
    assert_eq!(gateway.post(&path, &clinician, &body).await.done()["state"], "in_review");
    let taken = gateway.only_case(&clinician, "in_review").await;
    assert_eq!((&taken["id"], results(&taken)), (&held["id"], vec!["Sodium 150 final as_sent".to_owned()]));
    assert_eq!(gateway.get(&path_of(&standing), &clinician).await.done()["state"], "superseded");
    gateway.finish().await;
}
