//! `gateway message`: the messages kept.

mod bulk;
mod export;

use std::path::PathBuf;

use anyhow::bail;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cli::ConfigArguments;
use crate::cli::Failure;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::output;
use crate::cli::owner::Missing;
use crate::cli::owner::Owner;
use crate::cli::serve::runtime;
use crate::config::is_slug;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::codes;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::message::State;

/// Messages asked for at once, by what goes through many.
const PAGE_ROWS: usize = 500;
/// A line of progress for so many messages.
const PROGRESS_EVERY: usize = 100;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the messages kept, oldest first.
    #[command(after_help = "Example: gateway message list --state held --since 2026-03-01 --format json")]
    List {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        which: Which,
        /// Only those in this state: waiting, mapped, held or rejected.
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<State>,
        /// One line a feed instead: what it sent, what became of it, and when it was last heard.
        #[arg(long, conflicts_with_all = ["state", "since", "feed", "lab", "code"])]
        summary: bool,
    },
    /// Show the journey of one message, or its exact bytes.
    #[command(after_help = "Example: gateway message show 01JH8Z3K5T6V7W8X9Y0Z1A2B3C --raw > message.hl7")]
    Show(Show),
    /// Read messages again, in the order received, with the feeds of now.
    ///
    /// One that is mapped already, named by its id, is read as a further message: what it says anew is a further version
    /// of its reports, and a person decides where the two contradict.
    #[command(
        after_help = "Example: gateway message replay --held --feed north-mllp --code T014 --dry-run\n         gateway message replay 01JH8Z3K5T6V7W8X9Y0Z1A2B3C"
    )]
    Replay {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        pick: bulk::Pick,
        /// With which mapping: that of now, or the one that read the message last, as it was then.
        #[arg(long, value_name = "WHICH", value_enum, default_value_t = bulk::Mapping::Now)]
        mapping: bulk::Mapping,
    },
    /// Close held or rejected messages that nobody will mend; their bytes stay.
    #[command(
        after_help = "Example: gateway message discard 01JH8Z3K5T6V7W8X9Y0Z1A2B3C --reason \"sent again as 4712\""
    )]
    Discard {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        pick: bulk::Pick,
        /// Why; kept sealed. Name messages, not patients.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Write the exact bytes of many messages into a folder, a file each.
    #[command(after_help = "Example: gateway message export held/ --state held --feed north-mllp")]
    Export {
        #[command(flatten)]
        config: ConfigArguments,
        /// The folder; it is made if it is not there. No file in it is overwritten.
        folder: PathBuf,
        #[command(flatten)]
        which: Which,
        /// Only those in this state: waiting, mapped, held or rejected.
        #[arg(long, value_name = "STATE", value_parser = state)]
        state: Option<State>,
    },
    /// The messages answered with an error or a rejection.
    #[command(subcommand)]
    Quarantine(Quarantine),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Quarantine {
    /// List what is in quarantine and waits for a person, oldest first.
    #[command(after_help = "Example: gateway message quarantine list --code H102")]
    List {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        which: Which,
        /// Those that were discarded too.
        #[arg(long)]
        all: bool,
    },
    /// Show the journey of one message, or its exact bytes.
    #[command(after_help = "Example: gateway message quarantine show 01JH8Z3K5T6V7W8X9Y0Z1A2B3C")]
    Show(Show),
    /// Close messages in quarantine that nobody will mend; their bytes stay.
    #[command(
        after_help = "Example: gateway message quarantine discard --rejected --code H107 --reason \"acknowledgements sent to us\""
    )]
    Discard {
        #[command(flatten)]
        config: ConfigArguments,
        #[command(flatten)]
        pick: bulk::Pick,
        /// Why; kept sealed. Name messages, not patients.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    #[command(flatten)]
    config: ConfigArguments,
    /// The message's id, as `gateway message list` prints it.
    id: MessageId,
    /// Write the bytes as received, and nothing else.
    #[arg(long)]
    raw: bool,
}

/// Which messages, by what is known of them.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Which {
    /// Only those received since: a date (UTC) or a time such as 2026-03-01T09:30:00Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only those that came by this feed.
    #[arg(long, value_name = "FEED", value_parser = slug)]
    feed: Option<String>,
    /// Only those of this laboratory's feeds.
    #[arg(long, value_name = "LAB", value_parser = slug)]
    lab: Option<String>,
    /// Only those of which this diagnostic code is said.
    #[arg(long, value_name = "CODE", value_parser = code)]
    code: Option<String>,
}

impl Which {
    /// The query that asks for them. Every value was checked to need no escaping.
    fn query(&self, state: Option<State>) -> Vec<String> {
        let mut query = Vec::new();
        query.extend(self.since.map(|it| format!("since={it}")));
        for (name, value) in [("feed", &self.feed), ("lab", &self.lab), ("code", &self.code)] {
            query.extend(value.as_ref().map(|it| format!("{name}={it}")));
        }
        query.extend(state.map(|it| format!("state={}", it.as_str())));
        query
    }
}

pub(crate) fn slug(text: &str) -> Result<String, String> {
    if is_slug(text) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 64 letters, digits, hyphens and underscores".to_owned())
    }
}

