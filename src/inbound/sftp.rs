//! Files over SFTP: public keys only, and one virtual inbox with a folder of receipts for each feed.
//!
//! A client sees two folders and can make no others. Its paths are text that [`place`] resolves, and its files are rows
//! of [`inbox`]: nothing it says reaches the real file system, and there is no shell, no command and no forwarding.
//! Sessions, their files, bytes and silence are bounded. Start with [`Bound::run`]; a session's requests are answered in
//! [`desk`].

mod accounts;
mod conversation;
mod desk;
mod guest;
mod host_key;
mod place;

use std::io;
use std::net::Shutdown as Direction;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::Disconnect;
use russh::MethodKind;
use russh::MethodSet;
use russh::Preferred;
use russh::compression;
use russh::server::RunningSession;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::audit;
use crate::inbound::sftp::accounts::Accounts;
use crate::inbound::sftp::desk::Desk;
use crate::inbound::sftp::guest::Guest;
use crate::inbound::sftp::guest::Opened;
use crate::pipeline::Pipeline;
use crate::pipeline::inbox;
use crate::pipeline::inbox::Inbox;
use crate::pipeline::shutdown::Shutdown;
use crate::store;
use crate::store::Change;
use crate::telemetry::Chain;

pub use self::accounts::Account;
pub use self::accounts::KeyError;
pub use self::accounts::parse_key;
pub use self::host_key::HostKey;

/// How long a client may take to sign in and ask for SFTP, and may then be without a channel.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Clients that may be signing in at once, beside the sessions.
const HANDSHAKES_MAX: usize = 256;
/// How long a client whose session ends may take to hear so.
const LINGER: Duration = Duration::from_secs(2);
/// After so long a silence a client is asked whether it is there; after three without an answer it is not.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Tries to sign in on one connection; keys that are merely offered do not count.
const SIGN_INS_MAX: usize = 6;
/// SFTP sessions on one connection.
const CHANNELS_MAX: usize = 4;

#[derive(Debug, Clone)]
pub struct Config {
    pub listen: Option<SocketAddr>,
    /// None: the gateway's own, made at first start and kept sealed in the store.
    pub host_key: Option<HostKey>,
    pub accounts: Vec<Account>,
    pub file_bytes_max: usize,
    pub session_bytes_max: u64,
    /// Of all files that are open at the same time.
    pub memory_bytes_max: usize,
    pub sessions_max: usize,
    pub inbox: inbox::Limits,
    pub idle: Duration,
    pub shutdown: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot keep the host key")]
    HostKey(#[source] store::Error),
}

/// A listener that is bound and not yet served.
pub struct Bound {
    listener: TcpListener,
    door: Door,
}

/// Binds what is configured, with its host key; none where SFTP is off.
pub async fn bind(
    config: Config,
    pipeline: &Arc<Pipeline>,
    shutdown: Shutdown,
) -> Result<Option<Bound>, Error> {
    let Some(address) = config.listen else { return Ok(None) };
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let host_key = match &config.host_key {
        Some(key) => key.clone(),
        None => HostKey::own(&pipeline.store).await.map_err(Error::HostKey)?,
    };
    tracing::info!(host_key = %host_key.public(), "serves SFTP under this host key");
    let door = Door {
        ssh: Arc::new(ssh(&config, host_key)),
        accounts: Arc::new(Accounts::new(config.accounts.clone())),
        memory: Arc::new(Semaphore::new(config.memory_bytes_max.min(Semaphore::MAX_PERMITS))),
        handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
        sessions: Arc::new(Semaphore::new(config.sessions_max)),
        pipeline: Arc::clone(pipeline),
        config: Arc::new(config),
        shutdown,
    };
    Ok(Some(Bound { listener, door }))
}

fn ssh(config: &Config, host_key: HostKey) -> russh::server::Config {
    russh::server::Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key.into_inner()],
        max_auth_attempts: SIGN_INS_MAX,
        inactivity_timeout: Some(config.idle),
        keepalive_interval: Some(KEEPALIVE.min(config.idle)),
        nodelay: true,
        // What decompresses has no bound of its own.
        preferred: Preferred { compression: vec![compression::NONE].into(), ..Preferred::DEFAULT },
        ..russh::server::Config::default()
    }
}

