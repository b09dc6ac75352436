//! The demonstration's world: a simulated Cliniko, a gateway in a temporary folder, a clinic and its people.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use anyhow::Context;
use serde_json::Value;

use crate::app;
use crate::cli::Failure;
use crate::cli::demo::feeds;
use crate::cli::demo::feeds::Feeds;
use crate::cli::demo::messages::By;
use crate::cli::demo::messages::SENDER;
use crate::cli::demo::text;
use crate::cli::send::door::Door;
use crate::clinical::workflow::Roles;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::config;
use crate::http;
use crate::pipeline::records::case::Case;
use crate::pipeline::records::clinic::Clinic;
use crate::pipeline::records::clinic::Release;
use crate::pipeline::sessions;
use crate::pipeline::sessions::NewUser;
use crate::security::keys::MasterKey;
use crate::security::keys::Scope;
use crate::simulator::cliniko;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Table;

pub(super) const CLINIC: &str = "demo-clinic";
/// The simulated Cliniko's field for the NHS number.
const NHS_NUMBER_FIELD: &str = cliniko::NHS_NUMBER_TOKEN;

/// Somebody who can sign in; everything about them is invented and ends with the demonstration.
pub(super) struct Person {
    pub(super) role: &'static str,
    pub(super) email: &'static str,
    pub(super) name: &'static str,
    pub(super) password: &'static str,
}

pub(super) const CLINICIAN: Person = Person {
    role: "clinician",
    email: "clinician@demo.example",
    name: "Dr Winifred Applethwaite (demo)",
    password: "demo clinician passphrase",
};
const PEOPLE: [Person; 3] = [
    CLINICIAN,
    Person {
        role: "administrator",
        email: "administrator@demo.example",
        name: "Mx Sidney Paperclip (demo)",
        password: "demo administrator passphrase",
    },
    Person {
        role: "support",
        email: "support@demo.example",
        name: "Mr Basil Frontdesk (demo)",
        password: "demo support passphrase",
    },
];

/// Everything that runs.
pub(super) struct World {
    pub(super) cliniko: cliniko::Running,
    pub(super) gateway: app::Running,
    pub(super) clock: Arc<dyn Clock>,
    feeds: Feeds,
    /// Messages the laboratory sent so far, by door.
    sent: Mutex<BTreeMap<By, usize>>,
    folder: Folder,
}

/// A folder that is removed when it is dropped.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a temporary folder is the operating system's to clear.
        let _gone_or_left = std::fs::remove_dir_all(&self.0);
    }
}

