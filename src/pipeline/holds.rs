//! Messages that wait for a person: which they are, reading them again, and closing them with a reason.
//!
//! A held message is read again with the mapping of now; a rejected one is first decided again by the feeds of now. What
//! was mapped is never read over: its reports stand, and people may have acted on them. It is read again as a further
//! message of the same bytes, and what that says is a further version of each report: a repeat if it is the same, and
//! before a person where it contradicts.
//! A message that is discarded keeps its bytes, its state and its place in the books; it only waits no longer. Who did
//! what is in the audit chain; a reason is sealed, because people write names into reasons. In bulk means one after the
//! other in the order received, each with a transaction of its own, so that an end in the middle leaves no half.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::audit;
use crate::clinical::mapping::Catalog;
use crate::clinical::model::Sensitive;
use crate::clinical::terminology::unit_spelling;
use crate::clock::Clock;
use crate::clock::Id;
use crate::diagnostic::Code;
use crate::diagnostic::Diagnostic;
use crate::diagnostic::MissingRow;
use crate::diagnostic::RowKind;
use crate::pipeline::Pipeline;
use crate::pipeline::Wake;
use crate::pipeline::feeds::Feeds;
use crate::pipeline::intake::again;
use crate::pipeline::intake::again::Again;
use crate::pipeline::mappings::Mappings;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::job;
use crate::pipeline::records::job::Job;
use crate::pipeline::records::mapping;
use crate::pipeline::records::message;
use crate::pipeline::records::message::Discarded;
use crate::pipeline::records::message::HeaderFacts;
use crate::pipeline::records::message::Message;
use crate::pipeline::records::message::Standing;
use crate::pipeline::records::message::State;
use crate::store;
use crate::store::Change;
use crate::store::Scan;
use crate::store::Store;
use crate::store::Table;

/// Longest reason.
pub const REASON_CHARS_MAX: usize = 4_000;
/// Rows of states looked at for one page: a page may be short where few messages match, and the next goes on.
const LOOK_ROWS_MAX: usize = 10_000;

/// What holds are worked on with: a running gateway, or a command that has the store open itself.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    pub store: &'a Store,
    pub clock: &'a dyn Clock,
    pub feeds: &'a Feeds,
    pub mappings: Which<'a>,
    /// None where no lane runs: what waits is read at the next start.
    pub wake: Option<&'a Wake>,
}

/// The mappings that a message is decided anew by.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Those of a command; none where they do not compile.
    Own(Option<&'a Catalog>),
    /// What the running gateway serves with.
    Serving(&'a Mappings),
}

impl<'a> From<&'a Pipeline> for Desk<'a> {
    fn from(pipeline: &'a Pipeline) -> Self {
        let Pipeline { store, clock, feeds, mappings, wake, .. } = pipeline;
        Self { store, clock: clock.as_ref(), feeds, mappings: Which::Serving(mappings), wake: Some(wake) }
    }
}

/// Who asks: a person of a clinic, or whoever may open the operator's socket.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    pub actor: &'a str,
    pub clinic: Option<&'a str>,
}

impl By<'static> {
    pub const OPERATOR: Self = Self { actor: "operator", clinic: None };
}

/// Which messages are meant.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// None: of every feed, and those no feed names.
    pub feeds: Option<BTreeSet<String>>,
    pub state: Option<State>,
    /// Only what waits for a person: held or rejected, and not discarded.
    pub waiting_only: bool,
    /// Only those of which something is said under this code.
    pub code: Option<String>,
    pub since: Option<Timestamp>,
}

impl Filter {
    /// Narrows the filter to the feeds of a name, of a laboratory and of a clinic, where these are given.
    #[must_use]
    pub fn of(mut self, feeds: &Feeds, name: Option<&str>, lab: Option<&str>, clinic: Option<&str>) -> Self {
        if name.is_some() || lab.is_some() || clinic.is_some() {
            let meant = feeds.iter().filter(|feed| {
                name.is_none_or(|it| it == feed.name)
                    && lab.is_none_or(|it| it == feed.lab)
                    && clinic.is_none_or(|it| feed.clinics.iter().any(|name| name == it))
            });
            let mut names: BTreeSet<String> = meant.map(|feed| feed.name.clone()).collect();
            // A feed that is no longer configured still has its messages, for the operator.
            names.extend(name.filter(|_| lab.is_none() && clinic.is_none()).map(str::to_owned));
            self.feeds = Some(names);
        }
        self
    }