fn code(text: &str) -> Result<String, String> {
    let is_code = codes::find(text).is_some();
    if is_code {
        Ok(text.to_owned())
    } else {
        Err("a code is a letter and three digits, such as T014".to_owned())
    }
}

pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<Date>()?.to_zoned(TimeZone::UTC).map(|it| it.timestamp()))
        .map_err(|_| "write a date such as 2026-03-01, or a time such as 2026-03-01T09:30:00Z".to_owned())
}

fn state(text: &str) -> Result<State, String> {
    State::from_word(text).ok_or_else(|| "the states are waiting, mapped, held and rejected".to_owned())
}

pub(crate) fn run(command: &Command, format: Format) -> super::Result {
    match command {
        Command::List { config, summary: true, .. } => {
            let feeds = ask(config, async |owner| owner.get("/feeds").await)?;
            summary(&feeds, format);
        }
        Command::List { config, which, state, .. } => {
            let path = format!("/messages?{}", which.query(*state).join("&"));
            ask(config, async |owner| list(owner, &path, format).await)?;
        }
        Command::Quarantine(Quarantine::List { config, which, all }) => {
            let mut query = which.query(Some(State::Rejected));
            query.push(format!("waiting_only={}", !all));
            let path = format!("/messages?{}", query.join("&"));
            ask(config, async |owner| list(owner, &path, format).await)?;
        }
        Command::Show(it) | Command::Quarantine(Quarantine::Show(it)) => show(it, format)?,
        Command::Replay { config, pick, mapping } => {
            return bulk::run(config, pick, &bulk::Verb::Replay { mapping: *mapping }, format);
        }
        Command::Discard { config, pick, reason }
        | Command::Quarantine(Quarantine::Discard { config, pick, reason }) => {
            return bulk::run(config, pick, &bulk::Verb::Discard { reason: reason.clone() }, format);
        }
        Command::Export { config, folder, which, state } => {
            let path = format!("/messages?{}", which.query(*state).join("&"));
            return export::run(config, folder, &path, format);
        }
    }
    Ok(Outcome::Done)
}

/// Asks whoever has the store open.
fn ask<T>(
    config: &ConfigArguments,
    question: impl AsyncFnOnce(&mut Owner) -> anyhow::Result<T>,
) -> Result<T, Failure> {
    let (config, _) = config.load()?;
    let answer =
        runtime()?.block_on(async { question(&mut Owner::reach(&config, Missing::Refuse).await?).await });
    Ok(answer?)
}

fn show(it: &Show, format: Format) -> Result<(), Failure> {
    let (id, raw) = (it.id, it.raw);
    ask(&it.config, async |owner| {
        if raw {
            output::bytes(&owner.get_bytes(&format!("/messages/{id}/raw")).await?);
        } else {
            journey(&owner.get(&format!("/messages/{id}")).await?, format);
        }
        Ok(())
    })
}

fn summary(feeds: &Value, format: Format) {
    const COUNTS: [&str; 5] = ["waiting", "mapped", "held", "rejected", "discarded"];
    if format == Format::Plain {
        let heads = COUNTS.map(|it| format!("{it:>9}")).concat();
        output::line(&format!("{:<24}{heads}  last heard", "feed"));
    }
    for feed in feeds.as_array().map(Vec::as_slice).unwrap_or_default() {
        let text = |key: &str| feed.get(key).and_then(Value::as_str).filter(|it| !it.is_empty());
        let count = |key: &str| feed.get(key).and_then(Value::as_i64).unwrap_or_default();
        match format {
            Format::Json => output::json(feed),
            Format::Plain => {
                let counts = COUNTS.map(|it| format!("{:>9}", count(it))).concat();
                let (name, last) =
                    (text("feed").unwrap_or("(no feed)"), text("last_heard").unwrap_or("never"));
                output::line(&format!("{name:<24}{counts}  {last}"))
            }
        };
    }
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

/// The ids of one page of a list.
async fn page(owner: &mut Owner, path: &str) -> anyhow::Result<Vec<MessageId>> {
    let (mut ids, mut failure) = (Vec::new(), None);
    owner
        .lines(path, |line| {
            failure = broken_off(line);
            let document: Option<Value> = serde_json::from_str(line).ok();
            ids.extend(document.as_ref().and_then(|it| it.get("id")?.as_str()?.parse::<MessageId>().ok()));
            failure.is_none()
        })
        .await?;
    failure.map_or(Ok(ids), |failure| Err(anyhow::anyhow!(failure)))
}

/// The last line of a list that could not be read to its end.
fn broken_off(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok().filter(|_| line.starts_with("{\"error\""))?;
    line.get("error")?.as_str().map(str::to_owned)
}

fn row(it: &Value) -> String {
    let text = |key: &str| it.get(key).and_then(Value::as_str).unwrap_or("-");
    let discarded = it.get("discarded").is_some_and(|it| !it.is_null());
    format!(
        "{}  {:<8}  {:<2}  {}  {}  {}",
        text("id"),
        if discarded { "closed" } else { text("state") },
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
    for key in [
        "id",
        "received_at",
        "lab",
        "feed",
        "control_id",
        "sha256",
        "bytes",
        "ack",
        "state",
        "mapping",
        "discarded",
        "discard_reason",
    ] {
        if key.starts_with("discard") && it.get(key).is_none_or(Value::is_null) {
            continue;
        }
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
