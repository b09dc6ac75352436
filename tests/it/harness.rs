//! A whole gateway on real sockets, on a temporary folder, beside a simulated Cliniko: what journeys are told with.
//!
//! [`TestGateway::finish`] checks the laws that hold after every journey: no work is left, the audit chain verifies,
//! no message vanished (R24), Cliniko saw no call outside the allow-list (R8) and no file that nobody approved (R11),
//! and no log line names one of the fixtures' deliberately odd patients.

#![expect(clippy::disallowed_methods, reason = "the key and the configuration of a test's own folder")]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use haemosync_gateway::app;
use haemosync_gateway::audit::Link;
use haemosync_gateway::clinical::workflow::Roles;
use haemosync_gateway::clock::Clock;
use haemosync_gateway::clock::SystemClock;
use haemosync_gateway::config;
use haemosync_gateway::http::admin;
use haemosync_gateway::pipeline::Pipeline;
use haemosync_gateway::pipeline::accounts;
use haemosync_gateway::pipeline::feeds::Feed;
use haemosync_gateway::pipeline::intake::Intake;
use haemosync_gateway::pipeline::records::MessageId;
use haemosync_gateway::pipeline::records::case;
use haemosync_gateway::pipeline::records::clinic::Clinic;
use haemosync_gateway::pipeline::records::clinic::Release;
use haemosync_gateway::pipeline::records::job;
use haemosync_gateway::pipeline::records::message;
use haemosync_gateway::pipeline::records::message::State;
use haemosync_gateway::pipeline::review;
use haemosync_gateway::pipeline::sessions;
use haemosync_gateway::pipeline::sessions::NewUser;
use haemosync_gateway::security::keys::MasterKey;
use haemosync_gateway::simulator::cliniko;
use haemosync_gateway::simulator::lab::Lab;
use haemosync_gateway::simulator::lab::Observation;
use haemosync_gateway::simulator::lab::Person;
use haemosync_gateway::simulator::lab::Sample;
use haemosync_gateway::store::Change;
use haemosync_gateway::store::Scan;
use haemosync_gateway::store::Store;
use haemosync_gateway::store::Table;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tracing_subscriber::EnvFilter;

pub(crate) const CLINIC: &str = "test";
/// Another clinic of the same gateway, with the same Cliniko account behind it.
pub(crate) const ELSEWHERE: &str = "elsewhere";
pub(crate) const SENDER: &str = "LAB|FAC";
pub(crate) const APPROVER: &str = "Dr Rowena Examplewright";
const PASSWORD: &str = "a long invented passphrase";
/// How long anything may take before a test gives up; machines that build at the same time are slow.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Every log line of the process, from `trace` on.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct LogSink;

impl io::Write for LogSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What one test's gateway has otherwise.
pub(crate) struct Setup {
    pub(crate) release: Release,
    /// Whose key of the simulated Cliniko the clinic uses.
    pub(crate) key_of: &'static str,
    /// None: the system's.
    pub(crate) clock: Option<Arc<dyn Clock>>,
    /// More lines for `[inbound.mllp]`.
    pub(crate) mllp: &'static str,
    /// More tables of `gateway.toml`.
    pub(crate) more: String,
}

impl Default for Setup {
    fn default() -> Self {
        let (clock, more) = (None, String::new());
        Self { release: Release::Automatic, key_of: "practitioner", clock, mllp: "", more }
    }
}

pub(crate) struct TestGateway {
    running: Option<app::Running>,
    simulated: cliniko::Running,
    clock: Arc<dyn Clock>,
    folder: TempDir,
    /// Messages that were answered, or owed no answer.
    sent: AtomicI64,
    finished: bool,
}

