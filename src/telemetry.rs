//! Logs for operators: JSON lines or plain text on standard error.
//!
//! They may be lost, and they hold no patient data: ids and measures only. Evidence is the audit chain's matter.

use std::fmt;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Deeper chains of causes are cut; none of ours is near it.
const CAUSES_MAX: usize = 16;

/// An error with all its causes, for one log field: formatters print only the first otherwise.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let causes = std::iter::successors(self.0.source(), |it| it.source());
        causes.take(CAUSES_MAX).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Plain,
}

/// The level is not a tracing filter.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log level `{level}`")]
pub struct Error {
    pub level: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Starts logging for the whole process; a second call changes nothing, so that several gateways of one test share
/// the first one's.
///
/// # Errors
/// `level` must be a tracing filter such as `info` or `haemosync_gateway=debug`.
pub fn start(level: &str, format: Format) -> Result<(), Error> {
    let filter = EnvFilter::try_new(level).map_err(|source| Error { level: level.to_owned(), source })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
        Format::Plain => lines.with_ansi(false).with_target(false).boxed(),
    };
    let _already_started = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
    Ok(())
}
