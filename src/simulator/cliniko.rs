//! A Cliniko account on the wire, with its object store and a control listener for tests.
//!
//! Written from the reference on Cliniko's API alone and sharing no code with the side it tests.
//! Where Cliniko is lenient or its behaviour unknown, this is strict, with a [`Switch`]. Archiving
//! and editing work, so that a client that does either is seen to have changed data, and each such
//! call is listed as forbidden. Start reading at [`start`], then `api`.

mod access;
mod api;
mod attachments;
mod control;
mod faults;
mod filters;
mod journal;
mod md5;
mod multipart;
mod notes;
mod object_store;
mod policy;
mod query;
mod records;
mod sanitiser;
mod seed;
mod wire;
mod world;
mod writes;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::simulator::cliniko::policy::Signer;
use crate::simulator::cliniko::records::Resource;
use crate::simulator::cliniko::world::Rules;
use crate::simulator::cliniko::world::World;

pub use crate::simulator::cliniko::faults::Fault;
pub use crate::simulator::cliniko::faults::FaultMatch;
pub use crate::simulator::cliniko::faults::FaultRule;
pub use crate::simulator::cliniko::faults::Host;
pub use crate::simulator::cliniko::seed::NHS_NUMBER_TOKEN;
pub use crate::simulator::cliniko::seed::Seed;

/// The outside world's clock.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Largest body of an API or control call.
const API_BODY_BYTES_MAX: usize = 1 << 20;
/// Largest form the store reads at all; the policy's own limit is [`Config::upload_bytes_max`].
const STORE_BODY_BYTES_MAX: usize = 32 << 20;

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot listen for the simulated {listener} on {address}")]
    Bind { listener: &'static str, address: SocketAddr, source: io::Error },
    #[error("the seed has the wrong shape at `{path}`")]
    Seed { path: String },
}

/// Departures from the strict default, and behaviours an account can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Switch {
    /// A record that is archived is still found by its id.
    ArchivedShownById,
    /// A bad `upload_url` is reported under `upload_url` (2026), not `temp_attachment_url` (2019 to 2021).
    ErrorsNameUploadUrl,
    /// Records carry a field that no documentation names.
    ExtraFields,
    /// Practitioners read only the notes they wrote themselves.
    OwnNotesOnly,
    /// The presigned URL ends in a slash, as the guide's sample does.
    PresignTrailingSlash,
    /// A missing or unusable `Accept` is answered 406, not only recorded.
    RefuseWithoutAccept,
    /// A User-Agent without a name and an e-mail address is answered 403, not only recorded.
    RefuseWithoutUserAgent,
    /// The rate window slides; by default it is the clock's minute.
    SlidingRateWindow,
}

#[derive(Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub store_listen: SocketAddr,
    pub control_listen: SocketAddr,
    pub shard: String,
    pub seed: Seed,
    pub faults: Vec<FaultRule>,
    pub switches: BTreeSet<Switch>,
    /// Per user, over all of that user's keys. 0 is no limit.
    pub rate_limit_per_minute: u32,
    /// How long a new record stays out of lists.
    pub list_lag_ms: u32,
    /// How long a registered file is processed.
    pub processing_delay_ms: u32,
    pub policy_lifetime_seconds: u32,
    pub upload_bytes_max: usize,
    pub now: Now,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: loopback,
            store_listen: loopback,
            control_listen: loopback,
            shard: "uk1".to_owned(),
            seed: Seed::default(),
            faults: Vec::new(),
            switches: BTreeSet::new(),
            rate_limit_per_minute: 200,
            list_lag_ms: 0,
            processing_delay_ms: 250,
            policy_lifetime_seconds: 3600,
            upload_bytes_max: 20 << 20,
            now: Arc::new(system_now),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Config")
            .field("listen", &self.listen)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

/// A key as a user of Cliniko would be shown it. The one of another shard has the role `other_shard`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IssuedKey {
    pub user: String,
    pub role: String,
    pub key: String,
}

/// A simulator that answers until it is stopped or dropped.
pub struct Running {
    pub api: SocketAddr,
    pub store: SocketAddr,
    pub control: SocketAddr,
    pub keys: Vec<IssuedKey>,
    world: World,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
}

type Answering = fn(&World, &wire::Received) -> wire::Sent;