/// An answer of the HTTP faces.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body of a request that was done.
    pub(crate) fn done(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The status and our code: what a refusal is known by.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// Somebody of a clinic who is signed in.
pub(crate) struct User {
    pub(crate) email: String,
    pub(crate) token: String,
}

/// A patient with an order for a test.
pub(crate) struct Ordered {
    pub(crate) person: Person,
    pub(crate) number: String,
}

impl TestGateway {
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub(crate) async fn start_with(setup: Setup) -> Self {
        capture_log();
        let clock = setup.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new()));
        let simulated =
            cliniko::Config { seed: cliniko::Seed::Demo, rate_limit_per_minute: 0, ..Default::default() };
        let simulated = cliniko::start(simulated).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("master.key"), MasterKey::generate_text().as_bytes()).unwrap();
        fs::write(folder.path().join("gateway.toml"), configuration(&setup)).unwrap();
        let mut gateway =
            Self { running: None, simulated, clock, folder, sent: AtomicI64::new(0), finished: false };
        gateway.start_again().await;
        for name in [CLINIC, ELSEWHERE] {
            gateway.add_clinic(name, &setup).await;
        }
        gateway
    }

    /// Changes the configuration of the next start.
    pub(crate) fn configure(&self, setup: &Setup) {
        fs::write(self.folder.path().join("gateway.toml"), configuration(setup)).unwrap();
    }

    /// Whether a log line holds all of these.
    pub(crate) fn has_logged(parts: &[&str]) -> bool {
        let log = String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned();
        log.lines().any(|line| parts.iter().all(|part| line.contains(part)))
    }

    /// Starts the gateway on the folder as it is.
    pub(crate) async fn start_again(&mut self) {
        let file = self.folder.path().join("gateway.toml");
        let started = until(async || {
            let (config, _) = config::load(Some(&file), &BTreeMap::new()).unwrap();
            // The run before may hold the store for as long as its last threads take to end.
            app::start(config, Arc::clone(&self.clock), None).await.ok()
        });
        self.running = Some(started.await);
    }

    /// Ends the gateway as an operator would.
    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    /// Gives the running gateway away, to be stopped beside something else.
    pub(crate) fn take_running(&mut self) -> app::Running {
        self.running.take().unwrap()
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Starts again with another text in the configuration, as an operator who mends it.
    pub(crate) async fn reconfigure(&mut self, from: &str, to: &str) {
        let file = self.folder.path().join("gateway.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(&file, text.replace(from, to)).unwrap();
        self.restart().await;
    }

    async fn add_clinic(&self, name: &str, setup: &Setup) {
        let mut change = Change::new();
        Clinic {
            name: name.to_owned(),
            cliniko_key: self.simulated.key(setup.key_of).unwrap().to_owned().into(),
            shard: "uk1".to_owned(),
            dangerous_cliniko_url: Some(format!("http://{}/v1", self.simulated.api)),
            release: setup.release,
            nhs_number_field: Some(cliniko::NHS_NUMBER_TOKEN.to_owned()),
        }
        .put(&mut change);
        self.store().commit(change).await.unwrap();
    }

    fn running(&self) -> &app::Running {
        self.running.as_ref().unwrap()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.running().pipeline.store
    }

    /// The door every other door leads to.
    pub(crate) fn intake(&self) -> Intake {
        Intake::new(Arc::clone(&self.running().pipeline))
    }

    pub(crate) fn feed(&self, name: &str) -> Arc<Feed> {
        Arc::clone(self.running().pipeline.feeds.named(name).unwrap())
    }

    pub(crate) fn pipeline(&self) -> Arc<Pipeline> {
        Arc::clone(&self.running().pipeline)
    }

    /// The acts of the audit chain, in order, each with what it was done to.
    pub(crate) fn acts(&self) -> Vec<(String, String)> {
        let mut acts = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let mut scan = Scan::all(Table::Audit);
            if let Some(key) = &after {
                scan = scan.after(key);
            }
            let rows = self.store().backend().scan(&scan).unwrap();
            let Some((last, _)) = rows.last() else { return acts };
            after = Some(last.clone());
            for (_, row) in &rows {
                let link = Link::from_bytes(row).unwrap();
                let entry: Value = serde_json::from_slice(&link.line).unwrap();
                let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
                acts.push((text("act"), text("object")));
            }
        }
    }

    pub(crate) fn mllp(&self) -> SocketAddr {
        self.running().mllp.unwrap()
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.running().http
    }

    pub(crate) fn mllps(&self) -> SocketAddr {
        self.running().mllps.unwrap()
    }

    pub(crate) fn sftp(&self) -> SocketAddr {
        self.running().sftp.unwrap()
    }

    /// The names of all files in the gateway's folder.
    pub(crate) fn tree(&self) -> BTreeSet<PathBuf> {
        let folders = [self.folder.path().to_owned(), self.data()];
        let entries = folders.iter().flat_map(|it| fs::read_dir(it).unwrap());
        entries.map(|it| it.unwrap().path()).collect()
    }

    pub(crate) fn cliniko(&self) -> &cliniko::Running {
        &self.simulated
    }

    /// Cliniko's patients cannot be asked for, until the faults are cleared.
    pub(crate) fn lose_patients(&self) {
        let down = json!({"match": {"path": "/patients*"}, "do": "502-html"});
        self.simulated.add_fault(serde_json::from_value(down).unwrap());
    }

    /// What the gateway wrote to Cliniko: files, then notes.
    pub(crate) fn written(&self) -> (Vec<Value>, Vec<Value>) {
        let records = self.simulated.records();
        let ours = |list: &str, field: &str| {
            let rows = records[list].as_array().unwrap().iter();
            rows.filter(|row| row[field].as_str().is_some_and(|it| it.contains("LAB-"))).cloned().collect()
        };
        (ours("patient_attachments", "description"), ours("treatment_notes", "title"))
    }

    /// Now, to the millisecond, as HL7 writes it: a specimen taken now was taken after what was ordered before.
    pub(crate) fn time(&self) -> String {
        self.clock.now().strftime("%Y%m%d%H%M%S%.3f+0000").to_string()
    }

    /// Sends one message on a connection of its own; its answer.
    pub(crate) async fn send(&self, message: &[u8]) -> Vec<u8> {
        self.count(1);
        Lab::connect(self.mllp()).await.unwrap().send(message).await.unwrap()
    }

    /// Counts messages that a test sends by itself.
    pub(crate) fn count(&self, messages: i64) {
        self.sent.fetch_add(messages, Ordering::Relaxed);
    }

    /// Sends a message that is accepted, and waits until its case is prepared.
    pub(crate) async fn deliver(&self, sample: &Sample) {
        let answer = self.send(&sample.encode()).await;
        assert!(
            String::from_utf8_lossy(&answer).contains("\rMSA|AA|"),
            "not accepted: {} bytes",
            answer.len()
        );
        self.wait_until_quiet().await;
    }

    /// Waits until no job is left in any lane.
    pub(crate) async fn wait_until_quiet(&self) {
        until(async || (job::waiting(self.store()).unwrap() == 0).then_some(())).await;
    }

    pub(crate) fn counted(&self, state: State) -> i64 {
        self.store().counter(&state.counter()).unwrap()
    }

    pub(crate) fn duplicates(&self) -> i64 {
        self.store().counter(message::DUPLICATES).unwrap()
    }

    /// The bytes of every kept message of the laboratory, oldest first.
    pub(crate) fn kept(&self) -> Vec<Vec<u8>> {
        let rows = self.store().scan_plain(&Scan::all(Table::MessageStates)).unwrap();
        let load = |key: &[u8]| {
            let id = key.try_into().unwrap();
            let standing = message::standing(self.store(), id).unwrap().unwrap();
            message::load(self.store(), id, &standing.scope()).unwrap().unwrap().raw
        };
        rows.iter().map(|(key, _)| load(key)).collect()
    }

    /// A patient of the simulated clinic by surname and given name, with their Cliniko id.
    pub(crate) fn patient(&self, given: &str, family: &str) -> (String, Person) {
        let records = self.simulated.records();
        let patients = records["patients"].as_array().unwrap();
        let found =
            patients.iter().find(|it| it["last_name"] == family && it["first_name"] == given).unwrap();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        let number = found.pointer("/custom_fields/sections/0/fields/0/value").and_then(Value::as_str);
        let person = Person {
            nhs_number: number.unwrap_or_default().to_owned(),
            family: family.to_owned(),
            given: given.to_owned(),
            birth_date: text("date_of_birth").replace('-', ""),
            sex: text("sex").chars().take(1).collect(),
            postcode: text("post_code"),
        };
        (text("id"), person)
    }

    /// Orders urea and electrolytes for a patient, whom the laboratory then knows by name.
    pub(crate) async fn order(&self, by: &User, given: &str, family: &str) -> Ordered {
        let (id, person) = self.patient(given, family);
        let body = json!({"patient_id": id, "tests": ["Urea and electrolytes"]});
        let order = self.post("/api/v1/orders", by, &body).await.done();
        Ordered { person, number: order["order_number"].as_str().unwrap().to_owned() }
    }

    /// A final report of one panel.
    pub(crate) fn sample(&self, control_id: &str, ordered: &Ordered, results: &[Observation]) -> Sample {
        Sample {
            control_id: control_id.to_owned(),
            sender: SENDER.to_owned(),
            time: self.time(),
            patient: ordered.person.clone(),
            filler_number: format!("26-{control_id}"),
            order_number: ordered.number.clone(),
            panel: "24362-6^Urea and electrolytes^LN".to_owned(),
            status: "F".to_owned(),
            results: results.to_vec(),
            note: None,
        }
    }

    pub(crate) async fn sign_in(&self, clinic: &str, role: &str) -> User {
        let email = format!("{role}@{clinic}.example");
        let is = |it| role == it;
        let roles = Roles {
            administrator: is("administrator"),
            clinician: is("clinician"),
            integrator: is("integrator"),
            support: is("support"),
            gateway: false,
        };
        let new = NewUser { clinic, email: &email, name: APPROVER, roles, password: PASSWORD };
        sessions::add_user(self.store(), self.clock.as_ref(), new).await.unwrap();
        let token = self.open_session(&email).await.done()["token"].as_str().unwrap().to_owned();
        User { email, token }
    }

    pub(crate) async fn open_session(&self, email: &str) -> Reply {
        let body = json!({"email": email, "password": PASSWORD});
        let stream = TcpStream::connect(self.running().http).await.unwrap();
        ask(stream, "POST", "/api/v1/session", "", &body).await
    }

    /// Takes a person's account away through the operator's socket.
    pub(crate) async fn revoke(&self, user: &User) {
        let stream = UnixStream::connect(self.data().join(admin::SOCKET_NAME)).await.unwrap();
        ask(stream, "POST", "/users/revoke", "", &json!({"email": user.email})).await.done();
    }

    /// Has a held message read again, as `gateway message replay` does.
    pub(crate) async fn replay(&self, id: MessageId) {
        self.operate("POST", &format!("/messages/{id}/replay"), &Value::Null).await.done();
    }

    /// Asks through the operator's socket.
    pub(crate) async fn operate(&self, method: &str, path: &str, body: &Value) -> Reply {
        let stream = UnixStream::connect(self.data().join(admin::SOCKET_NAME)).await.unwrap();
        ask(stream, method, path, "", body).await
    }

    /// The ids of all kept messages, oldest first.
    pub(crate) fn ids(&self) -> Vec<MessageId> {
        let rows = self.store().scan_plain(&Scan::all(Table::MessageStates)).unwrap();
        rows.iter().map(|(key, _)| key.as_slice().try_into().unwrap()).collect()
    }

    /// The codes of what is said of a message.
    pub(crate) fn codes(&self, id: MessageId) -> Vec<String> {
        let standing = message::standing(self.store(), id).unwrap().unwrap();
        let said = message::diagnostics(self.store(), id, &standing.scope()).unwrap();
        said.iter().map(|it| it.code.as_str().to_owned()).collect()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) async fn get(&self, path: &str, by: &User) -> Reply {
        let stream = TcpStream::connect(self.running().http).await.unwrap();
        ask(stream, "GET", path, &by.token, &Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, by: &User, body: &Value) -> Reply {
        let stream = TcpStream::connect(self.running().http).await.unwrap();
        ask(stream, "POST", path, &by.token, body).await
    }

    pub(crate) async fn metrics(&self) -> String {
        self.face("/metrics").await.text()
    }

    /// What anybody sees who is not signed in.
    pub(crate) async fn face(&self, path: &str) -> Reply {
        let stream = TcpStream::connect(self.running().http).await.unwrap();
        ask(stream, "GET", path, "", &Value::Null).await
    }

    /// The clinic's cases in the order of its list; all states where `state` is empty.
    pub(crate) async fn cases(&self, by: &User, state: &str) -> Vec<Value> {
        let page = self.get(&format!("/api/v1/cases?state={state}"), by).await.done();
        assert_eq!(page["next"], Value::Null, "more than a page");
        page["items"].as_array().unwrap().clone()
    }

    /// What a clinician sees of the only case in a state.
    pub(crate) async fn only_case(&self, by: &User, state: &str) -> Value {
        let cases = self.cases(by, state).await;
        assert_eq!(cases.len(), 1, "cases {state}: {cases:?}");
        self.case(by, &cases[0]).await
    }

    pub(crate) async fn case(&self, by: &User, case: &Value) -> Value {
        self.get(&path_of(case), by).await.done()
    }

    /// Approves a case as it was shown.
    pub(crate) async fn approve(&self, by: &User, shown: &Value) -> Reply {
        let signature = json!({"version": shown["version"], "content_sha256": shown["content_sha256"]});
        self.post(&format!("{}/approve", path_of(shown)), by, &signature).await
    }

    pub(crate) async fn release(&self, by: &User, shown: &Value) -> Reply {
        self.post(&format!("{}/release", path_of(shown)), by, &Value::Null).await
    }

    /// Checks the laws, and ends everything.
    pub(crate) async fn finish(mut self) {
        self.finished = true;
        self.wait_until_quiet().await;
        let audit = self.store().verify_audit(None).unwrap();
        assert!(audit.verified, "the audit chain does not verify");
        let rows = self.store().scan_plain(&Scan::all(Table::MessageStates)).unwrap().len();
        let rows = i64::try_from(rows).unwrap();
        let by_state: i64 = State::ALL.into_iter().map(|state| self.counted(state)).sum();
        assert_eq!(rows, by_state, "R24: each kept message is in exactly one state");
        let further = self.store().counter(message::FURTHER_READINGS).unwrap();
        assert_eq!(
            self.sent.load(Ordering::Relaxed),
            rows - further + self.duplicates(),
            "R24: sent = kept, but for further readings, + duplicates"
        );
        assert!(self.simulated.forbidden().is_empty(), "R8: {:?}", self.simulated.forbidden());
        let (files, _) = self.written();
        let approved = self.approved_documents();
        for file in files {
            assert!(
                approved.contains(file["sha256"].as_str().unwrap()),
                "R11: nobody approved {}",
                file["id"]
            );
        }
        self.stop().await;
        self.check_log();
    }

    /// The digests of all documents that a clinician approved.
    fn approved_documents(&self) -> BTreeSet<String> {
        let mut approved = BTreeSet::new();
        for (clinic, state) in
            [CLINIC, ELSEWHERE].into_iter().flat_map(|it| review::STATES.map(|state| (it, state)))
        {
            let prefix = case::worklist_prefix(clinic, state);
            for (_, id) in case::worklist(self.store(), &prefix, None, 1000).unwrap() {
                let stored = case::load(self.store(), clinic, id).unwrap().unwrap();
                let approval = stored.case.approval.into_iter();
                approved.extend(approval.flat_map(|it| [it.clinician_pdf_sha256, it.patient_pdf_sha256]));
            }
        }
        approved
    }

    fn check_log(&self) {
        const NAME_LETTERS_MIN: usize = 5;
        let log = String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned();
        assert!(log.contains("stopped"), "the log is not captured");
        for patient in self.simulated.records()["patients"].as_array().unwrap() {
            for field in ["/first_name", "/last_name", "/custom_fields/sections/0/fields/0/value"] {
                let text = patient.pointer(field).and_then(Value::as_str).unwrap_or_default();
                let line = log.lines().find(|line| text.len() >= NAME_LETTERS_MIN && line.contains(text));
                assert!(line.is_none(), "a log line names a patient: {line:?}");
            }
        }
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        assert!(
            self.finished || std::thread::panicking(),
            "the test did not call `finish`, so no law was checked"
        );
    }
}

/// Keeps every log line of the process from now on.
pub(crate) fn capture_log() {
    let lines = tracing_subscriber::fmt().with_writer(|| LogSink).with_ansi(false);
    let _started_by_another_test =
        lines.with_env_filter(EnvFilter::new("haemosync_gateway=trace")).try_init();
}

/// For a pipeline that asks no Cliniko anything.
pub(crate) fn no_accounts() -> accounts::Config {
    accounts::Config {
        user_agent: String::new(),
        rate_per_minute: 1,
        shards: Vec::new(),
        request_life: Duration::from_mins(1),
        settle: Duration::from_mins(2),
    }
}

/// How often a test does something: by the environment's word, else as often as every run can afford.
pub(crate) fn option(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where a case is found, from any JSON that has its id.
pub(crate) fn path_of(case: &Value) -> String {
    format!("/api/v1/cases/{}", case["id"].as_str().unwrap())
}

/// Looks again and again until there is something; fails after [`PATIENCE`].
pub(crate) async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it did not happen in time")
}

fn configuration(setup: &Setup) -> String {
    let Setup { mllp, more, .. } = setup;
    format!(
        r#"[http]
listen = "127.0.0.1:0"
[inbound.mllp]
listen = "127.0.0.1:0"
{mllp}
[cliniko]
rate_per_minute = 60000
[matching]
dangerous_test_nhs_numbers = true
[[lab]]
name = "standard"
mapping = "standard"
clinics = ["{CLINIC}"]
[[lab.feed]]
name = "standard-mllp"
kind = "mllp"
senders = ["{SENDER}"]
{more}
"#
    )
}

/// One HTTP request on a connection of its own.
async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let bearer = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{bearer}{kind}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "this client does not read chunks");
    Reply { status: head.split(' ').nth(1).unwrap().parse().unwrap(), body: bytes[end + 4..].to_vec() }
}
