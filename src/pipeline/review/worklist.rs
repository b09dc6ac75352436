//! Lists of cases in the order people should look at them, and of everything that waits for a person.
//!
//! Who is no clinician sees where a case stands and the numbers it is known by, and nothing of a result or a patient.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::audit;
use crate::clinical::model::ReportStatus;
use crate::clinical::model::Sensitive;
use crate::clinical::model::Urgency;
use crate::clinical::workflow::State;
use crate::clinical::workflow::Step;
use crate::clock::Id;
use crate::diagnostic::Diagnostic;
use crate::pipeline::Pipeline;
use crate::pipeline::hex;
use crate::pipeline::holds;
use crate::pipeline::records::CaseId;
use crate::pipeline::records::MessageId;
use crate::pipeline::records::case;
use crate::pipeline::records::case::Standing;
use crate::pipeline::records::case::Stored;
use crate::pipeline::records::message;
use crate::pipeline::review::Error;
use crate::pipeline::review::content::load_report;
use crate::pipeline::sessions::Actor;
use crate::store;
use crate::store::Change;
use crate::store::Store;
use crate::store::Table;
use crate::telemetry::Chain;

/// Rows of one page: a screen's worth.
pub(super) const PAGE_ROWS: usize = 50;

/// Every word a case's state can have, in the order of its life. A held one is held at some step.
pub const STATES: [State; 10] = [
    State::Held(Step::Matching),
    State::Matching,
    State::Interpreting,
    State::InReview,
    State::Approved,
    State::Releasing,
    State::Filed,
    State::Rejected,
    State::Superseded,
    State::Withdrawn,
];

/// The state of this word.
pub fn state_from_word(word: &str) -> Option<State> {
    STATES.into_iter().find(|state| state.as_str() == word)
}

/// Which cases to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    pub state: Option<State>,
    pub urgency: Option<Urgency>,
    pub after: Option<Cursor>,
}

/// Where a page ended: the urgency byte and the id of its last row. Written as hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor([u8; 1 + Id::BYTES]);

/// The text is no cursor of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is what `next` of the page before said")]
pub struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let digits = text.as_bytes();
        let mut bytes = [0; 1 + Id::BYTES];
        if digits.len() != 2 * bytes.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NotACursor);
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| NotACursor)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotACursor)?;
        }
        Ok(Self(bytes))
    }
}

/// One page, and where the next one begins.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<Cursor>,
}

/// A case in a list.
#[derive(Debug)]
pub struct Row {
    pub id: CaseId,
    pub version: u32,
    pub state: State,
    pub urgency: Option<Urgency>,
    pub seen: bool,
    pub opened_at: Timestamp,
    pub order_number: Option<String>,
    /// Its report cannot be opened: the row is damaged, and the case is listed all the same.
    pub unreadable: bool,
    /// For clinicians only.
    pub clinical: Option<Clinical>,
}

/// What only a clinician sees in a list.
#[derive(Debug)]
pub struct Clinical {
    pub lab: String,
    pub filler_number: String,
    pub status: ReportStatus,
    pub patient_name: Option<Sensitive<String>>,
    pub suggested_patient_id: Option<String>,
}

impl Row {
    pub(super) fn new(store: &Store, stored: &Stored, actor: &Actor) -> Result<Self, Error> {
        let Stored { case, standing } = stored;
        let report = match load_report(store, case) {
            Ok(report) => Some(report),
            Err(damage) if damage.concerns_one_row() => {
                tracing::error!(case.id = %case.id, error = %Chain(&damage), "could not open the report of a case");
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            id: case.id,
            version: case.version,
            state: standing.state,
            urgency: standing.urgency,
            seen: standing.seen,
            opened_at: case.opened_at,
            unreadable: report.is_none(),
            order_number: report.as_ref().and_then(|it| it.order_number.clone()),
            clinical: report.filter(|_| actor.roles.clinician).map(|report| Clinical {
                lab: report.lab,
                filler_number: report.filler_number,
                status: report.status,
                patient_name: case.patient.as_ref().map(|it| it.name.clone()),
                suggested_patient_id: case.suggested_patient_id.clone(),
            }),
        })
    }
}

/// Something that waits for a person, and why.
#[derive(Debug)]
pub struct Hold {
    pub subject: Held,
    pub diagnostics: Vec<Diagnostic>,
}

#[derive(Debug)]
pub enum Held {
    Case(Row),
    Message {
        id: MessageId,
        state: message::State,
        received_at: Timestamp,
        lab: Option<String>,
        feed: Option<String>,
    },
}

