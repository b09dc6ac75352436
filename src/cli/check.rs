//! `gateway check`: all that `serve` would need, tried without serving.

use std::sync::Arc;

use serde_json::json;

use crate::app;
use crate::app::Compiled;
use crate::cli::ConfigArguments;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::Severity;
use crate::diagnostic::has_errors;
use crate::inbound::mllp;
use crate::inbound::sftp_poll;
use crate::outbound::cliniko;
use crate::pipeline::accounts::Accounts;
use crate::pipeline::records::clinic;
use crate::store::Store;
use crate::store::embedded;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gateway check --config gateway.toml\n\nExit status: 0 ready, 1 something outside the files failed, 2 the configuration or a mapping is wrong."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Only the files: try no certificate, no store and no Cliniko account.
    #[arg(long)]
    no_environment: bool,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    let (config, mut found) = arguments.config.load()?;
    found.extend(Compiled::of(&config).err().into_iter().flatten());
    if has_errors(&found) {
        return Err(Failure::Configuration(found));
    }
    if !arguments.no_environment {
        found.extend(runtime()?.block_on(environment(&config)));
    }
    output::diagnostics(&found, "", format);
    let is_ready = !has_errors(&found);
    let warnings = found.iter().filter(|it| it.severity == Severity::Warning).count();
    match format {
        Format::Json => output::json(&json!({ "ready": is_ready, "warnings": warnings })),
        Format::Plain if is_ready => output::line(&format!("ready, {warnings} warnings")),
        Format::Plain => output::line("not ready"),
    };
    Ok(Outcome::from(is_ready))
}

/// What only shows on this machine, now.
async fn environment(config: &Config) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some(Err(error)) = config.mllp.tls.as_ref().map(mllp::check) {
        found.push(
            failed(Code::new("C017"), "the TLS listener cannot be used", &error).at("inbound.mllps").help(
                "name PEM files that exist and belong together; certs/ holds the script for development",
            ),
        );
    }
    for (feed, poll) in &config.polls {
        let tried = sftp_poll::check(poll).await;
        found.extend(tried.err().map(|it| it.at(format!("lab.feed `{}`", feed.name))));
    }
    match store(config).await {
        Ok(Some(store)) => found.extend(accounts(config, &store).await),
        Ok(None) => found.push(
            Diagnostic::info(
                Code::new("C019"),
                "a gateway runs on this store, so its clinics' accounts are its own to try",
            )
            .help("see its health page"),
        ),
        Err(problem) => found.push(problem),
    }
    found
}

/// The store, opened here; none where a running gateway has it.
async fn store(config: &Config) -> Result<Option<Store>, Diagnostic> {
    if !config.store_directory.join(embedded::FILE_NAME).exists() {
        // Nothing is made by a check: `serve` makes it.
        return Err(Diagnostic::warning(
            Code::new("C018"),
            format!("there is no store in `{}` yet", config.store_directory.display()),
        )
        .help("`gateway serve` or `gateway clinic add` makes it"));
    }
    if Owner::is_running(config).await {
        return Ok(None);
    }
    app::open(config).await.map(Some).map_err(|error| {
        Diagnostic::error(Code::new("C018"), format!("the store cannot be opened: {error:#}"))
            .at("store.directory")
            .help("name the folder and the master key that belong together; a store has one owner at a time")
    })
}

/// Each clinic's Cliniko account, and the clinics that are named and not added.
async fn accounts(config: &Config, store: &Store) -> Vec<Diagnostic> {
    let clinics = match clinic::all(store) {
        Ok(clinics) => clinics,
        Err(error) => return vec![failed(Code::new("C018"), "the clinics cannot be read", &error)],
    };
    let mut found = Vec::new();
    for feed in config.feeds.iter() {
        for name in feed.clinics.iter().filter(|name| !clinics.iter().any(|it| it.name == **name)) {
            found.push(
                Diagnostic::warning(
                    Code::new("C011"),
                    format!("the clinic `{name}` is named, and nobody has added it"),
                )
                .at(format!("lab `{}`", feed.lab))
                .fact("its reports are mapped, and wait for a patient")
                .help(format!("gateway clinic add {name} --cliniko-key-file FILE --shard SHARD")),
            );
        }
    }
    let accounts = Accounts::new(config.cliniko.clone(), Arc::new(SystemClock::new()));
    for clinic in &clinics {
        let told = |it: Diagnostic| {
            if it.position.is_empty() { it.at(format!("clinic `{}`", clinic.name)) } else { it }
        };
        match accounts.account(store, &clinic.name) {
            Ok(account) => {
                let expected = cliniko::Expectations {
                    nhs_number_field: clinic.nhs_number_field.clone(),
                    ..cliniko::Expectations::default()
                };
                found.extend(cliniko::check(&account.client, &expected).await.into_iter().map(told));
            }
            Err(error) => found.push(told(
                failed(Code::new("C020"), "the clinic's Cliniko account cannot be tried", &error)
                    .help("add the clinic with a key that is whole and of an allowed shard"),
            )),
        }
    }
    found
}

fn failed(code: Code, what: &str, error: &dyn std::error::Error) -> Diagnostic {
    let causes = std::iter::successors(Some(error), |it| it.source()).map(ToString::to_string);
    let causes = causes.collect::<Vec<_>>().join(": ");
    Diagnostic::error(code, format!("{what}: {causes}"))
}

/// `gateway keys status`: whether the configured master key opens the store. A running gateway shows that by running.
pub(crate) fn store_status(config: &Config, format: Format) -> super::Result {
    let is_made = config.store_directory.join(embedded::FILE_NAME).exists();
    let is_running = runtime()?.block_on(async {
        let is_running = Owner::is_running(config).await;
        if is_made && !is_running {
            app::open(config).await.map(drop)?;
        }
        anyhow::Ok(is_running)
    })?;
    let opens = (is_made && !is_running).then_some(true);
    let told = match (is_made, is_running) {
        (_, true) => "a gateway runs on the store, so its master key opens it; this file was not tried",
        (true, false) => "the master key opens the store",
        (false, false) => "there is no store yet; the first start makes one that belongs to this master key",
    };
    match format {
        Format::Json => output::json(&json!({
            "store": config.store_directory, "made": is_made, "running": is_running, "opens": opens,
        })),
        Format::Plain => output::line(told),
    };
    Ok(Outcome::Done)
}
