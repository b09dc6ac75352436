//! The workflow API over a real socket: who may do what, what an approval signs, and how refusals read.

mod gateway;

use haemosync_gateway::clinical::workflow::State;
use haemosync_gateway::pipeline::intake::Intake;
use haemosync_gateway::pipeline::records::MessageId;
use haemosync_gateway::pipeline::records::job;
use haemosync_gateway::pipeline::sha256_hex;
use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Table;
use serde_json::Value;
use serde_json::json;

use self::gateway::BODY_BYTES_MAX;
use self::gateway::Gateway;
use self::gateway::NewCase;
use self::gateway::PASSWORD;
use self::gateway::SECRETS;

const STRANGER: &str = "01JH0000000000000000000000";
const PATIENT: &str = "1203948571203948576";
const ARCHIVED: &str = "1203948571203998576";

/// Every route on a case, with a body it takes.
fn case_routes(id: &str) -> Vec<(&'static str, String, Value)> {
    let at = |rest: &str| format!("/api/v1/cases/{id}{rest}");
    vec![
        ("GET", at("/documents/clinician.pdf"), Value::Null),
        ("GET", at("/documents/patient.pdf"), Value::Null),
        ("PATCH", at("/text"), json!({"clinician_text": "words"})),
        ("POST", at("/notes"), json!({"text": "words"})),
        ("POST", at("/approve"), json!({"version": 1, "content_sha256": "0".repeat(64)})),
        ("POST", at("/reject"), json!({"reason": "words"})),
        ("POST", at("/release"), Value::Null),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_only_exactly_what_was_shown_is_approved_and_only_those_bytes_are_the_documents() {
    let gateway = Gateway::start().await;
    let token = gateway.sign_in("automatic", "clinician").await;
    let id = gateway.put("automatic", NewCase::default()).await;
    let approve = |version: u32, hash: Value| {
        let (gateway, token) = (&gateway, &token);
        async move {
            let body = json!({"version": version, "content_sha256": hash});
            gateway.post(&format!("/api/v1/cases/{id}/approve"), token, &body).await
        }
    };
    let shown = gateway.case(&token, id).await;
    assert_eq!((&shown["version"], &shown["state"]), (&json!(1), &json!("in_review")));
    assert_eq!(shown["report"]["panels"][0]["results"][0]["value"], "7.77");
    assert_eq!(
        shown["content_sha256"],
        gateway.case(&token, id).await["content_sha256"],
        "a look changes nothing"
    );

    assert_eq!(approve(2, shown["content_sha256"].clone()).await.refusal(), (409, "W108".to_owned()));
    assert_eq!(approve(1, json!("0".repeat(64))).await.refusal(), (412, "W003".to_owned()));
    assert_eq!(approve(1, json!("short")).await.refusal(), (422, "W105".to_owned()));
    let patch = json!({"patient_text": "We will talk about your potassium.", "contact_confirmed": true});
    assert_eq!(gateway.send("PATCH", &format!("/api/v1/cases/{id}/text"), &token, &patch).await.status, 200);
    assert_eq!(approve(1, shown["content_sha256"].clone()).await.refusal(), (412, "W003".to_owned()));
    assert_eq!(gateway.state(id), State::InReview);

    let shown = gateway.case(&token, id).await;
    let approved = approve(1, shown["content_sha256"].clone()).await;
    assert_eq!((approved.status, &approved.json()["state"]), (200, &json!("releasing")), "{approved:?}");
    assert_eq!(approve(1, shown["content_sha256"].clone()).await.refusal(), (409, "W002".to_owned()));
    let jobs = job::first(&gateway.pipeline.store, job::Kind::Deliver, 9).unwrap();
    assert_eq!(
        jobs.iter().map(|it| (it.subject, it.body.clinic.clone())).collect::<Vec<_>>(),
        [(id.0, Some("automatic".to_owned()))]
    );

    let after = gateway.case(&token, id).await;
    assert_eq!(after["content_sha256"], shown["content_sha256"]);
    for kind in ["clinician", "patient"] {
        let pdf = gateway.get(&format!("/api/v1/cases/{id}/documents/{kind}.pdf"), &token).await;
        assert_eq!(pdf.header("content-type"), Some("application/pdf"));
        assert!(pdf.body.starts_with(b"%PDF-"));
        assert_eq!(after["approval"][format!("{kind}_pdf_sha256")], sha256_hex(&pdf.body));
    }
    let acts = gateway.acts();
    let (_, entry) = acts.iter().find(|(act, _)| act == "case.approved").unwrap();
    for (detail, expected) in
        [("content", &shown["content_sha256"]), ("mapping", &json!("d1")), ("knowledge", &json!("k1"))]
    {
        assert_eq!(&entry["detail"][detail], expected);
    }
    assert_eq!(acts.iter().filter(|(act, _)| act == "case.released").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_of_two_approvals_at_once_one_holds() {
    let gateway = Gateway::start().await;
    let token = gateway.sign_in("manual", "clinician").await;
    let id = gateway.put("manual", NewCase::default()).await;
    let shown = gateway.case(&token, id).await;
    let body = json!({"version": 1, "content_sha256": shown["content_sha256"]});
    let path = format!("/api/v1/cases/{id}/approve");

    let (one, other) = tokio::join!(gateway.post(&path, &token, &body), gateway.post(&path, &token, &body));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert_eq!(gateway.acts().iter().filter(|(act, _)| act == "case.approved").count(), 1);

    assert_eq!(gateway.state(id), State::Approved);
    assert!(
        job::first(&gateway.pipeline.store, job::Kind::Deliver, 9).unwrap().is_empty(),
        "the clinic releases by hand"
    );
    let release = format!("/api/v1/cases/{id}/release");
    assert_eq!(gateway.post(&release, &token, &Value::Null).await.json()["state"], "releasing");
    assert_eq!(gateway.post(&release, &token, &Value::Null).await.refusal(), (409, "W002".to_owned()));
    assert_eq!(job::first(&gateway.pipeline.store, job::Kind::Deliver, 9).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_roles_and_clinics_see_and_do_only_what_is_theirs() {
    let gateway = Gateway::start().await;
    let id = gateway.put("automatic", NewCase { urgency: "emergency", ..NewCase::default() }).await;
    let id = id.to_string();
    for role in ["administrator", "integrator", "support"] {
        let token = gateway.sign_in("automatic", role).await;
        for (method, path, body) in case_routes(&id) {
            let reply = gateway.send(method, &path, &token, &body).await;
            assert_eq!(reply.refusal(), (403, "W001".to_owned()), "{role} {method} {path}");
        }
        for path in [format!("/api/v1/cases/{id}"), "/api/v1/cases".to_owned(), "/api/v1/holds".to_owned()] {
            let reply = gateway.get(&path, &token).await;
            assert_eq!(reply.status, 200, "{role} {path}");
            for secret in SECRETS {
                assert!(!reply.text().contains(secret), "{role} reads `{secret}` at {path}");
            }
        }
    }
    let refused = gateway.acts().iter().filter(|(act, _)| act == "access.refused").count();
    assert_eq!(refused, 3 * case_routes(&id).len(), "each attempt is in the audit chain");

    let foreign = gateway.sign_in("manual", "clinician").await;
    let mut routes = case_routes(&id);
    routes.push(("GET", format!("/api/v1/cases/{id}"), Value::Null));
    routes.push((
        "POST",
        format!("/api/v1/holds/{id}/match"),
        json!({"patient_id": PATIENT, "reason": "words"}),
    ));
    for (method, path, body) in routes {
        assert_eq!(
            gateway.send(method, &path, "", &body).await.refusal(),
            (401, "W101".to_owned()),
            "{path}"
        );
        let theirs = gateway.send(method, &path, &foreign, &body).await;
        let nobodys = gateway.send(method, &path.replace(&id, STRANGER), &foreign, &body).await;
        assert_eq!(theirs.refusal(), (404, "W103".to_owned()), "{method} {path}");
        assert_eq!(theirs.text(), nobodys.text(), "absent and foreign read the same");
    }
    assert_eq!(gateway.get("/api/v1/cases", &foreign).await.json(), json!({"items": [], "next": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_session_ends_at_once() {
    let gateway = Gateway::start().await;
    let token = gateway.sign_in("automatic", "support").await;
    assert_eq!(gateway.get("/api/v1/cases", &token).await.status, 200);
    assert_eq!(gateway.send("DELETE", "/api/v1/session", &token, &Value::Null).await.status, 204);
    let ended = gateway.get("/api/v1/cases", &token).await;
    assert_eq!(ended.refusal(), (401, "W101".to_owned()));
    assert_eq!(ended.header("www-authenticate"), Some("Bearer"));

    let wrong = |email: &str, password: &str| json!({"email": email, "password": password});
    let known = gateway.post("/api/v1/session", "", &wrong("support@automatic.example", "wrong")).await;
    let unknown = gateway.post("/api/v1/session", "", &wrong("nobody@automatic.example", PASSWORD)).await;
    assert_eq!(known.refusal(), (401, "W101".to_owned()));
    assert_eq!(known.text(), unknown.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_sort_by_urgency_page_and_filter_and_the_unseen_emergencies_are_counted() {
    let gateway = Gateway::start().await;
    let token = gateway.sign_in("automatic", "clinician").await;
    let mut expected = Vec::new();
    for (urgency, count) in [("info", 30), ("emergency", 2), ("routine", 25)] {
        for _ in 0..count {
            let id = gateway.put("automatic", NewCase { urgency, ..NewCase::default() }).await;
            expected.push((
                ["emergency", "routine", "info"].iter().position(|it| *it == urgency),
                id.to_string(),
            ));
        }
    }
    let held = gateway
        .put("automatic", NewCase { urgency: "emergency", matched: false, ..NewCase::default() })
        .await;
    expected.push((Some(0), held.to_string()));
    expected.sort();

    let first = gateway.get("/api/v1/cases", &token).await.json();
    let second = gateway
        .get(&format!("/api/v1/cases?cursor={}", first["next"].as_str().unwrap()), &token)
        .await
        .json();
    let listed: Vec<String> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, expected.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>());
    assert_eq!((first["items"].as_array().unwrap().len(), &second["next"]), (50, &Value::Null));

    let count = async |query: &str| {
        let page = gateway.get(&format!("/api/v1/cases?{query}"), &token).await.json();
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(count("state=held").await, 1);
    assert_eq!(count("state=in_review&urgency=routine").await, 25);
    assert_eq!(count("urgency=emergency").await, 3);
    assert_eq!(count("state=filed&cursor=").await, 0);
    for (query, code) in
        [("state=gone", "W102"), ("urgency=very", "W102"), ("cursor=7", "W102"), ("page=2", "W109")]
    {
        let reply = gateway.get(&format!("/api/v1/cases?{query}"), &token).await;
        assert_eq!(reply.refusal(), (400, code.to_owned()), "{query}");
    }

    let unseen = async || gateway.get("/metrics", "").await.text();
    assert!(unseen().await.contains("\ngateway_critical_unseen 3\n"));
    gateway.case(&token, held).await;
    let metrics = unseen().await;
    assert!(metrics.contains("\ngateway_critical_unseen 2\n"), "{metrics}");
    assert!(metrics.contains("gateway_cases{clinic=\"automatic\",state=\"in_review\"} 57\n"), "{metrics}");
    assert!(metrics.contains("gateway_store_writable 1\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_a_person_matches_by_hand_to_a_living_record_and_says_why() {
    let gateway = Gateway::start().await;
    let token = gateway.sign_in("automatic", "clinician").await;
    let support = gateway.sign_in("automatic", "support").await;
    let id = gateway.put("automatic", NewCase { matched: false, ..NewCase::default() }).await;
    let path = format!("/api/v1/holds/{id}/match");
    let body = |patient: &str, reason: &str| json!({"patient_id": patient, "reason": reason});

    let case = gateway.case(&token, id).await;
    assert_eq!(
        (&case["patient"], &case["content_sha256"], &case["documents"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(case["report"]["patient_as_sent"]["names"], json!(["Odalys Quillfeather"]));
    let draft = gateway.get(&format!("/api/v1/cases/{id}/documents/patient.pdf"), &token).await;
    assert_eq!(draft.refusal(), (409, "W110".to_owned()));
    let holds = gateway.get("/api/v1/holds", &token).await.json();
    assert_eq!((&holds["items"][0]["kind"], &holds["items"][0]["id"]), (&json!("case"), &json!(id)));

    for (token, body, expected) in [
        (&support, body(PATIENT, "asked"), (403, "W001")),
        (&token, body(ARCHIVED, "asked"), (422, "W111")),
        (&token, body("7", "asked"), (422, "W111")),
        (&token, body("Quillfeather", "asked"), (422, "W105")),
        (&token, body(PATIENT, "  "), (422, "W105")),
    ] {
        let reply = gateway.post(&path, token, &body).await;
        assert_eq!(reply.refusal(), (expected.0, expected.1.to_owned()), "{body}");
        assert!(!reply.text().contains("Quillfeather"));
    }
    let matched =
        gateway.post(&path, &token, &body(PATIENT, "the laboratory confirmed it by telephone")).await;
    assert_eq!((matched.status, &matched.json()["state"]), (200, &json!("in_review")), "{matched:?}");
    let case = gateway.case(&token, id).await;
    assert_eq!(case["patient"]["cliniko_id"], PATIENT);
    assert_eq!(case["patient"]["matched"]["how"], "by_hand");
    assert_eq!(case["patient"]["matched"]["evidence"], json!(["the laboratory confirmed it by telephone"]));
    assert_eq!(
        gateway.post(&path, &token, &body(PATIENT, "again")).await.refusal(),
        (409, "W002".to_owned())
    );
    assert!(!format!("{:?}", gateway.acts()).contains("by telephone"), "reasons stay sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn r09_a_correction_shows_old_and_new_and_notes_and_rejections_are_signed() {
    let gateway = Gateway::start().await;
    let token = gateway.sign_in("automatic", "clinician").await;
    let first = gateway.put("automatic", NewCase::default()).await;
    let corrected = NewCase { value: "4.10", version: 2, previous: Some(first), ..NewCase::default() };
    let id = gateway.put("automatic", corrected).await;

    let before = gateway.case(&token, id).await;
    let previous = &before["previous"];
    assert_eq!((&previous["case"], &previous["version"]), (&json!(first), &json!(1)));
    let change = &previous["changes"][0];
    assert_eq!(
        (&change["result"], &change["name"], &change["old"], &change["new"]),
        (&json!("OBX[1]"), &json!("Potassium"), &json!("7.77 mmol/L"), &json!("4.10 mmol/L"))
    );

    let note = gateway.post(&format!("/api/v1/cases/{id}/notes"), &token, &json!({"text": "seen"})).await;
    assert_eq!(note.status, 200, "{note:?}");
    let noted = gateway.case(&token, id).await;
    assert_eq!(noted["notes"][0]["text"], "seen");
    assert_ne!(noted["content_sha256"], before["content_sha256"], "a note is part of what is signed");

    let reject =
        gateway.post(&format!("/api/v1/cases/{id}/reject"), &token, &json!({"reason": "haemolysed"})).await;
    assert_eq!(reject.json()["state"], "rejected");
    let rejected = gateway.case(&token, id).await;
    assert_eq!(rejected["rejection"]["by"]["name"], "Dr Rowena Examplewright");
    let again = gateway.post(&format!("/api/v1/cases/{id}/notes"), &token, &json!({"text": "late"})).await;
    assert_eq!(again.refusal(), (409, "W002".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_gives_a_number_and_a_form() {
    let gateway = Gateway::start().await;
    let token = gateway.sign_in("automatic", "support").await;
    let order = json!({"patient_id": PATIENT, "tests": ["Full blood count"]});
    let placed = gateway.post("/api/v1/orders", &token, &order).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(placed.json()["order_number"].as_str().unwrap().len(), 13);
    let form = format!("/api/v1/orders/{}/form.pdf", placed.json()["id"].as_str().unwrap());
    assert!(gateway.get(&form, &token).await.body.starts_with(b"%PDF-"));

    let archived = json!({"patient_id": ARCHIVED, "tests": ["Full blood count"]});
    assert_eq!(gateway.post("/api/v1/orders", &token, &archived).await.refusal(), (422, "W111".to_owned()));
    let nothing = json!({"patient_id": PATIENT, "tests": []});
    assert_eq!(gateway.post("/api/v1/orders", &token, &nothing).await.refusal(), (422, "W105".to_owned()));
    let stranger = gateway.sign_in("manual", "support").await;
    assert_eq!(gateway.get(&form, &stranger).await.refusal(), (404, "W103".to_owned()));
    let confirm = format!("/api/v1/patients/{PATIENT}/nhs-number/confirm");
    assert_eq!(gateway.post(&confirm, &token, &Value::Null).await.refusal(), (403, "W001".to_owned()));
    let clinician = gateway.sign_in("automatic", "clinician").await;
    assert_eq!(gateway.post(&confirm, &clinician, &Value::Null).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_shows_where_it_stands_and_never_its_content() {
    let gateway = Gateway::start().await;
    let raw = b"MSH|^~\\&|LAB|FAC|||20261122||ORU^R01^ORU_R01|C77|P|2.5.1\rPID|1||||Quillfeather^Odalys\rOBR|1\rOBX|1|NM|K||7.77\r";
    Intake::new(std::sync::Arc::clone(&gateway.pipeline)).receive(&raw.to_vec().into()).await;
    let rows = gateway.pipeline.store.scan_plain(&Scan::all(Table::MessageStates)).unwrap();
    let path = format!("/api/v1/messages/{}", MessageId::try_from(rows[0].0.as_slice()).unwrap());

    for (role, mends) in
        [("administrator", true), ("clinician", false), ("integrator", true), ("support", false)]
    {
        let token = gateway.sign_in("automatic", role).await;
        let shown = gateway.get(&path, &token).await;
        assert_eq!(shown.json()["state"], "waiting");
        assert_eq!(shown.json()["control_id"] == "C77", mends, "{role}");
        assert!(SECRETS.iter().all(|secret| !shown.text().contains(secret)), "{role}");
    }
    let foreign = gateway.sign_in("manual", "integrator").await;
    assert_eq!(gateway.get(&path, &foreign).await.refusal(), (404, "W103".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_a_problem_that_teaches_and_quotes_nothing() {
    let gateway = Gateway::start().await;
    let token = gateway.sign_in("automatic", "clinician").await;
    let id = gateway.put("automatic", NewCase::default()).await;
    let path = format!("/api/v1/cases/{id}/notes");
    let json = "Content-Type: application/json\r\n";
    let huge = format!(r#"{{"text": "{}"}}"#, "a".repeat(BODY_BYTES_MAX));
    for (headers, body, status, code) in [
        (json, "{\"text\": Quillfeather", 400, "W102"),
        (json, r#"{"text": 7.77}"#, 422, "W105"),
        (json, r#"{"text": "a", "by": "Quillfeather"}"#, 422, "W105"),
        (json, r#"{"text": "a", "text": "b"}"#, 422, "W105"),
        (json, "{}", 422, "W105"),
        (json, huge.as_str(), 413, "W106"),
        ("", r#"{"text": "a"}"#, 415, "W107"),
        ("Content-Type: text/plain\r\n", r#"{"text": "a"}"#, 415, "W107"),
    ] {
        let reply = gateway.ask("POST", &path, &token, headers, body.as_bytes()).await;
        assert_eq!(reply.refusal(), (status, code.to_owned()));
        let problem = reply.json();
        assert!(
            !problem["help"].as_str().unwrap().is_empty()
                && problem["type"] == format!("/docs/errors/{code}")
        );
        assert!(SECRETS.iter().all(|secret| !reply.text().contains(secret)), "{}", reply.text());
    }
    let unsigned = gateway.ask("POST", &path, "", json, b"not even JSON").await;
    assert_eq!(unsigned.refusal(), (401, "W101".to_owned()), "who asks is settled before the body is read");
    assert_eq!(
        gateway.send("PUT", "/api/v1/cases", &token, &Value::Null).await.refusal(),
        (405, "W104".to_owned())
    );
    for path in
        ["/api/v1/nothing", "/nothing", "/demo/cases/x/patient.pdf", "/api/v1/cases/x", "/docs/errors/W999"]
    {
        assert_eq!(gateway.get(path, &token).await.refusal(), (404, "W103".to_owned()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_security_headers_and_the_pages_need_no_inline_style() {
    let gateway = Gateway::start().await;
    for (path, status) in [
        ("/", 200),
        ("/style.css", 200),
        ("/docs/errors", 200),
        ("/docs/errors/W101", 200),
        ("/docs/errors/w003", 200),
        ("/health/live", 200),
        ("/health/ready", 200),
        ("/metrics", 200),
        ("/api/v1/openapi.json", 200),
        ("/api/v1/cases", 401),
        ("/nothing", 404),
    ] {
        let reply = gateway.get(path, "").await;
        assert_eq!(reply.status, status, "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}");
        }
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        if reply.header("content-type").is_some_and(|it| it.starts_with("text/html")) {
            let page = reply.text();
            assert!(page.starts_with("<!doctype html>") && page.contains("lang=\"en-GB\""), "{path}");
            assert!(
                !page.contains("style=") && !page.contains("<style") && !page.contains("<script"),
                "{path}"
            );
        }
    }
}
