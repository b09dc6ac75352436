//! A workflow API on a real socket, over a real store and the simulated Cliniko; cases are put in as `prepare` does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use haemosync_gateway::app;
use haemosync_gateway::clinical::model::Interpretation;
use haemosync_gateway::clinical::model::Moment;
use haemosync_gateway::clinical::model::Report;
use haemosync_gateway::clinical::model::Sensitive;
use haemosync_gateway::clinical::workflow::Roles;
use haemosync_gateway::clinical::workflow::State;
use haemosync_gateway::clinical::workflow::Step;
use haemosync_gateway::clock::Clock;
use haemosync_gateway::clock::FixedClock;
use haemosync_gateway::http;
use haemosync_gateway::pipeline::Pipeline;
use haemosync_gateway::pipeline::Wake;
use haemosync_gateway::pipeline::accounts;
use haemosync_gateway::pipeline::accounts::Accounts;
use haemosync_gateway::pipeline::application_ack::Awaited;
use haemosync_gateway::pipeline::feeds::ApplicationAcks;
use haemosync_gateway::pipeline::feeds::ControlIds;
use haemosync_gateway::pipeline::feeds::Door;
use haemosync_gateway::pipeline::feeds::Feed;
use haemosync_gateway::pipeline::feeds::Feeds;
use haemosync_gateway::pipeline::feeds::OnStoreFailure;
use haemosync_gateway::pipeline::feeds::Senders;
use haemosync_gateway::pipeline::records::CaseId;
use haemosync_gateway::pipeline::records::MessageId;
use haemosync_gateway::pipeline::records::case;
use haemosync_gateway::pipeline::records::case::Case;
use haemosync_gateway::pipeline::records::case::Edits;
use haemosync_gateway::pipeline::records::case::MatchedPatient;
use haemosync_gateway::pipeline::records::case::Standing;
use haemosync_gateway::pipeline::records::case::Stored;
use haemosync_gateway::pipeline::records::clinic::Clinic;
use haemosync_gateway::pipeline::records::clinic::Release;
use haemosync_gateway::pipeline::records::report;
use haemosync_gateway::pipeline::records::report::ReportKey;
use haemosync_gateway::pipeline::sessions;
use haemosync_gateway::pipeline::sessions::NewUser;
use haemosync_gateway::pipeline::sessions::Sessions;
use haemosync_gateway::pipeline::sha256_hex;
use haemosync_gateway::pipeline::shutdown;
use haemosync_gateway::pipeline::shutdown::Stop;
use haemosync_gateway::security::keys::MasterKey;
use haemosync_gateway::simulator::cliniko;
use haemosync_gateway::simulator::cliniko::Seed;
use haemosync_gateway::store::Change;
use haemosync_gateway::store::Embedded;
use haemosync_gateway::store::Store;
use haemosync_gateway::store::embedded;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

