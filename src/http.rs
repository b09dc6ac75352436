//! The faces for people and their programs: the workflow API, health, metrics, and the start page.
//!
//! Who asks is settled before a body is read; what they may do is the pipeline's matter, and permission is an argument
//! there. Every answer carries the security headers, every refusal is `application/problem+json` with a code of ours,
//! and no answer to a stranger tells whether something exists. Bearer tokens only: there is no cookie to ride on.
//! Start at [`router`]; what each route does is in [`api`].

pub mod admin;
mod api;
mod demo;
mod errors;
mod extract;
mod headers;
mod health;
mod metrics;
mod openapi;
pub(crate) mod page;
mod problem;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::pipeline::Pipeline;
use crate::pipeline::sessions::Sessions;
use crate::pipeline::shutdown::Shutdown;
use crate::telemetry::Chain;

pub use self::demo::Account;
pub use self::demo::Demo;
pub use self::demo::Welcome;

/// Connections served at the same time; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 256;
/// A client that does not finish a request's head, or sends no next one, is let go.
const HEAD_READ: Duration = Duration::from_secs(30);
/// How long answers under way may finish when the gateway stops.
const GRACE: Duration = Duration::from_secs(5);
/// After a failed accept (no more file handles), before the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Passwords checked at the same time: each takes 64 MiB and a core while it lasts.
const SIGN_INS_MAX: usize = 2;

#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub body_bytes_max: usize,
    /// How long a session lasts.
    pub session: Duration,
}

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    pipeline: Arc<Pipeline>,
    sessions: Arc<Sessions>,
    sign_ins: Arc<Semaphore>,
    body_bytes_max: usize,
    /// Only where the gateway was started as a demonstration.
    demo: Option<Demo>,
}

impl State {
    pub fn new(
        pipeline: Arc<Pipeline>,
        sessions: Arc<Sessions>,
        body_bytes_max: usize,
        demo: Option<Demo>,
    ) -> Self {
        Self { pipeline, sessions, sign_ins: Arc::new(Semaphore::new(SIGN_INS_MAX)), body_bytes_max, demo }
    }
}

/// All routes of this face, and those of the doors for laboratories, which share the listener.
pub fn router(state: State, doors: Router) -> Router {
    let mut routes = Router::new()
        .route("/", get(page::start))
        .route("/style.css", get(page::style))
        .route("/docs/errors", get(errors::index))
        .route("/docs/errors/{code}", get(errors::code))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .nest(api::PREFIX, api::router());
    if state.demo.is_some() {
        routes = routes.merge(demo::router());
    }
    routes
        .layer(DefaultBodyLimit::max(state.body_bytes_max))
        .with_state(state)
        .merge(doors)
        .fallback(problem::no_such_page)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(middleware::map_response(headers::secure))
}

/// Serves until the gateway stops; then lets answers under way finish.
pub async fn serve(listener: TcpListener, router: Router, mut shutdown: Shutdown) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut guests = JoinSet::new();
    loop {
        let (stream, permit) = tokio::select! {
            () = shutdown.requested() => break,
            guest = accept(&listener, &permits) => guest,
        };
        guests.spawn(converse(stream, permit, router.clone(), shutdown.clone()));
        while guests.try_join_next().is_some() {}
    }
    drop(listener);
    let all = async { while guests.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all).await.is_err() {
        tracing::warn!("cut HTTP connections that did not end in time");
    }
}

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let permit = Arc::clone(permits).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(
                    error = %Chain(&error),
                    "could not accept an HTTP connection"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, permit: OwnedSemaphorePermit, router: Router, mut shutdown: Shutdown) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %Chain(&error), "an HTTP connection ended early");
    }
    drop(permit);
}

#[cfg(test)]
mod tests;
