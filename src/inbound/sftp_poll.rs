//! Fetches files from a laboratory's own SFTP server: one lane a feed, one connection a look.
//!
//! The server must show the pinned host key before anything of ours is sent; another key stops the feed, until a person
//! has changed the configuration. A file is read when it is whole, by the feed's rule, and is never read twice because
//! something failed afterwards. Everything is bounded, and after a failure the lane waits longer each time.
//! It reads no message itself: files go through [`Fetches`]. Start with [`run`], then `look`.

mod choose;
mod look;

use std::time::Duration;

use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::inbound::sftp_poll::look::Error;
use crate::inbound::sftp_poll::look::Looker;
use crate::inbound::sftp_poll::look::Next;
use crate::outbound::sftp::Error as ServerError;
use crate::outbound::sftp::Login;
use crate::outbound::sftp::Server;
use crate::pipeline::fetches::Fetches;
use crate::pipeline::shutdown::Shutdown;
use crate::telemetry::Chain;

/// The longest wait after failures, unless the feed's own is longer.
const WAIT_LONGEST: Duration = Duration::from_mins(10);
/// The shortest wait for a file to become stable.
const WAIT_SHORTEST: Duration = Duration::from_millis(100);
/// A stopped feed says so again after so long.
const REMIND_EVERY: Duration = Duration::from_hours(1);

/// How one feed fetches.
#[derive(Debug, Clone)]
pub struct Config {
    pub login: Login,
    pub folder: String,
    /// Of file names, with `*` and `?`.
    pub pattern: String,
    pub every: Duration,
    pub stable: Duration,
    pub take: Take,
    pub after: After,
    /// Where the laboratory finds what became of each file.
    pub receipts_folder: Option<String>,
    pub file_bytes_max: u64,
}

/// What tells that the laboratory has finished a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// It was unchanged for long enough.
    Any,
    /// As [`Take::Any`], and a file of its name and this ending lies beside it.
    Marked { suffix: String },
    /// It has its name: the laboratory writes under another and renames.
    Renamed,
}

/// What becomes of a file on the server once it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    Archive { folder: String },
    Delete,
    Leave,
}

/// Whether the server can be used and its folder be listed; takes nothing.
///
/// # Errors
/// What would be in the log of a gateway that serves.
pub async fn check(config: &Config) -> Result<(), Diagnostic> {
    let tried = async {
        let server = Server::connect(&config.login).await?;
        let listed = server.list(&config.folder).await;
        server.leave().await;
        listed.map(drop)
    };
    let failed: Result<(), ServerError> = tried.await;
    failed.map_err(|error| {
        Diagnostic::error(error.code(), format!("files cannot be fetched: {}", Chain(&error)))
            .help(format!("gateway explain {}", error.code()))
    })
}

/// Looks again and again, until asked to end.
pub async fn run(config: Config, fetches: Fetches, mut shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        () = poll(config, fetches) => {}
    }
}

async fn poll(config: Config, fetches: Fetches) {
    let (every, stable) = (config.every, config.stable);
    let mut looker = Looker::new(config, fetches.clone());
    let mut failures = 0;
    loop {
        let wait = match looker.look().await {
            Ok(next) => {
                failures = 0;
                match next {
                    Next::AtOnce => Duration::ZERO,
                    Next::InTurn => every,
                    Next::WhenStable => stable.max(WAIT_SHORTEST).min(every),
                }
            }
            Err(Error::Server(error @ ServerError::HostKey { .. })) => {
                return stopped(&fetches, &error).await;
            }
            Err(error) => {
                failures += 1;
                let wait = wait_after(failures, every, &fetches);
                tracing::error!(
                    feed = fetches.feed(),
                    code = error.code().as_str(),
                    failures,
                    wait_ms = wait.as_millis(),
                    error = %Chain(&error),
                    "could not fetch files"
                );
                count(&fetches).await;
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Doubles with every failure in a row, with up to a quarter of jitter.
fn wait_after(failures: u32, every: Duration, fetches: &Fetches) -> Duration {
    let mut chance = [0];
    fetches.pipeline().clock.fill_random(&mut chance);
    let doubled = every.saturating_mul(1 << failures.min(16)).min(WAIT_LONGEST.max(every));
    doubled + doubled / 4 * u32::from(chance[0]) / 255
}

/// Somebody may stand between us and the laboratory, so nothing is tried again before a person has looked.
async fn stopped(fetches: &Fetches, error: &ServerError) {
    let code: Code = error.code();
    if let Err(failure) = fetches.stopped(&code).await {
        tracing::warn!(error = %Chain(&failure), "could not write down that a feed stopped");
    }
    loop {
        tracing::error!(
            feed = fetches.feed(),
            code = code.as_str(),
            error = %Chain(error),
            "the feed is stopped: the server is not the one that was agreed"
        );
        count(fetches).await;
        tokio::time::sleep(REMIND_EVERY).await;
    }
}

async fn count(fetches: &Fetches) {
    if let Err(error) = fetches.failed().await {
        tracing::debug!(error = %Chain(&error), "could not count a failure");
    }
}
