//! A configuration becomes a running gateway: opens the store, binds the doors, owns every task, ends them in order.
//!
//! First the doors close (a message being kept is still answered), then the lanes; what they had begun is in the store
//! and goes on at the next start.

mod watch;

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::library;
use crate::diagnostic::Diagnostic;
use crate::http;
use crate::http::admin;
use crate::inbound;
use crate::inbound::mllp;
use crate::inbound::sftp;
use crate::inbound::sftp_poll;
use crate::pipeline::Pipeline;
use crate::pipeline::Wake;
use crate::pipeline::accounts::Accounts;
use crate::pipeline::advance::prepare;
use crate::pipeline::advance::read;
use crate::pipeline::application_ack;
use crate::pipeline::application_ack::Awaited;
use crate::pipeline::deliver;
use crate::pipeline::feeds::silence;
use crate::pipeline::fetches::Fetches;
use crate::pipeline::intake::Intake;
use crate::pipeline::mappings;
use crate::pipeline::mappings::Loaded;
use crate::pipeline::mappings::Mappings;
use crate::pipeline::mappings::Source;
use crate::pipeline::mappings::pairing;
use crate::pipeline::sessions::Sessions;
use crate::pipeline::shutdown;
use crate::pipeline::shutdown::Stop;
use crate::security::credentials::AccessTokens;
use crate::security::tokens::Signer;
use crate::store;
use crate::store::Embedded;
use crate::store::Store;
use crate::store::embedded;
use crate::telemetry::Chain;

pub use crate::pipeline::mappings::Compiled;

/// Why a gateway did not start.
#[derive(Debug)]
pub enum Error {
    /// A mapping, a knowledge file: everything that is wrong with them.
    Rejected(Vec<Diagnostic>),
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl Compiled {
    /// What a configuration needs: its mapping folder, and for each feed a mapping that can read it.
    ///
    /// # Errors
    /// Every problem of every file, or of every feed.
    pub fn of(config: &Config) -> Result<Self, Vec<Diagnostic>> {
        let compiled = Self::read(config.mappings_directory.as_deref())?;
        let problems = pairing::problems(&config.feeds, &compiled.catalog);
        if problems.is_empty() { Ok(compiled) } else { Err(problems) }
    }

    /// Compiles the embedded files, or those of a folder.
    ///
    /// # Errors
    /// Every problem of every file, at once.
    pub fn read(directory: Option<&Path>) -> Result<Self, Vec<Diagnostic>> {
        Self::compile(&library::library(directory)?)
    }
}

/// The mappings of a folder, or without one those in the binary, ready to serve.
///
/// # Errors
/// Every problem of every file, at once.
pub fn mappings(directory: Option<PathBuf>, now: Timestamp) -> Result<Mappings, Vec<Diagnostic>> {
    let source = Source { directory, read: library::library };
    let loaded = Loaded::compile(source.files()?, now, None)?;
    Ok(Mappings::new(source, loaded))
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Running {
    pub mllp: Option<SocketAddr>,
    pub mllps: Option<SocketAddr>,
    pub http: SocketAddr,
    pub sftp: Option<SocketAddr>,
    pub pipeline: Arc<Pipeline>,
    pub sessions: Arc<Sessions>,
    socket: PathBuf,
    stop: Stop,
    doors: JoinSet<()>,
    lanes: JoinSet<()>,
}

/// Starts a gateway; when this returns, it takes messages.
pub async fn start(
    config: Config,
    clock: Arc<dyn Clock>,
    demo: Option<http::Demo>,
) -> Result<Running, Error> {
    // Looked at before it is read: what changes meanwhile is seen as a change.
    let watched = config.mappings_directory.clone().map(|it| (library::look(&it), it));
    let mappings = mappings_of(&config, clock.now()).map_err(Error::Rejected)?;
    let store = Arc::new(open(&config).await?);
    remember(&store, &mappings).await.context("cannot remember the mappings")?;
    let directory = config.store_directory;
    let sessions = Sessions::open(Arc::clone(&store), Arc::clone(&clock), config.http.session)
        .await
        .context("cannot make session tokens")?;
    let sessions = Arc::new(sessions);
    let key = store.secret("access tokens", Signer::generate).await.context("cannot make access tokens")?;
    let tokens = AccessTokens::from_pkcs8(&key).context("cannot make access tokens")?;
    let run = clock.new_id();
    let started_ms = u64::try_from(clock.monotonic().as_millis()).unwrap_or(u64::MAX);
    let pipeline = Arc::new(Pipeline {
        accounts: Accounts::new(config.cliniko, Arc::clone(&clock)),
        store,
        clock,
        feeds: config.feeds,
        mappings,
        dangerous_test_nhs_numbers: config.dangerous_test_nhs_numbers,
        wake: Wake::default(),
        awaited: Awaited::default(),
        run,
        started_ms,
    });
    let (stop, shutdown) = shutdown::channel();
    let mllp = mllp::bind(config.mllp).await.context("cannot take messages")?;
    let sftp = sftp::bind(config.sftp, &pipeline, shutdown.clone()).await.context("cannot take files")?;
    let sftp_address = sftp.as_ref().and_then(sftp::Bound::address);
    let web = TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.http.listen))?;
    let owner = admin::listen(&directory).context("cannot make the admin socket")?;
    let (plain, tls, http) =
        (mllp.plain_address(), mllp.tls_address(), web.local_addr().context("the listener has no address")?);
    let state =
        http::State::new(Arc::clone(&pipeline), Arc::clone(&sessions), config.http.body_bytes_max, demo);
    let intake = Intake::new(Arc::clone(&pipeline));
    let inbound = inbound::http::Door::new(config.inbound_http, intake.clone(), tokens, http);
    let router = http::router(state, inbound::http::router(inbound));
    let mut doors = JoinSet::new();
    doors.spawn(mllp.run(intake, shutdown.clone()));
    doors.spawn(http::serve(web, router, shutdown.clone()));
    if let Some(sftp) = sftp {
        doors.spawn(sftp.run());
    }
    for (feed, poll) in config.polls {
        let fetches = Fetches::new(Arc::clone(&pipeline), feed);
        doors.spawn(sftp_poll::run(poll, fetches, shutdown.clone()));
    }
    if let Some((look, directory)) = watched {
        doors.spawn(watch::run(Arc::clone(&pipeline), directory, look, shutdown.clone()));
    }
    doors.spawn(admin::serve(owner, admin::router(Arc::clone(&pipeline)), shutdown));
    let lanes = lanes(&pipeline);
    let socket = directory.join(admin::SOCKET_NAME);
    Ok(Running {
        mllp: plain,
        mllps: tls,
        http,
        sftp: sftp_address,
        pipeline,
        sessions,
        socket,
        stop,
        doors,
        lanes,
    })
}