    fn takes(&self, store: &Store, id: MessageId, standing: &Standing) -> Result<bool, store::Error> {
        let of_feed = |names: &BTreeSet<String>| standing.feed.as_ref().is_some_and(|it| names.contains(it));
        let wanted = self.feeds.as_ref().is_none_or(of_feed)
            && self.state.is_none_or(|state| state == standing.state)
            && (!self.waiting_only || standing.waits_for_a_person());
        let Some(code) = self.code.as_deref().filter(|_| wanted) else { return Ok(wanted) };
        match message::diagnostics(store, id, &standing.scope()) {
            Ok(said) => Ok(said.iter().any(|it| it.code.as_str() == code)),
            // What is said of it cannot be opened: nobody knows that it is another code.
            Err(damage) if damage.concerns_one_row() => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// In which direction messages are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// Some messages, and where to go on looking; `None` where there are no more.
#[derive(Debug)]
pub struct Page {
    pub items: Vec<(MessageId, Standing)>,
    pub next: Option<MessageId>,
}

/// The messages that a filter takes, after the one where the page before ended.
pub fn list(
    store: &Store,
    filter: &Filter,
    order: Order,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Page, store::Error> {
    let mut page = Page { items: Vec::new(), next: after };
    let (mut scan, mut looked_at) = (first_scan(filter, order, after), 0);
    while looked_at < LOOK_ROWS_MAX {
        let rows = store.scan_plain(&scan)?;
        let Some((last, _)) = rows.last() else {
            page.next = None;
            break;
        };
        looked_at += rows.len();
        scan = scan.after(last);
        for (key, _) in &rows {
            let id = MessageId::try_from(key.as_slice())
                .map_err(|_| store::Error::Damaged { table: Table::MessageStates })?;
            let Some(standing) = message::standing(store, id)? else { continue };
            page.next = Some(id);
            if filter.takes(store, id, &standing)? {
                page.items.push((id, standing));
            }
            if page.items.len() == limit {
                return Ok(page);
            }
        }
    }
    Ok(page)
}

/// The held messages that wait for a row of a table, oldest first.
pub fn waiting_for(store: &Store, row: &MissingRow) -> Result<Vec<MessageId>, store::Error> {
    let filter = Filter { state: Some(State::Held), waiting_only: true, ..Filter::default() };
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = list(store, &filter, Order::OldestFirst, after, LOOK_ROWS_MAX)?;
        for (id, standing) in page.items {
            let said = match message::diagnostics(store, id, &standing.scope()) {
                Err(damage) if damage.concerns_one_row() => continue,
                said => said?,
            };
            if said
                .iter()
                .any(|it| it.is_error() && it.row.as_deref().is_some_and(|it| is_mended_by(it, row)))
            {
                found.push(id);
            }
        }
        if page.next.is_none() {
            return Ok(found);
        }
        after = page.next;
    }
}

/// Whether a row for one mends the other: a unit is found under each of its spellings.
fn is_mended_by(missing: &MissingRow, row: &MissingRow) -> bool {
    let is_same = match row.kind {
        RowKind::Code => missing.sent == row.sent,
        RowKind::Unit => unit_spelling::normalise(&missing.sent) == unit_spelling::normalise(&row.sent),
    };
    missing.table == row.table && missing.kind == row.kind && is_same
}

fn first_scan(filter: &Filter, order: Order, after: Option<MessageId>) -> Scan {
    let mut scan = Scan::all(Table::MessageStates);
    if let Some(since) = filter.since {
        scan = scan.from(&Id::floor(since).to_bytes());
    }
    if order == Order::NewestFirst {
        scan = scan.descending();
    }
    match after {
        Some(id) => scan.after(&id.key()),
        None => scan,
    }
}

/// Why nothing was done with a message.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such message")]
    NotFound,
    #[error("a message that is {} waits for nobody", state.as_str())]
    NotWaiting { state: State },
    #[error("the feeds of now refuse the message as well")]
    StillRefused { diagnostics: Vec<Diagnostic> },
    #[error("the same bytes came again and were kept as {id}")]
    KeptAgain { id: MessageId },
    #[error("the message came by a feed of several clinics, and may be another's")]
    SharedFeed,
    #[error("no mapping is known to have read the message")]
    NeverRead,
    #[error("the mapping that read the message is not remembered")]
    NotRemembered { digest: String },
    #[error("a reason is needed")]
    ReasonMissing,
    #[error("the reason has {chars} characters, and at most {REASON_CHARS_MAX} are taken")]
    ReasonTooLong { chars: usize },
    #[error("somebody or something changed the message meanwhile")]
    ChangedMeanwhile,
    #[error(transparent)]
    Store(store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Conflict { .. } => Self::ChangedMeanwhile,
            other => Self::Store(other),
        }
    }
}

impl Error {
    /// What to tell whoever asked.
    pub fn diagnostic(&self) -> Diagnostic {
        let (code, help) = match self {
            Self::NotFound => (Code::new("W103"), "look the id up with `gateway message list`"),
            Self::NotWaiting { .. } => {
                (Code::new("W130"), "look where it stands with `gateway message show ID`, with its id for ID")
            }
            Self::StillRefused { .. } => {
                (Code::new("W131"), "mend what the diagnostics name, then replay the message")
            }
            Self::KeptAgain { .. } => (
                Code::new("W132"),
                "discard this one with `gateway message quarantine discard`; the other is on its way",
            ),
            Self::NeverRead | Self::NotRemembered { .. } => {
                (Code::new("M210"), "replay the message with the mapping of now: leave `--mapping then` out")
            }
            Self::SharedFeed => {
                (Code::new("W133"), "ask the gateway's operator to discard it at the command line")
            }
            Self::ReasonMissing | Self::ReasonTooLong { .. } => {
                (Code::new("W105"), "write a reason within the limit")
            }
            Self::ChangedMeanwhile => (Code::new("W108"), "look at the message again, and decide anew"),
            Self::Store(_) => {
                (Code::new("W114"), "try again; if it stays so, look at /health/ready and the log")
            }
        };
        let told = match self {
            Self::Store(_) => "the store cannot do this now".to_owned(),
            other => other.to_string(),
        };
        let found = Diagnostic::error(code, told).help(help);
        if let Self::NotRemembered { digest } = self {
            return found.fact(format!("its digest is `{digest}`"));
        }
        let Self::StillRefused { diagnostics } = self else { return found };
        diagnostics
            .iter()
            .fold(found, |found, it| found.fact(format!("{}: {}", it.code.as_str(), it.message)))
    }
}

/// A message by its id; of another clinic it is as absent as none.
fn find(desk: Desk<'_>, by: By<'_>, id: MessageId) -> Result<Standing, Error> {
    let standing = message::standing(desk.store, id)?.ok_or(Error::NotFound)?;
    let is_theirs = by.clinic.is_none_or(|clinic| clinics(desk, &standing).iter().any(|it| it == clinic));
    if is_theirs { Ok(standing) } else { Err(Error::NotFound) }
}

fn clinics<'a>(desk: Desk<'a>, standing: &Standing) -> &'a [String] {
    let feed = standing.feed.as_deref().and_then(|name| desk.feeds.named(name));
    feed.map_or(&[], |feed| feed.clinics.as_slice())
}

