//! `gateway demo`: the whole journey on a simulated laboratory and a simulated Cliniko, in a temporary store.
//!
//! Everything speaks over real sockets: the laboratory over MLLP, FHIR, SFTP and as signed JSON, the clinician over the
//! API, the gateway with Cliniko over HTTP. It then checks every promise it can. Start at [`journey`].

mod browser;
mod feeds;
mod journey;
mod messages;
mod promises;
mod world;

use serde_json::Value;

use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::serve::interrupted;
use crate::cli::serve::runtime;
use crate::telemetry;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  gateway demo            stays up for a browser, until interrupted\n  gateway demo --once     runs, checks what it can, and ends"
)]
pub(crate) struct Arguments {
    /// Run, check, print the outcome, and end.
    #[arg(long)]
    once: bool,
    /// What the gateway itself logs, on standard error.
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    log: String,
}

pub(crate) fn run(arguments: &Arguments, format: Format) -> super::Result {
    telemetry::start(&arguments.log, telemetry::Format::Plain)?;
    let told = Told { format };
    runtime()?.block_on(async {
        let world = world::World::start().await?;
        told.say("Simulated Cliniko and the gateway are up, in a temporary store.");
        journey::run(&world, &told).await?;
        let outcome = promises::check(&world, &told).await?;
        let kept = outcome.kept;
        if !arguments.once {
            told.say(&world.where_to_look());
            told.say("Staying up until interrupted (Ctrl-C).");
            if format == Format::Json {
                output::json(&outcome.document);
            }
            interrupted().await?;
        }
        world.stop().await;
        match format {
            Format::Json if arguments.once => {
                output::json(&outcome.document);
            }
            _ => told.say(if kept {
                "Every promise checked was kept."
            } else {
                "A promise was broken; see above."
            }),
        }
        Ok(Outcome::from(kept))
    })
}

/// Tells a person what happens, as it happens; with `--format json`, on standard error.
struct Told {
    format: Format,
}

impl Told {
    fn say(&self, text: &str) {
        match self.format {
            Format::Plain => {
                output::line(text);
            }
            Format::Json => output::note(text),
        }
    }
}

/// A text of a JSON answer; empty where it is missing.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
