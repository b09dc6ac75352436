//! `gateway mapping active`: what runs, or with no gateway running what would.

use serde_json::Value;

use crate::app;
use crate::cli::ConfigArguments;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::owner::Missing;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::http::admin;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gateway mapping active --format json\n\nExit status: 0 what runs is what the files say, 1 the files are otherwise or could not be loaded, 2 they do not compile and no gateway runs."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let (config, _) = arguments.config.load()?;
    let running = runtime()?.block_on(async {
        let is_running = Owner::is_running(&config).await;
        let asked = async { Owner::reach(&config, Missing::Refuse).await?.get("/mappings/active").await };
        if is_running { asked.await.map(Some) } else { anyhow::Ok(None) }
    })?;
    let document = match running {
        Some(document) => document,
        None => would_run(&config)?,
    };
    match format {
        Format::Json => {
            output::json(&document);
        }
        Format::Plain => plain(&document),
    }
    let differs = document.pointer("/disk/differs").and_then(Value::as_bool).unwrap_or(false);
    let failed = document.get("failed").is_some_and(|it| !it.is_null());
    Ok(Outcome::from(!differs && !failed))
}

fn would_run(config: &Config) -> Result<Value, Failure> {
    let mappings = app::mappings(config.mappings_directory.clone(), SystemClock::new().now());
    let mappings = mappings.map_err(Failure::Configuration)?;
    Ok(admin::mappings::document(mappings.source(), &mappings.loaded(), &config.feeds, None))
}

fn plain(document: &Value) {
    let text = |it: &Value, key: &str| it.get(key).and_then(Value::as_str).map(str::to_owned);
    let from = text(document, "directory").unwrap_or_else(|| "the binary".to_owned());
    output::line(&match text(document, "loaded_at") {
        Some(at) => format!("running since {at}, from {from}"),
        None => format!("no gateway runs; the next start would run, from {from}"),
    });
    for part in list(document, "/parts") {
        let feeds: Vec<&str> = list(part, "/feeds").iter().filter_map(Value::as_str).collect();
        let feeds = if feeds.is_empty() { String::new() } else { format!("  feeds {}", feeds.join(", ")) };
        let since = text(part, "loaded_at").map(|at| format!("  since {at}")).unwrap_or_default();
        let (name, digest) =
            (text(part, "part").unwrap_or_default(), text(part, "digest").unwrap_or_default());
        output::line(&format!("{name:<24} {digest}{since}{feeds}"));
    }
    for name in list(document, "/disk/files").iter().filter_map(Value::as_str) {
        output::line(&format!("differs on disk: {name}"));
    }
    diagnostics(document.pointer("/disk/diagnostics"));
    if let Some(failed) = document.get("failed").filter(|it| !it.is_null()) {
        let at = text(failed, "at").unwrap_or_default();
        output::line(&format!("the files could not be loaded at {at}; what was loaded before runs on"));
        diagnostics(failed.get("diagnostics"));
    }
}

fn list<'a>(document: &'a Value, pointer: &str) -> &'a [Value] {
    document.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn diagnostics(found: Option<&Value>) {
    let found = found.and_then(|it| serde_json::from_value::<Vec<Diagnostic>>(it.clone()).ok());
    output::diagnostics(&found.unwrap_or_default(), "mappings", Format::Plain);
}
