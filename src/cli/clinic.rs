//! `gateway clinic`: tenants and their Cliniko accounts.

use std::fs;
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
use crate::pipeline::records::clinic::Release;

/// A file with a key or a password is far smaller.
const SECRET_BYTES_MAX: u64 = 4 * 1024;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Add a clinic with the API key of its Cliniko account.
    #[command(after_help = "Example: gateway clinic add north --cliniko-key-file cliniko.key --shard uk1 --release manual")]
    Add(Add),
    /// List the clinics added; keys are never shown.
    #[command(after_help = "Example: gateway clinic list --format json")]
    List(ConfigArguments),
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
    let answer =
        runtime()?.block_on(async { Owner::reach(&config, Missing::Make).await?.post("/clinics", &clinic).await })?;
    match format {
        Format::Json => output::json(&answer),
        Format::Plain => output::line(&format!("added clinic {}", clinic.name)),
    };
    Ok(Outcome::Done)
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
    match &arguments.dangerous_cliniko_url {
        Some(url) if !is_loopback(url) => found.push(
            Diagnostic::error(Code::new("C014"), "a Cliniko address of one's own must be on this machine")
                .at("--dangerous-cliniko-url")
                .help("leave it out for the real Cliniko; a simulated one is at http://127.0.0.1:PORT"),
        ),
        Some(_) => {}
        None => found.extend(shard_problem(key, &arguments.shard, shards)),
    }
    found
}

/// The shard is the text after the last hyphen of the key, and one that data may go to.
fn shard_problem(key: &str, shard: &str, shards: &[String]) -> Option<Diagnostic> {
    let problem = |message: &str, help: String| Diagnostic::error(Code::new("C014"), message).at("--shard").help(help);
    if key.rsplit_once('-').is_none_or(|(_, own)| own != shard) {
        return Some(problem(
            "the API key belongs to another shard, or is not whole",
            "copy the key as Cliniko shows it, with the part after its last hyphen, and give that part as --shard".to_owned(),
        ));
    }
    (!shards.iter().any(|it| it == shard)).then(|| {
        problem(
            "the configuration does not let data go to this shard",
            format!("the shards allowed are {}; `cliniko.shards` in the configuration names them", shards.join(", ")),
        )
    })
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    uri.scheme_str() == Some("http") && host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;
    use super::shard_problem;

    #[test]
    fn a_key_of_another_shard_is_refused_before_anything_is_kept() {
        let allowed = ["uk1".to_owned(), "uk2".to_owned()];
        assert_eq!(shard_problem("MS0xLWE-b-uk1", "uk1", &allowed), None);
        for (key, shard) in [("MS0xLWE-au1", "uk1"), ("MS0xLWE", "uk1"), ("MS0xLWE-au1", "au1")] {
            let problem = shard_problem(key, shard, &allowed).unwrap();
            assert!(!format!("{problem:?}").contains("MS0"), "the key is not repeated");
        }
    }

    #[test]
    fn only_this_machine_may_play_cliniko() {
        for url in ["http://127.0.0.1:8080", "http://[::1]:9/v1"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["https://127.0.0.1", "http://localhost.example.org", "http://10.0.0.1", "http://127.0.0.1@evil.example", ""] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