pub(crate) const PASSWORD: &str = "a long invented passphrase";
/// What nobody but a clinician may read, wherever it would show.
pub(crate) const SECRETS: [&str; 4] = ["Quillfeather", "7.77", "a planted finding", "planted patient words"];
const MASTER_KEY: &str = "8f3b1d6c0a5e97427d2c4be1f09a6385c7d81e2f5b0469ad31f7c8e2946b0d5a";
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// `automatic` releases at approval, `manual` in a second step.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) cliniko: cliniko::Running,
    _stop: Stop,
    _directory: tempfile::TempDir,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The status and our code: what a refusal is known by.
    pub(crate) fn refusal(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cliniko =
            cliniko::start(cliniko::Config { seed: Seed::Demo, ..Default::default() }).await.unwrap();
        let clock = Arc::new(FixedClock::new("2026-11-22T10:00:00Z".parse().unwrap(), 7));
        let shared: Arc<dyn Clock> = clock.clone();
        let backend = Embedded::open(&embedded::Config::new(directory.path())).unwrap();
        let master = MasterKey::parse(MASTER_KEY).unwrap();
        let store = Arc::new(Store::open(Arc::new(backend), master).await.unwrap());
        let mappings = app::mappings(None, clock.now()).unwrap();
        let pipeline = Arc::new(Pipeline {
            store: Arc::clone(&store),
            clock: Arc::clone(&shared),
            feeds: Feeds::new(vec![Arc::new(feed())]),
            mappings,
            accounts: Accounts::new(account_settings(), Arc::clone(&shared)),
            dangerous_test_nhs_numbers: true,
            wake: Wake::default(),
            awaited: Awaited::default(),
            run: clock.new_id(),
            started_ms: 0,
        });
        let life = Duration::from_hours(1);
        let sessions = Arc::new(Sessions::open(store, shared, life).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, ending) = shutdown::channel();
        let state = http::State::new(Arc::clone(&pipeline), sessions, BODY_BYTES_MAX, None);
        tokio::spawn(http::serve(listener, http::router(state, axum::Router::new()), ending));
        let gateway = Self { address, pipeline, clock, cliniko, _stop: stop, _directory: directory };
        gateway.add_clinic("automatic", Release::Automatic).await;
        gateway.add_clinic("manual", Release::Manual).await;
        gateway
    }

    async fn add_clinic(&self, name: &str, release: Release) {
        let mut change = Change::new();
        Clinic {
            name: name.to_owned(),
            cliniko_key: self.cliniko.key("practitioner").unwrap().to_owned().into(),
            shard: "uk1".to_owned(),
            dangerous_cliniko_url: Some(format!("http://{}", self.cliniko.api)),
            release,
            nhs_number_field: Some("6a1d7c52-8c0f-4a6b-b8a0-5d1f1f0e7c22".to_owned()),
        }
        .put(&mut change);
        self.pipeline.store.commit(change).await.unwrap();
    }

    /// A new person of a clinic, signed in; their token.
    pub(crate) async fn sign_in(&self, clinic: &str, role: &str) -> String {
        let email = format!("{role}@{clinic}.example");
        let mut roles = Roles::default();
        match role {
            "administrator" => roles.administrator = true,
            "clinician" => roles.clinician = true,
            "integrator" => roles.integrator = true,
            "support" => roles.support = true,
            other => panic!("no such role: {other}"),
        }
        let new =
            NewUser { clinic, email: &email, name: "Dr Rowena Examplewright", roles, password: PASSWORD };
        sessions::add_user(&self.pipeline.store, self.clock.as_ref(), new).await.unwrap();
        let reply = self.post("/api/v1/session", "", &json!({"email": email, "password": PASSWORD})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.ask("GET", path, token, "", b"").await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.send("POST", path, token, body).await
    }

    /// Sends JSON; `null` is no body.
    pub(crate) async fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> Reply {
        if body.is_null() {
            return self.ask(method, path, token, "", b"").await;
        }
        self.ask(method, path, token, "Content-Type: application/json\r\n", body.to_string().as_bytes()).await
    }

    /// One request on a connection of its own; without a token where that is empty.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &str,
        body: &[u8],
    ) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let bearer =
            if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{bearer}{headers}Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        // A refusal may come, and the connection end, before the whole body is taken.
        let _cut = stream.write_all(&[head.as_bytes(), body].concat()).await;
        let mut bytes = Vec::new();
        let _reset = stream.read_to_end(&mut bytes).await;
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    /// What this clinician sees of a case.
    pub(crate) async fn case(&self, token: &str, id: CaseId) -> Value {
        let reply = self.get(&format!("/api/v1/cases/{id}"), token).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// Puts a case in, as the lane that prepares does.
    pub(crate) async fn put(&self, clinic: &str, new: NewCase) -> CaseId {
        let clock = self.clock.as_ref();
        let report = lab_report(&new);
        let key = ReportKey { message: MessageId(clock.new_id()), index: 0 };
        let id = CaseId(clock.new_id());
        let interpretation = interpretation(new.urgency);
        let stored = Stored {
            standing: Standing {
                clinic: clinic.to_owned(),
                state: if new.matched { State::InReview } else { State::Held(Step::Matching) },
                urgency: interpretation.urgency(),
                revision: 0,
                seen: false,
            },
            case: Case {
                id,
                clinic: clinic.to_owned(),
                lineage: report::lineage(&report),
                version: new.version,
                report: key,
                versions: Vec::new(),
                conflicts_with: None,
                report_sha256: sha256_hex(&serde_json::to_vec(&report).unwrap()),
                previous: new.previous,
                opened_at: clock.now(),
                patient: new.matched.then(patient),
                suggested_patient_id: None,
                interpretation: Some(interpretation),
                edits: Edits::default(),
                notes: Vec::new(),
                approval: None,
                rejection: None,
                holds: Vec::new(),
                seen: None,
            },
        };
        let mut change = Change::new();
        report::put(&mut change, key, clinic, &report);
        stored.insert(&mut change);
        self.pipeline.store.commit(change).await.unwrap();
        id
    }

    pub(crate) fn state(&self, id: CaseId) -> State {
        case::standing(&self.pipeline.store, id).unwrap().unwrap().state
    }

    /// The acts in the audit chain, in order; the chain must verify.
    pub(crate) fn acts(&self) -> Vec<(String, Value)> {
        use haemosync_gateway::store::Scan;
        use haemosync_gateway::store::Table;
        assert!(self.pipeline.store.verify_audit(None).unwrap().verified);
        let rows = self.pipeline.store.backend().scan(&Scan::all(Table::Audit)).unwrap();
        rows.iter()
            .map(|(_, row)| {
                let entry: Value = serde_json::from_slice(&row[32..]).unwrap();
                (entry["act"].as_str().unwrap().to_owned(), entry)
            })
            .collect()
    }
}