/// One thing done to a message, not committed yet: a dry run ends here.
struct Step {
    /// The message that moves; of one that was mapped, its further reading.
    id: MessageId,
    /// None where the message is made by this.
    before: Option<Standing>,
    after: Standing,
    change: Change,
}

/// What is, or would be, read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replayed {
    pub id: MessageId,
    pub state: State,
    /// The further message as which one that was mapped is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_as: Option<MessageId>,
}

impl Replayed {
    fn of(id: MessageId, step: &Step) -> Self {
        Self { id, state: step.after.state, read_as: Some(step.id).filter(|it| *it != id) }
    }
}

/// Which mapping reads a message again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum With {
    #[default]
    Now,
    /// The one that read it last, as the store remembers it.
    Then,
}

/// Whether a message would be read again, or why not. Nothing is done, and no further message has its id yet.
pub fn would_replay(desk: Desk<'_>, by: By<'_>, id: MessageId, with: With) -> Result<Replayed, Error> {
    replaying(desk, by, id, with).map(|step| Replayed { read_as: None, ..Replayed::of(id, &step) })
}

/// Lets a message be read again: by the mapping of now or of then, and if it was rejected by the feeds of now. One that
/// was discarded is taken up again by this.
pub async fn replay(desk: Desk<'_>, by: By<'_>, id: MessageId, with: With) -> Result<Replayed, Error> {
    let step = replaying(desk, by, id, with)?;
    let replayed = Replayed::of(id, &step);
    commit(desk, by, id, step, "message.replayed").await?;
    if let Some(wake) = desk.wake {
        wake.read.notify_one();
    }
    Ok(replayed)
}

fn replaying(desk: Desk<'_>, by: By<'_>, id: MessageId, with: With) -> Result<Step, Error> {
    let before = find(desk, by, id)?;
    let mapping = match with {
        With::Now => None,
        With::Then => Some(remembered(desk.store, before.mapping.as_deref())?),
    };
    let mut step = match before.state {
        State::Held => {
            let after = Standing::new(State::Waiting, before.feed.clone());
            Step { id, after, before: Some(before), change: Change::new() }
        }
        State::Rejected => match again::decide(desk, id, &before)? {
            Again::Accepted(after, change) => Step { id, before: Some(before), after, change },
            Again::Doubled(id) => return Err(Error::KeptAgain { id }),
            Again::Refused(diagnostics) => return Err(Error::StillRefused { diagnostics }),
        },
        State::Mapped => further_reading(desk, by, id, &before)?,
        state @ State::Waiting => return Err(Error::NotWaiting { state }),
    };
    message::delete_diagnostics(&mut step.change, step.id);
    let mut job = Job::new(job::Kind::Read, desk.clock.now(), step.id.0);
    job.body.mapping = mapping;
    job.put(&mut step.change);
    Ok(step)
}

