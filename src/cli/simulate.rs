//! `gateway simulate`: the outside world on the wire.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::serve::interrupted;
use crate::cli::serve::runtime;
use crate::simulator::cliniko;
use crate::simulator::cliniko::FaultRule;
use crate::simulator::cliniko::Seed;

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// A Cliniko account, with its object store and a control listener; everybody in it is invented.
    #[command(
        after_help = "Example: gateway simulate cliniko --listen 127.0.0.1:9001 --store-listen 127.0.0.1:9002 --control-listen 127.0.0.1:9003 --seed demo\n\nThe first line on standard output says where it listens and which keys it takes."
    )]
    Cliniko(Cliniko),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Cliniko {
    /// Where the API listens; port 0 takes any free port.
    #[arg(long, value_name = "ADDRESS", default_value_t = ANY_PORT)]
    listen: SocketAddr,
    /// Where uploads go.
    #[arg(long, value_name = "ADDRESS", default_value_t = ANY_PORT)]
    store_listen: SocketAddr,
    /// Where GET /requests, /records and /forbidden, and POST /faults, are answered.
    #[arg(long, value_name = "ADDRESS", default_value_t = ANY_PORT)]
    control_listen: SocketAddr,
    /// `demo`, or a JSON file laid over it; without it, the demonstration clinic with 120 patients.
    #[arg(long, value_name = "FILE|demo")]
    seed: Option<PathBuf>,
    /// A JSON file with a list of fault rules, as POST /faults takes them.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Requests a minute and user; 0 is no limit.
    #[arg(long, value_name = "N", default_value_t = 200)]
    rate_limit: u32,
}

pub(crate) fn run(command: &Command, _format: Format) -> super::Result {
    let Command::Cliniko(arguments) = command;
    let config = cliniko::Config {
        listen: arguments.listen,
        store_listen: arguments.store_listen,
        control_listen: arguments.control_listen,
        seed: match &arguments.seed {
            None => Seed::Full,
            Some(name) if name.as_os_str() == "demo" => Seed::Demo,
            Some(file) => Seed::File(read(file)?),
        },
        faults: arguments.faults.as_deref().map_or_else(|| Ok(Vec::<FaultRule>::new()), read)?,
        rate_limit_per_minute: arguments.rate_limit,
        ..cliniko::Config::default()
    };
    runtime()?.block_on(async {
        let running = cliniko::start(config).await.context("cannot start the simulated Cliniko")?;
        let url = |address: SocketAddr| format!("http://{address}");
        output::json(&json!({
            "api": url(running.api), "store": url(running.store), "control": url(running.control), "keys": running.keys,
        }));
        interrupted().await?;
        running.stop().await;
        Ok(Outcome::Done)
    })
}

#[expect(clippy::disallowed_methods, reason = "the command line names the files it reads")]
fn read<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("`{}` does not have the shape it should", file.display()))
}
