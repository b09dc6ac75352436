//! The `gateway` command line: one file for each subcommand.
//!
//! Every command takes `--format json` and exits with 0 (done), 1 (something was held, rejected or fell short) or
//! 2 (usage or configuration). Results go to standard output, everything else to standard error.

mod audit;
mod check;
mod clinic;
mod demo;
mod explain;
mod files;
mod keys;
mod mapping;
mod message;
mod output;
mod owner;
mod send;
mod serve;
mod simulate;
mod try_;
mod user;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

use crate::config::Config;
use crate::diagnostic::Diagnostic;

/// Blood results from the laboratory's wire to the patient's Cliniko record, with a clinician in charge.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, arg_required_else_help = true)]
struct Arguments {
    /// How results are printed: for people, or one JSON document a line.
    #[arg(long, global = true, value_enum, default_value_t = Format::Plain)]
    format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Plain,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole journey on simulated laboratory and Cliniko, in a temporary store.
    Demo(demo::Arguments),
    /// Run the gateway.
    Serve(serve::Arguments),
    /// Check configuration, mappings, certificates, keys, store and the Cliniko connection, without serving.
    Check(check::Arguments),
    /// Every stage of a message file, with no server, store or configuration.
    Try(try_::Arguments),
    /// What mapping files do with messages: account for them, compare.
    Mapping(mapping::Arguments),
    /// Be a laboratory: send messages and print the acknowledgements.
    Send(send::Arguments),
    /// Be a Cliniko on the wire.
    #[command(subcommand)]
    Simulate(simulate::Command),
    /// The messages kept: list them, or show the journey of one.
    #[command(subcommand)]
    Message(message::Command),
    /// The audit chain.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Clinics and their Cliniko accounts.
    #[command(subcommand)]
    Clinic(clinic::Command),
    /// People who sign in.
    #[command(subcommand)]
    User(user::Command),
    /// The master key.
    #[command(subcommand)]
    Keys(keys::Command),
    /// What a diagnostic code means and how to fix it.
    Explain(explain::Arguments),
}

/// How a command ended that did run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Something was held, rejected or fell short.
    FellShort,
}

impl From<bool> for Outcome {
    fn from(done: bool) -> Self {
        if done { Self::Done } else { Self::FellShort }
    }
}

/// Why a command did not run, or not to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration or the usage is wrong: exit status 2.
    Configuration(Vec<Diagnostic>),
    /// Anything else: exit status 1.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<crate::telemetry::Error> for Failure {
    fn from(error: crate::telemetry::Error) -> Self {
        Self::Failed(error.into())
    }
}

pub(crate) type Result = std::result::Result<Outcome, Failure>;

/// Names the configuration file where the command line does not.
const CONFIG_VARIABLE: &str = "GATEWAY_CONFIG";

/// Which configuration a command reads.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigArguments {
    /// The configuration file; without it, the built-in defaults and the environment.
    #[arg(long, value_name = "FILE", env = CONFIG_VARIABLE)]
    pub(crate) config: Option<PathBuf>,
    /// Mappings from this folder instead of those in the binary.
    #[arg(long, value_name = "DIR")]
    pub(crate) mappings: Option<PathBuf>,
}

impl ConfigArguments {
    /// The configuration and its warnings.
    pub(crate) fn load(&self) -> std::result::Result<(Config, Vec<Diagnostic>), Failure> {
        let environment = environment();
        let (mut config, warnings) =
            crate::config::load(self.config.as_deref(), &environment).map_err(Failure::Configuration)?;
        if let Some(mappings) = &self.mappings {
            config.mappings_directory = Some(mappings.clone());
        }
        Ok((config, warnings))
    }
}

pub(crate) fn environment() -> BTreeMap<String, String> {
    // A variable that is not UTF-8 cannot name or hold anything of ours; that of `--config` is the command line's own.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name != CONFIG_VARIABLE)
        .collect()
}

/// A panic tells where it was and never what it was about: its message may quote a patient's text.
fn tell_panics_without_content() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        if tracing::dispatcher::has_been_set() {
            tracing::error!(place, "panicked: a defect of the gateway");
        } else {
            output::note(&format!("panicked at {place}: a defect of the gateway"));
        }
    }));
}

/// Runs one command line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    tell_panics_without_content();
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _closed_output_is_fine = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let format = arguments.format;
    let result = match arguments.command {
        Command::Demo(it) => demo::run(&it, format),
        Command::Serve(it) => serve::run(&it, format),
        Command::Check(it) => check::run(&it, format),
        Command::Try(it) => try_::run(&it, format),
        Command::Mapping(it) => mapping::run(&it, format),
        Command::Send(it) => send::run(&it, format),
        Command::Simulate(it) => simulate::run(&it, format),
        Command::Message(it) => message::run(&it, format),
        Command::Audit(it) => audit::run(&it, format),
        Command::Clinic(it) => clinic::run(&it, format),
        Command::User(it) => user::run(&it, format),
        Command::Keys(it) => keys::run(&it, format),
        Command::Explain(it) => explain::run(&it, format),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::FellShort) => ExitCode::from(1),
        Err(Failure::Configuration(diagnostics)) => {
            output::diagnostics(&diagnostics, "", format);
            ExitCode::from(2)
        }
        Err(Failure::Failed(error)) => {
            output::failure(&error, format);
            ExitCode::from(1)
        }
    }
}