/// The clinic's cases, most urgent first, then oldest first.
pub async fn list(pipeline: &Pipeline, actor: &Actor, filter: &Filter) -> Result<Page<Row>, Error> {
    let store = pipeline.store.as_ref();
    let mut found: Vec<(Cursor, CaseId)> = Vec::new();
    for state in
        STATES.into_iter().filter(|state| filter.state.is_none_or(|wanted| wanted.as_str() == state.as_str()))
    {
        found.extend(of_state(store, &actor.clinic, state, filter)?);
    }
    found.sort_unstable();
    let more = found.len() > PAGE_ROWS;
    found.truncate(PAGE_ROWS);
    let next = found.last().map(|(cursor, _)| *cursor).filter(|_| more);
    let mut items = Vec::with_capacity(found.len());
    for (_, id) in found {
        if let Some(stored) = case::load(store, &actor.clinic, id)? {
            items.push(Row::new(store, &stored, actor)?);
        }
    }
    if actor.roles.clinician && !items.is_empty() {
        record_list(pipeline, actor, &items).await?;
    }
    Ok(Page { items, next })
}

/// The first rows of one state after the cursor: enough for a page and to know whether more follow.
fn of_state(
    store: &Store,
    clinic: &str,
    state: State,
    filter: &Filter,
) -> Result<Vec<(Cursor, CaseId)>, Error> {
    let prefix = case::worklist_prefix(clinic, state);
    let mut after = filter.after.map(|cursor| [prefix.as_slice(), &cursor.0].concat());
    let mut found = Vec::new();
    loop {
        let rows = case::worklist(store, &prefix, after.as_deref(), 1 + PAGE_ROWS)?;
        for (key, id) in &rows {
            let wanted = match filter.urgency {
                Some(urgency) => case::standing(store, *id)?.is_some_and(|it| it.urgency == Some(urgency)),
                None => true,
            };
            if wanted {
                let place = key.get(prefix.len()..).and_then(|it| it.try_into().ok());
                found.push((Cursor(place.ok_or(store::Error::Damaged { table: Table::Worklist })?), *id));
            }
        }
        after = rows.last().map(|(key, _)| key.clone());
        if found.len() > PAGE_ROWS || rows.len() <= PAGE_ROWS {
            return Ok(found);
        }
    }
}

/// A list of names is a read of each of them (`reference/security.md`, audit).
async fn record_list(pipeline: &Pipeline, actor: &Actor, items: &[Row]) -> Result<(), Error> {
    let ids: Vec<String> = items.iter().map(|row| row.id.to_string()).collect();
    let mut change = Change::new();
    change.audit(
        audit::Entry::new(pipeline.clock.now(), actor.user.to_string(), "cases.listed", "worklist")
            .of_clinic(actor.clinic.clone())
            .with("cases", ids),
    );
    pipeline.store.commit(change).await?;
    Ok(())
}

/// Which holds to list.
#[derive(Debug, Clone, Default)]
pub struct HoldsFilter {
    /// Messages of this feed only; a case is of no feed.
    pub feed: Option<String>,
    /// Only those of which something is said under this code.
    pub code: Option<String>,
    pub after: Option<HoldsCursor>,
}

/// Where a page of holds ended: at a case, before the messages, or at a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldsCursor {
    Case(Cursor),
    Message(MessageId),
}

impl fmt::Display for HoldsCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Case(cursor) => write!(f, "case-{cursor}"),
            Self::Message(id) => write!(f, "message-{id}"),
        }
    }
}

impl FromStr for HoldsCursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        match text.split_once('-') {
            Some(("case", cursor)) => cursor.parse().map(Self::Case),
            Some(("message", id)) => id.parse().map(Self::Message).map_err(|_| NotACursor),
            _ => Err(NotACursor),
        }
    }
}

/// A page of what waits for a person.
#[derive(Debug)]
pub struct Holds {
    pub items: Vec<Hold>,
    pub next: Option<HoldsCursor>,
}

/// What waits for a person: held cases, most urgent first, then the clinic's messages, newest first. A page may have
/// few rows, or none, and still be followed by another.
pub async fn holds(pipeline: &Pipeline, actor: &Actor, filter: &HoldsFilter) -> Result<Holds, Error> {
    let mut items = Vec::new();
    let (of_cases, from) = match filter.after {
        None => (Some(None), None),
        Some(HoldsCursor::Case(cursor)) => (Some(Some(cursor)), None),
        Some(HoldsCursor::Message(id)) => (None, Some(id)),
    };
    if let Some(after) = of_cases.filter(|_| filter.feed.is_none()) {
        let next = held_cases(pipeline, actor, filter, after, &mut items).await?;
        if next.is_some() {
            return Ok(Holds { items, next });
        }
    }
    let next = held_messages(pipeline, actor, filter, from, &mut items)?;
    Ok(Holds { items, next })
}

async fn held_cases(
    pipeline: &Pipeline,
    actor: &Actor,
    filter: &HoldsFilter,
    after: Option<Cursor>,
    items: &mut Vec<Hold>,
) -> Result<Option<HoldsCursor>, Error> {
    let held = Filter { state: Some(State::Held(Step::Matching)), after, ..Filter::default() };
    let page = list(pipeline, actor, &held).await?;
    for row in page.items {
        let stored = case::load(&pipeline.store, &actor.clinic, row.id)?.ok_or(Error::NotFound)?;
        let diagnostics = stored.case.holds;
        let says = |code: &String| diagnostics.iter().any(|it| it.code.as_str() == code.as_str());
        if filter.code.as_ref().is_none_or(says) {
            items.push(Hold { subject: Held::Case(row), diagnostics });
        }
    }
    Ok(page.next.map(HoldsCursor::Case))
}