/// The mappings of a configuration, if each of its feeds has one that can read it.
fn mappings_of(config: &Config, now: Timestamp) -> Result<Mappings, Vec<Diagnostic>> {
    let mappings = mappings(config.mappings_directory.clone(), now)?;
    let problems = pairing::problems(&config.feeds, &mappings.loaded().compiled.catalog);
    if problems.is_empty() { Ok(mappings) } else { Err(problems) }
}

/// Keeps the mappings, so that what they read can be read so again.
async fn remember(store: &Store, mappings: &Mappings) -> Result<(), store::Error> {
    let loaded = mappings.loaded();
    let change = mappings::remembering(store, loaded.at, &loaded.compiled.catalog, &loaded.files)?;
    store.commit(change).await.map(drop)
}

/// The work that goes on by itself.
fn lanes(pipeline: &Arc<Pipeline>) -> JoinSet<()> {
    let mut lanes = JoinSet::new();
    lanes.spawn(read::run(Arc::clone(pipeline)));
    lanes.spawn(prepare::run(Arc::clone(pipeline)));
    lanes.spawn(deliver::run(Arc::clone(pipeline)));
    lanes.spawn(application_ack::run(Arc::clone(pipeline)));
    lanes.spawn(silence::run(Arc::clone(pipeline)));
    lanes
}

/// Opens the configured store with its master key.
pub async fn open(config: &Config) -> Result<Store, anyhow::Error> {
    let at =
        embedded::Config { directory: config.store_directory.clone(), cache_bytes: config.store_cache_bytes };
    let opened = tokio::task::spawn_blocking(move || Embedded::open(&at));
    let backend = opened.await.context("opening the store met a defect of the gateway")??;
    Ok(Store::open(Arc::new(backend), config.master_key.clone()).await?)
}

impl Running {
    /// Ends the gateway: doors first, then lanes.
    pub async fn stop(mut self) {
        self.stop.stop();
        while self.doors.join_next().await.is_some() {}
        self.lanes.shutdown().await;
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(error = %Chain(&error), "the admin socket was gone already");
        }
        tracing::info!("stopped");
    }
}