impl Bound {
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Serves until asked to end; a request that has begun is then still answered.
    pub async fn run(self) {
        let Self { listener, mut door } = self;
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = door.shutdown.requested() => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of handles, most likely: those in use will be given back.
                        tracing::warn!(error = %Chain(&error), "could not accept a connection");
                        tokio::time::sleep(Duration::from_millis(500)).await;
                        continue;
                    }
                },
            };
            let Ok(place) = Arc::clone(&door.handshakes).try_acquire_owned() else {
                tracing::warn!(connections = HANDSHAKES_MAX, "refused an SFTP connection above the limit");
                continue;
            };
            let door = door.clone();
            connections.spawn(async move {
                if let Err(error) = door.serve(stream, peer).await {
                    tracing::debug!(error = %Chain(&error), "an SFTP connection broke off");
                }
                drop(place);
            });
        }
        drop(listener);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(door.config.shutdown, all_ended).await.is_err() {
            tracing::warn!("closed SFTP connections that did not end in time");
        }
    }
}

#[derive(Clone)]
struct Door {
    ssh: Arc<russh::server::Config>,
    accounts: Arc<Accounts>,
    /// A permit for each byte of an open file.
    memory: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    sessions: Arc<Semaphore>,
    pipeline: Arc<Pipeline>,
    config: Arc<Config>,
    shutdown: Shutdown,
}

impl Door {
    async fn serve(self, stream: TcpStream, peer: SocketAddr) -> Result<(), russh::Error> {
        // The library owns the stream from here on; this handle on it ends the connection whatever it waits for.
        let stream = stream.into_std()?;
        let line = stream.try_clone()?;
        let stream = TcpStream::from_std(stream)?;
        stream.set_nodelay(true)?;
        let (opened, channels) = mpsc::channel(CHANNELS_MAX);
        let guest = Guest::new(Arc::clone(&self.accounts), peer, opened);
        let handshake = russh::server::run_stream(Arc::clone(&self.ssh), stream, guest);
        let mut session = tokio::time::timeout(HANDSHAKE, handshake).await.map_err(io::Error::from)??;
        if let Some(ended) = self.converse(&mut session, channels, peer).await {
            return ended;
        }
        let handle = session.handle();
        let farewell = async {
            let _peer_may_be_gone =
                handle.disconnect(Disconnect::ByApplication, String::new(), String::new()).await;
            (&mut session).await
        };
        let heard = tokio::time::timeout(LINGER, farewell).await;
        let _peer_may_be_gone = line.shutdown(Direction::Both);
        heard.unwrap_or(Ok(()))
    }

    /// Answers on each channel until the client goes, is silent for too long, or we end; how the connection ended,
    /// where it has.
    async fn converse(
        &self,
        session: &mut RunningSession<Guest>,
        mut channels: mpsc::Receiver<Opened>,
        peer: SocketAddr,
    ) -> Option<Result<(), russh::Error>> {
        let mut ended = None;
        let mut shutdown = self.shutdown.clone();
        let mut place = None;
        let mut desks = JoinSet::new();
        loop {
            let opened = tokio::select! {
                () = shutdown.requested() => break,
                end = &mut *session => {
                    ended = Some(end);
                    break;
                }
                Some(_) = desks.join_next() => continue,
                () = tokio::time::sleep(HANDSHAKE), if desks.is_empty() => break,
                opened = channels.recv() => opened,
            };
            let Some(opened) = opened else { break };
            if place.is_none() {
                place = Arc::clone(&self.sessions).try_acquire_owned().ok();
                if place.is_none() {
                    tracing::warn!(
                        sessions = self.config.sessions_max,
                        "refused an SFTP session above the limit"
                    );
                    break;
                }
                self.note(&opened, peer).await;
            }
            let inbox = Inbox::new(&self.pipeline, &opened.account.feed, self.config.inbox);
            let desk = Desk::new(inbox, &opened.account, &self.config, &self.memory);
            let (idle, shutdown) = (self.config.idle, self.shutdown.clone());
            desks.spawn(async move {
                conversation::hold(opened.stream, desk, idle, shutdown).await;
                drop(opened.place);
            });
        }
        // What a client left unfinished is kept before its session counts as ended.
        while desks.join_next().await.is_some() {}
        ended
    }

    /// The audit entry of a sign-in. A store that takes none must not keep a client from hearing so of its file.
    async fn note(&self, opened: &Opened, peer: SocketAddr) {
        let feed = opened.account.feed.name.as_str();
        tracing::info!(feed, key = %opened.fingerprint, %peer, "began an SFTP session");
        let mut change = Change::new();
        let entry = audit::Entry::new(self.pipeline.clock.now(), feed, "sftp.session", peer.to_string());
        change.audit(entry.with("key", opened.fingerprint.as_str()));
        if let Err(error) = self.pipeline.store.commit(change).await {
            tracing::error!(error = %Chain(&error), "could not note an SFTP session in the audit chain");
        }
    }
}
