//! The operator's door to a store that is open: a Unix socket in its folder, for the commands of the same user.
//!
//! A store has one owner. The running gateway serves [`router`] on the socket; with none running, a command opens the
//! store itself and asks the very same router, so that the output is the same either way. Who may open the socket (mode
//! 0600, in a folder of mode 0700) may do all of this; nothing here is reachable by network. Secrets come in and never
//! go out, and no address or name stands in a path.

pub mod accounts;
mod audit;
mod journey;
pub mod mappings;
mod messages;

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde_json::json;
use tokio::net::UnixListener;
use tokio::net::UnixStream;

use crate::clinical::mapping::Catalog;
use crate::clock::Clock;
use crate::pipeline::Pipeline;
use crate::pipeline::feeds::Feeds;
use crate::pipeline::holds;
use crate::pipeline::holds::Desk;
use crate::pipeline::holds::Which;
use crate::pipeline::sessions;
use crate::pipeline::shutdown::Shutdown;
use crate::store;
use crate::store::Store;
use crate::telemetry::Chain;

/// The socket in the store's folder.
pub const SOCKET_NAME: &str = "gateway.sock";
/// Longest body of a request: a key, a password and some words.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the routes work with.
#[derive(Debug, Clone)]
pub struct State {
    pub store: Arc<Store>,
    pub clock: Arc<dyn Clock>,
    pub feeds: Feeds,
    /// Clinics that the configuration names, whether they were added or not.
    pub named_clinics: Arc<BTreeSet<String>>,
    /// The mappings of a command that has the store open itself, where they compile.
    catalog: Option<Arc<Catalog>>,
    /// The gateway that runs; none where a command has the store open itself.
    running: Option<Arc<Pipeline>>,
}

impl State {
    pub fn new(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        feeds: &Feeds,
        catalog: Option<Arc<Catalog>>,
    ) -> Self {
        let named = feeds.iter().flat_map(|feed| feed.clinics.iter().cloned()).collect();
        Self { store, clock, feeds: feeds.clone(), named_clinics: Arc::new(named), catalog, running: None }
    }

    /// What holds are worked on with.
    fn desk(&self) -> Desk<'_> {
        match &self.running {
            Some(pipeline) => pipeline.as_ref().into(),
            None => Desk {
                store: &self.store,
                clock: self.clock.as_ref(),
                feeds: &self.feeds,
                mappings: Which::Own(self.catalog.as_deref()),
                wake: None,
            },
        }
    }
}

impl From<Arc<Pipeline>> for State {
    fn from(pipeline: Arc<Pipeline>) -> Self {
        let (store, clock) = (Arc::clone(&pipeline.store), Arc::clone(&pipeline.clock));
        let state = Self::new(store, clock, &pipeline.feeds, None);
        Self { running: Some(pipeline), ..state }
    }
}

/// Everything that can be asked.
pub fn router(state: impl Into<State>) -> Router {
    Router::new()
        .route("/audit/verify", get(audit::verify))
        .route("/clinics", get(accounts::clinics).post(accounts::add_clinic))
        .route("/clinics/key", post(accounts::replace_key))
        .route("/mappings", get(mappings::list))
        .route("/mappings/active", get(mappings::active))
        .route("/mappings/reload", post(mappings::reload))
        .route("/mappings/waiting", post(mappings::waiting))
        .route("/mappings/{digest}", get(mappings::show))
        .route("/messages", get(messages::list))
        .route("/messages/{id}", get(journey::show))
        .route("/messages/{id}/raw", get(messages::raw))
        .route("/messages/{id}/replay", post(messages::replay))
        .route("/messages/{id}/discard", post(messages::discard))
        .route("/feeds", get(messages::feeds))
        .route("/users", post(accounts::add_user))
        .route("/users/revoke", post(accounts::revoke_user))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state.into())
}

/// Binds the socket, which only this user can open. The caller holds the store's lock, so a socket that is there
/// already is a dead one's.
pub fn listen(directory: &Path) -> io::Result<UnixListener> {
    let path = directory.join(SOCKET_NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves the socket until asked to end.
pub async fn serve(listener: UnixListener, router: Router, mut shutdown: Shutdown) {
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.requested().await });
    if let Err(error) = serving.await {
        tracing::error!(error = %Chain(&error), "the admin socket ended");
    }
}

/// Serves one connection that is open already: a command that owns the store asks itself.
pub async fn serve_one(stream: UnixStream, router: Router) {
    // It never ends by itself: the listener waits for a second connection for ever.
    let _never = axum::serve(One(Some(stream)), router).await;
}

/// A listener with one connection.
struct One(Option<UnixStream>);

impl axum::serve::Listener for One {
    type Io = UnixStream;
    type Addr = ();

    async fn accept(&mut self) -> (UnixStream, ()) {
        match self.0.take() {
            Some(stream) => (stream, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a request was not done.
#[derive(Debug)]
enum Refusal {
    NotFound(&'static str),
    /// What is asked for is not possible as things stand.
    Conflict(&'static str),
    /// The request itself is wrong.
    Unusable(String),
    Holds(holds::Error),
    Sessions(sessions::Error),
    Store(store::Error),
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<holds::Error> for Refusal {
    fn from(error: holds::Error) -> Self {
        Self::Holds(error)
    }
}

impl From<sessions::Error> for Refusal {
    fn from(error: sessions::Error) -> Self {
        Self::Sessions(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Holds(error) => return refused(&error),
            Self::NotFound(text) => (StatusCode::NOT_FOUND, text.to_owned()),
            Self::Conflict(text) => (StatusCode::CONFLICT, text.to_owned()),
            Self::Unusable(text) => (StatusCode::UNPROCESSABLE_ENTITY, text),
            Self::Sessions(error @ sessions::Error::AddressTaken) => {
                (StatusCode::CONFLICT, Chain(&error).to_string())
            }
            Self::Sessions(error @ sessions::Error::Password(_)) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Chain(&error).to_string())
            }
            Self::Sessions(error) => (StatusCode::INTERNAL_SERVER_ERROR, Chain(&error).to_string()),
            Self::Store(error) => (StatusCode::INTERNAL_SERVER_ERROR, Chain(&error).to_string()),
        };
        (status, Json(json!({ "error": text }))).into_response()
    }
}

/// Why nothing was done with a message, with its diagnostic.
fn refused(error: &holds::Error) -> Response {
    use holds::Error as E;
    let status = match error {
        E::NotFound => StatusCode::NOT_FOUND,
        E::ReasonMissing | E::ReasonTooLong { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        E::ChangedMeanwhile
        | E::KeptAgain { .. }
        | E::NeverRead
        | E::NotRemembered { .. }
        | E::NotWaiting { .. }
        | E::SharedFeed
        | E::StillRefused { .. } => StatusCode::CONFLICT,
        E::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let diagnostic = error.diagnostic();
    let said: Vec<String> =
        [Chain(error).to_string()].into_iter().chain(diagnostic.facts.iter().cloned()).collect();
    let body =
        json!({ "error": said.join("; "), "code": diagnostic.code.as_str(), "diagnostic": diagnostic });
    (status, Json(body)).into_response()
}

/// Runs what reads much of the store, off the threads that serve.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(read).await.expect("reading the store does not panic")
}
