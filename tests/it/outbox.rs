//! The outbox against a Cliniko that fails at each of the three writes: exactly one effect each (R7), and no look-up
//! before the waits that make it certain. A gateway in this process; the killed one is in `crash`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use haemosync_gateway::app;
use haemosync_gateway::clinical::workflow::Roles;
use haemosync_gateway::clinical::workflow::State;
use haemosync_gateway::clock::SystemClock;
use haemosync_gateway::config;
use haemosync_gateway::pipeline::records::CaseId;
use haemosync_gateway::pipeline::records::call;
use haemosync_gateway::pipeline::records::call::FoundBy;
use haemosync_gateway::pipeline::records::call::Phase;
use haemosync_gateway::pipeline::records::case;
use haemosync_gateway::pipeline::records::clinic::Clinic;
use haemosync_gateway::pipeline::records::clinic::Release;
use haemosync_gateway::pipeline::sessions;
use haemosync_gateway::pipeline::sessions::NewUser;
use haemosync_gateway::security::keys::MasterKey;
use haemosync_gateway::simulator::cliniko;
use haemosync_gateway::simulator::cliniko::Fault;
use haemosync_gateway::simulator::cliniko::FaultRule;
use haemosync_gateway::simulator::cliniko::Seed;
use haemosync_gateway::simulator::lab;
use haemosync_gateway::simulator::lab::Lab;
use haemosync_gateway::store::Change;
use haemosync_gateway::store::trail;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::crash::browser::Browser;
use crate::crash::checks;
use crate::crash::clinician;
use crate::crash::clinician::LOOK_EVERY;
use crate::crash::laboratory;
use crate::crash::laboratory::Ordered;
use crate::crash::next_call;
use crate::crash::process::SENDER;

const CLINIC: &str = "outbox-clinic";
const EMAIL: &str = "clinician@outbox.example";
const PASSWORD: &str = "an invented passphrase";
/// As configured. The lane looks every second, so that the first look-up comes within `LIFE` and a second: before the
/// lag of a list ends. The second look-up comes after it.
const LIFE: Duration = Duration::from_millis(700);
const SETTLE: Duration = Duration::from_secs(3);
const LIST_LAG_SECONDS: u8 = 3;
const PATIENCE: Duration = Duration::from_secs(30);

/// What goes wrong at one write.
struct Trouble {
    faults: &'static [Fault],
    /// How long after the write began it must at least take until it is known to have happened.
    least: Duration,
    found_by: FoundBy,
}

const fn trouble(faults: &'static [Fault], least: Duration, found_by: FoundBy) -> Trouble {
    Trouble { faults, least, found_by }
}

const TROUBLES: [Trouble; 7] = [
    trouble(&[Fault::EffectThenTimeout], LIFE, FoundBy::LookUp),
    trouble(&[Fault::EffectThenError], LIFE, FoundBy::LookUp),
    trouble(&[Fault::Reset], LIFE, FoundBy::LookUp),
    // The first look-up finds nothing, though it happened: only the second may be believed.
    trouble(&[Fault::EffectThenTimeout, Fault::ListLag], LIFE.saturating_add(SETTLE), FoundBy::LookUp),
    // It did not happen: it is written again, after two look-ups that found nothing.
    trouble(&[Fault::TimeoutBeforeEffect], LIFE.saturating_add(SETTLE), FoundBy::Answer),
    trouble(&[Fault::Unavailable], LIFE.saturating_add(SETTLE), FoundBy::Answer),
    trouble(&[Fault::TooManyRequests], Duration::ZERO, FoundBy::Answer),
];