/// The message once more, under an id of its own: nobody is owed an answer to it, and no repetition finds it.
fn further_reading(desk: Desk<'_>, by: By<'_>, id: MessageId, before: &Standing) -> Result<Step, Error> {
    if by.clinic.is_some_and(|clinic| before.report_clinics.iter().any(|it| it != clinic)) {
        return Err(Error::SharedFeed);
    }
    let scope = before.scope();
    let kept = message::load(desk.store, id, &scope)?.ok_or(Error::NotFound)?;
    let (further, header) = (MessageId(desk.clock.new_id()), kept.header);
    let facts = HeaderFacts {
        received_at: desk.clock.now(),
        lab: header.lab,
        feed: header.feed,
        control_id: header.control_id,
        sha256: header.sha256,
        read_again: Some(header.read_again.unwrap_or(id)),
    };
    let mut change = Change::new();
    Message::put(&mut change, further, &scope, facts, (None, &[]), kept.raw.into());
    change.count(message::FURTHER_READINGS, 1);
    Ok(Step { id: further, before: None, after: Standing::new(State::Waiting, before.feed.clone()), change })
}

/// The digest of a mapping that the store can give back.
fn remembered(store: &Store, digest: Option<&str>) -> Result<String, Error> {
    let digest = digest.ok_or(Error::NeverRead)?;
    let is_there = mapping::load(store, digest)?.is_some();
    if is_there { Ok(digest.to_owned()) } else { Err(Error::NotRemembered { digest: digest.to_owned() }) }
}

/// Whether a message would be closed, or why not. Nothing is done.
pub fn would_discard(
    desk: Desk<'_>,
    by: By<'_>,
    id: MessageId,
    reason: &Sensitive<String>,
) -> Result<Standing, Error> {
    discarding(desk, by, id, reason).map(|step| step.after)
}

/// Closes a held or rejected message: nobody waits for it any more, and its bytes stay.
pub async fn discard(
    desk: Desk<'_>,
    by: By<'_>,
    id: MessageId,
    reason: &Sensitive<String>,
) -> Result<Standing, Error> {
    let step = discarding(desk, by, id, reason)?;
    commit(desk, by, id, step, "message.discarded").await
}

fn discarding(desk: Desk<'_>, by: By<'_>, id: MessageId, reason: &Sensitive<String>) -> Result<Step, Error> {
    let chars = reason.expose().chars().count();
    if reason.expose().trim().is_empty() {
        return Err(Error::ReasonMissing);
    }
    if chars > REASON_CHARS_MAX {
        return Err(Error::ReasonTooLong { chars });
    }
    let before = find(desk, by, id)?;
    if !before.waits_for_a_person() {
        return Err(Error::NotWaiting { state: before.state });
    }
    if by.clinic.is_some() && clinics(desk, &before).len() > 1 {
        return Err(Error::SharedFeed);
    }
    let discarded = Discarded { by: by.actor.to_owned(), at: desk.clock.now() };
    let after = Standing { discarded: Some(discarded), ..before.clone() };
    let mut change = Change::new();
    message::put_reason(&mut change, id, &before.scope(), reason.expose());
    Ok(Step { id, before: Some(before), after, change })
}

/// Makes a step durable, with where the message stands, its counts and its audit entry.
async fn commit(
    desk: Desk<'_>,
    by: By<'_>,
    id: MessageId,
    step: Step,
    act: &'static str,
) -> Result<Standing, Error> {
    let Step { id: moved, before, after, mut change } = step;
    message::put_standing(&mut change, moved, before.as_ref(), &after);
    let entry = entry(desk.clock.now(), by, act, id);
    change.audit(match &before {
        Some(before) => entry.with("from", before.state.as_str()),
        None => entry.with("from", State::Mapped.as_str()).with("as", moved.to_string()),
    });
    desk.store.commit(change).await?;
    Ok(after)
}

fn entry(now: Timestamp, by: By<'_>, act: &'static str, id: MessageId) -> audit::Entry {
    let entry = audit::Entry::new(now, by.actor.to_owned(), act, id.to_string());
    match by.clinic {
        Some(clinic) => entry.of_clinic(clinic),
        None => entry,
    }
}
