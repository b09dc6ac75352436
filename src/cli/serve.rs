//! `gateway serve`: runs until it is told to end.

mod handles;

use std::sync::Arc;

use anyhow::Context;
use serde_json::json;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::app;
use crate::cli::ConfigArguments;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::clock::SystemClock;
use crate::pipeline::Pipeline;
use crate::pipeline::mappings;
use crate::telemetry;
use crate::telemetry::Chain;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gateway serve --config gateway.toml\n\nThe first line on standard output says where it listens, once it is ready."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    let (config, warnings) = arguments.config.load()?;
    output::diagnostics(&warnings, "configuration", format);
    telemetry::start(&config.log_level, config.log_format)?;
    let few = handles::raise(config.mllp.connections_max);
    output::diagnostics(few.as_slice(), "configuration", format);
    runtime()?.block_on(async {
        // Before anything else: a signal that nobody waits for ends the process.
        let hung_up = signal(SignalKind::hangup())?;
        let running = app::start(config, Arc::new(SystemClock::new()), None).await.map_err(Failure::from)?;
        let address = |it: Option<std::net::SocketAddr>| it.map(|it| it.to_string());
        output::json(&json!({
            "ready": true,
            "mllp": address(running.mllp),
            "mllps": address(running.mllps),
            "http": format!("http://{}", running.http),
            "sftp": address(running.sftp),
        }));
        let reloading = tokio::spawn(reload_when_hung_up(Arc::clone(&running.pipeline), hung_up));
        interrupted().await?;
        reloading.abort();
        running.stop().await;
        Ok(Outcome::Done)
    })
}

/// SIGHUP, as for most servers, means: read your files again. What came of it is in the log.
async fn reload_when_hung_up(pipeline: Arc<Pipeline>, mut hung_up: Signal) {
    while hung_up.recv().await.is_some() {
        if let Err(error) = mappings::reload(&pipeline, "SIGHUP").await {
            tracing::error!(error = %Chain(&error), "could not load the mappings anew");
        }
    }
}

impl From<app::Error> for Failure {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Rejected(diagnostics) => Self::Configuration(diagnostics),
            app::Error::Failed(error) => Self::Failed(error),
        }
    }
}

/// The runtime every command that waits for something uses.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// Returns when the process is asked to end, by the terminal or by its supervisor.
pub(crate) async fn interrupted() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