impl World {
    pub(super) async fn start() -> Result<Self, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let folder = Folder(std::env::temp_dir().join(format!("gateway-demo-{}", clock.new_id())));
        let simulated = cliniko::Config {
            seed: cliniko::Seed::Demo,
            rate_limit_per_minute: 0,
            ..cliniko::Config::default()
        };
        let cliniko = cliniko::start(simulated).await.context("cannot start the simulated Cliniko")?;
        let feeds = Feeds::drawn(clock.as_ref());
        let config = configuration(&folder.0, &feeds)?;
        let demo = http::Demo::default();
        let gateway = app::start(config, Arc::clone(&clock), Some(demo.clone())).await?;
        let world = Self { cliniko, gateway, clock, feeds, sent: Mutex::default(), folder };
        world.furnish().await?;
        demo.welcome(world.welcome());
        Ok(world)
    }

    /// Adds the clinic with its Cliniko account, and its people.
    async fn furnish(&self) -> anyhow::Result<()> {
        let key = self.cliniko.key("practitioner").context("the simulated Cliniko has no practitioner")?;
        let clinic = Clinic {
            name: CLINIC.to_owned(),
            cliniko_key: key.to_owned().into(),
            shard: "uk1".to_owned(),
            dangerous_cliniko_url: Some(format!("http://{}/v1", self.cliniko.api)),
            release: Release::Manual,
            nhs_number_field: Some(NHS_NUMBER_FIELD.to_owned()),
        };
        let store = &self.gateway.pipeline.store;
        let mut change = Change::new();
        clinic.put(&mut change);
        store.commit(change).await?;
        for person in &PEOPLE {
            let is = |role| person.role == role;
            let roles = Roles {
                administrator: is("administrator"),
                clinician: is("clinician"),
                support: is("support"),
                ..Roles::default()
            };
            let new = NewUser {
                clinic: CLINIC,
                email: person.email,
                name: person.name,
                roles,
                password: person.password,
            };
            sessions::add_user(store, self.clock.as_ref(), new).await?;
        }
        Ok(())
    }

    fn welcome(&self) -> http::Welcome {
        let account = |it: &Person| http::Account {
            role: it.role.to_owned(),
            email: it.email.to_owned(),
            password: it.password.to_owned(),
        };
        http::Welcome {
            accounts: PEOPLE.iter().map(account).collect(),
            links: vec![(
                "What the simulated Cliniko holds".to_owned(),
                format!("http://{}/records", self.cliniko.control),
            )],
        }
    }

    /// The laboratory's way to the gateway by a door that is not MLLP.
    pub(super) fn door(&self, by: By) -> anyhow::Result<Door> {
        self.feeds.door(by, &self.gateway)
    }

    pub(super) fn count_sent(&self, by: By) {
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner).entry(by).or_default() += 1;
    }

    /// How many messages were sent by each door.
    pub(super) fn sent_by_door(&self) -> Vec<(By, usize)> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        By::ALL.map(|by| (by, sent.get(&by).copied().unwrap_or_default())).to_vec()
    }

    pub(super) fn sent(&self) -> usize {
        self.sent_by_door().into_iter().map(|(_, sent)| sent).sum()
    }

    /// Whether each file in Cliniko is byte for byte one that a clinician approved.
    pub(super) fn cliniko_effects_are_approved(&self, records: &Value) -> anyhow::Result<bool> {
        let store = &self.gateway.pipeline.store;
        let mut approved = BTreeSet::new();
        let scope = Scope::Clinic(CLINIC.to_owned());
        for (_, row) in store.scan_sealed(&Scan::all(Table::Cases), &scope)? {
            let case: Case = serde_json::from_slice(&row)?;
            if let Some(approval) = case.approval {
                approved.extend([approval.clinician_pdf_sha256, approval.patient_pdf_sha256]);
            }
        }
        let files = records.get("patient_attachments").and_then(Value::as_array);
        let ours = files.into_iter().flatten().filter(|row| text(row, "description").contains("LAB-"));
        Ok(ours.map(|row| text(row, "sha256")).all(|digest| approved.contains(digest)))
    }

    /// The addresses and the invented credentials, for a person at the terminal.
    pub(super) fn where_to_look(&self) -> String {
        let mllp = self
            .gateway
            .mllp
            .map_or_else(|| "off".to_owned(), |it| format!("mllp://{it}   (sender {SENDER})"));
        let sftp = self.gateway.sftp.map(|it| it.to_string()).unwrap_or_default();
        let mut lines = vec![
            String::new(),
            format!("The gateway's page    http://{}/", self.gateway.http),
            format!("MLLP                  {mllp}"),
            format!("FHIR                  http://{}/fhir", self.gateway.http),
            format!("Signed JSON           http://{}/inbound/{}", self.gateway.http, feeds::JSON),
            format!("SFTP                  sftp://{}@{sftp}", feeds::SFTP),
            format!("Simulated Cliniko     http://{}/records", self.cliniko.control),
        ];
        lines.extend(PEOPLE.iter().map(|it| format!("{:<21} {}  /  {}", it.role, it.email, it.password)));
        lines.join("\n")
    }

    pub(super) async fn stop(self) {
        let Self { cliniko, gateway, folder, .. } = self;
        gateway.stop().await;
        cliniko.stop().await;
        drop(folder);
    }
}

/// Writes a key and a configuration as an operator would, and reads them the same way.
#[expect(clippy::disallowed_methods, reason = "the demonstration furnishes a temporary folder")]
fn configuration(folder: &std::path::Path, feeds: &Feeds) -> Result<config::Config, Failure> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("master.key"), MasterKey::generate_text().as_bytes())?;
    for (name, text) in feeds.secrets() {
        std::fs::write(folder.join(name), text.as_bytes())?;
    }
    let file = folder.join("gateway.toml");
    let (feeds, host_key) = (feeds.toml(), feeds::HOST_KEY);
    std::fs::write(
        &file,
        format!(
            r#"[http]
listen = "127.0.0.1:0"
[inbound.mllp]
listen = "127.0.0.1:0"
[inbound.sftp]
listen = "127.0.0.1:0"
host_key = {{ file = "{host_key}" }}
[cliniko]
rate_per_minute = 6000
[matching]
dangerous_test_nhs_numbers = true
[[lab]]
name = "demo-lab"
mapping = "standard"
clinics = ["{CLINIC}"]
[[lab.feed]]
name = "demo-mllp"
kind = "mllp"
senders = ["{SENDER}"]
{feeds}"#
        ),
    )?;
    let (config, _) = config::load(Some(&file), &BTreeMap::new()).map_err(Failure::Configuration)?;
    Ok(config)
}