/// Opens the three listeners and serves on them in the background.
pub async fn start(config: Config) -> Result<Running, Error> {
    let planted = config.seed.clone().plant(&config.shard)?;
    let (api, api_address) = bind("API", config.listen).await?;
    let (store, store_address) = bind("store", config.store_listen).await?;
    let (control, control_address) = bind("control", config.control_listen).await?;
    let world = World::new(rules(&config, api_address, store_address), config.now, planted);
    {
        let (mut state, _) = world.state();
        for rule in config.faults {
            state.faults.add(rule);
        }
    }
    let (stop, stopped) = watch::channel(false);
    let served: [(TcpListener, usize, Answering); 3] = [
        (api, API_BODY_BYTES_MAX, api::answer),
        (store, STORE_BODY_BYTES_MAX, object_store::answer),
        (control, API_BODY_BYTES_MAX, control::answer),
    ];
    let listeners = served
        .into_iter()
        .map(|(listener, body_bytes_max, answer)| {
            let world = world.clone();
            let service: wire::Service = Arc::new(move |received| answer(&world, received));
            tokio::spawn(wire::serve(listener, body_bytes_max, service, stopped.clone()))
        })
        .collect();
    let keys = issued(&world, &config.shard);
    Ok(Running {
        api: api_address,
        store: store_address,
        control: control_address,
        keys,
        world,
        stop,
        listeners,
    })
}

impl Running {
    /// The first key of a role, as `"practitioner"`.
    pub fn key(&self, role: &str) -> Option<&str> {
        self.keys.iter().find(|issued| issued.role == role).map(|issued| issued.key.as_str())
    }

    /// All patients, files and notes, as the control listener's `GET /records`.
    pub fn records(&self) -> Value {
        control::records(&self.world)
    }

    /// Calls outside the allow-list; empty in a good run.
    pub fn forbidden(&self) -> Vec<Value> {
        control::forbidden(&self.world)
    }

    /// Every call to the API and the store, oldest first.
    pub fn requests(&self) -> Vec<Value> {
        control::requests(&self.world)
    }

    pub fn add_fault(&self, rule: FaultRule) {
        self.world.state().0.faults.add(rule);
    }

    pub fn clear_faults(&self) {
        self.world.state().0.faults.clear();
    }

    /// Moves the simulator's clock ahead: the rate window, policies, processing, list lag.
    pub fn advance(&self, by: SignedDuration) {
        self.world.state().0.advance(by);
    }

    /// Closes the listeners and their connections, and waits for both.
    pub async fn stop(self) {
        // No receiver is left only when the listeners have ended already.
        let _told = self.stop.send(true);
        for listener in self.listeners {
            let _ended = listener.await;
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Running")
            .field("api", &self.api)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

async fn bind(listener: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let failed = |source| Error::Bind { listener, address, source };
    let bound = TcpListener::bind(address).await.map_err(failed)?;
    let address = bound.local_addr().map_err(failed)?;
    Ok((bound, address))
}

fn rules(config: &Config, api: SocketAddr, store: SocketAddr) -> Rules {
    Rules {
        api_base: format!("http://{api}/v1"),
        store_origin: format!("http://{store}"),
        shard: config.shard.clone(),
        signer: Signer {
            access_key: "AKIASIMULATED".to_owned(),
            secret: "signs nothing but the simulated store".to_owned(),
            region: "eu-west-2".to_owned(),
            bucket: "simulated-files-eu-west-2".to_owned(),
        },
        switches: config.switches.clone(),
        rate_limit_per_minute: config.rate_limit_per_minute,
        list_lag: SignedDuration::from_millis(config.list_lag_ms.into()),
        processing_delay: SignedDuration::from_millis(config.processing_delay_ms.into()),
        policy_lifetime: SignedDuration::from_secs(config.policy_lifetime_seconds.into()),
        upload_bytes_max: config.upload_bytes_max,
    }
}

fn issued(world: &World, shard: &str) -> Vec<IssuedKey> {
    let (state, _) = world.state();
    let issue = |key: &access::Key| {
        let user = state.tables.find(Resource::Users, &key.user_id);
        let role = if key.shard == shard { user.map_or("", |user| user.text("role")) } else { "other_shard" };
        let user = user.map_or("", |user| user.text("email"));
        IssuedKey { user: user.to_owned(), role: role.to_owned(), key: key.full() }
    };
    state.keys.iter().map(issue).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulator plays the outside world, which has its own clock"
)]
fn system_now() -> Timestamp {
    Timestamp::now()
}