#[tokio::test(flavor = "multi_thread")]
async fn r07_the_patients_file_is_filed_once_whatever_becomes_of_its_write() {
    check("patient-pdf", "/patient_attachments", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_the_clinicians_file_is_filed_once_whatever_becomes_of_its_write() {
    check("clinician-pdf", "/patient_attachments", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_the_note_is_written_once_whatever_becomes_of_its_write() {
    check("note", "/treatment_notes", 1).await;
}

/// Files one case for each trouble of one of its calls: the `nth` write to `path`.
async fn check(call_id: &str, path: &str, nth: u64) {
    let outbox = Outbox::start().await;
    let cases = outbox.cases(TROUBLES.len()).await;
    for (trouble, case) in TROUBLES.iter().zip(cases) {
        for fault in trouble.faults {
            let mut rule: FaultRule = next_call(*fault, "POST", Some(path));
            rule.matching.nth = Some(nth);
            if *fault == Fault::ListLag {
                rule.value = LIST_LAG_SECONDS.into();
            }
            outbox.cliniko.add_fault(rule);
        }
        outbox.approve(case).await;
        outbox.wait_for_state(case, State::Filed).await;
        outbox.cliniko.clear_faults();
        let effects = checks::effects(&outbox.cliniko.records());
        for call in call::of_case(&outbox.gateway.pipeline.store, CLINIC, case).unwrap() {
            let count = effects.iter().filter(|(marker, _)| *marker == call.marker).count();
            assert_eq!(count, 1, "effects of `{}` after {:?}", call.id, trouble.faults);
            if call.id == call_id {
                let Phase::Confirmed { found_by, .. } = call.phase else {
                    panic!("a filed call is confirmed")
                };
                assert_eq!(found_by, trouble.found_by, "after {:?}", trouble.faults);
                let took = outbox.took(case, call_id);
                assert!(took >= trouble.least, "known after {took:?} in spite of {:?}", trouble.faults);
            }
        }
    }
    assert_eq!(checks::effects(&outbox.cliniko.records()).len(), 3 * TROUBLES.len());
    assert_eq!(outbox.cliniko.forbidden(), Vec::<serde_json::Value>::new());
    outbox.gateway.stop().await;
}

struct Outbox {
    cliniko: cliniko::Running,
    gateway: app::Running,
    browser: Browser,
    _folder: TempDir,
}

impl Outbox {
    async fn start() -> Self {
        let cliniko = cliniko::Config { seed: Seed::Demo, rate_limit_per_minute: 0, ..Default::default() };
        let cliniko = cliniko::start(cliniko).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let gateway = app::start(configuration(&folder), clock.clone(), None).await.unwrap();
        let clinic = Clinic {
            name: CLINIC.to_owned(),
            cliniko_key: cliniko.key("practitioner").unwrap().to_owned().into(),
            shard: "uk1".to_owned(),
            dangerous_cliniko_url: Some(format!("http://{}/v1", cliniko.api)),
            release: Release::Automatic,
            nhs_number_field: Some(cliniko::NHS_NUMBER_TOKEN.to_owned()),
        };
        let store = &gateway.pipeline.store;
        let mut change = Change::new();
        clinic.put(&mut change);
        store.commit(change).await.unwrap();
        let roles = Roles { clinician: true, ..Roles::default() };
        let new = NewUser {
            clinic: CLINIC,
            email: EMAIL,
            name: "Dr Perpetua Examplewright",
            roles,
            password: PASSWORD,
        };
        sessions::add_user(store, clock.as_ref(), new).await.unwrap();
        let browser = Browser::sign_in(gateway.http, EMAIL, PASSWORD).await.unwrap();
        Self { cliniko, gateway, browser, _folder: folder }
    }

    fn http(&self) -> SocketAddr {
        self.gateway.http
    }

    /// So many cases in review: ordered, sent, matched.
    async fn cases(&self, count: usize) -> Vec<CaseId> {
        let mut orders = Vec::new();
        for (id, person) in clinician::patients(&self.cliniko.records()).into_iter().take(count) {
            let order = json!({ "patient_id": id, "tests": ["Full blood count"] });
            let placed = self.browser.post(self.http(), "/api/v1/orders", &order).await.unwrap();
            orders.push(Ordered { number: placed.text("order_number"), person, at: Instant::now() });
        }
        tokio::time::sleep(laboratory::AFTER_ORDER).await;
        let mut lab = Lab::connect(self.gateway.mllp.unwrap()).await.unwrap();
        for (number, ordered) in orders.into_iter().enumerate() {
            let answer = lab.send(&laboratory::sample("C", number, Some(ordered)).encode()).await.unwrap();
            assert_eq!(lab::code_of(&answer), "AA");
        }
        let began = Instant::now();
        loop {
            let page = self.browser.get(self.http(), "/api/v1/cases?state=in_review").await.unwrap().json();
            let cases = page["items"].as_array().unwrap();
            if cases.len() == count {
                return cases.iter().map(|case| case["id"].as_str().unwrap().parse().unwrap()).collect();
            }
            assert!(began.elapsed() < PATIENCE, "only {} of {count} cases came to review", cases.len());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn approve(&self, id: CaseId) {
        let path = format!("/api/v1/cases/{id}");
        let case = self.browser.get(self.http(), &path).await.unwrap().json();
        let signature = json!({ "version": case["version"], "content_sha256": case["content_sha256"] });
        let reply = self.browser.post(self.http(), &format!("{path}/approve"), &signature).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.json());
    }

    async fn wait_for_state(&self, id: CaseId, wanted: State) {
        let began = Instant::now();
        loop {
            let state = case::standing(&self.gateway.pipeline.store, id).unwrap().unwrap().state;
            if state == wanted {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "case {id} is {}", state.as_str());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// From the first beginning of a write to its confirmation, as the audit chain has it.
    fn took(&self, case: CaseId, call: &str) -> Duration {
        let entries = trail::entries(self.gateway.pipeline.store.backend(), 0, usize::MAX).unwrap();
        let at = |act: &str| {
            let mut ours = entries.iter().map(|(_, entry)| entry).filter(|it| it.object == case.to_string());
            ours.find(|it| it.act == act && it.detail["call"] == call).map(|it| it.at).unwrap()
        };
        at("call.confirmed").duration_since(at("call.registering")).unsigned_abs()
    }
}

fn configuration(folder: &TempDir) -> config::Config {
    let write = |name: &str, text: &str| {
        File::create(folder.path().join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    };
    write("master.key", MasterKey::generate_text().as_str());
    write(
        "gateway.toml",
        &format!(
            r#"[http]
listen = "127.0.0.1:0"
[inbound.mllp]
listen = "127.0.0.1:0"
[matching]
dangerous_test_nhs_numbers = true
[cliniko]
rate_per_minute = 60000
[cliniko.recovery]
request_life_ms = {}
settle_ms = {}
dangerous_fast = true
[[lab]]
name = "outbox-lab"
mapping = "standard"
clinics = ["{CLINIC}"]
[[lab.feed]]
name = "outbox-mllp"
kind = "mllp"
senders = ["{SENDER}"]
"#,
            LIFE.as_millis(),
            SETTLE.as_millis()
        ),
    );
    let (config, _) = config::load(Some(&folder.path().join("gateway.toml")), &BTreeMap::new()).unwrap();
    config
}
