//! `gateway message`: the messages kept.

use anyhow::bail;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cli::ConfigArguments;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::owner::Missing;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::diagnostic::Diagnostic;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::message::State;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the messages kept, oldest first.
    #[command(after_help = "Example: gateway message list --state held --since 2026-03-01 --format json")]
    List {
        #[command(flatten)]
        config: ConfigArguments,
        /// Only those received since: a date (UTC) or a time such as 2026-03-01T09:30:00Z.
        #[arg(long, value_name = "TIME", value_parser = since)]
        since: Option<Timestamp>,
        /// Only those in this state: waiting, mapped, held or rejected.
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<State>,
    },
    /// Show the journey of one message, or its exact bytes.
    #[command(after_help = "Example: gateway message show 01JH8Z3K5T6V7W8X9Y0Z1A2B3C --raw > message.hl7")]
    Show {
        #[command(flatten)]
        config: ConfigArguments,
        id: MessageId,
        /// Write the bytes as received, and nothing else.
        #[arg(long)]
        raw: bool,
    },
    /// Read a held message again, with the mapping of now.
    #[command(after_help = "Example: gateway message replay 01JH8Z3K5T6V7W8X9Y0Z1A2B3C")]
    Replay {
        #[command(flatten)]
        config: ConfigArguments,
        id: MessageId,
    },
}

fn since(text: &str) -> Result<Timestamp, String> {
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<Date>()?.to_zoned(TimeZone::UTC).map(|it| it.timestamp()))
        .map_err(|_| "write a date such as 2026-03-01, or a time such as 2026-03-01T09:30:00Z".to_owned())
}

fn state(text: &str) -> Result<State, String> {
    State::from_word(text).ok_or_else(|| "the states are waiting, mapped, held and rejected".to_owned())
}

pub(crate) fn run(command: &Command, format: Format) -> super::Result {
    match command {
        Command::List { config, since, state } => {
            let (config, _) = config.load()?;
            let mut query: Vec<String> = Vec::new();
            query.extend(since.map(|since| format!("since={since}")));
            query.extend(state.map(|state| format!("state={}", state.as_str())));
            let path = format!("/messages?{}", query.join("&"));
            runtime()?.block_on(async {
                list(&mut Owner::reach(&config, Missing::Refuse).await?, &path, format).await
            })?;
        }
        Command::Show { config, id, raw } => {
            let (config, _) = config.load()?;
            runtime()?.block_on(async {
                let mut owner = Owner::reach(&config, Missing::Refuse).await?;
                if *raw {
                    output::bytes(&owner.get_bytes(&format!("/messages/{id}/raw")).await?);
                } else {
                    journey(&owner.get(&format!("/messages/{id}")).await?, format);
                }
                anyhow::Ok(())
            })?;
        }
        Command::Replay { config, id } => {
            let (config, _) = config.load()?;
            let answer = runtime()?.block_on(async {
                let mut owner = Owner::reach(&config, Missing::Refuse).await?;
                owner.post(&format!("/messages/{id}/replay"), &()).await
            })?;
            match format {
                Format::Plain => output::line(&format!(
                    "{id} is read again by the running gateway, or when it next starts"
                )),
                Format::Json => output::json(&answer),
            };
        }
    }
    Ok(Outcome::Done)
}

async fn list(owner: &mut Owner, path: &str, format: Format) -> anyhow::Result<()> {
    let mut failure = None;
    owner
        .lines(path, |line| {
            if let Some(error) = broken_off(line) {
                failure = Some(error);
                return false;
            }
            match format {
                Format::Json => output::line(line),
                Format::Plain => {
                    output::line(&serde_json::from_str(line).map_or_else(|_| line.to_owned(), |it| row(&it)))
                }
            }
        })
        .await?;
    match failure {
        Some(error) => bail!("{error}"),
        None => Ok(()),
    }
}

/// The last line of a list that could not be read to its end.
fn broken_off(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok().filter(|_| line.starts_with("{\"error\""))?;
    line.get("error")?.as_str().map(str::to_owned)
}

fn row(it: &Value) -> String {
    let text = |key: &str| it.get(key).and_then(Value::as_str).unwrap_or("-");
    format!(
        "{}  {:<8}  {:<2}  {}  {}  {}",
        text("id"),
        text("state"),
        text("ack"),
        text("received_at"),
        text("feed"),
        text("control_id")
    )
}

fn journey(it: &Value, format: Format) {
    if format == Format::Json {
        output::json(it);
        return;
    }
    for key in ["id", "received_at", "lab", "feed", "control_id", "sha256", "bytes", "ack", "state"] {
        let value = it.get(key).unwrap_or(&Value::Null);
        output::line(&format!(
            "{key:<12} {}",
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        ));
    }
    for part in ["reports", "cases", "audit"] {
        let rows = it.get(part).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        output::line(&format!("{part} ({})", rows.len()));
        for row in rows {
            output::line(&format!("  {row}"));
        }
    }
    let diagnostics: Vec<Diagnostic> =
        it.get("diagnostics").and_then(|it| serde_json::from_value(it.clone()).ok()).unwrap_or_default();
    output::diagnostics(&diagnostics, it.get("id").and_then(Value::as_str).unwrap_or_default(), format);
}
