//! `gateway audit`: the evidence of who did what.

use serde_json::Value;
use tokio::net::UnixStream;

use crate::audit::Hash;
use crate::cli::ConfigArguments;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::config;
use crate::http::admin;
use crate::store::Embedded;
use crate::store::verify_audit;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Verify the whole audit chain; needs no key.
    #[command(
        after_help = "Example: gateway audit verify --expect-head \"$(cat head-of-yesterday)\"\n\nA chain cut at its end verifies by itself: that shows only against a head that was kept elsewhere."
    )]
    Verify {
        #[command(flatten)]
        config: ConfigArguments,
        /// The head the chain must have, as an earlier run printed it.
        #[arg(long, value_name = "HEX")]
        expect_head: Option<Hash>,
    },
}

pub(crate) fn run(command: &Command, format: Format) -> super::Result {
    let Command::Verify { config, expect_head } = command;
    let store =
        config::store(config.config.as_deref(), &super::environment()).map_err(Failure::Configuration)?;
    let verified = runtime()?.block_on(async {
        if let Ok(stream) = UnixStream::connect(store.directory.join(admin::SOCKET_NAME)).await {
            let query = expect_head.map(|head| format!("?expect_head={head}")).unwrap_or_default();
            return Owner::over(stream).await?.get(&format!("/audit/verify{query}")).await;
        }
        let backend = Embedded::open_existing(&store)?;
        Ok(serde_json::to_value(verify_audit(&backend, *expect_head)?)?)
    })?;
    let is_verified = verified.get("verified").and_then(Value::as_bool).unwrap_or(false);
    match format {
        Format::Json => output::json(&verified),
        Format::Plain => output::line(&told(&verified, is_verified)),
    };
    Ok(Outcome::from(is_verified))
}

fn told(verified: &Value, is_verified: bool) -> String {
    let part =
        |key: &str| verified.get(key).map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
    let (entries, head) = (part("entries").unwrap_or_default(), part("head").unwrap_or_default());
    if is_verified {
        format!("verified: {entries} entries, head {head}; keep the head elsewhere")
    } else {
        let first_bad = part("first_bad").unwrap_or_default();
        format!(
            "NOT VERIFIED: {entries} entries, head {head}; the first that does not fit its place is number {first_bad}"
        )
    }
}