/// A case to put in.
pub(crate) struct NewCase {
    pub(crate) filler_number: &'static str,
    pub(crate) value: &'static str,
    pub(crate) urgency: &'static str,
    pub(crate) matched: bool,
    pub(crate) version: u32,
    pub(crate) previous: Option<CaseId>,
}

impl Default for NewCase {
    fn default() -> Self {
        Self {
            filler_number: "F1",
            value: "7.77",
            urgency: "routine",
            matched: true,
            version: 1,
            previous: None,
        }
    }
}

fn lab_report(new: &NewCase) -> Report {
    serde_json::from_value(json!({
        "lab": "standard", "filler_number": new.filler_number, "status": "final",
        "patient": {"names": [{"family": "Quillfeather", "given": ["Odalys"]}],
            "birth_date": {"sent": "19840229", "iso": "1984-02-29"}, "sex": "female"},
        "panels": [{"id": "OBR[1]", "code": {"text": "Bone profile"}, "status": "final",
            "collected_at": {"sent": "202611211000", "iso": "2026-11-21T10:00:00+00:00"},
            "results": [{"id": "OBX[1]", "code": {"codings": [{"system": "http://loinc.org", "code": "2823-3"}], "text": "Potassium"},
                "value": {"kind": "quantity", "sent": new.value, "number": new.value},
                "unit": {"sent": "mmol/L", "ucum": "mmol/L"},
                "range": {"sent": "3.5-5.3", "low": "3.5", "high": "5.3"}, "status": "final"}]}],
        "origin": {"control_id": "1", "sender": "LAB|FAC", "mapping_digest": "d1"}
    }))
    .unwrap()
}

fn interpretation(urgency: &str) -> Interpretation {
    serde_json::from_value(json!({
        "interpreter": "rules", "version": "1", "digest": "k1",
        "findings": [{"id": "F", "urgency": urgency, "about": ["OBX[1]"], "clinician_text": "a planted finding",
            "patient_text": "planted patient words"}],
        "range_flags": [["OBX[1]", "above"]]
    }))
    .unwrap()
}

fn patient() -> MatchedPatient {
    let born = Moment { sent: "1984-02-29".to_owned(), iso: "1984-02-29".to_owned() };
    MatchedPatient {
        cliniko_id: "1203948571203948576".to_owned(),
        name: Sensitive::new("Ms Odalys Quillfeather".to_owned()),
        birth_date: born.into(),
        sex: Some("Female".to_owned()),
        nhs_number: None,
        evidence: vec!["order_number: exact".to_owned()],
        matched_by: None,
    }
}

fn feed() -> Feed {
    Feed {
        lab: "standard".to_owned(),
        name: "standard-mllp".to_owned(),
        door: Door::Mllp,
        mapping: "standard".to_owned(),
        clinics: vec!["automatic".to_owned()],
        senders: Senders::Any,
        processing_ids: vec!["P".to_owned()],
        on_store_failure: OnStoreFailure::Error,
        client_certificates: Vec::new(),
        routes: Vec::new(),
        application_acks: ApplicationAcks::None,
        control_ids: ControlIds::Unique,
        silence_alert: None,
    }
}

fn account_settings() -> accounts::Config {
    accounts::Config {
        user_agent: "Example Gateway (gateway@clinic.example)".to_owned(),
        rate_per_minute: 150,
        shards: vec!["uk1".to_owned()],
        request_life: Duration::from_mins(1),
        settle: Duration::from_mins(2),
    }
}
