//! One thing done to many messages, one after the other in the order received.
//!
//! Which they are is settled page by page while it goes on, so a list of any length fits in memory; what is done to
//! each is a transaction of its own. An end in the middle leaves no half: run the command again.

use serde_json::Value;
use serde_json::json;

use crate::cli::ConfigArguments;
use crate::cli::Format;
use crate::cli::Outcome;
use crate::cli::message::PAGE_ROWS;
use crate::cli::message::PROGRESS_EVERY;
use crate::cli::message::Which;
use crate::cli::message::ask;
use crate::cli::message::page;
use crate::cli::output;
use crate::cli::owner::Owner;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::message::State;

/// Which messages: by id, or by what is known of them.
#[derive(Debug, clap::Args)]
pub(crate) struct Pick {
    /// The messages' ids, as `gateway message list` prints them.
    #[arg(value_name = "ID", required_unless_present_any = ["held", "rejected"], conflicts_with_all = ["held", "rejected"])]
    ids: Vec<MessageId>,
    /// All that are held and wait for a person.
    #[arg(long)]
    held: bool,
    /// All in quarantine that wait for a person.
    #[arg(long)]
    rejected: bool,
    #[command(flatten)]
    which: Which,
    /// Say what would happen to each, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What is done to each.
#[derive(Debug)]
pub(super) enum Verb {
    Discard { reason: String },
    Replay { mapping: Mapping },
}

/// Which mapping reads a message again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mapping {
    Now,
    Then,
}

impl Mapping {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Then => "then",
        }
    }
}

impl Verb {
    const fn done(&self) -> &'static str {
        match self {
            Self::Discard { .. } => "discarded",
            Self::Replay { .. } => "to be read again",
        }
    }

    fn request(&self, id: MessageId, dry_run: bool) -> (String, Value) {
        match self {
            Self::Discard { reason } => {
                (format!("/messages/{id}/discard?dry_run={dry_run}"), json!({ "reason": reason }))
            }
            Self::Replay { mapping } => {
                let mapping = mapping.as_str();
                (format!("/messages/{id}/replay?dry_run={dry_run}&mapping={mapping}"), Value::Null)
            }
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    done: usize,
    refused: usize,
}

pub(super) fn run(config: &ConfigArguments, pick: &Pick, verb: &Verb, format: Format) -> crate::cli::Result {
    let tally = ask(config, async |owner| {
        let mut tally = Tally::default();
        for id in &pick.ids {
            each(owner, *id, pick.dry_run, verb, format, &mut tally).await?;
        }
        for (_, state) in
            [(pick.held, State::Held), (pick.rejected, State::Rejected)].into_iter().filter(|it| it.0)
        {
            all(owner, pick, state, verb, format, &mut tally).await?;
        }
        Ok(tally)
    })?;
    let Tally { done, refused } = tally;
    if format == Format::Plain {
        let would = if pick.dry_run { "dry run: nothing was done; it would be " } else { "" };
        output::note(&format!("{would}{done} {}, {refused} refused", verb.done()));
    }
    Ok(Outcome::from(refused == 0))
}

/// Every message of a state that waits for a person, as the filter says.
async fn all(
    owner: &mut Owner,
    pick: &Pick,
    state: State,
    verb: &Verb,
    format: Format,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut query = pick.which.query(Some(state));
    query.push(format!("waiting_only=true&limit={PAGE_ROWS}"));
    let mut after = None;
    loop {
        let from = after.map(|id| format!("&after={id}")).unwrap_or_default();
        let ids = page(owner, &format!("/messages?{}{from}", query.join("&"))).await?;
        let Some(last) = ids.last() else { return Ok(()) };
        after = Some(*last);
        for id in ids {
            each(owner, id, pick.dry_run, verb, format, tally).await?;
        }
    }
}

async fn each(
    owner: &mut Owner,
    id: MessageId,
    dry_run: bool,
    verb: &Verb,
    format: Format,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let (path, body) = verb.request(id, dry_run);
    match owner.try_post(&path, &body).await? {
        Ok(document) => {
            tally.done += 1;
            match format {
                Format::Json => output::json(&document),
                Format::Plain => {
                    let further = document["read_as"].as_str().map(|it| format!(" as {it}"));
                    output::line(&format!("{id}  {}{}", verb.done(), further.unwrap_or_default()))
                }
            };
        }
        Err(refusal) => {
            tally.refused += 1;
            let words = refusal.get("error").and_then(Value::as_str).unwrap_or("refused");
            match format {
                Format::Json => {
                    output::json(&json!({ "id": id, "error": words, "code": refusal.get("code") }));
                }
                Format::Plain => output::note(&format!("{id}  refused: {words}")),
            }
        }
    }
    let so_far = tally.done + tally.refused;
    if so_far.is_multiple_of(PROGRESS_EVERY) {
        output::note(&format!("{so_far} messages so far"));
    }
    Ok(())
}
