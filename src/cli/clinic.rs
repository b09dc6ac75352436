//! `gateway clinic`: tenants and their Cliniko accounts.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use hyper::Uri;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::ConfigArguments;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::owner::Missing;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::config::is_slug;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::http::admin::accounts::NewClinic;
use crate::http::admin::accounts::NewKey;
use crate::outbound::cliniko::BadKey;
use crate::outbound::cliniko::Key;
use crate::pipeline::records::clinic::Release;

/// A file with a key or a password is far smaller.
const SECRET_BYTES_MAX: u64 = 4 * 1024;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Add a clinic with the API key of its Cliniko account.
    #[command(
        after_help = "Example: gateway clinic add north --cliniko-key-file cliniko.key --shard uk1 --release manual"
    )]
    Add(Add),
    /// List the clinics added; keys are never shown.
    #[command(after_help = "Example: gateway clinic list --format json")]
    List(ConfigArguments),
    /// Replace the API key of a clinic's Cliniko account; it is used from the next request on.
    #[command(after_help = "Example: gateway clinic key north --cliniko-key-file cliniko.key")]
    Key(NewKeyFile),
}

#[derive(Debug, clap::Args)]
pub(crate) struct NewKeyFile {
    #[command(flatten)]
    config: ConfigArguments,
    /// The clinic's name, as it was added.
    name: String,
    /// The file that holds the new API key of the same account, as Cliniko shows it.
    #[arg(long, value_name = "FILE")]
    cliniko_key_file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    #[command(flatten)]
    config: ConfigArguments,
    /// The clinic's name and id: letters, digits, hyphens and underscores.
    name: String,
    /// The file that holds the API key, as Cliniko shows it.
    #[arg(long, value_name = "FILE")]
    cliniko_key_file: PathBuf,
    /// The shard of the account: the part of the key after its last hyphen.
    #[arg(long)]
    shard: String,
    /// Another address than the shard's, on this machine only: a simulated Cliniko.
    #[arg(long, value_name = "URL")]
    dangerous_cliniko_url: Option<String>,
    /// Whether approval sends a case to Cliniko, or a second step does.
    #[arg(long, value_enum, default_value_t = Release::Manual)]
    release: Release,
    /// The token of the patient's custom field that holds the NHS number.
    #[arg(long, value_name = "TOKEN")]
    nhs_number_field: Option<String>,
}

pub(crate) fn run(command: &Command, format: Format) -> super::Result {
    match command {
        Command::Add(arguments) => add(arguments, format),
        Command::Key(arguments) => replace_key(arguments, format),
        Command::List(config) => {
            let (config, _) = config.load()?;
            let clinics = runtime()?
                .block_on(async { Owner::reach(&config, Missing::Refuse).await?.get("/clinics").await })?;
            for clinic in clinics.as_array().map(Vec::as_slice).unwrap_or_default() {
                match format {
                    Format::Json => output::json(clinic),
                    Format::Plain => output::line(&row(clinic)),
                };
            }
            Ok(Outcome::Done)
        }
    }
}

fn row(clinic: &Value) -> String {
    let text = |key: &str| clinic.get(key).and_then(Value::as_str).unwrap_or("-");
    format!("{}  {}  release {}", text("id"), text("shard"), text("release"))
}

fn add(arguments: &Add, format: Format) -> super::Result {
    let (config, _) = arguments.config.load()?;
    let key = secret(&arguments.cliniko_key_file)?;
    let problems = problems(arguments, &key, &config.cliniko.shards);
    if !problems.is_empty() {
        return Err(Failure::Configuration(problems));
    }
    let clinic = NewClinic {
        name: arguments.name.clone(),
        cliniko_key: key.to_string().into(),
        shard: arguments.shard.clone(),
        dangerous_cliniko_url: arguments.dangerous_cliniko_url.clone(),
        release: arguments.release,
        nhs_number_field: arguments.nhs_number_field.clone(),
    };
    let answer = runtime()?
        .block_on(async { Owner::reach(&config, Missing::Make).await?.post("/clinics", &clinic).await })?;
    match format {
        Format::Json => output::json(&answer),
        Format::Plain => output::line(&format!("added clinic {}", clinic.name)),
    };
    Ok(Outcome::Done)
}

