//! `gateway user`: people who sign in.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::Value;

use crate::cli::ConfigArguments;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::clinic::secret;
use crate::cli::output;
use crate::cli::owner::Missing;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::clinical::workflow::Roles;
use crate::http::admin::accounts::NewPerson;
use crate::http::admin::accounts::Revocation;

/// The longest address that mail can have (RFC 5321 §4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Give a person an account in one clinic.
    #[command(
        after_help = "Example: gateway user add a.green@clinic.example --clinic north --role clinician --name \"Dr A Green\" --password-file password"
    )]
    Add(Add),
    /// Take a person's account back: their sessions end at once.
    #[command(after_help = "Example: gateway user revoke a.green@clinic.example")]
    Revoke {
        #[command(flatten)]
        config: ConfigArguments,
        #[arg(value_parser = email)]
        email: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    #[command(flatten)]
    config: ConfigArguments,
    /// The address the person signs in with.
    #[arg(value_parser = email)]
    email: String,
    #[arg(long)]
    clinic: String,
    /// What the person may do; give it again for a further role.
    #[arg(long = "role", value_enum, required = true)]
    roles: Vec<Role>,
    /// The file that holds the first password, of at least 12 characters.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    /// The name on documents, with the registration where there is one; without it, the address.
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Settings, users, permissions, audit.
    Administrator,
    /// Reads, edits, approves and releases.
    Clinician,
    /// Mappings, feeds, holds, replay.
    Integrator,
    /// Sees where things stand, never a result.
    Support,
}

fn email(text: &str) -> Result<String, String> {
    let is_address = text.len() <= EMAIL_BYTES_MAX
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_address {
        Ok(text.to_owned())
    } else {
        Err("write an address such as name@clinic.example".to_owned())
    }
}

fn roles(given: &[Role]) -> Roles {
    let has = |role| given.contains(&role);
    Roles {
        administrator: has(Role::Administrator),
        clinician: has(Role::Clinician),
        gateway: false,
        integrator: has(Role::Integrator),
        support: has(Role::Support),
    }
}

pub(crate) fn run(command: &Command, format: Format) -> super::Result {
    let (config, path, body) = match command {
        Command::Add(it) => {
            let person = NewPerson {
                clinic: it.clinic.clone(),
                email: it.email.clone().into(),
                name: it.name.clone().unwrap_or_else(|| it.email.clone()).into(),
                roles: roles(&it.roles),
                password: secret(&it.password_file)?.to_string().into(),
            };
            (&it.config, "/users", serde_json::to_value(person))
        }
        Command::Revoke { config, email } => {
            (config, "/users/revoke", serde_json::to_value(Revocation { email: email.clone().into() }))
        }
    };
    let (config, _) = config.load()?;
    let body: Value = body.map_err(anyhow::Error::from)?;
    let answer =
        runtime()?.block_on(async { Owner::reach(&config, Missing::Make).await?.post(path, &body).await })?;
    match format {
        Format::Json => output::json(&answer),
        Format::Plain => output::line(match command {
            Command::Add(_) => "the person can sign in now",
            Command::Revoke { .. } => "the person cannot sign in any more",
        }),
    };
    Ok(Outcome::Done)
}
