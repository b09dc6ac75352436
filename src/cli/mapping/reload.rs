//! `gateway mapping reload`: the running gateway loads its mapping files now, and says what came of it.

use anyhow::Context;
use anyhow::bail;
use serde_json::Value;

use crate::cli::ConfigArguments;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::owner::Missing;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::diagnostic::Diagnostic;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: gateway mapping reload --config gateway.toml\n\nExit status: 0 the files serve, 1 no gateway runs, 2 the files cannot serve and those from before do."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) fn run(arguments: &Arguments, format: Format) -> crate::cli::Result {
    let (config, _) = arguments.config.load()?;
    let answer = runtime()?.block_on(async {
        if !Owner::is_running(&config).await {
            bail!("no gateway runs on this store; the next start loads the files");
        }
        ask(&mut Owner::reach(&config, Missing::Refuse).await?).await
    })?;
    if format == Format::Json {
        output::json(&answer.document);
    }
    if !answer.refused.is_empty() {
        return Err(Failure::Configuration(answer.refused));
    }
    if format == Format::Plain {
        answer.tell();
    }
    Ok(Outcome::Done)
}

/// What came of asking the running gateway.
pub(super) struct Answer {
    pub(super) document: Value,
    /// Why the files cannot serve; empty where they do.
    pub(super) refused: Vec<Diagnostic>,
}

pub(super) async fn ask(owner: &mut Owner) -> anyhow::Result<Answer> {
    let document = owner.post("/mappings/reload", &Value::Null).await?;
    let refused = document.get("diagnostics").cloned().unwrap_or_default();
    let refused = serde_json::from_value(refused).context("the gateway is of another version")?;
    Ok(Answer { document, refused })
}

impl Answer {
    pub(super) fn tell(&self) {
        let swapped = self.document.get("swapped").and_then(Value::as_array).map(Vec::as_slice);
        let swapped = swapped.unwrap_or_default();
        for swap in swapped {
            let text = |key: &str| swap.get(key).and_then(Value::as_str);
            let (from, to) = (text("from").unwrap_or("(new)"), text("to").unwrap_or("(gone)"));
            output::line(&format!("{:<24} {from} → {to}", text("part").unwrap_or_default()));
        }
        match self.document.get("directory").and_then(Value::as_str) {
            None => output::line("unchanged: the mappings are those in the binary"),
            Some(_) if swapped.is_empty() => output::line("unchanged: the files say what runs already"),
            Some(_) => output::line(&format!("{} swapped", swapped.len())),
        };
    }
}