fn replace_key(arguments: &NewKeyFile, format: Format) -> super::Result {
    let (config, _) = arguments.config.load()?;
    let key = secret(&arguments.cliniko_key_file)?;
    runtime()?.block_on(async {
        let mut owner = Owner::reach(&config, Missing::Refuse).await?;
        let clinics = owner.get("/clinics").await?;
        let clinics = clinics.as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |it: &Value, key: &str| it.get(key).and_then(Value::as_str).map(str::to_owned);
        let known = clinics.iter().find(|it| text(it, "id").as_ref() == Some(&arguments.name));
        // A clinic that is not there is the owner's to refuse. Patients' ids are an account's own, so the shard stays.
        let problem = known.and_then(|it| {
            let shard = text(it, "shard").unwrap_or_default();
            let is_simulated = text(it, "dangerous_cliniko_url").is_some();
            shard_problem(&key, &shard, &config.cliniko.shards, is_simulated)
        });
        if let Some(problem) = problem {
            return Err(Failure::Configuration(vec![problem]));
        }
        let new = NewKey { name: arguments.name.clone(), cliniko_key: key.to_string().into() };
        let answer = owner.post("/clinics/key", &new).await?;
        match format {
            Format::Json => output::json(&answer),
            Format::Plain => output::line(&format!("replaced the key of clinic {}", new.name)),
        };
        Ok(Outcome::Done)
    })
}

/// A secret from the file it is kept in, without the line end an editor adds.
#[expect(clippy::disallowed_methods, reason = "secrets reach a command by file only")]
pub(crate) fn secret(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let cannot = || format!("cannot read `{}`", file.display());
    if fs::metadata(file).with_context(cannot)?.len() > SECRET_BYTES_MAX {
        bail!("`{}` is larger than a key or a password", file.display());
    }
    let text = Zeroizing::new(fs::read_to_string(file).with_context(cannot)?);
    let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if text.is_empty() {
        bail!("`{}` is empty", file.display());
    }
    Ok(text)
}

fn problems(arguments: &Add, key: &str, shards: &[String]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if !is_slug(&arguments.name) {
        found.push(
            Diagnostic::error(Code::new("C004"), "the name of a clinic has other characters than it may")
                .help("use 1 to 64 letters, digits, hyphens and underscores"),
        );
    }
    let url = arguments.dangerous_cliniko_url.as_deref();
    if url.is_some_and(|url| !is_loopback(url)) {
        found.push(
            Diagnostic::error(Code::new("C021"), "a Cliniko address of one's own must be on this machine")
                .at("--dangerous-cliniko-url")
                .help("leave it out for the real Cliniko; a simulated one is at http://127.0.0.1:PORT"),
        );
    }
    found.extend(shard_problem(key, &arguments.shard, shards, url.is_some()));
    found
}

/// A simulated Cliniko may take any key; a real one takes the key of its shard, and data may go to few shards.
fn shard_problem(key: &str, shard: &str, allowed: &[String], is_simulated: bool) -> Option<Diagnostic> {
    let problem = |message: String, help: String| {
        Some(Diagnostic::error(Code::new("C021"), message).at("--cliniko-key-file").help(help))
    };
    match Key::parse(key, allowed) {
        Ok(key) if is_simulated || key.shard() == shard => None,
        Ok(key) => problem(
            "the API key belongs to another shard than the one given".to_owned(),
            format!("give --shard {}, or the key of the other account", key.shard()),
        ),
        Err(error @ BadKey::NotAKey) => problem(
            error.to_string(),
            "copy the key as Cliniko shows it, with the part after its last hyphen".to_owned(),
        ),
        Err(error @ BadKey::ShardNotAllowed { .. }) => problem(
            error.to_string(),
            format!("`cliniko.shards` in the configuration names the shards allowed: {}", allowed.join(", ")),
        ),
    }
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    uri.scheme_str() == Some("http") && is_here
}

#[cfg(test)]
mod tests {
    use super::is_loopback;
    use super::shard_problem;

    #[test]
    fn a_key_of_another_shard_is_refused_before_anything_is_kept() {
        let allowed = ["uk1".to_owned(), "uk2".to_owned()];
        assert_eq!(shard_problem("MS0xLWE-b-uk1", "uk1", &allowed, false), None);
        assert_eq!(shard_problem("MS0xLWE-uk1", "uk2", &allowed, true), None);
        for (key, shard) in
            [("MS0xLWE-uk2", "uk1"), ("MS0xLWE", "uk1"), ("MS0xLWE-au1", "au1"), ("MS0x LWE-uk1", "uk1")]
        {
            let problem = shard_problem(key, shard, &allowed, false).unwrap();
            assert!(!format!("{problem:?}").contains("MS0"), "the key is not repeated");
        }
    }

    #[test]
    fn only_this_machine_may_play_cliniko() {
        for url in ["http://127.0.0.1:8080", "http://[::1]:9/v1"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "https://127.0.0.1",
            "http://localhost.example.org",
            "http://10.0.0.1",
            "http://127.0.0.1@evil.example",
            "",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
