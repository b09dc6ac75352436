//! `gateway keys`: makes the master key.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use crate::cli::ConfigArguments;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::security::keys::MasterKey;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a new master key in a new file that only you can read.
    #[command(after_help = "Example: gateway keys init --out master.key")]
    Init {
        /// The file to make; an existing file is never overwritten.
        #[arg(long, value_name = "FILE", default_value = "master.key")]
        out: PathBuf,
    },
    /// Say whether the configured master key opens the store.
    #[command(after_help = "Example: gateway keys status --config gateway.toml")]
    Status(ConfigArguments),
}

pub(crate) fn run(command: &Command, format: Format) -> super::Result {
    match command {
        Command::Init { out } => {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(out)
                .with_context(|| format!("cannot make `{}`", out.display()))?;
            writeln!(file, "{}", MasterKey::generate_text().as_str())?;
            file.sync_all()?;
            match format {
                Format::Plain => output::line(&format!(
                    "made {}: keep a copy elsewhere, for without it nobody can read the store",
                    out.display()
                )),
                Format::Json => output::json(&json!({ "file": out })),
            };
            Ok(Outcome::Done)
        }
        Command::Status(config) => {
            let (config, _) = config.load()?;
            super::check::store_status(&config, format)
        }
    }
}
