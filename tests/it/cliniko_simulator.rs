//! The Cliniko simulator, asked over real sockets by a client that knows only HTTP.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use haemosync_gateway::simulator::cliniko;
use haemosync_gateway::simulator::cliniko::Config;
use haemosync_gateway::simulator::cliniko::FaultRule;
use haemosync_gateway::simulator::cliniko::Running;
use haemosync_gateway::simulator::cliniko::Seed;
use haemosync_gateway::simulator::cliniko::Switch;
use jiff::SignedDuration;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const PATIENT: &str = "1203948571203948576";
const PDF: &[u8] = b"%PDF-1.7 an invented report\r\n--b8 is no boundary\r\n";

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// One request on a connection of its own; `None` when it closes without a whole reply.
async fn ask(address: std::net::SocketAddr, head: &str, body: &[u8]) -> Option<Reply> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = if head.contains("Transfer-Encoding") {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let request = format!("{head}\r\nHost: {address}\r\nConnection: close\r\n{length}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.ok()?;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let reply =
        Reply { status: head.split(' ').nth(1)?.parse().ok()?, head, body: bytes[end + 4..].to_vec() };
    let whole = reply.header("content-length")?.parse::<usize>().ok()? == reply.body.len();
    whole.then_some(reply)
}

fn head(method: &str, path: &str, key: &str) -> String {
    let credential = STANDARD.encode(format!("{key}:"));
    format!(
        "{method} /v1{path} HTTP/1.1\r\nAuthorization: Basic {credential}\r\nAccept: application/json\r\n\
         User-Agent: Example Gateway (gateway@clinic.example)\r\nContent-Type: application/json"
    )
}

struct Clinic(Running);

impl Clinic {
    async fn open(config: Config) -> Self {
        Self(cliniko::start(config).await.unwrap())
    }

    async fn demo() -> Self {
        Self::open(Config { seed: Seed::Demo, processing_delay_ms: 60_000, ..Config::default() }).await
    }

    async fn maybe(&self, role: &str, method: &str, path: &str, body: &Value) -> Option<Reply> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        ask(self.0.api, &head(method, path, self.0.key(role).unwrap()), body.as_bytes()).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.maybe("practitioner", "GET", path, &Value::Null).await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.maybe("practitioner", "POST", path, body).await.unwrap()
    }

    async fn control(&self, method: &str, path: &str, body: &Value) -> Reply {
        ask(self.0.control, &format!("{method} {path} HTTP/1.1"), body.to_string().as_bytes()).await.unwrap()
    }

    fn fault(&self, rule: Value) {
        self.0.add_fault(serde_json::from_value::<FaultRule>(rule).unwrap());
    }

    async fn presign(&self) -> Vec<(String, String)> {
        let form = self.get(&format!("/patients/{PATIENT}/attachment_presigned_post")).await.json();
        assert_eq!(form["url"], format!("http://{}", self.0.store));
        let fields = form["fields"].as_object().unwrap();
        fields.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    async fn upload(&self, form: &[u8], extra: &str) -> Reply {
        let head = format!("POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b7{extra}");
        ask(self.0.store, &head, form).await.unwrap()
    }

    /// Steps 1 and 2; the `upload_url` for step 3.
    async fn stored(&self) -> String {
        let reply = self.upload(&form(&self.presign().await, FileIs::Last), "").await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        let text = reply.text();
        let key = text.split("<Key>").nth(1).unwrap().split("</Key>").next().unwrap();
        assert!(key.ends_with("/report.pdf") && text.contains("%2Freport.pdf</Location>"));
        format!("http://{}/{key}", self.0.store)
    }

    fn registration(url: &str) -> Value {
        json!({ "patient_id": PATIENT, "upload_url": url, "description": "Blood test report [LAB-1]" })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum FileIs {
    First,
    Last,
}

fn form(fields: &[(String, String)], file_is: FileIs) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = fields
        .iter()
        .map(|(name, value)| {
            format!("Content-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}").into_bytes()
        })
        .collect();
    let mut file = b"Content-Disposition: form-data; name=\"file\"; filename=\"report.pdf\"\r\n\
                     Content-Type: application/pdf\r\n\r\n"
        .to_vec();
    file.extend_from_slice(PDF);
    let at = if file_is == FileIs::First { 0 } else { parts.len() };
    parts.insert(at, file);
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(b"--b7\r\n");
        body.extend_from_slice(&part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b7--\r\n");
    body
}

fn note(summary: &str) -> Value {
    json!({ "patient_id": PATIENT, "title": "Blood test report [LAB-1]", "draft": false, "practitioner_id": "701",
            "content": { "sections": [{ "name": "Report", "questions": [
                { "name": "Summary", "type": "paragraph", "answer": summary }] }] } })
}

#[tokio::test]
async fn only_a_live_key_of_this_shard_is_let_in() {
    let clinic = Clinic::demo().await;
    let key = clinic.0.key("practitioner").unwrap().to_owned();
    let other = clinic.0.key("other_shard").unwrap().to_owned();
    let bare = key.strip_suffix("-uk1").unwrap();
    for (key, status) in
        [(key.as_str(), 200), (bare, 200), (&other, 401), ("MS0x-uk1", 401), (&format!("{key}:x"), 401)]
    {
        let reply = ask(clinic.0.api, &head("GET", "/user", key), b"").await.unwrap();
        assert_eq!(reply.status, status);
    }
    assert_eq!(clinic.get("/user").await.json()["role"], "practitioner");
    clinic.control("POST", "/records/users/88", &json!({ "user_active": false })).await;
    assert_eq!(clinic.get("/user").await.status, 401);
    let journal = clinic.control("GET", "/requests", &Value::Null).await.text();
    assert!(!journal.contains(bare) && journal.contains("-uk1"));
    assert!(clinic.0.forbidden().is_empty());
    clinic.0.stop().await;
}

#[tokio::test]
async fn a_role_that_may_not_gets_403_and_an_empty_body() {
    let clinic = Clinic::demo().await;
    let body = note("<p>ok</p>");
    for role in ["administrator", "receptionist", "scheduler", "bookkeeper", "power receptionist"] {
        let reply = clinic.maybe(role, "POST", "/treatment_notes", &body).await.unwrap();
        assert_eq!((reply.status, reply.body.len()), (403, 0), "{role}");
    }
    let reply = clinic.maybe("scheduler", "GET", "/treatment_notes", &Value::Null).await.unwrap();
    assert_eq!(reply.status, 403);
    assert_eq!(clinic.get("/users").await.status, 403);
    assert_eq!(clinic.get("/settings").await.status, 403);
    assert_eq!(clinic.get("/settings/public").await.json()["account"]["country_code"], "GB");
    let own = clinic.get("/practitioners?q%5B%5D=user_id%3A%3D88").await.json();
    assert_eq!(own["practitioners"][0]["active"], true);
    let inactive = clinic.get("/practitioners?q[]=user_id:=90").await.json();
    assert_eq!(inactive["total_entries"], 0);
}

#[tokio::test]
async fn pages_are_walked_by_their_links() {
    let clinic = Clinic::open(Config::default()).await;
    let mut path = "/patients?q%5B%5D=archived_at%3A%2A".to_owned();
    let mut ids = std::collections::BTreeSet::new();
    let mut pages = 0;
    loop {
        let page = clinic.get(&path).await.json();
        assert_eq!(page["total_entries"], 120);
        ids.extend(
            page["patients"]
                .as_array()
                .unwrap()
                .iter()
                .map(|patient| patient["id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        assert_eq!(page["links"]["previous"].is_string(), pages > 1);
        let Some(next) = page["links"]["next"].as_str() else { break };
        path = next.strip_prefix(&format!("http://{}/v1", clinic.0.api)).unwrap().to_owned();
    }
    assert_eq!((pages, ids.len()), (3, 120));
    clinic.fault(json!({ "do": "foreign-next-link", "match": { "path": "/patients" } }));
    let page = clinic.get("/patients").await.json();
    assert!(page["links"]["next"].as_str().unwrap().starts_with("http://foreign.example/"));
}

#[tokio::test]
async fn filters_find_what_they_say_and_refuse_what_they_do_not_know() {
    let clinic = Clinic::demo().await;
    let found =
        clinic.get("/patients?q%5B%5D=date_of_birth%3A%3D1984-02-29&q[]=last_name:~okafor").await.json();
    assert_eq!(found["total_entries"], 1);
    assert_eq!(found["patients"][0]["id"], PATIENT);
    let twins = clinic.get("/patients?q[]=date_of_birth:=1998-08-08&q[]=last_name:=Quackenbush").await.json();
    assert_eq!(twins["total_entries"], 2);
    let refused = clinic.get("/patients?q[]=post_code:=LS1+0AA").await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["message"], "post_code is not filterable");
    let everyone = clinic.get("/patients?filters[last_name][=]=x").await.json();
    assert!(everyone["total_entries"].as_u64().unwrap() > 30);
}

#[tokio::test]
async fn archived_and_merged_patients_show_only_when_asked_for() {
    let clinic = Clinic::demo().await;
    let merged = "1203948571203998577";
    assert_eq!(clinic.get(&format!("/patients/{merged}")).await.status, 404);
    let shown = clinic.get(&format!("/patients/{merged}?q[]=archived_at:*")).await.json();
    assert!(shown["merged_at"].is_string());
    let target = shown["merged_with_patient"]["links"]["self"].as_str().unwrap();
    assert_eq!(target, format!("http://{}/v1/patients/{PATIENT}", clinic.0.api));
    clinic.fault(json!({ "do": "archive-patient", "match": { "path": "/v1/patients/*", "nth": 1 } }));
    assert_eq!(clinic.get(&format!("/patients/{PATIENT}")).await.status, 404);
    let presign = clinic.get(&format!("/patients/{PATIENT}/attachment_presigned_post")).await;
    assert_eq!(presign.status, 404);
    let lenient =
        Config { seed: Seed::Demo, switches: [Switch::ArchivedShownById].into(), ..Config::default() };
    let clinic = Clinic::open(lenient).await;
    assert_eq!(clinic.get(&format!("/patients/{merged}")).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_wrong_gets_the_documented_422() {
    let clinic = Clinic::demo().await;
    let reply = clinic.post("/treatment_notes", &json!({})).await;
    assert_eq!(reply.status, 422);
    let expected = json!({ "message": "Validation Failed",
        "errors": { "patient": "can\u{2019}t be blank", "title": "can\u{2019}t be blank" } });
    assert_eq!(reply.json(), expected);
    let mut body = note("x");
    body["content"] = json!("text");
    let reply = clinic.post("/treatment_notes", &body).await;
    assert_eq!((reply.status, reply.json()), (422, json!({ "message": "must be an object" })));
    body["content"] =
        json!({ "sections": [{ "questions": [{ "name": "a", "type": "text", "answer": "" }] }] });
    let reply = clinic.post("/treatment_notes", &body).await;
    assert!(reply.json()["errors"]["content"].is_string());
    let key = clinic.0.key("practitioner").unwrap();
    let no_type = head("POST", "/treatment_notes", key).replace("\r\nContent-Type: application/json", "");
    let reply = ask(clinic.0.api, &no_type, note("x").to_string().as_bytes()).await.unwrap();
    assert_eq!((reply.status, &reply.json()["errors"]["content"]), (422, &Value::Null));
    let reply = ask(clinic.0.api, &no_type, b"title=x&content=y").await.unwrap();
    assert_eq!(reply.status, 500);
    assert_eq!(clinic.0.records()["treatment_notes"], json!([]));
}

#[tokio::test]
async fn the_rate_limit_is_per_user_and_names_its_reset() {
    let now = "2026-11-22T09:30:15Z".parse().unwrap();
    let config =
        Config { rate_limit_per_minute: 3, now: std::sync::Arc::new(move || now), ..Config::default() };
    let clinic = Clinic::open(config).await;
    let first = clinic.0.keys[0].clone();
    let second = clinic.0.keys.iter().rfind(|key| key.user == first.user && key.role == first.role).unwrap();
    for key in [&first.key, &second.key, &first.key] {
        assert_eq!(ask(clinic.0.api, &head("GET", "/user", key), b"").await.unwrap().status, 200);
    }
    let over = ask(clinic.0.api, &head("GET", "/user", &second.key), b"").await.unwrap();
    assert_eq!((over.status, over.header("x-ratelimit-reset")), (429, Some("1795339860")));
    assert!(over.header("retry-after").is_none());
    let other = clinic.maybe("administrator", "GET", "/user", &Value::Null).await.unwrap();
    assert_eq!(other.status, 200);
    clinic.control("POST", "/clock", &json!({ "advance_ms": 45_000 })).await;
    assert_eq!(clinic.get("/user").await.status, 200);
}

#[tokio::test]
async fn a_file_goes_the_whole_way_and_comes_back_byte_for_byte() {
    let clinic = Clinic::demo().await;
    let url = clinic.stored().await;
    let made = clinic.post("/patient_attachments", &Clinic::registration(&url)).await;
    assert_eq!(made.status, 201);
    assert!(made.header("location").unwrap().starts_with("http://api.cliniko.com/"));
    let made = made.json();
    let id = made["id"].as_str().unwrap();
    assert_eq!(
        (&made["processing_completed"], &made["filename"], &made["size"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
    assert_eq!(clinic.get(&format!("/patient_attachments/{id}/content")).await.status, 404);
    clinic.0.advance(SignedDuration::from_secs(60));
    let done = clinic.get(&format!("/patient_attachments/{id}")).await.json();
    assert_eq!(
        (&done["processing_completed"], &done["filename"], &done["size"]),
        (&json!(true), &json!("report.pdf"), &json!(PDF.len()))
    );
    let link = done["content"]["links"]["self"].as_str().unwrap();
    let path = link.strip_prefix(&format!("http://{}/v1", clinic.0.api)).unwrap();
    let redirect = clinic.get(path).await;
    assert_eq!(redirect.status, 303);
    let target =
        redirect.header("location").unwrap().strip_prefix(&format!("http://{}", clinic.0.store)).unwrap();
    let fetched = ask(clinic.0.store, &format!("GET {target} HTTP/1.1"), b"").await.unwrap();
    assert_eq!((fetched.status, fetched.body.as_slice()), (200, PDF));
    let kept = clinic.control("GET", &format!("/records/attachments/{id}/content"), &Value::Null).await;
    assert_eq!(kept.body, PDF);
    let token =
        format!("/patient_attachments?q[]=patient_id:={PATIENT}&q[]=description:~LAB-1&q[]=archived_at:*");
    assert_eq!(clinic.get(&token).await.json()["total_entries"], 1);
    assert!(clinic.0.forbidden().is_empty());
    assert_eq!(clinic.control("GET", "/violations", &Value::Null).await.json(), json!([]));
    // The link ends, and a credential at the store is a slip that fails a run.
    let leaked = format!("GET {target} HTTP/1.1\r\nAuthorization: Basic x");
    assert_eq!(ask(clinic.0.store, &leaked, b"").await.unwrap().status, 400);
    clinic.0.advance(SignedDuration::from_secs(61));
    assert_eq!(ask(clinic.0.store, &format!("GET {target} HTTP/1.1"), b"").await.unwrap().status, 403);
    assert_eq!(clinic.0.forbidden().len(), 1);
}

#[tokio::test]
async fn the_store_refuses_a_form_that_is_not_the_one_it_signed() {
    let clinic = Clinic::demo().await;
    let refusal = async |body: Vec<u8>| {
        let reply = clinic.upload(&body, "").await;
        (reply.status, reply.text().split("<Code>").nth(1).unwrap().split('<').next().unwrap().to_owned())
    };
    let good = clinic.presign().await;
    let names: Vec<&str> = good.iter().map(|(name, _)| name.as_str()).collect();
    let order =
        "key success_action_status acl policy x-amz-credential x-amz-algorithm x-amz-date x-amz-signature";
    assert_eq!(names.join(" "), order);
    assert_eq!(refusal(form(&good, FileIs::First)).await, (400, "InvalidArgument".to_owned()));
    let mut extra = good.clone();
    extra.push(("Content-Type".to_owned(), "application/pdf".to_owned()));
    assert_eq!(refusal(form(&extra, FileIs::Last)).await, (403, "AccessDenied".to_owned()));
    let mut large = good.clone();
    large.push(("padding".to_owned(), "x".repeat(20 * 1024)));
    assert_eq!(refusal(form(&large, FileIs::Last)).await, (400, "MaxPostPreDataLengthExceeded".to_owned()));
    let chunked =
        ask(clinic.0.store, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked", b"0\r\n\r\n").await.unwrap();
    assert_eq!(chunked.status, 411);
    clinic.fault(json!({ "do": "presign-expired", "match": { "nth": 1 } }));
    let expired = clinic.presign().await;
    assert_eq!(refusal(form(&expired, FileIs::Last)).await, (403, "AccessDenied".to_owned()));
    clinic.fault(json!({ "do": "store-503", "match": { "nth": 1 } }));
    assert_eq!(refusal(form(&good, FileIs::Last)).await, (503, "SlowDown".to_owned()));
    assert_eq!(clinic.upload(&form(&good, FileIs::Last), "").await.status, 201);
}

#[tokio::test]
async fn only_this_patients_own_upload_can_be_registered_and_only_once() {
    let clinic = Clinic::demo().await;
    let url = clinic.stored().await;
    let encoded = url.replace("/attachments/", "%2Fattachments%2F");
    let elsewhere = url.replace(&clinic.0.store.to_string(), "other.example");
    let absent = url.replace("report.pdf", "another.pdf");
    for wrong in [encoded, elsewhere, absent] {
        let reply = clinic.post("/patient_attachments", &Clinic::registration(&wrong)).await;
        assert_eq!(
            (reply.status, &reply.json()["errors"]["temp_attachment_url"]),
            (422, &json!("is invalid")),
            "{wrong}"
        );
    }
    let mut body = Clinic::registration(&url);
    body["patient_id"] = json!("10428571");
    assert_eq!(clinic.post("/patient_attachments", &body).await.status, 422);
    assert_eq!(clinic.post("/patient_attachments", &Clinic::registration(&url)).await.status, 201);
    assert_eq!(clinic.post("/patient_attachments", &Clinic::registration(&url)).await.status, 422);
    assert_eq!(clinic.0.records()["patient_attachments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_note_is_the_key_owners_and_its_text_is_sanitised() {
    let clinic = Clinic::demo().await;
    let made =
        clinic.post("/treatment_notes", &note("<p>TSH &lt;0.01: <b>low</b>.</p><table>x</table>")).await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let read = clinic.get(&format!("/treatment_notes/{id}")).await.json();
    let answer = "/content/sections/0/questions/0/answer";
    assert_eq!(read.pointer(answer).unwrap(), "<p>TSH &lt;0.01: <b>low</b>.</p>x");
    assert_eq!(read["author_name"], "Dr Rowena Examplewright");
    assert!(read["practitioner"]["links"]["self"].as_str().unwrap().ends_with("/practitioners/700"));
    assert!(read["finalized_at"].is_string());
    let stripped = clinic.post("/treatment_notes", &note("<p>eGFR <60 mL/min</p>")).await.json();
    assert_eq!(stripped.pointer(answer).unwrap(), "<p>eGFR ");
}

#[tokio::test]
async fn editing_and_archiving_work_and_are_listed_as_forbidden() {
    let clinic = Clinic::demo().await;
    let patient = format!("/patients/{PATIENT}");
    let reply =
        clinic.maybe("administrator", "PATCH", &patient, &json!({ "last_name": "Changed" })).await.unwrap();
    assert_eq!((reply.status, &reply.json()["last_name"]), (200, &json!("Changed")));
    assert_eq!(clinic.post(&format!("{patient}/archive"), &Value::Null).await.status, 204);
    assert_eq!(clinic.get(&patient).await.status, 404);
    assert_eq!(clinic.maybe("practitioner", "DELETE", &patient, &Value::Null).await.unwrap().status, 204);
    let listed: Vec<String> =
        clinic.0.forbidden().iter().map(|entry| entry["method"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, ["PATCH", "POST", "DELETE"]);
    let over_the_wire = clinic.control("GET", "/forbidden", &Value::Null).await.json();
    assert_eq!(over_the_wire.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_lost_reply_leaves_the_record_and_list_lag_hides_it() {
    let clinic = Clinic::demo().await;
    let rules = json!([
        { "match": { "method": "POST", "path": "/treatment_notes", "nth": 1 }, "do": "effect-then-timeout", "value": 0 },
        { "match": { "method": "POST", "path": "/v1/treatment_notes", "nth": 1 }, "do": "list-lag", "value": 30 },
        { "match": { "method": "POST", "path": "/treatment_notes", "nth": 2 }, "do": "timeout-before-effect", "value": 0 },
        { "match": { "method": "POST", "path": "/treatment_notes", "nth": 3 }, "do": "effect-then-500" },
        { "match": { "method": "POST", "path": "/treatment_notes", "nth": 4 }, "do": "reset" },
        { "match": { "method": "POST", "path": "/treatment_notes", "nth": 5 }, "do": "502-html" },
    ]);
    assert_eq!(clinic.control("POST", "/faults", &rules).await.status, 201);
    let list = format!("/treatment_notes?q[]=patient_id:={PATIENT}&q[]=archived_at:*");
    let count = async || clinic.get(&list).await.json()["total_entries"].as_u64().unwrap();
    let post = async || clinic.maybe("practitioner", "POST", "/treatment_notes", &note("ok")).await;
    assert!(tokio::time::timeout(Duration::from_secs(5), post()).await.unwrap().is_none());
    assert_eq!(clinic.0.records()["treatment_notes"].as_array().unwrap().len(), 1);
    assert_eq!(count().await, 0);
    clinic.0.advance(SignedDuration::from_secs(31));
    assert_eq!(count().await, 1);
    assert!(post().await.is_none());
    assert_eq!(count().await, 1);
    assert_eq!(post().await.unwrap().status, 500);
    assert!(post().await.is_none());
    assert_eq!(post().await.unwrap().status, 502);
    assert_eq!(count().await, 3);
    assert_eq!(clinic.control("DELETE", "/faults", &Value::Null).await.status, 204);
    assert_eq!(post().await.unwrap().status, 201);
    let withheld = clinic.0.requests().iter().filter(|entry| entry["status"].is_null()).count();
    assert_eq!(withheld, 2);
}

#[tokio::test]
async fn tests_can_add_and_change_patients_and_keep_a_file_unprocessed() {
    let clinic = Clinic::demo().await;
    let added = clinic
        .control(
            "POST",
            "/records/patients",
            &json!({ "first_name": "Ondine", "last_name": "Newcomer-Frost", "nhs_number": "9990000018" }),
        )
        .await;
    let id = added.json()["ids"][0].as_str().unwrap().to_owned();
    let read = clinic.get(&format!("/patients/{id}")).await.json();
    assert_eq!(read.pointer("/custom_fields/sections/0/fields/0/token").unwrap(), cliniko::NHS_NUMBER_TOKEN);
    let merged = json!({ "archived_at": "2026-01-01T00:00:00Z", "merged_at": "2026-01-01T00:00:00Z", "merged_with_patient_id": PATIENT });
    assert_eq!(clinic.control("POST", &format!("/records/patients/{id}"), &merged).await.status, 200);
    assert_eq!(clinic.get(&format!("/patients/{id}")).await.status, 404);
    clinic.fault(json!({ "do": "processing-stuck", "match": { "method": "POST" } }));
    let url = clinic.stored().await;
    let made = clinic.post("/patient_attachments", &Clinic::registration(&url)).await.json();
    clinic.0.advance(SignedDuration::from_hours(24));
    let read = clinic.get(&format!("/patient_attachments/{}", made["id"].as_str().unwrap())).await.json();
    assert_eq!(read["processing_completed"], false);
    assert_eq!(clinic.0.records()["patient_attachments"][0]["size"], PDF.len());
}