fn held_messages(
    pipeline: &Pipeline,
    actor: &Actor,
    filter: &HoldsFilter,
    after: Option<MessageId>,
    items: &mut Vec<Hold>,
) -> Result<Option<HoldsCursor>, Error> {
    let store = pipeline.store.as_ref();
    let wanted = holds::Filter { waiting_only: true, code: filter.code.clone(), ..holds::Filter::default() };
    let wanted = wanted.of(&pipeline.feeds, filter.feed.as_deref(), None, Some(&actor.clinic));
    let page = holds::list(store, &wanted, holds::Order::NewestFirst, after, PAGE_ROWS)?;
    for (id, standing) in page.items {
        let scope = standing.scope();
        let subject = match message::load(store, id, &scope) {
            Ok(Some(message)) => {
                let message::Header { received_at, lab, feed, .. } = message.header;
                Held::Message { id, state: standing.state, received_at, lab, feed }
            }
            Ok(None) => continue,
            // Its own row is damaged: it is listed with what can still be said.
            Err(damage) if damage.concerns_one_row() => Held::Message {
                id,
                state: standing.state,
                received_at: id.0.at(),
                lab: None,
                feed: standing.feed.clone(),
            },
            Err(error) => return Err(error.into()),
        };
        let diagnostics = message::diagnostics(store, id, &scope)?;
        items.push(Hold { subject, diagnostics });
    }
    Ok(page.next.map(HoldsCursor::Message))
}

/// Whether a message came by a feed of this clinic. One that no feed names belongs to the gateway alone.
fn is_of_clinic(pipeline: &Pipeline, standing: &message::Standing, clinic: &str) -> bool {
    let feed = standing.feed.as_deref().and_then(|name| pipeline.feeds.named(name));
    feed.is_some_and(|feed| feed.clinics.iter().any(|it| it == clinic))
}

/// A message as the clinic's people see it: where it stands, and for those who mend it, why. Never its content.
#[derive(Debug)]
pub struct MessageView {
    pub id: MessageId,
    pub standing: message::Standing,
    pub header: message::Header,
    /// For administrators and integrators only.
    pub diagnostics: Option<Vec<Diagnostic>>,
    /// Why a person closed it; for the same.
    pub discard_reason: Option<String>,
}

/// A message of one of the clinic's feeds.
pub fn message_status(pipeline: &Pipeline, actor: &Actor, id: MessageId) -> Result<MessageView, Error> {
    let store = pipeline.store.as_ref();
    let standing = message::standing(store, id)?
        .filter(|it| is_of_clinic(pipeline, it, &actor.clinic))
        .ok_or(Error::NotFound)?;
    let scope = standing.scope();
    let header = message::load(store, id, &scope)?.ok_or(Error::NotFound)?.header;
    let mends = actor.roles.administrator || actor.roles.integrator;
    let diagnostics = mends.then(|| message::diagnostics(store, id, &scope)).transpose()?;
    let discard_reason = if mends { message::reason(store, id, &scope)? } else { None };
    Ok(MessageView { id, standing, header, diagnostics, discard_reason })
}

/// Emergencies that no clinician has opened yet, counted over all clinics.
pub fn critical_unseen(store: &Store, clinics: &[String]) -> Result<usize, store::Error> {
    let mut count = 0;
    for clinic in clinics {
        for state in [State::Matching, State::Held(Step::Matching), State::InReview] {
            let rows = case::worklist(
                store,
                &case::worklist_prefix(clinic, state),
                None,
                store::backend::SCAN_ROWS_MAX,
            )?;
            for (_, id) in rows {
                match case::standing(store, id)? {
                    // The most urgent stand first, so the first that is not ends the look.
                    Some(Standing { urgency, .. }) if urgency != Some(Urgency::Emergency) => break,
                    Some(standing) if !standing.seen => count += 1,
                    _ => {}
                }
            }
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let cursor = Cursor([7; 17]);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "07", "zz", &"+7".repeat(17), &"07".repeat(18), &"é".repeat(17)] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NotACursor), "{wrong}");
        }
    }

    #[test]
    fn a_cursor_of_holds_reads_back_and_nothing_else_does() {
        let id = MessageId(Id::from_bytes([3; 16]));
        for cursor in [HoldsCursor::Case(Cursor([7; 17])), HoldsCursor::Message(id)] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in ["", "case", "case-", "message-07", "other-07", &Cursor([7; 17]).to_string()] {
            assert_eq!(wrong.parse::<HoldsCursor>(), Err(NotACursor), "{wrong}");
        }
    }

    #[test]
    fn every_state_has_one_word() {
        for state in STATES {
            assert_eq!(state_from_word(state.as_str()), Some(state));
        }
        assert_eq!(state_from_word("gone"), None);
    }
}
